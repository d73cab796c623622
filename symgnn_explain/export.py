"""Figures and tables as files, each of which appears whole or not at all."""

from __future__ import annotations

import asyncio
import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike

from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.explain.scores import CancelSignal
from symgnn_explain.files import write_atomically
from symgnn_explain.glass import Glass

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from symgnn_explain.analysis import CycleComparison, PopulationAnalysis, ShellAnalysis

STATIC_FORMATS = {".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"}
TABLE_FORMATS = {".csv", ".json"}
PIXEL_RATIO = 2.0
"""Pixels of a picture for each pixel of a figure: sharp in print."""

NO_BROWSER = (
    "Pictures (PNG, SVG, PDF) need Chrome or Chromium, and none was found: install one, for example with "
    "'apt install chromium' or 'kaleido_get_chrome'; interactive HTML figures need nothing."
)

_RECORDED_PACKAGES = ("symgnn-explain", "numpy", "scipy", "torch", "torch_geometric", "captum", "gudhi", "plotly")


class StaticImageWarning(UserWarning):
    """Pictures were left out because there is no browser to draw them."""


def static_images_available() -> bool:
    """Whether figures can be written as pictures: a Chrome or Chromium is there."""
    from choreographer.browsers.chromium import Chromium

    path = os.environ.get("BROWSER_PATH") or Chromium.find_browser(skip_local=False)
    return path is not None and Path(path).is_file()


def write_figure(figure: go.Figure, path: str | Path) -> Path:
    """Write one figure; see :func:`write_figures`."""
    return write_figures({Path(path): figure})[0]


def write_figures(figures: Mapping[Path, go.Figure]) -> list[Path]:
    """Write figures to their paths; all pictures are drawn by one start of the browser.

    The suffix chooses: ``.html`` is interactive and needs no network (plotly.js is inside), ``.png``, ``.svg``,
    ``.pdf``, ``.jpg`` and ``.webp`` are pictures and need Chrome or Chromium.

    Raises
    ------
    InputError
        If a suffix is unknown, or a picture is asked for and there is no browser.
    """
    for path in figures:
        if path.suffix.lower() not in {".html", *STATIC_FORMATS}:
            raise InputError(f"{path} has an unknown suffix: use .html, .png, .svg, .pdf, .jpg or .webp.")
    pictures = {path: figure for path, figure in figures.items() if path.suffix.lower() != ".html"}
    if pictures and not static_images_available():
        raise InputError(f"{', '.join(map(str, pictures))} cannot be written. {NO_BROWSER}")
    drawn = dict(zip(pictures, _draw(pictures), strict=True)) if pictures else {}
    for path, figure in figures.items():
        blob = drawn[path] if path in drawn else figure.to_html(include_plotlyjs=True, full_html=True).encode()
        write_atomically(path, blob)
    return list(figures)


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as ``.csv`` or ``.json`` (a list of rows).

    Raises
    ------
    InputError
        If the suffix is another.
    """
    path = Path(path)
    if path.suffix.lower() not in TABLE_FORMATS:
        raise InputError(f"{path} has an unknown suffix: use .csv or .json.")
    text = io.StringIO()
    if path.suffix.lower() == ".csv":
        table.to_csv(text, index=False)
    else:
        table.to_json(text, orient="records", indent=1)
    return write_atomically(path, text.getvalue().encode())


def export_explanation(
    explanation: AtomExplanation,
    glass: Glass,
    barriers: ArrayLike,
    out: str | Path,
    *,
    k: int = 50,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> list[Path]:
    """Write an explanation with its analysis: data, tables, figures and a summary.

    ``explanation.json`` (all of it), ``edges.csv`` (the ``k`` most important edges with the cycles through them),
    ``atoms.csv`` (their atoms with distance and shell), ``neighbourhood``, ``distances`` and ``cycles`` as ``.html``
    and ``.png``, and ``summary.json``. Without Chrome or Chromium the PNGs are left out and a
    :class:`StaticImageWarning` says so.

    Parameters
    ----------
    barriers
        Predicted energy barrier of every atom, shape (N,), eV.
    out
        Folder, made where it is missing.
    k
        Most important edges that are analysed and drawn.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or there is not one barrier an atom.
    Cancelled
        If it was asked to stop.
    """
    from symgnn_explain.analysis import cycle_comparison, optimal_cycles, shell_analysis
    from symgnn_explain.plotting import cycle_figure, distance_figure, neighbourhood_figure

    def step(fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"the export to {out} was cancelled.")
        if progress is not None:
            progress(fraction)

    folder = Path(out)
    neighbourhood = neighbourhood_figure(glass, explanation, k=k, barriers=barriers)
    shells = shell_analysis(explanation, glass, k)
    step(0.1)
    counts = optimal_cycles(glass, lambda fraction: step(0.1 + 0.6 * fraction), cancel)
    comparison = cycle_comparison(explanation, glass, _comparable(explanation), progress=None, cancel=cancel)
    edges = explanation.top_edges(k)
    chosen = edges.pop("edge").to_numpy()
    edges["cycles"] = counts.of_edges(
        glass, explanation.source[chosen], explanation.target[chosen], explanation.displacement[chosen]
    )
    figures = {
        "neighbourhood": neighbourhood,
        "distances": distance_figure(shells),
        "cycles": cycle_figure(comparison),
    }
    suffixes = _suffixes()
    step(0.75)
    summary = _summary(explanation, glass, shells, comparison)
    written = [
        write_atomically(folder / "explanation.json", json.dumps(explanation.to_dict()).encode()),
        write_table(edges, folder / "edges.csv"),
        write_table(shells.atoms_frame(), folder / "atoms.csv"),
        *write_figures({folder / f"{name}{suffix}": figure for name, figure in figures.items() for suffix in suffixes}),
        _write_summary(summary, folder),
    ]
    step(1.0)
    return written


def export_population(
    analysis: PopulationAnalysis, out: str | Path, *, run: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write the analysis of many atoms: ``atoms.csv``, ``statistics.csv``, figures and ``summary.json``, which is last.

    Figures are ``distances`` and ``cycles`` (those of the paper), ``enrichment``, and ``soft_against_hard`` where there
    are enough atoms, each as ``.html`` and ``.png``. Without Chrome or Chromium the PNGs are left out and a
    :class:`StaticImageWarning` says so.

    Parameters
    ----------
    out
        Folder, made where it is missing.
    run
        What was explained and how, kept in the summary: the manifest of an ``ExplanationSet``.
    """
    from symgnn_explain.plotting import (
        enrichment_figure,
        population_cycle_figure,
        population_distance_figure,
        soft_hard_figure,
    )

    folder = Path(out)
    figures = {
        "distances": population_distance_figure(analysis),
        "cycles": population_cycle_figure(analysis),
        "enrichment": enrichment_figure(analysis.curve),
    }
    if analysis.n_soft:
        figures["soft_against_hard"] = soft_hard_figure(analysis)
    suffixes = _suffixes()
    summary = analysis.summary() | {"run": dict(run or {}), "versions": _versions()}
    return [
        write_table(analysis.to_frame(), folder / "atoms.csv"),
        write_table(analysis.statistics_frame(), folder / "statistics.csv"),
        *write_figures({folder / f"{name}{suffix}": figure for name, figure in figures.items() for suffix in suffixes}),
        _write_summary(summary, folder),
    ]


