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
#
# %% [markdown]
# # PRISM in twenty lines
#
# **The loss turns vectors, decay shortens them, PRISM sets their length.** This page shows all three in bare PyTorch: nothing
# hidden, no GPU, and no package of this book before the last two cells. It is a **toy**, and no evidence about the paper's datasets.
#
# The losses meant here compare a user and an item by their angle alone. Such a loss cannot ask for a longer or a shorter vector, so under
# plain gradient descent it moves a vector at a right angle to itself. The result is a hypotenuse, and a hypotenuse is longer than its legs (the drawing below).
#
# Why lengths matter, if the loss does not see them: items are *ranked* by the dot product, $\lVert\mathbf{u}\rVert\, \lVert\mathbf{i}\rVert \cos$. A user's own length
# is the same for all items. Of two items at the same acute angle, the longer one stands higher in the list.

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import matplotlib.pyplot as plt

from prismbook.pages import page, parameters, theory_figures

parameters.check(globals(), "results")
page.begin()

# %% mystnb={"image": {"alt": "Two rows of length 1. Decay shortens both. The one in the batch is then moved by the loss at a right angle and ends as the hypotenuse, longer than its shortened leg; the other one stays short", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
theory_figures.one_step()
plt.show()

# %% [markdown]
# *The row in the batch ends up longer than the row that is not. A popular item is in more batches, so under plain gradient descent its vector ends up
# longer. Both steps are drawn much larger than real ones.*
#
# ## One step by hand
#
# Two items of length 1, of which only the first is in the batch. The loss is minus the cosine. Learning rate and decay are both 0.1.
# Adam's decay is *coupled* (added to the gradient, as in the authors' code); AdamW's is not.

# %% tags=["one-step"]
import torch
from torch.nn.functional import cosine_similarity

for optimizer in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
    user = torch.tensor([0.8, 0.6])
    items = torch.nn.Parameter(torch.eye(2))
    step = optimizer([items], lr=0.1, weight_decay=0.1)
    (-cosine_similarity(user, items[0], dim=0)).backward()
    step.step()
    inside, outside = items.detach().norm(dim=1).tolist()
    met = f"{optimizer.__name__:6} in the batch 1 -> {inside:.4f}"
    print(f"{met}, not in it 1 -> {outside:.4f}")
    if optimizer is torch.optim.SGD:
        # the paper's Theorem 3.1: two legs at a right angle
        decayed, turned = 0.99, 0.1 * (1 - 0.8**2) ** 0.5
        assert abs(inside - (decayed**2 + turned**2) ** 0.5) < 1e-6

# %% [markdown]
# Plain gradient descent (SGD) takes the two legs of the drawing. Its steps are small, so that the row in the batch ends a little shorter than 1, and longer
# than the other. Adam does not take them: it divides each coordinate of a step by the size of its gradient,
# so its step is at a right angle [only on average](theory.ipynb). A row that gets no
# gradient but decay shrinks at the same speed for any $\lambda$, since $\lambda$ cancels. AdamW keeps decay out of that division.
#
# In this step all three favour the row in the batch. Over many steps they differ in how they weigh how often a row is met against how far it then moves. Adam divides by a running mean, so a row met
# once in 100 steps moves 10 times as far when it is met. Squares of such moves add, and $10^2$ times one in 100 is 1: over many steps rare and popular rows grow alike. Coupled decay is
# divided by the same small number, so it takes more from rare rows.
#
# ## Two thousand steps
#
# Now 300 users take 12 of 100 items each, and item 0 is taken most often. The loss is a softmax over cosines. How long is each item's
# vector in the end, and how does its length correlate with $\log(d + 2)$, where $d$ is popularity?
#
# Here every item is in the softmax at each step, so no row is ever out of the batch. Popularity acts by the size of the gradient: an item is
# pulled hard where it is the positive, and weakly where it is one of the others.
#
# The lines of the title, about twenty, are the loss and the training, `softmax` and `train`. The others make the data and print.

# %% tags=["twenty-lines", "nbval-ignore-output"]
import torch
from torch.nn import Parameter
from torch.nn.functional import cross_entropy, normalize
from torch.optim import SGD, Adam, AdamW

torch.set_num_threads(1)
torch.manual_seed(0)
num_users, num_items, dim = 300, 100, 16
chance = 1 / torch.arange(1.0, num_items + 1)
taken = [torch.multinomial(chance, 12) for _ in range(num_users)]
item = torch.stack(taken).flatten()
user = torch.arange(num_users).repeat_interleave(12)
d = torch.bincount(item, minlength=num_items)  # popularity


def softmax(users, items, rows):  # of cosines: it sees no length
    asked = normalize(users[user[rows]], dim=1)
    cosines = asked @ normalize(items, dim=1).T
    return cross_entropy(cosines / 0.2, item[rows])


