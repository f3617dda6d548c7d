"""Optimisers by name. Weight decay is the experiment here: each says what it does to rows that are not in the batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from prismlib._checks import check_count, check_number, check_table

#: The names that :func:`make_optimizer` knows.
OPTIMIZERS = ("adam", "sgd", "sgd_momentum", "rowwise_adagrad", "sparse_adam")
#: The momentum of ``"sgd_momentum"``.
MOMENTUM = 0.9
#: What weight decay acts on, see :func:`prismlib.train.fit`.
DECAY_SCOPES = ("table", "batch", "decoupled")


class Optimizer(Protocol):
    """What a training step needs of an optimiser; every ``torch.optim`` optimiser is one.

    >>> optimizer: Optimizer = torch.optim.Adagrad([nn.Parameter(torch.ones(2))])
    >>> optimizer.zero_grad()
    """

    def zero_grad(self) -> None:
        """Discard the gradients of the previous step."""

    def step(self) -> object:
        """Change the parameters by their gradients."""


class RowSparseAdam:
    """:class:`torch.optim.SparseAdam` on embedding tables, :class:`torch.optim.Adam` on every other parameter.

    A step costs what the rows of the batch cost, however large the tables are. It is *not* Adam. A row that is not in
    the batch stays where it is, whereas Adam moves it on by its momentum; and the moments of a row fade only when the
    row is used. It has no weight decay, which would touch every row; PRISM needs none (Section 4.2).

    Args:
        modules: the modules that are trained. Their embedding tables were made with ``sparse=True``.
        lr: learning rate, > 0.

    Raises:
        ValueError: no table has sparse gradients.

    >>> table = torch.nn.Embedding(3, 2, sparse=True)
    >>> before = table.weight.detach().clone()
    >>> optimizer = RowSparseAdam([table], lr=0.1)
    >>> table(torch.tensor([1])).sum().backward()
    >>> optimizer.step()
    >>> (table.weight != before).any(1)
    tensor([False,  True, False])
    """

    def __init__(self, modules: Iterable[nn.Module], lr: float) -> None:
        trained = nn.ModuleList(modules)  # whose parameters are listed once, however many modules share them
        parts = trained.modules()
        tables = list({id(p.weight): p.weight for p in parts if isinstance(p, nn.Embedding) and p.sparse}.values())
        if not tables:
            raise ValueError("optimizer='sparse_adam' needs tables with sparse gradients: MF(..., sparse=True)")
        others = [p for p in trained.parameters() if not any(p is t for t in tables)]
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.SparseAdam(tables, lr=lr)]
        if others:
            self.optimizers.append(torch.optim.Adam(others, lr=lr, fused=True))

    def zero_grad(self) -> None:
        """Discard the gradients of the previous step."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        """Change the rows of the batch, and every other parameter, by their gradients."""
        for optimizer in self.optimizers:
            optimizer.step()


def untuned_sgd_rate(table: Tensor, batch_size: int) -> float:
    r"""A learning rate at which plain SGD forgets the starting lengths of a table within an epoch.

    For an alignment loss that is a mean over the batch, lengths under SGD without decay follow
    :math:`r^4 = r_0^4 + 8 \eta^2 \sin^2\theta\, d\, t / (|E| |B|)` (:func:`prismlib.theory.length_sgd_without_decay`).
    After one epoch, t = |E| / |B|, a row with a single interaction has forgotten its start where
    :math:`\eta = r_0^2 |B| / \sqrt 8`, with a sine of 1. From there on lengths scale with the root of the rate and
    directions no longer depend on it, so that the rate need not be tuned. At ten times this rate the first meeting
    already turns a row by more than a right angle.

    Args:
        table: the table at its starting values, floating point, ``(n, d)``; the mean of its squared lengths counts.
            Take the larger of the rates of the two tables.
        batch_size: pairs per step, >= 1.

    Raises:
        ValueError: an argument is not as described.

    >>> table = nn.init.xavier_uniform_(torch.empty(3628, 64), generator=torch.Generator().manual_seed(0))
    >>> round(untuned_sgd_rate(table, batch_size=4096))  # the items of MovieLens1M
    50
    """
    check_table("table", table)
    check_count("batch_size", batch_size)
    return float(table.detach().double().square().sum(1).mean()) * batch_size / 8**0.5


class RowWiseAdagrad(torch.optim.Optimizer):
    r"""Adagrad with one sum of squares per row of an embedding table: what libraries of large tables train with.

    The sum of row i grows by the mean of its squared gradient, :math:`s_i \leftarrow s_i + |g_i|^2 / n`, and the row
    moves by :math:`-\eta\, g_i / (\sqrt{s_i} + \epsilon)`. So its k-th gradient moves the row by about
    :math:`\eta \sqrt{n / k}`: a row that is met d times grows with the sum of 1/k, which is log d, under a loss that
    does not see lengths. A row without a gradient stays where it is. Memory is one number per row beside the table and
    its gradient. A parameter that is no table, such as a bias, is taken as one row per entry, which is plain Adagrad.

    Args:
        params: what is trained, as for every optimiser of :mod:`torch.optim`.
        lr: learning rate, > 0 and finite.
        weight_decay: coupled decay, >= 0 and finite: ``weight_decay * w`` joins the gradient of every row.
        eps: added to the root of the sum, > 0 and finite.

    Raises:
        ValueError: a value is out of range.

    >>> table = nn.Parameter(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
    >>> optimizer = RowWiseAdagrad([table], lr=0.1)
    >>> (table[0] * torch.tensor([2.0, 2.0])).sum().backward()
    >>> optimizer.step()
    >>> table.detach()  # the first gradient of a row moves it by lr * sqrt(n); a row without one stays
    tensor([[2.9000, 3.9000],
            [1.0000, 0.0000]])
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 1e-2, weight_decay: float = 0.0, eps: float = 1e-8
    ) -> None:
        check_number("lr", lr)
        check_number("weight_decay", weight_decay, inclusive=True)
        check_number("eps", eps)
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient.

        Args:
            closure: not taken; it is there because :class:`torch.optim.Optimizer` has it.
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                squares = gradient.square().mean(1, keepdim=True) if gradient.dim() > 1 else gradient.square()
                if not state:
                    state["sum"] = torch.zeros_like(squares)
                state["sum"].add_(squares)
                parameter.addcdiv_(gradient, state["sum"].sqrt().add_(group["eps"]), value=-group["lr"])


