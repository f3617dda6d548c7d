"""The losses' own parameters: the paper's, those published for a dataset, those tuned here, and what is searched."""

from __future__ import annotations

from typing import Any

Own = dict[str, Any]

#: Where nothing is known of the dataset, the paper's or the loss's authors' own, else plain ones.
LOSS_DEFAULTS: dict[str, Own] = {
    "ssm": {"tau": 0.2, "num_negatives": 10},
    "directau": {"gamma": 1.0},
    "mawu": {"gamma_user": 1.0, "gamma_item": 1.0},
    "ipl": {"ipl_c": 1.0, "ipl_b": 1.5},
    "resn": {"resn_beta": 0.01},
    "macr": {"macr_alpha": 1e-2, "macr_beta": 1e-3, "macr_c": 40.0},
}

#: By loss and dataset, as the loss's authors publish them.
PUBLISHED: dict[tuple[str, str], Own] = {
    ("directau", "gowalla"): {"gamma": 5.0},
    ("directau", "yelp2018"): {"gamma": 1.0},
    ("mawu", "gowalla"): {"gamma_user": 2.6, "gamma_item": 1.4},
    ("mawu", "yelp2018"): {"gamma_user": 0.8, "gamma_item": 0.6},
    ("ipl", "movielens1m"): {"ipl_c": 1.0, "ipl_b": 1.826},
    ("ipl", "gowalla"): {"ipl_c": 1.0, "ipl_b": 1.285},
    ("ipl", "yelp2018"): {"ipl_c": 1.0, "ipl_b": 1.552},
    ("ipl", "amazonbook"): {"ipl_c": 1.0, "ipl_b": 1.446},
}

#: By backbone, loss and dataset, what validation NDCG@20 chose where nothing is published, at decay 1e-4 and seed 123,
#: among the values of :data:`OWN_GRIDS` that were run. A test compares it with the records.
TUNED: dict[tuple[str, str, str], Own] = {
    ("mf", "directau", "movielens1m"): {"gamma": 0.5},
    ("mf", "mawu", "movielens1m"): {"gamma_user": 0.125, "gamma_item": 0.125},
    # where linear MF is best, a perceptron turns all rows one way
    ("nonlinear-mf", "mawu", "movielens1m"): {"gamma_user": 1.0, "gamma_item": 0.1},
}

#: Where it chose another for PRISM. Decay is searched there too, lest PRISM win where decay was tried at 1e-4 alone.
TUNED_FOR_PRISM: dict[tuple[str, str, str], Own] = {
    ("nonlinear-mf", "directau", "movielens1m"): {"gamma": 1.0},
    ("nonlinear-mf", "mawu", "movielens1m"): {"gamma_user": 0.25, "gamma_item": 0.25},
}

#: What is searched (Appendix B.1). Of MAWU its authors' pairs for their three datasets, the plain one, and DirectAU's
#: gamma 1 and 0.5 as pairs.
OWN_GRIDS: dict[str, list[Own]] = {
    "bpr": [{}],
    "ssm": [LOSS_DEFAULTS["ssm"]],
    "directau": [{"gamma": gamma} for gamma in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)],
    "mawu": [
        {"gamma_user": user, "gamma_item": item}
        for user, item in ((2.6, 1.4), (0.8, 0.6), (1.0, 0.1), (1.0, 1.0), (0.25, 0.25), (0.125, 0.125))
    ],
}


def own_parameters(loss: str, dataset: str, backbone: str = "mf") -> Own:
    """Of a loss where its own parameters are not searched: published or tuned for the dataset, else its default.

    What was tuned on linear MF is taken for a backbone on which nothing was.

    >>> own_parameters("directau", "gowalla"), own_parameters("directau", "amazonbook")
    ({'gamma': 5.0}, {'gamma': 1.0})
    >>> own_parameters("mawu", "movielens1m", "nonlinear-mf"), own_parameters("directau", "movielens1m", "lightgcn")
    ({'gamma_user': 1.0, 'gamma_item': 0.1}, {'gamma': 0.5})
    """
    if (loss, dataset) in PUBLISHED:
        return PUBLISHED[loss, dataset]
    linear = TUNED.get(("mf", loss, dataset), LOSS_DEFAULTS.get(loss, {}))
    return TUNED.get((backbone, loss, dataset), linear)


def own_grid(loss: str, dataset: str) -> list[Own]:
    """What is searched of a loss on a dataset; MAWU is not searched where its pair is published for the dataset.

    >>> own_grid("mawu", "gowalla"), len(own_grid("mawu", "movielens1m"))
    ([{'gamma_user': 2.6, 'gamma_item': 1.4}], 6)
    """
    published = PUBLISHED.get((loss, dataset))
    return [published] if loss == "mawu" and published else OWN_GRIDS[loss]
