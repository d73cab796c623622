"""``make explore`` and ``symgnn-explain explore`` run their notebook by themselves, and once."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from symgnn_explain.cli import lab as verb

from .lab import KERNEL_IS_IDLE, LONG, ExplorerPage, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OPEN = "(path) => { window.jupyterapp.commands.execute('docmanager:open', { path }); }"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}


def test_the_first_notebook_runs_once_for_each_kernel(
    browser: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(verb, "_run_until_stopped", started.append)
    verb._open_in_lab("", browser=False)
    [option] = [word for word in started[0] if word.startswith("--LabApp.extra_labextensions_path=")]
    root = tmp_path_factory.mktemp("first-root")
    cells = ["runs = globals().get('runs', 0) + 1", "print(f'ran {runs} times')"]
    for name in ("first.ipynb", "second.ipynb"):
        written = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=KERNEL)
        nbformat.write(written, root / name)
    with running_lab(tmp_path_factory.mktemp("first-home"), root, option) as lab:
        page = browser.new_context().new_page()
        opened = ExplorerPage(page)
        page.goto(lab.address("first.ipynb"))
        page.get_by_text("ran 1 times").wait_for(timeout=LONG)
        page.reload()
        page.wait_for_function(KERNEL_IS_IDLE, timeout=LONG)
        page.evaluate("async () => { await window.jupyterapp.restored; }")
        page.wait_for_timeout(1000)  # the page opens its own notebook again
        page.evaluate(OPEN, "second.ipynb")
        second = "() => window.jupyterapp.shell.currentWidget.context?.path === 'second.ipynb'"
        page.wait_for_function(second, timeout=LONG)
        page.wait_for_function(KERNEL_IS_IDLE, timeout=LONG)
        page.wait_for_timeout(1000)
        page.evaluate(OPEN, "second.ipynb")  # on a busy machine the page may have brought back its own meanwhile
        page.wait_for_function(second, timeout=LONG)
        assert opened.kernel("print('runs' in globals())").strip() == "False"
        page.evaluate(OPEN, "first.ipynb")
        page.wait_for_function(second.replace("second", "first"), timeout=LONG)
        assert opened.kernel("print(runs)").strip() == "1"
        page.close()


def test_the_extension_is_one() -> None:
    folder = files("symgnn_widgets") / "labextensions" / "symgnn-run-first"
    build = json.loads((folder / "package.json").read_text(encoding="utf-8"))["jupyterlab"]["_build"]
    assert (folder / build["load"]).is_file()
