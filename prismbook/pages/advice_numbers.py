"""What the advice on PRISM rests on: the stored runs by their way of training, and the changes between them.

:mod:`prismbook.pages.advice` puts them into sentences, :mod:`prismbook.pages.advice_in_short` into few words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from prismbook.claims.statements import PROVISIONAL
from prismbook.runs.records import Record
from prismbook.tables import ways
from prismbook.tables.labels import dataset_name
from prismbook.tables.lengths import ByAdamW, beside_at_its_ratio, by_adamw, by_training
from prismbook.tables.rules import Difference, judge
from prismbook.tables.seed_differences import relative_difference, usable
from prismbook.tables.ways import FIXED, LOSSES, MIDDLE_DECAY, NONE, PRISM, TUNED, Compared, rescored

#: Runs of one kind, by the name of the dataset.
Runs = Mapping[str, Sequence[Record]]
#: Changes as shares, one for each seed, by the name of the dataset.
Shares = Mapping[str, Sequence[float]]


class Training(NamedTuple):
    """A training by Adam that stopped by lengths put on at scoring.

    Attributes:
        loss: name of the loss.
        weight_decay: the coupled decay.
        init: how the tables start, ``"xavier"`` or ``"prism"``.
    """

    loss: str = "directau"
    weight_decay: float = 0.0
    init: str = "xavier"


#: The trainings that the advice speaks of. Each differs from the first by one thing.
TRAININGS = (
    Training(),
    Training(loss="ssm"),
    Training(loss="mawu"),
    Training(loss="bpr"),
    Training(weight_decay=MIDDLE_DECAY),
    Training(init="prism"),
)


@dataclass(frozen=True)
class Known:
    """What the advice rests on.

    Attributes:
        compared: the ways of training, for every dataset and loss.
        adamw: runs of DirectAU by AdamW.
        at_scoring: the runs of each training that stopped by lengths put on at scoring.
        other_rate: runs of DirectAU with coupled decay at another learning rate, by the name of the dataset.
        further: the ways with DirectAU on datasets that are not the paper's.
    """

    compared: Sequence[Compared]
    adamw: Sequence[ByAdamW] = ()
    at_scoring: Mapping[Training, Runs] = field(default_factory=dict)
    other_rate: Runs = field(default_factory=dict)
    further: Sequence[Compared] = ()

    def of(self, loss: str) -> list[Compared]:
        """The ways of training with one loss.

        Args:
            loss: its name.
        """
        return [each for each in self.compared if each.loss == loss]

    def scored(self, loss: str = "directau", weight_decay: float = 0.0, init: str = "xavier") -> Runs:
        """The runs of a training that stopped by lengths put on at scoring; empty where none is known.

        Args:
            loss: name of the loss.
            weight_decay: the coupled decay.
            init: how the tables start, ``"xavier"`` or ``"prism"``.
        """
        return self.at_scoring.get(Training(loss, weight_decay, init), {})


def known(results: Path | str | None = None) -> Known:
    """What the stored runs say.

    Args:
        results: folder of the records; None is the project's own.

    >>> known("no folder").scored(loss="ssm")["gowalla"]
    []
    """
    return Known(
        [ways.compared(dataset, loss, results) for dataset in ways.DATASETS for loss in LOSSES],
        by_adamw(record for dataset in ways.DATASETS for record in ways.decoupled(dataset, results)),
        {
            training: {
                dataset: ways.scored_with_lengths(dataset, results, **training._asdict()) for dataset in ways.DATASETS
            }
            for training in TRAININGS
        },
        {dataset: ways.decayed_at_another_rate(dataset, results) for dataset in ways.DATASETS},
        [ways.compared(ways.FURTHER, "directau", results)],
    )


def changes(compared: Iterable[Compared], other: str, measure: str = "ndcg") -> dict[str, Difference]:
    """PRISM against another way, by the name of the dataset, where there is a difference.

    Args:
        compared: the ways with one loss.
        other: the other way.
        measure: what is compared.
    """
    found = {dataset_name(each.dataset): each.change(other, measure) for each in compared}
    return {name: change for name, change in found.items() if change is not None}


def decided_changes(compared: Sequence[Compared]) -> tuple[dict[str, Difference], list[str]]:
    """PRISM against tuned decay where the search's choice decides something, and the datasets where it does not.

    Args:
        compared: the ways with one loss.
    """
    decided = changes([each for each in compared if each.undecided is None], TUNED)
    return decided, list(changes([each for each in compared if each.undecided is not None], TUNED))


def by_middle_decay(compared: Iterable[Compared], way: str, measure: str = "ndcg") -> list[Difference]:
    """The changes from a way to a decay of 1e-5, of each dataset where both were run.

    Args:
        compared: the ways with one loss or more.
        way: the way that the decay is compared with.
        measure: what is compared.
    """
    found = [relative_difference(each.at_decay(MIDDLE_DECAY), each.runs[way], measure) for each in compared]
    return [change for change in found if change is not None]


def scored_row(records: Sequence[Record]) -> Any | None:
    """The row of :func:`~prismbook.tables.lengths.by_training` at the learning rate with the most seeds, or None.

    Args:
        records: runs of one training.
    """
    table = by_training(records)
    kept = table[table["ndcg with it"].notna()]
    return None if kept.empty else kept.sort_values("seeds").iloc[-1]


def scored_after(compared: Sequence[Compared], decay: float = 0.0) -> dict[str, Any]:
    """Ordinary trainings at their own lengths and with those chosen at scoring, by the dataset's name.

    Args:
        compared: the ways with one loss. A dataset without such a training is left out.
        decay: the weight decay of the trainings, at the released code's learning rate.
    """
    rows = {dataset_name(each.dataset): scored_row(rescored(each, decay)) for each in compared}
    return {name: row for name, row in rows.items() if row is not None}


def shares(each: Compared, records: Sequence[Record], measure: str, way: str) -> list[float]:
    """How lengths at scoring change a measure of a way, as shares, at the seeds that both have.

    Args:
        each: the ways on a dataset.
        records: the runs whose items got other lengths at scoring.
        measure: ``"ndcg"`` or ``"ratio"``.
        way: what they are compared with.
    """
    other = usable(each.runs[way]).set_index("seed")[measure]
    return [
        float(by_training([record]).iloc[0][f"{measure} with it"] / other[seed] - 1)
        for record in records
        if (seed := record["config"]["seed"]) in other
    ]


def gains_and_ratios(compared: Sequence[Compared], records: Runs, way: str) -> tuple[Shares, Shares]:
    """How lengths at scoring change NDCG@20 and the ratio of a way, by dataset where both were run.

    Args:
        compared: the ways with one loss.
        records: the runs whose items got other lengths at scoring.
        way: what they are compared with.
    """
    gains, ratios = (
        {each.dataset: shares(each, records.get(each.dataset, ()), measure, way) for each in compared}
        for measure in ("ndcg", "ratio")
    )
    return {name: values for name, values in gains.items() if values}, {name: v for name, v in ratios.items() if v}


def of_tuned_decay(runs: Known) -> Runs:
    """The runs of DirectAU with tuned decay that stopped by lengths put on at scoring.

    Args:
        runs: what is known. A dataset whose tuned decay is not the one of such runs has none.
    """
    decayed = runs.scored(weight_decay=MIDDLE_DECAY)
    return {
        each.dataset: [run for run in decayed.get(each.dataset, ()) if run["config"]["weight_decay"] == each.decay()]
        for each in runs.of("directau")
    }


def words_of_gains(compared: Sequence[Compared], gains: Shares) -> dict[str, str]:
    """The word by the rules for how lengths at scoring change NDCG@20, by dataset, as it stands in brackets.

    The scores of each user were not kept with such lengths. So the share of users in the interval is borrowed: it is
    that of PRISM against a decay of 1e-6, else against no decay, on the same test users.

    Args:
        compared: the ways with one loss.
        gains: the changes as shares, of :func:`gains_and_ratios`.
    """
    found = {}
    for each in compared:
        if each.dataset in gains:
            values = tuple(gains[each.dataset])
            users = [change.users for way in (FIXED, NONE) if (change := each.change(way)) is not None]
            known = next((interval for interval in users if interval is not None), None)
            half = 0.0 if known is None else (known[1] - known[0]) / 2
            mean = sum(values) / len(values)
            word = str(judge(Difference(values, (mean - half, mean + half))))
            found[each.dataset] = word.replace(PROVISIONAL, ", provisional")
    return found


def as_fair(compared: Sequence[Compared], records: Runs) -> Shares:
    """NDCG@20 against PRISM's, as shares, with the lengths at scoring that have PRISM's ratio, by dataset.

    Args:
        compared: the ways with one loss.
        records: the runs whose items got other lengths at scoring.
    """
    found = {}
    for each in compared:
        prisms = usable(each.runs[PRISM])
        prism = {int(run["seed"]): (float(run["ndcg"]), float(run["ratio"])) for _, run in prisms.iterrows()}
        pairs = beside_at_its_ratio(records.get(each.dataset, ()), prism)
        if values := [score / theirs - 1 for _, score, theirs in pairs]:
            found[each.dataset] = values
    return found
