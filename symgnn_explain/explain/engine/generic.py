"""The masked prediction of any network: on the whole graph, or on a part of it that has proved to be enough.

A cut graph is another graph: degrees and what is normalised by them, pooling and normalisation over all atoms, and
frames of the whole structure change. So nothing is read off the number of layers. How far an atom sees is measured, and
a part is used only where it gives the same prediction and, under a random mask, the same value and gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_network import MaskedNetwork
from symgnn_explain.explain.engine.protocol import ForwardUnderMask, MaskSemantics
from symgnn_explain.explain.engine.receptive_field import ReceptiveField
from symgnn_explain.models.protocol import NodeModel, evaluated_copy, one_number_an_atom

TOLERANCE = 1e-5
"""Largest difference between part and whole, in units of the spread of the predictions and of the largest gradient."""


REGIONS_KEPT = 8
"""Atoms whose region an engine remembers, for the next method that explains them."""


class Region(NamedTuple):
    """Where one atom's masked prediction is computed.

    Parameters
    ----------
    field
        The edges that it depends on.
    graph, atom
        The graph that is evaluated, and the atom's number in it.
    place
        Where the field's edges are among those of ``graph``, shape (E,).
    whole
        Whether that is the whole graph because no part of it would do.
    """

    field: ReceptiveField
    graph: Data
    atom: int
    place: Tensor
    whole: bool


class GenericEngine:
    """Masked predictions of one graph by any network.

    Parameters
    ----------
    model
        The network; it is copied, never touched.
    graph
        Its input.
    reference
        The graph whose mean messages stand for "nothing particular"; the graph itself where None.

    Raises
    ------
    InputError
        If the network has no messages, does not give one number an atom, or not the same ones twice.
    """

    def __init__(self, model: NodeModel, graph: Data, reference: Data | None = None) -> None:
        self.network = MaskedNetwork(model)
        if graph.edge_index is None:
            raise InputError(f"the graph of {self.network.name} has no edge_index, whose messages would be masked.")
        plainly = evaluated_copy(model)
        self.graph, self._reference_graph = graph, reference
        self._regions: dict[tuple[int, MaskSemantics], Region] = {}
        with torch.no_grad():
            plain = one_number_an_atom(plainly, graph)
            self.predictions = self.network.predict(graph, plain.new_ones(graph.num_edges))
        known = getattr(model, "label_scale", None)
        self.scale: Tensor = plain.std(correction=0) if known is None else known.detach()
        """Spread of the predicted quantity: that of training where the network knows it, else of this graph."""
        if not float(self.scale) > 0:
            self.scale = torch.ones_like(plain[0])
        spread = plain.std(correction=0)
        self._tolerance = TOLERANCE * (spread if float(spread) > 0 else self.scale)
        if not self._same(plain, self.predictions):
            raise InputError(
                f"{self.network.name} gives other numbers when it is called again on the same graph, so there is "
                "no one prediction to explain: in evaluation mode it must draw nothing at random, and change no input."
            )

    @cached_property
    def reference(self) -> list[Tensor]:
        """The mean message of each layer."""
        return self.network.mean_messages(self.graph if self._reference_graph is None else self._reference_graph)

    def predict(self, graph: Data, mask: Tensor, semantics: MaskSemantics) -> Tensor:
        """Predict every atom of the graph, or of a part of it, under a mask over its edges."""
        if semantics != "removal":
            return self.network.predict(graph, mask, self.reference if semantics == "reference" else None)
        kept = mask > 0
        if mask.requires_grad or not bool(((mask == 0) | (mask == 1)).all()):
            raise InputError(
                f"under the semantics 'removal' an edge of {self.network.name} is there or not, and nothing between: "
                "choose 'reference' or 'zero', or a method that masks units wholly, such as feature_ablation."
            )
        part = graph.edge_subgraph(kept)
        return self.network.predict(part, mask[kept])

    def region(self, atom: int, semantics: MaskSemantics) -> Region:
        """Find the edges that an atom's prediction depends on, and what has to be evaluated for it."""
        known = self._regions.get((atom, semantics))
        if known is None:
            known = self._find_region(atom, semantics)
            self._regions = dict([*self._regions.items(), ((atom, semantics), known)][-REGIONS_KEPT:])
        return known

    def _find_region(self, atom: int, semantics: MaskSemantics) -> Region:
        ones = self.predictions.new_ones(self.graph.num_edges)
        mask = torch.rand(len(ones), generator=torch.Generator().manual_seed(0)).to(ones)
        mask = (mask > 0.3).to(ones) if semantics == "removal" else 0.2 + 0.8 * mask
        value, gradient = self._value_and_gradient(self.graph, mask, atom, semantics)
        hops = self._seen_by(atom, gradient)
        # What is normalised by degrees sees one hop farther when edges are removed.
        depths = () if hops is None else (hops, hops + 1) if semantics == "removal" else (hops,)
        fields = [self._field(atom, depth) for depth in depths]
        for field, depth in zip(fields, depths, strict=True):
            if len(field.edges) == len(mask):
                return Region(field, self.graph, atom, field.edges, whole=False)
            slope = None if gradient is None else gradient[field.edges]
            for beyond in (0, 1):  # one hop more, so that atoms at the rim keep their degrees
                part = self._cut(atom, field, depth + beyond)
                if self._is_enough(part, semantics, mask, value, slope):
                    return part
        for field in fields:
            with torch.no_grad():
                inside = self.predict(self.graph, ones.index_copy(0, field.edges, mask[field.edges]), semantics)
            if self._same(inside[atom], value):
                return Region(field, self.graph, atom, field.edges, whole=True)
        return Region(self._everything(atom), self.graph, atom, self._everything(atom).edges, whole=True)

    def _is_enough(
        self, part: Region, semantics: MaskSemantics, mask: Tensor, value: Tensor, gradient: Tensor | None
    ) -> bool:
        """Whether a part gives the atom's prediction, and under a mask the value and the gradient of the whole."""
        ones = self.predictions.new_ones(part.graph.num_edges)
        local = ones.index_copy(0, part.place, mask[part.field.edges])
        try:
            with torch.no_grad():
                original = self.predict(part.graph, ones, semantics)[part.atom]
            found, towards = self._value_and_gradient(part.graph, local, part.atom, semantics)
        except (RuntimeError, ValueError, IndexError):  # the network takes no such part
            return False
        if not (self._same(original, self.predictions[int(part.field.nodes[0])]) and self._same(found, value)):
            return False
        if towards is None or gradient is None or not len(gradient):
            return True
        return bool((towards[part.place] - gradient).abs().max() <= TOLERANCE * gradient.abs().max())

    def _seen_by(self, atom: int, gradient: Tensor | None) -> int | None:
        """How many hops away messages matter to an atom; None where those that cannot reach it do too.

        Messages that are not a number make all that depends on them not a number. A gradient says where to start: it
        can be zero by chance, so it may reach less far than messages do.
        """
        hops, n_edges = 1, -1
        if gradient is not None:
            everything = self._everything(atom)
            hops += int(torch.where(gradient[everything.edges] != 0, everything.hop, 0).max()) if len(gradient) else 0
        while True:
            field = self._field(atom, hops)
            far = torch.full_like(self.predictions[:1], torch.nan).repeat(self.graph.num_edges)
            if len(field.edges) == len(far) or self._survives(far.index_fill(0, field.edges, 1.0), atom):
                return hops
            if len(field.edges) == n_edges:
                return None
            hops, n_edges = hops + 1, len(field.edges)

    def _survives(self, mask: Tensor, atom: int) -> bool:
        with torch.no_grad():
            try:
                return bool(self.network.predict(self.graph, mask)[atom].isfinite())
            except (RuntimeError, ValueError):  # an operation that takes no NaN: then it depends on them
                return False

    def _value_and_gradient(
        self, graph: Data, mask: Tensor, atom: int, semantics: MaskSemantics
    ) -> tuple[Tensor, Tensor | None]:
        if semantics == "removal":
            with torch.no_grad():
                return self.predict(graph, mask, semantics)[atom], None
        mask = mask.clone().requires_grad_()
        with torch.enable_grad():
            value = self.predict(graph, mask, semantics)[atom]
            if not value.requires_grad:
                raise InputError(
                    f"no gradient comes through {self.network.name}'s predictions to its messages: its predict() must "
                    "call the message passing layers, without torch.no_grad() and detach()."
                )
            try:
                return value.detach(), torch.autograd.grad(value, mask)[0]
            except RuntimeError as error:
                raise InputError(
                    f"PyTorch cannot differentiate {self.network.name}'s predictions ({str(error).splitlines()[0]}): "
                    "its layers must change nothing in place that gradients need, and compute the same at every call."
                ) from error

    def _same(self, one: Tensor, other: Tensor) -> bool:
        rounding = 8 * torch.finfo(other.dtype).eps * other.abs()
        return bool(((one - other).abs() <= self._tolerance + rounding).all())

    def _field(self, atom: int, hops: int) -> ReceptiveField:
        return ReceptiveField.of(atom, self.graph.edge_index, self.graph.num_nodes, hops)

    def _everything(self, atom: int) -> ReceptiveField:
        return ReceptiveField.everything(atom, self.graph.edge_index, self.graph.num_nodes)

    def _cut(self, atom: int, field: ReceptiveField, hops: int) -> Region:
        """Cut out what is up to some hops away from an atom."""
        near = self._field(atom, hops)
        kept = torch.zeros(self.graph.num_edges, dtype=torch.bool, device=near.edges.device)
        kept[near.edges] = True
        nodes = near.nodes.sort().values
        part = self.graph.edge_subgraph(kept).subgraph(nodes)
        return Region(field, part, int(torch.searchsorted(nodes, atom)), (kept.cumsum(0) - 1)[field.edges], whole=False)


