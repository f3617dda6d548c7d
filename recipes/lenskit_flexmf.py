"""PRISM in LensKit's FlexMF."""

from __future__ import annotations

import os

os.environ["LK_TORCH_COMPILE"] = "0"  # compiling takes a minute and a half the first time

import lenskit
import pandas as pd
import torch
from lenskit.data import from_interactions_df
from toy import assert_norms, follows_popularity, ndcg, num_items, num_users, report, split

# [recipe]
import numpy as np
from lenskit.flexmf import FlexMFImplicitScorer
from lenskit.flexmf._implicit import FlexMFImplicitTrainer  # private in 2025.8.1: pin the version

from prismlib import prism_


class PrismTrainer(FlexMFImplicitTrainer):
    def create_model(self):
        model, data = super().create_model(), self.data
        for table, ids, size in ((model.u_embed, data.users, data.n_users), (model.i_embed, data.items, data.n_items)):
            prism_(table.weight, np.bincount(ids, minlength=size))
        return model


class PrismMF(FlexMFImplicitScorer):
    def create_trainer(self, data, options):
        return PrismTrainer(self, data, options)


# [end]


# [use]
from lenskit.training import TrainingOptions


def train(scorer_class, data):
    settings = {"embedding_size": 64, "epochs": 15, "learning_rate": 0.01, "batch_size": 512}
    # LensKit's default is a decay of 0.01; reg_method=None would be SparseAdam, another optimiser
    scorer = scorer_class(preset="bpr", reg_method="AdamW", regularization=0.0, item_bias=False, **settings)
    scorer.train(data, TrainingOptions(rng=1))
    return scorer


# [end]


def tables(scorer_class):
    """The trained tables in the order of the toy data's ids."""
    scorer = train(scorer_class, data)
    user, item = np.zeros((num_users, 64), np.float32), np.zeros((num_items, 64), np.float32)
    user[data.users.ids()] = scorer.model.u_embed.weight.detach().numpy()
    item[data.items.ids()] = scorer.model.i_embed.weight.detach().numpy()
    return user, item


data = from_interactions_df(pd.DataFrame({"user_id": split.train.user, "item_id": split.train.item}))

if __name__ == "__main__":
    scorer = PrismMF(preset="bpr", reg_method="AdamW", regularization=0.0)
    assert scorer.config.regularization == 0.0
    model = scorer.create_trainer(data, TrainingOptions(rng=1)).model
    for table, stats in ((model.u_embed, data.user_stats()), (model.i_embed, data.item_stats())):
        assert_norms(table.weight, stats["count"].to_numpy())
    torch.manual_seed(1)
    start, prism = tables(FlexMFImplicitScorer), tables(PrismMF)
    assert follows_popularity(prism[1]) > 0.8
    scores = {"BPR, own start": ndcg(*start), "BPR, PRISM": ndcg(*prism)}
    report(version=lenskit.__version__, regulariser="regularization", scores=scores)
