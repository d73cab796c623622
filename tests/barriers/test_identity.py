"""Two potentials never share records: what tells calculators apart is what they compute with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from ase.calculators.eam import EAM
from ase.calculators.emt import EMT
from ase.calculators.lammpslib import LAMMPSlib
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator
from ase.calculators.morse import MorsePotential
from ase.calculators.vasp import Vasp

from symgnn_explain.errors import InputError
from symgnn_explain.runs.records import RecordFolder, plain_manifest
from symgnn_explain.saddles.calculator import AseCalculator
from symgnn_explain.saddles.many import compute_barriers
from symgnn_explain.structure.glass import Glass


class Learned(Calculator):
    implemented_properties = ("energy", "forces")  # type: ignore[assignment]

    def __init__(self, weights: Any, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.weights = weights


def test_parameters_are_part_of_it() -> None:
    calculators = [
        EMT(),
        EMT(asap_cutoff=True),
        LennardJones(),
        LennardJones(sigma=2.3),
        LennardJones(sigma=2.3, epsilon=np.float64(0.4)),
        MorsePotential(epsilon=0.3),
    ]
    identities = [AseCalculator(calculator).identity for calculator in calculators]
    assert all(first != second for first, second in combinations(identities, 2))
    assert AseCalculator(LennardJones(sigma=2.3)).identity == identities[3]
    assert plain_manifest(potential=identities[4])


def test_it_does_not_change_with_use(make_crystal: Callable[..., Glass]) -> None:
    calculator = AseCalculator(EMT())
    before = calculator.identity
    surface = calculator.surface(make_crystal(2))
    surface(surface.start)
    assert calculator.identity == before == AseCalculator(EMT()).identity


def test_it_changes_with_the_parameters_of_the_calculator() -> None:
    wrapped = LennardJones()
    calculator = AseCalculator(wrapped)
    wrapped.set(sigma=2.3)
    assert calculator.identity["parameters"]["sigma"] == 2.3


def test_files_are_what_they_hold(tables: Callable[..., Path], tmp_path: Path) -> None:
    text = tables("Cu", "Zr", form="eam.alloy").read_text()
    for folder, content in (("a", text), ("b", text), ("c", text.replace("63.546", "63.5"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Cu.eam.alloy").write_text(content)
    paths = [tmp_path / folder / "Cu.eam.alloy" for folder in "abc"]
    for make in (
        lambda path: EAM(potential=str(path), form="alloy"),
        lambda path: LAMMPSlib(lmpcmds=["pair_style eam/alloy", f"pair_coeff * * {path} Cu Zr"]),
    ):
        first, second, other = (AseCalculator(make(path)).identity for path in paths)
        assert first == second != other


@pytest.mark.parametrize(
    "calculator",
    [Learned([1]), Learned([1], skin=0.3), SumCalculator([EMT(), LennardJones()]), Vasp(xc="pbe"), EMT(model=object())],
    ids=lambda calculator: type(calculator).__name__,
)
def test_what_cannot_be_told_has_to_be_named(
    calculator: Any, make_crystal: Callable[..., Glass], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="name the potential"):
        compute_barriers(make_crystal(2), AseCalculator(calculator), [0], out=tmp_path / "records")
    assert not (tmp_path / "records").exists()
    named = [AseCalculator(calculator, name=name).identity for name in ("one", "two")]
    assert named[0] != named[1]


def test_records_of_another_calculator_are_not_taken(make_crystal: Callable[..., Glass], tmp_path: Path) -> None:
    glass = make_crystal(2)
    first, second = (
        plain_manifest(potential=AseCalculator(EMT(asap_cutoff=asap)).identity, glass=glass.content_hash)
        for asap in (False, True)
    )
    for _ in range(2):
        RecordFolder(tmp_path, first, what="barriers").open()
    with pytest.raises(InputError, match=r"differ in potential .*asap_cutoff"):
        RecordFolder(tmp_path, second, what="barriers")
