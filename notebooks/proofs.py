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
# # Proofs and checks
#
# Each statement of [the page before](theory.ipynb) is proved here, and under each proof stands a cell that
# checks it, 15 cells in all: *Checked. Show the code* opens one. A check that fails stops the build of this book, so what you read has passed.
# The symbols are those of the page before; where a proof needs more, it says so.

# %% tags=["parameters"]
seed = 0  # of everything that is drawn on this page

# %% tags=["remove-input"]
from prismbook.pages import parameters

parameters.check(globals(), "seed")

# %% mystnb={"code_prompt_show": "Imports and helpers", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sympy
import torch
from torch.nn.functional import cosine_similarity, normalize

from prismbook.pages import figures, theory_figures
from prismlib import BPR, MAWU, SSM, DirectAU, theory
from prismlib.data import random_split, synthetic
from prismlib.datasets import CARDS
from prismlib.hypersphere import alignment
from prismlib.init import prism_
from prismlib.losses import directau_loss, mawu_loss
from prismlib.train import batches

float64 = torch.float64


def rows(*shape, seed=seed):
    """Normal numbers in float64 from a generator of their own."""
    return torch.randn(*shape, dtype=float64, generator=torch.Generator().manual_seed(seed))


# %% tags=["remove-input"]
# %config InlineBackend.figure_formats = ["svg"]
# %config InlineBackend.print_figure_kwargs = {"metadata": {"Date": None}, "bbox_inches": "tight"}
plt.style.use(figures.STYLE)
pd.options.display.float_format = "{:.3f}".format

# %% [markdown]
# ## The gradient is orthogonal to the row
#
# The paper proves its theorem for the cosine. The reason behind it is more general, and is {prf:ref}`lem-orthogonal`.
#
# :::{prf:proof}
# By {eq}`eq-angle`, $b \mapsto \ell(\mathbf{u}, b\,\mathbf{i})$ is constant, so its derivative at $b = 1$ is zero. By the
# chain rule that derivative is $\mathbf{i} \cdot \nabla_{\mathbf{i}} \ell(\mathbf{u}, \mathbf{i})$. For the second part,
# take the gradient in $\mathbf{i}$ of both sides of $\ell(\mathbf{u}, b\,\mathbf{i}) = \ell(\mathbf{u}, \mathbf{i})$: on
# the left the chain rule gives $b$ times the gradient at $b\,\mathbf{i}$.
# :::
#
# The proof uses only that stretching this one row does not change $\ell$. So it holds for a loss of any number of rows, and for a whole
# batch. Checked with the losses that this book trains, on rows stretched by random factors:

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
user, item, negative = rows(32, 8), rows(32, 8, seed=1), rows(32, 10, 8, seed=2)
stretch = rows(32, 1, seed=3).exp()
ids = {"user_id": torch.arange(32), "item_id": torch.arange(32)}
losses = {
    "DirectAU": DirectAU(),
    "SSM": SSM(),
    "MAWU": MAWU(32, 32, 1.0, 1.0, generator=torch.Generator().manual_seed(seed)).double(),
    "BPR": BPR(),
}
table = {}
for name, loss in losses.items():
    leaf = item.clone().requires_grad_()
    value = loss(user, leaf, negative, **ids)
    (gradient,) = torch.autograd.grad(value, leaf)
    stretched = loss(user * stretch, item * stretch.flip(0), negative, **ids)
    table[name] = [(stretched - value).abs().item(), (item * gradient).sum(1).abs().max().item()]
    assert (max(table[name]) < 1e-6) == (name != "BPR"), name  # BPR sees lengths, the other three do not
pd.DataFrame(table, index=["change of the loss by stretching", "largest |row . gradient|"]).T

