"""Files as bytes, text and frames, whatever they are compressed with and whatever they are called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from symgnn_explain.errors import InputError, NoSuchFrameError

COMPRESSIONS = (".gz", ".bz2", ".xz")  # suffixes that say nothing about the format
_CHUNK, _ROWS = 2**20, 10_000  # bytes and rows that are read at once where frames are looked for
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


def as_text(content: bytes) -> io.StringIO:
    """Return a stream of text with plain line ends."""
    return io.StringIO(decoded(content), newline=None)


def read_text(path: Path) -> io.StringIO:
    """Return the content as a stream of text with plain line ends."""
    return as_text(read_bytes(path))


def plain_name(path: Path) -> Path:
    """Return the name without the suffix of a compression."""
    return Path(path.stem if path.suffix.lower() in COMPRESSIONS else path.name)


def said(error: BaseException) -> str:
    """Return what an error of a library says, on one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


class Span(NamedTuple):
    """Where a frame stands in a file.

    Parameters
    ----------
    begin, size
        Its first byte and how many there are, of the decompressed file; up to the end where the size is -1.
    before
        What an earlier part of the file says of this frame too, in the file's own words.
    """

    begin: int
    size: int = -1
    before: bytes = b""

    def read(self, stream: BinaryIO) -> bytes:
        """Return the frame as a file of its own."""
        stream.seek(self.begin)
        return self.before + stream.read(self.size)


def marked_lines(stream: BinaryIO, marker: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Find the lines that begin with a marker: yield where each begins, the line, and the one below it."""
    needle, kept, offset = b"\n" + marker, b"\n", -1
    while True:
        chunk = stream.read(_CHUNK)
        kept += chunk
        at = kept.find(needle)
        while at >= 0:
            first = kept.find(b"\n", at + 1)
            second = kept.find(b"\n", first + 1) if first >= 0 else -1
            if second < 0 and chunk:
                break
            first = len(kept) if first < 0 else first
            yield offset + at + 1, kept[at + 1 : first], kept[first + 1 : len(kept) if second < 0 else second]
            at = kept.find(needle, first)
        if not chunk:
            return
        done = at if at >= 0 else max(0, len(kept) - len(needle) + 1)
        kept, offset = kept[done:], offset + done


def skip_rows(stream: BinaryIO, count: int) -> tuple[int, int]:
    """Read on over so many rows, or fewer up to an empty one; return how many there were, and their bytes."""
    rows = size = 0
    while rows < count:
        lines = list(islice(stream, min(count - rows, _ROWS)))
        full = len(lines)
        if not lines or not all(map(bytes.strip, lines)):
            full = next((row for row, line in enumerate(lines) if not line.strip()), 0)
        rows, size = rows + full, size + sum(map(len, lines[:full]))
        if not lines or full < len(lines):
            break
    return rows, size


def no_such_frame(frame: int, what: str, count: int) -> NoSuchFrameError:
    """Return the error of a frame that a file does not have."""
    if not count:
        return NoSuchFrameError(
            f"there is no frame in the {what}: it is blank, damaged, or not the expected text (binary, UTF-16), "
            "so convert it, or name its format."
        )
    return NoSuchFrameError(f"frame {frame} does not exist: the {what} has {count} frame(s), the first is 0.")
