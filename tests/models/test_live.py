"""Predictions after edits: those of the edited structure as a whole, though only what the edits reach is computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgnn_explain import datasets
from symgnn_explain.errors import InputError
from symgnn_explain.models.live import LivePrediction
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.edits import Edit, Edited, Insert, Move, Paste, Remove, Strain, Swap, Turn, apply_edits
from symgnn_explain.structure.glass import Glass

TOLERANCE = 1e-6
"""eV; of predictions far outside of the domain, of some -10 eV, that many digits."""

UNTRAINED = 1e-5
"""The same for networks whose weights are random, in which rounding grows."""


@pytest.fixture(scope="module")
def shipped() -> LivePrediction:
    return LivePrediction.of(Predictor.load(device="cpu"), datasets.sample())


def other_species(glass: Glass, atom: int) -> str:
    return "Zr" if glass.symbols[atom] == "Cu" else "Cu"


def edits_of(glass: Glass) -> list[Edit]:
    """Edits of every kind that keep the cell; the moved atom ends in another image of the cell."""
    unlike = int(np.flatnonzero(glass.numbers != glass.numbers[7])[-1])
    place = tuple(glass.positions[3] + [0.1, 0.0, 0.2])
    along = tuple(glass.cell[0] + [0.05, -0.1, 0.1])
    return [
        Swap(7, unlike),
        Turn((11, 60), other_species(glass, 11)),
        Move((20,), along),
        Remove((3, 40)),
        Insert("Zr", place),
        Paste((5, 90), 5, 200),
    ]


def require_same(live: LivePrediction, glass: Glass, tolerance: float = TOLERANCE) -> None:
    whole = live.predictor.predict_atoms(glass)
    np.testing.assert_allclose(live.predictions.values, whole.values, rtol=tolerance, atol=tolerance)
    for mine, theirs in zip(live.predictions[1:], whole[1:], strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_one_edit_of_each_kind(shipped: LivePrediction) -> None:
    glass = shipped.glass
    removed = edits_of(glass)[3]
    for edits in ([edit] for edit in edits_of(glass)[:4]):
        edited = apply_edits(glass, edits)
        after = shipped.after(edited)
        require_same(after, edited.glass)
        assert 0 < len(after.reached) < len(glass)
    edited = apply_edits(glass, [removed, edits_of(glass)[4]])
    require_same(shipped.after(edited), edited.glass)


def test_edits_after_edits(shipped: LivePrediction) -> None:
    live, glass = shipped, shipped.glass
    for edit in edits_of(glass):
        edited = apply_edits(live.glass, [edit])
        live = live.after(edited)
    require_same(live, live.glass)
    together = shipped.after(apply_edits(glass, edits_of(glass)))
    np.testing.assert_allclose(together.predictions.values, live.predictions.values, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(("shear", "pbc"), [(0.0, True), (0.3, True), (0.1, (True, True, False))])
def test_what_is_out_of_reach_is_not_computed(
    random_glass: Callable[..., Glass], tiny_predictor: Predictor, shear: float, pbc: bool | tuple[bool, bool, bool]
) -> None:
    glass = random_glass(9, shear=shear, pbc=pbc)
    live = LivePrediction.of(tiny_predictor, glass)
    assert len(live.reached) == len(glass)
    for edit in edits_of(glass)[:4]:
        edited = apply_edits(glass, [edit])
        after = live.after(edited)
        require_same(after, edited.glass, UNTRAINED)
        assert len(after.reached) < len(glass)
        # The others are as they were, to the last bit.
        kept = np.setdiff1d(np.arange(len(edited.glass)), after.reached)
        assert (after.predictions.values[kept] == live.predictions.values[edited.origin[kept]]).all()


def test_some_atoms_alone(shipped: LivePrediction) -> None:
    glass = shipped.glass
    atoms = np.array([8, 900])
    for edits in (edits_of(glass)[:2], [Strain("", 0.01)]):
        edited = apply_edits(glass, edits)
        whole, part = shipped.after(edited).predictions, shipped.of_atoms(edited, atoms)
        np.testing.assert_allclose(part.values, whole.values[atoms], rtol=TOLERANCE, atol=TOLERANCE)
        assert part.domain is not None
        assert whole.domain is not None
        np.testing.assert_allclose(part.domain, whole.domain[atoms])


def test_a_strain_and_a_structure_that_edits_reach_everywhere_are_predicted_in_full(
    random_glass: Callable[..., Glass], tiny_predictor: Predictor
) -> None:
    small = random_glass(3)
    live = LivePrediction.of(tiny_predictor, small)
    for edit in (Strain("z", -0.02), Move((1,), (0.1, 0.0, 0.0))):
        edited = apply_edits(small, [edit])
        after = live.after(edited)
        assert len(after.reached) == len(small)
        require_same(after, edited.glass, UNTRAINED)


def test_an_unknown_species_is_refused(shipped: LivePrediction) -> None:
    with pytest.raises(InputError, match="contains Ag"):
        shipped.after(apply_edits(shipped.glass, [Turn((5,), "Ag")]))


def test_nothing_changed_is_nothing_computed(shipped: LivePrediction) -> None:
    same = shipped.after(Edited(shipped.glass, np.arange(len(shipped.glass))))
    assert not len(same.reached)
    assert (same.predictions.values == shipped.predictions.values).all()


def test_an_atom_that_nobody_sees_can_be_taken_away(
    tiny_predictor: Predictor, random_glass: Callable[..., Glass]
) -> None:
    near = random_glass(3, pbc=False)
    far = near.positions.max(axis=0) + 30
    glass = Glass(np.vstack([near.positions, far]), np.append(near.numbers, 40), near.cell, near.pbc)
    after = LivePrediction.of(tiny_predictor, glass).after(apply_edits(glass, [Remove((len(glass) - 1,))]))
    assert not len(after.reached)
    require_same(after, after.glass, UNTRAINED)
