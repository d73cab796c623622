"""Where the frames of a file are: found as far as they are asked for, and read one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Protocol

from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.ase_formats import (
    count_images,
    holds_frames,
    images_of,
    read_image,
    read_with_ase,
)
from symgnn_explain.structure.io.crystals import cif_blocks, parse_poscar, read_block, read_poscar, xdatcar_spans
from symgnn_explain.structure.io.lammps_data import read_lammps_data
from symgnn_explain.structure.io.lammps_dump import dump_spans, parse_lammps_dump
from symgnn_explain.structure.io.opening import Span, no_such_frame, opened
from symgnn_explain.structure.io.published import read_published_pickle
from symgnn_explain.structure.io.xyz import parse_xyz, xyz_spans

Species = Mapping[int, str] | None
Build = Callable[[], Glass]


class Source(Protocol):
    """The frames of a file; ``what`` is the file in words."""

    what: str

    def has(self, frame: int) -> bool:
        """Whether there is a frame of this number, from 0; no more is read than that needs."""
        ...

    def count(self) -> int:
        """Return how many frames there are."""
        ...

    def reader(self) -> AbstractContextManager[Callable[[int], Glass]]:
        """Give what reads a frame; in ascending order all take one way through the file."""
        ...


class Scanned:
    """A text file whose frames are told from each other without reading their atoms."""

    def __init__(
        self,
        path: Path,
        what: str,
        spans: Callable[[BinaryIO], Iterator[Span]],
        parse: Callable[[bytes], Glass],
    ) -> None:
        self.what, self._path, self._parse = what, path, parse
        self._known: list[Span] = []
        self._more = self._found(spans)
        self._lock = threading.Lock()  # frames are asked for from several threads

    def _found(self, spans: Callable[[BinaryIO], Iterator[Span]]) -> Iterator[Span]:
        with opened(self._path) as stream:
            yield from spans(stream)

    def has(self, frame: int) -> bool:
        """Whether there is a frame of this number; the file is looked through as far as that one."""
        with self._lock:
            while len(self._known) <= frame:
                span = next(self._more, None)
                if span is None:
                    return False
                self._known.append(span)
        return True

    def count(self) -> int:
        """Look through the whole file."""
        with self._lock:
            self._known.extend(self._more)
        return len(self._known)

    @contextmanager
    def reader(self) -> Iterator[Callable[[int], Glass]]:
        """Read from a stream of its own, which a compressed file is read along forwards."""
        with opened(self._path) as stream:

            def read(frame: int) -> Glass:
                if not self.has(frame):
                    raise no_such_frame(frame, self.what, self.count())
                return self._parse(self._known[frame].read(stream))

            yield read


class Listed:
    """A file whose structures are known once it is opened."""

    def __init__(self, what: str, load: Callable[[], Sequence[Build]]) -> None:
        self.what, self._load = what, load

    @cached_property
    def _builds(self) -> Sequence[Build]:
        return self._load()

    def has(self, frame: int) -> bool:
        """Whether there is a structure of this number."""
        return frame < self.count()

    def count(self) -> int:
        """Return how many structures there are."""
        return len(self._builds)

    @contextmanager
    def reader(self) -> Iterator[Callable[[int], Glass]]:
        """Build structures."""
        yield lambda frame: self._builds[frame]()


class Passed:
    """A file that ASE reads from the first frame on."""

    def __init__(self, what: str, images: Callable[[], Iterator[Glass]]) -> None:
        self.what, self._images = what, images

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self._images())

    def has(self, frame: int) -> bool:
        """Whether there is a frame of this number."""
        return frame < self._count

    def count(self) -> int:
        """Read the whole file."""
        return self._count

    @contextmanager
    def reader(self) -> Iterator[Callable[[int], Glass]]:
        """Read on from frame to frame, and from the first one where an earlier one is asked for."""
        images, at = self._images(), 0

        def read(frame: int) -> Glass:
            nonlocal images, at
            if frame < at:
                images, at = self._images(), 0
            for glass in images:
                at += 1
                if at > frame:
                    return glass
            raise no_such_frame(frame, self.what, at)

        yield read


_SCANNED = {
    "extxyz": ("XYZ file", xyz_spans, parse_xyz),
    "xyz": ("XYZ file", xyz_spans, parse_xyz),
    "lammps-dump-text": ("LAMMPS dump", dump_spans, parse_lammps_dump),
    "vasp-xdatcar": ("XDATCAR file", xdatcar_spans, parse_poscar),
}
_SINGLE = {
    "lammps-data": ("LAMMPS data file", read_lammps_data),
    "vasp": ("POSCAR file", read_poscar),
    "pickle": ("published pickle", read_published_pickle),
}


def source_of(path: Path, format: str, species: Species) -> Source:  # noqa: A002
    """Return the frames of a file; ASE reads the formats that have no reader here."""
    if format in _SCANNED:
        what, spans, parse = _SCANNED[format]
        return Scanned(path, what, spans, lambda text: parse(text, species))
    if format in _SINGLE:
        what, read = _SINGLE[format]
        return Listed(what, lambda: [partial(read, path, species)])
    if format == "cif":
        return Listed(
            "CIF file with structures", lambda: [partial(read_block, block, species) for block in cif_blocks(path)]
        )
    what = f"{format!r} file"
    if format == "traj":
        return Listed(what, lambda: [partial(read_image, path, frame, species) for frame in range(count_images(path))])
    if holds_frames(format):
        return Passed(what, lambda: images_of(path, species, format))
    return Listed(what, lambda: [partial(read_with_ase, path, species, format)])
