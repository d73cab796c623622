"""What the network predicts for the selected atom, and how far the explanation can be trusted."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np

from symgnn_explain.analysis import VoronoiCells
from symgnn_explain.explain import METHODS
from symgnn_explain.explain.mask_words import MASKED_AS_ONE, mask_meaning
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.sentence import explanation_sentence
from symgnn_explain.runs.markup import Markup, element, joined, note
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.state.structure import NOT_YET
from symgnn_widgets.views.controls import HIDDEN, control, show

Rows = list[tuple[str, object]]

_SPREAD_MEANS = "standard deviation of known values about predictions, as measured on glasses held out of training"


_DOMAIN_MEANS = "1 is the edge: 1 % of the atoms of glasses held out of training lie beyond it"

_INTERVAL_MEANS = "holds that share of the known values of glasses held out of training; wider outside of the domain"


class Summary:
    """The selected atom in words and numbers, and the sentences that a paper would say about it."""

    def __init__(self, scene: Scene) -> None:
        self._explaining, self._scene = scene.explaining, scene
        self.text = widgets.HTML()
        said = "For a paper: made of the numbers of the explanation; select and copy"
        self.sentence = control(widgets.Textarea, "", said, {"width": "98%", **HIDDEN}, rows=5)
        said = "The sentences that a paper would say about this explanation, to copy"
        layout = {"width": "110px", **HIDDEN}
        self.quote = control(widgets.ToggleButton, "In words", said, layout, icon="quote-left")
        self.ui = widgets.VBox([self.text, self.quote, self.sentence]).add_class("symgnn-below")
        self.quote.observe(self._say, "value")
        scene.explaining.selected.observe(self._write, "selected_atom")
        scene.explaining.on_shown(self._write)
        scene.observe(self._write, "cells")
        scene.explaining.structure.observe(self._write, "predicted")
        self._write()

    def _write(self, _change: object = None) -> None:
        atom = self._explaining.selected.selected_atom
        self._say()
        if atom is None:
            hint = note(
                "Click an atom in the 3D view: the network's prediction for it is explained by the edges and atoms it "
                "rests on."
            )
            self.text.value = element(
                "div", element("h3", "No atom selected"), hint, *self._doubts(), css="symgnn-summary"
            )
            return
        glass, explanation, cells = self._explaining.structure.glass, self._explaining.explanation, self._scene.cells
        rows, warnings = self._predicted(atom), list[str]()
        if cells is not None:
            rows.append(("Surroundings", surroundings_of(atom, cells)))
        if explanation is not None:
            if cells is not None:
                rows += important_rows(explanation, cells, self._explaining.threshold.k)
            rows += rows_of(explanation)
            warnings = list(explanation.caveats)
        ids = glass.arrays.get("id")
        named = glass.symbols[atom] if ids is None else f"{glass.symbols[atom]}, id {ids[atom]},"
        heading = element("h3", f"Atom {atom} ", element("span", f"{named} in {glass.name}"))
        numbers = element("table", *(element("tr", element("td", name), element("td", value)) for name, value in rows))
        self.text.value = element(
            "div",
            heading,
            *self._doubts(),
            numbers,
            *_warned(warnings),
            css="symgnn-summary",
            data_explained=None if explanation is None else atom,
        )

    def _doubts(self) -> list[Markup]:
        """Show what speaks against any prediction for this structure: in sight, above the numbers."""
        return _warned([self._explaining.structure.domain_warning])

    def _say(self, _change: object = None) -> None:
        """Write the sentences, where they are asked for."""
        structure, explanation = self._explaining.structure, self._explaining.explanation
        show(self.quote, seen=explanation is not None)
        asked = explanation is not None and self.quote.value
        show(self.sentence, seen=asked)
        if explanation is not None and asked:
            self.sentence.value = explanation_sentence(
                explanation,
                structure.glass,
                k=self._explaining.threshold.k,
                uncertainty=structure.uncertainty_of(explanation.atom),
            )

    def _predicted(self, atom: int) -> Rows:
        structure = self._explaining.structure
        target = structure.target
        if not structure.predicted:
            explanation = self._explaining.explanation
            return [
                (f"Predicted {target.word}", NOT_YET if explanation is None else target.text(explanation.prediction))
            ]
        predictions = structure.predictions
        rank = 100 * np.count_nonzero(predictions < predictions[atom]) // len(predictions)  # no atom is above all
        spread = structure.uncertainty_of(atom)
        shown = "" if spread is None else f" ± {target.number(spread, coarse=True)}"
        uncertain = element("span", shown, title=_SPREAD_MEANS) if shown else ""
        value = element("b", target.number(predictions[atom]), uncertain, target.with_unit(""))
        rows: Rows = [(f"Predicted {target.word}", joined([value, f", above {rank} % of the atoms"]))]
        calibration = structure.predictor.calibration
        if spread is not None and calibration is not None and calibration.half_widths:
            widths = calibration.intervals(np.array([spread])).items()
            low, high = ({level: predictions[atom] + sign * width[0] for level, width in widths} for sign in (-1, 1))
            said = [f"{level} %: {target.number(low[level])} to {target.text(high[level])}" for level in low]
            rows.append(("Interval", element("span", "; ".join(said), title=_INTERVAL_MEANS)))
        if structure.domain is not None:
            score = float(structure.domain[atom])
            where = "inside" if score <= 1 else "outside"
            rows.append(
                ("Domain", element("span", f"{score:.2f}, {where} of what training covered", title=_DOMAIN_MEANS))
            )
        if (known := target.label(structure.glass, atom)) is not None:
            rows.append(("Known", target.text(known)))
        return rows


def _warned(sentences: list[str]) -> list[Markup]:
    return [element("div", sentence, css="symgnn-warning") for sentence in sentences if sentence]


def surroundings_of(atom: int, cells: VoronoiCells) -> Markup:
    """Say what surrounds an atom: Voronoi index and coordination number, by species."""
    counts = zip(cells.species, cells.coordination_by_species()[atom], strict=True)
    neighbours = ", ".join(f"{count} {symbol}" for symbol, count in counts)
    meaning = "numbers of faces of its Voronoi cell with 3, 4, 5 and 6 edges"
    index = element("span", f"Voronoi index {cells.labels[atom]}", title=meaning)
    return joined([index, f", {cells.coordination[atom]} neighbours ({neighbours})"])


def important_rows(explanation: AtomExplanation, cells: VoronoiCells, k: int) -> Rows:
    """Say what surrounds the important atoms, beside all atoms of the glass."""
    atoms = explanation.important_atoms(k)["atom"].to_numpy()
    if not len(atoms):
        return []
    icosahedra = cells.has_index()
    said = (
        f"{len(atoms)}, with {cells.coordination[atoms].mean():.1f} neighbours each (glass "
        f"{cells.coordination.mean():.1f}); icosahedra {icosahedra[atoms].mean():.0%} (glass {icosahedra.mean():.0%})"
    )
    return [("Important atoms", said)]


def rows_of(explanation: AtomExplanation) -> Rows:
    """Name the explanation's own numbers."""
    label, quantity = METHODS[explanation.method].label, explanation.quantity
    rows: Rows = [
        ("Explained by", f"{label}, {len(explanation):,} {explanation.edges_are} in {explanation.wall_time:.1f} s")
    ]
    meaning = mask_meaning(explanation.mask_semantics, explanation.unit)
    rows.append(("Masked", f"{MASKED_AS_ONE[explanation.unit]}; a mask means: {meaning}"))
    if explanation.masked_prediction is not None and explanation.masked_change is not None:
        change = quantity.text(explanation.masked_change, sign=True)
        rows.append(("With the mask", f"{quantity.text(explanation.masked_prediction)} ({change})"))
    checked = explanation.fidelity
    if checked is not None and 50 in checked.count:
        row = list(checked.count).index(50)
        kept, left = (
            quantity.text(value - checked.original, sign=True) for value in (checked.kept[row], checked.removed[row])
        )
        units = MASKED_AS_ONE[explanation.unit]
        meaning = f"how far the prediction moves with the 50 most important {units} alone, and without them"
        rows.append(("Top 50", element("span", f"{kept} alone, {left} without them", title=meaning)))
    return rows
