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
# # RQ3: can we write it directly?
#
# If decay only writes log popularity into lengths, it can be written at the start and decay left away: PRISM, with
# strength $\alpha = 1$ and nothing to tune but the learning rate and what the loss itself needs. The paper's Table 1
# {cite}`loveland2025weightdecay` compares it with tuned weight decay. Both are searched here in the same way: validation
# NDCG@20 chooses, the test set is seen once. At each of two learning rates, 1e-3 and 1e-2, the lean budget searches one parameter at a
# time: the loss's own at decay 1e-4 (PRISM without decay), and decay at the loss's own parameter as published for the dataset or,
# where none is, as chosen so on the same backbone; where validation chose another own parameter for PRISM, decay is searched at
# that one too. A grid goes on by itself where its best is at an edge, and the two best are run at all seeds before one of them is
# chosen. A learning rate takes part where both methods were run at all of their grids with it; until then the verdict says that
# it was not tuned. A run that early stopping ends with a best epoch below 20 gives its place to a twin with patience 100,
# once that is run, and the row says so.
#
# | claim | in our words | the paper's figure |
# |---|---|---|
# | C8 | on linear MF, PRISM without decay matches tuned decay | mean change 0.12 %, largest gain 4.77 % |
# | C9 | on non-linear MF with DirectAU and MAWU, PRISM beats it | mean +8.59 % |
# | C10 | on non-linear MF with SSM, PRISM falls short of it | mean -21.61 % |
# | C17 | because SSM with a perceptron washes PRISM's lengths out, and DirectAU keeps them | an explanation, not measured |

# %% tags=["parameters"]
dataset = "synthetic"
backbones = ["mf", "nonlinear-mf"]
losses = ["bpr", "ssm", "directau", "mawu"]  # BPR: not in Table 1, for comparison
budget = "smoke"  # how much is searched: smoke (synthetic only), lean, paper
results = None
train = True  # False: show what is stored

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
import pandas as pd

from prismbook.pages import figures, page, parameters, rq3_tables
from prismbook.plan import experiments
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.runs.tuning import run_searches
from prismbook.tables import decay_vs_prism, labels, variants
from prismbook.tables.analysis import measured, tidy
from prismbook.tables.paper import audit

parameters.check(
    globals(),
    "dataset",
    "budget",
    "results",
    "train",
    backbones=parameters.several(parameters.choice(experiments.TABLE1["backbone"])),
    losses=parameters.several(parameters.choice(experiments.TABLE1["loss"])),
)
page.begin(dataset)
results = results or default_results()
backbones, losses = experiments.as_list(backbones), experiments.as_list(losses)

# %% [markdown]
# ## Table 1, ours beside the paper's

# %%
if train:
    run_searches(dataset, backbones, losses, results, budget)
pairs = [decay_vs_prism.pair(dataset, backbone, loss, results, budget) for backbone in backbones for loss in losses]
pd.DataFrame([rq3_tables.row(pair) for pair in pairs]).set_index(["backbone", "loss"])

# %% [markdown]
# *Test NDCG@20, mean and standard deviation over seeds, each method at the best that was run. % Diff is PRISM's change as a share of
# tuned decay's score, the paper's computed from its cells, ours with its 95 % interval over users and seeds. The last column is PRISM minus
# tuned decay at their best among the loss's own parameters that both have tried, over the seeds that both have: in brackets
# the 95 % interval of a paired bootstrap over users, then the difference as a share of tuned decay's score, and its word. Better or
# worse: all seeds agree in sign, the interval leaves out zero, and the difference exceeds 2.5 %. Equivalent: the whole interval over
# users and seeds lies within 2.5 %. Else it is undecided; one seed makes it provisional. A run that the epoch limit or its first 20
# epochs ended decides nothing, and one that collapsed is in no mean.*

# %% mystnb={"image": {"alt": "For each backbone and loss a point for the difference of test NDCG@20 between PRISM and tuned decay, measured here with its 95 % interval; a line marks zero"}} tags=["remove-input", "nbval-ignore-output"]
# BPR is far to the left, and not in Table 1: it would press all others together
figures.differences(rq3_tables.differences([pair for pair in pairs if pair.loss != "bpr"]))
plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
runs = measured(results, rq3_tables.configs(pairs))
page.origin(runs, f"python -m prismbook sweep run table1 --dataset {dataset} --budget {budget}")

# %% [markdown]
# *PRISM minus tuned decay, for the losses of Table 1. Right of the line PRISM is better. What was not run has no point.*
#
# ## What the search costs
#
# Half of the paper's argument is the cost of tuning. A search that was not run to its end says how far it went; its choice
# is then the best of what was run, and tuned decay may be better than shown.

# %% tags=["nbval-ignore-output"]
pd.DataFrame(rq3_tables.search_cost(pairs))

# %% tags=["remove-input", "nbval-ignore-output"]
page.say(rq3_tables.cost_in_words(pairs))

