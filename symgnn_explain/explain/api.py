"""One entry for every method: ``explain_atom(predictor, glass, atom, method=…, **settings)``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.masked_prediction import MaskedPrediction
from symgnn_explain.explain.engine.prepared import PreparedGlass, prepare
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.engine.units import Unit
from symgnn_explain.explain.fidelity.measure import Fidelity, fidelity, importance_order
from symgnn_explain.explain.mask_words import require_semantics
from symgnn_explain.explain.methods.attention import AttentionSettings, attention_weights
from symgnn_explain.explain.methods.captum_methods import (
    IntegratedGradientsSettings,
    input_gradient,
    integrated_gradients,
    saliency,
)
from symgnn_explain.explain.methods.gnn_explainer import (
    GNNExplainerSettings,
    PublishedGNNExplainerSettings,
    gnn_explainer,
    gnn_explainer_many,
    published_gnn_explainer,
)
from symgnn_explain.explain.methods.nested_masks import NestedMasksSettings, nested_masks
from symgnn_explain.explain.methods.perturbation_methods import (
    KernelShapSettings,
    ShapleySamplingSettings,
    feature_ablation,
    kernel_shap,
    shapley_sampling,
)
from symgnn_explain.explain.methods.pg_explainer import PGExplainerSettings, pg_explainer
from symgnn_explain.explain.methods.rankings import RandomSettings, distance_ranking, random_ranking
from symgnn_explain.explain.result.caveats import DOMAIN_OUTSIDE, DOMAIN_SCORE, LEFT_OUT, SAMPLED_ATOMS
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.scores import NoSettings, UnitScores
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import with_tolerance
from symgnn_explain.runs.plain import shown
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.runs.watch import CancelSignal, Preview, Watch
from symgnn_explain.structure.glass import FloatArray, Glass


@dataclass(frozen=True)
class Method:
    """A way to explain, as it is offered in menus and on the command line."""

    name: str
    label: str
    description: str
    settings: type
    run: Callable[[MaskedPrediction, Any, Watch], UnitScores]
    semantics: MaskSemantics = "reference"
    unit: Unit = "edge"
    """What is masked as one where nobody says, of a network that knows of other atoms by more than messages."""
    run_many: Callable[[Sequence[MaskedPrediction], Any, Watch], Sequence[UnitScores]] | None = None
    """The same for several atoms of one glass side by side, where the method can."""
    of_member: Callable[[Any], Any] | None = None
    """Settings with which members of an ensemble are explained where nobody asks for it, as it takes no longer than
    the explanation itself; None where it does."""

    def default_unit(self, *, describes: bool) -> Unit:
        """Return what is masked as one where nobody says; ``describes``: whether descriptors tell atoms of others."""
        return self.unit if describes else "edge"

    def configure(self, **settings: Any) -> Any:
        """Build the method's settings; raises InputError on a name that it does not have or a value it cannot use."""
        known = [field.name for field in fields(self.settings)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise InputError(f"{self.name} has no setting {', '.join(unknown)}: it has {', '.join(known)}.")
        for name, value in settings.items():
            _require_kind(self, name, value)
        try:
            return self.settings(**settings)
        except TypeError as error:
            raise InputError(f"the settings of {self.name} cannot be used ({error}).") from error


def _require_kind(method: Method, name: str, value: Any) -> None:
    """Raise InputError where a setting is of another kind than its default: a word where a number belongs."""
    default = next(field.default for field in fields(method.settings) if field.name == name)
    kinds: dict[type, tuple[type, ...]] = {bool: (bool,), int: (int, np.integer), float: (int, float, np.number)}
    expected = kinds.get(type(default))
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected)):
        what = {bool: "True or False", int: "a whole number", float: "a number"}[type(default)]
        raise InputError(f"the settings of {method.name} cannot be used ({name} is {shown(value)}, not {what}).")
    if name == "seed" and not 0 <= value < 2**63:
        raise InputError(f"the settings of {method.name} cannot be used (seed is {shown(value)}: 0 to 2^63 - 1).")
    if isinstance(default, float) and not math.isfinite(value):
        raise InputError(f"the settings of {method.name} cannot be used ({name} is {shown(value)}).")


