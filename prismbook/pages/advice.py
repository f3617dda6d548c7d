"""Whether to use PRISM, by optimiser and loss: the ways of training in the order of their NDCG@20, as lists.

Every number and every word is of stored runs. :func:`answer` says it at length, :func:`in_short` on the start page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismbook.plan.config import RunConfig
from prismbook.runs.patience import LONG
from prismbook.runs.records import Record
from prismbook.tables import ways
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.lengths import beside_at_its_ratio, by_training, slope_in_popularity
from prismbook.tables.rules import Difference, judge
from prismbook.tables.seed_differences import relative_difference, usable
from prismbook.tables.ways import (
    FIXED,
    FIXED_DECAY,
    LOSSES,
    MIDDLE_DECAY,
    NONE,
    PRISM,
    SGD,
    STRONG_DECAY,
    TUNED,
    WAYS,
    Compared,
    rescored,
)
from prismbook.text import listed_names, plural

#: Space that no line is broken at.
NBSP = "\N{NO-BREAK SPACE}"
#: Runs of one kind, by the name of the dataset.
Runs = Mapping[str, Sequence[Record]]
#: Changes as shares, one for each seed, by the name of the dataset.
Shares = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Known:
    """What the advice rests on.

    Attributes:
        compared: the ways of training, for every dataset and loss.
        adamw: runs of DirectAU by AdamW.
        scored: runs of DirectAU without decay that stopped by lengths put on at scoring.
        scored_ssm: the same with SSM.
        scored_mawu: the same with MAWU.
        scored_decay: the same with DirectAU and a decay of 1e-5.
        scored_prism: the same with DirectAU that started from PRISM.
    """

    compared: Sequence[Compared]
    adamw: Runs = field(default_factory=dict)
    scored: Runs = field(default_factory=dict)
    scored_ssm: Runs = field(default_factory=dict)
    scored_mawu: Runs = field(default_factory=dict)
    scored_decay: Runs = field(default_factory=dict)
    scored_prism: Runs = field(default_factory=dict)

    def of(self, loss: str) -> list[Compared]:
        """The ways of training with one loss.

        Args:
            loss: its name.
        """
        return [each for each in self.compared if each.loss == loss]


def known(results: Path | str | None = None) -> Known:
    """What the stored runs say.

    Args:
        results: folder of the records; None is the project's own.

    >>> known("no folder").scored["gowalla"]
    []
    """

    def scored(**fields: Any) -> Runs:
        return {dataset: ways.scored_with_lengths(dataset, results, **fields) for dataset in ways.DATASETS}

    return Known(
        [ways.compared(dataset, loss, results) for dataset in ways.DATASETS for loss in LOSSES],
        {dataset: ways.decoupled(dataset, results) for dataset in ways.DATASETS},
        scored(),
        scored(loss="ssm"),
        scored(loss="mawu"),
        scored(weight_decay=MIDDLE_DECAY),
        scored(init="prism"),
    )


def answer(runs: Known) -> str:
    """The answer as a list in Markdown: without decay, with decay, and with other losses.

    Args:
        runs: what is known.

    >>> answer(Known([])).splitlines()[0]
    '- **Adam without decay, DirectAU:** no run says it.'
    """
    directau = runs.of("directau")
    lines = [
        "\n".join(_without_decay(runs)),
        f"{_with_decay(directau)}{_decayed_at_scoring(runs)}{_with_strong_decay(directau)}",
        f"{_with_ssm(runs.of('ssm'))}{_beside_the_others(runs.of('ssm'), runs.scored_ssm)}",
        _with_bpr(runs.of("bpr")),
    ]
    return "\n".join(f"- {line}" for line in lines)


def in_short(runs: Known, link: str = "lengths on at scoring") -> str:
    """The advice of :func:`answer` with ranges over datasets in place of each number, as a list in Markdown.

    Args:
        runs: what is known.
        link: the words of the first way, with a link to where it is explained.

    >>> in_short(Known([])).splitlines()[-1]
    '- No run says whether PRISM helps a model that has weight decay.'
    """
    directau = runs.of("directau")
    lines = [*_at_scoring(directau, runs, link), *_stopped_in_short(runs), *_others_in_short(runs)]
    lines.append(_with_decay(directau) + _decayed_at_scoring(runs))
    lines += _ssm_in_short(runs.of("ssm"))
    bpr = changes(runs.of("bpr"), TUNED)
    gone = sum(len(each.stopped_at_start(PRISM)) for each in runs.of("bpr"))
    if bpr or gone:
        made = sum(int(each.runs[PRISM]["run"].notna().sum()) for each in runs.of("bpr"))
        many = f"all {made}" if gone == made else f"{gone} of {made}"
        never = f": {many} runs at patience {RunConfig.patience} stopped at their start" if gone else ""
        where = (
            f"; with patience {LONG} PRISM is {on_each(bpr)}" if bpr and gone else f"; {on_each(bpr)}" if bpr else ""
        )
        lines.append(f"**BPR:** {_advice_with_bpr(bpr, gone)}{never}{where}.")
    return "\n".join(f"- {line}" for line in lines)


# Adam without decay


def _without_decay(runs: Known) -> list[str]:
    """The ways of a model with DirectAU that has no decay, in the order in which to try them."""
    directau = runs.of("directau")
    steps = [*_ordinary_at_scoring(directau), *_stopped_by_lengths(runs)]
    if decay := _middle_decay(directau):
        steps.append(
            f"**A coupled decay of {power(MIDDLE_DECAY)}**, at the paper's learning rate of {power(RunConfig.lr)}."
            f" {decay} Row-sparse updates, such as `row_adam`, take no decay."
        )
    if found := changes(directau, NONE):
        advice = advised(found, "It helps", "It is no gain", "It may help")
        steps.append(f"**PRISM**, with no decay to choose. {advice}, NDCG@20 {on_each(found)} against no decay.")
    by_sgd = {dataset_name(each.dataset): each.change(PRISM, way=SGD) for each in directau}
    if made := {name: change for name, change in by_sgd.items() if change is not None}:
        steps.append(
            f"**Plain SGD**, last since it needs a learning rate of its own: {on_each(made)} against PRISM. Its"
            f" unpopular / popular ratio is {_times_of_prism(directau)} times PRISM's."
        )
    if not steps:
        return ["**Adam without decay, DirectAU:** no run says it."]
    text = f"**Adam without decay, DirectAU.** {_adamw(runs.adamw)} Try in this order:"
    lines = [text, *(f"  {place}. {step}" for place, step in enumerate(steps, 1))]
    if others := changes(runs.of("mawu"), NONE):
        gain = advised(others, "helps too", "is no gain", "may help")
        scored = _beside_the_others(runs.of("mawu"), runs.scored_mawu)
        lines.append(f"\n  With MAWU PRISM {gain}, {on_each(others)} against no decay.{scored}")
    return lines


def _times_of_prism(directau: Sequence[Compared]) -> str:
    """Plain SGD's unpopular / popular ratio as a multiple of PRISM's, of each dataset where both were run."""
    both = [each.change(PRISM, "ratio", SGD) for each in directau]
    return listed_names([f"{1 + change.mean:.1f}" for change in both if change is not None])


def _adamw(records: Runs) -> str:
    """What is known of AdamW's decay: the law of lengths, and each run."""
    said = [
        f"{dataset_name(dataset)}, decay {record['config']['weight_decay']:g}: slope {slope_in_popularity(record):.2f},"
        f" NDCG@20 {record['test']['dot']['ndcg']:.4f}{_with_lengths(record)}"
        for dataset, runs in records.items()
        for record in runs
    ]
    law = "AdamW's decay counts as none: by the law of lengths it writes no popularity"
    if not said:
        return f"{law}. No run is stored."
    return f"{law} ({'one run' if len(said) == 1 else f'{len(said)} runs'}, {'; '.join(said)})."


