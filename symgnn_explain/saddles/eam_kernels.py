"""Embedded-atom energies and forces compiled for one CPU core.

Atoms are numbered with those that may move first. A *site* is an atom or a periodic image of one: the movable atoms
themselves come first, then whatever else lies within reach of them. Between two nodes of a table the function is the
cubic that has the nodes' values and derivatives, as in LAMMPS.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgnn_explain.runs.compiled import compiled

# Places in arrays, where they are known not to be negative: numba then need not look.
_unsigned = np.uint64
_ONE = np.uint64(1)


@compiled
def list_sites(positions: Any, n_mobile: int, shifts: Any, reach: float) -> Any:
    """Return the atom (S,) and the shift (S,) of every site in the box that holds all within reach of a movable atom.

    ``shifts`` (T, 3) are the lattice vectors that are tried, the zero vector in the middle.
    """
    low, high = np.empty(3), np.empty(3)
    for d in range(3):
        low[d] = positions[:n_mobile, d].min() - reach
        high[d] = positions[:n_mobile, d].max() + reach
    middle = len(shifts) // 2
    atom = np.empty(n_mobile + len(positions) * len(shifts), dtype=np.int32)
    shift = np.empty(len(atom), dtype=np.int32)
    for i in range(n_mobile):
        atom[i], shift[i] = i, middle
    count = n_mobile
    for t in range(len(shifts)):
        for j in range(n_mobile if t == middle else 0, len(positions)):
            inside = True
            for d in range(3):
                x = positions[j, d] + shifts[t, d]
                inside = inside and low[d] <= x <= high[d]
            if inside:
                atom[count], shift[count] = j, t
                count += 1
    return atom[:count].copy(), shift[:count].copy()


@compiled
def list_pairs(  # noqa: PLR0917 - compiled
    sites: Any, atom: Any, shift: Any, middle: int, n_mobile: int, reach: float
) -> Any:
    """Return the partners of each movable atom within ``reach``, every pair once: first (n_mobile + 1,), partner (P,).

    ``sites`` (S, 3) are positions; ``middle`` is the number of the shift that is zero.
    """
    edge = reach / 2
    low = np.array([sites[:, d].min() for d in range(3)])
    bins = ((sites - low) / edge).astype(np.int64)
    counts = np.array([bins[:, d].max() + 1 for d in range(3)])
    flat = (bins[:, 0] * counts[1] + bins[:, 1]) * counts[2] + bins[:, 2]
    start, order = _by_bin(flat, counts.prod())
    sorted_sites = sites[order]
    first = np.zeros(n_mobile + 1, dtype=np.int64)
    partner = np.empty(n_mobile * 128 + 1024, dtype=np.int32)
    count = 0
    for i in range(n_mobile):
        first[i] = count
        x, y, z = sites[i, 0], sites[i, 1], sites[i, 2]
        a, b, c = bins[i, 0], bins[i, 1], bins[i, 2]
        for u in range(max(a - 2, 0), min(a + 3, counts[0])):
            for v in range(max(b - 2, 0), min(b + 3, counts[1])):
                # Bins that differ in the last number alone stand together.
                row = (u * counts[1] + v) * counts[2]
                for q in range(start[row + max(c - 2, 0)], start[row + min(c + 3, counts[2])]):
                    dx, dy, dz = sorted_sites[q, 0] - x, sorted_sites[q, 1] - y, sorted_sites[q, 2] - z
                    if dx * dx + dy * dy + dz * dz >= reach * reach:
                        continue
                    s = order[q]
                    j = atom[s]
                    if j < i or (j == i and shift[s] <= middle):
                        continue
                    if count == len(partner):
                        grown = np.empty(2 * count, dtype=np.int32)
                        grown[:count] = partner
                        partner = grown
                    partner[count] = s
                    count += 1
    first[n_mobile] = count
    return first, partner[:count].copy()


@compiled
def _by_bin(bins: Any, n_bins: int) -> Any:
    """Return where each bin starts (n_bins + 1,) in the numbers of the things in bins, which are the second result."""
    counts = np.zeros(n_bins + 1, dtype=np.int64)
    for bin_ in bins:
        counts[bin_ + 1] += 1
    start = np.cumsum(counts)
    filled = start.copy()
    order = np.empty(len(bins), dtype=np.int32)
    for thing in range(len(bins)):
        order[filled[bins[thing]]] = thing
        filled[bins[thing]] += 1
    return start, order


@compiled
def _keep_close(  # noqa: PLR0917 - compiled
    listed: Any, sites: Any, i: int, count: int, cutoff: float, work: Any
) -> int:
    """Keep vector, squared distance and atom of the listed partners of atom ``i`` that are closer than the cut-off.

    They come after the first ``count`` pairs; returns how many pairs there are then. What a distance decides is added
    up, not branched upon: too many such branches would be guessed wrong.
    """
    first, partner, atom = listed
    vector, _, close, _, distance, _ = work
    x, y, z = sites[i, 0], sites[i, 1], sites[i, 2]
    for q in range(_unsigned(first[i]), _unsigned(first[i + 1])):
        s, c = _unsigned(partner[q]), _unsigned(count)
        dx, dy, dz = x - sites[s, 0], y - sites[s, 1], z - sites[s, 2]
        r2 = dx * dx + dy * dy + dz * dz
        vector[c, 0], vector[c, 1], vector[c, 2] = dx, dy, dz
        distance[c] = r2
        close[c] = atom[s]
        count += r2 < cutoff * cutoff
    return count


@compiled
def add_pairs(  # noqa: PLR0917 - compiled
    tables: Any, listed: Any, sites: Any, kind: Any, density: Any, work: Any, per_atom: Any
) -> Any:
    """Add up pair energies (eV), and electron densities in ``density`` (N,); fill ``work`` for :func:`add_forces`.

    ``work`` holds, a pair: the vector (P, 3), three factors of the force (P, 3) and the partner's atom (P,), for those
    closer than the cut-off; where the pairs of each movable atom start; and room for distances (P,) and for numbers of
    pairs (P,). ``per_atom`` (N,) takes half of each pair energy, or is empty.
    """
    pair_table, density_table, n_kinds, n_nodes, spacing, cutoff, density_cutoff = tables
    first = listed[0]
    _, factor, close, close_first, distance, dense = work
    last = n_nodes - 2
    energy, count = 0.0, 0
    per_spacing = 1 / spacing
    for i in range(len(first) - 1):
        close_first[i] = start = count
        count = _keep_close(listed, sites, i, count, cutoff, work)
        of_kind = kind[i] * n_kinds
        own_density, own_energy = 0.0, 0.0
        n_dense = 0
        for q in range(_unsigned(start), _unsigned(count)):
            j = _unsigned(close[q])
            r = math.sqrt(distance[q])
            m = min(int(r * per_spacing), last)
            p = min(r * per_spacing - m, 1.0)
            row = _unsigned((of_kind + kind[j]) * n_nodes + m)
            value, slope = _cubic(pair_table, row, 0, p)
            per_r = 1 / r
            phi = value * per_r
            factor[q, 0] = (phi - slope * per_spacing) * per_r * per_r
            factor[q, 1] = 0.0
            factor[q, 2] = 0.0
            own_energy += phi
            if len(per_atom) > 0:
                per_atom[i] += phi / 2
                per_atom[j] += phi / 2
            distance[q] = r
            dense[n_dense] = q
            n_dense += r < density_cutoff
        for q in dense[:n_dense]:
            j = _unsigned(close[q])
            r = distance[q]
            m = min(int(r * per_spacing), last)
            p = min(r * per_spacing - m, 1.0)
            row = _unsigned((of_kind + kind[j]) * n_nodes + m)
            to_force = per_spacing / r
            value, slope = _cubic(density_table, row, 0, p)
            own_density += value
            factor[q, 1] = slope * to_force
            value, slope = _cubic(density_table, row, 2, p)
            density[j] += value
            factor[q, 2] = slope * to_force
        density[i] += own_density
        energy += own_energy
    close_first[len(first) - 1] = count
    return energy


@compiled
def embed(  # noqa: PLR0917 - compiled
    table: Any, spacing: float, density: Any, kind: Any, atoms: Any, energy: Any, slope: Any
) -> None:
    """Fill embedding energy (eV) and its derivative at the electron density, for the atoms that are named."""
    n_nodes = table.shape[1]
    for a in atoms:
        m = min(max(int(density[a] / spacing), 0), n_nodes - 2)
        p = min(density[a] / spacing - m, 1.0)
        value, derivative = _cubic(table[kind[a]], _unsigned(m), 0, p)
        slope[a] = derivative / spacing
        # Beyond the last node it goes on as a straight line.
        energy[a] = value + slope[a] * max(0.0, density[a] - (n_nodes - 1) * spacing)


@compiled
def add_forces(slope: Any, work: Any, forces: Any) -> None:
    """Add the forces (eV/Å) on movable atoms to ``forces`` (n_mobile, 3)."""
    vector, factor, close, close_first = work[:4]
    n_mobile = len(forces)
    for i in range(n_mobile):
        fx, fy, fz = 0.0, 0.0, 0.0
        for q in range(close_first[i], close_first[i + 1]):
            j = close[q]
            f = factor[q, 0] - slope[i] * factor[q, 1] - slope[j] * factor[q, 2]
            gx, gy, gz = f * vector[q, 0], f * vector[q, 1], f * vector[q, 2]
            fx += gx
            fy += gy
            fz += gz
            if j < n_mobile:
                forces[j, 0] -= gx
                forces[j, 1] -= gy
                forces[j, 2] -= gz
        forces[i, 0] += fx
        forces[i, 1] += fy
        forces[i, 2] += fz


@compiled
def add_virial(slope: Any, work: Any, virial: Any) -> None:
    """Add the outer products of the pairs' forces (eV/Å) and vectors to ``virial`` (3, 3)."""
    vector, factor, close, close_first = work[:4]
    for i in range(len(close_first) - 1):
        for q in range(close_first[i], close_first[i + 1]):
            f = factor[q, 0] - slope[i] * factor[q, 1] - slope[close[q]] * factor[q, 2]
            for a in range(3):
                for b in range(3):
                    virial[a, b] += f * vector[q, a] * vector[q, b]


@compiled
def _cubic(table: Any, row: Any, column: int, p: float) -> Any:
    """Value and derivative (by node) at ``p`` in [0, 1] of the cubic between two rows, of value and derivative each."""
    y0, d0 = table[row, column], table[row, column + 1]
    y1, d1 = table[row + _ONE, column], table[row + _ONE, column + 1]
    rise = y1 - y0
    c2 = 3 * rise - 2 * d0 - d1
    c3 = d0 + d1 - 2 * rise
    return ((c3 * p + c2) * p + d0) * p + y0, (3 * c3 * p + 2 * c2) * p + d0
