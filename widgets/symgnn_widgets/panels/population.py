"""All selected atoms explained, and where their important atoms are."""

from __future__ import annotations

import threading
from pathlib import Path

import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go

from symgnn_explain.analysis import EnrichmentCurve, enrichment_curve, shell_analysis
from symgnn_explain.export.naming import slug
from symgnn_explain.plotting.enrichment import enrichment_figure
from symgnn_explain.runs.markup import element, note
from symgnn_widgets.panels.edges import atom_link, html_table
from symgnn_widgets.panels.figure import FigurePanel
from symgnn_widgets.state.explaining import default_settings
from symgnn_widgets.state.jobs import Reporter, Worker
from symgnn_widgets.state.session import Session, as_sentence
from symgnn_widgets.views.table import Clickable

_FOLDER = "out/explorer"
_EMPTY = "Select atoms and explain them to see where their important atoms are."
_NOTE = (
    "Explains every selected atom with the present method and settings. Each atom is a file in the folder: a run that "
    "was cancelled continues from there."
)


class Population:
    """Explains the selection, lists the atoms, and draws the enrichment over all of them.

    Parameters
    ----------
    session
        Whose selection is explained.
    height
        Of the figure, pixels.
    """

    def __init__(self, session: Session, height: int) -> None:
        self.session = session
        self.curve: EnrichmentCurve | None = None
        self.start = widgets.Button(
            description="Explain selection",
            icon="search-plus",
            button_style="primary",
            tooltip="Explain all selected atoms",
            layout={"width": "170px"},
        )
        self.cancel = widgets.Button(
            description="Cancel",
            icon="times",
            disabled=True,
            tooltip="Stop; what is done is kept",
            layout={"width": "84px"},
        )
        self.folder = widgets.Text(
            description="in",
            tooltip="Folder of the explanations",
            style={"description_width": "16px"},
            layout={"width": "auto", "flex": "1 1 0"},
        )
        self.bar = widgets.FloatProgress(min=0.0, max=1.0, layout={"width": "auto", "flex": "1 1 0"})
        self.words = widgets.HTML()
        self.table = Clickable(
            lambda _action, atom: self._look(atom), layout={"max_height": "220px", "overflow": "auto"}
        )
        self.figure = FigurePanel(height, margin={"l": 56, "r": 10, "t": 40, "b": 150}, empty=_EMPTY)
        self.ui = widgets.VBox(
            [
                widgets.HBox([self.start, self.cancel, self.folder]),
                widgets.HBox([self.bar, self.words]),
                widgets.HTML(note(_NOTE)),
                self.table,
                self.figure.ui,
            ]
        )
        self._worker: Worker[EnrichmentCurve] = Worker(lambda _fraction: None, self._draw, self._fail)
        self.start.on_click(lambda _button: session.explain_selection(self.folder.value))
        self.cancel.on_click(lambda _button: session.cancel_population())
        session.observe(self._name_folder, ["method", "settings", "semantics", "unit"])
        session.observe(self._show_state, ["population_status", "population_progress", "population_words", "selection"])
        session.observe(self._show_atoms, "population")
        self._name_folder()
        self._show_state()

    def page_figures(self) -> dict[str, go.Figure]:
        """Draw the enrichment over the latest population, where it is known."""
        return {} if self.curve is None else {"population": enrichment_figure(self.curve)}

    def _look(self, atom: int) -> None:
        """Look at an atom and keep the selection; its explanation is known."""
        if atom in self.session.selection:
            self.session.selected_atom = atom
        else:
            self.session.select(atom)

    def _name_folder(self, _change: object = None) -> None:
        """Name a folder for what is set now: a folder holds one method with one set of settings."""
        session = self.session
        # While the method changes, its settings are still those of the one before.
        usual = default_settings(session.method, session.target)
        differing = {name: value for name, value in session.settings.items() if usual.get(name, value) != value}
        parts = [session.glass.name, session.method, session.semantics, session.unit]
        parts += [f"{name}{value}" for name, value in sorted(differing.items())]
        self.folder.value = str(Path(_FOLDER) / ("population_" + "_".join(map(slug, parts))))

    def _show_state(self, _change: object = None) -> None:
        session = self.session
        running = session.population_status == "running"
        self.start.disabled, self.cancel.disabled = running or not session.selection, not running
        self.start.description = f"Explain {len(session.selection) or ''} selected".replace("  ", " ")
        self.bar.value = session.population_progress
        text = "Cancelled" if session.population_status == "cancelled" else session.population_words
        self.words.value = element("span", text, css="symgnn-note")

    def _show_atoms(self, _change: object = None) -> None:
        session, population = self.session, self.session.population
        if population is None:
            return
        symbols, target = session.glass.symbols, session.target
        rows = []
        for place, row in enumerate(population.to_frame().to_dict("records"), start=1):
            change = row["masked_change"]
            moved = "–" if pd.isna(change) else target.number(change, sign=True)
            kept = target.number(row["sufficiency_50"]) if "sufficiency_50" in row else "–"
            rows.append((place, atom_link(row["atom"], symbols), target.number(row["prediction"]), moved, kept))
        changed = f"change of the predicted {target.word}"
        masked = element("span", "mask", title=target.axis(f"{changed} under the mask"))
        top = element("span", "top 50", title=target.axis(f"{changed} with the 50 most important units alone"))
        predicted = element("span", target.unit or target.word, title=f"predicted {target.word}")
        self.table.value = html_table(("#", "Atom", predicted, masked), top, rows)
        glass, k, rdf = session.glass, session.k, session.radial_distribution

        def work(report: Reporter, _cancel: threading.Event) -> EnrichmentCurve:
            shells = []
            for done, explanation in enumerate(population):
                shells.append(shell_analysis(explanation, glass, k, rdf=rdf))
                report(done / len(population))
            return enrichment_curve(shells)

        self._worker.start(work)

    def _draw(self, curve: EnrichmentCurve) -> None:
        self.curve = curve
        self.figure.show(enrichment_figure(curve))

    def _fail(self, error: Exception) -> None:
        self.session.error = as_sentence("The population could not be analysed", error)
