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
# # Are angles learnt before lengths?
#
# *Appendix B.5 of {cite}`loveland2025weightdecay`, Figure 6. Claim C14.*

# %% tags=["parameters"]
dataset = "synthetic"  # or a published one; or a list of names: a row of the figure each
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
from prismbook.pages import figures, page, parameters, question
from prismbook.pages.provenance import command
from prismbook.plan.experiments import as_list, grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis, labels

parameters.check(globals(), "dataset", "weight_decays", "epochs", "lr", "device", "results", "train", "force")
names = as_list(dataset)
page.html(question.answer(["C14"], names, results))
page.begin(names)

# %% [markdown]
# **The paper says:** performance under cosine similarity saturates early, while that under the dot product climbs on: the time goes into
# lengths.
#
# **We tested:** DirectAU's runs of [the first question](rq1_weight_decay.ipynb). After each epoch validation ranks by dot product, which sees
# angles and lengths, and by cosine, which sees angles alone.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C14 | for DirectAU, validation by cosine saturates early, validation by dot product keeps rising | curves on Gowalla and Yelp2018 |
#
# ## Run this yourself

# %% tags=["hide-input"]
runs = {}
for name in names:
    configs = grid_configs(name, "directau", weight_decays, epochs=epochs, lr=lr, device=device)
    get_records(configs, results, train=train, force=force)  # loads what is stored, trains the rest
    runs[name] = analysis.measured(results or default_results(), configs)

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
redo = {name: command("cosine", dataset=name, **given, train=True, force=True) for name in names}
page.say(question.run_yourself("cosine", runs, dataset=names[0]))

# %% [markdown]
# ## Watch it happen
#
# This cell runs by itself, in about ten seconds, on synthetic data: one training, both rankings. In this toy both are at their height by epoch 5. The
# figure below has the effect.

# %% tags=["plain-prismlib"]
import torch

from prismlib import MF, DirectAU, FullRanking, fit, popularity_groups, random_split, synthetic

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
model = MF(*sizes, dim=64, generator=torch.Generator().manual_seed(123))
how = {"lr": 0.01, "weight_decay": 1e-4, "batch_size": 1024, "max_epochs": 15, "seed": 123}
history = fit(model, DirectAU(gamma=1.0), split.train, validation, **how)
for epoch in (0, 2, 4, 9, 14):
    print(
        f"epoch {epoch + 1}: validation NDCG@20 by dot product {history.validation_dot[epoch]:.3f},"
        f" by cosine {history.validation_cosine[epoch]:.3f}"
    )

# %% [markdown]
# ## Figure 6, measured

# %% mystnb={"image": {"alt": "Two panels per dataset of validation NDCG@20 against epochs, ranked by dot product and by cosine, one curve per weight decay, the best epoch marked"}} tags=["remove-input", "nbval-ignore-output"]
shown = {name: table for name, table in runs.items() if table["run"].notna().any()}
stored = {name: analysis.records(table) for name, table in runs.items()}
curves = {
    name: {
        f"λ = {decay:g}": record
        for decay, record in zip(runs[name]["weight_decay"], stored[name], strict=True)
        if record is not None
    }
    for name in shown
}
for name in names:
    page.has_runs(runs[name], redo[name], name)
if curves:
    figures.validation_curves(curves, rankings=("dot", "cosine"), log_epochs=True)
    plt.show()

# %% [markdown]
# *Look whether the curves by cosine are at their height before those by dot product, and whether they stay there. A curve per weight decay; dots mark the
# epoch that early stopping keeps, the best by dot product. The logarithmic axis counts epochs from 1, and the tables count them from 0.*
#
# ## The numbers

# %%
rows = []
for name in names:
    for decay, record in zip(runs[name]["weight_decay"], stored[name], strict=True):
        by = {each: record["history"][f"validation_{each}"] for each in ("dot", "cosine")} if record else {}
        rows.append(
            {
                "dataset": labels.dataset_name(name),
                "weight decay": f"{decay:g}",
                "epochs": len(by["dot"]) if record else "not run",
                "by dot product at epoch": analysis.epochs_to(by["dot"]) if record else "not run",
                "by cosine at epoch": analysis.epochs_to(by["cosine"]) if record else "not run",
            }
        )
pd.DataFrame(rows).set_index(["dataset", "weight decay"])


# %% [markdown]
# *Compare the last two columns: is the one by cosine smaller? The last two columns are the first epoch with 95 % of the curve's own maximum.*
#
# ## Verdicts

# %% tags=["remove-input"]
def claim_c14(table: pd.DataFrame) -> list:
    with_decay = table[(table["weight_decay"] > 0) & table["ndcg"].notna()]
    records = analysis.records(table)
    return decay_claims.claim_c14([] if with_decay.empty else [records[analysis.best(with_decay).name]])


page.html(question.verdicts({"C14": claim_c14}, runs, results))

# %% [markdown]
# *Saturated* is judged at the decay that validation chooses. The cosine curve reaches 95 % of its own maximum earlier than the dot product's curve does. It is still there at the epoch that early stopping keeps.
#
# **What would change our mind.** A cosine curve that takes as long as the dot product's, or that falls again.
#
# **What we did not measure here.** Early stopping by cosine. A training whose lengths are put on afterwards is on the page of
# [other optimisers](optimisers.ipynb).
#
# **Your turn.** In the cell above: set `weight_decay` to 0. Predict first: which of the two scores changes more?
#
# ```{dropdown} The answer
# That by dot product: it falls nearly to that by cosine. The lengths carry little then, so that both rank alike.
# ```
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
tables = {name: analysis.shown(analysis.over_seeds(table)) for name, table in shown.items()}
page.html(question.origins(tables, {name: runs[name] for name in tables}, redo))
