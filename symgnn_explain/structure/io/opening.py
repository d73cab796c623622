"""Files as bytes, text and frames, whatever they are compressed with and whatever they are called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from symgnn_explain.errors import InputError, NoSuchFrameError

T = TypeVar("T")

COMPRESSIONS = (".gz", ".bz2", ".xz")  # suffixes that say nothing about the format
_MAGIC = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, decompressed where its first bytes say that it is compressed.

    Raises InputError if the file cannot be opened, or its compression is damaged where it is read.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(6)
        opener = next((each for magic, each in _MAGIC if start.startswith(magic)), None)
        with path.open("rb") if opener is None else cast("BinaryIO", opener(path, "rb")) as stream:
            yield stream
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"the file cannot be opened, or its compression is damaged ({said(error)}).") from error


def read_bytes(path: Path) -> bytes:
    """Return the content, decompressed."""
    with opened(path) as stream:
        return stream.read()


def decoded(blob: bytes) -> str:
    """Return text: UTF-8, else Latin-1, which older programs write into comments."""
    try:
        return blob.decode("utf-8-sig")
    except UnicodeDecodeError:
        return blob.decode("latin-1")


def read_text(path: Path) -> io.StringIO:
    """Return the content as a stream of text with plain line ends."""
    return io.StringIO(decoded(read_bytes(path)), newline=None)


def plain_name(path: Path) -> Path:
    """Return the name without the suffix of a compression."""
    return Path(path.stem if path.suffix.lower() in COMPRESSIONS else path.name)


def said(error: BaseException) -> str:
    """Return what an error of a library says, on one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def chosen_frame(frames: Iterable[T], frame: int, what: str) -> T:
    """Return one frame, counted from 0, or from the end where negative; no more is read than needed.

    Raises NoSuchFrameError if there is no such frame.
    """
    count = 0
    last: deque[T] = deque(maxlen=min(max(1, -frame), sys.maxsize))
    for each in frames:
        last.append(each)
        if count == frame:
            return each
        count += 1
    if 0 < -frame <= count:
        return last[0]
    raise NoSuchFrameError(f"frame {frame} does not exist: the {what} has {count} frame(s), the first is 0.")


def require_only_frame(frame: int, what: str) -> None:
    """Raise NoSuchFrameError unless the only frame of a file is meant."""
    if frame not in (0, -1):
        raise NoSuchFrameError(f"frame {frame} does not exist: a {what} has one frame, 0.")
