"""The glass under the network: what is predicted of it, and what is known about the structure itself."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from traitlets import Bool, HasTraits, Unicode

from symgnn_explain.analysis import (
    BondNetwork,
    LocalOrder,
    RadialDistribution,
    StructureTopology,
    VoronoiCells,
    bond_network,
    local_order_analysis,
    radial_distribution,
    structure_topology,
    voronoi_cells,
)
from symgnn_explain.errors import InputError
from symgnn_explain.explain import prepare
from symgnn_explain.explain.engine.prepared import PreparedGlass, is_sampled, require_finite
from symgnn_explain.explain.engine.sample import Sample, sample_of
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.models.predictor import AtomPredictions, Predicted, Predictor
from symgnn_explain.models.target import Target
from symgnn_explain.runs.threads import giving_way
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.bins import CLOSEST_APPROACH
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.graph import neighbour_edges, require_species
from symgnn_widgets.state.jobs import Job, Reporter, event_loop

Found = TypeVar("Found")

AHEAD_ATOMS = 30_000
"""Atoms up to which the graph is built before anybody asks for an explanation: 30 kB each."""

MOST_ANALYSED = 200_000
"""Atoms up to which what looks at all of them at once is computed: a kilobyte each and more."""

NOT_YET = "The atoms are still being predicted: wait a moment."

_log = logging.getLogger(__name__)


class Structure(HasTraits):
    """A glass and the predictions for it; every analysis of it is computed once, when asked for.

    Parameters
    ----------
    glass
        The structure shown.
    predictor
        The network that is explained.
    later
        Leave the predictions to :meth:`predict`, which a page does not wait for; else they are made here and now.

    Raises
    ------
    InputError
        If the network cannot predict this glass.
    """

    error = Unicode(help="one sentence about what went wrong last, or empty")
    predicted = Bool(False, help="whether the predictions are there; whoever asks for them before waits for them")
    explainable = Bool(False, help="whether an explanation waits for nothing: of a very large glass a sample will do")

    def __init__(self, glass: Glass, predictor: Predictor, *, later: bool = False) -> None:
        super().__init__()
        self.glass = glass
        self.predictor = predictor
        self.predicting = Job(
            lambda error: self.fail("The glass could not be predicted", error),
            lambda _sample: self.set_trait("explainable", True),
        )
        self._ahead = Job(lambda error: self.fail("Explanations could not be prepared", error))
        self._known: dict[str, Any] = {}
        self._awaited = threading.Event()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        if later:
            require_predictable(glass, predictor)
        else:
            self.predict_watched(Watch())
            self.predicted = self.explainable = True

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self.predictor.target

    @cached_property
    def labels(self) -> FloatArray | None:
        """Known values of the target, shape (N,), NaN where unknown; None where all are."""
        return self.target.labels(self.glass)

    def predict(self) -> None:
        """Predict in the background, if that is not under way or done; what was cancelled begins anew."""
        if self.predicted or self.predicting.running:
            return

        def work(report: Reporter, cancel: threading.Event) -> None:
            if self.sampled:
                report.preview(self.sample)
            with giving_way(self._awaited):
                self._predict_once(Watch(report, cancel))

        self._awaited.clear()
        self.predicting.start(work, lambda _nothing: self.take_in())

    def take_in(self) -> None:
        """Let everybody see predictions that are there."""
        if not self.predicted and "predicted" in self._known:
            if self.sampled:
                self._known.pop("prepared", None)  # which knew nothing of them
            self.predicted = self.explainable = True
            self.prepare_ahead()

    @cached_property
    def sampled(self) -> bool:
        """Whether a sample of a very large glass will do to explain its atoms."""
        return is_sampled(self.predictor, self.glass)

    @property
    def sample(self) -> Sample:
        """The atoms that stand for all of a very large glass."""
        return self._once("sample", lambda: sample_of(self.predictor, self.glass))

    @property
    def predicted_first(self) -> tuple[IntArray, AtomPredictions]:
        """Some atoms with what is predicted of them: all, or of a very large glass the sample."""
        if self.sampled:
            return self.sample.atoms, self.sample.said
        return np.arange(len(self.glass)), self.said

    def prepared_watched(self, cancel: CancelSignal) -> PreparedGlass:
        """Return what explanations need, once all is predicted; of a very large glass at once."""
        if not self.sampled:
            self.predict_watched(Watch(cancel=cancel))
        return self.prepared

    def predict_watched(self, watch: Watch) -> Predicted:
        """Predict once; whoever asks meanwhile waits. Raises InputError where predictions are no numbers."""
        self._awaited.set()
        return self._predict_once(watch)

    def _predict_once(self, watch: Watch) -> Predicted:
        def predict() -> Predicted:
            watch.advance(0.0)
            found = self.predictor.predict_glass(self.glass, progress=watch.advance)
            require_finite(self.glass, found.said.values)
            return found

        return self._once("predicted", predict)

    @property
    def said(self) -> AtomPredictions:
        """Predictions, spread and domain score of all atoms."""
        return self.predict_watched(Watch()).said

    @property
    def predictions(self) -> FloatArray:
        """Prediction of each atom, shape (N,)."""
        return self.said.values

    @property
    def spread(self) -> FloatArray | None:
        """Standard deviation of each prediction, shape (N,), where it is known."""
        return self.said.spread

    @property
    def domain(self) -> FloatArray | None:
        """Domain score of each atom, shape (N,), where the predictor gives it."""
        return self.said.domain

    @property
    def said_so_far(self) -> AtomPredictions:
        """What :attr:`said` is, or numbers that are unknown (NaN) where it is not there yet."""
        if self.predicted:
            return self.said
        unknown = np.full(len(self.glass), np.nan)
        has_spread, has_domain = self.predictor.calibration is not None, self.predictor.domain is not None
        return AtomPredictions(unknown, unknown if has_spread else None, unknown if has_domain else None)

    def prepare_ahead(self) -> None:
        """Let what explanations need be built in the background where a page waits for clicks, if memory allows."""
        if self.predicted and len(self.glass) <= AHEAD_ATOMS and event_loop() is not None:
            self._ahead.start(lambda _report, _cancel: self.prepared, lambda _prepared: None)

    @property
    def prepared(self) -> PreparedGlass:
        """What explanations need: the graph takes longer than the predictions, and is built when it is first wanted."""
        if self.sampled:
            sample, so_far = self.sample, Predicted(self.said_so_far, None)
            return self._once("prepared", lambda: prepare(self.predictor, self.glass, predicted=so_far, sample=sample))
        predicted = self.predict_watched(Watch())
        return self._once("prepared", lambda: prepare(self.predictor, self.glass, predicted=predicted))

    @property
    def domain_warning(self) -> str:
        """One sentence where much of the structure lies outside of what training covered; else empty."""
        if not self.predicted:
            return ""
        return self._once("doubts", lambda: self.predictor.domain_sentence(self.glass, self.said.domain))

    @cached_property
    def radial_distribution(self) -> RadialDistribution:
        """Radial distribution with its shells."""
        return radial_distribution(self.glass)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Say what cannot be used, in the place of raising it."""
        try:
            yield
        except InputError as error:
            self.error = str(error)

    def fail(self, what: str, error: Exception) -> None:
        """Say that something failed, and why."""
        self.error = as_sentence(what, error)

    def uncertainty_of(self, atom: int) -> float | None:
        """Return the standard deviation of one prediction, where it is known."""
        spread = self.said.spread if self.predicted else None
        return None if spread is None else float(spread[atom])

    def named_values(self, explanation: AtomExplanation | None) -> dict[str, FloatArray]:
        """Name what atoms have beside the values of the glass: uncertainty, domain, error, importance."""
        values: dict[str, FloatArray] = {}
        predictions, spread, domain = self.said_so_far
        if spread is not None:
            values["uncertainty"] = spread
        if domain is not None:
            values["domain"] = domain
        if self.labels is not None:
            values["error"] = predictions - self.labels
        if explanation is not None:
            scores = explanation.atom_scores()
            values["importance"] = np.zeros(len(self.glass))
            values["importance"][scores.index] = scores
        return values

    def voronoi_cells(self) -> VoronoiCells:
        """Return the Voronoi cells of all atoms."""
        self._require_analysable()
        return self._once("cells", lambda: voronoi_cells(self.glass))

    def local_order(self) -> LocalOrder:
        """Return the local order of all atoms."""
        self._require_analysable()
        return self._once("local order", lambda: local_order_analysis(self.glass))

    def network(self, progress: Callable[[float], None], cancel: CancelSignal) -> BondNetwork:
        """Return the bond network and its rings."""
        self._require_analysable()
        return self._once("network", lambda: bond_network(self.glass, progress=progress, cancel=cancel))

    def topology(self, progress: Callable[[float], None], cancel: CancelSignal) -> StructureTopology:
        """Return persistence pairs and optimal cycles."""
        self._require_analysable()
        return self._once("topology", lambda: structure_topology(self.glass, progress, cancel))

    def _require_analysable(self) -> None:
        if len(self.glass) > MOST_ANALYSED:
            raise InputError(
                f"{self.glass.name!r} has {len(self.glass):,} atoms: Voronoi cells, local order, rings and cycles are "
                f"found for up to {MOST_ANALYSED:,}. Open a part of the structure for these."
            )

    def _once(self, name: str, compute: Callable[[], Found]) -> Found:
        with self._locks[name]:  # asked from several threads, which wait for what they ask for alone
            if name not in self._known:
                self._known[name] = compute()
            found: Found = self._known[name]
            return found


def require_predictable(glass: Glass, predictor: Predictor) -> None:
    """Raise InputError where a network certainly cannot predict a glass: what is known before it is computed."""
    require_species(glass, predictor.species)
    # Other networks have their own neighbours; of a very large glass it is said where it is predicted.
    if predictor.cutoff is not None and not is_sampled(predictor, glass):
        neighbour_edges(glass, CLOSEST_APPROACH)


def as_sentence(what: str, error: Exception) -> str:
    """Say in one sentence what went wrong; what the program did not expect goes to the log in full."""
    if isinstance(error, InputError):
        return str(error)
    _log.error("%s.", what, exc_info=error)
    reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    return f"{what} ({type(error).__name__}: {reason})."
