"""An explorer's session as a file, and back: what is selected, chosen, explained and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export.session_file import (
    AMORTISED,
    PredictorIdentity,
    SavedSession,
    read_session,
    require_settings,
    write_session,
)
from symgnn_explain.export.session_parts import UNIDENTIFIED, SavedStep, SavedTrajectory, potential_hash
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.protocol import name_of
from symgnn_explain.models.registry import Network
from symgnn_explain.runs.plain import NotPlainError, entry, finite, numbers, one_of, settings, shown, whole, word
from symgnn_explain.saddles import Calculator, EamCalculator, find_potential
from symgnn_widgets.state.colour import AXES, OUTSIDE, REGIONS
from symgnn_widgets.state.frames import Frames
from symgnn_widgets.state.method import Key, default_settings
from symgnn_widgets.state.session import Session
from symgnn_widgets.state.steps import Step
from symgnn_widgets.state.threshold import THRESHOLDS

_CHOSEN = (
    *("explain_on_click", "method", "semantics", "unit", "settings", "threshold_by", "share", "least", "k"),
    *("colour_by", "shown_range", "outside", "slab_axis", "slab", "cell_shown", "regions", "region_share"),
)
"""Traits that are saved, in the order in which they are set again: some reset those after them."""
_SHOWN = "shown_explanation"
_CHOICES: dict[str, tuple[str, ...]] = {
    "method": tuple(METHODS),
    "semantics": MASK_SEMANTICS,
    "unit": UNITS,
    "threshold_by": THRESHOLDS,
    "outside": OUTSIDE,
    "slab_axis": ("", *AXES),
    "regions": REGIONS,
}


def save_session(session: Session, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a session as one ``.symgnn`` file.

    Of a trajectory it holds the frame that is explained, which one is looked at, and where the file is.

    Raises
    ------
    InputError
        If the file exists and may not be replaced, or the suffix is another.
    """
    return write_session(snapshot(session, Path(path).parent)(), path, overwrite=overwrite)


def snapshot(session: Session, folder: Path) -> Callable[[], SavedSession]:
    """Take down the state of a session as it is now; what is returned completes it, anywhere and later.

    The file of a trajectory is read for its hash then, which may take long.

    Parameters
    ----------
    folder
        Where the session will be saved.
    """
    explanations, shown = list(session.explaining.history.values()), session.explaining.explanation
    if shown is not None and not any(known is shown for known in explanations):
        explanations.append(shown)
    state = {name: _plain(getattr(session.owner(name), name)) for name in _CHOSEN}
    if session.choice.method == AMORTISED:
        # Where a trained explainer lies is nobody else's concern.
        state["settings"] = {"explainer": Path(str(session.choice.settings["explainer"])).name}
    state["selection"] = [int(atom) for atom in session.selected.selection]
    state["selected_atom"] = session.selected.selected_atom
    state[_SHOWN] = next((place for place, known in enumerate(explanations) if known is shown), None)
    frames, places = session.frames, {key: place for place, key in enumerate(session.explaining.history)}
    steps, step = session.steps.listed
    saved = SavedSession(
        session.structure.glass,
        PredictorIdentity.of(session.structure.predictor),
        tuple(explanations),
        state,
        None,
        session.editing.saved,
        tuple(SavedStep(each.selection, each.atom, places.get(each.key)) for each in steps),
        step,
    )
    if frames is None:
        return lambda: saved
    trajectory, numbers, calculator = frames.trajectory, (frames.home, frames.number), frames.calculator
    return lambda: replace(saved, trajectory=SavedTrajectory.of(trajectory, folder, *numbers, calculator=calculator))


def open_session(
    path: str | Path, *, predictor: Predictor | None = None, weights: str | Path | None = None
) -> tuple[SavedSession, Predictor]:
    """Read a session file, and load its network; panels follow changes, so :func:`restore` comes once they are made.

    Parameters
    ----------
    predictor
        Taken where it is the network that the session was made with, so that nothing has to be loaded.
    weights
        Where that network is, if it is not the one that ships. No path in the file is ever looked at.

    Raises
    ------
    InputError
        If the file is damaged or its state is none of an explorer, or the network is missing or another one.
    """
    saved = read_session(path)
    if predictor is None or weights is not None or not saved.predictor.is_of(predictor):
        try:
            predictor = saved.predictor.load(weights)
        except InputError as error:
            if predictor is None or weights is not None or isinstance(predictor.model, Network):
                raise
            raise InputError(
                f"the session was made with another network, or with other settings of it, than the "
                f"{name_of(predictor.model)} at hand: give the predictor that it was made with."
            ) from error
    _require_state(saved)
    return saved, predictor


def session_of(
    saved: SavedSession,
    predictor: Predictor,
    folder: Path | None,
    *,
    trajectory: str | Path | None = None,
    calculator: Calculator | None = None,
    later: bool = False,
) -> tuple[Session, list[str]]:
    """Make the session that was saved, with its frames and edits; its state comes with :func:`restore`.

    Parameters
    ----------
    folder
        Of the file; None where it was uploaded.
    trajectory
        Where the trajectory is now.
    calculator
        The potential that its frames were relaxed with; what ``find_potential`` finds where None.
    later
        As of the session.

    Returns
    -------
    tuple
        The session, and sentences about what could not be brought back.

    Raises
    ------
    InputError
        If edits cannot be made again.
    """
    session, problems = Session(saved.glass, predictor, later=later), list[str]()
    try:
        session.editing.resume(saved.edits)
    except InputError as error:
        raise InputError(f"the edits of the session cannot be made again: {error}") from error
    if saved.trajectory is not None:
        try:
            session.frames = _frames_of(session, saved.trajectory, folder, trajectory, calculator)
        except InputError as error:
            problems.append(f"The other frames are not shown: {error}")
    return session, problems


