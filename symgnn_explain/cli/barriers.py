"""The verb ``barriers``."""

from __future__ import annotations

import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symgnn_explain.cli.inputs import parsed_settings, read
from symgnn_explain.cli.options import (
    File,
    FormatOption,
    FrameOption,
    PotentialOption,
    SeedOption,
    SettingsOption,
    SpeciesOption,
)
from symgnn_explain.cli.output import population_bar, require_writable
from symgnn_explain.cli.populations import AtomsOption, OutOption, SchedulerOption, WorkersOption, cluster

if TYPE_CHECKING:
    from symgnn_explain.saddles import BarrierSet
    from symgnn_explain.structure.glass import Glass

RECORDS = "records"
"""Folder of the records in that of the results."""


def barriers(
    file: File,
    *,
    atoms: AtomsOption,
    out: OutOption,
    searches: Annotated[
        int, typer.Option("--searches", metavar="N", help="Saddle searches from each atom; some four in ten find one.")
    ] = 10,
    potential: PotentialOption = None,
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    frame: FrameOption = -1,
) -> None:
    """Compute atoms' energy barriers from first principles: saddle points by activation and relaxation.

    An atom's barrier is the mean over the distinct saddle points, connected to the structure as it is, that random
    pushes of the atom and its neighbours lead to. Writes barriers.csv, barriers.json (every saddle with its
    displacements) and barriers.extxyz into DIR, and a record an atom into DIR/records. They compare with what a network
    predicts only if that is barriers.
    """
    require_writable(out)
    glass = read(file, species, frame, format_name)
    from symgnn_explain.saddles import BarrierError, EamCalculator, SearchSettings, compute_barriers, find_potential
    from symgnn_explain.structure.selection import select_atoms

    changed = parsed_settings(typing.get_type_hints(SearchSettings), settings or [])
    chosen = SearchSettings(**{"searches": searches, "seed": seed, **changed})
    calculator = EamCalculator(find_potential(potential))
    wanted = select_atoms(glass, atoms, seed=seed).tolist()
    records = out / RECORDS
    try:
        with cluster(scheduler) as client, population_bar(f"Saddles around {len(wanted)} atoms") as advance:
            computed = compute_barriers(
                glass,
                calculator,
                wanted,
                settings=chosen,
                out=records,
                workers=workers,
                client=client,
                progress=advance,
            )
    except BarrierError as error:
        if error.barriers:
            _write(error.barriers, glass, out)
        raise
    except KeyboardInterrupt:
        count = len(list(records.glob("atom-*.npz")))
        print(f"{count} records are in {records}; the same command continues.", file=sys.stderr)
        raise
    _write(computed, glass, out)


def _write(computed: BarrierSet, glass: Glass, out: Path) -> None:
    from symgnn_explain.saddles.tables import write_barriers

    written = write_barriers(computed, glass, out)
    for barrier in computed:
        print(barrier)
    print(f"Wrote {', '.join(path.name for path in written)} into {out}")
