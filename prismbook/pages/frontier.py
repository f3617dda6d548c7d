"""Quality against fairness: every stored run as a point, as a figure to move and as a static one of the same runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D

from prismbook.pages.figures import LOOKS
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import Record
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name

#: Settings of a run that are said by name, or say nothing about what was trained.
_SAID = ("dataset", "loss", "backbone", "init", "alpha", "weight_decay", "lr", "seed", "split_seed", "max_epochs")
#: The opacity of a mark's face, of runs with PRISM and of scores with lengths that were put on afterwards.
PRISM_FACE, RESCORED_FACE = 1.0, 0.4
#: The width of a mark's outline in pixels, of most runs and of those by plain SGD.
LINE, SGD_LINE = 1.3, 2.8
#: Dark colours of the figures, and what stands for them where the ground may be dark too.
_ON_ANY_GROUND = {"#000000": "currentColor", "#4D4D4D": "#808080"}


def runs_of(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One entry for each run on a dataset of the paper that has a ratio: its scores and its setting.

    A run that found no popular or no unpopular item has no ratio, or one of 0, and cannot stand on an axis of factors.
    A run by Adam without decay and without PRISM that was also scored with other lengths has a second entry, with the
    exponent that its validation chose.

    Args:
        records: run records.
    """
    runs = []
    for record in records:
        config, test = record["config"], record["test"]["dot"]
        if config["dataset"] not in PAPER_DATASETS or record["data"]["synthetic"]:
            continue
        if min(test["popular"], test["unpopular"]) <= 0:
            continue
        prism, sgd = config["init"] == "prism", config.get("optimizer", "adam") == "sgd"
        method = f"decay {config['weight_decay']:g}" if config["weight_decay"] else "no decay"
        run = {
            "id": record["id"],
            "dataset": dataset_name(config["dataset"]),
            "loss": LOSS_NAMES[config["loss"]],
            "backbone": BACKBONE_NAMES[config["backbone"]],
            "method": f"PRISM, alpha {config['alpha']:g}" if prism else method,
            "lr": f"{config['lr']:g}",
            "seed": config["seed"],
            "other": _differs(config),
            "face": PRISM_FACE if prism else 0.0,
            "line": SGD_LINE if sgd else LINE,
            **_scores(test),
            "epoch": record["best_epoch"],
        }
        runs.append(run)
        by_adam = config.get("optimizer", "adam") == "adam" and not prism and not config["weight_decay"]
        if by_adam and "lengths" in record:
            kept = record["lengths"]
            with_it = kept["test"][kept["exponents"].index(kept["chosen"])]
            if min(with_it["popular"], with_it["unpopular"]) > 0:
                method = f"no decay, lengths d^{kept['chosen']:.2f} at scoring"
                runs.append({**run, "method": method, "face": RESCORED_FACE, **_scores(with_it)})
    return runs


def _scores(test: dict[str, float]) -> dict[str, float]:
    return {"ndcg": round(test["ndcg"], 6), "ratio": round(test["unpopular"] / test["popular"], 6)}


def _differs(config: dict[str, Any]) -> str:
    """What else of a run is not the default, as the end of a list."""
    defaults = vars(RunConfig("gowalla", "bpr"))
    others = {name: value for name, value in config.items() if name not in _SAID and value != defaults.get(name)}
    return "".join(f", {name} {value}" for name, value in others.items())


def widget(runs: Iterable[dict[str, Any]]) -> str:
    """The runs to point at, as HTML that loads nothing.

    Args:
        runs: of :func:`runs_of`.

    >>> "JavaScript only" in widget([])
    True
    """
    shown = list(runs)
    there = {run["loss"] for run in shown}
    data = {
        "runs": shown,
        "datasets": _datasets(shown),
        "looks": {name: look(name) for name in LOSS_NAMES.values() if name in there},
    }
    html = Path(__file__).with_name("frontier.html").read_text(encoding="utf-8")
    # without "<" no text can end the element
    return html.replace("DATA", json.dumps(data, allow_nan=False).replace("<", "\\u003c"), 1)