# %% [markdown]
# ## How sure is the choice?
#
# The lean budget ranks on one seed, and chooses from the two best over all seeds where both were run at all. Where validation
# puts two decays closer together than seeds do, it could as well have chosen the other. What would follow then:

# %% tags=["nbval-ignore-output"]
pd.DataFrame(rq3_tables.runners_up(pairs, results, budget))

# %% [markdown]
# *Tuned decay as chosen, and the second best that was run; test NDCG@20 over the seeds that each was run at. The lead on validation
# is that at the first seed; where it is negative, all seeds together chose the other. The last column is as above, with the second best in the place of tuned decay, over the seeds that it shares with PRISM. Where its verdict is another one
# than above, and the lead on validation small, the verdict hangs on the choice.*
#
# ## How near the paper's numbers?
#
# Ours as a share of the paper's, where both are known:

# %%
pd.DataFrame([rq3_tables.nearness(pair) for pair in pairs if pair.loss != "bpr"]).set_index(["backbone", "loss"])

# %% [markdown]
# Three things move these numbers. One is the released code's departures from the text, each measured alone, on
# [MovieLens1M](switches_movielens1m.ipynb) and [Gowalla](switches_gowalla.ipynb). Of those that concern Table 1 three
# matter: the discarded ReLU, which for SSM with decay helps on MovieLens1M and harms on Gowalla; MAWU's uniformity,
# which helps on MovieLens1M and harms a little on Gowalla; and on Gowalla where negatives come from. The others hardly
# do. Another is the loss's own weight, which the paper tunes without saying what it chose: DirectAU has one, MAWU two,
# and without margins MAWU at $(\gamma, \gamma)$ is DirectAU at $4\gamma$ {eq}`eq-mawu-directau`. What was run of it,
# test NDCG@20 at the first seed, with its share of the paper's number:

# %%
for backbone in backbones:
    for loss in ("directau", "mawu"):
        table = rq3_tables.loss_parameter_rows(dataset, backbone, loss, results, budget)
        if table:
            index = f"{labels.LOSS_NAMES[loss]} at"
            of = f"{labels.BACKBONE_NAMES[backbone]}, {index}"
            display(pd.DataFrame(table).set_index(index).rename_axis(of))

# %% [markdown]
# On linear MF DirectAU at $\gamma = 1$ comes within 5 % of the paper's numbers on MovieLens1M, Gowalla and Yelp2018, with decay
# and with PRISM, and no other $\gamma$ that was run does; on Yelp2018 no other was run. MAWU comes as near on Gowalla, where its
# parameters are published, and on MovieLens1M it is nearest at (0.25, 0.25), which is nearly DirectAU at 1. At the $\gamma$ that
# validation chooses on MovieLens1M and Gowalla, 0.5 and 5, DirectAU is far above the paper's numbers, which therefore look like
# those of $\gamma = 1$. It matters for more than the level: with its $\gamma$ chosen, DirectAU is not behind MAWU on these two,
# which in the paper's table is ahead.
#
# The third is the stopping rule. A patience of 10 ended these runs within their first 20 epochs, of all that are stored
# for this dataset, whatever page shows them:

# %% tags=["nbval-ignore-output"]
ended = pd.DataFrame(rq3_tables.ended_early(dataset, results))
display(ended) if len(ended) else page.say("None of them.")

# %% [markdown]
# *Training loss of the last epoch, validation NDCG@20 of the best.*
#
# Not all end so early for the same reason. On MovieLens1M and Gowalla, where such runs are stored:
#
# - BPR with PRISM keeps its very first epoch; on non-linear MF on Gowalla its seventh, hardly better than the first.
# - On Gowalla SSM on linear MF climbs for four to seven epochs and then falls, at every decay; with decay 1e-4, where it
#   was waited for, it turns and goes on to climb. DirectAU at $\gamma = 0.2$ with decay 1e-4 stops in such a dip too, far
#   below its best $\gamma$. With decay 1e-4 of the [batch's rows alone](batched_decay_gowalla.ipynb) DirectAU falls
#   steadily by dot product, not by cosine: its lengths get worse.
# - On MovieLens1M SSM with PRISM on non-linear MF dips at two seeds of three, and keeps little more than half of what the
#   third reaches; its mean says more of the rule than of PRISM.
# - Where uniformity has little weight on non-linear MF there, in DirectAU at $\gamma = 0.2$ (with decay somewhat later)
#   and in MAWU at (0.125, 0.125), and with decay at (0.25, 0.25), where it depends on the decay and on the seed, the
#   perceptron turns all rows one way, and the loss ends at its value for one direction, 0 of DirectAU and -1 of MAWU. On Gowalla so
#   does DirectAU at $\gamma = 0.2$, with decay and with PRISM, and with decay at 0.5.
#
# Some of these runs, waited for ten times as long, and others that end later:

# %%
waited = experiments.twin_pairs("patience", dataset, budget)
records = get_records([config for pair in waited for config in pair], results, train=train)
rows = variants.beside(waited, results)
pd.DataFrame(rows).set_index("trained")

