"""The paper's experiments as plain data: from names (experiment, dataset, budget) to lists of run configurations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from prismbook.plan.config import PROTOCOLS, RunConfig, checked
from prismbook.plan.hyperparameters import LOSS_DEFAULTS, LOSS_GRIDS, TUNED_FOR_PRISM, loss_grid, tuned_parameters

#: The datasets of the paper, in the order of its tables.
PAPER_DATASETS = ("movielens1m", "gowalla", "yelp2018", "amazonbook")
#: Further datasets, with the experiments that are planned on each. Of Table 1 these have the rows of linear MF alone.
FURTHER_DATASETS: dict[str, tuple[str, ...]] = {
    "movielens1m-all": ("all-ratings",),
    "amazoncds": ("rq1", "table1", "law"),
    "amazonbook-partial": ("rq1", "table1"),
}
ALL_DECAYS = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# What RQ1 takes where nothing is asked for, by dataset. Synthetic data is small and learns fast.
LRS = {"synthetic": 1e-2}
WEIGHT_DECAYS = {"synthetic": (0.0, 1e-5, 1e-4)}
EPOCHS = {"synthetic": 40}


def grid_configs(
    dataset: str,
    losses: str | Iterable[str] = ("bpr", "directau"),
    weight_decays: float | Iterable[float] | None = None,
    seeds: int | Iterable[int] = (123,),
    epochs: int | None = None,
    lr: float | None = None,
    split_seed: int | None = None,
    **common: Any,
) -> list[RunConfig]:
    """The grid of RQ1, "is weight decay necessary?" (Section 3.1.1, Figure 1): every loss at every decay and seed.

    Args:
        dataset: the name of a dataset.
        losses: one loss or several.
        weight_decays: one weight decay or several; None takes this project's for the dataset.
        seeds: one seed or several.
        epochs: the largest number of epochs; None takes this project's for the dataset.
        lr: the learning rate; None takes this project's for the dataset.
        split_seed: the seed of the split of all runs; None takes each run's seed.
        common: further fields of :class:`~prismbook.plan.config.RunConfig`, the same for all runs.

    Raises:
        ValueError: a value of another type or out of range. The message names the argument and what it accepts.

    >>> [(c.loss, c.weight_decay, c.max_epochs) for c in grid_configs("gowalla", ["bpr"], [0, 1e-6])]
    [('bpr', 0.0, 1000), ('bpr', 1e-06, 1000)]
    """
    dataset = checked("dataset", dataset)
    epochs = checked("max_epochs", EPOCHS.get(dataset, 1000) if epochs is None else epochs, "epochs")
    lr = checked("lr", LRS.get(dataset, 1e-3) if lr is None else lr)
    if weight_decays is None:
        weight_decays = WEIGHT_DECAYS.get(dataset, ALL_DECAYS)
    loss_names = [checked("loss", loss, "losses") for loss in as_list(losses)]
    decays = [checked("weight_decay", decay, "weight_decays") for decay in as_list(weight_decays)]
    run_seeds = [checked("seed", seed, "seeds") for seed in as_list(seeds)]
    backbone = checked("backbone", common.get("backbone", "mf"))
    return [
        RunConfig(
            dataset=dataset,
            loss=loss,
            weight_decay=decay,
            seed=seed,
            split_seed=seed if split_seed is None else split_seed,
            lr=lr,
            max_epochs=epochs,
            **tuned_parameters(dataset, backbone, loss) | common,
        )
        for loss in loss_names
        for decay in decays
        for seed in run_seeds
    ]


def as_list(value: Any) -> list[Any]:
    """One value or several, as a list: a notebook's ``-p losses ssm`` means the same as ``[ssm]``.

    Args:
        value: one value, or an iterable of values. Text is one value.

    >>> as_list("ssm"), as_list(1e-6), as_list((0.0, 1e-4))
    (['ssm'], [1e-06], [0.0, 0.0001])
    """
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


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


SEEDS = (123, 246, 492)
#: The values outside the paper's ranges that a search goes on to where the best is the last of its range.
BEYOND = {"weight_decay": (1e-3, 1e-2), "gamma": (0.05, 0.1, 20.0, 50.0)}
#: How much is searched and run, ``"smoke"``, ``"lean"`` or ``"paper"``.
BUDGETS = {
    # synthetic data, about a minute: shows that everything works, and no more
    "smoke": Budget(SEEDS[:2], SEEDS[:1], (1e-3,), (0.0, 1e-4), (0.0, 1e-4), SEEDS[:1], {"dim": 8, "epochs": 3}),
    # the learning rate that is tried first is the one that the paper's authors found to serve best
    "lean": Budget(SEEDS, SEEDS[:1], (1e-3, 1e-2), ALL_DECAYS, None, SEEDS[:1], {}, at_decay=1e-4, beyond=BEYOND),
    "paper": Budget(SEEDS, SEEDS, (1e-3, 1e-2, 1e-1), ALL_DECAYS, ALL_DECAYS, SEEDS, {"epochs": 1000}, beyond=BEYOND),
}


def _released(name: str) -> dict[str, Any]:
    return {name: PROTOCOLS["released"][name]}


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
        """The part of the search at some learning rates.

        Args:
            rates: the learning rates.
        """
        return replace(self, grid=tuple(config for config in self.grid if config.lr in rates))

    def beyond_edge(self, best: RunConfig) -> tuple[RunConfig, ...]:
        """The configurations by which the grid grows where its best is at an edge; none where the best is inside.

        The grid grows by the next value of the field, beside the best, at every seed of the grid. A field with one
        value is not searched and has no edge. Nothing lies below 0, which is therefore no edge.

        Args:
            best: the best configuration of the grid, at any of the grid's seeds.

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


