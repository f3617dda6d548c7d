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
# # RQ1: is weight decay needed?
#
# Angle-based losses such as DirectAU ignore the length of an embedding. Under plain gradient descent, weight decay changes nothing
# but lengths. So decay should not matter to them. The paper says that it matters more to them than to BPR, which does look at length
# (Section 3.1.1, Figure 1 of {cite}`loveland2025weightdecay`). This page trains losses over a range of weight decays and
# looks.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C1 | DirectAU on matrix factorisation depends strongly on weight decay; with too weak a decay it falls below BPR on MovieLens1M and Gowalla | order of the curves in Figure 1 |
# | C2 | a stronger decay widens the gap between popular and unpopular items; BPR's gap is less pronounced than that of the others | trend of the curves in Figures 1 and 10 |
# | C21 | high performance needs careful tuning of weight decay, whatever the loss | a sentence of the abstract |
# | C22 | BPR's performance changes little with decay, compared with DirectAU's | a sentence of Section 4.1.2 |

# %% tags=["parameters"]
dataset = "synthetic"  # or movielens1m, gowalla, yelp2018, amazonbook, amazoncds
losses = ["bpr", "directau"]
weight_decays = None  # a list; None is the project's grid for the dataset
seeds = [123]
epochs = None  # at most; None is the project's choice
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"  # or "cuda"
results = None  # folder of run records; None is the project's own
train = True  # False: show what is stored, train nothing
force = False  # True: train again also what is stored

# %% tags=["remove-input"]
import matplotlib.pyplot as plt

from prismbook.claims import decay_claims
from prismbook.pages import figures, page, parameters, rq1_tables
from prismbook.pages.provenance import command
from prismbook.plan.experiments import grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis

parameters.check(
    globals(), "dataset", "losses", "weight_decays", "seeds", "epochs", "lr", "device", "results", "train", "force"
)
page.begin(dataset)

# %% [markdown]
# ## Train, or load what was trained
#
# Matrix factorisation, 64 dimensions, Adam with decay on the whole tables, early stopping on
# validation NDCG@20 by dot product with patience 10, best epoch restored. A run that is stored in the results folder is
# loaded; one that is not is trained here.

# %%
configs = grid_configs(dataset, losses, weight_decays, seeds, epochs, lr=lr, device=device)
get_records(configs, results, train=train, force=force)
runs = analysis.measured(results or default_results(), configs)
table = analysis.over_seeds(runs)
analysis.shown(table)

# %% [markdown]
# The three groups are parts of the whole: popular (top 5 % of items), neutral (next 15 %) and unpopular NDCG@20 add up
# to the overall NDCG@20. *by cosine* ranks by angle alone; *norm ~ log d* is the correlation of item norms with log
# popularity. NDCG@20 is of the test split, norms and popularity are of training; all at the best epoch.

# %% tags=["remove-input"]
page.say(analysis.notes(runs))

# %% [markdown]
# ## One run in plain `prismlib`
#
# Nothing is hidden in these numbers. This cell runs by itself: it trains one model on synthetic data, whatever data this page
# shows. `get_records` does the same for every configuration, and keeps the result.

# %% tags=["plain-prismlib"]
import torch

from prismlib import BPR, MF, FullRanking, fit, popularity_groups, random_split, synthetic

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
test = FullRanking(split.test, [split.train, split.validation], groups, sizes[0])
model = MF(*sizes, dim=64, generator=torch.Generator().manual_seed(123))
how = {"lr": 0.01, "weight_decay": 1e-4, "batch_size": 16384, "max_epochs": 10, "seed": 123}
history = fit(model, BPR(), split.train, validation, **how)  # weight_decay is the lambda of Equation 1
ndcg = test(*(table.detach() for table in model.embeddings()))["dot"]["ndcg"]
print(f"test NDCG@20 {ndcg:.4f}, best epoch {history.best_epoch} of {len(history.loss)}")

from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import get_records

(stored,) = get_records([RunConfig("synthetic", "bpr", **how)], progress=False)
assert round(ndcg, 4) == round(stored["test"]["dot"]["ndcg"], 4) and history.best_epoch == stored["best_epoch"]

# %% [markdown]
# ## Figure 1, measured

# %% mystnb={"image": {"alt": "Line charts of test NDCG@20 against weight decay: all items with one curve a loss, then one panel a loss with popular, neutral and unpopular items"}} tags=["remove-input", "nbval-ignore-output"]
given = {"losses": losses, "weight_decays": weight_decays, "seeds": seeds, "epochs": epochs, "lr": lr, "device": device}
redo = command("rq1_weight_decay", dataset=dataset, **given, train=True, force=True)
if page.has_runs(runs, redo):
    figures.weight_decay_curves(table, dataset)
    plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
page.origin(runs, redo)

# %% [markdown]
# *Test NDCG@20 against weight decay. Left: all items, one curve a loss. Right: its three parts by item popularity, one
# panel a loss. If the paper is right, the DirectAU curve climbs from the left and starts below BPR's, and in its panel
# the popular curve rises while the unpopular one falls.*
#
# ## Verdict

# %%
page.verdict("C1", dataset, decay_claims.claim_c1(runs), results)
page.verdict("C2", dataset, decay_claims.claim_c2(runs), results)
page.verdict("C21", dataset, decay_claims.claim_c21(runs), results)
page.verdict("C22", dataset, decay_claims.claim_c22(runs), results)

# %% tags=["remove-input"]
page.say(rq1_tables.widest_gaps(runs))

# %% [markdown]
# **What would change our mind.** C1: a DirectAU curve that is flat, or nowhere below BPR's. C2: a gap that does not grow
# with decay, or that grows as much for BPR. C21: a loss that is as good without decay. C22: a BPR curve that changes more than
# DirectAU's.
