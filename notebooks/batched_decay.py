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
# # Does decay of the batch alone do?
#
# *Section 4.1.1 of {cite}`loveland2025weightdecay`, Figure 3; {prf:ref}`cor-batched`. Claim C6.*

# %% tags=["parameters"]
dataset = "synthetic"  # or a published one; or a list of names: a row of the figure each
weight_decays = [1.0e-4]  # a list; None is the project's grid for the dataset
epochs = 6  # at most; None is the project's choice
lr = None  # learning rate; None: the project's choice, 1e-3 on published data
device = "cpu"
results = None
train = True
force = False

# %% tags=["remove-input"]
import matplotlib.pyplot as plt

from prismbook.claims import decay_claims
from prismbook.pages import batched_tables, figures, page, parameters, question, rq2_tables
from prismbook.pages.provenance import command
from prismbook.plan.experiments import as_list, grid_configs
from prismbook.runs.attempts import get_records
from prismbook.runs.records import default_results
from prismbook.tables import analysis

parameters.check(globals(), "dataset", "weight_decays", "epochs", "lr", "device", "results", "train", "force")
names = as_list(dataset)
page.html(question.answer(["C6"], names, results))
page.begin(names)

# %% [markdown]
# **The paper says:** decay applied to the rows of the batch "treats all items equally" (Section 4.1.1), so that it loses what decay of the whole
# tables brings.
#
# **Why that tells.** If decay helped as a regulariser, decaying only the rows of the batch would do. If it helps by shrinking rows
# *outside* the batch, that takes the help away.
#
# **What the theory predicts.** By {prf:ref}`cor-batched` plain gradient descent has one rest for all items of equal cosine, and so a correlation of 0. Adam divides this decay too. The
# balance of [the law of lengths](law_of_lengths.ipynb) is then $r^3 = \kappa \eta \sqrt n\, G / (2 \lambda P)$, with $P$ the chance that an item is in the batch. Where it is met
# less than about once per batch, lengths fall with popularity, and beyond they rise: $r^3$ follows $\sqrt q / (1 - e^{-q})$, which is smallest at $q = 1.26$. Where most items are met less often, the correlation at rest is
# negative: it is computed below the figures.
#
# **We tested:** DirectAU on matrix factorisation, each decay on the whole tables and on the batch's rows alone.
#
# | claim | in our words | the paper's evidence |
# |---|---|---|
# | C6 | decay on the batch's rows alone performs like no decay at all, and lengths lose popularity | curves that coincide, a flat scatter |
#
# ## Run this yourself

# %% tags=["hide-input"]
runs = {}
for name in names:
    common = {"losses": "directau", "epochs": epochs, "lr": lr, "device": device}
    whole = grid_configs(
        name, weight_decays=None if weight_decays is None else [0.0, *as_list(weight_decays)], **common
    )
    batch = grid_configs(name, weight_decays=weight_decays, decay_scope="batch", **common)
    configs = whole + [config for config in batch if config.weight_decay > 0]
    get_records(configs, results, train=train, force=force)  # loads what is stored, trains the rest
    runs[name] = analysis.measured(results or default_results(), configs)

# %% tags=["remove-input", "nbval-ignore-output"]
given = {"weight_decays": weight_decays, "epochs": epochs, "lr": lr, "device": device}
redo = {name: command("batched_decay", dataset=name, **given, train=True, force=True) for name in names}
page.say(question.run_yourself("batched_decay", runs, dataset=names[0], weight_decays=weight_decays, epochs=epochs))

# %% [markdown]
# ## Watch it happen
#
# This cell runs by itself, in about ten seconds, on synthetic data: the same decay in its two scopes.

# %% tags=["plain-prismlib"]
import torch

from prismlib import MF, DirectAU, FullRanking, fit, popularity_groups, random_split, synthetic

