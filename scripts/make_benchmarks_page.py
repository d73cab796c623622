"""Write docs/benchmarks.md, and the numbers of other pages, from the figures that the benchmarks measured.

``make bench`` runs every script of ``benchmarks/`` and keeps its JSON in ``docs/results``; this script only arranges
what stands there. ``--check`` changes nothing and fails where a page is not what the figures say.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from _quoted_numbers import numbers
from _results import CARD, NULLS, ROOT, Figures, between, load, seconds, table, with_interval

PAGE = ROOT / "docs" / "benchmarks.md"
WITH_NUMBERS = (
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("physical_truth", "trajectories", "what_if")),
)

NUMBER = re.compile(r"<!-- number: (\w+) -->.*?<!-- /number -->")
ALONG_AXES = "Displacements are standard deviations along each axis."
NOT_MEASURED = "*Not measured on this version yet: `make bench`.*"


def accuracy(card: Figures) -> str:
    """Return what the card of the shipped weights says."""
    protocol = card["protocol"]
    coverage = protocol["calibration"]["coverage"]
    rows = [
        ["Pearson r within a held-out glass, one network", f"{protocol['pearson']['mean']:.3f}"],
        ["… three networks together", f"{protocol['pearson_together']:.3f}"],
        *(
            [f"known barriers inside the {level} % interval", f"{100 * share:.1f} %"]
            for level, share in coverage.items()
        ),
    ]
    folds = "; ".join(", ".join(fold) for fold in protocol["folds"])
    return (
        table(["", "measured"], rows) + f"\n\nFive folds of related glasses held out together ({folds}), "
        f"{len(protocol['seeds'])} seeds, weights `{card['weights_sha256'][:12]}`. Everything was chosen on these "
        "folds; the published test glasses were not read. The paper reports 0.786 on them, with the epoch chosen there."
    )


def explainer_speed(figures: Figures) -> str:
    """Return the speed of one epoch of GNNExplainer."""
    networks = [figures, figures["symgnn"]] if "symgnn" in figures else [figures]
    rows = [
        [f"one epoch, {side}", *(seconds(float(np.median(each["seconds_an_epoch"][side]))) for each in networks)]
        for side in figures["seconds_an_epoch"]
    ]
    for name, key, form in (
        ("times as fast as PyG on the whole graph", "speedup_full", "{:.0f}"),
        ("times as fast as PyG on the k-hop subgraph", "speedup_khop", "{:.0f}"),
        ("500 epochs, in plain predictions of the glass", "forward_ratio", "{:.1f}"),
        ("largest difference of the output (eV)", "max_abs_output_diff", "{:.1e}"),
        ("largest relative difference of the gradient", "rel_grad_diff", "{:.1e}"),
    ):
        rows.append([name, *(form.format(each[key]) for each in networks)])
    rows.append(["500 epochs", *(seconds(each["seconds_500_epochs"]) for each in networks)])
    if all("times_floor" in each for each in networks):
        rows.append(["… times what their arithmetic takes", *(f"{each['times_floor']:.1f}" for each in networks)])
    return table(["3 000 atoms", "published architecture", "`symgnn`, which ships"][: 1 + len(networks)], rows)


def inference(figures: Figures) -> str:
    """Return the time of a prediction."""
    rows = [[row["atoms"], seconds(row["seconds"])] for row in figures["rows"] if row["network"] == "shipped"]
    return table(["atoms", "shipped predictor, neighbour list included"], rows)


def inference_scaling(figures: Figures) -> str:
    """Return time and memory of large glasses."""
    sizes = {"3000": "3 000 atoms", "24000": "24 000 atoms", "1m": "a million atoms"}
    rows = [
        *(
            [said, f"{figures[f'us_per_atom_{name}']:.0f} µs an atom"]
            for name, said in sizes.items()
            if f"us_per_atom_{name}" in figures
        ),
        ["exponent of the time with the number of atoms", f"{figures['exponent']:.2f}"],
        ["largest difference between blocks and the whole (eV)", f"{figures['chunk_max_diff']:.1e}"],
        *([f"peak memory ({name})", f"{value:.1f} GB"] for name, value in figures.items() if name.startswith("peak")),
    ]
    return table(["", "measured"], rows)


def structure_explained(figures: Figures) -> str:
    """Return how exact and complete explanations over pairs are, and what messages alone would miss."""
    rows = [
        [
            "largest difference to the plain network with the same weights on pairs",
            f"{figures['max_abs_output_diff']:.0e} eV",
        ],
        ["the same of the gradient, relative", f"{figures['rel_grad_diff']:.0e}"],
        [
            "what contributions miss of the prediction minus its baseline",
            f"{1000 * figures['completeness_ev']:.2f} meV",
        ],
        ["an atom explained, spread over members included", seconds(figures["seconds_default"])],
        ["share of contributions from atoms beyond 5 Å", f"{figures['share_beyond_5']:.0%}"],
        ["share that masks on messages alone miss", f"{figures['share_missed_by_messages']:.0%}"],
    ]
    if "interactions_seconds" in figures:
        units = f"{figures['interactions_units']} units"
        rows += [
            [f"all coalitions of {units}: Shapley interactions", seconds(figures["interactions_seconds"])],
            ["what Shapley values miss of the same", f"{1000 * figures['interactions_completeness_ev']:.0e} meV"],
            ["variance over coalitions that is of single neighbours", f"{figures['variance_of_one_body']:.0%}"],
            ["… of two together", f"{figures['variance_of_two_bodies']:.0%}"],
        ]
    return table([f"Integrated Gradients over pairs, {figures['atoms']} atoms", "measured"], rows)


def physical_truth(figures: Figures) -> str:
    """Return how far explanations of a network that learned energies agree with the potential."""
    found = figures["spearman_by_method"]
    kinds = dict.fromkeys(name.rsplit(" ", 1)[0] for name in found if len(name.split()) == 3)
    rows = []
    for kind in sorted(kinds, key=lambda kind: -found[f"{kind} zero"]["mean"]):
        method, unit = kind.split()
        both = (found[f"{kind} {semantics}"] for semantics in ("zero", "reference"))
        rows.append([f"`{method}`", unit, found[f"{kind} zero"]["atoms"], *map(with_interval, both)])
    shown = table(["method", "unit", "atoms", "`zero`", "`reference`"], rows)
    return (
        f"{shown}\n\nSpearman's rank correlation with the effect of the same intervention in the potential. The "
        f"network learned the energy of every atom with r = {figures['network_r']:.5f}. "
        "[Physical truth](physical_truth.md) says what was asked."
    )


def single_atom_changes(figures: Figures) -> str:
    """Return how much of what single atoms do is done by the ten that explanations name."""
    rows = [
        [name, f"{row['share']:.2f}", "{:.2f} to {:.2f}".format(*row["interval"])]
        for name, row in sorted(figures.items(), key=lambda item: -_share(item[1]))
        if isinstance(row, dict)
    ]
    shown = table(["ten atoms by", "share of the effect of the ten that matter most", "95 %"], rows)
    return f"{shown}\n\nEach of {figures['moved_atoms']} atoms around {figures['targets']} targets moved by 0.05 Å."


def _share(row: Any) -> float:
    return float(row["share"]) if isinstance(row, dict) else 0.0


def graph(figures: Figures) -> str:
    """Return the time of the neighbour list."""
    rows = []
    for row in figures["rows"]:
        own, ase = float(np.median(row["symgnn_explain_s"])), float(np.median(row["ase_s"]))
        rows.append([row["atoms"], row["edges"], seconds(own), seconds(ase), f"{ase / own:.1f}"])
    return table(["atoms", "edges within 5 Å", "symgnn_explain", "ASE", "times as fast"], rows)


def topology_speed(figures: Figures) -> str:
    """Return the time of persistence and optimal cycles."""
    rows = [["symgnn_explain", seconds(figures["seconds_ours"])]]
    if "seconds_homcloud" in figures:
        rows += [
            ["HomCloud", seconds(figures["seconds_homcloud"])],
            ["times as fast", f"{figures['speedup']:.0f}"],
            ["same persistence pairs", f"{figures['same_pairs']:.2%}"],
            ["same lengths of cycles", f"{figures['same_cycle_length']:.2%}"],
        ]
    return table([f"{figures['atoms']} atoms, {figures['rings']} optimal 1-cycles", "measured"], rows)


def saddle_search(figures: Figures) -> str:
    """Return the cost of a saddle point."""
    rows = [
        ["activation-relaxation, CPU-seconds a connected saddle", f"{figures['cpu_s_per_saddle_artn']:.2f}"],
        ["ASE's dimer, CPU-seconds a connected saddle", f"{figures['cpu_s_per_saddle_dimer']:.2f}"],
        ["searches that end in a connected saddle", f"{figures['success_rate']:.0%}"],
    ]
    return table([f"3 000 atoms, {figures['atoms']} × {figures['searches']} searches", "measured"], rows)


def explorer_latency(figures: Figures) -> str:
    """Return how long a person waits."""
    goals = figures["goals"]
    rows = [
        [name, f"{value:.2f}", goals.get(name, "")]
        for name, value in figures.items()
        if isinstance(value, float) and (name in goals or "busy" in name or "_1m_" in name)
    ]
    return table(["software WebGL; 3 000 atoms where none are named", "median", "goal"], rows)


def transfer(figures: Figures) -> str:
    """Return the accuracy on glasses that this project labelled."""
    rows = []
    for name, row in figures.items():
        if isinstance(row, dict):
            low, high = row["interval"]
            rows.append(
                [name, row["atoms"], f"{row['pearson_r']:.2f} ({low:.2f} to {high:.2f})", f"{row['noise_ceiling']:.2f}"]
            )
    return table(["glass", "atoms", "r (95 %)", "what label noise allows"], rows)


def domain(figures: Figures) -> str:
    """Return how well what training did not cover is told apart."""
    rows = [[name, f"{row['auroc']:.3f}", f"{row['lowest']:.3f}"] for name, row in figures["auroc"].items()]
    shown = table(["structure, against atoms of glasses held out", "AUROC", "worst fold"], rows)
    return (
        f"{shown}\n\nOf the atoms of held-out glasses {figures['held_out_flagged']:.1%} lie beyond the edge; the "
        f"score takes {figures['cost_ratio']:.1%} of the time of a prediction. {ALONG_AXES}"
    )


def robustness(figures: Figures) -> str:
    """Return what displacements and strains change, before and after relaxation."""
    rows = [
        [name, *(f"{part['mean_moves']:+.3f} eV, {part['pearson']:.4f}" for part in (row, row["relaxed"]))]
        for name, row in figures["disturbed"].items()
    ]
    shown = table(["sample glass", "mean moves, r with the undisturbed", "after relaxation"], rows)
    return f"{shown}\n\n{ALONG_AXES}"


def what_if(figures: Figures) -> str:
    """Return how quickly edits are predicted, and whether saddle searches agree with what they predict."""
    rows = [
        ["an edit, predictions of all atoms: processor time", seconds(figures["edit_cpu_seconds"])],
        [
            "largest difference to a prediction of the whole, within the domain",
            f"{figures['max_difference_inside_domain_ev']:.0e} eV",
        ],
    ]
    if "n_verified" in figures:
        rows += [
            ["relaxed edits verified", figures["n_verified"]],
            ["of which saddle searches confirm the sign", figures["n_confirmed"]],
        ]
        shares = (
            ("", "sign agreement"),
            ("_raising", "… where a rise is predicted"),
            ("_lowering", "… where a fall is predicted"),
        )
        rows += [
            [said, between(figures, f"sign_agreement{name}")]
            for name, said in shares
            if f"sign_agreement{name}" in figures
        ]
        rows += [
            ["correlation of predicted and computed change", between(figures, "correlation")],
            ["computed change for 1 eV of predicted change (eV)", between(figures, "slope")],
        ]
    return table([f"{figures['n_atoms']} atoms", "measured (95 %)"], rows)


def trajectory(figures: Figures) -> str:
    """Return whether low barriers say what rearranges next, and what predicting a trajectory costs."""
    horizons = figures["horizons"]
    head = ["rearranged within", *(f"{(row['frames'] - 1) * figures['between_frames']:g} ps" for row in horizons)]
    rows = [["atoms", *(row["n_rearranged"] for row in horizons)]]
    for name, said in {"predicted": "**low predicted barrier**", **NULLS}.items():
        rows.append([f"AUC, {said}", *(between(row, name) for row in horizons)])
        if name != "species":
            rows.append(["… among atoms of one species", *(between(row, f"{name}_within_species") for row in horizons)])
    costs = [
        ["a step of the slider: a frame read and predicted, processor time", seconds(figures["slider_step_cpu_s"])],
        ["… `symgnn-explain predict --frames`, a frame", seconds(figures["predict_cpu_s_a_frame"])],
        [f"its peak memory, {figures['few_frames']} frames", f"{figures['peak_mb_few_frames']:.0f} MB"],
        [f"its peak memory, {figures['frames']} frames", f"{figures['peak_mb_all_frames']:.0f} MB"],
    ]
    return table(head, rows) + "\n\n" + table([f"{figures['n_atoms']} atoms a frame", "measured"], costs)


def population(figures: Figures) -> str:
    """Return the cost of explaining many atoms."""
    rows = [[workers, seconds(value)] for workers, value in figures["seconds_an_atom"].items()]
    same = "are the same" if figures["identical_bytes"] else "differ"
    return (
        table(["workers", f"an atom ({figures['method']})"], rows)
        + f"\n\nThe records of all runs {same}, byte for byte."
    )


def local_order(figures: Figures) -> str:
    """Return the cost of order parameters and networks."""
    rows = [[name, seconds(value)] for name, value in figures["seconds"].items()]
    return table([f"{figures['n_atoms']} atoms", "measured"], rows)


def training_speed(figures: Figures) -> str:
    """Return what a step costs, compiled and by PyTorch's own operations."""
    rows = [
        [row["network"], seconds(row["pytorch_s"]), seconds(row["compiled_s"]), f"{row['ratio']:.1f}"]
        for row in figures["rows"]
    ]
    return table([f"{figures['atoms']} atoms", "PyTorch", "compiled", "ratio"], rows)


