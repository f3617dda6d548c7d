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
# # What does weight decay write?
#
# *Section 3.1.2 of {cite}`loveland2025weightdecay`, Figure 2. Claim C3.*

# %% tags=["parameters"]
dataset = "synthetic"  # or a published one; or a list of names: a row of the figure each
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
from prismbook.pages import figures, page, parameters, question, rq2_tables
from prismbook.pages.provenance import command
from prismbook.plan.experiments import as_list, grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis

parameters.check(globals(), "dataset", "losses", "weight_decays", "epochs", "lr", "device", "results", "train", "force")
names = as_list(dataset)
page.html(question.answer(["C3"], names, results))
page.begin(names)

# %% [markdown]
# **The paper says:** for BPR and for DirectAU there is "a high correlation between the embedding magnitudes and the underlying popularity
# information". Without decay "the correlation is significantly reduced" (Section 3.1.2).
#
# **We tested:** the lengths of item embeddings in the runs of [the first question](rq1_weight_decay.ipynb), against the items'
# popularity in training. *Moderate* is here the decay that validation chooses for DirectAU.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C3 | under moderate decay the lengths of item embeddings follow log popularity, for BPR and for DirectAU; without decay they do so much less | two scatter plots, correlation high and low |
#
# ## Run this yourself

# %% tags=["hide-input"]
runs = {}
for name in names:
    configs = grid_configs(name, losses, weight_decays, epochs=epochs, lr=lr, device=device)
    get_records(configs, results, train=train, force=force)  # loads what is stored, trains the rest
    runs[name] = analysis.measured(results or default_results(), configs)

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"losses": losses, "weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
redo = {name: command("rq2_norms", dataset=name, **given, train=True, force=True) for name in names}
page.say(question.run_yourself("rq2_norms", runs, dataset=names[0], losses=losses))

# %% [markdown]
# ## Watch it happen
#
# This cell runs by itself, in about ten seconds. It trains DirectAU on synthetic data without decay and with it, and prints the
# mean length of the 25 rarest and of the 25 most popular items, 5 % of all each.

# %% tags=["plain-prismlib"]
import torch

from prismlib import MF, DirectAU, FullRanking, fit, popularity_groups, random_split, synthetic

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
popularity = torch.as_tensor(split.item_popularity)
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
how = {"lr": 0.01, "batch_size": 1024, "max_epochs": 12, "seed": 123}
for decay in (0.0, 1e-3):
    model = MF(*sizes, dim=64, generator=torch.Generator().manual_seed(123))
    fit(model, DirectAU(gamma=1.0), split.train, validation, weight_decay=decay, **how)
    lengths, log_popularity = model.item.weight.detach().norm(dim=1), torch.log(popularity + 2.0)
    correlation = torch.corrcoef(torch.stack([lengths, log_popularity]))[0, 1]
    order = popularity.argsort()
    rare, popular = lengths[order[:25]].mean(), lengths[order[-25:]].mean()
    print(f"decay {decay:g}: rarest 25 items {rare:.2f}, most popular 25 {popular:.2f}, correlation {correlation:.2f}")

# %% [markdown]
# ## Figure 2, measured
#
# The moderate decay is one for both losses, as in the paper's Figure 2. BPR's own choice can be weaker, and there its lengths can follow popularity less. A panel shows the chosen and the moderate decay where they differ.

# %% mystnb={"image": {"alt": "One panel per loss and a row per dataset: mean length of item embeddings against the number of training interactions on a log axis, a curve without decay, with the chosen, with the moderate and with the strongest decay, bands of one standard deviation within a bin, a dotted line for log popularity, and for DirectAU a line of dashes and dots for the sixth root of popularity"}} tags=["remove-input", "nbval-ignore-output"]
shown = {name: table for name, table in runs.items() if table["run"].notna().any()}
for name in names:
    page.has_runs(runs[name], redo[name])
if shown:
    figures.norms_against_popularity({name: rq2_tables.some_decays(table) for name, table in shown.items()})
    plt.show()

# %% [markdown]
# *With the decay that validation chooses, the lengths of DirectAU's items climb with popularity. Without decay they hardly do, beyond the rarest. Dotted:
# log popularity. Dash-dotted: the law's $d^{1/6}$ for a loss of angles. The dotted and the dash-dotted line are scaled to the curve with the largest correlation, where its square is above one half. Each curve is the mean length in
# bins of popularity that double in width: 0, 1, 2 to 3, 4 to 7, and so on. The bin of 0 is drawn at 0.5, since a log axis has no 0. A band is one standard
# deviation within a bin, and *corr.* the correlation over all items. One more curve is the strongest decay that was run.*
#
# ## The numbers

# %%
rq2_tables.correlations(runs)

