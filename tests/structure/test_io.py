"""Reading: every supported format gives back the structure that was written, as LAMMPS, VASP and others write it."""

from __future__ import annotations

import gzip
import lzma
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges
from symgnn_explain.structure.io import read_glass, write_glass
from symgnn_explain.structure.plain_pickle import load_plain_pickle

SPECIES = {1: "Cu", 2: "Zr"}
SHEARS = (0.0, 0.3)


def lammps_types(glass: Glass) -> np.ndarray:
    return np.where(glass.numbers == 29, 1, 2)


def box_bounds(glass: Glass) -> str:
    """The box section of a LAMMPS dump: bounds enclose the tilted cell, as LAMMPS' documentation of such boxes says."""
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = glass.cell
    if xy == xz == yz == 0:
        return f"ITEM: BOX BOUNDS pp pp pp\n0 {lx}\n0 {ly}\n0 {lz}\n"
    bounds = (
        (min(0, xy, xz, xy + xz), lx + max(0, xy, xz, xy + xz), xy),
        (min(0, yz), ly + max(0, yz), xz),
        (0, lz, yz),
    )
    rows = "\n".join(" ".join(f"{value:.15g}" for value in row) for row in bounds)
    return f"ITEM: BOX BOUNDS xy xz yz pp pp pp\n{rows}\n"


def lammps_dump(glass: Glass, columns: str = "id type x y z", seed: int = 0) -> str:
    """One frame as LAMMPS writes it: atoms in any order."""
    scaled = glass.positions @ np.linalg.inv(glass.cell)
    named: dict[str, np.ndarray] = {
        "id": np.arange(1, len(glass) + 1),
        "type": lammps_types(glass),
        "element": np.array(glass.symbols),
        "mass": np.where(glass.numbers == 29, 63.546, 91.224),
    }
    for axis, name in enumerate("xyz"):
        named |= {name: glass.positions[:, axis], f"{name}u": glass.positions[:, axis]}
        named |= {f"{name}s": scaled[:, axis], f"{name}su": scaled[:, axis]}
    header = f"ITEM: TIMESTEP\n7\nITEM: NUMBER OF ATOMS\n{len(glass)}\n{box_bounds(glass)}ITEM: ATOMS {columns}\n"
    order = np.random.default_rng(seed).permutation(len(glass))
    rows = (" ".join(str(named[column][atom]) for column in columns.split()) for atom in order)
    return header + "".join(f"{row}\n" for row in rows)


def assert_same_structure(read: Glass, written: Glass, tolerance: float) -> None:
    """Same atoms in the same order, in the same place up to lattice vectors."""
    np.testing.assert_array_equal(read.numbers, written.numbers)
    np.testing.assert_allclose(read.cell, written.cell, atol=tolerance)
    fractional = (read.positions - written.positions) @ np.linalg.inv(written.cell)
    fractional -= fractional[0]  # LAMMPS boxes may have their origin anywhere
    np.testing.assert_allclose(fractional - np.round(fractional), 0, atol=tolerance)
    assert read.pbc.all()


@pytest.mark.parametrize("shear", SHEARS)
@pytest.mark.parametrize(
    ("name", "ase_format", "tolerance"),
    [
        ("a.extxyz", "extxyz", 1e-7),
        ("a.xyz", "extxyz", 1e-7),
        ("POSCAR", "vasp", 1e-9),
        ("a.vasp", "vasp", 1e-9),
        ("a.cif", "cif", 1e-6),
        ("a.traj", "traj", 1e-12),
        ("a.data", "lammps-data", 1e-9),
    ],
)
def test_formats_round_trip(
    random_glass: Callable[..., Glass], tmp_path: Path, name: str, ase_format: str, tolerance: float, shear: float
) -> None:
    glass = random_glass(3, shear=shear)
    write(tmp_path / name, glass.to_ase(), format=ase_format)
    read = read_glass(tmp_path / name, species=SPECIES if name == "a.data" else None)
    if ase_format == "cif":  # cell lengths and angles: the cell comes back rotated, so distances are compared
        distances = [np.sort(np.linalg.norm(neighbour_edges(each, 5.0)[2], axis=1)) for each in (read, glass)]
        np.testing.assert_allclose(*distances, atol=1e-4)
    else:
        assert_same_structure(read, glass, tolerance)
    np.testing.assert_array_equal(read.numbers, glass.numbers)


@pytest.mark.parametrize("shear", SHEARS)
@pytest.mark.parametrize(
    "columns",
    [
        "id type x y z",
        "id type xu yu zu",
        "id type xs ys zs",
        "id type xsu ysu zsu",
        "id element x y z",
        "id mass type x y z",
    ],
)
def test_lammps_dumps(random_glass: Callable[..., Glass], tmp_path: Path, columns: str, shear: float) -> None:
    glass = random_glass(3, shear=shear)
    path = tmp_path / "glass.dump"
    path.write_text(lammps_dump(glass, columns))
    species = None if "element" in columns else SPECIES
    assert_same_structure(read_glass(path, species=species), glass, 1e-8)


