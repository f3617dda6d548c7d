"""The page on how verdicts are made: one comparison step by step, and every verdict under the alternatives."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pandas as pd

from prismbook.claims.alternatives import ALTERNATIVES, verdicts
from prismbook.claims.ledger import Row
from prismbook.tables.decay_vs_prism import Method, Pair
from prismbook.tables.error_rates import wrong_by_chance
from prismbook.tables.labels import DATASET_NAMES
from prismbook.tables.rules import MARGIN, MEASURES, has_direction, is_equivalent, judge
from prismbook.tables.spreads import spread


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


def by_chance(rows: Iterable[Row]) -> str:
    """How many statements a comparison decides, and how many of them could be wrong by chance, as a sentence.

    Args:
        rows: the ledger.

    >>> by_chance([])
    'Comparisons decide 0 of 0 statements. If nothing differed at all, 0.0 of them would be expected by chance.'
    """
    statements = [each for row in rows for each in row.statements]
    decided, wrong = wrong_by_chance(judge(each.difference) for each in statements if each.difference is not None)
    return (
        f"Comparisons decide {decided} of {len(statements)} statements. If nothing differed at all, {wrong:.1f} of them"
        " would be expected by chance."
    )


def _score(method: Method, seed: int) -> float:
    return float(method.records[seed]["test"]["dot"]["ndcg"])


def under_alternatives(rows: Iterable[Row]) -> pd.DataFrame:
    """The verdict of every measured claim and dataset under each of the alternatives, the ledger's first.

    A cell is empty where the claim has no such protocol or learning rate, and "=" where the verdict is the ledger's.

    Args:
        rows: the ledger.
    """
    words_of = {}
    for (claim, dataset), (ledger, *others) in verdicts(rows).items():
        name = f"{claim}, {DATASET_NAMES[dataset]}" if dataset else claim
        words_of[name] = [ledger, *("=" if word == ledger else word for word in others)]
    return pd.DataFrame(words_of, index=[each.title for each in ALTERNATIVES]).T


def changed(table: pd.DataFrame) -> str:
    """How many verdicts each alternative changes, in Markdown.

    Args:
        table: of :func:`under_alternatives`.
    """
    lines = []
    for title in table.columns[1:]:
        concerned = table[table[title] != ""]
        lines.append(f"- {title}: {_differing(concerned[title])} of {len(concerned)} verdicts differ")
    return "\n".join(lines)


def _differing(cells: Collection[str]) -> int:
    return sum(cell != "=" for cell in cells)