# %% [markdown]
# (sec-permutation)=
# ## Who is in a batch
#
# {prf:ref}`obs-membership` has a proof of two sentences.
#
# :::{prf:proof}
# Let each interaction be in the batch with probability $|\mathcal{B}|/|E|$, independently of the others. Item $i$ is
# missing if all its $d_i$ interactions are, which has probability $(1 - |\mathcal{B}|/|E|)^{d_i}$.
# :::
#
# The word *independently* carries the proof, and batches of a fixed size do not satisfy it: one that has an
# interaction has less room for the next. The paper says *with replacement, for simplicity*. With replacement,
# one draw misses item $i$ with probability $1 - d_i/|E|$, and all $|\mathcal{B}|$ draws miss it with probability
# $(1 - d_i/|E|)^{|\mathcal{B}|}$. Here $d_i$ and $|\mathcal{B}|$ have changed places against {eq}`eq-membership`. Training shuffles the interactions and cuts the order into batches. For that there is
# an exact law.
#
# :::{prf:proposition} the law of a permutation
# :label: prop-exact
#
# Let $b = |\mathcal{B}|/|E|$. For a batch cut from a uniform permutation,
#
# $$
# \begin{aligned}
# &P(i \in \mathcal{B}) = \\
# &\quad 1 - \tbinom{|E| - d_i}{|\mathcal{B}|} \big/ \tbinom{|E|}{|\mathcal{B}|} \\
# &\quad = 1 - \prod_{k=0}^{d_i - 1} \left(1 - \frac{|\mathcal{B}|}{|E| - k}\right) .
# \end{aligned}
# $$ (eq-hypergeometric)
#
# It is at least {eq}`eq-membership`, and at least the probability for draws with replacement,
#
# $$
# 1 - \left(1 - \frac{d_i}{|E|}\right)^{|\mathcal{B}|} .
# $$ (eq-swapped)
#
# Of these two, {eq}`eq-membership` is the nearer to {eq}`eq-hypergeometric` when $d_i < |\mathcal{B}|$, and {eq}`eq-swapped`
# when $d_i > |\mathcal{B}|$.
# :::
#
# :::{prf:proof}
# A batch is a uniform subset of size $|\mathcal{B}|$; those that miss item $i$ are subsets of the other $|E| - d_i$
# interactions. Equally, place the $d_i$ interactions of the item one after another into $|E|$ positions: after
# $k$ misses, the next also misses with probability $1 - |\mathcal{B}|/(|E| - k)$, which gives the product. (If it runs into a
# factor below zero, an earlier one is zero, and so is the product.) Each factor is at most
# $1 - |\mathcal{B}|/|E|$, hence {eq}`eq-membership` is a lower bound. The ratio of binomials is
#
# $$
# \frac{(|E| - d_i)!\; (|E| - |\mathcal{B}|)!}{|E|!\; (|E| - d_i - |\mathcal{B}|)!} ,
# $$ (eq-ratio)
#
# or zero where $d_i + |\mathcal{B}| > |E|$. It stays the same when $d_i$ and
# $|\mathcal{B}|$ change places, so {eq}`eq-swapped` is a lower bound too. The nearer of two lower bounds is the larger. Their probabilities of a
# miss are $\exp(d_i |\mathcal{B}|\, f(|\mathcal{B}|/|E|)/|E|)$ and $\exp(d_i |\mathcal{B}|\, f(d_i/|E|)/|E|)$ with
# $f(x) = \log(1 - x)/x$. As $f$ decreases on $(0, 1)$, the one with the larger fraction misses less often.
# :::
#
# So the formula does not follow from the assumption it is given, and is still a good one. Items mostly have fewer interactions than a batch, and there it beats the one that does follow. Check: batches drawn by the code that trains
# this book's models, from 400 permutations of 2,000 interactions. The intervals are over permutations, whose
# batches are not independent of one another. Its table is folded with the code.

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input", "hide-cell"]
total = 2000
degree = torch.tensor([1, 4, 16, 64, 256])
owner = torch.repeat_interleave(torch.arange(6), torch.cat([degree, torch.tensor([total - int(degree.sum())])]))


def with_interval(samples):
    """Mean over permutations, and half the width of its 95 % interval."""
    return samples.mean(0), 1.96 * samples.std(0) / math.sqrt(len(samples))


def assert_drawn(measured, half, exact):
    """Within four standard errors; the 1e-6 is for laws so close to one that nothing else was ever drawn."""
    assert ((measured - exact).abs() <= 2 * half + 1e-6).all(), f"drawn {measured}, exact {exact}"


found = []
generator = torch.Generator().manual_seed(seed)
for size in (20, 500):
    shares = []
    for _ in range(400):
        order = torch.randperm(total, generator=generator)
        inside = [torch.bincount(ids, minlength=6)[:5] > 0 for (ids,) in batches((owner,), order, size)]
        shares.append(torch.stack(inside).double().mean(0))
    share, half = with_interval(torch.stack(shares))
    paper = theory.batch_membership(degree.double(), size, total)
    swapped = 1 - (1 - degree.double() / total) ** size
    exact = theory.batch_membership_exact(degree, size, total)
    assert_drawn(share, half, exact)
    assert (exact >= torch.maximum(paper, swapped) - 1e-9).all()
    assert ((paper >= swapped) == (degree <= size)).all()
    columns = {"paper's Eq. 2": paper, "with replacement": swapped, "exact": exact, "measured": share, "±": half}
    found.append(pd.DataFrame(columns, index=pd.MultiIndex.from_product([[size], degree.tolist()], names=["|B|", "d"])))
# the paper's Equation 2 is told from the truth by the measurement where the item is a large part of the data
assert found[0].loc[(20, 256), "measured"] - found[0].loc[(20, 256), "paper's Eq. 2"] > 5 * found[0].loc[(20, 256), "±"]
pd.concat(found)

