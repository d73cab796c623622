"""The verb ``explain-many``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symgnn_explain.cli.inputs import load_predictor, method_settings, read
from symgnn_explain.cli.options import (
    Device,
    DeviceOption,
    File,
    FrameOption,
    MethodOption,
    SeedOption,
    SemanticsOption,
    SettingsOption,
    SpeciesOption,
    UnitOption,
    WeightsOption,
)
from symgnn_explain.cli.output import population_bar, require_writable, writing_into
from symgnn_explain.errors import InputError
from symgnn_explain.files import write_atomically

if TYPE_CHECKING:
    from distributed import Client

    from symgnn_explain.explain import ExplanationSet

SUMMARY = "summary.csv"


def explain_many(
    file: File,
    *,
    atoms: Annotated[
        str,
        typer.Option(
            "--atoms",
            metavar="WHICH",
            show_default=False,
            help="all, central:50, random:20, softest:10, hardest:10 (by predicted barrier), species:Zr, or numbers "
            "such as 12,57.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", show_default=False, help="Folder for the results; a run that was stopped continues."
        ),
    ],
    method: MethodOption = "gnnexplainer",
    semantics: SemanticsOption = None,
    unit: UnitOption = "edge",
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Processes, with one thread each.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            show_default=False,
            help="Of a Dask cluster to compute on instead, such as tcp://host:8786.",
        ),
    ] = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    weights: WeightsOption = None,
    species: SpeciesOption = None,
    device: DeviceOption = Device.auto,
    frame: FrameOption = -1,
) -> None:
    """Explain many atoms' predicted barriers: one record an atom, and a table of them all."""
    require_writable(out)
    glass = read(file, species, frame)
    predictor = load_predictor(weights, device)
    from symgnn_explain.explain import ExplanationSet, PopulationError, prepare
    from symgnn_explain.explain import explain_many as run
    from symgnn_explain.selection import select_atoms
    from symgnn_explain.threads import one_thread

    chosen = method_settings(method, settings or [], seed) | {"semantics": semantics, "unit": unit}
    with one_thread():  # what is prepared is then the same on every machine of a kind
        prepared = prepare(predictor, glass)
    wanted = select_atoms(glass, atoms, barriers=prepared.barriers, seed=seed).tolist()
    try:
        with _cluster(scheduler) as client, population_bar(f"Explaining {len(wanted)} atoms") as advance:
            explanations = run(
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
    except PopulationError as error:
        _summarise(error.explanations, out)
        raise
    except KeyboardInterrupt:
        print(f"{len(ExplanationSet.open(out))} records are in {out}; the same command continues.", file=sys.stderr)
        raise
    _summarise(explanations, out)


def _summarise(explanations: ExplanationSet, out: Path) -> None:
    with writing_into(out):
        path = write_atomically(out / SUMMARY, explanations.to_frame().to_csv(index=False).encode())
    print(f"Explained {len(explanations)} atoms: a record each in {out}")
    print(f"Wrote {path}")


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[Client | None]:
    if scheduler is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs Dask: install it with pip install 'symgnn-explain[cluster]'.") from error
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at --scheduler {scheduler} ({error}).") from error
    with client:
        yield client
