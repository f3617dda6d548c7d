"""Training: one step in one place, early stopping on validation NDCG@20, best epoch restored (Appendix B.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from prismlib.data import Interactions
from prismlib.losses import RankingLoss
from prismlib.models import Backbone
from prismlib.ranking import FullRanking

DECAY_SCOPES = ("table", "batch", "decoupled")


@dataclass
class History:
    """What a training run leaves: one entry an epoch, counted from 0.

    ``train_seconds`` and ``evaluate_seconds`` are wall-clock time; ``cpu_seconds`` is the process's CPU time over
    both, which other work on the machine does not inflate. ``stopped_by`` is ``"patience"``, ``"max_epochs"`` or
    ``"on_epoch"``.
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
    optimizer: torch.optim.Optimizer,
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
    """
    shape = (len(item_id), criterion.num_negatives)
    if negatives == "batch":
        candidates = item_id.unique()
        negative = candidates[torch.randint(len(candidates), shape, generator=generator, device=item_id.device)]
    else:
        negative = torch.randint(num_items, shape, generator=generator, device=item_id.device)
    # positives and negatives in one look-up: the item table's gradient is then written once
    listed = torch.cat([item_id[:, None], negative], dim=1)
    user, items = model(user_id, listed)
    loss = criterion(user, items[:, 0], items[:, 1:], user_id=user_id, item_id=item_id)
    optimizer.zero_grad()
    loss.backward()
    if batch_decay:
        for table, ids in ((model.user.weight, user_id), (model.item.weight, listed)):
            rows = ids.unique()
            assert table.grad is not None
            table.grad.index_add_(0, rows, table.detach().index_select(0, rows), alpha=batch_decay)
    optimizer.step()
    criterion.project_()
    return loss.detach()


def batches(pairs: tuple[Tensor, ...], order: Tensor, size: int) -> Iterator[tuple[Tensor, ...]]:
    """The pairs in a given order, ``size`` at a time; the last batch may be smaller."""
    yield from zip(*(ids[order].split(size) for ids in pairs), strict=True)


def fit(
    model: Backbone,
    criterion: RankingLoss,
    train: Interactions,
    validation: FullRanking,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    decay_scope: str = "table",
    batch_size: int = 4096,
    max_epochs: int = 1000,
    patience: int = 10,
    negatives: str = "all",
    reshuffle: bool = True,
    seed: int = 0,
    on_epoch: Callable[[History], bool | None] | None = None,
) -> History:
    """Train in place with Adam until validation NDCG by dot product has not risen for ``patience`` epochs.

    The model ends with the parameters of its best epoch. Interactions, permutations and negatives stay on the
    model's device.

    Args:
        model: e.g. :class:`prismlib.models.MF`.
        criterion: a loss of :mod:`prismlib.losses`; its own parameters, if any, are trained and restored along.
        train: training interactions.
        validation: ranks the validation interactions; called once an epoch.
        decay_scope: what ``weight_decay`` acts on. ``"table"``: Adam's own, coupled L2 (``weight_decay * w`` joins the
            gradient before the moments) on every row of every parameter at every step, in the batch or not
            (Equation 1). ``"batch"``: the same on the rows of the batch only (Section 4.1.1). ``"decoupled"``: AdamW's
            on every row, ``lr * weight_decay * w`` straight off the weight.
        negatives: where negatives are drawn from, see :func:`train_step`.
        reshuffle: False keeps the first epoch's order in every epoch, as the released code does.
        on_epoch: called after each epoch with the history so far; training stops where it returns True.

    Raises:
        ValueError: an unknown ``decay_scope`` or ``negatives``.
        FloatingPointError: the loss is no longer finite; the message names the epoch.

    >>> from prismlib import MF, BPR, fit, popularity_groups, random_split, synthetic
    >>> split = random_split(synthetic(200, 100, 2500), seed=0)
    >>> model = MF(200, 100, dim=8, generator=torch.Generator().manual_seed(0))
    >>> groups = popularity_groups(torch.from_numpy(split.item_popularity))
    >>> ranking = FullRanking(split.validation, [split.train], groups, num_users=200)
    >>> history = fit(model, BPR(), split.train, ranking, batch_size=512, max_epochs=3)
    >>> len(history.loss)
    3
    """
    if decay_scope not in DECAY_SCOPES:
        raise ValueError(f"decay_scope must be one of {', '.join(DECAY_SCOPES)}, got {decay_scope!r}")
    if negatives not in ("all", "batch"):
        raise ValueError(f"negatives must be one of all, batch, got {negatives!r}")
    device = next(model.parameters()).device
    # the loss's parameters count as the model's: MACR ranks with them
    trained_modules = nn.ModuleList([model, criterion])
    # fused: one pass over both tables and their moments, a tenth of the default's time on CPU
    adam = torch.optim.AdamW if decay_scope == "decoupled" else torch.optim.Adam
    batch_decay = weight_decay if decay_scope == "batch" else 0.0
    optimizer = adam(trained_modules.parameters(), lr=lr, weight_decay=weight_decay - batch_decay, fused=True)
    generator = torch.Generator(device).manual_seed(seed)
    pairs = tuple(torch.as_tensor(ids).long().to(device) for ids in train)
    history, best, best_state = History(), -1.0, {}
    cpu_start = time.process_time()

    for epoch in range(max_epochs):
        start = time.perf_counter()
        total = torch.zeros((), device=device)
        if reshuffle or epoch == 0:
            order = torch.randperm(len(pairs[0]), generator=generator, device=device)
        for user_id, item_id in batches(pairs, order, batch_size):
            loss = train_step(
                model, criterion, optimizer, user_id, item_id, validation.num_items, generator, batch_decay, negatives
            )
            total += loss * len(user_id)
        history.loss.append(float(total) / len(pairs[0]))
        trained = time.perf_counter()
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss became {float(total)} in epoch {epoch}: lower lr or weight_decay")

        with torch.no_grad():
            score = validation(*criterion.rank_tables(*model.embeddings()))
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
