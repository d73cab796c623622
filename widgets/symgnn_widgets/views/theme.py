"""Colours of what is drawn in the page, on light and on dark paper."""

from __future__ import annotations

import json
from importlib.resources import files

from symgnn_explain.plotting.style import BLACK, LIGHT_GREY

IN_DARK = {
    BLACK: "#E4E4E4",
    "black": "#E4E4E4",
    "white": "#111111",
    LIGHT_GREY: "#4A4A4A",
    **{f"rgba(255,255,255,{opacity})": f"rgba(17,17,17,{opacity})" for opacity in (0.8, 0.85)},
}
"""What stands for the colours of ink, paper and grid on a dark page; the palette itself is read on both."""


def theme_code() -> str:
    """JavaScript that makes ``globalThis.symgnnTheme``, once a page."""
    code = (files("symgnn_widgets") / "static" / "theme.js").read_text(encoding="utf-8")
    return f"{code}({json.dumps(IN_DARK)});\n"
