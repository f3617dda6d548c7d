"""Judgements of what the paper measures of PRISM: C11 to C13, C23, and the empirical half of C17.

They are judged from a table of :func:`prismbook.tables.analysis.measured`. The first seed chooses the setting of each
method, by validation, and the methods are compared at every seed at which both decide something. Every comparison goes
through the rules of :mod:`prismbook.tables.rules`. C8 to C10 are in :mod:`prismbook.claims.table1_claims`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from prismbook.claims.comparison import judged, means, minus, statement_on
from prismbook.claims.statements import (
    Basis,
    Statement,
    holds_with,
    in_interval,
    left_open_with,
    percent_and_seeds,
    strongest,
    weakest,
)
from prismbook.tables.analysis import best, best_of_each, first_seed, parameter_values, seed_by_seed
from prismbook.tables.endings import edges, takes_part
from prismbook.tables.labels import setting
from prismbook.tables.rules import MAY_BE, RULES, Difference, Rules, contains, judge
from prismbook.tables.seed_differences import collapsed_runs, common, dips, gap, relative_difference, setbacks, usable
from prismbook.tables.spreads import spread
from prismbook.text import listed_names, plural

#: The paper's figures, as shares of tuned decay's value (Sections 5.2.1 and 5.2.2).
FEWER_EPOCHS, LARGER_RATIO, HIGHER_NDCG = -0.3848, 0.7598, 0.017
#: Its change on the one dataset whose epochs it prints, 249 of tuned decay and 125 of PRISM.
FEWER_EPOCHS_ON = {"gowalla": 125 / 249 - 1}
#: The protocols under which Table 1 is judged.
PROTOCOL_CASES = {"text": "the paper's text", "released": "the released code"}
#: A validation score within this share of another is comparable with it.
COMPARABLE = 0.025
#: What C11's note is about where against another decay, as good on validation, the difference has the other sign.
SIGN_TURNS = "another sign by another decay"
#: By how much NDCG@20 after an epoch may differ where one training follows another. It is this project's choice.
FOLLOWS = 0.0005
#: A relation explains more than half of a variance where its correlation is above this.
_HALF = float(np.sqrt(0.5))
#: The methods made for fairness that C13 names.
DEBIASED = ("IPL", "ReSN", "MACR")
#: What a strength is called that C11 may take.
_COMPARABLE = "whose validation score is comparable with decay's"


def claim_c11(runs: pd.DataFrame, rules: Rules = RULES, dataset: str = "", searched: bool = True) -> list[Statement]:
    """C11: with some alpha PRISM needs fewer epochs than tuned decay, at comparable quality.

    Of the strengths whose validation NDCG@20 at the first seed is within 2.5 % of tuned decay's, or above it, the one
    with the fewest epochs is compared.

    Args:
        runs: DirectAU with decay from Xavier initialisation, and with PRISM at one alpha or more.
        rules: the margin, and whether one seed gives a word.
        dataset: its name, whose own figure in the paper is compared where there is one, else the mean of all.
        searched: whether both methods were run in full; the decay is called tuned only then.
    """
    prism, decay = tried_runs(runs)
    if decay.empty or prism.empty:
        return [Statement("C11 needs runs with decay and runs with PRISM", None)]
    tuned, comparable = best(decay), comparable_strengths(prism, decay)
    if comparable.empty:
        left = _not_run(runs)
        text = f"none of {plural(len(prism), 'strength')} has a validation NDCG@20 comparable with {setting(tuned)}"
        return [Statement(text + left, None if left else False, undecided=bool(left), seeds=1)]
    fastest = with_fewest_epochs(comparable)
    ours, theirs = seed_by_seed(runs, fastest, tuned)
    name = f"{setting(fastest)}, {_the_fastest(len(comparable), len(prism))}"
    text = f"{name}{_not_run(runs)}, is best in fewer epochs than {'tuned ' if searched else ''}{setting(tuned)}"
    sides = common(ours.reset_index(), theirs.reset_index(), ["seed"])
    if len(sides[0]):
        took, theirs_took = (side["best_epoch"].mean() + 1 for side in sides)
        text += f": after {took:.0f} epochs against {theirs_took:.0f}"
    # fewer is better here; the rules' words are made for a score
    words = ("more", "fewer", "as many")
    statements = [
        statement_on(text, ours, theirs, "best_epoch", ("worse",), rules, words, about="needing fewer epochs"),
        *_size("the number of epochs", ours, theirs, "best_epoch", FEWER_EPOCHS_ON.get(dataset, FEWER_EPOCHS)),
        replace(_as_good(ours, theirs, rules), role="detail"),
        _sooner_as_good(ours, theirs),
    ]
    return [*(replace(each, alpha=float(fastest.alpha)) for each in statements), *_other_decays(decay, tuned, fastest)]


def _other_decays(decay: pd.DataFrame, tuned: Any, fastest: Any) -> list[Statement]:
    """How many epochs decays take that validation puts near the tuned one, as a note; nothing where there is none."""
    near = decay[(decay["validation"] >= (1 - COMPARABLE) * tuned.validation) & (decay["run"] != tuned.run)]
    if near.empty:
        return []
    took = [f"{setting(run)} takes {run.best_epoch + 1:.0f}" for run in near.itertuples()]
    text = (
        f"of the other decays within {100 * COMPARABLE:g} % of the best by validation at the first seed"
        f" {listed_names(took)} epochs, {setting(fastest)} {fastest.best_epoch + 1:.0f}"
    )
    later = near["best_epoch"] > fastest.best_epoch
    turns = (later != (tuned.best_epoch > fastest.best_epoch)).any()
    return [Statement(text, None, role="note", about=SIGN_TURNS if turns else "")]


def tried_runs(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs at the first seed that have a record: with PRISM, and with decay from Xavier initialisation.

    Args:
        runs: a table of :func:`prismbook.tables.analysis.tidy`.
    """
    finished = first_seed(runs)
    finished = finished[finished["ndcg"].notna()]
    decay = finished[(finished["init"] == "xavier") & (finished["weight_decay"] > 0)]
    return finished[finished["init"] == "prism"], decay


