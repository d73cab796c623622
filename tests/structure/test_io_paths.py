"""A path is a path, whatever its letters mean to a library; CIF and others do not resolve disorder in silence."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import read_glass, write_glass

from .spellings import SPECIES, SPELLINGS, poscar

STEMS = (
    "quench@300K",
    "a@0",
    "-",
    "postgres-run",
    "mysql",
    "a*",
    "a[1]",
    "run?",
    "http:--x",
    "POSCAR_relaxed",
    "a b",
    "ä",
    "x.y",
)
FORMATS = {".extxyz": "extxyz", ".cif": "cif", ".vasp": "vasp", ".traj": "traj", ".json": "json", ".xsf": "xsf"}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("stem", STEMS)
def test_a_path_is_a_path(
    random_glass: Callable[..., Glass], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stem: str, suffix: str
) -> None:
    glass = random_glass(3)
    write(tmp_path / f"plain{suffix}", glass.to_ase(), format=FORMATS[suffix])
    write(tmp_path / f"a{suffix}", Atoms("Al", cell=[9, 9, 9], pbc=True), format=FORMATS[suffix])  # a neighbour
    monkeypatch.chdir(tmp_path)
    Path(f"plain{suffix}").rename(stem + suffix)
    for path in (stem + suffix, tmp_path / (stem + suffix)):
        read = read_glass(path)
        assert read.formula == glass.formula
        assert read.provenance["file"] == stem + suffix


@pytest.mark.parametrize("packed", [False, True])
def test_a_poscar_with_an_at_sign_is_not_its_neighbour(
    random_glass: Callable[..., Glass], tmp_path: Path, packed: bool
) -> None:
    glass = random_glass(3)
    write(tmp_path / "POSCAR", Atoms("Al", cell=[9, 9, 9], pbc=True), format="vasp")
    write(tmp_path / "POSCAR@0", glass.to_ase(), format="vasp", sort=True)
    path = tmp_path / "POSCAR@0"
    if packed:
        path = tmp_path / "POSCAR@0.gz"
        path.write_bytes(gzip.compress((tmp_path / "POSCAR@0").read_bytes()))
    assert read_glass(path).formula == glass.formula


@pytest.mark.parametrize("name", [b"gl\xe4s.extxyz", b"gl\xe4s.dump", b"gl\xe4s.data", b"gl\xe4s.cif", b"POSCAR\xe4"])
def test_names_that_are_not_utf_8(random_glass: Callable[..., Glass], tmp_path: Path, name: bytes) -> None:
    spelling = {"extxyz": "XYZ", "dump": "elements", "data": "data with masses"}.get(
        os.fsdecode(name).split(".")[-1], "POSCAR"
    )
    glass = grouped(random_glass(3))
    path = tmp_path / os.fsdecode(name)
    if name.endswith(b"cif"):
        write(tmp_path / "plain.cif", glass.to_ase())
        (tmp_path / "plain.cif").rename(path)
    else:
        path.write_text(str(SPELLINGS[spelling].write(glass)))
    read = read_glass(path)
    assert read.formula == glass.formula
    for text in (read.name, *read.provenance.values(), repr(read)):
        text.encode()
    assert r"\xe4" in read.provenance["file"]
    path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read_glass(path)
    str(caught.value).encode()


def grouped(glass: Glass) -> Glass:
    order = np.argsort(glass.numbers, kind="stable")
    return Glass(glass.positions[order], glass.numbers[order], glass.cell)


def test_the_explicit_format_comes_before_the_name(random_glass: Callable[..., Glass], tmp_path: Path) -> None:
    glass = random_glass(3)
    write_glass(glass, tmp_path / "a.extxyz")
    for name in ("a.pickle", "a.dump", "a.data", "POSCAR", "a.cif", "a"):
        shutil.copy(tmp_path / "a.extxyz", tmp_path / name)
        assert read_glass(tmp_path / name, format="extxyz").formula == glass.formula
    with pytest.raises(InputError, match="there is no format 'no-such-format'"):
        read_glass(tmp_path / "a.extxyz", format="no-such-format")


def test_poscars_do_not_take_species_from_their_neighbours(random_glass: Callable[..., Glass], tmp_path: Path) -> None:
    (tmp_path / "POTCAR").write_text("TITEL = PAW_PBE Al 04Jan2001\nTITEL = PAW_PBE Ag 04Jan2001\n" * 2)
    (tmp_path / "POSCAR").write_text(poscar(grouped(random_glass(3)), symbols=False))
    with pytest.raises(InputError, match=r"does not say which species its types \[1, 2\] are"):
        read_glass(tmp_path / "POSCAR")
    assert read_glass(tmp_path / "POSCAR", species=SPECIES).species == ("Cu", "Zr")


CIF = """data_a
_cell_length_a 8
_cell_length_b 8
_cell_length_c 8
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt "{group}"
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{more}
{sites}
"""


@pytest.mark.parametrize(
    ("more", "sites", "named"),
    [
        ("_atom_site_occupancy", "M1 Cu 0 0 0 0.64\nM2 Zr 0 0 0 0.36\nA Cu .5 .5 .5 1", ["M1 (0.64)", "M2 (0.36)"]),
        ("_atom_site_occupancy", "M1 Cu 0 0 0 0.5(2)\nA Cu .5 .5 .5 1", ["M1 (0.5)"]),
        ("_atom_site_occupancy", "A Cu .5 .5 .5 1.0\nV Zr 0 0 0 .9", ["V (0.9)"]),
        ("_atom_site_disorder_group", "A Cu .5 .5 .5 .\nB Zr 0 0 0 2", ["B (disorder group 2)"]),
        ("", "A Cu 0 0 0\nB Zr 0 0 0", ["A and B (in one place)"]),
        ("", "A Cu 0 0 0\nB Zr 1 1 1", ["A and B (in one place)"]),
        ("_atom_site_occupancy", "A Cu 0 0 0 1\nB Zr 0 0 0 1", ["A and B (in one place)"]),
        ("_atom_site_occupancy", "A Cu .5 .5 .5 .\nB Zr 0 0 0 half", ["B (half)"]),
        ("", "M1 Cu0.64Zr0.36 0 0 0\nB Zr .5 .5 .5", ["M1 (Cu0.64Zr0.36)"]),
        ("", "M1 Cu/Zr 0 0 0\nB Zr .5 .5 .5", ["M1 (Cu/Zr)"]),
        ("", "M1 CuZr 0 0 0\nB Zr .5 .5 .5", ["M1 (CuZr)"]),
    ],
)
def test_disorder_in_cif_is_refused_with_its_sites(tmp_path: Path, more: str, sites: str, named: list[str]) -> None:
    path = tmp_path / "a.cif"
    path.write_text(CIF.format(group="P 1", more=more, sites=sites))
    with pytest.raises(InputError, match="occupied in part or by several species") as caught:
        read_glass(path)
    for site in named:
        assert site in str(caught.value)


def test_sites_that_symmetry_puts_into_one_place_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cif"
    path.write_text(CIF.format(group="F m -3 m", more="", sites="A Cu 0 0 0\nB Zr 0.5 0.5 0"))
    with pytest.raises(InputError, match="A and B"):
        read_glass(path)
    path.write_text(CIF.format(group="F m -3 m", more="", sites="A Cu 0 0 0\nB Zr 0.5 0.5 0.5"))
    assert read_glass(path).formula == "Cu4Zr4"


@pytest.mark.parametrize("words", [("Cu", "Zr"), ("CU", "zr"), ("Cu2+", "Zr+4"), ("CU1", "Zr0+")])
def test_species_of_a_cif_in_other_spellings(tmp_path: Path, words: tuple[str, str]) -> None:
    path = tmp_path / "a.cif"
    path.write_text(CIF.format(group="P 1", more="", sites=f"A1B {words[0]} 0 0 0\nZr2C {words[1]} .5 .5 .5"))
    assert read_glass(path).symbols == ["Cu", "Zr"]


def test_labels_of_a_cif_that_stand_alone(tmp_path: Path) -> None:
    path, alone = tmp_path / "a.cif", CIF.replace("_atom_site_type_symbol\n", "")
    path.write_text(alone.format(group="P 1", more="", sites="Cu1B 0 0 0\nZr2 .5 .5 .5"))
    assert read_glass(path).symbols == ["Cu", "Zr"]
    path.write_text(alone.format(group="P 1", more="", sites="Cu/Zr1 0 0 0\nZr2 .5 .5 .5"))
    with pytest.raises(InputError, match="several species: Cu/Zr1"):
        read_glass(path)
    path.write_text(alone.format(group="P 1", more="", sites="CU1 0 0 0\nZr2 .5 .5 .5"))
    with pytest.raises(InputError, match="'CU1' of the CIF file may mean Cu or C"):
        read_glass(path)


VASP = "title\n1.0\n9 0 0\n0 9 0\n0 0 9\n{symbols}Direct\n0 0 0\n.5 .5 .5\n{more}"


@pytest.mark.parametrize("line", ["Cu Zr", "cu ZR", "Cu_pv Zr_sv/7f3a", "Cu Zr ! species"])
def test_symbols_of_a_poscar_in_other_spellings(tmp_path: Path, line: str) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(VASP.format(symbols=f"{line}\n1 1\n", more=""))
    assert read_glass(path).symbols == ["Cu", "Zr"]


def test_the_map_counts_the_groups_of_a_poscar_that_names_them_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(VASP.format(symbols="Cu Zr\n1 1\n", more=""))
    glass = read_glass(path, species={1: "Zr", 2: "Cu"})
    assert glass.symbols == ["Zr", "Cu"]
    assert "its line of symbols says 1=Cu, 2=Zr" in glass.provenance["species"]
    assert "species" not in read_glass(path, species=SPECIES).provenance


@pytest.mark.parametrize("symbols", ["Cu Zr\n1\n", "Cu Zr\n1 1 1\n", "Cu\n1 1\n"])
def test_a_poscar_with_other_numbers_than_species_loses_no_atoms(tmp_path: Path, symbols: str) -> None:
    path = tmp_path / "POSCAR"
    path.write_text(VASP.format(symbols=symbols, more=""))
    with pytest.raises(InputError, match="numbers of atoms"):
        read_glass(path)


def test_momenta_of_a_poscar_are_those_of_its_species(tmp_path: Path) -> None:
    path, velocities = tmp_path / "POSCAR", "\n0 0 1\n0 1 0\n"
    path.write_text(VASP.format(symbols="Cu Zr\n1 1\n", more=velocities))
    named = read_glass(path).arrays["momenta"]
    assert named[0, 2] / named[1, 1] == pytest.approx(63.546 / 91.224)
    path.write_text(VASP.format(symbols="1 1\n", more=velocities))
    np.testing.assert_allclose(read_glass(path, species=SPECIES).arrays["momenta"], named)


@pytest.mark.parametrize("species", [["Cu", "Zr"], "Cu", {"one": "Cu"}, {1.5: "Cu"}])
def test_what_is_no_map_is_named(random_glass: Callable[..., Glass], tmp_path: Path, species: object) -> None:
    path = write_glass(random_glass(2), tmp_path / "a.extxyz")
    with pytest.raises(InputError, match="no map from types to symbols"):
        read_glass(path, species=species)  # type: ignore[arg-type]


@pytest.mark.parametrize("frame", ["0", ":", 1.0, None])
def test_what_is_no_frame_is_named(random_glass: Callable[..., Glass], tmp_path: Path, frame: object) -> None:
    path = write_glass(random_glass(2), tmp_path / "a.extxyz")
    with pytest.raises(InputError, match="is no whole number"):
        read_glass(path, frame=frame)  # type: ignore[arg-type]


def test_disorder_of_ase_objects_is_refused() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.info["occupancy"] = {"0": {"Cu": 0.64, "Zr": 0.36}}
    with pytest.raises(InputError, match=r"site 0 \(Cu 0.64, Zr 0.36\)"):
        Glass.from_ase(atoms)
    del atoms.info["occupancy"]
    atoms.set_array("occupancy", np.array([1, 0.5, 1, 1]))
    with pytest.raises(InputError, match=r"atom 1 \(0.5\)"):
        Glass.from_ase(atoms)


@pytest.mark.parametrize("name", ["elements", "data with comments", "data with labels", "XYZ", "POSCAR", "two frames"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.data())
def test_any_bytes_give_a_glass_or_a_sentence(
    random_glass: Callable[..., Glass], tmp_path: Path, name: str, changes: st.DataObject
) -> None:
    words = str(SPELLINGS[name].write(grouped(random_glass(2)))).split(" ")
    strange = st.one_of(
        st.sampled_from(["", "nan", "-1", "1e400", "\n", "9" * 25, "9" * 5000, "Cu", "=", '"', "_JSON {", "\0"]),
        st.text(max_size=5),
    )
    for _ in range(changes.draw(st.integers(1, 3))):
        words[changes.draw(st.integers(0, len(words) - 1))] = changes.draw(strange)
    path = tmp_path / SPELLINGS[name].file
    path.write_text(" ".join(words), encoding="utf-8", errors="surrogatepass")
    with suppress(InputError):
        assert len(read_glass(path, species=changes.draw(st.sampled_from([None, SPECIES])))) > 0
