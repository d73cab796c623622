"""Energy barriers from a potential: its files, saddle searches, and glasses made by melting and quenching."""

from symgnn_explain.saddles.atom_barrier import AtomBarrier, Saddle
from symgnn_explain.saddles.calculator import AseCalculator, Calculator, EnergySurface
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.eam_file import EamPotential, read_eam
from symgnn_explain.saddles.inherent import RelaxationSettings, relax
from symgnn_explain.saddles.many import BarrierError, BarrierSet, compute_barriers
from symgnn_explain.saddles.potentials import find_potential
from symgnn_explain.saddles.saddles import at_minimum, search_saddles
from symgnn_explain.saddles.settings import SearchSettings

__all__ = [
    "AseCalculator",
    "AtomBarrier",
    "BarrierError",
    "BarrierSet",
    "Calculator",
    "EamCalculator",
    "EamPotential",
    "EnergySurface",
    "RelaxationSettings",
    "Saddle",
    "SearchSettings",
    "at_minimum",
    "compute_barriers",
    "find_potential",
    "read_eam",
    "relax",
    "search_saddles",
]
