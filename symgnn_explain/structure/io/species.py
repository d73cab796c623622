"""Which species the atoms of a file are: by the map that the user gives, else by what the file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from symgnn_explain.errors import InputError, SpeciesNeededError
from symgnn_explain.structure.glass import Glass, IntArray, atomic_number
from symgnn_explain.structure.io.tables import is_count

NOTE_KEYS = ("species", "boundaries", "units", "ending")
"""Keys of the provenance whose sentence says what reading has inferred or converted."""

MASS_TOLERANCE = 0.1  # how far a mass (u) may be from an element's

# Without a stable isotope, so never meant where their mass is next to a stable element's (Po beside Bi).
_UNSTABLE = {43, 61, *range(84, 90), *range(91, 92), *range(93, 119)}


@dataclass(frozen=True)
class Source:
    """One place of a file that says species.

    ``words``: what the place is called in a sentence. ``numbers``: atomic numbers, shape (N,); 0 where the place does
    not say. ``plain``: whether the place is where species are expected, so that nobody needs to be told.
    """

    words: str
    numbers: IntArray
    plain: bool = False


def notes(glass: Glass) -> list[str]:
    """Return the sentences on what was inferred or converted when the glass was read."""
    return [glass.provenance[key] for key in NOTE_KEYS if key in glass.provenance]


def species_of(
    what: str, types: NDArray[Any] | None, sources: Sequence[Source], species: Mapping[int, str] | None
) -> tuple[IntArray, dict[str, str]]:
    """Return the atomic numbers, and what has to be said about them as part of the provenance.

    The map comes first. Without one, everything that the file says is used, and has to agree.

    ``what``: the file in words, for example "a LAMMPS dump". ``types``: numerical types, shape (N,), where the file has
    such. ``sources``: what the file says about species. ``species``: the user's map from types to species. Raises
    SpeciesNeededError if the file does not say, or contradicts itself; InputError if the map does not cover the types,
    or contradicts a file without types.
    """
    if species is not None and types is not None:
        numbers = numbers_from_types(types, species)
        plain = next((source for source in sources if source.plain and (source.numbers != numbers).any()), None)
        if plain is None:
            return numbers, {}
        other = _in_words(types, plain.numbers)
        return numbers, {"species": f"the given map {_written(species)} was used; {plain.words} says {other}."}
    numbers = np.zeros(len(sources[0].numbers) if sources else 0, dtype=np.int64)
    for position, source in enumerate(sources):
        both = (numbers > 0) & (source.numbers > 0)
        if (numbers[both] != source.numbers[both]).any():
            atom = int(np.flatnonzero(both & (numbers != source.numbers))[0])
            first = next(each for each in sources[:position] if each.numbers[atom])
            raise _needed(
                f"{first.words} says {chemical_symbols[numbers[atom]]} where {source.words} says "
                f"{chemical_symbols[source.numbers[atom]]}",
                types,
            )
        numbers = np.where(numbers > 0, numbers, source.numbers)
    if not sources or (numbers == 0).any():
        if types is None:
            raise InputError(f"{what} does not say the species of {int((numbers == 0).sum())} of its atoms: name them.")
        raise _needed(f"{what} does not say which species its types {_unknown(types, numbers)} are", types)
    if species is not None:
        return reconciled(numbers, species), {}
    # The first place that says all, or all places that say some.
    whole = [source for source in sources if (source.numbers > 0).all()][:1]
    used = whole or [source for source in sources if source.numbers.any()]
    if any(source.plain for source in used):
        return numbers, {}
    places = " and ".join(source.words for source in used)
    return numbers, {"species": f"the species {_in_words(types, numbers)} are taken from {places}; no map was given."}


def numbers_from_types(types: NDArray[Any], species: Mapping[int, str]) -> IntArray:
    """Return atomic numbers, shape (N,), by the map; raises InputError if the map lacks a type."""
    missing = sorted(set(np.unique(types).tolist()) - set(species))
    if missing:
        raise InputError(f"the file has atoms of type {missing}, but the species map names only {_written(species)}.")
    numbers = np.zeros(len(types), dtype=np.int64)
    for kind, symbol in species.items():
        numbers[types == kind] = atomic_number(symbol)
    return numbers


def numbers_from_words(words: NDArray[Any], *, strict: bool = True) -> IntArray:
    """Return atomic numbers of symbols in any case; 0 for other words unless ``strict``.

    Raises InputError if a word is no element.
    """
    unique, place = np.unique(words.astype(np.str_), return_inverse=True)
    known = [atomic_numbers.get(word, 0) or atomic_numbers.get(word.capitalize(), 0) for word in unique.tolist()]
    if strict:
        for word, value in zip(unique.tolist(), known, strict=True):
            if not value:
                atomic_number(word)  # raises the sentence
    return np.array(known, dtype=np.int64)[place.reshape(words.shape)]


def numbers_from_masses(masses: NDArray[Any]) -> IntArray:
    """Return the elements within 0.1 u of the masses, 0 where there is none.

    A mass of exactly 1 says nothing: it is what programs write where masses do not matter.
    """
    stable = np.array([value for value in range(1, 93) if value not in _UNSTABLE])
    unique, place = np.unique(np.asarray(masses, dtype=np.float64), return_inverse=True)
    distance = np.abs(atomic_masses[stable] - unique[:, None])
    nearest = distance.argmin(axis=1)
    close = (distance.min(axis=1) <= MASS_TOLERANCE) & (unique != 1)
    return np.where(close, stable[nearest], 0)[place.reshape(np.shape(masses))]


def are_types(words: NDArray[Any]) -> bool:
    """Whether a column that should name species holds whole numbers."""
    if words.dtype.kind == "f":
        return bool((np.abs(words) < 2**53).all() and (words == np.round(words)).all())
    return words.dtype.kind in "iu" or (words.dtype.kind == "U" and all(map(is_count, np.unique(words).tolist())))


def reconciled(numbers: IntArray, species: Mapping[int, str] | None) -> IntArray:
    """Apply the user's map to a file that names its species and has no types.

    Types that a program has taken for atomic numbers (1 and 2, hence H and He) are mapped; a map whose species are
    those of the file changes nothing; any other is a contradiction, and raises InputError.
    """
    if species is None:
        return numbers
    present = set(np.unique(numbers).tolist())
    if present <= set(species):
        return numbers_from_types(numbers, species)
    if present <= {atomic_number(symbol) for symbol in species.values()}:
        return numbers
    named = ", ".join(chemical_symbols[value] for value in sorted(present))
    raise InputError(
        f"the file names the species {named} and has no types that the map {_written(species)} could apply to: "
        "leave the map away, or give it for the atomic numbers of the file."
    )


def _needed(reason: str, types: NDArray[Any] | None) -> SpeciesNeededError:
    kinds = [] if types is None else [int(kind) for kind in np.unique(types).tolist()]
    example = dict(zip(kinds or [1, 2], ("Cu", "Zr", "Al", "Ag"), strict=False))
    python = ", ".join(f'{kind}: "{symbol}"' for kind, symbol in example.items())
    return SpeciesNeededError(
        f"{reason}: give the map, for example species={{{python}}} in Python or --species {_written(example, ',')} "
        "on the command line.",
        tuple(kinds),
    )


def _unknown(types: NDArray[Any], numbers: IntArray) -> list[int]:
    return np.unique(types[numbers == 0] if len(numbers) else types).tolist()


def _in_words(types: NDArray[Any] | None, numbers: IntArray) -> str:
    if types is None:
        return ", ".join(chemical_symbols[value] for value in np.unique(numbers).tolist())
    pairs = np.unique(np.stack([types, numbers]), axis=1).T.tolist()
    return ", ".join(f"{kind}={chemical_symbols[value]}" for kind, value in pairs)


def _written(species: Mapping[int, str], separator: str = ", ") -> str:
    return separator.join(f"{kind}={symbol}" for kind, symbol in species.items())
