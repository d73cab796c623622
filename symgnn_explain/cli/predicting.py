"""The verbs ``predict`` and ``evaluate``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.cli.inputs import load_predictor, read_all
from symgnn_explain.cli.options import (
    Device,
    DeviceOption,
    Files,
    FormatOption,
    FrameOption,
    OverwriteOption,
    SpeciesOption,
    WeightsOption,
)
from symgnn_explain.cli.output import require_free, require_writable, said_of, table
from symgnn_explain.errors import InputError

if TYPE_CHECKING:
    from symgnn_explain.structure.glass import FloatArray


def predict(
    files: Files,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="F", show_default=False, help="Result: .csv, .json or .extxyz (for OVITO).")
    ],
    overwrite: OverwriteOption = False,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Predict the energy barrier (eV) of every atom."""
    from symgnn_explain.export.predictions import Prediction, require_known_suffix, write_predictions

    require_known_suffix(out)
    if out.is_dir():
        raise InputError(f"{out} is a folder: --out takes the file to write.")
    require_free([out], overwrite=overwrite)
    require_writable(out.parent)
    glasses = read_all(files, species, frame, format_name)
    require_known_suffix(out, glasses.values())
    replaced = out.exists()
    predictor = load_predictor(weights, device)
    predictions = {label: Prediction.of(predictor, glass) for label, glass in glasses.items()}
    write_predictions(predictions, out)
    for label, each in predictions.items():
        mean, std = each.values.mean(), each.values.std()
        uncertain = "" if each.spread is None else f"; each uncertain by {each.spread.mean():.3f} eV on average"
        print(f"{label}: {len(each.values)} atoms, predicted barrier {mean:.3f} ± {std:.3f} eV over atoms{uncertain}")
    print(said_of(out, replaced=replaced))


def evaluate(
    files: Files,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Compare predictions with the barriers in the files: correlations and errors (eV), overall and per file.

    Atoms whose barrier is unknown (nan in the file) are left out; n_known then counts the others.
    """
    glasses = read_all(files, species, frame, format_name)
    known: dict[str, FloatArray] = {}
    for label, glass in glasses.items():
        if glass.barriers is None:
            raise InputError(
                f"{label} holds no barriers to compare with: give them (eV) as the per-atom array 'barrier' of "
                "an extended XYZ file, or use predict."
            )
        if glass.labelled.sum() < 2:
            raise InputError(f"{label} holds one known barrier: a comparison takes at least two.")
        known[label] = glass.barriers
    predictor = load_predictor(weights, device)
    from symgnn_explain.training.metrics import regression_metrics

    predicted = {label: predictor.predict(glass) for label, glass in glasses.items()}
    report: dict[str, Any] = _plain(
        regression_metrics(_concatenated(predicted.values()), _concatenated(known.values()))
    )
    report["per_file"] = {label: _plain(regression_metrics(predicted[label], known[label])) for label in glasses}
    n_known = {label: int(glass.labelled.sum()) for label, glass in glasses.items()}
    if not all(glass.labelled.all() for glass in glasses.values()):
        report["n_known"] = sum(n_known.values())
        for label, metrics in report["per_file"].items():
            metrics["n_known"] = n_known[label]
    if as_json:
        print(json.dumps(report, ensure_ascii=False, allow_nan=False))
    else:
        per_file = report.pop("per_file")
        print(table({**per_file, "all atoms": report}).to_string(float_format="{:.4f}".format))


def _concatenated(values: Any) -> FloatArray:
    import numpy as np

    return np.concatenate(list(values))


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
