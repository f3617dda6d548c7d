"""The claims that come with a number: the paper's relative change, and ours with its interval.

The paper gives a number for C8 to C12. Each is a change from tuned weight decay to PRISM, as a share of tuned decay's
value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.claims.evidence import LEARNING_RATES, at_chosen_rate, benefit_runs
from prismbook.claims.prism_claims import (
    FEWER_EPOCHS,
    FEWER_EPOCHS_ON,
    LARGER_RATIO,
    PROTOCOL_CASES,
    comparable_strengths,
    tried_runs,
    with_fewest_epochs,
)
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import default_results
from prismbook.tables import decay_vs_prism
from prismbook.tables.analysis import best, seed_by_seed
from prismbook.tables.decay_vs_prism import Pair
from prismbook.tables.labels import LOSS_NAMES
from prismbook.tables.rules import Difference
from prismbook.tables.seed_differences import relative_difference

#: What the paper claims of the change to PRISM, in a few words.
CHANGES = {
    "C8": "on MF a change like that of Table 1",
    "C9": "better on non-linear MF",
    "C10": "worse on non-linear MF",
    "C11": "fewer epochs to the best one",
    "C12": "fairer, and as good",
}
#: The claims of each panel of the figure, which are NDCG@20 on linear and on non-linear MF, epochs, and fairness.
PANELS = {"linear": ("C8",), "nonlinear": ("C9", "C10"), "epochs": ("C11",), "fairness": ("C12",)}
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
        loss: the loss that is trained.
        paper: the paper's change. For C8 to C10 it is the change of the same loss on the same dataset, from the cells
            of its Table 1. For C11 and C12 it is its mean over datasets, but for the epochs on the
            one dataset whose own it prints.
        ours: the change measured here.
        low: lower end of its 95 % interval over users and seeds; equal to ``high`` where there is no interval.
        high: upper end.
        seeds: number of seeds.
    """

    claim: str
    dataset: str
    case: str
    loss: str
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
            rows += of_pairs(claim, case, concerned)
    return rows


def of_pairs(claim: str, case: str, pairs: Sequence[Pair]) -> list[Magnitude]:
    """One row for each loss whose size is known, beside the paper's change of the same cell: two losses have no mean.

    It is not known where a part of a method's runs was cut off.

    Args:
        claim: the claim's name.
        case: the protocol, as the ledger names it.
        pairs: the pairs of one dataset.
    """
    rows = []
    for pair in pairs:
        change, paper = pair.relative_difference(), pair.paper()
        if pair.decides() and change is not None and paper is not None and not pair.left_out_text():
            place = (claim, pair.dataset, case, LOSS_NAMES[pair.loss], paper)
            rows.append(Magnitude(*place, change.mean, *change.interval, len(change.by_seed)))
    return rows


def _of_epochs(dataset: str, results: Path) -> list[Magnitude]:
    tuned, _ = at_chosen_rate({rate: benefit_runs(dataset, results, rate) for rate in LEARNING_RATES})
    prism, decay = tried_runs(tuned)
    if decay.empty or (comparable := comparable_strengths(prism, decay)).empty:
        return []
    ours, theirs = seed_by_seed(tuned, with_fewest_epochs(comparable), best(decay))
    difference = relative_difference(ours.reset_index(), theirs.reset_index(), "best_epoch")
    return _row("C11", dataset, FEWER_EPOCHS_ON.get(dataset, FEWER_EPOCHS), difference)


def _of_ratio(dataset: str, results: Path) -> list[Magnitude]:
    pair = chosen_pair(benefit_runs(dataset, results))
    difference = None if pair is None else relative_difference(*pair, "ratio")
    return _row("C12", dataset, LARGER_RATIO, difference)


def _row(claim: str, dataset: str, paper: float, difference: Difference | None) -> list[Magnitude]:
    if difference is None:
        return []
    place = (claim, dataset, "", LOSS_NAMES["directau"], paper)
    return [Magnitude(*place, difference.mean, *difference.interval, len(difference.by_seed))]


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
