"""Did it help? Two ways of recommending, user by user, with NumPy alone."""

from __future__ import annotations

# [compare]
import numpy as np


def compare(before, after, held_out, k=20, draws=2000):
    """The mean change of NDCG@k over users, and its 95 % interval. Lists have k items, and -1 where they run out."""
    users = [user for user, items in held_out.items() if items]  # held_out: a set of items for each user
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.array([discount[: len(held_out[user])].sum() for user in users])

    def ndcg(lists):
        hits = [[item in held_out[user] for item in lists[user][:k]] for user in users]
        return np.array(hits) @ discount / ideal

    change, rng = ndcg(after) - ndcg(before), np.random.default_rng(0)
    means = [rng.choice(change, len(change)).mean() for _ in range(draws)]  # each draw is of as many users
    return change.mean(), np.quantile(means, (0.025, 0.975))


# [end]