def make_optimizer(
    name: str, modules: Iterable[nn.Module], lr: float, weight_decay: float = 0.0, decay_scope: str = "table"
) -> Optimizer:
    """The optimiser of a run; :func:`prismlib.train.fit` describes its names and the scopes of decay.

    Args:
        name: ``"adam"`` (with ``decay_scope="decoupled"`` it is AdamW), ``"sgd"`` (no momentum, the optimiser of the
            paper's theory), ``"sgd_momentum"`` (a momentum of :data:`MOMENTUM`), ``"rowwise_adagrad"``
            (:class:`RowWiseAdagrad`) or ``"sparse_adam"`` (:class:`RowSparseAdam`).
        modules: the modules that are trained.
        lr: learning rate, > 0 and finite.
        weight_decay: >= 0 and finite. With the scope ``"batch"`` the training step applies it, and the optimiser has
            none.
        decay_scope: what the decay acts on, one of :data:`DECAY_SCOPES`.

    Raises:
        ValueError: a name, a scope or a value is not accepted, or they contradict each other.

    >>> make_optimizer("adam", [torch.nn.Embedding(3, 2)], lr=1e-3, decay_scope="decoupled").__class__.__name__
    'AdamW'
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
    if decay_scope not in DECAY_SCOPES:
        raise ValueError(f"decay_scope must be one of {', '.join(DECAY_SCOPES)}, got {decay_scope!r}")
    check_number("lr", lr)
    check_number("weight_decay", weight_decay, inclusive=True)
    modules = nn.ModuleList(modules)  # whose parameters are listed once, however many modules share them
    sparse = any(isinstance(part, nn.Embedding) and part.sparse for part in modules.modules())
    if name == "sparse_adam":
        if weight_decay:
            raise ValueError(
                f"weight_decay must be 0 for optimizer='sparse_adam', got {weight_decay}: it would touch all rows"
            )
        return RowSparseAdam(modules, lr)
    if sparse:
        raise ValueError(f"optimizer must be 'sparse_adam' for a model with sparse=True, got {name!r}")
    if decay_scope == "batch":
        weight_decay = 0.0
    parameters = list(modules.parameters())
    # fused: one pass over both tables and their moments, a tenth of the default's time on CPU
    if name != "adam" and decay_scope == "decoupled":
        raise ValueError(f"decay_scope must be table or batch for optimizer={name!r}: only Adam's decay is decoupled")
    if name == "rowwise_adagrad":
        return RowWiseAdagrad(parameters, lr=lr, weight_decay=weight_decay)
    if name in ("sgd", "sgd_momentum"):
        momentum = MOMENTUM if name == "sgd_momentum" else 0.0
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=True)
    adam = torch.optim.AdamW if decay_scope == "decoupled" else torch.optim.Adam
    return adam(parameters, lr=lr, weight_decay=weight_decay, fused=True)
