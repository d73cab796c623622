"""Saddle points as arrows, and computed barriers beside others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.plotting import computed_barrier_figure, saddle_figure
from symgnn_explain.plotting.arrows import LONGEST_ARROW
from symgnn_explain.saddles import AtomBarrier, Saddle
from symgnn_explain.structure.glass import Glass


@pytest.fixture
def barrier(glass: Glass) -> AtomBarrier:
    """Atom 3 with two made-up saddles: of all its neighbours, and of one far atom."""
    near = np.argsort(np.linalg.norm(glass.displacements_from(3), axis=1), kind="stable")[:12]
    moved = np.random.default_rng(0).normal(0, 0.3, (12, 3))
    saddles = (Saddle(1.5, 0.2, -1.0, 0, near, moved), Saddle(2.5, 0.3, -2.0, 3, near[-1:], moved[-1:]))
    return AtomBarrier(3, saddles, {"saddle": 2, "not connected": 2}, (100, 20))


def test_arrows_are_the_way_to_the_saddle(glass: Glass, barrier: AtomBarrier) -> None:
    figure = saddle_figure(glass, barrier, 0, k=8)
    [shafts] = [trace for trace in figure.data if trace.type == "scatter3d" and trace.mode == "lines"]
    ends = np.column_stack([shafts.x, shafts.y, shafts.z]).reshape(8, 3, 3)
    saddle = barrier.saddles[0]
    length = np.linalg.norm(saddle.displacements, axis=1)
    rows = np.argsort(-length)[:8]
    np.testing.assert_allclose(ends[:, 0], glass.displacements_from(3)[saddle.atoms[rows]])
    np.testing.assert_allclose(
        ends[:, 1] - ends[:, 0], saddle.displacements[rows] * LONGEST_ARROW / length.max(), atol=1e-12
    )
    assert f"{length.max():.2f} Å" in shafts.name
    assert "1.500 eV" in figure.layout.title.text
    said = "".join(text for trace in figure.data for text in trace.hovertext or ())
    assert all(f"atom {atom} (" in said for atom in saddle.atoms[rows])


def test_the_pushed_atom_is_shown_where_it_does_not_move(glass: Glass, barrier: AtomBarrier) -> None:
    figure = saddle_figure(glass, barrier, 1)
    assert any("pushed atom 3" in (trace.name or "") for trace in figure.data)
    assert any("atom 3 (" in text and "0.00 Å" in text for trace in figure.data for text in trace.hovertext or ())


@pytest.mark.parametrize(("number", "k", "said"), [(2, 5, "has 2 saddles"), (-1, 5, "does not exist"), (0, 0, "k=0")])
def test_what_is_not_there_is_refused(glass: Glass, barrier: AtomBarrier, number: int, k: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        saddle_figure(glass, barrier, number, k=k)


def test_computed_barriers_stand_beside_others() -> None:
    table = pd.DataFrame(
        {
            "atom": range(5),
            "barrier_eV": [1.0, 1.5, 2.0, 2.5, np.nan],
            "standard_error_eV": [0.1, np.nan, 0.1, 0.1, np.nan],
            "published_eV": [1.1, 1.4, 2.1, 2.4, 1.0],
        }
    )
    figure = computed_barrier_figure(table, "published_eV", named="published barrier")
    points = figure.data[-1]
    assert list(points.y) == [1.0, 1.5, 2.0, 2.5]
    assert list(points.error_y.array) == [0.1, 0.0, 0.1, 0.1]
    r = np.corrcoef([1.0, 1.5, 2.0, 2.5], [1.1, 1.4, 2.1, 2.4])[0, 1]
    assert f"r = {r:.2f}" in figure.layout.annotations[0].text
    equal = computed_barrier_figure(table.assign(published_eV=1.5), "published_eV", named="published barrier")
    assert "Pearson" not in equal.layout.annotations[0].text
    with pytest.raises(InputError, match="2 atoms have both"):
        computed_barrier_figure(table[:2], "published_eV", named="published barrier")