_NEGATIVES, _MACR, _WAIT = {"num_negatives": 20}, {"macr_c": 1.0}, {"patience": 100}
# what is compared with a run that differs in one field takes the plain parameters on every dataset
_DIRECTAU, _MAWU = ({"losses": loss, **LOSS_DEFAULTS[loss]} for loss in ("directau", "mawu"))
_PRISM: dict[str, Any] = {"weight_decays": 0.0, "init": "prism", "alpha": 1.0}
#: Each departure of the released code from the paper's text, by what it does. The first value is the run that shows it,
#: as arguments to :func:`grid_configs`. The second is the switch that makes a run do the same. Where any loss would do,
#: the loss is a cheap one.
SWITCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the perceptron's ReLU is computed and discarded": (
        {"losses": "ssm", "backbone": "nonlinear-mf"},
        _released("relu"),
    ),
    "negatives are drawn from the batch's items": ({"losses": "bpr"}, _released("negatives")),
    "batches are not shuffled again": ({"losses": "bpr"}, _released("reshuffle")),
    "half of MAWU's cosine matrix counts as zeros": (_MAWU, _released("mawu_uniformity")),
    "the last user is left out of the mean": ({"losses": "bpr"}, _released("drop_last_user")),
    "popularity groups are counted on all data": ({"losses": "bpr"}, _released("groups_from")),
    "SSM has 20 negatives": ({"losses": "ssm"}, _NEGATIVES),
    "IPL's scores land on the wrong items": ({"losses": "ipl"}, _released("ipl_form")),
    "MACR ranks with c = 1": ({"losses": "macr"}, _MACR),
    "MACR's item branch weighs 0.001": ({"losses": "macr", **_MACR}, {"macr_alpha": 1e-3}),
    "MACR's branches start Xavier-normal": ({"losses": "macr", **_MACR}, {"macr_start": "normal"}),
}
# The debiasing baselines over what is published of their parameters, and DirectAU at every decay beside them
_DEBIAS: list[dict[str, Any]] = [
    {"losses": ("bpr", "ipl"), "weight_decays": 1e-6},
    # its authors publish b for each dataset, and no range for c: a tenth and ten times the plain one
    *({"losses": "ipl", "weight_decays": 1e-6, "ipl_c": c} for c in (0.1, 10.0)),
    *({"losses": "resn", "weight_decays": 1e-6, "resn_beta": beta} for beta in (1e-4, 1e-3, 1e-2, 1e-1)),
    # its authors run alpha 1e-3 and 1e-2 and c 30 and 40, which ranks almost nothing right on these data; the released
    # script of PRISM has c = 1
    *(
        {"losses": "macr", "weight_decays": 1e-6, "macr_alpha": alpha, "macr_c": c}
        for alpha in (1e-2, 1e-3)
        for c in (1.0, 30.0, 40.0)
    ),
    {"losses": "directau"},
    {"losses": "directau", **_PRISM},
]
#: The validation that lengths put on at scoring need: raw dot products end a training without decay in a dip. Which
#: exponent the validation ranks with matters little, since every one is at its best at about the same epoch.
_SCORED = {"length_exponent": 0.25}
#: The law of lengths (this project's): optimisers without decay from the same tables, the rates of plain SGD, and the
#: trainings whose items get other lengths at scoring. Every run keeps what it scores with each exponent.
_LAW = [
    {"losses": "directau", "weight_decays": 0.0, "seeds": SEEDS, **fields}
    for fields in (
        {"optimizer": "sgd", "lr": 30.0},
        _SCORED,
        {"optimizer": "rowwise_adagrad", "lr": 0.1},
        {"optimizer": "sgd_momentum", "lr": 3.0},
        {"optimizer": "sparse_adam"},
    )
] + [
    {"losses": "directau", **fields}
    for fields in (
        *({"decay_scope": "decoupled", "weight_decays": decay} for decay in (0.1, 0.3)),
        *({"optimizer": "sgd", "weight_decays": 0.0, "lr": lr} for lr in (100.0, 10.0, 300.0, 3.0, 1.0)),
        *({"optimizer": "rowwise_adagrad", "weight_decays": 0.0, "lr": lr} for lr in (0.03, 0.3)),
        {"optimizer": "sgd", "weight_decays": 1e-5, "lr": 30.0},
        {"optimizer": "sgd", "lr": 30.0, **_PRISM},
        {"weight_decays": 1e-5, **_SCORED},
        {**_PRISM, **_SCORED},
        {"weight_decays": 1e-7, "lr": 1e-2},  # as 1e-5 at 1e-3, by the law: one product of lr squared and decay
        {"backbone": "lightgcn", "weight_decays": 0.0, **_SCORED},
        {"backbone": "nonlinear-mf", "weight_decays": 0.0, **_SCORED},
    )
] + [
    {"losses": loss, "weight_decays": 0.0, **fields}
    for loss in ("ssm", "mawu", "bpr")
    for fields in ({"optimizer": "sgd", "lr": 30.0}, _SCORED)
]  # fmt: skip
#: What each experiment trains, as arguments to :func:`grid_configs`. What is not named comes from the budget. Table 1
#: is a search, see :func:`searches`.
EXPERIMENTS: dict[str, list[dict[str, Any]]] = {
    "rq1": [{"losses": ("bpr", "directau")}],  # Figure 1
    "rq1-losses": [{"losses": ("ssm", "mawu")}],  # Figure 10
    "rq1-nonlinear": [{"losses": tuple(LOSS_GRIDS), "backbone": "nonlinear-mf"}],  # Figure 11
    "rq2": [{"losses": ("bpr", "directau")}],  # Figure 2: the norms that RQ1's runs end with
    "batched": [{"losses": "directau", "decay_scope": "batch"}],  # Figure 3
    "rq4": [{"losses": "directau", **_PRISM, "alpha": alpha} for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)],  # Figures 4, 5
    "rq4-decay": [{"losses": "directau"}],  # what they are compared with
    "cosine": [{"losses": "directau"}],  # Figure 6: both validation curves of RQ1's runs
    "lightgcn": [{"losses": "directau", "backbone": "lightgcn"}],  # Figure 8
    "debias": _DEBIAS,  # Figure 9
    "debias-seeds": [arguments | {"seeds": SEEDS} for arguments in _DEBIAS],
    # not in the paper: options for speed that change results, see twin_pairs
    "speed": [
        {**_DIRECTAU, "weight_decays": 1e-4, "precision": "bfloat16"},
        {**_DIRECTAU, **_PRISM, "precision": "bfloat16"},
        {**_DIRECTAU, **_PRISM, "optimizer": "sparse_adam"},
        {"losses": "bpr", "weight_decays": 0.0, "optimizer": "sparse_adam"},
    ],
    # the lower half of Table 1 as the released code runs it, where the perceptron is linear, see twin_pairs
    "released": [
        {"losses": loss, "backbone": "nonlinear-mf", **method, **PROTOCOLS["released"]}
        for loss, decay in (("ssm", 1e-6), ("directau", 1e-4))
        for method in ({"weight_decays": decay}, _PRISM)
    ],
    # not in the paper: would runs that its stopping rule ends early have improved later?
    "patience": [
        {"losses": "bpr", **_PRISM, **_WAIT},
        *({"losses": "ssm", **method, **_WAIT} for method in ({"weight_decays": 1e-4}, _PRISM)),
        # at every seed: on MovieLens1M a dip ends two of them
        {"losses": "ssm", "backbone": "nonlinear-mf", **_PRISM, **_WAIT, "seeds": SEEDS},
        {"losses": "directau", "backbone": "nonlinear-mf", **_PRISM, **_WAIT},
    ],
    # the released code's loader keeps all ratings of MovieLens 1M, see all_ratings_pairs
    "all-ratings": [
        {"losses": loss, **parameters, **method}
        for loss, parameters, decay in (("ssm", {}, 1e-4), ("directau", {"gamma": 0.5}, 1e-5))
        for method in ({"weight_decays": decay}, _PRISM)
    ],
    "law": _LAW,
    # each switch of the released code alone, after the same run as in the paper's text
    "switches": [
        {"weight_decays": 1e-6, **arguments, **fields}
        for arguments, switch in SWITCHES.values()
        for fields in ({}, switch)
    ],
}
_DEFAULTS = vars(RunConfig(dataset="synthetic", loss="bpr"))
#: The fields that the runs of these experiments change, with the values of the paper's protocol.
TWINS: dict[str, dict[str, Any]] = {
    "speed": {"precision": "float32", "optimizer": "adam"},
    "patience": {"patience": 10},
    "released": {name: _DEFAULTS[name] for name in PROTOCOLS["released"]},
}
TABLE1 = {"backbone": ("mf", "nonlinear-mf"), "loss": tuple(LOSS_GRIDS), "method": ("decay", "prism")}


