"""Draw the gallery of the documentation: its pictures, and the page that shows them with their code.

Run it from the root of the repository, with Chrome or Chromium installed: python scripts/make_gallery.py
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go

# What stands between two such marks is shown on the page as it stands.
# begin
from symgnn_explain import Predictor, datasets
from symgnn_explain import plotting as plot
from symgnn_explain.analysis import (
    bond_network,
    cycle_comparison,
    enrichment_curve,
    field_autocorrelation,
    local_order_analysis,
    motif_analysis,
    network_analysis,
    partial_distributions,
    persistent_homology,
    radial_distribution,
    shell_analysis,
    static_structure_factor,
)
from symgnn_explain.explain import explain_positions, prepare
from symgnn_explain.explain.fidelity.measure import importance_order
from symgnn_explain.explain.fidelity.nulls import fidelity_against_nulls

# end
from symgnn_explain.export import write_figures

DOCS = Path("docs")
PICTURES = Path("images") / "gallery"
LARGEST = 200_000
"""Bytes of a picture."""

INTRODUCTION = """# Gallery

Every figure is made by a pure function of a result and is a plotly figure: `figure.show()` in a notebook,
`symgnn_explain.export.write_figure` for PNG, SVG, PDF or a page that needs no network. This page and its pictures are
made by `scripts/make_gallery.py`. All is about atom 1501 of the embedded glass, explained with the shipped weights:

```python
"""

# begin
glass = datasets.sample()
predictor = Predictor.load()
prepared = prepare(predictor, glass)
explanation = prepared.explain(1501)
shells = shell_analysis(explanation, glass)
# end


def neighbourhood() -> go.Figure:
    """The pairs that the prediction rests on most, around the explained atom: contributions in eV, with their sign."""
    return plot.neighbourhood_figure(glass, explanation, predictions=prepared.predictions)


def contributions() -> go.Figure:
    """From which distances what raises and lowers the prediction comes, and that nothing is missing from the sum."""
    return plot.contribution_figure(explanation)


def together() -> go.Figure:
    """What each two neighbours add by acting together, and each for itself."""
    return plot.interaction_figure(prepared.interactions(1501, "neighbours"))


def distances() -> go.Figure:
    """How far the important atoms are, against all atoms of the receptive field, and the enrichment of each shell."""
    return plot.distance_figure(shells)


def enrichment() -> go.Figure:
    """Enrichment as a curve: where important atoms are more frequent than all atoms, with the band of a null model."""
    return plot.enrichment_figure(enrichment_curve(shells))


def fidelity() -> go.Figure:
    """What the network predicts with only, and without, the k most important pairs, against rankings that ignore it."""
    prediction = prepared.masked_prediction(1501, semantics="reference", unit="pair")
    order = importance_order(explanation.score)
    return plot.fidelity_figure(fidelity_against_nulls(prediction, order, draws=5))


def cycles() -> go.Figure:
    """Optimal cycles through important pairs, random ones (as published) and ones of the same hop and length."""
    return plot.cycle_figure(cycle_comparison(explanation, glass))


def persistence() -> go.Figure:
    """Births and deaths of the cycles of the periodic structure."""
    return plot.persistence_figure(persistent_homology(glass))


def motifs() -> go.Figure:
    """Voronoi indices that are over- and under-represented among important atoms."""
    return plot.voronoi_figure(motif_analysis(explanation, glass, local_order_analysis(glass)))


def network() -> go.Figure:
    """The network of the important bonds, against random, matched and rewired ones."""
    return plot.network_figure(network_analysis(explanation, glass, bond_network(glass)))


def positions() -> go.Figure:
    """Where to move which atom to raise the barrier fastest."""
    return plot.position_figure(glass, explain_positions(prepared, 1501))


def radial() -> go.Figure:
    """The radial distribution and its partials, whose minima bound the shells."""
    return plot.radial_figure(radial_distribution(glass), partial_distributions(glass))


def structure_factor() -> go.Figure:
    """The structure factor, total and partial, with the first sharp diffraction peak."""
    return plot.structure_factor_figure(static_structure_factor(glass))


def correlation() -> go.Figure:
    """Over what distance predictions are alike: their autocorrelation, with correlation lengths by two definitions."""
    return plot.autocorrelation_figure(field_autocorrelation(glass, prepared.predictions, "predictions"))


def barriers() -> go.Figure:
    """The predicted barriers of all atoms."""
    return plot.prediction_histogram(glass, prepared.predictions, atom=1501)


FIGURES: tuple[tuple[str, Callable[[], go.Figure]], ...] = (
    ("Neighbourhood", neighbourhood),
    ("Contributions", contributions),
    ("Together", together),
    ("Distances", distances),
    ("Enrichment", enrichment),
    ("Fidelity", fidelity),
    ("Cycles", cycles),
    ("Persistence", persistence),
    ("Motifs", motifs),
    ("Network", network),
    ("Positions", positions),
    ("Radial distribution", radial),
    ("Structure factor", structure_factor),
    ("Correlation", correlation),
    ("Barriers", barriers),
)


def main() -> None:
    """Draw, write, and check the sizes."""
    drawn = {title: draw() for title, draw in FIGURES}
    paths = {title: DOCS / PICTURES / f"{draw.__name__}.png" for title, draw in FIGURES}
    write_figures({paths[title]: figure for title, figure in drawn.items()}, pixel_ratio=1.0, overwrite=True)
    for path in paths.values():
        size = path.stat().st_size
        print(f"{path} {size}")
        if size > LARGEST:
            raise SystemExit(f"{path} is too large for the repository: {size} bytes, at most {LARGEST}.")
    source = inspect.getsource(inspect.getmodule(main))  # type: ignore[arg-type]
    prepared_by = "\n".join(part.split("# end\n")[0] for part in source.split("# begin\n")[1:])
    sections = [f"{INTRODUCTION}{prepared_by}```"]
    for title, draw in FIGURES:
        picture = (PICTURES / paths[title].name).as_posix()
        caption = inspect.getdoc(draw)
        sections.append(f"## {title}\n\n{caption}\n\n![{title}]({picture})\n\n```python\n{_body(draw)}\n```")
    (DOCS / "gallery.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _body(draw: Callable[[], go.Figure]) -> str:
    """Return the lines of a function below its docstring, as they would stand in a notebook."""
    lines = inspect.getsource(draw).splitlines()
    below = next(number for number, line in enumerate(lines) if number and line.rstrip().endswith('"""')) + 1
    return textwrap.dedent("\n".join(lines[below:])).replace("return ", "").strip()


if __name__ == "__main__":
    main()
