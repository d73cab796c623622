"""All selected atoms explained, and where their important atoms are."""

from __future__ import annotations

import threading
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from symgnn_explain.analysis import EnrichmentCurve, enrichment_curve, shell_analysis
from symgnn_explain.export.naming import slug
from symgnn_explain.plotting.enrichment import enrichment_figure
from symgnn_explain.runs.markup import element, note
from symgnn_widgets.panels.edges import atom_link, html_table
from symgnn_widgets.panels.figure import ComputedFigure
from symgnn_widgets.state.jobs import Reporter
from symgnn_widgets.state.method import default_settings
from symgnn_widgets.state.population import PopulationRun
from symgnn_widgets.views.controls import button, control, progress_bar
from symgnn_widgets.views.table import Clickable

_FOLDER = "out/explorer"
_EMPTY = "Select atoms and explain them to see where their important atoms are."
_NOTE = (
    "Explains every selected atom with the present method and settings. Each atom is a file in the folder: a run that "
    "was cancelled continues from there."
)


class Population:
    """Explains the selection, lists the atoms, and draws the enrichment over all of them."""

    def __init__(self, many: PopulationRun, height: int) -> None:
        self._many, explaining = many, many.explaining
        selected, choice = explaining.selected, explaining.choice
        self.curve: EnrichmentCurve | None = None
        self.start = button(
            "Explain selection",
            "search-plus",
            "Explain all selected atoms",
            lambda: many.explain_selection(self.folder.value),
            170,
            button_style="primary",
        )
        self.cancel = button("Cancel", "times", "Stop; what is done is kept", many.job.cancel, 84, disabled=True)
        self.folder = control(widgets.Text, "in", "Folder of the explanations", label=16)
        self.bar = progress_bar()
        self.words = widgets.HTML()
        self.table = Clickable(
            lambda _action, atom: selected.look_at(atom), layout={"max_height": "220px", "overflow": "auto"}
        )
        margin = {"l": 56, "r": 10, "t": 40, "b": 150}
        self.figure = ComputedFigure(
            height, margin, explaining.structure, "The population could not be analysed", empty=_EMPTY
        )
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.start, self.cancel, self.folder]),
                widgets.HBox([self.bar, self.words]),
                widgets.HTML(note(_NOTE)),
                self.table,
                self.figure.bar,
                self.figure.ui,
            ]
        )
        choice.observe(self._name_folder, ["method", "settings", "semantics", "unit"])
        many.job.observe(self._show_state, ["status", "progress"])
        selected.observe(self._show_state, "selection")
        many.observe(self._show_atoms, "population")
        self._name_folder()
        self._show_state()

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the enrichment over the latest population, where it is known."""
        return {} if self.curve is None else {"population": enrichment_figure(self.curve)}

    def _name_folder(self, _change: object = None) -> None:
        """Name a folder for what is set now: a folder holds one method with one set of settings."""
        choice = self._many.explaining.choice
        # While the method changes, its settings are still those of the one before.
        usual = default_settings(choice.method, choice.structure.target)
        differing = {name: value for name, value in choice.settings.items() if usual.get(name, value) != value}
        parts = [self._many.explaining.structure.glass.name, choice.method, choice.semantics, choice.unit]
        parts += [f"{name}{value}" for name, value in sorted(differing.items())]
        self.folder.value = str(Path(_FOLDER) / ("population_" + "_".join(map(slug, parts))))

    def _show_state(self, _change: object = None) -> None:
        job, selection = self._many.job, self._many.explaining.selected.selection
        self.start.disabled, self.cancel.disabled = job.running or not selection, not job.running
        self.start.description = f"Explain {len(selection) or ''} selected".replace("  ", " ")
        self.bar.value = job.progress
        self.words.value = element("span", self._many.words, css="symgnn-note")

    def _show_atoms(self, _change: object = None) -> None:
        population = self._many.population
        if population is None:
            return
        self._show_state()
        glass, target = self._many.explaining.structure.glass, self._many.explaining.structure.target
        symbols = glass.symbols
        rows = []
        for place, row in enumerate(population.to_frame().to_dict("records"), start=1):
            change = row["masked_change"]
            moved = "–" if pd.isna(change) else target.number(change, sign=True)
            kept = row.get("sufficiency_50", np.nan)  # unknown of an atom with fewer units than others have
            left = "–" if pd.isna(kept) else target.number(kept)
            rows.append((place, atom_link(row["atom"], symbols), target.number(row["prediction"]), moved, left))
        changed = f"change of the predicted {target.word}"
        masked = element("span", "mask", title=target.axis(f"{changed} under the mask"))
        top = element("span", "top 50", title=target.axis(f"|{changed}| with the 50 most important units alone"))
        predicted = element("span", target.unit or target.word, title=f"predicted {target.word}")
        self.table.value = html_table(("#", "Atom", predicted, masked), top, rows)
        k, structure = self._many.explaining.threshold.k, self._many.explaining.structure

        def work(report: Reporter, _cancel: threading.Event) -> EnrichmentCurve:
            shells, rdf = [], structure.radial_distribution
            for done, explanation in enumerate(population):
                shells.append(shell_analysis(explanation, glass, k, rdf=rdf))
                report(done / len(population))
            return enrichment_curve(shells)

        self.figure.compute(work, self._draw)

    def _draw(self, curve: EnrichmentCurve) -> None:
        self.curve = curve
        self.figure.show(enrichment_figure(curve))
