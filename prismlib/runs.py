"""From a configuration to its record: train and test one run, or fetch many, trained or stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prismlib import sources
from prismlib.claims import claim, claim_path, failure_of, failure_path, load_failure, save_failure
from prismlib.config import SEMANTICS, RunConfig, run_id
from prismlib.data import Split, random_split
from prismlib.debias import IPL, MACR, ReSN
from prismlib.denormals import flushed_denormals
from prismlib.environment import check_device, environment
from prismlib.hypersphere import uniformity, uniformity_released
from prismlib.init import prism_
from prismlib.losses import BPR, MAWU, SSM, DirectAU, RankingLoss
from prismlib.metrics import popularity_groups
from prismlib.models import MF, Backbone, LightGCN, NonLinearMF
from prismlib.norms import norm_summary
from prismlib.progress import progress_bar, show, state_of
from prismlib.ranking import FullRanking, mean_score
from prismlib.records import Record, load_record, record_path, save_record, stored_path
from prismlib.train import History, fit

REPORTED_KS = (5, 10, 20, 50)


@flushed_denormals()  # from the start, so that torch's worker threads have it too
def run(
    config: RunConfig, split: Split, on_epoch: Callable[[History], bool | None] | None = None
) -> tuple[Record, dict[str, np.ndarray]]:
    """Train and test one configuration; nothing is written.

    Returns:
        Its record, and each test user's own scores, as :func:`prismlib.records.load_scores` gives them.

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
    model = backbone(config, split, generator)
    loss = criterion(config, split, model, generator).to(device)
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
        "semantics": SEMANTICS,
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
        "joules": history.joules,
        "environment": environment(device),
    }
    scores = {"user": test.users.to(torch.int32), **per_user}
    return record, {name: values.cpu().numpy() for name, values in scores.items()}


def attempt(
    config: RunConfig,
    results: Path | str,
    force: bool = False,
    retry_failed: bool = False,
    on_epoch: Callable[[RunConfig, History], None] | None = None,
) -> str:
    """Train one configuration and store its record, or its failure; unless that is done, or being done elsewhere.

    Args:
        force, retry_failed: train again what is stored; only what failed.

    Returns:
        ``"done"``, of a CPU's run also by a GPU (:func:`prismlib.records.stored_path`); ``"failed"``, now or before;
        or ``"busy"``: another process is training it.

    Raises:
        RecordError: a file stands where the record should and is not one.
        ValueError: an unknown dataset, or a device that is not there.
        OSError: the machine's fault and not the run's, e.g. a full disk. Nothing half-written is left.
    """
    path = record_path(results, config, sources.content_hash(config.dataset))
    claimed = claim_path(path)
    start, epochs = time.perf_counter(), 0

    def told(history: History) -> None:
        nonlocal epochs
        epochs = len(history.loss)
        with suppress(OSError):  # this note is for `status` alone
            claimed.write_text(state_of(history))
        if on_epoch is not None:
            on_epoch(config, history)

    with claim(claimed) as mine:
        if not mine:
            return "busy"
        if not force and load_record(stored_path(results, config)) is not None:
            return "done"
        if not (force or retry_failed) and load_failure(path) is not None:
            return "failed"
        check_device(config.device)
        split = load_split(config.dataset, config.split_seed)
        try:
            record, scores = run(config, split, on_epoch=told)
        except Exception as error:
            if isinstance(error, OSError) or "CUDA error" in str(error):  # the machine's: no later run can do better
                raise
            own, seconds = split.dataset.content_hash, time.perf_counter() - start
            failure = failure_of(config, own, f"{type(error).__name__}: {error}", epochs + 1, seconds)
            save_failure(failure | {"environment": environment(torch.device(config.device))}, path)
            return "failed"
        save_record(record, path, replace=force, scores=scores)
        failure_path(path).unlink(missing_ok=True)
    return "done"


def attempt_all(configs: Iterable[RunConfig], results: Path | str, **options: Any) -> Iterator[tuple[RunConfig, str]]:
    """Attempt each configuration, and give each with how it ended, ``"done"`` or ``"failed"``.

    What another process is training is left for later, so that processes that fill one folder share the work.
    """
    pending = list(configs)
    while pending:
        busy = []
        for config in pending:
            state = attempt(config, results, **options)
            if state == "busy":
                busy.append(config)
            else:
                yield config, state
        if len(busy) == len(pending):
            time.sleep(0.5)
        pending = busy


