"""The paper's experiments as plain data: from an experiment's name to the list of its run configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prismlib.config import RunConfig

# The losses' own parameters: the paper's, or published by their authors for the dataset; elsewhere plain ones
LOSS_DEFAULTS: dict[str, dict[str, Any]] = {
    "ssm": {"tau": 0.2, "num_negatives": 10},
    "directau": {"gamma": 1.0},
    "mawu": {"gamma_user": 1.0, "gamma_item": 1.0},
    "ipl": {"ipl_c": 1.0, "ipl_b": 1.5},
    "resn": {"resn_beta": 0.01},
    "macr": {"macr_alpha": 1e-2, "macr_beta": 1e-3, "macr_c": 40.0},
}
PUBLISHED: dict[tuple[str, str], dict[str, Any]] = {
    ("directau", "gowalla"): {"gamma": 5.0},
    ("directau", "yelp2018"): {"gamma": 1.0},
    ("mawu", "gowalla"): {"gamma_user": 2.6, "gamma_item": 1.4},
    ("mawu", "yelp2018"): {"gamma_user": 0.8, "gamma_item": 0.6},
    ("ipl", "movielens1m"): {"ipl_c": 1.0, "ipl_b": 1.826},
    ("ipl", "gowalla"): {"ipl_c": 1.0, "ipl_b": 1.285},
    ("ipl", "yelp2018"): {"ipl_c": 1.0, "ipl_b": 1.552},
    ("ipl", "amazonbook"): {"ipl_c": 1.0, "ipl_b": 1.446},
}

# RQ1 as this project runs it; what is not named takes the default below
WEIGHT_DECAYS = {"synthetic": (0.0, 1e-5, 1e-4), "gowalla": (0.0, 1e-6, 1e-5, 1e-4)}
EPOCHS = {"synthetic": {"bpr": 100, "directau": 100}, "gowalla": {"bpr": 1000, "directau": 100}}


def rq1_configs(
    dataset: str,
    losses: str | Iterable[str] = ("bpr", "directau"),
    weight_decays: float | Iterable[float] | None = None,
    seeds: int | Iterable[int] = (123,),
    epochs: int | Mapping[str, int] | None = None,
    **common: Any,
) -> list[RunConfig]:
    """RQ1, "is weight decay necessary?" (Section 3.1.1, Figure 1): every loss at every decay and seed.

    Args:
        losses, weight_decays, seeds: one, or several; ``weight_decays`` None is this project's grid for the dataset.
        epochs: at most so many, for all losses or for each by its name; None is this project's for the dataset.
        common: further fields of :class:`~prismlib.config.RunConfig`, the same for all runs.

    >>> [(c.loss, c.weight_decay, c.max_epochs) for c in rq1_configs("gowalla", ["bpr"], [0, 1e-6])]
    [('bpr', 0.0, 1000), ('bpr', 1e-06, 1000)]
    """
    if weight_decays is None:
        weight_decays = WEIGHT_DECAYS.get(dataset, (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4))
    if epochs is None:
        epochs = EPOCHS.get(dataset, 1000)
    return [
        RunConfig(
            dataset=dataset,
            loss=loss,
            weight_decay=weight_decay,
            seed=seed,
            split_seed=seed,
            max_epochs=epochs if isinstance(epochs, int) else epochs.get(loss, 1000),
            **PUBLISHED.get((loss, dataset), LOSS_DEFAULTS.get(loss, {})),
            **common,
        )
        for loss in _listed(losses)
        for weight_decay in _listed(weight_decays)
        for seed in _listed(seeds)
    ]


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | int | float) else list(value)
