"""Judgements of what the paper measures of PRISM: C8 to C13, C23, and the empirical half of C17.

C8 to C10 are judged from two searches, :class:`prismbook.tables.decay_vs_prism.Pair`, the others from a table of
:func:`prismbook.tables.analysis.measured`. In the latter the first seed chooses the setting of each method, and the
methods are compared at every seed at which both decide something. Every comparison goes through the rules of
:mod:`prismbook.tables.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from prismbook.claims.comparison import compared
from prismbook.claims.statements import Statement, from_judgement, in_words, provisionally, share_and_seeds, weakest
from prismbook.tables.analysis import best, best_of_each, first_seed, parameter_values, seed_by_seed
from prismbook.tables.decay_vs_prism import Pair
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, setting
from prismbook.tables.rules import RULES, Difference, Rules, contains, edges, judge
from prismbook.tables.seed_differences import collapsed_runs, common, difference, gap, setbacks, usable
from prismbook.text import plural

#: The paper's figures, as shares of tuned decay's value (Sections 5.2.1 and 5.2.2).
FEWER_EPOCHS, LARGER_RATIO = -0.3848, 0.7598
#: The protocols under which Table 1 is judged.
PROTOCOL_CASES = {"text": "the paper's text", "released": "the released code"}
#: A comparison can come out as these, from the least favourable to the most.
_ORDER = ("worse", "equivalent", "better")


def claim_c11(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C11: PRISM needs fewer epochs than tuned decay, at comparable quality.

    Args:
        runs: DirectAU with decay from Xavier initialisation, and with PRISM at one alpha or more.
        rules: the margin, and whether one seed gives a word.
    """
    prism, decay = tried_runs(runs)
    if decay.empty or prism.empty:
        return [Statement("C11 needs runs with decay and runs with PRISM", None)]
    tuned, chosen = best(decay), best(prism)
    pair = seed_by_seed(runs, chosen, tuned)
    statements = [*_fewer_epochs(_chosen(runs), *pair, rules), _as_good(*pair, rules)]
    full = prism[prism["alpha"] == 1]
    for run in [chosen] if chosen["alpha"] == 1 or full.empty else [chosen, full.iloc[0]]:
        statements.append(_sooner_as_good(*seed_by_seed(runs, run, tuned)))
    return statements


