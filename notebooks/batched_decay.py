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
# # Decay of the batch alone
#
# If decay helped as a regulariser, decaying only the rows of the batch would do. If it helps by shrinking rows *outside* the
# batch, that takes the help away. The paper finds the second (Section 4.1.1, Figure 3 of
# {cite}`loveland2025weightdecay`); {prf:ref}`cor-batched` says why.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C6 | decay on the batch's rows alone performs like no decay at all, and lengths lose popularity | curves that coincide, a flat scatter |

# %% tags=["parameters"]
dataset = "synthetic"
weight_decays = [1.0e-4]  # a list; None is the project's grid for the dataset
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
from prismbook.plan.experiments import as_list, grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis

parameters.check(globals(), "dataset", "weight_decays", "epochs", "lr", "device", "results", "train", "force")
page.begin(dataset)

# %%
own = {"losses": "directau", "epochs": epochs, "lr": lr, "device": device}
whole = grid_configs(dataset, weight_decays=None if weight_decays is None else [0.0, *as_list(weight_decays)], **own)
batch = [
    config
    for config in grid_configs(dataset, weight_decays=weight_decays, decay_scope="batch", **own)
    if config.weight_decay > 0
]
configs = whole + batch
get_records(configs, results, train=train, force=force)
runs = analysis.measured(results or default_results(), configs)
records = analysis.records(runs)
analysis.shown(analysis.over_seeds(runs, ("decay_scope", "weight_decay")))

# %% mystnb={"image": {"alt": "Two panels of the mean length of item embeddings against popularity for DirectAU, one curve a weight decay: decay of the whole tables, and decay of the batch's rows only"}} tags=["remove-input", "nbval-ignore-output"]
panels = {
    title: {
        f"λ = {config.weight_decay:g}": record
        for config, record in zip(configs, records, strict=True)
        if record is not None and (config.decay_scope == scope or config.weight_decay == 0)
    }
    for scope, title in (("table", "decay of the whole tables"), ("batch", "decay of the batch's rows"))
}
if all(panels.values()):
    figures.norms_against_popularity(panels)
    plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
page.origin(runs, command("batched_decay", dataset=dataset, **given, train=True, force=True))

# %% [markdown]
# *Mean length of item embeddings by popularity; r is the correlation with log popularity. If the paper is right, lengths rise
# with popularity on the left, and on the right no more than without decay, λ = 0, which is in both panels.*
#
# ## Verdict

# %%
page.verdict("C6", dataset, decay_claims.claim_c6(runs), results)

# %% [markdown]
# **What would change our mind.** Batched decay that scores, or writes popularity, as decay of the whole tables does. The two are
# compared at those decays which, on the whole tables, raise the correlation of length with log popularity above that without
# decay; a weaker one has no effect to lose.
