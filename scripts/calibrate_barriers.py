"""Compare barriers that saddle searches find with the published ones, on random atoms of the training glasses.

Run (about a minute of one core an atom; a run that was stopped continues from its records)::

    SYMGNN_EXPLAIN_POTENTIAL=CuZr_MendelevKramerOtt_2009.eam.fs \
        python scripts/calibrate_barriers.py --atoms 40 --seed 1 --searches 20 --out out/validation

With ``--local-sampling`` the cheap baseline by molecular dynamics is compared instead, on the same atoms (some
seconds an atom; nothing is recorded). Settings were chosen on atoms drawn with seed 0; agreement is reported on atoms
drawn with other seeds. Atoms are drawn evenly from the training glasses, without train1, which is train0 with other
labels; no atom drawn with seed 0 is drawn with another seed. The published glasses are downloaded, or found in the
folder named in SYMGNN_EXPLAIN_DATA.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
from _local_sampling import SamplingSettings, sample_locally

from symgnn_explain import datasets
from symgnn_explain.cli.options import parsed_settings
from symgnn_explain.errors import InputError
from symgnn_explain.export import write_figure, write_table
from symgnn_explain.plotting import computed_barrier_figure
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.many import compute_barriers
from symgnn_explain.saddles.potentials import find_potential
from symgnn_explain.saddles.saddles import at_minimum
from symgnn_explain.saddles.settings import SearchSettings
from symgnn_explain.structure.glass import Glass

GLASSES = ("train0", "train2", "train3", "train4", "train5", "train6")
CALIBRATION_SEED = 0
MOST_CALIBRATION_ATOMS = 20
"""A glass: what calibration may draw, and validation may not."""


def drawn(count: int, seed: int, glasses: dict[str, Glass]) -> list[tuple[str, int]]:
    """Return glass and number of random atoms, the glasses in turn."""
    atoms = {}
    for place, (name, glass) in enumerate(glasses.items()):
        order = np.random.default_rng([CALIBRATION_SEED, place]).permutation(len(glass))
        if seed != CALIBRATION_SEED:
            order = np.random.default_rng([seed, place]).permutation(order[MOST_CALIBRATION_ATOMS:])
        atoms[name] = order
    names = list(glasses)
    return [
        (names[turn % len(names)], int(atoms[names[turn % len(names)]][turn // len(names)])) for turn in range(count)
    ]


def agreement(table: pd.DataFrame) -> dict[str, float]:
    """Return Pearson r, mean offset and root mean square difference without it, over atoms that have a barrier."""
    known = table.dropna(subset=["barrier_eV"])
    difference = known["barrier_eV"] - known["published_eV"]
    report = {
        "atoms": len(known),
        "atoms_without_barrier": len(table) - len(known),
        "pearson_r": float(known["barrier_eV"].corr(known["published_eV"])) if len(known) > 2 else float("nan"),
        "mean_offset_eV": float(difference.mean()),
        "rms_without_offset_eV": float(difference.std(ddof=0)),
        "cpu_s_per_atom": float(table["seconds"].mean()),
    }
    if "saddles" in table:
        report |= {
            "mean_saddles": float(known["saddles"].mean()),
            "mean_standard_error_eV": float(known["standard_error_eV"].mean()),
            "cpu_s_per_saddle": float(table["seconds"].sum() / max(table["saddles"].sum(), 1)),
        }
    return report


Row = tuple[dict[str, Any], Counter[str]]
"""A row of the table, and how the searches ended."""


def by_saddles(glass: Glass, calculator: EamCalculator, atom: int, runs: dict[Path, SearchSettings]) -> Row:
    """Search for saddle points around an atom, unless its records are there; each run in its folder, with its seed."""
    computed = [
        compute_barriers(glass, calculator, [atom], settings=settings, out=records)
        for records, settings in runs.items()
    ]
    same_saddle = next(iter(runs.values())).same_saddle
    found = reduce(lambda known, more: known.with_more(more, same_saddle), (run[0] for run in computed))
    print(found)
    return found.to_row() | {"seconds": sum(run.seconds()[atom] for run in computed)}, Counter(found.outcomes)


def by_sampling(glass: Glass, calculator: EamCalculator, atom: int, settings: SamplingSettings) -> Row:
    """Heat an atom until the structure changes, several times."""
    started = time.process_time()
    sampled = sample_locally(at_minimum(glass, calculator), calculator, atom, settings)
    row = {
        "atom": atom,
        "barrier_eV": np.nan if sampled.mean is None else sampled.mean,
        "mean_temperature_K": sampled.temperatures.mean() if len(sampled.temperatures) else np.nan,
        "seconds": time.process_time() - started,
    }
    changes = len(sampled.energy_changes)
    print(f"atom {atom}: {row['barrier_eV']:.3f} eV from {changes} changes in {sampled.pulses} pulses")
    return row, Counter({"changed": changes, "nothing changed": sampled.pulses - changes})


def main() -> None:
    """Compute, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atoms", type=int, default=40)
    parser.add_argument("--seed", type=int, default=CALIBRATION_SEED, help="of the choice of atoms")
    parser.add_argument("--searches", type=int, default=10, help="in each run")
    parser.add_argument(
        "--runs", type=int, default=1, help="with seeds 0, 1, …: a further one adds searches to the others"
    )
    parser.add_argument(
        "--local-sampling", action="store_true", help="compare the baseline by molecular dynamics instead"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the searches")
    parser.add_argument("--potential", type=Path, help="the eam.fs file; found as symgnn-explain barriers finds it")
    parser.add_argument("--out", type=Path, required=True, help="folder for records, table and summary")
    parser.add_argument("--figure", type=Path, help="picture of computed against published barriers")
    arguments = parser.parse_args()
    kind = SamplingSettings if arguments.local_sampling else SearchSettings
    chosen = {} if arguments.local_sampling else {"searches": arguments.searches}
    settings = kind(**chosen | parsed_settings(get_type_hints(kind), arguments.set))
    calculator = EamCalculator(find_potential(arguments.potential))
    glasses = dict(zip(GLASSES, datasets.load_published(GLASSES), strict=True))
    rows, outcomes = [], Counter[str]()
    for name, atom in drawn(arguments.atoms, arguments.seed, glasses):
        glass = glasses[name]
        if glass.barriers is None:
            raise InputError(f"{name} holds no barriers to compare with.")
        if isinstance(settings, SearchSettings):
            # The folder of the first seed bears the glass's name alone.
            runs = {
                arguments.out / (f"{name}-seed{seed}" if seed else name): replace(settings, seed=seed)
                for seed in range(arguments.runs)
            }
            row, ended = by_saddles(glass, calculator, atom, runs)
        else:
            row, ended = by_sampling(glass, calculator, atom, settings)
        outcomes.update(ended)
        rows.append({"glass": name, **row, "published_eV": glass.barriers[atom]})
        table = pd.DataFrame(rows)
        report = {
            "settings": asdict(settings),
            "runs": arguments.runs,
            "seed_of_atoms": arguments.seed,
            "outcomes": dict(outcomes),
        }
        report |= agreement(table)
        write_table(table, arguments.out / "atoms.csv", overwrite=True)
        write_atomically(arguments.out / "summary.json", json.dumps(report, indent=1).encode() + b"\n")
        print(
            f"{len(rows)}/{arguments.atoms} {name}, published {rows[-1]['published_eV']:.3f}; "
            f"r {report['pearson_r']:.3f}, offset {report['mean_offset_eV']:+.3f}",
            flush=True,
        )
    if arguments.figure is not None:
        figure = computed_barrier_figure(pd.DataFrame(rows), "published_eV", named="published barrier")
        write_figure(figure, arguments.figure, overwrite=True)


if __name__ == "__main__":
    main()
