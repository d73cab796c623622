"""Computed barriers as files: a table, all that is known of each saddle, and a structure to look at."""

from __future__ import annotations

import json
from pathlib import Path

from symgnn_explain.runs.files import staged, write_atomically
from symgnn_explain.saddles.many import BarrierSet
from symgnn_explain.structure.datasets import with_computed_barriers
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.writing import write_extended_xyz

STRUCTURE = "barriers.extxyz"


def write_barriers(barriers: BarrierSet, glass: Glass, folder: Path) -> list[Path]:
    """Write ``barriers.csv``, a row an atom; ``barriers.json``, with every saddle; ``barriers.extxyz``, for OVITO."""
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
    }
    with staged(folder) as staging:
        for name, text in texts.items():
            write_atomically(staging / name, text.encode())
        write_extended_xyz([with_computed_barriers(glass, barriers.to_frame())], staging / STRUCTURE)
    return [folder / name for name in (*texts, STRUCTURE)]
