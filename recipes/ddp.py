"""PRISM on tables that DistributedDataParallel copies: torchrun --nproc-per-node 2 recipes/ddp.py"""

from __future__ import annotations

import torch
import torch.distributed as dist
from toy import assert_norms, num_items, split

dist.init_process_group("gloo")
torch.manual_seed(dist.get_rank())  # ranks that start apart
table = torch.nn.Embedding(num_items, 64)

# [recipe]
from torch.nn.parallel import DistributedDataParallel

from prismlib import prism_

model = DistributedDataParallel(table)  # first: it copies the rows of rank 0 to all
prism_(model.module.weight, split.item_popularity)
# [end]

assert_norms(model.module.weight, split.item_popularity)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(3):
    model(torch.arange(step, num_items, 1 + dist.get_rank())).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
both = [torch.empty_like(table.weight) for _ in range(2)]
dist.all_gather(both, table.weight.detach())
assert torch.equal(*both)
if dist.get_rank() == 0:
    print("DDP: norms right, rows equal on both ranks after training")
dist.destroy_process_group()
