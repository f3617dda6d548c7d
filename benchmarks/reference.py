"""The plain way: the formulas as printed, PyTorch's defaults, no thought for speed. What bench.py compares with.

Written for the benchmark, from the paper's formulas and the habits of published code: an index DataLoader, embedding
look-ups a pair, pairwise distances by ``torch.pdist`` or as a rows x rows x dimensions tensor, the default Adam, one
dense score matrix for the ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from prismlib import Interactions

Rows = tuple[Tensor, Tensor]


class PlainMF(nn.Module):
    def __init__(self, user: Tensor, item: Tensor) -> None:
        super().__init__()
        self.user = nn.Embedding.from_pretrained(user.clone(), freeze=False)
        self.item = nn.Embedding.from_pretrained(item.clone(), freeze=False)

    def tables(self) -> Rows:
        return self.user.weight, self.item.weight


class PlainLightGCN(PlainMF):
    """PyG's convolution, which normalises the graph anew at each layer of each step."""

    def __init__(self, user: Tensor, item: Tensor, train: Interactions, depth: int = 3) -> None:
        from torch_geometric.nn import LGConv

        super().__init__(user, item)
        self.convolutions = nn.ModuleList([LGConv() for _ in range(depth)])
        ends = torch.as_tensor(train.user).long(), torch.as_tensor(train.item).long() + len(user)
        self.edges = torch.cat([torch.stack(ends), torch.stack(ends[::-1])], dim=1).to(user.device)

    def tables(self) -> Rows:
        x = torch.cat([self.user.weight, self.item.weight])
        layers = [x]
        for convolution in self.convolutions:
            layers.append(convolution(layers[-1], self.edges))
        user, item = torch.stack(layers).mean(0).split([self.user.num_embeddings, self.item.num_embeddings])
        return user, item


def bpr(tables: Rows, user_id: Tensor, item_id: Tensor, negative: Tensor) -> Tensor:
    user, item, other = tables[0][user_id], tables[1][item_id], tables[1][negative[:, 0]]
    return -torch.log(torch.sigmoid((user * item).sum(1) - (user * other).sum(1))).mean()


def ssm(tables: Rows, user_id: Tensor, item_id: Tensor, negative: Tensor, tau: float = 0.2) -> Tensor:
    user, items = tables[0][user_id], tables[1][torch.cat([item_id[:, None], negative], dim=1)]
    score = F.cosine_similarity(user[:, None], items, dim=-1) / tau
    return F.cross_entropy(score, torch.zeros(len(score), dtype=torch.long, device=score.device))


def directau(tables: Rows, user_id: Tensor, item_id: Tensor, negative: Tensor, gamma: float = 5.0) -> Tensor:
    def uniformity(x: Tensor) -> Tensor:
        return torch.pdist(F.normalize(x, dim=1)).pow(2).mul(-2).exp().mean().log()

    user, item = F.normalize(tables[0][user_id], dim=1), F.normalize(tables[1][item_id], dim=1)
    spread = uniformity(tables[0][user_id.unique()]) + uniformity(tables[1][item_id.unique()])
    return (user - item).norm(dim=1).pow(2).mean() + gamma * spread / 2


class PlainMAWU(nn.Module):
    """With the released uniformity: half of the cosine matrix and its diagonal set to zero, n^2 entries averaged."""

    def __init__(self, user_margin: Tensor, item_margin: Tensor, gamma_user: float, gamma_item: float) -> None:
        super().__init__()
        self.user_margin, self.item_margin = nn.Parameter(user_margin.clone()), nn.Parameter(item_margin.clone())
        self.gamma_user, self.gamma_item = gamma_user, gamma_item

    def forward(self, tables: Rows, user_id: Tensor, item_id: Tensor, negative: Tensor) -> Tensor:
        def uniformity(x: Tensor) -> Tensor:
            cosine = F.cosine_similarity(x[:, :, None], x.T[None], dim=1)  # rows x dimensions x rows
            return torch.exp(-2 * (2 - 2 * torch.tril(cosine, diagonal=-1))).mean().log()

        cosine = F.cosine_similarity(tables[0][user_id], tables[1][item_id]).clamp(-1 + 1e-7, 1 - 1e-7)
        margin = 1 - torch.sigmoid(self.user_margin[user_id] + self.item_margin[item_id]).squeeze(1)
        align = -torch.cos(torch.clamp(torch.acos(cosine) + margin, 0, torch.pi)).mean()
        users, items = tables[0][user_id.unique()], tables[1][item_id.unique()]
        return align + self.gamma_user * uniformity(users) + self.gamma_item * uniformity(items)


Loss = Callable[[Rows, Tensor, Tensor, Tensor], Tensor]


def steps(
    model: PlainMF, loss: Loss, pairs: Rows, batch_size: int, num_negatives: int, seed: int, weight_decay: float
) -> Iterator[float]:
    """Training steps over the pairs in the order given; each yields its loss. Draws the negatives prismlib draws."""
    parameters = [*model.parameters(), *(loss.parameters() if isinstance(loss, nn.Module) else ())]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, weight_decay=weight_decay)
    device = model.item.weight.device
    generator = torch.Generator(device).manual_seed(seed)
    num_items = model.item.num_embeddings
    for batch in DataLoader(TensorDataset(*pairs), batch_size=batch_size):
        user_id, item_id = (ids.to(device) for ids in batch)
        negative = torch.randint(num_items, (len(user_id), num_negatives), generator=generator, device=device)
        value = loss(model.tables(), user_id, item_id, negative)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if isinstance(loss, PlainMAWU):
            with torch.no_grad():
                loss.user_margin.clamp_(0, 1)
                loss.item_margin.clamp_(0, 1)
        yield value.item()


@torch.no_grad()
def validation(
    user: Tensor, item: Tensor, train: Interactions, held_out: Interactions, groups: Tensor, k: int = 20
) -> dict[str, list[float]]:
    """NDCG@k and its parts by dot product and cosine from one dense matrix of all users and all items each."""
    relevant = torch.zeros(len(user), len(item), dtype=torch.bool, device=user.device)
    relevant[held_out.user, held_out.item] = True
    count = relevant.sum(1)
    discount = 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float32, device=user.device))
    result = {}
    for by in ("dot", "cosine"):
        score = user @ item.T if by == "dot" else F.normalize(user, dim=1) @ F.normalize(item, dim=1).T
        score[train.user, train.item] = -torch.inf
        ranked = score.topk(k, dim=1).indices
        hit = relevant.gather(1, ranked)
        ideal = torch.stack([discount[: max(1, min(k, int(n)))].sum() for n in count])
        users = count > 0
        parts = [((hit & (groups[ranked] == g)) * discount).sum(1) / ideal for g in range(3)]
        mean = [float(part[users].mean()) for part in parts]
        result[by] = [sum(mean), *mean]
    return result
