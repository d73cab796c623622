"""How good explanations are: fidelity, sparsity, stability and sanity of every method, against null rankings.

A table over methods and units (pairs, atoms) on the sample glass; other units, mask semantics and the published glass
train2, where it is at hand, by options. It takes a quarter of an hour of one core. Records of single atoms are kept, so
an interrupted run goes on where it stopped; those of other weights, settings or glasses are made anew, but after a
change of a method's code the folder has to be removed.
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
    Book,
    Cell,
    Record,
    measure,
    measure_planted,
    measure_randomised,
    shuffled_atoms,
    turned,
)
from _quality_goals import WANTED_ATOMS, goals
from _quality_table import COUNTS, document

from symgnn_explain import datasets
from symgnn_explain.explain import METHODS, prepare
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.fidelity.intervals import mean_interval, median_interval
from symgnn_explain.explain.fidelity.measure import Fidelity
from symgnn_explain.models.checkpoint import weights_sha256
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import BARRIER
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.structure.glass import Glass

GLASSES = ("sample", "train2")
SLOW_OVER_PAIRS = ("gnnexplainer", "gnnexplainer_published", "gnnexplainer_nested", "feature_ablation")
"""Over twenty thousand pairs they take a minute an atom and more: ``physical_truth.py`` has them on few atoms."""


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
    if "unavailable" in measured:
        return row | {"unavailable": measured["unavailable"]}
    records = measured["records"]
    curves = [Fidelity.from_dict(record["curve"]) for record in records]
    row["atoms"] = len(records)
    for quantity in ("necessity", "sufficiency"):
        for count in COUNTS:
            row[f"{quantity}_{count}"] = _interval([_value(curve, quantity, count) for curve in curves])
    row["prediction_spread"] = float(np.mean([curve.prediction_spread for curve in curves]))
    row["whole_effect"] = _interval([abs(curve.original - curve.baseline) for curve in curves])
    row["insertion_area"] = _interval([curve.insertion_area for curve in curves])
    row["deletion_area"] = _interval([curve.deletion_area for curve in curves])
    row["sufficient_count"] = _interval([curve.sufficient_count() for curve in curves], "median")
    row["first_sufficient_count"] = _interval([_first_sufficient(curve) for curve in curves], "median")
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
    row["within_tolerance"] = _interval([change <= BARRIER.required_tolerance for change in changes])
    for null in records[0].get("nulls", {}):
        for count in COUNTS:
            advantages = []
            for record, curve in zip(records, curves, strict=True):
                draws = [Fidelity.from_dict(draw) for draw in record["nulls"][null]]
                advantages.append(
                    _value(curve, "necessity", count) - np.mean([_value(draw, "necessity", count) for draw in draws])
                )
            row[f"necessity_{count}_above_{null}"] = _interval(advantages)
    if "directed" in records[0]:
        supporting = [
            Fidelity.from_dict(record["directed"]["raises" if curve.original > curve.baseline else "lowers"])
            for record, curve in zip(records, curves, strict=True)
        ]
        for count in COUNTS:
            row[f"supporting_{count}"] = _interval([_value(curve, "necessity", count) for curve in supporting])
    for over in ("seeds", "rotations"):
        stable = [record[over] for record in measured["stability"] if over in record]
        row[f"{over}_overlap"] = _interval([np.mean(one["overlap"]) for one in stable])
        row[f"{over}_correlation"] = _interval([np.mean(one["correlation"]) for one in stable])
    return row


def add_advantage(rows: Sequence[Record], measured: Sequence[Record]) -> None:
    """Add by how much each method's necessity is above that of distance order, atom by atom (paired)."""
    of_cell = {}
    for cell in measured:
        place = tuple(cell["cell"][name] for name in ("glass", "unit", "semantics"))
        curves = {record["atom"]: Fidelity.from_dict(record["curve"]) for record in cell.get("records", [])}
        of_cell[place, cell["cell"]["method"]] = curves
    for row in rows:
        place = row["glass"], row["unit"], row["semantics"]
        own, null = of_cell[place, row["method"]], of_cell.get((place, "distance"), {})
        for count in COUNTS:
            advantages = [
                _value(own[atom], "necessity", count) - _value(null[atom], "necessity", count)
                for atom in own.keys() & null.keys()
            ]
            row[f"necessity_{count}_above_distance"] = _interval(advantages)


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


