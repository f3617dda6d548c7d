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
# # How fast is it?
#
# PRISM itself costs one pass over a table, before training. This page is about the training code around it.
#
# A grid like the paper's is hundreds of runs, so a run should cost what its arithmetic and its memory traffic cost. This page
# shows what `make bench` measured: every step of training and the evaluation, against plain implementations of the same formulas. The plain
# ones are in `benchmarks/reference.py`: pairwise distances by `torch.pdist`, PyTorch's default Adam, an index `DataLoader`,
# one dense score matrix. Both do the same steps on the same batches in one run, and their losses must agree to 1e-4.

# %% tags=["parameters"]
folder = None  # with bench.json, growth.json, denormals.json and perhaps gpu.json; None is the project's own
dataset = "movielens1m"  # of the trainings
results = None

# %% tags=["remove-input"]
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from prismbook.pages import page, parameters, speed_tables
from prismbook.plan import experiments
from prismbook.runs.attempts import get_records
from prismbook.tables import analysis, variants
from prismlib import datasets

parameters.check(globals(), "folder", "results", dataset=parameters.choice(datasets.known()))
page.begin()
place = page.source_tree() / "benchmarks" if folder is None else Path(folder)
bench, growth, worn = (json.loads((place / f"{name}.json").read_text()) for name in ("bench", "growth", "denormals"))
checked = json.loads((place / "gpu.json").read_text()) if (place / "gpu.json").exists() else None  # where a GPU was

# %% [markdown]
# ## Against plain implementations

# %% tags=["nbval-ignore-output", "remove-input"]
gpu = bench["gpu"]
for measured in (bench,) if isinstance(gpu, str) else (bench, gpu):
    page.say(speed_tables.machine(measured))
    display(speed_tables.against_plain(measured["rows"]))
    if below := speed_tables.missed(measured["rows"]):
        page.say(below)
for text in speed_tables.whole_runs(gpu):
    page.say(text)

# %% [markdown]
# *Target*: the ratio that this project set itself. *Floor*: the time that the step's products and the bytes that it must move would
# take at the rates above. A MAWU step in the plain form makes tensors of rows x dimensions x rows, so on the CPU that row has fewer pairs.
# A GPU does a step's arithmetic faster than Python can ask for it: step by step, a run is many times its floor, and the
# card waits. So `fit` captures the step in a CUDA graph and replays it for each batch. Several runs side by side fill the
# card (`python -m prismbook sweep run --workers`); [](reproduce.ipynb) has what such runs took.
#
# What is called predicted was not measured. Each launch is counted at what a node of a captured graph took on an earlier card, and bytes and arithmetic at that card's rates (`tests/gpu/trace.py`). A run is as many epochs as it took there, each
# with a validation, which waits for the card once. Eight processes share what memory and arithmetic take; the launches of one pass
# while others compute.

# %% tags=["nbval-ignore-output", "remove-input"]
for text in speed_tables.captured(checked):
    page.say(text)
if checked is not None:
    display(speed_tables.captured_steps(checked))
launches = page.source_tree() / "tests" / "gpu" / "launches.json"
display(speed_tables.predicted(json.loads(launches.read_text())))

# %% [markdown]
# ## Whole epochs, with the validation that early stopping needs

# %% tags=["nbval-ignore-output", "remove-input"]
display(speed_tables.epochs(bench))
page.say(speed_tables.validation(bench))
page.say(speed_tables.largest_evaluation(bench))

