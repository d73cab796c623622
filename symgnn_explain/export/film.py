"""Films: figures drawn one after another, as an animated GIF or WebP, or as MP4 where a program encodes it."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.export.figures import (
    NO_BROWSER,
    PictureError,
    drawn_one_after_another,
    static_images_available,
)
from symgnn_explain.export.naming import free_path
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.processes import running
from symgnn_explain.runs.watch import Watch

if TYPE_CHECKING:
    import plotly.graph_objects as go

FILM_FORMATS = (".gif", ".webp", ".mp4")
RATE = 10.0
"""Pictures a second."""
MOST_PICTURES = 600
"""Of one film: each is kept in memory until it is written."""
SECONDS = 3.0
"""How long a film takes where nothing else is said."""

NO_ENCODER = (
    "MP4 needs ffmpeg, and none was found: install it, or 'pip install imageio-ffmpeg'; GIF and WebP need nothing."
)
_RATES = (0.5, 50.0)
_DRAWING = 0.9  # of the whole work
_NAME = "picture%04d.png"


def write_film(
    figures: Sequence[go.Figure],
    path: str | Path,
    *,
    rate: float = RATE,
    pixel_ratio: float = 1.0,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> Path:
    """Write figures as a film; they are drawn by Chrome or Chromium, as pictures are.

    Parameters
    ----------
    figures
        Pictures of one size, 2 to 600: from :func:`~symgnn_explain.plotting.turning_figures` or
        :func:`~symgnn_explain.plotting.trajectory_figures`.
    path
        ``.gif``, ``.webp``, or ``.mp4`` where ffmpeg is installed.
    rate
        Pictures a second, 0.5 to 50.
    pixel_ratio
        Pixels of the film for each pixel of a figure.
    watch
        Told the fraction done; may cancel, and then nothing is written.

    Raises
    ------
    InputError
        If the suffix is another, the file exists and may not be replaced, pictures, their number or the rate cannot be
        used, or there is no ffmpeg for MP4; ``PictureError`` if there is no browser, or it does not draw.
    Cancelled
        If the watch was cancelled.

    Examples
    --------
    ::

        write_film(turning_figures(neighbourhood_figure(glass, explanation), 30), "atom1501.gif")
    """
    watch = watch or Watch()
    path = require_film_path(path, overwrite=overwrite)
    require_film(len(figures), rate)
    sizes = {(figure.layout.width, figure.layout.height) for figure in figures}
    if len(sizes) > 1 or None in next(iter(sizes)):
        raise InputError("the pictures of a film have one size: give all figures the same width and height.")
    drawing = Watch(None if watch.progress is None else lambda done: watch.advance(_DRAWING * done), watch.cancel)
    pictures = drawn_one_after_another(figures, pixel_ratio, drawing)
    watch.advance(_DRAWING)
    suffix = path.suffix.lower()
    blob = _encoded(pictures, _ffmpeg(), rate) if suffix == ".mp4" else _animated(pictures, suffix[1:], rate)
    watch.advance(1.0)
    return write_atomically(path, blob)


def require_film_path(path: str | Path, *, overwrite: bool = False) -> Path:
    """Return where a film is to be written, before what takes long.

    Raises InputError if its suffix is none of a film, it exists and may not be replaced, or it cannot be made here.
    """
    path = free_path(path, FILM_FORMATS, "films are .gif, .webp or .mp4", overwrite=overwrite)
    if path.suffix.lower() == ".mp4" and not _ffmpeg():
        raise InputError(NO_ENCODER)
    if not static_images_available():
        raise PictureError(f"{path} cannot be written. {NO_BROWSER}")
    return path


def require_film(count: int, rate: float = RATE) -> None:
    """Raise InputError unless so many pictures at this rate make a film."""
    if not 2 <= count <= MOST_PICTURES:
        raise InputError(f"{count} pictures are no film: give 2 to {MOST_PICTURES}.")
    low, high = _RATES
    if not low <= rate <= high:
        raise InputError(f"{rate=} cannot be shown: give {low:g} to {high:g} pictures a second.")


def film_formats() -> tuple[str, ...]:
    """Return the suffixes of films that can be written here."""
    return FILM_FORMATS if _ffmpeg() else FILM_FORMATS[:-1]


def _ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None and find_spec("imageio_ffmpeg") is not None:
        found = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    return found or ""


def _animated(pictures: Sequence[bytes], format: str, rate: float) -> bytes:  # noqa: A002
    from PIL import Image

    # GIF counts in hundredths of a second: what is rounded in one picture is made up for in the next.
    ends = np.rint(100 * np.arange(len(pictures) + 1) / rate).astype(int)
    durations = (10 * np.diff(ends)).tolist()
    first, *others = (Image.open(io.BytesIO(blob)).convert("RGB") for blob in pictures)
    stream = io.BytesIO()
    first.save(stream, format, save_all=True, append_images=others, duration=durations, loop=0)
    return stream.getvalue()


def _encoded(pictures: Sequence[bytes], ffmpeg: str, rate: float) -> bytes:
    with tempfile.TemporaryDirectory(prefix="symgnn-explain-") as name:
        folder = Path(name)
        for place, blob in enumerate(pictures):
            (folder / (_NAME % place)).write_bytes(blob)
        even = "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"  # what H.264 asks for
        command = [ffmpeg, "-loglevel", "error", "-framerate", f"{rate:g}", "-i", _NAME, "-vf", even]
        command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "film.mp4"]
        said = folder / "said"
        try:
            with said.open("wb") as stream, running(command, cwd=folder, stderr=stream) as program:
                while program.runs():
                    continue
        except OSError as error:
            raise InputError(f"{ffmpeg} cannot be started ({error.strerror}): write a GIF.") from error
        if program.status != 0 or not (folder / "film.mp4").is_file():
            lines = said.read_text(encoding=sys.getdefaultencoding(), errors="replace").strip().splitlines()
            raise InputError(f"{ffmpeg} failed ({lines[-1][:200] if lines else program.status}): write a GIF.")
        return (folder / "film.mp4").read_bytes()
