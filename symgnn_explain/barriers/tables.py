"""Computed barriers as files: a table, all that is known of each saddle, and a structure to look at."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from symgnn_explain.barriers.many import BarrierSet
from symgnn_explain.files import write_atomically
from symgnn_explain.glass import Glass

COMPUTED_ARRAY, ERROR_ARRAY, COUNT_ARRAY = "computed_barrier", "computed_barrier_error", "computed_saddles"
"""Per-atom arrays: barrier and standard error, eV, NaN where they are not known; number of saddles, 0 likewise."""


def with_computed_barriers(glass: Glass, barriers: BarrierSet) -> Glass:
    """Return the glass with the computed barriers as per-atom arrays."""
    values, errors = (np.full(len(glass), np.nan) for _ in range(2))
    counts = np.zeros(len(glass), dtype=np.int64)
    for barrier in barriers:
        values[barrier.atom] = np.nan if barrier.mean is None else barrier.mean
        errors[barrier.atom] = np.nan if barrier.standard_error is None else barrier.standard_error
        counts[barrier.atom] = len(barrier.saddles)
    return glass.with_arrays(**{COMPUTED_ARRAY: values, ERROR_ARRAY: errors, COUNT_ARRAY: counts})


def write_barriers(barriers: BarrierSet, glass: Glass, folder: Path) -> list[Path]:
    """Write ``barriers.csv``, a row an atom; ``barriers.json``, with every saddle; ``barriers.extxyz``, for OVITO."""
    from ase.io import write

    structure = io.StringIO()
    write(structure, with_computed_barriers(glass, barriers).to_ase(), format="extxyz")
    content = {
        "run": dict(barriers.manifest),
        "atoms": [
            {"barrier_eV": barrier.mean, "standard_error_eV": barrier.standard_error, **barrier.to_dict()}
            for barrier in barriers
        ],
    }
    texts = {
        "barriers.csv": barriers.to_frame().to_csv(index=False, float_format="%.6f"),
        "barriers.json": json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n",
        "barriers.extxyz": structure.getvalue(),
    }
    return [write_atomically(folder / name, text.encode()) for name, text in texts.items()]
