"""The verbs ``predict`` and ``evaluate``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.cli.options import Files, Network, OverwriteOption, PotentialOption, Reading, grouped
from symgnn_explain.cli.output import progress_bar, require_writable, said_of, table
from symgnn_explain.errors import InputError
from symgnn_explain.runs.files import require_free

if TYPE_CHECKING:
    from symgnn_explain.models.calibration import Calibration
    from symgnn_explain.models.predictor import AtomPredictions
    from symgnn_explain.structure.glass import FloatArray, Glass


@grouped
def predict(
    files: Files,
    *,
    out: Annotated[
        Path, typer.Option(metavar="F", show_default=False, help="Result: .csv, .json or .extxyz (for OVITO).")
    ],
    overwrite: OverwriteOption = False,
    network: Network,
    reading: Reading,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax each structure first, to the nearest minimum of --potential.")
    ] = False,
    potential: PotentialOption = None,
) -> None:
    """Predict every atom: its energy barrier (eV), or what else the network has learned."""
    from symgnn_explain.export.predictions import Prediction, require_known_suffix, write_predictions

    require_known_suffix(out)
    if out.is_dir():
        raise InputError(f"{out} is a folder: --out takes the file to write.")
    require_free([out], overwrite=overwrite, option="--out")
    require_writable(out.parent)
    glasses = reading.glasses(files)
    require_known_suffix(out, glasses.values())
    replaced = out.exists()
    predictor = network.load()
    if potential is not None and not relax:
        raise InputError("--potential is what --relax relaxes with: give both, or neither.")
    if relax:
        glasses = {label: _relaxed(label, glass, potential) for label, glass in glasses.items()}
    predictions: dict[str, Prediction] = {}
    for label, glass in glasses.items():
        with progress_bar(f"Predicting {label}") as advance:
            predictions[label] = Prediction.of(predictor, glass, progress=advance)
    write_predictions(predictions, out)
    for label, each in predictions.items():
        target = each.target
        mean, std = (target.number(value) for value in (each.values.mean(), each.values.std()))
        widths = {level: float(width.mean()) for level, width in each.intervals.items()}
        stated = " and ".join(f"± {target.text(width)} ({level} %)" for level, width in widths.items())
        uncertain = f"; known values lie within {stated} on average" if stated else ""
        value = target.with_unit(f"{mean} ± {std}")
        print(f"{label}: {len(each.values)} atoms, predicted {target.word} {value} over atoms{uncertain}")
        if each.warning:
            print(f"Mind: {label}: {each.warning}")
    print(said_of(out, replaced=replaced))


def _relaxed(label: str, glass: Glass, potential: Path | None) -> Glass:
    import numpy as np

    from symgnn_explain.runs.watch import Watch
    from symgnn_explain.saddles import EamCalculator, find_potential

    with progress_bar(f"Relaxing {label}") as advance:
        relaxed = glass.relaxed(EamCalculator(find_potential(potential)), watch=Watch(advance))
    moved = np.linalg.norm(relaxed.positions - glass.positions, axis=1)
    print(f"{label}: relaxed; its atoms moved by {moved.mean():.3f} Å on average, {moved.max():.3f} Å at most")
    return relaxed


@grouped
def evaluate(
    files: Files,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    network: Network,
    reading: Reading,
) -> None:
    """Compare predictions with the known values in the files: correlations and errors, overall and per file.

    Known values are the per-atom array of what the network predicts: barrier (eV), if nothing else. Atoms whose value
    is unknown (nan in the file) are left out; n_known then counts the others.
    """
    import numpy as np

    glasses = reading.glasses(files)
    predictor = network.load()
    target = predictor.target
    known: dict[str, FloatArray] = {}
    n_known: dict[str, int] = {}
    for label, glass in glasses.items():
        labels = target.labels(glass)
        if labels is None:
            raise InputError(
                f"{label} holds no {target.plural} to compare with: give {target.axis('one an atom')} as the "
                f"per-atom array {target.array!r} of an extended XYZ file, or use predict."
            )
        n_known[label] = int(np.count_nonzero(~np.isnan(labels)))
        if n_known[label] < 2:
            raise InputError(f"{label} holds one known {target.word}: a comparison takes at least two.")
        known[label] = labels
    from symgnn_explain.models.target import BARRIER
    from symgnn_explain.training.metrics import regression_metrics

    said = {label: predictor.predict_atoms(glass) for label, glass in glasses.items()}
    predicted = {label: each.values for label, each in said.items()}
    report: dict[str, Any] = _plain(
        regression_metrics(_concatenated(predicted.values()), _concatenated(known.values()))
    )
    report["per_file"] = {label: _plain(regression_metrics(predicted[label], known[label])) for label in glasses}
    scores = {label: each.domain for label, each in said.items() if each.domain is not None}
    for label, score in scores.items():
        report["per_file"][label] |= _by_domain(predicted[label], known[label], score)
    if predictor.calibration is not None:
        for label, each in said.items():
            report["per_file"][label] |= _covered(predictor.calibration, each, known[label])
    if scores:
        report |= _by_domain(*map(_concatenated, (predicted.values(), known.values(), scores.values())))
    if any(n_known[label] < len(glass) for label, glass in glasses.items()):
        report["n_known"] = sum(n_known.values())
        for label, metrics in report["per_file"].items():
            metrics["n_known"] = n_known[label]
    if target != BARRIER:
        report |= target.columns()
    if as_json:
        print(json.dumps(report, ensure_ascii=False, allow_nan=False))
    else:
        per_file = report.pop("per_file")
        overall = {name: value for name, value in report.items() if name not in target.columns()}
        print(target.axis(f"Predicted and known {target.name}"))
        print(table({**per_file, "all atoms": overall}).to_string(float_format="{:.4f}".format))


def _by_domain(predicted: FloatArray, known: FloatArray, score: FloatArray) -> dict[str, float | None]:
    """Return the share of atoms outside of what training covered, and r of those inside and outside."""
    import numpy as np

    from symgnn_explain.training.metrics import regression_metrics

    found: dict[str, float | None] = {"share_outside": float(np.mean(score > 1))}
    for name, chosen in (("inside", score <= 1), ("outside", score > 1)):
        enough = np.count_nonzero(~np.isnan(known[chosen])) > 1
        found |= _plain(
            {f"pearson_{name}": regression_metrics(predicted[chosen], known[chosen])["pearson"] if enough else math.nan}
        )
    return found


def _covered(calibration: Calibration, predicted: AtomPredictions, known: FloatArray) -> dict[str, float]:
    """Return the share of known values that lie within each interval."""
    import numpy as np

    labelled = ~np.isnan(known)
    spread = np.zeros(len(known)) if predicted.spread is None else predicted.spread
    shares = calibration.coverage((known - predicted.values)[labelled], spread[labelled])
    return {f"coverage_{level}": share for level, share in shares.items()}


def _concatenated(values: Any) -> FloatArray:
    import numpy as np

    return np.concatenate(list(values))


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
