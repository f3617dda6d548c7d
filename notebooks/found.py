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
# # What we found that the paper does not say
#
# These findings are ours. The paper {cite}`loveland2025weightdecay` does not make them. Where one bears on a claim of the paper, the verdicts on
# that claim stand below it, as in the [ledger](ledger.ipynb). Each is judged now from the run records, by [the same rules](verdicts.ipynb) as the claims, pooled spread over seeds included.
# What we looked for and the records do not bear out stands apart, below. Two things that are not of this kind have pages of their own:
# [the law of lengths](law_of_lengths.ipynb), and lengths that are put on [at scoring](optimisers.ipynb).

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import pandas as pd

from prismbook.claims import ledger
from prismbook.claims.findings import findings
from prismbook.pages import page, parameters, start_page

parameters.check(globals(), "results")
page.begin()

# %% tags=["remove-input"]
accepted = ledger.accepted(results)
shown, not_shown = [], []
for each in findings(results):
    (shown if each.shown else not_shown).append(each)
pd.DataFrame({"where": {each.finding.title: each.status for each in shown}}).rename_axis("finding")

# %% tags=["remove-input"]
for finding in shown:
    page.say(start_page.section(finding, accepted, page.pages()))

# %% tags=["remove-input"]
if not_shown:
    page.say("## Looked for, not shown")
for finding in not_shown:
    page.say(start_page.section(finding, accepted, page.pages(), level=3))

# %% [markdown]
# *Percentages are shares of the second value of each comparison, with the 95 % interval over users and seeds in brackets. Of ratios and epochs over several seeds they are those of the geometric means. An epoch is counted from 0, a number of epochs from 1.*
#
# ## What would change our mind
#
# More seeds, where one decides. Runs on the datasets that are named as not run. For the sign on non-linear MF, a search of decay in the
# released code, and runs with the ReLU as the only switch. For the learning rate, a search of decay and of $\gamma$ at the larger one.
