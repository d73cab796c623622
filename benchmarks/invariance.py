"""How much predictions change when a glass is rotated or reflected, by what a network is symmetrized over.

The shipped predictor as it is; and a trained SymGNN with displacement vectors, its weights kept and its fixed
transformations replaced. Run ``python benchmarks/invariance.py --weights out/symgnn/predictor.safetensors``, with what
``symgnn-explain train --preset symgnn --out out/symgnn`` wrote; without it, only the shipped predictor is measured.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from _common import argument_parser, machine, write_json

from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.models.invariance import symmetrization_error
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import Distribution, SymGNN

SETTINGS: tuple[tuple[Distribution, int], ...] = (
    ("identity", 1),
    *(("haar", samples) for samples in (1, 2, 4, 8, 16, 32, 64, 128)),
    ("octahedral", 48),
    ("icosahedral", 120),
)
"""Distributions, and how many transformations are kept of each: the whole of a finite group."""


def symmetrized(trained: SymGNN, distribution: Distribution, samples: int) -> SymGNN:
    """Return a network with the weights of ``trained`` and other fixed transformations."""
    model = SymGNN(replace(trained.config, distribution=distribution, inference_samples=samples)).eval()
    kept = {
        name: tensor
        for name, tensor in trained.state_dict().items()
        if not name.startswith("symmetrization.") and name != "inference_transformations"
    }
    missing = model.load_state_dict(kept, strict=False).missing_keys
    if any(not name.startswith(("symmetrization.", "inference_transformations")) for name in missing):
        raise InputError(f"the weights lack {', '.join(missing)}.")
    model.fix_transformations()
    return model


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argument_parser(__doc__, rounds=None)
    parser.add_argument("--weights", type=Path, help="a trained SymGNN with displacement vectors (.safetensors)")
    arguments = parser.parse_args()
    glass = datasets.sample()
    shipped = Predictor.load()
    rows: list[dict[str, Any]] = []

    def add(name: str, predictor: Predictor, samples: int | None) -> None:
        error, spread = symmetrization_error(predictor, glass), float(predictor.predict(glass).std())
        rows.append({"network": name, "transformations": samples, "rms_change_ev": error, "spread_ev": spread})
        print(f"{name:12} {samples or '':>5} {error:12.2e} {spread:8.3f}", flush=True)

    print(f"{'network':12} {'T':>5} {'rms change/eV':>12} {'spread of predictions/eV':>8}")
    add("shipped", shipped, None)
    if arguments.weights is not None:
        trained = Predictor.load(arguments.weights)
        if not isinstance(trained.model, SymGNN) or trained.model.config.distribution == "none":
            raise InputError(f"{arguments.weights} holds no SymGNN with displacement vectors: train --preset symgnn.")
        for distribution, samples in SETTINGS:
            add(distribution, Predictor(symmetrized(trained.model, distribution, samples)), samples)
    write_json(arguments.json, {"machine": machine(shipped.device), "rows": rows})


if __name__ == "__main__":
    main()
