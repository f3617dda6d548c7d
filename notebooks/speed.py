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
# The paper's grid is thousands of runs, so a run should cost what its arithmetic and its memory traffic cost. This page
# shows what `make bench` measured: every step of training and the evaluation, against plain implementations of the same
# formulas (`benchmarks/reference.py`: pairwise distances by `torch.pdist`, PyTorch's default Adam, an index `DataLoader`,
# one dense score matrix). Both do the same steps on the same batches in one run, and their losses must agree to 1e-4.

# %% tags=["parameters"]
folder = None  # with bench.json, growth.json and denormals.json; None is the project's own
dataset = "movielens1m"  # of the trainings
results = None

# %% tags=["remove-input"]
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from prismbook.pages import page, parameters
from prismbook.plan import experiments
from prismbook.runs.attempts import get_records
from prismbook.tables import analysis, variants

parameters.check(globals(), "folder", "dataset", "results")
page.begin()
place = page.source_tree() / "benchmarks" if folder is None else Path(folder)
bench, growth, worn = (json.loads((place / f"{name}.json").read_text()) for name in ("bench", "growth", "denormals"))

# %% [markdown]
# ## Against plain implementations


# %% tags=["nbval-ignore-output", "remove-input"]
def against(work, plain, ours, target, floor=None):
    """One line of the table; seconds in, milliseconds shown."""
    return {
        "work": work,
        "plain, ms": f"{plain * 1e3:,.0f}",
        "prismlib, ms": f"{ours * 1e3:,.1f}",
        "ratio": f"{plain / ours:.1f}",
        "wanted": f"{target}",
        "times the floor": "" if floor is None else f"{ours / floor:.1f}",
    }


def show(measured):
    """The machine and its table."""
    made, machine = measured["environment"], measured["machine"]
    page.say(
        f"Measured on {measured['date']}, {measured['data']}, 64 dimensions, float32: {made['device']},"
        f" PyTorch {made['torch']}. It multiplies matrices (4096 x 64 x 4096) at"
        f" {machine['gemm_gflops']:,.0f} GFLOP/s and copies at {machine['copy_gb_per_s']:,.0f} GB/s."
    )
    rows = [against(r["work"], r["reference"], r["ours"], r["target"], r["floor"]) for r in measured["rows"]]
    display(pd.DataFrame(rows).set_index("work"))


show(bench)
gpu = bench["gpu"]
if isinstance(gpu, dict):
    show(gpu)
    seconds = ", ".join(f"{name} {spent:.2f} s" for name, spent in gpu["epochs"].items())
    page.say(f"Whole epochs on this GPU, and a validation: {seconds}.")
    whole = gpu.get("whole")
    if whole:
        page.say(
            f"A whole DirectAU + PRISM run to its early stop: {whole['seconds']:.0f} s, {whole['epochs']} epochs;"
            f" {whole['side_by_side']} processes side by side make {whole['an_hour']:.0f} runs an hour."
        )
else:
    page.say(f"**GPU: {gpu}.** `make bench` measures one where it finds one.")

# %% [markdown]
# *Floor*: the time that the step's products and the bytes it must move would take at the rates above. A MAWU step of 4,096
# pairs needs more than 24 GB in the plain form, a tensor of rows x dimensions x rows, so on the CPU that row has 2,048.
# A GPU does a step's arithmetic faster than Python can ask for it: alone, a run is many times its floor, and the card
# waits. Several runs side by side fill it (`python -m prismbook sweep run` in several terminals, with NVIDIA's MPS);
# [](reproduce.ipynb) has what such runs took.
#
# ## Whole epochs, with the validation that early stopping needs

# %% tags=["nbval-ignore-output", "remove-input"]
rows = []
for name, (train, evaluate) in bench["authors"].items():
    ours, validation = bench["epochs"][name], bench["epochs"]["validation"]
    rows.append(
        {
            "loss": name,
            "authors' code, s": f"{train:.1f} + {evaluate:.0f}",
            "prismlib, s": f"{ours:.2f} + {validation:.2f}",
            "ratio": f"{(train + evaluate) / (ours + validation):.1f}",
        }
    )
display(pd.DataFrame(rows).set_index("loss"))
times = {name: bench["epochs"]["validation"] / bench["epochs"][name] for name in ("BPR", "DirectAU")}
scored = next(r for r in bench["rows"] if r["work"].startswith("validation"))
page.say(
    "Early stopping ranks every item for every user once an epoch."
    f" That is {times['BPR']:.1f} times an epoch of BPR and {times['DirectAU']:.1f} times one of DirectAU,"
    f" at {scored['ours'] / scored['floor']:.1f} times its floor:"
    " on this CPU the ranking is the larger part of a run with a loss that trains this fast."
)
others = "; ".join(f"{name}: {text}" for name, text in bench.get("others", {}).items())
page.say(
    f"An evaluation of AmazonBook's size (52,643 users x 91,599 items) peaks at {bench['amazonbook_gb']:.2f} GB."
    + (f" Other libraries, same run: {others}." if others else "")
)

