"""Figures that a reader can move, as HTML that needs no network and no library. The page is ``explorer.html``.

Each stands under a static figure of the same numbers, which is all that is seen in print and without JavaScript.
:func:`tradeoff_bars` is the static figure of :func:`tradeoff_widget`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.patches import Patch
from matplotlib.transforms import Affine2D

from prismbook.pages.figures import LOOKS
from prismbook.runs.records import Record
from prismlib.metrics import GROUPS

Tables = pd.DataFrame | Mapping[str, pd.DataFrame]
#: What is shown of each curve at each setting; None where it was not run.
Frames = Mapping[str, Mapping[str, Any]]
_OTHER = ("#777777", "o")  # the look of a curve that is not in LOOKS


def tradeoff_widget(tables: Tables, knob: str, title: str, choose: str = "loss") -> str:
    """NDCG@20 and its three parts by popularity, at the setting of a knob that the reader chooses.

    Args:
        tables: one table per curve, by the curve's name (a loss); or one table. A table has one row per setting, in
            the order of the slider, and its index names the settings, numbers as ``1e-06``. The columns popular,
            neutral and unpopular add up to the test NDCG@20, and other columns are left out. A row of NaN is shown as
            a setting that was not run.
        knob: what the slider sets, e.g. ``"weight decay λ"``.
        title: the figure's title.
        choose: what the curves are, e.g. ``"loss"``, for the reader's choice between several.

    Raises:
        ValueError: there is no table or no row; a column is missing; tables differ in their settings; a setting is
            there twice; or a row has some values and some NaN, or values that are not the parts of an NDCG.

    >>> import pandas as pd
    >>> parts = pd.DataFrame([[0.1, 0.05, 0.05]], index=[1e-6], columns=["popular", "neutral", "unpopular"])
    >>> "1e-06" in tradeoff_widget({"BPR": parts}, "weight decay λ", "synthetic")
    True
    """
    alt = f"Line chart of popular, neutral and unpopular NDCG@20 against {knob}; the text above it says the numbers."
    return _explorer(_tradeoff(tables), GROUPS, kind="tradeoff", knob=knob, title=title, choose=choose, alt=alt)


def tradeoff_bars(tables: Tables, knob: str) -> Figure:
    """The numbers of :func:`tradeoff_widget` at all settings: one panel per curve, one bar of three parts per setting.

    Args:
        tables: the tables, as for :func:`tradeoff_widget`.
        knob: the name of the settings, e.g. ``"weight decay λ"``.

    Raises:
        ValueError: as :func:`tradeoff_widget`.
    """
    frames = _tradeoff(tables)
    settings = _settings(frames)
    size = (2.4 * max(2, len(frames)) + 1, 0.3 * len(settings) + 1.3)
    figure, axes = plt.subplots(1, len(frames), figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, (name, curve) in zip(axes[0], frames.items(), strict=True):
        for place, parts in enumerate(curve.values()):
            if parts is None:
                axis.text(0, place, " not run", va="center", fontsize="small")
                continue
            left = 0.0
            for group, part in parts.items():
                axis.barh(place, part, left=left, height=0.75, color=LOOKS[group][0], label=group)
                left += part
        axis.set(title=name, xlabel="test NDCG@20")
        axis.grid(visible=False, axis="y")
    axes[0, 0].set_yticks(range(len(settings)), settings)
    axes[0, 0].set(ylabel=knob, ylim=(len(settings) - 0.5, -0.5))
    colours = [Patch(color=LOOKS[group][0], label=group) for group in GROUPS]
    figure.legend(handles=colours, loc="outside lower center", ncols=len(GROUPS))
    return figure


def norms_widget(
    records: Mapping[str, Mapping[float | str, Record | None]],
    knob: str,
    title: str,
    table: str = "item",
    choose: str = "loss",
) -> str:
    """Length of embeddings against popularity, at the setting of a knob that the reader chooses.

    A point is the mean over the rows of a popularity bin, and its bar is one standard deviation over those rows.

    Args:
        records: for each curve, by its name (a loss), the record of the run at each setting, in the order of the
            slider; None where it was not run. Settings that are numbers are shown as ``1e-06``.
        knob: what the slider sets, e.g. ``"weight decay λ"``.
        title: the figure's title.
        table: the table whose rows are shown, ``"item"`` or ``"user"``.
        choose: what the curves are, e.g. ``"loss"``, for the reader's choice between several.

    Raises:
        ValueError: ``table`` is neither; there is no curve or no setting; or curves differ in their settings.

    >>> from prismlib.norms import norm_summary
    >>> from torch import ones, tensor
    >>> norms = {"item": norm_summary(ones(2, 3), tensor([1, 9]))}
    >>> record = {"norms": norms, "test": {"dot": {"ndcg": 0.2}}}
    >>> "not run" in norms_widget({"BPR": {0.0: record, 1e-6: None}}, "weight decay λ", "synthetic")
    True
    """
    if table not in ("item", "user"):
        raise ValueError(f"table must be 'item' or 'user', got {table!r}")
    frames = {
        name: {_label(setting): record and _norms(record, table) for setting, record in curve.items()}
        for name, curve in records.items()
    }
    alt = f"Mean norm of {table} embeddings in each popularity bin, with bars of one standard deviation."
    popularity = f"training interactions d of the {table}, as log(d + 1)"
    texts = {"knob": knob, "title": title, "choose": choose, "alt": alt, "popularity": popularity}
    return _explorer(frames, tuple(frames), kind="norms", **texts)


def _label(setting: Any) -> str:
    """A setting as the static figures name it: 0, 1e-04, but 0.25.

    >>> [_label(setting) for setting in (0, 1e-4, 0.25, 1.0, "tuned")]
    ['0', '1e-04', '0.25', '1', 'tuned']
    """
    if isinstance(setting, str):
        return setting
    return np.format_float_scientific(setting, trim="-", exp_digits=2) if 0 < setting < 1e-3 else f"{setting:g}"


def _tradeoff(tables: Tables) -> Frames:
    frames = {}
    for name, table in ({"all": tables} if isinstance(tables, pd.DataFrame) else tables).items():
        missing = [group for group in GROUPS if group not in table]
        if missing:
            raise ValueError(f"the table of {name!r} needs the columns {', '.join(GROUPS)}; not there: {missing}")
        labels = [_label(setting) for setting in table.index]
        if len(set(labels)) < len(labels):
            raise ValueError(f"the table of {name!r} has a setting twice; give it one row per setting, got {labels}")
        rows = table[list(GROUPS)].to_numpy(float)
        frames[name] = {label: _parts(row, f"{name!r} at {label}") for label, row in zip(labels, rows, strict=True)}
    return frames


def _parts(row: np.ndarray, where: str) -> dict[str, float] | None:
    """The three parts of one row; None for a setting that was not run."""
    if np.isnan(row).all():
        return None
    if np.isnan(row).any() or (row < 0).any() or row.sum() > 1 + 1e-6:
        raise ValueError(f"{where}: parts of an NDCG are >= 0 and add up to 1 at most, or are all NaN; got {row}")
    return dict(zip(GROUPS, row.tolist(), strict=True))


def _norms(record: Record, table: str) -> dict[str, Any]:
    norms = record["norms"][table]
    rows = sum(b["rows"] for b in norms["bins"])
    return {
        "bins": [{key: b[key] for key in ("from", "to", "mean", "std")} for b in norms["bins"]],
        "mean": sum(b["rows"] * b["mean"] for b in norms["bins"]) / rows,
        "correlation": norms["pearson_log"],
        "ndcg": record["test"]["dot"]["ndcg"],
    }


def _settings(frames: Frames) -> list[str]:
    settings = list(next(iter(frames.values()), ()))
    if not settings:
        raise ValueError("nothing to show: give one curve or more, with one setting or more")
    for name, curve in frames.items():
        if list(curve) != settings:
            raise ValueError(
                f"all curves need the same settings, not run or not: {name!r} has {list(curve)}, not {settings}"
            )
    return settings


def _explorer(frames: Frames, looks: Sequence[str], **texts: str) -> str:
    """The page with the data of one figure."""
    data = {
        **texts,
        "settings": _settings(frames),
        "looks": {name: _look(name) for name in looks},
        "curves": {name: list(curve.values()) for name, curve in frames.items()},
    }
    html = Path(__file__).with_name("explorer.html").read_text(encoding="utf-8")
    # without "<" no title can end the element
    return html.replace("DATA", json.dumps(data, allow_nan=False).replace("<", "\\u003c"), 1)


def _look(name: str) -> tuple[str, str]:
    """The colour of a curve, and its marker's outline as an SVG path about 10 px wide."""
    colour, marker = LOOKS.get(name, _OTHER)
    style = MarkerStyle(marker)
    # it is scaled up first, so that the polygons of curved outlines have steps of about one pixel
    outline = (style.get_transform() + Affine2D().scale(100, -100)).transform_path(style.get_path())
    polygons = [np.asarray(polygon) / 10 for polygon in outline.to_polygons()]
    path = " ".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in polygon) + "Z" for polygon in polygons)
    return colour, path
