"""Whether a kernel is used: where it is known to be fast, and after it has given the right numbers on that GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from prismlib._fast import kernels

#: The first version of Triton that is used. Triton 3.1 ends the process where it compiles some products.
FIRST_TRITON = (3, 2)
#: The widest rows for which uniformity's machine code spills no registers, by the GPU's compute capability. On GPUs
#: that are not here, and for wider rows, PyTorch's operations are taken.
WIDEST_UNIFORMITY = {(8, 0): 64, (9, 0): 128}

log = logging.getLogger(__name__)


def can_run(function: Callable[..., Any], x: Tensor, precision: str = "") -> bool:
    """Whether a function of :mod:`prismlib._fast.kernels` runs on a tensor as it is, pays, and is right on its GPU.

    It needs Triton, of :data:`FIRST_TRITON` or later, and an NVIDIA GPU of compute capability 8.0 or later. Rows must
    be float32 and have at most ``kernels.MAX_DIM`` dimensions, for uniformity at most those of
    :data:`WIDEST_UNIFORMITY`. Once per process, GPU, width and precision, the function is tried on a small example. If
    it fails or differs from PyTorch's operations, the log says so, and the function is not used.

    Args:
        function: a function of that module.
        x: what it would work on: rows, ``(..., d)``, or for ``first_of_each`` ids, ``(n,)``.
        precision: for uniformity, one of ``kernels.KERNEL_PRECISIONS``.

    >>> can_run(kernels.unit_rows, torch.ones(3, 2))
    False
    """
    if x.device.type != "cuda" or torch.compiler.is_compiling() or not _device_can(x.device.index):
        return False
    if function is kernels.first_of_each:
        return 0 < len(x) <= kernels.MAX_ROWS and _is_right(function, x.device, 1, precision)
    widest = kernels.MAX_DIM
    if function in (kernels.uniformity_sums, kernels.pair_terms):
        capability = torch.cuda.get_device_capability(x.device.index)
        widest = WIDEST_UNIFORMITY.get(capability, 0) if 0 < len(x) <= kernels.MAX_ROWS else 0
    return x.dtype == torch.float32 and x.shape[-1] <= widest and _is_right(function, x.device, x.shape[-1], precision)


@cache
def _device_can(index: int) -> bool:
    has_triton = _triton() >= FIRST_TRITON and torch.version.cuda is not None
    return has_triton and torch.cuda.get_device_capability(index) >= (8, 0)


def _triton() -> tuple[int, ...]:
    """The version of Triton that is installed; (0,) where none is."""
    try:
        return tuple(int(part) for part in version("triton").split(".")[:2])
    except PackageNotFoundError:
        return (0,)


@cache
def _is_right(function: Callable[..., Any], device: torch.device, d: int, precision: str) -> bool:
    """Whether a function gives on a small example what PyTorch's operations give; the log says why not."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            results, expected = _EXAMPLES[function](device, d, precision)
        errors = [
            float((result.double() - value).norm() / value.norm())
            for result, value in zip(results, expected, strict=True)
        ]
        if all(error < (1e-2 if precision == "float16" else 1e-4) for error in errors):  # which a nan is not
            return True
        reason = f"relative to PyTorch's operations its errors are {', '.join(f'{error:.1g}' for error in errors)}"
    except Exception as error:  # a compiler fails in many ways, and none of them may end a training
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    log.warning("the kernel of %s is not used: %s", function.__name__, reason)
    return False


#: Results of a function on an example, and what PyTorch's operations give for it in float64.
_Example = Callable[[torch.device, int, str], tuple[list[Tensor], list[Tensor]]]


def _arange(n: int, device: torch.device) -> Tensor:
    return torch.arange(n, dtype=torch.float32, device=device)  # whatever PyTorch's default dtype is


def _example_rows(n: int, d: int, device: torch.device) -> Tensor:
    """Rows without a draw: a trial must not move any generator."""
    return _arange(n * d, device).sin().view(n, d) + 0.1


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows, dim=-1)


