"""From names (experiment, dataset, budget) to lists of run configurations, and to pairs of runs to compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prismbook.plan.config import RunConfig

# `as`: this module is the door to the plan, so that a page asks for all of it in one line
from prismbook.plan.grid import ALL_DECAYS as ALL_DECAYS
from prismbook.plan.grid import as_list as as_list
from prismbook.plan.grid import grid_configs as grid_configs
from prismbook.plan.lists import COLLAPSE as COLLAPSE
from prismbook.plan.lists import CRITICAL_DECAYS as CRITICAL_DECAYS
from prismbook.plan.lists import EXPERIMENTS as EXPERIMENTS
from prismbook.plan.lists import FURTHER_DATASETS as FURTHER_DATASETS
from prismbook.plan.lists import PAPER_DATASETS as PAPER_DATASETS
from prismbook.plan.lists import PROTOCOL_PAIRS
from prismbook.plan.lists import SEEDS as SEEDS
from prismbook.plan.lists import SWITCHES as SWITCHES
from prismbook.plan.lists import TABLE1 as TABLE1
from prismbook.plan.search import BEYOND as BEYOND
from prismbook.plan.search import BUDGETS as BUDGETS
from prismbook.plan.search import Budget as Budget
from prismbook.plan.search import Search as Search
from prismbook.plan.search import budget_of
from prismbook.plan.search import searches as searches


def configs(experiment: str, dataset: str, budget: str = "lean", **common: Any) -> list[RunConfig]:
    """The runs of an experiment that are known beforehand. Of a search, these are the runs of its grid.

    Raises:
        ValueError: an unknown name, the smoke budget for a dataset that is not synthetic, or a value that
            :class:`~prismbook.plan.config.RunConfig` does not accept.

    >>> [config.alpha for config in configs("rq4", "gowalla")]
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> len(configs("table1", "gowalla")), len(configs("table1", "gowalla", "paper"))
    (182, 1449)
    """
    size = budget_of(experiment, dataset, budget)
    if experiment == "table1":
        runs = [config for search in searches(experiment, dataset, budget, **common) for config in search.grid]
    else:
        defaults = {"weight_decays": size.curve, "seeds": size.curve_seeds}
        fixed = {**size.fields, **common}
        runs = [
            config
            for arguments in EXPERIMENTS[experiment]
            for config in grid_configs(dataset, **defaults | _on(dataset, arguments) | fixed)
        ]
    return list(dict.fromkeys(runs))


def _on(dataset: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the weight decays of one dataset, where they are given by dataset: none for one without."""
    decays = arguments.get("weight_decays")
    return {**arguments, "weight_decays": decays.get(dataset, ())} if isinstance(decays, dict) else arguments


def switch_pairs(dataset: str, budget: str = "lean", **common: Any) -> dict[str, tuple[RunConfig, RunConfig]]:
    """Each switch of the released code as two runs: as in the paper's text, and as in the released code.

    >>> text, released = switch_pairs("gowalla")["SSM has 20 negatives"]
    >>> text.num_negatives, released.num_negatives
    (10, 20)
    """
    fixed = {"weight_decays": 1e-6, "seeds": budget_of("switches", dataset, budget).curve_seeds[:1], **common}
    pairs = {}
    for name, (arguments, switch) in SWITCHES.items():
        text = grid_configs(dataset, **arguments | fixed)[0]
        released = grid_configs(dataset, **arguments | switch | fixed)[0]
        pairs[name] = text, released
    return pairs


def all_ratings_pairs(budget: str = "lean", **common: Any) -> list[tuple[RunConfig, RunConfig]]:
    """Decay and PRISM on MovieLens1M as in the paper's text, each beside the same run on all ratings.

    The decays are those that validation chose on MovieLens1M.

    >>> [(text.loss, every.dataset) for text, every in all_ratings_pairs()[::2]]
    [('ssm', 'movielens1m-all'), ('directau', 'movielens1m-all')]
    """
    text, every = (configs("all-ratings", data, budget, **common) for data in ("movielens1m", "movielens1m-all"))
    return list(zip(text, every, strict=True))


def protocol_pairs(
    experiment: str, dataset: str, budget: str = "lean", **common: Any
) -> list[tuple[RunConfig, RunConfig]]:
    """The runs of an experiment that departs from the paper's protocol, each after the same run by the protocol.

    >>> [(plain.optimizer, fast.optimizer) for plain, fast in protocol_pairs("speed", "movielens1m")[2:]]
    [('adam', 'sparse_adam'), ('adam', 'sparse_adam')]
    """
    return [(replace(run, **PROTOCOL_PAIRS[experiment]), run) for run in configs(experiment, dataset, budget, **common)]
