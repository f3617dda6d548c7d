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
# # Do you need weight decay, or another optimiser?
#
# *This project's question and not the paper's. It follows from [the law of lengths](law_of_lengths.ipynb).*
#
# With DirectAU you need neither, so far as it was run. Adam without decay needs only lengths $d^b$ at scoring, with $b$ chosen on validation, and to stop by such lengths. Other trainings with $d^b$ can rank as high or higher, mostly at one seed. By how much trainings still differ once all have such lengths stands under *Lengths as a knob after training*. Unpopular items pay for that, as they do for decay and for plain SGD. [](should_i_use.ipynb) has the order in which to try.

# %% tags=["parameters", "remove-input"]
dataset = ["movielens1m", "gowalla", "yelp2018"]  # a published one, or a list of names
results = None  # folder of run records; None is the project's own

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
import pandas as pd

from prismbook.pages import (
    advice_numbers,
    law_figures,
    optimiser_tables,
    page,
    parameters,
    prism_limits,
    question,
    unseen_dataset,
)
from prismbook.plan.experiments import SEEDS, as_list
from prismbook.runs.records import default_results
from prismbook.tables import analysis, lengths, ways
from prismbook.tables.labels import dataset_name

parameters.check(globals(), "dataset", "results")
names = as_list(dataset)
page.begin(names)
folder = results or default_results()
runs, records = {}, {}
for name in names:
    table = analysis.measured(folder, optimiser_tables.trainings(name))
    runs[name] = table[table["run"].notna() | (table["seed"] == SEEDS[0])].reset_index(drop=True)
    records[name] = [record for record in analysis.records(runs[name]) if record is not None]
page.say("**What that training gives, against tuned decay and against PRISM:**")
page.say(optimiser_tables.beside_both(advice_numbers.known(results), names) or "Not run.")
page.say(optimiser_tables.found(records))

# %% [markdown]
# Adam divides each coordinate of a step by the root of its own mean squared gradient, and so takes popularity out of the lengths. Weight decay puts it back. Plain
# gradient descent divides nothing: it writes popularity by itself. If that is so, the question is not only *how much decay*. It is *which
# optimiser*, or whether lengths should be chosen at all after training.
#
# Of the others, *lazy Adam* (`sparse_adam`) takes Adam's step only for rows of the batch. It is not *Adam on the batch's rows* (`row_adam`), which trains what Adam trains. *Row-wise Adagrad* divides the step of a row by the root of
# the sum of its squared gradients. That is one number per row, and large systems use it. *SGD with momentum* has one of 0.9.
#
# A learning rate of 30 looks large. The loss is a mean over the batch, so a row's gradient is divided by the size of the batch.
#
# Beware of the easy headline "use SGD". Under DirectAU and MAWU, SGD writes the fourth root of popularity once it has forgotten the start, and which
# exponent ranks best differs between datasets. At its own lengths SGD is also less fair.
#
# **We tested:** DirectAU on matrix factorisation, from the same Xavier tables, with other optimisers and without decay; SSM, MAWU and BPR with plain
# SGD. What of the plan is not run yet says so.
#
# ## Run this yourself
#
# ```bash
# python -m prismbook sweep run law --dataset movielens1m
# ```

# %% tags=["remove-input"]
page.say(f"The stored runs took, one after the other: {question.minutes(runs)}.")

# %% [markdown]
# ## Watch it happen
#
# This cell runs by itself, in about ten seconds, on synthetic data. Neither training has decay.

# %% tags=["plain-prismlib"]
import torch

from prismlib import MF, DirectAU, FullRanking, fit, popularity_groups, random_split, synthetic

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
popularity = torch.as_tensor(split.item_popularity)
for optimizer, lr in (("adam", 0.01), ("sgd", 30.0)):
    model = MF(*sizes, dim=64, generator=torch.Generator().manual_seed(123))
    how = {"optimizer": optimizer, "lr": lr, "batch_size": 1024, "max_epochs": 6, "seed": 123}
    history = fit(model, DirectAU(gamma=1.0), split.train, validation, **how)
    lengths_of_items = model.item.weight.detach().norm(dim=1)
    correlation = torch.corrcoef(torch.stack([lengths_of_items, torch.log(popularity + 2.0)]))[0, 1]
    often = popularity >= 4  # the slope is over these, as in the table below
    both = torch.cov(torch.log(torch.stack([popularity, lengths_of_items])[:, often]))
    slope = both[0, 1] / both[0, 0]
    best = history.validation_dot[history.best_epoch]
    print(f"{optimizer}: validation NDCG@20 {best:.3f}")
    print(f"  length and log popularity: correlation {correlation:.2f}, slope of log length {slope:.2f}")

