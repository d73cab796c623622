"""One structure, spelled as LAMMPS, OVITO, VASP and people with text editors spell it."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from symgnn_explain.structure.glass import Glass

SPECIES = {1: "Cu", 2: "Zr"}
ZERO = np.zeros(3)
ORIGIN = np.array([-3.5, 7.25, 100.0])


@dataclass(frozen=True)
class Spelling:
    """How to write a structure into a file, and what reading it needs.

    ``general`` spellings can hold a cell in any orientation; the others need its first vector along x and its second in
    the plane of x and y.
    """

    file: str
    write: Callable[[Glass], str | bytes]
    species: Mapping[int, str] | None = None
    general: bool = False
    arrays: tuple[str, ...] = field(default=())


def types(glass: Glass) -> np.ndarray:
    return np.where(glass.numbers == 29, 1, 2)


def columns_of(glass: Glass, origin: np.ndarray = ZERO) -> dict[str, np.ndarray]:
    """Everything that a dump could have a column of, by LAMMPS' names."""
    scaled = np.linalg.solve(glass.cell.T, glass.positions.T).T
    images = np.stack([np.arange(len(glass)) % 3 - 1, np.zeros(len(glass), int), np.ones(len(glass), int)], axis=1)
    named = {
        "id": np.arange(1, len(glass) + 1),
        "type": types(glass),
        "element": np.array(glass.symbols),
        "typelabel": np.array(glass.symbols),
        "mass": np.where(glass.numbers == 29, 63.546, 91.224),
        "q": np.zeros(len(glass)),
        "mol": np.ones(len(glass), int),
        "c_pe[1]": np.linspace(-5, -3, len(glass)),
        "vx": np.linspace(0, 1, len(glass)),
    }
    for axis, name in enumerate("xyz"):
        named |= {
            name: (glass.positions + origin)[:, axis],
            f"{name}s": scaled[:, axis] % 1.0,
            f"{name}u": (glass.positions + origin + images @ glass.cell)[:, axis],
            f"{name}su": (scaled + images)[:, axis],
            f"i{name}": images[:, axis],
        }
    return named


def rows(glass: Glass, columns: str, *, origin: np.ndarray = ZERO, order: np.ndarray | None = None) -> str:
    named = columns_of(glass, origin)
    atoms = range(len(glass)) if order is None else order
    return "".join(" ".join(str(named[name][atom]) for name in columns.split()) + "\n" for atom in atoms)


def box_bounds(glass: Glass, origin: np.ndarray, boundaries: str) -> str:
    """The box of a dump: bounds that enclose the tilted cell."""
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = glass.cell.tolist()
    xlo, ylo, zlo = origin.tolist()
    if xy == xz == yz == 0:
        return f"ITEM: BOX BOUNDS {boundaries}\n{xlo} {xlo + lx}\n{ylo} {ylo + ly}\n{zlo} {zlo + lz}\n"
    low, high = min(0, xy, xz, xy + xz), max(0, xy, xz, xy + xz)
    return (
        f"ITEM: BOX BOUNDS xy xz yz {boundaries}\n{xlo + low} {xlo + lx + high} {xy}\n"
        f"{ylo + min(0, yz)} {ylo + ly + max(0, yz)} {xz}\n{zlo} {zlo + lz} {yz}\n"
    )


def abc_box(glass: Glass, origin: np.ndarray) -> str:
    """The box of a dump in general triclinic form."""
    lines = "".join(f"{a} {b} {c} {o}\n" for (a, b, c), o in zip(glass.cell.tolist(), origin.tolist(), strict=True))
    return f"ITEM: BOX BOUNDS abc origin pp pp pp\n{lines}"


def dump(
    glass: Glass,
    columns: str,
    *,
    origin: np.ndarray = ZERO,
    boundaries: str = "pp pp pp",
    order: np.ndarray | None = None,
    before: str = "",
    box: str | None = None,
    step: int = 0,
) -> str:
    """One frame of a text dump."""
    box = box_bounds(glass, origin, boundaries) if box is None else box
    body = rows(glass, columns, origin=origin, order=order)
    return f"{before}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(glass)}\n{box}ITEM: ATOMS {columns}\n{body}"


def data(glass: Glass, columns: str, *, atoms: str = "Atoms # atomic", before: str = "", after: str = "") -> str:
    """A data file in the manner of ``write_data``; rows are named by the columns of a dump."""
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = glass.cell.tolist()
    edges = "".join(
        f"{low} {low + edge} {a}lo {a}hi\n" for low, edge, a in zip(ORIGIN, (lx, ly, lz), "xyz", strict=True)
    )
    tilt = f"{xy} {xz} {yz} xy xz yz\n" if xy or xz or yz else ""
    head = f"LAMMPS data file via write_data, units = metal\n\n{len(glass)} atoms\n2 atom types\n\n{edges}{tilt}\n"
    return f"{head}{before}{atoms}\n\n{rows(glass, columns, origin=ORIGIN)}{after}"


