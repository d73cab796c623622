"""Pair forces learned from structures at rest tell whether others are at rest, without a potential."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy.stats import mannwhitneyu

from symgnn_explain import datasets
from symgnn_explain.models import sweep
from symgnn_explain.models.environment import bonds_of, displaced_at_random
from symgnn_explain.models.force_balance import N_FORCES, N_RADIAL, NEAREST, ForceBalance
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.protocol import FORCES
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import build_graph

CUTOFF = 5.0


def bonds(glass: Glass):
    return bonds_of(build_graph(glass, cutoff=CUTOFF, species=("Cu", "Zr")))


def displaced(glass: Glass, size: float) -> Glass:
    return replace(glass, positions=glass.positions + np.random.default_rng(0).normal(0, size, glass.positions.shape))


@pytest.fixture(scope="module")
def learned() -> ForceBalance:
    """What one alloy teaches, to be asked of another."""
    graph = build_graph(datasets.sample("cu80zr20"), cutoff=CUTOFF, species=("Cu", "Zr"))
    moved = displaced_at_random(graph, torch.Generator().manual_seed(0))
    balance = ForceBalance(2, CUTOFF)
    balance.fit([bonds_of(graph)], [bonds_of(moved)])
    return balance


def test_the_net_force_is_the_sum_over_neighbours(learned: ForceBalance) -> None:
    """Written out with numpy, Gaussian by Gaussian, and independent of how the kernel steps from one to the next."""
    kinds, edges = bonds(datasets.sample("cu50zr50"))
    vector = edges.displacement.astype(float)
    distance = np.linalg.norm(vector, axis=1)
    centres = np.linspace(NEAREST, CUTOFF, N_RADIAL)
    radial = np.exp(-(((distance[:, None] - centres) / (centres[1] - centres[0])) ** 2) / 2)
    radial *= np.where(distance < CUTOFF, 1 - (distance / CUTOFF) ** 2, 0)[:, None] ** 3
    direction = vector / np.where(distance > 0, distance, np.inf)[:, None]
    target = np.repeat(np.arange(len(kinds)), np.diff(edges.first))
    weight = learned.forces.double().numpy()[kinds[target], :, kinds[edges.source]]
    pulls = np.einsum("ekr,er,ex->ekx", weight, radial, direction)
    net = np.zeros((len(kinds), N_FORCES, 3))
    np.add.at(net, target, pulls)
    np.testing.assert_allclose(learned.imbalance(kinds, (kinds, edges)), (net**2).sum((1, 2)), rtol=1e-9, atol=1e-12)


def test_another_alloy_is_seen_to_be_at_rest_or_not(learned: ForceBalance) -> None:
    glass = datasets.sample("cu50zr50")
    at_rest, moved = (learned.imbalance(each[0], each) for each in (bonds(glass), bonds(displaced(glass, 0.02))))
    assert 0.2 < at_rest.mean() < 2
    assert moved.mean() > 2 * at_rest.mean()
    assert mannwhitneyu(moved, at_rest).statistic / len(glass) ** 2 > 0.7


def test_forces_of_a_crystal_cancel(learned: ForceBalance) -> None:
    crystal = Glass.from_ase(bulk("CuZr", "cesiumchloride", a=3.26) * (5, 5, 5))
    kinds, edges = bonds(crystal)
    np.testing.assert_allclose(learned.imbalance(kinds, (kinds, edges)), 0, atol=1e-6)


def test_nothing_is_learned_from_too_few_atoms_and_then_nothing_is_said() -> None:
    glass = Glass.from_ase(bulk("CuZr", "cesiumchloride", a=3.26))
    balance = ForceBalance(2, CUTOFF)
    balance.fit([bonds(glass)], [bonds(displaced(glass, 0.02))])
    assert not balance.forces.any()
    kinds, edges = bonds(glass)
    assert not balance.imbalance(kinds, (kinds, edges)).any()


def test_nothing_is_learned_where_no_atom_is_near_another_or_both_sides_are_alike() -> None:
    gas = Glass(np.arange(60.0).repeat(3).reshape(-1, 3) * 9, np.repeat([29, 40], 30), np.eye(3) * 1000, True)
    glass = datasets.sample("cu50zr50")
    for at_rest, moved in ((gas, displaced(gas, 0.02)), (glass, glass)):
        balance = ForceBalance(2, CUTOFF)
        balance.forces.fill_(1.0)
        balance.fit([bonds(at_rest)], [bonds(moved)])
        assert not balance.forces.any()


def test_the_shipped_networks_notice_two_hundredths_of_an_angstrom() -> None:
    for name in (None, "symgnn"):
        predictor = Predictor.load(*([name] if name else []), device="cpu")
        for composition in datasets.SAMPLES:
            glass = datasets.sample(composition)
            inside, moved = (predictor.predict_atoms(each).domain for each in (glass, displaced(glass, 0.02)))
            assert mannwhitneyu(moved, inside).statistic / len(glass) ** 2 > (0.9 if "64" in composition else 0.7)


def test_weights_of_earlier_versions_lack_forces_and_are_the_same_network(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    predictor = Predictor.load(device="cpu")
    path = predictor.save(tmp_path / "earlier.safetensors")
    tensors = load_file(path)
    save_file({name: tensor for name, tensor in tensors.items() if not name.endswith(FORCES)}, path)
    earlier, glass = Predictor.load(path, device="cpu"), datasets.sample("cu50zr50")
    assert earlier.weights_sha256 == predictor.weights_sha256
    assert earlier.identity == predictor.identity  # records and sessions of before are known
    assert not earlier.model.environment.balance.forces.any()
    np.testing.assert_array_equal(earlier.predict(glass), predictor.predict(glass))


def test_a_large_glass_is_asked_for_some_atoms(monkeypatch: pytest.MonkeyPatch) -> None:
    model, glass = Predictor.load(device="cpu").model, datasets.sample("cu50zr50")
    every = sweep.net_force_of(model, glass)
    kinds, edges = bonds(glass)
    assert every == pytest.approx(np.median(model.environment.balance.imbalance(kinds, (kinds, edges))), rel=1e-6)
    monkeypatch.setattr(sweep, "ASKED", 300)
    assert sweep.net_force_of(model, glass) == pytest.approx(every, rel=0.2)
