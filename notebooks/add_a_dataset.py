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
# # Add your own dataset
#
# From a table of who took what to a split, a trained model, a run record and a whole sweep. The table here is
# **synthetic**, with ids of text, repeats and a missing value, as logs have them. Nothing in it is evidence about the paper.

# %% tags=["parameters"]
seed = 123
epochs = 5

# %% tags=["remove-input"]
from prismbook.pages import parameters

parameters.check(globals(), "seed", epochs=parameters.integer(1))

# %% tags=["hide-input"]
import pandas as pd
import torch

from prismlib import synthetic

torch.set_num_threads(1)  # batches this small gain nothing by more
made = synthetic(600, 500, 20_000)
log = pd.DataFrame(
    {
        "customer": [f"c-{user:04}" for user in made.user],
        "product": [f"sku{item * 37 % 9973:04}" for item in made.item],
    }
)
log = pd.concat([log, log.sample(500, random_state=0)], ignore_index=True)  # bought again
log.loc[len(log)] = ["c-0007", None]  # a line without a product
log = log.sample(frac=1, random_state=0, ignore_index=True)

# %% [markdown]
# Yours would come from `pd.read_csv("log.csv", dtype=str)` or `pd.read_parquet(...)`:

# %%
log.head(3)

# %% [markdown]
# ## From two columns to a dataset
#
# {py:func}`prismlib.data.dataset_from_pairs` numbers users and items from 0, and counts a pair that occurs several times
# once. It refuses what it cannot know the meaning of:

# %%
from prismlib import dataset_from_pairs

try:
    dataset_from_pairs("shop", log["customer"], log["product"])
except ValueError as error:
    print(error)

# %%
log = log.dropna()
data, user_ids, item_ids = dataset_from_pairs("shop", log["customer"], log["product"], synthetic=True)
print(f"{len(log):,} lines, {len(data):,} interactions")
print(f"{data.num_users:,} users, {data.num_items:,} items")
print("hash:", data.content_hash[:16])

# %% [markdown]
# `synthetic=True` is for generated data alone; leave it out for yours. `user_ids[r]` is the id of row `r` of the user
# table, and `item_ids` likewise: keep them, they are not part of the dataset. What you count as an interaction is yours to decide before. For MovieLens1M, ratings of 3 and more give the paper's number of interactions. Many filter users and items with few interactions.
#
# ## Split, train, evaluate
#
# The split is by chance over interactions, 80/10/10, as in the paper. To split otherwise, by time say, fill the three parts
# of {py:class}`prismlib.data.Split` yourself. All that follows takes its popularity from the training part. The learning rate is large
# because PRISM's rows are long: a step of Adam turns a longer row by a smaller angle.

# %% tags=["nbval-ignore-output"]
from prismlib import MF, SSM, FullRanking, fit, popularity_groups, prism_, random_split

split = random_split(data, seed)
model = MF(data.num_users, data.num_items, dim=32, generator=torch.Generator().manual_seed(seed))
prism_(model.user.weight, torch.from_numpy(split.user_popularity))
prism_(model.item.weight, torch.from_numpy(split.item_popularity))
groups = popularity_groups(torch.from_numpy(split.item_popularity))
validation = FullRanking(split.validation, [split.train], groups, data.num_users)
test = FullRanking(split.test, [split.train, split.validation], groups, data.num_users)
fit(model, SSM(num_negatives=10), split.train, validation, lr=0.1, batch_size=1024, max_epochs=epochs, seed=seed)
{name: round(value, 2) for name, value in test(*model.embeddings())["dot"].items()}

# %% [markdown]
# NDCG@20 of the test interactions, and the parts of it by popularity. And what it would recommend to one customer, in the
# shop's own ids; items the customer had in training or validation are left out:

# %% tags=["nbval-ignore-output"]
# of the first user with test interactions
best = test.lists(*model.embeddings())["dot"][0, :5]
print(user_ids[test.users[0]], "->", ", ".join(item_ids[best]))

