"""The kernels against float64: on a GPU where there is one, else through Triton's interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from prismlib import BPR, MF, SSM, LightGCN, NonLinearMF, hypersphere, random_split, synthetic, train_step
from prismlib._fast import kernels, trial
from prismlib._fast import uniformity as fast
from prismlib._fast.unit import unit_of
from prismlib.hypersphere import _fixed_shape, uniformity, uniformity_released
from prismlib.optim import RowWiseAdagrad

GPU = torch.cuda.is_available()
if not GPU:  # before Triton is first imported; its interpreter takes tensors of the CPU
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton")
DEVICE = "cuda" if GPU else "cpu"


def unit_rows(n: int, d: int, seed: int = 0) -> Tensor:
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1).to(DEVICE)


def reference(x: Tensor, is_counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
    x = x.double()
    is_counted = torch.ones(len(x), dtype=torch.bool, device=x.device) if is_counted is None else is_counted
    e = (4 * x @ x.T).exp() * is_counted[:, None] * is_counted * (1 - torch.eye(len(x), device=x.device))
    return e.sum(), e @ x


def check(x: Tensor, is_counted: Tensor | None = None, tolerance: float = 2e-6, precision: str = "pairs") -> None:
    total, product = kernels.uniformity_sums(x, is_counted, precision, processors=4)
    expected_total, expected_product = reference(x, is_counted)
    assert total.dtype == torch.float64 and product.dtype == torch.float32
    assert (total - expected_total).abs() <= tolerance * expected_total
    assert (product - expected_product).norm() <= tolerance * expected_product.norm()
    if is_counted is not None:
        assert not product[~is_counted].any()


@pytest.mark.parametrize("part", range(13))
def test_every_number_of_rows(part: int) -> None:
    for n in range(10 * part + 1, 10 * part + 11):  # 1 to 130: below, at and above the sizes of the tiles
        check(unit_rows(n, 8, seed=n))


@pytest.mark.parametrize("d", [1, 2, 8, 15, 16, 17, 32, 33, 64, 65, 100, 128, 200, 256])
@pytest.mark.parametrize("n", [2, 65, 130])
def test_every_width(n: int, d: int) -> None:
    check(unit_rows(n, d))


@pytest.mark.parametrize("n", [4096, pytest.param(16384, marks=pytest.mark.skipif(not GPU, reason="slow on a CPU"))])
def test_batches_as_they_are_trained_on(n: int) -> None:
    x = unit_rows(n, 64)
    check(x, torch.arange(n, device=DEVICE) % 3 != 0)


@pytest.mark.parametrize("processors", [1, 9, 132])
def test_however_many_parts_the_columns_are_cut_into(processors: int) -> None:
    x = unit_rows(300, 16)
    total, product = kernels.uniformity_sums(x, processors=processors)
    expected_total, expected_product = reference(x)
    assert total.item() == pytest.approx(expected_total.item(), rel=1e-6)
    torch.testing.assert_close(product.double(), expected_product, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 129])
def test_equal_rows(n: int) -> None:
    x = unit_rows(1, 64).expand(n, 64)  # not contiguous either
    check(x)
    alone = torch.zeros(n, dtype=torch.bool, device=DEVICE)
    alone[0] = True
    total, product = kernels.uniformity_sums(x, alone, processors=4)  # a row has no pair with itself
    assert total == 0 and not product.any()


@pytest.mark.parametrize("n", [2, 70, 130])
def test_zero_rows(n: int) -> None:
    """A zero row that counts has cosine 0 with every row, as in the tiled form; one that does not, no pair at all."""
    x = unit_rows(n, 32)
    x[::2] = 0
    check(x)
    check(x, torch.arange(n, device=DEVICE) % 2 == 1)
    total, product = kernels.uniformity_sums(x, torch.zeros(n, dtype=torch.bool, device=DEVICE), processors=4)
    assert total == 0 and not product.any()


@pytest.mark.parametrize(("precision", "tolerance"), [("pairs", 2e-6), ("float16", 2e-3)])
def test_coarser_products(precision: str, tolerance: float) -> None:
    check(unit_rows(200, 64), precision=precision, tolerance=tolerance)


def test_the_same_bits_again() -> None:
    x = unit_rows(130, 64)
    (one, first), (other, second) = (kernels.uniformity_sums(x, processors=4) for _ in range(2))
    assert torch.equal(one, other) and torch.equal(first, second)


@pytest.mark.parametrize("kind", [uniformity, uniformity_released])
@pytest.mark.parametrize("repeats", [False, True])
def test_uniformity_by_the_kernel(kind: Callable[..., Tensor], repeats: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, gradient and second derivative, in the fixed shape of a GPU, against the tiled form in float64."""
    rows = torch.randn(70, 12, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(70) % 23 if repeats else torch.arange(70)
    rows = rows[ids]  # of one id, one row
    results = []
    for precise in (True, False):
        own = (rows.double() if precise else rows.to(DEVICE)).requires_grad_()
        if not precise:
            monkeypatch.setattr(hypersphere, "_unit_and_counted", lambda rows, ids: _fixed_shape(rows, ids))
            monkeypatch.setattr(trial, "can_run", lambda function, x, precision="": True)
        value = kind(own, ids.to(own.device))
        (gradient,) = torch.autograd.grad(value, own, create_graph=True)
        (second,) = torch.autograd.grad(gradient.square().sum(), own)
        results.append([x.detach().cpu().double() for x in (value, gradient, second)])
    for expected, found in zip(*results, strict=True):
        assert (found - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize(("setting", "expected"), [("highest", "pairs"), ("high", "float16"), ("medium", "float16")])
def test_precision_follows_pytorchs_setting(setting: str, expected: str) -> None:
    x, before = torch.ones(2, 2), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        assert fast.kernel_precision(x, torch.float32) == expected
        assert fast.kernel_precision(x, torch.bfloat16) == "float16"  # under autocast
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.ones(3), {}, "x must be float32 with shape"),
        (torch.ones(0, 4), {}, "x must be float32 with shape"),
        (torch.ones(3, 257), {}, r"d <= 256\), got torch.float32 with shape \(3, 257\)"),
        (torch.ones(3, 4, dtype=torch.float64), {}, "got torch.float64"),
        (
            torch.ones(3, 4),
            {"is_counted": torch.ones(2, dtype=torch.bool)},
            r"is_counted must be bool with shape \(3,\)",
        ),
        (torch.ones(3, 4), {"is_counted": torch.ones(3)}, "is_counted must be bool"),
        (torch.ones(3, 4), {"precision": "fp8"}, "precision must be one of pairs, float16, got 'fp8'"),
    ],
)
def test_what_is_refused(x: Tensor, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernels.uniformity_sums(x, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 127, 128, 129, 300])
@pytest.mark.parametrize("kinds", [1, 7, 10**12])
def test_first_of_each_id_without_a_sort(n: int, kinds: int) -> None:
    ids = torch.randint(-kinds, kinds, (n,), generator=torch.Generator().manual_seed(n)).to(DEVICE)
    expected = [value not in ids.tolist()[:place] for place, value in enumerate(ids.tolist())]
    assert kernels.first_of_each(ids).tolist() == expected == hypersphere.is_first(ids.cpu()).tolist()
    if kinds < 100:
        assert kernels.first_of_each(ids.to(torch.int8)).tolist() == expected
    assert kernels.first_of_each(ids.repeat_interleave(2)[::2]).tolist() == expected  # not contiguous


