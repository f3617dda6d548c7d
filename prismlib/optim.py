r"""Weight decay and optimisers: Equation 1 is here.

Equation 1 adds :math:`\frac{\lambda}{2} \|\Theta\|^2` to the loss, whose gradient is :math:`\lambda w` for a weight
w. What that acts on is the paper's subject, and the experiment here. There are three scopes:

* ``"table"``, Equation 1: every row of every parameter at every step, in the batch or not. :math:`\lambda w` joins the
  gradient, before Adam's moments (:func:`make_optimizer`).
* ``"batch"``, Section 4.1.1: the same on the rows of the batch alone, which the training step adds
  (:func:`decay_rows`).
* ``"decoupled"``: every row, by AdamW. :math:`\eta \lambda w` is subtracted from the weight, beside Adam's step of
  rate :math:`\eta` (:func:`make_optimizer`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from prismlib._checks import check_count, check_number, check_table
from prismlib._fast import kernels, trial
from prismlib._row_adam import RowAdam, sparse_tables

#: The names that :func:`make_optimizer` knows.
OPTIMIZERS = ("adam", "sgd", "sgd_momentum", "rowwise_adagrad", "sparse_adam", "row_adam")
#: Those that need gradients of the batch's rows alone, of models made with ``sparse=True``.
ROW_SPARSE = ("sparse_adam", "row_adam")
#: Those that take such gradients. Under the last two a row out of the batch does not move, so the result is the same.
TAKE_SPARSE = (*ROW_SPARSE, "sgd", "rowwise_adagrad")
# The momentum of ``"sgd_momentum"``.
_MOMENTUM = 0.9
# What the optimisers other than SGD add to the root of a mean square.
_EPSILON = 1e-8
#: What weight decay acts on; the module's first lines say how.
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


def make_optimizer(
    name: str, modules: Iterable[nn.Module], lr: float, weight_decay: float = 0.0, decay_scope: str = "table"
) -> Optimizer:
    """The optimiser of a run. Its weight decay is Equation 1's, AdamW's, or none: the module's first lines say which.

    Args:
        name: ``"adam"`` (with ``decay_scope="decoupled"`` it is AdamW), ``"sgd"`` (no momentum, the optimiser of the
            paper's theory), ``"sgd_momentum"`` (a momentum of 0.9), ``"rowwise_adagrad"``
            (:class:`RowWiseAdagrad`), ``"sparse_adam"`` (:class:`RowSparseAdam`) or ``"row_adam"`` (Adam without
            decay, whose steps cost what the rows of the batch cost: a row makes the moves that it missed when it is
            looked up again. So call the optimiser's ``flush()`` before tables are ranked, saved or read in any other
            way than by looking rows up; :func:`prismlib.train.fit` does).
        modules: the modules that are trained. Models made with ``sparse=True`` need one of :data:`TAKE_SPARSE`, and no
            weight decay.
        lr: learning rate, > 0 and finite.
        weight_decay: >= 0 and finite. With the scope ``"batch"`` the training step applies it, see
            :func:`decay_rows`, and the optimiser has none.
        decay_scope: what the decay acts on, one of :data:`DECAY_SCOPES`.

    Raises:
        ValueError: a name, a scope or a value is not accepted, or they contradict each other; or a constant is 0 in the
            dtype of the parameters, as Adam's epsilon is in float16.

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
    epsilon = 0.0 if name in ("sgd", "sgd_momentum") else _EPSILON
    _check_constants(name, modules, {"lr": lr, "weight_decay": weight_decay, "epsilon": epsilon})
    sparse = any(isinstance(part, nn.Embedding) and part.sparse for part in modules.modules())
    if sparse and name not in TAKE_SPARSE:
        accepted = ", ".join(TAKE_SPARSE)
        raise ValueError(f"optimizer must be one of {accepted} for a model with sparse=True, got {name!r}")
    if (sparse or name in ROW_SPARSE) and weight_decay:
        of_what = f"optimizer={name!r}" if name in ROW_SPARSE else "a model with sparse=True"
        raise ValueError(f"weight_decay must be 0 for {of_what}, got {weight_decay}: it would touch all rows")
    if name in ROW_SPARSE:
        return RowSparseAdam(modules, lr) if name == "sparse_adam" else RowAdam(modules, lr)
    if name != "adam" and decay_scope == "decoupled":
        raise ValueError(f"decay_scope must be table or batch for optimizer={name!r}: only Adam's decay is decoupled")
    parameters = list(modules.parameters())
    if decay_scope == "table":  # every row: weight_decay * w joins the gradient
        return _coupled(name, parameters, lr, weight_decay, sparse)
    if decay_scope == "batch":  # the rows of the batch: decay_rows, and no decay here
        return _coupled(name, parameters, lr, weight_decay=0.0, sparse=sparse)
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)  # every row, beside the step


def _check_constants(name: str, modules: nn.Module, constants: dict[str, float]) -> None:
    """Raise a ValueError where a constant is not 0, but is 0 in the dtype of parameters that are trained."""
    for dtype in {parameter.dtype for parameter in modules.parameters() if parameter.requires_grad}:
        for what, value in constants.items():
            if value and not torch.tensor(value, dtype=dtype):
                held = str(dtype).removeprefix("torch.")
                raise ValueError(
                    f"{what} of optimizer={name!r} is {value:g}, which is 0 in {held}, the parameters' dtype:"
                    " .float() trains in float32"
                )


