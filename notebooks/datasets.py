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
# # Datasets and their identity
#
# "Gowalla" is not one dataset: papers use the same name for different filters and splits. Here a dataset is what its
# content hash says: SHA-256 over the table sizes and all (user, item) pairs. A file whose interactions hash to anything
# else is refused when it is loaded, so a run record that names a hash names the data.

# %% tags=["parameters"]
datasets = ["synthetic", "movielens1m", "gowalla", "yelp2018", "amazonbook"]
further = ["amazoncds", "movielens1m-all"]  # not in the paper's Table 2
partial = ["amazonbook-partial"]

# %% tags=["remove-input"]
import pandas as pd

from prismbook.pages import page, parameters
from prismbook.plan.experiments import as_list
from prismbook.text import plural
from prismlib import random_split, synthetic
from prismlib.datasets import CARDS

parameters.check(
    globals(),
    datasets=parameters.several(parameters.choice(CARDS)),
    further=parameters.several(parameters.choice(CARDS)),
    partial=parameters.several(parameters.choice(CARDS)),
)


TABLE2 = "Table 2: users x items, interactions"


def sizes(names):
    """One row per dataset: its sizes, its density, and what the paper's Table 2 prints."""
    rows = []
    for card in (CARDS[name] for name in as_list(names)):
        ours = (card.users, card.items, card.interactions)
        same = "not in Table 2" if card.paper is None else "equal" if card.paper == ours else "see below"
        if card.content_hash is None:
            same = "not checked: no complete file, sizes as published"
        printed = "" if card.paper is None else "{:,} x {:,}, {:,}".format(*card.paper)
        density = f"{card.interactions / (card.users * card.items):.3%}"
        rows.append([card.name, *(f"{n:,}" for n in ours), density, printed, same])
    columns = ["dataset", "users", "items", "interactions", "density", TABLE2, "compared"]
    return pd.DataFrame(rows, columns=columns).set_index("dataset")


cards = [CARDS[name] for name in [*as_list(datasets), *as_list(further), *as_list(partial)]]

# %% [markdown]
# ## Against the paper's Table 2

# %%
sizes(datasets)

# %% tags=["remove-input"]
card = CARDS["movielens1m"]
users, items, interactions = card.paper
more = f"{plural(users - card.users, 'user')}, {plural(items - card.items, 'item')}"
page.say(
    f"MovieLens1M's ratings of 3 and more have {card.users:,} users and {card.items:,} items: Table 2 has {more} and"
    f" {plural(interactions - card.interactions, 'interaction')} more. Libraries that keep a padding id on each side"
    " print one more of both; that this is what happened is an inference."
)

# %% [markdown]
# ## Further datasets
#
# AmazonCDs is a fifth dataset, complete, with a published split. [The law of lengths is tested on it](optimisers.ipynb). `movielens1m-all` has all ratings of MovieLens 1M, as the loader of
# the released code takes them; movies without a rating are left out.

# %%
sizes(further).drop(columns=[TABLE2, "compared"])

# %% tags=["remove-input"]
share = CARDS["amazonbook-partial"].interactions / CARDS["amazonbook"].interactions
page.say(
    f"`amazonbook-partial` is {share:.1%} of AmazonBook, and not a uniform sample. Its numbers are never shown as"
    " AmazonBook's, and have tables of their own. `papermill notebooks/further_datasets.ipynb out.ipynb -p train True`"
    " makes runs on it and on AmazonCDs, PRISM and tuned decay on linear MF with every loss, and shows them."
)

# %%
sizes(partial).drop(columns=[TABLE2, "compared"])

# %% [markdown]
# ## Hashes
#
# The split hash covers the 80/10/10 split of seed 123: training, validation and test pairs. Where no hash stands, no
# complete copy was at hand to take it from; the published files' MD5 sums and the counts above are checked instead.

# %% tags=["hide-input"]
hashes = [[card.name, (card.content_hash or "")[:16], (card.split_hash or "")[:16]] for card in cards]
pd.DataFrame(hashes, columns=["dataset", "content hash", "split hash, seed 123"]).set_index("dataset")

# %% [markdown]
# The synthetic dataset is made here, now, and must come out with the hashes above:

# %%
split = random_split(synthetic(), seed=123)
card = CARDS["synthetic"]
print("content:", split.dataset.content_hash == card.content_hash, " split:", split.split_hash == card.split_hash)

# %% [markdown]
# ## Sources and terms
#
# This project's licence covers its code. The data belong to others; none is in this repository.

# %% tags=["hide-input"]
entries = [f"- **{card.name}.** {card.source} {card.terms} Cite: {card.citation}." for card in cards]
page.say("\n".join(entries))

# %% [markdown]
# ## How to get them
#
# `prismlib.datasets.load("gowalla")` looks first into the folder that the environment variable `PRISM_DATA` names. It
# finds `gowalla.npz` there (arrays `user`, `item`, `test`), or `gowalla/train.txt` and `gowalla/test.txt` as published. Next it looks
# into its download cache. Last it downloads from the public source, trying several mirrors, and checks the MD5 sums.
# MovieLens1M is read from `movielens1m.npz`, `ml-1m/ratings.dat` or `ml-1m.zip`.