def general_data(glass: Glass) -> str:
    vectors = "".join(f"{a} {b} {c} {n}vec\n" for n, (a, b, c) in zip("abc", glass.cell.tolist(), strict=True))
    origin = " ".join(map(str, ORIGIN.tolist()))
    head = f"general\n\n{len(glass)} atoms\n2 atom types\n\n{vectors}{origin} abc origin\n\n"
    return f"{head}Masses\n\n1 63.546\n2 91.224\n\nAtoms # atomic\n\n{rows(glass, 'id type x y z', origin=ORIGIN)}"


def xyz(glass: Glass, properties: str, columns: str, *, lattice: str = "Lattice", others: str = ' pbc="T T T"') -> str:
    """An extended XYZ file; ``properties`` may be empty."""
    cell = " ".join(map(str, glass.cell.ravel().tolist()))
    named = f" Properties={properties}" if properties else ""
    return f'{len(glass)}\n{lattice}="{cell}"{named}{others}\n{rows(glass, columns)}'


def poscar(glass: Glass, *, symbols: bool = True, title: str = "glass", cartesian: bool = False) -> str:
    """A POSCAR file; the atoms of the glass have to be grouped by species."""
    cell = "".join(" ".join(map(str, row)) + "\n" for row in glass.cell.tolist())
    counts = f"{(glass.numbers == 29).sum()} {(glass.numbers == 40).sum()}\n"
    body = rows(glass, "x y z" if cartesian else "xsu ysu zsu")
    symbol_line, kind = "Cu Zr\n" if symbols else "", "Cartesian" if cartesian else "Direct"
    return f"{title}\n1.0\n{cell}{symbol_line}{counts}{kind}\n{body}"


MASSES = "Masses\n\n1 63.546\n2 91.224\n\n"
COMMENTED = "Masses\n\n1 63.546  # Cu\n2 91.224  # Zr\n\n"
LABELS = "Atom Type Labels\n\n1 Cu\n2 Zr\n\n"
VELOCITIES = "\nVelocities\n\n"


def shuffled(glass: Glass) -> np.ndarray:
    return np.random.default_rng(1).permutation(len(glass))


def velocities(glass: Glass) -> str:
    return VELOCITIES + "".join(f"{atom + 1} 0.1 0.2 0.3\n" for atom in shuffled(glass))