def _value(curve: Fidelity, quantity: str, count: int) -> float:
    """Read a curve at a count; at all units where there are fewer."""
    place = np.searchsorted(curve.count, min(count, int(curve.count[-1])))
    return float(getattr(curve, quantity)[place])


def _first_sufficient(curve: Fidelity) -> int | None:
    """Smallest count at which keeping suffices, whatever happens at larger ones; None where none does."""
    suffices = curve.sufficiency <= curve.quantity.required_tolerance
    return int(curve.count[suffices.argmax()]) if suffices.any() else None


def _interval(values: Sequence[Any], statistic: Any = "mean") -> dict[str, float] | None:
    of = mean_interval if statistic == "mean" else median_interval
    return asdict(of(values)) if len(values) else None


def parse() -> Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--atoms", type=int, default=WANTED_ATOMS, help="atoms of each glass, drawn with a fixed seed")
    parser.add_argument("--atoms-elsewhere", type=int, default=12, help="atoms under other semantics than 'reference'")
    parser.add_argument("--few", type=int, default=5, help="atoms for stability, planted truth and randomisation")
    parser.add_argument(
        "--methods", nargs="+", default=list(METHODS), choices=list(METHODS), help="slow ones are left out over pairs"
    )
    parser.add_argument("--semantics", nargs="+", default=["reference"], choices=MASK_SEMANTICS)
    parser.add_argument("--units", nargs="+", default=["pair", "atom"])
    parser.add_argument("--glasses", nargs="+", default=["sample"], choices=GLASSES)
    parser.add_argument("--seconds", type=float, default=35, help="of CPU for a cell; the table says what fits")
    parser.add_argument("--records", type=Path, default=Path("out/benchmarks/explainer_quality"))
    parser.add_argument("--recorded", action="store_true", help="compute nothing: the table of what is recorded")
    parser.add_argument("--doc", type=Path, metavar="FILE", help="write goals and tables there as Markdown")
    return parser.parse_args()


def main() -> None:
    """Measure, print goals and tables, write Markdown and JSON."""
    arguments = parse()
    predictor = Predictor.load(device="cpu")
    rows: list[Record] = []
    for name, glass in glasses(arguments.glasses).items():
        prepared = prepare(predictor, glass)
        atoms = shuffled_atoms(prepared)[: arguments.atoms]
        few = min(arguments.few, arguments.atoms)
        rotated = turned(prepared)
        book = Book(arguments.records, prepared, arguments.seconds, compute=not arguments.recorded)
        measured = []
        for semantics in arguments.semantics:
            mine = atoms if semantics == "reference" else atoms[: arguments.atoms_elsewhere]
            for unit in arguments.units:
                for method in arguments.methods:
                    if unit == "pair" and method in SLOW_OVER_PAIRS:
                        continue
                    cell = Cell(name, unit, semantics, method)
                    print(f"… {cell.name}", flush=True)
                    measured.append(measure(book, cell, mine, few, rotated if semantics == "reference" else []))
        here = [summarise(cell) for cell in measured]
        add_advantage(here, measured)
        checked = [
            Cell(name, row["unit"], row["semantics"], row["method"])
            for row in here
            if name == "sample" and row["semantics"] == "reference"
            # These checks explain an atom some twenty times.
            if "unavailable" not in row and row["seconds"]["value"] < arguments.seconds / 10
        ]
        planted = measure_planted(book, checked, few) if checked else {}
        add_sanity(here, planted, measure_randomised(book, checked, atoms[:few]) if checked else {})
        rows += here
    found = goals(rows)
    text = document(rows, found, machine(), weights_sha256(predictor.model))
    print(text)
    if arguments.doc is not None:
        write_atomically(arguments.doc, text.encode())
    write_json(arguments.json, {"machine": machine(), "atoms": arguments.atoms, "rows": rows, "goals": found})


if __name__ == "__main__":
    main()
