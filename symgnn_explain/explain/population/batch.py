"""Many atoms of one glass: here, in worker processes or on a Dask cluster; resumable, and the same whichever it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import DEFAULT_METHOD, Method, explain_prepared, require_method, require_prepared
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.units import UNITS, Unit
from symgnn_explain.explain.mask_words import require_semantics
from symgnn_explain.explain.population.explanation_set import ExplanationSet, encode
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import BARRIER, with_tolerance
from symgnn_explain.runs.failures import SomeAtomsError, raise_failures
from symgnn_explain.runs.parallel import Report
from symgnn_explain.runs.progress import PopulationProgress
from symgnn_explain.runs.records import Manifest, RecordFolder, Records, compute_missing, plain_manifest, run_of
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.selection import require_atoms, select_atoms

if TYPE_CHECKING:
    from distributed import Client

ATOMS_AT_ONCE_ON_GPU = 32
"""Atoms that are explained side by side on a GPU, where the method can."""


class PopulationError(SomeAtomsError):
    """Some atoms could not be explained; the others, if any, are kept."""

    @property
    def explanations(self) -> ExplanationSet:
        """Those of the other atoms."""
        kept: ExplanationSet = self.kept
        return kept


@dataclass(frozen=True)
class _Job:
    """What every atom's task needs; sent once to each worker."""

    prepared: PreparedGlass
    method: Method
    configured: Any
    semantics: MaskSemantics
    unit: Unit
    run: str


def explain_many(
    predictor: Predictor,
    glass: Glass,
    atoms: Sequence[int] | str,
    method: str = DEFAULT_METHOD,
    *,
    out: str | Path | None = None,
    workers: int = 1,
    client: Client | None = None,
    semantics: MaskSemantics | None = None,
    unit: Unit | None = None,
    prepared: PreparedGlass | None = None,
    atoms_at_once: int | None = None,
    progress: Callable[[PopulationProgress], None] | None = None,
    cancel: CancelSignal | None = None,
    **settings: Any,
) -> ExplanationSet:
    """Explain many atoms, each exactly as :func:`symgnn_explain.explain.explain_atom` would.

    An explanation depends on the settings and the atom, not on where or beside which others it was computed: every seed
    is that of the settings. So one process, several, and a Dask cluster of like machines write the same bytes.

    Parameters
    ----------
    predictor, glass
        What predicts, and what about.
    atoms
        Numbers of atoms, or words for :func:`symgnn_explain.structure.selection.select_atoms`, such as ``central:50``.
    method
        A name in :data:`symgnn_explain.explain.METHODS`.
    out
        Folder for one record an atom, and a manifest. What is there already is not computed again, so a run that was
        stopped continues; records that are not whole are computed anew. Without it all records are kept in memory.
        Over pairs and with the shipped network a record takes 0.6 MB.
    workers
        Processes, with one thread each; for a predictor on the CPU. They take some seconds to start. Scripts and
        notebooks need no ``if __name__ == "__main__"`` for them (a Dask ``LocalCluster`` with processes does).
    client
        A ``dask.distributed`` client, to compute on its cluster instead. The cluster's machines need this package; the
        records are written here.
    semantics, unit, **settings
        As for ``explain``.
    prepared
        What ``prepare(predictor, glass)`` returned.
    atoms_at_once
        How many atoms are explained side by side, where the method can; where None, one on a CPU, and
        ``ATOMS_AT_ONCE_ON_GPU`` elsewhere. Results may differ in the last digits with this.
    progress
        Called with the fraction done, which also knows the atoms done and the time left.
    cancel
        Anything with ``is_set()``; once set, the run stops with ``Cancelled``. Records in ``out`` are kept.

    Returns
    -------
    ExplanationSet
        The explanations of these atoms, in this order, read one at a time.

    Raises
    ------
    InputError
        If something that was given cannot be used, or ``out`` holds explanations of another glass, by another
        predictor, or with another method or settings.
    PopulationError
        If some atoms could not be explained, after all others were.
    Cancelled
        If ``cancel`` was set.

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets
    >>> explanations = explain_many(
    ...     Predictor.load(device="cpu"), datasets.sample("cu50zr50"), "central:3", "input_gradient", out=None
    ... )
    >>> explanations
    ExplanationSet(3 atoms of 'cu50zr50_sample', input_gradient)
    >>> [why.atom for why in explanations]
    [66, 931, 569]
    """
    chosen = require_method(method)
    configured = chosen.configure(**settings)
    semantics = semantics or chosen.semantics
    require_semantics(semantics)
    if unit is not None and unit not in UNITS:
        raise InputError(f"{unit=} is unknown: choose from {', '.join(UNITS)}.")
    if workers > 1 and predictor.device.type != "cpu":
        raise InputError(f"{workers=} processes cannot share the {predictor.device} device: give one, or use the CPU.")
    at_once = _atoms_at_once(chosen, predictor) if atoms_at_once is None else atoms_at_once
    if at_once < 1:
        raise InputError(f"{atoms_at_once=} must be at least 1.")
    named = [] if isinstance(atoms, str) else require_atoms(glass, atoms).tolist()
    prepared = require_prepared(predictor, glass, prepared) or prepare(predictor, glass)
    wanted = named
    if isinstance(atoms, str):
        wanted = select_atoms(glass, atoms, predictions=prepared.predictions, label=predictor.target.array).tolist()
    configured = with_tolerance(configured, prepared.target)
    unit = unit or chosen.default_unit(describes=prepared.describes)
    manifest = _manifest(prepared, chosen, configured, semantics=semantics, unit=unit)
    records = Records(manifest) if out is None else RecordFolder(Path(out), manifest)
    errors = compute_missing(
        _explain_chunk,
        lambda: _Job(prepared, chosen, configured, semantics, unit, run_of(manifest)),
        records,
        wanted,
        at_once=at_once,
        workers=workers,
        client=client,
        progress=progress,
        cancel=cancel,
    )
    explanations = ExplanationSet(records, [atom for atom in wanted if atom not in errors])
    if errors:
        raise_failures(PopulationError, "{}", "could not be explained", errors, explanations)
    return explanations


