"""What displacements contributed to a change: sums, limits, and what must not matter."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain import explain_positions, path_contributions, prepare
from symgnn_explain.explain.engine import prepared as prepared_module
from symgnn_explain.explain.methods import path
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting import displacement_figure
from symgnn_explain.plotting.style import LOWERS, RAISES
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import Glass

from .conftest import random_glass, random_model
from .test_positions import ATOM, steep_predictor


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """A smooth network that is far from the ends of the range that it can predict."""
    model = random_model(smooth=True, environment=(4, 0, 3))
    model.label_range.copy_(torch.tensor([-100.0, 100.0]))
    return Predictor(model, device="cpu")


@pytest.fixture(scope="module")
def glass() -> Glass:
    return random_glass(60)


def displaced(glass: Glass, size: float, *moving: int) -> Glass:
    """Some atoms, or all, displaced, none of them on the whole."""
    shift = np.zeros(glass.positions.shape)
    rows = list(moving) or list(range(len(glass)))
    shift[rows] = np.random.default_rng(0).normal(0, size, (len(rows), 3))
    return replace(glass, positions=glass.positions + shift - np.median(shift, axis=0), name="displaced")


@pytest.mark.parametrize("atom", [ATOM, 20])
def test_contributions_sum_to_the_change(predictor: Predictor, glass: Glass, atom: int) -> None:
    end = displaced(glass, 0.03)
    found = path_contributions(predictor, glass, end, atom)
    before, after = predictor.predict(glass)[atom], predictor.predict(end)[atom]
    assert (found.before, found.after) == pytest.approx((before, after), abs=1e-6)
    assert abs(after - before) > 10 * abs(found.missing)
    assert found.complete
    assert found.contribution.sum() + found.of_cell + found.missing == pytest.approx(after - before, abs=1e-9)
    np.testing.assert_allclose(found.displacement, end.positions - glass.positions, atol=1e-12)
    table = found.to_frame()
    assert table["contribution"].abs().is_monotonic_decreasing
    assert table["contribution"].sum() == pytest.approx(found.contribution.sum())
    assert (table["species"] == np.array(glass.symbols)[table["atom"]]).all()


def test_a_short_way_is_the_derivative(predictor: Predictor, glass: Glass) -> None:
    end = displaced(glass, 1e-4)
    found = path_contributions(predictor, glass, end, ATOM)
    derivative = explain_positions(prepare(predictor, glass), ATOM)
    expected = (derivative.gradient * found.displacement[derivative.atoms]).sum(1)
    np.testing.assert_allclose(found.contribution[derivative.atoms], expected, atol=1e-2 * np.abs(expected).max())


def test_the_one_atom_that_moved_did_it(predictor: Predictor, glass: Glass) -> None:
    moved = displaced(glass, 0.1, 12)
    found = path_contributions(predictor, glass, moved, ATOM)
    assert found.to_frame(1)["atom"].tolist() == [12]
    np.testing.assert_allclose(np.delete(found.contribution, 12), 0, atol=1e-12)
    assert found.contribution[12] == pytest.approx(found.after - found.before, abs=1e-5)


def test_drift_crossings_and_order_do_not_matter(predictor: Predictor, glass: Glass) -> None:
    end = displaced(glass, 0.01)
    expected = path_contributions(predictor, glass, end, ATOM).contribution
    ids, order = np.arange(len(glass)), np.random.default_rng(1).permutation(len(glass))
    drifted = replace(end, positions=end.positions + glass.cell[0] + [0.3, 0.2, 0.1])
    named = glass.with_arrays(id=ids)
    mixed = Glass(end.positions[order], end.numbers[order], end.cell, arrays={"id": ids[order]})
    for start, other in ((glass, drifted), (named, mixed)):
        found = path_contributions(predictor, start, other, ATOM)
        np.testing.assert_allclose(found.contribution, expected, atol=1e-3 * np.abs(expected).max())


def test_a_strained_cell_contributes_by_itself(predictor: Predictor, glass: Glass) -> None:
    strain = np.array([[1.01, 0, 0], [0.02, 0.99, 0], [0, 0, 1.005]])
    end = replace(glass, positions=glass.positions @ strain, cell=glass.cell @ strain)
    found = path_contributions(predictor, glass, end, ATOM)
    change = found.after - found.before
    assert abs(change) > 1e-3
    assert found.of_cell == pytest.approx(change, abs=0.02 * abs(change))
    np.testing.assert_allclose(found.contribution, 0, atol=1e-9)
    assert "from the cell" in str(found)


def test_a_large_glass_is_cut_around_the_atom(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    glass = random_glass(1200, edge=26.9)
    end = displaced(glass, 0.01)
    whole = path_contributions(predictor, glass, end, ATOM)
    monkeypatch.setattr(prepared_module, "LARGE_ATOMS", 1000)
    cut = path_contributions(predictor, glass, end, ATOM)
    np.testing.assert_allclose(cut.contribution, whole.contribution, atol=1e-4 * np.abs(whole.contribution).max())


def test_edges_that_come_and_go_are_what_is_missing(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "MOST_POINTS", 17)
    found = path_contributions(steep_predictor(), glass, displaced(glass, 0.1), ATOM)
    assert found.points == 17
    assert not found.complete
    assert "not accounted for" in found.warning


def test_progress_and_cancelling(predictor: Predictor, glass: Glass) -> None:
    seen, cancel = list[float](), threading.Event()

    def report(fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            cancel.set()

    end = displaced(glass, 0.3)
    with pytest.raises(Cancelled):
        path_contributions(predictor, glass, end, ATOM, watch=Watch(report, cancel))
    assert len(seen) == 2


def test_other_structures_are_refused(predictor: Predictor, glass: Glass) -> None:
    with pytest.raises(InputError, match="do not hold the same atoms"):
        path_contributions(predictor, glass, random_glass(seed=1), ATOM)
    with pytest.raises(InputError, match="atom 60 does not exist"):
        path_contributions(predictor, glass, glass, 60)


def test_arrows_have_the_colour_of_what_they_did(predictor: Predictor, glass: Glass) -> None:
    found = path_contributions(predictor, glass, displaced(glass, 0.05), ATOM)
    figure = displacement_figure(found, k=12)
    shafts = {
        trace.line.color: len(trace.x) // 3
        for trace in figure.data
        if trace.type == "scatter3d" and trace.mode == "lines"
    }
    top = found.to_frame(12)["contribution"]
    assert shafts == {RAISES: int((top > 0).sum()), LOWERS: int((top < 0).sum())}
    with pytest.raises(InputError, match="at least 1"):
        displacement_figure(found, k=0)
