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
# # Large tables
#
# Weight decay, in the paper's Equation 1, changes every row at every step. PRISM needs no decay. So a step may leave the rows alone that are not in its
# batch, and its time then grows far less than the tables. This page measures what that is worth, where it
# is not worth anything, and what it does not save. All numbers are from `make bench-scale`, on one CPU thread; no GPU was measured.
#
# **What to do:**

# %% tags=["parameters", "remove-input"]
folder = None  # with scale.json; None is the project's own

# %% tags=["remove-input"]
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from prismbook.pages import page, parameters, scale_tables

parameters.check(globals(), "folder")
page.begin()
place = page.source_tree() / "benchmarks" if folder is None else Path(folder)
scale = json.loads((place / "scale.json").read_text())

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(scale_tables.what_to_do(scale["steps"]))

# %% [markdown]
# ## Time of a step
#
# One step of MF with 4,096 pairs and 64 dimensions. Half of the rows are users, half are items, and pairs are drawn uniformly. The
# lines are with huge pages of memory (see below), but for the dashed one: that is Adam on all rows without them, as PyTorch runs it by default.

# %% mystnb={"image": {"alt": "Two log-log panels, BPR and SSM: CPU time of a training step against the number of rows. Adam on all rows grows in proportion to the tables; Adam on the batch's rows, lazy Adam, row-wise Adagrad and SGD stay nearly level. A ring marks where Adam on the batch's rows becomes the faster one"}} tags=["remove-input", "nbval-ignore-output"]
scale_tables.step_times(scale["steps"])
plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(scale_tables.crossings(scale["steps"]))
page.say(f"*{scale_tables.machine(scale['steps'])}*")

# %% [markdown]
# **Left of a ring, leave it.** A batch then holds a good part of the tables. Adam on all rows passes over them in order, which memory is
# quick at. A step on the batch's rows has to find the distinct rows, gather them and scatter them. Every dataset of the paper
# is left of the ring, so `fit` uses Adam on all rows unless asked.
#
# **Right of it**, time on the batch's rows still grows, though far less than the tables. Rows of a larger table are farther apart, and the
# processor's caches hold fewer of them. BPR's step has few distinct rows; SSM's, with 10 negatives in place of one, has up to four times as many.
#
# The four are options of `fit` and of `make_optimizer`, for a model made with `sparse=True`:
#
# - `"row_adam"` trains what Adam trains. Adam moves a row by its momentum while the row is out of the batch. Those moves need
#   no gradient, and their sum has a closed form, so the row makes them when it is looked up again.
# - `"sparse_adam"` is PyTorch's, also called lazy Adam. It leaves those moves out, which makes it another optimiser.
# - `"rowwise_adagrad"` and `"sgd"` never move a row that is out of the batch. On the batch's rows they train the same as on all.
#
# ## Memory does grow with the tables
#
# What is saved is the gradient of the size of the tables, and not the moments: Adam keeps two for each weight, in whatever way it updates them. Only
# optimisers without moments come down to the weights, with one number a row or none. A *table* here is the weights of users and items together.

# %% tags=["remove-input", "nbval-ignore-output"]
display(scale_tables.memory(scale["steps"]))
page.say(scale_tables.starts(scale["prism"]))

# %% [markdown]
# The last column is arithmetic. Tables of a hundred million rows were not trained here. With Adam on the batch's rows they would just about fill a
# GPU of 80 GB; with row-wise Adagrad or SGD they would leave most of it free.
#
# ## Where the time goes
#
# The look-up of `"row_adam"` includes the moves that are made up for. Gradients of Adam on all rows include a fresh
# tensor of the size of the tables, which has to be set to zero.

# %% tags=["remove-input", "nbval-ignore-output"]
rows = 1_000_000
display(scale_tables.parts(scale["steps"], rows))
page.say(f"*Per step, tables of {rows:,} rows, with huge pages unless said.*")

# %% [markdown]
# ## What they train
#
# Same start (PRISM), same batches, same negatives; validation NDCG@20 after each epoch.

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(scale_tables.quality_sentence(scale["quality"]))
display(scale_tables.quality(scale["quality"]))

# %% [markdown]
# At one rate the others are not comparable: each has a best rate of its own, and SGD does nothing at Adam's. Row-wise Adagrad's second row has a rate of 0.1, SGD's the
# rate of {py:func}`~prismlib.optim.untuned_sgd_rate`. That is large here: it goes with the batch and with the squared length of rows, and PRISM's rows
# are long. [](optimisers.ipynb) compares optimisers, each at a rate of its own.
#
# ## More pairs than memory holds
#
# {py:mod}`prismlib.stream` keeps pairs in a file. It counts them for PRISM block by block, and an epoch reads every pair once, in a
# random order. A whole training in this way, by DirectAU on small generated data:

# %% tags=["plain-prismlib"]
import tempfile

import torch

from prismlib import MF, DirectAU, FullRanking, Interactions, popularity_groups, prism_, random_split, synthetic
from prismlib.optim import make_optimizer
from prismlib.stream import count_pairs, read_batches, write_pairs
from prismlib.train import train_step

split = random_split(synthetic(600, 500, 20_000), seed=1)
users, items = split.train
pairs = tempfile.mkdtemp() + "/pairs.bin"
starts = range(0, len(users), 1000)  # what a log or a database gives at a time
write_pairs(pairs, (Interactions(users[n : n + 1000], items[n : n + 1000]) for n in starts))

generator = torch.Generator().manual_seed(1)
model = MF(600, 500, 64, generator, sparse=True)
for table, counts in zip((model.user, model.item), count_pairs(pairs, 600, 500), strict=True):
    prism_(table.weight, counts)
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, 600)
before = validation(*model.embeddings())["dot"]["ndcg"]
optimizer = make_optimizer("row_adam", [model], lr=0.03)
for _ in range(8):
    for user, item in read_batches(pairs, 512, generator):
        train_step(model, DirectAU(gamma=1.0), optimizer, user, item, 500, generator)
    optimizer.flush()  # the moves that rows have not made up for

after = validation(*model.embeddings())["dot"]["ndcg"]
print(f"validation NDCG@20: {before:.2f} before training, {after:.2f} after")

# %% [markdown]
# *NDCG@20 rises: the model learns from the file. These are 600 generated users and one learning rate, so the height is no result.*
#
# And a hundred million pairs, to the end of an epoch:

# %% tags=["remove-input", "nbval-ignore-output"]
display(scale_tables.stream(scale["stream"]))
page.say(scale_tables.stream_sentence(scale["stream"], scale["steps"]))

# %% [markdown]
# Memory holds the counts, one for each row, and the blocks that are read together. The file is read and not mapped, so that it does not
# count. Shuffling takes 256 blocks of 4,096 pairs at a time, from random places of the file. A file that is sorted by user is fine; one whose
# order matters in longer stretches needs smaller blocks.
#
# ## Huge pages
#
# `THP_MEM_ALLOC_ENABLE=1`, set before Python starts, lets PyTorch ask Linux for memory in pages of 2 MB in place of 4 kB. A fresh tensor of the
# size of the tables then costs far fewer page faults.

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(scale_tables.pages_sentence(scale["steps"], scale["pages"]))

# %% [markdown]
# Measure before you set them.

# %% tags=["remove-input", "hide-output", "nbval-ignore-output"]
display(pd.DataFrame(scale["steps"]["measured"]))
for name, part in scale.items():
    own = part["environment"]
    print(f"{name}: {part['date']}, commit {(own['commit'] or '')[:8]}, {own['device']}, PyTorch {own['torch']}")
print("redo: make bench-scale")
