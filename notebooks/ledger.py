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
# number of seeds. No mark, number or word is written by hand, and a record that is missing, or that says something else than when
# the ledger was last accepted, stops the build of this book.

# %% tags=["parameters"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
from prismbook.claims import ledger
from prismbook.pages import ledger_tables, marks, page, parameters
from prismbook.tables.paper import audit

parameters.check(globals(), "results")
page.begin()
rows = ledger.ledger(results)
ledger.check(rows, results)  # fails where a record is gone or says something else
page.say(marks.KEY)

# %% tags=["remove-input"]
page.html(ledger_tables.table(rows, page.pages(), results=results))

# %% tags=["remove-input"]
page.say(ledger_tables.counted(rows))

# %% [markdown]
# *A mark is the verdict on the claim's core, its own sentence in the paper. A number is PRISM's difference from tuned decay, or
# that of the two sides that a claim compares, as a share of the second. Click a line for its statements: the core first, then
# sizes, details and notes, which change no verdict, and the records behind them. [How verdicts are made](verdicts.ipynb) has
# the rules, and every verdict under others.*
#
# ## The paper's own arithmetic
#
# The summaries that the paper's text gives of its Table 1, computed again from the table's cells. A change is usually a share of where
# one starts, tuned decay's score; the printed ones are shares of PRISM's.

# %% tags=["remove-input"]
audit().map("{:+.2f} %".format)
