"""Processor time for each saddle point: activation and relaxation beside ASE's dimer, on the same atoms and potential.

Both push the same atoms of the embedded glass in random directions, on the same compiled potential. A search counts
where it ends in a saddle point (largest force 0.01 eV/Å, all atoms free) that joins the glass as it is to another
minimum. The dimer starts at a displacement of 0.1 Å (standard deviation) an atom, as ASE's tutorial has it. Run
``python benchmarks/saddle_search.py --potential CuZr_MendelevKramerOtt_2009.eam.fs``.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json
from ase.mep import DimerControl, MinModeAtoms, MinModeTranslate

from symgnn_explain import datasets
from symgnn_explain.saddles import EamCalculator, EnergySurface, SearchSettings, find_potential, search_saddles
from symgnn_explain.saddles.artn import Summit
from symgnn_explain.saddles.calculator import as_ase, within
from symgnn_explain.saddles.lanczos import softest_mode
from symgnn_explain.saddles.minimisation import at
from symgnn_explain.saddles.saddles import minimum_beyond
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import select_atoms

MOST_DIMER_STEPS = 1000
DIMER_DISPLACEMENT = 0.1


def artn(glass: Glass, calculator: EamCalculator, atoms: list[int], searches: int) -> dict[str, Any]:
    """Search around each atom with the settings of the library."""
    search_saddles(glass, calculator, atoms[0], SearchSettings(searches=1, seed=99))  # compile
    outcomes, calls = Counter[str](), np.zeros(2)
    started = time.process_time()
    for atom in atoms:
        found = search_saddles(glass, calculator, atom, SearchSettings(searches=searches))
        outcomes.update(found.outcomes)
        calls += found.calls
    return _figures(outcomes, time.process_time() - started, calls)


def dimer(glass: Glass, calculator: EamCalculator, atoms: list[int], searches: int) -> dict[str, Any]:
    """Search around each atom with ASE's dimer: within the local radius first, then with all atoms free."""
    settings = SearchSettings()
    outcomes, calls = Counter[str](), np.zeros(2)
    started = time.process_time()
    for atom in atoms:
        whole = calculator.surface(glass)
        local = calculator.surface(glass, within(glass, atom, settings.local_radius or np.inf))
        pushed = np.linalg.norm(local.start - local.start[0], axis=1) < settings.push_radius
        for number in range(searches):
            rng = np.random.default_rng([atom, number])
            displacement = np.where(pushed[:, None], rng.normal(scale=DIMER_DISPLACEMENT, size=local.start.shape), 0.0)
            outcomes[_dimer_search(glass, local, whole, displacement, settings)] += 1
        calls += (local.calls, whole.calls)
    return _figures(outcomes, time.process_time() - started, calls)


def _dimer_search(
    glass: Glass, local: EnergySurface, whole: EnergySurface, displacement: np.ndarray, settings: SearchSettings
) -> str:
    climbed = _climb(glass, local, displacement, displacement, settings)
    if climbed is None:
        return "not converged"
    displacement, mode = climbed
    start, point = at(local, local.start), at(local, local.start + displacement)
    softest = softest_mode(local, point, mode, most_calls=10)
    if softest.curvature >= 0 or minimum_beyond(local, start, Summit(point, softest), settings) is None:
        return "not connected"
    everywhere = np.zeros((2, *whole.start.shape))
    everywhere[:, local.mobile] = displacement, mode
    return "saddle" if _climb(glass, whole, everywhere[0], everywhere[1], settings) else "lost with all atoms free"


def _climb(
    glass: Glass, surface: EnergySurface, displacement: np.ndarray, mode: np.ndarray, settings: SearchSettings
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return displacement and mode of the saddle point that the dimer finds from a displacement."""
    atoms = as_ase(glass, surface)
    atoms.positions += displacement
    climbing = MinModeAtoms(atoms, DimerControl(logfile=None), [mode / np.linalg.norm(mode)], random_seed=0)
    with MinModeTranslate(climbing, trajectory=None, logfile=None) as steps:
        converged = steps.run(fmax=settings.force_tolerance, steps=MOST_DIMER_STEPS)
    return (atoms.positions - surface.start, climbing.get_eigenmode()) if converged else None


def _figures(outcomes: Counter[str], seconds: float, calls: np.ndarray) -> dict[str, Any]:
    saddles = outcomes["saddle"]
    return {
        "outcomes": dict(outcomes),
        "cpu_s": seconds,
        "cpu_s_per_saddle": seconds / saddles if saddles else None,
        "success_rate": saddles / outcomes.total(),
        "local_calls_per_search": calls[0] / outcomes.total(),
        "whole_calls_per_search": calls[1] / outcomes.total(),
    }


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--potential", type=Path, help="the eam.fs file; found as symgnn-explain barriers finds it")
    parser.add_argument("--atoms", type=int, default=10)
    parser.add_argument("--searches", type=int, default=5, help="from each atom")
    arguments = parser.parse_args()
    glass, calculator = datasets.sample(), EamCalculator(find_potential(arguments.potential))
    atoms = select_atoms(glass, f"random:{arguments.atoms}", seed=2).tolist()
    rows = {
        "artn": artn(glass, calculator, atoms, arguments.searches),
        "dimer": dimer(glass, calculator, atoms, arguments.searches),
    }
    for name, row in rows.items():
        print(f"{name:6}", *(f"{key}={value}" for key, value in row.items()))
    print(f"{arguments.atoms} atoms, {arguments.searches} searches each; {machine()}")
    figures = {
        "cpu_s_per_saddle_artn": rows["artn"]["cpu_s_per_saddle"],
        "cpu_s_per_saddle_dimer": rows["dimer"]["cpu_s_per_saddle"],
        "success_rate": rows["artn"]["success_rate"],
        "atoms": arguments.atoms,
        "searches": arguments.searches,
        "machine": machine(),
        **rows,
    }
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