# %% [markdown]
# ## What each optimiser writes

# %% tags=["remove-input"]
optimiser_tables.predictions(records)

# %% [markdown]
# *The second column is what the law says. A training that was run on none of these datasets is in
# the whole plan below. The others
# are the slopes of the log length of items in their log popularity, with the number of runs in brackets. A class of popularity counts by its
# rows here, and once in [the law's regression](law_of_lengths.ipynb), so that the two exponents need not agree.*

# %% tags=["remove-input"]
page.say(optimiser_tables.wrote(records))

# %% [markdown]
# **One prediction was wrong.** We expected row-wise Adagrad to write $\log d$ and so to be PRISM for nothing. What goes with $\log d$ is the
# *squared* length ({func}`~prismlib.theory.length_rowwise_adagrad`). So its lengths are flatter than PRISM's. The table
# below has what it ranks like. Lazy Adam's curve is bent, down and then up: one slope does not describe it.

# %% mystnb={"image": {"alt": "Mean length of items against popularity, a panel per dataset, four curves: plain SGD without decay rises most steeply where it was run, Adam without decay is flat, Adam with decay and PRISM lie between"}} tags=["remove-input", "nbval-ignore-output"]
one_seed = {
    name: {
        lengths.training_name(record["config"]): record
        for record in reversed(records[name])
        if record["config"]["seed"] == 123 and record["config"].get("length_exponent") is None
    }
    for name in names
}
first = ("plain SGD, no decay", "Adam, no decay", "Adam, decay 1e-05", "PRISM")
main = {name: {way: shown[way] for way in first if way in shown} for name, shown in one_seed.items()}
law_figures.lengths_by_optimiser({name: shown for name, shown in main.items() if shown})
plt.show()

# %% tags=["remove-input"]
page.say(optimiser_tables.four_curves(main))

# %% [markdown]
# The other optimisers:

# %% mystnb={"image": {"alt": "Mean length of items against popularity for the other optimisers, a panel per dataset on which one was run"}} tags=["remove-input", "nbval-ignore-output"]
rest = {name: {way: run for way, run in shown.items() if way not in first} for name, shown in one_seed.items()}
if any(rest.values()):
    law_figures.lengths_by_optimiser({name: shown for name, shown in rest.items() if shown})
    plt.show()

# %% [markdown]
# *Look for curves without a slope: AdamW's are flat, and row-wise Adagrad's rise a little. The longest rows are those of a learning rate of 0.01 and of PRISM by plain SGD. One run per optimiser at seed 123; dotted lines have the slopes of
# the law. A dataset without such a run has no panel.*
#
# ## What it is worth

# %% tags=["remove-input"]
for name in (each for each in names if records[each]):
    worth = optimiser_tables.ways(records[name])
    worth.index = pd.Index([f"{training}, rate {rate}" for training, rate in worth.index], name="trained with")
    table = worth.reset_index().to_html(border=0, classes="dataframe", index=False)
    page.html(f"<p><b>{dataset_name(name)}</b></p><div style='overflow-x: auto'>{table}</div>")

# %% [markdown]
# *Test NDCG@20, the unpopular / popular ratio and the best epoch, means over the seeds that were run. An arrow leads from the lengths that training
# left to $d^b$ at scoring, with the exponent $b$ that validation chooses. Names with "by d^b" were validated in that way while they trained.*
#
# ## Other losses
#
# Plain SGD has DirectAU's learning rate here, which was not searched for again.

# %% tags=["remove-input"]
pairs = [(name, loss) for name in names for loss in ("ssm", "mawu", "bpr")]
knob = {(name, loss): ways.scored_with_lengths(name, folder, loss) for name, loss in pairs}
others = optimiser_tables.other_losses([ways.compared(*pair, folder) for pair in pairs], knob)
page.say(optimiser_tables.by_the_law(others))
page.html(f"<div style='overflow-x: auto'>{others.to_html(border=0)}</div>")

