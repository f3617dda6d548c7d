"""The protocol page: the paper's text, its released code and this book side by side.

What this book does is read from the plan. What the paper and its released code do is said in words, and is no number
of ours.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from inspect import signature

import pandas as pd
import torch

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import ALL_DECAYS, BUDGETS, SEEDS
from prismbook.plan.hyperparameters import LOSS_DEFAULTS, LOSS_GRIDS, PUBLISHED
from prismbook.runs.patience import LONG
from prismbook.tables.labels import dataset_name
from prismbook.text import listed_names
from prismlib.data import random_split, synthetic
from prismlib.datasets import CARDS
from prismlib.metrics import popularity_groups
from prismlib.models import LightGCN


@dataclass(frozen=True)
class Line:
    """One point of the protocol.

    Attributes:
        topic: what is decided.
        text: what the paper's text says, and no more: where it is silent, "not said".
        released: what the released code does; empty where it does what the text says. Not empty where that is silent.
        ours: what this book does where nothing else is asked for.
        matters: where it matters, in a few words; empty where nothing of ours depends on it.
        page: name of the page that measures it; empty where none does.
    """

    topic: str
    text: str
    released: str
    ours: str
    matters: str = ""
    page: str = ""


def lines() -> list[Line]:
    """Every point of the protocol, in the order of an experiment: data, model, loss, training, search, evaluation."""
    plain, direct = RunConfig("gowalla", "bpr"), RunConfig("gowalla", "directau", gamma=1.0)
    lean = BUDGETS["lean"]
    ssm, gammas = LOSS_DEFAULTS["ssm"], [each["gamma"] for each in LOSS_GRIDS["directau"]]
    return [
        Line(
            "MovieLens1M",
            f"{_interactions_in_table2('movielens1m'):,} interactions in Table 2; which ratings count is not said",
            "all ratings, all movies of the file",
            "ratings of 3 and more, since these give Table 2's count; all of them as a dataset of its own",
            "the size of every score",
            "switches",
        ),
        Line("split", "random, 80/10/10 of the data", "", f"random, {_split()} of the interactions"),
        Line(
            "seeds",
            "not named",
            "123, 246, 492",
            f"{_list(SEEDS)}; the first chooses, but in Table 1's search all do where they can",
            "most pairs have one seed",
            "verdicts",
        ),
        Line("size of a vector", "64", "", f"{plain.dim}"),
        Line("start", "Xavier uniform", "", f"{plain.init.capitalize()} uniform"),
        Line(
            "PRISM",
            "Equation 4, for an item; on which split d is counted is not said",
            "both tables, d of the training split",
            "both tables, d of the training split",
        ),
        Line(
            "non-linear MF",
            "two layers of a perceptron with a ReLU",
            "the ReLU is computed and discarded: two linear layers",
            "ReLU" if plain.relu else "no ReLU",
            "C9, C10 and C17",
            "rq3_prism",
        ),
        Line(
            "LightGCN",
            "depth 3",
            "degrees counted in the sampled subgraph of each batch",
            f"depth {signature(LightGCN).parameters['depth'].default}, degrees of the whole graph",
            "C7; the released degrees were not run",
        ),
        Line(
            "negatives",
            "from the full item set",
            "drawn from the batch's items",
            f"drawn from {'all items' if plain.negatives == 'all' else 'the batch'}",
            "BPR; SSM only with all switches together",
            "switches",
        ),
        Line(
            "SSM",
            "10 negatives; the paper's file shows no temperature",
            "temperature 0.2, 20 negatives",
            f"temperature {ssm['tau']:g}, {ssm['num_negatives']} negatives",
            "SSM",
            "switches",
        ),
        Line(
            "DirectAU",
            "gamma cross-validated, over values that the paper's file does not show",
            "no search in it",
            f"searched over {_list(gammas)} for Table 1; elsewhere published for {_published('directau')}, else chosen"
            " by such a search, else 1",
            "C8 and the level of every score of DirectAU",
            "rq3_search",
        ),
        Line(
            "MAWU",
            "its authors' weights; on MovieLens1M cross-validated in their range",
            "its uniformity counts half of the cosine matrix as zeros",
            f"published for {_published('mawu')}; else searched over {len(LOSS_GRIDS['mawu'])} pairs; uniformity over"
            f" all {direct.mawu_uniformity}",
            "MAWU",
            "switches",
        ),
        Line(
            "optimiser",
            "not named",
            "Adam with coupled decay, on every parameter",
            f"{plain.optimizer.capitalize()} with coupled decay, on every parameter",
            "all claims on decay",
            "optimisers",
        ),
        Line(
            "weight decay acts on",
            "both whole tables",
            "",
            f"both whole {plain.decay_scope}s",
            "C6",
            "batched_decay",
        ),
        Line(
            "batch",
            "16,384; DirectAU and MAWU 4,096",
            "",
            f"{plain.batch_size:,}; DirectAU and MAWU {direct.batch_size:,}",
        ),
        Line(
            "order of the batches",
            "not said",
            "the same in every epoch",
            "shuffled before each epoch" if plain.reshuffle else "the same in every epoch",
            "little",
            "switches",
        ),
        Line("epochs", "1,000 at most", "", f"{plain.max_epochs:,} at most"),
        Line(
            "early stopping",
            "validation NDCG@20, patience 10; which epoch is kept is not said",
            "the best epoch is kept",
            f"validation NDCG@20, patience {plain.patience}, best epoch kept; a run that ended in a dip gives its place"
            f" to one with patience {LONG}, where that is stored",
            "runs that start by chance",
            "rq3_patience",
        ),
        Line(
            "weight decays",
            "a range that the paper's file does not show",
            "no search in it",
            _list(ALL_DECAYS) + "; more where the best is at an edge",
            "C22, where the grid ends; C21 and C23; tuned decay in C8 to C13",
            "verdicts",
        ),
        Line(
            "learning rates",
            "a range that the paper's file does not show",
            "no search in it; 0.001 in the script",
            _list(lean.lrs) + ", the second where it is run for both methods",
            "C11, and whether a search is complete",
            "rq4_benefits",
        ),
        Line(
            "ranking",
            "not said for the test; validation by dot product and by cosine in Figure 6",
            "all items, by dot product",
            "all items, by dot product; by cosine as a diagnostic",
            "C14",
            "cosine",
        ),
        Line(
            "masked",
            "not said",
            "training items; for the test validation's too",
            "training items; for the test validation's too",
        ),
        Line(
            "mean NDCG@20",
            "the average over all of the users",
            "over users with a held-out item, and leaves the last of them out",
            "leaves the last user out" if plain.drop_last_user else "over users with a held-out item",
            "nothing",
            "switches",
        ),
        Line(
            "popularity groups",
            "top 5 %, top 5 to 20 %, bottom 80 %; on which interactions is not said",
            "counted on all interactions",
            f"{_groups()}, counted on the {'training split' if plain.groups_from == 'train' else 'whole data'}",
            "the parts of NDCG@20",
            "switches",
        ),
        Line(
            "IPL",
            "on BPR, in its authors' range",
            "batch by batch; scores land on the wrong items",
            f"{plain.ipl_form} by {plain.ipl_form}",
            "C13",
            "debiasing",
        ),
        Line(
            "MACR",
            "its authors' range",
            "c = 1, its item branch weighs 0.001, its branches start Xavier-normal",
            "two weights of its item branch by three c on MovieLens1M, fewer on Gowalla; starts uniform",
            "C13",
            "debiasing",
        ),
        Line(
            "percentages of Table 1",
            "by its cells shares of PRISM's score",
            "not in it",
            "shares of tuned decay's score",
            "the sizes of C8 to C10",
            "ledger",
        ),
    ]


def _list(values: object) -> str:
    return ", ".join(f"{value:g}" for value in values)  # type: ignore[attr-defined]


def _published(loss: str) -> str:
    """The datasets for which a loss's authors publish its parameters."""
    return listed_names([dataset_name(dataset) for dataset, name in PUBLISHED if name == loss])


