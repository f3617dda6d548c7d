"""What the page of RQ2 shows: a few decays per loss, correlations, shapes of lengths, and their part in a ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from prismbook.claims.decay_claims import moderate_decay
from prismbook.pages.rq1_tables import chosen
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import Record, load_record
from prismbook.tables.analysis import measured, records
from prismbook.tables.labels import LOSS_NAMES, cell, dataset_name
from prismbook.tables.law import LEAST
from prismbook.tables.seed_differences import collapsed_runs, usable
from prismbook.tables.ways import SGD_RATE
from prismbook.text import listed_names


def some_decays(runs: pd.DataFrame) -> dict[str, dict[str, Record]]:
    """For each loss the records without decay, with the decay that validation chooses, and with the strongest.

    The decay at which the claim is judged is among them too, where it is none of these.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`, one seed.

    Returns:
        Records by loss and by the setting's name. What was not run is left out; several settings may be one decay,
        which is then named once.
    """
    picked, moderate, found = chosen(runs), moderate_decay(runs), {}
    groups = runs[runs["run"].notna()].groupby("loss", sort=False)
    for loss, group in sorted(groups, key=lambda pair: pair[0] == "BPR"):  # a narrow screen shows the first alone
        paths = group.set_index("weight_decay")["path"]
        best = picked.get(str(loss))
        named = {moderate: "moderate", max(paths.index): "strongest", best: "chosen", 0.0: "no decay"}
        found[str(loss)] = {
            named[decay] if decay == 0 else f"λ = {decay:g}, {named[decay]}": _record(paths[decay])
            for decay in sorted(set(named) & set(paths.index))
        }
    return found


def _record(path: object) -> Record:
    record = load_record(path)  # type: ignore[arg-type]
    assert record is not None
    return record


def correlations(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The correlation of item length with log popularity: a row per dataset and loss, a column per decay.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured` for each dataset, by its name, one seed.
    """
    gone = {name for table in runs.values() for name in collapsed_runs(table)["run"]}
    whole = {name for table in runs.values() for name in usable(table)["run"]}

    def said(run: pd.Series) -> str:
        correlation = cell(run["norm_correlation"], ".2f")
        return "collapsed" if run["run"] in gone else correlation if run["run"] in whole else f"{correlation}, cut off"

    return _by_decay(runs, said)


def growth(runs: Mapping[str, pd.DataFrame], results: Path) -> pd.DataFrame:
    """By which factor lengths grow from rare items to popular ones, and what two shapes say of it.

    Rare are items of the first class that the law of lengths is about. Popular are those of the last class.

    Args:
        runs: as in :func:`correlations`.
        results: folder of the records, for PRISM's runs.

    Returns:
        A row per dataset and loss of angles, at the moderate decay. It has the factor that was measured, and that of
        the law, ``d^(1/6)``; then the factor that PRISM sets, that of ``log(d + 2)``, and what training leaves of it
        at alpha 1 without decay, not a number where that was not run at the first seed.
    """
    rows = []
    for dataset, table in runs.items():
        moderate = moderate_decay(table)
        shown = table[(table["weight_decay"] == moderate) & table["run"].notna() & (table["loss"] != "BPR")]
        for loss, path in zip(shown["loss"], shown["path"], strict=True):
            bins = [part for part in _record(path)["norms"]["item"]["bins"] if part["from"] >= LEAST]
            if len(bins) > 1 and bins[0]["mean"] > 0:
                low, high = (np.sqrt(part["from"] * part["to"]) for part in (bins[0], bins[-1]))
                rows.append(
                    {
                        "dataset": dataset_name(dataset),
                        "loss": f"{loss}, decay {moderate:g}",
                        "measured": bins[-1]["mean"] / bins[0]["mean"],
                        "d^(1/6)": (high / low) ** (1 / 6),
                        "PRISM, set": np.log(high + 2) / np.log(low + 2),
                        "PRISM, trained": _trained_by_prism(dataset, str(loss), results),
                    }
                )
    columns = ["dataset", "loss", "measured", "d^(1/6)", "PRISM, set", "PRISM, trained"]
    return pd.DataFrame(rows, columns=columns).set_index(["dataset", "loss"])


def _trained_by_prism(dataset: str, loss: str, results: Path) -> float:
    """The factor of :func:`growth` in the run from PRISM's start, at its best epoch; NaN where it was not run."""
    if dataset == "synthetic":  # its runs are stored or not, by which notebooks were run before
        return float("nan")
    [name] = [each for each, shown in LOSS_NAMES.items() if shown == loss]
    [run] = records(measured(results, grid_configs(dataset, name, 0.0, init="prism", alpha=1.0)))
    bins = [] if run is None else [part for part in run["norms"]["item"]["bins"] if part["from"] >= LEAST]
    return float(bins[-1]["mean"] / bins[0]["mean"]) if len(bins) > 1 else float("nan")


def flattened(table: pd.DataFrame) -> str:
    """Whether PRISM's lengths are steeper than decay's when they are set, and when training ends, in sentences.

    Args:
        table: of :func:`growth`.
    """
    shown = table[table["PRISM, trained"].notna()]
    if shown.empty:
        return ""
    steeper = int((shown["PRISM, set"] > shown["measured"]).sum())
    places = [f"{dataset} ({loss})" for dataset, loss in shown.index]
    parts = [
        f"{trained:.1f} beside {measured:.1f} on {place}"
        for place, trained, measured in zip(places, shown["PRISM, trained"], shown["measured"], strict=True)
    ]
    return (
        f"What PRISM *sets* is steeper than what decay wrote in {steeper} of {len(shown)} of these cases."
        " Adam then adds about the same to every squared length, which flattens it. At the best epoch PRISM's factor"
        f" is {listed_names(parts)}."
    )


