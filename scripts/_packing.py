"""How glasses are packed for the wheel: compressed extended XYZ, and a card that says how it was made."""

from __future__ import annotations

import hashlib
import json
import lzma
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import write_glass

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


def lammps_version(log: Path) -> str:
    """Return the line of a log in which LAMMPS says what it is."""
    return next(line for line in log.read_text(encoding="utf-8").splitlines() if "LAMMPS" in line)
