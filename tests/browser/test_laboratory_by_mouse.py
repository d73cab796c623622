"""Everything that the explorer of a trajectory offers, with the mouse, on one page of 1440 by 900 pixels.

One page and one kernel: what comes first is what a reader does first.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.writing import write_extended_xyz
from symgnn_widgets.views.tabs import TAB_HELP

from .conftest import NOTEBOOK, ROOT
from .lab import LONG, STAGE, ExplorerPage, Lab
from .test_one_screen import PLACES, SCREEN, SCROLLED, require_on_screen

PICTURES = ROOT / "out" / "browser" / "laboratory"
N_FRAMES = 4
SHOW = """from ase.calculators.lj import LennardJones
from symgnn_explain.saddles import AseCalculator
from symgnn_explain.structure.io import Trajectory
from symgnn_widgets import GlassExplorer
explorer = GlassExplorer(Trajectory("walk.extxyz"), Predictor.load())
display(explorer)
"""
"""What the notebook's last cell is in this test."""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Laboratory:
    """The explorer, driven with the mouse."""

    def __init__(self, explorer: ExplorerPage) -> None:
        self.explorer, self.page = explorer, explorer.page

    def press(self, title: str) -> None:
        """Press a button of the tab in front."""
        self.page.locator(f".symgnn-tabs button:visible:enabled:has-text('{title}')").first.click()

    def see(self, text: str, *, css: str = ".symgnn-tabs *") -> None:
        """Wait until a text is seen."""
        self.page.wait_for_selector(f"{css}:visible:has-text('{text}')", timeout=LONG)

    def slide(self, number: int, to: float) -> None:
        """Click a visible slider of the tab in front, at a fraction of its length."""
        track = self.page.locator(".symgnn-tabs .widget-slider:visible .noUi-connects").nth(number).bounding_box()
        self.page.mouse.click(track["x"] + to * track["width"], track["y"] + track["height"] / 2)

    def edit(self, words: str) -> None:
        """Type an edit, and wait for its step."""
        line = self.page.locator("input[placeholder^='swap']")
        line.fill(words)
        line.press("Enter")
        self.see(words, css=".symgnn-tabs div:has(> b:text-is('Steps: '))")

    def asked(self, code: str) -> str:
        """Ask the kernel; the page is what is driven."""
        return self.explorer.kernel(f"print({code})").strip()

    def picture(self, name: str) -> None:
        self.explorer.picture(PICTURES / f"{name}.png")
