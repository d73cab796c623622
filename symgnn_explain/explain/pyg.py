"""Methods of this toolkit as algorithms of ``torch_geometric.explain.Explainer``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain import Explanation
from torch_geometric.explain.algorithm import ExplainerAlgorithm
from torch_geometric.explain.config import ExplanationType, MaskType, ModelMode, ModelTaskLevel

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import require_method
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.units import Unit
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import CancelSignal, Watch

_log = logging.getLogger(__name__)


class FastExplainer(ExplainerAlgorithm):
    """Explain one node's number with a method of this toolkit, inside PyG's ``Explainer``.

    ::

        explainer = Explainer(
            model, FastExplainer("gnnexplainer"), explanation_type="model", edge_mask_type="object",
            model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
        )
        explanation = explainer(x, edge_index, edge_attr=edge_attr, index=1501)

    A SymGNN gets the fast engine. Any other network of PyG layers is evaluated as it is, as exact but slower, with a
    ``SlowEngineWarning``: on the whole graph, or on a part of it that has proved to give the same. The network is never
    touched, also when the explanation is interrupted. Layers that add self-loops are masked at the right edges.

    Parameters
    ----------
    method
        A name in :data:`~symgnn_explain.explain.METHODS`.
    semantics
        What masking a message means; where None, the method's own default for a SymGNN, else ``zero``.
    unit
        What one mask value is for: ``edge``, ``atom`` or ``polyhedron`` (all messages that a node sends, or receives).
    progress
        Called with the fraction done.
    cancel
        Anything with ``is_set()``; once set, the explanation stops with ``Cancelled``.
    **settings
        Of the method.

    Raises
    ------
    InputError
        If there is no such method, or a setting cannot be used.
    """

    def __init__(
        self,
        method: str = "gnnexplainer",
        *,
        semantics: MaskSemantics | None = None,
        unit: Unit = "edge",
        progress: Callable[[float], None] | None = None,
        cancel: CancelSignal | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.method = require_method(method)
        self.settings = self.method.configure(**settings)
        self.semantics, self.unit = semantics, unit
        self.watch = Watch(progress, cancel)

    def forward(
        self,
        model: nn.Module,
        x: Tensor,
        edge_index: Tensor,
        *,
        target: Tensor,  # noqa: ARG002 - what PyG passes; the prediction itself is explained
        index: int | Tensor | None = None,
        **kwargs: Any,
    ) -> Explanation:
        """Explain node ``index``; ``edge_mask`` is zero for edges outside its receptive field."""
        node = _one_node(index)
        with one_thread():
            prepared = PreparedGraph.of(model, Data(x=x, edge_index=edge_index, **kwargs))
            semantics = self.semantics or (self.method.semantics if prepared.reference is not None else "zero")
            prediction = prepared.masked_prediction(node, semantics=semantics, unit=self.unit)
            prediction.require_messages("an edge mask of PyG")
            if prediction.n_units == 0:  # no message reaches it
                return Explanation(edge_mask=torch.zeros(edge_index.size(1), device=edge_index.device))
            scores = self.method.run(prediction, self.settings, self.watch)
        spread = prediction.units.spread_over_edges(scores.score, share=scores.signed)
        edge_mask = torch.zeros(edge_index.size(1), device=edge_index.device)
        edge_mask[prediction.forward.field.edges] = torch.from_numpy(spread).to(edge_mask)
        return Explanation(edge_mask=edge_mask)

    def supports(self) -> bool:
        """Whether PyG's settings ask for what this can do; what is wrong is logged."""
        explainer, model = self.explainer_config, self.model_config
        wrong = {
            "the mode must be 'regression'": model.mode != ModelMode.regression,
            "the task level must be 'node'": model.task_level != ModelTaskLevel.node,
            "the explanation type must be 'model'": explainer.explanation_type != ExplanationType.model,
            "the edge mask type must be 'object'": explainer.edge_mask_type != MaskType.object,
            "node masks are not made: leave node_mask_type out": explainer.node_mask_type is not None,
        }
        for sentence in (sentence for sentence, is_wrong in wrong.items() if is_wrong):
            _log.error("%s does not support these settings: %s.", type(self).__name__, sentence)
        return not any(wrong.values())


def _one_node(index: int | Tensor | None) -> int:
    if index is None or (isinstance(index, Tensor) and index.numel() != 1):
        raise InputError(f"index={index!r} must name the one node that is explained.")
    return int(index)
