"""Ways to train one model, as someone would who asks whether to use PRISM: what each gives on a dataset, for a loss.

Apart from what a way names, all are alike: matrix factorisation, the loss's parameters at their published or tuned
values, the learning rate of the paper, and every seed that was run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from prismbook.plan.experiments import ALL_DECAYS, PAPER_DATASETS, SEEDS, configs, grid_configs
from prismbook.runs.records import Record, default_results
from prismbook.tables import analysis, decay_vs_prism
from prismbook.tables.endings import EARLY
from prismbook.tables.rules import Difference
from prismbook.tables.seed_differences import collapsed_runs, relative_difference, usable
from prismbook.text import plural

NONE, FIXED, TUNED, PRISM, SGD = "no decay", "decay 1e-6, not tuned", "tuned decay", "PRISM", "plain SGD, no decay"
#: The ways, in the order in which they are shown.
WAYS = (NONE, FIXED, TUNED, PRISM, SGD)
#: A strong decay that nobody tuned, which is in sentences alone.
STRONG = "decay 1e-4, not tuned"
#: The losses, of angles first.
LOSSES = ("directau", "ssm", "mawu", "bpr")
#: The datasets on which they are compared.
DATASETS = PAPER_DATASETS[:3]
#: The decays that nobody tuned, and the learning rate of plain SGD.
FIXED_DECAY, STRONG_DECAY, SGD_RATE = 1e-6, 1e-4, 30.0


@dataclass(frozen=True)
class Compared:
    """The ways on one dataset, for one loss.

    Attributes:
        dataset: name of the dataset.
        loss: name of the loss.
        runs: for each of :data:`WAYS`, and for :data:`STRONG`, its runs, one row per seed, a table of
            :func:`prismbook.tables.analysis.measured`.
        undecided: the decay that the search of Table 1 chose, where its runs decide nothing and another one is shown;
            None where the tuned decay is the search's.
    """

    dataset: str
    loss: str
    runs: dict[str, pd.DataFrame]
    undecided: float | None = None

    def shown(self, way: str) -> pd.DataFrame:
        """The runs whose mean is shown: those that decide something, else all that were made.

        Args:
            way: one of :data:`WAYS`.
        """
        runs = self.runs[way]
        decides = usable(runs)
        return decides if len(decides) else runs[runs["run"].notna()]

    def setback(self, way: str) -> str:
        """Why none of a way's runs decides anything, in a few words; empty where one does, or where none was made.

        Args:
            way: one of :data:`WAYS`.
        """
        shown = self.shown(way)
        if shown.empty or len(usable(shown)):
            return ""
        if collapsed := len(collapsed_runs(shown)):
            return f"never learned at {collapsed} of {plural(len(shown), 'seed')}"
        limited = shown["stopped_by"] == "max_epochs"
        return "cut off by the limit of epochs" if limited.any() else f"stopped in its first {EARLY} epochs"

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
    search = decay_vs_prism.pair(dataset, "mf", loss, folder).decay
    if search is not None and search.chosen.loss_parameters == planned[0].loss_parameters:
        if search.usable():
            planned = grid_configs(dataset, loss, search.chosen.weight_decay, seeds=SEEDS)
        else:
            undecided = search.chosen.weight_decay
    searched = analysis.measured(folder, planned)
    at_first = analysis.first_seed(searched)
    candidates = at_first if usable(at_first).empty else usable(at_first)
    chosen = candidates.iloc[0] if candidates["run"].isna().all() else analysis.best(candidates)
    runs[TUNED] = searched[searched["weight_decay"] == chosen["weight_decay"]]
    if chosen["weight_decay"] == undecided:
        undecided = None
    return Compared(dataset, loss, {name: runs[name].reset_index(drop=True) for name in (*WAYS, STRONG)}, undecided)


def scored_with_lengths(dataset: str, results: Path | str | None = None, loss: str = "directau") -> list[Record]:
    """The stored runs of a loss by Adam without decay whose items got other lengths when they were scored.

    Their best epoch is that of a validation with such lengths.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
        loss: name of the loss.

    >>> scored_with_lengths("gowalla", "no folder")
    []
    """
    planned = [
        each
        for each in configs("law", dataset)
        if (each.backbone, each.loss, each.optimizer, each.init) == ("mf", loss, "adam", "xavier")
        and each.length_exponent is not None
        and not each.weight_decay
    ]
    runs = analysis.measured(default_results() if results is None else Path(results), planned)
    return [record for record in analysis.records(runs) if record is not None]
