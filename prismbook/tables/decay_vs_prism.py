"""Tuned weight decay against PRISM, the paper's Table 1: what each search has chosen so far, compared seed by seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prismbook.plan.config import RunConfig, at_seed
from prismbook.plan.experiments import Search, configs, searches
from prismbook.runs import patience, tuning
from prismbook.runs.records import Record, default_results, load_scores, stored_path
from prismbook.runs.tuning import Outcomes, varied
from prismbook.tables.endings import cut_off, edges, ended_by_chance, never_learned
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.paper import printed_change, printed_score
from prismbook.tables.rules import RULES, Difference, Judgement, Rules, as_share, judge
from prismbook.tables.significance import Comparison, PerUser, compared_users, per_user
from prismbook.text import plural


@dataclass(frozen=True)
class Method:
    """What the search of one method has chosen so far, and the records behind the choice.

    Attributes:
        grid: number of configurations in the search's grid, with the configurations of its growth that were run.
        ran: number of these that were run. Where it is smaller than ``grid``, the choice is among those that were run.
        chosen: the configuration that validation NDCG@20 chose, at the first seed of the grid.
        validation: its validation NDCG@20, the mean over the seeds of the grid.
        records: the records of the chosen configuration, by seed. Where the stopping rule ended a run of it in a dip,
            its runs give their places to the patient ones, which have more patience, where these are stored.
        searched: ids of the records on which the choice rests.
        epochs: number of epochs that the search has trained so far.
        seconds: training and evaluation time of the search so far, by class of device (``"cpu"``, ``"cuda"``).
        at_edge: the chosen values that are at the edge of what was searched, as text.
        all_seeds: whether the two best of the search were run at all seeds before the choice.
        dips: number of the grid's runs that ended at a start by chance and were not repeated with more patience.
        untrained: number of other runs of the two best that ended at their start and were not repeated.
        at_every_seed: the chosen configuration at each seed of the search, whether it was run or not.
        without_patience: the patient runs that the chosen configuration lacks, see
            :func:`prismbook.runs.patience.lacking_of_setting`.
    """

    grid: int
    ran: int
    chosen: RunConfig
    validation: float
    records: dict[int, Record]
    searched: tuple[str, ...]
    epochs: int
    seconds: dict[str, float]
    at_edge: tuple[str, ...] = ()
    all_seeds: bool = True
    dips: int = 0
    untrained: int = 0
    at_every_seed: tuple[RunConfig, ...] = ()
    without_patience: tuple[RunConfig, ...] = ()

    def configs(self) -> list[RunConfig]:
        """The chosen configuration at each seed that was run, with the patience of the run that counts."""
        return [
            replace(self.chosen, seed=seed, split_seed=seed, patience=record["config"]["patience"])
            for seed, record in self.records.items()
        ]

    def with_more_patience(self) -> list[int]:
        """The seeds at which a run with more patience counts."""
        return [seed for seed, record in self.records.items() if record["config"]["patience"] > self.chosen.patience]

    def run_ids(self) -> set[str]:
        """Ids of all its records: the search's records, and the chosen configuration's at each seed."""
        return {*self.searched, *(record["id"] for record in self.records.values())}

    def ndcg(self) -> list[float]:
        """Test NDCG@20 at each seed at which the run left its start."""
        return [self.records[seed]["test"]["dot"]["ndcg"] for seed in self.trained()]

    def trained(self) -> list[int]:
        """The seeds at which the run left its start and its rows did not shrink to nothing."""
        return [seed for seed, record in self.records.items() if not _never_learned(record)]

    def collapsed(self) -> list[int]:
        """The seeds at which the run collapsed: it did not train, and its start was not by chance."""
        return [seed for seed in self.records if seed not in self.trained() and not ended_by_chance(self.records[seed])]

    def usable(self) -> list[int]:
        """The seeds whose runs decide something: those that trained and were not cut off."""
        return [seed for seed in self.trained() if not _cut_off(self.records[seed])]

    def left_out(self) -> list[int]:
        """The seeds that were run and decide nothing, where others decide something: what is left chose itself."""
        usable = self.usable()
        return [seed for seed in self.records if seed not in usable] if usable else []

    def setbacks(self) -> str:
        """At how many seeds the run collapsed or was cut off, with the score where it trained; empty where at none."""
        seeds, trained, usable = plural(len(self.records), "seed"), self.trained(), self.usable()
        collapsed = len(self.collapsed())
        parts = []
        if collapsed:
            where = f", {np.mean(self.ndcg()):.4f} where it trained" if trained else ""
            parts.append(f"collapsed at {collapsed} of {seeds}{where}")
        if len(trained) + collapsed < len(self.records):
            parts.append(f"at a start by chance at {len(self.records) - len(trained) - collapsed} of {seeds}")
        if len(usable) < len(trained):
            parts.append(f"cut off at {len(trained) - len(usable)} of {seeds}")
        return " and ".join(parts)

    def open(self) -> bool:
        """Whether more of the search could improve the method.

        It is not complete, its choice is at an edge, or it was decided by runs that stopped at their start, see
        :func:`stopped_at_their_start`.
        """
        return self.ran < self.grid or bool(self.at_edge) or self.dips + self.untrained > 0


def _never_learned(record: Record) -> bool:
    largest_norm = max(norms["mean"] for norms in record["norms"]["item"]["bins"])
    return never_learned(record["best_epoch"], record["stopped_by"], largest_norm)


def _cut_off(record: Record) -> bool:
    return cut_off(record["stopped_by"], len(record["history"]["loss"]))


@dataclass(frozen=True)
class Pair:
    """Tuned decay and PRISM for one dataset, backbone and loss.

    Attributes:
        dataset: name of the dataset.
        backbone: name of the backbone, e.g. ``"mf"``.
        loss: name of the loss, e.g. ``"ssm"``.
        decay: tuned decay at the best configuration that was run; None where nothing was run.
        prism: PRISM at the best configuration that was run; None where nothing was run.
        fair_methods: PRISM and decay, each at its best among the loss parameters that both searches have tried, so that
            a method that was searched further has no advantage. None where they have tried none in common.
        comparison: PRISM minus decay of ``fair_methods``, over :meth:`seeds`. None where a method collapsed at a seed,
            where there is no seed at which both trained, or where the scores of each user were not kept.
        protocol: ``"text"`` for the paper's text, or ``"released"`` for the released code.
        rates: the learning rates that take part, see :func:`search_pair`.
        untried: the learning rates of the budget that do not take part, since a method was not run at all of its grid.
        lacks: the runs without which more of a search could improve its method, see :func:`lacking`.
        at_values: the pair at each value of the loss's parameters, see :func:`at_each_value`; empty where not asked.
    """

    dataset: str
    backbone: str
    loss: str
    decay: Method | None
    prism: Method | None
    fair_methods: tuple[Method, Method] | None
    comparison: Comparison | None
    protocol: str = "text"
    rates: tuple[float, ...] = ()
    untried: tuple[float, ...] = ()
    lacks: tuple[RunConfig, ...] = ()
    at_values: tuple[Pair, ...] = ()

    def methods(self) -> list[Method]:
        """All methods that were run: the best of each search, and what was compared."""
        candidates = (self.decay, self.prism, *(self.fair_methods or ()))
        return [method for method in candidates if method is not None]

    def compared_at(self) -> str:
        """The loss parameters at which the methods were compared; empty where these are the best of both."""
        if self.fair_methods is None or self.prism is None or self.decay is None:
            return ""
        prism, decay = self.fair_methods
        if (prism.chosen, decay.chosen) == (self.prism.chosen, self.decay.chosen):
            return ""
        ours, theirs = (loss_values(method.chosen) for method in self.fair_methods)
        if ours == theirs:
            return ours
        name = ", ".join(prism.chosen.loss_parameters)
        return f"{name} {ours} for PRISM and {theirs} for decay"

    def seeds(self) -> list[int]:
        """The seeds of ``comparison``: those at which both methods decide something, else where both trained."""
        if self.fair_methods is None:
            return []
        prism, decay = self.fair_methods
        usable = [seed for seed in prism.usable() if seed in decay.usable()]
        return usable or [seed for seed in prism.trained() if seed in decay.trained()]

    def decides(self) -> bool:
        """Whether there is a comparison at a seed at which neither method was cut off."""
        return self.comparison is not None and all(
            seed in method.usable() for method in self.fair_methods or () for seed in self.seeds()
        )

    def relative_difference(self) -> Difference | None:
        """PRISM minus decay as a share of decay's score; None where there is no comparison.

        What seeds at which both were run and that decide nothing would say is with it.
        """
        if self.comparison is None or self.fair_methods is None:
            return None
        ids = tuple(method.records[seed]["id"] for method in self.fair_methods for seed in self.seeds())
        prism, decay = self.fair_methods
        both = [seed for seed in prism.records if seed in decay.records and seed not in self.seeds()]
        scores = [[method.records[seed]["test"]["dot"]["ndcg"] for seed in both] for method in self.fair_methods]
        left_out = tuple(ours / theirs - 1 for ours, theirs in zip(*scores, strict=True))
        in_dip = any(patience.in_dip(each.records[seed]) for each in self.fair_methods for seed in self.seeds())
        return replace(as_share(self.comparison), runs=ids, left_out=left_out, in_dip=in_dip)

    def judgement(self, rules: Rules = RULES) -> Judgement | None:
        """The word for PRISM against decay; None where one of them was not run.

        Args:
            rules: the margin, and whether one seed gives a word.
        """
        if self.fair_methods is None:
            return None
        if any(method.collapsed() for method in self.fair_methods):
            return Judgement("collapsed")
        change = self.relative_difference()
        return judge(change, rules) if change is not None and self.decides() else Judgement("undecided")

    def setbacks(self) -> str:
        """What kept runs of the compared methods from deciding anything, as text; empty where nothing did."""
        names = zip(("PRISM", "tuned decay"), self.fair_methods or (), strict=False)
        return "; ".join(f"{name} {method.setbacks()}" for name, method in names if method.setbacks())

    def more_patience_text(self) -> str:
        """At how many seeds runs with more patience took the place of the compared methods' runs, as text."""
        names = zip(("PRISM", "tuned decay"), self.fair_methods or (), strict=False)
        return "; ".join(
            f"{name} repeated with patience {patience.LONG} at {len(method.with_more_patience())} of"
            f" {plural(len(method.records), 'seed')}"
            for name, method in names
            if method.with_more_patience()
        )

    def _each_seed_text(self) -> str:
        """The change at each seed of both, where some were left out or scatter, and whether it shrinks with patience.

        Changes scatter where their own spread is the larger one: the interval has the pooled spread alone.
        """
        change = self.relative_difference()
        if self.fair_methods is None or change is None:
            return ""
        scattered = len(change.by_seed) > 2 and float(np.std(change.by_seed, ddof=1)) > change.seed_spread
        if not (change.left_out or scattered):
            return ""
        prism, decay = self.fair_methods
        patient = [seed for method in self.fair_methods for seed in method.with_more_patience()]
        values = {
            seed: run["test"]["dot"]["ndcg"] / decay.records[seed]["test"]["dot"]["ndcg"] - 1
            for seed, run in prism.records.items()
            if seed in decay.records
        }
        texts = {seed: f"{value:+.1%}" if abs(value) < 10 else "more than 1,000%" for seed, value in values.items()}
        each = [
            f"{text} ({seed}{f' with patience {patience.LONG}' if seed in patient else ''})"
            for seed, text in texts.items()
        ]
        sizes = {long: [abs(values[seed]) for seed in values if (seed in patient) is long] for long in (True, False)}
        smaller = all(sizes.values()) and max(sizes[True]) < min(sizes[False])
        why = ", further apart than the pooled spread of the interval" if scattered and not change.left_out else ""
        return f"; at each seed: {', '.join(each)}{why}{'; it shrinks with patience' if smaller else ''}"

    def left_out_text(self) -> str:
        """What the compared methods had where their runs decide nothing though others do, as text; empty where none.

        A size is then not known: which of a method's runs are averaged was decided by how they ended.
        """
        if self.fair_methods is None:
            return ""
        parts = []
        names = ("PRISM", "tuned decay" if self.protocol == "text" else "decay")
        for name, method, other in zip(names, self.fair_methods, reversed(self.fair_methods), strict=True):
            for seed in method.left_out():
                run, against = method.records[seed], other.records.get(seed)
                score, epochs = run["test"]["dot"]["ndcg"], len(run["history"]["loss"])
                text = f"at seed {seed} {name} had {score:.4f} after {plural(epochs, 'epoch')}"
                if run["config"]["patience"] >= patience.LONG:
                    text += f" with patience {patience.LONG}"
                if against is not None:
                    theirs = against["test"]["dot"]["ndcg"]
                    text += f", against {theirs:.4f} ({score / theirs - 1:+.1%})"
                parts.append(text)
            if seeds := [str(config.seed) for config in method.without_patience]:
                at = f"seed{'s' if len(seeds) > 1 else ''} {' and '.join(seeds)}"
                parts.append(f"{name} not run with patience {patience.LONG} at {at}")
        return "; ".join(parts) if any(method.left_out() for method in self.fair_methods) else ""

    def without_patience(self) -> tuple[RunConfig, ...]:
        """The patient runs that the compared methods lack."""
        return tuple(config for method in self.fair_methods or () for config in method.without_patience)

    def not_tuned(self) -> list[str]:
        """What of the tuning is still to be run besides the searches' grids, as text; empty where nothing is."""
        parts = []
        if self.untried:
            tried, untried = (" and ".join(f"{rate:g}" for rate in rates) for rates in (self.rates, self.untried))
            parts.append(f"learning rate {tried}, not tuned: {untried} not yet run for both")
        for name, method in (("PRISM", self.prism), ("decay", self.decay)):
            if method is not None and not method.all_seeds:
                parts.append(f"{name} chosen on one seed, the two best not yet run at all seeds")
        return parts

    def paper(self) -> float | None:
        """The paper's PRISM minus decay as a share of decay's score; None where its Table 1 has no such cell."""
        return printed_change(*self._cell())

    def paper_decay(self) -> float | None:
        """The paper's NDCG@20 of tuned decay; None where its Table 1 has no such cell."""
        return printed_score(*self._cell(), "decay")

    def _cell(self) -> tuple[str, str, str]:
        return BACKBONE_NAMES[self.backbone], LOSS_NAMES[self.loss], dataset_name(self.dataset)

    def difference_text(self, word: Judgement | None = None) -> str:
        """PRISM minus decay as text, as a share of decay's score with the interval that decides the word, and the word.

        Args:
            word: what stands in the place of :meth:`judgement`; None is that.
        """
        judgement, change = word or self.judgement(), self.relative_difference()
        if self.fair_methods is None or judgement is None:
            return "not run"
        if self.comparison is None or change is None:
            text = f"{judgement}" if self.setbacks() else f"{judgement}: the scores of users were not kept"
        else:
            low, high = change.interval
            around = "" if change.left_out or not np.isfinite(high) else f" [{low:+.1%}, {high:+.1%}]"
            text = f"{self.comparison.mean:+.4f} ({change.mean:+.1%}{around}), {judgement}{self._each_seed_text()}"
        for remark in (self.setbacks(), self.more_patience_text()):
            text += f"; {remark}" if remark else ""
        parameters = self.compared_at()
        return f"{text} (at {parameters})" if parameters else text