def train(optimizer, lr, decay, prism=False, loss=softmax, batch=64, steps=2000):
    torch.manual_seed(1)
    users = Parameter(0.1 * torch.randn(num_users, dim))
    items = Parameter(0.1 * torch.randn(num_items, dim))
    if prism:  # keep directions, set lengths to log(d + 2)
        with torch.no_grad():
            items.mul_((torch.log(d + 2.0) / items.norm(dim=1))[:, None])
    step = optimizer([users, items], lr, weight_decay=decay)
    for _ in range(steps):
        step.zero_grad()
        rows = torch.randint(len(user), (batch,))
        loss(users, items, rows).backward()
        step.step()
    return items.detach().norm(dim=1)


found = {}


def report(name, *args, **options):
    n = train(*args, **options)
    most, least = n[d.argmax()].item(), n[d.argmin()].item()
    both = torch.stack([n, torch.log(d + 2.0)])
    r = torch.corrcoef(both)[0, 1].item()
    logs = torch.cov(torch.log(torch.stack([d, n])))  # of both logs
    slope = (logs[0, 1] / logs[0, 0]).item()
    found[name] = most, least, r, slope
    print(f"{name}: correlation {r:+.2f}, slope {slope:+.3f}")
    print(f"  most popular {most:.2f}, least {least:.2f}")


report("Adam, no decay", Adam, 1e-2, 0.0)
report("Adam, decay 1e-4 (coupled)", Adam, 1e-2, 1e-4)
report("Adam, decay 1e-3 (coupled)", Adam, 1e-2, 1e-3)
report("AdamW, decay 0.1 (decoupled)", AdamW, 1e-2, 0.1)
report("SGD at Adam's rate, decay 1e-3", SGD, 1e-2, 1e-3)
report("SGD at rate 1, no decay", SGD, 1.0, 0.0)
report("SGD at rate 1, decay 1e-3", SGD, 1.0, 1e-3)

# %% [markdown]
# ## Read it
#
# - **Adam, no decay**: lengths do not follow popularity. Adam's steps have about one size for every row, pulled hard often or rarely.
#   On real data a correlation is left, and hardly a slope: [how tight is not how steep](optimisers.ipynb).
# - **Adam, coupled decay**: the stronger decay writes popularity into the
#   lengths. The weaker one has not got there in these steps. By [the law](law_of_lengths.ipynb) a ten times weaker decay needs $10^{2/3}$, nearly five times, as many.
#   The slope of log length in log $d$ is on its way to the law's 1/6; at 6,000 steps, in the answers below, it is near.
#   This softmax is over all items; on real data, with SSM's few negatives, the law promises no exponent.
# - **AdamW** takes the same share of every row. It writes no popularity.
# - **SGD at Adam's rate**: the rows have moved little, by less than a third of their lengths.
# - **SGD at a rate at which it trains**, here 1, writes popularity **without any decay**. Decay then only makes all rows shorter.
#
# So what decay does depends on the optimiser. [](law_of_lengths.ipynb) says why, and what recorded runs on real data say of it.
#
# The cell below fails if one of these sentences is wrong.

# %% mystnb={"code_prompt_show": "Show the check"} tags=["hide-input"]
r = {name: values[2] for name, values in found.items()}
assert r["Adam, no decay"] < 0.1 < r["Adam, decay 1e-4 (coupled)"] < 0.7 < 0.9 < r["Adam, decay 1e-3 (coupled)"]
assert r["AdamW, decay 0.1 (decoupled)"] < 0.1
start = 0.1 * dim**0.5
most, least, *_ = found["SGD at Adam's rate, decay 1e-3"]
assert abs(most - start) < 0.3 * start and abs(least - start) < 0.3 * start
without, decayed = found["SGD at rate 1, no decay"], found["SGD at rate 1, decay 1e-3"]
assert without[2] > 0.95 and decayed[2] > 0.95 and decayed[0] < without[0] and decayed[1] < without[1]
print("checked ✓")

# %% [markdown]
# ## Your turn
#
# Predict before you run; all three start from *Adam, decay 1e-3*. The answers are folded below.
#
# 1. Set decay to 1e-2. What happens to the lengths, and what to their correlation with popularity?
# 2. Double the batch, and give both 6,000 steps to come to rest.
# 3. Sample 5 negatives instead of all items. Do lengths still follow popularity?


# %% mystnb={"code_prompt_show": "Show the answers"} tags=["hide-cell", "nbval-ignore-output"]
from torch.nn.functional import cosine_similarity


def five_negatives(users, items, rows):
    listed = torch.cat([item[rows, None], torch.randint(num_items, (len(rows), 5))], dim=1)
    cosines = cosine_similarity(users[user[rows]][:, None], items[listed], dim=2)
    return cross_entropy(cosines / 0.2, torch.zeros(len(rows), dtype=torch.long))


