"""Triton kernels for a GPU: each does in one pass what PyTorch's operations do in many.

:func:`pair_terms` makes alignment, cosines and both uniformities of a batch in four launches, and its gradients in one.
:func:`uniformity_sums` makes value and gradient of uniformity in one pass over the cosines, none of which is stored.
:func:`first_of_each` finds the distinct ids of a batch without a sort. :func:`unit_rows` and :func:`unit_gradient`
normalise rows each way. :func:`listed_scores` multiplies users with the items that are listed for them without writing
an embedding for each listed item. :func:`sparse_product` multiplies a sparse matrix with a table without the passes
that a general library adds. :func:`adagrad_step` is a step of row-wise Adagrad.

Triton comes with PyTorch for CUDA. It is imported when a kernel is first asked for. Before a kernel is used on a GPU,
it must give there what PyTorch's operations give on a small example, see :func:`prismlib._fast.trial.can_run`. Where
Triton is missing or the example fails, the modules that call these functions do the same by PyTorch's operations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

#: What uniformity's products are made of. ``"pairs"``: each factor is a float16 and the float16 of what that leaves,
#: which is as exact as float32. ``"float16"``: the first of the two alone, a third of the work and as coarse as tf32.
KERNEL_PRECISIONS = ("pairs", "float16")
#: The widest rows that the kernels take.
MAX_DIM = 256
#: The widest rows, and the most of them, that uniformity's kernels take: wider tiles have no fast products.
MAX_UNIFORMITY_DIM, MAX_ROWS = 128, 2**17
#: The most entries of a sparse matrix's row that one program takes, one after the other; longer rows are cut.
LONGEST = 256

# Triton's language; compiled imports it. Triton looks it up among the globals of the kernel's function.
tl: Any = None


def _places_kernel(  # type: ignore[no-untyped-def]
    id_ptr, other_ptr, slot_ptr, where_ptr, n, SLOTS: tl.constexpr, HEIGHT: tl.constexpr
):
    """Put each id's smallest place into a table of SLOTS slots, and note the slot of each place.

    A free slot holds -1. A place goes to the first slot from its id's own on that is free or holds a place of the same
    id. A block takes HEIGHT places of one of two lists of ids.
    """
    table = tl.program_id(1)
    place = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT)
    active = place < n
    if table == 0:
        own = tl.load(id_ptr + place, mask=active, other=0).to(tl.int64)
    else:
        own = tl.load(other_ptr + place, mask=active, other=0).to(tl.int64)
    at = (((own * 0x1E3779B97F4A7C15) >> 33) & (SLOTS - 1)).to(tl.int32)
    slot_ptr += table * SLOTS
    found = at
    while tl.max(active.to(tl.int32), 0) > 0:
        # there is no mask: for a place that is done, a comparison that never holds
        held = tl.atomic_cas(slot_ptr + at, tl.where(active, -1, -2), place, sem="relaxed")
        taken = active & (held >= 0)
        if table == 0:
            other = tl.load(id_ptr + held, mask=taken, other=0).to(tl.int64)
        else:
            other = tl.load(other_ptr + held, mask=taken, other=0).to(tl.int64)
        here = active & ((held < 0) | (other == own))
        tl.atomic_min(slot_ptr + at, place, mask=here & taken, sem="relaxed")
        found = tl.where(here, at, found)
        active = active & (here == 0)
        at = tl.where(active, (at + 1) & (SLOTS - 1), at)
    tl.store(where_ptr + table * n + place, found, mask=place < n)


def _first_kernel(slot_ptr, where_ptr, first_ptr, n, HEIGHT: tl.constexpr):  # type: ignore[no-untyped-def]
    """Whether a place is the smallest of its id."""
    place = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT)
    where = tl.load(where_ptr + place, mask=place < n, other=0)
    smallest = tl.load(slot_ptr + where, mask=place < n, other=-1)
    tl.store(first_ptr + place, (smallest == place).to(tl.int8), mask=place < n)


def _unit_kernel(  # type: ignore[no-untyped-def]
    row_ptr, unit_ptr, inverse_ptr, n, d, PADDED: tl.constexpr, HEIGHT: tl.constexpr
):
    """Rows over their norms, which are taken in float64: the squares of all float32 numbers are numbers there."""
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    at, inside = row[:, None].to(tl.int64) * d + along[None, :], (row[:, None] < n) & (along[None, :] < d)
    rows = tl.load(row_ptr + at, mask=inside, other=0.0).to(tl.float64)
    inverse = 1.0 / tl.maximum(tl.sqrt(tl.sum(rows * rows, 1)), 1.1754943508222875e-38)
    tl.store(unit_ptr + at, (rows * inverse[:, None]).to(tl.float32), mask=inside)
    tl.store(inverse_ptr + row, inverse.to(tl.float32), mask=row < n)


def _unit_gradient_kernel(  # type: ignore[no-untyped-def]
    upstream_ptr, unit_ptr, inverse_ptr, gradient_ptr, n, d, PADDED: tl.constexpr, HEIGHT: tl.constexpr
):
    """(g - (g . y) y) / norm."""
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    at, inside = row[:, None].to(tl.int64) * d + along[None, :], (row[:, None] < n) & (along[None, :] < d)
    upstream = tl.load(upstream_ptr + at, mask=inside, other=0.0)
    unit = tl.load(unit_ptr + at, mask=inside, other=0.0)
    inverse = tl.load(inverse_ptr + row, mask=row < n, other=0.0)
    gradient = (upstream - tl.sum(upstream * unit, 1)[:, None] * unit) * inverse[:, None]
    tl.store(gradient_ptr + at, gradient, mask=inside)


def _split_kernel(  # type: ignore[no-untyped-def]
    row_ptr, other_ptr, slot_ptr, where_ptr, unit_ptr, inverse_ptr, is_counted_ptr, hi_ptr, lo_ptr, cosine_ptr,
    distance_ptr, n, d, PADDED: tl.constexpr, HEIGHT: tl.constexpr, TABLES: tl.constexpr, SLOTS: tl.constexpr,
    IS_UNIT: tl.constexpr,
):  # fmt: skip
    """Rows of one or two tables normalised, each as a float16 and the float16 of what that leaves; which rows count.

    The halves hold 64 times the rows, so that the second one keeps its digits. Of two tables, the cosine and the
    squared distance of each pair of rows are stored too. SLOTS is 0 where ``is_counted_ptr`` says already what counts.
    """
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    inside = (row[:, None] < n) & (along[None, :] < d)
    before = tl.zeros((HEIGHT, PADDED), dtype=tl.float32)
    for table in tl.static_range(TABLES):
        pointer = row_ptr if table == 0 else other_ptr
        unit = tl.load(pointer + row[:, None] * d + along[None, :], mask=inside, other=0.0)
        if not IS_UNIT:
            wide = unit.to(tl.float64)
            inverse = 1.0 / tl.maximum(tl.sqrt(tl.sum(wide * wide, 1)), 1.1754943508222875e-38)
            unit = (wide * inverse[:, None]).to(tl.float32)
            tl.store(unit_ptr + (table * n + row[:, None]) * d + along[None, :], unit, mask=inside)
            tl.store(inverse_ptr + table * n + row, inverse.to(tl.float32), mask=row < n)
        if SLOTS:
            where = tl.load(where_ptr + table * n + row, mask=row < n, other=0)
            smallest = tl.load(slot_ptr + table * SLOTS + where, mask=row < n, other=-1)
            tl.store(is_counted_ptr + table * n + row, (smallest == row).to(tl.int8), mask=row < n)
        hi = (unit * 64.0).to(tl.float16)
        lo = (unit * 64.0 - hi.to(tl.float32)).to(tl.float16)
        at = (table * n + row[:, None]) * PADDED + along[None, :]
        tl.store(hi_ptr + at, hi, mask=row[:, None] < n)
        tl.store(lo_ptr + at, lo, mask=row[:, None] < n)
        if table == 1:
            tl.store(cosine_ptr + row, tl.sum(before * unit, 1), mask=row < n)
            apart = before - unit
            tl.store(distance_ptr + row, tl.sum(apart * apart, 1), mask=row < n)
        before = unit


def _sums_kernel(  # type: ignore[no-untyped-def]
    hi_ptr, lo_ptr, is_counted_ptr, product_ptr, total_ptr, n, d, PADDED: tl.constexpr, HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr, PARTS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    """E = exp(4 x.y) of a block of HEIGHT rows with one of PARTS ranges of columns, WIDTH at a time, and E X.

    Two halves make three products of float16, which are as exact as float32, at a rate that float32 does not have. A
    column that does not count has an exponent of -300, which costs no operation; the diagonal is looked for only where
    a tile meets it.
    """
    block, part, table = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    row, along = block * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    hi_ptr += table * n * PADDED
    lo_ptr += table * n * PADDED
    is_counted_ptr += table * n
    at = row[:, None] * PADDED + along[None, :]
    row_hi = tl.load(hi_ptr + at, mask=row[:, None] < n, other=0.0)
    if not HALF:
        row_lo = tl.load(lo_ptr + at, mask=row[:, None] < n, other=0.0)
    product = tl.zeros((HEIGHT, PADDED), dtype=tl.float32)
    total = tl.zeros((HEIGHT,), dtype=tl.float32)
    per_part = tl.cdiv(tl.cdiv(n, WIDTH), PARTS) * WIDTH
    first = part * per_part
    for start in range(first, tl.minimum(first + per_part, n), WIDTH):
        column = start + tl.arange(0, WIDTH)
        is_counted = tl.load(is_counted_ptr + column, mask=column < n, other=0)
        there = column[:, None] * PADDED + along[None, :]
        hi = tl.load(hi_ptr + there, mask=column[:, None] < n, other=0.0)
        if HALF:
            cosine = tl.dot(row_hi, tl.trans(hi))
        else:
            lo = tl.load(lo_ptr + there, mask=column[:, None] < n, other=0.0)
            cosine = tl.dot(row_hi, tl.trans(lo))
            cosine = tl.dot(row_lo, tl.trans(hi), cosine)
            cosine = tl.dot(row_hi, tl.trans(hi), cosine)
        # 4 / log 2 / 64^2; cosines are at most 1 and exp(4) is 55: no maximum has to be taken out
        e = tl.exp2(cosine * 0.0014088818758681284 + tl.where(is_counted != 0, 0.0, -300.0)[None, :])
        if (start < block * HEIGHT + HEIGHT) & (start + WIDTH > block * HEIGHT):
            e = tl.where(row[:, None] != column[None, :], e, 0.0)
        total += tl.sum(e, 1)
        e_hi = e.to(tl.float16)
        if not HALF:
            e_lo = (e - e_hi.to(tl.float32)).to(tl.float16)
            product = tl.dot(e_lo, hi, product)
            product = tl.dot(e_hi, lo, product)
        product = tl.dot(e_hi, hi, product)
    is_counted = tl.load(is_counted_ptr + row, mask=row < n, other=0) != 0
    product = tl.where(is_counted[:, None], product * 0.015625, 0.0)
    offset = (table * PARTS + part) * n + row
    inside = (row[:, None] < n) & (along[None, :] < d)
    tl.store(product_ptr + offset[:, None] * d + along[None, :], product, mask=inside)
    place = (table * PARTS + part) * tl.num_programs(0) + block
    tl.store(total_ptr + place, tl.sum(tl.where(is_counted, total, 0.0), 0))


def _closing_kernel(  # type: ignore[no-untyped-def]
    is_counted_ptr, total_ptr, distance_ptr, first_ptr, second_ptr, scale_ptr, alignment_ptr, n, totals,
    TABLES: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """The scalars of a batch: a program for each table's uniformity, and one for the mean of the squared distances.

    ``scale_ptr`` gets 8 / sum(E) of each table, which makes its gradient of the products.
    """
    table, place = tl.program_id(0), tl.arange(0, CHUNK)
    if table == TABLES:
        sum_of_distances = tl.zeros((CHUNK,), dtype=tl.float32)
        for start in range(0, n, CHUNK):
            sum_of_distances += tl.load(distance_ptr + start + place, mask=start + place < n, other=0.0)
        tl.store(alignment_ptr, (tl.sum(sum_of_distances.to(tl.float64), 0) / n).to(tl.float32))
    else:
        number = tl.zeros((CHUNK,), dtype=tl.int32)
        for start in range(0, n, CHUNK):
            is_counted = tl.load(is_counted_ptr + table * n + start + place, mask=start + place < n, other=0)
            number += is_counted.to(tl.int32)
        sums = tl.zeros((CHUNK,), dtype=tl.float64)
        for start in range(0, totals, CHUNK):
            at = table * totals + start + place
            sums += tl.load(total_ptr + at, mask=start + place < totals, other=0.0).to(tl.float64)
        rows = tl.sum(number, 0).to(tl.float64)
        pairs, total = rows * (rows - 1.0), tl.sum(sums, 0)
        alone = pairs <= 0.0
        value = tl.where(alone, 0.0, tl.log(tl.where(alone, 1.0, total) / tl.where(alone, 1.0, pairs)) - 4.0)
        if table == 0:
            tl.store(first_ptr, value.to(tl.float32))
        else:
            tl.store(second_ptr, value.to(tl.float32))
        tl.store(scale_ptr + table, tl.where(alone, 0.0, 8.0 / tl.where(alone, 1.0, total)).to(tl.float32))


def _pair_gradient_kernel(  # type: ignore[no-untyped-def]
    unit_ptr, inverse_ptr, product_ptr, scale_ptr, alignment_ptr, cosine_ptr, first_ptr, second_ptr, gradient_ptr,
    other_ptr, n, d, PADDED: tl.constexpr, HEIGHT: tl.constexpr, PARTS: tl.constexpr, ALIGNMENT: tl.constexpr,
    COSINE: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr,
):  # fmt: skip
    """The gradients of both tables' rows from those of alignment, cosines and uniformities that there are."""
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    at, inside = row[:, None] * d + along[None, :], (row[:, None] < n) & (along[None, :] < d)
    user = tl.load(unit_ptr + at, mask=inside, other=0.0)
    item = tl.load(unit_ptr + n * d + at, mask=inside, other=0.0)
    to_user, to_item = tl.zeros((HEIGHT, PADDED), dtype=tl.float32), tl.zeros((HEIGHT, PADDED), dtype=tl.float32)
    if ALIGNMENT:
        apart = (user - item) * (2.0 * tl.load(alignment_ptr) / n)
        to_user += apart
        to_item -= apart
    if COSINE:
        weight = tl.load(cosine_ptr + row, mask=row < n, other=0.0)[:, None]
        to_user += weight * item
        to_item += weight * user
    if FIRST:
        product = tl.zeros((HEIGHT, PADDED), dtype=tl.float32)
        for part in range(0, PARTS):
            product += tl.load(product_ptr + part * n * d + at, mask=inside, other=0.0)
        to_user += product * (tl.load(first_ptr) * tl.load(scale_ptr))
    if SECOND:
        product = tl.zeros((HEIGHT, PADDED), dtype=tl.float32)
        for part in range(PARTS, 2 * PARTS):
            product += tl.load(product_ptr + part * n * d + at, mask=inside, other=0.0)
        to_item += product * (tl.load(second_ptr) * tl.load(scale_ptr + 1))
    user_inverse = tl.load(inverse_ptr + row, mask=row < n, other=0.0)[:, None]
    item_inverse = tl.load(inverse_ptr + n + row, mask=row < n, other=0.0)[:, None]
    tl.store(gradient_ptr + at, (to_user - tl.sum(to_user * user, 1)[:, None] * user) * user_inverse, mask=inside)
    tl.store(other_ptr + at, (to_item - tl.sum(to_item * item, 1)[:, None] * item) * item_inverse, mask=inside)


