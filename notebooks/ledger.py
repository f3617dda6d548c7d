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
# # Claims ledger
#
# Every claim of the paper {cite}`loveland2025weightdecay`, with what we measured. No number of ours and no verdict on this page is
# written by hand: verdicts are computed now, from the run records or on the spot. They are then compared with those last accepted; a
# record that is missing, or that says something else, stops the build of this book.

# %% tags=["parameters"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import pandas as pd

from prismbook.claims import ledger
from prismbook.pages import ledger_tables, page, parameters
from prismbook.tables.paper import audit

parameters.check(globals(), "results")
page.begin()

# %%
rows = ledger.ledger(results)
ledger.check(rows, results)  # fails where a record is gone or says something else
pd.DataFrame(ledger.counts(rows)).fillna(0).astype(int).rename_axis("verdict of a claim over its datasets")

# %% [markdown]
# *How many claims have each verdict: those that are measured on datasets, apart from identities, which are computed on the spot, and
# from the sizes of datasets. A claim's verdict is that of its statements on all datasets on which it was measured. A
# claim that has identities and measurements, such as C17, is counted in both columns. [How verdicts are
# made](verdicts.ipynb) has the rules, and every verdict under others.*
#
# ## At a glance

# %% tags=["remove-input"]
page.say(ledger_tables.at_a_glance(rows, page.pages()))

# %% [markdown]
# *▲ reproduced: every statement that the claim makes here is measured and holds. ◆ in part: some hold; others do not, or are open.
# ▼ not reproduced: nothing that was measured holds. ? undecided: what was run does not tell, a search that
# did not end or seeds that differ too much. · not measured. Hollow, △ ◇ ▽, and (provisional): the verdict rests on a single seed, and
# would be another without it. A verdict leads to the page with the experiment. C8 to
# C10 compare two searches of the lean budget, which tries one parameter at a time; [RQ3](rq3_prism_movielens1m.ipynb) says what that
# can miss.*
#
# ## The paper's numbers and ours

# %% tags=["remove-input"]
page.say(ledger_tables.with_numbers(rows, page.pages()))

# %% [markdown]
# *Ours: of each statement that a comparison decides, the mark of its own outcome and the difference as a share of the baseline, with
# the 95 % interval over users and seeds where there is one. Gaps between popular and unpopular items are shares of NDCG@20; C17 has
# differences of correlations, C22 and C23 differences of shares. Statements without such a number are below.*
#
# ## Statement by statement

# %% tags=["remove-input"]
for section in ledger_tables.statement_by_statement(rows, page.pages(), results):
    page.say(section)

# %% [markdown]
# ## The paper's own arithmetic
#
# The summaries that the paper's text gives of its Table 1, computed again from the table's cells. A change is usually a share of where
# one starts, tuned decay's score; the printed ones are shares of PRISM's.

# %%
audit().map("{:+.2f} %".format)
