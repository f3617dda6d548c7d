"""Losses beyond their formulas, which test_properties.py has: ids, lengths, precision, second derivatives, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradgradcheck

from prismlib import BPR, MAWU, SSM, DirectAU
from prismlib._fast.uniformity import uniformity_of
from prismlib.baselines import IPL, MACR, ReSN
from prismlib.hypersphere import (
    _fixed_shape,
    alignment,
    distinct,
    margin_alignment,
    uniformity,
    uniformity_released,
    unit,
)
from prismlib.losses import bpr_loss, directau_loss, mawu_loss, ssm_loss


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_mawus_margins_stay_in_their_range() -> None:
    loss = MAWU(3, 5)
    with torch.no_grad():
        loss.user_margin.copy_(torch.tensor([[-1.0], [0.5], [3.0]]))
    loss.project_()
    assert loss.user_margin.flatten().tolist() == [0, 0.5, 1]
    assert loss.item_margin.min() >= 0
    margins = 1 - torch.sigmoid(torch.tensor([0.0, 2.0]))
    assert margins.tolist() == pytest.approx([0.5, 0.119], abs=1e-3)


@pytest.mark.parametrize("ids", [[3, 1, 3, 2, 1, 3], [0, 1, 2, 3, 4, 5], [7] * 6, [7] * 5 + [0]])
def test_the_fixed_shape_that_gpus_take_gives_the_same(ids: list[int]) -> None:
    """Repeats as zero rows whose number is not looked at, against repeats left out."""
    x, same = rows(6, 4).requires_grad_(), torch.tensor(ids)
    results = []
    for value in (uniformity(x, same), uniformity_of(*_fixed_shape(x, same))):
        results.append((value, *torch.autograd.grad(value, x)))
    for left_out, zeroed in zip(*results, strict=True):
        torch.testing.assert_close(zeroed, left_out, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dim", [64, 5])
def test_uniformity_in_bfloat16_is_nearly_that_of_float32(dim: int) -> None:
    x = rows(700, dim).float().requires_grad_()
    ids = torch.arange(700) % 650  # zero rows must not count either
    results = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = uniformity_of(*_fixed_shape(x, ids))
        results.append((value, *torch.autograd.grad(value, x)))
    (single, gradient), (half, half_gradient) = results
    assert half.dtype == half_gradient.dtype == torch.float32
    assert half != single, "the products were not taken in bfloat16"
    assert half.item() == pytest.approx(single.item(), abs=1e-3)
    assert (half_gradient - gradient).norm() < 0.05 * gradient.norm()
    assert not half_gradient[650:].any()


@pytest.mark.parametrize("backward_inside", [True, False])
def test_angle_losses_have_no_gradient_along_the_row_under_autocast(backward_inside: bool) -> None:
    for loss in (DirectAU(1.0), MAWU(200, 200)):
        x, y, ids = rows(200, 64).float().requires_grad_(), rows(200, 64, seed=1).float(), torch.arange(200)
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(x, y, user_id=ids, item_id=ids)
            if backward_inside:
                value.backward()
        if not backward_inside:
            value.backward()
        along = (x.grad * x.detach()).sum(1) / x.detach().norm(dim=1)
        assert along.abs().max() < 1e-5 * x.grad.norm(dim=1).max()


def test_distinct_keeps_one_row_an_id() -> None:
    ids = torch.tensor([5, 1, 5, 9, 1])
    assert distinct(rows(5, 2), ids).shape == (3, 2)
    assert torch.equal(distinct(ids[:, None].double(), ids).flatten(), torch.tensor([1.0, 5.0, 9.0]).double())


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="gamma must be > 0, got 0"):
        DirectAU(gamma=0)
    with pytest.raises(ValueError, match="tau must be > 0"):
        SSM(tau=0)
    with pytest.raises(ValueError, match="num_negatives must be >= 1"):
        SSM(num_negatives=0)
    with pytest.raises(ValueError, match="gamma_user must be >= 0, got -1"):
        MAWU(1, 1, gamma_user=-1)
    with pytest.raises(ValueError, match="SSM needs negative"):
        SSM()(rows(2, 2), rows(2, 2))
    with pytest.raises(ValueError, match="MAWU needs user_id and item_id"):
        MAWU(2, 2)(rows(2, 2), rows(2, 2))
    with pytest.raises(ValueError, match="BPR needs negative"):
        BPR()(rows(2, 2), rows(2, 2))


ONE, NONE, ZERO = torch.ones(3, 2), torch.ones(0, 2), torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
SEVERAL = torch.ones(3, 4, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bpr_loss(NONE, NONE, torch.ones(0, 1, 2)), "user and item are empty: a loss needs at least one pair"),
        (lambda: ssm_loss(NONE, NONE, torch.ones(0, 1, 2)), "user and item are empty"),
        (lambda: directau_loss(NONE, NONE, 1.0), "user and item are empty"),
        (lambda: MAWU(3, 3)(NONE, NONE, user_id=torch.arange(0), item_id=torch.arange(0)), "user and item are empty"),
        (lambda: MACR(2)(NONE, NONE, torch.ones(0, 1, 2)), "user and item are empty"),
        (lambda: bpr_loss(ONE, ONE[:2], SEVERAL), r"user and item must both have shape \(B, d\), got \(3, 2\) and"),
        (lambda: bpr_loss(ONE, ONE, ONE), r"negative must have shape \(B, n, d\) = \(3, n >= 1, 2\), got \(3, 2\)"),
        (lambda: ssm_loss(ONE, ONE, SEVERAL[:, :0]), "negative must have shape"),
        (lambda: ssm_loss(ZERO, ONE, SEVERAL), "user has a zero row at index 1: a zero vector has no direction"),
        (lambda: ssm_loss(ONE, ZERO, SEVERAL), "item has a zero row"),
        (lambda: ssm_loss(ONE, ONE, 0 * SEVERAL), "negative has a zero row"),
        (lambda: alignment(ZERO, ONE), "user has a zero row"),
        (lambda: margin_alignment(ONE, ZERO, torch.ones(3)), "item has a zero row"),
        (lambda: uniformity(ZERO), "rows has a zero row"),
        (lambda: uniformity_released(ZERO), "rows has a zero row"),
    ],
)
def test_bad_rows_are_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()


def test_shapes_that_would_broadcast_or_be_cut_are_refused() -> None:
    x, y, three = rows(3, 4), rows(3, 4, seed=1), torch.zeros(3, 1)
    with pytest.raises(ValueError, match=r"margin must have shape \(3,\), one per pair, got \(3, 1\)"):
        margin_alignment(x, y, three)
    with pytest.raises(ValueError, match=r"ids must have shape \(3,\), got \(2,\)"):
        uniformity(x, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="ids must have shape"):
        directau_loss(x, y, 1.0, user_id=torch.tensor([0, 1]), item_id=torch.tensor([0, 1]))


# what must not depend on a common factor

TINY, LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


@pytest.mark.parametrize("factor", [TINY * 1.01, 1e-30, 1e-20, 1e-12, 1.0, 1e15, 1e25, LARGEST / 4.1])
def test_directions_do_not_depend_on_lengths_as_far_as_float32_goes(factor: float) -> None:
    x = rows(50, 8).float().sign() * (1 + torch.arange(8) % 3)  # entries of 1 to 3, so that no entry is lost
    whole = x * factor
    assert torch.isfinite(whole).all()
    assert (whole.abs() >= TINY).all()
    torch.testing.assert_close(unit(whole), unit(x), rtol=1e-6, atol=0)
    torch.testing.assert_close(uniformity(whole), uniformity(x), rtol=1e-6, atol=0)
    mixed = torch.cat([x[:25], whole[25:]])  # one row out of the ordinary leaves the others' bits alone
    assert torch.equal(unit(mixed)[:25], unit(x)[:25])
    if factor < 1e30:  # the gradient is as many times larger, or smaller
        weight, gradients = rows(50, 8, seed=4).float(), []
        for leaf in (x.clone().requires_grad_(), whole.clone().requires_grad_()):
            gradients.append(torch.autograd.grad((unit(leaf) * weight).sum(), leaf)[0])
        torch.testing.assert_close(gradients[1] * factor, gradients[0], rtol=1e-5, atol=1e-6)


def test_the_way_of_a_gpu_gives_the_same_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows(50, 8).float() * 10 ** torch.linspace(-36, 36, 50)[:, None]
    here = unit(x)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # looks at no value, as on a GPU
    torch.testing.assert_close(unit(x), here, rtol=1e-6, atol=1e-12)
    assert torch.equal(unit(torch.zeros(2, 3)), torch.zeros(2, 3))


def test_a_row_below_the_smallest_number_is_named_and_not_called_zero() -> None:
    x = torch.ones(3, 2)
    x[2] = TINY / 8
    with pytest.raises(ValueError, match=r"rows has a row at index 2 that is not zero but below 1\.2e-38"):
        unit(x)
    with pytest.raises(ValueError, match=r"negative has a zero row at index \(1, 0\)"):
        unit(torch.tensor([[[1.0]], [[0.0]]]), "negative")
    assert unit(torch.full((1, 2), torch.nan)).isnan().all()  # training reports these by the epoch


# second derivatives


def plain_uniformity(x: Tensor) -> Tensor:
    y = torch.nn.functional.normalize(x)
    e = (4 * y @ y.T - 4).exp()
    return ((e.sum() - e.diagonal().sum()) / (len(x) * (len(x) - 1))).log()


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (uniformity, plain_uniformity),
        (
            lambda x: (unit(x) * rows(5, 3, seed=9)).sum(),
            lambda x: (x / x.norm(dim=1)[:, None] * rows(5, 3, seed=9)).sum(),
        ),
    ],
)
def test_second_derivatives_are_those_of_plain_operations(ours, plain) -> None:  # type: ignore[no-untyped-def]
    x = rows(5, 3)
    curvature = torch.autograd.functional.hessian(ours, x)
    assert curvature.abs().max() > 0.1
    torch.testing.assert_close(curvature, torch.autograd.functional.hessian(plain, x), rtol=1e-9, atol=1e-12)


def test_second_derivatives_are_those_of_finite_differences() -> None:
    x, ids = rows(5, 3).requires_grad_(), torch.tensor([0, 1, 0, 2, 3])
    assert gradgradcheck(unit, (x,))
    assert gradgradcheck(lambda x: uniformity(x, ids), (x,))
    assert gradgradcheck(lambda x: uniformity_of(*_fixed_shape(x, ids)), (x,))
    assert gradgradcheck(lambda x: uniformity_released(x, ids), (x,))


# ids of every integer dtype, and no other


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32])
def test_ids_of_every_integer_dtype_are_taken(dtype: torch.dtype) -> None:
    x, y, ids = rows(4, 3), rows(4, 3, seed=1), torch.tensor([0, 1, 1, 2])
    small = ids.to(dtype)
    assert torch.equal(uniformity(x, small), uniformity(x, ids))
    assert torch.equal(uniformity_released(x, small), uniformity_released(x, ids))
    assert torch.equal(distinct(x, small), distinct(x, ids))
    loss = MAWU(3, 3).double()
    assert torch.equal(loss(x, y, user_id=small, item_id=small), loss(x, y, user_id=ids, item_id=ids))


@pytest.mark.parametrize("ids", [torch.tensor([0.0, 1, 1]), torch.tensor([True, False, True])])
def test_ids_that_are_no_whole_numbers_are_refused(ids: Tensor) -> None:
    x = rows(3, 4)
    for call in (
        lambda: uniformity(x, ids),
        lambda: distinct(x, ids),
        lambda: directau_loss(x, x, 1.0, user_id=ids),
        lambda: MAWU(2, 2)(x, x, user_id=ids, item_id=ids),
    ):
        with pytest.raises(ValueError, match="but must be integers"):
            call()
    with pytest.raises(ValueError, match=r"item_id must have shape"):
        MAWU(3, 3)(x, x, user_id=torch.arange(3), item_id=torch.arange(3)[:, None])


# numbers and tables that are none


@pytest.mark.parametrize("number", [math.nan, math.inf, 0, -1, "1", None, True])
def test_numbers_out_of_range_are_refused_by_functions_as_by_classes(number: object) -> None:
    x, j, margin = rows(3, 4), rows(3, 1, 4), torch.zeros(3)
    calls = [
        lambda: ssm_loss(x, x, j, tau=number),
        lambda: SSM(tau=number),
        lambda: directau_loss(x, x, number),
        lambda: DirectAU(number),
    ]
    if number != 0 or number is True:
        calls += [
            lambda: mawu_loss(x, x, margin, number, 1.0),
            lambda: mawu_loss(x, x, margin, 1.0, number),
            lambda: MAWU(3, 3, number),
        ]
    for call in calls:
        with pytest.raises(ValueError, match=r"(tau|gamma|gamma_user|gamma_item) must be"):
            call()


def test_tables_that_are_no_floating_point_tensors_are_refused() -> None:
    x, j = rows(3, 4), rows(3, 1, 4)
    for call in (
        lambda table: bpr_loss(table, x, j),
        lambda table: ssm_loss(x, table, j),
        lambda table: directau_loss(table, x, 1.0),
        lambda table: alignment(x, table),
        unit,
        uniformity,
    ):
        with pytest.raises(ValueError, match=r"must be a floating-point tensor, got torch\.int64: "):
            call(torch.ones(3, 4, dtype=torch.int64))
        with pytest.raises(ValueError, match="must be a floating-point tensor, got list"):
            call([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"rows must have shape \(n, d\), got \(4,\)"):
        uniformity(torch.ones(4))


# float32 inside autocast


@pytest.mark.parametrize("name", ["BPR", "SSM", "DirectAU", "MACR", "IPL", "ReSN", "ReSN items"])
def test_losses_of_half_precision_rows_are_computed_in_float32(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    table = rows(40, 8, seed=3).bfloat16()
    loss = {
        "BPR": lambda: BPR(),
        "SSM": lambda: SSM(num_negatives=1),
        "DirectAU": lambda: DirectAU(),
        "MACR": lambda: MACR(8, generator=g),
        "IPL": lambda: IPL(torch.full((40,), 3), 1.0, 1.5),
        "ReSN": lambda: ReSN(0.01),
        "ReSN items": lambda: ReSN(0.01, lambda: table),
    }[name]()
    u, i, j = (rows(*shape, seed=s).bfloat16() for s, shape in enumerate([(40, 8), (40, 8), (40, 1, 8)]))
    ids = {"user_id": torch.arange(40), "item_id": torch.arange(40), "negative_id": torch.arange(40)[:, None]}
    if name == "DirectAU":  # its uniformity is in half precision under autocast, by design
        ids |= {"user_id": torch.zeros(40, dtype=torch.long), "item_id": torch.zeros(40, dtype=torch.long)}
    expected = loss(u.float(), i.float(), j.float(), **ids)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(u, i, j, **ids)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)
