"""Reading glasses and trajectories: which format a file has, and the sentence that names it where it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from operator import index
from pathlib import Path
from typing import overload

from symgnn_explain.errors import InputError, NoSuchFrameError, SpeciesNeededError
from symgnn_explain.runs.names import one_line_name
from symgnn_explain.structure.glass import Glass, atomic_number
from symgnn_explain.structure.io.ase_formats import ase_format_of
from symgnn_explain.structure.io.opening import no_such_frame, opened, plain_name
from symgnn_explain.structure.io.sources import source_of
from symgnn_explain.structure.io.tables import is_count

ALL = slice(None)
"""All frames."""

SUFFIXES = {
    **dict.fromkeys((".xyz", ".extxyz", ".exyz"), "extxyz"),
    **dict.fromkeys((".dump", ".lammpstrj", ".lammpsdump"), "lammps-dump-text"),
    **dict.fromkeys((".data", ".lmp", ".lammps"), "lammps-data"),
    **dict.fromkeys((".pickle", ".pkl"), "pickle"),
    **dict.fromkeys((".vasp", ".poscar"), "vasp"),
    ".cif": "cif",
}
"""Formats by suffix, which counts more than the rest of a name."""


def read_glass(
    path: str | Path,
    *,
    species: Mapping[int, str] | None = None,
    frame: int = -1,
    format: str | None = None,  # noqa: A002 - the name that ASE's users know
) -> Glass:
    """Read one structure.

    Parameters
    ----------
    path
        Extended XYZ, LAMMPS data or dump, POSCAR, CIF or anything else that ASE reads, or a pickle of the published
        data set; compressed with gzip, bzip2 or xz as well.
    species
        Chemical symbol of each type, for example ``{1: "Cu", 2: "Zr"}``. It comes before everything that the file says.
        Needed where a file has types and does not say what they are; if type labels, comments or masses say it, they
        are used, and ``provenance["species"]`` says so.
    frame
        Which frame of a trajectory, the last by default.
    format
        ASE's name of the format (or ``pickle``), where the file does not tell.

    Returns
    -------
    Glass
        Atoms of LAMMPS files are ordered by their ids, which are kept as the array ``id``; others are in the file's
        order. All further columns are kept as arrays under their own names.

    Raises
    ------
    InputError
        If the file is missing, truncated, unreadable, or holds no valid glass; ``SpeciesNeededError`` where only the
        species of its types are missing.

    Examples
    --------
    >>> glass = read_glass("quench.lammpstrj", species={1: "Cu", 2: "Zr"})  # doctest: +SKIP
    >>> glass.arrays["id"][17]  # the LAMMPS id of atom 17  # doctest: +SKIP
    """
    return Trajectory(path, species=species, format=format)[frame]


class Trajectory(Sequence[Glass]):
    """The frames of a file, each found and read when it is asked for.

    A trajectory is opened without reading it, and no frame is kept. Its length is known once the whole file was looked
    through; of LAMMPS dumps, XYZ and XDATCAR files that is done without reading atoms, and a ``.traj`` file says it.

    Parameters
    ----------
    path, species, format
        As for :func:`read_glass`.

    Raises
    ------
    InputError
        If the file is missing, or its format is not known; and as :func:`read_glass` where a frame is read.

    Examples
    --------
    >>> frames = Trajectory("md.lammpstrj", species={1: "Cu", 2: "Zr"})  # doctest: +SKIP
    >>> [glass.volume for glass in frames.read(frames.numbers(slice(None, None, 10)))]  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | Path,
        *,
        species: Mapping[int, str] | None = None,
        format: str | None = None,  # noqa: A002
    ) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise InputError(f"{one_line_name(self.path)} is a folder, which is not a file: name a file in it.")
        if not self.path.is_file():
            raise InputError(f"{one_line_name(self.path)} is not a file: check the path.")
        if self.path.stat().st_size == 0:
            raise InputError(f"{one_line_name(self.path)} is empty.")
        self.species, self.format = _valid_map(species), format
        with self._named():
            self._source = source_of(self.path, format or format_of(self.path), self.species)

    def __repr__(self) -> str:
        return f"Trajectory({str(self.path)!r})"

    def __len__(self) -> int:
        with self._named():
            return self._source.count()

    @overload
    def __getitem__(self, frame: int) -> Glass: ...
    @overload
    def __getitem__(self, frame: slice) -> list[Glass]: ...
    def __getitem__(self, frame: int | slice) -> Glass | list[Glass]:
        if isinstance(frame, slice):
            return list(self.read(self.numbers(frame)))
        return next(self.read([self.number(frame)]))

    def __iter__(self) -> Iterator[Glass]:
        return self.read(self.numbers(slice(None)))

    def number(self, frame: int) -> int:
        """Return the number of a frame from 0, also where it is counted from the end.

        Raises InputError if there is no such frame.
        """
        asked = _valid_frame(frame)
        with self._named():
            place = asked if asked >= 0 else asked + self._source.count()
            if place < 0 or not self._source.has(place):
                raise no_such_frame(asked, self._source.what, self._source.count())
        return place

    def numbers(self, chosen: slice | str = ALL) -> Iterator[int]:
        """Yield the numbers of the frames that are chosen; the file is looked through as far as that needs.

        Parameters
        ----------
        chosen
            A slice; or numbers and slices in words, such as ``::10``, ``100:200``, ``-10:`` or ``0,5,-1``.

        Raises
        ------
        InputError
            If the words are none of these, or choose no frame.
        """
        found: set[int] = set()
        for part in frame_choice(chosen) if isinstance(chosen, str) else [chosen]:
            for frame in self._sliced(part) if isinstance(part, slice) else [self.number(part)]:
                if frame not in found:
                    found.add(frame)
                    yield frame
        if not found:
            with self._named():
                said = chosen if isinstance(chosen, str) else "that choice"
                raise NoSuchFrameError(f"{said} chooses none of the frames: the {self._source.what} has {len(self)}.")

    def _sliced(self, chosen: slice) -> Iterator[int]:
        start, stop, step = chosen.start or 0, chosen.stop, 1 if chosen.step is None else chosen.step
        if start < 0 or (stop or 0) < 0 or step < 1:
            yield from range(*chosen.indices(len(self)))
            return
        for frame in count(start, step) if stop is None else range(start, stop, step):
            with self._named():
                if not self._source.has(frame):
                    return
            yield frame

    def read(self, frames: Iterable[int]) -> Iterator[Glass]:
        """Read frames one after another; in ascending order that takes one way through the file.

        Raises InputError at a frame that cannot be read.
        """
        with self._source.reader() as build:
            for frame in frames:
                with self._named(f", frame {frame}" if frame else ""), self._earlier_named(frame):
                    glass = build(frame)
                yield replace(glass, name=self.path.stem, provenance={**glass.provenance, "file": self.path.name})

    @contextmanager
    def _earlier_named(self, frame: int) -> Iterator[None]:
        """Say what to do where the last frame of several is cut off: the program that writes it may not have ended."""
        try:
            yield
        except InputError as error:
            if not frame or "truncated" not in str(error) or self._source.has(frame + 1):
                raise
            said = str(error).removesuffix(".")
            raise InputError(f"{said}; earlier frames may be whole, the last of them is {frame - 1}.") from error

    @contextmanager
    def _named(self, which: str = "") -> Iterator[None]:
        """Name the file, and which frame of it, in what is raised."""
        named = one_line_name(self.path) + which
        try:
            yield
        except SpeciesNeededError as error:
            raise SpeciesNeededError(f"{named}: {error}", error.types) from None
        except NoSuchFrameError as error:
            raise NoSuchFrameError(f"{named}: {error}") from None
        except InputError as error:
            raise InputError(f"{named}: {error}") from error.__cause__
        except OSError as error:
            raise InputError(f"{named} cannot be opened ({error.strerror}).") from error


