"""Searches: grids from which validation NDCG@20 chooses, and budgets, which say how much is searched and run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from prismbook.plan.config import RunConfig, checked
from prismbook.plan.grid import ALL_DECAYS
from prismbook.plan.hyperparameters import TUNED_FOR_PRISM, loss_grid, tuned_parameters
from prismbook.plan.lists import EXPERIMENTS, FURTHER_DATASETS, SEEDS, TABLE1


@dataclass(frozen=True)
class Budget:
    """How much of an experiment is run.

    Attributes:
        seeds: the seeds of the configuration that a search has chosen.
        tuning_seeds: the seeds of every configuration of a grid.
        lrs: the learning rates of a grid.
        weight_decays: the weight decays of a grid.
        curve: the weight decays along a curve; None takes this project's for the dataset.
        curve_seeds: the seeds of every point of a curve.
        fields: further fields of every run.
        at_decay: None searches every pair of a weight decay and the loss's parameters. A weight decay searches one of
            the two at a time: the loss's parameters at this decay, and every decay at the loss's parameters of
            :func:`~prismbook.plan.hyperparameters.tuned_parameters` and at those that PRISM chose. Either way at
            every learning rate.
        beyond: further values of a field, by which a grid grows where its best is at an edge, see
            :meth:`Search.beyond_edge`.
    """

    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    lrs: tuple[float, ...]
    weight_decays: tuple[float, ...]
    curve: tuple[float, ...] | None
    curve_seeds: tuple[int, ...]
    fields: Mapping[str, Any]
    at_decay: float | None = None
    beyond: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


#: The values outside the paper's ranges that a search goes on to where the best is the last of its range.
BEYOND = {"weight_decay": (1e-3, 1e-2), "gamma": (0.05, 0.1, 20.0, 50.0)}
#: How much is searched and run, ``"smoke"``, ``"lean"`` or ``"paper"``.
BUDGETS = {
    # synthetic data, about a minute: shows that everything works, and no more
    "smoke": Budget(
        seeds=SEEDS[:2],
        tuning_seeds=SEEDS[:1],
        lrs=(1e-3,),
        weight_decays=(0.0, 1e-4),
        curve=(0.0, 1e-4),
        curve_seeds=SEEDS[:1],
        fields={"dim": 8, "epochs": 2},
    ),
    # the learning rate that is tried first is the one that the paper's authors found to serve best
    "lean": Budget(
        seeds=SEEDS,
        tuning_seeds=SEEDS[:1],
        lrs=(1e-3, 1e-2),
        weight_decays=ALL_DECAYS,
        curve=None,
        curve_seeds=SEEDS[:1],
        fields={},
        at_decay=1e-4,
        beyond=BEYOND,
    ),
    "paper": Budget(
        seeds=SEEDS,
        tuning_seeds=SEEDS,
        lrs=(1e-3, 1e-2, 1e-1),
        weight_decays=ALL_DECAYS,
        curve=ALL_DECAYS,
        curve_seeds=SEEDS,
        fields={"epochs": 1000},
        beyond=BEYOND,
    ),
}


@dataclass(frozen=True)
class Search:
    """A grid from which validation NDCG@20 chooses one configuration.

    Attributes:
        name: the backbone, the loss and the method, e.g. ``"mf-bpr-decay"``.
        grid: the configurations to choose from.
        seeds: the seeds at which the two best configurations are run before one of them is chosen.
        beyond: further values of a field, by which the grid grows where its best is at an edge.
    """

    name: str
    grid: tuple[RunConfig, ...]
    seeds: tuple[int, ...]
    beyond: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def at_rates(self, rates: Collection[float]) -> Search:
        """The part of the search at some learning rates."""
        return replace(self, grid=tuple(config for config in self.grid if config.lr in rates))

    def beyond_edge(self, best: RunConfig) -> tuple[RunConfig, ...]:
        """The configurations by which the grid grows where its best is at an edge; none where the best is inside.

        The grid grows by the next value of the field, beside the best, at every seed of the grid. A field with one
        value is not searched and has no edge. Nothing lies below 0, which is therefore no edge.

        >>> decays = [RunConfig("gowalla", "ssm", tau=0.2, num_negatives=10, weight_decay=x) for x in (0, 1e-5, 1e-4)]
        >>> search = Search("mf-ssm-decay", tuple(decays), SEEDS, BEYOND)
        >>> [config.weight_decay for config in search.beyond_edge(decays[2])], search.beyond_edge(decays[1])
        ([0.001], ())
        """
        changes: list[dict[str, Any]] = [
            {name: value}
            for name, further in self.beyond.items()
            for value in _next(getattr(best, name), {getattr(config, name) for config in self.grid}, further)
        ]
        seeds = dict.fromkeys(config.seed for config in self.grid)
        return tuple(replace(best, seed=seed, split_seed=seed, **change) for change in changes for seed in seeds)


def _next(best: float, searched: Collection[float], further: Collection[float]) -> list[float]:
    """The value next to the best among further ones, as a list; empty where the best is at no edge of the searched."""
    if len(searched) < 2:
        return []
    if best == max(searched):
        return sorted(value for value in further if value > best)[:1]
    return sorted(value for value in further if value < best)[-1:] if best == min(searched) else []


def searches(experiment: str, dataset: str, budget: str = "lean", **common: Any) -> list[Search]:
    """The searches of an experiment; an empty list where it tunes nothing.

    Table 1 has two searches per backbone and loss. The first tunes weight decay, over learning rates, weight decays and
    the loss's parameters. The second is PRISM with alpha = 1, over the same without weight decay. Both try the same
    learning rates. The budget says whether every pair of a weight decay and the loss's parameters is tried, or one of
    the two at a time.

    Raises:
        ValueError: as of :func:`prismbook.plan.experiments.configs`.

    >>> [(search.name, len(search.grid)) for search in searches("table1", "gowalla")[4:6]]
    [('mf-directau-decay', 22), ('mf-directau-prism', 12)]
    """
    size = budget_of(experiment, dataset, budget)
    if experiment != "table1":
        return []
    fields: dict[str, Any] = {**size.fields, **common}
    fields["max_epochs"] = checked("max_epochs", fields.pop("epochs", 1000), "epochs")
    return [
        Search(
            f"{backbone}-{loss}-{method}",
            _table1_grid(dataset, backbone, loss, method, budget, fields),
            size.seeds,
            # PRISM has no weight decay, and a pair of parameters has no order
            {name: values for name, values in size.beyond.items() if name in _ordered(loss, method)},
        )
        for backbone, loss, method in product(*TABLE1.values())
        if backbone == "mf" or dataset not in FURTHER_DATASETS
    ]


def _ordered(loss: str, method: str) -> tuple[str, ...]:
    """The fields of a search of Table 1 that have an order, and so an edge."""
    decay = ("weight_decay",) if method == "decay" else ()
    return (*decay, "gamma") if loss == "directau" else decay


def _table1_grid(
    dataset: str, backbone: str, loss: str, method: str, budget: str, fields: Mapping[str, Any]
) -> tuple[RunConfig, ...]:
    """The grid of one search of Table 1: learning rates x weight decays x the loss's parameters x seeds."""
    size = BUDGETS[budget]
    plain = tuned_parameters(dataset, backbone, loss)
    # the parameters at which every decay is tried
    centres = (plain, TUNED_FOR_PRISM.get((dataset, backbone, loss)))
    candidates = [plain] if budget == "smoke" else loss_grid(dataset, loss, backbone)
    prism: dict[str, Any] = {"init": "prism", "alpha": 1.0} if method == "prism" else {}
    return tuple(
        RunConfig(
            dataset=dataset,
            loss=loss,
            backbone=backbone,
            lr=lr,
            weight_decay=decay,
            seed=seed,
            split_seed=seed,
            **parameters,
            **prism,
            **fields,
        )
        for lr, decay, parameters, seed in product(
            size.lrs, (0.0,) if prism else size.weight_decays, candidates, size.tuning_seeds
        )
        if prism or size.at_decay in (None, decay) or parameters in centres
    )


def budget_of(experiment: str, dataset: str, budget: str) -> Budget:
    """A budget by its name, for an experiment on a dataset; a ValueError where one of the names is not known."""
    dataset = checked("dataset", dataset)
    names = (*EXPERIMENTS, "table1")
    if experiment not in names:
        raise ValueError(f"experiment must be one of {', '.join(names)}, got {experiment!r}")
    if budget not in tuple(BUDGETS):
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, got {budget!r}")
    if budget == "smoke" and dataset != "synthetic":
        raise ValueError(f"the budget smoke is for dataset='synthetic' alone, got {dataset!r}")
    return BUDGETS[budget]
