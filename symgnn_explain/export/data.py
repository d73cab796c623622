"""An explanation's numbers as files that other programs open."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import place_atoms
from symgnn_explain.export.naming import free_path
from symgnn_explain.export.predictions import DOMAIN_ARRAY, without_earlier
from symgnn_explain.runs.files import require_free, write_atomically
from symgnn_explain.runs.tables import csv_text
from symgnn_explain.structure.glass import FloatArray, Glass
from symgnn_explain.structure.io.writing import EXTENDED_XYZ, write_extended_xyz

OUTSIDE = -1  # hop of an atom that the prediction does not reach


def write_table(table: pd.DataFrame, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a table as ``.csv`` or ``.json`` (a list of rows; what is not a finite number is null), in full precision.

    Raises
    ------
    InputError
        If the suffix is another, or the file exists and may not be replaced.
    """
    path = free_path(path, (".csv", ".json"), "use .csv or .json", overwrite=overwrite)
    as_csv = path.suffix.lower() == ".csv"
    return write_atomically(path, (csv_text(table) if as_csv else _json_text(table)).encode())


def _json_text(table: pd.DataFrame) -> str:
    known = table.astype(object).where(table.notna() & ~table.isin([np.inf, -np.inf]), None)
    return json.dumps(known.to_dict(orient="records"), indent=1, ensure_ascii=False, allow_nan=False)


def write_explanation(explanation: AtomExplanation, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write all of an explanation as JSON, for :meth:`AtomExplanation.load`; refuses a file that exists."""
    path = Path(path)
    require_free([path], overwrite=overwrite)
    return explanation.save(path)


def explained_glass(
    explanation: AtomExplanation,
    glass: Glass,
    predictions: ArrayLike,
    *,
    spread: ArrayLike | None = None,
    domain: ArrayLike | None = None,
) -> Glass:
    """Return the glass with what was predicted and explained as per-atom arrays.

    ``predicted_barrier`` (or the name of what else is predicted), ``importance`` (what leaves the atom, summed over
    its edges; 0 where nothing reaches the explained atom), ``hop`` (edges between the atom and the explained one, -1
    outside the receptive field) and ``is_target`` (1 for the explained atom, else 0); of signed methods also
    ``contribution``. Labels stay beside them under their own name. Standard deviations of the predictions, where
    ``spread`` (N,) is given, are ``predicted_barrier_spread``, and ``domain`` (N,) is the domain score.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, or there is not one prediction an atom.
    """
    explanation.require_glass(glass)
    predicted = np.asarray(predictions, dtype=np.float64)
    require_one_an_atom(predicted, glass)
    placement = place_atoms(explanation)
    hop = np.full(len(glass), OUTSIDE, dtype=np.int64)
    hop[placement.atoms] = placement.hop
    arrays = {
        explanation.quantity.predicted_array: predicted,
        "importance": _spread_out(explanation.atom_scores(), len(glass)),
        "hop": hop,
        # A whole number, since not every program reads logical columns.
        "is_target": (np.arange(len(glass)) == explanation.atom).astype(np.int64),
    }
    if spread is not None:
        arrays[explanation.quantity.spread_array] = np.asarray(spread, dtype=np.float64)
    if domain is not None:
        arrays[DOMAIN_ARRAY] = np.asarray(domain, dtype=np.float64)
    if explanation.signed:
        arrays["contribution"] = _spread_out(explanation.atom_contributions(), len(glass))
    before = without_earlier(glass, explanation.quantity)
    if "is_target" in before.arrays:
        before = before.without_arrays("contribution")  # of another explanation
    return before.with_arrays(**arrays)


def write_explained_glass(
    explanation: AtomExplanation,
    glass: Glass,
    predictions: ArrayLike,
    path: str | Path,
    *,
    spread: ArrayLike | None = None,
    domain: ArrayLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Write :func:`explained_glass` as extended XYZ, which ASE and OVITO open with all its columns, in full precision.

    Raises
    ------
    InputError
        As :func:`explained_glass`; or if the suffix is not ``.extxyz`` or ``.xyz``, an array of the glass would not be
        read back, or the file exists and may not be replaced.
    """
    path = free_path(path, EXTENDED_XYZ, "use .extxyz or .xyz", overwrite=overwrite)
    explained = explained_glass(explanation, glass, predictions, spread=spread, domain=domain)
    quantity = explanation.quantity
    note = {
        "explained_atom": explanation.atom,
        "method": explanation.method,
        "target": quantity.name,
        "target_unit": quantity.unit,
        quantity.key("prediction"): explanation.prediction,
    }
    return write_extended_xyz([explained], path, info=[note])


def write_graph(
    explanation: AtomExplanation,
    glass: Glass,
    predictions: ArrayLike,
    path: str | Path,
    *,
    k: int | None = 50,
    overwrite: bool = False,
) -> Path:
    """Write the ``k`` most important edges (all where None) and their atoms as GraphML, for Gephi, yEd or networkx.

    Nodes carry ``species``, ``predicted_barrier`` (or the name of what else is predicted), ``importance``, ``hop``,
    ``is_target`` and the place relative to the explained atom ``x``, ``y``, ``z`` (Å); directed edges ``score``,
    ``distance`` and ``dx``, ``dy``, ``dz`` (Å, receiving to sending atom), ``hop`` and ``self_loop``.

    Raises
    ------
    InputError
        If the explanation belongs to another glass, the suffix is another, or the file exists and may not be replaced.
    """
    import networkx as nx

    path = free_path(path, (".graphml",), "use .graphml", overwrite=overwrite)
    arrays = explained_glass(explanation, glass, predictions).arrays
    placement, symbols = place_atoms(explanation), glass.symbols
    graph = explanation.to_networkx(k)
    predicted = explanation.quantity.predicted_array
    graph.graph |= {"glass": glass.name, "target": explanation.quantity.name, "target_unit": explanation.quantity.unit}
    for atom, values in graph.nodes(data=True):
        place = placement.position[placement.rows_of(np.array([atom]))[0]]
        values |= {"species": symbols[atom], **dict(zip("xyz", place.tolist(), strict=True))}
        values |= {name: arrays[name][atom].item() for name in (predicted, "importance", "hop", "is_target")}
    for source, target, values in graph.edges(data=True):
        values |= dict(zip(("dx", "dy", "dz"), values.pop("displacement"), strict=True))
        values["self_loop"] = bool(source == target and values["distance"] == 0)
    stream = io.BytesIO()
    nx.write_graphml(graph, stream)
    return write_atomically(path, stream.getvalue())


def require_one_an_atom(values: FloatArray, glass: Glass) -> None:
    """Raise InputError unless there is one prediction an atom of the glass."""
    if values.shape != (len(glass),):
        raise InputError(f"predictions have shape {values.shape}, expected ({len(glass)},): one value an atom.")


def _spread_out(of_atoms: pd.Series, n_atoms: int) -> FloatArray:
    """One value an atom of the glass, 0 where the series has none."""
    values = np.zeros(n_atoms)
    values[of_atoms.index] = of_atoms
    return values
