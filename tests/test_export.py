from __future__ import annotations

import asyncio
import json
import re
import shutil
from dataclasses import replace
from xml.etree import ElementTree as ET

import networkx as nx
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from ase.io import read
from PIL import Image

from symgnn_explain import export
from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export import figures
from symgnn_explain.export.headings import with_unit_column
from symgnn_explain.export.predictions import Prediction, write_predictions
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges
from symgnn_explain.structure.io import read_glass

needs_browser = pytest.mark.skipif(not export.static_images_available(), reason="no Chrome or Chromium is installed")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: folder)


@pytest.fixture
def explanation(glass: Glass) -> AtomExplanation:
    source, target, displacement = neighbour_edges(glass, 4.0)
    kept = (target == 0) | np.isin(target, source[target == 0])
    return AtomExplanation(
        atom=0,
        method="gnnexplainer",
        source=source[kept],
        target=target[kept],
        displacement=displacement[kept],
        hop=(target[kept] != 0).astype(int),
        score=np.random.default_rng(0).random(kept.sum()),
        signed=False,
        prediction=1.5,
        prediction_range=(1.0, 2.0),
        masked_prediction=2.25,
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
    )


@pytest.fixture
def without_browser(monkeypatch):
    monkeypatch.setattr(figures, "static_images_available", lambda: False)


def figure() -> go.Figure:
    return go.Figure(go.Scatter(x=[0, 1], y=[1, 0]), layout={"width": 300, "height": 200})


def test_html_needs_no_network(tmp_path):
    path = export.write_figure(figure(), tmp_path / "new" / "figure.html")
    page = path.read_text()
    assert len(page) > 1_000_000  # plotly.js is inside
    assert not re.search(r'<(script|link)[^>]*(src|href)="http', page)


@needs_browser
def test_pictures_are_drawn_in_every_format_also_inside_a_running_event_loop(tmp_path):
    paths = [tmp_path / f"figure{suffix}" for suffix in (".png", ".svg", ".pdf")]

    async def as_in_a_notebook():
        return export.write_figures({path: figure() for path in paths}, pixel_ratio=1.5)

    assert asyncio.run(as_in_a_notebook()) == paths
    png, svg, pdf = paths
    with Image.open(png) as picture:
        assert picture.size == (300 * 1.5, 200 * 1.5)
        assert picture.convert("RGB").getcolors(100_000)[1:]  # something is drawn
    drawing = ET.parse(svg).getroot()  # noqa: S314 - what was written two lines above
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert drawing.find(".//{*}path[@class='js-line']") is not None
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF-")
    place = int(re.search(rb"startxref\s+(\d+)\s+%%EOF\s*$", content)[1])
    assert content[place : place + 4] == b"xref"
    assert re.search(rb"/Type\s*/Page\b", content)


def test_a_resolution_that_no_browser_draws_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"give 0\.5 to 8 pixels"):
        export.write_figure(figure(), tmp_path / "huge.png", pixel_ratio=100)


@pytest.mark.usefixtures("without_browser")
def test_picture_without_browser_is_refused_in_a_sentence_and_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match="need Chrome or Chromium"):
        export.write_figures({tmp_path / "figure.html": figure(), tmp_path / "figure.png": figure()})
    assert list(tmp_path.iterdir()) == []


def test_browser_is_looked_for_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "missing"))
    assert not export.static_images_available()
    monkeypatch.setenv("BROWSER_PATH", shutil.which("python3"))
    assert export.static_images_available()


@pytest.mark.parametrize("name", ["figure.bmp", "figure"])
def test_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"use \.html"):
        export.write_figure(figure(), tmp_path / name)
    with pytest.raises(InputError, match=r"use \.csv"):
        export.write_table(pd.DataFrame({"a": [1]}), tmp_path / name)


def test_tables_come_back(tmp_path):
    table = pd.DataFrame({"atom": [3, 1], "score": [0.25, -1.5], "species": ["Cu", "Zr"]})
    pd.testing.assert_frame_equal(pd.read_csv(export.write_table(table, tmp_path / "t.csv")), table)
    assert json.loads(export.write_table(table, tmp_path / "t.json").read_text()) == table.to_dict(orient="records")


def test_a_statistic_has_its_unit_with_and_without_its_family():
    names = ["mean_length", "property: volume", "motif: property: volume", "motif: property: s2", "mean_hop"]
    table = with_unit_column(pd.DataFrame({"name": names}))
    assert table["unit"].tolist() == ["angstrom", "angstrom3", "angstrom3", "kB", ""]


