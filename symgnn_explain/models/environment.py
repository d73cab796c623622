"""What surrounds each atom, as exactly invariant numbers: the initial node features of a SymGNN that looks closely.

Radial densities and the angular power spectrum of the neighbours' density, both resolved by species (as in the
smooth overlap of atomic positions: Bartók, Kondor and Csányi, Phys. Rev. B 87, 184115, 2013), then standardised and
whitened among atoms of one species. Whitening matters: energy barriers depend on combinations of densities, such as an
atom's energy, that vary little beside the densities themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.utils import to_dense_batch

from symgnn_explain.errors import InputError
from symgnn_explain.models.force_balance import Bonds, ForceBalance
from symgnn_explain.structure.bins import Edges
from symgnn_explain.structure.glass import FloatArray, IntArray

IMBALANCE = 0.2
"""Weight of the net force on an atom, beside its descriptors, in how far it is from what is usual."""

Pairs = tuple[IntArray, IntArray, FloatArray] | None

NEAREST = 2.2
"""First Gaussian of the radial densities, Å; the last one is at the cut-off."""

ANGULAR_CENTRES, ANGULAR_WIDTH = (2.6, 3.0, 3.5), 0.3
"""Radial functions of the power spectrum: Gaussians at these distances, with this standard deviation, Å."""

ANGULAR_RANGE, ANGULAR_TAPER = 4.2, 0.4
"""The power spectrum sees neighbours up to the first distance; over the second, before it, they fade out. Å."""

FAR_OVERLAP = 0.4
"""The first Gaussian of the densities beyond the cut-off sits so much before it, Å."""

FADING, FAR_FADING = 0.5, 1.0
"""Over so far before its end, Å, a smooth density (one beyond the cut-off) loses sight of neighbours."""

DISPLACEMENT = 0.02
"""Standard deviation (Å, along each axis) of small displacements, which networks shall hardly notice."""

FLOOR = 1e-5
"""Variance, as a share of the largest, that is added to each direction before it is scaled to 1."""


class AtomicEnvironment(nn.Module):
    """Whitened descriptors of each atom's surroundings; a function of structure alone, without trained parameters.

    Parameters
    ----------
    n_species
        Number of species.
    cutoff
        Range of the graph, Å.
    n_radial
        Gaussians of the distance in the radial densities of each species.
    degree
        Highest degree l of the power spectrum; 0 for none.
    n_far, reach
        Gaussians of the distance in the densities beyond the cut-off, 0 for none, and how far those look, Å.
    smooth
        Whether descriptors have two derivatives in the positions where neighbours come and go, too.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(
        self,
        n_species: int,
        cutoff: float,
        n_radial: int,
        degree: int,
        *,
        n_far: int = 0,
        reach: float = 0.0,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        self.n_species, self.cutoff, self.n_radial, self.degree = n_species, cutoff, n_radial, degree
        self.n_far, self.reach, self.smooth = n_far, reach, smooth
        n_channels = n_species * len(ANGULAR_CENTRES)
        self.n_raw = n_species * (n_radial + n_far) + degree * n_channels * (n_channels + 1) // 2
        self.balance = ForceBalance(n_species, cutoff)
        self.register_buffer("mean", torch.zeros(n_species, self.n_raw))
        self.register_buffer("whitening", torch.eye(self.n_raw).repeat(n_species, 1, 1))

    @property
    def width(self) -> int:
        """Number of features."""
        return self.n_species * (self.n_raw + 1)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        pair_index: Tensor | None = None,
        pair_attr: Tensor | None = None,
    ) -> Tensor:
        """Return the features of each atom, shape (N, width): those of its own species' columns, with a 1, else 0.

        They are found in double precision: whitening takes differences of large numbers that are nearly the same.
        """
        if x.device.type == "cpu" and not torch.is_grad_enabled():
            pairs = None if pair_index is None or pair_attr is None else _pairs_of(pair_index, pair_attr, len(x))
            edges = Edges(*sorted_by_target(edge_index, edge_attr, len(x)))
            raw = self.raw_of(x.argmax(dim=1).numpy(), edges, pairs)
        else:
            far = (None, None) if pair_attr is None else (pair_index, pair_attr.double())
            raw = self.raw(x.double(), edge_index, edge_attr.double(), *far)
        return self.features(x.double(), raw).to(x)

    def features(self, x: Tensor, raw: Tensor) -> Tensor:
        """Return the features (N, width) of atoms whose raw descriptors (N, n_raw) are known."""
        centred = raw - x @ self.mean.to(raw)
        own = torch.zeros_like(raw)
        for kind, whitening in enumerate(self.whitening.to(raw)):
            own = own + x[:, kind, None] * (centred @ whitening)
        own = torch.cat([own, torch.ones_like(own[:, :1])], dim=1)
        return (x[:, :, None] * own[:, None, :]).flatten(1)

    def raw(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        pair_index: Tensor | None = None,
        pair_attr: Tensor | None = None,
    ) -> Tensor:
        """Return radial densities and power spectrum, shape (N, n_raw); see :meth:`SymGNN.describe`."""
        joined = edge_index[0] != edge_index[1]
        joined |= edge_attr.detach().square().sum(dim=1) > 0  # an atom's own image is a neighbour like any other
        (source, target), vector = edge_index[:, joined], edge_attr[joined]
        distance, kind = vector.norm(dim=1), x[source]
        if self.near_reach > self.cutoff:
            near = self._densities(x, *self._require_pairs(pair_index, pair_attr), self.near, (0.0, self.near_reach))
        else:
            near = _total((kind[:, :, None] * self.near(distance)[:, None, :]).flatten(1), target, len(x))
        columns = [near]
        if self.degree:
            bent = distance < ANGULAR_RANGE
            columns.append(self._power_spectrum(kind[bent], vector[bent], target[bent], len(x)))
        if self.n_far:
            pairs = self._require_pairs(pair_index, pair_attr)
            columns.append(self._densities(x, *pairs, self.far, (self.far_from, torch.inf)))
        return torch.cat(columns, dim=1)

    @torch.no_grad()
    def raw_of(self, kinds: IntArray, edges: Edges, pairs: Pairs) -> Tensor:
        """Return what :meth:`raw` does, without gradients and many times as fast, of some atoms, shape (n, n_raw).

        Parameters
        ----------
        kinds
            Species of every atom of the structure, by their numbers, shape (N,).
        edges
            All edges into these atoms.
        pairs
            First of the pairs of each of these atoms within ``reach`` (n + 1,), the other atom (P,) and distance (P,);
            None where nothing is described beyond the edges.
        """
        from symgnn_explain.models.environment_kernels import add_densities, add_power_spectrum

        if self.n_far and pairs is None:
            raise self._lacks_pairs()
        vector = torch.from_numpy(edges.displacement).double()
        distance = vector.norm(dim=1)
        of_edge, itself = kinds[edges.source], (distance == 0)[:, None]
        raw = np.zeros((len(edges.first) - 1, self.n_raw))
        n_near, n_far = self.n_species * self.n_radial, self.n_species * self.n_far
        if pairs is not None and self.near_reach > self.cutoff:
            close = pairs[2] < self.near_reach  # a third of the pairs
            ends = np.concatenate([[0], np.cumsum(close)])[pairs[0]]
            shared = self.near(torch.from_numpy(pairs[2][close])).numpy()
            add_densities(ends, kinds[pairs[1][close]], shared, raw[:, :n_near])
        else:
            add_densities(edges.first, of_edge, self.near(distance).masked_fill_(itself, 0).numpy(), raw[:, :n_near])
        if self.degree:
            radial = self.angular(distance).masked_fill_(itself, 0).numpy()
            direction = (vector / distance[:, None]).masked_fill_(itself, 0).numpy()
            spectrum = raw[:, n_near : self.n_raw - n_far]
            add_power_spectrum((edges.first, of_edge, radial, direction), self.n_species, self.degree, spectrum)
        if pairs is not None and self.n_far:
            first, other, length = pairs
            shared = self.far(torch.from_numpy(length)).numpy()
            shared[length <= self.far_from] = 0
            add_densities(first, kinds[other], shared, raw[:, self.n_raw - n_far :])
        return torch.from_numpy(raw)

    def _require_pairs(self, pair_index: Tensor | None, pair_attr: Tensor | None) -> tuple[Tensor, Tensor]:
        if pair_index is None or pair_attr is None:
            raise self._lacks_pairs()
        return pair_index, pair_attr

    def _lacks_pairs(self) -> InputError:
        return InputError(
            f"this network describes surroundings up to {self.reach:g} Å, beyond its edges of {self.cutoff:g} Å, "
            "and was given edges alone: give it environment=describe_graph(model, graph), of a predictor's graph."
        )

    @staticmethod
    def _densities(
        x: Tensor,
        index: Tensor,
        vector: Tensor,
        gaussians: Callable[[Tensor], Tensor],
        between: tuple[float, float],
    ) -> Tensor:
        """Add up ``gaussians`` of the distances between two bounds, species by species."""
        distance = vector.norm(dim=1)
        seen = (distance > between[0]) & (distance < between[1])
        distance, (source, target) = distance[seen], index[:, seen]
        return _total((x[source][:, :, None] * gaussians(distance)[:, None, :]).flatten(1), target, len(x))

    @property
    def near_reach(self) -> float:
        """Distance (Å) up to which neighbours count in the radial densities.

        Smooth ones fade out beyond the cut-off where pairs beyond it are known, for the last Gaussian sits there.
        """
        return min(self.cutoff + FADING, self.reach) if self.smooth and self.n_far else self.cutoff

    def near(self, distance: Tensor) -> Tensor:
        """Return what a neighbour at each distance (Å) adds to the radial densities of its species, (P, n_radial)."""
        centres = torch.linspace(NEAREST, self.cutoff, self.n_radial, dtype=distance.dtype, device=distance.device)
        gaussians = torch.exp(-0.5 * ((distance[:, None] - centres) / (centres[1] - centres[0])) ** 2)
        return gaussians * fading(distance, self.near_reach, FADING)[:, None] if self.smooth else gaussians

    @property
    def far_from(self) -> float:
        """Distance (Å) from which on a neighbour counts in the densities beyond the cut-off."""
        first = self.cutoff - FAR_OVERLAP
        if self.smooth:
            return 0.0
        return first - 4 * (self.reach - first) / (self.n_far - 1)

    def far(self, distance: Tensor) -> Tensor:
        """Return what a neighbour at each distance (Å) adds to the densities beyond the cut-off, (P, n_far)."""
        centres = torch.linspace(
            self.cutoff - FAR_OVERLAP, self.reach, self.n_far, dtype=distance.dtype, device=distance.device
        )
        gaussians = torch.exp(-0.5 * ((distance[:, None] - centres) / (centres[1] - centres[0])) ** 2)
        fade = 0.5 + 0.5 * torch.cos(torch.pi * distance / self.reach)
        if self.smooth:
            fade = fade * fading(distance, self.reach, FAR_FADING)
        return gaussians * fade[:, None]

    def _power_spectrum(self, kind: Tensor, vector: Tensor, target: Tensor, n_atoms: int) -> Tensor:
        """Sum over pairs of an atom's neighbours of radial functions of both times P_l of the angle between them.

        By the addition theorem that is the power spectrum of the neighbours' density, up to a factor for each l.
        """
        distance = vector.norm(dim=1)
        channel = (kind[:, :, None] * self.angular(distance)[:, None, :]).flatten(1)
        order = torch.argsort(target, stable=True)
        direction = vector / distance[:, None]
        dense, _ = to_dense_batch(torch.cat([channel, direction], dim=1)[order], target[order], batch_size=n_atoms)
        channel, direction = dense[..., :-3], dense[..., -3:]
        upper = torch.triu_indices(channel.shape[2], channel.shape[2], device=vector.device)
        products = (channel.transpose(1, 2) @ legendre @ channel for legendre in self.angles(direction))
        return torch.cat([product[:, upper[0], upper[1]] for product in products], dim=1)

    def angular(self, distance: Tensor) -> Tensor:
        """Return the radial functions of the power spectrum at each distance (Å), shape (P, 3)."""
        centres = torch.tensor(ANGULAR_CENTRES, dtype=distance.dtype, device=distance.device)
        radial = torch.exp(-0.5 * ((distance[:, None] - centres) / ANGULAR_WIDTH) ** 2)
        if self.smooth:
            return radial * fading(distance, ANGULAR_RANGE, ANGULAR_TAPER)[:, None]
        fade = ((ANGULAR_RANGE - distance) / ANGULAR_TAPER).clamp(0, 1)
        return radial * (fade * fade * (3 - 2 * fade))[:, None]

    def angles(self, direction: Tensor) -> Iterator[Tensor]:
        """Yield P_l of the angles between each atom's neighbours, (…, m, m), for l = 1 … degree."""
        cosine = direction @ direction.transpose(-1, -2)
        before, legendre = torch.ones_like(cosine), cosine
        for degree in range(1, self.degree + 1):
            yield legendre
            before, legendre = (
                legendre,
                ((2 * degree + 1) * cosine * legendre - degree * before) / (degree + 1),
            )

    @torch.no_grad()
    def fit(self, graphs: Sequence[Data]) -> None:
        """Measure means and covariances on these graphs, species by species; features have unit variance on them.

        From them come the pair forces, too, by which their atoms are at rest.
        """
        raw = torch.cat(
            [self.raw(graph.x, graph.edge_index, graph.edge_attr, *far_pairs(graph)) for graph in graphs]
        ).double()
        kind = torch.cat([graph.x.argmax(dim=1) for graph in graphs])
        for number in range(self.n_species):
            values = raw[kind == number]
            if len(values) < 2:
                continue
            mean = values.mean(dim=0)
            spread = values.std(dim=0).clamp_min(1e-9)
            standardised = (values - mean) / spread
            variance, axes = torch.linalg.eigh(standardised.T @ standardised / len(values))
            scale = (variance.clamp_min(0) + FLOOR * variance[-1]).rsqrt()
            self.mean[number] = mean.to(self.mean)
            self.whitening[number] = ((axes * scale) / spread[:, None]).to(self.whitening)
        generator = torch.Generator().manual_seed(0)
        displaced = [bonds_of(displaced_at_random(graph, generator)) for graph in graphs]
        self.balance.fit([bonds_of(graph) for graph in graphs], displaced)

    @torch.no_grad()
    def length(self, features: Tensor, bonds: Bonds) -> FloatArray:
        """How far some atoms are from what is usual on the graphs of :meth:`fit`, about 1 on average there, shape (n,).

        The square is the mean square of their whitened descriptors and :data:`IMBALANCE` times the logarithm of one
        plus the square of the net force on them, which is a hundred times as large in a snapshot.

        Parameters
        ----------
        features
            As :meth:`features` returns them, shape (n, width).
        bonds
            Species of all atoms that edges come from, and all edges into these atoms.
        """
        # Of the columns all are 0 but those of the atom's own species, and of these one is 1.
        own = features.view(len(features), self.n_species, -1)[:, :, -1].argmax(dim=1).cpu().numpy()
        square = (features.double().square().sum(dim=1).cpu().numpy() - 1).clip(0) / self.n_raw
        return np.asarray(np.sqrt(square + IMBALANCE * np.log1p(self.balance.imbalance(own, bonds))))


