"""The explorer for JupyterLab; everything that it shows can be had without it from :mod:`symgnn_explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symgnn_widgets.check import check_environment, require_environment

if TYPE_CHECKING:
    from symgnn_widgets.explorer import GlassExplorer

__all__ = ["GlassExplorer", "check_environment"]


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that what is missing is said in a sentence and check_environment() works without it.
    if name == "GlassExplorer":
        require_environment()
        from symgnn_widgets.explorer import GlassExplorer

        return GlassExplorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
