"""Judgements of the paper's Table 1, tuned weight decay against PRISM: C8 to C10.

Each is judged from two searches, :class:`prismbook.tables.decay_vs_prism.Pair`. No direction is given to a case in
which a method was not searched; it is a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prismbook.claims.comparison import judged, minus
from prismbook.claims.prism_claims import PROTOCOL_CASES
from prismbook.claims.statements import (
    Basis,
    Statement,
    firm_or_not,
    from_judgement,
    holds_with,
    in_interval,
    left_open_with,
    percent_and_seeds,
    percent_text,
)
from prismbook.tables.decay_vs_prism import Pair, loss_values
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.rules import MAY_BE, RULES, Difference, Rules, contains
from prismbook.text import plural

#: The paper's mean change over all cells of linear MF.
MEAN_OF_ALL_CELLS = 0.0012
#: A comparison can come out as these, from the least favourable to the most.
_ORDER = ("worse", "equivalent", "better")
#: The words with which a change of ours is said to be the paper's.
_LIKE_THE_CELL = ("larger", "smaller", "like the paper's")

#: What the note of C8 is about that says in how many cells a method without effect would pass.
NO_CHANGE = "no change at all"


def claim_c8(pairs: Sequence[Pair], rules: Rules = RULES) -> list[Statement]:
    """C8: PRISM against tuned decay on linear MF, cell by cell of the paper's Table 1.

    The paper says that the mean over all cells is near 0, and prints cells that are not. A cell is reproduced where our
    change is the paper's, within twice the margin: each of the two may be off by it. A method that changes nothing may
    pass that as well; in how many cells is said. That PRISM matches decay by itself is a detail.

    Args:
        pairs: one for each loss, of one dataset.
        rules: the margin, and whether one seed gives a word.
    """
    statements = [_like_the_cell(pair, rules) for pair in pairs]
    beside = [_directed(pair, "is at least equivalent to", ("equivalent", "better"), rules) for pair in pairs]
    return [*statements, *_of_no_change(pairs, rules), *(replace(each, role="detail") for each in beside)]


def _of_no_change(pairs: Sequence[Pair], rules: Rules) -> list[Statement]:
    """A note on what the margin of C8 cannot tell: in how many cells no change at all would be the paper's too."""
    printed = [figure for pair in pairs if (figure := pair.paper()) is not None]
    text = (
        f"no change at all would be within {100 * rules.margin_of('cell'):g} points of the paper's too in"
        f" {passed_without_effect(printed, rules)} of"
        f" {plural(len(printed), 'cell')}, so this does not show that PRISM does something"
    )
    return [Statement(text, None, role="note", about=NO_CHANGE)] if printed else []


def passed_without_effect(printed: Sequence[float], rules: Rules = RULES) -> int:
    """In how many cells of Table 1 no change at all would be the paper's too, within the margin of C8.

    Args:
        printed: the paper's changes.
        rules: the margin.

    >>> passed_without_effect([0.01, -0.2])
    1
    """
    return sum(abs(figure) <= rules.margin_of("cell") for figure in printed)


def claim_c8_mean(pairs: Sequence[Pair], rules: Rules = RULES) -> list[Statement]:
    """C8, once for all datasets: the mean change over all cells of linear MF is near 0.

    Args:
        pairs: one for each loss and dataset.
        rules: the margin, and whether one seed gives a word.
    """
    changes = [change for pair in pairs if pair.decides() and (change := pair.relative_difference()) is not None]
    text = f"the mean change over the cells of linear MF is near 0, as the paper's {MEAN_OF_ALL_CELLS:+.2%} over its 12"
    if not changes:
        return [Statement(text, None)]
    numbers = [len(change.by_seed) for change in changes]
    seeds, most = min(numbers), max(numbers)
    many = plural(seeds, "seed") if seeds == most else f"{seeds} to {most} seeds and judged as {seeds}"
    error = float(np.sqrt(sum(change.standard_error**2 for change in changes))) / len(changes)
    mean = float(np.mean([change.mean for change in changes]))
    printed = [figure for pair in pairs if pair.decides() and (figure := pair.paper()) is not None]
    ids = tuple(run for change in changes for run in change.runs)
    difference = Difference((mean,) * seeds, None, "ndcg", error * seeds**0.5, ids)
    cells = f"the {plural(len(changes), 'cell')} with a comparison here, at {many},"
    text += f"; over {cells} the paper's is {np.mean(printed):+.1%}, ours"
    return [judged(text, difference, ("equivalent",), rules)]


