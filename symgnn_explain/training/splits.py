"""Which glasses may train a predictor that others validate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from symgnn_explain.errors import InputError
from symgnn_explain.structure.datasets import SHA256
from symgnn_explain.structure.glass import FloatArray, Glass

SAME_SITE = 0.3
"""Distance (Å) under which atoms of two glasses, brought to one cell, are taken to stand at the same site."""

RELATED_FRACTION = 0.1
"""Fraction of atoms at shared sites above which two glasses are related; by chance it is 0.007 in a metallic glass."""

RELATED_GLASSES = (frozenset({"train0", "train1"}), frozenset({"train5", "train6"}))
"""train1 is train0 with barriers computed anew; train6 is train5 deformed. Each pair stays on one side of a split."""

TRAINING_GLASSES = tuple(name for name in SHA256 if name.startswith("train"))
DEFAULT_VALIDATION = ("train0", "train1")


def split_glasses(validation: Iterable[str] = DEFAULT_VALIDATION) -> tuple[list[str], list[str]]:
    """Split the published training glasses into names for training and for validation.

    Raises
    ------
    InputError
        If a name is unknown, a side is empty, or related glasses would be torn apart.
    """
    held_out = list(dict.fromkeys(validation))
    unknown = sorted(set(held_out) - set(TRAINING_GLASSES))
    if unknown:
        raise InputError(f"cannot validate on {', '.join(unknown)}: choose from {', '.join(TRAINING_GLASSES)}.")
    kept = [name for name in TRAINING_GLASSES if name not in held_out]
    if not held_out or not kept:
        raise InputError("a split needs at least one glass on each side.")
    for group in RELATED_GLASSES:
        if 0 < len(group & set(held_out)) < len(group):
            raise InputError(f"{' and '.join(sorted(group))} are related glasses: hold out both or neither.")
    return kept, held_out


def folds() -> tuple[tuple[str, ...], ...]:
    """Group the published training glasses into the five folds of a cross-validation; related glasses share one."""
    grouped: dict[frozenset[str], list[str]] = {}
    for name in TRAINING_GLASSES:
        relatives = next((group for group in RELATED_GLASSES if name in group), frozenset({name}))
        grouped.setdefault(relatives, []).append(name)
    return tuple(tuple(names) for names in grouped.values())


def related_groups(glasses: Sequence[Glass]) -> list[list[int]]:
    """Group glasses so that relatives, directly or through others, share a group: places in ``glasses``, in order."""
    related = np.eye(len(glasses), dtype=bool)
    for first, second in combinations(range(len(glasses)), 2):
        related[first, second] = shared_sites(glasses[first], glasses[second]) > RELATED_FRACTION
    count, label = connected_components(related, directed=False)
    return [np.flatnonzero(label == group).tolist() for group in range(count)]


def require_unrelated(training: Sequence[Glass], validation: Sequence[Glass]) -> None:
    """Refuse a split that lets a network see in training what it is validated on.

    Raises
    ------
    InputError
        If there is nothing to train on, or a glass, its copy or its deformed version is on both sides.
    """
    if not training:
        raise InputError("no glass was given to train on: at least one is needed.")
    for known in training:
        for held_out in validation:
            shared = shared_sites(known, held_out)
            if shared > RELATED_FRACTION:
                raise InputError(
                    f"{known.name!r} (training) and {held_out.name!r} (validation) are related ({shared:.0%} of the "
                    "atoms stand at the same sites): put both on one side."
                )


def shared_sites(first: Glass, second: Glass) -> float:
    """Return the fraction of atoms that stand where ``second`` has an atom of the same species, cells made equal.

    It sees copies, repeated measurements and homogeneous deformations, but not a glass that was rotated or shifted.
    """
    edges = np.linalg.norm(first.cell, axis=1)
    here, there = (_sites(glass, edges) for glass in (first, second))
    shared = 0
    for number in np.intersect1d(first.numbers, second.numbers):
        tree = cKDTree(there[second.numbers == number], boxsize=edges)
        distance, _ = tree.query(here[first.numbers == number], distance_upper_bound=SAME_SITE)
        shared += int(np.isfinite(distance).sum())
    return shared / len(first)


def _sites(glass: Glass, edges: FloatArray) -> FloatArray:
    """Positions in an orthorhombic cell of these edges, wrapped into it."""
    scaled = glass.fractional()
    # The remainder of a tiny negative number rounds up to the edge itself, which is outside: hence the second one.
    return np.mod(np.mod(scaled * edges, edges), edges)
