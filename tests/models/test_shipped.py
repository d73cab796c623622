"""The networks that ship, by name."""

from __future__ import annotations

import copy
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.explain.algorithm.utils import set_masks

from symgnn_explain import datasets
from symgnn_explain.cli import main
from symgnn_explain.explain import prepare
from symgnn_explain.explain.engine.masked_forward import MaskedForward
from symgnn_explain.export.session_file import PredictorIdentity
from symgnn_explain.models.predictor import SHIPPED, Predictor
from symgnn_explain.models.symgnn import PRESETS
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training.settings import TRAINING_PRESETS

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> tuple[str, Predictor]:
    return request.param, Predictor.load(request.param, device="cpu")


@pytest.fixture(scope="module")
def part() -> Glass:
    """A cube cut out of the sample: a few hundred atoms."""
    sample = datasets.sample_structure()
    inside = np.flatnonzero((sample.positions < 18).all(axis=1))
    return Glass(positions=sample.positions[inside], numbers=sample.numbers[inside], cell=np.eye(3) * 18.5, name="part")


def test_names_find_files_and_sessions_find_them_again(shipped: tuple[str, Predictor]) -> None:
    name, predictor = shipped
    assert (Path(str(files("symgnn_explain"))) / "data" / SHIPPED[name]).stat().st_size < MOST_BYTES
    assert PredictorIdentity.of(predictor).load().identity == predictor.identity
    assert (predictor.path is None) == (name == "accurate")
    assert Predictor.load().identity == Predictor.load("accurate").identity


def test_the_card_names_the_command_and_the_preset_is_what_was_trained(shipped: tuple[str, Predictor]) -> None:
    name, predictor = shipped
    assert predictor.card["provenance"]["command"].startswith("symgnn-explain train ")
    assert set(predictor.card["provenance"]["data_sha256"].values()) <= set(datasets.SHA256.values())
    members = getattr(predictor.model, "members", [predictor.model])
    for member in members:
        assert replace(member.config, species=PRESETS[name].species) == PRESETS[name]
    trained = predictor.card["training_settings"]
    for key in ("learning_rate", "weight_decay", "level_weight", "steadiness", "level_steadiness"):
        assert trained.get(key, 0.0) == getattr(TRAINING_PRESETS[name], key)


def test_masks_are_those_of_the_plain_network(shipped: tuple[str, Predictor], part: Glass) -> None:
    """Values and gradients of the folded engine are those of the plain network whose messages are weighted.

    In double precision: masked at random, a network may saturate, and in single precision its gradients are rounding.
    """
    predictor, atom = shipped[1], 100
    single = prepare(predictor, part).graph
    model, graph = copy.deepcopy(predictor.model).double(), single.clone()
    for key, value in single.items():
        if value.is_floating_point():
            graph[key] = value.double()
    mask = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask.requires_grad_()
    set_masks(model, mask, graph.edge_index, apply_sigmoid=False)
    plain = model.predict(graph)[atom]
    (expected,) = torch.autograd.grad(plain, mask)
    forward = MaskedForward(model, graph, atom)
    found = forward(mask[forward.field.edges])
    (gradient,) = torch.autograd.grad(found, mask)
    assert expected.abs().max() > 1e-6
    assert abs(found.item() - plain.item()) < 1e-9
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-9 * float(expected.abs().max()))
    forward = MaskedForward(predictor.model, single, atom)
    assert abs(forward(mask[forward.field.edges].float()).item() - plain.item()) < 1e-5


def test_turned_structures_are_predicted_alike(shipped: tuple[str, Predictor], part: Glass) -> None:
    """As the card says: to rounding where nothing depends on directions, else by the error of a finite average."""
    name, predictor = shipped
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turned = replace(part, positions=part.positions @ turn, cell=part.cell @ turn)
    change = np.sqrt(np.mean((predictor.predict(turned) - predictor.predict(part)) ** 2))
    assert change < (1e-4 if name == "accurate" else 4 * predictor.card["metrics"]["symmetrization_error_ev"])


def test_the_network_of_vectors_sees_nothing_but_vectors(part: Glass) -> None:
    """Descriptors say where it is valid, and no prediction hangs on them."""
    predictor = Predictor.load("symgnn", device="cpu")
    model, before = predictor.model, predictor.predict_atoms(part)
    assert {member.config.radial_basis for member in model.members} == {0}
    assert (model.describes, model.observes) == (False, True)
    model.environment.mean += 1
    after = predictor.predict_atoms(part)
    np.testing.assert_array_equal(after.values, before.values)
    assert before.domain is not None
    assert after.domain is not None
    assert not np.isclose(after.domain, before.domain).any()


def test_command_line(tmp_path: Path) -> None:
    out = tmp_path / "barriers.csv"
    assert main(["predict", "sample", "--weights", "symgnn", "--out", str(out)]) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3001
