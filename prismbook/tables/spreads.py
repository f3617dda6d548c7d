"""How much a difference of two methods varies from seed to seed, pooled over all pairs that were run at three seeds.

The spread is a property of a measure, not of one comparison: three seeds alone say little about it, and one seed says
nothing. It is computed from the stored records and never typed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np

from prismbook.plan.config import RunConfig
from prismbook.runs.records import Record, default_results, scan
from prismbook.tables.endings import cut_off, never_learned

#: So many seeds, or more, make a pair count.
SEEDS_NEEDED = 3
#: The measures of a run that vary with its seed. Epochs and ratios differ by factors, and are taken in logs.
MEASURES = ("ndcg", "gap", "ratio", "correlation", "epochs")


@dataclass(frozen=True)
class Spread:
    """The standard deviation over seeds of a difference of two methods.

    Attributes:
        value: the pooled standard deviation: the root of the mean variance over the pairs.
        pairs: number of pairs of settings that it is computed from.
    """

    value: float
    pairs: int


def spread(measure: str, across: bool = False, results: Path | str | None = None) -> Spread | None:
    """The pooled spread over seeds of a measure's difference; None where no pair was run at three seeds.

    A pair is two settings of the same dataset, backbone and loss. Two losses share less of what a seed does; a
    difference across losses has the spread of all pairs of a dataset and a backbone.

    Args:
        measure: one of :data:`MEASURES`.
        across: whether the difference is one of two losses.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> known = spread("ndcg")
    >>> known is not None and 0 < known.value < 0.05
    True
    """
    return _spreads(default_results() if results is None else Path(results)).get((measure, across))


@lru_cache
def _spreads(results: Path) -> Mapping[tuple[str, bool], Spread]:
    return pooled(scan(results)[0])


def pooled(records: Iterable[Record]) -> dict[tuple[str, bool], Spread]:
    """The spread of each measure, within a loss and across losses; without the measures of which there is no pair.

    Args:
        records: of runs; those that decide nothing are left out.
    """
    return _pooled(_deviations(records))


@dataclass(frozen=True)
class OwnSpreads:
    """The spreads of one dataset, backbone and loss.

    Attributes:
        settings: number of settings that were run at three seeds.
        of: the spread of each measure.
    """

    settings: int
    of: Mapping[str, Spread]


Group = tuple[str, str, str]  # a dataset, a backbone and a loss, by name


def own_spreads(results: Path | str | None = None) -> Mapping[Group, OwnSpreads]:
    """The spread over seeds in each group of one dataset, backbone and loss of which two settings have three seeds.

    Args:
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> own_spreads("no folder")
    {}
    """
    return _own_spreads(default_results() if results is None else Path(results))


@lru_cache
def _own_spreads(results: Path) -> Mapping[Group, OwnSpreads]:
    groups: dict[Group, list[_Deviation]] = {}
    for each in _deviations(scan(results)[0]):
        first, second = each.settings
        if first.loss == second.loss:
            groups.setdefault((first.dataset, first.backbone, first.loss), []).append(each)
    return {
        group: OwnSpreads(
            len({setting for each in found for setting in each.settings}),
            {measure: known for (measure, across), known in _pooled(found).items() if not across},
        )
        for group, found in sorted(groups.items())
    }


@dataclass(frozen=True)
class _Deviation:
    """The standard deviation over seeds of the difference of two settings, in one measure."""

    settings: tuple[RunConfig, RunConfig]
    measure: str
    value: float


def _pooled(deviations: Iterable[_Deviation]) -> dict[tuple[str, bool], Spread]:
    values: dict[tuple[str, bool], list[float]] = {}
    for each in deviations:
        first, second = each.settings
        for across in (True, False) if first.loss == second.loss else (True,):
            values.setdefault((each.measure, across), []).append(each.value)
    return {key: Spread(float(np.sqrt(np.mean(np.square(each)))), len(each)) for key, each in values.items()}


def _deviations(records: Iterable[Record]) -> list[_Deviation]:
    """One for each measure and each pair of settings of a dataset and a backbone that were run at three seeds."""
    settings: dict[RunConfig, dict[int, dict[str, float]]] = {}
    for record in records:
        config = RunConfig(**record["config"])
        if _decides(record):
            same = replace(config, seed=RunConfig.seed, split_seed=RunConfig.seed, device=RunConfig.device)
            settings.setdefault(same, {})[config.seed] = _measures(record)
    found: list[_Deviation] = []
    whole = [(config, seeds) for config, seeds in settings.items() if len(seeds) >= SEEDS_NEEDED]
    for (first, ours), (second, theirs) in combinations(whole, 2):
        seeds = sorted(set(ours) & set(theirs))
        if (first.dataset, first.backbone) != (second.dataset, second.backbone) or len(seeds) < SEEDS_NEEDED:
            continue
        for measure in MEASURES:
            a, b = (np.array([runs[seed][measure] for seed in seeds]) for runs in (ours, theirs))
            base = np.mean([theirs[seed]["ndcg"] for seed in seeds]) if measure in ("ndcg", "gap") else 1.0
            deviation = float(np.std((a - b) / base, ddof=1))
            if np.isfinite(deviation):
                found.append(_Deviation((first, second), measure, deviation))
    return found


def _decides(record: Record) -> bool:
    largest = max(norms["mean"] for norms in record["norms"]["item"]["bins"])
    learned = not never_learned(record["best_epoch"], record["stopped_by"], largest)
    return learned and not cut_off(record["stopped_by"], len(record["history"]["loss"]))


def _measures(record: Record) -> dict[str, float]:
    scores = record["test"]["dot"]
    popular, unpopular = scores["popular"], scores["unpopular"]
    return {
        "ndcg": scores["ndcg"],
        "gap": popular - unpopular,
        "ratio": float(np.log(unpopular / popular)) if popular > 0 and unpopular > 0 else np.nan,
        "correlation": record["norms"]["item"]["pearson_log"],
        "epochs": float(np.log(record["best_epoch"] + 1)),
    }
