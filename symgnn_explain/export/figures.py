"""Figures as pictures and as interactive pages that need no network."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from symgnn_explain.errors import InputError
from symgnn_explain.export.drawing import PAGE
from symgnn_explain.export.figure_page import figure_page, film_page
from symgnn_explain.runs.files import require_free, write_atomically
from symgnn_explain.runs.processes import running
from symgnn_explain.runs.watch import Watch

if TYPE_CHECKING:
    import plotly.graph_objects as go

STATIC_FORMATS = {".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"}
PIXEL_RATIO = 2.0
"""Pixels of a picture for each pixel of a figure: sharp in print."""
PIXEL_RATIOS = (0.5, 8.0)
"""The smallest and the largest that a browser draws reliably."""

TIME_LIMIT = 60.0
"""Seconds that the browser may take for a picture, its start included."""
VERSION_SECONDS = 20.0
"""Seconds in which a browser has to say its version."""
CLOSING_SECONDS = 10.0
"""Seconds in which it has to close once the last picture is drawn."""
TIME_LIMIT_VARIABLE = "SYMGNN_EXPLAIN_BROWSER_SECONDS"
"""Environment variable: another limit, for machines where a browser starts slowly."""

NO_BROWSER = (
    "Pictures (PNG, SVG, PDF) need Chrome or Chromium, and none was found: install one, for example with "
    "'apt install chromium' or 'kaleido_get_chrome'; interactive HTML figures need nothing."
)


class PictureError(InputError):
    """Pictures could not be drawn, because of the browser that draws them."""


class StaticImageWarning(UserWarning):
    """Pictures were left out because there is no browser to draw them, or it did not do so."""


def static_images_available() -> bool:
    """Whether figures can be written as pictures: a Chrome or Chromium is there."""
    return _browser() is not None


def _browser() -> Path | None:
    from choreographer.browsers.chromium import Chromium

    path = os.environ.get("BROWSER_PATH") or Chromium.find_browser(skip_local=False)
    return Path(path) if path is not None and Path(path).is_file() and os.access(path, os.X_OK) else None


def _require_starting(folder: Path, limit: float) -> None:
    """Raise PictureError where a browser does not even say its version: kaleido would wait for it in vain."""
    browser = _browser()
    if browser is None or sys.platform == "win32":  # there it would open a window
        return
    until = time.monotonic() + min(limit, VERSION_SECONDS)
    with running([str(browser), "--version"], cwd=folder) as program:
        while program.runs() and time.monotonic() < until:
            continue
    if program.status != 0:
        raise PictureError(f"The browser that draws pictures, {browser}, does not start: `{browser} --version` fails.")


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
    ``.pdf``, ``.jpg`` and ``.webp`` are pictures and need Chrome or Chromium. The browser is ended where it takes
    longer than ``TIME_LIMIT`` for a picture, or than the environment variable ``SYMGNN_EXPLAIN_BROWSER_SECONDS`` says.

    Parameters
    ----------
    pixel_ratio
        Pixels of a picture for each pixel of its figure, 0.5 to 8; SVG and PDF are as sharp at any.
    overwrite
        Whether files that exist may be replaced.

    Raises
    ------
    InputError
        If a suffix is unknown, or a file exists and may not be replaced.
    PictureError
        If there is no browser, or it does not draw; it is an InputError, and nothing is written.
    """
    for path in figures:
        if path.suffix.lower() not in {".html", *STATIC_FORMATS}:
            raise InputError(f"{path} has an unknown suffix: use .html, .png, .svg, .pdf, .jpg or .webp.")
    _require_ratio(pixel_ratio)
    require_free(figures, overwrite=overwrite)
    pictures = {path: figure for path, figure in figures.items() if path.suffix.lower() != ".html"}
    drawn: dict[Path, bytes] = {}
    if pictures:
        try:
            wanted = [(path.suffix.lower().lstrip("."), figure) for path, figure in pictures.items()]
            drawn = dict(zip(pictures, _drawn(wanted, pixel_ratio, Watch()), strict=True))
        except PictureError as error:
            raise PictureError(f"{', '.join(map(str, pictures))} cannot be written. {error}") from error
    for path, figure in figures.items():
        blob = drawn[path] if path in drawn else figure_page(figure, path.stem).encode()
        write_atomically(path, blob)
    return list(figures)


