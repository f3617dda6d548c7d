"""Optimisers by name. Weight decay is the experiment here: each says what it does to rows that are not in the batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import nn

from prismlib._checks import check_number

#: The names that :func:`make_optimizer` knows.
OPTIMIZERS = ("adam", "sgd", "sparse_adam")
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


def make_optimizer(
    name: str, modules: Iterable[nn.Module], lr: float, weight_decay: float = 0.0, decay_scope: str = "table"
) -> Optimizer:
    """The optimiser of a run; :func:`prismlib.train.fit` describes its names and the scopes of decay.

    Args:
        name: ``"adam"`` (with ``decay_scope="decoupled"`` it is AdamW), ``"sgd"`` (no momentum, the optimiser of the
            paper's theory) or ``"sparse_adam"`` (:class:`RowSparseAdam`).
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
    if name == "sgd":
        if decay_scope == "decoupled":
            raise ValueError(
                "decay_scope must be table or batch for optimizer='sgd': without momentum, decoupled is the same"
            )
        return torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay, fused=True)
    adam = torch.optim.AdamW if decay_scope == "decoupled" else torch.optim.Adam
    return adam(parameters, lr=lr, weight_decay=weight_decay, fused=True)
