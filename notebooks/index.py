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
# # Does weight decay store item popularity?
#
# Loveland, Ju, Zhao, Shah and Koutra {cite}`loveland2025weightdecay` say that it does: in collaborative filtering, weight decay
# writes the popularity of items into the lengths of their vectors. PRISM, their method, writes it there before training starts,
# so that training needs no decay. This book runs the paper again. It puts each claim beside the code that tests it and the number
# that we measured.
#
# It is for students of the paper, for practitioners who wonder whether to use PRISM, and for whoever wants to check either. It is
# independent of the paper's authors: none of them took part in it, and nobody has reviewed its verdicts on their behalf.

# %% tags=["parameters", "remove-input"]
dataset = "movielens1m"
losses = ["bpr", "ssm", "directau"]
seed = 123
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import matplotlib.pyplot as plt

from prismbook.claims import ledger
from prismbook.claims.magnitudes import magnitudes
from prismbook.pages import figures, marks, page, parameters, start_page, widgets
from prismbook.pages.provenance import command
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import default_results, scan
from prismbook.tables import analysis, labels
from prismbook.tables.rules import MARGIN

parameters.check(globals(), "dataset", "losses", "seed", "results")
page.begin()
stored, _ = scan(results or default_results())
real_runs = start_page.real_runs(stored)
page.say(f"**What was run.** {start_page.scope(real_runs)} [Hours and hardware](pages/reproduce.ipynb)")

# %% tags=["remove-input"]
start_page.scope_table(real_runs)

# %% [markdown]
# ## What we found

# %% tags=["remove-input"]
rows = ledger.ledger(results)
numbers, accepted = magnitudes(results), ledger.summary(rows)
page.say(marks.KEY)

# %% tags=["remove-input"]
page.html(start_page.answers(rows, page.pages(), results))

# %% tags=["remove-input"]
page.say(start_page.how_sure(rows))

# %% [markdown]
# *A mark is the ledger's verdict on a claim, a number our difference as a share, with the number of seeds in brackets. A line opens to
# the statements behind it. [All claims](pages/ledger.ipynb) · [what we found that the paper does not say](pages/found.ipynb) ·
# [how verdicts are made](pages/verdicts.ipynb)*
#
# ## The paper's numbers and ours

# %% mystnb={"image": {"alt": "For each claim with a number, one row per dataset and protocol: a black bar for the paper's change from tuned decay to PRISM, and a marker with its 95 % interval for ours, whose shape and colour are the verdict, which the right edge names"}} tags=["remove-input", "nbval-ignore-output"]
groups = start_page.figure_rows(numbers, accepted)
if groups:
    figures.paper_and_ours(groups, MARGIN)
    plt.show()