def method(search: Search, outcomes: Outcomes) -> Method | None:
    """What a search has chosen so far.

    Args:
        search: a grid, as far as it has grown, and the seeds at which its two best are run.
        outcomes: what is stored of each configuration.

    Returns:
        None where no configuration of the grid was run, or where every run failed.
    """
    finished = tuple(config for config in search.grid if outcomes(config) is not None)
    choice = tuning.choose(replace(search, grid=finished), outcomes) if finished else None
    if choice is None or choice.config is None or choice.validation is None:
        return None

    by_chance, untrained = stopped_at_their_start(replace(search, grid=finished), outcomes)
    at_every_seed = tuple(tuning.further(search, choice.config))
    that_count = patience.of_setting(at_every_seed, outcomes)
    runs = {config.seed: run for config, run in zip(at_every_seed, that_count, strict=True)}
    searched = [run["id"] for run in map(outcomes, finished) if run is not None and "reason" not in run]
    return Method(
        grid=len(search.grid),
        ran=len(finished),
        chosen=choice.config,
        validation=choice.validation,
        records={seed: run for seed, run in runs.items() if run is not None and "reason" not in run},
        searched=tuple(dict.fromkeys([*searched, *choice.finals])),
        epochs=choice.epochs,
        seconds=choice.seconds,
        at_edge=_at_edge(search, choice.config),
        all_seeds=choice.all_seeds,
        dips=len(by_chance),
        untrained=len(untrained),
        at_every_seed=at_every_seed,
        without_patience=tuple(patience.lacking_of_setting(at_every_seed, outcomes)),
    )