def _with_lengths(record: Record) -> str:
    """What lengths at scoring give to a run, behind an arrow; empty where its record has none."""
    row = scored_row([record])
    return "" if row is None else f" → {row['ndcg with it']:.4f} with $d^b$"


def _ordinary_at_scoring(directau: Sequence[Compared]) -> list[str]:
    """What lengths at scoring give to a training that was made already, as a step; none where that was not run."""
    rows = _scored_after(directau)
    if not rows:
        return []
    scores = [
        f"{row['ndcg']:.4f} to {row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')})"
        for name, row in rows.items()
    ]
    ratios = [f"{row['ratio']:.2f} to {row['ratio with it']:.2f}" for row in rows.values()]
    return [
        f"**Lengths at scoring, without a new training.** NDCG@20 goes from {listed_names(scores)}. Unpopular items"
        f" lose: the unpopular / popular ratio goes from {listed_names(ratios)}."
    ]


def _scored_after(directau: Sequence[Compared]) -> dict[str, Any]:
    """Ordinary trainings without decay at their own lengths and with those chosen at scoring, by the dataset's name."""
    rows = {dataset_name(each.dataset): scored_row(rescored(each)) for each in directau}
    return {name: row for name, row in rows.items() if row is not None}


def _stopped_by_lengths(runs: Known) -> list[str]:
    """What a training without decay that stops by lengths at scoring gives against PRISM, as a step."""
    directau = runs.of("directau")
    gains, ratios = _gains_and_ratios(directau, runs.scored, PRISM)
    if not gains:
        return []
    each = [
        f"{percent(float(np.mean(values)))} on {dataset_name(dataset)} ({_word(values)}, {plural(len(values), 'seed')})"
        for dataset, values in gains.items()
    ]
    said = [
        f"**A new training that stops by such lengths.** NDCG@20 against PRISM is {listed_names(each)}.",
        f"Its unpopular / popular ratio is {_multiples(ratios)} times PRISM's.",
    ]
    if fair := _as_fair(runs):
        alike = [f"{percent(float(np.mean(values)))} on {dataset_name(dataset)}" for dataset, values in fair.items()]
        said.append(f"At PRISM's own ratio, with $b$ read off the test set, it is {listed_names(alike)}.")
    if with_it := _of_prism(runs):
        said.append(f"Started from PRISM it has {with_it}.")
    missing = [dataset_name(each.dataset) for each in directau if scored_row(runs.scored.get(each.dataset, ())) is None]
    return [" ".join([*said, *([f"Not run on {listed_names(missing)}."] if missing else [])])]


