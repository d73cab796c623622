"""Everything that the explorer of a trajectory offers, with the mouse, on one page of 1440 by 900 pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain import datasets
from symgnn_explain.structure.io.writing import write_extended_xyz
from tests.barriers.conftest import write_tables

from .conftest import ROOT
from .lab import SCENE, STAGE, ExplorerPage, Lab
from .test_one_screen import PLACES, SCREEN, SCROLLED, as_opened, require_on_screen

__all__ = ["as_opened"]  # a fixture

PICTURES = ROOT / "out" / "browser" / "laboratory"
N_FRAMES = 4
PATIENCE = 60_000  # ms: what relaxes is compiled the first time

SADDLE = """import numpy as np
from symgnn_explain.saddles.atom_barrier import AtomBarrier, Saddle
atom, way = explorer.session.selected_atom, np.full((12, 3), 0.2)
near = np.argsort(np.linalg.norm(explorer.session.glass.displacements_from(atom), axis=1))[:12]
search = explorer.barrier.search
search.barrier = AtomBarrier(atom, (Saddle(1.2, 0.1, -1.0, 0, np.sort(near), way),), {"saddle": 1}, (1, 1))
search.saddle = 0"""
"""A saddle point of the selected atom."""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Laboratory:
    """An explorer in its page, driven with the mouse and the keyboard."""

    def __init__(self, explorer: ExplorerPage) -> None:
        self.explorer, self.page = explorer, explorer.page

    def press(self, title: str, *, tab: bool = True) -> None:
        """Press a button, of the tab in front or another one."""
        where = ".symgnn-tabs" if tab else ".symgnn-explorer"
        self.page.locator(f"{where} button:visible:enabled:has-text('{title}')").first.click()

    def see(self, text: str, css: str = ".symgnn-tabs .widget-html-content") -> None:
        """Wait until a text is seen."""
        self.page.wait_for_selector(f"{css}:visible:has-text('{text}')", timeout=PATIENCE)

    def fill(self, placeholder: str, words: str) -> None:
        """Type into the text box with this placeholder."""
        box = self.page.locator(f".symgnn-tabs input:visible[placeholder^='{placeholder}']")
        box.fill(words)
        box.press("Enter")

    def slide(self, number: int, to: float) -> None:
        """Click a slider of the tab in front, at a fraction of its length."""
        track = self.page.locator(".symgnn-tabs .widget-slider:visible .noUi-connects").nth(number).bounding_box()
        self.page.mouse.click(track["x"] + to * track["width"], track["y"] + track["height"] / 2)

    def click_another(self, *, add: bool = False, species: str = "") -> int:
        """Click an atom that is not selected, with Shift to add it; wait until it is selected, and return it.

        What is selected moves others out of sight, so that every click needs another look.
        """
        selected = [int(word) for word in self.asked("*explorer.session.selection").split()]
        symbols = self.asked("*explorer.session.glass.symbols").split()
        self.explorer.wait_still()
        x, y, atom = next(
            place
            for place in self.explorer.visible_atoms(60)
            if place[2] not in selected and species in (symbols[place[2]], "")
        )
        with self.held("Shift" if add else ""):
            self.page.mouse.click(x, y)
        self.see(f"{symbols[atom]} {atom}", ".symgnn-chip")
        return atom

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold a key, if any."""
        if key:
            self.page.keyboard.down(key)
        yield
        if key:
            self.page.keyboard.up(key)

    def drawn(self, name: str) -> int:
        """How many things of a name the 3D view holds."""
        return int(self.page.evaluate(f"() => {STAGE}.getComponentsByName('{name}').list.length"))

    def asked(self, code: str) -> str:
        """What the kernel says; the page alone is driven."""
        return self.explorer.kernel(f"print({code})").strip()

    def picture(self, name: str) -> None:
        """Take a screenshot once the page is at rest."""
        self.page.wait_for_timeout(600)
        self.explorer.picture(PICTURES / f"{name}.png")


def write_walk(lab: Lab) -> None:
    """A trajectory of a glass whose atoms walk, and a potential that knows them."""
    start, step = datasets.sample("cu50zr50"), np.random.default_rng(0).normal(0, 0.015, (1000, 3))
    frames = [replace(start, positions=start.positions + number * step, barriers=None) for number in range(N_FRAMES)]
    write_extended_xyz(frames, lab.root / "walk.extxyz")
    write_tables(lab.root / "toy.eam.fs", ("Cu", "Zr"), "eam.fs")


def test_the_laboratory_with_the_mouse(as_opened: ExplorerPage, lab: Lab) -> None:
    explorer, page = Laboratory(as_opened), as_opened.page
    write_walk(lab)
    the_first_screen(explorer)
    explorer.explorer.open_tab("Open and save")
    explorer.fill("glass.extxyz", "walk.extxyz")
    explorer.press("Open")
    explorer.see("frame 3 of 0–3")
    page.wait_for_selector(".symgnn-structure[data-explained]:not([data-explained=''])", timeout=PATIENCE)
    frames_and_measurements(explorer)
    two_frames(explorer, lab)
    edits(explorer)
    barrier_and_mechanism(explorer)
    every_tab(explorer)
    assert as_opened.complaints == []


