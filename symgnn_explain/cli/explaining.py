"""The verbs ``explain``, ``report`` and ``methods``."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symgnn_explain.cli.options import (
    AtomOption,
    EdgesOption,
    Explaining,
    File,
    FilmOption,
    Network,
    OverwriteOption,
    Reading,
    grouped,
)
from symgnn_explain.cli.output import (
    missing_pictures_said,
    progress_bar,
    require_film_option,
    require_writable,
    said_of,
    write_film_of,
)
from symgnn_explain.errors import InputError
from symgnn_explain.runs.files import require_free

TogetherOption = Annotated[
    str | None,
    typer.Option(
        "--interactions",
        metavar="neighbours|shells|species|polyhedra",
        show_default=False,
        help="Also find which of these act together, exactly: Shapley interactions from all their coalitions.",
    ),
]

BesideOption = Annotated[
    Path | None,
    typer.Option(
        "--beside",
        metavar="PATH",
        show_default=False,
        help="Weights of another training: the atom is explained with them too, and agreement.csv says how alike.",
    ),
]

if TYPE_CHECKING:
    from symgnn_explain.explain.engine.prepared import PreparedGlass
    from symgnn_explain.explain.result.explanation import AtomExplanation
    from symgnn_explain.explain.result.interactions import Interactions
    from symgnn_explain.models.predictor import Predictor
    from symgnn_explain.saddles import AtomBarrier
    from symgnn_explain.structure.glass import FloatArray, Glass


@grouped
def explain(
    file: File,
    *,
    atom: AtomOption,
    out: Annotated[Path, typer.Option(metavar="DIR", show_default=False, help="Folder for the results.")],
    overwrite: OverwriteOption = False,
    how: Explaining,
    together: TogetherOption = None,
    beside: BesideOption = None,
    film: FilmOption = None,
    k: EdgesOption = 50,
    network: Network,
    reading: Reading,
) -> None:
    """Find the neighbours that made the network predict what it does of one atom, with figures and tables.

    A film shows the important neighbourhood turning round.
    """
    _require_edges(k)
    _require_units(together)
    require_writable(out)
    require_film_option(film, overwrite=overwrite)
    glass = reading.glass(file)
    glass.require_atom(atom)
    from symgnn_explain.explain.result.agreement import agreement
    from symgnn_explain.export.results import EXPLANATION_FILES, export_explanation
    from symgnn_explain.structure.io.extended_xyz import require_columns

    earlier = [out / name for name in EXPLANATION_FILES if (out / name).exists()]
    require_free(earlier, overwrite=overwrite, option="--out")
    require_columns(glass)
    predictor = network.load()
    prepared, explanation = _explained(predictor, glass, atom, how)
    interactions = _interactions(prepared, atom, together)
    other = None if beside is None else _explained(replace(network, weights=beside).load(), glass, atom, how)[1]
    alike = None if other is None else agreement(explanation, other)
    spread = prepared.spread
    with missing_pictures_said(), progress_bar("Analysing") as advance:
        written = export_explanation(
            explanation,
            glass,
            prepared.predictions,
            out,
            spread=spread,
            domain=prepared.domain,
            interactions=interactions,
            alike=alike,
            k=k,
            overwrite=overwrite,
            progress=advance,
        )
    _print_result(explanation, glass, spread)
    if alike is not None:
        print(
            f"With {beside}:\n{alike.dropna(subset='both')[['quantity', 'both']].to_string(index=False, header=False)}"
        )
    for path in written:
        print(said_of(path, replaced=path in earlier))
    if film is not None:
        from symgnn_explain.export.film import RATE, SECONDS
        from symgnn_explain.plotting import neighbourhood_figure, turning_figures

        figure = neighbourhood_figure(glass, explanation, k=k, predictions=prepared.predictions)
        write_film_of(turning_figures(figure, round(RATE * SECONDS)), film, overwrite=overwrite)


@grouped
def report(
    file: File,
    *,
    atom: AtomOption,
    out: Annotated[Path, typer.Option(metavar="F", show_default=False, help="The page to write: .html.")],
    overwrite: OverwriteOption = False,
    how: Explaining,
    together: TogetherOption = None,
    barriers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Folder of symgnn-explain barriers: what moves at saddle points is set beside what matters.",
        ),
    ] = None,
    k: EdgesOption = 50,
    network: Network,
    reading: Reading,
) -> None:
    """Explain one atom's prediction on one page that needs no network: sentence, warnings, figures, tables, hashes."""
    _require_edges(k)
    _require_units(together)
    if out.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"--out {out} has an unknown suffix: reports are written as .html.")
    require_free([out], overwrite=overwrite, option="--out")
    replaced = out.exists()
    require_writable(out.parent)
    glass = reading.glass(file)
    glass.require_atom(atom)
    barrier = None if barriers is None else _barrier(barriers, glass, atom)
    predictor = network.load()
    from symgnn_explain.analysis import comparable_edges, cycle_comparison
    from symgnn_explain.export import Findings, write_report

    prepared, explanation = _explained(predictor, glass, atom, how)
    with progress_bar("Counting cycles") as advance:
        cycles = cycle_comparison(explanation, glass, comparable_edges(explanation), progress=advance)
    interactions = _interactions(prepared, atom, together)
    spread, domain = prepared.spread, prepared.domain
    findings = Findings(glass, prepared.predictions, explanation, k, cycles, spread, domain, interactions, barrier)
    write_report(findings, out, weights_sha256=predictor.weights_sha256, overwrite=overwrite)
    _print_result(explanation, glass, findings.spread)
    print(said_of(out, replaced=replaced))


