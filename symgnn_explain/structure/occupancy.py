"""Sites that are occupied in part: a graph of atoms cannot hold them, and nobody may choose in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from symgnn_explain.errors import InputError

OCCUPANCY_ARRAYS = ("occupancy", "occupancies", "occ", "site_occupancy")
"""Names under which files give the occupancy of each atom."""

TOLERANCE = 1e-3  # how far an occupancy may be from 1 and count as full


def require_full_occupancy(arrays: Mapping[str, Any], by_kind: object = None) -> None:
    """Refuse a structure with sites that are occupied in part or by several species.

    ``arrays``: per-atom arrays by name; those in ``OCCUPANCY_ARRAYS`` are looked at. All zeros mean that nothing is
    known. ``by_kind``: ASE's ``info["occupancy"]``: the occupancies by species, of each kind of site. Raises InputError
    if there is such a site; the sentence names the first ones.
    """
    for name, values in arrays.items():
        if str(name).lower() in OCCUPANCY_ARRAYS and np.asarray(values).dtype.kind in "biuf":
            occupancies = np.asarray(values, dtype=np.float64)
            if occupancies.any():
                partial = np.flatnonzero(np.abs(occupancies.reshape(len(occupancies), -1) - 1).max(axis=1) > TOLERANCE)
                refuse_disorder(f"atom {atom} ({occupancies[atom]:g})" for atom in partial.tolist())
    if isinstance(by_kind, Mapping):
        refuse_disorder(
            f"site {kind} ({', '.join(f'{symbol} {value:g}' for symbol, value in shares.items())})"
            for kind, shares in by_kind.items()
            if isinstance(shares, Mapping)
            and (len(shares) > 1 or any(abs(float(value) - 1) > TOLERANCE for value in shares.values()))
        )


def refuse_disorder(sites: Iterable[str]) -> None:
    """Raise InputError where there are sites of partial or mixed occupancy, described in words."""
    found = list(sites)
    if found:
        shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        raise InputError(
            f"{len(found)} site(s) are occupied in part or by several species: {shown}; "
            "give an ordered structure with one atom a site, for example a supercell with species drawn for each site."
        )
