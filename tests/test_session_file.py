"""A session comes back as it was saved; a file that is damaged or hostile ends in one sentence."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgnn_explain.errors import InputError
from symgnn_explain.explain import explain_atom, prepare
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export import session_file
from symgnn_explain.export.session_file import (
    LARGEST_FILE,
    PredictorIdentity,
    SavedSession,
    decode_session,
    read_session,
    write_session,
)
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.archive import (
    add_member,
    encode_array,
)
from symgnn_explain.runs.record_format import pack, unpack
from symgnn_explain.structure.glass import Glass

IDENTITY = PredictorIdentity("0" * 64)


@pytest.fixture(scope="module")
def explanations(tiny_predictor: Predictor, random_glass: Callable[..., Glass]) -> tuple[AtomExplanation, ...]:
    glass = random_glass(6)
    prepared = prepare(tiny_predictor, glass)
    return tuple(
        explain_atom(tiny_predictor, glass, atom, method, prepared=prepared, unit=unit)
        for atom, method, unit in ((0, "saliency", "edge"), (7, "input_gradient", "atom"), (7, "distance", "shell"))
    )


def same_explanation(first: AtomExplanation, second: AtomExplanation) -> None:
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())


def same_glass(first: Glass, second: Glass) -> None:
    assert (first.name, dict(first.provenance), first.content_hash) == (
        second.name,
        dict(second.provenance),
        second.content_hash,
    )
    assert list(first.arrays) == list(second.arrays)
    for name, array in first.arrays.items():
        assert array.dtype == second.arrays[name].dtype
        np.testing.assert_array_equal(array, second.arrays[name])
    assert (first.barriers is None) == (second.barriers is None)
    if first.barriers is not None:
        np.testing.assert_array_equal(first.barriers, second.barriers)


def test_a_session_comes_back(tmp_path: Path, glass: Glass, explanations: tuple[AtomExplanation, ...]) -> None:
    glass = replace(glass, provenance={"file": "ü.extxyz"}).with_arrays(energy=glass.positions[:, 0], tag=["a"] * 216)
    state = {"selected_atom": 7, "settings": {"steps": 3}, "colour_by": "species", "selection": [7, 9]}
    saved = SavedSession(glass, IDENTITY, explanations, state)
    path = write_session(saved, tmp_path / "a.symgnn")
    loaded = read_session(path)
    same_glass(loaded.glass, glass)
    assert (loaded.predictor, loaded.state) == (IDENTITY, state)
    for first, second in zip(loaded.explanations, explanations, strict=True):
        same_explanation(first, second)
    again = write_session(loaded, tmp_path / "b.symgnn")
    assert again.read_bytes() == path.read_bytes()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=40, deadline=None)
@given(
    name=st.text(min_size=1, max_size=10),
    state=st.dictionaries(st.text(), plain, max_size=5),
    positions=st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 3), min_size=1, max_size=6),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    labelled=st.booleans(),
)
def test_any_glass_and_state_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    state: dict[str, Any],
    positions: list[tuple[float, float, float]],
    pbc: tuple[bool, bool, bool],
    labelled: bool,
) -> None:
    values = np.arange(len(positions), dtype=np.float64)
    glass = Glass(
        positions=positions,
        numbers=[29] * len(positions),
        cell=np.eye(3) * 7,
        pbc=pbc,
        barriers=values if labelled else None,
        name=name,
        arrays={name: values.astype(np.int32)},
    )
    path = tmp_path_factory.mktemp("session") / "s.symgnn"
    loaded = read_session(write_session(SavedSession(glass, IDENTITY, (), state), path))
    same_glass(loaded.glass, glass)
    assert loaded.state == state


def test_weights_are_given_or_refused_in_a_sentence(
    tmp_path: Path, tiny_predictor: Predictor, tiny_weights: Path, make_predictor: Callable[..., Predictor]
) -> None:
    identity = PredictorIdentity.of(Predictor.load(tiny_weights))
    assert identity.file == tiny_weights.name
    assert PredictorIdentity.of(identity.load(tiny_weights)) == identity
    assert PredictorIdentity.of(tiny_predictor) == replace(identity, file="")  # the same network, never loaded
    other = make_predictor(seed=1).save(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"made with another network .* than the weights .*other"):
        identity.load(other)
    with pytest.raises(InputError, match=rf"'{tiny_weights.name}'\) than the shipped weights .*: give the path"):
        identity.load()
    with pytest.raises(InputError, match="is missing"):
        identity.load(tmp_path / "gone.safetensors")
    shipped = PredictorIdentity.of(Predictor.load())
    assert shipped.file == ""
    assert PredictorIdentity.of(shipped.load()) == shipped


def test_no_folder_of_the_author_is_stored(
    tmp_path: Path, glass: Glass, tiny_weights: Path, explanations: tuple[AtomExplanation, ...]
) -> None:
    saved = SavedSession(glass, PredictorIdentity.of(Predictor.load(tiny_weights)), explanations)
    with zipfile.ZipFile(write_session(saved, tmp_path / "a.symgnn")) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".npz"):
                content = json.dumps(unpack(content)[1], default=str).encode()
            assert str(tiny_weights.parent).encode() not in content, name
            assert str(Path.home()).encode() not in content, name


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/home/author/w.safetensors", "C:\\Users\\author\\w.safetensors", "../w"]
)
def test_paths_inside_a_session_are_never_looked_at(
    tmp_path: Path, glass: Glass, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of an earlier version names a whole path: its last part is kept as a hint, and nothing is opened."""
    file = write_session(SavedSession(glass, IDENTITY), tmp_path / "a.symgnn")
    blob = rewritten(file.read_bytes(), in_header(predictor={"weights_sha256": "0" * 64, "path": path}))
    looked_at: list[str] = []
    real = os.stat
    monkeypatch.setattr(
        os, "stat", lambda name, *rest, **more: looked_at.append(str(name)) or real(name, *rest, **more)
    )
    saved = decode_session(blob)
    assert saved.predictor.file == re.split(r"[/\\]", path)[-1]
    with pytest.raises(InputError, match="another network"):
        saved.predictor.load()
    assert path not in looked_at
    assert looked_at, "the check watches nothing"