def _explain_chunk(job: _Job, atoms: tuple[int, ...], report: Report) -> list[tuple[int, bytes, float]]:
    """Return number, record and seconds of each atom."""
    explanations = explain_prepared(
        job.prepared, atoms, job.method, job.configured, Watch(report), semantics=job.semantics, unit=job.unit
    )
    return [(one.atom, encode(one, job.run), one.wall_time) for one in explanations]


def _atoms_at_once(method: Method, predictor: Predictor) -> int:
    # On a CPU the arrays of one atom stay in the cache, and those of several would not.
    return 1 if predictor.device.type == "cpu" or method.run_many is None else ATOMS_AT_ONCE_ON_GPU


def _manifest(
    prepared: PreparedGlass, method: Method, configured: Any, *, semantics: MaskSemantics, unit: Unit
) -> Manifest:
    predictor, glass = prepared.predictor, prepared.glass
    reference = {"name": prepared.reference_name, "sha256": prepared.reference_sha256}
    return plain_manifest(
        glass={"sha256": glass.content_hash, "name": glass.name, "n_atoms": len(glass)},
        predictor={
            "weights_sha256": predictor.weights_sha256,
            "config": predictor.config,
            "device": predictor.device.type,
            # As in files of earlier versions, nothing is said of energy barriers.
            **({} if predictor.target == BARRIER else {"target": predictor.target.to_dict()}),
        },
        method=method.name,
        mask_semantics=semantics,
        reference_glass=reference if semantics == "reference" else None,
        unit=unit,
        settings=asdict(configured),
        version_of_symgnn_explain=version("symgnn_explain"),
    )
