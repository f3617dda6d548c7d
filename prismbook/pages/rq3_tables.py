"""The tables of the RQ3 page: what :mod:`prismbook.tables.decay_vs_prism` finds, with every cell as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import searches
from prismbook.plan.hyperparameters import LOSS_GRIDS
from prismbook.runs.records import default_results, scan
from prismbook.runs.tuning import validation_score
from prismbook.tables import decay_vs_prism
from prismbook.tables.decay_vs_prism import Method, Pair, loss_values, search_part
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name, trained
from prismbook.tables.paper import table1

#: The two methods of a pair, as the tables head them.
TITLES = {"decay": "tuned decay", "prism": "PRISM"}
#: Fields of a configuration that :func:`~prismbook.tables.labels.trained` tells, or that change no result.
_TOLD = ("backbone", "weight_decay", "init", "alpha", "seed", "split_seed", "max_epochs", "device")


def row(pair: Pair) -> dict[str, str]:
    """A pair as a row of the book's Table 1, the paper's values beside ours; empty: not printed, or not run."""
    names = _names(pair.dataset, pair.backbone, pair.loss)
    printed = table1()
    cells = {"backbone": names[0], "loss": names[1]}
    for name, title in TITLES.items():
        own = getattr(pair, name)
        if names in printed.index:
            cells[f"{title}, paper"] = _spread(*printed.loc[names, [name, f"{name}_std"]])
        else:
            cells[f"{title}, paper"] = ""
        cells[f"{title}, ours"] = "not run" if own is None else _scores(own)
    cells["PRISM - decay"] = pair.difference()
    return cells


def nearness(pair: Pair) -> dict[str, str]:
    """Ours over the paper's, in percent, for tuned decay and for PRISM; empty where there is nothing to compare."""
    names = _names(pair.dataset, pair.backbone, pair.loss)
    cells = {"backbone": names[0], "loss": names[1]}
    for name, title in TITLES.items():
        own = getattr(pair, name)
        cells[title] = "" if own is None or not own.ndcg() else _share(float(np.mean(own.ndcg())), names, name)
    return cells


def _names(dataset: str, backbone: str, loss: str) -> tuple[str, str, str]:
    """As the paper's Table 1 has them."""
    return BACKBONE_NAMES[backbone], LOSS_NAMES[loss], dataset_name(dataset)


def _share(value: float, names: tuple[str, str, str], column: str) -> str:
    """Of the paper's number for a backbone, loss and dataset; empty where it prints none."""
    printed = table1()
    return f"{100 * value / float(printed[column].loc[[names]].iloc[0]):.0f} %" if names in printed.index else ""


def loss_parameter_rows(
    dataset: str, backbone: str, loss: str, results: Path | str | None = None, budget: str = "lean"
) -> list[dict[str, str]]:
    """What a loss's own parameters do: for each value that was run, the best decay by validation, and PRISM.

    Test NDCG@20 at the search's first seed, and its share of the paper's number, whose own parameters it does not name.

    >>> loss_parameter_rows("gowalla", "mf", "directau", "no folder")
    []
    """
    results, rows = default_results() if results is None else Path(results), []
    by_name = {search.name: search for search in searches("table1", dataset, budget)}
    of = {name: by_name[f"{backbone}-{loss}-{name}"] for name in TITLES}
    names = _names(dataset, backbone, loss)
    grid = sorted(of["decay"].grid, key=lambda config: tuple(config.loss_parameters.values()))
    for own in dict.fromkeys(map(loss_values, grid)):
        parts = {name: decay_vs_prism.method(search_part(search, {own}), results) for name, search in of.items()}
        decay = parts["decay"]
        cells = {
            f"{LOSS_NAMES[loss]} at": own,
            "decay": "" if decay is None else f"{decay.chosen.weight_decay:g} ({decay.ran} of {decay.grid} run)",
        }
        for name, title in TITLES.items():
            found = parts[name]
            score = None if found is None else found.records[grid[0].seed]["test"]["dot"]["ndcg"]
            cells[title] = "" if score is None else f"{score:.4f}"
            if names in table1().index:
                cells[f"{title} / paper"] = "" if score is None else _share(score, names, name)
        if any(parts.values()):
            rows.append(cells)
    return rows


