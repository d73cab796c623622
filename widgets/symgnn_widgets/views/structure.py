"""The 3D view of the glass: coloured atoms, the cell, the selected atom and what explains it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import numpy as np

from symgnn_explain.analysis import SmoothField, smooth_field
from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.runs.markup import Markup, joined, note
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_widgets.state.colour import SHOWN
from symgnn_widgets.state.colourings import OF_EXPLANATIONS
from symgnn_widgets.state.colours import PREDICTION_SCALE, colour_bar
from symgnn_widgets.state.jobs import Worker
from symgnn_widgets.state.session import Session, as_sentence
from symgnn_widgets.views.highlight import (
    ARROWS,
    Highlight,
    arrow_cylinders,
    cell_edges,
    drawn_radii,
    mark_atom,
    mark_atoms,
    mark_explanation,
    ring_cylinders,
)
from symgnn_widgets.views.stage import Stage, base64_bytes, base64_floats, base64_integers
from symgnn_widgets.views.view_controls import ViewControls

VIEW_HEIGHT = "350px"
DIMMED_OPACITY = 0.13
SHELL_OPACITY = 0.4
SKIN_OPACITY = 0.5
OPACITY_AMONG_SKINS = 0.05
CELL_RADIUS = 0.06  # Å
CELL_COLOUR = (0.45, 0.45, 0.5)


class StructureView:
    """Draws the session's glass; a click on an atom selects it.

    Parameters
    ----------
    session
        What is shown and selected.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.positions = wrapped_positions(session.glass)
        self.stage = Stage(
            VIEW_HEIGHT,
            on_ready=lambda: session.set_trait("shown", True),
            on_pick=lambda atom, add: session.pick(atom, add=add),
            on_picture=self._keep_picture,
            on_failure=lambda sentence: session.set_trait("error", sentence),
        )
        self.legend = widgets.HTML()
        self.controls = ViewControls(
            session, self.positions, focus=lambda: self.stage.look_at("selection"), reset=self.stage.reset_view
        )
        self.ui = widgets.VBox([self.controls.bar, self.stage, self.legend, self.controls.filters])
        self._field: SmoothField | None = None
        self._smoothing: Worker[SmoothField] = Worker(lambda _fraction: None, self._keep_field, self._fail_field)
        self._load()
        self._draw_selection()
        self._draw_others()
        self._show_legend()
        self.controls.dim.observe(self._draw_selection, "value")
        session.observe(self._recolour, ["colour_by", "explanation"])
        session.observe(
            self._draw_selection, ["selection", "selected_atom", "explanation", "preview", "k", "colour_by"]
        )
        session.observe(self._draw_others, ["selection", "selected_atom", "colour_by"])
        session.observe(self._filter, ["shown_range", "outside", "slab", "slab_axis"])
        session.observe(self._draw_ring, "ring")
        session.observe(self._draw_arrows, ["attribution", "arrows_shown"])
        session.observe(self._draw_cell, "cell_shown")
        session.observe(self._draw_regions, ["regions", "region_share"])
        session.observe(self._take_picture, "picture_wanted")
        session.observe(self._show_legend, ["selected_atom", "explanation", "colour_by"])

    def _load(self) -> None:
        self._recolour()
        self.stage.set_scene("glass", "load", pdb=pdb_text(self.session.glass, self.positions))
        self._draw_cell()

    def _draw_cell(self, _change: object = None) -> None:
        start, end = cell_edges(self.session.glass)
        frame = _cylinders(start, end, np.tile(CELL_COLOUR, (12, 1)), np.full(12, CELL_RADIUS))
        self.stage.set_scene("cell", "draw", name="cell", cylinders=frame if self.session.cell_shown else None)

    def _recolour(self, change: dict[str, Any] | None = None) -> None:
        # An explanation that comes or goes changes only the colours that are made of it.
        if change is None or change["name"] == "colour_by" or self.session.colour_by in OF_EXPLANATIONS:
            self.stage.set_scene("colours", "colour", colours=base64_bytes(self.session.colouring().rgb()))

    def _filter(self, _change: object = None) -> None:
        drawn = self.session.visibility(self.positions)
        everything = bool((drawn == SHOWN).all())
        self.stage.set_scene("filter", "filter", drawn=None if everything else base64_bytes(drawn))

    def _draw_selection(self, _change: object = None) -> None:
        drawn = self.highlight()
        self.controls.zoom.disabled = drawn is None
        several = len(self.session.selection) > 1
        explained = (self.session.explanation or self.session.preview) is not None
        faded = self.controls.dim.value and (explained or several or bool(self.session.regions))
        opacity = 1.0 if not faded else OPACITY_AMONG_SKINS if self.session.regions else DIMMED_OPACITY
        if drawn is None:
            self.stage.set_scene("selection", "draw", name="selection", opacity=opacity)
            return
        self.stage.set_scene(
            "selection",
            "draw",
            name="selection",
            spheres=_spheres(drawn),
            cylinders=_cylinders(drawn.start, drawn.end, drawn.edge_colour, drawn.edge_radius)
            if len(drawn.start)
            else None,
            opacity=opacity,
            explained=None if self.session.explanation is None else self.session.explanation.atom,
        )

    def _draw_others(self, _change: object = None) -> None:
        """Mark the atoms that are selected beside the one that is looked at."""
        session = self.session
        others = [atom for atom in session.selection if atom != session.selected_atom]
        if not others and "others" not in self.stage.scene_keys:
            return
        atoms = shells = None
        if others:
            drawn = mark_atoms(others, session.glass, self.positions)
            own = replace(
                drawn, colour=session.colouring().rgb()[others] / 255.0, radius=drawn_radii(session.glass)[others]
            )
            atoms, shells = _spheres(own), _spheres(drawn)
        self.stage.set_scene("others", "draw", name="others", spheres=atoms)
        self.stage.set_scene("shells", "draw", name="shells", spheres=shells, translucent=SHELL_OPACITY)

    def _draw_ring(self, _change: object = None) -> None:
        session = self.session
        if session.ring is None and "ring" not in self.stage.scene_keys:
            return
        near = None if session.selected_atom is None else self.positions[session.selected_atom]
        drawn = None if session.ring is None else _cylinders(*ring_cylinders(session.ring, session.glass, near))
        self.stage.set_scene("ring", "draw", name="ring", cylinders=drawn)

    def _draw_arrows(self, _change: object = None) -> None:
        session = self.session
        shown = session.attribution if session.arrows_shown else None
        if shown is None and "arrows" not in self.stage.scene_keys:
            return
        drawn = None if shown is None else _cylinders(*arrow_cylinders(shown, ARROWS, self.positions[shown.atom]))
        self.stage.set_scene("arrows", "draw", name="arrows", arrows=drawn)

    def _draw_regions(self, _change: object = None) -> None:
        """Draw skins around soft and hard regions; the field that they are regions of is computed once."""
        session = self.session
        self._draw_selection()
        if not session.regions:
            if "regions" in self.stage.scene_keys:
                self.stage.set_scene("regions", "regions", skins=[])
            return
        if self._field is None:
            self._smoothing.start(lambda _report, _cancel: smooth_field(session.glass, session.predictions))
            return
        field, share = self._field, session.region_share
        skins = [
            {"above": above, "level": field.level(1 - share if above else share), "colour": PREDICTION_SCALE[end]}
            for name, above, end in (("soft", False, 0), ("hard", True, -1))
            if name in session.regions
        ]
        matrix = np.vstack([np.column_stack([field.step, np.zeros(3)]), [*field.origin, 1.0]])
        self.stage.set_scene(
            "regions",
            "regions",
            field=base64_floats(field.values.ravel(order="F")),
            size=list(field.values.shape),
            matrix=matrix.ravel().tolist(),
            skins=skins,
            opacity=SKIN_OPACITY,
        )

    def _keep_field(self, field: SmoothField) -> None:
        self._field = field
        self._draw_regions()

    def _fail_field(self, error: Exception) -> None:
        self.session.error = as_sentence("The regions could not be found", error)

    def highlight(self) -> Highlight | None:
        """Lay out what is drawn on top of the glass, if anything is selected."""
        session = self.session
        explanation = session.explanation or session.preview
        if explanation is not None:
            colours = session.colouring().rgb()
            return mark_explanation(explanation, session.glass, session.k, self.positions, colours)
        if session.selected_atom is not None:
            return mark_atom(session.selected_atom, session.glass, self.positions)
        return None

    def _show_legend(self, _change: object = None) -> None:
        self.legend.value = self.legend_markup()

    def legend_markup(self) -> Markup:
        """Build the colour bar, and what there is to say of it."""
        colouring, atom = self.session.colouring(), self.session.selected_atom
        missing = self.session.missing_colouring
        bar = colour_bar(colouring, None if atom is None else float(colouring.values[atom]))
        return joined([bar, note(missing) if missing else ""])

    def _take_picture(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self.session.picture = b""  # so that an equal picture is news, too
            self.stage.take_picture()

    def _keep_picture(self, png: bytes) -> None:
        self.session.picture_wanted = False
        self.session.picture = png


def pdb_text(glass: Glass, positions: FloatArray) -> str:
    """Write the structure as the viewer reads it: one residue an atom, its drawn radius (Å) as B-factor."""
    lines = []
    for index, (symbol, radius, (x, y, z)) in enumerate(zip(glass.symbols, drawn_radii(glass), positions, strict=True)):
        lines.append(
            f"HETATM{(index + 1) % 100000:5d} {symbol:<4s} {symbol.upper():>3s} A{(index + 1) % 10000:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{1.0:6.2f}{radius:6.2f}          {symbol.upper():>2s}"
        )
    return "\n".join([*lines, "END"])


def _spheres(drawn: Highlight) -> dict[str, str]:
    return {
        "atom": base64_integers(drawn.atoms),
        "position": base64_floats(drawn.position),
        "colour": base64_floats(drawn.colour),
        "radius": base64_floats(drawn.radius),
    }


def _cylinders(start: FloatArray, end: FloatArray, colour: FloatArray, radius: FloatArray) -> dict[str, str]:
    return {
        "start": base64_floats(start),
        "end": base64_floats(end),
        "colour": base64_floats(colour),
        "radius": base64_floats(radius),
    }
