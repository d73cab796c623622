"""How the selected atom is to be explained: method, settings, what a mask means and acts on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from traitlets import Dict, Enum, HasTraits, Unicode, observe

from symgnn_explain.errors import InputError
from symgnn_explain.explain import DEFAULT_METHOD, METHODS, PGExplainer
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS, MaskSemantics
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.explain.methods.pg_first_use import explainer_at_hand
from symgnn_explain.export.session_file import AMORTISED
from symgnn_explain.models.target import Target, with_tolerance
from symgnn_widgets.state.jobs import Reporter
from symgnn_widgets.state.structure import Structure

Key = tuple[Any, ...]
"""Atom, method, semantics, unit and settings: what an explanation is known by."""


class MethodChoice(HasTraits):
    """The method that is chosen, and what goes with it.

    Parameters
    ----------
    structure
        What is explained; a method that has to be trained is trained on it, when it is first wanted.
    """

    method = Enum(tuple(METHODS), default_value=DEFAULT_METHOD)
    settings = Dict(help="settings of the method; reset to its defaults when the method changes")
    semantics = Enum(MASK_SEMANTICS, help="what masking a message means; reset to the method's own when it changes")
    unit = Enum(UNITS, default_value="edge", help="what is masked as one; reset to the method's own when it changes")
    settings_problem = Unicode(help="one sentence about settings that cannot be used, or empty")

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._explainers: dict[MaskSemantics, PGExplainer] = {}
        self._training, self._stop_training = threading.Lock(), threading.Event()
        super().__init__()
        self._reset_settings(None)

    def configure(self, **settings: Any) -> None:
        """Change some settings of the method, and say at once where they cannot be used."""
        self.settings = {**self.settings, **settings}

    def key_of(self, atom: int | None) -> Key:
        """Return what an explanation of an atom with the present method and settings is known by."""
        return (atom, self.method, self.semantics, self.unit, *sorted(self.settings.items()))

    def become(self, key: Key) -> bool:
        """Choose what an explanation was made with; returns whether its PGExplainer is a file that nobody named here.

        A session that was opened does not say where such a file is.
        """
        _, method, semantics, unit, *made_with = key
        settings = dict(made_with)
        foreign = method == AMORTISED and str(settings["explainer"]).endswith(")")
        if foreign:
            settings["explainer"] = ""
        self.method = method
        self.semantics, self.unit, self.settings = semantics, unit, settings
        return foreign

    @property
    def needs_training(self) -> bool:
        """Whether the method has to be trained before it explains anything."""
        return self.method == AMORTISED and not self.settings["explainer"] and self.semantics not in self._explainers

    def stop_training(self) -> None:
        """Stop the training of a method."""
        self._stop_training.set()

    def taken(self) -> tuple[str, Callable[[Reporter], dict[str, Any]]]:
        """Take what is chosen now, so that later changes do not reach work that is under way.

        Returns
        -------
        tuple
            The method, and what returns the options of :func:`~symgnn_explain.explain.explain_atom` for it: called in
            a thread, it trains what has to be trained.
        """
        method, semantics, unit, settings = self.method, self.semantics, self.unit, dict(self.settings)
        self._stop_training.clear()

        def options(report: Reporter) -> dict[str, Any]:
            trained = {}
            if method == AMORTISED and not settings["explainer"]:
                trained["explainer"] = self._explainer(semantics, report)
            return {"semantics": semantics, "unit": unit, **settings, **trained}

        return method, options

    def _explainer(self, semantics: MaskSemantics, report: Reporter) -> PGExplainer:
        """Return the PGExplainer of this network, trained when it is first wanted.

        Another atom that is selected meanwhile waits for the same training; only Cancel stops it.
        """
        self._training_report = report

        def advance(fraction: float) -> None:
            self._training_report(fraction)  # of whoever waits now

        with self._training:
            if semantics not in self._explainers:
                self._explainers[semantics] = explainer_at_hand(
                    self.structure.prepared, semantics, progress=advance, cancel=self._stop_training
                )
        return self._explainers[semantics]

    @observe("method")
    def _reset_settings(self, _change: object) -> None:
        method = METHODS[self.method]
        self.semantics, self.unit = method.semantics, method.default_unit(describes=self.structure.predictor.describes)
        self.settings = default_settings(self.method, self.structure.target)

    @observe("settings", "semantics", "unit")
    def _check_settings(self, _change: object) -> None:
        try:
            METHODS[self.method].configure(**self.settings)
        except InputError as error:
            self.settings_problem = str(error)
        else:
            self.settings_problem = ""


def default_settings(method: str, target: Target) -> dict[str, Any]:
    """Return the settings of a method as it comes, with the tolerance of what is predicted."""
    return asdict(with_tolerance(METHODS[method].configure(), target))
