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
# # Does weight decay store item popularity?
#
# Recommenders that learn by angles (SSM, DirectAU, MAWU) are still trained with weight decay, which in a step of plain gradient descent
# changes only the lengths of their vectors. {cite:t}`loveland2025weightdecay` say why: decay
# writes the popularity of items into these lengths. Their method, **PRISM**, sets the lengths before training and drops decay.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
from prismbook.claims import ledger
from prismbook.claims.magnitudes import magnitudes
from prismbook.pages import advice_numbers, answers, marks, page, parameters, start_page
from prismbook.runs.records import default_results, scan

parameters.check(globals(), "results")
page.begin()
stored, _ = scan(results or default_results())
real_runs = start_page.real_runs(stored)
why = "Under Adam coupled decay writes popularity; plain SGD writes it [without any](pages/law_of_lengths.ipynb)."
page.say(f"We ran the paper again, without its authors. {start_page.scope(real_runs)} {why}")

# %% tags=["remove-input"]
rows = ledger.ledger(results)
page.html(answers.table(answers.answers(rows), page.pages()))

# %% tags=["remove-input"]
page.say(start_page.shown_advice(page.pages(), advice_numbers.known(results)))

# %% [markdown]
# *A mark is the ledger's verdict on a claim, beside an answer over all datasets and beside a dataset's name on that one, and not on the number beside it. So a large number stands beside ? where a search was not complete. The
# numbers are changes from tuned weight decay to PRISM, and in the first two rows from no decay to the decay that validation chose. $\alpha$ is PRISM's strength.
# A correlation says how tightly lengths follow popularity, and not [how steeply](pages/optimisers.ipynb). In the paper's Table 1 changes are shares of PRISM's score,
# and its epochs are shares of decay's; it names no base for its other percentages. [Its mean of +0.12 %](pages/ledger.ipynb) follows from Table 1 with neither base. Ours are shares of tuned decay's. How much users vary is not known for [lengths at scoring](pages/should_i_use.ipynb), and is taken from PRISM against a decay of 1e-6.*

# %% tags=["remove-input"]
page.say(f"{marks.KEY} {start_page.how_sure(rows)}")

# %% [markdown]
# ## The paper's numbers and ours

# %% mystnb={"image": {"alt": "One row per dataset and loss of linear MF: a black bar for the paper's change of NDCG@20 from tuned decay to PRISM, and a marker with its 95 % interval for ours; the verdict stands above the rows of a dataset", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
panels = start_page.figure_rows(magnitudes(results), ledger.summary(rows), rows)
start_page.panel("linear", panels)

# %% mystnb={"image": {"alt": "The same for the losses of non-linear MF", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
start_page.panel("nonlinear", panels)

# %% mystnb={"image": {"alt": "One row per dataset: a black bar for the paper's change of the number of epochs from tuned decay to PRISM, and a marker with its 95 % interval for ours; the verdict stands above the rows of a dataset", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
start_page.panel("epochs", panels)

# %% mystnb={"image": {"alt": "One row per dataset: a black bar for the paper's change of the ratio of unpopular to popular items' NDCG@20 from tuned decay to PRISM, and a marker with its 95 % interval for ours; the verdict stands above the rows of a dataset", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
start_page.panel("fairness", panels)

# %% [markdown]
# *Where a dot is far from its black bar, we did not find what the paper found. In bold is what the paper claims. Below it are each
# dataset with the ledger's verdict on it, then the losses that this verdict rests on. A black bar is the paper's change from tuned decay
# to PRISM, a dot is ours with its 95 % interval over users and seeds. The grey band counts as no change, and the arrow points to
# what is better. A cross is of an open verdict or loss. A hollow dot is of a provisional verdict, and a small grey one is the released code, which has none. The two lower panels have an axis of factors. "Size open" stands
# where a part of the runs was cut off, so that our own change is not drawn. The paper's bars in the last
# two panels are its means over datasets, but for the epochs on Gowalla, of which it prints a figure.*
#
# ## PRISM in six lines
#
# ```python
# import torch
# from prismlib import prism_
#
# popularity = torch.tensor([0, 6, 998])  # the number of training interactions of each item
# items = torch.nn.Embedding(len(popularity), 64)
# torch.nn.init.xavier_uniform_(items.weight)
# prism_(items.weight, popularity)  # the norms of the rows are now log(popularity + 2): 0.69, 2.08, 6.91
# ```
#
# In a copy of this project, which has no public address yet, `pip install .` installs it; [six lines to copy](pages/use_prism.ipynb) do the same. The package index has another
# project by the name `prismlib`. Call it on the user table too, with the users' counts. Then train without weight decay. For a row $\mathbf{w}$ with $d$ training interactions and a strength $\alpha \in [0, 1]$, which
# is 1 above, this is
#
# $$
# \mathbf{w} \leftarrow \bigl(\alpha \log(d + 2) + 1 - \alpha\bigr)\, \frac{\mathbf{w}}{\lVert \mathbf{w} \rVert} .
# $$ (eq-prism)
#
# ## What was run

# %% tags=["remove-input"]
start_page.scope_table(real_runs)

# %% tags=["remove-input"]
page.say(start_page.further_runs(stored))

# %% [markdown]
# *The losses that were trained on each backbone. No run has two towers, in-batch negatives or live users.
# [Commands, hours and hardware](pages/reproduce.ipynb)*
#
# ## How to read a verdict
#
# A claim's core statements make its verdict. [The same rules](pages/verdicts.ipynb) judge all of them.
#
# reproduced
# : all core statements hold. *Reproduced, size differs*: they do, and the paper's figure is not ours
#
# for X, not for Y
# : they hold for some losses, protocols or readings, which are named, and not for others
#
# not reproduced
# : none of those that are decided holds; where some are open, *(k of n decided)* stands behind it
#
# open (k of n decided)
# : the stored runs do not tell. Fewer than half are decided, or all that are decided hold and some are not. An answer over all datasets
#   puts the statements of all of them together. *Mostly open* has fewer than half decided
#
# provisional
# : the verdict would be another without statements that hold only just
#
# not measured
# : the runs that the claim needs have not been made
#
# Generated data show the mechanism and have no verdict. Every other number is read from run records: one small file for each run, with
# its configuration, seed, data hash, code version, device and seconds.
#
# ## Where to go next
#
# - All claims at a glance: the [ledger](pages/ledger.ipynb), and on [one page](pages/report.ipynb) in the form of a reproducibility report.
#   Beyond the claims: [what we found that the paper does not say](pages/found.ipynb).
# - Every run as a point: [quality against fairness](pages/frontier.ipynb). Other rules, other verdicts:
#   [move the margin](pages/verdicts.ipynb).
# - What the paper, its released code and this book each do: the [protocol](pages/protocol.ipynb).
# - To understand: first [twenty lines](pages/twenty_lines.ipynb), then [what one step does to a length](pages/theory.ipynb), [the law of lengths](pages/law_of_lengths.ipynb), and
#   each statement with [its proof and a cell that checks it](pages/proofs.ipynb). Then the four questions of the paper.
#   Where a formula of the paper is in the code: [from the paper to the code](paper_to_code.md).
# - Use it: [PRISM in your own model](pages/use_prism.ipynb), [your own data](pages/add_a_dataset.ipynb),
#   [your own loss](pages/add_a_loss.ipynb), [other libraries](recipes.md), [serving](serving.md), [large
#   tables](pages/scale.ipynb), [a cluster](cluster.md), [every function](api/index.md).
