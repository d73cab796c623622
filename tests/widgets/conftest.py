"""An explorer of a small glass, without a page."""

from __future__ import annotations

import pytest

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer

EPOCHS = 4


@pytest.fixture
def explorer(glass: Glass, tiny_predictor: Predictor) -> GlassExplorer:
    """An explorer whose explanations take a few milliseconds."""
    explorer = GlassExplorer(glass, tiny_predictor)
    explorer.session.method = "gnnexplainer"
    explorer.session.settings = {**explorer.session.settings, "epochs": EPOCHS}
    return explorer