def symmetrization(figures: Figures) -> str:
    """Return what symmetrization is worth, learning curves, and where the learned distributions went."""
    ways = {
        "learned": "**symmetrized, learned distribution** (angular central Gaussian)",
        "von_mises": "symmetrized, learned von Mises angles, as published",
        "haar": "symmetrized, Haar measure",
        "octahedral": "symmetrized, octahedral group",
        "icosahedral": "symmetrized, icosahedral group",
        "augmented": "augmented: each glass is turned in each step",
        "neither": "neither",
    }
    rows, curves = [], []
    for row in figures["rows"]:
        each = ", ".join(f"{r:.3f}" for r in row["r_by_seed"].values())
        several = len(row["r_by_seed"]) > 1
        mean = f"{row['r']:.3f} ({row['low']:.3f} to {row['high']:.3f})" if several else f"{row['r']:.3f}"
        together = f"{row['r_together']:.3f}" if several else ""
        published = "" if row["published_r"] is None else f"{row['published_r']:.3f}"
        rows.append([ways[row["variant"]], mean, each, together, published, f"{row['invariance_error']:.3f}"])
        curves.append([row["variant"].replace("_", " "), *(f"{r:.2f}" for epoch, r in row["curve"] if not epoch % 20)])
    epochs = [epoch for epoch, _ in figures["rows"][0]["curve"] if not epoch % 20]
    head = ["", "r (95 % of the mean)", "by seed", "together", "paper", "invariance error (eV)"]
    text = table(head, rows) + "\n\nLearning curves, r after so many epochs, mean over seeds:\n\n"
    text += table(["", *epochs], curves)
    moved = next((row["eigenvalues"] for row in figures["rows"] if row["eigenvalues"]), [])
    for name, part in (("rotations", 0), ("reflections", 1)) if moved else ():
        by_seed = "; ".join(", ".join(f"{value:.2f}" for value in seed[part]) for seed in moved)
        text += f"\n\nEigenvalues of the learned covariance of {name}, seed by seed (all 1: Haar): {by_seed}."
    return text


