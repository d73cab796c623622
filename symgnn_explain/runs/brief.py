"""Results that say in one line what they are, as the last line of a notebook's cell shows it."""

from __future__ import annotations

import reprlib
from dataclasses import fields
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxstring = 60


class Brief:
    """A dataclass (with ``repr=False``) whose text gives the size of arrays and tables, not what is in them.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(repr=False)
    ... class Peaks(Brief):
    ...     r: np.ndarray
    ...     unit: str = "Å"
    >>> Peaks(np.zeros(300))
    Peaks(r=<300 numbers>, unit='Å')
    """

    def __repr__(self) -> str:
        parts = (f"{field.name}={_brief(getattr(self, field.name))}" for field in fields(self) if field.repr)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(parts)})"


def _brief(value: Any) -> str:
    if shape := getattr(value, "shape", ()):
        what = "values" if hasattr(value, "columns") else "numbers"
        return f"<{' × '.join(str(length) for length in shape)} {what}>"
    if hasattr(value, "item"):  # NumPy's and PyTorch's scalars
        value = value.item()
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, (bool, int, str)):
        return _SHORT.repr(value)
    if isinstance(value, tuple) and len(value) <= 6 and all(isinstance(part, (int, float, str)) for part in value):
        return f"({', '.join(map(_brief, value))})"
    if isinstance(value, (tuple, list, dict, set, frozenset)):
        return f"<{len(value)} entries>"
    return f"<{type(value).__name__}>"
