"""Analysis of structures and explanations: medium-range order and topology."""

from symgnn_explain.analysis.comparison import CycleComparison, CycleGroup
from symgnn_explain.analysis.mro import RadialDistribution, Shell, ShellAnalysis, radial_distribution, shell_analysis
from symgnn_explain.analysis.topology import CycleCounts, cycle_comparison, optimal_cycles

__all__ = [
    "CycleComparison",
    "CycleCounts",
    "CycleGroup",
    "RadialDistribution",
    "Shell",
    "ShellAnalysis",
    "cycle_comparison",
    "optimal_cycles",
    "radial_distribution",
    "shell_analysis",
]
