"""Training: one step in one place, early stopping on validation NDCG@20, best epoch restored (Appendix B.1)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from prismlib._capture import CapturedSteps, graph_for
from prismlib._checks import as_ids, at_least_float32, check_count, check_has_tables, check_ids
from prismlib._device import check_memory, flushed_denormals, training_bytes
from prismlib._row_adam import RowAdam
from prismlib.data import Interactions, as_pairs
from prismlib.lengths import check_lengths, with_lengths
from prismlib.losses import RankingLoss, ScoreLoss
from prismlib.models import Backbone
from prismlib.optim import Optimizer, decay_of_batch, decay_rows, make_optimizer
from prismlib.ranking import FullRanking

#: Of the training steps, see :func:`fit`.
PRECISIONS = ("float32", "bfloat16")
#: Where negatives are drawn from, see :func:`train_step`.
NEGATIVES = ("all", "batch")


@dataclass
class History:
    """What a training run leaves. The lists have one entry per epoch, and epochs are counted from 0.

    Attributes:
        loss: mean training loss over the pairs of each epoch.
        validation_dot: NDCG@K of the validation interactions after each epoch, ranked by dot product.
        validation_cosine: the same, ranked by cosine.
        best_epoch: the epoch of the largest ``validation_dot``, whose parameters the model has; -1 before the first.
        stopped_by: why training ended, ``"patience"``, ``"max_epochs"`` or ``"on_epoch"``.
        train_seconds: wall-clock time of the training steps.
        evaluate_seconds: wall-clock time of the validation.
        cpu_seconds: CPU time of the process over both, which other work on the machine does not inflate.

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
        model: the backbone whose tables are trained.
        criterion: the loss; its parameters are trained too if ``optimizer`` has them.
        optimizer: what changes the parameters, e.g. from :func:`prismlib.optim.make_optimizer`.
        user_id: users of the pairs, any integer dtype, ``(B,)``, on the model's device.
        item_id: items of the pairs, any integer dtype, ``(B,)``, on the model's device.
        num_items: number of items that negatives are drawn from.
        generator: source of the negatives, on the model's device.
        batch_decay: weight decay, >= 0, of the rows in the batch, negatives included, and of no other row
            (Corollary 1). The decay of whole tables belongs to the optimiser. A frozen table does not decay.
        negatives: ``"all"`` draws uniformly from all items, so that a few are false negatives (Appendix B.3).
            ``"batch"`` draws from the distinct items of the batch, as in the released code.

    Raises:
        ValueError: ``user_id`` and ``item_id`` are not integers or do not have one shape ``(B,)``, or
            ``negatives`` is unknown.

    >>> from prismlib import BPR, MF
    >>> model = MF(num_users=2, num_items=3, dim=4)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> pairs = torch.tensor([0, 1]), torch.tensor([2, 2])
    >>> train_step(model, BPR(), sgd, *pairs, num_items=3, generator=torch.Generator()).shape
    torch.Size([])
    """
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives must be one of {', '.join(NEGATIVES)}, got {negatives!r}")
    if user_id.dim() != 1:
        raise ValueError(f"user_id must have shape (B,), got {tuple(user_id.shape)}")
    user_id = as_ids("user_id", user_id)
    item_id = as_ids("item_id", item_id, tuple(user_id.shape))
    shape = (len(item_id), criterion.num_negatives)
    if negatives == "batch":
        candidates = item_id.unique()
        negative = candidates[torch.randint(len(candidates), shape, generator=generator, device=item_id.device)]
    else:
        negative = torch.randint(num_items, shape, generator=generator, device=item_id.device)
    # positives and negatives in one look-up: the item table's gradient is then written once
    listed = torch.cat([item_id[:, None], negative], dim=1)
    if isinstance(criterion, ScoreLoss) and criterion.uses_scores(listed.device):
        loss = criterion.from_scores(model.score(user_id, listed, criterion.cosine))
    else:
        user, items = (at_least_float32(rows) for rows in model(user_id, listed))
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
    """One change of the parameters: gradients, decay of some rows, the optimiser's step, the loss's constraints.

    Args:
        criterion: the loss, whose :meth:`~prismlib.losses.RankingLoss.project_` is called at the end.
        optimizer: what changes the parameters.
        loss: scalar.
        decayed: the rows that decay, as pairs of a table and the ids of its rows, see
            :func:`prismlib.optim.decay_rows`.
        decay: coupled weight decay of these rows, >= 0.

    Raises:
        ValueError: as :func:`prismlib.optim.decay_rows`.

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
        decay_rows(table, ids, decay)
    optimizer.step()
    criterion.project_()


