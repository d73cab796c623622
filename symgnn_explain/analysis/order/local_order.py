"""Everything about the local order of a structure, computed once and kept by the caller."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from symgnn_explain.analysis.order.icosahedra import PolyhedronConnections, polyhedron_connections
from symgnn_explain.analysis.order.local_entropy import PairEntropy, pair_entropy
from symgnn_explain.analysis.order.steinhardt import BondOrder, bond_order
from symgnn_explain.analysis.order.voronoi import VoronoiCells, voronoi_cells
from symgnn_explain.analysis.order.warren_cowley import ChemicalOrder, chemical_order
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.neighbours import neighbours_within
from symgnn_explain.structure.radial import first_shell_cutoff


@dataclass(frozen=True, eq=False, repr=False)
class LocalOrder(Brief):
    """The local order of one structure.

    Parameters
    ----------
    cells
        Voronoi cells: indices, coordination, volume.
    bond_order
        Steinhardt's invariants over the neighbours within ``cutoff``.
    pair_entropy
        Local entropy, averaged over the neighbours within ``cutoff``.
    chemical_order
        Coordination and Warren-Cowley parameters by shell.
    connections
        How full icosahedra share atoms.
    cutoff
        End of the first shell of neighbours, Å.
    """

    cells: VoronoiCells
    bond_order: BondOrder
    pair_entropy: PairEntropy
    chemical_order: ChemicalOrder
    connections: PolyhedronConnections
    cutoff: float

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        table = self.cells.to_frame()
        for part in (self.bond_order.to_frame(), self.pair_entropy.to_frame()):
            table = table.join(part.drop(columns="atom"))
        table["like_neighbours"] = self.chemical_order.like_neighbours
        table["full_icosahedron"] = self.cells.has_index()
        table["icosahedra_around"] = self.connections.members
        return table

    def to_frame(self) -> pd.DataFrame:
        """One row an atom: columns of the Voronoi cells, q4 … w6, s2, like_neighbours and its place in icosahedra.

        ``full_icosahedron`` tells whether it is the centre of one; ``icosahedra_around`` counts those that it is a
        corner of.
        """
        return self._frame.copy()

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless this describes ``glass``."""
        self.cells.require_glass(glass)


def local_order_analysis(glass: Glass, *, cutoff: float | None = None, seed: int = 0) -> LocalOrder:
    """Analyse the local order of a structure; about a second for 3 000 atoms, and serves every explained atom.

    Parameters
    ----------
    cutoff
        End of the first shell of neighbours (Å), for bond order, averages and the first shell of chemical order; the
        first minimum of the total g(r) where None.
    seed
        Of the bootstrap intervals of the chemical order.

    Raises
    ------
    InputError
        If the atoms fill no space, or g(r) has no minimum and no cut-off is given.

    Examples
    --------
    >>> from symgnn_explain import datasets
    >>> float(round(local_order_analysis(datasets.sample()).to_frame()["full_icosahedron"].mean(), 3))
    0.082
    """
    end = first_shell_cutoff(glass) if cutoff is None else cutoff
    cells = voronoi_cells(glass)
    return LocalOrder(
        cells=cells,
        bond_order=bond_order(neighbours_within(glass, end), len(glass)),
        pair_entropy=pair_entropy(glass, end),
        chemical_order=chemical_order(glass, None if cutoff is None else [cutoff], seed=seed),
        connections=polyhedron_connections(cells),
        cutoff=end,
    )