def configs(experiment: str, dataset: str, budget: str = "lean", **common: Any) -> list[RunConfig]:
    """The runs of an experiment that are known beforehand. Of a search, these are the runs of its grid.

    Args:
        experiment: a name of :data:`EXPERIMENTS`, or ``"table1"``.
        dataset: the name of a dataset.
        budget: ``"smoke"``, ``"lean"`` or ``"paper"``, see :data:`BUDGETS`.
        common: further fields of every run, e.g. ``device="cuda"``, or ``epochs``.

    Raises:
        ValueError: an unknown name, the smoke budget for a dataset that is not synthetic, or a value that
            :class:`~prismbook.plan.config.RunConfig` does not accept.

    >>> [config.alpha for config in configs("rq4", "gowalla")]
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> len(configs("table1", "gowalla")), len(configs("table1", "gowalla", "paper"))
    (162, 1134)
    """
    size = _budget(experiment, dataset, budget)
    if experiment == "table1":
        runs = [config for search in searches(experiment, dataset, budget, **common) for config in search.grid]
    else:
        defaults = {"weight_decays": size.curve, "seeds": size.curve_seeds}
        fixed = {**size.fields, **common}
        runs = [
            config
            for arguments in EXPERIMENTS[experiment]
            for config in grid_configs(dataset, **defaults | arguments | fixed)
        ]
    return list(dict.fromkeys(runs))


