"""Whether to use PRISM, by optimiser and loss: the ways of training in the order of their NDCG@20, as lists.

Every number and every word is of stored runs. :mod:`prismbook.pages.advice_in_short` says it in few words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from prismbook.pages.advice_numbers import (
    Known,
    Runs,
    Shares,
    as_fair,
    by_middle_decay,
    changes,
    decided_changes,
    gains_and_ratios,
    of_tuned_decay,
    scored_after,
    scored_row,
    words_of_gains,
)
from prismbook.pages.change_words import (
    advised,
    fewer_epochs,
    mean_percent,
    multiples,
    on_each,
    percent,
    power,
    span,
)
from prismbook.plan.config import RunConfig
from prismbook.runs.patience import LONG
from prismbook.tables import analysis
from prismbook.tables.labels import dataset_name
from prismbook.tables.lengths import ByAdamW
from prismbook.tables.rules import MARGIN, Difference, judge
from prismbook.tables.seed_differences import relative_difference, usable
from prismbook.tables.ways import (
    FIXED,
    FIXED_DECAY,
    MIDDLE_DECAY,
    NONE,
    PRISM,
    SGD,
    STRONG,
    STRONG_DECAY,
    TUNED,
    WAYS,
    Compared,
    rescored,
)
from prismbook.text import listed_names, plural


def answer(runs: Known) -> str:
    """The answer as a list in Markdown: without decay, with decay, and with other losses.

    Args:
        runs: what is known.

    >>> answer(Known([])).splitlines()[0]
    '- **Adam without decay, DirectAU:** no run says it.'
    """
    directau = runs.of("directau")
    lines = [
        _points(with_decay(directau), _with_strong_decay(directau), _after_decay(runs), _decayed_at_scoring(runs)),
        _points(*_with_ssm(runs.of("ssm"), runs.scored(loss="ssm"))),
        _points(*_with_bpr(runs.of("bpr")), _beside_the_others(runs.of("bpr"), runs.scored(loss="bpr"))),
    ]
    without, *others = _without_decay(runs)
    return "\n".join([f"- {without}", *others, *(f"- {line}" for line in lines)])


def _points(lead: str, *points: str) -> str:
    """A point of the list with its own points below it, in Markdown; those that are empty are left out."""
    return "\n".join([lead, *(f"  - {point.strip()}" for point in points if point)])


def how_sure(compared: Iterable[Compared], where: str = "on this page") -> str:
    """On how many seeds the comparisons with PRISM rest, as a sentence.

    Args:
        compared: the ways, for every dataset and loss.
        where: which comparisons these are, in a few words.

    >>> how_sure([])
    'No comparison with PRISM is decided.'
    """
    seeds = [
        len(change.by_seed)
        for each in compared
        for way in WAYS
        if way != PRISM and not (way == TUNED and each.undecided) and (change := each.change(way)) is not None
    ]
    if not seeds:
        return "No comparison with PRISM is decided."
    one = sum(number == 1 for number in seeds)
    return f"Of {plural(len(seeds), 'comparison')} with PRISM {where}, {one} rest on one seed."


# Adam without decay


def _without_decay(runs: Known) -> list[str]:
    """The ways of a model with DirectAU that has no decay, in the order in which to try them."""
    directau = runs.of("directau")
    steps = [*_ordinary_at_scoring(directau), *_stopped_by_lengths(runs)]
    if decay := _middle_decay(directau):
        steps.append(
            f"**A coupled decay of {power(MIDDLE_DECAY)}**, at the released code's learning rate of"
            f" {power(RunConfig.lr)}. {decay} Updates of the batch's rows alone (`row_adam`,"
            " `sparse_adam`) take no decay."
        )
    if found := changes(directau, NONE):
        advice = advised(found, "It helps", "It is no gain", "It may help")
        steps.append(f"**PRISM**, with no decay to choose. {advice}, NDCG@20 {on_each(found)} against no decay.")
    by_sgd = {dataset_name(each.dataset): each.change(PRISM, way=SGD) for each in directau}
    if made := {name: change for name, change in by_sgd.items() if change is not None}:
        steps.append(
            f"**Plain SGD**, with a learning rate of its own: {on_each(made)} against PRISM. Its"
            f" unpopular / popular ratio is {_times_of_prism(directau)} times PRISM's."
        )
    if not steps:
        return ["**Adam without decay, DirectAU:** no run says it."]
    text = "**Adam without decay, DirectAU.** AdamW's decay counts as none, see the next point. Try in this order:"
    lines = [text, *(f"  {place}. {step}" for place, step in enumerate(steps, 1))]
    return [
        *lines,
        f"- **AdamW, with its decay or without, DirectAU:** as Adam without decay. {_adamw(runs.adamw)}",
        *_with_mawu(runs),
    ]


def _with_mawu(runs: Known) -> list[str]:
    """What lengths at scoring and PRISM give to MAWU, as a line; none where no run says it."""
    mawu = runs.of("mawu")
    parts = [_beside_the_others(mawu, runs.scored(loss="mawu")).strip()]
    if without := changes(mawu, NONE):
        gain = advised(without, "helps", "is no gain", "may help")
        parts.append(f"PRISM {gain}, {on_each(without)} against no decay.")
    if tuned := changes(mawu, TUNED):
        gain = advised(tuned, "a gain", "no gain", "a gain on some datasets")
        parts.append(f"Against tuned decay it is {gain}, {on_each(tuned)}.")
    first, *rest = [part for part in parts if part] or [""]
    return [_points(f"- **MAWU without coupled decay:** {first}", *rest)] if first else []


def _times_of_prism(directau: Sequence[Compared]) -> str:
    """Plain SGD's unpopular / popular ratio as a multiple of PRISM's, of each dataset where both were run."""
    both = [each.change(PRISM, "ratio", SGD) for each in directau]
    return listed_names([f"{1 + change.mean:.1f}" for change in both if change is not None])


def _adamw(runs: Sequence[ByAdamW]) -> str:
    """What is known of AdamW's decay: the law of lengths, and each run."""
    said = [
        f"On {dataset_name(run.dataset)} with decay {run.decay:g} the slope of log length in log popularity is"
        f" {run.slope:.2f}, and NDCG@20 {run.ndcg:.4f}{_with_lengths(run)} (1 run)."
        for run in runs
    ]
    law = "By the law of lengths its decay writes no popularity."
    return " ".join([law, *(said or ["No run is stored."]), "Lengths at scoring need no change of it."])