SPELLINGS = {
    "types": Spelling("a.dump", lambda g: dump(g, "id type x y z"), SPECIES, arrays=("id", "type")),
    "elements": Spelling("a.dump", lambda g: dump(g, "id type element x y z"), arrays=("id", "type")),
    "type labels": Spelling("a.dump", lambda g: dump(g, "id typelabel x y z"), arrays=("id",)),
    "labels as types": Spelling("a.dump", lambda g: dump(g, "id typelabel x y z").replace("typelabel", "type")),
    "masses": Spelling("a.dump", lambda g: dump(g, "id type mass x y z"), arrays=("mass",)),
    "scaled": Spelling("a.dump", lambda g: dump(g, "id type xs ys zs", origin=ORIGIN), SPECIES),
    "unwrapped": Spelling("a.dump", lambda g: dump(g, "id element xu yu zu", origin=ORIGIN)),
    "scaled, unwrapped": Spelling("a.dump", lambda g: dump(g, "id element xsu ysu zsu", origin=ORIGIN)),
    "shuffled": Spelling("a.dump", lambda g: dump(g, "element id x y z", order=shuffled(g)), arrays=("id",)),
    "units and time": Spelling(
        "a.dump", lambda g: dump(g, "id element x y z", before="ITEM: UNITS\nmetal\nITEM: TIME\n0.5\n")
    ),
    "image flags": Spelling(
        "a.dump", lambda g: dump(g, "id element x y z ix iy iz vx c_pe[1]"), arrays=("ix", "vx", "c_pe[1]")
    ),
    "no ids": Spelling("a.dump", lambda g: dump(g, "element x y z")),
    "carriage returns": Spelling("a.dump", lambda g: dump(g, "id element x y z").replace("\n", "\r\n")),
    "tabs and blanks": Spelling(
        "a.dump", lambda g: dump(g, "id element x y z").replace(" ", " \t").replace("\n", " \n")
    ),
    "no boundaries": Spelling("a.dump", lambda g: dump(g, "id element x y z", boundaries="")),
    "no last line break": Spelling("a.dump", lambda g: dump(g, "id element x y z").removesuffix("\n")),
    "two boundaries": Spelling("a.dump", lambda g: dump(g, "id element x y z", boundaries="pp pp")),
    "gzip": Spelling("a.dump.gz", lambda g: gzip.compress(dump(g, "id element x y z").encode())),
    "bzip2": Spelling("a.lammpstrj.bz2", lambda g: bz2.compress(dump(g, "id element x y z").encode())),
    "xz without a suffix": Spelling("a", lambda g: lzma.compress(dump(g, "id element x y z").encode())),
    "two frames": Spelling(
        "run.lammpstrj", lambda g: dump(g, "id type x y z", order=shuffled(g)) + dump(g, "id element x y z", step=100)
    ),
    "general triclinic": Spelling(
        "a.dump", lambda g: dump(g, "id element x y z", origin=ORIGIN, box=abc_box(g, ORIGIN)), general=True
    ),
    "general triclinic, scaled": Spelling(
        "dump.0", lambda g: dump(g, "id type xs ys zs", box=abc_box(g, ORIGIN)), SPECIES, general=True
    ),
    "data": Spelling("a.data", lambda g: data(g, "id type x y z"), SPECIES, arrays=("id", "type")),
    "data with masses": Spelling("a.data", lambda g: data(g, "id type x y z", before=MASSES), arrays=("mass",)),
    "data with comments": Spelling("a.lmp", lambda g: data(g, "id type x y z", before=COMMENTED)),
    "data with images": Spelling("a.data", lambda g: data(g, "id type x y z ix iy iz", before=MASSES)),
    "data with labels": Spelling("a.data", lambda g: data(g, "id typelabel x y z", before=LABELS + MASSES)),
    "data, masses by label": Spelling(
        "a.data", lambda g: data(g, "id typelabel x y z", before=LABELS + "Masses\n\nCu 63.546\nZr 91.224\n\n")
    ),
    "data with charges": Spelling(
        "a.data", lambda g: data(g, "id type q x y z", atoms="Atoms # charge", before=MASSES)
    ),
    "data, full": Spelling(
        "data.glass", lambda g: data(g, "id mol type q x y z", atoms="Atoms  # full", before=MASSES)
    ),
    "data without a style": Spelling("a.data", lambda g: data(g, "id type x y z", atoms="Atoms", before=MASSES)),
    "data with velocities": Spelling(
        "a.data", lambda g: data(g, "id type x y z", before=MASSES, after=velocities(g)), arrays=("vx", "vy", "vz")
    ),
    "data, general triclinic": Spelling("a.data", general_data, general=True),
    "plain XYZ with a cell": Spelling("a.xyz", lambda g: xyz(g, "", "element x y z"), general=True),
    "plain XYZ with types": Spelling("a.xyz", lambda g: xyz(g, "", "type x y z"), SPECIES, general=True),
    "XYZ": Spelling(
        "a.extxyz",
        lambda g: xyz(g, "id:I:1:species:S:1:pos:R:3:Potential_Energy:R:1", "id element x y z c_pe[1]"),
        general=True,
        arrays=("id", "Potential_Energy"),
    ),
    "XYZ with types": Spelling("a.xyz", lambda g: xyz(g, "type:I:1:pos:R:3", "type x y z"), SPECIES, general=True),
    "XYZ with types and masses": Spelling(
        "a.xyz", lambda g: xyz(g, "type:I:1:mass:R:1:pos:R:3", "type mass x y z"), general=True, arrays=("mass",)
    ),
    "XYZ in small letters": Spelling(
        "a.xyz",
        lambda g: xyz(g, "species:S:1:pos:R:3", "element x y z", lattice="lattice").replace("Prop", "prop"),
        general=True,
    ),
    "XYZ in capitals": Spelling(
        "a.xyz",
        lambda g: xyz(g, "SPECIES:S:1:POS:R:3", "element x y z", lattice="LATTICE").replace("pbc", "PBC"),
        general=True,
    ),
    "XYZ with single quotes": Spelling(
        "a.xyz", lambda g: xyz(g, "species:S:1:pos:R:3", "element x y z").replace('"', "'"), general=True
    ),
    "XYZ with Fortran's exponents": Spelling(
        "a.xyz",
        lambda g: xyz(g, "species:S:1:pos:R:3", "element x y z").replace("\n", "d0\n").replace("d0\n", "\n", 2),
        general=True,
    ),
    "XYZ, unquoted brackets": Spelling(
        "a.xyz",
        lambda g: xyz(g, "species:S:1:pos:R:3:c_pe[1]:R:1", "element x y z c_pe[1]"),
        general=True,
        arrays=("c_pe[1]",),
    ),
    "POSCAR": Spelling("POSCAR", poscar, general=True),
    "POSCAR, Cartesian": Spelling("CONTCAR", lambda g: poscar(g, cartesian=True), general=True),
    "POSCAR of VASP 4 with a map": Spelling("a.vasp", lambda g: poscar(g, symbols=False), SPECIES, general=True),
    "POSCAR of VASP 4 with a title": Spelling(
        "POSCAR", lambda g: poscar(g, symbols=False, title="Cu Zr"), general=True
    ),
}
