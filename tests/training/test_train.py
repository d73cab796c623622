from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.mlp import MLP, MLPConfig
from symgnn_explain.models.baselines.ridge import Ridge, RidgeConfig
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.registry import build_network
from symgnn_explain.runs import files
from symgnn_explain.runs.files import WritingError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training import module
from symgnn_explain.training.metrics import regression_metrics
from symgnn_explain.training.module import EpochShuffle, TrainingModule
from symgnn_explain.training.recipes import RECIPES, recipe
from symgnn_explain.training.settings import TrainingSettings
from symgnn_explain.training.train import LEARNING_CURVE_FILE, WEIGHTS_FILE

from .conftest import CONFIG, SETTINGS, TRAINING, VALIDATION, disordered, run


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Path]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return run(out, provenance={"command": "a test"}), out


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, error: type[BaseException]) -> None:
    """Raise ``error`` in the training step of this number, once."""
    original, steps = TrainingModule.training_step, iter(range(10_000))

    def training_step(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        if next(steps) == step:
            raise error
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)


class TestResult:
    def test_intervals_hold_their_share_of_the_glasses_held_out(
        self, uninterrupted: tuple[Predictor, Path], tmp_path: Path
    ) -> None:
        predictor, _ = uninterrupted
        assert predictor.card["protocol"]["held_out"] == [glass.name for glass in VALIDATION]
        residual, widths = [], []
        for glass in VALIDATION:
            values, spread = predictor.predict_with_spread(glass)
            labels = predictor.target.require_labels(glass)
            residual.append(np.abs(labels - values)[known := ~np.isnan(labels)])
            widths.append(predictor.calibration.intervals(spread)["68"][known])
        inside = np.concatenate(residual) <= np.concatenate(widths) * (1 + 1e-6)
        assert np.mean(inside) == pytest.approx(0.68, abs=0.68 / len(inside) + 0.02)
        assert run(tmp_path / "blind", validation=()).calibration is None

    def test_files(self, uninterrupted: tuple[Predictor, Path], glass: Glass) -> None:
        predictor, out = uninterrupted
        loaded = Predictor.load(out / WEIGHTS_FILE, device="cpu")
        np.testing.assert_array_equal(loaded.predict(glass), predictor.predict(glass))
        assert sorted(path.name for path in out.iterdir()) == [
            "checkpoints",
            LEARNING_CURVE_FILE,
            "predictor.json",
            "predictor.safetensors",
        ]

    def test_card(self, uninterrupted: tuple[Predictor, Path]) -> None:
        card = json.loads((uninterrupted[1] / "predictor.json").read_text())
        assert card["provenance"] == {"command": "a test"}
        described = [
            {name: entry[name] for name in ("name", "formula", "content_sha256")} for entry in card["training"]
        ]
        assert described == [
            {"name": glass.name, "formula": glass.formula, "content_sha256": glass.content_hash} for glass in TRAINING
        ]
        assert len({entry["labels_sha256"] for entry in card["training"]}) == len(TRAINING)
        assert [entry["name"] for entry in card["validation"]] == ["toy4"]
        assert TrainingSettings(**card["training_settings"]) == SETTINGS
        assert set(card["versions"]) >= {"python", "torch", "torch_geometric", "lightning", "numpy", "symgnn_explain"}

    def test_metrics_are_those_of_the_predictor(self, uninterrupted: tuple[Predictor, Path]) -> None:
        predictor, _ = uninterrupted
        assert VALIDATION[0].barriers is not None
        expected = regression_metrics(predictor.predict(VALIDATION[0]), VALIDATION[0].barriers)
        assert predictor.card["metrics"]["validation"]["toy4"] == pytest.approx(expected)

    def test_the_best_validated_epoch_is_kept(self, uninterrupted: tuple[Predictor, Path]) -> None:
        card = uninterrupted[0].card
        best = max(card["history"], key=lambda entry: entry["validation_pearson"])
        assert card["epoch"] == best["epoch"]
        assert card["metrics"]["validation"]["toy4"]["pearson"] == pytest.approx(best["validation_pearson"], abs=1e-5)

    def test_history_is_the_learning_curve(self, uninterrupted: tuple[Predictor, Path]) -> None:
        predictor, out = uninterrupted
        history = pd.DataFrame(predictor.card["history"])
        assert history["epoch"].tolist() == [2, 4]
        assert np.isfinite(history).all(axis=None)
        headings = {name: f"{name}_eV" for name in ("validation_mae", "validation_rmse")}
        pd.testing.assert_frame_equal(pd.read_csv(out / LEARNING_CURVE_FILE), history.rename(columns=headings))

    def test_normalisation_is_that_of_the_training_barriers(self, uninterrupted: tuple[Predictor, Path]) -> None:
        barriers = np.concatenate([glass.barriers for glass in TRAINING if glass.barriers is not None])
        assert uninterrupted[0].model.label_mean.item() == pytest.approx(barriers.mean(), rel=1e-5)
        assert uninterrupted[0].model.label_scale.item() == pytest.approx(barriers.std(ddof=1), rel=1e-5)

    @pytest.mark.parametrize("distribution", ["haar", "von_mises"])
    def test_a_toy_is_learned(self, tmp_path: Path, distribution: str) -> None:
        settings = TrainingSettings(epochs=60, validate_every=20, learning_rate=1e-2)
        predictor = run(tmp_path, settings=settings, config=replace(CONFIG, distribution=distribution, dropout=0.0))
        losses = [entry["training_loss"] for entry in predictor.card["history"]]
        assert losses[-1] < 0.5 * losses[0]
        assert predictor.card["metrics"]["validation"]["toy4"]["pearson"] > 0.6


