"""What saddle searches are run with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError


@dataclass(frozen=True)
class SearchSettings:
    """Settings of activation-relaxation searches, calibrated on published training glasses of Cu64Zr36.

    Parameters
    ----------
    searches
        How many are started from each atom.
    seed
        Search *k* of atom *i* depends on the seed, *i* and *k* alone.
    push_radius
        Atoms within this distance of the central one are pushed with it, Å.
    push_step
        How far a push moves the atom that moves most, Å.
    most_pushes
        After so many without escaping from the basin a direction is given up.
    most_directions
        Directions that a search may try to push in.
    push_relaxation
        Relaxation steps perpendicular to the push, after each.
    escape_curvature
        The push ends, and climbing along the softest mode begins, where the lowest curvature is below this, eV/Å².
    climb_step
        Length of a step along the mode where the curvature is not negative, Å.
    most_rounds
        After so many updates of the mode a search is given up.
    force_tolerance
        Largest force on an atom at a saddle point, eV/Å.
    highest_energy
        Above the start, at which a direction or a search is given up, eV.
    local_radius
        Searches move atoms within this distance of the central one first, Å, then all atoms; all at once where None.
    lean
        How far the atom that moves most is moved from the saddle along the mode, before falling to either side, Å.
    same_minimum, same_energy
        A side has fallen back to the start if no atom is further than this from its place, Å, at an energy within eV.
    same_saddle
        Two saddle points are one if no atom is further than this from its place in the other, Å.
    """

    searches: int = 10
    seed: int = 0
    push_radius: float = 3.6
    push_step: float = 0.2
    most_pushes: int = 25
    most_directions: int = 12
    push_relaxation: int = 3
    escape_curvature: float = -1.0
    climb_step: float = 0.15
    most_rounds: int = 80
    force_tolerance: float = 0.01
    highest_energy: float = 6.0
    local_radius: float | None = 10.0
    lean: float = 0.2
    same_minimum: float = 0.15
    same_energy: float = 0.02
    same_saddle: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if field.name == "local_radius" and value is None:
                continue
            if not (isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)):
                raise InputError(f"{field.name}={value!r} must be a number.")
            if "int" in str(field.type):
                if value != int(value):
                    raise InputError(f"{field.name}={value!r} must be a whole number.")
                object.__setattr__(self, field.name, int(value))  # 10.0 is no number of searches for Python
            if field.name == "escape_curvature":
                if value >= 0:
                    raise InputError(f"escape_curvature={value} eV/Å² must be negative: the basin ends where it is.")
            elif value < 0 or (value == 0 and field.name not in {"seed", "push_relaxation"}):
                raise InputError(f"{field.name}={value} must be positive.")
        if self.local_radius is not None and self.local_radius < self.push_radius:
            raise InputError(
                f"local_radius={self.local_radius} Å must hold all that is pushed: at least {self.push_radius} Å."
            )
