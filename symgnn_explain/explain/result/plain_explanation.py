"""What an explanation's plain values have to be: they may come from anyone's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.protocol import COVERS, MASK_SEMANTICS
from symgnn_explain.explain.engine.units import Units
from symgnn_explain.explain.fidelity.measure import Fidelity
from symgnn_explain.models.target import Target
from symgnn_explain.runs.plain import (
    LONGEST_NAME,
    MOST_NAMES,
    NotPlainError,
    entry,
    finite,
    numbers,
    one_of,
    settings,
    shown,
    whole,
    word,
)

_LARGEST_ATOM = 2**40


def read_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of an explanation, each of the kind that it has to be.

    Raises
    ------
    NotPlainError
        If one is missing, unknown, or of another kind.
    """
    n_edges = len(entry(content, "source", list, np.ndarray))
    quantity = _quantity(content)
    parts: dict[str, Any] = {
        "atom": whole(content, "atom", most=_LARGEST_ATOM),
        "method": word(content, "method"),
        "source": numbers(content, "source", np.int64, (n_edges,)),
        "target": numbers(content, "target", np.int64, (n_edges,)),
        "displacement": numbers(content, "displacement", np.float64, (n_edges, 3)),
        "hop": numbers(content, "hop", np.int64, (n_edges,)),
        "score": numbers(content, "score", np.float64, (n_edges,)),
        "signed": entry(content, "signed", bool),
        "prediction": finite(content, "prediction"),
        "prediction_range": tuple(numbers(content, "prediction_range", np.float64, (2,)).tolist()),
        "masked_prediction": _optional(content, "masked_prediction", finite),
        "settings": settings(content, "settings"),
        "seed": _optional(content, "seed", whole),
        "diagnostics": _diagnostics(content),
        "glass_name": word(content, "glass_name"),
        "glass_sha256": word(content, "glass_sha256", longest=64),
        "mask_semantics": one_of(content, "mask_semantics", MASK_SEMANTICS),
        "covers": one_of(content, "covers", COVERS),
        "reference_name": word(content, "reference_name"),
        "units": _optional(content, "units", lambda held, name: _units(held[name], n_edges)),
        "spread": _optional(content, "spread", lambda held, name: numbers(held, name, np.float64, (n_edges,))),
        "member_spread": _optional(
            content, "member_spread", lambda held, name: numbers(held, name, np.float64, (n_edges,))
        ),
        "fidelity": _optional(content, "fidelity", lambda held, name: Fidelity.from_dict(held[name], quantity)),
        "quantity": quantity,
    }
    if "wall_time" in content:  # records keep it elsewhere
        parts["wall_time"] = finite(content, "wall_time", least=0.0)
    for name in ("source", "target", "hop"):
        if parts[name].min(initial=0) < 0:
            raise NotPlainError(f"its {name} holds negative numbers")
    if unknown := sorted(set(content) - set(parts) - {"wall_time"}):
        raise NotPlainError(f"it has an unknown part {shown(unknown[0])}")
    return parts


def _quantity(content: Mapping[str, Any]) -> Target:
    described = settings(content, "quantity")
    try:
        quantity = Target.from_dict(described)
        _ = quantity.required_tolerance
    except InputError as error:
        raise NotPlainError(str(error).rstrip(".")) from error
    return quantity


def _optional(content: Mapping[str, Any], name: str, read: Any) -> Any:
    """Return a part that may be None."""
    entry(content, name, object)
    return None if content[name] is None else read(content, name)


def _diagnostics(content: Mapping[str, Any]) -> dict[str, float]:
    """Read numbers by name; one that was not found is not a number."""
    named: dict[str, Any] = entry(content, "diagnostics", dict)
    if len(named) > MOST_NAMES or any(len(name) > LONGEST_NAME for name in named):
        raise NotPlainError("its diagnostics are more, or have longer names, than any method's")
    for name, value in named.items():
        if not isinstance(value, (bool, int, float)) or abs(value) > 1e300:
            raise NotPlainError(f"its diagnostics {shown(name)} is {shown(value)}")
    return named


def _units(plain: Any, n_edges: int) -> Units:
    units = Units.from_dict(plain)
    if len(units.of_edge) != n_edges:
        raise NotPlainError(f"its units are of {len(units.of_edge)} edges, and it has {n_edges}")
    return units