def rewritten(blob: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive with other members."""
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 10**30, 0.5, np.nan, np.inf, "", "edge", "reference", "<b>", "x" * 10**6),
    *(
        [],
        [1],
        [None],
        [[1, 2], [3]],
        ["a"] * 20,
        list(range(20)),
        [np.nan] * 20,
        [-1] * 20,
        [1e300] * 20,
        [2**70] * 20,
    ),
    *({}, {"a": 1}, {"a": {"a": 1}}, {"": "<b>"}, {"a": np.inf}),
    {"kind": "atom", "of_edge": [0] * 20, "table": {"atom": [1]}},
    {"kind": "edge", "of_edge": {}, "table": []},
    {"count": [3, 2], "kept": [0, 0], "removed": [0, 0], "original": 1, "baseline": 1},
    {"count": [1], "kept": [np.inf], "removed": [0], "original": 1, "baseline": 1},
)


@pytest.fixture
def blob(tmp_path: Path, glass: Glass, explanations: tuple[AtomExplanation, ...]) -> bytes:
    saved = SavedSession(glass, IDENTITY, explanations[:1], {"selected_atom": 0})
    return write_session(saved, tmp_path / "blob.symgnn").read_bytes()


def test_a_file_cut_anywhere_is_one_sentence(blob: bytes) -> None:
    for length in np.linspace(0, len(blob) - 1, 40).astype(int):
        with pytest.raises(InputError, match="not a whole session file") as caught:
            decode_session(blob[:length])
        assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_with_any_byte_changed_is_read_or_refused(blob_of_session: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(blob_of_session) - 1))
    changed = bytearray(blob_of_session)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        read = decode_session(bytes(changed))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it may also be read
        return
    # Checksums cover all content: what is read has been changed nowhere.
    whole = decode_session(blob_of_session)
    same_glass(read.glass, whole.glass)
    assert (read.predictor, read.state) == (whole.predictor, whole.state)
    for first, second in zip(read.explanations, whole.explanations, strict=True):
        same_explanation(first, second)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:24])
def test_a_record_with_any_value_changed_is_valid_or_refused(
    explanations: tuple[AtomExplanation, ...], odd: Any
) -> None:
    """A file of someone who writes whole archives: whatever is read is an explanation that can be used."""
    plain = explanations[1].to_dict()
    for name in plain:
        content = plain | {name: odd}
        try:
            read = AtomExplanation.from_dict(unpack(pack("", content))[1])
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - it may also be read
            continue
        for array in (read.displacement, read.score, read.distance):
            assert np.isfinite(array).all()
        assert min(read.source.min(), read.target.min(), read.hop.min(), read.atom) >= 0
        assert np.isfinite([read.prediction, *read.prediction_range]).all()
        assert len(read.unit_score) > 0
        assert isinstance(read.method + read.glass_name + repr(read) + " ".join(read.caveats), str)
        assert len(read.top_units(5)) > 0
        same_explanation(AtomExplanation.from_dict(json.loads(json.dumps(read.to_dict()))), read)


@pytest.fixture(scope="module")
def blob_of_session(
    tmp_path_factory: pytest.TempPathFactory,
    random_glass: Callable[..., Glass],
    explanations: tuple[AtomExplanation, ...],
) -> bytes:
    saved = SavedSession(random_glass(6), IDENTITY, explanations[1:], {"k": 3})
    return write_session(saved, tmp_path_factory.mktemp("blob") / "b.symgnn").read_bytes()


def in_header(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["session.json"] = json.dumps(json.loads(members["session.json"]) | changes).encode()

    return change


def put(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: content})


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/symgnn-was-here"),))  # noqa: S108


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def in_glass(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        header = json.loads(members["session.json"])
        members["session.json"] = json.dumps(header | {"glass": header["glass"] | changes}).encode()

    return change


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            add_member(archive, name.replace("_", "."), content)
    return stream.getvalue()


def nested_bomb() -> bytes:
    """A record that claims three gigabytes, of some kilobytes."""
    blob = zipped(record_json=b"{}", source_npy=b"0" * 10**6)
    return blob.replace((10**6).to_bytes(4, "little"), (3 * 10**9).to_bytes(4, "little"))


def nested_json() -> bytes:
    return zipped(record_json=b'{"record_version": 1, "run": "", "content": ' + b"[" * 10**5)


TEXT = npy("{'descr': '<U1', 'fortran_order': False, 'shape': (216,), }", b"\xff" * 4 * 216)
NEITHER = npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", b"\x02" * 3)

HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "no header": (lambda members: members.pop("session.json"), "not a whole session"),
    "header is a list": (put("session.json", b"[1]"), "not a whole session"),
    "header nested beyond reason": (put("session.json", b"[" * 100_000), "not a whole session"),
    "another version": (in_header(session_version=99), "has format 99, this version reads 1"),
    "more explanations than there are": (in_header(n_explanations=5), "it has no member 'explanations/1.npz'"),
    "billions of explanations": (in_header(n_explanations=10**10), "its n_explanations is 10000000000, not 0 to"),
    "a number of explanations that is none": (in_header(n_explanations=True), "its n_explanations is True"),
    "header of half a character": (put("session.json", b'{"session_version": "\\ud800"}'), "half a character"),
    "header longer than any": (put("session.json", b" " * 2**23), "its text has 8388608 bytes"),
    "header of a number that has no end": (put("session.json", b"9" * 10_000), "it is no JSON"),
    "a glass that is a word": (in_header(glass="glass"), "its glass is 'glass'"),
    "a hash that is none": (in_header(predictor={"weights_sha256": "<b>", "file": ""}), "it names no hash"),
    "a name longer than any": (in_glass(name="x" * 10**5), "its name has 100000 characters"),
    "a name that is a number": (in_glass(name=3), "its name is 3"),
    "provenance of numbers": (in_glass(provenance={"file": 3}), "its file is 3"),
    "arrays of one name": (in_glass(arrays=["a", "a"]), "names that are no text, too long, or of two arrays"),
    "arrays without names": (in_glass(arrays=[{}]), "names that are no text"),
    "text that is no text": (put("glass/barriers.npy", TEXT), "what is no character"),
    "truth that is neither": (put("glass/pbc.npy", NEITHER), "an array of booleans holds other values"),
    "a member that leads elsewhere": (put("../../etc/passwd", b""), "members of odd names"),
    "a member from the root": (put("/etc/passwd", b""), "members of odd names"),
    "a record inside that claims too much": (put("explanations/0.npz", nested_bomb()), "read in all"),
    "a record inside nested beyond reason": (put("explanations/0.npz", nested_json()), "no JSON"),
    "state is a number": (in_header(state=3), "not a whole session"),
    "predictor of other fields": (in_header(predictor={"code": "x"}), "it has no weights_sha256"),
    "array of objects": (
        put(
            "glass/positions.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle.dumps(Evil()))
        ),
        "not plain numbers or text",
    ),
    "array larger than memory": (
        put("glass/positions.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 3), }")),
        "has 0 bytes",
    ),
    "array of a side beyond all": (
        put(
            "glass/positions.npy",
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999, 99999999999999, 0), }"),
        ),
        "an array of shape",
    ),
    "array of negative length": (
        put("glass/positions.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }")),
        "not a whole session",
    ),
    "array header that calls": (
        put("glass/positions.npy", npy("{'descr': __import__('os').system('true'), 'shape': (), }")),
        "not a whole session",
    ),
    "positions that are not finite": (
        put("glass/positions.npy", encode_array(np.full((216, 3), np.nan))),
        "not finite",
    ),
    "another glass": (put("glass/numbers.npy", encode_array(np.full(216, 29))), "belongs to another glass"),
    "an explanation that is none": (put("explanations/0.npz", b"PK"), "not a whole"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused(blob: bytes, case: str) -> None:
    change, said = HOSTILE[case]
    hostile = rewritten(blob, change)
    tracemalloc.start()
    with pytest.raises(InputError, match=said) as caught:
        decode_session(hostile)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert "\n" not in str(caught.value)
    assert not Path("/tmp/symgnn-was-here").exists()  # noqa: S108


def test_an_explanation_of_atoms_that_do_not_exist_is_refused(
    tmp_path: Path, glass: Glass, explanations: tuple[AtomExplanation, ...]
) -> None:
    first = explanations[0]
    for number, forged in enumerate(
        (
            replace(first, source=first.source + 216),
            replace(first, target=first.target - 216),
            replace(first, atom=216),
            replace(first, method="exec"),
            replace(first, displacement=first.displacement * np.nan),
            replace(first, settings={"no_such": 1}),
            replace(first, settings={"no_such": ["a", "list"]}),
            replace(first, prediction=np.inf),
            replace(first, hop=first.hop - 9),
            replace(first, mask_semantics="exec"),
        )
    ):
        path = write_session(SavedSession(glass, IDENTITY, (forged,)), tmp_path / f"{number}.symgnn")
        with pytest.raises(
            InputError, match=r"do(es)? not exist|negative|not finite|is unknown|has no setting|its \w+ "
        ):
            read_session(path)


def test_a_defect_of_this_program_is_not_taken_for_a_damaged_file(blob: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise TypeError("a defect")

    for owner, name in ((session_file, "_read_glass"), (AtomExplanation, "__post_init__"), (session_file, "unpack")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, defect)
            with pytest.raises(TypeError, match="a defect"):
                decode_session(blob)


def test_files_that_are_not_there_too_large_or_of_another_kind(tmp_path: Path, glass: Glass) -> None:
    with pytest.raises(InputError, match="is not a file"):
        read_session(tmp_path / "missing.symgnn")
    with (tmp_path / "large.symgnn").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with pytest.raises(InputError, match="larger"):
        read_session(tmp_path / "large.symgnn")
    with pytest.raises(InputError, match=r"stored as \.symgnn files"):
        write_session(SavedSession(glass, IDENTITY), tmp_path / "session.pickle")
    (tmp_path / "mine.symgnn").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_session(SavedSession(glass, IDENTITY), tmp_path / "mine.symgnn")
    objects = glass.with_arrays(odd=np.array([object()] * 216))
    with pytest.raises(InputError, match="'odd' holds object"):
        write_session(SavedSession(objects, IDENTITY), tmp_path / "odd.symgnn")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "n" * 501},
        {"arrays": {"a" * 501: np.zeros(216)}},
        {"provenance": {"p" * 501: ""}},
        {"provenance": {str(place): "" for place in range(1001)}},
    ],
)
def test_what_would_not_be_read_again_is_not_written(
    random_glass: Callable[..., Glass], tmp_path: Path, changes: dict[str, Any]
) -> None:
    glass = replace(random_glass(6), **changes)
    with pytest.raises(InputError, match="would not be read again"):
        write_session(SavedSession(glass, IDENTITY), tmp_path / "s.symgnn")
    assert list(tmp_path.iterdir()) == []
