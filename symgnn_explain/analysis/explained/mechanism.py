"""Whether the atoms that matter to a prediction are the atoms that move: an explanation beside computed saddle points.

An explanation ranks the atoms around the explained one. Those that move at a saddle point should come first: the area
under the receiver operating characteristic curve (AUC) is the probability that an atom that moves has the higher score
of two. Near atoms both matter and move, so that nearness alone gives a large area. Therefore atoms are also compared
with atoms of the same distance only, where a ranking that knows no more than distance has one half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.errors import InputError, require_positive
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.brief import Brief
from symgnn_explain.saddles.atom_barrier import AtomBarrier
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

MOVES = 0.1
"""Å; an atom that is farther than this from its place at a saddle point moves there."""

SHELL = 0.5
"""Atoms whose distances from the explained one lie in one interval of this width (Å) are compared with each other."""

DRAWS = 200


@dataclass(frozen=True, eq=False, repr=False)
class Mechanism(Brief):
    """The atoms that an explanation ranks, and how far each moves; the explained atom itself is left out.

    Parameters
    ----------
    atom, method
        Which atom is explained, and how.
    atoms
        The others that its prediction depends on, shape (n,).
    score
        Their scores in the explanation, shape (n,).
    moved
        How far each is from its place at the saddle point where it is farthest, shape (n,), Å.
    distance
        From the explained atom, shape (n,), Å.
    moves
        Whether each moves, shape (n,).
    threshold
        How far (Å) an atom has to be from its place to move.
    n_beyond
        Atoms that move, and that the prediction does not depend on.
    auc, auc_null
        Area under the curve, and what it is on average where scores are dealt anew among atoms of the same distance.
    auc_of_nearness
        The area of a ranking by nearness alone.
    auc_at_equal_distance
        The area where atoms are compared with atoms of the same distance only; 0.5 for scores that know no more. None
        where at no distance some atoms move and others do not.
    """

    atom: int
    method: str
    atoms: IntArray
    score: FloatArray
    moved: FloatArray
    distance: FloatArray
    moves: NDArray[np.bool_]
    threshold: float
    n_beyond: int
    auc: float
    auc_null: float
    auc_of_nearness: float
    auc_at_equal_distance: float | None

    def overlap(self) -> tuple[int, float]:
        """Count how many of the first n atoms move, where n atoms do; and how many of the n nearest ones."""
        n_moving = int(self.moves.sum())
        first = np.argsort(-self.score, kind="stable")[:n_moving]
        nearest = np.argsort(self.distance, kind="stable")[:n_moving]
        return int(self.moves[first].sum()), int(self.moves[nearest].sum())

    def to_frame(self) -> pd.DataFrame:
        """List the atoms, those that matter most first: score, distance and how far each moves, Å."""
        columns = {"atom": self.atoms, "score": self.score, "distance": self.distance, "moved": self.moved}
        return pd.DataFrame(columns).sort_values("score", ascending=False, kind="stable", ignore_index=True)

    def __str__(self) -> str:
        hits, near = self.overlap()
        n_moving = int(self.moves.sum())
        equal = "none to compare" if self.auc_at_equal_distance is None else f"{self.auc_at_equal_distance:.2f}"
        return (
            f"{n_moving} of {len(self.atoms)} atoms move at saddle points; of the {n_moving} that matter most {hits} "
            f"do, of the nearest {near}. AUC {self.auc:.2f} ({self.auc_null:.2f} for scores dealt anew at equal "
            f"distance, {self.auc_of_nearness:.2f} for nearness); among atoms of equal distance: {equal} (chance: 0.50)"
        )


def mechanism(explanation: AtomExplanation, barrier: AtomBarrier, glass: Glass, *, moves: float = MOVES) -> Mechanism:
    """Compare the atoms that matter with those that move.

    Parameters
    ----------
    explanation
        Of the atom. One whose unit is ``atom`` or ``pair`` sees descriptors too.
    barrier
        What saddle searches from the same atom found.
    glass
        The structure of both.
    moves
        Distance (Å) beyond which an atom moves at a saddle point.

    Raises
    ------
    InputError
        If the two are of different atoms, there is no saddle point, or all atoms move or none does.
    """
    require_positive(moves=moves)
    if explanation.atom != barrier.atom:
        raise InputError(
            f"the explanation is of atom {explanation.atom} and the saddle points are of atom {barrier.atom}: give "
            "both of one atom."
        )
    if not barrier.saddles:
        raise InputError(f"no saddle point of atom {barrier.atom} is known: search for more.")
    farthest = np.zeros(len(glass))
    for saddle in barrier.saddles:
        np.maximum.at(farthest, saddle.atoms, np.linalg.norm(saddle.displacements, axis=1))
    scores = explanation.atom_scores()
    scores = scores[scores.index != explanation.atom]
    atoms = scores.index.to_numpy(dtype=np.int64)
    score, moved = scores.to_numpy(dtype=np.float64), farthest[atoms]
    distance = np.linalg.norm(glass.displacements_from(explanation.atom)[atoms], axis=1)
    moving = moved >= moves
    if moving.all() or not moving.any():
        raise InputError(
            f"{'all' if moving.any() else 'none'} of the {len(atoms)} atoms that the prediction of atom "
            f"{explanation.atom} depends on move by {moves:g} Å: choose another distance."
        )
    shell = (distance // SHELL).astype(np.int64)
    random = np.random.default_rng(0)
    null = np.mean([_area(_dealt_anew(score, shell, random), moving) for _ in range(DRAWS)])
    return Mechanism(
        atom=explanation.atom,
        method=explanation.method,
        atoms=atoms,
        score=score,
        moved=moved,
        distance=distance,
        moves=moving,
        threshold=moves,
        n_beyond=int((farthest >= moves).sum() - moving.sum() - (farthest[explanation.atom] >= moves)),
        auc=_area(score, moving),
        auc_null=float(null),
        auc_of_nearness=_area(-distance, moving),
        auc_at_equal_distance=_area_within(score, moving, shell),
    )


def _area(score: FloatArray, moving: NDArray[np.bool_]) -> float:
    """Probability that of an atom that moves and one that does not the former has the higher score; ties count half."""
    from scipy.stats import rankdata

    n_moving = int(moving.sum())
    above = rankdata(score)[moving].sum() - n_moving * (n_moving + 1) / 2
    return float(above / (n_moving * (len(score) - n_moving)))


def _area_within(score: FloatArray, moving: NDArray[np.bool_], shell: IntArray) -> float | None:
    """Return the same over all pairs of atoms of one shell."""
    total, pairs = 0.0, 0
    for number in np.unique(shell):
        here = shell == number
        of_shell = int(moving[here].sum()) * int((~moving[here]).sum())
        if of_shell:
            total, pairs = total + of_shell * _area(score[here], moving[here]), pairs + of_shell
    return total / pairs if pairs else None


def _dealt_anew(score: FloatArray, shell: IntArray, random: np.random.Generator) -> FloatArray:
    """Permute scores among the atoms of each shell."""
    dealt = np.empty_like(score)
    dealt[np.argsort(shell, kind="stable")] = score[np.lexsort((random.random(len(score)), shell))]
    return dealt
