from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


@pytest.fixture
def explanation(glass: Glass) -> AtomExplanation:
    """Atom 0, in a corner of the cell, with its first-layer edges and those of its neighbours; random scores."""
    return one_atom(glass)


@pytest.fixture
def signed_explanation(glass: Glass) -> AtomExplanation:
    """The same with contributions of both signs."""
    return one_atom(glass, signed=True)


def one_atom(glass: Glass, *, signed: bool = False) -> AtomExplanation:
    source, target, displacement = neighbour_edges(glass, 4.0)
    hop = np.full(len(glass), 2)
    hop[source[target == 0]] = 1
    hop[0] = 0
    kept = hop[target] < 2
    rng = np.random.default_rng(0)
    return AtomExplanation(
        atom=0,
        method="integrated_gradients" if signed else "gnnexplainer",
        source=source[kept],
        target=target[kept],
        displacement=displacement[kept],
        hop=hop[target][kept],
        score=rng.normal(0, 0.05, kept.sum()) if signed else rng.random(kept.sum()),
        signed=signed,
        prediction=1.234,
        prediction_range=(1.0, 2.0),
        masked_prediction=None if signed else 2.5,
        settings={"seed": 0},
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
    )


@pytest.fixture
def same_when_read_back() -> Callable[[go.Figure], go.Figure]:
    """Reader of what a figure becomes as JSON: every point that was drawn is there, and every axis has a title."""

    def plain(values: Any) -> list[object]:
        if isinstance(values, dict):  # how plotly writes arrays of numbers
            values = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
        listed = np.asarray(values).tolist()
        return [None if value is None or value != value else value for value in listed]  # noqa: PLR0124 - nan

    def read_back(figure: go.Figure) -> go.Figure:
        again = pio.from_json(figure.to_json())
        assert len(again.data) == len(figure.data) > 0
        for trace, known in zip(again.data, figure.data, strict=True):
            assert (trace.type, trace.name) == (known.type, known.name)
            for axis in ("x", "y", "z"):
                if axis in known and known[axis] is not None:
                    assert plain(trace[axis]) == plain(known[axis]) != []
        if all(trace.type == "scatter3d" for trace in again.data):
            axes = [again.layout.scene[f"{name}axis"] for name in "xyz"]
        else:
            axes = [again.layout[name] for name in again.layout if name.startswith(("xaxis", "yaxis"))]
        assert all(axis.title.text for axis in axes)
        return again

    return read_back
