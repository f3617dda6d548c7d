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
# # Statement by statement
#
# Every claim of the [ledger](ledger.ipynb) with all its statements: the core first, which alone makes the verdict, then sizes, details
# and notes. Behind each stand its numbers with their 95 % intervals, the number of seeds, and the records.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
from prismbook.claims import ledger
from prismbook.pages import ledger_tables, marks, page, parameters

parameters.check(globals(), "results")
page.begin()
rows = ledger.ledger(results)
page.say(marks.KEY)

# %% [markdown]
# ## Weight decay

# %% tags=["remove-input"]
page.html(ledger_tables.statements(rows, "Weight decay", page.pages(), results))

# %% [markdown]
# ## PRISM

# %% tags=["remove-input"]
page.html(ledger_tables.statements(rows, "PRISM", page.pages(), results))

# %% [markdown]
# ## Theory

# %% tags=["remove-input"]
page.html(ledger_tables.statements(rows, "Theory", page.pages(), results))

# %% [markdown]
# ## Other

# %% tags=["remove-input"]
page.html(ledger_tables.statements(rows, "Other", page.pages(), results))
