"""Rows of embedding tables that are too short or too long for float32's range: their lengths and powers of two.

In float32 the square of 1e-25 is zero and that of 1e25 is infinite, but such rows have a norm and a direction.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Rows whose largest entry lies between these have norms and products that float32 holds to its precision.
MODERATE = (2.0**-60, 2.0**60)


def peaks(table: Tensor) -> Tensor:
    """The largest absolute entry of each row, shape ``(n, 1)``; inf or nan where a row is not finite.

    Args:
        table: floating point, shape ``(n, d)``.

    >>> peaks(torch.tensor([[3.0, -4.0]]))
    tensor([[4.]])
    """
    return torch.linalg.vector_norm(table, torch.inf, dim=1, keepdim=True)


def is_moderate(peak: Tensor) -> Tensor:
    """Whether the squares and products of rows stay in float32's range, bool, of the shape of ``peak``.

    Args:
        peak: of the rows, see :func:`peaks`.

    >>> is_moderate(torch.tensor([1.0, 1e-25, 1e25]))
    tensor([ True, False, False])
    """
    low, high = MODERATE
    return (peak > low) & (peak < high)


def power_of_two(peak: Tensor) -> Tensor:
    """The largest power of two that is not above ``peak``; 1 where ``peak`` is 0.

    Division by it is exact: it moves the exponents of floating-point numbers alone.

    Args:
        peak: finite, >= 0, floating point, any shape.

    >>> power_of_two(torch.tensor([0.0, 0.75, 5.0]))
    tensor([1.0000, 0.5000, 4.0000])
    """
    positive = torch.where(peak > 0, peak, 1)
    return positive / (2 * torch.frexp(positive).mantissa)


def norms(table: Tensor) -> Tensor:
    """Euclidean norms of a table's rows in float64, of every row that is finite and not subnormal.

    Args:
        table: floating point, shape ``(n, d)``.

    >>> norms(torch.tensor([[3e-30, 4e-30]]))
    tensor([5.0000e-30], dtype=torch.float64)
    """
    norm = torch.linalg.vector_norm(table, dim=1).double()
    peak = peaks(table).double()
    special = ~is_moderate(peak).flatten()
    scale = power_of_two(peak[special])
    norm[special] = torch.linalg.vector_norm(table[special].double() / scale, dim=1) * scale.flatten()
    return norm
