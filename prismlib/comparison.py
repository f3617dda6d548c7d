"""Did it help? Two ways of recommending, compared user by user on the same held-out interactions.

The users of a test are a sample. The interval of :func:`compare` says what other users of the same kind might have
shown: it is that of a paired bootstrap, which draws users with replacement and compares both ways on the users drawn
(Efron 1979). It does not say what another training run would give: for that, train each way with two or three seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from prismlib._checks import check_count, check_ids
from prismlib._columns import Column, ids, popularity_column
from prismlib.data import Interactions, as_pairs
from prismlib.metrics import GROUPS, check_lists, ndcg, popularity_groups, recall
from prismlib.serving import Recommendations

#: Interactions, or a SciPy or a torch matrix in CSR form, one row per user and one column per item.
HeldOut: TypeAlias = Any
#: Ranked lists: item ids, or what :func:`prismlib.serving.recommend` returns.
Lists: TypeAlias = Any

#: All items, then the popularity groups of :func:`prismlib.metrics.popularity_groups`.
PARTS = ("all", *GROUPS)


@dataclass(frozen=True)
class Change:
    """One metric before and after, as means over users, with the 95 % interval of the difference.

    Attributes:
        before: mean over users of the first lists.
        after: mean over users of the second lists.
        low: lower end of the interval of ``after - before``.
        high: upper end of the interval of ``after - before``.

    >>> change = Change(before=0.25, after=0.5, low=0.125, high=0.375)
    >>> change.difference, change.is_clear
    (0.25, True)
    """

    before: float
    after: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero, so that other users would very likely show the same sign."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found. Printed, it is a table.

    Attributes:
        ndcg: NDCG@k of all items under ``"all"``, then its parts by popularity group, which sum to it.
        recall: recall@k in the same way.
        users: number of users that were compared, which are those with held-out interactions.
        k: length at which the lists were cut.

    >>> change = Change(before=0.25, after=0.5, low=0.125, high=0.375)
    >>> print(Comparison(ndcg={"all": change}, recall={"all": change}, users=80, k=10))
    80 users             before    after   after - before [95 % interval]
    NDCG@10              0.2500   0.5000   +0.2500 [+0.1250, +0.3750]
    recall@10            0.2500   0.5000   +0.2500 [+0.1250, +0.3750]
    """

    ndcg: dict[str, Change]
    recall: dict[str, Change]
    users: int
    k: int

    def __str__(self) -> str:
        lines = [f"{f'{self.users:,} users':18}{'before':>9}{'after':>9}   after - before [95 % interval]"]
        for name, changes in (("NDCG", self.ndcg), ("recall", self.recall)):
            for part, change in changes.items():
                title = f"{name}@{self.k}" if part == "all" else f"  {part} items"
                numbers = f"{change.before:9.4f}{change.after:9.4f}   {change.difference:+.4f}"
                lines.append(f"{title:18}{numbers} [{change.low:+.4f}, {change.high:+.4f}]")
        return "\n".join(lines)