# %% [markdown]
# *Under DirectAU the correlation is high with decay and lower without. Correlation of item length with log popularity, over all items, at
# the best epoch of seed 123 alone; a column per decay. The verdict below has the mean of the seeds that were run.*
#
# A correlation says how tight a relation is, and not how steep. Without decay the lengths of DirectAU's items follow popularity loosely, and
# [their slope](optimisers.ipynb) is near zero: beyond the rarest they hardly differ.

# %% tags=["remove-input"]
page.say(rq2_tables.unmet(runs))

# %% [markdown]
# ## Which shape is it?
#
# [The law of lengths](law_of_lengths.ipynb) says that under Adam's decay lengths go as $d^{1/6}$, and PRISM sets them to $\log(d + 2)$. By which factor do
# lengths grow at the moderate decay, from items with 4 to 7 interactions to the most popular ones? At weak decays
# [rest comes late](law_of_lengths.ipynb): at 1e-6 the factor can be smaller, and below it lengths are far from rest.

# %%
factors = rq2_tables.growth(runs, results or default_results())
factors.map("{:.2f}".format).replace("nan", "not run")

# %% tags=["remove-input"]
exponents = {"1/6": 1 / 6, "1/4": 1 / 4, "1/3": 1 / 3}
same, slope = rq2_tables.alike(exponents.values())
assert min(same) > 0.95 and abs(slope - 1 / 4) < abs(slope - 1 / 6)
listed = ", ".join(f"{r:.3f} for $d^{{{name}}}$" for name, r in zip(exponents, same, strict=True))
page.say(
    "A correlation cannot tell such shapes apart. Over popularities that are spread evenly in log from 1 to 3,000"
    f" that of powers with log(d + 2) is {listed}."
    f" What differs is how steep they are: on two log axes log(d + 2) has a mean slope of {slope:.3f} there,"
    " near the 1/4 of plain gradient descent and above the 1/6 of Adam's decay."
)

# %% [markdown]
# So what PRISM sets is no copy of what Adam's decay writes, though both put items in the same order.

# %% tags=["remove-input"]
page.say(rq2_tables.flattened(factors))

# %% [markdown]
# Which steepness serves a dataset is measured on [another page](optimisers.ipynb).
#
# ## Which items are longest under BPR without decay?

# %% tags=["remove-input"]
page.say(rq2_tables.which_way(runs))

# %% [markdown]
# What can make rare items long? One that hardly anyone has is met as a negative alone. Each of its
# gradients then points away from users, and none points back. Adam gives these steps the size of all others, so they add up. Plain SGD keeps
# a small gradient small.

# %% tags=["remove-input"]
page.say(rq2_tables.rarest(names, results or default_results()))

# %% [markdown]
# This is our explanation, and two optimisers are one test of it. It would lengthen rare items on every dataset. What outweighs it where popular
# ones are longer is not tested here.
#
# ## Lengths in the ranking
#
# How much of the ranking is in the lengths? Ranking by cosine ignores them. The more a run loses by it, the more of its
# ranking is in the lengths. SSM without decay loses nothing: [RQ1](rq1_weight_decay.ipynb) says what that means.

# %%
rq2_tables.by_cosine(runs)

# %% [markdown]
# *Look by how much the second number of a cell, by cosine, is lower. Test NDCG@20 by dot product → by cosine.*
#
# ## Verdicts

# %% tags=["remove-input"]
page.html(question.verdicts({"C3": decay_claims.claim_c3}, runs, results))

# %% [markdown]
# Lengths *follow* popularity where their correlation with
# $\log(d + 2)$ is positive and its square above one half; lengths that fall with popularity do not, however close the fit. Without decay the claim is that they
# carry little of it: there lengths that fall count as well.
#
# **What would change our mind.** Lengths that follow popularity as well without decay as with it.
#
# **What we did not measure here.** Users' lengths: they change no user's ranking. Single items as in the paper's scatter plots: older records
# have means of bins. What other optimisers write is on [their page](optimisers.ipynb).
#
# **Your turn.** In the cell above:
#
# 1. Set the decay to 1e-2. Predict first: will the correlation rise further, and what happens to the lengths?
# 2. Replace `DirectAU(gamma=1.0)` by `BPR()`, which is imported like it. Does BPR write popularity without decay?
# 3. Print the same for `model.user.weight` and `split.user_popularity`. Does decay write their activity too?
#
# ```{dropdown} The answer
# 1. The correlation does not rise further. All lengths get shorter: decay sets their level, and the number of interactions their order.
# 2. Yes, on these synthetic data: far more than DirectAU. On real data it depends on the dataset, as the table of this page says.
# 3. Yes: to the loss users and items are alike. For the ranking of one user's items the user's length does not matter.
# ```
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
tables = {name: analysis.shown(analysis.over_seeds(table)) for name, table in shown.items()}
page.html(question.origins(tables, {name: runs[name] for name in tables}, redo))
