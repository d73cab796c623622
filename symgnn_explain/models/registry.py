"""Every network that can be trained and stored, by the name of its class and by that of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgnn_explain.errors import InputError
from symgnn_explain.models.baselines.base import Baseline, BaselineConfig
from symgnn_explain.models.baselines.dimenet import DimeNet, DimeNetConfig
from symgnn_explain.models.baselines.egat import EGAT, EGATConfig
from symgnn_explain.models.baselines.egnn import EGNN, EGNNConfig
from symgnn_explain.models.baselines.faenet import FAENet, FAENetConfig
from symgnn_explain.models.baselines.gcn import GCN, GCNConfig
from symgnn_explain.models.baselines.mgcn import MGCN, MGCNConfig
from symgnn_explain.models.baselines.mlp import MLP, MLPConfig
from symgnn_explain.models.baselines.ridge import Ridge, RidgeConfig
from symgnn_explain.models.baselines.schnet import SchNet, SchNetConfig
from symgnn_explain.models.ensemble import EnsembleConfig, SymGNNEnsemble
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig

Network = SymGNN | SymGNNEnsemble | Baseline
NetworkConfig = SymGNNConfig | BaselineConfig
"""Of what can be trained by itself; an ensemble is made of trained networks."""

StoredConfig = NetworkConfig | EnsembleConfig

_NETWORKS: tuple[tuple[type[Any], type[Any]], ...] = (
    (SymGNNConfig, SymGNN),
    (EnsembleConfig, SymGNNEnsemble),
    (DimeNetConfig, DimeNet),
    (EGATConfig, EGAT),
    (EGNNConfig, EGNN),
    (FAENetConfig, FAENet),
    (GCNConfig, GCN),
    (MGCNConfig, MGCN),
    (MLPConfig, MLP),
    (RidgeConfig, Ridge),
    (SchNetConfig, SchNet),
)


def build_network(config: StoredConfig) -> Any:
    """Return an untrained network with these hyperparameters: a :data:`Network`, whichever the configuration is of."""
    return next(network for kind, network in _NETWORKS if type(config) is kind)(config)


def read_config(architecture: str, values: Mapping[str, Any]) -> StoredConfig:
    """Return the configuration of the network class ``architecture``.

    Raises
    ------
    InputError
        If there is no such network, or a value cannot be used.
    TypeError
        If a value is missing, or is not one of that network's.
    """
    for kind, network in _NETWORKS:
        if network.__name__ == architecture:
            config: StoredConfig = kind(**values)
            return config
    known = ", ".join(network.__name__ for _, network in _NETWORKS)
    raise InputError(f"{architecture!r} is not the name of a network: choose from {known}.")
