"""Hostile names in every panel are text: nothing that comes from a file becomes an element."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import pytest

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.views.figure import FigureView
from symgnn_widgets.views.table import Clickable
from tests.hostile import NAMES, hostile_glass, require_harmless, require_plain_figure


def everything(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def require_all_harmless(explorer: GlassExplorer) -> str:
    """Look at every widget of the explorer; return the text of all."""
    text = ""
    for widget in everything(explorer.ui):
        if isinstance(widget, (widgets.HTML, Clickable)) and "<style>" not in widget.value:
            text += require_harmless(widget.value).text
        if isinstance(widget, FigureView):
            require_plain_figure(widget.figure)
        # Descriptions are text unless somebody says otherwise.
        assert not getattr(widget, "description_allow_html", False)
        for name in ("description", "tooltip", "placeholder"):
            assert not any(hostile in str(getattr(widget, name, "")) for hostile in NAMES)
    return text


@pytest.fixture
def hostile(glass: Glass, tiny_predictor: Predictor) -> GlassExplorer:
    explorer = GlassExplorer(hostile_glass(glass), tiny_predictor)
    explorer.session.method = "gnnexplainer"
    explorer.session.settings = {**explorer.session.settings, "epochs": 4}
    return explorer


def test_every_panel_shows_hostile_names_as_text(hostile: GlassExplorer) -> None:
    session = hostile.session
    hostile.select(7)
    assert hostile.explain(wait=True) is not None
    for title in hostile.tabs.every:
        hostile.tabs.open(title)
    hostile.tabs.open("Values")
    text = require_all_harmless(hostile)
    assert session.glass.name in text
    for name in session.colour_choices:
        session.colour_by = name
        label = hostile.view.legend.value
        require_harmless(label)
        if name in NAMES:
            hostile.values.horizontal.value = name
            require_plain_figure(hostile.values.figure.ui.figure)
    assert set(NAMES) <= set(session.colour_choices)
    session.colour_by = NAMES[0]
    shown = require_harmless(hostile.view.legend.value).text
    assert NAMES[0].lower().replace("_", " ") in shown.lower()


@pytest.mark.parametrize("words", NAMES)
def test_mistakes_repeat_hostile_words_as_text(hostile: GlassExplorer, words: str) -> None:
    for mistaken in (words, f'"{words}" > 1', f"species {words}"):
        hostile.session.select_words(mistaken)
        require_harmless(hostile.controls.error.value)
    hostile.files.path.value = words
    hostile.files.open.click()
    seen = require_harmless(hostile.files.said.value)
    assert html.unescape(seen.text)


def test_the_3d_page_is_harmless(hostile: GlassExplorer) -> None:
    hostile.session.colour_by = NAMES[4]
    seen = require_harmless(hostile.structure_page(NAMES[1]))
    assert NAMES[1] in seen.text
    policy = str(next(values["content"] for _, values in seen.elements if "http-equiv" in values))
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";", maxsplit=1)[0]
