"""Starting JupyterLab on a notebook that is made for the occasion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from symgnn_explain.errors import InputError

_NEEDED = ("jupyterlab", "nglview", "ipywidgets", "anywidget", "symgnn_widgets")


def require_lab() -> None:
    """Raise InputError where the packages of the extra ``lab`` are not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"the explorer needs {', '.join(missing)}: run pip install 'symgnn-explain[lab]'.")


def open_in_lab(source: str, *, browser: bool = True) -> None:
    """Run JupyterLab on a temporary notebook of one cell, until it is stopped.

    Parameters
    ----------
    source
        The cell.
    browser
        Whether to open a browser, or only print the address.
    """
    with tempfile.TemporaryDirectory(prefix="symgnn-explain-") as folder:
        notebook = Path(folder) / "explore.ipynb"
        notebook.write_text(json.dumps(_notebook(source)), encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", str(notebook)]
        command += [] if browser else ["--no-browser"]
        command += ["--allow-root"] if os.name == "posix" and os.geteuid() == 0 else []
        _run_until_stopped(command)


def _run_until_stopped(command: list[str]) -> None:
    lab = subprocess.Popen(command)  # noqa: S603 - this Python, and a path made here
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        while lab.poll() is None:
            try:
                lab.wait()
            except KeyboardInterrupt:
                continue  # JupyterLab has got it too, and asks whether to stop
    finally:
        signal.signal(signal.SIGTERM, previous)
        lab.terminate()
        lab.wait()


def _notebook(source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "explore",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    return {
        "cells": [cell],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
