"""The verb ``explore``, which starts JupyterLab on a notebook that is made for the occasion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from symgnn_explain.cli.options import SAMPLE, Network, PotentialOption, Reading, grouped
from symgnn_explain.errors import InputError

WATCH = 0.5  # seconds between two looks at whether to stop
SESSION_SUFFIX = ".symgnn"  # that of symgnn_explain.export.session_file, whose import takes a second
_NEEDED = ("jupyterlab", "nglview", "ipywidgets", "anywidget", "symgnn_widgets")


@grouped
def explore(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", show_default=False, help="A structure, a trajectory, or a session that was saved (.symgnn)."
        ),
    ],
    *,
    network: Network,
    reading: Reading,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax each frame before it is predicted, to the nearest minimum.")
    ] = False,
    potential: PotentialOption = None,
    browser: Annotated[bool, typer.Option(help="Open the browser, or print the address only.")] = True,
) -> None:
    """Open the explorer in JupyterLab: click an atom, see what made the network predict what it does of it.

    Of a trajectory --frame is explained first, and a slider shows the others, each read when it is wanted.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"the explorer needs {', '.join(missing)}: run pip install 'symgnn-explain[lab]'.")
    if potential is not None and not relax:
        raise InputError("--potential is what --relax relaxes with: give both, or neither.")
    from symgnn_explain.models.predictor import SHIPPED

    weights = network.weights
    ships = str(weights) in SHIPPED
    if weights is not None and not ships and not weights.is_file():
        raise InputError(
            f"{weights} is not a file: --weights takes the .safetensors file of a predictor, or {' or '.join(SHIPPED)}."
        )
    path = None if weights is None else str(weights if ships else weights.absolute())
    imports, lines = ["from symgnn_widgets import GlassExplorer"], list[str]()
    if file.endswith(SESSION_SUFFIX):
        shown = _session(file, reading, path)
    else:
        imports.insert(0, "from symgnn_explain import Predictor, datasets, read_glass")
        lines, shown = _structure(file, reading)
        lines.append(f"predictor = Predictor.load({path!r}, device={network.device.value!r})")
    if relax:
        from symgnn_explain.saddles.potentials import find_potential

        find_potential(potential)  # says what is wrong with it
        imports.insert(-1, "from symgnn_explain.saddles import EamCalculator, find_potential")
        named = None if potential is None else str(potential.absolute())
        lines.append(f"calculator = EamCalculator(find_potential({named!r}))")
        shown = f"{shown[:-1]}, calculator=calculator)"
    if any(line.startswith("trajectory") for line in lines):
        imports.insert(-1, "from symgnn_explain.structure.io import Trajectory")
    _open_in_lab("\n".join([*imports, "", *lines, shown]), browser=browser)


def _session(file: str, reading: Reading, weights: str | None) -> str:
    """Return what opens a session, once it has proved to be one."""
    from symgnn_explain.export.session_file import read_session

    if reading != Reading():
        raise InputError("--species, --format and --frame are for structures: a session knows them, leave them out.")
    read_session(file)
    named = "" if weights is None else f", weights={weights!r}"
    return f"GlassExplorer.open({str(Path(file).absolute())!r}{named})"


def _structure(file: str, reading: Reading) -> tuple[list[str], str]:
    """Return what reads a structure or opens a trajectory, once its frame has been read, and what shows it."""
    from symgnn_explain.structure.io import Trajectory

    reading.glass(file)
    if file == SAMPLE:
        return ["glass = datasets.sample()"], "GlassExplorer(glass, predictor)"
    path, species, named = str(Path(file).absolute()), reading.species_map(), reading.format_name
    said = f"species={species!r}, format={named!r}"
    if len(list(Trajectory(path, species=species, format=named).numbers(slice(2)))) > 1:
        shown = f"GlassExplorer(trajectory, predictor, frame={reading.frame})"
        return [f"trajectory = Trajectory({path!r}, {said})"], shown
    return [f"glass = read_glass({path!r}, {said}, frame={reading.frame})"], "GlassExplorer(glass, predictor)"


def _open_in_lab(source: str, *, browser: bool) -> None:
    """Run JupyterLab on a temporary notebook of one cell, until it is stopped."""
    with tempfile.TemporaryDirectory(prefix="symgnn-explain-") as folder:
        notebook = Path(folder) / "explore.ipynb"
        notebook.write_text(json.dumps(_notebook(source)), encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", str(notebook)]
        # The notebook runs by itself: an extension that only this server is told of does it.
        command += [f"--LabApp.extra_labextensions_path={files('symgnn_widgets') / 'labextensions'}"]
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
