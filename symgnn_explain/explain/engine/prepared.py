"""What explaining any atom of one glass needs, computed once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph
from symgnn_explain.explain.engine.protocol import ForwardUnderMask, MaskSemantics
from symgnn_explain.explain.engine.sample import Sample, sample_of
from symgnn_explain.explain.engine.units import SHELL_WIDTH, Unit
from symgnn_explain.models.ensemble import SymGNNLike, with_description
from symgnn_explain.models.predictor import Predicted, Predictor
from symgnn_explain.models.protocol import NodeModel
from symgnn_explain.models.sweep import lengths_of
from symgnn_explain.models.target import Target
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.bins import Boxes, images_within, wrapped_into_cell
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray
from symgnn_explain.structure.graph import edge_displacements

if TYPE_CHECKING:
    from symgnn_explain.explain.result.explanation import AtomExplanation
    from symgnn_explain.explain.result.interactions import Interactions


LARGE_ATOMS = 10_000
"""Atoms of a glass up to which its graph is built as a whole: some 30 kB each."""

SAMPLED_ATOMS = 100_000
"""Atoms of a glass up to which mean messages, and what predictions are compared with, are those of all."""

_KEPT = 3
"""Surroundings of atoms of a large glass that are kept: an explanation, and what panels ask about it."""

_MARGIN = 1e-3  # by how much (Å) more is taken along than is needed


@dataclass(frozen=True, eq=False, repr=False)
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
    sample
        Atoms that stand for all in a very large glass, where mean messages come from, and predictions to compare with.
        The predictions, ``spread`` and ``domain`` of others may be unknown (NaN) then. None where all atoms are taken.
    """

    predictor: Predictor
    glass: Glass
    reference_name: str
    reference_sha256: str
    spread: FloatArray | None = None
    domain: FloatArray | None = None
    sample: Sample | None = None

    def __repr__(self) -> str:
        known = self.predictions[np.isfinite(self.predictions)]
        said = f", {self.target.text(known.min())} to {self.target.text(known.max())}" if len(known) else ""
        return f"{type(self).__name__}({self.glass!r}{said})"

    @property
    def compared(self) -> FloatArray:
        """The predictions that those under a mask are compared with: of all atoms, or of the sample."""
        return self.predictions if self.sample is None else self.sample.said.values

    def domain_scores(self, atoms: IntArray) -> FloatArray | None:
        """Return the domain score of an atom and of some whose messages reach it, (n,); None where there is none."""
        return None if self.domain is None else self.domain[atoms]

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

    def around(self, atom: int) -> PreparedGlass:  # noqa: ARG002 - a large glass is cut
        """Return what explaining one atom needs, with a graph that holds all that its prediction depends on."""
        return self

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


@dataclass(frozen=True, eq=False, repr=False)
class PreparedSurroundings(PreparedGlass):
    """What explaining one atom of a large glass needs: a graph of the atoms that its prediction depends on.

    Parameters
    ----------
    atom
        The only one that can be explained.
    nodes
        The atom of the glass that each node of the graph is, ascending.
    """

    atom: int = field(kw_only=True)
    nodes: IntArray = field(kw_only=True)

    def node_of(self, atom: int) -> int:
        """Return the node that the atom is; raises InputError for any other, whose surroundings are not complete."""
        if atom != self.atom:
            raise InputError(f"these are the surroundings of atom {self.atom}: explain atom {atom} in its own.")
        return int(np.searchsorted(self.nodes, atom))

    def atoms_of(self, nodes: IntArray) -> IntArray:
        """Return the atoms that nodes of the graph are."""
        return self.nodes[nodes]

    def displacements(self, edges: Tensor) -> FloatArray:
        """Return ``r_source - r_target`` of some edges, shape (E, 3), Å."""
        return np.asarray(self.graph.edge_attr.cpu()[edges.cpu()].double().numpy())