COVERED = """() => {
  const said = document.querySelector(".symgnn-said .symgnn-error").getBoundingClientRect();
  return [...document.querySelectorAll(".symgnn-explorer :is(input, select)")]
    .filter((field) => field.checkVisibility())
    .filter((field) => {
      const { left, top, right, bottom } = field.getBoundingClientRect();
      return left < said.right && right > said.left && top < said.bottom && bottom > said.top;
    }).map((field) => field.outerHTML);
}"""


def the_first_screen(explorer: Laboratory) -> None:
    """Hints go away, a mistake pushes nothing, and what hides the explained atom is cut away."""
    page = explorer.page
    explorer.picture("first_screen")
    page.locator(".symgnn-hint a").click()
    page.wait_for_selector(".symgnn-hint", state="hidden")
    page.wait_for_timeout(500)
    before = page.evaluate(PLACES)
    number = page.locator(".symgnn-explorer input[type='number']").first
    number.fill("999999")
    number.press("Enter")
    explorer.see("atom 999999 does not exist", ".symgnn-said .symgnn-error")
    assert page.evaluate(PLACES) == before
    assert page.evaluate(COVERED) == []
    explorer.picture("mistake")
    page.locator(".symgnn-said a").click()
    page.wait_for_selector(".symgnn-said .symgnn-error", state="hidden")
    clipped = f"() => {STAGE}.compList[0].reprList[0].getParameters().clipNear"
    assert page.evaluate(clipped) == 0
    page.locator(".symgnn-explorer .widget-checkbox:has-text('Fade others') input").uncheck()
    page.wait_for_function(f"() => ({clipped})() > 0", timeout=PATIENCE)
    explorer.picture("cut_away")
    page.locator(".symgnn-explorer .widget-checkbox:has-text('Cut away') input").uncheck()
    page.wait_for_function(f"() => ({clipped})() === 0", timeout=PATIENCE)
    page.locator(".symgnn-explorer .widget-checkbox:has-text('Fade others') input").check()


def frames_and_measurements(explorer: Laboratory) -> None:
    """The film plays, the slider leads anywhere, and what lies between clicked atoms is measured."""
    page = explorer.page
    explorer.explorer.open_tab("Frames")
    explorer.see("4 of 4 frames predicted")
    page.evaluate(f"() => {SCENE}.reset()")
    page.wait_for_timeout(600)
    explorer.slide(0, 0.4)
    explorer.see("explanations are of frame 3")
    was = explorer.asked("explorer.session.frames.number")
    page.locator(".symgnn-tabs .widget-play button:visible").first.click()
    page.wait_for_function(
        "(was) => document.querySelector('.symgnn-tabs .widget-slider .widget-readout').textContent !== was", arg=was
    )
    page.wait_for_function(
        "() => document.querySelector('.symgnn-tabs .widget-slider .widget-readout').textContent === '3'"
    )
    explorer.slide(0, 0.4)
    explorer.see("explanations are of frame 3")
    for number in range(3):
        explorer.click_another(add=number > 0)
    explorer.see("angle", ".symgnn-view .widget-html-content")
    explorer.see("°", ".symgnn-tabs .symgnn-note")
    assert explorer.drawn("measured") == 1
    explorer.picture("frames")


def two_frames(explorer: Laboratory, lab: Lab) -> None:
    """Who changed from one frame to another, and which displacements did it."""
    page = explorer.page
    explorer.explorer.open_tab("Two frames")
    explorer.slide(0, 0.02)
    explorer.slide(1, 0.98)
    explorer.see("frame 3", ".symgnn-tabs .symgnn-table th")
    explorer.see("Change since frame 0 (eV)", ".symgnn-colour-bar")
    row = page.locator(".symgnn-tabs .symgnn-table:visible").first.locator("tbody tr").first
    atom = row.locator("a").inner_text().split()[1]
    row.locator("a").click()
    explorer.see(atom, ".symgnn-chip.symgnn-looked-at")
    explorer.press("Which displacements?")
    explorer.see("not accounted for")
    page.locator(".symgnn-tabs .widget-checkbox:visible:has-text('in the 3D view too') input").check()
    page.wait_for_function(f"() => {STAGE}.getComponentsByName('displacements').list.length === 1", timeout=PATIENCE)
    page.wait_for_selector(".symgnn-tabs .js-plotly-plot:visible .gl-container canvas", timeout=PATIENCE)
    explorer.picture("two_frames")
    explorer.press("Save tables")
    explorer.see("changes.csv", ".symgnn-files")
    assert len(list((lab.root / "out" / "explorer").glob("walk_frames0to3*.csv"))) == 2
    explorer.explorer.open_tab("Frames")
    explorer.see("Predicted barrier (eV)", ".symgnn-colour-bar")


