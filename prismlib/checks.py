"""Checks of arguments. Each raises one clear line, and none reads a value from a GPU, which would stall a step.

They are shared by the losses, the models and the training of Sections 2 and 4 and Appendix B.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor


def check_number(name: str, value: object, minimum: float = 0.0, inclusive: bool = False) -> None:
    """Raise a ValueError unless a value is a finite number above a minimum.

    Args:
        name: what the error calls the value.
        value: the argument that a caller was given.
        minimum: the largest number that is too small.
        inclusive: whether ``minimum`` itself is accepted.

    Raises:
        ValueError: ``value`` is no number, is not finite or is too small.

    >>> check_number("tau", 0.2)
    >>> check_number("tau", float("nan"))
    Traceback (most recent call last):
    ValueError: tau must be > 0, got nan
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not (value > minimum or (inclusive and value == minimum)):  # type: ignore[operator]
        raise ValueError(f"{name} must be {'>=' if inclusive else '>'} {minimum:g}, got {value!r}")
    if not math.isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{name} must be finite, got {value!r}")


def check_count(name: str, value: object, minimum: int = 1) -> None:
    """Raise a ValueError unless a value is a whole number that is large enough.

    Args:
        name: what the error calls the value.
        value: the argument that a caller was given.
        minimum: the smallest accepted number.

    Raises:
        ValueError: ``value`` is no whole number, or is too small.

    >>> check_count("batch_size", 4096)
    >>> check_count("batch_size", 2.5)
    Traceback (most recent call last):
    ValueError: batch_size must be a whole number, got 2.5
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be >= {minimum}, got {value}")


def check_rows(name: str, rows: object) -> None:
    """Raise an error unless ``rows`` is a tensor of real floating-point numbers.

    Args:
        name: what the error calls the rows.
        rows: embeddings.

    Raises:
        TypeError: ``rows`` is not a tensor.
        ValueError: ``rows`` holds integers, booleans or complex numbers.

    >>> check_rows("user", torch.ones(2, 3))
    >>> check_rows("user", torch.ones(2, 3, dtype=torch.int64))
    Traceback (most recent call last):
    ValueError: user must be floating point, got torch.int64: use .float()
    """
    if not isinstance(rows, Tensor):
        raise TypeError(f"{name} must be a tensor of embeddings, got {type(rows).__name__}: use torch.tensor")
    if not rows.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {rows.dtype}: use .float()")


def precise(rows: Tensor) -> Tensor:
    """The same numbers in float32 where they are in half precision, which is too coarse for angles and sums.

    Args:
        rows: floating point, any shape. Under :func:`torch.autocast` a perceptron's output is in half precision.

    >>> precise(torch.ones(2, dtype=torch.bfloat16)).dtype, precise(torch.ones(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def as_ids(name: str, ids: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """Ids as int64, whatever integer type they come in.

    Args:
        name: what an error calls the ids.
        ids: a tensor, a NumPy array or a list of whole numbers.
        shape: the shape that is expected; None accepts every shape.

    Raises:
        ValueError: the ids are booleans or no whole numbers, or have another shape. Nothing is broadcast.

    >>> as_ids("user_id", torch.tensor([3, 1], dtype=torch.int32))
    tensor([3, 1])
    >>> as_ids("user_id", torch.tensor([3.0, 1.0]))
    Traceback (most recent call last):
    ValueError: user_id must be whole numbers (an integer dtype), got torch.float32
    """
    ids = torch.as_tensor(ids)
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"{name} must be whole numbers (an integer dtype), got {ids.dtype}")
    if shape is not None and ids.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(ids.shape)}")
    return ids.long()
