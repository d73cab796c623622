"""Relaxation of the frames of a trajectory: a file a frame, so that what was interrupted continues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.records import claim, plain_manifest
from symgnn_explain.runs.tables import csv_text
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles.calculator import Calculator
from symgnn_explain.saddles.inherent import LARGEST_FORCE, RELAXED_FROM, RelaxationSettings, relax
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_explain.structure.matching import displacements_between

MANIFEST, ALL_FRAMES, TABLE = "relaxation.json", "relaxed.extxyz", "relaxation.csv"


class RelaxedFrame(NamedTuple):
    """A structure of a trajectory, relaxed: the number of the frame, the structure, and how far it went, as a row."""

    number: int
    glass: Glass
    row: dict[str, Any]


def relaxed_frames(
    frames: Iterable[tuple[int, Glass]],
    calculator: Calculator,
    out: str | Path,
    settings: RelaxationSettings | None = None,
    watch: Watch | None = None,
) -> Iterator[RelaxedFrame]:
    """Relax structures one after another into a folder; frames that are there already are not relaxed again.

    Each frame is written as soon as it is relaxed (``frame-00000.extxyz``), and none is kept in memory.

    Parameters
    ----------
    frames
        Number and structure of each.
    calculator
        The potential.
    out
        The folder.
    settings, watch
        As for :func:`~symgnn_explain.saddles.inherent.relax`; the watch is told the fraction of each frame anew.

    Yields
    ------
    RelaxedFrame
        As it is read from the folder.

    Raises
    ------
    InputError
        If the folder holds frames of another trajectory, potential or settings, or a frame cannot be relaxed: those
        before it are kept.
    Cancelled
        If the watch was cancelled.
    """
    settings, watch, out = settings or RelaxationSettings(), watch or Watch(), Path(out)
    manifest = plain_manifest(
        potential=calculator.identity,
        settings=asdict(settings),
        version_of_symgnn_explain=version("symgnn_explain"),
    )
    if (out / MANIFEST).exists():
        claim(out / MANIFEST, manifest, "relaxed structures")  # before anything is computed
    for number, glass in frames:
        path = out / f"frame-{number:05d}.extxyz"
        if not path.exists():
            relaxed = relax(glass, calculator, settings, watch)
            claim(out / MANIFEST, manifest, "relaxed structures")
            write_extended_xyz([relaxed], path)
        found = read_glass(path)
        if found.provenance.get(RELAXED_FROM) != glass.content_hash:
            raise InputError(f"{path} was relaxed from another structure than frame {number}: choose another folder.")
        watch.advance(1.0)
        moved = np.linalg.norm(displacements_between(glass, found), axis=1)
        yield RelaxedFrame(
            number,
            replace(found, name=glass.name),
            {
                "frame": number,
                "mean_displacement_angstrom": float(moved.mean()),
                "largest_displacement_angstrom": float(moved.max()),
                "largest_force_left_eV_per_angstrom": float(found.provenance.get(LARGEST_FORCE, "nan").split()[0]),
                "volume_change": found.volume / glass.volume - 1,
            },
        )


def relax_frames(
    frames: Iterable[tuple[int, Glass]],
    calculator: Calculator,
    out: str | Path,
    settings: RelaxationSettings | None = None,
    watch: Watch | None = None,
) -> int:
    """Relax structures as :func:`relaxed_frames` does, and return how many.

    At the end ``relaxed.extxyz`` holds all of them and ``relaxation.csv`` how far their atoms moved, without what a
    free cell does to all of them alike.
    """
    import pandas as pd

    rows = []

    def done() -> Iterator[Glass]:
        for each in relaxed_frames(frames, calculator, out, settings, watch):
            rows.append(each.row)
            yield each.glass

    out = Path(out)
    write_extended_xyz(done(), out / ALL_FRAMES)
    write_atomically(out / TABLE, csv_text(pd.DataFrame(rows), float_format="%.6g").encode())
    return len(rows)
