"""One entry for every method: ``explain(predictor, glass, atom, method=…, **settings)``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.explain.captum_methods import IntegratedGradientsSettings, integrated_gradients
from symgnn_explain.explain.explanation import AtomExplanation
from symgnn_explain.explain.gnn_explainer import GNNExplainerSettings, gnn_explainer
from symgnn_explain.explain.masked_forward import MaskedForward
from symgnn_explain.explain.scores import CancelSignal, EdgeScores, Watch
from symgnn_explain.glass import FloatArray, Glass
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.threads import one_thread

PREDICTION_TOLERANCE = 1e-3
"""How far (eV) single precision may take two evaluations of one prediction apart."""


@dataclass(frozen=True)
class Method:
    """A way to explain, as it is offered in menus and on the command line."""

    name: str
    label: str
    description: str
    settings: type
    run: Callable[[MaskedForward, Any, Watch], EdgeScores]

    def configure(self, **settings: Any) -> Any:
        """Build the method's settings; raises InputError on a name that it does not have or a value it cannot use."""
        known = [field.name for field in fields(self.settings)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise InputError(f"{self.name} has no setting {', '.join(unknown)}: it has {', '.join(known)}.")
        try:
            return self.settings(**settings)
        except TypeError as error:
            raise InputError(f"the settings of {self.name} cannot be used ({error}).") from error


METHODS = {
    method.name: method
    for method in (
        Method(
            "gnnexplainer",
            "GNNExplainer",
            "Learns the small edge mask under which the network still predicts the same barrier.",
            GNNExplainerSettings,
            gnn_explainer,
        ),
        Method(
            "integrated_gradients",
            "Integrated Gradients (Captum)",
            "Splits the prediction into signed contributions of the edges, in eV, by integrating over the mask.",
            IntegratedGradientsSettings,
            integrated_gradients,
        ),
    )
}
"""Every method, by the name that :func:`explain` takes."""


def explain(
    predictor: Predictor,
    glass: Glass,
    atom: int,
    method: str = "gnnexplainer",
    *,
    barriers: FloatArray | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
    **settings: Any,
) -> AtomExplanation:
    """Find the edges behind the predicted barrier of one atom.

    The predictor's network is never touched, also when the explanation is interrupted.

    Parameters
    ----------
    predictor
        What predicted.
    glass
        The structure.
    atom
        Index of the explained atom, from 0.
    method
        A name in :data:`METHODS`.
    barriers
        What ``predictor.predict(glass)`` returned, shape (N,), eV; saves predicting the whole glass again.
    progress
        Called with the fraction done, from the computing thread.
    cancel
        Anything with ``is_set()``; once set, the explanation stops with ``Cancelled``.
    **settings
        Of the method; see its settings class.

    Returns
    -------
    AtomExplanation
        Scores of all edges in the atom's receptive field.

    Raises
    ------
    InputError
        If the method, a setting or the atom does not exist, the predictor does not know a species of the glass, or
        ``barriers`` are not its predictions.
    Cancelled
        If ``cancel`` was set.
    """
    if method not in METHODS:
        raise InputError(f"{method=} is unknown: choose from {', '.join(METHODS)}.")
    chosen = METHODS[method]
    configured = chosen.configure(**settings)
    atom = glass.require_atom(atom)
    watch = Watch(progress, cancel)
    started = time.perf_counter()
    watch.advance(0.0)
    graph = predictor.graph(glass)
    forward = MaskedForward(predictor.model, graph, atom)
    prediction = float(forward.original())
    barriers = _require_predictions(predictor.predict(glass) if barriers is None else barriers, glass, atom, prediction)
    with one_thread():
        scores = chosen.run(forward, configured, watch)
    edges = forward.field.edges
    source, target = graph.edge_index[:, edges].cpu().numpy()
    return AtomExplanation(
        atom=atom,
        method=method,
        source=source,
        target=target,
        displacement=graph.edge_attr[edges].double().cpu().numpy(),
        hop=forward.field.hop.cpu().numpy(),
        score=scores.score,
        signed=scores.signed,
        prediction=prediction,
        prediction_range=(float(barriers.min()), float(barriers.max())),
        masked_prediction=scores.masked_prediction,
        settings=asdict(configured),
        seed=configured.seed,
        diagnostics=scores.diagnostics,
        wall_time=time.perf_counter() - started,
        glass_name=glass.name,
        glass_sha256=glass.content_hash,
    )


def _require_predictions(barriers: FloatArray, glass: Glass, atom: int, prediction: float) -> FloatArray:
    barriers = np.asarray(barriers, dtype=np.float64)
    if barriers.shape != (len(glass),):
        raise InputError(
            f"barriers have shape {barriers.shape}, expected ({len(glass)},): one prediction in eV an atom."
        )
    if abs(barriers[atom] - prediction) > PREDICTION_TOLERANCE:
        raise InputError(
            f"barriers hold {barriers[atom]:.4f} eV for atom {atom}, but this predictor predicts {prediction:.4f} eV: "
            "give what its predict() returned for this glass, or leave them out."
        )
    return barriers
