"""Structure factor S(q) of a periodic glass, total and partial, and its first sharp diffraction peak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symgnn_explain.errors import InputError
from symgnn_explain.runs.brief import Brief
from symgnn_explain.runs.watch import CancelSignal, Watch
from symgnn_explain.structure.glass import FloatArray, Glass, IntArray

SMOOTHING = 0.07
"""Standard deviation (1/Å) of the Gaussian in which parabolas are fitted to S(q) before its peaks are sought."""

SMALLEST_PROMINENCE = 0.1
"""A peak of S(q) must stand out from the minima beside it by this much, and by four standard errors."""

MOST_WAVE_VECTORS = 5e6
"""Wave vectors beyond which the sum is refused: it would take minutes, and say nothing that fewer do not."""

_ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class DiffractionPeak:
    """The first peak of S(q).

    Parameters
    ----------
    position
        1/Å.
    height
        S(q) at the peak.
    width
        Full width at half prominence, 1/Å: between the flanks, halfway down to the higher of the two neighbouring
        minima.
    prominence
        Height above the higher of the two neighbouring minima.
    """

    position: float
    height: float
    width: float
    prominence: float


@dataclass(frozen=True, eq=False, repr=False)
class StructureFactor(Brief):
    """Isotropic average of the structure factor over the wave vectors that the cell allows.

    Parameters
    ----------
    q
        Mean length of the wave vectors in each bin, shape (B,), 1/Å.
    n_vectors
        Wave vectors in each bin, shape (B,); each stands for its opposite as well.
    total
        Number-number structure factor, shape (B,); 1 in an ideal gas.
    error
        Standard error of ``total`` in a disordered structure, shape (B,): the total over the square root of
        ``n_vectors``.
    ashcroft_langreth
        Partials by pair of species, each of shape (B,).
    concentrations
        Fraction of each species.
    bin_width
        1/Å.
    first_peak
        The first sharp diffraction peak of ``total``; None where no peak stands out.
    """

    q: FloatArray
    n_vectors: IntArray
    total: FloatArray
    error: FloatArray
    ashcroft_langreth: Mapping[tuple[str, str], FloatArray]
    concentrations: Mapping[str, float]
    bin_width: float
    first_peak: DiffractionPeak | None

    @property
    def faber_ziman(self) -> dict[tuple[str, str], FloatArray]:
        """Partials by pair of species in the definition of Faber and Ziman; all go to 1 at large q."""
        return {
            (a, b): 1 + (partial - (a == b)) / np.sqrt(self.concentrations[a] * self.concentrations[b])
            for (a, b), partial in self.ashcroft_langreth.items()
        }

    def weighted(self, amplitudes: Mapping[str, float]) -> FloatArray:
        """Total structure factor that a scattering experiment sees (Faber and Ziman), shape (B,).

        Parameters
        ----------
        amplitudes
            Scattering amplitude of each species: neutron scattering lengths, or form factors at q = 0 as a rough
            stand-in for X-rays.

        Raises
        ------
        InputError
            If a species has no amplitude, or their mean is zero.
        """
        missing = sorted(set(self.concentrations) - set(amplitudes))
        if missing:
            raise InputError(f"no amplitude was given for {', '.join(missing)}: give one for each species.")
        share = {species: fraction * amplitudes[species] for species, fraction in self.concentrations.items()}
        mean = sum(share.values())
        if mean == 0:
            raise InputError("the mean amplitude is zero: the definition divides by it.")
        terms = [
            (1 if a == b else 2) * share[a] * share[b] / mean**2 * (partial - 1)
            for (a, b), partial in self.faber_ziman.items()
        ]
        return np.asarray(1 + np.sum(terms, axis=0))

    def to_frame(self) -> pd.DataFrame:
        """One row a bin: q (1/Å), n_vectors, total, error, and each partial of Faber and Ziman."""
        table = {"q": self.q, "n_vectors": self.n_vectors, "total": self.total, "error": self.error}
        return pd.DataFrame(table | {"-".join(pair): curve for pair, curve in self.faber_ziman.items()})


def static_structure_factor(
    glass: Glass,
    q_max: float = 6.0,
    bin_width: float = 0.05,
    *,
    progress: Callable[[float], None] | None = None,
    cancel: CancelSignal | None = None,
) -> StructureFactor:
    r"""Structure factor from the positions, summed over every wave vector that the periodic cell allows.

    With :math:`\rho_a(\mathbf q) = \sum_{i \in a} e^{i \mathbf q \cdot \mathbf r_i}` the partials of Ashcroft and
    Langreth are :math:`S_{ab}(q) = \langle \mathrm{Re}\, \rho_a \rho_b^* \rangle / \sqrt{N_a N_b}`, those of Faber and
    Ziman :math:`1 + (S_{ab} - \delta_{ab}) / \sqrt{c_a c_b}`, and the total :math:`\langle |\rho|^2 \rangle / N`. No
    window and no radial distribution function is involved, so nothing is truncated; the resolution is the cell's,
    2π / L. Any cell, triclinic ones included.

    The first sharp diffraction peak is the first maximum of the total that stands out by 0.1 and by four standard
    errors. In metallic glasses it is the main peak; there need be no pre-peak before it.

    Parameters
    ----------
    q_max, bin_width
        Range and resolution, 1/Å. Bins without any wave vector are left out.
    progress, cancel
        Called with the fraction done; asked whether to stop.

    Raises
    ------
    InputError
        If the glass is not periodic in all directions, or the range does not fit.
    Cancelled
        If it was asked to stop.

    Examples
    --------
    >>> b2 = Glass([[0, 0, 0], [1.63, 1.63, 1.63]], [29, 40], np.eye(3) * 3.26)
    >>> static_structure_factor(b2, q_max=4.0).n_vectors.tolist()
    [3, 6, 4, 3]
    """
    if not glass.pbc.all():
        raise InputError(f"{glass.name!r} is not periodic in all directions, as wave vectors that fit a cell need it.")
    if not (np.isfinite(q_max) and np.isfinite(bin_width) and 0 < bin_width < q_max):
        raise InputError(f"{bin_width=} and {q_max=} do not fit: expected 0 < bin_width < q_max, in 1/Å.")
    n_expected = glass.volume * q_max**3 / (12 * np.pi**2)
    if n_expected > MOST_WAVE_VECTORS:
        raise InputError(f"{q_max=} 1/Å takes {n_expected:.1e} wave vectors in this cell: choose a smaller one.")
    length, densities = _densities(glass, q_max, Watch(progress, cancel))
    index = (length / bin_width).astype(np.int64)
    counted = np.bincount(index)
    filled = counted > 0
    if not filled.any():
        raise InputError(f"no wave vector of this cell is shorter than {q_max=} 1/Å: choose a larger one.")

    def averaged(values: FloatArray) -> FloatArray:
        return np.bincount(index, weights=values)[filled] / counted[filled]

    counts = {species: int(np.sum(np.array(glass.symbols) == species)) for species in glass.species}
    q, n_vectors = averaged(length), counted[filled]
    partials = {
        (a, b): averaged((densities[a] * densities[b].conj()).real) / np.sqrt(counts[a] * counts[b])
        for a, b in combinations_with_replacement(glass.species, 2)
    }
    total = averaged(np.abs(np.sum(list(densities.values()), axis=0)) ** 2) / len(glass)
    concentrations = {species: count / len(glass) for species, count in counts.items()}
    error = total / np.sqrt(n_vectors)
    return StructureFactor(
        q=q,
        n_vectors=n_vectors,
        total=total,
        error=error,
        ashcroft_langreth=MappingProxyType(partials),
        concentrations=MappingProxyType(concentrations),
        bin_width=bin_width,
        first_peak=_first_peak(q, total, error, n_vectors, bin_width),
    )


def _densities(glass: Glass, q_max: float, watch: Watch) -> tuple[FloatArray, dict[str, _ComplexArray]]:
    """Lengths of the wave vectors of one half space, and each species' density at them."""
    reciprocal = 2 * np.pi * np.linalg.inv(glass.cell).T
    # h_i = q · a_i / 2π, so no index of a vector shorter than q_max exceeds this.
    largest = np.floor(q_max * np.linalg.norm(glass.cell, axis=1) / (2 * np.pi)).astype(np.int64)
    fraction = glass.fractional().T
    second, third = (np.arange(-n, n + 1) for n in largest[1:])
    along_second, along_third = (
        np.exp(2j * np.pi * np.outer(index, fraction[axis])) for axis, index in ((1, second), (2, third))
    )
    members = {species: np.flatnonzero(np.array(glass.symbols) == species) for species in glass.species}
    lengths: list[FloatArray] = []
    found: dict[str, list[_ComplexArray]] = {species: [] for species in members}
    for first in range(largest[0] + 1):
        watch.advance(first / (largest[0] + 1))
        vectors = first * reciprocal[0] + second[:, None, None] * reciprocal[1] + third[:, None] * reciprocal[2]
        length = np.linalg.norm(vectors, axis=-1)
        inside = (length < q_max) & (length > 0)
        if first == 0:
            # Of a vector and its opposite one is enough.
            inside &= (second[:, None] > 0) | ((second[:, None] == 0) & (third > 0))
        plane = along_second * np.exp(2j * np.pi * first * fraction[0])
        lengths.append(length[inside])
        for species, atoms in members.items():
            found[species].append((plane[:, atoms] @ along_third[:, atoms].T)[inside])
    watch.advance(1.0)
    return np.concatenate(lengths), {species: np.concatenate(parts) for species, parts in found.items()}


