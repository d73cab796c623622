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


def decimal_text(value: float, decimals: int = 3, *, sign: bool = False) -> str:
    """Write a number with so many decimals, or with significant digits where these would show one digit or none.

    Examples
    --------
    >>> decimal_text(0.1234), decimal_text(1.234e-09), decimal_text(-4.321e-05, 4, sign=True), decimal_text(0.0)
    ('0.123', '1.23e-09', '-4.321e-05', '0.000')
    """
    spec = f"{max(decimals, 1)}g" if 0 < abs(value) < 10.0 ** (1 - decimals) else f"{decimals}f"
    return format(value, f"{'+' if sign else ''}.{spec}")


def _as_text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