class TestDeterminism:
    @pytest.mark.parametrize(("n_glasses", "epochs"), [(1, 1), (2, 1), (1, 3), (1, 5), (1, 6)])
    def test_a_few_steps_are_a_run_too(self, tmp_path: Path, n_glasses: int, epochs: int) -> None:
        """PyTorch's one-cycle schedule divides by zero where its rise or its fall is no step long."""
        settings = replace(SETTINGS, epochs=epochs, validate_every=1)
        predictor = run(tmp_path, training=TRAINING[:n_glasses], settings=settings)
        assert len(predictor.card["history"]) == epochs

    def test_seed_in_same_result_out(self, uninterrupted: tuple[Predictor, Path], tmp_path: Path) -> None:
        torch.manual_seed(99)  # what came before does not matter
        again = run(tmp_path / "run")
        assert again.card["history"] == uninterrupted[0].card["history"]
        assert again.card["metrics"] == uninterrupted[0].card["metrics"]

    def test_another_seed_another_result(self, uninterrupted: tuple[Predictor, Path], tmp_path: Path) -> None:
        other = run(tmp_path / "run", settings=replace(SETTINGS, seed=6))
        assert other.card["history"] != uninterrupted[0].card["history"]

    def test_global_state_is_left_alone(self, tmp_path: Path) -> None:
        torch.manual_seed(3)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), dict(os.environ)  # noqa: NPY002
        run(tmp_path / "run", settings=replace(SETTINGS, epochs=2))
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1:] == (np.random.get_state()[1].tolist(), dict(os.environ))  # noqa: NPY002

    def test_order_of_the_glasses(self) -> None:
        orders = []
        for epoch in range(20):
            sampler = EpochShuffle(5, seed=1)
            sampler.set_epoch(epoch)
            orders.append(tuple(sampler))
            assert tuple(sampler) == orders[-1]
            assert sorted(orders[-1]) == list(range(5))
        assert len(set(orders)) > 10


