"""Reading and writing glasses: one adapter a format family."""

from symgnn_explain.structure.glass import BARRIER_ARRAY
from symgnn_explain.structure.io.published import AUTHORS_SPECIES
from symgnn_explain.structure.io.reading import Trajectory, read_frames, read_glass
from symgnn_explain.structure.io.species import notes
from symgnn_explain.structure.io.writing import LossyFormatWarning, write_glass

__all__ = [
    "AUTHORS_SPECIES",
    "BARRIER_ARRAY",
    "LossyFormatWarning",
    "Trajectory",
    "notes",
    "read_frames",
    "read_glass",
    "write_glass",
]
