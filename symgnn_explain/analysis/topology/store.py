"""Keeping the topology of a structure on disk, by the content of the structure."""

from __future__ import annotations

import io
import warnings
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgnn_explain.analysis.topology.cycle_counts import CycleCounts
from symgnn_explain.analysis.topology.persistence import Persistence
from symgnn_explain.runs.files import write_atomically

STORE_VERSION = 5

_PARTS: dict[str, type[Persistence | CycleCounts]] = {"persistence": Persistence, "cycles": CycleCounts}


def store_path(folder: Path, glass_sha256: str, largest_void: float) -> Path:
    """Where the topology of a structure is kept in ``folder``."""
    return folder / f"{glass_sha256}-{largest_void:g}-v{STORE_VERSION}.npz"


def read_topology(path: Path, glass_sha256: str) -> tuple[Persistence, CycleCounts] | None:
    """Read what :func:`write_topology` wrote; None where there is nothing, or, with a warning, where it is damaged."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            persistence, cycles = (
                {field.name: _plain(stored[f"{part}.{field.name}"]) for field in fields(of)}
                for part, of in _PARTS.items()
            )
        if {persistence["glass_sha256"], cycles["glass_sha256"]} != {glass_sha256}:
            raise ValueError("it belongs to another structure")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        warnings.warn(f"The cached topology in {path} is damaged ({error}); it is computed anew.", stacklevel=4)
        return None
    return Persistence(**persistence), CycleCounts(**cycles)


def write_topology(path: Path, persistence: Persistence, cycles: CycleCounts) -> None:
    """Write both as one archive of plain arrays; warn where that cannot be."""
    arrays = {
        f"{part}.{field.name}": np.asarray(getattr(result, field.name))
        for part, result in (("persistence", persistence), ("cycles", cycles))
        for field in fields(result)
    }
    archive = io.BytesIO()
    # The stub of savez_compressed takes every keyword for its flag allow_pickle.
    np.savez_compressed(archive, **arrays)  # type: ignore[arg-type]
    try:
        write_atomically(path, archive.getvalue())
    except OSError as error:
        warnings.warn(f"The topology cannot be kept in {path} ({error}); it will be computed again.", stacklevel=4)


def _plain(stored: NDArray[Any]) -> Any:
    """Arrays as they are, single numbers and words as Python's."""
    return stored if stored.ndim else stored.item()