METHODS = {
    method.name: method
    for method in (
        Method(
            "gnnexplainer",
            "GNNExplainer",
            "Learns the smallest mask under which the network still predicts the same.",
            GNNExplainerSettings,
            gnn_explainer,
            run_many=gnn_explainer_many,
        ),
        Method(
            "gnnexplainer_published",
            "GNNExplainer (published objective)",
            "Weighs the size of the mask against the change of the prediction, as published: may lose the latter.",
            PublishedGNNExplainerSettings,
            published_gnn_explainer,
            "zero",
        ),
        Method(
            "gnnexplainer_nested",
            "GNNExplainer (nested budgets)",
            "Ranks so that for every k the first k, kept alone, keep the prediction: the fewest units that suffice.",
            NestedMasksSettings,
            nested_masks,
        ),
        Method(
            "integrated_gradients",
            "Integrated Gradients (Captum)",
            "Splits the prediction into signed contributions of pairs, in its unit, by integrating over the mask.",
            IntegratedGradientsSettings,
            integrated_gradients,
            unit="pair",
            of_member=lambda settings: replace(settings, complete=False),
        ),
        Method(
            "input_gradient",
            "Input × Gradient (Captum)",
            "How fast the prediction falls as a pair fades, in its unit, signed: one pass, a first-order estimate.",
            NoSettings,
            input_gradient,
            unit="pair",
            of_member=lambda settings: settings,
        ),
        Method(
            "saliency",
            "Saliency (Captum)",
            "How sensitive the prediction is to each pair of atoms, whatever the sign: one pass.",
            NoSettings,
            saliency,
            unit="pair",
        ),
        Method(
            "feature_ablation",
            "Feature Ablation (Captum)",
            "Masks each edge or group alone and measures by how much the prediction falls: one prediction each.",
            NoSettings,
            feature_ablation,
        ),
        Method(
            "shapley_sampling",
            "Shapley value sampling (Captum)",
            "What a group adds to the prediction, averaged over random orders; needs a unit coarser than edges.",
            ShapleySamplingSettings,
            shapley_sampling,
        ),
        Method(
            "kernel_shap",
            "KernelShap (Captum)",
            "Shapley values of a prediction, from a regression on random masks; needs a unit coarser than edges.",
            KernelShapSettings,
            kernel_shap,
        ),
        Method(
            "pg_explainer",
            "PGExplainer (amortised)",
            "A small network, trained once for a predictor, gives every edge its mask value: milliseconds an atom.",
            PGExplainerSettings,
            pg_explainer,
        ),
        Method(
            "attention",
            "Attention weights",
            "Where the network looks: the attention that flows to the atom along each edge. A naive reference.",
            AttentionSettings,
            attention_weights,
        ),
        Method(
            "distance",
            "Nearest first (null)",
            "Ranks by nearness to the explained atom and ignores the network: what any other method has to beat.",
            NoSettings,
            distance_ranking,
        ),
        Method(
            "random",
            "Random (null)",
            "Ranks at random: the least that any other method has to beat.",
            RandomSettings,
            random_ranking,
        ),
    )
}
"""Every method, by the name that :func:`explain_atom` takes."""

DEFAULT_METHOD = "integrated_gradients"
"""Over pairs it sees all that the network sees; ``benchmarks/physical_truth.py`` and
``benchmarks/single_atom_changes.py`` measure it against the other methods and units, and against the nearest atoms."""


