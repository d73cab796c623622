"""Pickles of the published data set (Li et al., ICML 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from symgnn_explain.errors import InputError
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.io.opening import read_bytes
from symgnn_explain.structure.io.species import numbers_from_types
from symgnn_explain.structure.plain_pickle import load_plain_pickle

AUTHORS_SPECIES = {1: "Cu", 2: "Zr"}
"""Types of the published pickles."""

AUTHORS_BARRIERS = "trajectory_start_velocities"
"""The published pickles keep the energy barriers (eV) under this misleading key."""

_NEEDED = ("positions", "box", "types")
_NAMES = {"pot": "potential_energy", "press": "pressure", "von": "von_mises_stress"}


def read_published_pickle(path: Path, species: Mapping[int, str] | None) -> Glass:
    """Read a pickle of the published data set, by an unpickler that builds arrays and nothing else.

    Raises InputError if it holds something else.
    """
    content = load_plain_pickle(read_bytes(path))
    if not isinstance(content, dict) or any(key not in content for key in _NEEDED):
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"the pickle holds {found}, expected the published data set's keys {', '.join(_NEEDED)}.")
    box = np.asarray(content["box"])
    if box.shape != (3,) or box.dtype.kind not in "iuf":
        raise InputError(f"the pickle's box is {content['box']!r}, expected three edge lengths in Å.")
    barriers = content.get(AUTHORS_BARRIERS)
    return Glass(
        positions=content["positions"],
        numbers=numbers_from_types(np.asarray(content["types"]).ravel(), species or AUTHORS_SPECIES),
        cell=np.diag(box.astype(np.float64)),
        barriers=None if barriers is None else np.asarray(barriers).ravel(),
        arrays={name: np.asarray(content[key]).ravel() for key, name in _NAMES.items() if key in content},
    )
