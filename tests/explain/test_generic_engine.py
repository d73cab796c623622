"""Masked predictions of networks that are no SymGNN: those of the plain network with masks on its messages."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import (
    APPNP,
    GATConv,
    GatedGraphConv,
    GCNConv,
    GraphNorm,
    SAGEConv,
    SGConv,
    TAGConv,
    global_mean_pool,
)
from torch_geometric.utils import coalesce

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.generic import GenericEngine, GenericForward, generic_forward
from symgnn_explain.models.protocol import NodeAdapter

WIDTH = 4
LAYERS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "GCN": lambda n, m, loops: GCNConv(n, m, add_self_loops=loops),
    "GAT": lambda n, m, loops: GATConv(n, m, add_self_loops=loops),
    "SAGE": lambda n, m, _loops: SAGEConv(n, m),
    "SAGE (max)": lambda n, m, _loops: SAGEConv(n, m, aggr="max"),
    "GatedGraph": lambda _n, m, _loops: GatedGraphConv(m, num_layers=2),
    "APPNP": lambda n, m, loops: _Linear(n, m, APPNP(K=2, alpha=0.2, add_self_loops=loops)),
    "SG": lambda n, m, loops: SGConv(n, m, K=2, add_self_loops=loops),
    "TAG": lambda n, m, _loops: TAGConv(n, m, K=2),
}


class _Linear(nn.Module):
    def __init__(self, n: int, m: int, layer: nn.Module) -> None:
        super().__init__()
        self.linear, self.layer = nn.Linear(n, m), layer

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layer(self.linear(x), edge_index)


class Network(nn.Module):
    """Two layers of one kind, with a normalisation or a pooling between that looks at all atoms, if wanted."""

    def __init__(self, kind: str, *, loops: bool, between: str = "nothing", seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first, self.second = (LAYERS[kind](n, m, loops) for n, m in ((2, WIDTH), (WIDTH, WIDTH)))
            self.norm = GraphNorm(WIDTH) if between == "norm" else nn.Identity()
            self.out = nn.Linear(WIDTH, 1)
        self.pools = between == "pool"
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        hidden = self.norm(self.first(x, edge_index)).tanh()
        if self.pools:
            hidden = hidden + global_mean_pool(hidden, torch.zeros(len(x), dtype=torch.long))
        return self.out(self.second(hidden, edge_index))


def random_graph(n_atoms: int, n_edges: int, seed: int) -> Data:
    """Atoms that may be isolated, edges that may be self-loops, and several between the same two atoms."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(n_atoms, (2, n_edges), generator=generator)
    return Data(x=torch.randn(n_atoms, 2, generator=generator).double(), edge_index=edge_index)


def engine_of(network: nn.Module, graph: Data) -> GenericEngine:
    return GenericEngine(NodeAdapter(network), graph)


def assert_equals_plain(
    network: nn.Module, graph: Data, atom: int, plain: Callable[[Tensor], Tensor], mask: Tensor
) -> GenericForward:
    """Value and gradient under a mask over all edges, those outside the field included."""
    mask = mask.clone().requires_grad_()
    forward = generic_forward(engine_of(network, graph), atom, "zero")
    assert isinstance(forward, GenericForward)
    expected, found = plain(mask)[atom], forward(mask[forward.field.edges])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)
    (slope,) = torch.autograd.grad(expected, mask, allow_unused=True, materialize_grads=True)
    (gradient,) = torch.autograd.grad(found, mask)
    largest = float(slope.abs().max()) if len(slope) else 0.0
    torch.testing.assert_close(gradient, slope, rtol=0, atol=1e-5 * largest + 1e-12)
    return forward


def pyg_masked(network: nn.Module, graph: Data, mask: Tensor) -> Tensor:
    """The plain network, with PyG's own masks on it."""
    network = copy.deepcopy(network)
    set_masks(network, mask, graph.edge_index, apply_sigmoid=False)
    return network(graph.x, graph.edge_index).view(-1)


