"""Judgements of what the paper measures of weight decay: C1 to C3, C6, C7, C14, C18, C21 and C22.

Each function takes runs, a table of :func:`prismbook.tables.analysis.tidy`, and returns statements with their numbers.
A setting is chosen by validation at the first seed, and compared at every seed at which it is stored. Where the paper
speaks of degrees ("strongly", "minimal"), the statement says which line is drawn. The claims on PRISM are in
:mod:`prismbook.claims.prism_claims`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from prismbook.claims.comparison import judged, means, minus, statement_on, times
from prismbook.claims.statements import (
    Basis,
    Statement,
    from_judgement,
    holds_with,
    in_words,
    left_open_with,
    provisionally,
    weakest,
)
from prismbook.plan.experiments import ALL_DECAYS, BEYOND
from prismbook.runs.records import Record
from prismbook.tables.analysis import SATURATED, best, epochs_to, first_seed
from prismbook.tables.endings import edges
from prismbook.tables.rules import MAY_BE, MEASURES, RULES, Difference, Judgement, Rules, judge
from prismbook.tables.seed_differences import collapsed_runs, common, dips, gap, relative_difference, setbacks, usable
from prismbook.tables.spreads import spread
from prismbook.text import listed_names, plural

#: The gap between popular and unpopular items is not a score; its words are these.
_GAP_WORDS = ("wider", "narrower", "as wide")
#: The same where the gaps of two losses are compared, and nothing widens.
_LEVEL_WORDS = ("higher", "lower", "as high")
#: A relation explains more than half of a variance where its correlation is above this.
_HALF = float(np.sqrt(0.5))


def chosen_decay(runs: pd.DataFrame) -> Any:
    """The weight decay that validation chooses at the first seed, among the runs that decide something.

    Args:
        runs: of one loss; at least one of the first seed must decide something.
    """
    return best(usable(first_seed(runs)))["weight_decay"]


def _at(runs: pd.DataFrame, decay: float) -> pd.DataFrame:
    return runs[runs["weight_decay"] == decay]


def _made(runs: pd.DataFrame, loss: str | None = None) -> pd.DataFrame:
    made = runs[runs["run"].notna()]
    return made if loss is None else made[made["loss"] == loss]


def claim_c1(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C1: DirectAU on MF depends strongly on weight decay; with too weak a decay it falls below BPR.

    Too weak is no decay at all, and every decay that is weaker than the one that validation chooses for DirectAU. The
    worst decay, and the one at which DirectAU is furthest behind BPR, are chosen by validation too.

    Args:
        runs: BPR and DirectAU without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    directau, bpr = _made(runs, "DirectAU"), _made(runs, "BPR")
    shared = sorted(set(directau["weight_decay"]) & set(bpr["weight_decay"]))
    if len(shared) < 2 or shared[0] != 0:
        return [Statement("C1 needs BPR and DirectAU without decay and at one weight decay or more", None)]
    if usable(first_seed(directau)).empty:
        return [Statement(f"DirectAU {setbacks(directau, 'run')}", None, undecided=True)]
    too_weak = [decay for decay in shared if decay < max(chosen_decay(directau), shared[1])]
    return [_sensitive(directau, "DirectAU", rules), _falls_below(directau, bpr, too_weak, rules)]


def _sensitive(runs: pd.DataFrame, loss: str, rules: Rules) -> Statement:
    """Whether the decay that is worst by validation costs a loss, against the one that is best."""
    about = f"a poor choice of decay with {loss}"
    working = usable(first_seed(runs))
    if working["weight_decay"].nunique() < 2:
        return Statement(f"{loss} needs two weight decays or more", None, undecided=len(runs) > 0, about=about)
    chosen, worst = chosen_decay(runs), working.iloc[int(np.argmin(working["validation"]))]["weight_decay"]
    ours, theirs = _at(runs, worst), _at(runs, chosen)
    text = (
        f"a poor choice of weight decay degrades {loss} under Adam: NDCG@20 {means(ours, theirs, 'ndcg')}, at"
        f" {worst:g} and {chosen:g}, the worst and the best by validation"
    )
    return statement_on(text, ours, theirs, "ndcg", ("worse",), rules, about=about)


def _falls_below(directau: pd.DataFrame, bpr: pd.DataFrame, decays: Sequence[float], rules: Rules) -> Statement:
    """Whether DirectAU is worse than BPR at the decay, of some, at which it is furthest behind by validation."""
    text, about = "at too weak a decay DirectAU falls below BPR", "below BPR at too weak a decay"
    sides = [usable(first_seed(runs)).set_index("weight_decay")["validation"] for runs in (directau, bpr)]
    behind = (sides[0] / sides[1] - 1).dropna()
    behind = behind[behind.index.isin(decays)]
    if behind.empty:
        ended = [
            f"{loss} {why}" for loss, runs in (("DirectAU", directau), ("BPR", bpr)) if (why := setbacks(runs, "run"))
        ]
        return Statement(f"{text}; undecided: {', '.join(ended)}", None, undecided=True, about=about)
    worst: Any = behind.idxmin()
    found = {decay: relative_difference(_at(directau, decay), _at(bpr, decay), "ndcg") for decay in behind.index}
    words = {decay: judge(each, rules).word for decay, each in found.items() if each is not None}
    ours, theirs = _at(directau, worst), _at(bpr, worst)
    worse = list(words.values()).count("worse")
    text += f": by the rules it is worse at {worse} of {plural(len(words), 'decay')} weaker than its best"
    if worst != 0 and 0 in words:
        text += f", and {words[0]} at no decay"
    text += f"; at {worst:g}, where validation has it furthest behind, NDCG@20 {means(ours, theirs, 'ndcg')}"
    return statement_on(text, ours, theirs, "ndcg", ("worse",), rules, about=about)


def claim_c2(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C2: a stronger decay widens the gap between popular and unpopular items; BPR's less than DirectAU's.

    Each loss is looked at up to the decay that validation chooses for it. Beyond it decay outweighs the loss, and what
    is left is a ranking by popularity alone, or nothing. "Since BPR can inherently encode popularity information [...]
    even without weight decay, we find that the performance gap between popular and unpopular items is less pronounced
    compared to DirectAU", the paper says. Its reason is about how much decay widens the gap, its words are about the
    gap itself. Both readings are the core. With other losses than DirectAU the paper does not compare BPR.

    Args:
        runs: one loss or more, without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    losses = list(runs["loss"].unique())
    statements = [wider_gap(_made(runs, loss), loss, rules) for loss in losses]
    if "BPR" in losses:
        others = [loss for loss in losses if loss != "BPR"]
        statements += [_widens_less(runs, other, rules) for other in others]
        statements += [_lower_level(runs, other, rules) for other in others]
    return statements + [_step_by_step(_made(runs, loss), loss, rules) for loss in losses]


def _step_by_step(runs: pd.DataFrame, loss: str, rules: Rules) -> Statement:
    """Whether a loss's gap narrows at no step of decay, up to its best decay: Figure 1 has a monotone trend."""
    text, about = f"{loss}'s gap narrows at no step of decay up to its best", f"each step of {loss}"
    working = usable(first_seed(runs))
    decays = [] if working.empty else sorted(set(working["weight_decay"]))
    decays = [decay for decay in decays if decay <= chosen_decay(runs)]
    if len(decays) < 3:
        return Statement(f"{text} (fewer than two steps were run)", None, role="detail", about=about)
    steps = [
        statement_on(
            f"from {low:g} to {high:g}",
            _at(runs, high),
            _at(runs, low),
            "gap",
            ("better", "equivalent", "not worse"),
            rules,
            _GAP_WORDS,
            "detail",
        )
        for low, high in pairwise(decays)
    ]
    said = f"{text}: {'; '.join(step.text for step in steps)}"
    seeds = min((step.seeds for step in steps if step.seeds is not None), default=None)
    return replace(
        weakest(steps), text=said, about=about, difference=None, seeds=seeds, basis=Basis("weakest", among=tuple(steps))
    )