def _with_lengths(run: ByAdamW) -> str:
    """What lengths at scoring give to a run, in words; empty where its record has none."""
    return "" if run.ndcg_with_lengths is None else f", with lengths at scoring {run.ndcg_with_lengths:.4f}"


def _ordinary_at_scoring(directau: Sequence[Compared]) -> list[str]:
    """What lengths at scoring give to a training that was made already, as a step; none where that was not run."""
    rows = scored_after(directau)
    if not rows:
        return []
    scores = [
        f"{row['ndcg']:.4f} to {row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')})"
        for name, row in rows.items()
    ]
    ratios = [f"{row['ratio']:.2f} to {row['ratio with it']:.2f}" for row in rows.values()]
    text = (
        f"**Lengths at scoring, without a new training.** NDCG@20 goes from {listed_names(scores)}. Unpopular items"
        f" lose: the unpopular / popular ratio goes from {listed_names(ratios)}."
    )
    made = {each.dataset: rescored(each) for each in directau}
    if against := gains_and_ratios(directau, made, PRISM)[0]:
        judged = words_of_gains(directau, against)
        changed = [
            f"{mean_percent(values)} on {dataset_name(dataset)} ({judged[dataset]})"
            for dataset, values in against.items()
        ]
        text += f" Against PRISM that is {listed_names(changed)}."
    if fair := as_fair(directau, made):
        alike = [f"{mean_percent(values)} on {dataset_name(dataset)}" for dataset, values in fair.items()]
        text += f" At PRISM's own ratio, with $b$ read off the test set, it is {listed_names(alike)} against PRISM."
    missing = [dataset_name(each.dataset) for each in directau if dataset_name(each.dataset) not in rows]
    return [f"{text} Not run on {listed_names(missing)}." if missing else text]


