# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Add your own loss
#
# A loss is one class with one method. This page writes one that the package does not have, and trains it on **synthetic data** beside BPR, with and without PRISM. It ends with the tests that every loss must pass.
#
# ## Write it
#
# The loss is a softmax over the batch, as in InfoNCE {cite}`oord2018cpc`: each user is to find its own item among the
# items of the whole batch, by cosine. It needs no sampled negatives. With $\mathcal{B}$ the pairs of the batch,
#
# $$
# \ell = \frac{1}{|\mathcal{B}|} \sum_{(u, i) \in \mathcal{B}}
#   -\log \frac{e^{\cos(\mathbf{u}, \mathbf{i}) / \tau}}{e^{\cos(\mathbf{u}, \mathbf{i}) / \tau}
#   + \sum_{(\cdot, j) \in \mathcal{B},\, j \neq i} e^{\cos(\mathbf{u}, \mathbf{j}) / \tau}}
# $$
#
# An item that stands in the batch several times must not be its own negative. That is what the ids are for, which
# training hands to every loss.

# %% tags=["parameters"]
epochs = 4
lr = 0.02
batch_size = 512
seed = 123

# %% tags=["remove-input"]
from prismbook.pages import parameters

parameters.check(globals(), "batch_size", "seed", epochs=parameters.integer(1), lr=parameters.rate())

# %%
import torch
from torch import Tensor
from torch.nn import functional as F

from prismlib import RankingLoss


class InBatchSoftmax(RankingLoss):
    """Softmax of cosines over the items of the batch (InfoNCE, van den Oord et al. 2018)."""

    num_negatives = 0

    def __init__(self, tau: float = 0.2) -> None:
        super().__init__()
        if not tau > 0:
            raise ValueError(f"tau must be > 0, got {tau}")
        self.tau = tau

    def forward(self, user: Tensor, item: Tensor, negative: Tensor | None = None, **ids: Tensor) -> Tensor:
        # (B, B): each user with each item of the batch, its own on the diagonal
        scores = F.normalize(user, dim=1) @ F.normalize(item, dim=1).T / self.tau
        own = torch.arange(len(user), device=user.device)
        if "item_id" in ids:
            same = ids["item_id"][:, None] == ids["item_id"]
            same[own, own] = False
            scores = scores.masked_fill(same, -torch.inf)
        return F.cross_entropy(scores, own)


# %% [markdown]
# `num_negatives` tells training how many items to draw for each pair. A loss that wants some gets their embeddings as
# `negative`, shape `(B, num_negatives, dim)`. Parameters of its own, as MAWU's learned margins are, are `nn.Parameter`s and are
# trained along. `project_` puts them back into their range after each step, and `rank_tables` gives the loss a ranking
# rule of its own. {py:class}`prismlib.losses.RankingLoss` has the details.
#
# ## Train it
#
# Matrix factorisation, Adam without weight decay, the same few epochs for all four. PRISM is two lines before training.

# %%
import pandas as pd

from prismlib import BPR, MF, FullRanking, fit, popularity_groups, prism_, random_split, synthetic

split = random_split(synthetic(), seed)
num_users, num_items = split.dataset.num_users, split.dataset.num_items
user_popularity, item_popularity = torch.from_numpy(split.user_popularity), torch.from_numpy(split.item_popularity)
groups = popularity_groups(item_popularity)
validation = FullRanking(split.validation, [split.train], groups, num_users)
test = FullRanking(split.test, [split.train, split.validation], groups, num_users)

rows = {}
for criterion in (BPR(), InBatchSoftmax(tau=0.2)):
    for start in ("Xavier", "PRISM"):
        model = MF(num_users, num_items, generator=torch.Generator().manual_seed(seed))
        if start == "PRISM":
            prism_(model.user.weight, user_popularity)
            prism_(model.item.weight, item_popularity)
        history = fit(
            model, criterion, split.train, validation, lr=lr, batch_size=batch_size, max_epochs=epochs, seed=seed
        )
        found = test(*model.embeddings())["dot"]["ndcg"]
        rows[type(criterion).__name__, start] = {"validation": max(history.validation_dot), "test": found}
pd.DataFrame(rows).T.rename_axis(["loss", "start"]).map("{:.2f}".format)

# %% [markdown]
# *The new loss learns. NDCG@20 by dot product on synthetic data, at the best of a few epochs. It is too little, at one learning rate for all, to rank losses or starts.
# PRISM's rows are longer, so that a step of Adam turns them by a smaller angle: they are still on their way.*
#
# ## Put it under the tests
#
# `tests/test_acceptance.py` has a table of losses. A new one is one line in it:
#
# ```python
# LOSSES = {
#     # the losses that are there, and
#     "InBatchSoftmax": lambda g: InBatchSoftmax(tau=0.2),
# }
# ```
#
# and, since this one does not see the lengths of embeddings, its name in `ANGLE_BASED` below. `g` is a
# `torch.Generator`, for a loss whose parameters start at random. Then
# `pytest tests/test_acceptance.py -k InBatchSoftmax` checks with every backbone, and so with LightGCN too, that
#
# - the loss and all gradients are finite, for batches of one pair, of two and of many, and of one pair many times;
# - its gradients are those of finite differences;
# - it is angle-based where it says so, and only there: lengths change its value or they do not;
# - renaming users and items changes nothing;
# - the same seed gives the same bits, and weight decay takes effect in each of its scopes;
# - `torch.compile` gives the same loss and gradients, without a break in the graph, and autocast to bfloat16 nearly the
#   same;
# - it can be saved and loaded;
# - a GPU, where there is one, computes the same.
#
# The class above passes: `tests/test_docs.py` puts it into a copy of that file, as said here, and runs it.
