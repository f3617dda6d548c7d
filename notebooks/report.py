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
# # One-page report
#
# In the form of the ML Reproducibility Challenge. Paper: Loveland, Ju, Zhao, Shah and Koutra, *On the Role of Weight Decay in
# Collaborative Filtering: A Popularity Perspective*, KDD 2025 {cite}`loveland2025weightdecay`.
#
# <button class="print-page" onclick="window.print()">Print this page, or save it as PDF: one sheet</button>
#
# ## Scope

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
from prismbook.claims import ledger
from prismbook.pages import answers, page, parameters, report
from prismbook.runs.records import default_results, scan

parameters.check(globals(), "results")
page.begin()
rows = ledger.ledger(results)
records = report.real(scan(results or default_results())[0])
page.say(
    "The paper says that weight decay matters for angle-based losses because it writes the popularity of items into the"
    " lengths of their vectors. It says that PRISM, which sets the lengths at the start, can replace it."
    f" {report.scope(rows, records)}"
)

# %% [markdown]
# ## Method

# %% tags=["remove-input"]
page.say(report.method(records))

# %% [markdown]
# ## Results

# %% tags=["remove-input"]
page.say(report.results(rows, answers.answers(rows)))

# %% [markdown]
# ## What was easy

# %% tags=["remove-input"]
page.say(report.easy(rows))

# %% [markdown]
# ## What was difficult

# %% tags=["remove-input"]
page.say(report.difficult(rows, records))

# %% [markdown]
# ## Contact with the authors
#
# None. The authors took no part in this, and have not reviewed it.
#
# *All claims: the [ledger](ledger.ipynb). Marks: [how verdicts are made](verdicts.ipynb). Without a browser window, `make report`
# prints this page into `book/_build/report.pdf`; it needs Chromium.*