def explain_atom(
    predictor: Predictor,
    glass: Glass,
    atom: int,
    method: str = DEFAULT_METHOD,
    *,
    semantics: MaskSemantics | None = None,
    unit: Unit | None = None,
    members: bool | None = None,
    prepared: PreparedGlass | None = None,
    progress: Callable[[float], None] | None = None,
    preview: Callable[[AtomExplanation], None] | None = None,
    cancel: CancelSignal | None = None,
    **settings: Any,
) -> AtomExplanation:
    """Find the edges behind the prediction of one atom.

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
    semantics
        What masking a message means; the method's own default where None.
    unit
        What one mask value is for: a pair of atoms or a group of pairs, with all that is learned of them, or messages
        alone; see :data:`~symgnn_explain.explain.engine.units.Unit`. Where None, the method's own default: pairs for
        gradient methods where the network knows of other atoms by more than messages, else edges.
    members
        Whether each member of an ensemble is explained too, so that every score has its spread over members; where
        None, by methods of which it takes no longer than the explanation itself.
    prepared
        What ``prepare(predictor, glass)`` returned; saves predicting the whole glass again for each atom.
    progress
        Called with the fraction done, from the computing thread.
    preview
        Called there with the explanation as it is so far, at most every 0.7 s, by methods that learn a mask; it says
        nothing yet about masked predictions and fidelity.
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
        If the method, a setting, the semantics, the unit or the atom does not exist, the predictor does not know a
        species of the glass, or ``prepared`` is of another predictor or glass.
    Cancelled
        If ``cancel`` was set.

    Examples
    --------
    >>> from symgnn_explain import Predictor, datasets
    >>> why = explain_atom(Predictor.load(device="cpu"), datasets.sample("cu50zr50"), 12)
    >>> why
    AtomExplanation(atom 12 of 'cu50zr50_sample', integrated_gradients, 17265 pairs, 1.445 eV)
    >>> why.important_atoms()["atom"].head(3).tolist()
    [174, 768, 945]
    """
    chosen = require_method(method)
    configured = chosen.configure(**settings)
    atom = glass.require_atom(atom)
    watch = Watch(progress, cancel)
    started = time.perf_counter()
    watch.advance(0.0)
    prepared = require_prepared(predictor, glass, prepared) or prepare(predictor, glass)
    [explanation] = explain_prepared(
        prepared, [atom], chosen, configured, watch, semantics=semantics, unit=unit, members=members, preview=preview
    )
    return replace(explanation, wall_time=time.perf_counter() - started)


def require_method(name: str) -> Method:
    """Return the method of that name, or raise InputError if there is none.

    Examples
    --------
    >>> require_method("saliency").label
    'Saliency (Captum)'
    """
    if name not in METHODS:
        raise InputError(f"method={name!r} is unknown: choose from {', '.join(METHODS)}.")
    return METHODS[name]


def require_prepared(predictor: Predictor, glass: Glass, prepared: PreparedGlass | None) -> PreparedGlass | None:
    """Return what was prepared, or raise InputError if it was for another predictor or glass."""
    if prepared is not None and (prepared.predictor is not predictor or prepared.glass is not glass):
        raise InputError(
            f"what was prepared is for {prepared.glass.name!r} and its predictor: give what prepare() returned for the "
            "predictor and the glass that are explained, or leave it out."
        )
    return prepared


def explain_prepared(
    prepared: PreparedGlass,
    atoms: Sequence[int],
    method: Method,
    configured: Any,
    watch: Watch,
    *,
    semantics: MaskSemantics | None = None,
    unit: Unit | None = None,
    members: bool | None = None,
    preview: Callable[[AtomExplanation], None] | None = None,
) -> list[AtomExplanation]:
    """Explain atoms of a glass that was prepared, with settings that ``method.configure`` returned.

    Several atoms are explained side by side where the method can, else one after the other. Only a single atom has a
    preview.
    """
    started = time.perf_counter()
    configured = with_tolerance(configured, prepared.target)
    unit = unit or method.default_unit(describes=prepared.describes)
    semantics = semantics or method.semantics
    require_semantics(semantics)
    with one_thread():
        predictions = [prepared.masked_prediction(atom, semantics=semantics, unit=unit) for atom in atoms]
        if preview is not None and len(predictions) == 1:
            show = preview

            def show_mask(mask: FloatArray) -> None:
                so_far = UnitScores(score=mask, signed=False)
                show(_explanation(prepared, predictions[0], method, configured, scores=so_far))

            watch = replace(watch, preview=Preview(show_mask))
        scores: Sequence[UnitScores]
        of_one_graph = all(prediction.prepared is predictions[0].prepared for prediction in predictions)
        if len(predictions) > 1 and of_one_graph and method.run_many is not None and not members:
            scores = method.run_many(predictions, configured, watch)
        else:
            parts = watch.parts(len(predictions))
            scores = [
                _run(prepared, method, configured, prediction, part, each_member=members)
                for prediction, part in zip(predictions, parts, strict=True)
            ]
        explanations = [
            _explanation(prepared, prediction, method, configured, scores=its, checked=_checked(prediction, its))
            for prediction, its in zip(predictions, scores, strict=True)
        ]
    seconds = (time.perf_counter() - started) / len(atoms)
    return [replace(explanation, wall_time=seconds) for explanation in explanations]


