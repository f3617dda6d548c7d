"""What the page on optimisers shows: predictions of the law of lengths beside what runs say, and what each is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from prismbook.runs.records import Record
from prismbook.tables import analysis, lengths
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.ways import NONE, PRISM, SGD, TUNED, Compared
from prismbook.text import plural

#: What the law says that a training writes into lengths without decay, in words and as slope of log length in log d.
PREDICTED: dict[str, tuple[str, float | None]] = {
    "plain SGD, no decay": ("d^(1/4), at any rate that forgets the start", 0.25),
    "SGD with momentum, no decay": ("d^(1/4)", 0.25),
    "row-wise Adagrad, no decay": ("log d, PRISM's own profile (see below)", None),
    "row-sparse Adam, no decay": ("squared lengths grow with d", None),
    "Adam, no decay": ("nothing", 0.0),
    "AdamW, decay 0.1": ("nothing", 0.0),
    "AdamW, decay 0.3": ("nothing", 0.0),
    "Adam, decay 1e-05": ("d^(1/6), at any decay that comes to rest", 1 / 6),
}


def predictions(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """One row per training: the law's prediction, and the slope of log length in log d that runs have on each dataset.

    Args:
        records: stored runs of DirectAU on matrix factorisation, for each dataset, by its name.

    Returns:
        Text: a slope is a mean over runs, with their number in brackets; "not run" where there is none.
    """
    rows = []
    for name, (words, slope) in PREDICTED.items():
        row = {"trained with": name, "the law says": words, "slope": "" if slope is None else f"{slope:.2f}"}
        for dataset, runs in records.items():
            found = [
                lengths.slope_in_popularity(record)
                for record in runs
                if lengths.training_name(record["config"]) == name and record["config"]["init"] == "xavier"
            ]
            row[dataset_name(dataset)] = f"{np.mean(found):.2f} ({len(found)})" if found else "not run"
        rows.append(row)
    return pd.DataFrame(rows).set_index("trained with")


def ways(records: Sequence[Record]) -> pd.DataFrame:
    """What each way of training gives on one dataset: quality, fairness, epochs, and the same with chosen lengths.

    Args:
        records: stored runs of DirectAU on matrix factorisation on one dataset.

    Returns:
        Text, one row per training and learning rate, means over seeds; an arrow leads from the trained lengths to those
        that validation chooses at scoring.
    """
    table = lengths.by_training(records)
    kept = table["exponent"].notna()

    def arrow(before: str, after: str, digits: int) -> list[str]:
        ends = zip(table[before], table[after], kept, strict=True)
        return [
            f"{own:.{digits}f} → {put_on:.{digits}f}" if there else f"{own:.{digits}f}" for own, put_on, there in ends
        ]

    return pd.DataFrame(
        {
            "NDCG@20": arrow("ndcg", "ndcg with it", 4),
            "unpopular / popular": arrow("ratio", "ratio with it", 3),
            "best epoch": [f"{epochs - 1:.0f}" for epochs in table["epochs"]],  # counted from 0, as elsewhere
            "exponent chosen": [
                f"{exponent:.2f}" if there else "" for exponent, there in zip(table["exponent"], kept, strict=True)
            ],
            "seeds": [f"{seeds:.0f}" for seeds in table["seeds"]],
        },
        index=pd.MultiIndex.from_tuples([(name, f"{rate:g}") for name, rate in table.index], names=table.index.names),
    )


def found(records: Mapping[str, Sequence[Record]]) -> str:
    """What plain SGD without decay gives beside Adam and PRISM, at its own lengths and at those chosen after training.

    Of several rates of SGD, that with the most seeds is named.

    Args:
        records: as :func:`predictions` takes them.

    >>> found({"gowalla": []})
    ''
    """
    lines = []
    for dataset, runs in records.items():
        table = lengths.by_training(runs)
        best = {name: table.xs(name, level="trained with")["ndcg"].max() for name in table.index.unique("trained with")}
        adam, prism = best.get("Adam, no decay"), best.get("PRISM")
        decayed = [score for name, score in best.items() if name.startswith("Adam, decay") and "d^b" not in name]
        if "plain SGD, no decay" not in best or adam is None or prism is None or not decayed:
            continue
        sgd = pd.DataFrame(table.xs("plain SGD, no decay", level="trained with")).sort_values("seeds").iloc[-1]
        lines.append(
            f"- **{dataset_name(dataset)}.** Plain SGD without decay has a test NDCG@20 of {sgd['ndcg']:.4f},"
            f" Adam without decay {adam:.4f}. Adam at its best decay here has {max(decayed):.4f},"
            f" and PRISM {prism:.4f}."
        )
        if not np.isnan(sgd["exponent"]):
            other = table.xs("PRISM", level="trained with").iloc[0]
            seeds = [plural(int(row["seeds"]), "seed") for row in (sgd, other)]
            lines[-1] += (
                f" With lengths $d^{{{sgd['exponent']:.2f}}}$ at scoring, which validation chose, the same training by"
                f" SGD has {sgd['ndcg with it']:.4f}. Its unpopular / popular ratio is then"
                f" {sgd['ratio with it']:.2f}, where PRISM's is {other['ratio']:.2f}"
                f" (SGD {seeds[0]}, PRISM {seeds[1]})."
            )
    return "\n".join(lines)


def other_losses(compared: Sequence[Compared]) -> pd.DataFrame:
    """Test NDCG@20 of plain SGD without decay beside Adam's ways, one row per dataset and loss of which it was run.

    Args:
        compared: the ways on a dataset, for a loss.

    Returns:
        Text, means over the seeds that were run, with their number in brackets. The last columns are of SGD. They have
        its score with the lengths that validation chooses, their exponent, and the slope of its own log lengths in log
        popularity.
    """
    rows = {}
    for each in compared:
        table = lengths.by_training(record for record in analysis.records(each.runs[SGD]) if record is not None)
        if table.empty:
            continue
        sgd, row = table.iloc[0], {}
        for way in (NONE, TUNED, PRISM, SGD):
            shown = each.shown(way)
            row[way] = f"{shown['ndcg'].mean():.4f} ({len(shown)})" if len(shown) else "not run"
            if each.setback(way):
                row[way] += f", {each.setback(way)}"
        kept = not np.isnan(sgd["exponent"])
        row["with $d^b$"] = f"{sgd['ndcg with it']:.4f}" if kept else ""
        row["b"] = f"{sgd['exponent']:.2f}" if kept else ""
        row["slope"] = f"{sgd['slope']:.2f}"
        rows[f"{LOSS_NAMES[each.loss]}, {dataset_name(each.dataset)}"] = row
    return pd.DataFrame.from_dict(rows, orient="index")
