"""From a value an atom to a colour an atom, and the colour bar that says what the colours mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from plotly.colors import diverging, hex_to_rgb, qualitative, sequential, unlabel_rgb

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PURPLE,
    VALUE_SCALE,
    VERMILION,
    shown_range,
    species_colour,
)
from symgnn_explain.runs.markup import Markup, element
from symgnn_explain.structure.glass import FloatArray, Glass

RgbArray = NDArray[np.uint8]

PREDICTION_SCALE = tuple(getattr(sequential, VALUE_SCALE))
IMPORTANCE_SCALE = tuple(sequential.OrRd)
SIGNED_SCALE = tuple(reversed(diverging.RdBu))
"""From what lowers the prediction, or is predicted too low, to what raises it."""
HOP_COLOURS = (PURPLE, VERMILION, ORANGE, GREEN, BLUE, LIGHT_GREY)
"""The explained atom, the atoms one hop away and so on; the last colour is that of all beyond."""
CATEGORY_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, *qualitative.Set2)
"""Of the words of a text column."""
UNKNOWN_COLOUR = GREY
"""Of atoms whose value is not a number."""
SHOWN_QUANTILES = (0.005, 0.995)
"""Values beyond these quantiles get the colour of the end of the scale, so that a few extremes do not hide the rest."""


@dataclass(frozen=True, eq=False)
class Colouring:
    """What colours the atoms: values on a continuous scale, or categories with a colour each.

    Parameters
    ----------
    label
        What the colour means, with its unit.
    values
        One value an atom, shape (N,); the index of its category where there are categories.
    scale
        Colours (``#rrggbb`` or ``rgb(r,g,b)``) from the lowest to the highest value, or one a category.
    domain
        Values at either end of the scale.
    categories
        Names of the categories, or empty.
    """

    label: str
    values: FloatArray
    scale: tuple[str, ...]
    domain: tuple[float, float]
    categories: tuple[str, ...] = ()

    @classmethod
    def of_values(cls, label: str, values: FloatArray, scale: tuple[str, ...] = PREDICTION_SCALE) -> Colouring:
        """Colour by a quantity, over the range that nearly all atoms lie in."""
        known = values[np.isfinite(values)]
        ends = np.quantile(known, SHOWN_QUANTILES) if len(known) else np.zeros(2)
        return cls(label, values, scale, shown_range(ends))

    def rgb(self) -> RgbArray:
        """Colour of each atom, shape (N, 3), 0 to 255; read-only."""
        return self._rgb

    @cached_property
    def _rgb(self) -> RgbArray:
        colours = self._colours()
        colours.flags.writeable = False
        return colours

    def _colours(self) -> RgbArray:
        anchors = np.array([channels_of(colour) for colour in self.scale])
        if self.categories:
            return anchors[self.values.astype(np.int64)].astype(np.uint8)
        low, high = self.domain
        known = np.isfinite(self.values)
        place = np.clip((np.where(known, self.values, low) - low) / (high - low), 0.0, 1.0) * (len(anchors) - 1)
        channels = [np.interp(place, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
        colours = np.stack(channels, axis=1)
        colours[~known] = channels_of(UNKNOWN_COLOUR)
        return colours.round().astype(np.uint8)

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest value, or the domain where all values are equal or none is a number."""
        known = self.values[np.isfinite(self.values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else self.domain
        return (low, high) if high > low else self.domain


def species_colouring(glass: Glass) -> Colouring:
    """One colour a species, those of the figures."""
    numbers = np.unique(glass.numbers)
    return Colouring(
        label="Species",
        values=np.searchsorted(numbers, glass.numbers).astype(np.float64),
        scale=tuple(species_colour(symbol) for symbol in glass.species),
        domain=(0.0, float(len(numbers))),
        categories=glass.species,
    )


def category_colouring(label: str, words: NDArray[np.str_]) -> Colouring:
    """One colour a word, the most frequent words first; the rarest share one where there are many."""
    unique, place, counts = np.unique(words, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    named = [word or "(empty)" for word in unique[order].tolist()]
    if len(named) > len(CATEGORY_COLOURS):
        named = [*named[: len(CATEGORY_COLOURS) - 1], f"{len(named) - len(CATEGORY_COLOURS) + 1} others"]
    return Colouring(
        label=label,
        values=np.minimum(rank[place.ravel()], len(named) - 1).astype(np.float64),
        scale=CATEGORY_COLOURS[: len(named)],
        domain=(0.0, float(len(named))),
        categories=tuple(named),
    )


def importance_colouring(explanation: AtomExplanation, n_atoms: int) -> Colouring:
    """How much of the score leaves each atom; white where the prediction does not reach."""
    importance = np.zeros(n_atoms)
    by_atom = explanation.atom_scores()
    importance[by_atom.index] = by_atom
    quantity = explanation.quantity
    label = f"Contribution ({quantity.magnitude})" if explanation.signed else "Importance (mask)"
    return Colouring(label, importance, IMPORTANCE_SCALE, (0.0, float(importance.max()) or 1.0))


def signed_colouring(explanation: AtomExplanation, n_atoms: int) -> Colouring:
    """By how much what each atom sends raises or lowers the prediction."""
    contribution = np.zeros(n_atoms)
    by_atom = explanation.atom_contributions()
    contribution[by_atom.index] = by_atom
    return _balanced(explanation.quantity.axis("Contribution"), contribution, float(np.abs(contribution).max()))


def difference_colouring(label: str, values: FloatArray) -> Colouring:
    """Colour by a difference: white is none. What is not a number is unknown."""
    known = np.abs(values[np.isfinite(values)])
    return _balanced(label, values, float(np.quantile(known, SHOWN_QUANTILES[1])) if len(known) else 0.0)


def _balanced(label: str, values: FloatArray, limit: float) -> Colouring:
    limit = limit or 1.0
    return Colouring(label, values, SIGNED_SCALE, (-limit, limit))


def colour_bar(colouring: Colouring, marked: float | None = None) -> Markup:
    """Build the legend as HTML; ``marked`` is a value that gets a pointer (that of the selected atom)."""
    if colouring.categories:
        named = zip(colouring.categories, colouring.scale, strict=True)
        swatches = [_swatch(colour, name) for name, colour in named]
        return element("div", element("b", colouring.label), *swatches, css="symgnn-colour-bar")
    low, high = colouring.domain

    def place(value: float) -> str:
        return f"left:{100 * (np.clip(value, low, high) - low) / (high - low):.2f}%"

    ticks = [element("span", f"{tick:g}", style=place(tick)) for tick in _round_ticks(low, high)]
    pointer = "" if marked is None or not np.isfinite(marked) else element("i", style=place(marked))
    gradient = f"background:linear-gradient(to right,{','.join(colouring.scale)})"
    scale = element("div", pointer, *ticks, css="symgnn-scale", style=gradient)
    unknown = "" if np.isfinite(colouring.values).all() else _swatch(UNKNOWN_COLOUR, "unknown")
    return element("div", element("b", colouring.label), scale, unknown, css="symgnn-colour-bar")


def _swatch(colour: str, name: str) -> Markup:
    return element("span", element("i", style=f"background:{colour}"), name, css="symgnn-swatch")


def _round_ticks(low: float, high: float) -> list[float]:
    """Choose two to seven round numbers within [low, high]."""
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(power * factor) for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [number * step for number in range(first, last + 1)]


def channels_of(colour: str) -> FloatArray:
    """Red, green and blue (0 to 255) of ``#rrggbb`` or ``rgb(r,g,b)``, shape (3,)."""
    return np.array(hex_to_rgb(colour) if colour.startswith("#") else unlabel_rgb(colour), dtype=np.float64)
