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
# # RQ2: what does weight decay write?
#
# RQ1 shows that for DirectAU decay decides how much popular items gain. This page looks for the place where it is written:
# the length of an item's embedding, against the item's popularity in training (Section 3.1.2, Figure 2 of
# {cite}`loveland2025weightdecay`).
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C3 | under moderate decay the lengths of item embeddings follow log popularity, for BPR and for DirectAU; without decay they do so much less | two scatter plots, correlation high and low |

# %% tags=["parameters"]
dataset = "synthetic"
losses = ["bpr", "directau"]
weight_decays = None  # a list; None is the project's grid for the dataset
epochs = None  # at most; None is the project's choice
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
from prismbook.pages.widgets import norms_widget
from prismbook.plan.experiments import grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis, labels

parameters.check(globals(), "dataset", "losses", "weight_decays", "epochs", "lr", "device", "results", "train", "force")
page.begin(dataset)

# %% [markdown]
# The runs are those of RQ1. Items are put into bins of popularity that double in width: 0, 1, 2 to 3, 4 to 7, and so on.

# %%
configs = grid_configs(dataset, losses, weight_decays, epochs=epochs, lr=lr, device=device)
get_records(configs, results, train=train, force=force)
runs = analysis.measured(results or default_results(), configs)
records = analysis.records(runs)
correlations = runs.pivot(index="weight_decay", columns="loss", values="norm_correlation")
correlations.rename("{:g}".format).rename_axis("weight decay").map(labels.cell)

# %% [markdown]
# *Correlation of item length with log popularity, over all items, at the best epoch.*
#
# ## Figure 2, measured

# %% mystnb={"image": {"alt": "One panel a loss: mean length of item embeddings against the number of training interactions on a log axis, one curve a weight decay, with bands of one standard deviation within a bin"}} tags=["remove-input", "nbval-ignore-output"]
by_loss = {}
for config, record in zip(configs, records, strict=True):
    by_loss.setdefault(labels.LOSS_NAMES[config.loss], {})[config.weight_decay] = record
made = {
    loss: {f"λ = {decay:g}": record for decay, record in own.items() if record is not None}
    for loss, own in by_loss.items()
    if any(own.values())
}
if made:
    figures.norms_against_popularity(made)
    plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"losses": losses, "weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
redo = command("rq2_norms", dataset=dataset, **given, train=True, force=True)
page.origin(runs, redo)

# %% [markdown]
# *Mean length of the item embeddings in each bin of popularity; bands are one standard deviation within a bin. If the paper is right,
# curves with decay climb in a straight line, and those without decay do not.* The same to move:

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(norms_widget(by_loss, "weight decay", f"Length of item embeddings, {labels.dataset_name(dataset)}"))

# %% [markdown]
# ## Verdict

# %%
page.verdict("C3", dataset, decay_claims.claim_c3(runs), results)

# %% [markdown]
# *Moderate* is taken as the decay that validation chooses. Lengths *follow* popularity where their correlation with
# $\log(d + 2)$ is positive and its square above one half; lengths that fall with popularity do not, however close the fit.
#
# **What would change our mind.** Lengths that follow popularity as well without decay as with it.
#
# How much of the ranking is in the lengths? Ranking by cosine ignores them. The lower a run scores by cosine than by dot product, the
# more of its ranking is in the lengths:

# %%
by_cosine = runs.pivot(index="weight_decay", columns="loss", values=["ndcg", "cosine"])
by_cosine = by_cosine.rename(columns={"ndcg": "by dot product", "cosine": "by cosine"}, level=0)
by_cosine.rename("{:g}".format).rename_axis("weight decay").map(labels.cell)
