"""What many explanations are asked for: atoms in words, requests that cannot be met, and whose records they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.nn import SAGEConv

from symgnn_explain.errors import InputError
from symgnn_explain.explain import (
    explain_many,
    prepare,
)
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.target import BARRIER
from symgnn_explain.runs.threads import one_thread
from symgnn_explain.structure.selection import select_atoms
from tests.own_network import OwnAdapter

from .conftest import random_glass

ATOMS = [5, 31, 12]
FEW = {"method": "gnnexplainer", "epochs": 6}


def test_atoms_can_be_given_in_words(predictor, glass) -> None:
    with one_thread():
        prepared = prepare(predictor, glass)
    explanations = explain_many(predictor, glass, "hardest:3", "random", prepared=prepared)
    assert explanations.atoms == tuple(select_atoms(glass, "hardest:3", predictions=prepared.predictions))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"atoms": [60]}, "atom 60 does not exist"),
        ({"atoms": [3, 3]}, "named more than once"),
        ({"atoms": []}, "name at least one"),
        ({"atoms": "middle:3"}, "write all, central:50"),
        ({"method": "magic"}, "choose from gnnexplainer"),
        ({"semantics": "blur"}, "semantics='blur' is unknown"),
        ({"unit": "cluster"}, "unit='cluster' is unknown"),
        ({"workers": 0}, "must be at least 1"),
        ({"atoms_at_once": 0}, "must be at least 1"),
        ({"method": "gnnexplainer", "epochs": 0}, "must be positive"),
        ({"epochs": 3}, "has no setting epochs"),
    ],
)
def test_bad_requests_end_in_one_sentence_and_write_nothing(arguments, said, tmp_path, predictor, glass) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match=said):
        explain_many(predictor, glass, **({"atoms": [0], "out": out} | arguments))
    assert not list(out.glob("atom-*"))


def test_what_was_prepared_for_another_glass_is_refused(predictor, glass) -> None:
    other = prepare(predictor, random_glass(seed=1))
    with pytest.raises(InputError, match="what prepare\\(\\) returned"):
        explain_many(predictor, glass, ATOMS, prepared=other, **FEW)


def test_the_model_is_not_touched(predictor, glass) -> None:
    before = {name: tensor.clone() for name, tensor in predictor.model.state_dict().items()}
    explain_many(predictor, glass, ATOMS, atoms_at_once=3, **FEW)
    after = predictor.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in predictor.model.parameters())


def test_records_of_an_adapter_with_another_cutoff_are_not_taken_for_its_own(tmp_path: Path) -> None:
    def predictor(**changed: Any) -> Predictor:
        torch.manual_seed(0)
        adapter = OwnAdapter(SAGEConv(1, 1, normalize=changed.pop("normalize", False)))
        vars(adapter).update(changed)
        return Predictor(adapter, target=BARRIER)

    glass = random_glass(60)
    explain_many(predictor(), glass, [3], "saliency", out=tmp_path)
    explain_many(predictor(_cache=1), glass, [3], "saliency", out=tmp_path)
    for other in ({"cutoff": 4.5}, {"normalize": True}):
        assert predictor(**other).identity != predictor().identity
    with pytest.raises(InputError, match="differ in predictor"):
        explain_many(predictor(cutoff=4.5), glass, [3], "saliency", out=tmp_path)
