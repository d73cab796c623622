"""PGExplainer on atoms that it was not trained on: fidelity against nearest first, and seconds an atom.

It is trained on atoms of the sample glass, and of published training glasses where they are at hand, all with the
sample as reference. Held out are other atoms of the sample, and, where they are at hand, atoms of a published training
glass that it has not seen.

Run ``python benchmarks/pg_explainer.py --atoms 20 --held-out 5 --passes 2`` for a first look.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import torch
from _common import argument_parser, machine, write_json

from symgnn_explain import datasets
from symgnn_explain.explain import METHODS, PGTrainingSettings, PreparedGlass, prepare, train_pg_explainer
from symgnn_explain.explain.fidelity.intervals import mean_interval
from symgnn_explain.explain.fidelity.measure import fidelity
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import BARRIER
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import Watch

COUNTS = (10, 50, 300)
COLUMNS = tuple(f"{quantity}_{count}" for quantity in ("necessity", "sufficiency") for count in COUNTS)
FAMILY = ("train2", "train3")
UNSEEN = "train5"


def measure(prepared: PreparedGlass, atoms: list[int], methods: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Necessity and sufficiency (eV) of each method over some atoms, with 95 % intervals over atoms."""
    found: dict[str, list[list[float]]] = {method: [] for method in methods}
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    for atom in atoms:
        prediction = prepared.masked_prediction(atom, semantics="reference", unit="edge")
        for method, settings in methods.items():
            configured = METHODS[method].configure(**settings)
            started = time.perf_counter()
            scores = METHODS[method].run(prediction, configured, Watch())
            seconds[method].append(time.perf_counter() - started)
            checked = fidelity(prediction, np.argsort(-np.abs(scores.score), kind="stable"), COUNTS)
            change = np.nan if scores.masked_prediction is None else scores.masked_prediction - checked.original
            found[method].append([*checked.necessity, *checked.sufficiency, change])
    figures = {}
    for method, rows in found.items():
        columns = np.array(rows).T
        row: dict[str, Any] = {}
        for name, values in zip(COLUMNS, columns, strict=False):
            interval = mean_interval(values)
            row[name] = [interval.value, interval.low, interval.high]
        change = columns[-1]
        if np.isfinite(change).all():
            row["rms_masked_change"] = float(np.sqrt((change**2).mean()))
            row["within_tolerance"] = float((np.abs(change) <= BARRIER.required_tolerance).mean())
        figures[method] = row | {"seconds": float(np.median(seconds[method]))}
    return figures


def main() -> None:
    """Print the tables, and write them."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--atoms", type=int, default=50, help="training atoms in each glass")
    parser.add_argument("--held-out", type=int, default=50, help="atoms that are explained in each glass")
    parser.add_argument("--passes", type=int, default=10)
    arguments = parser.parse_args()
    predictor, sample = Predictor.load(), datasets.sample()
    shuffled = np.random.default_rng(0).permutation(len(sample))
    atoms, held_out = shuffled[: arguments.atoms].tolist(), shuffled[-arguments.held_out :].tolist()
    here = bool(os.environ.get(datasets.DATA_FOLDER_VARIABLE))
    others = datasets.load_published([*FAMILY, UNSEEN]) if here else []
    family = [prepare(predictor, glass, reference=sample) for glass in (sample, *others[: len(FAMILY)])]
    started = time.perf_counter()
    explainer = train_pg_explainer(family, atoms, settings=PGTrainingSettings(passes=arguments.passes))
    figures: dict[str, Any] = {
        "machine": machine(predictor.device),
        "training_glasses": list(explainer.card["glasses"]),
        "training_seconds": time.perf_counter() - started,
        "learning_curve": explainer.card["learning_curve"],
    }
    tested = {"sample": family[0]}
    if here:
        tested[UNSEEN] = prepare(predictor, others[-1], reference=sample)
    methods = {"pg_explainer": {"explainer": explainer}, "integrated_gradients": {}, "attention": {}, "distance": {}}
    for name, prepared in tested.items():
        _ = prepared.features  # computed once a glass, not once an atom
        with one_thread():
            figures[name] = measure(prepared, held_out, methods)
        print(f"\n{name}: {len(held_out)} atoms that were not trained on, semantics 'reference', edges")
        print(f"  {'method':21} {'ms':>6}  " + "  ".join(f"{column:>22}" for column in COLUMNS))
        for method, row in figures[name].items():
            cells = [f"{row[column][0]:7.3f} [{row[column][1]:.3f}, {row[column][2]:.3f}]" for column in COLUMNS]
            print(f"  {method:21} {row['seconds'] * 1e3:6.1f}  " + "  ".join(cells))
        row = figures[name]["pg_explainer"]
        share = f"{row['within_tolerance']:.0%} within {BARRIER.required_tolerance} eV"
        print(f"  prediction under the mask: off by {row['rms_masked_change']:.3f} eV (root mean square), {share}")
    write_json(arguments.json, figures)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