# %% [markdown]
# An item with one interaction is in exactly one batch of each pass, so nothing is left to chance there. How far are the two
# formulas from the exact law at the size of a dataset? The answer is folded, since nothing after it needs it.

# %% mystnb={"image": {"alt": "Two line charts of the ratio of an approximate to the exact batch probability against the share of the interactions an item has. Equation 2 of the paper stays at one throughout; draws with replacement start a little below one for rare items when the batch is a hundredth of the data, and at 0.88 when it is a quarter"}, "code_prompt_show": "Show the figure", "code_prompt_hide": "Hide the figure"} tags=["remove-input", "hide-output", "nbval-ignore-output"]
theory_figures.membership_gap()
plt.show()

# %% mystnb={"code_prompt_show": "Show the table", "code_prompt_hide": "Hide the table"} tags=["remove-input", "hide-output"]
up_to, off = torch.arange(1, 641), {}
for size in (640, 16_000):
    exact = theory.batch_membership_exact(up_to, size, 64_000)
    paper = theory.batch_membership(up_to.double(), size, 64_000)
    swapped = 1 - (1 - up_to / 64_000) ** size
    off[f"|B| = {size:,}"] = [f"{(1 - formula / exact).max():.1%}" for formula in (paper, swapped)]
pd.DataFrame(off, index=["paper's Equation 2", "draws with replacement"])

# %% [markdown]
# *The paper's Equation 2 stays at one; draws with replacement do not. Both formulas over the exact probability, for 64,000 interactions.
# Dotted: where an item has as many interactions as
# the batch; there the two curves cross. Table: the largest error for items
# with up to 1 % of all interactions.*
#
# ## The theorem
#
# The proof of {prf:ref}`thm-change` has five steps.
#
# :::{prf:proof}
# *Gradient.* With $c = \mathbf{u} \cdot \mathbf{i} / (\lVert\mathbf{u}\rVert \lVert\mathbf{i}\rVert)$, the quotient rule and
# $\nabla_{\mathbf{i}} \lVert\mathbf{i}\rVert = \hat{\mathbf{i}}$ give
#
# $$
# \nabla_{\mathbf{i}} (-c) = - \frac{1}{\lVert\mathbf{i}\rVert} \bigl(\hat{\mathbf{u}} - c\, \hat{\mathbf{i}}\bigr) .
# $$ (eq-gradient)
#
# Its dot product with $\hat{\mathbf{i}}$ is $-(c - c)/\lVert\mathbf{i}\rVert = 0$, as {prf:ref}`lem-orthogonal` demands.
#
# *Two cases.* Out of the batch, decay acts alone and $\mathbf{i}' = (1 - \eta\lambda)\,\mathbf{i}$. In the batch,
#
# $$
# \mathbf{i}' = (1 - \eta\lambda)\, \mathbf{i} + \frac{\eta}{\lVert\mathbf{i}\rVert} \bigl(\hat{\mathbf{u}} - c\, \hat{\mathbf{i}}\bigr) .
# $$ (eq-step)
#
# *Lengths.* The two parts of {eq}`eq-step` are orthogonal, so their squares add (Pythagoras), and
# $\lVert\hat{\mathbf{u}} - c\,\hat{\mathbf{i}}\rVert^2 = 1 - 2c^2 + c^2 = 1 - c^2$:
#
# $$
# \begin{aligned}
# \lVert\mathbf{i}'\rVert^2 &= (1 - \eta\lambda)^2 \lVert\mathbf{i}\rVert^2 \\
# &\quad + [i \in \mathcal{B}]\, \frac{\eta^2 (1 - c^2)}{\lVert\mathbf{i}\rVert^2} .
# \end{aligned}
# $$ (eq-pythagoras)
#
# *Expectation.* The bracket $[i \in \mathcal{B}]$ is one or zero and has mean $P(i \in \mathcal{B})$. Take the mean of
# {eq}`eq-pythagoras` and subtract $\lVert\mathbf{i}\rVert^2$.
#
# *Signs.* $(1 - \eta\lambda)^2 \le 1$ is $0 \le \eta\lambda \le 2$. And $c^2 \le 1$ is the inequality of Cauchy and
# Schwarz, with equality only where $\mathbf{u}$ and $\mathbf{i}$ are parallel: there the second term is zero, so it is not *strictly* positive.
# :::
#
# **Check 1, symbols.** {eq}`eq-gradient`, orthogonality, and {eq}`eq-pythagoras` in three dimensions:

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
u = sympy.Matrix(sympy.symbols("u1:4", real=True))
i = sympy.Matrix(sympy.symbols("i1:4", real=True))
eta, decay = sympy.symbols("eta lambda", real=True)
c = u.dot(i) / (u.norm() * i.norm())
gradient = sympy.Matrix([sympy.diff(-c, x) for x in i])
assert (gradient + (u / u.norm() - c * i / i.norm()) / i.norm()).applyfunc(sympy.simplify).is_zero_matrix
assert sympy.simplify(gradient.dot(i)) == 0
after = (1 - eta * decay) * i - eta * gradient
predicted = (1 - eta * decay) ** 2 * i.dot(i) + eta**2 * (1 - c**2) / i.dot(i)
assert sympy.simplify(after.dot(after) - predicted) == 0

