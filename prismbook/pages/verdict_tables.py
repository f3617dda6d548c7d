"""The page on how verdicts are made: one comparison step by step, and every verdict under the alternatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from prismbook.claims.alternatives import ALTERNATIVES, verdicts, with_own_spreads
from prismbook.claims.ledger import Row
from prismbook.claims.prism_claims import COMPARABLE, FOLLOWS
from prismbook.claims.statements import PROVISIONAL, outcome_of
from prismbook.claims.theory_claims import SEPARATES, SGD_RATE, USUAL_RATE
from prismbook.pages.marks import mark
from prismbook.plan.config import RunConfig
from prismbook.runs.patience import EARLY_BEST, LONG
from prismbook.tables.analysis import SATURATED
from prismbook.tables.decay_vs_prism import Method, Pair
from prismbook.tables.endings import BY_CHANCE, EARLY, KEPT
from prismbook.tables.error_rates import directions_by_chance
from prismbook.tables.labels import BACKBONE_NAMES, DATASET_NAMES, LOSS_NAMES
from prismbook.tables.rules import FIRM, MARGIN, MEASURES, WIDTH, has_direction, is_equivalent, judge
from prismbook.tables.spreads import MEASURES as MEASURED
from prismbook.tables.spreads import Spread, own_spreads, spread
from prismbook.text import listed_names, plural


def rules_in_words() -> str:
    """The rules of verdicts as a list in Markdown, with the constants that they are computed with.

    >>> rules_in_words().splitlines()[0]
    '1. **The core decides.** The core of a claim is its own sentence in the paper, for each loss that it names.'
    """
    return f"""\
1. **The core decides.** The core of a claim is its own sentence in the paper, for each loss that it names.
   The core alone makes the verdict. Sizes, details and notes have marks of their own and change no verdict.
   An open statement does not weigh alike on both sides. Where all others hold, it could still break the claim, so that
   the verdict is open. Where all others fail, it could no longer save the whole claim, so that this is not reproduced.
   It could still become *for some, and not for others*.
   Where fewer than half of the core is decided, the verdict is open in any case. Exactly half is enough.
   How many statements a core has depends on what was run: a loss whose runs decide nothing has one open statement
   where it has two elsewhere. So *k of n* is not alike between datasets.
2. **The interval that is shown decides.** It is the 95 % interval over users and seeds. A seed draws the split, the
   starting tables and the batches anew. The spread over seeds, of all these, is one number per measure, pooled from
   all pairs with three seeds. So one seed has a wide interval, and three have a
   narrower one. *Better* and *worse* need the interval off zero and a difference larger than the margin; *equivalent*
   needs all of the interval within the margin. Against a threshold, such as half of a variance, only a direction
   decides. What has the threshold in its interval is open.
3. **Firm or provisional.** What still holds at {FIRM:g} standard errors is firm, at any number of seeds. Where
   nothing differs, one comparison in {1 / math.erfc(FIRM / math.sqrt(2)):.0f} comes out as large. What holds at
   {WIDTH:g} alone is provisional, and has a ring. So is what one seed says of a measure whose spread over seeds is not
   known. A word may be provisional where the mark is not: *higher* may hold only just, while *not lower* is sure.
4. **Each measure has its margin**, with a reason, below. Ratios and numbers of epochs are compared in logs: a number of
   epochs cannot fall by more than 100 %.
5. **No verdict rests on a choice made on the test set.** Validation chooses, at the first seed. In Table 1's search
   (C8 to C10 and C17) all seeds choose between the two best, where both were run at every seed. So C2 or C21 may have
   another best decay of a loss than C8. C2 looks from no decay up to each loss's best decay. Beyond it scores fall,
   which C22 counts.
6. **No direction against a side that was not searched**, and none where more of the search could turn it. More could
   where its choice is at the edge of its grid, or among runs that stopped at their start. A loss's parameter that is
   published for linear MF is searched anew on non-linear MF. The learning rate is exempt: both methods have the same
   one, and a statement says where another was not run for both. This may favour decay, whose rows are shorter
   and turn sooner. In C12 and C13, what does not hold is open until every
   strength of PRISM that is planned was run. Where a loss's best decay is the strongest of RQ1's, C21 goes on to the
   stronger ones of Table 1's search that decide something; without them, what does not hold is open.
