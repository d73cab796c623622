"""Fidelity: how well scores account for a prediction, against null rankings, with confidence intervals."""
