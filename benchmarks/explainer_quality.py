"""How good explanations are: fidelity, sparsity, stability and sanity of every method, against null rankings.

A table over methods, mask semantics and units (edges, atoms) on the sample glass and, where it is at hand, the
published glass train2. Records of single atoms are kept, so an interrupted run goes on where it stopped; those of
other weights, settings or glasses are made anew, but after a change of a method's code the folder has to be removed.
Run ``python benchmarks/explainer_quality.py --atoms 5`` for a first look.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from _common import argument_parser, machine, write_json
from _quality import (
    NULL_METHODS,
    Book,
    Cell,
    Record,
    measure,
    measure_planted,
    measure_randomised,
    shuffled_atoms,
    turned,
)

from symgnn_explain import datasets
from symgnn_explain.explain import METHODS, prepare
from symgnn_explain.explain.engine.masked_forward import MASK_SEMANTICS
from symgnn_explain.explain.fidelity.intervals import Interval, bootstrap
from symgnn_explain.explain.fidelity.measure import TOLERANCE, Fidelity
from symgnn_explain.glass import Glass
from symgnn_explain.models.predictor import Predictor

COUNTS = (10, 50, 300, 1000)
FAITHFUL = ("gnnexplainer", "gnnexplainer_nested")
GRADIENT_METHODS = ("saliency", "input_gradient", "integrated_gradients")
MUST_BEAT_DISTANCE = ("integrated_gradients", *FAITHFUL)
WANTED_ATOMS = 50
GLASSES = ("sample", "train2")


def glasses(names: Sequence[str]) -> dict[str, Glass]:
    """Load the glasses; a published one only from a folder that is there, it is never downloaded."""
    found = {}
    for name in names:
        if name == "sample":
            found[name] = datasets.sample()
        elif os.environ.get(datasets.DATA_FOLDER_VARIABLE):
            [found[name]] = datasets.load_published([name])
        else:
            print(f"{name} is left out: {datasets.DATA_FOLDER_VARIABLE} names no folder with the published glasses")
    return found


def summarise(measured: Record) -> Record:
    """Turn a cell's records into means (medians for the sufficient k and the seconds) with 95 % intervals."""
    row: Record = {**measured["cell"]}
    if not measured.get("records"):
        return row | {"unavailable": measured.get("unavailable", "no record")}
    records = measured["records"]
    curves = [Fidelity.from_dict(record["curve"]) for record in records]
    row["atoms"] = len(records)
    for quantity in ("necessity", "sufficiency"):
        for count in COUNTS:
            row[f"{quantity}_{count}"] = _interval([_value(curve, quantity, count) for curve in curves])
    spread = float(np.mean([curve.prediction_spread for curve in curves]))
    row["prediction_spread"] = spread
    row["insertion_area"] = _interval([curve.insertion_area for curve in curves])
    row["deletion_area"] = _interval([curve.deletion_area for curve in curves])
    row["sufficient_count"] = _interval([curve.sufficient_count() for curve in curves], "median")
    row["first_sufficient_count"] = _interval([curve.first_sufficient_count() for curve in curves], "median")
    row["share_outside"] = _interval([record["share_outside"] for record in records])
    row["seconds"] = _interval([record["seconds"] for record in records], "median")
    row["effective_number"] = _interval(
        [record["sparsity"]["effective_number"] for record in records if record["sparsity"]], "median"
    )
    for quantity in ("sufficiency", "necessity"):
        row[f"soft_{quantity}"] = _interval(
            [
                abs(record["soft"]["kept" if quantity == "sufficiency" else "removed"] - record["soft"]["original"])
                for record in records
            ]
        )
    errors = [abs(record["completeness_error"]) for record in records if record["completeness_error"] is not None]
    row["completeness_error"] = _interval(errors)
    changes = [
        abs(record["masked_prediction"] - record["curve"]["original"])
        for record in records
        if record["masked_prediction"] is not None
    ]
    row["within_tolerance"] = _interval([change <= TOLERANCE for change in changes])
    for null in records[0].get("nulls", {}):
        for count in COUNTS:
            advantages = []
            for record, curve in zip(records, curves, strict=True):
                draws = [Fidelity.from_dict(draw) for draw in record["nulls"][null]]
                advantages.append(
                    _value(curve, "necessity", count) - np.mean([_value(draw, "necessity", count) for draw in draws])
                )
            row[f"necessity_{count}_above_{null}"] = _interval(advantages)
    for direction in records[0].get("directed", {}):
        directed = [Fidelity.from_dict(record["directed"][direction]) for record in records]
        for count in COUNTS:
            row[f"necessity_{count}_of_what_{direction}"] = _interval(
                [_value(curve, "necessity", count) for curve in directed]
            )
    for over in ("seeds", "rotations"):
        stable = [record[over] for record in measured["stability"] if over in record]
        row[f"{over}_overlap"] = _interval([np.mean(one["overlap"]) for one in stable])
        row[f"{over}_correlation"] = _interval([np.mean(one["correlation"]) for one in stable])
    return row