def search_cost(pairs: Sequence[Pair]) -> list[dict[str, str]]:
    """What the search of each method has cost: one row a pair and method that was run."""
    rows = []
    for pair in pairs:
        for name, title in TITLES.items():
            found = getattr(pair, name)
            if found is not None:
                rows.append(
                    {
                        "backbone": BACKBONE_NAMES[pair.backbone],
                        "loss": LOSS_NAMES[pair.loss],
                        "method": title,
                        "runs": f"{found.ran} of {found.grid}",
                        "epochs": f"{found.epochs:,}",
                        "hours": _hours(found.seconds),
                        "chosen": f"lr {found.chosen.lr:g}, {_tuned(found.chosen)}",
                    }
                )
    return rows


def _hours(seconds: Mapping[str, float]) -> str:
    """Seconds by class of device, as hours: those of a CPU, then those of a GPU.

    >>> _hours({"cpu": 3600.0, "cuda": 720.0}), _hours({"cuda": 720.0})
    ('1.00 + 0.20 on a GPU', '0.20 on a GPU')
    """
    names = {"cpu": "", "cuda": " on a GPU"}
    return " + ".join(f"{seconds[device] / 3600:.2f}{name}" for device, name in names.items() if device in seconds)


def runners_up(pairs: Sequence[Pair], results: Path | str | None = None, budget: str = "lean") -> list[dict[str, str]]:
    """What would follow had validation chosen each search's second best decay: one row a pair that has one.

    The lean budget searches on one seed, whose validation may put first what is not the best over more.

    >>> runners_up([decay_vs_prism.pair("gowalla", "mf", "ssm", "no folder")])
    []
    """
    results, rows = default_results() if results is None else Path(results), []
    for pair in pairs:
        first = pair.decay
        if first is None:
            continue
        other = decay_vs_prism.pair(pair.dataset, pair.backbone, pair.loss, results, budget, without=first.chosen)
        if other.decay is None:
            continue
        rows.append(
            {
                "backbone": BACKBONE_NAMES[pair.backbone],
                "loss": LOSS_NAMES[pair.loss],
                "chosen": _tuned(first.chosen),
                "second": _tuned(other.decay.chosen),
                "ahead on validation by": f"{first.validation - other.decay.validation:.4f}",
                "test, chosen": _scores(first),
                "test, second": _scores(other.decay),
                "PRISM - second": other.difference(),
            }
        )
    return rows


def ended_early(dataset: str, results: Path | str | None = None, within: int = 20) -> list[dict[str, str]]:
    """One row a run that the stopping rule ended within its first epochs, whatever experiment it was made for.

    Validation NDCG@20 is by dot product, and that of the best epoch; the loss is the training loss of the last one.

    >>> ended_early("gowalla", "no folder")
    []
    """
    found = []
    for record in scan(default_results() if results is None else results)[0]:
        config, history = RunConfig(**record["config"]), record["history"]
        if config.dataset == dataset and record["stopped_by"] == "patience" and len(history["loss"]) <= within:
            plain = RunConfig(config.dataset, config.loss, **config.loss_parameters)
            rest = {name: value for name, value in vars(config).items() if value != getattr(plain, name)}
            own = config.loss_parameters | {name: value for name, value in rest.items() if name not in _TOLD}
            row = {
                "trained": trained(config),
                "with": ", ".join(f"{name} {value}" for name, value in own.items()),
                "epochs": str(len(history["loss"])),
                "best epoch": str(record["best_epoch"]),
                "validation NDCG@20": f"{validation_score(record):.4f}",
                "training loss": f"{history['loss'][-1]:.3f}",
            }
            found.append(((config.backbone, config.loss, config.init, config.weight_decay, config.seed), row))
    return [row for _, row in sorted(found, key=lambda each: each[0])]


def _tuned(config: RunConfig) -> str:
    """Its decay, and the loss's own parameters where they are searched."""
    own = f", gamma {loss_values(config)}" if len(LOSS_GRIDS[config.loss]) > 1 else ""
    return f"decay {config.weight_decay:g}{own}"


def _spread(mean: float, std: float) -> str:
    return f"{mean:.4f} ± {std:.4f}"


def _scores(method: Method) -> str:
    """A method's scores over the seeds at which it trained, and at how many it collapsed or was cut off."""
    parts = [_over_seeds(method.ndcg())] if method.ndcg() else []
    return "; ".join([*parts, method.setbacks()] if method.setbacks() else parts)


def _over_seeds(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f} (1 seed)"
    return f"{_spread(float(np.mean(values)), float(np.std(values, ddof=1)))} ({len(values)} seeds)"