def fading(distance: Tensor, end: float, width: float) -> Tensor:
    """Return 1 up to ``width`` before ``end``, and 0 from there on; two derivatives are continuous."""
    left = ((end - distance) / width).clamp(0, 1)
    return left**3 * (10 - 15 * left + 6 * left**2)


def sorted_by_target(index: Tensor, attr: Tensor, n_atoms: int) -> tuple[IntArray, IntArray, NDArray[np.floating[Any]]]:
    """Return the first of the edges into each atom (N + 1,), who sends (E,), and what they carry, atom by atom."""
    source, target = index.cpu()
    carried = attr.detach().cpu()
    if len(target) and bool((target.diff() < 0).any()):
        order = torch.argsort(target, stable=True)
        source, target, carried = source[order], target[order], carried[order]
    first = torch.searchsorted(target.contiguous(), torch.arange(n_atoms + 1))
    return first.numpy(), source.numpy(), carried.numpy()


def bonds_of(graph: Data) -> Bonds:
    """Return the species of a graph's atoms, and its edges by the atom that they lead into."""
    kinds = graph.x.argmax(dim=1).cpu().numpy()
    return kinds, Edges(*sorted_by_target(graph.edge_index, graph.edge_attr, len(kinds)))


def _pairs_of(index: Tensor, attr: Tensor, n_atoms: int) -> Pairs:
    first, other, displacement = sorted_by_target(index, attr, n_atoms)
    return first, other, np.linalg.norm(displacement.astype(np.float64), axis=1)


def far_pairs(graph: Data) -> tuple[Tensor, Tensor] | tuple[()]:
    """Return the pairs that a graph lists beyond its edges, as :meth:`AtomicEnvironment.raw` takes them."""
    return (graph.pair_index, graph.pair_attr) if "pair_index" in graph else ()


def displaced_at_random(graph: Data, generator: torch.Generator) -> Data:
    """Return the graph of a structure whose atoms have moved at random by ``DISPLACEMENT``, with the same pairs."""
    moved = copy.copy(graph)
    if "environment" in moved:
        del moved.environment  # that of the atoms where they were
    step = DISPLACEMENT * torch.randn(graph.num_nodes, 3, generator=generator)
    for name in ("edge", "pair") if "pair_index" in graph else ("edge",):
        source, target = graph[f"{name}_index"]
        moved[f"{name}_attr"] = graph[f"{name}_attr"] + (step[source] - step[target]).to(graph.edge_attr)
    return moved


def _total(values: Tensor, target: Tensor, n_atoms: int) -> Tensor:
    return values.new_zeros(n_atoms, values.shape[1]).index_add(0, target, values)