# %% [markdown]
# **Check 2, the optimiser.** One step of `torch.optim.SGD` in float64 on 200 rows, in the batch and out of it, for this
# loss and those that follow. The mean of the two changes, weighted by the probability, must be what `prismlib.theory` says.

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
STEP = {"eta": 0.05, "decay": 0.3}
user, start = rows(200, 6, seed=4), rows(200, 6, seed=5)
probability = torch.linspace(0, 1, 200, dtype=float64)
norm, cosine = start.norm(dim=1), cosine_similarity(user, start)


def change_by_sgd(loss, decay=STEP["decay"]):
    """Change of the squared lengths by one step; ``loss`` of the item rows, or None for rows out of the batch."""
    leaf = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([leaf], lr=STEP["eta"], weight_decay=decay)
    leaf.grad = torch.zeros_like(leaf)
    if loss is not None:
        loss(leaf).backward()
    optimizer.step()
    return leaf.detach().square().sum(1) - norm**2


def assert_equal(measured, predicted):
    torch.testing.assert_close(measured, predicted, rtol=1e-9, atol=1e-12)


inside = change_by_sgd(lambda item: -cosine_similarity(user, item).sum())
outside = change_by_sgd(None)
predicted = theory.expected_change(probability, norm, cosine, **STEP)
assert_equal(probability * inside + (1 - probability) * outside, predicted)
assert (theory.decay_change(norm, **STEP) < 0).all() and (theory.cosine_change(norm, cosine, STEP["eta"]) >= 0).all()

# %% [markdown]
# (sec-drawn)=
# **Check 3, drawn batches.** The items above with 1 to 256 of 2,000 interactions, each interaction with a random user. Every
# batch of 40 permutations is one real SGD step from the same start, 4,000 in all. The theorem allows an item one
# interaction per batch, so only the first counts here; [below](sec-several) all do.

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
DRAWN, SIZE = {"eta": 0.1, "decay": 0.01}, 20
users, items = normalize(rows(total, 8, seed=6), dim=1), normalize(rows(6, 8, seed=7), dim=1)


def measured_change(once, passes=40):
    """Mean change of the squared lengths over all batches of each permutation, ``(passes, 5)``."""
    generator = torch.Generator().manual_seed(seed)
    leaf = items.clone().requires_grad_()
    optimizer = torch.optim.SGD([leaf], lr=DRAWN["eta"], weight_decay=DRAWN["decay"])
    before = items.square().sum(1)
    out = []
    for _ in range(passes):
        order, changes = torch.randperm(total, generator=generator), []
        for user, item in batches((users, owner), order, SIZE):
            if once:
                repeats = (item[:, None] == item).tril(-1).any(1)
                user, item = user[~repeats], item[~repeats]
            optimizer.zero_grad()
            (-(user * normalize(leaf[item], dim=1)).sum()).backward()
            optimizer.step()
            with torch.no_grad():
                changes.append(leaf.square().sum(1) - before)
                leaf.copy_(items)
        out.append(torch.stack(changes).mean(0))
    return torch.stack(out)[:, :5]


def expected(probability):
    """Equation 3 with the mean of 1 - c^2 over the item's interactions."""
    square = torch.stack([((users[owner == k] @ items[k]) ** 2).mean() for k in range(5)])
    return theory.expected_change(probability, torch.ones(5, dtype=float64), square.sqrt(), **DRAWN)


mean, half = with_interval(measured_change(once=True))
paper = expected(theory.batch_membership(degree.double(), SIZE, total))
exact = expected(theory.batch_membership_exact(degree, SIZE, total))
assert_drawn(mean, half, exact)
assert mean[0] < 0 < mean[-1]  # the same loss and decay shorten rare items and lengthen popular ones
columns = {"paper's Eq. 3, with Eq. 2": paper, "Eq. 3, with the exact law": exact, "measured": mean, "±": half}
pd.DataFrame({name: 1000 * value for name, value in columns.items()}, index=pd.Index(degree.tolist(), name="d"))

# %% [markdown]
# *The row with one interaction shrinks, the row with 256 grows. Change of the squared length per step, in thousandths. By the last
# row, what is left of the gap between the paper's formula and the measurement is the one in {prf:ref}`prop-exact`.*
#
# That the lengths of {eq}`eq-rest` are at rest:

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
def rest(probability):
    """The length at rest of the rows of check 2."""
    kept = 1 - STEP["eta"] * STEP["decay"]
    return (probability * STEP["eta"] ** 2 * (1 - cosine**2) / (1 - kept**2)) ** 0.25


