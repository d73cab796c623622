"""What an explanation looks like in the 3D view: where its atoms and edges are drawn, how thick, in which colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symgnn_explain.analysis import CyclePath
from symgnn_explain.explain import Interactions, PositionAttribution
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import SAME_PLACE, place_atoms
from symgnn_explain.plotting.arrows import LONGEST_ARROW
from symgnn_explain.plotting.interactions import strongest, unit_places
from symgnn_explain.plotting.style import BLACK, GREEN, LOWERS, PALE, PURPLE, RAISES, species_radius
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_widgets.state.colours import RgbArray, channels_of

DRAWN_SIZE = 0.9
"""Drawn radius over atomic radius: the eye still gets between the atoms."""
SELECTED_GROWTH = 1.25
"""Radius of the selected atom against that of the same atom in the picture of the glass."""
IMPORTANT_SHRINKAGE = 0.6
"""The same of important atoms: small enough to leave the edges between them in sight."""
EDGE_RADII = (0.07, 0.30)
"""Radii (Å) of an edge of no importance and of the most important one."""
RING_RADIUS = 0.22
"""Radius (Å) of the bonds of a ring."""
ARROWS = 30
"""Atoms that have an arrow."""
INTERACTING_PAIRS = 12
"""Pairs that act together and are drawn."""
ARROW_RADIUS = 0.22
"""Radius (Å) of the shaft of an arrow."""


Cylinders = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""Start, end, colour (n, 3 each) and radius (n,) of cylinders or arrows, Å."""


@dataclass(frozen=True, eq=False)
class Highlight:
    """Spheres and cylinders in the coordinates of the picture; colours from 0 to 1.

    Parameters
    ----------
    atoms
        Atom that each sphere stands for, shape (S,); the explained one first.
    position, colour, radius
        Of the spheres, shapes (S, 3), (S, 3) and (S,), Å.
    start, end, edge_colour, edge_radius
        Of the cylinders, shapes (E, 3), (E, 3), (E, 3) and (E,), Å, from the sending to the receiving atom.
    """

    atoms: IntArray
    position: FloatArray
    colour: FloatArray
    radius: FloatArray
    start: FloatArray
    end: FloatArray
    edge_colour: FloatArray
    edge_radius: FloatArray


def mark_atoms(atoms: Sequence[int], glass: Glass, positions: FloatArray) -> Highlight:
    """Mark atoms that are selected beside the one that is looked at: shells around them, to be drawn translucent."""
    none = np.zeros((0, 3))
    chosen = np.array(atoms, dtype=np.int64)
    return Highlight(
        atoms=chosen,
        position=positions[chosen],
        colour=np.tile(_rgb(PURPLE), (len(chosen), 1)),
        radius=SELECTED_GROWTH * drawn_radii(glass)[chosen],
        start=none,
        end=none,
        edge_colour=none,
        edge_radius=np.zeros(0),
    )


def mark_explanation(
    explanation: AtomExplanation, glass: Glass, k: int, positions: FloatArray, colours: RgbArray
) -> Highlight:
    """Mark the explained atom, the ``k`` most important edges, and the atoms at their ends.

    Everything is placed relative to the explained atom: a receiving atom where the edges lead to it, a sending atom at
    the other end of its edge. So no edge runs across the picture because its atoms sit on opposite faces of the cell;
    what lies beyond a face is drawn beyond it. Atoms with an important self-loop are green, as in
    the paper. What members of an ensemble disagree about is pale.

    Parameters
    ----------
    positions
        Where the atoms of the glass are drawn, shape (N, 3), Å.
    colours
        Their colours, shape (N, 3), 0 to 255.
    """
    top = explanation.rank()[:k]
    origin = positions[explanation.atom]
    placement = place_atoms(explanation)
    end = origin + placement.position[placement.rows_of(explanation.target[top])]
    start = end + explanation.displacement[top]
    loop = explanation.is_self_loop[top]

    atoms = np.concatenate([explanation.source[top], explanation.target[top]])
    places = np.concatenate([start, end])
    images, first, image = np.unique(
        np.column_stack([atoms, places.round(2)]), axis=0, return_index=True, return_inverse=True
    )
    looped = np.zeros(len(images), dtype=bool)
    looped[image.ravel()[np.tile(loop, 2)]] = True
    other = (atoms[first] != explanation.atom) | (np.linalg.norm(places[first] - origin, axis=1) > SAME_PLACE)
    atoms, places, looped = atoms[first][other], places[first][other], looped[other]
    atom_colour = colours[atoms] / 255.0
    atom_colour[looped] = _rgb(GREEN)

    score = explanation.score[top]
    strength = np.abs(score) / (np.abs(score).max() or 1.0)
    edge_colour = (
        np.where(score[:, None] > 0, _rgb(RAISES), _rgb(LOWERS))
        if explanation.signed
        else np.tile(_rgb(BLACK), (len(top), 1))
    )
    disputed = explanation.is_disputed[top]
    edge_colour[disputed] = 1 - PALE * (1 - edge_colour[disputed])
    radii = drawn_radii(glass)
    return Highlight(
        atoms=np.concatenate([[explanation.atom], atoms]),
        position=np.concatenate([origin[None], places]),
        colour=np.concatenate([_rgb(PURPLE), atom_colour]),
        radius=np.concatenate([radii[[explanation.atom]], IMPORTANT_SHRINKAGE * radii[atoms]]),
        start=start[~loop],
        end=end[~loop],
        edge_colour=edge_colour[~loop],
        edge_radius=EDGE_RADII[0] + strength[~loop] * (EDGE_RADII[1] - EDGE_RADII[0]),
    )


