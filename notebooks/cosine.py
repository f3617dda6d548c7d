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
# # Angles first, lengths later
#
# Validation can rank by dot product, which sees angles and lengths, or by cosine, which sees angles alone. In the
# paper the cosine curve is soon at its height, while the dot product's climbs on: the time goes into lengths (Appendix B.5,
# Figure 6 of {cite}`loveland2025weightdecay`).
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C14 | for DirectAU, validation by cosine saturates early, validation by dot product keeps rising | curves on Gowalla and Yelp2018 |

# %% tags=["parameters"]
dataset = "synthetic"
weight_decays = None  # a list; None is the project's grid for the dataset
epochs = None  # at most; None is the project's choice
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"
results = None
train = True
force = False

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
import pandas as pd

from prismbook.claims import decay_claims
from prismbook.pages import figures, page, parameters
from prismbook.pages.provenance import command
from prismbook.plan.experiments import grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis

parameters.check(globals(), "dataset", "weight_decays", "epochs", "lr", "device", "results", "train", "force")
page.begin(dataset)

# %% [markdown]
# DirectAU's runs of RQ1. Both rankings are evaluated after each epoch.

# %%
configs = grid_configs(dataset, "directau", weight_decays, epochs=epochs, lr=lr, device=device)
get_records(configs, results, train=train, force=force)
runs = analysis.measured(results or default_results(), configs)
records = analysis.records(runs)
rows = {}
for config, record in zip(configs, records, strict=True):
    curves = {by: record["history"][f"validation_{by}"] for by in ("dot", "cosine")} if record else {}
    rows[f"{config.weight_decay:g}"] = {
        "epochs": len(curves["dot"]) if record else "not run",
        "95 % of its best by dot product at epoch": analysis.epochs_to(curves["dot"]) if record else "",
        "by cosine at epoch": analysis.epochs_to(curves["cosine"]) if record else "",
    }
pd.DataFrame(rows).T.rename_axis("weight decay")

# %% mystnb={"image": {"alt": "Two panels of validation NDCG@20 against epochs, ranked by dot product and by cosine, one curve a weight decay, the best epoch marked"}} tags=["remove-input", "nbval-ignore-output"]
made = {f"λ = {config.weight_decay:g}": record for config, record in zip(configs, records, strict=True) if record}
if made:
    figures.validation_curves(made, rankings=("dot", "cosine"))
    plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
page.origin(runs, command("cosine", dataset=dataset, **given, train=True, force=True))

# %% [markdown]
# *Validation NDCG@20 after each epoch. Dots mark the epoch that early stopping keeps, the best by dot product.*
#
# ## Verdict

# %%
with_decay = runs[(runs["weight_decay"] > 0) & runs["ndcg"].notna()]
best = None if with_decay.empty else records[analysis.best(with_decay).name]
page.verdict("C14", dataset, decay_claims.claim_c14([] if best is None else [best]), results)

# %% [markdown]
# *Saturated*, at the decay that validation chooses: the cosine curve reaches 95 % of its own maximum earlier than the dot
# product's curve does, and is still there at the epoch that early stopping keeps.
#
# **What would change our mind.** A cosine curve that takes as long as the dot product's, or that falls again.