def test_distinct_ids_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.tensor([4, 4, 2, 4, 2, 9], device=DEVICE)
    monkeypatch.setattr(trial, "can_run", lambda function, x, precision="": True)
    assert hypersphere.is_first(ids).tolist() == [True, False, True, False, False, True]


def listed(
    users: int, items: int, d: int, width: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    user, item = (torch.randn(n, d, generator=g, dtype=torch.float64).to(DEVICE, dtype) for n in (users, items))
    return user, item, torch.randint(items, (users, width), generator=g).to(DEVICE)


@pytest.mark.parametrize("d", [1, 8, 16, 17, 64, 256])
@pytest.mark.parametrize(("users", "items", "width"), [(1, 1, 1), (3, 5, 2), (130, 9, 11), (40, 700, 3)])
def test_listed_scores_and_both_gradients(users: int, items: int, width: int, d: int) -> None:
    user, item, ids = listed(users, items, d, width, torch.float32)
    weight = torch.randn(users, width, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    results = []
    for by_kernel in (True, False):
        rows = [(table if by_kernel else table.double()).clone().requires_grad_() for table in (user, item)]
        scores = kernels.listed_scores(*rows, ids) if by_kernel else (rows[0][:, None] * rows[1][ids]).sum(-1)
        scores.backward(weight.to(scores.dtype))
        results.append([scores.detach(), *(table.grad for table in rows)])
    for found, expected in zip(*results, strict=True):
        assert found is not None and expected is not None and found.dtype == torch.float32
        assert (found.double() - expected).norm() <= 1e-6 * expected.norm()


def test_listed_scores_have_the_gradients_of_differences() -> None:
    user, item, ids = listed(5, 4, 3, 6)
    user, item = user.requires_grad_(), item.requires_grad_()
    assert torch.autograd.gradcheck(lambda u, v: kernels.listed_scores(u, v, ids), (user, item), nondet_tol=1e-12)
    assert torch.autograd.gradgradcheck(lambda u, v: kernels.listed_scores(u, v, ids), (user, item), nondet_tol=1e-12)


SPLIT = random_split(synthetic(60, 50, 700), seed=3)
BACKBONES: dict[str, Callable[[torch.Generator], MF]] = {
    "MF": lambda g: MF(60, 50, 8, g),
    "NonLinearMF": lambda g: NonLinearMF(60, 50, 8, generator=g),
    "LightGCN": lambda g: LightGCN(60, 50, SPLIT.train, 8, generator=g),
}


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("cosine", [False, True])
def test_scores_in_the_table_are_the_scores_of_gathered_rows(backbone: str, cosine: bool) -> None:
    """Scores and every parameter's gradient, in float64."""
    user_id, item_id = (torch.as_tensor(ids).long().to(DEVICE)[:48] for ids in SPLIT.train)
    ids = torch.cat([item_id[:, None], torch.randint(50, (48, 4), generator=torch.Generator().manual_seed(0))], dim=1)
    results = []
    for by_kernel in (True, False):
        model = BACKBONES[backbone](torch.Generator().manual_seed(1)).double().to(DEVICE)
        if by_kernel:
            scores = model._score_in_table(user_id, ids, cosine)
        else:
            user, item = model(user_id, ids)
            if cosine:
                user, item = (torch.nn.functional.normalize(rows, dim=-1) for rows in (user, item))
            scores = (user[:, None] * item).sum(-1)
        SSM().from_scores(scores).backward()
        results.append([scores.detach(), *(p.grad for p in model.parameters())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("criterion", [SSM(), BPR()])
def test_a_step_by_the_kernel_is_the_step(criterion: SSM | BPR, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id, item_id = (torch.as_tensor(ids).long().to(DEVICE)[:100] for ids in SPLIT.train)
    losses = []
    for by_kernel in (True, False):
        model = BACKBONES["MF"](torch.Generator().manual_seed(1)).to(DEVICE)
        if by_kernel:
            monkeypatch.setattr(model, "score", model._score_in_table)
        monkeypatch.setattr(type(criterion), "uses_scores", lambda self, device, by_kernel=by_kernel: by_kernel)
        sgd, g = torch.optim.SGD(model.parameters(), lr=1.0), torch.Generator(DEVICE).manual_seed(0)
        losses.append([float(train_step(model, criterion, sgd, user_id, item_id, 50, g)) for _ in range(5)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0][-1] < losses[0][0]


ROWS, IDS = torch.ones(2, 3), torch.zeros(2, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ROWS, torch.ones(5, 2), IDS), r"user and item must have shapes \(B, d\) and \(num_items, d\)"),
        ((ROWS[0], ROWS, IDS), "user and item must have shapes"),
        ((torch.ones(2, 257), torch.ones(2, 257), IDS), "d <= 256"),
        ((ROWS, ROWS.double(), IDS), "one floating-point dtype, got torch.float32 and torch.float64"),
        ((ROWS, ROWS, IDS[:1]), r"item_id must be int64 with shape \(2, L >= 1\)"),
        ((ROWS, ROWS, IDS.int()), "got torch.int32"),
        ((ROWS, ROWS, IDS[:, :0]), "item_id must be int64"),
    ],
)
def test_listed_scores_refuse(arguments: tuple[Tensor, Tensor, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernels.listed_scores(*arguments)


@pytest.mark.parametrize("ids", [torch.ones(3), torch.ones(0, dtype=torch.int64), torch.ones(2, 2, dtype=torch.int64)])
def test_first_of_each_refuses(ids: Tensor) -> None:
    with pytest.raises(ValueError, match=r"ids must be integers with shape \(1 <= n <= 131072,\)"):
        kernels.first_of_each(ids)


def sparse(rows: int, columns: int, d: int, entries: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(rows + d)
    places = torch.randint(rows * columns, (entries,), generator=g).unique()
    pointers = torch.searchsorted(places // columns, torch.arange(rows + 1)).int()
    values, x = torch.randn(len(places), generator=g), torch.randn(columns, d, generator=g)
    return pointers.to(DEVICE), (places % columns).int().to(DEVICE), values.to(DEVICE), x.to(DEVICE)


@pytest.mark.parametrize("d", [1, 8, 17, 64, 256])
@pytest.mark.parametrize(("rows", "columns", "entries"), [(1, 1, 1), (7, 5, 0), (40, 30, 300), (3, 900, 2500)])
def test_sparse_product(rows: int, columns: int, entries: int, d: int) -> None:
    pointers, names, values, x = sparse(rows, columns, d, entries)
    owner = torch.arange(rows, device=DEVICE).repeat_interleave(pointers.diff().long())
    dense = torch.zeros(rows, columns, dtype=torch.float64, device=DEVICE)
    dense[owner, names.long()] = values.double()
    expected = dense @ x.double()
    for kind in (torch.int32, torch.int64):
        product = kernels.sparse_product(pointers.to(kind), names.to(kind), values, x)
        assert product.dtype == torch.float32 and product.shape == (rows, d)
        assert (product - expected).norm() <= 1e-6 * expected.norm()
    wide = kernels.sparse_product(pointers, names, values.double(), x.double())
    torch.testing.assert_close(wide, expected)


def test_lightgcn_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embeddings, gradients, and the gradient of a gradient."""
    results = []
    for by_kernel in (True, False):
        monkeypatch.setattr(trial, "can_run", lambda function, x, precision="", by_kernel=by_kernel: by_kernel)
        model = BACKBONES["LightGCN"](torch.Generator().manual_seed(1)).double().to(DEVICE)
        user, item = model.embeddings()
        first = torch.autograd.grad(user.square().sum() + item.exp().sum(), list(model.parameters()), create_graph=True)
        second = torch.autograd.grad(sum(x.square().sum() for x in first), list(model.parameters()))
        results.append([x.detach() for x in (user, item, *first, *second)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


FUNCTIONS = [
    kernels.uniformity_sums,
    kernels.pair_terms,
    kernels.unit_rows,
    kernels.first_of_each,
    kernels.listed_scores,
    kernels.sparse_product,
    kernels.adagrad_step,
]


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    yield
    trial._is_right.cache_clear()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("d", "precision"), [(1, ""), (16, "pairs"), (100, "float16"), (128, "pairs")])
def test_each_kernel_is_tried_before_it_is_used(
    function: Callable[..., object], d: int, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    state, before = torch.get_rng_state(), torch.get_default_dtype()
    for dtype in (torch.float32, torch.float64):
        trial._is_right.cache_clear()
        torch.set_default_dtype(dtype)
        try:
            with torch.no_grad(), torch.inference_mode():
                assert trial._is_right(function, torch.device(DEVICE), d, precision)
        finally:
            torch.set_default_dtype(before)
    assert not caplog.records and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_kernel_that_fails_or_is_wrong_is_not_used(
    function: Callable[..., object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(kernel: object) -> object:
        raise RuntimeError("no such instruction\nat line 3")

    def wrong(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
        return [torch.ones(2), torch.tensor([torch.nan])], [torch.ones(2), torch.ones(1)]

    device = torch.device(DEVICE)
    for owner, name, value, message in (
        (kernels, "compiled", fails, "RuntimeError: no such instruction"),
        (trial, "_EXAMPLES", {function: wrong}, "relative to PyTorch's operations its errors are 0, nan"),
    ):
        trial._is_right.cache_clear()
        monkeypatch.setattr(owner, name, value)
        caplog.clear()
        assert not trial._is_right(function, device, 16, "")
        assert not trial._is_right(function, device, 16, "")  # and says so once
        [record] = caplog.records
        assert record.getMessage() == f"the kernel of {function.__name__} is not used: {message}"


@pytest.mark.parametrize(
    ("capability", "triton", "d", "used"),
    [
        ((9, 0), "3.2.0", 128, True),
        ((9, 0), "3.10.1", 64, True),
        ((9, 0), "3.1.0", 64, False),  # ends the process where it compiles
        ((9, 0), "3.2.0", 129, False),  # spills, or has no fast products
        ((8, 0), "3.7.1", 64, True),
        ((8, 0), "3.7.1", 65, False),
        ((8, 6), "3.7.1", 64, False),  # never looked at
        ((7, 5), "3.7.1", 64, False),
    ],
)
def test_uniformity_is_used_where_it_is_known_to_be_fast(
    capability: tuple[int, int], triton: str, d: int, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rows:
        device, dtype, shape = torch.device("cuda", 0), torch.float32, (100, d)

        def __len__(self) -> int:
            return 100

    rows: Any = Rows()
    tried: list[tuple[int, str]] = []
    monkeypatch.setattr(trial, "version", lambda name: triton)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)
    monkeypatch.setattr(trial, "_is_right", lambda function, device, d, precision: tried.append((d, precision)) or True)
    trial._device_can.cache_clear()
    try:
        assert trial.can_run(kernels.pair_terms, rows, "float16") == used
        assert tried == ([(d, "float16")] if used else [])  # at the call's own width and precision
        others = triton != "3.1.0" and capability >= (8, 0)
        assert trial.can_run(kernels.listed_scores, rows) == others
    finally:
        trial._device_can.cache_clear()


def pair_rows(n: int, d: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(n * d)
    ids = torch.randint(max(1, n // 2), (n,), generator=g), torch.randint(10**9, (n,), generator=g) % (2 * n)
    tables = [torch.randn(2 * n, d, generator=g) for _ in range(2)]
    user, item = (table[rows] for table, rows in zip(tables, ids, strict=True))
    return user.to(DEVICE), item.to(DEVICE), ids[0].to(DEVICE), ids[1].to(DEVICE)


def by_parts(user: Tensor, item: Tensor, user_id: Tensor | None, item_id: Tensor | None) -> tuple[Tensor, ...]:
    """The terms by the public functions, of the distinct rows; on a CPU, in float64."""
    x, y = (torch.nn.functional.normalize(rows, dim=1) for rows in (user, item))
    return (x - y).square().sum(1).mean(), (x * y).sum(1), uniformity(user, user_id), uniformity(item, item_id)


@pytest.mark.parametrize("with_ids", [True, False])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 5), (64, 16), (65, 64), (130, 100), (300, 128), (40, 200)])
def test_pair_terms(n: int, d: int, with_ids: bool) -> None:
    """Four terms, the gradient of each alone and of all together, against float64."""
    user, item, *ids = pair_rows(n, d)
    given = ids if with_ids else [None, None]
    terms = kernels.pair_terms(user, item, *given, processors=4)
    wide = [rows.double().cpu().requires_grad_() for rows in (user, item)]
    expected = by_parts(*wide, *(None if x is None else x.cpu() for x in given))
    found = terms.alignment, terms.cosine, terms.first, terms.second
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value.double().cpu(), wanted.detach(), rtol=2e-6, atol=5e-6)
    weights = [torch.full_like(x.detach(), w) for x, w in zip(expected, (0.3, 1.0, 2.0, -1.5), strict=True)]
    weights[1] = torch.linspace(-1, 1, n, dtype=torch.float64)
    for chosen in ([0], [1], [2], [3], [0, 1, 2, 3]):
        upstream = [weights[k].float().to(DEVICE) if k in chosen else None for k in range(4)]
        gradients = kernels.pair_gradients(terms.saved, *upstream)
        loss = sum((expected[k] * weights[k]).sum() for k in chosen)
        wanted = torch.autograd.grad(loss, wide, retain_graph=True, allow_unused=True)
        for value, other in zip(gradients, wanted, strict=True):
            if with_ids:  # a repeat's gradient goes to its id's first row, or to all alike: the sum over an id counts
                rows = ids[0] if other is wanted[0] else ids[1]
                size = int(rows.max()) + 1
                value, other = (
                    torch.zeros(size, d, dtype=torch.float64).index_add_(0, rows.cpu(), x.detach().double().cpu())
                    if x is not None
                    else torch.zeros(size, d, dtype=torch.float64)
                    for x in (value, other)
                )
            other = torch.zeros(n, d, dtype=torch.float64) if other is None else other
            torch.testing.assert_close(value.double().cpu(), other, rtol=1e-4, atol=2e-6)


def test_pair_terms_of_few_rows_that_count() -> None:
    """Two rows that count among many repeats of opposite directions: the sum is of two tiny numbers."""
    x = unit_rows(1, 64)
    ids = (torch.arange(300, device=DEVICE) >= 150).long()
    rows = torch.where(ids[:, None] == 0, x, -x)
    terms = kernels.pair_terms(rows, rows, ids, ids, processors=4)
    assert float(terms.first) == pytest.approx(-8, abs=1e-4) and float(terms.second) == float(terms.first)
    same = kernels.pair_terms(rows, rows, torch.zeros_like(ids), torch.zeros_like(ids), processors=4)
    assert float(same.first) == 0 and not kernels.pair_gradients(same.saved, None, None, same.first + 1, None)[0].any()


def test_directau_and_mawu_normalise_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses, gradients and second derivatives by the kernels, against the losses in float64."""
    from prismlib.losses import directau_loss, mawu_loss

    monkeypatch.setattr(kernels, "pair_terms", counted := Counted(kernels.pair_terms))
    monkeypatch.setattr(trial, "can_run", lambda function, x, precision="": x.dtype == torch.float32)
    monkeypatch.setattr(hypersphere, "_pair_terms", hypersphere.pair_terms)
    user, item, *ids = pair_rows(70, 12)
    margin = torch.linspace(0.1, 0.5, 70)
    for loss in (
        lambda u, i: directau_loss(u, i, 2.0, *ids),
        lambda u, i: mawu_loss(u, i, margin.to(u), 0.8, 0.6, *ids),
    ):
        results = []
        for dtype in (torch.float64, torch.float32):
            own = [rows.detach().to(dtype).requires_grad_() for rows in (user, item)]
            value = loss(*own)
            first = torch.autograd.grad(value, own, create_graph=True)
            second = torch.autograd.grad(sum(x.square().sum() for x in first), own)
            # of one id, one row: the sums over repeats are what a table would get
            of_ids = [
                torch.zeros(200, 12, dtype=torch.float64).index_add_(0, rows, x.detach().double())
                for rows, x in zip((*ids, *ids), (*first, *second), strict=True)
            ]
            results.append([value.detach().double(), *of_ids[:2]])
            assert all(torch.isfinite(x).all() for x in second)
        for expected, found in zip(*results, strict=True):
            assert (found - expected).norm() <= 1e-4 * expected.norm()
    assert counted.calls == 2


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *given: Any) -> Any:
        self.calls += 1
        return self.function(*given)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (40, 64), (7, 4, 100), (3, 256), (0, 8)])
def test_unit_rows_each_way(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(1)
    rows = (torch.randn(shape, generator=g) * 10.0 ** torch.randint(-30, 30, (*shape[:-1], 1), generator=g)).to(DEVICE)
    upstream = torch.randn(shape, generator=g).to(DEVICE)
    results = []
    monkeypatch.setattr(trial, "can_run", lambda function, x, precision="": x.dtype == torch.float32)
    for dtype in (torch.float64, torch.float32):
        own = rows.to(dtype).requires_grad_()
        unit = unit_of(own, "rows")
        (gradient,) = torch.autograd.grad(unit, own, upstream.to(dtype))
        results.append([unit.detach().double(), gradient.double() * rows.double().norm(dim=-1, keepdim=True)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_unit_rows_of_any_length_and_none() -> None:
    rows = torch.tensor([[3e38, 3e38], [3e-38, 0.0], [0.0, 0.0]], device=DEVICE)
    unit, inverse = kernels.unit_rows(rows)
    torch.testing.assert_close(unit.cpu(), torch.tensor([[0.5**0.5] * 2, [1.0, 0.0], [0.0, 0.0]]))
    assert torch.isfinite(inverse).all()


@pytest.mark.parametrize("bad", [torch.ones(3, 257), torch.ones(3, 2, dtype=torch.float64), torch.ones(())])
def test_unit_rows_refuse(bad: Tensor) -> None:
    with pytest.raises(ValueError, match=r"rows must be float32 with shape \(\.\.\., d <= 256\)"):
        kernels.unit_rows(bad)


def test_pair_terms_refuse() -> None:
    rows, ids = torch.ones(3, 4), torch.arange(3)
    for given, message in (
        ((rows[0], rows, ids, ids), "user must be float32"),
        ((rows, rows[:2], ids, ids), r"item must be torch.float32 with shape \(3, 4\)"),
        ((rows, rows, None, ids), "user_id and item_id must both be given, or neither"),
        ((rows, rows, ids, ids, "tf32"), "precision must be one of pairs, float16, got 'tf32'"),
    ):
        with pytest.raises(ValueError, match=message):
            kernels.pair_terms(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("d", "longest"), [(8, 3), (8, 256), (64, 256)])  # nearly every row is cut, or none
def test_sparse_product_of_some_rows_of_flagged_columns_with_a_base(
    d: int, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "LONGEST", longest)
    pointers, names, values, x = sparse(40, 30, d, 300)
    owner = torch.arange(40, device=DEVICE).repeat_interleave(pointers.diff().long())
    dense = torch.zeros(40, 30, dtype=torch.float64, device=DEVICE)
    dense[owner, names.long()] = values.double()
    flags = (torch.arange(30, device=DEVICE) % 3 == 1).to(torch.int8)
    x, base = x * flags[:, None], torch.randn(40, d, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    expected = (base + dense @ x.double()) / 3
    pieces = kernels.pieces_of(pointers)
    assert (len(pieces.cut) > 30) == (longest == 3)
    found = kernels.sparse_product(pointers, names, values, x, pieces=pieces, flags=flags, base=base, divisor=3)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    wanted = torch.arange(40, device=DEVICE) % 7 == 0
    some = kernels.sparse_product(pointers, names, values, x, wanted=wanted.to(torch.int8), base=base, divisor=3)
    torch.testing.assert_close(some[wanted].double(), expected[wanted], rtol=1e-5, atol=1e-6)
    untouched = torch.where(flags[:, None] != 0, x, torch.nan)  # what is flagged as zero is not read
    again = kernels.sparse_product(pointers, names, values, untouched, flags=flags, base=base, divisor=3)
    assert torch.equal(again, found)
    with pytest.raises(ValueError, match=r"base must be torch.float32 with shape \(40, "):
        kernels.sparse_product(pointers, names, values, x, base=base[1:])


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_row_wise_adagrad_by_the_kernel(decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as those of PyTorch's operations; where nothing decays, a row without a gradient is not touched."""
    tables = []
    for by_kernel in (True, False):
        monkeypatch.setattr(trial, "can_run", lambda function, x, precision="", by_kernel=by_kernel: by_kernel)
        table = torch.nn.Parameter(unit_rows(70, 20))
        optimizer = RowWiseAdagrad([table], lr=0.3, weight_decay=decay)
        for step in range(3):
            table.grad = unit_rows(70, 20, seed=step)
            table.grad[::7] = 0
            optimizer.step()
        tables.append(table.detach())
    torch.testing.assert_close(*tables)
    assert torch.equal(tables[0][::7], unit_rows(70, 20)[::7]) == (decay == 0)
    lost = torch.full((2, 3), torch.nan, device=DEVICE)
    rows, sums = torch.ones(2, 3, device=DEVICE), torch.zeros(2, 1, device=DEVICE)
    kernels.adagrad_step(rows, lost, sums, 0.1, 1e-8, 0.0)
    assert rows.isnan().all() and sums.isnan().all()
    with pytest.raises(ValueError, match="sums must be float32, contiguous and 2-D"):
        kernels.adagrad_step(rows, lost, sums[:1], 0.1, 1e-8, 0.0)


@pytest.mark.parametrize("longest", [1, 4, 256])
def test_pieces_are_the_rows(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "LONGEST", longest)
    lengths = torch.tensor([0, 1, 4, 5, 8, 9, 300])
    pointers = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    taken, cut = kernels.pieces_of(pointers)
    number = taken[:, 2] - taken[:, 1]
    assert number.max() == min(longest, 300) and (number.diff() <= 0).all()
    entries = {row: [] for row in range(len(lengths))}
    for row, first, last, _ in taken.tolist():
        entries[row] += range(first, last)
    assert [sorted(entries[row]) for row in entries] == [
        list(range(first, last)) for first, last in zip(pointers[:-1].tolist(), pointers[1:].tolist(), strict=True)
    ]
    assert cut[:, 0].tolist() == (lengths > longest).nonzero().flatten().tolist()
    places = {row: list(range(first, last)) for row, first, last in cut.tolist()}
    assert [place for row in places for place in places[row]] == list(range(len(taken) - len(lengths) + len(cut)))
    for row, _, _, place in taken.tolist():
        assert (place in places[row]) if row in places else (place == -1)
    assert len(set(taken[taken[:, 3] >= 0, 3].tolist())) == (taken[:, 3] >= 0).sum()


@pytest.mark.parametrize(("depth", "longest"), [(1, 256), (3, 256), (1, 4)])  # with 4 entries most rows are cut
def test_rows_of_lightgcn_by_the_kernel(depth: int, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a batch, gradients and second derivatives, of users and items that repeat."""
    user_id, item_id = (
        torch.tensor([3, 3, 0, 59], device=DEVICE),
        torch.tensor([[1, 49], [1, 1], [7, 8], [9, 1]], device=DEVICE),
    )
    monkeypatch.setattr(kernels, "LONGEST", longest)
    results = []
    for by_kernel in (True, False):
        monkeypatch.setattr(trial, "can_run", lambda function, x, precision="", by_kernel=by_kernel: by_kernel)
        g = torch.Generator().manual_seed(1)
        model = LightGCN(60, 50, SPLIT.train, 8, depth, g).double().to(DEVICE)
        user, item = model(user_id, item_id)
        assert user.shape == (4, 8) and item.shape == (4, 2, 8)
        loss = user.square().sum() + item.exp().sum()
        plain = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
        first = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
        second = torch.autograd.grad(sum(x.square().sum() for x in first), list(model.parameters()))
        results.append([x.detach() for x in (user, item, *plain, *first, *second)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


class Shifted(MF):
    """A model that maps ids in its own way: its item table is not its rows."""

    def forward(self, user_id: Tensor, item_id: Tensor) -> tuple[Tensor, Tensor]:
        user, item = super().forward(user_id, item_id)
        return user, item + 1


def test_a_model_with_its_own_rows_is_asked_for_them() -> None:
    model, ids = (
        Shifted(4, 5, 3, torch.Generator().manual_seed(0)).to(DEVICE),
        torch.tensor([[0, 1], [4, 4]], device=DEVICE),
    )
    users = torch.tensor([1, 2], device=DEVICE)
    user, item = model(users, ids)
    torch.testing.assert_close(model._score_in_table(users, ids, False), (user[:, None] * item).sum(-1))
