"""The results of the command line as folders of figures, tables and a summary."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from symgnn_explain.errors import Cancelled
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.interactions import Interactions
from symgnn_explain.export.data import write_explained_glass, write_explanation, write_graph, write_table
from symgnn_explain.export.figures import PictureError, StaticImageWarning, write_figures
from symgnn_explain.export.findings import Findings, versions
from symgnn_explain.export.headings import with_unit_column, with_units
from symgnn_explain.runs.files import require_free, staged, write_atomically
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import Glass

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from symgnn_explain.analysis import PopulationAnalysis

RECORD, SUMMARY = "explanation.json", "summary.json"
EXPLANATION_FILES = (
    RECORD,
    "edges.csv",
    "atoms.csv",
    "glass.extxyz",
    "edges.graphml",
    *(
        f"{name}{suffix}"
        for name in ("neighbourhood", "distances", "contributions", "cycles", "interactions", "interactions_3d")
        for suffix in (".html", ".png")
    ),
    "interactions.csv",
    "agreement.csv",
    SUMMARY,
)
"""What :func:`export_explanation` writes."""


def export_explanation(
    explanation: AtomExplanation,
    glass: Glass,
    predictions: ArrayLike,
    out: str | Path,
    *,
    spread: ArrayLike | None = None,
    domain: ArrayLike | None = None,
    interactions: Interactions | None = None,
    alike: pd.DataFrame | None = None,
    k: int = 50,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> list[Path]:
    """Write an explanation with its analysis: data, tables, figures and a summary.

    ``explanation.json`` (all of it), ``edges.csv`` (the ``k`` most important edges with the cycles through them),
    ``atoms.csv`` (their atoms with distance and shell), ``glass.extxyz`` (every atom with its prediction and its
    importance, for OVITO and ASE), ``edges.graphml``, ``neighbourhood``, ``distances`` and ``cycles`` as ``.html`` and
    ``.png``, and ``summary.json``. The PNGs are drawn when all else is written; without a working Chrome or Chromium
    they are left out and a :class:`StaticImageWarning` says so.

    Parameters
    ----------
    predictions
        Of every atom, shape (N,).
    out
        Folder, made where it is missing.
    spread
        Standard deviation of each prediction, shape (N,), where it is known.
    domain
        Domain score of each atom, shape (N,), where it is known.
    interactions
        Which units act together, where it was found: ``interactions.csv`` and figures.
    alike
        How alike an explanation by another network is, where there is one: ``agreement.csv``.
    k
        Most important edges that are analysed and drawn.
    overwrite
        Whether results that the folder holds may be replaced.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, there is not one prediction an atom, or the folder holds results
        that may not be replaced.
    Cancelled
        If it was asked to stop.
    """
    from symgnn_explain.analysis import comparable_edges, cycle_comparison, optimal_cycles

    def step(fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"the export to {out} was cancelled.")
        if progress is not None:
            progress(fraction)

    folder = Path(out)
    require_free([folder / name for name in EXPLANATION_FILES], overwrite=overwrite)
    spreads, domains = (None if each is None else np.asarray(each, dtype=np.float64) for each in (spread, domain))
    predicted = np.asarray(predictions, dtype=np.float64)
    findings = Findings(glass, predicted, explanation, k, spread=spreads, domain=domains, interactions=interactions)
    step(0.1)
    counts = optimal_cycles(glass, lambda fraction: step(0.1 + 0.6 * fraction), cancel)
    comparison = cycle_comparison(explanation, glass, comparable_edges(explanation), progress=None, cancel=cancel)
    edges = explanation.top_edges(k)
    chosen = edges.pop("edge").to_numpy()
    edges["cycles"] = counts.of_edges(
        glass, explanation.source[chosen], explanation.target[chosen], explanation.displacement[chosen]
    )
    findings = replace(findings, cycles=comparison)
    figures, summary = findings.figures(), findings.summary()
    quantity, scores = explanation.quantity, findings.score_columns
    step(0.75)
    with staged(folder) as staging:
        written = [
            write_explanation(explanation, staging / RECORD),
            write_table(with_units(edges, quantity, scores), staging / "edges.csv"),
            write_table(with_units(findings.shells.atoms_frame(), quantity, scores), staging / "atoms.csv"),
            write_explained_glass(
                explanation, glass, predicted, staging / "glass.extxyz", spread=spreads, domain=domains
            ),
            write_graph(explanation, glass, predicted, staging / "edges.graphml", k=k),
        ]
        if interactions is not None:
            written.append(write_table(findings.tables()["interactions"], staging / "interactions.csv"))
        if alike is not None:
            written.append(write_table(alike, staging / "agreement.csv"))
        _write_pages(figures, staging)
        _write_summary(summary, staging)
        made = {path.name for path in staging.iterdir()}
    for name in set(EXPLANATION_FILES) - made:
        (folder / name).unlink(missing_ok=True)  # of another explanation than what now stands beside it
    step(0.85)
    drawn = _drawn(figures, folder)
    step(1.0)
    return [folder / path.name for path in written] + drawn + [folder / SUMMARY]


def export_population(
    analysis: PopulationAnalysis, out: str | Path, *, run: Mapping[str, Any] | None = None, overwrite: bool = False
) -> list[Path]:
    """Write the analysis of many atoms: ``atoms.csv``, ``statistics.csv``, ``summary.json`` and figures.

    Figures are ``distances`` and ``cycles`` (those of the paper), ``enrichment``, and ``soft_against_hard``
    (``low_against_high`` where no barriers are predicted) where there are enough atoms, each as ``.html`` and ``.png``.
    The PNGs are drawn when all else is written; without a working Chrome or Chromium they are left out and a
    :class:`StaticImageWarning` says so.

    Parameters
    ----------
    out
        Folder, made where it is missing.
    run
        What was explained and how, kept in the summary: the manifest of an ``ExplanationSet``.
    overwrite
        Whether results that the folder holds may be replaced.
    """
    from symgnn_explain.plotting import (
        enrichment_figure,
        population_cycle_figure,
        population_distance_figure,
        soft_hard_figure,
    )
    from symgnn_explain.plotting.style import naming

    folder = Path(out)
    require_free([folder / SUMMARY], overwrite=overwrite)
    figures = {
        "distances": population_distance_figure(analysis),
        "cycles": population_cycle_figure(analysis),
        "enrichment": enrichment_figure(analysis.curve),
    }
    quantity = analysis.quantity
    if analysis.n_low:
        figures[f"{quantity.low}_against_{quantity.high}"] = soft_hard_figure(analysis)
    figures = {name: naming(figure, quantity) for name, figure in figures.items()}
    atoms = with_units(analysis.to_frame(), quantity, ["prediction", "masked_change"])
    summary = analysis.summary() | {"run": dict(run or {}), "versions": versions()}
    with staged(folder) as staging:
        written = [
            write_table(atoms.assign(**quantity.columns()), staging / "atoms.csv"),
            write_table(with_unit_column(analysis.statistics_frame()), staging / "statistics.csv"),
        ]
        _write_pages(figures, staging)
        _write_summary(summary, staging)
    return [folder / path.name for path in written] + _drawn(figures, folder) + [folder / SUMMARY]


def _write_pages(figures: Mapping[str, go.Figure], folder: Path) -> None:
    write_figures({folder / f"{name}.html": figure for name, figure in figures.items()})


def _drawn(figures: Mapping[str, go.Figure], folder: Path) -> list[Path]:
    """Draw figures as pictures, or warn where the browser does not; return the files of all figures that there are.

    Everything else is written by then, and stays.
    """
    pictures = {folder / f"{name}.png": figure for name, figure in figures.items()}
    suffixes = [".html", ".png"]
    for earlier in pictures:
        earlier.unlink(missing_ok=True)  # of other data than what now stands beside it
    try:
        write_figures(pictures)
    except PictureError as error:
        warnings.warn(str(error), StaticImageWarning, stacklevel=3)
        suffixes.remove(".png")
    return [folder / f"{name}{suffix}" for name in figures for suffix in suffixes]


def _write_summary(summary: Mapping[str, Any], folder: Path) -> Path:
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    return write_atomically(folder / SUMMARY, f"{text}\n".encode())
