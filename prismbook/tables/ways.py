"""Ways to train one model, as someone would who asks whether to use PRISM: what each gives on a dataset, for a loss.

Apart from what a way names, all are alike: matrix factorisation, the loss's parameters at their published or tuned
values, the learning rate of the paper, and every seed that was run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import ALL_DECAYS, PAPER_DATASETS, SEEDS, configs, grid_configs, protocol_pairs
from prismbook.runs.patience import LONG
from prismbook.runs.records import Record, default_results
from prismbook.tables import analysis, decay_vs_prism
from prismbook.tables.endings import EARLY
from prismbook.tables.rules import Difference, as_share
from prismbook.tables.seed_differences import collapsed_runs, common, relative_difference, usable
from prismbook.tables.variants import comparison
from prismbook.text import plural

NONE, FIXED, TUNED, PRISM, SGD = "no decay", "decay fixed at 1e-6", "tuned decay", "PRISM", "plain SGD, no decay"
#: The ways, in the order in which they are shown.
WAYS = (NONE, FIXED, TUNED, PRISM, SGD)
#: A strong decay that nobody tuned, which is in sentences alone.
STRONG = "decay fixed at 1e-4"
#: The losses, of angles first.
LOSSES = ("directau", "ssm", "mawu", "bpr")
#: The datasets on which they are compared.
DATASETS = PAPER_DATASETS[:3]
#: One that is not the paper's, on which some ways with DirectAU were run.
FURTHER = "amazoncds"
#: The decays that nobody tuned, the decay between them, and the learning rate of plain SGD.
FIXED_DECAY, STRONG_DECAY, MIDDLE_DECAY, SGD_RATE = 1e-6, 1e-4, 1e-5, 30.0


@dataclass(frozen=True)
class Compared:
    """The ways on one dataset, for one loss.

    Attributes:
        dataset: name of the dataset.
        loss: name of the loss.
        runs: for each of :data:`WAYS`, and for :data:`STRONG`, its runs, one row per seed, a table of
            :func:`prismbook.tables.analysis.measured`.
        decays: the runs with each decay that was tried, from 1e-8 to 1e-4 and the search's choice.
        undecided: the decay that the search of Table 1 chose, where its runs decide nothing and another one is shown;
            None where the tuned decay is the search's.
        patient: PRISM against a decay of 1e-4 at one seed, both with more patience, whether they were cut off or not;
            None where this was not run.
        at_limit: whether the limit of epochs ended PRISM's run with more patience.
    """

    dataset: str
    loss: str
    runs: dict[str, pd.DataFrame]
    decays: pd.DataFrame
    undecided: float | None = None
    patient: Difference | None = None
    at_limit: bool = False

    def shown(self, way: str) -> pd.DataFrame:
        """The runs whose mean is shown: those that decide something, else those that learned, else all that were made.

        Args:
            way: one of :data:`WAYS`.
        """
        runs = self.runs[way]
        made = runs[runs["run"].notna()]
        learned = made.drop(self.untrained(way).index)
        return next((kept for kept in (usable(runs), learned) if len(kept)), made)

    def untrained(self, way: str) -> pd.DataFrame:
        """The runs of a way that never learned: those that collapsed, and those that ended at a start by chance.

        Args:
            way: one of :data:`WAYS`.
        """
        runs = self.runs[way]
        return runs[runs.index.isin(collapsed_runs(runs).index) | runs["by_chance"].eq(True)]

    def stopped_at_start(self, way: str) -> pd.DataFrame:
        """The runs of a way that stopped at their start: those that never learned, or only with more patience.

        Args:
            way: one of :data:`WAYS`.
        """
        runs = self.runs[way]
        return runs[runs.index.isin(self.untrained(way).index) | runs["instead_of"].notna()]

    def setback(self, way: str) -> str:
        """What is behind the runs that are shown, in a few words: seeds that are left out, and more patience.

        It is empty where nothing is, or where no run was made.

        Args:
            way: one of :data:`WAYS`.
        """
        shown, made = self.shown(way), int(self.runs[way]["run"].notna().sum())
        gone = len(self.untrained(way))
        if made and len(collapsed_runs(self.runs[way])) == made:
            return f"never learned at {gone} of {plural(made, 'seed')}"
        parts = []
        if 0 < gone < made:
            parts.append(f"trained at {made - gone} of {plural(made, 'seed')}")
        elif len(shown) < made:
            parts.append(f"cut off at {made - len(shown)} of {plural(made, 'seed')}")
        if len(shown) and usable(shown).empty:
            limited = shown["stopped_by"] == "max_epochs"
            parts.append("cut off by the limit of epochs" if limited.any() else f"stopped in its first {EARLY} epochs")
        if shown["instead_of"].notna().any():
            parts.append(f"patience {LONG}")
        return ", ".join(parts)

    def decay(self) -> float | None:
        """The tuned decay; None where no run with decay was made."""
        runs = self.runs[TUNED]
        return float(runs["weight_decay"].iloc[0]) if runs["run"].notna().any() else None

    def change(self, other: str, measure: str = "ndcg", way: str = PRISM) -> Difference | None:
        """A way against another one, over the seeds at which both decide something; None where there are none.

        Args:
            other: the way that it is compared with.
            measure: a column of the tables, as :func:`prismbook.tables.seed_differences.relative_difference` takes it.
            way: the way that is compared.
        """
        return relative_difference(self.runs[way], self.runs[other], measure)

    def pair(self, other: str, way: str = PRISM) -> tuple[float, float, list[int]]:
        """The means of NDCG@20 of both sides of :meth:`change`, and the seeds that both have.

        Args:
            other: the way that it is compared with.
            way: the way that is compared.
        """
        ours, theirs = common(self.runs[way], self.runs[other], ["seed"])
        return float(ours["ndcg"].mean()), float(theirs["ndcg"].mean()), list(ours["seed"])

    def patience(self, other: str, way: str = PRISM) -> str:
        """The patience of both sides of :meth:`change` where it differs, in a few words; empty where it does not.

        Args:
            other: the way that it is compared with.
            way: the way that is compared.
        """
        sides = common(self.runs[way], self.runs[other], ["seed"])
        ours, theirs = (LONG if runs["instead_of"].notna().any() else RunConfig.patience for runs in sides)
        return f"patience {ours} against {theirs}" if ours != theirs else ""

    def at_decay(self, decay: float) -> pd.DataFrame:
        """The runs with one decay that decide something.

        Args:
            decay: one of those that were tried.
        """
        return usable(self.decays[self.decays["weight_decay"] == decay])


def compared(dataset: str, loss: str, results: Path | str | None = None) -> Compared:
    """What each way gives on a dataset, for a loss.

    The tuned decay is the one that the search of Table 1 chose, which compares the two best at all seeds and goes
    beyond the edges of its grid. Where no run of it decides anything, or nothing was searched at these parameters of
    the loss, it is the one with the highest validation NDCG@20 at the first seed, of 1e-8 to 1e-4 in factors of ten.

    Args:
        dataset: name of the dataset.
        loss: name of the loss.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> [len(runs) for runs in compared("gowalla", "ssm", "no folder").runs.values()]
    [3, 3, 3, 3, 3, 3]
    """
    folder = default_results() if results is None else Path(results)
    fields = {
        NONE: {"weight_decays": 0.0},
        FIXED: {"weight_decays": FIXED_DECAY},
        STRONG: {"weight_decays": STRONG_DECAY},
        PRISM: {"weight_decays": 0.0, "init": "prism", "alpha": 1.0},
        SGD: {"weight_decays": 0.0, "optimizer": "sgd", "lr": SGD_RATE},
    }
    runs = {
        name: analysis.measured(folder, grid_configs(dataset, loss, seeds=SEEDS, **arguments))  # type: ignore[arg-type]
        for name, arguments in fields.items()
    }
    planned, undecided = grid_configs(dataset, loss, ALL_DECAYS[1:], seeds=SEEDS), None
    decays = analysis.measured(folder, planned)
    searched = decays
    search = decay_vs_prism.pair(dataset, "mf", loss, folder).decay
    if search is not None and search.chosen.loss_parameters == planned[0].loss_parameters:
        if search.usable():
            searched = analysis.measured(folder, grid_configs(dataset, loss, search.chosen.weight_decay, seeds=SEEDS))
        else:
            undecided = search.chosen.weight_decay
    at_first = analysis.first_seed(searched)
    candidates = at_first if usable(at_first).empty else usable(at_first)
    chosen = candidates.iloc[0] if candidates["run"].isna().all() else analysis.best(candidates)
    runs[TUNED] = searched[searched["weight_decay"] == chosen["weight_decay"]]
    if chosen["weight_decay"] == undecided:
        undecided = None
    by_way = {name: runs[name].reset_index(drop=True) for name in (*WAYS, STRONG)}
    return Compared(dataset, loss, by_way, decays, undecided, *_with_patience(dataset, loss, folder))


def _with_patience(dataset: str, loss: str, folder: Path) -> tuple[Difference | None, bool]:
    """PRISM against decay where both were run with more patience, and whether the limit of epochs ended PRISM's run."""
    long = [changed for _, changed in protocol_pairs("patience", dataset)]
    long = [config for config in long if (config.backbone, config.loss) == ("mf", loss)]
    prism, decay = ([config for config in long if (config.init == "prism") == ours] for ours in (True, False))
    change = comparison(prism, decay, folder) if len(prism) == len(decay) else None
    ended = analysis.measured(folder, prism)["stopped_by"].eq("max_epochs").any() if prism else False
    return (None if change is None else as_share(change)), bool(ended)


