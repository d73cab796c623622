"""An explanation as a graph of other libraries: NetworkX's, and what PyG's explainers return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import torch
from torch_geometric.explain import Explanation

from symgnn_explain.errors import first_rows

if TYPE_CHECKING:
    from symgnn_explain.explain.result.explanation import AtomExplanation


def networkx_graph(explanation: AtomExplanation, k: int | None) -> nx.MultiDiGraph:
    """Build what :meth:`AtomExplanation.to_networkx` returns."""
    graph = nx.MultiDiGraph(atom=explanation.atom, method=explanation.method, prediction=explanation.prediction)
    graph.add_node(explanation.atom)
    for edge in explanation.rank()[first_rows(k)]:
        graph.add_edge(
            int(explanation.source[edge]),
            int(explanation.target[edge]),
            score=float(explanation.score[edge]),
            distance=float(explanation.distance[edge]),
            displacement=tuple(explanation.displacement[edge].tolist()),
            hop=int(explanation.hop[edge]),
        )
    return graph


def pyg_explanation(explanation: AtomExplanation, n_atoms: int) -> Explanation:
    """Build what :meth:`AtomExplanation.to_pyg` returns."""
    return Explanation(
        edge_index=torch.from_numpy(np.stack([explanation.source, explanation.target])),
        edge_attr=torch.from_numpy(explanation.displacement.astype(np.float32)),
        edge_mask=torch.from_numpy(explanation.score.astype(np.float32)),
        num_nodes=n_atoms,
        index=torch.tensor([explanation.atom]),
    )
