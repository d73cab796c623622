"""How glasses are packed for the wheel: compressed extended XYZ, and a card that says how it was made."""

from __future__ import annotations

import hashlib
import json
import lzma
import tempfile
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any

from symgnn_explain.errors import InputError
from symgnn_explain.saddles import BarrierSet
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import write_glass
from symgnn_explain.structure.selection import select_atoms

DATA = Path(str(files("symgnn_explain") / "data"))

POTENTIAL = (
    "Mendelev, Kramer, Ott, Sordelet, Yagodin and Popel, Phil. Mag. 89, 967 (2009), doi 10.1080/14786430902832773, "
    "OpenKIM MO_600021860456"
)


def pack(glass: Glass, target: Path, card: dict[str, Any]) -> None:
    """Write ``NAME.extxyz.xz``, and beside it ``NAME.json``: the file's SHA-256, and what ``card`` adds."""
    with tempfile.TemporaryDirectory() as folder:
        plain = write_glass(glass, Path(folder) / "glass.extxyz")
        target.write_bytes(lzma.compress(plain.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    packed = {"file": target.name, "sha256": hashlib.sha256(target.read_bytes()).hexdigest(), **card}
    beside = target.with_name(target.name.removesuffix(".extxyz.xz") + ".json")
    beside.write_text(json.dumps(packed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


def random_barriers(records: Path, glass: Glass, seed: int) -> tuple[BarrierSet, dict[str, Any]]:
    """Open barriers computed for a random sample of a glass's atoms, and say for a card how they were computed.

    Random atoms come in an order that depends on the seed alone. Only those before the first that is missing are taken,
    so that they are a random sample wherever the run was stopped.
    """
    computed = BarrierSet.open(records)
    if computed.manifest["glass"]["sha256"] != glass.content_hash:
        raise InputError(f"{records} holds barriers of another glass than {glass.name}.")
    there = set(computed.atoms)
    drawn = select_atoms(glass, f"random:{len(glass)}", seed=seed).tolist()
    taken = computed.of(list(takewhile(there.__contains__, drawn)))
    outcomes = Counter[str]()
    for barrier in taken:
        outcomes.update(barrier.outcomes)
    table, seconds = taken.to_frame(), taken.seconds()
    return taken, {
        "atoms": len(taken),
        "atoms_without_saddle": int(table["barrier_eV"].isna().sum()),
        "drawn": f"the first {len(taken)} of random:{len(glass)} with seed {seed}",
        "outcomes": dict(sorted(outcomes.items())),
        "saddles": int(table["saddles"].sum()),
        "processor_seconds": round(sum(seconds[atom] for atom in taken.atoms)),
        "potential": POTENTIAL,
        "run": dict(computed.manifest),
        "versions": {name: version(name) for name in ("symgnn_explain", "numba", "numpy")},
        "date": datetime.now(tz=UTC).date().isoformat(),
    }


def lammps_version(log: Path) -> str:
    """Return the line of a log in which LAMMPS says what it is."""
    return next(line for line in log.read_text(encoding="utf-8").splitlines() if "LAMMPS" in line)
