"""The verb ``barriers``."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symgnn_explain.cli.options import (
    File,
    Many,
    PotentialOption,
    Reading,
    SeedOption,
    SettingsOption,
    grouped,
    parsed_settings,
)
from symgnn_explain.cli.output import require_writable
from symgnn_explain.runs.names import one_line_name

if TYPE_CHECKING:
    from symgnn_explain.saddles import BarrierSet
    from symgnn_explain.structure.glass import Glass

RECORDS = "records"  # folder of the records in that of the results


@grouped
def barriers(
    file: File,
    *,
    many: Many,
    searches: Annotated[
        int, typer.Option(metavar="N", help="Saddle searches from each atom; some four in ten find one.")
    ] = 10,
    potential: PotentialOption = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    reading: Reading,
) -> None:
    """Compute atoms' energy barriers from an interatomic potential: saddle points by activation and relaxation.

    An atom's barrier is the mean over the distinct saddle points, connected to the structure as it is, that random
    pushes of the atom and its neighbours lead to. Writes barriers.csv, barriers.json (every saddle with its
    displacements) and barriers.extxyz into DIR, and a record an atom into DIR/records. Further atoms may be added by
    further runs of the same settings, also at the same time: the files hold all that is recorded. They compare with
    what a network predicts only if that is barriers.
    """
    require_writable(many.out)
    glass = reading.glass(file)
    from symgnn_explain.models.target import BARRIER
    from symgnn_explain.saddles import BarrierError, EamCalculator, SearchSettings, compute_barriers, find_potential
    from symgnn_explain.structure.selection import select_atoms

    changed = parsed_settings(typing.get_type_hints(SearchSettings), settings or [])
    chosen = SearchSettings(**{"searches": searches, "seed": seed, **changed})
    calculator = EamCalculator(find_potential(potential))
    predicted = glass.arrays.get(BARRIER.predicted_array)  # what predict has written
    wanted = select_atoms(glass, many.atoms, predictions=predicted, seed=seed).tolist()
    try:
        with many.working(f"Saddles around {len(wanted)} atoms", many.out / RECORDS) as shared:
            computed = compute_barriers(glass, calculator, wanted, settings=chosen, **shared)
    except BarrierError as error:
        if error.barriers:
            _write(error.barriers, glass, many.out)
        raise
    _write(computed, glass, many.out)


def _write(computed: BarrierSet, glass: Glass, out: Path) -> None:
    from symgnn_explain.saddles.many import write_all_barriers

    recorded, written = write_all_barriers(out / RECORDS, glass, out)
    for barrier in computed:
        print(barrier)
    more = f", with {len(recorded) - len(computed)} atoms of other runs" if len(recorded) > len(computed) else ""
    print(f"Wrote {', '.join(path.name for path in written)} into {one_line_name(out)}{more}")