def _barrier(folder: Path, glass: Glass, atom: int) -> AtomBarrier:
    """Read what was computed for an atom of this glass."""
    from symgnn_explain.saddles import BarrierSet

    found = BarrierSet.open(folder / "records")
    if found.manifest["glass"]["sha256"] != glass.content_hash:
        raise InputError(f"--barriers {folder} holds barriers of another structure than {glass.name!r}: give its own.")
    [barrier] = found.of([atom])
    return barrier


def _require_units(units: str | None) -> None:
    from symgnn_explain.explain import INTERACTION_UNITS

    if units is not None and units not in INTERACTION_UNITS:
        raise InputError(f"--interactions {units} is unknown: choose from {', '.join(INTERACTION_UNITS)}.")


def _interactions(prepared: PreparedGlass, atom: int, units: str | None) -> Interactions | None:
    if units is None:
        return None
    with progress_bar("Predicting coalitions") as advance:
        return prepared.interactions(atom, units, progress=advance)


def _require_edges(k: int) -> None:
    if k < 1:
        raise InputError(f"--k {k} must be at least 1: it is the number of edges that are shown.")


def _explained(predictor: Predictor, glass: Glass, atom: int, how: Explaining) -> tuple[PreparedGlass, AtomExplanation]:
    from symgnn_explain.explain import prepare

    chosen = how.chosen()
    prepared = prepare(predictor, glass)
    with progress_bar(f"Explaining atom {atom}") as advance:
        return prepared, prepared.explain(atom, how.method, progress=advance, **chosen)


def _print_result(explanation: AtomExplanation, glass: Glass, spread: FloatArray | None) -> None:
    atom, quantity = explanation.atom, explanation.quantity
    uncertainty = "" if spread is None else f" ± {quantity.number(spread[atom])}"
    value = quantity.with_unit(f"{quantity.number(explanation.prediction)}{uncertainty}")
    print(f"Atom {atom} ({glass.symbols[atom]}): predicted {quantity.word} {value}")
    for caveat in explanation.caveats:
        print(f"Mind: {caveat}")


def methods() -> None:
    """List the methods of explanation, with their settings and defaults."""
    from symgnn_explain.explain import METHODS

    for method in METHODS.values():
        print(f"{method.name}: {method.description}")
        if settings := "  ".join(f"{field.name}={field.default}" for field in fields(method.settings)):
            print(f"  {settings}")
