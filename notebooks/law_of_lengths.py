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
# # The law of lengths
#
# The paper proves how weight decay writes popularity into lengths for plain gradient descent
# ({prf:ref}`thm-change`), and names no optimiser. Its released code trains with Adam, whose decay is added to the gradient. This page has the
# theory of what is run. It is this project's and not the paper's.
#
# | symbol | meaning |
# |---|---|
# | $\mathbf{i}$, $r = \lVert\mathbf{i}\rVert$ | a row, of an item or of a user alike, and its length |
# | $n$ | numbers in a row (in [the theory](theory.ipynb) $n$ counts negatives) |
# | $d$ | popularity, the training interactions of the row |
# | $\mathcal{B}$, $E$ | interactions of a batch; all training interactions |
# | $q$ | $\lvert\mathcal{B}\rvert\, d / \lvert E\rvert$, interactions of the row in a batch, on average |
# | $\mathbf{g}$ | gradient of the row in a step; zero when the row is not in the batch |
# | $\theta$ | angle between the row and its partners |
# | $G$ | size of the gradient at length 1, $G^2 = r^2\, \mathbb{E} \lVert\mathbf{g}\rVert^2$ |
# | $v$ | Adam's second moment, a running mean of a coordinate's squared gradient |
# | $\eta, \lambda, t$ | learning rate, weight decay, number of steps |
# | $\kappa$ | what Adam's momentum does to growth, see step 2 |
#
# ## The law, step by step
#
# A loss of angles pulls a row at a right angle, $\mathbf{g} \cdot \mathbf{i} = 0$. The longer the row, the weaker is its gradient, by the second part of {prf:ref}`lem-orthogonal`:
#
# $$
# \begin{aligned}
# \mathbb{E}\lVert\mathbf{g}\rVert^2 &= \frac{G^2}{r^2} , \\
# G &= \frac{2}{|\mathcal{B}|} \sin\theta\, \sqrt{q} .
# \end{aligned}
# $$ (eq-strength)
#
# This $G$ is DirectAU's. MAWU's is half of it, with $\sin(\theta + m)$ in place of $\sin\theta$, $m$ its learned margin; the two sines are taken as alike here. $G$ has the pulls of alignment alone, and takes those of uniformity to be small beside them
# ({func}`prismlib.theory.gradient_noise` says where that holds). The $\sqrt q$ assumes that the pairs of a row pull independently, so that squares add. {prf:ref}`prop-several` has this
# case, in which growth is linear in $d$. Pulls which agree would make it quadratic. So here $G$ grows with popularity as $\sqrt d$.
#
# 1. Adam divides each coordinate by $\sqrt v = G / (r \sqrt n)$, the root of its mean squared gradient. This takes the loss alone to fill $v$, $G/r \gg \lambda r$,
#    and a row to be met often within Adam's memory of a thousand steps, $q \gg 0.001$. It takes $v$ to be alike in all coordinates, too.
# 2. Without momentum a row would move $\eta \sqrt n$ per step (root mean square), a rare row seldom but far. By Pythagoras $r^2$ would grow by $\eta^2 n$ per step.
#    Momentum, $\beta_1 = 0.9$, spreads a gradient over about ten steps but hands out all of it. Its steps are shorter, with a mean square of $\eta^2 n (1 - \beta_1)/(1 + \beta_1)$.
#    But a row has moved since the gradients that are still handed out were at a right angle to it. Take one gradient, divided by
#    $\sqrt v$ and so of square $n$, at $l$ steps after it came. By then the row has gone $\eta (1 - \beta_1^l)$ times it, and the coming step goes another $\eta (1 - \beta_1)\beta_1^l$ times it.
#    The square of a sum has twice the product of its parts. Over all $l$ that is $2 \eta^2 n \sum_l (1 - \beta_1)\beta_1^l (1 - \beta_1^l) = 2 \eta^2 n \beta_1/(1 + \beta_1)$. The sum is $\eta^2 n$ again.
#    So over many steps $r^2$ grows by $\kappa \eta^2 n$ per step, popular or not:
#    **Adam takes popularity out of the lengths.** Here $\kappa = 1 + 2 \sum_l \beta_1^l \rho_l$, with $\rho_l$ the correlation of gradients $l$ steps apart. $\kappa$ is 1 where they are
#    independent, and {func}`below 1 <prismlib.theory.memory_of_epochs>` where the gradients of an epoch sum to zero. At rest a row's pulls cancel over an epoch, in which each of its pairs comes once.
# 3. Coupled decay adds $\lambda \mathbf{i}$ to the gradient and is divided too: it takes $2 \eta \lambda r^2 / \sqrt v = 2 \eta \lambda \sqrt n\, r^3 / G$,
#    more from the rows with a weak gradient: **coupled decay puts popularity back.**
# 4. At rest both are equal: $r^3 = \kappa \eta \sqrt n\, G / (2 \lambda)$, and with $G \propto \sqrt d$ lengths go as $d^{1/6}$, whatever $\lambda$ is. The distance from
#    rest falls by a factor $e$ in about $\tfrac23\, r^2 / (\kappa \eta^2 n)$ steps, the *time to rest*. A row needs some three of them. It goes as $(\eta^2 \lambda)^{-2/3}$, so a weak decay rests late.
#    Each run below has trained for at least three, counted for its middle class of rows. Its longest rows may still be short of rest. Step 4 holds while a step of a rare row is small
#    beside the row, $\eta \sqrt{n/q} \ll r$. Decay makes $r$ small, so a strong decay ends it, and the rarest rows are the first.
# 5. AdamW's decay is not divided: $r^2 = \kappa \eta n / (2 \lambda)$, no popularity. Plain SGD divides nothing: $r^4 = r_0^4 + 2 \eta^2 G^2 t$ without
#    any decay, from the length $r_0$ at the start, so $d^{1/4}$.
#
# {mod}`prismlib.theory` has each formula with its assumptions. For weights that get a gradient at every step the equilibrium is known {cite}`kosson2024rotational`. So is SGD's indifference to its rate {cite}`arora2019autorate`. Rows that are
# sampled by their popularity are what is new here.
#
# ## A simulation that you can paste
#
# Rows meet a gradient with different chances, which are the $q$ of the formulas. Nothing is fitted. Two decays are run under coupled Adam, a weaker and a stronger one.