def ring_cylinders(ring: CyclePath, glass: Glass, near: FloatArray | None) -> Cylinders:
    """Start, end, colour and radius of a ring's bonds; at its image nearest ``near`` (shape (3,), Å), if given."""
    shift: FloatArray = np.zeros(3)
    if near is not None:
        cells = glass.fractional(near - ring.start.mean(axis=0))
        shift = np.where(glass.pbc, np.round(cells), 0.0) @ glass.cell
    colour = np.tile(_rgb(GREEN), (len(ring), 1))
    return ring.start + shift, ring.end + shift, colour, np.full(len(ring), RING_RADIUS)


def arrow_cylinders(attribution: PositionAttribution, k: int, origin: FloatArray) -> Cylinders:
    """Start, end, colour and radius of arrows along the ``k`` largest derivatives; the longest is LONGEST_ARROW."""
    rows = attribution.rank()[:k]
    largest = float(attribution.magnitude.max())
    start = origin + attribution.position[rows]
    along = attribution.gradient[rows] * (LONGEST_ARROW / largest if largest > 0 else 0.0)
    moving = np.linalg.norm(along, axis=1) > 0
    start, along = start[moving], along[moving]
    return start, start + along, np.tile(_rgb(RAISES), (len(start), 1)), np.full(len(start), ARROW_RADIUS)


def interaction_shapes(
    found: Interactions, glass: Glass, origin: FloatArray
) -> tuple[Cylinders, tuple[FloatArray, FloatArray]]:
    """Return cylinders between the strongest pairs, and corners (3 T, 3) and colours of the strongest triples."""
    _, places = unit_places(glass, found)
    chosen = strongest(found, INTERACTING_PAIRS)
    largest = max((abs(score) for _, score in chosen), default=0.0) or 1.0
    pairs = [(units, score) for units, score in chosen if len(units) == 2]
    triples = [(units, score) for units, score in chosen if len(units) == 3]
    ends = origin + places[np.array([units for units, _ in pairs]).reshape(-1, 2)]
    corners = origin + places[np.array([units for units, _ in triples], dtype=np.int64).reshape(-1, 3)]
    strength = np.array([abs(score) for _, score in pairs]) / largest
    of_pairs, of_triples = (
        np.array([channels_of(RAISES if score > 0 else LOWERS) for _, score in some]).reshape(-1, 3) / 255.0
        for some in (pairs, triples)
    )
    radius = EDGE_RADII[0] + strength * (EDGE_RADII[1] - EDGE_RADII[0])
    return (ends[:, 0], ends[:, 1], of_pairs, radius), (corners.reshape(-1, 3), np.repeat(of_triples, 3, axis=0))


def drawn_radii(glass: Glass) -> FloatArray:
    """Radius at which each atom is drawn, shape (N,), Å."""
    radii = np.array([species_radius(symbol) for symbol in glass.species])
    return DRAWN_SIZE * radii[np.searchsorted(np.unique(glass.numbers), glass.numbers)]


def _rgb(colour: str) -> FloatArray:
    return channels_of(colour)[None] / 255.0
