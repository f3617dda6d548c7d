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
# # LightGCN and decay
#
# Message passing adds up the embeddings of neighbours, so popular items get long ones whatever the loss does. Decay should
# then have little left to write (Section 4.1.2, Appendix D.1, Figure 8 of {cite}`loveland2025weightdecay`).
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C7 | LightGCN with DirectAU barely changes with decay | flat curves on Gowalla and Yelp2018 |

# %% tags=["parameters"]
dataset = "synthetic"
weight_decays = [0.0, 1.0e-4]  # None is the project's grid for the dataset
epochs = 10  # at most; None is the project's choice
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"
results = None
train = True
force = False

# %% tags=["remove-input"]
import matplotlib.pyplot as plt

from prismbook.claims import decay_claims
from prismbook.pages import figures, page, parameters
from prismbook.pages.provenance import command
from prismbook.plan.experiments import grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis

parameters.check(globals(), "dataset", "weight_decays", "epochs", "lr", "device", "results", "train", "force")
page.begin(dataset)

# %%
own = {"losses": "directau", "weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
configs = [config for backbone in ("lightgcn", "mf") for config in grid_configs(dataset, backbone=backbone, **own)]
get_records(configs, results, train=train, force=force)
runs = analysis.measured(results or default_results(), configs)
analysis.shown(analysis.over_seeds(runs, ("backbone", "weight_decay")))

# %% mystnb={"image": {"alt": "Test NDCG@20 of DirectAU on LightGCN against weight decay, all items in the left panel, popular, neutral and unpopular items in the right one"}} tags=["remove-input", "nbval-ignore-output"]
on_lightgcn = runs[runs["backbone"] == "LightGCN"]
given = {"weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
redo = command("lightgcn", dataset=dataset, **given, train=True, force=True)
if page.has_runs(on_lightgcn, redo):
    figures.weight_decay_curves(analysis.over_seeds(on_lightgcn), dataset)
    plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
page.origin(runs, redo)

# %% [markdown]
# *Test NDCG@20 of DirectAU on LightGCN against weight decay. If the paper is right, all curves are nearly flat. The table has
# MF with the same loss beside it.*

# %% tags=["remove-input", "nbval-ignore-output"]
for backbone, own in runs[runs["run"].notna()].groupby("backbone"):
    without, best = own[own["weight_decay"] == 0], analysis.best(own)
    if len(without) and best.weight_decay > 0:
        zero = without.iloc[0]
        page.say(
            f"On {backbone} validation chooses decay {best.weight_decay:g}, whose best epoch is {best.best_epoch:.0f};"
            f" that of no decay is {zero.best_epoch:.0f}. From no decay to the chosen one NDCG@20 goes from"
            f" {zero.ndcg:.3f} to {best.ndcg:.3f}, the popular items' share of it from {zero.popular / zero.ndcg:.0%}"
            f" to {best.popular / best.ndcg:.0%}, and the correlation of item lengths with log popularity from"
            f" {zero.norm_correlation:.2f} to {best.norm_correlation:.2f}."
        )

# %% [markdown]
# *Lengths of LightGCN's items are those after message passing.*
#
# ## Verdict

# %%
page.verdict("C7", dataset, decay_claims.claim_c7(runs), results)

# %% [markdown]
# **What would change our mind.** A LightGCN that loses as large a part of its best score to a wrong decay as MF does.
