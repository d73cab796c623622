"""What training covers, measured on glasses that were held out of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from symgnn_explain.models.domain import Domain, neighbourhood_length
from symgnn_explain.models.registry import NetworkConfig
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph


def measure_domain(glasses: Sequence[Glass], groups: Sequence[Sequence[int]], config: NetworkConfig) -> Domain | None:
    """Find where what training covered ends, by holding out each group of related glasses in turn.

    Descriptors are whitened on the other glasses, as training would; nothing is learned. It takes seconds.

    Parameters
    ----------
    glasses
        All that training covers; labels are not needed.
    groups
        Places of glasses that are held out together.
    config
        Of the network.

    Returns
    -------
    Domain or None
        None where such a network does not describe surroundings.
    """
    if not isinstance(config, SymGNNConfig) or not config.environment_radial:
        return None
    graphs = [build_graph(glass, cutoff=config.cutoff, species=config.species, reach=config.reach) for glass in glasses]
    lengths = []
    for group in groups:
        with torch.random.fork_rng(devices=[]):  # weights are drawn, but only descriptors are looked at
            network = SymGNN(config)
        network.fit_inputs([graph for place, graph in enumerate(graphs) if place not in group])
        lengths.append(torch.cat([neighbourhood_length(network, graphs[place]) for place in group]).double().numpy())
    return Domain.of(glasses, lengths)
