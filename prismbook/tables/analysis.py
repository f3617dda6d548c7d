"""Run records as tables: one row per run, means over seeds, the run that validation chooses, and how runs ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismbook.plan.config import RunConfig
from prismbook.runs import patience, tuning
from prismbook.runs.failures import Failure
from prismbook.runs.records import Record, load_record, stored_path
from prismbook.tables.endings import EARLY, ended_by_chance, never_learned
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, TITLES, cell, setting
from prismlib.metrics import GROUPS

SETTINGS = ["backbone", "loss", "init", "alpha", "weight_decay", "decay_scope", "seed"]
SCORES = ["ndcg", *GROUPS, "ratio", "cosine"]
MEASURES = [*SCORES, "norm_correlation"]
TRAINING = [
    *["validation", "curve", "norm_correlation", "largest_norm"],
    *["best_epoch", "epochs", "stopped_by", "by_chance", "seconds"],
]
ORIGIN = ["run", "instead_of", "content", "synthetic", "device", "hardware", "commit"]


def tidy(configs: Iterable[RunConfig], records: Iterable[Record | None]) -> pd.DataFrame:
    """One row per run: its settings, its test scores, how its training went, and where it came from.

    A run without a record keeps its row, with missing values, so that it is shown as not run.

    Args:
        configs: the configurations of the runs.
        records: the record of each, or None.

    Returns:
        Columns, besides the fields of the configuration that ``SETTINGS`` names:

        - ``ndcg``, ``popular``, ``neutral``, ``unpopular``: test NDCG@20 by dot product, and its parts by group;
        - ``ratio``: unpopular over popular; missing where the popular part is 0;
        - ``cosine``: test NDCG@20 by cosine;
        - ``validation``, ``curve``: the best validation NDCG@20 by dot product, and all of them, one per epoch;
        - ``norm_correlation``: of item norms with log popularity;
        - ``largest_norm``: the largest mean item norm of a popularity bin;
        - ``best_epoch``, ``epochs``, ``stopped_by``, ``seconds``: of training, the last one with evaluation;
        - ``by_chance``: whether it ended in a dip from a start by chance;
        - ``run``, ``content``, ``commit``: id of the record, start of the dataset's hash, commit of the code;
        - ``instead_of``: missing; in a table of :func:`measured` the id of the run whose place this one takes;
        - ``synthetic``: True for a run on generated data, by what its record says of the data;
        - ``device``, ``hardware``: ``"cpu"`` or ``"cuda"``, and the name of the processor;
        - ``loss_parameters``: the loss's parameters, as text.
    """
    rows = []
    for config, record in zip(configs, records, strict=True):
        results = {} if record is None else _scores(record) | _training(record) | _origin(record)
        rows.append(_settings(config) | results)
    table = pd.DataFrame(rows, columns=[*SETTINGS, *SCORES, *TRAINING, *ORIGIN, "loss_parameters"])
    texts: list[str] = list(table.select_dtypes("str").columns)
    # As objects they make one block with the other objects, once copy() has joined them. Rows are selected all the
    # time, and each column of pandas' own kind of text would be selected by itself.
    return table.astype(dict.fromkeys(texts, object)).copy()


def _settings(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SETTINGS} | {
        "loss": LOSS_NAMES[config.loss],
        "backbone": BACKBONE_NAMES[config.backbone],
        "loss_parameters": ", ".join(f"{name} {value:g}" for name, value in config.loss_parameters.items()),
    }


def _scores(record: Record) -> dict[str, Any]:
    scores = record["test"]["dot"]
    popular = scores["popular"]
    return {name: scores[name] for name in ("ndcg", *GROUPS)} | {
        "ratio": scores["unpopular"] / popular if popular > 0 else np.nan,
        "cosine": record["test"]["cosine"]["ndcg"],
    }


def _training(record: Record) -> dict[str, Any]:
    curve, item_norms, seconds = record["history"]["validation_dot"], record["norms"]["item"], record["seconds"]
    return {
        "validation": max(curve),
        "curve": curve,
        "norm_correlation": item_norms["pearson_log"],
        "largest_norm": max(norms["mean"] for norms in item_norms["bins"]),
        "best_epoch": record["best_epoch"],
        "epochs": len(record["history"]["loss"]),
        "stopped_by": record["stopped_by"],
        "by_chance": ended_by_chance(record),
        "seconds": seconds["train"] + seconds["evaluate"],
    }


def _origin(record: Record) -> dict[str, Any]:
    environment = record["environment"]
    return {
        "run": record["id"],
        "content": record["data"]["content_hash"][:12],
        "synthetic": record["data"]["synthetic"],
        "device": record["config"]["device"],
        "hardware": environment["device"],
        "commit": _short(environment["commit"]),
    }


def _short(commit: str | None) -> str:
    """The first eight digits of a commit, with the ``+`` that marks changed code."""
    if commit is None:
        return ""
    return f"{commit[:8]}+" if commit.endswith("+") else commit[:8]


def over_seeds(runs: pd.DataFrame, keys: Sequence[str] = ("loss", "weight_decay")) -> pd.DataFrame:
    """Mean and standard deviation over seeds of each measure.

    Args:
        runs: a table of :func:`tidy`.
        keys: columns that tell the settings apart.

    Returns:
        One row per combination of ``keys``, in the order of the runs; columns ``(measure, "mean")`` and
        ``(measure, "std")``.
    """
    return runs.groupby(list(keys), sort=False, dropna=False)[MEASURES].agg(["mean", "std"])


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The means of :func:`over_seeds` as text: three decimals, decays as 1e-06, "not run" for what is missing.

    What a run does not have is "none", such as a ratio where no popular item was ranked right.

    Args:
        table: the means and standard deviations of :func:`over_seeds`.
    """
    means = pd.DataFrame(table.xs("mean", axis=1, level=1))
    if "weight_decay" in means.index.names:
        means = means.rename(index="{:g}".format, level="weight_decay")
    means.index.names = [TITLES.get(str(name), name) for name in means.index.names]
    text = means.map(cell)
    return text.where(means.notna() | means["ndcg"].isna().to_numpy()[:, None], "none").rename(columns=TITLES)


