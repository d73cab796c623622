"""The documentation builds without a warning, and shows pictures of a size that a repository can hold."""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
from pathlib import Path

import pytest

from symgnn_explain import datasets
from symgnn_explain.structure.edits import apply_edits, read_edits

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install 'symgnn-explain[docs]'")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "trees")]
    done = subprocess.run([*command, str(DOCS), str(tmp_path / "html")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "html" / "api" / "explaining.html").read_text(encoding="utf-8")
    for name in (
        "symgnn_explain.explain.api.explain_atom",
        "symgnn_explain.explain.result.explanation.AtomExplanation.top_edges",
    ):
        assert f'id="{name}"' in reference


def test_the_gallery_shows_every_picture_and_none_is_large() -> None:
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = {DOCS / name for name in re.findall(r"!\[.*?\]\((.*?)\)", page)}
    assert shown == set((DOCS / "images" / "gallery").iterdir())
    assert all(path.stat().st_size < 200_000 for path in shown)
    script = (ROOT / "scripts" / "make_gallery.py").read_text(encoding="utf-8")
    assert page.count("\n## ") == script.count(") -> go.Figure:") == len(shown)


def test_the_code_of_the_gallery_imports_what_it_uses() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / "gallery.md").read_text(encoding="utf-8"), re.DOTALL))
    tree = ast.walk(ast.parse(code))
    bound, used = set(dir(builtins)), set()
    for node in tree:
        if isinstance(node, ast.alias):
            bound.add(node.asname or node.name)
        elif isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
    assert used <= bound


def test_no_number_of_the_benchmarks_is_typed() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_benchmarks_page.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    assert readme.count("<!-- number: ") == 5


PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_has_one_title_links_that_lead_somewhere_and_code_that_compiles(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# \S", prose, re.MULTILINE)) == 1
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"(https?|mailto):|#", target):
            assert (page.parent / target.split("#")[0]).exists(), target
    for language, code in blocks:
        if language == "python":
            ast.parse(code)


def test_the_edits_that_the_page_shows_can_be_made_in_the_sample() -> None:
    page = (DOCS / "what_if.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page.split("## Edits")[1].split("\n## ")[0], re.MULTILINE)
    written = [words for row in rows for words in re.findall(r"`(.*?)`", row)]
    assert len(written) >= 9
    glass = datasets.sample()
    for words in [*written, *re.findall(r"\.edit\(\"(.*?)\"\)", page)]:
        edited = apply_edits(glass, read_edits(words, glass))
        assert edited.glass.content_hash != glass.content_hash, words
