"""Top-K items for any users, by the ranking that the paper evaluates: of all items, by dot product (Section 2.1).

:class:`prismlib.ranking.FullRanking` ranks the users with held-out interactions, to measure. :func:`recommend` ranks
the users it is asked for, to serve. Both give the same lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from prismlib._checks import check_count, check_ids, check_table, check_values
from prismlib._columns import Column, ids, popularity_column
from prismlib._fast.topk import TiledColumns, best_in_order
from prismlib._rows import is_moderate, peaks, power_of_two
from prismlib.data import Interactions, as_pairs
from prismlib.losses import RankingLoss
from prismlib.models import Backbone
from prismlib.ranking import block_size

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a user has seen: interactions, a SciPy or a torch matrix in CSR form, or several of these.
Seen: TypeAlias = Any

# So few users are searched without tiles, whose making would cost more than the search.
_FEW = 8
# A matrix product of fewer rows is rounded otherwise than one of many, and a list would depend on its batch.
_MIN_ROWS = 8
# Rows whose norm lies between these have products in float32's range, for any usual number of dimensions.
_PLAIN_NORMS = (2.0**-50, 2.0**50)
# A product whose size lies between these lost nothing to float32's range. What a term of it may have lost is far below
# its last bit.
_PLAIN_PRODUCTS = (2.0**-60, 2.0**120)


class Recommendations(NamedTuple):
    """Ranked lists, one for each user that was asked for.

    Attributes:
        items: item ids, int64, shape ``(n, k)``, best first; -1 where a user has no item left.
        scores: the scores of these items, floating point, shape ``(n, k)``; -inf where there is no item.

    >>> Recommendations(torch.tensor([[4, 0]]), torch.tensor([[0.9, 0.2]])).items.tolist()
    [[4, 0]]
    """

    items: Tensor
    scores: Tensor


@torch.no_grad()
def recommend(
    model: Backbone | tuple[Tensor, Tensor],
    users: Column,
    seen: Seen = None,
    k: int = 20,
    *,
    criterion: RankingLoss | None = None,
    cosine: bool = False,
    length: Column | None = None,
    items: Column | None = None,
) -> Recommendations:
    """The k best items of each user, among those that the user has not seen.

    Every item is scored, in blocks of users, on the device of the tables. The lists of a user do not depend on which
    other users are asked for. They are those of :meth:`prismlib.ranking.FullRanking.lists`; on a GPU, where a product
    is rounded by its size, items whose scores agree in all but the last bit may change places.

    Args:
        model: a backbone, which is put into evaluation mode for the call and comes back in its own; or its two tables
            of users and items, floating point, shapes ``(num_users, d)`` and ``(num_items, d)``. A graph model is
            propagated at every call with a backbone: for single users, call its ``embeddings()`` once and pass these.
        users: rows of the user table, integers, shape ``(n,)``, in any order, with repeats. List i is of ``users[i]``.
        seen: what is not recommended. :class:`~prismlib.data.Interactions`; a SciPy or a torch CSR matrix of shape
            ``(num_users, num_items)``, where every entry that is stored counts, whatever its value; or a list of
            these; None for nothing. Of interactions, all pairs are read in each call; of a CSR matrix, the rows of the
            users alone: it is the form for single users.
        k: length of the lists, in [1, num_items].
        criterion: the loss that the model was trained with, needed where it ranks by a rule of its own, as
            :class:`~prismlib.baselines.MACR` does. Without it MACR's tables would be ranked by another rule, which
            nothing here can see.
        cosine: True ranks by cosine.
        length: a length for each item, real numbers >= 0, shape ``(num_items,)``, that replaces the length of its row
            at scoring: the score is ``length * <user, item / |item|>``. None keeps the rows' own.
        items: the items that may be recommended, integers, shape ``(m,)``; None for all.

    Returns:
        Items and scores. Equal scores are ordered by item, lower first. With ``cosine`` the scores are cosines.

    Raises:
        ValueError: ``model`` is neither, or on the meta device; tables that do not fit together or to the criterion;
            the items or the rows of the users are not finite; ``users``, ``items`` or a seen id is out of range or no
            integer; ``seen`` has another shape or form; ``k`` is out of range; ``criterion`` is no loss of prismlib;
            ``length`` is not a number >= 0 for each item, is labelled in another order, or comes with ``cosine`` or
            with a criterion that ranks by a rule of its own.

    >>> user, item = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 0.0], [2.0, 0.0], [0.5, 0.5]])
    >>> recommend((user, item), [0], Interactions([0], [1]), k=3)
    Recommendations(items=tensor([[ 0,  2, -1]]), scores=tensor([[3.0000, 0.5000,   -inf]]))
    >>> recommend((user, item), [0], k=2, length=[1.0, 2.0, 3.0]).items
    tensor([[2, 1]])
    """
    user, item = _tables(model, criterion)
    num_users, num_items, device = len(user), len(item), item.device
    wanted = ids("users", users).cpu()
    check_ids("users", wanted, num_users)
    check_count("k", k)
    if k > num_items:
        raise ValueError(f"k must lie in [1, {num_items}], the number of items, got {k}")
    rows = [_rows_of(part, wanted, num_users, num_items) for part in _parts(seen)]
    hidden = _outside(items, num_items, device)
    if length is not None:
        length = popularity_column("length", length, num_items).to(device, torch.float64)

    user = user[wanted.to(device)]
    few = len(wanted) <= _FEW
    columns = None if few else TiledColumns(item.new_ones(num_items))
    size = _FEW if few else block_size(num_items, device)
    width = num_items if columns is None else len(columns.item)
    buffer = item.new_full((max(_MIN_ROWS, min(size, len(wanted))), width), -torch.inf)
    near_user, near_item = user, item
    # the products of a few users say themselves whether they are right, which spares a pass over the table
    by_product = few and len(wanted) > 0 and not cosine and length is None
    plain = by_product and _is_plain(_multiply(user, item, buffer))
    if not plain:
        near_user, near_item = _in_range(user, item)
    factor = _factor(near_item, cosine, length, criterion)

    found, values = [torch.empty(0, k, dtype=torch.long, device=device)], [item.new_empty(0, k)]
    for block in torch.arange(len(wanted)).split(size) if len(wanted) else ():
        scores = buffer[: len(block)]
        if not plain:
            _multiply(near_user[block.to(device)], near_item, buffer)
        if factor is not None:
            scores[:, :num_items].mul_(factor)
        for row in rows:
            owner, column = row(block)
            scores.view(-1).index_fill_(0, (owner * width + column).to(device), -torch.inf)
        if hidden is not None:
            scores.index_fill_(1, hidden, -torch.inf)
        top = _best(scores, k) if columns is None else columns.top(scores, columns.tiles(scores).amax(2), k)
        found.append(top)
        if near_item is not item or cosine:
            values.append(_exact(user[block.to(device)], item, top, cosine, length).to(item.dtype))
        else:
            values.append(scores.gather(1, top.clamp_min(0)).masked_fill_(top < 0, -torch.inf))
    return Recommendations(torch.cat(found), torch.cat(values))


def _tables(model: Backbone | tuple[Tensor, Tensor], criterion: RankingLoss | None) -> tuple[Tensor, Tensor]:
    """The two tables that are ranked by dot product, in one precision, float32 at least."""
    if isinstance(model, tuple | list) and len(model) == 2:
        user, item = model
    elif isinstance(model, nn.Module) and hasattr(model, "embeddings"):
        with _evaluating(model):
            user, item = model.embeddings()
    else:
        raise ValueError(f"model must be a Backbone or the pair (user table, item table), got {type(model).__name__}")
    for name, table in (("the user table", user), ("the item table", item)):
        check_table(name, table)
        check_values(name, table)
    if criterion is not None:
        if not isinstance(criterion, RankingLoss):
            raise ValueError(f"criterion must be a loss of prismlib or None, got {type(criterion).__name__}")
        user, item = criterion.rank_tables(user, item)
    if user.shape[1] != item.shape[1] or user.device != item.device or len(item) == 0:
        raise ValueError(
            "the user and the item table must have one dimension d, one device and at least one item, "
            f"got {tuple(user.shape)} on {user.device} and {tuple(item.shape)} on {item.device}"
        )
    precise = torch.promote_types(torch.promote_types(user.dtype, item.dtype), torch.float32)
    return user.detach().to(precise), item.detach().to(precise)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """A block in evaluation mode, after which every part is in the mode it was in."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _multiply(user: Tensor, item: Tensor, buffer: Tensor) -> Tensor:
    """The products of a block of users with all items, written to the first rows and columns of a buffer."""
    padded = torch.cat([user, user[-1:].expand(max(0, _MIN_ROWS - len(user)), -1)])
    product = buffer[: len(padded), : len(item)]
    return torch.mm(padded, item.T, out=product)[: len(user)]