def comparable_strengths(prism: pd.DataFrame, decay: pd.DataFrame) -> pd.DataFrame:
    """PRISM's runs that are as good as tuned decay by validation: within 2.5 %, or better.

    Args:
        prism: runs with PRISM at the first seed.
        decay: runs with decay at the first seed.
    """
    return prism[prism["validation"] >= (1 - COMPARABLE) * best(decay)["validation"]]


def with_fewest_epochs(strengths: pd.DataFrame) -> Any:
    """The strength whose best epoch is the earliest; of equals the first.

    Args:
        strengths: runs with PRISM at the first seed, at least one.
    """
    return strengths.iloc[int(np.argmin(strengths["best_epoch"]))]


def _the_fastest(comparable: int, strengths: int) -> str:
    tried = plural(strengths, "strength")
    which = {1: f"the only one of {tried}", strengths: f"the fastest of {tried}"}
    return f"{which.get(comparable, f'the fastest of the {comparable} of {tried}')} {_COMPARABLE}"


def _not_run(runs: pd.DataFrame) -> str:
    """How many strengths were not run, as the end of a noun; empty where all were."""
    prism = first_seed(runs)
    prism = prism[prism["init"] == "prism"]
    finished = prism["ndcg"].notna()
    return "" if finished.all() else f" ({finished.sum()} of {len(finished)} strengths were run)"


def _open_until_all_are_run(statement: Statement, runs: pd.DataFrame, rules: Rules) -> Statement:
    """The statement, left open where it does not hold and a strength was not run: validation could choose that one."""
    if not _not_run(runs) or statement.basis is None:
        return statement
    failing = [word for word in MAY_BE if holds_with(word, statement.basis.accepts) is False]
    return left_open_with(statement, failing, rules, ", which the strengths that were not run could turn")


