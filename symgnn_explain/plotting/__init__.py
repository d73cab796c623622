"""Figures: pure functions from results to plotly figures."""

from symgnn_explain.plotting.autocorrelation import autocorrelation_figure
from symgnn_explain.plotting.contributions import contribution_figure
from symgnn_explain.plotting.cycles import cycle_figure
from symgnn_explain.plotting.displacements import displacement_figure
from symgnn_explain.plotting.distances import distance_figure
from symgnn_explain.plotting.enrichment import enrichment_figure
from symgnn_explain.plotting.fidelity import fidelity_figure, sufficiency_figure
from symgnn_explain.plotting.film import glass_figure, trajectory_figures, turning_figures
from symgnn_explain.plotting.frames import frames_figure
from symgnn_explain.plotting.interactions import interaction_figure, interaction_space_figure
from symgnn_explain.plotting.mechanism import mechanism_figure
from symgnn_explain.plotting.motifs import connection_figure, voronoi_figure
from symgnn_explain.plotting.neighbourhood import neighbourhood_figure
from symgnn_explain.plotting.networks import network_figure
from symgnn_explain.plotting.persistence import persistence_figure
from symgnn_explain.plotting.population import (
    population_cycle_figure,
    population_distance_figure,
    soft_hard_figure,
)
from symgnn_explain.plotting.population_contributions import population_contribution_figure
from symgnn_explain.plotting.positions import position_figure
from symgnn_explain.plotting.predictions import parity_figure, prediction_histogram
from symgnn_explain.plotting.radial import radial_figure
from symgnn_explain.plotting.saddles import computed_barrier_figure, saddle_figure
from symgnn_explain.plotting.structure_factor import structure_factor_figure
from symgnn_explain.plotting.values import values_figure

__all__ = [
    "autocorrelation_figure",
    "computed_barrier_figure",
    "connection_figure",
    "contribution_figure",
    "cycle_figure",
    "displacement_figure",
    "distance_figure",
    "enrichment_figure",
    "fidelity_figure",
    "frames_figure",
    "glass_figure",
    "interaction_figure",
    "interaction_space_figure",
    "mechanism_figure",
    "neighbourhood_figure",
    "network_figure",
    "parity_figure",
    "persistence_figure",
    "population_contribution_figure",
    "population_cycle_figure",
    "population_distance_figure",
    "position_figure",
    "prediction_histogram",
    "radial_figure",
    "saddle_figure",
    "soft_hard_figure",
    "structure_factor_figure",
    "sufficiency_figure",
    "trajectory_figures",
    "turning_figures",
    "values_figure",
    "voronoi_figure",
]
