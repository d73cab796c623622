"""Zip archives of plain members, written the same for the same content and read from anyone.

Nothing is extracted to disk, so that names of members lead nowhere. Sizes are checked before anything is decompressed
or allocated, those of archives inside of archives too. Arrays are read without pickle, and without numpy's parser of
headers. What is damaged is found by explicit checks: an error of this program is never taken for a damaged file.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.runs.plain import LARGEST_TEXT, NotPlainError, read_plain

LARGEST_CONTENT = 2**31
"""Bytes that one file may hold in all, decompressed and in memory, archives inside of it included."""
MOST_MEMBERS = 10_000
PLAIN_KINDS = "biufU"  # kinds of numpy data that are read: booleans, numbers and text; no objects, no records
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can state
_END = struct.Struct("<4s4H2LH")  # end of the central directory
_ZIP64_LOCATOR = b"PK\x06\x07"
_BYTES_A_MEMBER = 512
"""Of the central directory, at most; with the names of members that are written here it is a hundred."""
_ENCRYPTED = 0x1
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,300}")
_NPY = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>\|b1|\|[iu]1|[<>][iuf][248]|[<>]U[1-9]\d{0,6})', "
    r"'fortran_order': (?P<by_column>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,15}, ?)*\d{0,15})\), \} *\n"
)
_WHOLE_DTYPE = re.compile(r"\|b1|\|[iu]1|[<>][iuf][248]|[<>]U[1-9]\d{0,6}")
_MOST_AXES = 8
_LAST_CHARACTER, _SURROGATES = 0x10FFFF, (0xD800, 0xDFFF)


class DamagedArchiveError(ValueError):
    """Bytes that are not a whole archive, or not one of plain members."""


class Allowance:
    """Memory that reading one file may still take, archives inside of it included.

    ``largest``: bytes.
    """

    def __init__(self, largest: int = LARGEST_CONTENT) -> None:
        self.largest = self.left = largest

    def take(self, n_bytes: int, what: str) -> None:
        """Count memory that is about to be taken; raises DamagedArchiveError where it is too much."""
        if n_bytes > self.left:
            raise DamagedArchiveError(f"{what} of {n_bytes} bytes, and at most {self.largest} bytes are read in all")
        self.left -= n_bytes


def add_member(archive: zipfile.ZipFile, name: str, blob: bytes) -> None:
    """Add a compressed member that says nothing of the time or the system it was written on."""
    member = zipfile.ZipInfo(name, date_time=_EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o644 << 16
    archive.writestr(member, blob, compresslevel=1)  # numbers: the highest saves a fiftieth, and takes twice the time


class PlainArchive:
    """An archive in memory.

    ``blob``: the archive. ``allowance``: what its members may take; that of the archive that this one is inside of.
    Raises DamagedArchiveError if it is no whole zip archive, claims to be larger than that, or has members that are
    never written here: under one name, with names that lead elsewhere, encrypted or compressed in another way.
    """

    def __init__(self, blob: bytes, allowance: Allowance | None = None) -> None:
        self._allowance = Allowance() if allowance is None else allowance
        _require_small_directory(blob)
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(blob))
        except _NOT_A_ZIP as error:
            raise DamagedArchiveError(_said(error)) from error
        members = self._archive.infolist()
        # No more than what a member claims is ever decompressed.
        claimed = sum(member.file_size for member in members)
        if len(members) > MOST_MEMBERS:
            raise DamagedArchiveError(f"it claims {len(members)} members, more than {MOST_MEMBERS}")
        self._allowance.take(claimed, f"it claims {len(members)} members")
        names = [member.filename for member in members]
        odd = [name for name in names if not _NAME.fullmatch(name) or ".." in name.split("/") or name[:1] == "/"]
        if odd or len(set(names)) != len(names):
            raise DamagedArchiveError("it has members of odd names, or several of one name")
        kinds = {member.compress_type for member in members}
        if not kinds <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or any(
            member.flag_bits & _ENCRYPTED for member in members
        ):
            raise DamagedArchiveError("it has members that are encrypted or compressed in an unknown way")
        self._names = frozenset(names)

    @property
    def allowance(self) -> Allowance:
        """What may still be read."""
        return self._allowance

    def read(self, name: str) -> bytes:
        """Return a member; raises DamagedArchiveError where it is missing or not whole."""
        if name not in self._names:
            raise DamagedArchiveError(f"it has no member {name[:100]!r}")
        try:
            return self._archive.read(name)
        except _NOT_A_ZIP as error:
            raise DamagedArchiveError(_said(error)) from error

    def plain(self, name: str, *, largest: int = LARGEST_TEXT) -> Any:
        """Return a member that is JSON; raises DamagedArchiveError where it is none, too long or too deep."""
        try:
            return read_plain(self.read(name), largest=largest)
        except NotPlainError as error:
            raise DamagedArchiveError(f"{name}: {error}") from error

    def array(self, name: str, dtype: type[np.generic] | None = None) -> NDArray[Any]:
        """Return a member that is an array, of another type where ``dtype`` says so; raises DamagedArchiveError."""
        array = decode_array(self.read(name))
        if dtype is None or array.dtype == dtype:
            return array
        if array.dtype.kind not in _NARROWER[np.dtype(dtype).kind]:
            raise DamagedArchiveError(f"{name} holds {array.dtype}, not {np.dtype(dtype)}")
        self._allowance.take(array.size * np.dtype(dtype).itemsize, f"{name} is an array")
        return array.astype(dtype)


_NARROWER = {"b": "b", "i": "iu", "f": "f"}  # kinds of numbers that an array of a kind may be stored as
_NOT_A_ZIP = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, IndexError, OverflowError, NotImplementedError, RuntimeError),
)
"""What the standard library raises on bytes that are not a whole archive."""


def encode_array(array: NDArray[Any]) -> bytes:
    """Write an array as ``.npy``; raises ValueError where it holds anything but plain numbers or text."""
    if not _WHOLE_DTYPE.fullmatch(np.lib.format.dtype_to_descr(array.dtype)):
        raise ValueError(f"an array holds {array.dtype}, not plain numbers or text")
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def decode_array(blob: bytes) -> NDArray[Any]:
    """Invert :func:`encode_array`.

    Raises DamagedArchiveError if these are not the bytes of an array of booleans, numbers or text, as long as it says.
    """
    start = len(_NPY) + 2
    length = int.from_bytes(blob[len(_NPY) : start], "little")
    header = _NPY_HEADER.fullmatch(blob[start : start + length].decode("latin-1"))
    if not blob.startswith(_NPY) or header is None:
        raise DamagedArchiveError("an array is of another format than this version writes: not plain numbers or text")
    shape = tuple(int(side) for side in header["shape"].split(",") if side.strip())
    dtype = np.dtype(header["dtype"])
    count, left = math.prod(shape), len(blob) - start - length
    sides = math.prod(max(side, 1) for side in shape)  # of an empty array too
    if count * dtype.itemsize != left or len(shape) > _MOST_AXES or sides > LARGEST_CONTENT:
        raise DamagedArchiveError(f"an array of shape {shape[:8]} and {dtype} has {max(left, 0)} bytes")
    flat = np.frombuffer(blob, dtype=dtype, count=count, offset=start + length)
    _require_values_that_exist(flat)
    shaped = flat.reshape(shape, order="F" if header["by_column"] == "True" else "C")
    return shaped.astype(dtype.newbyteorder("="))


def _require_values_that_exist(flat: NDArray[Any]) -> None:
    """Raise DamagedArchiveError where bytes stand for no boolean, or for no character."""
    if flat.dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise DamagedArchiveError("an array of booleans holds other values")
    if flat.dtype.kind == "U":
        codes = flat.view(np.dtype(np.uint32).newbyteorder(flat.dtype.byteorder))
        first, last = _SURROGATES
        if ((codes > _LAST_CHARACTER) | ((codes >= first) & (codes <= last))).any():
            raise DamagedArchiveError("an array of text holds what is no character")


def _require_small_directory(blob: bytes) -> None:
    """Raise DamagedArchiveError unless the list of members is where it is written here, and of a size to be read."""
    if len(blob) < _END.size:
        raise DamagedArchiveError("it is cut off")
    signature, *_, size, _offset, comment = _END.unpack(blob[-_END.size :])
    if signature != b"PK\x05\x06" or comment or blob[-_END.size - 20 :].startswith(_ZIP64_LOCATOR):
        raise DamagedArchiveError("it does not end as an archive of this program does")
    if size > MOST_MEMBERS * _BYTES_A_MEMBER:
        raise DamagedArchiveError(f"its list of members takes {size} bytes")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