def _size(name: str, first: pd.DataFrame, second: pd.DataFrame, measure: str, figure: float) -> list[Statement]:
    """Whether the paper's figure lies in the interval measured here; nothing where there is no difference."""
    difference = relative_difference(first.reset_index(), second.reset_index(), measure)
    if difference is None:
        return []
    within = contains(difference, figure)
    text = f"the size: {name} changes by {percent_and_seeds(difference)}; the paper's {figure:+.2%}"
    text += f" {in_interval(within)} this interval"
    if within is None:
        text += ", which is too wide to say: it holds zero too"
    return [Statement(text, within, within is None, difference=difference, role="size", seeds=len(difference.by_seed))]


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
    text = f"{setting(prism.iloc[0])} is at least equivalent to tuned decay by NDCG@20: {means(prism, tuned, 'ndcg')}"
    return statement_on(text, prism, tuned, "ndcg", ("equivalent", "better"), rules, about="being as good")


def claim_c12(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C12: alpha trades popular against unpopular items; the best PRISM is fairer than tuned decay and as good.

    Where a strength of the plan was not run, what does not hold is open: validation could choose that strength.

    Args:
        runs: DirectAU with decay from Xavier initialisation, and with PRISM at two alphas or more.
        rules: the margin, and whether one seed gives a word.
    """
    prism, decay = tried_runs(runs)
    if prism["alpha"].nunique() < 2 or decay.empty:
        return [Statement("C12 needs PRISM at two alphas or more and runs with decay", None)]
    chosen = best(prism)
    ours, theirs = seed_by_seed(runs, chosen, best(decay))
    text = (
        f"{setting(chosen)}, chosen by validation{_not_run(runs)}, has a larger unpopular / popular ratio than"
        f" tuned {setting(best(decay))}: {means(ours, theirs, 'ratio', '.3f')}"
    )
    fairer = statement_on(text, ours, theirs, "ratio", ("better",), rules, about="being fairer")
    statements = [
        _open_until_all_are_run(fairer, runs, rules),
        _open_until_all_are_run(_as_good(ours, theirs, rules), runs, rules),
        *_size("the ratio", ours, theirs, "ratio", LARGER_RATIO),
        *_size("NDCG@20", ours, theirs, "ndcg", HIGHER_NDCG),
    ]
    of_the_chosen = [replace(each, alpha=float(chosen.alpha)) for each in statements]
    return [*of_the_chosen, _trade(prism), *_variety(prism, rules)]


def _trade(prism: pd.DataFrame) -> Statement:
    """Whether popular items gain and unpopular ones lose from the smallest alpha to the largest."""
    low, high = (prism.sort_values("alpha").iloc[place] for place in (0, -1))
    return Statement(
        f"popular items gain and unpopular ones lose from alpha {low.alpha:g} to {high.alpha:g}: popular"
        f" {low.popular:.3f} to {high.popular:.3f}, unpopular {low.unpopular:.4f} to {high.unpopular:.4f}",
        bool(high.popular > low.popular and high.unpopular < low.unpopular),
        role="detail",
        seeds=1,
    )


def _variety(prism: pd.DataFrame, rules: Rules) -> list[Statement]:
    """Which other alphas are as good by NDCG@20 as the best one; nothing where the best is not usable."""
    chosen = prism.loc[[best(prism).name]]
    if usable(chosen).empty:
        return []
    words = []
    for place, run in prism.drop(index=chosen.index).iterrows():
        difference = relative_difference(prism.loc[[place]], chosen, "ndcg")
        word = "undecided" if difference is None else judge(difference, rules).word
        change = "" if difference is None else f", {difference.mean:+.1%}"
        words.append((word, f"alpha {run.alpha:g} (ratio {run.ratio:.3f}{change})"))
    good = [text for word, text in words if word in ("equivalent", "better", "not worse")]
    unclear = [text for word, text in words if word in ("undecided", "not better")]
    text = (
        f"other strengths keep NDCG@20 within the margin of {setting(chosen.iloc[0])} (ratio"
        f" {chosen.iloc[0].ratio:.3f}): {', '.join(good) or 'none'} of {len(words)}"
    )
    if unclear:
        text += f", undecided {', '.join(unclear)}"
    holds = True if good else None if unclear else False
    return [Statement(text, holds, holds is None, role="detail", seeds=1)]


def claim_c13(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C13: DirectAU with PRISM is fairer, and better, than BPR and its debiased forms, and it is PRISM's doing.

    PRISM's doing it is where PRISM is fairer than DirectAU with the decay that validation chooses, and where alpha as a
    knob is fairer than decay as a knob, at an equal validation score. A debiased form takes part where it works, by
    :func:`~prismbook.tables.endings.takes_part`; else what the claim says of it is open. That PRISM beats one is open
    where that one was not searched to the end, its decay included: more of the search could turn it. That PRISM does
    not beat it stands, once every strength of the plan was run. Beating BPR says nothing of methods made for fairness:
    it is a detail where none of these is decided.

    The paper promises a better ratio at a higher NDCG, and alpha trades one for the other. So two strengths are set
    against another loss, both named by validation, and one that beats it is enough: the best one, and the smallest one
    that still ranks better by more than the margin.

    Args:
        runs: DirectAU with PRISM, at one strength or more, and each other method from Xavier initialisation.
        rules: the margin, and whether one seed gives a word.
    """
    candidates = first_seed(runs)
    prism = candidates[(candidates["init"] == "prism") & candidates["ndcg"].notna()]
    if prism.empty:
        return [Statement("C13 needs DirectAU with PRISM", None)]
    plain = candidates[candidates["init"] == "xavier"]
    others = best_of_each(plain)
    bpr = next((run for _, run in others.iterrows() if run["loss"] == "BPR" and pd.notna(run["run"])), None)
    statements = [
        _fairer_and_better(runs, prism, other, bpr, _how_searched(plain, other), rules)
        for _, other in others.iterrows()
    ]
    names = [str(other["loss"]) for _, other in others.iterrows()]
    if all(each.holds is None for name, each in zip(names, statements, strict=True) if name in DEBIASED):
        statements = [
            replace(each, role="detail") if name == "BPR" else each
            for name, each in zip(names, statements, strict=True)
        ]
    return [*statements, *_frontier(runs, rules)]


def _how_searched(candidates: pd.DataFrame, other: Any) -> str:
    """How far the chosen method was searched, as text; empty where its choice lies inside what was tried.

    A setting whose run was cut off was not tried.
    """
    finished = candidates[(candidates["loss"] == other["loss"]) & candidates["run"].notna()]
    decays = finished["weight_decay"].unique()
    at_one = f", decay {decays[0]:g} alone, not tuned" if len(decays) == 1 and other["loss"] != "BPR" else ""
    if len(finished) < 2:
        return f"{at_one}, one setting, not searched"
    chosen, same = parameter_values(other["loss_parameters"]), pd.concat([usable(finished), collapsed_runs(finished)])
    tried = [parameter_values(text) for text in same["loss_parameters"]]
    at_edge = edges(chosen, {name: [values[name] for values in tried] for name in chosen})
    notes = [f"{' and '.join(at_edge)} at the edge of what was tried"] if at_edge else []
    if chosen and len(same) < len(finished):
        notes.append(f"{len(finished) - len(same)} of {len(finished)} settings cut off")
    return at_one + "".join(f", {note}" for note in notes)


def _fairer_and_better(
    runs: pd.DataFrame, prism: pd.DataFrame, other: Any, bpr: Any, searched: str, rules: Rules
) -> Statement:
    """Whether PRISM's ratio is larger than another method's, and its NDCG@20 higher, with one of two strengths."""
    chosen = best(prism)
    # Of the same loss with decay the paper says that the ratio is PRISM's doing, not that it ranks worse.
    same_loss = other["loss"] == chosen["loss"]
    name = f"{other['loss']} with {setting(other)}" if same_loss else other["loss"]
    about = "the ratio against tuned decay" if same_loss else f"beating {other['loss']}"
    if pd.isna(other["ndcg"]):
        return Statement(f"against {name}: not run", None, about=about)
    if not same_loss and other["loss"] != "BPR" and (why := _does_not_work(other, bpr)):
        return Statement(f"against {name}{searched}: our baseline does not keep up: {why}", None, True, about=about)
    above = prism[prism["validation"] > (1 + COMPARABLE) * other["validation"]]
    strengths = [chosen]
    if not same_loss and len(above) and above["alpha"].min() != chosen["alpha"]:
        strengths.append(above.iloc[int(np.argmin(above["alpha"]))])
    measures = {"ratio": "ratio"} if same_loss else {"ratio": "ratio", "ndcg": "NDCG@20"}
    statements = []
    for strength in strengths:
        ours, theirs = seed_by_seed(runs, strength, other)
        text = (
            f"against {name}{searched}: ratio {means(ours, theirs, 'ratio', '.3f')},"
            f" NDCG@20 {means(ours, theirs, 'ndcg', '.3f')}, at alpha {strength['alpha']:g}"
        )
        parts = [
            statement_on(f"{text}; by {title}", ours, theirs, measure, ("better",), rules, about=about)
            for measure, title in measures.items()
        ]
        parts = [_open_until_all_are_run(part, runs, rules) for part in parts]
        if searched and not same_loss and other["loss"] != "BPR":
            # a method that was not searched to the end could still turn it
            why = f", which more of {other['loss']}'s search could turn"
            parts = [left_open_with(part, ("better",), rules, why) for part in parts]
        statements.append(replace(weakest(parts), basis=Basis("weakest", among=tuple(parts))))
    first = strongest(statements)
    return first if len(statements) == 1 else replace(first, basis=Basis("strongest", among=tuple(statements)))


def _does_not_work(other: Any, bpr: Any) -> str:
    """Why a debiasing baseline takes no part; empty where it does."""
    if bpr is None:
        return "BPR, which it is to keep up with, is not run"
    if takes_part(other["ndcg"], other["ratio"], bpr["ndcg"], bpr["ratio"]):
        return ""
    return (
        f"at seed {bpr['seed']} it has NDCG@20 {other['ndcg']:.3f} and ratio {other['ratio']:.3f}, BPR at its best"
        f" decay, {bpr['weight_decay']:g}, {bpr['ndcg']:.3f} and {bpr['ratio']:.3f}"
    )


def _frontier(runs: pd.DataFrame, rules: Rules) -> list[Statement]:
    """Alpha as the knob against decay as the knob: the fairest end of each that keeps the score, by validation.

    Of each knob the settings are looked at whose validation score is within 2.5 % of the best of both. Fairer is the
    smaller alpha, and the weaker decay, so that no test score chooses.
    """
    about = "the ratio as a knob against decay"
    candidates = usable(first_seed(runs))
    same = candidates[candidates["loss"] == "DirectAU"]
    alpha = same[same["init"] == "prism"]
    decay = same[(same["init"] == "xavier") & (same["weight_decay"] > 0)]
    if alpha["alpha"].nunique() < 2 or decay["weight_decay"].nunique() < 2:
        return [
            Statement(
                "alpha as the knob against decay as the knob: needs two strengths and two decays", None, about=about
            )
        ]
    lowest = (1 - COMPARABLE) * same.loc[[*alpha.index, *decay.index], "validation"].max()
    kept = [side[side["validation"] >= lowest] for side in (alpha, decay)]
    if any(side.empty for side in kept):
        loser = "alpha" if kept[0].empty else "decay"
        text = f"alpha as the knob against decay as the knob: no setting of {loser} keeps the score"
        missing = bool(_not_run(runs)) and loser == "alpha"
        return [Statement(text, None if missing else loser == "decay", missing, about=about, seeds=1)]
    first = kept[0].iloc[int(np.argmin(kept[0]["alpha"]))]
    second = kept[1].iloc[int(np.argmin(kept[1]["weight_decay"]))]
    ours, theirs = seed_by_seed(runs, first, second)
    text = (
        f"alpha as the knob against decay as the knob, at a validation NDCG@20 within {COMPARABLE:.1%} of the best of"
        f" both:"
        f" {setting(first)} against {setting(second)}, NDCG@20 {means(ours, theirs, 'ndcg')}, ratio"
        f" {means(ours, theirs, 'ratio', '.3f')}"
    )
    statement = statement_on(text, ours, theirs, "ratio", ("better",), rules, about=about)
    if statement.difference is not None:  # decay as a knob is not tuned decay, with which the ledger compares elsewhere
        change = f"{100 * statement.difference.mean:+.0f}% ratio against decay {second.weight_decay:g}"
        statement = replace(statement, shown=change)
    return [_open_until_all_are_run(replace(statement, alpha=float(first.alpha)), runs, rules)]


def claim_c17_norms(runs: pd.DataFrame, case: str = "", rules: Rules = RULES) -> list[Statement]:
    """C17, the measured half: on non-linear MF, SSM washes PRISM's norms out and DirectAU keeps them.

    With SSM "the pre-encoded popularity information is gradually washed out", the paper says, and DirectAU is "ensuring
    that the popularity signal from PRISM is preserved". Each half is a core statement with the same line: log
    popularity explains less than half of the norms' variance under SSM, and more than half under DirectAU. That less is
    left under SSM than under DirectAU follows from both and is a detail, since it holds where nothing is washed out
    too. A half whose interval includes the line is open. Each half is judged at every seed that its loss has. It is
    open where a part of these runs was cut off, since what is left was chosen by how it ended. The norms are taken of
    the perceptron's outputs.

    Args:
        runs: non-linear MF with PRISM, under SSM and under DirectAU.
        case: the protocol that the runs follow.
        rules: the margin, and whether one seed gives a word.
    """
    finished = runs[runs["run"].notna()]
    if not {"SSM", "DirectAU"} <= set(finished["loss"]):
        return [Statement("C17 needs SSM and DirectAU with PRISM on non-linear MF", None, case=case)]
    under, decides = f" ({case})" if case else "", usable(finished)
    relu = {PROTOCOL_CASES["text"]: " with the ReLU", PROTOCOL_CASES["released"]: " without the ReLU"}.get(case, "")
    by_loss = {loss: decides[decides["loss"] == loss].set_index("seed") for loss in ("SSM", "DirectAU")}
    ours = {loss: made["norm_correlation"] for loss, made in by_loss.items()}
    ids = {loss: tuple(made["run"]) for loss, made in by_loss.items()}
    halves = (
        ("SSM", "less than half", "worse", f"SSM's washing out{under}"),
        ("DirectAU", "more than half", "better", f"DirectAU's keeping{under}"),
    )
    statements = []
    for loss, share, word, about in halves:
        text = f"after training under {loss}{relu}{under} log popularity explains {share} of the norms' variance"
        made = finished[finished["loss"] == loss]
        left_out = made[~made["seed"].isin(ours[loss].index)]
        if len(ours[loss]):
            text += f", {_explained(ours[loss].mean()):.0%}"
        if len(left_out):
            had = ", ".join(f"{run.norm_correlation:.2f} at seed {run.seed}" for run in left_out.itertuples())
            text += f"; undecided: {loss} {setbacks(made)}, with a correlation of {had}"
            statements.append(Statement(text, None, undecided=True, about=about))
            continue
        correlation = float(ours[loss].mean())
        text += f" (correlation {correlation:.2f}); off the line at {_HALF:.2f}, where it is half, by"
        difference = Difference(tuple(ours[loss] - _HALF), None, "correlation", runs=ids[loss])
        words = ("above it", "below it", "at it")
        kept = judged(text, difference, (word,), rules, words, about=about, threshold=True)
        statements.append(replace(kept, value=correlation))
    text = f"after training{relu}, item norms correlate with log popularity less under SSM than under DirectAU"
    ssm, directau = ours["SSM"].align(ours["DirectAU"], join="inner")
    known = spread("correlation", across=True)
    across = np.inf if known is None else known.value
    if len(ssm):
        apart = Difference(tuple(directau - ssm), None, "correlation", across, (*ids["SSM"], *ids["DirectAU"]))
        text += f": {ssm.mean():.2f} against {directau.mean():.2f}"
        words = ("more under DirectAU", "less under DirectAU", "as much")
        statements.append(judged(text, apart, ("better",), rules, words, "detail", f"less under SSM{under}"))
    return [replace(each, case=case) for each in statements]


def _explained(correlation: float) -> float:
    """The share of variance that a rising relation explains; 0 where it falls."""
    return max(correlation, 0.0) ** 2


def claim_c19_path(trainings: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """C19 on a dataset: Adam on the batch's rows, without access to the others, trains what Adam on all rows trains.

    The trainings have one start, PRISM's, the same batches and the same negatives, and end after a few epochs: what is
    compared is their path. It is provisional, since there is one seed.

    Args:
        trainings: the part ``quality`` of ``benchmarks/scale.json``, of one dataset.
    """
    follow = "Adam on the batch's rows follows Adam on all rows"
    path = {(run["loss"], run["optimizer"]): run for run in trainings if run["optimizer"] in ("adam", "row_adam")}
    losses = sorted({loss for loss, _ in path if {(loss, "adam"), (loss, "row_adam")} <= path.keys()})
    if not losses:
        return [Statement(f"{follow}: not measured", None)]
    pairs = [(path[loss, "adam"], path[loss, "row_adam"]) for loss in losses]
    gap = max(abs(a - b) for dense, some in pairs for a, b in zip(dense["ndcg"], some["ndcg"], strict=True))
    epochs = plural(min(dense["epochs"] for dense, _ in pairs), "epoch")
    text = (
        f"{follow} from PRISM's start: with {listed_names(losses)} validation NDCG@20 differs by {gap:.1g} at most,"
        f" after each of {epochs}; {FOLLOWS:g} is allowed"
    )
    return [Statement(text, gap <= FOLLOWS, provisional=True, about="Adam on the batch's rows", seeds=1)]


def claim_c19_quality(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C19 on a dataset, a detail: a training with lazy Adam is as good as the same training with dense Adam.

    Lazy Adam leaves out the moves that Adam's momentum makes for rows out of the batch, so it is another
    optimiser. That sparse updates are possible does not hang on it, see :func:`claim_c19_path`.

    Args:
        runs: two runs, with dense Adam and with lazy Adam.
        rules: the margin, and whether one seed gives a word.
    """
    dense, sparse = runs.iloc[[0]], runs.iloc[[1]]
    name = f"{sparse['loss'].iloc[0]} with {setting(sparse.iloc[0])}"
    if runs["run"].isna().any():
        return [Statement(f"{name}: not run with lazy Adam and with dense Adam", None, role="detail")]
    text = f"{name} is as good with lazy Adam as with dense Adam: NDCG@20 {means(sparse, dense, 'ndcg')}"
    return [statement_on(text, sparse, dense, "ndcg", ("equivalent", "better"), rules, role="detail")]


def claim_c23(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C23: weight decay is a coarse, non-linear knob between popular and unpopular items.

    It is coarse where one step, a factor of ten, covers more than half of its range of the gap, popular minus unpopular
    items' NDCG@20. Whether it is coarser than alpha, which steps by a quarter, is beside the claim: the paper compares
    no steps, and calls alpha an "effective knob" alone.

    Args:
        runs: DirectAU at three weight decays or more, and with PRISM at any alphas.
        rules: the margin, and whether one seed gives a word.
    """
    finished = usable(first_seed(runs))  # the settings of a knob were not run at the same seeds
    decay = _gaps(finished[finished["init"] == "xavier"], "weight_decay")
    alpha = _gaps(finished[finished["init"] == "prism"], "alpha")
    if len(decay) < 3:
        return [Statement("C23 needs three weight decays or more", None)]
    coarse = _largest_step(decay["gap"])
    difference = _beyond_half(decay, coarse, finished[finished["init"] == "xavier"])
    text = (
        f"one step of weight decay, a factor of ten, covers {coarse:.0%} of the range of the gap between popular and"
        f" unpopular items ({_spanned(decay['gap'])}); more than half by"
    )
    words = ("more", "less", "half")
    core = judged(text, difference, ("better",), rules, words, about="decay is coarse", threshold=True)
    core = replace(core, shown=f"{coarse:.0%} in one step")
    if len(alpha) < 3:
        return [core]
    share, steps = _largest_step(alpha["gap"]), np.diff(alpha.index.to_numpy(float))
    if not np.allclose(steps, steps[0]):
        beside = f"one step of weight decay against one of alpha: not every strength was run ({_spanned(alpha['gap'])})"
        return [core, Statement(beside, None, role="note")]
    # a step is what a grid has; that one of alpha may be as large is said beside the claim
    beyond, step = "more than half too" if share > 0.5 else "not more than half", steps[0]
    core = replace(core, text=f"{core.text}; the largest step of alpha, of {step:g}, covers {share:.0%}, {beyond}")
    of_alpha = _beyond_half(alpha, share, finished[finished["init"] == "prism"])
    beside = (
        f"one step of weight decay covers more of its range than one of alpha, whose largest covers {share:.0%} of its"
        f" own, {'more' if share > 0.5 else 'not more'} than half ({_spanned(alpha['gap'])}); more by"
    )
    words = ("more", "less", "as much")
    about = "decay coarser than alpha"
    return [core, judged(beside, minus(difference, of_alpha), ("better",), rules, words, "detail", about)]


def _beyond_half(gaps: pd.DataFrame, share: float, runs: pd.DataFrame) -> Difference:
    """By how much the largest step covers more than half of a knob's range.

    The step and the range are each a difference of two settings, and the range is the scale.
    """
    known = spread("gap")
    scale = float(gaps["ndcg"].mean() / np.ptp(gaps["gap"].to_numpy(float)))
    error = np.inf if known is None else known.value * scale * float(np.hypot(1, share))
    return Difference((share - 0.5,), None, "gap", error, tuple(runs["run"]), in_dip=len(dips(runs)) > 0)


def _gaps(runs: pd.DataFrame, knob: str) -> pd.DataFrame:
    """The mean gap and NDCG@20 over the runs at each value of a knob."""
    return runs.assign(gap=gap(runs)).groupby(knob)[["gap", "ndcg"]].mean()


def _spanned(gaps: pd.Series) -> str:
    """The values of a knob and its smallest and its largest gap."""
    return f"{', '.join(f'{value:g}' for value in gaps.index)}: {gaps.min():.3f} to {gaps.max():.3f}"


def _largest_step(values: pd.Series) -> float:
    """The largest difference of neighbours, as a share of the range."""
    scores = values.to_numpy(float)
    return float(np.abs(np.diff(scores)).max() / np.ptp(scores))