def _stopped_by_lengths(runs: Known) -> list[str]:
    """What a training without decay that stops by lengths at scoring gives against PRISM, as a step."""
    directau, scored = runs.of("directau"), runs.scored()
    gains, ratios = gains_and_ratios(directau, scored, PRISM)
    if not gains:
        return []
    judged = words_of_gains(directau, gains)
    each = [
        f"{mean_percent(values)} on {dataset_name(dataset)} ({judged[dataset]}, {plural(len(values), 'seed')})"
        for dataset, values in gains.items()
    ]
    said = [
        f"**A new training that stops by such lengths.** NDCG@20 against PRISM is {listed_names(each)}.",
        f"Its unpopular / popular ratio is {multiples(ratios)} times PRISM's.",
    ]
    if fair := as_fair(directau, scored):
        alike = [f"{mean_percent(values)} on {dataset_name(dataset)}" for dataset, values in fair.items()]
        said.append(f"At PRISM's own ratio, with $b$ read off the test set, it is {listed_names(alike)}.")
    if with_it := _of_prism(runs):
        said.append(f"Started from PRISM it has {with_it}.")
    missing = [dataset_name(each.dataset) for each in directau if scored_row(scored.get(each.dataset, ())) is None]
    return [" ".join([*said, *([f"Not run on {listed_names(missing)}."] if missing else [])])]


def _of_prism(runs: Known) -> str:
    rows = [(dataset_name(name), scored_row(found)) for name, found in runs.scored(init="prism").items()]
    return listed_names(
        [
            f"{row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')})"
            for name, row in rows
            if row is not None
        ]
    )


def _middle_decay(directau: Sequence[Compared]) -> str:
    """What a decay gives to DirectAU beside PRISM, in sentences; empty where it was not run."""
    gains, scores = (by_middle_decay(directau, way) for way in (NONE, PRISM))
    parts = [f"{span(gains)} against no decay"] if gains else []
    if scores:
        fewer = fewer_epochs(by_middle_decay(directau, PRISM, "best_epoch"))
        parts.append(f"{span(scores)} against PRISM{fewer and f', {fewer}'}")
    return f"It gives {', and '.join(parts)}." if parts else ""


# Adam with decay


def with_decay(directau: Sequence[Compared]) -> str:
    """What PRISM is worth to a model with DirectAU that has decay, as a sentence.

    Args:
        directau: the ways with DirectAU.

    >>> with_decay([])
    'No run says whether PRISM helps a model that has weight decay.'
    """
    found = [change for way in (FIXED, TUNED) for change in changes(directau, way).values()]
    if not found:
        return "No run says whether PRISM helps a model that has weight decay."
    middle = [relative_difference(each.runs[PRISM], each.at_decay(MIDDLE_DECAY), "ndcg") for each in directau]
    found += [change for change in middle if change is not None]
    advice = "PRISM may help" if any(judge(change).word == "better" for change in found) else "no need of PRISM"
    small = f"{power(FIXED_DECAY)}, {power(MIDDLE_DECAY)}"
    return f"**Adam with a coupled decay of {small} or a tuned one, DirectAU:** {advice}, {span(found)}."


def _with_strong_decay(directau: Sequence[Compared]) -> str:
    """What PRISM is against a decay that is too strong, as a sentence; empty where that was not run."""
    found = changes(directau, STRONG)
    if not found:
        return ""
    return f" Against {power(STRONG_DECAY)} PRISM is {span(list(found.values()))}: a decay can be chosen too strong."


def _decayed_at_scoring(runs: Known) -> str:
    """What tuned decay gives in a training that stops by lengths at scoring, in sentences, or nothing."""
    directau = runs.of("directau")
    gains, ratios = gains_and_ratios(directau, of_tuned_decay(runs), TUNED)
    without, fairness = gains_and_ratios(directau, runs.scored(), TUNED)
    said = []
    for dataset in gains:
        said.append(
            f" On {dataset_name(dataset)} a new training with tuned decay that stops by lengths at scoring is"
            f" {_against_it(directau, gains, ratios, dataset)}."
        )
        if dataset in without:
            said.append(f" Such a training without decay is {_against_it(directau, without, fairness, dataset)}.")
    return "".join(said)


def _against_it(directau: Sequence[Compared], gains: Shares, ratios: Shares, dataset: str) -> str:
    """A change against tuned decay, with its word, its seeds and what the ratio is multiplied by in brackets."""
    many = plural(len(gains[dataset]), "seed")
    return (
        f"{mean_percent(gains[dataset])} against it ({words_of_gains(directau, gains)[dataset]}, {many},"
        f" {1 + np.mean(ratios[dataset]):.1f} times its ratio)"
    )


