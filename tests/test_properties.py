"""Properties on random input: everything that computes, against slow loops in double precision."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prismlib import (
    MAWU,
    SSM,
    Dataset,
    FullRanking,
    Interactions,
    popularity_groups,
    prism,
    prism_,
    prism_norm,
    random_split,
    theory,
)
from prismlib.baselines import MACR, ipl_penalty, resn_penalty, resn_penalty_batch
from prismlib.hypersphere import uniformity, uniformity_released
from prismlib.losses import bpr_loss, directau_loss, ssm_loss
from prismlib.metrics import average_popularity, coverage, gini, hit_rate, mrr, ndcg, recall

# the same examples on every machine, with no time limit that a busy one would miss
reproducible = settings(max_examples=40, deadline=None, derandomize=True, database=None)

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
COUNTS = [torch.int16, torch.int32, torch.int64, *FLOATS]
SEED, ALPHA = st.integers(0, 2**32 - 1), st.floats(0, 1)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# PRISM


@st.composite
def tables(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Rows with norms from 0.05 to 20 that are no zero in any dtype, and a count for each."""
    n, d, g = draw(st.integers(1, 30)), draw(st.integers(1, 40)), generator(draw(SEED))
    direction = torch.nn.functional.normalize(torch.randn(n, d, dtype=torch.float64, generator=g))
    weight = direction * 0.05 * 400 ** torch.rand(n, 1, dtype=torch.float64, generator=g)
    # to 2,000: every integer dtype and float16 hold it
    counts = torch.randint(draw(st.sampled_from([2, 10, 2000])), (n,), generator=g)
    return weight.to(draw(st.sampled_from(FLOATS))), counts.to(draw(st.sampled_from(COUNTS)))


@reproducible
@given(tables(), ALPHA)
def test_prism_gives_the_formulas_norms_keeps_directions_and_is_idempotent(
    table: tuple[Tensor, Tensor], alpha: float
) -> None:
    weight, popularity = table
    wanted = [alpha * math.log(float(d) + 2) + 1 - alpha for d in popularity]
    scaled = prism(weight, popularity, alpha)
    assert scaled.dtype == weight.dtype and scaled.shape == weight.shape
    fine = torch.finfo(weight.dtype).eps  # for four roundings: norm, quotient, target, product
    norm = torch.linalg.vector_norm(scaled.double(), dim=1)
    torch.testing.assert_close(norm, torch.tensor(wanted, dtype=torch.float64), rtol=4 * fine, atol=0)
    cosine = torch.cosine_similarity(scaled.double(), weight.double())
    assert (cosine > 1 - 4 * fine**2 - 1e-14).all()
    assert (scaled.sign() == weight.sign()).logical_or(weight.abs() < fine).all()
    again = prism(scaled, popularity, alpha)
    torch.testing.assert_close(again, scaled, rtol=6 * fine, atol=float(torch.finfo(weight.dtype).smallest_normal))


@reproducible
@given(st.sampled_from(COUNTS), ALPHA)
def test_prism_norm_rises_with_popularity(dtype: torch.dtype, alpha: float) -> None:
    norm = prism_norm(torch.arange(0, 2000, 7).to(dtype), alpha)
    assert norm.is_floating_point() and (norm > 0).all()
    assert (norm.diff() >= 0).all()
    assert alpha < 0.1 or norm[-1] > norm[0]


@reproducible
@given(tables(), ALPHA, st.integers(0, 5), st.integers(0, 5))
def test_prism_in_place_touches_the_rows_it_is_given_alone(
    table: tuple[Tensor, Tensor], alpha: float, above: int, below: int
) -> None:
    weight, popularity = table
    whole = torch.full((above + len(weight) + below, weight.shape[1]), 7.0, dtype=weight.dtype)
    part = whole[above : above + len(weight)]
    part.copy_(weight)
    assert prism_(part, popularity, alpha) is part
    assert torch.equal(whole[above : above + len(weight)], prism(weight, popularity, alpha))
    assert (whole[:above] == 7).all() and (whole[above + len(weight) :] == 7).all()