# %% tags=["parameters", "remove-input"]
results = None  # the folder of the records; None is the project's

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
import numpy as np

from prismbook.pages import law_figures, law_tables, page, parameters
from prismbook.pages.provenance import command
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import COLLAPSE, configs, grid_configs
from prismbook.runs.records import default_results, scan
from prismbook.tables import analysis, law

parameters.check(globals(), "results")
folder = results or default_results()
page.begin()

# %%
import torch
from torch.nn.functional import normalize

from prismlib.theory import rest_length_adam

strength, dim = 1e-3, 64
chance = torch.tensor([0.01, 0.03, 0.1, 0.3, 1.0])


def simulate(optimizer_class, lr, decay, steps, start):
    generator = torch.Generator().manual_seed(0)
    p = chance.repeat_interleave(16)[:, None]  # sixteen rows of each chance
    table = torch.nn.Parameter(normalize(torch.randn(len(p), dim, generator=generator), dim=1) * start)
    optimizer = optimizer_class([table], lr=lr, weight_decay=decay)
    total = 0
    for step in range(steps):
        rows = table.detach()
        noise = torch.randn(rows.shape, generator=generator)
        tangent = noise - rows * ((noise * rows).sum(1, keepdim=True) / rows.square().sum(1, keepdim=True))
        met = torch.rand(p.shape, generator=generator) < p
        table.grad = tangent * met * strength / dim**0.5 / rows.norm(dim=1, keepdim=True)
        optimizer.step()
        if step >= steps * 2 // 3:
            total = total + table.detach().square().sum(1)
    return (total / (steps - steps * 2 // 3)).view(-1, 16).mean(1).sqrt()


found = {
    "Adam, coupled decay 1e-4": simulate(torch.optim.Adam, 3e-3, 1e-4, 3000, 0.3),
    "Adam, coupled decay 1e-3": simulate(torch.optim.Adam, 3e-3, 1e-3, 3000, 0.2),
    "AdamW": simulate(torch.optim.AdamW, 3e-3, 0.5, 3000, 0.4),
    "Adam, no decay": simulate(torch.optim.Adam, 1e-3, 0.0, 3000, 0.2),
    "plain SGD, no decay": simulate(torch.optim.SGD, 50.0, 0.0, 3000, 0.3),
}
laws, step = {}, 3e-3 * (dim / chance).sqrt()  # the length of a row's step, when it is met
for decay in ("1e-4", "1e-3"):
    name = f"Adam, coupled decay {decay}"
    laws[name] = rest_length_adam(strength * chance.sqrt(), lr=3e-3, decay=float(decay), dim=dim)
    beside, small = found[name] / laws[name], step / laws[name]
    print(f"decay {decay}, length / law:", *(f"{x:.2f}" for x in beside), " step / law:", *(f"{x:.2f}" for x in small))
    assert ((beside - 1).abs() < 0.06)[small < 0.6].all()
    assert (beside[0] > 1.3) == (small[0] > 2)  # where the step is the longer one, so is the row

# %% mystnb={"image": {"alt": "Length against the chance of a gradient on logarithmic axes: coupled Adam lies on the law's line at the weaker decay, and leaves it upwards for the rarest rows at the stronger; AdamW and Adam without decay are flat, plain SGD rises most steeply"}} tags=["remove-input", "nbval-ignore-output"]
shown, lines = ({name: rows.numpy() for name, rows in table.items()} for table in (found, laws))
law_figures.simulated_and_predicted(chance.numpy(), shown, lines)
plt.show()

# %% [markdown]
# *Coupled Adam lies on the law's line where a step is small beside a row. AdamW and Adam without decay are flat; plain SGD writes popularity
# without decay, and most strongly. A line has its decay at the end. Each point is the root mean square length of sixteen simulated rows.*
#
# At the stronger decay the rarest rows end longer than the law says. One step throws such a row further than its length at rest, and decay needs many steps to
# take that back. So a decay that is too strong writes less popularity, not more.
#
# ## The records
#
# A *class* of rows has popularities between two powers of two: 4 to 7, 8 to 15, and so on. The mean lengths of the classes of one table, items or users, in one run are
# a *profile*. Runs that differ in the seed alone are of one *configuration*.
#
# The law has one constant, the mean of $\kappa \sin\theta$ over rows, under the cube root of step 4. It is fitted on one profile, the items of MovieLens1M under
# DirectAU at decay 1e-5, and the runs of all other configurations are predicted. The same is done for three rivals: the paper's theorem at rest, PRISM's
# $\log(d + 2)$, and a power of $d$ whose exponent is fitted as well.

# %% tags=["remove-input"]
stored, _ = scan(folder)
kept, left_out = law.of_the_law(stored)
profiles = law.profiles(kept)
(reference,) = grid_configs("movielens1m", "directau", 1e-5)
one = law.profile(profiles, analysis.records(analysis.measured(folder, [reference]))[0]["id"], "item")
wrong_by = law.errors(profiles, one)
page.say(law_tables.what_is_in(kept, left_out))
page.say(law_tables.with_them(kept, left_out, one))

# %% tags=["remove-input"]
page.say(law_tables.explained(profiles, wrong_by, one))
law_tables.rivals(profiles, wrong_by)

# %% [markdown]
# *The first column is of held-out profiles, with one constant for all. The next is of the datasets other than MovieLens1M,
# since the fitted profile is of MovieLens1M. The last gives every profile a constant of its own. An error is that of the log length.
# Where it is small, it is about a share of the length.*
#
# With one constant for all runs neither $\log(d + 2)$ nor a power of $d$ has a chance. They do not know decay and learning rate, which set the level. The shape alone is a fairer test.

# %% tags=["remove-input"]
page.say(law_tables.shapes(profiles, wrong_by))

# %% [markdown]
# ### Its exponents, left free

# %% tags=["remove-input"]
free = law.exponents(profiles)
page.say(law_tables.freed(free, len(set(profiles["configuration"]))))
law_tables.exponents(free)

# %% [markdown]
# *"All of it" is the row of* $\eta G \sqrt n / (2 \lambda)$, *of which step 4 takes the cube root. The other rows are of one regression.*
#
# ### Where it errs
#
# The error of the length on held-out profiles, by part. *MovieLens1M (all ratings)* has the low ratings too, which MovieLens1M leaves out:

# %% tags=["remove-input"]
law_tables.by_part(profiles, wrong_by)

# %% mystnb={"image": {"alt": "Recorded mean length against the length by the law, items and users: all points lie near the line of equality"}} tags=["remove-input", "nbval-ignore-output"]
law_figures.all_on_one_line(profiles, float(np.exp(np.log(one["length"] / one["law"]).mean())))
plt.show()

# %% [markdown]
# *Most classes of rows lie near the line, which is equality; some of the longest lie below it. The lengths that training leaves are predicted by popularity, learning
# rate and decay. Left items, right users; the fitted profile is among the items.*
#
# What the law says of other optimisers, and of lengths that are put on after training, is tested on the page
# [Do you need weight decay, or another optimiser?](optimisers.ipynb)
#
# ### A symmetry
#
# A learning rate $s$ times as large, with a decay divided by $s^2$, leaves the same directions by the law, with lengths $s$ times as long. So rate and decay
# are one knob, $\eta^2 \lambda$, once the start is forgotten.

# %% tags=["remove-input"]
page.say(law_tables.symmetry(stored) or "No run tests it.")

# %% [markdown]
# ## Where the law fails

# %% tags=["remove-input"]
page.say(law_tables.rare_rows(law.profiles(kept, rare=True), one))

# %% [markdown]
# - With a small weight of uniformity all rows turn one way, and $\sin\theta$ is another than in the other runs: such runs are left out. By
#   {eq}`eq-mawu-directau` MAWU's weights count about four times as much as DirectAU's.
# - Before rest, which a weak decay reaches late, lengths lie between the start and the law's.
# - SSM's gradient depends on popularity in another way. No exponent is promised for it.
# - BPR's gradient is not at a right angle to the row: it lengthens and shortens the row by itself. Rest is then the minimum of loss and decay, and above a critical decay all rows die ({func}`prismlib.theory.bpr_critical_decay`).
# - Plain SGD writes $d^{1/4}$. Which exponent ranks best differs between datasets, see [that page](optimisers.ipynb).
#
# ### BPR above its critical decay
#
# BPR's gradient has a part along the row, so its rest is the minimum of loss and decay. At zero the expected gradient is linear in the tables, with a matrix
# $A$ of the data. Above its largest singular value zero is the only minimum, and every row dies. Just below it one direction is left, and all users get
# one list. {func}`~prismlib.theory.bpr_critical_decay` computes it. Predicted before the runs: one direction at 0.8 of it, nothing at 1.3.

# %% tags=["remove-input"]
collapses = {name: analysis.records(analysis.measured(folder, configs("collapse", name))) for name in COLLAPSE}
collapses = {name: [run for run in runs if run is not None] for name, runs in collapses.items() if name != "synthetic"}
law_tables.collapse(collapses) if any(collapses.values()) else page.say("Not run.")

# %% [markdown]
# *One direction where the last column is near zero. At 1.3 the largest singular value is next to nothing, and the list that is left is rounding. The
# singular values are the item table's, at the best epoch by validation.*
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
of_records = analysis.tidy([RunConfig(**record["config"]) for record in kept], kept)
of_records["lr"] = [record["config"]["lr"] for record in kept]  # it varies here
page.origin(of_records, command("law_of_lengths"))
