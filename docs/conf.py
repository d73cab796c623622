"""How Sphinx builds the documentation."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import Any

project = "symgnn_explain"
author = "The symgnn_explain developers"
copyright = "The symgnn_explain developers"  # noqa: A001 - Sphinx's name
release = version = version_of("symgnn-explain")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "symgnn_explain"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
myst_heading_anchors = 3


def setup(app: Any) -> None:
    """Read |x| in docstrings as an absolute value, and numpy.str_ as a name; to Sphinx they would be references."""
    app.connect("autodoc-process-docstring", _escape_bars)


def _escape_bars(_app: Any, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    for number, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        lines[number] = "".join(
            part if part.startswith("``") else part.replace("|", r"\|").replace("str_]", r"str\_]") for part in parts
        )
