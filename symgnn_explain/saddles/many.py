"""The barriers of many atoms of one glass: here, in worker processes or on a Dask cluster; resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from symgnn_explain.errors import InputError
from symgnn_explain.runs.failures import SomeAtomsError, raise_failures
from symgnn_explain.runs.files import staged, write_atomically
from symgnn_explain.runs.parallel import Report
from symgnn_explain.runs.progress import PopulationProgress
from symgnn_explain.runs.record_format import pack
from symgnn_explain.runs.records import (
    Manifest,
    RecordFolder,
    Records,
    compute_missing,
    content_of,
    plain_manifest,
    run_of,
)
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.saddles.atom_barrier import AtomBarrier
from symgnn_explain.saddles.calculator import Calculator
from symgnn_explain.saddles.saddles import at_minimum, search_saddles
from symgnn_explain.saddles.settings import SearchSettings
from symgnn_explain.structure.datasets import with_computed_barriers
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_explain.structure.selection import require_atoms, select_atoms

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

RECORDS = "barriers"  # what records of barriers are called in messages
STRUCTURE = "barriers.extxyz"


class BarrierError(SomeAtomsError):
    """Some atoms' barriers could not be computed; the others, if any, are kept."""

    @property
    def barriers(self) -> BarrierSet:
        """Those of the other atoms."""
        kept: BarrierSet = self.kept
        return kept


class BarrierSet(Sequence[AtomBarrier]):
    """The barriers of some atoms, each read when it is asked for.

    Parameters
    ----------
    records
        Where they are.
    atoms
        Which, in this order.
    """

    def __init__(self, records: Records, atoms: Sequence[int]) -> None:
        self._records, self.atoms = records, tuple(atoms)

    @classmethod
    def open(cls, folder: str | Path) -> BarrierSet:
        """Open what a run left in a folder; raises InputError where that is nothing."""
        records = RecordFolder(Path(folder), what=RECORDS)
        return cls(records, [atom for atom in records.atoms() if records.holds(atom)])

    def of(self, atoms: Sequence[int]) -> BarrierSet:
        """Return those of some atoms, in the order given; raises InputError where one of them is not there."""
        missing = sorted(set(atoms) - set(self.atoms))
        if missing:
            raise InputError(f"{len(missing)} atoms have no barriers here, such as {missing[0]}: compute them first.")
        return BarrierSet(self._records, atoms)

    @property
    def manifest(self) -> Manifest:
        """What they are of: glass, potential, settings."""
        return self._records.manifest

    def seconds(self) -> Mapping[int, float]:
        """Return the processor time (s) that each atom took, where that is known."""
        return self._records.seconds()

    def __repr__(self) -> str:
        return f"BarrierSet({len(self.atoms)} atoms)"

    def __len__(self) -> int:
        return len(self.atoms)

    def __getitem__(self, place: int) -> AtomBarrier:  # type: ignore[override]
        return AtomBarrier.from_dict(content_of(self._records.read(self.atoms[place])))

    def __iter__(self) -> Iterator[AtomBarrier]:
        return (self[place] for place in range(len(self)))

    def to_frame(self) -> pd.DataFrame:
        """One row an atom: barrier and standard error (eV), numbers of saddles and searches, every saddle's barrier."""
        import pandas as pd

        return pd.DataFrame([barrier.to_row() for barrier in self])


@dataclass(frozen=True)
class _Job:
    """What every atom's task needs; sent once to each worker."""

    glass: Glass
    calculator: Calculator
    settings: SearchSettings
    run: str


def compute_barriers(
    glass: Glass,
    calculator: Calculator,
    atoms: Sequence[int] | str,
    *,
    settings: SearchSettings | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    client: Client | None = None,
    progress: Callable[[PopulationProgress], None] | None = None,
    cancel: CancelSignal | None = None,
) -> BarrierSet:
    """Compute the barriers of some atoms; each depends on the glass, the potential, the settings and the atom alone.

    Parameters
    ----------
    glass
        The structure; it is brought to the nearest minimum of the potential first.
    calculator
        The potential.
    atoms
        Numbers of atoms, or words for :func:`symgnn_explain.structure.selection.select_atoms`, such as ``random:20``.
    settings
        Of the searches.
    out
        Folder for one record an atom. What is there is not computed again, so a run that was stopped continues.
    workers
        Processes, with one thread each.
    client
        Of a Dask cluster, to compute on instead.
    progress
        Called with the fraction done, which also knows the atoms done and the time left.
    cancel
        Anything with ``is_set()``; once set, the run stops with ``Cancelled``. Records in ``out`` are kept.

    Raises
    ------
    InputError
        If something that was given cannot be used, or ``out`` holds barriers of another glass, potential or settings.
    BarrierError
        If some atoms failed, after all others were computed; it is an InputError.
    Cancelled
        If ``cancel`` was set.
    """
    settings = settings or SearchSettings()
    wanted = (select_atoms(glass, atoms) if isinstance(atoms, str) else require_atoms(glass, atoms)).tolist()
    manifest = plain_manifest(
        glass={"sha256": glass.content_hash, "name": glass.name, "n_atoms": len(glass)},
        potential=calculator.identity,
        settings=asdict(settings),
        version_of_symgnn_explain=version("symgnn_explain"),
    )
    records = Records(manifest) if out is None else RecordFolder(Path(out), manifest, what=RECORDS)
    errors = compute_missing(
        _compute,
        lambda: _Job(at_minimum(glass, calculator), calculator, settings, run_of(manifest)),
        records,
        wanted,
        workers=workers,
        client=client,
        progress=progress,
        cancel=cancel,
    )
    if errors:
        kept = BarrierSet(records, [atom for atom in wanted if atom not in errors])
        raise_failures(BarrierError, "the barriers of {}", "could not be computed", errors, kept)
    return BarrierSet(records, wanted)


def _compute(job: _Job, atoms: tuple[int, ...], report: Report) -> list[tuple[int, bytes, float]]:
    """Return number, record, and seconds of processor time of each atom."""
    found = []
    for atom in atoms:
        started = time.process_time()
        barrier = search_saddles(job.glass, job.calculator, atom, job.settings, report)
        found.append((atom, pack(job.run, barrier.to_dict()), time.process_time() - started))
    return found


def write_all_barriers(records: Path, glass: Glass, folder: Path) -> tuple[BarrierSet, list[Path]]:
    """Write all barriers that a folder of records holds as :func:`write_barriers` does; return them, and the files.

    Atoms are in ascending order, whichever runs they come from. Another run may add records meanwhile and write the
    same files: whoever writes last looks again, so they hold all of them in the end.
    """
    found = None
    while found is None or found.atoms != BarrierSet.open(records).atoms:
        found = BarrierSet.open(records)
        written = write_barriers(found, glass, folder)
    return found, written


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
