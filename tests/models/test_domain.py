"""The domain score tells structures that training covered from others, and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from scipy.spatial.transform import Rotation
from scipy.stats import mannwhitneyu

from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.explain import prepare
from symgnn_explain.models.domain import Domain, neighbourhood_length
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.models.sweep import net_force_of
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training.domain import measure_domain
from symgnn_explain.training.splits import related_groups


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    return Predictor.load(device="cpu")


@pytest.fixture(scope="module")
def sample() -> Glass:
    return datasets.sample()


def score_of(predictor: Predictor, glass: Glass) -> np.ndarray:
    score = predictor.predict_atoms(glass).domain
    assert score is not None
    return score


def displaced(glass: Glass, size: float) -> Glass:
    return replace(glass, positions=glass.positions + np.random.default_rng(0).normal(0, size, glass.positions.shape))


def scaled(glass: Glass, factor: float) -> Glass:
    return replace(glass, positions=glass.positions * factor, cell=glass.cell * factor)


def crystal(*given: object, size: tuple[int, int, int], **named: object) -> Glass:
    return Glass.from_ase(bulk(*given, **named) * size)


def test_the_embedded_glass_is_inside_and_needs_no_word(shipped: Predictor, sample: Glass) -> None:
    score = score_of(shipped, sample)
    assert shipped.domain is not None
    assert np.mean(score > 1) < 0.01
    assert shipped.domain.sentence(sample, score) == ""


def test_all_atoms_are_said_to_be_outside_where_all_are(shipped: Predictor, sample: Glass) -> None:
    assert shipped.domain is not None
    score = np.full(len(sample), 2.0)
    assert "3000 of 3000 atoms (100%)" in shipped.domain.sentence(sample, score)
    score[:2] = 0.5
    assert "2998 of 3000 atoms (99%)" in shipped.domain.sentence(sample, score)


@pytest.mark.parametrize(
    ("change", "cause", "told_apart"),
    [
        (lambda glass: displaced(glass, 0.05), "no inherent structure", 0.99),
        (lambda glass: displaced(glass, 0.1), "no inherent structure", 0.999),
        (lambda glass: scaled(glass, 1.02), "strain", 0.99),
        (lambda glass: scaled(glass, 0.98), "strain", 0.99),
        (lambda glass: replace(glass, cell=glass.cell + np.diag([0, 0, 20.0])), "a surface", 0.5),
        (lambda glass: replace(glass, pbc=(True, True, False)), "not periodic along c", 0.5),
        (lambda _: datasets.sample("cu80zr20"), "another composition", 0.99),
        (lambda _: datasets.sample("cu50zr50"), "another composition", 0.99),
        (lambda _: crystal("Cu", a=3.61, cubic=True, size=(4, 4, 4)), "a crystal", 1.0),
        (lambda _: crystal("CuZr", "cesiumchloride", a=3.26, size=(6, 6, 6)), "a crystal", 1.0),
        (lambda _: crystal("Zr", "hcp", a=3.23, c=5.15, size=(6, 6, 4)), "a crystal", 1.0),
        (lambda glass: scaled(glass, 1.8897), "not in Å", 1.0),
        (lambda glass: scaled(glass, 1e10), "not in Å, since nearest neighbours are 2.", 0.0),
        (lambda glass: replace(scaled(glass, 0.529), pbc=False), "not in Å", 0.0),
    ],
)
def test_other_structures_are_told_apart_and_the_cause_is_named(
    shipped: Predictor, sample: Glass, change: Callable[[Glass], Glass], cause: str, told_apart: float
) -> None:
    other = change(sample)
    inside, score = score_of(shipped, sample), score_of(shipped, other)
    area = mannwhitneyu(score, inside).statistic / (len(score) * len(inside))
    assert area >= told_apart
    assert shipped.domain is not None
    if np.mean(score > 1) > 0.02:
        sentence = shipped.domain_sentence(other, score)
        assert cause in sentence
        assert f"{int(np.sum(score > 1))} of {len(other)} atoms" in sentence
    else:
        assert not other.pbc.all()  # of a large glass few atoms are at its faces
        assert cause in shipped.domain.cause(other, score)


@pytest.mark.parametrize(
    "change",
    [lambda _: datasets.sample("cu80zr20"), lambda _: datasets.sample("cu50zr50"), lambda glass: scaled(glass, 1.03)],
)
def test_what_is_not_at_rest_is_told_to_be_minimised_whatever_else_is_amiss(
    shipped: Predictor, sample: Glass, change: Callable[[Glass], Glass]
) -> None:
    at_rest, said = change(sample), "minimise its energy first"
    snapshot = displaced(at_rest, 0.05)
    assert said not in shipped.domain_sentence(at_rest, score_of(shipped, at_rest))
    sentence = shipped.domain_sentence(snapshot, score_of(shipped, snapshot))
    assert sentence.endswith(f"; and no inherent structure (a snapshot at a temperature?): {said}.")
    assert "composition" in sentence or "strain" in sentence


def test_a_glass_at_rest_is_not_told_to_be_minimised(shipped: Predictor, sample: Glass) -> None:
    assert shipped.domain is not None
    score = np.linspace(1, 1.3, len(sample))
    cause = shipped.domain.cause(sample, score, net_force_of(shipped.model, sample))
    assert cause.startswith("another preparation")
    assert shipped.domain_sentence(sample, None) == ""


def test_the_score_does_not_depend_on_how_a_structure_is_written(shipped: Predictor, sample: Glass) -> None:
    whole = score_of(shipped, sample)
    rotation = Rotation.from_rotvec([0.3, -1.0, 0.7]).as_matrix()
    turned = replace(sample, positions=sample.positions @ rotation.T, cell=sample.cell @ rotation.T)
    np.testing.assert_allclose(score_of(shipped, turned), whole, atol=2e-4)
    pieces = shipped.predict_atoms(sample, chunk_atoms=900)
    np.testing.assert_allclose(pieces.domain, whole, atol=1e-5)
    np.testing.assert_allclose(prepare(shipped, sample).domain, whole, atol=1e-5)


def test_the_network_of_vectors_says_where_it_is_valid(sample: Glass) -> None:
    vectors = Predictor.load("symgnn", device="cpu")
    inside, moved = vectors.predict_atoms(sample), vectors.predict_atoms(displaced(sample, 0.05))
    assert inside.domain is not None
    assert moved.domain is not None
    assert np.mean(inside.domain > 1) < 0.02
    assert mannwhitneyu(moved.domain, inside.domain).statistic / len(sample) ** 2 > 0.99
    assert moved.spread is not None
    assert np.median(moved.spread) > 1.5 * np.median(inside.spread)


def test_an_explanation_says_what_training_did_not_cover(shipped: Predictor, sample: Glass) -> None:
    for glass, said in ((sample, False), (displaced(sample, 0.1), True)):
        why = prepare(shipped, glass).explain(1501, "input_gradient")
        assert any("Training did not cover" in caveat for caveat in why.caveats) is said


def test_the_edge_leaves_one_percent_outside(glass: Glass, tiny_predictor: Predictor) -> None:
    assert tiny_predictor.domain is None
    assert tiny_predictor.predict_atoms(glass).domain is None
    with pytest.raises(InputError, match="has no domain score"):
        neighbourhood_length(tiny_predictor.model, tiny_predictor.graph(glass))
    lengths = [np.arange(100.0), np.arange(100.0, 200.0)]
    domain = Domain.of([glass], lengths)
    assert np.mean(np.concatenate(lengths) > domain.edge) == pytest.approx(0.01)
    assert domain.held_out_outside == pytest.approx((0.0, 0.02))
    assert Domain.from_dict(domain.to_dict()) == domain


@pytest.mark.slow
def test_the_shipped_domain_is_that_of_the_published_glasses(
    shipped: Predictor, published: Callable[[str], Glass]
) -> None:
    glasses = [published(f"train{number}") for number in range(7)]
    measured = measure_domain(glasses, related_groups(glasses), shipped.model.config.member)
    assert measured is not None
    assert shipped.domain is not None
    assert shipped.domain.edge == pytest.approx(measured.edge, rel=1e-5)
    assert shipped.domain.composition == measured.composition
    assert np.mean(measured.held_out_outside) <= 0.02
