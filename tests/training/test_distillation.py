"""A network that learns what another one predicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import Target
from symgnn_explain.training.distillation import taught

from .conftest import TRAINING, VALIDATION, disordered, run

UNKNOWN = [replace(glass, barriers=None) for glass in TRAINING]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return run(tmp_path_factory.mktemp("teacher") / "run")


def test_labels_are_the_predictions_of_the_teacher(teacher: Predictor) -> None:
    for glass, lesson in zip(UNKNOWN, taught(UNKNOWN, teacher, teacher.target), strict=True):
        assert lesson.barriers is not None
        np.testing.assert_array_equal(lesson.barriers, teacher.predict(glass))
        assert lesson.content_hash == glass.content_hash


def test_a_student_needs_no_labels_and_names_its_teacher(teacher: Predictor, tmp_path: Path) -> None:
    blind = run(tmp_path / "blind", training=UNKNOWN, teacher=teacher)
    assert blind.card["teacher"] == {
        "weights_sha256": teacher.weights_sha256,
        "training": [glass.name for glass in TRAINING],
    }
    assert run(tmp_path / "seeing", teacher=teacher).weights_sha256 == blind.weights_sha256  # labels are not looked at
    assert run(tmp_path / "alone").weights_sha256 != blind.weights_sha256
    known = VALIDATION[0].barriers
    assert known is not None
    expected = np.corrcoef(blind.predict(VALIDATION[0]), known)[0, 1]  # validated on true values
    assert blind.card["metrics"]["validation"][VALIDATION[0].name]["pearson"] == pytest.approx(expected, abs=1e-6)


def test_a_student_comes_near_its_teacher(teacher: Predictor, tmp_path: Path) -> None:
    student = run(tmp_path / "run", training=UNKNOWN, validation=[], teacher=teacher)
    said, heard = (predictor.predict(UNKNOWN[0]) for predictor in (teacher, student))
    assert np.corrcoef(said, heard)[0, 1] > 0.7


def test_what_is_held_out_must_be_new_to_the_teacher(teacher: Predictor, tmp_path: Path) -> None:
    known = replace(TRAINING[0], name="renamed")
    with pytest.raises(InputError, match=r"the teacher was trained on 'toy1', which this run is not"):
        run(tmp_path / "run", training=TRAINING[1:], validation=[known], teacher=teacher)
    assert not (tmp_path / "run").exists()
    run(tmp_path / "all", training=[*TRAINING, disordered(5)], teacher=teacher)  # more than the teacher knows is fine


def test_a_teacher_without_a_past_holds_nothing_out(teacher: Predictor) -> None:
    stranger = Predictor(teacher.model, device="cpu")
    with pytest.raises(InputError, match="card does not say what it was trained on"):
        taught(TRAINING, stranger, teacher.target, holds_out=True)
    assert len(taught(TRAINING, stranger, teacher.target)) == len(TRAINING)


def test_a_teacher_of_something_else(teacher: Predictor) -> None:
    with pytest.raises(InputError, match="the teacher predicts energy barrier, and D2min is to be learned"):
        taught(TRAINING, teacher, Target("D2min", "Å²"))
