"""What is computed for many atoms: one record an atom, in a folder or in memory, and only what is not there yet."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from symgnn_explain.errors import InputError
from symgnn_explain.runs.files import WritingError, write_atomically, write_new
from symgnn_explain.runs.parallel import Task, run_each
from symgnn_explain.runs.progress import PopulationProgress, Tracker
from symgnn_explain.runs.record_format import DamagedRecordError, unpack
from symgnn_explain.runs.watch import CancelSignal, Watch

if TYPE_CHECKING:
    from distributed import Client

MANIFEST = "manifest.json"
SECONDS = "seconds.csv"
_RECORD = re.compile(r"atom-(\d{6,})\.npz")

Manifest = Mapping[str, Any]
"""What records are of, such as glass, predictor, method and settings; plain values."""


class DamagedRecordWarning(UserWarning):
    """A record was not whole."""


class Records:
    """Encoded results by atom, and the seconds that each took, kept in memory for as long as this lives."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = MappingProxyType(dict(manifest))
        """What they are of."""
        self._blobs: dict[int, bytes] = {}
        self._seconds: dict[int, float] = {}

    def open(self) -> None:
        """Make ready for writing."""

    def holds(self, atom: int) -> bool:
        """Whether there is a whole record of the atom."""
        return atom in self._blobs

    def read(self, atom: int) -> bytes:
        """Return an atom's record."""
        return self._blobs[atom]

    def write(self, atom: int, blob: bytes, seconds: float) -> None:
        """Keep an atom's record."""
        self._blobs[atom], self._seconds[atom] = blob, seconds

    def seconds(self) -> Mapping[int, float]:
        """Return how long it took, by atom, where that is known."""
        return self._seconds


class RecordFolder(Records):
    """Keeps records in files that appear whole or not at all, beside a manifest.

    The records and the manifest are the same for the same results. How long each took is another file's matter.

    ``folder``: where; made when the first file is written. ``manifest``: what the records are of; None to take it from
    the folder. ``what``: what the records are, for messages. Raises InputError if the folder's manifest is missing,
    cannot be read, or says otherwise.
    """

    def __init__(self, folder: Path, manifest: Manifest | None = None, *, what: str = "explanations") -> None:
        self.folder, self._what = folder, what
        path = folder / MANIFEST
        if path.exists():
            found = _read_manifest(path, what)
            if manifest is not None:
                _require_same(folder, found, manifest, what)
            self.manifest = MappingProxyType(found)
        elif manifest is None:
            raise InputError(f"{folder} holds no {what}: it has no {MANIFEST}.")
        elif next(self._files(), None) is not None:
            raise InputError(
                f"{folder} holds {what}, but no {MANIFEST} that says what they are of: choose another folder."
            )
        else:
            self.manifest = MappingProxyType(dict(manifest))
        self._run = run_of(self.manifest)

    def open(self) -> None:
        """Write the manifest, unless it is there; raises InputError where it is another run's, or cannot be written."""
        claim(self.folder / MANIFEST, self.manifest, self._what)

    def atoms(self) -> list[int]:
        """Return the atoms that have a record, in ascending order; whether it is whole is another question."""
        return sorted(int(match[1]) for path in self._files() if (match := _RECORD.fullmatch(path.name)))

    def holds(self, atom: int) -> bool:
        """Whether there is a whole record of the atom; warns of one that is not whole.

        Raises InputError if there is one that belongs to another run or another atom.
        """
        path = self._path(atom)
        if not path.exists():
            return False
        try:
            run, content = unpack(path.read_bytes())
        except DamagedRecordError as error:
            warnings.warn(f"{path} is not whole ({error}); it is computed anew.", DamagedRecordWarning, stacklevel=2)
            return False
        if run != self._run or content.get("atom") != atom:
            raise InputError(
                f"{path} is of another run or another atom than its folder and its name say: remove it, or choose "
                "another folder."
            )
        return True

    def read(self, atom: int) -> bytes:
        """Return an atom's record; raises InputError where it cannot be read."""
        try:
            return self._path(atom).read_bytes()
        except OSError as error:
            raise InputError(f"the record of atom {atom} cannot be read ({error}).") from error

    def write(self, atom: int, blob: bytes, seconds: float) -> None:
        """Keep an atom's record; raises InputError where nothing can be written."""
        write_atomically(self._path(atom), blob)
        try:
            with (self.folder / SECONDS).open("a", encoding="utf-8", newline="") as stream:
                heading = "" if stream.tell() else "atom,seconds"
                stream.write(f"{heading}\n{atom},{seconds:.6f}")  # on a line of its own, whatever a killed run left
        except OSError as error:
            raise WritingError.of(self.folder, error) from error

    def seconds(self) -> Mapping[int, float]:
        """Return how long it took, by atom, where that is known.

        A line that a killed run did not finish tells nothing, and is passed over.
        """
        path = self.folder / SECONDS
        if not path.exists():
            return {}
        with path.open(encoding="utf-8", newline="") as stream:
            return {int(row[0]): float(row[1]) for row in csv.reader(stream) if _is_timing(row)}

    def _path(self, atom: int) -> Path:
        return self.folder / f"atom-{atom:06d}.npz"

    def _files(self) -> Iterator[Path]:
        return self.folder.glob("atom-*.npz")


