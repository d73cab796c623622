"""What every engine of masked predictions offers, and what a mask can mean."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from symgnn_explain.explain.engine.receptive_field import ReceptiveField

MaskSemantics = Literal["zero", "removal", "reference"]
"""What a mask value m does to the message of an edge, which has attention a where the network attends:

- ``zero``: m · message, attention as it was (the authors', PyG's);
- ``removal``: m = 0 removes the edge from the graph. In a SymGNN the softmax is over what is left,
  exp(·)·m / Σ exp(·)·m; other networks know masks of 0 and 1 alone, and are given the graph without the edge;
- ``reference``: m · message + (1 - m) · reference. In a SymGNN the reference is what an atom receives on average in
  that layer, and attention stays: a·(m·message + (1 - m)·reference). In others it is the layer's mean message.
"""

MASK_SEMANTICS: tuple[MaskSemantics, ...] = get_args(MaskSemantics)

Covers = Literal["everything", "messages", "known messages"]
"""What masks act on: all that an atom learns from others, messages alone though the network describes surroundings too,
or the messages of a network of which nothing else is known."""

COVERS: tuple[Covers, ...] = get_args(Covers)


class ForwardUnderMask(Protocol):
    """A network's prediction of one atom, or several, as a function of a mask over their receptive field's edges."""

    field: ReceptiveField

    @property
    def semantics(self) -> MaskSemantics:
        """What a mask does to a message."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of masks."""

    @property
    def n_edges(self) -> int:
        """Length of the mask."""

    @property
    def label_scale(self) -> Tensor:
        """Spread of the predicted quantity, by which changes are measured."""

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict under a mask (n_edges,), a scalar or one number an atom."""

    def original(self) -> Tensor:
        """Predict with nothing masked."""

    def baseline(self) -> Tensor:
        """Predict with everything masked."""
