"""The theorem and its corollaries derived with SymPy from the losses themselves, and Equation 2 beside the exact law.

What :mod:`prismlib.theory` computes is compared with the derivations, not with the formulas retyped.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
import torch

from prismlib import theory
from prismlib.hypersphere import alignment
from prismlib.train import batches

Vector = tuple[sp.Symbol, ...]
ETA, DECAY, P = sp.symbols("eta lambda P", nonnegative=True)


def vectors(dim: int) -> tuple[Vector, Vector]:
    return sp.symbols(f"u:{dim}", real=True), sp.symbols(f"i:{dim}", real=True)


def dot(x: Any, y: Any) -> sp.Expr:
    return sum(a * b for a, b in zip(x, y, strict=True))


def norm(x: Any) -> sp.Expr:
    return sp.sqrt(dot(x, x))


def cos(u: Any, i: Any) -> sp.Expr:
    return dot(u, i) / (norm(u) * norm(i))


LOSSES: dict[str, Callable[[Any, Any], sp.Expr]] = {
    "cosine": lambda u, i: -cos(u, i),
    "negative": cos,  # a sampled item is pushed away: the sign cancels in the norm
    "dot": lambda u, i: -dot(u, i),
    "euclidean": lambda u, i: sum((a - b) ** 2 for a, b in zip(u, i, strict=True)),
}


def change(loss: sp.Expr, item: Vector) -> sp.Expr:
    """Of the squared norm by one SGD step on ``loss``."""
    after = [x - ETA * sp.diff(loss, x) for x in item]
    return dot(after, after) - dot(item, item)


def expected(name: str, dim: int, batched: bool = False) -> tuple[sp.Expr, Vector, Vector]:
    """E||i'||^2 - ||i||^2 with Equation 1's decay on the whole table, or on the batch's rows only."""
    user, item = vectors(dim)
    decay = DECAY / 2 * dot(item, item)
    inside = change(LOSSES[name](user, item) + decay, item)
    outside = sp.Integer(0) if batched else change(decay, item)
    return P * inside + (1 - P) * outside, user, item


KEEP, PULLED = 1 - ETA * DECAY, 1 - ETA * DECAY - 2 * ETA


def cosine_formula(u: Vector, i: Vector) -> tuple[sp.Expr, sp.Expr]:
    return (KEEP**2 - 1) * dot(i, i), ETA**2 * (1 - cos(u, i) ** 2) / dot(i, i)


FORMULAS: dict[str, Callable[[Vector, Vector], sp.Expr]] = {
    "cosine": lambda u, i: cosine_formula(u, i)[0] + P * cosine_formula(u, i)[1],
    "negative": lambda u, i: cosine_formula(u, i)[0] + P * cosine_formula(u, i)[1],
    "dot": lambda u, i: (KEEP**2 - 1) * dot(i, i) + P * (2 * ETA * KEEP * dot(u, i) + ETA**2 * dot(u, u)),
    "euclidean": lambda u, i: (
        (KEEP**2 - 1) * dot(i, i)
        + P * ((PULLED**2 - KEEP**2) * dot(i, i) + 4 * ETA**2 * dot(u, u) + 4 * ETA * PULLED * dot(u, i))
    ),
}

each = pytest.mark.parametrize(("name", "dim"), list(itertools.product(LOSSES, [2, 3])))


@each
def test_the_papers_formula_is_the_update_of_the_loss(name: str, dim: int) -> None:
    derived, user, item = expected(name, dim)
    assert sp.simplify(derived - FORMULAS[name](user, item)) == 0


@pytest.mark.parametrize("dim", [2, 3])
def test_decay_on_the_batch_alone_scales_both_terms_with_popularity(dim: int) -> None:
    derived, user, item = expected("cosine", dim, batched=True)
    assert sp.simplify(derived - P * sum(cosine_formula(user, item))) == 0


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_only_the_cosines_step_is_orthogonal_to_the_item(name: str, dim: int) -> None:
    user, item = vectors(dim)
    gradient = [sp.diff(LOSSES[name](user, item), x) for x in item]
    product = sp.simplify(dot(item, gradient))
    assert (product == 0) == (name in ("cosine", "negative"))


