"""What explanations should achieve, and whether they do: read from the rows of the quality table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgnn_explain.explain.fidelity.intervals import Interval
from symgnn_explain.models.target import BARRIER

Row = Mapping[str, Any]

FAITHFUL = ("gnnexplainer", "gnnexplainer_nested")
GRADIENT_METHODS = ("saliency", "input_gradient", "integrated_gradients")
MUST_BEAT_DISTANCE = ("integrated_gradients", *FAITHFUL)
NULL_METHODS = ("distance", "random")
WANTED_ATOMS = 50

SOFT_MASK = (
    "A soft mask balances what it keeps: its best units kept whole overshoot until those that oppose them are "
    "kept too. gnnexplainer_nested is the preset that learns to be cut off."
)
SAMPLED = "Its scores are random estimates; more samples bring seeds together, at their price in time."
PUBLISHED_START = (
    "It starts from a random mask and stops after a fixed number of steps, before the objective has decided between "
    "units of like importance; the default preset starts from one mask for all."
)
FROM_THE_GRAPH = (
    "Whatever its weights, such a network hears most from the near and from edges with many walks to the atom, and "
    "every faithful explanation shows that; at equal hop and flow the correlation is what the weights leave."
)
SAME_START = (
    "Graph and distance do not account for it: with one seed it starts from the same random mask whatever the network, "
    "and units on which its objective hardly acts keep the order of that start."
)


def goals(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Say for each goal whether it is met, on each glass and for each unit, under ``reference``; and why not."""
    found: list[dict[str, Any]] = []
    known = [row for row in rows if row["semantics"] == "reference" and "unavailable" not in row]
    for glass, unit in dict.fromkeys((row["glass"], row["unit"]) for row in known):
        here = {row["method"]: row for row in known if (row["glass"], row["unit"]) == (glass, unit)}

        def note(goal: str, met: bool, value: str, why: str = "", where: str = f"{glass}, {unit}s") -> None:
            found.append({"where": where, "goal": goal, "met": bool(met), "value": value, "why": "" if met else why})

        _necessity(here, unit, note)
        _sufficiency(here, note)
        for method in (name for name in here if name not in NULL_METHODS):
            _sanity(method, here[method], note)
    return found


def shown(interval: Mapping[str, Any] | None) -> str:
    """Write a value with its 95 % interval."""
    if interval is None:
        return "–"
    found = Interval(**interval)
    digits = 0 if found.value >= 100 else 2
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _necessity(here: Mapping[str, Row], unit: str, note: Callable[..., None]) -> None:
    if "distance" not in here:
        return
    for method in (name for name in MUST_BEAT_DISTANCE if name in here):
        for count in (10, 50):
            null = here["distance"][f"necessity_{count}"]
            orders = {
                "by absolute score": here[method][f"necessity_{count}"],
                "by what supports the prediction": here[method].get(f"supporting_{count}"),
            }
            for order, own in orders.items():
                if own is None:
                    continue
                paired = here[method].get(f"necessity_{count}_above_distance")
                enough = here[method]["atoms"] >= WANTED_ATOMS
                note(
                    f"{method} ({order}) beats distance order in necessity at {count}, over at least "
                    f"{WANTED_ATOMS} atoms",
                    own["low"] > null["high"] and enough,
                    f"{shown(own)} against {shown(null)} eV, {here[method]['atoms']} atoms"
                    + (f"; atom by atom {shown(paired)}" if paired and order == "by absolute score" else ""),
                    _why_not_ahead(here[method], here["distance"], unit, count),
                )


def _why_not_ahead(own: Row, nearest: Row, unit: str, count: int) -> str:
    if own["atoms"] < WANTED_ATOMS:
        return f"It costs {shown(own['seconds'])} s an atom, so that few were measured in the time that a cell has."
    whole, null = nearest["whole_effect"], nearest[f"necessity_{count}"]
    held = (
        f"Masking everything changes predictions by {shown(whole)} eV, and the nearest {count} {unit}s hold "
        f"{null['value'] / whole['value']:.0%} of that: "
    )
    return held + (
        "little is left to win."
        if null["value"] > 0.8 * whole["value"]
        else "intervals over atoms are wider than the lead."
    )


def _sufficiency(here: Mapping[str, Row], note: Callable[..., None]) -> None:
    for method in (name for name in FAITHFUL if name in here):
        others = {name: row for name, row in here.items() if not name.startswith("gnnexplainer")}
        for quantity, words in (
            ("sufficient_count", "from which on every larger set suffices"),
            ("first_sufficient_count", "that suffices"),
        ):
            best = min(others, key=lambda name, of=quantity: others[name][of]["value"], default=None)
            if best is None:
                continue
            own, least = here[method][quantity], others[best][quantity]
            note(
                f"{method} has a smaller k {words} (median) than all methods but GNNExplainers",
                own["value"] < least["value"],
                f"{shown(own)}, {best} {shown(least)}",
                SOFT_MASK,
            )
        within = here[method]["within_tolerance"]
        note(
            f"{method}: |masked - original| ≤ {BARRIER.required_tolerance} eV on at least 95 % of atoms",
            within["value"] >= 0.95,
            f"{within['value']:.1%}",
        )


def _sanity(method: str, row: Row, note: Callable[..., None]) -> None:
    if overlap := row.get("seeds_overlap"):
        why = PUBLISHED_START if method == "gnnexplainer_published" else SAMPLED
        note(f"{method}: seed overlap of the top 10 ≥ 9/10", overlap["value"] >= 0.9, shown(overlap), why)
    if method in GRADIENT_METHODS and row.get("planted_auc"):
        worst = min(interval["value"] for interval in row["planted_auc_by_plant"].values())
        note(f"{method}: planted AUC ≥ 0.99", worst >= 0.99, f"{worst:.4f} for the worst plant")
    if plain := row.get("randomised_correlation"):
        given, flow = row["randomised_given_graph"], row["randomised_flow_correlation"]
        note(
            f"{method}: rank correlation with a randomised network < 0.3",
            abs(plain["value"]) < 0.3,
            f"{shown(plain)}; with the graph alone {shown(flow)}, at equal hop and flow {shown(given)}",
            FROM_THE_GRAPH if abs(given["value"]) < 0.3 else SAME_START if "published" in method else "",
        )