def _after_decay(runs: Known) -> str:
    """What lengths at scoring give to trainings with decay that were made already, in sentences; empty without runs."""
    directau, decays = runs.of("directau"), (FIXED_DECAY, MIDDLE_DECAY, STRONG_DECAY)
    found = {decay: scored_after(directau, decay) for decay in decays}
    said = [
        f" At {power(decay)} they take NDCG@20 from {row['ndcg']:.4f} to {row['ndcg with it']:.4f} on {name}"
        f" ({plural(round(row['seeds']), 'seed')})."
        for decay, rows in found.items()
        for name, row in rows.items()
    ]
    if not said:
        return ""
    missing = [decay for decay, rows in found.items() if not rows]
    not_known = (
        f" At {listed_names(list(map(power, missing)))} this was run on no dataset of the paper" if missing else ""
    )
    elsewhere = [
        f"at {power(decay)} they take it from {row['ndcg']:.4f} to {row['ndcg with it']:.4f} on {name}, the ratio"
        f" {row['ratio']:.2f} to {row['ratio with it']:.2f} ({plural(round(row['seeds']), 'seed')})"
        for decay in missing
        for name, row in scored_after(runs.further, decay).items()
    ]
    not_known += "".join(f"; {each}" for each in elsewhere) + (": try it, it costs no training." if missing else "")
    text = f" Lengths can be put on at scoring on such a training, without a new one.{''.join(said)}{not_known}"
    for dataset, made in runs.other_rate.items():
        if (row := scored_row(made)) is not None:
            config = made[0]["config"]
            text += (
                f" At rate {config['lr']:g} with {power(config['weight_decay'])} they take {row['ndcg']:.4f} to"
                f" {row['ndcg with it']:.4f} on {dataset_name(dataset)} ({plural(round(row['seeds']), 'seed')})."
            )
    return text


# Other losses


def _with_ssm(ssm: Sequence[Compared], scored: Runs) -> list[str]:
    """The advice with SSM, and what it rests on."""
    parts = []
    if gains := gains_of_decay(ssm):
        said = [f"{percent(change.mean)} on {name} ({judge(change)})" for name, change in gains.items()]
        parts.append(f"A tuned decay gives {listed_names(said)} against none.{_by_cosine(ssm)}")
    if found := changes(ssm, NONE):
        gain = advised(found, "PRISM helps", "no gain by PRISM is shown", "PRISM may help")
        cut = [dataset_name(each.dataset) for each in ssm if each.change(NONE) is None and len(each.shown(NONE))]
        early = f"; open on {listed_names(cut)}, where that run was cut off" if cut else ""
        parts.append(f"Against no decay {gain} ({on_each(found)}{early}).")
    decided, doubtful = decided_changes(ssm)
    if decided:
        advice = advised(decided, "PRISM helps", "PRISM is no gain", "PRISM depends on the dataset")
        left_open = f"; open on {listed_names(doubtful)}, whose tuned decay decides nothing" if doubtful else ""
        parts.append(f"Against tuned decay, at patience {RunConfig.patience}, {advice}: {on_each(decided)}{left_open}.")
    patient = {dataset_name(each.dataset): each.patient for each in ssm}
    if known_ones := {name: change for name, change in patient.items() if change is not None}:
        parts.append(
            f"At patience {LONG}, against a decay of {power(STRONG_DECAY)} that was not tuned again, it is"
            f" {on_each(known_ones)}."
        )
        if ended := [dataset_name(each.dataset) for each in ssm if each.patient is not None and each.at_limit]:
            parts.append(
                f"The limit of {RunConfig.max_epochs:,} epochs ended PRISM's run there on {listed_names(ended)}. More"
                " epochs and a tuned decay might raise either side: this decides nothing."
            )
    prism = advised(decided, "or use PRISM", "PRISM is no gain where decided", "or try PRISM")
    nothing = "what was run decides nothing against tuned decay." if parts else "no run says it."
    lead = f"tune the decay{or_by_lengths(ssm, scored)}, {prism}." if decided else nothing
    return [f"**SSM:** {lead}", *parts, _beside_the_others(ssm, scored)]


def _by_cosine(compared: Sequence[Compared]) -> str:
    """Where the directions of runs without decay score as tuned decay does, in sentences; empty where they do not."""
    alike = []
    for each in compared:
        tuned, none = each.shown(TUNED), usable(each.runs[NONE])
        cosine = [run["test"]["cosine"]["ndcg"] for run in analysis.records(none) if run is not None]
        if each.undecided is None and cosine and len(tuned):
            score, beside = float(np.mean(cosine)), float(tuned["ndcg"].mean())
            if abs(score / beside - 1) <= MARGIN:
                alike.append(f"{score:.4f} beside {beside:.4f} on {dataset_name(each.dataset)}")
    if not alike:
        return ""
    return (
        f" Runs without decay, ranked by cosine, stand as high as tuned decay by the dot product:"
        f" {listed_names(alike)}. So there decay may only undo the lengths that the optimiser left."
    )


