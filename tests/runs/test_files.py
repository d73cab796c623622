"""Files appear whole or not at all, with the permissions that a user expects."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.runs.files import WritingError, require_free, staged, write_atomically, write_new

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX systems")


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        path = write_atomically(tmp_path / "folder" / "new", b"content")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"content"
    assert permissions(path) == 0o666 & ~mask


@posix
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert permissions(path) == 0o600


@posix
def test_files_that_are_replaced_together_keep_their_permissions(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.write_bytes(b"old")
    private.chmod(0o600)
    before = os.umask(0o022)
    try:
        with staged(tmp_path) as staging:
            for name in ("private", "new"):
                (staging / name).write_bytes(name.encode())
    finally:
        os.umask(before)
    assert {path.name: (path.read_bytes(), permissions(path)) for path in tmp_path.iterdir()} == {
        "private": (b"private", 0o600),
        "new": (b"new", 0o644),
    }


def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, b"content")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WritingError, match="No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_write_a_new_file_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
    if not links:

        def unknown(*_: object) -> None:
            raise PermissionError("no hard links here")

        monkeypatch.setattr(Path, "hardlink_to", unknown)
    path = tmp_path / "folder" / "new"
    assert write_new(path, b"mine")
    assert path.read_bytes() == b"mine"
    assert not links or not write_new(path, b"other")
    assert path.read_bytes() == b"mine"
    assert [each.name for each in path.parent.iterdir()] == ["new"]


def test_names_with_line_ends_leave_a_message_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[2J"
    path.write_text("")
    with pytest.raises(InputError, match=r"two\\nlines\\x1b\[2J exists already") as caught:
        require_free([path], overwrite=False)
    assert str(caught.value).isprintable()
    with pytest.raises(WritingError) as lost:
        write_atomically(path / "below", b"")
    assert str(lost.value).isprintable()