def stopped_at_their_start(search: Search, outcomes: Outcomes) -> tuple[list[RunConfig], list[RunConfig]]:
    """The runs by which a search cannot be decided, since the stopping rule ended them at their start.

    A method is not chosen, nor turned down, by what it scores before it is trained. A run that was repeated with more
    patience is none of these.

    Args:
        search: a grid.
        outcomes: what is stored of each configuration.

    Returns:
        The grid's runs that ended at a start by chance; and of the two best, at every seed of the search, the other
        runs whose best epoch is the start.
    """
    by_chance, untrained = [], []
    finals = _finals(search, outcomes)
    for config in dict.fromkeys((*search.grid, *finals)):
        run = patience.outcome_that_counts(config, outcomes)
        if run is None or "reason" in run or not patience.in_dip(run):
            continue
        if ended_by_chance(run) and config in search.grid:
            by_chance.append(config)
        elif run["best_epoch"] == 0 and config in finals:
            untrained.append(config)
    return by_chance, untrained


def _finals(search: Search, outcomes: Outcomes) -> list[RunConfig]:
    """The two best of a grid at every seed of the search."""
    return [run for config in tuning.finalists(search, outcomes) for run in tuning.further(search, config)]


def lacking(search: Search, outcomes: Outcomes) -> list[RunConfig]:
    """The runs without which more of a search could improve its method.

    They are what is missing of its grid, the values by which it grows next, and the patient runs of those that
    :func:`stopped_at_their_start` and of the two best where they ended in a dip.

    Args:
        search: a grid.
        outcomes: what is stored of each configuration.
    """
    grown = tuning.grown(search, outcomes)
    by_chance, _ = stopped_at_their_start(grown, outcomes)
    dips = patience.patient_runs([*by_chance, *_finals(grown, outcomes)], outcomes)
    return [config for config in dict.fromkeys((*grown.grid, *dips)) if outcomes(config) is None]


