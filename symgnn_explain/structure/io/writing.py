"""Writing glasses in the formats of ASE."""

from __future__ import annotations

from pathlib import Path

from symgnn_explain.structure.glass import Glass


def write_glass(glass: Glass, path: str | Path) -> Path:
    """Write a glass with its barriers and per-atom arrays; the suffix chooses ASE's format (``.extxyz`` keeps all)."""
    from ase.io import write

    path = Path(path)
    write(path, glass.to_ase(), format="extxyz" if path.suffix == ".xyz" else None)
    return path