def switch_pairs(dataset: str, budget: str = "lean", **common: Any) -> dict[str, tuple[RunConfig, RunConfig]]:
    """Each departure of :data:`SWITCHES` as two runs: as in the paper's text, and as in the released code.

    Args:
        dataset: the name of a dataset.
        budget: ``"smoke"``, ``"lean"`` or ``"paper"``, see :data:`BUDGETS`.
        common: further fields of every run, e.g. ``device="cuda"``, or ``epochs``.

    >>> text, released = switch_pairs("gowalla")["SSM has 20 negatives"]
    >>> text.num_negatives, released.num_negatives
    (10, 20)
    """
    fixed = {"weight_decays": 1e-6, "seeds": _budget("switches", dataset, budget).curve_seeds[:1], **common}
    pairs = {}
    for name, (arguments, switch) in SWITCHES.items():
        text = grid_configs(dataset, **arguments | fixed)[0]
        released = grid_configs(dataset, **arguments | switch | fixed)[0]
        pairs[name] = text, released
    return pairs


def all_ratings_pairs(budget: str = "lean", **common: Any) -> list[tuple[RunConfig, RunConfig]]:
    """Decay and PRISM on MovieLens1M as in the paper's text, each beside the same run on all ratings.

    The decays are those that validation chose on MovieLens1M.

    Args:
        budget: ``"lean"`` or ``"paper"``, see :data:`BUDGETS`.
        common: further fields of every run, e.g. ``device="cuda"``, or ``epochs``.

    >>> [(text.loss, every.dataset) for text, every in all_ratings_pairs()[::2]]
    [('ssm', 'movielens1m-all'), ('directau', 'movielens1m-all')]
    """
    text, every = (configs("all-ratings", data, budget, **common) for data in ("movielens1m", "movielens1m-all"))
    return list(zip(text, every, strict=True))