def add_sanity(rows: Sequence[Record], planted: Record, randomised: Record) -> None:
    """Add planted-truth and randomisation figures to the rows of the cells that they belong to."""
    for row in rows:
        name = Cell(row["glass"], row["unit"], row["semantics"], row["method"]).name
        by_plant = planted.get(name, {})
        row["planted_auc"] = _interval([record["auc"] for records in by_plant.values() for record in records])
        row["planted_precision"] = _interval(
            [record["precision"] for records in by_plant.values() for record in records]
        )
        row["planted_auc_by_plant"] = {
            plant: _interval([record["auc"] for record in records]) for plant, records in by_plant.items()
        }
        last = randomised.get(name, [])
        for column in ("correlation", "given_graph", "flow_correlation", "overlap"):
            row[f"randomised_{column}"] = _interval([record[column][-1] for record in last])
        row["randomisation_cascade"] = {
            stage: float(np.mean([record["correlation"][place] for record in last]))
            for place, stage in enumerate(last[0]["stage"] if last else [])
        }


def goals(rows: Sequence[Record]) -> list[Record]:
    """Say for each goal whether it is met, on each glass and for each unit, under ``reference``."""
    found = []
    of_reference = [row for row in rows if row["semantics"] == "reference" and "unavailable" not in row]
    for glass, unit in dict.fromkeys((row["glass"], row["unit"]) for row in of_reference):
        here = {row["method"]: row for row in of_reference if (row["glass"], row["unit"]) == (glass, unit)}

        def note(goal: str, met: bool, value: str, where: str = f"{glass}, {unit}s") -> None:
            found.append({"where": where, "goal": goal, "met": bool(met), "value": value})

        for method in MUST_BEAT_DISTANCE:
            for count in (10, 50):
                if method in here and "distance" in here:
                    own, null = (here[name][f"necessity_{count}"] for name in (method, "distance"))
                    note(
                        f"{method} beats distance order in necessity at {count}, over at least {WANTED_ATOMS} atoms",
                        own["low"] > null["high"] and here[method]["atoms"] >= WANTED_ATOMS,
                        f"{_shown(own)} against {_shown(null)} eV, {here[method]['atoms']} atoms"
                        + "".join(
                            f"; removing what {way} {_shown(here[method][f'necessity_{count}_of_what_{way}'])}"
                            for way in ("raises", "lowers")
                            if f"necessity_{count}_of_what_{way}" in here[method]
                        ),
                    )
        needed = {method: row["sufficient_count"]["value"] for method, row in here.items()}
        for method in (name for name in FAITHFUL if name in here):
            others = {name: count for name, count in needed.items() if name not in FAITHFUL}
            best = min(others, key=others.__getitem__, default=method)
            note(
                f"{method} has a smaller sufficient k (median) than all methods but GNNExplainers",
                needed[method] < needed[best],
                f"{_shown(here[method]['sufficient_count'])}, {best} {_shown(here[best]['sufficient_count'])}",
            )
            within = here[method]["within_tolerance"]
            note(
                f"{method}: |masked - original| ≤ {TOLERANCE} eV on at least 95 % of atoms",
                within["value"] >= 0.95,
                f"{within['value']:.1%}",
            )
        for method, row in here.items():
            if method in NULL_METHODS:
                continue
            if row.get("seeds_overlap"):
                overlap = row["seeds_overlap"]
                note(f"{method}: seed overlap of the top 10 ≥ 9/10", overlap["value"] >= 0.9, _shown(overlap))
            if method in GRADIENT_METHODS and row.get("planted_auc"):
                worst = min(interval["value"] for interval in row["planted_auc_by_plant"].values())
                note(f"{method}: planted AUC ≥ 0.99", worst >= 0.99, f"{worst:.4f} for the worst plant")
            if row.get("randomised_correlation"):
                plain, given = row["randomised_correlation"], row["randomised_given_graph"]
                flow = row["randomised_flow_correlation"]
                note(
                    f"{method}: rank correlation with a randomised network < 0.3",
                    abs(plain["value"]) < 0.3,
                    f"{_shown(plain)}; with the graph alone {_shown(flow)}, at equal hop and flow {_shown(given)}",
                )
    return found


