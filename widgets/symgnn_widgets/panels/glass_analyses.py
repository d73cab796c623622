"""Analyses of the whole glass: radial distribution, structure factor, and the correlation length of predictions."""

from __future__ import annotations

from typing import Any, Literal

from symgnn_explain.analysis import (
    Autocorrelation,
    RadialDistribution,
    StructureFactor,
    field_autocorrelation,
    partial_distributions,
    static_structure_factor,
)
from symgnn_explain.plotting import autocorrelation_figure, radial_figure, structure_factor_figure
from symgnn_explain.runs.watch import CancelSignal
from symgnn_widgets.panels.analysis import Analysis, Subject
from symgnn_widgets.state.jobs import Reporter

_MARGIN = {"l": 60, "r": 10, "t": 36, "b": 140}


def _radial(
    subject: Subject, _report: Reporter, _cancel: CancelSignal
) -> tuple[RadialDistribution, dict[tuple[str, str], RadialDistribution]]:
    return subject.structure.radial_distribution, partial_distributions(subject.structure.glass)


def _structure_factor(subject: Subject, report: Reporter, cancel: CancelSignal) -> StructureFactor:
    return static_structure_factor(subject.structure.glass, progress=report, cancel=cancel)


def _correlation(subject: Subject, report: Reporter, cancel: CancelSignal) -> list[Autocorrelation]:
    glass, predictions = subject.structure.glass, subject.structure.predictions
    groups: tuple[tuple[Literal["all", "species"], str], ...] = (
        ("all", "predictions"),
        ("species", "predictions within a species"),
    )
    return [
        field_autocorrelation(glass, predictions, name, within=within, progress=report, cancel=cancel)
        for within, name in groups
    ]


def _of_glass(name: str, note: str, compute: Any, draw: Any) -> Analysis:
    return Analysis(name, note, compute, {name: draw}, height=440, margin=_MARGIN, depends_on_k=False, of_glass=True)


RADIAL = _of_glass(
    "radial distribution",
    "Dotted lines are the minima of the total g(r), which bound the shells.",
    _radial,
    lambda found: radial_figure(*found),
)
STRUCTURE_FACTOR = _of_glass(
    "structure factor",
    "Summed over every wave vector that the cell allows; large structures take minutes.",
    _structure_factor,
    structure_factor_figure,
)
CORRELATION = _of_glass(
    "correlation of predictions",
    "How alike the predictions of two atoms are at a distance r; ξ are correlation lengths with 95 % intervals.",
    _correlation,
    autocorrelation_figure,
)
