"""Which units act together: exact Shapley interactions of one atom's prediction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.coalitions import MOST_GROUPS, coalition_predictions
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.mask_words import require_semantics
from symgnn_explain.explain.result.interactions import Interactions
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.radial import first_shell_cutoff, radial_distribution

InteractionUnits = Literal["neighbours", "shells", "species", "polyhedra"]
"""What acts together:

- ``neighbours``: all that is learned of each neighbour in the first shell, the nearest eleven;
- ``shells``: all that is learned of the atoms in each shell of g(r) around the explained atom, and of itself;
- ``species``: the same by species, in the first shell and beyond it;
- ``polyhedra``: all that the explained atom learns, and all that each neighbour in the first shell does, the nearest
  ten.

What no unit holds is one more unit, ``all others``. So together the units are all that the prediction depends on.
"""

INTERACTION_UNITS: tuple[InteractionUnits, ...] = get_args(InteractionUnits)
OTHERS = "all others"
_ITSELF = "itself"

_Group = tuple[str, IntArray]
"""A name, and the atoms that are in it."""


def explain_interactions(
    prepared: PreparedGlass,
    atom: int,
    units: InteractionUnits | Mapping[str, Sequence[int]] = "neighbours",
    *,
    semantics: MaskSemantics = "reference",
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> Interactions:
    """Find which units act together in the prediction of one atom, exactly: every coalition of them is predicted.

    Parameters
    ----------
    prepared
        What ``prepare(predictor, glass)`` returned.
    atom
        Index of the explained atom, from 0.
    units
        What acts together; see :data:`InteractionUnits`. Or atoms by name, each in one unit at most: all that anybody
        learns of them is masked as one.
    semantics
        What masking means.
    progress, cancel
        As for :func:`~symgnn_explain.explain.api.explain_atom`.

    Raises
    ------
    InputError
        If the atom or the units do not exist, there are more than twelve, an atom is in two of them or in none that
        the prediction depends on, or g(r) has no minimum that ends the first shell.
    Cancelled
        If ``cancel`` was set.

    Examples
    --------
    ::

        prepared = prepare(Predictor.load(), datasets.sample())
        explain_interactions(prepared, 1501, "shells").to_frame()
        explain_interactions(prepared, 1501, {"A": [12, 57], "B": glass.select("species Zr and within 5 of 1501")})

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets, prepare
    >>> prepared = prepare(Predictor.load(device="cpu"), datasets.sample("cu50zr50"))
    >>> explain_interactions(prepared, 12, "species").of_order(1)[["names", "score"]].head(3).round(2).values.tolist()
    [['itself', -0.01], ['Cu, first shell', -0.1], ['Zr, first shell', 0.22]]
    """
    started = time.perf_counter()
    glass = prepared.glass
    atom = glass.require_atom(atom)
    require_semantics(semantics)
    groups, by_receiver = _groups(glass, atom, units)
    prediction = prepared.masked_prediction(atom, semantics=semantics, unit="pair")
    names, members, of_pair, caveats = _parted(prediction, groups, by_receiver=by_receiver)
    coalitions = coalition_predictions(prediction, of_pair, Watch(progress, cancel))
    if not np.isfinite(coalitions).all():
        raise InputError(f"some predictions of atom {atom} with parts masked are not finite: choose other semantics.")
    return Interactions(
        atom=atom,
        kind=units if isinstance(units, str) else "atoms",
        names=names,
        atoms=members,
        coalitions=coalitions,
        prediction=prediction.original,
        baseline=prediction.baseline,
        covers=prepared.covers("pair"),
        mask_semantics=semantics,
        quantity=prepared.target,
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
        wall_time=time.perf_counter() - started,
        caveats=caveats,
    )


def _groups(
    glass: Glass, atom: int, units: InteractionUnits | Mapping[str, Sequence[int]]
) -> tuple[list[_Group], bool]:
    """Name atoms that belong together, and say whether what they receive is meant, not what they send."""
    if isinstance(units, Mapping):
        return _named(glass, units), False
    if units not in INTERACTION_UNITS:
        raise InputError(f"{units=} is unknown: choose from {', '.join(INTERACTION_UNITS)}, or name atoms.")
    distance = np.linalg.norm(glass.displacements_from(atom), axis=1)
    itself = np.arange(len(glass)) == atom
    if units == "shells":
        return _shells(glass, distance, itself), False
    near = (distance < first_shell_cutoff(glass)) & ~itself
    if units == "species":
        symbols = np.array(glass.symbols)
        named = [
            (f"{symbol}, {where}", np.flatnonzero((symbols == symbol) & inside))
            for where, inside in (("first shell", near), ("beyond", ~near & ~itself))
            for symbol in glass.species
        ]
        return [(_ITSELF, np.array([atom])), *named], False
    neighbours = np.flatnonzero(near)
    neighbours = neighbours[np.argsort(distance[neighbours], kind="stable")]
    single = [(_label(glass, one, distance), np.array([one])) for one in neighbours.tolist()]
    if units == "neighbours":
        return single, False
    return [(f"around {_ITSELF}", np.array([atom])), *((f"around {name}", one) for name, one in single)], True


def _label(glass: Glass, atom: int, distance: FloatArray) -> str:
    return f"{glass.symbols[atom]} {atom} ({distance[atom]:.2f} Å)"


def _shells(glass: Glass, distance: FloatArray, itself: IntArray) -> list[_Group]:
    minima = radial_distribution(glass).minima
    if not minima.size:
        raise InputError(f"g(r) of {glass.name!r} has no minimum that ends a shell: name the atoms of each unit.")
    edges = [0.0, *minima[: MOST_GROUPS - 3].tolist(), np.inf]
    shells = []
    for inner, outer in pairwise(edges):
        name = f"beyond {inner:.2f} Å" if np.isinf(outer) else f"{inner:.2f}–{outer:.2f} Å"
        shells.append((name, np.flatnonzero((distance >= inner) & (distance < outer) & ~itself)))
    return [(_ITSELF, np.flatnonzero(itself)), *shells]


def _named(glass: Glass, units: Mapping[str, Sequence[int]]) -> list[_Group]:
    groups = [(str(name), np.array([glass.require_atom(one) for one in atoms])) for name, atoms in units.items()]
    if not groups or any(len(atoms) == 0 for _, atoms in groups):
        raise InputError("each unit needs a name and at least one atom: give atoms by name.")
    if len(groups) > MOST_GROUPS:
        raise InputError(f"{len(groups)} units were given: take {MOST_GROUPS} or fewer, all others included.")
    return groups


def _parted(
    prediction: MaskedPrediction, groups: list[_Group], *, by_receiver: bool
) -> tuple[tuple[str, ...], tuple[IntArray, ...], IntArray, tuple[str, ...]]:
    """Part all pairs among the groups that have any, and all others; the last groups join those if there are too many.

    Returns names and atoms of the units, the unit of each pair, and what there is to be said of it.
    """
    end = prediction.target if by_receiver else prediction.source
    number = np.full(len(prediction.glass), -1)
    kept: list[_Group] = []
    there = np.bincount(end, minlength=len(number)) > 0
    for name, atoms in groups:
        if (number[atoms] >= 0).any():
            raise InputError(f"atom {int(atoms[number[atoms] >= 0][0])} is in two units: name each atom once.")
        if there[atoms].any():
            number[atoms] = len(kept)
            kept.append((name, atoms))
    of_pair, caveats = number[end], []
    if not kept:
        raise InputError(f"the prediction of atom {prediction.atom} depends on no atom of any unit: name others.")
    most = MOST_GROUPS - 1 if (of_pair < 0).any() or len(kept) > MOST_GROUPS else MOST_GROUPS
    if len(kept) > most:
        also = ", ".join(name for name, _ in kept[most:])
        caveats.append(f"All coalitions of {MOST_GROUPS} units are predicted: {also} are among {OTHERS}.")
        of_pair, kept = np.where(of_pair < most, of_pair, -1), kept[:most]
    if (of_pair < 0).any():
        of_pair = np.where(of_pair < 0, len(kept), of_pair)
        kept.append((OTHERS, np.zeros(0, dtype=np.int64)))
    return tuple(name for name, _ in kept), tuple(atoms for _, atoms in kept), of_pair, tuple(caveats)