def curves(runs: pd.DataFrame, losses: Sequence[str] | None = None) -> pd.DataFrame:
    """Means over seeds at the weight decays at which every loss was run.

    Args:
        runs: a table of :func:`tidy`.
        losses: titles of the losses, e.g. ``"BPR"``; None: all that the table has.

    Returns:
        One row per weight decay, in ascending order; one column per (measure, loss).
    """
    chosen = runs if losses is None else runs[runs["loss"].isin(losses)]
    if chosen.empty:
        return pd.DataFrame()
    means = over_seeds(chosen).xs("mean", axis=1, level=1)
    wide = pd.DataFrame(means[["ndcg", "popular", "unpopular"]].unstack("loss", sort=False))
    return wide.dropna().sort_index()


#: A curve is saturated at this share of its maximum.
SATURATED = 0.95


def epochs_to(curve: Sequence[float], share: float = SATURATED) -> int:
    """The first epoch at which a validation curve reaches a share of its maximum.

    Args:
        curve: one value per epoch.
        share: of the maximum, in (0, 1].

    >>> epochs_to([0.1, 0.5, 0.96, 1.0])
    2
    """
    values = np.asarray(curve)
    return int(np.argmax(values >= share * values.max()))


def best(runs: pd.DataFrame) -> Any:
    """The run with the highest validation NDCG@20, as a row of the table; the first of equals.

    Args:
        runs: a table of :func:`tidy`.

    Raises:
        ValueError: none of the runs has a record.
    """
    if runs["validation"].isna().all():
        raise ValueError("none of these runs is made: there is nothing to choose from")
    return runs.iloc[int(np.nanargmax(runs["validation"]))]


def best_of_each(runs: pd.DataFrame) -> pd.DataFrame:
    """For each loss and initialisation the run that validation chooses.

    Args:
        runs: a table of :func:`tidy`.

    Returns:
        One row per loss and initialisation. Where none of its runs has a record, it is the first of them, not run.
    """
    groups = [group for _, group in runs.groupby(["loss", "init"], sort=False)]
    chosen = [group.iloc[0] if group["validation"].isna().all() else best(group) for group in groups]
    return pd.DataFrame(chosen, columns=runs.columns).infer_objects()