class GenericForward:
    """``prediction(mask)`` of one atom, with message ``field.edges[e]`` masked by ``mask[e]``."""

    def __init__(self, engine: GenericEngine, atom: int, semantics: MaskSemantics) -> None:
        self._engine, self.semantics = engine, semantics
        self._region = engine.region(atom, semantics)
        self.field = self._region.field
        self.label_scale = engine.scale
        self._original = engine.predictions[atom]
        self._ones = engine.predictions.new_ones(self._region.graph.num_edges)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network's predictions, and so of masks."""
        return self._ones.dtype

    @property
    def n_edges(self) -> int:
        """Length of the mask."""
        return len(self.field.edges)

    @property
    def diagnostics(self) -> dict[str, float]:
        """How many edges are evaluated, and of the whole graph where no part of it would do."""
        evaluated = float(self._region.graph.num_edges)
        return {"evaluated_edges": evaluated, **({"whole_graph_edges": evaluated} if self._region.whole else {})}

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict, a scalar."""
        whole = self._ones.index_copy(0, self._region.place, mask)
        return self._engine.predict(self._region.graph, whole, self.semantics)[self._region.atom]

    def original(self) -> Tensor:
        """Return the network's own prediction: nothing masked."""
        return self._original

    @torch.no_grad()
    def baseline(self) -> Tensor:
        """Return the prediction with everything masked."""
        return self(self._ones.new_zeros(self.n_edges))