def read_frames(
    path: str | Path,
    frames: slice | str = ALL,
    *,
    species: Mapping[int, str] | None = None,
    format: str | None = None,  # noqa: A002
) -> Iterator[Glass]:
    """Read frames of a file one at a time: all, or those that are chosen as for :meth:`Trajectory.numbers`.

    Raises
    ------
    InputError
        As :func:`read_glass`, at the frame that cannot be read.
    """
    trajectory = Trajectory(path, species=species, format=format)
    return trajectory.read(trajectory.numbers(frames))


def frame_choice(words: str) -> list[int | slice]:
    """Read numbers and slices of frames, such as ``::10`` or ``0,5,-1``.

    Raises InputError if the words are none.
    """
    parts: list[int | slice] = []
    for word in words.split(","):
        ends = [end.strip() for end in word.split(":")]
        if (
            len(ends) > 3
            or not all(re.fullmatch(r"[+-]?\d{1,18}", end, re.ASCII) or not end for end in ends)
            or ends == [""]
        ):
            raise InputError(
                f"the frames {words!r} cannot be understood at {word!r}: expected numbers and slices such as ::10, "
                "100:200, -10: or 0,5,-1."
            )
        numbers = [int(end) if end else None for end in ends]
        if len(numbers) == 3 and numbers[2] == 0:
            raise InputError(f"the frames {words!r} have a step of 0: expected 1 or more.")
        parts.append(slice(*numbers) if len(numbers) > 1 else int(ends[0]))
    return parts


def _valid_map(species: object) -> dict[int, str] | None:
    """Return the map with its types as numbers, also where they are written as text, as JSON does."""
    if species is None:
        return None
    if not isinstance(species, Mapping) or not all(is_count(str(kind)) for kind in species):
        raise InputError(
            f"species={str(species)[:80]} is no map from types to symbols: give one, for example {{1: 'Cu', 2: 'Zr'}}."
        )
    for symbol in species.values():
        atomic_number(symbol)
    return {int(str(kind)): symbol for kind, symbol in species.items()}


def _valid_frame(frame: object) -> int:
    try:
        return index(frame)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"frame {frame!r} is no whole number: frames are counted from 0, the last is -1.") from None


def format_of(path: Path) -> str:
    """Return the format of a file, by what it begins with, its suffix, or else ASE's guess.

    Raises InputError if nothing tells.
    """
    with opened(path) as stream:
        head = stream.read(4096)
    name = plain_name(path)
    if head.startswith(b"ITEM:"):
        return "lammps-dump-text"
    if name.suffix.lower() in SUFFIXES:
        return SUFFIXES[name.suffix.lower()]
    if re.search(rb"^\s*\d+\s+atom types\b", head, re.MULTILINE):
        return "lammps-data"
    return ase_format_of(path, head, name)
