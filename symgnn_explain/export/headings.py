"""Headings of tables in files: every number with a unit says it there."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

import pandas as pd

from symgnn_explain.models.target import Target

_LENGTHS = ("x", "y", "z", "dx", "dy", "dz", "distance", "inner", "outer", "moved", "mean_distance", "mean_length")
_UNITS = MappingProxyType(
    {
        **dict.fromkeys(_LENGTHS, "angstrom"),
        "motif: property: volume": "angstrom3",
        "motif: property: s2": "kB",
        "motif: property: s2_averaged": "kB",
    }
)
_OF_STATISTICS = {**_UNITS, **{name.removeprefix("motif: "): unit for name, unit in _UNITS.items()}}
"""Statistics of motifs against null models are without the name of their family, those of groups of atoms with it."""


def with_units(table: pd.DataFrame, quantity: Target, values: Iterable[str] = ()) -> pd.DataFrame:
    """Return a table whose headings end in the units of their numbers; what has no unit keeps its name.

    Lengths are known by their names and get ``_angstrom``. ``values`` are the columns in the unit of ``quantity``.
    Tables in memory have the short names.

    Examples
    --------
    >>> from symgnn_explain.models.target import BARRIER
    >>> table = pd.DataFrame({"atom": [3], "distance": [2.5], "score": [0.1]})
    >>> list(with_units(table, BARRIER, ["score"]))
    ['atom', 'distance_angstrom', 'score_eV']
    """
    named = {name: f"{name}_{unit}" for name, unit in _UNITS.items()}
    return table.rename(columns=named | {name: quantity.column(name) for name in values})


def with_unit_column(statistics: pd.DataFrame) -> pd.DataFrame:
    """Return a table of statistics, a row each, with the ``unit`` of each after its ``name``; empty where it has none.

    Examples
    --------
    >>> with_unit_column(pd.DataFrame({"name": ["mean_distance", "size: atoms"]}))["unit"].tolist()
    ['angstrom', '']
    """
    table = statistics.copy()
    unit = [_OF_STATISTICS.get(name, "") for name in table["name"]]
    table.insert(list(table).index("name") + 1, "unit", unit)
    return table
