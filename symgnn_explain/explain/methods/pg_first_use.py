"""A PGExplainer that is there when it is wanted: trained at first use, and kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.explain.engine.prepared import PreparedGlass
from symgnn_explain.explain.engine.protocol import MaskSemantics
from symgnn_explain.explain.methods.pg_explainer import PGExplainer, PGTrainingSettings, train_pg_explainer
from symgnn_explain.runs.watch import CancelSignal

TRAINING_ATOMS = 50
"""Atoms of the glass that it learns from, drawn at random."""

TRAINING = PGTrainingSettings(passes=6)
"""Some 15 s on one core for the shipped predictor."""


def explainer_folder() -> Path:
    """Where trained explainers are kept between sessions."""
    import pooch

    return Path(pooch.os_cache("symgnn_explain")) / "explainers"


def explainer_at_hand(
    prepared: PreparedGlass,
    semantics: MaskSemantics = "reference",
    *,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> PGExplainer:
    """Return the explainer of a predictor for a glass: the one that was kept, or one trained now and kept.

    Parameters
    ----------
    prepared
        What ``prepare(predictor, glass)`` returned.
    semantics
        What a mask does to a message.
    progress, cancel
        As in :func:`~.api.explain_atom`.

    Warns
    -----
    UserWarning
        If the one that was kept is damaged or of an older format, or none can be kept.

    Raises
    ------
    InputError
        If the predictor is none that a PGExplainer explains.
    Cancelled
        If ``cancel`` was set.
    """
    hashes = (prepared.predictor.identity, prepared.glass.content_hash, prepared.reference_sha256)
    name = "_".join([*(text[:16] for text in hashes), semantics, str(TRAINING_ATOMS), str(TRAINING.passes)])
    path = explainer_folder() / f"{name}.safetensors"
    if path.is_file():
        try:
            kept = PGExplainer.load(path)
        except InputError as error:
            warnings.warn(f"The PGExplainer that was kept cannot be used ({error}); it is trained anew.", stacklevel=2)
        else:
            # By the hash of its weights alone: where it is kept is nobody else's concern.
            return PGExplainer(kept.scorer, kept.card)
    size = min(TRAINING_ATOMS, len(prepared.glass))
    atoms = np.random.default_rng(0).permutation(len(prepared.glass))[:size].tolist()
    trained = train_pg_explainer(
        prepared, atoms, semantics=semantics, settings=TRAINING, progress=progress, cancel=cancel
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trained.save(path)
    except OSError as error:
        warnings.warn(f"The PGExplainer cannot be kept in {path} ({error}); it will be trained again.", stacklevel=2)
    return trained