report("1. decay 1e-2", Adam, 1e-2, 1e-2)
report("2. batch of 64, 6,000 steps", Adam, 1e-2, 1e-3, steps=6000)
report("2. batch of 128, 6,000 steps", Adam, 1e-2, 1e-3, batch=128, steps=6000)
report("3. five negatives", Adam, 1e-2, 1e-3, loss=five_negatives)
asked = found["Adam, decay 1e-3 (coupled)"]
print("1. Shorter, all of them; the correlation stays: decay sets the level of lengths, not their order.")
assert found["1. decay 1e-2"][0] < 0.7 * asked[0] and found["1. decay 1e-2"][2] > 0.9
print("2. All get shorter, by about 2^(-1/6): gradients weaken by 2^(-1/2), lengths by the cube root of that.")
single, double = found["2. batch of 64, 6,000 steps"], found["2. batch of 128, 6,000 steps"]
assert all(abs(double[k] / single[k] - 2 ** (-1 / 6)) < 0.08 for k in (0, 1))
assert abs(single[3] - 1 / 6) < 0.02 and abs(double[3] - 1 / 6) < 0.02
print("3. Yes: the positives carry popularity; negatives are drawn alike from all items.")
assert found["3. five negatives"][2] > 0.9

# %% [markdown]
# ## PRISM, one line
#
# If popularity is what decay writes, it can be written before training starts {cite}`loveland2025weightdecay`. In `train` above that is
# the one line under `if prism`:
#
# ```python
# items.mul_((torch.log(d + 2.0) / items.norm(dim=1))[:, None])  # a part of train, where items are its table
# ```
#
# PRISM sets users too, in the same way. Here all users have 12 interactions, so that it would give one length to all, and the line is left out.

# %% tags=["nbval-ignore-output"]
report("Adam, PRISM, no decay", Adam, 1e-2, 0.0, prism=True)
assert found["Adam, PRISM, no decay"][2] > 0.95  # training has not undone it

# %% [markdown]
# ## The same with prismlib
#
# The library's `prism_` is that line, with checks of what it is given.

# %%
from prismlib import prism_

table = torch.nn.Embedding(num_items, dim)
start = table.weight.detach()
by_hand = start * (torch.log(d + 2.0) / start.norm(dim=1))[:, None]
prism_(table.weight, d)
assert torch.allclose(table.weight, by_hand)

# %% [markdown]
# ## And on real data
#
# A toy shows a mechanism, not a result. This is a stored run of this book: DirectAU with PRISM, of items and users, on MovieLens1M. The cell reads its
# record, so it needs a checkout of the project, and no data. An item without training interactions is in no batch and has no decay, so
# it must still have the length that PRISM gave it. The others have moved: in this run the items with one interaction are longer than they were set.

# %% tags=["real-data", "nbval-ignore-output"]
from pathlib import Path

import torch

from prismbook.claims import ledger
from prismbook.runs.records import default_results, load_record
from prismlib import prism_norm

# the page's own parameter, which names other records
given = globals().get("results")
name = "movielens1m/mf-directau-9c7b05ac6a8b.json"
path = Path(given or default_results()) / name
if not path.exists():
    needs = "run this cell in a checkout of the project"
    raise FileNotFoundError(f"{path} is not here: {needs}")
record = load_record(path)
config = record["config"]
assert config["init"] == "prism" and config["alpha"] == 1
assert config["weight_decay"] == 0

items = record["norms"]["item"]
never, once = items["bins"][:2]
at_start = prism_norm(torch.tensor([0, 1])).tolist()
for d, part in enumerate((never, once)):
    set_to, now = at_start[d], part["mean"]
    print(f"{part['rows']:3} items with d = {d}:")
    print(f"  PRISM set {set_to:.4f}, recorded {now:.4f}")
assert abs(never["mean"] - at_start[0]) < 1e-6
assert never["std"] == 0
assert once["mean"] > at_start[1]
r = items["pearson_log"]
print(f"correlation with log(d + 2) after training: {r:+.3f}")
print(f"test NDCG@20 {record['test']['dot']['ndcg']:.4f}")

rows = ledger.accepted().items()
own = [name for name, row in rows if record["id"] in row["records"]]
claims = dict.fromkeys(name.split()[0] for name in own)
print(f"claims that rest on it: {', '.join(claims)}")
assert claims

# %% [markdown]
# ## Summary
#
# - Under plain gradient descent a loss of angles lengthens a row whenever it moves it. Rows that are met more often are moved more.
# - What decay adds depends on the optimiser: coupled Adam needs it to write popularity, SGD at a rate at which it trains does not.
# - PRISM writes popularity at the start, in one line, and training without decay keeps it.
#
# This was a toy with 100 items. Whether PRISM is worth it on real data is another question: [](should_i_use.ipynb). How
# to put it into your own model: [](use_prism.ipynb).