def _multiples(ratios: Shares) -> str:
    return listed_names([f"{1 + np.mean(values):.1f}" for values in ratios.values()])


def _of_prism(runs: Known) -> str:
    rows = [(dataset_name(name), scored_row(found)) for name, found in runs.scored_prism.items()]
    return listed_names(
        [
            f"{row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')})"
            for name, row in rows
            if row is not None
        ]
    )


def _middle_decay(directau: Sequence[Compared]) -> str:
    """What a decay gives to DirectAU beside PRISM, in sentences; empty where it was not run."""
    decays = [each.at_decay(MIDDLE_DECAY) for each in directau]
    gains, scores = (_against(directau, decays, way) for way in (NONE, PRISM))
    parts = [f"{span(gains)} against no decay"] if gains else []
    if scores:
        fewer = _fewer(_against(directau, decays, PRISM, "best_epoch"))
        parts.append(f"{span(scores)} against PRISM{fewer and f', {fewer}'}")
    return f"It gives {', and '.join(parts)}." if parts else ""


def _at_scoring(directau: Sequence[Compared], runs: Known, link: str) -> list[str]:
    """What lengths at scoring give to a training that was made already, as one line; none where that was not run."""
    rows = _scored_after(directau)
    if not rows:
        return []
    count = sum(len(each) for each in runs.adamw.values())
    adamw = f"AdamW's counts as none: {plural(count, 'run')}" if count else "AdamW's counts as none"
    scores = [
        f"{row['ndcg']:.4f} → {row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')})"
        for name, row in rows.items()
    ]
    ratios = [f"{row['ratio']:.2f} → {row['ratio with it']:.2f}" for row in rows.values()]
    return [
        f"**Adam without decay, DirectAU** ({adamw})**:** first put {link}, no new training. NDCG@20"
        f" {listed_names(scores)}. Unpopular items lose (ratio {listed_names(ratios)})."
    ]


def _stopped_in_short(runs: Known) -> list[str]:
    """What :func:`_stopped_by_lengths` says against PRISM, in few words."""
    gains, ratios = _gains_and_ratios(runs.of("directau"), runs.scored, PRISM)
    if not gains:
        return []
    parts = [
        f"{percent(float(np.mean(values)))} ({_word(values)}) on {dataset_name(dataset)}"
        for dataset, values in gains.items()
    ]
    seeds = sorted({len(values) for values in gains.values()})
    many = f"{' to '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'}"
    return [
        f"**A new training, stopped by them:** against PRISM {listed_names(parts)}, {many}. Its unpopular / popular"
        f" ratio is {_multiples(ratios)} times PRISM's{_as_fair_in_short(runs)}."
    ]


