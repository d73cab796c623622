"""The predictions of several atoms of one glass as a function of one long mask: one pass, no atom sees another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from symgnn_explain.explain.engine.masked_forward import MaskedForward
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction


class JointPrediction:
    """Predictions (A,) as a function of the masks of A atoms, one after the other, shape (n_units,).

    Parameters
    ----------
    predictions
        Of the atoms, each as a function of its own mask; all of one glass, with one meaning of a mask.
    """

    def __init__(self, predictions: Sequence[MaskedPrediction]) -> None:
        self.predictions = predictions
        first = predictions[0]
        sizes = torch.tensor([prediction.n_units for prediction in predictions])
        device = first.full(0.0).device
        self.owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes).to(device)
        self.n_units = int(sizes.sum())
        self.sizes = sizes.to(device)
        self.original = first.full(0.0).new_tensor([prediction.original for prediction in predictions])
        self.label_scale = first.label_scale
        self._forward, self._of_edge = first.forward, first.unit_of_edge
        if len(predictions) > 1:
            self._forward = first.prepared.masked_forward(
                [one.atom for one in predictions], first.semantics, over_pairs=first.over_pairs
            )
            offsets = (sizes.cumsum(0) - sizes).tolist()
            of_edge = torch.cat(
                [torch.from_numpy(one.units.of_edge) + offset for one, offset in zip(predictions, offsets, strict=True)]
            ).to(device)
            # Each atom's edges keep their order among themselves.
            self._of_edge = torch.empty_like(of_edge)
            self._of_edge[torch.argsort(self._forward.field.owner, stable=True)] = of_edge

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict (A,) under a mask (n_units,); differentiable."""
        return self._forward(self._over_edges(mask)).reshape(-1)

    def with_pullback(self, mask: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Predict (A,) under a mask; also return what turns gradients towards the predictions into one towards it."""
        if not isinstance(self._forward, MaskedForward):
            mask = mask.detach().requires_grad_()
            with torch.enable_grad():
                recorded = self(mask)
            return recorded.detach(), lambda towards: torch.autograd.grad(recorded, mask, towards)[0]
        predictions, pullback = self._forward.with_pullback(self._over_edges(mask))
        of_edge = self._of_edge
        if of_edge is None:
            return predictions, pullback
        return predictions, lambda towards: torch.zeros_like(mask).index_add_(0, of_edge, pullback(towards))

    def _over_edges(self, mask: Tensor) -> Tensor:
        return mask if self._of_edge is None else mask.index_select(0, self._of_edge)

    def full(self, value: float) -> Tensor:
        """Return a mask of one value everywhere, of the network's precision and on its device."""
        return self.original.new_full((self.n_units,), value)

    def split(self, of_units: Tensor) -> tuple[Tensor, ...]:
        """Cut (n_units,) into one piece an atom."""
        return of_units.split([prediction.n_units for prediction in self.predictions])