def claim_c9(pairs: Sequence[Pair], rules: Rules = RULES) -> list[Statement]:
    """C9: on non-linear MF PRISM beats tuned decay.

    Args:
        pairs: one for each loss, under one protocol or several.
        rules: the margin, and whether one seed gives a word.
    """
    return _by_protocol(pairs, "beats", ("better",), rules)


def claim_c10(pairs: Sequence[Pair], rules: Rules = RULES) -> list[Statement]:
    """C10: on non-linear MF PRISM falls short of tuned decay.

    Args:
        pairs: one for each loss, under one protocol or several.
        rules: the margin, and whether one seed gives a word.
    """
    return _by_protocol(pairs, "falls short of", ("worse",), rules)


def _by_protocol(pairs: Sequence[Pair], verb: str, holds: Sequence[str], rules: Rules) -> list[Statement]:
    """One statement per pair, and for each protocol one on the size of the change."""
    statements = []
    for protocol, case in PROTOCOL_CASES.items():
        concerned = [pair for pair in pairs if pair.protocol == protocol]
        directed = [_directed(pair, verb, holds, rules) for pair in concerned]
        sizes = _mean_change(concerned, all(statement.holds for statement in directed))
        role = {"text": "core", "released": "note"}[protocol]
        at_values = [[_at_value(pair, each, verb, holds, rules) for each in pair.at_values] for pair in concerned]
        told = [_unlike(*both) for both in zip(directed, at_values, strict=True)]
        if role == "note":  # neither method was searched there: a number, and no direction under any rules
            told = [left_open_with(each, MAY_BE, rules) for each in told]
        statements += [replace(each, case=case, role=role) for each in told]
        statements += [replace(each, case=case) for each in sizes if role == "core"]
        statements += [replace(each, case=case) for details in at_values for each in details]
    return statements


def _unlike(statement: Statement, details: Sequence[Statement]) -> Statement:
    """The statement with the values of the loss's parameters at which the opposite was found."""
    others = [each for each in details if None not in (each.holds, statement.holds) and each.holds != statement.holds]
    told = [
        f"{each.text.partition(' at ')[2].partition(' alone')[0]} ({percent_text(each.difference)})"
        for each in others
        if each.difference is not None
    ]
    return replace(statement, text=f"{statement.text}; not so at {' and '.join(told)}") if told else statement


def _at_value(pair: Pair, at: Pair, verb: str, holds: Sequence[str], rules: Rules) -> Statement:
    """A detail: the claim at one value of the loss's parameters, which neither method chooses.

    Against one decay alone it has no direction, since decay was not searched there.
    """
    about = LOSS_NAMES[pair.loss]
    if at.prism is None or at.decay is None or at.fair_methods is None:
        return Statement(f"{about} at one value (not run in both)", None, role="detail", about=about)
    chosen = at.prism.chosen.loss_parameters
    value = " and ".join(f"{name} {each:g}" for name, each in chosen.items())
    searched = at.decay.grid > 1
    tried, between = (f"the best of {at.decay.ran} decays", ", ") if searched else ("decay", " ")
    text = f"{BACKBONE_NAMES[pair.backbone]} with {about} at {value} alone: PRISM {verb} {tried}"
    change, judgement = at.relative_difference(), at.judgement(rules)
    if change is None or judgement is None or not at.decides():
        why = at.difference_text().removeprefix("undecided: ")
        return Statement(f"{text}; undecided: {why}", None, True, role="detail", about=about)
    scores = [np.mean([each.records[seed]["test"]["dot"]["ndcg"] for seed in at.seeds()]) for each in at.fair_methods]
    text += f"{between}{at.decay.chosen.weight_decay:g}: NDCG@20 {scores[0]:.4f} against {scores[1]:.4f}"
    if (printed := at.paper_decay()) is not None:
        text += f", which is {scores[1] / printed:.0%} of the paper's {printed:.4f}"
    statement = judged(text, change, holds, rules, role="detail", about=about)
    return statement if searched else left_open_with(statement, MAY_BE, rules, "; one decay, not searched")


