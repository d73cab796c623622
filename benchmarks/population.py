"""Seconds an atom to explain a population, with one process and with several, and that the results are the same.

The time an atom runs from the first atom that is done to the last
one, so that it is free of how long workers take to start, which stands beside it. Run
``python benchmarks/population.py``.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from _common import argument_parser, machine, write_json

from symgnn_explain import datasets
from symgnn_explain.explain import DEFAULT_METHOD, PopulationProgress, explain_many, prepare
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.memory import reuse_large_allocations
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.selection import select_atoms


def run(atoms: list[int], out: Path, *, workers: int, **given: Any) -> dict[str, float]:
    """Explain the atoms once, and time it."""
    ends: list[float] = []
    started = time.perf_counter()

    def note(progress: PopulationProgress) -> None:
        if progress.done > len(ends):
            ends.append(time.perf_counter())

    explain_many(atoms=atoms, out=out, workers=workers, progress=note, **given)
    finished = time.perf_counter()
    explain_many(atoms=atoms, out=out, workers=workers, **given)
    # The first of several workers is followed at once by the others, which share its time.
    measured = len(ends) - workers
    return {
        "workers": workers,
        "seconds_an_atom": (ends[-1] - ends[workers - 1]) / measured,
        "seconds_to_first": ends[0] - started,
        "seconds_in_all": finished - started,
        "seconds_to_find_all_done": time.perf_counter() - finished,
    }


def records_in(folder: Path) -> dict[str, bytes]:
    """Return the records and the manifest."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "seconds.csv"}


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=1)
    parser.add_argument("--atoms", type=int, default=40)
    parser.add_argument("--method", default=DEFAULT_METHOD)
    parser.add_argument("--epochs", type=int, default=0, help="of methods that learn a mask; 0: their own")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    if arguments.atoms <= max(arguments.workers):
        parser.error("--atoms must be more than the workers.")
    reuse_large_allocations()
    glass, predictor = datasets.sample(), Predictor.load(device="cpu")
    with one_thread():
        prepared = prepare(predictor, glass)
    atoms = select_atoms(glass, f"central:{arguments.atoms}").tolist()
    settings = {"epochs": arguments.epochs} if arguments.epochs else {}
    given = {"predictor": predictor, "glass": glass, "method": arguments.method, "prepared": prepared, **settings}
    rows = []
    print(f"{'workers':>8} {'an atom':>9} {'first':>9} {'in all':>9} {'re-run':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        outs: list[Path] = []
        # Rounds are interleaved, so that what else the machine does falls on all alike.
        for number in range(arguments.rounds):
            for workers in arguments.workers:
                outs.append(Path(scratch) / f"{number}-{workers}")
                row = run(atoms, outs[-1], workers=workers, **given)
                rows.append(row)
                shown = ("seconds_an_atom", "seconds_to_first", "seconds_in_all", "seconds_to_find_all_done")
                print(f"{workers:8d}" + "".join(f" {row[key]:7.2f} s" for key in shown))
        first = records_in(outs[0])
        identical = all(records_in(out) == first for out in outs[1:])
        size = sum(len(blob) for name, blob in first.items() if name.startswith("atom-")) / len(atoms)
    fastest = {
        workers: min(row["seconds_an_atom"] for row in rows if row["workers"] == workers)
        for workers in arguments.workers
    }
    print(f"{arguments.atoms} atoms, {arguments.method}, {settings}; {size / 1e6:.2f} MB a record; {machine()}")
    print(f"bytes of all runs are {'the same' if identical else 'NOT the same'}")
    figures = {
        "machine": machine(),
        "cpus": os.cpu_count(),
        "atoms": arguments.atoms,
        "method": arguments.method,
        "settings": settings,
        "seconds_an_atom": {str(workers): seconds for workers, seconds in fastest.items()},
        "bytes_a_record": size,
        "identical_bytes": identical,
        "rows": rows,
    }
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