@dataclass(frozen=True, eq=False, repr=False)
class PreparedLargeGlass(PreparedGlass):
    """A large glass as a SymGNN sees it: graphs are built around the atoms that are explained, one after the other.

    Memory beyond that of the glass and its predictions is that of an atom's surroundings, a few ten megabytes; the
    graph of the whole glass is built only where it is asked for.
    """

    graph: Data = field(init=False, repr=False)
    _latest: list[PreparedSurroundings] = field(default_factory=list, init=False, repr=False)

    def __getattr__(self, name: str) -> Any:
        if name != "graph":
            raise AttributeError(name)
        graph = _described_graph(self.predictor, self.glass)  # for what looks at all atoms at once
        object.__setattr__(self, "graph", graph)
        return graph

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_latest": []}  # other processes explain other atoms

    @cached_property
    def _boxes(self) -> Boxes:
        return Boxes.of(self.glass)

    def domain_scores(self, atoms: IntArray) -> FloatArray | None:
        """Return the domain score of an atom and of some that it hears of; see :class:`PreparedGlass`."""
        known, model = super().domain_scores(atoms), self.predictor.model
        if known is None or np.isfinite(known).all() or self.predictor.domain is None:
            return known
        steps = _message_reach(model), model.config.cutoff, max(model.config.cutoff, model.config.reach)
        near, beyond, last = np.cumsum(steps)
        nodes, positions, distance = _within(self.glass, int(atoms[0]), last + _MARGIN, self._boxes)
        order = np.argsort(distance, kind="stable")
        n_core, n_around = np.searchsorted(distance[order], [near + _MARGIN, beyond + _MARGIN])
        lengths = lengths_of(model, _cluster(self.glass, nodes[order], positions[order]), int(n_core), int(n_around))
        score = np.full(len(self.glass), np.nan)
        score[nodes[order[:n_core]]] = lengths / self.predictor.domain.edge
        return score[atoms]

    def around(self, atom: int) -> PreparedSurroundings:
        """Return what explaining one atom needs; what the latest atoms needed is kept."""
        for part in self._latest:
            if part.atom == atom:
                return part
        nodes, positions, _ = _within(self.glass, atom, _sight(self.predictor.model), self._boxes)
        cut = _cluster(self.glass, nodes, positions)
        shared = {each.name: getattr(self, each.name) for each in fields(PreparedGlass) if each.name != "graph"}
        part = PreparedSurroundings(graph=_described_graph(self.predictor, cut), atom=atom, nodes=nodes, **shared)
        self._latest[:] = [part, *self._latest[: _KEPT - 1]]
        return part

    def masked_forward(
        self, atoms: int | list[int], semantics: MaskSemantics, *, over_pairs: bool = False, member: int | None = None
    ) -> ForwardUnderMask:
        """Build the prediction of an atom as a function of a mask; see :class:`PreparedGraph`."""
        part = self.around(atoms if isinstance(atoms, int) else atoms[0])
        return part.masked_forward(atoms, semantics, over_pairs=over_pairs, member=member)

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
        part = self.around(self.glass.require_atom(atom))
        return part.masked_prediction(atom, semantics=semantics, unit=unit, shell_width=shell_width, member=member)


def prepare(
    predictor: Predictor,
    glass: Glass,
    *,
    reference: Glass | None = None,
    predicted: Predicted | None = None,
    sample: Sample | None = None,
) -> PreparedGlass:
    """Predict a glass once, and keep what its explanations need; the same whatever the number of threads.

    Of a glass of more than ``LARGE_ATOMS`` the graph is built around each atom that is explained. Of more than
    ``SAMPLED_ATOMS`` a sample gives the mean messages, and the range and spread of predictions.

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
        What the predictor's ``predict_glass`` said of the glass, so that it is not predicted again; unknown numbers
        (NaN) are allowed where there is a sample.
    sample
        What ``sample_of`` returned for the glass, so that it is not predicted again.

    Raises
    ------
    InputError
        If the predictor does not know a species of either glass.

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets
    >>> prepared = prepare(Predictor.load(device="cpu"), datasets.sample("cu50zr50"))
    >>> prepared
    PreparedGlass(Glass('cu50zr50_sample', Cu500Zr500, 0.0573 atoms/Å³, without barriers), 0.961 eV to 1.831 eV)
    >>> f"{prepared.explain(12).share_beyond(5.0):.0%} of what is explained comes from beyond 5 Å"
    '54% of what is explained comes from beyond 5 Å'
    """
    reference_graph = graph = None
    if not _is_cut(predictor.model, glass):
        graph = _described_graph(predictor, glass)
    if is_sampled(predictor, glass):
        sample = sample or sample_of(predictor, glass)
        require_finite(glass, sample.said.values)
    if isinstance(predictor.model, SymGNNLike):
        said, messages = predicted or predictor.predict_glass(glass)
        if reference is not None:
            messages = _messages(predictor, reference)
        elif sample is not None:
            messages = sample.messages
    else:
        with one_thread():
            said, messages = predicted or predictor.predict_glass(glass)
            reference_graph = None if reference is None else predictor.graph(reference)
    reference = glass if reference is None else reference
    values, spread, domain = said
    if sample is None:
        require_finite(glass, values)
    found: dict[str, Any] = {
        "model": predictor.model,
        "predictions": values,
        "reference": messages,
        "reference_graph": reference_graph,
        "predictor": predictor,
        "glass": glass,
        "reference_name": reference.name,
        "reference_sha256": reference.content_hash,
        "spread": spread,
        "domain": domain,
        "sample": sample,
    }
    return PreparedLargeGlass(**found) if graph is None else PreparedGlass(graph=graph, **found)


