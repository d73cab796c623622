"""The quality table as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from _quality_goals import Row, shown

COUNTS = (10, 50, 300, 1000)

INTRODUCTION = """# How good are the explanations?

Written by `python benchmarks/explainer_quality.py --doc docs/explainer_quality.md`. Means over atoms, or medians where
it says so, with 95 % intervals over atoms; changes of predictions in eV.

- *necessity k*: |change| when the k most important units are masked: the larger the better. *supporting k*: the same
  for the k largest contributions in the direction in which the prediction differs from that with everything masked; for
  signed methods.
- *sufficiency k*: |change| when only they are kept: the smaller the better. *suff. k*: median k from which on keeping
  changes the prediction by at most 0.05 eV; *first k*: the smallest such k, whatever happens at larger ones.
- *area*: mean of sufficiency (insertion, the smaller the better) and necessity (deletion, the larger the better) over
  log k.
- *outside*: share of the masked predictions outside the range of real ones.
- *seeds*, *rotations*: share of the ten most important units that two seeds, or a rotated glass, have in common.
- *planted*: ROC-AUC where the important edges are known by construction. *randomised*: rank correlation with the
  explanation of a network with random weights.
- *s*: CPU seconds an atom on one core, median.

Costly methods are measured on fewer atoms or not at all, and other semantics than `reference` on fewer too: *atoms*
says on how many.
"""


def document(rows: Sequence[Row], found: Sequence[Mapping[str, Any]], machine: str, weights: str) -> str:
    """Write goals and tables, one for each glass, unit and semantics."""
    lines = [INTRODUCTION, f"Weights `{weights[:12]}`; {machine}.", "", "## Goals, under `reference`", ""]
    lines += ["| | where | goal | measured |", "|---|---|---|---|"]
    for goal in found:
        verdict = "met" if goal["met"] else "**not met**"
        lines.append(f"| {verdict} | {goal['where']} | {_escaped(goal['goal'])} | {_escaped(goal['value'])} |")
    reasons: dict[str, list[str]] = {}
    for goal in found:
        if goal["why"]:
            reasons.setdefault(goal["why"], []).append(f"{goal['goal']} ({goal['where']})")
    if reasons:
        lines += ["", "Why goals are missed:", ""]
        lines += [f"- {why} This holds for: {'; '.join(which)}." for why, which in reasons.items()]
    for group in dict.fromkeys((row["glass"], row["unit"], row["semantics"]) for row in rows):
        here = [row for row in rows if (row["glass"], row["unit"], row["semantics"]) == group]
        glass, unit, semantics = group
        whole = next((row["whole_effect"] for row in here if "whole_effect" in row), None)
        lines += ["", f"## {glass}, {unit}s, `{semantics}`", "", f"Everything masked: {shown(whole)} eV.", ""]
        lines += _table(here)
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    columns = {"atoms": "atoms"}
    columns |= {f"necessity {k}": f"necessity_{k}" for k in COUNTS}
    columns |= {f"supporting {k}": f"supporting_{k}" for k in (10, 50)}
    columns |= {f"sufficiency {k}": f"sufficiency_{k}" for k in COUNTS}
    columns |= {"area insertion": "insertion_area", "area deletion": "deletion_area"}
    columns |= {"suff. k": "sufficient_count", "first k": "first_sufficient_count", "outside": "share_outside"}
    columns |= {"seeds": "seeds_overlap", "rotations": "rotations_overlap", "planted": "planted_auc"}
    columns |= {"randomised": "randomised_correlation", "s": "seconds"}
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    absent = []
    for row in rows:
        if "unavailable" in row:
            absent.append(f"- {row['method']}: {row['unavailable']}")
            continue
        cells = [str(row[name]) if name == "atoms" else shown(row.get(name)) for name in columns.values()]
        lines.append(f"| {row['method']} | " + " | ".join(cells) + " |")
    return [*lines, *(["", *absent] if absent else [])]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
