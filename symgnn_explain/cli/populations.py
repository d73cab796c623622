"""The verbs ``explain-many`` and ``population``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    SeedOption,
    SemanticsOption,
    SettingsOption,
    SpeciesOption,
    UnitOption,
    WeightsOption,
)
from symgnn_explain.cli.output import missing_pictures_said, population_bar, progress_bar, require_writable
from symgnn_explain.runs.files import write_atomically

if TYPE_CHECKING:
    from distributed import Client

    from symgnn_explain.explain import ExplanationSet
    from symgnn_explain.models.predictor import Predictor
    from symgnn_explain.structure.glass import Glass

SUMMARY = "summary.csv"
RECORDS = "explanations"
"""Folder of the records in that of a population."""


AtomsOption = Annotated[
    str,
    typer.Option(
        "--atoms",
        metavar="WHICH",
        show_default=False,
        help="all, central:50, random:20, lowest:10, highest:10 (by prediction), species:Zr, numbers such as 12,57, "
        "'within 5 of 12', 'neighbours of 12', 'prediction < 1.2'; with and, or, not and brackets.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out", metavar="DIR", show_default=False, help="Folder for the results; a run that was stopped continues."
    ),
]
WorkersOption = Annotated[int, typer.Option("--workers", metavar="N", help="Processes, with one thread each.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        show_default=False,
        help="Of a Dask cluster to compute on instead, such as tcp://host:8786.",
    ),
]


def explain_many(
    file: File,
    *,
    atoms: AtomsOption,
    out: OutOption,
    method: MethodOption = "gnnexplainer",
    semantics: SemanticsOption = None,
    unit: UnitOption = "edge",
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Explain the predictions of many atoms: one record an atom, and a table of them all."""
    require_writable(out)
    glass = read(file, species, frame, format_name)
    chosen = method_settings(method, settings or [], seed) | {"semantics": semantics, "unit": unit}
    from symgnn_explain.explain import PopulationError

    try:
        explanations = _explained(
            glass,
            load_predictor(weights, device),
            atoms,
            method,
            chosen,
            out=out,
            workers=workers,
            scheduler=scheduler,
            seed=seed,
        )
    except PopulationError as error:
        if error.explanations:
            _summarise(error.explanations, out)
        raise
    _summarise(explanations, out)


def population(
    file: File,
    *,
    atoms: AtomsOption,
    out: OutOption,
    method: MethodOption = "gnnexplainer",
    k: Annotated[
        int, typer.Option("--k", metavar="N", min=1, help="Most important edges of each atom that are analysed.")
    ] = 10,
    semantics: SemanticsOption = None,
    unit: UnitOption = "edge",
    workers: WorkersOption = 1,
    scheduler: SchedulerOption = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    format_name: FormatOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Explain many atoms, and analyse what their important edges and atoms have in common.

    Distances and shells, optimal cycles, local motifs and networks against null models, and atoms with low
    predictions against those with high ones: summary.json, atoms.csv, statistics.csv and figures. Explanations are
    kept in DIR/explanations.
    """
    require_writable(out)
    glass = read(file, species, frame, format_name)
    chosen = method_settings(method, settings or [], seed) | {"semantics": semantics, "unit": unit}
    explanations = _explained(
        glass,
        load_predictor(weights, device),
        atoms,
        method,
        chosen,
        out=out / RECORDS,
        workers=workers,
        scheduler=scheduler,
        seed=seed,
    )
    from symgnn_explain.analysis.explained.population import population_analysis
    from symgnn_explain.export import export_population

    with progress_bar(f"Analysing {len(explanations)} atoms") as advance:
        analysis = population_analysis(explanations, glass, k=k, seed=seed, progress=advance)
    with missing_pictures_said():
        written = export_population(analysis, out, run=explanations.manifest, overwrite=True)
    print(f"Analysed {len(analysis)} atoms; wrote {', '.join(path.name for path in written)} into {out}")


def _explained(
    glass: Glass,
    predictor: Predictor,
    atoms: str,
    method: str,
    chosen: Mapping[str, Any],
    *,
    out: Path,
    workers: int,
    scheduler: str | None,
    seed: int,
) -> ExplanationSet:
    """Explain the atoms that are not in ``out`` yet."""
    from symgnn_explain.explain import ExplanationSet, prepare
    from symgnn_explain.explain import explain_many as run
    from symgnn_explain.structure.selection import select_atoms

    prepared = prepare(predictor, glass)
    wanted = select_atoms(
        glass, atoms, predictions=prepared.predictions, label=predictor.target.array, seed=seed
    ).tolist()
    try:
        with cluster(scheduler) as client, population_bar(f"Explaining {len(wanted)} atoms") as advance:
            return run(
                predictor,
                glass,
                wanted,
                method,
                out=out,
                workers=workers,
                client=client,
                prepared=prepared,
                progress=advance,
                **chosen,
            )
    except KeyboardInterrupt:
        print(f"{len(ExplanationSet.open(out))} records are in {out}; the same command continues.", file=sys.stderr)
        raise


def _summarise(explanations: ExplanationSet, out: Path) -> None:
    from symgnn_explain.runs.tables import csv_text

    table = explanations.to_frame().assign(**explanations.quantity.columns())
    path = write_atomically(out / SUMMARY, csv_text(table).encode())
    print(f"Explained {len(explanations)} atoms: a record each in {out}")
    print(f"Wrote {path}")


@contextmanager
def cluster(scheduler: str | None) -> Iterator[Client | None]:
    """Connect to the Dask cluster whose scheduler has this address, if one is named."""
    if scheduler is None:
        yield None
        return
    from symgnn_explain.runs.cluster import connected

    with connected(scheduler) as client:
        yield client
