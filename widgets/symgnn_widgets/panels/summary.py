"""What the network predicts for the selected atom, and how far the explanation can be trusted."""

from __future__ import annotations

import html

import ipywidgets as widgets
import numpy as np

from symgnn_explain.explain import METHODS
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_widgets.session import Session

Rows = list[tuple[str, str]]

_WHAT = {"edge": "single edges", "bond": "bonds", "atom": "atoms", "polyhedron": "polyhedra", "shell": "shells"}
_MEANING = {"zero": "message set to zero", "removal": "edge removed", "reference": "mean message instead"}


class Summary:
    """The selected atom in words and numbers."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.ui = widgets.HTML()
        session.observe(self._write, ["selected_atom", "explanation"])
        self._write()

    def _write(self, _change: object = None) -> None:
        atom = self.session.selected_atom
        if atom is None:
            self.ui.value = (
                '<div class="symgnn-summary"><h3>No atom selected</h3><div class="symgnn-note">Click an atom in the 3D '
                "view: the network's prediction for it is explained by the edges and atoms it rests on.</div></div>"
            )
            return
        glass, explanation = self.session.glass, self.session.explanation
        rows, warnings = self._barriers_of(atom), list[str]()
        if explanation is not None:
            rows += rows_of(explanation)
            warnings = list(explanation.caveats)
        parts = [
            f"<h3>Atom {atom} <span>{glass.symbols[atom]} in {html.escape(glass.name)}</span></h3><table>",
            *(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows),
            "</table>",
            *(f'<div class="symgnn-warning">{html.escape(sentence)}</div>' for sentence in warnings),
        ]
        self.ui.value = f'<div class="symgnn-summary">{"".join(parts)}</div>'

    def _barriers_of(self, atom: int) -> Rows:
        glass, barriers = self.session.glass, self.session.barriers
        rank = 100.0 * float(np.mean(barriers < barriers[atom]))
        rows = [("Predicted", f"<b>{barriers[atom]:.3f} eV</b>, above {rank:.0f} % of the atoms")]
        if glass.barriers is not None:
            rows.append(("Known", f"{glass.barriers[atom]:.3f} eV"))
        return rows


def rows_of(explanation: AtomExplanation) -> Rows:
    """Name the explanation's own numbers."""
    label = METHODS[explanation.method].label
    rows = [("Explained by", f"{label}, {len(explanation):,} edges in {explanation.wall_time:.1f} s")]
    rows.append(("Masked", f"{_WHAT[explanation.unit]}; a mask means: {_MEANING[explanation.mask_semantics]}"))
    if explanation.masked_prediction is not None:
        rows.append(("With the mask", f"{explanation.masked_prediction:.3f} eV ({explanation.masked_change:+.3f} eV)"))
    return rows