# %% [markdown]
# The authors' times were measured once, on a machine of the same kind, with their released code; they are not
# measured again by `make bench`.
#
# ## What is faster and changes results
#
# Two things are offered and off unless asked for. Both are fields of `RunConfig` and arguments of `fit`.
#
# `precision="bfloat16"` runs the training steps under `torch.autocast`. Uniformity is then one fused self-attention in
# bfloat16 with float32 sums, since $\lVert x - y\rVert^2 = 2 - 2\,x^\top y$ on unit rows; parameters, their gradients and the
# ranking stay float32. It pays where a step waits for its products and the processor multiplies bfloat16: on a CPU
# with that instruction, and not on a GPU whose steps wait for Python. (TensorFloat-32 is PyTorch's
# own switch, `torch.set_float32_matmul_precision("high")`.)
#
# `optimizer="sparse_adam"` updates the rows of the batch alone, so a step costs what its batch costs, however large the
# tables are. A batch that holds much of the tables costs more than one pass over them, which a GPU makes quickly. It is
# another optimiser than Adam, which moves every row at every step by its momentum, and it knows no weight decay. [](scale.ipynb) has
# both at up to ten million rows, and an Adam of few rows that trains what Adam trains.

# %% tags=["nbval-ignore-output", "remove-input"]
display(speed_tables.offered({"CPU": bench, "GPU": gpu}))

# %% [markdown]
# Whole trainings on MovieLens1M, each beside the one in float32 with Adam: same configuration, same seed. The difference of
# test NDCG@20 stands with its 95 % interval over test users (paired bootstrap); what is not run says so. DirectAU's gamma is the one
# below under the records. It is not the tuned one of the other pages, so that scores differ from theirs.

# %% tags=["remove-input"]
pairs = experiments.protocol_pairs("speed", dataset)
display(pd.DataFrame(variants.beside(pairs, results)).set_index("trained"))

# %% tags=["remove-input", "nbval-ignore-output"]
configs = [config for pair in pairs for config in pair]
records = get_records(configs, results, train=False)
page.origin(analysis.tidy(configs, records), f"python -m prismbook sweep run speed --dataset {dataset}")

# %% [markdown]
# ## Numbers too small to be quick
#
# Weight decay takes what gets no gradient towards zero, such as the weights of a perceptron's dead units. Below
# $2^{-126}$ float32 keeps a number in less than its full precision, and a CPU multiplies it many times as slowly. Non-linear MF with decay starts quickly and gets slower as it trains. So `fit` counts these numbers as zero
# (see `benchmarks/denormals.py`). A step of non-linear MF with SSM, eight of 64 hidden units a side worn down:

# %% tags=["nbval-ignore-output", "remove-input"]
display(speed_tables.denormals(worn))
page.say(f"*{worn['environment']['device']}, {worn['pairs']:,} pairs per step, `benchmarks/denormals.py`.*")

# %% [markdown]
# ## Growth
#
# Nothing should grow faster than its arithmetic. Each panel lets one thing grow and divides times by their first values.

# %% mystnb={"image": {"alt": "Three log-log panels: time of a DirectAU step, a BPR step and a ranking, relative to the smallest, as table sizes, dimensions and batch size grow, each beside growth in proportion"}} tags=["remove-input", "nbval-ignore-output"]
table = pd.DataFrame(growth["growth"])
speed_tables.growth(table)
plt.show()

# %% [markdown]
# *A curve that stays on or below the dashed line grows no faster than its arithmetic. Seconds relative to the leftmost. Any step grows with the tables, which Adam updates whole. A
# DirectAU step's own arithmetic grows with the square of the batch's distinct rows, so its curve on the right may rise above
# the dashed one. A ranking's arithmetic grows with the number of items. Where tables
# outgrow the processor's last cache, a step falls to the speed of memory and the curve above proportion.*

# %% tags=["hide-input", "hide-output", "nbval-ignore-output"]
display(table)
for name, measured in {"bench": bench, "growth": growth}.items():
    own = measured["environment"]
    print(f"{name}: {measured['date']}, commit {(own['commit'] or '')[:8]}, {own['device']}, PyTorch {own['torch']}")
print("redo: python benchmarks/bench.py --dataset gowalla --output benchmarks/bench.json")
print("      python benchmarks/bench.py --growth --output benchmarks/growth.json")
print("      python benchmarks/denormals.py --output benchmarks/denormals.json")
