"""The result object: tables, conversions and the round trip through a file."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from ase import Atoms

from symgnn_explain.errors import InputError
from symgnn_explain.explain import AtomExplanation, explain_atom, prepare
from symgnn_explain.explain.fidelity.measure import Fidelity
from symgnn_explain.structure.glass import Glass

from .conftest import random_glass


@pytest.fixture
def by_hand() -> AtomExplanation:
    """Edges 1→0, 2→0, 0→0 (self), 3→1, 0→1 with scores 0.5, -0.9, 0.5, 0.1, 0.2."""
    return AtomExplanation(
        atom=0,
        method="by hand",
        source=[1, 2, 0, 3, 0],
        target=[0, 0, 0, 1, 1],
        displacement=[[2.0, 0, 0], [0, 3.0, 0], [0, 0, 0], [0, 0, 4.0], [-2.0, 0, 0]],
        hop=[0, 0, 0, 1, 1],
        score=[0.5, -0.9, 0.5, 0.1, 0.2],
        signed=True,
        prediction=1.5,
        prediction_range=(1.0, 2.0),
        masked_prediction=2.5,
        settings={"epochs": 3},
        diagnostics={"mask_sum": 0.4},
    )


def test_top_edges_rank_by_absolute_score_with_stable_ties(by_hand) -> None:
    table = by_hand.top_edges(3)
    assert table["source"].tolist() == [2, 1, 0]
    assert table["distance"].tolist() == [3.0, 2.0, 0.0]
    assert table["self_loop"].tolist() == [False, False, True]
    assert len(by_hand.top_edges(100)) == 5


def test_important_atoms_sum_the_edges_that_touch_them(by_hand) -> None:
    table = by_hand.important_atoms(5).set_index("atom")["score"]
    assert 0 not in table.index
    assert table.to_dict() == pytest.approx({2: 0.9, 1: 0.5 + 0.1 + 0.2, 3: 0.1})


def test_atom_scores_count_each_sender_once_an_edge(by_hand) -> None:
    assert by_hand.atom_scores().to_dict() == pytest.approx({0: 0.7, 1: 0.5, 2: 0.9, 3: 0.1})
    assert by_hand.atom_scores().sum() == pytest.approx(np.abs(by_hand.score).sum())


def test_a_masked_prediction_outside_the_range_is_flagged(by_hand) -> None:
    assert by_hand.out_of_distribution is True
    assert by_hand.masked_change == pytest.approx(1.0)
    inside = dataclasses.replace(by_hand, masked_prediction=1.2)
    assert inside.out_of_distribution is False
    # of a crystal, say, whose atoms are all predicted alike: 1.2304 eV does not leave "1.230 to 1.230 eV"
    end = dataclasses.replace(by_hand, prediction_range=(1.2301, 1.2302), masked_prediction=1.2304, fidelity=None)
    assert end.out_of_distribution is False
    assert dataclasses.replace(end, masked_prediction=1.2316).out_of_distribution is True
    without = dataclasses.replace(by_hand, masked_prediction=None)
    assert without.out_of_distribution is None
    assert without.masked_change is None


def test_of_many_masked_predictions_outside_the_range_the_farthest_are_named(by_hand) -> None:
    kept, removed = np.array([0.9, 2.6, 1.5]), np.array([0.2, 3.25, 2.1])
    checked = Fidelity(np.array([1, 3, 10]), kept, removed, original=1.5, baseline=1.4)
    [said] = [each for each in dataclasses.replace(by_hand, fidelity=checked).caveats if "the range of" in each]
    assert "farthest: 0.200 eV without the top 1, 3.250 eV without the top 3" in said
    assert said.count(" the top ") == 2


def test_round_trip_through_a_file(predictor, glass, tmp_path) -> None:
    explanation = explain_atom(predictor, glass, 3, "gnnexplainer", epochs=2)
    loaded = AtomExplanation.load(explanation.save(tmp_path / "explanation.json"))
    assert loaded.to_dict() == explanation.to_dict()
    loaded.require_glass(glass)
    with pytest.raises(InputError, match="another glass"):
        loaded.require_glass(random_glass(seed=1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        json.dumps({"format_version": 99}),
        json.dumps({"format_version": 1}),
        json.dumps({"format_version": 1, "atom": 0, "surprise": 1}),
    ],
)
def test_a_damaged_file_ends_in_one_sentence(text, tmp_path) -> None:
    path = tmp_path / "explanation.json"
    path.write_text(text)
    with pytest.raises(InputError):
        AtomExplanation.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        AtomExplanation.load(tmp_path / "missing.json")


def test_networkx_and_pyg_hold_the_same_edges(by_hand) -> None:
    graph = by_hand.to_networkx(2)
    assert set(graph.edges()) == {(2, 0), (1, 0)}
    assert graph.edges[2, 0, 0]["distance"] == 3.0
    pyg = by_hand.to_pyg(n_atoms=4)
    assert pyg.edge_index.tolist() == [[1, 2, 0, 3, 0], [0, 0, 0, 1, 1]]
    assert pyg.validate()


def test_arrays_cannot_be_changed(by_hand) -> None:
    with pytest.raises(ValueError, match="read-only"):
        by_hand.score[0] = 1.0


def test_lengths_must_agree(by_hand) -> None:
    with pytest.raises(InputError, match="score has shape"):
        dataclasses.replace(by_hand, score=[1.0])
    with pytest.raises(InputError, match="finite scores"):
        dataclasses.replace(by_hand, score=[np.nan] * 5)


class TestBonds:
    @pytest.mark.parametrize("edge", [9.9, 5.6, 4.1])
    def test_are_the_bond_units(self, edge, predictor) -> None:
        """The undirected view of edge scores is what the method finds when it masks bonds, for a linear method."""
        glass = random_glass(60 if edge > 6 else 8, edge=edge)
        edges = explain_atom(predictor, glass, 3, "input_gradient")
        bonds = explain_atom(predictor, glass, 3, "input_gradient", unit="bond")
        table = edges.bonds(glass)
        assert len(table) == len(bonds.units)
        np.testing.assert_allclose(
            np.sort(np.abs(table["score"])), np.sort(np.abs(bonds.unit_score)), rtol=1e-4, atol=1e-8
        )
        assert table["directions"].isin([1, 2]).all()
        assert table["directions"].sum() == len(edges)
        assert table["self_loop"].sum() == edges.is_self_loop.sum()
        assert (table.loc[table["self_loop"], "directions"] == 1).all()

    def test_point_from_the_first_atom_to_the_second(self, predictor, glass) -> None:
        table = explain_atom(predictor, glass, 3, "distance").bonds(glass)
        across = table[["dx", "dy", "dz"]].to_numpy()
        offset = across - (glass.positions[table["second"]] - glass.positions[table["first"]])
        cells = offset @ np.linalg.inv(glass.cell)
        np.testing.assert_allclose(cells, np.rint(cells), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(across, axis=1), table["distance"], atol=1e-6)
        assert (table["first"] <= table["second"]).all()

    def test_sum_contributions_and_take_the_larger_mask(self, by_hand) -> None:
        glass = Glass([[0, 0, 0], [2.0, 0, 0], [0, 3.0, 0], [2.0, 0, 4.0]], [29] * 4, np.eye(3) * 20)
        signed = by_hand.bonds(glass).set_index(["first", "second"])["score"].to_dict()
        assert signed == pytest.approx({(0, 2): -0.9, (0, 1): 0.7, (0, 0): 0.5, (1, 3): 0.1})
        mask = dataclasses.replace(by_hand, signed=False, score=np.abs(by_hand.score)).bonds(glass, 2)
        assert mask[["rank", "first", "second", "score"]].to_numpy().tolist() == [[1, 0, 2, 0.9], [2, 0, 0, 0.5]]

    def test_of_another_glass_are_refused(self, predictor, glass) -> None:
        explanation = explain_atom(predictor, glass, 3, "distance")
        with pytest.raises(InputError, match="another glass"):
            explanation.bonds(random_glass(seed=1))
        with pytest.raises(InputError, match="at least 1"):
            explanation.bonds(glass, 0)

    @pytest.mark.parametrize("k", [0, -1, 2.5, "3"])
    def test_so_many_is_a_whole_number(self, by_hand, k) -> None:
        for listed in (by_hand.top_edges, by_hand.top_units, by_hand.important_atoms, by_hand.to_networkx):
            with pytest.raises(InputError, match="must be a whole number, at least 1"):
                listed(k)


@pytest.mark.parametrize("unit", ["pair", "edge"])
def test_semantics_that_do_not_exist_are_refused(predictor, glass, unit) -> None:
    with pytest.raises(InputError, match="semantics='none' is unknown: choose from"):
        explain_atom(predictor, glass, 3, "integrated_gradients", semantics="none", unit=unit)


@pytest.mark.parametrize("given", ["md.lammpstrj", Atoms("Cu"), [random_glass()]])
def test_what_is_no_glass_is_refused(predictor, given) -> None:
    for asked in (predictor.predict, lambda glass: prepare(predictor, glass)):
        with pytest.raises(InputError, match=f"a {type(given).__name__} is no Glass: make one with read_glass"):
            asked(given)


def test_atom_contributions_keep_the_sum(predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, 3, "integrated_gradients")
    assert explanation.atom_contributions().sum() == pytest.approx(explanation.score.sum())
    for unit in ("edge", "atom"):
        by_unit = explain_atom(predictor, glass, 3, "integrated_gradients", unit=unit)
        np.testing.assert_allclose(by_unit.atom_contributions(), explanation.atom_contributions(), atol=1e-6)
    with pytest.raises(InputError, match="use atom_scores"):
        explain_atom(predictor, glass, 3, "distance").atom_contributions()


def test_caveats_say_what_is_not_faithful_and_what_is_out_of_range(by_hand) -> None:
    near = dataclasses.replace(by_hand, masked_prediction=1.54)
    assert near.caveats == ()
    [change] = dataclasses.replace(by_hand, masked_prediction=1.6).caveats
    assert "1.600 eV, not 1.500 eV" in change
    change, outside = by_hand.caveats
    assert "2.500 eV, not 1.500 eV" in change
    assert "1.000 to 2.000 eV" in outside
    [just] = dataclasses.replace(by_hand, prediction_range=(1.0, 1.1988), masked_prediction=1.2012).caveats[-1:]
    assert "1.000 to 1.199 eV (farthest: 1.201 eV under the mask)" in just  # told apart, as far as they may be
    assert dataclasses.replace(by_hand, masked_prediction=None).caveats == ()
