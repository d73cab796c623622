"""What an explorer shows as one file, to be reopened in the same state elsewhere: no pickle, nothing executed.

A zip archive: ``session.json`` for all that is no array, the glass as numpy arrays, and one record an explanation in
the format of :mod:`symgnn_explain.runs.record_format`. The network is not inside: the file names the hash
of its weights, and what their file was called. A trajectory is not inside either: the file names the way to it from
its own folder and its hash, and nothing but a file of that content is used. No other path in it is ever looked at.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import METHODS
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export.naming import free_path
from symgnn_explain.export.session_parts import (
    EDITS,
    SavedEdit,
    SavedStep,
    SavedTrajectory,
    edits_members,
    read_edits_of,
    read_steps,
    read_trajectory,
    steps_arrays,
    trajectory_entry,
)
from symgnn_explain.models.predictor import SHIPPED, Predictor
from symgnn_explain.runs.archive import (
    MOST_MEMBERS,
    PLAIN_KINDS,
    Allowance,
    DamagedArchiveError,
    PlainArchive,
    add_member,
    encode_array,
)
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.plain import (
    LONGEST_NAME,
    LONGEST_WORDS,
    MOST_NAMES,
    NotPlainError,
    entry,
    shown,
    whole,
    word,
)
from symgnn_explain.runs.record_format import pack, unpack
from symgnn_explain.structure.glass import Glass

FORMAT_VERSION = 2
READ_VERSIONS = (1, FORMAT_VERSION)
"""Files of version 1 have neither trajectory nor edits nor undo list."""
SUFFIX = ".symgnn"
LARGEST_FILE = 2**29
"""Bytes of a session file that is read: a glass of 100 000 atoms with 64 explanations takes a tenth of that."""

AMORTISED = "pg_explainer"
"""The method that has to be trained once, and then takes milliseconds: its settings name a trained explainer."""
_HEADER = "session.json"
_GLASS = ("positions", "numbers", "cell", "pbc")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PredictorIdentity:
    """Which network a session was made with.

    Parameters
    ----------
    weights_sha256
        Hash of its weights.
    file
        What the file was called that they were loaded from, without its folder; empty for the shipped weights, and for
        a network that was not loaded. A hint for people: it is never opened.
    identity
        Hash of weights and configuration; empty in files of earlier versions.
    """

    weights_sha256: str
    file: str = ""
    identity: str = ""

    @classmethod
    def of(cls, predictor: Predictor) -> PredictorIdentity:
        """Identify a network."""
        file = "" if predictor.path is None else predictor.path.name
        return cls(predictor.weights_sha256, file, predictor.identity)

    def is_of(self, predictor: Predictor) -> bool:
        """Whether this is the network."""
        if self.identity:
            return self.identity == predictor.identity
        return self.weights_sha256 == predictor.weights_sha256

    def load(self, weights: str | Path | None = None, *, device: str = "auto") -> Predictor:
        """Load the network: from ``weights`` where that is given, else the one of those that ship.

        Raises
        ------
        InputError
            If the weights are missing, or others than those of the session.
        """
        names = SHIPPED if weights is None else (weights,)
        predictors = [Predictor.load(name, device=device) for name in names]
        predictor = next((each for each in predictors if self.is_of(each)), predictors[0])
        self.require(predictor)
        return predictor

    def require(self, predictor: Predictor) -> None:
        """Raise InputError unless this is the network."""
        if not self.is_of(predictor):
            found = predictor.weights_sha256
            named = "the shipped weights" if predictor.path is None else f"the weights {predictor.path}"
            called = f", from a file called {self.file!r}" if self.file else ""
            raise InputError(
                f"the session was made with another network (weights {self.weights_sha256[:12]}…{called}) than {named} "
                f"({found[:12]}…): give the path of the weights that it was made with, or the predictor itself."
            )


@dataclass(frozen=True, eq=False)
class SavedSession:
    """The content of a session file.

    Parameters
    ----------
    glass
        The structure.
    predictor
        Which network explains it.
    explanations
        All that were made, oldest first.
    state
        What is selected, chosen and shown: plain values by name, as for JSON.
    trajectory
        The file that the glass is a frame of; None where it is of none.
    edits
        Of the structure beside it, the earliest first.
    steps, step
        The undo list of selections and explanations, and the place in it.
    """

    glass: Glass
    predictor: PredictorIdentity
    explanations: tuple[AtomExplanation, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    trajectory: SavedTrajectory | None = None
    edits: tuple[SavedEdit, ...] = ()
    steps: tuple[SavedStep, ...] = ()
    step: int = 0


def write_session(session: SavedSession, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a session as one ``.symgnn`` file; the same session gives the same bytes.

    Raises
    ------
    InputError
        If the suffix is another, the file exists and may not be replaced, an array of the glass holds other things
        than numbers and text, or a name of the glass is too long.
    """
    path = free_path(path, (SUFFIX,), f"sessions are stored as {SUFFIX} files", overwrite=overwrite)
    return write_atomically(path, _encode(session))


