"""Quality against fairness: every stored run as a point, as a figure to move and as a static one of the same runs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D, ScaledTranslation

from prismbook.pages.figures import LOOKS
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.records import Record
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.lengths import training_name
from prismbook.text import listed_names, plural

#: Settings of a run that are said by name, or say nothing about what was trained.
_SAID = (
    "dataset",
    "loss",
    "backbone",
    "init",
    "alpha",
    "optimizer",
    "weight_decay",
    "lr",
    "seed",
    "split_seed",
    "max_epochs",
)
#: The marker of scores with lengths that were put on afterwards, and its size beside that of the others.
STAR, STAR_SIZE, SIZE = "*", 8.5, 5.0
#: The axis begins at this share of the best NDCG@20 on a dataset: most runs are above, and what is compared has room.
START = 0.6
#: The size of the dot inside the marks of plain SGD in the static figure.
DOT_SIZE = 1.6
#: Dark colours of the figures, and what stands for them where the ground may be dark too.
_ON_ANY_GROUND = {"#000000": "currentColor", "#4D4D4D": "#808080"}


def runs_of(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One entry for each run on a dataset of the paper that has a ratio: its scores and its setting.

    A run that found no popular or no unpopular item has no ratio, or one of 0, and cannot stand on an axis of factors.
    A run that was also scored with other lengths has a second entry, with the exponent that its validation chose.

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
        run = {
            "id": record["id"],
            "dataset": dataset_name(config["dataset"]),
            "loss": LOSS_NAMES[config["loss"]],
            "backbone": BACKBONE_NAMES[config["backbone"]],
            "method": training_name(config) + (f", alpha {config['alpha']:g}" if prism else ""),
            "lr": f"{config['lr']:g}",
            "seed": config["seed"],
            "other": _differs(config),
            "kind": "PRISM" if prism else "plain SGD" if sgd else "decay" if config["weight_decay"] else "no decay",
            "filled": prism,
            "star": False,
            "dot": sgd and not prism,
            **_scores(test),
            "epoch": record["best_epoch"],
        }
        runs.append(run)
        if "lengths" in record:
            kept = record["lengths"]
            with_it = kept["test"][kept["exponents"].index(kept["chosen"])]
            if min(with_it["popular"], with_it["unpopular"]) > 0:
                method = f"{run['method']}, lengths d^{kept['chosen']:.2f} at scoring"
                star = {"kind": "lengths at scoring", "filled": True, "star": True, "dot": False}
                runs.append({**run, **star, "method": method, **_scores(with_it)})
    return runs


def counted(records: Iterable[Record]) -> str:
    """How many runs on each dataset have no ratio and are left out, and how many stars stand beside the others.

    Args:
        records: run records.

    >>> counted([])
    ''
    """
    stored = [record for record in records if not record["data"]["synthetic"]]
    shown = runs_of(stored)
    if not shown:
        return ""
    left_out = []
    for name in PAPER_DATASETS:
        runs = sum(record["config"]["dataset"] == name for record in stored)
        points = sum(run["dataset"] == dataset_name(name) and not run["star"] for run in shown)
        if points:
            left_out.append(f"{runs - points} of {runs} on {dataset_name(name)}")
    stars = sum(run["star"] for run in shown)
    return (
        "Runs to which popular or unpopular items bring nothing have no ratio and are left out:"
        f" {listed_names(left_out)}. All others are points, and {stars} of them {'has' if stars == 1 else 'have'} a"
        f" star too: {len(shown)} points and stars."
    )


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
        "starts": axis_starts(shown),
        "looks": {name: look(name) for name in LOSS_NAMES.values() if name in there},
        "star": [outline(STAR), STAR_SIZE / SIZE],
        "dots": {name: dot(LOOKS[name][1]) for name in LOSS_NAMES.values() if name in there},
    }
    html = Path(__file__).with_name("frontier.html").read_text(encoding="utf-8")
    # without "<" no text can end the element
    return html.replace("DATA", json.dumps(data, allow_nan=False).replace("<", "\\u003c"), 1)


def _datasets(runs: Iterable[dict[str, Any]]) -> list[str]:
    there = {run["dataset"] for run in runs}
    return [name for name in map(dataset_name, PAPER_DATASETS) if name in there]


def axis_starts(runs: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Where the axis of NDCG@20 begins on each dataset: at :data:`START` of the best, to the hundredth below.

    Args:
        runs: of :func:`runs_of`.

    >>> axis_starts([{"dataset": "Gowalla", "ndcg": 0.142}, {"dataset": "Gowalla", "ndcg": 0.03}])
    {'Gowalla': 0.08}
    """
    best: dict[str, float] = {}
    for run in runs:
        best[run["dataset"]] = max(run["ndcg"], best.get(run["dataset"], 0.0))
    return {dataset: math.floor(100 * START * score) / 100 for dataset, score in best.items()}


