"""The barrier of the selected atom is computed on a potential, shown beside the prediction, and drawn."""

from __future__ import annotations

import asyncio
import base64
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.plotting.arrows import LONGEST_ARROW
from symgnn_explain.saddles import AseCalculator, EamCalculator, compute_barriers
from symgnn_explain.saddles.potentials import POTENTIAL_VARIABLE
from symgnn_explain.structure.datasets import COMPUTED_ARRAY, with_computed_barriers
from symgnn_explain.structure.glass import Glass
from symgnn_widgets import GlassExplorer
from symgnn_widgets.panels import barrier_search

ATOM = 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that find the jump into the vacancy in a moment."""
    usual = barrier_search.SearchSettings
    monkeypatch.setattr(
        barrier_search,
        "SearchSettings",
        lambda **chosen: usual(escape_curvature=-0.3, local_radius=5.0, highest_energy=4.0, **chosen),
    )


@pytest.fixture
def explorer(vacancy: Glass, tiny_predictor: Predictor, tables: Any) -> GlassExplorer:
    explorer = GlassExplorer(vacancy, tiny_predictor)
    explorer.barrier.potential.value = str(tables("Cu", "Zr"))
    explorer.barrier.searches.value = 3
    return explorer


def test_the_button_computes_what_the_library_does(
    explorer: GlassExplorer, vacancy: Glass, calculator: EamCalculator
) -> None:
    panel, session = explorer.barrier, explorer.session
    assert panel.start.disabled
    explorer.select(ATOM)
    assert panel.start.description == f"Compute barrier of atom {ATOM}"
    panel.start.click()
    assert (session.error, panel.search.job.status) == ("", "done")
    settings = barrier_search.SearchSettings(searches=3)
    [expected] = compute_barriers(vacancy, calculator, [ATOM], settings=settings)
    assert panel.search.barrier.to_dict() == expected.to_dict()
    assert expected.saddles
    assert f"{session.predictions[ATOM]:.3f} eV" in panel.result.value
    assert f"{expected.mean:.3f}" in panel.result.value
    assert f"{len(expected.saddles)} saddle" in panel.result.value
    assert "in 3 searches" in panel.result.value
    for saddle in expected.saddles:
        assert f"{saddle.barrier:.3f} eV" in panel.table.value
    assert f"{expected.saddles[0].barrier:.3f} eV" in panel.figure.figure.layout.title.text


def test_computing_again_adds_searches(explorer: GlassExplorer, vacancy: Glass, calculator: EamCalculator) -> None:
    panel = explorer.barrier
    explorer.select(ATOM)
    panel.start.click()
    assert panel.start.description == f"Search on: barrier of atom {ATOM}"
    panel.start.click()
    first, second = (
        compute_barriers(vacancy, calculator, [ATOM], settings=barrier_search.SearchSettings(searches=3, seed=seed))[0]
        for seed in (0, 1)
    )
    assert panel.search.barrier.to_dict() == first.with_more(second, 0.1).to_dict()
    assert "in 6 searches" in panel.result.value
    # Another potential begins anew.
    panel.search.calculator = calculator
    panel.start.click()
    assert panel.search.barrier.to_dict() == first.to_dict()


def test_displacements_are_drawn_in_the_3d_view(explorer: GlassExplorer) -> None:
    panel, stage = explorer.barrier, explorer.view.stage
    explorer.select(ATOM)
    panel.start.click()
    assert "saddle" not in stage._scene
    panel.in_view.value = True
    arrows: Any = stage._scene["saddle"][1]["arrows"]
    start, end = (np.frombuffer(base64.b64decode(arrows[name]), "<f4").reshape(-1, 3) for name in ("start", "end"))
    saddle = panel.search.barrier.saddles[0]
    length = np.linalg.norm(saddle.displacements, axis=1)
    rows = np.argsort(-length, kind="stable")[: len(start)]
    scaled = saddle.displacements[rows] * LONGEST_ARROW / length.max()
    np.testing.assert_allclose(end - start, scaled, atol=1e-4)
    place = explorer.session.glass.displacements_from(ATOM)[saddle.atoms[rows]]
    np.testing.assert_allclose(start, explorer.view.positions[ATOM] + place, atol=1e-4)
    # Another atom has no arrows; this one's are kept.
    explorer.select(ATOM + 20)
    assert stage._scene["saddle"][1]["arrows"] is None
    assert panel.result.value == ""
    explorer.select(ATOM)
    assert stage._scene["saddle"][1]["arrows"] == arrows
    panel.in_view.value = False
    assert stage._scene["saddle"][1]["arrows"] is None


def test_a_click_on_a_saddle_shows_it(explorer: GlassExplorer) -> None:
    panel = explorer.barrier
    panel.searches.value = 8
    explorer.select(ATOM)
    panel.start.click()
    barrier = panel.search.barrier
    assert len(barrier.saddles) > 1
    panel.table.click("saddle", 1)
    assert f"Saddle 2 of atom {ATOM}" in panel.figure.figure.layout.title.text
    assert f"{barrier.saddles[1].barrier:.3f} eV" in panel.figure.figure.layout.title.text


def test_cancel_stops_at_once(explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = explorer.barrier
    started, over = threading.Event(), threading.Event()

    def watched(*arguments: Any, progress: Any, **options: Any) -> Any:
        def tell(fraction: float) -> None:
            progress(fraction)
            if fraction > 0:
                started.set()

        try:
            return compute_barriers(*arguments, progress=tell, **options)
        finally:
            over.set()

    monkeypatch.setattr(barrier_search, "compute_barriers", watched)
    panel.searches.value = 500

    async def main() -> None:
        explorer.select(ATOM)
        panel.start.click()
        assert panel.search.job.status == "running"
        assert panel.start.disabled
        assert await asyncio.to_thread(started.wait, 30)
        panel.cancel.click()
        assert panel.search.job.status == "cancelled"
        assert "Cancelled" in panel.words.value
        assert await asyncio.to_thread(over.wait, 30)

    asyncio.run(main())
    assert panel.search.barrier is None
    assert not panel.start.disabled


def test_a_potential_that_is_missing_is_one_sentence(
    explorer: GlassExplorer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    panel = explorer.barrier
    monkeypatch.delenv(POTENTIAL_VARIABLE, raising=False)
    monkeypatch.setattr("symgnn_explain.saddles.potentials._model_folders", lambda: iter(()))
    explorer.select(ATOM)
    for given, said in (
        ("", "Mendelev, Kramer and Ott"),
        (str(tmp_path / "none.eam.fs"), "none.eam.fs cannot be read"),
    ):
        panel.potential.value = given
        panel.start.click()
        assert panel.search.job.status == "failed"
        assert said in panel.search.reason
        assert f"Failed: {escape(panel.search.reason)}" in panel.words.value
        assert "\n" not in panel.search.reason


def test_any_calculator_can_be_used(explorer: GlassExplorer, vacancy: Glass) -> None:
    from ase.calculators.emt import EMT

    glass = Glass(vacancy.positions, np.full(len(vacancy), 29), vacancy.cell)
    search = explorer.barrier.search
    search.calculator = AseCalculator(EMT())
    search.searches = 1
    search.structure.glass = glass
    explorer.select(ATOM)
    barrier = search.compute(wait=True)
    assert search.structure.error == ""
    assert barrier is not None
    assert barrier.searches == 1


def test_atoms_are_coloured_by_barriers_that_were_computed_before(vacancy: Glass, tiny_predictor: Predictor) -> None:
    known = pd.DataFrame(
        {"atom": [3, 9], "barrier_eV": [1.0, 2.0], "standard_error_eV": [0.1, np.nan], "saddles": [4, 1]}
    )
    session = GlassExplorer(with_computed_barriers(vacancy, known), tiny_predictor).session
    session.colour_by = COMPUTED_ARRAY
    colouring = session.colouring()
    assert colouring.label == "Computed barrier (eV)"
    assert np.flatnonzero(np.isfinite(colouring.values)).tolist() == [3, 9]
    grey = np.unique(np.delete(colouring.rgb(), [3, 9], axis=0), axis=0)
    assert len(grey) == 1
    assert not (colouring.rgb()[[3, 9]] == grey).all(axis=1).any()