def read_session(path: str | Path) -> SavedSession:
    """Read what :func:`write_session` wrote; the file may come from anyone.

    Raises
    ------
    InputError
        If the file is missing, too large, damaged, of another version, or does not hold together.
    """
    path = Path(path)
    try:
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            raise InputError(f"{path} is not a file: check the path.")
        if size > LARGEST_FILE:
            raise InputError(f"{path} is no session of the explorer: it is larger ({size} bytes) than any.")
        blob = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}).") from error
    try:
        return decode_session(blob)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def decode_session(blob: bytes) -> SavedSession:
    """Read a session from the bytes of its file; see :func:`read_session`."""
    try:
        return _decode(PlainArchive(blob))
    except (DamagedArchiveError, NotPlainError) as error:
        raise InputError(f"this is not a whole session file ({error}): save the session again.") from error


def _decode(archive: PlainArchive) -> SavedSession:
    header = archive.plain(_HEADER)
    version = entry(header, "session_version", object)
    if isinstance(version, bool) or version not in READ_VERSIONS:
        read = " and ".join(map(str, READ_VERSIONS))
        raise InputError(f"the session has format {shown(version)}, this version reads {read}.")
    glass = _read_glass(entry(header, "glass", dict), archive)
    explanations = tuple(
        _read_explanation(archive.read(f"explanations/{number}.npz"), glass, archive.allowance)
        for number in range(whole(header, "n_explanations", most=MOST_MEMBERS))
    )
    plain = SavedSession(
        glass, _read_identity(entry(header, "predictor", dict)), explanations, entry(header, "state", dict)
    )
    if version == 1:
        return plain
    steps = read_steps(archive, glass, explanations) if entry(header, "has_steps", bool) else ()
    return replace(
        plain,
        trajectory=read_trajectory(header),
        edits=read_edits_of(archive),
        steps=steps,
        step=whole(header, "step", most=max(len(steps) - 1, 0)),
    )


def _read_identity(described: Mapping[str, Any]) -> PredictorIdentity:
    sha256, identity = word(described, "weights_sha256"), word({"identity": "", **described}, "identity")
    if not _SHA256.fullmatch(sha256):
        raise NotPlainError("it names no hash of the network's weights")
    # Earlier versions wrote the whole path.
    named = word(described, "file" if "file" in described else "path")
    return PredictorIdentity(sha256, re.split(r"[/\\]", named)[-1], identity)


