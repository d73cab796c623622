r"""Pack a small alloy glass with the barriers that were computed for some of its atoms, to be learned from.

Run after the glass was made and its barriers computed::

    python scripts/make_alloy_glass.py --composition Cu=80,Zr=20 --seed 2 --potential F --work out/cu80 --out out
    symgnn-explain barriers out/cu80zr20_sample.extxyz.xz --potential F --atoms random:150 --searches 10 --seed 0 \
        --out out/cu80_barriers
    python scripts/pack_training_alloy.py cu80zr20 --glass out/cu80zr20_sample.extxyz.xz \
        --records out/cu80_barriers/records
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from _packing import DATA, pack, random_barriers

from symgnn_explain import datasets, read_glass

LEAST_SADDLES = 2
"""One saddle says little about a mean."""


def main() -> None:
    """Check, pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("composition", choices=datasets.TRAINING_ALLOYS)
    parser.add_argument("--glass", type=Path, required=True, help="the glass, with its card beside it")
    parser.add_argument("--records", type=Path, required=True, help="folder of the records")
    parser.add_argument("--seed", type=int, default=0, help="that drew the atoms")
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    glass = read_glass(arguments.glass)
    computed, how = random_barriers(arguments.records, glass, arguments.seed)
    made = json.loads(arguments.glass.with_name(arguments.glass.name.replace(".extxyz.xz", ".json")).read_text("utf-8"))
    table = computed.to_frame()
    labelled = datasets.with_computed_barriers(glass, table[table["saddles"] >= LEAST_SADDLES])
    arrays = dict(labelled.arrays)
    file = datasets.training_alloy_file(arguments.composition)
    name, barriers = file.removesuffix(".extxyz.xz"), arrays.pop(datasets.COMPUTED_ARRAY)
    kept = replace(labelled, name=name, provenance={}, barriers=barriers, arrays=arrays)
    made = {name: value for name, value in made.items() if name not in {"file", "sha256"}}
    pack(kept, arguments.out / file, {"glass": made, "barriers": {"least_saddles": LEAST_SADDLES, **how}})


if __name__ == "__main__":
    main()