def _at_edge(search: Search, chosen: RunConfig) -> tuple[str, ...]:
    """The chosen values at the edge of the search.

    A pair of parameters, as MAWU's, has no order and no edge. The learning rates are few, and none of them is inside:
    whether they were tried is said apart.
    """
    unordered = ("lr", "gamma_user", "gamma_item")
    searched = {name: values for name, values in varied(search.grid).items() if name not in unordered}
    return tuple(edges({name: getattr(chosen, name) for name in searched}, searched))


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
    outcomes = tuning.stored(folder)
    prism_search, decay_search, rates, untried = search_pair(dataset, backbone, loss, folder, budget)
    if without is not None:
        decay_search = _leave_out(decay_search, without)
    prism, decay = method(prism_search, outcomes), method(decay_search, outcomes)
    common = _tried(prism_search, outcomes) & _tried(decay_search, outcomes)
    fair_prism, fair_decay = (method(search_part(part, common), outcomes) for part in (prism_search, decay_search))
    both = None if fair_prism is None or fair_decay is None else (fair_prism, fair_decay)
    lacks = tuple(config for search in (prism_search, decay_search) for config in lacking(search, outcomes))
    searched = Pair(dataset, backbone, loss, decay, prism, both, None, "text", rates, untried, lacks)
    return _with_comparison(searched, folder)


