"""Voronoi cells: the polyhedron around every atom, its index ⟨n3,n4,n5,n6⟩ and the atom's neighbours.

The tessellation is SciPy's (Qhull), of the structure surrounded by ghosts of its periodic images. Qhull merges corners
that coincide up to rounding, so that crystals, whose corners join four or more cells, keep whole faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.alpha import LARGEST_VOID, PaddedPoints, pad_with_ghosts, wrapped_positions
from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.neighbours import Neighbours

SHORTEST_EDGE = 1e-3
"""Edges of a face shorter than this (Å) are not counted: positions are seldom known better."""

SMALLEST_FACE = 0.0
"""Faces smaller than this (Å²) are left out."""

FULL_ICOSAHEDRON = (0, 0, 12, 0)

FEWEST_EDGES = 3
_FIRST_PAD = 7.0


@dataclass(frozen=True, eq=False, repr=False)
class VoronoiCells(Brief):
    """The Voronoi cell of every atom.

    Parameters
    ----------
    numbers, position
        Atomic number of each atom, shape (N,), and where it is in the cell, shape (N, 3), Å.
    cell
        Cell vectors as rows, shape (3, 3), Å.
    faces
        ``faces[i, n]`` faces of atom ``i``'s cell have ``n + 3`` edges, shape (N, K) with K ≥ 4.
    closed
        Whether the cell is closed, shape (N,): an atom at an open surface has no polyhedron, and no index.
    volume
        Of each cell, shape (N,), Å³; NaN where it is not closed.
    neighbours
        Atoms with a common face, from both sides, sorted by atom, P in all.
    shift
        Cell vectors that lead from the wrapped position of each centre to the neighbour's image, shape (P, 3).
    area
        Of each face, shape (P,), Å².
    glass_name, glass_sha256
        The structure.
    """

    numbers: IntArray
    position: FloatArray
    cell: FloatArray
    faces: IntArray
    closed: NDArray[np.bool_]
    volume: FloatArray
    neighbours: Neighbours
    shift: IntArray
    area: FloatArray
    glass_name: str
    glass_sha256: str

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def index(self) -> IntArray:
        """Voronoi index (n3, n4, n5, n6) of each atom, shape (N, 4); -1 where the cell is not closed."""
        return np.where(self.closed[:, None], self.faces[:, :4], -1)

    @property
    def labels(self) -> NDArray[np.str_]:
        """Voronoi index of each atom as ``⟨0,0,12,0⟩``, shape (N,), with n7 … where there are; ``open`` where none."""
        kinds, inverse = np.unique(self.faces, axis=0, return_inverse=True)
        return np.where(self.closed, np.array([_label(kind) for kind in kinds])[inverse.ravel()], "open")

    @property
    def coordination(self) -> IntArray:
        """Faces of each cell, that is neighbours of each atom, shape (N,); of an open cell those towards the inside."""
        return np.bincount(self.neighbours.centre, minlength=len(self))

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols present, in order of atomic number."""
        return tuple(chemical_symbols[number] for number in np.unique(self.numbers))

    def coordination_by_species(self) -> IntArray:
        """Neighbours of each species that each atom has, shape (N, S), in the order of ``species``."""
        numbers, kind = np.unique(self.numbers, return_inverse=True)
        pair = self.neighbours.centre * len(numbers) + kind[self.neighbours.neighbour]
        return np.bincount(pair, minlength=len(self) * len(numbers)).reshape(len(self), len(numbers))

    def has_index(self, index: tuple[int, int, int, int] = FULL_ICOSAHEDRON) -> NDArray[np.bool_]:
        """Which atoms have this Voronoi index, and no face with more than six edges, shape (N,)."""
        return self.closed & (self.faces[:, :4] == index).all(axis=1) & (self.faces[:, 4:] == 0).all(axis=1)

    def to_frame(self) -> pd.DataFrame:
        """One row an atom: atom, species, index, n3 … n6, coordination, of each species, volume (Å³), closed."""
        table: dict[str, Any] = {
            "atom": np.arange(len(self)),
            "species": [chemical_symbols[number] for number in self.numbers],
            "index": self.labels,
        }
        table |= {f"n{place + FEWEST_EDGES}": self.index[:, place] for place in range(4)}
        table["coordination"] = self.coordination
        table |= dict(
            zip((f"coordination_{symbol}" for symbol in self.species), self.coordination_by_species().T, strict=True)
        )
        return pd.DataFrame(table | {"volume": self.volume, "closed": self.closed})

    def frequencies(self) -> pd.DataFrame:
        """Voronoi indices of the closed cells from the most to the least frequent: index, count, share, by species."""
        table = self.to_frame()[self.closed]
        counts = pd.crosstab(table["index"], table["species"])
        counts.insert(0, "count", counts.sum(axis=1))
        counts.insert(1, "share", counts["count"] / max(len(table), 1))
        counts = counts.rename_axis(columns=None).reset_index()
        return counts.sort_values(["count", "index"], ascending=[False, True], ignore_index=True)

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless these are the cells of ``glass``."""
        if self.glass_sha256 != glass.content_hash:
            raise InputError(
                f"these Voronoi cells belong to another structure ({self.glass_name!r}) than {glass.name!r}: "
                "compute them anew."
            )


def voronoi_cells(
    glass: Glass, *, shortest_edge: float = SHORTEST_EDGE, smallest_face: float = SMALLEST_FACE
) -> VoronoiCells:
    """Find the Voronoi cell of every atom (Finney, Proc. R. Soc. A 319, 479, 1970).

    Edges shorter than ``shortest_edge`` count for none of their three faces, and a face that is left with fewer than
    three edges or is smaller than ``smallest_face`` is no face: its two atoms are no neighbours. With the defaults
    every edge and face counts that is more than rounding, which gives the indices that are usual for glasses: each cell
    then obeys Euler's 3 n3 + 2 n4 + n5 - n7 - … = 12. Larger thresholds break that rule for about half of the cells of
    a Cu-Zr glass, while the share of full icosahedra hardly moves (8.2 % without, 7.8 % with 0.1 Å and 0.3 Å², in the
    sample glass); they lower coordination numbers, to which the smallest faces add about one neighbour.

    In FCC and HCP more than four cells meet in some corners. Undisturbed they have ⟨0,12,0,0⟩; moved a little, each
    such corner opens into an edge or a small face, and only thresholds larger than the disturbance still give
    ⟨0,12,0,0⟩. BCC has no such corners: ⟨0,6,0,8⟩. All atoms count as equally large: this is not the radical
    tessellation.

    Cells of a fully periodic structure are exact: ghosts are added until none further out could cut a cell. With any
    open direction a cell is *closed* if all its corners lie within 4.5 Å of its atom, more than any void of a dense
    glass has as radius. Atoms with an open cell sit at a surface, and have no index and no volume; faces with a
    corner farther away are no faces, and make no neighbours.

    Parameters
    ----------
    shortest_edge, smallest_face
        Thresholds, Å and Å².

    Raises
    ------
    InputError
        If a threshold is negative, two atoms coincide, or the atoms have no cells (fewer than five, or all in a plane
        or on a sphere) and there are no images all around them.

    Examples
    --------
    >>> b2 = Glass([[0, 0, 0], [1.63, 1.63, 1.63]], [29, 40], np.eye(3) * 3.26)
    >>> print(*voronoi_cells(b2).labels)
    ⟨0,6,0,8⟩ ⟨0,6,0,8⟩
    """
    if not (shortest_edge >= 0 and smallest_face >= 0 and np.isfinite([shortest_edge, smallest_face]).all()):
        raise InputError(f"{shortest_edge=} and {smallest_face=} must be lengths in Å and areas in Å² from 0.")
    points, polygons = _padded_tessellation(glass)
    is_near = np.full(len(polygons.reach), True) if glass.pbc.all() else polygons.reach <= LARGEST_VOID
    closed = np.ones(len(glass), dtype=bool)
    closed[polygons.start[~is_near]] = False
    closed[polygons.end[~is_near & (polygons.end < len(glass))]] = False
    first, second = polygons.start, points.original[polygons.end]
    shift = points.shift[polygons.end]
    displacement = points.position[polygons.end] - points.position[polygons.start]
    n_edges = polygons.count_edges(shortest_edge)
    # Each face is met from both sides, as seen from the cell; one is kept and mirrored, so that both agree.
    ahead = is_near & _is_forward(first, second, shift)
    centre, neighbour = _mirrored(first[ahead], second[ahead])
    area, n_edges = np.tile(polygons.area[ahead], 2), np.tile(n_edges[ahead], 2)
    displacement = np.concatenate([displacement[ahead], -displacement[ahead]])
    shift = np.concatenate([shift[ahead], -shift[ahead]])
    volume = np.bincount(centre, area * np.linalg.norm(displacement, axis=1) / 6, minlength=len(glass))
    is_face = (area >= smallest_face) & (n_edges >= FEWEST_EDGES)
    kept = np.flatnonzero(is_face)[np.lexsort((*shift[is_face].T, neighbour[is_face], centre[is_face]))]
    n_kinds = max(6, int(n_edges[kept].max(initial=0))) - FEWEST_EDGES + 1
    kind = centre[kept] * n_kinds + n_edges[kept] - FEWEST_EDGES
    faces = np.bincount(kind, minlength=len(glass) * n_kinds).reshape(len(glass), n_kinds)
    return VoronoiCells(
        numbers=glass.numbers,
        position=points.position[: len(glass)],
        cell=glass.cell,
        faces=faces,
        closed=closed,
        volume=np.where(closed, volume, np.nan),
        neighbours=Neighbours(centre[kept], neighbour[kept], displacement[kept]),
        shift=shift[kept],
        area=area[kept],
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
    )


@dataclass(frozen=True, eq=False)
class _Polygons:
    """Faces of the cells of the structure's own points: ``start`` is one of them, ``end`` may be a ghost.

    ``reach`` is the distance (Å) of the farthest corner from either point, infinite for an unbounded face, as is then
    its area (Å²). ``face`` and ``length`` (Å) describe the edges of the bounded faces.
    """

    start: IntArray
    end: IntArray
    reach: FloatArray
    area: FloatArray
    face: IntArray
    length: FloatArray

    def count_edges(self, shortest: float) -> IntArray:
        long_enough = self.face[self.length >= shortest]
        return np.bincount(long_enough, minlength=len(self.start))


def _padded_tessellation(glass: Glass) -> tuple[PaddedPoints, _Polygons]:
    position = wrapped_positions(glass)
    # No point is farther from the images of one atom than half the diagonal of the box whose edges are the cell vectors
    # made orthogonal to each other, and no atom farther away than twice the farthest corner can cut a cell.
    enough = 1.001 * float(np.linalg.norm(np.diag(np.linalg.qr(glass.cell.T)[1])))
    pad = min(_FIRST_PAD, enough) if glass.pbc.all() else 2 * LARGEST_VOID
    while True:
        points = pad_with_ghosts(position, glass.cell, glass.pbc, pad)
        polygons = _tessellate(points.position, len(glass), glass.name, may_be_few=bool(glass.pbc.all()))
        farthest = np.inf if polygons is None else float(polygons.reach.max())
        if polygons is not None and (not glass.pbc.all() or 2 * farthest <= pad):
            return points, polygons
        # With too few ghosts corners may seem far away.
        pad = min(2.001 * farthest, 2 * pad, max(enough, 1.1 * pad))


def _tessellate(position: FloatArray, n_own: int, name: str, *, may_be_few: bool) -> _Polygons | None:
    from scipy.spatial import QhullError, Voronoi

    too_few = InputError(
        f"{name!r} has no Voronoi cells: expected at least five atoms that lie neither in a plane nor on a sphere."
    )
    try:
        diagram = Voronoi(position)
    except (QhullError, ValueError) as error:
        if may_be_few:
            return None
        raise too_few from error
    _require_distinct(diagram.point_region[:n_own], name)
    ends = np.sort(diagram.ridge_points.astype(np.int64), axis=1)
    owned = np.flatnonzero(ends[:, 0] < n_own)
    # Of points on one sphere, such as the corners of a cube, Qhull gives no faces.
    if not np.isin(np.arange(n_own), ends[owned]).all():
        if may_be_few:
            return None
        raise too_few
    start, end = ends[owned].T
    corners = [diagram.ridge_vertices[row] for row in owned]
    size = np.fromiter(map(len, corners), dtype=np.int64, count=len(corners))
    corner = np.fromiter(chain.from_iterable(corners), dtype=np.int64, count=int(size.sum()))
    face = np.repeat(np.arange(len(corners)), size)
    head = size.cumsum() - size
    following = np.arange(len(corner)) + 1
    following[head + size - 1] = head
    unbounded = np.bincount(face[corner < 0], minlength=len(corners)) > 0
    here = diagram.vertices[corner]
    there = here[following]
    origin = position[start][face]
    distance = np.linalg.norm(here - origin, axis=1)
    reach = np.where(unbounded, np.inf, np.maximum.reduceat(distance, head))
    middle = (position[start] + position[end])[face] / 2
    area = np.linalg.norm(np.add.reduceat(np.cross(here - middle, there - middle), head, axis=0), axis=1) / 2
    bounded = ~unbounded[face]
    length = np.linalg.norm(there - here, axis=1)
    return _Polygons(start, end, reach, np.where(unbounded, np.inf, area), face[bounded], length[bounded])


def _require_distinct(region: IntArray, name: str) -> None:
    regions, counts = np.unique(region, return_counts=True)
    if (regions < 0).any() or (counts > 1).any():
        raise InputError(f"two atoms of {name!r} stand at one place: remove one of them.")


def _is_forward(first: IntArray, second: IntArray, shift: IntArray) -> NDArray[np.bool_]:
    ahead = np.where(shift[:, 0] != 0, shift[:, 0] > 0, np.where(shift[:, 1] != 0, shift[:, 1] > 0, shift[:, 2] > 0))
    return (first < second) | ((first == second) & ahead)


def _mirrored(first: IntArray, second: IntArray) -> tuple[IntArray, IntArray]:
    return np.concatenate([first, second]), np.concatenate([second, first])


def _label(faces: IntArray) -> str:
    last = max(4, int(np.flatnonzero(faces).max(initial=0)) + 1)
    return f"⟨{','.join(map(str, faces[:last].tolist()))}⟩"