def loops_last(network: nn.Module, graph: Data, mask: Tensor) -> Tensor:
    """PyG's masks where a layer replaces self-loops: right on a graph that has one an atom, behind all other edges."""
    edges = graph.edge_index
    is_loop = edges[0] == edges[1]
    atoms = torch.arange(graph.num_nodes)
    total = torch.zeros(len(atoms)).to(mask).index_add(0, edges[0, is_loop], mask[is_loop])
    count = torch.bincount(edges[0, is_loop], minlength=len(atoms))
    ordered = torch.cat([edges[:, ~is_loop], atoms.expand(2, -1)], dim=1)
    of_loops = torch.where(count > 0, total / count.clamp_min(1), torch.ones_like(total))
    return pyg_masked(network, Data(x=graph.x, edge_index=ordered), torch.cat([mask[~is_loop], of_loops]))


GRAPHS = {"n_atoms": st.integers(1, 9), "n_edges": st.integers(0, 24), "seed": st.integers(0, 2**31 - 1)}
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("kind", "between"), [*((kind, "nothing") for kind in LAYERS), ("SAGE", "norm"), ("GAT", "pool"), ("GCN", "pool")]
)
@FEW
@given(**GRAPHS)
def test_value_and_gradient_are_those_of_masks_on_the_plain_network(
    kind: str, between: str, n_atoms: int, n_edges: int, seed: int
) -> None:
    graph = random_graph(n_atoms, n_edges, seed)
    network = Network(kind, loops=False, between=between, seed=seed % 1000)
    mask = torch.rand(n_edges, generator=torch.Generator().manual_seed(seed)).double()
    assert_equals_plain(network, graph, seed % n_atoms, partial(pyg_masked, network, graph), mask)


@pytest.mark.parametrize("kind", ["GCN", "GAT", "APPNP", "SG"])
@FEW
@given(**GRAPHS)
def test_layers_that_replace_self_loops_are_masked_at_the_right_edges(
    kind: str, n_atoms: int, n_edges: int, seed: int
) -> None:
    graph = random_graph(n_atoms, n_edges, seed)
    network = Network(kind, loops=True, seed=seed % 1000)
    mask = torch.rand(n_edges, generator=torch.Generator().manual_seed(seed)).double()
    assert_equals_plain(network, graph, seed % n_atoms, partial(loops_last, network, graph), mask)


def chain(n_atoms: int = 40) -> Data:
    """Atoms in a ring, each joined to the next two on either side: most of it is far from any atom."""
    atoms = torch.arange(n_atoms)
    edges = torch.cat([torch.stack([(atoms + step) % n_atoms, atoms]) for step in (-2, -1, 0, 1, 2)], dim=1)
    return Data(x=torch.randn(n_atoms, 2, generator=torch.Generator().manual_seed(0)).double(), edge_index=edges)


@pytest.mark.parametrize(
    ("kind", "between", "hops", "whole"),
    [
        ("SAGE", "nothing", 2, False),
        ("GCN", "nothing", 2, False),  # the cut keeps one hop more, and so all degrees that matter
        ("TAG", "nothing", 4, False),  # two layers, but K = 2 rounds in each
        ("GatedGraph", "nothing", 4, False),
        ("SAGE", "norm", None, True),
        ("SAGE", "pool", None, True),
    ],
)
def test_a_part_of_the_graph_is_used_only_where_it_is_enough(
    kind: str, between: str, hops: int | None, whole: bool
) -> None:
    graph, network = chain(), Network(kind, loops=False, between=between)
    mask = torch.rand(graph.num_edges).double()
    forward = assert_equals_plain(network, graph, 7, partial(pyg_masked, network, graph), mask)
    assert (forward.diagnostics["evaluated_edges"] == graph.num_edges) == whole
    if whole:
        assert forward.n_edges == graph.num_edges
    else:
        assert int(forward.field.hop.max()) + 1 == hops


def test_a_cut_that_changes_something_else_is_not_used() -> None:
    """Messages reach two hops, but their size depends on how many edges the whole graph has."""

    class Scaled(Network):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x * edge_index.shape[1] / 100, edge_index)

    graph, network = chain(), Scaled("SAGE", loops=False)
    forward = assert_equals_plain(network, graph, 7, partial(pyg_masked, network, graph), torch.rand(200).double())
    assert forward.diagnostics["whole_graph_edges"] == graph.num_edges
    assert forward.n_edges < graph.num_edges


