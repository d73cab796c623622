"""However a structure is spelled, its predictions are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from symgnn_explain.models.predictor import Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io import notes, read_glass

from .spellings import SPECIES, SPELLINGS, Spelling, dump

CELLS = ("cube", "tilted", "rotated")


@pytest.fixture(scope="module")
def structures(random_glass: Callable[..., Glass], tiny_predictor: Predictor) -> dict[str, tuple[Glass, np.ndarray]]:
    """Glasses grouped by species, so that a POSCAR can hold them, with their predictions; the rotated one is tilted."""
    rotation = Rotation.from_euler("xyz", [0.3, -0.8, 1.1]).as_matrix()
    made = {}
    for kind in CELLS:
        glass = random_glass(4, seed=3, shear=0.0 if kind == "cube" else 0.3)
        turn = rotation if kind == "rotated" else np.eye(3)
        grouped = np.argsort(glass.numbers, kind="stable")
        glass = Glass(glass.positions[grouped] @ turn, glass.numbers[grouped], glass.cell @ turn)
        made[kind] = glass, tiny_predictor.predict(glass)
    return made


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_spelling_predicts_the_same(
    name: str, cell: str, structures: dict[str, tuple[Glass, np.ndarray]], tiny_predictor: Predictor, tmp_path: Path
) -> None:
    spelling, (glass, expected) = SPELLINGS[name], structures[cell]
    if cell == "rotated" and not spelling.general:
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(np.triu(glass.cell, 1), 0)  # the format cannot hold this cell
        return
    read = written(spelling, glass, tmp_path)
    np.testing.assert_array_equal(read.numbers, glass.numbers)
    np.testing.assert_allclose(read.cell, glass.cell, atol=1e-9)
    shifts = np.linalg.solve(glass.cell.T, (read.positions - glass.positions).T).T
    shifts -= shifts[0]  # the origin of a box may be anywhere
    np.testing.assert_allclose(shifts, np.round(shifts), atol=1e-9)
    assert read.pbc.all()
    assert set(spelling.arrays) <= set(read.arrays)
    np.testing.assert_allclose(tiny_predictor.predict(read), expected, atol=1e-6)


def written(spelling: Spelling, glass: Glass, folder: Path, **options: object) -> Glass:
    """Write a spelling into a folder and read it."""
    content = spelling.write(glass)
    path = folder / spelling.file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_glass(path, **{"species": spelling.species, **options})  # type: ignore[arg-type]


SWAPPED = {1: "Zr", 2: "Cu"}
TYPED = [
    name for name, each in SPELLINGS.items() if "type" in each.arrays or each.species or each.file.endswith(".data")
]


@pytest.mark.parametrize("name", TYPED)
def test_the_map_comes_before_everything_that_a_file_says(
    name: str, structures: dict[str, tuple[Glass, np.ndarray]], tmp_path: Path
) -> None:
    glass, _ = structures["cube"]
    read = written(SPELLINGS[name], glass, tmp_path, species=SWAPPED)
    np.testing.assert_array_equal(read.numbers == 29, glass.numbers == 40)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_map_that_agrees_changes_nothing(
    name: str, structures: dict[str, tuple[Glass, np.ndarray]], tmp_path: Path
) -> None:
    glass, _ = structures["cube"]
    np.testing.assert_array_equal(written(SPELLINGS[name], glass, tmp_path, species=SPECIES).numbers, glass.numbers)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("type labels", "typelabel"),
        ("masses", "mass column"),
        ("data with masses", "Masses section"),
        ("data with comments", "comments in its Masses"),
        ("data with labels", "Atom Type Labels"),
        ("XYZ with types and masses", "mass column"),
        ("POSCAR of VASP 4 with a title", "comment line"),
        ("no boundaries", "boundaries along x y z: taken as periodic"),
        ("no last line break", "last number may be cut off"),
        ("two boundaries", "boundaries along z: taken as periodic"),
    ],
)
def test_what_is_inferred_is_said_in_one_sentence(
    name: str, said: str, structures: dict[str, tuple[Glass, np.ndarray]], tmp_path: Path
) -> None:
    glass, _ = structures["cube"]
    [sentence] = notes(written(SPELLINGS[name], glass, tmp_path))
    assert said in sentence
    assert "\n" not in sentence


def test_nothing_is_said_where_nothing_is_inferred(
    structures: dict[str, tuple[Glass, np.ndarray]], tmp_path: Path
) -> None:
    for name in ("elements", "XYZ", "POSCAR", "types"):
        assert not notes(written(SPELLINGS[name], structures["cube"][0], tmp_path))


def test_results_can_be_mapped_back_by_id(structures: dict[str, tuple[Glass, np.ndarray]], tmp_path: Path) -> None:
    glass, _ = structures["cube"]
    order = np.random.default_rng(0).permutation(len(glass))
    (tmp_path / "a.dump").write_text(dump(glass, "id element x y z c_pe[1]", order=order))
    read = read_glass(tmp_path / "a.dump")
    np.testing.assert_array_equal(read.arrays["id"], np.arange(1, len(glass) + 1))
    np.testing.assert_allclose(read.positions, glass.positions, atol=1e-12)
    np.testing.assert_allclose(read.arrays["c_pe[1]"], np.linspace(-5, -3, len(glass)), atol=1e-12)
