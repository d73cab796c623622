"""The command line ``symgnn-explain``: the verbs of the Python API.

Input that cannot be used ends in one sentence on stderr and exit status 2, an interruption in 130, output that cannot
be printed in 1; results appear whole or not at all. Heavy libraries are imported only once the input has been read.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from symgnn_explain.cli.barriers import barriers
from symgnn_explain.cli.explaining import explain, methods, report
from symgnn_explain.cli.lab import explore
from symgnn_explain.cli.options import SAMPLE
from symgnn_explain.cli.output import printing_anything
from symgnn_explain.cli.populations import explain_many, population
from symgnn_explain.cli.predicting import evaluate, predict
from symgnn_explain.cli.relaxing import relax
from symgnn_explain.cli.training import benchmark, cross_validate, train
from symgnn_explain.errors import Cancelled, InputError, one_line
from symgnn_explain.runs.names import one_line_name

OUTPUT_LOST, BAD_INPUT, INTERRUPTED = 1, 2, 130

_OUTPUT_ERRORS = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT}
"""What printing raises where nobody reads any more, or the disk is full."""
_PATH_ERRORS = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS}
"""What any use of a path raises that is none, or that the user may not use."""

# What typer raises on a wrong option; the class has lived in click and in typer, but this is its base in both.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

VERBS: tuple[tuple[Callable[..., None], str, str], ...] = (
    (
        predict,
        "Predict every atom: its energy barrier (eV), or what else the network has learned.",
        "predict glass.extxyz quench.dump --species 1=Cu,2=Zr --out barriers.csv",
    ),
    (
        relax,
        "Relax structures to inherent structures, all frames of a trajectory, resumable.",
        "relax snapshot.lammpstrj --potential CuZr_MendelevKramerOtt_2009.eam.fs --out out/relaxed",
    ),
    (evaluate, "Compare predictions with known values.", "evaluate train0.pickle train1.pickle --json"),
    (
        explain,
        "Explain one atom's prediction.",
        "explain sample --atom 1501 --method gnnexplainer --set epochs=200 --out out/atom1501",
    ),
    (
        report,
        "Explain one atom on one offline page.",
        "report sample --atom 1501 --out out/atom1501.html",
    ),
    (
        explain_many,
        "Explain many atoms: in several processes or on a Dask cluster, resumable.",
        "explain-many sample --atoms central:50 --method integrated_gradients --workers 2 --out out/central",
    ),
    (
        population,
        "Explain many atoms and analyse what is important to them: order, cycles, soft against hard.",
        "population glass.extxyz --atoms central:50 --method gnnexplainer --workers 2 --out out/population",
    ),
    (train, "Train a predictor.", "train --validate train0,train1 --preset symgnn --out out/train"),
    (
        cross_validate,
        "Cross-validate a predictor over glasses.",
        "cross-validate --preset symgnn --seeds 0,1,2 --out out/cross_validation",
    ),
    (
        benchmark,
        "Compare networks under one budget.",
        "benchmark --models ridge,schnet,symgnn --budget 15min --seeds 0,1,2 --json out/benchmark.json",
    ),
    (
        barriers,
        "Compute atoms' barriers from an interatomic potential: searches for saddle points, resumable.",
        "barriers sample --atoms 12,57 --searches 10 --potential CuZr_MendelevKramerOtt_2009.eam.fs --out out/barriers",
    ),
    (explore, "Open the explorer in JupyterLab.", "explore glass.extxyz"),
    (methods, "List the methods of explanation.", "methods"),
)
"""Each verb, what it does in a few words, and an example."""

app = typer.Typer(
    name="symgnn-explain",
    help="Predict energy barriers, or any number an atom, of metallic glasses with a graph network, and explain "
    "what made it predict them. "
    f"Wherever a FILE is expected, '{SAMPLE}' stands for the embedded Cu64Zr36 glass.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _verb, _in_short, _example in VERBS:
    # \b keeps the line as it is, so that it can be copied.
    app.command(short_help=_in_short, epilog=f"\b\nExample:\n  symgnn-explain {_example}")(_verb)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"symgnn-explain {version('symgnn_explain')}")
        raise typer.Exit


@app.callback()
def _whole(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Take what comes before a verb."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: its number would be the next open file's
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
    try:
        with _ended_by_signal(), _warnings_in_one_line(), printing_anything():
            status = app(given or ["--help"], prog_name="symgnn-explain", standalone_mode=False, obj=given)
            sys.stdout.flush()  # here, where it can still be said that it failed
    except InputError as error:
        return _refuse(str(error))
    except _UsageError as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "symgnn-explain")
        return _refuse(f"{error.format_message().rstrip('.')}: see `{command} --help`.")  # type: ignore[attr-defined]
    except (KeyboardInterrupt, Cancelled, typer.Abort):
        status = INTERRUPTED
    except OSError as error:
        if error.errno in _OUTPUT_ERRORS:
            return _output_lost(error)
        if error.errno in _PATH_ERRORS and error.filename is not None:
            return _refuse(f"{one_line_name(error.filename)} cannot be used ({error.strerror}): check the path.")
        raise
    except SystemExit as ending:
        if not isinstance(ending.__context__, BrokenPipeError):  # which typer turns into this
            raise
        return _output_lost(ending.__context__)
    if status == INTERRUPTED:
        print("Interrupted.", file=sys.stderr)
    return status or 0


def _output_lost(error: OSError) -> int:
    """Say that standard output took no more; what is still buffered for it is dropped."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    print(f"Not all could be printed ({error.strerror}); files that were written are whole.", file=sys.stderr)
    return OUTPUT_LOST


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let SIGTERM end the process as Ctrl-C does: programs and workers that it started end with it."""

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print a warning as one sentence, without the line of code that it came from."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a library imports it; that it has no cache harms nobody
    previous = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {one_line(str(message))}\n"
    try:
        yield
    finally:
        warnings.formatwarning = previous


def _refuse(sentence: str) -> int:
    print(one_line(sentence), file=sys.stderr)
    return BAD_INPUT
