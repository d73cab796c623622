from __future__ import annotations

import copy
import json
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from symgnn_explain.errors import InputError
from symgnn_explain.models import checkpoint
from symgnn_explain.models.predictor import Predictor, evaluation_mode, resolve_device
from symgnn_explain.models.symgnn import SymGNN
from symgnn_explain.structure.glass import Glass


@pytest.fixture
def saved(tiny_predictor: Predictor, tmp_path: Path) -> Path:
    return tiny_predictor.save(tmp_path / "weights" / "tiny.safetensors")


def edit_card(weights: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = weights.with_suffix(".json")
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def edit_weights(weights: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change tensors, and the card's hash with them: as if such a predictor had been saved."""
    state = load_file(weights)
    change(state)
    save_file(state, weights)
    edit_card(weights, lambda card: card.pop("weights_sha256"))


def refusal(weights: Path) -> str:
    with pytest.raises(InputError) as error:
        Predictor.load(weights, device="cpu")
    message = str(error.value)
    assert "\n" not in message
    assert str(weights.with_suffix("")) in message
    return message


class TestRoundTrip:
    @pytest.mark.parametrize("distribution", ["haar", "von_mises"])
    @pytest.mark.parametrize("radial_basis", [0, 6])
    def test_predicts_identically(
        self,
        make_predictor: Callable[..., Predictor],
        glass: Glass,
        tmp_path: Path,
        distribution: str,
        radial_basis: int,
    ) -> None:
        predictor = make_predictor(distribution=distribution, radial_basis=radial_basis, seed=3)
        predictor.card = {"epoch": 7, "metrics": {"validation": {"a": {"pearson": 0.5}}}}
        loaded = Predictor.load(predictor.save(tmp_path / "p.safetensors"), device="cpu")
        np.testing.assert_array_equal(loaded.predict(glass), predictor.predict(glass))
        assert loaded.model.config == predictor.model.config
        assert loaded.card.items() >= predictor.card.items()
        assert (loaded.species, loaded.cutoff) == (("Cu", "Zr"), 5.0)

    def test_saving_what_was_loaded_gives_the_same_files(self, saved: Path, tmp_path: Path) -> None:
        again = Predictor.load(saved, device="cpu").save(tmp_path / "again.safetensors")
        assert again.read_bytes() == saved.read_bytes()
        assert json.loads(again.with_suffix(".json").read_text()) == json.loads(saved.with_suffix(".json").read_text())

    def test_nothing_is_pickled(self, saved: Path) -> None:
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads(saved.read_bytes())
        json.loads(saved.with_suffix(".json").read_text())
        assert sorted(path.name for path in saved.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]

    def test_loading_leaves_the_global_seed_alone(self, saved: Path) -> None:
        before = torch.get_rng_state()
        Predictor.load(saved, device="cpu")
        assert torch.equal(before, torch.get_rng_state())


class TestDamage:
    @pytest.mark.parametrize("suffix", [".safetensors", ".json"])
    def test_missing_file(self, saved: Path, suffix: str) -> None:
        saved.with_suffix(suffix).unlink()
        assert f"{suffix} is missing" in refusal(saved)

    @pytest.mark.parametrize("with_hash", [True, False])
    @pytest.mark.parametrize("length", [0, 7, 100, -1])
    def test_truncated_weights(self, saved: Path, length: int, *, with_hash: bool) -> None:
        if not with_hash:
            edit_card(saved, lambda card: card.pop("weights_sha256"))
        saved.write_bytes(saved.read_bytes()[:length])
        assert "is damaged" in refusal(saved) if with_hash else "is not a whole .safetensors file" in refusal(saved)

    def test_one_flipped_bit(self, saved: Path) -> None:
        blob = bytearray(saved.read_bytes())
        blob[-40] ^= 1
        saved.write_bytes(blob)
        assert "is damaged or does not belong to its card" in refusal(saved)

    def test_weights_of_another_training(
        self, saved: Path, make_predictor: Callable[..., Predictor], tmp_path: Path
    ) -> None:
        other = make_predictor(seed=1).save(tmp_path / "other.safetensors")
        saved.write_bytes(other.read_bytes())
        assert "does not belong to its card" in refusal(saved)

    @pytest.mark.parametrize("key", ["decoder.0.weight", "inference_transformations", "label_mean"])
    def test_missing_tensor(self, saved: Path, key: str) -> None:
        edit_weights(saved, lambda state: state.pop(key))
        assert re.search(f"does not hold the network that its card describes.*{re.escape(key)}", refusal(saved))

    def test_foreign_tensor(self, saved: Path) -> None:
        edit_weights(saved, lambda state: state.update(stranger=torch.zeros(1)))
        assert "stranger" in refusal(saved)

    def test_tensor_of_another_shape(self, saved: Path) -> None:
        edit_card(saved, lambda card: card["config"].update(dim=16))
        assert "size mismatch" in refusal(saved)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_not_finite(self, saved: Path, value: float) -> None:
        edit_weights(saved, lambda state: state["decoder.0.weight"].fill_(value))
        assert "not finite in decoder.0.weight" in refusal(saved)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"config": {}}', "\xff"])
    def test_card_that_is_none(self, saved: Path, text: str) -> None:
        saved.with_suffix(".json").write_bytes(text.encode("latin-1"))
        assert "is not a predictor's card" in refusal(saved)

    def test_card_of_another_version(self, saved: Path) -> None:
        edit_card(saved, lambda card: card.update(format_version=2, config={"new": 1}))
        assert "has format 2, this version reads 1" in refusal(saved)

    @pytest.mark.parametrize(
        "change",
        [
            {"unknown": 1},
            {"dim": "wide"},
            {"heads": 3},
            {"heads": [0]},
            {"species": ["Cu", "Xx"]},
            {"cutoff": -1},
            {"distribution": "gauss"},
        ],
    )
    def test_card_with_an_impossible_config(self, saved: Path, change: dict[str, Any]) -> None:
        edit_card(saved, lambda card: card["config"].update(change))
        assert "does not describe a SymGNN" in refusal(saved)

    def test_card_without_a_config(self, saved: Path) -> None:
        edit_card(saved, lambda card: card.pop("config"))
        assert "does not describe a SymGNN" in refusal(saved)

    def test_a_pickle_under_the_name_of_weights_runs_nothing(self, saved: Path, tmp_path: Path) -> None:
        class Hostile:
            def __reduce__(self) -> tuple[Any, ...]:
                return (Path.touch, (tmp_path / "ran",))

        saved.write_bytes(pickle.dumps(Hostile()))
        edit_card(saved, lambda card: card.pop("weights_sha256"))
        assert "is not a whole .safetensors file" in refusal(saved)
        assert not (tmp_path / "ran").exists()


class TestWriting:
    def test_other_suffix(self, tiny_predictor: Predictor, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"weights\.pt must end in \.safetensors"):
            tiny_predictor.save(tmp_path / "weights.pt")

    def test_a_failure_leaves_the_old_files_and_no_rest(
        self, saved: Path, make_predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = {path.name: path.read_bytes() for path in saved.parent.iterdir()}

        def fail(*_: object) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            make_predictor(seed=1).save(saved)
        assert {path.name: path.read_bytes() for path in saved.parent.iterdir()} == before

    def test_an_interruption_between_the_two_files_leaves_the_old_pair(
        self, saved: Path, make_predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = {path.name: path.read_bytes() for path in saved.parent.iterdir()}
        write = checkpoint.write_atomically

        def fail_on_the_card(path: Path, blob: bytes) -> Path:
            if path.suffix == ".json":
                raise KeyboardInterrupt
            return write(path, blob)

        monkeypatch.setattr(checkpoint, "write_atomically", fail_on_the_card)
        with pytest.raises(KeyboardInterrupt):
            make_predictor(seed=1).save(saved)
        assert {path.name: path.read_bytes() for path in saved.parent.iterdir()} == before

    @pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
    def test_others_may_read(self, saved: Path) -> None:
        assert {path.stat().st_mode & 0o777 for path in saved.parent.iterdir()} == {0o644}


class TestPrediction:
    def test_one_finite_barrier_an_atom(self, tiny_predictor: Predictor, glass: Glass) -> None:
        barriers = tiny_predictor.predict(glass)
        assert (barriers.shape, barriers.dtype) == ((len(glass),), np.float64)
        assert np.isfinite(barriers).all()
        assert np.ptp(barriers) > 0

    def test_known_barriers_do_not_matter(self, tiny_predictor: Predictor, glass: Glass) -> None:
        expected = tiny_predictor.predict(glass)
        np.testing.assert_array_equal(tiny_predictor.predict(replace(glass, barriers=None)), expected)

    def test_is_deterministic_and_leaves_the_model_as_it_was(
        self, make_predictor: Callable[..., Predictor], glass: Glass
    ) -> None:
        predictor = make_predictor(dropout=0.5)
        expected = predictor.predict(glass)
        model = predictor.model.train()
        model.layers[0].eval()
        modes = [module.training for module in model.modules()]
        state = copy.deepcopy(model.state_dict())
        seed = torch.get_rng_state()
        np.testing.assert_array_equal(predictor.predict(glass), expected)
        assert [module.training for module in model.modules()] == modes
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
        assert all(parameter.requires_grad for parameter in model.parameters())
        assert torch.equal(seed, torch.get_rng_state())

    def test_modes_come_back_after_a_failure(self, make_predictor: Callable[..., Predictor]) -> None:
        model = make_predictor().model.train()
        with pytest.raises(TypeError), evaluation_mode(model):
            model(None, None, None)
        assert all(module.training for module in model.modules())

    def test_order_of_the_species_is_that_of_the_network(
        self, make_predictor: Callable[..., Predictor], glass: Glass
    ) -> None:
        predictor = make_predictor()
        swapped = SymGNN(replace(predictor.model.config, species=("Zr", "Cu")))
        state = predictor.model.state_dict()
        swapped.load_state_dict(state | {"species_embedding.weight": state["species_embedding.weight"].flip(1)})
        np.testing.assert_allclose(Predictor(swapped, device="cpu").predict(glass), predictor.predict(glass), atol=1e-6)

    def test_a_species_unknown_to_the_network(
        self, tiny_predictor: Predictor, random_glass: Callable[..., Glass]
    ) -> None:
        with pytest.raises(InputError, match="contains Ag, but this predictor knows only Cu, Zr"):
            tiny_predictor.predict(random_glass(3, species=(29, 47)))

    def test_a_glass_of_one_species(self, tiny_predictor: Predictor, random_glass: Callable[..., Glass]) -> None:
        assert np.isfinite(tiny_predictor.predict(random_glass(3, species=(40,)))).all()


class TestDevice:
    def test_auto_and_cpu(self) -> None:
        assert resolve_device("cpu").type == "cpu"
        assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")

    @pytest.mark.parametrize("device", ["gpu", "mps", "", "cuda:7"])
    def test_unknown(self, device: str) -> None:
        with pytest.raises(InputError, match="is unknown: use 'auto', 'cpu' or 'cuda'"):
            resolve_device(device)

    def test_cuda_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(InputError, match="PyTorch sees no GPU here"):
            resolve_device("cuda")