@pytest.mark.parametrize("dim", [2, 3])
def test_one_minus_the_squared_cosine_is_a_sum_of_squares(dim: int) -> None:
    """Lagrange's identity, why the cosine's part is never negative."""
    user, item = vectors(dim)
    squares = sum((user[a] * item[b] - user[b] * item[a]) ** 2 for a, b in itertools.combinations(range(dim), 2))
    assert sp.simplify((1 - cos(user, item) ** 2) * dot(user, user) * dot(item, item) - squares) == 0


@pytest.mark.parametrize("dim", [2, 3])
def test_alignments_gradient_is_twice_the_cosines(dim: int) -> None:
    user, item = vectors(dim)
    unit = [[x / norm(v) for x in v] for v in (user, item)]
    for x in (*user, *item):
        gap = sp.diff(LOSSES["euclidean"](*unit), x) - 2 * sp.diff(LOSSES["cosine"](user, item), x)
        assert sp.simplify(gap) == 0
    # and so does PyTorch's gradient of the package's alignment
    both = torch.randn(2, 1, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (ours,) = torch.autograd.grad(alignment(*both), both)
    function = sp.lambdify([*user, *item], [2 * sp.diff(LOSSES["cosine"](user, item), x) for x in (*user, *item)])
    assert ours.flatten().tolist() == pytest.approx(function(*both.flatten().tolist()))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize(("name", "batched"), [*((name, False) for name in LOSSES), ("cosine", True)])
def test_theory_computes_what_was_derived(name: str, dim: int, batched: bool) -> None:
    derived, user, item = expected(name, dim, batched)
    function = sp.lambdify([P, *user, *item, ETA, DECAY], derived)
    g = torch.Generator().manual_seed(dim)
    draw = {key: torch.randn(20, dim, dtype=torch.float64, generator=g) for key in ("user", "item")}
    p, eta, decay = (torch.rand(20, dtype=torch.float64, generator=g) for _ in range(3))
    wanted = [
        function(float(p[n]), *draw["user"][n].tolist(), *draw["item"][n].tolist(), float(eta[n]), float(decay[n]))
        for n in range(20)
    ]
    for n in range(20):
        u, i = draw["user"][n], draw["item"][n]
        numbers = float(eta[n]), float(decay[n])
        if name in ("cosine", "negative"):
            formula = theory.expected_change_batched if batched else theory.expected_change
            ours = formula(p[n], i.norm(), torch.cosine_similarity(u, i, dim=0), *numbers)
        else:
            formula = theory.expected_change_dot if name == "dot" else theory.expected_change_euclidean
            ours = formula(p[n], i, u, *numbers)
        assert float(ours) == pytest.approx(wanted[n], rel=1e-9, abs=1e-12)


# Batch membership. Of |E| = e interactions d are the item's, and a batch has b. The paper writes 1 - (1 - b/e)^d.
e, b = sp.symbols("e b", positive=True)


def paper(d: Any, size: Any, total: Any) -> sp.Expr:
    return 1 - (1 - sp.S(size) / total) ** d


def with_replacement(d: Any, size: Any, total: Any) -> sp.Expr:
    """A batch of ``size`` independent draws."""
    return 1 - (1 - sp.S(d) / total) ** size


def permuted(d: int, size: Any, total: Any) -> sp.Expr:
    """A batch cut from a permutation, as in training: 1 - C(e - d, b) / C(e, b), the quotient written out."""
    return 1 - sp.prod([(total - size - j) / (sp.S(total) - j) for j in range(d)])


def test_the_quotient_is_that_of_the_binomials() -> None:
    for total in (1, 4, 9):
        for d, size in itertools.product(range(total + 1), range(1, total + 1)):
            binomials = 1 - sp.binomial(total - d, size) / sp.binomial(total, size)
            assert permuted(d, size, total) == binomials
            assert sp.Rational(binomials) == permuted(size, d, total)  # the law is symmetric in d and b


def test_where_the_laws_agree() -> None:
    assert sp.simplify(permuted(1, b, e) - paper(1, b, e)) == 0  # one interaction: b/e
    assert sp.simplify(paper(1, b, e) - b / e) == 0
    for d in range(5):
        assert sp.simplify(permuted(d, 1, e) - with_replacement(d, 1, e)) == 0  # a batch of one: d/e
        assert sp.simplify(paper(d, b, e) - with_replacement(b, d, e)) == 0  # the two roles are swapped
    assert paper(2, 1, 10) != with_replacement(2, 1, 10) == sp.Rational(1, 5)


def test_equation_2_is_a_lower_bound_and_the_limit_of_large_data() -> None:
    # factor by factor, (e - b - k)/(e - k) <= (e - b)/e for 0 <= k < e
    k = sp.symbols("k", nonnegative=True)
    gap = (e - b) / e - (e - b - k) / (e - k)
    assert sp.simplify(gap - b * k / (e * (e - k))) == 0
    for total in (2, 5, 12):
        for d, size in itertools.product(range(total + 1), range(1, total + 1)):
            exact = permuted(d, size, total)
            assert paper(d, size, total) <= exact <= min(1, sp.Rational(d * size, total))
            assert with_replacement(d, size, total) <= exact
    # with the batch a fixed share of the data and d fixed, permuted batches follow Equation 2 in the limit
    share = sp.symbols("s", positive=True)
    for d in (1, 2, 3):
        limit = sp.limit(permuted(d, share * e, e), e, sp.oo)
        assert sp.simplify(limit - paper(d, share, 1)) == 0
        # draws with replacement do not: an item then misses the batch with probability exp(-s d)
        limit = sp.limit(with_replacement(d, share * e, e), e, sp.oo)
        assert sp.simplify(limit - (1 - sp.exp(-share * d))) == 0


def test_batch_membership_is_equation_2() -> None:
    for d, size, total in itertools.product((0, 1, 7, 300), (1, 40, 1000), (1000, 5000)):
        degree = torch.tensor(d, dtype=torch.float64)
        ours = theory.batch_membership(degree, size, total)
        assert float(ours) == pytest.approx(float(paper(d, size, total)), rel=1e-9, abs=1e-12)
        if size == 40:
            ours = theory.batch_membership(degree, size, total, num_negatives=3, num_items=500)
            missed = (1 - paper(d, size, total)) * (1 - sp.Rational(3 * size, 500))
            assert float(ours) == pytest.approx(float(1 - missed), rel=1e-9)


def test_trainings_batches_follow_the_law_of_permutations() -> None:
    total, size, permutations, degrees = 26, 8, 10_000, [1, 3, 7]  # three whole batches, and two pairs left over
    item = torch.repeat_interleave(torch.arange(4), torch.tensor([*degrees, total - sum(degrees)]))
    g = torch.Generator().manual_seed(0)
    sampled = torch.zeros(4)
    for _ in range(permutations):
        cut = [ids for (ids,) in batches((item,), torch.randperm(total, generator=g), size)]
        assert [len(ids) for ids in cut] == [8, 8, 8, 2]
        for ids in cut[:3]:
            sampled[ids.unique()] += 1
    draws = 3 * permutations
    for index, d in enumerate(degrees):
        share, exact = float(sampled[index]) / draws, float(permuted(d, size, total))
        # 5 standard deviations of independent draws; batches of one permutation vary less
        width = 5 * (exact * (1 - exact) / draws) ** 0.5
        assert abs(share - exact) < width
        assert d == 1 or abs(share - float(paper(d, size, total))) > width
        assert abs(share - float(with_replacement(d, size, total))) > width
