"""What a network predicts: one number an atom, with its name, unit and tolerance, and the texts that depend on them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import BARRIER_ARRAY, FloatArray, Glass

TOLERANCE_IN_SPREADS = 0.25
"""Change of a prediction that counts as none, in standard deviations of the labels, where no tolerance is given."""

MOST_DECIMALS = 6
"""Numbers that need more decimals are written with significant digits."""

_LONGEST_TEXT = 60
_MARKUP = '<>&"{}`\\'


@dataclass(frozen=True)
class Target:
    """A per-atom quantity that networks learn and predict.

    Parameters
    ----------
    name
        As in a sentence: ``energy barrier``.
    unit
        ``eV``, ``Å²``, … or empty.
    symbol
        Short sign for narrow places; the array's name where empty.
    array
        Per-atom array of the labels in files and glasses; the name where empty.
    tolerance
        Change of a prediction up to which it counts as unchanged. None until labels are known: training then takes a
        quarter of their standard deviation.

    Raises
    ------
    InputError
        If a text is missing, too long, or holds markup; or the tolerance is not positive.

    Examples
    --------
    >>> target = Target("D2min", unit="Å²", tolerance=0.5)
    >>> target.text(12.345), target.axis("predicted D2min"), target.predicted_array
    ('12.35 Å²', 'predicted D2min (Å²)', 'predicted_D2min')
    """

    name: str
    unit: str = ""
    symbol: str = ""
    array: str = ""
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for field in ("array", "symbol"):
            object.__setattr__(self, field, getattr(self, field) or (self.name if field == "array" else self.array))
        for field in ("name", "unit", "symbol", "array"):
            text = getattr(self, field)
            if not isinstance(text, str) or (not text.strip() and field != "unit"):
                raise InputError(f"the target's {field} is {text!r}: give a word, such as D2min.")
            if len(text) > _LONGEST_TEXT or not text.isprintable() or set(text) & set(_MARKUP):
                raise InputError(
                    f"the target's {field} {text[:_LONGEST_TEXT]!r} cannot be used: give one line of at most "
                    f"{_LONGEST_TEXT} characters without any of {' '.join(_MARKUP)}."
                )
        tolerance = self.tolerance
        real = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
        if tolerance is not None and not (real and 0 < tolerance < math.inf):
            raise InputError(f"the target's tolerance is {tolerance!r}: give a positive number in its unit.")

    @classmethod
    def of_array(cls, array: str, unit: str | None = None) -> Target:
        """Return the target whose labels are the array of that name; names and units of common ones are known."""
        known = KNOWN_TARGETS.get(array)
        if known is None:
            return cls(array.replace("_", " "), unit or "", array=array)
        return known if unit in (None, known.unit) else replace(known, unit=unit, tolerance=None)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any] | None) -> Target:
        """Read what :meth:`to_dict` returned; None, as in files of earlier versions, is the energy barrier."""
        if stored is None:
            return BARRIER
        try:
            return cls(**stored)
        except TypeError as error:
            raise InputError(f"{stored!r} does not describe what a network predicts ({error}).") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def resolved(self, labels: FloatArray) -> Target:
        """Return the target with a tolerance: a quarter of the labels' standard deviation where it has none."""
        if self.tolerance is not None:
            return self
        spread = float(np.nanstd(labels))
        return replace(self, tolerance=TOLERANCE_IN_SPREADS * spread if spread > 0 else None)

    # --- labels -------------------------------------------------------------------------------------------------

    def labels(self, glass: Glass) -> FloatArray | None:
        """Return the known values of the atoms of a glass, shape (N,), NaN where unknown; None where all are.

        Raises
        ------
        InputError
            If the glass has an array of that name that is not one finite number (or NaN) an atom.
        """
        found = glass.barriers if self.is_barrier else glass.arrays.get(self.array)
        if found is None:
            return None
        if found.ndim != 1 or found.dtype.kind not in "iuf":
            raise InputError(f"the array {self.array!r} of {glass.name!r} does not hold one number an atom.")
        values = found.astype(np.float64)
        if np.isinf(values).any():
            raise InputError(
                f"the array {self.array!r} of {glass.name!r} holds infinite values: repair the input first."
            )
        return None if np.isnan(values).all() else values

    def label(self, glass: Glass, atom: int) -> float | None:
        """Return the known value of one atom, or None."""
        labels = self.labels(glass)
        return None if labels is None or np.isnan(labels[atom]) else float(labels[atom])

    def require_labels(self, glass: Glass) -> FloatArray:
        """Return :meth:`labels`, or raise InputError where none is known."""
        labels = self.labels(glass)
        if labels is None:
            raise InputError(
                f"{glass.name!r} has no known {self.plural}: give {self.axis('one an atom')} as the per-atom array "
                f"{self.array!r}."
            )
        return labels

    # --- words --------------------------------------------------------------------------------------------------

    @property
    def word(self) -> str:
        """The array's name as a word: ``barrier``, ``potential energy``."""
        return self.array.replace("_", " ")

    @property
    def is_barrier(self) -> bool:
        """Whether it is the energy barrier, which saddle points have too."""
        return self.array == BARRIER_ARRAY

    @property
    def is_as_computed(self) -> bool:
        """Whether saddle points give the same: the energy barrier, in eV."""
        return self.is_barrier and self.unit == BARRIER.unit

    @property
    def plural(self) -> str:
        """What several values are called: ``barriers``, ``D2min values``."""
        return "barriers" if self.is_barrier else f"{self.word} values"

    @property
    def title(self) -> str:
        """The name as it begins a heading."""
        return self.name[0].upper() + self.name[1:]

    @property
    def low(self) -> str:
        """What atoms with small values are called."""
        return "soft" if self.is_barrier else "low"

    @property
    def high(self) -> str:
        """What atoms with large values are called."""
        return "hard" if self.is_barrier else "high"

    # --- numbers ------------------------------------------------------------------------------------------------

    @property
    def decimals(self) -> int:
        """Decimals that a number is written with: two digits of the tolerance are seen."""
        return 3 if self.tolerance is None else max(0, 1 - math.floor(math.log10(self.tolerance)))

    @property
    def spec(self) -> str:
        """How numbers are formatted, in Python and in plotly: ``.3f``."""
        return f".{self.decimals}f" if self.decimals <= MOST_DECIMALS else ".4g"

    @property
    def coarse_spec(self) -> str:
        """:attr:`spec` with one digit less."""
        return f".{max(0, self.decimals - 1)}f" if self.decimals <= MOST_DECIMALS else ".3g"

    def number(self, value: float, *, sign: bool = False, coarse: bool = False) -> str:
        """Write a value without its unit."""
        written = format(value, self.coarse_spec if coarse else self.spec)
        shown = float(written) + 0.0  # no "-0.000"
        return format(shown, f"{'+' if sign else ''}{self.coarse_spec if coarse else self.spec}")

    def text(self, value: float, *, sign: bool = False, coarse: bool = False) -> str:
        """Write a value with its unit."""
        return self.with_unit(self.number(value, sign=sign, coarse=coarse))

    def with_unit(self, number: str) -> str:
        """Return a number that is written already, with the unit."""
        return f"{number} {self.unit}" if self.unit else number

    @property
    def tolerance_text(self) -> str:
        """The tolerance with its unit."""
        return self.with_unit(f"{self.required_tolerance:.3g}")

    @property
    def required_tolerance(self) -> float:
        """The tolerance; raises InputError where it is not known."""
        if self.tolerance is None:
            raise InputError(
                f"it is not known which change of the {self.name} counts as none: give the target a tolerance."
            )
        return self.tolerance

    # --- titles and names ---------------------------------------------------------------------------------------

    def axis(self, what: str) -> str:
        """Return an axis title: ``what`` with the unit in brackets."""
        return f"{what} ({self.unit})" if self.unit else what

    @property
    def derivative_unit(self) -> str:
        """Unit of derivatives by a position."""
        if not self.unit:
            return "1/Å"
        return f"({self.unit})/Å" if set(self.unit) & set("/ ·") else f"{self.unit}/Å"

    @property
    def magnitude(self) -> str:
        """Sign of an absolute value: ``|eV|``."""
        return f"|{self.unit or self.symbol}|"

    @property
    def slug(self) -> str:
        """The array's name as a part of other names."""
        return re.sub(r"\W+", "_", self.array).strip("_") or "value"

    @property
    def predicted_array(self) -> str:
        """Per-atom array of predictions: ``predicted_barrier``."""
        return f"predicted_{self.slug}"

    @property
    def spread_array(self) -> str:
        """Per-atom array of their standard deviations."""
        return f"{self.predicted_array}_spread"

    def column(self, name: str) -> str:
        """Return the heading of a table's column: the name and the unit, ``barrier_eV``."""
        return f"{name}_{''.join(self.unit.split())}" if self.unit else name

    def columns(self) -> dict[str, str]:
        """Return columns for a table whose headings do not say what their numbers are of."""
        return {"target": self.name, "target_unit": self.unit}

    def key(self, name: str) -> str:
        """Return a key of a JSON file: the name and the unit in plain lower case, ``prediction_ev``."""
        plain = "".join(sign for sign in unicodedata.normalize("NFKD", self.unit) if sign.isascii())
        unit = re.sub(r"\W+", "_", plain).strip("_").lower()
        return f"{name}_{unit}" if unit else name


BARRIER = Target("energy barrier", unit="eV", symbol="E_b", array=BARRIER_ARRAY, tolerance=0.05)
"""What the shipped weights predict."""

KNOWN_TARGETS = {
    target.array: target
    for target in (
        BARRIER,
        Target("potential energy", unit="eV", symbol="E_pot", array="potential_energy"),
        Target("D2min", unit="Å²", symbol="D²min", array="D2min"),
    )
}
"""Targets whose names and units are known, by array."""


def with_tolerance(settings: Any, target: Target) -> Any:
    """Return settings (a dataclass) with the target's tolerance, where they have one and none was chosen."""
    if getattr(settings, "tolerance", ...) is not None:
        return settings
    return replace(settings, tolerance=target.required_tolerance)
