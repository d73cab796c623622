"""What if: every step's predictions are those of its structure, and counterfactuals do what they say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.analysis.what_if.changes import changes_between
from symgnn_explain.analysis.what_if.counterfactuals import (
    Counterfactuals,
    CounterfactualSettings,
    find_counterfactuals,
)
from symgnn_explain.analysis.what_if.laboratory import WhatIf
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.models.live import LivePrediction
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.edits import Move, Swap, apply_edits
from symgnn_explain.structure.glass import Glass

ATOM = 40


@pytest.fixture(scope="module")
def small(random_glass: Callable[..., Glass]) -> Glass:
    return random_glass(6)


@pytest.fixture
def what_if(tiny_predictor: Predictor, small: Glass) -> WhatIf:
    return WhatIf(tiny_predictor, small)


def test_each_step_is_predicted_and_undone(what_if: WhatIf, tiny_predictor: Predictor, small: Glass) -> None:
    first = what_if.edit("remove 3,5; move 0 by 0.1 0 0")
    second = what_if.edit("turn selected into Zr", selected=np.flatnonzero(first.glass.numbers == 29)[:1])
    for step in (first, second):
        whole = tiny_predictor.predict(step.glass)
        np.testing.assert_allclose(step.predictions.values, whole, atol=1e-5)
    assert what_if.now_of(3) is None
    assert what_if.now_of(4) == 3
    before = tiny_predictor.predict(small)
    np.testing.assert_allclose(what_if.change, second.predictions.values - before[second.origin], atol=1e-5)
    assert what_if.undo() is first
    again = what_if.edit("move 7 by 0 0 0.1")
    np.testing.assert_allclose(again.predictions.values, tiny_predictor.predict(again.glass), atol=1e-5)
    for _ in range(3):
        what_if.undo()
    assert what_if.now.glass is small
    assert not what_if.change.any()


def test_the_table_lists_what_changed_most(what_if: WhatIf) -> None:
    place = what_if.start.glass.positions[:2].mean(axis=0)
    what_if.edit(f"remove 0; remove 0; insert Zr at {place[0]} {place[1]} {place[2]}")
    change = what_if.change
    assert np.isnan(change[-1])
    table = what_if.changes(5)
    assert len(table) == 5
    known = np.sort(np.abs(change[:-1]))[::-1]
    np.testing.assert_allclose(np.abs(table["change"]), known[:5])
    assert (table["before"] == what_if.now.origin[table["atom"]]).all()
    np.testing.assert_allclose(table["prediction_before"], what_if.start.predictions.values[table["before"]])
    assert len(what_if.changes(10_000)) == len(change) - 1


def test_an_edit_that_is_refused_changes_nothing(what_if: WhatIf) -> None:
    what_if.edit("move 7 by 0 0 0.1")
    for words, said in (
        ("turn 5 into Ag", "contains Ag"),
        ("remove 7; remove 999", "does not exist"),
        ("hop", "write"),
    ):
        with pytest.raises(InputError, match=said):
            what_if.edit(words)
    with pytest.raises(InputError, match="is no calculator: give EamCalculator"):
        what_if.relax("CuZr.eam.fs")
    with pytest.raises(InputError, match="at least 1"):
        what_if.changes(-1)
    assert len(what_if.steps) == 2
    assert len(repr(what_if)) + len(repr(what_if.now)) + len(repr(what_if.live)) < 500
    with pytest.raises(InputError, match="does not have the atoms"):
        what_if.become(apply_edits(what_if.now.glass, [Swap(*_unlike(what_if.now.glass))]).glass)


def _unlike(glass: Glass) -> tuple[int, int]:
    return int(np.flatnonzero(glass.numbers == 29)[0]), int(np.flatnonzero(glass.numbers == 40)[0])


@pytest.fixture(scope="module")
def searched(tiny_predictor: Predictor, small: Glass) -> Callable[[float], Counterfactuals]:
    live = LivePrediction.of(tiny_predictor, small)
    return lambda by: find_counterfactuals(live, ATOM, by, settings=CounterfactualSettings(within=5.0))


@pytest.mark.parametrize("by", [0.02, -0.02, 50.0])
def test_counterfactuals_do_what_they_say(
    searched: Callable[[float], Counterfactuals], tiny_predictor: Predictor, small: Glass, by: float
) -> None:
    found = searched(by)
    before = tiny_predictor.predict(small)[ATOM]
    assert found.found
    assert found.reached == (abs(by) < 1)
    for each in found.found:
        edited = apply_edits(small, each.edits).glass
        assert edited.content_hash == each.glass.content_hash
        assert edited.numbers[ATOM] == small.numbers[ATOM]
        assert each.change == pytest.approx(tiny_predictor.predict(edited)[ATOM] - before, abs=1e-5)
        assert not found.reached or np.sign(by) * each.change >= abs(by)
    sizes = [len(each.edits) for each in found.found]
    assert not found.reached or sizes == sorted(sizes)
    assert len(found.to_frame()) == len(found.found)


def test_a_shift_is_the_shortest_that_is_enough(
    searched: Callable[[float], Counterfactuals], tiny_predictor: Predictor, small: Glass
) -> None:
    shifts = [each for each in searched(0.02).found if isinstance(each.edits[0], Move)]
    before = tiny_predictor.predict(small)[ATOM]
    for each in shifts:
        [move] = each.edits
        assert isinstance(move, Move)
        x, y, z = (0.6 * value for value in move.by)
        shorter = apply_edits(small, [Move(move.atoms, (x, y, z))]).glass
        assert tiny_predictor.predict(shorter)[ATOM] - before < 0.02
    assert shifts


def test_what_cannot_be_searched_for_is_refused(tiny_predictor: Predictor, small: Glass) -> None:
    live = LivePrediction.of(tiny_predictor, small)
    for by in (0.0, float("nan")):
        with pytest.raises(InputError, match="give a number that is not 0"):
            find_counterfactuals(live, ATOM, by)
    with pytest.raises(InputError, match="does not exist"):
        find_counterfactuals(live, 10**6, 0.1)
    with pytest.raises(InputError, match="must be positive"):
        CounterfactualSettings(within=-1)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        find_counterfactuals(live, ATOM, 0.1, watch=Watch(cancel=cancel))


def test_changes_between_two_structures_list_every_atom(tiny_predictor: Predictor, small: Glass) -> None:
    end = replace(small, positions=small.positions + np.random.default_rng(0).normal(0, 0.05, small.positions.shape))
    table = changes_between(tiny_predictor, small, end)
    before, after = tiny_predictor.predict(small), tiny_predictor.predict(end)
    assert table["change"].abs().is_monotonic_decreasing
    by_atom = table.set_index("atom").sort_index()
    np.testing.assert_allclose(by_atom["change"], after - before, atol=1e-6)
    apart = end.positions - small.positions
    np.testing.assert_allclose(by_atom["moved"], np.linalg.norm(apart - np.median(apart, axis=0), axis=1), atol=1e-9)
    given = [tiny_predictor.predict_atoms(each) for each in (small, end)]
    assert changes_between(tiny_predictor, small, end, known=(given[0], given[1])).equals(table)
