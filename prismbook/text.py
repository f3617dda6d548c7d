"""Words for numbers, used wherever a sentence counts something."""

from __future__ import annotations

from collections.abc import Sequence


def plural(count: int, noun: str) -> str:
    """A count and its noun, with an s unless the count is one.

    Args:
        count: how many.
        noun: the singular, e.g. ``"seed"``.

    >>> plural(1, "seed"), plural(3, "seed"), plural(0, "run")
    ('1 seed', '3 seeds', '0 runs')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed_names(names: Sequence[str]) -> str:
    """Names as a list in a sentence.

    Args:
        names: one or more.

    >>> listed_names(["Gowalla"]), listed_names(["MovieLens1M", "Gowalla", "Yelp2018"])
    ('Gowalla', 'MovieLens1M, Gowalla and Yelp2018')
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
