"""Explanations of a network that learned the energy of every atom, held against what physics says is behind it.

In an embedded-atom potential it is known exactly what each pair of atoms contributes to the energy of an atom. A
network of the shipped kind learns that energy, and is explained on a glass that it did not see. The scores of the pairs
into an atom are compared, by Spearman's rank correlation, with the effect of the same intervention in the potential
itself: the pair taken out (``zero``), or replaced by what stands at its distance on average (``reference``). Atoms are
the sample; intervals are those of means over them. What a method says about pairs that pass no message, where it masks
messages, is 0.

``truth_of_network`` compares with the potential what the same intervention does to the *network*: as far as a faithful
explanation can come. ``faithfulness`` compares a method with that.

An algorithm of others, a subclass of PyG's ``ExplainerAlgorithm``, is entered by ``--algorithm module:Class``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _common import argument_parser, machine, write_json
from _energy_network import learn, pearson_within_species
from _pair_physics import AtomPhysics, PairPhysics
from scipy.stats import spearmanr
from torch_geometric.explain import Explainer

from symgnn_explain import Predictor, datasets, prepare
from symgnn_explain.explain import METHODS
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.explain.engine.units import Units
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.models.target import with_tolerance
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles import find_potential
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.structure.glass import FloatArray

TRAINING, HELD_OUT = ("train2", "train4", "train5"), "train0"
FAST = ("integrated_gradients", "input_gradient", "saliency", "distance", "random")
SLOW = ("gnnexplainer", "shapley_sampling")
SEMANTICS = ("zero", "reference")

Scores = dict[tuple[int, float], float]
"""Of the pairs into an atom, by the sending atom and the distance (Å, rounded)."""


def key(source: int, distance: float) -> tuple[int, float]:
    """Name a pair into an atom."""
    return int(source), round(float(distance), 3)


def into_atom(prediction: MaskedPrediction, score: FloatArray) -> Scores:
    """Collect the scores of the pairs into the explained atom; self-loops are no pairs."""
    distance = np.linalg.norm(prediction.displacement, axis=1)
    chosen = np.flatnonzero((prediction.target == prediction.atom) & (distance > 0))
    return {key(prediction.source[row], distance[row]): float(score[row]) for row in chosen}


def scored(prepared: PreparedGlass, atom: int, method: str, semantics: Any, unit: Any) -> tuple[Scores, bool]:
    """Explain one atom; and whether scores are signed."""
    chosen = METHODS[method]
    prediction = prepared.masked_prediction(atom, semantics=semantics, unit=unit)
    found = chosen.run(prediction, with_tolerance(chosen.configure(), prepared.target), Watch())
    return into_atom(prediction, prediction.units.spread_over_edges(found.score, share=False)), found.signed


def effect_on_network(prepared: PreparedGlass, atom: int, semantics: Any, unit: Any) -> Scores:
    """Mask every pair, or message, into an atom alone: by how much the prediction falls; nothing else is masked."""
    prediction = prepared.masked_prediction(atom, semantics=semantics, unit=unit)
    distance = np.linalg.norm(prediction.displacement, axis=1)
    chosen = np.flatnonzero((prediction.target == atom) & (distance > 0))
    of_edge = np.full(len(distance), len(chosen))
    of_edge[chosen] = np.arange(len(chosen))
    only = MaskedPrediction(
        prediction.forward,
        Units("atom", of_edge, pd.DataFrame({"atom": [*prediction.source[chosen], atom]})),
        source=prediction.source,
        target=prediction.target,
        displacement=prediction.displacement,
        prepared=prepared,
        atom=atom,
    )
    score = np.zeros(len(distance))
    with torch.no_grad():
        for row, edge in enumerate(chosen):
            score[edge] = prediction.original - float(only(only.remove(np.array([row]))))
    return into_atom(prediction, score)


def correlation(scores: Scores, truth: AtomPhysics, semantics: str, *, signed: bool) -> float:
    """Rank correlation of scores with the effects in the potential; of sizes where scores have no sign."""
    effects = truth.effects(semantics)
    mine = [scores.get(key(*pair), 0.0) for pair in zip(truth.source, truth.distance, strict=True)]
    return ranked(np.array(mine), effects if signed else np.abs(effects))


def ranked(one: FloatArray, other: FloatArray) -> float:
    """Spearman's rank correlation; 0 where all values are the same."""
    return 0.0 if np.ptp(one) == 0 or np.ptp(other) == 0 else float(spearmanr(one, other)[0])


def agreement(one: Scores, other: Scores, *, signed: bool) -> float:
    """Rank correlation of two sets of scores of the same pairs."""
    both = np.array([[one.get(pair, 0.0), value] for pair, value in other.items()])
    return ranked(both[:, 0], both[:, 1] if signed else np.abs(both[:, 1]))


def algorithm_scores(prepared: PreparedGlass, name: str) -> Callable[[int], Scores]:
    """Run an ``ExplainerAlgorithm`` of others: its mask over edges, for the edges into an atom."""
    module, _, of_class = name.partition(":")
    algorithm = getattr(importlib.import_module(module), of_class)()
    graph = prepared.graph
    explainer = Explainer(
        prepared.model,
        algorithm,
        explanation_type="model",
        edge_mask_type="object",
        model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
    )
    others = {name: graph[name] for name in ("edge_attr", "environment") if name in graph}

    def score(atom: int) -> Scores:
        mask = explainer(graph.x, graph.edge_index, index=atom, **others).edge_mask.numpy()
        distance = graph.edge_attr.norm(dim=1).numpy()
        rows = np.flatnonzero((graph.edge_index[1].numpy() == atom) & (distance > 0))
        return {key(graph.edge_index[0, row], distance[row]): float(mask[row]) for row in rows}

    return score


