"""Predictions of many glasses in one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import starmap, tee
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import AtomPredictions, Predictor
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.files import staged
from symgnn_explain.runs.tables import csv_text
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.io.extended_xyz import require_columns
from symgnn_explain.structure.io.writing import write_extended_xyz

_PLACE = ("x_angstrom", "y_angstrom", "z_angstrom")
DOMAIN_ARRAY = "domain"
"""Column and per-atom array of the domain score."""


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Brief):
    """A glass with what was predicted for it.

    Parameters
    ----------
    glass
        The structure.
    values
        Predictions, shape (N,).
    spread
        Standard deviation of labels about them, shape (N,); None where the predictor was not calibrated.
    target
        What is predicted.
    domain
        Score of each atom, 1 at the edge of what training covered; None where the predictor has none.
    intervals
        Half widths of the intervals about the predictions, by level in per cent, shape (N,) each.
    warning
        One sentence where much of the glass lies outside, and the likeliest cause; else empty.
    """

    glass: Glass
    values: FloatArray
    spread: FloatArray | None = None
    target: Target = BARRIER
    domain: FloatArray | None = None
    warning: str = ""
    intervals: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(cls, predictor: Predictor, glass: Glass, *, progress: Callable[[float], None] | None = None) -> Prediction:
        """Predict, with the spread where it is known; ``progress`` is called with the fraction done."""
        return cls.said(predictor, glass, predictor.predict_atoms(glass, progress=progress))

    @classmethod
    def said(cls, predictor: Predictor, glass: Glass, found: AtomPredictions) -> Prediction:
        """Put what was predicted beside its glass."""
        values, spread, score = found
        calibration = predictor.calibration
        intervals = {} if calibration is None or spread is None else calibration.intervals(spread)
        doubts = predictor.domain_sentence(glass, score)
        return cls(glass, values, spread, predictor.target, score, doubts, intervals)

    def columns(self) -> dict[str, FloatArray]:
        """Return what is known, by the headings of a table: ``interval_95`` is half the width of the 95 % interval."""
        intervals = {self.target.column(f"interval_{level}"): width for level, width in self.intervals.items()}
        return self._named(self.target.column(self.target.slug), self.target.column("spread")) | intervals

    def arrays(self) -> dict[str, FloatArray]:
        """Return what is known, by the names of per-atom arrays; labels stay beside them under their own."""
        return self._named(self.target.predicted_array, self.target.spread_array)

    def _named(self, values: str, spread: str) -> dict[str, FloatArray]:
        found = {values: self.values, spread: self.spread, DOMAIN_ARRAY: self.domain}
        return {name: value for name, value in found.items() if value is not None}


class Row(NamedTuple):
    """What stands in a file of predictions: of which file, which frame of it (where frames were chosen), and what."""

    label: str
    frame: int | None
    prediction: Prediction


def write_predictions(predictions: Mapping[str, Prediction] | Iterable[Row], path: Path) -> Path:
    """Write predictions as ``.csv`` (a row an atom), ``.json``, or ``.extxyz`` (a frame a glass; OVITO opens it).

    Parameters
    ----------
    predictions
        By label, which is the name of the file that a glass came from; or one after another, none of which is kept.

    Raises
    ------
    InputError
        If the suffix is another, or an array of a glass would not be read back from extended XYZ.
    """
    require_known_suffix(path)
    rows = starmap(_without_frame, predictions.items()) if isinstance(predictions, Mapping) else predictions
    if path.suffix == _EXTENDED_XYZ:
        frames, again = tee(rows)
        return write_extended_xyz(map(_frame, frames), path, info=map(_note, again))
    with staged(path.parent) as staging, (staging / path.name).open("wb") as stream:
        for text in _WRITERS[path.suffix](rows):
            stream.write(text.encode())
    return path


def ids_of(glass: Glass) -> dict[str, list[Any]]:
    """Return the column of the ids that a file gave its atoms, such as LAMMPS'; none where it has none."""
    ids = glass.arrays.get("id")
    return {} if ids is None or ids.ndim != 1 else {"id": ids.tolist()}


def _without_frame(label: str, prediction: Prediction) -> Row:
    return Row(label, None, prediction)


def _frame(row: Row) -> Glass:
    prediction = row.prediction
    return without_earlier(prediction.glass, prediction.target).with_arrays(**prediction.arrays())


def without_earlier(glass: Glass, target: Target) -> Glass:
    """Leave out the spread and the domain score that stand beside an earlier prediction of the same quantity.

    A predictor that has none of its own would seem to have them.
    """
    earlier = target.predicted_array in glass.arrays
    return glass.without_arrays(target.spread_array, DOMAIN_ARRAY) if earlier else glass


def _note(row: Row) -> dict[str, str]:
    target = row.prediction.target
    note = {"target": target.name, "target_unit": target.unit}
    return note if row.frame is None else note | {"source": row.label, "frame": str(row.frame)}


def require_known_suffix(path: Path, glasses: Iterable[Glass] = ()) -> None:
    """Raise InputError unless :func:`write_predictions` can write predictions for the glasses to ``path``."""
    known = (*_WRITERS, _EXTENDED_XYZ)
    if path.suffix not in known:
        raise InputError(
            f"{path} has the suffix {path.suffix!r}, but predictions are written as {', '.join(known)}: "
            "choose one of these."
        )
    if path.suffix == _EXTENDED_XYZ:
        for glass in glasses:
            require_columns(glass)


def _as_csv(rows: Iterable[Row]) -> Iterator[str]:
    for place, (label, frame, each) in enumerate(rows):
        table = pd.DataFrame(
            {
                "file": label,
                **({} if frame is None else {"frame": frame}),
                "atom": range(len(each.glass)),
                **({"id": ""} | ids_of(each.glass)),
                "species": each.glass.symbols,
                **dict(zip(_PLACE, each.glass.positions.T, strict=True)),
                **each.columns(),
            }
        )
        yield csv_text(table, float_format="%.9g", header=place == 0)


def _as_json(rows: Iterable[Row]) -> Iterator[str]:
    before = '{"predictions": ['
    for label, frame, each in rows:
        entry = {
            "file": label,
            **({} if frame is None else {"frame": frame}),
            "content_sha256": each.glass.content_hash,
            **ids_of(each.glass),
            "species": each.glass.symbols,
            "positions_angstrom": each.glass.positions.tolist(),
            "cell_angstrom": each.glass.cell.tolist(),
            "target": each.target.name,
            "target_unit": each.target.unit,
            **{name: values.tolist() for name, values in each.columns().items()},
        }
        yield before + json.dumps(entry, ensure_ascii=False)
        before = ", "
    yield "]}"


_EXTENDED_XYZ = ".extxyz"
_WRITERS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {
    ".csv": _as_csv,
    ".json": _as_json,
}
