"""The results of the command line as folders of figures, tables and a summary."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from symgnn_explain.errors import Cancelled
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export import figures as pictures
from symgnn_explain.export.data import write_explained_glass, write_explanation, write_graph, write_table
from symgnn_explain.export.figures import NO_BROWSER, StaticImageWarning, write_figures
from symgnn_explain.export.findings import Findings, versions
from symgnn_explain.export.naming import require_free
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import Glass

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from symgnn_explain.analysis import PopulationAnalysis

RECORD, SUMMARY = "explanation.json", "summary.json"


def export_explanation(
    explanation: AtomExplanation,
    glass: Glass,
    predictions: ArrayLike,
    out: str | Path,
    *,
    spread: ArrayLike | None = None,
    k: int = 50,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> list[Path]:
    """Write an explanation with its analysis: data, tables, figures and a summary.

    ``explanation.json`` (all of it), ``edges.csv`` (the ``k`` most important edges with the cycles through them),
    ``atoms.csv`` (their atoms with distance and shell), ``glass.extxyz`` (every atom with its prediction and its
    importance, for OVITO and ASE), ``edges.graphml``, ``neighbourhood``, ``distances`` and ``cycles`` as ``.html`` and
    ``.png``, and ``summary.json``. Without Chrome or Chromium the PNGs are left out and a
    :class:`StaticImageWarning` says so.

    Parameters
    ----------
    predictions
        Of every atom, shape (N,).
    out
        Folder, made where it is missing.
    spread
        Standard deviation of each prediction, shape (N,), where it is known.
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
    from symgnn_explain.analysis import cycle_comparison, optimal_cycles

    def step(fraction: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"the export to {out} was cancelled.")
        if progress is not None:
            progress(fraction)

    folder = Path(out)
    require_free([folder / SUMMARY, folder / RECORD], overwrite=overwrite)
    spreads = None if spread is None else np.asarray(spread, dtype=np.float64)
    findings = Findings(glass, np.asarray(predictions, dtype=np.float64), explanation, k, spread=spreads)
    step(0.1)
    counts = optimal_cycles(glass, lambda fraction: step(0.1 + 0.6 * fraction), cancel)
    comparison = cycle_comparison(explanation, glass, _comparable(explanation), progress=None, cancel=cancel)
    edges = explanation.top_edges(k)
    chosen = edges.pop("edge").to_numpy()
    edges["cycles"] = counts.of_edges(
        glass, explanation.source[chosen], explanation.target[chosen], explanation.displacement[chosen]
    )
    findings = replace(findings, cycles=comparison)
    figures, summary = findings.figures(), findings.summary()
    suffixes = _suffixes()
    step(0.75)
    written = [
        write_explanation(explanation, folder / RECORD, overwrite=overwrite),
        write_table(edges, folder / "edges.csv", overwrite=overwrite),
        write_table(findings.shells.atoms_frame(), folder / "atoms.csv", overwrite=overwrite),
        write_explained_glass(
            explanation, glass, findings.predictions, folder / "glass.extxyz", spread=spreads, overwrite=overwrite
        ),
        write_graph(explanation, glass, findings.predictions, folder / "edges.graphml", k=k, overwrite=overwrite),
        *write_figures(_in_folder(figures, folder, suffixes), overwrite=overwrite),
        _write_summary(summary, folder),
    ]
    step(1.0)
    return written


def export_population(
    analysis: PopulationAnalysis, out: str | Path, *, run: Mapping[str, Any] | None = None, overwrite: bool = False
) -> list[Path]:
    """Write the analysis of many atoms: ``atoms.csv``, ``statistics.csv``, figures and ``summary.json``, which is last.

    Figures are ``distances`` and ``cycles`` (those of the paper), ``enrichment``, and ``soft_against_hard``
    (``low_against_high`` where no barriers are predicted) where there
    are enough atoms, each as ``.html`` and ``.png``. Without Chrome or Chromium the PNGs are left out and a
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
    suffixes = _suffixes()
    summary = analysis.summary() | {"run": dict(run or {}), "versions": versions()}
    return [
        write_table(analysis.to_frame().assign(**quantity.columns()), folder / "atoms.csv", overwrite=overwrite),
        write_table(analysis.statistics_frame(), folder / "statistics.csv", overwrite=overwrite),
        *write_figures(_in_folder(figures, folder, suffixes), overwrite=overwrite),
        _write_summary(summary, folder),
    ]


def _in_folder(figures: Mapping[str, go.Figure], folder: Path, suffixes: Sequence[str]) -> dict[Path, go.Figure]:
    return {folder / f"{name}{suffix}": figure for name, figure in figures.items() for suffix in suffixes}


def _suffixes() -> list[str]:
    """Return suffixes that figures are written with, and warn where pictures have to be left out."""
    if pictures.static_images_available():
        return [".html", ".png"]
    warnings.warn(NO_BROWSER, StaticImageWarning, stacklevel=3)
    return [".html"]


def _write_summary(summary: Mapping[str, Any], folder: Path) -> Path:
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    return write_atomically(folder / SUMMARY, f"{text}\n".encode())


def _comparable(explanation: AtomExplanation, k: int = 10) -> int:
    """Return the paper's ten edges a group, or as many as a small receptive field has."""
    return max(1, min(k, int((~explanation.is_self_loop).sum()) // 3))
