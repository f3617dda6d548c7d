"""PRISM in TorchRec on a CPU: one process trains; two processes show which shardings it can be used with."""

from __future__ import annotations

import datetime
import logging
import os
import socket
import warnings

warnings.filterwarnings("ignore")

import torch.distributed as dist
from toy import assert_norms, follows_popularity, ndcg, num_items, report, split, with_chosen_lengths
from torch.nn import functional as F
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.sharding_plan import column_wise, construct_module_sharding_plan, data_parallel, row_wise
from torchrec.distributed.types import ShardingPlan

logging.disable(logging.WARNING)
counts = {"user": split.user_popularity, "item": split.item_popularity}

# [recipe]
from functools import partial

import torch
from torchrec import EmbeddingBagCollection, EmbeddingBagConfig

from prismlib import prism_


def init(weight, popularity, dim):
    if weight.shape[1] != dim:  # each shard would get the norm of the whole row, and the row sqrt(shards) times it
        raise ValueError(f"init got a column-wise shard, {weight.shape[1]} of {dim} columns: shard by tables")
    prism_(torch.nn.init.xavier_uniform_(weight), popularity)  # init_fn replaces TorchRec's start: name one


def config(name, d, dim=64):
    own = partial(init, popularity=d, dim=dim)
    return EmbeddingBagConfig(name=name, feature_names=[name], num_embeddings=len(d), embedding_dim=dim, init_fn=own)


configs = [config(name, d) for name, d in counts.items()]
tables = EmbeddingBagCollection(tables=configs, device=torch.device("cpu"))
# [end]

# [optimizer]
import torch
import torchrec


def optimizer_of(tables, row_wise=False):
    if row_wise:  # Adagrad with one number of state a row
        return torchrec.optim.RowWiseAdagrad(tables.parameters(), lr=0.5)
    return torch.optim.Adam(tables.parameters(), lr=0.05, weight_decay=0.0)


# [end]


def train(with_prism: bool, row_wise: bool = False):
    torch.manual_seed(1)
    tables = EmbeddingBagCollection(tables=configs, device=torch.device("cpu"))
    weights = {name: bag.weight for name, bag in tables.embedding_bags.items()}
    for name, weight in weights.items():
        assert_norms(weight, counts[name])
        if not with_prism:
            torch.nn.init.xavier_uniform_(weight)
    stepper = optimizer_of(tables, row_wise)
    pairs = [torch.as_tensor(column).long() for column in split.train]
    for _ in range(8):
        for rows in torch.randperm(len(pairs[0])).split(512):
            listed = torch.cat([pairs[1][rows, None], torch.randint(num_items, (len(rows), 10))], dim=1)
            user, item = F.embedding(pairs[0][rows], weights["user"]), F.embedding(listed, weights["item"])
            cosine = F.cosine_similarity(user[:, None], item, dim=2)
            stepper.zero_grad()
            F.cross_entropy(cosine / 0.2, torch.zeros(len(rows), dtype=torch.long)).backward()
            stepper.step()
    return weights["user"], weights["item"]


def sharded(rank: int, how: str, port: int, answers) -> None:
    """What a sharding makes of the recipe, on two processes."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=500))
    by = {"data-parallel": data_parallel(), "row-wise": row_wise(), "column-wise": column_wise(ranks=[0, 1])}[how]
    try:
        tables = EmbeddingBagCollection(device=torch.device("meta"), tables=configs)
        plan = construct_module_sharding_plan(
            tables,
            per_param_sharding={name: by for name in counts},
            sharder=EmbeddingBagCollectionSharder(),
            local_size=2,
            world_size=2,
            device_type="cpu",
        )
        model = DistributedModelParallel(
            tables,
            device=torch.device("cpu"),
            plan=ShardingPlan(plan={"": plan}),
            sharders=[EmbeddingBagCollectionSharder()],
        )
        weight = model.state_dict()["embedding_bags.item.weight"]
        assert_norms(weight, counts["item"])
        answer = "right"
    except ValueError as error:
        answer = f"refused: {error}"
    if rank == 0:
        answers.put((how, answer))
    os._exit(0)  # gloo waits for ranks that have stopped


def shardings() -> dict[str, str]:
    context = torch.multiprocessing.get_context("spawn")
    found = {}
    for how in ("data-parallel", "row-wise", "column-wise"):
        answers = context.SimpleQueue()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        workers = [context.Process(target=sharded, args=(rank, how, port, answers)) for rank in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(600)
            worker.kill()
        assert not answers.empty(), f"{how}: no answer within ten minutes"
        found.update([answers.get()])
    return found


if __name__ == "__main__":
    found = shardings()
    assert found["data-parallel"] == "right", found
    assert "weight must" in found["row-wise"] or "entries" in found["row-wise"], found
    assert found["column-wise"].startswith("refused: init got a column-wise shard, 32 of 64 columns"), found
    start, prism, law = train(False), train(True), train(False, row_wise=True)
    assert follows_popularity(prism[1]) > 0.9
    scores = {
        "softmax of cosines, own start": ndcg(*start),
        "softmax of cosines, PRISM": ndcg(*prism),
        "softmax of cosines, lengths at scoring": with_chosen_lengths(*start),
        "softmax of cosines, row-wise Adagrad": ndcg(*law),
    }
    report(version=torchrec.__version__, regulariser="none: the optimiser is yours", scores=scores, shardings=found)
