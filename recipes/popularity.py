"""Popularity in one expression from pandas, polars, pyarrow, SciPy and DuckDB: a count for every row, in order."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch
from toy import assert_norms, num_items, num_users, report, split

from prismlib import prism_

n = num_items + 20  # the last 20 items never occur: what counts only what occurs is wrong here
wanted = np.bincount(split.train.item, minlength=n)
columns = {"user": split.train.user, "item": split.train.item}


def check(counts):
    """Stop unless these are the counts of all rows, in their order, and PRISM takes them as they are."""
    assert np.array_equal(counts, wanted)
    table = torch.nn.Embedding(n, 16)
    prism_(table.weight, counts)
    assert_norms(table.weight, wanted)


# [pandas]
import pandas as pd


def from_pandas(log: pd.DataFrame, n):
    return log["item"].value_counts().reindex(range(n), fill_value=0)


# [end]
check(from_pandas(pd.DataFrame(columns), n))

# [polars]
import numpy as np
import polars as pl


def from_polars(log: pl.DataFrame, n):
    every = pl.DataFrame({"item": np.arange(n)}, schema={"item": log.schema["item"]})
    return every.join(log.group_by("item").len(), on="item", how="left", maintain_order="left")["len"].fill_null(0)


# [end]
check(from_polars(pl.DataFrame(columns), n))
check(from_polars(pl.DataFrame({"item": np.asarray(split.train.item, np.int64)}), n))  # ids of another width

# [pyarrow]
import numpy as np
import pyarrow as pa


def from_pyarrow(log: pa.Table, n):
    return np.bincount(log["item"].to_numpy(), minlength=n)


# [end]
check(from_pyarrow(pa.table(columns), n))

# [scipy]
import scipy.sparse


def from_scipy(matrix: scipy.sparse.sparray):
    return matrix.count_nonzero(axis=0)


# [end]
pairs = np.ones(len(split.train.item)), (split.train.user, split.train.item)
check(from_scipy(scipy.sparse.csr_array(pairs, shape=(num_users, n))))

# [duckdb]
import duckdb


def from_duckdb(log, n):  # DuckDB finds the table by the name of the variable, log
    return duckdb.sql(f"""
        SELECT count(log.item) AS d FROM range({n}) AS every(item) LEFT JOIN log ON log.item = every.item
        GROUP BY every.item ORDER BY every.item""").fetchnumpy()["d"]


# [end]
for log in (pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)):
    check(from_duckdb(log, n))


def from_duckdb_without_order(log, n):
    return duckdb.sql(f"""
        SELECT count(log.item) AS d FROM range({n}) AS every(item) LEFT JOIN log ON log.item = every.item
        GROUP BY every.item""").fetchnumpy()["d"]


# what goes wrong: in no order of rows, and nothing in an array can say so
loose = from_duckdb_without_order(pd.DataFrame(columns), n)
assert sorted(loose) == sorted(wanted) and not np.array_equal(loose, wanted)
prism_(torch.nn.Embedding(n, 16).weight, loose)  # no error
for bad in (pd.Series(columns["item"]).value_counts(), pl.Series(columns["item"]).value_counts()["count"]):
    try:
        prism_(torch.nn.Embedding(n, 16).weight, bad)
        raise AssertionError("counts of those items alone that occur were accepted")
    except ValueError:
        pass
names = ("pandas", "polars", "pyarrow", "scipy", "duckdb")
report(version=", ".join(f"{name} {version(name)}" for name in names), scores={})
