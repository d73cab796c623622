"""Explanation: which atoms and edges are behind one atom's prediction."""

from symgnn_explain.explain.api import METHODS, Method, explain
from symgnn_explain.explain.batch import PopulationError, explain_many
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.explain.explanation_set import ExplanationSet
from symgnn_explain.explain.pg_explainer import PGExplainer, PGTrainingSettings, train_pg_explainer
from symgnn_explain.explain.positions import (
    PathContributions,
    PositionAttribution,
    explain_positions,
    path_contributions,
)
from symgnn_explain.explain.prepared import PreparedGlass, prepare
from symgnn_explain.progress import PopulationProgress

__all__ = [
    "METHODS",
    "AtomExplanation",
    "ExplanationSet",
    "Method",
    "PGExplainer",
    "PGTrainingSettings",
    "PathContributions",
    "PopulationError",
    "PopulationProgress",
    "PositionAttribution",
    "PreparedGlass",
    "explain",
    "explain_many",
    "explain_positions",
    "path_contributions",
    "prepare",
    "train_pg_explainer",
]
