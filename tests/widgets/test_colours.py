"""Colours are in the order of the values, and the legend says what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.models.target import BARRIER
from symgnn_explain.structure.glass import Glass
from symgnn_widgets.panels.glass_values import _title
from symgnn_widgets.state.colourings import array_colouring, array_names
from symgnn_widgets.state.colours import CATEGORY_COLOURS, Colouring, channels_of, colour_bar, species_colouring


def test_colours_run_along_the_scale() -> None:
    colouring = Colouring("x (eV)", np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), ("#000000", "#c8c8c8"), (0.0, 1.0))
    np.testing.assert_array_equal(colouring.rgb()[:, 0], [0, 0, 100, 200, 200])


def test_a_few_extremes_do_not_hide_the_rest() -> None:
    values = np.concatenate([np.linspace(1.0, 2.0, 1000), [50.0]])
    low, high = Colouring.of_values("x (eV)", values).domain
    assert 1.0 <= low < high <= 2.0


def test_equal_values_have_a_colour_too() -> None:
    assert Colouring.of_values("x (eV)", np.full(5, 1.5)).rgb().shape == (5, 3)


def test_rounding_of_equal_values_is_no_difference_of_colours() -> None:
    """Predictions of the atoms of a crystal, in single precision."""
    values = np.float64(np.float32(3.896775)) * (1 + np.array([-3e-7, 0.0, 3e-7]))
    colouring = Colouring.of_values("x (eV)", values)
    assert np.ptp(colouring.rgb().astype(int), axis=0).max() <= 1


@pytest.mark.parametrize(("low", "high"), [(1.1, 2.2), (-0.1345, -0.1335), (0.0, 7e5), (-2e-14, 3e-14)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    bar = colour_bar(Colouring("x (eV)", np.array([low, high]), ("#000000", "#ffffff"), (low, high)), marked=high)
    ticks = [float(part.split("</span>")[0].split(">")[1]) for part in bar.split("<span")[1:]]
    assert 2 <= len(ticks) <= 7
    room = 1e-9 * (high - low)
    assert all(low - room <= tick <= high + room for tick in ticks)
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0], atol=1e-6 * (high - low))
    assert ticks[1] > ticks[0]
    assert "x (eV)" in bar
    assert '<i style="left:100.00%">' in bar


def test_each_species_has_its_colour(glass: Glass) -> None:
    colouring = species_colouring(glass)
    legend = colour_bar(colouring)
    for symbol, colour in zip(glass.species, colouring.scale, strict=True):
        member = glass.symbols.index(symbol)
        np.testing.assert_array_equal(colouring.rgb()[member], channels_of(colour))
        assert symbol in legend


def test_text_columns_have_a_colour_a_word(glass: Glass) -> None:
    words = np.array(["FCC", "ICO", "ICO", ""])[np.arange(len(glass)) % 4]
    marked = glass.with_arrays(structure=words, names=np.arange(len(glass)).astype(str))
    assert {"structure", "names"} <= set(array_names(marked, BARRIER))
    colouring = array_colouring(marked, "structure")
    assert colouring.categories == ("ICO", "(empty)", "FCC")  # the most frequent first
    assert len(np.unique(np.column_stack([colouring.values, colouring.rgb()]), axis=0)) == 3
    np.testing.assert_array_equal(colouring.values == 0, words == "ICO")
    many = array_colouring(marked, "names")
    assert len(many.categories) == len(CATEGORY_COLOURS)
    others = int((many.values == len(CATEGORY_COLOURS) - 1).sum())
    assert many.categories[-1] == f"{others} others"


def test_axes_and_colour_bars_name_the_unit_of_a_column_of_several(glass: Glass) -> None:
    pushed = glass.with_arrays(forces=glass.positions)
    assert _title("forces[0]", BARRIER) == "forces[0] (eV/Å)"
    assert array_colouring(pushed, "forces[0]").label == "Forces[0] (eV/Å)"
    assert _title("force[0]", BARRIER) == "force[0]"