class SideBySide:
    """The masked predictions of several atoms, shape (A,), under their masks one after the other."""

    def __init__(self, forwards: Sequence[GenericForward]) -> None:
        self._forwards = forwards
        self.semantics, self.dtype, self.label_scale = (
            getattr(forwards[0], name) for name in ("semantics", "dtype", "label_scale")
        )
        fields = [forward.field for forward in forwards]
        self._sizes = [len(field.edges) for field in fields]
        offsets = torch.tensor([0, *(len(field.nodes) for field in fields[:-1])]).cumsum(0).tolist()
        numbered = list(zip(fields, offsets, strict=True))
        self.field = ReceptiveField(
            nodes=torch.cat([field.nodes for field in fields]),
            edges=torch.cat([field.edges for field in fields]),
            source=torch.cat([field.source + offset for field, offset in numbered]),
            target=torch.cat([field.target + offset for field, offset in numbered]),
            hop=torch.cat([field.hop for field in fields]),
            owner=torch.cat([torch.full_like(field.edges, owner) for owner, field in enumerate(fields)]),
            n_nodes=(),
            n_edges=(),
        )

    @property
    def n_edges(self) -> int:
        """Length of all masks together."""
        return len(self.field.edges)

    def __call__(self, mask: Tensor) -> Tensor:
        """Predict, one number an atom."""
        pieces = mask.split(self._sizes)
        return torch.stack([forward(piece) for forward, piece in zip(self._forwards, pieces, strict=True)])

    def original(self) -> Tensor:
        """Return the network's own predictions."""
        return torch.stack([forward.original() for forward in self._forwards])

    def baseline(self) -> Tensor:
        """Return the predictions with everything masked."""
        return torch.stack([forward.baseline() for forward in self._forwards])


def generic_forward(engine: GenericEngine, atoms: int | Sequence[int], semantics: MaskSemantics) -> ForwardUnderMask:
    """Build the masked prediction of one atom, or of several; one may be named several times."""
    if isinstance(atoms, int):
        return GenericForward(engine, atoms, semantics)
    each = {atom: GenericForward(engine, atom, semantics) for atom in dict.fromkeys(atoms)}
    return SideBySide([each[atom] for atom in atoms])
