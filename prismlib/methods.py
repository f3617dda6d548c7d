"""Tuned weight decay against PRISM: each as far as its search was run, compared seed by seed (the paper's Table 1)."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prismlib import tuning
from prismlib.analysis import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismlib.compare import Comparison, PerUser, paired_bootstrap, per_user, seed_tolerance
from prismlib.config import LOSS_PARAMETERS, RunConfig
from prismlib.experiments import Search, searches
from prismlib.paper import table1
from prismlib.parameters import OWN_GRIDS
from prismlib.records import Record, load_scores
from prismlib.runs import default_results, get_records
from prismlib.statements import Statement
from prismlib.sweep import record_of
from prismlib.tuning import outcome_of


@dataclass(frozen=True)
class Method:
    """One method's search as far as it was run.

    Attributes:
        grid, ran: configurations of the search, and how many of them were run; a search that is not complete has
            chosen among those.
        chosen: what validation NDCG@20 chose, and ``validation``: its score, at the search's seeds.
        records: of the chosen configuration, by seed.
        searched: ids of the records of the grid, which the choice rests on.
        epochs, seconds: what the search has cost so far.
    """

    grid: int
    ran: int
    chosen: RunConfig
    validation: float
    records: dict[int, Record]
    searched: tuple[str, ...]
    epochs: int
    seconds: float

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

    backbone: str
    loss: str
    dataset: str
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
        return " and ".join(dict.fromkeys(_label(_own(own.chosen)) for own in self.compared))


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


def pair(backbone: str, loss: str, dataset: str, results: Path | None = None, budget: str = "lean") -> Pair:
    """Tuned decay and PRISM (alpha = 1) as the budget searches them, from what is stored.

    >>> pair("mf", "ssm", "yelp2018").comparison is None
    True
    """
    return _pair(backbone, loss, dataset, default_results() if results is None else Path(results), budget)


def _pair(backbone: str, loss: str, dataset: str, results: Path, budget: str, without: RunConfig | None = None) -> Pair:
    """A pair, its search for decay without one candidate."""
    by_name = {search.name: search for search in searches("table1", dataset, budget)}
    found = [by_name[f"{backbone}-{loss}-{name}"] for name in ("prism", "decay")]
    if without is not None:
        rest = [c for c in found[1].grid if replace(c, seed=without.seed, split_seed=without.split_seed) != without]
        found[1] = replace(found[1], grid=tuple(rest))
    prism, decay = (method(search, results) for search in found)
    tried = [{_own(config) for config in search.grid if outcome_of(results, config)} for search in found]
    fair = [method(_only(search, tried[0] & tried[1]), results) for search in found]
    if fair[0] is None or fair[1] is None:
        return Pair(backbone, loss, dataset, decay, prism, None, None)
    return Pair(backbone, loss, dataset, decay, prism, (fair[0], fair[1]), _compare(fair[0], fair[1], results))


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
    scores = [load_scores(record_of(config, results)) for config in own.configs() if config.seed in seeds]
    return [] if None in scores else [per_user(score) for score in scores if score is not None]


def row(pair: Pair) -> dict[str, str]:
    """A pair as a row of the book's Table 1, the paper's values beside ours; empty: not printed, or not run."""
    names = BACKBONE_NAMES[pair.backbone], LOSS_NAMES[pair.loss], dataset_name(pair.dataset)
    printed = table1()
    cells = {"backbone": names[0], "loss": names[1]}
    for name, own in (("decay", pair.decay), ("prism", pair.prism)):
        title = "tuned decay" if name == "decay" else "PRISM"
        if names in printed.index:
            cells[f"{title}, paper"] = _spread(*printed.loc[names, [name, f"{name}_std"]])
        else:
            cells[f"{title}, paper"] = ""
        cells[f"{title}, ours"] = "not run" if own is None else _over_seeds(own.ndcg())
    cells["PRISM - decay"] = difference(pair)
    return cells


def difference(pair: Pair) -> str:
    """PRISM minus decay with its interval and verdict, as far as they are known."""
    if pair.comparison is not None:
        found = pair.comparison
        alone = " (one seed)" if found.tolerance is None else ""
        text = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}], {found.verdict}{alone}"
    elif pair.compared is not None:
        prism, decay = (np.mean(own.ndcg()) for own in pair.compared)
        text = f"{prism - decay:+.4f}, no interval"
    else:
        return "not run"
    return text + (f" (at {pair.compared_at()})" if pair.compared_at() else "")


def _spread(mean: float, std: float) -> str:
    return f"{mean:.4f} ± {std:.4f}"


def _over_seeds(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f} (1 seed)"
    return f"{_spread(float(np.mean(values)), float(np.std(values, ddof=1)))} ({len(values)} seeds)"


def own_parameters(
    backbone: str, loss: str, dataset: str, results: Path | str | None = None, budget: str = "lean"
) -> list[dict[str, str]]:
    """What a loss's own parameters do: for each value that was run, the best decay by validation, and PRISM.

    >>> own_parameters("mf", "directau", "yelp2018")
    []
    """
    results = default_results() if results is None else Path(results)
    by_name = {search.name: search for search in searches("table1", dataset, budget)}
    rows: dict[str, dict[str, str]] = {}
    for name, title in (("decay", "tuned decay"), ("prism", "PRISM")):
        search = by_name[f"{backbone}-{loss}-{name}"]
        for own in dict.fromkeys(_own(config) for config in search.grid):
            found = method(_only(search, {own}), results)
            if found is None:
                continue
            text = f"{found.records[search.grid[0].seed]['test']['dot']['ndcg']:.4f}"
            if name == "decay":
                text += f" (decay {found.chosen.weight_decay:g}, {found.ran} of {found.grid} run)"
            label = _label(own)
            rows.setdefault(label, {LOSS_NAMES[loss] + " at": label, "tuned decay": "", "PRISM": ""})[title] = text
    return list(rows.values())


def _own(config: RunConfig) -> tuple[float, ...]:
    """The values of the loss's own parameters."""
    return tuple(getattr(config, name) for name in LOSS_PARAMETERS[config.loss])


