"""The advice of :mod:`prismbook.pages.advice` in few words, with ranges over datasets, as on the start page.

Every number and every word is of stored runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from prismbook.pages.advice import advice_with_bpr, or_by_lengths, with_decay
from prismbook.pages.advice_numbers import (
    Known,
    as_fair,
    by_middle_decay,
    changes,
    decided_changes,
    gains_and_ratios,
    of_tuned_decay,
    scored_after,
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
    span_and_seeds,
)
from prismbook.plan.config import RunConfig
from prismbook.runs.patience import LONG
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.rules import Difference, judge
from prismbook.tables.ways import FIXED, LOSSES, MIDDLE_DECAY, NONE, PRISM, STRONG_DECAY, TUNED, Compared
from prismbook.text import listed_names, plural


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
    instead = by_middle_decay(concerned, PRISM)
    if not helped or not instead or any(judge(change).word == "better" for change in decays):
        return "It hangs on the optimiser and the loss."
    as_good = not any(judge(change).word == "worse" for change in instead)
    names = " or ".join(LOSS_NAMES[loss] for loss in helped)
    if not as_good:
        return f"Only with {names} without coupled decay."
    scored = {loss: gains_and_ratios(runs.of(loss), runs.scored(loss=loss), PRISM)[0] for loss in helped}
    judged = [word for loss in helped for word in words_of_gains(runs.of(loss), scored[loss]).values()]
    also = all(scored.values()) and not any(word.startswith(("worse", "undecided")) for word in judged)
    others = "a small decay or lengths at scoring do" if also else "a small decay does"
    return f"Rarely: it helps {names} without coupled decay, where {others} as well or better."


def _all_better(found: Iterable[Difference]) -> bool:
    return all(judge(change).word == "better" for change in found)


def in_short(runs: Known, link: str = "lengths on at scoring") -> str:
    """What :func:`~prismbook.pages.advice.answer` says, with ranges over datasets for numbers, as a list in Markdown.

    Args:
        runs: what is known.
        link: the words of the first way, with a link to where it is explained.

    >>> in_short(Known([])).splitlines()[-1]
    '- No run says whether PRISM helps a model that has weight decay.'
    """
    directau = runs.of("directau")
    lines = [*_at_scoring(directau, runs, link), *_stopped_in_short(runs), *_others_in_short(runs)]
    lines.append(with_decay(directau) + _decayed_in_short(runs))
    lines += _ssm_in_short(runs)
    bpr = changes(runs.of("bpr"), TUNED)
    gone = sum(len(each.stopped_at_start(PRISM)) for each in runs.of("bpr"))
    if bpr or gone:
        made = sum(int(each.runs[PRISM]["run"].notna().sum()) for each in runs.of("bpr"))
        many = f"all {made}" if gone == made else f"{gone} of {made}"
        never = f": {many} runs on MF at patience {RunConfig.patience} stopped at their start" if gone else ""
        where = (
            f"; with patience {LONG} PRISM is {on_each(bpr)}" if bpr and gone else f"; {on_each(bpr)}" if bpr else ""
        )
        lines.append(f"**BPR:** {advice_with_bpr(bpr, gone > 0)}{never}{where}.")
    return "\n".join(f"- {line}" for line in lines)


def _at_scoring(directau: Sequence[Compared], runs: Known, link: str) -> list[str]:
    """What lengths at scoring give to a training that was made already, as one line; none where that was not run."""
    rows = scored_after(directau)
    if not rows:
        return []
    scores = [
        f"{row['ndcg']:.4f} → {row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')})"
        for name, row in rows.items()
    ]
    ratios = [f"{row['ratio']:.2f} → {row['ratio with it']:.2f}" for row in rows.values()]
    return [
        f"**DirectAU, no coupled decay (Adam, AdamW, lazy Adam, row-wise Adagrad):** put {link} (b by validation),"
        " rank by the dot product. Adam's NDCG@20"
        f" {listed_names(scores)}. Unpopular items lose: unpopular / popular ratio {', '.join(ratios)}."
    ]


def _stopped_in_short(runs: Known) -> list[str]:
    """What a training without decay that stops by lengths at scoring gives against PRISM, as one line."""
    gains, ratios = gains_and_ratios(runs.of("directau"), runs.scored(), PRISM)
    if not gains:
        return []
    judged = words_of_gains(runs.of("directau"), gains)
    parts = [
        f"{mean_percent(values)} ({judged[dataset]}) on {dataset_name(dataset)}" for dataset, values in gains.items()
    ]
    seeds = sorted({len(values) for values in gains.values()})
    many = f"{' to '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'}"
    return [
        f"**A new training, no decay, stopped by them:** against PRISM {listed_names(parts)}, {many}. Ratio"
        f" {multiples(ratios)} times PRISM's{_as_fair_in_short(runs)}."
    ]


def _as_fair_in_short(runs: Known) -> str:
    """The range of the changes at PRISM's own ratio, as the end of a sentence; empty where it is not known."""
    means = sorted(float(np.mean(values)) for values in as_fair(runs.of("directau"), runs.scored()).values())
    if len(means) < 2:
        return ""
    left = f"{percent(means[0])} to {percent(means[-1])}"
    return f"; at PRISM's ratio ($b$ from the test set) {left}"


