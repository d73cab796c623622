"""Whether physics does what the network says of an edit: barriers computed before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from symgnn_explain.runs.watch import Watch
from symgnn_explain.saddles.atom_barrier import AtomBarrier
from symgnn_explain.saddles.calculator import Calculator
from symgnn_explain.saddles.many import compute_barriers
from symgnn_explain.saddles.settings import SearchSettings
from symgnn_explain.structure.glass import Glass


@dataclass(frozen=True, eq=False)
class Verified:
    """The barrier of one atom, computed in two structures.

    Parameters
    ----------
    before, after
        What the searches from the atom found in each.
    """

    before: AtomBarrier
    after: AtomBarrier

    @property
    def change(self) -> float | None:
        """Of the barrier, eV; None where one of the two was not found."""
        if self.before.mean is None or self.after.mean is None:
            return None
        return self.after.mean - self.before.mean

    @property
    def standard_error(self) -> float | None:
        """Of the change, eV; None where a barrier has fewer than two saddles."""
        one, other = self.before.standard_error, self.after.standard_error
        return None if one is None or other is None else (one**2 + other**2) ** 0.5

    def __str__(self) -> str:
        if self.change is None:
            missing = "before" if self.before.mean is None else "after"
            return f"no saddle was found {missing} the edit in {self.before.searches} searches"
        error = "" if self.standard_error is None else f" ± {self.standard_error:.3f}"
        return (
            f"computed {self.before.mean:.3f} → {self.after.mean:.3f} eV, a change of {self.change:+.3f}{error} eV "
            f"from {len(self.before.saddles)} and {len(self.after.saddles)} saddles"
        )


def verify(
    before: tuple[Glass, int],
    after: tuple[Glass, int],
    calculator: Calculator,
    settings: SearchSettings | None = None,
    *,
    out: Path | None = None,
    watch: Watch | None = None,
) -> Verified:
    """Search for saddle points around one atom before and after edits.

    Parameters
    ----------
    before, after
        The structure, and the number of the atom in it. Each structure is brought to the nearest minimum first.
    calculator, settings
        The potential, and how to search: from both structures alike.
    out
        Folder that keeps what was found, one folder inside a structure; what is there is not computed again.
    watch
        Told how far the searches are.

    Raises
    ------
    InputError
        If the potential cannot be used.
    Cancelled
        If the watch was cancelled.
    """
    watch = watch or Watch()
    found = []
    for (glass, atom), part in zip((before, after), watch.parts(2), strict=True):
        folder = None if out is None else out / glass.content_hash[:16]
        [barrier] = compute_barriers(
            glass, calculator, [atom], settings=settings, out=folder, progress=part.advance, cancel=watch.cancel
        )
        found.append(barrier)
    return Verified(*found)
