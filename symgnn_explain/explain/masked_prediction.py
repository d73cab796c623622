"""What every method is given: one atom's prediction as a function of a mask over units."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from symgnn_explain.explain.masked_forward import MaskedForward, MaskSemantics
from symgnn_explain.explain.units import Units
from symgnn_explain.glass import FloatArray, IntArray


class MaskedPrediction:
    """The predicted barrier (eV) of one atom as a function of ``mask``, shape (n_units,): 1 leaves a unit as it is.

    Parameters
    ----------
    forward
        The prediction as a function of a mask over the receptive field's edges.
    units
        Which edges share a mask value.
    source, target, displacement
        The edges: atoms of the glass, shape (E,), and ``r_source - r_target``, shape (E, 3), Å.
    """

    def __init__(
        self, forward: MaskedForward, units: Units, *, source: IntArray, target: IntArray, displacement: FloatArray
    ) -> None:
        self.forward, self.units = forward, units
        self.source, self.target, self.displacement = source, target, displacement
        self._of_edge = torch.from_numpy(units.of_edge).to(forward.field.edges.device)

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict (eV, a scalar) under a mask (n_units,); differentiable."""
        return self.forward(mask if self.units.kind == "edge" else mask.index_select(0, self._of_edge))

    def batch(self, masks: Tensor) -> Tensor:
        """Predict under each of several masks (B, n_units); shape (B,), eV."""
        return torch.stack([self(mask) for mask in masks])

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
        """The network's own prediction, eV: every unit as it is."""
        return float(self.forward.original())

    @cached_property
    def baseline(self) -> float:
        """The prediction with every unit masked, eV."""
        return float(self.forward.baseline())

    @cached_property
    def barrier_scale(self) -> float:
        """Standard deviation of the barriers that the network was trained on, eV."""
        return float(self.forward.barrier_scale)

    def full(self, value: float) -> Tensor:
        """Return a mask of one value everywhere, of the network's precision and on its device."""
        return torch.full((self.n_units,), value, dtype=self.forward.dtype, device=self._of_edge.device)

    def keep(self, units: IntArray | Tensor) -> Tensor:
        """Return the mask that leaves ``units`` as they are and masks all others."""
        return self.full(0.0).index_fill(0, torch.as_tensor(units, device=self._of_edge.device), 1.0)

    def remove(self, units: IntArray | Tensor) -> Tensor:
        """Return the mask that masks ``units`` alone."""
        return self.full(1.0).index_fill(0, torch.as_tensor(units, device=self._of_edge.device), 0.0)
