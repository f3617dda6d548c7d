"""The rules on single runs: which of them decide anything, by how training ended and by what they are worth.

- :func:`cut_off`: a run that was cut off, or that stopped before it had begun to learn, decides nothing.
- :func:`started_by_chance`: a run that never left a start by chance is in a dip until it is repeated.
- :func:`never_learned`: a run that collapsed has no score that could be averaged.
- :func:`edges`: a value at the edge of what was searched is not tuned.
- :func:`takes_part`: a baseline that does not work takes no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from prismbook.runs.patience import LONG
from prismbook.runs.records import Record
from prismlib import datasets

#: A run that ends within so many epochs may not have begun to learn.
EARLY = 20
#: A start below so many times a random ranking's score is by chance.
BY_CHANCE = 5
#: A baseline that works keeps so much of BPR's NDCG@20.
KEPT = 0.9
#: Ranks that count.
_TOP = 20


def cut_off(stopped_by: str, epochs: int) -> bool:
    """Whether a run decides nothing: the limit of epochs ended it, or it ended within its first :data:`EARLY` epochs.

    Args:
        stopped_by: ``"patience"`` or ``"max_epochs"``.
        epochs: number of epochs trained.

    >>> cut_off("patience", 16), cut_off("patience", 31), cut_off("max_epochs", 1000)
    (True, False, True)
    """
    return stopped_by == "max_epochs" or epochs <= EARLY


def never_learned(best_epoch: int, stopped_by: str, largest_norm: float) -> bool:
    """Whether a run collapsed: early stopping found no epoch better than the start, or all item rows shrank to nothing.

    Args:
        best_epoch: the epoch with the highest validation score; 0 is the start.
        stopped_by: ``"patience"`` or ``"max_epochs"``.
        largest_norm: the largest mean item norm of a popularity bin.

    >>> never_learned(0, "patience", 0.98), never_learned(12, "patience", 1e-9), never_learned(12, "patience", 0.3)
    (True, True, False)
    """
    return (best_epoch == 0 and stopped_by == "patience") or largest_norm < 1e-3


def started_by_chance(best_epoch: int, stopped_by: str, patience: int, start: float, random: float) -> bool:
    """Whether a run may have been in a dip from its start on: its best epoch is the start, which is near chance.

    Such a run says nothing of the method before it is repeated. A start from PRISM's lengths on linear MF is far
    above chance; a run that never improves on that has collapsed, see :func:`never_learned`.

    Args:
        best_epoch: the epoch with the highest validation score; 0 is the start.
        stopped_by: ``"patience"`` or ``"max_epochs"``.
        patience: the patience of the run, in epochs. A run of enough patience is in no dip.
        start: the validation NDCG@20 at the start.
        random: what a random ranking scores, see :func:`random_ndcg`.

    >>> started_by_chance(0, "patience", 10, 0.001, 0.004), started_by_chance(0, "patience", 100, 0.001, 0.004)
    (True, False)
    """
    at_start = best_epoch == 0 and stopped_by == "patience" and patience < LONG
    return at_start and start < BY_CHANCE * random


def ended_by_chance(record: Record) -> bool:
    """Whether a stored run :func:`started_by_chance`.

    Args:
        record: of a run. A dataset without a card has no random score; on it no run is in such a dip.
    """
    start, patience = record["history"]["validation_dot"][0], record["config"].get("patience", 10)
    random = random_ndcg(record["config"]["dataset"])
    return started_by_chance(record["best_epoch"], record["stopped_by"], patience, start, random)


@lru_cache
def random_ndcg(dataset: str) -> float:
    """The NDCG@20 that a random ranking is expected to have in validation, by the sizes of a dataset.

    A tenth of the interactions is for validation. Each user is taken to have as many of them as the mean user.

    Args:
        dataset: name of the dataset; 0.0 is the answer for one that has no card.

    >>> f"{random_ndcg('movielens1m'):.4f}", random_ndcg("no such dataset")
    ('0.0049', 0.0)
    """
    try:
        card = datasets.identity_card(dataset)
    except ValueError:
        return 0.0
    each = 0.1 * card.interactions / card.users
    candidates = max(card.items - 0.8 * card.interactions / card.users, 1.0)
    gains = 1 / np.log2(np.arange(2, _TOP + 2))
    return float(min(each / candidates, 1.0) * gains.sum() / gains[: max(1, round(min(each, _TOP)))].sum())


def edges(chosen: Mapping[str, float], searched: Mapping[str, Sequence[float]]) -> list[str]:
    """The chosen values that are at the edge of what was searched, as text.

    Nothing lies below 0. A chosen 0 is therefore no edge.

    Args:
        chosen: the chosen value of each parameter.
        searched: the values that were searched of each; of one with a single value nothing was searched.

    >>> edges({"weight_decay": 1e-4, "gamma": 1.0}, {"weight_decay": [0.0, 1e-6, 1e-4], "gamma": [0.5, 1.0, 2.0]})
    ['weight_decay 0.0001']
    """
    at_edge = []
    for name, values in searched.items():
        value, distinct = chosen[name], sorted(set(values))
        if len(distinct) > 1 and (value == distinct[-1] or (value == distinct[0] and value != 0)):
            at_edge.append(f"{name} {value:g}")
    return at_edge


def takes_part(ndcg: float, ratio: float, bpr_ndcg: float, bpr_ratio: float) -> bool:
    """Whether a debiasing baseline works: it keeps 90 % of BPR's NDCG@20, and has BPR's ratio or a better one.

    Args:
        ndcg: the baseline's NDCG@20.
        ratio: its unpopular / popular ratio.
        bpr_ndcg: BPR's NDCG@20.
        bpr_ratio: BPR's ratio.

    >>> takes_part(0.23, 0.10, 0.25, 0.09), takes_part(0.17, 0.20, 0.25, 0.09), takes_part(0.25, 0.02, 0.25, 0.09)
    (True, False, False)
    """
    return ndcg >= KEPT * bpr_ndcg and ratio >= bpr_ratio
