"""Persistent homology of a structure: components (H0), rings (H1) and voids (H2) of spheres growing on its atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.alpha import PeriodicComplex
from symgnn_explain.analysis.topology.cell_homology import pairs_of_cell
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import FloatArray, IntArray

SHORTEST_LIFE = 1e-9
"""A class lives at least this long in the squared radius (Å²): less is rounding."""

DIMENSIONS = (0, 1, 2)


@dataclass(frozen=True, eq=False)
class Persistence:
    """Births and deaths of the homology classes of a structure, as radii (Å) of the spheres around its atoms.

    Radii, not their squares, which HomCloud and GUDHI give. Pairs are in the order of dimension, birth and death; the
    classes that never die, the essential ones, have the death ∞.

    Parameters
    ----------
    dimension
        0 for components, 1 for rings, 2 for voids, 3 for the whole torus; shape (P,).
    birth, death
        Radii, shape (P,), Å.
    birth_atoms, death_atoms
        Atoms of the simplex that makes each class and of the one that ends it, shapes (P, 4); -1 where there are fewer.
    n_atoms
        Atoms of the structure.
    complete
        Whether the filtration was followed until the torus, or the hull of a cluster, was full; otherwise classes that
        outlive ``largest_void`` count as essential.
    largest_void
        Radius (Å) up to which the filtration was followed.
    glass_sha256
        The structure.
    """

    dimension: IntArray
    birth: FloatArray
    death: FloatArray
    birth_atoms: IntArray
    death_atoms: IntArray
    n_atoms: int
    complete: bool
    largest_void: float
    glass_sha256: str

    def __len__(self) -> int:
        return len(self.dimension)

    @property
    def life(self) -> FloatArray:
        """Death minus birth, shape (P,), Å; ∞ for essential classes."""
        return self.death - self.birth

    def rows(self, dimension: int) -> IntArray:
        """Rows of the classes of one dimension that die."""
        return np.flatnonzero((self.dimension == _checked(dimension)) & np.isfinite(self.death))

    def diagram(self, dimension: int) -> FloatArray:
        """Birth and death of the classes of one dimension that die, shape (R, 2), Å."""
        rows = self.rows(dimension)
        return np.column_stack([self.birth[rows], self.death[rows]])

    def essential(self, dimension: int) -> FloatArray:
        """Births of the classes of one dimension that never die, Å."""
        return self.birth[(self.dimension == dimension) & np.isinf(self.death)]

    def betti_numbers(self, radius: float = np.inf) -> tuple[int, int, int, int]:
        """Components, independent rings, voids and filled tori when the spheres have a radius (Å); ∞ for the end."""
        alive = self.dimension[(self.birth <= radius) & ((self.death > radius) | np.isinf(self.death))]
        first, second, third, fourth = np.bincount(alive, minlength=4)[:4].tolist()
        return first, second, third, fourth

    def to_frame(self) -> pd.DataFrame:
        """One row a class: dimension, birth, death and life (radius, Å), essential."""
        return pd.DataFrame(
            {
                "dimension": self.dimension,
                "birth": self.birth,
                "death": self.death,
                "life": self.life,
                "essential": np.isinf(self.death),
            }
        )

    def summary(self) -> dict[str, Any]:
        """Numbers of classes, births of the essential ones and Betti numbers, ready for JSON."""
        return {
            "unit": "radius (Å)",
            "pairs": {f"H{dimension}": len(self.rows(dimension)) for dimension in DIMENSIONS},
            "essential_births": {f"H{dimension}": self.essential(dimension).tolist() for dimension in range(4)},
            "betti_numbers": list(self.betti_numbers()),
            "complete": self.complete,
            "largest_void": self.largest_void,
        }


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of simplices of a complex: one makes a class, the other ends it.

    Parameters
    ----------
    dimension
        Of the class, shape (P,).
    birth, death
        Filtration values (squared radius, Å²), shape (P,); ∞ for classes that never die.
    birth_simplex, death_simplex
        Vertices, ascending and then -1, shape (P, 4); of one of the copies where the cell was repeated.
    """

    dimension: IntArray
    birth: FloatArray
    death: FloatArray
    birth_simplex: IntArray
    death_simplex: IntArray

    def rings(self) -> NDArray[np.bool_]:
        """Which pairs are rings that die, shape (P,)."""
        return (self.dimension == 1) & np.isfinite(self.death)