def _as_fair_in_short(runs: Known) -> str:
    """The range of the changes at PRISM's own ratio, as the end of a sentence; empty where it is not known."""
    means = sorted(float(np.mean(values)) for values in _as_fair(runs).values())
    return f"; at PRISM's own (test set) {percent(means[0])} to {percent(means[-1])}" if len(means) > 1 else ""


def _as_fair(runs: Known) -> dict[str, list[float]]:
    """NDCG@20 against PRISM's, as shares, with the lengths at scoring that have PRISM's ratio, by dataset."""
    found = {}
    for each in runs.of("directau"):
        prisms = usable(each.runs[PRISM])
        prism = {int(run["seed"]): (float(run["ndcg"]), float(run["ratio"])) for _, run in prisms.iterrows()}
        pairs = beside_at_its_ratio(runs.scored.get(each.dataset, ()), prism)
        if values := [score / theirs - 1 for _, score, theirs in pairs]:
            found[each.dataset] = values
    return found


def _others_in_short(runs: Known) -> list[str]:
    """A decay, and PRISM, in place of no decay, as one line; none where neither was run."""
    directau = runs.of("directau")
    found, decays = changes(directau, NONE), [each.at_decay(MIDDLE_DECAY) for each in directau]
    said = []
    if gains := _against(directau, decays, NONE):
        fewer = _fewer(_against(directau, decays, PRISM, "best_epoch"))
        sooner = fewer and f", {fewer} than PRISM"
        how = f"{power(MIDDLE_DECAY)} (rate {power(RunConfig.lr)}, mean loss)"
        said.append(f"a coupled decay of {how}: {span(gains)} against no decay{sooner}.")
    if found:
        advice = advised(found, "it helps", "it is no gain", "it may help")
        others = changes(runs.of("mawu"), NONE)
        mawu = f" (MAWU {span(list(others.values()))})" if others else ""
        said.append(f"Or PRISM, with no decay to choose: {advice}, {_over(found)}{mawu}.")
    return [f"**Else** {' '.join(said)}"] if said else []


def _against(
    compared: Sequence[Compared], runs: Sequence[pd.DataFrame], way: str, measure: str = "ndcg"
) -> list[Difference]:
    """The changes from a way to some runs, of each dataset where both were made."""
    pairs = zip(compared, runs, strict=True)
    found = [relative_difference(made, each.runs[way], measure) for each, made in pairs]
    return [change for change in found if change is not None]


def _fewer(epochs: Sequence[Difference]) -> str:
    """How many epochs are saved, in words; how they change where not all are; empty where none is known."""
    if not epochs:
        return ""
    if any(change.mean >= 0 for change in epochs):
        return f"epochs {span(epochs)}"
    low, high = (100 * abs(end(change.mean for change in epochs)) for end in (max, min))
    undecided = sum(judge(change).word == "undecided" for change in epochs)
    open_ones = f" ({undecided} of {len(epochs)} undecided)" if undecided else ""
    return f"in {low:.0f} to {high:.0f}{NBSP}% fewer epochs{open_ones}"


# Adam with decay


def _with_decay(directau: Sequence[Compared]) -> str:
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
    found = changes(directau, ways.STRONG)
    if not found:
        return ""
    return f" Against {power(STRONG_DECAY)} PRISM is {span(list(found.values()))}: a decay can be chosen too strong."


def _decayed_at_scoring(runs: Known) -> str:
    """What tuned decay gives in a training that stops by lengths at scoring, as a sentence, or nothing."""
    directau = runs.of("directau")
    of_tuned = {
        each.dataset: [
            run for run in runs.scored_decay.get(each.dataset, ()) if run["config"]["weight_decay"] == each.decay()
        ]
        for each in directau
    }
    gains, ratios = _gains_and_ratios(directau, of_tuned, TUNED)
    without, _ = _gains_and_ratios(directau, runs.scored, TUNED)
    said = []
    for dataset, values in gains.items():
        beside = f"; without decay it is {percent(float(np.mean(without[dataset])))}" if dataset in without else ""
        said.append(
            f"{percent(float(np.mean(values)))} on {dataset_name(dataset)} ({_word(values)},"
            f" {plural(len(values), 'seed')}, ratio times {1 + np.mean(ratios[dataset]):.1f}{beside})"
        )
    return f" With tuned decay a new training that stops by lengths at scoring is {listed_names(said)}." if said else ""


# Other losses