@reproducible
@given(
    tables(),
    st.one_of(st.floats(max_value=0, exclude_max=True), st.floats(min_value=1, exclude_min=True), st.just(math.nan)),
)
def test_prism_refuses_every_other_alpha(table: tuple[Tensor, Tensor], alpha: float) -> None:
    before = table[0].clone()
    with pytest.raises(ValueError, match=r"alpha must lie in \[0, 1\]"):
        prism_(*table, alpha)
    assert torch.equal(table[0], before)


@reproducible
@given(tables(), st.floats(max_value=-0.01) | st.sampled_from([math.nan, math.inf]), st.data())
def test_prism_refuses_counts_that_are_none(table: tuple[Tensor, Tensor], count: float, data: st.DataObject) -> None:
    popularity = table[1].double()
    popularity[data.draw(st.integers(0, len(popularity) - 1))] = count
    with pytest.raises(ValueError, match="popularity must be finite and >= 0"):
        prism_(table[0], popularity)


# Losses. Each oracle is its formula in loops over a batch of floats.

Rows = list[list[float]]


def dot(x: list[float], y: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def cosine(x: list[float], y: list[float]) -> float:
    return dot(x, y) / math.sqrt(dot(x, x) * dot(y, y))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def spread(rows: Rows) -> float:
    """Uniformity: over ordered pairs, ||x^ - y^||^2 = 2 - 2 cos."""
    n = len(rows)
    if n < 2:
        return 0.0
    pairs = [math.exp(-2 * (2 - 2 * cosine(rows[p], rows[q]))) for p in range(n) for q in range(n) if p != q]
    return math.log(math.fsum(pairs) / len(pairs))


class Batch:
    """Pairs with repeated ids, whose rows are equal where ids are, and negatives; tensors and lists of the same."""

    def __init__(self, size: int, dim: int, negatives: int, ids: int, seed: int) -> None:
        g = generator(seed)
        users, items = (torch.randn(ids, dim, dtype=torch.float64, generator=g) for _ in range(2))
        self.user_id, self.item_id = (torch.randint(ids, (size,), generator=g) for _ in range(2))
        self.user, self.item = users[self.user_id], items[self.item_id]
        self.negative = torch.randn(size, negatives, dim, dtype=torch.float64, generator=g)
        self.popularity = torch.randint(1, 50, (ids,), generator=g)
        self.margins = [torch.rand(ids, 1, dtype=torch.float64, generator=g) for _ in range(2)]
        self.branches = [torch.randn(dim, 1, dtype=torch.float64, generator=g) for _ in range(2)]

    def ids(self) -> dict[str, Tensor]:
        return {"user_id": self.user_id, "item_id": self.item_id}

    def permuted(self, order: Tensor) -> "Batch":
        other = object.__new__(Batch)
        other.__dict__ |= self.__dict__
        for name in ("user_id", "item_id", "user", "item", "negative"):
            setattr(other, name, getattr(self, name)[order])
        return other

    def scaled(self, seed: int) -> "Batch":
        """Each row longer or shorter."""
        other, g = self.permuted(torch.arange(len(self.user))), generator(seed)
        for name in ("user", "item", "negative"):
            rows = getattr(self, name)
            setattr(other, name, rows * 10 ** (2 * torch.rand(*rows.shape[:-1], 1, dtype=rows.dtype, generator=g) - 1))
        return other

    def single(self) -> "Batch":
        other = object.__new__(Batch)
        for name, value in self.__dict__.items():
            cast = [x.float() for x in value] if isinstance(value, list) else value
            setattr(other, name, cast.float() if isinstance(cast, Tensor) and cast.is_floating_point() else cast)
        return other

    def lists(self) -> list[tuple[list[float], list[float], Rows]]:
        return list(zip(self.user.tolist(), self.item.tolist(), self.negative.tolist(), strict=True))

    def distinct(self) -> tuple[Rows, Rows]:
        return tuple(  # type: ignore[return-value]
            list(dict(zip(ids.tolist(), rows.tolist(), strict=True)).values())
            for ids, rows in ((self.user_id, self.user), (self.item_id, self.item))
        )


def released_spread(rows: Rows) -> float:
    """MAWU's uniformity as released: the upper triangle and the diagonal are zeros before the exponential."""
    n = len(rows)
    terms = [math.exp(-2 * (2 - 2 * (cosine(rows[p], rows[q]) if q < p else 0))) for p in range(n) for q in range(n)]
    return math.log(math.fsum(terms) / n**2)


def mawu(x: Batch, kind: Callable[..., Tensor] = uniformity) -> Tensor:
    loss = MAWU(len(x.margins[0]), len(x.margins[1]), 0.7, 0.3, uniformity=kind).to(x.user.dtype)
    with torch.no_grad():
        loss.user_margin.copy_(x.margins[0])
        loss.item_margin.copy_(x.margins[1])
    return loss(x.user, x.item, **x.ids())


def naive_mawu(x: Batch, kind: Callable[[Rows], float] = spread) -> float:
    terms = []
    for u, i, (user, item, _) in zip(x.user_id.tolist(), x.item_id.tolist(), x.lists(), strict=True):
        margin = 1 - sigmoid(x.margins[0][u].item() + x.margins[1][i].item())
        angle = math.acos(max(-1 + 1e-7, min(cosine(user, item), 1 - 1e-7)))
        terms.append(-math.cos(max(0.0, min(angle + margin, math.pi))))
    users, items = x.distinct()
    return statistics.fmean(terms) + 0.7 * kind(users) + 0.3 * kind(items)


def naive_directau(x: Batch, users: Rows, items: Rows) -> float:
    terms = []
    for user, item, _ in x.lists():
        a, b = math.sqrt(dot(user, user)), math.sqrt(dot(item, item))
        terms.append(math.fsum((p / a - q / b) ** 2 for p, q in zip(user, item, strict=True)))
    return statistics.fmean(terms) + 2.5 * (spread(users) + spread(items)) / 2


def naive_ssm(x: Batch, tau: float = 0.2) -> float:
    terms = []
    for user, item, negatives in x.lists():
        top = math.exp(cosine(user, item) / tau)
        terms.append(-math.log(top / (top + math.fsum(math.exp(cosine(user, j) / tau) for j in negatives))))
    return statistics.fmean(terms)


def naive_bpr(x: Batch) -> float:
    lists = x.lists()
    return statistics.fmean(math.log1p(math.exp(dot(u, j) - dot(u, i))) for u, i, js in lists for j in js)


def ipl(x: Batch) -> Tensor:
    return ipl_penalty((x.user * x.item).sum(-1), x.item_id, x.popularity, 1.4)


def naive_ipl(x: Batch) -> float:
    total: dict[int, float] = {}
    for i, (user, item, _) in zip(x.item_id.tolist(), x.lists(), strict=True):
        total[i] = total.get(i, 0.0) + sigmoid(dot(user, item))
    ratios = [value / x.popularity[i].item() ** (2 - 1.4) for i, value in total.items()]
    return statistics.stdev(ratios) if len(ratios) > 1 else 0.0


def naive_resn(x: Batch) -> float:
    """||Y q||^2, Y = sigmoid(U V^T), q = Y^T 1 / ||Y^T 1||; the negatives of the first pair stand for all items."""
    items = x.negative[0].tolist()
    y = [[sigmoid(dot(user, v)) for v in items] for user, _, _ in x.lists()]
    r = [math.fsum(column) for column in zip(*y, strict=True)]
    return math.fsum(dot(row, r) ** 2 for row in y) / dot(r, r)


def naive_resn_batch(x: Batch) -> float:
    users, items = x.user.tolist(), x.item.tolist()
    score = [[dot(u, v) for v in items] for u in users]
    listed = [math.fsum(row[n] for row in score) for n in range(len(items))]
    return math.fsum(dot(row, listed) ** 2 for row in score) / dot(listed, listed)


def macr(x: Batch) -> Tensor:
    loss = MACR(x.user.shape[1], alpha=0.3, beta=0.2).to(x.user.dtype)
    with torch.no_grad():
        loss.user_branch.copy_(x.branches[0])
        loss.item_branch.copy_(x.branches[1])
    return loss(x.user, x.item, x.negative)


def naive_macr(x: Batch) -> float:
    wu, wi = (branch.flatten().tolist() for branch in x.branches)
    total = 0.0
    for user, item, negatives in x.lists():
        for listed, sign in ((item, 1), (negatives[0], -1)):
            y_u, y_i = dot(wu, user), dot(wi, listed)
            for logit, weight in ((dot(user, listed) * sigmoid(y_i) * sigmoid(y_u), 1), (y_i, 0.3), (y_u, 0.2)):
                total += weight * math.log1p(math.exp(-sign * logit))
    return total / len(x.user)


LOSSES: dict[str, tuple[Callable[[Batch], Tensor], Callable[[Batch], float]]] = {
    "BPR": (lambda x: bpr_loss(x.user, x.item, x.negative), naive_bpr),
    "SSM": (lambda x: ssm_loss(x.user, x.item, x.negative), naive_ssm),
    "SSM at another temperature": (
        lambda x: SSM(0.5, x.negative.shape[1])(x.user, x.item, x.negative),
        lambda x: naive_ssm(x, 0.5),
    ),
    "DirectAU": (lambda x: directau_loss(x.user, x.item, 2.5, **x.ids()), lambda x: naive_directau(x, *x.distinct())),
    "DirectAU with repeats": (
        lambda x: directau_loss(x.user, x.item, 2.5),
        lambda x: naive_directau(x, x.user.tolist(), x.item.tolist()),
    ),
    "MAWU": (mawu, naive_mawu),
    "MAWU as released": (lambda x: mawu(x, uniformity_released), lambda x: naive_mawu(x, released_spread)),
    "IPL": (ipl, naive_ipl),
    "ReSN": (lambda x: resn_penalty(x.user, x.negative[0]), naive_resn),
    "ReSN on the batch": (lambda x: resn_penalty_batch(x.user, x.item), naive_resn_batch),
    "MACR": (macr, naive_macr),
}
ANGLE_BASED = set(LOSSES) - {"BPR", "IPL", "ReSN", "ReSN on the batch", "MACR"}

a_batch = st.builds(Batch, st.integers(1, 9), st.integers(2, 7), st.integers(1, 5), st.integers(1, 12), SEED)


@pytest.mark.parametrize("loss", LOSSES)
@reproducible
@given(x=a_batch)
def test_a_loss_is_its_formula(loss: str, x: Batch) -> None:
    measured, naive = LOSSES[loss]
    expected = naive(x)
    assert measured(x).dtype == torch.float64
    assert measured(x).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if loss != "ReSN on the batch":  # its quotient can lose every digit of single precision
        assert measured(x.single()).dtype == torch.float32
        assert measured(x.single()).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@reproducible
@given(x=a_batch, seed=SEED)
def test_a_loss_does_not_see_the_order_of_its_batch(loss: str, x: Batch, seed: int) -> None:
    measured, _ = LOSSES[loss]
    other = x.permuted(torch.randperm(len(x.user), generator=generator(seed)))
    if loss == "ReSN":
        other.negative = x.negative  # its items, which stay where they are
    assert measured(other).item() == pytest.approx(measured(x).item(), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("loss", sorted(ANGLE_BASED))
@reproducible
@given(x=a_batch, seed=SEED)
def test_an_angle_based_loss_does_not_see_lengths(loss: str, x: Batch, seed: int) -> None:
    measured, _ = LOSSES[loss]
    assert measured(x.scaled(seed)).item() == pytest.approx(measured(x).item(), rel=1e-9, abs=1e-9)


# around the edges of tiles of 512 rows, and of powers of two below them
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 31, 64, 127, 129, 255, 257, 511, 512, 513, 770, 1023, 1024, 1025, 1100])
def test_uniformity_and_its_gradient_are_the_formulas_at_every_size(n: int, dtype: torch.dtype) -> None:
    x = torch.randn(n, 8, dtype=torch.float64, generator=generator(n)).to(dtype).requires_grad_()
    ours = uniformity(x)
    (gradient,) = torch.autograd.grad(3 * ours, x)
    assert ours.dtype == gradient.dtype == dtype
    if n == 1:
        assert ours == 0 and not gradient.any()
        return
    exact = x.detach().double().requires_grad_()
    unit = exact / exact.norm(dim=1, keepdim=True)
    reference = torch.pdist(unit).square().mul(-2).exp().mean().log()
    (wanted,) = torch.autograd.grad(3 * reference, exact)
    precise = dtype == torch.float64
    assert ours.item() == pytest.approx(reference.item(), rel=1e-12 if precise else 1e-5)
    assert (gradient.double() - wanted).norm() <= (1e-11 if precise else 1e-5) * wanted.norm()


