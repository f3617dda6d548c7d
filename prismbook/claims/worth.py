"""What missing runs are worth: which statement of which claim they can turn, and with what chance.

A run is worth what it can turn, by the rules as they are. Where every core statement of a claim is firm, it is worth
nothing to the claim. A core statement that is open or provisional may turn by:

- further seeds of the settings that it compares, with the chance that :mod:`prismbook.tables.turning` predicts;
- what a search lacks, where more of the search could turn it;
- the settings of the same losses that were not run, of which validation may choose one;
- patient runs in place of those that ended in a dip, where these leave nothing to compare;
- the first seed of the runs that it is judged from, of the losses that it names, where it is not measured.

Where the core is reproduced, a size that is open may turn the verdict too, by what it lacks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.evidence import Evidence
from prismbook.claims.statements import Basis, Statement, again, core, outcome
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS
from prismbook.runs import patience, tuning
from prismbook.runs.priorities import Turn
from prismbook.runs.reading import reading_once
from prismbook.runs.tuning import Outcomes
from prismbook.tables.labels import LOSS_NAMES
from prismbook.tables.rules import RULES, Difference
from prismbook.tables.turning import OUTCOMES, after

#: The chance of what no spread over seeds predicts, such as where a run goes once it is out of a dip.
UNKNOWN = 0.5
#: Below this chance nothing is said to turn.
LEAST = 0.01


@reading_once()
def worth(datasets: Sequence[str], results: Path) -> list[Turn]:
    """What the missing runs on some datasets can turn, claim by claim.

    Args:
        datasets: names of datasets, whose files or identities are at hand. No claim speaks of a generated one.
        results: folder of the records.

    >>> worth(["synthetic"], Path("no folder"))
    []
    """
    outcomes, turns = tuning.stored(results), list[Turn]()
    for claim in CLAIMS:
        if claim.needs_records and set(datasets) & set(claim.datasets):
            for dataset in claim.datasets:
                if dataset in datasets or not dataset:
                    row = f"{claim.id} {dataset}".strip()
                    turns += row_turns(row, claim.evidence(dataset, results), outcomes)
    return [turn for turn in turns if {config.dataset for config in turn.runs} <= set(datasets)]


def row_turns(row: str, evidence: Evidence, outcomes: Outcomes) -> list[Turn]:
    """What missing runs can turn of one claim on one dataset.

    Args:
        row: its name, e.g. ``"C1 gowalla"``.
        evidence: the runs that it is judged from, and its statements.
        outcomes: what is stored of each configuration.
    """
    statements = evidence.statements
    unsure = [each for each in core(statements) if each.holds is None or each.provisional]
    if outcome(statements) == "reproduced":  # a size that is open may be found to differ
        unsure += [each for each in statements if each.role == "size" and each.holds is None and each.lacks]
    if not unsure:
        return []
    patient = patience.patient_runs(evidence.planned, outcomes) if evidence.patient_runs else []
    read = _Read((*evidence.planned, *patient), outcomes)
    turns = [
        Turn(f"{row}, {statement.name}", chance, tuple(runs))
        for statement in unsure
        for chance, runs in _may_turn(statement, read)
    ]
    return [turn for turn in turns if turn.runs and turn.chance >= LEAST]


class _Read:
    """The runs that a claim is judged from: those that are missing, and the settings of those that are stored."""

    def __init__(self, planned: Iterable[RunConfig], outcomes: Outcomes) -> None:
        stored: list[RunConfig] = []
        self.missing: list[RunConfig] = []
        for config in dict.fromkeys(planned):
            (self.missing if outcomes(config) is None else stored).append(config)
        self.settings: dict[str, RunConfig] = {}
        for config in stored:
            ended = outcomes(config)
            if ended is not None and "reason" not in ended:
                self.settings[ended["id"]] = setting(config)

    def at_further_seeds(self, difference: Difference) -> list[RunConfig]:
        """The missing runs of the settings that a difference compares."""
        compared = {self.settings[run] for run in difference.runs if run in self.settings}
        return [config for config in self.missing if setting(config) in compared]

    def not_run(self, losses: Collection[str]) -> list[RunConfig]:
        """The missing runs of some losses at the first seed, at which validation chooses."""
        first = [config for config in self.missing if config.seed == SEEDS[0] and config.patience < patience.LONG]
        return [config for config in first if config.loss in losses]

    def losses(self, differences: Iterable[Difference]) -> set[str]:
        """The losses of the runs that some differences compare."""
        return {self.settings[run].loss for each in differences for run in each.runs if run in self.settings}


def setting(config: RunConfig) -> RunConfig:
    """A run without its seed, its patience and its device: what it has in common with its other seeds.

    Args:
        config: of a run.
    """
    plain = RunConfig.seed
    return replace(config, seed=plain, split_seed=plain, patience=RunConfig.patience, device=RunConfig.device)


def _may_turn(statement: Statement, read: _Read) -> list[tuple[float, list[RunConfig]]]:
    """The ways in which missing runs may turn a statement: the chance and the runs of each."""
    differences = _differences(statement)
    ways = _by_seeds(statement, [(each, read.at_further_seeds(each)) for each in differences])
    ways.append((UNKNOWN, read.not_run(read.losses(differences))))
    if statement.lacks:
        searched = again(_without_open_searches(statement), RULES)
        known = searched.holds is not None or not statement.undecided  # decided by the search alone, or not measured
        ways.append((1.0 if known else UNKNOWN, list(statement.lacks)))
    if differences or statement.lacks:
        return ways
    if statement.difference is not None:  # of runs that decide nothing
        return [(UNKNOWN, read.at_further_seeds(statement.difference))]
    if statement.provisional:  # since it rests on a single seed
        return [(1.0, read.missing)]
    named = {loss for loss, title in LOSS_NAMES.items() if title in statement.text} or set(LOSS_NAMES)
    first = read.not_run(named)
    if not statement.undecided:
        return [(1.0, first)]
    missing = [config for config in read.missing if config.loss in named]
    patient = [config for config in missing if config.patience >= patience.LONG]
    return [(UNKNOWN, [*first, *patient] or missing)]


def _by_seeds(
    statement: Statement, lacking: Sequence[tuple[Difference, list[RunConfig]]]
) -> list[tuple[float, list[RunConfig]]]:
    """The chances that further seeds turn a statement, for what each of its differences lacks.

    What one difference lacks may be all that others lack, which then move too. Where no such part turns it, all that
    its differences lack may.
    """
    parts = [runs for _, runs in lacking if runs]
    together = list(dict.fromkeys(config for runs in parts for config in runs))
    ways = []
    for runs in [list(each) for each in dict.fromkeys(map(tuple, parts))]:
        ways.append((_chance(statement, lacking, set(runs)), runs))
    if parts and all(chance < LEAST for chance, _ in ways):
        ways = [(_chance(statement, lacking, set(together)), together)]
    return ways


def _chance(statement: Statement, lacking: Sequence[tuple[Difference, list[RunConfig]]], made: set[RunConfig]) -> float:
    """The chance that a statement holds otherwise than now once some runs are made."""
    moves: list[list[Difference]] = []
    for place, (difference, runs) in enumerate(lacking):
        if not runs or not made.issuperset(runs):
            moves.append([difference] * OUTCOMES)
        else:
            seeds = {config.seed for config in runs if config.patience < patience.LONG}
            more = min(len(seeds), len(SEEDS) - len(difference.by_seed))
            if more < 1 or not np.isfinite(difference.seed_spread):  # a patient run may go anywhere
                return UNKNOWN
            found = after(difference, more)
            # an order of its own for each difference, so that they do not rise and fall together
            moves.append([found[outcome * _STRIDE**place % OUTCOMES] for outcome in range(OUTCOMES)])
    now = _state(statement)
    return sum(_state(_moved(statement, iter(each))) != now for each in zip(*moves, strict=True)) / OUTCOMES


#: Its powers put the outcomes of one difference after the other in orders that spread over the square.
_STRIDE = 39


def _state(statement: Statement) -> tuple[bool | None, bool]:
    decided = again(statement, RULES)
    return decided.holds, decided.provisional


def _differences(statement: Statement) -> list[Difference]:
    """The differences that decide a statement."""
    basis = statement.basis
    if basis is None:
        return []
    if basis.difference is not None:
        return [basis.difference]
    return [difference for each in basis.among for difference in _differences(each)]


def _moved(statement: Statement, differences: Iterator[Difference]) -> Statement:
    """The statement with other differences, in the order of :func:`_differences`."""

    def of(basis: Basis) -> Basis:
        if basis.difference is not None:
            return replace(basis, difference=next(differences))
        return replace(basis, among=tuple(_moved(each, differences) for each in basis.among))

    return statement if statement.basis is None else replace(statement, basis=of(statement.basis))


def _without_open_searches(statement: Statement) -> Statement:
    """The statement as it is decided where no search is open."""
    basis = statement.basis
    return statement if basis is None else replace(statement, basis=replace(basis, left_open=()))
