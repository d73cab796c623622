"""Agreement is complete with oneself, symmetric, blind to the order of edges, and near zero for random scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from symgnn_explain.errors import InputError
from symgnn_explain.explain import AtomExplanation, explain_atom
from symgnn_explain.explain.result.agreement import agreement
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass


@pytest.fixture
def pair(glass: Glass, tiny_predictor: Predictor) -> tuple[AtomExplanation, AtomExplanation]:
    return explain_atom(tiny_predictor, glass, 5, "gnnexplainer", epochs=30), explain_atom(
        tiny_predictor, glass, 5, "integrated_gradients"
    )


EDGES, WITHIN = "rank correlation of edges", "rank correlation within hops"


def both(first: AtomExplanation, second: AtomExplanation) -> pd.Series:
    return agreement(first, second).set_index("quantity")["both"].dropna().astype(float)


def test_an_explanation_agrees_with_itself(pair: tuple[AtomExplanation, AtomExplanation]) -> None:
    same = both(pair[0], pair[0])
    assert len(same) == 6
    np.testing.assert_allclose(same, 1.0)


def test_the_order_of_edges_and_of_explanations_does_not_matter(pair: tuple[AtomExplanation, AtomExplanation]) -> None:
    first, second = pair
    order = np.random.default_rng(0).permutation(len(second))
    arrays = {name: getattr(second, name)[order] for name in ("source", "target", "displacement", "hop", "score")}
    straight = both(first, second)
    assert straight[EDGES] == pytest.approx(spearmanr(np.abs(first.score), np.abs(second.score)).statistic)
    for other in (both(first, replace(second, **arrays)), both(second, first)):
        np.testing.assert_allclose(other, straight)


def test_random_scores_agree_in_nothing(pair: tuple[AtomExplanation, AtomExplanation]) -> None:
    random = replace(pair[0], score=np.random.default_rng(1).random(len(pair[0])))
    assert both(pair[0], random)[[EDGES, WITHIN]].abs().max() < 5 / np.sqrt(len(random))


def test_different_atoms_share_atoms_at_most(glass: Glass, tiny_predictor: Predictor) -> None:
    one, other = (explain_atom(tiny_predictor, glass, atom, "distance") for atom in (5, 6))
    assert set(both(one, other).index) == {f"atoms on the top {k} edges in common" for k in (10, 50)}
    table = agreement(one, other).set_index("quantity")
    assert table.loc["prediction (eV)", "first"] == one.prediction
    hops = [name for name in table.index if name.startswith("share of edges into hop")]
    assert table.loc[hops, "second"].astype(float).sum() == pytest.approx(1.0)


def test_different_glasses_are_refused(pair: tuple[AtomExplanation, AtomExplanation]) -> None:
    with pytest.raises(InputError, match="different glasses"):
        agreement(pair[0], replace(pair[1], glass_sha256="0"))


def test_other_edges_of_the_same_atom_share_atoms_at_most(pair: tuple[AtomExplanation, AtomExplanation]) -> None:
    """Pairs and edges of one network, or networks of different reach."""
    first, second = pair
    fewer = {name: getattr(second, name)[:-1] for name in ("source", "target", "displacement", "hop", "score")}
    for other in (replace(second, **fewer), replace(second, displacement=1.1 * second.displacement)):
        assert set(both(first, other).index) == {f"atoms on the top {k} edges in common" for k in (10, 50)}
