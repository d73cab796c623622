"""The explanations of many atoms, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from symgnn_explain.errors import InputError
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.models.target import Target
from symgnn_explain.runs.record_format import pack
from symgnn_explain.runs.records import Manifest, RecordFolder, Records, content_of
from symgnn_explain.structure.glass import Glass


class ExplanationSet:
    """Explanations of many atoms of one glass by one method: ``explanations[atom]``, or one after the other.

    Only the one that was asked for is in memory as an :class:`AtomExplanation`.

    Parameters
    ----------
    records
        Where they are.
    atoms
        Which atoms, in which order.
    """

    def __init__(self, records: Records, atoms: Sequence[int]) -> None:
        self._records = records
        self._atoms = tuple(int(atom) for atom in atoms)
        self._known = frozenset(self._atoms)

    @classmethod
    def open(cls, folder: str | Path) -> ExplanationSet:
        """Open the folder that ``explain_many(…, out=folder)`` wrote, with every atom in it.

        Raises
        ------
        InputError
            If it is no such folder.
        """
        records = RecordFolder(Path(folder))
        return cls(records, records.atoms())

    @property
    def atoms(self) -> tuple[int, ...]:
        """The explained atoms."""
        return self._atoms

    @property
    def manifest(self) -> Manifest:
        """What was explained, by what and how: glass, predictor, method, settings."""
        return self._records.manifest

    def __len__(self) -> int:
        return len(self._atoms)

    def __contains__(self, atom: object) -> bool:
        return atom in self._known

    def __iter__(self) -> Iterator[AtomExplanation]:
        seconds = self._records.seconds()
        for atom in self._atoms:
            yield decode(self._records.read(atom), seconds=seconds.get(atom))

    def __getitem__(self, atom: int) -> AtomExplanation:
        if atom not in self._known:
            raise InputError(f"atom {atom} is not among the {len(self)} explained ones.")
        return decode(self._records.read(atom), seconds=self._records.seconds().get(atom))

    def __repr__(self) -> str:
        return f"ExplanationSet({len(self)} atoms of {self.manifest['glass']['name']!r}, {self.manifest['method']})"

    @property
    def quantity(self) -> Target:
        """What is predicted."""
        return Target.from_dict(self.manifest["predictor"].get("target"))

    def require_glass(self, glass: Glass) -> None:
        """Raise InputError unless these explain atoms of ``glass``."""
        if self.manifest["glass"]["sha256"] != glass.content_hash:
            raise InputError(
                f"the explanations belong to another glass ({self.manifest['glass']['name']!r}) than the one given "
                f"({glass.name!r})."
            )

    def to_frame(self) -> pd.DataFrame:
        """Summarise each atom in a row; predictions and their changes are in the unit of :attr:`quantity`.

        Columns: atom, prediction, masked_prediction, masked_change, out_of_distribution, n_edges, n_units, seconds, and
        ``sufficiency_k`` and ``necessity_k`` for each number of units ``k`` that the explanations were checked at.
        """
        return pd.DataFrame([_summary(explanation) for explanation in self])


def encode(explanation: AtomExplanation, run: str) -> bytes:
    """Turn an explanation into a record: everything but how long it took."""
    content = explanation.content()
    content.pop("wall_time")
    return pack(run, content)


def decode(blob: bytes, *, seconds: float | None = None) -> AtomExplanation:
    """Invert :func:`encode`; raises InputError where these are not the bytes of a whole record."""
    content = content_of(blob)
    return AtomExplanation.from_dict(content if seconds is None else content | {"wall_time": seconds})


def _summary(explanation: AtomExplanation) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "atom": explanation.atom,
        "prediction": explanation.prediction,
        "masked_prediction": explanation.masked_prediction,
        "masked_change": explanation.masked_change,
        "out_of_distribution": explanation.out_of_distribution,
        "n_edges": len(explanation),
        "n_units": len(explanation.unit_score),
        "seconds": explanation.wall_time or None,
    }
    checked = explanation.fidelity
    if checked is not None:
        for place, count in enumerate(checked.count):
            summary[f"sufficiency_{count}"] = float(checked.sufficiency[place])
            summary[f"necessity_{count}"] = float(checked.necessity[place])
    return summary