def _widening(runs: pd.DataFrame) -> tuple[Any, Difference | None]:
    """The decay that validation chooses for a loss, and how much wider its gap is there than without decay."""
    if usable(first_seed(runs)).empty:
        return None, None
    chosen = chosen_decay(runs)
    return chosen, relative_difference(_at(runs, chosen), _at(runs, 0), "gap") if chosen > 0 else None


def wider_gap(runs: pd.DataFrame, loss: str, rules: Rules = RULES) -> Statement:
    """Whether the gap of one loss is wider at its best weight decay than without decay.

    Args:
        runs: of the loss, with a record each.
        loss: its name, as a reader sees it.
        rules: the margin, and whether one seed gives a word.
    """
    about = f"the gap of {loss}"
    if runs["weight_decay"].nunique() < 2 or runs["weight_decay"].min() > 0:
        return Statement(f"{loss}: needs a run without decay and one with", None, about=about)
    text, (chosen, _) = f"{loss}'s gap widens from no decay to its best decay", _widening(runs)
    if not chosen:
        why = "validation chooses no decay" if chosen == 0 else setbacks(runs, "run")
        waited = set(runs.loc[runs["instead_of"].notna(), "weight_decay"])
        if chosen == 0 and waited == {0}:
            why += ", of which alone a run was repeated with more patience"
        return Statement(f"{text}; undecided: {why}", None, undecided=True, about=about)
    ours, none = common(_at(runs, chosen), _at(runs, 0), ["seed"])
    text += f" of {chosen:g}"
    if len(ours):
        text += (
            f": popular minus unpopular {gap(none).mean():.3f} to {gap(ours).mean():.3f}, a change as a share of"
            " NDCG@20 without decay"
        )
    return statement_on(text, _at(runs, chosen), _at(runs, 0), "gap", ("better",), rules, _GAP_WORDS, about=about)


