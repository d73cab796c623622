"""Figures that the benchmarks measured, and how numbers are written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
CARD = ROOT / "symgnn_explain" / "data" / "symgnn_cu64zr36.json"

Figures = dict[str, Any]

NULLS = {
    "species": "copper before zirconium",
    "energy": "high energy",
    "energy_around": "high energy of the atom and its neighbours",
    "volume": "large Voronoi volume",
    "faces": "few Voronoi faces",
}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def seconds(value: float) -> str:
    """Return a time with two digits and its unit."""
    if value >= 90:
        return f"{value / 60:.2g} min"
    return f"{value:.2g} s" if value >= 0.0995 else f"{value * 1e3:.2g} ms"


def between(figures: Figures, name: str, form: str = ".2f") -> str:
    """Return a value with its interval."""
    low, high = (f"{figures[f'{name}_{end}']:{form}}" for end in ("low", "high"))
    return f"{figures[name]:{form}} ({low} to {high})"


def with_interval(found: Figures, name: str = "mean") -> str:
    """Return a mean over atoms with its interval."""
    low, high = found["interval"]
    return f"{found[name]:.2f} ({low:.2f} to {high:.2f})"


def load(name: str) -> Figures | None:
    """Return the stored figures of a script, or None where it has not been run."""
    path = RESULTS / f"{name}.json"
    figures: Figures | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return figures
