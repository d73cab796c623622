"""The verb ``relax``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from symgnn_explain.cli.options import File, Framed, PotentialOption, grouped
from symgnn_explain.cli.output import progress_bar, require_writable
from symgnn_explain.runs.names import one_line_name


@grouped
def relax(
    file: File,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", show_default=False, help="Folder; what is there already continues.")
    ],
    potential: PotentialOption = None,
    free_cell: Annotated[bool, typer.Option("--free-cell", help="Let the cell change too, to zero stress.")] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="F", help="Largest force at the end, eV/Å.")
    ] = 1e-3,
    reading: Framed,
) -> None:
    """Relax a structure, or the frames of a trajectory (all, or those named), to the nearest minimum of the energy.

    Predictions are for such inherent structures. Writes relaxed.extxyz (all frames), relaxation.csv (how far atoms
    moved) and a file a frame into DIR; the same command continues where it was interrupted.
    """
    require_writable(out)
    frames = reading.frames_of(file, otherwise=":")
    from symgnn_explain.runs.watch import Watch
    from symgnn_explain.saddles import EamCalculator, find_potential
    from symgnn_explain.saddles.inherent import RelaxationSettings
    from symgnn_explain.saddles.relaxed_frames import ALL_FRAMES, relax_frames

    settings = RelaxationSettings(tolerance=tolerance, free_cell=free_cell)
    calculator = EamCalculator(find_potential(potential))
    try:
        with progress_bar("Relaxing") as advance:
            count = relax_frames(frames, calculator, out, settings, Watch(advance))
    except KeyboardInterrupt:
        print(f"Frames that are done are in {one_line_name(out)}; the same command continues.", file=sys.stderr)
        raise
    print(f"Wrote {count} relaxed structure{'s' * (count > 1)} into {one_line_name(out / ALL_FRAMES)}")
