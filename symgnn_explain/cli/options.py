"""Arguments and options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

SAMPLE = "sample"
"""Stands for the embedded glass wherever a file is expected."""


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Preset(StrEnum):
    """Named hyperparameters."""

    paper = "paper"
    light = "light"


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
DeviceOption = Annotated[Device, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the network runs.")]
FrameOption = Annotated[int, typer.Option("--frame", metavar="N", help="Frame of a trajectory; -1 is the last.")]
