"""Figures as pictures and as interactive pages that need no network."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from symgnn_explain.errors import InputError
from symgnn_explain.export.naming import require_free
from symgnn_explain.plotting.style import FIGURE_CONFIG
from symgnn_explain.runs.files import write_atomically

if TYPE_CHECKING:
    import plotly.graph_objects as go

STATIC_FORMATS = {".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"}
PIXEL_RATIO = 2.0
"""Pixels of a picture for each pixel of a figure: sharp in print."""
PIXEL_RATIOS = (0.5, 8.0)
"""The smallest and the largest that a browser draws reliably."""

NO_BROWSER = (
    "Pictures (PNG, SVG, PDF) need Chrome or Chromium, and none was found: install one, for example with "
    "'apt install chromium' or 'kaleido_get_chrome'; interactive HTML figures need nothing."
)


class StaticImageWarning(UserWarning):
    """Pictures were left out because there is no browser to draw them."""


def static_images_available() -> bool:
    """Whether figures can be written as pictures: a Chrome or Chromium is there."""
    from choreographer.browsers.chromium import Chromium

    path = os.environ.get("BROWSER_PATH") or Chromium.find_browser(skip_local=False)
    return path is not None and Path(path).is_file()


def write_figure(
    figure: go.Figure, path: str | Path, *, pixel_ratio: float = PIXEL_RATIO, overwrite: bool = False
) -> Path:
    """Write one figure; see :func:`write_figures`."""
    return write_figures({Path(path): figure}, pixel_ratio=pixel_ratio, overwrite=overwrite)[0]


def write_figures(
    figures: Mapping[Path, go.Figure], *, pixel_ratio: float = PIXEL_RATIO, overwrite: bool = False
) -> list[Path]:
    """Write figures to their paths; all pictures are drawn by one start of the browser.

    The suffix chooses: ``.html`` is interactive and needs no network (plotly.js is inside), ``.png``, ``.svg``,
    ``.pdf``, ``.jpg`` and ``.webp`` are pictures and need Chrome or Chromium.

    Parameters
    ----------
    pixel_ratio
        Pixels of a picture for each pixel of its figure, 0.5 to 8; SVG and PDF are as sharp at any.
    overwrite
        Whether files that exist may be replaced.

    Raises
    ------
    InputError
        If a suffix is unknown, a file exists and may not be replaced, or a picture is asked for and there is no
        browser.
    """
    for path in figures:
        if path.suffix.lower() not in {".html", *STATIC_FORMATS}:
            raise InputError(f"{path} has an unknown suffix: use .html, .png, .svg, .pdf, .jpg or .webp.")
    low, high = PIXEL_RATIOS
    if not low <= pixel_ratio <= high:
        raise InputError(f"{pixel_ratio=} cannot be drawn: give {low:g} to {high:g} pixels for each of the figure's.")
    require_free(figures, overwrite=overwrite)
    pictures = {path: figure for path, figure in figures.items() if path.suffix.lower() != ".html"}
    if pictures and not static_images_available():
        raise InputError(f"{', '.join(map(str, pictures))} cannot be written. {NO_BROWSER}")
    drawn = dict(zip(pictures, _draw(pictures, pixel_ratio), strict=True)) if pictures else {}
    for path, figure in figures.items():
        blob = drawn[path] if path in drawn else figure.to_html(config=FIGURE_CONFIG, include_plotlyjs=True).encode()
        write_atomically(path, blob)
    return list(figures)


def _draw(pictures: Mapping[Path, go.Figure], pixel_ratio: float) -> list[bytes]:
    """Draw all pictures in one browser; in a thread of its own, since a notebook's event loop is already running."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, _draw_in_browser(pictures, pixel_ratio)).result()


async def _draw_in_browser(pictures: Mapping[Path, go.Figure], pixel_ratio: float) -> list[bytes]:
    from kaleido import Kaleido

    # MathJax would be fetched from the network.
    async with Kaleido(n=1, mathjax=False) as browser:
        return [
            await browser.calc_fig(figure, opts={"format": path.suffix.lower().lstrip("."), "scale": pixel_ratio})
            for path, figure in pictures.items()
        ]
