"""Where a predictor is valid: a score for every atom, 1 at the edge of what training covered.

The score is how far an atom's whitened descriptors, and the net force on it by pair forces that were learned from the
training glasses, are from what is usual there (:meth:`~.environment.AtomicEnvironment.length`), averaged over its
neighbours, and divided by what 1 % of the atoms of held-out glasses exceed.
Beyond the edge the network extrapolates, and the disagreement of an ensemble's members does not say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.models.environment import bonds_of
from symgnn_explain.models.symgnn import DescribedNetwork
from symgnn_explain.runs.brief import Brief
from symgnn_explain.structure.bins import wrapped_into_cell
from symgnn_explain.structure.glass import FloatArray, Glass

HELD_OUT_OUTSIDE = 0.01
"""Share of the atoms of held-out glasses that lie outside, by which the edge is chosen."""

FEW_OUTSIDE = 0.02
"""Up to this share of atoms outside, a glass is one like those that were held out."""

STRAINED = 0.015
"""Relative difference of the density from those of training beyond which strain is named as the cause."""

OTHER_COMPOSITION = 0.05
"""Difference of a species' share from those of training beyond which the composition is named as the cause."""

OTHER_UNIT = 2.0
"""Factor between densities beyond which lengths are probably not in Å."""

OTHER_SPACING = 1.5
"""Factor between distances of nearest neighbours beyond which lengths are not in Å, where empty space hides it."""

ORDERED = 0.03
"""Relative spread of the scores of one species under which its atoms are all alike, as in a crystal."""

UNBALANCED = 1.6
"""Median square of the net force on atoms beyond which a glass is not at rest: 0.5 to 0.6 in Cu-Zr glasses of all
compositions tried, 1.9 to 2.6 at displacements of 0.02 Å, 1.3 at most at strains of 2 %."""

EMPTY_SLAB = 5.0
"""Height (Å) without any atom that makes a surface."""


_PREPARED = "another preparation, since forces balance as in the training glasses, whose composition and density it has"
_MOVED = "no inherent structure (a snapshot at a temperature?): minimise its energy first"


