from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.training.splits import (
    RELATED_FRACTION,
    RELATED_GLASSES,
    TRAINING_GLASSES,
    folds,
    related_groups,
    require_unrelated,
    shared_sites,
    split_glasses,
)


class TestPublishedSplit:
    def test_parts_the_training_glasses(self) -> None:
        training, validation = split_glasses()
        assert sorted(training + validation) == sorted(TRAINING_GLASSES)
        assert not any(name.startswith("test") for name in TRAINING_GLASSES)

    def test_any_set_that_keeps_relatives_together_is_accepted(self) -> None:
        accepted = 0
        for size in range(1, len(TRAINING_GLASSES)):
            for held_out in itertools.combinations(TRAINING_GLASSES, size):
                torn = any(0 < len(group & set(held_out)) < len(group) for group in RELATED_GLASSES)
                if torn:
                    with pytest.raises(InputError, match="are related glasses: hold out both or neither"):
                        split_glasses(held_out)
                else:
                    assert split_glasses(held_out)[1] == list(held_out)
                    accepted += 1
        assert accepted == 2**5 - 2  # five groups, neither side empty

    @pytest.mark.parametrize(
        ("held_out", "said"),
        [
            (["train9"], "cannot validate on train9"),
            (["test0"], "cannot validate on test0"),
            ([], "at least one glass on each side"),
            (TRAINING_GLASSES, "at least one glass on each side"),
        ],
    )
    def test_refuses(self, held_out: list[str], said: str) -> None:
        with pytest.raises(InputError, match=said):
            split_glasses(held_out)


class TestSharedSites:
    def test_is_one_with_itself_in_any_order_and_cell(self, random_glass: Callable[..., Glass]) -> None:
        glass = random_glass(6)
        order = np.random.default_rng(0).permutation(len(glass))
        cells = np.random.default_rng(1).integers(-2, 3, (len(glass), 3))
        copy = replace(
            glass,
            positions=(glass.positions + cells @ glass.cell)[order],
            numbers=glass.numbers[order],
            barriers=None,
        )
        assert shared_sites(glass, glass) == shared_sites(glass, copy) == 1.0

    def test_sees_homogeneous_deformation(self, random_glass: Callable[..., Glass]) -> None:
        glass = random_glass(6)
        strain = np.array([[1.05, 0.03, 0.0], [0.0, 0.98, 0.0], [0.0, 0.0, 0.97]])
        deformed = replace(glass, positions=glass.positions @ strain, cell=glass.cell @ strain)
        assert shared_sites(glass, deformed) > 0.99

    def test_is_chance_for_independent_glasses(self) -> None:
        rng = np.random.default_rng(0)
        one, other = (
            Glass(positions=rng.uniform(0, 50, (8000, 3)), numbers=rng.choice([29, 40], 8000), cell=np.eye(3) * 50)
            for _ in range(2)
        )
        chance = 0.5 * 4 / 3 * np.pi * 0.3**3 * one.number_density  # half of the atoms are of the same species
        assert shared_sites(one, other) == pytest.approx(chance, rel=0.3)
        assert chance < RELATED_FRACTION / 10

    def test_counts_only_atoms_of_the_same_species(self, random_glass: Callable[..., Glass]) -> None:
        glass = random_glass(4)
        assert shared_sites(glass, replace(glass, numbers=np.where(glass.numbers == 29, 40, 29))) < 0.1

    def test_published_relatives(self, published: Callable[[str], Glass]) -> None:
        assert shared_sites(published("train0"), published("train1")) == pytest.approx(0.9945, abs=1e-3)
        assert shared_sites(published("train5"), published("train6")) == pytest.approx(0.24, abs=0.01)
        assert shared_sites(published("train0"), published("train5")) < 0.01


class TestRequireUnrelated:
    def test_unrelated_glasses_pass(self, random_glass: Callable[..., Glass]) -> None:
        glasses = [
            replace(random_glass(5, seed=seed), positions=np.random.default_rng(seed).uniform(0, 12, (125, 3)))
            for seed in range(3)
        ]
        require_unrelated(glasses[:2], glasses[2:])

    def test_names_the_pair(self, random_glass: Callable[..., Glass]) -> None:
        known = replace(random_glass(4, seed=1), name="known")
        again = replace(known, name="again", barriers=np.ones(64))
        with pytest.raises(InputError, match=r"'known' \(training\) and 'again' \(validation\) are related \(100%"):
            require_unrelated([known], [again])

    def test_nothing_to_train_on(self, random_glass: Callable[..., Glass]) -> None:
        with pytest.raises(InputError, match="no glass was given to train on"):
            require_unrelated([], [random_glass(3)])


class TestFolds:
    def test_part_the_training_glasses_with_relatives_together(self) -> None:
        assert [name for fold in folds() for name in fold] == list(TRAINING_GLASSES)
        assert len(folds()) == 5
        for fold in folds():
            assert split_glasses(fold)[1] == list(fold)

    def test_are_the_related_groups_of_the_published_glasses(self, published: Callable[[str], Glass]) -> None:
        groups = related_groups([published(name) for name in TRAINING_GLASSES])
        assert [tuple(TRAINING_GLASSES[place] for place in group) for group in groups] == list(folds())

    def test_relatives_of_relatives_are_related(self, random_glass: Callable[..., Glass]) -> None:
        """Half of the atoms are moved in one copy and the others in another: both are like the glass between alone."""
        glass, other = random_glass(5, seed=1), random_glass(5, seed=2)
        rng = np.random.default_rng(0)
        moved = [rng.uniform(0, 20, (125, 3)) for _ in range(2)]
        keep = np.arange(125)
        chain = [
            replace(glass, positions=np.where((keep < 63)[:, None], glass.positions, moved[0])),
            glass,
            replace(glass, positions=np.where((keep >= 63)[:, None], glass.positions, moved[1])),
        ]
        assert shared_sites(chain[0], chain[2]) < RELATED_FRACTION < shared_sites(chain[0], chain[1])
        away = replace(other, positions=rng.uniform(0, 20, (125, 3)))
        assert related_groups([chain[0], away, chain[2], chain[1]]) == [[0, 2, 3], [1]]
        assert related_groups([chain[0], away, chain[2]]) == [[0], [1], [2]]
