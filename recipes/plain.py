"""Short answers that need torch alone: two towers, EmbeddingBag, a warm start, counts that grow."""

from __future__ import annotations

import torch
from toy import assert_norms, num_items, split

from prismlib import prism_, recommend

popularity = torch.as_tensor(split.item_popularity)
features = torch.randn(num_items, 48, generator=torch.Generator().manual_seed(0))
layer = torch.nn.Linear(48, 16)


def tower(items):
    return torch.nn.functional.normalize(layer(items), dim=1)


# what normalises its output deletes a length before it
table = torch.nn.Embedding(num_items, 16)
prism_(table.weight, popularity)
assert torch.allclose(torch.nn.functional.normalize(table.weight, dim=1).norm(dim=1), torch.ones(num_items))
b = 1 / 6

# [towers]
import torch

from prismlib.lengths import popularity_power

with torch.no_grad():
    unit = tower(features)  # (n, d), normalised, on the device of popularity
    served = unit * popularity_power(popularity, b)[:, None]  # into an inner-product index
# [end]

with torch.no_grad():
    users = torch.randn(4, 16)
    by_index = (users @ served.T).topk(20).indices
    assert torch.equal(by_index, recommend((users, unit), range(4), length=popularity_power(popularity, b)).items)
assert torch.allclose(served.norm(dim=1), popularity_power(popularity, b))

queries, positives, hidden = torch.randn(split.dataset.num_users, 16), split.validation, split.train
# [queries]
from prismlib import FullRanking, popularity_groups
from prismlib.lengths import choose_exponent

groups = popularity_groups(popularity)
validation = FullRanking(positives, hidden, groups, num_users=len(queries))
b = choose_exponent(queries, unit, popularity, validation)
# [end]
assert 0 <= b <= 1

trained = torch.randn(num_items, 16)
# [bag]
import torch

from prismlib import prism_

bag = torch.nn.EmbeddingBag(num_items, 16)
prism_(bag.weight, popularity)
warm = torch.nn.Embedding.from_pretrained(trained, freeze=False)
prism_(warm.weight, popularity)
# [end]
assert_norms(bag.weight, popularity)
assert_norms(warm.weight, popularity)

old, new = popularity, popularity + 7
with torch.no_grad():  # what training did
    table.weight.mul_(1 + torch.rand(num_items, 1))
before = table.weight.detach().clone()
# [grow]
import torch

from prismlib import prism_norm

with torch.no_grad():
    length = table.weight.norm(dim=1)
    squared = length**2 + prism_norm(new) ** 2 - prism_norm(old) ** 2
    with_new = squared.clamp_min(prism_norm([0]) ** 2).sqrt()  # no row is shorter than a new one
    table.weight.mul_((with_new / length)[:, None])
# [end]
added = table.weight.norm(dim=1) ** 2 - prism_norm(new) ** 2
assert torch.allclose(added, before.norm(dim=1) ** 2 - prism_norm(old) ** 2, atol=1e-4)  # what training added is kept
assert torch.allclose(torch.cosine_similarity(table.weight, before), torch.ones(num_items))
