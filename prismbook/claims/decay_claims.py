"""Judgements of what the paper measures of weight decay: C1 to C3, C6, C7, C14, C18, C21 and C22.

Each function takes runs, a table of :func:`prismbook.tables.analysis.tidy`, and returns statements with their numbers.
Where the paper speaks of degrees ("strongly", "much smaller"), the statement says which line is drawn: a comparison of
two measured values, or half of a variance. The claims on PRISM are in :mod:`prismbook.claims.prism_claims`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from prismbook.claims.comparison import compared
from prismbook.claims.statements import Statement, from_judgement, in_words, provisionally
from prismbook.runs.records import Record
from prismbook.tables.analysis import best, epochs_to, first_seed
from prismbook.tables.rules import RULES, Difference, Rules, edges, judge
from prismbook.tables.seed_differences import collapsed_runs, gap, setbacks, usable
from prismbook.text import plural


def claim_c1(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C1: DirectAU on MF depends strongly on weight decay; with too weak a decay it falls below BPR.

    Too weak is no decay at all, and every decay that is weaker than the one that validation chooses for DirectAU.

    Args:
        runs: BPR and DirectAU without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    directau, bpr = (runs[(runs["loss"] == loss) & runs["run"].notna()] for loss in ("DirectAU", "BPR"))
    shared = sorted(set(directau["weight_decay"]) & set(bpr["weight_decay"]))
    if len(shared) < 2 or shared[0] != 0:
        return [Statement("C1 needs BPR and DirectAU without decay and at one weight decay or more", None)]
    working = usable(directau)
    if working.empty:
        return [Statement(f"DirectAU {setbacks(directau, 'run')}", None, undecided=True)]
    chosen = best(first_seed(working))["weight_decay"]
    too_weak = [decay for decay in shared if decay < max(chosen, shared[1])]
    return [_poor_choice(directau, working, bpr, rules), _falls_below(directau, bpr, too_weak, rules)]


def _poor_choice(directau: pd.DataFrame, working: pd.DataFrame, bpr: pd.DataFrame, rules: Rules) -> Statement:
    """Whether DirectAU's worst decay costs it, beside what the strongest decay costs both losses."""
    means = working.groupby("weight_decay")["ndcg"].mean()
    chosen = best(first_seed(working))["weight_decay"]
    strongest = ", ".join(_cost_of_the_strongest(loss, runs) for loss, runs in (("DirectAU", directau), ("BPR", bpr)))
    text = (
        f"a poor choice of weight decay degrades DirectAU: NDCG@20 {means.min():.4f} at {means.idxmin():g} against"
        f" {means[chosen]:.4f} at {chosen:g}, which validation chooses"
    )
    worst, tuned = (working[working["weight_decay"] == decay] for decay in (means.idxmin(), chosen))
    statement = compared(text, worst, tuned, "ndcg", ("worse",), rules)
    return replace(statement, text=f"{statement.text}; the strongest decay costs {strongest}")


def _cost_of_the_strongest(loss: str, runs: pd.DataFrame) -> str:
    """What the strongest decay takes of a loss's best score, with a note where the run collapsed or was cut off."""
    means = runs.groupby("weight_decay")["ndcg"].mean()
    ended = setbacks(runs[runs["weight_decay"] == means.index[-1]])
    return f"{loss} {1 - means.iloc[-1] / means.max():.0%}" + (f" ({ended})" if ended else "")


def _falls_below(directau: pd.DataFrame, bpr: pd.DataFrame, decays: Sequence[float], rules: Rules) -> Statement:
    """Whether DirectAU is worse than BPR at the decay, of some, at which it is furthest behind."""
    ours, theirs = (usable(runs[runs["weight_decay"].isin(decays)]) for runs in (directau, bpr))
    means = [runs.groupby("weight_decay")["ndcg"].mean() for runs in (ours, theirs)]
    behind = (means[0] / means[1] - 1).dropna()
    text = "at too weak a decay DirectAU falls below BPR"
    if behind.empty:
        ended = [
            f"{loss} {why}" for loss, runs in (("DirectAU", directau), ("BPR", bpr)) if (why := setbacks(runs, "run"))
        ]
        return Statement(f"{text}; undecided: {', '.join(ended)}", None, undecided=True)
    worst: Any = behind.idxmin()
    text += (
        f": it is behind at {(behind < 0).sum()} of {plural(len(behind), 'decay')} weaker than its best; at {worst:g}"
        f" NDCG@20 {means[0][worst]:.4f} against {means[1][worst]:.4f}"
    )
    behind_most, ahead = (each[each["weight_decay"] == worst] for each in (ours, theirs))
    return compared(text, behind_most, ahead, "ndcg", ("worse",), rules)


#: The gap between popular and unpopular items is no score; its words are these.
_GAP_WORDS = ("wider", "narrower", "as wide")


