"""What a split fixes of every run on it: its test users, how many items each is tested on, the sizes of the bins.

It is known from the data where they are at hand, and else from the other records of the split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from prismbook.plan.config import RunConfig
from prismbook.runs.records import Record, RecordError, load_record, load_scores
from prismbook.runs.soundness import NEAR, RANKINGS, not_whole
from prismlib import datasets
from prismlib.data import random_split
from prismlib.metrics import GROUPS, dcg_discount
from prismlib.norms import norm_summary

Scores = Mapping[str, npt.NDArray[Any]]
#: The share of users whose score may tell another number of held-out items than they have. A score of several hits can
#: look like one of a single hit, but seldom.
MISTAKEN = 0.05


def against_scores(record: Record, scores: Scores) -> str | None:
    """How a record and the scores of its test users contradict each other, as one sentence; None where they do not."""
    config, users = RunConfig(**record["config"]), scores["user"]
    count, all_users = len(users), sum(one["rows"] for one in record["norms"]["user"]["bins"])
    if users[-1] >= all_users:
        return f"it has user {users[-1]}, {config.dataset} has users in [0, {all_users})"
    for ranking in (ranking for ranking in RANKINGS if ranking in scores):
        parts, report = scores[ranking], record.get("report", {}).get(ranking, {})
        if not (parts >= 0).all() or not (_total(parts) <= 1 + NEAR).all():  # nor where one is NaN
            return f"it has scores by {ranking} outside [0, 1]"
        means, reported = parts.mean(0, dtype=np.float64), [record["test"][ranking][name] for name in GROUPS]
        if not np.allclose(means, reported, rtol=0, atol=NEAR):
            return f"the parts by {ranking} are {means}, its record says {reported}"
        for k, cut in report.items():
            if any(not_whole(rate * count, count) for rate in cut["hit_rate"]):
                return f"it has {count} users, of whom the hit rate@{k} {cut['hit_rate']} is no whole number"
        hits = float((_total(parts) > 0).mean())
        if "20" in report and abs(report["20"]["hit_rate"][0] - hits) > NEAR:
            return f"the hit rate@20 by {ranking} is {hits:.7f}, its record says {report['20']['hit_rate'][0]}"
    return None


def against_lengths(record: Record, path: Path) -> str | None:
    """How a record and what is kept of its lengths contradict each other, as one sentence; None where they do not.

    The path is of its ``.npz``, which :func:`prismbook.runs.records.load_scores` has read. Early ones have no lengths.
    """
    with np.load(path, allow_pickle=False) as arrays:
        kept = {name: arrays[name] for name in ("with_lengths", "user_norm", "item_norm") if name in arrays.files}
        users = len(arrays["user"])
    if "lengths" in record:
        lengths, parts = record["lengths"], kept.get("with_lengths")
        if parts is None or parts.shape != (users, 3):
            return f"with_lengths must have shape ({users}, 3), got {None if parts is None else parts.shape}"
        chosen = lengths["test"][lengths["exponents"].index(lengths["chosen"])]
        means, reported = parts.mean(0, dtype=np.float64), [chosen[name] for name in GROUPS]
        if not np.allclose(means, reported, rtol=0, atol=NEAR):
            return f"the parts with lengths are {means}, its record says {reported}"
    for table, norms in record["norms"].items():
        rows, bins = kept.get(f"{table}_norm"), norms["bins"]
        if rows is None:
            continue
        count = sum(one["rows"] for one in bins)
        if rows.shape != (count,):
            return f"{table}_norm must have shape ({count},), got {rows.shape}"
        mean = sum(one["rows"] * one["mean"] for one in bins) / count
        if not np.isclose(rows.mean(dtype=np.float64), mean, rtol=1e-3, atol=NEAR):  # kept in half precision
            return f"{table}_norm has the mean {rows.mean(dtype=np.float64):.4g}, its record's bins have {mean:.4g}"
    return None


@cache
def _one_hit() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The NDCG@20 of one hit at each rank among each number of held-out items, ascending, and that number.

    Values that two numbers of held-out items share are left out.
    """
    discount = dcg_discount(20).double().numpy()
    value = (discount[:, None] / discount.cumsum()[None, :]).ravel()
    number = np.broadcast_to(np.arange(1, 21), (20, 20)).ravel()
    order = np.argsort(value)
    value, number = value[order], number[order]
    apart = np.diff(value) > 4 * NEAR
    alone = np.concatenate([[True], apart]) & np.concatenate([apart, [True]])
    return value[alone], number[alone]


