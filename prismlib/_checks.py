"""Checks of arguments: numbers, tables of embeddings, and ids. Each raises one clear line.

They are shared by the losses, the models and the training of Sections 2 and 4 and Appendix B. Only :func:`check_ids`
reads values, for which a GPU keeps the host waiting: it is for the time before training. The others look at dtypes and
shapes.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

#: A frequent reason why ids are floating point.
MISSING_ID = "where an id is missing, pandas makes a column of whole numbers float"


def _is_real(value: object) -> TypeGuard[float]:
    """Whether a value is a real number, infinite ones and nan among them; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_number(name: str, value: object, minimum: float = 0.0, inclusive: bool = False) -> None:
    """Raise a ValueError unless a value is a finite number above a minimum.

    Args:
        name: what the error calls the value.
        value: the argument that a caller was given.
        minimum: the largest number that is too small.
        inclusive: whether ``minimum`` itself is accepted.

    Raises:
        ValueError: ``value`` is not a number, is not finite or is too small.

    >>> check_number("tau", 0.2)
    >>> check_number("tau", float("nan"))
    Traceback (most recent call last):
    ValueError: tau must be > 0, got nan
    """
    if not _is_real(value) or not (value > minimum or (inclusive and value == minimum)):
        raise ValueError(f"{name} must be {'>=' if inclusive else '>'} {minimum:g}, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")


