"""Pack barriers computed for an embedded glass into the table that ships with it.

Run after ``symgnn-explain barriers``, whose seed draws the atoms and starts the searches::

    symgnn-explain barriers sample --atoms random:300 --searches 10 --seed 0 --out out/cu64zr36
    python scripts/pack_barriers.py cu64zr36 --records out/cu64zr36/records --seed 0
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from _packing import DATA, random_barriers

from symgnn_explain import datasets


def main() -> None:
    """Check, pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("composition", choices=datasets.SAMPLES)
    parser.add_argument("--records", type=Path, required=True, help="folder of the records")
    parser.add_argument("--seed", type=int, default=0, help="that drew the atoms")
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    glass = datasets.sample_structure(arguments.composition)
    packed, how = random_barriers(arguments.records, glass, arguments.seed)
    target = arguments.out / datasets.barrier_file(arguments.composition)
    text = packed.to_frame().to_csv(index=False, float_format="%.4f")
    target.write_text(text, encoding="utf-8")
    card = {
        "file": target.name,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "made_by": "symgnn-explain barriers, scripts/pack_barriers.py",
        "meaning": "barrier_eV: mean over distinct connected saddles (barriers_eV); standard_error_eV: of that mean",
        **how,
    }
    target.with_suffix(".json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{target}: {len(packed)} atoms, {card['saddles']} saddles, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