def at_each_value(pair: Pair, results: Path | str | None = None, budget: str = "lean") -> list[Pair]:
    """The pair at each value of the loss's parameters that both searches have tried: neither side chooses the value.

    Args:
        pair: of :func:`pair`, of the same records and budget.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
        budget: how much is searched.

    Returns:
        One pair for each value, in the order of PRISM's grid; empty where fewer than two were tried by both.

    >>> at_each_value(pair("gowalla", "nonlinear-mf", "directau", "no folder"), "no folder")
    []
    """
    folder = default_results() if results is None else Path(results)
    outcomes = tuning.stored(folder)
    prism_search, decay_search, *_ = search_pair(pair.dataset, pair.backbone, pair.loss, folder, budget)
    shared = _tried(prism_search, outcomes) & _tried(decay_search, outcomes)
    values = [value for value in dict.fromkeys(map(loss_values, prism_search.grid)) if value in shared]
    found = []
    for value in values if len(values) > 1 else ():
        prism, decay = (method(search_part(each, {value}), outcomes) for each in (prism_search, decay_search))
        both = None if prism is None or decay is None else (prism, decay)
        one = Pair(pair.dataset, pair.backbone, pair.loss, decay, prism, both, None, pair.protocol, pair.rates)
        found.append(_with_comparison(one, folder))
    return found


