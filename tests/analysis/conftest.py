from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.structure.glass import Glass
from symgnn_explain.structure.graph import neighbour_edges


def receptive_field(
    glass: Glass,
    atom: int = 0,
    *,
    cutoff: float = 5.0,
    layers: int = 2,
    score: Callable[[AtomExplanation], np.ndarray] | None = None,
    signed: bool = False,
    seed: int = 0,
) -> AtomExplanation:
    """An explanation of an atom with random scores, or with scores that are a function of it."""
    source, target, displacement = neighbour_edges(glass, cutoff)
    hop = np.full(len(glass), layers)
    hop[atom] = 0
    for level in range(layers - 1):
        reached = source[(hop[target] == level) & (hop[source] == layers)]
        hop[reached] = level + 1
    kept = hop[target] < layers
    rng = np.random.default_rng(seed)
    content = {
        "atom": atom,
        "method": "integrated_gradients" if signed else "gnnexplainer",
        "source": source[kept],
        "target": target[kept],
        "displacement": displacement[kept],
        "hop": hop[target][kept],
        "signed": signed,
        "prediction": 1.4,
        "prediction_range": (1.0, 1.9),
        "masked_prediction": None if signed else 1.38,
        "glass_name": glass.name,
        "glass_sha256": glass.content_hash,
    }
    random = rng.uniform(-0.1 if signed else 0.0, 1.0, int(kept.sum()))
    explanation = AtomExplanation(score=random, **content)
    return explanation if score is None else AtomExplanation(score=score(explanation), **content)


@pytest.fixture(scope="session")
def explain_by_hand() -> Callable[..., AtomExplanation]:
    """Builder of explanations with known scores, see :func:`receptive_field`."""
    return receptive_field


HEIGHT = np.sqrt(8 / 3)  # of the HCP cell, in units of its edge
LATTICES: dict[str, tuple[list[list[float]], list[list[float]]]] = {
    # Fractional positions and cell vectors, in units of the lattice constant.
    "sc": ([[0, 0, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "bcc": ([[0, 0, 0], [0.5, 0.5, 0.5]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "fcc": ([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "hcp": ([[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]], [[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, HEIGHT]]),
    "diamond": (
        [
            [x + d, y + d, z + d]
            for x, y, z in ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
            for d in (0, 0.25)
        ],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ),
    "graphene": ([[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]], [[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 4]]),
}


def make_crystal(name: str, lattice: float = 4.0, repeat: int = 1) -> Glass:
    """A perfect crystal of copper, moved away from the origin by less than a lattice constant."""
    basis, cell = LATTICES[name]
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    fractional = (cells[:, None] + np.array(basis)[None]).reshape(-1, 3) + np.array([0.11, 0.07, 0.03])
    vectors = lattice * np.array(cell)
    return Glass(fractional @ vectors, np.full(len(fractional), 29), repeat * vectors, name=name)


def make_icosahedron(radius: float = 2.6) -> np.ndarray:
    """Positions of an icosahedron's centre, first, and of its twelve corners; two corners lie on the z axis."""
    golden = (1 + np.sqrt(5)) / 2
    corners = [np.roll([0, a, b * golden], turn) for turn in range(3) for a in (-1, 1) for b in (-1, 1)]
    corners = np.array(corners) / np.linalg.norm(corners[0])
    axis = corners[0]
    across = np.cross(axis, [0.3, 0.5, 0.8])
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(axis, across), axis], axis=1)
    return radius * np.concatenate([np.zeros((1, 3)), corners @ frame])


def rewrite(glass: Glass, seed: int) -> tuple[Glass, np.ndarray]:
    """The same structure rotated, moved, with atoms in other cells and another order; and where each atom went."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(glass))
    images = rng.integers(-2, 3, (len(glass), 3)) * glass.pbc
    moved = (glass.positions + rng.normal(size=3) * 20 + images @ glass.cell) @ rotation
    return Glass(moved[order], glass.numbers[order], glass.cell @ rotation, glass.pbc), np.argsort(order)


@pytest.fixture(scope="session")
def crystal() -> Callable[..., Glass]:
    """Builder of perfect crystals, see :func:`make_crystal`."""
    return make_crystal


@pytest.fixture(scope="session")
def icosahedron() -> Callable[..., np.ndarray]:
    """Builder of icosahedra, see :func:`make_icosahedron`."""
    return make_icosahedron


@pytest.fixture(scope="session")
def rewritten() -> Callable[[Glass, int], tuple[Glass, np.ndarray]]:
    """Writes a structure down in another way, see :func:`rewrite`."""
    return rewrite
