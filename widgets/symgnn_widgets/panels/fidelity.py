"""How faithful the explanation is: against rankings that know nothing of the network, and beside other methods."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from symgnn_explain.explain import METHODS
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.fidelity.measure import Fidelity, fidelity, importance_order, log_counts
from symgnn_explain.explain.fidelity.nulls import FidelityAgainstNulls, NullOrder, fidelity_against_nulls
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.plotting.fidelity import fidelity_figure, sufficiency_figure
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_widgets.panels.analysis import Analysis, Subject
from symgnn_widgets.state.jobs import Reporter

_NULLS: tuple[NullOrder, ...] = ("random", "nearest", "hop_length_matched")
_DRAWS = 8
_PER_DECADE = 3
"""Counts at which all of them are checked: fewer than for an explanation alone, so that it takes seconds."""


@dataclass(frozen=True, eq=False)
class Trust:
    """What the fidelity of an explanation is compared with.

    Parameters
    ----------
    against_nulls
        The explanation, and rankings that know nothing of the network.
    known
        Fidelity of all explanations of the same atom in the history, by method and what a mask means.
    """

    against_nulls: FidelityAgainstNulls
    known: dict[str, Fidelity]


def _trust(subject: Subject, report: Reporter, cancel: CancelSignal) -> Trust:
    explanation: AtomExplanation = subject.explanation
    prediction = _prediction(subject, explanation)
    against_nulls = fidelity_against_nulls(
        prediction,
        importance_order(explanation.unit_score),
        log_counts(prediction.n_units, per_decade=_PER_DECADE),
        nulls=_NULLS,
        draws=_DRAWS,
        watch=Watch(report, cancel),
    )
    with one_thread():
        known = {
            f"{METHODS[known.method].label}, {known.mask_semantics}": fidelity(
                _prediction(subject, known), importance_order(known.unit_score), against_nulls.observed.count
            )
            for known in comparable(subject)
        }
    return Trust(against_nulls, known)


def comparable(subject: Subject) -> list[AtomExplanation]:
    """Return the explanations of the same atom in the history whose units are of the same kind, this one last."""
    explanation: AtomExplanation = subject.explanation
    others = [known for known in subject.history.values() if known is not explanation]
    return [
        *(known for known in others if (known.atom, known.unit) == (explanation.atom, explanation.unit)),
        explanation,
    ]


def _prediction(subject: Subject, explanation: AtomExplanation) -> MaskedPrediction:
    return subject.structure.prepared.masked_prediction(
        explanation.atom, semantics=explanation.mask_semantics, unit=explanation.unit
    )


def _nulls_figure(trust: Trust) -> go.Figure:
    return fidelity_figure(trust.against_nulls, title="Does it beat rankings that know nothing of the network?")


FIDELITY = Analysis(
    "fidelity",
    "An explanation is worth reading where its line leaves the bands: keeping its first units keeps the prediction, "
    "masking them changes it. Explain the atom with further methods to compare them.",
    _trust,
    {"against nulls": _nulls_figure, "sparsity": lambda trust: sufficiency_figure(trust.known)},
    height=400,
    margin={"l": 60, "r": 10, "t": 64, "b": 110},
    depends_on_k=False,
)
