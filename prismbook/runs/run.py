"""One configuration trained and tested: its record and its users' scores. Nothing is written here."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from prismbook.plan.config import RunConfig, run_id, semantics
from prismbook.runs.machine import environment, joules_between, joules_so_far
from prismbook.runs.records import (
    Record,
)
from prismlib import datasets
from prismlib.data import Split, random_split
from prismlib.debias import IPL, MACR, ReSN
from prismlib.device import check_device, flushed_denormals
from prismlib.hypersphere import uniformity, uniformity_released
from prismlib.init import prism_
from prismlib.losses import BPR, MAWU, SSM, DirectAU, RankingLoss
from prismlib.metrics import popularity_groups
from prismlib.models import MF, Backbone, LightGCN, NonLinearMF
from prismlib.norms import norm_summary
from prismlib.ranking import FullRanking, mean_score
from prismlib.train import History, fit

REPORTED_KS = (5, 10, 20, 50)


@flushed_denormals()  # from the start, so that torch's worker threads have it too
def run(
    config: RunConfig, split: Split, on_epoch: Callable[[History], bool | None] | None = None
) -> tuple[Record, dict[str, np.ndarray]]:
    """Train and test one configuration; nothing is written.

    Returns:
        Its record, and each test user's own scores, as :func:`prismbook.runs.records.load_scores` gives them.

    Raises:
        ValueError: the split is not the configuration's; the device is not there.
        FloatingPointError: the loss, or the length of a row, is no longer finite.
    """
    data = split.dataset
    if (data.name, split.seed) != (config.dataset, config.split_seed):
        raise ValueError(f"the configuration asks for {config.dataset}, split {config.split_seed}, not for this split")
    check_device(config.device)
    device = torch.device(config.device)
    # drawn on the CPU, so that every device starts from the same tables
    generator = torch.Generator().manual_seed(config.seed)
    model = make_model(config, split, generator)
    loss = make_loss(config, split, model, generator).to(device)
    popularity = {"user": torch.from_numpy(split.user_popularity), "item": torch.from_numpy(split.item_popularity)}
    if config.init == "prism":
        assert config.alpha is not None
        prism_(model.user.weight, popularity["user"], config.alpha)
        prism_(model.item.weight, popularity["item"], config.alpha)
    model.to(device)

    groups = popularity_groups(popularity["item"])
    ranking = partial(FullRanking, num_users=data.num_users, drop_last_user=config.drop_last_user, device=device)
    validation = ranking(split.validation, [split.train], groups)
    assert config.batch_size is not None
    joules_before = joules_so_far(device)
    history = fit(
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
        on_epoch=on_epoch,
    )
    joules = joules_between(joules_before, joules_so_far(device))
    if config.groups_from == "all":
        groups = popularity_groups(torch.bincount(torch.from_numpy(data.item), minlength=data.num_items))
    ks = [k for k in REPORTED_KS if k <= data.num_items]
    test = ranking(split.test, [split.train, split.validation], groups, k=ks[-1])
    with torch.no_grad():
        user, item = model.embeddings()
        ranked = loss.rank_tables(user, item)
        # a row's length, or a score, can overflow where the row itself and the loss do not
        if not all(torch.linalg.vector_norm(table, dim=1).isfinite().all() for table in (user, item, *ranked)):
            raise FloatingPointError("the rows became so long that their norms overflow float32: lower lr")
        lists = test.lists(*ranked)
    per_user = {by: test.parts(items[:, :20]) for by, items in lists.items()}
    record = {
        "id": run_id(config, data.content_hash),
        "semantics": semantics(config),
        "config": vars(config).copy(),
        "data": {"synthetic": data.synthetic, "content_hash": data.content_hash, "split_hash": split.split_hash},
        "best_epoch": history.best_epoch,
        "stopped_by": history.stopped_by,
        "test": {by: _rounded(mean_score(parts)) for by, parts in per_user.items()},
        "report": {by: _rounded(test.report(items, popularity["item"], ks)) for by, items in lists.items()},
        "history": {
            "loss": _rounded(history.loss),
            "validation_dot": _rounded(history.validation_dot),
            "validation_cosine": _rounded(history.validation_cosine),
        },
        "norms": _rounded(
            {"user": norm_summary(user, popularity["user"]), "item": norm_summary(item, popularity["item"])}
        ),
        "seconds": {kind: round(getattr(history, f"{kind}_seconds"), 3) for kind in ("train", "evaluate", "cpu")},
        "joules": joules,
        "environment": environment(device),
    }
    scores = {"user": test.users.to(torch.int32), **per_user}
    return record, {name: values.cpu().numpy() for name, values in scores.items()}


def load_split(dataset: str, seed: int) -> Split:
    """The split of a dataset by its name; the last few are kept in memory."""
    return _split(dataset, datasets.content_hash(dataset), seed)


@lru_cache(maxsize=4)
def _split(dataset: str, content_hash: str, seed: int) -> Split:  # by hash: a name may be saved anew
    return random_split(datasets.load(dataset), seed)


def make_model(config: RunConfig, split: Split, generator: torch.Generator) -> MF:
    """The model a configuration names, with its starting values."""
    sizes = (split.dataset.num_users, split.dataset.num_items, config.dim)
    sparse = config.optimizer == "sparse_adam"
    if config.backbone == "lightgcn":
        return LightGCN(*sizes[:2], split.train, config.dim, generator=generator)
    if config.backbone == "nonlinear-mf":
        return NonLinearMF(*sizes, config.relu, generator, sparse)
    return MF(*sizes, generator, sparse)


def make_loss(config: RunConfig, split: Split, model: Backbone, generator: torch.Generator) -> RankingLoss:
    """The loss a configuration names, with its parameters and starting values."""
    parameters = {name.removeprefix(f"{config.loss}_"): value for name, value in config.loss_parameters.items()}
    match config.loss:
        case "bpr":
            return BPR()
        case "ssm":
            return SSM(**parameters)
        case "directau":
            return DirectAU(**parameters)
        case "mawu":
            spread = uniformity_released if config.mawu_uniformity == "released" else uniformity
            sizes = (split.dataset.num_users, split.dataset.num_items)
            return MAWU(*sizes, **parameters, spread=spread, generator=generator)
        case "ipl":
            return IPL(
                torch.from_numpy(split.item_popularity), **parameters, form=config.ipl_form, counts=config.ipl_counts
            )
        case "resn":
            return ReSN(**parameters, items=(lambda: model.embeddings()[1]) if config.resn_form == "items" else None)
        case _:
            return MACR(config.dim, **parameters, generator=generator, start=config.macr_start)


def _rounded(value: Any) -> Any:
    """Seven decimals: below float32's resolution of a mean NDCG, and a third of the file."""
    if isinstance(value, dict):
        return {key: _rounded(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_rounded(inside) for inside in value]
    return round(value, 7) if isinstance(value, float) else value