@pytest.mark.parametrize("kind", ["GCN", "SAGE", "TAG"])
def test_removal_is_the_graph_without_the_edges(kind: str) -> None:
    """Degrees are then others, also of atoms at the rim of the receptive field."""
    graph, network = chain(), Network(kind, loops=False)
    forward = generic_forward(engine_of(network, graph), 7, "removal")
    kept = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(1)) > 0.5
    expected = network(graph.x, graph.edge_index[:, kept])[7, 0]
    torch.testing.assert_close(forward(kept[forward.field.edges].double()), expected)
    with pytest.raises(InputError, match="there or not, and nothing between"):
        forward(torch.full((forward.n_edges,), 0.5).double())


def test_reference_replaces_a_message_by_the_mean_of_its_layer() -> None:
    graph, network = chain(), Network("SAGE", loops=False)
    forward = generic_forward(engine_of(network, graph), 7, "reference")
    hidden = network.first.lin_l(graph.x[graph.edge_index[0]].mean(0)) + network.first.lin_r(graph.x)
    plain = network.first(graph.x, graph.edge_index).tanh()  # where no message is masked
    mean = plain[graph.edge_index[0]].mean(0)
    expected = network.out(network.second.lin_l(mean) + network.second.lin_r(hidden.tanh()))[7, 0]
    torch.testing.assert_close(forward.baseline(), expected)


def test_the_network_is_not_touched_and_threads_do_not_meet() -> None:
    graph, network = chain(), Network("GAT", loops=True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    engine = engine_of(network, graph)
    forwards = [generic_forward(engine, atom, "zero") for atom in (3, 20)]
    masks = [torch.rand(forward.n_edges).double() for forward in forwards]
    alone = [float(forward(mask)) for forward, mask in zip(forwards, masks, strict=True)]
    found: list[list[float]] = [[], []]

    def work(number: int) -> None:
        for _ in range(20):
            found[number].append(float(forwards[number](masks[number])))

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[value] * 20 for value in alone]
    assert float(pickle.loads(pickle.dumps(forwards[0]))(masks[0])) == alone[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._message_forward_hooks for module in (network.first, network.second))


def test_caches_of_layers_do_not_hide_the_mask() -> None:
    graph = chain()
    network = Network("SAGE", loops=False)
    network.first = SGConv(2, WIDTH, K=1, cached=True, add_self_loops=False).double()
    network(graph.x, graph.edge_index)
    fresh = copy.deepcopy(network)
    fresh.first.cached, fresh.first._cached_x = False, None
    assert_equals_plain(network, graph, 7, partial(pyg_masked, fresh, graph), torch.rand(200).double())


def test_what_cannot_be_followed_is_refused() -> None:
    class Joined(Network):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x, coalesce(edge_index))

    class OwnEdges(Network):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x, (edge_index + 1) % len(x))

    class Random(Network):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x + torch.rand_like(x), edge_index)

    class NoGradient(Network):
        @torch.no_grad()
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x, edge_index)

    class InPlace(Network):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            hidden = self.first(x, edge_index).exp()
            found = self.out(self.second(hidden, edge_index))
            hidden += 1
            return found

    graph = chain()
    twice = Data(x=graph.x, edge_index=torch.cat([graph.edge_index, graph.edge_index], dim=1))
    with pytest.raises(InputError, match="one message for several edges"):
        engine_of(Joined("SAGE", loops=False), twice)
    with pytest.raises(InputError, match="edges of its own"):
        engine_of(OwnEdges("SAGE", loops=False), graph)
    with pytest.raises(InputError, match="gives other numbers when it is called again"):
        engine_of(Random("SAGE", loops=False), graph)
    with pytest.raises(InputError, match="no gradient comes through"):
        generic_forward(engine_of(NoGradient("SAGE", loops=False), graph), 7, "zero")
    with pytest.raises(InputError, match=r"cannot differentiate InPlace's predictions .*change nothing in place"):
        generic_forward(engine_of(InPlace("SAGE", loops=False), graph), 7, "zero")
    with pytest.raises(InputError, match="no message passing layer"):
        engine_of(nn.Linear(2, 1), graph)
    with pytest.raises(InputError, match="the graph of Network has no edge_index"):
        engine_of(Network("SAGE", loops=False), Data(x=graph.x))
    poisoned = Network("SAGE", loops=False)
    set_masks(poisoned, torch.rand(200).double(), graph.edge_index)
    with pytest.raises(InputError, match="carries the masks of a PyG explainer"):
        engine_of(poisoned, graph)
    clear_masks(poisoned)
    engine_of(poisoned, graph)