def get_records(
    configs: Iterable[RunConfig],
    results: Path | str | None = None,
    train: bool = True,
    force: bool = False,
    progress: bool = True,
) -> list[Record | None]:
    """The record of each configuration: loaded from :func:`~prismlib.records.stored_path`, else trained and stored.

    A run that fails, e.g. with a loss that is no longer finite, does not stop the others: its failure is stored and
    printed, its record is None, and it is not tried again but by ``force``.

    Args:
        results: folder of the records; several processes may fill it together. None is the folder ``results`` of
            the source tree, or of the current folder where the package is installed without one.
        train: False only loads; a run that is not stored is then None.
        force: train again also what is stored, and replace it; without ``train`` it means nothing.
        progress: show one progress bar over all that must be trained, where tqdm is installed.

    Raises:
        RecordError: a file stands where a record should and is not one; before any training.
        ValueError: a device that is not there; before any training.
    """
    configs = list(configs)
    results = default_results() if results is None else results
    force = force and train

    def stored() -> list[Record | None]:
        return [load_record(stored_path(results, config)) for config in configs]

    records: list[Record | None] = [None] * len(configs) if force else stored()
    missing = [config for config, record in zip(configs, records, strict=True) if record is None]
    if train and missing:
        for config in set(missing):
            check_device(config.device)
        with progress_bar(progress, total=len(missing)) as bar:
            for _ in attempt_all(missing, results, force=force, on_epoch=partial(show, bar)):
                bar.update()
        records = stored()
    for config, record in zip(configs, records, strict=True):
        path = record_path(results, config, sources.content_hash(config.dataset))
        if record is None and (failure := load_failure(path)):
            print(f"{path.stem} failed: {failure['reason']}")
    return records


def load_split(dataset: str, seed: int) -> Split:
    """The split of a dataset by its name; the last few are kept in memory."""
    return _split(dataset, sources.content_hash(dataset), seed)


@lru_cache(maxsize=4)
def _split(dataset: str, content_hash: str, seed: int) -> Split:  # by hash: a name may be saved anew
    return random_split(sources.load(dataset), seed)


def default_results() -> Path:
    """The folder ``results`` beside the package in a source tree, else in the current folder."""
    tree = Path(__file__).parents[1]
    return (tree if (tree / "pyproject.toml").exists() else Path()) / "results"


def backbone(config: RunConfig, split: Split, generator: torch.Generator) -> MF:
    """The model a configuration names, with its starting values."""
    sizes = (split.dataset.num_users, split.dataset.num_items, config.dim)
    sparse = config.optimizer == "sparse_adam"
    if config.backbone == "lightgcn":
        return LightGCN(*sizes[:2], split.train, config.dim, generator=generator)
    if config.backbone == "nonlinear-mf":
        return NonLinearMF(*sizes, config.relu, generator, sparse)
    return MF(*sizes, generator, sparse)


def criterion(config: RunConfig, split: Split, model: Backbone, generator: torch.Generator) -> RankingLoss:
    """The loss a configuration names, with its parameters and starting values."""
    own = {name.removeprefix(f"{config.loss}_"): value for name, value in config.own.items()}
    match config.loss:
        case "bpr":
            return BPR()
        case "ssm":
            return SSM(**own)
        case "directau":
            return DirectAU(**own)
        case "mawu":
            spread = uniformity_released if config.mawu_uniformity == "released" else uniformity
            sizes = (split.dataset.num_users, split.dataset.num_items)
            return MAWU(*sizes, **own, spread=spread, generator=generator)
        case "ipl":
            return IPL(torch.from_numpy(split.item_popularity), **own, form=config.ipl_form)
        case "resn":
            return ReSN(**own, items=(lambda: model.embeddings()[1]) if config.resn_form == "items" else None)
        case _:
            return MACR(config.dim, **own, generator=generator)


def _rounded(value: Any) -> Any:
    """Seven decimals: below float32's resolution of a mean NDCG, and a third of the file."""
    if isinstance(value, dict):
        return {key: _rounded(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_rounded(inside) for inside in value]
    return round(value, 7) if isinstance(value, float) else value
