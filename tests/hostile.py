"""Names that would run a script, or change a page, where they reach it as anything but text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np

from symgnn_explain.structure.glass import Glass

RUN = "window.__hostile=1"
NAMES = (
    f'<img src=x onerror="{RUN}">',
    f'"><script>{RUN}</script>',
    f"'><svg onload={RUN}>",
    f'<a href="javascript:{RUN}">click</a>',
    f"</script><script>{RUN}</script>",
    f"</style><script>{RUN}</script>",
    f"<!-- --><iframe srcdoc='<script>parent.{RUN.removeprefix('window.')}</script>'>",
    "{{title}} ${1+1} %{x} {0}",
    "$\\href{javascript:window.__hostile=1}{x}$",
    "quotes ' \" ` and & entities &lt;b&gt;",
    "\u202eright to left\u202c \u2028 line",
    "=HYPERLINK(1)",
    "<b>bold</b>",
)
"""Each a name; none holds a line break, which some formats cannot."""

ALLOWED = {
    *("a", "b", "body", "br", "code", "details", "div", "footer", "h1", "h2", "h3", "head", "header", "html", "i"),
    *("meta", "span", "style", "summary", "table", "tbody", "td", "th", "thead", "title", "tr", "script"),
}
DRAWN = re.compile(r"</?(?:b|br|i|sub|sup|extra)/?>")
"""Tags that our own figures write."""


def hostile_glass(glass: Glass) -> Glass:
    """Give a glass hostile names everywhere that a file can put them."""
    values = glass.positions[:, 0]
    arrays: dict[str, Any] = {name: values + place for place, name in enumerate(NAMES)}
    arrays["category"] = np.array([NAMES[atom % len(NAMES)] for atom in range(len(glass))])
    arrays[NAMES[0] + " vectors"] = glass.positions
    return replace(glass, name=NAMES[1], provenance={NAMES[0]: NAMES[4], "file": NAMES[2]}, arrays=arrays)


class Seen(HTMLParser):
    """What a browser makes of HTML: elements, attributes, text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(str(html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def require_harmless(html: str) -> Seen:
    """Assert that HTML holds our own elements alone, and nothing that runs."""
    seen = Seen(html)
    for tag, attributes in seen.elements:
        assert tag in ALLOWED, f"<{tag}> was written"
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            assert name not in ("src", "srcdoc", "formaction"), f"{tag} {name}"
            assert name != "href" or str(value).startswith(("data:application/octet-stream;base64,", "#")), value
    return seen


def require_plain_figure(figure: Any) -> None:
    """Assert that no text of a figure holds other tags than ours."""
    if isinstance(figure, dict):
        for name, inner in figure.items():
            if name != "uirevision":  # a key, and never shown
                require_plain_figure(inner)
    elif isinstance(figure, (list, tuple)):
        for inner in figure:
            require_plain_figure(inner)
    elif isinstance(figure, str):
        assert "<" not in DRAWN.sub("", figure), figure
