"""Names of files as text that can be printed, encoded and stored."""

from __future__ import annotations

import os
import re


def printable(name: str | bytes | os.PathLike[str]) -> str:
    r"""Return a name as text that UTF-8 can encode.

    A file name may hold bytes that are no UTF-8. Python carries them as lone surrogates, which no file and no stream
    accepts; here they become ``\x`` and two digits.

    Examples
    --------
    >>> printable(os.fsdecode(b"gl\xe4s.xyz"))
    'gl\\xe4s.xyz'
    """
    return re.sub(r"[\ud800-\udfff]", _escaped, os.fsdecode(name))


def one_line_name(name: str | bytes | os.PathLike[str]) -> str:
    r"""Return a name as :func:`printable` does, on one line: line ends and codes for a terminal are escaped.

    Examples
    --------
    >>> one_line_name("two\nlines")
    'two\\nlines'
    """
    text = printable(name)
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _escaped(surrogate: re.Match[str]) -> str:
    code = ord(surrogate[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
