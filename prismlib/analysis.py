"""From run records to tables and verdicts. A verdict is computed from the records, never written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from prismlib.config import RunConfig
from prismlib.metrics import GROUPS
from prismlib.records import Record

LOSS_NAMES = {
    "bpr": "BPR",
    "ssm": "SSM",
    "directau": "DirectAU",
    "mawu": "MAWU",
    "ipl": "IPL",
    "resn": "ReSN",
    "macr": "MACR",
}


def tidy(configs: Iterable[RunConfig], records: Iterable[Record | None]) -> pd.DataFrame:
    """One row a run: its configuration's main fields, test NDCG@20 by dot product, its parts, and where it came from.

    Runs without a record keep their row, with missing values: what was not run is shown as not run.
    """
    rows = []
    for config, record in zip(configs, records, strict=True):
        row = {"loss": LOSS_NAMES[config.loss], "weight_decay": config.weight_decay, "seed": config.seed}
        if record is not None:
            item_norms, seconds, made = record["norms"]["item"], record["seconds"], record["environment"]
            row |= {name: record["test"]["dot"][name] for name in ("ndcg", *GROUPS)} | {
                "cosine": record["test"]["cosine"]["ndcg"],
                "norm_correlation": item_norms["pearson_log"],
                "largest_norm": max(b["mean"] for b in item_norms["bins"]),
                "best_epoch": record["best_epoch"],
                "epochs": len(record["history"]["loss"]),
                "stopped_by": record["stopped_by"],
                "seconds": seconds["train"] + seconds["evaluate"],
                "run": record["id"],
                "device": made["device"],
                "commit": _short(made["commit"]),
            }
        rows.append(row)
    measures = ["ndcg", *GROUPS, "cosine", "norm_correlation", "largest_norm"]
    origin = ["best_epoch", "epochs", "stopped_by", "seconds", "run", "device", "commit"]
    return pd.DataFrame(rows, columns=["loss", "weight_decay", "seed", *measures, *origin])


def _short(commit: str | None) -> str:
    return "" if commit is None else commit[:8] + "+" * commit.endswith("+")


def over_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, one row a (loss, weight decay), in the order of the runs."""
    measures = ["ndcg", *GROUPS, "cosine", "norm_correlation"]
    return runs.groupby(["loss", "weight_decay"], sort=False)[measures].agg(["mean", "std"])


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The means of :func:`over_seeds` as a reader wants them: three decimals, decays as 1e-06, no NaN."""
    means = pd.DataFrame(table.xs("mean", axis=1, level=1)).rename(index="{:g}".format, level="weight_decay")
    names = {"ndcg": "NDCG@20", "cosine": "by cosine", "norm_correlation": "norm ~ log d"}
    return means.rename(columns=names).map(lambda value: "not run" if pd.isna(value) else f"{value:.3f}")


def how_runs_ended(runs: pd.DataFrame) -> str:
    """In Markdown: which runs were cut off by the epoch limit, which ended within 20 epochs, which collapsed."""

    def named(chosen: pd.DataFrame) -> str:
        return "; ".join(f"{run.loss} at {run.weight_decay:g} (epoch {run.epochs:.0f})" for run in chosen.itertuples())

    ran = runs[runs["run"].notna()]
    cut, short = ran[ran["stopped_by"] == "max_epochs"], ran[ran["epochs"] <= 20]
    lines = [
        f"{len(ran)} of {len(runs)} runs are made; {(ran['stopped_by'] == 'patience').sum()} ended by early stopping."
    ]
    if len(cut):
        lines.append(f"Cut off by the epoch limit, so their NDCG may still have been rising: {named(cut)}.")
    if len(short):
        lines.append(f"Ended within 20 epochs, where early stopping can be premature: {named(short)}.")
    collapsed = ran[ran["largest_norm"] < 1e-3]
    if len(collapsed):
        lines.append(f"Collapsed, decay outweighed the loss and all item rows shrank to nothing: {named(collapsed)}.")
    return " ".join(lines)


@dataclass(frozen=True)
class Statement:
    """A sentence with its numbers, and whether they bear it out; ``holds`` is None where a run is missing."""

    text: str
    holds: bool | None


def verdict(statements: Iterable[Statement]) -> str:
    """One word for a claim's statements: reproduced, in part, not reproduced, or not measured.

    >>> verdict([Statement("a", True), Statement("b", False)])
    'in part'
    """
    held = [statement.holds for statement in statements]
    if not held or None in held:
        return "not measured"
    return "reproduced" if all(held) else "in part" if any(held) else "not reproduced"


def verdict_text(claim: str, dataset: str, statements: Sequence[Statement]) -> str:
    """A verdict with its statements, in Markdown."""
    mark = {True: "holds", False: "does not hold", None: "not measured"}
    lines = [f"- {statement.text}: *{mark[statement.holds]}*" for statement in statements]
    return "\n".join([f"**{claim} on {dataset}: {verdict(statements)}**", "", *lines])


def claim_c1(runs: pd.DataFrame) -> list[Statement]:
    """C1: DirectAU on MF depends strongly on weight decay; with too weak a decay it falls below BPR."""
    mean = over_seeds(runs)["ndcg"]["mean"].unstack("loss", sort=False)
    if not {"BPR", "DirectAU"} <= set(mean) or mean.isna().any(axis=None) or len(mean) < 2:
        return [Statement("C1 needs BPR and DirectAU at two weight decays or more", None)]
    directau, bpr = mean["DirectAU"], mean["BPR"]
    weakest = mean.index[0]
    lost = 1 - mean.iloc[0] / mean.max()
    return [
        Statement(
            f"DirectAU depends on decay more than BPR: at {weakest:g} it misses {lost['DirectAU']:.0%}"
            f" of its own best NDCG@20, BPR {lost['BPR']:.0%}",
            bool(lost["DirectAU"] > lost["BPR"]),
        ),
        Statement(
            f"at weight decay {weakest:g} DirectAU falls below BPR: {directau.iloc[0]:.3f} against {bpr.iloc[0]:.3f}",
            bool(directau.iloc[0] < bpr.iloc[0]),
        ),
    ]


def claim_c2(runs: pd.DataFrame) -> list[Statement]:
    """C2: a stronger decay widens the gap between popular and unpopular items, for BPR least."""
    table = over_seeds(runs)
    gap = (table["popular"]["mean"] - table["unpopular"]["mean"]).unstack("loss", sort=False)
    share = (table["popular"]["mean"] / table["ndcg"]["mean"]).unstack("loss", sort=False)
    if gap.isna().any(axis=None) or len(gap) < 2:
        return [Statement("C2 needs every loss at two weight decays or more", None)]
    low, high = gap.index[0], gap.index[-1]
    statements = []
    for loss, values in gap.items():
        first, last = values.iloc[0], values.iloc[-1]
        text = (
            f"{loss}: popular minus unpopular goes from {first:.3f} at {low:g} to {last:.3f} at {high:g}"
            f" (popular items' share of NDCG@20: {share[loss].iloc[0]:.0%} to {share[loss].iloc[-1]:.0%})"
        )
        statements.append(Statement(text, bool(last > first)))
    if {"BPR", "DirectAU"} <= set(gap):
        widening = gap.iloc[-1] - gap.iloc[0]
        statements.append(
            Statement(
                f"least for BPR: {widening['BPR']:+.3f} against DirectAU's {widening['DirectAU']:+.3f}",
                bool(widening["BPR"] < widening["DirectAU"]),
            )
        )
    return statements
