"""What a session holds beside its explanations: the trajectory that its glass is of, edits, and the undo list."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.archive import PlainArchive
from symgnn_explain.runs.names import printable
from symgnn_explain.runs.plain import (
    LONGEST_WORDS,
    MOST_NAMES,
    NotPlainError,
    entry,
    one_of,
    whole,
    word,
)
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.io import Trajectory
from symgnn_explain.structure.io.reading import SUFFIXES

_NONE = -1  # stands for no atom and no explanation in arrays
_FORMATS = ("", "xyz", "vasp-xdatcar", "traj", *dict.fromkeys(SUFFIXES.values()))
"""Formats that a session may name: no reader of theirs executes anything."""
UNIDENTIFIED = "?"
"""Stands for the hash of a potential that cannot be told from others."""
_SHA256 = re.compile(r"(?:[0-9a-f]{64})?")
EDITS = "edits.json"
"""The member of a session file that holds them."""
_LONGEST_EDITS = 2**25  # bytes: words that name each of a million atoms


@dataclass(frozen=True)
class SavedTrajectory:
    """The file of frames that the glass of a session is one of; its content is not in the session.

    Parameters
    ----------
    path
        The way to it from the folder of the session, with forward slashes; its name alone where that way would name
        the home of who saved the session.
    size, sha256
        Of the file; the hash is empty where the file was gone when the session was saved.
    home, number
        The frame that is explained, and the one that is looked at.
    species, format
        What the file was read with; empty where nothing was said.
    potential
        Hash of what tells the potential from others that frames were relaxed with; empty where they were not.
    """

    path: str
    size: int
    sha256: str
    home: int
    number: int
    species: Mapping[int, str]
    format: str = ""
    potential: str = ""

    @classmethod
    def of(
        cls, trajectory: Trajectory, folder: Path, home: int, number: int, calculator: Any = None
    ) -> SavedTrajectory:
        """Describe the trajectory of a session that is saved in ``folder``; the whole file is read for its hash."""
        path = trajectory.path.absolute()
        size, sha256 = fingerprint(path) if path.is_file() else (0, "")
        given = trajectory.format or ""
        return cls(
            _way(path, folder.absolute()),
            size,
            sha256,
            home,
            number,
            trajectory.species or {},
            given if given in _FORMATS else "",
            "" if calculator is None else potential_hash(calculator),
        )

    def open(self, folder: Path | None, glass: Glass, given: str | Path | None = None) -> Trajectory:
        """Open the file, where it is as it was.

        Parameters
        ----------
        folder
            Of the session file; None where that was uploaded and has none.
        glass
            Of the session, which has to be the frame that was explained.
        given
            Where the trajectory is now, if not where it was or beside the session.

        Raises
        ------
        InputError
            If it is gone, has changed, or holds another frame.
        """
        name = PurePosixPath(self.path).name
        if not self.sha256:
            raise InputError(f"the trajectory {name} was gone when the session was saved: open it by itself.")
        if given is None and folder is None:
            raise InputError(f"the trajectory {name} is looked for near the session: open the session by its path.")
        places = [Path(given).expanduser()] if given is not None else [(folder or Path()) / self.path]
        if folder is not None and given is None:
            places.append(folder / name)
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            said = printable(os.path.normpath(places[0]))
            raise InputError(f"the trajectory {said} is gone: bring it back, or put it beside the session.")
        said = printable(os.path.normpath(path))
        if path.stat().st_size != self.size or fingerprint(path) != (self.size, self.sha256):
            raise InputError(f"the trajectory {said} has changed since the session was saved: open it by itself.")
        trajectory = Trajectory(path, species=self.species or None, format=self.format or None)
        last = len(trajectory) - 1
        if max(self.home, self.number) > last:
            raise InputError(f"the trajectory {said} ends at frame {last}, and the session is of a later one.")
        frame = trajectory[self.home]
        same = (
            np.array_equal(frame.numbers, glass.numbers) if self.potential else frame.content_hash == glass.content_hash
        )
        if not same:
            raise InputError(f"frame {self.home} of the trajectory {said} is not the structure of the session.")
        return trajectory


@dataclass(frozen=True, eq=False)
class SavedEdit:
    """One step of a structure that is edited: words, or the places that its atoms have relaxed to.

    Parameters
    ----------
    words
        The edits, each by numbers of atoms.
    positions
        Of a step that relaxed, shape (N,3), Å; else None.
    largest_force
        That was left then, in words.
    """

    words: str
    positions: FloatArray | None = None
    largest_force: str = ""


@dataclass(frozen=True)
class SavedStep:
    """What was selected, looked at and shown: a place of the undo list.

    ``explanation``: its place among the explanations of the session; None where none was shown.
    """

    selection: tuple[int, ...]
    atom: int | None
    explanation: int | None


def fingerprint(path: Path) -> tuple[int, str]:
    """Return the size of a file and the SHA-256 of its content; raises InputError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{printable(path)} cannot be read ({error.strerror}).") from error


def potential_hash(calculator: Any) -> str:
    """Return a hash of what tells a potential from others, or ``UNIDENTIFIED`` where nothing does."""
    try:
        identity = calculator.identity
    except InputError:
        return UNIDENTIFIED
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


def trajectory_entry(saved: SavedTrajectory | None) -> dict[str, Any] | None:
    """Return what the header of a session says of its trajectory."""
    return None if saved is None else {**vars(saved), "species": {str(kind): s for kind, s in saved.species.items()}}