def claim_c2(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C2: a stronger decay widens the gap between popular and unpopular items; BPR's is less pronounced than others'.

    Each loss is looked at up to the decay that validation chooses for it. Beyond it decay outweighs the loss, and what
    is left is a ranking by popularity alone, or nothing.

    Args:
        runs: one loss or more, without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    losses = list(runs["loss"].unique())
    statements = [_wider_gap(runs[runs["loss"] == loss], loss, rules) for loss in losses]
    if "BPR" in losses:
        statements += [_less_pronounced(runs, other, rules) for other in losses if other != "BPR"]
    return statements


def _up_to_best(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that decide something, up to the weight decay that validation chooses among them."""
    working = usable(runs)
    if working.empty:
        return working
    return working[working["weight_decay"] <= best(first_seed(working))["weight_decay"]]


def _wider_gap(runs: pd.DataFrame, loss: str, rules: Rules) -> Statement:
    """Whether the gap of one loss is wider at its best weight decay than without decay."""
    finished = runs[runs["run"].notna()]
    if finished["weight_decay"].nunique() < 2 or finished["weight_decay"].min() > 0:
        return Statement(f"{loss}: needs a run without decay and one with", None)
    text, concerned = f"{loss}'s gap widens from no decay to its best decay", _up_to_best(finished)
    if concerned.empty:
        return Statement(f"{text}; undecided: {setbacks(finished, 'run')}", None, undecided=True)
    strongest = concerned["weight_decay"].max()
    if strongest == 0:
        return Statement(f"{text}; undecided: validation chooses no decay", None, undecided=True)
    none, chosen = (finished[finished["weight_decay"] == decay] for decay in (0, strongest))
    text += f" of {strongest:g}"
    if len(usable(none)):
        text += f": popular minus unpopular {gap(usable(none)).mean():.3f} to {gap(usable(chosen)).mean():.3f}"
    return compared(text, chosen, none, "gap", ("better",), rules, _GAP_WORDS)


def _less_pronounced(runs: pd.DataFrame, other: str, rules: Rules) -> Statement:
    """Whether BPR's gap is smaller than another loss's, over the decays at which neither is past its best."""
    text = f"BPR's gap is less pronounced than {other}'s"
    finished = {loss: runs[(runs["loss"] == loss) & runs["run"].notna()] for loss in ("BPR", other)}
    if any(each.empty for each in finished.values()):
        return Statement(f"{text} (not run in both)", None)
    bpr, rival = (_up_to_best(each) for each in finished.values())
    keys = ["seed", "weight_decay"]
    shared = bpr.merge(rival, on=keys)[keys]
    ended = ", ".join(f"{loss} {why}" for loss, each in finished.items() if (why := setbacks(each, "run")))
    if shared.empty:
        return Statement(f"{text}; undecided: {ended or 'no decay in common'}", None, undecided=True)
    ours, theirs = (each.merge(shared, on=keys) for each in (bpr, rival))
    first, last = shared["weight_decay"].min(), shared["weight_decay"].max()
    smaller = int((gap(ours).to_numpy() < gap(theirs).to_numpy()).sum())
    text += (
        f": at decays {first:g} to {last:g}, where neither is past its best: mean {gap(ours).mean():.3f} against"
        f" {gap(theirs).mean():.3f}, smaller at {smaller} of {len(shared)}"
    )
    return compared(text, ours, theirs, "gap", ("worse",), rules, _GAP_WORDS, keys)


def claim_c3(runs: pd.DataFrame) -> list[Statement]:
    """C3: item norms follow log popularity under moderate decay, and do so much less without decay.

    Moderate is the decay that validation chooses. Norms follow log popularity where it explains more than half of
    their variance, with a positive correlation.

    Args:
        runs: one loss or more, without decay and at one weight decay or more.
    """
    statements: list[Statement] = []
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
    return provisionally(statements, runs.loc[runs["run"].notna(), "seed"].nunique())


def _follows(run: Any) -> bool:
    # Norms that fall with popularity do not follow it, however close the fit is.
    return bool(run.norm_correlation > 0 and run.norm_correlation**2 > 0.5)


def _explained(run: Any) -> str:
    rising = run.norm_correlation > 0
    text = f"it explains {run.norm_correlation**2:.0%} of their variance" if rising else "they fall"
    return f"{text} (correlation {run.norm_correlation:.2f})"


def claim_c6(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C6: decay on the batch's rows alone performs like no decay, and its norms lose popularity.

    The scopes are compared at each decay that writes popularity into norms where it acts on the whole tables: there the
    correlation of norms with log popularity is above that of no decay. A weaker decay has nothing to lose; it is left
    out, and the statement names it.

    Args:
        runs: DirectAU without decay, and at one decay or more both on the whole tables and on the batch's rows.
        rules: the margin, and whether one seed gives a word.
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
        for statement in _batched(decay, settings["batch", decay], settings["table", decay], none, left_out, rules)
    ]
    return statements or [Statement("C6 needs a decay that writes popularity into lengths on the whole tables", None)]


def _batched(decay: float, batch: Any, whole: Any, none: Any, left_out: str, rules: Rules) -> list[Statement]:
    """The two statements of C6 at one decay, from the runs under each scope and without decay."""
    text = (
        f"decay {decay:g} on the batch's rows performs like no decay: NDCG@20 {batch['ndcg'].mean():.4f} against"
        f" {none['ndcg'].mean():.4f}, on the whole tables {whole['ndcg'].mean():.4f}"
    )
    alike = compared(text, batch, none, "ndcg", ("equivalent",), rules)
    batch_norms, whole_norms, no_norms = (runs["norm_correlation"].mean() for runs in (batch, whole, none))
    loses = Statement(
        f"decay {decay:g}: item norms correlate less with log popularity than under decay of the whole tables,"
        f" {batch_norms:.2f} against {whole_norms:.2f} (no decay: {no_norms:.2f}){left_out}",
        bool(batch_norms < whole_norms),
    )
    return [alike, *provisionally([loses], batch["seed"].nunique())]


def claim_c7(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C7: LightGCN barely changes with decay, less than MF with the same loss, and does not need it.

    Args:
        runs: LightGCN and MF at two weight decays or more.
        rules: the margin, and whether one seed gives a word.
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
    text = (
        f"LightGCN barely changes: from {highest['ndcg'].mean():.4f} at {highest.iloc[0].weight_decay:g} to"
        f" {lowest['ndcg'].mean():.4f} at {lowest.iloc[0].weight_decay:g}"
    )
    flat = compared(text, lowest, highest, "ndcg", ("equivalent",), rules)
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


def nonlinear(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C18: C1 and C2, for non-linear MF.

    Args:
        runs: non-linear MF, with the runs that :func:`claim_c1` and :func:`claim_c2` need.
        rules: the margin, and whether one seed gives a word.
    """
    return claim_c1(runs, rules) + claim_c2(runs, rules)


def claim_c21(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C21: careful tuning of weight decay is needed, regardless of the loss.

    It is needed where the decay that validation chooses is better than none.

    Args:
        runs: one loss or more, without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    return [
        _needs_decay(group[group["run"].notna()], str(loss), rules) for loss, group in runs.groupby("loss", sort=False)
    ]


def _needs_decay(runs: pd.DataFrame, loss: str, rules: Rules) -> Statement:
    """Whether the decay that validation chooses for a loss is better than none."""
    decays = sorted(set(runs["weight_decay"]))
    if len(decays) < 2 or decays[0] != 0:
        return Statement(f"{loss}: needs a run without decay and one with", None)
    chosen = best(first_seed(runs))["weight_decay"]
    ours, none = (runs[runs["weight_decay"] == decay] for decay in (chosen, 0))
    at_edge = ", the strongest of these runs" if edges({"decay": chosen}, {"decay": decays}) else ""
    text = (
        f"{loss} needs decay: NDCG@20 {ours['ndcg'].mean():.4f} at {chosen:g}, which validation chooses{at_edge},"
        f" against {none['ndcg'].mean():.4f} without"
    )
    return compared(text, ours, none, "ndcg", ("better",), rules)


def claim_c22(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C22: BPR's performance changes little with weight decay, compared with DirectAU's.

    Args:
        runs: BPR and DirectAU without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    return [
        _changes_less(runs, "from no decay to each loss's best", stronger=False, rules=rules),
        _changes_less(runs, "from each loss's best to the strongest decay", stronger=True, rules=rules),
    ]


def _changes_less(runs: pd.DataFrame, part: str, stronger: bool, rules: Rules) -> Statement:
    """Whether BPR misses less of its best score than DirectAU does, on one side of the best decay.

    A run that collapsed has the score that it has; one that was cut off is left out.
    """
    missed, notes = {}, []
    for loss in ("BPR", "DirectAU"):
        finished = runs[(runs["loss"] == loss) & runs["run"].notna()]
        working, gone = usable(finished), collapsed_runs(finished)
        if working["weight_decay"].nunique() < 2:
            return Statement(f"C22 needs {loss} at two weight decays or more", None)
        chosen = best(first_seed(working))["weight_decay"]
        decided = pd.concat([working, gone])
        side = decided["weight_decay"] >= chosen if stronger else decided["weight_decay"] <= chosen
        missed[loss] = pd.Series(
            {
                seed: 1 - each.loc[side, "ndcg"].min() / each.loc[each["weight_decay"] == chosen, "ndcg"].mean()
                for seed, each in decided.groupby("seed")
            }
        )
        notes += [f"{loss} {why}" for why in [setbacks(finished, "run")] if why]
    seeds = missed["BPR"].dropna().index.intersection(missed["DirectAU"].dropna().index)
    bpr, directau = (missed[loss].loc[seeds] for loss in ("BPR", "DirectAU"))
    text = f"{part}, NDCG@20 changes less for BPR than for DirectAU: by {bpr.mean():.0%} against {directau.mean():.0%}"
    if notes:
        text += f" ({', '.join(notes)}: what collapsed counts with its score, what was cut off is left out)"
    found = Difference(tuple(bpr - directau))
    judgement = judge(found, rules)
    return from_judgement(f"{text}: {in_words(judgement, 'more', 'less', 'as much')}", judgement, ("worse",), found)