def test_species_of_a_dump_follow_the_map_not_the_masses(random_glass: Callable[..., Glass], tmp_path: Path) -> None:
    glass = random_glass(3)
    path = tmp_path / "glass.dump"
    path.write_text(lammps_dump(glass, "id mass type x y z"))
    swapped = read_glass(path, species={1: "Zr", 2: "Cu"})
    np.testing.assert_array_equal(swapped.numbers == 29, glass.numbers == 40)


def test_frames_of_a_dump(random_glass: Callable[..., Glass], tmp_path: Path) -> None:
    first, last = random_glass(3, seed=1), random_glass(3, seed=2)
    path = tmp_path / "run.lammpstrj"
    path.write_text(lammps_dump(first) + lammps_dump(last))
    assert_same_structure(read_glass(path, species=SPECIES), last, 1e-8)
    assert_same_structure(read_glass(path, species=SPECIES, frame=0), first, 1e-8)
    with pytest.raises(InputError, match="frame 2 does not exist"):
        read_glass(path, species=SPECIES, frame=2)


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files(
    random_glass: Callable[..., Glass], tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    glass = random_glass(3)
    write_glass(glass, tmp_path / "a.extxyz")
    (tmp_path / "a.dump").write_text(lammps_dump(glass))
    for name, species in (("a.extxyz", None), ("a.dump", SPECIES)):
        packed = tmp_path / (name + suffix)
        packed.write_bytes(compress((tmp_path / name).read_bytes()))
        assert_same_structure(read_glass(packed, species=species), glass, 1e-7)
        packed.write_bytes(packed.read_bytes()[:200])
        with pytest.raises(InputError):
            read_glass(packed, species=species)


def test_extended_xyz_keeps_everything(glass: Glass, tmp_path: Path) -> None:
    marked = glass.with_arrays(pressure=np.linspace(-1, 1, len(glass)))
    read = read_glass(write_glass(marked, tmp_path / "a.extxyz"))
    assert read.barriers is not None
    assert glass.barriers is not None
    np.testing.assert_allclose(read.barriers, glass.barriers, atol=1e-7)
    np.testing.assert_allclose(read.arrays["pressure"], marked.arrays["pressure"], atol=1e-7)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_of_every_protocol(protocol: int) -> None:
    content = {
        "matrix": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "text": np.array(["ab", "é"]),
        "bytes": np.array([b"x", b"yz"]),
        "flags": np.array([True, False]),
        "zero-dimensional": np.array(3, dtype=np.uint16),
        "scalar": np.float32(3.5),
    }
    read = load_plain_pickle(pickle.dumps({**content, "list": [1, (2, "x"), None]}, protocol=protocol))
    assert read.pop("list") == [1, (2, "x"), None]
    for key, value in content.items():
        np.testing.assert_array_equal(np.asarray(read[key]), value)
        assert np.asarray(read[key]).dtype.newbyteorder("=") == value.dtype.newbyteorder("=")


def test_published_pickles(published: Callable[[str], Glass]) -> None:
    glass = published("train2")
    assert len(glass) == 8000
    assert glass.species == ("Cu", "Zr")
    assert glass.formula == "Cu5120Zr2880"
    assert glass.barriers is not None
    assert glass.barriers.mean() == pytest.approx(1.723, abs=5e-4)  # as measured by whoever described the data


@pytest.mark.parametrize("rows", [[0, 1, 2], [1, 0, 2]])  # the second cell is left-handed
def test_a_poscar_with_its_volume_as_scale_is_not_mirrored(tmp_path, rows) -> None:
    cell = np.array([[6.0, 0, 0], [1, 5, 0], [0, 2, 4]])[rows]
    lines = ["x", "-960.0", *(" ".join(map(str, vector)) for vector in cell), "Cu", "1", "Direct", "0.1 0.2 0.3"]
    (tmp_path / "POSCAR").write_text("\n".join([*lines, ""]))
    glass = read_glass(tmp_path / "POSCAR")
    np.testing.assert_allclose(glass.cell, 2 * cell, atol=1e-12)
    np.testing.assert_allclose(glass.positions, [[0.1, 0.2, 0.3]] @ glass.cell, atol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", ["1", "-125", "-1e400", "1e-320"])
@pytest.mark.parametrize("row", ["0 nan 0", "0 1e400 0", "0 1e200 1e200", "1e-200 0 0", "1 0 0"])
def test_a_poscar_with_a_cell_beyond_all_bounds_is_refused_in_a_sentence(tmp_path, scale, row) -> None:
    lines = ["x", scale, "5 0 0", row, "0 0 1e200" if "e200" in row else "0 0 5", "Cu", "1", "Direct", "0 0 0", ""]
    (tmp_path / "POSCAR").write_text("\n".join(lines))
    with pytest.raises(InputError):
        read_glass(tmp_path / "POSCAR")
