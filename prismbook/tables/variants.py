"""Runs and their variants: the same configuration and seed with one switch changed, or with the released protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prismbook.plan.config import PROTOCOLS, RunConfig
from prismbook.runs.records import default_results, load_record, load_scores, stored_path
from prismbook.tables.endings import cut_off
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, cell, dataset_name, trained
from prismbook.tables.paper import table1
from prismbook.tables.significance import Comparison, PerUser, compared_users, per_user


def beside(pairs: Iterable[tuple[RunConfig, RunConfig]], results: Path | str | None = None) -> list[dict[str, str]]:
    """One row per pair: test NDCG@20 and best epoch of a run and of its variant, and their difference.

    The difference has its 95 % interval over test users where the scores of each user were kept for
    both runs. Users whom the released code leaves out are left out of the difference too. A run without a record is
    shown as not run.

    Args:
        pairs: each a configuration of the paper's protocol, and the same configuration with a change.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> from prismbook.plan.experiments import protocol_pairs
    >>> [row] = beside(protocol_pairs("patience", "gowalla")[:1], "no folder")
    >>> row["trained"], row["with"], row["with it"]
    ('BPR, PRISM', 'patience 100', 'not run')
    """
    folder = default_results() if results is None else Path(results)
    return [_row(plain, changed, folder) for plain, changed in pairs]


def _row(plain: RunConfig, changed: RunConfig, folder: Path) -> dict[str, str]:
    row = {"trained": trained(plain), "with": _change(plain, changed)}
    for config, title in ((plain, "as in the paper"), (changed, "with it")):
        record = load_record(stored_path(folder, config))
        row[title] = "not run" if record is None else f"{record['test']['dot']['ndcg']:.4f}"
        row[f"best epoch, {title}"] = "" if record is None else str(record["best_epoch"])
    row["difference"] = difference_text(plain, changed, folder)
    return row


def levels(pairs: Iterable[tuple[RunConfig, RunConfig]], results: Path | str | None = None) -> list[dict[str, str]]:
    """One row per pair of runs on two datasets: test NDCG@20 of each, with its share of the paper's Table 1, and that.

    The datasets have other users and other test pairs, so that there is no difference with an interval.

    Args:
        pairs: each a configuration on a dataset of the paper, and the same configuration on another dataset.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> from prismbook.plan.experiments import all_ratings_pairs
    >>> levels(all_ratings_pairs()[:1], "no folder")[0]["MovieLens1M (all ratings)"]
    'not run'
    """
    folder, printed = default_results() if results is None else Path(results), table1()
    rows = []
    for pair in pairs:
        names = (BACKBONE_NAMES[pair[0].backbone], LOSS_NAMES[pair[0].loss], dataset_name(pair[0].dataset))
        method = "prism" if pair[0].init == "prism" else "decay"
        paper = float(printed[method].loc[[names]].iloc[0]) if names in printed.index else None
        row = {"trained": trained(pair[0])}
        for config in pair:
            record = load_record(stored_path(folder, config))
            score = None if record is None else record["test"]["dot"]["ndcg"]
            share = "" if score is None or paper is None else f" ({100 * score / paper:.0f} %)"
            row[dataset_name(config.dataset)] = cell(score, ".4f") + share
        rows.append(row | {"Table 1": "" if paper is None else f"{paper:.4f}"})
    return rows


def prism_minus_decay(
    decay: tuple[RunConfig, RunConfig], prism: tuple[RunConfig, RunConfig], results: Path | str | None = None
) -> dict[str, str]:
    """PRISM minus decay, under the paper's protocol and with a change: two pairs of :func:`beside` as one row.

    Args:
        decay: a run with decay, and its variant.
        prism: a run with PRISM, and its variant with the same change.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> from prismbook.plan.experiments import protocol_pairs
    >>> prism_minus_decay(*protocol_pairs("patience", "gowalla")[1:3], "no folder")["PRISM - decay, with it"]
    'not run'
    """
    plain, changed = (difference_text(*configs, results) or "not run" for configs in zip(decay, prism, strict=True))
    names = {"loss": LOSS_NAMES[decay[0].loss], "with": _change(*decay)}
    return names | {"PRISM - decay, as in the paper": plain, "PRISM - decay, with it": changed}


def difference_text(first: RunConfig, second: RunConfig, results: Path | str | None = None) -> str:
    """Test NDCG@20 of the second run minus the NDCG@20 of the first, with its 95 % interval over test users.

    The text says so where one run was trained on a CPU and the other on a GPU, and where a run was cut off.

    Args:
        first: configuration of the run that is subtracted.
        second: configuration of the run from which it is subtracted.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    Returns:
        Empty text where a run or its users' scores are not stored.

    >>> from prismbook.plan.experiments import protocol_pairs
    >>> difference_text(*protocol_pairs("patience", "gowalla")[0], "no folder")
    ''
    """
    folder = default_results() if results is None else Path(results)
    change = comparison([second], [first], folder)
    if change is None:
        return ""
    text = f"{change.mean:+.4f} [{change.low:+.4f}, {change.high:+.4f}]"
    records = [load_record(stored_path(folder, config)) for config in (first, second)]
    devices = {record["config"]["device"] for record in records if record is not None}
    text = text if len(devices) == 1 else f"{text}, across devices"
    ended = [cut_off(record["stopped_by"], len(record["history"]["loss"])) for record in records if record is not None]
    return f"{text}, cut off" if any(ended) else text


def comparison(first: Sequence[RunConfig], second: Sequence[RunConfig], results: Path) -> Comparison | None:
    """Test NDCG@20 of one setting minus the NDCG@20 of another, whether or not runs were cut off.

    Users whom one of two runs leaves out, as the released code does, are left out of their comparison.

    Args:
        first: configurations of the first setting, one per seed.
        second: the runs of the second, which is subtracted, at the same seeds. A seed at which a run or its users'
            scores are not stored is left out.
        results: folder of the records.

    Returns:
        None where no seed is left.
    """
    stored = []
    for pair in zip(first, second, strict=True):
        paths = [stored_path(results, config) for config in pair]
        scores = [load_scores(path) for path in paths]
        ours, theirs = (None if users is None else per_user(users) for users in scores)
        if ours is not None and theirs is not None:
            stored.append((_among(ours, theirs[0]), _among(theirs, ours[0])))
    if not stored:
        return None
    our_scores, their_scores = zip(*stored, strict=True)
    return compared_users(our_scores, their_scores)


def _among(scores: PerUser, users: npt.NDArray[np.integer]) -> PerUser:
    """The scores of those users who are among ``users``."""
    kept = np.isin(scores[0], users)
    return scores[0][kept], scores[1][kept]


def _change(plain: RunConfig, changed: RunConfig) -> str:
    """The fields in which two configurations differ, with the values of the second."""
    names = [field.name for field in fields(RunConfig) if getattr(plain, field.name) != getattr(changed, field.name)]
    change = {name: getattr(changed, name) for name in names}
    if change == PROTOCOLS["released"]:
        return "the released protocol"
    return ", ".join(f"{name} {value}" for name, value in change.items())
