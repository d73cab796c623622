"""All selected atoms explained together: with progress, and a folder from which a stopped run continues."""

from __future__ import annotations

import threading
from pathlib import Path

from traitlets import Enum, Float, Instance, Unicode

from symgnn_explain.explain import ExplanationSet, PopulationProgress, explain_many
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_widgets.state.base import Key, as_sentence
from symgnn_widgets.state.explaining import ExplainingState
from symgnn_widgets.state.jobs import Reporter, Worker


class PopulationState(ExplainingState):
    """A population: the explanations of many atoms by one method with one set of settings."""

    population = Instance(ExplanationSet, allow_none=True, help="the latest population that was finished")
    population_status = Enum(("idle", "running", "done", "cancelled", "failed"), default_value="idle")
    population_progress = Float(0.0)
    population_words = Unicode(help="how far the population is: atoms done and time left")

    def start_populations(self) -> None:
        """Make what explains populations; called once."""
        self._population_made_with: Key = ()
        self._explaining_many: Worker[tuple[Key, ExplanationSet]] = Worker(
            self._advance_population, self._keep_population, self._fail_population
        )

    def explain_selection(self, folder: str | Path, *, wait: bool = False) -> None:
        """Explain every selected atom with the present method and settings, one record an atom in ``folder``.

        What is in the folder already is not computed again, so that a run that was cancelled, or whose kernel died,
        continues.
        """
        atoms = self.selection
        if not atoms:
            self.error = "No atom is selected: select those that are to be explained together."
            return
        self.error = ""
        self.population_progress, self.population_words, self.population_status = 0.0, "", "running"
        method, semantics, unit, settings = self.method, self.semantics, self.unit, dict(self.settings)
        made_with = self.key[1:]
        self._stop_training.clear()

        def work(report: Reporter, cancel: threading.Event) -> tuple[Key, ExplanationSet]:
            explanations = explain_many(
                self.predictor,
                self.glass,
                atoms,
                method,
                out=folder,
                semantics=semantics,
                unit=unit,
                prepared=self.prepared,
                progress=report,
                cancel=cancel,
                **self._completed(method, semantics, settings, report),
            )
            return made_with, explanations

        self._explaining_many.start(work, wait=wait)

    def cancel_population(self) -> None:
        """Stop; the atoms that are done stay in the folder."""
        self._explaining_many.cancel()
        if self.population_status == "running":
            self.population_status = "cancelled"

    def known_explanation(self, key: Key) -> AtomExplanation | None:
        """Find an explanation that was made before, alone or in the population."""
        found = super().known_explanation(key)
        population = self.population if key[1:] == self._population_made_with else None
        if found is None and population is not None and key[0] in population:
            found = population[key[0]]
            self.keep({key: found})
        return found

    def _advance_population(self, fraction: float) -> None:
        self.population_progress = min(max(fraction, 0.0), 1.0)
        if isinstance(fraction, PopulationProgress):
            self.population_words = str(fraction)

    def _keep_population(self, finished: tuple[Key, ExplanationSet]) -> None:
        self._population_made_with, self.population = finished
        self.population_progress, self.population_words = 1.0, f"{len(finished[1])} atoms explained"
        self.population_status = "done"

    def _fail_population(self, error: Exception) -> None:
        self.population_status = "failed"
        self.error = as_sentence("The population could not be explained", error)
