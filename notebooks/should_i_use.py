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
# # Should I use PRISM?
#
# If your loss compares dot products, as BPR does, PRISM is not for you: such a loss learns lengths by itself (tune its decay
# instead, see below). Read on if your loss normalises its vectors or compares cosines, and you rank by the dot
# product. Where you serve by cosine, lengths do nothing.
#
# Each row is what you train with, each column is what you could do instead:

# %% tags=["parameters", "remove-input"]
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
import pandas as pd

from prismbook.pages import advice, advice_numbers, page, parameters, prism_limits, should_i_use
from prismbook.tables import ways

parameters.check(globals(), "results")
page.begin()
known = advice_numbers.known(results)
compared, put_on = known.compared, known.scored()

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(should_i_use.at_a_glance(known).to_html(index=False, border=0, escape=False, justify="left"))

# %% [markdown]
# *The change of NDCG@20 from the row to the column, and after × by what the unpopular / popular ratio is multiplied: below 1, unpopular items lose. Ranges are over
# the datasets on which both were run, whose number is in the third line. A gain may be too small to count by the [rules](verdicts.ipynb). Lengths at scoring are those of a training without decay
# that stops by them. The same in the order in which to try it, by dataset:*

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(advice.answer(known))

# %% tags=["remove-input", "nbval-ignore-output"]
sure = advice.how_sure(compared, "in the tables below")
page.say(f"{sure} All runs are matrix factorisation, offline.")

# %% [markdown]
# Lengths at scoring have a number that was chosen on validation, as tuned decay has; PRISM has none. A word on them, such as *better*, is approximate: how much
# users vary is not known for them, and is taken from another comparison, PRISM against a decay of 1e-6.
#
# ## No decay today? What you can change
#
# The numbers of this section are of DirectAU.

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(should_i_use.where_popularity_goes(compared))

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(should_i_use.what_one_changes(compared, put_on))

# %% [markdown]
# *Test NDCG@20 with the number of seeds, below it the unpopular / popular ratio and the best epoch. The lower the ratio, the less for unpopular
# items: it is the part of NDCG@20 from the least popular 80 % of the items over that from the most popular 5 %.*

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(should_i_use.other_decays(compared))

# %% [markdown]
# At another learning rate another decay does the same, by the [law of lengths](law_of_lengths.ipynb): rate and decay are one knob, $\eta^2 \lambda$. At ten times
# the rate take a hundredth of the decay. A loss that is multiplied by $c$ takes $c$ times the decay, for Adam sees nothing but their proportion. So a sum over a
# batch of 4,096 takes 4,096 times the decay of a mean. By the law, lengths stay as they are when a batch of four times the size gets half
# the decay; no run tests that. SSM is outside the law.
#
# **Lengths at scoring** change no step of a training. These are four lines after the training. `user` and `item` are its tables, as tensors, and `popularity` counts
# each item's training interactions. `train` and `held_out` are two `prismlib.Interactions(user_ids, item_ids)`. Where users come back to the same items,
# take the pairs of `train` out of `held_out` first: `FullRanking` refuses an overlap.
#
# ```python
# from prismlib import FullRanking, popularity_groups
# from prismlib.lengths import choose_exponent, popularity_power, with_lengths
#
# validation = FullRanking(held_out, train, popularity_groups(popularity), num_users=len(user))
# b = choose_exponent(user, item, popularity, validation)
# item = with_lengths(item, popularity_power(popularity, b))  # rank by the dot product with these
# ```
#
# Where $b$ is the last value that was tried, try larger ones (`exponents=`). It gives each item the length $\max(d, 1)^b$. [](optimisers.ipynb) has the whole curve.
#
# **To stop by them too**, rank each validation with such lengths. The stored runs use $b = 1/4$ for that, and choose $b$ after training:
#
# ```python
# from prismlib import fit
# from prismlib.lengths import popularity_power
#
# fit(model, loss, train, validation, lengths=popularity_power(popularity, 1 / 4))
# ```
#
# In your own loop, rank each validation with `with_lengths(item, popularity_power(popularity, 1 / 4))` in place of `item`.
#
# Without this package it is NumPy (`import numpy as np`), with your own
# evaluation of a user and an item table on validation as `my_ndcg`. It must rank by the dot product: by cosine every $b$ gives one score.
#
# ```python
# directions = item / np.maximum(np.linalg.norm(item, axis=1, keepdims=True), 1e-12)
# lengths = np.maximum(popularity, 1.0)[:, None]  # arrays: item (items, d), popularity (items,)
# tried = (0, 1/12, 1/6, 1/5, 1/4, 1/3, 5/12, 1/2)
# b = max(tried, key=lambda b: my_ndcg(user, directions * lengths**b))
# item = directions * lengths**b
# ```
#
# **Mind** that offline numbers favour what is popular, and with them the $b$ that validation chooses. Look at the unpopular / popular ratio too, and where
# unpopular items matter take a smaller $b$.
#
# ## What else changes with PRISM
#
# With DirectAU, at alpha = 1, against three decays:

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(should_i_use.price(compared))

