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
from symgnn_explain.analysis.cycle_counts import CycleCounts, CyclePath
from symgnn_explain.analysis.diagrams import (
    PersistenceImage,
    bottleneck_distance,
    diagram_distances,
    persistence_entropy,
    persistence_image,
    wasserstein_distance,
)
from symgnn_explain.analysis.enrichment import EnrichmentCurve, enrichment_curve
from symgnn_explain.analysis.homology import StructureTopology
from symgnn_explain.analysis.mro import Shell, ShellAnalysis, ShellNull, shell_analysis
from symgnn_explain.analysis.nulls import ATOM_NULLS, EDGE_NULLS, NullModel, NullTest, null_test
from symgnn_explain.analysis.persistence import Persistence
from symgnn_explain.analysis.radial import RadialDistribution, partial_distributions, radial_distribution
from symgnn_explain.analysis.structure_factor import DiffractionPeak, StructureFactor, static_structure_factor
from symgnn_explain.analysis.substructure import OpenTopology, open_topology
from symgnn_explain.analysis.substructure_comparison import SubstructureComparison, compare_substructures
from symgnn_explain.analysis.topology import (
    cycle_comparison,
    optimal_cycles,
    persistent_homology,
    structure_topology,
)

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
    "CyclePath",
    "DiffractionPeak",
    "EnrichmentCurve",
    "NullModel",
    "NullTest",
    "OpenTopology",
    "Persistence",
    "PersistenceImage",
    "RadialDistribution",
    "Shell",
    "ShellAnalysis",
    "ShellNull",
    "StructureFactor",
    "StructureTopology",
    "SubstructureComparison",
    "atom_candidates",
    "bottleneck_distance",
    "coarse_graining_length",
    "compare_substructures",
    "cycle_comparison",
    "diagram_distances",
    "edge_candidates",
    "enrichment_curve",
    "field_autocorrelation",
    "importance_autocorrelation",
    "null_test",
    "open_topology",
    "optimal_cycles",
    "partial_distributions",
    "persistence_entropy",
    "persistence_image",
    "persistent_homology",
    "radial_distribution",
    "shell_analysis",
    "static_structure_factor",
    "structure_topology",
    "wasserstein_distance",
]