def compare(
    before: Lists,
    after: Lists,
    held_out: HeldOut,
    popularity: Column,
    *,
    generator: torch.Generator,
    users: Column | None = None,
    k: int = 20,
    draws: int = 2000,
) -> Comparison:
    """Compare two ways of recommending, user by user: NDCG@k and recall@k, overall and by popularity group.

    Users without held-out interactions have no score and are left out. A held-out pair counts once. Both lists must be
    made without the held-out interactions, and should leave out what a user has seen.

    Args:
        before: ranked item ids of the first way, integers, shape ``(n, K)``, best first, K >= k; -1 stands for no item.
            A tensor or a NumPy array, as ``FullRanking.lists(...)["dot"]`` is, or what
            :func:`prismlib.serving.recommend` returns.
        after: the same of the second way, for the same users in the same order.
        held_out: the interactions to find: :class:`~prismlib.data.Interactions`, or a SciPy or a torch matrix in CSR
            form, where every entry that is stored counts, whatever its value, as in a matrix of what was seen.
        popularity: training interactions of each item, shape ``(num_items,)``, see
            :func:`prismlib.metrics.popularity_groups`.
        generator: source of the bootstrap's draws, of the CPU.
        users: the user of each row of the lists, integers, shape ``(n,)``, each once; held-out interactions of other
            users do not count. None: row i is user i. The lists of a :class:`~prismlib.ranking.FullRanking` are those
            of its ``users``.
        k: length at which the lists are cut.
        draws: number of bootstrap samples, >= 100.

    Returns:
        The comparison. The ends of an interval are the 2.5 % and 97.5 % quantiles of the samples' differences.

    Raises:
        ValueError: lists that are no ids of items, name an item twice, are shorter than ``k`` or are not of one number
            of users; a user twice, or one with held-out interactions and no list; interactions of another form, or
            with an item that popularity does not have; no user with held-out interactions; ``k`` or ``draws`` out of
            range; a generator that is none.

    >>> held_out = Interactions([0, 1, 2, 3], [2, 2, 2, 0])
    >>> before, after = torch.tensor([[0], [0], [0], [0]]), torch.tensor([[2], [2], [2], [2]])
    >>> generator = torch.Generator().manual_seed(0)
    >>> result = compare(before, after, held_out, [9, 5, 1], generator=generator, k=1)
    >>> result.ndcg["all"].difference, result.ndcg["popular"].difference, result.ndcg["unpopular"].difference
    (0.5, -0.25, 0.75)
    >>> result.users, result.ndcg["all"].is_clear
    (4, False)
    """
    count = popularity_column("popularity", popularity).cpu()
    group = popularity_groups(count)
    check_count("k", k)
    check_count("draws", draws, 100)
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise ValueError("generator must be a torch.Generator of the CPU: torch.Generator().manual_seed(0) makes one")
    lists = [_cut(name, given, len(count), k) for name, given in (("before", before), ("after", after))]
    if len(lists[0]) != len(lists[1]):
        raise ValueError(f"before and after must have the same users, got {len(lists[0])} and {len(lists[1])} lists")
    who = _users(users, len(lists[0]))
    user, item = _pairs(held_out, len(count))
    row = _rows(user, who, known=users is not None)
    relevant = (row * len(count) + item)[row >= 0].unique()
    number = (relevant // len(count)).bincount(minlength=len(who))
    scored = number > 0
    if not scored.any():
        raise ValueError("held_out has no interaction of these users: there is nothing to find")

    first, second = (_scores(each, relevant, number, group, scored) for each in lists)
    low, high = _interval(second - first, draws, generator)
    columns = zip(first.mean(0).tolist(), second.mean(0).tolist(), low, high, strict=True)
    changes = [Change(*column) for column in columns]
    of_ndcg, of_recall = (dict(zip(PARTS, changes[at : at + len(PARTS)], strict=True)) for at in (0, len(PARTS)))
    return Comparison(of_ndcg, of_recall, int(scored.sum()), int(k))


def _cut(name: str, given: Lists, num_items: int, k: int) -> Tensor:
    """The first k places of ranked lists, each checked, on the CPU."""
    listed = given.items if isinstance(given, Recommendations) else given
    items = check_lists(listed, num_items, "which popularity has", name).cpu()
    if items.dim() != 2:
        raise ValueError(f"{name} must have shape (users, K), got {tuple(items.shape)}")
    if items.shape[1] < k:
        raise ValueError(f"k must lie in [1, {items.shape[1]}], the length of the lists of {name}, got {k}")
    return items[:, :k]


def _users(users: Column | None, number: int) -> Tensor:
    """The user of each list, each once."""
    if users is None:
        return torch.arange(number)
    who = ids("users", users).cpu()
    if len(who) != number:
        raise ValueError(f"users must have {number} entries, one per list, got {len(who)}")
    if len(who.unique()) < number:
        ordered = who.sort().values
        twice = int(ordered[1:][ordered[1:] == ordered[:-1]][0])
        raise ValueError(f"users has user {twice} twice: a user must have one list before and one after")
    return who


def _pairs(held_out: HeldOut, num_items: int) -> tuple[Tensor, Tensor]:
    """The users and the items of the held-out interactions."""
    if isinstance(held_out, Tensor) and held_out.layout == torch.sparse_csr:
        pointers, item = held_out.crow_indices().cpu().long(), held_out.col_indices().cpu().long()
        user = torch.arange(len(pointers) - 1).repeat_interleave(pointers.diff())
    elif getattr(held_out, "format", None) == "csr" and hasattr(held_out, "indptr"):  # SciPy's
        pointers, item = (torch.from_numpy(part.astype(np.int64)) for part in (held_out.indptr, held_out.indices))
        user = torch.arange(len(pointers) - 1).repeat_interleave(pointers.diff())
    elif isinstance(held_out, Interactions):
        user, item = as_pairs("held_out", held_out)
    else:
        form = type(held_out).__name__
        raise ValueError(f"held_out must be Interactions or a CSR matrix (.tocsr() makes one), got {form}")
    check_ids("held_out.item", item, num_items)
    return user, item


def _rows(user: Tensor, who: Tensor, known: bool) -> Tensor:
    """The list of each held-out interaction's user; -1 where the user has none."""
    if not known:
        if len(user) and (user.min() < 0 or user.max() >= len(who)):
            raise ValueError(
                f"held_out has user {int(user.max())}, but the lists are of users 0 to {len(who) - 1}: name the user of"
                " each list by users"
            )
        return user
    order = who.argsort()
    place = torch.searchsorted(who[order], user).clamp_(max=max(len(who) - 1, 0))
    return torch.where(who[order][place] == user, order[place], -1) if len(who) else torch.full_like(user, -1)


def _scores(lists: Tensor, relevant: Tensor, number: Tensor, group: Tensor, scored: Tensor) -> Tensor:
    """Both metrics of each scored user, all items and then the parts: float64, shape ``(users, 8)``."""
    num_items = len(group)
    items = lists[scored]
    key = scored.nonzero() * num_items + items
    place = torch.searchsorted(relevant, key).clamp_(max=len(relevant) - 1)
    hit = (items >= 0) & (relevant[place] == key)
    of_item = group[items.clamp_min(0)]
    parts = [metric(hit, number[scored], of_item).double() for metric in (ndcg, recall)]
    return torch.cat([column for part in parts for column in (part.sum(1, keepdim=True), part)], dim=1)


def _interval(difference: Tensor, draws: int, generator: torch.Generator) -> tuple[list[float], list[float]]:
    """The ends of the paired bootstrap's 95 % interval of each column's mean."""
    n = len(difference)
    means = torch.empty(draws, difference.shape[1], dtype=torch.float64)
    for draw in range(draws):
        times = torch.randint(n, (n,), generator=generator).bincount(minlength=n)  # how often each user is drawn
        means[draw] = times.double() @ difference / n
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64), dim=0)
    return low.tolist(), high.tolist()
