"""What is masked: single directed edges, or groups of them that a materials scientist thinks in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.plain import NotPlainError, entry, numbers, one_of
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

Unit = Literal["pair", "edge", "bond", "atom", "polyhedron", "shell"]
"""What one mask value is for. All that atoms learn from each other, messages and descriptors:

- ``pair``: all that one atom learns from another at one periodic image: the message, and its share of the descriptors;
- ``atom``: all pairs in which an atom is the one that is learned of, itself included;
- ``polyhedron``: all that an atom learns, that is, its surroundings as the network sees them;
- ``shell``: all that is learned of atoms about as far from the explained atom.

Messages alone:

- ``edge``: the message along one directed edge;
- ``bond``: the messages of both directions of one pair of atoms at one image; a self-loop is a bond of its own.

A network that sees pairs as edges alone learns nothing but messages: then a pair is an edge.
"""

UNITS: tuple[Unit, ...] = get_args(Unit)
OF_MESSAGES: tuple[Unit, ...] = ("edge", "bond")
"""Units that leave descriptors as they are."""
_COLUMNS: dict[Unit, tuple[str, ...]] = {
    "pair": ("source", "target"),
    "edge": ("source", "target"),
    "bond": ("first", "second"),
    "atom": ("atom",),
    "polyhedron": ("atom",),
    "shell": ("inner", "outer"),
}
"""What the table of units of each kind says of them."""
SHELL_WIDTH = 1.0
"""Thickness of a shell, Å."""


@dataclass(frozen=True, eq=False, repr=False)
class Units(Brief):
    """A partition of a receptive field's edges, or pairs.

    Parameters
    ----------
    kind
        What a unit is.
    of_edge
        The unit of each edge, shape (E,).
    table
        One row a unit: ``first`` and ``second`` atom of an edge (source, target) or bond, ``atom`` of an atom or a
        polyhedron, ``inner`` and ``outer`` radius (Å) of a shell.
    """

    kind: Unit
    of_edge: IntArray
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def spread_over_edges(self, score: FloatArray, *, share: bool) -> FloatArray:
        """Give each edge the score of its unit (n_units,), or an equal share of it; shape (E,)."""
        return (score / np.bincount(self.of_edge, minlength=len(self)) if share else score)[self.of_edge]

    def gather(self, score: FloatArray, *, mean: bool) -> FloatArray:
        """Sum the scores of edges (E,) by unit, or average them; shape (n_units,)."""
        total = np.bincount(self.of_edge, weights=score, minlength=len(self)).astype(np.float64)
        return total / np.bincount(self.of_edge, minlength=len(self)) if mean else total

    def to_dict(self) -> dict[str, Any]:
        """Plain values and arrays."""
        table = {str(name): column.to_numpy() for name, column in self.table.items()}
        return {"kind": self.kind, "of_edge": self.of_edge, "table": table}

    @classmethod
    def from_dict(cls, plain: Any) -> Units:
        """Invert :meth:`to_dict`; raises NotPlainError where that is not what was given."""
        kind: Unit = one_of(plain, "kind", UNITS)
        columns, number = (_COLUMNS[kind], np.float64 if kind == "shell" else np.int64)
        table = entry(plain, "table", dict)
        if set(table) != set(columns):
            raise NotPlainError("its units have other columns than units of their kind")
        n_units = len(entry(table, columns[0], list, np.ndarray))
        read = {name: numbers(table, name, number, (n_units,)) for name in columns}
        of_edge = numbers(plain, "of_edge", np.int64, (None,))
        if of_edge.min(initial=0) < 0 or of_edge.max(initial=-1) >= n_units:
            raise NotPlainError("its edges belong to units that do not exist")
        return cls(kind, of_edge, pd.DataFrame(read))


def group_edges(
    kind: Unit,
    source: IntArray,
    target: IntArray,
    *,
    glass: Glass | None,
    atom: int,
    displacement: FloatArray | None,
    shell_width: float = SHELL_WIDTH,
) -> Units:
    """Group the edges of one atom's receptive field.

    Parameters
    ----------
    kind
        What a unit is.
    source, target
        Atoms that the edges join, shape (E,).
    glass, displacement
        The structure, and ``r_source - r_target`` of each edge, shape (E, 3), Å; bonds and shells need both.
    atom
        The explained atom.
    shell_width
        Thickness of a shell, Å.

    Raises
    ------
    InputError
        If there is no such kind, it needs a structure that is not given, or the width is not positive.
    """
    if kind not in UNITS:
        raise InputError(f"unit={kind!r} is unknown: choose from {', '.join(UNITS)}.")
    if kind in ("edge", "pair"):
        return Units(kind, np.arange(len(source)), pd.DataFrame({"source": source, "target": target}))
    if kind in ("atom", "polyhedron"):
        atoms, of_edge = np.unique(source if kind == "atom" else target, return_inverse=True)
        return Units(kind, of_edge, pd.DataFrame({"atom": atoms}))
    if glass is None or displacement is None:
        raise InputError(f"unit={kind!r} needs a structure, with positions: explain a glass, not a bare graph.")
    if kind == "bond":
        key = _bond_keys(glass, source, target, displacement)
        bonds, of_edge = np.unique(key, axis=0, return_inverse=True)
        return Units(kind, of_edge.reshape(-1), pd.DataFrame({"first": bonds[:, 0], "second": bonds[:, 1]}))
    if not shell_width > 0:
        raise InputError(f"{shell_width=} must be a positive length in Å.")
    distance = np.linalg.norm(glass.displacements_from(atom), axis=1)
    shells, of_edge = np.unique((distance[source] // shell_width).astype(np.int64), return_inverse=True)
    return Units(kind, of_edge, pd.DataFrame({"inner": shells * shell_width, "outer": (shells + 1) * shell_width}))


def _bond_keys(glass: Glass, source: IntArray, target: IntArray, displacement: FloatArray) -> IntArray:
    """First atom, second atom, and the cell that the second one's image is in: equal for both directions, (E, 5)."""
    across = displacement - (glass.positions[source] - glass.positions[target])
    cell_of_source = np.rint(glass.fractional(across)).astype(np.int64)
    # A bond is written from its lower atom; one between two images of an atom, with the first non-zero number positive.
    first_nonzero = np.take_along_axis(cell_of_source, (cell_of_source != 0).argmax(1)[:, None], axis=1)[:, 0]
    turned = (source < target) | ((source == target) & (first_nonzero < 0))
    return np.column_stack(
        [
            np.minimum(source, target),
            np.maximum(source, target),
            np.where(turned[:, None], -cell_of_source, cell_of_source),
        ]
    )
