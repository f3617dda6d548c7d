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
# # Against methods made for fairness
#
# PRISM was not made against popularity bias, but its strength moves it. The paper sets it beside three methods that
# were: IPL, ReSN and MACR (Appendix D.2, Figure 9 of {cite}`loveland2025weightdecay`).
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C13 | DirectAU with PRISM has a larger unpopular/popular ratio than BPR, ReSN, IPL and MACR, at a higher NDCG@20, and it is PRISM that brings the ratio | scatter plot |

# %% tags=["parameters"]
dataset = "synthetic"
epochs = 20  # at most; None is the project's choice
seeds = [123]  # the first chooses; at others what is stored counts too, and nothing is trained
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"
results = None
train = True
force = False

# %% tags=["remove-input"]
import matplotlib.pyplot as plt

from prismbook.claims import prism_claims
from prismbook.pages import figures, page, parameters
from prismbook.pages.provenance import command
from prismbook.plan import experiments
from prismbook.runs.attempts import get_records
from prismbook.tables import analysis

parameters.check(globals(), "dataset", "epochs", "seeds", "lr", "device", "results", "train", "force")
page.begin(dataset)

# %% [markdown]
# BPR and its debiased forms at decay 1e-6, with the parameters that their authors publish for the dataset, or plain ones;
# DirectAU with tuned decay, and with PRISM at $\alpha = 1$. ReSN has three strengths, the published 0.01, a tenth of it and ten times
# as much; validation chooses. MACR ranks with the released script's $c = 1$. The paper searched further than that.

# %%
own = {} if epochs is None else {"epochs": epochs}
configs = experiments.configs("debias", dataset, **own, lr=lr, device=device)
records = get_records(configs, results, train=train, force=force)
runs = analysis.tidy(configs, records)
chosen = analysis.best_of_each(runs)
analysis.shown(analysis.over_seeds(chosen, ("loss", "init")))

# %% tags=["remove-input"]
page.say(analysis.notes(runs))

# %% [markdown]
# *Test NDCG@20 and its parts, one seed.* Where validation takes the weakest ReSN, a still weaker one might serve better: the range
# was not searched further.

# %% mystnb={"image": {"alt": "Scatter plot of overall test NDCG@20 against the ratio of unpopular to popular NDCG@20, one point a method; the one with PRISM has a ring"}} tags=["remove-input", "nbval-ignore-output"]
given = {"epochs": epochs, "seeds": seeds, "lr": lr, "device": device}
redo = command("debiasing", dataset=dataset, **given, train=True, force=True)
if page.has_runs(chosen, redo):
    figures.fairness(chosen)
    plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
page.origin(runs, redo)

# %% [markdown]
# *Up is better, right is fairer. If the paper is right, the ringed point lies above and to the right of BPR and the three methods
# made for fairness, and to the right of DirectAU with decay: the paper credits PRISM, not DirectAU, with the fairer ratio.*
#
# ## Verdict

# %%
at_seeds = experiments.configs("debias", dataset, **own, lr=lr, device=device, seeds=seeds)
stored = analysis.tidy(at_seeds, get_records(at_seeds, results, train=False))
page.verdict("C13", dataset, prism_claims.claim_c13(stored))

# %% tags=["remove-input", "nbval-ignore-output"]
others = f" && python -m prismbook sweep run table1 --dataset {dataset}" if len(experiments.as_list(seeds)) > 1 else ""
page.origin(stored[stored["run"].notna()], redo + others)

# %% [markdown]
# **What would change our mind.** A baseline that is as fair at the same NDCG@20 after a search of its own parameters. DirectAU
# is one, by its decay: at 1e-6, which validation does not choose, its ratio is larger than PRISM's, at an NDCG@20 as high within
# half a percent on MovieLens1M and one percent lower on Gowalla. On Yelp2018 validation chooses that very decay: it is fairer than
# PRISM there, at an NDCG@20 as high within one percent.
