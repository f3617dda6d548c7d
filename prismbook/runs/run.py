"""One configuration trained and tested: its record and the scores of its test users. Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prismbook.plan.config import RunConfig, semantics
from prismbook.runs.machine import check_device, environment
from prismbook.runs.records import Planned, Record
from prismbook.runs.splits import RANDOM
from prismlib._device import flushed_denormals
from prismlib._rows import norms as norms_of
from prismlib.baselines import IPL, MACR, ReSN
from prismlib.data import Interactions, Split
from prismlib.hypersphere import uniformity, uniformity_released
from prismlib.init import prism_
from prismlib.lengths import EXPONENTS, popularity_power, with_lengths
from prismlib.losses import BPR, MAWU, SSM, DirectAU, RankingLoss
from prismlib.metrics import popularity_groups
from prismlib.models import MF, Backbone, LightGCN, NonLinearMF
from prismlib.norms import norm_summary
from prismlib.optim import ROW_SPARSE
from prismlib.ranking import FullRanking, mean_score
from prismlib.train import History, fit

REPORTED_KS = (5, 10, 20, 50)
Popularity = dict[str, Tensor]  # training interactions per row of the tables "user" and "item"


@flushed_denormals()  # from the start, so that torch's worker threads have it too
def run(
    planned: Planned, on_epoch: Callable[[History], bool | None] | None = None
) -> tuple[Record, dict[str, np.ndarray]]:
    """Train and test one configuration. Nothing is written.

    Args:
        planned: what to run. A split of your own is part of the run's identity, and the record has its name and hash.
        on_epoch: called after every epoch, see :func:`prismlib.train.fit`.

    Returns:
        The run's record, and the scores of each test user as :func:`prismbook.runs.records.load_scores` gives them.

    Raises:
        ValueError: the device is not there.
        FloatingPointError: the loss, or the length of a row, is no longer finite.
        MemoryError: the device has less memory free than training needs.
    """
    config, split = planned.config, planned.loaded().split
    assert split is not None
    check_device(config.device)
    device = torch.device(config.device)
    popularity = {"user": torch.from_numpy(split.user_popularity), "item": torch.from_numpy(split.item_popularity)}
    model, loss = starting_point(config, split, popularity, device)
    history = train(config, split, model, loss, popularity, on_epoch)
    with torch.no_grad():
        user, item = model.embeddings()
    scores, report = evaluate(config, split, loss, user, item, popularity)
    by_exponent, scores_with_lengths = rank_with_lengths(config, split, loss, user, item, popularity)
    norms = {"user": norm_summary(user, popularity["user"]), "item": norm_summary(item, popularity["item"])}
    record = {
        **identity(planned, split),
        "best_epoch": history.best_epoch,
        "stopped_by": history.stopped_by,
        "test": {ranking: _rounded(mean_score(scores[ranking])) for ranking in ("dot", "cosine")},
        "report": _rounded(report),
        "history": {
            "loss": _rounded(history.loss),
            "validation_dot": _rounded(history.validation_dot),
            "validation_cosine": _rounded(history.validation_cosine),
        },
        "norms": _rounded(norms),
        "singular_values": {"user": largest_singular_values(user), "item": largest_singular_values(item)},
        **({"lengths": _rounded(by_exponent)} if by_exponent else {}),
        "seconds": {clock: round(getattr(history, f"{clock}_seconds"), 3) for clock in ("train", "evaluate", "cpu")},
        "joules": None,  # the energy of a run; stored runs on a GPU have it, and it is no longer counted
        "environment": environment(device),
    }
    # a length in half precision is right to three digits
    rows = {f"{name}_norm": norms_of(table.detach()).half() for name, table in (("user", user), ("item", item))}
    return record, {name: values.cpu().numpy() for name, values in (scores | scores_with_lengths | rows).items()}


def largest_singular_values(table: Tensor, count: int = 3) -> list[float]:
    """The largest singular values of a table, the largest first: how many directions its rows have.

    They are rounded to four digits each.

    Args:
        table: embeddings, float, shape ``(n, d)``.
        count: how many.

    >>> largest_singular_values(torch.tensor([[3.0, 0.0], [0.0, 0.5], [4.0, 0.0]]))
    [5.0, 0.5]
    """
    return [float(f"{value:.4g}") for value in torch.linalg.svdvals(table.detach().double())[:count].tolist()]


def identity(planned: Planned, split: Split) -> dict[str, Any]:
    """The first entries of a record: which run it is, and on which data."""
    data = {
        "synthetic": split.dataset.synthetic,
        "content_hash": split.dataset.content_hash,
        "split_hash": split.split_hash,
    }
    if split.name != RANDOM:
        data["split"] = split.name
    return {
        "id": planned.id,
        "semantics": semantics(planned.config),
        "config": vars(planned.config).copy(),
        "data": data,
    }


def starting_point(
    config: RunConfig, split: Split, popularity: Popularity, device: torch.device
) -> tuple[MF, RankingLoss]:
    """The model and the loss of a configuration on its device, with their starting values."""
    # drawn on the CPU, so that every device starts from the same tables
    generator = torch.Generator().manual_seed(config.seed)
    model = make_model(config, split, generator)
    loss = make_loss(config, split, model, generator).to(device)
    if config.init == "prism":
        assert config.alpha is not None
        prism_(model.user.weight, popularity["user"], config.alpha)
        prism_(model.item.weight, popularity["item"], config.alpha)
    return model.to(device), loss


def train(
    config: RunConfig,
    split: Split,
    model: MF,
    loss: RankingLoss,
    popularity: Popularity,
    on_epoch: Callable[[History], bool | None] | None = None,
) -> History:
    """Train a model as its configuration says; its best epoch stays in it."""
    groups = popularity_groups(popularity["item"])
    validation = _ranking(config, split, split.validation, [split.train], groups)
    assert config.batch_size is not None
    return fit(
        model,
        loss,
        split.train,
        validation,
        lr=config.lr,
        weight_decay=config.weight_decay,
        decay_scope=config.decay_scope,
        optimizer=config.optimizer,
        batch_size=config.batch_size,
        max_epochs=config.max_epochs,
        patience=config.patience,
        negatives=config.negatives,
        reshuffle=config.reshuffle,
        precision=config.precision,
        seed=config.seed,
        lengths=None
        if config.length_exponent is None
        else popularity_power(popularity["item"], config.length_exponent),
        on_epoch=on_epoch,
    )


@torch.no_grad()
def evaluate(
    config: RunConfig, split: Split, loss: RankingLoss, user: Tensor, item: Tensor, popularity: Popularity
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Rank all items for the test users, by dot product and by cosine.

    Args:
        loss: the trained loss, which may rank by other tables than the model's.
        user: the trained model's user table, float, shape ``(num_users, dim)``.
        item: its item table, float, shape ``(num_items, dim)``.

    Returns:
        The test users with the parts of their NDCG@20, and the report of every metric at every K by ranking.

    Raises:
        FloatingPointError: the length of a row is no longer finite.
    """
    data = split.dataset
    groups = popularity_groups(popularity["item"])
    if config.groups_from == "all":
        groups = popularity_groups(torch.bincount(torch.from_numpy(data.item), minlength=data.num_items))
    ks = [k for k in REPORTED_KS if k <= data.num_items]
    ranking = _ranking(config, split, split.test, [split.train, split.validation], groups, k=ks[-1])
    ranked = loss.rank_tables(user, item)
    # a row's length, or a score, can overflow where the row itself and the loss do not
    if not all(torch.linalg.vector_norm(table, dim=1).isfinite().all() for table in (user, item, *ranked)):
        raise FloatingPointError("the rows became so long that their norms overflow float32: lower lr")
    lists = ranking.lists(*ranked)
    parts = {name: ranking.ndcg_by_group(items[:, :20]) for name, items in lists.items()}
    report = {name: ranking.all_metrics(items, popularity["item"], ks) for name, items in lists.items()}
    return {"user": ranking.users.to(torch.int32), **parts}, report


