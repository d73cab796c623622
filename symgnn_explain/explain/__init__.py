"""Explanation: which atoms and edges are behind one atom's prediction."""

from symgnn_explain.explain.api import METHODS, Method, explain
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.explain.prepared import PreparedGlass, prepare

__all__ = ["METHODS", "AtomExplanation", "Method", "PreparedGlass", "explain", "prepare"]
