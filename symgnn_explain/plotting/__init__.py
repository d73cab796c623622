"""Figures: pure functions from results to plotly figures."""

from symgnn_explain.plotting.barriers import barrier_histogram, parity_figure
from symgnn_explain.plotting.cycles import cycle_figure
from symgnn_explain.plotting.distances import distance_figure
from symgnn_explain.plotting.neighbourhood import neighbourhood_figure

__all__ = ["barrier_histogram", "cycle_figure", "distance_figure", "neighbourhood_figure", "parity_figure"]
