"""Judgements of what the paper measures of weight decay: C1 to C3, C6, C7, C14, C18, C21 and C22.

Each function takes runs, a table of :func:`prismbook.tables.analysis.tidy`, and returns statements with their numbers.
Where the paper speaks of degrees ("strongly", "much smaller"), the statement says which line is drawn: a comparison of
two measured values, or half of a variance. The claims on PRISM are in :mod:`prismbook.claims.prism_claims`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import pandas as pd

from prismbook.claims.statements import Statement, from_judgement, provisionally
from prismbook.runs.records import Record
from prismbook.tables.analysis import best, collapsed, curves, epochs_to
from prismbook.tables.rules import judge
from prismbook.tables.seed_differences import difference, setbacks

Judge = Callable[[pd.DataFrame], list[Statement]]


def provisional_at_one_seed(judge: Judge) -> Judge:
    """A judgement whose statements are provisional where its runs have a single seed.

    Args:
        judge: from a table of runs to statements.
    """

    @wraps(judge)
    def judged(runs: pd.DataFrame) -> list[Statement]:
        return provisionally(judge(runs), runs.loc[runs["run"].notna(), "seed"].nunique())

    return judged


@provisional_at_one_seed
def claim_c1(runs: pd.DataFrame) -> list[Statement]:
    """C1: DirectAU on MF depends strongly on weight decay; with too weak a decay it falls below BPR.

    Args:
        runs: BPR and DirectAU without decay and at one weight decay or more.
    """
    mean = curves(runs, ["BPR", "DirectAU"]).get("ndcg", pd.DataFrame())
    if not {"BPR", "DirectAU"} <= set(mean) or len(mean) < 2 or mean.index[0] != 0:
        return [Statement("C1 needs BPR and DirectAU without decay and at one weight decay or more", None)]
    directau, bpr = mean["DirectAU"], mean["BPR"]
    lost = 1 - mean.iloc[0] / mean.max()
    # too weak: no decay at all, and every decay that is weaker than DirectAU's best
    too_weak = max(1, list(directau).index(directau.max()))
    below: Any = (bpr - directau).iloc[:too_weak]
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


@provisional_at_one_seed
def claim_c2(runs: pd.DataFrame) -> list[Statement]:
    """C2: a stronger decay widens the gap between popular and unpopular items, for BPR least.

    Runs that collapsed, whose item rows all shrank to nothing, have no gap and do not count.

    Args:
        runs: one loss or more, at two weight decays or more.
    """
    trained = runs[~collapsed(runs)]
    statements = [_wider_gap(trained, loss) for loss in trained["loss"].unique()]
    means = curves(trained, ["BPR", "DirectAU"])
    if len(means) >= 2 and {"BPR", "DirectAU"} <= set(means["ndcg"]):
        gap = means["popular"] - means["unpopular"]
        wider = gap.iloc[-1] - gap.iloc[0]
        text = f"least for BPR: {wider['BPR']:+.3f} against DirectAU's {wider['DirectAU']:+.3f}"
        statements.append(Statement(text, bool(wider["BPR"] < wider["DirectAU"])))
    return statements


def _wider_gap(runs: pd.DataFrame, loss: str) -> Statement:
    """Whether the gap of one loss is wider at its strongest weight decay than at its weakest."""
    means = curves(runs, [loss])
    if len(means) < 2:
        return Statement(f"{loss}: needs two weight decays or more", None)
    popular, unpopular, ndcg = (means[name, loss] for name in ("popular", "unpopular", "ndcg"))
    gap, share = popular - unpopular, popular / ndcg
    text = (
        f"{loss}: popular minus unpopular goes from {gap.iloc[0]:.3f} at {means.index[0]:g} to {gap.iloc[-1]:.3f} at"
        f" {means.index[-1]:g} (popular items' share of NDCG@20: {share.iloc[0]:.0%} to {share.iloc[-1]:.0%})"
    )
    return Statement(text, bool(gap.iloc[-1] > gap.iloc[0]))


@provisional_at_one_seed
def claim_c3(runs: pd.DataFrame) -> list[Statement]:
    """C3: item norms follow log popularity under moderate decay, and do so much less without decay.

    Moderate is the decay that validation chooses. Norms follow log popularity where it explains more than half of
    their variance, with a positive correlation.

    Args:
        runs: one loss or more, without decay and at one weight decay or more.
    """
    statements = []
    for loss, group in runs.groupby("loss", sort=False):
        finished = group[group["norm_correlation"].notna()]
        without, with_decay = finished[finished["weight_decay"] == 0], finished[finished["weight_decay"] > 0]
        if without.empty or with_decay.empty:
            statements.append(Statement(f"{loss}: needs a run without decay and one with", None))
            continue
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
    # Norms that fall with popularity do not follow it, however close the fit is.
    return bool(run.norm_correlation > 0 and run.norm_correlation**2 > 0.5)


def _explained(run: Any) -> str:
    rising = run.norm_correlation > 0
    text = f"it explains {run.norm_correlation**2:.0%} of their variance" if rising else "they fall"
    return f"{text} (correlation {run.norm_correlation:.2f})"


def claim_c6(runs: pd.DataFrame) -> list[Statement]:
    """C6: decay on the batch's rows alone performs like no decay, and its norms lose popularity.

    The scopes are compared at each decay that writes popularity into norms where it acts on the whole tables: there the
    correlation of norms with log popularity is above that of no decay. A weaker decay has nothing to lose; it is left
    out, and the statement names it.

    Args:
        runs: DirectAU without decay, and at one decay or more both on the whole tables and on the batch's rows.
    """
    finished = runs[runs["ndcg"].notna()]
    none = finished[finished["weight_decay"] == 0].drop_duplicates("seed")  # the scopes do not differ there
    settings: dict[Any, pd.DataFrame] = {
        (scope, decay): group
        for (scope, decay), group in finished[finished["weight_decay"] > 0].groupby(["decay_scope", "weight_decay"])
    }
    shared = [decay for scope, decay in settings if scope == "batch" and ("table", decay) in settings]
    if none.empty or not shared:
        return [Statement("C6 needs a run without decay and one decay in both scopes", None)]
    unwritten = none["norm_correlation"].mean()
    weak = [decay for decay in shared if settings["table", decay]["norm_correlation"].mean() <= unwritten]
    left_out = f" (left out: {', '.join(f'{decay:g}' for decay in weak)}, too weak to write popularity)" if weak else ""
    statements = [
        statement
        for decay in shared
        if decay not in weak
        for statement in _batched(decay, settings["batch", decay], settings["table", decay], none, left_out)
    ]
    return statements or [Statement("C6 needs a decay that writes popularity into lengths on the whole tables", None)]


def _batched(decay: float, batch: Any, whole: Any, none: Any, left_out: str) -> list[Statement]:
    """The two statements of C6 at one decay, from the runs under each scope and without decay."""
    found = difference(batch, none, "ndcg")
    text = (
        f"decay {decay:g} on the batch's rows performs like no decay: NDCG@20 {batch['ndcg'].mean():.4f} against"
        f" {none['ndcg'].mean():.4f} (on the whole tables {whole['ndcg'].mean():.4f})"
    )
    if found is None:
        alike = Statement(f"{text}; undecided: {setbacks(batch) or setbacks(none)}", None, undecided=True)
    else:
        judgement = judge(found)
        alike = from_judgement(f"{text}: {found.mean:+.1%}, {judgement}", judgement, ("equivalent",))
    batch_norms, whole_norms, no_norms = (runs["norm_correlation"].mean() for runs in (batch, whole, none))
    loses = Statement(
        f"decay {decay:g}: item norms correlate less with log popularity than under decay of the whole tables,"
        f" {batch_norms:.2f} against {whole_norms:.2f} (no decay: {no_norms:.2f}){left_out}",
        bool(batch_norms < whole_norms),
    )
    return [alike, *provisionally([loses], batch["seed"].nunique())]


def claim_c7(runs: pd.DataFrame) -> list[Statement]:
    """C7: LightGCN barely changes with decay, less than MF with the same loss, and does not need it.

    Args:
        runs: LightGCN and MF at two weight decays or more.
    """
    means = runs.groupby(["weight_decay", "backbone"])["ndcg"].mean().unstack()
    mean = means.dropna() if {"LightGCN", "MF"} <= set(means) else means.iloc[:0]
    if len(mean) < 2:
        return [Statement("C7 needs LightGCN and MF at two weight decays or more", None)]
    missed = 1 - mean.min() / mean.max()
    lightgcn = runs[(runs["backbone"] == "LightGCN") & runs["weight_decay"].isin(mean.index)]
    lowest, highest = (
        lightgcn[lightgcn["weight_decay"] == place] for place in (mean["LightGCN"].idxmin(), mean["LightGCN"].idxmax())
    )
    less = Statement(
        f"over decays {mean.index[0]:g} to {mean.index[-1]:g} the lowest NDCG@20 misses {missed['LightGCN']:.0%} of"
        f" the highest on LightGCN, {missed['MF']:.0%} on MF",
        bool(missed["LightGCN"] < missed["MF"]),
    )
    found = difference(lowest, highest, "ndcg")
    text = (
        f"LightGCN barely changes: from {highest['ndcg'].mean():.4f} at {highest.iloc[0].weight_decay:g} to"
        f" {lowest['ndcg'].mean():.4f} at {lowest.iloc[0].weight_decay:g}"
    )
    if found is None:
        flat = Statement(f"{text}; undecided: {setbacks(lowest) or setbacks(highest)}", None, undecided=True)
    else:
        judgement = judge(found)
        flat = from_judgement(f"{text}, {found.mean:+.1%}: {judgement}", judgement, ("equivalent",))
    return [*provisionally([less], lightgcn["seed"].nunique()), flat]


def claim_c14(record: Record | None) -> list[Statement]:
    """C14: validation by cosine saturates early, validation by dot product keeps rising.

    Args:
        record: of DirectAU at the decay that validation chooses; None where nothing was run.
    """
    if record is None:
        return [Statement("C14 needs DirectAU at one weight decay or more", None)]
    dot, cosine = (epochs_to(record["history"][f"validation_{name}"]) for name in ("dot", "cosine"))
    curve = record["history"]["validation_cosine"]
    kept = curve[record["best_epoch"]] / max(curve)
    statements = [
        Statement(
            f"at decay {record['config']['weight_decay']:g} the cosine curve reaches 95 % of its maximum at epoch"
            f" {cosine}, the dot-product curve at epoch {dot}",
            cosine < dot,
        ),
        Statement(f"and stays there: at the best epoch by dot product it is at {kept:.0%} of it", kept >= 0.95),
    ]
    return provisionally(statements, 1)


def nonlinear(runs: pd.DataFrame) -> list[Statement]:
    """C18: C1 and C2, for non-linear MF.

    Args:
        runs: non-linear MF, with the runs that :func:`claim_c1` and :func:`claim_c2` need.
    """
    return claim_c1(runs) + claim_c2(runs)


def claim_c21(runs: pd.DataFrame) -> list[Statement]:
    """C21: careful tuning of weight decay is needed, regardless of the loss.

    It is needed where the decay that validation chooses is better than none, by the rules.

    Args:
        runs: one loss or more, without decay and at one weight decay or more.
    """
    statements = []
    for loss, group in runs.groupby("loss", sort=False):
        none, tried = group[group["weight_decay"] == 0], group[group["run"].notna()]
        if none["run"].isna().all() or tried["weight_decay"].nunique() < 2:
            statements.append(Statement(f"{loss}: needs a run without decay and one with", None))
            continue
        chosen = tried[tried["weight_decay"] == best(tried)["weight_decay"]]
        text = (
            f"{loss} needs decay: NDCG@20 {chosen['ndcg'].mean():.4f} at {chosen.iloc[0].weight_decay:g}, which"
            f" validation chooses, against {none['ndcg'].mean():.4f} without"
        )
        found = difference(chosen, none, "ndcg")
        if found is None:
            ended = setbacks(none) or setbacks(chosen)
            statements.append(Statement(f"{text}; undecided: {ended}", None, undecided=True))
        elif chosen.iloc[0].weight_decay == 0:
            statements.append(Statement(f"{text}: it is none", False, provisional=len(found.by_seed) == 1))
        else:
            judgement = judge(found)
            statements.append(from_judgement(f"{text} ({found.mean:+.1%}: {judgement})", judgement, ("better",)))
    return statements


@provisional_at_one_seed
def claim_c22(runs: pd.DataFrame) -> list[Statement]:
    """C22: BPR's performance changes little with weight decay, compared with DirectAU's.

    Args:
        runs: BPR and DirectAU at two weight decays or more.
    """
    mean = curves(runs, ["BPR", "DirectAU"]).get("ndcg", pd.DataFrame())
    if not {"BPR", "DirectAU"} <= set(mean) or len(mean) < 2:
        return [Statement("C22 needs BPR and DirectAU at two weight decays or more", None)]
    statements = []
    for name, after in (("from no decay to each loss's best", False), ("from each loss's best to the strongest", True)):
        lost = {loss: _lost(mean[loss], after) for loss in ("BPR", "DirectAU")}
        text = f"{name}, NDCG@20 changes less for BPR than for DirectAU"
        text += f": {lost['BPR']:.0%} against {lost['DirectAU']:.0%}"
        statements.append(Statement(text, lost["BPR"] < lost["DirectAU"]))
    return statements


def _lost(scores: pd.Series, after: bool) -> float:
    """The share of the best score that is missed at the worst decay before the best one, or after it."""
    values = scores.to_numpy(float)
    place = int(values.argmax())
    return float(1 - (values[place:] if after else values[: place + 1]).min() / values.max())
