"""A grid of run configurations: every loss at every decay and seed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prismbook.plan.config import RunConfig, checked
from prismbook.plan.hyperparameters import tuned_parameters

ALL_DECAYS = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# What RQ1 takes where nothing is asked for, by dataset. Synthetic data is small and learns fast.
LRS = {"synthetic": 1e-2}
WEIGHT_DECAYS = {"synthetic": (0.0, 1e-5, 1e-4)}
EPOCHS = {"synthetic": 12}


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