def _uniformity(x: Tensor, is_counted: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of E and E X of float64 unit rows."""
    e = (4 * x @ x.T).exp() * is_counted[:, None] * is_counted * (1 - torch.eye(len(x), device=x.device))
    return e.sum(), e @ x


def _sums_example(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    x, is_counted = _unit(_example_rows(80, d, device)), torch.arange(80, device=device) % 3 > 0
    results = kernels.uniformity_sums(x, is_counted, precision or "pairs")
    return list(results), list(_uniformity(x.double(), is_counted))


def _terms_example(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    place, d = torch.arange(80, device=device), max(2, d)  # rows of one number have no slope to compare
    rows = _example_rows(80, d, device), _example_rows(80, d, device).cos()
    ids = place * 7 % 60, place * 3 % 90
    terms = kernels.pair_terms(*rows, *ids, precision or "pairs")
    weights = [rows[0].new_full((), weight) for weight in (0.5, 2.0, 3.0)]
    gradients = kernels.pair_gradients(terms.saved, weights[0], terms.cosine, weights[1], weights[2])
    wide = [x.double().requires_grad_() for x in rows]
    user, item = (_unit(x) for x in wide)
    alignment, cosine = (user - item).square().sum(1).mean(), (user * item).sum(1)
    expected = [alignment, cosine]
    for x, of_row in zip((user, item), ids, strict=True):
        is_counted = ~(torch.tril(of_row[:, None] == of_row, diagonal=-1).any(1))
        count = is_counted.sum().double()
        expected.append((_uniformity(x, is_counted)[0] / (count * (count - 1))).log() - 4)
    loss = 0.5 * alignment + 2 * expected[2] + 3 * expected[3] + 0.5 * cosine.square().sum()
    expected += torch.autograd.grad(loss, wide)
    found = [terms.alignment, terms.cosine, terms.first, terms.second, *gradients]
    return found, [x.detach() for x in expected]


def _unit_example(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    rows, upstream = _example_rows(80, d, device) * 1e-25, _example_rows(80, d, device).cos()
    unit, inverse = kernels.unit_rows(rows)
    norm = torch.linalg.vector_norm(rows.double(), dim=1, keepdim=True)
    direction = rows.double() / norm
    gradient = (upstream - (upstream * direction).sum(1, keepdim=True) * direction) / norm
    found, expected = [unit, inverse], [direction, 1 / norm]
    if d > 1:  # one number's direction is its sign, which has no slope
        found.append(kernels.unit_gradient(upstream, unit, inverse))
        expected.append(gradient)
    return found, expected


def _first_example(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    place = torch.arange(200, device=device)
    return [kernels.first_of_each(place * 7 % 150)], [(place < 150).double()]


def _scores_example(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    ids = torch.arange(120, device=device).view(40, 3) * 7 % 31
    both = []
    for wide in (False, True):
        rows = [_unit(_example_rows(n, d, device)) for n in (40, 31)]
        user, item = ((x.double() if wide else x).requires_grad_() for x in rows)
        scores = (user[:, None] * item[ids]).sum(-1) if wide else kernels.listed_scores(user, item, ids)
        both.append([scores, *torch.autograd.grad(scores.square().sum(), (user, item))])
    return both[0], both[1]


def _product_example(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    columns = 2 * kernels.LONGEST  # and one row of so many entries, which is cut
    matrix = _arange(30 * columns, device).cos().view(30, columns)
    matrix = matrix * (matrix > 0.9) * (torch.arange(30, device=device) % 4 > 0)[:, None]  # with empty rows
    matrix[5] = 0.5
    entries, x, base = matrix.nonzero(), _example_rows(columns, d, device), _example_rows(30, d, device)
    pointers = torch.searchsorted(entries[:, 0].contiguous(), torch.arange(31, device=device)).int()
    given = pointers, entries[:, 1].int(), matrix[matrix != 0]
    flags = torch.arange(columns, device=device) % 3 == 0
    wanted = torch.arange(30, device=device) % 5 != 1
    options: dict[str, Any] = {
        "flags": flags.to(torch.int8),
        "wanted": wanted.to(torch.int8),
        "base": base,
        "divisor": 4,
    }
    some = kernels.sparse_product(*given, x * flags[:, None], **options)
    found = [kernels.sparse_product(*given, x), torch.where(wanted[:, None] != 0, some, 0)]
    wide = matrix.double()
    expected = (base + wide @ (x.double() * flags[:, None])) / 4
    return found, [wide @ x.double(), expected * wanted[:, None]]


def _adagrad_example(device: torch.device, d: int, precision: str) -> tuple[list[Tensor], list[Tensor]]:
    found, expected = [], []
    with torch.no_grad():
        for decay in (0.0, 0.1):
            rows, gradient = _example_rows(80, d, device), _example_rows(80, d, device).cos()
            gradient[::3] = 0
            sums = _arange(80, device)[:, None] + 1
            wide = gradient.double() + decay * rows.double()
            total = sums.double() + wide.square().mean(1, keepdim=True)
            expected += [rows.double() - 0.1 * wide / (total.sqrt() + 0.01), total]
            kernels.adagrad_step(rows, gradient, sums, 0.1, 0.01, decay)
            found += [rows, sums]
    return found, expected


_EXAMPLES: dict[Callable[..., Any], _Example] = {
    kernels.uniformity_sums: _sums_example,
    kernels.pair_terms: _terms_example,
    kernels.unit_rows: _unit_example,
    kernels.first_of_each: _first_example,
    kernels.listed_scores: _scores_example,
    kernels.sparse_product: _product_example,
    kernels.adagrad_step: _adagrad_example,
}