def _messages(predictor: Predictor, glass: Glass) -> list[list[Tensor]] | None:
    return (sample_of(predictor, glass) if is_sampled(predictor, glass) else predictor.predict_glass(glass)).messages


def is_sampled(predictor: Predictor, glass: Glass) -> bool:
    """Whether a sample stands for the glass where one of its atoms is explained."""
    return len(glass) > SAMPLED_ATOMS and _is_cut(predictor.model, glass)


def _described_graph(predictor: Predictor, glass: Glass) -> Data:
    with torch.no_grad(), one_thread():  # sums over several threads differ in their last digits
        return with_description(predictor.model, predictor.graph(glass))


def _is_cut(model: NodeModel, glass: Glass) -> bool:
    """Whether a glass is large, and no prediction depends on several images of one atom."""
    if not isinstance(model, SymGNNLike) or len(glass) <= LARGE_ATOMS:
        return False
    return bool((glass.heights()[glass.pbc] > 2 * _sight(model)).all())


def _sight(model: SymGNNLike) -> float:
    """How far (Å) a network sees: over its messages, and before the first of them."""
    return float(_message_reach(model) + max(model.config.cutoff, model.config.reach) + _MARGIN)


def _message_reach(model: SymGNNLike) -> float:
    return float(len(model.layers) * model.config.cutoff)


def graph_around(predictor: Predictor, glass: Glass, atom: int) -> tuple[Data, IntArray]:
    """Build a graph that holds all that the prediction of an atom depends on; also say which atom each node is."""
    if not _is_cut(predictor.model, glass):
        return predictor.graph(glass), np.arange(len(glass))
    nodes, positions, _ = _within(glass, atom, _sight(predictor.model))
    return predictor.graph(_cluster(glass, nodes, positions)), nodes


def _within(
    glass: Glass, atom: int, radius: float, boxes: Boxes | None = None
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the atoms within a radius (Å) of one, in the order of the glass, where their images are, and how far."""
    (centre,) = wrapped_into_cell(glass, np.array([atom]))[1]
    low, high = centre - radius / glass.heights(), centre + radius / glass.heights()
    looked_at = None if boxes is None else boxes.between(low, high)
    image, place, vectors = images_within(glass, low, high, wrapped_into_cell(glass, looked_at))
    image = image if looked_at is None else looked_at[image]
    distance = np.linalg.norm((place - centre) @ glass.cell, axis=1)
    near = distance <= radius
    order = np.flatnonzero(near)[np.argsort(image[near], kind="stable")]
    return image[order], glass.positions[image[order]] + vectors[order] @ glass.cell, distance[order]


def _cluster(glass: Glass, atoms: IntArray, positions: FloatArray) -> Glass:
    cell = np.diag(np.ptp(positions, axis=0) + 1)
    return Glass(positions, glass.numbers[atoms], cell, np.zeros(3, dtype=bool), name=glass.name)


def require_finite(glass: Glass, predictions: FloatArray) -> None:
    """Raise InputError where predictions are not numbers."""
    if not np.isfinite(predictions).all():
        raise InputError(
            f"the predictor gives predictions of {glass.name!r} that are not finite: its weights are damaged."
        )
