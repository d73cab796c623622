"""All that needs a GPU, in one call that may be cut short: exactness, explanations, predictions, training.

``python benchmarks/gpu_check.py --out DIR`` runs stage after stage, each in a process of its own, within ``--minutes``.
Figures go into ``DIR/gpu_check.json`` after each stage; a call with the same folder continues with what is missing, and
trainings with their last whole epoch. ``--tiny`` is a rehearsal on the CPU with small sizes: it shows that the script
is right, and its figures mean nothing. Published glasses are needed for trainings alone.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import machine, write_json
from _glasses import rattled_lattice

from symgnn_explain import datasets
from symgnn_explain.explain.engine.prepared import prepare
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.symgnn import PRESETS
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import write_glass
from symgnn_explain.training.benchmark import time_step
from symgnn_explain.training.settings import TRAINING_PRESETS, Precision

PRECISIONS: tuple[Precision, ...] = ("32-true", "bf16-mixed")
TRAINED = ("symgnn", "paper")
REHEARSAL = "rehearsal.extxyz"
GRACE = 20.0
"""Seconds that a stage gets to end by itself once its time is up."""


def exactness(device: str, _: bool) -> dict[str, Any]:
    """Compare predictions, masked predictions and their gradients with those of the CPU, with the shipped weights."""
    glass, atom = datasets.sample(), 1501
    sides = {}
    for side in ("cpu", device):
        prepared = prepare(Predictor.load(device=side), glass)
        masked = prepared.masked_prediction(atom, semantics="reference", unit="edge")
        mask = torch.rand(masked.n_units, generator=torch.Generator().manual_seed(0))
        mask = mask.to(prepared.predictor.device).requires_grad_()
        value = masked(mask)
        (gradient,) = torch.autograd.grad(value, mask)
        sides[side] = (np.asarray(prepared.predictions), float(value.detach()), gradient.cpu())
    (cpu, cpu_value, cpu_gradient), (other, value, gradient) = sides["cpu"], sides[device]
    return {
        "max_abs_prediction_diff": float(np.abs(cpu - other).max()),
        "max_abs_masked_diff": abs(cpu_value - value),
        "rel_grad_diff": float((gradient - cpu_gradient).norm() / cpu_gradient.norm()),
    }


def labelled(n_side: int) -> Glass:
    """Return a structure with random labels: it costs what a glass does, and teaches nothing."""
    glass = rattled_lattice(n_side)
    return replace(glass, barriers=np.random.default_rng(2).normal(1.6, 0.3, len(glass)))


def steps(device: str, tiny: bool) -> dict[str, Any]:
    """Time a step of training on 8 000 atoms, for every preset and precision."""
    figures, glass = {}, labelled(6 if tiny else 20)
    for name, config in PRESETS.items():
        for precision in PRECISIONS:
            settings = replace(TRAINING_PRESETS[name], precision=precision, auxiliary=())
            step, prediction = time_step(config, settings, glass, device)
            figures[f"{name} {precision}"] = {"seconds_a_step": step, "seconds_a_prediction": prediction}
    return figures


def predictions(device: str, tiny: bool) -> dict[str, Any]:
    """Time predictions of large structures with the shipped weights."""
    predictor = Predictor.load(device=device)
    predictor.predict(datasets.sample())
    figures = {}
    for side in (10,) if tiny else (46, 100):
        glass = rattled_lattice(side)
        started = time.perf_counter()
        predictor.predict(glass)
        figures[str(len(glass))] = time.perf_counter() - started
    return {"seconds_by_atoms": figures}


INLINE: Mapping[str, Callable[[str, bool], dict[str, Any]]] = {
    "exactness": exactness,
    "predictions": predictions,
    "steps": steps,
}


def commands(out: Path, device: str, *, tiny: bool) -> dict[str, list[str]]:
    """Return the stages in order: their names, and the commands that run them."""
    python, own = sys.executable, [sys.executable, __file__, "--out", str(out), "--device", device]
    size = ["--rounds", "1", "--atoms", "2", "--at-once", "2"] if tiny else ["--atoms", "3000", "--at-once", "256"]
    explainer = [python, str(Path(__file__).with_name("explainer_speed.py")), "--device", device, *size]
    training = [str(out / REHEARSAL), "--final", "--epochs", "1"] if tiny else []
    return {
        **{name: [*own, "--stage", name, *(["--tiny"] if tiny else [])] for name in INLINE},
        "explainer": [*explainer, "--json", str(out / "explainer.json")],
        **{
            f"training_{name}": [
                *(python, "-m", "symgnn_explain", "train", *training, "--preset", name),
                *("--device", device, "--out", str(out / name)),
            ]
            for name in TRAINED
        },
    }


def run_stage(command: list[str], seconds: float) -> dict[str, Any]:
    """Run one stage; once its time is up it is interrupted, as by Ctrl-C, so that it can keep what it has."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
    try:
        printed, _ = process.communicate(timeout=seconds)
        state = "finished" if process.returncode == 0 else "failed"
    except subprocess.TimeoutExpired:
        state = "cut short"
        process.send_signal(signal.SIGINT)
        try:
            printed, _ = process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
    return {"state": state, "wall_seconds": time.perf_counter() - started, "end_of_output": printed[-2000:]}


def main() -> None:
    """Run what is missing, and keep each figure as soon as it is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--tiny", action="store_true", help="rehearse with small sizes")
    parser.add_argument("--stage", choices=INLINE, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    out: Path = arguments.out
    if arguments.stage:
        write_json(out / f"{arguments.stage}.json", INLINE[arguments.stage](arguments.device, arguments.tiny))
        return
    ends = time.perf_counter() + 60 * arguments.minutes
    out.mkdir(parents=True, exist_ok=True)
    record = out / "gpu_check.json"
    figures: dict[str, Any] = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {"stages": {}}
    figures["machine"] = machine(arguments.device)
    if arguments.tiny:
        write_glass(labelled(6), out / REHEARSAL)
    stages = commands(out, arguments.device, tiny=arguments.tiny)
    for place, (name, command) in enumerate(stages.items()):
        left = ends - time.perf_counter() - GRACE
        if left <= 0 or figures["stages"].get(name, {}).get("state") == "finished":
            continue
        # Trainings share what is left; nothing before them takes so long that it must.
        share = left / (len(stages) - place) if name.startswith("training_") else left
        stage = run_stage(command, share)
        written = out / f"{name}.json"
        if written.is_file():
            stage["figures"] = json.loads(written.read_text(encoding="utf-8"))
            written.unlink()
        figures["stages"][name] = stage
        write_json(record, figures)
        print(f"{name}: {stage['state']} after {stage['wall_seconds']:.0f} s", flush=True)
    failed = [name for name, stage in figures["stages"].items() if stage["state"] == "failed"]
    missing = [name for name in stages if name not in figures["stages"]]
    print(
        f"{record}: {len(figures['stages'])} of {len(stages)} stages" + (f", not begun: {missing}" if missing else "")
    )
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the end of what they printed is in {record}")


if __name__ == "__main__":
    main()
