"""The grammar of selections: ``species Zr and barrier < 1.2``, ``within 5 of 1501``, ``not (softest 10 or 12,57)``.

From the loosest to the tightest::

    either     = both {"or" both}
    both       = inverted {"and" inverted}
    inverted   = "not" inverted | part
    part       = "(" either ")" | "all" | "selected" | atoms | "index" atoms | "species" symbols
               | ("central" | "random" | "lowest" | "highest" | "softest" | "hardest") count
               | "within" length "of" reference | "neighbours" "of" reference | comparison
    reference  = inverted
    atoms      = number ["to" number] {"," number ["to" number]}
    comparison = name operator value | value operator name [operator value]

A colon may stand between a word and what belongs to it, as in ``central:50``. Words are those of English, in either
case; names of per-atom values with other characters than letters, digits and ``_`` stand in quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from symgnn_explain.errors import InputError

FORMS = (
    "all, central:50, random:20, lowest:10, highest:10, species:Zr, numbers such as 12,57, within 5 of 12, "
    "neighbours of 12, prediction < 1.2, and these with and, or, not and brackets"
)
"""The ways to select atoms, for messages and help."""

ORDERED = ("central", "random", "lowest", "highest", "softest", "hardest")
"""Words that choose the first few atoms in some order."""

_STARTS = (*ORDERED, "all", "selected", "index", "species", "within", "neighbours")
WORDS = (*_STARTS, "and", "or", "not", "of", "to")

MOST_PARTS = 200  # joining words and brackets in one selection
DEEPEST = 40  # brackets, and words that need a reference, inside of each other
LONGEST_TEXT = 1_000_000  # characters of a selection
LONGEST_QUOTE = 200  # characters of what a message repeats
LONGEST_NUMBER = 18  # digits of a whole number
_AMERICAN = {"neighbors": "neighbours", "neighbor": "neighbours", "neighbour": "neighbours"}
_OPERATORS = ("<=", ">=", "==", "!=", "<", ">", "=")
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
      | (?P<word>[^\W\d]\w*(?:\[\d+\])?)
      | (?P<quoted>"[^"]*"|'[^']*')
      | (?P<operator><=|>=|==|!=|<|>|=)
      | (?P<mark>[(),:])
      | (?P<other>\S)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Node:
    """A word of the language, the values that stand with it, and the parts that it joins or refers to.

    ``all``, ``selected``; ``index`` with ranges; ``species`` with symbols; a word of :data:`ORDERED` with a count;
    ``within`` with a radius (Å), ``neighbours``, ``not``, ``and``, ``or`` with parts; and ``compare``, with the name of
    a value, an operator, and what it is compared with.
    """

    word: str
    given: tuple[Any, ...] = ()
    of: tuple[Node, ...] = ()


def parse_selection(text: str) -> Node:
    """Read a selection; raises InputError if it is not one; the message says where, and what was perhaps meant."""
    if len(text) > LONGEST_TEXT:
        raise InputError(f"the selection has {len(text)} characters: use {LONGEST_TEXT} at most.")
    return _Parser(text).parse()


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """Return `` (did you mean 'x'?)``, or nothing where no known word is like it."""
    if len(word) > 100:
        return ""
    close = get_close_matches(word.lower(), [name.lower() for name in known], n=1)
    return f" (did you mean {next(name for name in known if name.lower() == close[0])!r}?)" if close else ""


def short(text: str) -> str:
    """Quote what a user wrote, in few enough characters for a message."""
    return repr(text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]} …")


class _Token(NamedTuple):
    kind: str
    text: str


_END = _Token("end", "the end")
_NAMES = ("word", "quoted")


def _bare(token: _Token) -> str:
    return token.text.strip("\"'")


class _Parser:
    """Reads from left to right, one method a rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [
            _Token(str(found.lastgroup), found.group(str(found.lastgroup))) for found in _TOKEN.finditer(text)
        ]
        self.place = self.depth = 0

    def parse(self) -> Node:
        joints = sum(token.text.lower() in ("and", "or", "not", "of", "(") for token in self.tokens)
        if joints > MOST_PARTS:
            raise InputError(f"the selection has {joints} joining words and brackets: use {MOST_PARTS} at most.")
        node = self._either()
        if self._next != _END:
            raise self._error(f"{short(self._next.text)} was not expected there{self._hint()}")
        return node

    @property
    def _next(self) -> _Token:
        return self._ahead(0)

    def _ahead(self, places: int) -> _Token:
        place = self.place + places
        return self.tokens[place] if place < len(self.tokens) else _END

    @property
    def _word(self) -> str:
        """The next token as a word of the language, or nothing."""
        text = self._next.text.lower() if self._next.kind == "word" else ""
        return _AMERICAN.get(text, text)

    def _take(self) -> _Token:
        token = self._next
        self.place += 1
        return token

    def _takes(self, word: str) -> bool:
        """Whether the next token is this word or mark; it is taken if so."""
        is_it = self._word == word or (self._next.kind == "mark" and self._next.text == word)
        self.place += is_it
        return is_it

    def _either(self) -> Node:
        node = self._both()
        while self._takes("or"):
            node = Node("or", of=(node, self._both()))
        return node

    def _both(self) -> Node:
        node = self._inverted()
        while self._takes("and"):
            node = Node("and", of=(node, self._inverted()))
        return node

    def _inverted(self) -> Node:
        # Whatever stands inside of something else passes through here.
        self.depth += 1
        if self.depth > DEEPEST:
            raise InputError(f"the selection is nested more than {DEEPEST} deep: write it with fewer brackets.")
        node = Node("not", of=(self._inverted(),)) if self._takes("not") else self._part()
        self.depth -= 1
        return node

    def _part(self) -> Node:  # noqa: PLR0911 - one way out a form
        if self._takes("("):
            node = self._either()
            if not self._takes(")"):
                raise self._error(f"a bracket is not closed before {short(self._next.text)}")
            return node
        kind, word, compares = self._next.kind, self._word, self._ahead(1).kind == "operator"
        if kind == "quoted" or (kind == "number" and compares):
            return self._comparison()
        if kind == "number":
            return self._atoms()
        if word in _STARTS and not (word == "index" and compares):
            self.place += 1
            if word in ("all", "selected"):
                return Node(word)
            self._takes(":")
            if word in ORDERED:
                return Node(word, (self._whole(f"after {word!r} comes a number from 1", least=1),))
            rules = {"index": self._atoms, "species": self._species, "within": self._within}
            return rules.get(word, self._neighbours)()
        if kind == "word" and compares:
            return self._comparison()
        if self._next == _END:
            raise self._error("something is missing at the end")
        raise self._error(f"{short(self._next.text)} is not known there{self._hint()}")

    def _hint(self) -> str:
        if self._word in WORDS:
            return " (two conditions need 'and' or 'or' between them)" if self.place else ""
        return did_you_mean(self._next.text, WORDS) if self._next.kind == "word" else ""

    def _atoms(self) -> Node:
        ranges: list[range] = []
        while True:
            first = self._whole()
            last = self._whole() if self._takes("to") else first
            if last < first:
                raise self._error(f"{first} to {last} runs backwards")
            ranges.append(range(first, last + 1))  # taking no memory, however long
            if not self._takes(","):
                return Node("index", tuple(ranges))

    def _whole(self, reason: str = "", least: int = 0) -> int:
        digits = self._next.text
        if not digits.isdecimal() or len(digits) > LONGEST_NUMBER or int(digits) < least:
            raise self._error(reason or f"{short(digits)} stands where the number of an atom should")
        return int(self._take().text)

    def _species(self) -> Node:
        operator = self._take().text if self._next.kind == "operator" else "="
        if operator not in ("=", "==", "!="):
            raise self._error(f"species cannot be compared with {operator!r}")
        symbols = []
        while True:
            # The end is left to the check of the symbols, which names those that there are.
            symbols.append(_bare(self._take()) if self._next != _END else "")
            if not self._takes(","):
                node = Node("species", tuple(symbols))
                return Node("not", of=(node,)) if operator == "!=" else node

    def _within(self) -> Node:
        token = self._take()
        if token.kind != "number" or not float(token.text) > 0:
            raise self._error("after 'within' comes a length in Å, as in within 5 of 12")
        if self._word in ("å", "a", "angstrom"):
            self.place += 1
        return Node("within", (float(token.text),), (self._reference("within", "within 5"),))

    def _neighbours(self) -> Node:
        return Node("neighbours", of=(self._reference("neighbours", "neighbours"),))

    def _reference(self, word: str, example: str) -> Node:
        if not self._takes("of"):
            raise self._error(f"{word!r} needs 'of' and atoms, as in {example} of 12")
        return self._inverted()

    def _comparison(self) -> Node:
        left, operator = self._take(), self._operator()
        if left.kind in _NAMES:
            return Node("compare", (_bare(left), operator, self._value()))
        name = self._take()
        if name.kind not in _NAMES:
            raise self._error("a number can be compared with a name only, as in 1.2 < prediction")
        node = Node("compare", (_bare(name), _MIRRORED.get(operator, operator), float(left.text)))
        if self._next.kind == "operator":
            node = Node("and", of=(node, Node("compare", (_bare(name), self._operator(), self._value()))))
        return node

    def _value(self) -> float | str:
        token = self._take()
        if token.kind != "number" and token.kind not in _NAMES:
            raise self._error(f"{short(token.text)} stands where a value should")
        return float(token.text) if token.kind == "number" else _bare(token)

    def _operator(self) -> str:
        token = self._take()
        if token.kind != "operator":
            raise self._error(f"{short(token.text)} stands where one of {' '.join(_OPERATORS)} should")
        return "==" if token.text == "=" else token.text

    def _error(self, reason: str) -> InputError:
        # A guess says more than the list of all forms.
        forms = "" if "did you mean" in reason else f": write {FORMS}"
        return InputError(f"the atoms {short(self.text)} cannot be understood, {reason}{forms}.")