# %% [markdown]
# The authors' times were measured once, on a machine of the same kind, with their released code; they are not
# measured again by `make bench`.
#
# ## What is faster and changes results
#
# Two things are offered and off unless asked for. Both are fields of `RunConfig` and arguments of `fit`.
#
# `precision="bfloat16"` takes the training steps under `torch.autocast`. Uniformity is then one fused self-attention in
# bfloat16 with float32 sums, since $\lVert x - y\rVert^2 = 2 - 2\,x^\top y$ on unit rows; parameters, their gradients and the
# ranking stay float32. It pays where a step waits for its products and the processor multiplies bfloat16: on a CPU
# with that instruction, and not on a GPU whose steps wait for Python. (TensorFloat-32 is PyTorch's
# own switch, `torch.set_float32_matmul_precision("high")`.)
#
# `optimizer="sparse_adam"` updates the rows of the batch alone, so a step costs what its batch costs, however large the
# tables are; where a batch holds much of the tables that is more than a pass over all, which a GPU makes quickly. It is
# another optimiser than Adam, which moves every row at every step by its momentum, and it knows no weight decay.

# %% tags=["nbval-ignore-output", "remove-input"]
rows = [
    {
        "on": on,
        "work": r["work"],
        "instead of": r["plain"],
        "ms": f"{r['plain_seconds'] * 1e3:.1f}",
        "with": r["fast"],
        "ms ": f"{r['fast_seconds'] * 1e3:.1f}",
        "ratio": f"{r['plain_seconds'] / r['fast_seconds']:.1f}",
    }
    for on, measured in (("CPU", bench), ("GPU", gpu))
    if isinstance(measured, dict)
    for r in measured["offered"]
]
display(pd.DataFrame(rows).set_index(["on", "work"]))

# %% [markdown]
# Whole trainings on MovieLens1M, each beside its twin in float32 with Adam: same configuration, same seed. The difference of
# test NDCG@20 stands with its 95 % interval over test users (paired bootstrap); what is not run says so.

# %% tags=["remove-input"]
pairs = experiments.twin_pairs("speed", dataset)
display(pd.DataFrame(variants.beside(pairs, results)).set_index("trained"))

# %% tags=["remove-input", "nbval-ignore-output"]
configs = [config for pair in pairs for config in pair]
records = get_records(configs, results, train=False)
page.origin(analysis.tidy(configs, records), f"python -m prismbook sweep run speed --dataset {dataset}")

# %% [markdown]
# ## Numbers too small to be quick
#
# Weight decay takes what gets no gradient towards zero, such as the weights of a perceptron's dead units. Below
# $2^{-126}$ float32 keeps a number in less than its full precision, and a CPU multiplies it many times as slowly:
# non-linear MF with decay starts quickly and gets slower as it trains. So `fit` counts these numbers as zero
# (see [denormals](../api/denormals.md)). A step of non-linear MF with SSM, eight of 64 hidden units a side worn down:

# %% tags=["nbval-ignore-output", "remove-input"]
fresh = worn["seconds"]["fresh"]
rows = [
    {"perceptron": name, "ms": f"{seconds * 1e3:.0f}", "ratio": f"{seconds / fresh:.1f}"}
    for name, seconds in zip(("fresh", "worn", "worn, as fit does it"), worn["seconds"].values(), strict=True)
]
display(pd.DataFrame(rows).set_index("perceptron"))
page.say(f"*{worn['environment']['device']}, {worn['pairs']:,} pairs a step, `benchmarks/denormals.py`.*")

# %% [markdown]
# ## Growth
#
# Nothing should grow faster than its arithmetic. Each panel lets one thing grow and divides times by their first values.

# %% mystnb={"image": {"alt": "Three log-log panels: time of a DirectAU step, a BPR step and a ranking, relative to the smallest, as table sizes, dimensions and batch size grow, each beside growth in proportion"}} tags=["remove-input", "nbval-ignore-output"]
titles = {"scale": "users and items, times", "dim": "dimensions", "batch": "pairs a step"}
work = {"DirectAU step": "pairs", "BPR step": "tables", "ranking of 2,048 users": "scores"}
table = pd.DataFrame(growth["growth"])
figure, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for panel, (kind, title) in zip(panels, titles.items(), strict=True):
    part = table[table["grows"] == kind]
    for color, name in zip(("C0", "C1", "C2"), work, strict=True):
        panel.plot(part["to"], part[name] / part[name].iloc[0], "o-", color=color, label=name)
    panel.plot(part["to"], part["to"] / part["to"].iloc[0], "--", color="gray", label="in proportion")
    panel.set(xscale="log", yscale="log", xlabel=title)
    panel.set_xticks(part["to"], [f"{value:,}" for value in part["to"]])
    panel.minorticks_off()
panels[0].set_ylabel("time, relative")
panels[0].legend()
plt.show()

# %% [markdown]
# *Seconds relative to the leftmost. Dashed: growth in proportion. Any step grows with the tables, which Adam updates whole. A
# DirectAU step's own arithmetic grows with the square of the batch's distinct rows, so its curve on the right may rise above
# the dashed one; a ranking's with the number of items. Where tables
# outgrow the processor's last cache, a step falls to the speed of memory and the curve above proportion.*

# %% tags=["hide-input", "hide-output", "nbval-ignore-output"]
display(table)
for name, measured in {"bench": bench, "growth": growth}.items():
    own = measured["environment"]
    print(f"{name}: {measured['date']}, commit {(own['commit'] or '')[:8]}, {own['device']}, PyTorch {own['torch']}")
print("redo: python benchmarks/bench.py --dataset gowalla --output benchmarks/bench.json")
print("      python benchmarks/bench.py --growth --output benchmarks/growth.json")
print("      python benchmarks/denormals.py --output benchmarks/denormals.json")
