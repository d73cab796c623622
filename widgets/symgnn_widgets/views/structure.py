"""The 3D view of the glass: coloured atoms, the cell, the selected atom and what explains it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray

from symgnn_explain.analysis import SmoothField, smooth_field
from symgnn_explain.analysis.topology.alpha import wrapped_positions
from symgnn_explain.plotting.arrows import cell_edges
from symgnn_explain.plotting.style import species_radius
from symgnn_explain.runs.markup import Markup, element, joined, note
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.measure import measure, nearest_image
from symgnn_widgets.state.colour import SHOWN, Colours
from symgnn_widgets.state.colourings import OF_EXPLANATIONS, predicted_colouring
from symgnn_widgets.state.colours import PREDICTION_SCALE, Colouring, colour_bar
from symgnn_widgets.state.frames import Frame
from symgnn_widgets.state.jobs import Job
from symgnn_widgets.state.scene import Scene
from symgnn_widgets.views.highlight import (
    ARROWS,
    DRAWN_SIZE,
    Cylinders,
    Highlight,
    arrow_cylinders,
    drawn_radii,
    interaction_shapes,
    mark_atoms,
    mark_explanation,
    ring_cylinders,
)
from symgnn_widgets.views.stage import Stage, packed
from symgnn_widgets.views.view_controls import ViewControls

DIMMED_OPACITY = 0.13
SHELL_OPACITY = 0.4
TRIANGLE_OPACITY = 0.45
SKIN_OPACITY = 0.5
OPACITY_AMONG_SKINS = 0.05
CELL_RADIUS = 0.06  # Å
MEASURE_RADIUS = 0.09  # Å
CELL_COLOUR = (0.45, 0.45, 0.5)
MOST_DRAWN = 150_000
"""Atoms up to which all are drawn."""
DRAWN_OF_LARGE = 60_000
"""Atoms that are drawn of a larger structure."""
SEEN_AROUND = 20.0
"""Distance (Å) up to which the surroundings of the selected atom are always drawn."""


class StructureView:
    """Draws the glass; a click on an atom selects it."""

    def __init__(self, colours: Colours, scene: Scene) -> None:
        self._colours, self._scene, self._explaining = colours, scene, colours.explaining
        explaining, selected = colours.explaining, colours.explaining.selected
        structure = self._structure = explaining.structure
        self.positions = wrapped_positions(structure.glass)
        """Places (Å) at which the atoms of the session's glass are drawn."""
        self.part: IntArray | None = None
        """The atoms that are drawn, ascending; None for all."""
        self._frame: Frame | None = None
        self._change: Colouring | None = None
        self.stage = Stage(
            on_ready=lambda: scene.set_trait("shown", True),
            on_pick=self._pick,
            on_picture=self._keep_picture,
            on_failure=lambda sentence: structure.set_trait("error", sentence),
        )
        self.legend = widgets.HTML()
        self.legend.add_class("symgnn-legend")
        self.controls = ViewControls(
            colours,
            self.positions,
            focus=self.focus,
            reset=self.stage.reset_view,
        )
        self.ui = widgets.VBox([self.controls.bar, self.controls.filters, self.stage, self.legend])
        self.ui.add_class("symgnn-view")
        self._field: SmoothField | None = None
        self._smoothing = Job(lambda error: structure.fail("The regions could not be found", error))
        self._load(selected.selected_atom)
        self._draw_cell()
        self._draw_selection()
        self._draw_others()
        self._show_legend()
        for box in (self.controls.dim, self.controls.cut):
            box.observe(self._draw_selection, "value")
        selected.observe(self._follow, "selected_atom")
        explaining.observe(self._recolour_explained, "explanation")
        colours.observe(self._recolour, ["colour_by", "revision"])
        selected.observe(self._draw_selection, ["selection", "selected_atom"])
        explaining.observe(self._draw_selection, "preview")
        explaining.on_shown(self._draw_selection)
        colours.observe(self._draw_selection, ["colour_by", "revision"])
        selected.observe(self._draw_others, ["selection", "selected_atom"])
        colours.observe(self._draw_others, ["colour_by", "revision"])
        colours.observe(self._filter, ["shown_range", "outside", "slab", "slab_axis"])
        structure.observe(self._filter, "predicted")
        scene.observe(self._draw_ring, "ring")
        scene.observe(self._draw_arrows, ["attribution", "arrows_shown"])
        scene.observe(self._draw_interactions, ["interactions", "interactions_shown"])
        colours.observe(self._draw_cell, "cell_shown")
        colours.observe(self._draw_regions, ["regions", "region_share"])
        scene.observe(self._take_picture, "picture_wanted")
        selected.observe(self._show_legend, ["selection", "selected_atom"])
        explaining.observe(self._show_legend, "explanation")
        colours.observe(self._show_legend, ["colour_by", "revision"])

    def _load(self, centre: int | None) -> None:
        """Send the structure; of a large one the atoms nearest to one of them, or to the middle of all."""
        glass = self._structure.glass
        if len(glass) > MOST_DRAWN:
            middle = (self.positions.min(axis=0) + self.positions.max(axis=0)) / 2
            away = np.linalg.norm(self.positions - (middle if centre is None else self.positions[centre]), axis=1)
            self.part = np.sort(np.argpartition(away, DRAWN_OF_LARGE)[:DRAWN_OF_LARGE])
        self._recolour()
        self.stage.set_scene("glass", "load", **packed_structure(glass, self.positions, self.part))

    def _follow(self, change: dict[str, Any]) -> None:
        """Draw another part of a large structure, where the selected atom has no surroundings in this one."""
        atom = change["new"]
        if self.part is None or atom is None:
            return
        drawn = self.positions[self.part]
        inside = np.linalg.norm(drawn - self.positions[atom], axis=1) < SEEN_AROUND
        wanted = np.linalg.norm(self.positions - self.positions[atom], axis=1) < SEEN_AROUND
        if inside.sum() < wanted.sum():
            self._load(atom)
            self._filter()

    def _of_part(self, values: NDArray[Any]) -> NDArray[Any]:
        """Take what belongs to the atoms that are drawn, from an array with a row an atom."""
        return values if self.part is None else values[self.part]

    def show_frame(self, frame: Frame | None, change: Colouring | None = None) -> None:
        """Show another frame, its atoms coloured by its predictions; None for the glass of the session.

        ``change``: what colours the atoms instead.
        """
        if frame is not None or self._frame is not None or change is not self._change:
            self._frame, self._change = frame, change
            self._recolour(moved=True)
            self._draw_cell()
            self._draw_selection()
            self._draw_others()
            self._show_legend()

    @property
    def _drawn(self) -> tuple[Glass, FloatArray]:
        """The glass that is shown, and the places of its atoms."""
        frame = self._frame
        return (
            (self._structure.glass, self.positions) if frame is None else (frame.glass, wrapped_positions(frame.glass))
        )

    def drawn_place(self, atom: int) -> FloatArray:
        """Return where an atom is drawn now, shape (3,), Å."""
        place: FloatArray = self._drawn[1][atom]
        return place

    @property
    def _colouring(self) -> Colouring:
        """What colours the atoms: what was chosen, or in another frame what is predicted of it, or has changed."""
        if self._change is not None:
            return self._change
        if self._frame is None:
            return self._colours.colouring()
        values = self._frame.values
        return replace(predicted_colouring(self._structure, so_far=values), values=values)

    def _pick(self, atom: int, add: bool) -> None:
        selected = self._explaining.selected
        if self._frame is None:
            self._explaining.pick(atom, add=add)
        elif add or selected.adding:
            selected.toggle(atom)
        else:  # explanations are of the session's glass
            selected.select(atom)

    def _draw_cell(self, _change: object = None) -> None:
        start, end = cell_edges(self._drawn[0])
        frame = _cylinders(start, end, np.tile(CELL_COLOUR, (12, 1)), np.full(12, CELL_RADIUS))
        self.stage.set_scene("cell", "draw", name="cell", cylinders=frame if self._colours.cell_shown else None)

    def _recolour(self, _change: object = None, *, moved: bool = False) -> None:
        colours = packed(self._of_part(self._colouring.rgb()), "u1")
        if moved or "frame" in self.stage.scene_keys:
            self.stage.set_scene("frame", "move", positions=packed(self._of_part(self._drawn[1])), colours=colours)
        else:
            self.stage.set_scene("colours", "colour", colours=colours)

    def _recolour_explained(self, _change: object) -> None:
        # An explanation that comes or goes changes only the colours that are made of it.
        if self._colours.colour_by in OF_EXPLANATIONS:
            self._recolour()

    def _filter(self, _change: object = None) -> None:
        drawn = self._of_part(self._colours.visibility(self.positions))
        everything = bool((drawn == SHOWN).all())
        self.stage.set_scene("filter", "filter", drawn=None if everything else packed(drawn, "u1"))

    def _draw_selection(self, _change: object = None) -> None:
        explaining, regions = self._explaining, bool(self._colours.regions)
        if explaining.explanation is not None and explaining.explanation.atom != explaining.selected.selected_atom:
            return  # the view is told of the selection first, and again when that of the atom before is gone
        drawn = self.highlight()
        self.controls.zoom.disabled = drawn is None
        several = len(self._explaining.selected.selection) > 1
        explained = (explaining.explanation or explaining.preview) is not None and self._frame is None
        faded = self.controls.dim.value and (explained or several or regions)
        opacity = 1.0 if not faded else OPACITY_AMONG_SKINS if regions else DIMMED_OPACITY
        shown: dict[str, Any] = {}
        if drawn is not None:
            bonds = _cylinders(drawn.start, drawn.end, drawn.edge_colour, drawn.edge_radius)
            shown = {
                "spheres": _spheres(drawn),
                "cylinders": bonds if len(drawn.start) else None,
                "explained": None if explaining.explanation is None else explaining.explanation.atom,
            }
        cut = self.controls.cut.value and not faded and drawn is not None
        self.stage.set_scene("selection", "draw", name="selection", opacity=opacity, cut=cut, **shown)

    def _put(self, name: str, what: str, drawn: dict[str, str] | None, **options: Any) -> None:
        """Draw something, or take it away; where it never was, there is nothing to say."""
        if drawn is not None or name in self.stage.scene_keys:
            self.stage.set_scene(name, "draw", name=name, **{what: drawn}, **options)

    def _draw_others(self, _change: object = None) -> None:
        """Mark the atoms that are selected beside the one that is looked at."""
        (glass, places), selected = self._drawn, self._explaining.selected
        others = [atom for atom in selected.selection if atom != selected.selected_atom]
        atoms = shells = None
        if others:
            drawn = mark_atoms(others, glass, places)
            rgb = self._colouring.rgb()[others] / 255.0
            own = replace(drawn, colour=rgb, radius=drawn_radii(glass)[others])
            atoms, shells = _spheres(own), _spheres(drawn)
        self._put("others", "spheres", atoms)
        self._put("shells", "spheres", shells, translucent=SHELL_OPACITY)
        self._put("measured", "cylinders", self._measured_lines())

    def _measured_lines(self) -> dict[str, str] | None:
        """Join the two or three atoms that are selected: what lies between them is measured."""
        (glass, places), atoms = self._drawn, list(self._explaining.selected.selection)
        if len(atoms) not in (2, 3):
            return None
        way = nearest_image(glass, glass.positions[atoms[1:]] - glass.positions[atoms[:-1]])
        start = places[atoms[:-1]]
        return _cylinders(start, start + way, np.full((len(way), 3), 0.05), np.full(len(way), MEASURE_RADIUS))

    def _draw_ring(self, _change: object = None) -> None:
        ring, atom = self._scene.ring, self._explaining.selected.selected_atom
        near = None if atom is None else self.positions[atom]
        drawn = None if ring is None else _cylinders(*ring_cylinders(ring, self._structure.glass, near))
        self._put("ring", "cylinders", drawn)

    def _draw_arrows(self, _change: object = None) -> None:
        shown = self._scene.attribution if self._scene.arrows_shown else None
        drawn = None if shown is None else _cylinders(*arrow_cylinders(shown, ARROWS, self.positions[shown.atom]))
        self._put("arrows", "arrows", drawn)

    def _draw_interactions(self, _change: object = None) -> None:
        found = self._scene.interactions if self._scene.interactions_shown else None
        lines = triangles = None
        if found is not None and found.in_space:
            pairs, (corners, colour) = interaction_shapes(found, self._structure.glass, self.positions[found.atom])
            lines = _cylinders(*pairs)
            triangles = {"position": packed(corners), "colour": packed(colour)} if len(corners) else None
        self._put("interactions", "cylinders", lines)
        self._put("triples", "triangles", triangles, translucent=TRIANGLE_OPACITY)

    def draw_arrows(self, name: str, arrows: Cylinders | None) -> None:
        """Draw what moves: start, end, colour and radius of arrows; None takes those of this name away."""
        self._put(name, "arrows", None if arrows is None else _cylinders(*arrows))

    def _draw_regions(self, _change: object = None) -> None:
        """Draw skins around soft and hard regions; the field that they are regions of is computed once."""
        structure, colours = self._structure, self._colours
        self._draw_selection()
        if not colours.regions:
            if "regions" in self.stage.scene_keys:
                self.stage.set_scene("regions", "regions", skins=[])
            return
        if self._field is None:
            self._smoothing.start(
                lambda _report, _cancel: smooth_field(structure.glass, structure.predictions), self._keep_field
            )
            return
        field, share = self._field, colours.region_share
        skins = [
            {"above": above, "level": field.level(1 - share if above else share), "colour": PREDICTION_SCALE[end]}
            for name, above, end in (("soft", False, 0), ("hard", True, -1))
            if name in colours.regions
        ]
        matrix = np.vstack([np.column_stack([field.step, np.zeros(3)]), [*field.origin, 1.0]])
        self.stage.set_scene(
            "regions",
            "regions",
            field=packed(field.values.ravel(order="F")),
            size=list(field.values.shape),
            matrix=matrix.ravel().tolist(),
            skins=skins,
            opacity=SKIN_OPACITY,
        )

    def _keep_field(self, field: SmoothField) -> None:
        self._field = field
        self._draw_regions()

    def focus(self) -> None:
        """Move the camera to the selected atom and what explains it."""
        self.stage.look_at("selection")

    def highlight(self) -> Highlight | None:
        """Lay out what is drawn on top of the glass, if anything is selected."""
        (glass, places), atom = self._drawn, self._explaining.selected.selected_atom
        explanation = self._explaining.explanation or self._explaining.preview
        if explanation is not None and self._frame is None:
            rgb = self._colours.colouring().rgb()
            return mark_explanation(explanation, glass, self._explaining.threshold.k, self.positions, rgb)
        return None if atom is None else mark_atoms([atom], glass, places)

    def _show_legend(self, _change: object = None) -> None:
        self.legend.value = self.legend_markup()

    def legend_markup(self) -> Markup:
        """Build the colour bar, and what there is to say of it."""
        colouring, atom = self._colouring, self._explaining.selected.selected_atom
        missing = self._colours.missing_colouring if self._frame is None else ""
        bar = colour_bar(colouring, None if atom is None else float(colouring.values[atom]))
        atoms = self._explaining.selected.selection
        measured = measure(self._drawn[0], atoms, within=0.0) if len(atoms) in (2, 3) else None
        said = [missing, str(measured) if measured else ""]
        if self.part is not None:
            said.append(
                f"Drawn are {len(self.part):,} of {len(colouring.values):,} atoms, as many as a browser turns easily: "
                "those around the selected atom, or in the middle. Select an atom elsewhere to see its surroundings."
            )
        return joined([element("div", *(note(sentence) for sentence in said if sentence), css="symgnn-over"), bar])

    def _take_picture(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self._scene.picture = b""  # so that an equal picture is news, too
            self.stage.take_picture()

    def _keep_picture(self, png: bytes) -> None:
        self._scene.picture_wanted = False
        self._scene.picture = png


def packed_structure(glass: Glass, positions: FloatArray, part: IntArray | None = None) -> dict[str, Any]:
    """Write the atoms as the viewer reads them: a place and the number of a species each, 13 bytes.

    Parameters
    ----------
    positions
        Where they are drawn, shape (N, 3), Å.
    part
        Which of them are drawn; None for all.
    """
    species = np.searchsorted(np.unique(glass.numbers), glass.numbers)
    if part is not None:
        positions, species = positions[part], species[part]
    return {
        "positions": packed(positions),
        "species": packed(species, "u1"),
        "symbols": list(glass.species),
        "radii": [DRAWN_SIZE * species_radius(symbol) for symbol in glass.species],
        "numbers": None if part is None else packed(part, "<i4"),
    }


def _spheres(drawn: Highlight) -> dict[str, str]:
    floats = {name: packed(getattr(drawn, name)) for name in ("position", "colour", "radius")}
    return {"atom": packed(drawn.atoms, "<i4"), **floats}


def _cylinders(start: FloatArray, end: FloatArray, colour: FloatArray, radius: FloatArray) -> dict[str, str]:
    return {"start": packed(start), "end": packed(end), "colour": packed(colour), "radius": packed(radius)}
