"""The one place that builds HTML: whatever is put in is text, unless it was built here.

Names and values come from files of anyone. :func:`element` escapes its content and its attributes, so that nothing has
to be escaped by hand, and a test sees to it that no other module writes a tag.

Examples
--------
>>> str(element("td", "<b>Cu</b>", css="name"))
'<td class="name">&lt;b&gt;Cu&lt;/b&gt;</td>'
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup, escape

__all__ = ["Markup", "data_block", "download", "element", "figure_text", "joined", "note", "page", "script", "table"]

_EMPTY = {"br", "meta"}
_RAW = {"script", "style"}
_DATA_SCRIPT = "application/json"


def element(tag: str, *content: object, css: str = "", **attributes: object) -> Markup:
    """Build an element.

    ``tag``: its name. ``content``: text, which is escaped, and what was built here, which is not. ``css``: its class.
    ``attributes``: by name, ``_`` for ``-``; those that are None are left out.
    """
    if tag in _RAW:
        raise ValueError(f"{tag} holds no text: use script(), data_block() or page().")
    named = {"class": css or None, **attributes}
    # Written as plain text: a table has hundreds of elements, and Markup.format takes ten times as long.
    head = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in named.items() if value is not None
    )
    inside = "" if tag in _EMPTY else f"{joined(content)}</{tag}>"
    return Markup(f"<{tag}{head}>{inside}")  # noqa: S704 - escaped above


def joined(parts: Iterable[object], separator: str = "") -> Markup:
    """Put parts one after the other, text among them escaped."""
    return escape(separator).join(parts)  # type: ignore[arg-type]


def note(*content: object) -> Markup:
    """Build a remark in the style of the explorer."""
    return element("div", *content, css="symgnn-note")


def table(rows: Iterable[Iterable[object]], headings: Iterable[object] = (), *, css: str) -> Markup:
    """Build a table of cells."""
    heads = [element("th", heading) for heading in headings]
    head = element("thead", element("tr", *heads)) if heads else ""
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return element("table", head, element("tbody", *body), css=css)


def download(name: str, content: bytes, said: str) -> Markup:
    """Build a link that saves a file through the browser."""
    address = f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"
    return element("a", said, download=name, href=address)


def style_sheet(css: str) -> Markup:
    """Build a style sheet of our own rules."""
    return Markup("<style>{}</style>").format(Markup(_closed_nowhere(css, "style")))  # noqa: S704 - ours


def script(code: str) -> Markup:
    """Build a script of our own code: never of anything that comes from a file."""
    return Markup("<script>{}</script>").format(Markup(_closed_nowhere(code, "script")))  # noqa: S704 - ours


def data_block(name: str, value: Any) -> Markup:
    """Build a block of data that a script of the page reads by its name; it is never run."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup('<script type="{}" id="{}">{}</script>').format(_DATA_SCRIPT, name, Markup(text))  # noqa: S704


def page(title: str, css: str, body: Iterable[object], *, connects: str = "", unpacks: Iterable[str] = ()) -> str:
    """Build a page of its own that needs no network, and that runs no script but those of :func:`script` in its body.

    ``title``: of the window. ``css``: style sheet. ``body``: built here, or text. ``connects``: sources that its
    scripts may read from beside the page itself. ``unpacks``: scripts that those of its body may add, which are in
    the page as packed data.
    """
    content = joined(body, "\n")
    found = [*re.findall(r"<script>(.*?)</script>", str(content), re.DOTALL), *unpacks]
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" for code in found)
    policy = {
        "default-src": "'none'",
        "script-src": hashes or "'none'",
        "worker-src": "blob:",
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "font-src": "data:",
        "connect-src": connects or "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(policy)),
        element("title", title),
        style_sheet(css),
    )
    return str(Markup("<!doctype html>\n") + element("html", head, element("body", "\n", content, "\n"), lang="en"))


def figure_text(text: str) -> str:
    """Return text as plotly shows it: plotly reads some tags, and ``%{…}`` in templates of what is hovered over.

    Examples
    --------
    >>> figure_text("<b>50 %{x}</b>")
    '&lt;b&gt;50 &#37;{x}&lt;/b&gt;'
    """
    plain = " ".join(text.split())
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("%{", "&#37;{")):
        plain = plain.replace(character, entity)
    return plain


def _policy(policy: Mapping[str, str]) -> Markup:
    return Markup("; ".join(f"{name} {sources}" for name, sources in policy.items()))  # noqa: S704 - ours


def _closed_nowhere(text: str, tag: str) -> str:
    """Return code in which nothing ends its element, and nothing hides its end."""
    return re.sub(rf"</({tag})", r"<\\/\1", text, flags=re.IGNORECASE).replace("<!--", "<\\!--")
