"""PRISM in Cornac's BPR."""

from __future__ import annotations

import cornac
from toy import assert_norms, follows_popularity, ndcg, num_items, num_users, report, split

triples = [(int(user), int(item), 1.0) for user, item in zip(*split.train, strict=True)]
data = cornac.data.Dataset.from_uir(triples, seed=1)

# [recipe]
import numpy as np
import torch
from cornac.models import BPR

from prismlib import prism


def start(counts, k):
    """Cornac's own start, then PRISM; float32 as Cornac's own. One row per count: too few would be written past."""
    rows = np.random.default_rng(1).uniform(-0.5 / k, 0.5 / k, (len(counts), k)).astype("float32")
    return prism(torch.from_numpy(rows), counts).numpy()


counts = {"U": data.matrix.getnnz(axis=1), "V": data.matrix.getnnz(axis=0)}  # in Cornac's own numbering
init = {name: start(count, 64) for name, count in counts.items()}  # trained in place: make them anew for each fit
assert init["U"].shape == (data.num_users, 64) and init["V"].shape == (data.num_items, 64)
model = BPR(k=64, lambda_reg=0.0, use_bias=False, init_params=init, max_iter=60, learning_rate=0.05, seed=1)
# [end]


def fitted(model):
    model.fit(data)
    user, item = np.zeros((num_users, 64), np.float32), np.zeros((num_items, 64), np.float32)
    user[[int(row) for row in data.user_ids]] = model.u_factors
    item[[int(row) for row in data.item_ids]] = model.i_factors
    return user, item


if __name__ == "__main__":
    assert_norms(init["U"], counts["U"])
    assert_norms(init["V"], counts["V"])
    assert model.lambda_reg == 0.0
    prism_tables = fitted(model)
    own = fitted(BPR(k=64, lambda_reg=0.0, use_bias=False, max_iter=60, learning_rate=0.05, seed=1))
    assert follows_popularity(prism_tables[1]) > 0.8
    scores = {"BPR, own start": ndcg(*own), "BPR, PRISM": ndcg(*prism_tables)}
    report(version=cornac.__version__, regulariser="lambda_reg", scores=scores)