def _first_peak(
    q: FloatArray, curve: FloatArray, error: FloatArray, n_vectors: IntArray, bin_width: float
) -> DiffractionPeak | None:
    from scipy.signal import find_peaks, peak_widths

    grid = np.arange(q[0], q[-1] + bin_width / 4, bin_width / 4)
    smoother = _local_quadratic(grid, q, n_vectors)
    smooth, noise = smoother @ curve, np.sqrt(smoother**2 @ error**2)
    peaks, found = find_peaks(smooth, prominence=SMALLEST_PROMINENCE)
    bases = np.stack([found["left_bases"], found["right_bases"]])
    rise = smooth[peaks] - smooth[bases]
    clear = (rise >= 4 * np.hypot(noise[peaks], noise[bases])).all(axis=0)
    peaks, prominence = peaks[clear], found["prominences"][clear]
    if peaks.size == 0:
        return None
    width, *_ = peak_widths(smooth, peaks[:1], rel_height=0.5)
    return DiffractionPeak(
        position=float(grid[peaks[0]]),
        height=float(smooth[peaks[0]]),
        width=float(width[0] * bin_width / 4),
        prominence=float(prominence[0]),
    )


def _local_quadratic(grid: FloatArray, q: FloatArray, n_vectors: IntArray) -> FloatArray:
    """Matrix that takes values at ``q`` to parabolas fitted around each point of ``grid``, shape (G, B).

    A parabola follows a peak, which a plain average would lower and broaden. Bins weigh by their wave vectors: by their
    errors they would weigh most where S(q) happens to be small.
    """
    offset = q - grid[:, None]
    weight = n_vectors * np.exp(-((offset / SMOOTHING) ** 2) / 2)
    powers = offset[:, :, None] ** np.arange(3)
    moments = np.einsum("gb,gbi,gbj->gij", weight, powers, powers)
    constant = np.linalg.pinv(moments, hermitian=True)[:, 0]
    return np.einsum("gi,gbi,gb->gb", constant, powers, weight)
