"""Predictions of many structures, and of very large ones: part by part, in one process, in several or on a cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.metadata import version
from itertools import pairwise, starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.models.blocks import Surrounded, surroundings
from symgnn_explain.models.ensemble import SymGNNLike
from symgnn_explain.models.predictor import AtomPredictions, Predictor
from symgnn_explain.models.sweep import BLOCK_ATOMS, blocks_of
from symgnn_explain.runs.parallel import Report
from symgnn_explain.runs.parts import Part, Parts, compute_parts
from symgnn_explain.runs.progress import PopulationProgress
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

if TYPE_CHECKING:
    from distributed import Client


def predict_many(
    predictor: Predictor,
    glasses: Iterable[Glass],
    parts: Parts | None = None,
    *,
    total: int,
    workers: int = 1,
    client: Client | None = None,
    block_atoms: int = BLOCK_ATOMS,
    progress: Callable[[PopulationProgress], None] | None = None,
    cancel: CancelSignal | None = None,
) -> Iterator[tuple[Glass, AtomPredictions]]:
    """Predict every atom of many structures, and yield what was predicted once all is done.

    With several workers a structure is the work of one, and a large one is cut into blocks. Predictions agree with
    those of :meth:`Predictor.predict_atoms` to rounding.

    Parameters
    ----------
    predictor
        What predicts.
    glasses
        The structures; gone through twice, so that none has to be kept.
    parts
        What is done already, and where results are kept as they come; in memory where None.
    total
        The number of structures.
    workers
        Processes, with one thread each; for a predictor on the CPU.
    client
        Of a Dask cluster, which works instead.
    block_atoms
        Atoms in a block.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If something that was given cannot be used, or a worker process died; what was computed is kept.
    Cancelled
        If ``cancel`` was set.
    """
    if workers > 1 and predictor.device.type != "cpu":
        raise InputError(f"{workers=} processes cannot share the {predictor.device} device: give one, or use the CPU.")
    parts = Parts() if parts is None else parts
    apart = isinstance(predictor.model, SymGNNLike) and (workers > 1 or client is not None)
    cutter = _Cutter(predictor, block_atoms if apart else None)
    compute_parts(
        _predict_part,
        (predictor, client is not None),
        (part for glass in glasses for part in cutter.parts(glass)),
        parts,
        total=total,
        what="structures",
        workers=workers,
        client=client,
        progress=progress,
        cancel=cancel,
    )
    for glass in glasses:
        yield glass, cutter.assembled(glass, parts)


class _Cutter:
    """Cuts structures into parts whose keys say all that a prediction depends on, and puts results together."""

    def __init__(self, predictor: Predictor, block_atoms: int | None) -> None:
        self._predictor, self._block_atoms = predictor, block_atoms
        protocol = json.dumps(predictor.card.get("protocol"), sort_keys=True, default=str)
        self._said = "|".join((predictor.identity, protocol, predictor.device.type, version("symgnn_explain")))

    def _blocks(self, glass: Glass) -> list[IntArray] | None:
        if self._block_atoms is None or len(glass) <= self._block_atoms:
            return None
        order, ends = blocks_of(glass, self._block_atoms)
        return [order[core] for core in starmap(slice, pairwise(ends.tolist()))]

    def _key(self, glass: Glass, place: int) -> str:
        said = f"{self._said}|{glass.content_hash}|{self._block_atoms}|{place}"
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    def parts(self, glass: Glass) -> Iterator[Part]:
        """Yield the parts of a structure; what a block is surrounded by is found once it is computed."""
        blocks = self._blocks(glass)
        if blocks is None:
            yield Part(self._key(glass, 0), lambda: glass, 1.0)
            return
        for place, atoms in enumerate(blocks):
            surrounded = partial(surroundings, self._predictor.model, glass, atoms)
            yield Part(self._key(glass, place), surrounded, len(atoms) / len(glass))

    def assembled(self, glass: Glass, parts: Parts) -> AtomPredictions:
        """Put together what was predicted for the parts of a structure."""
        blocks = self._blocks(glass) or [np.arange(len(glass))]
        found = [parts.get(self._key(glass, place)) for place in range(len(blocks))]
        if any(each is None for each in found):
            raise InputError(
                f"predictions of {glass.name!r} are gone: it changed while it was predicted, or the same command ran "
                "twice at once and the other run ended first; predict it again."
            )
        back = np.argsort(np.concatenate(blocks))
        columns = [_joined([each[name] for each in found if each is not None]) for name in AtomPredictions._fields]
        values, spread, domain = (None if column is None else column[back] for column in columns)
        if values is None:
            raise TypeError("a part holds no predictions.")
        return AtomPredictions(values, spread, domain)


def _joined(columns: Sequence[Any]) -> FloatArray | None:
    return None if columns[0] is None else np.concatenate([np.asarray(each, dtype=np.float64) for each in columns])


def _predict_part(shared: tuple[Predictor, bool], work: Glass | Surrounded, report: Report) -> dict[str, Any]:
    predictor, on_cluster = shared
    with one_thread() if on_cluster else nullcontext():  # a worker of a cluster has its own threads
        if isinstance(work, Glass):
            found = predictor.predict_atoms(work, progress=report)
        else:
            found = predictor.predict_first(work, progress=report)
    return {name: None if column is None else column.tolist() for name, column in found._asdict().items()}
