"""Contributions by shell and species: sums that are kept, and planted differences that are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.analysis import population_contributions
from symgnn_explain.errors import InputError
from symgnn_explain.explain import AtomExplanation, prepare
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting import population_contribution_figure
from symgnn_explain.structure.glass import Glass


@pytest.fixture
def explanations(glass: Glass, tiny_predictor: Predictor) -> list[AtomExplanation]:
    prepared = prepare(tiny_predictor, glass)
    return [prepared.explain(atom, "input_gradient", members=False) for atom in (3, 7, 11)]


def planted(explanation: AtomExplanation, of_atom: np.ndarray) -> AtomExplanation:
    """Contributions of atoms that are these, shared evenly by the edges that leave each."""
    count = np.bincount(explanation.source, minlength=len(of_atom))
    return replace(explanation, score=(of_atom / np.maximum(count, 1))[explanation.source])


def test_shells_hold_all_that_other_atoms_contribute(glass, explanations) -> None:
    found = population_contributions(explanations, glass)
    every = found.shells[found.shells["species"] == "all"]
    each = found.shells[found.shells["species"] != "all"]
    others = [one.atom_contributions().drop(one.atom, errors="ignore") for one in explanations]
    assert every["contribution"].sum() == pytest.approx(np.mean([one.sum() for one in others]))
    assert every["size"].sum() == pytest.approx(np.mean([one.abs().sum() for one in others]))
    assert every["share"].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(each.groupby("inner")["size"].sum(), every.set_index("inner")["size"])
    assert (each["size_low"] <= each["size"]).all()
    assert (each["size"] <= each["size_high"]).all()
    figure = population_contribution_figure(found)
    assert np.sum(figure.data[0].y) + np.sum(figure.data[2].y) == pytest.approx(every["size"].sum())


def test_atoms_that_contribute_nothing_have_no_share(glass, explanations) -> None:
    found = population_contributions([planted(one, np.zeros(len(glass))) for one in explanations], glass)
    assert (found.shells["size"] == 0).all()
    assert found.shells[["share", "ratio"]].isna().all(axis=None)


def test_a_single_explanation_has_no_interval(glass, explanations) -> None:
    found = population_contributions(explanations[:1], glass)
    assert found.shells["size"].notna().all()
    assert found.shells[["size_low", "size_high", "contribution_low", "share_high"]].isna().all(axis=None)
    assert found.peaks[["contrast_low", "contrast_high"]].isna().all(axis=None)
    population_contribution_figure(found)


def test_where_all_atoms_contribute_alike_nothing_stands_out(glass, explanations) -> None:
    alike = [planted(one, np.full(len(glass), -0.5)) for one in explanations]
    found = population_contributions(alike, glass, distances=(3.0, 4.5))
    np.testing.assert_allclose(found.shells["ratio"].dropna(), 1.0)
    np.testing.assert_allclose(found.peaks["contrast"], 1.0)
    assert (found.shells["contribution"] == -found.shells["size"]).all()


def test_a_species_and_a_distance_that_matter_more_are_found(glass, explanations) -> None:
    heavy = np.where(glass.numbers == 40, 2.0, 1.0)
    by_species = population_contributions([planted(one, heavy) for one in explanations], glass)
    ratio = by_species.shells.set_index(["inner", "species"])["ratio"]
    assert (ratio.loc[:, "Zr"].dropna() >= 1 - 1e-9).all()
    assert (ratio.loc[:, "Cu"].dropna() <= 1 + 1e-9).all()
    assert ratio.loc[:, "Zr"].max() > 1.05
    near = []
    for one in explanations:
        distance = np.linalg.norm(glass.displacements_from(one.atom), axis=1)
        near.append(planted(one, np.where(np.abs(distance - 4.5) < 0.3, 3.0, 1.0)))
    by_distance = population_contributions(near, glass, distances=(4.5,)).peaks
    assert by_distance["contrast"].item() == pytest.approx(3.0)


def test_what_cannot_be_summed_is_refused(glass, explanations, random_glass) -> None:
    with pytest.raises(InputError, match="no explanations"):
        population_contributions([], glass)
    with pytest.raises(InputError, match="another glass"):
        population_contributions(explanations, random_glass(5))
    with pytest.raises(InputError, match="no signed contributions"):
        population_contributions([replace(explanations[0], signed=False)], glass)
