"""When a frame of a trajectory is, as its file says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from symgnn_explain.structure.glass import FloatArray, Glass

_NAMES = {"timestep": "timestep", "step": "step", "time": "time (unit of the file)"}
"""Keys of a frame, and what an axis calls them."""


class Moment(NamedTuple):
    """What an axis calls it, and the number."""

    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.name.split(' ', 1)[0]} {self.value:.12g}"


def moment_of(glass: Glass) -> Moment | None:
    """Return the step of a frame, or its time in the unit of its file; None where the file says neither.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from symgnn_explain import datasets
    >>> frame = replace(datasets.sample(), provenance={"TIMESTEP": "4000"})
    >>> print(moment_of(frame))
    timestep 4000
    """
    stated = {key.lower(): value for key, value in glass.provenance.items()}
    for key, name in _NAMES.items():
        try:
            value = float(stated[key])
        except (KeyError, ValueError):
            continue
        if math.isfinite(value):
            return Moment(name, value)
    return None


def moments_of(glasses: Sequence[Glass]) -> tuple[str, FloatArray] | None:
    """Return what an axis of moments is called, and the moments, shape (F,); None where they are no axis.

    They are where every frame says its moment under one name, each a later one than the frame before.
    """
    found = [moment_of(glass) for glass in glasses]
    moments = [moment for moment in found if moment is not None]
    values = np.array([moment.value for moment in moments])
    if (
        len(moments) < max(1, len(found))
        or len({moment.name for moment in moments}) > 1
        or (np.diff(values) <= 0).any()
    ):
        return None
    return moments[0].name, values
