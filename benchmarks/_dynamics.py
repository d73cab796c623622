"""Molecular dynamics of a glass in LAMMPS, and the inherent structures of its frames; what was stopped continues."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from ase.data import atomic_masses

from symgnn_explain import Glass, InputError, write_glass
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.processes import running
from symgnn_explain.runs.records import claim, plain_manifest
from symgnn_explain.saddles import EamCalculator, find_potential
from symgnn_explain.saddles.eam_file import read_eam
from symgnn_explain.saddles.inherent import RelaxationSettings
from symgnn_explain.saddles.melt_quench import find_lammps
from symgnn_explain.saddles.potentials import potential_text
from symgnn_explain.saddles.relaxed_frames import ALL_FRAMES, relax_frames
from symgnn_explain.structure.glass import atomic_number
from symgnn_explain.structure.io import Trajectory

FRAMES_A_PIECE = 20
TOLERANCE = 2e-4
"""Largest force (eV/Å) in an inherent structure. At 1e-3 a shoulder of the surface can be taken for a minimum."""

POTENTIAL, START, PIECE, DUMP = "potential.eam", "start.data", "piece-{:04d}.restart", "piece-{:04d}.lammpstrj"


@dataclass(frozen=True)
class Protocol:
    """Heated at zero pressure, held at a temperature (K), then frames at equal times (ps); a step of LAMMPS is 4 fs."""

    temperature: float = 600.0
    equilibration: float = 20.0
    frames: int = 200
    between_frames: float = 0.5
    seed: int = 1

    time_step = 0.004

    @property
    def pieces(self) -> list[int]:
        """Frames of each run of LAMMPS."""
        return [min(FRAMES_A_PIECE, self.frames - first) for first in range(0, self.frames, FRAMES_A_PIECE)]

    def steps(self, time: float) -> int:
        """Return the steps of LAMMPS in a time, ps."""
        return round(time / self.time_step)


def simulate(glass: Glass, protocol: Protocol, potential: Path | None, work: Path) -> list[Path]:
    """Run the dynamics into a folder, and return the dumps in their order."""
    program, text = find_lammps(), potential_text(potential)
    stamp = sha256(text.encode("latin-1")).hexdigest()
    manifest = plain_manifest(glass=glass.content_hash, **asdict(protocol), potential_sha256=stamp)
    claim(work / "dynamics.json", manifest, "pieces of molecular dynamics")
    write_atomically(work / POTENTIAL, text.encode("latin-1"))
    if not (work / START).exists():
        write_glass(Glass(glass.positions, glass.numbers, glass.cell), work / START)
    style = read_eam(work / POTENTIAL).form.replace(".", "/")
    interactions = [
        *(f"mass {kind} {atomic_masses[atomic_number(one)]:.6f}" for kind, one in enumerate(glass.species, start=1)),
        f"pair_style {style}",
        f"pair_coeff * * {POTENTIAL} {' '.join(glass.species)}",
        "neighbor 1.5 bin",
        "neigh_modify delay 0 every 1 check yes",
        f"timestep {protocol.time_step}",
        "thermo 1000",
        "thermo_style custom step temp pe press density",
        f"fix ensemble all npt temp {protocol.temperature} {protocol.temperature} 0.1 iso 0 0 1.0",
    ]
    heated = [
        "units metal",
        "atom_style atomic",
        "boundary p p p",
        f"read_data {START}",
        f"velocity all create {2 * protocol.temperature} {protocol.seed} mom yes rot yes dist gaussian",
        *interactions,
        f"run {protocol.steps(protocol.equilibration)}",
        "reset_timestep 0",
        "write_restart next.restart",
    ]
    _run(program, heated, work, work / PIECE.format(0))
    every, done, dumps = protocol.steps(protocol.between_frames), 0, []
    for number, count in enumerate(protocol.pieces, start=1):
        steps = every * (count - (number == 1))  # the first piece has the frame that it starts from
        piece = [
            "units metal",
            f"read_restart {PIECE.format(number - 1)}",
            *interactions,
            f"dump frames all custom {every} next.dump id type element x y z",
            f"dump_modify frames sort id element {' '.join(glass.species)} format float %.10g",
            *([f"dump_modify frames delay {done + 1}"] if number > 1 else []),
            f"run {steps}",
            "write_restart next.restart",
        ]
        dumps.append(work / DUMP.format(number))
        _run(program, piece, work, work / PIECE.format(number), dumps[-1])
        done += steps
    return dumps


def _run(program: str, lines: Sequence[str], work: Path, restart: Path, dump: Path | None = None) -> None:
    """Run LAMMPS, and keep what it wrote; nothing is run where that is there."""
    if restart.exists():
        return
    write_atomically(work / "in.lammps", ("\n".join(lines) + "\n").encode())
    command = [program, "-in", "in.lammps", "-log", "log.lammps", "-screen", "none"]
    with running(command, cwd=work, env=os.environ | {"OMP_NUM_THREADS": "1"}) as lammps:
        while lammps.runs():
            pass
    if lammps.status:
        said = re.search(r"^ERROR.*", (work / "log.lammps").read_text(errors="replace"), re.MULTILINE)
        reason = said[0] if said else f"status {lammps.status}"
        raise InputError(f"LAMMPS ended in an error ({reason}): see {work / 'log.lammps'}; what was done is kept.")
    if dump is not None:
        (work / "next.dump").replace(dump)
    (work / "next.restart").replace(restart)
    print(f"{restart.name} done", flush=True)


def inherent_structures(glass: Glass, protocol: Protocol, potential: Path | None, work: Path) -> Trajectory:
    """Return the inherent structures of the frames, in the cell of ``glass``, which is one of zero pressure.

    Frames are made at zero pressure and a temperature: each is brought to that cell first, with the same fractional
    coordinates, as its atoms would be under tension once the heat is gone.
    """
    dumps = simulate(glass, protocol, potential, work)

    def frames() -> Iterator[tuple[int, Glass]]:
        every = (frame for dump in dumps for frame in Trajectory(dump))
        for number, frame in enumerate(every):
            positions = frame.fractional() @ glass.cell
            yield number, replace(frame, positions=positions, cell=glass.cell, arrays={}, provenance={})

    folder = work / "inherent"
    if not (folder / ALL_FRAMES).exists():
        relax_frames(
            frames(), EamCalculator(find_potential(potential)), folder, RelaxationSettings(tolerance=TOLERANCE)
        )
    return Trajectory(folder / ALL_FRAMES)