def _datasets(runs: Iterable[dict[str, Any]]) -> list[str]:
    there = {run["dataset"] for run in runs}
    return [name for name in map(dataset_name, PAPER_DATASETS) if name in there]


def look(loss: str) -> tuple[str, str]:
    """The colour of a loss, and its marker's outline as an SVG path about 10 px wide.

    Args:
        loss: the loss's name, one of :data:`prismbook.pages.figures.LOOKS`.
    """
    colour, marker = LOOKS[loss]
    style = MarkerStyle(marker)
    # it is scaled up first, so that the polygons of curved outlines have steps of about one pixel
    outline = (style.get_transform() + Affine2D().scale(100, -100)).transform_path(style.get_path())
    polygons = [np.asarray(polygon) / 10 for polygon in outline.to_polygons()]
    return _ON_ANY_GROUND.get(colour, colour), " ".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in polygon) + "Z" for polygon in polygons
    )


def _face(colour: str, opacity: float) -> Any:
    """The face of a mark. It is mixed with white: in an SVG the opacity of a face would be that of its outline too."""
    return tuple(1 - opacity * (1 - part) for part in to_rgb(colour)) if opacity else "none"


def best_runs(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The frontier: the runs to which no other is both at least as good and at least as fair, from unfair to fair.

    Args:
        runs: of :func:`runs_of`, those of one dataset.

    >>> runs = [{"ratio": 0.1, "ndcg": 0.2}, {"ratio": 0.2, "ndcg": 0.1}, {"ratio": 0.05, "ndcg": 0.15}]
    >>> [run["ratio"] for run in best_runs(runs)]
    [0.1, 0.2]
    """
    best: list[dict[str, Any]] = []
    for run in sorted(runs, key=lambda run: (run["ratio"], run["ndcg"]), reverse=True):
        if not best or run["ndcg"] > best[-1]["ndcg"]:
            best.append(run)
    return best[::-1]


def figure(runs: Iterable[dict[str, Any]]) -> Figure:
    """The same runs as a static figure, one panel for each dataset.

    Args:
        runs: of :func:`runs_of`; one or more.
    """
    shown = list(runs)
    datasets = _datasets(shown)
    drawing, axes = plt.subplots(len(datasets), 1, figsize=(6.6, 2.9 * len(datasets)), squeeze=False)
    for axis, dataset in zip(axes[:, 0], datasets, strict=True):
        here = [run for run in shown if run["dataset"] == dataset]
        edge = best_runs(here)
        ratios, scores = ([run[name] for run in edge] for name in ("ratio", "ndcg"))
        axis.plot(ratios, scores, color="#777777", drawstyle="steps-pre", linewidth=1.5, label="frontier")
        for run in here:
            colour, marker = LOOKS[run["loss"]]
            axis.plot(
                run["ratio"],
                run["ndcg"],
                marker,
                color=colour,
                markerfacecolor=_face(colour, run["face"]),
                markeredgewidth=run["line"] / LINE,
                markersize=5,
                label=run["loss"],
            )
        axis.set(xscale="log", ylim=(0, None), title=dataset, ylabel="test NDCG@20")
    axes[-1, 0].set_xlabel("unpopular / popular NDCG@20 (right: fairer)")
    handles = {
        name: Line2D([], [], marker=LOOKS[name][1], color=LOOKS[name][0], markerfacecolor="none", linestyle="")
        for name in LOSS_NAMES.values()
        if any(run["loss"] == name for run in shown)
    }
    kinds = {
        "filled: PRISM": (PRISM_FACE, LINE),
        "pale: lengths at scoring": (RESCORED_FACE, LINE),
        "bold: plain SGD": (0.0, SGD_LINE),
        "open: everything else": (0.0, LINE),
    }
    for name, (face, line) in kinds.items():
        handles[name] = Line2D(
            [],
            [],
            marker="o",
            color="black",
            markerfacecolor=_face("black", face),
            markeredgewidth=line / LINE,
            linestyle="",
        )
    handles["frontier"] = Line2D([], [], color="#777777", linewidth=1.5)
    drawing.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize="small")
    return drawing