def told_by(parts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How many held-out items each user has, as far as one score tells: int64, ``(users,)``, 20 for more, 0 where not.

    The score of a list with one hit is one of 400 values, by the hit's rank and by the number of held-out items.

    Args:
        parts: the parts of NDCG@20 by popularity group, ``(users, 3)``.

    >>> told_by(np.array([[0.0, 0.6309298, 0.0], [0.3, 0.1, 0.0]])).tolist()  # one hit at rank 2 of one held-out item
    [1, 0]
    """
    value, number = _one_hit()
    total = _total(np.asarray(parts, np.float64))
    place = np.searchsorted(value, total).clip(1, len(value) - 1)
    place -= total - value[place - 1] < value[place] - total
    is_one = (np.abs(value[place] - total) < NEAR / 2) & (_total((np.asarray(parts) > 0).astype(np.int8)) == 1)
    return np.where(is_one, number[place], 0)


def _total(parts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The sum of three columns, faster than NumPy's of short rows."""
    popular, neutral, unpopular = parts.T
    return popular + neutral + unpopular


@dataclass(frozen=True)
class Facts:
    """What a split fixes of every run on it.

    Attributes:
        source: where it is known from, in words.
        split_hash: the split's hash.
        users: the users with test items, ascending.
        held_out: how many test items each of them has, 20 for more, 0 where that is not known.
        rows: how many rows of each table have how many training interactions, as a record's bins say it.
    """

    source: str
    split_hash: str
    users: npt.NDArray[np.integer]
    held_out: npt.NDArray[np.int64]
    rows: dict[str, list[tuple[int, int, int]]]


def against_facts(record: Record, scores: Scores | None, facts: Facts) -> str | None:
    """How a record, or the scores of its users, contradict their split, as one sentence; None where they do not."""
    if record["data"]["split_hash"] != facts.split_hash:
        return (
            f"its split_hash is {record['data']['split_hash'][:12]}..., {facts.source} say {facts.split_hash[:12]}..."
        )
    if _rows(record) != facts.rows:
        return f"the rows in its bins of norms are not those of {facts.source}"
    if scores is None:
        return None
    if not np.array_equal(scores["user"], facts.users):
        return f"its {len(scores['user'])} users are not the {len(facts.users)} of {facts.source}"
    told = np.concatenate([told_by(scores[ranking]) for ranking in RANKINGS if ranking in scores])
    known = np.resize(facts.held_out, len(told))
    both = (told > 0) & (known > 0)
    if both.any() and (wrong := float((told != known)[both].mean())) > MISTAKEN:
        return (
            f"{wrong:.0%} of the users whose scores tell how many test items they have, have others by {facts.source}"
        )
    return None


def _rows(record: Record) -> dict[str, list[tuple[int, int, int]]]:
    return {
        table: [(one["from"], one["to"], one["rows"]) for one in norms["bins"]]
        for table, norms in record["norms"].items()
    }


@lru_cache(maxsize=64)
def facts_of_data(dataset: str, content_hash: str, seed: int, drop_last_user: bool) -> Facts | None:
    """What the random split of a dataset fixes; None where the dataset's files are not at hand. Nothing is downloaded.

    It is None too where the files have another content hash. The released code leaves the last user out.
    """
    try:
        data = datasets.load(dataset, download=False)
    except (FileNotFoundError, ModuleNotFoundError):
        return None
    if data.content_hash != content_hash:
        return None
    split = random_split(data, seed)
    users, count = np.unique(split.test.user, return_counts=True)
    kept = slice(0, -1 if drop_last_user else None)
    norms = {
        table: norm_summary(torch.ones(len(popularity), 1), torch.from_numpy(popularity))
        for table, popularity in (("user", split.user_popularity), ("item", split.item_popularity))
    }
    rows = _rows({"norms": norms})
    return Facts(f"the data of {dataset}", split.split_hash, users[kept], count[kept].clip(max=20), rows)


class Peers:
    """The records of some folders, of which the records of one split are compared with each other.

    Args:
        folders: folders of records. A record that is in several of them, with the same scores, counts once.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._facts: dict[tuple[object, ...], Facts | None] = {}

    @cached_property
    def _paths(self) -> dict[tuple[object, ...], list[Path]]:
        """The records by their split."""
        paths: dict[tuple[object, ...], list[Path]] = {}
        seen: set[tuple[str, bytes]] = set()
        for path in (path for folder in self._folders for path in sorted(folder.glob("*/*.json"))):
            try:
                record = load_record(path)
                content = path.with_suffix(".npz").read_bytes()
            except (RecordError, OSError):
                continue
            if record is not None and (path.name, content) not in seen:
                seen.add((path.name, content))
                paths.setdefault(_split_key(record), []).append(path)
        return paths

    def facts(self, record: Record) -> Facts | None:
        """What most records of a record's split say that the split fixes; None where there are fewer than two."""
        key = _split_key(record)
        if key not in self._facts:
            self._facts[key] = _agreed(self._paths.get(key, []))
        return self._facts[key]


def _split_key(record: Record) -> tuple[object, ...]:
    config, data = RunConfig(**record["config"]), record["data"]
    split_of_your_own = data["split_hash"] if "split" in data else None
    return config.dataset, data["content_hash"], config.split_seed, split_of_your_own, config.drop_last_user


def _agreed(paths: Iterable[Path]) -> Facts | None:
    """What most of some records of one split say."""
    known: list[tuple[Record, Scores]] = []
    for path in paths:
        try:
            record, scores = load_record(path), load_scores(path)
        except RecordError:
            continue
        if record is not None and scores is not None:
            known.append((record, scores))
    if len(known) < 2:
        return None
    hashes = Counter(record["data"]["split_hash"] for record, _ in known)
    rows = Counter(repr(_rows(record)) for record, _ in known)
    lists = Counter(scores["user"].tobytes() for _, scores in known)
    usual_rows, usual_users = rows.most_common(1)[0][0], lists.most_common(1)[0][0]
    users = next(scores["user"] for _, scores in known if scores["user"].tobytes() == usual_users)
    votes = np.zeros((21, len(users)), np.int32)
    for _, stored in known:
        if np.array_equal(stored["user"], users):
            for ranking in RANKINGS:
                if ranking in stored:
                    votes[told_by(stored[ranking]), np.arange(len(users))] += 1
    votes[0] = 0
    return Facts(
        "most records of its split",
        hashes.most_common(1)[0][0],
        users,
        votes.argmax(0),
        next(_rows(record) for record, _ in known if repr(_rows(record)) == usual_rows),
    )