def _with_ssm(ssm: Sequence[Compared]) -> str:
    parts = []
    of_decay = [each.change(NONE, way=TUNED) for each in ssm if each.undecided is None]
    if gains := [change for change in of_decay if change is not None]:
        parts.append(f"Tune the decay, which gives {span(gains)} against none.")
    if found := changes(ssm, NONE):
        gain = advised(found, "PRISM helps", "no gain by PRISM is shown", "PRISM may help")
        cut = [dataset_name(each.dataset) for each in ssm if each.change(NONE) is None and len(each.shown(NONE))]
        early = f"; open on {listed_names(cut)}, where that run was cut off" if cut else ""
        parts.append(f"Against no decay {gain} ({on_each(found)}{early}).")
    decided, doubtful = _decided(ssm)
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
    return f"**SSM:** {' '.join(parts) if parts else 'no run says it.'}"


def _decided(ssm: Sequence[Compared]) -> tuple[dict[str, Difference], list[str]]:
    """PRISM against tuned decay where the search's choice decides something, and the datasets where it does not."""
    decided = changes([each for each in ssm if each.undecided is None], TUNED)
    return decided, list(changes([each for each in ssm if each.undecided is not None], TUNED))


def _ssm_in_short(ssm: Sequence[Compared]) -> list[str]:
    decided, doubtful = _decided(ssm)
    if not decided:
        return []
    advice = advised(decided, "a gain", "no gain", "a gain on some datasets")
    left_open = f" (open on {listed_names(doubtful)})" if doubtful else ""
    limited = any(each.at_limit for each in ssm if each.patient is not None)
    later = f"; at patience {LONG} nothing is decided" if limited else ""
    return [f"**SSM:** tune the decay; PRISM is {advice} against it, {_over(decided)}{left_open}{later}."]


def _beside_the_others(compared: Sequence[Compared], records: Runs) -> str:
    """What lengths at scoring give beside PRISM and tuned decay, as a sentence; empty where it was not run."""
    said = []
    for each in compared:
        found = records.get(each.dataset, ())
        if (row := scored_row(found)) is not None:
            seeds = [record["config"]["seed"] for record in found]
            others = [
                f"{way} {runs['ndcg'].mean():.4f}"
                for way in (PRISM, TUNED)
                if len(runs := each.shown(way)[each.shown(way)["seed"].isin(seeds)])
            ]
            said.append(
                f"{row['ndcg with it']:.4f} on {dataset_name(each.dataset)} (b = {row['exponent']:.2f},"
                f" {plural(round(row['seeds']), 'seed')}, ratio {row['ratio with it']:.2f};"
                f" {listed_names(others) if others else 'nothing else'} there)"
            )
    return f" Lengths at scoring, by which training also stops, give NDCG@20 {'; '.join(said)}." if said else ""


def _with_bpr(bpr: Sequence[Compared]) -> str:
    found = changes(bpr, TUNED)
    dead = {
        dataset_name(each.dataset): (len(each.stopped_at_start(PRISM)), int(each.runs[PRISM]["run"].notna().sum()))
        for each in bpr
        if len(each.stopped_at_start(PRISM))
    }
    if not found and not dead:
        return "**BPR:** no run says it."
    text = f"**BPR:** {_advice_with_bpr(found, len(dead))}"
    waited = f" (PRISM at patience {LONG})" if found and dead else ""
    text += f": against tuned decay {on_each(found)}{waited}." if found else "."
    if dead:
        never = [f"{gone} of {plural(made, 'seed')} on {name}" for name, (gone, made) in dead.items()]
        text += f" At a patience of {RunConfig.patience} it stopped at its start at {listed_names(never)}."
    gains = [each.change(NONE, way=TUNED) for each in bpr]
    learned = [change for change in gains if change is not None]
    return f"{text} Tuned decay instead gives {span(learned)} against no decay." if learned else text


def _advice_with_bpr(found: Mapping[Any, Difference], gone: int) -> str:
    """The advice from the changes against tuned decay, and from how many runs with PRISM never learned."""
    if gone or all(judge(change).word == "worse" for change in found.values()):
        return "do not use it"
    return advised(found, "it helps", "it is no gain", "it depends on the dataset")


# What the sentences share


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


