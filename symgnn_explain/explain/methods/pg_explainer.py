"""PGExplainer (Luo et al., NeurIPS 2020) for numbers: one small network learns to explain all atoms of a glass family.

It is trained once for a predictor, on some atoms of a glass, to give every edge of a receptive field a mask value from
what the predictor itself computes there. Afterwards an atom takes one pass of that small network, no optimisation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from symgnn_explain.errors import InputError, require_counts, require_not_negative, require_positive
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.explain.engine.prepared_graph import PreparedGraph
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.mask_words import require_semantics
from symgnn_explain.explain.scores import UnitScores
from symgnn_explain.models.checkpoint import card_path, weights_sha256
from symgnn_explain.models.ensemble import SymGNNLike, members_of
from symgnn_explain.models.protocol import name_of
from symgnn_explain.models.target import with_tolerance
from symgnn_explain.runs.files import staged, write_atomically
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import CancelSignal, Watch

FORMAT_VERSION = 1
HIDDEN_WIDTH = 64
"""Of the small network, as published."""

_SMALLEST_UNIFORM = 1e-6
_STANDARDISED = 10
_MULTIPLIER_RATE = 0.05
_MEMORY = 0.9


@dataclass(frozen=True)
class PGTrainingSettings:
    """How a PGExplainer is trained: the smallest mean mask under which predictions stay within a tolerance.

    Parameters
    ----------
    passes
        Visits to every training atom.
    draws
        Random masks from the concrete distribution at each visit.
    learning_rate
        Of Adam.
    tolerance
        Root-mean-square change of the prediction that the masks may make; that of the target where None. The weight of
        the prediction loss rises while it is exceeded, and falls while it is not.
    entropy
        Weight of the mean binary entropy of the mask, beside its mean.
    hot, cold
        Temperatures of the concrete distribution at the start and at the end; between them it falls exponentially.
    seed
        Of initial weights, masks and the order of atoms.
    """

    passes: int = 10
    draws: int = 4
    learning_rate: float = 3e-3
    tolerance: float | None = None
    entropy: float = 0.1
    hot: float = 5.0
    cold: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_counts(passes=self.passes, draws=self.draws)
        require_positive(learning_rate=self.learning_rate, hot=self.hot, cold=self.cold)
        if self.tolerance is not None:
            require_positive(tolerance=self.tolerance)
        require_not_negative(entropy=self.entropy)


class EdgeScorer(nn.Module):
    """Logit of an edge's mask value, from the features of both its ends, its own, and those of the explained atom.

    These are what the predictor computes just before it decodes predictions, standardised over the training edges.
    Since the last layer knows nothing of where the explained atom is, the hop of the edge comes with them.
    """

    node_mean: Tensor
    node_scale: Tensor
    edge_mean: Tensor
    edge_scale: Tensor

    def __init__(self, dim: int, n_hops: int, width: int = HIDDEN_WIDTH) -> None:
        super().__init__()
        self.from_source = nn.Linear(dim, width, bias=False)
        self.from_target = nn.Linear(dim, width, bias=False)
        self.from_explained = nn.Linear(dim, width, bias=False)
        self.from_edge = nn.Linear(dim, width)
        self.from_hop = nn.Embedding(n_hops, width)
        self.out = nn.Linear(width, 1)
        for name in ("node", "edge"):
            self.register_buffer(f"{name}_mean", torch.zeros(dim))
            self.register_buffer(f"{name}_scale", torch.ones(dim))

    def forward(self, prediction: MaskedPrediction) -> Tensor:
        """Return the logit of every edge of one atom's receptive field, shape (E,)."""
        field, features = prediction.forward.field, prediction.prepared.features
        node = (features.node[field.nodes] - self.node_mean) / self.node_scale
        edge = (features.edge[field.edges] - self.edge_mean) / self.edge_scale
        hidden = self.from_edge(edge) + self.from_hop(field.hop) + self.from_explained(node[0])
        hidden = hidden + self.from_source(node)[field.source] + self.from_target(node)[field.target]
        logit: Tensor = self.out(hidden.relu()).squeeze(-1)
        return logit

    @torch.no_grad()
    def standardise(self, predictions: Sequence[MaskedPrediction]) -> None:
        """Take the means and the spreads of the features from some receptive fields."""
        for name in ("node", "edge"):
            rows = torch.cat([_features_in_field(prediction, name) for prediction in predictions])
            getattr(self, f"{name}_mean").copy_(rows.mean(0))
            getattr(self, f"{name}_scale").copy_(rows.std(0, correction=0).clamp_min(1e-6))


def _features_in_field(prediction: MaskedPrediction, name: str) -> Tensor:
    field, features = prediction.forward.field, prediction.prepared.features
    return features.node[field.nodes] if name == "node" else features.edge[field.edges]


