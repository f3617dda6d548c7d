"""The kernels against float64: on a GPU where there is one, else through Triton's interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from prismlib import BPR, MF, SSM, LightGCN, NonLinearMF, hypersphere, random_split, synthetic, train_step
from prismlib._fast import kernels
from prismlib.hypersphere import _first_of_each, uniformity, uniformity_released

GPU = torch.cuda.is_available()
if not GPU:  # before Triton is first imported; its interpreter takes tensors of the CPU
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton")
DEVICE = "cuda" if GPU else "cpu"


def unit_rows(n: int, d: int, seed: int = 0) -> Tensor:
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1).to(DEVICE)


def reference(x: Tensor, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
    x = x.double()
    counts = torch.ones(len(x), dtype=torch.bool, device=x.device) if counts is None else counts
    e = (4 * x @ x.T).exp() * counts[:, None] * counts * (1 - torch.eye(len(x), device=x.device))
    return e.sum(), e @ x


def check(x: Tensor, counts: Tensor | None = None, tolerance: float = 2e-6, precision: str = "tf32x3") -> None:
    total, product = kernels.uniformity_sums(x, counts, precision, processors=4)
    expected_total, expected_product = reference(x, counts)
    assert total.dtype == torch.float64 and product.dtype == torch.float32
    assert (total - expected_total).abs() <= tolerance * expected_total
    assert (product - expected_product).norm() <= tolerance * expected_product.norm()
    if counts is not None:
        assert not product[~counts].any()


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


@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 5e-3), ("float16", 2e-3)])
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
            monkeypatch.setattr(hypersphere, "_counted", lambda rows, ids: _first_of_each(rows, ids))
            monkeypatch.setattr(kernels, "can_run", lambda function, x: True)
        value = kind(own, ids.to(own.device))
        (gradient,) = torch.autograd.grad(value, own, create_graph=True)
        (second,) = torch.autograd.grad(gradient.square().sum(), own)
        results.append([x.detach().cpu().double() for x in (value, gradient, second)])
    for expected, found in zip(*results, strict=True):
        assert (found - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize(("setting", "expected"), [("highest", "tf32x3"), ("high", "tf32"), ("medium", "float16")])
def test_precision_follows_pytorchs_setting(setting: str, expected: str) -> None:
    x, before = torch.ones(2, 2), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        assert hypersphere._kernel_precision(x, torch.float32) == expected
        assert hypersphere._kernel_precision(x, torch.bfloat16) == "float16"  # under autocast
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.ones(3), {}, "x must be float32 with shape"),
        (torch.ones(0, 4), {}, "x must be float32 with shape"),
        (torch.ones(3, 257), {}, r"d <= 256\), got torch.float32 with shape \(3, 257\)"),
        (torch.ones(3, 4, dtype=torch.float64), {}, "got torch.float64"),
        (torch.ones(3, 4), {"counts": torch.ones(2, dtype=torch.bool)}, r"counts must be bool with shape \(3,\)"),
        (torch.ones(3, 4), {"counts": torch.ones(3)}, "counts must be bool"),
        (torch.ones(3, 4), {"precision": "fp8"}, "precision must be one of tf32x3, tf32, float16, got 'fp8'"),
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
    monkeypatch.setattr(kernels, "can_run", lambda function, x: True)
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
    with pytest.raises(ValueError, match=r"ids must be integers with shape \(n >= 1,\)"):
        kernels.first_of_each(ids)


def sparse(rows: int, columns: int, d: int, entries: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(rows + d)
    places = torch.randint(rows * columns, (entries,), generator=g).unique()
    pointers = torch.searchsorted(places // columns, torch.arange(rows + 1)).int()
    values, x = torch.randn(len(places), generator=g), torch.randn(columns, d, generator=g)
    return pointers.to(DEVICE), (places % columns).int().to(DEVICE), values.to(DEVICE), x.to(DEVICE)


@pytest.mark.parametrize("d", [1, 8, 17, 64, 256])
@pytest.mark.parametrize(("rows", "columns", "entries"), [(1, 1, 1), (7, 5, 0), (40, 30, 300), (3, 500, 900)])
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
        monkeypatch.setattr(kernels, "can_run", lambda function, x, by_kernel=by_kernel: by_kernel)
        model = BACKBONES["LightGCN"](torch.Generator().manual_seed(1)).double().to(DEVICE)
        user, item = model.embeddings()
        first = torch.autograd.grad(user.square().sum() + item.exp().sum(), list(model.parameters()), create_graph=True)
        second = torch.autograd.grad(sum(x.square().sum() for x in first), list(model.parameters()))
        results.append([x.detach() for x in (user, item, *first, *second)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


FUNCTIONS = [kernels.uniformity_sums, kernels.first_of_each, kernels.listed_scores, kernels.sparse_product]


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    yield
    kernels._is_right.cache_clear()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("d", [16, 64, 256])
def test_each_kernel_is_tried_before_it_is_used(
    function: Callable[..., object], d: int, caplog: pytest.LogCaptureFixture
) -> None:
    state, before = torch.get_rng_state(), torch.get_default_dtype()
    for dtype in (torch.float32, torch.float64):
        kernels._is_right.cache_clear()
        torch.set_default_dtype(dtype)
        try:
            with torch.no_grad(), torch.inference_mode():
                assert kernels._is_right(function, torch.device(DEVICE), d)
        finally:
            torch.set_default_dtype(before)
    assert not caplog.records and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_kernel_that_fails_or_is_wrong_is_not_used(
    function: Callable[..., object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(kernel: object) -> object:
        raise RuntimeError("no such instruction\nat line 3")

    def wrong(device: torch.device, d: int) -> tuple[list[Tensor], list[Tensor]]:
        return [torch.ones(2), torch.tensor([torch.nan])], [torch.ones(2), torch.ones(1)]

    device = torch.device(DEVICE)
    for name, value, message in (
        ("_compiled", fails, "RuntimeError: no such instruction"),
        ("_EXAMPLES", {function: wrong}, "relative to PyTorch's operations its errors are 0, nan"),
    ):
        kernels._is_right.cache_clear()
        monkeypatch.setattr(kernels, name, value)
        caplog.clear()
        assert not kernels._is_right(function, device, 16)
        assert not kernels._is_right(function, device, 16)  # and says so once
        [record] = caplog.records
        assert record.getMessage() == f"the kernel of {function.__name__} is not used: {message}"
