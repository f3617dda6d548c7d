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
# # How does the released code depart from the text?
#
# *The code that the authors released departs from the paper's text in several places. Here each departure is a switch of a run configuration. It is off
# unless asked for, and is measured alone, beside the same run as in the text. Of MACR's $c$ the text says nothing: the other side is what its own authors
# publish.*

# %% tags=["parameters"]
dataset = "synthetic"  # or a published one; or a list of names
epochs = 3  # at most; None is the project's choice
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"
results = None
train = True
force = False

# %% tags=["remove-input"]
import pandas as pd

from prismbook.pages import page, parameters, question
from prismbook.pages.provenance import command
from prismbook.plan import experiments
from prismbook.plan.experiments import as_list
from prismbook.runs.attempts import get_records
from prismbook.tables import analysis, labels, variants
from prismlib.datasets import CARDS

parameters.check(globals(), "dataset", "epochs", "lr", "device", "results", "train", "force")
names = as_list(dataset)
page.begin(names)

# %% [markdown]
# ## One departure at a time

# %% tags=["nbval-ignore-output"]
# on synthetic data the last digits depend on the processor
common = {} if epochs is None else {"epochs": epochs}
runs, tables = {}, {}
for name in names:
    pairs = experiments.switch_pairs(name, **common, lr=lr, device=device)
    configs = list(dict.fromkeys(config for pair in pairs.values() for config in pair))  # pairs share runs
    runs[name] = analysis.tidy(configs, get_records(configs, results, train=train, force=force))
    departures = pd.Index(pairs, name="what the released code does")
    tables[name] = pd.DataFrame(variants.beside(pairs.values(), results), index=departures)
pd.concat({labels.dataset_name(name): table["difference"] for name, table in tables.items()}, axis=1)

# %% [markdown]
# *Look for a cell whose interval leaves out zero and whose change is beyond the margin of 2.5 % of the score: there the departure matters. A cell is what it changes in test NDCG@20 by dot product, at decay 1e-6 and one seed. Its 95 % interval is over the test users that both runs count, and has nothing of the spread over seeds. A pair of which a run ended in its first 20 epochs decides nothing. The choice of popularity groups moves the parts of NDCG@20, which are not shown, and leaves the whole as it is. A departure alone, and all together below, need not have one sign. Rows marked *across devices*, if any,
# compare a run on a CPU with one on a GPU, which draws other batches and negatives from the same seed. [Another page](reproduce.ipynb)
# measures what that alone does.*

# %% tags=["remove-input"]
page.say(question.noted(runs))

# %% [markdown]
# ## All ratings of MovieLens 1M

# %% tags=["remove-input"]
page.say(
    f"One departure is in the data. The paper's Table 2 counts the {CARDS['movielens1m'].paper[2]:,} ratings of 3 and"
    f" more of MovieLens 1M. The loader of the released code keeps all {CARDS['movielens1m-all'].interactions:,}."
    " On MovieLens1M, the same runs on either, at the decays that validation chose, beside the paper's Table 1:"
)

# %%
if "movielens1m" in names:
    ratings = experiments.all_ratings_pairs(**common, device=device)
    display(pd.DataFrame(variants.levels(ratings, results)).set_index("trained"))

# %% [markdown]
# *The share says which of the two data the paper's number fits. Test NDCG@20 with its share of Table 1's number, one seed.*
#
# One more departure needs no run: the percentages of Table 1 are shares of PRISM's score and not of the baseline's;
# [the ledger](ledger.ipynb) computes both.
#
# ## Departures together, on non-linear MF
#
# The released perceptron is linear: its ReLU is computed and discarded. Here non-linear MF has all of the released switches at once. The number of
# SSM's negatives stays at the text's 10, and MovieLens1M has its ratings of 3 and more. In the paper's protocol and with the switches:

# %%
released = {name: experiments.protocol_pairs("released", name, "lean") for name in names if name != "synthetic"}
rows = [
    {"dataset": labels.dataset_name(name), **row}
    for name, pairs in released.items()
    for row in variants.beside(pairs, results)
]
display(pd.DataFrame(rows).set_index(["dataset", "trained"])) if rows else page.say("Only on published data.")

# %% [markdown]
# The same four runs per loss read the other way, PRISM minus decay in each protocol. Decay is not tuned here: SSM has 1e-6,
# DirectAU 1e-4.

# %%
rows = [
    {"dataset": labels.dataset_name(name), **variants.prism_minus_decay(decay, prism, results)}
    for name, pairs in released.items()
    for decay, prism in zip(pairs[::2], pairs[1::2], strict=True)
]
display(pd.DataFrame(rows).set_index(["dataset", "loss"])) if rows else page.say("Only on published data.")

# %% tags=["remove-input"]
page.say(question.by_dataset({name: page.findings_text("discarded-relu", name, results) for name in names}))

# %% [markdown]
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"epochs": epochs, "lr": lr, "device": device}
redo = {name: command("switches", dataset=name, **given, train=True, force=True) for name in names}
for name, pairs in released.items():
    more = [config for pair in pairs for config in pair]
    runs[name] = pd.concat([runs[name], analysis.tidy(more, get_records(more, results, train=False))])
    runs[name] = runs[name].drop_duplicates("run")
    redo[name] += f" && python -m prismbook sweep run released --dataset {name}"
page.html(question.origins(tables, runs, redo))