def twin_pairs(experiment: str, dataset: str, budget: str = "lean", **common: Any) -> list[tuple[RunConfig, RunConfig]]:
    """The runs of an experiment of :data:`TWINS`, each after the same run by the paper's protocol.

    Args:
        experiment: a name of :data:`TWINS`.
        dataset: the name of a dataset.
        budget: ``"smoke"``, ``"lean"`` or ``"paper"``, see :data:`BUDGETS`.
        common: further fields of every run, e.g. ``device="cuda"``, or ``epochs``.

    >>> [(plain.optimizer, fast.optimizer) for plain, fast in twin_pairs("speed", "movielens1m")[2:]]
    [('adam', 'sparse_adam'), ('adam', 'sparse_adam')]
    """
    return [(replace(run, **TWINS[experiment]), run) for run in configs(experiment, dataset, budget, **common)]


def searches(experiment: str, dataset: str, budget: str = "lean", **common: Any) -> list[Search]:
    """The searches of an experiment; an empty list where it tunes nothing.

    Table 1 has two searches per backbone and loss. The first tunes weight decay, over learning rates, weight decays and
    the loss's parameters. The second is PRISM with alpha = 1, over the same without weight decay. Both try the same
    learning rates. The budget says whether every pair of a weight decay and the loss's parameters is tried, or one of
    the two at a time.

    Args:
        experiment: a name of :data:`EXPERIMENTS`, or ``"table1"``.
        dataset: the name of a dataset.
        budget: ``"smoke"``, ``"lean"`` or ``"paper"``, see :data:`BUDGETS`.
        common: further fields of every run, e.g. ``device="cuda"``, or ``epochs``.

    Raises:
        ValueError: as of :func:`configs`.

    >>> [(search.name, len(search.grid)) for search in searches("table1", "gowalla")[4:6]]
    [('mf-directau-decay', 22), ('mf-directau-prism', 12)]
    """
    size = _budget(experiment, dataset, budget)
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
    candidates = [plain] if budget == "smoke" else loss_grid(dataset, loss)
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


def _budget(experiment: str, dataset: str, budget: str) -> Budget:
    dataset = checked("dataset", dataset)
    names = (*EXPERIMENTS, "table1")
    if experiment not in names:
        raise ValueError(f"experiment must be one of {', '.join(names)}, got {experiment!r}")
    if budget not in tuple(BUDGETS):
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, got {budget!r}")
    if budget == "smoke" and dataset != "synthetic":
        raise ValueError(f"the budget smoke is for dataset='synthetic' alone, got {dataset!r}")
    return BUDGETS[budget]
