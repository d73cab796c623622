"""Computed barriers as files: a table, all that is known of each saddle, and a structure to look at."""

from __future__ import annotations

import io
import json
from pathlib import Path

from symgnn_explain.runs.files import write_atomically
from symgnn_explain.saddles.many import BarrierSet
from symgnn_explain.structure.datasets import with_computed_barriers
from symgnn_explain.structure.glass import Glass


def write_barriers(barriers: BarrierSet, glass: Glass, folder: Path) -> list[Path]:
    """Write ``barriers.csv``, a row an atom; ``barriers.json``, with every saddle; ``barriers.extxyz``, for OVITO."""
    from ase.io import write

    structure = io.StringIO()
    write(structure, with_computed_barriers(glass, barriers.to_frame()).to_ase(), format="extxyz")
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
