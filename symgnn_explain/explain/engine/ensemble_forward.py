"""The masked prediction of an ensemble: the mean over its members, each under the same mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.explain.engine.masked_forward import MaskedForward, MaskSemantics
from symgnn_explain.models.ensemble import SymGNNEnsemble, with_description


class EnsembleForward:
    """``prediction(mask)`` of an ensemble, equal to its plain forward with that mask on the messages of all members.

    Parameters
    ----------
    model, graph, atoms, semantics
        As of :class:`MaskedForward`.
    reference
        The reference messages of each member.
    """

    def __init__(
        self,
        model: SymGNNEnsemble,
        graph: Data,
        atoms: int | Sequence[int],
        *,
        semantics: MaskSemantics = "zero",
        reference: Sequence[Sequence[Tensor]] | None = None,
    ) -> None:
        with torch.no_grad():
            graph = with_description(model, graph)
        references = [None] * model.config.n_members if reference is None else reference
        self._members = [
            MaskedForward(member, graph, atoms, semantics=semantics, reference=its)
            for member, its in zip(model.symgnns, references, strict=True)
        ]
        self.field = self._members[0].field
        self.semantics = semantics

    @property
    def n_edges(self) -> int:
        """Length of the mask: the edges of the receptive field."""
        return len(self.field.edges)

    @property
    def barrier_scale(self) -> Tensor:
        """Standard deviation of the barriers that the members were trained on, eV."""
        return self._members[0].barrier_scale

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network, and so of masks."""
        return self._members[0].dtype

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict barriers (eV), a scalar or one an atom, under the mask."""
        return self._mean([member(mask) for member in self._members])

    def original(self) -> Tensor:
        """Return the prediction (eV) with nothing masked."""
        return self._mean([member.original() for member in self._members])

    def baseline(self) -> Tensor:
        """Return the prediction (eV) with everything masked."""
        return self._mean([member.baseline() for member in self._members])

    @staticmethod
    def _mean(predictions: list[Tensor]) -> Tensor:
        return torch.stack(predictions).mean(0)