def _directed(pair: Pair, verb: str, holds: Sequence[str], rules: Rules) -> Statement:
    """Whether PRISM against decay has one of some words, so far as the searches decide it."""
    decay_name, about = "tuned decay" if pair.protocol == "text" else "decay", LOSS_NAMES[pair.loss]
    subject = f"{BACKBONE_NAMES[pair.backbone]} with {about}: PRISM {verb} {decay_name}"
    judgement, change = pair.judgement(rules), pair.relative_difference()
    if pair.fair_methods is None or pair.prism is None or pair.decay is None or judgement is None:
        return Statement(f"{subject} (not run in both)", None, about=about, lacks=pair.lacks)
    text = (
        f"{subject}: {pair.difference_text()}, {plural(len(pair.seeds()), 'seed')}{_own_values(pair)}{_searched(pair)}"
    )
    printed = pair.paper()
    if printed is not None:
        text += f"; by the cells of the paper's Table 1: {printed:+.1%}"
    statement = from_judgement(text, judgement, holds, change, about=about)
    left_open = tuple(word for word in MAY_BE if _could_turn(word, pair.decay.open(), pair.prism.open(), holds))
    collapsed = judgement.word == "collapsed"
    basis = None if change is None or collapsed or not pair.decides() else Basis("one", change, tuple(holds), left_open)
    found = replace(_if_searched(statement, pair, judgement.word, holds), basis=basis, lacks=pair.lacks)
    return firm_or_not(found, judgement)


def _own_values(pair: Pair) -> str:
    """The loss's parameters of each method where each has its own best, as a part of a sentence; empty where not."""
    if pair.fair_methods is None or pair.compared_at():
        return ""
    ours, theirs = (loss_values(method.chosen) for method in pair.fair_methods)
    names = ", ".join(pair.fair_methods[0].chosen.loss_parameters)
    return "" if ours == theirs else f"; {names} {ours} for PRISM and {theirs} for decay, each one's best"


def _like_the_cell(pair: Pair, rules: Rules) -> Statement:
    """Whether our change from tuned decay to PRISM is the change in the paper's cell."""
    about = LOSS_NAMES[pair.loss]
    within = f"within {100 * rules.margin_of('cell'):g} points of the paper's"
    subject = f"{BACKBONE_NAMES[pair.backbone]} with {about}: the change from tuned decay to PRISM is {within}"
    change, printed, judgement = pair.relative_difference(), pair.paper(), pair.judgement(rules)
    lacks = tuple(dict.fromkeys((*pair.lacks, *pair.without_patience())))
    if pair.fair_methods is None or pair.decay is None or pair.prism is None or judgement is None or printed is None:
        return Statement(f"{subject} (not run in both)", None, about=about, lacks=pair.lacks)
    text = f"{subject}, {printed:+.1%} by the cells of its Table 1"
    if change is None or not pair.decides() or (left_out := pair.left_out_text()):
        text = f"{text}; undecided: {pair.difference_text()}"
        if change is not None and pair.decides():
            text += f"; a part of the runs decides no size: {left_out}"
        return Statement(text, None, undecided=True, about=about, lacks=lacks)
    text += f": ours is {percent_and_seeds(change)}{_searched(pair)}"
    cell = Difference((printed,) * len(change.by_seed), None, "cell", 0.0)
    statement = judged(
        f"{text}; ours less the paper's", minus(change, cell, "cell"), ("equivalent",), rules, _LIKE_THE_CELL
    )
    # what a decision says of the search: the change is the paper's, or is on one side of it
    side = {True: "equivalent", False: "worse" if change.mean < printed else "better"}
    left_open = tuple(
        word
        for word in MAY_BE
        if (holds := holds_with(word, ("equivalent",))) is not None
        and _could_turn(side[holds], pair.decay.open(), pair.prism.open(), ("equivalent",))
    )
    basis = Basis("one", minus(change, cell, "cell"), ("equivalent",), left_open)
    # the row shows our change and not its distance from the paper's
    statement = replace(statement, difference=change, about=about, basis=basis, lacks=pair.lacks)
    return (
        statement if statement.holds is None else _if_searched(statement, pair, side[statement.holds], ("equivalent",))
    )