SECTIONS: tuple[tuple[str, str, Callable[[Figures], str]], ...] = (
    ("explainer_speed", "GNNExplainer, exact and fast", explainer_speed),
    ("structure_explained", "All that atoms learn from each other, explained", structure_explained),
    ("physical_truth", "Explanations held against exact physics", physical_truth),
    ("single_atom_changes", "Do the atoms that an explanation names matter?", single_atom_changes),
    ("inference", "Predicting a glass", inference),
    ("inference_scaling", "Predicting a large glass", inference_scaling),
    ("training_speed", "A training step on a CPU", training_speed),
    ("symmetrization", "What symmetrization is worth", symmetrization),
    ("transfer", "Accuracy on glasses that this project labelled", transfer),
    ("domain", "Domain score: is this structure like those of training?", domain),
    ("robustness", "What displacements and strain do to predictions", robustness),
    ("explorer_latency", "The explorer: how long a person waits (s)", explorer_latency),
    ("what_if", "Edits, and what saddle searches say of them", what_if),
    ("trajectory", "A trajectory: what rearranges next", trajectory),
    ("population", "Explaining many atoms", population),
    ("graph", "Neighbour list", graph),
    ("topology_speed", "Persistent homology and optimal cycles", topology_speed),
    ("local_order", "Order parameters and networks", local_order),
    ("saddle_search", "Saddle points", saddle_search),
)
"""Script, heading and how its figures are shown."""

