"""The kernel of uniformity against float64: on a GPU where there is one, else through Triton's interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from prismlib import hypersphere, kernels, uniformity, uniformity_released
from prismlib.hypersphere import _first_of_each

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
            monkeypatch.setattr(kernels, "can_run", lambda x: True)
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
