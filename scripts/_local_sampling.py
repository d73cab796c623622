"""The cheap baseline by molecular dynamics: heat an atom and its neighbours, quench, and see what has changed.

After Sastry, Debenedetti and Stillinger, Nature 393, 554 (1998), who follow a liquid through its inherent structures.
Here an atom and its neighbours get a pulse of heat; when the structure has cooled to another minimum, the energy
between the two is kept. Li et al. (ICML 2024) report r = 0.36 for such local sampling against their barriers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.runs.parallel import Report
from symgnn_explain.saddles.calculator import Calculator, EnergySurface, as_ase, within
from symgnn_explain.saddles.minimisation import Point, at, largest, minimise
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

QUENCH_TOLERANCE = 0.02
"""Largest force (eV/Å) at which a quench has reached its minimum."""


@dataclass(frozen=True)
class SamplingSettings:
    """Settings of local sampling.

    The heat of a pulse spreads within a tenth of a picosecond, hence its temperatures. The defaults were chosen on a
    dozen atoms of published training glasses: with 1500 to 11400 K seven pulses in eight changed nothing.

    Parameters
    ----------
    pulses
        How many changes are looked for.
    lowest_temperature, factor, most_raises
        A pulse begins with this temperature, K; each time that the structure returns, it is raised by the factor.
    time_step, steps
        Of the dynamics that follows a pulse, fs.
    heated_radius, local_radius
        Atoms within these distances of the central one are heated, and move, Å.
    changed
        An atom that is further than this from its place has left it, Å.
    seed
        Pulse *k* at atom *i* depends on the seed, *i* and *k* alone.
    """

    pulses: int = 8
    lowest_temperature: float = 8000.0
    factor: float = 1.5
    most_raises: int = 6
    time_step: float = 2.0
    steps: int = 100
    heated_radius: float = 3.6
    local_radius: float = 10.0
    changed: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not np.isfinite(value) or value < 0 or (value == 0 and name != "seed"):
                raise InputError(f"{name}={value} must be positive.")
        if self.factor <= 1:
            raise InputError(f"factor={self.factor} must be larger than 1: temperatures are raised by it.")


@dataclass(frozen=True)
class LocalSampling:
    """What heating an atom and its neighbours led to.

    Parameters
    ----------
    atom
        Its number.
    energy_changes
        Of the inherent structure, one a pulse that changed it, eV, shape (n,).
    temperatures
        Of the pulses that changed it, K, shape (n,).
    pulses
        How many there were; those beyond n changed nothing up to the highest temperature.
    """

    atom: int
    energy_changes: FloatArray
    temperatures: FloatArray
    pulses: int

    @property
    def mean(self) -> float | None:
        """Mean energy change, eV: what stands for the barrier; None where nothing ever changed."""
        return float(self.energy_changes.mean()) if len(self.energy_changes) else None


def sample_locally(
    glass: Glass,
    calculator: Calculator,
    atom: int,
    settings: SamplingSettings | None = None,
    report: Report = lambda _: None,
) -> LocalSampling:
    """Heat an atom and its neighbours until the structure changes, several times.

    Parameters
    ----------
    glass
        At a minimum of the potential, see :func:`symgnn_explain.saddles.at_minimum`.
    calculator
        The potential.
    report
        Called with the fraction done, after each pulse.
    """
    settings = settings or SamplingSettings()
    atom = glass.require_atom(atom)
    surface = calculator.surface(glass, within(glass, atom, settings.local_radius))
    start = minimise(surface, at(surface, surface.start), tolerance=QUENCH_TOLERANCE)
    heated = np.linalg.norm(glass.displacements_from(atom)[surface.mobile], axis=1) < settings.heated_radius
    changes, temperatures = [], []
    for pulse in range(settings.pulses):
        report(pulse / settings.pulses)
        rng = np.random.default_rng([settings.seed, atom, pulse])
        for raised in range(settings.most_raises + 1):
            temperature = settings.lowest_temperature * settings.factor**raised
            end = _after_pulse(glass, surface, start, np.flatnonzero(heated), temperature, settings, rng)
            if largest(end.positions - start.positions) > settings.changed:
                changes.append(end.energy - start.energy)
                temperatures.append(temperature)
                break
    return LocalSampling(atom, np.array(changes), np.array(temperatures), settings.pulses)


def _after_pulse(  # noqa: PLR0917
    glass: Glass,
    surface: EnergySurface,
    start: Point,
    heated: IntArray,
    temperature: float,
    settings: SamplingSettings,
    rng: np.random.Generator,
) -> Point:
    from ase.md.verlet import VelocityVerlet
    from ase.units import fs, kB

    atoms = as_ase(glass, surface)
    atoms.positions = start.positions
    momenta = np.zeros_like(atoms.positions)
    spread = np.sqrt(atoms.get_masses()[heated] * kB * temperature)
    momenta[heated] = spread[:, None] * rng.normal(size=(len(heated), 3))
    atoms.set_momenta(momenta)
    with VelocityVerlet(atoms, timestep=settings.time_step * fs) as dynamics:
        dynamics.run(settings.steps)
    return minimise(surface, at(surface, atoms.positions.copy()), tolerance=QUENCH_TOLERANCE)
