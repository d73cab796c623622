"""Records: exact, the same for the same content, and never half read."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.explain import AtomExplanation, explain_atom
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.explain.population.explanation_set import decode, encode
from symgnn_explain.runs.record_format import DamagedRecordError, pack, unpack

numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.floats(width=32, allow_nan=False))
lists = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60),
    st.lists(st.integers(0, 255), min_size=16, max_size=60),
    st.lists(st.floats(allow_nan=False), max_size=60),
    st.lists(st.floats(width=32, allow_nan=False), max_size=60),
    st.lists(st.booleans(), max_size=60),
    st.lists(st.text(max_size=5), max_size=60),
    st.lists(st.lists(st.floats(allow_nan=False), min_size=3, max_size=3), max_size=30),
    st.lists(st.one_of(st.none(), st.integers()), max_size=30),
    st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=16, max_size=30),
)
contents = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.one_of(numbers, st.none(), st.booleans(), st.text(max_size=8), lists),
        lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    ),
    max_size=6,
)


def as_lists(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return {key: as_lists(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def sign_of_zeros(value: object) -> str:
    return repr(value)  # 0.0 == -0.0, but they are written differently


@given(run=st.text(max_size=8), content=contents)
def test_what_is_packed_comes_back_exactly_and_is_packed_the_same_again(run: str, content: dict[str, object]) -> None:
    blob = pack(run, content)
    found_run, found = unpack(blob)
    assert found_run == run
    assert sign_of_zeros(as_lists(found)) == sign_of_zeros(content)
    assert pack(run, content) == blob


@pytest.fixture(scope="module")
def blob() -> bytes:
    rng = np.random.default_rng(0)
    return pack("run", {"score": rng.normal(size=300).tolist(), "source": list(range(300)), "nested": {"x": 1.5}})


@given(data=st.data())
def test_a_record_cut_anywhere_is_damaged(blob: bytes, data: st.DataObject) -> None:
    with pytest.raises(DamagedRecordError):
        unpack(blob[: data.draw(st.integers(0, len(blob) - 1))])


@given(data=st.data())
def test_a_changed_byte_is_noticed_or_of_no_consequence(blob: bytes, data: st.DataObject) -> None:
    changed = bytearray(blob)
    place = data.draw(st.integers(0, len(blob) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack(bytes(changed))
    except DamagedRecordError:
        return
    assert sign_of_zeros(as_lists(found[1])) == sign_of_zeros(as_lists(unpack(blob)[1]))


def test_no_time_is_written_and_no_pickle(predictor, glass) -> None:
    explanation = explain_atom(predictor, glass, 5, "integrated_gradients", steps=3)
    blob = encode(explanation, "run")
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        header = archive.read("record.json").decode()
    assert "wall_time" not in header
    assert repr(explanation.wall_time) not in header
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["score"].astype(np.float64), explanation.score)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("method", ["gnnexplainer", "integrated_gradients"])
def test_an_explanation_survives_exactly(method, unit, predictor, glass) -> None:
    few = {"gnnexplainer": {"epochs": 3, "repetitions": 2}, "integrated_gradients": {"steps": 3}}[method]
    explanation = explain_atom(predictor, glass, 5, method, unit=unit, **few)
    blob = encode(explanation, "run")
    again = decode(blob, seconds=explanation.wall_time)
    assert isinstance(again, AtomExplanation)
    assert again.to_dict() == explanation.to_dict()
    assert encode(again, "run") == blob
    assert len(blob) < len(str(explanation.to_dict())) / 2


def test_a_damaged_record_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match="record is damaged"):
        decode(b"not a record")
