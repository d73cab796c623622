"""What explaining any atom of one glass needs, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.masked_forward import MaskedForward, MaskSemantics
from symgnn_explain.explain.masked_prediction import MaskedPrediction
from symgnn_explain.explain.network_features import NetworkFeatures, network_features
from symgnn_explain.explain.reference import predict_with_reference
from symgnn_explain.explain.units import SHELL_WIDTH, Unit, group_edges
from symgnn_explain.glass import FloatArray, Glass
from symgnn_explain.models.predictor import Predictor


@dataclass(frozen=True, eq=False)
class PreparedGlass:
    """A glass as a predictor sees it; make one with :func:`prepare`.

    Parameters
    ----------
    predictor, glass
        What predicts, and what about.
    graph
        The network's input.
    barriers
        Predictions, shape (N,), eV.
    reference
        What atoms receive on average in each layer, shape (heads, dim) each.
    reference_name
        The glass that the reference messages come from.
    """

    predictor: Predictor
    glass: Glass
    graph: Data
    barriers: FloatArray
    reference: Sequence[Tensor]
    reference_name: str

    @cached_property
    def features(self) -> NetworkFeatures:
        """What the network computes on the way to its predictions; one more pass, made when it is first asked for."""
        return network_features(self.predictor.model, self.graph)

    def masked_forward(self, atoms: int | list[int], semantics: MaskSemantics) -> MaskedForward:
        """Build the prediction of one atom, or several, as a function of a mask over their receptive fields' edges."""
        require = self.glass.require_atom
        return MaskedForward(
            self.predictor.model,
            self.graph,
            [require(atom) for atom in atoms] if isinstance(atoms, list) else require(atoms),
            semantics=semantics,
            reference=self.reference,
        )

    def masked_prediction(
        self, atom: int, *, semantics: MaskSemantics, unit: Unit, shell_width: float = SHELL_WIDTH
    ) -> MaskedPrediction:
        """Build the prediction of one atom as a function of a mask over units.

        Raises
        ------
        InputError
            If the atom, the semantics or the unit does not exist.
        """
        forward = self.masked_forward(atom, semantics)
        edges = forward.field.edges.cpu()
        source, target = self.graph.edge_index[:, edges].cpu().numpy()
        displacement = self.graph.edge_attr[edges].double().cpu().numpy()
        units = group_edges(unit, self.glass, atom, source, target, displacement=displacement, shell_width=shell_width)
        return MaskedPrediction(
            forward, units, source=source, target=target, displacement=displacement, prepared=self, atom=atom
        )


def prepare(predictor: Predictor, glass: Glass, *, reference: Glass | None = None) -> PreparedGlass:
    """Predict a glass once, and keep what its explanations need.

    Parameters
    ----------
    predictor
        What predicts. Its network is copied where it has to be changed, never touched.
    glass
        The structure.
    reference
        The glass whose mean messages stand for "nothing particular" under the semantics ``reference``; the glass
        itself where None.

    Raises
    ------
    InputError
        If the predictor does not know a species of either glass.
    """
    graph = predictor.graph(glass)
    barriers, messages = predict_with_reference(predictor.model, graph)
    if reference is not None:
        _, messages = predict_with_reference(predictor.model, predictor.graph(reference))
    values = barriers.double().cpu().numpy()
    if not np.isfinite(values).all():
        raise InputError(
            f"the predictor gives barriers of {glass.name!r} that are not finite: its weights are damaged."
        )
    return PreparedGlass(predictor, glass, graph, values, messages, glass.name if reference is None else reference.name)
