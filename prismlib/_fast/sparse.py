"""The graph's sparse products: a constant matrix that moves with its model, and rounds of averaging with a gradient."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from prismlib._fast import kernels, trial


class SparseMatrix(nn.Module):
    """A constant CSR matrix in plain buffers, which move, cast and copy as any module's do.

    Its indices are int32, which a product reads in half the time of int64.

    Args:
        row: the row of each entry, int64, ``(entries,)``.
        column: the column of each entry, int64, ``(entries,)``.
        value: the entries, floating point, ``(entries,)``.
        shape: how many rows and columns there are.

    >>> matrix = SparseMatrix(torch.tensor([1, 0]), torch.tensor([0, 2]), torch.tensor([3.0, 4.0]), (2, 3))
    >>> matrix(torch.float32).to_dense()
    tensor([[0., 0., 4.],
            [3., 0., 0.]])
    """

    capturable = True
    pointers: Tensor
    columns: Tensor
    values: Tensor
    taken: Tensor
    cut: Tensor

    def __init__(self, row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        order = (row * shape[1] + column).argsort()
        lengths = row.bincount(minlength=shape[0])
        pointers = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
        self.shape = shape
        self.register_buffer("pointers", pointers.int(), persistent=False)
        self.register_buffer("columns", column[order].int(), persistent=False)
        self.register_buffer("values", value[order], persistent=False)
        for name, part in kernels.pieces_of(pointers)._asdict().items():
            self.register_buffer(name, part, persistent=False)

    def forward(self, dtype: torch.dtype) -> Tensor:
        values = self.values.to(dtype)
        with warnings.catch_warnings():
            # that it is in beta state; PyTorch 2.11, that no invariants are checked, though they are said not to be
            warnings.filterwarnings("ignore", message="Sparse (CSR tensor support|invariant checks)")
            return torch.sparse_csr_tensor(self.pointers, self.columns, values, size=self.shape, check_invariants=False)

    def product(self, x: Tensor, base: Tensor, **options: Any) -> Tensor:
        """``base`` and the product with a table, by the kernel, see :func:`prismlib._fast.kernels.sparse_product`.

        Args:
            x: floating point, ``(columns, d)``.
            base: of the product's whole shape.
            options: that function's.
        """
        values = self.values.to(x.dtype)
        pieces = kernels.Pieces(self.taken, self.cut)
        return kernels.sparse_product(self.pointers, self.columns, values, x, base=base, pieces=pieces, **options)


class _Propagate(torch.autograd.Function):
    """A sparse product whose gradient is the product with the transposed matrix, given rather than made."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        ctx.matrix, ctx.transposed = matrix, transposed
        with torch.autocast(x.device.type, enabled=False):  # there is no sparse product of two dtypes, nor of bfloat16
            return matrix @ x

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, None, Tensor]:
        # the gradient is itself such a product, so that it can be differentiated again
        return None, None, propagate(ctx.transposed, ctx.matrix, upstream)


def propagate(matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
    """A sparse product, differentiable any number of times.

    Args:
        matrix: sparse, ``(rows, columns)``.
        transposed: the same matrix transposed, which makes the gradient.
        x: dense, ``(columns, d)``.
    """
    result: Tensor = _Propagate.apply(matrix, transposed, x)  # type: ignore[no-untyped-call]
    return result


def averaged(
    to_user: SparseMatrix,
    to_item: SparseMatrix,
    user: Tensor,
    item: Tensor,
    depth: int,
    ids: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of both tables after 0 to ``depth`` rounds of a symmetric graph, whole or some rows of each.

    With the graph's matrix S that is (x + S(x + S(x + ...))) / (depth + 1): a kernel adds the table in the same pass, a
    last round makes the rows that are asked for alone, and the gradient is the same function of the gradient.

    Args:
        to_user: the graph's matrix from items to users.
        to_item: its transpose.
        user: the users' table, floating point, ``(num_users, d)``.
        item: the items' table, ``(num_items, d)``.
        depth: rounds, >= 1.
        ids: the rows of the users and of the items that are wanted, int64, one-dimensional; None for all.

    >>> trial.can_run(kernels.sparse_product, torch.ones(2, 2))  # a CPU adds up the rounds one by one
    False
    """
    if trial.can_run(kernels.sparse_product, user):
        found: tuple[Tensor, Tensor] = _Averaged.apply(user, item, ids, (to_user, to_item), depth)  # type: ignore[no-untyped-call]
        return found
    user_sum, item_sum = user, item
    for_user, for_item = to_user(user.dtype), to_item(user.dtype)
    for _ in range(depth):
        user, item = propagate(for_user, for_item, item), propagate(for_item, for_user, user)
        user_sum, item_sum = user_sum + user, item_sum + item
    user, item = user_sum / (depth + 1), item_sum / (depth + 1)
    return (user, item) if ids is None else (user.index_select(0, ids[0]), item.index_select(0, ids[1]))


class _Averaged(torch.autograd.Function):
    """:func:`averaged` by the kernel. The matrix is symmetric, so the gradient is the same rounds of the gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        user: Tensor,
        item: Tensor,
        ids: tuple[Tensor, Tensor] | None,
        matrices: tuple[SparseMatrix, SparseMatrix],
        depth: int,
    ) -> tuple[Tensor, Tensor]:
        ctx.matrices, ctx.depth, ctx.lengths, ctx.ids, ctx.flags = matrices, depth, (len(user), len(item)), ids, None
        if ids is None:
            return _rounds(user, item, matrices, depth)
        ctx.flags = [
            torch.zeros(len(x), dtype=torch.int8, device=x.device).index_fill_(0, of_x, 1)
            for x, of_x in zip((user, item), ids, strict=True)
        ]
        user, item = _rounds(user, item, matrices, depth, wanted=ctx.flags)
        return user.index_select(0, ids[0]), item.index_select(0, ids[1])

    @staticmethod
    def backward(ctx: Any, user: Tensor, item: Tensor) -> tuple[Any, ...]:
        if ctx.ids is not None:  # the gradient of the rows that were asked for; of the others it is zero
            given = zip((user, item), ctx.ids, ctx.lengths, strict=True)
            user, item = (x.new_zeros(n, x.shape[1]).index_add(0, ids, x) for x, ids, n in given)
        if torch.is_grad_enabled():  # the gradient is to be differentiated too
            return *_Averaged.apply(user, item, None, ctx.matrices, ctx.depth), None, None, None  # type: ignore[no-untyped-call]
        return *_rounds(user, item, ctx.matrices, ctx.depth, flags=ctx.flags), None, None, None


def _rounds(
    user: Tensor,
    item: Tensor,
    matrices: tuple[SparseMatrix, SparseMatrix],
    depth: int,
    flags: list[Tensor] | None = None,
    wanted: list[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The rounds, where only ``flags`` of the first tables are not zero, and only ``wanted`` of the last are made."""
    to_user, to_item = matrices
    user, item = user.contiguous(), item.contiguous()
    at_user, at_item = user, item
    for number in range(depth):
        of_user: dict[str, Any] = {}
        of_item: dict[str, Any] = {}
        if number == 0 and flags is not None:
            of_user["flags"], of_item["flags"] = flags[1], flags[0]
        if number == depth - 1:
            of_user["divisor"] = of_item["divisor"] = depth + 1
            if wanted is not None:
                of_user["wanted"], of_item["wanted"] = wanted
        at_user, at_item = (
            to_user.product(at_item, user, **of_user),
            to_item.product(at_user, item, **of_item),
        )
    return at_user, at_item