def _if_searched(statement: Statement, pair: Pair, word: str, holds: Sequence[str]) -> Statement:
    """The statement, left open where more of a search could turn it round."""
    if statement.holds is None or pair.decay is None or pair.prism is None:
        return statement
    if _could_turn(word, pair.decay.open(), pair.prism.open(), holds):
        return replace(statement, holds=None, undecided=True, provisional=False)
    return statement


def _searched(pair: Pair) -> str:
    """What of the searches is not complete, or not tuned because its choice is at an edge; empty where nothing is."""
    text = ""
    for title, method in (("decay", pair.decay), ("PRISM", pair.prism)):
        if method is None:
            continue
        if pair.protocol == "released" and title == "decay":
            text += f"; decay {method.chosen.weight_decay:g} alone, not searched, and neither is PRISM"
        if method.ran < method.grid:
            text += f"; {title} searched only in part, {method.ran} of {method.grid} configurations"
        if method.dips:
            text += (
                f"; {method.dips} of {title}'s runs ended at a start by chance and were not repeated with more patience"
            )
        if method.untrained:
            text += f"; {plural(method.untrained, 'run')} of {title}'s two best ended at their start, not repeated"
        if method.at_edge:
            text += f"; {title}'s {', '.join(method.at_edge)} is at the edge of its grid, not tuned"
    return "; ".join([text, *pair.not_tuned()])


def _could_turn(word: str, decay_open: bool, prism_open: bool, holds: Sequence[str]) -> bool:
    """Whether more of a search could turn a statement round. A search that goes further only helps its own method.

    More of decay's search makes PRISM less favourable, so that every word below could come out. More of PRISM's makes
    it more favourable, so that every word above could. Neither: the word stays. Both: any word could.
    """
    places = [place for place, each in enumerate(_ORDER) if each in MAY_BE[word]]
    first = 0 if decay_open else places[0]
    last = len(_ORDER) - 1 if prism_open else places[-1]
    return len({each in holds for each in _ORDER[first : last + 1]}) > 1


def _mean_change(pairs: Sequence[Pair], all_hold: bool) -> list[Statement]:
    """Whether the paper's mean change on this dataset lies in our interval; nothing where none of the pairs was run.

    Changes that point different ways have no mean: there is a size only where every pair bears the claim out. It is
    left open where a pair was not compared or not searched to the end, and where only a part of a method's runs takes
    part, since the others stopped at their start or were cut off.
    """
    if not pairs or all(pair.fair_methods is None for pair in pairs):
        return []
    figures = [figure for pair in pairs if (figure := pair.paper()) is not None]
    changes = [change for pair in pairs if pair.decides() and (change := pair.relative_difference()) is not None]
    if len(figures) < len(pairs):
        return []
    figure = float(np.mean(figures))
    name, about = f"the paper's mean change on {dataset_name(pairs[0].dataset)}, {figure:+.1%}", "the size"
    if len(changes) < len(pairs) or not all_hold:
        text = f"the size: open, since not every loss bears the claim out on what was run; compare {name}"
        if len(changes) == len(pairs) > 1:
            text += f", and ours, {np.mean([change.mean for change in changes]):+.1%} over {len(changes)} losses"
        return [Statement(text, None, True, role="size", about=about)]
    seeds = min(len(change.by_seed) for change in changes)
    error = float(np.sqrt(sum(change.standard_error**2 for change in changes))) / len(changes)
    difference = Difference(
        (float(np.mean([change.mean for change in changes])),) * seeds, None, "ndcg", error * seeds**0.5
    )
    if left_out := "; ".join(part for pair in pairs if (part := pair.left_out_text())):
        lacks = tuple(config for pair in pairs for config in pair.without_patience())
        text = f"the size: compare {name}; undecided, since a part of the runs decides no size: {left_out}"
        return [Statement(text, None, True, role="size", about=about, lacks=lacks)]
    within = contains(difference, figure)
    text = f"the size: {name}, {in_interval(within)} our interval: {percent_and_seeds(difference)}"
    return [Statement(text, within, within is None, difference=difference, role="size", about=about, seeds=seeds)]
