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
# # PRISM in your own model
#
# You have a recommender with embedding tables and a training loop. PRISM is one call a table, between initialisation and
# training:
#
# ```python
# prism_(table.weight, popularity)
# ```
#
# It keeps each row's direction and sets its length to $\alpha \log(d + 2) + (1 - \alpha)$, where $d$ is how often the row's
# user or item occurs in the training interactions {cite}`loveland2025weightdecay`. Then train without weight decay. Whether
# you should is the question of [another page](should_i_use.ipynb). AdamW's decay counts as none: set it to 0 too.
#
# Four ways lead to such lengths, says [the law of lengths](law_of_lengths.ipynb). You choose [lengths on validation](optimisers.ipynb) when you score, or take a weak
# coupled decay, PRISM, or plain SGD. Adam alone writes hardly any popularity into the lengths; numbers are below. How steep they should be
# [differs between datasets and losses](optimisers.ipynb).
#
# ## Get it
#
# Copy these six lines. They need PyTorch and nothing else. `popularity` is a tensor on the table's device.
#
# ```python
# import torch
#
# @torch.no_grad()
# def prism_(weight, popularity, alpha=1.0):
#     """Keep each row's direction and set its length to alpha * log(d + 2) + 1 - alpha."""
#     length = alpha * torch.log(popularity + 2.0) + 1 - alpha
#     return weight.mul_((length / weight.norm(dim=1).clamp_min(1e-12))[:, None])
# ```
#
# Or install the library. It sets the same lengths, which a test checks. It refuses what would otherwise go wrong silently: a copy in
# place of the table, a row of zeros, counts of other rows. In a checkout of this project:
#
# ```sh
# pip install .
# ```
#
# That needs torch and numpy, and brings `prismlib`. Two examples below also need pandas or torch_geometric. Do not install it **by the name `prismlib`**: on the package index that name
# belongs to another project. This one is called `prism-companion`, and is not on the index. No release was made yet, so note the commit that
# you install.
#
# Both examples below run on **synthetic data**, to show where the call goes and what changes. They are not evidence for
# or against the paper. They share these settings:

# %% tags=["parameters"]
seed = 123
epochs = 8
lr = 0.06
batch_size = 512
dim = 32

# %% tags=["remove-input"]
from prismbook.pages import parameters

parameters.check(globals(), "seed", "batch_size", "dim", epochs=parameters.integer(1), lr=parameters.rate())

# %% [markdown]
# ## A model of plain PyTorch
#
# Everything here is yours but the two imports from `prismlib`: two tables, a loss, a loop. The loss is a softmax of cosines over one
# positive and a few sampled negatives, as SSM is, so it does not see how long a row is. Ranking by dot product does.

# %%
import torch
from torch import nn
from torch.nn import functional as F

from prismlib import FullRanking, popularity_groups, prism_, prism_norm, random_split, synthetic
from prismlib.norms import norm_summary

torch.set_num_threads(1)  # batches this small gain nothing by more
split = random_split(synthetic(600, 500, 20_000), seed)
num_users, num_items = split.dataset.num_users, split.dataset.num_items
# in your code: your tensors of the training interactions' user and item ids
user_id = torch.as_tensor(split.train.user).long()
item_id = torch.as_tensor(split.train.item).long()

# popularity: of the training interactions, never of validation or test
user_popularity = torch.bincount(user_id, minlength=num_users)
item_popularity = torch.bincount(item_id, minlength=num_items)


def tables(prism: bool) -> nn.ModuleDict:
    torch.manual_seed(seed)
    sizes = {"user": num_users, "item": num_items}
    model = nn.ModuleDict({name: nn.Embedding(n, dim) for name, n in sizes.items()})
    for table in model.values():
        nn.init.xavier_uniform_(table.weight)
    if prism:
        prism_(model["user"].weight, user_popularity)
        prism_(model["item"].weight, item_popularity)
    return model


