"""Verdicts on the paper's measured claims. Each is computed from runs, a table of :func:`prismlib.analysis.tidy`.

A claim is one or more statements with their numbers. Where it speaks of degrees ("strongly", "much smaller"), the
statement says which line is drawn: a comparison of two measured values, or half of a variance.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from prismlib.analysis import (
    best,
    best_of_each,
    collapsed,
    curves,
    epochs_to,
    first_seed,
    over_seeds,
    seed_by_seed,
    setting,
)
from prismlib.compare import seed_tolerance
from prismlib.records import Record
from prismlib.statements import Statement


def claim_c1(runs: pd.DataFrame) -> list[Statement]:
    """C1: DirectAU on MF depends strongly on weight decay; with too weak a decay it falls below BPR."""
    mean = curves(runs, ["BPR", "DirectAU"]).get("ndcg", pd.DataFrame())
    if not {"BPR", "DirectAU"} <= set(mean) or len(mean) < 2 or mean.index[0] != 0:
        return [Statement("C1 needs BPR and DirectAU without decay and at one weight decay or more", None)]
    directau, bpr = mean["DirectAU"], mean["BPR"]
    lost = 1 - mean.iloc[0] / mean.max()
    # too weak: no decay at all, and what is weaker than DirectAU's best
    below: Any = (bpr - directau).iloc[: max(1, list(directau).index(directau.max()))]
    worst: Any = below.idxmax()
    return [
        Statement(
            f"DirectAU depends on decay more than BPR: without it, it misses {lost['DirectAU']:.0%}"
            f" of its own best NDCG@20, BPR {lost['BPR']:.0%}",
            bool(lost["DirectAU"] > lost["BPR"]),
        ),
        Statement(
            f"at too weak a decay DirectAU falls below BPR: at {(below > 0).sum()} of {len(below)} weaker than its"
            f" best; at {worst:g} {directau[worst]:.3f} against {bpr[worst]:.3f}",
            bool((below > 0).any()),
        ),
    ]


def claim_c2(runs: pd.DataFrame) -> list[Statement]:
    """C2: a stronger decay widens the gap between popular and unpopular items, for BPR least.

    Runs that collapsed, all rows shrunk to nothing, have no gap to speak of and do not count.
    """
    statements, runs = [], runs[~collapsed(runs)]
    for loss in runs["loss"].unique():
        own = curves(runs, [loss])
        if len(own) < 2:
            statements.append(Statement(f"{loss}: needs two weight decays or more", None))
            continue
        popular, unpopular, ndcg = (own[name, loss] for name in ("popular", "unpopular", "ndcg"))
        gap, share = popular - unpopular, popular / ndcg
        text = (
            f"{loss}: popular minus unpopular goes from {gap.iloc[0]:.3f} at {own.index[0]:g} to {gap.iloc[-1]:.3f} at"
            f" {own.index[-1]:g} (popular items' share of NDCG@20: {share.iloc[0]:.0%} to {share.iloc[-1]:.0%})"
        )
        statements.append(Statement(text, bool(gap.iloc[-1] > gap.iloc[0])))
    both = curves(runs, ["BPR", "DirectAU"])
    if len(both) >= 2 and {"BPR", "DirectAU"} <= set(both["ndcg"]):
        gap = both["popular"] - both["unpopular"]
        wider = gap.iloc[-1] - gap.iloc[0]
        text = f"least for BPR: {wider['BPR']:+.3f} against DirectAU's {wider['DirectAU']:+.3f}"
        statements.append(Statement(text, bool(wider["BPR"] < wider["DirectAU"])))
    return statements


def claim_c3(runs: pd.DataFrame) -> list[Statement]:
    """C3: item norms follow log popularity under moderate decay, and do so much less without decay."""
    statements = []
    for loss, own in runs.groupby("loss", sort=False):
        ran = own[own["norm_correlation"].notna()]
        without, with_decay = ran[ran["weight_decay"] == 0], ran[ran["weight_decay"] > 0]
        if without.empty or with_decay.empty:
            statements.append(Statement(f"{loss}: needs a run without decay and one with", None))
            continue
        # moderate: the decay that validation chooses
        chosen, zero = best(with_decay), without.iloc[0]
        statements += [
            Statement(
                f"{loss} at decay {chosen.weight_decay:g}, which validation chooses, norms follow log popularity:"
                f" {_explained(chosen)}",
                _follows(chosen),
            ),
            Statement(f"{loss} without decay, they do not: {_explained(zero)}", not _follows(zero)),
        ]
    return statements


def _follows(run: Any) -> bool:
    # norms that fall with popularity do not follow it, however close the fit
    return bool(run.norm_correlation > 0 and run.norm_correlation**2 > 0.5)


def _explained(run: Any) -> str:
    how = f"it explains {run.norm_correlation**2:.0%} of their variance" if run.norm_correlation > 0 else "they fall"
    return f"{how} (correlation {run.norm_correlation:.2f})"


def claim_c6(runs: pd.DataFrame) -> list[Statement]:
    """C6: decay on the batch's rows alone performs like no decay, and its norms lose popularity.

    Compared at each decay that does write popularity where it acts on the whole tables: the correlation of the norms
    with log popularity is then above that of no decay. A weaker one has nothing to lose, and is named as left out.

    Args:
        runs: DirectAU without decay, and at one decay or more both on the whole tables and on the batch's rows.
    """
    table = over_seeds(runs[runs["ndcg"].notna()], ("decay_scope", "weight_decay")).xs("mean", axis=1, level=1)
    mean: dict[Any, Any] = dict(table.iterrows())
    both = [decay for scope, decay in mean if scope == "batch" and decay > 0 and ("table", decay) in mean]
    zero = [mean[place] for place in mean if place[1] == 0]  # without decay the scopes do not differ
    if not zero or not both:
        return [Statement("C6 needs a run without decay and one decay in both scopes", None)]
    none, statements = zero[0], []
    weak = [decay for decay in both if mean["table", decay].norm_correlation <= none.norm_correlation]
    left_out = f" (left out: {', '.join(f'{decay:g}' for decay in weak)}, too weak to write popularity)" if weak else ""
    for decay in both:
        batch, whole = mean["batch", decay], mean["table", decay]
        if decay in weak:
            continue
        statements += [
            Statement(
                f"decay {decay:g} on the batch's rows: NDCG@20 {batch.ndcg:.3f}, nearer to no decay's {none.ndcg:.3f}"
                f" than to the whole tables' {whole.ndcg:.3f}",
                bool(abs(batch.ndcg - none.ndcg) < abs(batch.ndcg - whole.ndcg)),
            ),
            Statement(
                f"decay {decay:g}: item norms correlate less with log popularity than under decay of the whole tables,"
                f" {batch.norm_correlation:.2f} against {whole.norm_correlation:.2f}"
                f" (no decay: {none.norm_correlation:.2f}){left_out}",
                bool(batch.norm_correlation < whole.norm_correlation),
            ),
        ]
    return statements or [Statement("C6 needs a decay that writes popularity into lengths on the whole tables", None)]


def claim_c7(runs: pd.DataFrame) -> list[Statement]:
    """C7: LightGCN barely changes with decay; measured against MF, with the same loss at the same decays."""
    means = runs.groupby(["weight_decay", "backbone"])["ndcg"].mean().unstack()
    mean = means.dropna() if {"LightGCN", "MF"} <= set(means) else means.iloc[:0]
    if len(mean) < 2:
        return [Statement("C7 needs LightGCN and MF at two weight decays or more", None)]
    spread = 1 - mean.min() / mean.max()
    return [
        Statement(
            f"over decays {mean.index[0]:g} to {mean.index[-1]:g} the lowest NDCG@20 misses {spread['LightGCN']:.0%} of"
            f" the highest on LightGCN, {spread['MF']:.0%} on MF",
            bool(spread["LightGCN"] < spread["MF"]),
        )
    ]


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


def claim_c14(record: Record | None) -> list[Statement]:
    """C14: validation by cosine saturates early, validation by dot product keeps rising.

    Args:
        record: DirectAU at the decay that validation chooses.
    """
    if record is None:
        return [Statement("C14 needs DirectAU at one weight decay or more", None)]
    dot, cosine = (epochs_to(record["history"][f"validation_{by}"]) for by in ("dot", "cosine"))
    curve = record["history"]["validation_cosine"]
    kept = curve[record["best_epoch"]] / max(curve)
    return [
        Statement(
            f"at decay {record['config']['weight_decay']:g} the cosine curve reaches 95 % of its maximum at epoch"
            f" {cosine}, the dot-product curve at epoch {dot}",
            cosine < dot,
        ),
        Statement(f"and stays there: at the best epoch by dot product it is at {kept:.0%} of it", kept >= 0.95),
    ]


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
