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
from symgnn_explain.analysis.icosahedra import PolyhedronConnections, polyhedron_connections
from symgnn_explain.analysis.local_entropy import PairEntropy, pair_entropy
from symgnn_explain.analysis.local_order import LocalOrder, local_order_analysis
from symgnn_explain.analysis.motifs import MotifAnalysis, motif_analysis
from symgnn_explain.analysis.mro import Shell, ShellAnalysis, ShellNull, shell_analysis
from symgnn_explain.analysis.networks import NetworkAnalysis, network_analysis
from symgnn_explain.analysis.nulls import ATOM_NULLS, EDGE_NULLS, NullModel, NullTest, null_test
from symgnn_explain.analysis.persistence import Persistence
from symgnn_explain.analysis.population import PopulationAnalysis, population_analysis
from symgnn_explain.analysis.smooth_field import SmoothField, smooth_field
from symgnn_explain.analysis.steinhardt import BondOrder, bond_order
from symgnn_explain.analysis.structure_factor import DiffractionPeak, StructureFactor, static_structure_factor
from symgnn_explain.analysis.structure_network import BondNetwork, RingStatistics, bond_network
from symgnn_explain.analysis.substructure import OpenTopology, open_topology
from symgnn_explain.analysis.substructure_comparison import SubstructureComparison, compare_substructures
from symgnn_explain.analysis.topology import (
    cycle_comparison,
    optimal_cycles,
    persistent_homology,
    structure_topology,
)
from symgnn_explain.analysis.voronoi import VoronoiCells, voronoi_cells
from symgnn_explain.analysis.warren_cowley import ChemicalOrder, chemical_order
from symgnn_explain.radial import RadialDistribution, partial_distributions, radial_distribution

__all__ = [
    "ATOM_NULLS",
    "EDGE_NULLS",
    "Autocorrelation",
    "BondNetwork",
    "BondOrder",
    "Candidates",
    "ChemicalOrder",
    "CoarseGraining",
    "CorrelationLength",
    "CycleComparison",
    "CycleCounts",
    "CycleGroup",
    "CyclePath",
    "DiffractionPeak",
    "EnrichmentCurve",
    "LocalOrder",
    "MotifAnalysis",
    "NetworkAnalysis",
    "NullModel",
    "NullTest",
    "OpenTopology",
    "PairEntropy",
    "Persistence",
    "PersistenceImage",
    "PolyhedronConnections",
    "PopulationAnalysis",
    "RadialDistribution",
    "RingStatistics",
    "Shell",
    "ShellAnalysis",
    "ShellNull",
    "SmoothField",
    "StructureFactor",
    "StructureTopology",
    "SubstructureComparison",
    "VoronoiCells",
    "atom_candidates",
    "bond_network",
    "bond_order",
    "bottleneck_distance",
    "chemical_order",
    "coarse_graining_length",
    "compare_substructures",
    "cycle_comparison",
    "diagram_distances",
    "edge_candidates",
    "enrichment_curve",
    "field_autocorrelation",
    "importance_autocorrelation",
    "local_order_analysis",
    "motif_analysis",
    "network_analysis",
    "null_test",
    "open_topology",
    "optimal_cycles",
    "pair_entropy",
    "partial_distributions",
    "persistence_entropy",
    "persistence_image",
    "persistent_homology",
    "polyhedron_connections",
    "population_analysis",
    "radial_distribution",
    "shell_analysis",
    "smooth_field",
    "static_structure_factor",
    "structure_topology",
    "voronoi_cells",
    "wasserstein_distance",
]
