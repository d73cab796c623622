"""What predictions do outside of what training covered: displaced, strained, relaxed and arbitrary structures.

The embedded glass, which training has not seen, is displaced at random, strained, and given one atom of the other
species; displaced and strained structures are relaxed again where the potential of the published barriers is found
(``SYMGNN_EXPLAIN_POTENTIAL``). The largest and smallest prediction over random structures stand beside the range of the
training labels widened by half of it on each side. Run ``python benchmarks/robustness.py --json F``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from _common import argument_parser, machine, write_json
from ase.build import bulk

from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.saddles import EamCalculator, find_potential
from symgnn_explain.structure.glass import FloatArray, Glass

SPECIES = (29, 40)
SWAPPED = 20
"""Atoms whose species is changed, one at a time."""

CLOSEST = 0.5
"""Å; atoms of random structures that are closer are taken for one twice in a file, and refused."""


def disturbed(glass: Glass, rng: np.random.Generator) -> dict[str, Glass]:
    """Displace all atoms at random, and strain the cell."""
    structures = {
        f"displaced {size:g} Å": replace(glass, positions=glass.positions + rng.normal(0, size, glass.positions.shape))
        for size in (0.01, 0.02, 0.05, 0.1)
    }
    for percent in (-2, -1, 1, 2):
        factor = 1 + percent / 100
        structures[f"strained {percent:+d} %"] = replace(
            glass, positions=glass.positions * factor, cell=glass.cell * factor
        )
    return structures


def compared(before: FloatArray, after: FloatArray) -> dict[str, float]:
    """Return how far the mean moved (eV), and r with the undisturbed predictions."""
    return {"mean_moves": float(after.mean() - before.mean()), "pearson": float(np.corrcoef(before, after)[0, 1])}


def swaps(predictor: Predictor, glass: Glass, rng: np.random.Generator) -> float:
    """Return by how much the predictions of a glass change at most where one atom is of the other species."""
    before, largest = predictor.predict(glass), 0.0
    for atom in rng.choice(len(glass), SWAPPED, replace=False):
        numbers = glass.numbers.copy()
        numbers[atom] = SPECIES[1 - SPECIES.index(int(numbers[atom]))]
        largest = max(largest, float(np.abs(predictor.predict(replace(glass, numbers=numbers)) - before).max()))
    return largest


def arbitrary(count: int, rng: np.random.Generator) -> Iterator[Glass]:
    """Yield random gases and packings, distorted crystals, and single atoms, each of random species and density."""
    crystals = (
        lambda: bulk("Cu", "fcc", a=rng.uniform(2.5, 6), cubic=True),
        lambda: bulk("Zr", "hcp", a=rng.uniform(2.5, 5), c=rng.uniform(4, 8)),
        lambda: bulk("CuZr", "cesiumchloride", a=rng.uniform(2.2, 5)),
        lambda: bulk("Cu", "sc", a=rng.uniform(1.5, 4)),
    )
    made = 0
    while made < count:
        kind = made % 4
        if kind == 0:
            edge, n_atoms = rng.uniform(3, 14), int(rng.integers(2, 60))
            glass = Glass(rng.uniform(0, edge, (n_atoms, 3)), rng.choice(SPECIES, n_atoms), np.eye(3) * edge)
        elif kind == 1:
            side, spacing = int(rng.integers(2, 5)), rng.uniform(1.5, 3.5)
            grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3) * spacing
            places = grid + rng.uniform(-0.3, 0.3, grid.shape) * spacing
            glass = Glass(places, rng.choice(SPECIES, len(grid)), np.eye(3) * side * spacing, pbc=rng.random() < 0.8)
        elif kind == 2:
            atoms = crystals[int(rng.integers(len(crystals)))]() * (2, 2, 2)
            atoms.positions += rng.normal(0, rng.choice([0.0, 0.1, 0.5]), atoms.positions.shape)
            glass = replace(Glass.from_ase(atoms), numbers=rng.choice(SPECIES, len(atoms)))
        else:
            glass = Glass(np.zeros((1, 3)), rng.choice(SPECIES, 1), np.eye(3) * rng.uniform(1.5, 30))
        distance = np.linalg.norm(glass.to_ase().get_all_distances(mic=True, vector=True), axis=2)
        if (distance[~np.eye(len(glass), dtype=bool)] < CLOSEST).any():
            continue
        made += 1
        yield glass


def widened_range(predictor: Predictor) -> tuple[float, float] | None:
    """Return what predictions may be: the range of the training labels, widened; None for a network without bounds."""
    ranges = [value for name, value in predictor.model.state_dict().items() if name.endswith("label_range")]
    if not ranges:
        return None
    low, high = (float(value) for value in ranges[0])
    return low - (high - low) / 2, high + (high - low) / 2


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--structures", type=int, default=1000, help="random structures")
    parser.add_argument("--weights", help="predictor; default: the shipped one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    predictor, glass = Predictor.load(arguments.weights, device="cpu"), datasets.sample()
    before = predictor.predict(glass)
    try:
        calculator = EamCalculator(find_potential())
    except InputError as error:
        print(f"Nothing is relaxed: {error}")
        calculator = None
    rows: dict[str, Any] = {}
    print(f"{'structure':18} {'mean moves':>10} {'r':>8} {'relaxed':>10} {'r':>8}")
    for name, structure in disturbed(glass, rng).items():
        rows[name] = compared(before, predictor.predict(structure))
        line = f"{name:18} {rows[name]['mean_moves']:+10.3f} {rows[name]['pearson']:8.4f}"
        if calculator is not None:
            rows[name]["relaxed"] = compared(before, predictor.predict(structure.relaxed(calculator)))
            line += f" {rows[name]['relaxed']['mean_moves']:+10.4f} {rows[name]['relaxed']['pearson']:8.5f}"
        print(line, flush=True)
    swapped = swaps(predictor, glass, rng)
    print(f"the species of one atom changed: predictions change by {swapped:.2f} eV at most")
    found = np.concatenate([predictor.predict(each) for each in arbitrary(arguments.structures, rng)])
    bounds = widened_range(predictor)
    allowed = "no bounds" if bounds is None else f"allowed: {bounds[0]:.2f} to {bounds[1]:.2f} eV"
    print(f"{arguments.structures} random structures: {found.min():.2f} to {found.max():.2f} eV; {allowed}")
    figures = {
        "machine": machine(),
        "disturbed": rows,
        "species_swap_largest_change": swapped,
        "random_structures": arguments.structures,
        "smallest_prediction": float(found.min()),
        "largest_prediction": float(found.max()),
        "widened_range": bounds,
    }
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
