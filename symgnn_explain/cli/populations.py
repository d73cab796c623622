"""The verbs ``explain-many`` and ``population``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symgnn_explain.cli.options import Explaining, File, Many, Network, Reading, grouped
from symgnn_explain.cli.output import missing_pictures_said, progress_bar, require_writable
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.names import one_line_name

if TYPE_CHECKING:
    from symgnn_explain.explain import ExplanationSet
    from symgnn_explain.structure.glass import Glass

SUMMARY = "summary.csv"
RECORDS = "explanations"  # folder of the records in that of a population


@grouped
def explain_many(file: File, *, many: Many, how: Explaining, network: Network, reading: Reading) -> None:
    """Explain the predictions of many atoms: one record an atom, and a table of all that DIR holds."""
    require_writable(many.out)
    glass = reading.glass(file)
    from symgnn_explain.explain import PopulationError

    try:
        explanations = _explained(glass, many, how, network, many.out)
    except PopulationError as error:
        if error.explanations:
            _summarise(error.explanations, many.out)
        raise
    _summarise(explanations, many.out)


@grouped
def population(
    file: File,
    *,
    many: Many,
    k: Annotated[
        int, typer.Option("--k", metavar="N", min=1, help="Most important edges of each atom that are analysed.")
    ] = 10,
    how: Explaining,
    network: Network,
    reading: Reading,
) -> None:
    """Explain many atoms, and analyse what their important edges and atoms have in common.

    Distances and shells, optimal cycles, local motifs and networks against null models, and atoms with low
    predictions against those with high ones: summary.json, atoms.csv, statistics.csv and figures. Explanations are
    kept in DIR/explanations.
    """
    require_writable(many.out)
    glass = reading.glass(file)
    explanations = _explained(glass, many, how, network, many.out / RECORDS)
    from symgnn_explain.analysis.explained.population import population_analysis
    from symgnn_explain.export import export_population

    with progress_bar(f"Analysing {len(explanations)} atoms") as advance:
        analysis = population_analysis(explanations, glass, k=k, seed=how.seed, progress=advance)
    with missing_pictures_said():
        written = export_population(analysis, many.out, run=explanations.manifest, overwrite=True)
    names = ", ".join(path.name for path in written)
    print(f"Analysed {len(analysis)} atoms; wrote {names} into {one_line_name(many.out)}")


def _explained(glass: Glass, many: Many, how: Explaining, network: Network, out: Path) -> ExplanationSet:
    """Explain the atoms that are not in ``out`` yet."""
    chosen = how.chosen()
    from symgnn_explain.explain import explain_many as run
    from symgnn_explain.explain import prepare
    from symgnn_explain.structure.selection import select_atoms

    predictor = network.load()
    prepared = prepare(predictor, glass)
    wanted = select_atoms(
        glass, many.atoms, predictions=prepared.predictions, label=predictor.target.array, seed=how.seed
    ).tolist()
    with many.working(f"Explaining {len(wanted)} atoms", out) as shared:
        return run(predictor, glass, wanted, how.method, prepared=prepared, **shared, **chosen)


def _summarise(explanations: ExplanationSet, out: Path) -> None:
    from symgnn_explain.explain import ExplanationSet
    from symgnn_explain.export.headings import with_units
    from symgnn_explain.runs.tables import csv_text

    table, quantity = ExplanationSet.open(out).to_frame(), explanations.quantity
    # Those asked for come first, in their order; then those of before.
    asked = {atom: place for place, atom in enumerate(explanations.atoms)}
    table = table.sort_values("atom", key=lambda atoms: atoms.map(asked).fillna(len(asked)), kind="stable")
    unitless = ("atom", "out_of_distribution", "n_edges", "n_units", "seconds")
    values = [name for name in map(str, table) if name not in unitless]
    table = with_units(table, quantity, values).assign(**quantity.columns())
    path = write_atomically(out / SUMMARY, csv_text(table).encode())
    print(f"Explained {len(explanations)} atoms: a record each in {one_line_name(out)}")
    print(f"Wrote {one_line_name(path)}")