def softmax_of_cosines(user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Users (B, d) and the items listed for each (B, L, d), the positive first."""
    cosine = F.cosine_similarity(user[:, None], items, dim=2)
    return F.cross_entropy(cosine / 0.2, torch.zeros(len(user), dtype=torch.long))


def train(model: nn.ModuleDict) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)  # no weight_decay
    for _ in range(epochs):
        for rows in torch.randperm(len(user_id)).split(batch_size):
            negatives = torch.randint(num_items, (len(rows), 10))
            listed = torch.cat([item_id[rows, None], negatives], dim=1)
            user = model["user"](user_id[rows])
            loss = softmax_of_cosines(user, model["item"](listed))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


# %% [markdown]
# Trained with and without that call, and evaluated over the full ranking of all items:

# %% tags=["nbval-ignore-output"]
import pandas as pd

groups = popularity_groups(item_popularity)
test = FullRanking(split.test, [split.train, split.validation], groups, num_users)


def correlation(item: torch.Tensor) -> float:
    """Of the norms of item embeddings with log(d + 2)."""
    return norm_summary(item, item_popularity)["pearson_log"]


rows = {}
for start in ("Xavier", "PRISM"):
    model = tables(prism=start == "PRISM")
    for when in ("before training", "after"):
        if when == "after":
            train(model)
        user, item = model["user"].weight, model["item"].weight
        found = test(user, item)["dot"]
        rows[start, when] = found | {"norm ~ log d": correlation(item)}
prism_model = model
table = pd.DataFrame(rows).T.rename_axis(["start", "when"])
table.rename(columns={"ndcg": "NDCG@20"}).map("{:.2f}".format)

# %% [markdown]
# *Training leaves the norms that PRISM wrote: the last column. NDCG@20 by dot product on synthetic data, the parts of it that popular, neutral and unpopular items bring, and the
# correlation of item norms with* $\log(d + 2)$*. This loss has no use for norms: without PRISM they stay unrelated to
# popularity, with it they keep it. One seed and one learning rate: read the last column, and the shift from unpopular to
# popular; the difference in NDCG is no result.*
#
# **Look at the learning rate again.** With PRISM rows are longer, so a step of Adam, which has about the same length for
# every row, turns them by a smaller angle. A rate that was right for short rows can train too slowly. The paper searches
# rates for every model (its Appendix B.1). A larger one makes PRISM much quicker, on real data at some cost in quality:
# [](rq4_benefits.ipynb) has both.
#
# ## PyTorch Geometric's LightGCN
#
# [`torch_geometric.nn.LightGCN`](https://pytorch-geometric.readthedocs.io) keeps users and items in one table, users
# first. A slice of rows is a view of the same memory, so `prism_` on the slice writes into the table. The table stays a
# leaf that can be trained.

# %% tags=["remove-cell"]
import warnings

# PyTorch Geometric imports tqdm, which would ask for ipywidgets here
warnings.filterwarnings("ignore", message="IProgress not found")

# %%
from torch_geometric.nn import LightGCN

user_node, item_node = user_id, item_id + num_users  # items follow the users
edges = torch.stack([user_node, item_node])
edges = torch.cat([edges, edges.flip(0)], dim=1)


def graph_model(prism: bool) -> LightGCN:
    torch.manual_seed(seed)
    model = LightGCN(num_users + num_items, embedding_dim=dim, num_layers=2)
    if prism:
        prism_(model.embedding.weight[:num_users], user_popularity)
        prism_(model.embedding.weight[num_users:], item_popularity)
    return model


weight = graph_model(prism=True).embedding.weight
expected = prism_norm(torch.cat([user_popularity, item_popularity]))
print("norms as PRISM sets them:", torch.allclose(weight.norm(dim=1), expected))
print("a leaf, and trained:", weight.is_leaf and weight.requires_grad)

# %% [markdown]
# Only slices do this. Indexing with a list or a tensor of ids, `weight[ids]`, makes a copy, and `prism_` refuses it: it would
# scale the copy and leave the table as it is. (Of a frozen table PyTorch cannot tell a copy that you hold in a variable from
# a table of your own: that copy is scaled, and the table is not.) Where ids are mixed, count the popularity of all rows, in
# the order of the table, and make one call on the whole of it.
#
# Training, by the model's own `recommendation_loss`, which is BPR, and by cosines as above. `lambda_reg=0`: its default
# is a penalty on the rows' lengths, that is, weight decay.

# %% tags=["nbval-ignore-output"]
graph_epochs, graph_lr = 4, 0.1


def train_graph(model: LightGCN, by: str) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=graph_lr)
    for _ in range(graph_epochs):
        for rows in torch.randperm(len(user_id)).split(2 * batch_size):
            node = model.get_embedding(edges)
            user, item = node[user_node[rows]], node[item_node[rows]]
            negative = node[num_users + torch.randint(num_items, (len(rows), 10))]
            if by == "recommendation_loss":
                scores = (user * item).sum(1), (user * negative[:, 0]).sum(1)
                loss = model.recommendation_loss(*scores, lambda_reg=0)
            else:
                listed = torch.cat([item[:, None], negative], dim=1)
                loss = softmax_of_cosines(user, listed)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


rows = {}
for by in ("recommendation_loss", "softmax of cosines"):
    for start in ("Xavier", "PRISM"):
        model = graph_model(prism=start == "PRISM")
        train_graph(model, by)
        with torch.no_grad():
            user, item = model.get_embedding(edges).split([num_users, num_items])
        rows[by, start] = {
            "NDCG@20": test(user, item)["dot"]["ndcg"],
            "table ~ log d": correlation(model.embedding.weight[num_users:]),
            "after the graph": correlation(item),
        }
pd.DataFrame(rows).T.rename_axis(["loss", "start"]).map("{:.2f}".format)

# %% [markdown]
# *The graph itself writes popularity into the lengths: the last column. NDCG@20 is by dot product on synthetic data. The correlations with* $\log(d + 2)$ *are of the norms of the table's item rows,
# and of the item embeddings that the graph makes of them and that are ranked. One seed; the differences in NDCG are no
# result.*
#
# The graph writes popularity into the lengths that are ranked whatever the start: the last column is high without PRISM
# too. So there is little left for PRISM to do here. On real data it was not run. The paper says that LightGCN hardly needs weight decay either (its Appendix D.1),
# and does not report PRISM on it. What our runs say of decay there is on the page [](lightgcn.ipynb).
#
# ## When not to use it
#
# [](should_i_use.ipynb) has the conditions as a list, what each way of training gives on three datasets, and a function that says
# whether PRISM helped. In one line: not where the loss sees lengths, as BPR does; not where Adam has a small weight decay already; and
# not where lists are made by cosine.
#
# What the stored runs of matrix factorisation say:

# %% tags=["remove-input", "nbval-ignore-output"]
from prismbook.pages import page, use_prism_tables
from prismbook.runs.records import default_results, scan

stored, _ = scan(default_results())
page.say(f"**Without decay.** {use_prism_tables.flat_without_decay(stored)}")
page.say(f"**With AdamW.** {use_prism_tables.of_adamw(stored)}")
page.say(
    "**Be patient.** Long rows turn slowly at first, so early stopping can end a run with PRISM before it has begun."
    f" The paper waits for 10 epochs. {use_prism_tables.patience_with_prism(stored)}"
    " [](rq3_patience.ipynb) has the curves."
)

# %% [markdown]
# ## Short answers
#
# ### Which popularity?
#
# The number of interactions a row has in the data it is trained on, each pair once. Not those of validation or test, whose
# use would leak. In a live system: the same window of the log that training reads. Users and items each get their own
# counts.
#
# Counts come as a tensor, a NumPy array, a list, or a column of pandas, polars or pyarrow. The labels of a pandas Series must
# be the numbers of the table's rows, in order. Those of `items.value_counts()` are not: they are in the order of the counts,
# and without the items that never occur. `items.value_counts().reindex(range(num_items), fill_value=0)` is right.
#
# ### Rows without any interaction?
#
# Their count is 0 and their norm $\alpha \log 2 + (1 - \alpha)$, small but not zero. A row that *is* zero is refused: it
# has no direction. `nn.Embedding(..., padding_idx=0)` has such a row: leave it out, `prism_(table.weight[1:],
# popularity[1:])`.

# %%
table = nn.Embedding(1 + num_items, dim, padding_idx=0)
prism_(table.weight[1:], item_popularity)
print("norm of the padding row:", table.weight[0].norm().item())
print(f"norm of a cold row:      {prism_norm(torch.tensor([0])).item():.4f}")

# %% [markdown]
# ### New items later?
#
# Add a row with any direction, and give it the norm of its count. By then the other rows are longer than PRISM made them. The gradient of a loss of cosines is at a right angle to the row, so a plain step along it can only lengthen the row. Adam's step is so only on average: a single one may shorten a row. Over many steps every *squared* norm grows by about the same amount. The new row gets that amount too; trained rows are
# left as they are.

# %% tags=["nbval-ignore-output"]
trained = prism_model["item"].weight.detach()
growth = trained.norm(dim=1) ** 2 - prism_norm(item_popularity) ** 2
low, middle, high = growth.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
print(f"squared norms have grown by {middle:.1f}; half of them by {low:.1f} to {high:.1f}")

seen = torch.tensor([3])  # the new item has three interactions so far
grown = nn.Embedding(num_items + 1, dim)
nn.init.normal_(grown.weight)
prism_(grown.weight[num_items:], seen)
with torch.no_grad():
    grown.weight[num_items:] *= (1 + middle / prism_norm(seen) ** 2).sqrt()
    grown.weight[:num_items] = trained

# %% [markdown]
# ### What alpha?
#
# 1, the default, which the paper uses throughout its Table 1. Smaller values take something from popular items and give it
# to unpopular ones, at 0 rows have unit length (its Section 5.2). Choose one by validation, or by how much popularity you want.
#
# ### Sparse updates?
#
# Weight decay touches every row at every step; without it, a step need touch no more than the rows of the batch.

# %%
table = nn.Embedding(num_items, dim, sparse=True)
prism_(table.weight, item_popularity)
optimizer = torch.optim.SparseAdam(table.parameters(), lr=lr)
before = table.weight.detach().clone()
table(torch.tensor([3, 7])).sum().backward()
optimizer.step()
print("rows changed:", (table.weight != before).any(dim=1).nonzero().flatten().tolist())

# %% [markdown]
# This shows that the call works. Whether PRISM helps beside `SparseAdam` is not known with DirectAU; [](should_i_use.ipynb) says what to do instead.
#
# `SparseAdam` is not Adam: a row that is not in the batch also keeps its momentum for later.
# {py:class}`prismlib.optim.RowSparseAdam`, in `fit` as `optimizer="sparse_adam"`, combines it with Adam for the other parameters. Mind the like name:
# `optimizer="row_adam"` is another one, and trains what Adam trains.
# [](scale.ipynb) has what each costs as tables grow, and from how many rows on it saves anything.
#
# ### Saving, loading, several machines?
#
# Nothing special. PRISM leaves no state: the norms are in the table, and so in `state_dict()`. Call it before training and
# never on a loaded checkpoint, where it would overwrite lengths. A table that is sharded as a `DTensor`, as FSDP2 does, is
# initialised by one call on every rank, with the counts of all rows. What is wrong on one rank is an error on every rank. Where
# a `DTensor` is sharded by rows, slices of it and its `full_tensor()` are copies, and `prism_` refuses them: leave out a padding
# row before the table is sharded. Shards that are plain tensors can be initialised one by one only where each holds whole
# rows, with the counts of its rows. Where $k$ shards each hold some columns of every row, each would get the norm that the
# whole row should have, and the row $\sqrt{k}$ times that norm.
#
# `prism_` works in blocks of rows, to the same numbers as `prism`: beside the table it needs less than a tenth of its memory. A
# table on the meta device has no values to scale, and is refused: after `to_empty` and an initialiser comes `prism_`.
#
# ### `weight_norm`, pruning, `max_norm`?
#
# `weight_norm`, `spectral_norm` and pruning compute the table anew at each use, so `prism_` on it would change nothing, and
# is refused: call `prism_` before them. `nn.Embedding(..., max_norm=...)` shortens rows to that norm whenever they are looked
# up, and so would undo PRISM: leave `max_norm` out.
#
# ### Half precision?
#
# Tables may be float64, float32, bfloat16 or float16; norms are right to the type's rounding. Types of 8 bits, which PyTorch
# stores but does not compute with, are refused. Under autocast tables stay float32 and nothing changes.

# %%
rows = {}
for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
    weight = torch.nn.init.xavier_uniform_(torch.empty(num_items, dim)).to(dtype)
    norm = prism_(weight, item_popularity).double().norm(dim=1)
    error = (norm / prism_norm(item_popularity.double()) - 1).abs().max().item()
    rows[str(dtype)] = {"right to its rounding": error < 4 * torch.finfo(dtype).eps}
pd.DataFrame(rows).T

# %% [markdown]
# **Next:** [serving](../serving.md), [other libraries](../recipes.md), [large tables](scale.ipynb).
