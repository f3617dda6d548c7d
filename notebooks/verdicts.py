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
# # How verdicts are made
#
# Every verdict of the [ledger](ledger.ipynb) is computed from run records by the same few rules. They are stated here in words; their
# code is {py:mod}`prismbook.tables.rules`. After them stand the margins, how often the rules are wrong, one comparison step by step, and every
# verdict under other rules.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import pandas as pd

from prismbook.claims import ledger
from prismbook.pages import page, parameters, verdict_explorer, verdict_tables
from prismbook.tables import decay_vs_prism, error_rates

parameters.check(globals(), "results")
page.begin()

# %% [markdown]
# ## The rules

# %% tags=["remove-input"]
page.say(verdict_tables.rules_in_words())

# %% [markdown]
# ## Words for a comparison

# %% tags=["remove-input"]
verdict_tables.words()

# %% [markdown]
# *"Not better" leaves open whether the first is worse or equivalent. A claim that it is better has then failed, and one that it is as good is open.
# Measures that are no scores have words of their own for the same intervals: wider, fewer, more. "Like" something is equivalent to it, and "at
# least equivalent" is what is equivalent or better.*
#
# The words for all core statements together are defined on the [first page](../index.ipynb).
#
# ## Margins

# %% tags=["remove-input"]
verdict_tables.margins()

# %% [markdown]
# *A measure with a wide margin is one that seeds move much. The largest difference that counts as none, the pooled standard deviation over seeds of a difference, and the number of pairs that it is
# computed from. A setting is in several pairs, so that pairs are not independent of each other; the next table has the number of settings.*
#
# ### The spread of each group
#
# The rules carry one spread to every dataset, backbone and loss. Those groups that have one of their own, with the number of
# settings that it rests on:

# %% tags=["remove-input"]
verdict_tables.own_spread_table(results)

# %% [markdown]
# *The standard deviation over seeds of a difference of two settings of the group. Ratios and epochs are in logs. One setting at three seeds has no difference, and is left out.*

# %% tags=["remove-input"]
rows = ledger.ledger(results)
page.say(verdict_tables.own_spreads_in_words(rows, results))

# %% [markdown]
# ## How often the rules are wrong
#
# The rules are applied to made-up differences: of nothing, where a direction is false, and of exactly the margin, where an equivalence and a *not better* are
# false. Seeds and users scatter as in the records.

# %% tags=["remove-input"]
error_rates.table().set_index("measure").round(3)

# %% tags=["remove-input"]
page.say(verdict_tables.by_chance(rows))

# %% [markdown]
# These rates are of comparisons that are fixed beforehand. A comparison that is picked from several is outside of them. In C13 one of two strengths is
# enough. In C1 it is, of all weaker decays, the one at which validation has DirectAU furthest behind BPR.
# Chance then has up to as many tries as there are decays to pick from.

# %% [markdown]
# ## From records to a word
#
# DirectAU on linear MF on MovieLens1M, PRISM against tuned decay: part of C8. Differences are shares of tuned decay's score.

# %%
pair = decay_vs_prism.pair("movielens1m", "mf", "directau", results)
pd.Series(verdict_tables.worked_example(pair), name="").to_frame()

# %% [markdown]
# The interval over users is a paired bootstrap that draws each user with all seeds. Its standard error and that over seeds make the one of both.
#
# ## Every verdict under other rules
#
# Move the margin, let one seed decide nothing, or choose a protocol: the marks are made again from the numbers of the statements,
# by the rules above, in your browser. A framed mark is another than the ledger's.

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(verdict_explorer.explorer(rows))

# %% [markdown]
# Some of these rules side by side. Each column changes one thing. "=" is the ledger's verdict; a cell is empty where the claim has no such protocol or
# learning rate.

# %% tags=["remove-input"]
table = verdict_tables.under_alternatives(rows)
verdict_tables.in_marks(table)

# %% tags=["remove-input"]
page.say(verdict_tables.changed(table))
