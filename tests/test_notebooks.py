"""The notebooks run from top to bottom, with few atoms and few epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def test_no_notebook_holds_outputs() -> None:
    nbformat = pytest.importorskip("nbformat")
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        ran = [cell for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
        assert not ran, path.name


@pytest.mark.slow
def test_the_paper_figures_are_drawn_with_few_atoms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("SYMGNN_EXPLAIN_NOTEBOOK_ATOMS", "2")
    monkeypatch.setenv("SYMGNN_EXPLAIN_NOTEBOOK_EPOCHS", "5")
    monkeypatch.setenv("SYMGNN_EXPLAIN_NOTEBOOK_OUT", str(tmp_path / "records"))
    # An empty folder: the embedded sample stands in, whether or not the published glass is at hand.
    monkeypatch.setenv("SYMGNN_EXPLAIN_DATA", str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS / "03_paper_figures.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = "".join(output["text"] for output in outputs if output.output_type == "stream")
    figures = [output for output in outputs if "application/vnd.plotly.v1+json" in output.get("data", {})]
    assert "The embedded sample" in texts
    assert texts.count("2 atoms of cu64zr36_sample") == 2
    assert len(figures) == 6
