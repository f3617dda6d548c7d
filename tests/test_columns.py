"""Columns of counts and ids: every make gives the same tensor, and what could be read in two ways is refused."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from prismlib import FullRanking, Interactions, dataset_from_pairs, popularity_groups, prism, prism_norm
from prismlib._columns import ids, keys, popularity_column
from prismlib.baselines import IPL
from prismlib.norms import norm_summary

COUNTS = [0, 6, 3, 200]


def chunked(values: list[int]) -> Any:
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.chunked_array([values[:1], values[1:]])


MAKES: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "uint8": lambda values: np.array(values, np.uint8),
    "uint64": lambda values: np.array(values, np.uint64),
    "objects": lambda values: np.array(values, object),
    "big endian": lambda values: np.array(values, ">i4"),
    "reversed view": lambda values: np.array(values[::-1])[::-1],
    "read only": lambda values: np.frombuffer(np.array(values, np.int64).tobytes(), np.int64),
    "unmasked": lambda values: np.ma.MaskedArray(values),
    "tensor": torch.tensor,
    **{f"torch {dtype}": lambda v, d=dtype: torch.tensor(v, dtype=d) for dtype in (torch.uint8, torch.int16)},
    "torch uint16": lambda values: torch.tensor(values).to(torch.uint16),
    "torch uint64": lambda values: torch.tensor(values).to(torch.uint64),
    "pandas": pd.Series,
    "pandas Int64": lambda values: pd.Series(values, dtype="Int64"),
    "pandas array": lambda values: pd.array(values),
    "polars": lambda values: pytest.importorskip("polars").Series(values),
    "pyarrow": lambda values: pytest.importorskip("pyarrow").array(values),
    "pyarrow chunked": chunked,
}


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_every_make_of_column_means_the_same_everywhere(make: Callable[[list[int]], Any]) -> None:
    weight, expected = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), torch.tensor(COUNTS)
    assert torch.equal(popularity_column("popularity", make(COUNTS)), expected)
    assert torch.equal(ids("item", make(COUNTS)), expected)
    assert torch.equal(prism(weight, make(COUNTS)), prism(weight, expected))
    assert torch.equal(prism_norm(make(COUNTS)), prism_norm(expected))
    assert torch.equal(popularity_groups(make(COUNTS)), popularity_groups(expected))
    assert norm_summary(weight, make(COUNTS)) == norm_summary(weight, expected)
    pairs = Interactions(make(COUNTS), make(COUNTS))
    assert pairs.user.tolist() == pairs.item.tolist() == COUNTS and pairs.user.dtype == np.int32
    assert torch.from_numpy(pairs.user).dtype == torch.int32  # no warning: the array may be written to
    data, user_ids, _ = dataset_from_pairs("toy", make(COUNTS), make(COUNTS))
    assert data.user.tolist() == [0, 1, 2, 3] and user_ids.tolist() == sorted(COUNTS)
    held_out = Interactions([0], [3])
    groups = [0, 1, 2, 2]
    assert FullRanking(held_out, [], make(groups), 1, k=1).groups.tolist() == groups


@pytest.mark.parametrize("make", [np.array, pd.Series, torch.tensor, list], ids=["array", "pandas", "tensor", "list"])
def test_counts_may_be_fractions(make: Callable[[list[float]], Any]) -> None:
    assert popularity_column("popularity", make([0.5, 2.0])).tolist() == [0.5, 2.0]


ITEMS = pd.Series([2, 2, 2, 1, 1, 0])  # item 0 is seen once


def test_labels_in_the_order_of_the_rows_are_accepted() -> None:
    expected = prism_norm([1, 2, 3, 0])
    complete = ITEMS.value_counts().reindex(range(4), fill_value=0)
    assert torch.equal(prism(torch.eye(4), complete), torch.diag(expected))
    assert torch.equal(prism(torch.eye(3), ITEMS.value_counts().sort_index()), torch.diag(expected[:3]))


@pytest.mark.parametrize(
    "labelled",
    [
        ITEMS.value_counts(),  # in the order of the counts
        ITEMS.value_counts().sort_index(),  # one item is not there
        pd.Series([1, 2, 3, 0], index=list("abcd")),
        pd.Series([1, 2, 3, 0], index=[1, 2, 3, 4]),
        pd.Series([1, 2, 3, 0], index=pd.MultiIndex.from_product([[0, 1], [0, 1]])),
    ],
)
def test_labels_in_another_order_are_refused_with_both_ways_out(labelled: pd.Series) -> None:
    weight = torch.ones(4, 2)
    for call in (
        lambda: prism(weight, labelled),
        lambda: norm_summary(weight, labelled),
        lambda: FullRanking(Interactions([0], [0]), [], [0] * 4, 1, k=1).all_metrics(
            torch.tensor([[0]]), labelled, [1]
        ),
    ):
        with pytest.raises(ValueError, match=r"\.reindex\(range\(4\), fill_value=0\) .*\.to_numpy\(\)"):
            call()


def test_labels_are_looked_at_where_no_table_is_there() -> None:
    for call in (prism_norm, popularity_groups, lambda popularity: IPL(popularity, 1.0, 1.0)):
        with pytest.raises(ValueError, match=r"\.reindex\(range\(n\), fill_value=0\) .*\.to_numpy\(\)"):
            call(ITEMS.value_counts())


class Labelled:
    """A column that has labels as pandas has, and is not of pandas."""

    index = np.array([1, 0])

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array([4, 5])


def test_whatever_has_an_index_is_labelled() -> None:
    with pytest.raises(ValueError, match="popularity is labelled"):
        prism(torch.ones(2, 2), Labelled())


def test_ids_of_a_filtered_table_are_pairs_and_ids_of_two_tables_are_not() -> None:
    log = pd.DataFrame({"user": [3, 1, 2], "item": [7, 8, 9], "rating": [5, 1, 4]}).query("rating > 3")
    assert Interactions(log["user"], log["item"]).item.tolist() == [7, 9]
    assert Interactions(log["user"], log["item"].to_numpy()).item.tolist() == [7, 9]
    for call in (Interactions, lambda user, item: dataset_from_pairs("shop", user, item)):
        with pytest.raises(ValueError, match="their labels differ"):
            call(log["user"], log["item"].sort_values(ascending=False))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Counter({0: 3, 1: 2}), r"popularity is a Counter, .*popularity\.get\(row, 0\)"),
        ({3, 2}, "popularity is a set"),
        (np.ma.MaskedArray([1, 2], [True, False]), "popularity has masked entries"),
        ([[1, 2], [3]], "popularity must be 1-D, got entries of different lengths"),
        (np.ones((2, 1)), r"popularity must be 1-D, got shape \(2, 1\)"),
        (torch.ones(2, 1), r"popularity must be 1-D, got shape \(2, 1\)"),
        (pd.DataFrame({"n": [1, 2]}), r"popularity must be 1-D, got shape \(2, 1\)"),
        (3, "popularity must be 1-D, got one value"),
        (None, "popularity must be 1-D"),
        ([True, False], "popularity is bool"),
        (torch.tensor([True, False]), "popularity is bool"),
        (torch.tensor([1j, 2]), "popularity is complex64"),
        (["3", "4"], "popularity must hold numbers, none missing, got '3'"),
        ([3, None], "popularity must hold numbers, none missing, got None"),
        (np.array(["2020", "2021"], "M8[D]"), "popularity must hold numbers"),
        (pd.Series([1, None]), "popularity must be finite and >= 0"),
        (pd.Series([1, None], dtype="Int64"), "popularity must be finite and >= 0"),
        ([1, -1], "popularity must be finite and >= 0"),
        ([1, 2, 3], "popularity must have 2 entries, one per row of the table, got 3"),
    ],
)
def test_what_is_no_column_of_counts(column: Any, message: str) -> None:
    for call in (lambda: prism(torch.ones(2, 2), column), lambda: norm_summary(torch.ones(2, 2), column)):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("column", [[0.0, 1.0], np.array([0, 1.5]), pd.Series([0, None]), torch.ones(2)])
def test_floating_point_ids_are_refused(column: Any) -> None:
    for call in (lambda: ids("item", column), lambda: Interactions([0, 1], column)):
        with pytest.raises(ValueError, match=r"item is float\d\d, but must be integers"):
            call()


@pytest.mark.parametrize("column", [[True, False], np.array([True, False]), torch.tensor([True, False])])
def test_boolean_ids_are_refused(column: Any) -> None:
    with pytest.raises(ValueError, match="item is bool"):
        Interactions([0, 1], column)


def test_an_empty_column_has_ids_of_no_dtype() -> None:
    assert len(ids("item", [])) == len(ids("item", torch.tensor([]))) == len(keys("item", [])) == 0
    assert Interactions([], []).user.dtype == np.int32


def test_text_of_polars_and_pyarrow_is_text() -> None:
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    for column in (polars.Series(["b", "a"]), pyarrow.array(["b", "a"]), pyarrow.chunked_array([["b"], ["a"]])):
        assert keys("user", column).tolist() == ["b", "a"]
    for column in (polars.Series(["b", None]), pyarrow.array(["b", None])):
        with pytest.raises(ValueError, match="user 1 is None, but ids"):
            keys("user", column)


SNIPPET = """
import numpy as np
import pandas as pd
import torch
from prismlib import FullRanking, Interactions, dataset_from_pairs, popularity_groups, prism_, prism_norm
from prismlib.norms import norm_summary

counts = np.array([1, 2, 3])
table = torch.nn.Embedding(3, 4)
prism_(table.weight, counts)
prism_(table.weight, pd.Series([1, 2, 3]))
prism_(table.weight, [1, 2, 3])
prism_norm(counts)
norm_summary(table.weight, counts)
pairs = Interactions(np.array([0]), torch.tensor([0]))
FullRanking(pairs, pairs, popularity_groups(counts), 3)
dataset_from_pairs("shop", ["eve"], counts)
"""


def test_a_users_file_that_passes_arrays_is_well_typed() -> None:
    root = Path(__file__).parents[1]
    # strict, as the project's own settings are, whose cache spares reading PyTorch's types again
    command = [sys.executable, "-m", "mypy", "-c", SNIPPET]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
