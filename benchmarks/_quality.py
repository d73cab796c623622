"""Records of the explainers' quality: one JSON file an atom and cell, written whole, so that a run can resume."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _quality_goals import NULL_METHODS
from scipy.stats import entropy

from symgnn_explain.errors import InputError
from symgnn_explain.explain import METHODS, PreparedGlass, prepare, train_pg_explainer
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.units import Unit
from symgnn_explain.explain.fidelity.measure import (
    STANDARD_COUNTS,
    Fidelity,
    fidelity,
    importance_order,
    log_counts,
)
from symgnn_explain.explain.fidelity.nulls import NullOrder, fidelity_against_nulls
from symgnn_explain.explain.sanity.checks import (
    Request,
    planted_test,
    randomisation_test,
    rotated_glasses,
    rotation_stability,
    seed_stability,
)
from symgnn_explain.explain.sanity.planted import PLANTS, plant_in
from symgnn_explain.explain.sanity.randomised import cascade
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.models.checkpoint import weights_sha256
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.structure.glass import FloatArray

Record = dict[str, Any]

MATCHED_NULLS: tuple[NullOrder, ...] = ("even_attention", "hop_matched", "hop_length_matched")
MATCHED_DRAWS = 2
NULL_COUNTS = (1, 10, 50)
PER_DECADE = 4
TRAINING_ATOMS = 50
NOT_MEASURED = "not measured in this run."
SEEDS = (0, 1)
N_ROTATIONS = 2


@dataclass(frozen=True)
class Cell:
    """One row of the table: what is explained, how, and what a mask means."""

    glass: str
    unit: Unit
    semantics: MaskSemantics
    method: str

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.glass}-{self.unit}-{self.semantics}-{self.method}"


@dataclass(frozen=True, eq=False)
class Book:
    """Where the records of one network and glass are kept, and what they have to agree with to be used again."""

    folder: Path
    prepared: PreparedGlass
    seconds: float
    compute: bool

    @property
    def for_checks(self) -> Book:
        """The same with less time a cell, for checks that explain few atoms many times."""
        return replace(self, seconds=self.seconds / 4)

    def request(self, cell: Cell) -> Request:
        """Say what is asked of the method; one that has to be trained is trained first, once for all units."""
        if cell.method != "pg_explainer":
            return Request(cell.method, semantics=cell.semantics, unit=cell.unit)
        return Request(cell.method, semantics=cell.semantics, unit=cell.unit, explainer=self._trained(cell))

    def records(self, kind: str, cell: Cell, atoms: Sequence[int], make: Callable[[int], Record]) -> Iterator[Record]:
        """Yield one record an atom, from the folder where it is there; stop when the time of a cell is used up."""
        key = {
            "kind": kind,
            **asdict(cell),
            "settings": json.loads(json.dumps(asdict(METHODS[cell.method].configure(**self._settings(cell))))),
            "weights_sha256": weights_sha256(self.prepared.predictor.model),
            "glass_sha256": self.prepared.glass.content_hash,
        }
        spent = 0.0
        for atom in atoms:
            if spent > self.seconds:
                return
            path = self.folder / kind / cell.name / f"{atom}.json"
            record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            if record.get("key") != key:
                if not self.compute:
                    continue
                started = time.process_time()
                made = make(int(atom))
                record = {"key": key, "atom": int(atom), "took": time.process_time() - started, **made}
                write_atomically(path, json.dumps(record).encode())
            spent += record["took"]
            yield record

    def _settings(self, cell: Cell) -> Record:
        return self.request(cell).settings

    def _trained(self, cell: Cell) -> Path:
        known = f"{weights_sha256(self.prepared.predictor.model)[:16]}-{self.prepared.glass.content_hash[:16]}"
        path = self.folder / "pg_explainer" / f"{known}-{cell.semantics}.safetensors"
        if not path.is_file():
            if not self.compute:
                raise InputError(NOT_MEASURED)
            # Others than those that are explained, which stand first in this order.
            atoms = shuffled_atoms(self.prepared)[-TRAINING_ATOMS:]
            train_pg_explainer(self.prepared, atoms, semantics=cell.semantics).save(path)
        return path


def shuffled_atoms(prepared: PreparedGlass) -> list[int]:
    """All atoms in a fixed random order; the first are explained."""
    atoms: list[int] = np.random.default_rng(0).permutation(len(prepared.glass)).tolist()
    return atoms


def fidelity_record(book: Book, cell: Cell, atom: int) -> Record:
    """Explain one atom, and check the explanation at all counts and against matched nulls."""
    prepared, request = book.prepared, book.request(cell)
    started = time.process_time()
    prediction, scores = request.run(prepared, atom)
    seconds = time.process_time() - started
    order = importance_order(scores.score)
    curve = fidelity(prediction, order, log_counts(prediction.n_units, per_decade=PER_DECADE))
    record = {
        "seconds": seconds,
        "n_units": prediction.n_units,
        "curve": curve.to_dict(),
        "share_outside": share_outside(curve, prepared.predictions),
        "masked_prediction": scores.masked_prediction,
        "soft": soft_fidelity(prediction, scores),
        "sparsity": {"effective_number": float(np.exp(entropy(np.abs(scores.score))))} if scores.score.any() else {},
        "completeness_error": scores.diagnostics["completeness_error"] if scores.signed else None,
        "diagnostics": dict(scores.diagnostics),
    }
    if scores.signed:
        # Among the k largest by absolute value contributions of both signs cancel when they are removed together.
        # Removing those of one sign measures what a signed method claims.
        record["directed"] = {
            direction: fidelity(prediction, np.argsort(sign * scores.score, kind="stable"), STANDARD_COUNTS).to_dict()
            for direction, sign in (("raises", -1), ("lowers", 1))
        }
    if cell.method not in NULL_METHODS:
        report = fidelity_against_nulls(prediction, order, NULL_COUNTS, nulls=MATCHED_NULLS, draws=MATCHED_DRAWS)
        record["nulls"] = {null: [draw.to_dict() for draw in draws] for null, draws in report.nulls.items()}
    return record


def share_outside(curve: Fidelity, predictions: FloatArray) -> float:
    """Share of the masked predictions outside the range of the glass's own."""
    masked = np.concatenate([curve.kept, curve.removed])
    return float(np.mean((masked < predictions.min()) | (masked > predictions.max())))


