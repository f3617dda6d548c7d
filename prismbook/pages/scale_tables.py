"""The figure, tables and sentences of the page on large tables, from the measurements of ``benchmarks/scale.py``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.tables.labels import dataset_name
from prismbook.text import listed_names, plural
from prismlib import datasets

#: A part of the JSON of ``benchmarks/scale.py``, with its date, its environment and what was measured.
Part = Mapping[str, Any]
#: Each optimiser's name in a sentence, its colour and its marker.
OPTIMIZERS = {
    "adam": ("Adam on all rows", "#000000", "o"),
    "row_adam": ("Adam on the batch's rows", "#0072B2", "s"),
    "sparse_adam": ("lazy Adam", "#56B4E9", "^"),
    "rowwise_adagrad": ("row-wise Adagrad", "#D55E00", "D"),
    "sgd": ("SGD", "#009E73", "v"),
}
#: What each of them holds of the size of the tables.
HOLDS = {
    "adam": ("weights", "gradients", "means", "squares"),
    "row_adam": ("weights", "means", "squares"),
    "sparse_adam": ("weights", "means", "squares"),
    "rowwise_adagrad": ("weights",),
    "sgd": ("weights",),
}
#: Dimensions, and bytes of a number.
DIM, WIDTH = 64, 4
GB = 1e9
#: A machine on which steps take more than so many times their CPU time had other work.
BUSY = 1.5


def table_bytes(rows: float) -> float:
    """Bytes of the weights of so many rows.

    Args:
        rows: of both tables together.

    >>> table_bytes(1e8) / GB
    25.6
    """
    return rows * DIM * WIDTH


def frame(part: Part) -> pd.DataFrame:
    """The measured steps, one row each; a step that did not fit has no numbers.

    Args:
        part: the steps.
    """
    return pd.DataFrame(part["measured"])


def times(steps: pd.DataFrame, loss: str, optimizer: str, huge: bool = True) -> pd.Series:
    """CPU milliseconds of a step by the number of rows, where it was measured.

    Args:
        steps: of :func:`frame`.
        loss: ``"BPR"`` or ``"SSM"``.
        optimizer: a key of :data:`OPTIMIZERS`.
        huge: with huge pages or without.
    """
    chosen = (steps["loss"] == loss) & (steps["optimizer"] == optimizer) & (steps["huge_pages"] == huge)
    series: pd.Series = steps[chosen].set_index("rows")["cpu_ms"].dropna().sort_index()
    return series


def crossing(above: pd.Series, below: pd.Series) -> float | None:
    """The number of rows from which on one time is the smaller one, between two measured numbers on log scales.

    Args:
        above: times that are the larger ones in the end, by rows.
        below: times that are the smaller ones in the end, by rows.

    Returns:
        None where there is no such point among the rows that both have.

    >>> rows = [100, 10_000]
    >>> round(crossing(pd.Series([1.0, 100.0], rows), pd.Series([10.0, 10.0], rows)))
    1000
    """
    rows = above.index.intersection(below.index)
    gaps = [math.log(above[n] / below[n]) for n in rows]
    for place in range(len(rows) - 1, 0, -1):
        before, after = gaps[place - 1], gaps[place]
        if before <= 0 < after:
            share = -before / (after - before)
            return float(rows[place - 1] * (rows[place] / rows[place - 1]) ** share)
    return None


def rounded(rows: float) -> str:
    """A number of rows to its first digit, since it is read between two measured ones.

    Args:
        rows: > 0.

    >>> rounded(34_567.0)
    '30,000'
    """
    digit = 10 ** math.floor(math.log10(rows))
    return f"{round(rows / digit) * digit:,}"


def machine(part: Part) -> str:
    """What the steps were measured on.

    Args:
        part: the steps.
    """
    own = part["environment"]
    busy = (frame(part)["wall_ms"] / frame(part)["cpu_ms"]).median()
    text = (
        f"Measured on {part['date']} on {own['device']}, PyTorch {own['torch']}. Times are CPU time of the process,"
        " medians of a few steps."
    )
    if busy > BUSY:
        text += (
            f" By the clock they took {busy:.0f} times as long, since the machine had other work; that inflates CPU"
            " time too, though less."
        )
    return text


def step_times(part: Part) -> Figure:
    """CPU time of a training step against the rows of both tables, a panel per loss, with the crossings marked.

    Args:
        part: the steps.
    """
    steps = frame(part)
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.9), sharey=True)
    for axis, loss in zip(axes, ("BPR", "SSM"), strict=True):
        for optimizer, (name, colour, marker) in OPTIMIZERS.items():
            series = times(steps, loss, optimizer)
            axis.plot(series.index, series, color=colour, marker=marker, label=name)
        series = times(steps, loss, "adam", huge=False)
        name = f"{OPTIMIZERS['adam'][0]}, without huge pages"
        axis.plot(series.index, series, "--", color="#777777", marker="o", markerfacecolor="white", label=name)
        _mark_crossing(axis, *_both(steps, loss)[:2])
        negatives = "1 negative" if loss == "BPR" else "10 negatives"
        axis.set(xscale="log", yscale="log", xlabel="rows of both tables", title=f"{loss}, {negatives}")
    axes[0].set_ylabel("CPU time of a step, ms")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def _mark_crossing(axis: Axes, every: pd.Series, some: pd.Series) -> None:
    """A ring where Adam on the batch's rows becomes the faster one, with the number of rows."""
    rows = crossing(every, some)
    if rows is None:
        return
    before = max(n for n in some.index if n <= rows)
    after = min(n for n in some.index if n > rows)
    share = math.log(rows / before) / math.log(after / before)
    height = some[before] * (some[after] / some[before]) ** share
    axis.plot([rows], [height], "o", markersize=12, markerfacecolor="none", color="#CC79A7", markeredgewidth=1.8)
    axis.annotate(
        f"about {rounded(rows)} rows",
        (rows, height),
        xytext=(-4, 22),
        textcoords="offset points",
        ha="right",
        fontsize="small",
        color="#8a3f6c",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def crossings(part: Part) -> str:
    """From how many rows on a step of the batch's rows is faster, and by how much, both with huge pages.

    Args:
        part: the steps.
    """
    steps = frame(part)
    sentences = []
    for loss in ("BPR", "SSM"):
        every, some, rows = _both(steps, loss)
        if rows is None:
            sentences.append(f"With {loss} the two do not cross at the sizes measured.")
            continue
        least, most = min(some.index), max(every.index.intersection(some.index))
        sentences.append(
            f"With {loss} Adam on all rows is the faster one up to about {rounded(rows)} rows."
            f" At {most:,} rows it takes {_times_as_long(every[most] / some[most])} as Adam on the batch's rows."
        )
        without = times(steps, loss, "adam", huge=False)
        if most in without.index:
            sentences.append(
                f"Adam on all rows without huge pages takes {_times_as_long(without[most] / every[most])} there as with"
                " them."
            )
        sentences.append(
            f"From {least:,} to {most:,} rows, a step on the batch's rows grows from {some[least]:.0f} to"
            f" {some[most]:.0f} ms."
        )
    left: dict[str, list[str]] = {}
    for row in part["measured"]:
        if "not run" in row:
            with_pages = " with huge pages" if row["huge_pages"] and row["optimizer"] == "adam" else ""
            name = OPTIMIZERS[row["optimizer"]][0] + with_pages
            left.setdefault(f"with {row['rows']:,} rows and {row['loss']} ({row['not run']})", []).append(name)
    sentences.append(_largest_dataset())
    sentences += [f"Not run {where}: {listed_names(names)}." for where, names in left.items()]
    return " ".join(sentences)


def _both(steps: pd.DataFrame, loss: str) -> tuple[pd.Series, pd.Series, float | None]:
    """The times of Adam on all rows and on the batch's rows, and the number of rows at which they cross.

    Both are with huge pages: the second was measured with them alone.
    """
    every, some = times(steps, loss, "adam"), times(steps, loss, "row_adam")
    return every, some, crossing(every, some)


def _times_as_long(ratio: float) -> str:
    return f"{ratio:{',.0f' if ratio > 10 else '.1f'}} times as long"


def what_to_do(part: Part) -> str:
    """What to train with, by the size of the tables, as a Markdown table.

    Args:
        part: the steps.
    """
    steps = frame(part)
    found = {loss: _both(steps, loss)[-1] for loss in ("BPR", "SSM")}
    sizes = [f"{rounded(rows)} with {loss}" for loss, rows in found.items() if rows is not None]
    fewer = (
        f"up to about {listed_names(sizes)}, on a CPU with huge pages.{_without_huge_pages(steps)} `row_adam` was not"
        " measured without them: time both"
        if sizes
        else "all sizes that were measured"
    )
    return "\n".join(
        (
            "| rows of your tables | train with |",
            "|---|---|",
            f"| {fewer} | Adam on all rows, as `fit` does unless asked |",
            '| more | `optimizer="row_adam"`, which trains what Adam without decay trains. Put lengths on at scoring.'
            " In your own loop call its `flush()` before tables are ranked, saved or read; `fit` does |",
            '| more than fit into memory with Adam\'s two moments | `"rowwise_adagrad"` or `"sgd"`, which keep the'
            " weights, with one number a row or none; or [shards](../recipes.md) |",
            "",
            "DirectAU and MAWU were not measured. They look up no negatives, so fewer rows than BPR, and their own"
            " arithmetic is the same by either Adam: expect BPR's size, or a smaller one.",
            "",
            "Row-wise Adagrad writes less popularity into the lengths than Adam with decay: choose lengths at scoring"
            " ([](optimisers.ipynb)). With PRISM it was run for the comparison of optimisers below alone."
            " Both need learning rates of their own, and hardly train at Adam's. For SGD,"
            " {py:func}`~prismlib.optim.untuned_sgd_rate` gives one.",
        )
    )


def _without_huge_pages(steps: pd.DataFrame) -> str:
    """How many times as long Adam on all rows takes without huge pages where that tells, as a sentence."""
    by_pages = steps[steps["optimizer"] == "adam"].pivot_table("cpu_ms", ["rows", "loss"], "huge_pages")
    if by_pages.shape[1] < 2:
        return ""
    ratios = (by_pages[False] / by_pages[True]).dropna()
    longer = ratios[ratios > 1.5]
    if longer.empty:
        return ""
    least = int(longer.index.get_level_values("rows").min())
    return (
        f" Without them all rows cost {longer.min():.1f} to {longer.max():.1f} times as much from {rounded(least)} rows"
        " on."
    )


def _largest_dataset() -> str:
    rows = {name: datasets.CARDS[name].users + datasets.CARDS[name].items for name in PAPER_DATASETS}
    name = max(rows, key=lambda name: rows[name])
    return f"The paper's largest dataset, {dataset_name(name)}, has {rows[name]:,} rows."


def memory(part: Part, target: float = 1e8) -> pd.DataFrame:
    """The peak of memory of a step in tables, measured at the most rows, and the bytes of larger tables.

    Args:
        part: the steps.
        target: rows of the tables of which the bytes are computed.
    """
    steps = frame(part)
    found = []
    for optimizer, (name, *_) in OPTIMIZERS.items():
        own = steps[(steps["optimizer"] == optimizer) & steps["huge_pages"]].dropna(subset="peak_mb")
        most = own["rows"].max()
        peak = own[own["rows"] == most]["peak_mb"].min() * 2**20
        held = HOLDS[optimizer]
        found.append(
            {
                "optimiser": name,
                "holds": ", ".join(held),
                "tables": len(held),
                "measured": f"{peak / table_bytes(most):.1f}",
                "with rows": f"{most:,}",
                f"computed for {target:,.0f} rows, GB": f"{len(held) * table_bytes(target) / GB:.0f}",
            }
        )
    return pd.DataFrame(found).set_index("optimiser")


def starts(part: Part) -> str:
    """What ``prism_`` takes on the largest table that was measured.

    Args:
        part: the measurements of ``prism_``.
    """
    rows = [row for row in part["measured"] if "not run" not in row]
    most = max(rows, key=lambda row: row["rows"])
    tables = most["peak_mb"] * 2**20 / table_bytes(most["rows"])
    return (
        f"`prism_` itself works in blocks of rows. On a table of {most['rows']:,} rows it takes {most['cpu_s']:.1f} s"
        f" of CPU time, once, and memory peaks at {tables:.2f} tables, the table and its counts included."
    )


def parts(part: Part, rows: int) -> pd.DataFrame:
    """Milliseconds of the parts of a step: the loss with its look-ups, the gradients, and the optimiser's update.

    Args:
        part: the steps.
        rows: of both tables, one of those that were measured.
    """
    columns = {"loss_ms": "look-up and loss", "gradient_ms": "gradients", "update_ms": "update", "cpu_ms": "step"}
    steps = frame(part)
    steps = steps[steps["rows"] == rows].dropna(subset="cpu_ms")
    shown = [
        {
            "loss": row["loss"],
            "optimiser": OPTIMIZERS[row["optimizer"]][0] + ("" if row["huge_pages"] else ", without huge pages"),
            **{f"{column}, ms": f"{row[name]:.1f}" for name, column in columns.items()},
        }
        for row in steps.to_dict("records")
    ]
    return pd.DataFrame(shown).set_index(["loss", "optimiser"])


def stream(part: Part) -> pd.DataFrame:
    """What a file of pairs takes: CPU seconds, those of a clock, and the peak of memory.

    Args:
        part: the measurements of the stream.
    """
    found = part["measured"]
    write = found["draw and write"]
    rows = {
        "write, blocks of pairs": write | {"cpu_s": write["cpu_s"] - found["draw"]["cpu_s"]},
        "count the pairs of each row, for PRISM": found["count"],
        "read all batches of an epoch": found["read an epoch"],
    }
    shown = [
        {"work": name, "CPU s": f"{max(row['cpu_s'], 0):.1f}", "memory at its peak, MiB": f"{row['peak_mb']:,.0f}"}
        for name, row in rows.items()
    ]
    return pd.DataFrame(shown).set_index("work")


def stream_sentence(part: Part, steps: Part) -> str:
    """The size of the file, and what an epoch's reading is beside its steps.

    Args:
        part: the measurements of the stream.
        steps: the steps.
    """
    found = part["measured"]
    read = found["read an epoch"]["cpu_s"]
    per_step = times(frame(steps), "BPR", "row_adam")
    rows, step = per_step.index[-1], per_step.iloc[-1]
    training = found["batches"] * step / 1e3
    return (
        f"The file has {found['pairs']:,} pairs and {found['file_mb']:,.0f} MiB. An epoch has {found['batches']:,}"
        f" batches, whose reading takes {1e3 * read / found['batches']:.1f} ms of CPU time each. By `row_adam` the"
        f" steps of the figure, with BPR on {rows:,} rows, would take {training / 60:.0f} minutes beside {read:.0f} s"
        " of reading."
    )


def quality(part: Part) -> pd.DataFrame:
    """Validation NDCG@20 after each epoch, and how far it is from that of Adam on all rows at most.

    Args:
        part: the trainings.
    """
    runs = part["measured"]
    shown = []
    for run in runs:
        [adam] = [other for other in runs if other["optimizer"] == "adam" and _task(other) == _task(run)]
        gap = max(abs(a - b) for a, b in zip(run["ndcg"], adam["ndcg"], strict=True))
        shown.append(
            {
                "data": dataset_name(run["dataset"]),
                "loss": run["loss"],
                "optimiser": OPTIMIZERS[run["optimizer"]][0],
                "rate": f"{run['lr']:.3g}",
                "NDCG@20 by epoch": " ".join(f"{score:.4f}" for score in run["ndcg"]),
                "most from Adam": "" if run is adam else f"{gap:.5f}",
            }
        )
    return pd.DataFrame(shown).set_index(["data", "loss", "optimiser"])


def _task(run: Mapping[str, Any]) -> tuple[str, str]:
    return run["dataset"], run["loss"]


def farthest(part: Part, optimizer: str) -> float:
    """The largest difference of NDCG@20 after any epoch between an optimiser and Adam on all rows.

    Args:
        part: the trainings.
        optimizer: a key of :data:`OPTIMIZERS`; its runs at Adam's rate count.
    """
    runs = part["measured"]
    adam = {_task(run): run for run in runs if run["optimizer"] == "adam"}
    return max(
        abs(a - b)
        for run in runs
        if run["optimizer"] == optimizer and run["lr"] == adam[_task(run)]["lr"]
        for a, b in zip(run["ndcg"], adam[_task(run)]["ndcg"], strict=True)
    )


def quality_sentence(part: Part) -> str:
    """How closely the trainings follow Adam, and what they were.

    Args:
        part: the trainings.
    """
    runs = part["measured"]
    names = listed_names(list(dict.fromkeys(dataset_name(run["dataset"]) for run in runs)))
    seeds = len({run["seed"] for run in runs})
    return (
        f"Adam on the batch's rows is at most {farthest(part, 'row_adam'):.1g} NDCG@20 from Adam on all rows after any"
        f" epoch; lazy Adam is {farthest(part, 'sparse_adam'):.4f} away. The trainings are on {names}, with"
        f" {plural(seeds, 'seed')}, and end early on purpose: what is compared is the path, not the best result."
    )


def pages_sentence(steps: Part, data: Part) -> str:
    """What huge pages give to a step on large tables and on data of the paper's size, and whether runs here use them.

    Args:
        steps: the steps.
        data: the steps on the paper's data, with and without huge pages.
    """
    table = frame(steps)
    with_them, without = (times(table, "BPR", "adam", huge) for huge in (True, False))
    most = max(with_them.index.intersection(without.index))
    large = (
        f"With {most:,} rows, a BPR step of Adam on all rows takes {without[most]:,.0f} ms without them and"
        f" {with_them[most]:,.0f} ms with them."
    )
    parts = [(row, row[name], word) for row in data["measured"] for name, word in (("step_ms", row["loss"]),)]
    small = [
        f"a {loss} step on {dataset_name(row['dataset'])} takes {found['ratio']:.2f} times the CPU time"
        for row, found, loss in parts
    ]
    spread = max(max(found[how]) / min(found[how]) - 1 for _, found, _ in parts for how in ("with", "without"))
    told = any(abs(1 - found["ratio"]) > spread for _, found, _ in parts)
    verdict = (
        ""
        if told
        else " At the size of the paper's datasets no gain can be told, so nothing in this project sets them."
    )
    return f"{large} With them, {' and '.join(small)}. Repeats of one setting differ by up to {spread:.0%}.{verdict}"