def _scores_kernel(  # type: ignore[no-untyped-def]
    user_ptr, item_ptr, id_ptr, score_ptr, n, listed, d, PADDED: tl.constexpr, HEIGHT: tl.constexpr
):
    """The scores of a block of HEIGHT users with the items that are listed for them, one item of each at a time."""
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    inside = (row[:, None] < n) & (along[None, :] < d)
    users = tl.load(user_ptr + row[:, None] * d + along[None, :], mask=inside, other=0.0)
    for place in range(0, listed):
        ids = tl.load(id_ptr + row * listed + place, mask=row < n, other=0)
        items = tl.load(item_ptr + ids[:, None] * d + along[None, :], mask=inside, other=0.0)
        tl.store(score_ptr + row * listed + place, tl.sum(users * items, 1), mask=row < n)


def _gradients_kernel(  # type: ignore[no-untyped-def]
    user_ptr, item_ptr, id_ptr, weight_ptr, user_gradient_ptr, item_gradient_ptr, n, listed, d,
    PADDED: tl.constexpr, HEIGHT: tl.constexpr,
):  # fmt: skip
    """Both gradients of the same block; users that list one item add to its gradient one after the other.

    The additions are relaxed: nothing is read of what others added. The default order would put a fence before and
    after each of them.
    """
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    inside = (row[:, None] < n) & (along[None, :] < d)
    users = tl.load(user_ptr + row[:, None] * d + along[None, :], mask=inside, other=0.0)
    total = tl.zeros((HEIGHT, PADDED), dtype=user_ptr.dtype.element_ty)
    for place in range(0, listed):
        ids = tl.load(id_ptr + row * listed + place, mask=row < n, other=0)
        weight = tl.load(weight_ptr + row * listed + place, mask=row < n, other=0.0)
        at_item = ids[:, None] * d + along[None, :]
        total += weight[:, None] * tl.load(item_ptr + at_item, mask=inside, other=0.0)
        tl.atomic_add(item_gradient_ptr + at_item, weight[:, None] * users, mask=inside, sem="relaxed")
    tl.store(user_gradient_ptr + row[:, None] * d + along[None, :], total, mask=inside)


