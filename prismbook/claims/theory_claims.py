"""Judgements of the paper's theoretical claims, computed on the spot: each statement is a check that may fail.

The book's theory page proves what is checked here. These are the short forms that the claims ledger needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    """C4: batch membership, Equation 2.

    Args:
        seed: of the generator that draws batches.
        draws: number of batches.
    """
    degree, batch, total = torch.tensor([1.0, 8.0, 64.0, 256.0], dtype=torch.float64), 200, 2000
    formula = theory.batch_membership(degree, batch, total)
    generator = torch.Generator().manual_seed(seed)
    # An item of degree d is missed when all its d independent draws miss.
    missed = torch.stack([(torch.rand(draws, int(d), generator=generator) >= batch / total).all(1) for d in degree], 1)
    measured = 1 - missed.double().mean(0)
    four_errors = 4 * (formula * (1 - formula) / draws).sqrt() + 1e-9
    gap = theory.batch_membership_exact(degree, batch, total) - formula
    return [
        Statement(
            f"where each interaction is in the batch independently, as the paper assumes, {draws:,} draws agree within"
            f" four standard errors, largest difference {(measured - formula).abs().max():.4f} (of batches cut from a"
            f" permutation, as training draws them, the formula is short by up to {gap.max():.4f})",
            bool(((measured - formula).abs() <= four_errors).all()),
        ),
    ]


def claim_c5(seed: int = 0) -> list[Statement]:
    """C5: the expected change of a squared norm, Equation 3, and its signs.

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


def claim_c15() -> list[Statement]:
    """C15: at usual batch sizes the expected norm change separates by degree.

    It separates where a step's change rises with the degree, and items of 1 and 100 interactions differ by more than
    1 % of what decay takes from both. The paper sums the loss over the batch; what is trained is its mean, whose
    gradient is smaller by the size of the batch.
    """
    cards = [card for card in CARDS.values() if card.paper is not None]
    return [
        _separates(name, {card.name: card.interactions for card in cards}, rate)
        for name, rate in (
            ("the loss summed over the batch, as the paper has it", 1e-3),
            ("the mean over the batch, which is trained", 1e-3 / PAPER_BATCH),
        )
    ]


def _separates(name: str, interactions: Mapping[str, int], rate: float) -> Statement:
    """Whether the expected change separates degrees on every dataset, at a learning rate of the ranking loss."""
    degree, one = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64), torch.ones((), dtype=torch.float64)
    shrinking = 1e-3 * 1e-6  # learning rate times decay, whatever the rate of the ranking loss
    decay, texts, separated = theory.decay_change(one, 1.0, shrinking), [], []
    for dataset, count in interactions.items():
        probability = theory.batch_membership(degree, PAPER_BATCH, round(0.8 * count))
        change = theory.expected_change(probability, one, 0.5 * one, rate, shrinking / rate)
        apart = float((change[2] - change[0]) / decay.abs())
        texts.append(f"{dataset} {', '.join(f'{value:.1e}' for value in change.tolist())} ({apart:.1g} times)")
        separated.append(bool(change[0] < change[1] < change[2]) and apart > 0.01)
    return Statement(
        f"{name}, batches of {PAPER_BATCH:,}, norm 1, decay 1e-06: expected change for items of 1, 10 and 100"
        f" interactions, and the first and last apart by how often what decay takes: {'; '.join(texts)}",
        all(separated),
    )


def claim_c16() -> list[Statement]:
    """C16: batched decay and many negatives remove the asymmetry, Corollaries 1 and 2."""
    return [_one_sign_under_batched_decay(), *_one_probability_with_many_negatives()]


def _one_sign_under_batched_decay() -> Statement:
    one = torch.ones((), dtype=torch.float64)
    probability = torch.tensor([0.001, 0.1, 1.0], dtype=torch.float64)
    signs = [
        theory.expected_change_batched(probability, norm * one, 0.5 * one, ETA, DECAY).sign().unique()
        for norm in (0.3, 3.0)
    ]
    return Statement(
        "under batched decay the sign of the expected change is the same for rare and popular items",
        all(len(sign) == 1 for sign in signs),
    )


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
            f" with probability {distinct[0]:.2f} and {distinct[1]:.2f} (with negatives drawn with replacement, as code"
            f" draws them: {repeated[0]:.2f} and {repeated[1]:.2f})",
            abs(distinct[0] - distinct[1]) < 1e-9,
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
    return statements


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
            f"one step writes {share['sparse_adam']:.0%} of the item rows with row-sparse Adam and no decay,"
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
