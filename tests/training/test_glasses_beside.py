"""Glasses with few labels are learned from beside each of the others, and are never held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symgnn_explain import datasets
from symgnn_explain.cli import main
from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.io import write_glass
from symgnn_explain.training.cross_validation import cross_validate
from symgnn_explain.training.module import GlassDataModule, TrainingModule

from .conftest import CONFIG, SETTINGS, TRAINING, VALIDATION, disordered, run
from .test_unknown_barriers import without

FEW = without(disordered(8), slice(6, None))


def joined(**settings: Any) -> tuple[TrainingModule, GlassDataModule]:
    """A module and its data, with a glass of few labels beside."""
    data = GlassDataModule(TRAINING, [], CONFIG, also=[FEW])
    torch.manual_seed(0)
    module = TrainingModule(CONFIG, replace(SETTINGS, **settings), steps_per_epoch=len(TRAINING))
    module.fit_inputs(data)
    return module, data


def test_a_batch_is_both_structures_side_by_side() -> None:
    module, data = joined()
    graph, alone = data.training[0], GlassDataModule([TRAINING[0], FEW], [], CONFIG).training
    module.model.eval()
    together = module.model.predict(graph)
    apart = torch.cat([module.model.predict(each) for each in alone])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
    assert graph.sizes.tolist() == [len(TRAINING[0]), len(FEW)]


def test_each_glass_counts_by_its_labels() -> None:
    """The errors of a glass are about its own mean; an atom beside counts ``also_weight`` times one of the others."""
    module, data = joined(also_weight=3.0, level_weight=0.5)
    graph = data.training[0]
    predicted = torch.randn(len(graph.y), generator=torch.Generator().manual_seed(1))
    losses = []
    for part in (slice(0, len(TRAINING[0])), slice(len(TRAINING[0]), None)):
        error = ((predicted - graph.y)[part] / module.model.label_scale).numpy()
        error = error[~np.isnan(error)]
        losses.append(error.var() + 0.5 * error.mean() ** 2)
    expected = losses[0] + 3.0 * 6 / len(TRAINING[0]) * losses[1]
    assert float(module._squared_error(predicted, graph)) == pytest.approx(expected, rel=1e-5)


def test_a_run_says_what_it_learned_from(tmp_path: Path) -> None:
    with_few, without_few = run(tmp_path / "with", also=[FEW]), run(tmp_path / "without")
    assert [entry["name"] for entry in with_few.card["also"]] == [FEW.name]
    assert "also" not in without_few.card
    assert not np.allclose(with_few.predict(FEW), without_few.predict(FEW))
    with pytest.raises(InputError, match="are related"):
        run(tmp_path / "torn", also=VALIDATION)


def test_cross_validation_never_holds_them_out(tmp_path: Path) -> None:
    result = cross_validate(
        TRAINING[:2], config=CONFIG, settings=replace(SETTINGS, epochs=2), out=tmp_path, also=[FEW], progress=False
    )
    assert result.folds == tuple((glass.name,) for glass in TRAINING[:2])
    for fold in range(2):
        card = Predictor.load(tmp_path / f"fold{fold}" / "seed0" / "predictor.safetensors").card
        assert [entry["name"] for entry in card["also"]] == [FEW.name]


def test_command_line(tmp_path: Path) -> None:
    files = [write_glass(glass, tmp_path / f"{glass.name}.extxyz").as_posix() for glass in (*TRAINING[:1], FEW)]
    command = ["train", files[0], "--final", "--epochs", "1", "--also", files[1], "--also", "alloys", "--preset", "mlp"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    card = Predictor.load(tmp_path / "run" / "predictor.safetensors").card
    assert [entry["name"] for entry in card["also"]] == [
        FEW.name,
        *(glass.name for glass in datasets.training_alloys()),
    ]
    assert FEW.name + ".extxyz" in card["provenance"]["data_sha256"]