def batches(pairs: tuple[Tensor, ...], order: Tensor, size: int) -> Iterator[tuple[Tensor, ...]]:
    """The pairs in a given order, batch by batch; the last batch may be smaller.

    Args:
        pairs: columns of ids, each of shape ``(n,)``.
        order: which pairs are taken and in which order, int64.
        size: pairs per batch, >= 1.

    >>> pairs = torch.tensor([0, 1, 2]), torch.tensor([5, 6, 7])
    >>> [user.tolist() for user, item in batches(pairs, torch.tensor([2, 0, 1]), size=2)]
    [[2, 0], [1]]
    """
    yield from zip(*(ids[order].split(size) for ids in pairs), strict=True)


@torch.inference_mode(False)
@torch.enable_grad()  # whatever the caller's mode is
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
    lengths: Tensor | None = None,
    on_epoch: Callable[[History], bool | None] | None = None,
    capture: bool = True,
) -> History:
    """Train in place until validation NDCG by dot product has not risen for ``patience`` epochs.

    The model ends with the parameters of its best epoch. Interactions, permutations and negatives stay on the
    model's device. Steps are taken in training mode, the ranking in evaluation mode, and the caller's mode comes back.

    Args:
        model: the backbone, e.g. :class:`prismlib.models.MF`.
        criterion: a loss of :mod:`prismlib.losses`. Its parameters, if it has any, are trained and restored too.
        train: training interactions, two columns of whole numbers of one length.
        validation: the ranking of the validation interactions, which is called once per epoch.
        lr: learning rate, > 0.
        weight_decay: lambda of Equation 1, >= 0; ``decay_scope`` says what it acts on.
        decay_scope: what ``weight_decay`` acts on. ``"table"``: every row of every parameter at every step, in the
            batch or not (Equation 1). ``"batch"``: the rows of the batch alone (Section 4.1.1). ``"decoupled"``: every
            row, by AdamW. :mod:`prismlib.optim` has the three side by side.
        optimizer: ``"adam"``; ``"sgd"``, plain, the optimiser of the paper's theory; ``"sgd_momentum"``;
            ``"rowwise_adagrad"``; or, without decay and for a model made with ``sparse=True``, two whose steps cost
            what the rows of the batch cost: ``"row_adam"``, which trains what Adam trains, and ``"sparse_adam"``,
            PyTorch's, which is another optimiser. Of such a model the steps of ``"sgd"`` and ``"rowwise_adagrad"``
            cost that too, and train the same. See :mod:`prismlib.optim`.
        batch_size: positive pairs per step, >= 1; the last batch of an epoch may be smaller.
        max_epochs: the largest number of epochs, >= 1.
        patience: training ends when this many epochs, >= 1, have brought no better validation.
        negatives: where negatives are drawn from, ``"all"`` or ``"batch"``, see :func:`train_step`.
        reshuffle: False keeps the order of the first epoch in every epoch, as the released code does.
        precision: ``"float32"``; or ``"bfloat16"``, which takes the training steps under :func:`torch.autocast`. This
            is faster where the processor multiplies bfloat16. Parameters, losses, sums and the ranking stay float32.
        seed: of the order of the pairs and of the negatives; the model's starting values are the caller's.
        lengths: item lengths that the validation ranks with in place of the items' own, > 0 and finite, shape
            ``(num_items,)``, see :mod:`prismlib.lengths`. The steps are the same; the best epoch is the one that is
            best with these lengths. None ranks with the items' own.
        on_epoch: a function that is called after each epoch with the history so far. Training stops where it returns
            True.
        capture: True captures the training step of a GPU in a CUDA graph and replays it, which computes the same
            without waiting for Python. Steps that cannot be captured are run one by one, and the log of
            ``prismlib._capture`` says why. False runs every step by itself, for debugging. A CPU's steps are always
            run one by one.

    Returns:
        Losses, validation scores and times.

    Raises:
        ValueError: ``model`` has no tables ``user`` and ``item``; an argument is out of range or on another device;
            ``train`` is empty, its columns do not have one length, or an id is not a row of its table; there are more
            negatives than items; nothing is trainable; or starting values are not finite. All of this is found before
            any training.
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
    batch_decay = decay_of_batch(weight_decay, decay_scope)
    _check(model, criterion, train, validation, negatives, precision, seed, batch_decay)
    if lengths is not None:
        lengths = check_lengths(lengths, validation.num_items).to(next(model.parameters()).device)
    for name, value in (("batch_size", batch_size), ("max_epochs", max_epochs), ("patience", patience)):
        check_count(name, value)
    device = next(model.parameters()).device
    check_memory(training_bytes(model, criterion, len(train.user), batch_size), device)
    # the loss's parameters count as the model's: MACR ranks with them
    modules = nn.ModuleList([model, criterion])
    stepper = make_optimizer(optimizer, modules, lr, weight_decay, decay_scope)
    generator = torch.Generator(device).manual_seed(seed)

    def step(user_id: Tensor, item_id: Tensor, generator: torch.Generator) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = train_step(
                model, criterion, stepper, user_id, item_id, validation.num_items, generator, batch_decay, negatives
            )
        return at_least_float32(loss)

    user, item = (ids.to(device) for ids in as_pairs("train", train))
    pairs = user, item
    graph = graph_for(model, criterion, stepper, negatives, device) if capture else None
    captured = CapturedSteps(step, pairs, batch_size, generator, graph, modules) if graph else None
    history, best_state = History(), {}
    cpu_start = time.process_time()
    with _modes_kept(modules):
        for epoch in range(max_epochs):
            start = time.perf_counter()
            modules.train()
            if reshuffle or epoch == 0:
                order = torch.randperm(len(user), generator=generator, device=device)
            if captured is not None:
                total = captured.epoch(order)
                generator = captured.generator  # another object after a capture that failed
            else:
                total = torch.zeros((), device=device)
                for user_id, item_id in batches(pairs, order, batch_size):
                    total += step(user_id, item_id, generator) * len(user_id)
            _step_on_all_pairs(model, criterion, stepper, pairs)
            history.loss.append(_finite(float(total) / len(train.user), epoch))
            trained = time.perf_counter()

            modules.eval()
            if isinstance(stepper, RowAdam):  # rows that were not looked up lately have moves to make up for
                stepper.flush()
            _validate(model, criterion, validation, lengths, history)
            if history.best_epoch == epoch:
                best_state = {name: value.clone() for name, value in modules.state_dict().items()}
            history.train_seconds += trained - start
            history.evaluate_seconds += time.perf_counter() - trained
            history.cpu_seconds = time.process_time() - cpu_start
            if _ends(history, patience, on_epoch):
                break
    modules.load_state_dict(best_state)
    return history


def _step_on_all_pairs(
    model: Backbone, criterion: RankingLoss, optimizer: Optimizer, pairs: tuple[Tensor, ...]
) -> None:
    """The one update after an epoch that a loss on all pairs asks for, if it has any."""
    loss = criterion.epoch_loss(model, *pairs)
    if loss is not None:
        update(criterion, optimizer, loss)


def _finite(loss: float, epoch: int) -> float:
    """The mean loss of an epoch, or a FloatingPointError."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss became {loss} in epoch {epoch}: lower lr or weight_decay")
    return loss


