"""How often the rules are wrong: :func:`prismbook.tables.rules.judge` on differences of which the truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import NormalDist

import numpy as np
import pandas as pd

from prismbook.tables.rules import FIRM, MEASURES, RULES, WIDTH, Difference, Rules, judge
from prismbook.tables.spreads import MEASURES as MEASURED
from prismbook.tables.spreads import spread

#: Measures of users; their error over users is taken as half of the spread over seeds.
_OF_USERS = ("ndcg", "gap", "ratio")


def simulated(
    true: float, seeds: int, measure: str, error: float, draws: int = 2000, rules: Rules = RULES
) -> dict[str, float]:
    """How often each word comes out where the true difference is known.

    The difference at each seed is drawn around the truth, and so are the users. The generator is fixed, and the mean
    over seeds and users is drawn once from each of ``draws`` parts of its distribution that are as probable, so that
    the shares have next to no error of their own.

    Args:
        true: the true difference, in logs where the measure is taken in logs.
        seeds: number of seeds.
        measure: a name of :data:`prismbook.tables.rules.MEASURES`.
        error: the standard deviation over seeds.
        draws: number of differences that are drawn.
        rules: the margin, and whether one seed gives a word.

    Returns:
        The share of each word that came out.

    >>> sorted(simulated(0.5, 3, "ndcg", 0.01, draws=100))
    ['better']
    """
    generator, users = np.random.default_rng(0), error / 2 if measure in _OF_USERS else 0.0
    words: Counter[str] = Counter()
    of_mean = NormalDist(true, float(np.hypot(users, error / seeds**0.5)))
    for part in range(draws):
        apart = generator.normal(size=seeds)
        by_seed = of_mean.inv_cdf((part + 0.5) / draws) + error * (apart - apart.mean())
        mean = float(by_seed.mean())
        interval = (mean - WIDTH * users, mean + WIDTH * users) if users else None
        words[judge(Difference(tuple(by_seed.tolist()), interval, measure, error), rules).word] += 1
    return {word: count / draws for word, count in words.items()}


def table(draws: int = 2000) -> pd.DataFrame:
    """False directions and false equivalences of each measure, at one seed and at three, at the measured spreads.

    Args:
        draws: number of differences that are drawn for each cell.

    Returns:
        One row per measure and number of seeds, with the margin and the spread as they enter, the number of pairs
        behind the spread, the share of directions where nothing differs, the share of equivalences at a true difference
        of the margin, and there the share of "not better". Shares are per cent.
    """
    rows = []
    for measure in MEASURED:
        known = spread(measure)
        if known is None:
            continue
        margin = MEASURES[measure].margin
        for seeds in (1, 3):
            none = simulated(0.0, seeds, measure, known.value, draws)
            at_margin = simulated(margin, seeds, measure, known.value, draws)
            rows.append(
                {
                    "measure": MEASURES[measure].title,
                    "margin": margin,
                    "spread over seeds": known.value,
                    "pairs": known.pairs,
                    "seeds": seeds,
                    "false direction, %": 100 * (none.get("better", 0.0) + none.get("worse", 0.0)),
                    "false equivalence, %": 100 * at_margin.get("equivalent", 0.0),
                    "false 'not better', %": 100 * at_margin.get("not better", 0.0),
                }
            )
    return pd.DataFrame(rows)


def directions_by_chance(differences: Iterable[Difference], rules: Rules = RULES) -> pd.DataFrame:
    """How many of some comparisons would have a direction by chance if nothing differed at all.

    A comparison has one where a normal variable with its standard error lies beyond 1.96 of these, and beyond the
    margin. It is firm beyond 2.8.

    Args:
        differences: the comparisons. One without a standard error can have no direction.
        rules: the margin of each measure.

    Returns:
        One row per measure, with its number of comparisons, the mean chance of a false direction, the number that is
        expected, and how many of these would be firm. The chance is per cent.

    >>> directions_by_chance([Difference((0.1,), None, "ndcg", 0.02)])["expected"].round(3).tolist()
    [0.05]
    """
    chances: dict[str, list[tuple[float, float]]] = {}
    for each in differences:
        least = rules.margin_of(each.measure) / each.standard_error if each.standard_error > 0 else np.inf
        known = np.isfinite(each.standard_error)
        beyond = [2 * (1 - NormalDist().cdf(max(width, least))) if known else 0.0 for width in (WIDTH, FIRM)]
        chances.setdefault(MEASURES[each.measure].title, []).append((beyond[0], beyond[1]))
    rows = [
        {
            "measure": title,
            "comparisons": len(pairs),
            "chance, %": 100 * float(np.mean([chance for chance, _ in pairs])),
            "expected": sum(chance for chance, _ in pairs),
            "firm": sum(firm for _, firm in pairs),
        }
        for title, pairs in chances.items()
    ]
    return pd.DataFrame(rows, columns=["measure", "comparisons", "chance, %", "expected", "firm"])
