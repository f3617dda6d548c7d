# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
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
# user or item occurs in the training interactions {cite}`loveland2025weightdecay`. Then train without weight decay. It
# needs torch alone: `pip install .`, or copy {py:mod}`prismlib.init`, 78 lines with their documentation.
#
# Both examples below run on generated data, to show where the call goes and what changes. They are not evidence for or
# against the paper.

# %% tags=["parameters"]
seed = 123
epochs = 12
lr = 0.03
batch_size = 512
dim = 32

# %% [markdown]
# ## A model of plain PyTorch
#
# Everything here is yours but the last import: two tables, a loss, a loop. The loss is a softmax of cosines over one
# positive and a few sampled negatives, as SSM is, so it does not see how long a row is; ranking by dot product does.

# %%
import torch
from torch import nn
from torch.nn import functional as F

from prismlib import FullRanking, norm_summary, popularity_groups, prism_, prism_norm, random_split, synthetic

split = random_split(synthetic(600, 500, 20_000), seed)  # in your code: your tensors of user and item ids
num_users, num_items = split.dataset.num_users, split.dataset.num_items
user_id, item_id = torch.as_tensor(split.train.user).long(), torch.as_tensor(split.train.item).long()

# popularity: of the training interactions, never of validation or test
user_popularity = torch.bincount(user_id, minlength=num_users)
item_popularity = torch.bincount(item_id, minlength=num_items)


def tables(prism: bool) -> nn.ModuleDict:
    torch.manual_seed(seed)
    model = nn.ModuleDict({"user": nn.Embedding(num_users, dim), "item": nn.Embedding(num_items, dim)})
    for table in model.values():
        nn.init.xavier_uniform_(table.weight)
    if prism:
        prism_(model["user"].weight, user_popularity)
        prism_(model["item"].weight, item_popularity)
    return model


def train(model: nn.ModuleDict) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)  # no weight_decay
    for _ in range(epochs):
        for rows in torch.randperm(len(user_id)).split(batch_size):
            negatives = torch.randint(num_items, (len(rows), 10))
            listed = torch.cat([item_id[rows, None], negatives], dim=1)  # the positive first
            user, items = model["user"](user_id[rows]), model["item"](listed)
            cosine = F.cosine_similarity(user[:, None], items, dim=2)
            loss = F.cross_entropy(cosine / 0.2, torch.zeros(len(rows), dtype=torch.long))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


# %% [markdown]
# Trained with and without that call, and evaluated over the full ranking of all items:

# %%
import pandas as pd

groups = popularity_groups(item_popularity)
test = FullRanking(split.test, [split.train, split.validation], groups, num_users)


def measured(user: torch.Tensor, item: torch.Tensor, table: torch.Tensor) -> dict[str, float]:
    """NDCG@20, its parts, and how the norms of the item table go with popularity."""
    return test(user, item)["dot"] | {"norm ~ log d": norm_summary(table, item_popularity)["pearson_log"]}


rows = {}
for start in ("Xavier", "PRISM"):
    model = tables(prism=start == "PRISM")
    for when in ("before training", "after"):
        if when == "after":
            train(model)
        user, item = model["user"].weight, model["item"].weight
        rows[start, when] = measured(user, item, item)
pd.DataFrame(rows).T.rename_axis(["start", ""]).rename(columns={"ndcg": "NDCG@20"}).map("{:.2f}".format)

# %% [markdown]
# *NDCG@20 by dot product on generated data, the parts of it that popular, neutral and unpopular items bring, and the
# correlation of item norms with* $\log(d + 2)$*. The two starts differ in norms, which this loss does not train: without
# PRISM they stay unrelated to popularity, with it they keep it. One seed and one learning rate: read the last column, not
# the differences of the others.*
#
# **Look at the learning rate again.** With PRISM rows are longer, so a step of Adam, which has about the same length for
# every row, turns them by a smaller angle. A rate that was right for short rows can train too slowly; the paper tunes it
# for PRISM as for everything else.
#
# ## PyTorch Geometric's LightGCN
#
# [`torch_geometric.nn.LightGCN`](https://pytorch-geometric.readthedocs.io) keeps users and items in one table, users
# first. A slice of rows is a view of the same memory, so `prism_` on the slice writes into the table. The table stays a
# leaf that can be trained.

# %%
from torch_geometric.nn import LightGCN

user_node, item_node = user_id, item_id + num_users  # in the graph, items follow the users
edges = torch.stack([torch.cat([user_node, item_node]), torch.cat([item_node, user_node])])


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
# Only slices do this. Indexing with a list or a tensor of ids, `weight[ids]`, makes a copy: `prism_` would scale the copy
# and leave the table alone. Where ids are mixed, count the popularity of all rows, in the order of the table, and make one
# call on the whole of it.
#
# Training, by the model's own `recommendation_loss`, which is BPR, and by cosines as above. `lambda_reg=0`: its default
# is a penalty on the rows' lengths, that is, weight decay.

# %%
graph_epochs, graph_lr = 6, 0.1


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
                cosine = F.cosine_similarity(user[:, None], torch.cat([item[:, None], negative], dim=1), dim=2)
                loss = F.cross_entropy(cosine / 0.2, torch.zeros(len(rows), dtype=torch.long))
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
        table = model.embedding.weight[num_users:]
        after = norm_summary(item, item_popularity)["pearson_log"]
        rows[by, start] = measured(user, item, table) | {"the same, after the graph": after}
pd.DataFrame(rows).T.rename_axis(["loss", "start"]).rename(columns={"ndcg": "NDCG@20"}).map("{:.2f}".format)