# %% [markdown]
# *The claims of the paper on PRISM that come with a number. A black bar is the paper's change, a marker is ours with its 95 % interval over users and seeds. Colour, shape and the
# word on the right are the verdict on the claim, which may rest on more than this number. A hollow marker is provisional. The paper's bars of C8 to C10 are those of
# the same losses on the same dataset in its Table 1; those of C11 and C12 are its means over datasets. If a row names losses, the others
# were not run. The axis is linear between -5 and +5 % and logarithmic beyond.*
#
# ## PRISM in six lines
#
# ```python
# import torch
# from prismlib import prism_
#
# popularity = torch.tensor([0, 6, 998])  # the number of training interactions of each item
# items = torch.nn.Embedding(len(popularity), 64)
# torch.nn.init.xavier_uniform_(items.weight)
# prism_(items.weight, popularity)  # the norms of the rows are now log(popularity + 2): 0.69, 2.08, 6.91
# ```
#
# Then train without weight decay. For a row $\mathbf{w}$ with $d$ training interactions and a strength $\alpha \in [0, 1]$, which
# is 1 above, this is
#
# $$
# \mathbf{w} \leftarrow \bigl(\alpha \log(d + 2) + 1 - \alpha\bigr)\, \frac{\mathbf{w}}{\lVert \mathbf{w} \rVert} .
# $$ (eq-prism)
#
# Why could that replace weight decay? A recommender learns one vector for each user and each item, and ranks items by the dot
# product. Angle-based losses, among them SSM, DirectAU and MAWU, do not see how long a vector is. They are trained with weight decay all the same:
#
# $$
# \mathcal{L} = \mathcal{L}_\mathrm{rank}(\mathcal{B}) + \frac{\lambda}{2}\left(\lVert U \rVert_F^2 + \lVert I \rVert_F^2\right)
# $$ (eq-loss)
#
# In {eq}`eq-loss`, the ranking loss sees the batch $\mathcal{B}$ and the decay $\lambda$ sees both whole tables. The paper argues
# that decay shortens every row at every step, while the loss lengthens only the rows in the batch, and popular items are in the
# batch more often. That is a theorem for plain gradient descent. These models are trained with Adam, under which decay does more
# than shorten rows: see the [theory](pages/theory.ipynb).
#
# ## Whom does decay serve?
#
# Call the most interacted 5 % of the items popular, the next 15 % neutral and all others unpopular. The quality of a
# ranking, NDCG@20, is a sum over the items that were found, and so falls into three parts. Two models of the same
# NDCG@20 can serve quite different items.

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(page.about(dataset))
configs = grid_configs(dataset, losses, seeds=seed)
runs = analysis.measured(results or default_results(), configs)
table = analysis.over_seeds(runs)
name, made = labels.dataset_name(dataset), int(runs["run"].notna().sum())
missing = "" if made == len(runs) else "; what is missing is shown as not run"
page.say(
    f"Matrix factorisation, learning rate {configs[0].lr:g}, one seed, {seed}, so no spread is known."
    f" {made} of {len(runs)} runs are made{missing}."
)

# %% mystnb={"image": {"alt": "Stacked bars of test NDCG@20, one panel per loss and one bar per weight decay; each bar is made of a popular, a neutral and an unpopular part"}} tags=["remove-input", "nbval-ignore-output"]
means = table.xs("mean", axis=1, level=1)
tables = {loss: means.loc[loss] for loss in means.index.unique("loss")}
widgets.tradeoff_bars(tables, "weight decay λ")
plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
page.origin(runs, command("rq1_weight_decay", dataset=dataset, losses=losses, train=True, force=True))

# %% [markdown]
# *Test NDCG@20 at each weight decay, one panel per loss. The length of a bar is the whole, its colours say whom it serves.*
# The same runs to move: choose a loss, then push the decay up and watch which part of the bar gives way.

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(widgets.tradeoff_widget(tables, "weight decay λ", f"Who is served, on {name}"))

# %% [markdown]
# ## How to read a page
#
# Every page of results is one notebook, run with parameters. It states the question and the paper's claim, trains the
# models or loads the records of trained ones, draws the figure and prints the [ledger's](pages/ledger.ipynb) verdict. A verdict is that of the
# claim's core statements, one to three for each claim, which are judged by [the same rules](pages/verdicts.ipynb) everywhere:
#
# reproduced
# : all core statements hold. *Reproduced, size differs*: they do, and the paper's figure is not ours
#
# for X, not for Y
# : they hold for some losses, protocols or readings, which are named, and not for others
#
# not reproduced
# : none of those that are decided holds
#
# open (k of n decided)
# : what was run does not tell
#
# provisional
# : the verdict would be another without statements that hold only just
#
# not measured
# : runs that the claim needs have not been made. The page shows which
#
# Pages that say **synthetic** show generated data, trained on the machine that built this book. They show the mechanism and have
# no verdict: they are no evidence about the paper's datasets. All other pages of results are drawn from run records: one small file per run with its
# configuration, seed, data hash, code version, device and seconds, folded below each figure.
#
# ## Where to go next
#
# - All claims at a glance: the [ledger](pages/ledger.ipynb). Beyond the claims:
#   [what we found that the paper does not say](pages/found.ipynb).
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

