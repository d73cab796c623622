"""How well the shipped predictor foretells barriers that saddle searches find, also for alloys it never saw.

The labels are those that ship with the embedded glasses: random atoms of each, ten saddle searches an atom. They are
noisy: an atom has some five saddles, whose mean is uncertain. So beside Pearson's r stands the r that a perfect
predictor would reach: the square root of the labels' reliability, 1 - (mean squared standard error) / (variance of the
labels). An atom counts from two saddles on. Intervals are bootstrapped over atoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from _common import argument_parser, write_json

from symgnn_explain import datasets
from symgnn_explain.export.session_file import PredictorIdentity
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import FloatArray

PUBLISHED = {"cu64zr36": 0.7859, "cu80zr20": 0.6084, "cu50zr50": 0.5862}
"""Pearson r that Li et al. report for SymGNN against their own barriers."""

LEAST_SADDLES = 2
RESAMPLES = 2000


def transfer(predicted: FloatArray, table: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Compare predictions (N,), eV, with the computed barriers of some atoms."""
    known = table[table["saddles"] >= LEAST_SADDLES]
    computed, foretold = known["barrier_eV"].to_numpy(), predicted[known["atom"].to_numpy()]
    both, rng = np.stack([foretold, computed]), np.random.default_rng(seed)
    resampled = [pearson(*both[:, rng.integers(len(known), size=len(known))]) for _ in range(RESAMPLES)]
    r, ceiling = pearson(foretold, computed), noise_ceiling(known)
    return {
        "atoms": len(known),
        "atoms_with_fewer_saddles": len(table) - len(known),
        "mean_saddles": float(known["saddles"].mean()),
        "pearson_r": r,
        "interval": np.quantile(resampled, [0.025, 0.975]).tolist(),
        "noise_ceiling": ceiling,
        "r_without_noise": r / ceiling if ceiling > 0 else None,
        "mean_predicted_minus_computed_eV": float((foretold - computed).mean()),
        "std_computed_eV": float(computed.std(ddof=1)),
    }


def pearson(first: FloatArray, second: FloatArray) -> float:
    """Return Pearson's r."""
    return float(np.corrcoef(first, second)[0, 1])


def noise_ceiling(known: pd.DataFrame) -> float:
    """Return the r of a perfect predictor; saddles scatter alike around all atoms, so that few do not seem certain."""
    degrees = known["saddles"] - 1
    spread = (known["standard_error_eV"] ** 2 * known["saddles"] * degrees).sum() / degrees.sum()
    noise = (spread / known["saddles"]).mean()
    return float(np.sqrt(max(0.0, 1 - noise / known["barrier_eV"].var(ddof=1))))


def main() -> None:
    """Compare, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    arguments = parser.parse_args()
    predictor = Predictor.load(device="cpu")
    rows: dict[str, dict[str, Any]] = {}
    for composition in datasets.SAMPLES:
        glass = datasets.sample(composition)
        row = transfer(predictor.predict(glass), datasets.sample_barriers(composition), arguments.seed)
        rows[composition] = row | {"published_r": PUBLISHED[composition]}
    print(f"{'glass':10} {'atoms':>5} {'r':>6} {'95 %':>14} {'ceiling':>8} {'r/ceiling':>9} {'offset':>8} {'paper':>7}")
    for composition, row in rows.items():
        low, high = row["interval"]
        corrected = "–" if row["r_without_noise"] is None else f"{row['r_without_noise']:.2f}"
        print(
            f"{composition:10} {row['atoms']:5} {row['pearson_r']:6.3f} {f'{low:.2f} to {high:.2f}':>14} "
            f"{row['noise_ceiling']:8.2f} {corrected:>9} {row['mean_predicted_minus_computed_eV']:+8.3f} "
            f"{row['published_r']:7.4f}"
        )
    write_json(arguments.json, {"weights_sha256": PredictorIdentity.of(predictor).weights_sha256, **rows})


if __name__ == "__main__":
    main()
