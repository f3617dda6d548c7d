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
# Every claim of the paper {cite}`loveland2025weightdecay`, with what we measured. Nothing on this page is written by hand but the claims
# themselves: verdicts are computed now, from the run records or on the spot. They are then compared with those last accepted; a
# record that is missing, or that says something else, stops the build of this book.

# %% tags=["parameters"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
from collections import Counter

import pandas as pd

from prismbook.claims import ledger
from prismbook.pages import ledger_tables, page, parameters
from prismbook.tables.paper import audit

parameters.check(globals(), "results")
page.begin()

# %%
rows = ledger.ledger(results)
ledger.check(rows, results)  # fails where a record is gone or says something else
counts = Counter(row.verdict for row in rows)
pd.DataFrame({"claims x datasets": counts}).rename_axis("verdict")

# %% [markdown]
# ## At a glance

# %% tags=["remove-input"]
page.say(ledger_tables.at_a_glance(rows, page.pages()))

# %% [markdown]
# *✓ reproduced: every statement that the claim makes here is measured and holds. ◐ in part: some hold; others do not, or are open.
# ✗ not reproduced: nothing that was measured holds. ? undecided: what was run does not tell, a search that
# did not end or seeds that differ too much. · not measured. (provisional): the verdict rests on a single seed, and would be
# another without it. A verdict leads to the page with the experiment. C8 to
# C10 compare two searches of the lean budget, which tries one parameter at a time; [RQ3](rq3_prism_movielens1m.ipynb) says what that
# can miss.*
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