def headline(runs: Known) -> str:
    """Where PRISM helps, in one sentence.

    Args:
        runs: what is known.

    >>> headline(Known([]))
    'It hangs on the optimiser and the loss.'
    """
    helped = [loss for loss in LOSSES if (found := changes(runs.of(loss), NONE)) and _all_better(found.values())]
    concerned = [each for loss in helped for each in runs.of(loss)]
    decays = [change for way in (FIXED, TUNED) for loss in helped for change in changes(runs.of(loss), way).values()]
    instead = _against(concerned, [each.at_decay(MIDDLE_DECAY) for each in concerned], PRISM)
    if not helped or not instead or any(judge(change).word == "better" for change in decays):
        return "It hangs on the optimiser and the loss."
    as_good = not any(judge(change).word == "worse" for change in instead)
    names = " or ".join(LOSS_NAMES[loss] for loss in helped)
    text = f"Only with {names} without coupled decay"
    return f"{text}, where a small decay does as well." if as_good else f"{text}."


def _all_better(found: Iterable[Difference]) -> bool:
    return all(judge(change).word == "better" for change in found)


def changes(compared: Iterable[Compared], other: str, measure: str = "ndcg") -> dict[str, Difference]:
    """PRISM against another way, by the name of the dataset, where there is a difference.

    Args:
        compared: the ways with one loss.
        other: the other way.
        measure: what is compared.
    """
    found = {dataset_name(each.dataset): each.change(other, measure) for each in compared}
    return {name: change for name, change in found.items() if change is not None}


def advised(found: Mapping[Any, Difference], yes: str, no: str, otherwise: str) -> str:
    """One of three words: where PRISM is better in all of some comparisons, in none, or in a part of them.

    Args:
        found: the comparisons.
        yes: the word where it is better in all of them.
        no: the word where it is better in none.
        otherwise: the word between.
    """
    better = [judge(change).word == "better" for change in found.values()]
    return yes if all(better) else otherwise if any(better) else no


def on_each(found: Mapping[str, Difference]) -> str:
    """The changes, each with the dataset it is on, and the seeds that it rests on.

    Args:
        found: changes by the name of the dataset, at least one.
    """
    seeds = {len(change.by_seed) for change in found.values()}
    if len(seeds) > 1:
        numbers = [
            f"{percent(change.mean)} on {name} ({plural(len(change.by_seed), 'seed')})"
            for name, change in found.items()
        ]
        return listed_names(numbers)
    numbers = [f"{percent(change.mean)} on {name}" for name, change in found.items()]
    each = " each" if len(found) > 1 else ""
    return f"{listed_names(numbers)}, {plural(min(seeds), 'seed')}{each}"


def _over(found: Mapping[Any, Difference]) -> str:
    """The range of some changes, with the smallest and the largest number of seeds."""
    seeds = sorted({len(change.by_seed) for change in found.values()})
    many = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else plural(seeds[0], "seed")
    return f"{span(list(found.values()))}, {many}{' each' if len(found) > 1 else ''}"


def span(found: Sequence[Difference]) -> str:
    """The smallest and the largest of some changes, as text.

    Args:
        found: at least one.
    """
    low, high = (percent(end(change.mean for change in found)) for end in (min, max))
    return low if low == high else f"{low} to {high}"


def percent(share: float) -> str:
    """A share as a percentage with its sign.

    Args:
        share: 0.1 for 10 %.
    """
    return f"{100 * share:+.1f}{NBSP}%"


def power(decay: float) -> str:
    """A weight decay as it is written in sentences.

    Args:
        decay: a power of ten, or near one.

    >>> power(1e-5), power(0.0001)
    ('1e-5', '1e-4')
    """
    return f"{decay:.0e}".replace("e-0", "e-")


def scored_row(records: Sequence[Record]) -> Any | None:
    """The row of :func:`~prismbook.tables.lengths.by_training` at the learning rate with the most seeds, or None.

    Args:
        records: runs of one training.
    """
    table = by_training(records)
    kept = table[table["ndcg with it"].notna()]
    return None if kept.empty else kept.sort_values("seeds").iloc[-1]


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


def _gains_and_ratios(directau: Sequence[Compared], records: Runs, way: str) -> tuple[Shares, Shares]:
    """How lengths at scoring change NDCG@20 and the ratio of a way, by dataset where both were run."""
    gains, ratios = (
        {each.dataset: shares(each, records.get(each.dataset, ()), measure, way) for each in directau}
        for measure in ("ndcg", "ratio")
    )
    return {name: values for name, values in gains.items() if values}, {name: v for name, v in ratios.items() if v}


def _word(values: Sequence[float]) -> str:
    """The word by the rules for changes of NDCG@20; users are not resampled, since their scores were not kept."""
    return str(judge(Difference(tuple(values), None, "ndcg")))
