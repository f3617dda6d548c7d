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
# # What one step does to a length
#
# The paper's argument is short {cite}`loveland2025weightdecay`. Under plain gradient descent an angle-based loss can only
# lengthen a vector, and does so only when the vector is in the batch. Decay shortens all vectors at every step. So the length of an item's vector
# comes to say how often the item is in a batch, and it stops where growth and decay balance. This page has the statements. [The next one](proofs.ipynb) proves each of them, with cells that check
# it.
#
# | symbol | meaning |
# |---|---|
# | $\mathbf{u}, \mathbf{i}$ | rows of a user and an item; $\hat{\mathbf{u}} = \mathbf{u}/\lVert\mathbf{u}\rVert$, $\hat{\mathbf{i}} = \mathbf{i}/\lVert\mathbf{i}\rVert$ |
# | $c$ | their cosine, $\hat{\mathbf{u}} \cdot \hat{\mathbf{i}}$ |
# | $E$, $\mathcal{B}$ | all training interactions; those of one batch |
# | $d_i$ | training interactions of item $i$ |
# | $\eta, \lambda$ | learning rate, weight decay |
# | $n$ | in {prf:ref}`cor-negatives` the negatives per interaction, of $\lvert I\rvert$ items |
# | $\mathbf{i}'$ | the row after one step |
#
# The paper's letter $i$ does two things. Bold, $\mathbf{i}$ is a vector: the row of an item. Plain, $i$ is the item's number, as in $d_i$.

# %% tags=["parameters"]
seed = 0  # of everything that is drawn on this page

# %% tags=["remove-input"]
from prismbook.pages import parameters

parameters.check(globals(), "seed")

# %% mystnb={"code_prompt_show": "Imports and helpers", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from torch.nn.functional import cosine_similarity, normalize

from prismbook.pages import figures, theory_figures

float64 = torch.float64

# %% tags=["remove-input"]
# %config InlineBackend.figure_formats = ["svg"]
# %config InlineBackend.print_figure_kwargs = {"metadata": {"Date": None}, "bbox_inches": "tight"}
plt.style.use(figures.STYLE)
pd.options.display.float_format = "{:.3f}".format

# %% [markdown]
# ## Losses that see only angles
#
# :::{prf:definition} angle-based loss; the paper's Definition 2.1
# :label: def-angle
#
# A loss $\ell$ is angle-based if lengths do not change it: for all $a, b > 0$,
#
# $$
# \ell(a\,\mathbf{u},\, b\,\mathbf{i}) = \ell(\mathbf{u}, \mathbf{i}).
# $$ (eq-angle)
# :::
#
# The paper proves its theorem for the cosine. The reason behind it is more general, and is worth a lemma of its own.
#
# :::{prf:lemma} the gradient is orthogonal to the row
# :label: lem-orthogonal
#
# If $\ell$ is angle-based and differentiable at $\mathbf{i} \neq 0$, then
#
# $$
# \begin{aligned}
# \mathbf{i} \cdot \nabla_{\mathbf{i}}\, \ell(\mathbf{u}, \mathbf{i}) &= 0 , \\
# \nabla_{\mathbf{i}}\, \ell(\mathbf{u}, b\,\mathbf{i}) &= \tfrac{1}{b}\, \nabla_{\mathbf{i}}\, \ell(\mathbf{u}, \mathbf{i}) .
# \end{aligned}
# $$ (eq-orthogonal)
# :::
#
# A step along a vector orthogonal to $\mathbf{i}$ makes $\mathbf{i}$ longer, as the hypotenuse is longer than a leg. That
# is all the geometry there is. It needs a step along the gradient, which is that of plain gradient descent.
# [Adam's step](sec-adam-race) is not.

# %% mystnb={"image": {"alt": "Two rows of length 1. Decay shortens both. The one in the batch is then moved by the loss at a right angle and ends as the hypotenuse, longer than before; the other one stays short", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
theory_figures.one_step()
plt.show()


