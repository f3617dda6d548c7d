"""What further seeds may make of a difference: the prediction behind the order in which missing runs are made."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np

from prismbook.tables.rules import Difference

#: So many equally probable outcomes stand for all. It is a prime, so that the outcomes of several differences can be
#: put together in an order of their own each.
OUTCOMES = 101


def after(difference: Difference, more: int) -> list[Difference]:
    """The differences that further seeds may make of one: :data:`OUTCOMES` of them, equally probable, the lowest first.

    After k seeds more than n the mean over seeds is normal around today's, with the standard deviation s * sqrt(k /
    (n * (n + k))) where s is the spread over seeds. The seeds' part of the error shrinks with the seeds. The users'
    part stays.

    Args:
        difference: as it is measured now; its spread over seeds must be known.
        more: number of further seeds, 1 or more.

    Raises:
        ValueError: no spread is known, or there is no further seed.

    >>> found = after(Difference((0.02,), seed_error=0.01), 2)
    >>> [len(found), len(found[0].by_seed), f"{found[50].centre:.3f}", f"{found[0].centre:.3f}"]
    [101, 3, '0.020', '-0.001']
    """
    seeds, spread = len(difference.by_seed), difference.seed_spread
    if not (np.isfinite(spread) and more >= 1):
        raise ValueError(f"difference must have a known spread and more must be >= 1, got {spread} and {more}")
    deviation = spread * (more / (seeds * (seeds + more))) ** 0.5
    steps = (NormalDist().inv_cdf((place + 0.5) / OUTCOMES) for place in range(OUTCOMES))
    centres = (difference.centre + deviation * step for step in steps)
    return [replace(difference, by_seed=(centre,) * (seeds + more), seed_error=spread) for centre in centres]
