"""The state inside a session file comes from anyone: it is used, left out with a sentence, or refused in one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.export.session_file import SavedSession, read_session, write_session
from symgnn_widgets import GlassExplorer
from symgnn_widgets.state.saved import open_session, restore

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 7, 10**30, 0.5, -0.5, "", "<b>", "edge", "x" * 10**5),
    *([], [0], [0, 0], ["<b>"], [216], [3.5, 1.0], {}, {"epochs": "<b>"}, {"<b>": 1}, {"epochs": [1]}),
)


@pytest.fixture
def saved(explorer: GlassExplorer, tmp_path: Path) -> SavedSession:
    explorer.select(7)
    assert explorer.explain(wait=True) is not None
    explorer.session.select_many([3], add=True)
    return read_session(explorer.save(tmp_path / "s.symgnn"))


def test_every_odd_value_is_used_left_out_or_refused(saved: SavedSession, explorer: GlassExplorer) -> None:
    used = 0
    for name in saved.state:
        for odd in ODD:
            session = explorer.session
            session.error = ""
            try:
                restore(session, replace(saved, state={**saved.state, name: odd}))
            except InputError as error:
                assert str(error).startswith("the state of the session cannot be used (")  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
                continue
            used += 1
            assert session.settings_problem == ""
            now = getattr(session, name, odd)
            same = now == odd or (isinstance(odd, list) and list(now) == odd)
            assert same or session.error, f"{name} = {odd!r} was not used, and nothing says so"
    assert used > len(saved.state)


def test_a_session_without_a_part_of_its_state_is_refused(saved: SavedSession, explorer: GlassExplorer) -> None:
    for name in saved.state:
        less = {key: value for key, value in saved.state.items() if key != name}
        with pytest.raises(InputError, match=f"it has no {name}"):
            restore(explorer.session, replace(saved, state=less))


def test_a_trained_explainer_of_someone_else_is_never_opened(
    saved: SavedSession, explorer: GlassExplorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when the session is opened, nor when one goes back to an explanation of its history."""
    path = tmp_path / "trap.safetensors"
    asked: list[str] = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: asked.append(self.name) or real(self))
    forged = replace(
        saved.explanations[0], method="pg_explainer", settings={"explainer": f"{path} (0123456789ab)"}, signed=False
    )
    state = {**saved.state, "method": "pg_explainer", "settings": {"explainer": str(path)}, "shown_explanation": None}
    file = write_session(replace(saved, explanations=(forged,), state=state), tmp_path / "trap.symgnn")
    opened, _ = open_session(file, predictor=explorer.session.predictor)
    restore(explorer.session, opened)
    assert "name it again" in explorer.session.error
    explorer.session.recall(next(key for key in explorer.session.history if key[1] == "pg_explainer"))
    assert explorer.session.settings == {"explainer": ""}
    assert explorer.explanation is not None
    assert explorer.explanation.method == "pg_explainer"
    assert asked == [file.name]


def test_the_place_of_a_trained_explainer_is_not_stored(explorer: GlassExplorer, tmp_path: Path) -> None:
    explorer.session.method = "pg_explainer"
    explorer.session.configure(explainer=str(tmp_path / "mine.safetensors"))
    saved = read_session(explorer.save(tmp_path / "s.symgnn"))
    assert str(tmp_path) not in json.dumps(dict(saved.state))


def test_a_defect_is_not_taken_for_a_bad_state(saved: SavedSession, explorer: GlassExplorer) -> None:
    def defect(_change: object) -> None:
        raise KeyError("a defect")

    explorer.session.colours.observe(defect, "colour_by")
    with pytest.raises(KeyError, match="a defect"):
        restore(explorer.session, replace(saved, state={**saved.state, "colour_by": "species"}))


def test_ranges_come_back_and_backwards_ones_do_not(saved: SavedSession, explorer: GlassExplorer) -> None:
    restore(explorer.session, replace(saved, state={**saved.state, "shown_range": [1.0, 2.0]}))
    assert explorer.session.shown_range == (1.0, 2.0)
    for backwards in ([2.0, 1.0], [1.0, float("inf")], [1, 2, 3]):
        with pytest.raises(InputError, match="its shown_range"):
            restore(explorer.session, replace(saved, state={**saved.state, "shown_range": backwards}))


def test_the_explanation_shown_is_of_the_atom_looked_at(saved: SavedSession, explorer: GlassExplorer) -> None:
    assert np.isin(saved.explanations[0].atom, saved.state["selection"])
    with pytest.raises(InputError, match="of another atom"):
        restore(explorer.session, replace(saved, state={**saved.state, "selected_atom": 3}))


def test_a_colouring_is_made_once_until_what_it_is_made_of_changes(explorer: GlassExplorer) -> None:
    session = explorer.session
    colours = session.colours
    predicted = colours.colouring()
    explorer.select(3)
    explorer.explain(wait=True)
    assert colours.colouring() is predicted
    assert predicted.rgb() is predicted.rgb()
    assert not predicted.rgb().flags.writeable
    colours.colour_by = "importance"
    first = colours.colouring()
    explorer.select(8)
    explorer.explain(wait=True)
    assert first.values[3] == first.values.max()
    assert (colours.colouring().values != first.values).any()
    colours.recolour()
    assert colours.colouring() is not first