# %% [markdown]
# *The row in the batch ends up longer than the row that is not. Decay shortens both; the loss moves one, at a right angle. A real step is far smaller.*
#
# [Its proof](proofs.ipynb) uses only that stretching this one row does not change $\ell$. So it holds for a loss of any number of rows, and for
# whole batches of these three:
#
# $$
# \begin{aligned}
# &\mathcal{L}_\mathrm{SSM} = \\
# &\quad \operatorname*{mean}_{(u,i)} \Bigl[ -\log \tfrac{e^{\cos(\mathbf{u}, \mathbf{i})/\tau}}{e^{\cos(\mathbf{u}, \mathbf{i})/\tau} + \sum_j e^{\cos(\mathbf{u}, \mathbf{j})/\tau}} \Bigr] , \\
# &\mathcal{L}_\mathrm{DirectAU}(\gamma) = \\
# &\quad \operatorname*{mean}_{(u,i)} \lVert\hat{\mathbf{u}} - \hat{\mathbf{i}}\rVert^2 + \tfrac{\gamma}{2} (U_u + U_i) , \\
# &\mathcal{L}_\mathrm{MAWU}(\gamma_u, \gamma_i) = \\
# &\quad \operatorname*{mean}_{(u,i)} \bigl[ -\cos(\theta_{ui} + m_{ui}) \bigr] \\
# &\quad + \gamma_u U_u + \gamma_i U_i .
# \end{aligned}
# $$ (eq-losses)
#
# The means are over the interactions $(u, i)$ of a batch. SSM has negatives $j$ and a temperature $\tau$; $\gamma$, $\gamma_u$ and $\gamma_i$ weigh uniformity;
# $\theta_{ui}$ is
# the angle between $\mathbf{u}$ and $\mathbf{i}$, to which MAWU adds a learned margin. That is $m_{ui} = 1 - \sigma(M_u + M_i)$, with one
# learned number for each user and item, kept between 0 and 1, and $\sigma(x) = 1/(1 + e^{-x})$. The angle $\theta_{ui} + m_{ui}$ is held between 0 and $\pi$. *Uniformity* is small where rows point apart. It is
#
# $$
# U = \log \operatorname*{mean}_{\mathbf{x} \ne \mathbf{y}} e^{-2 \lVert\hat{\mathbf{x}} - \hat{\mathbf{y}}\rVert^2}
# $$ (eq-uniformity)
#
# over the different users ($U_u$) or items ($U_i$) of the batch. Each of these has normalised rows alone, so none sees a length. BPR,
# whose loss compares dot products, sees lengths, and the lemma does not hold for it.
#
# ## Who is in a batch
#
# :::{prf:observation} batch membership; the paper's Observation 1
# :label: obs-membership
#
# Item $i$ is in the batch with probability
#
# $$
# P(i \in \mathcal{B}) = 1 - \left(1 - \frac{|\mathcal{B}|}{|E|}\right)^{d_i} .
# $$ (eq-membership)
# :::
#
# A popular item is in nearly every batch, a rare one in few. The formula takes interactions to be drawn independently, and batches are cut from a
# shuffled order. [The exact law](sec-permutation) is close to it where an item has fewer interactions than a batch.
#
# ## The theorem
#
# :::{prf:theorem} expected change of length; the paper's Theorem 3.1, Equation 3
# :label: thm-change
#
# Let the loss be $-\sum_{(u,i) \in \mathcal{B}} \cos(\mathbf{u}, \mathbf{i})$, decay act on the whole tables and the
# optimiser be plain gradient descent. If item $i$ meets at most one interaction per batch, of cosine $c$, then
#
# $$
# \begin{aligned}
# &\mathbb{E}\bigl[\lVert\mathbf{i}'\rVert^2 - \lVert\mathbf{i}\rVert^2\bigr] = \\
# &\quad \bigl((1 - \eta\lambda)^2 - 1\bigr) \lVert\mathbf{i}\rVert^2 \\
# &\quad + P(i \in \mathcal{B})\, \frac{\eta^2 (1 - c^2)}{\lVert\mathbf{i}\rVert^2} .
# \end{aligned}
# $$ (eq-change)
#
# The first term is at most zero for $0 \le \eta\lambda \le 2$; the second is at least zero.
# :::
#
# So a row out of the batch shrinks, and a row in it may grow. In [drawn batches](sec-drawn) the item with one interaction shrinks, and the most
# popular one grows. If the one interaction is drawn from several of different cosine, $1 - c^2$ stands for its mean. A loss that is a *mean*
# over the batch, as in most code and in this book's, divides its gradient by $|\mathcal{B}|$, and the second term of
# {eq}`eq-change` by $|\mathcal{B}|^2$.
#
# Where does a length come to rest? At rest means in equilibrium: shrinking and growing cancel on average. Setting {eq}`eq-change` to zero gives
#
# $$
# \lVert\mathbf{i}\rVert^4 = P(i \in \mathcal{B})\, \frac{\eta^2 (1 - c^2)}{1 - (1 - \eta\lambda)^2} ,
# $$ (eq-rest)
#
# that is, at rest and for rare items, lengths grow as $d^{1/4}$ at equal $c$. Under $-\cos$ alone $c$ would go to 1, and growth would vanish. What keeps
# $1 - c^2$ up is that an item has several users, who differ, and that a loss pushes rows apart. Popularity orders the lengths, but not
# logarithmically. The paper reads a log-linear relation from trained models and from the theorem; the theorem gives another shape.
#
# With $\lambda = 0$ lengths that began alike are ordered by popularity too, says {eq}`eq-change`, and never rest. Under plain gradient descent the
# loss writes popularity; decay only sets where the lengths stop.
#
# Everyday batches break an assumption of the theorem, that an item meets at most one interaction per batch. [Without it](sec-several) the signs stay,
# and popularity is mostly written more strongly.
#
# ## Two corollaries
#
# :::{prf:corollary} decay of the batch alone; the paper's Corollary 1
# :label: cor-batched
#
# If decay acts only on the rows of the batch,
#
# $$
# \begin{aligned}
# &\mathbb{E}\bigl[\lVert\mathbf{i}'\rVert^2 - \lVert\mathbf{i}\rVert^2\bigr] = \\
# &\quad P(i \in \mathcal{B}) \Bigl[ \\
# &\qquad \bigl((1 - \eta\lambda)^2 - 1\bigr) \lVert\mathbf{i}\rVert^2 \\
# &\qquad + \frac{\eta^2 (1 - c^2)}{\lVert\mathbf{i}\rVert^2} \Bigr] .
# \end{aligned}
# $$ (eq-batched)
# :::
#
# The probability is now a common factor: it sets how fast the length moves, not where to. At equal $c$ the sign and the point of rest
# are the same for rare and popular items. (Section 4.1.1 of the paper says that the probability becomes one; its proof and
# this one keep it as a factor.)
#
# :::{prf:corollary} negatives; the paper's Corollary 2
# :label: cor-negatives
#
# Let a batch also have $n$ negatives for each positive, drawn uniformly from the items $I$, all distinct and independent of the
# positives, with loss $+\cos$. If an item meets at most one pair per batch, {eq}`eq-change` holds with
#
# $$
# \begin{aligned}
# P(i \in \mathcal{B}) &= 1 - \left(1 - \frac{|\mathcal{B}|}{|E|}\right)^{d_i} \\
# &\qquad\quad \times \left(1 - \frac{n|\mathcal{B}|}{|I|}\right) .
# \end{aligned}
# $$ (eq-negatives)
# :::
#
# As $n|\mathcal{B}|$ approaches $|I|$, the probability goes to one for every item, and popularity is lost from it. That needs distinct negatives. Those that
# are [drawn with replacement](sec-negatives), as in common code, reduce the signal and do not remove it. In a softmax the positive is pulled harder than the
# negatives, so the sizes of gradients carry popularity even then ([](twenty_lines.ipynb)).
#
# For losses that see lengths, such as BPR's, the growth [can take either sign](sec-lengths).
#
# ## PRISM
#
# PRISM, {eq}`eq-prism` (the paper's Equation 4), is a definition, not a theorem: each row keeps its direction and
# gets the length $\alpha \log(d + 2) + 1 - \alpha$. What follows from the above is what it does *not* touch.
#
# :::{prf:corollary} PRISM and angle-based losses
# :label: cor-prism
#
# The length of {eq}`eq-prism` is at least $\log 2$, also for rows with $d = 0$. An angle-based loss has the same value before and
# after. The gradient of a row is divided by the factor by which the row was stretched.
# :::
#
# So at the start of training PRISM changes the ranking by dot product and leaves the loss as it is. It also makes the rows of
# popular items turn more slowly under plain gradient descent.
#
# (sec-adam-race)=
# ## The theorem is for SGD, the experiments run Adam
#
# At $\eta = 10^{-3}$ and $\lambda = 10^{-6}$ the decay of {prf:ref}`thm-change` takes $10^{-9}$ of a row's length per step,
# $5 \cdot 10^{-5}$ in 50,000 steps. At this learning rate, which is Adam's, that cannot explain lengths which differ by factors. In
# float32, in which models train, it is less still: it is rounded away. Plain gradient descent trains a mean loss at a far larger
# learning rate, of which this says nothing.
#
# The paper does not name its optimiser. Its released code runs Adam {cite}`kingma2015adam` with coupled decay, and so does this book. There $\lambda \mathbf{i}$ is added to the gradient. Each coordinate of that sum,
# $k = 1, 2, \ldots$, is then divided by a root of its own, $\sqrt{v_k}$. The *second moment* $v_k$ is a running mean of the coordinate's
# square, over about a thousand steps. Out of the batch the gradient is $\lambda\mathbf{i}$ alone, so the
# step of each coordinate is about
#
# $$
# \frac{\eta\,\lambda\, i_k}{\sqrt{v_k} + \epsilon} ,
# $$ (eq-adam)
#
# and $v$ is small exactly for rare items, so they shrink fastest. For a row that is never in a batch, $\sqrt{v_k} = \lambda |i_k|$, and $\lambda$ cancels. The row
# goes to zero at speed $\eta$, however weak the decay, as long as $\lambda |i_k|$ is well above $\epsilon = 10^{-8}$. A row of 64 numbers
# and length 0.2 has $|i_k|$ near $0.2/\sqrt{64} = 0.025$. There $\lambda |i_k|$ is $2.5\,\epsilon$ at $\lambda = 10^{-6}$, so only above that decay is the speed full. [A cell of the next page](sec-adam)
# checks {eq}`eq-adam`.
#
# The division also bends the step. It is at a right angle to the row only on average, and where $\sqrt{v_k}$ is alike in all
# coordinates. Where it is not, a loss of angles can shorten a row:

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
first = {}
for name in ("SGD", "Adam"):
    table = torch.tensor([[1.0, 0.0], [0.96, 0.28], [0.6, 0.8]], dtype=float64).requires_grad_()
    optimizer = getattr(torch.optim, name)([table], lr=0.1)
    (-cosine_similarity(torch.tensor([0.8, 0.6], dtype=float64), table).sum()).backward()
    optimizer.step()
    first[name] = table.detach().norm(dim=1).numpy()
