"""The verbs ``predict`` and ``evaluate``."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.cli.options import (
    Files,
    FilmOption,
    Framed,
    FramesOfFile,
    Network,
    OverwriteOption,
    PotentialOption,
    Reading,
    SchedulerOption,
    WorkersOption,
    grouped,
    labelled,
)
from symgnn_explain.cli.output import (
    progress_bar,
    require_film_option,
    require_writable,
    said_of,
    table_text,
    write_film_of,
)
from symgnn_explain.errors import InputError
from symgnn_explain.runs.files import require_free
from symgnn_explain.runs.names import one_line_name

if TYPE_CHECKING:
    from symgnn_explain.export.predictions import Prediction
    from symgnn_explain.models.calibration import Calibration
    from symgnn_explain.models.predictor import AtomPredictions
    from symgnn_explain.runs.parts import Parts
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
    reading: Framed,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax each structure first, to the nearest minimum of --potential.")
    ] = False,
    potential: PotentialOption = None,
    film: FilmOption = None,
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
) -> None:
    """Predict every atom: its energy barrier (eV), or what else the network has learned.

    Of a trajectory the last frame, or those named. Where several frames, workers or relaxations are asked for, what is
    done already is kept in a folder beside F until F is there: the same command continues what was interrupted.
    A film shows the frames coloured by what is predicted.
    """
    from symgnn_explain.export.predictions import Prediction, Row, require_known_suffix, write_predictions
    from symgnn_explain.models.many import predict_many
    from symgnn_explain.runs.cluster import connected
    from symgnn_explain.runs.parts import Parts

    require_known_suffix(out)
    _require_place(out, files, overwrite=overwrite)
    if potential is not None and not relax:
        raise InputError("--potential is what --relax relaxes with: give both, or neither.")
    sources: dict[str, FramesOfFile] = {
        label: reading.frames_of(file, otherwise="-1") for label, file in labelled(files).items()
    }
    _require_film(film, sources, overwrite=overwrite)
    shown: list[tuple[int, Glass, FloatArray]] = []
    takes_long = relax or workers > 1 or scheduler is not None or reading.frames is not None
    if not takes_long:
        sources = {label: source.in_memory() for label, source in sources.items()}
        require_known_suffix(out, (glass for source in sources.values() for _, glass in source))
    predictor = network.load()
    replaced, parts = out.exists(), Parts(out.with_name(f"{out.name}.parts") if takes_long else None)
    summaries = {label: _Summary(label, len(source)) for label, source in sources.items()}
    names = [(label, number) for label, source in sources.items() for number in source.numbers]
    cluster: AbstractContextManager[Any] = nullcontext() if scheduler is None else connected(scheduler)
    try:
        if relax:
            sources = {label: _relaxed(label, source, potential, parts) for label, source in sources.items()}
        title = f"Predicting {names[0][0]}" if len(sources) == 1 else "Predicting"
        with cluster as client, progress_bar(title, timing="") as advance:
            found = predict_many(
                predictor,
                _Glasses(sources, out),
                parts,
                total=len(names),
                workers=workers,
                client=client,
                progress=advance,
            )

            def rows() -> Iterator[Row]:
                for (label, number), (glass, said) in zip(names, found, strict=True):
                    prediction = Prediction.said(predictor, glass, said)
                    summaries[label].add(number, prediction)
                    if film is not None:
                        shown.append((number, glass, prediction.values))
                    yield Row(label, None if reading.frames is None else number, prediction)
                require_free([out], overwrite=overwrite, option="--out")  # another run may have written it meanwhile

            write_predictions(rows(), out)
    except KeyboardInterrupt:
        if takes_long:
            folder = one_line_name(str(parts.folder))
            print(f"{len(parts)} parts are in {folder}; the same command continues.", file=sys.stderr)
        raise
    parts.discard()
    for summary in summaries.values():
        summary.print()
    print(said_of(out, replaced=replaced))
    if film is not None:
        from symgnn_explain.plotting import trajectory_figures

        write_film_of(trajectory_figures(shown, predictor.target), film, overwrite=overwrite)


def _require_place(out: Path, files: Sequence[str], *, overwrite: bool) -> None:
    """Raise InputError, before any work is done, where the result could not be written, or in place of what is read."""
    if out.is_dir():
        raise InputError(f"{out} is a folder: --out takes the file to write.")
    if out.exists() and any(Path(file).exists() and out.samefile(file) for file in files):
        raise InputError(f"--out {one_line_name(out)} is a file to predict, which may hold more: choose another name.")
    require_free([out], overwrite=overwrite, option="--out")
    require_writable(out.parent)


def _require_film(film: Path | None, sources: Mapping[str, FramesOfFile], *, overwrite: bool) -> None:
    """Raise InputError, before any work is done, where the frames make no film, or it could not be written."""
    if film is not None:
        from symgnn_explain.export.film import require_film

        if len(sources) > 1:
            raise InputError(f"--film shows the frames of one trajectory, and {len(sources)} files were given.")
        require_film_option(film, overwrite=overwrite)
        if (n_frames := sum(map(len, sources.values()))) == 1:
            raise InputError(
                "--film shows several frames, and one is predicted: choose more with --frames, or leave it out."
            )
        require_film(n_frames)


@dataclass(frozen=True)
class _Glasses:
    """The structures of all files, one at a time, as often as they are gone through."""

    sources: Mapping[str, Iterable[tuple[int, Glass]]]
    out: Path

    def __iter__(self) -> Iterator[Glass]:
        from symgnn_explain.export.predictions import require_known_suffix

        for source in self.sources.values():
            for _, glass in source:
                require_known_suffix(self.out, [glass])
                yield glass


class _Summary:
    """What is said of the predictions of a file, gathered frame by frame."""

    def __init__(self, label: str, n_frames: int) -> None:
        self._label, self._n_frames, self._n_atoms = label, n_frames, 0
        self._mean = self._squares = 0.0
        self._sums: dict[str, float] = defaultdict(float)
        self._outside: list[tuple[int, str]] = []
        self._target: Any = None

    def add(self, number: int, each: Prediction) -> None:
        """Take in a frame."""
        import numpy as np

        values, before = each.values.astype(np.float64), self._n_atoms
        self._target, self._n_atoms = each.target, before + len(values)
        # About means, not about 0: energies of -10⁵ eV would leave no digit of their spread.
        beyond = float(values.mean()) - self._mean
        self._mean += beyond * len(values) / self._n_atoms
        self._squares += float(values.var()) * len(values) + beyond**2 * before * len(values) / self._n_atoms
        for level, width in each.intervals.items():
            self._sums[str(level)] += float(width.sum())
        if each.warning:
            self._outside.append((number, each.warning))

    def print(self) -> None:
        """Say it."""
        means = {name: total / self._n_atoms for name, total in self._sums.items()}
        mean, target = self._mean, self._target
        std = math.sqrt(self._squares / self._n_atoms)
        stated = " and ".join(f"± {target.text(width)} ({level} %)" for level, width in means.items())
        uncertain = f"; known values lie within {stated} on average" if stated else ""
        value = target.with_unit(f"{target.number(mean)} ± {target.number(std)}")
        frames = f" in {self._n_frames} frames" if self._n_frames > 1 else ""
        print(f"{self._label}: {self._n_atoms} atoms{frames}, predicted {target.word} {value} over atoms{uncertain}")
        if self._outside:
            number, sentence = self._outside[0]
            which = f"frame {number}: " if frames else ""
            print(f"Mind: {self._label}: {which}{sentence}")
        if len(self._outside) > 1:
            print(f"Mind: {self._label}: the same holds for {len(self._outside) - 1} more of its frames.")


def _relaxed(label: str, source: FramesOfFile, potential: Path | None, parts: Parts) -> FramesOfFile:
    """Relax frames into a folder beside the parts, and return those."""
    from symgnn_explain.runs.watch import Watch
    from symgnn_explain.saddles import EamCalculator, find_potential
    from symgnn_explain.saddles.relaxed_frames import relaxed_frames

    calculator = EamCalculator(find_potential(potential))
    name = hashlib.sha256(f"{label}|{calculator.identity}".encode()).hexdigest()[:12]
    folder = parts.aside(name)
    rows: list[dict[str, Any]] = []
    with progress_bar(f"Relaxing {label}") as advance:
        watch = Watch(lambda fraction: advance(min((len(rows) + fraction) / len(source), 1.0)))
        rows.extend(each.row for each in relaxed_frames(source, calculator, folder, watch=watch))
    mean = sum(row["mean_displacement_angstrom"] for row in rows) / len(rows)
    largest = max(row["largest_displacement_angstrom"] for row in rows)
    print(f"{label}: relaxed; its atoms moved by {mean:.3f} Å on average, {largest:.3f} Å at most")
    return replace(source, read=lambda: ((each[0], each[1]) for each in relaxed_frames(source, calculator, folder)))


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
        covered = {label: _covered(predictor.calibration, each, known[label]) for label, each in said.items()}
        for label, shares in covered.items():
            report["per_file"][label] |= shares
        counts = list(n_known.values())
        report |= {
            level: float(np.average([shares[level] for shares in covered.values()], weights=counts))
            for level in next(iter(covered.values()))
        }
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
        print(table_text({**per_file, "all atoms": overall}))


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
