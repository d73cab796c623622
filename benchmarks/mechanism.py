"""Whether the atoms that matter to a predicted barrier are the atoms that move when the barrier is crossed.

Saddle points are searched for around random atoms of the embedded glass, on the potential of the published barriers.
Each atom's prediction is explained by Integrated Gradients over pairs, gathered by atom. For each atom the area under
the curve (AUC) says how well the scores tell atoms that move (by 0.1 Å at a saddle point) from those that do not;
beside it stand the AUC of scores dealt anew among atoms of equal distance, that of nearness, and that among atoms of
equal distance only. Means over atoms, with their 95 % intervals. What is in ``--saddles`` is not searched for
again, whatever the weights. Run ``python benchmarks/mechanism.py --potential CuZr.eam.fs --saddles out/saddles``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json

from symgnn_explain import InputError, Predictor, datasets, prepare
from symgnn_explain.analysis import Mechanism, mechanism
from symgnn_explain.analysis.explained.mechanism import MOVES
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.saddles import BarrierSet, EamCalculator, SearchSettings, compute_barriers, find_potential
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import select_atoms

METHOD, UNIT = "integrated_gradients", "atom"


def explained(glass: Glass, barriers: BarrierSet, weights: Path | None, moves: float) -> list[Mechanism]:
    """Explain each atom that has saddle points, and compare; an atom at whose saddle points nothing moves is named."""
    found = []
    with one_thread():
        prepared = prepare(Predictor.load(weights, device="cpu"), glass)
        for barrier in barriers:
            if not barrier.saddles:
                print(f"atom {barrier.atom}: no saddle point")
                continue
            why = prepared.explain(barrier.atom, METHOD, unit=UNIT, members=False)
            try:
                found.append(mechanism(why, barrier, glass, moves=moves))
            except InputError as error:
                print(error)
    return found


def figures_of(found: list[Mechanism]) -> dict[str, Any]:
    """Average over atoms."""
    equal = [each.auc_at_equal_distance for each in found if each.auc_at_equal_distance is not None]
    samples = {
        "auc": [each.auc for each in found],
        "auc_null": [each.auc_null for each in found],
        "auc_of_nearness": [each.auc_of_nearness for each in found],
        "auc_at_equal_distance": equal,
        "auc_minus_nearness": [each.auc - each.auc_of_nearness for each in found],
        "auc_minus_null": [each.auc - each.auc_null for each in found],
    }
    figures: dict[str, Any] = {"n_atoms": len(found)}
    for name, sample in samples.items():
        interval = mean_interval(sample)
        figures |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    overlaps = [each.overlap() for each in found]
    moving = [int(each.moves.sum()) for each in found]
    return figures | {
        "moving_atoms_mean": float(np.mean(moving)),
        "share_of_first_n_that_move": sum(hits for hits, _ in overlaps) / sum(moving),
        "share_of_nearest_n_that_move": sum(near for _, near in overlaps) / sum(moving),
        "moving_beyond_reach": sum(each.n_beyond for each in found),
        "atoms": [each.atom for each in found],
        "auc_of_each": samples["auc"],
        "auc_of_nearness_of_each": samples["auc_of_nearness"],
        "auc_at_equal_distance_of_each": equal,
    }


def main() -> None:
    """Search, explain, compare and print."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--potential", type=Path, help="the eam.fs file; found as symgnn-explain barriers finds it")
    parser.add_argument("--saddles", type=Path, help="folder that keeps the saddle points")
    parser.add_argument("--atoms", type=int, default=60)
    parser.add_argument("--searches", type=int, default=10, help="from each atom")
    parser.add_argument("--moves", type=float, default=MOVES, help="an atom moves where it is so far from its place, Å")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    glass = datasets.sample()
    barriers = compute_barriers(
        glass,
        EamCalculator(find_potential(arguments.potential)),
        select_atoms(glass, f"random:{arguments.atoms}", seed=0).tolist(),
        settings=SearchSettings(searches=arguments.searches),
        out=arguments.saddles,
        workers=arguments.workers,
        progress=print,
    )
    figures = figures_of(explained(glass, barriers, arguments.weights, arguments.moves))
    for name, value in figures.items():
        if not isinstance(value, list):
            print(f"{name:36s} {value:.3f}" if isinstance(value, float) else f"{name:36s} {value}")
    write_json(
        arguments.json,
        figures | {"searches": arguments.searches, "moves_angstrom": arguments.moves, "machine": machine()},
    )


if __name__ == "__main__":
    main()