def _is_plain(product: Tensor) -> bool:
    """Whether products are what exact rows would give: none is nan, infinite, or so small that terms were lost."""
    smallest, largest = torch.aminmax(product.abs())
    low, high = _PLAIN_PRODUCTS
    return low <= float(smallest) and float(largest) <= high  # False for nan


def _special(table: Tensor) -> Tensor:
    """The largest entries of the few rows that may be too short, too long or not finite; it reads a table once."""
    norm = torch.linalg.vector_norm(table, dim=1)
    low, high = _PLAIN_NORMS
    return peaks(table[~((norm > low) & (norm < high))])


def _in_range(user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
    """Tables whose products exist: each user's row and all items times a power of two, which keeps every order."""
    extremes = {"items": _special(item), "users": _special(user)}
    for name, peak in extremes.items():
        if not torch.isfinite(peak).all():
            raise ValueError(f"the embeddings of the {name} are not finite: they cannot be ranked")
    if all((is_moderate(peak) | (peak == 0)).all() for peak in extremes.values()):
        return user, item
    # the powers are those of FullRanking
    return user / power_of_two(peaks(user)) * 2.0**50, item / power_of_two(peaks(item).max()) * 2.0**60


def _factor(item: Tensor, cosine: bool, length: Tensor | None, criterion: RankingLoss | None) -> Tensor | None:
    """What each item's product is multiplied by: one by its row's norm, times its length."""
    if length is None and not cosine:
        return None
    # as FullRanking has it: products times inverse norms, and not products with unit rows, which are rounded otherwise
    norm = torch.linalg.vector_norm(item, dim=1, dtype=torch.float64)
    inverse = 1 / norm.clamp_min(torch.finfo(item.dtype).tiny)
    if length is None:
        return inverse.to(item.dtype)
    if cosine:
        raise ValueError("length must be None with cosine=True, which ranks by angle alone")
    if criterion is not None and type(criterion).rank_tables is not RankingLoss.rank_tables:
        raise ValueError(
            f"length must be None with {type(criterion).__name__}, whose ranking is not one of rows and lengths"
        )
    # a row of zeros has no direction: its product is 0 with any length
    return (length * torch.where(norm > 0, inverse, 0)).to(item.dtype)


def _exact(user: Tensor, item: Tensor, best: Tensor, cosine: bool, length: Tensor | None) -> Tensor:
    """The scores of the lists alone, from float64: cosines, or products that are out of float32's range."""
    rows, listed = user.double(), item[best.clamp_min(0)].double()
    if cosine or length is not None:
        norm = torch.linalg.vector_norm(listed, dim=2, keepdim=True)
        listed = listed / torch.where(norm > 0, norm, 1)
    if cosine:
        norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        rows = rows / torch.where(norm > 0, norm, 1)
    score = (listed @ rows[:, :, None]).squeeze(2)
    if length is not None:
        score = score * length[best.clamp_min(0)]
    return score.masked_fill(best < 0, -torch.inf)


def _best(scores: Tensor, k: int) -> Tensor:
    """The k best columns of a few rows, as :meth:`TiledColumns.top` gives them."""
    best, column = scores.topk(min(k + 1, scores.shape[1]))
    tied = (best[:, 1:] == best[:, :-1]).any(1).nonzero().flatten()
    if len(tied):  # topk orders equal scores as it likes
        column[tied] = best_in_order(scores[tied], best[tied])
    return column[:, :k].masked_fill_(best[:, :k] == -torch.inf, -1)


def _outside(items: Column | None, num_items: int, device: torch.device) -> Tensor | None:
    """The items that may not be recommended; None where all may."""
    if items is None:
        return None
    allowed = ids("items", items).cpu()
    check_ids("items", allowed, num_items)
    return torch.ones(num_items, dtype=torch.bool).index_fill_(0, allowed, False).nonzero().flatten().to(device)


def _parts(seen: Seen) -> list[Any]:
    """What is seen as a list of interactions and matrices."""
    if seen is None:
        return []
    if isinstance(seen, Interactions) or not isinstance(seen, Iterable) or hasattr(seen, "shape"):
        return [seen]
    return list(seen)


def _rows_of(part: Any, wanted: Tensor, num_users: int, num_items: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """A function from places in the list of users to the seen pairs: the place among these, and the item."""
    pointers, columns = _csr(part, wanted, num_users, num_items)
    begin, size = pointers[wanted.numpy()], (pointers[wanted.numpy() + 1] - pointers[wanted.numpy()])

    def pairs(places: Tensor) -> tuple[Tensor, Tensor]:
        first, number = begin[places.numpy()], size[places.numpy()]
        owner = np.repeat(np.arange(len(places)), number)
        within = np.arange(len(owner)) - np.repeat(number.cumsum() - number, number)
        item = torch.from_numpy(columns[np.repeat(first, number) + within].astype(np.int64))
        check_ids("seen.item", item, num_items)
        return torch.from_numpy(owner), item

    return pairs


def _csr(part: Any, wanted: Tensor, num_users: int, num_items: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Row pointers and columns of what is seen; of interactions, the pairs of the wanted users alone."""
    if isinstance(part, Interactions):
        user, item = as_pairs("seen", part)
        check_ids("seen.user", user, num_users)
        check_ids("seen.item", item, num_items)
        chosen = torch.zeros(num_users, dtype=torch.bool).index_fill_(0, wanted, True)[user]
        user, item = user[chosen], item[chosen]
        size = user.bincount(minlength=num_users)
        return torch.cat([size.new_zeros(1), size.cumsum(0)]).numpy(), item[user.argsort(stable=True)].numpy()
    if isinstance(part, Tensor) and part.layout == torch.sparse_csr:
        pointers, columns = part.crow_indices().cpu().numpy(), part.col_indices().cpu().numpy()
    elif getattr(part, "format", None) == "csr" and hasattr(part, "indptr"):  # SciPy's
        pointers, columns = part.indptr, part.indices
    else:
        form = getattr(part, "format", None)
        given = f"a {form} matrix" if isinstance(form, str) else type(part).__name__
        raise ValueError(
            f"seen must be Interactions, a CSR matrix (.tocsr() makes one) or a list of these, got {given}"
        )
    if tuple(part.shape) != (num_users, num_items):
        raise ValueError(
            f"seen must have shape ({num_users}, {num_items}), the model's users and items, got {tuple(part.shape)}"
        )
    return pointers, columns