def scored_with_lengths(
    dataset: str,
    results: Path | str | None = None,
    loss: str = "directau",
    weight_decay: float = 0.0,
    init: str = "xavier",
) -> list[Record]:
    """The stored runs of a loss by Adam whose items got other lengths when they were scored.

    Their best epoch is that of a validation with such lengths.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
        loss: name of the loss.
        weight_decay: the coupled decay of the training.
        init: how the tables start, ``"xavier"`` or ``"prism"``.

    >>> scored_with_lengths("gowalla", "no folder")
    []
    """
    return [
        record
        for record in analysis.records(of_the_law(dataset, results, loss))
        if record is not None
        and record["config"].get("length_exponent") is not None
        and (record["config"]["weight_decay"], record["config"]["init"]) == (weight_decay, init)
    ]


def decoupled(dataset: str, results: Path | str | None = None) -> list[Record]:
    """The stored runs of DirectAU by AdamW, whose decay is decoupled from the gradient.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> decoupled("gowalla", "no folder")
    []
    """
    found = analysis.records(of_the_law(dataset, results))
    return [each for each in found if each is not None and each["config"]["decay_scope"] == "decoupled"]


def decayed_at_another_rate(dataset: str, results: Path | str | None = None) -> list[Record]:
    """The stored runs of DirectAU by Adam with coupled decay at another learning rate than the paper's, of the law.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> decayed_at_another_rate("gowalla", "no folder")
    []
    """
    planned = [
        each
        for each in configs("law", dataset)
        if (each.backbone, each.loss, each.optimizer, each.decay_scope) == ("mf", "directau", "adam", "table")
        and each.weight_decay > 0
        and each.lr != RunConfig.lr
    ]
    found = analysis.records(analysis.measured(default_results() if results is None else Path(results), planned))
    return [record for record in found if record is not None]


def of_the_law(dataset: str, results: Path | str | None = None, loss: str = "directau") -> pd.DataFrame:
    """The runs behind :func:`scored_with_lengths` and :func:`decoupled`, as a table.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
        loss: name of the loss.
    """
    planned = [
        each
        for each in configs("law", dataset)
        if (each.backbone, each.loss, each.optimizer) == ("mf", loss, "adam")
        and (each.decay_scope == "decoupled") != (each.length_exponent is not None)
    ]
    return analysis.measured(default_results() if results is None else Path(results), planned)


def rescored(each: Compared, decay: float = 0.0) -> list[Record]:
    """The stored runs with one decay of which it is known what lengths put on at scoring give.

    Args:
        each: the ways on a dataset, for a loss.
        decay: the weight decay; 0 is none.

    >>> rescored(compared("gowalla", "directau", "no folder"))
    []
    """
    runs = each.at_decay(decay) if decay else each.runs[NONE]
    return [record for record in analysis.records(runs) if record is not None and "lengths" in record]