def test_interrupted_writing_leaves_the_old_file(tmp_path):
    path = write_atomically(tmp_path / "file", b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("without_browser")
def test_export_without_browser_leaves_out_the_pictures_and_says_so(tmp_path, glass, explanation):
    with pytest.warns(export.StaticImageWarning, match="need Chrome or Chromium") as caught:
        written = export.export_explanation(explanation, glass, glass.barriers, tmp_path / "out", k=20)
    assert len(caught) == 1
    assert {path.name for path in written} == {path.name for path in (tmp_path / "out").iterdir()}
    assert {path.suffix for path in written} == {".json", ".csv", ".extxyz", ".graphml", ".html"}
    check_content(tmp_path / "out", glass, explanation)


@needs_browser
def test_export_writes_everything(tmp_path, glass, explanation):
    seen = []
    spread = np.linspace(0.1, 0.3, len(glass))
    written = export.export_explanation(
        explanation, glass, glass.barriers, tmp_path, spread=spread, k=20, progress=seen.append
    )
    assert [path.name for path in written] == [
        "explanation.json",
        "edges.csv",
        "atoms.csv",
        "glass.extxyz",
        "edges.graphml",
        "neighbourhood.html",
        "neighbourhood.png",
        "distances.html",
        "distances.png",
        "cycles.html",
        "cycles.png",
        "summary.json",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    drawn = export.Findings(glass, glass.barriers, explanation, 20).figures()["neighbourhood"]
    with Image.open(tmp_path / "neighbourhood.png") as picture:
        assert picture.width == drawn.layout.width * export.PIXEL_RATIO
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    check_content(tmp_path, glass, explanation)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["prediction_spread_ev"] == spread[explanation.atom]
    np.testing.assert_allclose(read(tmp_path / "glass.extxyz").arrays["predicted_barrier_spread"], spread)


def check_content(folder, glass, explanation):
    loaded = AtomExplanation.load(folder / "explanation.json")
    np.testing.assert_array_equal(loaded.score, explanation.score)
    edges, atoms = pd.read_csv(folder / "edges.csv"), pd.read_csv(folder / "atoms.csv")
    assert list(edges) == ["rank", "source", "target", "distance_angstrom", "hop", "score", "self_loop", "cycles"]
    assert edges["source"].tolist() == explanation.top_edges(20)["source"].tolist()
    assert (edges.loc[edges["self_loop"], "cycles"] == 0).all()
    assert sorted(atoms["atom"]) == sorted(explanation.important_atoms(20)["atom"])
    distance = np.linalg.norm(glass.displacements_from(0), axis=1)
    np.testing.assert_allclose(atoms["distance_angstrom"], distance[atoms["atom"]])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["prediction_ev"] == 1.5
    assert summary["masked_prediction_ev"] == 2.25
    assert summary["out_of_distribution"] is True
    assert sum(shell["n_important"] for shell in summary["shells"]["shells"]) == len(atoms)
    assert set(summary["cycles"]["cycles_per_edge"]) == {"top", "middle", "bottom", "random", "matched"}
    assert "matched" in summary["cycles"]["null_model"]
    assert summary["versions"]["torch"]


def test_export_can_be_cancelled(tmp_path, glass, explanation):
    class Stop:
        def is_set(self):
            return True

    with pytest.raises(Cancelled):
        export.export_explanation(explanation, glass, glass.barriers, tmp_path / "out", cancel=Stop())
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_unasked(tmp_path, glass, explanation):
    table = pd.DataFrame({"a": [1]})
    writers = {
        "f.html": lambda path, **how: export.write_figure(figure(), path, **how),
        "t.csv": lambda path, **how: export.write_table(table, path, **how),
        "e.json": lambda path, **how: export.write_explanation(explanation, path, **how),
        "g.extxyz": lambda path, **how: export.write_explained_glass(explanation, glass, glass.barriers, path, **how),
        "g.graphml": lambda path, **how: export.write_graph(explanation, glass, glass.barriers, path, **how),
    }
    for name, write in writers.items():
        path = tmp_path / name
        path.write_text("mine")
        with pytest.raises(InputError, match=f"{name} exists already: choose another name"):
            write(path)
        assert path.read_text() == "mine"
        assert write(path, overwrite=True) == path
        assert path.read_text() != "mine"
    (tmp_path / "summary.json").write_text("mine")
    with pytest.raises(InputError, match=r"summary\.json exists already"):
        export.export_explanation(explanation, glass, glass.barriers, tmp_path)


@pytest.mark.parametrize("signed", [False, True])
def test_the_explained_glass_opens_in_ase_with_all_its_columns(tmp_path, glass, explanation, signed):
    explanation = replace(explanation, signed=signed, score=explanation.score * (-1.0) ** explanation.source)
    barriers = np.linspace(1.0, 2.0, len(glass))
    path = export.write_explained_glass(explanation, glass, barriers, tmp_path / "glass.extxyz")
    atoms = read(path)
    np.testing.assert_allclose(atoms.positions, glass.positions, atol=1e-7)
    np.testing.assert_allclose(atoms.arrays["barrier"], glass.barriers, atol=1e-7)
    np.testing.assert_allclose(atoms.arrays["predicted_barrier"], barriers, atol=1e-7)
    assert np.flatnonzero(atoms.arrays["is_target"]).tolist() == [explanation.atom]
    # Counted edge by edge.
    importance = np.zeros(len(glass))
    np.add.at(importance, explanation.source, np.abs(explanation.score))
    np.testing.assert_allclose(atoms.arrays["importance"], importance, atol=1e-7)
    graph = nx.DiGraph(zip(explanation.source.tolist(), explanation.target.tolist(), strict=True))
    hops = nx.single_source_shortest_path_length(graph.reverse(), explanation.atom)
    assert atoms.arrays["hop"].tolist() == [hops.get(atom, -1) for atom in range(len(glass))]
    assert ("contribution" in atoms.arrays) == signed
    if signed:
        assert atoms.arrays["contribution"].sum() == pytest.approx(explanation.score.sum(), abs=1e-5)
    assert (atoms.info["explained_atom"], atoms.info["method"]) == (explanation.atom, "gnnexplainer")


def test_nothing_of_an_earlier_prediction_stands_beside_a_new_one(tmp_path, glass, explanation):
    values = np.linspace(1.0, 2.0, len(glass))
    signed = replace(explanation, signed=True)
    path = export.write_explained_glass(signed, glass, values, tmp_path / "a.extxyz", spread=values, domain=values)
    before = read_glass(path)
    assert {"predicted_barrier_spread", "domain", "contribution"} <= before.arrays.keys()

    again = export.explained_glass(explanation, before, values + 1)
    assert set(again.arrays) == {"predicted_barrier", "importance", "hop", "is_target"}
    kept = {"importance", "hop", "is_target", "contribution"}
    predicted = read_glass(write_predictions({"a": Prediction(before, values + 1)}, tmp_path / "b.extxyz"))
    assert set(predicted.arrays) == {"predicted_barrier", *kept}
    np.testing.assert_array_equal(predicted.arrays["predicted_barrier"], values + 1)
    own = glass.with_arrays(domain=values)  # of the same name, and not written here
    assert "domain" in export.explained_glass(explanation, own, values).arrays


def test_a_glass_is_explained_with_its_own_barriers_alone(tmp_path, glass, explanation, random_glass):
    with pytest.raises(InputError, match="expected \\(216,\\)"):
        export.write_explained_glass(explanation, glass, [1.0], tmp_path / "a.extxyz")
    with pytest.raises(InputError, match="another glass"):
        export.write_explained_glass(explanation, random_glass(6, seed=1), glass.barriers, tmp_path / "a.extxyz")
    tensors = glass.with_arrays(stress=np.zeros((len(glass), 3, 3)))
    with pytest.raises(InputError, match="does not fit into extended XYZ"):
        export.write_explained_glass(explanation, tensors, glass.barriers, tmp_path / "a.extxyz")
    assert list(tmp_path.iterdir()) == []


def test_the_graph_comes_back(tmp_path, glass, explanation):
    path = export.write_graph(explanation, glass, glass.barriers, tmp_path / "edges.graphml", k=30)
    graph = nx.read_graphml(path, node_type=int)
    top = explanation.top_edges(30)
    assert graph.is_directed()
    assert sorted(graph.edges()) == sorted(zip(top["source"], top["target"], strict=True))
    assert graph.nodes[0]["is_target"] == 1
    assert [graph.nodes[0][axis] for axis in "xyz"] == [0.0, 0.0, 0.0]
    for source, target, edge in graph.edges(data=True):
        across = np.array([edge["dx"], edge["dy"], edge["dz"]])
        assert np.linalg.norm(across) == pytest.approx(edge["distance"])
        assert edge["self_loop"] == (source == target)
        places = [np.array([graph.nodes[atom][axis] for axis in "xyz"]) for atom in (source, target)]
        apart = places[0] - places[1] - across  # the same atom may stand at another image
        cells = np.linalg.solve(glass.cell.T, apart)
        np.testing.assert_allclose(cells, cells.round(), atol=1e-6)
        assert graph.nodes[source]["species"] == glass.symbols[source]


def test_names_say_glass_atom_method_and_date_and_are_free(tmp_path, explanation):
    stem = export.export_stem(replace(explanation, glass_name="my glass/7"))
    assert re.fullmatch(r"my-glass-7_atom0_gnnexplainer_\d{4}-\d\d-\d\d", stem)
    assert export.free_stem(tmp_path / "missing", stem) == stem
    for expected in (stem, f"{stem}_2", f"{stem}_3"):
        found = export.free_stem(tmp_path, stem)
        assert found == expected
        (tmp_path / f"{found}.edges.csv").touch()
