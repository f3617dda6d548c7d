"""Theory against the actual SGD update in float64, against sampled batches, and its signs."""

import math
from itertools import combinations

import pytest
import torch

from prismlib import synthetic, theory
from prismlib.theory import (
    bpr_critical_decay,
    length_adam_without_decay,
    length_sgd_without_decay,
    memory_of_epochs,
    rest_length_adam,
    rest_length_adamw,
    rest_length_sgd,
    steps_to_rest_adam,
)

ETA, DECAY = 0.05, 0.3
D = torch.float64


def vectors(seed: int, n: int = 50, d: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=D, generator=g), torch.randn(n, d, dtype=D, generator=g)


def step(item: torch.Tensor, loss: torch.Tensor | None, decay: float) -> torch.Tensor:
    """One SGD update of torch itself; the loss is None for an item out of the batch."""
    optimizer = torch.optim.SGD([item], lr=ETA, weight_decay=decay)
    item.grad = torch.zeros_like(item)
    if loss is not None:
        loss.backward()
    before = item.detach().norm(dim=1).square()
    optimizer.step()
    return item.detach().norm(dim=1).square() - before


LOSSES = {
    "cosine": lambda u, i: -torch.cosine_similarity(u, i).sum(),
    "negative": lambda u, i: torch.cosine_similarity(u, i).sum(),
    "dot": lambda u, i: -(u * i).sum(),
    "euclidean": lambda u, i: (u - i).square().sum(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_expectation_is_the_mean_of_the_two_updates_that_sgd_makes(name: str) -> None:
    user, start = vectors(0)
    inside, outside = start.clone().requires_grad_(), start.clone().requires_grad_()
    change_in = step(inside, LOSSES[name](user, inside), DECAY)
    change_out = step(outside, None, DECAY)
    p = torch.linspace(0, 1, len(user), dtype=D)
    norm, cosine = start.norm(dim=1), torch.cosine_similarity(user, start)
    if name in ("cosine", "negative"):
        predicted = theory.expected_change(p, norm, cosine, ETA, DECAY)
        batched = theory.expected_change_batched(p, norm, cosine, ETA, DECAY)
        torch.testing.assert_close(batched, p * change_in, rtol=1e-10, atol=1e-14)
    else:
        formula = theory.expected_change_dot if name == "dot" else theory.expected_change_euclidean
        predicted = formula(p, start, user, ETA, DECAY)
    torch.testing.assert_close(predicted, p * change_in + (1 - p) * change_out, rtol=1e-10, atol=1e-14)


def test_batch_membership_is_the_share_of_sampled_batches() -> None:
    degree, batch, total, draws = torch.tensor([1, 5, 40]), 30, 1000, 4000
    owner = torch.repeat_interleave(torch.arange(3), degree)
    sampled = torch.randint(total, (draws, batch), generator=torch.Generator().manual_seed(0))
    for item in range(3):
        of_item = (owner == item).nonzero().flatten()
        share = torch.isin(sampled, of_item).any(1).double().mean()
        # the exact probability with replacement; Equation 2 swaps the two exponents, which is close for |B|, d << |E|
        exact = 1 - (1 - int(degree[item]) / total) ** batch
        assert float(share) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / draws))
        predicted = theory.batch_membership(degree[item], batch, total)
        assert float(predicted) == pytest.approx(exact, rel=0.02)


def test_signs() -> None:
    user, item = vectors(1)
    norm, cosine = item.norm(dim=1), torch.cosine_similarity(user, item)
    assert (theory.decay_change(norm, ETA, DECAY) < 0).all()
    assert (theory.cosine_change(norm, cosine, ETA) >= 0).all()
    for formula in (theory.expected_change_dot, theory.expected_change_euclidean):
        change = formula(torch.tensor(1.0), item, user, ETA, DECAY)
        assert (change > 0).any() and (change < 0).any()


