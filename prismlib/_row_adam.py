"""Adam on large tables at the cost of a batch's rows, with the steps that a row has missed made up for.

Adam moves every row at every step: a row that is not in the batch has a gradient of zero, its moments fade, and its
momentum moves it on. Those moves need no gradient, so they can wait until the row is looked up again, and then be made
at once: their sum has a closed form. What is trained is then what Adam trains, up to rounding.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
#: The ratio of a row's moves at two steps that it missed, but for the corrections of the first steps.
RATIO = BETA1 / math.sqrt(BETA2)
#: Steps after which the rest of the sum of missed moves is below float64's rounding.
TAIL = 400
#: Rows that are brought up to date together where all are: so many that their moments stay in a cache.
BLOCK = 1 << 14


class MissedMoves:
    r"""Sums of the factors :math:`r^j f(t + j)`, where :math:`f(t) = \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)`.

    A row whose moments were m and v after step t, and that has no gradient in the steps t + 1 to t + n, is moved by
    Adam by :math:`-lr\, m / \sqrt v` times :math:`\sum_{j=1}^{n} r^j f(t + j) = G(t) - r^n G(t + n)`, where G is the
    sum without an end. G is stored for the steps so far: :math:`G(t - 1) = r (f(t) + G(t))` goes backwards, and stably.

    >>> moves = MissedMoves()
    >>> exact = sum(RATIO**j * math.sqrt(1 - BETA2 ** (5 + j)) / (1 - BETA1 ** (5 + j)) for j in range(1, 4))
    >>> abs(float(moves(torch.tensor([5]), 8)[0]) / exact - 1) < 1e-12
    True
    """

    def __init__(self) -> None:
        self.sums = torch.zeros(0, dtype=torch.float64)

    def __call__(self, last: Tensor, now: int) -> Tensor:
        """The sum for rows that were moved last at step ``last``, up to and with step ``now``; float64, ``(n,)``.

        Args:
            last: steps, integers, shape ``(n,)``, each <= ``now``.
            now: the number of steps that were made.
        """
        if now >= len(self.sums):
            self._extend(2 * now + 1000)
        sums = self.sums.to(last.device)
        return sums[last.long()] - RATIO ** (now - last).double() * sums[now]

    def _extend(self, size: int) -> None:
        after, sums = 0.0, [0.0] * size
        for step in range(size + TAIL, 0, -1):
            after = RATIO * (math.sqrt(1 - BETA2**step) / (1 - BETA1**step) + after)
            if step <= size:
                sums[step - 1] = after
        self.sums = torch.tensor(sums, dtype=torch.float64)


def sparse_tables(modules: Iterable[nn.Module], name: str) -> tuple[list[nn.Embedding], list[nn.Parameter]]:
    """The tables with sparse gradients among modules that are trained, and all other parameters.

    Args:
        modules: any; a parameter that several of them share is listed once.
        name: the optimiser's name, for the error.

    Raises:
        ValueError: no table has sparse gradients.
    """
    trained = nn.ModuleList(modules)  # whose parameters are listed once, however many modules share them
    tables = [part for part in trained.modules() if isinstance(part, nn.Embedding) and part.sparse]
    if not tables:
        raise ValueError(f"optimizer={name!r} needs tables with sparse gradients: MF(..., sparse=True)")
    weights = {id(part.weight) for part in tables}
    return tables, [parameter for parameter in trained.parameters() if id(parameter) not in weights]


class RowAdam:
    """:class:`torch.optim.Adam` without decay, at the cost of the batch's rows on tables with sparse gradients.

    A hook on each table brings the rows up to date that are looked up. :meth:`flush` does so for all rows: call it
    before the tables are ranked, saved or read otherwise. It holds two moments for each number of a table, as Adam
    does, and one step for each row; what it saves is the gradient of the size of a table, and the passes over it.

    Args:
        modules: as :class:`prismlib.optim.RowSparseAdam` takes them.
        lr: learning rate, > 0.

    Raises:
        ValueError: no table has sparse gradients.

    >>> table = torch.nn.Embedding(3, 2, sparse=True)
    >>> optimizer = RowAdam([table], lr=0.1)
    >>> for row in (1, 0, 0):
    ...     optimizer.zero_grad()
    ...     table(torch.tensor([row])).sum().backward()
    ...     optimizer.step()
    >>> before = table.weight.detach().clone()
    >>> optimizer.flush()  # row 1 missed two steps
    >>> (table.weight != before).any(1)
    tensor([False,  True, False])
    """

    def __init__(self, modules: Iterable[nn.Module], lr: float) -> None:
        tables, others = sparse_tables(modules, "row_adam")
        self.lr, self.steps, self.missed = lr, 0, MissedMoves()
        self.states = {id(part.weight): _State(part.weight) for part in tables}
        self.dense = torch.optim.Adam(others, lr=lr, betas=(BETA1, BETA2), eps=EPS, fused=True) if others else None
        this = weakref.ref(self)

        def before_lookup(table: nn.Module, args: tuple[Any, ...]) -> None:
            optimizer = this()
            if optimizer is not None and isinstance(table, nn.Embedding):
                state = optimizer.states.get(id(table.weight))
                if state is not None:
                    optimizer._catch_up(state, args[0].detach().flatten())

        for part in tables:
            part.register_forward_pre_hook(before_lookup)

    def zero_grad(self) -> None:
        """Discard the gradients of the previous step."""
        for state in self.states.values():
            state.weight.grad = None
        if self.dense is not None:
            self.dense.zero_grad()

    @torch.no_grad()
    def step(self) -> None:
        """Change the rows of the batch, and every other parameter, by their gradients."""
        looked_up = []
        for state in self.states.values():
            if state.weight.grad is not None and state.weight.requires_grad:
                gradient = state.weight.grad.coalesce()
                rows = gradient.indices()[0]
                self._catch_up(state, rows)  # those that were not looked up by their module
                looked_up.append((state, rows, gradient.values()))
        self.steps += 1
        first, second = 1 - BETA1**self.steps, math.sqrt(1 - BETA2**self.steps)
        for state, rows, values in looked_up:
            m = state.mean.index_select(0, rows).lerp_(values, 1 - BETA1)
            v = state.square.index_select(0, rows).mul_(BETA2).addcmul_(values, values, value=1 - BETA2)
            state.mean.index_copy_(0, rows, m)
            state.square.index_copy_(0, rows, v)
            state.last[rows] = self.steps
            moved = state.weight.index_select(0, rows)
            moved.addcdiv_(m, v.sqrt_().div_(second).add_(EPS), value=-self.lr / first)
            state.weight.index_copy_(0, rows, moved)
        if self.dense is not None:
            self.dense.step()

    @torch.no_grad()
    def flush(self) -> None:
        """Bring every row up to date."""
        for state in self.states.values():
            for rows in torch.arange(len(state.weight), device=state.weight.device).split(BLOCK):
                self._catch_up(state, rows)

    @torch.no_grad()
    def _catch_up(self, state: _State, rows: Tensor) -> None:
        """Make the moves that these rows have missed since their last step; named twice, a row moves once."""
        late = rows[state.last[rows] < self.steps]
        if not len(late):
            return
        late = late.unique()
        last = state.last[late]
        used = last > 0  # the moments of a row that was never in a batch are zero
        state.last[late] = self.steps
        late, last = late[used], last[used]
        if not len(late):
            return
        m, v = state.mean.index_select(0, late), state.square.index_select(0, late)
        factor = self.missed(last, self.steps).to(m.dtype)[:, None]
        # Adam's eps stands beside the corrected root: the moves fall by RATIO a step, so the first ones' is taken
        eps = EPS * (1 - BETA2 ** (last + 1).double()).sqrt().to(m.dtype)[:, None]
        state.weight.index_copy_(
            0, late, state.weight.index_select(0, late).addcdiv_(m * factor, v.sqrt() + eps, value=-self.lr)
        )
        gap = (self.steps - last).double()[:, None]
        state.mean.index_copy_(0, late, m.mul_((BETA1**gap).to(m.dtype)))
        state.square.index_copy_(0, late, v.mul_((BETA2**gap).to(v.dtype)))


class _State:
    """A table's moments, and the step up to which each row has been moved."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.mean, self.square = torch.zeros_like(weight.detach()), torch.zeros_like(weight.detach())
        self.last = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
