"""The result of explaining one atom's prediction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.glass import FloatArray, Glass, IntArray

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric.explain import Explanation

FORMAT_VERSION = 1
_ARRAYS = ("source", "target", "displacement", "hop", "score")

MaskSemantics = Literal["zero"]
"""What a mask does to a message: ``zero`` multiplies the attention after the softmax (the authors', PyG's)."""


@dataclass(frozen=True, eq=False)
class AtomExplanation:
    """Which directed edges, and through them which atoms, made the network predict one atom's barrier.

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
        Importance of each edge, shape (E,): a mask value in [0, 1], or a signed contribution in eV.
    signed
        Whether scores are signed contributions (eV).
    prediction
        Predicted barrier, eV.
    masked_prediction
        Prediction with the mask applied, eV; None for a method that makes no mask.
    prediction_range
        Smallest and largest predicted barrier in the glass, eV.
    diagnostics
        Further numbers that the method reports about itself, by name.
    wall_time
        Seconds that the explanation took.
    glass_name, glass_sha256
        Which glass was explained.
    unit, mask_semantics
        What a mask is over, and what it does to a message.
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
    seed: int = 0
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    wall_time: float = 0.0
    glass_name: str = "glass"
    glass_sha256: str = ""
    unit: Literal["edge"] = "edge"
    mask_semantics: MaskSemantics = "zero"

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
        if n_edges == 0 or not np.isfinite(self.score).all():
            raise InputError("an explanation needs at least one edge, and finite scores.")
        object.__setattr__(self, "prediction_range", tuple(self.prediction_range))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        object.__setattr__(self, "diagnostics", MappingProxyType(dict(self.diagnostics)))

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        what = f"atom {self.atom} of {self.glass_name!r}, {self.method}, {len(self)} edges"
        return f"AtomExplanation({what}, {self.prediction:.3f} eV)"

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
        """Masked minus original prediction, eV: how far the mask is from reproducing the prediction."""
        return None if self.masked_prediction is None else self.masked_prediction - self.prediction

    @property
    def out_of_distribution(self) -> bool | None:
        """Whether the masked prediction lies outside the range of real predictions of this glass."""
        if self.masked_prediction is None:
            return None
        low, high = self.prediction_range
        return not low <= self.masked_prediction <= high

    def rank(self) -> IntArray:
        """Edges from the most to the least important, by absolute score; ties in the order of the edges."""
        return np.argsort(-np.abs(self.score), kind="stable")

    def top_edges(self, k: int = 50) -> pd.DataFrame:
        """List the ``k`` most important edges: rank, source, target, distance (Å), hop, score, self_loop."""
        chosen = self.rank()[: _require_positive(k)]
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(chosen) + 1),
                "source": self.source[chosen],
                "target": self.target[chosen],
                "distance": self.distance[chosen],
                "hop": self.hop[chosen],
                "score": self.score[chosen],
                "self_loop": self.is_self_loop[chosen],
                "edge": chosen,
            }
        )

    def atom_scores(self) -> pd.Series:
        """Sum, for each atom that sends, the absolute scores of the edges that leave it."""
        return pd.Series(np.abs(self.score)).groupby(self.source).sum().rename("score").rename_axis("atom")

    def important_atoms(self, k: int = 50) -> pd.DataFrame:
        """List the atoms at the ends of the ``k`` most important edges, without the explained one: atom, score.

        The score is the sum of the absolute scores of those edges that touch the atom.
        """
        chosen = self.rank()[: _require_positive(k)]
        ends = np.concatenate([self.source[chosen], self.target[chosen][~self.is_self_loop[chosen]]])
        scores = np.abs(np.concatenate([self.score[chosen], self.score[chosen][~self.is_self_loop[chosen]]]))
        table = pd.DataFrame({"atom": ends, "score": scores}).groupby("atom", as_index=False).sum()
        table = table[table["atom"] != self.atom]
        return table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)

    def to_networkx(self, k: int | None = None) -> nx.MultiDiGraph:
        """Build a graph of the ``k`` most important edges (all where None): score, distance (Å), displacement, hop."""
        import networkx as nx

        graph = nx.MultiDiGraph(atom=self.atom, method=self.method, prediction=self.prediction)
        graph.add_node(self.atom)
        for edge in self.rank()[:k]:
            graph.add_edge(
                int(self.source[edge]),
                int(self.target[edge]),
                score=float(self.score[edge]),
                distance=float(self.distance[edge]),
                displacement=tuple(self.displacement[edge].tolist()),
                hop=int(self.hop[edge]),
            )
        return graph

    def to_pyg(self, n_atoms: int) -> Explanation:
        """Build a ``torch_geometric.explain.Explanation`` over the receptive field's edges and the glass's atoms."""
        import torch
        from torch_geometric.explain import Explanation

        return Explanation(
            edge_index=torch.from_numpy(np.stack([self.source, self.target])),
            edge_attr=torch.from_numpy(self.displacement.astype(np.float32)),
            edge_mask=torch.from_numpy(self.score.astype(np.float32)),
            num_nodes=n_atoms,
            index=torch.tensor([self.atom]),
        )

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless this explains an atom of ``glass``."""
        if self.glass_sha256 and self.glass_sha256 != glass.content_hash:
            raise InputError(
                f"the explanation belongs to another glass ({self.glass_name!r}) than the one given ({glass.name!r})."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; see :meth:`from_dict`."""
        plain: dict[str, Any] = {name: value for name, value in self.__dict__.items() if name not in _ARRAYS}
        plain |= {
            "settings": dict(self.settings),
            "diagnostics": dict(self.diagnostics),
            "format_version": FORMAT_VERSION,
        }
        plain["prediction_range"] = list(self.prediction_range)
        return plain | {name: getattr(self, name).tolist() for name in _ARRAYS}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> AtomExplanation:
        """Invert :meth:`to_dict`; raise InputError where that is not what was given."""
        content = dict(plain)
        version = content.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise InputError(f"this is not an explanation of format {FORMAT_VERSION} (found {version}).")
        try:
            return cls(**content)
        except (TypeError, ValueError) as error:
            raise InputError(f"the explanation is damaged: {error}.") from error

    def save(self, path: str | Path) -> Path:
        """Write as JSON."""
        path = Path(path)
        path.write_text(json.dumps(self.to_dict()), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> AtomExplanation:
        """Read what :meth:`save` wrote; raises InputError where it cannot."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError) as error:
            raise InputError(f"{path} cannot be read as an explanation ({error}).") from error


def _require_positive(k: int) -> int:
    if k < 1:
        raise InputError(f"{k=} must be at least 1.")
    return k
