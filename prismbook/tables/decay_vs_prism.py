"""Tuned weight decay against PRISM, the paper's Table 1: what each search has chosen so far, compared seed by seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import Search, searches
from prismbook.runs import tuning
from prismbook.runs.records import Record, default_results, load_scores, stored_path
from prismbook.runs.tuning import outcome_of
from prismbook.tables.significance import (
    Comparison,
    PerUser,
    bootstrap_generator,
    paired_bootstrap,
    per_user,
    seed_tolerance,
)


@dataclass(frozen=True)
class Method:
    """What the search of one method has chosen so far, and the records behind the choice.

    Attributes:
        grid: number of configurations in the search's grid.
        ran: number of these that were run. Where it is smaller than ``grid``, the choice is among those that were run.
        chosen: the configuration with the highest validation NDCG@20, at the first seed of the grid.
        validation: its validation NDCG@20, the mean over the seeds of the grid.
        records: the records of the chosen configuration, by seed.
        searched: ids of the grid's records, on which the choice rests.
        epochs: number of epochs that the search has trained so far.
        seconds: training and evaluation time of the search so far, by class of device (``"cpu"``, ``"cuda"``).
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

    def run_ids(self) -> set[str]:
        """Ids of all its records: those of the search, and the chosen configuration's at each seed."""
        return {*self.searched, *(record["id"] for record in self.records.values())}

    def ndcg(self) -> list[float]:
        """Test NDCG@20 at each seed."""
        return [record["test"]["dot"]["ndcg"] for record in self.records.values()]


@dataclass(frozen=True)
class Pair:
    """Tuned decay and PRISM for one dataset, backbone and loss.

    Attributes:
        dataset: name of the dataset.
        backbone: name of the backbone, e.g. ``"mf"``.
        loss: name of the loss, e.g. ``"ssm"``.
        decay: tuned decay at the best configuration that was run; None where nothing was run.
        prism: PRISM at the best configuration that was run; None where nothing was run.
        compared: PRISM and decay, each at its best among the loss parameters that both searches have tried, so that a
            method that was searched further has no advantage. None where they have tried none in common.
        comparison: PRISM minus decay of ``compared``, over the seeds that both have. None where the scores of each user
            were not kept.
    """

    dataset: str
    backbone: str
    loss: str
    decay: Method | None
    prism: Method | None
    compared: tuple[Method, Method] | None
    comparison: Comparison | None

    def methods(self) -> list[Method]:
        """All methods that were run: the best of each search, and what was compared."""
        candidates = (self.decay, self.prism, *(self.compared or ()))
        return [method for method in candidates if method is not None]

    def compared_at(self) -> str:
        """The loss parameters at which the methods were compared; empty where these are the best of both."""
        if self.compared is None or self.prism is None or self.decay is None:
            return ""
        prism, decay = self.compared
        if (prism.chosen, decay.chosen) == (self.prism.chosen, self.decay.chosen):
            return ""
        return " and ".join(dict.fromkeys(loss_values(method.chosen) for method in self.compared))

    def difference(self) -> str:
        """PRISM minus decay as text, with the interval and the verdict where they are known."""
        if self.compared is None:
            return "not run"
        comparison = self.comparison
        if comparison is None:
            prism, decay = (np.mean(method.ndcg()) for method in self.compared)
            text = f"{prism - decay:+.4f}, no interval"
        else:
            interval = f"[{comparison.low:+.4f}, {comparison.high:+.4f}]"
            text = f"{comparison.difference:+.4f} {interval}, {comparison.verdict}"
            if comparison.tolerance is None:
                text += " (one seed)"
        parameters = self.compared_at()
        return f"{text} (at {parameters})" if parameters else text


