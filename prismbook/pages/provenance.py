"""Where the numbers of a figure come from: the runs behind the figure, and the command that makes it again, folded."""

from __future__ import annotations

import html
import math
import re
import shlex
from typing import Any

import numpy as np
import pandas as pd
import yaml  # type: ignore[import-untyped]

from prismbook.tables.labels import setting
from prismbook.text import plural


def command(notebook: str, **parameters: Any) -> str:
    """The shell command that runs a notebook with parameters.

    None and lists are given in YAML, by ``-y``, and what else there is by ``-p``. papermill reads the value of ``-p``
    as a number, a truth value or None wherever it looks like one: a dataset called 2024 would be refused by the
    notebook's check of its parameters.

    Args:
        notebook: the notebook's name, without folder and ending.
        parameters: the notebook's parameters by name: text, numbers, truth values, None, or a list, tuple or array of
            these. None is given too, since the notebook's default may be another value.

    >>> command("rq1_weight_decay", dataset="gowalla", losses=["ssm", "mawu"], epochs=None)
    "papermill notebooks/rq1_weight_decay.ipynb out.ipynb -p dataset gowalla -y '{epochs: null, losses: [ssm, mawu]}'"
    """
    words = ["papermill", f"notebooks/{notebook}.ipynb", "out.ipynb"]
    in_yaml = {}
    for name, value in parameters.items():
        plain = _plain(value)
        if plain is None or isinstance(plain, list):
            in_yaml[name] = plain
        else:
            words += ["-p", name, str(plain)]
    if in_yaml:
        # not JSON: YAML takes its 1e-06 for text
        words += ["-y", yaml.safe_dump(in_yaml, default_flow_style=True, width=math.inf).strip()]
    return shlex.join(words)


def _plain(value: Any) -> Any:
    """A value in types that YAML has: NumPy's numbers become Python's, and arrays and tuples become lists.

    >>> _plain((np.int64(1), np.array([1e-6]))), _plain(np.bool_(True)), _plain("ssm")
    ([1, [1e-06]], True, 'ssm')
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def provenance(runs: pd.DataFrame, redo: str) -> str:
    """HTML that unfolds to the runs of a figure: record, setting, seed, data, code, hardware and seconds.

    Args:
        runs: one row per run, from :func:`prismbook.tables.analysis.tidy`. Runs that were not made are counted and
            not listed.
        redo: the command that makes the figure from the start, see :func:`command`. A sweep, which trains only what is
            not stored, is given another folder.

    >>> table = pd.DataFrame({"run": [None]})
    >>> "no run is made" in provenance(table, "make book")
    True
    >>> "rq1 --results again<" in provenance(table, "python -m prismbook sweep run rq1")
    True
    """
    made = runs[runs["run"].notna()]
    missing, stored = len(runs) - len(made), made.drop_duplicates("run")  # a run may stand beside two others
    summary = plural(len(stored), "run") if len(stored) else "no run is made"
    if missing and len(stored):
        summary += f", {missing} more not made"
    parts = [f"<details class='provenance'><summary>Provenance: {summary}</summary>"]
    if len(stored):
        seconds = f"{stored['seconds'].sum():,.0f} s of training and evaluation in all."
        parts.append(f"<p>Records: <code>results/</code>, by id. {seconds}</p>")
        parts.append(f"<div style='overflow-x: auto'>{_table(stored)}</div>")
    parts.append(f"<p>Again, from the start:</p><pre>{html.escape(_into_another_folder(redo))}</pre></details>")
    return "".join(parts)


def _into_another_folder(redo: str) -> str:
    """The command with a folder of its own for each sweep in it, where nothing is stored yet."""
    return re.sub(r"(prismbook sweep run [^&\n]*[^&\s])", r"\1 --results again", redo)


def _table(stored: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "record": stored["run"],
            "model": stored["backbone"]
            + ", "
            + stored["loss"]
            + stored["loss_parameters"].map(lambda text: f" ({text})" if text else ""),
            "trained with": [setting(run) for run in stored.itertuples()],
            "seed": stored["seed"],
            "data": stored["content"],
            "commit": stored["commit"],
            "hardware": stored["hardware"],
            "seconds": stored["seconds"].map("{:,.0f}".format),
            "epochs": stored["epochs"].map("{:.0f}".format),
            "best": stored["best_epoch"].map("{:.0f}".format),
        }
    )
    if "lr" in stored and stored["lr"].nunique() > 1:  # else runs at two rates would look like one run twice
        shown.insert(3, "learning rate", stored["lr"].map("{:g}".format))
    return shown.to_html(index=False, border=0, classes="dataframe")
