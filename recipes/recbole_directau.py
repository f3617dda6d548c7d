"""PRISM in RecBole: a subclass of three lines with a cosine loss, which gains; RecBole's own BPR, which does not."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import recbole
from toy import assert_norms, follows_popularity, ndcg, num_items, num_users, report, split, with_chosen_lengths

folder = Path(tempfile.mkdtemp())
(folder / "toy").mkdir()
os.chdir(folder)
for part, pairs in (("train", split.train), ("valid", split.validation), ("test", split.test)):
    rows = "".join(f"u{user}\ti{item}\n" for user, item in zip(*pairs, strict=True))
    (folder / "toy" / f"toy.{part}.inter").write_text(f"user_id:token\titem_id:token\n{rows}")
settings = {
    "data_path": str(folder),
    "benchmark_filename": ["train", "valid", "test"],
    "load_col": {"inter": ["user_id", "item_id"]},
    "eval_args": {"split": None, "group_by": "user", "order": "RO", "mode": "full"},
    "metrics": ["NDCG"],
    "topk": [20],
    "valid_metric": "NDCG@20",
    "epochs": 15,
    "train_batch_size": 512,
    "use_gpu": False,
    "show_progress": False,
    "state": "ERROR",
    "seed": 1,
    "reproducibility": True,
}

# [model]
from recbole.model.general_recommender import BPR

from prismlib.losses import directau_loss


class DirectAU(BPR):
    def calculate_loss(self, interaction):
        return directau_loss(*self(interaction[self.USER_ID], interaction[self.ITEM_ID]), gamma=1.0)


# [end]


# [recipe]
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_trainer, init_seed

from prismlib import prism_


def train(model_class, dataset, settings, with_prism=True):
    """A trained model, and the dataset that knows RecBole's own ids."""
    own = settings | {"embedding_size": 64, "weight_decay": 0.0}
    config = Config(model_class, dataset, config_dict=own)  # a class, not a name, loses BPR.yaml: name embedding_size
    init_seed(config["seed"], config["reproducibility"])  # else "seed" does nothing
    train, valid, _ = data_preparation(config, create_dataset(config))
    model = model_class(config, train.dataset).to(config["device"])
    if with_prism:
        for field, table in (("user_id", model.user_embedding), ("item_id", model.item_embedding)):
            counts = torch.bincount(train.dataset.inter_feat[field], minlength=len(table.weight))  # RecBole's own ids
            prism_(table.weight, counts)
            assert_norms(table.weight, counts)
    get_trainer(config["MODEL_TYPE"], model_class.__name__)(config, model).fit(train, valid, saved=False)
    return model, train.dataset


# [end]


def tables(model_class, with_prism, **extra):
    """The trained tables in the order of the toy data's ids."""
    model, dataset = train(model_class, "toy", settings | extra, with_prism)
    found = []
    own = (("user_id", model.user_embedding, num_users), ("item_id", model.item_embedding, num_items))
    for field, table, rows in own:
        ours = [int(token[1:]) for token in dataset.field2id_token[field][1:]]  # row 0 is [PAD]
        whole = np.zeros((rows, 64), np.float32)
        whole[ours] = table.weight.detach().numpy()[1:]
        found.append(whole)
    return found


if __name__ == "__main__":
    found = {}
    for name, model_class, rate in (("DirectAU", DirectAU, 0.01), ("BPR", BPR, 0.01)):
        start, prism = (tables(model_class, on, learning_rate=rate) for on in (False, True))
        found |= {f"{name}, own start": ndcg(*start), f"{name}, PRISM": ndcg(*prism)}
        if name == "DirectAU":
            assert ndcg(*prism) > ndcg(*start) and follows_popularity(prism[1]) > 0.9
            found |= {"DirectAU, lengths at scoring": with_chosen_lengths(*start)}
    report(version=recbole.__version__, regulariser="weight_decay", scores=found)
