"""Predicted barriers of many glasses in one file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.files import write_atomically
from symgnn_explain.glass import FloatArray, Glass

PREDICTED_ARRAY = "predicted_barrier"
"""Per-atom array of predictions (eV) in extended XYZ; barriers that were in the file stay beside it as ``barrier``."""


def write_predictions(glasses: Mapping[str, Glass], barriers: Mapping[str, FloatArray], path: Path) -> Path:
    """Write barriers (eV) as ``.csv`` (a row an atom), ``.json``, or ``.extxyz`` (a frame a glass; OVITO opens it).

    Parameters
    ----------
    glasses, barriers
        By label, which is the name of the file that a glass came from.

    Raises
    ------
    InputError
        If the suffix is another.
    """
    require_known_suffix(path)
    return write_atomically(path, _WRITERS[path.suffix](glasses, barriers).encode())


def require_known_suffix(path: Path) -> None:
    """Raise InputError unless :func:`write_predictions` can write to ``path``."""
    if path.suffix not in _WRITERS:
        raise InputError(
            f"{path} has the suffix {path.suffix!r}, but predictions are written as {', '.join(_WRITERS)}: "
            "choose one of these."
        )


def _as_csv(glasses: Mapping[str, Glass], barriers: Mapping[str, FloatArray]) -> str:
    tables = [
        pd.DataFrame(
            {
                "file": label,
                "atom": range(len(glass)),
                "species": glass.symbols,
                **dict(zip("xyz", glass.positions.T, strict=True)),
                "barrier_eV": barriers[label],
            }
        )
        for label, glass in glasses.items()
    ]
    return str(pd.concat(tables).to_csv(index=False, float_format="%.6f"))


def _as_json(glasses: Mapping[str, Glass], barriers: Mapping[str, FloatArray]) -> str:
    predictions = [
        {
            "file": label,
            "content_sha256": glass.content_hash,
            "species": glass.symbols,
            "positions_angstrom": glass.positions.tolist(),
            "cell_angstrom": glass.cell.tolist(),
            "barrier_eV": barriers[label].tolist(),
        }
        for label, glass in glasses.items()
    ]
    return json.dumps({"predictions": predictions}, ensure_ascii=False)


def _as_extxyz(glasses: Mapping[str, Glass], barriers: Mapping[str, FloatArray]) -> str:
    from ase.io import write

    frames = [glass.with_arrays(**{PREDICTED_ARRAY: barriers[label]}).to_ase() for label, glass in glasses.items()]
    text = io.StringIO()
    write(text, frames, format="extxyz")
    return text.getvalue()


_WRITERS: dict[str, Callable[[Mapping[str, Glass], Mapping[str, FloatArray]], str]] = {
    ".csv": _as_csv,
    ".json": _as_json,
    ".extxyz": _as_extxyz,
}