# %% [markdown]
# *Changes from that decay to PRISM, at the seeds that both have; their number is in brackets. Ratios and epochs are compared in logs, so over several
# seeds a change is that of the geometric means. A lower ratio is less for unpopular items, and a later best epoch is a
# longer training. A [word](../glossary.md) stands where a change is neither better nor worse nor equivalent by the [rules of this book](verdicts.ipynb).*

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(should_i_use.plain_sgd(compared))

# %% [markdown]
# For other tables and batches, `lr = max(untuned_sgd_rate(table, batch_size) for table in (user, item))` with
# {py:func}`prismlib.optim.untuned_sgd_rate <prismlib.optim.untuned_sgd_rate>` and the tables at their start. [](optimisers.ipynb) has what other rates gave.

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(should_i_use.rates_by_the_rule(compared))

# %% [markdown]
# ## When PRISM can help
#
# If all of these hold, PRISM helps a training that has no decay. The list above has what to try before it.
#
# - Your loss compares by angle, as DirectAU and MAWU do. With SSM, a softmax of cosines, see the answer above.
# - You rank by the dot product, so lengths count when you serve.
# - The score comes straight from the tables, with no layers in between.
# - You train with Adam and without coupled decay. The default of `torch.optim.Adam` is none. AdamW's decay writes no popularity, so it counts as none. PRISM
#   beside it was not run: set it to 0 (`torch.optim.AdamW` defaults to 0.01).
#
# ## When not
#
# If one of these holds:
#
# - Your loss sees lengths, as BPR and every loss of dot products does. It learns them by itself, and PRISM's start is in its way.
# - Adam already has a small coupled decay, `torch.optim.Adam(..., lr=1e-3, weight_decay=1e-5)`. It writes popularity too, at the cost of one
#   number to choose. [Lengths at scoring](optimisers.ipynb) need no decay beside them.
# - You train with plain SGD at a rate at which it learns. It writes popularity by itself ([](optimisers.ipynb)).
# - You train with row-wise Adagrad or lazy Adam, as large systems do: see *Another optimiser?* below.
# - You serve by cosine, or normalise the rows. Then lengths are gone, and PRISM with them.
# - A graph makes the vectors that are ranked. It writes some popularity by itself ([](use_prism.ipynb), on generated data). On Gowalla a decay still adds to it ([](lightgcn.ipynb)); PRISM was not run there.
# - Layers follow the tables. In the paper PRISM then fails for SSM (its Table 1). Here the answer depends on how the layers are made and trained: see *Layers?*
#   below.
# - You want unpopular items recommended more. Against no decay PRISM takes from them, less with a small alpha. Against tuned decay see the table above.

# %% tags=["remove-input", "nbval-ignore-output"]
other = prism_limits.stored_of_sparse_optimisers(results)
page.say(f"**Another optimiser?** All of it with DirectAU and without decay. {other}")
page.say("[](scale.ipynb) has both with BPR and SSM from PRISM's start, over a few epochs.")

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(f"**Layers?** {prism_limits.lengths_behind_layers(results) or 'Lengths at scoring were not run there.'}")
page.say(
    f"PRISM depends on the layers. {prism_limits.stored_behind_layers(results)} The two differ in more than the ReLU:"
    " [](found.ipynb) says in what. [](rq3_prism.ipynb) has the seeds, and what is open."
)

# %% [markdown]
# ## What it costs

# %% tags=["remove-input", "nbval-ignore-output"]
time = prism_limits.epochs_and_time(compared)
page.say("PRISM sets two tables once, before training. Longer rows then turn more slowly.")
page.say(
    f"{time} The time is that of whole runs, patience included, where both ran on one kind of machine. Machines had"
    " other work, so that a ratio of times is rough."
)
page.say(prism_limits.of_an_index(page.source_tree() / "benchmarks"))

