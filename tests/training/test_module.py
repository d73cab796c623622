"""What one step of training sees: precision, turned glasses, and whose turn it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.mlp import MLP, MLPConfig
from symgnn_explain.models.baselines.schnet import SchNetConfig
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNNConfig
from symgnn_explain.models.target import Target
from symgnn_explain.training.metrics import regression_metrics
from symgnn_explain.training.module import EpochShuffle, GlassDataModule, TrainingModule
from symgnn_explain.training.train import validation_metrics

from .conftest import CONFIG, SETTINGS, TRAINING, VALIDATION, disordered, run


class TestPrecision:
    @pytest.mark.parametrize(
        "config", [CONFIG, replace(CONFIG, distribution="von_mises", radial_basis=0), SchNetConfig(dim=8)]
    )
    def test_sixteen_bits_learn_alike(self, tmp_path: Path, config: Any) -> None:
        """Rounding to 8 bits of mantissa moves the loss by about a hundredth; weights stay in single precision."""
        settings = replace(SETTINGS, epochs=2)
        full = run(tmp_path / "32", config=config, settings=settings)
        mixed = run(tmp_path / "16", config=config, settings=replace(settings, precision="bf16-mixed"))
        losses = [predictor.card["history"][0]["training_loss"] for predictor in (full, mixed)]
        assert losses[0] != losses[1]
        assert losses[1] == pytest.approx(losses[0], rel=0.05)
        assert {tensor.dtype for tensor in mixed.model.state_dict().values()} <= {torch.float32, torch.int64}


class TestAugmentation:
    def test_every_step_sees_the_glass_turned_anew(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[torch.Tensor] = []
        original = MLP.forward

        def forward(self: MLP, x: torch.Tensor, edge_index: torch.Tensor, edge_attr: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(edge_attr)
            return original(self, x, edge_index, edge_attr)

        monkeypatch.setattr(MLP, "forward", forward)
        run(tmp_path, config=MLPConfig(dim=4), settings=replace(SETTINGS, augment=True), training=TRAINING[:1])
        plain = GlassDataModule(TRAINING[:1], VALIDATION, MLPConfig()).training[0].edge_attr
        assert len(seen) == SETTINGS.epochs
        turns = [torch.linalg.lstsq(plain, turned).solution for turned in seen]
        for turn, turned in zip(turns, seen, strict=True):
            torch.testing.assert_close(plain @ turn, turned, atol=1e-4, rtol=0)
            torch.testing.assert_close(turn @ turn.T, torch.eye(3), atol=1e-5, rtol=0)
        assert torch.pdist(torch.stack(turns).flatten(1)).min() > 0.1


def test_a_validation_glass_of_equal_labels_is_refused() -> None:
    """Its r is no number, which would end the training at the first validation."""
    alike = replace(VALIDATION[0], name="alike", barriers=np.where(np.arange(len(VALIDATION[0])) < 5, 1.5, np.nan))
    with pytest.raises(InputError, match=r"all known barriers of 'alike' are 1\.5 eV"):
        GlassDataModule(TRAINING, [alike], CONFIG)


def test_validation_glasses_of_one_name_are_told_apart() -> None:
    predictor = Predictor(MLP(MLPConfig(dim=4)), device="cpu")
    glasses = [replace(disordered(seed), name="final") for seed in (1, 2)]
    found = validation_metrics(predictor, glasses)
    assert list(found) == ["final", "final (2)"]
    for metrics, glass in zip(found.values(), glasses, strict=True):
        assert metrics == pytest.approx(regression_metrics(predictor.predict(glass), glass.barriers))


def test_two_processes_share_the_glasses() -> None:
    for epoch in range(5):
        orders = []
        for process in range(2):
            sampler = EpochShuffle(5, seed=1, process=process, n_processes=2)
            sampler.set_epoch(epoch)
            orders.append(list(sampler))
        whole = EpochShuffle(5, seed=1)
        whole.set_epoch(epoch)
        assert [len(order) for order in orders] == [len(sampler)] * 2 == [3, 3]
        together = [glass for pair in zip(*orders, strict=True) for glass in pair]
        assert together[:5] == list(whole)
        assert together[5] == together[0]


def test_data_module_gives_one_glass_a_batch() -> None:
    data = GlassDataModule(TRAINING, VALIDATION, CONFIG)
    assert [batch.num_nodes for batch in data.train_dataloader()] == [60] * 3
    assert [batch.num_nodes for batch in data.val_dataloader()] == [60]


DESCRIBED = SymGNNConfig(
    dim=8, heads=(2, 1), distribution="none", radial_basis=6, environment_radial=6, environment_width=16, dropout=0.0
)


class TestSteadiness:
    def test_what_displacements_change_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The penalty is what predictions of the displaced glass say, since 0.02 Å is little to a new network."""
        monkeypatch.setattr("symgnn_explain.training.module.EVERY", 1)
        monkeypatch.setattr("symgnn_explain.training.module.LEVEL_TOLERANCE", 0.0)
        data = GlassDataModule(TRAINING, [], DESCRIBED)
        penalties = []
        for weights in ({"steadiness": 1.0}, {"level_steadiness": 1.0}):
            torch.manual_seed(0)
            module = TrainingModule(DESCRIBED, replace(SETTINGS, **weights), steps_per_epoch=3)
            module.fit_inputs(data)
            penalties.append(module._change_by_displacements(data.training[0]).item())
        assert module.model.training  # as it was
        graph, model = data.training[0], module.model.eval()
        with torch.no_grad():
            before, after = (model.encode_nodes(each) for each in (graph.environment, graph.displaced_environment))
            share = ((after - before).square().mean(0) / before.var(0)).mean()
            clean, moved = (
                model(graph.x, graph.edge_index, graph.edge_attr, each).mean()
                for each in (graph.environment, graph.displaced_environment)
            )
        assert penalties[0] == pytest.approx(float(share), rel=1e-4)
        assert penalties[1] == pytest.approx(float((moved - clean).abs() / model.label_scale), rel=0.2)
        assert penalties[1] > 0

    def test_networks_without_descriptors_are_refused(self) -> None:
        for config in (CONFIG, MLPConfig()):
            with pytest.raises(InputError, match="start from descriptors"):
                TrainingModule(config, replace(SETTINGS, steadiness=1.0), steps_per_epoch=1)
        with pytest.raises(InputError, match="steadiness=-1"):
            replace(SETTINGS, steadiness=-1.0)


