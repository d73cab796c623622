"""Train the members of an ensemble one after another, and combine them into one predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from symgnn_explain.errors import InputError
from symgnn_explain.models.ensemble import SymGNNEnsemble
from symgnn_explain.models.invariance import symmetrization_error
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.registry import NetworkConfig
from symgnn_explain.models.symgnn import SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training.settings import TrainingSettings
from symgnn_explain.training.train import WEIGHTS_FILE, held_out_protocol, train, validation_metrics


def train_ensemble(
    training: Sequence[Glass],
    validation: Sequence[Glass] = (),
    *,
    n_members: int,
    config: NetworkConfig,
    settings: TrainingSettings,
    out: str | Path,
    **others: Any,
) -> Predictor:
    """Train ``n_members`` networks from successive seeds, and write the predictor that averages them into ``out``.

    Each member has a folder of its own there, and is not trained again when an interrupted call is made once more.

    Parameters
    ----------
    training, validation, config, others
        As of :func:`~.train.train`.
    n_members
        At least 2.
    settings
        How to train; the seed is that of the first member.
    out
        Folder of the members, and of the ensemble's ``predictor.safetensors`` and card.

    Raises
    ------
    InputError
        As :func:`~.train.train` does, or if the network is no SymGNN.
    """
    if not isinstance(config, SymGNNConfig):
        raise InputError(f"an ensemble is made of SymGNNs, not of networks like {type(config).__name__} describes.")
    if n_members < 2:
        raise InputError(f"{n_members=} must be at least 2: one network alone is no ensemble.")
    members = [
        train(
            training,
            validation,
            config=config,
            settings=replace(settings, seed=settings.seed + number),
            out=Path(out) / f"member{number}",
            **others,
        )
        for number in range(n_members)
    ]
    ensemble = SymGNNEnsemble.of([member.model for member in members])
    ensemble.fix_transformations()
    predictor = Predictor(ensemble, device=others.get("device", "auto"), target=members[0].target)
    shared = {key: value for key, value in members[0].card.items() if key not in {"history", "epoch", "metrics"}}
    # Spread and intervals are those of the mean, and know how far the members disagree.
    measured = held_out_protocol(predictor, members[0].domain, validation) if validation else {}
    predictor.card = {
        **shared,
        "protocol": {**shared["protocol"], **measured, **(others.get("protocol") or {})},
        "members": [
            {
                "seed": member.card["training_settings"]["seed"],
                "epoch": member.card["epoch"],
                "metrics": member.card["metrics"],
                "history": member.card["history"],
            }
            for member in members
        ],
        "n_parameters": sum(member.card["n_parameters"] for member in members),
        "metrics": {
            "validation": validation_metrics(predictor, validation),
            predictor.target.key("symmetrization_error"): symmetrization_error(predictor, (*validation, *training)[0]),
        },
    }
    predictor.save(Path(out) / WEIGHTS_FILE)
    return predictor
