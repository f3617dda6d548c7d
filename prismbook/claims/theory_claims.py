"""Judgements of the paper's theoretical claims, computed on the spot: each statement is a check that may fail.

The book's theory page proves what is checked here. These are the short forms that the claims ledger needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from prismbook.claims.statements import Statement
from prismlib import theory
from prismlib.data import synthetic
from prismlib.datasets import CARDS
from prismlib.init import prism_
from prismlib.losses import SSM
from prismlib.models import MF
from prismlib.optim import make_optimizer
from prismlib.train import train_step

ETA, DECAY = 0.1, 0.5  # large, so that every term counts
PAPER_BATCH = 4096  # of DirectAU and MAWU


def claim_c4(seed: int = 0, draws: int = 20_000) -> list[Statement]:
    """C4: batch membership, Equation 2, for batches that are drawn with replacement, as the paper has it.

    The formula is the one for independent interactions, of which each is in the batch with the batch's share. It is an
    approximation: good where the batch is a small part of all interactions, as the paper's are.

    Args:
        seed: of the generator that draws batches.
        draws: number of batches.
    """
    degree, batch, total = torch.tensor([1.0, 8.0, 64.0, 256.0], dtype=torch.float64), 20, 2000
    exact = 1 - (1 - degree / total) ** batch
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(total, (draws, batch), generator=generator)
    # the first d interactions belong to an item of degree d
    measured = torch.stack([(drawn < int(d)).any(1) for d in degree], 1).double().mean(0)
    four_errors = 4 * (exact * (1 - exact) / draws).sqrt() + 1e-9
    off = {
        card.name: _relative_error(PAPER_BATCH, round(0.8 * card.interactions))
        for card in CARDS.values()
        if card.paper is not None
    }
    numbers = ", ".join(f"{name} {100 * value:.2f} %" for name, value in off.items())
    return [
        Statement(
            f"{draws:,} batches drawn with replacement agree with 1 - (1 - d/n)^|B| within four standard errors;"
            f" at the paper's batch of {PAPER_BATCH:,} Equation 2 is off from that by 1 % at most, over items of 1 to"
            f" 1,000 interactions: {numbers}",
            bool(((measured - exact).abs() <= four_errors).all()) and max(off.values()) < 0.01,
            about="batches drawn with replacement",
        ),
    ]


def _relative_error(batch: int, total: int) -> float:
    """How far Equation 2 is off for batches drawn with replacement, at most, as a share of the probability."""
    degree = torch.logspace(0, 3, 31, dtype=torch.float64).round()
    exact = 1 - (1 - degree / total) ** batch
    return float((theory.batch_membership(degree, batch, total) / exact - 1).abs().max())


def claim_c5(seed: int = 0) -> list[Statement]:
    """C5: the expected change of a squared norm under plain SGD, Equation 3, and its signs.

    Args:
        seed: of the generator that draws embeddings and probabilities.
    """
    user, item = _rows(seed)
    norm, cosine = item.norm(dim=1), cosine_similarity(user, item)
    probability = torch.rand(len(item), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    inside = _sgd(item, lambda rows: -cosine_similarity(user, rows).sum())
    expected = probability * inside + (1 - probability) * _sgd(item, lambda rows: rows.sum() * 0)
    formula = theory.expected_change(probability, norm, cosine, ETA, DECAY)
    error = float((expected - formula).abs().max())
    shrinks, grows = theory.decay_change(norm, ETA, DECAY), theory.cosine_change(norm, cosine, ETA)
    return [
        Statement(f"Equation 3 is the mean of two real SGD steps, to {error:.0e} in float64", error < 1e-9),
        Statement(
            f"decay shortens ({shrinks.max():.3f} at most) and the ranking loss lengthens ({grows.min():.1e} at least)",
            bool((shrinks < 0).all() and (grows >= 0).all()),
        ),
    ]


#: A learning rate at which plain SGD trains the mean of a loss over a batch, and the largest that is usual for Adam.
SGD_RATE, USUAL_RATE = 10.0, 0.1
#: Degrees separate where their changes differ by more than this share of what decay takes.
SEPARATES = 0.01


def claim_c15() -> list[Statement]:
    """C15: at usual batch sizes the expected norm change separates by degree, under plain SGD.

    It separates where a step's change rises with the degree, and items of 1 and 100 interactions differ by more than
    1 % of what decay takes from both. The paper sums the loss over the batch. What is trained is its mean, whose
    gradient is smaller by the size of the batch, and which SGD trains with a learning rate that is larger for it. At
    a rate that is usual for Adam the mean would not separate, nor train: that is a detail.
    """
    cards = [card for card in CARDS.values() if card.paper is not None]
    interactions = {card.name: card.interactions for card in cards}
    mean = "the mean over the batch, which is trained"
    at_paper = _separates(mean, interactions, USUAL_RATE, 1 / PAPER_BATCH, "the mean loss at rate 0.1")
    return [
        _separates("the loss summed over the batch, as the paper has it", interactions, 1e-3, 1.0, "the summed loss"),
        _separates(mean, interactions, SGD_RATE, 1 / PAPER_BATCH, "the mean loss at a rate at which SGD trains it"),
        replace(at_paper, role="detail"),
    ]


def _separates(name: str, interactions: Mapping[str, int], lr: float, weight: float, about: str) -> Statement:
    """Whether the expected change separates degrees on every dataset, at a learning rate and a weight of the loss."""
    degree, one = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64), torch.ones((), dtype=torch.float64)
    shrinking, rate = lr * 1e-6, lr * weight  # decay acts with the learning rate alone, whatever the loss weighs
    decay, texts, separated = theory.decay_change(one, 1.0, shrinking), [], []
    for dataset, count in interactions.items():
        probability = theory.batch_membership(degree, PAPER_BATCH, round(0.8 * count))
        change = theory.expected_change(probability, one, 0.5 * one, rate, shrinking / rate)
        apart = float((change[2] - change[0]) / decay.abs())
        texts.append(f"{dataset} {', '.join(f'{value:.1e}' for value in change.tolist())}, apart {apart:.2g} times")
        separated.append(bool(change[0] < change[1] < change[2]) and apart > SEPARATES)
    return Statement(
        f"{name}, at SGD's learning rate {lr:g}: the expected change rises from items of 1 to 10 to 100 interactions,"
        f" and the last and the first are apart by more than {SEPARATES} times what decay takes (batches of"
        f" {PAPER_BATCH:,}, norm 1, decay 1e-06): {'; '.join(texts)}",
        all(separated),
        about=about,
    )


def claim_c16() -> list[Statement]:
    """C16: batched decay and many negatives remove the asymmetry, Corollaries 1 and 2.

    Of batched decay the corollary says that both terms carry the probability of being in the batch, so that it cannot
    turn decay against the loss: that is the sign. That the size of the change stays in proportion to the probability,
    so that popular rows still move faster, the corollary does not deny. It is a detail.
    """
    return [*_under_batched_decay(), *_one_probability_with_many_negatives()]


def _under_batched_decay() -> list[Statement]:
    one = torch.ones((), dtype=torch.float64)
    probability = torch.tensor([0.001, 0.1, 1.0], dtype=torch.float64)
    changes = [theory.expected_change_batched(probability, norm * one, 0.5 * one, ETA, DECAY) for norm in (0.3, 3.0)]
    times = max(float(change.abs().max() / change.abs().min()) for change in changes)
    return [
        Statement(
            "under batched decay the sign of the expected change is the same for rare and popular items",
            all(len(change.sign().unique()) == 1 for change in changes),
            about="the sign under batched decay",
        ),
        Statement(
            f"under batched decay its size is the same too: between batch probabilities {probability[0]:g} and 1 it"
            f" differs by a factor of {times:,.0f}",
            times < 2,
            role="detail",
            about="its size",
        ),
    ]


def _one_probability_with_many_negatives() -> list[Statement]:
    """Whether as many negatives as items bring rare and popular items into the batch alike."""
    items, batch, total = 4000, 200, 40_000
    rare, popular = torch.tensor([1.0, 1000.0], dtype=torch.float64)
    distinct = [float(theory.batch_membership(d, batch, total, items // batch, items)) for d in (rare, popular)]
    never_drawn = (1 - 1 / items) ** items  # by as many draws with replacement as there are items
    repeated = [float(1 - (1 - theory.batch_membership(d, batch, total)) * never_drawn) for d in (rare, popular)]
    return [
        Statement(
            f"with as many distinct negatives as items, as the paper assumes, rare and popular items are in the batch"
            f" with probability {distinct[0]:.2f} and {distinct[1]:.2f}; with negatives drawn with replacement, as code"
            f" draws them, {repeated[0]:.2f} and {repeated[1]:.2f}",
            abs(distinct[0] - distinct[1]) < 1e-9,
            about="many negatives",
        ),
    ]


def claim_c17_signs(seed: int = 0) -> list[Statement]:
    """C17, the identities: dot product and Euclidean distance give no sign guarantee, Section C.5.

    Args:
        seed: of the generator that draws embeddings.
    """
    user, item = _rows(seed)
    losses: dict[str, tuple[Callable[..., Tensor], Callable[[Tensor], Tensor]]] = {
        "dot product": (theory.expected_change_dot, lambda rows: -(user * rows).sum()),
        "Euclidean distance": (theory.expected_change_euclidean, lambda rows: (user - rows).square().sum()),
    }
    statements, always = [], torch.ones((), dtype=torch.float64)
    for name, (formula, loss) in losses.items():
        error = float((_sgd(item, loss) - formula(always, item, user, ETA, DECAY)).abs().max())
        without = formula(always, item, user, ETA, 0.0)
        statements.append(
            Statement(
                f"{name}: the formula is the real SGD step to {error:.0e}, and without decay rows grow"
                f" ({(without > 0).sum()}) as well as shrink ({(without < 0).sum()})",
                error < 1e-9 and bool((without > 0).any() and (without < 0).any()),
            )
        )
    of_directau = _sgd(item, lambda rows: (normalize(user, dim=1) - normalize(rows, dim=1)).square().sum())
    off = float(
        ((theory.expected_change_euclidean(always, item, user, ETA, DECAY) - of_directau) / of_directau).abs().median()
    )
    return [
        *statements,
        Statement(
            "the Euclidean formula is DirectAU's too, whose distance is between directions: for half of the rows it is"
            f" off by more than {off:.0f} times the real step",
            off < 1e-6,
            role="detail",
            about="DirectAU's distance",
        ),
    ]


def claim_c19(seed: int = 0) -> list[Statement]:
    """C19: with PRISM and no decay, training needs no access to the full tables.

    Args:
        seed: of the generator that draws the starting values.
    """
    data = synthetic(200, 100, 2500)
    user_id, item_id = (torch.as_tensor(ids[:32]).long() for ids in (data.user, data.item))
    share = {}
    for name, sparse, decay in (("sparse_adam", True, 0.0), ("adam", False, 1e-4)):
        generator = torch.Generator().manual_seed(seed)
        model = MF(data.num_users, data.num_items, 8, generator, sparse)
        prism_(model.item.weight, torch.bincount(torch.as_tensor(data.item), minlength=data.num_items))
        before = model.item.weight.detach().clone()
        loss = SSM(tau=0.2, num_negatives=1)
        optimizer = make_optimizer(name, [model, loss], lr=1e-3, weight_decay=decay)
        train_step(model, loss, optimizer, user_id, item_id, data.num_items, generator)
        share[name] = float((model.item.weight != before).any(1).double().mean())
    return [
        Statement(
            f"one step writes {share['sparse_adam']:.0%} of the item rows with lazy Adam and no decay,"
            f" {share['adam']:.0%} with Adam and decay",
            share["sparse_adam"] < 1 and share["adam"] == 1,
        )
    ]


def _rows(seed: int, count: int = 200, dim: int = 8) -> tuple[Tensor, Tensor]:
    """User and item rows, each ``(count, dim)`` in float64; item rows have norms between 1 and 2."""
    generator = torch.Generator().manual_seed(seed)
    user = torch.randn(count, dim, dtype=torch.float64, generator=generator)
    return user, normalize(torch.randn(count, dim, dtype=torch.float64, generator=generator)) * (
        1 + torch.rand(count, 1, dtype=torch.float64, generator=generator)
    )


def _sgd(item: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Change of each row's squared norm by one step of torch.optim.SGD."""
    rows = item.clone().requires_grad_()
    optimizer = torch.optim.SGD([rows], lr=ETA, weight_decay=DECAY)
    loss(rows).backward()
    optimizer.step()
    return rows.detach().square().sum(1) - item.square().sum(1)