def tried_runs(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs at the first seed that have a record: with PRISM, and with decay from Xavier initialisation.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`.
    """
    finished = first_seed(runs)
    finished = finished[finished["ndcg"].notna()]
    decay = finished[(finished["init"] == "xavier") & (finished["weight_decay"] > 0)]
    return finished[finished["init"] == "prism"], decay


def _chosen(runs: pd.DataFrame) -> str:
    """PRISM's chosen setting as the subject of a sentence, with the number of strengths where some were not run."""
    prism = first_seed(runs)
    prism = prism[prism["init"] == "prism"]
    finished = prism["ndcg"].notna()
    part = "" if finished.all() else f" from {finished.sum()} of {len(finished)} strengths"
    return f"{setting(best(prism))}, chosen by validation{part},"


def _size(name: str, first: pd.DataFrame, second: pd.DataFrame, measure: str, figure: float) -> list[Statement]:
    """Whether the paper's figure lies in the interval measured here; nothing where there is no interval."""
    found = difference(first.reset_index(), second.reset_index(), measure)
    if found is None or found.interval[0] == found.interval[1]:
        return []
    text = f"the size: {name} changes by {share_and_seeds(found)}; the paper's {figure:+.2%} is in this interval"
    seeds = len(found.by_seed)
    return [Statement(text, contains(found, figure), provisional=seeds == 1, found=found, role="size", seeds=seeds)]


def _fewer_epochs(chosen: str, prism: Any, tuned: Any, rules: Rules) -> list[Statement]:
    ours, theirs = (usable(runs)["best_epoch"] for runs in (prism, tuned))
    text = f"{chosen} is best in fewer epochs than tuned {setting(tuned.iloc[0])}"
    if len(ours) and len(theirs):
        text += f": at epoch {ours.mean():.0f} against {theirs.mean():.0f}"
    size = _size("the number of epochs", prism, tuned, "best_epoch", FEWER_EPOCHS)
    # fewer is better here; the rules' words are those of a score
    words = ("more", "fewer", "as many")
    return [compared(text, prism, tuned, "best_epoch", ("worse",), rules, words), *size]


def _sooner_as_good(prism: Any, tuned: Any) -> Statement:
    """Whether PRISM reaches tuned decay's best validation score in fewer epochs, at every seed."""
    lines, sooner = [], []
    for ours, theirs in zip(prism.itertuples(), tuned.itertuples(), strict=True):
        epoch = next((epoch for epoch, score in enumerate(ours.curve) if score >= theirs.validation), None)
        reached = "never" if epoch is None else f"at epoch {epoch}"
        lines.append(f"{reached}, decay at {theirs.best_epoch:.0f}")
        sooner.append(epoch is not None and epoch < theirs.best_epoch)
    text = f"{setting(prism.iloc[0])} reaches tuned decay's best validation NDCG@20 in fewer epochs: {'; '.join(lines)}"
    if len(lines) > 1:
        text += f" ({plural(len(lines), 'seed')})"
    if any(sooner) and not all(sooner):
        return Statement(text, None, undecided=True, role="detail")
    return Statement(text, all(sooner), provisional=len(lines) == 1, role="detail", seeds=len(lines))


def _as_good(prism: Any, tuned: Any, rules: Rules) -> Statement:
    """Whether PRISM's NDCG@20 is equivalent to tuned decay's, or better."""
    text = f"{setting(prism.iloc[0])} is at least equivalent to tuned decay by NDCG@20: {_means(prism, tuned, 'ndcg')}"
    return compared(text, prism, tuned, "ndcg", ("equivalent", "better"), rules)


def _means(first: Any, second: Any, measure: str, spec: str = ".4f") -> str:
    """The means of two settings over the seeds that are compared; over all where none is."""
    compared_runs = common(first.reset_index(), second.reset_index(), ["seed"])
    first, second = compared_runs if len(compared_runs[0]) else (first, second)
    return f"{first[measure].mean():{spec}} against {second[measure].mean():{spec}}"


def claim_c12(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C12: alpha trades popular against unpopular items; the best PRISM is fairer than tuned decay and as good.

    Args:
        runs: DirectAU with decay from Xavier initialisation, and with PRISM at two alphas or more.
        rules: the margin, and whether one seed gives a word.
    """
    prism, decay = tried_runs(runs)
    if prism["alpha"].nunique() < 2 or decay.empty:
        return [Statement("C12 needs PRISM at two alphas or more and runs with decay", None)]
    ours, theirs = seed_by_seed(runs, best(prism), best(decay))
    return [
        _trade(prism),
        *_variety(prism, rules),
        compared(
            f"{_chosen(runs)} has a larger unpopular / popular ratio than tuned {setting(theirs.iloc[0])}:"
            f" {_means(ours, theirs, 'ratio')}",
            ours,
            theirs,
            "ratio",
            ("better",),
            rules,
        ),
        *_size("the ratio", ours, theirs, "ratio", LARGER_RATIO),
        _as_good(ours, theirs, rules),
    ]


def _trade(prism: pd.DataFrame) -> Statement:
    """Whether popular items gain and unpopular ones lose from the smallest alpha to the largest."""
    low, high = (prism.sort_values("alpha").iloc[place] for place in (0, -1))
    return Statement(
        f"popular items gain and unpopular ones lose from alpha {low.alpha:g} to {high.alpha:g}: popular"
        f" {low.popular:.3f} to {high.popular:.3f}, unpopular {low.unpopular:.4f} to {high.unpopular:.4f}",
        bool(high.popular > low.popular and high.unpopular < low.unpopular),
        provisional=True,
    )


def _variety(prism: pd.DataFrame, rules: Rules) -> list[Statement]:
    """Whether another alpha is as good by NDCG@20 as the best one; nothing where the best is not usable."""
    chosen = prism.loc[[best(prism).name]]
    similar = []
    for place, run in prism.drop(index=chosen.index).iterrows():
        other = prism.loc[[place]]
        found = difference(other, chosen, "ndcg")
        if found is not None and judge(found, rules).word in ("equivalent", "better"):
            similar.append(f"alpha {run.alpha:g} (ratio {run.ratio:.3f}, {found.mean:+.1%})")
    text = (
        f"other strengths keep NDCG@20 within the margin of {setting(chosen.iloc[0])} (ratio"
        f" {chosen.iloc[0].ratio:.3f}): {', '.join(similar) or 'none'} of {len(prism) - 1}"
    )
    return [Statement(text, bool(similar), provisional=True)] if len(usable(chosen)) else []


def claim_c13(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C13: DirectAU with PRISM is fairer, and better, than BPR and its debiased forms.

    A further statement is about DirectAU with a decay that is as good as PRISM by NDCG@20, the fairest of these.

    Args:
        runs: DirectAU with PRISM, and each other method from Xavier initialisation.
        rules: the margin, and whether one seed gives a word.
    """
    candidates = first_seed(runs)
    prism = candidates[(candidates["init"] == "prism") & candidates["ndcg"].notna()]
    if prism.empty:
        return [Statement("C13 needs DirectAU with PRISM", None)]
    plain = candidates[candidates["init"] == "xavier"]
    others = best_of_each(plain)
    statements = [
        _fairer_and_better(runs, best(prism), other, _how_searched(plain, other), rules)
        for _, other in others.iterrows()
    ]
    return statements + _fairest_as_good(runs, best(prism), others, rules)


def _how_searched(candidates: pd.DataFrame, other: Any) -> str:
    """How far the chosen method was searched, as text; empty where its choice lies inside what was tried.

    A setting whose run was cut off was not tried.
    """
    finished = candidates[(candidates["loss"] == other["loss"]) & candidates["run"].notna()]
    if len(finished) < 2:
        return ", one setting, not searched"
    chosen, same = parameter_values(other["loss_parameters"]), pd.concat([usable(finished), collapsed_runs(finished)])
    tried = [parameter_values(text) for text in same["loss_parameters"]]
    at_edge = edges(chosen, {name: [values[name] for values in tried] for name in chosen})
    notes = [f"{' and '.join(at_edge)} at the edge of what was tried"] if at_edge else []
    if chosen and len(same) < len(finished):
        notes.append(f"{len(finished) - len(same)} of {len(finished)} settings cut off")
    return "".join(f", {note}" for note in notes)


def _fairer_and_better(runs: pd.DataFrame, prism: Any, other: Any, searched: str, rules: Rules) -> Statement:
    """Whether PRISM's ratio is larger than another method's, and its NDCG@20 higher."""
    # Of the same loss with decay the paper says that the ratio is PRISM's doing, not that it ranks worse.
    same_loss = other["loss"] == prism["loss"]
    name = f"{other['loss']} with {setting(other)}" if same_loss else other["loss"]
    if pd.isna(other["ndcg"]):
        return Statement(f"against {name}: not run", None)
    ours, theirs = seed_by_seed(runs, prism, other)
    text = (
        f"against {name}{searched}: ratio {_means(ours, theirs, 'ratio', '.3f')},"
        f" NDCG@20 {_means(ours, theirs, 'ndcg', '.3f')}"
    )
    measures = {"ratio": "ratio"} if same_loss else {"ratio": "ratio", "ndcg": "NDCG@20"}
    return weakest(
        [
            compared(f"{text}; by {title}", ours, theirs, measure, ("better",), rules)
            for measure, title in measures.items()
        ]
    )


def _fairest_as_good(runs: pd.DataFrame, prism: Any, others: pd.DataFrame, rules: Rules) -> list[Statement]:
    """PRISM against the fairest decay of the same loss that is as good by NDCG@20; nothing where there is none."""
    candidates = first_seed(runs)
    same = (candidates["loss"] == prism["loss"]) & (candidates["init"] == "xavier") & candidates["run"].notna()
    rivals = []
    for _, run in candidates[same].iterrows():
        ours, theirs = seed_by_seed(runs, prism, run)
        found = difference(theirs.reset_index(), ours.reset_index(), "ndcg")
        if found is not None and judge(found, rules).word in ("equivalent", "better"):
            rivals.append((run["ratio"], run))
    if not rivals:
        return []
    _, fairest = max(rivals, key=lambda rival: rival[0])
    if fairest["run"] in set(others["run"]):
        return []  # it is the decay that validation chooses, which has its statement
    ours, theirs = seed_by_seed(runs, prism, fairest)
    text = (
        f"against {fairest['loss']} with {setting(fairest)}, as good as PRISM by NDCG@20"
        f" ({_means(theirs, ours, 'ndcg')}): ratio {_means(ours, theirs, 'ratio')}"
    )
    return [compared(text, ours, theirs, "ratio", ("better",), rules)]


def claim_c17_norms(runs: pd.DataFrame, case: str = "", rules: Rules = RULES) -> list[Statement]:
    """C17, the measured half: on non-linear MF, SSM washes PRISM's norms out and DirectAU keeps them.

    The losses are compared at the seeds at which both decide something, by the difference of their correlations. The
    norms are those of the perceptron's outputs.

    Args:
        runs: non-linear MF with PRISM, under SSM and under DirectAU.
        case: the protocol that the runs follow.
        rules: the margin, and whether one seed gives a word.
    """
    finished = runs[runs["run"].notna()]
    if not {"SSM", "DirectAU"} <= set(finished["loss"]):
        return [Statement("C17 needs SSM and DirectAU with PRISM on non-linear MF", None, case=case)]
    correlations: Any = usable(finished).pivot(index="seed", columns="loss", values="norm_correlation")
    correlations = correlations.reindex(columns=["SSM", "DirectAU"]).dropna()
    text = "after training, item norms correlate with log popularity less under SSM than under DirectAU"
    if correlations.empty:
        ended = ", ".join(f"{loss} {setbacks(finished[finished['loss'] == loss])}" for loss in ("SSM", "DirectAU"))
        return [Statement(f"{text}; undecided: {ended}", None, undecided=True, case=case)]
    found = Difference(tuple(correlations["DirectAU"] - correlations["SSM"]))
    ssm, directau = (float(correlations[loss].mean()) for loss in ("SSM", "DirectAU"))
    seeds = plural(len(correlations), "seed")
    statements = [
        from_judgement(f"{text}: {ssm:.2f} against {directau:.2f} ({seeds})", judge(found, rules), ("better",), found),
        *provisionally(
            [
                Statement(
                    f"under SSM log popularity explains less than half of their variance, {_explained(ssm):.0%}",
                    _explained(ssm) < 0.5,
                ),
                Statement(
                    f"under DirectAU it explains more than half, {_explained(directau):.0%}", _explained(directau) > 0.5
                ),
            ],
            len(correlations),
        ),
    ]
    return [replace(statement, case=case) for statement in statements]


def _explained(correlation: float) -> float:
    """The share of variance that a rising relation explains; 0 where it falls."""
    return max(correlation, 0.0) ** 2


def matches(pairs: Sequence[Pair], rules: Rules = RULES) -> list[Statement]:
    """C8: PRISM matches tuned decay: it is equivalent, or better.

    Args:
        pairs: linear MF, one for each loss.
        rules: the margin, and whether one seed gives a word.
    """
    return _table1(pairs, "is at least equivalent to", ("equivalent", "better"), rules)


def beats(pairs: Sequence[Pair], rules: Rules = RULES) -> list[Statement]:
    """C9: PRISM beats tuned decay.

    Args:
        pairs: non-linear MF, one for each loss, under one protocol or several.
        rules: the margin, and whether one seed gives a word.
    """
    return _table1(pairs, "beats", ("better",), rules)


def falls_short(pairs: Sequence[Pair], rules: Rules = RULES) -> list[Statement]:
    """C10: PRISM falls short of tuned decay.

    Args:
        pairs: non-linear MF, one for each loss, under one protocol or several.
        rules: the margin, and whether one seed gives a word.
    """
    return _table1(pairs, "falls short of", ("worse",), rules)


def _table1(pairs: Sequence[Pair], verb: str, holds: Sequence[str], rules: Rules) -> list[Statement]:
    """One statement per pair, and for each protocol one on the size of the change."""
    statements = []
    for protocol, case in PROTOCOL_CASES.items():
        concerned = [pair for pair in pairs if pair.protocol == protocol]
        found = [_statement(pair, verb, holds, rules) for pair in concerned]
        found += _mean_change(concerned, all(statement.holds for statement in found))
        statements += [replace(statement, case=case) for statement in found]
    return statements


def _statement(pair: Pair, verb: str, holds: Sequence[str], rules: Rules) -> Statement:
    """Whether PRISM against decay has one of some words, so far as the searches decide it."""
    decay_name = "tuned decay" if pair.protocol == "text" else "decay"
    subject = f"{BACKBONE_NAMES[pair.backbone]} with {LOSS_NAMES[pair.loss]}: PRISM {verb} {decay_name}"
    judgement = pair.judgement(rules)
    if pair.compared is None or pair.prism is None or pair.decay is None or judgement is None:
        return Statement(f"{subject} (not run in both)", None)
    text = f"{subject}: {pair.difference()}, {plural(len(pair.seeds()), 'seed')}{_searched(pair)}"
    printed = pair.paper()
    if printed is not None:
        text += f"; the paper's Table 1: {printed:+.1%}"
    statement = from_judgement(text, judgement, holds, pair.share())
    if statement.holds is not None and _could_turn(judgement.word, pair.decay.open(), pair.prism.open(), holds):
        return replace(statement, holds=None, undecided=True, provisional=False)
    return statement


def _searched(pair: Pair) -> str:
    """What of the searches is not complete, or not tuned because its choice is at an edge; empty where nothing is."""
    text = ""
    for title, method in (("decay", pair.decay), ("PRISM", pair.prism)):
        if method is None:
            continue
        if pair.protocol == "released" and title == "decay":
            text += f"; decay {method.chosen.weight_decay:g} alone, not searched"
        if method.ran < method.grid:
            text += f"; {title} searched only in part, {method.ran} of {method.grid} configurations"
        if method.at_edge:
            text += f"; {title}'s {', '.join(method.at_edge)} is at the edge of its grid, not tuned"
    return "; ".join([text, *pair.not_tuned()])


def _could_turn(word: str, decay_open: bool, prism_open: bool, holds: Sequence[str]) -> bool:
    """Whether more of a search could turn a statement round: a search that goes further only helps its own method."""
    place = _ORDER.index(word)
    reached = _ORDER[0 if decay_open else place : len(_ORDER) if prism_open else place + 1]
    return len({each in holds for each in reached}) > 1


def _mean_change(pairs: Sequence[Pair], all_hold: bool) -> list[Statement]:
    """Whether the paper's mean change on this dataset lies in our interval; nothing where none of the pairs was run.

    It is left open where a pair was not compared or not searched to the end. A wide interval holds many figures, so
    that the paper's counts in favour of a claim only where every pair bears the claim out.
    """
    shares = [pair.share() if pair.decides() else None for pair in pairs]
    printed = [pair.paper() for pair in pairs]
    figures = [value for value in printed if value is not None]
    if not pairs or len(figures) < len(pairs) or all(pair.compared is None for pair in pairs):
        return []
    figure = float(np.mean(figures))
    text = f"the size: the paper's mean change on this dataset, {figure:+.1%}, is in our interval"
    measured = [share for share in shares if share is not None]
    unfinished = any(method.ran < method.grid for pair in pairs for method in pair.methods())
    if len(measured) < len(pairs) or unfinished:
        return [Statement(f"{text}, which is not known before every pair is", None, undecided=True, role="size")]
    low, high = (float(np.mean([share.interval[end] for share in measured])) for end in (0, 1))
    mean = float(np.mean([share.mean for share in measured]))
    provisional = any(len(share.by_seed) == 1 for share in measured)
    text = f"{text}: {mean:+.1%} [{low:+.1%}, {high:+.1%}]"
    if low <= figure <= high and not all_hold:
        return [Statement(f"{text}, which is too wide to say more", None, undecided=True, role="size")]
    return [Statement(text, low <= figure <= high, provisional=provisional, role="size")]


def claim_c23(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C23: weight decay is a coarse, non-linear knob between popular and unpopular items, alpha a fine one.

    A knob is the finer, the less of its range of the gap, popular minus unpopular items' NDCG@20, its largest step
    covers. Steps are those in which each is tuned: alpha in equal steps, decay in factors of ten.

    Args:
        runs: DirectAU at three weight decays or more, and with PRISM at three alphas or more.
        rules: the margin, and whether one seed gives a word.
    """
    finished = usable(first_seed(runs))
    decay = finished[finished["init"] == "xavier"].sort_values("weight_decay")
    alpha = finished[finished["init"] == "prism"].sort_values("alpha")
    if decay["weight_decay"].nunique() < 3 or alpha["alpha"].nunique() < 3:
        return [Statement("C23 needs three decays or more and three alphas or more", None)]
    fine, coarse = (_largest_step(gap(knob)) for knob in (alpha, decay))
    found = Difference((fine - coarse,))
    judgement = judge(found, rules)
    text = (
        f"alpha spans the gap between popular and unpopular items more evenly than decay: its largest step covers"
        f" {fine:.0%} of the range ({_spanned(alpha, 'alpha')}), that of decay {coarse:.0%}"
        f" ({_spanned(decay, 'weight_decay')})"
    )
    return [
        from_judgement(
            f"{text}: {in_words(judgement, 'less evenly', 'more evenly', 'alike')}", judgement, ("worse",), found
        )
    ]


def _spanned(knob: pd.DataFrame, name: str) -> str:
    """The values of a knob and the gap from the first to the last."""
    values, gaps = ", ".join(f"{value:g}" for value in knob[name]), gap(knob)
    return f"{values}: {gaps.iloc[0]:.3f} to {gaps.iloc[-1]:.3f}"


def _largest_step(values: pd.Series) -> float:
    """The largest difference of neighbours, as a share of the range."""
    scores = values.to_numpy(float)
    return float(np.abs(np.diff(scores)).max() / np.ptp(scores))