def _others_in_short(runs: Known) -> list[str]:
    """A decay, and PRISM, in place of no decay, as one line; none where neither was run."""
    directau = runs.of("directau")
    found = changes(directau, NONE)
    said = []
    if gains := by_middle_decay(directau, NONE):
        fewer = fewer_epochs(by_middle_decay(directau, PRISM, "best_epoch"), " than PRISM")
        sooner = fewer and f", {fewer}"
        how = f"{power(MIDDLE_DECAY)} (rate {power(RunConfig.lr)}, mean loss)"
        said.append(f"a coupled decay of {how}: {span(gains)} against no decay{sooner}.")
    if found:
        advice = advised(found, "it helps", "it is no gain", "it may help")
        others = changes(runs.of("mawu"), NONE)
        mawu = f" (MAWU {span(list(others.values()))})" if others else ""
        said.append(f"Or PRISM, with no decay to choose: {advice}, {span_and_seeds(found)}{mawu}.")
    return [f"**Else, with Adam,** {' '.join(said)}"] if said else []


def _decayed_in_short(runs: Known) -> str:
    """What tuned decay and no decay give in a training that stops by lengths at scoring, as a sentence, or nothing."""
    directau = runs.of("directau")
    without, ratios = gains_and_ratios(directau, runs.scored(), TUNED)
    if not without:
        return ""
    judged = words_of_gains(directau, without)
    parts = [
        f"{mean_percent(gains)} ({judged[dataset]}) on {dataset_name(dataset)}" for dataset, gains in without.items()
    ]
    decayed, _ = gains_and_ratios(directau, of_tuned_decay(runs), TUNED)
    also = [f"{mean_percent(gains)} on {dataset_name(dataset)}" for dataset, gains in decayed.items()]
    with_it = f" Stopping so with decay: {listed_names(also)}." if also else ""
    return (
        f" Against the tuned one, stopping by lengths at scoring without decay is {listed_names(parts)}. Its ratio is"
        f" {multiples(ratios)} times that one's.{with_it}"
    )


def _ssm_in_short(runs: Known) -> list[str]:
    ssm = runs.of("ssm")
    decided, doubtful = decided_changes(ssm)
    if not decided:
        return []
    advice = advised(decided, "a gain", "no gain", "a gain on some datasets")
    said = [f"open on {listed_names(doubtful)}"] if doubtful else []
    if named := [f"{dataset_name(e.dataset)} {percent(e.patient.mean)}" for e in ssm if e.patient is not None]:
        cut = ", cut off" if any(each.at_limit for each in ssm if each.patient is not None) else ""
        said.append(f"at patience {LONG}{cut}: {', '.join(named)} against {power(STRONG_DECAY)}")
    left_open = f" ({'; '.join(said)})" if said else ""
    return [
        f"**SSM:** tune the decay{or_by_lengths(ssm, runs.scored(loss='ssm'))}. PRISM is {advice} against tuned decay,"
        f" {span(list(decided.values()))}{left_open}."
    ]
