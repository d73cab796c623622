"""Explanation: which atoms and edges are behind one atom's prediction."""

from symgnn_explain.explain.api import DEFAULT_METHOD, METHODS, Method, explain_atom
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.interactions import INTERACTION_UNITS, explain_interactions
from symgnn_explain.explain.methods.path import PathContributions, path_contributions
from symgnn_explain.explain.methods.pg_explainer import PGExplainer, PGTrainingSettings, train_pg_explainer
from symgnn_explain.explain.methods.positions import PositionAttribution, explain_positions
from symgnn_explain.explain.population.batch import PopulationError, explain_many
from symgnn_explain.explain.population.explanation_set import ExplanationSet
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.interactions import Interactions
from symgnn_explain.runs.progress import PopulationProgress

__all__ = [
    "DEFAULT_METHOD",
    "INTERACTION_UNITS",
    "METHODS",
    "AtomExplanation",
    "ExplanationSet",
    "Interactions",
    "Method",
    "PGExplainer",
    "PGTrainingSettings",
    "PathContributions",
    "PopulationError",
    "PopulationProgress",
    "PositionAttribution",
    "PreparedGlass",
    "explain_atom",
    "explain_interactions",
    "explain_many",
    "explain_positions",
    "path_contributions",
    "prepare",
    "train_pg_explainer",
]