def method(search: Search, results: Path) -> Method | None:
    """What a search has chosen so far.

    Args:
        search: a grid, and the seeds at which its choice is run.
        results: folder of the records.

    Returns:
        None where no configuration of the grid was run, or where every run failed.
    """
    outcomes = {config: outcome_of(results, config) for config in search.grid}
    finished = tuple(config for config in search.grid if outcomes[config] is not None)
    choice = tuning.choose(replace(search, grid=finished), outcomes) if finished else None
    if choice is None or choice.config is None or choice.validation is None:
        return None
    outcomes_by_seed = {config.seed: outcome_of(results, config) for config in tuning.further(search, choice.config)}
    return Method(
        grid=len(search.grid),
        ran=len(finished),
        chosen=choice.config,
        validation=choice.validation,
        records={seed: run for seed, run in outcomes_by_seed.items() if run is not None and "reason" not in run},
        searched=tuple(run["id"] for run in outcomes.values() if run is not None and "reason" not in run),
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
        dataset: name of the dataset.
        backbone: name of the backbone.
        loss: name of the loss.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
        budget: ``"smoke"``, ``"lean"`` or ``"paper"``: how much is searched.
        without: a configuration that is left out of the search for decay, at every seed, to see what would be chosen
            instead of it.

    >>> pair("gowalla", "mf", "ssm", "no folder").comparison is None
    True
    """
    folder = default_results() if results is None else Path(results)
    by_name = {search.name: search for search in searches("table1", dataset, budget)}
    prism_search, decay_search = (by_name[f"{backbone}-{loss}-{name}"] for name in ("prism", "decay"))
    if without is not None:
        decay_search = _leave_out(decay_search, without)
    prism, decay = method(prism_search, folder), method(decay_search, folder)
    common = _tried(prism_search, folder) & _tried(decay_search, folder)
    fair_prism, fair_decay = (method(search_part(part, common), folder) for part in (prism_search, decay_search))
    if fair_prism is None or fair_decay is None:
        return Pair(dataset, backbone, loss, decay, prism, None, None)
    comparison = _compare(fair_prism, fair_decay, folder)
    return Pair(dataset, backbone, loss, decay, prism, (fair_prism, fair_decay), comparison)


def loss_values(config: RunConfig) -> str:
    """The values of the loss's parameters, as text.

    Args:
        config: configuration of a run.

    >>> loss_values(RunConfig(dataset="gowalla", loss="mawu", gamma_user=0.125, gamma_item=0.5))
    '0.125, 0.5'
    """
    return ", ".join(f"{value:g}" for value in config.loss_parameters.values())


def search_part(search: Search, parameters: Collection[str]) -> Search:
    """The part of a search at some values of the loss's parameters.

    Args:
        search: the whole search.
        parameters: values as :func:`loss_values` gives them.
    """
    return replace(search, grid=tuple(config for config in search.grid if loss_values(config) in parameters))


def _leave_out(search: Search, excluded: RunConfig) -> Search:
    """The search without one candidate, at every seed."""

    def at_its_seed(config: RunConfig) -> RunConfig:
        return replace(config, seed=excluded.seed, split_seed=excluded.split_seed)

    return replace(search, grid=tuple(config for config in search.grid if at_its_seed(config) != excluded))


def _tried(search: Search, results: Path) -> set[str]:
    """The values of the loss's parameters at which at least one run of the grid ended, with a record or a failure."""
    return {loss_values(config) for config in search.grid if outcome_of(results, config)}


def _compare(prism: Method, decay: Method, results: Path) -> Comparison | None:
    """PRISM minus decay over the seeds that both have; None where there are none, or users' scores were not kept."""
    seeds = [seed for seed in prism.records if seed in decay.records]
    prism_scores, decay_scores = (_per_user(method, seeds, results) for method in (prism, decay))
    if not prism_scores or not decay_scores:
        return None
    prism_means, decay_means = (
        [float(values.mean()) for _, values in scores] for scores in (prism_scores, decay_scores)
    )
    prism_ids, decay_ids = ([method.records[seed]["id"] for seed in seeds] for method in (prism, decay))
    return paired_bootstrap(
        prism_scores,
        decay_scores,
        bootstrap_generator(prism_ids, decay_ids),
        seed_tolerance(prism_means, decay_means),
    )


def _per_user(method: Method, seeds: Sequence[int], results: Path) -> list[PerUser]:
    """The scores of each user at each seed; empty where those of a seed were not kept."""
    scores = [load_scores(stored_path(results, config)) for config in method.configs() if config.seed in seeds]
    return [] if None in scores else [per_user(score) for score in scores if score is not None]
