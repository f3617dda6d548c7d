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
# Angle-based losses such as DirectAU do not look at the length of an embedding. Weight decay acts on nothing else.
# So it should not matter to them. The paper says that it matters more to them than to BPR, which does look at length
# (Section 3.1.1, Figure 1 of {cite}`loveland2025weightdecay`). This page trains both losses over a range of weight
# decays and looks.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C1 | DirectAU on matrix factorisation depends strongly on weight decay; with too weak a decay it falls below BPR on MovieLens1M and Gowalla | order of the curves in Figure 1 |
# | C2 | a stronger decay widens the gap between popular and unpopular items, for BPR least | trend of the curves in Figures 1 and 10 |

# %% tags=["parameters"]
dataset = "synthetic"  # synthetic, movielens1m, gowalla, yelp2018, amazonbook, amazoncds
losses = ["bpr", "directau"]
weight_decays = None  # a list; None is the project's grid for the dataset
seeds = [123]
epochs = None  # at most; or for each loss: {"bpr": 1000, "directau": 100}; None is the project's choice
device = "cpu"  # or "cuda"
results = None  # folder of run records; None is the project's own
train = True  # False: show what is stored, train nothing
force = False  # True: train again also what is stored

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
from IPython.display import Markdown, display

from prismlib import analysis, figures, sources
from prismlib.experiments import rq1_configs
from prismlib.runs import get_records

# %config InlineBackend.figure_formats = ["svg"]
# %config InlineBackend.print_figure_kwargs = {"metadata": {"Date": None}, "bbox_inches": "tight"}
plt.style.use(figures.STYLE)

card = sources.identity_card(dataset)
kind = "**synthetic data**, generated, not a dataset of the paper" if dataset == "synthetic" else "real interactions"
display(
    Markdown(
        f"Dataset **{dataset}**: {kind}; {card.users:,} users, {card.items:,} items,"
        f" {card.interactions:,} interactions, split 80/10/10."
    )
)

# %% [markdown]
# ## Train, or load what was trained
#
# Matrix factorisation, 64 dimensions, Adam at learning rate 1e-3 with decay on the whole tables, early stopping on
# validation NDCG@20 by dot product with patience 10, best epoch restored. A run that is stored in the results folder is
# loaded; one that is not is trained here.

# %%
configs = rq1_configs(dataset, losses, weight_decays, seeds, epochs, device=device)
records = get_records(configs, results, train=train, force=force)
runs = analysis.tidy(configs, records)
table = analysis.over_seeds(runs)
analysis.shown(table)

# %% [markdown]
# The three groups are parts of the whole: popular (top 5 % of items), neutral (next 15 %) and unpopular NDCG@20 add up
# to the overall NDCG@20. *by cosine* ranks by angle alone; *norm ~ log d* is the correlation of item norms with log
# popularity. All values are of the test split, at the best epoch.

# %% tags=["remove-input"]
display(Markdown(analysis.how_runs_ended(runs)))

# %% [markdown]
# ## Figure 1, measured

# %% mystnb={"image": {"alt": "Line charts of test NDCG@20 against weight decay: all items with one curve a loss, then one panel a loss with popular, neutral and unpopular items"}} tags=["remove-input", "nbval-ignore-output"]
figures.weight_decay_curves(table, dataset)
plt.show()

# %% [markdown]
# *Test NDCG@20 against weight decay. Left: all items, one curve a loss. Right: its three parts by item popularity, one
# panel a loss. If the paper is right, the DirectAU curve climbs from the left and starts below BPR's, and in its panel
# the popular curve rises while the unpopular one falls.*
#
# ## Verdict

# %%
for claim, statements in {"C1": analysis.claim_c1(runs), "C2": analysis.claim_c2(runs)}.items():
    display(Markdown(analysis.verdict_text(claim, dataset, statements)))

# %% [markdown]
# **What would change our mind.** C1: a DirectAU curve that is flat, or above BPR's at the weakest decay. C2: a gap that
# does not grow with decay, or grows more for BPR. With one seed no spread is known, and differences in the third
# decimal are not evidence.
#
# ## Where these numbers come from

# %% tags=["hide-input", "hide-output", "nbval-ignore-output"]
origin = ["loss", "weight_decay", "seed", "best_epoch", "epochs", "stopped_by", "seconds", "run", "device", "commit"]
display(runs[origin])
print("content hash:", card.content_hash)
redo = f"-p dataset {dataset} -p device {device} -p force True"
print("redo: papermill notebooks/rq1_weight_decay.ipynb out.ipynb", redo)
