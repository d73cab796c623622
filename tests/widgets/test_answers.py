"""Panels that help to read an answer: thresholds, tables, analyses, rings, arrows, sentences, comparison."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase.io import read

from symgnn_explain.analysis import voronoi_cells
from symgnn_explain.analysis.topology import of_glass as topology
from symgnn_explain.explain import AtomExplanation, explain_positions
from symgnn_explain.explain.result.agreement import agreement
from symgnn_explain.explain.result.sentence import explanation_sentence
from symgnn_explain.models.predictor import Predictor
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state.threshold import MOST_SHOWN

TIMEOUT = 30.0


@pytest.fixture(autouse=True)
def cycles_are_kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep topologies out of the user's cache."""
    monkeypatch.setattr(topology, "cycle_cache_folder", lambda: tmp_path)


def explained(explorer: GlassExplorer, atom: int = 7) -> AtomExplanation:
    explorer.select(atom)
    explanation = explorer.explain(wait=True)
    assert explanation is not None
    return explanation


def scene_floats(explorer: GlassExplorer, key: str, what: str, name: str) -> np.ndarray:
    drawn: Any = explorer.view.stage._scene[key][1][what]
    return np.frombuffer(base64.b64decode(drawn[name]), dtype="<f4").reshape(-1, 3)


def test_the_threshold_is_a_number_a_share_or_a_value(explorer: GlassExplorer) -> None:
    threshold, session = explorer.controls.threshold, explorer.session
    scores = np.sort(np.abs(explained(explorer).score))[::-1]
    threshold.kind.value = "share"
    for share in (0.05, 0.2):
        threshold.share.value = share
        held = np.cumsum(scores) / scores.sum()
        assert held[session.k - 1] >= share > (held[session.k - 2] if session.k > 1 else 0)
    threshold.share.value = 1.0
    assert session.k == min(MOST_SHOWN, len(scores))
    assert "at most" in threshold.count.value
    threshold.kind.value = "value"
    threshold.least.value = float(scores[30])
    assert session.k == (scores >= scores[30]).sum()
    threshold.kind.value = "number"
    assert [box for box in threshold.chosen.children if box.layout.display != "none"] == [threshold.number]
    threshold.number.value = 12
    assert f"{scores[:12].sum() / scores.sum():.1%}" in threshold.count.value


def test_what_was_explained_has_the_name_that_it_has_everywhere(explorer: GlassExplorer) -> None:
    explorer.session.unit = "edge"
    found = explained(explorer)
    assert f", {len(found):,} directed edges in " in explorer.summary.text.value
    predictions = explorer.session.predictions
    highest = explained(explorer, int(predictions.argmax()))
    below = 100 * (predictions < predictions[highest.atom]).sum() // len(predictions)
    assert below < 100
    assert f", above {below} % of the atoms" in explorer.summary.text.value


def test_a_threshold_is_not_negative(explorer: GlassExplorer) -> None:
    explorer.session.threshold_by = "value"
    explorer.controls.threshold.least.value = -1.0
    assert explorer.session.least == explorer.controls.threshold.least.value == 0.0


def test_a_threshold_holds_for_the_next_atom(explorer: GlassExplorer) -> None:
    session = explorer.session
    session.threshold_by, session.share = "share", 0.1
    drawn: list[int] = []
    session.explaining.observe(lambda change: drawn.append(session.k) if change["new"] else None, "explanation")
    for atom in (3, 4):
        explanation = explained(explorer, atom)
        assert drawn[-1] == session.shown_edges(explanation) == session.k


def test_a_number_of_edges_is_the_same_after_another_threshold(explorer: GlassExplorer) -> None:
    session, threshold = explorer.session, explorer.controls.threshold
    explained(explorer)
    threshold.number.value = 17
    threshold.kind.value = "value"
    threshold.least.value = 1e6
    assert session.k == 1
    threshold.kind.value = "share"
    threshold.kind.value = "number"
    assert session.k == threshold.number.value == 17