# %% [markdown]
# ## Run records and sweeps
#
# Runs that are stored, compared and swept know a dataset by its name. {py:func}`prismlib.datasets.save` puts yours beside
# the published ones, in the folder that the environment variable `PRISM_DATA` names: `shop.npz` with the pairs and
# `shop.card.json` with their identity.

# %%
import os
import tempfile
from pathlib import Path

from prismlib import datasets

# in your case a folder that stays, set in your shell's profile
folder = tempfile.TemporaryDirectory()
os.environ["PRISM_DATA"] = folder.name
datasets.save(data, source="Made for this page; not real data.", terms="Free to use.")
print((Path(folder.name) / "shop.card.json").read_text())

# %% [markdown]
# From now on the name is known. A record holds the content hash, so one of `shop` can never be taken for one of another
# `shop`. A name that is kept is not given to other interactions: call those `shop-2`.

# %% tags=["nbval-ignore-output"]
from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import get_records
from prismbook.tables.analysis import tidy

results = Path(folder.name) / "results"
common = {"dataset": "shop", "loss": "ssm", "tau": 0.2, "num_negatives": 10, "dim": 32, "batch_size": 1024}
configs = [
    RunConfig(**common, lr=0.01, weight_decay=1e-4, max_epochs=epochs),
    RunConfig(**common, lr=0.1, init="prism", alpha=1.0, max_epochs=epochs),
]
records = get_records(configs, results, progress=False)
tidy(configs, records)[["weight_decay", "ndcg", "popular", "unpopular", "run"]].round(
    {"ndcg": 2, "popular": 2, "unpopular": 2}
)

# %% [markdown]
# PRISM has the larger learning rate here too. The records are stored. Asked again, nothing is trained:

# %%
again = get_records(configs, results, progress=False)
print("the same records:", again == records)
print("files:", len(list(results.glob("shop/*.json"))))

# %% [markdown]
# So the question of this book, tuned weight decay or PRISM, can be put to your data, as in the paper's Table 1. The
# commands, and how to run them on a GPU or a cluster, are those of [the page on sweeps](../cluster.md):
#
# ```sh
# export PRISM_DATA=/path/to/data
# python -m prismbook sweep estimate table1 --dataset shop
# python -m prismbook sweep run table1 --dataset shop
# ```

# %% tags=["remove-cell"]
folder.cleanup()

# %% [markdown]
# ## Register a published dataset
#
# A dataset that others can get belongs in `prismlib/_cards.py`, so that it is downloaded and checked for everyone. That is
# one {py:class}`~prismlib._cards.Card` in `CARDS`, what it is, and the files in `SOURCES`, where it comes from.
# {py:func}`prismlib.datasets.load` reads a file `NAME.npz`, or `train.txt` and `test.txt` of LightGCN's form, a line
# `user item item ...`.
#
# | field | what it says, and what checks it |
# |---|---|
# | `name` | lower case; `test_tables_are_well_formed` holds that key and name agree |
# | `users`, `items`, `interactions` | counted by `load`, which refuses other counts |
# | `paper` | what the paper's Table 2 prints, `None` for a dataset that is not there; compared by the test above |
# | `content_hash` | `load(name).content_hash` of a copy you trust; `load` refuses any other content |
# | `split_hash` | `random_split(data, 123).split_hash`; compared by `test_published_data` where the data are at hand |
# | `source`, `terms`, `citation` | shown on [](datasets.ipynb); the test above holds that none is empty |
# | `synthetic` | `False` |
# | file and MD5 of a source | its name and the MD5 of its content, of text with LF line ends; every download is checked |
# | addresses of a source | two mirrors or more, by https, tried in turn; with a commit or version where the host has them |
#
# Both tests are in `tests/test_sources.py`. To get the hashes, put your trusted copy once through `dataset_from_pairs`;
# where the published ids already run from 0 without gaps, it keeps them. Another file format needs a line in `_layouts`
# and a reader in `prismlib/sources.py`. Then add the name to the parameters of `notebooks/datasets.py` and run
# `PRISM_DATA=... pytest tests/test_sources.py`.