split = random_split(synthetic(), seed=123)
sizes = split.dataset.num_users, split.dataset.num_items
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, sizes[0])
log_popularity = torch.log(torch.as_tensor(split.item_popularity) + 2.0)
how = {"lr": 1e-3, "weight_decay": 1e-3, "batch_size": 512, "max_epochs": 10, "seed": 123}
for scope in ("table", "batch"):
    model = MF(*sizes, dim=64, generator=torch.Generator().manual_seed(123))
    history = fit(model, DirectAU(gamma=1.0), split.train, validation, decay_scope=scope, **how)
    lengths = model.item.weight.detach().norm(dim=1)
    correlation = torch.corrcoef(torch.stack([lengths, log_popularity]))[0, 1]
    best = history.validation_dot[history.best_epoch]
    print(f"decay of the {scope}: validation NDCG@20 {best:.3f}, correlation of length {correlation:.2f}")

# %% [markdown]
# ## Figure 3, measured

# %% mystnb={"image": {"alt": "A row per dataset with two panels: test NDCG@20 against weight decay for decay of the whole tables and of the batch's rows, and the correlation of item lengths with log popularity for both"}} tags=["remove-input", "nbval-ignore-output"]
shown = {name: table for name, table in runs.items() if table["run"].notna().any()}
for name in names:
    page.has_runs(runs[name], redo[name], name)
if shown:
    figures.two_scopes(shown)
    plt.show()

# %% [markdown]
# *On the left test NDCG@20 does not climb under decay of the batch's rows as it does under decay of the whole tables. On the right the correlation of item lengths with
# log popularity falls under a strong decay of the batch's rows. No decay is the first point of both curves.* The lengths themselves:

# %% mystnb={"image": {"alt": "Two panels per dataset of the mean length of item embeddings against popularity for DirectAU, one curve per weight decay: decay of the whole tables, and decay of the batch's rows only"}} tags=["remove-input", "nbval-ignore-output"]
if shown:
    lengths = {name: batched_tables.panels(table) for name, table in shown.items()}
    figures.norms_against_popularity(lengths, reference=False, share=True)
    plt.show()

# %% [markdown]
# *Look whether a decay makes lengths rise with popularity on the left, and on the right no more than without decay. Mean length of item embeddings in bins of
# popularity; corr. is the correlation with log popularity.*

# %% tags=["remove-input"]
page.say(batched_tables.alike(shown))
page.say(batched_tables.shortest(shown))

# %% [markdown]
# The theory has the shortest items where a batch has about one of their interactions. Before rest the rarest, which begin to grow last, can be shorter.

# %% tags=["remove-input"]
page.say(batched_tables.at_rest(shown))

# %% [markdown]
# ## The numbers

# %%
batched_tables.numbers(runs)

# %% [markdown]
# *Compare each row with the first, which is without decay. Test NDCG@20 and, in brackets, the correlation of item
# lengths with log popularity; one seed.*

# %% tags=["remove-input"]
page.say(question.by_dataset({name: batched_tables.in_words(table) for name, table in runs.items()}))
page.say(question.noted(runs))

# %% tags=["remove-input"]
page.say(rq2_tables.unmet(shown))

# %% [markdown]
# ## Verdicts

# %% tags=["remove-input"]
page.html(question.verdicts({"C6": decay_claims.claim_c6}, runs, results))

# %% [markdown]
# *Like no decay* is at most a fifth of what decay of the whole tables gains.
#
# **What would change our mind.** Batched decay that scores, or writes popularity, as decay of the whole tables does. The verdict is
# at the decay that validation chooses for the whole tables, on every dataset. Beside it stand those decays which, on the whole tables,
# raise the correlation of length with log popularity above its value without decay. A weaker one has no effect to lose.
#
# **What we did not measure here.** Yelp2018 and AmazonBook. Batches of other sizes: a batch of all interactions would make the scopes equal.
#
# **Your turn.** In the cell above: print the mean length of the 25 rarest items for each scope, with
# `lengths[torch.as_tensor(split.item_popularity).argsort()[:25]].mean()`. Predict first: in which scope are they shorter?
#
# ```{dropdown} The answer
# With decay of the table. It shortens a rare row in every step, whether or not the row is in the batch. Decay of the batch's rows
# waits until a rare row is drawn.
# ```
#
# ## Origins

# %% tags=["remove-input", "nbval-ignore-output"]
tables = {
    name: analysis.shown(analysis.over_seeds(table, ("decay_scope", "weight_decay"))) for name, table in shown.items()
}
page.html(question.origins(tables, {name: runs[name] for name in tables}, redo))