# %% [markdown]
# *Test NDCG@20, seeds in brackets. "With d^b" is the score with lengths $d^b$ at scoring and the $b$ that validation chooses. Of
# Adam it is a training without decay that was validated in that way. The last column is the slope of SGD's own log lengths in log popularity. A loss that was run in neither way on a dataset has no row there.*
#
# ## Lengths as a knob after training
#
# If trainings differ in lengths and not in directions, one training is enough. Its items get lengths $d^b$ when they are scored, and $b$ is chosen on
# validation. Users' lengths change no ranking. Popularity to a power at inference is known {cite}`zhang2021pda`; that it does
# what decay and PRISM do is what these curves test. {func}`prismlib.lengths.choose_exponent` does it, for any model with an item table.

# %% mystnb={"image": {"alt": "NDCG@20 against its part from unpopular items, two panels per dataset, the second enlarged around the rings: one curve per training over the exponents with a ring at the one that validation chooses, and a point for each stored run with decay or PRISM"}} tags=["remove-input", "nbval-ignore-output"]
shown = {}
for name in names:
    curves = {}
    for record in records[name]:
        if "lengths" in record:
            curves.setdefault(lengths.training_and_validation(record["config"]), []).append(record)
    if curves:
        shown[name] = curves, records[name]
if shown:
    law_figures.frontier(shown)
    plt.show()

# %% [markdown]
# *Where several trainings were run, their curves lie near each other, and most points of decay and PRISM lie on or below them. A ring is the exponent $b$ that validation
# chooses; the panels at the right enlarge the part around the rings. Each curve is one training scored at every exponent, from $b = 0$ at the right to the largest at the left, the mean
# over its seeds and learning rates. Its mark is where its own lengths put it. Dashed: stopped by $d^b$. Large grey marks: runs with Adam's decay, and with PRISM, at their own lengths. Fairness is NDCG@20 from unpopular items here, and a ratio in the tables.*
#
# At PRISM's own ratio, so as fair as it is, trainings without decay have this NDCG@20. **Here** $b$ **is read off the test curve, between the two
# exponents whose test ratios have PRISM's between them.** It could not be chosen so in practice, and nothing is chosen by it.

# %% tags=["remove-input"]
page.say(optimiser_tables.at_the_ratio_of_prism(records) or "Not run.")
page.say(optimiser_tables.spread_of_the_knob(records))
page.say(prism_limits.lengths_behind_layers(folder))

# %% [markdown]
# ## A dataset that the law has not seen
#
# The law was made with the three datasets above. AmazonCDs was in none of it, nor is it in the paper. These predictions and their margins were written
# down before its first run was stored:

# %% tags=["remove-input"]
tested = unseen_dataset.table(results=results)
page.say(unseen_dataset.in_words(tested))
page.html(f"<div style='overflow-x: auto'>{tested.to_html(border=0)}</div>")
unseen = unseen_dataset.runs(results=results)
if unseen:
    worth = optimiser_tables.ways(unseen)
    worth.index = pd.Index([f"{training}, rate {rate}" for training, rate in worth.index], name="trained with")
    page.html(f"<div style='overflow-x: auto'>{worth.reset_index().to_html(border=0, index=False)}</div>")
page.say(unseen_dataset.by_time_to_rest(results=results) or "Where lengths are off was not looked at.")

# %% [markdown]
# *The second table has all its runs, in the columns of* What it is worth *above. Runs of DirectAU on matrix factorisation, one seed each, at its plain* $\gamma$ *of 1, which was not tuned there. A score stands with its change and its
# [word](verdicts.ipynb), and the last column follows from that word. Words on lengths at scoring borrow how users vary
# from another comparison.*
#
# **What would change our mind.** SGD's lengths without a slope; a curve that lies clearly above another, which would mean better directions; a dataset on
# which no exponent reaches tuned decay.
#
# **What we did not measure here.** What the tables call *not run*. The whole plan, training by training:

# %% tags=["remove-input"]
planned = optimiser_tables.plan(names, folder)
page.html(
    f"<details class='folded'><summary>All {len(planned)} trainings of the plan, and which are stored</summary>"
    f"<div style='overflow-x: auto'>{planned.to_html(border=0)}</div></details>"
)

# %% [markdown]
# *Test NDCG@20 → with lengths at scoring, seeds in brackets.*
#
# **Your turn.** In the cell above: divide SGD's rate by 100. Predict first: how steep are its lengths after these six epochs?
#
# ```{dropdown} The answer
# Flat, as at the start. By the law the time until a start is forgotten goes with one over the square of the rate, so that it is
# 10,000 times as long.
# ```
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
tables = {name: optimiser_tables.ways(records[name]) for name in names if records[name]}
redo = {name: f"python -m prismbook sweep run law --dataset {name}" for name in names}
page.html(question.origins(tables, runs, redo))
