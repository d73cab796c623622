"""What an explorer shows as one file, to be reopened in the same state elsewhere: no pickle, nothing executed.

A zip archive: ``session.json`` for all that is no array, the glass as numpy arrays, and one record an explanation in
the format of :mod:`symgnn_explain.runs.record_format`. The network is not inside: the file names the hash
of its weights, and where they were.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.explain.api import METHODS
from symgnn_explain.explain.engine.protocol import MASK_SEMANTICS
from symgnn_explain.explain.engine.units import UNITS
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.export.naming import require_free
from symgnn_explain.models.predictor import Predictor
from symgnn_explain.runs.archive import PLAIN_KINDS, DamagedArchiveError, add_member, decode_array, encode_array, opened
from symgnn_explain.runs.files import write_atomically
from symgnn_explain.runs.record_format import pack, unpack
from symgnn_explain.structure.glass import Glass

FORMAT_VERSION = 1
SUFFIX = ".symgnn"
LARGEST_FILE = 2**29
"""Bytes of a session file that is read: a glass of 100 000 atoms with 64 explanations takes a tenth of that."""

_HEADER = "session.json"
_GLASS = ("positions", "numbers", "cell", "pbc")


@dataclass(frozen=True)
class PredictorIdentity:
    """Which network a session was made with.

    Parameters
    ----------
    weights_sha256
        Hash of its weights.
    path
        The file that they were loaded from, or empty: the shipped weights, or a network that was not loaded.
    identity
        Hash of weights and configuration; empty in files of earlier versions.
    """

    weights_sha256: str
    path: str = ""
    identity: str = ""

    @classmethod
    def of(cls, predictor: Predictor) -> PredictorIdentity:
        """Identify a network."""
        path = "" if predictor.path is None else str(predictor.path.absolute())
        return cls(predictor.weights_sha256, path, predictor.identity)

    def is_of(self, predictor: Predictor) -> bool:
        """Whether this is the network."""
        if self.identity:
            return self.identity == predictor.identity
        return self.weights_sha256 == predictor.weights_sha256

    def load(self, weights: str | Path | None = None, *, device: str = "auto") -> Predictor:
        """Load the network: from ``weights`` where that is given, else from where it was, else the shipped one.

        Raises
        ------
        InputError
            If the weights are missing, or others than those of the session.
        """
        path = Path(weights or self.path) if weights or self.path else None
        if path is not None and not path.is_file():
            raise InputError(f"the session was made with the weights {path}, which are not there: give their new path.")
        predictor = Predictor.load(path, device=device)
        self.require(predictor)
        return predictor

    def require(self, predictor: Predictor) -> None:
        """Raise InputError unless this is the network."""
        if not self.is_of(predictor):
            found = predictor.weights_sha256
            named = "the shipped weights" if predictor.path is None else f"the weights {predictor.path}"
            raise InputError(
                f"the session was made with another network (weights {self.weights_sha256[:12]}…) than {named} "
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
    """

    glass: Glass
    predictor: PredictorIdentity
    explanations: tuple[AtomExplanation, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)


def write_session(session: SavedSession, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a session as one ``.symgnn`` file; the same session gives the same bytes.

    Raises
    ------
    InputError
        If the suffix is another, the file exists and may not be replaced, or an array of the glass holds other things
        than numbers and text.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"{path} has an unknown suffix: sessions are stored as {SUFFIX} files.")
    require_free([path], overwrite=overwrite)
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
        with opened(blob) as archive:
            header = json.loads(archive.read(_HEADER))
            version = header["session_version"]
            if version != FORMAT_VERSION:
                raise InputError(f"the session has format {version!s:.20}, this version reads {FORMAT_VERSION}.")
            glass = _read_glass(header["glass"], archive)
            explanations = tuple(
                _read_explanation(archive.read(f"explanations/{number}.npz"), glass)
                for number in range(int(header["n_explanations"]))
            )
            predictor = PredictorIdentity(**{name: str(value) for name, value in header["predictor"].items()})
            return SavedSession(glass, predictor, explanations, dict(header["state"]))
    except InputError:
        raise
    except DamagedArchiveError as error:
        raise InputError(f"this is not a whole session file ({error}): save the session again.") from error


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
    header = {
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
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        add_member(archive, _HEADER, json.dumps(header, ensure_ascii=False, allow_nan=False, indent=1).encode())
        for name, array in arrays.items():
            add_member(archive, f"glass/{name}.npy", encode_array(array))
        for number, explanation in enumerate(session.explanations):
            add_member(archive, f"explanations/{number}.npz", pack("", explanation.to_dict()))
    return stream.getvalue()


def _read_glass(described: Mapping[str, Any], archive: zipfile.ZipFile) -> Glass:
    def array(name: str) -> NDArray[Any]:
        return decode_array(archive.read(f"glass/{name}.npy"))

    names = described["arrays"]
    return Glass(
        **{name: array(name) for name in _GLASS},
        barriers=array("barriers") if described["barriers"] else None,
        name=str(described["name"]),
        provenance={str(key): str(value) for key, value in described["provenance"].items()},
        arrays={str(name): array(f"array_{number}") for number, name in enumerate(names)},
    )


def _read_explanation(blob: bytes, glass: Glass) -> AtomExplanation:
    """Read one explanation, and check that what it names is there."""
    explanation = AtomExplanation.from_dict(unpack(blob)[1])
    if explanation.glass_sha256 != glass.content_hash:
        raise InputError("the session is damaged: an explanation in it belongs to another glass.")
    glass.require_atom(explanation.atom)
    ends = np.concatenate([explanation.source, explanation.target])
    known = explanation.method in METHODS and explanation.mask_semantics in MASK_SEMANTICS and explanation.unit in UNITS
    if not known or ends.min() < 0 or ends.max() >= len(glass) or not np.isfinite(explanation.displacement).all():
        raise InputError(
            f"the session is damaged: its explanation of atom {explanation.atom} by {explanation.method!s:.40} names "
            "atoms, a method or a unit that do not exist."
        )
    return explanation