def on_the_line(runs: Iterable[dict[str, Any]]) -> str:
    """What lies on each dataset's frontier: its best run, and how many runs of each kind.

    Args:
        runs: of :func:`runs_of`.

    >>> on_the_line([])
    ''
    """
    shown, lines, kinds = list(runs), [], []
    starts = axis_starts(shown)
    for dataset in _datasets(shown):
        edge = best_runs(run for run in shown if run["dataset"] == dataset)
        best = edge[0]
        counts = Counter(run["kind"] for run in edge if run["ndcg"] >= starts[dataset]).most_common()
        kinds.append(len(counts))
        lines.append(
            f"- **{dataset}.** Best of all by the test score is {best['loss']} on {best['backbone']}, {best['method']}:"
            f" NDCG@20 {best['ndcg']:.4f}, ratio {best['ratio']:.2f}. Above the axis's start the line has"
            f" {listed_names([f'{number} of {kind}' for kind, number in counts])}."
        )
    if not lines:
        return ""
    alone = "No way of training holds a line alone." if min(kinds) > 1 else "On some datasets one way holds the line."
    advice = "[](should_i_use.ipynb) says which fits your model."
    return "\n".join(["**What lies on the line.**", "", *lines, "", f"{alone} {advice}"])


def look(loss: str) -> tuple[str, str]:
    """The colour of a loss, and its marker's outline as an SVG path about 10 px wide.

    Args:
        loss: the loss's name, one of :data:`prismbook.pages.figures.LOOKS`.
    """
    colour, marker = LOOKS[loss]
    return _ON_ANY_GROUND.get(colour, colour), outline(marker)


def outline(marker: str) -> str:
    """A marker's outline as an SVG path about 10 px wide.

    Args:
        marker: a marker of matplotlib.
    """
    return " ".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in polygon) + "Z" for polygon in _polygons(marker))


def dot(marker: str) -> str:
    """A dot in the middle of a marker's outline as an SVG path: a triangle's is nearer to its base.

    Args:
        marker: a marker of matplotlib.

    >>> dot("^")
    'M-0.6 1.7a0.6 0.6 0 1 0 1.2 0a0.6 0.6 0 1 0-1.2 0Z'
    """
    x, y = _middle(marker)
    return f"M{x - 0.6:.1f} {y:.1f}a0.6 0.6 0 1 0 1.2 0a0.6 0.6 0 1 0-1.2 0Z"


def _middle(marker: str) -> tuple[float, float]:
    corners = np.concatenate([polygon[:-1] for polygon in _polygons(marker)])  # the last is the first again
    x, y = corners.mean(axis=0)
    return float(x), float(y)


def _polygons(marker: str) -> list[np.ndarray]:
    style = MarkerStyle(marker)
    # it is scaled up first, so that the polygons of curved outlines have steps of about one pixel
    path = (style.get_transform() + Affine2D().scale(100, -100)).transform_path(style.get_path())
    return [np.asarray(polygon) / 10 for polygon in path.to_polygons()]


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
    datasets, starts = _datasets(shown), axis_starts(shown)
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
                STAR if run["star"] else marker,
                color=colour,
                markerfacecolor=colour if run["filled"] else "none",
                markersize=STAR_SIZE if run["star"] else SIZE,
                label=run["loss"],
            )
            if run["dot"]:
                x, y = (
                    SIZE / 10 * shift / 72 for shift in _middle(marker)
                )  # from a mark 10 wide to one of SIZE points
                moved = axis.transData + ScaledTranslation(x, -y, drawing.dpi_scale_trans)
                axis.plot(run["ratio"], run["ndcg"], "o", color=colour, markersize=DOT_SIZE, transform=moved)
        best = max(run["ndcg"] for run in here)
        drawn = [run["ratio"] for run in here if run["ndcg"] >= starts[dataset]]
        axis.set(
            xscale="log",
            xlim=(min(drawn) / 1.2, max(drawn) * 1.2),
            ylim=(starts[dataset], best + 0.05 * (best - starts[dataset])),
        )
        axis.set(title=dataset, ylabel="test NDCG@20")
        below = sum(run["ndcg"] < starts[dataset] for run in here)
        axis.annotate(f"{plural(below, 'point')} below", (0.01, 0.02), xycoords="axes fraction", va="bottom")
    axes[-1, 0].set_xlabel("unpopular / popular NDCG@20 (right: fairer)")
    handles: dict[str, Any] = {
        name: Line2D([], [], marker=LOOKS[name][1], color=LOOKS[name][0], markerfacecolor="none", linestyle="")
        for name in LOSS_NAMES.values()
        if any(run["loss"] == name for run in shown)
    }
    kinds = {
        "filled: PRISM": ("o", "black", SIZE),
        "star: lengths at scoring": (STAR, "black", STAR_SIZE),
        "dot inside: plain SGD": ("o", "none", SIZE),
        "open: everything else": ("o", "none", SIZE),
    }
    for name, (marker, face, size) in kinds.items():
        mark = Line2D([], [], marker=marker, color="black", markerfacecolor=face, markersize=size, linestyle="")
        inside = Line2D([], [], marker="o", color="black", markersize=DOT_SIZE, linestyle="")
        handles[name] = (mark, inside) if name.startswith("dot") else mark
    handles["frontier"] = Line2D([], [], color="#777777", linewidth=1.5)
    drawing.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize="small")
    return drawing