HEAD = """# Benchmarks

Each section is one script in `benchmarks/`. `make bench` measures again and keeps the figures in `docs/results`;
`make figures` writes this page from them, so no number here is typed. Times are
medians; machines differ, so quote ratios. Accuracy comes from the card of the shipped
weights. [Experiments](experiments.md) holds what was tried and which networks it was compared with,
[Quality of explanations](explainer_quality.md) what the explanations are worth.
"""


def page() -> str:
    """Return the page of benchmarks."""
    card = json.loads(CARD.read_text(encoding="utf-8"))
    parts = [HEAD, "## Accuracy of the shipped predictor\n\n" + accuracy(card) + "\n"]
    for name, heading, show in SECTIONS:
        figures = load(name)
        shown = NOT_MEASURED if figures is None else show(figures)
        machine = f"\n\nMeasured on: {figures['machine']}." if figures and "machine" in figures else ""
        parts.append(f"## {heading}\n\n`benchmarks/{name}.py`\n\n{shown}{machine}\n")
    return "\n".join(parts)


def with_numbers(text: str) -> str:
    """Return a page with its numbers put in."""
    known = numbers()
    return NUMBER.sub(
        lambda match: f"<!-- number: {match[1]} -->{known.get(match[1], 'not measured yet')}<!-- /number -->", text
    )


def main() -> int:
    """Write the pages, or say which of them differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page is out of date")
    arguments = parser.parse_args()
    wanted = {PAGE: page()} | {path: with_numbers(path.read_text(encoding="utf-8")) for path in WITH_NUMBERS}
    differing = [
        path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if arguments.check:
        for path in differing:
            print(f"{path.relative_to(ROOT)} is not what docs/results says: run make figures.")
        return bool(differing)
    for path in differing:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