some = probability.clamp(min=0.001)
assert theory.expected_change(some, rest(some), cosine, **STEP).abs().max() < 1e-12

# %% [markdown]
# ## Two corollaries
#
# For {prf:ref}`cor-batched`:
#
# :::{prf:proof}
# In the batch nothing has changed against {eq}`eq-step`. Out of it, now $\mathbf{i}' = \mathbf{i}$ and the change is zero.
# The mean is the change in the batch times its probability.
# :::

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
inside = change_by_sgd(lambda item: -cosine_similarity(user, item).sum())
outside = change_by_sgd(None, decay=0)  # zero
batched = theory.expected_change_batched(probability, norm, cosine, **STEP)
assert_equal(probability * inside + (1 - probability) * outside, batched)
one = torch.ones(200, dtype=float64)
for p in (probability, one):  # the same rest for all
    assert theory.expected_change_batched(p, rest(one), cosine, **STEP).abs().max() < 1e-12

# %% [markdown]
# (sec-negatives)=
# For {prf:ref}`cor-negatives`:
#
# :::{prf:proof}
# The item is among $n|\mathcal{B}|$ distinct uniform negatives with probability $n|\mathcal{B}|/|I|$. By independence, the
# probabilities of missing both ways multiply; the first is in {prf:ref}`obs-membership`. For a negative, the
# gradient {eq}`eq-gradient` changes its sign. In {eq}`eq-pythagoras` it is squared, so the sign is gone.
# :::
#
# As $n|\mathcal{B}|$ approaches $|I|$, the probability goes to one for every item, and popularity is lost from it. But common
# code, this book's included, draws negatives *with* replacement. An item then escapes them with probability
# $(1 - 1/|I|)^{n|\mathcal{B}|}$, which is still $1/e$ at $n|\mathcal{B}| = |I|$: the popularity signal is reduced, not removed.
# The check draws both kinds, 8,000 batches each.

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
# the sign: in symbols (those of check 1) and for the optimiser
reflected = (1 - eta * decay) * i + eta * gradient
assert sympy.simplify(reflected.dot(reflected) - after.dot(after)) == 0
assert_equal(change_by_sgd(lambda item: cosine_similarity(user, item).sum()), inside)

# the probability
num_items, size = 400, 20
generator = torch.Generator().manual_seed(seed)
found = {}
for n in (5, 20):
    hits = {"distinct": [], "with replacement": []}
    for _ in range(80):
        order = torch.randperm(total, generator=generator)
        positive = torch.stack([torch.bincount(ids, minlength=6)[:5] > 0 for (ids,) in batches((owner,), order, size)])
        distinct = torch.rand(len(positive), num_items, generator=generator).argsort(1)[:, : n * size]
        repeated = torch.randint(num_items, (len(positive), n * size), generator=generator)
        for kind, negative in (("distinct", distinct), ("with replacement", repeated)):
            drawn = torch.stack([(negative == k).any(1) for k in range(5)], 1)
            hits[kind].append((positive | drawn).double().mean(0))
    paper = theory.batch_membership(degree.double(), size, total, n, num_items)
    missed = 1 - theory.batch_membership_exact(degree, size, total)
    escaped = {"distinct": 1 - n * size / num_items, "with replacement": (1 - 1 / num_items) ** (n * size)}
    for kind, samples in hits.items():
        share, half = with_interval(torch.stack(samples))
        exact = 1 - missed * escaped[kind]
        assert_drawn(share, half, exact)
        found |= {(n, kind, "exact"): exact, (n, kind, "measured"): share, (n, kind, "±"): half}
    found[n, "distinct", "paper's formula"] = paper
table = pd.DataFrame(found, index=pd.Index(degree.tolist(), name="d")).T
table.index.names = ["n", "negatives", "P(i in B)"]
table.sort_index(level=["n", "negatives"], sort_remaining=False)

