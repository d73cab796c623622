"""An atom's prediction for every coalition of a few groups of units: what is in a coalition stays, all else is masked.

Coalition ``c`` of ``n`` groups holds group ``g`` where bit ``g`` of ``c`` is set; there are 2^n of them.

The descriptors of an atom depend on those groups alone that one of its pairs belongs to. So each atom is described and
encoded once for each coalition of *its* groups, not once for each of all, which is most of the work. A mask value of 0
or 1 a group makes descriptors a polynomial of it: of first degree under ``reference``, of second where angles lose both
of their ends. Its coefficients come from the coalitions of one group and of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.pair_forward import PairForward
from symgnn_explain.runs.threads import side_by_side
from symgnn_explain.runs.watch import Watch
from symgnn_explain.structure.glass import FloatArray, IntArray

MOST_GROUPS = 12
"""Groups above which coalitions are refused: each further one doubles their number."""
MOST_NUMBERS = 2**27
"""Node features (numbers) that may be kept of all atoms and their coalitions: half a gigabyte."""
_AT_ONCE = 16


def coalition_predictions(prediction: MaskedPrediction, group: IntArray, watch: Watch | None = None) -> FloatArray:
    """Predict under every coalition of groups of units.

    Parameters
    ----------
    prediction
        The prediction as a function of a mask over units.
    group
        The group of each unit, shape (n_units,), numbered from 0 without a gap.
    watch
        Progress and cancellation.

    Returns
    -------
    FloatArray
        Predictions, shape (2^n,); the first has everything masked, the last nothing.

    Raises
    ------
    InputError
        If there are more than ``MOST_GROUPS`` groups, or one of them has no unit.
    """
    watch, n_groups = watch or Watch(), int(group.max()) + 1
    if n_groups > MOST_GROUPS:
        raise InputError(f"{n_groups} groups have 2^{n_groups} coalitions: take {MOST_GROUPS} groups or fewer.")
    if group.shape != (prediction.n_units,) or (np.bincount(group, minlength=n_groups) == 0).any():
        raise InputError(f"each of the {prediction.n_units} units needs a group, and each of {n_groups} groups a unit.")
    values = torch.empty(2**n_groups, dtype=torch.float64)
    blocks = torch.arange(2**n_groups).split(_AT_ONCE)
    with torch.no_grad(), side_by_side() as work_through:
        described = _described(prediction, torch.from_numpy(group), n_groups)
        if described is None:
            predict, begun = _plain(prediction, group, values), 0.0
        else:
            predict, begun = _from_descriptions(described, values), 0.4
            for number, _ in enumerate(work_through(described.encode, range(len(described.known)))):
                watch.advance(begun * (number + 1) / len(described.known))
        for number, _ in enumerate(work_through(predict, blocks)):
            watch.advance(begun + (1 - begun) * (number + 1) / len(blocks))
    return values.numpy()


def _plain(prediction: MaskedPrediction, group: IntArray, values: Tensor) -> Callable[[Tensor], None]:
    like = prediction.full(0.0)
    of_unit = torch.from_numpy(group).to(like.device)

    def predict(coalitions: Tensor) -> None:
        masks = (coalitions.to(like.device)[:, None] >> of_unit & 1).to(like)
        values[coalitions] = prediction.batch(masks).double().cpu()

    return predict


def _from_descriptions(described: _Described, values: Tensor) -> Callable[[Tensor], None]:
    forward = described.forward
    of_message = described.of_pair[forward.messages]
    copies = forward.copies(min(_AT_ONCE, len(values)))

    def predict(coalitions: Tensor) -> None:
        masks = (coalitions[:, None] >> of_message & 1).to(forward.label_scale)
        rows = described.row[:, coalitions].T.flatten()[copies.nodes]
        values[coalitions] = copies(described.table.index_select(1, rows), masks).double()

    return predict


def _described(prediction: MaskedPrediction, group: Tensor, n_groups: int) -> _Described | None:
    """Prepare descriptions by coalition; None where there are none, or too many rows of them."""
    forward = prediction.forward
    if not isinstance(forward, PairForward) or forward.label_scale.device.type != "cpu":
        return None
    of_pair = group[torch.from_numpy(prediction.units.of_edge)]
    nothing = forward.described(forward.label_scale.new_zeros(forward.n_edges))
    members, n_atoms, dim = forward.encoded(nothing).shape
    knows = torch.zeros(n_atoms, n_groups, dtype=torch.bool)
    seen = torch.nonzero(forward.describes).squeeze(1)
    knows[forward.field.target[seen], of_pair[seen]] = True
    first = torch.cat([torch.zeros(1, dtype=torch.long), (2 ** knows.sum(1)).cumsum(0)])
    if int(first[-1]) * members * dim > MOST_NUMBERS:
        return None
    found: dict[tuple[int, ...], Tensor] = {(): nothing}
    sizes = (1,) if forward.semantics == "reference" else (1, 2)
    for chosen in (chosen for size in sizes for chosen in combinations(range(n_groups), size)):
        kept = torch.isin(of_pair, torch.tensor(chosen)).to(forward.label_scale)
        below = [found[part] for size in range(len(chosen)) for part in combinations(chosen, size)]
        found[chosen] = forward.described(kept) - torch.stack(below).sum(0)
    known = [tuple(torch.nonzero(groups).squeeze(1).tolist()) for groups in knows]
    coalitions = torch.arange(2**n_groups)
    row = torch.stack([_restricted(coalitions, groups) for groups in known]) + first[:-1, None]
    table = forward.label_scale.new_empty(members, int(first[-1]), dim)
    return _Described(forward, of_pair, list(found), torch.stack(list(found.values())), known, first, row, table)


@dataclass(frozen=True, eq=False)
class _Described:
    """Initial node features of each atom for each coalition of the groups that its descriptors know of.

    Parameters
    ----------
    forward, of_pair
        What describes and encodes, and the group of each of its pairs.
    sets, terms
        The groups of each term (none, one or two), and its coefficients of the descriptors, shape (terms, T, F).
    known
        The groups that each atom knows of.
    first
        Where the rows of each atom start in ``table``, shape (T + 1,).
    row
        The row of each atom in a coalition of all groups, shape (T, 2^n).
    table
        Node features, shape (M, rows, dim).
    """

    forward: PairForward
    of_pair: Tensor
    sets: list[tuple[int, ...]]
    terms: Tensor
    known: list[tuple[int, ...]]
    first: Tensor
    row: Tensor
    table: Tensor

    def encode(self, atom: int) -> None:
        """Fill the rows of one atom."""
        place = {group: bit for bit, group in enumerate(self.known[atom])}
        within = [number for number, chosen in enumerate(self.sets) if place.keys() >= set(chosen)]
        sets = tuple(tuple(place[group] for group in self.sets[number]) for number in within)
        described = _held(len(place), sets) @ self.terms[within, atom]
        self.table[:, self.first[atom] : self.first[atom + 1]] = self.forward.encoded(described)


def _restricted(coalitions: Tensor, groups: tuple[int, ...]) -> Tensor:
    """Give coalitions numbers that tell what they hold of some groups alone."""
    restricted = torch.zeros_like(coalitions)
    for bit, group in enumerate(groups):
        restricted |= (coalitions >> group & 1) << bit
    return restricted


@lru_cache(maxsize=64)
def _held(n_groups: int, sets: tuple[tuple[int, ...], ...]) -> Tensor:
    """Say which sets each coalition holds, shape (2^n, sets)."""
    coalitions = torch.arange(2**n_groups)[:, None]
    wanted = torch.tensor([sum(1 << group for group in chosen) for chosen in sets])
    return ((coalitions & wanted) == wanted).double()
