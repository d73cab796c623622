"""The verb ``explore``, which starts JupyterLab on a notebook that is made for the occasion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from symgnn_explain.cli.options import SAMPLE, File, Network, Reading, grouped
from symgnn_explain.errors import InputError

WATCH = 0.5  # seconds between two looks at whether to stop
_NEEDED = ("jupyterlab", "nglview", "ipywidgets", "anywidget", "symgnn_widgets")


@grouped
def explore(
    file: File,
    *,
    network: Network,
    reading: Reading,
    browser: Annotated[bool, typer.Option(help="Open the browser, or print the address only.")] = True,
) -> None:
    """Open the explorer in JupyterLab: click an atom, see what made the network predict what it does of it."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"the explorer needs {', '.join(missing)}: run pip install 'symgnn-explain[lab]'.")
    reading.glass(file)
    from symgnn_explain.models.predictor import SHIPPED

    weights = network.weights
    ships = str(weights) in SHIPPED
    if weights is not None and not ships and not weights.is_file():
        raise InputError(
            f"{weights} is not a file: --weights takes the .safetensors file of a predictor, or {' or '.join(SHIPPED)}."
        )
    glass = "datasets.sample()"
    if file != SAMPLE:
        options = f"species={reading.species_map()!r}, frame={reading.frame}, format={reading.format_name!r}"
        glass = f"read_glass({str(Path(file).absolute())!r}, {options})"
    path = None if weights is None else str(weights if ships else weights.absolute())
    source = (
        "from symgnn_explain import Predictor, datasets, read_glass\n"
        "from symgnn_widgets import GlassExplorer\n\n"
        f"glass = {glass}\n"
        f"predictor = Predictor.load({path!r}, device={network.device.value!r})\n"
        "GlassExplorer(glass, predictor)"
    )
    _open_in_lab(source, browser=browser)


def _open_in_lab(source: str, *, browser: bool) -> None:
    """Run JupyterLab on a temporary notebook of one cell, until it is stopped."""
    with tempfile.TemporaryDirectory(prefix="symgnn-explain-") as folder:
        notebook = Path(folder) / "explore.ipynb"
        notebook.write_text(json.dumps(_notebook(source)), encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", str(notebook)]
        command += [] if browser else ["--no-browser"]
        command += ["--allow-root"] if os.name == "posix" and os.geteuid() == 0 else []
        _run_until_stopped(command)


def _run_until_stopped(command: list[str]) -> None:
    stopped: list[int] = []  # a handler that raises could lose JupyterLab while it is being started
    previous = signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    try:
        lab = subprocess.Popen(command)  # noqa: S603 - this Python, and a path made here
        while lab.poll() is None and not stopped:
            # JupyterLab has got Ctrl-C, too, and asks whether to stop.
            with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
                lab.wait(WATCH)
        lab.terminate()
        lab.wait()
    finally:
        signal.signal(signal.SIGTERM, previous)
    if stopped:
        sys.exit(128 + stopped[0])


def _notebook(source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": "code", "id": "explore", "source": source, "metadata": {}}
    return {
        "cells": [cell | {"outputs": [], "execution_count": None}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
