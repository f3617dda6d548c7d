"""Columns of counts and of ids as users have them, turned into tensors in one place.

A column has one entry per row of a table, or one per interaction. It may be a tensor, a NumPy array, a list or a tuple,
or a column of pandas, polars or pyarrow. What cannot be read in one way only is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prismlib._checks import MISSING_ID, as_ids, check_dense, check_values

#: A public function takes as a column a tensor, or anything that NumPy makes a 1-D array of.
Column: TypeAlias = Tensor | npt.ArrayLike

_KEYS = (
    f"but ids must be all whole numbers or all text, none missing ({MISSING_ID}): drop the rows without an id, "
    "then .astype(int) or .astype(str)"
)


def popularity_column(name: str, column: Column, rows: int | None = None) -> Tensor:
    """Counts of interactions, one per row of a table, as a tensor.

    Args:
        name: what an error calls the column.
        column: real numbers >= 0, shape ``(n,)``. The labels of a labelled column, such as a pandas Series, must be
            0, 1, ..., n - 1 in this order.
        rows: number of rows of the table; None: as many as the column has.

    Returns:
        Shape ``(n,)``: int64, or the column's dtype where it is floating point; on the device of the column.

    Raises:
        ValueError: not one real number per row, labels in another order, or a count that is negative or not finite.

    >>> popularity_column("popularity", [3, 0, 7])
    tensor([3, 0, 7])
    """
    labels = _labels(column)
    if labels is not None:
        n = len(labels) if rows is None else rows
        if labels.dtype.kind not in "iuf" or not np.array_equal(labels, np.arange(n)):
            size = "n" if rows is None else rows
            raise ValueError(
                f"{name} is labelled, and its labels are not the numbers of the table's rows in order: "
                f".reindex(range({size}), fill_value=0) puts its entries in this order; "
                ".to_numpy() takes them in the order in which they are"
            )
    values = _numbers(name, column)
    if rows is not None and len(values) != rows:
        raise ValueError(f"{name} must have {rows} entries, one per row of the table, got {len(values)}")
    if not torch.isfinite(values).all() or (values < 0).any():
        of_what = ": the number of interactions of each row" if name.endswith("popularity") else ""
        raise ValueError(f"{name} must be finite and >= 0{of_what}")
    return values


def ids(name: str, column: Column) -> Tensor:
    """Ids, which are numbers of rows of a table, as a tensor.

    Labels are not looked at: those of a column of ids are the row numbers of some log.

    Args:
        name: what an error calls the column.
        column: integers of any dtype, shape ``(n,)``.

    Returns:
        int64, shape ``(n,)``, on the device of the column.

    Raises:
        ValueError: not 1-D, or not integers. Floating-point and boolean ids are refused.

    >>> ids("item", np.array([3, 0], np.uint8))
    tensor([3, 0])
    """
    return as_ids(name, _numbers(name, column))


def keys(name: str, column: Column) -> npt.NDArray[Any]:
    """Ids as they come, whole numbers or text, as an array that can be sorted.

    Args:
        name: what an error calls the column.
        column: all whole numbers or all text, shape ``(n,)``.

    Returns:
        Shape ``(n,)``: integers, text, or Python objects that are all text or all whole numbers beyond 64 bits.

    Raises:
        ValueError: not 1-D, an entry that is missing, or entries that are neither all whole numbers nor all text.

    >>> keys("user", ["eve", "bob"]).tolist()
    ['eve', 'bob']
    """
    # NumPy would make text of the list [1, "a", nan]
    array = _array(name, column, None if hasattr(column, "__array__") else object)
    if array.dtype.kind == "T":  # NumPy's text of variable length
        array = array.astype(object)
    if array.dtype.kind == "O" and len(array):
        kind = str if isinstance(array[0], str) else int
        for place, value in enumerate(array):
            if isinstance(value, bool) or not isinstance(value, (str,) if kind is str else (int, np.integer)):
                raise ValueError(f"{name} {place} is {value!r}, {_KEYS}")
        with suppress(OverflowError):  # whole numbers beyond 64 bits, as some hashes are, stay Python's
            return array if kind is str else array.astype(np.int64)
    elif len(array) and array.dtype.kind not in "iuU":
        raise ValueError(f"{name} is {array.dtype}, {_KEYS}")
    return array


def check_aligned(user: Column, item: Column) -> None:
    """Raise a ValueError where two columns of pairs are labelled and their labels differ.

    Args:
        user: the column of users.
        item: the column of items.

    >>> check_aligned([0, 1], np.array([2, 5]))
    """
    users, items = _labels(user), _labels(item)
    if users is not None and items is not None and not np.array_equal(users, items):
        raise ValueError(
            "user and item are labelled, and their labels differ, so that their entries are not pairs in order: "
            "take both from one table; .to_numpy() takes them in the order in which they are"
        )


def _labels(column: Column) -> npt.NDArray[Any] | None:
    """The labels of a pandas Series, or of what has an index as it has; the index of a list is a method."""
    index = getattr(column, "index", None)
    return None if index is None or callable(index) else np.asarray(index)


def _numbers(name: str, column: Column) -> Tensor:
    """The column as a 1-D tensor of int64 or floating point."""
    if isinstance(column, Tensor):
        tensor = column.detach()
        check_values(name, tensor)
        check_dense(name, tensor)
        if hasattr(tensor, "full_tensor"):  # a DTensor
            tensor = tensor.full_tensor()
        if tensor.dim() != 1:
            raise ValueError(f"{name} must be 1-D, got shape {tuple(tensor.shape)}")
    else:
        array = _array(name, column)
        if array.dtype.kind == "O":  # Python's numbers, unless one is missing
            array = np.array(array.tolist())
        if array.dtype.kind not in "biuf" or array.ndim != 1:
            raise ValueError(f"{name} must hold numbers, none missing, got {_described(array)}")
        # a copy in the machine's byte order, which may be written to: PyTorch takes no other array without a warning
        array = array.astype(np.float64 if array.dtype.kind == "f" and array.itemsize > 8 else array.dtype.str[1:])
        tensor = torch.from_numpy(array.astype(np.int64) if array.dtype.kind == "u" else array)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ValueError(f"{name} is {_dtype(tensor)}, but must hold integers or real numbers")
    return tensor if tensor.is_floating_point() else tensor.long()


def _array(name: str, column: Column, dtype: Any = None) -> npt.NDArray[Any]:
    """The column as a 1-D array."""
    if isinstance(column, (Mapping, AbstractSet)):
        raise ValueError(
            f"{name} is a {type(column).__name__}, whose entries are in no order of rows: "
            f"pass a list, [{name}.get(row, 0) for row in range(n)] of a dictionary of counts"
        )
    if isinstance(column, np.ma.MaskedArray) and np.ma.is_masked(column):
        raise ValueError(f"{name} has masked entries: .filled(0) gives each of them the number 0")
    if isinstance(column, Tensor):
        check_values(name, column)
        check_dense(name, column)
        column = column.detach().cpu()
    try:
        array = np.asarray(column, dtype)
    except ValueError:
        raise ValueError(f"{name} must be 1-D, got entries of different lengths") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got {'one value' if array.ndim == 0 else f'shape {array.shape}'}")
    return array


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _described(array: npt.NDArray[Any]) -> str:
    for value in array:
        if not isinstance(value, (int, float, np.number)):
            return repr(value.item() if isinstance(value, np.generic) else value)
    return str(array.dtype)