def plain_manifest(**content: Any) -> Manifest:
    """Build a manifest as it would be read back from a file."""
    return MappingProxyType(json.loads(_encoded(content)))


def claim(path: Path, manifest: Manifest, what: str) -> None:
    """Write what a folder is of into a file there; raises InputError where that says otherwise already.

    Of two runs that claim it at the same time, one does.
    """
    if path.exists() or not write_new(path, _encoded(manifest, indent=1) + b"\n"):
        _require_same(path.parent, _read_manifest(path, what), manifest, what)


def run_of(manifest: Manifest) -> str:
    """Name a run: SHA-256 of its manifest."""
    return hashlib.sha256(_encoded(manifest)).hexdigest()


def content_of(blob: bytes) -> dict[str, Any]:
    """Return what a record holds; raises InputError where these are not the bytes of a whole one."""
    try:
        return unpack(blob)[1]
    except DamagedRecordError as error:
        raise InputError(f"a record is damaged ({error}): compute it anew.") from error


def compute_missing(
    task: Task[tuple[int, ...], list[tuple[int, bytes, float]]],
    shared: Callable[[], Any],
    records: Records,
    atoms: Sequence[int],
    *,
    at_once: int = 1,
    workers: int = 1,
    client: Client | None = None,
    progress: Callable[[PopulationProgress], None] | None = None,
    cancel: CancelSignal | None = None,
) -> dict[int, Exception]:
    """Compute and keep the records that are missing; return the errors by atom, after all others were computed.

    ``task``: returns number, record and seconds of each of a few atoms; see :func:`~.parallel.run_each`. ``shared``:
    makes what all tasks share, where any are missing. ``at_once``: atoms in a task. Where a task of several fails, each
    of them is tried again alone. ``workers``, ``client``: of :func:`~.parallel.run_each`. ``progress``: called with the
    fraction done, which also knows the atoms done and the time left. ``cancel``: asked whether to stop. Raises
    InputError if a record belongs to another run, or nothing can be written; Cancelled if it was asked to stop; what
    was computed is kept.
    """
    watch = Watch(cancel=cancel)
    missing = []
    for place, atom in enumerate(atoms):
        watch.advance(place / len(atoms))
        if not records.holds(atom):
            missing.append(atom)
    tracker = Tracker(len(atoms), len(missing), progress, warms_up=workers > 1 or client is not None)
    errors: dict[int, Exception] = {}
    chunks = [tuple(missing[start : start + at_once]) for start in range(0, len(missing), at_once)]
    job = shared() if chunks else None
    records.open()
    while chunks:
        size = len(chunks[0])
        again: list[tuple[int, ...]] = []
        tasks = run_each(
            task,
            job,
            chunks,
            workers=workers,
            client=client,
            report=lambda fraction, size=size: tracker.part(fraction * size),  # type: ignore[misc]
            cancelled=(lambda: False) if cancel is None else cancel.is_set,
        )
        with closing(tasks):
            for outcome in tasks:
                if outcome.result is not None:
                    for atom, blob, seconds in outcome.result:
                        records.write(atom, blob, seconds)
                elif len(outcome.item) > 1:
                    again += [(atom,) for atom in outcome.item]
                    continue
                elif outcome.error is not None:
                    errors[outcome.item[0]] = outcome.error
                tracker.finished(len(outcome.item))
        chunks = again
    return errors


def _encoded(manifest: Manifest, *, indent: int | None = None) -> bytes:
    return json.dumps(dict(manifest), ensure_ascii=False, sort_keys=True, indent=indent).encode()


def _read_manifest(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): choose another folder.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is not the manifest of {what}: choose another folder.")
    return found


def _require_same(folder: Path, found: Manifest, wanted: Manifest, what: str) -> None:
    """Raise InputError that names what two manifests differ in."""
    differing = [key for key in dict.fromkeys([*wanted, *found]) if wanted.get(key) != found.get(key)]
    if differing:
        named = ", ".join(
            f"{key.replace('_', ' ')} ({_in_short(found.get(key), wanted.get(key))})" for key in differing
        )
        raise InputError(
            f"{folder} holds {what} that differ in {named}: choose another folder, or repeat what was done there."
        )


def _in_short(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        differing = [key for key in dict.fromkeys([*wanted, *found]) if found.get(key) != wanted.get(key)]
        return "; ".join(f"{key}: {_in_short(found.get(key), wanted.get(key))}" for key in differing)
    return f"{found!s:.24} there, {wanted!s:.24} here"


def _is_timing(row: list[str]) -> bool:
    return len(row) == 2 and row[0].isdecimal() and re.fullmatch(r"\d+\.\d{6}", row[1]) is not None
