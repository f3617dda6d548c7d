"""Verdicts on what the paper measures of PRISM, from runs, a table of :func:`prismbook.tables.analysis.tidy`.

Where it is compared with another method, the first seed chooses both settings, and every seed that both were run at
counts: a difference that the spread over seeds explains leaves a statement undecided.
C8 to C10 are in :mod:`prismbook.tables.decay_vs_prism`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from prismbook.claims.statements import Statement
from prismbook.tables.analysis import best, best_of_each, first_seed, seed_by_seed
from prismbook.tables.decay_vs_prism import Pair
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, setting
from prismbook.tables.significance import seed_tolerance


def claim_c11(runs: pd.DataFrame) -> list[Statement]:
    """C11: PRISM needs fewer epochs than tuned decay, at comparable quality.

    Args:
        runs: with decay, from Xavier's start; and with PRISM at one alpha or more. The first seed chooses a decay and
            an alpha; these are compared at every seed at which both were run.
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
    """What was run at the first seed, of PRISM and with decay from Xavier's start."""
    ran = first_seed(runs)
    ran = ran[ran["ndcg"].notna()]
    return ran[ran["init"] == "prism"], ran[(ran["init"] == "xavier") & (ran["weight_decay"] > 0)]


def _chosen(runs: pd.DataFrame) -> str:
    prism = first_seed(runs)
    prism = prism[prism["init"] == "prism"]
    ran = prism["ndcg"].notna()
    part = "" if ran.all() else f" from {ran.sum()} of {len(ran)} strengths"
    return f"{setting(best(prism))}, chosen by validation{part},"


def _more(text: str, first: Any, second: Any) -> Statement:
    """Whether the first is more than the second, in the mean over their seeds, and by more than seeds explain."""
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
    cut = [name for name, own in (("PRISM", prism), ("decay", tuned)) if (own["stopped_by"] == "max_epochs").any()]
    text = f"{chosen} is best at epoch {ours.mean():.0f}, tuned {setting(tuned.iloc[0])} at {theirs.mean():.0f}"
    if cut:
        return Statement(f"{text}; cut off by the epoch limit: {', '.join(cut)}", None, undecided=True)
    change = ours.mean() / max(theirs.mean(), 1) - 1
    return _more(f"{text} ({change:+.0%})", theirs, ours)


def _sooner_as_good(prism: Any, tuned: Any) -> Statement:
    told, sooner = [], []
    for ours, theirs in zip(prism.itertuples(), tuned.itertuples(), strict=True):
        reached = [epoch for epoch, score in enumerate(ours.curve) if score >= theirs.validation]
        told.append(f"at epoch {reached[0]}" if reached else "never")
        told[-1] += f", decay at {theirs.best_epoch:.0f}"
        sooner.append(bool(reached and reached[0] < theirs.best_epoch))
    own = f"{setting(prism.iloc[0])} reaches tuned decay's best validation NDCG@20 in fewer epochs"
    text = f"{own}: {'; '.join(told)}" + f" ({len(told)} seeds)" * (len(told) > 1)
    if any(sooner) and not all(sooner):
        return Statement(text, None, undecided=True)
    return Statement(text, all(sooner))


