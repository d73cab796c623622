"""Colourings, ranges and slices decide which atoms are drawn, and how."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from traitlets import TraitError

from symgnn_explain.analysis import smooth_field
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state.colour import FADED, HIDDEN, SHOWN


@pytest.fixture
def carrying(random_glass: Callable[..., Glass], explorer: GlassExplorer) -> GlassExplorer:
    """An explorer of a glass with per-atom arrays, one of them with a gap."""
    glass = random_glass(5)
    energy = np.linspace(-5, -3, len(glass))
    energy[0] = np.nan
    glass = glass.with_arrays(
        potential_energy=energy, force=np.ones((len(glass), 3)), label=np.array(["a"] * len(glass))
    )
    return GlassExplorer(glass, explorer.session.predictor)


def drawn_kinds(explorer: GlassExplorer) -> np.ndarray:
    """What the page was told last about which atoms are drawn."""
    method, arguments = explorer.view.stage._scene["filter"]
    assert method == "filter"
    if arguments["drawn"] is None:
        return np.full(len(explorer.session.glass), SHOWN, dtype=np.uint8)
    return np.frombuffer(base64.b64decode(arguments["drawn"]), dtype=np.uint8)


def test_arrays_of_numbers_are_offered(carrying: GlassExplorer) -> None:
    choices = carrying.view.controls.colour_by.options
    assert {"potential_energy", "force[0]", "force[2]", "error", "known barrier", "hops"} <= set(choices)
    assert "label" not in choices
    carrying.session.colour_by = "potential_energy"
    assert "Potential energy (eV)" in carrying.view.legend.value
    # What is not a number is neither at the low nor at the high end.
    rgb = carrying.session.colouring().rgb()
    assert (rgb[0] != rgb[1]).any()
    with pytest.raises(TraitError, match="did you mean 'potential_energy'"):
        carrying.session.colour_by = "potential_enrgy"


def test_the_error_against_computed_barriers_is_unknown_where_none_was_computed(
    explorer: GlassExplorer, glass: Glass
) -> None:
    assert "error against computed" not in explorer.view.controls.colour_by.options
    computed = np.full(len(glass), np.nan)
    computed[[3, 5]] = 1.0
    other = GlassExplorer(glass.with_arrays(computed_barrier=computed), explorer.session.predictor)
    other.session.colour_by = "error against computed"
    colouring = other.session.colouring()
    np.testing.assert_allclose(colouring.values[[3, 5]], other.session.predictions[[3, 5]] - 1.0)
    assert "Predicted − computed (eV)" in other.view.legend.value
    assert len(np.unique(np.delete(colouring.rgb(), [3, 5], axis=0), axis=0)) == 1
    assert ">unknown<" in other.view.legend.value
    assert ">unknown<" not in explorer.view.legend.value


def test_a_colouring_that_is_not_known_yet_is_said_to_be_so(explorer: GlassExplorer) -> None:
    session, legend = explorer.session, explorer.view.legend
    session.colour_by = "importance"
    assert "Predicted barrier" in legend.value
    assert "Colours by importance come with an explanation." in legend.value
    explorer.select(3)
    explorer.explain(wait=True)
    assert "come with" not in legend.value
    session.colour_by = "contribution"
    assert "by a method with signed scores" in legend.value


def test_error_is_the_difference_and_white_where_there_is_none(explorer: GlassExplorer, glass: Glass) -> None:
    explorer.session.colour_by = "error"
    colouring = explorer.session.colouring()
    np.testing.assert_allclose(colouring.values, explorer.session.predictions - glass.barriers)
    assert colouring.domain[0] == -colouring.domain[1]


def test_hops_are_shells_of_the_receptive_field(explorer: GlassExplorer) -> None:
    session = explorer.session
    session.colour_by = "hops"
    np.testing.assert_array_equal(session.colouring().values, session.predictions)
    session.pick(6)
    colouring, placement = session.colouring(), place_atoms(session.explanation)
    np.testing.assert_array_equal(colouring.values[placement.atoms], placement.hop)
    assert colouring.categories[0] == "explained atom"
    assert colouring.values[6] == 0
    reached = np.isin(np.arange(len(session.glass)), placement.atoms)
    assert (colouring.values[~reached] == placement.hop.max() + 1).all()


def test_contributions_are_signed_and_complete(explorer: GlassExplorer) -> None:
    session = explorer.session
    session.colour_by = "contribution"
    session.pick(6)
    np.testing.assert_array_equal(session.colouring().values, session.predictions)
    session.method = "integrated_gradients"
    session.explain()
    assert session.colouring().values.sum() == pytest.approx(session.explanation.score.sum())


def test_the_range_slider_filters(explorer: GlassExplorer) -> None:
    session, controls = explorer.session, explorer.view.controls
    low, high = float(session.predictions.min()), float(session.predictions.max())
    assert (controls.range.min, controls.range.max) == pytest.approx((low, high))
    assert session.shown_range is None
    middle = (low + high) / 2
    controls.range.value = (middle, high)
    np.testing.assert_array_equal(drawn_kinds(explorer) == SHOWN, session.predictions >= middle)
    assert set(drawn_kinds(explorer)) == {FADED, SHOWN}
    controls.outside.value = "hide"
    assert set(drawn_kinds(explorer)) == {HIDDEN, SHOWN}
    controls.range.value = (low, high)
    assert session.shown_range is None
    assert (drawn_kinds(explorer) == SHOWN).all()


def test_another_colouring_has_another_range(explorer: GlassExplorer) -> None:
    session, controls = explorer.session, explorer.view.controls
    session.shown_range = (float(session.predictions.min()), float(np.median(session.predictions)))
    assert controls.range.value == pytest.approx(session.shown_range)
    session.colour_by = "known barrier"
    assert session.shown_range is None
    assert (controls.range.min, controls.range.max) == pytest.approx(session.colouring().extent)
    assert (drawn_kinds(explorer) == SHOWN).all()


def test_slices_are_along_the_axes(explorer: GlassExplorer) -> None:
    session, controls = explorer.session, explorer.view.controls
    assert controls.slab.disabled
    controls.slab_axis.value = "y"
    assert not controls.slab.disabled
    controls.slab.value = (2.0, 6.0)
    inside = (explorer.view.positions[:, 1] >= 2.0) & (explorer.view.positions[:, 1] <= 6.0)
    np.testing.assert_array_equal(drawn_kinds(explorer) != HIDDEN, inside)
    session.shown_range = (float(np.median(session.predictions)), 9.0)
    assert not (drawn_kinds(explorer) == FADED)[~inside].any()
    controls.slab_axis.value = ""
    assert session.slab is None
    assert not (drawn_kinds(explorer) == HIDDEN).any()


def test_values_that_are_no_numbers_are_outside_of_every_range(carrying: GlassExplorer) -> None:
    carrying.session.colour_by = "potential_energy"
    carrying.session.shown_range = (-10.0, 10.0)
    assert drawn_kinds(carrying)[0] == FADED
    assert (drawn_kinds(carrying)[1:] == SHOWN).all()


def test_cell_focus_and_reset(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    controls = explorer.view.controls
    sent: list[str] = []
    monkeypatch.setattr(explorer.view.stage, "send", lambda message: sent.append(message["args"][0]))
    assert controls.zoom.disabled
    explorer.select(3)
    controls.zoom.click()
    assert '?.look("selection")' in sent[-1]
    controls.overview.click()
    assert "?.reset(" in sent[-1]
    controls.cell.value = False
    assert json.loads(sent[-1].partition("(")[2].removesuffix(")"))["cylinders"] is None
    assert not explorer.session.cell_shown


def test_what_is_drawn_already_is_not_sent_again(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer.session.pick(3)
    sent: list[str] = []
    monkeypatch.setattr(explorer.view.stage, "send", lambda message: sent.append(message["args"][0]))
    explorer.session.explain()
    assert sent == []


def test_others_of_the_selection_are_marked(explorer: GlassExplorer) -> None:
    def spheres(key: str) -> Any:
        return explorer.view.stage._scene[key][1]["spheres"]

    explorer.session.select_many([3, 4, 5])
    positions = np.frombuffer(base64.b64decode(spheres("others")["position"]), dtype="<f4").reshape(-1, 3)
    np.testing.assert_allclose(positions, explorer.view.positions[[4, 5]], atol=1e-5)
    explorer.select(3)
    assert spheres("others") is None
    assert spheres("shells") is None


def test_soft_and_hard_regions_have_skins(explorer: GlassExplorer) -> None:
    session, controls = explorer.session, explorer.view.controls
    assert controls.region_share.disabled
    assert "regions" not in explorer.view.stage.scene_keys
    controls.regions.value = "soft and hard"
    assert not controls.region_share.disabled
    drawn = explorer.view.stage._scene["regions"][1]
    values = np.frombuffer(base64.b64decode(drawn["field"]), dtype="<f4")
    assert drawn["size"] == list(smooth_field(session.glass, session.predictions).values.shape)
    soft, hard = drawn["skins"]
    assert (values < soft["level"]).mean() == pytest.approx(session.region_share, abs=0.01)
    assert (values > hard["level"]).mean() == pytest.approx(session.region_share, abs=0.01)
    assert explorer.view.stage._scene["selection"][1]["opacity"] < 0.2
    controls.region_share.value = 0.3
    soft, _ = explorer.view.stage._scene["regions"][1]["skins"]
    assert (values < soft["level"]).mean() == pytest.approx(0.3, abs=0.01)
    controls.regions.value = "hard"
    assert [skin["above"] for skin in explorer.view.stage._scene["regions"][1]["skins"]] == [True]
    controls.regions.value = ""
    assert explorer.view.stage._scene["regions"][1]["skins"] == []
    assert explorer.view.stage._scene["selection"][1]["opacity"] == 1.0


def test_the_grid_of_the_regions_covers_the_cell(explorer: GlassExplorer) -> None:
    explorer.session.regions = "soft"
    drawn = explorer.view.stage._scene["regions"][1]
    matrix = np.array(drawn["matrix"]).reshape(4, 4)
    corner = [*(np.array(drawn["size"]) - 1), 1.0] @ matrix
    np.testing.assert_allclose(corner[:3], explorer.session.glass.cell.sum(axis=0))