def show(rows: Sequence[Record]) -> None:
    """Print the table: means with 95 % intervals."""
    head = ["method", "atoms", *(f"nec {k}" for k in COUNTS), *(f"suf {k}" for k in COUNTS)]
    head += ["area ins", "area del", "suff. k", "outside", "seed", "rotation", "planted", "random.", "s"]
    group = None
    for row in rows:
        if (here := (row["glass"], row["unit"], row["semantics"])) != group:
            group = here
            print(f"\n{row['glass']}, {row['unit']}s, semantics {row['semantics']} (eV, mean and 95 % interval)")
            print(f"{head[0]:22}{head[1]:>6}" + "".join(f"{title:>18}" for title in head[2:]))
        if "unavailable" in row:
            print(f"{row['method']:22}  {row['unavailable']}")
            continue
        names = [f"{quantity}_{count}" for quantity in ("necessity", "sufficiency") for count in COUNTS]
        names += ["insertion_area", "deletion_area", "sufficient_count", "share_outside", "seeds_overlap"]
        names += ["rotations_overlap", "planted_auc", "randomised_correlation", "seconds"]
        cells = [_shown(row.get(name)) for name in names]
        print(f"{row['method']:22}{row['atoms']:>6}" + "".join(f"{cell:>18}" for cell in cells))


def _value(curve: Fidelity, quantity: str, count: int) -> float:
    """Read a curve at a count; at all units where there are fewer."""
    place = np.searchsorted(curve.count, min(count, int(curve.count[-1])))
    return float(getattr(curve, quantity)[place])


def _interval(values: Sequence[Any], statistic: Any = "mean") -> dict[str, float] | None:
    return asdict(bootstrap(values, statistic=statistic)) if len(values) else None


def _shown(interval: dict[str, float] | None) -> str:
    if interval is None:
        return "–"
    found = Interval(**interval)
    digits = 0 if found.value >= 100 else 2
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def parse() -> Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--atoms", type=int, default=WANTED_ATOMS, help="atoms of each glass, drawn with a fixed seed")
    parser.add_argument("--few", type=int, default=10, help="atoms for stability, planted truth and randomisation")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--semantics", nargs="+", default=["reference", "zero", "removal"], choices=MASK_SEMANTICS)
    parser.add_argument("--units", nargs="+", default=["edge", "atom"])
    parser.add_argument("--glasses", nargs="+", default=list(GLASSES), choices=GLASSES)
    parser.add_argument("--seconds", type=float, default=600, help="time for a cell; the table says how many atoms fit")
    parser.add_argument("--records", type=Path, default=Path("out/benchmarks/explainer_quality"))
    return parser.parse_args()


def main() -> None:
    """Measure, print the tables, write JSON."""
    arguments = parse()
    predictor = Predictor.load(device="cpu")
    rows: list[Record] = []
    for name, glass in glasses(arguments.glasses).items():
        prepared = prepare(predictor, glass)
        atoms = shuffled_atoms(prepared)[: arguments.atoms]
        few = min(arguments.few, arguments.atoms)
        rotated = turned(prepared)
        book = Book(arguments.records, prepared, arguments.seconds)
        here = []
        for unit in arguments.units:
            for semantics in arguments.semantics:
                for method in arguments.methods:
                    cell = Cell(name, unit, semantics, method)
                    print(f"… {cell.name}", flush=True)
                    here.append(summarise(measure(book, cell, atoms, few, rotated if semantics == "reference" else [])))
        checked = [
            Cell(name, row["unit"], row["semantics"], row["method"])
            for row in here
            if name == "sample" and row["semantics"] == "reference"
            # These checks explain an atom some twenty times.
            if "unavailable" not in row and row["seconds"]["value"] < arguments.seconds / 10
        ]
        planted = measure_planted(arguments.records, prepared, checked, few, arguments.seconds) if checked else {}
        randomised = (
            measure_randomised(arguments.records, prepared, checked, atoms[:few], arguments.seconds) if checked else {}
        )
        add_sanity(here, planted, randomised)
        rows += here
    show(rows)
    found = goals(rows)
    print()
    for goal in found:
        print(f"{'met    ' if goal['met'] else 'NOT MET'}  {goal['where']}: {goal['goal']}: {goal['value']}")
    print(machine())
    write_json(arguments.json, {"machine": machine(), "atoms": arguments.atoms, "rows": rows, "goals": found})


if __name__ == "__main__":
    main()