def edits(explorer: Laboratory) -> None:
    """Buttons and words edit the structure, undo takes back, and what needs a potential says so."""
    page = explorer.page
    explorer.explorer.open_tab("What if?")
    one = explorer.click_another()
    symbol = explorer.asked(f"explorer.session.glass.symbols[{one}]")
    other = explorer.click_another(add=True, species="Zr" if symbol == "Cu" else "Cu")
    steps = ".symgnn-tabs .widget-html-content"
    explorer.press("Swap")
    explorer.see(f"Steps: swap {one},{other}", steps)
    explorer.see("Change by edits (eV)", ".symgnn-colour-bar")
    explorer.picture("swap")
    explorer.press("Remove")
    explorer.see("→ remove", steps)
    undo = page.locator(".symgnn-tabs button:visible:has(.fa-undo)")
    undo.click()
    page.wait_for_selector(f"{steps}:has-text('→ remove')", state="detached")
    x, y, z = explorer.asked(f"*explorer.session.glass.positions[{one}].round(2)").split()
    words = {
        f"move {one} by 0.1 0 0": "→ move",
        "strain z 0.5%": "→ strain",
        f"remove {one}; insert Cu at {x} {y} {z}": "insert Cu",
        "paste within 2.6 of 100 from 100 to 30": "→ paste",
    }
    for each, step in words.items():
        explorer.fill("turn 12", each)
        explorer.see(step, steps)
    explorer.picture("edits")
    assert explorer.asked("len(explorer.session.editing.words)") == "5"
    explorer.fill("eam.fs file", "missing.eam.fs")
    explorer.press("Relax")
    explorer.see("missing.eam.fs", ".symgnn-tabs .symgnn-error")
    for step in reversed(words.values()):
        undo.click()
        page.wait_for_selector(f"{steps}:has-text('{step}')", state="detached")
    assert explorer.asked("explorer.session.editing.words") == f"('swap {one},{other}',)"
    explorer.press("Verify")
    explorer.see("missing.eam.fs", ".symgnn-tabs .symgnn-error")
    explorer.fill("eam.fs file", "")
    page.locator(".symgnn-tabs .widget-text:visible:has-text('by') input").fill("-0.05")
    page.keyboard.press("Tab")
    explorer.press("Find edits")
    explorer.see("not relaxed", ".symgnn-tabs .symgnn-note")
    page.locator(".symgnn-tabs a[data-action='take']").first.click()
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{steps}')].some((part) => part.textContent.includes('→'))"
    )
    explorer.picture("counterfactuals")


def barrier_and_mechanism(explorer: Laboratory) -> None:
    """With a potential, what is edited is relaxed; saddle points are searched for, and set against the explanation."""
    page = explorer.page
    explorer.fill("eam.fs file", "toy.eam.fs")
    explorer.press("Relax")
    explorer.see("→ relax")
    explorer.picture("relaxed")
    explorer.explorer.open_tab("Barrier")
    explorer.fill("eam.fs file", "toy.eam.fs")
    page.locator(".symgnn-tabs .widget-text:visible:has-text('searches') input").fill("2")
    page.keyboard.press("Tab")
    explorer.press("Compute barrier")
    explorer.see("in 2 searches")
    explorer.explorer.kernel(SADDLE)  # such a potential has none for certain
    explorer.see("from 1 saddle")
    page.locator(".symgnn-tabs .widget-checkbox:visible:has-text('in the 3D view too') input").check()
    page.wait_for_function(f"() => {STAGE}.getComponentsByName('saddle').list.length === 1")
    explorer.picture("barrier")
    explorer.press("Explain", tab=False)
    page.wait_for_selector(".symgnn-structure[data-explained]:not([data-explained=''])", timeout=PATIENCE)
    explorer.explorer.open_tab("Mechanism")
    explorer.see("AUC")
    explorer.picture("mechanism")


def every_tab(explorer: Laboratory) -> None:
    """With a trajectory, too, nothing but a tab's own content scrolls."""
    page, scrolled = explorer.page, explorer.page.evaluate(SCROLLED)
    for title in ("Frames", "Two frames"):  # test_one_screen.py looks at the others
        explorer.explorer.open_tab(title)
        page.wait_for_timeout(200)
        places = page.evaluate(PLACES)
        del places["summary"]  # long where much lies outside of the domain; it scrolls inside of its place
        require_on_screen(places)
        explorer.picture(f"tab_{re.sub('[^A-Za-z]', '', title)}")
    assert page.evaluate(SCROLLED) == scrolled
    assert page.viewport_size == SCREEN