def interval(values: list[float]) -> dict[str, Any]:
    """Mean over atoms, with its interval of 95 %."""
    found = mean_interval(values)
    return {"mean": found.value, "interval": [found.low, found.high], "atoms": len(values)}


def main() -> None:
    """Learn, explain, compare and print."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--potential", type=Path, help="the eam.fs file; found as symgnn-explain barriers finds it")
    parser.add_argument("--weights", type=Path, help="a network that learned the energy; default: one is trained")
    parser.add_argument("--steps", type=int, default=60, help="training steps, one glass each")
    parser.add_argument("--atoms", type=int, default=500, help="explained atoms")
    parser.add_argument("--slow-atoms", type=int, default=20, help="the same for methods of seconds an atom")
    parser.add_argument("--algorithm", action="append", default=[], metavar="MODULE:CLASS", help="enter another one")
    arguments = parser.parse_args()

    potential = find_potential(arguments.potential)
    [glass] = datasets.load_published([HELD_OUT])
    if arguments.weights is None:
        predictor = learn(potential, datasets.load_published(list(TRAINING)), steps=arguments.steps)
    else:
        predictor = Predictor.load(arguments.weights, device="cpu")
    energies = EamCalculator(potential).energies(glass)
    with one_thread():
        prepared, physics = prepare(predictor, glass), PairPhysics.of(potential, glass)
        atoms = np.random.default_rng(0).choice(len(glass), arguments.atoms, replace=False).tolist()
        entered = {name: algorithm_scores(prepared, name) for name in arguments.algorithm}
        truth: dict[str, list[float]] = {}
        faithful: dict[str, list[float]] = {}
        for number, atom in enumerate(atoms):
            slow = number < arguments.slow_atoms
            compare(prepared, physics.of_atom(atom), atom, truth, faithful, slow=slow)
            for name, score in entered.items() if slow else ():
                found = correlation(score(atom), physics.of_atom(atom), "zero", signed=False)
                truth.setdefault(f"{name} edge zero", []).append(found)
    report(arguments.json, prepared, energies, truth, faithful)


def compare(
    prepared: PreparedGlass,
    physics: AtomPhysics,
    atom: int,
    truth: dict[str, list[float]],
    faithful: dict[str, list[float]],
    *,
    slow: bool,
) -> None:
    """Explain one atom by every method, unit and semantics, and compare with the potential and with the network."""
    for semantics in SEMANTICS:
        for unit in ("pair", "atom", "edge"):
            on_network = effect_on_network(prepared, atom, semantics, unit) if unit != "atom" else {}
            if on_network:
                found = correlation(on_network, physics, semantics, signed=True)
                truth.setdefault(f"feature_ablation {unit} {semantics}", []).append(found)
            methods = FAST + ((SLOW if unit == "atom" else SLOW[:1]) if slow else ())
            for method in methods:
                scores, signed = scored(prepared, atom, method, semantics, unit)
                name = f"{method} {unit} {semantics}"
                truth.setdefault(name, []).append(correlation(scores, physics, semantics, signed=signed))
                if on_network:
                    faithful.setdefault(name, []).append(agreement(scores, on_network, signed=signed))


def report(
    file: Path | None,
    prepared: PreparedGlass,
    energies: FloatArray,
    truth: dict[str, list[float]],
    faithful: dict[str, list[float]],
) -> None:
    """Print and write what was found."""
    by_method = {name: interval(values) for name, values in sorted(truth.items())}
    best = max(by_method, key=lambda name: by_method[name]["mean"])
    messages = {name: found for name, found in by_method.items() if " edge " in name and "feature" not in name}
    messages_best = max((one for one in messages if not one.startswith(("distance", "random"))), key=_mean_of(messages))
    figures = {
        "machine": machine(),
        "network_r": float(np.corrcoef(prepared.predictions, energies)[0, 1]),
        "network_r_within_species": pearson_within_species(prepared.predictions, energies, prepared.glass),
        "network_error_ev": float(np.std(prepared.predictions - energies)),
        "spearman_best": by_method[best],
        "best": best,
        "spearman_messages_only": by_method[messages_best],
        "best_of_messages": messages_best,
        "spearman_by_method": by_method,
        "truth_of_network": {name: found for name, found in by_method.items() if name.startswith("feature_ablation")},
        "faithfulness": {name: interval(values) for name, values in sorted(faithful.items())},
    }
    print(f"network r {figures['network_r']:.5f}, within species {figures['network_r_within_species']}")
    for name, found in by_method.items():
        low, high = found["interval"]
        print(f"{name:42s} {found['mean']:+.3f} ({low:+.3f} to {high:+.3f}), {found['atoms']} atoms")
    write_json(file, figures)


def _mean_of(found: dict[str, dict[str, Any]]) -> Callable[[str], float]:
    return lambda name: float(found[name]["mean"])


if __name__ == "__main__":
    main()
