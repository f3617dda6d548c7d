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
# # Reproduce it
#
# In a copy of this project, which has no public address yet, there are three depths. Each needs what the one above it needs, and more. Data are
# downloaded where they are first needed, or read from the folder that `PRISM_DATA` names: [](datasets.ipynb) has the files.
#
# | to see that | command | needs |
# |---|---|---|
# | the pages follow from the stored records | `make book` | Python 3.11 or later and make; no data, no GPU |
# | the code does what it says | `make test`, `make test-browser` | the second: Chromium |
# | the records follow from the data | `python -m prismbook sweep run rq1 --dataset gowalla --results again` | the dataset, and the hours below |
#
# After `make book`, `source .venv/bin/activate` gives the commands of this book their Python. Without make it is `pip install -e '.[data,analysis]'`.
#
# A sweep trains only what is not stored. To train again what is, give it another folder, as `--results again` does; then
# `python -m prismbook records list again` shows what came out. [](../cluster.md) has the list of experiments and how to
# spread one over many machines; before you start, `python -m prismbook sweep estimate rq1 --dataset gowalla --results again` tells the hours of an experiment on your
# device. It first trains one epoch of each kind of run that was never timed there. The command folded below each figure makes that figure's runs again.
#
# The same configuration, data, device, thread count and versions give the same numbers on a CPU. Another device or another version of
# PyTorch adds in another order, and training carries the difference on; how far is measured below. That is why a
# verdict compares numbers and never asks for equal digits.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import pandas as pd
from IPython.display import Markdown, display

from prismbook.pages import parameters, reproduce_tables
from prismbook.runs.records import default_results, scan

parameters.check(globals(), "results")

records, problems = scan(default_results() if results is None else results)
runs = reproduce_tables.costs(records)

# %% [markdown]
# ## What the stored runs took
#
# Hours are wall-clock time as each run noted it. The machines did other work meanwhile, which lengthens them; *CPU time* is the
# run's own processor time, over training and evaluation, and is not lengthened. Runs that shared a GPU, so many at once as it says,
# each count the time that all took, so the card was busy for that part of their hours. Synthetic data is left out.
# On every page a GPU's run stands in where a CPU's is not stored; the provenance below each figure names the device.

# %% tags=["remove-input", "nbval-ignore-output"]
if runs.empty:
    display(Markdown("**No run is stored.**"))
else:
    display(reproduce_tables.sums(runs))
    display(Markdown(reproduce_tables.beside_the_paper(runs)))
    for line in reproduce_tables.energy(runs):
        display(Markdown(line))
for problem in problems:
    display(Markdown(f"Not counted: {problem}"))

# %% [markdown]
# ## What they ran on

# %% tags=["remove-input", "nbval-ignore-output"]
if len(runs):
    display(reproduce_tables.versions(runs))

# %% [markdown]
# The paper's authors trained each model on one NVIDIA V100 GPU (Appendix B.3 of {cite}`loveland2025weightdecay`). Their hours are not
# published.
#
# ## On another processor
#
# Some configurations were trained at the same seed on two machines, a few on a CPU and on a GPU. Some had another limit of epochs then, which changes nothing before it is reached:

# %% tags=["remove-input", "nbval-ignore-output"]
rows = reproduce_tables.on_two_processors(records)
display(pd.DataFrame(rows).set_index("dataset") if rows else Markdown("No run was made on two processors."))

# %% [markdown]
# *Validation NDCG@20 by dot product, epoch by epoch. Two CPUs differ by rounding. A GPU starts from the same tables and draws
# other batches and negatives from the same seed, so it differs as another seed of training would.*

# %% tags=["remove-input", "nbval-ignore-output"]
if rows:
    display(Markdown(reproduce_tables.beside_seeds(rows, results)))

# %% [markdown]
# ## Further
#
# [](../checklists.md) answers the ACM's and the NeurIPS lists line by line. [](../environment.md) has the versions that this book was
# built with, and the seconds of each page. [](../launch.md) opens a page in the cloud. [](../release.md) is the recipe for an archived
# release. `make pdf` prints the whole book, with Chromium.