def _product_kernel(  # type: ignore[no-untyped-def]
    piece_ptr, column_ptr, value_ptr, x_ptr, flag_ptr, base_ptr, wanted_ptr, product_ptr, part_ptr, d, divisor,
    PADDED: tl.constexpr, WIDTH: tl.constexpr, FLAGS: tl.constexpr, BASE: tl.constexpr, WANTED: tl.constexpr,
    CUT: tl.constexpr,
):  # fmt: skip
    """One row of (base + product) / divisor: the weighted sum of the rows of x that its entries name.

    WIDTH entries are taken at a time. Their sums are kept apart, and added once at the end: there is no barrier in the
    loop. Rows of x whose flag is 0 are zero and are not read. A row that is not wanted ends at once. Of a row that is
    cut, a program takes one piece, whose sum goes to a place of its own.
    """
    piece, along = piece_ptr + tl.program_id(0) * 4, tl.arange(0, PADDED)
    row, first, last = tl.load(piece).to(tl.int64), tl.load(piece + 1), tl.load(piece + 2)
    stored = along < d
    if WANTED:
        wanted = tl.load(wanted_ptr + row) != 0
        last = tl.where(wanted, last, first)
        stored = stored & wanted
    sums = tl.zeros((WIDTH, PADDED), dtype=x_ptr.dtype.element_ty)
    for start in range(first, last, WIDTH):
        entry = start + tl.arange(0, WIDTH)
        there = entry < last
        column = tl.load(column_ptr + entry, mask=there, other=0).to(tl.int64)
        if FLAGS:
            there = there & (tl.load(flag_ptr + column, mask=there, other=0) != 0)
        value = tl.load(value_ptr + entry, mask=there, other=0.0)
        inside = there[:, None] & (along[None, :] < d)
        sums += value[:, None] * tl.load(x_ptr + column[:, None] * d + along[None, :], mask=inside, other=0.0)
    total = tl.sum(sums, 0)
    if CUT:
        part = tl.load(piece + 3).to(tl.int64)
        tl.store(part_ptr + part * d + along, total, mask=stored & (part >= 0))
        stored = stored & (part < 0)
    if BASE:
        total += tl.load(base_ptr + row * d + along, mask=stored, other=0.0)
    tl.store(product_ptr + row * d + along, total / divisor, mask=stored)


