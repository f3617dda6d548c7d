"""Popularity in one expression from pandas, polars, pyarrow, SciPy and DuckDB: a count for every row, in order."""

from __future__ import annotations

from importlib.metadata import version

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
import torch
from toy import assert_norms, num_items, num_users, report, split

from prismlib import prism_

n = num_items + 20  # the last 20 items never occur: what counts only what occurs is wrong here
wanted = np.bincount(split.train.item, minlength=n)
columns = {"user": split.train.user, "item": split.train.item}


def from_pandas():
    log = pd.DataFrame(columns)
    # [pandas]
    return log["item"].value_counts().reindex(range(n), fill_value=0)
    # [end]


def from_polars():
    log = pl.DataFrame(columns)
    # [polars]
    every = pl.DataFrame({"item": np.arange(n, dtype=np.int32)})
    return every.join(log.group_by("item").len(), on="item", how="left", maintain_order="left")["len"].fill_null(0)
    # [end]


def from_pyarrow():
    log = pa.table(columns)
    # [pyarrow]
    return np.bincount(log["item"].to_numpy(), minlength=n)
    # [end]


def from_scipy():
    matrix = scipy.sparse.csr_array((np.ones(len(columns["user"])), tuple(columns.values())), shape=(num_users, n))
    # [scipy]
    return matrix.count_nonzero(axis=0)
    # [end]


def from_duckdb():
    log = pd.DataFrame(columns)  # DuckDB finds it by its name
    # [duckdb]
    return duckdb.sql(f"""
        SELECT count(log.item) AS d FROM range({n}) AS every(item) LEFT JOIN log ON log.item = every.item
        GROUP BY every.item ORDER BY every.item""").fetchnumpy()["d"]
    # [end]


def from_duckdb_without_order():
    log = pd.DataFrame(columns)
    return duckdb.sql(f"""
        SELECT count(log.item) AS d FROM range({n}) AS every(item) LEFT JOIN log ON log.item = every.item
        GROUP BY every.item""").fetchnumpy()["d"]


if __name__ == "__main__":
    makers = (from_pandas, from_polars, from_pyarrow, from_scipy, from_duckdb)
    for make in makers:
        table = torch.nn.Embedding(n, 16)
        prism_(table.weight, make())
        assert_norms(table.weight, wanted)
    # what goes wrong: in no order of rows, and nothing in an array can say so
    loose = from_duckdb_without_order()
    assert sorted(loose) == sorted(wanted) and not np.array_equal(loose, wanted)
    prism_(torch.nn.Embedding(n, 16).weight, loose)  # no error
    for bad in (pd.Series(columns["item"]).value_counts(), pl.Series(columns["item"]).value_counts()["count"]):
        try:
            prism_(torch.nn.Embedding(n, 16).weight, bad)
            raise AssertionError("counts of those items alone that occur were accepted")
        except ValueError:
            pass
    names = [make.__name__.removeprefix("from_") for make in makers]
    report(version=", ".join(f"{name} {version(name)}" for name in names), scores={})
