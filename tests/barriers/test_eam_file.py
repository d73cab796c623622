"""EAM files are read as LAMMPS reads them, however their numbers are spread over lines."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.saddles.eam import EamCalculator
from symgnn_explain.saddles.eam_file import EamPotential, parse_eam, read_eam

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
N_DENSITY, N_DISTANCE = 7, 6
HEADERS = (["29", "63.546", "3.615", "fcc"], ["40", "91.224", "3.232", "hcp"])


def tables(form: str, seed: int = 0) -> list[list[str]]:
    """The header lines of elements, and the tables, of a small file: a list of words each."""
    rng = np.random.default_rng(seed)
    parts: list[list[str]] = []
    for header in HEADERS:
        parts.append(list(header))
        counts = [N_DENSITY] + [N_DISTANCE] * (2 if form == "eam.fs" else 1)
        parts += [[f"{value:.15e}" for value in rng.normal(size=count)] for count in counts]
    return parts + [[f"{value:.15e}" for value in rng.normal(size=N_DISTANCE)] for _ in range(3)]


def file_of(lines: list[str], grid: str = f"{N_DENSITY} 0.5 {N_DISTANCE} 1.2 6.0") -> str:
    return "\n".join(["first \x85 comment", "# second", "", "2 Cu Zr", grid, *lines]) + "\n"


def parsed(text: str) -> EamPotential:
    return parse_eam(text, name="test", sha256="")


def same(first: EamPotential, second: EamPotential) -> bool:
    names = ("masses", "embedding", "density", "pair")
    return first.form == second.form and all(np.array_equal(getattr(first, n), getattr(second, n)) for n in names)


PLAIN = {form: parsed(file_of([" ".join(words) for words in tables(form)])) for form in ("eam.alloy", "eam.fs")}
ENDS = st.sampled_from(["", " ", "\t", "\r", " # a comment, 12", "\n", "\n# next 1.0 2.0", "\n   # table\n\n"])


@st.composite
def spread(draw: st.DrawFn, words: list[str]) -> list[str]:
    """The words of one table in lines of any lengths, with comments and empty lines."""
    cuts = sorted(draw(st.sets(st.integers(1, len(words) - 1)))) if len(words) > 1 else []
    bounds = [0, *cuts, len(words)]
    return [" ".join(words[a:b]) + draw(ENDS) for a, b in itertools.pairwise(bounds)]


def test_both_forms_are_told_apart() -> None:
    assert {form: potential.form for form, potential in PLAIN.items()} == {form: form for form in PLAIN}
    assert PLAIN["eam.fs"].density[0, 1, 0] != PLAIN["eam.fs"].density[0, 0, 0]


@given(st.data(), st.sampled_from(["eam.alloy", "eam.fs"]))
def test_lines_may_be_split_anywhere(data: st.DataObject, form: str) -> None:
    lines = [line for words in tables(form) for line in data.draw(spread(words))]
    assert same(parsed(file_of(lines)), PLAIN[form])


@given(st.data(), st.sampled_from(["eam.alloy", "eam.fs"]))
def test_surplus_words_on_the_last_line_of_a_table_are_left_out(data: st.DataObject, form: str) -> None:
    surplus = st.sampled_from(["", " 0.0", " 1.0 2.0 3.0", " end"])
    lines = [" ".join(words) + data.draw(surplus) for words in tables(form)]
    # With as many words as eam.fs announces it may as well be such a file, whose tables share lines.
    assume(form == "eam.fs" or sum(len(line.split()) for line in lines) != sum(map(len, tables("eam.fs"))))
    assert same(parsed(file_of(lines)), PLAIN[form])


@given(st.data(), st.sampled_from(["eam.alloy", "eam.fs"]))
def test_tables_may_share_lines_where_nothing_is_surplus(data: st.DataObject, form: str) -> None:
    words = [word for part in tables(form) for word in part]
    assert same(parsed(file_of(data.draw(spread(words)))), PLAIN[form])


@pytest.mark.parametrize("form", ["eam.alloy", "eam.fs"])
def test_the_spelling_of_numbers_and_of_the_end(form: str) -> None:
    lines = [" ".join(words) for words in tables(form)]
    for text in (
        file_of(lines).removesuffix("\n"),
        file_of(lines).replace("\n", "\r\n"),
        file_of([line.replace("e", "D") if "fcc" not in line else line for line in lines]),
        file_of([line.replace("e", "d") for line in lines], f"{N_DENSITY} 5.0D-1 {N_DISTANCE} 0.12d1 6.D0"),
        file_of(lines, f"{N_DENSITY} 0.5 # Nrho drho\n{N_DISTANCE} 1.2\n6.0 surplus"),
        file_of([line.removesuffix(" fcc").removesuffix(" hcp") for line in lines]),
        file_of([*lines, "written by a program, 2009"]),
    ):
        assert same(parsed(text), PLAIN[form])


@given(st.integers(0, 10**6), st.sampled_from(["eam.alloy", "eam.fs"]))
def test_a_file_that_is_cut_short_is_refused(place: int, form: str) -> None:
    text = file_of([" ".join(words) for words in tables(form)])
    last_word = text.rindex(" ")
    with pytest.raises(InputError):
        parsed(text[: place % last_word])


def test_the_case_files_are_one_potential() -> None:
    if not CASES.is_dir():
        pytest.skip("the case files are not here")
    first, second = (
        read_eam(CASES / name) for name in ("extra_value.eam.alloy", "comment_lines_between_tables.eam.alloy")
    )
    assert same(first, second)
    assert first.form == "eam.alloy"


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    identities = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        path = tmp_path / str(seed) / "CuZr.eam.alloy"
        path.write_text(file_of([" ".join(words) for words in tables("eam.alloy", seed)]), encoding="latin-1")
        identities.append(EamCalculator(path).identity)
    assert identities[0]["name"] == identities[1]["name"]
    assert identities[0] != identities[1]