# %% [markdown]
# *400 items and batches of 20. At $n = 20$ there are as many negatives as items: distinct ones hold every item, repeated
# ones leave the popular items ahead of the rare.*
#
# (sec-lengths)=
# ## Dot product and Euclidean distance
#
# :::{prf:proposition} losses that see lengths; the paper's Section C.5
# :label: prop-lengths
#
# Under the assumptions of {prf:ref}`thm-change`, for the loss $-\mathbf{u} \cdot \mathbf{i}$,
#
# $$
# \begin{aligned}
# &\mathbb{E}\bigl[\lVert\mathbf{i}'\rVert^2 - \lVert\mathbf{i}\rVert^2\bigr] = \\
# &\quad \bigl((1 - \eta\lambda)^2 - 1\bigr) \lVert\mathbf{i}\rVert^2 \\
# &\quad + P(i \in \mathcal{B}) \bigl[ \\
# &\qquad 2\eta (1 - \eta\lambda)\, \mathbf{u} \cdot \mathbf{i} \\
# &\qquad + \eta^2 \lVert\mathbf{u}\rVert^2 \bigr] ,
# \end{aligned}
# $$ (eq-dot)
#
# and for $\lVert\mathbf{u} - \mathbf{i}\rVert^2$, with $\mu = 1 - \eta\lambda - 2\eta$,
#
# $$
# \begin{aligned}
# &\mathbb{E}\bigl[\lVert\mathbf{i}'\rVert^2 - \lVert\mathbf{i}\rVert^2\bigr] = \\
# &\quad \bigl((1 - \eta\lambda)^2 - 1\bigr) \lVert\mathbf{i}\rVert^2 \\
# &\quad + P(i \in \mathcal{B}) \bigl[ \\
# &\qquad \bigl(\mu^2 - (1 - \eta\lambda)^2\bigr) \lVert\mathbf{i}\rVert^2 \\
# &\qquad + 4\eta^2 \lVert\mathbf{u}\rVert^2 + 4\eta\mu\, \mathbf{u} \cdot \mathbf{i} \bigr] .
# \end{aligned}
# $$ (eq-euclidean)
#
# Both brackets can take either sign.
# :::
#
# :::{prf:proof}
# The gradients are $-\mathbf{u}$ and $2(\mathbf{i} - \mathbf{u})$. In the batch,
# $\mathbf{i}' = (1 - \eta\lambda)\,\mathbf{i} + \eta\,\mathbf{u}$ in the first case and
# $\mathbf{i}' = \mu\,\mathbf{i} + 2\eta\,\mathbf{u}$ in the second. Expand the squares. Out of the batch both are
# $(1 - \eta\lambda)\,\mathbf{i}$, so the mean is $(1 - \eta\lambda)^2 \lVert\mathbf{i}\rVert^2$ plus the probability times the
# difference of the two cases. For the signs take $\mathbf{u} = \pm t\,\mathbf{i}$ with $\eta$ small: the terms linear in $\eta$
# are $\pm 2\eta t \lVert\mathbf{i}\rVert^2$ for the dot product, $4\eta (\pm t - 1) \lVert\mathbf{i}\rVert^2$ for the distance.
# :::

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
for loss, step in {"dot": -u.dot(i), "euclidean": (u - i).dot(u - i)}.items():
    moved = (1 - eta * decay) * i - eta * sympy.Matrix([sympy.diff(step, x) for x in i])
    k = 1 - eta * decay - 2 * eta
    bracket = {
        "dot": 2 * eta * (1 - eta * decay) * u.dot(i) + eta**2 * u.dot(u),
        "euclidean": (k**2 - (1 - eta * decay) ** 2) * i.dot(i) + 4 * eta**2 * u.dot(u) + 4 * eta * k * u.dot(i),
    }[loss]
    assert sympy.expand(moved.dot(moved) - (1 - eta * decay) ** 2 * i.dot(i) - bracket) == 0

outside = change_by_sgd(None)
for formula, loss in {
    theory.expected_change_dot: lambda item: -(user * item).sum(),
    theory.expected_change_euclidean: lambda item: (user - item).square().sum(),
}.items():
    inside = change_by_sgd(loss)
    assert_equal(probability * inside + (1 - probability) * outside, formula(probability, start, user, **STEP))
    without_decay = formula(one, start, user, STEP["eta"], 0.0)
    assert (without_decay > 0).any() and (without_decay < 0).any()  # either sign

# %% [markdown]
# ## PRISM
#
# For {prf:ref}`cor-prism`:
#
# :::{prf:proof}
# For $\alpha \in [0, 1]$ the length lies between $\log(d + 2) \ge \log 2$ and $1 > \log 2$. The rest is {eq}`eq-angle` and
# the second part of {eq}`eq-orthogonal`.
# :::

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
popularity = torch.tensor([0, 1, 10, 100, 1000, 10_000])
before, partner = rows(6, 8, seed=8), rows(6, 8, seed=9)
after_prism = prism_(before.clone(), popularity)
lengths = after_prism.norm(dim=1)
torch.testing.assert_close(lengths, torch.log(popularity.double() + 2))
torch.testing.assert_close(cosine_similarity(before, after_prism), torch.ones(6, dtype=float64))
assert lengths.min() >= math.log(2)
gradients = []
for table in (before, after_prism):
    leaf = table.clone().requires_grad_()
    gradients.append(torch.autograd.grad(-cosine_similarity(partner, leaf).sum(), leaf)[0])
