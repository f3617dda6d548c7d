"""How backbones, losses, datasets, settings and numbers are written in tables, figures and sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from prismbook.plan.config import RunConfig

LOSS_NAMES = {
    "bpr": "BPR",
    "ssm": "SSM",
    "directau": "DirectAU",
    "mawu": "MAWU",
    "ipl": "IPL",
    "resn": "ReSN",
    "macr": "MACR",
}


BACKBONE_NAMES = {"mf": "MF", "nonlinear-mf": "Non-Linear MF", "lightgcn": "LightGCN"}


DATASET_NAMES = {
    "synthetic": "synthetic",
    "movielens1m": "MovieLens1M",
    "gowalla": "Gowalla",
    "yelp2018": "Yelp2018",
    "amazonbook": "AmazonBook",
    "amazonbook-partial": "AmazonBook, 93.6 % of it",
    "amazoncds": "AmazonCDs",
    "movielens1m-all": "MovieLens1M (all ratings)",
}


#: Column heads that a reader sees, for the columns of :func:`prismbook.tables.analysis.tidy`.
TITLES = {
    "ndcg": "NDCG@20",
    "ratio": "unpopular / popular",
    "cosine": "by cosine",
    "norm_correlation": "norm ~ log d",
    "weight_decay": "weight decay",
    "decay_scope": "decay of",
    "best_epoch": "best epoch",
}


def dataset_name(dataset: str) -> str:
    """A dataset's name as the paper spells it; the name of another dataset stays as it is.

    Args:
        dataset: the name by which it is loaded.

    >>> dataset_name("movielens1m"), dataset_name("shop")
    ('MovieLens1M', 'shop')
    """
    return DATASET_NAMES.get(dataset, dataset)


def cell(value: float | None, spec: str = ".3f") -> str:
    """A number as a cell of a table, "not run" where it is missing.

    Args:
        value: the number; None or NaN where it is missing.
        spec: its format.

    >>> cell(0.12345), cell(7.0, ".0f"), cell(float("nan"))
    ('0.123', '7', 'not run')
    """
    return "not run" if value is None or pd.isna(value) else format(value, spec)


def trained(config: RunConfig) -> str:
    """What a configuration trains, in a few words.

    The backbone is named where it is not MF, and the seed where it is not the default.

    Args:
        config: configuration of a run.

    >>> trained(RunConfig("gowalla", "bpr", init="prism", alpha=1.0))
    'BPR, PRISM'
    >>> trained(RunConfig("gowalla", "bpr", backbone="lightgcn"))
    'BPR, decay 0, LightGCN'
    >>> trained(RunConfig("gowalla", "bpr", seed=246))
    'BPR, decay 0, seed 246'
    """
    method = "PRISM" if config.init == "prism" else f"decay {config.weight_decay:g}"
    backbone = [] if config.backbone == "mf" else [BACKBONE_NAMES[config.backbone]]
    seed = [] if config.seed == RunConfig.seed else [f"seed {config.seed}"]
    return ", ".join([LOSS_NAMES[config.loss], method, *backbone, *seed])


def setting(run: Any) -> str:
    """What a run was trained with, in a few words: PRISM with its strength, or weight decay.

    Args:
        run: a row of :func:`prismbook.tables.analysis.tidy`.

    >>> setting(pd.Series({"init": "prism", "alpha": 0.5, "weight_decay": 0.0, "decay_scope": "table"}))
    'PRISM, alpha 0.5'
    """
    if run.init == "prism":
        return f"PRISM, alpha {run.alpha:g}"
    scope = "" if run.decay_scope == "table" else f" ({run.decay_scope})"
    return f"decay {run.weight_decay:g}{scope}"
