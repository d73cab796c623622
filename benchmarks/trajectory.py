"""Whether a low predicted barrier says which atoms of a glass rearrange next; and what predicting a trajectory costs.

The embedded glass of 3 000 atoms, which comes from a melt and a quench, is heated and held below the glass transition
in LAMMPS; each frame is relaxed to its inherent structure. An atom rearranges where it lies ``MOVED`` Å or more from
its place in the first inherent structure, in that of some later frame. Scores are of the first structure alone: minus
the predicted barrier, and as nulls species, energy, energy above the species' mean averaged over an atom and its
neighbours, Voronoi volume and number of faces. The area under the curve (AUC) is the probability that an atom that
rearranges has the higher score of two; ``within_species`` compares atoms of one species only. Atoms that rearrange
lie together, therefore intervals of 95 % come from boxes of atoms that are drawn anew, and beside them from atoms.
All frames are predicted by ``symgnn-explain predict``, whose memory is measured. What is in ``--out`` is not computed
again. Run
``python benchmarks/trajectory.py --potential CuZr.eam.fs --out out/trajectory --json trajectory.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import argument_parser, machine, write_json
from _dynamics import Protocol, inherent_structures
from numpy.typing import NDArray
from scipy.stats import rankdata

from symgnn_explain import Glass, InputError, Predictor, datasets
from symgnn_explain.analysis.order.voronoi import voronoi_cells
from symgnn_explain.explain.fidelity.intervals import RESAMPLES, quantiles
from symgnn_explain.explain.fidelity.rank_agreement import roc_auc
from symgnn_explain.export.predictions import DOMAIN_ARRAY
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.saddles import EamCalculator, find_potential
from symgnn_explain.structure.glass import FloatArray, IntArray
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.measure import nearest_image
from symgnn_explain.structure.neighbours import neighbours_within
from symgnn_explain.structure.radial import first_shell_cutoff

MOVED = 1.0
BOXES = 4
"""Along each edge of the cell."""

GAP = 0.75
"""Å; a neighbour of the first structure is lost where it is farther away than the first shell by so much."""

LOST = 2
"""Neighbours that an atom has lost where its surroundings are said to have changed."""

FEW = 20
"""Frames of the shorter of two predictions whose memory is compared, and of a window."""


def moved_from(first: Glass, positions: FloatArray) -> FloatArray:
    """Return how far each atom is from its place in another structure, shape (N,), Å, without drift of the whole."""
    moved = nearest_image(first, positions - first.positions)
    return np.linalg.norm(moved - np.median(moved, axis=0), axis=1)


def lost_neighbours(first: Glass, last: Glass) -> IntArray:
    """Count the neighbours of each atom that it no longer has."""
    shell = first_shell_cutoff(first)
    pairs = neighbours_within(first, shell)
    apart = nearest_image(last, last.positions[pairs.neighbour] - last.positions[pairs.centre])
    gone = np.linalg.norm(apart, axis=1) > shell + GAP
    return np.bincount(pairs.centre[gone], minlength=len(first))


def area(truth: NDArray[np.bool_], score: FloatArray, group: IntArray) -> float:
    """Return the AUC over pairs of atoms of one group; NaN where there are none."""
    total, pairs = 0.0, 0
    for number in np.unique(group):
        here = group == number
        n_pairs = int(truth[here].sum()) * int((~truth[here]).sum())
        if n_pairs:
            total += n_pairs * roc_auc(truth[here], rankdata(score[here]))
            pairs += n_pairs
    return total / pairs if pairs else float("nan")


class Judge:
    """Areas of scores of one structure, with intervals; the same atoms are drawn for all scores."""

    def __init__(self, glass: Glass, resamples: int) -> None:
        self.numbers, every = glass.numbers, np.arange(len(glass))
        place = (glass.fractional() % 1 * BOXES).astype(int) % BOXES
        box = np.ravel_multi_index(tuple(place.T), (BOXES, BOXES, BOXES))
        boxes, random = [every[box == number] for number in np.unique(box)], np.random.default_rng(0)
        self.of_boxes = [
            np.concatenate([boxes[drawn] for drawn in random.integers(len(boxes), size=len(boxes))])
            for _ in range(resamples)
        ]
        self.of_atoms = [random.integers(len(glass), size=len(glass)) for _ in range(resamples)]

    def figures(
        self, truth: NDArray[np.bool_], scores: Mapping[str, FloatArray], *, atoms: bool = False
    ) -> dict[str, Any]:
        """Return the areas of each score, overall and within species; and how far the first is above each other one."""
        together = {"": np.zeros_like(self.numbers), "_within_species": self.numbers}
        found: dict[str, Any] = {}
        for suffix, group in together.items():
            draws: dict[str, FloatArray] = {}
            for name, score in scores.items():
                draws[name] = np.array([area(truth[take], score[take], group[take]) for take in self.of_boxes])
                found |= _with_interval(f"{name}{suffix}", area(truth, score, group), draws[name])
            first, *nulls = scores
            for null in nulls:
                value = found[f"{first}{suffix}"] - found[f"{null}{suffix}"]
                found |= _with_interval(f"{first}_above_{null}{suffix}", value, draws[first] - draws[null])
            if atoms:
                drawn = [area(truth[take], scores[first][take], group[take]) for take in self.of_atoms]
                found |= _with_interval(f"{first}{suffix}_drawing_atoms", None, np.array(drawn))
        return found


def _with_interval(name: str, value: float | None, draws: FloatArray) -> dict[str, float]:
    """Return a value with its bounds by name; alone, if the value is None, the bounds."""
    low, high = quantiles(draws[np.isfinite(draws)])
    return ({} if value is None else {name: value}) | {f"{name}_low": float(low), f"{name}_high": float(high)}


def predicted(trajectory: Trajectory, frames: int, out: Path, weights: Path | None, identity: str) -> dict[str, Any]:
    """Predict the first frames on the command line: memory (MB), processor time (s), and the table that it wrote."""
    table = out / f"predicted-{identity}-{frames}.csv"
    said = table.with_suffix(".json")
    if not said.exists():
        command = [sys.executable, "-m", "symgnn_explain", "predict", str(trajectory.path), "--frames", f":{frames}"]
        command += ["--out", str(table), "--overwrite", "--device", "cpu"]
        command += [] if weights is None else ["--weights", str(weights)]
        process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})  # noqa: S603 - ourselves
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise InputError(f"symgnn-explain predict ended with status {status}: see what it printed above.")
        measured = {"peak_mb": used.ru_maxrss / 1024, "cpu_s": used.ru_utime + used.ru_stime}
        write_atomically(said, json.dumps(measured).encode())
    return json.loads(said.read_text()) | {"table": table}


def slider(predictor: Predictor, trajectory: Trajectory, frames: int) -> dict[str, float]:
    """Time what the slider does for a frame: read it and predict it; medians of processor time, one thread."""
    reading, predicting = [], []
    predictor.predict(trajectory[0])  # compile
    for number in range(frames):
        started = time.process_time()
        glass = trajectory[number]
        read = time.process_time()
        predictor.predict(glass)
        reading.append(read - started)
        predicting.append(time.process_time() - read)
    read, predict = float(np.median(reading)), float(np.median(predicting))
    return {"slider_read_cpu_s": read, "slider_predict_cpu_s": predict, "slider_step_cpu_s": read + predict}


def scores_of(glass: Glass, barrier: FloatArray, calculator: EamCalculator) -> dict[str, FloatArray]:
    """Return the scores of the first structure: higher is more likely to rearrange, by the common expectation."""
    cells, energy = voronoi_cells(glass), calculator.energies(glass)
    pairs, of_species = neighbours_within(glass, first_shell_cutoff(glass)), energy.copy()
    for number in np.unique(glass.numbers):
        of_species[glass.numbers == number] -= energy[glass.numbers == number].mean()
    around = of_species + np.bincount(pairs.centre, of_species[pairs.neighbour], minlength=len(glass))
    return {
        "predicted": -barrier,
        "species": (glass.numbers == glass.numbers.min()).astype(float),  # copper is the smaller one, and moves more
        "energy": energy,
        "energy_around": around / (1 + np.bincount(pairs.centre, minlength=len(glass))),
        "volume": cells.volume,
        "faces": -cells.coordination.astype(float),
    }


def against_time(values: FloatArray, domain: FloatArray, ever: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what becomes of the predictions: means over atoms by frame, and how much they change."""
    return {
        "mean_barrier_ev": values.mean(axis=1).round(4).tolist(),
        "mean_barrier_of_rearranging_ev": values[:, ever].mean(axis=1).round(4).tolist(),
        "share_flagged": (domain > 1).mean(axis=1).round(5).tolist(),
        "std_in_time_of_others_ev": float(values[:, ~ever].std(axis=0).mean()),
        "std_over_atoms_ev": float(values.std(axis=1).mean()),
        "correlation_of_first_and_last": float(np.corrcoef(values[0], values[-1])[0, 1]),
    }


