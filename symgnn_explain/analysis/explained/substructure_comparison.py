"""Is the important sub-structure special topologically? Its persistence diagram against those of other edges' atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from symgnn_explain.analysis.explained.substructure import open_structure
from symgnn_explain.analysis.nulls.candidates import edge_candidates
from symgnn_explain.analysis.nulls.null_models import EDGE_NULLS, interval, two_sided_p
from symgnn_explain.analysis.topology.alpha import LARGEST_VOID, periodic_complex
from symgnn_explain.analysis.topology.diagrams import diagram_distances, persistence_entropy
from symgnn_explain.analysis.topology.homology import StructureTopology
from symgnn_explain.analysis.topology.persistence import describe_pairs, persistence_pairs
from symgnn_explain.errors import Cancelled, InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.explain.result.placement import Placement, place_atoms
from symgnn_explain.runs.watch import CancelSignal
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

NULLS = ("random", "hop_matched", "hop_length_matched")
DRAWS = 100
COMPARED = 20

STATISTICS = {
    "pairs_per_atom": "",
    "life_per_atom": "Å",
    "mean_birth": "Å",
    "mean_death": "Å",
    "mean_life": "Å",
    "longest_life": "Å",
    "entropy": "nats",
}
"""What is compared of a diagram, with its unit. Lives are deaths minus births; entropy is the persistence entropy."""

DISTANCE = "wasserstein_distance"
"""Mean Wasserstein distance (order 2) to the others, Å: large for a sub-structure that is unlike the others."""

_MOST_EXACT = 500
_DISTANCE_ERROR = 0.01
_FEWEST_ATOMS = 4


@dataclass(frozen=True)
class SubstructureTest:
    """One number of the important sub-structure's diagram, against sub-structures that a null model drew.

    Parameters
    ----------
    null, description
        The null model, see :data:`~.nulls.EDGE_NULLS`.
    statistic, unit
        See :data:`STATISTICS` and :data:`DISTANCE`.
    observed, expected
        Of the important one, and the mean over the drawn ones; NaN where there are no pairs.
    low, high
        95 % of the drawn ones lie between.
    p_value
        Share of drawn ones as far from the mean on either side; for the distance, at least as far from the others.
    draws
        Drawn ones that have the number.
    """

    null: str
    description: str
    statistic: str
    unit: str
    observed: float
    expected: float
    low: float
    high: float
    p_value: float
    draws: int


@dataclass(frozen=True, eq=False)
class SubstructureComparison:
    """The persistence diagram of the important sub-structure against those of others in the receptive field.

    Parameters
    ----------
    atom, method, k, glass_name
        What was compared.
    atoms
        The explained atom and those at the ends of the ``k`` most important edges, shape (A,).
    dimension
        0 for components, 1 for rings, 2 for voids.
    boundary
        ``open``: of the atoms alone; ``periodic``: the pairs of the whole structure that they take part in.
    diagram
        Of the important sub-structure, births and deaths, shape (R, 2), Å.
    drawn
        Diagrams of those that each null model drew, by its name.
    tests
        One a null model and number.
    seed
        Of the null models.
    """

    atom: int
    method: str
    k: int
    glass_name: str
    atoms: IntArray
    dimension: int
    boundary: str
    diagram: FloatArray
    drawn: dict[str, list[FloatArray]]
    tests: tuple[SubstructureTest, ...]
    seed: int

    def test(self, statistic: str, null: str = "hop_length_matched") -> SubstructureTest:
        """One test by its names; raises InputError where there is none."""
        for test in self.tests:
            if (test.statistic, test.null) == (statistic, null):
                return test
        known = sorted({test.statistic for test in self.tests}), sorted(self.drawn)
        raise InputError(f"no test of {statistic!r} against {null!r}: there are {known[0]} against {known[1]}.")

    def to_frame(self) -> pd.DataFrame:
        """One row a test: null, statistic, unit, observed, expected, low, high, p_value, draws."""
        return pd.DataFrame([asdict(test) for test in self.tests]).drop(columns="description")

    def summary(self) -> dict[str, Any]:
        """Plain values, ready for JSON; those that do not exist are None."""
        rows = self.to_frame().to_dict(orient="records")
        return {
            "k": self.k,
            "n_atoms": len(self.atoms),
            "dimension": self.dimension,
            "boundary": self.boundary,
            "n_pairs": len(self.diagram),
            "tests": [
                {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}
                for row in rows
            ],
            "seed": self.seed,
        }


def compare_substructures(
    explanation: AtomExplanation,
    glass: Glass,
    k: int = 50,
    *,
    dimension: int = 1,
    topology: StructureTopology | None = None,
    nulls: Sequence[str] = NULLS,
    draws: int = DRAWS,
    compared: int = COMPARED,
    seed: int = 0,
    cancel: CancelSignal | None = None,
) -> SubstructureComparison:
    """Compare the persistence diagram of the important sub-structure with those of others.

    The important sub-structure is the explained atom and the atoms at the ends of the ``k`` most important edges; the
    others are the same of edges that null models draw from the receptive field. (Atoms drawn one by one would be no
    null: the ends of edges are near each other whatever the network thinks.) The atoms are taken alone, without
    periodicity; given the structure's ``topology``, a diagram holds instead the pairs of the whole structure that the
    atoms take part in, :meth:`~.homology.StructureTopology.diagram_of`. As edges share atoms, sub-structures differ in
    size, which is why numbers of pairs are per atom.

    Parameters
    ----------
    k
        Most important edges, self-loops left out.
    dimension
        0 for components, 1 for rings, 2 for voids.
    topology
        The structure's, for pairs of the whole structure.
    nulls
        Names in :data:`~.nulls.EDGE_NULLS`.
    draws, seed
        Sub-structures that each null model draws.
    compared
        The first so many of them enter the Wasserstein distance, which takes a matching for every two; 0 for none.
        Diagrams of more than 500 pairs, usual with ``topology``, are matched to 1 %, which takes up to a second each.
    cancel
        Asked whether to stop.

    Raises
    ------
    InputError
        If the explanation or the topology belong to another glass, a null model is unknown, or fewer than three atoms
        besides the explained one are important.
    Cancelled
        If it was asked to stop.
    """
    explanation.require_glass(glass)
    unknown = [name for name in nulls if name not in EDGE_NULLS]
    if unknown:
        raise InputError(f"there is no null model {unknown[0]!r}: choose among {', '.join(EDGE_NULLS)}.")
    if topology is not None and topology.persistence.glass_sha256 != glass.content_hash:
        raise InputError(f"the topology belongs to another structure than {glass.name!r}: compute it anew.")
    candidates = edge_candidates(explanation, k)
    placement = place_atoms(explanation)

    def atoms_on(rows: IntArray) -> IntArray:
        edges = candidates.ids[rows]
        return np.unique([*explanation.source[edges], *explanation.target[edges], explanation.atom])

    def diagram_of(atoms: IntArray) -> FloatArray:
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"the comparison of atom {explanation.atom}'s sub-structure was cancelled.")
        if topology is not None:
            return topology.diagram_of(atoms, dimension)
        return _open_diagram(placement, glass, atoms, dimension)

    atoms = atoms_on(np.flatnonzero(candidates.chosen))
    if len(atoms) < _FEWEST_ATOMS:
        raise InputError(
            f"the {k} most important edges have {len(atoms)} atoms, expected {_FEWEST_ATOMS} or more: raise k."
        )
    important = diagram_of(atoms)
    tests: list[SubstructureTest] = []
    drawn: dict[str, list[FloatArray]] = {}
    for name in nulls:
        sets = [atoms_on(rows) for rows in EDGE_NULLS[name].draw(candidates, draws, np.random.default_rng(seed)).rows]
        sets = [one for one in sets if len(one) >= _FEWEST_ATOMS]
        drawn[name] = [diagram_of(one) for one in sets]
        tests += _tests(name, diagram_statistics(important, len(atoms)), drawn[name], [len(one) for one in sets])
        if compared and sets:
            tests.append(_distance_test(name, important, drawn[name][:compared]))
    return SubstructureComparison(
        atom=explanation.atom,
        method=explanation.method,
        k=k,
        glass_name=glass.name,
        atoms=atoms,
        dimension=dimension,
        boundary="open" if topology is None else "periodic",
        diagram=important,
        drawn=drawn,
        tests=tuple(tests),
        seed=seed,
    )


def diagram_statistics(diagram: FloatArray, n_atoms: int) -> dict[str, float]:
    """Compute the numbers of :data:`STATISTICS` for the diagram of a set of atoms; NaN for means of no pairs."""
    birth, death = diagram[:, 0], diagram[:, 1]
    life = death - birth
    any_pairs = len(diagram) > 0
    return {
        "pairs_per_atom": len(diagram) / n_atoms,
        "life_per_atom": float(life.sum()) / n_atoms,
        "mean_birth": float(birth.mean()) if any_pairs else np.nan,
        "mean_death": float(death.mean()) if any_pairs else np.nan,
        "mean_life": float(life.mean()) if any_pairs else np.nan,
        "longest_life": float(life.max()) if any_pairs else 0.0,
        "entropy": persistence_entropy(diagram),
    }


def _open_diagram(placement: Placement, glass: Glass, atoms: IntArray, dimension: int) -> FloatArray:
    rows = placement.rows_of(atoms)
    part = Placement(*(getattr(placement, name)[rows] for name in ("atoms", "position", "hop", "ambiguous")))
    alpha = periodic_complex(open_structure(part, glass))
    return describe_pairs(alpha, persistence_pairs(alpha), LARGEST_VOID, "").diagram(dimension)


def _tests(null: str, observed: dict[str, float], drawn: list[FloatArray], sizes: list[int]) -> list[SubstructureTest]:
    numbers = [diagram_statistics(one, size) for one, size in zip(drawn, sizes, strict=True)]
    table = pd.DataFrame(numbers, columns=list(STATISTICS))
    return [
        _test(null, statistic, unit, observed[statistic], table[statistic].dropna().to_numpy(dtype=np.float64))
        for statistic, unit in STATISTICS.items()
    ]


def _test(null: str, statistic: str, unit: str, observed: float, values: FloatArray) -> SubstructureTest:
    expected = low = high = p_value = np.nan
    if values.size:
        expected, (low, high) = float(values.mean()), interval(values)
        p_value = two_sided_p(observed, values, expected) if np.isfinite(observed) else np.nan
    description = EDGE_NULLS[null].description
    return SubstructureTest(null, description, statistic, unit, observed, expected, low, high, p_value, len(values))


def _distance_test(null: str, important: FloatArray, drawn: list[FloatArray]) -> SubstructureTest:
    """Whether the important set is farther from the drawn ones than these are from each other, itself included."""
    diagrams = [important, *drawn]
    error = _DISTANCE_ERROR if max(map(len, diagrams)) > _MOST_EXACT else 0.0
    mean = diagram_distances(diagrams, relative_error=error).sum(axis=1) / len(drawn)
    low, high = interval(mean[1:])
    return SubstructureTest(
        null=null,
        description=EDGE_NULLS[null].description,
        statistic=DISTANCE,
        unit="Å",
        observed=float(mean[0]),
        expected=float(mean[1:].mean()),
        low=low,
        high=high,
        p_value=float((mean >= mean[0] - 1e-12).mean()),
        draws=len(drawn),
    )