# %% [markdown]
# - A learning rate that was tuned without PRISM is to be tuned again.
# - Unpopular items are recommended less than without decay: the ratio in the first table above.
#
# ## What to check
#
# - **The learning rate.** Longer rows turn more slowly, so tune it again ([](rq4_benefits.ipynb) has two).
# - **The patience.** A run can look dead for many epochs before it learns. DirectAU and MAWU were fine at a patience of 10 here. BPR stopped at its start at 10
#   and learned at 100. SSM rose for a few epochs on Gowalla, fell, and rose again ([](rq3_patience.ipynb)). Take 100 where the best epoch is among the first 20.
# - **The norms.** Before training they must be those of {py:func}`~prismlib.init.prism_norm`. After training their correlation with $\log(d + 2)$
#   must still be near 1 ({py:func}`~prismlib.norms.norm_summary`); below 0.9 something has undone PRISM. Adam without PRISM and without decay has some too, without a slope
#   ([](optimisers.ipynb)).
# - **Lengths at scoring.** Is $b$ the last value that was tried? Try larger ones. Look at the ratio, and at the share of the places that each group
#   gets, at two or three $b$. Ask an index for its recall again: with a large $b$ these lengths spread wider than PRISM's. Choose $b$ again with a new
#   training. New counts alone need no new $b$: if all counts grow by one factor, no list changes, items without interactions aside.
# - **The result**, user by user: see *Did it help?* below.
#
# ## What companies ask
#
# - *Two towers, or a normalised output?* What follows the tables can undo the lengths: set the length of the output
#   ([recipes](../recipes.md)).
# - *An index by cosine?* It undoes PRISM. **Serve by dot product** ([serving](../serving.md) has what each index does).
# - *InfoNCE, a softmax over the batch?* Over cosines it is nearest to SSM here, which has 10 negatives drawn uniformly and a temperature of 0.2. Try lengths at
#   scoring first, then a training that stops by them. A decay of the tables writes no lengths into outputs of length one. No run here has negatives from the batch. Over dot products it sees lengths, as BPR does.
# - *In-batch negatives, or a sampled softmax?* Negatives drawn by popularity push popular items down; logQ correction undoes that. Lengths lift
#   popular items: they work against such negatives, and add to what logQ correction gives back. Neither was measured. Train as you do, and
#   choose $b$ on validation.
# - *Items alone, or users too?* Both, as in the runs of this book. Items carry the ranking. A user's own length changes no list, but it does change how fast the user's vector
#   turns.
# - *Warm start from last week's table?* Do not call `prism_` on rows that this model has trained: it would delete what they learned. New rows get a length of their own
#   ([](use_prism.ipynb), "New items later?").
# - *Streaming data?* Count in the window that training reads ([recipes](../recipes.md), "Counts that grow").
#
# ## The numbers

# %% mystnb={"image": {"alt": "Per dataset a panel with one line per loss: NDCG@20 of no decay, decay 1e-6, PRISM, plain SGD and lengths at scoring, relative to tuned decay. Without decay DirectAU and MAWU lose most; PRISM lies near tuned decay except for BPR", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
pairs = [(each.dataset, each.loss) for each in compared]
at_scoring = {(name, loss): ways.scored_with_lengths(name, results, loss) for name, loss in pairs}
should_i_use.figure(compared, "ndcg", at_scoring)
plt.show()

# %% [markdown]
# *Without decay, DirectAU and MAWU lose much NDCG@20. PRISM takes them back to where decay takes them. Each mark is relative to tuned
# decay, with its 95 % interval over users and seeds; the grey band is 2.5 %. Lengths at scoring are those of trainings without decay that also
# stop by them, drawn without an interval. "Open" is a loss whose tuned decay decides nothing. A run that [decides nothing](verdicts.ipynb) is not drawn.*

# %% mystnb={"image": {"alt": "Per dataset a panel with one line per loss: the unpopular/popular ratio of no decay, decay 1e-6, PRISM, plain SGD and lengths at scoring, in multiples of tuned decay's. Without decay it is highest; PRISM is at tuned decay's or below, except for BPR", "classes": "narrow"}} tags=["remove-input", "nbval-ignore-output"]
should_i_use.figure(compared, "ratio", at_scoring)
plt.show()

# %% [markdown]
# *With DirectAU and MAWU no decay is by far the fairest: what decay and PRISM gain in NDCG@20, unpopular items pay for. The same runs;
# the ratio is in multiples of tuned decay's.*
#
# **DirectAU**

# %% tags=["remove-input", "nbval-ignore-output"]
page.html(should_i_use.table(known.of("directau")))

# %% tags=["remove-input", "nbval-ignore-output"]
for loss, title in (("ssm", "SSM"), ("mawu", "MAWU"), ("bpr", "BPR")):
    page.html(f"<details><summary>{title}</summary>{should_i_use.table(known.of(loss))}</details>")

