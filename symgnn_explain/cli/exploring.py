"""The verb ``explore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symgnn_explain.cli.inputs import read, species_map
from symgnn_explain.cli.options import (
    SAMPLE,
    Device,
    DeviceOption,
    File,
    FormatOption,
    FrameOption,
    SpeciesOption,
    WeightsOption,
)
from symgnn_explain.errors import InputError


def explore(
    file: File,
    *,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
    browser: Annotated[bool, typer.Option(help="Open the browser, or print the address only.")] = True,
) -> None:
    """Open the explorer in JupyterLab: click an atom, see what made the network predict what it does of it."""
    from symgnn_explain.cli.lab import open_in_lab, require_lab

    require_lab()
    read(file, species, frame, format_name)
    if weights is not None and not weights.is_file():
        raise InputError(f"{weights} is not a file: --weights takes the .safetensors file of a predictor.")
    glass = "datasets.sample()"
    if file != SAMPLE:
        options = f"species={species_map(species)!r}, frame={frame}, format={format_name!r}"
        glass = f"read_glass({str(Path(file).absolute())!r}, {options})"
    path = None if weights is None else str(weights.absolute())
    source = (
        "from symgnn_explain import Predictor, datasets, read_glass\n"
        "from symgnn_widgets import GlassExplorer\n\n"
        f"glass = {glass}\n"
        f"predictor = Predictor.load({path!r}, device={device.value!r})\n"
        "GlassExplorer(glass, predictor)"
    )
    open_in_lab(source, browser=browser)