7. **A run that was cut off decides nothing**: the limit of epochs ended it, or it ended within its first {EARLY}
   epochs. Once the same run with patience {LONG} is stored, that one counts. So that seeds are read alike, the other
   seeds of that setting then count with patience {LONG} too, where such runs are stored.
   A word that rests on a run whose best epoch is before {EARLY_BEST} is provisional until then. Where some seeds of a
   setting were cut off, which runs are averaged was decided by how they ended, so that the difference has no interval.
   Its size in Table 1 is then open, and so is what C17 says of lengths. Its word, such as *better*, is provisional,
   and stands only if each seed that was left out may say the same. Where epochs are compared, in C11, each run counts
   as patience {RunConfig("gowalla", "bpr").patience} ended it.
8. **A collapse is a result, and no number to average.** A run that early stopping ends at its start is a collapse only
   where that start is better than chance. A start is by chance below {BY_CHANCE} times what a random ranking would
   score; it is a dip until the run is repeated with more patience.
9. **A baseline that does not keep up takes no part.** A method made for fairness must keep {100 * KEPT:g} % of BPR's
   NDCG@20 and have BPR's ratio or better; else what a claim says of it is open. Beating BPR alone then makes no
   verdict on C13. That PRISM beats one is open where its decay was not tuned. For C13 two
   strengths of PRISM are tried: the best one, and the smallest one that ranks better by more than the margin.
   Validation chooses both, and one that beats the baseline is enough, which favours PRISM.
10. **Each protocol has its verdict**: the paper's text and the released code. Where nothing was searched under the
    released code, as for C9 and C10, its number stands beside the verdict, without a mark. Of the learning rates
    at which both methods were run in full, the one that validation chooses has the verdict.
11. **Degrees have lines.** Where the paper says *closely*, *carefully* or *coarse*, this project draws the line.
    Lengths carry popularity (C3, C17) where it explains more than half of their variance. Without decay (C3)
    lengths that fall with it count too: they carry it as well. Without decay they carry little of it where it explains
    less than half as much as with decay. So little may be nearly half of all: the slope says more.
    Decay of the batch's rows does nothing (C6) where it gains at most {MEASURES["gain"].margin:.0%} of what tuned decay
    gains. A loss counts too. That share may be more than the margin of NDCG@20.
    That its lengths resemble those without decay, as the paper's appendix says, is a detail: the core asks whether its
    lengths follow popularity less. LightGCN is consistent over decay (C7) where
    its worst decay is within the margin of its best. The two lines differ, since the questions do. C6 asks whether
    such decay replaces the other, so its line is a share of what the other gains. C7 asks what a wrong decay costs
    LightGCN itself, so its line is the margin. What the other line says stands beside both claims. A strength of
    PRISM is comparable with tuned decay (C11) where its validation NDCG@20 is at most {COMPARABLE:.1%} lower at the
    first seed. A curve is saturated (C14) at {SATURATED:.0%} of its maximum.
    Degrees separate (C15) where they are apart by more than {SEPARATES:.0%} of what decay takes. There the mean loss
    has a rate of {SGD_RATE:g}, at which plain SGD trains it; at {USUAL_RATE:g} it does not train. One training
    follows another (C19) where scores differ by at most {FOLLOWS:g}. Tuning is careful (C21) where more than half
    of the other choices are worse. No decay is one, with what does not differ from it. DirectAU falls below BPR
    (C1) where it does at one decay weaker than its best, which validation picks. A knob is coarse (C23) where one
    step covers more than half of its range; of decay a step is a factor of ten.
12. **C8 asks for the paper's change, and no more.** A cell is reproduced within
    {100 * MEASURES["cell"].margin:g} points of the paper's, twice the margin. A method without any effect may pass; a
    note says in how many cells it would. The mean over all datasets is held against 0, near which the paper says it is.