def test_settings_have_a_box_a_default_and_a_sentence_each(explorer: GlassExplorer) -> None:
    controls = explorer.controls
    for name in controls.method.options:
        controls.method.value = name[1]
        assert set(controls.settings) == set(explorer.session.settings)
        for box in controls.settings.values():
            assert box.tooltip.partition("Default: ")[0].strip().endswith("."), (name, box.description)
    controls.method.value = "attention"
    assert controls.settings["aggregation"].options
    controls.method.value = "gnnexplainer"
    assert controls.form.layout.display == "none"
    controls.more.value = True
    assert controls.form.layout.display == ""


def test_settings_that_cannot_be_used_are_said_at_once(explorer: GlassExplorer) -> None:
    controls = explorer.controls
    controls.settings["learning_rate"].value = -1.0
    assert "learning_rate=-1.0 must be positive." in controls.problem.value
    assert controls.explain.disabled
    explorer.select(3)
    explorer.explain()
    assert explorer.session.status == "failed"
    controls.settings["learning_rate"].value = 0.1
    assert controls.problem.value == controls.error.value == ""
    assert explorer.session.status == "idle"
    assert not controls.explain.disabled


def test_a_preview_is_drawn_and_goes(explorer: GlassExplorer) -> None:
    session = explorer.session
    explanation = explained(explorer)
    session.select(8)
    assert explorer.view.stage._scene["selection"][1]["opacity"] == 1.0
    session.preview = explanation
    assert explorer.view.stage._scene["selection"][1]["opacity"] < 0.5
    assert len(explorer.neighbourhood.figure.figure.data) == 0
    session.cancel()
    assert session.preview is None


def test_previews_arrive_while_an_explanation_runs(explorer: GlassExplorer) -> None:
    session = explorer.session
    seen: list[AtomExplanation] = []
    session.explaining.observe(lambda change: seen.append(change["new"]) if change["new"] else None, "preview")

    async def main() -> None:
        session.method = "gnnexplainer"
        session.settings = {**session.settings, "epochs": 100_000, "stop_early": False}
        session.pick(8)
        async with asyncio.timeout(TIMEOUT):
            while not seen:
                await asyncio.sleep(0.01)
        session.cancel()

    asyncio.run(main())
    assert seen[0].atom == 8
    assert session.explanation is None


def test_the_table_of_atoms_has_their_voronoi_cells(explorer: GlassExplorer) -> None:
    explanation = explained(explorer)
    assert "⟨" not in explorer.atoms.table.value
    explorer.tabs.open("Atoms")
    cells = voronoi_cells(explorer.session.glass)
    rows = explorer.atoms.table.value.split("<tr>")[2:]
    assert f"{cells.labels[7]}</td><td>{cells.coordination[7]}</td>" in rows[0]
    atoms = explanation.important_atoms(explorer.session.k)["atom"].tolist()
    assert len(rows) == 1 + len(atoms)
    for row, atom in zip(rows[1:], atoms, strict=True):
        assert f'data-number="{atom}"' in row
        assert cells.labels[atom] in row


def test_contributions_lead_from_everything_masked_to_the_prediction(explorer: GlassExplorer) -> None:
    explorer.session.method, explorer.session.unit = "integrated_gradients", "pair"
    explanation = explained(explorer)
    explorer.tabs.open("Contributions")
    assert explorer.session.error == ""
    *steps, reached = explorer.contributions.figure.figure.data[-1].y
    assert sum(steps) == pytest.approx(explanation.prediction)
    assert reached == pytest.approx(explanation.prediction)


@pytest.mark.parametrize("title", ["Enrichment", "Motifs", "Network"])
def test_analyses_are_made_when_somebody_looks(explorer: GlassExplorer, title: str) -> None:
    panel = explorer.tabs.every[title]
    explained(explorer)
    assert panel.result is None
    explorer.tabs.open(title)
    assert explorer.session.error == ""
    first = panel.result
    assert len(panel.figure.figure.data) > 0
    explorer.session.k = 30
    assert panel.result is not first
    for view in panel.view.options:
        panel.view.value = view
        assert len(panel.figure.figure.data) > 0
    explorer.tabs.open("Distances")
    second = panel.result
    explorer.session.k = 20
    assert panel.result is second