def gains_of_decay(ssm: Sequence[Compared]) -> dict[str, Difference]:
    """What tuned decay gives against none, by the name of the dataset, where its search decides something.

    Args:
        ssm: the ways with one loss.
    """
    found = {dataset_name(each.dataset): each.change(NONE, way=TUNED) for each in ssm if each.undecided is None}
    return {name: change for name, change in found.items() if change is not None}


def _beside_the_others(compared: Sequence[Compared], records: Runs) -> str:
    """What lengths at scoring give beside PRISM and tuned decay, as a sentence; empty where it was not run."""
    said = []
    against = gains_and_ratios([each for each in compared if each.undecided is None], records, TUNED)[0]
    judged = words_of_gains(compared, against)
    for each in compared:
        found = records.get(each.dataset, ())
        if (row := scored_row(found)) is not None:
            seeds = [record["config"]["seed"] for record in found]
            others = [
                f"{way} has {runs['ndcg'].mean():.4f}"
                for way in (PRISM, TUNED)
                if len(runs := each.shown(way)[each.shown(way)["seed"].isin(seeds)])
            ]
            said.append(
                f" Lengths at scoring, by which training also stops, give NDCG@20 {row['ndcg with it']:.4f} on"
                f" {dataset_name(each.dataset)} (b = {row['exponent']:.2f}, {plural(round(row['seeds']), 'seed')},"
                f" ratio {row['ratio with it']:.2f})."
            )
            if others:
                where = "seed" if len(seeds) == 1 else "seeds"
                at = f"{where} {listed_names([str(seed) for seed in seeds])}"
                said.append(f" There {listed_names(others)}, at {at}.")
            if each.dataset in against:
                change = f"{mean_percent(against[each.dataset])} against tuned decay ({judged[each.dataset]})"
                said.append(f" Lengths at scoring are {change}.")
    return "".join(said)


def or_by_lengths(compared: Sequence[Compared], records: Runs) -> str:
    """Lengths at scoring as another way beside a tuned decay; empty where they were not run, or are worse.

    Args:
        compared: the ways with one loss.
        records: the runs without decay that stopped by lengths at scoring.
    """
    known = [each for each in compared if each.undecided is None]
    judged = words_of_gains(known, gains_and_ratios(known, records, TUNED)[0])
    if not judged or any(word.startswith("worse") for word in judged.values()):
        return ""
    return " or stop by lengths at scoring without decay"


def _with_bpr(bpr: Sequence[Compared]) -> list[str]:
    """The advice with BPR, and what it rests on."""
    found = changes(bpr, TUNED)
    dead = {
        dataset_name(each.dataset): (len(each.stopped_at_start(PRISM)), int(each.runs[PRISM]["run"].notna().sum()))
        for each in bpr
        if len(each.stopped_at_start(PRISM))
    }
    if not found and not dead:
        return ["**BPR:** no run says it."]
    waited = f" (PRISM at patience {LONG})" if found and dead else ""
    against = f": against tuned decay {on_each(found)}{waited}" if found else ""
    said = [f"**BPR:** {advice_with_bpr(found, bool(dead))}{against}."]
    if dead:
        never = [f"{gone} of {plural(made, 'seed')} on {name}" for name, (gone, made) in dead.items()]
        said.append(f"At a patience of {RunConfig.patience} it stopped at its start at {listed_names(never)}.")
    gains = [each.change(NONE, way=TUNED) for each in bpr]
    if learned := [change for change in gains if change is not None]:
        said.append(f"Tuned decay instead gives {span(learned)} against no decay.")
    return said


def advice_with_bpr(found: Mapping[Any, Difference], stopped: bool) -> str:
    """The advice from the changes against tuned decay, and from whether runs with PRISM learned.

    Args:
        found: the changes, one for each dataset where there is one.
        stopped: whether a run with PRISM stopped at its start.
    """
    if stopped or all(judge(change).word == "worse" for change in found.values()):
        return "do not use it"
    return advised(found, "it helps", "it is no gain", "it depends on the dataset")