def _as_good(prism: Any, tuned: Any) -> Statement:
    """Tuned decay's NDCG@20 or more; with several seeds less by what they explain will do."""
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
        runs: as for :func:`claim_c11`.
    """
    prism, decay = _tried(runs)
    if prism["alpha"].nunique() < 2 or decay.empty:
        return [Statement("C12 needs PRISM at two alphas or more and runs with decay", None)]
    low, high = (prism.sort_values("alpha").iloc[place] for place in (0, -1))
    ours, theirs = seed_by_seed(runs, best(prism), best(decay))
    ratio, of_decay = ours["ratio"], theirs["ratio"]
    return [
        Statement(
            f"popular items gain and unpopular ones lose from alpha {low.alpha:g} to {high.alpha:g}: popular"
            f" {low.popular:.3f} to {high.popular:.3f}, unpopular {low.unpopular:.4f} to {high.unpopular:.4f}",
            bool(high.popular > low.popular and high.unpopular < low.unpopular),
        ),
        _more(
            f"{_chosen(runs)} has a larger unpopular / popular ratio than tuned {setting(theirs.iloc[0])}:"
            f" {ratio.mean():.3f} against {of_decay.mean():.3f} ({ratio.mean() / of_decay.mean() - 1:+.0%})",
            ratio,
            of_decay,
        ),
        _as_good(ours, theirs),
    ]


def claim_c13(runs: pd.DataFrame) -> list[Statement]:
    """C13: DirectAU with PRISM is fairer, and better, than BPR and its debiased forms.

    Args:
        runs: of all methods. The first seed chooses each one's setting; two methods are compared at every seed at which
            both were run.
    """
    tuning = first_seed(runs)
    prism = tuning[(tuning["init"] == "prism") & tuning["ndcg"].notna()]
    if prism.empty:
        return [Statement("C13 needs DirectAU with PRISM", None)]
    chosen, statements = best(prism), []
    for _, other in best_of_each(tuning[tuning["init"] == "xavier"]).iterrows():
        # the same loss with decay: the paper says of it that the ratio is PRISM's doing, not that it ranks worse
        same = other["loss"] == chosen["loss"]
        name = f"{other['loss']} with decay" if same else other["loss"]
        if pd.isna(other["ndcg"]):
            statements.append(Statement(f"against {name}: not run", None))
            continue
        ours, theirs = seed_by_seed(runs, chosen, other)
        text = (
            f"against {name}: ratio {ours['ratio'].mean():.3f} and {theirs['ratio'].mean():.3f},"
            f" NDCG@20 {ours['ndcg'].mean():.3f} and {theirs['ndcg'].mean():.3f}"
        )
        measures = ("ratio",) if same else ("ratio", "ndcg")
        parts = [_more(text, ours[measure], theirs[measure]) for measure in measures]
        statements.append(min(parts, key=lambda part: (False, None, True).index(part.holds)))
    return statements


def claim_c17(runs: pd.DataFrame) -> list[Statement]:
    """C17: on non-linear MF, SSM washes PRISM's norms out and DirectAU keeps them.

    Args:
        runs: non-linear MF with PRISM, SSM and DirectAU, compared at the seeds of both; norms are those of the
            perceptron's outputs.
    """
    found: Any = runs.pivot(index="seed", columns="loss", values="norm_correlation")
    found = found.reindex(columns=["SSM", "DirectAU"]).dropna()
    if found.empty:
        return [Statement("C17 needs SSM and DirectAU with PRISM on non-linear MF", None)]
    ssm, directau = found["SSM"], found["DirectAU"]
    text = f"by {ssm.mean():.2f} under SSM, by {directau.mean():.2f} under DirectAU"
    return [_more(f"after training, item norms correlate with log popularity {text}", directau, ssm)]


def matches(pairs: Sequence[Pair]) -> list[Statement]:
    """C8: PRISM matches tuned decay: by the paired bootstrap it is better or the same.

    The same is a difference that the spread over seeds explains, and the statement says how large a one that is: where
    seeds differ much, even a large one is a match.
    """
    return [_statement(own, "matches", ("better", "same")) for own in pairs]


def beats(pairs: Sequence[Pair]) -> list[Statement]:
    """C9: PRISM beats tuned decay."""
    return [_statement(own, "beats", ("better",)) for own in pairs]


def falls_short(pairs: Sequence[Pair]) -> list[Statement]:
    """C10: PRISM falls short of tuned decay."""
    return [_statement(own, "falls short of", ("worse",)) for own in pairs]


def _statement(own: Pair, verb: str, verdicts: Sequence[str]) -> Statement:
    what = f"{BACKBONE_NAMES[own.backbone]} with {LOSS_NAMES[own.loss]}: PRISM {verb} tuned decay"
    if own.comparison is None or own.compared is None or own.prism is None or own.decay is None:
        return Statement(f"{what} (not run in both)", None)
    part = [
        f"{title} {found.ran} of {found.grid}"
        for title, found in (("decay", own.decay), ("PRISM", own.prism))
        if found.ran < found.grid
    ]
    note = f"; searched only in part, {', '.join(part)} configurations" if part else ""
    seeds = len(own.compared[0].records.keys() & own.compared[1].records.keys())
    found = own.comparison
    spread = f", which explain up to {found.tolerance:.4f}" if found.verdict == "same" and found.tolerance else ""
    text = f"{what}: {own.difference()}, {seeds} seed{'s' * (seeds > 1)}{spread}{note}"
    holds = found.verdict in verdicts
    # users see the claimed direction and seeds differ by more: that neither bears the claim out nor refutes it
    claimed = found.low > 0 if "better" in verdicts else found.high < 0
    if found.verdict == "same" and claimed and not holds:
        return Statement(f"{text}; the seeds differ too much to tell", None, undecided=True)
    # searching further helps a side: what the side searched in part could still turn round is not decided
    behind = own.decay if holds == ("better" in verdicts) else own.prism
    open_ = behind.ran < behind.grid
    return Statement(text, None if open_ else holds, undecided=open_)
