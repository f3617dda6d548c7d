"""What the page "PRISM in your own model" says of stored runs: what Adam leaves in lengths, and how long to wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.patience import LONG
from prismbook.runs.records import Record
from prismbook.tables import lengths
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.text import listed_names, plural

#: Losses that do not see lengths.
OF_ANGLES = ("directau", "ssm", "mawu")


def _of_mf(records: Iterable[Record], losses: Iterable[str]) -> list[Record]:
    """The runs of matrix factorisation by some losses on the paper's datasets."""
    return [
        record
        for record in records
        if record["config"]["dataset"] in PAPER_DATASETS
        and record["config"]["backbone"] == "mf"
        and record["config"]["loss"] in losses
    ]


def _is_whole_prism(run: Record) -> bool:
    """Whether a run started with the lengths of PRISM at the alpha that is the default, under Adam."""
    return lengths.training_name(run["config"]) == "PRISM" and run["config"]["alpha"] == 1.0


def flat_without_decay(records: Sequence[Record]) -> str:
    """How steep lengths are in popularity under Adam without decay, and how tight the relation is.

    Args:
        records: a list of run records; those of matrix factorisation by a loss of angles count.

    >>> flat_without_decay([])
    ''
    """
    runs = [run for run in _of_mf(records, OF_ANGLES) if lengths.training_name(run["config"]) == "Adam, no decay"]
    if not runs:
        return ""
    steepest = max(lengths.slope_in_popularity(run) for run in runs)
    tightest = max(run["norms"]["item"]["pearson_log"] for run in runs)
    prism = [run for run in _of_mf(records, OF_ANGLES) if _is_whole_prism(run)]
    slopes = [lengths.slope_in_popularity(run) for run in prism]
    beside = f"; with PRISM it is {min(slopes):.2f} to {max(slopes):.2f} in {len(slopes)}" if slopes else ""
    losses = listed_names([LOSS_NAMES[loss] for loss in OF_ANGLES if any(r["config"]["loss"] == loss for r in runs)])
    return (
        "Adam alone writes hardly any popularity into the lengths. The slope of an item's log length in its log"
        f" popularity is at most {steepest:.3f} in {plural(len(runs), 'run')} by {losses} on the paper's"
        f" datasets{beside}. The correlation is up to {tightest:.2f} all the same: it says how tight the relation is,"
        " [and not how steep](optimisers.ipynb)."
    )


def of_adamw(records: Iterable[Record]) -> str:
    """That AdamW's decay writes no popularity, so that it counts as no decay, and what was not run.

    Args:
        records: run records; those of matrix factorisation by a loss of angles count.

    >>> of_adamw([])
    "AdamW's decay was not run here. Set it to 0 before PRISM."
    """
    of_mf = _of_mf(records, OF_ANGLES)
    runs = lengths.by_adamw(of_mf)
    if not runs:
        return "AdamW's decay was not run here. Set it to 0 before PRISM."
    both = any(run["config"]["init"] == "prism" and run["config"]["decay_scope"] == "decoupled" for run in of_mf)
    slope = max(run.slope for run in runs)
    where = listed_names(sorted({dataset_name(run.dataset) for run in runs}))
    pair = "" if both else ": the pair was not run"
    return (
        f"AdamW's decay writes no popularity: that slope is at most {slope:.2f} in"
        f" {plural(len(runs), 'run')} on {where}. So you are in the case without decay."
        f" Set AdamW's decay to 0 before PRISM{pair}."
    )


def patience_with_prism(records: Iterable[Record]) -> str:
    """With which patience runs with PRISM learned, by the loss.

    Args:
        records: run records; those of matrix factorisation with PRISM at the usual learning rate count.

    >>> patience_with_prism([])
    ''
    """
    runs = [
        run
        for run in _of_mf(records, ("directau", "mawu", "bpr"))
        if _is_whole_prism(run) and run["config"]["lr"] == RunConfig.lr
    ]
    short, long = RunConfig.patience, LONG
    bpr = {
        waited: [r for r in runs if r["config"]["loss"] == "bpr" and r["config"]["patience"] == waited]
        for waited in (short, long)
    }
    others = [run for run in runs if run["config"]["loss"] != "bpr" and run["config"]["patience"] == short]
    said = []
    if others:
        best = [run["best_epoch"] for run in others]
        said.append(
            f"Here {plural(len(others), 'run')} by DirectAU and MAWU had a patience of {short}, at the rate"
            f" {RunConfig.lr:g}. Their best epochs lie between {min(best)} and {max(best)}."
        )
    gone = sum(run["best_epoch"] == 0 for run in bpr[short])
    if gone:
        said.append(f"By BPR {gone} of {plural(len(bpr[short]), 'such run')} stopped at the start.")
    if bpr[long]:
        best = sorted(run["best_epoch"] for run in bpr[long])
        said.append(
            f"At a patience of {long} BPR learned: the best epoch is {listed_names([str(epoch) for epoch in best])} in"
            f" {plural(len(best), 'run')}."
        )
    return " ".join(said)
