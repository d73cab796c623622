"""Exports hold what the explorer shows, in files that replace no other."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from ase.io import read
from PIL import Image

from symgnn_explain.errors import InputError
from symgnn_explain.explain import AtomExplanation
from symgnn_explain.export import SEPARATOR, static_images_available
from symgnn_widgets import GlassExplorer
from symgnn_widgets.panels.export import Export
from symgnn_widgets.views import stage


def explained(explorer: GlassExplorer, atom: int = 7) -> AtomExplanation:
    explorer.select(atom)
    explanation = explorer.explain(wait=True)
    assert explanation is not None
    return explanation


def tick(explorer: GlassExplorer, *names: str) -> None:
    """Tick these boxes and no other."""
    export = explorer.export
    for name, box in {**export.formats, **{f"view {name}": box for name, box in export.view.items()}}.items():
        box.value = name in names


def parts_of(files: list[Path]) -> dict[str, Path]:
    return {path.name.split(SEPARATOR, 1)[1]: path for path in files}


def test_exports_hold_what_was_shown(explorer: GlassExplorer, tmp_path: Path) -> None:
    explanation = explained(explorer)
    export = explorer.export
    assert not export.write.disabled
    export.folder.value = str(tmp_path / "new" / "folder")
    tick(explorer, "html", "json", "csv")
    export.write.click()
    assert explorer.session.error == ""
    parts = {path.name.split(SEPARATOR, 1)[1]: path for path in export.files}
    assert {"explanation.json", "edges.csv", "atoms.csv", "neighbourhood.html", "distances.html"} <= set(parts)
    name = parts["edges.csv"].name
    assert name.startswith("random_atom7_gnnexplainer_20")
    loaded = AtomExplanation.load(parts["explanation.json"])
    np.testing.assert_array_equal(loaded.score, explanation.score)
    assert len(pd.read_csv(parts["edges.csv"])) == len(explanation)
    predictions = pd.read_csv(parts["predictions.csv"])
    np.testing.assert_allclose(predictions["predicted_barrier_eV"], explorer.session.predictions)
    assert str(tmp_path / "new" / "folder" / name.split(SEPARATOR)[0]) in export.result.value
    assert "explanation.json" in export.result.value
    assert 'href="data:' in export.result.value


def test_ovito_gets_every_column_and_the_command_is_shown(explorer: GlassExplorer, tmp_path: Path) -> None:
    export = explorer.export
    assert export.ovito.disabled
    explanation = explained(explorer)
    export.folder.value = str(tmp_path / "it's here")
    export.ovito.click()
    [path] = export.files
    command = re.search(r"<code>(.*?)</code>", str(export.result.value))
    assert command is not None
    assert shlex.split(html.unescape(command[1])) == ["ovito", str(path)]
    atoms = read(path)
    np.testing.assert_allclose(atoms.arrays["predicted_barrier"], explorer.session.predictions)
    scores = explanation.atom_scores()
    np.testing.assert_allclose(atoms.arrays["importance"][scores.index], scores)
    said = export.ovito.tooltip
    always = {"predicted_barrier", "importance", "hop", "is_target"}
    assert all(name in said for name in (*always, "domain", "predicted_barrier_spread"))
    assert always <= set(atoms.arrays)


def test_exports_never_replace_a_file(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    export = explorer.export
    export.folder.value = str(tmp_path)
    tick(explorer, "json", "csv")
    first = export.start(wait=True)
    content = {path: path.read_bytes() for path in first}
    second = export.start(wait=True)
    third = export.start(wait=True)
    assert len({*first, *second, *third}) == 3 * len(first)
    assert {path: path.read_bytes() for path in first} == content


def test_the_picture_of_the_view_is_kept_beside_the_rest(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    export, session = explorer.export, explorer.session
    export.folder.value = str(tmp_path)
    tick(explorer, "json", "view png")
    session.shown = True
    for _ in range(2):
        export.write.click()
        assert session.picture_wanted
        explorer.view.stage.receive(None, {"type": "scene_picture", "data": "iVBORw=="}, [])
        assert not session.picture_wanted
        assert export.files[-1].name.endswith(f"{SEPARATOR}view.png")
        assert export.files[-1].read_bytes() == b"\x89PNG"


def test_a_folder_that_cannot_be_written_is_one_sentence(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    (tmp_path / "file").write_text("not a folder")
    explorer.export.folder.value = str(tmp_path / "file" / "folder")
    explorer.export.write.click()
    assert re.search(r"nothing can be written into .*folder \(Not a directory\)", explorer.session.error)
    assert not explorer.export.write.disabled


def test_an_export_of_nothing_is_refused(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    explorer.export.folder.value = str(tmp_path)
    tick(explorer)
    assert explorer.export.start(wait=True) == []
    assert "Nothing is ticked" in explorer.session.error
    assert list(tmp_path.iterdir()) == []


def test_there_is_nothing_to_export_at_first(explorer: GlassExplorer) -> None:
    assert explorer.export.write.disabled
    assert "click an atom" in explorer.export.result.value
    explained(explorer)
    assert explorer.export.result.value == ""
    explorer.select(8)
    assert "click an atom" in explorer.export.result.value
    assert explorer.export.start(wait=True) == []
    assert "explain an atom first" in explorer.session.error


def test_every_data_format_opens(explorer: GlassExplorer, tmp_path: Path) -> None:
    explanation = explained(explorer)
    explorer.export.folder.value = str(tmp_path)
    tick(explorer, "json", "csv", "extxyz", "graphml")
    parts = parts_of(explorer.export.start(wait=True))
    atoms = read(parts["glass.extxyz"])
    np.testing.assert_allclose(atoms.arrays["predicted_barrier"], explorer.session.predictions, atol=1e-7)
    assert np.flatnonzero(atoms.arrays["is_target"]).tolist() == [7]
    graph = nx.read_graphml(parts["edges.graphml"], node_type=int)
    assert graph.number_of_edges() == explorer.session.k
    summary = json.loads(parts["summary.json"].read_text())
    assert (summary["atom"], summary["prediction_ev"]) == (7, explanation.prediction)
    assert explanation.fidelity is not None
    fidelity = pd.read_csv(parts["fidelity.csv"])
    np.testing.assert_allclose(fidelity["kept_eV"], explanation.fidelity.kept)


@pytest.mark.skipif(not static_images_available(), reason="no Chrome or Chromium is installed")
def test_the_resolution_of_pictures_is_chosen_and_panels_add_figures(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    small = go.Figure(go.Scatter(y=[1, 2]), layout={"width": 120, "height": 80})
    export = Export(explorer.session.counting, explorer.session.scene, explorer.structure_page, lambda: {"own": small})
    explorer.export = export
    export.folder.value, export.ratio.value = str(tmp_path), 1.0
    tick(explorer, "png")
    parts = parts_of(export.start(wait=True))
    assert set(parts) == {"own.png", "neighbourhood.png", "distances.png"}
    with Image.open(parts["own.png"]) as picture:
        assert picture.size == (120, 80)


def test_figures_of_the_panels_are_exported_too(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    assert explorer.page_figures() == {}
    for tab in ("Distances", "Enrichment", "Motifs", "Fidelity", "Values", "Arrows"):
        explorer.tabs.open(tab)
    figures = explorer.page_figures()
    assert set(figures) == {
        *("arrows", "values", "distances", "enrichment", "local-order-voronoi-indices", "local-order-icosahedra"),
        *("fidelity-against-nulls", "fidelity-sparsity"),
    }
    assert all(figure.layout.width is None or figure.layout.width > 600 for figure in figures.values())
    explorer.export.folder.value = str(tmp_path)
    tick(explorer, "html")
    assert {f"{name}.html" for name in figures} <= set(parts_of(explorer.export.start(wait=True)))
    # What was computed for one atom is not exported as another's: the arrows are in sight, and follow.
    explained(explorer, 9)
    assert set(explorer.page_figures()) == {"values", "arrows"}
    assert explorer.session.attribution.atom == 9


def test_the_view_is_exported_as_a_page_that_fetches_nothing(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    explorer.export.folder.value = str(tmp_path)
    tick(explorer, "view html")
    parts = parts_of(explorer.export.start(wait=True))
    page = parts["view.html"].read_text(encoding="utf-8")
    assert "random: atom 7" in page
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", page)
    assert "default-src 'none'" in page
    assert page.count("</script>") == 3  # the scene, nglview packed, and the script that the policy names beside it
    assert not re.search(r"\{\{\w+\}\}", page)
    calls = json.loads(re.search(r'id="scene">(.*?)</script>', page)[1])["calls"]
    assert [method for method, _ in calls] == [method for method, _ in explorer.view.stage.calls()]


def test_a_missing_bundle_is_one_sentence(
    explorer: GlassExplorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "jupyter_path", lambda *_parts: [str(tmp_path), str(tmp_path / "missing")])
    with pytest.raises(InputError, match=r"no nbextensions/.*tested versions 3\.1\.4 and 4\.0"):
        explorer.structure_page("title")
    explained(explorer)
    explorer.export.folder.value = str(tmp_path / "out")
    tick(explorer, "view html")
    assert explorer.export.start(wait=True) == []
    assert "tested versions" in explorer.session.error
    assert not (tmp_path / "out").exists()


def test_a_picture_of_a_view_that_no_page_shows_is_refused(explorer: GlassExplorer, tmp_path: Path) -> None:
    explained(explorer)
    explorer.export.folder.value = str(tmp_path)
    tick(explorer, "view png")
    assert explorer.export.start(wait=True) == []
    assert "No page shows the 3D view" in explorer.session.error


def test_the_report_is_one_click(explorer: GlassExplorer, tmp_path: Path) -> None:
    export = explorer.export
    assert export.report.disabled
    assert export.start_report(wait=True) == []
    assert "explain an atom first" in explorer.session.error
    explanation = explained(explorer)
    export.folder.value = str(tmp_path)
    export.report.click()
    export.report.click()
    assert not export.report.disabled
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert all(name.endswith(f"{SEPARATOR}report.html") for name in names)
    assert f"{explanation.prediction:.3f} eV" in export.files[0].read_text(encoding="utf-8")
