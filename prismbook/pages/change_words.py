"""Words for changes: as percentages, as ranges over datasets, with their seeds, and as one word by the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prismbook.tables.rules import Difference, judge
from prismbook.text import listed_names, plural

#: Space that no line is broken at.
NBSP = "\N{NO-BREAK SPACE}"


def percent(share: float) -> str:
    """A share as a percentage with its sign.

    Args:
        share: 0.1 for 10 %.

    >>> percent(0.1).replace(NBSP, " ")
    '+10.0 %'
    """
    return f"{100 * share:+.1f}{NBSP}%"


def mean_percent(shares: Sequence[float]) -> str:
    """The mean of some shares as a percentage with its sign.

    Args:
        shares: at least one.
    """
    return percent(float(np.mean(shares)))


def multiples(shares: Mapping[str, Sequence[float]]) -> str:
    """By which factors the means of some changes multiply, as a list.

    Args:
        shares: changes as shares, one for each seed, by the name of the dataset.

    >>> multiples({"gowalla": [0.1, 0.3], "yelp2018": [-0.5]})
    '1.2 and 0.5'
    """
    return listed_names([f"{1 + np.mean(values):.1f}" for values in shares.values()])


def power(decay: float) -> str:
    """A weight decay as it is written in sentences.

    Args:
        decay: a power of ten, or near one.

    >>> power(1e-5), power(0.0001)
    ('1e-5', '1e-4')
    """
    return f"{decay:.0e}".replace("e-0", "e-")


def span(found: Sequence[Difference]) -> str:
    """The smallest and the largest of some changes, as text.

    Args:
        found: at least one.
    """
    low, high = (percent(end(change.mean for change in found)) for end in (min, max))
    return low if low == high else f"{low} to {high}"


def span_and_seeds(found: Mapping[Any, Difference]) -> str:
    """The range of some changes, with the smallest and the largest number of seeds.

    Args:
        found: at least one.
    """
    seeds = sorted({len(change.by_seed) for change in found.values()})
    many = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else plural(seeds[0], "seed")
    return f"{span(list(found.values()))}, {many}{' each' if len(found) > 1 else ''}"


def on_each(found: Mapping[str, Difference]) -> str:
    """The changes, each with the dataset it is on, and the seeds that it rests on.

    Args:
        found: changes by the name of the dataset, at least one.
    """
    seeds = {len(change.by_seed) for change in found.values()}
    if len(seeds) > 1:
        numbers = [
            f"{percent(change.mean)} on {name} ({plural(len(change.by_seed), 'seed')})"
            for name, change in found.items()
        ]
        return listed_names(numbers)
    numbers = [f"{percent(change.mean)} on {name}" for name, change in found.items()]
    each = " each" if len(found) > 1 else ""
    return f"{listed_names(numbers)}, {plural(min(seeds), 'seed')}{each}"


def fewer_epochs(found: Sequence[Difference], than: str = "") -> str:
    """How many epochs are saved, in words; how they change where not all are; empty where none is known.

    Args:
        found: changes of the best epoch.
        than: what they are compared with, e.g. ``" than PRISM"``.
    """
    if not found:
        return ""
    if any(change.mean >= 0 for change in found):
        return f"epochs {span(found)}"
    saved = sorted((-100 * change.mean, judge(change).word == "worse") for change in found)  # as a word for a score
    if not any(decided for _, decided in saved):
        return f"epochs {span(found)}, all open"
    ends = [f"{share:.0f}{'' if decided else ' (by value)'}" for share, decided in dict.fromkeys((saved[0], saved[-1]))]
    return f"in {' to '.join(ends)}{NBSP}% fewer epochs{than}"


def advised(found: Mapping[Any, Difference], yes: str, no: str, otherwise: str) -> str:
    """One of three words: where PRISM is better in all of some comparisons, in none, or in a part of them.

    Args:
        found: the comparisons.
        yes: the word where it is better in all of them.
        no: the word where it is better in none.
        otherwise: the word between.
    """
    better = [judge(change).word == "better" for change in found.values()]
    return yes if all(better) else otherwise if any(better) else no
