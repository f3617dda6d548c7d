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
# code is {py:mod}`prismbook.tables.rules`. After them stands one comparison step by step, and then every verdict under other
# rules, so that you see which ones hang on a choice of ours.
#
# ## The rules
#
# 1. **Equivalence needs a margin.** Two methods are *equivalent* where the whole 95 % interval of their relative difference, over users
#    and seeds, lies within 2.5 % of the baseline. A difference that is merely not proved is no equivalence.
# 2. **Direction needs agreement.** One is *better* or *worse* where all seeds agree in sign, the interval over users leaves out
#    zero, and the mean difference exceeds the margin. What is neither equivalent nor directed is left open.
# 3. **One seed is provisional.** A word that rests on a single seed says so, and has a hollow mark. A verdict
#    is provisional where it would be another without such words.
# 4. **A collapse is a result, and no number to average.** A run that never got better than its start, or whose item rows shrank to
#    nothing, is counted as *collapsed* and is in no mean.
# 5. **A run that was cut off decides nothing.** The limit of epochs ended it, or it ended within its first 20 epochs. A run that
#    early stopping ends with a best epoch below 20 may have ended in a dip: once its twin with patience 100 is run, that one counts, and
#    what compares it says so. Where epochs are compared, in C11, each run counts as patience 10 ended it.
# 6. **A choice at the edge of its grid is not tuned.** More of the search could then turn the comparison. Where it could, a
#    comparison of Table 1 is left open, and one of C13 says that its choice is at an edge.
# 7. **Size counts too.** Where the paper gives a figure, a statement of its own says whether our interval holds it.
# 8. **The paper's own sentence is tested**, under the assumptions that it states; what differs in practice is a note with its size.
# 9. **Each protocol has its verdict**: the paper's text and the released code, and each learning rate that was tried.
#
# A claim is one statement or more. The word for all of them is defined on the [first page](../index.ipynb).

# %% tags=["parameters"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import pandas as pd

from prismbook.claims import ledger
from prismbook.pages import page, parameters, verdict_tables
from prismbook.tables import decay_vs_prism

parameters.check(globals(), "results")
page.begin()

# %% [markdown]
# ## From records to a word
#
# DirectAU on linear MF on MovieLens1M, PRISM against tuned decay: part of C8. Differences are shares of tuned decay's score.

# %%
pair = decay_vs_prism.pair("movielens1m", "mf", "directau", results)
pd.Series(verdict_tables.worked_example(pair), name="").to_frame()

# %% [markdown]
# The interval over users is a paired bootstrap that draws each user with all seeds; the one over seeds is Student's. The interval of
# both reaches as far as the wider of the two at each end.
#
# ## Every verdict under other rules
#
# Each column changes one thing. "=" is the ledger's verdict; a cell is empty where the claim has no such protocol or
# learning rate.

# %%
table = verdict_tables.under_alternatives(ledger.ledger(results))
table

# %%
page.say(verdict_tables.changed(table))