def search_pair(
    dataset: str, backbone: str, loss: str, results: Path | str, budget: str = "lean"
) -> tuple[Search, Search, tuple[float, ...], tuple[float, ...]]:
    """The searches of PRISM and of decay, at the learning rates that take part, as far as they have grown.

    The first learning rate of the budget takes part. Another does where both methods were run at all of their grids
    with it, so that neither is tuned further than the other.

    Args:
        dataset: name of the dataset.
        backbone: name of the backbone.
        loss: name of the loss.
        results: folder of the records.
        budget: ``"smoke"``, ``"lean"`` or ``"paper"``: how much is searched.

    Returns:
        PRISM's search, decay's search, the learning rates that take part, and the rates of the budget that do not.

    >>> search_pair("gowalla", "mf", "ssm", "no folder")[2:]
    ((0.001,), (0.01,))
    """
    by_name = {search.name: search for search in searches("table1", dataset, budget)}
    planned = [by_name[f"{backbone}-{loss}-{name}"] for name in ("prism", "decay")]
    configurations = [config for search in planned for config in search.grid]
    first, *further = dict.fromkeys(config.lr for config in configurations)
    missing = {config.lr for config in configurations if config.lr != first and not tuning.ended(results, config)}
    rates = (first, *(rate for rate in further if rate not in missing))
    outcomes = tuning.stored(results)
    prism, decay = (_as_far_as_run(search.at_rates(rates), outcomes) for search in planned)
    return prism, decay, rates, tuple(rate for rate in further if rate in missing)


def _as_far_as_run(search: Search, outcomes: Outcomes) -> Search:
    """The search with the values by which it has grown, without those that were not run."""
    grid = tuning.grown(search, outcomes).grid
    added = (config for config in grid[len(search.grid) :] if outcomes(config) is not None)
    return replace(search, grid=(*search.grid, *added))


def released_pairs(dataset: str, results: Path | str | None = None) -> list[Pair]:
    """Decay against PRISM as the released code trains them, at one decay: nothing is searched.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> [pair.loss for pair in released_pairs("yelp2018")]
    ['ssm', 'directau']
    """
    folder = default_results() if results is None else Path(results)
    by_loss: dict[str, dict[str, Method | None]] = {}
    for config in configs("released", dataset):
        chosen = method(Search(f"{config.loss}-{config.init}", (config,), (config.seed,)), tuning.stored(folder))
        by_loss.setdefault(config.loss, {})[config.init] = chosen
    pairs = []
    for loss, methods in by_loss.items():
        decay, prism = methods["xavier"], methods["prism"]
        both = None if decay is None or prism is None else (prism, decay)
        pairs.append(
            _with_comparison(Pair(dataset, "nonlinear-mf", loss, decay, prism, both, None, "released"), folder)
        )
    return pairs


def _with_comparison(pair: Pair, folder: Path) -> Pair:
    """The pair with its comparison, where no run of the compared methods collapsed and both trained at some seed."""
    if pair.fair_methods is None or not pair.seeds() or any(each.collapsed() for each in pair.fair_methods):
        return pair
    return replace(pair, comparison=_compare(*pair.fair_methods, pair.seeds(), folder))


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
    seeds = excluded.seed, excluded.split_seed
    return replace(search, grid=tuple(config for config in search.grid if at_seed(config, *seeds) != excluded))


def _tried(search: Search, outcomes: Outcomes) -> set[str]:
    """The values of the loss's parameters at which at least one run of the grid ended, with a record or a failure."""
    return {loss_values(config) for config in search.grid if outcomes(config) is not None}


def _compare(prism: Method, decay: Method, seeds: Sequence[int], results: Path) -> Comparison | None:
    """PRISM minus decay over some seeds; None where there are none, or users' scores were not kept."""
    prism_scores, decay_scores = (_per_user(method, seeds, results) for method in (prism, decay))
    if not prism_scores or not decay_scores:
        return None
    prism_ids, decay_ids = ([method.records[seed]["id"] for seed in seeds] for method in (prism, decay))
    return compared_users(prism_scores, decay_scores, (prism_ids, decay_ids))


def _per_user(method: Method, seeds: Sequence[int], results: Path) -> list[PerUser]:
    """The scores of each user at each seed; empty where the scores of a seed were not kept."""
    scores = [load_scores(stored_path(results, config)) for config in method.configs() if config.seed in seeds]
    return [] if None in scores else [per_user(score) for score in scores if score is not None]
