"""The result of explaining one atom's prediction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.errors import InputError, first_rows, require_not_negative
from symgnn_explain.explain.engine.protocol import Covers, MaskSemantics
from symgnn_explain.explain.engine.units import OF_MESSAGES, Unit, Units, group_edges
from symgnn_explain.explain.fidelity.measure import Fidelity
from symgnn_explain.explain.result.caveats import caveats_of, masked_predictions, outside_range
from symgnn_explain.explain.result.plain_explanation import read_parts
from symgnn_explain.models.target import BARRIER, Target
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.plain import NotPlainError, read_plain, shown
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

if TYPE_CHECKING:
    import networkx as nx
    import plotly.graph_objects as go
    from numpy.typing import ArrayLike
    from torch_geometric.explain import Explanation

FORMAT_VERSION = 4
BEFORE_PAIRS = 3
"""Masks of this format and of those before act on messages alone; nothing is known of the members of an ensemble."""
BEFORE_TARGETS = 2
"""Explanations of this format are of energy barriers: they do not say what was predicted."""
LARGEST_FILE = 2**29
"""Bytes of an explanation that is read: one of four million edges takes so much."""
_ARRAYS = ("source", "target", "displacement", "hop", "score")


@dataclass(frozen=True, eq=False)
class AtomExplanation:
    """Which directed edges, and through them which atoms, made the network predict what it does of one atom.

    Parameters
    ----------
    atom
        The explained atom.
    method, settings, seed
        What explained it.
    source, target
        Atoms that send and receive along each edge of the receptive field, shape (E,); numbered as in the glass.
    displacement
        ``r_source - r_target`` of each edge, shape (E, 3), Å.
    hop
        Bonds between the explained atom and the edge's receiving atom, shape (E,): 0 for edges into the atom itself.
    score
        Importance of each edge, shape (E,).
    signed
        Whether scores are signed contributions to the prediction, of which the edges of a unit have equal shares; else
        they are mask values in [0, 1], the same for all edges of a unit.
    units
        The groups of edges that the method masked together; None for single edges.
    spread
        Standard deviation of each edge's score over repetitions of the method, shape (E,); None for a single run.
    member_spread
        Standard deviation of each edge's score over the members of an ensemble, shape (E,); None where they were not
        explained one by one. What one training run alone says is its own accident.
    prediction
        Of the explained atom, in the unit of ``quantity``.
    masked_prediction
        Prediction with the mask applied; None for a method that makes no mask.
    prediction_range
        Smallest and largest prediction in the glass.
    diagnostics
        Further numbers that the method reports about itself, by name.
    wall_time
        Seconds that the explanation took.
    glass_name, glass_sha256
        Which glass was explained.
    mask_semantics
        What a mask value does to a message.
    covers
        What masks act on: all that atoms learn from each other, or messages alone.
    reference_name
        The glass whose mean messages replace masked ones, under the semantics ``reference``.
    fidelity
        Predictions with only, and without, the most important units.
    quantity
        What is predicted.

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets, prepare
    >>> why = prepare(Predictor.load(device="cpu"), datasets.sample("cu50zr50")).explain(12)
    >>> round(why.prediction, 2), why.top_edges(1)[["source", "target"]].to_numpy().tolist()
    (1.45, [[174, 12]])
    >>> bool(abs(why.score.sum() - (why.prediction - why.diagnostics["baseline_prediction"])) < 1e-3)  # complete
    True
    """

    atom: int
    method: str
    source: IntArray
    target: IntArray
    displacement: FloatArray
    hop: IntArray
    score: FloatArray
    signed: bool
    prediction: float
    prediction_range: tuple[float, float]
    masked_prediction: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    wall_time: float = 0.0
    glass_name: str = "glass"
    glass_sha256: str = ""
    mask_semantics: MaskSemantics = "zero"
    covers: Covers = "everything"
    reference_name: str = ""
    units: Units | None = None
    spread: FloatArray | None = None
    member_spread: FloatArray | None = None
    fidelity: Fidelity | None = None
    quantity: Target = BARRIER

    def __post_init__(self) -> None:
        for name, dtype in zip(_ARRAYS, (np.int64, np.int64, np.float64, np.int64, np.float64), strict=True):
            array = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        n_edges = len(self.source)
        for name in _ARRAYS:
            expected = (n_edges, 3) if name == "displacement" else (n_edges,)
            if getattr(self, name).shape != expected:
                raise InputError(f"{name} has shape {getattr(self, name).shape}, expected {expected}.")
        for name in ("spread", "member_spread"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.array(getattr(self, name), dtype=np.float64))
        spreads = [("spread", self.spread), ("member_spread", self.member_spread)]
        for name, value in (*spreads, ("units", self.units and self.units.of_edge)):
            if value is not None and len(value) != n_edges:
                raise InputError(f"{name} describes {len(value)} edges, expected {n_edges}.")
        if n_edges == 0 or not np.isfinite(self.score).all():
            raise InputError("an explanation needs at least one edge, and finite scores.")
        object.__setattr__(self, "prediction_range", tuple(self.prediction_range))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        object.__setattr__(self, "diagnostics", MappingProxyType(dict(self.diagnostics)))

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        what = f"atom {self.atom} of {self.glass_name!r}, {self.method}, {len(self)} {self.edges_are}"
        return f"AtomExplanation({what}, {self.quantity.text(self.prediction)})"

    @property
    def edges_are(self) -> str:
        """What its edges are called: directed edges where messages alone are masked, else pairs."""
        return "directed edges" if self.unit in OF_MESSAGES else "pairs"

    @property
    def unit(self) -> Unit:
        """What was masked: single edges, or groups of them."""
        return "edge" if self.units is None else self.units.kind

    @property
    def unit_score(self) -> FloatArray:
        """Importance of each unit, shape (U,): the sum over its edges of contributions, or their common mask value."""
        if self.units is None:
            return self.score
        return self.units.gather(self.score, mean=not self.signed)

    def top_units(self, k: int = 50) -> pd.DataFrame:
        """List the ``k`` most important units: rank, what they are, score, number of edges."""
        if self.units is None:
            return self.top_edges(k)
        score = self.unit_score
        chosen = np.argsort(-np.abs(score), kind="stable")[first_rows(k)]
        table = self.units.table.iloc[chosen].reset_index(drop=True)
        table.insert(0, "rank", np.arange(1, len(chosen) + 1))
        n_edges = np.bincount(self.units.of_edge, minlength=len(self.units))
        return table.assign(score=score[chosen], n_edges=n_edges[chosen])

    @property
    def distance(self) -> FloatArray:
        """Length of each edge, shape (E,), Å; 0 for self-loops."""
        return np.linalg.norm(self.displacement, axis=1)

    @property
    def is_self_loop(self) -> NDArray[np.bool_]:
        """Which edges are an atom's message to itself, shape (E,)."""
        return (self.source == self.target) & (self.distance == 0)

    @property
    def masked_change(self) -> float | None:
        """Masked minus original prediction: how far the mask is from reproducing the prediction."""
        return None if self.masked_prediction is None else self.masked_prediction - self.prediction

    @property
    def is_faithful(self) -> bool | None:
        """Whether the prediction stays under the mask, to the tolerance of the quantity; None without a mask."""
        change = self.masked_change
        return None if change is None else abs(change) <= self.quantity.required_tolerance

    @property
    def caveats(self) -> tuple[str, ...]:
        """Plain sentences on why this explanation should be read with care; empty where nothing speaks against it."""
        return caveats_of(self)

    @property
    def out_of_distribution(self) -> bool | None:
        """Whether a masked prediction lies outside the range of real predictions of this glass; None without any.

        Looked at are the prediction under the mask, and those with only and without the most important units.
        """
        return bool(outside_range(self)) if masked_predictions(self) else None

    @property
    def is_disputed(self) -> NDArray[np.bool_]:
        """Which scores members of the ensemble disagree about, shape (E,): their spread is larger than the score.

        None of them where members were not explained one by one. What is disputed is drawn pale.
        """
        if self.member_spread is None:
            return np.zeros(len(self), dtype=bool)
        return self.member_spread > np.abs(self.score)

    def rank(self) -> IntArray:
        """Edges from the most to the least important, by absolute score; ties in the order of the edges."""
        return np.argsort(-np.abs(self.score), kind="stable")

    def top_edges(self, k: int = 50) -> pd.DataFrame:
        """List the ``k`` most important edges: rank, source, target, distance (Å), hop, score, self_loop.

        Where members of an ensemble were explained one by one, ``member_spread`` is how far they are from each other,
        and ``disputed`` says where that is more than the score.
        """
        chosen = self.rank()[first_rows(k)]
        spread = (
            {}
            if self.member_spread is None
            else {
                "member_spread": self.member_spread[chosen],
                "disputed": self.is_disputed[chosen],
            }
        )
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(chosen) + 1),
                "source": self.source[chosen],
                "target": self.target[chosen],
                "distance": self.distance[chosen],
                "hop": self.hop[chosen],
                "score": self.score[chosen],
                **spread,
                "self_loop": self.is_self_loop[chosen],
                "edge": chosen,
            }
        )

    def to_frame(self) -> pd.DataFrame:
        """List all edges of the receptive field as :meth:`top_edges` does, the most important first."""
        return self.top_edges(max(len(self), 1))

    def plot(self, glass: Glass, *, k: int = 50, predictions: ArrayLike | None = None) -> go.Figure:
        """Draw the ``k`` most important edges in 3D; see :func:`symgnn_explain.plotting.neighbourhood_figure`."""
        from symgnn_explain.plotting.neighbourhood import neighbourhood_figure

        return neighbourhood_figure(glass, self, k=k, predictions=predictions)

    def atom_scores(self) -> pd.Series:
        """Score the atoms that send: their own score where atoms are units, else the sum over the edges that leave."""
        if self.units is not None and self.units.kind == "atom":
            atoms = pd.Index(self.units.table["atom"], name="atom")
            return pd.Series(np.abs(self.unit_score), index=atoms, name="score")
        return pd.Series(np.abs(self.score)).groupby(self.source).sum().rename("score").rename_axis("atom")

    def by_distance(self, width: float = 1.0) -> pd.DataFrame:
        """Resolve the scores by the distance between the explained atom and the atom that is learned of.

        Parameters
        ----------
        width
            Thickness of the shells, Å.

        Returns
        -------
        DataFrame
            One row a shell: inner, outer (Å), edges, score (their sum, for a signed method in the unit of the
            prediction), raises and lowers (the sums of positive and of negative scores), share (of the sum of absolute
            scores); of raises and lowers, what members of the ensemble disagree about (``disputed_raises``,
            ``disputed_lowers``).

        Raises
        ------
        InputError
            If the width is not positive.

        Examples
        --------
        ::

            why = prepared.explain(1501, "integrated_gradients", unit="pair")
            why.by_distance()                        # how many eV come from which shell
            why.share_beyond(5.0)                    # of all that raises or lowers the prediction
        """
        if not width > 0:
            raise InputError(f"{width=} must be a positive length in Å.")
        shell = (self._distance_from_explained() // width).astype(np.int64)
        raises, lowers, disputed = self.score.clip(0), self.score.clip(max=0), self.is_disputed
        parts = {"score": self.score, "raises": raises, "lowers": lowers}
        parts |= {"disputed_raises": raises * disputed, "disputed_lowers": lowers * disputed}
        score = pd.DataFrame(parts)
        table = score.groupby(shell).sum().reindex(range(int(shell.max()) + 1), fill_value=0.0)
        table.insert(0, "edges", np.bincount(shell).tolist())
        table.insert(0, "outer", width * (table.index + 1))
        table.insert(0, "inner", width * table.index)
        total = np.abs(self.score).sum()
        return table.assign(share=(table["raises"] - table["lowers"]) / (total if total > 0 else 1.0))

    def share_beyond(self, distance: float) -> float:
        """Share of all absolute scores that belongs to atoms farther from the explained one than ``distance`` (Å).

        Raises InputError if the distance is negative or not a number.
        """
        require_not_negative(distance=distance)
        size = np.abs(self.score)
        return float(size[self._distance_from_explained() > distance].sum() / max(size.sum(), np.finfo(float).tiny))

    def _distance_from_explained(self) -> FloatArray:
        """Distance of the atom that is learned of from the explained one, at its image, shape (E,), Å."""
        from symgnn_explain.explain.result.placement import place_atoms

        placement = place_atoms(self)
        place = placement.position[placement.rows_of(self.target)] + self.displacement
        return np.linalg.norm(place, axis=1)

    def atom_contributions(self) -> pd.Series:
        """Contribution of each sending atom: the signed sum over the edges that leave it, itself included.

        Every edge has one sender, so their sum is that of the edges: a complete method stays complete.

        Raises
        ------
        InputError
            If the method's scores are not signed contributions.
        """
        if not self.signed:
            raise InputError(f"{self.method} gives no signed contributions: use atom_scores().")
        return pd.Series(self.score).groupby(self.source).sum().rename("contribution").rename_axis("atom")

    def bonds(self, glass: Glass, k: int | None = None) -> pd.DataFrame:
        """List the ``k`` most important bonds (all where None): the undirected view.

        A bond is a pair of atoms at one periodic image, whichever way messages go along it; where only one direction
        reaches the explained atom it is that one. Its score is the sum of the contributions of a signed method, else
        the larger of the mask values. A self-loop is a bond of its own.

        Returns
        -------
        DataFrame
            rank, first and second atom (``first`` <= ``second``), dx, dy, dz (``r_second - r_first``, Å, at that
            image), distance (Å), hop (the nearer end's), score, directions (1 or 2), self_loop.

        Raises
        ------
        InputError
            If this explains an atom of another glass.
        """
        self.require_glass(glass)
        units = group_edges(
            "bond", self.source, self.target, glass=glass, atom=self.atom, displacement=self.displacement
        )
        edges = pd.DataFrame({"score": self.score, "hop": self.hop, "self_loop": self.is_self_loop})
        grouped = edges.groupby(units.of_edge)
        bonds = units.table.copy()
        forward = (self.target == bonds["first"].to_numpy()[units.of_edge])[:, None]
        across = np.where(forward, self.displacement, -self.displacement)
        first_edge = np.unique(units.of_edge, return_index=True)[1]
        bonds[["dx", "dy", "dz"]] = across[first_edge]
        bonds["distance"] = self.distance[first_edge]
        bonds["hop"] = grouped["hop"].min()
        bonds["score"] = grouped["score"].sum() if self.signed else grouped["score"].max()
        bonds["directions"] = grouped.size()
        bonds["self_loop"] = grouped["self_loop"].any()
        chosen = np.argsort(-bonds["score"].abs().to_numpy(), kind="stable")[first_rows(k)]
        bonds = bonds.iloc[chosen].reset_index(drop=True)
        bonds.insert(0, "rank", np.arange(1, len(bonds) + 1))
        return bonds

    def important_atoms(self, k: int = 50) -> pd.DataFrame:
        """List the atoms at the ends of the ``k`` most important edges, without the explained one: atom, score.

        The score is the sum of the absolute scores of those edges that touch the atom.
        """
        chosen = self.rank()[first_rows(k)]
        ends = np.concatenate([self.source[chosen], self.target[chosen][~self.is_self_loop[chosen]]])
        scores = np.abs(np.concatenate([self.score[chosen], self.score[chosen][~self.is_self_loop[chosen]]]))
        table = pd.DataFrame({"atom": ends, "score": scores}).groupby("atom", as_index=False).sum()
        table = table[table["atom"] != self.atom]
        return table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)

    def to_networkx(self, k: int | None = None) -> nx.MultiDiGraph:
        """Build a graph of the ``k`` most important edges (all where None): score, distance (Å), displacement, hop."""
        from symgnn_explain.explain.result.graphs import networkx_graph

        return networkx_graph(self, k)

    def to_pyg(self, n_atoms: int) -> Explanation:
        """Build a ``torch_geometric.explain.Explanation`` over the receptive field's edges and the glass's atoms."""
        from symgnn_explain.explain.result.graphs import pyg_explanation

        return pyg_explanation(self, n_atoms)

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless this explains an atom of ``glass``."""
        if self.glass_sha256 and self.glass_sha256 != glass.content_hash:
            raise InputError(
                f"the explanation belongs to another glass ({self.glass_name!r}) than the one given ({glass.name!r})."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; see :meth:`from_dict`."""
        listed: dict[str, Any] = _listed(self.content())
        return listed

    def content(self) -> dict[str, Any]:
        """Return what :meth:`to_dict` does, with arrays where it has the longest lists."""
        plain: dict[str, Any] = {name: value for name, value in self.__dict__.items() if name not in _ARRAYS}
        plain |= {
            "settings": dict(self.settings),
            "diagnostics": dict(self.diagnostics),
            "prediction_range": list(self.prediction_range),
            "units": None if self.units is None else self.units.to_dict(),
            "fidelity": None if self.fidelity is None else self.fidelity.to_dict(),
            "quantity": self.quantity.to_dict(),
            "format_version": FORMAT_VERSION,
        }
        return plain | {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> AtomExplanation:
        """Invert :meth:`to_dict`; raise InputError where that is not what was given."""
        version = plain.get("format_version")
        if not isinstance(version, int) or version not in (FORMAT_VERSION, BEFORE_PAIRS, BEFORE_TARGETS):
            raise InputError(f"this is not an explanation of format {FORMAT_VERSION} (found {shown(version)}).")
        content = {name: value for name, value in plain.items() if name != "format_version"}
        if version == BEFORE_TARGETS:
            content["quantity"] = BARRIER.to_dict()
        if version in (BEFORE_PAIRS, BEFORE_TARGETS):
            content |= {"covers": "messages", "member_spread": None}
        try:
            parts = read_parts(content)
        except NotPlainError as error:
            raise InputError(f"the explanation is damaged: {error}.") from error
        return cls(**parts)

    def save(self, path: str | Path) -> Path:
        """Write as JSON; the file is replaced whole or not at all."""
        return write_atomically(Path(path), json.dumps(self.to_dict()).encode())

    @classmethod
    def load(cls, path: str | Path) -> AtomExplanation:
        """Read what :meth:`save` wrote; raises InputError where it cannot."""
        path = Path(path)
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise InputError(f"{path} cannot be read as an explanation: it is larger than any.")
            plain = read_plain(path.read_bytes(), largest=LARGEST_FILE)
        except OSError as error:
            raise InputError(f"{path} cannot be read as an explanation ({error.strerror}).") from error
        except NotPlainError as error:
            raise InputError(f"{path} cannot be read as an explanation: {error}.") from error
        if not isinstance(plain, dict):
            raise InputError(f"{path} cannot be read as an explanation: it holds {shown(plain)}.")
        return cls.from_dict(plain)


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(inner) for name, inner in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
