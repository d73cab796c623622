"""An independent SymGNN: the published equations written out edge by edge, in float64, from the tensors alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from symgnn_explain.models.symgnn import SymGNN

Array = NDArray[np.float64]


class Reference:
    """The network of ``model`` in evaluation mode, as loops over edges and heads."""

    def __init__(self, model: SymGNN) -> None:
        self.config = model.config
        self.state = {name: tensor.numpy().astype(float) for name, tensor in model.state_dict().items()}

    def linear(self, name: str, x: Array) -> Array:
        return x @ self.state[f"{name}.weight"].T + self.state.get(f"{name}.bias", 0.0)

    def norm(self, name: str, x: Array) -> Array:
        mean, variance = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
        return (x - mean) / np.sqrt(variance + 1e-5) * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def encoder(self, name: str, x: Array) -> Array:
        hidden = np.maximum(self.norm(f"{name}.1", self.linear(f"{name}.0", x)), 0)
        return np.maximum(self.norm(f"{name}.4", self.linear(f"{name}.3", hidden)), 0)

    def encode_edges(self, displacement: Array) -> Array:
        transformations = self.state["inference_transformations"]
        encoded = [self.encoder("edge_encoder", np.array([t @ d for d in displacement])) for t in transformations]
        edge = np.mean(encoded, axis=0)
        if self.config.radial_basis:
            centres = np.linspace(0, self.config.cutoff, self.config.radial_basis)
            distance = np.sqrt((displacement**2).sum(1))
            gaussians = np.exp(-((distance[:, None] - centres) ** 2) / (2 * (centres[1] - centres[0]) ** 2))
            edge = edge + self.encoder("radial_encoder", gaussians)
        return edge

    def layer(self, depth: int, node: Array, edges: Array, edge: Array, mask: Array) -> tuple[Array, Array]:
        name, heads, dim = f"layers.{depth}", self.config.heads[depth], self.config.dim
        last = depth == len(self.config.heads) - 1
        a = self.state[f"{name}.attention_vector"]
        hidden = np.empty((len(edge), heads, dim))
        for e, (j, i) in enumerate(edges):  # j sends, i receives
            sent = self.linear(f"{name}.from_source", node[j])
            received = self.linear(f"{name}.from_target", node[i])
            f = (sent + received + self.linear(f"{name}.from_edge", edge[e])).reshape(heads, dim)
            hidden[e] = np.where(f > 0, f, 0.01 * f)
        aggregated = np.zeros((len(node), heads, dim))
        for i in range(len(node)):
            incoming = [e for e in range(len(edge)) if edges[e][1] == i]
            for k in range(heads):
                logits = np.array([a[k] @ hidden[e, k] for e in incoming])
                attention = np.exp(logits - logits.max())
                attention /= attention.sum()
                for weight, e in zip(attention, incoming, strict=True):
                    value = self.linear(f"{name}.value", node[edges[e][0]]).reshape(heads, dim)
                    aggregated[i, k] += mask[e] * weight * value[k]
        joined = aggregated.mean(1) if last else aggregated.reshape(len(node), -1)
        node = node + self.linear(f"{name}.node_out", self.norm(f"{name}.node_norm", joined))
        if not last:
            flat = hidden.reshape(len(edge), -1)
            edge = edge + self.linear(f"{name}.edge_out", self.norm(f"{name}.edge_norm", flat))
        return node, edge

    def __call__(self, x: Array, edges: Array, displacement: Array, mask: Array | None = None) -> Array:
        """Barriers (eV), with every message multiplied by its edge's ``mask``."""
        mask = np.ones(len(edges)) if mask is None else mask
        embedded = np.maximum(self.norm("node_encoder.0", self.linear("species_embedding", x)), 0)
        node = np.maximum(self.norm("node_encoder.3", self.linear("node_encoder.2", embedded)), 0)
        edge = self.encode_edges(displacement)
        for depth in range(len(self.config.heads)):
            node, edge = self.layer(depth, node, edges, edge, mask)
        for hidden in range(self.config.decoder_layers):
            normed = self.norm(f"decoder.{3 * hidden + 1}", self.linear(f"decoder.{3 * hidden}", node))
            node = np.where(normed > 0, normed, self.state[f"decoder.{3 * hidden + 2}.weight"] * normed)
        scaled = self.linear(f"decoder.{3 * self.config.decoder_layers}", node)[:, 0]
        return scaled * self.state["label_scale"] + self.state["label_mean"]


@pytest.fixture(scope="session")
def reference() -> type[Reference]:
    return Reference


@pytest.fixture(scope="session")
def scramble() -> Callable[[SymGNN], SymGNN]:
    """Give every tensor that training changes a random value, and the network double precision."""
    kept = ("inference_transformations", "radial_centres", "label_scale", "label_mean")

    def scrambled(model: SymGNN) -> SymGNN:
        generator = torch.Generator().manual_seed(5)
        model = model.double().eval()
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if name.endswith("running_var"):
                    tensor.uniform_(0.5, 2.0, generator=generator)
                elif tensor.is_floating_point() and name not in kept:
                    tensor.normal_(0.0, 0.8, generator=generator)
        return model

    return scrambled