stretched = (lengths / before.norm(dim=1))[:, None]
torch.testing.assert_close(gradients[0], gradients[1] * stretched)
pd.DataFrame({"length": lengths.numpy()}, index=pd.Index(popularity.tolist(), name="d")).T

# %% [markdown]
# (sec-adam)=
# ## Adam
#
# How little decay takes under plain gradient descent at Adam's learning rate:

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
print(f"{1 - (1 - 1e-3 * 1e-6) ** 50_000:.1e} of the length in 50,000 steps of SGD")
row = torch.ones(64, requires_grad=True)  # float32
optimizer = torch.optim.SGD([row], lr=1e-3, weight_decay=1e-6)
row.grad = torch.zeros_like(row)
optimizer.step()
assert torch.equal(row.detach(), torch.ones(64))
print("float32, one step: the row did not change at all")

# %% [markdown]
# A check of {eq}`eq-adam`: a row that was in half of 500 batches, and then in none of 200.

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
generator = torch.Generator().manual_seed(seed)
row = rows(64, seed=10).mul(0.05).requires_grad_()
optimizer = torch.optim.Adam([row], lr=1e-3, weight_decay=1e-6)
for step in range(700):
    hit = step < 500 and torch.rand((), generator=generator) < 0.5
    row.grad = 1e-4 * torch.randn(64, dtype=float64, generator=generator) * hit
    previous = row.detach().clone()
    optimizer.step()
v = optimizer.state[row]["exp_avg_sq"] / (1 - 0.999**700)
predicted = 1e-3 * 1e-6 * previous / (v.sqrt() + 1e-8)
ratio = ((previous - row.detach()) / predicted).median()
assert abs(ratio - 1) < 0.05
print(f"measured step / predicted step: {ratio:.2f}")
times = predicted.abs().median() / (1e-9 * previous.abs().median())
print(f"Adam's step is {times / 1000:.0f} thousand times that of SGD")

# %% [markdown]
# ## DirectAU's alignment is the cosine, twice
#
# Section C.5 explains DirectAU's and MAWU's sensitivity to lengths with the Euclidean distance. But DirectAU measures it between
# *normalised* vectors, where
#
# $$
# \lVert\hat{\mathbf{u}} - \hat{\mathbf{i}}\rVert^2 = 2 - 2 \cos(\mathbf{u}, \mathbf{i}) ,
# $$ (eq-alignment)
#
# so its gradient is exactly twice the gradient of $-\cos$. The theorem applies with $2\eta$ in its second term, and {eq}`eq-euclidean` does
# not apply. MAWU's alignment is angle-based too: {prf:ref}`lem-orthogonal`. The paper's text says elsewhere that the two
# agree up to a constant.
#
# The factor counts where weights are compared. In {eq}`eq-losses` DirectAU halves its uniformities and MAWU does not. If MAWU's learned margins were zero,
# this would be exact. $M_u$ and $M_i$ are kept between 0 and 1, so the margins lie between $1 - \sigma(2) = 0.12$ and 0.5:
#
# $$
# \mathcal{L}_\mathrm{DirectAU}(4\gamma) = 2 + 2\,\mathcal{L}_\mathrm{MAWU}(\gamma, \gamma) .
# $$ (eq-mawu-directau)
#
# So MAWU at (1, 1) spreads rows about as DirectAU does at 4, and DirectAU's plain 1 is about MAWU's (0.25, 0.25).

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
user, item = rows(50, 8, seed=11), rows(50, 8, seed=12)
assert_equal(directau_loss(user, item, 1.2), 2 + 2 * mawu_loss(user, item, torch.zeros(50), 0.3, 0.3))

gradients = []
for loss in (lambda u, i: alignment(u, i), lambda u, i: -cosine_similarity(u, i).mean()):
    leaves = user.clone().requires_grad_(), item.clone().requires_grad_()
    gradients.append(torch.autograd.grad(loss(*leaves), leaves))
for twice, once in zip(*gradients, strict=True):
    torch.testing.assert_close(twice, 2 * once, rtol=1e-12, atol=1e-15)
assert (item * gradients[0][1]).sum(1).abs().max() < 1e-15  # no part along the item

# one real step, against the two formulas
partner, leaf = user[:1], item[:1].clone().requires_grad_()
optimizer = torch.optim.SGD([leaf], lr=STEP["eta"], weight_decay=STEP["decay"])
alignment(partner, leaf).backward()
optimizer.step()
changed = leaf.detach().square().sum(1) - item[:1].square().sum(1)
length, c = item[:1].norm(dim=1), cosine_similarity(partner, item[:1])
theorem = theory.decay_change(length, **STEP) + theory.cosine_change(length, c, 2 * STEP["eta"])
euclidean = theory.expected_change_euclidean(torch.ones(1, dtype=float64), item[:1], partner, **STEP)
assert_equal(changed, theorem)
assert abs(euclidean - changed) > 0.01
shown = {"measured": changed, "theorem, 2η": theorem, "C.5, Euclidean": euclidean}
pd.DataFrame(shown, index=["change of the squared length in one step"])