def decay_of_batch(weight_decay: float, decay_scope: str) -> float:
    """The decay that a training step gives to the rows of its batch, see :func:`decay_rows`; 0 where it has no part.

    Args:
        weight_decay: that of the training, >= 0.
        decay_scope: one of :data:`DECAY_SCOPES`.

    >>> [decay_of_batch(0.1, scope) for scope in DECAY_SCOPES]
    [0.0, 0.1, 0.0]
    """
    return weight_decay if decay_scope == "batch" else 0.0


def decay_rows(table: Tensor, ids: Tensor, weight_decay: float) -> None:
    """Add ``weight_decay * w`` to the gradient of some rows of a table: the scope ``"batch"``.

    Args:
        table: its gradient is there. One without, such as a frozen table, does not decay, as under the optimisers of
            :mod:`torch.optim`.
        ids: the rows, int64, any shape. A row that is named several times decays once.
        weight_decay: >= 0.

    Raises:
        ValueError: the gradient is sparse, or the table is not a parameter but computed from others, such as a
            ``weight_norm``: its rows have no gradient of their own.

    >>> table = nn.Parameter(torch.tensor([[1.0], [1.0]]))
    >>> table.grad = torch.zeros(2, 1)
    >>> decay_rows(table, torch.tensor([1, 1]), weight_decay=0.5)
    >>> table.grad.flatten()
    tensor([0.0000, 0.5000])
    """
    if not table.is_leaf:
        raise ValueError(
            "decay_scope='batch' needs tables that are parameters, got one that is computed (parametrised, such as by"
            " weight_norm): take decay_scope='table'"
        )
    if table.grad is None:
        return
    if table.grad.is_sparse:
        raise ValueError("decay of the batch's rows needs dense gradients: make the model with sparse=False")
    each = torch.zeros(len(table), 1, dtype=table.dtype, device=table.device)
    table.grad.addcmul_(table.detach(), each.index_fill_(0, ids.flatten(), weight_decay))


def _coupled(
    name: str, parameters: list[nn.Parameter], lr: float, weight_decay: float, sparse: bool = False
) -> Optimizer:
    """The optimiser of a name, with a decay that joins the gradient."""
    if name == "rowwise_adagrad":
        return RowWiseAdagrad(parameters, lr=lr, weight_decay=weight_decay)
    # fused: one pass over both tables and their moments, a tenth of the default's time on CPU
    if name == "adam":
        return torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay, fused=True)
    momentum = _MOMENTUM if name == "sgd_momentum" else 0.0
    # fused takes no sparse gradients
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=not sparse)


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
        tables, others = sparse_tables(modules, "sparse_adam")
        weights = list({id(part.weight): part.weight for part in tables}.values())
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.SparseAdam(weights, lr=lr)]
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
    After one epoch, :math:`t = |E| / |B|`, a row with a single interaction has forgotten its start where
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
    :math:`\eta \sqrt{n / k}`: under a loss that does not see lengths, the squared length of a row that is met d times
    grows with the sum of 1/k, which goes with log d. A row without a gradient stays where it is. Memory is one number
    per row beside the table and its gradient. Where a table has sparse gradients, a step reads and writes the batch's
    rows alone. A parameter that is not a table, such as a bias, is taken as a row per entry, which is plain Adagrad.

    Args:
        params: what is trained, as for every optimiser of :mod:`torch.optim`.
        lr: learning rate, > 0 and finite.
        weight_decay: coupled decay, >= 0 and finite: ``weight_decay * w`` joins the gradient of every row.
        eps: added to the root of the sum, > 0 and finite.

    Raises:
        ValueError: a value is out of range; or, at a step, a gradient is sparse and ``weight_decay`` is not 0.

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
                state = self.state[parameter]
                if gradient.is_sparse:
                    if group["weight_decay"]:
                        raise ValueError(
                            f"weight_decay must be 0 where a gradient is sparse, got {group['weight_decay']}:"
                            " it would touch all rows"
                        )
                    self._step_rows(parameter, gradient.coalesce(), group["lr"], group["eps"])
                    continue
                if (
                    parameter.dim() == 2
                    and parameter.is_contiguous()
                    and trial.can_run(kernels.adagrad_step, parameter)
                ):
                    if not state:
                        state["sum"] = parameter.new_zeros(len(parameter), 1)
                    options = group["lr"], group["eps"], group["weight_decay"]
                    kernels.adagrad_step(parameter, gradient, state["sum"], *options)
                    continue
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                squares = gradient.square().mean(1, keepdim=True) if gradient.dim() > 1 else gradient.square()
                if not state:
                    state["sum"] = torch.zeros_like(squares)
                state["sum"].add_(squares)
                parameter.addcdiv_(gradient, state["sum"].sqrt().add_(group["eps"]), value=-group["lr"])

    def _step_rows(self, table: nn.Parameter, gradient: Tensor, lr: float, eps: float) -> None:
        """The same on the rows that a coalesced gradient has."""
        state = self.state[table]
        if not state:
            state["sum"] = table.new_zeros(len(table), 1)
        rows, values = gradient.indices()[0], gradient.values()
        sums = state["sum"].index_select(0, rows).add_(values.square().mean(1, keepdim=True))
        state["sum"].index_copy_(0, rows, sums)
        moved = table.index_select(0, rows).addcdiv_(values, sums.sqrt().add_(eps), value=-lr)
        table.index_copy_(0, rows, moved)
