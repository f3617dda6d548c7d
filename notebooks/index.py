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
# # What weight decay writes
#
# A recommender learns one vector for each user and each item, and ranks items by the dot product. The best losses for it
# look at angles only: they do not see how long a vector is. Yet they are trained with weight decay, which does nothing but
# shorten vectors, and without it, the paper finds, some of them fall behind simpler losses. Loveland, Ju, Zhao, Shah and Koutra
# {cite}`loveland2025weightdecay` ask why, and answer: weight decay writes *popularity* into the lengths. It shortens every
# row at every step, while the loss lengthens only the rows in the batch, and popular items are in the batch more often.
#
# $$
# \mathcal{L} = \mathcal{L}_\mathrm{rank}(\mathcal{B}) + \frac{\lambda}{2}\left(\lVert U \rVert_F^2 + \lVert I \rVert_F^2\right)
# $$ (eq-loss)
#
# In {eq}`eq-loss`, the ranking loss sees the batch $\mathcal{B}$ and the decay $\lambda$ sees both whole tables. If that
# asymmetry is all that decay is good for, one can write the lengths at the start and leave decay away. That is PRISM:
#
# $$
# \mathbf{w} \leftarrow \bigl(\alpha \log(d + 2) + 1 - \alpha\bigr)\, \frac{\mathbf{w}}{\lVert \mathbf{w} \rVert}
# $$ (eq-prism)
#
# for a row $\mathbf{w}$ with $d$ training interactions and a strength $\alpha \in [0, 1]$. In code, on any embedding table:
#
# ```python
# import torch
# from prismlib import prism_
#
# items = torch.nn.Embedding(num_items, 64)
# torch.nn.init.xavier_uniform_(items.weight)
# prism_(items.weight, popularity=interactions_per_item)  # alpha = 1; then train without weight decay
# ```
#
# This book puts each claim of the paper beside the code that tests it and the number we measured.
#
# ## Whom does decay serve?
#
# Call the most interacted 5 % of the items popular, the next 15 % neutral and all others unpopular. The quality of a
# ranking, NDCG@20, is a sum over the items that were found, and so falls into three parts. Two models of the same
# NDCG@20 can serve quite different items.

# %% tags=["parameters", "remove-input"]
dataset = "movielens1m"
losses = ["bpr", "ssm", "directau"]
seed = 123
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input", "nbval-ignore-output"]
import matplotlib.pyplot as plt

from prismbook.pages import page, parameters, widgets
from prismbook.pages.provenance import command
from prismbook.plan.experiments import grid_configs
from prismbook.runs.attempts import get_records
from prismbook.tables import analysis, labels

parameters.check(globals(), "dataset", "losses", "seed", "results")
page.begin(dataset)
configs = grid_configs(dataset, losses, seeds=seed)
runs = analysis.tidy(configs, get_records(configs, results, train=False))
table = analysis.over_seeds(runs)
name, made = labels.dataset_name(dataset), int(runs["run"].notna().sum())
missing = "" if made == len(runs) else "; what is missing is shown as not run"
page.say(
    f"Matrix factorisation, learning rate {configs[0].lr:g}, one seed, {seed}, so no spread is known."
    f" {made} of {len(runs)} runs are made{missing}."
)

# %% mystnb={"image": {"alt": "Stacked bars of test NDCG@20, one panel a loss and one bar a weight decay; each bar is made of a popular, a neutral and an unpopular part"}} tags=["remove-input", "nbval-ignore-output"]
means = table.xs("mean", axis=1, level=1)
tables = {loss: means.loc[loss] for loss in means.index.unique("loss")}
widgets.tradeoff_bars(tables, "weight decay λ")
plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
page.origin(runs, command("rq1_weight_decay", dataset=dataset, losses=losses, train=True, force=True))

# %% [markdown]
# *Test NDCG@20 at each weight decay, one panel a loss. The length of a bar is the whole, its colours say whom it serves.*
# The same runs to move: choose a loss, then push the decay up and watch which part of the bar gives way.

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(widgets.tradeoff_widget(tables, "weight decay λ", f"Who is served, on {name}"))

# %% [markdown]
# ## How to read a page
#
# Every page of results is one notebook, run with parameters. It states the question and the paper's claim, trains the
# models or loads the records of trained ones, draws the figure and ends with a verdict, which is computed from the
# numbers:
#
# reproduced
# : every statement that the claim makes about these runs holds
#
# in part
# : some hold; others do not, or are open. The page shows which
#
# not reproduced
# : nothing that was measured holds
#
# undecided
# : what was run does not tell: a search that did not end, or seeds that differ too much
#
# provisional
# : the verdict rests on a single seed, and would be another without it
#
# not measured
# : runs that the claim needs have not been made. The page shows which
#
# Pages that say **synthetic** show generated data, trained on the machine that built this book. They show the mechanism; they
# are no evidence about the paper's datasets. All other pages of results are drawn from run records: one small file a run with its
# configuration, seed, data hash, code version, device and seconds, folded below each figure.
#
# ## Where to go next
#
# - All claims at a glance: the [ledger](pages/ledger.ipynb).
# - The four questions, on MovieLens1M: [is weight decay needed?](pages/rq1_weight_decay_movielens1m.ipynb)
#   [What does it write?](pages/rq2_norms_movielens1m.ipynb)
#   [Can we write it directly?](pages/rq3_prism_movielens1m.ipynb)
#   [What does that buy?](pages/rq4_benefits_movielens1m.ipynb) Each also on Gowalla, on Yelp2018 and on synthetic data.
# - Why: the [theory](pages/theory.ipynb), each statement with its proof and the cell that checks it.
# - Where a formula of the paper is in the code: [from the paper to the code](paper_to_code.md).
# - Use it: [PRISM in your own model](pages/use_prism.ipynb), [your own data](pages/add_a_dataset.ipynb),
#   [your own loss](pages/add_a_loss.ipynb), [a cluster](cluster.md), [every function](api/index.md).
#   Check it: [commands, hours and hardware](pages/reproduce.ipynb).
#

