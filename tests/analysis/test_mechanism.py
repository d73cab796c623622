"""The atoms that matter beside those that move: areas that are known, and nulls of equal distance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from symgnn_explain.analysis import mechanism
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting import mechanism_figure
from symgnn_explain.saddles import AtomBarrier, Saddle
from symgnn_explain.structure.glass import Glass

ATOM = 3


def barrier_of(atoms: np.ndarray, length: float = 0.5, atom: int = ATOM) -> AtomBarrier:
    """Two saddle points: at the first half of the atoms move, at the second the other half, each by a length."""
    halves = np.array_split(np.sort(atoms), 2)
    way = [np.tile([0.0, length, 0.0], (len(half), 1)) for half in halves]
    saddles = tuple(
        Saddle(1.5, 0.2, -1.0, k, half, moved) for k, (half, moved) in enumerate(zip(halves, way, strict=True))
    )
    return AtomBarrier(atom, saddles, {"saddle": 2}, (1, 1))


@pytest.fixture
def explained(glass: Glass, explain_by_hand: Callable[..., AtomExplanation]) -> Callable[..., AtomExplanation]:
    def explain(of_atom: np.ndarray | None = None) -> AtomExplanation:
        score = None if of_atom is None else (lambda why: of_atom[why.source] / np.bincount(why.source)[why.source])
        return explain_by_hand(glass, ATOM, cutoff=4.0, score=score)

    return explain


def test_the_area_is_that_of_the_rank_sum(glass: Glass, explained: Callable[..., AtomExplanation]) -> None:
    why = explained()
    rng = np.random.default_rng(1)
    reached = np.setdiff1d(why.source, [ATOM])
    moving = rng.choice(reached, 30, replace=False)
    found = mechanism(why, barrier_of(moving), glass)
    assert set(found.atoms[found.moves]) == set(moving)
    first, rest = found.score[found.moves], found.score[~found.moves]
    assert found.auc == pytest.approx(mannwhitneyu(first, rest).statistic / (len(first) * len(rest)))
    # Within a distance, pair by pair.
    shell = found.distance // 0.5
    pairs = [
        float(np.sign(one - other) / 2 + 0.5)
        for one, its in zip(first, shell[found.moves], strict=True)
        for other, of in zip(rest, shell[~found.moves], strict=True)
        if its == of
    ]
    assert found.auc_at_equal_distance == pytest.approx(np.mean(pairs))


def test_scores_that_know_what_moves_and_scores_that_know_distance_alone(
    glass: Glass, explained: Callable[..., AtomExplanation]
) -> None:
    distance = np.linalg.norm(glass.displacements_from(ATOM), axis=1)
    near = np.setdiff1d(np.flatnonzero(distance < 5.0), [ATOM])
    moving = np.random.default_rng(2).choice(near, len(near) // 2, replace=False)
    moves = np.isin(np.arange(len(glass)), moving)
    knows = mechanism(explained(1.0 + moves), barrier_of(moving), glass)
    assert knows.auc == knows.auc_at_equal_distance == 1.0
    assert knows.auc_null < 0.95
    assert knows.overlap()[0] == len(moving)
    distant = mechanism(explained(10.0 - distance // 0.5), barrier_of(moving), glass)
    assert distant.auc_at_equal_distance == pytest.approx(0.5)
    # To the null of equal distance it is no news.
    assert distant.auc == pytest.approx(distant.auc_null)
    assert distant.auc > 0.7


def test_atoms_that_the_prediction_does_not_depend_on_are_counted(
    glass: Glass, explained: Callable[..., AtomExplanation]
) -> None:
    why = explained()
    beyond = np.setdiff1d(np.arange(len(glass)), why.source)
    moving = np.concatenate([np.setdiff1d(why.source, [ATOM])[:5], beyond[:3], [ATOM]])
    found = mechanism(why, barrier_of(moving), glass)
    assert found.n_beyond == 3
    assert int(found.moves.sum()) == 5
    assert ATOM not in found.atoms
    assert "5 of" in str(found)


def test_what_cannot_be_compared_is_refused(glass: Glass, explained: Callable[..., AtomExplanation]) -> None:
    why = explained()
    moving = np.setdiff1d(why.source, [ATOM])
    for barrier, said in (
        (barrier_of(moving[:4], atom=5), "atom 3 .* atom 5"),
        (AtomBarrier(ATOM, (), {"diverged": 2}, (1, 1)), "no saddle point"),
        (barrier_of(moving[:4], length=0.05), "none of the"),
        (barrier_of(moving), "all of the"),
    ):
        with pytest.raises(InputError, match=said):
            mechanism(why, barrier, glass)
    with pytest.raises(InputError, match="moves"):
        mechanism(why, barrier_of(moving[:4]), glass, moves=-1.0)


def test_the_figure_shows_what_matters_and_what_moves(glass: Glass, explained: Callable[..., AtomExplanation]) -> None:
    why = explained()
    barrier = barrier_of(np.setdiff1d(why.source, [ATOM])[:6])
    found = mechanism(why, barrier, glass)
    figure = mechanism_figure(glass, found, barrier, k=20)
    matter = next(trace for trace in figure.data if "matter" in (trace.name or ""))
    first = np.argsort(-found.score, kind="stable")[:20]
    np.testing.assert_allclose(
        np.column_stack([matter.x, matter.y, matter.z]), glass.displacements_from(ATOM)[found.atoms[first]]
    )
    [shafts] = [trace for trace in figure.data if trace.type == "scatter3d" and trace.mode == "lines"]
    assert shafts.name == "6 atoms that move"
    assert len(shafts.x) == 3 * 6
    with pytest.raises(InputError, match="not of atom 3"):
        mechanism_figure(glass, found, barrier_of(found.atoms[:4], atom=9))
