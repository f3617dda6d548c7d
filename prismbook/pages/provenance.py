"""Where the numbers of a figure come from: the runs behind it, and the command that makes it again, folded."""

from __future__ import annotations

import html
import shlex
from typing import Any

import pandas as pd
import yaml  # type: ignore[import-untyped]

from prismbook.tables.labels import setting


def command(notebook: str, **parameters: Any) -> str:
    """The shell command that runs a notebook with parameters, None too: the notebook's own value may be another.

    >>> command("rq1_weight_decay", dataset="gowalla", losses=["ssm", "mawu"], epochs=None)
    "papermill notebooks/rq1_weight_decay.ipynb out.ipynb -p dataset gowalla -y '{epochs: null, losses: [ssm, mawu]}'"
    """
    # not JSON: YAML takes its 1e-06 for text
    of_yaml = {name: value for name, value in parameters.items() if value is None or isinstance(value, list)}
    words = ["papermill", f"notebooks/{notebook}.ipynb", "out.ipynb"]
    for name, value in parameters.items():
        if name not in of_yaml:
            words += ["-p", name, str(value)]
    if of_yaml:
        words += ["-y", yaml.safe_dump(of_yaml, default_flow_style=True, width=1000).strip()]
    return shlex.join(words)


def provenance(runs: pd.DataFrame, redo: str) -> str:
    """HTML that unfolds to the runs of a figure: record, setting, seed, data, code, hardware and seconds.

    Args:
        runs: :func:`prismbook.tables.analysis.tidy`; runs that were not made are counted, not listed.
        redo: the command that makes the figure from the start, see :func:`command`.

    >>> table = pd.DataFrame({"run": [None]})
    >>> "no run is made" in provenance(table, "make book")
    True
    """
    made = runs[runs["run"].notna()]
    missing = len(runs) - len(made)
    summary = f"{len(made)} run{'s' * (len(made) != 1)}" if len(made) else "no run is made"
    if missing and len(made):
        summary += f", {missing} more not made"
    parts = [f"<details class='provenance'><summary>Provenance: {summary}</summary>"]
    if len(made):
        seconds = f"{made['seconds'].sum():,.0f} s of training and evaluation in all."
        parts.append(f"<p>Records: <code>results/</code>, by id. {seconds}</p>")
        parts.append(f"<div style='overflow-x: auto'>{_table(made)}</div>")
    parts.append(f"<p>Again, from the start:</p><pre>{html.escape(redo)}</pre></details>")
    return "".join(parts)


def _table(made: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "record": made["run"],
            "model": made["backbone"]
            + ", "
            + made["loss"]
            + made["loss_parameters"].map(lambda text: f" ({text})" if text else ""),
            "trained with": [setting(run) for run in made.itertuples()],
            "seed": made["seed"],
            "data": made["content"],
            "commit": made["commit"],
            "hardware": made["hardware"],
            "seconds": made["seconds"].map("{:,.0f}".format),
            "epochs": made["epochs"].map("{:.0f}".format),
            "best": made["best_epoch"].map("{:.0f}".format),
        }
    )
    return shown.to_html(index=False, border=0, classes="dataframe")
