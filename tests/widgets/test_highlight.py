"""Highlights sit where the atoms are: at periodic images of them, joined by edges of the right length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.explain import AtomExplanation, explain_atom
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting.arrows import cell_edges
from symgnn_explain.plotting.style import GREEN, PURPLE
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.state.colours import channels_of
from symgnn_widgets.views.highlight import Highlight, mark_atoms, mark_explanation

K = 60


def marked(explanation: AtomExplanation, glass: Glass, k: int = K) -> Highlight:
    colours = np.full((len(glass), 3), 100, dtype=np.uint8)
    return mark_explanation(explanation, glass, k, wrapped_positions(glass), colours)


@pytest.fixture(params=[0.0, 0.3])
def sheared(request: pytest.FixtureRequest, random_glass: Callable[..., Glass]) -> Glass:
    """A cubic and a triclinic glass."""
    return random_glass(6, shear=request.param)


def test_atoms_are_drawn_at_their_periodic_images(sheared: Glass, tiny_predictor: Predictor) -> None:
    for atom in (0, 100):
        drawn = marked(explain_atom(tiny_predictor, sheared, atom, "gnnexplainer", epochs=2), sheared)
        offset = drawn.position - sheared.positions[drawn.atoms]
        shifts = np.linalg.solve(sheared.cell.T, offset.T).T
        np.testing.assert_allclose(shifts, np.round(shifts), atol=1e-4)
        np.testing.assert_allclose(drawn.position[0], wrapped_positions(sheared)[atom])


def test_edges_join_drawn_atoms_over_their_true_length(sheared: Glass, tiny_predictor: Predictor) -> None:
    explanation = explain_atom(tiny_predictor, sheared, 0, "gnnexplainer", epochs=2)
    drawn = marked(explanation, sheared)
    top = explanation.rank()[:K]
    bonds = top[~explanation.is_self_loop[top]]
    np.testing.assert_allclose(drawn.start - drawn.end, explanation.displacement[bonds], atol=1e-4)
    assert np.linalg.norm(drawn.start - drawn.end, axis=1).max() <= tiny_predictor.cutoff
    for place in (*drawn.start, *drawn.end):
        assert np.linalg.norm(drawn.position - place, axis=1).min() < 0.02


def test_the_picture_does_not_depend_on_where_the_cell_is_cut(glass: Glass, tiny_predictor: Predictor) -> None:
    explanation = explain_atom(tiny_predictor, glass, 5, "gnnexplainer", epochs=2)
    shifted = replace(glass, positions=glass.positions + 0.37 * glass.cell.sum(axis=0))
    here = marked(explanation, glass)
    there = marked(replace(explanation, glass_sha256=shifted.content_hash), shifted)
    for one, other in ((here.start, there.start), (here.end, there.end)):
        np.testing.assert_allclose(one - here.position[0], other - there.position[0], atol=1e-6)


def test_thicker_edges_are_more_important(glass: Glass, tiny_predictor: Predictor) -> None:
    drawn = marked(explain_atom(tiny_predictor, glass, 5, "gnnexplainer", epochs=2), glass)
    assert (np.diff(drawn.edge_radius) <= 1e-12).all()


def test_self_loops_are_green_atoms(glass: Glass, tiny_predictor: Predictor) -> None:
    explanation = explain_atom(tiny_predictor, glass, 5, "gnnexplainer", epochs=2)
    loops = np.flatnonzero(explanation.is_self_loop & (explanation.source != 5))
    score = np.zeros(len(explanation))
    score[loops[0]] = 1.0
    drawn = marked(replace(explanation, score=score), glass, k=1)
    assert drawn.atoms.tolist() == [5, explanation.source[loops[0]]]
    np.testing.assert_allclose(255 * drawn.colour, [channels_of(PURPLE), channels_of(GREEN)])
    assert len(drawn.start) == 0


def test_a_selected_atom_is_larger_than_it_was(glass: Glass) -> None:
    drawn = mark_atoms([7], glass, wrapped_positions(glass))
    assert drawn.atoms.tolist() == [7]
    assert drawn.radius[0] > 1.28


def test_cell_edges_have_the_lengths_of_the_cell_vectors(sheared: Glass) -> None:
    start, end = cell_edges(sheared)
    lengths = np.linalg.norm(end - start, axis=1)
    np.testing.assert_allclose(np.sort(lengths), np.sort(np.repeat(np.linalg.norm(sheared.cell, axis=1), 4)))