def _validate(
    model: Backbone, criterion: RankingLoss, validation: FullRanking, lengths: Tensor | None, history: History
) -> None:
    """Rank the validation interactions, and add the scores to the history, with the best epoch so far."""
    epoch = len(history.validation_dot)
    with torch.no_grad():
        user, item = criterion.rank_tables(*model.embeddings())
    try:
        score = validation(user, item if lengths is None else with_lengths(item, lengths))
    except ValueError:
        # asked only now: a GPU would be waited for in each epoch
        if all(torch.isfinite(table).all() for table in (user, item)):
            raise
        raise FloatingPointError(f"embeddings became inf or nan in epoch {epoch}: lower lr or weight_decay") from None
    history.validation_dot.append(score["dot"]["ndcg"])
    history.validation_cosine.append(score["cosine"]["ndcg"])
    if epoch == 0 or history.validation_dot[epoch] > history.validation_dot[history.best_epoch]:
        history.best_epoch = epoch


def _ends(history: History, patience: int, on_epoch: Callable[[History], bool | None] | None) -> bool:
    """Whether training ends after this epoch; the history says why."""
    if on_epoch is not None and on_epoch(history):
        history.stopped_by = "on_epoch"
    elif len(history.loss) - 1 - history.best_epoch >= patience:
        history.stopped_by = "patience"
    else:
        return False
    return True


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
    model: Backbone,
    criterion: RankingLoss,
    train: Interactions,
    validation: FullRanking,
    negatives: str,
    precision: str,
    seed: int,
    batch_decay: float,
) -> None:
    """Raise a ValueError for what would fail, or mislead, in the middle of a training."""
    for what, value, accepted in (("precision", precision, PRECISIONS), ("negatives", negatives, NEGATIVES)):
        if value not in accepted:
            raise ValueError(f"{what} must be one of {', '.join(accepted)}, got {value!r}")
    check_has_tables(model)
    check_count("seed", seed, minimum=-(2**63))
    user, item = as_pairs("train", train)
    if len(user) == 0:
        raise ValueError("train is empty: there is nothing to learn from; check the split")
    for name, rows, table in (("user", validation.num_users, model.user), ("item", validation.num_items, model.item)):
        if rows != table.num_embeddings:
            raise ValueError(f"validation ranks {rows} {name}s, the model has {table.num_embeddings}")
    for name, parameter in nn.ModuleDict({"model": model, "criterion": criterion}).named_parameters():
        if parameter.is_inference():
            raise ValueError(f"{name} was made under torch.inference_mode() and cannot be trained: make it outside")
    device = next(model.parameters()).device
    of_criterion = (*criterion.named_parameters(prefix="criterion"), *criterion.named_buffers(prefix="criterion"))
    for name, tensor in (("validation", validation.users), *of_criterion):
        if tensor.device != device:
            raise ValueError(f"{name} is on {tensor.device}, the model on {device}: all must be on one device")
    for name, ids, table in (("user", user, model.user), ("item", item, model.item)):
        check_ids(f"train.{name}", ids, table.num_embeddings)
        if not torch.isfinite(table.weight).all():
            raise ValueError(f"model.{name} has rows that are not finite: initialise it before training")
    for name, table in (("user", model.user), ("item", model.item)):
        if not table.weight.is_leaf and not is_parametrized(table, "weight"):
            raise ValueError(
                f"model.{name}.weight is computed by a hook (of pruning, or the old weight_norm) that no step calls:"
                " take torch.nn.utils.parametrizations, or prune.remove"
            )
        if batch_decay and not table.weight.is_leaf:
            raise ValueError(
                f"decay_scope='batch' needs tables that are parameters, but model.{name}.weight is parametrised:"
                " take decay_scope='table'"
            )
    if not any(parameter.requires_grad for parameter in (*model.parameters(), *criterion.parameters())):
        raise ValueError("model and criterion have nothing to train: requires_grad is False everywhere")
    if criterion.num_negatives > validation.num_items:
        raise ValueError(
            f"num_negatives must be <= {validation.num_items}, the number of items, got {criterion.num_negatives}"
        )
