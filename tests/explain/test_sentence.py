"""The sentences hold the explanation's own numbers, and say what speaks against it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.explain import AtomExplanation, explain_atom
from symgnn_explain.explain.result.sentence import explanation_sentence
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass

K = 20


@pytest.fixture
def explanation(glass: Glass, tiny_predictor: Predictor) -> AtomExplanation:
    return explain_atom(tiny_predictor, glass, 5, "gnnexplainer", epochs=60)


def test_every_number_is_the_explanation_s(explanation: AtomExplanation, glass: Glass) -> None:
    text = explanation_sentence(explanation, glass, k=K, uncertainty=0.114)
    assert f"{glass.symbols[5]} atom 5 of {glass.name}, {explanation.prediction:.2f} ± 0.11 eV" in text
    scores = np.sort(np.abs(explanation.score))[::-1]
    assert f"hold {100 * scores[:K].sum() / scores.sum():.1f} %" in text
    assert f"of {len(explanation)} directed edges" in text
    atoms = explanation.important_atoms(K)
    assert f"join {len(atoms)} other atoms" in text
    nearest, farthest = map(float, re.search(r"atoms, ([\d.]+) to ([\d.]+) Å away", text).groups())
    # Atoms are placed along the edges, where they are as far as their nearest image or farther.
    distance = np.linalg.norm(glass.displacements_from(5)[atoms["atom"]], axis=1)
    assert nearest >= distance.min() - 0.06
    assert farthest >= distance.max() - 0.06
    checked = explanation.fidelity
    row = list(checked.count).index(max(count for count in checked.count if count <= K))
    assert f"{checked.kept[row]:.2f} eV ({checked.kept[row] - explanation.prediction:+.2f} eV)" in text


def test_an_unfaithful_explanation_is_called_so(explanation: AtomExplanation, glass: Glass) -> None:
    for change, said in (
        (0.2, "moves by +0.20 eV, more than 0.05 eV: the explanation is not faithful"),
        (0.01, "stays"),
    ):
        changed = replace(explanation, masked_prediction=explanation.prediction + change)
        assert said in explanation_sentence(changed, glass)


def test_what_is_not_known_is_not_said(explanation: AtomExplanation, glass: Glass) -> None:
    bare = replace(explanation, masked_prediction=None, fidelity=None)
    text = explanation_sentence(bare, glass)
    assert "Under the whole mask" not in text
    assert "alone the network predicts" not in text
    nothing = replace(bare, score=np.zeros(len(bare)))
    assert "no edge that matters" in explanation_sentence(nothing, glass)


def test_another_glass_is_refused(explanation: AtomExplanation, glass: Glass) -> None:
    with pytest.raises(InputError, match="another"):
        explanation_sentence(explanation, replace(glass, positions=glass.positions + 0.5 * np.eye(len(glass), 3)))
    with pytest.raises(InputError, match="at least 1"):
        explanation_sentence(explanation, glass, k=0)