class TestInterruption:
    @pytest.mark.parametrize(
        ("changes", "step"),
        [
            *(({"config": replace(CONFIG, distribution="haar")}, step) for step in (4, 6, 7, 10)),
            ({"config": replace(CONFIG, distribution="von_mises")}, 7),
            ({"settings": replace(SETTINGS, augment=True)}, 7),
            ({"settings": SETTINGS, "validation": ()}, 7),
        ],
    )
    def test_a_resumed_run_ends_as_an_uninterrupted_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, changes: dict[str, Any]
    ) -> None:
        whole = run(tmp_path / "whole", **changes)
        with monkeypatch.context() as patched:
            interrupt_at(patched, step, KeyboardInterrupt)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / "parts", **changes)
        assert not (tmp_path / "parts" / WEIGHTS_FILE).exists()
        steps: list[int] = []
        with monkeypatch.context() as patched:
            interrupt_at(patched, 10_000, KeyboardInterrupt)
            original = TrainingModule.training_step
            patched.setattr(
                TrainingModule, "training_step", lambda *given: steps.append(given[0].global_step) or original(*given)
            )
            resumed = run(tmp_path / "parts", **changes)
        assert steps == list(range(step // 3 * 3, 12))  # three glasses an epoch: whole epochs are not repeated
        assert resumed.card["history"] == whole.card["history"]
        assert resumed.card["metrics"] == whole.card["metrics"]
        state = whole.model.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in resumed.model.state_dict().items())

    def test_an_interruption_is_one_and_leaves_the_next_to_be_heard(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler = signal.getsignal(signal.SIGINT)
        interrupt_at(monkeypatch, 4, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
        assert signal.getsignal(signal.SIGINT) is handler

    def test_an_error_passes_and_the_run_resumes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patched:
            interrupt_at(patched, 7, MemoryError)
            with pytest.raises(MemoryError):
                run(tmp_path)
        assert len(pd.read_csv(tmp_path / LEARNING_CURVE_FILE)) == 1
        assert len(run(tmp_path).card["history"]) == 2

    def test_checkpoints_are_whole_where_the_disk_is_full(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        move = files._take_place

        def full(written: Path, path: Path) -> None:
            if path.suffix == ".ckpt" and path.exists():
                raise OSError(28, "No space left on device")
            move(written, path)

        with monkeypatch.context() as patched:
            patched.setattr(files, "_take_place", full)
            with pytest.raises(WritingError, match="make room"):
                run(tmp_path)
        assert len(run(tmp_path).card["history"]) == 2

    def test_a_damaged_checkpoint_is_one_sentence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        interrupt_at(monkeypatch, 4, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
        [last] = tmp_path.rglob("last.ckpt")
        blob = last.read_bytes()
        for damaged in (b"", blob[: len(blob) // 2], b"\x80\x02" + blob):
            last.write_bytes(damaged)
            with pytest.raises(InputError, match=r"last\.ckpt is damaged: remove .* and train again"):
                run(tmp_path)

    def test_a_finished_run_is_returned_as_it_is(self, uninterrupted: tuple[Predictor, Path]) -> None:
        predictor, out = uninterrupted
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
        again = run(out)
        assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
        assert again.card["history"] == predictor.card["history"]


class TestRefusals:
    @pytest.mark.parametrize(
        "changes",
        [
            {"config": replace(CONFIG, dim=4)},
            {"settings": replace(SETTINGS, learning_rate=1e-4)},
            {"training": TRAINING[:2]},
            {"validation": [disordered(9)]},
            {
                "training": [
                    replace(TRAINING[0], barriers=np.ones(len(TRAINING[0])) + TRAINING[0].barriers),
                    *TRAINING[1:],
                ]
            },
        ],
        ids=["config", "settings", "training", "validation", "labels"],
    )
    def test_a_folder_with_another_run(self, uninterrupted: tuple[Predictor, Path], changes: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="holds a run with other hyperparameters or glasses") as error:
            run(uninterrupted[1], **changes)
        assert "\n" not in str(error.value)

    def test_a_folder_with_a_predictor_from_elsewhere(self, tiny_predictor: Predictor, tmp_path: Path) -> None:
        path = tiny_predictor.save(tmp_path / WEIGHTS_FILE)
        before = path.read_bytes()
        with pytest.raises(InputError, match="already holds a predictor that was not trained there"):
            run(tmp_path)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("side", ["training", "validation"])
    def test_missing_barriers(self, tmp_path: Path, side: str) -> None:
        with pytest.raises(InputError, match="'toy7' has no known barriers"):
            run(tmp_path, **{side: [replace(disordered(7), barriers=None)]})
        assert not list(tmp_path.iterdir())

    def test_equal_barriers(self, tmp_path: Path) -> None:
        constant = [replace(glass, barriers=np.full(len(glass), 1.5)) for glass in TRAINING]
        with pytest.raises(InputError, match=r"all training barriers are 1\.5 eV"):
            run(tmp_path, training=constant)

    def test_a_glass_on_both_sides(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"'toy1' \(training\) and 'toy1' \(validation\) are related"):
            run(tmp_path, validation=[TRAINING[0]])

    def test_published_relatives_on_both_sides(self, tmp_path: Path, published: Callable[[str], Glass]) -> None:
        with pytest.raises(InputError, match=r"'train5' \(training\) and 'train6' \(validation\) are related \(24%"):
            run(tmp_path, training=[published("train5")], validation=[published("train6")])

    def test_an_unknown_species(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="contains Zr, but this predictor knows only Cu"):
            run(tmp_path, config=replace(CONFIG, species=("Cu",)))

    def test_an_unknown_device(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="device 'tpu' is unknown"):
            run(tmp_path, device="tpu")

    @pytest.mark.parametrize("devices", [0, 4])
    def test_a_number_of_devices(self, tmp_path: Path, devices: int) -> None:
        with pytest.raises(InputError, match=f"devices={devices} cannot share 3 training glasses"):
            run(tmp_path, devices=devices)

    def test_sixteen_bits_on_a_cpu(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="'16-mixed' needs a GPU"):
            run(tmp_path, settings=replace(SETTINGS, precision="16-mixed"))

    def test_divergence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def diverge(self: TrainingModule, *_: Any) -> None:
            with torch.no_grad():
                self.model.decoder[0].weight.fill_(torch.nan)

        monkeypatch.setattr(TrainingModule, "on_train_batch_end", diverge)
        with pytest.raises(InputError, match="diverged before anything was learned: lower the learning rate"):
            run(tmp_path)
        assert not (tmp_path / WEIGHTS_FILE).exists()

    def test_late_divergence_stops_and_leaves_what_was_learned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def diverge(self: TrainingModule, *_: Any) -> None:
            if self.current_epoch >= 2:
                with torch.no_grad():
                    self.model.decoder[0].weight.fill_(torch.nan)

        monkeypatch.setattr(TrainingModule, "on_train_batch_end", diverge)
        predictor = run(tmp_path, settings=replace(SETTINGS, epochs=40))
        assert predictor.card["epoch"] == 2
        assert np.isfinite(predictor.predict(VALIDATION[0])).all()

    def test_a_network_that_predicts_one_number_at_first_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        predict, epochs = module.predict_batch, []

        def one_number(network: Any, *given: Any) -> torch.Tensor:
            epochs.append(0)
            found = predict(network, *given)
            return torch.full_like(found, 1.5) if len(epochs) <= len(VALIDATION) else found

        monkeypatch.setattr(module, "predict_batch", one_number)
        first, second = run(tmp_path).card["history"]
        assert np.isnan(first["validation_pearson"])
        assert np.isfinite(second["validation_pearson"])

    @pytest.mark.parametrize(
        "change",
        [
            {"epochs": 0},
            {"validate_every": 0},
            {"validate_every": 5},
            {"patience": 0},
            {"learning_rate": 0.0},
            {"learning_rate": float("nan")},
            {"schedule": "cosine"},
            {"precision": "8-true"},
            {"stop_after": 0},
            {"stop_after": 5},
            {"stop_after": 1},
        ],
    )
    def test_impossible_settings(self, change: dict[str, Any]) -> None:
        with pytest.raises(InputError):
            replace(SETTINGS, **change)


class TestWithoutValidation:
    def test_the_last_epoch_is_shipped(self, uninterrupted: tuple[Predictor, Path], tmp_path: Path) -> None:
        predictor = run(tmp_path, validation=(), protocol={"epochs_chosen_by": "a test"})
        card = predictor.card
        assert (card["epoch"], card["validation"], card["metrics"]["validation"]) == (4, [], {})
        assert card["protocol"] == {
            "epoch": "the last: nothing was validated in this run",
            "epochs_chosen_by": "a test",
        }
        assert [sorted(entry) for entry in card["history"]] == [["epoch", "training_loss"]] * 2
        # Training does not see what is validated, nor that nothing is.
        losses = [entry["training_loss"] for entry in uninterrupted[0].card["history"]]
        assert [entry["training_loss"] for entry in card["history"]] == losses
        assert pd.read_csv(tmp_path / LEARNING_CURVE_FILE)["training_loss"].tolist() == pytest.approx(losses)

    def test_it_stops_where_it_is_told_to(self, uninterrupted: tuple[Predictor, Path], tmp_path: Path) -> None:
        """With the schedule of the whole run, so that its first half is that of the whole run."""
        card = run(tmp_path, validation=(), settings=replace(SETTINGS, stop_after=2)).card
        assert card["epoch"] == 2
        whole = uninterrupted[0].card["history"]
        assert [entry["training_loss"] for entry in card["history"]] == [whole[0]["training_loss"]]


class TestOtherNetworks:
    def test_a_baseline_is_trained_stored_and_resumed_alike(self, tmp_path: Path, glass: Glass) -> None:
        given: dict[str, Any] = {"config": MLPConfig(dim=4), "settings": SETTINGS}
        predictor = run(tmp_path, **given)
        loaded = Predictor.load(tmp_path / WEIGHTS_FILE, device="cpu")
        np.testing.assert_array_equal(loaded.predict(glass), predictor.predict(glass))
        assert isinstance(loaded.model, MLP)
        assert loaded.card["architecture"] == "MLP"
        assert loaded.card["n_parameters"] == (2 * 4 + 4) + 2 * (4 * 4 + 4) + (4 + 1)
        assert loaded.card["seconds_per_epoch"] > 0
        assert run(tmp_path, **given).card["history"] == predictor.card["history"]
        with pytest.raises(InputError, match="holds a run with other hyperparameters"):
            run(tmp_path)

    def test_a_regression_is_solved_at_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given: dict[str, Any] = {"config": RidgeConfig(cutoff=5.0, averages=1)}
        predictor = run(tmp_path, **given)
        card = predictor.card
        assert card["metrics"]["validation"]["toy4"]["pearson"] > 0.6
        assert [entry["epoch"] for entry in card["history"]] == [1]
        assert card["history"][0]["validation_pearson"] == pytest.approx(
            card["metrics"]["validation"]["toy4"]["pearson"], abs=1e-5
        )
        assert card["protocol"]["epoch"] == "none: solved in closed form"
        assert card["metrics"]["symmetrization_error_ev"] < 1e-5
        monkeypatch.setattr(Ridge, "fit", lambda *_: pytest.fail("a finished run is not repeated"))
        assert run(tmp_path, **given).card["history"] == card["history"]
        with pytest.raises(InputError, match="holds a run with other hyperparameters"):
            run(tmp_path, config=RidgeConfig(cutoff=4.0))


def test_every_recipe_names_a_network_of_its_own() -> None:
    described = []
    for name in RECIPES:
        described.append((recipe(name).config, recipe(name).settings))
        with torch.random.fork_rng():
            assert sum(parameter.numel() for parameter in build_network(recipe(name).config).parameters()) < 300_000
    assert all(described.count(each) == 1 for each in described)
    with pytest.raises(InputError, match="there is no network 'resnet' to train"):
        recipe("resnet")


class TestQuiet:
    def test_nothing_is_printed_and_log_levels_come_back(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        logger = logging.getLogger("lightning.pytorch")
        logger.setLevel(logging.DEBUG)
        try:
            run(tmp_path)
            assert logger.level == logging.DEBUG
        finally:
            logger.setLevel(logging.NOTSET)
        assert capfd.readouterr() == ("", "")

    def test_a_bar_shows_the_progress(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        run(tmp_path, progress=True)
        shown = "".join(capfd.readouterr())
        assert "Epoch 3" in shown
        assert "validation_pearson" in shown
        assert "GPU available" not in shown
        assert "Tip" not in shown


def test_early_stopping_on_the_validation_glasses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    falling = iter(np.linspace(0.9, 0.1, 100))
    monkeypatch.setattr(
        "symgnn_explain.training.module.regression_metrics",
        lambda *_: {"pearson": next(falling), "spearman": 0.0, "mae": 0.0, "rmse": 0.0},
    )
    predictor = run(tmp_path, settings=replace(SETTINGS, epochs=50, validate_every=1, patience=3))
    assert [entry["epoch"] for entry in predictor.card["history"]] == [1, 2, 3, 4]
    assert predictor.card["epoch"] == 1
