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
# # Protocol
#
# What the text of the paper {cite}`loveland2025weightdecay` says, what its released code does, and what this book does, side by side. The first
# column has no more than the text says: its file has lost many formulas and values. The column
# on this book is read from the plan that trains the runs. For each departure of the released code but one, a switch makes a run do the same,
# and [each switch was run alone](switches.ipynb) on MovieLens1M. LightGCN's degrees in sampled subgraphs have no switch and were not run.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
from prismbook.pages import page, parameters, protocol_tables

parameters.check(globals(), "results")
page.begin()
page.html(protocol_tables.table(page.pages()).to_html(border=0, classes="dataframe protocol", escape=False))

# %% [markdown]
# *Two seeds and more choose in Table 1's search alone, between the two best settings where both were run at every seed. "No search in it" says that the code
# takes one value per call. Where the last column is empty, the three agree, or no number of this book depends on the difference. "Measured" leads to the page that
# has the runs.*
#
# ## What could not be checked
#
# - **AmazonBook.** No complete copy of the paper's file was to be had, see [datasets](datasets.ipynb).
# - **The authors' own records.** None are published, so a score of ours can only be held against the printed one.
# - **The ranges of weight decay, learning rate and gamma.** The paper's file does not show them; our decays start at none, as its drawn Figure 1 does.
# - **The figures.** Their curves can be compared by eye alone, since no numbers stand behind them.
#
# Which function does what, with the test that holds it: [from the paper to the code](../paper_to_code.md).
