"""What the page of RQ1 says of its runs: the decay that validation chooses, one table of numbers, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from prismbook.claims.decay_claims import chosen_decay
from prismbook.tables.analysis import first_seed, records
from prismbook.tables.labels import cell, dataset_name
from prismbook.tables.seed_differences import gap, usable
from prismbook.text import listed_names, plural


def chosen(runs: pd.DataFrame) -> dict[str, float]:
    """The weight decay that validation chooses for each loss, among runs that decide.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    return {
        str(loss): float(chosen_decay(group))
        for loss, group in runs.groupby("loss", sort=False)
        if not usable(first_seed(group)).empty
    }


def decide_nothing(runs: pd.DataFrame) -> dict[str, list[float]]:
    """The weight decays of each loss at which runs were made and none decides anything.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    made = runs[runs["run"].notna()]
    return {
        str(loss): [
            decay for decay in sorted(set(group["weight_decay"])) if usable(group[group["weight_decay"] == decay]).empty
        ]
        for loss, group in made.groupby("loss", sort=False)
    }


def numbers(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per dataset and loss: NDCG@20 without decay and with the chosen one, and where it comes from.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name.

    Returns:
        Text, means over the seeds that were run. The columns are the score without decay, the decay that validation
        chooses, and the score with it; then the gap between popular and unpopular items, and the correlation of lengths
        with log popularity, without decay and with the chosen one.
    """
    rows = []
    for dataset, table in runs.items():
        picked = chosen(table)
        for loss, group in table.groupby("loss", sort=False):
            means = group.assign(gap=gap(group)).groupby("weight_decay")[["ndcg", "gap", "norm_correlation"]].mean()
            best = picked.get(str(loss), np.nan)
            ends = means.reindex([0.0, best]).map(cell)
            rows.append(
                {
                    "dataset": dataset_name(dataset),
                    "loss": loss,
                    "no decay": ends["ndcg"].iloc[0],
                    "chosen decay": chosen_text(best, group),
                    "with it": ends["ndcg"].iloc[1],
                    "popular - unpopular": _arrow(ends["gap"]),
                    "length ~ log d": _arrow(ends["norm_correlation"]),
                }
            )
    return pd.DataFrame(rows).set_index(["dataset", "loss"])


def _arrow(ends: pd.Series) -> str:
    """From one cell to another; "not run" is said once."""
    return " → ".join(ends) if set(ends) != {cell(np.nan)} else cell(np.nan)


def chosen_text(best: float, runs: pd.DataFrame) -> str:
    """The chosen decay as a cell of a table, or why there is none.

    Args:
        best: the decay that validation chooses; NaN where no run decides anything.
        runs: the runs of one loss that were asked for.

    >>> chosen_text(1e-4, pd.DataFrame({"run": []}))
    '0.0001'
    """
    if pd.notna(best) or runs["run"].isna().all():
        return cell(best, "g")
    limited = (runs.loc[runs["run"].notna(), "stopped_by"] == "max_epochs").all()
    return "none: all runs cut off by the limit of epochs" if limited else "none: no run decides"


def behind_the_means(runs: pd.DataFrame) -> str:
    """Where a mean of :func:`numbers` has runs that decide nothing, what those that decide score, in Markdown.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    parts = []
    for loss, decay in chosen(runs).items():
        made = runs[(runs["loss"] == loss) & (runs["weight_decay"] == decay) & runs["run"].notna()]
        decide = usable(made)
        if len(decide) < len(made):
            parts.append(
                f"Of {loss} at decay {decay:g} {plural(len(decide), 'run')} of {len(made)}"
                f" {'decides' if len(decide) == 1 else 'decide'} something, with NDCG@20 {decide['ndcg'].mean():.4f};"
                f" the mean over all is {made['ndcg'].mean():.4f}."
            )
    return " ".join(parts)


def by_angles_alone(runs: Mapping[str, pd.DataFrame], loss: str = "SSM", beside: str = "DirectAU") -> str:
    """How two losses of angles rank without decay by cosine alone, so without lengths, in Markdown.

    Args:
        runs: as :func:`numbers` takes them, which have every run's record.
        loss: the loss as it is shown.
        beside: the loss that it stands beside.

    Returns:
        A line per dataset on which both were run without decay. It has means over the seeds whose runs decide
        something, or says which of the two has none. Empty where there is no such dataset.
    """
    said = []
    for dataset, table in runs.items():
        none = table[(table["weight_decay"] == 0) & table["run"].notna()]
        if not {loss, beside} <= set(none["loss"]):
            continue
        parts = []
        for name in (loss, beside):
            tests = [run["test"] for run in records(usable(none[none["loss"] == name])) if run is not None]
            if not tests:
                parts.append(f"No run of {name} without decay decides anything")
                continue
            cosine, popular, dot = (
                float(np.mean([test[by][part] for test in tests]))
                for by, part in (("cosine", "ndcg"), ("cosine", "popular"), ("dot", "ndcg"))
            )
            parts.append(
                f"{name} has NDCG@20 {cosine:.3f} by cosine, {popular:.3f} of it from popular items, and {dot:.3f} with"
                f" its lengths ({plural(len(tests), 'seed')})"
            )
        said.append(f"- **{dataset_name(dataset)}.** {'. '.join(parts)}.")
    return "\n".join(said)


def not_run(runs: pd.DataFrame) -> str:
    """Which decays of which losses were not run, in Markdown; empty where all or nothing was run.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    missing = runs[runs["run"].isna()]
    if missing.empty or len(missing) == len(runs):
        return ""
    parts = [
        f"{loss} at decay {listed_names([f'{decay:g}' for decay in sorted(set(group['weight_decay']))])}"
        for loss, group in missing.groupby("loss", sort=False)
    ]
    return f"Not run: {'; '.join(parts)}."


def widest_gaps(runs: pd.DataFrame) -> str:
    """At which decay each loss has its widest gap between popular and unpopular items, in Markdown; empty without runs.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    made = runs[runs["run"].notna()]
    gaps = made.assign(gap=gap(made)).groupby(["loss", "weight_decay"], sort=False)["gap"].mean()
    parts = []
    for loss in made["loss"].unique():
        of_loss = gaps[loss].sort_index()
        if len(of_loss) > 1:
            widest = of_loss.idxmax()
            end = "the strongest here" if widest == of_loss.index[-1] else f"beyond it {of_loss.iloc[-1]:.3f} at last"
            there = made[(made["loss"] == loss) & (made["weight_decay"] == widest)]
            cut = len(there) - len(usable(there))
            some = (
                f" Of its {plural(len(there), 'run')} there {cut} cannot decide: a stopping rule ended it."
                if cut
                else ""
            )
            parts.append(f"- {loss}: the gap is widest at decay {widest:g}, {of_loss[widest]:.3f}, {end}.{some}")
    return "\n".join(parts)