def persistence_pairs(alpha: PeriodicComplex) -> Pairs:
    """Pair the births and deaths of the classes that live longer than :data:`SHORTEST_LIFE`, over the field of two.

    The torus is that of the cell, however narrow: one of N atoms has N - 1 components that die. The reduction is that
    of GUDHI's simplex tree (persistent cohomology), and :mod:`~.topology.cell_homology`'s where the cell was repeated.
    Pairs are sorted by dimension, birth, death.
    """
    found = _pairs_of_simplices(alpha) if alpha.n_vertices == alpha.n_atoms else pairs_of_cell(alpha)
    dimension = np.array([len(birth) - 1 for birth, _ in found], dtype=np.int64)
    birth_simplex = _table([birth for birth, _ in found])
    death_simplex = _table([death for _, death in found])
    is_essential = death_simplex[:, 0] < 0
    birth = _values(alpha, birth_simplex, dimension)
    death = np.where(is_essential, np.inf, _values(alpha, death_simplex, dimension + 1))
    order = np.lexsort((death, birth, dimension))
    order = order[death[order] - birth[order] > SHORTEST_LIFE]
    return Pairs(dimension[order], birth[order], death[order], birth_simplex[order], death_simplex[order])


def _pairs_of_simplices(alpha: PeriodicComplex) -> list[tuple[list[int], list[int]]]:
    """Vertices of the simplex that makes each class, and of the one that ends it; no vertices where none does."""
    from gudhi.simplex_tree import SimplexTree

    tree = SimplexTree()
    tree.insert_batch(np.arange(alpha.n_vertices, dtype=np.int32)[None], np.zeros(alpha.n_vertices))
    for simplices, values in (
        (alpha.edges, alpha.edge_values),
        (alpha.triangles, alpha.triangle_values),
        (alpha.tetrahedra, alpha.tetrahedron_values),
    ):
        tree.insert_batch(simplices.T.astype(np.int32), values)
    tree.compute_persistence(homology_coeff_field=2, min_persistence=SHORTEST_LIFE, persistence_dim_max=True)
    pairs: list[tuple[list[int], list[int]]] = tree.persistence_pairs()
    return pairs


def describe_pairs(alpha: PeriodicComplex, pairs: Pairs, largest_void: float, glass_sha256: str) -> Persistence:
    """Name the atoms of each pair, and turn squared radii into radii."""
    birth_atoms, death_atoms = (
        np.where(simplex >= 0, simplex % alpha.n_atoms, -1) for simplex in (pairs.birth_simplex, pairs.death_simplex)
    )
    return Persistence(
        dimension=pairs.dimension,
        birth=np.sqrt(pairs.birth),
        death=np.sqrt(pairs.death),
        birth_atoms=birth_atoms,
        death_atoms=death_atoms,
        n_atoms=alpha.n_atoms,
        complete=alpha.complete,
        largest_void=largest_void,
        glass_sha256=glass_sha256,
    )


def _table(simplices: list[list[int]]) -> IntArray:
    """Simplices of up to four vertices as rows: vertices ascending, then -1."""
    table = np.full((len(simplices), 4), -1, dtype=np.int64)
    sizes = np.array([len(simplex) for simplex in simplices], dtype=np.int64)
    for size in np.unique(sizes[sizes > 0]).tolist():
        rows = np.flatnonzero(sizes == size)
        table[rows, :size] = np.sort(np.array([simplices[row] for row in rows], dtype=np.int64), axis=1)
    return table


def _values(alpha: PeriodicComplex, simplices: IntArray, dimension: IntArray) -> FloatArray:
    values = np.zeros(len(simplices))
    for size, known, known_values in (
        (2, alpha.edges, alpha.edge_values),
        (3, alpha.triangles, alpha.triangle_values),
        (4, alpha.tetrahedra, alpha.tetrahedron_values),
    ):
        asked = np.flatnonzero((dimension == size - 1) & (simplices[:, size - 1] >= 0))
        values[asked] = known_values[simplex_rows(simplices[asked, :size], known)]
    return values


def _checked(dimension: int) -> int:
    if dimension not in DIMENSIONS:
        raise InputError(f"{dimension=} must be 0 (components), 1 (rings) or 2 (voids).")
    return dimension