def check_whole(name: str, value: object) -> None:
    """Raise a ValueError unless a value is a whole number.

    Args:
        name: what the error calls the value.
        value: the argument that a caller was given.

    Raises:
        ValueError: ``value`` is not an integer; ``2.0`` and ``True`` are none.

    >>> check_whole("k", 20)
    >>> check_whole("k", True)
    Traceback (most recent call last):
    ValueError: k must be a whole number, got True
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, got {value!r}")


def check_count(name: str, value: object, minimum: int = 1) -> None:
    """Raise a ValueError unless a value is a whole number that is large enough.

    Args:
        name: what the error calls the value.
        value: the argument that a caller was given.
        minimum: the smallest accepted number.

    Raises:
        ValueError: ``value`` is not a whole number, or is too small.

    >>> check_count("batch_size", 4096)
    >>> check_count("batch_size", 2.5)
    Traceback (most recent call last):
    ValueError: batch_size must be a whole number, got 2.5
    """
    check_whole(name, value)
    if value < minimum:  # type: ignore[operator]
        raise ValueError(f"{name} must be >= {minimum}, got {value}")


def check_fraction(name: str, value: object) -> float:
    """The number itself; a ValueError unless it is a real number in [0, 1].

    Args:
        name: what the error calls the value.
        value: the argument that a caller was given.

    Raises:
        ValueError: ``value`` is not a number, or is outside [0, 1].

    >>> check_fraction("alpha", 0.5)
    0.5
    >>> check_fraction("alpha", "1")
    Traceback (most recent call last):
    ValueError: alpha must lie in [0, 1], got '1'
    """
    if not _is_real(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")
    return float(value)


def check_dense(name: str, tensor: Tensor) -> None:
    """Raise a ValueError unless a tensor is dense, and of a precision that PyTorch computes in.

    Args:
        name: what the error calls the tensor.
        tensor: any shape.

    Raises:
        ValueError: ``tensor`` is sparse, or holds floating-point numbers of 8 bits or fewer.

    >>> check_dense("user", torch.ones(2, dtype=torch.bfloat16))
    >>> check_dense("user", torch.ones(2).to(torch.float8_e5m2))
    Traceback (most recent call last):
    ValueError: user must be float16, bfloat16, float32 or float64, got float8_e5m2: user.float() makes it float32
    """
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} must be dense, got {tensor.layout}: {name}.to_dense() makes it so")
    if tensor.is_floating_point() and tensor.dtype.itemsize < 2:
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(
            f"{name} must be float16, bfloat16, float32 or float64, got {dtype}: {name}.float() makes it float32"
        )


def check_values(name: str, tensor: Tensor) -> None:
    """Raise a ValueError where a tensor is on the meta device, and so has a shape and no values.

    Args:
        name: what the error calls the tensor.
        tensor: any dtype, any shape.

    Raises:
        ValueError: ``tensor`` is on the meta device.

    >>> check_values("weight", torch.ones(2))
    >>> check_values("weight", torch.ones(2, device="meta"))
    Traceback (most recent call last):
    ValueError: weight is on the meta device, which keeps no values: .to_empty() and an initialiser come first
    """
    if tensor.is_meta:
        raise ValueError(
            f"{name} is on the meta device, which keeps no values: .to_empty() and an initialiser come first"
        )


def check_rows(name: str, rows: object) -> None:
    """Raise a ValueError unless ``rows`` is a dense tensor of real floating-point numbers, in 16 bits or more.

    Args:
        name: what the error calls the rows.
        rows: embeddings, any shape.

    Raises:
        ValueError: ``rows`` is not a tensor, is sparse, or holds integers, booleans, complex numbers, or floating-point
            numbers of 8 bits or fewer, which PyTorch stores but does not compute with.

    >>> check_rows("user", torch.ones(2, 3))
    >>> check_rows("user", torch.ones(2, 3, dtype=torch.int64))
    Traceback (most recent call last):
    ValueError: user must be a floating-point tensor, got torch.int64: torch.as_tensor(...).float() makes one
    """
    if not isinstance(rows, Tensor) or not rows.is_floating_point():
        given = rows.dtype if isinstance(rows, Tensor) else type(rows).__name__
        raise ValueError(f"{name} must be a floating-point tensor, got {given}: torch.as_tensor(...).float() makes one")
    check_dense(name, rows)


def check_table(name: str, table: Tensor, rows: int | None = None) -> None:
    """Raise a ValueError unless ``table`` is a table of embeddings.

    Args:
        name: what the error calls the table.
        table: floating point, shape ``(n, d)``, d >= 1.
        rows: the number n of rows that it must have; None accepts every number.

    Raises:
        ValueError: ``table`` is not a floating-point tensor, is not 2-D, has no columns or another number of rows.

    >>> check_table("item", torch.ones(5, 2), rows=5)
    """
    check_rows(name, table)
    if table.dim() != 2 or table.shape[1] == 0 or rows not in (None, len(table)):
        wanted = "be 2-D (rows, dimensions >= 1)" if rows is None else f"have shape ({rows}, d)"
        raise ValueError(f"{name} must {wanted}, got {tuple(table.shape)}")


def check_has_tables(model: nn.Module) -> None:
    """Raise a ValueError unless a model has the two tables that PRISM starts, under the names of a backbone.

    Args:
        model: any module; see :class:`~prismlib.models.Backbone`.

    Raises:
        ValueError: ``model.user`` or ``model.item`` is not there, or is no :class:`torch.nn.Embedding`.

    >>> check_has_tables(nn.Linear(2, 2))
    Traceback (most recent call last):
    ValueError: model has no table 'user', an nn.Embedding, got Linear
    """
    for name in ("user", "item"):
        if not isinstance(getattr(model, name, None), nn.Embedding):
            raise ValueError(f"model has no table {name!r}, an nn.Embedding, got {type(model).__name__}")


def at_least_float32(rows: Tensor) -> Tensor:
    """The same numbers in float32 where they are in half precision, which is too coarse for angles and sums.

    Args:
        rows: floating point, any shape. Under :func:`torch.autocast` a perceptron's output is in half precision.

    >>> [at_least_float32(torch.ones(2, dtype=dtype)).dtype for dtype in (torch.bfloat16, torch.float64)]
    [torch.float32, torch.float64]
    """
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def as_ids(name: str, ids: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """Ids as int64, whatever integer type they come in.

    Their dtype and shape are looked at, their values are not. :func:`check_ids` looks at the values too.

    Args:
        name: what an error calls the ids.
        ids: a tensor, a NumPy array or a list of integers. An empty one may have any dtype.
        shape: the shape that is expected; None accepts every shape.

    Returns:
        int64, of the shape of ``ids``.

    Raises:
        ValueError: the ids are not integers (floating-point and boolean ids are refused), or have another shape.
            Nothing is broadcast.

    >>> as_ids("user_id", torch.tensor([3, 1], dtype=torch.int32))
    tensor([3, 1])
    >>> as_ids("user_id", torch.tensor([True, False]))
    Traceback (most recent call last):
    ValueError: user_id is bool, but must be integers
    """
    try:
        ids = torch.as_tensor(ids)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be a tensor of integers, got {type(ids).__name__}") from None
    if ids.numel() and (ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool):
        hint = f" ({MISSING_ID})" if ids.is_floating_point() else ""
        raise ValueError(f"{name} is {str(ids.dtype).removeprefix('torch.')}, but must be integers{hint}")
    check_dense(name, ids)
    if shape is not None and ids.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(ids.shape)}")
    return ids.long()


def check_ids(name: str, ids: Any, size: int) -> None:
    """Raise a ValueError unless all ids are rows of a table (Section 2.1).

    Args:
        name: what the error calls the ids.
        ids: any integer dtype, any shape. Their values are read, which a GPU has to wait for.
        size: number of rows of the table.

    Raises:
        ValueError: the ids are not integers, or one is outside [0, size).

    >>> check_ids("train.user", torch.tensor([0, 2]), size=3)
    """
    ids = as_ids(name, ids)
    check_values(name, ids)
    low, high = (int(ids.min()), int(ids.max())) if ids.numel() else (0, -1)
    if low < 0 or high >= size:
        raise ValueError(f"{name} must lie in [0, {size}), the table's rows, got {low} to {high}")
