"""PRISM on tables that FSDP2 shards: torchrun --nproc-per-node 2 recipes/fsdp2.py"""

from __future__ import annotations

import torch.distributed as dist
from toy import assert_norms, num_items, num_users, split
from torch.nn import functional as F

dist.init_process_group("gloo")

# [recipe]
import torch
from torch.distributed.fsdp import fully_shard

from prismlib import prism_


def tables():
    torch.manual_seed(7)  # the same start on every rank
    sizes = {"user": num_users, "item": num_items}
    return torch.nn.ModuleDict({name: torch.nn.Embedding(rows, 64) for name, rows in sizes.items()})


model = tables()
for table in model.values():
    fully_shard(table)
prism_(model["user"].weight, split.user_popularity)  # the counts of ALL rows, on every rank
prism_(model["item"].weight, split.item_popularity)
# [end]


def train(model):
    """Ten steps on batches that every rank has whole, so that one process can do the same."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)  # no weight decay
    draw = torch.Generator().manual_seed(0)
    users, items = (torch.as_tensor(column).long() for column in split.train)
    for _ in range(10):
        rows = torch.randint(len(users), (256,), generator=draw)
        listed = torch.cat([items[rows, None], torch.randint(num_items, (256, 10), generator=draw)], dim=1)
        cosine = F.cosine_similarity(model["user"](users[rows])[:, None], model["item"](listed), dim=2)
        optimizer.zero_grad()
        F.cross_entropy(cosine / 0.2, torch.zeros(256, dtype=torch.long)).backward()
        optimizer.step()


alone = tables()
prism_(alone["user"].weight, split.user_popularity)
prism_(alone["item"].weight, split.item_popularity)
for name, counts in (("user", split.user_popularity), ("item", split.item_popularity)):
    assert_norms(model[name].weight.full_tensor(), counts)
    assert torch.equal(model[name].weight.full_tensor(), alone[name].weight)
    assert model[name].weight.to_local().shape[0] < len(counts)  # a rank holds a part
train(model)
train(alone)
before = tables()["item"].weight
for name in model:
    assert torch.equal(model[name].weight.full_tensor(), alone[name].weight), "two processes and one differ"
assert not torch.equal(alone["item"].weight, before)
try:
    prism_(model["item"].weight, split.item_popularity[: num_items // 2])  # the counts of its own rows
    raise AssertionError("counts of a part of the rows were accepted")
except ValueError as error:
    assert "500" in str(error), error
if dist.get_rank() == 0:
    print("FSDP2: norms right, training bit-equal to one process, local counts refused")
dist.destroy_process_group()