@pytest.mark.parametrize("title", ["g(r)", "S(q)", "Correlation"])
def test_analyses_of_the_glass_need_no_explanation(explorer: GlassExplorer, title: str) -> None:
    panel = explorer.tabs.every[title]
    explorer.glass.open(title)
    assert panel.result is None
    explorer.tabs.open(title)
    assert explorer.session.error == ""
    first = panel.result
    assert len(panel.figure.figure.data) > 0
    explained(explorer)
    assert panel.result is first
    assert list(explorer.glass.page_figures()) == [panel.analysis.name.replace(" ", "-")]


def test_a_ring_that_is_clicked_is_drawn(explorer: GlassExplorer) -> None:
    session = explorer.session
    explanation = explained(explorer)
    explorer.tabs.open("Rings")
    assert session.error == ""
    found = topology.structure_topology(session.glass)
    marks = next(trace for trace in explorer.rings.figure.figure.data if "important edges" in (trace.name or ""))
    top = explanation.rank()[: session.k]
    edges = explanation.source[top], explanation.target[top], explanation.displacement[top]
    np.testing.assert_array_equal(np.sort(marks.customdata.ravel()), found.cycles.through_edges(session.glass, *edges))
    row = int(marks.customdata.ravel()[0])
    explorer.rings.figure.ui.click(row)
    path = found.cycles.path(session.glass, row)
    start, end = (scene_floats(explorer, "ring", "cylinders", name) for name in ("start", "end"))
    np.testing.assert_allclose(end - start, path.end - path.start, atol=1e-4)
    # At the image of the ring that is nearest the atom, that is within half a cell of it along each vector.
    away = np.linalg.solve(session.glass.cell.T, start.mean(0) - explorer.view.positions[7])
    assert (np.abs(away) <= 0.5 + 1e-6).all()
    assert f"Ring of {len(path)} bonds" in explorer.rings.shown.value
    explorer.rings.clear.click()
    assert explorer.view.stage._scene["ring"][1]["cylinders"] is None


def test_arrows_are_the_derivatives(explorer: GlassExplorer) -> None:
    session = explorer.session
    explorer.select(5)
    assert session.attribution is None
    explorer.tabs.open("Arrows")
    found = explain_positions(session.prepared, 5)
    np.testing.assert_allclose(session.attribution.gradient, found.gradient)
    assert "arrows" not in explorer.view.stage._scene
    explorer.arrows.in_view.value = True
    start, end = (scene_floats(explorer, "arrows", "arrows", name) for name in ("start", "end"))
    rows = found.rank()[: len(start)]
    np.testing.assert_allclose(start, explorer.view.positions[5] + found.position[rows], atol=1e-4)
    along = (end - start) / np.linalg.norm(end - start, axis=1)[:, None]
    np.testing.assert_allclose(along, found.gradient[rows] / found.magnitude[rows, None], atol=1e-3)
    explorer.select(6)
    assert session.attribution.atom == 6
    explorer.arrows.in_view.value = False
    assert explorer.view.stage._scene["arrows"][1]["arrows"] is None


