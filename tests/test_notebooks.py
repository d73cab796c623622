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
    for network in ("descriptors", "vectors"):
        assert texts.count(f", {network}, 2 atoms of cu64zr36_sample") == 2
        assert f"{network.capitalize()}: atoms beyond the first shell" in texts
    assert len(figures) == 2 * 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["02_explain_one_atom", "04_your_own_structure", "05_compare_and_trust", "06_train_your_own"]
)
def test_a_notebook_runs_and_ends_in_a_figure(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("SYMGNN_EXPLAIN_NOTEBOOK_EPOCHS", "5")
    monkeypatch.setenv("SYMGNN_EXPLAIN_NOTEBOOK_DRAWS", "2")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    [*_, last] = [cell for cell in notebook.cells if cell.cell_type == "code"]
    [figure] = [output["data"]["application/vnd.plotly.v1+json"] for output in last.outputs if "data" in output]
    assert len(figure["data"]) > 1
    assert not [
        output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
