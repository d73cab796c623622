"""Edits: how quickly their predictions come, and whether physics does what they say.

``edit_seconds`` is the median time from an edit of one atom of the embedded glass of 3 000 atoms to the predictions of
all atoms, ``edit_cpu_seconds`` the processor time of that, which does not depend on what else the machine does, and
``max_difference_ev`` how far these are from predictions of the whole. With ``--out`` swaps are then searched
for that change the predicted barrier of an atom by ``--by`` after relaxation, within the domain: to lower it for atoms
with a prediction above the median, to raise it for the others. The barrier of each is computed by saddle searches from
the atom before and after the swap. Edits are kept by the weights that chose them, saddle points by the structure: a run
that was stopped continues. Intervals of 95 %: Wilson's for shares, bootstrapped over edits for the others. Run
``python benchmarks/what_if.py --potential CuZr.eam.fs --out out/what_if --json what_if.json``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json
from ase.geometry import get_distances
from scipy.stats import binomtest

from symgnn_explain import Glass, InputError, Predictor, datasets, read_glass, write_glass
from symgnn_explain.analysis.what_if import CounterfactualSettings, Verified, find_counterfactuals, verify
from symgnn_explain.explain.fidelity.intervals import quantiles
from symgnn_explain.models.live import LivePrediction
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.saddles import EamCalculator, SearchSettings, find_potential
from symgnn_explain.structure.edits import Edit, Insert, Move, Remove, Turn, apply_edits

RESAMPLES = 2000
PLACES = 100
LEAST = 0.2
"""eV; an edit is verified where the predicted change is this large."""


def one_atom_edits(glass: Glass, count: int) -> list[Edit]:
    """Draw edits of one atom each: moved, turned into the other species, taken out, put in."""
    rng = np.random.default_rng(0)
    edits: list[Edit] = []
    while len(edits) < count:
        atom, species = int(rng.integers(len(glass))), glass.species[int(rng.integers(2))]
        x, y, z = (rng.normal(size=3) * 0.1).tolist()
        there = roomiest(glass, rng)
        other = next(one for one in glass.species if one != glass.symbols[atom])
        edit = (Move((atom,), (x, y, z)), Turn((atom,), other), Remove((atom,)), Insert(species, there))[len(edits) % 4]
        try:
            edit.apply(glass)
        except InputError:  # no room there
            continue
        edits.append(edit)
    return edits


def roomiest(glass: Glass, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return that of some random places which is farthest from all atoms, where an atom has room."""
    places = rng.random((PLACES, 3)) @ glass.cell
    _, distance = get_distances(places, glass.positions, cell=glass.cell, pbc=glass.pbc)
    x, y, z = places[distance.min(axis=1).argmax()].tolist()
    return x, y, z


def speed(live: LivePrediction, count: int) -> dict[str, Any]:
    """Time edits, and compare their predictions with those of the whole."""
    live.after(apply_edits(live.glass, one_atom_edits(live.glass, 1)))  # compile
    seconds, processor, reached, inside, everywhere = [], [], [], [0.0], [0.0]
    for edit in one_atom_edits(live.glass, count):
        started, used = time.perf_counter(), time.process_time()
        after = live.after(apply_edits(live.glass, [edit]))
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
        reached.append(len(after.reached))
        whole = live.predictor.predict_atoms(after.glass)
        difference = np.abs(after.predictions.values - whole.values)
        covered = np.ones(len(difference), dtype=bool) if whole.domain is None else whole.domain <= 1
        inside.append(float(difference[covered].max()))
        everywhere.append(float(difference.max()))
    return {
        "edit_seconds": float(np.median(seconds)),
        "edit_seconds_slowest": max(seconds),
        "edit_cpu_seconds": float(np.median(processor)),
        "edits_timed": count,
        "n_atoms": len(live.glass),
        "atoms_reached_median": float(np.median(reached)),
        "max_difference_ev": max(everywhere),
        "max_difference_inside_domain_ev": max(inside),
    }


def choose(
    live: LivePrediction, calculator: EamCalculator, count: int, *, most: int, by: float, out: Path
) -> list[dict[str, Any]]:
    """Search for one relaxed swap an atom, until there are as many as are wanted, half of either sign if possible."""
    glass, (values, _, domain) = live.glass, live.predictions
    folder = out / f"edits-{live.predictor.model.identity[:12]}-{by:g}"
    atoms = np.random.default_rng(0).permutation(len(glass)).tolist()
    atoms = [atom for atom in atoms if domain is None or domain[atom] <= 1][:most]
    chosen: list[dict[str, Any]] = []
    for number, atom in enumerate(atoms):
        sign = -1.0 if values[atom] > np.median(values) else 1.0
        if sum(each["predicted_change"] * sign > 0 for each in chosen) >= (count + 1) // 2:
            continue
        said = folder / f"atom-{atom:05d}.json"
        if not said.exists():
            found = find_counterfactuals(live, atom, sign * by, calculator, CounterfactualSettings(most=1))
            best = found.found[0] if found.reached and not found.found[0].outside else None
            row = None
            if best is not None:
                write_glass(replace(best.glass, arrays={}), folder / f"atom-{atom:05d}.extxyz")
                row = {"atom": atom, "edits": str(best), "predicted_change": best.change, "domain": best.domain}
            write_atomically(said, (json.dumps(row) + "\n").encode())
        row = json.loads(said.read_text())
        if row is not None:
            chosen.append(
                row | {"structure": str(said.with_suffix(".extxyz")), "predicted_before": float(values[atom])}
            )
        print(f"{number + 1} atoms asked, {len(chosen)} of {count} edits: atom {atom} {row}", flush=True)
        if len(chosen) == count:
            break
    return chosen


