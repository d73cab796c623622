"""What there is to show of one explained atom: its figures, its tables and its summary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd

from symgnn_explain.analysis import CycleComparison, Mechanism, ShellAnalysis, mechanism, shell_analysis
from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.interactions import Interactions
from symgnn_explain.export.data import require_one_an_atom
from symgnn_explain.export.headings import with_units
from symgnn_explain.export.predictions import DOMAIN_ARRAY, ids_of
from symgnn_explain.runs.brief import Brief
from symgnn_explain.saddles.atom_barrier import AtomBarrier
from symgnn_explain.structure.glass import FloatArray, Glass

if TYPE_CHECKING:
    import plotly.graph_objects as go

_RAISES = ("raises", "lowers")
_FIDELITY = ("kept", "removed", "sufficiency", "necessity")
_RECORDED_PACKAGES = ("symgnn-explain", "numpy", "scipy", "torch", "torch_geometric", "captum", "gudhi", "plotly")


@dataclass(frozen=True, eq=False, repr=False)
class Findings(Brief):
    """An explanation with the analysis of its ``k`` most important edges.

    Parameters
    ----------
    glass, predictions
        The structure, and what is predicted for its atoms, shape (N,).
    explanation
        Of one of its atoms.
    k
        Most important edges that are analysed and drawn.
    cycles
        Cycles through the important edges, where they have been counted.
    spread
        Standard deviation of each prediction, shape (N,), where the predictor gives it.
    domain
        Domain score of each atom, shape (N,), where the predictor gives it.
    interactions
        Which units act together in the same prediction, where it was asked for.
    barrier
        The explained atom's barrier as saddle searches found it, where it was computed.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, interactions or barrier to another atom, or there is not one
        prediction an atom.
    """

    glass: Glass
    predictions: FloatArray
    explanation: AtomExplanation
    k: int = 50
    cycles: CycleComparison | None = None
    spread: FloatArray | None = None
    domain: FloatArray | None = None
    interactions: Interactions | None = None
    barrier: AtomBarrier | None = None

    def __post_init__(self) -> None:
        self.explanation.require_glass(self.glass)
        require_one_an_atom(self.predictions, self.glass)
        for further in (self.spread, self.domain):
            if further is not None:
                require_one_an_atom(further, self.glass)
        if self.interactions is not None:
            self.interactions.require_glass(self.glass)
            if self.interactions.atom != self.explanation.atom:
                raise InputError(
                    f"the interactions are of atom {self.interactions.atom}, and the explanation of atom "
                    f"{self.explanation.atom}: give those of one atom."
                )
        if self.barrier is not None and self.barrier.atom != self.explanation.atom:
            raise InputError(
                f"the computed barrier is of atom {self.barrier.atom}, and the explanation of atom "
                f"{self.explanation.atom}: give those of one atom."
            )

    @property
    def uncertainty(self) -> float | None:
        """Standard deviation of the explained prediction, where it is known."""
        return None if self.spread is None else float(self.spread[self.explanation.atom])

    @cached_property
    def shells(self) -> ShellAnalysis:
        """Where the important atoms sit; raises InputError where none but the explained one is important."""
        return shell_analysis(self.explanation, self.glass, self.k)

    @cached_property
    def mechanism(self) -> Mechanism | None:
        """What matters against what moves at saddle points; None where none are known.

        Raises InputError where all atoms move there, or none does.
        """
        known = self.barrier is not None and self.barrier.saddles
        return mechanism(self.explanation, self.barrier, self.glass) if known and self.barrier is not None else None

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure, by name."""
        from symgnn_explain.plotting import (
            contribution_figure,
            cycle_figure,
            distance_figure,
            interaction_figure,
            interaction_space_figure,
            mechanism_figure,
            neighbourhood_figure,
        )
        from symgnn_explain.plotting.style import naming

        figures = {
            "neighbourhood": neighbourhood_figure(self.glass, self.explanation, k=self.k, predictions=self.predictions),
            "distances": distance_figure(self.shells),
        }
        if self.explanation.signed:
            figures["contributions"] = contribution_figure(self.explanation)
        if self.cycles is not None:
            figures["cycles"] = cycle_figure(self.cycles)
        if self.interactions is not None:
            figures["interactions"] = interaction_figure(self.interactions)
            if self.interactions.in_space:
                figures["interactions_3d"] = interaction_space_figure(self.glass, self.interactions)
        if self.mechanism is not None and self.barrier is not None:
            figures["mechanism"] = mechanism_figure(self.glass, self.mechanism, self.barrier)
        return {name: naming(figure, self.explanation.quantity) for name, figure in figures.items()}

    @property
    def score_columns(self) -> tuple[str, ...]:
        """Columns in the unit of the prediction: scores of a signed method; mask values have none."""
        return ("score", "member_spread") if self.explanation.signed else ()

    def tables(self) -> dict[str, pd.DataFrame]:
        """Lay out every table, by name, with units in the headings: ``distance_angstrom``, ``score_eV``."""
        quantity = self.explanation.quantity
        atoms = {"atom": range(len(self.glass)), **ids_of(self.glass), "species": self.glass.symbols}
        predicted = {quantity.column(quantity.predicted_array): self.predictions}
        if self.spread is not None:
            predicted[quantity.column("spread")] = self.spread
        if self.domain is not None:
            predicted[DOMAIN_ARRAY] = self.domain
        scores = self.score_columns
        tables = {
            "edges": with_units(self.explanation.top_edges(len(self.explanation)), quantity, scores),
            "atoms": with_units(self.shells.atoms_frame(), quantity, scores),
            "shells": with_units(self.shells.to_frame(), quantity),
            "predictions": pd.DataFrame({**atoms, **predicted}),
        }
        if self.explanation.signed:
            tables["contributions"] = with_units(
                self.explanation.by_distance(), quantity, (*scores, *_RAISES, *(f"disputed_{name}" for name in _RAISES))
            )
        if self.explanation.fidelity is not None:
            tables["fidelity"] = with_units(self.explanation.fidelity.to_frame(), quantity, _FIDELITY)
        if self.cycles is not None:
            tables["cycles"] = self.cycles.to_frame()
        if self.interactions is not None:
            tables["interactions"] = with_units(self.interactions.to_frame(3), quantity, ["score"])
            tables["body_shares"] = with_units(self.interactions.body_shares(), quantity, ["sum"])
        for name in ("fidelity", "interactions", "body_shares"):
            if name in tables:
                tables[name] = tables[name].assign(**quantity.columns())
        if self.mechanism is not None:
            tables["mechanism"] = with_units(self.mechanism.to_frame(), quantity, scores)
        return tables

    def summary(self) -> dict[str, Any]:
        """Return the numbers that stand for the whole, ready for JSON."""
        explanation, glass, atom = self.explanation, self.glass, self.explanation.atom
        quantity = explanation.quantity
        summary = {
            "glass": glass.name,
            "glass_sha256": glass.content_hash,
            "formula": glass.formula,
            "atom": atom,
            "species": glass.symbols[atom],
            "method": explanation.method,
            "settings": dict(explanation.settings),
            "seed": explanation.seed,
            "mask_semantics": explanation.mask_semantics,
            "masks_cover": explanation.covers,
            "unit": explanation.unit,
            "target": quantity.name,
            "target_unit": quantity.unit,
            quantity.key("prediction"): explanation.prediction,
            quantity.key("prediction_spread"): self.uncertainty,
            quantity.key("masked_prediction"): explanation.masked_prediction,
            quantity.key("masked_change"): explanation.masked_change,
            quantity.key("prediction_range"): list(explanation.prediction_range),
            "out_of_distribution": explanation.out_of_distribution,
            "caveats": list(explanation.caveats),
            quantity.key(f"known_{quantity.slug}"): quantity.label(glass, atom),
            "diagnostics": dict(explanation.diagnostics),
            "wall_time_s": explanation.wall_time,
            "n_edges": len(explanation),
            "k": self.k,
            "radial_distribution": self.shells.radial_distribution.summary(),
            "shells": self.shells.summary(),
        }
        if self.cycles is not None:
            summary["cycles"] = self.cycles.summary()
        if self.interactions is not None:
            summary["interactions"] = self.interactions.summary()
        return summary | {"versions": versions()}


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on, by name."""
    return {package: version(package) for package in _RECORDED_PACKAGES}
