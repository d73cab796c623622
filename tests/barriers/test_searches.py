"""Relaxation, softest mode and saddle searches on surfaces whose minima and saddle points are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root

from symgnn_explain.errors import InputError
from symgnn_explain.saddles.artn import SearchFailure, Summit, search
from symgnn_explain.saddles.calculator import AseCalculator, EnergySurface, within
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.inherent import RelaxationSettings
from symgnn_explain.saddles.lanczos import Mode, softest_mode
from symgnn_explain.saddles.melt_quench import QuenchSettings
from symgnn_explain.saddles.minimisation import at, descend, minimise
from symgnn_explain.saddles.saddles import at_minimum, minimum_beyond, search_saddles
from symgnn_explain.saddles.settings import SearchSettings
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

SMALL_STEPS = SearchSettings(
    push_step=0.05,
    most_pushes=60,
    escape_curvature=-0.1,
    climb_step=0.05,
    lean=0.05,
    same_minimum=0.05,
    force_tolerance=1e-3,
)


class Surface:
    """An energy surface from a formula and its gradient."""

    def __init__(self, start: FloatArray, energy: Callable[..., float], gradient: Callable[..., FloatArray]) -> None:
        self.start = np.asarray(start, dtype=np.float64)
        self.mobile: IntArray = np.arange(len(self.start))
        self.calls = 0
        self._energy, self._gradient = energy, gradient

    def __call__(self, positions: FloatArray) -> tuple[float, FloatArray]:
        self.calls += 1
        return float(self._energy(positions)), -np.asarray(self._gradient(positions))


# Müller and Brown, Theor. Chim. Acta 53, 75 (1979), divided by 20.
AMPLITUDE, A, B, C = (
    np.array([-200, -100, -170, 15]) / 20,
    np.array([-1, -1, -6.5, 0.7]),
    np.array([0, 0, 11, 0.6]),
    np.array([-10, -10, -6.5, 0.7]),
)
X0, Y0 = np.array([1, 0, -0.5, -1]), np.array([0, 0.5, 1.5, 1])


def muller_brown_terms(r: FloatArray) -> FloatArray:
    x, y = r[0, 0] - X0, r[0, 1] - Y0
    return AMPLITUDE * np.exp(A * x * x + B * x * y + C * y * y)


def muller_brown_energy(r: FloatArray) -> float:
    return float(muller_brown_terms(r).sum() + 2 * r[0, 2] ** 2)


def muller_brown_gradient(r: FloatArray) -> FloatArray:
    terms, x, y = muller_brown_terms(r), r[0, 0] - X0, r[0, 1] - Y0
    return np.array([[(terms * (2 * A * x + B * y)).sum(), (terms * (B * x + 2 * C * y)).sum(), 4 * r[0, 2]]])


def muller_brown(x: float, y: float) -> Surface:
    return Surface(np.array([[x, y, 0.0]]), muller_brown_energy, muller_brown_gradient)


MINIMA = {"left": (-0.558, 1.442), "middle": (-0.050, 0.467), "right": (0.623, 0.028)}
PASSES = {"left": (-0.822, 0.624), "right": (0.212, 0.293)}


def exactly(place: tuple[float, float]) -> FloatArray:
    """The stationary point next to a published, rounded one."""
    found = root(lambda xy: muller_brown_gradient(np.array([[*xy, 0.0]]))[0, :2], place, tol=1e-12).x
    return np.array([[*found, 0.0]])


@pytest.mark.parametrize("name", MINIMA)
def test_relaxation_ends_in_the_minimum(name: str) -> None:
    place = MINIMA[name]
    surface = muller_brown(place[0] + 0.05, place[1] - 0.04)
    bottom = minimise(surface, at(surface, surface.start), tolerance=1e-6)
    assert bottom.positions == pytest.approx(exactly(place), abs=1e-6)
    assert surface.calls < 60


def test_relaxation_never_goes_up(calculator: EamCalculator, make_crystal: Callable[..., Glass]) -> None:
    glass = make_crystal(4, zr=0.2, rattle=0.2)
    surface = calculator.surface(glass)
    start = at(surface, surface.start)
    energies = [start.energy, *(p.energy for p in descend(surface, start, tolerance=0.01, most_steps=500))]
    assert np.diff(energies).max() < 1e-6
    assert len(energies) < 200


def directions(vector: tuple[float, float]) -> Iterator[FloatArray]:
    yield np.array([[*vector, 0.01]])


@pytest.mark.parametrize(
    ("start", "direction", "expected"),
    [("right", (-0.8, 0.6), "right"), ("middle", (0.9, -0.4), "right")],
)
def test_a_push_towards_a_pass_of_the_muller_brown_surface_finds_it(
    start: str, direction: tuple[float, float], expected: str
) -> None:
    surface = muller_brown(*MINIMA[start])
    bottom = minimise(surface, at(surface, surface.start), tolerance=1e-4)
    summit = search(surface, bottom, directions(direction), replace(SMALL_STEPS, highest_energy=10.0))
    saddle = exactly(PASSES[expected])
    assert summit.point.positions == pytest.approx(saddle, abs=2e-3)
    assert summit.point.energy == pytest.approx(muller_brown_energy(saddle), abs=1e-4)
    assert summit.mode.curvature < 0
    beyond = minimum_beyond(surface, bottom, summit, SMALL_STEPS)
    assert beyond is not None
    others = [exactly(place) for name, place in MINIMA.items() if name != start]
    assert min(np.abs(beyond.positions - other).max() for other in others) < 0.01


def test_a_pass_between_two_other_minima_is_not_connected() -> None:
    surface = muller_brown(*MINIMA["left"])
    bottom = minimise(surface, at(surface, surface.start), tolerance=1e-4)
    point = at(surface, exactly(PASSES["right"]))
    mode = softest_mode(surface, point, np.array([[1.0, -0.3, 0.1]]), most_calls=3)
    assert minimum_beyond(surface, bottom, Summit(point, mode), SMALL_STEPS) is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 8))
def test_the_softest_mode_is_the_lowest_eigenvector(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3 * n, 3 * n)))
    values = np.concatenate([[-2.0], rng.uniform(0.5, 30, 3 * n - 1)])
    hessian = rotation @ np.diag(values) @ rotation.T
    surface = Surface(
        np.zeros((n, 3)),
        lambda r: r.ravel() @ hessian @ r.ravel() / 2,
        lambda r: (hessian @ r.ravel()).reshape(-1, 3),
    )
    mode = softest_mode(surface, at(surface, surface.start), rng.normal(size=(n, 3)), most_calls=3 * n, tolerance=1e-10)
    assert mode.curvature == pytest.approx(-2.0, abs=1e-5)
    assert abs(mode.direction.ravel() @ rotation[:, 0]) == pytest.approx(1.0, abs=1e-4)


def test_a_basin_without_a_way_out_is_said_to_be_one() -> None:
    surface = Surface(np.zeros((2, 3)), lambda r: 5 * (r**2).sum(), lambda r: 10 * r)
    with pytest.raises(SearchFailure, match="no way out"):
        search(surface, at(surface, surface.start), iter(np.ones((3, 2, 3))), SearchSettings())


class Engine(Calculator):
    """An energy surface as a calculator of ASE, for atoms that start where ``start`` says."""

    implemented_properties = ("energy", "forces")

    def __init__(self, surface: EnergySurface, start: FloatArray) -> None:
        super().__init__()
        self._surface, self._start = surface, start

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        energy, forces = self._surface(self._surface.start + atoms.positions - self._start)
        self.results = {"energy": energy, "forces": forces}


@pytest.fixture(scope="module")
def vacancy(calculator: EamCalculator, make_crystal: Callable[..., Glass]) -> tuple[Glass, int]:
    """Fcc Cu with a vacancy, relaxed, and an atom beside it."""
    glass = at_minimum(make_crystal(4, vacancy=True), calculator)
    beside = int(np.argmin(np.linalg.norm(glass.positions - np.array([0.0, 1.8075, 1.8075]), axis=1)))
    return glass, beside


def jump_barrier_by_nudged_elastic_band(glass: Glass, surface: EnergySurface, atom: int) -> float:
    """The vacancy jump's barrier with all atoms free, from ASE's climbing band of three images."""
    from ase.mep import NEB
    from ase.optimize import FIRE

    first = glass.to_ase()
    first.positions = surface.start
    last = first.copy()
    last.positions[atom] = surface.start[atom] - np.array([0.0, 1.8075, 1.8075])
    images = [first, *(first.copy() for _ in range(3)), last]
    for image in images:
        image.calc = Engine(surface, surface.start)
    with FIRE(last, logfile=None) as relaxation:
        relaxation.run(fmax=0.005, steps=300)
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate()
    with FIRE(band, logfile=None) as relaxation:
        relaxation.run(fmax=0.01, steps=500)
    return float(images[2].get_potential_energy() - first.get_potential_energy())


def test_a_vacancy_jumps_over_the_barrier_that_a_nudged_elastic_band_gives(
    calculator: EamCalculator, vacancy: tuple[Glass, int]
) -> None:
    glass, beside = vacancy
    found = search_saddles(
        glass, calculator, beside, SearchSettings(searches=6, escape_curvature=-0.3, local_radius=6.0)
    )
    expected = jump_barrier_by_nudged_elastic_band(glass, calculator.surface(glass), beside)
    assert 0.5 < expected < 1.2
    assert found.searches == 6
    assert min(found.barriers) == pytest.approx(expected, abs=0.01)
    lowest = min(found.saddles, key=lambda saddle: saddle.barrier)
    assert beside in lowest.atoms
    assert lowest.curvature < 0
    assert lowest.energy_beyond == pytest.approx(0.0, abs=0.05)


def test_searches_are_the_same_again_and_through_ase(calculator: EamCalculator, vacancy: tuple[Glass, int]) -> None:
    """A calculator of ASE that computes the same leads to the same saddles; so does a second run, to the bit."""
    glass, beside = vacancy
    few = SearchSettings(searches=2, seed=3, escape_curvature=-0.3, local_radius=6.0)
    first, again = (search_saddles(glass, calculator, beside, few) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    by_ase = search_saddles(glass, AseCalculator(Engine(calculator.surface(glass), glass.positions)), beside, few)
    assert by_ase.barriers == pytest.approx(first.barriers, abs=2e-3)
    assert first.outcomes == by_ase.outcomes


def test_atoms_that_are_frozen_raise_the_barrier(calculator: EamCalculator, vacancy: tuple[Glass, int]) -> None:
    glass, beside = vacancy
    found = search_saddles(
        glass, calculator, beside, SearchSettings(searches=1, seed=1, escape_curvature=-0.3, local_radius=4.0)
    )
    [saddle] = found.saddles
    part = calculator.surface(glass, within(glass, beside, 4.0))
    start = at(part, part.start)
    direction = np.zeros_like(part.start)
    direction[0] = [0.0, -1.0, -1.0]
    frozen = search(part, start, iter([direction]), SearchSettings(escape_curvature=-0.3))
    assert frozen.point.energy - start.energy > min(found.barriers) + 0.005
    assert saddle.barrier > 0


def test_a_structure_that_is_not_at_a_minimum_is_brought_there(
    calculator: EamCalculator, make_crystal: Callable[..., Glass]
) -> None:
    ideal, rattled = make_crystal(4), make_crystal(4, rattle=0.05)
    assert at_minimum(ideal, calculator) is ideal
    relaxed = at_minimum(rattled, calculator)
    surface = calculator.surface(relaxed)
    assert at(surface, surface.start).largest_force < 0.005
    assert calculator.energies(relaxed).sum() == pytest.approx(calculator.energies(ideal).sum(), abs=1e-3)


@pytest.mark.parametrize("slope", [1.0, np.nan])
def test_a_structure_without_a_minimum_is_refused(slope: float) -> None:
    glass = Glass(3 * np.eye(3), [29] * 3, 20 * np.eye(3), pbc=False, name="sliding")
    downhill = Surface(glass.positions, lambda r: slope * r.sum(), lambda r: np.full_like(r, slope))
    with pytest.raises(InputError, match="'sliding' has not reached a minimum of the potential"):
        at_minimum(glass, AseCalculator(Engine(downhill, glass.positions), name="downhill"))


def test_atoms_on_top_of_each_other_are_refused_in_a_sentence(calculator: EamCalculator) -> None:
    glass = Glass(np.zeros((2, 3)), [29, 29], 20 * np.eye(3), pbc=False, name="twice")
    with pytest.raises(InputError, match=r"'twice' cannot be relaxed: .* Do atoms lie on top of each other\?"):
        at_minimum(glass, calculator)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"searches": 0}, "must be positive"),
        ({"searches": 2.5}, "whole number"),
        ({"searches": True}, "must be a number"),
        ({"escape_curvature": 0.1}, "must be negative"),
        ({"local_radius": 2.0}, "must hold all that is pushed"),
        ({"push_step": float("nan")}, "must be a number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SearchSettings(**wrong)  # type: ignore[arg-type]


def test_numbers_that_are_whole_count_whatever_their_type() -> None:
    """range() and the random numbers take no floating-point number."""
    counted = SearchSettings(searches=2.0, seed=1.0)  # type: ignore[arg-type]
    assert [counted.searches, counted.seed] == [2, 1]
    assert {type(counted.searches), type(counted.seed)} == {int}
    assert type(RelaxationSettings(most_steps=5e3).most_steps) is int  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"most_steps=2\.5 must be positive and whole"):
        RelaxationSettings(most_steps=2.5)  # type: ignore[arg-type]
    assert QuenchSettings({"Cu": 64, "Zr": 36}, n_atoms=1e3).counts == {"Cu": 640, "Zr": 360}  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"n_atoms=100\.5 must be positive and whole"):
        QuenchSettings({"Cu": 64, "Zr": 36}, n_atoms=100.5)  # type: ignore[arg-type]


def test_mode_is_of_unit_length() -> None:
    surface = muller_brown(*MINIMA["right"])
    mode = softest_mode(surface, at(surface, surface.start), np.array([[3.0, 4.0, 1.0]]), most_calls=3)
    assert isinstance(mode, Mode)
    assert np.linalg.norm(mode.direction) == pytest.approx(1.0)
