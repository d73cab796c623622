"""Analysis of structures and explanations: medium-range order and topology."""

from symgnn_explain.analysis.explained.contributions import PopulationContributions, population_contributions
from symgnn_explain.analysis.explained.cycle_comparison import CycleComparison, comparable_edges, cycle_comparison
from symgnn_explain.analysis.explained.enrichment import EnrichmentCurve, enrichment_curve
from symgnn_explain.analysis.explained.mechanism import Mechanism, mechanism
from symgnn_explain.analysis.explained.motifs import MotifAnalysis, motif_analysis
from symgnn_explain.analysis.explained.mro import ShellAnalysis, shell_analysis
from symgnn_explain.analysis.explained.population import PopulationAnalysis, population_analysis
from symgnn_explain.analysis.fields.autocorrelation import Autocorrelation, field_autocorrelation
from symgnn_explain.analysis.fields.correlation_length import CorrelationLength
from symgnn_explain.analysis.fields.smooth_field import SmoothField, smooth_field
from symgnn_explain.analysis.networks.network_analysis import NetworkAnalysis, network_analysis
from symgnn_explain.analysis.networks.structure_network import BondNetwork, RingStatistics, bond_network
from symgnn_explain.analysis.nulls.candidates import Candidates, atom_candidates, edge_candidates
from symgnn_explain.analysis.nulls.null_models import ATOM_NULLS, EDGE_NULLS, NullModel
from symgnn_explain.analysis.order.icosahedra import PolyhedronConnections, polyhedron_connections
from symgnn_explain.analysis.order.local_entropy import PairEntropy, pair_entropy
from symgnn_explain.analysis.order.local_order import LocalOrder, local_order_analysis
from symgnn_explain.analysis.order.steinhardt import BondOrder, bond_order
from symgnn_explain.analysis.order.structure_factor import DiffractionPeak, StructureFactor, static_structure_factor
from symgnn_explain.analysis.order.voronoi import VoronoiCells, voronoi_cells
from symgnn_explain.analysis.order.warren_cowley import ChemicalOrder, chemical_order
from symgnn_explain.analysis.topology.cycle_counts import CycleCounts, CyclePath
from symgnn_explain.analysis.topology.of_glass import (
    StructureTopology,
    optimal_cycles,
    persistent_homology,
    structure_topology,
)
from symgnn_explain.analysis.topology.persistence import Persistence
from symgnn_explain.structure.radial import RadialDistribution, partial_distributions, radial_distribution

__all__ = [
    "ATOM_NULLS",
    "EDGE_NULLS",
    "Autocorrelation",
    "BondNetwork",
    "BondOrder",
    "Candidates",
    "ChemicalOrder",
    "CorrelationLength",
    "CycleComparison",
    "CycleCounts",
    "CyclePath",
    "DiffractionPeak",
    "EnrichmentCurve",
    "LocalOrder",
    "Mechanism",
    "MotifAnalysis",
    "NetworkAnalysis",
    "NullModel",
    "PairEntropy",
    "Persistence",
    "PolyhedronConnections",
    "PopulationAnalysis",
    "PopulationContributions",
    "RadialDistribution",
    "RingStatistics",
    "ShellAnalysis",
    "SmoothField",
    "StructureFactor",
    "StructureTopology",
    "VoronoiCells",
    "atom_candidates",
    "bond_network",
    "bond_order",
    "chemical_order",
    "comparable_edges",
    "cycle_comparison",
    "edge_candidates",
    "enrichment_curve",
    "field_autocorrelation",
    "local_order_analysis",
    "mechanism",
    "motif_analysis",
    "network_analysis",
    "optimal_cycles",
    "pair_entropy",
    "partial_distributions",
    "persistent_homology",
    "polyhedron_connections",
    "population_analysis",
    "population_contributions",
    "radial_distribution",
    "shell_analysis",
    "smooth_field",
    "static_structure_factor",
    "structure_topology",
    "voronoi_cells",
]
