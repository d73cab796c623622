"""One module builds HTML, and whatever is put into it is text."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.export import Findings, write_figures, write_graph, write_report, write_table
from symgnn_explain.export.naming import LONGEST_PART, export_stem, slug
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting.values import values_figure
from symgnn_explain.runs.markup import data_block, element, figure_text, page, script
from symgnn_explain.runs.tables import csv_text
from symgnn_explain.structure.glass import Glass
from tests.hostile import NAMES, Seen, hostile_glass, require_harmless, require_plain_figure

ROOT = Path(__file__).parents[1]
TAG = re.compile(
    r"</?(?:a|b|body|br|code|div|em|h\d|head|html|i|iframe|img|input|label|li|link|meta|ol|p|pre|script|section|small"
    r"|span|strong|style|sub|sup|svg|table|tbody|td|th|thead|title|tr|ul)\b[^<>]*>",
    re.IGNORECASE,
)
DRAWN = re.compile(r"</?(?:br|b|i|sub|sup|extra)>")
"""What plotly reads in the text of figures."""


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module that are no docstrings, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def test_no_other_module_writes_a_tag() -> None:
    found, read = [], 0
    for folder in ("symgnn_explain", "widgets/symgnn_widgets"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name == "markup.py":
                continue
            for line, text in texts_of(path):
                read += 1
                drawn = DRAWN.sub("", text) if "plotting" in path.parts else text
                if TAG.search(drawn):
                    found.append(f"{path.relative_to(ROOT)}:{line}: {text[:60]!r}")
    assert read > 1000
    assert found == []


def test_the_search_for_tags_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""A <b>docstring</b>."""\nx = f\'<div class="a">{1}</div>\'\n')
    assert [bool(TAG.search(text)) for _, text in texts_of(path)] == [True, True]


@pytest.mark.parametrize("name", NAMES)
def test_content_and_attributes_are_text(name: str) -> None:
    seen = require_harmless(element("div", name, element("b", name), css=name, title=name, data_action=name))
    assert [tag for tag, _ in seen.elements] == ["div", "b"]
    assert seen.text == name * 2
    assert seen.elements[0][1] == {"class": name, "title": name, "data-action": name}


@pytest.mark.parametrize("name", NAMES)
def test_data_in_a_page_stays_data(name: str) -> None:
    written = page(name, "b { color: red }", [element("p", name), data_block("d", {name: [name]}), script("go()")])
    seen = Seen(written)
    scripts = [attributes for tag, attributes in seen.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "d"}, {}]
    assert json.loads(seen.scripts[0]) == {name: [name]}
    policy = next(attributes["content"] for tag, attributes in seen.elements if "http-equiv" in attributes)
    digest = base64.b64encode(hashlib.sha256(b"go()").digest()).decode()
    assert f"script-src 'sha256-{digest}';" in str(policy)
    assert "default-src 'none'" in str(policy)


def test_scripts_hold_no_text_of_others() -> None:
    with pytest.raises(ValueError, match="holds no text"):
        element("script", "alert(1)")


@pytest.mark.parametrize("name", NAMES)
def test_figures_show_names_as_they_are(glass: Glass, name: str) -> None:
    figure = values_figure(glass, glass.positions[:, 0], glass.positions[:, 1], names=(name, name))
    require_plain_figure(json.loads(figure.to_json()))
    shown = figure.layout.xaxis.title.text
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&#37;", "%"), ("&amp;", "&")):
        shown = shown.replace(entity, character)
    assert shown == " ".join(name.split())
    assert "%{x}" not in figure_text(name)


def test_every_export_of_a_hostile_glass_is_harmless(
    random_glass: Callable[..., Glass], tiny_predictor: Predictor, tmp_path: Path
) -> None:
    glass = hostile_glass(random_glass(5))
    prepared = prepare(tiny_predictor, glass)
    findings = Findings(
        glass, prepared.predictions, explain_atom(tiny_predictor, glass, 7, "gnnexplainer", prepared=prepared, epochs=4)
    )
    report = write_report(findings, tmp_path / "report.html")
    seen = require_harmless(report.read_text(encoding="utf-8"))
    assert glass.name in seen.text
    assert glass.provenance["file"] in seen.text
    pages = write_figures({tmp_path / f"{name}.html": figure for name, figure in findings.figures().items()})
    for path in (report, *pages):
        seen = require_harmless(path.read_text(encoding="utf-8"))
        policy = str(next(values["content"] for _, values in seen.elements if "http-equiv" in values))
        assert "unsafe-inline" not in policy.split("script-src")[1].split(";", maxsplit=1)[0]
        for (tag, values), code in zip(
            [each for each in seen.elements if each[0] == "script"], seen.scripts, strict=True
        ):
            assert tag == "script"
            digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
            assert values.get("type") == "application/json" or f"'sha256-{digest}'" in policy
    for figure in findings.figures().values():
        require_plain_figure(json.loads(figure.to_json()))
    graph = write_graph(findings.explanation, glass, prepared.predictions, tmp_path / "g.graphml")
    import networkx as nx

    assert nx.read_graphml(graph).graph["glass"] == " ".join(glass.name.splitlines())
    stem = export_stem(findings.explanation)
    assert re.fullmatch(r"[\w-]+", stem)


@pytest.mark.parametrize("name", [*NAMES, "../../etc/passwd", "a/b\\c", "x" * 5000, "..", ""])
def test_names_in_paths_lead_nowhere(name: str) -> None:
    assert re.fullmatch(rf"[\w-]{{1,{LONGEST_PART}}}", slug(name))


def test_a_table_holds_no_formula(tmp_path: Path) -> None:
    table = pd.DataFrame({"=1+1": ["@SUM(A1)", "+1", "-2", "\t=3", 'a,"b"\n'], "eV": [-1.5, 2, 3, 4, 5]})
    read = pd.read_csv(write_table(table, tmp_path / "t.csv"))
    assert list(read.columns) == ["'=1+1", "eV"]
    assert read["'=1+1"].tolist() == ["'@SUM(A1)", "'+1", "'-2", "'\t=3", 'a,"b"\n']
    assert read["eV"].tolist() == [-1.5, 2, 3, 4, 5]
    assert csv_text(table).splitlines()[1] == "'@SUM(A1),-1.5"