@torch.no_grad()
def soft_fidelity(prediction: MaskedPrediction, scores: UnitScores) -> Record:
    """Predict under scores as a mask: mask values as they are, contributions as |score| / largest |score|."""
    magnitude = np.abs(scores.score)
    if scores.signed and magnitude.any():
        magnitude = magnitude / magnitude.max()
    mask = torch.from_numpy(magnitude).to(prediction.full(0.0))
    return {
        "kept": float(prediction(mask)),
        "removed": float(prediction(1 - mask)),
        "original": prediction.original,
        "baseline": prediction.baseline,
    }


def stability_record(book: Book, rotated: Sequence[PreparedGlass], cell: Cell, atom: int) -> Record:
    """Explain one atom with two seeds, and in rotated glasses."""
    request = book.request(cell)
    found = {"rotations": rotation_stability(book.prepared, rotated, atom, request)}
    if request.takes_seed:
        found["seeds"] = seed_stability(book.prepared, atom, request, SEEDS)
    return {
        over: {"overlap": one["overlap"].tolist(), "correlation": one["correlation"].tolist()}
        for over, one in found.items()
    }


def measure(book: Book, cell: Cell, atoms: Sequence[int], n_few: int, rotated: Sequence[PreparedGlass]) -> Record:
    """Return all records of a cell; ``unavailable`` says why there are none, and is kept with the records."""
    refused = book.folder / "refused" / f"{cell.name}.txt"
    try:
        checked = list(book.records("fidelity", cell, atoms, lambda atom: fidelity_record(book, cell, atom)))
        stable = []
        if rotated:
            few = atoms[:n_few]
            stable = list(
                book.for_checks.records(
                    "stability", cell, few, lambda atom: stability_record(book, rotated, cell, atom)
                )
            )
    except InputError as error:
        if book.compute:
            write_atomically(refused, str(error).encode())
        return {"cell": asdict(cell), "unavailable": str(error)}
    if not checked:
        why = refused.read_text(encoding="utf-8") if refused.is_file() else NOT_MEASURED
        return {"cell": asdict(cell), "unavailable": why}
    return {"cell": asdict(cell), "records": checked, "stability": stable}


def measure_planted(whole: Book, cells: Sequence[Cell], n_few: int) -> Record:
    """Ask each method for what is planted, for atoms whose prediction differs from the baseline by half a spread."""
    found: Record = {}
    for plant in PLANTS.values():
        planted = plant_in(whole.prepared.glass, plant)
        glass = prepare(planted.predictor, whole.prepared.glass)
        distinct = np.flatnonzero(np.abs(glass.predictions - glass.predictions.mean()) > glass.predictions.std() / 2)
        atoms = np.random.default_rng(0).choice(distinct, n_few, replace=False)
        book = replace(whole.for_checks, prepared=glass)
        for cell in cells:

            def make(atom: int, cell: Cell = cell) -> Record:
                request = book.request(cell)  # noqa: B023 - used before the next plant
                return planted_test(planted, glass, atom, request)._asdict()  # noqa: B023

            try:
                records = list(book.records(f"planted-{plant.name}", cell, atoms, make))
            except InputError:
                continue
            found.setdefault(cell.name, {})[plant.name] = records
    return found


def measure_randomised(book: Book, cells: Sequence[Cell], atoms: Sequence[int]) -> Record:
    """Compare explanations of the trained network with those of networks with random weights.

    A method that was trained for the one cannot explain the others, and is left out.
    """
    networks = dict(cascade(book.prepared))
    found: Record = {}
    for cell in cells:

        def make(atom: int, cell: Cell = cell) -> Record:
            test = randomisation_test(book.prepared, networks, atom, book.request(cell))
            return test.to_dict(orient="list")

        try:
            found[cell.name] = list(book.for_checks.records("randomised", cell, atoms, make))
        except InputError:
            continue
    return found


def turned(prepared: PreparedGlass) -> list[PreparedGlass]:
    """Rotate and reflect the glass."""
    return rotated_glasses(prepared, N_ROTATIONS)
