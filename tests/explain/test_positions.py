"""Derivatives by positions: finite differences of the whole network, translation and cutting."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.explain import prepare
from symgnn_explain.explain.methods.positions import explain_positions
from symgnn_explain.models.ensemble import predict_graph
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass

from .conftest import random_glass, random_model
from .test_explain import assert_untouched, snapshot

ATOM = 7


def steep_predictor(**config: Any) -> Predictor:
    """An untrained network whose predictions depend on positions as strongly as a trained one's."""
    model = random_model(**config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and parameter.dim() == 2:
                parameter.mul_(3.0)
    return Predictor(model, device="cpu")


@pytest.fixture
def predictor() -> Predictor:
    return steep_predictor()


def plain_predictions(predictor: Predictor, glasses: list[Glass], atom: int) -> list[float]:
    """In double precision, over the whole graph, built anew."""
    model = copy.deepcopy(predictor.model).double()
    predictions = []
    for glass in glasses:
        graph = predictor.graph(glass)
        graph.x = graph.x.double()
        for name in ("edge", "pair"):
            if f"{name}_index" not in graph:
                continue
            source, target = graph[f"{name}_index"].numpy()
            # Single precision would drown differences as small as these; which image an edge goes to it still tells.
            inside = glass.positions[source] - glass.positions[target]
            cells = np.rint((graph[f"{name}_attr"].numpy() - inside) @ np.linalg.inv(glass.cell))
            graph[f"{name}_attr"] = torch.from_numpy(inside + cells @ glass.cell)
        with torch.no_grad():
            predictions.append(float(predict_graph(model, graph)[atom]))
    return predictions


@pytest.mark.parametrize("environment", [(0, 0, 0), (4, 2, 3)])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("n_atoms", "edge"), [(60, 9.9), (27, 7.2), (8, 5.6)])
def test_derivatives_are_finite_differences_of_the_whole_network(
    n_atoms: int, edge: float, seed: int, environment: tuple[int, int, int]
) -> None:
    """Small cells too, where an atom sees several images of another, and of itself.

    The network has some ten thousand kinks an Å. So the step is tiny, and structures are fixed, not drawn anew: in one
    of a hundred a kink is as close as single precision, in which the derivative is computed.
    """
    predictor = steep_predictor(environment=environment)
    glass = random_glass(n_atoms, seed=seed, edge=edge)
    found = explain_positions(prepare(predictor, glass), ATOM)
    step = 1e-8
    for row in {0, int(found.rank()[0]), int(found.rank()[1])}:
        moved = []
        for axis, sign in itertools.product(range(3), (1, -1)):
            positions = glass.positions.copy()
            positions[found.atoms[row], axis] += sign * step
            moved.append(replace(glass, positions=positions))
        ends = np.reshape(plain_predictions(predictor, moved, ATOM), (3, 2))
        differences = (ends[:, 0] - ends[:, 1]) / (2 * step)
        np.testing.assert_allclose(found.gradient[row], differences, atol=1e-3 * found.magnitude.max())


def test_the_receptive_field_is_all_that_matters() -> None:
    predictor = steep_predictor(heads=(1, 1))
    glass = random_glass(300, edge=17.0)
    found = explain_positions(prepare(predictor, glass), ATOM)
    graph = predictor.graph(glass)
    displacement = graph.edge_attr.clone().requires_grad_()
    barriers = predictor.model(graph.x, graph.edge_index, displacement)
    (by_edge,) = torch.autograd.grad(barriers[ATOM], displacement)
    expected = torch.zeros(len(glass), 3).index_add(0, graph.edge_index[0], by_edge)
    expected = expected.index_add(0, graph.edge_index[1], -by_edge).numpy()
    assert len(found.atoms) < len(glass)
    np.testing.assert_allclose(found.gradient, expected[found.atoms], atol=1e-5 * found.magnitude.max())
    assert np.abs(np.delete(expected, found.atoms, axis=0)).max() == 0
    assert found.prediction == pytest.approx(barriers[ATOM].item(), abs=1e-6)


def test_moving_all_atoms_together_changes_nothing(predictor, glass) -> None:
    found = explain_positions(prepare(predictor, glass), ATOM)
    np.testing.assert_allclose(found.gradient.sum(0), 0, atol=1e-12)
    assert found.magnitude.max() > 1e-3
    shifted = replace(glass, positions=glass.positions + np.array([0.3, -2.0, 7.7]))
    moved = explain_positions(prepare(predictor, shifted), ATOM)
    np.testing.assert_array_equal(moved.atoms, found.atoms)
    np.testing.assert_allclose(moved.gradient, found.gradient, atol=1e-4 * found.magnitude.max())


def test_positions_are_seen_from_the_explained_atom(predictor, glass) -> None:
    found = explain_positions(prepare(predictor, glass), ATOM)
    assert found.atoms[0] == ATOM
    np.testing.assert_array_equal(found.position[0], 0)
    assert (found.outward[0], found.distance[0]) == (0, 0)
    np.testing.assert_allclose(found.position, glass.displacements_from(ATOM)[found.atoms])
    table = found.to_frame(5)
    assert table["magnitude"].is_monotonic_decreasing
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    row = next(row for row in found.rank() if row > 0)
    along = found.gradient[row] @ found.position[row] / found.distance[row]
    assert table.set_index("atom").loc[found.atoms[row], "outward"] == pytest.approx(along)


def test_the_model_is_not_touched(predictor, glass) -> None:
    prepared = prepare(predictor, glass)
    predictor.model.train()
    before = snapshot(predictor.model)
    explain_positions(prepared, ATOM)
    assert_untouched(predictor.model, before)


def test_atoms_that_do_not_exist_are_refused(predictor, glass) -> None:
    with pytest.raises(InputError, match="atom 60 does not exist"):
        explain_positions(prepare(predictor, glass), 60)
