"""Arguments and options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_PRESET = "accurate"
"""What ``train`` and ``cross-validate`` train where nothing else is named."""

SAMPLE = "sample"
"""Stands for the embedded glass wherever a file is expected."""


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", show_default=False, help="Extended XYZ, LAMMPS data or dump, POSCAR, CIF, …"),
]
File = Annotated[
    str, typer.Argument(metavar="FILE", show_default=False, help="Extended XYZ, LAMMPS data or dump, POSCAR, CIF, …")
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="PATH", help="A trained predictor (.safetensors); default: shipped.")
]
SpeciesOption = Annotated[
    str | None, typer.Option("--species", metavar="MAP", help='Species of the LAMMPS types, as in "1=Cu,2=Zr".')
]
MethodOption = Annotated[
    str, typer.Option("--method", metavar="M", help="How to explain; `symgnn-explain methods` lists them.")
]
SemanticsOption = Annotated[
    str | None,
    typer.Option(
        "--semantics",
        metavar="zero|removal|reference",
        show_default=False,
        help="What masking a message means: it is zero, its edge is removed, or the mean message stands in for it; "
        "default: that of the method.",
    ),
]
UnitOption = Annotated[
    str, typer.Option("--unit", metavar="edge|bond|atom|polyhedron|shell", help="What is masked as one.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method, such as epochs=200; repeatable."),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        show_default=False,
        help="Network and hyperparameters: accurate, light or paper, a SymGNN; or a baseline, such as schnet; "
        f"default: {DEFAULT_PRESET}.",
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="ARRAY",
        show_default=False,
        help="Per-atom array of the files that is learned, such as D2min or potential_energy; default: barrier.",
    ),
]
TargetUnitOption = Annotated[
    str | None,
    typer.Option("--unit", metavar="U", show_default=False, help="Its unit, such as Å², for figures and tables."),
]
EpochsOption = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", show_default=False, help="Passes over the glasses; default: the preset's."),
]
DevicesOption = Annotated[
    int, typer.Option("--devices", metavar="N", help="GPUs (or processes on the CPU) that share the glasses.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="The same seed, the same result.")]
DeviceOption = Annotated[Device, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the network runs.")]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        show_default=False,
        help="Format of the files where their names do not tell: extxyz, lammps-dump-text, lammps-data, vasp, cif, "
        "pickle or another of ASE's names.",
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what --out names where it holds results; without it they stay.")
]
PotentialOption = Annotated[
    Path | None,
    typer.Option(
        "--potential",
        metavar="F",
        show_default=False,
        help="LAMMPS eam.fs or eam.alloy file; default: the file that SYMGNN_EXPLAIN_POTENTIAL names, or that of "
        "Mendelev, Kramer and Ott (2009) in an installed openkim-models.",
    ),
]
FrameOption = Annotated[int, typer.Option("--frame", metavar="N", help="Frame of a trajectory; -1 is the last.")]
