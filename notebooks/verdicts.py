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
#
# ## The rules
#
# 1. **The core decides.** Each claim has one to three core statements, its own sentence in the paper. They alone make the verdict. Sizes,
#    details and notes have marks of their own and change no verdict.
# 2. **The interval that is shown decides.** It is the 95 % interval over users and seeds. The spread over seeds is one number a measure, pooled from
#    all pairs with three seeds, so that one seed has a wide interval and three have a narrower one. *Better* and *worse* need the
#    interval off zero and a difference larger than the margin; *equivalent* needs all of the interval within the margin.
# 3. **Firm or provisional.** What still holds at 2.8 standard errors is firm, at any number of seeds. Else it is provisional, and has a ring.
# 4. **Each measure has its margin**, with a reason, below. Ratios and numbers of epochs are compared in logs: a number of epochs cannot fall
#    by more than 100 %.
# 5. **Nothing is chosen on the test set.** Validation chooses.
# 6. **No direction against a side that was not searched**, and none for a choice at the edge of its grid where more of the search could turn it.
# 7. **A run that was cut off decides nothing**: the limit of epochs ended it, or it ended within its first 20 epochs. Once the same run with
#    patience 100 is stored, that one counts. Where epochs are compared, in C11, each run counts as patience 10 ended it.
# 8. **A collapse is a result, and no number to average.** A run that early stopping ends at its start is a collapse only where that start is
#    better than chance; a start by chance is a dip until the run is repeated with more patience.
# 9. **A baseline that does not work takes no part.** A method made for fairness must keep 90 % of BPR's NDCG@20 and have BPR's ratio or better.
# 10. **Each protocol has its verdict**: the paper's text and the released code. Of learning rates the tuned one has it.
#
# The words for all core statements together are defined on the [first page](../index.ipynb).

# %% tags=["parameters"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import pandas as pd

from prismbook.claims import ledger
from prismbook.pages import page, parameters, verdict_explorer, verdict_tables
from prismbook.tables import decay_vs_prism, error_rates

parameters.check(globals(), "results")
page.begin()

# %% [markdown]
# ## Margins

# %% tags=["remove-input"]
verdict_tables.margins()

# %% [markdown]
# *The largest difference that counts as none, the pooled standard deviation over seeds of a difference, and the number of pairs that it is
# computed from.*
#
# ## How often the rules are wrong
#
# The rules are applied to made-up differences: of nothing, where a direction is false, and of exactly the margin, where an equivalence is
# false. Seeds and users scatter as in the records.

# %% tags=["remove-input"]
error_rates.table().round(3)

# %% tags=["remove-input"]
rows = ledger.ledger(results)
page.say(verdict_tables.by_chance(rows))

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
# Some of these rules in words. Each column changes one thing. "=" is the ledger's verdict; a cell is empty where the claim has no such protocol or
# learning rate.

# %% tags=["remove-input"]
table = verdict_tables.under_alternatives(rows)
table

# %% tags=["remove-input"]
page.say(verdict_tables.changed(table))
