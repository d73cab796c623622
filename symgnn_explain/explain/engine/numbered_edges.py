"""Which edge of a graph each message of a layer belongs to, also where the layer reorders, drops or adds edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

ADDED = -1
"""Number of an edge that the graph does not hold: a layer added it."""

_MOVES = {
    getattr(owner, name)
    for name in (
        *("__getitem__", "index_select", "select", "narrow", "flip", "roll", "clone", "contiguous", "detach", "to"),
        *("cpu", "cuda", "long", "t", "transpose", "permute", "reshape", "view", "flatten", "unsqueeze", "squeeze"),
        *("unbind", "split", "chunk", "expand", "repeat"),
    )
    for owner in (Tensor, torch)
    if hasattr(owner, name)
}
"""Operations that move entries of a tensor and change none."""

_JOINS = {torch.cat, torch.concat, torch.concatenate, torch.stack, torch.vstack, torch.hstack}


class NumberedEdges(Tensor):
    """An ``edge_index`` that remembers, entry by entry, which edge of the graph it came from.

    What moves entries (indexing, ``cat``, ``stack``, …) moves their numbers too; any other operation gives a plain
    tensor. So a network can remove self-loops and add them again, and each message still finds its edge.
    """

    numbers: Tensor | None

    @classmethod
    def of(cls, edge_index: Tensor) -> NumberedEdges:
        """Give the edges of a graph numbers in their order; the values are copied."""
        n_edges = edge_index.shape[1]
        return _with(edge_index.clone(), torch.arange(n_edges, device=edge_index.device).expand(2, n_edges))

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation on plain tensors, and on the numbers where it only moves entries."""
        kwargs = kwargs or {}
        if func is Tensor.__iter__:
            return iter(args[0].unbind(0))
        result = func(*_plain(args), **_plain(kwargs))
        first = args[0] if args else None
        if func is Tensor.__setitem__ or (func.__name__.endswith("_") and not func.__name__.endswith("__")):
            if isinstance(first, NumberedEdges):
                first.numbers = None  # its values are others now
            return result
        if func in _JOINS and isinstance(first, list | tuple):
            return _with(result, func([_numbers(part) for part in first], *_plain(args[1:]), **_plain(kwargs)))
        if func in _MOVES and isinstance(first, NumberedEdges) and first.numbers is not None:
            moved = func(first.numbers, *_plain(args[1:]), **_plain(kwargs))
            if isinstance(result, Tensor):
                return _with(result, moved)
            return tuple(_with(*pair) for pair in zip(result, moved, strict=True))
        return result


def edge_numbers(edge_index: Any) -> Tensor | None:
    """Return the number of the graph's edge behind each column, shape (E',), ``ADDED`` where there is none.

    None where the edges were made in a way that cannot be followed.
    """
    numbers = edge_index.numbers if isinstance(edge_index, NumberedEdges) else None
    if numbers is None or numbers.dim() != 2 or not torch.equal(numbers[0], numbers[1]):
        return None
    return numbers[0].long()


def plain_edges(edge_index: Tensor) -> Tensor:
    """Return the same edges as a plain tensor."""
    plain: Tensor = _plain(edge_index)
    return plain


def _with(values: Tensor, numbers: Tensor) -> NumberedEdges:
    edges = values.as_subclass(NumberedEdges)
    edges.numbers = numbers
    return edges


def _numbers(part: Any) -> Tensor:
    if isinstance(part, NumberedEdges) and part.numbers is not None:
        return part.numbers
    return torch.full_like(_plain(part), ADDED, dtype=torch.long)


def _plain(value: Any) -> Any:
    if isinstance(value, NumberedEdges):
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001 - as PyTorch's guide to subclasses does
            return value.as_subclass(Tensor)
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return value
