"""Figures, tables and structures as files: each appears whole or not at all, and none replaces another unasked.

Names are loaded when they are first used: writing predictions needs no figure and no explanation.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symgnn_explain.export.data import (
        explained_glass,
        write_explained_glass,
        write_explanation,
        write_graph,
        write_table,
    )
    from symgnn_explain.export.figures import (
        NO_BROWSER,
        PIXEL_RATIO,
        PictureError,
        StaticImageWarning,
        static_images_available,
        write_figure,
        write_figures,
    )
    from symgnn_explain.export.film import write_film
    from symgnn_explain.export.findings import Findings
    from symgnn_explain.export.naming import SEPARATOR, export_stem, free_stem
    from symgnn_explain.export.report import report_html, write_report
    from symgnn_explain.export.results import export_explanation, export_population
    from symgnn_explain.runs.files import require_free

_HOMES = {
    "symgnn_explain.export.data": (
        "explained_glass",
        "write_explained_glass",
        "write_explanation",
        "write_graph",
        "write_table",
    ),
    "symgnn_explain.export.figures": (
        "NO_BROWSER",
        "PIXEL_RATIO",
        "PictureError",
        "StaticImageWarning",
        "static_images_available",
        "write_figure",
        "write_figures",
    ),
    "symgnn_explain.export.film": ("write_film",),
    "symgnn_explain.export.findings": ("Findings",),
    "symgnn_explain.export.naming": ("SEPARATOR", "export_stem", "free_stem"),
    "symgnn_explain.export.report": ("report_html", "write_report"),
    "symgnn_explain.export.results": ("export_explanation", "export_population"),
    "symgnn_explain.runs.files": ("require_free",),
}

__all__ = [
    "NO_BROWSER",
    "PIXEL_RATIO",
    "SEPARATOR",
    "Findings",
    "PictureError",
    "StaticImageWarning",
    "explained_glass",
    "export_explanation",
    "export_population",
    "export_stem",
    "free_stem",
    "report_html",
    "require_free",
    "static_images_available",
    "write_explained_glass",
    "write_explanation",
    "write_figure",
    "write_figures",
    "write_film",
    "write_graph",
    "write_report",
    "write_table",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
