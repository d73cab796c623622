"""A predictor on disk: tensors in ``.safetensors``, all else in a ``.json`` card beside it. No code, no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from symgnn_explain.errors import InputError
from symgnn_explain.models.label_scale import earlier_name
from symgnn_explain.models.protocol import NodeModel, predicting, tensors_of
from symgnn_explain.models.registry import Network, build_network, read_config
from symgnn_explain.runs.files import staged, write_atomically

FORMAT_VERSION = 1
_WEIGHTS_HASH = "weights_sha256"


def save_checkpoint(model: Network, path: Path, card: Mapping[str, Any]) -> None:
    """Write ``path`` (.safetensors) and its card; both appear whole, or neither does.

    The card names the hash of the weights, so that two files which do not belong together are not taken for a pair.
    """
    full = {
        **card,
        "format_version": FORMAT_VERSION,
        "architecture": type(model).__name__,
        "config": model.config.to_dict(),
        _WEIGHTS_HASH: weights_sha256(model),
    }
    encoded_card = (json.dumps(full, indent=1, ensure_ascii=False) + "\n").encode()
    with staged(path.parent) as staging:
        write_atomically(staging / path.name, save(tensors_of(model)))
        write_atomically(staging / card_path(path).name, encoded_card)


def load_checkpoint(path: Path) -> tuple[Any, dict[str, Any]]:
    """Read a predictor's network (a :data:`Network`), in evaluation mode, and its card.

    Raises
    ------
    InputError
        If a file is missing or damaged, or the tensors do not fit the card.
    """
    for needed in (path, card_path(path)) if path.name else [path]:
        if not needed.is_file():
            raise InputError(f"{needed} is missing: a predictor is a .safetensors file with its .json card beside it.")
    card = _read_card(card_path(path))
    damaged = f"{path} is damaged or does not belong to its card: copy both files anew."
    try:
        state = load(path.read_bytes())
    except (SafetensorError, ValueError) as error:
        if _WEIGHTS_HASH in card:
            raise InputError(damaged) from error
        raise InputError(f"{path} is not a whole .safetensors file ({error}): copy or save it anew.") from error
    if card.get(_WEIGHTS_HASH, digest := _digest(state)) != digest:
        raise InputError(damaged)
    try:
        with torch.random.fork_rng(devices=[]):  # the initial weights, replaced below, are drawn at random
            model = build_network(read_config(card["architecture"], card["config"]))
    except (KeyError, TypeError, ValueError) as error:
        network = card.get("architecture", "network")
        raise InputError(f"{card_path(path)} does not describe a {network} ({_one_line(error)}).") from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} does not hold the network that its card describes ({_one_line(error)}).") from error
    _require_finite(model, path)
    return model.eval(), card


def weights_sha256(model: Network | NodeModel) -> str:
    """Return the hash of a network's weights, as it stands on the card of the file that they are saved in."""
    return _digest(tensors_of(model))


def card_path(path: Path) -> Path:
    """Return where the card of the weights at ``path`` is."""
    return path.with_suffix(".json")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Hash weights under the names that the first files gave them, so that the same weights keep their hash.

    What no prediction hangs on does not count.
    """
    kept = {earlier_name(name): tensor for name, tensor in predicting(tensors).items()}
    return hashlib.sha256(save(kept)).hexdigest()


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not a predictor's card: it is not JSON ({error}).") from error
    if not isinstance(card, dict) or "format_version" not in card:
        raise InputError(f"{path} is not a predictor's card: it names no format_version.")
    if card["format_version"] != FORMAT_VERSION:
        raise InputError(
            f"{path} has format {card['format_version']}, this version reads {FORMAT_VERSION}: update symgnn_explain."
        )
    return card


def _require_finite(model: nn.Module, path: Path) -> None:
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{path} holds values that are not finite in {name}: the training diverged, train again.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
