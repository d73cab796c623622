"""Every network that can be trained is explained, from training to the explorer; and so is one of the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loky.process_executor import ProcessPoolExecutor
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.nn import GATConv, SAGEConv

from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.cli import main
from symgnn_explain.errors import InputError
from symgnn_explain.explain import (
    AtomExplanation,
    ExplanationSet,
    explain_atom,
    explain_many,
    explain_positions,
    prepare,
)
from symgnn_explain.explain.sanity.randomised import cascade
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.protocol import NodeAdapter, NodeModel
from symgnn_explain.models.target import Target
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges
from symgnn_explain.structure.io import write_glass
from symgnn_explain.training.recipes import RECIPES
from symgnn_explain.training.train import train
from symgnn_widgets import GlassExplorer
from tests.own_network import OwnAdapter

from .conftest import random_glass

NO_MESSAGES = ("mlp", "ridge")
ATOM = 5
SMALL: dict[str, Any] = {
    "cutoff": 3.6,
    "dim": 8,
    "layers": 2,
    "heads": (2, 1),
    "filters": 8,
    "radial": 3,
    "spherical": 2,
    "angular_dim": 4,
    "basis_dim": 4,
    "output_dim": 8,
    "environment_width": 8,
    "inference_samples": 2,
}


@pytest.fixture(scope="module")
def glasses() -> tuple[Glass, Glass]:
    rng = np.random.default_rng(0)
    one, other = (replace(random_glass(seed=seed), barriers=rng.normal(1.6, 0.3, 60)) for seed in (0, 1))
    return one, other


@pytest.fixture(scope="module", params=RECIPES)
def trained(
    request: pytest.FixtureRequest, glasses: tuple[Glass, Glass], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Name of a network, and its weights after one step."""
    recipe = RECIPES[request.param]
    small = {name: value for name, value in SMALL.items() if hasattr(recipe.config, name)}
    out = tmp_path_factory.mktemp(request.param)
    once = replace(recipe.settings, epochs=1, validate_every=1, auxiliary=())
    train(glasses[:1], config=replace(recipe.config, **small), settings=once, out=out, device="cpu", progress=False)
    return request.param, out / "predictor.safetensors"


@pytest.fixture(scope="module")
def two_workers() -> Iterator[type]:
    """Stands in for loky's executor: the same two processes work for all networks, told anew each time what is shared.

    Their start, some seconds each time, is tested elsewhere; what they are sent and send back is the same.
    """
    kept = ProcessPoolExecutor(2, env={"OMP_NUM_THREADS": "1"})

    def anew(shared: bytes, function: Callable[[Any], Any], item: Any) -> Any:
        import pickle

        from symgnn_explain.runs import parallel

        parallel._in_this_worker = pickle.loads(shared)
        return function(item)

    class TwoWorkers:
        def __init__(self, workers: int, *, initargs: tuple[bytes, int], **_: Any) -> None:
            assert workers == 2
            self.shared = initargs[0]

        def submit(self, function: Callable[[Any], Any], item: Any) -> Any:
            return kept.submit(anew, self.shared, function, item)

        def shutdown(self, **_: Any) -> None:
            """They stay."""

    yield TwoWorkers
    kept.shutdown(kill_workers=True)