def _frames_of(
    session: Session,
    saved: SavedTrajectory,
    folder: Path | None,
    given: str | Path | None,
    calculator: Calculator | None,
) -> Frames:
    if saved.potential == UNIDENTIFIED:
        raise InputError("they were relaxed with a potential that nothing identifies: open the trajectory by itself.")
    if saved.potential:
        calculator = calculator or EamCalculator(find_potential())
        if potential_hash(calculator) != saved.potential:
            raise InputError("they were relaxed with another potential: open the session with it, as calculator=….")
    trajectory = saved.open(folder, session.structure.glass, given)
    frames = Frames(trajectory, session.structure, saved.home, calculator if saved.potential else None)
    frames.go_to(saved.number)
    return frames


def restore(session: Session, saved: SavedSession, problems: Sequence[str] = ()) -> None:
    """Bring a session of the same glass and network into the state in which it was saved.

    What cannot be brought back, as a colouring that this version does not know, is left as it is; the message
    says so, after the ``problems`` of :func:`session_of`.

    Raises
    ------
    InputError
        If the state is none of an explorer.
    """
    _require_state(saved)
    session.explaining.keep({_key_of(explanation): explanation for explanation in saved.explanations})
    state, problems = dict(saved.state), list(problems)
    usual = default_settings(state["method"], session.structure.target)
    try:
        require_settings(state["method"], state["settings"])
    except InputError as error:
        problems.append(f"Settings of the session were left out: {error}")
        state["settings"] = {}
    if state["method"] == AMORTISED and state["settings"].get("explainer"):
        problems.append("The trained PGExplainer of the session is a file of its own: name it again to use it.")
        state["settings"] = {}
    if missing := [name for name in usual if name not in state["settings"]]:
        problems.append(f"Settings that the session lacks have their defaults: {', '.join(missing)}.")
    state["settings"] = usual | state["settings"]
    if state["colour_by"] not in session.colours.colour_choices:
        problems.append(f"The glass has nothing called {shown(state['colour_by'])} to colour by.")
        state |= {"colour_by": session.colours.colour_by, "shown_range": None}
    for name in ("method", "semantics", "unit", "settings"):
        session.choice.set_trait(name, state[name])
    session.selected.selection = tuple(state["selection"])
    session.selected.selected_atom = state["selected_atom"]
    shown_explanation = state[_SHOWN]
    session.explaining.explanation = None if shown_explanation is None else saved.explanations[shown_explanation]
    for name in _CHOSEN:
        value = state[name]
        session.owner(name).set_trait(name, tuple(value) if isinstance(value, list) else value)
    if saved.steps:
        keys = [*map(_key_of, saved.explanations)]
        steps = [
            Step(each.selection, each.atom, None if each.explanation is None else keys[each.explanation])
            for each in saved.steps
        ]
        session.steps.resume(steps, saved.step)
    if problems:
        session.structure.error = " ".join(problems)


def _require_state(saved: SavedSession) -> None:
    """Raise InputError unless the state of a session is one that an explorer can be in."""
    try:
        _check_state(saved)
    except NotPlainError as error:
        raise InputError(f"the state of the session cannot be used ({error}): save it again.") from error


def _check_state(saved: SavedSession) -> None:
    state, n_atoms = saved.state, len(saved.glass)
    for name in ("explain_on_click", "cell_shown"):
        entry(state, name, bool)
    for name, known in _CHOICES.items():
        one_of(state, name, known)
    word(state, "colour_by")
    finite(state, "share", least=0.01, most=1.0)
    finite(state, "least", least=0.0, most=1e6)
    finite(state, "region_share", least=0.01, most=0.5)
    whole(state, "k", least=1)
    settings(state, "settings")
    for name in ("shown_range", "slab"):
        if entry(state, name, list, type(None)) is not None:
            low, high = numbers(state, name, np.float64, (2,))
            if low > high:
                raise NotPlainError(f"its {name} runs backwards")
    chosen = numbers(state, "selection", np.int64, (None,))
    if len(set(chosen.tolist())) != len(chosen) or chosen.min(initial=0) < 0 or chosen.max(initial=0) >= n_atoms:
        raise NotPlainError("its selection names atoms twice, or that do not exist")
    atom = entry(state, "selected_atom", int, type(None))
    if atom is not None and atom not in chosen:
        raise NotPlainError("the atom that it looks at is not among the selected ones")
    if entry(state, _SHOWN, int, type(None)) is not None:
        place = whole(state, _SHOWN, most=len(saved.explanations) - 1)
        if saved.explanations[place].atom != atom:
            raise NotPlainError("the explanation that it shows is of another atom than the one it looks at")


def _key_of(explanation: AtomExplanation) -> Key:
    """Return what the explanation is known by in the history."""
    used = dict(explanation.settings)
    if explanation.method == AMORTISED and str(used.get("explainer", "")).startswith("PGExplainer ("):
        used["explainer"] = ""  # the one that is trained at first use
    made_with = sorted(used.items())
    return (explanation.atom, explanation.method, explanation.mask_semantics, explanation.unit, *made_with)


def _plain(value: Any) -> Any:
    """Turn the value of a trait into what JSON holds."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return value
