"""All selected atoms explained together: with progress, and a folder from which a stopped run continues."""

from __future__ import annotations

import threading
from pathlib import Path

from traitlets import HasTraits, Instance

from symgnn_explain.explain import ExplanationSet, PopulationProgress, explain_many
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_widgets.state.explaining import Explaining
from symgnn_widgets.state.jobs import Job, Reporter
from symgnn_widgets.state.method import Key


class PopulationRun(HasTraits):
    """A population: the explanations of many atoms by one method with one set of settings."""

    population = Instance(ExplanationSet, allow_none=True, help="the latest population that was finished")

    def __init__(self, explaining: Explaining) -> None:
        super().__init__()
        self.explaining = explaining
        self._made_with: Key = ()
        self.job = Job(lambda error: explaining.structure.fail("The population could not be explained", error))
        explaining.further.append(self._find)

    def explain_selection(self, folder: str | Path, *, wait: bool = False) -> None:
        """Explain every selected atom with the present method and settings, one record an atom in ``folder``.

        What is in the folder already is not computed again, so that a run that was cancelled, or whose kernel died,
        continues.
        """
        structure, choice = self.explaining.structure, self.explaining.choice
        atoms = self.explaining.selected.selection
        if not atoms:
            structure.error = "No atom is selected: select those that are to be explained together."
            return
        structure.error = ""
        made_with = choice.key_of(None)[1:]
        method, options = choice.taken()
        structure.predict()

        def work(report: Reporter, cancel: threading.Event) -> tuple[Key, ExplanationSet]:
            explanations = explain_many(
                structure.predictor,
                structure.glass,
                atoms,
                method,
                out=folder,
                prepared=structure.prepared_watched(cancel),
                progress=report,
                cancel=cancel,
                **options(report),
            )
            return made_with, explanations

        self.job.start(work, self._keep, wait=wait)

    @property
    def words(self) -> str:
        """How far the population is: atoms done and time left."""
        if self.job.status == "done" and self.population is not None:
            return f"{len(self.population)} atoms explained"
        if self.job.status == "cancelled":
            return "Cancelled"
        return str(self.job.progress) if isinstance(self.job.progress, PopulationProgress) else ""

    def _find(self, key: Key) -> AtomExplanation | None:
        """Find an explanation in the population."""
        population = self.population if key[1:] == self._made_with else None
        return population[key[0]] if population is not None and key[0] in population else None

    def _keep(self, finished: tuple[Key, ExplanationSet]) -> None:
        self._made_with, self.population = finished
