"""Make one of the embedded alloy glasses: melted and quenched with the library's own protocol, and packed.

Run (about ten minutes of one core for 1 000 atoms at 1e13 K/s; a run that was stopped continues)::

    python scripts/make_alloy_glass.py --composition Cu=80,Zr=20 --potential CuZr_MendelevKramerOtt_2009.eam.fs \
        --work out/cu80zr20
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from _packing import DATA, POTENTIAL, lammps_version, pack

from symgnn_explain import datasets
from symgnn_explain.saddles.melt_quench import QuenchSettings, melt_quench, quality


def parts(text: str) -> dict[str, float]:
    """Turn ``Cu=80,Zr=20`` into parts by chemical symbol."""
    return {symbol: float(part) for symbol, part in (entry.split("=") for entry in text.split(","))}


def main() -> None:
    """Quench, pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--composition", type=parts, required=True, help="parts by element, such as Cu=80,Zr=20")
    parser.add_argument("--potential", type=Path, required=True, help="CuZr_MendelevKramerOtt_2009.eam.fs")
    parser.add_argument("--atoms", type=int, default=1000)
    parser.add_argument("--cooling-rate", type=float, default=1e13, help="K/s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="folder of the run")
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    settings = QuenchSettings(
        arguments.composition, n_atoms=arguments.atoms, cooling_rate=arguments.cooling_rate, seed=arguments.seed
    )
    glass = melt_quench(settings, arguments.work, potential=arguments.potential)
    file = datasets.sample_file(glass.name.lower())
    card = {
        "made_by": "scripts/make_alloy_glass.py",
        "protocol": "symgnn_explain.saddles.melt_quench: NPT at zero pressure, 2 fs, then the inherent structure at "
        "zero pressure",
        "settings": asdict(settings),
        "lammps": lammps_version(arguments.work / "log.lammps"),
        "potential": POTENTIAL,
        "potential_sha256": hashlib.sha256(arguments.potential.read_bytes()).hexdigest(),
        "quality": quality(glass),
    }
    print(json.dumps(card["quality"]))
    name = file.removesuffix(".extxyz.xz")
    pack(replace(glass, name=name, provenance={}), arguments.out / file, card)


if __name__ == "__main__":
    main()
