"""The verb ``benchmark``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from symgnn_explain.cli.options import Device, DeviceOption, FormatOption, SpeciesOption, TargetOption, TargetUnitOption
from symgnn_explain.cli.output import require_writable
from symgnn_explain.cli.training import all_glasses, named_target, provenance, resumable, whole_numbers


def benchmark(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE…]", show_default=False, help="Glasses; default: the published training glasses."),
    ] = None,
    *,
    models: Annotated[
        str, typer.Option(metavar="A,B,…|all", help="Networks: presets of SymGNN, and baselines such as ridge, schnet.")
    ] = "all",
    budget: Annotated[
        str, typer.Option(metavar="Nmin|Nepochs", help="Of each run at most: minutes on this machine, or epochs.")
    ] = "15min",
    seeds: Annotated[str, typer.Option(metavar="N,N,…", help="Each fold is trained with each of them.")] = "0,1,2",
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default=False, help="Hold out only the first N groups of related glasses. [default: all]"
        ),
    ] = None,
    target: TargetOption = None,
    unit: TargetUnitOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the runs; interrupted ones resume.")
    ] = Path("out/benchmark"),
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="F", show_default=False, help="Write the table there too.")
    ] = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Cross-validate many networks under one budget, and show them in one table beside the paper's figures."""
    from symgnn_explain.training.benchmark import Budget

    chosen_budget, chosen_seeds = Budget.parse(budget), whole_numbers(seeds, "--seeds")
    require_writable(out)
    if json_file is not None:
        require_writable(json_file.parent)
    from symgnn_explain.runs.files import write_atomically
    from symgnn_explain.training.benchmark import benchmark_table, run_benchmark
    from symgnn_explain.training.recipes import BENCHMARKED, recipe

    names = list(BENCHMARKED) if models == "all" else [name.strip() for name in models.split(",")]
    for name in names:
        recipe(name)
    learned = named_target(target, unit)
    glasses, hashes = all_glasses(files, species, format_name)
    with resumable(out):
        report = run_benchmark(
            list(glasses.values()),
            names,
            budget=chosen_budget,
            seeds=chosen_seeds,
            n_folds=folds,
            out=out,
            device=device,
            provenance=provenance(context, hashes),
            target=learned,
        )
    print(benchmark_table(report).to_string(float_format="{:.4f}".format, na_rep=""))
    held_out = "; ".join(" and ".join(names) for names in report["folds"])
    print(learned.axis(learned.title))
    print(f"Pearson r within validation glasses ({held_out}); {report['budget']} a run at most; {report['machine']}.")
    if report["published"]:
        print(f"published_r: {report['published']}")
    if json_file is not None:
        write_atomically(json_file, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
        print(f"Wrote {json_file}")
