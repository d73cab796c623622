"""Compare barriers computed from first principles with the published ones, on random atoms of the training glasses.

Run (about a minute of one core an atom; a run that was stopped continues from its records)::

    SYMGNN_EXPLAIN_POTENTIAL=CuZr_MendelevKramerOtt_2009.eam.fs \
        python scripts/calibrate_barriers.py --atoms 40 --seed 1 --searches 20 --out out/validation

Settings were chosen on atoms drawn with seed 0; agreement is reported on atoms drawn with other seeds. Atoms are drawn
evenly from the training glasses, without train1, which is train0 with other labels; no atom drawn with seed 0 is drawn
with another seed. The published glasses are downloaded, or found in the folder named in SYMGNN_EXPLAIN_DATA.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pandas as pd

from symgnn_explain import datasets
from symgnn_explain.barriers.eam import EamCalculator
from symgnn_explain.barriers.many import compute_barriers
from symgnn_explain.barriers.potentials import find_potential
from symgnn_explain.barriers.settings import SearchSettings
from symgnn_explain.cli.inputs import parsed_settings
from symgnn_explain.errors import InputError
from symgnn_explain.export import write_table
from symgnn_explain.files import write_atomically
from symgnn_explain.glass import Glass

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
    return {
        "atoms": len(known),
        "atoms_without_saddle": len(table) - len(known),
        "pearson_r": float(known["barrier_eV"].corr(known["published_eV"])) if len(known) > 2 else float("nan"),
        "mean_offset_eV": float(difference.mean()),
        "rms_without_offset_eV": float(difference.std(ddof=0)),
        "mean_saddles": float(known["saddles"].mean()),
        "mean_standard_error_eV": float(known["standard_error_eV"].mean()),
        "cpu_s_per_saddle": float(table["seconds"].sum() / max(table["saddles"].sum(), 1)),
    }


def main() -> None:
    """Compute, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atoms", type=int, default=40)
    parser.add_argument("--seed", type=int, default=CALIBRATION_SEED, help="of the choice of atoms")
    parser.add_argument("--searches", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the searches")
    parser.add_argument("--potential", type=Path, help="the eam.fs file; found as symgnn-explain barriers finds it")
    parser.add_argument("--out", type=Path, required=True, help="folder for records, table and summary")
    arguments = parser.parse_args()
    changed = parsed_settings(get_type_hints(SearchSettings), arguments.set)
    settings = SearchSettings(**{"searches": arguments.searches, **changed})
    calculator = EamCalculator(find_potential(arguments.potential))
    glasses = dict(zip(GLASSES, datasets.load_published(GLASSES), strict=True))
    rows, outcomes = [], Counter[str]()
    for name, atom in drawn(arguments.atoms, arguments.seed, glasses):
        found = compute_barriers(glasses[name], calculator, [atom], settings=settings, out=arguments.out / name)
        outcomes.update(found[0].outcomes)
        published = glasses[name].barriers
        if published is None:
            raise InputError(f"{name} holds no barriers to compare with.")
        row = found.to_frame().iloc[0].to_dict()
        rows.append({"glass": name, **row, "published_eV": published[atom], "seconds": found.seconds().get(atom)})
        table = pd.DataFrame(rows)
        report = {"settings": asdict(settings), "seed_of_atoms": arguments.seed, "outcomes": dict(outcomes)}
        report |= agreement(table)
        write_table(table, arguments.out / "atoms.csv", overwrite=True)
        write_atomically(arguments.out / "summary.json", json.dumps(report, indent=1).encode() + b"\n")
        print(
            f"{len(rows)}/{arguments.atoms} {name} {found[0]}, published {rows[-1]['published_eV']:.3f}; "
            f"r {report['pearson_r']:.3f}, offset {report['mean_offset_eV']:+.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
