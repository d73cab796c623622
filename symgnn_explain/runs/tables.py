"""Tables as CSV that a spreadsheet takes for data, never for formulas."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

_FORMULA = re.compile(r"[=+\-@\t\r]")


def csv_text(table: pd.DataFrame, **options: Any) -> str:
    """Write a table as CSV, quoted where needed.

    Text that a spreadsheet would compute, because it begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage
    return, gets an apostrophe in front; numbers are left alone. ``options`` are those of ``DataFrame.to_csv``.

    Examples
    --------
    >>> print(csv_text(pd.DataFrame({"file": ["=1+1", "a,b"], "eV": [-1.0, 2.0]})), end="")
    file,eV
    '=1+1,-1.0
    "a,b",2.0
    """
    safe = table.rename(columns=_as_text)
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_as_text)
    return str(safe.to_csv(index=False, **options))


def _as_text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
