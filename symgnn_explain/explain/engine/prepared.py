"""What explaining any atom of one glass needs, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.units import SHELL_WIDTH, Unit
from symgnn_explain.models.ensemble import SymGNNLike, with_description
from symgnn_explain.models.predictor import Predicted, Predictor
from symgnn_explain.models.target import Target
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.graph import edge_displacements

if TYPE_CHECKING:
    from symgnn_explain.explain.result.explanation import AtomExplanation
    from symgnn_explain.explain.result.interactions import Interactions


@dataclass(frozen=True, eq=False)
class PreparedGlass(PreparedGraph):
    """A glass as a predictor sees it; make one with :func:`prepare`.

    Parameters
    ----------
    model, graph, predictions, reference, reference_graph
        Of the :class:`PreparedGraph`.
    predictor, glass
        What predicts, and what about.
    reference_name, reference_sha256
        The glass that the reference messages come from, and the hash of its content.
    spread
        Standard deviation of a label about each prediction, shape (N,); None where the predictor was never calibrated.
    domain
        Score of each atom, shape (N,): 1 at the edge of what training covered; None where the predictor has none.
    """

    predictor: Predictor
    glass: Glass
    reference_name: str
    reference_sha256: str
    spread: FloatArray | None = None
    domain: FloatArray | None = None

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self.predictor.target

    @property
    def structure(self) -> Glass:
        """The glass."""
        return self.glass

    def explain(self, atom: int, method: str | None = None, **chosen: Any) -> AtomExplanation:
        """Explain the prediction of one atom; see :func:`symgnn_explain.explain.explain_atom`, whose keywords it takes.

        ::

            prepared = prepare(Predictor.load(), datasets.sample())
            prepared.explain(1501).by_distance()     # Integrated Gradients over pairs
            prepared.explain(1501, "gnnexplainer").top_edges(10)
        """
        from symgnn_explain.explain.api import DEFAULT_METHOD, explain_atom

        return explain_atom(self.predictor, self.glass, atom, method or DEFAULT_METHOD, prepared=self, **chosen)

    def interactions(self, atom: int, units: Any = "neighbours", **chosen: Any) -> Interactions:
        """Find which units act together; see :func:`symgnn_explain.explain.explain_interactions` and its keywords.

        ::

            prepared.interactions(1501, "shells").to_frame()
        """
        from symgnn_explain.explain.interactions import explain_interactions

        return explain_interactions(self, atom, units, **chosen)

    def displacements(self, edges: Tensor) -> FloatArray:
        """Return ``r_source - r_target`` of some edges, shape (E, 3), Å.

        Raises
        ------
        InputError
            If the graph does not hold them, and the minimum image does not say which image an edge is to.
        """
        return edge_displacements(self.glass, self.graph, edges)

    def masked_prediction(
        self,
        atom: int,
        *,
        semantics: MaskSemantics,
        unit: Unit,
        shell_width: float = SHELL_WIDTH,
        member: int | None = None,
    ) -> MaskedPrediction:
        """Build the prediction of one atom as a function of a mask over units; see :class:`PreparedGraph`."""
        atom = self.glass.require_atom(atom)
        return super().masked_prediction(atom, semantics=semantics, unit=unit, shell_width=shell_width, member=member)


def prepare(
    predictor: Predictor, glass: Glass, *, reference: Glass | None = None, predicted: Predicted | None = None
) -> PreparedGlass:
    """Predict a glass once, and keep what its explanations need; the same whatever the number of threads.

    Parameters
    ----------
    predictor
        What predicts. Its network is copied where it has to be changed, never touched.
    glass
        The structure.
    reference
        The glass whose mean messages stand for "nothing particular" under the semantics ``reference``; the glass
        itself where None.
    predicted
        What the predictor's ``predict_glass`` said of the glass, so that it is not predicted again.

    Raises
    ------
    InputError
        If the predictor does not know a species of either glass.
    """
    reference_graph = None
    with torch.no_grad(), one_thread():  # sums over several threads differ in their last digits
        graph = with_description(predictor.model, predictor.graph(glass))
        if not isinstance(predictor.model, SymGNNLike):
            said, messages = predicted or predictor.predict_glass(glass)
            reference_graph = None if reference is None else predictor.graph(reference)
    if isinstance(predictor.model, SymGNNLike):
        said, messages = predicted or predictor.predict_glass(glass)
        if reference is not None:
            _, messages = predictor.predict_glass(reference)
    reference = glass if reference is None else reference
    values, spread, domain = said
    require_finite(glass, values)
    return PreparedGlass(
        model=predictor.model,
        graph=graph,
        predictions=values,
        reference=messages,
        reference_graph=reference_graph,
        predictor=predictor,
        glass=glass,
        reference_name=reference.name,
        reference_sha256=reference.content_hash,
        spread=spread,
        domain=domain,
    )


def require_finite(glass: Glass, predictions: FloatArray) -> None:
    """Raise InputError where predictions are not numbers."""
    if not np.isfinite(predictions).all():
        raise InputError(
            f"the predictor gives predictions of {glass.name!r} that are not finite: its weights are damaged."
        )
