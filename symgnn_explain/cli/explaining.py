"""The verbs ``explain``, ``report`` and ``methods``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symgnn_explain.cli.inputs import load_predictor, method_settings, read
from symgnn_explain.cli.options import (
    Device,
    DeviceOption,
    File,
    FormatOption,
    FrameOption,
    MethodOption,
    OverwriteOption,
    SeedOption,
    SemanticsOption,
    SettingsOption,
    SpeciesOption,
    UnitOption,
    WeightsOption,
)
from symgnn_explain.cli.output import missing_pictures_said, progress_bar, require_free, require_writable, said_of
from symgnn_explain.errors import InputError

if TYPE_CHECKING:
    from symgnn_explain.explain.engine.prepared import PreparedGlass
    from symgnn_explain.explain.result.explanation import AtomExplanation
    from symgnn_explain.models.predictor import Predictor
    from symgnn_explain.structure.glass import FloatArray, Glass


def explain(
    file: File,
    *,
    atom: Annotated[int, typer.Option("--atom", metavar="N", show_default=False, help="Index of the atom, from 0.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", show_default=False, help="Folder for the results.")],
    overwrite: OverwriteOption = False,
    method: MethodOption = "gnnexplainer",
    semantics: SemanticsOption = None,
    unit: UnitOption = "edge",
    k: Annotated[int, typer.Option("--k", metavar="K", help="How many of the most important edges to show.")] = 50,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Find the neighbours that made the network predict what it does of one atom, with figures and tables."""
    _require_edges(k)
    require_writable(out)
    glass = read(file, species, frame, format_name)
    glass.require_atom(atom)
    from symgnn_explain.export.results import EXPLANATION_FILES, export_explanation
    from symgnn_explain.structure.io.extended_xyz import require_columns

    earlier = [out / name for name in EXPLANATION_FILES if (out / name).exists()]
    require_free(earlier, overwrite=overwrite)
    require_columns(glass)
    predictor = load_predictor(weights, device)

    chosen = method_settings(method, settings or [], seed) | {"semantics": semantics, "unit": unit}
    prepared, explanation = _explained(predictor, glass, atom, method, chosen)
    spread = predictor.spread(glass)
    with missing_pictures_said(), progress_bar("Analysing") as advance:
        written = export_explanation(
            explanation,
            glass,
            prepared.predictions,
            out,
            spread=spread,
            domain=prepared.domain,
            k=k,
            overwrite=overwrite,
            progress=advance,
        )
    _print_result(explanation, glass, spread)
    for path in written:
        print(said_of(path, replaced=path in earlier))


def report(
    file: File,
    *,
    atom: Annotated[int, typer.Option("--atom", metavar="N", show_default=False, help="Index of the atom, from 0.")],
    out: Annotated[Path, typer.Option("--out", metavar="F", show_default=False, help="The page to write: .html.")],
    overwrite: OverwriteOption = False,
    method: MethodOption = "gnnexplainer",
    semantics: SemanticsOption = None,
    unit: UnitOption = "edge",
    k: Annotated[int, typer.Option("--k", metavar="K", help="How many of the most important edges to show.")] = 50,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Explain one atom's prediction on one page that needs no network: sentence, warnings, figures, tables, hashes."""
    _require_edges(k)
    if out.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"--out {out} has an unknown suffix: reports are written as .html.")
    require_free([out], overwrite=overwrite)
    replaced = out.exists()
    require_writable(out.parent)
    glass = read(file, species, frame, format_name)
    glass.require_atom(atom)
    predictor = load_predictor(weights, device)
    from symgnn_explain.analysis import cycle_comparison
    from symgnn_explain.export import Findings, write_report

    chosen = method_settings(method, settings or [], seed) | {"semantics": semantics, "unit": unit}
    prepared, explanation = _explained(predictor, glass, atom, method, chosen)
    with progress_bar("Counting cycles") as advance:
        cycles = cycle_comparison(explanation, glass, progress=advance)
    findings = Findings(glass, prepared.predictions, explanation, k, cycles, predictor.spread(glass), prepared.domain)
    write_report(findings, out, weights_sha256=predictor.weights_sha256, overwrite=overwrite)
    _print_result(explanation, glass, findings.spread)
    print(said_of(out, replaced=replaced))


def _require_edges(k: int) -> None:
    if k < 1:
        raise InputError(f"--k {k} must be at least 1: it is the number of edges that are shown.")


def _explained(
    predictor: Predictor, glass: Glass, atom: int, method: str, chosen: Mapping[str, Any]
) -> tuple[PreparedGlass, AtomExplanation]:
    from symgnn_explain.explain import prepare

    prepared = prepare(predictor, glass)
    with progress_bar(f"Explaining atom {atom}") as advance:
        return prepared, prepared.explain(atom, method, progress=advance, **chosen)


def _print_result(explanation: AtomExplanation, glass: Glass, spread: FloatArray | None) -> None:
    atom = explanation.atom
    quantity = explanation.quantity
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