def test_negatives_take_the_popularity_out_of_batch_membership() -> None:
    degree = torch.tensor([0, 10, 1000])
    spread = [theory.batch_membership(degree, 100, 10_000, n, 1000) for n in (0, 5, 10)]
    ranges = [float(p.max() - p.min()) for p in spread]
    assert ranges[0] > ranges[1] > ranges[2] == 0
    assert torch.equal(spread[2], torch.ones(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.tensor([1]), 0, 10), r"batch_size must lie in \[1, 10\]"),
        ((torch.tensor([1]), 11, 10), r"batch_size must lie in \[1, 10\]"),
        ((torch.tensor([-1]), 1, 10), "degree must be >= 0"),
        ((torch.tensor([1]), 5, 10, 2, 9), "10 distinct negatives need as many items"),
        ((torch.tensor([1]), 5, 10, 2), "num_items=None"),
    ],
)
def test_bad_input(arguments: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        theory.batch_membership(*arguments)


def test_exact_batch_membership_is_the_hypergeometric_law_and_never_below_equation_2() -> None:
    for total, batch in ((12, 5), (12, 12), (500, 40), (500, 1)):
        degree = torch.arange(total + 1)
        exact = [1 - math.comb(total - d, batch) / math.comb(total, batch) for d in range(total + 1)]
        got = theory.batch_membership_exact(degree, batch, total)
        torch.testing.assert_close(got, torch.tensor(exact, dtype=D), rtol=1e-9, atol=1e-9)
        assert (got >= theory.batch_membership(degree.double(), batch, total) - 1e-9).all()


@pytest.mark.parametrize(("degree", "batch"), [([-1], 3), ([11], 3), ([1], 0), ([1], 11)])
def test_bad_input_of_the_exact_law(degree: list[int], batch: int) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[[01], 10\]"):
        theory.batch_membership_exact(torch.tensor(degree), batch, 10)


def test_several_interactions_in_a_batch_average_over_all_batches() -> None:
    user, [item, *_] = vectors(2, n=7)
    direction = item / item.norm()
    users = torch.nn.functional.normalize(user, dim=1)
    gradients = -(users - (users @ direction)[:, None] * direction) / item.norm()
    gradients[4:] = 0  # the last three interactions are of other items
    changes = []
    for batch in combinations(range(7), 3):
        after = (1 - ETA * DECAY) * item - ETA * gradients[list(batch)].sum(0)
        changes.append(after.square().sum() - item.square().sum())
    predicted = theory.expected_change_exact(gradients[:4], item.norm(), 3, 7, ETA, DECAY)
    torch.testing.assert_close(predicted, torch.stack(changes).mean(), rtol=1e-12, atol=1e-15)


def test_batch_membership_takes_numbers_and_keeps_small_probabilities() -> None:
    assert theory.batch_membership(5, 10, 1000).item() == pytest.approx(1 - 0.99**5)
    assert theory.batch_membership(torch.tensor([1.0]), 1, 10**8).item() == pytest.approx(1e-8)


# The law of lengths, against a controlled simulation: rows that meet tangent gradients with probability p per step


def simulated(kind: str, chance: torch.Tensor, lr: float, decay: float, steps: int, start: float) -> torch.Tensor:
    """Root mean square length over the last third of the steps of 16 rows for each chance of a gradient in a step."""
    generator = torch.Generator().manual_seed(0)
    p = chance.repeat_interleave(16)[:, None]
    rows = torch.nn.functional.normalize(torch.randn(len(p), DIM, generator=generator), dim=1) * start
    table = torch.nn.Parameter(rows)
    optimizers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimizer = optimizers[kind]([table], lr=lr, weight_decay=decay, **({} if kind == "sgd" else {"fused": True}))
    squares, counted = torch.zeros(len(p)), 0
    for step in range(steps):
        w = table.detach()
        square = w.square().sum(1, keepdim=True)
        noise = torch.randn(w.shape, generator=generator)
        tangent = noise - w * ((noise * w).sum(1, keepdim=True) / square)
        met = torch.rand(p.shape, generator=generator) < p
        table.grad = tangent * met * (STRENGTH / DIM**0.5) / square.sqrt()
        optimizer.step()
        if step >= steps * 2 // 3:
            squares, counted = squares + table.detach().square().sum(1), counted + 1
    return (squares / counted).view(-1, 16).mean(1).sqrt()


DIM, STRENGTH = 64, 1e-3
CHANCE = torch.tensor([0.03, 0.1, 0.3, 1.0])


def test_lengths_under_coupled_adam_rest_where_the_law_says() -> None:
    noise = STRENGTH * CHANCE.sqrt()
    expected = rest_length_adam(noise, lr=3e-3, decay=1e-4, dim=DIM)
    found = simulated("adam", CHANCE, lr=3e-3, decay=1e-4, steps=4000, start=0.3)
    assert 3 * steps_to_rest_adam(expected, 3e-3, DIM).max() < 4000 * 2 / 3
    assert (found / expected - 1).abs().max() < 0.06
    slope = torch.log(found[-1] / found[0]) / torch.log(CHANCE[-1] / CHANCE[0])
    assert slope.item() == pytest.approx(1 / 6, abs=0.02)


def test_lengths_under_adamw_and_without_decay_know_nothing_of_popularity() -> None:
    rest = rest_length_adamw(lr=3e-3, decay=0.3, dim=DIM)
    found = simulated("adamw", CHANCE, lr=3e-3, decay=0.3, steps=3000, start=0.5)
    assert (found / rest - 1).abs().max() < 0.08
    assert found.max() / found.min() < 1.06  # under coupled decay it would be 1.8
    grown = simulated("adam", CHANCE, lr=1e-3, decay=0.0, steps=3000, start=0.2)
    # the mean over the last third, of what grows evenly in its square
    expected = length_adam_without_decay(torch.tensor(0.2), lr=1e-3, steps=2500, dim=DIM)
    assert (grown / expected).min() > 0.87 and (grown / expected).max() < 1
    assert grown.max() / grown.min() < 1.06


def test_plain_sgd_writes_popularity_with_decay_and_without() -> None:
    noise = STRENGTH * CHANCE.sqrt()
    expected = rest_length_sgd(noise, lr=5.0, decay=1e-4)
    found = simulated("sgd", CHANCE, lr=5.0, decay=1e-4, steps=3000, start=0.2)
    assert (found / expected - 1).abs().max() < 0.06
    grown = simulated("sgd", CHANCE, lr=5.0, decay=0.0, steps=3000, start=0.15)
    law = length_sgd_without_decay(torch.tensor(0.15), noise, lr=5.0, steps=2500)
    assert (grown / law - 1).abs().max() < 0.08
    slope = torch.log(grown[-1] / grown[0]) / torch.log(CHANCE[-1] / CHANCE[0])
    assert slope.item() == pytest.approx(1 / 4, abs=0.03)


def test_the_memory_of_epochs_is_that_of_gradients_that_sum_to_zero() -> None:
    steps = 20
    # each step's correlation with the next: of a zero-sum sequence, -1 / (steps - 1) inside an epoch and 0 across
    lags = range(1, steps)
    expected = 1 - 2 * sum(0.9**lag * (steps - lag) / steps for lag in lags) / (steps - 1)
    assert memory_of_epochs(steps) == pytest.approx(expected)
    assert rest_length_adam(torch.tensor(1.0), 1e-3, 1e-3, 1, memory=8.0) == pytest.approx(2 * 0.5 ** (1 / 3))


def test_bpr_dies_above_its_critical_decay_and_lives_below() -> None:
    data = synthetic(60, 40, 600, seed=0)
    user, item = torch.from_numpy(data.user).long(), torch.from_numpy(data.item).long()
    critical = bpr_critical_decay(user, item, 60, 40)
    matrix = torch.zeros(60, 40, dtype=D).index_put_((user, item), torch.ones((), dtype=D))
    first, second = torch.linalg.svdvals((matrix - matrix.sum(1, keepdim=True) / 40) / (2 * len(user)))[:2].tolist()
    assert critical == pytest.approx(first, rel=1e-6)

    def singular_values(decay: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        users, items = ((0.1 * torch.randn(n, 4, generator=generator)).requires_grad_() for n in (60, 40))
        optimizer = torch.optim.LBFGS([users, items], max_iter=400, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            scores = users @ items.T
            margins = scores[user, item][:, None] - scores[user]  # against every item, as the expectation is
            loss = -torch.nn.functional.logsigmoid(margins).mean()
            loss = loss + decay / 2 * (users.square().sum() + items.square().sum())
            loss.backward()
            return loss

        optimizer.step(closure)
        return torch.linalg.svdvals(items.detach())

    assert singular_values(1.3 * critical)[0] < 1e-2
    below = singular_values((first + second) / 2)
    assert below[0] > 0.1 and below[1] < 0.1 * below[0]  # rank one: the same list for every user
