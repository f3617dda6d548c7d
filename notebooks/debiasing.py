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
# # Is PRISM fairer than methods made for fairness?
#
# *Appendix D.2 of {cite}`loveland2025weightdecay`, Figure 9. Claim C13.*

# %% tags=["parameters"]
dataset = "synthetic"  # or a published one; or a list of names: a panel of the figure each
epochs = 3  # at most; None is the project's choice
seeds = [123]  # the first chooses; at others what is stored counts too, and nothing is trained
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"
results = None
train = True
force = False

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
import pandas as pd

from prismbook.claims import prism_claims
from prismbook.pages import figures, page, parameters, question
from prismbook.pages.provenance import command
from prismbook.plan import experiments
from prismbook.plan.experiments import as_list
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis, labels

parameters.check(globals(), "dataset", "epochs", "seeds", "lr", "device", "results", "train", "force")
names = as_list(dataset)
page.html(question.answer(["C13"], names, results))
page.begin(names)

# %% [markdown]
# **The paper says:** DirectAU with PRISM has a better ratio of unpopular to popular NDCG@20 than methods that were made to remove
# popularity bias, at a higher NDCG@20 (Appendix D.2). There the ratios are "significantly better". Of the same comparison
# Section 5.2.2 says "comparable improvements over these baselines". C13 takes the appendix, which has the figure.
#
# **We tested:** BPR, IPL and ReSN on BPR, and MACR with its own cross-entropy loss, all at decay 1e-6, over what their authors publish of their parameters. IPL has the published $b$ and
# three strengths. ReSN has the published 0.01, ten times as much, a tenth and a hundredth of it. MACR has both published
# $\alpha$, each with the published $c$ of 30 and 40, and with the 1 of PRISM's released script. DirectAU has every decay, and PRISM
# is shown at $\alpha = 1$; the verdict looks at other strengths too. Validation chooses one setting of each. Not every setting was run on every dataset; how many were stands under the table.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C13 | DirectAU with PRISM has a larger unpopular/popular ratio than BPR, ReSN, IPL and MACR, at a higher NDCG@20, and it is PRISM that brings the ratio | scatter plot |
#
# ## Run this yourself

# %% tags=["hide-input"]
common = {} if epochs is None else {"epochs": epochs}
runs, chosen = {}, {}
for name in names:
    asked = {**common, "lr": lr, "device": device}
    tuned_bpr = [config for config in experiments.configs("rq1", name, **asked) if config.loss == "bpr"]
    configs = list(dict.fromkeys([*experiments.configs("debias", name, **asked), *tuned_bpr]))
    get_records(configs, results, train=train, force=force)  # loads what is stored, trains the rest
    runs[name] = analysis.measured(results or default_results(), configs)
    chosen[name] = analysis.best_of_each(runs[name])

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"epochs": epochs, "seeds": seeds, "lr": lr, "device": device}
redo = {name: command("debiasing", dataset=name, **given, train=True, force=True) for name in names}
page.say(question.run_yourself("debiasing", runs, dataset=names[0], epochs=epochs))

# %% [markdown]
# ## Watch it happen
#
# This cell runs by itself, in about ten seconds, on synthetic data: BPR, BPR made fairer by IPL, and DirectAU, all with a decay of 1e-4.

# %% tags=["plain-prismlib"]
import torch

from prismlib import BPR, MF, DirectAU, FullRanking, fit, popularity_groups, random_split, synthetic
from prismlib.baselines import IPL

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
test = FullRanking(split.test, [split.train, split.validation], groups, sizes[0])
losses = {"BPR": BPR(), "IPL": IPL(split.item_popularity, c=1.0, b=1.826), "DirectAU": DirectAU(gamma=1.0)}
for name, loss in losses.items():
    model = MF(*sizes, dim=64, generator=torch.Generator().manual_seed(123))
    how = {"lr": 0.01, "batch_size": 1024, "max_epochs": 12, "seed": 123}
    fit(model, loss, split.train, validation, weight_decay=1e-4, **how)
    found = test(*(table.detach() for table in model.embeddings()))["dot"]
    print(f"{name}: NDCG@20 {found['ndcg']:.3f}, unpopular / popular {found['unpopular'] / found['popular']:.2f}")

# %% [markdown]
# ## Figure 9, measured

# %% mystnb={"image": {"alt": "Scatter plot of overall test NDCG@20 against the ratio of unpopular to popular NDCG@20, a panel per dataset, one labelled point per method, a star for DirectAU with PRISM, and a thin line through DirectAU at each weight decay"}} tags=["remove-input", "nbval-ignore-output"]
for name in names:
    page.has_runs(chosen[name], redo[name], name)
