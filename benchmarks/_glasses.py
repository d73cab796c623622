"""Structures of any size that cost what a glass does."""

from __future__ import annotations

import numpy as np

from symgnn_explain import datasets
from symgnn_explain.structure.glass import Glass


def rattled_lattice(n_side: int) -> Glass:
    """Return ``n_side``³ atoms at the density and composition of the sample, shifted off a cubic lattice at random."""
    spacing = datasets.sample().number_density ** (-1 / 3)
    lattice = np.stack(np.meshgrid(*[np.arange(n_side)] * 3), axis=-1).reshape(-1, 3) * spacing
    rattled = lattice + np.random.default_rng(0).uniform(-0.4, 0.4, lattice.shape)
    numbers = np.random.default_rng(1).choice([29, 40], len(lattice), p=[0.64, 0.36])
    return Glass(positions=rattled, numbers=numbers, cell=np.eye(3) * n_side * spacing)
