"""An explorer's session as a file, and back: what is selected, chosen, explained and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from traitlets import TraitError

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import require_method
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export.session_file import PredictorIdentity, SavedSession, read_session, write_session
from symgnn_explain.models.predictor import Predictor
from symgnn_widgets.state.base import Key
from symgnn_widgets.state.explaining import AMORTISED
from symgnn_widgets.state.session import Session

_CHOSEN = (
    *("explain_on_click", "method", "semantics", "unit", "settings", "threshold_by", "share", "least", "k"),
    *("colour_by", "shown_range", "outside", "slab_axis", "slab", "cell_shown", "regions", "region_share"),
)
"""Traits that are saved, in the order in which they are set again: some reset those after them."""
_SHOWN = "shown_explanation"


def save_session(session: Session, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a session as one ``.symgnn`` file.

    Raises
    ------
    InputError
        If the file exists and may not be replaced, or the suffix is another.
    """
    explanations = list(session.history.values())
    shown = session.explanation
    if shown is not None and not any(known is shown for known in explanations):
        explanations.append(shown)
    state = {name: _plain(getattr(session, name)) for name in _CHOSEN}
    state["selection"] = [int(atom) for atom in session.selection]
    state["selected_atom"] = session.selected_atom
    state[_SHOWN] = next((place for place, known in enumerate(explanations) if known is shown), None)
    saved = SavedSession(session.glass, PredictorIdentity.of(session.predictor), tuple(explanations), state)
    return write_session(saved, path, overwrite=overwrite)


def open_session(
    path: str | Path, *, predictor: Predictor | None = None, weights: str | Path | None = None
) -> tuple[SavedSession, Predictor]:
    """Read a session file, and load its network; panels follow changes, so :func:`restore` comes once they are made.

    Parameters
    ----------
    predictor
        Taken where it is the network that the session was made with, so that nothing has to be loaded.
    weights
        Where that network is now, if it is not where it was.

    Raises
    ------
    InputError
        If the file is damaged, or the network is missing or another one.
    """
    saved = read_session(path)
    if predictor is None or weights is not None or not saved.predictor.is_of(predictor):
        predictor = saved.predictor.load(weights)
    return saved, predictor


def restore(session: Session, saved: SavedSession) -> None:
    """Bring a session of the same glass and network into the state in which it was saved.

    Raises
    ------
    InputError
        If the state is none of an explorer.
    """
    session.keep({_key_of(explanation): explanation for explanation in saved.explanations})
    try:
        _restore(session, saved.state, saved.explanations)
    except (KeyError, IndexError, TypeError, ValueError, TraitError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"the state of the session cannot be used ({said}): save it again.") from error


def _restore(session: Session, state: Mapping[str, Any], explanations: tuple[AtomExplanation, ...]) -> None:
    selection = [session.glass.require_atom(atom) for atom in state["selection"]]
    atom, shown = state["selected_atom"], state[_SHOWN]
    chosen = {name: state[name] for name in _CHOSEN}
    require_method(chosen["method"]).configure(**chosen["settings"])
    for name in ("method", "semantics", "unit", "settings"):
        session.set_trait(name, chosen[name])
    session.selection = tuple(selection)
    session.selected_atom = None if atom is None else session.glass.require_atom(atom)
    session.explanation = None if shown is None else explanations[shown]
    for name in _CHOSEN:
        value = chosen[name]
        session.set_trait(name, tuple(value) if isinstance(value, list) else value)


def _key_of(explanation: AtomExplanation) -> Key:
    """Return what the explanation is known by in the history."""
    settings = dict(explanation.settings)
    if explanation.method == AMORTISED:
        # It says which file it was loaded from, or none, and the beginning of its hash.
        settings["explainer"] = re.sub(r"^(PGExplainer|(.*)) \(\w+\)$", r"\2", settings["explainer"])
    made_with = sorted(settings.items())
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
