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
# # Does it hold on non-linear MF?
#
# *Appendix D.4 of {cite}`loveland2025weightdecay`, Figure 11. Claim C18. Figure 10 and claim C2 are on the page of [the first question](rq1_weight_decay.ipynb).*

# %% tags=["parameters"]
dataset = "synthetic"  # or a published one; or a list of names: a row of the figure each
claim = "C2"  # the claim these runs speak to: C2 or C18
losses = ["ssm"]  # the paper's Figure 10: ssm, mawu
backbone = "mf"  # or nonlinear-mf
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
from prismbook.pages import figures, page, parameters, question, rq1_tables
from prismbook.pages.provenance import command
from prismbook.plan.experiments import as_list, grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis, labels

parameters.check(
    globals(),
    "dataset",
    "claim",
    "losses",
    "backbone",
    "weight_decays",
    "epochs",
    "lr",
    "device",
    "results",
    "train",
    "force",
)
names = as_list(dataset)
page.html(question.answer([claim], names, results))
page.begin(names)

# %% [markdown]
# **The paper says:** results for SSM and MAWU, "as well as non-linear MF, follow similar trends" (Section 3.1.1, Appendix D).
#
# **We tested:** the curves of [the first question](rq1_weight_decay.ipynb) with a two-layer perceptron behind each table.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C18 | non-linear MF depends on decay as MF does | trend of the curves in Figure 11 |
#
# ## Run this yourself

# %% tags=["hide-input"]
runs = {}
for name in names:
    configs = grid_configs(name, losses, weight_decays, epochs=epochs, backbone=backbone, lr=lr, device=device)
    get_records(configs, results, train=train, force=force)  # loads what is stored, trains the rest
    runs[name] = analysis.measured(results or default_results(), configs)

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"losses": losses, "backbone": backbone, "weight_decays": weight_decays, "epochs": epochs, "lr": lr}
redo = {
    name: command("further_curves", dataset=name, claim=claim, device=device, **given, train=True, force=True)
    for name in names
}
page.say(question.run_yourself("further_curves", runs, dataset=names[0], claim=claim, losses=losses, backbone=backbone))

# %% [markdown]
# ## Watch it happen
#
# This cell runs by itself, in about ten seconds, on synthetic data: DirectAU behind a perceptron, without decay and with it.
# The popular and the unpopular part both rise here, since without decay the perceptron hardly learns in so few epochs.

# %% tags=["plain-prismlib", "nbval-ignore-output"]
import torch

from prismlib import DirectAU, FullRanking, NonLinearMF, fit, popularity_groups, random_split, synthetic

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
test = FullRanking(split.test, [split.train, split.validation], groups, sizes[0])
how = {"lr": 5e-3, "batch_size": 1024, "max_epochs": 12, "seed": 123}
for decay in (0.0, 1e-3):
    model = NonLinearMF(*sizes, 64, generator=torch.Generator().manual_seed(123))
    fit(model, DirectAU(gamma=1.0), split.train, validation, weight_decay=decay, **how)
    found = test(*(table.detach() for table in model.embeddings()))["dot"]
    # a perceptron's digits depend on the processor, here from the second on
    print(f"decay {decay:g}:", {part: round(score, 3) for part, score in found.items()})

# %% [markdown]
# ## The curves, measured

# %% mystnb={"image": {"alt": "Line charts of test NDCG@20 against weight decay, a row per dataset: all items with one curve per loss, then one panel per loss with popular, neutral and unpopular items; a ring marks the decay that validation chooses"}} tags=["remove-input", "nbval-ignore-output"]
shown = {name: table for name, table in runs.items() if table["run"].notna().any()}
means = {name: analysis.over_seeds(table) for name, table in shown.items()}
chosen = {name: rq1_tables.chosen(table) for name, table in shown.items()}
for name in names:
    page.has_runs(runs[name], redo[name], name)
for number in range(0, len(as_list(losses)) if shown else 0, 2):
    panels = [labels.LOSS_NAMES[loss] for loss in as_list(losses)[number : number + 2]]
    if any(loss in panels for table in shown.values() for loss in table[table["run"].notna()]["loss"]):
        figures.weight_decay_curves(means, panels, chosen, overall=number == 0)
        plt.show()

# %% [markdown]
# *Look at where the curves of popular and of unpopular items part as decay grows. A ring marks the decay that validation chooses.
# Test NDCG@20, overall and by item popularity. A loss of which nothing was run has no curve, a dataset without a run no row.*

# %% tags=["remove-input"]
page.say(question.by_dataset({name: rq1_tables.not_run(table) for name, table in runs.items()}))

# %% [markdown]
# ## The numbers

# %%
rq1_tables.numbers(runs)

# %% [markdown]
# *An arrow leads from no decay to the decay that validation chooses. Test NDCG@20, its popular part minus its unpopular part, and the
# correlation of item lengths with log popularity; the first seed alone, where a verdict below may have three. On non-linear MF lengths are those after the perceptron, which are ranked.*

# %% tags=["remove-input"]
page.say(question.noted(runs))

# %% [markdown]
# ## Verdicts

# %% tags=["remove-input"]
judge = {"C2": decay_claims.claim_c2, "C18": decay_claims.claim_c18}[claim]
page.html(question.verdicts({claim: judge}, runs, results))

# %% [markdown]
# **What would change our mind.** A gap between popular and unpopular items that stays or narrows as decay grows. The gap is the difference of two parts of NDCG@20. Where decay costs more quality than it shifts, the gap can narrow while popular items keep a larger share of what is left.
#
# **What we did not measure here.** Deeper perceptrons, and what says *not run*.
#
# **Your turn.** In the cell above: set `gamma` to 0.2. Predict first: what does a perceptron with decay do when the loss hardly asks for uniformity?
#
# ```{dropdown} The answer
# It ranks the popular items first for everyone. Their part grows, and nearly nothing is left of the unpopular one. Alignment alone is best
# served by vectors that all point one way, and then only lengths tell items apart.
# ```
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
tables = {name: analysis.shown(table) for name, table in means.items()}
page.html(question.origins(tables, {name: runs[name] for name in tables}, redo))
