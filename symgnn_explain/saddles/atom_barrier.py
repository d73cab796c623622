"""The energy barrier of one atom: the mean over the saddle points that searches from it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.saddles.minimisation import largest
from symgnn_explain.structure.glass import FloatArray, IntArray

SADDLE, DUPLICATE = "saddle", "duplicate"  # ways in which a search ends, as outcomes name them
KEPT_DISPLACEMENT = 0.02  # Å; atoms that move less at a saddle point are left out of its displacement field


@dataclass(frozen=True, eq=False, repr=False)
class Saddle(Brief):
    """A saddle point that joins the glass as it is to another minimum.

    Parameters
    ----------
    barrier
        Its energy above the start, eV.
    energy_beyond
        Energy of the minimum on the other side above the start, eV, with atoms beyond the local radius frozen.
    curvature
        Along the mode that leads over it, eV/Å², negative.
    search
        The number of the search that found it first.
    atoms
        Those that are displaced by at least 0.02 Å, shape (n,).
    displacements
        Theirs from the start, shape (n, 3), Å. How the others move is left out, so the energy of a structure that is
        made of these alone is some 0.1 eV higher than the saddle point's.
    """

    barrier: float
    energy_beyond: float
    curvature: float
    search: int
    atoms: IntArray
    displacements: FloatArray

    def distance_to(self, other: Saddle) -> float:
        """Return how far the atom is that is furthest from its place in another saddle point of this glass, Å."""
        atoms = np.union1d(self.atoms, other.atoms)
        difference = np.zeros((len(atoms), 3))
        difference[np.searchsorted(atoms, self.atoms)] = self.displacements
        difference[np.searchsorted(atoms, other.atoms)] -= other.displacements
        return largest(difference) if len(atoms) else 0.0


@dataclass(frozen=True, eq=False, repr=False)
class AtomBarrier(Brief):
    """What the searches from one atom found.

    Parameters
    ----------
    atom
        Its number.
    saddles
        Distinct, each connected to the start, in the order in which they were found.
    outcomes
        How many searches ended how: ``saddle``, ``duplicate``, ``not connected``, or why there was no saddle.
    calls
        Forces computed: with atoms beyond the local radius frozen, and with all atoms free.
    """

    atom: int
    saddles: tuple[Saddle, ...]
    outcomes: Mapping[str, int]
    calls: tuple[int, int]

    @property
    def barriers(self) -> FloatArray:
        """Of each saddle, eV."""
        return np.array([saddle.barrier for saddle in self.saddles])

    @property
    def searches(self) -> int:
        """How many there were."""
        return sum(self.outcomes.values())

    @property
    def mean(self) -> float | None:
        """The atom's barrier, eV; None where no saddle was found."""
        return float(self.barriers.mean()) if self.saddles else None

    @property
    def standard_error(self) -> float | None:
        """Of the mean, eV; None below two saddles."""
        count = len(self.saddles)
        return float(self.barriers.std(ddof=1) / np.sqrt(count)) if count > 1 else None

    def with_more(self, other: AtomBarrier, same_saddle: float) -> AtomBarrier:
        """Join searches from the same atom that were started with another seed; what both found counts once.

        Parameters
        ----------
        other
            What they found.
        same_saddle
            Two saddle points are one if no atom is further than this from its place in the other, Å.

        Raises
        ------
        InputError
            If it is another atom.
        """
        if other.atom != self.atom:
            raise InputError(f"searches from atom {other.atom} cannot be joined with searches from atom {self.atom}.")
        found, outcomes = list(self.saddles), Counter(self.outcomes)
        outcomes.update(other.outcomes)
        for saddle in other.saddles:
            if any(saddle.distance_to(known) < same_saddle for known in found):
                outcomes.update({SADDLE: -1, DUPLICATE: 1})
            else:
                found.append(replace(saddle, search=saddle.search + self.searches))
        calls = (self.calls[0] + other.calls[0], self.calls[1] + other.calls[1])
        return AtomBarrier(self.atom, tuple(found), outcomes, calls)

    def __str__(self) -> str:
        if self.mean is None:
            return f"atom {self.atom}: no saddle in {self.searches} searches"
        error = "" if self.standard_error is None else f" ± {self.standard_error:.3f}"
        return (
            f"atom {self.atom}: {self.mean:.3f}{error} eV from {len(self.saddles)} saddles in {self.searches} searches"
        )

    def to_row(self) -> dict[str, Any]:
        """Return what stands in a table: barrier and standard error (eV), saddles, searches, every saddle's barrier."""
        return {
            "atom": self.atom,
            "barrier_eV": np.nan if self.mean is None else self.mean,
            "standard_error_eV": np.nan if self.standard_error is None else self.standard_error,
            "saddles": len(self.saddles),
            "searches": self.searches,
            "barriers_eV": " ".join(f"{value:.4f}" for value in self.barriers),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "atom": self.atom,
            "outcomes": dict(sorted(self.outcomes.items())),
            "calls": list(self.calls),
            "saddles": [
                vars(saddle)
                | {"atoms": saddle.atoms.tolist(), "displacements": saddle.displacements.astype(np.float32).tolist()}
                for saddle in self.saddles
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Invert :meth:`to_dict`; raises InputError where something is missing or of the wrong kind."""
        try:
            saddles = tuple(
                Saddle(
                    barrier=float(entry["barrier"]),
                    energy_beyond=float(entry["energy_beyond"]),
                    curvature=float(entry["curvature"]),
                    search=int(entry["search"]),
                    atoms=np.array(entry["atoms"], dtype=np.int64),
                    displacements=np.array(entry["displacements"], dtype=np.float64).reshape(-1, 3),
                )
                for entry in content["saddles"]
            )
            outcomes = {str(how): int(count) for how, count in content["outcomes"].items()}
            local, whole = content["calls"]
            return cls(int(content["atom"]), saddles, outcomes, (int(local), int(whole)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"this is no record of an atom's barrier ({type(error).__name__}: {error}).") from error