def _encode(session: SavedSession) -> bytes:
    glass = session.glass
    arrays: dict[str, NDArray[Any]] = {name: getattr(glass, name) for name in _GLASS}
    if glass.barriers is not None:
        arrays["barriers"] = glass.barriers
    named = dict(enumerate(glass.arrays.items()))
    for number, (name, array) in named.items():
        if array.dtype.kind not in PLAIN_KINDS:
            raise InputError(f"the per-atom array {name!r} holds {array.dtype}, not numbers or text: leave it out.")
        arrays[f"array_{number}"] = array
    header: dict[str, Any] = {
        "session_version": FORMAT_VERSION,
        "glass": {
            "name": glass.name,
            "provenance": {str(key): str(value) for key, value in glass.provenance.items()},
            "barriers": glass.barriers is not None,
            "arrays": [name for name, _ in named.values()],
        },
        "predictor": asdict(session.predictor),
        "n_explanations": len(session.explanations),
        "state": dict(session.state),
        "trajectory": trajectory_entry(session.trajectory),
        "has_steps": bool(session.steps),
        "step": session.step,
    }
    edits, beside = edits_members(session.edits)
    beside |= steps_arrays(session.steps) if session.steps else {}
    try:
        _require_names(header["glass"])
    except NotPlainError as error:
        raise InputError(f"the session would not be read again ({error}): give the glass shorter names.") from error
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        add_member(archive, _HEADER, json.dumps(header, ensure_ascii=False, allow_nan=False, indent=1).encode())
        for name, array in arrays.items():
            add_member(archive, f"glass/{name}.npy", encode_array(array))
        add_member(archive, EDITS, edits)
        for name, array in beside.items():
            add_member(archive, f"{name}.npy", encode_array(array))
        for number, explanation in enumerate(session.explanations):
            add_member(archive, f"explanations/{number}.npz", pack("", explanation.to_dict()))
    return stream.getvalue()


def _read_glass(described: Mapping[str, Any], archive: PlainArchive) -> Glass:
    def array(name: str) -> NDArray[Any]:
        return archive.array(f"glass/{name}.npy")

    _require_names(described)
    return Glass(
        **{name: array(name) for name in _GLASS},
        barriers=array("barriers") if entry(described, "barriers", bool) else None,
        name=word(described, "name"),
        provenance=described["provenance"],
        arrays={name: array(f"array_{number}") for number, name in enumerate(described["arrays"])},
    )


def _require_names(described: Mapping[str, Any]) -> None:
    """Raise NotPlainError where a glass is called, or says of itself, what is too long to be read again."""
    word(described, "name")
    provenance = entry(described, "provenance", dict)
    for key in provenance:
        if len(key) > LONGEST_NAME:
            raise NotPlainError("its glass has a provenance of too long a name")
        word(provenance, key, longest=LONGEST_WORDS)
    names = entry(described, "arrays", list)
    if max(len(names), len(provenance)) > MOST_NAMES:
        raise NotPlainError("its glass has more arrays, or more provenance, than any")
    if len({name for name in names if isinstance(name, str) and len(name) <= LONGEST_NAME}) != len(names):
        raise NotPlainError("its arrays have names that are no text, too long, or of two arrays")


def _read_explanation(blob: bytes, glass: Glass, allowance: Allowance) -> AtomExplanation:
    """Read one explanation, and check that what it names is there."""
    explanation = AtomExplanation.from_dict(unpack(blob, allowance)[1])
    if explanation.glass_sha256 != glass.content_hash:
        raise InputError("the session is damaged: an explanation in it belongs to another glass.")
    glass.require_atom(explanation.atom)
    ends = np.concatenate([explanation.source, explanation.target])
    if explanation.method not in METHODS or ends.max() >= len(glass):
        raise InputError(
            f"the session is damaged: its explanation of atom {explanation.atom} by {shown(explanation.method)} names "
            "atoms or a method that do not exist."
        )
    require_settings(explanation.method, explanation.settings)
    return explanation


def require_settings(method: str, settings: Mapping[str, Any]) -> None:
    """Raise InputError unless these are settings of a method; no file that they name is looked at."""
    if method == AMORTISED:
        settings = {**settings, "explainer": ""}
    METHODS[method].configure(**settings)