def _widens_less(runs: pd.DataFrame, other: str, rules: Rules) -> Statement:
    """Whether decay widens BPR's gap less than another loss's. The paper compares it with DirectAU."""
    role, about = _role_beside(other), f"BPR widening less than {other}"
    text = f"BPR's gap widens less than {other}'s"
    sides = [_made(runs, loss) for loss in ("BPR", other)]
    if any(each["weight_decay"].nunique() < 2 or each["weight_decay"].min() > 0 for each in sides):
        return Statement(f"{text} (not run in both)", None, role=role, about=about)
    (_, ours), (_, theirs) = map(_widening, sides)
    if ours is None or theirs is None:
        ended = ", ".join(
            f"{loss} {why}" for loss, each in zip(("BPR", other), sides, strict=True) if (why := setbacks(each, "run"))
        )
        why = ended or "validation chooses no decay for one of them"
        return Statement(f"{text}; undecided: {why}", None, undecided=True, role=role, about=about)
    text += f": by {ours.mean:+.1%} against {theirs.mean:+.1%} of NDCG@20 without decay"
    return judged(text, minus(ours, theirs), ("worse",), rules, ("more", "less", "as much"), role, about)


def _role_beside(other: str) -> str:
    """What a comparison of BPR with another loss is to C2."""
    return "core" if other == "DirectAU" else "detail"


def _lower_level(runs: pd.DataFrame, other: str, rules: Rules) -> Statement:
    """Whether BPR's gap is smaller than another loss's, each at its best decay."""
    text = f"the level of BPR's gap is below {other}'s, each at its best decay"
    role = _role_beside(other)
    about = "BPR's lower level" if role == "core" else f"the level against {other}"
    sides = [_made(runs, loss) for loss in ("BPR", other)]
    if any(usable(first_seed(each)).empty for each in sides):
        ended = ", ".join(
            f"{loss} {why}" for loss, each in zip(("BPR", other), sides, strict=True) if (why := setbacks(each, "run"))
        )
        return Statement(f"{text}; {ended or 'not run in both'}", None, undecided=bool(ended), role=role, about=about)
    ours, theirs = (_at(each, chosen_decay(each)) for each in sides)
    shared = common(ours, theirs, ["seed"])
    if len(shared[0]):
        text += f": {gap(shared[0]).mean():.3f} against {gap(shared[1]).mean():.3f}"
    return statement_on(text, ours, theirs, "gap", ("worse",), rules, _LEVEL_WORDS, role, about)


def moderate_decay(runs: pd.DataFrame) -> float:
    """The one decay at which C3 judges all losses: the one that validation chooses for DirectAU, else for any loss.

    Args:
        runs: as in :func:`claim_c3`.

    Returns:
        The decay, or -1 where no run with one has lengths.
    """
    made = runs[runs["norm_correlation"].notna() & (runs["weight_decay"] > 0)]
    leading = made[made["loss"] == "DirectAU"]
    leading = made if leading.empty else leading
    return -1.0 if leading.empty else float(best(first_seed(leading))["weight_decay"])


def _at_its_own(runs: pd.DataFrame, moderate: float) -> str:
    """The correlation at the decay that validation chooses for this loss, where that is not the moderate one."""
    decayed = runs[runs["weight_decay"] > 0]
    if usable(first_seed(decayed)).empty or (own := float(chosen_decay(decayed))) == moderate:
        return ""
    return f", at its own choice, {own:g}, a correlation of {usable(_at(decayed, own))['norm_correlation'].mean():.2f}"


