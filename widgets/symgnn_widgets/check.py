"""Whether the explorer can work in this environment."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from symgnn_explain.errors import InputError

BROKEN_NGLVIEW = "4.0.1"
"""This release announces a front end that it does not contain, and draws nothing in JupyterLab."""

_NEEDED = ("ipywidgets", "anywidget", "nglview", "plotly")


def check_environment() -> list[str]:
    """Say what keeps the explorer from working here: one sentence for each problem, none where all is well."""
    problems = []
    for package in _NEEDED:
        try:
            installed = version(package)
        except PackageNotFoundError:
            problems.append(f"{package} is not installed: run `pip install 'symgnn-explain[lab]'`.")
            continue
        if package == "nglview" and installed == BROKEN_NGLVIEW:
            problems.append(
                f"nglview {BROKEN_NGLVIEW} draws nothing in JupyterLab: "
                "run `pip install nglview==4.0` and restart the kernel."
            )
        if package == "ipywidgets" and int(installed.split(".")[0]) < 8:
            problems.append(
                f"ipywidgets {installed} is too old: run `pip install 'ipywidgets>=8.1'` and restart the kernel."
            )
    return problems


def require_environment() -> None:
    """Raise InputError with what :func:`check_environment` found, if anything."""
    if problems := check_environment():
        raise InputError(" ".join(problems))
