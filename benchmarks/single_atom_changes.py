"""How much of what single atoms do to a prediction the atoms that an explanation names hold.

Every atom around some targets is moved alone by 0.05 Å, there and back along three directions at right angles, and all
targets are predicted anew, exactly. The effect of an atom on a target is the mean size of the six changes; one random
direction instead of three says more of the direction than of the atom, alike for all targets. An explanation is worth
the share that its ten first atoms hold of the effect of the ten that matter most. Beside it stand the ten nearest
atoms, and the ten with the largest derivatives by position. Intervals are those of means over targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _common import argument_parser, machine, write_json
from scipy.spatial.transform import Rotation
from torch import Tensor

from symgnn_explain import Predictor, datasets, prepare
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.explain.methods.positions import explain_positions
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.glass import FloatArray, IntArray
from symgnn_explain.structure.graph import build_graph

STEP, TOP, SKIN = 0.05, 10, 0.2
EXPLANATIONS: dict[str, dict[str, Any]] = {
    "integrated_gradients pair reference": {"method": "integrated_gradients", "unit": "pair"},
    "integrated_gradients pair zero": {"method": "integrated_gradients", "unit": "pair", "semantics": "zero"},
    "input_gradient pair reference": {"method": "input_gradient", "unit": "pair"},
    "integrated_gradients edge reference": {"method": "integrated_gradients", "unit": "edge"},
    "gnnexplainer edge reference": {"method": "gnnexplainer", "unit": "edge"},
}


class Moved:
    """The predictions of some targets with one atom moved: all that they depend on is evaluated anew.

    Parameters
    ----------
    prepared
        The glass as an ensemble of the shipped kind sees it.
    targets
        Atoms that are predicted.
    """

    def __init__(self, prepared: PreparedGlass, targets: IntArray) -> None:
        self.model, glass = prepared.model, prepared.glass
        config = self.model.config
        graph = build_graph(glass, cutoff=config.reach + SKIN, species=config.species)
        (source, target), vector = graph.edge_index, graph.edge_attr
        near = vector.norm(dim=1) <= config.cutoff + SKIN
        receives = torch.zeros(len(glass), dtype=torch.bool)
        receives[torch.from_numpy(targets)] = True
        for _ in range(len(self.model.layers) - 1):
            receives = receives | _senders(receives, source, target, near)
        described = receives | _senders(receives, source, target, near)
        kept = described[target]
        self.source, self.target, self.vector = source[kept], target[kept], vector[kept]
        self.receives, self.x = receives, graph.x
        self.targets = torch.from_numpy(targets)
        self.looped = self.vector.square().sum(dim=1) == 0

    @torch.no_grad()
    def predict(self, atom: int | None = None, by: FloatArray | None = None) -> FloatArray:
        """Predict every target, with one atom moved (Å) where one is named."""
        config, vector = self.model.config, self.vector
        if atom is not None:
            step = torch.as_tensor(by, dtype=vector.dtype)
            vector = vector + step * ((self.source == atom).float() - (self.target == atom).float())[:, None]
        distance = vector.norm(dim=1)
        ends = torch.stack([self.source, self.target])
        edges, pairs = distance <= config.cutoff, (distance <= config.reach) & ~self.looped
        described = self.model.describe(self.x, ends[:, edges], vector[edges], ends[:, pairs], vector[pairs])
        passing = edges & self.receives[self.target]
        predicted = self.model(self.x, ends[:, passing], vector[passing], described)
        return np.asarray(predicted[self.targets].double().numpy())


def _senders(receives: Tensor, source: Tensor, target: Tensor, near: Tensor) -> Tensor:
    senders = torch.zeros_like(receives)
    senders[source[receives[target] & near]] = True
    return senders


def effects(moved: Moved, atoms: IntArray, seed: int) -> FloatArray:
    """Mean size of the changes of each target by moving each atom there and back along three axes, shape (K, T)."""
    still = moved.predict()
    axes = STEP * Rotation.random(len(atoms), np.random.default_rng(seed)).as_matrix()
    return np.array(
        [
            np.mean([np.abs(moved.predict(atom, step) - still) for step in (*its, *-its)], axis=0)
            for atom, its in zip(atoms.tolist(), axes, strict=True)
        ]
    )


def rankings(prepared: PreparedGlass) -> dict[str, Callable[[int], FloatArray]]:
    """Name what is compared: functions from a target to scores of all atoms, shape (N,)."""
    n_atoms = len(prepared.glass)

    def explained(target: int, **chosen: Any) -> FloatArray:
        why = prepared.explain(target, members=False, **chosen)
        return np.bincount(why.source, weights=np.abs(why.score), minlength=n_atoms)

    def derivative(target: int) -> FloatArray:
        found = explain_positions(prepared, target)
        return np.bincount(found.atoms, weights=found.magnitude, minlength=n_atoms)

    named = {name: lambda target, chosen=chosen: explained(target, **chosen) for name, chosen in EXPLANATIONS.items()}
    nearest = {"nearest": lambda target: -np.linalg.norm(prepared.glass.displacements_from(target), axis=1)}
    return nearest | named | {"derivative by position": derivative}


def main() -> None:
    """Measure and print."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--targets", type=int, default=60, help="atoms nearest to the middle of the sample")
    parser.add_argument("--within", type=float, default=13.0, help="atoms within so many Å of a target are moved")
    arguments = parser.parse_args()
    glass = datasets.sample()
    with one_thread():
        prepared = prepare(Predictor.load(device="cpu"), glass)
        middle = np.linalg.norm(glass.positions - glass.positions.mean(axis=0), axis=1)
        targets = np.argsort(middle)[: arguments.targets]
        near = np.array([np.linalg.norm(glass.displacements_from(int(one)), axis=1) for one in targets])
        atoms = np.flatnonzero((near < arguments.within).any(axis=0))
        effect = effects(Moved(prepared, targets), atoms, seed=0)
        largest = np.sort(effect, axis=0)[::-1][:TOP].sum(axis=0)
        held: dict[str, list[float]] = {}
        for name, score in rankings(prepared).items():
            for column, target in enumerate(targets.tolist()):
                first = np.argsort(-score(target)[atoms], kind="stable")[:TOP]
                held.setdefault(name, []).append(float(effect[first, column].sum() / largest[column]))
    figures: dict[str, Any] = {"machine": machine(), "targets": len(targets), "moved_atoms": len(atoms)}
    for name, shares in held.items():
        mean = mean_interval(shares)
        figures[name] = {"share": mean.value, "interval": [mean.low, mean.high]}
        print(f"{name:40s} {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})")
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