def claim_c3(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C3: item norms follow log popularity under moderate decay, and carry little of it without decay.

    Moderate is one decay for all losses, as in the paper's Figure 2: the one that validation chooses for DirectAU, else
    for the first loss. Norms follow log popularity where it explains more than half of their variance and they rise
    with it. Without decay they carry little of it where it explains less than half as much as with decay, whichever way
    they go. A run that decides nothing, e.g. one that was cut off, takes no part.

    Args:
        runs: one loss or more, without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    moderate = moderate_decay(runs)
    statements: list[Statement] = []
    for loss, group in runs.groupby("loss", sort=False):
        finished = group[group["norm_correlation"].notna()]
        zero, decayed = (usable(_at(finished, decay)) for decay in (0, moderate))
        if zero.empty or decayed.empty:
            ended = setbacks(pd.concat([_at(finished, decay) for decay in (0, moderate)]), "run")
            text = f"{loss}: needs a run without decay and one at {moderate:g}"
            if ended:
                text = f"{loss} without decay and at {moderate:g}; undecided: {ended}"
            statements.append(Statement(text, None, undecided=bool(ended), about=str(loss)))
            continue
        strength, left = decayed["norm_correlation"], zero["norm_correlation"]
        half = _HALF * float(strength.abs().mean())
        with_decay, without = float(strength.mean()), float(left.mean())
        chosen = "" if loss == "DirectAU" else ", which validation chooses for DirectAU"
        own = _at_its_own(finished, moderate)
        followed = judged(
            f"{loss} under Adam at decay {moderate:g}{chosen}: {_explained(with_decay)}{own};"
            f" off the line at {_HALF:.2f}, where half is explained, by",
            _correlation(strength - _HALF, decayed),
            ("better",),
            rules,
            ("above it", "below it", "at it"),
            about=f"{loss} with decay",
            threshold=True,
        )
        little = judged(
            f"{loss} without decay: {_explained(without)}; half as much as with decay is at a correlation of"
            f" {half:.2f}, of either sign; off that by",
            _correlation(left.abs() - half, zero, decayed),
            ("worse",),
            rules,
            ("above it", "below it", "at it"),
            about=f"{loss} without decay",
            threshold=True,
        )
        statements += [replace(followed, value=with_decay), replace(little, value=without)]
    return statements


def _correlation(values: pd.Series, *sides: pd.DataFrame) -> Difference:
    """A difference of correlations at each seed, of the runs of some settings."""
    in_dip = any(len(dips(runs)) for runs in sides)
    return Difference(tuple(values.tolist()), None, "correlation", runs=_ids(*sides), in_dip=in_dip)


def _ids(*sides: pd.DataFrame) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for runs in sides for name in runs["run"]))


def _explained(correlation: float) -> str:
    falling = "" if correlation > 0 else ", which fall with it"
    share = f"{correlation**2:.0%} of the variance of norms"
    return f"log popularity explains {share}{falling} (correlation {correlation:.2f})"


