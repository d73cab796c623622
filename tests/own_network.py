"""A network of a user's own: any PyG layer on atomic numbers, with edges up to a cut-off."""

from __future__ import annotations

import numpy as np
import torch
from torch_geometric.data import Data

from symgnn_explain.models.protocol import NodeAdapter
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


class OwnAdapter(NodeAdapter):
    """Tells atoms by their number; ``cutoff`` (Å) may be set."""

    cutoff = 3.6

    def graph(self, glass: Glass) -> Data:
        source, target, displacement = neighbour_edges(glass, cutoff=self.cutoff)
        x = torch.from_numpy(glass.numbers.astype(np.float32))[:, None] / 40
        edges = torch.from_numpy(np.stack([source, target]))
        return Data(x=x, edge_index=edges, displacement=torch.from_numpy(displacement))