def _label(own: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in own)


def _only(search: Search, own: Collection[tuple[float, ...]]) -> Search:
    """The part of a search at some values of the loss's own parameters."""
    return replace(search, grid=tuple(config for config in search.grid if _own(config) in own))


def nearness(pair: Pair) -> dict[str, str]:
    """Ours over the paper's, in percent, for tuned decay and for PRISM; empty where there is nothing to compare."""
    names = BACKBONE_NAMES[pair.backbone], LOSS_NAMES[pair.loss], dataset_name(pair.dataset)
    printed = table1()
    cells = {"backbone": names[0], "loss": names[1]}
    for title, column, own in (("tuned decay", "decay", pair.decay), ("PRISM", "prism", pair.prism)):
        cells[title] = ""
        if own is not None and names in printed.index:
            cells[title] = f"{100 * np.mean(own.ndcg()) / float(printed[column].loc[[names]].iloc[0]):.0f} %"
    return cells


def search_cost(pairs: Sequence[Pair]) -> list[dict[str, str]]:
    """What the search of each method has cost: one row a pair and method that was run."""
    rows = []
    for own in pairs:
        for title, found in (("tuned decay", own.decay), ("PRISM", own.prism)):
            if found is not None:
                rows.append(
                    {
                        "backbone": BACKBONE_NAMES[own.backbone],
                        "loss": LOSS_NAMES[own.loss],
                        "method": title,
                        "runs": f"{found.ran} of {found.grid}",
                        "epochs": f"{found.epochs:,}",
                        "hours": f"{found.seconds / 3600:.2f}",
                        "chosen": f"lr {found.chosen.lr:g}, {_tuned(found.chosen)}",
                    }
                )
    return rows


def runners_up(pairs: Sequence[Pair], results: Path | str | None = None, budget: str = "lean") -> list[dict[str, str]]:
    """What would follow had validation chosen each search's second best decay: one row a pair that has one.

    The lean budget searches on one seed, whose validation may put first what is not the best over more.

    >>> runners_up([pair("mf", "ssm", "yelp2018")])
    []
    """
    results, rows = default_results() if results is None else Path(results), []
    for own in pairs:
        if own.decay is None:
            continue
        found = _pair(own.backbone, own.loss, own.dataset, results, budget, without=own.decay.chosen)
        if found.decay is None:
            continue
        rows.append(
            {
                "backbone": BACKBONE_NAMES[own.backbone],
                "loss": LOSS_NAMES[own.loss],
                "chosen": _tuned(own.decay.chosen),
                "second": _tuned(found.decay.chosen),
                "ahead on validation by": f"{own.decay.validation - found.decay.validation:.4f}",
                "test, chosen": _over_seeds(own.decay.ndcg()),
                "test, second": _over_seeds(found.decay.ndcg()),
                "PRISM - second": difference(found),
            }
        )
    return rows


def _tuned(config: RunConfig) -> str:
    """Its decay, and the loss's own parameters where they are searched."""
    own = f", gamma {_label(_own(config))}" if len(OWN_GRIDS[config.loss]) > 1 else ""
    return f"decay {config.weight_decay:g}{own}"


def matches(pairs: Sequence[Pair]) -> list[Statement]:
    """C8: PRISM matches tuned decay: by the paired bootstrap it is better or the same."""
    return [_statement(own, "matches", ("better", "same")) for own in pairs]


def beats(pairs: Sequence[Pair]) -> list[Statement]:
    """C9: PRISM beats tuned decay."""
    return [_statement(own, "beats", ("better",)) for own in pairs]


def falls_short(pairs: Sequence[Pair]) -> list[Statement]:
    """C10: PRISM falls short of tuned decay."""
    return [_statement(own, "falls short of", ("worse",)) for own in pairs]


def _statement(own: Pair, verb: str, verdicts: Sequence[str]) -> Statement:
    what = f"{BACKBONE_NAMES[own.backbone]} with {LOSS_NAMES[own.loss]}: PRISM {verb} tuned decay"
    if own.comparison is None or own.compared is None or own.prism is None or own.decay is None:
        return Statement(f"{what} (not run in both)", None)
    part = [
        f"{title} {found.ran} of {found.grid}"
        for title, found in (("decay", own.decay), ("PRISM", own.prism))
        if found.ran < found.grid
    ]
    note = f"; searched only in part, {', '.join(part)} configurations" if part else ""
    seeds = len(own.compared[0].records.keys() & own.compared[1].records.keys())
    text = f"{what}: {difference(own)}, {seeds} seed{'s' * (seeds > 1)}{note}"
    holds = own.comparison.verdict in verdicts
    # searching further helps a side: what the side searched in part could still turn round is not decided
    behind = own.decay if holds == ("better" in verdicts) else own.prism
    return Statement(text, holds if behind.ran == behind.grid else None)
