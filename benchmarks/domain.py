"""How well the domain score tells what training covered from what it did not, on glasses held out by cross-validation.

Descriptors are whitened on the published training glasses without one group of related glasses. Structures made of a
glass of that group (thermal displacements, strain, a surface, a liquid, lengths in Bohr), crystals and other alloys are
then told from its atoms: the area under the receiver operating characteristic is the chance that an atom outside has
the larger score. Run ``python benchmarks/domain.py``; it needs the published data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from _common import argument_parser, machine, write_json
from ase.build import bulk
from scipy.stats import mannwhitneyu

from symgnn_explain import datasets
from symgnn_explain.models.domain import Domain, neighbourhood_length
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import SymGNN, SymGNNConfig
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.graph import build_graph
from symgnn_explain.training.splits import related_groups

SURFACE_DEPTH = 4.0
"""Atoms up to so far (Å) from a cut face are those of the surface."""


def structures_outside(glass: Glass, rng: np.random.Generator) -> dict[str, Glass]:
    """Make structures that training did not cover, of a glass that it did not see and of crystals."""

    def displaced(size: float) -> Glass:
        return replace(glass, positions=glass.positions + rng.normal(0, size, glass.positions.shape))

    def scaled(factor: float) -> Glass:
        return replace(glass, positions=glass.positions * factor, cell=glass.cell * factor)

    return {
        **{f"thermal {size:g} Å": displaced(size) for size in (0.02, 0.05, 0.1)},
        **{f"expanded {percent} %": scaled(1 + percent / 100) for percent in (1, 2)},
        **{f"compressed {percent} %": scaled(1 - percent / 100) for percent in (1, 2)},
        "surface": replace(glass, cell=glass.cell + np.diag([0.0, 0.0, 20.0])),
        "lengths in Bohr": scaled(1.8897261),
        "liquid": displaced(0.35),
        "fcc Cu": Glass.from_ase(bulk("Cu", a=3.61, cubic=True) * (5, 5, 5)),
        "hcp Zr": Glass.from_ase(bulk("Zr", "hcp", a=3.23, c=5.15) * (7, 7, 5)),
        "B2 CuZr": Glass.from_ase(bulk("CuZr", "cesiumchloride", a=3.26) * (7, 7, 7)),
        "Cu80Zr20": datasets.sample("cu80zr20"),
        "Cu50Zr50": datasets.sample("cu50zr50"),
    }


def length_of(network: SymGNN, glass: Glass, name: str = "") -> FloatArray:
    """Return the length of the descriptors of a glass; of a surface, only that of the atoms near the cut faces."""
    config = network.config
    graph = build_graph(glass, cutoff=config.cutoff, species=config.species, reach=config.reach)
    length: FloatArray = neighbourhood_length(network, graph).double().numpy()
    if name == "surface":
        height = glass.positions[:, 2]
        length = length[(height < height.min() + SURFACE_DEPTH) | (height > height.max() - SURFACE_DEPTH)]
    return length


def area(outside: FloatArray, inside: FloatArray) -> float:
    """Return the chance that an atom outside has the larger score."""
    return float(mannwhitneyu(outside, inside).statistic / (len(outside) * len(inside)))


def by_fold(
    glasses: Sequence[Glass], groups: Sequence[Sequence[int]], config: SymGNNConfig
) -> tuple[list[FloatArray], Mapping[str, list[float]]]:
    """Hold out each group in turn: the lengths of its atoms, and the area for each kind of structure outside."""
    rng = np.random.default_rng(0)
    graphs = [build_graph(glass, cutoff=config.cutoff, species=config.species, reach=config.reach) for glass in glasses]
    inside: list[FloatArray] = []
    areas: dict[str, list[float]] = {}
    for group in groups:
        network = SymGNN(config).eval()
        network.fit_inputs([graph for place, graph in enumerate(graphs) if place not in group])
        inside.append(np.concatenate([length_of(network, glasses[place]) for place in group]))
        for name, glass in structures_outside(glasses[group[0]], rng).items():
            areas.setdefault(name, []).append(area(length_of(network, glass, name), inside[-1]))
        print("held out", ", ".join(glasses[place].name for place in group), flush=True)
    return inside, areas


def cost_ratio(predictor: Predictor, glass: Glass, rounds: int) -> float:
    """Return the time of the score as a share of that of the prediction, once surroundings have been described."""
    graph = predictor.model.with_description(predictor.graph(glass))
    taken: dict[str, list[float]] = {"score": [], "prediction": []}
    for _ in range(rounds):
        started = time.perf_counter()
        neighbourhood_length(predictor.model, graph)
        taken["score"].append(time.perf_counter() - started)
        started = time.perf_counter()
        predictor.predict(glass)
        taken["prediction"].append(time.perf_counter() - started)
    return float(np.median(taken["score"]) / np.median(taken["prediction"]))


def main() -> None:
    """Measure, print the table, write JSON."""
    arguments = argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    predictor = Predictor.load(device="cpu")
    glasses = datasets.load_published([f"train{number}" for number in range(7)])
    inside, areas = by_fold(glasses, related_groups(glasses), predictor.model.config.member)
    domain = Domain.of(glasses, inside)
    print(f"{'outside':18} {'AUROC':>8} {'lowest fold':>12}")
    rows: dict[str, Any] = {}
    for name, values in areas.items():
        rows[name] = {"auroc": float(np.mean(values)), "lowest": min(values)}
        print(f"{name:18} {np.mean(values):8.4f} {min(values):12.4f}")
    flagged = float(np.mean(np.concatenate(inside) > domain.edge))
    ratio = cost_ratio(predictor, datasets.sample(), arguments.rounds)
    print(f"edge {domain.edge:.4f}; flagged of held-out atoms {flagged:.2%}; by fold {domain.held_out_outside}")
    print(f"the score takes {ratio:.3f} of the time of a prediction; {machine()}")
    coverage = predictor.card["protocol"]["calibration"].get("coverage_by_fold")
    print(f"coverage of the intervals by group, calibrated on the other groups: {coverage or 'not on the card'}")
    figures = {
        "coverage_by_group": coverage,
        "machine": machine(),
        "auroc": rows,
        "edge": domain.edge,
        "held_out_flagged": flagged,
        "held_out_flagged_by_fold": list(domain.held_out_outside),
        "cost_ratio": ratio,
    }
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
