"""Runs beside their twins: the same configuration and seed, with one switch changed, or the whole protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prismbook.plan.config import PROTOCOLS, RunConfig
from prismbook.runs.records import default_results, load_record, load_scores, stored_path
from prismbook.tables.labels import LOSS_NAMES, trained
from prismbook.tables.significance import PerUser, paired_bootstrap, per_user


def beside(pairs: Iterable[tuple[RunConfig, RunConfig]], results: Path | str | None = None) -> list[dict[str, str]]:
    """One row a pair: test NDCG@20 and best epoch of a run as in the paper and with a change, and what the change does.

    The difference has its 95 % interval over test users (paired bootstrap) where both runs kept each user's scores; a
    user whom the released code leaves out is left out of it. What is not run says so.

    Args:
        pairs: each a configuration of the paper's protocol, and the same with a change.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> from prismbook.plan.experiments import twin_pairs
    >>> [row] = beside(twin_pairs("patience", "gowalla")[:1], "no folder")
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
    row["difference"] = difference(plain, changed, folder)
    return row


def prism_minus_decay(
    decay: tuple[RunConfig, RunConfig], prism: tuple[RunConfig, RunConfig], results: Path | str | None = None
) -> dict[str, str]:
    """Two pairs of :func:`beside` read the other way: PRISM minus decay, as in the paper and with the change.

    >>> from prismbook.plan.experiments import twin_pairs
    >>> prism_minus_decay(*twin_pairs("patience", "gowalla")[1:3], "no folder")["PRISM - decay, with it"]
    'not run'
    """
    apart = [difference(*same, results) or "not run" for same in zip(decay, prism, strict=True)]
    names = {"loss": LOSS_NAMES[decay[0].loss], "with": _change(*decay)}
    return names | {"PRISM - decay, as in the paper": apart[0], "PRISM - decay, with it": apart[1]}


def difference(first: RunConfig, second: RunConfig, results: Path | str | None = None) -> str:
    """Test NDCG@20 of the second run minus that of the first, with its interval; empty where users were not kept.

    It says where one of them was trained on a CPU and the other on a GPU.

    >>> from prismbook.plan.experiments import twin_pairs
    >>> difference(*twin_pairs("patience", "gowalla")[0], "no folder")
    ''
    """
    folder = default_results() if results is None else Path(results)
    paths = [stored_path(folder, config) for config in (first, second)]
    scores = [per_user(own) for own in map(load_scores, paths) if own is not None]
    if len(scores) < 2:
        return ""
    old, new = scores
    change = paired_bootstrap([_of(new, old[0])], [_of(old, new[0])], np.random.default_rng(0))
    devices = {record["config"]["device"] for record in map(load_record, paths) if record is not None}
    return f"{change.difference:+.4f} [{change.low:+.4f}, {change.high:+.4f}]" + ", across devices" * (len(devices) > 1)


def _of(scores: PerUser, users: npt.NDArray[np.integer]) -> PerUser:
    """The scores of those who are among ``users``."""
    kept = np.isin(scores[0], users)
    return scores[0][kept], scores[1][kept]


def _change(plain: RunConfig, changed: RunConfig) -> str:
    names = [own.name for own in fields(RunConfig) if getattr(plain, own.name) != getattr(changed, own.name)]
    change = {name: getattr(changed, name) for name in names}
    if change == PROTOCOLS["released"]:
        return "the released protocol"
    return ", ".join(f"{name} {value}" for name, value in change.items())