# %% [markdown]
# *Test NDCG@20, its part from unpopular items divided by that from popular ones (ratio), and the best epoch: means over the
# seeds that decide something. RQ1 takes the mean over all, also where some were cut off. Below
# them is PRISM minus that way, with its [word](../glossary.md) by the [rules of this book](verdicts.ipynb) and both scores at the seeds that both have. A
# run with patience 100 takes the place of one that patience 10 ended in a dip. The learning rate is 1e-3 (plain SGD: 30). The loss's
# parameters are those published or tuned for the dataset, the same for every way. Tuned decay is the choice of
# [RQ3's search](rq3_prism.ipynb). Where that decides nothing, it is the best of 1e-8 to 1e-4 by validation.
# RQ1 chooses at the first seed alone, this search at all seeds where it can: of MAWU they can choose two decays.*
#
# ## Did it help?
#
# Train each way with two or three seeds (the cell has one), make the lists for the same held-out interactions, and compare them user by user.
# {py:func}`~prismlib.comparison.compare` says by how much, with 95 % intervals over users. The example compares no decay with PRISM, and with
# lengths at scoring, which need no second training. It runs on **synthetic data** and is no evidence for either: put your own split, model and
# loss in its place.

# %% tags=["did-it-help", "nbval-ignore-output"]
import torch

from prismlib import MF, DirectAU, FullRanking, fit, popularity_groups, prism_, random_split, synthetic
from prismlib.comparison import compare
from prismlib.lengths import choose_exponent, popularity_power
from prismlib.serving import recommend

split = random_split(synthetic(600, 500, 20_000), seed=123)
num_users, num_items = split.dataset.num_users, split.dataset.num_items
popularity = split.item_popularity
validation = FullRanking(split.validation, split.train, popularity_groups(popularity), num_users)


def train(prism):
    model = MF(num_users, num_items, 32, torch.Generator().manual_seed(0))
    if prism:
        prism_(model.user.weight, split.user_popularity)
        prism_(model.item.weight, popularity)
    how = {"lr": 0.02, "batch_size": 512, "max_epochs": 20, "seed": 0}
    fit(model, DirectAU(gamma=1.0), split.train, validation, **how)
    return model


def lists(model, **options):
    return recommend(model, range(num_users), [split.train, split.validation], k=20, **options)


plain = train(prism=False)
tables = plain.user.weight.detach(), plain.item.weight.detach()
b = choose_exponent(*tables, popularity, validation, exponents=(0, 1 / 4, 1 / 2, 3 / 4, 1, 5 / 4, 3 / 2))
changed = {
    "PRISM": lists(train(prism=True)),
    f"lengths d^{b:.2f} at scoring": lists(plain, length=popularity_power(popularity, b)),
}
for name, after in changed.items():
    draws = torch.Generator().manual_seed(0)
    print(f"{name}:\n{compare(lists(plain), after, split.test, popularity, generator=draws)}\n")

# %% [markdown]
# Here $b$ is the last value that was tried: on data of your own, try larger ones. Read each from the top. *NDCG@20* is what changes overall. The lines below it say whom the change serves; they sum to the first. An
# interval that leaves out zero says that other users would very likely show the same sign. It does not say what another training run
# would give: run the comparison at each seed. Go on to a test on live users only if the interval lies above zero at every seed. The change should also be
# large enough to be worth the trouble; this book asks for 2.5 %.
#
# Offline numbers favour what is popular, since popular items have far more than their share of held-out interactions. So ship only after that test. Without this package,
# the [recipes](../recipes.md) have the same comparison in NumPy. Every stored run, by quality and fairness, is a point on the page of [the frontier](frontier.ipynb).
#
# ## What would change our mind
#
# - A test for those who tune nothing: PRISM has no number to choose, and a decay can be chosen too strong. That may be its real use.
# - PRISM that is tuned with SSM, MAWU and BPR: alpha was left at 1 and the learning rate as it is, while decay was tuned. For DirectAU
#   [other strengths and a second rate](rq4_benefits.ipynb) were run.
# - Live tests, or splits by time. Nothing here speaks of them.
#
# ## What was not measured
#
# AmazonBook; what the tables show as *not run*; two towers; in-batch negatives; logQ correction; splits by time; live users.
#
# ## Where the numbers come from

# %% tags=["remove-input", "nbval-ignore-output"]
of_the_ways = [runs for each in compared for runs in (*each.runs.values(), each.decays)]
behind = pd.concat([*of_the_ways, *(ways.of_the_law(dataset, results) for dataset in ways.DATASETS)], ignore_index=True)
behind = behind.drop_duplicates(["path"])
experiments = ("rq1", "rq1-losses", "rq4", "table1", "law")
commands = [
    f"python -m prismbook sweep run {name} --dataset {dataset}" for dataset in ways.DATASETS for name in experiments
]
page.origin(behind, "\n".join(commands))
