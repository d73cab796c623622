"""Pack barriers computed for an embedded glass into the table that ships with it.

Run after ``symgnn-explain barriers``, whose seed draws the atoms and starts the searches::

    symgnn-explain barriers sample --atoms random:300 --searches 10 --seed 0 --out out/cu64zr36
    python scripts/pack_barriers.py cu64zr36 --records out/cu64zr36/records --seed 0

Random atoms come in an order that depends on the seed alone. Only those before the first that is missing are packed, so
that the table is a random sample of the glass wherever the run was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

from _packing import DATA, POTENTIAL

from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.saddles import BarrierSet
from symgnn_explain.structure.selection import select_atoms


def main() -> None:
    """Check, pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("composition", choices=datasets.SAMPLES)
    parser.add_argument("--records", type=Path, required=True, help="folder of the records")
    parser.add_argument("--seed", type=int, default=0, help="that drew the atoms")
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    glass = datasets.sample_structure(arguments.composition)
    computed = BarrierSet.open(arguments.records)
    if computed.manifest["glass"]["sha256"] != glass.content_hash:
        raise InputError(f"{arguments.records} holds barriers of another glass than {glass.name}.")
    there = set(computed.atoms)
    drawn = select_atoms(glass, f"random:{len(glass)}", seed=arguments.seed).tolist()
    packed = BarrierSet.open(arguments.records).of(list(takewhile(there.__contains__, drawn)))
    table = packed.to_frame()
    target = arguments.out / datasets.barrier_file(arguments.composition)
    text = table.to_csv(index=False, float_format="%.4f")
    target.write_text(text, encoding="utf-8")
    outcomes = Counter[str]()
    for barrier in packed:
        outcomes.update(barrier.outcomes)
    seconds = packed.seconds()
    card = {
        "file": target.name,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "made_by": "symgnn-explain barriers, scripts/pack_barriers.py",
        "meaning": "barrier_eV: mean over distinct connected saddles (barriers_eV); standard_error_eV: of that mean",
        "atoms": len(packed),
        "atoms_without_saddle": int(table["barrier_eV"].isna().sum()),
        "drawn": f"the first {len(packed)} of random:{len(glass)} with seed {arguments.seed}",
        "outcomes": dict(sorted(outcomes.items())),
        "saddles": int(table["saddles"].sum()),
        "processor_seconds": round(sum(seconds[atom] for atom in packed.atoms)),
        "potential": POTENTIAL,
        "run": dict(packed.manifest),
        "versions": {name: version(name) for name in ("symgnn_explain", "numba", "numpy")},
        "date": datetime.now(tz=UTC).date().isoformat(),
    }
    target.with_suffix(".json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{target}: {len(packed)} atoms, {card['saddles']} saddles, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