def _joined_kernel(  # type: ignore[no-untyped-def]
    cut_ptr, part_ptr, base_ptr, wanted_ptr, product_ptr, d, divisor,
    PADDED: tl.constexpr, WIDTH: tl.constexpr, BASE: tl.constexpr, WANTED: tl.constexpr,
):  # fmt: skip
    """The same of one row that is cut, from the sums of its pieces."""
    cut, along = cut_ptr + tl.program_id(0) * 3, tl.arange(0, PADDED)
    row, first, last = tl.load(cut).to(tl.int64), tl.load(cut + 1), tl.load(cut + 2)
    stored = along < d
    if WANTED:
        wanted = tl.load(wanted_ptr + row) != 0
        last = tl.where(wanted, last, first)
        stored = stored & wanted
    sums = tl.zeros((WIDTH, PADDED), dtype=product_ptr.dtype.element_ty)
    for start in range(first, last, WIDTH):
        part = start + tl.arange(0, WIDTH)
        inside = (part[:, None] < last) & (along[None, :] < d)
        sums += tl.load(part_ptr + part[:, None].to(tl.int64) * d + along[None, :], mask=inside, other=0.0)
    total = tl.sum(sums, 0)
    if BASE:
        total += tl.load(base_ptr + row * d + along, mask=stored, other=0.0)
    tl.store(product_ptr + row * d + along, total / divisor, mask=stored)


def _adagrad_kernel(  # type: ignore[no-untyped-def]
    row_ptr, gradient_ptr, sum_ptr, n, d, rate, epsilon, decay, PADDED: tl.constexpr, HEIGHT: tl.constexpr,
    DECAY: tl.constexpr,
):  # fmt: skip
    """One step of row-wise Adagrad on a block of rows; rows without a gradient are not touched where nothing decays."""
    row, along = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT), tl.arange(0, PADDED)
    at, inside = row[:, None].to(tl.int64) * d + along[None, :], (row[:, None] < n) & (along[None, :] < d)
    gradient = tl.load(gradient_ptr + at, mask=inside, other=0.0)
    if DECAY:
        gradient += decay * tl.load(row_ptr + at, mask=inside, other=0.0)
    squares = tl.sum(gradient * gradient, 1) / d
    moves = (row < n) & (squares != 0.0)  # not a comparison with > : a gradient that is no number must be seen
    total = tl.load(sum_ptr + row, mask=moves, other=0.0) + squares
    tl.store(sum_ptr + row, total, mask=moves)
    here = inside & moves[:, None]
    rows = tl.load(row_ptr + at, mask=here, other=0.0)
    tl.store(row_ptr + at, rows - rate * gradient / (tl.sqrt(total) + epsilon)[:, None], mask=here)


@cache
def compiled(kernel: Callable[..., None]) -> Any:
    """A kernel by Triton, which is imported here.

    Args:
        kernel: one of this module's.
    """
    global tl
    import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import triton.language as tl  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return triton.jit(kernel)


def launch(kernel: Callable[..., None], grid: tuple[int, ...], *given: Any, **options: Any) -> None:
    """Launch a kernel on the GPU that its first tensor is on.

    Args:
        kernel: one of this module's.
        grid: how many programs there are along each of one to three axes.
        given: the kernel's arguments.
        options: its constants, ``num_warps`` and ``num_stages``.
    """
    with torch.cuda.device_of(given[0]):  # Triton launches on the current one
        # Triton means to turn the default round; a product and a sum are one operation here
        compiled(kernel)[grid](*given, **options, enable_fp_fusion=True)