def claim_c6(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C6: decay on the batch's rows alone performs like no decay, and its norms lose popularity.

    Like no decay is at most a fifth of what decay of the whole tables gains, at the decay that validation chooses for
    it. On every dataset the scopes are compared at that tuned decay, where decay does the most. Other decays that write
    popularity into norms where they act on the whole tables are beside the claim. A weaker decay has nothing to lose;
    it is left out, and the statement names it. That the norms resemble those without decay, as the paper's appendix
    says, is a detail.

    Args:
        runs: DirectAU without decay, and at one decay or more both on the whole tables and on the batch's rows.
        rules: the margin, and whether one seed gives a word.
    """
    finished = runs[runs["ndcg"].notna()]
    none = _at(finished, 0).drop_duplicates("seed")  # the scopes do not differ there
    settings: dict[Any, pd.DataFrame] = {
        (scope, decay): group
        for (scope, decay), group in finished[finished["weight_decay"] > 0].groupby(["decay_scope", "weight_decay"])
    }
    shared = [decay for scope, decay in settings if scope == "batch" and ("table", decay) in settings]
    if none.empty or not shared:
        return [Statement("C6 needs a run without decay and one decay in both scopes", None)]
    whole = finished[(finished["decay_scope"] == "table") & (finished["weight_decay"] > 0)]
    if usable(first_seed(whole)).empty:
        return [Statement("decay of the whole tables decides nothing: " + setbacks(whole, "run"), None, undecided=True)]
    chosen = chosen_decay(whole)
    gain = relative_difference(_at(whole, chosen), none, "ndcg")
    unwritten = none["norm_correlation"].mean() + rules.margin_of("correlation")
    weak = [decay for decay in shared if settings["table", decay]["norm_correlation"].mean() <= unwritten]
    line = f"whose correlation is at most {rules.margin_of('correlation'):g} above that without decay"
    left_out = f" (left out: {', '.join(f'{decay:g}' for decay in weak)}, {line})" if weak else ""
    if chosen not in shared or chosen in weak:
        return [Statement(f"C6 needs decay {chosen:g}, the tuned one, in both scopes, and popularity in lengths", None)]
    tuned_first = [chosen, *(decay for decay in shared if decay not in (chosen, *weak))]
    each = [_batched(decay, settings, none, gain, decay == chosen, rules) for decay in tuned_first]
    ordered = [statement for parts in zip(*each, strict=True) for statement in parts]
    ordered.sort(key=lambda statement: statement.role != "core")
    return [replace(ordered[0], text=ordered[0].text + left_out), *ordered[1:]]


def _batched(
    decay: float, settings: dict[Any, pd.DataFrame], none: Any, gain: Difference | None, tuned: bool, rules: Rules
) -> list[Statement]:
    """The statements of C6 at one decay, under each scope and without decay. The tuned one is the core."""
    batch, whole, role = settings["batch", decay], settings["table", decay], "core" if tuned else "detail"
    at = f"decay {decay:g}, which validation chooses for the whole tables," if tuned else f"decay {decay:g}"
    text, about = f"{at} performs on the batch's rows like no decay", "performing like no decay"
    difference = relative_difference(batch, none, "ndcg")
    if difference is None or gain is None or gain.mean <= 0:
        ended = setbacks(batch) or setbacks(none) or "decay of the whole tables gains nothing"
        alike = Statement(f"{text}; undecided: {ended}", None, undecided=True, role=role, about=about)
    else:
        text += (
            f": NDCG@20 {means(batch, none, 'ndcg')} is {difference.mean:+.1%}, where tuned decay of the whole tables"
            f" gains {gain.mean:+.1%}; as a share of that gain"
        )
        # what is worse than no decay is no gain either
        share, words = times(difference, 1 / gain.mean, "gain"), ("more", "less", "like none")
        by_score = in_words(judge(difference, rules), *words[:2], "as much")
        remark = f"; by the margin of {MEASURES['ndcg'].title} itself it is {by_score}"
        alike = judged(text, share, ("equivalent", "worse"), rules, words, role, about, remark)
    loses = f"decay {decay:g}: item norms correlate less with log popularity than under decay of the whole tables,"
    resembles = f"decay {decay:g}: item norms resemble those without decay, a correlation of"
    return [
        alike,
        _on_correlations(loses, batch, whole, ("worse",), rules, role, "norms that lose popularity"),
        _on_correlations(resembles, batch, none, ("equivalent",), rules, "detail", "norms like those without decay"),
    ]


def _on_correlations(
    text: str,
    first: pd.DataFrame,
    second: pd.DataFrame,
    holds: Sequence[str],
    rules: Rules,
    role: str,
    about: str,
) -> Statement:
    """A statement on norms' correlations at the seeds that both have, open where no run of a side decides anything.

    The means of the two sides over these seeds follow the text.
    """
    sides = [runs.drop_duplicates("seed").set_index("seed")["norm_correlation"] for runs in (first, second)]
    shared = pd.concat(sides, axis=1, join="inner").dropna()
    values = shared if len(shared) else pd.concat([side.reset_index(drop=True) for side in sides], axis=1)
    ours, theirs = values.iloc[:, 0], values.iloc[:, 1]
    text += f" {ours.mean():.2f} against {theirs.mean():.2f}"
    if shared.empty:
        return Statement(f"{text}; undecided: no seed in common", None, undecided=True, role=role, about=about)
    if ended := next((setbacks(side) for side in (first, second) if usable(side).empty), ""):
        return Statement(f"{text}; undecided: {ended}", None, undecided=True, role=role, about=about)
    difference = _correlation(ours - theirs, first, second)
    return judged(text, difference, holds, rules, ("more", "less", "as much"), role, about)


def claim_c7(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C7: LightGCN is relatively consistent over weight decay, and changes less than MF with the same loss.

    On each backbone the decays that are best and worst by validation are compared.

    Args:
        runs: LightGCN and MF at two weight decays or more.
        rules: the margin, and whether one seed gives a word.
    """
    made = _made(runs)
    decays = [set(made.loc[made["backbone"] == name, "weight_decay"]) for name in ("LightGCN", "MF")]
    both = sorted(decays[0] & decays[1])
    sides = {name: made[(made["backbone"] == name) & made["weight_decay"].isin(both)] for name in ("LightGCN", "MF")}
    if len(both) < 2 or any(usable(first_seed(side))["weight_decay"].nunique() < 2 for side in sides.values()):
        return [Statement("C7 needs LightGCN and MF at two weight decays or more", None)]
    places = {name: _worst_and_best(side) for name, side in sides.items()}
    lost = {name: relative_difference(*places[name], "ndcg") for name in sides}
    text = f"over decays {both[0]:g} to {both[-1]:g} LightGCN changes less than MF"
    ours, theirs = lost["LightGCN"], lost["MF"]
    if ours is None or theirs is None:
        less = Statement(f"{text}; undecided", None, undecided=True, about="changing less than MF")
    else:
        text += f": its worst decay by validation costs {-ours.mean:.0%} of the best, on MF {-theirs.mean:.0%}"
        words = ("more", "less", "as much")
        less = judged(text, minus(theirs, ours), ("worse",), rules, words, about="changing less than MF")
    worst, top = places["LightGCN"]
    text = f"LightGCN is relatively consistent: NDCG@20 {means(worst, top, 'ndcg')}, at the worst decay and the best"
    consistent = statement_on(text, worst, top, "ndcg", ("equivalent",), rules, about="being consistent")
    return [less, consistent, *_by_the_line_of_c6(places, rules)]


def _by_the_line_of_c6(places: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], rules: Rules) -> list[Statement]:
    """What the line of C6 says of LightGCN, a share of what decay gains on MF: a note beside C7.

    Args:
        places: of LightGCN and MF the runs at the decay that is worst by validation, and at the best.
        rules: the margin, and whether one seed gives a word.
    """
    ours, theirs = (relative_difference(top, worst, "ndcg") for worst, top in (places["LightGCN"], places["MF"]))
    if ours is None or theirs is None or theirs.mean <= 0:
        return []
    share = times(ours, 1 / theirs.mean, "gain")
    holds = holds_with(judge(share, rules).word, ("equivalent", "worse"))
    said = {True: "consistent", False: "not consistent", None: "open"}[holds]
    low, high = share.interval
    text = (
        f"by the line of C6, at most {rules.margin_of('gain'):.0%} of what decay gains on MF, LightGCN would be {said}:"
        f" from the worst decay to the best it gains {ours.mean:+.1%}, which is {share.mean:.1%} [{low:.1%},"
        f" {high:.1%}] of MF's {theirs.mean:+.1%}"
    )
    return [Statement(text, None, role="note", about="the line of C6")]