def _interactions_in_table2(dataset: str) -> int:
    """How many interactions of a dataset the paper's Table 2 prints."""
    printed = CARDS[dataset].paper
    assert printed is not None
    return printed[2]


def _split() -> str:
    """The shares of the split, from a split."""
    split = random_split(synthetic(50, 100, 1000), 0)
    parts = [len(part.user) for part in (split.train, split.validation, split.test)]
    return "/".join(f"{100 * part / sum(parts):.0f}" for part in parts)


def _groups() -> str:
    """The shares of the popularity groups, from groups."""
    group = popularity_groups(torch.arange(100).flip(0))
    shares = [int((group == place).sum()) for place in range(3)]
    return f"top {shares[0]} %, next {shares[1]} %, the other {shares[2]} %"


def table(pages: Collection[str]) -> pd.DataFrame:
    """The protocol as a table: the paper's text, the released code, this book, and where it matters.

    Args:
        pages: names of the book's pages, for links.
    """
    rows = {}
    for line in lines():
        link = f' (<a href="{line.page}.html">measured</a>)' if line.page in pages and line.matters else ""
        rows[line.topic] = {
            "the paper's text": line.text,
            "the released code": line.released or "as the text",
            "this book": line.ours,
            "where it matters": f"{line.matters}{link}",
        }
    return pd.DataFrame(rows).T
