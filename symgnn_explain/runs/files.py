"""Writing files so that they appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from symgnn_explain.errors import InputError
from symgnn_explain.runs.names import one_line_name

NAMED = 3  # files that a message names
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # what writing raises where no room is left


class WritingError(InputError, OSError):
    """A file could not be written; what was there before is as it was."""

    @classmethod
    def of(cls, folder: Path, error: OSError) -> WritingError:
        """Say why nothing can be written into a folder."""
        raised = cls(
            f"nothing can be written into {folder} ({error.strerror or error}): make room, or choose another place."
        )
        raised.errno, raised.strerror = error.errno, error.strerror
        return raised

    def __str__(self) -> str:
        return str(self.args[0])  # and not number and reason, as of other OSErrors


def require_free(paths: Iterable[Path], *, overwrite: bool, option: str = "") -> None:
    """Raise InputError where a file exists and may not be replaced; on the command line ``option`` named it."""
    taken = [] if overwrite else [one_line_name(path) for path in paths if path.exists()]
    if taken:
        named = ", ".join(taken[:NAMED]) + (f" and {len(taken) - NAMED} more" if len(taken) > NAMED else "")
        verb, leave = "exists" if len(taken) == 1 else "exist", "--overwrite" if option else "overwrite=True"
        raise InputError(f"{option} {named} {verb} already: choose another name, or allow it with {leave}.".lstrip())


def write_atomically(path: Path, blob: bytes) -> Path:
    """Write ``blob`` under a temporary name beside ``path``, then move it into place; folders are made as needed.

    A file that is replaced keeps its permissions, a new one has those of the process's umask.

    Raises WritingError if that cannot be done; it is both an InputError and an OSError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(8)}.part")  # a name of its own may be as long as a name can be
        try:
            with temporary.open("xb") as stream:
                stream.write(blob)
            _take_place(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise WritingError.of(path.parent, error) from error
    return path


def write_new(path: Path, blob: bytes) -> bool:
    """Write a file that appears whole, unless there is one already; return whether it was written.

    Where the file system knows no hard links, one that appears at the same moment is replaced.

    Raises WritingError if that cannot be done.
    """
    temporary = write_atomically(path.with_name(f".{secrets.token_hex(8)}.new"), blob)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError:
        write_atomically(path, blob)
    finally:
        temporary.unlink(missing_ok=True)
    return True


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give an empty folder inside ``folder``; files left in it replace those of the same names when the block ends.

    Permissions are those of :func:`write_atomically`.

    Where the block raises, or is interrupted, nothing in ``folder`` has changed.

    Raises WritingError if nothing can be written into ``folder``.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=folder, prefix=".staged-"))
        except OSError as error:
            raise WritingError.of(folder, error) from error
        try:
            yield staging
            try:
                for path in sorted(staging.iterdir()):
                    _take_place(path, folder / path.name)
            except OSError as error:
                raise WritingError.of(folder, error) from error
        except OSError as error:
            if isinstance(error, WritingError) or error.errno in FULL:
                raise WritingError.of(folder, error) from error
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except BaseException:
        for place in made:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        raise


def _take_place(written: Path, path: Path) -> None:
    """Move a file to where it belongs once it is on the disk; one that it replaces leaves it its permissions."""
    with written.open("rb") as stream:
        os.fsync(stream.fileno())
    if path.exists():
        shutil.copymode(path, written)
    written.replace(path)