def test_interactions_are_found_once_their_tab_is_open_and_drawn_in_3d(explorer: GlassExplorer) -> None:
    session, panel = explorer.session, explorer.interactions
    panel.units.value = "species"
    explained(explorer, 5)
    assert session.interactions is None
    explorer.tabs.open("Together")
    found = session.prepared.interactions(5, "species")
    np.testing.assert_array_equal(session.interactions.coalitions, found.coalitions)
    assert "of what the prediction varies by" in panel.note.value.lower()
    panel.in_view.value = True
    assert "interactions" not in explorer.view.stage._scene  # species are many atoms
    glass = session.glass
    near = [int(atom) for atom in np.argsort(np.linalg.norm(glass.displacements_from(5), axis=1))[1:5]]
    session.interactions = session.prepared.interactions(5, {str(atom): [atom] for atom in near})
    start = scene_floats(explorer, "interactions", "cylinders", "start")
    assert len(start) == 6
    drawn = explorer.view.positions[5] + glass.displacements_from(5)[near]
    assert all(np.linalg.norm(drawn - place, axis=1).min() < 1e-4 for place in start)
    assert len(scene_floats(explorer, "triples", "triangles", "position")) == 9
    explained(explorer, 6)
    assert session.interactions.atom == 6
    assert explorer.view.stage._scene["interactions"][1]["cylinders"] is None
    findings, _ = explorer.export._findings()
    assert findings.interactions is session.interactions


def test_the_summary_says_it_in_words(explorer: GlassExplorer) -> None:
    summary, session = explorer.summary, explorer.session
    assert summary.quote.layout.display == "none"
    explanation = explained(explorer)
    assert 'data-explained="7"' in summary.text.value
    summary.quote.value = True
    assert summary.sentence.value == explanation_sentence(explanation, session.glass, k=session.k)
    session.k = 20
    assert summary.sentence.value == explanation_sentence(explanation, session.glass, k=20)
    explorer.select(8)
    assert summary.sentence.layout.display == "none"


def test_two_explanations_are_compared(explorer: GlassExplorer) -> None:
    session, compare = explorer.session, explorer.compare
    explorer.tabs.open("Side by side")
    assert compare.table.value == ""
    first = explained(explorer)
    session.method = "integrated_gradients"
    second = explained(explorer)
    both = agreement(second, first)
    for value in both["both"].dropna():
        assert f"{value:.3f}" in compare.table.value
    assert all(len(panel.figure.data) > 0 for panel in compare.figures)
    groups = {panel.ui.camera_group for panel in compare.figures}
    assert len(groups) == 1
    assert groups != {""}
    session.method = "gnnexplainer"
    explained(explorer, 9)
    keys = list(session.history)
    compare.choose(keys[0], keys[2])
    assert f"{session.predictions[9]:.3f}" in compare.table.value
    compare.figures[1].ui.click(11)
    assert session.selected_atom == 11


def test_what_is_shown_is_compared_and_no_other_atom_goes_by_its_name(explorer: GlassExplorer) -> None:
    session, compare = explorer.session, explorer.compare
    for atom in (3, 7, 9):
        explained(explorer, atom)
    explorer.tabs.open("Side by side")
    assert [choice.value[0] for choice in compare.choices] == [9, 7]
    session.select(3)
    assert [choice.value[0] for choice in compare.choices] == [3, 9]
    assert set(compare.page_figures()) == {"comparison-a", "comparison-b"}
    compare.choose(*list(session.history)[1:])
    assert compare.page_figures() == {}
    session.unit = "pair"
    explained(explorer, 3)
    named = [name for name, _ in compare.choices[0].options]
    assert named[0].endswith("pairs, pairs replaced by mean surroundings and messages")
    assert named[1].endswith("edges, messages replaced by their mean")


def test_two_explorers_do_not_turn_each_other(explorer: GlassExplorer) -> None:
    other = GlassExplorer(explorer.session.glass, explorer.session.predictor)
    assert other.compare.figures[0].ui.camera_group != explorer.compare.figures[0].ui.camera_group


def test_a_closed_explorer_computes_nothing_more(explorer: GlassExplorer) -> None:
    explorer.tabs.open("Rings")
    explorer.tabs.open("Atoms")
    explorer.close()
    assert not any(getattr(panel, "active", False) for panel in explorer.tabs.every.values())
    assert explorer.view.stage.comm is None
    assert explorer.ui.comm is None


