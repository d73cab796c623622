"""Zip archives of plain members, written the same for the same content and read from anyone.

Nothing is extracted to disk, so that names of members lead nowhere; sizes are checked before anything is decompressed
or allocated; arrays are read without pickle.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_CONTENT = 2**31
"""Bytes that the members of an archive may have together, decompressed."""
MOST_MEMBERS = 10_000
PLAIN_KINDS = "biufU"
"""Kinds of numpy data that are read: booleans, numbers and text; no objects, no records."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can state


class DamagedArchiveError(ValueError):
    """Bytes that are not a whole archive, or not one of plain members."""


def add_member(archive: zipfile.ZipFile, name: str, blob: bytes) -> None:
    """Add a compressed member that says nothing of the time or the system it was written on."""
    member = zipfile.ZipInfo(name, date_time=_EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o644 << 16
    archive.writestr(member, blob)


@contextmanager
def opened(blob: bytes, *, largest: int = LARGEST_CONTENT) -> Iterator[zipfile.ZipFile]:
    """Open an archive; whatever is wrong with it, or with what is made of it inside, is a DamagedArchiveError.

    Parameters
    ----------
    blob
        The archive.
    largest
        Bytes that its members may have together, decompressed.

    Raises
    ------
    DamagedArchiveError
        If it is no whole zip archive, or claims to be larger than that.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            members = archive.infolist()
            # No more than what a member claims is ever decompressed.
            claimed = sum(member.file_size for member in members)
            if len(members) > MOST_MEMBERS or claimed > largest:
                raise DamagedArchiveError(f"it claims {len(members)} members of {claimed} bytes together")
            yield archive
    except DamagedArchiveError:
        raise
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RecursionError),
        *(KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError),
    ) as error:
        raise DamagedArchiveError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error


def encode_array(array: NDArray[Any]) -> bytes:
    """Write an array as ``.npy``; raises ValueError where it holds objects."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def decode_array(blob: bytes) -> NDArray[Any]:
    """Invert :func:`encode_array`.

    Raises
    ------
    ValueError
        If these are not the bytes of an array of booleans, numbers or text, as long as it says.
    """
    stream = io.BytesIO(blob)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is of another format than this version writes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a header that numpy doubts is not one that was written here
        try:
            shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
        except UserWarning as warning:
            raise ValueError(str(warning)) from warning
    if dtype.kind not in PLAIN_KINDS or dtype.names is not None:
        raise ValueError(f"an array holds {dtype}, not plain numbers or text")
    count, left = math.prod(shape), len(blob) - stream.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != left or dtype.itemsize == 0:
        raise ValueError(f"an array of shape {shape} and {dtype} has {left} bytes")
    flat = np.frombuffer(blob, dtype=dtype, count=count, offset=stream.tell())
    return flat.reshape(shape, order="F" if by_column else "C").copy()
