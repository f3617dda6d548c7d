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
# # Quality against fairness, run by run
#
# Each point is one stored run on a dataset of the paper. Up is better: test NDCG@20. Right is fairer: what unpopular items bring of
# it, as a share of what popular items bring. PRISM's points are filled. A run that was also scored with lengths $d^b$, its $b$ chosen on validation, has a star
# beside its own point. Plain SGD's points have a dot inside. Point at one to see which run it is. Untick a loss, a model or a
# way to see the others.
#
# The axis of NDCG@20 does not begin at 0, so that the better runs have room. Tick the box to see those below.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input", "nbval-ignore-output"]
from prismbook.pages import frontier, page, parameters
from prismbook.runs.records import default_results, scan

parameters.check(globals(), "results")
page.begin()
stored, _ = scan(results or default_results())
runs = frontier.runs_of(stored)
page.html(frontier.widget(runs))

# %% [markdown]
# *The line is the frontier: no other run is both better and fairer than one on it. The runs differ in more than decay and
# PRISM, and most have one seed, so a single point proves nothing; the [ledger](ledger.ipynb) compares them by its rules.*

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(frontier.counted(stored))
page.say(frontier.on_the_line(runs))

# %% [markdown]
# ## The same runs, still

# %% mystnb={"image": {"alt": "Three panels, one for each dataset, with test NDCG@20 of every stored run against its ratio of unpopular to popular items' NDCG@20, on an axis of factors; runs with PRISM are filled, those scored with other lengths are stars, those by plain SGD have a dot inside, all others are open, a stepped line is the frontier, and each loss has its own colour and marker", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
if runs:
    frontier.figure(runs)