def verified(
    glass: Glass, calculator: EamCalculator, chosen: Sequence[dict[str, Any]], searches: int, out: Path
) -> list[dict[str, Any]]:
    """Compute the barrier before and after each edit; those without a saddle point on one side are left out."""
    rows = []
    for row in chosen:
        atom, edited = row["atom"], read_glass(row["structure"])
        settings = SearchSettings(searches=searches)
        found: Verified = verify((glass, atom), (edited, atom), calculator, settings, out=out / "saddles")
        print(f"atom {atom}, {row['edits']}, predicted {row['predicted_change']:+.3f} eV: {found}", flush=True)
        if found.change is not None:
            plain = {"computed_change": found.change, "standard_error": found.standard_error}
            rows.append({name: value for name, value in row.items() if name != "structure"} | plain)
    return rows


def agreement(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compare predicted with computed changes."""
    predicted, computed = (np.array([row[name] for row in rows]) for name in ("predicted_change", "computed_change"))
    same = np.sign(predicted) == np.sign(computed)
    figures: dict[str, Any] = {"n_verified": len(rows), "n_confirmed": int(same.sum())}
    for name, these in (("", predicted != 0), ("_raising", predicted > 0), ("_lowering", predicted < 0)):
        figures[f"n{name or '_of_either_sign'}"] = int(these.sum())
        if these.any():
            share = binomtest(int(same[these].sum()), int(these.sum())).proportion_ci(method="wilson")
            figures |= {
                f"sign_agreement{name}": float(same[these].mean()),
                f"sign_agreement{name}_low": float(share.low),
                f"sign_agreement{name}_high": float(share.high),
            }
    if len(rows) > 2:
        rng = np.random.default_rng(0)
        drawn = [rng.integers(len(rows), size=len(rows)) for _ in range(RESAMPLES)]
        statistics = {
            "correlation": lambda take: np.corrcoef(predicted[take], computed[take])[0, 1],
            "slope": lambda take: predicted[take] @ computed[take] / (predicted[take] @ predicted[take]),
        }
        for name, statistic in statistics.items():
            with np.errstate(invalid="ignore"):
                draws = np.array([statistic(take) for take in drawn])
            low, high = quantiles(draws[np.isfinite(draws)])
            value = float(statistic(np.arange(len(rows))))
            figures |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
        errors = [row["standard_error"] for row in rows if row["standard_error"] is not None]
        figures["standard_error_mean_ev"] = float(np.mean(errors)) if errors else None
    return figures | {"edits": list(rows)}


def main() -> None:
    """Measure, and where a folder is given search and verify; print, write JSON."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--timed", type=int, default=40, help="edits that are timed")
    parser.add_argument(
        "--out", type=Path, help="folder that keeps edits and saddle points; nothing is verified without"
    )
    parser.add_argument("--potential", type=Path, help="the eam.fs file; found as symgnn-explain barriers finds it")
    parser.add_argument("--edits", type=int, default=40, help="edits to verify")
    parser.add_argument("--most-atoms", type=int, default=160, help="atoms that edits are searched for, at most")
    parser.add_argument("--by", type=float, default=0.3, help=f"change of the predicted barrier, at least {LEAST} eV")
    parser.add_argument("--searches", type=int, default=10, help="from each atom, before and after")
    parser.add_argument("--weights", type=Path, help="default: the shipped ones")
    arguments = parser.parse_args()
    if arguments.by < LEAST:
        parser.error(f"--by must be at least {LEAST}.")
    live = LivePrediction.of(Predictor.load(arguments.weights, device="cpu"), datasets.sample())
    figures = speed(live, arguments.timed)
    if arguments.out is not None:
        calculator = EamCalculator(find_potential(arguments.potential))
        count, most = arguments.edits, arguments.most_atoms
        chosen = choose(live, calculator, count, most=most, by=arguments.by, out=arguments.out)
        figures |= agreement(verified(live.glass, calculator, chosen, arguments.searches, arguments.out))
        figures |= {"searches": arguments.searches, "by_ev": arguments.by}
    for name, value in figures.items():
        if name != "edits":
            print(f"{name:36s} {value:.3g}" if isinstance(value, float) else f"{name:36s} {value}")
    write_json(arguments.json, figures | {"machine": machine()})


if __name__ == "__main__":
    main()