def padded(d: int) -> int:
    """The width of tiles of rows of d dimensions: a power of two, of 16 at least.

    Args:
        d: dimensions, >= 1.

    >>> padded(64), padded(100)
    (64, 128)
    """
    return max(16, 1 << (d - 1).bit_length())


def _slots(n: int) -> int:
    """Places for n ids: four times as many, so that most ids find their first place free."""
    return 4 << (n - 1).bit_length()


def _places(ids: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The smallest place of each id of one or two lists of a length, by slot, and the slot of each place."""
    n, device = len(ids[0]), ids[0].device
    slot = torch.full((len(ids), _slots(n)), -1, dtype=torch.int32, device=device)
    where = torch.empty(len(ids), n, dtype=torch.int32, device=device)
    lists = ids[0].contiguous(), ids[-1].contiguous()
    launch(_places_kernel, (-(-n // 128), len(ids)), *lists, slot, where, n, SLOTS=slot.shape[1], HEIGHT=128)
    return slot, where


def first_of_each(ids: Tensor) -> Tensor:
    """Which entries are the first of their id, by atomic operations on a table of places; bool, ``(n,)``.

    Args:
        ids: which rows are the same, any integer dtype, ``(n,)``, 1 <= n <= :data:`MAX_ROWS`.

    Raises:
        ValueError: ``ids`` is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if ids.dim() != 1 or ids.is_floating_point() or not 1 <= len(ids) <= MAX_ROWS:
        raise ValueError(
            f"ids must be integers with shape (1 <= n <= {MAX_ROWS},), got {ids.dtype} with shape {tuple(ids.shape)}"
        )
    n, (slot, where) = len(ids), _places((ids,))
    first = torch.empty(n, dtype=torch.int8, device=ids.device)
    launch(_first_kernel, (-(-n // 512),), slot, where, first, n, HEIGHT=512)
    return first.view(torch.bool)


def unit_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows over their norms, and one over these norms. A zero row stays zero.

    Args:
        rows: float32, ``(..., d)``, d <= :data:`MAX_DIM`.

    Returns:
        float32 of the shape of ``rows``, and ``(..., 1)``.

    Raises:
        ValueError: ``rows`` is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if rows.dim() == 0 or rows.dtype != torch.float32 or not 1 <= rows.shape[-1] <= MAX_DIM:
        raise ValueError(
            f"rows must be float32 with shape (..., d <= {MAX_DIM}), got {rows.dtype} with shape {tuple(rows.shape)}"
        )
    rows = rows.contiguous()
    unit, inverse = torch.empty_like(rows), rows.new_empty(*rows.shape[:-1], 1)
    _by_rows(_unit_kernel, rows, unit, inverse)
    return unit, inverse


def unit_gradient(upstream: Tensor, unit: Tensor, inverse: Tensor) -> Tensor:
    """The gradient of rows from that of the unit rows: (g - (g . y) y) / norm.

    Args:
        upstream: the gradient of the unit rows, float32, ``(..., d)``.
        unit: the unit rows, from :func:`unit_rows`.
        inverse: one over the norms, from :func:`unit_rows`.

    Raises:
        ModuleNotFoundError: Triton is not installed.
    """
    gradient = torch.empty_like(unit)
    _by_rows(_unit_gradient_kernel, upstream.contiguous(), unit, inverse, gradient)
    return gradient


def _by_rows(kernel: Callable[..., None], rows: Tensor, *others: Tensor) -> None:
    """Run a kernel over blocks of rows."""
    d = rows.shape[-1]
    n, width = rows.numel() // d, padded(d)
    if n:
        height = max(1, min(32, 1024 // width))  # 64 rows of 8 numbers spill registers on sm_80
        launch(kernel, (-(-n // height),), rows, *others, n, d, PADDED=width, HEIGHT=height, num_warps=4)


def adagrad_step(rows: Tensor, gradient: Tensor, sums: Tensor, rate: float, epsilon: float, decay: float) -> None:
    """One step of row-wise Adagrad, in place, see :class:`prismlib.optim.RowWiseAdagrad`.

    Args:
        rows: the table, float32, contiguous, ``(n, d)``, d <= :data:`MAX_DIM`.
        gradient: of its shape and dtype.
        sums: the sum of each row's mean squared gradients, float32, contiguous, ``(n, 1)``.
        rate: the learning rate.
        epsilon: added to the root of the sums.
        decay: times the rows, joins the gradient.

    Raises:
        ValueError: ``rows`` or ``sums`` is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    for name, x, shape in (("rows", rows, rows.shape), ("sums", sums, (len(rows), 1))):
        if x.dim() != 2 or x.dtype != torch.float32 or x.shape != shape or not x.is_contiguous():
            raise ValueError(f"{name} must be float32, contiguous and 2-D, got {x.dtype} with shape {tuple(x.shape)}")
    n, d = rows.shape
    height, constants = max(1, 1024 // padded(d)), {"PADDED": padded(d), "DECAY": decay != 0}
    given = rows, gradient.contiguous(), sums, n, d, rate, epsilon, decay
    launch(_adagrad_kernel, (-(-n // height),), *given, HEIGHT=height, num_warps=4, **constants)


class _Tiles(NamedTuple):
    """How uniformity's work is cut: rows and columns of a tile, warps and stages of a program, ranges of columns."""

    height: int
    width: int
    warps: int
    stages: int
    parts: int


def _tiles(n: int, d: int, tables: int, x: Tensor, processors: int | None) -> _Tiles:
    newest = True
    if x.is_cuda:
        properties = torch.cuda.get_device_properties(x.device)
        newest = properties.major >= 9
        processors = processors or properties.multi_processor_count
    # by what the machine code takes, see tests/gpu/ahead_of_time.py: no registers are spilled, four blocks fit
    height, width, warps, stages = (64, 64, 4, 2) if newest else (64, 32, 4, 3)
    if padded(d) > MAX_UNIFORMITY_DIM:
        height, width = 32, 32
    blocks = -(-n // height) * tables
    parts = max(1, min(8, 4 * (processors or 1) // blocks))
    return _Tiles(height, width, warps, stages, parts)


def uniformity_sums(
    x: Tensor, is_counted: Tensor | None = None, precision: str = "pairs", processors: int | None = None
) -> tuple[Tensor, Tensor]:
    r"""The sums that uniformity and its gradient are made of, over the rows that count.

    With :math:`E_{ij} = e^{4 x_i \cdot x_j}` where rows i and j count and :math:`i \ne j`, and 0 elsewhere, they are
    :math:`\sum_{ij} E_{ij}` and :math:`E X`. The result does not depend on the order in which the GPU's blocks end.

    Args:
        x: unit rows, float32, ``(n, d)``, 1 <= n <= :data:`MAX_ROWS` and d <= :data:`MAX_DIM`.
        is_counted: which rows count, bool, ``(n,)``; None counts all.
        precision: one of :data:`KERNEL_PRECISIONS`.
        processors: multiprocessors to spread the work over; None takes the number that the GPU has.

    Returns:
        The sum, float64, scalar; and the product, float32, ``(n, d)``.

    Raises:
        ValueError: an argument that is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    _check_sums("x", x, precision)
    if is_counted is not None and (is_counted.shape != x.shape[:1] or is_counted.dtype != torch.bool):
        raise ValueError(
            f"is_counted must be bool with shape ({len(x)},),"
            f" got {is_counted.dtype} with shape {tuple(is_counted.shape)}"
        )
    flags = None if is_counted is None else is_counted.contiguous().view(torch.int8)
    is_counted = x.new_ones(len(x), dtype=torch.int8) if flags is None else flags
    x = x.contiguous()
    n, d = x.shape
    hi, lo = (torch.empty(n, padded(d), dtype=torch.float16, device=x.device) for _ in range(2))
    # what a kernel does not touch is given as any pointer
    _split((x,), is_counted, None, x, x, hi, lo, x, x)
    product, total = _sums(hi[None], lo[None], is_counted[None], d, precision, processors)
    return total.sum(dtype=torch.float64), product[0].sum(0)


def _check_sums(name: str, x: Tensor, precision: str) -> None:
    if x.dim() != 2 or x.dtype != torch.float32 or not 1 <= x.shape[1] <= MAX_DIM or not 1 <= len(x) <= MAX_ROWS:
        raise ValueError(
            f"{name} must be float32 with shape (1 <= n <= {MAX_ROWS}, d <= {MAX_DIM}),"
            f" got {x.dtype} with shape {tuple(x.shape)}"
        )
    if precision not in KERNEL_PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(KERNEL_PRECISIONS)}, got {precision!r}")


def _split(
    rows: tuple[Tensor, ...], is_counted: Tensor, places: tuple[Tensor, Tensor] | None, unit: Tensor, *others: Tensor
) -> None:
    """Normalise and split rows; they are unit rows already where ``unit`` is those."""
    (n, d), is_unit = rows[0].shape, unit is rows[0]
    inverse, *rest = others
    slot, where = (is_counted, is_counted) if places is None else places
    height = max(1, 1024 // padded(d))
    launch(
        _split_kernel,
        (-(-n // height),),
        *(rows[0], rows[-1], slot, where, unit, inverse, is_counted, *rest, n, d),
        PADDED=padded(d),
        HEIGHT=height,
        TABLES=len(rows),
        SLOTS=0 if places is None else slot.shape[1],
        IS_UNIT=is_unit,
        num_warps=4,
    )


def _sums(
    hi: Tensor, lo: Tensor, is_counted: Tensor, d: int, precision: str, processors: int | None
) -> tuple[Tensor, Tensor]:
    """E X of each table and range of columns, ``(tables, parts, n, d)``, and sums of E, ``(tables, parts, blocks)``."""
    tables, n, width = hi.shape
    tiles = _tiles(n, d, tables, hi, processors)
    blocks = -(-n // tiles.height)
    product = torch.empty(tables, tiles.parts, n, d, device=hi.device, dtype=torch.float32)
    total = torch.empty(tables, tiles.parts, blocks, device=hi.device, dtype=torch.float32)
    launch(
        _sums_kernel,
        (blocks, tiles.parts, tables),
        *(hi, lo, is_counted, product, total, n, d),
        PADDED=width,
        HEIGHT=tiles.height,
        WIDTH=tiles.width,
        PARTS=tiles.parts,
        HALF=precision == "float16",
        num_warps=tiles.warps,
        num_stages=tiles.stages,
    )
    return product, total


class PairTerms(NamedTuple):
    """What DirectAU and MAWU are made of, and what the gradients of these need.

    Attributes:
        alignment: the mean of the squared distances of the pairs of unit rows, float32, scalar.
        cosine: the cosine of each pair, float32, ``(n,)``.
        first: uniformity of the distinct first rows, float32, scalar.
        second: uniformity of the distinct second rows, float32, scalar.
        saved: for :func:`pair_gradients`: unit rows, inverse norms, E X by part, and 8 / sum(E).
    """

    alignment: Tensor
    cosine: Tensor
    first: Tensor
    second: Tensor
    saved: tuple[Tensor, Tensor, Tensor, Tensor]


def pair_terms(
    user: Tensor,
    item: Tensor,
    user_id: Tensor | None,
    item_id: Tensor | None,
    precision: str = "pairs",
    processors: int | None = None,
) -> PairTerms:
    """Alignment, cosines and both uniformities of pairs of rows: each row is normalised once.

    Args:
        user: rows, float32, ``(n, d)``, 1 <= n <= :data:`MAX_ROWS` and d <= :data:`MAX_DIM`.
        item: the other rows of the pairs, of the same shape and dtype.
        user_id: which rows of ``user`` are the same, any integer dtype, ``(n,)``; None where every row counts.
        item_id: which rows of ``item`` are the same; None where ``user_id`` is None.
        precision: one of :data:`KERNEL_PRECISIONS`.
        processors: as for :func:`uniformity_sums`.

    Raises:
        ValueError: an argument that is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    _check_sums("user", user, precision)
    if item.shape != user.shape or item.dtype != user.dtype:
        raise ValueError(
            f"item must be {user.dtype} with shape {tuple(user.shape)}, got {item.dtype} with shape {tuple(item.shape)}"
        )
    (n, d), width = user.shape, padded(user.shape[1])
    unit, inverse = user.new_empty(2, n, d), user.new_empty(2, n)
    hi, lo = (torch.empty(2, n, width, dtype=torch.float16, device=user.device) for _ in range(2))
    cosine, distance = user.new_empty(n), user.new_empty(n)
    if user_id is None or item_id is None:
        if user_id is not item_id:
            raise ValueError("user_id and item_id must both be given, or neither")
        places, is_counted = None, user.new_ones(2, n, dtype=torch.int8)
    else:
        places, is_counted = _places((user_id, item_id)), user.new_empty(2, n, dtype=torch.int8)
    _split((user.contiguous(), item.contiguous()), is_counted, places, unit, inverse, hi, lo, cosine, distance)
    product, total = _sums(hi, lo, is_counted, d, precision, processors)
    alignment, first, second = (user.new_empty(()) for _ in range(3))
    scale = user.new_empty(2)
    launch(
        _closing_kernel,
        (3,),
        *(is_counted, total, distance, first, second, scale, alignment, n, total[0].numel()),
        TABLES=2,
        CHUNK=4096,
        num_warps=8,
    )
    return PairTerms(alignment, cosine, first, second, (unit, inverse, product, scale))


def pair_gradients(
    saved: tuple[Tensor, Tensor, Tensor, Tensor],
    alignment: Tensor | None,
    cosine: Tensor | None,
    first: Tensor | None,
    second: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The gradients of both tables' rows.

    Args:
        saved: of :class:`PairTerms`.
        alignment: the gradient of the alignment, scalar; None where there is none.
        cosine: the gradient of the cosines, ``(n,)``; None where there is none.
        first: the gradient of the first rows' uniformity; None where there is none.
        second: the gradient of the second rows' uniformity; None where there is none.

    Raises:
        ModuleNotFoundError: Triton is not installed.
    """
    unit, inverse, product, scale = saved
    n, d = unit.shape[1:]
    gradient, other, height = torch.empty_like(unit[0]), torch.empty_like(unit[0]), max(1, 1024 // padded(d))
    upstream = [scale if given is None else given.contiguous() for given in (alignment, cosine, first, second)]
    launch(
        _pair_gradient_kernel,
        (-(-n // height),),
        *(unit, inverse, product, scale, *upstream, gradient, other, n, d),
        PADDED=padded(d),
        HEIGHT=height,
        PARTS=product.shape[1],
        ALIGNMENT=alignment is not None,
        COSINE=cosine is not None,
        FIRST=first is not None,
        SECOND=second is not None,
        num_warps=4,
    )
    return gradient, other


def listed_scores(user: Tensor, item: Tensor, item_id: Tensor) -> Tensor:
    """Dot products of each user with the items that are listed for this user; differentiable.

    Args:
        user: embeddings of the users, one row per list, floating point, ``(B, d)``, B >= 1 and d <= :data:`MAX_DIM`.
        item: embeddings of all items, of the same dtype, ``(num_items, d)``.
        item_id: the items listed for each user, int64, ``(B, L)``, L >= 1. They are not looked at: an id that is no row
            of ``item`` is undefined behaviour.

    Returns:
        ``(B, L)``, of the dtype of the rows.

    Raises:
        ValueError: an argument is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if user.dim() != 2 or item.dim() != 2 or not 1 <= user.shape[1] == item.shape[1] <= MAX_DIM:
        raise ValueError(
            f"user and item must have shapes (B, d) and (num_items, d), d <= {MAX_DIM},"
            f" got {tuple(user.shape)} and {tuple(item.shape)}"
        )
    if not user.is_floating_point() or user.dtype != item.dtype:
        raise ValueError(f"user and item must have one floating-point dtype, got {user.dtype} and {item.dtype}")
    if item_id.dtype != torch.int64 or item_id.dim() != 2 or len(item_id) != len(user) or item_id.numel() == 0:
        raise ValueError(
            f"item_id must be int64 with shape ({len(user)}, L >= 1),"
            f" got {item_id.dtype} with shape {tuple(item_id.shape)}"
        )
    scores: Tensor = _ListedScores.apply(user, item, item_id)  # type: ignore[no-untyped-call]
    return scores


class _ListedScores(torch.autograd.Function):
    """s = u . v where v is listed for u; with weights w from above, gradients sum_v w v and sum_u w u."""

    @staticmethod
    def forward(ctx: Any, user: Tensor, item: Tensor, item_id: Tensor) -> Tensor:
        user, item, item_id = user.contiguous(), item.contiguous(), item_id.contiguous()
        ctx.save_for_backward(user, item, item_id)
        scores = user.new_empty(item_id.shape)
        _by_users(_scores_kernel, user, item, item_id, scores)
        return scores

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, Tensor, None]:
        user, item, item_id = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradients are to be differentiated again: by operations that autograd knows
            from_items = (weight[:, :, None] * item[item_id]).sum(1)
            from_users = (weight[:, :, None] * user[:, None]).flatten(0, 1)
            return from_items, torch.zeros_like(item).index_add(0, item_id.flatten(), from_users), None
        gradients = torch.empty_like(user), torch.zeros_like(item)
        _by_users(_gradients_kernel, user, item, item_id, weight.contiguous(), *gradients)
        return *gradients, None


def _by_users(kernel: Callable[..., None], user: Tensor, item: Tensor, item_id: Tensor, *others: Tensor) -> None:
    """Run a kernel over blocks of users."""
    (n, d), listed, width = user.shape, item_id.shape[1], padded(user.shape[1])
    height, given = max(4, 2048 // width), (user, item, item_id, *others, n, listed, d)
    launch(kernel, (-(-n // height),), *given, PADDED=width, HEIGHT=height, num_warps=4)


class Pieces(NamedTuple):
    """The rows of a sparse matrix as the programs of a GPU take them, the long ones in pieces.

    Attributes:
        taken: of each program its row, its first entry, the end of its entries, and the place of its sum among those of
            pieces, or -1 where it takes a whole row; int32, ``(programs, 4)``, the most entries first.
        cut: of each row that is cut, the row, the place of its first piece's sum, and the end of their places; int32,
            ``(rows that are cut, 3)``.
    """

    taken: Tensor
    cut: Tensor


def pieces_of(pointers: Tensor) -> Pieces:
    """Cut the rows of a sparse matrix into pieces of :data:`LONGEST` entries at most. Their number is looked at.

    Args:
        pointers: where each row begins among the entries, and the end of the last row; integers, ``(rows + 1,)``.

    >>> pieces_of(torch.tensor([0, 2, 302]))
    Pieces(taken=tensor([[  1,   2, 258,   0],
            [  1, 258, 302,   1],
            [  0,   0,   2,  -1]], dtype=torch.int32), cut=tensor([[1, 0, 2]], dtype=torch.int32))
    """
    pointers = pointers.long()
    number = ((pointers.diff() + LONGEST - 1) // LONGEST).clamp_min(1)
    row = torch.arange(len(number), device=pointers.device).repeat_interleave(number)
    within = torch.arange(len(row), device=pointers.device) - (number.cumsum(0) - number)[row]
    first = pointers[row] + within * LONGEST
    last = torch.minimum(first + LONGEST, pointers[row + 1])
    is_cut = number > 1
    ends = (number * is_cut).cumsum(0)
    place = torch.where(is_cut[row], (ends - number)[row] + within, -1)
    taken = torch.stack([row, first, last, place], 1)[(last - first).argsort(descending=True, stable=True)]
    rows = is_cut.nonzero().flatten()
    return Pieces(taken.int(), torch.stack([rows, (ends - number)[rows], ends[rows]], 1).int())


def sparse_product(
    pointers: Tensor,
    columns: Tensor,
    values: Tensor,
    x: Tensor,
    *,
    pieces: Pieces | None = None,
    flags: Tensor | None = None,
    wanted: Tensor | None = None,
    base: Tensor | None = None,
    divisor: int = 1,
) -> Tensor:
    """The product of a sparse matrix with a table, or some of its rows. It has no gradient of its own.

    Args:
        pointers: where each row of the matrix begins in ``columns``, and the end of the last row; int32 or int64,
            ``(rows + 1,)``, rows >= 1.
        columns: the column of each entry, of the same dtype, ``(entries,)``. They are not looked at: a column that is
            no row of ``x`` is undefined behaviour.
        values: the entries, of the dtype of ``x``, ``(entries,)``.
        x: the table, floating point, ``(m, d)``, d <= :data:`MAX_DIM`.
        pieces: how the programs take the matrix's rows, from :func:`pieces_of`; None makes them, for which a GPU waits.
        flags: which rows of ``x`` are not zero, int8, ``(m,)``; the others are not read. None reads all.
        wanted: which rows of the product are made, int8, ``(rows,)``; the others hold anything. None makes all.
        base: a table of the product's whole shape that is added; None adds nothing.
        divisor: what the sum is divided by, >= 1.

    Returns:
        ``(rows, d)``, of the dtype of ``x``. It does not depend on the order in which blocks end.

    Raises:
        ValueError: an argument is not as described.
        ModuleNotFoundError: Triton is not installed.
    """
    if x.dim() != 2 or not 1 <= x.shape[1] <= MAX_DIM or not x.is_floating_point() or values.dtype != x.dtype:
        raise ValueError(
            f"x and values must have one floating-point dtype, and x the shape (m, d <= {MAX_DIM}),"
            f" got {x.dtype} and {values.dtype}, and shape {tuple(x.shape)}"
        )
    if pointers.dim() != 1 or len(pointers) < 2 or columns.dim() != 1 or columns.shape != values.shape:
        raise ValueError(
            f"pointers, columns and values must have shapes (rows + 1 >= 2,), (entries,) and (entries,),"
            f" got {tuple(pointers.shape)}, {tuple(columns.shape)} and {tuple(values.shape)}"
        )
    if pointers.dtype not in (torch.int32, torch.int64) or columns.dtype != pointers.dtype:
        raise ValueError(
            f"pointers and columns must both be int32 or both int64, got {pointers.dtype} and {columns.dtype}"
        )
    number, d = len(pointers) - 1, x.shape[1]
    if base is not None and (base.shape != (number, d) or base.dtype != x.dtype):
        raise ValueError(
            f"base must be {x.dtype} with shape ({number}, {d}), got {base.dtype} with shape {tuple(base.shape)}"
        )
    taken, cut = pieces_of(pointers) if pieces is None else pieces
    product, parts = x.new_empty(number, d), x.new_empty(len(taken) - number + len(cut), d)
    # what a kernel does not touch is given as any pointer
    flags, given_base, given_wanted = (x if given is None else given.contiguous() for given in (flags, base, wanted))
    width = min(32, 2048 // padded(d))  # more would not fit the registers of two warps
    constants = {"PADDED": padded(d), "WIDTH": width, "BASE": base is not None, "WANTED": wanted is not None}
    launch(
        _product_kernel,
        (len(taken),),
        *(taken, columns.contiguous(), values.contiguous(), x.contiguous(), flags, given_base, given_wanted),
        *(product, parts if len(cut) else x, d, divisor),
        FLAGS=flags is not x,
        CUT=len(cut) > 0,
        num_warps=2,
        **constants,
    )
    if len(cut):
        given = cut, parts, given_base, given_wanted, product, d, divisor
        launch(_joined_kernel, (len(cut),), *given, num_warps=2, **constants)
    return product