@dataclass(frozen=True, repr=False)
class Domain(Brief):
    """What training covered.

    Parameters
    ----------
    edge
        Length of whitened descriptors, averaged over neighbours, at which the score is 1.
    density
        Lowest and highest number density of the training glasses, atoms/Å³.
    composition
        Lowest and highest share of each species, by chemical symbol.
    held_out_outside
        Share of atoms beyond the edge, for each fold that was held out.
    """

    edge: float
    density: tuple[float, float]
    composition: Mapping[str, tuple[float, float]]
    held_out_outside: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.edge) and self.edge > 0):
            raise InputError(f"edge={self.edge} of a domain must be positive.")

    @classmethod
    def of(cls, glasses: Sequence[Glass], lengths: Sequence[FloatArray]) -> Domain:
        """Draw the edge.

        Parameters
        ----------
        glasses
            All that training covers.
        lengths
            :func:`neighbourhood_length` of the atoms of each fold, as a network says that was trained without it.
        """
        edge = float(np.quantile(np.concatenate(lengths), 1 - HELD_OUT_OUTSIDE))
        densities = [glass.number_density for glass in glasses]
        shares = [_shares(glass) for glass in glasses]
        symbols = sorted({symbol for share in shares for symbol in share})
        composition = {
            symbol: (min(each.get(symbol, 0.0) for each in shares), max(each.get(symbol, 0.0) for each in shares))
            for symbol in symbols
        }
        outside = tuple(float(np.mean(fold > edge)) for fold in lengths)
        return cls(edge, (min(densities), max(densities)), composition, outside)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Domain:
        """Read what :meth:`to_dict` returned."""
        low, high = stored["density"]
        composition = {
            str(symbol): (float(least), float(most)) for symbol, (least, most) in stored["composition"].items()
        }
        return cls(float(stored["edge"]), (float(low), float(high)), composition, tuple(stored["held_out_outside"]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "edge": self.edge,
            "density": list(self.density),
            "composition": {symbol: list(shares) for symbol, shares in self.composition.items()},
            "held_out_outside": list(self.held_out_outside),
        }

    def sentence(self, glass: Glass, score: FloatArray, net_force: Callable[[], float] = lambda: 0.0) -> str:
        """Say how much of a glass lies outside, and the likeliest cause; empty where it is like held-out glasses.

        ``net_force``, asked where it is needed, is that of :func:`~.sweep.net_force_of`.
        """
        outside = score > 1
        if outside.mean() <= FEW_OUTSIDE:
            return ""
        share = 1.0 if outside.all() else min(outside.mean(), 0.99)
        atoms = "atom" if len(glass) == 1 else "atoms"
        return (
            f"{int(outside.sum())} of {len(glass)} {atoms} ({share:.0%}) lie outside of what training covered "
            f"(domain score above 1, largest {score.max():.3g}); what is predicted there was never learned. Likeliest "
            f"cause: {self.cause(glass, score, net_force())}."
        )

    def cause(self, glass: Glass, score: FloatArray, net_force: float = 0.0) -> str:
        """Guess why atoms lie outside, from density, composition, holes, likeness of atoms and the net force on them.

        A net force of 0 is not known.
        """
        (low, high), density = self.density, glass.number_density
        and_moved = f"; and {_MOVED}" if net_force > UNBALANCED else ""
        ends = ", ".join(name for name, periodic in zip("abc", glass.pbc, strict=True) if not periodic)
        has_surface = bool(ends) or _has_empty_slab(glass)
        if other_unit := self._other_unit(glass, has_surface=has_surface):
            return f"lengths that are not in Å, since {other_unit}"
        if has_surface:
            said = f"the cell is not periodic along {ends}" if ends else "the structure does not fill space"
            return f"a surface, since {said}"
        if _all_alike(glass, score):
            return "a crystal, since its atoms are all alike"
        for symbol, share in _shares(glass).items():
            least, most = self.composition.get(symbol, (0.0, 0.0))
            if not least - OTHER_COMPOSITION <= share <= most + OTHER_COMPOSITION:
                return f"another composition ({glass.formula}) than that of the training glasses{and_moved}"
        if not low * (1 - STRAINED) <= density <= high * (1 + STRAINED):
            change = density / (low if density < low else high) - 1
            said = f"the density differs by {change:+.1%} from that of training"
            return f"strain or another preparation, since {said}{and_moved}"
        return _PREPARED if 0 < net_force <= UNBALANCED else _MOVED

    def _other_unit(self, glass: Glass, *, has_surface: bool) -> str:
        """Say how lengths differ from those of training; empty where they are alike. Empty space has no density."""
        (low, high), density = self.density, glass.number_density
        if has_surface:
            nearest, usual = _nearest_distance(glass), low ** (-1 / 3)
            alike = usual / OTHER_SPACING < nearest < usual * OTHER_SPACING
            said = f"nearest neighbours are {nearest:.3g} Å apart (about {usual:.2g} Å in training)"
        else:
            alike = low / OTHER_UNIT < density < high * OTHER_UNIT
            said = f"the density is {density:.3g} atoms/Å³ ({low:.3g} in training)"
        return "" if alike else said


@torch.no_grad()
def neighbourhood_length(model: DescribedNetwork, graph: Data) -> Tensor:
    """Return how far atoms are from what is usual, averaged over the senders of an atom's edges, shape (N,).

    The average includes the atom itself, by its self-loop. It tells thermal displacements apart that single atoms
    hide: those of 0.05 Å by descriptors, with an area under the curve of 0.999 where an atom's own reach 0.75; those of
    0.02 Å by forces that do not balance.

    Raises
    ------
    InputError
        If the network does not describe surroundings.
    """
    if not model.observes:
        raise InputError("this network has no descriptors of surroundings, so it has no domain score.")
    length = torch.from_numpy(model.environment.length(model.observed(graph), bonds_of(graph))).to(
        graph.edge_attr.device
    )
    source, target = graph.edge_index
    total = torch.zeros_like(length).index_add(0, target, length[source])
    return total / torch.zeros_like(length).index_add(0, target, torch.ones_like(length[source]))


def _shares(glass: Glass) -> dict[str, float]:
    symbols, counts = np.unique(glass.symbols, return_counts=True)
    return {str(symbol): float(count) / len(glass) for symbol, count in zip(symbols, counts, strict=True)}


def _all_alike(glass: Glass, score: FloatArray) -> bool:
    return all(
        np.std(own) < ORDERED * np.mean(own)
        for own in (score[glass.numbers == number] for number in set(glass.numbers))
    )


def _nearest_distance(glass: Glass) -> float:
    """Median distance of an atom to its nearest neighbour inside of the cell, Å; of a single atom that to its image."""
    if len(glass) == 1:
        return float(glass.heights().min())
    position = wrapped_into_cell(glass)[1] @ glass.cell
    return float(np.median(KDTree(position).query(position, k=2)[0][:, 1]))


def _has_empty_slab(glass: Glass) -> bool:
    """Whether along some direction of the cell a slab of ``EMPTY_SLAB`` holds no atom."""
    place = np.sort(glass.fractional() % 1.0, axis=0)
    gaps = np.diff(np.concatenate([place, place[:1] + 1.0]), axis=0)
    return bool((gaps.max(axis=0) * glass.heights() > EMPTY_SLAB).any()) and len(glass) > 1