# %% [markdown]
# SSM's two runs read the other way, PRISM minus decay under each rule:

# %%
pd.DataFrame([variants.prism_minus_decay(*waited[1:3], results)]).set_index("loss")

# %% mystnb={"image": {"alt": "Validation NDCG@20 against epochs by dot product and by cosine, a curve for each run that was waited for, the best epoch of each marked with a dot"}} tags=["remove-input", "nbval-ignore-output"]
shown = {row["trained"]: record for row, record in zip(rows, records[1::2], strict=True) if record is not None}
if shown:
    figures.validation_curves(shown, rankings=("dot", "cosine"))
    plt.show()

# %% tags=["remove-input", "nbval-ignore-output"]
runs = tidy([config for pair in waited for config in pair], records)
page.origin(runs, f"python -m prismbook sweep run patience --dataset {dataset} --budget {budget}")

# %% [markdown]
# *Validation NDCG@20 of the runs with patience 100; dots mark the best epoch.*
#
# On MovieLens1M one of the two runs that the dip ended, SSM with PRISM on non-linear MF at seed 246, was waited for: it
# doubles its score, is best five epochs before the limit of 1,000, and comes within a tenth of tuned decay's mean: at that
# seed most of what C10 finds is the stopping rule.
#
# ## The lower half as the released code runs it
#
# The released perceptron is linear: its ReLU is computed and discarded. Non-linear MF in the paper's protocol and in the
# released one, with all its departures at once:

# %%
released = experiments.twin_pairs("released", dataset, budget)
get_records([config for pair in released for config in pair], results, train=train)
pd.DataFrame(variants.beside(released, results)).set_index("trained")

# %% [markdown]
# In the paper's protocol PRISM ends on Gowalla at half of what tuned decay reaches on validation with MAWU, and at three fifths
# with DirectAU at the best $\gamma$ that was run, well after the first 20 epochs and while the training loss still falls. No run
# has waited longer.
#
# The same four runs a loss read the other way, PRISM minus decay in each protocol. Decay is not tuned here: SSM has 1e-6,
# DirectAU 1e-4.

# %%
both = zip(released[::2], released[1::2], strict=True)
pd.DataFrame([variants.prism_minus_decay(decay, prism, results) for decay, prism in both]).set_index("loss")

# %% [markdown]
# For DirectAU C9 hangs on this. On MovieLens1M and on Gowalla PRISM is ahead of decay in the released protocol, as the paper
# has it, and behind in that of the text. Of what the released one changes in training DirectAU notices two things: the perceptron
# is linear, and batches are not shuffled again, which hardly matters where it was measured alone.

# %% tags=["remove-input", "nbval-ignore-output"]
runs = measured(results, [config for pair in released for config in pair])
page.origin(runs, f"python -m prismbook sweep run released --dataset {dataset} --budget {budget}")

# %% [markdown]
# ## Verdict

# %%
for claim, statements in rq3_tables.judged(pairs, results).items():
    page.verdict(claim, dataset, statements)

# %% [markdown]
# **What would change our mind.**
#
# - C8: *worse*, an interval below zero by more than seeds explain, with PRISM's search complete. Further tuning of decay is meant
#   to widen it, but a choice on one seed can miss, see the second best above. *Same* and *better* stand on what the budget
#   searches: the lean one tries no pair of a decay other than 1e-4 and an own parameter other than the published one, or those
#   chosen for decay and for PRISM.
# - C9 and C10: such an interval on the other side of zero.
# - C9 on MovieLens1M, with MAWU: another learning rate. The decay that all seeds choose, 1e-4 at (1, 0.1), has a larger one beside
#   it in the search, and PRISM is better than that. The first seed alone would have chosen 1e-5 at (0.25, 0.25), which turns all
#   rows one way at the two others.
# - C8 on Gowalla, with SSM: decay 1e-3 with more patience. It leads by validation with its fourth epoch, after which the
#   stopping rule ends it in a dip; so it leaves the comparison open.
# - C10 on MovieLens1M: more seeds or more patience. SSM with PRISM is behind at each of the three seeds, by 0.04 to 0.14, but
#   the stopping rule ends two of them in a dip, see above, and they differ so much that three do not tell their mean from zero.
# - C17 compares two correlations; that the norms are the cause is not tested. With the paper's ReLU DirectAU falls
#   behind too, on MovieLens1M and on Gowalla. SSM's lengths on MovieLens1M are those of three seeds, of which two ended early in
#   the dip, before much could be washed out.
#
# These verdicts are on the paper's protocol, whose perceptron has a ReLU; the table above says what the released one, without
# it, does to them.
#
# ## The paper's own arithmetic
#
# The summaries that the text gives of Table 1, computed again from the table's cells:

# %%
audit().map("{:+.2f} %".format)

# %% [markdown]
# A change is usually a share of where one starts, here tuned decay's score. The printed percentages are shares of PRISM's
# score, which makes gains look smaller and losses larger. The printed mean of 0.12 % over linear MF follows
# from the cells in neither way.
