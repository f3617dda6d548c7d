"""Did it help? Two ways of recommending, user by user, with NumPy alone."""

from __future__ import annotations

# [compare]
import numpy as np


def compare(before, after, held_out, k=20, only=None, draws=2000):
    """Mean NDCG@k before and after, and the ends of the 95 % interval of its change over users."""
    # Row u of before and of after is the list of user u: k items, and -1 where they run out. held_out is a dict from
    # a user to a set of items. only is a set of items, where what these bring to NDCG@k is asked for.
    before, after = np.asarray(before), np.asarray(after)  # a tensor's own elements are in no set
    users = [user for user, items in held_out.items() if items]
    counted = {user: held_out[user] if only is None else held_out[user] & only for user in users}
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.array([discount[: len(held_out[user])].sum() for user in users])

    def ndcg(lists):
        hits = [[item in counted[user] for item in lists[user][:k].tolist()] for user in users]
        return np.array(hits) @ discount / ideal

    first, second, rng = ndcg(before), ndcg(after), np.random.default_rng(0)
    means = [rng.choice(second - first, len(users)).mean() for _ in range(draws)]  # each draw is of as many users
    return first.mean(), second.mean(), *np.quantile(means, (0.025, 0.975))


# [end]
