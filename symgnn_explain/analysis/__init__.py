"""Analysis of structures and explanations: medium-range order and topology."""

from symgnn_explain.analysis.autocorrelation import (
    Autocorrelation,
    field_autocorrelation,
    importance_autocorrelation,
)
from symgnn_explain.analysis.candidates import Candidates, atom_candidates, edge_candidates
from symgnn_explain.analysis.coarse_graining import CoarseGraining, coarse_graining_length
from symgnn_explain.analysis.comparison import CycleComparison, CycleGroup
from symgnn_explain.analysis.correlation_length import CorrelationLength
from symgnn_explain.analysis.enrichment import EnrichmentCurve, enrichment_curve
from symgnn_explain.analysis.mro import Shell, ShellAnalysis, ShellNull, shell_analysis
from symgnn_explain.analysis.nulls import ATOM_NULLS, EDGE_NULLS, NullModel, NullTest, null_test
from symgnn_explain.analysis.radial import RadialDistribution, partial_distributions, radial_distribution
from symgnn_explain.analysis.structure_factor import DiffractionPeak, StructureFactor, static_structure_factor
from symgnn_explain.analysis.topology import CycleCounts, cycle_comparison, optimal_cycles

__all__ = [
    "ATOM_NULLS",
    "EDGE_NULLS",
    "Autocorrelation",
    "Candidates",
    "CoarseGraining",
    "CorrelationLength",
    "CycleComparison",
    "CycleCounts",
    "CycleGroup",
    "DiffractionPeak",
    "EnrichmentCurve",
    "NullModel",
    "NullTest",
    "RadialDistribution",
    "Shell",
    "ShellAnalysis",
    "ShellNull",
    "StructureFactor",
    "atom_candidates",
    "coarse_graining_length",
    "cycle_comparison",
    "edge_candidates",
    "enrichment_curve",
    "field_autocorrelation",
    "importance_autocorrelation",
    "null_test",
    "optimal_cycles",
    "partial_distributions",
    "radial_distribution",
    "shell_analysis",
    "static_structure_factor",
]
