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
# # Is weight decay needed?
#
# *Section 3.1.1 and Appendix D.3 of {cite}`loveland2025weightdecay`, Figures 1 and 10. Claims C1, C2, C21 and C22.*

# %% tags=["parameters"]
dataset = "synthetic"  # or movielens1m, gowalla, yelp2018, amazonbook, amazoncds; or a list: a row of the figure each
losses = ["bpr", "directau"]
weight_decays = None  # a list; None is the project's grid for the dataset
seeds = [123]
epochs = None  # at most; None is the project's choice
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"  # or "cuda"
results = None  # folder of run records; None is the project's own
train = True  # False: show what is stored, train nothing
force = False  # True: train again also what is stored

# %% tags=["remove-input"]
import matplotlib.pyplot as plt

from prismbook.claims import decay_claims
from prismbook.pages import figures, page, parameters, question, rq1_tables
from prismbook.pages.provenance import command
from prismbook.plan.experiments import as_list, grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis, labels

parameters.check(
    globals(),
    "dataset",
    "losses",
    "weight_decays",
    "seeds",
    "epochs",
    "lr",
    "device",
    "results",
    "train",
    "force",
)
names = as_list(dataset)
page.html(question.answer(["C1", "C21", "C2", "C22"], names, results))
page.begin(names)

# %% [markdown]
# **The paper says:** "Our first observation is a clear dependence on weight decay for DirectAU, where a poor choice of weight decay
# significantly degrades performance" (Section 3.1.1).
#
# **Why that is odd.** Angle-based losses such as DirectAU ignore the length of an embedding. Under plain gradient descent, weight
# decay changes nothing but lengths in one step. Over many steps it does more: a shorter row has a larger gradient, so it turns faster. Still decay should matter
# little to them. The paper says that it matters more to them than to BPR, which does look at length.
#
# **What lengths are for.** Training compares angles, but items are ranked by the dot product $\lVert\mathbf{u}\rVert\, \lVert\mathbf{i}\rVert \cos$. A user's own
# length is the same for all items. Of two items at the same acute angle, the longer one stands higher. Lengths that follow popularity lift popular items
# in the list, and popular items have far more than their share of the held-out interactions. So "needed" on this page means: under Adam, and ranked by the lengths that
# training left. Lengths can also be chosen [at scoring](optimisers.ipynb).
#
# **We tested:** matrix factorisation with each loss over a range of decays, trained with Adam as in the authors' released code. Under Adam decay does
# more than shorten rows, see the [theory](theory.ipynb).
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C1 | DirectAU on matrix factorisation depends strongly on weight decay; with too weak a decay it falls below BPR on MovieLens1M and Gowalla | order of the curves in Figure 1 |
# | C21 | high performance needs careful tuning of weight decay, whatever the loss | a sentence of the abstract |
# | C2 | a stronger decay widens the gap between popular and unpopular items; BPR's gap is less pronounced than DirectAU's | trend of the curves in Figures 1 and 10 |
# | C22 | BPR's performance changes little with decay, compared with DirectAU's | a sentence of Section 4.1.2 |
#
# ## Run this yourself

# %% tags=["hide-input"]
runs = {}
for name in names:
    configs = grid_configs(name, losses, weight_decays, seeds, epochs, lr=lr, device=device)
    get_records(configs, results, train=train, force=force)  # loads what is stored, trains the rest
    runs[name] = analysis.measured(results or default_results(), configs)

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"losses": losses, "weight_decays": weight_decays, "seeds": seeds, "epochs": epochs, "lr": lr, "device": device}
redo = {name: command("rq1_weight_decay", dataset=name, **given, train=True, force=True) for name in names}
page.say(question.run_yourself("rq1_weight_decay", runs, dataset=names[0], losses=losses))

# %% [markdown]
# ## Watch it happen
#
# This cell runs by itself, in about ten seconds. It trains DirectAU on synthetic data in plain `prismlib`, without decay and with it,
# whatever data this page shows.

# %% tags=["plain-prismlib"]
import torch

from prismlib import MF, DirectAU, FullRanking, fit, popularity_groups, random_split, synthetic

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
test = FullRanking(split.test, [split.train, split.validation], groups, sizes[0])
how, found = {"lr": 0.01, "batch_size": 1024, "max_epochs": 12, "seed": 123}, {}
for decay in (0.0, 1e-4):  # the lambda of the paper's Equation 1
    model = MF(*sizes, dim=64, generator=torch.Generator().manual_seed(123))
    fit(model, DirectAU(gamma=1.0), split.train, validation, weight_decay=decay, **how)
    found[decay] = test(*(table.detach() for table in model.embeddings()))["dot"]
    print(f"decay {decay:g}:", {part: round(score, 3) for part, score in found[decay].items()})

# %% [markdown]
# The stored runs are made in the same way: `get_records` trains every configuration that it does not find, and keeps it in the checkout's
# `results/`. This cell checks that it gives the numbers above, as long as you change nothing there:

# %% tags=["as-recorded", "hide-input"]
from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import get_records

for decay, ours in found.items():
    (stored,) = get_records([RunConfig("synthetic", "directau", gamma=1.0, weight_decay=decay, **how)], progress=False)
    assert round(ours["ndcg"], 4) == round(stored["test"]["dot"]["ndcg"], 4)

# %% [markdown]
# ## Figure 1, measured