shown = {
    name: (chosen[name], runs[name][(runs[name]["loss"] == "DirectAU") & (runs[name]["init"] == "xavier")])
    for name in names
    if chosen[name]["run"].notna().any()
}
if shown:
    figures.fairness(shown)
    plt.show()

# %% [markdown]
# *Look where the star, DirectAU with PRISM, lies against the methods made for fairness, and how near it is to the line of DirectAU with
# decay. A method made for fairness that is left of BPR, or far below it, may have failed by its decay alone. It was run at 1e-6, and BPR at every decay. Up is better, right is fairer; the ratio stands on a logarithmic axis. The thin line joins DirectAU at each decay; the
# triangle on it is the decay that validation chooses, and may lie on the star. The paper credits PRISM, not DirectAU, with the fairer ratio: then the star would lie to the right of the line.*
#
# ## The numbers

# %% tags=["remove-input"]
beside = {}
for name, table in chosen.items():
    made = table[table["run"].notna()]
    star = made[made["init"] == "prism"]
    if len(star) and len(made) > len(star):
        parts = {
            "By value, below the star in NDCG@20": made[made["ndcg"] < star["ndcg"].max()],
            "right of it in the ratio": made[made["ratio"] > star["ratio"].max()],
        }
        said = [f"{where}: {', '.join(dict.fromkeys(found['loss'])) or 'none'}" for where, found in parts.items()]
        beside[name] = f"{'; '.join(said)}."
    bpr = runs[name][(runs[name]["loss"] == "BPR") & (runs[name]["weight_decay"] == 1e-6) & runs[name]["run"].notna()]
    if len(bpr):
        at_the_same = f"NDCG@20 {bpr['ndcg'].iloc[0]:.3f} and ratio {bpr['ratio'].iloc[0]:.3f}"
        beside[name] = f"{beside.get(name, '')} BPR at their decay of 1e-6 has {at_the_same}.".strip()
page.say(question.by_dataset(beside))

# %%
picked = pd.concat({labels.dataset_name(name): analysis.over_seeds(chosen[name], ("loss", "init")) for name in names})
analysis.shown(picked)[["NDCG@20", "popular", "neutral", "unpopular", "unpopular / popular"]]

# %% [markdown]
# *Compare the last column, where larger is fairer, at rows whose NDCG@20 is alike. Test NDCG@20, its parts by popularity, and the ratio; one
# seed, at the setting that validation chooses among those that were run. BPR and DirectAU were run at every decay, the methods made for
# fairness at one decay.*

# %% tags=["remove-input"]
settings = {}
for name, table in runs.items():
    made = table[table["loss"].isin(["IPL", "ReSN", "MACR"])].groupby("loss", sort=False)["run"].agg(["count", "size"])
    settings[name] = f"Settings that were run: {', '.join(f'{loss} {n} of {of}' for loss, n, of in made.itertuples())}."
page.say(question.by_dataset(settings))
page.say(question.noted(runs))

# %% [markdown]
# ## Verdicts

# %% tags=["remove-input"]
at_seeds = {
    name: experiments.configs("debias", name, **common, lr=lr, device=device, seeds=as_list(seeds)) for name in names
}
stored = {name: analysis.measured(results or default_results(), at_seeds[name]) for name in names}
page.html(question.verdicts({"C13": prism_claims.claim_c13}, stored, results))

# %% [markdown]
# **What would change our mind.** A baseline that is as fair at the same NDCG@20 after a search of its parameters. Plain DirectAU
# with a weak decay may be one:

# %% tags=["remove-input"]
page.say(question.by_dataset({name: page.findings_text("weak-decay", name, results) for name in names}))

# %% [markdown]
# **What we did not measure here.** The baselines at another decay than 1e-6, and a search of their parameters beyond what their authors
# publish. So it is left open whether PRISM beats IPL, ReSN or MACR.
#
# **Your turn.** In the cell above: replace the decay of 1e-4 by 1e-6. Predict first: does DirectAU's ratio rise, and what does it cost?
#
# ```{dropdown} The answer
# The ratio rises, and NDCG@20 falls. With less popularity in the lengths, rare items rank higher, also where they are wrong.
# ```
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
keys = ("loss", "init", "weight_decay", "loss_parameters")
tables = {name: analysis.shown(analysis.over_seeds(runs[name], keys)) for name in names}
made = {name: pd.concat([stored[name], runs[name]]).dropna(subset="run").drop_duplicates("run") for name in names}
page.html(question.origins(tables, made, redo))
