"""Make the embedded Cu64Zr36 sample glass: LAMMPS melt-quench, quality report, compressed file.

Run (about 40 minutes on one core)::

    pip install -e .[simulate]
    python scripts/make_sample_glass.py --potential CuZr_MendelevKramerOtt_2009.eam.fs --work out/sample

The potential is that of Mendelev, Kramer, Ott, Sordelet, Yagodin and Popel, Phil. Mag. 89, 967 (2009),
doi 10.1080/14786430902832773 (OpenKIM model MO_600021860456); it is not part of this project. A finished
run in the work folder is kept, so that the report and the file can be written again without new dynamics. The report
compares with the published glasses (downloaded, or found in the folder named in SYMGNN_EXPLAIN_DATA).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from _packing import DATA, POTENTIAL, lammps_version, pack
from ase.io import read

from symgnn_explain import datasets
from symgnn_explain.saddles.melt_quench import quality
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass

N_ATOMS = 3000
ZR_FRACTION = 0.36
SEED = 20240721

LAMMPS_INPUT = """\
units metal
atom_style atomic
boundary p p p
region box block 0 {edge} 0 {edge} 0 {edge}
create_box 2 box
create_atoms 1 random {n_cu} {seed} box overlap 1.9 maxtry 1000
create_atoms 2 random {n_zr} {seed2} box overlap 1.9 maxtry 1000
mass 1 63.546
mass 2 91.224
pair_style eam/fs
pair_coeff * * {potential} Cu Zr
neighbor 1.5 bin
neigh_modify delay 0 every 1 check yes
thermo 5000
thermo_style custom step temp pe press density lx
minimize 1e-6 1e-6 500 2000
timestep 0.002
velocity all create 2000 {seed} mom yes rot yes dist gaussian
# Equilibrate the melt, cool it fast while it is still an equilibrium liquid, and slowly through the glass transition.
fix ensemble all npt temp 2000 2000 0.1 iso 0 0 1.0
run 10000
unfix ensemble
fix ensemble all npt temp 2000 1200 0.1 iso 0 0 1.0
run 10000
unfix ensemble
fix ensemble all npt temp 1200 500 0.1 iso 0 0 1.0
run 140000
unfix ensemble
fix ensemble all npt temp 500 1 0.1 iso 0 0 1.0
run 10000
unfix ensemble
# The inherent structure at zero pressure.
fix relax all box/relax iso 0.0 vmax 0.001
minimize 1e-12 1e-6 5000 50000
unfix relax
minimize 0 1e-6 5000 50000
compute energy all pe/atom
dump final all custom 1 glass.dump id type x y z c_energy fx fy fz
dump_modify final sort id format float %.10g
run 0
"""


def quench(potential: Path, work: Path, lmp: str) -> Path:
    """Run the melt-quench in ``work`` unless its result is already there; return the dump."""
    dump = work / "glass.dump"
    if dump.is_file():
        return dump
    work.mkdir(parents=True, exist_ok=True)
    n_zr = round(ZR_FRACTION * N_ATOMS)
    text = LAMMPS_INPUT.format(
        edge=37.5, n_cu=N_ATOMS - n_zr, n_zr=n_zr, seed=SEED, seed2=SEED + 1, potential=potential.resolve()
    )
    (work / "in.quench").write_text(text)
    subprocess.run([lmp, "-in", "in.quench", "-log", "log.lammps"], cwd=work, check=True, stdout=subprocess.DEVNULL)
    return dump


def read_result(dump: Path) -> Glass:
    """Read the relaxed glass, wrapped into its cell, with the potential energy (eV) of each atom."""
    glass = read_glass(dump, species={1: "Cu", 2: "Zr"})
    lengths = np.diag(glass.cell)
    return Glass(
        positions=np.mod(glass.positions, lengths),
        numbers=glass.numbers,
        cell=np.diag(lengths),
        name="Cu64Zr36 sample",
        arrays={"potential_energy": glass.arrays["c_energy"].ravel()},
    )


def compare(report: dict[str, Any]) -> dict[str, Any]:
    """Put the published training glasses beside the sample, and print both."""
    rows = {"this glass": report}
    for glass in datasets.cu64zr36("train"):
        rows[glass.name] = quality(glass)
    for name, row in rows.items():
        print(f"{name:12s}", *(f"{key}={value}" for key, value in row.items()))
    rows.pop("this glass")
    return rows


def main() -> None:
    """Quench, check, pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--potential", type=Path, required=True, help="CuZr_MendelevKramerOtt_2009.eam.fs")
    parser.add_argument("--work", type=Path, default=Path("out/sample"))
    parser.add_argument("--lmp", default=shutil.which("lmp") or "lmp", help="the LAMMPS executable")
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    dump = quench(arguments.potential, arguments.work, arguments.lmp)
    glass = read_result(dump)
    report = quality(glass)
    published = compare(report)

    forces = read(dump, format="lammps-dump-text").get_forces()
    card = {
        "made_by": "scripts/make_sample_glass.py",
        "protocol": "LAMMPS, NPT at zero pressure, 2 fs: 2000 K for 20 ps, 2000 to 1200 K in 20 ps, 1200 to 500 K "
        "in 280 ps (2.5e12 K/s), 500 to 1 K in 20 ps, then the inherent structure at zero pressure",
        "lammps": lammps_version(arguments.work / "log.lammps"),
        "seed": SEED,
        "potential": POTENTIAL,
        "potential_sha256": hashlib.sha256(arguments.potential.read_bytes()).hexdigest(),
        "largest_force_eV_per_A": float(f"{np.linalg.norm(forces, axis=1).max():.2g}"),
        "quality": report,
        "published_glasses": published,
    }
    pack(glass, arguments.out / datasets.sample_file("cu64zr36"), card)


if __name__ == "__main__":
    main()