def first_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at the first seed of the table, which is the seed that settings are chosen at.

    Args:
        runs: a table of :func:`tidy`.
    """
    return runs[runs["seed"].isin(runs["seed"].iloc[:1])]


def seed_by_seed(runs: pd.DataFrame, first: Any, second: Any) -> tuple[Any, Any]:
    """The runs of two settings, row by row at the same seeds.

    Args:
        runs: a table of :func:`tidy`.
        first: a run, which stands for its setting at every seed.
        second: a run of another setting.

    Returns:
        For each of the two its runs, one row per seed at which both were run, with the seed as index.
    """
    ours, theirs = (_same_setting(runs, run).set_index("seed") for run in (first, second))
    seeds = ours.index.intersection(theirs.index)
    return ours.loc[seeds], theirs.loc[seeds]


def _same_setting(runs: pd.DataFrame, run: Any) -> pd.DataFrame:
    """The runs with a record whose setting is the setting of a run, at any seed."""
    same = runs["run"].notna()
    for name in [*SETTINGS, "loss_parameters"]:
        if name != "seed":
            same &= (runs[name] == run[name]) | (runs[name].isna() & pd.isna(run[name]))
    return runs[same]


def notes(runs: pd.DataFrame) -> str:
    """What a reader should know beside a table, in Markdown: how its runs ended, on what, and the loss parameters.

    Args:
        runs: a table of :func:`tidy`.
    """
    finished = runs[runs["run"].notna()]
    patient = (finished["stopped_by"] == "patience").sum()
    lines = [f"{len(finished)} of {len(runs)} runs are made; {patient} ended by early stopping."]
    on_gpu = finished[finished["device"] == "cuda"]
    if 0 < len(on_gpu) < len(finished):
        lines.append(f"{len(on_gpu)} of them on a GPU, the others on a CPU; the provenance says which.")
    for sentence, chosen in (
        (
            "Cut off by the epoch limit, so their NDCG may still have been rising",
            finished[finished["stopped_by"] == "max_epochs"],
        ),
        (
            f"Ended within {EARLY} epochs, where early stopping can be premature",
            finished[finished["epochs"] <= EARLY],
        ),
        (
            f"Run again with patience {patience.LONG}, since patience {RunConfig.patience} ended them in a dip; the"
            " second run counts, with its epochs",
            finished[finished["instead_of"].notna()],
        ),
        ("Collapsed: no epoch was better than the start, or all item rows shrank to nothing", _collapsed(finished)),
        (
            "Ended at a start by chance, which a run with more patience may leave",
            finished[finished["by_chance"].astype(bool)],
        ),
    ):
        if len(chosen):
            lines.append(f"{sentence}: {_named(chosen)}.")
    parameters = (finished["loss"] + " " + finished["loss_parameters"])[finished["loss_parameters"] != ""].unique()
    if len(parameters):
        lines.append(f"The losses' parameters in these runs: {'; '.join(parameters)}.")
    return " ".join(lines)


def _named(runs: pd.DataFrame) -> str:
    return "; ".join(f"{run.loss} at {setting(run)} (epoch {run.epochs:.0f})" for run in runs.itertuples())


def _collapsed(finished: pd.DataFrame) -> pd.DataFrame:
    """The runs that collapsed, by the rules: those that ended at a start by chance are not among them."""
    gone = [
        never_learned(run["best_epoch"], run["stopped_by"], run["largest_norm"]) and not run["by_chance"]
        for run in finished.to_dict("records")
    ]
    return finished[np.array(gone, dtype=bool)]


def parameter_values(loss_parameters: str) -> dict[str, float]:
    """The loss's parameters of a row of :func:`tidy` as numbers.

    Args:
        loss_parameters: the row's text.

    >>> parameter_values("macr_alpha 0.001, macr_c 40"), parameter_values("")
    ({'macr_alpha': 0.001, 'macr_c': 40.0}, {})
    """
    pairs = (part.split(" ") for part in loss_parameters.split(", ") if part)
    return {name: float(value) for name, value in pairs}


def measured(results: Path, configs: Iterable[RunConfig], patient_runs: bool = True) -> pd.DataFrame:
    """The table of :func:`tidy` for some configurations, from what is stored, with the ``path`` of each record.

    A run that the stopping rule ended in a dip gives its place to the same run with more patience, where that is
    stored, see :func:`prismbook.runs.patience.run_that_counts`. The column ``instead_of`` then has its id.

    Args:
        results: folder of the records.
        configs: configurations of runs; one that is named twice has one row.
        patient_runs: False leaves every run its place, for what compares numbers of epochs, which patience changes.
    """
    unique, outcomes = list(dict.fromkeys(configs)), tuning.stored(results)
    that_count = [patience.run_that_counts(config, outcomes) if patient_runs else config for config in unique]
    first, counting = ([_record(outcomes(config)) for config in runs] for runs in (unique, that_count))
    instead_of = [
        one["id"] if one is not None and one is not other else None for one, other in zip(first, counting, strict=True)
    ]
    table, paths = tidy(unique, counting), [stored_path(results, config) for config in that_count]
    return table.assign(path=np.array(paths, dtype=object), instead_of=np.array(instead_of, dtype=object))


def _record(outcome: Record | Failure | None) -> Record | None:
    return None if outcome is None or "reason" in outcome else outcome


def records(runs: pd.DataFrame) -> list[Record | None]:
    """The records behind the rows of a table, None where a run has none.

    Args:
        runs: a table of :func:`measured`.
    """
    return [load_record(path) for path in runs["path"]]


def record_ids(runs: pd.DataFrame) -> tuple[str, ...]:
    """The ids of the records behind a table: of its runs, and of those that gave their place to one with more patience.

    Args:
        runs: a table of :func:`measured`.
    """
    return (*runs["run"].dropna(), *runs["instead_of"].dropna())