# %% [markdown]
# (sec-several)=
# ## More than one interaction in a batch
#
# The theorem lets an item meet at most one interaction per batch. Its number in a batch has mean
# $|\mathcal{B}|\, d_i / |E|$. For the synthetic dataset, counted:

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
split = random_split(synthetic(), seed=123)
counts, interactions = split.item_popularity, len(split.train.item)
mean_in_batch = {}
for size in (1024, 4096, 16_384):
    number = size * counts / interactions
    above = number > 1
    mean_in_batch[size] = [*np.percentile(number, [50, 95, 100]), above.mean(), counts[above].sum() / interactions]
columns = ["median item", "95th percentile", "most popular", "items above one", "their share of interactions"]
assert mean_in_batch[4096][2] > 1
pd.DataFrame(mean_in_batch, index=columns).T.rename_axis("|B|")

# %% [markdown]
# *Synthetic data, generated; not a dataset of the paper. Columns 1 to 3: interactions of an item in a batch, on average.* The size of a published dataset tells from how many training interactions on an item is in the average batch more than once, $|E|/|\mathcal{B}|$ with 80 % of the
# interactions for training:

# %%
names = [name for name, known in CARDS.items() if known.paper]
limits = {name: [0.8 * CARDS[name].interactions / size for size in (4096, 16_384)] for name in names}
pd.DataFrame(limits, index=["|B| = 4,096", "|B| = 16,384"]).T.map(lambda x: f"{x:.0f}")

# %% [markdown]
# An assumption that fails for the most popular items first deserves a formula without it.
#
# :::{prf:proposition} several interactions; not in the paper
# :label: prop-several
#
# Let the loss be a sum of angle-based losses over the batch, cut from a uniform permutation. Let $\mathbf{g}_k$ be the gradient
# of the $k$-th of the $d_i$ interactions of item $i$. With $b = |\mathcal{B}|/|E|$ and
# $b_2 = b\,(|\mathcal{B}| - 1)/(|E| - 1)$,
#
# $$
# \begin{aligned}
# &\mathbb{E}\bigl[\lVert\mathbf{i}'\rVert^2 - \lVert\mathbf{i}\rVert^2\bigr] = \\
# &\quad \bigl((1 - \eta\lambda)^2 - 1\bigr) \lVert\mathbf{i}\rVert^2 \\
# &\quad + \eta^2 \Bigl( b \sum_k \lVert\mathbf{g}_k\rVert^2 \\
# &\qquad\quad + b_2 \sum_{k \ne l} \mathbf{g}_k \cdot \mathbf{g}_l \Bigr) .
# \end{aligned}
# $$ (eq-several)
# :::
#
# :::{prf:proof}
# Let $s_k$ be one if the $k$-th interaction is in the batch, else zero. All $\mathbf{g}_k$ are orthogonal to $\mathbf{i}$
# ({prf:ref}`lem-orthogonal`), so is their sum, and by Pythagoras
# $\lVert\mathbf{i}'\rVert^2 = (1 - \eta\lambda)^2 \lVert\mathbf{i}\rVert^2 + \eta^2 \lVert\sum_k s_k \mathbf{g}_k\rVert^2$. Expand
# the last square and take the mean: $\mathbb{E}[s_k^2] = \mathbb{E}[s_k] = b$, and a batch has two given interactions with
# probability $\mathbb{E}[s_k s_l] = b_2$.
# :::
#
# The signs of the theorem stay. But the growth no longer levels off as the probability does: it is linear in $d_i$ if the gradients point
# in unrelated directions, and quadratic if they agree. Unless they cancel, the theorem *understates* how much popularity is written. The drawn batches
# of check 3 again, now with all interactions:

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
mean, half = with_interval(measured_change(once=False))
exact = []
for k in range(5):
    directions = users[owner == k]
    gradients = -(directions - (directions @ items[k])[:, None] * items[k])
    exact.append(theory.expected_change_exact(gradients, torch.ones((), dtype=float64), SIZE, total, **DRAWN))
exact = torch.stack(exact)
paper = expected(theory.batch_membership(degree.double(), SIZE, total))
assert_drawn(mean, half, exact)
assert mean[-1] > 1.5 * paper[-1]
columns = {"paper's Eq. 3": paper, "several": exact, "measured": mean, "±": half}
table = pd.DataFrame({name: 1000 * value for name, value in columns.items()}, index=pd.Index(degree.tolist(), name="d"))
table.insert(0, "|B| d / |E|", degree * SIZE / total)
table

# %% [markdown]
# *A negative number shrinks a row, a positive one lengthens it. All but the first column: change of the squared length per step, in thousandths.*
