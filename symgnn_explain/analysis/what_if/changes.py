"""Who changed from one structure to another of the same atoms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from symgnn_explain.models.predictor import AtomPredictions, Predictor
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.matching import displacements_between, matched


def changes_between(
    predictor: Predictor, start: Glass, end: Glass, *, known: tuple[AtomPredictions, AtomPredictions] | None = None
) -> pd.DataFrame:
    """List all atoms, those first whose predictions changed most from one structure to another, such as two frames.

    Which displacements changed one of them, :func:`symgnn_explain.explain.path_contributions` says.

    Parameters
    ----------
    predictor
        What predicts.
    start, end
        Two structures of the same atoms; which is which, ids say where both have them.
    known
        What the predictor says of both, in the order of ``start``, so that it is not asked again.

    Returns
    -------
    pandas.DataFrame
        Columns: atom (its number in ``start``), species, prediction_before, prediction, change, moved (Å, without what
        all atoms have in common), domain_before, domain (scores, 1 at the edge of what training covered; NaN where
        there are none).

    Raises
    ------
    InputError
        If the structures are not of the same atoms, or the network does not know a species.

    Examples
    --------
    >>> frames = Trajectory("relaxed.extxyz")  # doctest: +SKIP
    >>> changes_between(predictor, frames[0], frames[-1]).head(10)  # doctest: +SKIP
    """
    end = matched(end, start)
    said = known or (predictor.predict_atoms(start), predictor.predict_atoms(end))
    (before, _, domain_before), (after, _, domain) = said
    table = pd.DataFrame(
        {
            "atom": np.arange(len(start)),
            "species": start.symbols,
            "prediction_before": before,
            "prediction": after,
            "change": after - before,
            "moved": np.linalg.norm(displacements_between(start, end), axis=1),
            "domain_before": np.nan if domain_before is None else domain_before,
            "domain": np.nan if domain is None else domain,
        }
    )
    return table.sort_values("change", key=np.abs, ascending=False, kind="stable", ignore_index=True)
