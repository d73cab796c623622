"""Persistent homology of a structure: components (H0), rings (H1) and voids (H2) of spheres growing on its atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from symgnn_explain.analysis.topology.alpha import PeriodicComplex
from symgnn_explain.analysis.topology.cell_homology import pairs_of_cell
from symgnn_explain.analysis.topology.delaunay import simplex_rows
from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, IntArray

SHORTEST_LIFE = 1e-9
"""A class lives at least this long in the squared radius (Å²): less is rounding."""


@dataclass(frozen=True, eq=False, repr=False)
class Persistence(Brief):
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

    def rows(self, dimension: int) -> IntArray:
        """Rows of the classes of one dimension that die."""
        if dimension not in (0, 1, 2):
            raise InputError(f"{dimension=} must be 0 (components), 1 (rings) or 2 (voids).")
        return np.flatnonzero((self.dimension == dimension) & np.isfinite(self.death))

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
                "life": self.death - self.birth,
                "essential": np.isinf(self.death),
            }
        )


def persistence_of(alpha: PeriodicComplex, largest_void: float, glass_sha256: str) -> tuple[Persistence, IntArray]:
    """Pair the births and deaths of the classes that live longer than :data:`SHORTEST_LIFE`, over the field of two.

    The torus is that of the cell, however narrow: one of N atoms has N - 1 components that die. The reduction is that
    of GUDHI's simplex tree (persistent cohomology), and :mod:`~.topology.cell_homology`'s where the cell was repeated.

    Returns
    -------
    persistence, birth_simplex
        The pairs, and the vertices of the simplex that makes each class, ascending and then -1, shape (P, 4); of one
        of the copies where the cell was repeated.
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
    births, deaths = birth_simplex[order], death_simplex[order]
    persistence = Persistence(
        dimension=dimension[order],
        birth=np.sqrt(birth[order]),
        death=np.sqrt(death[order]),
        birth_atoms=np.where(births >= 0, births % alpha.n_atoms, -1),
        death_atoms=np.where(deaths >= 0, deaths % alpha.n_atoms, -1),
        n_atoms=alpha.n_atoms,
        complete=alpha.complete,
        largest_void=largest_void,
        glass_sha256=glass_sha256,
    )
    return persistence, births


def _pairs_of_simplices(alpha: PeriodicComplex) -> list[tuple[list[int], list[int]]]:
    """Vertices of the simplex that makes each class, and of the one that ends it; no vertices where none does."""
    from gudhi.simplex_tree import SimplexTree

    tree = SimplexTree()
    tree.insert_batch(np.arange(alpha.n_vertices, dtype=np.int32)[None], np.zeros(alpha.n_vertices))
    for simplices in (alpha.edges, alpha.triangles, alpha.tetrahedra):
        tree.insert_batch(simplices.vertices.T.astype(np.int32), simplices.entry)
    tree.compute_persistence(homology_coeff_field=2, min_persistence=SHORTEST_LIFE, persistence_dim_max=True)
    pairs: list[tuple[list[int], list[int]]] = tree.persistence_pairs()
    return pairs


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
    for size, known in ((2, alpha.edges), (3, alpha.triangles), (4, alpha.tetrahedra)):
        asked = np.flatnonzero((dimension == size - 1) & (simplices[:, size - 1] >= 0))
        values[asked] = known.entry[simplex_rows(simplices[asked, :size], known.vertices)]
    return values