class PGExplainer:
    """A trained explainer; make one with :func:`train_pg_explainer`, or load one.

    Parameters
    ----------
    scorer
        The trained network.
    card
        What it was trained for: mask semantics, hash of the predictor's weights, settings, learning curve.
    source
        The file it was loaded from, if any.
    """

    def __init__(self, scorer: EdgeScorer, card: dict[str, Any], *, source: str = "PGExplainer") -> None:
        self.scorer, self.card = scorer.eval().requires_grad_(requires_grad=False), card
        self.name = f"{source} ({_digest(_serialised(scorer))[:12]})"
        """The file, and the beginning of the weights' hash: another training under the same file name is told apart."""

    def __repr__(self) -> str:
        return f"PGExplainer({self.name!r}, {self.semantics})"

    @property
    def semantics(self) -> MaskSemantics:
        """What a mask meant in training."""
        semantics: MaskSemantics = self.card["semantics"]
        return semantics

    @torch.no_grad()
    def logits(self, prediction: MaskedPrediction) -> Tensor:
        """Return the logits of the mask over one atom's units, shape (n_units,): of a group, the mean over its edges.

        Raises
        ------
        InputError
            If the explainer was trained for another predictor or under other semantics.
        """
        prediction.require_messages("PGExplainer")
        if prediction.semantics != self.semantics:
            raise InputError(
                f"this PGExplainer was trained under the semantics {self.semantics!r}, not {prediction.semantics!r}: "
                "use those, or train another."
            )
        if self.card["predictor_sha256"] != _weights_of(prediction.prepared):
            raise InputError("this PGExplainer was trained for another predictor: train one for the predictor in use.")
        logits = self.scorer(prediction)
        units = prediction.units
        if units.kind == "edge":
            return logits
        grouped = units.gather(logits.double().cpu().numpy(), mean=True)
        return torch.from_numpy(grouped).to(logits)

    def save(self, path: str | Path) -> Path:
        """Write weights (``.safetensors``) and a card (``.json``) beside them; see :meth:`load`."""
        path = Path(path)
        if path.suffix != ".safetensors":
            raise InputError(f"{path} must end in .safetensors: that is how explainers are stored.")
        weights = _serialised(self.scorer)
        card = {
            **self.card,
            "format_version": FORMAT_VERSION,
            "architecture": "PGExplainer",
            "dim": self.scorer.from_edge.in_features,
            "n_hops": self.scorer.from_hop.num_embeddings,
            "width": self.scorer.out.in_features,
            "weights_sha256": _digest(weights),
        }
        with staged(path.parent) as staging:
            write_atomically(staging / path.name, weights)
            text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
            write_atomically(staging / card_path(path).name, text.encode())
        return path

    @classmethod
    def load(cls, path: str | Path) -> PGExplainer:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If a file is missing or damaged, or they do not belong together.
        """
        path = Path(path)
        try:
            weights, written = path.read_bytes(), card_path(path).read_bytes()
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}): a PGExplainer is a .safetensors file with its .json card "
                "beside it."
            ) from error
        try:
            card = json.loads(written)
            known = (card["architecture"], card["format_version"]) == ("PGExplainer", FORMAT_VERSION)
            fits = known and card["weights_sha256"] == _digest(weights)
            with torch.random.fork_rng(devices=[]):  # the initial weights, replaced below, are drawn at random
                scorer = EdgeScorer(card["dim"], card["n_hops"], card["width"])
            scorer.load_state_dict(load(weights))
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(f"{path} or its card is no PGExplainer ({type(error).__name__}).") from error
        if not fits:
            raise InputError(f"{path} and its card do not belong together or are of another format: save them anew.")
        return cls(scorer, card, source=path.name)  # where it lies is nobody else's concern


@dataclass(frozen=True)
class PGExplainerSettings:
    """Which trained explainer to use.

    Parameters
    ----------
    explainer
        A trained explainer, or the file that it was saved in; kept by its name.
    """

    explainer: str | Path | PGExplainer = ""

    def __post_init__(self) -> None:
        given = self.explainer
        trained = given if isinstance(given, PGExplainer) or given == "" else PGExplainer.load(given)
        object.__setattr__(self, "_trained", trained)
        object.__setattr__(self, "explainer", trained.name if isinstance(trained, PGExplainer) else "")

    @property
    def trained(self) -> PGExplainer:
        """The explainer itself; raises InputError where none was given."""
        trained = self.__dict__["_trained"]
        if not isinstance(trained, PGExplainer):
            raise InputError(
                "pg_explainer needs a trained explainer: give explainer=… what train_pg_explainer() returned, or the "
                ".safetensors file that it was saved in."
            )
        return trained


def pg_explainer(prediction: MaskedPrediction, settings: PGExplainerSettings, watch: Watch) -> UnitScores:
    """Give every unit the mask value that a trained explainer has for it."""
    _weights_of(prediction.prepared)  # says first that another network than a SymGNN has no such explainer
    mask = settings.trained.logits(prediction).sigmoid()
    with torch.no_grad():
        masked = float(prediction(mask))
    watch.advance(1.0)
    return UnitScores(
        score=mask.double().cpu().numpy(),
        signed=False,
        masked_prediction=masked,
        diagnostics={"mask_sum": float(mask.sum())},
    )


def train_pg_explainer(
    prepared: PreparedGlass | Sequence[PreparedGlass],
    atoms: Sequence[int],
    *,
    semantics: MaskSemantics = "reference",
    settings: PGTrainingSettings | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> PGExplainer:
    """Train an explainer on some atoms of one glass or of several; it then explains any atom of glasses of that family.

    Parameters
    ----------
    prepared
        What ``prepare(predictor, glass)`` returned, or several of them for one predictor. Under the semantics
        ``reference`` an explainer knows what fades into what: give all glasses, also those that are explained later,
        one reference, ``prepare(predictor, glass, reference=…)``.
    atoms
        The atoms to learn from, in each glass; a hundred spread over one, say.
    semantics
        What a mask does to a message, in training and afterwards.
    settings
        How it is trained.
    progress, cancel
        As in :func:`~.api.explain_atom`.

    Raises
    ------
    InputError
        If there are no glasses or atoms, one does not exist, the semantics are unknown, or the predictors differ.
    Cancelled
        If ``cancel`` was set.
    """
    settings = settings or PGTrainingSettings()
    require_semantics(semantics)
    family = [prepared] if isinstance(prepared, PreparedGlass) else list(prepared)
    if len(atoms) == 0 or not family:
        raise InputError("a PGExplainer needs atoms to learn from, but none were given: name a hundred, say.")
    settings = with_tolerance(settings, family[0].target)
    predictors = {_weights_of(glass) for glass in family}
    if len(predictors) > 1:
        raise InputError("the glasses were prepared with different predictors: a PGExplainer explains one.")
    visited = [(glass, glass.glass.require_atom(atom)) for glass in family for atom in atoms]
    watch = Watch(progress, cancel)
    watch.advance(0.0)
    with one_thread():
        scorer, curve = _train(visited, semantics, settings, watch)
    card = {
        "semantics": semantics,
        "predictor_sha256": predictors.pop(),
        "glasses": {glass.glass.name: glass.glass.content_hash for glass in family},
        "references": {glass.reference_name: glass.reference_sha256 for glass in family},
        "atoms": [int(atom) for atom in atoms],
        "settings": asdict(settings),
        "learning_curve": curve,
    }
    return PGExplainer(scorer, card)


def _train(
    visited: Sequence[tuple[PreparedGlass, int]],
    semantics: MaskSemantics,
    settings: PGTrainingSettings,
    watch: Watch,
) -> tuple[EdgeScorer, list[dict[str, float]]]:
    def predicts(index: int) -> MaskedPrediction:
        prepared, atom = visited[index]
        return prepared.masked_prediction(atom, semantics=semantics, unit="edge")

    tolerance = visited[0][0].target.required_tolerance if settings.tolerance is None else settings.tolerance
    generator = torch.Generator().manual_seed(settings.seed)
    scorer = _initial_scorer(visited[0][0], settings.seed)
    order = torch.randperm(len(visited), generator=generator)
    scorer.standardise([predicts(index) for index in order[:_STANDARDISED].tolist()])
    optimizer = torch.optim.Adam(scorer.parameters(), lr=settings.learning_rate)
    multiplier, recent, curve, visits = 1.0, 1.0, [], settings.passes * len(visited)
    for number in range(settings.passes):
        changes, sizes = [], []
        for place, index in enumerate(torch.randperm(len(visited), generator=generator).tolist()):
            done = (number * len(visited) + place) / visits
            prediction = predicts(index)
            logits = scorer(prediction)
            noise = torch.rand(settings.draws, len(logits), generator=generator).clamp(
                _SMALLEST_UNIFORM, 1 - _SMALLEST_UNIFORM
            )
            temperature = settings.hot * (settings.cold / settings.hot) ** done
            masks = ((noise.logit().to(logits) + logits) / temperature).sigmoid()
            change = (prediction.batch(masks) - prediction.original) / tolerance
            error, mask = change.square().mean(), logits.sigmoid()
            entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, mask)
            loss = multiplier * error + mask.mean() + settings.entropy * entropy
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recent += (1 - _MEMORY) * (error.item() - recent)
            multiplier *= float(np.exp(_MULTIPLIER_RATE * np.clip(recent - 1, -1, 1)))
            changes.append(error.item())
            sizes.append(mask.mean().item())
            watch.advance((number * len(visited) + place + 1) / visits)
        curve.append(
            {
                "rms_change": float(np.sqrt(np.mean(changes))) * tolerance,
                "mean_mask": float(np.mean(sizes)),
                "multiplier": multiplier,
            }
        )
    return scorer, curve


def _initial_scorer(prepared: PreparedGlass, seed: int) -> EdgeScorer:
    model = prepared.predictor.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = sum(member.config.dim for member in members_of(model))
        scorer = EdgeScorer(width, len(model.layers))
    return scorer.to(model.label_scale)


def _weights_of(prepared: PreparedGraph) -> str:
    if not isinstance(prepared.model, SymGNNLike):
        raise InputError(f"a PGExplainer explains a SymGNN, not a {name_of(prepared.model)}.")
    return weights_sha256(prepared.model)


def _serialised(scorer: EdgeScorer) -> bytes:
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in scorer.state_dict().items()})


def _digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()
