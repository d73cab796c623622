"""A JupyterLab and a Chromium for all tests of this folder, and what they share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .lab import CHROMIUM_FLAGS, CHROMIUM_NAMES, ExplorerPage, Lab, chromium_path, running_lab

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "01_explore.ipynb"
VIEWPORT = {"width": 1500, "height": 1000}
PLAIN_PAGES = "--disable-gpu-compositing"
"""Only WebGL uses the emulated graphics card: figures are drawn sooner, each picture of the 3D view comes later."""

SCREENSHOT_VARIABLE = "SYMGNN_EXPLAIN_SCREENSHOT"
COARSE = {"viewport": VIEWPORT, "device_scale_factor": 1 if SCREENSHOT_VARIABLE in os.environ else 0.5}
"""A page laid out as on that screen with a quarter of its pixels, which without a graphics card take most of the time.

Tests of what a screen shows (``as_opened``) have all of them.
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome."""
    found = chromium_path()
    if found is None:
        pytest.skip(f"no browser: set CHROME, or put one of {', '.join(CHROMIUM_NAMES)} on the PATH")
    return found


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab server of this environment."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install 'symgnn-explain[lab]'")
    with running_lab(tmp_path_factory.mktemp("lab-home"), tmp_path_factory.mktemp("lab-root")) as running:
        yield running


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A headless browser with software WebGL."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install 'symgnn-explain[dev]'"
    )
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, headless=True, args=[*CHROMIUM_FLAGS, PLAIN_PAGES])
        try:
            yield running
        finally:
            running.close()


@pytest.fixture(scope="session")
def notebook(browser: Any, lab: Lab) -> Iterator[ExplorerPage]:
    """The explorer's notebook, opened from a copy, with its kernel ready: for all tests, which start it anew."""
    shutil.copy(NOTEBOOK, lab.root / NOTEBOOK.name)
    opened = ExplorerPage(browser.new_context(**COARSE, accept_downloads=True).new_page())
    opened.open(lab.address(NOTEBOOK.name))
    yield opened
    opened.close()


@pytest.fixture
def own_page(browser: Any, lab: Lab) -> Iterator[ExplorerPage]:
    """A notebook for one test, which may load it again: JupyterLab brings back what its own cells have shown."""
    shutil.rmtree(lab.root / "out", ignore_errors=True)  # what an earlier test has exported
    shutil.copy(NOTEBOOK, lab.root / "own.ipynb")
    opened = ExplorerPage(browser.new_context(**COARSE, accept_downloads=True).new_page())
    opened.open(lab.address("own.ipynb"))
    opened.run_all()
    opened.wait_example()
    yield opened
    opened.close()


@pytest.fixture
def explorer_page(notebook: ExplorerPage, lab: Lab) -> ExplorerPage:
    """The explorer as a user finds it."""
    shutil.rmtree(lab.root / "out", ignore_errors=True)  # what an earlier test has exported
    notebook.start()
    return notebook
