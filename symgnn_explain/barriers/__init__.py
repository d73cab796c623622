"""Energy barriers from first principles: potentials, saddle searches, and glasses made by melting and quenching."""

from symgnn_explain.barriers.atom_barrier import AtomBarrier, Saddle
from symgnn_explain.barriers.calculator import AseCalculator, Calculator, EnergySurface
from symgnn_explain.barriers.eam import EamCalculator
from symgnn_explain.barriers.eam_file import EamPotential, read_eam
from symgnn_explain.barriers.many import BarrierSet, compute_barriers
from symgnn_explain.barriers.potentials import find_potential
from symgnn_explain.barriers.saddles import at_minimum, search_saddles
from symgnn_explain.barriers.settings import SearchSettings

__all__ = [
    "AseCalculator",
    "AtomBarrier",
    "BarrierSet",
    "Calculator",
    "EamCalculator",
    "EamPotential",
    "EnergySurface",
    "Saddle",
    "SearchSettings",
    "at_minimum",
    "compute_barriers",
    "find_potential",
    "read_eam",
    "search_saddles",
]
