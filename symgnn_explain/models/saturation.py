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
    kept = values.clamp(low, high)
    # Few values are beyond a bound where a network is at home.
    beyond = torch.nonzero(kept != values, as_tuple=True)
    if not len(beyond[0]):
        return kept
    above, below, wide = (bound.expand_as(values)[beyond] for bound in (high, low, width))
    bent = _bent(values[beyond] - above, wide) - _bent(below - values[beyond], wide)
    return kept.index_put(beyond, bent, accumulate=True)


def saturation_slope(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the derivative of :func:`saturate` by the values, its width half of the range."""
    beyond = torch.relu(values - high) + torch.relu(low - values)
    return (1 + (2 * beyond / (high - low)) ** 3) ** (-4 / 3)


def _bent(beyond: Tensor, width: Tensor) -> Tensor:
    beyond = torch.relu(beyond)
    return beyond / (1 + (beyond / width) ** 3) ** (1 / 3)