def test_it_is_explained_from_the_command_line_and_in_the_explorer(
    trained: tuple[str, Path],
    glasses: tuple[Glass, Glass],
    two_workers: type,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``explain``, ``explain-many`` by one process and by two, and a session of the explorer, saved and opened."""
    name, weights = trained
    glass = glasses[1]
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))  # no pictures
    monkeypatch.setattr("loky.process_executor.ProcessPoolExecutor", two_workers)
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: weights.parent.parent / "cycles")
    common = [
        str(write_glass(glass, tmp_path / "glass.extxyz")),
        "--weights",
        str(weights),
        "--method",
        "input_gradient",
    ]
    runs = [
        ["explain", *common, "--atom", str(ATOM), "--k", "5", "--out", str(tmp_path / "alone")],
        ["explain-many", *common, "--atoms", f"3,{ATOM}", "--out", str(tmp_path / "one")],
        ["explain-many", *common, "--atoms", f"3,{ATOM}", "--workers", "2", "--out", str(tmp_path / "two")],
    ]
    status = [main(run) for run in runs]
    explorer = GlassExplorer(glass, Predictor.load(weights, device="cpu"))
    explorer.session.method = "input_gradient"
    explorer.session.pick(ATOM)
    if name in NO_MESSAGES:
        assert status == [2, 2, 2]
        assert capsys.readouterr().err.count("no messages between atoms") == 3
        assert "no messages between atoms" in explorer.session.error
    else:
        assert status == [0, 0, 0]
        one, two = (ExplanationSet.open(tmp_path / folder) for folder in ("one", "two"))
        assert sorted(one.atoms) == sorted(two.atoms) == [3, ATOM]
        for atom in one.atoms:
            np.testing.assert_array_equal(two[atom].score, one[atom].score)
        alone = AtomExplanation.load(tmp_path / "alone" / "explanation.json")
        np.testing.assert_array_equal(alone.score, one[ATOM].score)
        np.testing.assert_array_equal(explorer.session.explanation.score, alone.score)
    again = GlassExplorer.open(explorer.save(tmp_path / "session.symgnn"), weights=weights)
    np.testing.assert_array_equal(again.session.predictions, explorer.session.predictions)
    assert len(again.session.history) == len(explorer.session.history) == (name not in NO_MESSAGES)
    for each in (explorer, again):
        each.close()


def test_value_and_gradient_under_a_mask_are_the_plain_networks(
    trained: tuple[str, Path], glasses: tuple[Glass, Glass]
) -> None:
    name, weights = trained
    predictor, glass = Predictor.load(weights, device="cpu"), glasses[1]
    predictor.model.train()  # what the caller left it in changes nothing, and stays
    prepared = prepare(predictor, glass)
    np.testing.assert_allclose(prepared.predictions, predictor.predict(glass), atol=1e-6)
    if name in NO_MESSAGES:
        with pytest.raises(InputError, match="no messages between atoms"):
            prepared.masked_forward(ATOM, "zero")
        return
    forward, graph = prepared.masked_forward(ATOM, "zero"), prepared.graph
    mask = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(0)).requires_grad_()
    # PyG's masks go by place: what a network leaves out has to be left out before.
    seen = torch.ones(graph.num_edges, dtype=torch.bool)
    if name in ("egnn", "schnet", "dimenet", "mgcn", "faenet"):
        seen = (graph.edge_attr != 0).any(dim=1)
    arguments = {"environment": graph.environment} if "environment" in graph else {}
    assert predictor.model.training
    model = predictor.model.eval()
    set_masks(model, mask[seen], graph.edge_index[:, seen], apply_sigmoid=False)
    plain = model(graph.x, graph.edge_index[:, seen], graph.edge_attr[seen], **arguments)[ATOM]
    clear_masks(model)
    (expected,) = torch.autograd.grad(plain, mask)
    predictor.model.train()
    found = forward(mask[forward.field.edges])
    (gradient,) = torch.autograd.grad(found, mask)
    spread = float(prepared.predictions.std())
    assert abs(found.item() - plain.item()) < 1e-5 * max(spread, 0.05)
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("trained", ["schnet"], indirect=True)
def test_the_report(trained: tuple[str, Path], glasses: tuple[Glass, Glass], tmp_path: Path) -> None:
    file = str(write_glass(glasses[1], tmp_path / "glass.extxyz"))
    command = ["report", file, "--weights", str(trained[1]), "--method", "saliency", "--atom", "5"]
    assert main([*command, "--out", str(tmp_path / "report.html")]) == 0


class Own(nn.Module):
    """A network as its author wrote it, unaware of this package."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = SAGEConv(2, 6), SAGEConv(6, 1)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.second(self.first(x, edge_index).tanh(), edge_index)


class OwnModel(NodeAdapter):
    """Its adapter: what graph it takes of a glass."""

    def graph(self, glass: Glass) -> Data:
        source, target, displacement = neighbour_edges(glass, 3.6)
        return Data(
            x=torch.tensor(np.stack([glass.numbers == 29, glass.numbers == 40], axis=1), dtype=torch.float32),
            edge_index=torch.from_numpy(np.stack([source, target])),
            displacement=torch.from_numpy(displacement),
        )


def own_predictor() -> Predictor:
    target = Target("D2min", unit="Å²", tolerance=0.05)
    return Predictor(OwnModel(Own(), species=("Cu", "Zr"), target=target), device="cpu")


def test_a_network_of_ones_own_is_explained_everywhere(glasses: tuple[Glass, Glass], tmp_path: Path) -> None:
    glass, predictor = glasses[0], own_predictor()
    model: NodeModel = predictor.model
    graph = predictor.graph(glass)
    expected = predictor.model.network(graph.x, graph.edge_index)[:, 0].detach()
    np.testing.assert_allclose(predictor.predict(glass), expected, atol=1e-6)
    assert predictor.target.unit == "Å²"
    why = explain_atom(predictor, glass, ATOM, "integrated_gradients", semantics="zero")
    alone = predictor.model.network(graph.x, graph.edge_index[:, :0])[ATOM, 0].detach()
    assert why.score.sum() == pytest.approx(float(expected[ATOM] - alone), abs=1e-3 * float(expected.std()))
    ends = glass.positions[why.source] - glass.positions[why.target]
    images = (why.displacement - ends) @ np.linalg.inv(glass.cell)
    np.testing.assert_allclose(images, np.rint(images), atol=1e-6)
    out = tmp_path / "many"
    together = explain_many(predictor, glass, [3, ATOM], "integrated_gradients", out=out, semantics="zero")
    np.testing.assert_allclose(next(one for one in together if one.atom == ATOM).score, why.score)
    with pytest.raises(InputError, match="for SymGNN alone, not for Own"):
        next(cascade(prepare(predictor, glass)))
    with pytest.raises(InputError, match="cannot be differentiated by positions"):
        explain_positions(prepare(predictor, glass), ATOM)
    explorer = GlassExplorer(glass, predictor)
    explorer.session.method = "saliency"
    explorer.session.pick(ATOM)
    assert explorer.session.explanation is not None
    path = explorer.save(tmp_path / "own.symgnn")
    again = GlassExplorer.open(path, predictor=own_predictor())
    assert again.session.explanation.atom == ATOM
    with pytest.raises(InputError, match="made with another network"):
        GlassExplorer.open(path)
    with pytest.raises(InputError, match="no network of this package"):
        predictor.save(tmp_path / "own.safetensors")
    assert model.identity == own_predictor().identity
    for each in (explorer, again):
        each.close()


def test_the_page_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "your_own_network.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], names)  # noqa: S102 - the page is ours
    assert "self_loop" in capsys.readouterr().out
    assert len(names["why"]) > 100


def test_without_displacements_the_minimum_image_is_taken(glasses: tuple[Glass, Glass]) -> None:
    class Bare(OwnModel):
        def graph(self, glass: Glass) -> Data:
            graph = super().graph(glass)
            del graph.displacement
            return graph

    class Turned(OwnModel):
        def graph(self, glass: Glass) -> Data:
            graph = super().graph(glass)
            graph.edge_index = graph.edge_index.flip(0)
            return graph

    own = own_predictor()
    held, taken = (
        explain_atom(predictor, glasses[0], ATOM, "saliency").displacement
        for predictor in (own, Predictor(Bare(own.model.network), device="cpu"))
    )
    np.testing.assert_allclose(taken, held, atol=1e-6)
    with pytest.raises(InputError, match="must name the sender first"):
        explain_atom(Predictor(Turned(own.model.network), device="cpu"), glasses[0], ATOM, "saliency")
    with pytest.raises(InputError, match="several edges of the graph join the same two atoms"):
        explain_atom(Predictor(Bare(own.model.network), device="cpu"), random_glass(8, edge=5.0), 1, "saliency")


def test_what_is_no_model_is_refused_in_a_sentence(glasses: tuple[Glass, Glass]) -> None:
    with pytest.raises(InputError, match="Own has no graph, predict, species, identity"):
        Predictor(Own())
    with pytest.raises(InputError, match=r"holds no torch\.nn\.Module"):
        Predictor(OwnModel(network=json.loads))
    with pytest.raises(InputError, match="knows only Cu"):
        Predictor(OwnModel(Own(), species=("Cu",))).predict(glasses[0])


class Coarse(OwnAdapter):
    """Gives its network numbers in the precision of ``given``."""

    given = torch.float32

    def graph(self, glass: Glass) -> Data:
        graph = super().graph(glass)
        graph.x = graph.x.to(self.given)
        return graph


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_is_explained_like_itself_in_single(
    precision: torch.dtype, glasses: tuple[Glass, Glass]
) -> None:
    torch.manual_seed(0)
    network = SAGEConv(1, 1).to(precision)
    half, single = Coarse(network), Coarse(deepcopy(network).float())
    half.given = precision
    fine = prepare(Predictor(single), glasses[0])
    coarse = prepare(Predictor(half), glasses[0])
    for method in ("gnnexplainer", "gnnexplainer_nested", "saliency", "integrated_gradients"):
        found = coarse.explain(ATOM, method)
        assert np.isfinite(found.score).all()
        assert found.prediction == pytest.approx(fine.explain(ATOM, "saliency").prediction, rel=0.02)
    expected = fine.explain(ATOM, "integrated_gradients").score
    found = coarse.explain(ATOM, "integrated_gradients").score
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


def test_weights_and_graph_of_different_precisions_are_one_sentence(glasses: tuple[Glass, Glass]) -> None:
    predictor = Predictor(Coarse(SAGEConv(1, 1).half()))
    with pytest.raises(InputError, match=r"weights are in float16, the numbers of its graph in float32") as caught:
        predictor.predict(glasses[0])
    assert "\n" not in str(caught.value)
    assert "network.float()" in str(caught.value)


class OfSomeAtoms(OwnAdapter):
    """Forgets atoms."""

    def graph(self, glass: Glass) -> Data:
        return super().graph(glass).subgraph(torch.arange(7))


class Forgetful(OwnAdapter):
    """Returns nothing."""

    def graph(self, glass: Glass) -> Data:
        super().graph(glass)
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("adapter", "said"), [(OfSomeAtoms, "OfSomeAtoms.graph gives 7 for"), (Forgetful, "graph gives NoneType for")]
)
def test_a_graph_that_is_not_that_of_the_glass_is_refused(
    adapter: type[OwnAdapter], said: str, glasses: tuple[Glass, Glass]
) -> None:
    predictor = Predictor(adapter(SAGEConv(1, 1)))
    with pytest.raises(InputError, match=said):
        predictor.predict(glasses[0])
    with pytest.raises(InputError, match=said):
        prepare(predictor, glasses[0])


def test_a_network_of_ones_own_stays_in_training(glasses: tuple[Glass, Glass]) -> None:
    network = GATConv(1, 1, dropout=0.9).train()
    predictor = Predictor(OwnAdapter(network))
    first = predictor.predict(glasses[0])
    prepare(predictor, glasses[0]).explain(ATOM, "saliency")
    assert network.training
    np.testing.assert_array_equal(predictor.predict(glasses[0]), first)
