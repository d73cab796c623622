"""Some atoms of a very large glass that stand for all, so that one of them is explained before all are predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symgnn_explain.models.blocks import surroundings
from symgnn_explain.models.predictor import AtomPredictions, Predictor, evaluation_mode
from symgnn_explain.models.sweep import sweep_first
from symgnn_explain.structure.bins import wrapped_into_cell
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

CUBES = 3
"""Cubes of atoms, the first in the middle of the glass."""

CUBE_EDGE = 30.0
"""Edge (Å) of a cube: some 1 700 atoms of a metallic glass, which take a second on one core."""

_STEPS = 1.2207440846057596 ** -np.arange(1.0, 4.0)
"""Steps along the edges of a cell by which points come to lie evenly in it (Roberts, 2018)."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Some atoms of a glass.

    Parameters
    ----------
    atoms
        Which, shape (n,).
    said
        What is predicted of them.
    messages
        What they receive on average in each layer of each member, shape (heads, dim).
    """

    atoms: IntArray
    said: AtomPredictions
    messages: list[list[Tensor]]


def sample_of(predictor: Predictor, glass: Glass) -> Sample:
    """Predict atoms in cubes all over a glass, the same ones each time; the network has to be a SymGNN.

    Raises
    ------
    InputError
        If the glass holds a species that the network does not know, or atoms overlap.
    """
    cubes = cubes_all_over(glass)
    with evaluation_mode(predictor.model):
        found = [sweep_first(predictor.model, *surroundings(predictor.model, glass, atoms)) for atoms in cubes]
    weights = [len(atoms) / sum(map(len, cubes)) for atoms in cubes]
    each = [predictor.said(one) for one in found]
    values = np.concatenate([one.values for one in each])
    said = AtomPredictions(values, _joined([one.spread for one in each]), _joined([one.domain for one in each]))
    messages = [
        [_mean(of_layer, weights) for of_layer in zip(*of_member, strict=True)]
        for of_member in zip(*(one.received for one in found), strict=True)
    ]
    return Sample(np.concatenate(cubes), said, messages)


def cubes_all_over(glass: Glass) -> list[IntArray]:
    """Choose the atoms of some cubes within a glass; no atom is in two of them."""
    _, scaled = wrapped_into_cell(glass)
    low = np.where(glass.pbc, 0.0, scaled.min(axis=0))
    high = np.where(glass.pbc, 1.0, scaled.max(axis=0))
    half = np.minimum(CUBE_EDGE / 2 / glass.heights(), (high - low) / 2)
    left, cubes = np.ones(len(glass), dtype=bool), []
    for number in range(CUBES):
        point = low + (high - low) * ((0.5 + number * _STEPS) % 1.0)
        # About an atom, as there may be none near the point.
        nearest = scaled[np.square((scaled - point) * glass.heights()).sum(axis=1).argmin()]
        centre = np.clip(nearest, low + half, high - half)
        cubes.append(np.flatnonzero((np.abs(scaled - centre) <= half).all(axis=1) & left))
        left[cubes[-1]] = False
    return [atoms for atoms in cubes if len(atoms)]


def _joined(parts: list[FloatArray | None]) -> FloatArray | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _mean(messages: tuple[Tensor, ...], weights: list[float]) -> Tensor:
    return torch.stack([weight * message for weight, message in zip(weights, messages, strict=True)]).sum(0)
