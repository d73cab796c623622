"""The explanation of the selected atom, and what was explained before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module

from traitlets import Bool, HasTraits, Instance

from symgnn_explain.explain import explain_atom
from symgnn_explain.explain.result.explanation import AtomExplanation
from symgnn_explain.runs.threads import at_once
from symgnn_explain.structure.selection import select_atoms
from symgnn_widgets.state.jobs import Job, Reporter, event_loop
from symgnn_widgets.state.method import Key, MethodChoice
from symgnn_widgets.state.selection import Selection
from symgnn_widgets.state.threshold import Threshold

HISTORY_LENGTH = 64
"""Explanations kept; each holds some 20 000 edges, about 1 MB."""

DRAWING = 1.0
"""Seconds after an explanation in which figures of it are drawn, and predictions of a very large glass rest."""

NO_ATOM = "No atom is selected: click one in the 3D view, or type its index."


class Explaining(HasTraits):
    """What is shown, what is under way (``job``), and what came before.

    Parameters
    ----------
    selected
        Whose selected atom is meant; an explanation of it that is known is shown at once.
    choice
        How it is explained.
    """

    explanation = Instance(AtomExplanation, allow_none=True, help="what is shown")
    preview = Instance(AtomExplanation, allow_none=True, help="what the running explanation has come to so far")
    history = Instance(dict, args=(), help="earlier explanations by (atom, method, settings), oldest first")
    explain_on_click = Bool(True)

    def __init__(self, selected: Selection, choice: MethodChoice) -> None:
        super().__init__()
        self.structure, self.selected, self.choice = choice.structure, selected, choice
        self.threshold = Threshold()
        self.job = Job(self._fail, self._preview)
        self.further: list[Callable[[Key], AtomExplanation | None]] = []
        """Where known explanations are looked for beside the history."""
        self._replaced: AtomExplanation | None = None
        self.observe(lambda change: self.threshold.follow(change["new"]), "explanation")
        selected.observe(self._follow_selection, "selected_atom")
        choice.observe(self._show_known, ["settings", "semantics", "unit"])
        choice.observe(self._mend, "settings_problem")

    def import_ahead(self) -> None:
        """Import what the first explanation needs in the background, where a page waits to be drawn."""
        if event_loop() is not None:
            threading.Thread(target=import_module, args=("captum.attr",), daemon=True).start()

    def on_shown(self, handler: Callable[[object], None]) -> None:
        """Call ``handler`` when another explanation is shown, or another number of its edges."""
        self.observe(handler, "explanation")
        self.threshold.observe(handler, "k")

    def pick(self, atom: int, *, add: bool = False) -> None:
        """Select an atom as a click does: explain it too, unless that is switched off or atoms are being added.

        Parameters
        ----------
        add
            Add it to the selection, or take it out, as if ``adding`` were set.
        """
        with self.structure.telling(), at_once():
            if add or self.selected.adding:
                self.selected.toggle(atom)
            else:
                self.selected.select(atom)
                if self.explain_on_click:
                    self.explain()

    def select_words(self, words: str) -> None:
        """Select in the language of :func:`~symgnn_explain.structure.selection.select_atoms`; mistakes are said."""
        structure = self.structure
        with structure.telling():
            predictions = structure.predictions  # waits for them: known values would else take their place
            structure.take_in()
            atoms = select_atoms(
                structure.glass,
                words,
                predictions=predictions,
                label=structure.target.array,
                selected=self.selected.selection,
                values=structure.named_values(self.explanation),
            )
            structure.error = ""
            self.selected.select_many(atoms.tolist())

    def explain(self, *, wait: bool = False) -> AtomExplanation | None:
        """Explain the selected atom; known explanations are shown at once, others computed in the background.

        Where the glass is still being predicted, the explanation follows; in a very large one it comes first.

        Parameters
        ----------
        wait
            Compute here and now. Without a running event loop the explanation is always computed before this returns.
        """
        atom = self.selected.selected_atom
        if atom is None:
            self.structure.error = NO_ATOM
            return None
        if self._show_known():
            return self.explanation
        structure, key = self.structure, self.key
        self._replaced = self.explanation
        self.explanation = self.preview = None
        self.structure.error = ""
        method, options = self.choice.taken()
        structure.predict()

        def work(report: Reporter, cancel: threading.Event) -> tuple[Key, AtomExplanation]:
            prepared = structure.prepared_watched(cancel)
            with at_once():
                explanation = explain_atom(
                    structure.predictor,
                    structure.glass,
                    atom,
                    method,
                    prepared=prepared,
                    progress=report,
                    preview=report.preview,
                    cancel=cancel,
                    **options(report),
                )
                if structure.predicting.running:
                    threading.Thread(target=_let_it_be_drawn, daemon=True).start()
            return key, explanation

        self.job.start(work, self._remember, wait=wait)
        return self.explanation

    def stop(self) -> None:
        """Stop the explanation that is under way; what it would still deliver is dropped."""
        self.choice.stop_training()
        self.preview = None
        replaced = self._replaced
        if self.job.cancel() and replaced is not None and replaced.atom == self.selected.selected_atom:
            self._show(replaced)

    @property
    def key(self) -> Key:
        """What an explanation of the selected atom, with the present method and settings, is known by."""
        return self.choice.key_of(self.selected.selected_atom)

    @property
    def shown_key(self) -> Key | None:
        """What the explanation that is shown is known by; None where none is."""
        return next((key for key, known in self.history.items() if known is self.explanation), None)

    def recall(self, key: Key) -> None:
        """Show an explanation of the history, and set what it was made with."""
        foreign, atom = self.choice.become(key), key[0]
        selection = self.selected.selection
        self.selected.become(selection if atom in selection else (atom,), atom)
        if foreign:
            self._show(self.history[key])

    def keep(self, explanations: Mapping[Key, AtomExplanation]) -> None:
        """Add explanations to the history, the latest last."""
        kept = {**self.history, **explanations}
        self.history = dict(list(kept.items())[-HISTORY_LENGTH:])

    def _known(self) -> AtomExplanation | None:
        """Find the explanation of the selected atom, if it was made before."""
        if self.selected.selected_atom is None:
            return None
        key = self.key
        found: AtomExplanation | None = self.history.get(key)
        if found is None and (found := next(filter(None, (look(key) for look in self.further)), None)) is not None:
            self.keep({key: found})
        return found

    def _follow_selection(self, _change: object) -> None:
        self.structure.error = ""
        if self._show_known():
            return
        if self.explanation is not None and self.explanation.atom != self.selected.selected_atom:
            self.explanation = None
        if self.explanation is None:
            self.job.rest()

    def _mend(self, change: Mapping[str, str]) -> None:
        if not change["new"]:
            self.structure.error = ""
            self.job.rest()

    def _show_known(self, _change: object = None) -> bool:
        """Show the explanation of the selected atom that is known already, if there is one."""
        known = self._known()
        if known is None:
            return False
        self.structure.error = ""
        self._show(known)
        self.job.supersede()
        return True

    def _show(self, explanation: AtomExplanation) -> None:
        # In this order, so that panels draw it once.
        self.preview = None
        self.threshold.apply(explanation)
        self.explanation = explanation

    def _preview(self, unfinished: AtomExplanation) -> None:
        if unfinished.atom == self.selected.selected_atom:
            self.preview = unfinished

    def _remember(self, finished: tuple[Key, AtomExplanation]) -> None:
        key, explanation = finished
        self.structure.take_in()
        self.keep({key: explanation})
        self.preview = None
        if explanation.atom == self.selected.selected_atom:
            self._show(explanation)

    def _fail(self, error: Exception) -> None:
        self.preview = None
        self.structure.fail("The explanation failed", error)


def _let_it_be_drawn() -> None:
    with at_once():
        time.sleep(DRAWING)