assert (first["SGD"] > 1).all() and first["Adam"][0] > 1 and (first["Adam"][1:] < 1).all()
pd.DataFrame(first, index=["(1, 0)", "(0.96, 0.28)", "(0.6, 0.8)"]).T.map("{:.4f}".format)

# %% [markdown]
# *SGD lengthens all three rows, Adam one of them. Lengths after the first step without decay; each row had length 1 and met the user (0.8, 0.6).*
#
# Now a race of the two. 100 rows of 64 numbers, in groups that are in no batch, in one of 1,000, of 100, of 10, and in every
# second one. Gradients are the theorem's divided by 4,096, a mean over the batch, with users scattered around
# a fixed direction for each row. SGD and Adam see the same users, 2,000 steps at $\eta = 10^{-3}$.

# %% mystnb={"code_prompt_show": "Checked. Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
def length_ratios(decays, shares, steps=2000, rows_each=20, dim=64, batch=4096):
    """Length after / before, mean over the rows of each share: one column per optimiser and decay."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.tensor(shares, dtype=float64).repeat_interleave(rows_each)[:, None]
    start = torch.empty(len(share), dim, dtype=float64)
    torch.nn.init.xavier_uniform_(start, generator=generator)
    taste = normalize(torch.randn(start.shape, dtype=float64, generator=generator), dim=1)
    tables = {(name, decay): start.clone().requires_grad_() for name in ("SGD", "Adam") for decay in decays}
    optimizers = [
        getattr(torch.optim, name)([table], lr=1e-3, weight_decay=decay) for (name, decay), table in tables.items()
    ]
    for _ in range(steps):
        user = normalize(taste + normalize(torch.randn(start.shape, dtype=float64, generator=generator), dim=1), dim=1)
        user *= torch.rand(share.shape, dtype=float64, generator=generator) < share  # zero: not in the batch
        for table in tables.values():
            row = table.detach()
            norm = row.norm(dim=1, keepdim=True).clamp(min=1e-30)
            table.grad = -(user - (user * row).sum(1, keepdim=True) * row / norm**2) / norm / batch
        for optimizer in optimizers:
            optimizer.step()
    after = {key: table.detach().norm(dim=1) / start.norm(dim=1) for key, table in tables.items()}
    means = {key: ratio.view(-1, rows_each).mean(1) for key, ratio in after.items()}
    return pd.DataFrame(means, index=pd.Index(shares, name="share"))


decays = [0.0, 1e-6, 1e-5, 1e-4]
ratios = length_ratios(decays, shares=[0.0, 0.001, 0.01, 0.1, 0.5])
sgd, adam = ratios["SGD"], ratios["Adam"]
assert np.allclose(sgd.loc[0.0], [(1 - 1e-3 * decay) ** 2000 for decay in decays], rtol=1e-9, atol=0)
assert (sgd - 1).abs().max().max() < 1e-3  # SGD: nothing to be seen, for any share and decay
assert (adam.loc[0.0, decays[1:]] < 0.01).all() and adam.loc[0.0, 0.0] == 1  # Adam: never in a batch is gone
for decay in (1e-6, 1e-5):
    assert adam[decay].is_monotonic_increasing and adam.loc[0.5, decay] > 1.5 * adam.loc[0.001, decay]
assert adam.loc[0.001, 1e-4] > adam.loc[0.01, 1e-4] < adam.loc[0.5, 1e-4]  # met seldom, thrown far
assert adam[0.0].min() < 1 < adam[0.0].max()  # without decay Adam shortens some rows, and lengthens others

# %% mystnb={"image": {"alt": "Two panels of length after training over length before, by how often a row is in a batch, one curve per weight decay. SGD: all curves lie flat at one. Adam: without decay flat near one; with decay rows that are never in a batch are at zero and lengths rise with the share"}} tags=["remove-input", "nbval-ignore-output"]
theory_figures.lengths_by_share(ratios)
plt.show()

# %% [markdown]
# *Left, SGD at Adam's learning rate: decay does nothing that can be seen. Right, Adam: the weaker decays write popularity into the
# lengths.* Under the strongest decay the rarest rows that are met end longer than the next ones. They are met seldom, and each
# time [thrown far](law_of_lengths.ipynb), beside what decay has left of them. Without decay some of Adam's rows end below one: its step is not at a right angle.
#
# The mechanism of the theorem, decay everywhere and gradients in the batch, is there in both. At this learning rate its size comes
# from Adam, which divides by what is small for rare items. The race says nothing of SGD at a rate at which it trains. What optimisers
# write at rates at which they train is [measured on another page](optimisers.ipynb).
#
# ## The theory map
#
# The paper's Figure 7 draws {eq}`eq-change` over popularity and batch size. We do not
# know the values that it holds fixed. Ours are a row of length 1, the training's learning rate, a decay from the tuned range, and a cosine in the middle.

# %% mystnb={"image": {"alt": "Map of the expected change of squared length by degree, horizontal, and batch share, vertical, both logarithmic. Blue, shrinking, lower left where items are rare and batches small; orange, growing, upper right; a black line from upper left to lower right parts them"}} tags=["nbval-ignore-output"]
settings = {"eta": 1e-3, "decay": 1e-4, "cosine": 0.5}
theory_figures.theory_map(**settings)
plt.show()

# %% [markdown]
# *Blue rows shrink, orange rows grow, on the black line they rest.* Below, the same map to move: the sliders set what is
# fixed above, pointing at the map reads a value. A strong decay pushes the black line up and to the right until only
# the most popular items grow. A loss that is a mean over the batch has $\eta^2/|\mathcal{B}|^2$ in the growing term, and the line is then far out at any usual decay.

# %% tags=["remove-input"]
display(HTML(theory_figures.theory_map_widget(**settings)))
