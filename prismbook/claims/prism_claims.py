"""Judgements of what the paper measures of PRISM: C8 to C13, and the empirical half of C17.

C8 to C10 are judged from two searches, :class:`prismbook.tables.decay_vs_prism.Pair`, the others from a table of
:func:`prismbook.tables.analysis.tidy`. In the latter the first seed chooses the setting of each method, and the methods
are compared at every seed at which both were run. A difference that the spread over seeds explains leaves a statement
undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from prismbook.claims.statements import Statement, weakest
from prismbook.tables.analysis import best, best_of_each, first_seed, seed_by_seed
from prismbook.tables.decay_vs_prism import Method, Pair
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, setting
from prismbook.tables.significance import seed_tolerance
from prismbook.text import plural


def claim_c11(runs: pd.DataFrame) -> list[Statement]:
    """C11: PRISM needs fewer epochs than tuned decay, at comparable quality.

    Args:
        runs: DirectAU with decay from Xavier initialisation, and with PRISM at one alpha or more.
    """
    prism, decay = _tried(runs)
    if decay.empty or prism.empty:
        return [Statement("C11 needs runs with decay and runs with PRISM", None)]
    tuned, chosen = best(decay), best(prism)
    pair = seed_by_seed(runs, chosen, tuned)
    statements = [_fewer_epochs(_chosen(runs), *pair), _as_good(*pair)]
    full = prism[prism["alpha"] == 1]
    for run in [chosen] if chosen["alpha"] == 1 or full.empty else [chosen, full.iloc[0]]:
        statements.append(_sooner_as_good(*seed_by_seed(runs, run, tuned)))
    return statements


def _tried(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs at the first seed that have a record: with PRISM, and with decay from Xavier initialisation."""
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


def _more(text: str, first: Any, second: Any) -> Statement:
    """Whether the first exceeds the second in the mean over seeds, by more than the spread over seeds explains."""
    difference, tolerance = (first - second).mean(), seed_tolerance(list(first), list(second))
    if tolerance is None:
        return Statement(text, bool(difference > 0))
    if abs(difference) <= tolerance:
        return Statement(f"{text}, {_seeds(first)}, which differ too much to tell", None, undecided=True)
    return Statement(f"{text}, {_seeds(first)}", bool(difference > 0))


def _seeds(values: Any) -> str:
    return f"mean of {len(values)} seeds"


def _fewer_epochs(chosen: str, prism: Any, tuned: Any) -> Statement:
    ours, theirs = prism["best_epoch"], tuned["best_epoch"]
    sides = (("PRISM", prism), ("decay", tuned))
    cut = [name for name, runs in sides if (runs["stopped_by"] == "max_epochs").any()]
    text = f"{chosen} is best at epoch {ours.mean():.0f}, tuned {setting(tuned.iloc[0])} at {theirs.mean():.0f}"
    if cut:
        return Statement(f"{text}; cut off by the epoch limit: {', '.join(cut)}", None, undecided=True)
    change = ours.mean() / max(theirs.mean(), 1) - 1
    return _more(f"{text} ({change:+.0%})", theirs, ours)


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
        return Statement(text, None, undecided=True)
    return Statement(text, all(sooner))


def _as_good(prism: Any, tuned: Any) -> Statement:
    """Whether PRISM's NDCG@20 is at least tuned decay's; it may be less by what the spread over seeds explains."""
    ours, theirs = prism["ndcg"], tuned["ndcg"]
    tolerance = seed_tolerance(list(ours), list(theirs))
    spread = "" if tolerance is None else f", {_seeds(ours)}, which explain up to {tolerance:.4f}"
    return Statement(
        f"{setting(prism.iloc[0])} reaches tuned decay's NDCG@20 or more: {ours.mean():.4f} against"
        f" {theirs.mean():.4f} ({ours.mean() / theirs.mean() - 1:+.1%}{spread})",
        bool((ours - theirs).mean() >= -(tolerance or 0)),
    )


def claim_c12(runs: pd.DataFrame) -> list[Statement]:
    """C12: alpha trades popular against unpopular items; the best PRISM is fairer than tuned decay and as good.

    Args:
        runs: DirectAU with decay from Xavier initialisation, and with PRISM at two alphas or more.
    """
    prism, decay = _tried(runs)
    if prism["alpha"].nunique() < 2 or decay.empty:
        return [Statement("C12 needs PRISM at two alphas or more and runs with decay", None)]
    low, high = (prism.sort_values("alpha").iloc[place] for place in (0, -1))
    ours, theirs = seed_by_seed(runs, best(prism), best(decay))
    ratio, decay_ratio = ours["ratio"], theirs["ratio"]
    return [
        Statement(
            f"popular items gain and unpopular ones lose from alpha {low.alpha:g} to {high.alpha:g}: popular"
            f" {low.popular:.3f} to {high.popular:.3f}, unpopular {low.unpopular:.4f} to {high.unpopular:.4f}",
            bool(high.popular > low.popular and high.unpopular < low.unpopular),
        ),
        _more(
            f"{_chosen(runs)} has a larger unpopular / popular ratio than tuned {setting(theirs.iloc[0])}:"
            f" {ratio.mean():.3f} against {decay_ratio.mean():.3f} ({ratio.mean() / decay_ratio.mean() - 1:+.0%})",
            ratio,
            decay_ratio,
        ),
        _as_good(ours, theirs),
    ]


