"""What every method is given: one atom's prediction as a function of a mask over units."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.pair_forward import PairForward
from symgnn_explain.explain.engine.protocol import ForwardUnderMask, MaskSemantics
from symgnn_explain.explain.engine.units import Units
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

if TYPE_CHECKING:
    from symgnn_explain.explain.engine.prepared_graph import PreparedGraph

EDGES_AT_ONCE = 500_000
"""Edges that one batched pass on a GPU may hold; about 4 GB at the published width, gradients included."""


class MaskedPrediction:
    """The prediction of one atom as a function of ``mask``, shape (n_units,): 1 leaves a unit as it is.

    Parameters
    ----------
    forward
        The prediction as a function of a mask over the receptive field's edges.
    units
        Which edges share a mask value.
    source, target, displacement
        The edges: atoms of the glass, shape (E,), and ``r_source - r_target``, shape (E, 3), Å, where a glass is known.
    prepared, atom
        Where it all comes from: the graph as the network sees it, and the explained atom.
    at_once
        How many masks :meth:`batch` puts side by side in one pass. Where None, one on a CPU, where a single mask's
        intermediate results stay in the cache and a batch's would not; elsewhere what ``EDGES_AT_ONCE`` allows.
    """

    def __init__(
        self,
        forward: ForwardUnderMask,
        units: Units,
        *,
        source: IntArray,
        target: IntArray,
        displacement: FloatArray | None,
        prepared: PreparedGraph,
        atom: int,
        at_once: int | None = None,
    ) -> None:
        self.forward, self.units = forward, units
        self.source, self.target, self._displacement = source, target, displacement
        self.prepared, self.atom = prepared, atom
        self._device = forward.field.edges.device
        self.unit_of_edge = None if units.kind in ("edge", "pair") else torch.from_numpy(units.of_edge).to(self._device)
        """Which unit each edge belongs to, shape (E,); None where each edge, or pair, is a unit of its own."""
        if at_once is None:
            at_once = 1 if self._device.type == "cpu" else max(1, EDGES_AT_ONCE // max(1, forward.n_edges))
        self.at_once = at_once
        self._copies = lru_cache(maxsize=2)(self._side_by_side)

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict (a scalar) under a mask (n_units,); differentiable."""
        return self.forward(self._over_edges(mask))

    def batch(self, masks: Tensor) -> Tensor:
        """Predict under each of several masks (B, n_units); shape (B,); differentiable."""
        if self.at_once == 1:
            if isinstance(self.forward, PairForward) and not torch.is_grad_enabled():
                return self.forward.under(self._over_edges(masks))
            return torch.stack([self(mask) for mask in masks])
        predictions = []
        for chunk in masks.split(self.at_once):
            copies, place = self._copies(len(chunk))
            predictions.append(copies(self._over_edges(chunk).flatten().index_select(0, place)))
        return torch.cat(predictions)

    def _over_edges(self, mask: Tensor) -> Tensor:
        """Give each edge the mask value of its unit; shape (…, n_units) to (…, E)."""
        return mask if self.unit_of_edge is None else mask.index_select(-1, self.unit_of_edge)

    def _side_by_side(self, count: int) -> tuple[ForwardUnderMask, Tensor]:
        """Put ``count`` copies of the receptive field side by side; and which entry of (count · E) masks each edge."""
        copies = self.prepared.masked_forward([self.atom] * count, self.semantics, over_pairs=self.over_pairs)
        owner = copies.field.owner
        # Each copy's edges keep their order among themselves.
        place = torch.empty_like(owner)
        place[torch.argsort(owner, stable=True)] = torch.arange(len(owner), device=owner.device)
        return copies, place

    @property
    def displacement(self) -> FloatArray:
        """``r_source - r_target`` of each edge, shape (E, 3), Å; raises InputError where only a graph is known."""
        if self._displacement is None:
            raise InputError("this needs a structure, with positions: explain a glass, not a bare graph.")
        return self._displacement

    @property
    def glass(self) -> Glass:
        """The structure; raises InputError where only a graph is known."""
        if self.prepared.structure is None:
            raise InputError("this needs a structure, with positions: explain a glass, not a bare graph.")
        return self.prepared.structure

    @property
    def over_pairs(self) -> bool:
        """Whether a mask acts on descriptors too, and not on messages alone."""
        return isinstance(self.forward, PairForward)

    def require_messages(self, what: str) -> None:
        """Raise InputError where a mask acts on more than messages, which ``what`` knows nothing of."""
        if self.over_pairs:
            raise InputError(
                f"{what} knows messages alone, and unit={self.units.kind!r} is all that atoms learn from each other: "
                "choose the unit 'edge' or 'bond', or another method."
            )

    @property
    def edge_number(self) -> Tensor:
        """Edge of the graph that each entry of the field is; -1 where a pair passes no message."""
        return self.forward.edge_number if isinstance(self.forward, PairForward) else self.forward.field.edges

    @property
    def semantics(self) -> MaskSemantics:
        """What a mask does to a message."""
        return self.forward.semantics

    @property
    def n_units(self) -> int:
        """Length of the mask."""
        return len(self.units)

    @cached_property
    def original(self) -> float:
        """The network's own prediction: every unit as it is."""
        with one_thread():
            return float(self.forward.original())

    @cached_property
    def baseline(self) -> float:
        """The prediction with every unit masked."""
        with one_thread():
            return float(self.forward.baseline())

    @cached_property
    def label_scale(self) -> float:
        """Standard deviation of the labels that the network was trained on."""
        return float(self.forward.label_scale)

    def full(self, value: float) -> Tensor:
        """Return a mask of one value everywhere, of the network's precision and on its device."""
        return torch.full((self.n_units,), value, dtype=self.forward.dtype, device=self._device)

    def keep(self, units: IntArray | Tensor) -> Tensor:
        """Return the mask that leaves ``units`` as they are and masks all others."""
        return self.full(0.0).index_fill(0, torch.as_tensor(units, device=self._device), 1.0)

    def remove(self, units: IntArray | Tensor) -> Tensor:
        """Return the mask that masks ``units`` alone."""
        return self.full(1.0).index_fill(0, torch.as_tensor(units, device=self._device), 0.0)