# %% mystnb={"image": {"alt": "Line charts of test NDCG@20 against weight decay, a row of panels per dataset: all items with one curve per loss, then one panel per loss with popular, neutral and unpopular items; a ring marks the decay that validation chooses"}} tags=["remove-input", "nbval-ignore-output"]
shown = {name: table for name, table in runs.items() if table["run"].notna().any()}
means = {name: analysis.over_seeds(table) for name, table in shown.items()}
chosen = {name: rq1_tables.chosen(table) for name, table in shown.items()}
hollow = {name: rq1_tables.decide_nothing(table) for name, table in shown.items()}
first = [labels.LOSS_NAMES[loss] for loss in as_list(losses)[:2]]
for name in names:
    page.has_runs(runs[name], redo[name], name)
if shown:
    figures.weight_decay_curves(means, first, chosen, hollow=hollow)
    plt.show()

# %% [markdown]
# *Look how the curve of DirectAU climbs with decay before it levels off or falls, and which of its parts gains. A ring marks the decay that
# validation chooses, and a hollow mark is of runs that decide nothing. With DirectAU lengths have not come to rest below 1e-6 when training stops ([the law of lengths](law_of_lengths.ipynb)), so little happens there. The popular 5 % of the items, the neutral next 15 % and the unpopular rest add up to NDCG@20 of the test split. A band is one standard deviation over seeds. If the paper is right, DirectAU is below BPR on MovieLens1M and Gowalla, without decay or with a weak one.*

# %% mystnb={"image": {"alt": "Line charts of test NDCG@20 against weight decay for the further losses, one panel per loss with popular, neutral and unpopular items, a row per dataset"}} tags=["remove-input", "nbval-ignore-output"]
others = [labels.LOSS_NAMES[loss] for loss in as_list(losses)[2:]]
if others and shown:
    figures.weight_decay_curves(means, others, chosen, overall=False, hollow=hollow)
    plt.show()
    page.say("*Figure 10, measured: the same for the other losses, which the first panels above have too.*")

# %% [markdown]
# ## The numbers

# %%
rq1_tables.numbers(runs)

# %% [markdown]
# *Decay raises the correlation of lengths with log popularity. An arrow leads from no decay to the decay that validation
# chooses at the first seed. Test NDCG@20, its popular part minus its unpopular part, and the correlation of item lengths with log popularity. They are means over
# the seeds that were run; a verdict compares the seeds that both settings have. [The search of PRISM's page](rq3_search.ipynb) has further decays, and chooses over all seeds where it can: its choice may be another.*

# %% tags=["remove-input"]
page.say(question.by_dataset({name: rq1_tables.behind_the_means(runs[name]) for name in names}))

# %% tags=["remove-input"]
page.say(question.noted(runs))

# %% tags=["remove-input"]
page.say(question.by_dataset({name: rq1_tables.widest_gaps(runs[name]) for name in names}))

# %% [markdown]
# ### A loss of angles that hardly needs lengths
#
# SSM compares angles too. If the reason above were all, it would need decay as DirectAU does. How do the two rank without decay, by cosine, so that
# lengths do nothing?

# %% tags=["remove-input"]
page.say(rq1_tables.by_angles_alone(runs) or "Not run.")

# %% [markdown]
# So popularity can be in the angles as well, and then lengths have less to add. A likely reason is in SSM's negatives, which are drawn uniformly. A softmax against them
# is at its best where a score is the log of how often a user meets an item, and that has the item's popularity in it. DirectAU's uniformity
# pushes popular and rare items apart alike. This reason was not tested here.
#
# ## Verdicts

# %% tags=["remove-input"]
judged = {
    "C1": decay_claims.claim_c1,
    "C21": decay_claims.claim_c21,
    "C2": decay_claims.claim_c2,
    "C22": decay_claims.claim_c22,
}
page.html(question.verdicts(judged, runs, results))

# %% [markdown]
# *A line opens to the statements behind its marks, the core first, and to the records.*
#
# **What would change our mind.** C1: a DirectAU curve that is flat, or nowhere below BPR's. C21: a loss that is as good without decay,
# or at most decays. C2: a gap that does not grow with decay, or that grows as much for BPR; for its level, a change of which gap is
# the larger one. C22: a BPR curve that changes more than DirectAU's.
#
# **What we did not measure here.** Other learning rates: these curves are at one. Other optimisers: they have
# [a page of their own](optimisers.ipynb). AmazonBook, of which no complete copy could be had.
#
# **Your turn.** In the cell above:
#
# 1. Set the decay to 1e-2. Predict first: which part of NDCG@20 grows, and which one falls?
# 2. Replace `DirectAU(gamma=1.0)` by `BPR()`, which is imported like it. Are popular items still behind unpopular ones without decay?
# 3. In `how`, set `"optimizer": "sgd"` and `"lr": 30.0`. Is decay still needed?
#
# ```{dropdown} The answer
# 1. The popular part grows, and the unpopular one falls: more popularity in the lengths lifts popular items over the others.
# 2. No, on these synthetic data. BPR looks at lengths while it trains, and here it makes popular items longer. It need not: see
#    [*Which items are longest under BPR without decay?*](rq2_norms.ipynb)
# 3. No, without it NDCG@20 is higher. Plain SGD writes popularity by itself.
# ```
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
tables = {name: analysis.shown(table) for name, table in means.items()}
page.html(question.origins(tables, {name: runs[name] for name in tables}, redo))