def test_arrays_beside_the_target_teach_the_first_layer_of_a_network_of_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nodes start from species alone, energies are learned from the first features that know a surrounding."""
    monkeypatch.setattr(TrainingModule, "log", lambda *_, **__: None)  # which wants a trainer
    config = replace(CONFIG, radial_basis=0, distribution="haar", dropout=0.0)
    teaching = [glass.with_arrays(energy=glass.barriers) for glass in TRAINING]
    data = GlassDataModule(teaching, [], config, auxiliary=("energy",))
    gradients = []
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        module = TrainingModule(
            config, replace(SETTINGS, auxiliary=("energy",), auxiliary_weight=weight), steps_per_epoch=3
        )
        module.fit_inputs(data)
        module.training_step(data.training[0], 0).backward()
        gradients.append([layer.value.weight.grad for layer in module.model.layers])
    (first, last), (taught, untaught) = gradients
    torch.testing.assert_close(untaught, last)
    assert (taught - first).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("scale", "mean", "refused"),
    [
        (1e-9, 1.0, "differ by 1e-09"),
        (1.0, 1e12, "differ by 1 "),
        (0.0, 3.0, "leaves nothing to learn"),
        (1e-40, 0.0, "in another unit"),
        (1e32, 0.0, "in another unit"),
        (1e-19, 0.0, None),
        (1.0, 1e4, None),
    ],
)
def test_labels_that_single_precision_cannot_tell_apart_are_refused(
    scale: float, mean: float, refused: str | None
) -> None:
    glass = TRAINING[0]
    labels = np.resize([1.0, -1.0], len(glass))
    glass = glass.with_arrays(q=mean + scale * labels)
    if refused is not None:
        with pytest.raises(InputError, match=refused):
            GlassDataModule([glass], [], CONFIG, target=Target("q"))
        return
    module = TrainingModule(CONFIG, SETTINGS, steps_per_epoch=1)
    module.model.fit_labels(GlassDataModule([glass], [], CONFIG, target=Target("q")).labels)
    assert float(module.model.label_scale) == pytest.approx(scale, rel=0.02)
