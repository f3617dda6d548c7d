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
# Every claim of the paper {cite}`loveland2025weightdecay` in one line, with what we measured: a mark, our number, and in brackets the
# number of seeds. No mark, number or word is written by hand. A record that is missing, or that says something else than when the ledger was last accepted, stops the build of this book.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
from prismbook.claims import ledger
from prismbook.pages import ledger_tables, marks, page, parameters
from prismbook.tables.paper import audit

parameters.check(globals(), "results")
page.begin()
rows = ledger.ledger(results)
ledger.check(rows, results)  # fails where a record is gone or says something else
page.say(f"{marks.KEY} A line opens to its statements.")

# %% tags=["remove-input"]
table = ledger_tables.table(rows, page.pages(), results=results)
page.html(f'<div class="ledger-and-counts">{table}{ledger_tables.counts_beside(rows)}</div>')

# %% [markdown]
# *A mark is the verdict on the claim's core, its own sentence in the paper. A number is PRISM's difference from tuned decay. Where a
# claim compares two other sides, it is their difference as a share of the second. An r is a difference of correlations: in C3 and C17
# from the line at which half of a variance is explained. "Of the gain" is a share of what decay gains. In C23 it is the share of
# its range that one step of decay covers; more than half is coarse. Sizes, details and notes change no verdict.
# [Statement by statement](statements.ipynb) has all of them open. [How verdicts are made](verdicts.ipynb) has the rules, and every
# verdict under others.*
#
# ## The paper's own arithmetic
#
# The summaries that the paper's text gives of its Table 1, computed again from the table's cells. A change is usually a share of where
# one starts, tuned decay's score. The printed gains are shares of PRISM's. The first mean is neither, and the last only nearly.

# %% tags=["remove-input"]
audit().map("{:+.2f} %".format)
