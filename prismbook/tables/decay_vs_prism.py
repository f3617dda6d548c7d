"""Tuned weight decay against PRISM: each as far as its search was run, compared seed by seed (the paper's Table 1)."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import Search, searches
from prismbook.runs import tuning
from prismbook.runs.attempts import get_records
from prismbook.runs.records import Record, default_results, load_scores, stored_path
from prismbook.runs.tuning import outcome_of
from prismbook.tables.significance import Comparison, PerUser, paired_bootstrap, per_user, seed_tolerance


@dataclass(frozen=True)
class Method:
    """One method's search as far as it was run.

    Attributes:
        grid, ran: configurations of the search, and how many of them were run; a search that is not complete has
            chosen among those.
        chosen: what validation NDCG@20 chose, and ``validation``: its score, at the search's seeds.
        records: of the chosen configuration, by seed.
        searched: ids of the records of the grid, which the choice rests on.
        epochs, seconds: what the search has cost so far; seconds by class of device.
    """

    grid: int
    ran: int
    chosen: RunConfig
    validation: float
    records: dict[int, Record]
    searched: tuple[str, ...]
    epochs: int
    seconds: dict[str, float]

    def configs(self) -> list[RunConfig]:
        """The chosen configuration at each seed that was run."""
        return [replace(self.chosen, seed=seed, split_seed=seed) for seed in self.records]

    def runs(self) -> set[str]:
        """Ids of all its records: those searched, and the chosen one's at each seed."""
        return {*self.searched, *(record["id"] for record in self.records.values())}

    def ndcg(self) -> list[float]:
        """Test NDCG@20 at each seed."""
        return [record["test"]["dot"]["ndcg"] for record in self.records.values()]


@dataclass(frozen=True)
class Pair:
    """Tuned decay and PRISM for one backbone, loss and dataset; None where nothing was run.

    Attributes:
        decay, prism: each the best that was run.
        compared: PRISM and decay, each the best among the loss's own parameters that both have tried, so that a side
            that was searched further has no advantage; None where there are none.
        comparison: PRISM minus decay of these, over the seeds that both have, where each user's scores were kept.
    """

    dataset: str
    backbone: str
    loss: str
    decay: Method | None
    prism: Method | None
    compared: tuple[Method, Method] | None
    comparison: Comparison | None

    def methods(self) -> list[Method]:
        """All that was run: the best of each, and what was compared."""
        return [own for own in (self.decay, self.prism, *(self.compared or ())) if own is not None]

    def compared_at(self) -> str:
        """At which own parameters they were compared, where that is not the best of both."""
        if self.compared is None or [own.chosen for own in self.compared] == [
            own and own.chosen for own in (self.prism, self.decay)
        ]:
            return ""
        return " and ".join(dict.fromkeys(loss_values(own.chosen) for own in self.compared))

    def difference(self) -> str:
        """PRISM minus decay with its interval and verdict, as far as they are known."""
        if self.comparison is not None:
            found = self.comparison
            alone = " (one seed)" if found.tolerance is None else ""
            text = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}], {found.verdict}{alone}"
        elif self.compared is not None:
            prism, decay = (np.mean(own.ndcg()) for own in self.compared)
            text = f"{prism - decay:+.4f}, no interval"
        else:
            return "not run"
        return text + (f" (at {self.compared_at()})" if self.compared_at() else "")


def train(dataset: str, backbones: Sequence[str], losses: Sequence[str], results: Path | str, budget: str) -> None:
    """Run what is missing of the searches for some backbones and losses; what they choose follows, at all seeds."""
    wanted = {f"{backbone}-{loss}" for backbone in backbones for loss in losses}
    chosen = [search for search in searches("table1", dataset, budget) if search.name.rpartition("-")[0] in wanted]
    get_records([config for search in chosen for config in search.grid], results)
    found = [(search, method(search, Path(results))) for search in chosen]
    get_records([c for search, own in found if own for c in tuning.further(search, own.chosen)], results)