def _run(
    prepared: PreparedGlass,
    method: Method,
    configured: Any,
    prediction: MaskedPrediction,
    watch: Watch,
    *,
    each_member: bool | None,
) -> UnitScores:
    """Explain one atom, and where it is wanted how far the members of an ensemble are from each other."""
    if prepared.n_members < 2 or not (method.of_member is not None if each_member is None else each_member):
        return replace(method.run(prediction, configured, watch), member_spread=None)
    whole, *parts = watch.parts(1 + prepared.n_members)
    found = method.run(prediction, configured, whole)
    if found.member_spread is not None:
        return found
    of_member = configured if method.of_member is None else method.of_member(configured)
    scores = []
    for member, part in enumerate(parts):
        alone = prepared.masked_prediction(
            prediction.atom, semantics=prediction.semantics, unit=prediction.units.kind, member=member
        )
        scores.append(method.run(alone, of_member, part).score)
    return replace(found, member_spread=np.std(scores, axis=0, ddof=1))


def _left_out(prepared: PreparedGlass, prediction: MaskedPrediction) -> dict[str, float]:
    """Say what masks over messages alone leave as it is: how far masking descriptors too moves the prediction."""
    if not prepared.describes or prediction.over_pairs:
        return {}
    whole = prepared.masked_forward(prediction.atom, prediction.semantics, over_pairs=True)
    return {LEFT_OUT: prediction.baseline - float(whole.baseline())}


def _domain(prepared: PreparedGlass, prediction: MaskedPrediction) -> dict[str, float]:
    """Say whether training covered the explained atom, and those whose surroundings its prediction rests on."""
    # Over pairs, atoms that others hear of through descriptors alone are sources too, and their surroundings unseen.
    looking = prediction.target if prediction.over_pairs else prediction.source
    score = prepared.domain_scores(np.concatenate([[prediction.atom], np.unique(looking)]))
    return {} if score is None else {DOMAIN_SCORE: float(score[0]), DOMAIN_OUTSIDE: float(np.mean(score[1:] > 1))}


def _sampled(prepared: PreparedGlass) -> dict[str, float]:
    """Say how many atoms stand for the glass, where these are not all."""
    return {} if prepared.sample is None else {SAMPLED_ATOMS: float(len(prepared.sample.atoms))}


def _checked(prediction: MaskedPrediction, scores: UnitScores) -> Fidelity:
    return fidelity(prediction, importance_order(scores.score))


def _explanation(
    prepared: PreparedGlass,
    prediction: MaskedPrediction,
    method: Method,
    configured: Any,
    *,
    scores: UnitScores,
    checked: Fidelity | None = None,
) -> AtomExplanation:
    units = prediction.units

    def over_edges(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else units.spread_over_edges(values, share=scores.signed)

    left_out = {} if checked is None else _left_out(prepared, prediction)
    return AtomExplanation(
        atom=prediction.atom,
        method=method.name,
        source=prediction.source,
        target=prediction.target,
        displacement=prediction.displacement,
        hop=prediction.forward.field.hop.cpu().numpy(),
        score=units.spread_over_edges(scores.score, share=scores.signed),
        signed=scores.signed,
        units=None if units.kind == "edge" else units,
        covers=prepared.covers(units.kind),
        spread=over_edges(scores.spread),
        member_spread=over_edges(scores.member_spread),
        prediction=prediction.original,
        prediction_range=(float(prepared.compared.min()), float(prepared.compared.max())),
        masked_prediction=scores.masked_prediction,
        mask_semantics=prediction.semantics,
        reference_name=prepared.reference_name,
        fidelity=checked,
        settings=asdict(configured),
        seed=getattr(configured, "seed", None),
        diagnostics={
            **scores.diagnostics,
            **getattr(prediction.forward, "diagnostics", {}),
            **_domain(prepared, prediction),
            **_sampled(prepared),
            **left_out,
        },
        glass_name=prepared.glass.name,
        glass_sha256=prepared.glass.content_hash,
        quantity=prepared.target,
    )
