from __future__ import annotations

import asyncio
import json
import re
import shutil

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from symgnn_explain import export
from symgnn_explain.analysis import topology
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.files import write_atomically
from symgnn_explain.glass import Glass
from symgnn_explain.graph import neighbour_edges

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
    monkeypatch.setattr(export, "static_images_available", lambda: False)


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
        return export.write_figures({path: figure() for path in paths})

    assert asyncio.run(as_in_a_notebook()) == paths
    png, svg, pdf = (path.read_bytes() for path in paths)
    assert png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))
    assert (width, height) == (300 * export.PIXEL_RATIO, 200 * export.PIXEL_RATIO)
    assert b"<svg" in svg[:200]
    assert pdf.startswith(b"%PDF")


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
    assert {path.suffix for path in written} == {".json", ".csv", ".html"}
    check_content(tmp_path / "out", glass, explanation)


@needs_browser
def test_export_writes_everything(tmp_path, glass, explanation):
    seen = []
    written = export.export_explanation(explanation, glass, glass.barriers, tmp_path, k=20, progress=seen.append)
    assert [path.name for path in written] == [
        "explanation.json",
        "edges.csv",
        "atoms.csv",
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
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    check_content(tmp_path, glass, explanation)


def check_content(folder, glass, explanation):
    loaded = AtomExplanation.load(folder / "explanation.json")
    np.testing.assert_array_equal(loaded.score, explanation.score)
    edges, atoms = pd.read_csv(folder / "edges.csv"), pd.read_csv(folder / "atoms.csv")
    assert edges["source"].tolist() == explanation.top_edges(20)["source"].tolist()
    assert (edges.loc[edges["self_loop"], "cycles"] == 0).all()
    assert sorted(atoms["atom"]) == sorted(explanation.important_atoms(20)["atom"])
    distance = np.linalg.norm(glass.displacements_from(0), axis=1)
    np.testing.assert_allclose(atoms["distance"], distance[atoms["atom"]])
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