def method(search: Search, results: Path) -> Method | None:
    """What a search has chosen so far; None where none of its grid was run."""
    outcomes = {config: outcome_of(results, config) for config in search.grid}
    ran = tuple(config for config in search.grid if outcomes[config] is not None)
    choice = tuning.choose(replace(search, grid=ran), outcomes) if ran else None
    if choice is None or choice.config is None or choice.validation is None:
        return None
    at_seeds = {config.seed: outcome_of(results, config) for config in tuning.further(search, choice.config)}
    records = {seed: found for seed, found in at_seeds.items() if found is not None and "reason" not in found}
    searched = tuple(found["id"] for found in outcomes.values() if found is not None and "reason" not in found)
    return Method(
        grid=len(search.grid),
        ran=len(ran),
        chosen=choice.config,
        validation=choice.validation,
        records=records,
        searched=searched,
        epochs=choice.epochs,
        seconds=choice.seconds,
    )


def pair(
    dataset: str,
    backbone: str,
    loss: str,
    results: Path | str | None = None,
    budget: str = "lean",
    without: RunConfig | None = None,
) -> Pair:
    """Tuned decay and PRISM (alpha = 1) as the budget searches them, from what is stored.

    Args:
        without: a candidate that the search for decay is to do without, at any seed: what would be chosen instead?

    >>> pair("gowalla", "mf", "ssm", "no folder").comparison is None
    True
    """
    results = default_results() if results is None else Path(results)
    by_name = {search.name: search for search in searches("table1", dataset, budget)}
    found = [by_name[f"{backbone}-{loss}-{name}"] for name in ("prism", "decay")]
    if without is not None:
        rest = [c for c in found[1].grid if replace(c, seed=without.seed, split_seed=without.split_seed) != without]
        found[1] = replace(found[1], grid=tuple(rest))
    prism, decay = (method(search, results) for search in found)
    tried = [{loss_values(config) for config in search.grid if outcome_of(results, config)} for search in found]
    fair = [method(at(search, tried[0] & tried[1]), results) for search in found]
    if fair[0] is None or fair[1] is None:
        return Pair(dataset, backbone, loss, decay, prism, None, None)
    return Pair(dataset, backbone, loss, decay, prism, (fair[0], fair[1]), _compare(fair[0], fair[1], results))


def loss_values(config: RunConfig) -> str:
    """The values of the loss's own parameters.

    >>> loss_values(RunConfig(dataset="gowalla", loss="mawu", gamma_user=0.125, gamma_item=0.5))
    '0.125, 0.5'
    """
    return ", ".join(f"{value:g}" for value in config.loss_parameters.values())


def at(search: Search, own: Collection[str]) -> Search:
    """The part of a search at some values of the loss's own parameters, as :func:`loss_values` says them."""
    return replace(search, grid=tuple(config for config in search.grid if loss_values(config) in own))


def _compare(prism: Method, decay: Method, results: Path) -> Comparison | None:
    seeds = [seed for seed in prism.records if seed in decay.records]
    first, second = (_per_user(own, seeds, results) for own in (prism, decay))
    if not first or not second:
        return None
    means = [[float(values.mean()) for _, values in scores] for scores in (first, second)]
    tolerance = seed_tolerance(means[0], means[1])
    # drawn from the runs' own names, so that the same pair has the same interval on every page
    generator = np.random.default_rng(zlib.crc32(f"{prism.chosen} {decay.chosen}".encode()))
    return paired_bootstrap(first, second, generator, tolerance)


def _per_user(own: Method, seeds: Sequence[int], results: Path) -> list[PerUser]:
    """Each seed's scores; empty where those of a seed were not kept."""
    scores = [load_scores(stored_path(results, config)) for config in own.configs() if config.seed in seeds]
    return [] if None in scores else [per_user(score) for score in scores if score is not None]
