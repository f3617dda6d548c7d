"""Training: one step in one place, early stopping on validation NDCG@20, best epoch restored (Appendix B.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from prismlib.capture import Steps, graph_for
from prismlib.data import Interactions
from prismlib.device import check_memory, flushed_denormals, training_bytes
from prismlib.losses import RankingLoss, ScoreLoss
from prismlib.models import Backbone, check_ids
from prismlib.optim import Optimizer, make_optimizer
from prismlib.ranking import FullRanking

#: Of the training steps, see :func:`fit`.
PRECISIONS = ("float32", "bfloat16")


@dataclass
class History:
    """What a training run leaves: one entry an epoch, counted from 0.

    ``train_seconds`` and ``evaluate_seconds`` are wall-clock time; ``cpu_seconds`` is the process's CPU time over
    both, which other work on the machine does not inflate. ``stopped_by`` is ``"patience"``, ``"max_epochs"`` or
    ``"on_epoch"``.

    Attributes:
        loss: mean training loss of the epoch's pairs.
        validation_dot, validation_cosine: NDCG@K of the validation interactions, ranked by dot product and by cosine.
        best_epoch: the epoch of the largest ``validation_dot``, whose parameters the model has.

    >>> history = History(loss=[0.69, 0.52], validation_dot=[0.11, 0.14], best_epoch=1)
    >>> history.validation_dot[history.best_epoch]
    0.14
    """

    loss: list[float] = field(default_factory=list)
    validation_dot: list[float] = field(default_factory=list)
    validation_cosine: list[float] = field(default_factory=list)
    best_epoch: int = -1
    stopped_by: str = "max_epochs"
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    cpu_seconds: float = 0.0


def train_step(
    model: Backbone,
    criterion: RankingLoss,
    optimizer: Optimizer,
    user_id: Tensor,
    item_id: Tensor,
    num_items: int,
    generator: torch.Generator,
    batch_decay: float = 0.0,
    negatives: str = "all",
) -> Tensor:
    """One update on one batch of positive pairs; returns the detached loss.

    Args:
        negatives: drawn uniformly from ``"all"`` items, so a few are false negatives (Appendix B.3), or from the
            distinct items of the ``"batch"``, as in the released code.
        batch_decay: weight decay of the rows in the batch, negatives included, and of no other row (Corollary 1);
            the whole tables' decay is the optimiser's.
        user_id, item_id: int64, shape ``(B,)``, on the model's device.
        generator: source of the negatives, on the same device.

    >>> from prismlib import BPR, MF
    >>> model = MF(num_users=2, num_items=3, dim=4)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> pairs = torch.tensor([0, 1]), torch.tensor([2, 2])
    >>> train_step(model, BPR(), sgd, *pairs, num_items=3, generator=torch.Generator()).shape
    torch.Size([])
    """
    shape = (len(item_id), criterion.num_negatives)
    if negatives == "batch":
        candidates = item_id.unique()
        negative = candidates[torch.randint(len(candidates), shape, generator=generator, device=item_id.device)]
    elif negatives == "all":
        negative = torch.randint(num_items, shape, generator=generator, device=item_id.device)
    else:
        raise ValueError(f"negatives must be one of all, batch, got {negatives!r}")
    # positives and negatives in one look-up: the item table's gradient is then written once
    listed = torch.cat([item_id[:, None], negative], dim=1)
    if isinstance(criterion, ScoreLoss):
        loss = criterion.of_scores(model.score(user_id, listed, criterion.cosine))
    else:
        user, items = model(user_id, listed)
        ids = {"user_id": user_id, "item_id": item_id}
        if criterion.num_negatives:
            ids["negative_id"] = negative
        loss = criterion(user, items[:, 0], items[:, 1:], **ids)
    decayed = [(model.user.weight, user_id), (model.item.weight, listed)] if batch_decay else []
    update(criterion, optimizer, loss, decayed, batch_decay)
    return loss.detach()


def update(
    criterion: RankingLoss,
    optimizer: Optimizer,
    loss: Tensor,
    decayed: Iterable[tuple[Tensor, Tensor]] = (),
    decay: float = 0.0,
) -> None:
    """Gradients, coupled ``decay`` of some rows given as (table, ids), the optimiser's step, the loss's constraints.

    >>> from prismlib import BPR
    >>> table = nn.Parameter(torch.tensor([[1.0], [1.0]]))
    >>> sgd = torch.optim.SGD([table], lr=0.1)
    >>> update(BPR(), sgd, table.sum() * 0, decayed=[(table, torch.tensor([1, 1]))], decay=1.0)
    >>> table.detach().flatten()  # row 1 alone decays, and once
    tensor([1.0000, 0.9000])
    """
    optimizer.zero_grad()
    loss.backward()
    for table, ids in decayed:
        each = torch.zeros(len(table), 1, dtype=table.dtype, device=table.device).index_fill_(0, ids.flatten(), decay)
        assert table.grad is not None
        table.grad.addcmul_(table.detach(), each)
    optimizer.step()
    criterion.project_()


def batches(pairs: tuple[Tensor, ...], order: Tensor, size: int) -> Iterator[tuple[Tensor, ...]]:
    """The pairs in a given order, ``size`` at a time; the last batch may be smaller.

    >>> pairs = torch.tensor([0, 1, 2]), torch.tensor([5, 6, 7])
    >>> [user.tolist() for user, item in batches(pairs, torch.tensor([2, 0, 1]), size=2)]
    [[2, 0], [1]]
    """
    yield from zip(*(ids[order].split(size) for ids in pairs), strict=True)


@flushed_denormals()
def fit(
    model: Backbone,
    criterion: RankingLoss,
    train: Interactions,
    validation: FullRanking,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    decay_scope: str = "table",
    optimizer: str = "adam",
    batch_size: int = 4096,
    max_epochs: int = 1000,
    patience: int = 10,
    negatives: str = "all",
    reshuffle: bool = True,
    precision: str = "float32",
    seed: int = 0,
    on_epoch: Callable[[History], bool | None] | None = None,
    capture: bool = True,
) -> History:
    """Train in place until validation NDCG by dot product has not risen for ``patience`` epochs.

    The model ends with the parameters of its best epoch. Interactions, permutations and negatives stay on the
    model's device. Steps are taken in training mode, the ranking in evaluation mode, and the caller's mode comes back.

    Args:
        model: e.g. :class:`prismlib.models.MF`.
        criterion: a loss of :mod:`prismlib.losses`; its own parameters, if any, are trained and restored along.
        train: training interactions.
        validation: ranks the validation interactions; called once an epoch.
        lr: learning rate, > 0.
        decay_scope: what ``weight_decay`` acts on. ``"table"``: Adam's own, coupled L2 (``weight_decay * w`` joins the
            gradient before the moments) on every row of every parameter at every step, in the batch or not
            (Equation 1). ``"batch"``: the same on the rows of the batch only (Section 4.1.1). ``"decoupled"``: AdamW's
            on every row, ``lr * weight_decay * w`` straight off the weight.
        optimizer: ``"adam"``; ``"sgd"``, plain, the optimiser of the paper's theory; or ``"sparse_adam"``, whose steps
            cost what the batch's rows cost, without decay, for a model made with ``sparse=True``. See
            :mod:`prismlib.optim`.
        batch_size: positive pairs a step; the last batch of an epoch may be smaller.
        max_epochs, patience: at most so many epochs, and fewer where ``patience`` of them brought no better validation.
        negatives: where negatives are drawn from, see :func:`train_step`.
        reshuffle: False keeps the first epoch's order in every epoch, as the released code does.
        precision: ``"float32"``; or ``"bfloat16"``, which takes the training steps under :func:`torch.autocast`, faster
            where the processor multiplies bfloat16: parameters, sums and the ranking stay float32.
        on_epoch: called after each epoch with the history so far; training stops where it returns True.
        capture: on a GPU, capture the training step in a CUDA graph and replay it, which computes the same without
            waiting for Python. What cannot be captured is run step by step, and the log of :mod:`prismlib.capture`
            says why. False runs every step by itself, for debugging.

    Raises:
        ValueError: an argument out of range or on another device, an empty ``train`` or one whose ids the tables do not
            have, more negatives than items, or starting values that are not finite; before any training.
        MemoryError: the device has less free than training needs; before any training.
        FloatingPointError: the loss or the embeddings are no longer finite; the message names the epoch.

    >>> from prismlib import MF, BPR, fit, popularity_groups, random_split, synthetic
    >>> split = random_split(synthetic(200, 100, 2500), seed=0)
    >>> model = MF(200, 100, dim=8, generator=torch.Generator().manual_seed(0))
    >>> groups = popularity_groups(torch.from_numpy(split.item_popularity))
    >>> ranking = FullRanking(split.validation, [split.train], groups, num_users=200)
    >>> history = fit(model, BPR(), split.train, ranking, batch_size=512, max_epochs=3)
    >>> len(history.loss)
    3
    """
    _check(model, criterion, train, validation, precision)
    for name, value in (("batch_size", batch_size), ("max_epochs", max_epochs), ("patience", patience)):
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    device = next(model.parameters()).device
    check_memory(training_bytes(model, criterion, len(train.user), batch_size), device)
    # the loss's parameters count as the model's: MACR ranks with them
    trained_modules = nn.ModuleList([model, criterion])
    stepper = make_optimizer(optimizer, trained_modules, lr, weight_decay, decay_scope)
    batch_decay, num_items = weight_decay if decay_scope == "batch" else 0.0, validation.num_items
    generator = torch.Generator(device).manual_seed(seed)
    user, item = (torch.as_tensor(ids).long().to(device) for ids in train)
    pairs = user, item
    history, best, best_state = History(), -1.0, {}
    cpu_start = time.process_time()

    def step(user_id: Tensor, item_id: Tensor, generator: torch.Generator) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return train_step(model, criterion, stepper, user_id, item_id, num_items, generator, batch_decay, negatives)

    graph = graph_for(model, criterion, stepper, negatives, device) if capture else None
    steps = Steps(step, pairs, batch_size, generator, graph)
    with _modes_kept(trained_modules):
        for epoch in range(max_epochs):
            start = time.perf_counter()
            trained_modules.train()
            total = steps.epoch(reshuffle)
            whole = criterion.epoch_loss(model, *pairs)
            if whole is not None:
                update(criterion, stepper, whole)
            history.loss.append(float(total) / len(pairs[0]))
            trained = time.perf_counter()
            if not torch.isfinite(total):
                raise FloatingPointError(f"the loss became {float(total)} in epoch {epoch}: lower lr or weight_decay")

            trained_modules.eval()
            with torch.no_grad():
                tables = criterion.rank_tables(*model.embeddings())
            if not all(torch.isfinite(table).all() for table in tables):
                raise FloatingPointError(f"embeddings became inf or nan in epoch {epoch}: lower lr or weight_decay")
            score = validation(*tables)
            history.validation_dot.append(score["dot"]["ndcg"])
            history.validation_cosine.append(score["cosine"]["ndcg"])
            if history.validation_dot[-1] > best:
                best, history.best_epoch = history.validation_dot[-1], epoch
                best_state = {name: value.clone() for name, value in trained_modules.state_dict().items()}
            history.train_seconds += trained - start
            history.evaluate_seconds += time.perf_counter() - trained
            history.cpu_seconds = time.process_time() - cpu_start
            if on_epoch is not None and on_epoch(history):
                history.stopped_by = "on_epoch"
                break
            if epoch - history.best_epoch >= patience:
                history.stopped_by = "patience"
                break
    trained_modules.load_state_dict(best_state)
    return history


@contextmanager
def _modes_kept(modules: nn.Module) -> Iterator[None]:
    """A block after which every part is in training or evaluation mode as before it."""
    modes = [(part, part.training) for part in modules.modules()]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _check(
    model: Backbone, criterion: RankingLoss, train: Interactions, validation: FullRanking, precision: str
) -> None:
    """Raise a ValueError for what would fail, or mislead, in the middle of a training."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if len(train.user) == 0:
        raise ValueError("train is empty: there is nothing to learn from; check the split")
    for name, rows, table in (("user", validation.num_users, model.user), ("item", validation.num_items, model.item)):
        if rows != table.num_embeddings:
            raise ValueError(f"validation ranks {rows} {name}s, the model has {table.num_embeddings}")
    device = next(model.parameters()).device
    own = (*criterion.named_parameters(prefix="criterion"), *criterion.named_buffers(prefix="criterion"))
    for name, tensor in (("validation", validation.users), *own):
        if tensor.device != device:
            raise ValueError(f"{name} is on {tensor.device}, the model on {device}: all must be on one device")
    for name, ids, table in (("user", train.user, model.user), ("item", train.item, model.item)):
        check_ids(f"train.{name}", torch.as_tensor(ids).long(), table.num_embeddings)
        if not torch.isfinite(table.weight).all():
            raise ValueError(f"model.{name} has rows that are not finite: initialise it before training")
    if criterion.num_negatives > validation.num_items:
        raise ValueError(
            f"num_negatives must be <= {validation.num_items}, the number of items, got {criterion.num_negatives}"
        )