def read_trajectory(header: Mapping[str, Any]) -> SavedTrajectory | None:
    """Invert :func:`trajectory_entry`; raises NotPlainError, or InputError where species are none."""
    said = entry(header, "trajectory", dict, type(None))
    if said is None:
        return None
    path = word(said, "path", longest=LONGEST_WORDS)
    parts = PurePosixPath(path)
    if parts.is_absolute() or re.search(r"[\\:\0]", path) or parts.name in ("", ".."):
        raise NotPlainError("it names its trajectory by a way that does not begin at the session")
    sha256, potential = (word(said, name) for name in ("sha256", "potential"))
    if not _SHA256.fullmatch(sha256) or not (_SHA256.fullmatch(potential) or potential == UNIDENTIFIED):
        raise NotPlainError("its trajectory has a hash that is none")
    species = entry(said, "species", dict)
    if len(species) > MOST_NAMES or not all(re.fullmatch(r"[0-9]{1,9}", kind) for kind in species):
        raise NotPlainError("its trajectory has species of types that are no numbers")
    return SavedTrajectory(
        path,
        whole(said, "size"),
        sha256,
        whole(said, "home"),
        whole(said, "number"),
        {int(kind): word(species, kind) for kind in species},
        one_of(said, "format", _FORMATS),
        potential,
    )


def edits_members(edits: Sequence[SavedEdit]) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Return the JSON of edits, and the arrays beside it; raises InputError where it would not be read again."""
    listed = [{"words": edit.words, "largest_force": edit.largest_force} for edit in edits]
    blob = json.dumps(listed, ensure_ascii=False).encode()
    if len(blob) > _LONGEST_EDITS or len(edits) > MOST_NAMES:
        raise InputError(
            "the session would not be read again (its edits are too many): undo some, or explore the result."
        )
    arrays = {f"edits/{place}": edit.positions for place, edit in enumerate(edits) if edit.positions is not None}
    return blob, arrays


def read_edits_of(archive: PlainArchive) -> tuple[SavedEdit, ...]:
    """Invert :func:`edits_members`; raises NotPlainError or DamagedArchiveError."""
    listed = archive.plain(EDITS, largest=_LONGEST_EDITS)
    if not isinstance(listed, list) or len(listed) > MOST_NAMES:
        raise NotPlainError("its edits are no list, or too many")
    edits = []
    for place, said in enumerate(listed):
        force = word(said, "largest_force")
        positions = None
        if force:
            positions = archive.array(f"edits/{place}.npy", np.float64)
            if positions.ndim != 2 or positions.shape[1] != 3 or not np.isfinite(positions).all():
                raise NotPlainError("an edit of it relaxed to no places")
        edits.append(SavedEdit(word(said, "words", longest=_LONGEST_EDITS), positions, force))
    return tuple(edits)


def steps_arrays(steps: Sequence[SavedStep]) -> dict[str, NDArray[Any]]:
    """Return the undo list as arrays."""
    ends = np.cumsum([0, *(len(step.selection) for step in steps)])
    return {
        "steps/first": ends.astype(np.int64),
        "steps/selected": np.array([atom for step in steps for atom in step.selection], dtype=np.int64),
        "steps/atom": _or_none([step.atom for step in steps]),
        "steps/explanation": _or_none([step.explanation for step in steps]),
    }


def read_steps(archive: PlainArchive, glass: Glass, explanations: Sequence[AtomExplanation]) -> tuple[SavedStep, ...]:
    """Invert :func:`steps_arrays`; raises NotPlainError or DamagedArchiveError where it does not hold together."""
    first, selected, atoms, places = (
        archive.array(f"steps/{name}.npy", np.int64) for name in ("first", "selected", "atom", "explanation")
    )
    count = len(atoms) if atoms.ndim == 1 else _NONE
    whole_list = (
        0 < count <= MOST_NAMES
        and first.shape == (count + 1,)
        and places.shape == (count,)
        and selected.ndim == 1
        and first[0] == 0
        and first[-1] == len(selected)
        and (np.diff(first) >= 0).all()
        and selected.min(initial=0) >= 0
        and selected.max(initial=0) < len(glass)
        and places.min() >= _NONE
        and places.max() < len(explanations)
    )
    if not whole_list:
        raise NotPlainError("its undo list does not hold together")
    steps = []
    for start, end, atom, place in zip(first[:-1], first[1:], atoms.tolist(), places.tolist(), strict=True):
        selection = tuple(selected[start:end].tolist())
        empty = atom == _NONE and not selection
        shown = place == _NONE or explanations[place].atom == atom
        if not (empty or atom in selection) or len(set(selection)) != len(selection) or not shown:
            raise NotPlainError("its undo list does not hold together")
        steps.append(SavedStep(selection, None if atom == _NONE else atom, None if place == _NONE else place))
    return tuple(steps)


def _or_none(values: Sequence[int | None]) -> NDArray[np.int64]:
    return np.array([_NONE if value is None else value for value in values], dtype=np.int64)


def _way(path: Path, folder: Path) -> str:
    """Return the way from a folder to a file, or the name alone where that would say whose computer it is."""
    home = Path.home()
    if path.is_relative_to(home) and not folder.is_relative_to(home):
        return printable(path.name)
    try:
        way = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        way = path.name
    return printable(way) if len(way) <= LONGEST_WORDS and not re.search(r"[\\:\0]", way) else printable(path.name)
