"""The claims that come with a number: the paper's relative change, and ours with its interval.

The paper gives a number for C8 to C12. Each is a change from tuned weight decay to PRISM, as a share of tuned decay's
value, so that all fit on one axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismbook.claims.evidence import LEARNING_RATES, at_chosen_rate, benefit_runs
from prismbook.claims.prism_claims import FEWER_EPOCHS, LARGER_RATIO, PROTOCOL_CASES, fastest_comparable, tried_runs
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import default_results
from prismbook.tables import decay_vs_prism
from prismbook.tables.analysis import best, seed_by_seed
from prismbook.tables.decay_vs_prism import Pair
from prismbook.tables.labels import LOSS_NAMES
from prismbook.tables.rules import WIDTH, Difference
from prismbook.tables.seed_differences import relative_difference

#: What changes, by claim.
CHANGES = {
    "C8": "NDCG@20 on MF",
    "C9": "NDCG@20 on non-linear MF, DirectAU and MAWU",
    "C10": "NDCG@20 on non-linear MF, SSM",
    "C11": "epochs to the best one, DirectAU",
    "C12": "unpopular / popular ratio, DirectAU",
}
#: The backbone and the losses of the claims on Table 1.
_TABLE1 = {
    "C8": ("mf", ("ssm", "directau", "mawu")),
    "C9": ("nonlinear-mf", ("directau", "mawu")),
    "C10": ("nonlinear-mf", ("ssm",)),
}


@dataclass(frozen=True)
class Magnitude:
    """A relative change from tuned weight decay to PRISM: the paper's, and ours.

    Attributes:
        claim: the claim's name, e.g. ``"C8"``.
        dataset: name of the dataset.
        case: the protocol or the setting, as the ledger names it; empty where there is one alone.
        losses: the losses that ours is about, where they are not all that the claim is about; else empty.
        paper: the paper's change. For C8 to C10 it is the change of the same losses on the same dataset, from the cells
            of its Table 1. For C11 and C12 it is its mean over datasets.
        ours: the mean change measured here.
        low: lower end of its 95 % interval over users and seeds; equal to ``high`` where there is no interval.
        high: upper end.
        seeds: number of seeds, the smallest over the losses.
    """

    claim: str
    dataset: str
    case: str
    losses: tuple[str, ...]
    paper: float
    ours: float
    low: float
    high: float
    seeds: int


def magnitudes(results: Path | str | None = None) -> list[Magnitude]:
    """Every claim with a number, on every dataset on which runs decide it.

    Args:
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> magnitudes("no folder")
    []
    """
    folder = default_results() if results is None else Path(results)
    names = [dataset for dataset in PAPER_DATASETS if (folder / dataset).is_dir()]
    parts: list[Callable[[str, Path], list[Magnitude]]] = [_of_table1, _of_epochs, _of_ratio]
    rows = [row for part in parts for dataset in names for row in part(dataset, folder)]
    return sorted(rows, key=lambda row: list(CHANGES).index(row.claim))


def _of_table1(dataset: str, results: Path) -> list[Magnitude]:
    rows = []
    released = decay_vs_prism.released_pairs(dataset, results)
    for claim, (backbone, losses) in _TABLE1.items():
        pairs = [decay_vs_prism.pair(dataset, backbone, loss, results) for loss in losses]
        if backbone == "nonlinear-mf":
            pairs += [pair for pair in released if pair.loss in losses]
        for protocol, case in PROTOCOL_CASES.items():
            concerned = [pair for pair in pairs if pair.protocol == protocol]
            rows += mean_change(claim, case, concerned, len(losses))
    return rows


def mean_change(claim: str, case: str, pairs: list[Pair], count: int) -> list[Magnitude]:
    """The mean change over the pairs that decide something, beside the paper's of the same pairs; empty for none.

    Changes that point different ways have no mean: then there is a row for each pair.

    Args:
        claim: the claim's name.
        case: the protocol, as the ledger names it.
        pairs: the pairs of one dataset.
        count: number of losses that the claim is about.
    """
    decided = [(pair, pair.relative_difference(), pair.paper()) for pair in pairs if pair.decides()]
    known = [(pair, change, paper) for pair, change, paper in decided if change is not None and paper is not None]
    if not known:
        return []
    if len({change.mean > 0 for _, change, _ in known}) > 1:
        return [row for pair, _, _ in known for row in mean_change(claim, case, [pair], count)]
    error = float(np.sqrt(sum(change.standard_error**2 for _, change, _ in known))) / len(known)
    ours = float(np.mean([change.mean for _, change, _ in known]))
    return [
        Magnitude(
            claim,
            known[0][0].dataset,
            case,
            tuple(LOSS_NAMES[pair.loss] for pair, _, _ in known) if len(known) < count else (),
            float(np.mean([paper for _, _, paper in known])),
            ours,
            ours - WIDTH * error,
            ours + WIDTH * error,
            min(len(change.by_seed) for _, change, _ in known),
        )
    ]


def _of_epochs(dataset: str, results: Path) -> list[Magnitude]:
    tuned, _ = at_chosen_rate({rate: benefit_runs(dataset, results, rate) for rate in LEARNING_RATES})
    prism, decay = tried_runs(tuned)
    fastest = None if prism.empty or decay.empty else fastest_comparable(prism, decay)
    if fastest is None:
        return []
    ours, theirs = seed_by_seed(tuned, fastest, best(decay))
    difference = relative_difference(ours.reset_index(), theirs.reset_index(), "best_epoch")
    return _row("C11", dataset, FEWER_EPOCHS, difference)


def _of_ratio(dataset: str, results: Path) -> list[Magnitude]:
    pair = chosen_pair(benefit_runs(dataset, results))
    difference = None if pair is None else relative_difference(*pair, "ratio")
    return _row("C12", dataset, LARGER_RATIO, difference)


def _row(claim: str, dataset: str, paper: float, difference: Difference | None) -> list[Magnitude]:
    if difference is None:
        return []
    return [Magnitude(claim, dataset, "", (), paper, difference.mean, *difference.interval, len(difference.by_seed))]


def chosen_pair(runs: pd.DataFrame) -> tuple[Any, Any] | None:
    """PRISM and tuned decay as validation chooses them at the first seed, seed by seed; None where one is not run.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.measured`.
    """
    prism, decay = tried_runs(runs)
    if prism.empty or decay.empty:
        return None
    ours, theirs = seed_by_seed(runs, best(prism), best(decay))
    return ours.reset_index(), theirs.reset_index()
