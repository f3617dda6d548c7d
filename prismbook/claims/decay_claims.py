"""Verdicts on what the paper measures of weight decay, from runs, a table of :func:`prismbook.tables.analysis.tidy`.

A claim is one or more statements with their numbers. Where it speaks of degrees ("strongly", "much smaller"), the
statement says which line is drawn: a comparison of two measured values, or half of a variance.
Those on PRISM are in :mod:`prismbook.claims.prism_claims`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from prismbook.claims.statements import Statement
from prismbook.runs.records import Record
from prismbook.tables.analysis import best, collapsed, curves, epochs_to, over_seeds


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


def nonlinear(runs: pd.DataFrame) -> list[Statement]:
    """C18: what C1 and C2 say, of non-linear MF."""
    return claim_c1(runs) + claim_c2(runs)