def windows(first: Glass, positions: FloatArray, values: FloatArray) -> list[dict[str, float]]:
    """Ask the same of each structure that a window of frames begins with, and of the frames of that window alone."""
    found = []
    for start in range(0, len(positions) - FEW, FEW):
        begin = replace(first, positions=positions[start], arrays={})
        here = positions[start + 1 : start + FEW + 1]
        moved = np.max([moved_from(begin, place) for place in here], axis=0) >= MOVED
        areas = (area(moved, -values[start], group) for group in (np.zeros_like(first.numbers), first.numbers))
        names = ("first_frame", "n_rearranged", "auc", "auc_within_species")
        found.append(dict(zip(names, (start, int(moved.sum()), *areas), strict=True)))
    return found


def main() -> None:
    """Simulate, relax and predict, or take what is there; compare, print, write JSON."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--potential", type=Path, help="the eam.fs file; found as symgnn-explain barriers finds it")
    parser.add_argument("--out", type=Path, default=Path("out/trajectory"), help="folder that keeps all frames")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--temperature", type=float, default=Protocol.temperature, help="K")
    parser.add_argument("--frames", type=int, default=Protocol.frames)
    parser.add_argument("--between", type=float, default=Protocol.between_frames, help="ps between frames")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="draws of the bootstrap")
    arguments = parser.parse_args()
    protocol = Protocol(arguments.temperature, frames=arguments.frames, between_frames=arguments.between)
    try:
        figures = measured(protocol, arguments.potential, arguments.out, arguments.weights, arguments.resamples)
    except InputError as error:
        sys.exit(str(error))
    for name, value in figures.items():
        if not isinstance(value, (dict, list)):
            print(f"{name:36s} {value:.4g}" if isinstance(value, float) else f"{name:36s} {value}")
    for row in (*figures["horizons"], figures["neighbours"]):
        print({name: round(value, 3) for name, value in row.items()})
    write_json(arguments.json, figures | {"machine": machine()})


def measured(
    protocol: Protocol, potential: Path | None, out: Path, weights: Path | None, resamples: int
) -> dict[str, Any]:
    """Return all figures."""
    calculator = EamCalculator(find_potential(potential))
    predictor = Predictor.load(weights, device="cpu")
    trajectory = inherent_structures(datasets.sample(), protocol, potential, out)
    identity = predictor.identity[:12]
    few, every = (predicted(trajectory, count, out, weights, identity) for count in (FEW, protocol.frames))
    table = pd.read_csv(every["table"])
    column = predictor.target.column(predictor.target.slug)
    values, domain = (table[name].to_numpy().reshape(protocol.frames, -1) for name in (column, DOMAIN_ARRAY))
    first, last = trajectory[0], trajectory[-1]
    positions, energies = [], []
    for glass in trajectory:
        positions.append(glass.positions)
        energies.append(float(calculator.energies(glass).mean()))
    moved = np.array([moved_from(first, place) for place in positions])
    ever = moved.max(axis=0) >= MOVED
    scores, judge = scores_of(first, values[0], calculator), Judge(first, resamples)
    horizons = []
    for count in (FEW, protocol.frames // 2, protocol.frames):
        until = moved[:count].max(axis=0) >= MOVED
        row = {"frames": count, "n_rearranged": int(until.sum()), "copper": float((first.numbers[until] == 29).mean())}
        horizons.append(row | judge.figures(until, scores, atoms=count == protocol.frames))
    changed = lost_neighbours(first, last) >= LOST
    lowest = values[0] <= np.quantile(values[0], 0.1)
    return {
        **asdict(protocol),
        "n_atoms": len(first),
        "moved_angstrom": MOVED,
        "share_rearranged": float(ever.mean()),
        "median_displacement_angstrom": float(np.median(moved[-1])),
        "energy_an_atom_first_ev": energies[0],
        "energy_an_atom_last_ev": energies[-1],
        "mean_barrier_first_of_rearranging_ev": float(values[0, ever].mean()),
        "mean_barrier_first_of_others_ev": float(values[0, ~ever].mean()),
        "share_of_rearranging_in_lowest_tenth": float(lowest[ever].mean()),
        "horizons": horizons,
        "neighbours": {"n_changed": int(changed.sum())} | judge.figures(changed, scores),
        "windows": windows(first, np.array(positions), values),
        **against_time(values, domain, ever),
        **slider(predictor, trajectory, min(FEW, protocol.frames)),
        "predict_cpu_s_a_frame": (every["cpu_s"] - few["cpu_s"]) / max(protocol.frames - FEW, 1),
        "peak_mb_few_frames": few["peak_mb"],
        "peak_mb_all_frames": every["peak_mb"],
        "few_frames": FEW,
    }


if __name__ == "__main__":
    main()
