"""Archives of anyone are read within bounds."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.export.session_file import (
    decode_session,
)
from symgnn_explain.runs.archive import (
    MOST_MEMBERS,
    Allowance,
    DamagedArchiveError,
    PlainArchive,
    decode_array,
    encode_array,
)
from symgnn_explain.runs.record_format import pack, unpack


def test_a_bomb_is_refused_before_it_is_decompressed() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("session.json", b"0" * 10_000_000)
    blob = stream.getvalue()
    assert len(blob) < 20_000
    with pytest.raises(DamagedArchiveError, match="claims 1 members of 10000000 bytes"):
        PlainArchive(blob, Allowance(10**6))
    # One that claims less than it holds gives no more than it claims.
    lying = blob.replace((10_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(DamagedArchiveError):
        PlainArchive(lying, Allowance(10**6)).read("session.json")
    with pytest.raises(InputError, match="not a whole session"):
        decode_session(lying)


def test_archives_inside_of_one_share_what_may_be_read() -> None:
    record = pack("", {"score": [0] * 100_000})  # a byte each on disk, eight in memory
    allowance = Allowance(2_000_000)
    read = 0
    with pytest.raises(DamagedArchiveError, match="at most 2000000 bytes are read in all"):  # noqa: PT012
        for _ in range(10):
            unpack(record, allowance)
            read += 1
    assert read == 2  # 0.9 MB each, and what was read before counts


def test_an_endless_list_of_members_is_refused_before_it_is_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(MOST_MEMBERS + 1):
            archive.writestr(str(number), b"")
    with pytest.raises(DamagedArchiveError, match=f"{MOST_MEMBERS + 1} members, more than {MOST_MEMBERS}"):
        PlainArchive(stream.getvalue())
    end = len(stream.getvalue()) - 22
    endless = bytearray(stream.getvalue())
    endless[end + 12 : end + 16] = (2**31).to_bytes(4, "little")
    with pytest.raises(DamagedArchiveError, match="its list of members takes 2147483648 bytes"):
        PlainArchive(bytes(endless))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_or_packed_otherwise_are_refused() -> None:
    for packed, names in ((zipfile.ZIP_LZMA, "ab"), (zipfile.ZIP_BZIP2, "ab"), (zipfile.ZIP_DEFLATED, "aa")):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", packed) as archive:
            for name in names:
                archive.writestr(name, b"0" * 100)
        with pytest.raises(DamagedArchiveError, match=r"compressed in an unknown way|several of one name"):
            PlainArchive(stream.getvalue())


def test_arrays_come_back_in_any_order_of_memory() -> None:
    for array in (np.asfortranarray(np.arange(6).reshape(2, 3)), np.array(3.5), np.zeros((0, 3)), np.array(["Å", "b"])):
        back = decode_array(encode_array(array))
        np.testing.assert_array_equal(back, array)
        assert back.flags.writeable
