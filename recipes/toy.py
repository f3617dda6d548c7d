"""Small generated data that every recipe trains on, and what every recipe is asked: 600 users, 500 items.

It shows where the call goes and that the norms are right. Scores on it are no result.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from prismlib import FullRanking, popularity_groups, random_split, recommend, synthetic
from prismlib.norms import norm_summary

torch.set_num_threads(1)
split = random_split(synthetic(600, 500, 20_000), seed=123)
num_users, num_items = split.dataset.num_users, split.dataset.num_items
seen = [split.train, split.validation]
groups = popularity_groups(split.item_popularity)
validation = FullRanking(split.validation, split.train, groups, num_users)
ranking = FullRanking(split.test, seen, groups, num_users)


# [norms]
import torch

from prismlib import prism_norm


def assert_norms(table, popularity):
    """Stop unless the rows have the lengths that PRISM gives them: call it before anything is trained."""
    norm = torch.as_tensor(table).detach().norm(dim=1)
    wanted = prism_norm(popularity).to(norm)
    assert torch.allclose(norm, wanted, rtol=1e-4), f"norms are off by {float((norm / wanted - 1).abs().max()):.3g}"


# [end]


def as_table(table: Any) -> torch.Tensor:
    """Rows of a tensor, a parameter or an array, as a plain tensor."""
    return torch.as_tensor(np.asarray(table.detach() if isinstance(table, torch.Tensor) else table))


def ndcg(user: Any, item: Any) -> float:
    """Test NDCG@20 by dot product."""
    return score_of(recommend((as_table(user), as_table(item)), ranking.users, seen).items)


def score_of(lists: torch.Tensor) -> float:
    return round(float(ranking.ndcg_by_group(lists).sum(1).mean()), 4)


def with_chosen_lengths(user: Any, item: Any) -> float:
    """The same of items whose length is replaced by d ** b, with the b that ranks the validation interactions best."""
    user, item, popularity, users = as_table(user), as_table(item), split.item_popularity, ranking.users
    # [lengths]
    from prismlib import recommend
    from prismlib.lengths import choose_exponent, popularity_power

    b = choose_exponent(user, item, popularity, validation)  # validation is a prismlib.FullRanking
    lists = recommend((user, item), users, seen, length=popularity_power(popularity, b)).items
    # [end]
    return score_of(lists)


def follows_popularity(item: Any) -> float:
    """The correlation of the items' lengths with log(d + 2)."""
    return round(norm_summary(as_table(item), torch.as_tensor(split.item_popularity))["pearson_log"], 2)


def report(**found: Any) -> None:
    """The last line of a recipe: what recipes/run.py stores and the page shows."""
    print(json.dumps(found))