"""


def worked_example(pair: Pair) -> dict[str, str]:
    """The steps from two searches to a word, by name.

    Args:
        pair: both methods of one dataset, backbone and loss, compared at one seed or more.

    Raises:
        ValueError: the pair has no comparison.
    """
    comparison, change = pair.comparison, pair.relative_difference()
    if pair.fair_methods is None or comparison is None or change is None:
        raise ValueError("pair must have been compared; its methods were not run, or one of them collapsed")
    prism, decay = pair.fair_methods
    signs = "agree" if len({value > 0 for value in change.by_seed}) == 1 else "differ"
    known = spread("ndcg")
    low, high = change.users or (change.mean, change.mean)
    return {
        "decay that validation chooses": f"{decay.chosen.weight_decay:g}, of {decay.ran} configurations that were run",
        "records of tuned decay": ", ".join(decay.records[seed]["id"] for seed in pair.seeds()),
        "records of PRISM": ", ".join(prism.records[seed]["id"] for seed in pair.seeds()),
        "test NDCG@20 of tuned decay": ", ".join(f"{_score(decay, seed):.4f}" for seed in pair.seeds()),
        "test NDCG@20 of PRISM": ", ".join(f"{_score(prism, seed):.4f}" for seed in pair.seeds()),
        "collapsed or cut off": pair.setbacks() or "none",
        "difference at each seed": ", ".join(f"{value:+.1%}" for value in change.by_seed) + f": the signs {signs}",
        "mean over seeds": f"{change.mean:+.2%}",
        "95 % interval over users, all seeds together": f"[{low:+.2%}, {high:+.2%}]",
        "spread over seeds, pooled": "not known"
        if known is None
        else f"{known.value:.2%}, from {known.pairs} pairs with three seeds",
        "95 % interval over users and seeds": f"[{change.interval[0]:+.2%}, {change.interval[1]:+.2%}]",
        "rule for direction": "met" if has_direction(change) else "not met",
        f"rule for equivalence, margin {MARGIN:.1%}": "met" if is_equivalent(change) else "not met",
        "PRISM is": str(pair.judgement()),
    }


def words() -> pd.DataFrame:
    """What each word for a comparison says of its interval: one row per word, in the order in which they are tried.

    >>> words().index.tolist()
    ['better, worse', 'equivalent', 'not better, not worse', 'undecided']
    """
    intervals = {
        "better, worse": "leaves out zero, and the difference is larger than the margin",
        "equivalent": "lies within the margin, from minus the margin to plus the margin",
        "not better, not worse": "holds no difference beyond the margin on the one side, and is not one of the above",
        "undecided": "reaches beyond the margin on both sides",
    }
    return pd.DataFrame({"its 95 % interval": intervals}).rename_axis("the first is")


def margins() -> pd.DataFrame:
    """Each measure's margin with its reason, and the spread over seeds with the number of pairs behind it.

    >>> margins().loc["NDCG@20", "margin"]
    '2.5 % of the baseline: what papers report as a gain is rarely less'
    """
    table = {}
    for name, measure in MEASURES.items():
        known = spread(name) if name != "gain" else None
        table[measure.title] = {
            "margin": measure.why,
            "spread over seeds": "" if known is None else f"{known.value:.3f}{' (log)' if measure.log else ''}",
            "pairs": "" if known is None else str(known.pairs),
        }
    return pd.DataFrame(table).T


def own_spread_table(results: Path | str | None = None) -> pd.DataFrame:
    """The spread over seeds of each measure in each group of one dataset, backbone and loss, the pooled one first.

    Args:
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    Returns:
        One row for each group in which two settings or more were run at three seeds.
    """
    groups = own_spreads(results)
    rows = {"all, pooled": {"settings": "", **_spread_cells(lambda measure: spread(measure, results=results))}}
    for (dataset, backbone, loss), found in groups.items():
        name = f"{DATASET_NAMES[dataset]}, {BACKBONE_NAMES[backbone]}, {LOSS_NAMES[loss]}"
        rows[name] = {"settings": str(found.settings), **_spread_cells(found.of.get)}
    return pd.DataFrame(rows).T.rename(columns={"settings": "settings at three seeds"})


def _spread_cells(of: Callable[[str], Spread | None]) -> dict[str, str]:
    cells = {"pairs": ""}
    for measure in MEASURED:
        found = of(measure)
        cells[MEASURES[measure].title] = "" if found is None else f"{found.value:.3f}"
        cells["pairs"] = cells["pairs"] or ("" if found is None else str(found.pairs))
    return cells


def own_spreads_in_words(rows: Sequence[Row], results: Path | str | None = None) -> str:
    """How many verdicts would be others if each comparison had the larger of the pooled spread and its group's own.

    Args:
        rows: the ledger.
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.

    >>> own_spreads_in_words([], "no folder")
    'With the larger of the two spreads, 0 of 0 verdicts would be other ones.'
    """
    covered = {dataset for dataset, _, _ in own_spreads(results)}
    measured = [row for row in rows if row.outcome != "not measured" and row.kind == "measurement"]
    borrowed = [row for row in measured if row.dataset not in {"", *covered}]
    judged = with_own_spreads([row for row in measured if row not in borrowed], results)
    found = {group: each.of["ndcg"].pairs for group, each in own_spreads(results).items() if "ndcg" in each.of}
    others = [each for each in judged if each[1] != each[2]]
    text = f"With the larger of the two spreads, {len(others)} of {len(judged)} verdicts would be other ones"
    if found:
        (dataset, backbone, loss), most = max(found.items(), key=lambda item: item[1])
        name = f"{LOSS_NAMES[loss]} on {BACKBONE_NAMES[backbone]} on {DATASET_NAMES[dataset]}"
        text = f"Of {sum(found.values())} pairs {most} are of {name}: the pooled spread is mostly its own. {text}"
    named = [f"- {name}: {_before_and_after(ledger, then)}" for name, ledger, then in others]
    if borrowed:
        where = listed_names([DATASET_NAMES[dataset] for dataset in dict.fromkeys(row.dataset for row in borrowed)])
        text = (
            f"{where} has no such group: {plural(len(borrowed), 'verdict')} cannot be tested so. On the other datasets"
            f" a comparison whose groups have none keeps the pooled one. {text}"
        )
    return "\n".join([f"{text}:\n", *named]) if named else f"{text}."


def _before_and_after(ledger: str, then: str) -> str:
    """Two verdicts; in full where they are alike in short, so that what moved is seen."""
    short = _in_short(ledger), _in_short(then)
    return (
        f"{short[0]}, then {short[1]}" if short[0] != short[1] else f"{mark(ledger)} {ledger}; then {mark(then)} {then}"
    )


def _in_short(phrase: str) -> str:
    """A verdict behind its mark; one that holds for some and not for others does not name them."""
    some = "for some, not for others"
    if outcome_of(phrase) != some:
        return f"{mark(phrase)} {phrase}"
    return f"{mark(phrase)} {some}{PROVISIONAL if phrase.endswith(PROVISIONAL) else ''}"


def by_chance(rows: Iterable[Row]) -> str:
    """How many statements a comparison decides, and how many directions chance alone would give, with the sum.

    Args:
        rows: the ledger.

    >>> by_chance([]).partition(', and')[0]
    'Of 0 statements 0 compare two settings'
    """
    statements = [
        each for row in rows for each in row.statements if row.outcome != "not measured" or each.difference is not None
    ]
    compared = [each.difference for each in statements if each.difference is not None]
    decided = sum(judge(each).word != "undecided" for each in compared)
    text = (
        f"Of {len(statements)} statements {len(compared)} compare two settings, and {decided} of these have a word"
        " other than *undecided*. A statement may be open with such a word, as *not better* leaves *equivalent* open."
    )
    if not compared:
        return text
    chances = directions_by_chance(compared)
    lines = [
        f"- {row['measure']}: {row['comparisons']} comparisons at {row['chance, %']:.1f} %, {row['expected']:.1f}"
        for row in chances.to_dict("records")
    ]
    return (
        f"{text} If nothing differed at all, chance would still give about {chances['expected'].sum():.0f} of"
        f" {len(compared)} comparisons a direction. {chances['firm'].sum():.1f} of these would be firm. By"
        " measure, at each comparison's own standard error, which varies with its users and seeds; the table above has"
        " one for each measure:\n\n" + "\n".join(lines)
    )


def _score(method: Method, seed: int) -> float:
    return float(method.records[seed]["test"]["dot"]["ndcg"])


def under_alternatives(rows: Iterable[Row]) -> pd.DataFrame:
    """The verdict of every measured claim and dataset under each of the alternatives, the ledger's first.

    A cell is empty where the claim has no such protocol or learning rate, and "=" where the mark is the ledger's. An
    alternative that no claim has is left out.

    Args:
        rows: the ledger.
    """
    words_of = {}
    for (claim, dataset), (ledger, *others) in verdicts(rows).items():
        name = f"{claim}, {DATASET_NAMES[dataset]}" if dataset else claim
        words_of[name] = [ledger, *("=" if word and mark(word) == mark(ledger) else word for word in others)]
    table = pd.DataFrame(words_of, index=[each.title for each in ALTERNATIVES]).T
    return table.loc[:, [title for title in table.columns if title == ALTERNATIVES[0].title or table[title].any()]]


def in_marks(table: pd.DataFrame) -> pd.DataFrame:
    """The verdicts of :func:`under_alternatives` as marks; what is the ledger's stays "=".

    Args:
        table: of :func:`under_alternatives`.

    >>> in_marks(pd.DataFrame({"the ledger": ["reproduced"], "margin 1%": ["="], "other": [""]})).iloc[0].tolist()
    ['✓', '=', '']
    """
    return table.map(lambda phrase: phrase if phrase in ("", "=") else mark(phrase))


def changed(table: pd.DataFrame) -> str:
    """How many marks each alternative changes, in Markdown.

    Args:
        table: of :func:`under_alternatives`.
    """
    lines = []
    for title in table.columns[1:]:
        concerned = table[table[title] != ""]
        if len(concerned):
            lines.append(f"- {title}: {_differing(concerned[title])} of {len(concerned)} marks differ")
    return "\n".join(lines)


def _differing(cells: Collection[str]) -> int:
    return sum(cell != "=" for cell in cells)
