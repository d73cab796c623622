"""A trajectory, edits, a film and a session, with the mouse: opened, moved through, filmed, saved and opened again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import Image

from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.writing import write_extended_xyz

from .conftest import ROOT
from .lab import LONG, ExplorerPage, Lab

PICTURES = ROOT / "out" / "browser"

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STATE = (
    "s = explorer.session; "
    "print(s.frames.home, s.frames.number, s.editing.words, s.selected_atom, len(s.history), repr(s.error))"
)


def open_file(explorer_page: ExplorerPage, name: str) -> None:
    """Open a trajectory, or a session of one, by its path."""
    explorer_page.open_tab("Open and save")
    box = explorer_page.page.locator("input[placeholder^='glass.extxyz']")
    box.fill(name)
    box.press("Tab")
    press(explorer_page, "Open", ".symgnn-note:has-text('frame 4 of 0–4')")


def press(explorer_page: ExplorerPage, title: str, then: str) -> None:
    """Press a button of the tab in front, and wait for what comes of it."""
    explorer_page.page.locator(".symgnn-tabs button:visible", has_text=title).click()
    explorer_page.page.wait_for_selector(then, timeout=LONG)


def test_frames_edits_film_and_session(
    explorer_page: ExplorerPage, lab: Lab, random_glass: Callable[..., Glass]
) -> None:
    page, glass = explorer_page.page, random_glass(6)
    write_extended_xyz(
        [replace(glass, positions=glass.positions + 0.02 * step) for step in range(5)], lab.root / "md.extxyz"
    )

    open_file(explorer_page, "md.extxyz")
    explorer_page.kernel("explorer.session.method = 'saliency'; explorer.session.pick(7)")
    explorer_page.wait_explained(7)
    explorer_page.open_tab("Frames")
    page.wait_for_selector(".symgnn-note:has-text('5 of 5 frames predicted')", timeout=LONG)
    track = page.locator(".symgnn-tabs .widget-slider:visible .noUi-connects").bounding_box()
    page.mouse.click(track["x"] + track["width"] / 4, track["y"] + track["height"] / 2)
    page.wait_for_selector(".symgnn-note:has-text('explanations are of frame 4')", timeout=LONG)
    explorer_page.picture(PICTURES / "frames.png")

    explorer_page.open_tab("What if?")
    line = page.locator("input[placeholder^='turn 12']")
    line.fill("move 3 by 0.1 0 0; remove 9")
    line.press("Enter")
    page.wait_for_selector(".symgnn-tabs :text('Steps:')", timeout=LONG)

    explorer_page.open_tab("Film")
    seconds = page.locator(".symgnn-tabs .widget-text:visible:has-text('seconds') input")
    seconds.fill("0.5")
    seconds.press("Tab")
    press(explorer_page, "Film", ".symgnn-files:has-text('film.gif')")
    page.wait_for_function("() => document.querySelector('.symgnn-tabs .widget-image')?.naturalWidth === 1000")
    explorer_page.picture(PICTURES / "film.png")
    explorer_page.open_tab("Figures and data")
    press(explorer_page, "OVITO", ".symgnn-files code:has-text('ovito ')")
    explorer_page.picture(PICTURES / "ovito.png")
    folder = lab.root / "out" / "explorer"
    [film] = folder.glob("*film.gif")
    with Image.open(film) as picture:
        assert (picture.n_frames, picture.size) == (5, (1000, 720))

    before = explorer_page.kernel(STATE)
    assert before.startswith("4 1 ('move 3 by 0.1 0 0; remove 9',) 7 ")
    assert before.endswith(" ''\n")
    explorer_page.open_tab("Open and save")
    press(explorer_page, "Save session", ".symgnn-note:has-text('Saved')")
    explorer_page.start()
    [session] = folder.glob("*.symgnn")
    open_file(explorer_page, str(session.relative_to(lab.root)))
    explorer_page.wait_explained(7)
    assert explorer_page.kernel(STATE) == before
    assert explorer_page.complaints == []
    explorer_page.picture(PICTURES / "session_with_edits.png")