@torch.no_grad()
def rank_with_lengths(
    config: RunConfig, split: Split, loss: RankingLoss, user: Tensor, item: Tensor, popularity: Popularity
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Rank with the item lengths d ** b in place of the trained ones, for each exponent b of a fixed list.

    Args:
        loss: the trained loss. MACR has a ranking rule of its own, and is not ranked here.
        user: the trained model's user table, float, shape ``(num_users, dim)``.
        item: its item table, float, shape ``(num_items, dim)``.

    Returns:
        What the record keeps, which are the exponents, the mean NDCG@20 with its parts at each of them on the
        validation and on the test interactions, and the exponent that the validation chooses; and what the scores keep,
        the test users' parts at that exponent. Both are empty for MACR.
    """
    if config.loss == "macr":
        return {}, {}
    groups = popularity_groups(popularity["item"])
    validation = _ranking(config, split, split.validation, [split.train], groups)
    test = _ranking(config, split, split.test, [split.train, split.validation], groups)
    d = popularity["item"].to(item.device)
    means: dict[str, list[dict[str, float]]] = {"validation": [], "test": []}
    parts = []
    for exponent in EXPONENTS:
        table = with_lengths(item, popularity_power(d, exponent))
        means["validation"].append(validation(user, table, cosine=False)["dot"])
        parts.append(test.per_user(user, table, cosine=False)["dot"])
        means["test"].append(mean_score(parts[-1]))
    best = max(range(len(EXPONENTS)), key=lambda place: means["validation"][place]["ndcg"])
    return {"exponents": list(EXPONENTS), **means, "chosen": EXPONENTS[best]}, {"with_lengths": parts[best]}


def _ranking(
    config: RunConfig, split: Split, held_out: Interactions, masked: list[Interactions], groups: Tensor, **options: int
) -> FullRanking:
    return FullRanking(
        held_out,
        masked,
        groups,
        num_users=split.dataset.num_users,
        drop_last_user=config.drop_last_user,
        device=torch.device(config.device),
        **options,
    )


def make_model(config: RunConfig, split: Split, generator: torch.Generator) -> MF:
    """The model that a configuration names, with its starting values.

    Args:
        split: its split; LightGCN takes its graph from the training interactions.
    """
    sizes = (split.dataset.num_users, split.dataset.num_items, config.dim)
    sparse = config.optimizer in ROW_SPARSE
    if config.backbone == "lightgcn":
        return LightGCN(*sizes[:2], split.train, config.dim, generator=generator)
    if config.backbone == "nonlinear-mf":
        return NonLinearMF(*sizes, config.relu, generator, sparse)
    return MF(*sizes, generator, sparse)


def make_loss(config: RunConfig, split: Split, model: Backbone, generator: torch.Generator) -> RankingLoss:
    """The loss that a configuration names, with its parameters and starting values.

    Args:
        split: its split; IPL counts popularity on its training interactions.
        model: the model; ReSN on all items scores its item table.
        generator: what the starting values of MAWU and MACR are drawn from.
    """
    parameters = {name.removeprefix(f"{config.loss}_"): value for name, value in config.loss_parameters.items()}
    match config.loss:
        case "bpr":
            return BPR()
        case "ssm":
            return SSM(**parameters)
        case "directau":
            return DirectAU(**parameters)
        case "mawu":
            pairs_or_released = uniformity_released if config.mawu_uniformity == "released" else uniformity
            sizes = (split.dataset.num_users, split.dataset.num_items)
            return MAWU(*sizes, **parameters, uniformity=pairs_or_released, generator=generator)
        case "ipl":
            return IPL(torch.from_numpy(split.item_popularity), **parameters, form=config.ipl_form)
        case "resn":
            return ReSN(**parameters, items=(lambda: model.embeddings()[1]) if config.resn_form == "items" else None)
        case _:
            return MACR(config.dim, **parameters, generator=generator, start=config.macr_start)


def _rounded(value: Any) -> Any:
    """The numbers with seven decimals: finer than float32 resolves a mean NDCG, and a third of the file's size."""
    if isinstance(value, dict):
        return {key: _rounded(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_rounded(inside) for inside in value]
    return round(value, 7) if isinstance(value, float) else value
