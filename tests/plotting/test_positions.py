from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.explain.methods.positions import PositionAttribution
from symgnn_explain.plotting import position_figure
from symgnn_explain.plotting.arrows import LONGEST_ARROW
from symgnn_explain.structure.glass import Glass


@pytest.fixture
def attribution(glass: Glass) -> PositionAttribution:
    """Atom 3 and the 80 atoms nearest to it, with random derivatives."""
    offsets = glass.displacements_from(3)
    atoms = np.argsort(np.linalg.norm(offsets, axis=1), kind="stable")[:80]
    gradient = np.random.default_rng(0).normal(0, 0.1, (80, 3))
    return PositionAttribution(3, atoms, gradient, offsets[atoms], 1.5, glass.name, glass.content_hash)


def test_arrows_start_at_their_atoms_in_proportion_to_the_derivatives(glass, attribution) -> None:
    figure = position_figure(glass, attribution, k=20)
    [shafts] = [trace for trace in figure.data if trace.type == "scatter3d" and trace.mode == "lines"]
    ends = np.column_stack([shafts.x, shafts.y, shafts.z]).reshape(20, 3, 3)
    rows = attribution.rank()[:20]
    np.testing.assert_allclose(ends[:, 0], attribution.position[rows])
    arrows = ends[:, 1] - ends[:, 0]
    np.testing.assert_allclose(np.linalg.norm(arrows, axis=1).max(), LONGEST_ARROW)
    np.testing.assert_allclose(
        arrows / LONGEST_ARROW, attribution.gradient[rows] / attribution.magnitude.max(), atol=1e-12
    )
    assert f"{attribution.magnitude.max():.3g} eV/Å" in shafts.name


def test_heads_point_along_their_arrows_and_sit_at_the_tips(glass, attribution) -> None:
    figure = position_figure(glass, attribution, k=20)
    cones = [trace for trace in figure.data if trace.type == "cone"]
    tips = np.concatenate([np.column_stack([cone.x, cone.y, cone.z]) for cone in cones])
    along = np.concatenate([np.column_stack([cone.u, cone.v, cone.w]) for cone in cones])
    rows = attribution.rank()[:20]
    scaled = attribution.gradient[rows] * LONGEST_ARROW / attribution.magnitude.max()
    nearest = np.linalg.norm(tips[:, None] - (attribution.position[rows] + scaled)[None], axis=2).argmin(1)
    assert sorted(nearest) == list(range(20))
    cosine = (along * scaled[nearest]).sum(1) / np.linalg.norm(along, axis=1) / np.linalg.norm(scaled[nearest], axis=1)
    np.testing.assert_allclose(cosine, 1)


def test_every_arrow_has_its_atom_with_its_numbers(glass, attribution) -> None:
    figure = position_figure(glass, attribution, k=20)
    texts = [text for trace in figure.data for text in trace.hovertext or ()]
    named = {int(text.split()[1]) for text in texts}
    assert named == {3, *attribution.atoms[attribution.rank()[:20]].tolist()}
    assert all("eV/Å" in text for text in texts)


def test_without_any_derivative_there_are_atoms_but_no_arrows(glass, attribution) -> None:
    figure = position_figure(glass, dataclasses.replace(attribution, gradient=np.zeros((80, 3))))
    assert not [trace for trace in figure.data if trace.type == "cone"]


def test_another_glass_and_no_arrows_are_refused(glass, attribution) -> None:
    with pytest.raises(InputError, match="another glass"):
        position_figure(dataclasses.replace(glass, positions=glass.positions + 1), attribution)
    with pytest.raises(InputError, match="at least 1"):
        position_figure(glass, attribution, k=0)