# Metrics


@st.composite
def rankings(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Hits, numbers of held-out items and groups of random lists."""
    users, k, g = draw(st.integers(1, 12)), draw(st.integers(1, 25)), generator(draw(SEED))
    hit = torch.rand(users, k, generator=g) < draw(st.sampled_from([0.05, 0.3, 1.0]))
    # hits that the list has, and perhaps some that it has missed
    relevant = (hit.sum(1) + torch.randint(0, 30, (users,), generator=g)).clamp_min(1)
    return hit, relevant, torch.randint(3, (users, k), generator=g)


def naive_metrics(hit: list[bool], relevant: int) -> dict[Any, float]:
    ranks = [rank for rank, is_hit in enumerate(hit, start=1) if is_hit]
    ideal = math.fsum(1 / math.log2(rank + 1) for rank in range(1, min(len(hit), relevant) + 1))
    return {
        ndcg: math.fsum(1 / math.log2(rank + 1) for rank in ranks) / ideal,
        recall: len(ranks) / relevant,
        hit_rate: 1.0 if ranks else 0.0,
        mrr: 1 / ranks[0] if ranks else 0.0,
    }


@reproducible
@given(rankings())
def test_metrics_are_their_definitions_and_their_parts_those_of_each_group(x: tuple[Tensor, Tensor, Tensor]) -> None:
    hit, relevant, group = x
    for metric in (ndcg, recall, hit_rate, mrr):
        whole, parts = metric(hit, relevant), metric(hit, relevant, group)
        torch.testing.assert_close(parts.sum(1), whole, rtol=1e-5, atol=1e-6)
        for user in range(len(hit)):
            expected = naive_metrics(hit[user].tolist(), int(relevant[user]))[metric]
            assert whole[user].item() == pytest.approx(expected, rel=1e-5)
            assert -1e-6 <= whole[user].item() <= 1 + 1e-6
            for index in range(3):
                of_group = hit[user] & (group[user] == index)
                if metric in (hit_rate, mrr):  # the first hit's group has all of it
                    first = int(hit[user].int().argmax())
                    part = expected if hit[user].any() and group[user, first] == index else 0.0
                else:
                    part = naive_metrics(of_group.tolist(), int(relevant[user]))[metric]
                assert parts[user, index].item() == pytest.approx(part, rel=1e-5)


@reproducible
@given(rankings())
def test_longer_lists_are_never_worse_but_by_ndcg(x: tuple[Tensor, Tensor, Tensor]) -> None:
    hit, relevant, _ = x
    for metric in (recall, hit_rate, mrr):
        by_length = torch.stack([metric(hit[:, :k], relevant) for k in range(1, hit.shape[1] + 1)])
        assert (by_length.diff(dim=0) >= -1e-6).all()
    # NDCG's ideal grows with K too, until it holds all of the user's items
    by_length = torch.stack([ndcg(hit[:, :k], relevant) for k in range(1, hit.shape[1] + 1)])
    settled = torch.arange(1, hit.shape[1])[:, None] >= relevant
    assert (by_length.diff(dim=0)[settled] >= -1e-6).all()


@reproducible
@given(st.lists(st.integers(0, 12), min_size=1, max_size=150))
def test_popularity_groups_are_the_top_5_and_the_next_15_percent(popularity: list[int]) -> None:
    n = len(popularity)
    order = sorted(range(n), key=lambda item: (-popularity[item], item))
    groups = popularity_groups(torch.tensor(popularity))
    assert [int(groups[item]) for item in order] == [
        0 if 20 * place < n else 1 if 5 * place < n else 2 for place in range(n)
    ]
    assert groups.bincount(minlength=3).tolist() == [
        math.ceil(n / 20),
        math.ceil(n / 5) - math.ceil(n / 20),
        n - math.ceil(n / 5),
    ]


@reproducible
@given(st.integers(1, 30), st.integers(1, 15), st.integers(1, 12), SEED)
def test_coverage_gini_and_average_popularity_of_random_lists(n: int, users: int, k: int, seed: int) -> None:
    g = generator(seed)
    chosen = torch.rand(users, n, generator=g).argsort(1)[:, :k]  # a list has each item once
    lists = torch.full((users, k), -1)  # no item
    lists[:, : chosen.shape[1]] = chosen.where(torch.rand(chosen.shape, generator=g) < 0.8, -1)
    lists[0, 0] = chosen[0, 0]
    popularity = torch.randint(100, (n,), generator=g)
    flat = [item for row in lists.tolist() for item in row if item >= 0]
    counts = [flat.count(item) for item in range(n)]
    differences = sum(abs(a - b) for a in counts for b in counts)
    means = [[int(popularity[item]) for item in row if item >= 0] for row in lists.tolist()]
    assert coverage(lists, n).item() == pytest.approx(len(set(flat)) / n)
    assert gini(lists, n).item() == pytest.approx(differences / (2 * n * sum(counts)), abs=1e-6)
    assert 0 < coverage(lists, n) <= min(1, lists.numel() / n) + 1e-6
    assert -1e-6 <= gini(lists, n).item() <= 1 - 1 / n + 1e-6
    expected = statistics.fmean(statistics.fmean(row) for row in means if row)  # an empty list does not count
    assert average_popularity(lists, popularity).item() == pytest.approx(expected, rel=1e-5)


# Ranking


@reproducible
@given(st.integers(1, 300), st.integers(2, 400), st.integers(1, 4), st.integers(1, 20), SEED)
def test_ranked_lists_are_a_dense_sort_with_ties_by_item(users: int, items: int, dim: int, k: int, seed: int) -> None:
    g, k = generator(seed), min(k, items)
    user, item = (torch.randint(-2, 3, (n, dim), generator=g).float() for n in (users, items))  # many equal scores
    draw = torch.rand(users, items, generator=g)
    # a user keeps from none to all of the items
    masked = draw < torch.rand(users, 1, generator=g) * 1.2 - 0.1
    held_out = (torch.rand(users, items, generator=g) < 2 / items) & ~masked  # some users have nothing held out
    masked[0, 0], held_out[0, 0] = False, True
    pairs = [Interactions(*(ids.numpy() for ids in x.nonzero(as_tuple=True))) for x in (held_out, masked)]
    ranking = FullRanking(pairs[0], [pairs[1]], popularity_groups(torch.ones(items)), users, k)
    assert ranking.users.tolist() == [u for u in range(users) if held_out[u].any()]
    lists = ranking.lists(user, item)
    with np.errstate(divide="ignore"):
        norm = np.maximum(np.linalg.norm(item.double().numpy(), axis=1), np.finfo(np.float32).tiny)
        inverse = (1 / norm).astype(np.float32)
    dots = user.numpy() @ item.numpy().T  # integers: exact
    for by, scores in (("dot", dots), ("cosine", dots * inverse)):
        for row, u in zip(lists[by].tolist(), ranking.users.tolist(), strict=True):
            left = [i for i in range(items) if not masked[u, i]]
            best = sorted(left, key=lambda i: (-scores[u, i], i))[:k]
            assert row == best + [-1] * (k - len(best))
    hits_by_user = ranking.hits(lists["dot"])
    for row, hits, u in zip(lists["dot"].tolist(), hits_by_user.tolist(), ranking.users.tolist(), strict=True):
        assert hits == [i >= 0 and bool(held_out[u, i]) for i in row]


# Theory


@reproducible
@given(st.integers(1, 10_000), st.data())
def test_batch_membership_is_a_probability_that_rises_with_degree_and_batch(total: int, data: st.DataObject) -> None:
    batch = data.draw(st.integers(1, total))
    larger = data.draw(st.integers(batch, total))
    degree = torch.arange(0, 200, dtype=torch.float64)
    p, q = (theory.batch_membership(degree, size, total) for size in (batch, larger))
    assert p[0] == 0 and p[1].item() == pytest.approx(batch / total)
    assert (p >= 0).all() and (p <= 1).all()
    assert (p.diff() >= -1e-15).all() and (q >= p - 1e-15).all()
    items = data.draw(st.integers(2 * batch, 20 * batch))
    one, two = (theory.batch_membership(degree, batch, total, n, items) for n in (1, 2))
    assert (p <= one).all() and (one <= two).all() and (two <= 1).all()
    assert one[0].item() == pytest.approx(batch / items)


@reproducible
@given(st.floats(0.01, 100), st.floats(-1, 1), st.floats(1e-6, 10), st.floats(0, 1), st.floats(0, 1))
def test_the_signs_of_the_expected_change_and_its_continuity(
    length: float, angle: float, eta: float, share: float, p: float
) -> None:
    norm, cos = torch.tensor(length, dtype=torch.float64), torch.tensor(angle, dtype=torch.float64)
    decay = 2 * share / eta  # 0 <= eta * decay <= 2
    down, up = theory.decay_change(norm, eta, decay), theory.cosine_change(norm, cos, eta)
    assert down <= 1e-12 * length**2 and up >= 0  # at eta * decay = 2 rounding alone is left
    assert -(length**2) * (1 + 1e-12) <= down  # no row shrinks below nothing
    change = theory.expected_change(torch.tensor(p), norm, cos, eta, decay)
    assert change.item() == pytest.approx(float(down + torch.tensor(p) * up), rel=1e-12)
    assert theory.expected_change(torch.tensor(0.0), norm, cos, eta, decay) == down
    assert theory.expected_change_batched(torch.tensor(0.0), norm, cos, eta, decay) == 0
    # a small move of every argument moves it little, beside its two parts
    near = theory.expected_change(torch.tensor(p), norm * (1 + 1e-9), cos, eta * (1 + 1e-9), decay)
    size = length**2 + eta**2 / length**2
    assert abs(near - change) <= 1e-7 * size


def test_decay_grows_a_row_beyond_its_range() -> None:
    assert theory.decay_change(torch.tensor(1.0), 1.0, 2.1) > 0


# Splits


@reproducible
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**63 - 1))
def test_a_split_is_a_partition_by_80_10_10(users: int, items: int, density: float, seed: int) -> None:
    keys = np.flatnonzero(np.random.default_rng(seed).random(users * items) < density)
    if len(keys) < 10:
        keys = np.arange(users * items)
    pairs = [(keys // items).astype(np.int32), (keys % items).astype(np.int32)]
    data = Dataset("random", *pairs, users, items)
    if len(keys) < 10:
        with pytest.raises(ValueError, match="too few"):
            random_split(data, seed)
        return
    split, again, other = random_split(data, seed), random_split(data, seed), random_split(data, seed + 1)
    parts = [split.train, split.validation, split.test]
    n = len(keys)
    assert [len(part.user) for part in parts] == [n - 2 * (n // 10), n // 10, n // 10]
    together = np.concatenate([part.user.astype(int) * items + part.item for part in parts])
    assert np.array_equal(np.sort(together), keys)  # as many as there are, each once: disjoint and complete
    assert split.split_hash == again.split_hash
    assert all(np.array_equal(a, b) for a, b in zip(split.train, again.train, strict=True))
    assert n < 30 or other.split_hash != split.split_hash
    assert np.array_equal(split.item_popularity, [(split.train.item == i).sum() for i in range(items)])