def drawn_one_after_another(figures: Sequence[go.Figure], pixel_ratio: float, watch: Watch) -> list[bytes]:
    """Draw the pictures of a film, PNG, all in one page, in which one figure becomes the next: ten times as fast.

    Parameters
    ----------
    figures
        Of the size of the first.
    pixel_ratio
        Pixels of a picture for each pixel of its figure, 0.5 to 8.
    watch
        Told the fraction that is drawn; a browser that was cancelled is ended.

    Raises
    ------
    PictureError
        If there is no browser, or it does not draw.
    InputError
        If the ratio cannot be drawn.
    Cancelled
        If the watch was cancelled.
    """
    _require_ratio(pixel_ratio)
    return _drawn([("png", figure) for figure in figures], pixel_ratio, watch, page=film_page())


def _require_ratio(pixel_ratio: float) -> None:
    low, high = PIXEL_RATIOS
    if not low <= pixel_ratio <= high:
        raise InputError(f"{pixel_ratio=} cannot be drawn: give {low:g} to {high:g} pixels for each of the figure's.")


def _drawn(
    pictures: Sequence[tuple[str, go.Figure]], pixel_ratio: float, watch: Watch, *, page: str = ""
) -> list[bytes]:
    """Draw all pictures in one browser, which runs beside this process and never longer than it may.

    ``pictures``: format and figure of each. ``page``: where they are drawn in one page, one after another.
    """
    if not static_images_available():
        raise PictureError(NO_BROWSER)
    limit = time_limit()
    try:
        with tempfile.TemporaryDirectory(prefix="symgnn-explain-", ignore_cleanup_errors=True) as name:
            _require_starting(Path(name), limit)
            if page:
                (Path(name) / PAGE).write_text(page, encoding="utf-8")
            return _drawn_in(Path(name), pictures, pixel_ratio, limit, watch)
    except OSError as error:
        raise PictureError(f"The browser that draws pictures cannot be started ({error}).") from error


def _drawn_in(
    folder: Path, pictures: Sequence[tuple[str, go.Figure]], pixel_ratio: float, limit: float, watch: Watch
) -> list[bytes]:
    wanted = [
        {"figure": json.loads(figure.to_json()), "format": name, "scale": pixel_ratio} for name, figure in pictures
    ]
    (folder / "figures.json").write_text(json.dumps(wanted), encoding="utf-8")
    said = folder / "said"
    # With -P nothing beside that file is taken for a library; what the browser leaves behind goes with the folder.
    command = [sys.executable, "-P", str(Path(__file__).with_name("drawing.py")), str(folder)]
    with said.open("wb") as stream, running(command, cwd=folder, env=_environment(folder), stderr=stream) as program:
        done, since = 0, time.monotonic()
        while program.runs():
            watch.advance(done / len(wanted))
            while (folder / str(done)).exists():
                done, since = done + 1, time.monotonic()
            waited = time.monotonic() - since
            if done == len(wanted) and waited > CLOSING_SECONDS:
                break  # every picture is there: a browser that does not close is ended
            if done < len(wanted) and waited > limit:
                raise PictureError(
                    f"The browser drew nothing within {limit:g} s and was ended: check that it starts, or allow more "
                    f"seconds in {TIME_LIMIT_VARIABLE}."
                )
    if done < len(wanted) and program.status != 0:
        lines = said.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"status {program.status}")
        raise PictureError(f"The browser that draws pictures failed ({last[:200]}): check that it starts.")
    return [(folder / str(place)).read_bytes() for place in range(len(wanted))]


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))


def time_limit() -> float:
    """Seconds that the browser may take for a picture; raises InputError where the environment says nonsense."""
    given = os.environ.get(TIME_LIMIT_VARIABLE)
    if given is None:
        return TIME_LIMIT
    try:
        limit = float(given)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise InputError(f"{TIME_LIMIT_VARIABLE}={given!r} must be a positive number of seconds.")
    return limit
