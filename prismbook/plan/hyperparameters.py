"""The parameters of the losses: defaults, those published for a dataset, those tuned here, and what is searched."""

from __future__ import annotations

from typing import Any

LossParameters = dict[str, Any]

#: The parameters where none are known for the dataset. They are the paper's or the loss's authors', else plain ones.
LOSS_DEFAULTS: dict[str, LossParameters] = {
    "ssm": {"tau": 0.2, "num_negatives": 10},
    "directau": {"gamma": 1.0},
    "mawu": {"gamma_user": 1.0, "gamma_item": 1.0},
    "ipl": {"ipl_c": 1.0, "ipl_b": 1.5},
    "resn": {"resn_beta": 0.01},
    "macr": {"macr_alpha": 1e-2, "macr_beta": 1e-3, "macr_c": 40.0},
}

#: The parameters that the loss's authors publish, by dataset and loss.
PUBLISHED: dict[tuple[str, str], LossParameters] = {
    ("gowalla", "directau"): {"gamma": 5.0},
    ("yelp2018", "directau"): {"gamma": 1.0},
    ("gowalla", "mawu"): {"gamma_user": 2.6, "gamma_item": 1.4},
    ("yelp2018", "mawu"): {"gamma_user": 0.8, "gamma_item": 0.6},
    ("movielens1m", "ipl"): {"ipl_c": 1.0, "ipl_b": 1.826},
    ("gowalla", "ipl"): {"ipl_c": 1.0, "ipl_b": 1.285},
    ("yelp2018", "ipl"): {"ipl_c": 1.0, "ipl_b": 1.552},
    ("amazonbook", "ipl"): {"ipl_c": 1.0, "ipl_b": 1.446},
}

#: The parameters that validation NDCG@20 chose where none are published, by dataset, backbone and loss. They were
#: chosen at decay 1e-4 and seed 123, among the values of :data:`LOSS_GRIDS` that were run. A test compares them with
#: the records.
TUNED: dict[tuple[str, str, str], LossParameters] = {
    ("movielens1m", "mf", "directau"): {"gamma": 0.5},
    ("movielens1m", "mf", "mawu"): {"gamma_user": 0.125, "gamma_item": 0.125},
    # with the parameters that are best on linear MF, the perceptron turns all rows in one direction
    ("movielens1m", "nonlinear-mf", "mawu"): {"gamma_user": 1.0, "gamma_item": 0.1},
}

#: The parameters that validation chose for PRISM, where they differ. Every decay is searched at these too. Otherwise
#: PRISM would be compared with decay 1e-4 alone.
TUNED_FOR_PRISM: dict[tuple[str, str, str], LossParameters] = {
    ("movielens1m", "nonlinear-mf", "directau"): {"gamma": 1.0},
    ("movielens1m", "nonlinear-mf", "mawu"): {"gamma_user": 0.25, "gamma_item": 0.25},
    ("gowalla", "nonlinear-mf", "directau"): {"gamma": 2.0},
}

#: What is searched (Appendix B.1). For MAWU, these are its authors' pairs for their three datasets, the plain pair, and
#: the pairs that stand for DirectAU's gamma of 1 and 0.5.
LOSS_GRIDS: dict[str, list[LossParameters]] = {
    "bpr": [{}],
    "ssm": [LOSS_DEFAULTS["ssm"]],
    "directau": [{"gamma": gamma} for gamma in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)],
    "mawu": [
        {"gamma_user": user, "gamma_item": item}
        for user, item in ((2.6, 1.4), (0.8, 0.6), (1.0, 0.1), (1.0, 1.0), (0.25, 0.25), (0.125, 0.125))
    ],
}


def tuned_parameters(dataset: str, backbone: str, loss: str) -> LossParameters:
    """The parameters of a loss that is not searched: published or tuned for the dataset, else its default.

    A backbone on which nothing was tuned takes what was tuned on linear MF.

    Args:
        backbone: ``"mf"``, ``"nonlinear-mf"`` or ``"lightgcn"``.

    >>> tuned_parameters("gowalla", "mf", "directau"), tuned_parameters("amazonbook", "mf", "directau")
    ({'gamma': 5.0}, {'gamma': 1.0})
    >>> tuned_parameters("movielens1m", "nonlinear-mf", "mawu")
    {'gamma_user': 1.0, 'gamma_item': 0.1}
    >>> tuned_parameters("movielens1m", "lightgcn", "directau")
    {'gamma': 0.5}
    """
    if (dataset, loss) in PUBLISHED:
        return PUBLISHED[dataset, loss]
    linear = TUNED.get((dataset, "mf", loss), LOSS_DEFAULTS.get(loss, {}))
    return TUNED.get((dataset, backbone, loss), linear)


def loss_grid(dataset: str, loss: str, backbone: str = "mf") -> list[LossParameters]:
    """The parameters of a loss that are searched on a dataset and a backbone.

    MAWU is not searched on linear MF where its pair is published for the dataset. What its authors publish for linear
    MF was chosen there. On non-linear MF it is one candidate of several.

    >>> loss_grid("gowalla", "mawu"), len(loss_grid("gowalla", "mawu", "nonlinear-mf"))
    ([{'gamma_user': 2.6, 'gamma_item': 1.4}], 6)
    """
    published = PUBLISHED.get((dataset, loss))
    return [published] if loss == "mawu" and published and backbone == "mf" else LOSS_GRIDS[loss]
