"""The numbers that README and docs quote, by the names that stand in their comments."""

from __future__ import annotations

import json

from _results import CARD, NULLS, between, load, seconds, with_interval


def numbers() -> dict[str, str]:
    """Return the numbers that other pages quote, by name."""
    card = json.loads(CARD.read_text(encoding="utf-8"))
    found = {"pearson": f"{card['protocol']['pearson_together']:.2f}"}
    if (speed := load("explainer_speed")) is not None:
        found |= {"speedup_full": f"{speed['speedup_full']:.0f}", "epochs_500": seconds(speed["seconds_500_epochs"])}
    if (times := load("inference")) is not None:
        found["predict_3000"] = next(seconds(row["seconds"]) for row in times["rows"] if row["network"] == "shipped")
    if (latency := load("explorer_latency")) is not None:
        found["click"] = seconds(latency["click_to_highlight_s"])
    if (topology := load("topology_speed")) is not None and "speedup" in topology:
        found["topology"] = f"{topology['speedup']:.0f}"
    return found | numbers_of_truth() | numbers_of_edits() | numbers_of_trajectory()


def numbers_of_truth() -> dict[str, str]:
    """Return those that docs/physical_truth.md quotes."""
    figures = load("physical_truth")
    if figures is None:
        return {}
    by_method = figures["spearman_by_method"]
    found = {f"truth_{name.replace(' ', '_')}": with_interval(values) for name, values in by_method.items()}
    atoms = by_method["integrated_gradients pair zero"]["atoms"]
    error = f"{1000 * figures['network_error_ev']:.1f} meV"
    return found | {"truth_r": f"{figures['network_r']:.6f}", "truth_error": error, "truth_atoms": str(atoms)}


def numbers_of_edits() -> dict[str, str]:
    """Return those that docs/what_if.md quotes."""
    figures = load("what_if")
    if figures is None or "n_verified" not in figures:
        return {}
    names = {
        "edits_sign": "sign_agreement",
        "edits_raising": "sign_agreement_raising",
        "edits_lowering": "sign_agreement_lowering",
    }
    names |= {"edits_correlation": "correlation", "edits_slope": "slope"}
    return {name: between(figures, key) for name, key in names.items() if key in figures} | {
        "edits_verified": str(figures["n_verified"]),
        "edits_confirmed": str(figures["n_confirmed"]),
        "edits_error": f"{figures['standard_error_mean_ev']:.2f}",
        "edit_seconds": seconds(figures["edit_cpu_seconds"]),
    }


def numbers_of_trajectory() -> dict[str, str]:
    """Return those that docs/trajectories.md quotes."""
    figures = load("trajectory")
    if figures is None:
        return {}
    first, last = figures["horizons"][0], figures["horizons"][-1]
    barrier, flagged = figures["mean_barrier_ev"], figures["share_flagged"]
    areas = [row["auc"] for row in figures["windows"]]
    found = {
        "frames_temperature": f"{figures['temperature']:g} K",
        "frames_between": f"{figures['between_frames']:g} ps",
        "frames_time": f"{(last['frames'] - 1) * figures['between_frames']:.3g} ps",
        "frames_moved": f"{figures['moved_angstrom']:g} Å",
        "frames_rearranged": f"{last['n_rearranged']} atoms ({figures['share_rearranged']:.1%})",
        "frames_copper": f"{last['copper']:.0%}",
        "frames_soon": str(first["n_rearranged"]),
        "frames_auc": between(last, "predicted"),
        "frames_auc_atoms": "{:.2f} to {:.2f}".format(
            *(last[f"predicted_drawing_atoms_{end}"] for end in ("low", "high"))
        ),
        "frames_auc_within": between(last, "predicted_within_species"),
        "frames_auc_soon": between(first, "predicted"),
        "frames_auc_soon_within": between(first, "predicted_within_species"),
        "frames_auc_windows": "{:.2f} to {:.2f}".format(*(end(areas) for end in (min, max))),
        "frames_auc_neighbours": between(figures["neighbours"], "predicted"),
        "frames_changed": str(figures["neighbours"]["n_changed"]),
        "frames_lowest_tenth": f"{figures['share_of_rearranging_in_lowest_tenth']:.0%}",
        "frames_barrier_of_rearranging": f"{figures['mean_barrier_first_of_rearranging_ev']:.2f} eV",
        "frames_barrier_of_others": f"{figures['mean_barrier_first_of_others_ev']:.2f} eV",
        "frames_barrier_first": f"{barrier[0]:.3f}",
        "frames_barrier_last": f"{barrier[-1]:.3f} eV",
        "frames_energy": f"{1000 * (figures['energy_an_atom_last_ev'] - figures['energy_an_atom_first_ev']):.1f} meV",
        "frames_flagged": f"{min(flagged):.1%} to {max(flagged):.1%}",
        "frames_in_time": f"{figures['std_in_time_of_others_ev']:.2f} eV",
        "frames_over_atoms": f"{figures['std_over_atoms_ev']:.2f} eV",
        "frames_step": seconds(figures["slider_step_cpu_s"]),
    }
    found |= {f"frames_peak_{which}": f"{figures[f'peak_mb_{which}_frames']:.0f} MB" for which in ("few", "all")}
    found |= {f"frames_{null}_null": between(last, null) for null in NULLS}
    found |= {f"frames_{null}_within": between(last, f"{null}_within_species") for null in NULLS if null != "species"}
    return found | {
        f"frames_above_{null}": between(last, f"predicted_above_{null}_within_species")
        for null in NULLS
        if null != "species"
    }
