"""Every atom is a point that knows its number."""

from __future__ import annotations

import numpy as np
import pytest

from symgnn_explain.errors import InputError
from symgnn_explain.plotting import values_figure
from symgnn_explain.structure.glass import Glass


def test_points_are_atoms(glass: Glass) -> None:
    x, y = glass.positions[:, 0].copy(), glass.positions[:, 1]
    x[3] = np.nan
    figure = values_figure(glass, x, y, names=("x (Å)", "y (Å)"), highlighted=[7, 3])
    *groups, marked = figure.data
    atoms = np.concatenate([trace.customdata for trace in groups])
    np.testing.assert_array_equal(np.sort(atoms), np.delete(np.arange(len(glass)), 3))
    for trace in figure.data:
        np.testing.assert_array_equal(trace.x, x[trace.customdata])
        np.testing.assert_array_equal(trace.y, y[trace.customdata])
    assert marked.customdata.tolist() == [7]
    with pytest.raises(InputError, match="one value an atom"):
        values_figure(glass, x[:5], y, names=("x", "y"))