def claim_c13(runs: pd.DataFrame) -> list[Statement]:
    """C13: DirectAU with PRISM is fairer, and better, than BPR and its debiased forms.

    Args:
        runs: DirectAU with PRISM, and each other method from Xavier initialisation.
    """
    candidates = first_seed(runs)
    prism = candidates[(candidates["init"] == "prism") & candidates["ndcg"].notna()]
    if prism.empty:
        return [Statement("C13 needs DirectAU with PRISM", None)]
    others = best_of_each(candidates[candidates["init"] == "xavier"])
    return [_fairer_and_better(runs, best(prism), other) for _, other in others.iterrows()]


def _fairer_and_better(runs: pd.DataFrame, prism: Any, other: Any) -> Statement:
    """Whether PRISM's ratio is larger than another method's, and its NDCG@20 higher."""
    # Of the same loss with decay the paper says that the ratio is PRISM's doing, not that it ranks worse.
    same_loss = other["loss"] == prism["loss"]
    name = f"{other['loss']} with decay" if same_loss else other["loss"]
    if pd.isna(other["ndcg"]):
        return Statement(f"against {name}: not run", None)
    ours, theirs = seed_by_seed(runs, prism, other)
    text = (
        f"against {name}: ratio {ours['ratio'].mean():.3f} and {theirs['ratio'].mean():.3f},"
        f" NDCG@20 {ours['ndcg'].mean():.3f} and {theirs['ndcg'].mean():.3f}"
    )
    measures = ("ratio",) if same_loss else ("ratio", "ndcg")
    return weakest([_more(text, ours[measure], theirs[measure]) for measure in measures])


def claim_c17_norms(runs: pd.DataFrame) -> list[Statement]:
    """C17, the measured half: on non-linear MF, SSM washes PRISM's norms out and DirectAU keeps them.

    The losses are compared at the seeds at which both were run. The norms are those of the perceptron's outputs.

    Args:
        runs: non-linear MF with PRISM, under SSM and under DirectAU.
    """
    correlations: Any = runs.pivot(index="seed", columns="loss", values="norm_correlation")
    correlations = correlations.reindex(columns=["SSM", "DirectAU"]).dropna()
    if correlations.empty:
        return [Statement("C17 needs SSM and DirectAU with PRISM on non-linear MF", None)]
    ssm, directau = correlations["SSM"], correlations["DirectAU"]
    text = f"by {ssm.mean():.2f} under SSM, by {directau.mean():.2f} under DirectAU"
    return [_more(f"after training, item norms correlate with log popularity {text}", directau, ssm)]


def matches(pairs: Sequence[Pair]) -> list[Statement]:
    """C8: PRISM matches tuned decay: by the paired bootstrap it is better or the same.

    A difference that the spread over seeds explains counts as the same, and the statement says how large a difference
    that may be. Where seeds differ much, even a large difference is a match.

    Args:
        pairs: linear MF, one for each loss.
    """
    return [_statement(pair, "matches", ("better", "same")) for pair in pairs]


def beats(pairs: Sequence[Pair]) -> list[Statement]:
    """C9: PRISM beats tuned decay.

    Args:
        pairs: non-linear MF, one for each loss.
    """
    return [_statement(pair, "beats", ("better",)) for pair in pairs]


def falls_short(pairs: Sequence[Pair]) -> list[Statement]:
    """C10: PRISM falls short of tuned decay.

    Args:
        pairs: non-linear MF, one for each loss.
    """
    return [_statement(pair, "falls short of", ("worse",)) for pair in pairs]


def _statement(pair: Pair, verb: str, verdicts: Sequence[str]) -> Statement:
    """Whether the comparison of a pair has one of some verdicts, so far as the seeds and the searches decide it."""
    subject = f"{BACKBONE_NAMES[pair.backbone]} with {LOSS_NAMES[pair.loss]}: PRISM {verb} tuned decay"
    comparison = pair.comparison
    if comparison is None or pair.compared is None or pair.prism is None or pair.decay is None:
        return Statement(f"{subject} (not run in both)", None)
    prism, decay = pair.compared
    text = f"{subject}: {pair.difference()}, {plural(len(prism.records.keys() & decay.records.keys()), 'seed')}"
    if comparison.verdict == "same" and comparison.tolerance:
        text += f", which explain up to {comparison.tolerance:.4f}"
    text += _searched_in_part(pair.decay, pair.prism)

    holds, claims_prism_ahead = comparison.verdict in verdicts, "better" in verdicts
    # The users see the claimed direction, but the seeds differ by more: the claim is neither borne out nor refuted.
    users_agree = comparison.low > 0 if claims_prism_ahead else comparison.high < 0
    if comparison.verdict == "same" and users_agree and not holds:
        return Statement(f"{text}; the seeds differ too much to tell", None, undecided=True)
    if _could_turn(pair.decay, pair.prism, holds, claims_prism_ahead):
        return Statement(text, None, undecided=True)
    return Statement(text, holds)


def _searched_in_part(decay: Method, prism: Method) -> str:
    """How far each search was run, where one of them is not complete; empty where both are."""
    parts = [
        f"{title} {method.ran} of {method.grid}"
        for title, method in (("decay", decay), ("PRISM", prism))
        if _unfinished(method)
    ]
    return f"; searched only in part, {', '.join(parts)} configurations" if parts else ""


def _could_turn(decay: Method, prism: Method, holds: bool, claims_prism_ahead: bool) -> bool:
    """Whether more of a search could turn a statement round: a search that goes further only helps its own method."""
    if claims_prism_ahead:
        return _unfinished(decay if holds else prism)
    return _unfinished(prism if holds else decay)


def _unfinished(method: Method) -> bool:
    return method.ran < method.grid
