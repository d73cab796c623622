"""Numbers that stay what they are inside of a range, and saturate smoothly beyond it."""

from __future__ import annotations

import torch
from torch import Tensor


def saturate(values: Tensor, low: Tensor, high: Tensor, *, width: Tensor | None = None) -> Tensor:
    """Return values as they are between two bounds; beyond, they approach the bound plus (or minus) ``width``.

    Two derivatives are continuous at the bounds, and the first one is 0 nowhere (but for underflow).

    Parameters
    ----------
    values
        Any shape.
    low, high
        Bounds; infinite ones bound nothing.
    width
        Half of the range where None.

    Examples
    --------
    >>> saturate(torch.tensor([0.5, 2.0, 100.0]), torch.tensor(0.0), torch.tensor(1.0))
    tensor([0.5000, 1.4807, 1.5000])
    """
    width = (high - low) / 2 if width is None else width
    if not torch.is_grad_enabled():
        return _saturated_where_beyond(values, low, high, width)
    return values.clamp(low, high) + _bent(values - high, width) - _bent(low - values, width)


def _saturated_where_beyond(values: Tensor, low: Tensor, high: Tensor, width: Tensor) -> Tensor:
    """Do the same where few values are beyond a bound, most of them in a network's training range."""
    kept = values.clamp(low, high)
    beyond = torch.nonzero(kept != values, as_tuple=True)
    above, below, wide = ((bound.expand_as(values))[beyond] for bound in (high, low, width))
    kept[beyond] += _bent(values[beyond] - above, wide) - _bent(below - values[beyond], wide)
    return kept


def _bent(beyond: Tensor, width: Tensor) -> Tensor:
    beyond = torch.relu(beyond)
    return beyond / (1 + (beyond / width) ** 3) ** (1 / 3)
