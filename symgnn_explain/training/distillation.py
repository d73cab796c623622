"""Distillation: a network learns what another one predicts instead of known values (Hinton et al., arXiv:1503.02531).

Known barriers are noisy, and a wide network learns the noise. What a teacher says of the same structures, or of some
that nobody searched, is a smooth function of the structure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import Target
from symgnn_explain.structure.glass import Glass


def taught(
    glasses: Sequence[Glass], teacher: Predictor, target: Target, *, holds_out: bool = False
) -> list[Glass]:
    """Return glasses whose labels are the teacher's predictions; known ones are not looked at.

    Parameters
    ----------
    glasses
        What the student is trained on.
    teacher
        Its card says what it was trained on.
    target
        What both predict.
    holds_out
        Whether other glasses validate the student: they must be new to its teacher too, so that the teacher may have
        been trained on nothing but ``glasses``.

    Raises
    ------
    InputError
        If the teacher predicts something else, or may know what is held out.
    """
    if teacher.target.array != target.array:
        raise InputError(
            f"the teacher predicts {teacher.target.name}, and {target.name} is to be learned: give a teacher of that."
        )
    if holds_out:
        _require_nothing_else(teacher, {glass.content_hash for glass in glasses})
    return [_labelled(glass, teacher, target) for glass in glasses]


def describe_teacher(teacher: Predictor) -> dict[str, Any]:
    """Return what a card says of a teacher."""
    learned = [str(entry["name"]) for entry in teacher.card.get("training", ())]
    return {"weights_sha256": teacher.weights_sha256, "training": learned}


def _labelled(glass: Glass, teacher: Predictor, target: Target) -> Glass:
    predicted = teacher.predict(glass)
    return replace(glass, barriers=predicted) if target.is_barrier else glass.with_arrays(**{target.array: predicted})


def _require_nothing_else(teacher: Predictor, known: Collection[str]) -> None:
    learned = teacher.card.get("training", ())
    if not learned:
        raise InputError(
            "the teacher's card does not say what it was trained on, so that nothing can be held out from it: train "
            "the teacher with this package, or hold no glass out."
        )
    others = ", ".join(repr(entry["name"]) for entry in learned if entry["content_sha256"] not in known)
    if others:
        raise InputError(
            f"the teacher was trained on {others}, which this run is not: what is held out must be new to the teacher "
            "too, so train one on the training glasses alone, or hold no glass out."
        )