def alike(exponents: Iterable[float], most: int = 3000) -> tuple[list[float], float]:
    """How alike powers of popularity are to its logarithm, over popularities that are spread evenly on a log axis.

    Args:
        exponents: of the powers of d.
        most: the largest popularity; the smallest is 1.

    Returns:
        The correlation of each power with ``log(d + 2)``, and the mean slope of ``log(d + 2)`` on two log axes, which
        for a power is its exponent.

    >>> [round(r, 2) for r in alike([1 / 6, 1])[0]]
    [0.99, 0.78]
    """
    d = np.geomspace(1, most, 1000)
    profile = np.log(d + 2)
    slope = np.log(profile[-1] / profile[0]) / np.log(most)
    return [float(np.corrcoef(d**exponent, profile)[0, 1]) for exponent in exponents], float(slope)


def unmet(runs: Mapping[str, pd.DataFrame]) -> str:
    """How long items without an interaction are beside those that are met, under DirectAU without decay.

    Args:
        runs: as in :func:`correlations`.

    Returns:
        Why, and a sentence per dataset that has such items; empty where none has.
    """
    said = []
    for dataset, table in runs.items():
        there = table[(table["loss"] == "DirectAU") & (table["weight_decay"] == 0) & table["run"].notna()]
        for path in there["path"].iloc[:1]:
            bins = _record(path)["norms"]["item"]["bins"]
            met = [part for part in bins if part["from"] >= LEAST]
            if bins[0]["to"] == 0 and met:
                said.append(
                    f"On {dataset_name(dataset)} it has a length of {bins[0]['mean']:.2f} without decay, and items"
                    f" with {met[0]['from']} to {met[0]['to']} interactions have {met[0]['mean']:.2f}."
                    " From these to the most popular ones lengths change by"
                    f" {met[-1]['mean'] / met[0]['mean'] - 1:+.0%}."
                )
    why = "Without an interaction an item is in no batch of DirectAU and keeps its starting length."
    return " ".join([why, *said]) if said else ""


def which_way(runs: Mapping[str, pd.DataFrame]) -> str:
    """On which datasets BPR without decay makes rare items longer than popular ones, by the sign of the correlation.

    Args:
        runs: as in :func:`correlations`.
    """
    rare: list[str] = []
    popular: list[str] = []
    for dataset, table in runs.items():
        there = table[(table["loss"] == "BPR") & (table["weight_decay"] == 0) & table["norm_correlation"].notna()]
        for value in there["norm_correlation"].iloc[:1]:
            (rare if value < 0 else popular).append(f"{dataset_name(dataset)} ({value:.2f})")
    said = []
    if rare:
        alone = ", and there alone," if popular else ""
        said.append(f"On {listed_names(rare)}{alone} BPR without decay makes rare items longer than popular ones.")
    if popular:
        said.append(f"On {listed_names(popular)} {'popular ones are' if rare else 'BPR makes popular items'} longer.")
    if said:
        said.append("In brackets is the correlation of length with log popularity, at one seed.")
    return " ".join(said)


def rarest(datasets: Iterable[str], results: Path) -> str:
    """How long BPR's rarest items are beside the most popular ones, under Adam and under plain SGD, without decay.

    Args:
        datasets: their names. One without a run by plain SGD is left out.
        results: folder of the records.

    Returns:
        A sentence per dataset; empty where no run by plain SGD is stored.

    >>> rarest(["gowalla"], Path("no folder"))
    ''
    """
    said = []
    for dataset in datasets:
        planned = [
            grid_configs(dataset, "bpr", 0.0)[0],
            grid_configs(dataset, "bpr", 0.0, optimizer="sgd", lr=SGD_RATE)[0],
        ]
        found = [record for record in records(measured(results, planned)) if record is not None]
        if len(found) == len(planned):
            adam, sgd = (
                bins[0]["mean"] / bins[-1]["mean"] for bins in (each["norms"]["item"]["bins"] for each in found)
            )
            said.append(
                f"On {dataset_name(dataset)} without decay the rarest class of items has {adam:.1f} times the length of"
                f" the most popular one under Adam, and {sgd:.1f} times under plain SGD."
            )
    return " ".join(said)


def by_cosine(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Test NDCG@20 by dot product and by cosine: a row per dataset and loss, a column per decay.

    Args:
        runs: as in :func:`correlations`.
    """
    return _by_decay(runs, lambda run: f"{cell(run['ndcg'])} → {cell(run['cosine'])}")


def _by_decay(runs: Mapping[str, pd.DataFrame], shown: Callable[[pd.Series], str]) -> pd.DataFrame:
    parts = []
    for dataset, table in runs.items():
        text = pd.Series({place: shown(run) if pd.notna(run["run"]) else "not run" for place, run in table.iterrows()})
        columns = table[["loss", "weight_decay"]].assign(dataset=dataset_name(dataset), text=text)
        parts.append(columns.pivot(index=["dataset", "loss"], columns="weight_decay", values="text"))
    joined = pd.concat(parts)
    ordered = joined.reindex(columns=sorted(joined.columns)).fillna("not run")
    return ordered.rename(columns="{:g}".format).rename_axis(columns="weight decay")