def _worst_and_best(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs at the decay that is worst by validation at the first seed, and at the one that is best."""
    working = usable(first_seed(runs))
    worst = working.iloc[int(np.argmin(working["validation"]))]["weight_decay"]
    return _at(runs, worst), _at(runs, chosen_decay(runs))


def claim_c14(records: Sequence[Record], rules: Rules = RULES) -> list[Statement]:
    """C14: validation by cosine saturates early, validation by dot product keeps rising.

    Args:
        records: of DirectAU at the decay that validation chooses, one per seed; none where nothing was run.
        rules: the margin, and whether one seed gives a word.
    """
    if not records:
        return [Statement("C14 needs DirectAU at one weight decay or more", None)]
    dot, cosine, kept = [], [], []
    for record in records:
        curve = record["history"]["validation_cosine"]
        dot.append(epochs_to(record["history"]["validation_dot"]) + 1)
        cosine.append(epochs_to(curve) + 1)
        kept.append(curve[record["best_epoch"]] / max(curve))
    decay = records[0]["config"]["weight_decay"]
    ids = tuple(record["id"] for record in records)
    sooner = Difference(tuple(np.log(np.divide(cosine, dot)).tolist()), None, "epochs", runs=ids)
    text = (
        f"at decay {decay:g} the cosine curve reaches {100 * SATURATED:g} % of its maximum after"
        f" {_listed(cosine)} epochs, the dot-product curve after {_listed(dot)}"
    )
    stays = Statement(
        f"and stays there: at the best epoch by dot product it is at {min(kept):.0%} of it or more",
        min(kept) >= SATURATED,
        about="staying there",
    )
    return [
        judged(text, sooner, ("worse",), rules, ("later", "sooner", "at the same time"), about="saturating first"),
        *provisionally([stays], len(records)),
    ]


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def claim_c18(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C18: on non-linear MF too, decay widens the gap between popular and unpopular items, and performance hangs on it.

    The appendix claims no order of the losses there.

    Args:
        runs: non-linear MF, one loss or more, without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    made = _made(runs)
    if made["weight_decay"].nunique() < 2:
        return [Statement("C18 needs non-linear MF at two weight decays or more", None)]
    statements = [wider_gap(_made(runs, loss), str(loss), rules) for loss in runs["loss"].unique()]
    directau = _made(runs, "DirectAU")
    return statements if directau.empty else [_sensitive(directau, "DirectAU", rules), *statements]


def claim_c21(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C21: careful tuning of weight decay is needed, regardless of the loss.

    It is needed where the decay that validation chooses is better than none. It is careful where most other choices are
    worse than the one that validation makes. No decay is one choice, together with every decay that is too weak to
    differ from it: of those a grid may hold any number. Each stronger decay, in factors of ten, is a choice of its own.
    Where the best is the strongest that was run, what does not hold is open: a stronger decay could turn it.

    Args:
        runs: one loss or more, without decay and at one weight decay or more; see :func:`with_stronger`.
        rules: the margin, and whether one seed gives a word.
    """
    return [
        statement
        for loss, group in runs.groupby("loss", sort=False)
        for statement in _needs_tuning(_made(group), str(loss), rules)
    ]


def with_stronger(runs: pd.DataFrame, stronger: pd.DataFrame) -> pd.DataFrame:
    """The runs, and the next stronger decay of a loss whose best is the strongest, until its best is inside.

    The searches of Table 1 grow alike. A decay whose run decides nothing at the first seed is not taken.

    Args:
        runs: one loss or more, at the decays of a grid.
        stronger: the same losses at stronger decays, as far as they were run.
    """
    grown = [runs]
    for loss in runs["loss"].unique():
        own = _made(runs, loss)
        if usable(first_seed(own)).empty:
            continue
        seed, further = own["seed"].iloc[0], _made(stronger, loss)
        for decay in sorted(set(further["weight_decay"])):
            more = _at(further, decay)
            if chosen_decay(own) < own["weight_decay"].max() or usable(more[more["seed"] == seed]).empty:
                break
            own = pd.concat([own, more], ignore_index=True)
            grown.append(more)
    return pd.concat(grown, ignore_index=True) if len(grown) > 1 else runs


def _needs_tuning(runs: pd.DataFrame, loss: str, rules: Rules) -> list[Statement]:
    """Whether the decay that validation chooses for a loss is better than none, and than most decays."""
    needed, careful = f"decay with {loss}", f"careful tuning with {loss}"
    decays = sorted(set(runs["weight_decay"]))
    if len(decays) < 2 or decays[0] != 0 or usable(first_seed(runs)).empty:
        return [Statement(f"{loss}: needs a run without decay and one with", None, about=needed)]
    chosen = chosen_decay(runs)
    ours, none = _at(runs, chosen), _at(runs, 0)
    at_edge = ", the strongest of these runs" if edges({"decay": chosen}, {"decay": decays}) else ""
    beyond = [f"{decay:g}" for decay in decays if decay > max(ALL_DECAYS)]
    grown = f" ({listed_names(beyond)} beyond RQ1's grid, from Table 1's search)" if beyond else ""
    text = (
        f"{loss} needs decay under Adam: NDCG@20 {means(ours, none, 'ndcg')}, at {chosen:g}, the best by validation of"
        f" {len(decays) - 1} decays here{grown}{at_edge}, and without"
    )
    first = statement_on(text, ours, none, "ndcg", ("better",), rules, about=needed)
    if at_edge:
        failing = [word for word in MAY_BE if holds_with(word, ("better",)) is False]
        first = left_open_with(first, failing, rules, ", which a stronger decay could turn")
    return [first, _careful(runs, [decay for decay in decays if decay > 0], loss, rules, careful)]


def _careful(runs: pd.DataFrame, decays: Sequence[float], loss: str, rules: Rules, about: str) -> Statement:
    """Whether most other choices of decay are worse than the one that validation makes.

    Those that do not differ from no decay are one choice.
    """
    decided = pd.concat([usable(runs), collapsed_runs(runs)])
    tried = [decay for decay in decays if decay in set(decided["weight_decay"])]
    if len(tried) < 3 or usable(first_seed(runs[runs["weight_decay"] > 0])).empty:
        return Statement(f"{loss}: how careful needs three weight decays or more", None, role="detail", about=about)
    chosen = chosen_decay(runs[runs["weight_decay"] > 0])
    too_weak = _like_none(runs, tried)
    none = [0.0] if 0 in set(decided["weight_decay"]) else []
    others = [*none, *(decay for decay in tried if decay != chosen and decay not in too_weak)]
    words: dict[float, Judgement] = {}
    parts: dict[float, Statement] = {}
    seeds = None
    for decay in others:
        difference = relative_difference(_at(runs, decay), _at(runs, chosen), "ndcg")
        words[decay] = Judgement("worse") if difference is None else judge(difference, rules)  # a collapse is worse
        parts[decay] = from_judgement("", words[decay], ("worse",), difference)
        seeds = seeds if difference is None else max(seeds or 0, len(difference.by_seed))
    # where the best is the strongest, the stronger ones that a search goes on to are choices of which nothing is known
    unknown = [decay for decay in BEYOND["weight_decay"] if decay > chosen] if chosen == max(tried) else []
    among_others = f"{plural(len(others) + len(unknown), 'other choice')} up to {max(*tried, *unknown):g}"
    for decay in unknown:
        words[decay], parts[decay] = Judgement("undecided"), Statement("", None, undecided=True)
    others += unknown
    worse = [decay for decay in others if words[decay].word == "worse"]
    near = [decay for decay in others if "worse" not in MAY_BE[words[decay].word]]
    text = (
        f"{loss} needs it tuned with care, so that most other choices are worse: {len(worse)} of {among_others}"
        f" {'comes' if len(others) == 1 else 'come'} out worse than {chosen:g}, {len(near)} as good,"
        f" {len(others) - len(worse) - len(near)} undecided"
    )
    if alike := [f"{decay:g}" for decay in tried if decay in too_weak and decay != chosen]:
        text += f" (no decay and what does not differ from it are one choice: {', '.join(alike)})"
    if unknown:
        not_run = listed_names([f"{decay:g}" for decay in unknown])
        text += f" (the best is the strongest that was run; {not_run} count as undecided)"
    all_others = [decay for decay in (*none, *tried) if decay != chosen]
    raw = sum(_worse_than_chosen(runs, decay, chosen, rules) for decay in all_others)
    text += f"; each other decay that was run by itself: {raw} of {len(all_others)} worse"
    among = [parts[decay] for decay in others]  # for other rules
    holds = _most_are_worse(list(words.values()))
    firm = _most_are_worse([Judgement(each.firm) if each.provisional else each for each in words.values()])
    basis = Basis("most", among=tuple(among))
    if holds is None:
        return Statement(text, None, undecided=True, about=about, seeds=seeds, basis=basis)
    return Statement(text, holds, provisional=firm is None, about=about, seeds=seeds, basis=basis)


def _worse_than_chosen(runs: pd.DataFrame, decay: float, chosen: float, rules: Rules) -> bool:
    """Whether one decay is worse than the chosen one; a collapse is."""
    difference = relative_difference(_at(runs, decay), _at(runs, chosen), "ndcg")
    return difference is None or judge(difference, rules).word == "worse"


def _like_none(runs: pd.DataFrame, tried: Sequence[float]) -> list[float]:
    """The decays below the smallest that differs from no decay, by the ledger's rules whatever the others are.

    Where one of the two cannot be compared, because it collapsed or was cut off, they differ.
    """

    def differs(decay: float) -> bool:
        difference = relative_difference(_at(runs, decay), _at(runs, 0), "ndcg")
        return difference is None or judge(difference).word in ("better", "worse")

    smallest = next((decay for decay in tried if differs(decay)), np.inf)
    return [decay for decay in tried if decay < smallest]


def _most_are_worse(words: Sequence[Judgement]) -> bool | None:
    """Whether more than half of some decays are worse; None where those that are undecided could turn it."""
    worse = sum(each.word == "worse" for each in words)
    undecided = sum("worse" in MAY_BE[each.word] for each in words) - worse
    if 2 * worse > len(words):
        return True
    return None if 2 * (worse + undecided) > len(words) else False


def claim_c22(runs: pd.DataFrame, rules: Rules = RULES) -> list[Statement]:
    """C22: BPR's performance changes little with weight decay, compared with DirectAU's.

    Args:
        runs: BPR and DirectAU without decay and at one weight decay or more.
        rules: the margin, and whether one seed gives a word.
    """
    strongest = (
        f"{runs['weight_decay'].max():g}, the end of our grid; the paper's text does not tell where its own ends"
    )
    return [
        _changes_less(runs, "from no decay to each loss's best", "", rules=rules),
        _changes_less(runs, "from each loss's best to the strongest decay", strongest, rules=rules),
    ]


def _changes_less(runs: pd.DataFrame, part: str, strongest: str, rules: Rules) -> Statement:
    """Whether BPR misses less of its best score than DirectAU does, on one side of the best decay.

    That is the weaker side where no strongest decay is named. How much is missed at a stronger decay hangs on it.
    A run that collapsed has the score that it has; one that was cut off is left out.
    """
    missed, notes, worst, stronger = {}, [], [], bool(strongest)
    about = "too strong a decay" if stronger else "too weak a decay"
    for loss in ("BPR", "DirectAU"):
        finished = _made(runs, loss)
        working, gone = usable(finished), collapsed_runs(finished)
        if usable(first_seed(finished))["weight_decay"].nunique() < 2:
            return Statement(f"C22 needs {loss} at two weight decays or more", None, about=about)
        chosen = chosen_decay(finished)
        decided = pd.concat([working, gone])
        side = decided[decided["weight_decay"] >= chosen if stronger else decided["weight_decay"] <= chosen]
        at_first = first_seed(side)
        lowest = at_first.iloc[int(np.argmin(at_first["validation"]))]["weight_decay"]
        missed[loss] = _lost(_at(decided, lowest), _at(decided, chosen))
        worst.append(f"{loss} at {lowest:g}")
        cut = sorted(set(finished.drop([*working.index, *gone.index])["weight_decay"]))
        at = f", with decay {listed_names([f'{decay:g}' for decay in cut])}" if cut else ""
        notes += [f"{loss} {why}{at}" for why in [setbacks(finished, "run")] if why]
    bpr, directau = missed["BPR"], missed["DirectAU"]
    text = (
        f"{part}, NDCG@20 changes less for BPR than for DirectAU under Adam: by {bpr.mean:.0%} against"
        f" {directau.mean:.0%}, at the worst by validation, {' and '.join(worst)}"
    )
    if notes:
        text += f" ({', '.join(notes)}: what collapsed counts with its score, what was cut off is left out)"
    if strongest:
        text += f"; the strongest is {strongest}"
    return judged(text, minus(bpr, directau), ("worse",), rules, ("more", "less", "as much"), about=about)


def _lost(low: pd.DataFrame, high: pd.DataFrame) -> Difference:
    """What the lower of two decays misses of the higher one's score, at the seeds of both, else of the means."""
    ours, theirs = (runs.drop_duplicates("seed").set_index("seed")["ndcg"] for runs in (low, high))
    seeds = ours.index.intersection(theirs.index)
    base = float(theirs.loc[seeds].mean())
    values = ((theirs.loc[seeds] - ours.loc[seeds]) / base).tolist()
    known = spread("ndcg")
    # a decay that is compared with itself misses nothing, and seeds do not move that
    error = 0.0 if low is high or values == [0.0] * len(values) else np.inf if known is None else known.value
    return Difference(tuple(values), None, "ndcg", error, _ids(low, high), in_dip=len(dips(low)) + len(dips(high)) > 0)