def _suffixes() -> list[str]:
    """Return suffixes that figures are written with, and warn where pictures have to be left out."""
    if static_images_available():
        return [".html", ".png"]
    warnings.warn(NO_BROWSER, StaticImageWarning, stacklevel=3)
    return [".html"]


def _write_summary(summary: Mapping[str, Any], folder: Path) -> Path:
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    return write_atomically(folder / "summary.json", f"{text}\n".encode())


def _versions() -> dict[str, str]:
    return {package: version(package) for package in _RECORDED_PACKAGES}


def _comparable(explanation: AtomExplanation, k: int = 10) -> int:
    """Return the paper's ten edges a group, or as many as a small receptive field has."""
    return max(1, min(k, int((~explanation.is_self_loop).sum()) // 3))


def _summary(
    explanation: AtomExplanation, glass: Glass, shells: ShellAnalysis, comparison: CycleComparison
) -> dict[str, Any]:
    return {
        "glass": glass.name,
        "glass_sha256": glass.content_hash,
        "formula": glass.formula,
        "atom": explanation.atom,
        "species": glass.symbols[explanation.atom],
        "method": explanation.method,
        "settings": dict(explanation.settings),
        "seed": explanation.seed,
        "mask_semantics": explanation.mask_semantics,
        "prediction_ev": explanation.prediction,
        "masked_prediction_ev": explanation.masked_prediction,
        "masked_change_ev": explanation.masked_change,
        "prediction_range_ev": list(explanation.prediction_range),
        "out_of_distribution": explanation.out_of_distribution,
        "known_barrier_ev": None if glass.barriers is None else float(glass.barriers[explanation.atom]),
        "diagnostics": dict(explanation.diagnostics),
        "wall_time_s": explanation.wall_time,
        "n_edges": len(explanation),
        "radial_distribution": shells.radial_distribution.summary(),
        "shells": shells.summary(),
        "cycles": comparison.summary(),
        "versions": _versions(),
    }


def _draw(pictures: Mapping[Path, go.Figure]) -> list[bytes]:
    """Draw all pictures in one browser; in a thread of its own, since a notebook's event loop is already running."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, _draw_in_browser(pictures)).result()


async def _draw_in_browser(pictures: Mapping[Path, go.Figure]) -> list[bytes]:
    from kaleido import Kaleido

    # MathJax would be fetched from the network.
    async with Kaleido(n=1, mathjax=False) as browser:
        return [
            await browser.calc_fig(figure, opts={"format": path.suffix.lower().lstrip("."), "scale": PIXEL_RATIO})
            for path, figure in pictures.items()
        ]