def test_the_summary_names_the_surroundings(explorer: GlassExplorer) -> None:
    session, summary = explorer.session, explorer.summary
    explained(explorer)
    assert "Voronoi" not in summary.text.value
    explorer.tabs.open("Atoms")
    cells = voronoi_cells(session.glass)
    assert f"Voronoi index {cells.labels[7]}" in summary.text.value
    assert f"{cells.coordination[7]} neighbours" in summary.text.value
    explorer.select(8)
    assert f"Voronoi index {cells.labels[8]}" in summary.text.value
    assert "Important atoms" not in summary.text.value


def test_surroundings_are_found_unasked_where_a_page_is_shown(explorer: GlassExplorer) -> None:
    explorer.select(7)
    explorer.session.shown = True
    assert explorer.session.cells is None
    explained(explorer)
    assert "Voronoi index" in explorer.summary.text.value


def test_fidelity_is_checked_against_nulls_and_other_methods(explorer: GlassExplorer) -> None:
    session, panel = explorer.session, explorer.fidelity
    first = explained(explorer)
    explorer.tabs.open("Fidelity")
    assert session.error == ""
    observed = panel.result.against_nulls.observed
    shared = np.isin(observed.count, first.fidelity.count)
    np.testing.assert_allclose(observed.kept[shared], first.fidelity.kept, atol=1e-5)
    assert set(panel.result.against_nulls.nulls) == {"random", "nearest", "hop_length_matched"}
    result = panel.result
    session.k = 9
    assert panel.result is result
    session.method = "integrated_gradients"
    explained(explorer)
    assert len(panel.result.known) == 2
    panel.view.value = "sparsity"
    assert {trace.name for trace in panel.figure.figure.data} >= set(panel.result.known)


@pytest.fixture
def calibrated(explorer: GlassExplorer) -> GlassExplorer:
    """An explorer whose network has a spread of 0.2 eV."""
    session = explorer.session
    card = {"protocol": {"calibration": {"floor_ev": 0.2, "scale": 0.0}}}
    calibrated = GlassExplorer(session.glass, Predictor(session.predictor.model, card=card, device="cpu"))
    calibrated.session.method, calibrated.session.settings = session.method, session.settings
    return calibrated


def test_the_spread_of_predictions_is_said_coloured_and_exported(calibrated: GlassExplorer, tmp_path: Path) -> None:
    session = calibrated.session
    assert "uncertainty" in calibrated.view.controls.colour_by.options
    session.colour_by = "uncertainty"
    np.testing.assert_allclose(session.colouring().values, 0.2)
    assert "(eV)" in calibrated.view.legend.value
    explanation = explained(calibrated)
    assert "± 0.20" in calibrated.summary.text.value
    edges = [explanation.prediction + sign * 1.95996 * 0.2 for sign in (-1, 1)]
    target = session.target
    assert f"95 %: {target.number(edges[0])} to {target.text(edges[1])}" in calibrated.summary.text.value
    calibrated.summary.quote.value = True
    assert f"{explanation.prediction:.2f} ± 0.20 eV" in calibrated.summary.sentence.value
    session.select_words("uncertainty < 0.1")
    assert "no atom" in session.error
    export = calibrated.export
    export.folder.value = str(tmp_path)
    for box in export.view.values():
        box.value = False
    for name, box in export.formats.items():
        box.value = name in ("csv", "extxyz", "json")
    files = {path.name.split("__")[-1]: path for path in export.start(wait=True)}
    by_part = {
        part: path for name, path in files.items() for part in ("predictions.csv", "glass.extxyz") if part in name
    }
    assert (pd.read_csv(by_part["predictions.csv"])["spread_eV"] == 0.2).all()
    np.testing.assert_allclose(read(by_part["glass.extxyz"]).arrays["predicted_barrier_spread"], 0.2)


def test_a_network_without_spread_claims_none(explorer: GlassExplorer) -> None:
    explained(explorer)
    assert "uncertainty" not in explorer.view.controls.colour_by.options
    assert "±" not in explorer.summary.text.value
