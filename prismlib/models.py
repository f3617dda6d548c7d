"""Backbones. Each maps user and item ids to embeddings; the score of a pair is their dot product."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prismlib._checks import as_ids, at_least_float32, check_count, check_ids
from prismlib._fast import kernels, trial
from prismlib._fast.scores import list_items, pair_scores
from prismlib._fast.sparse import SparseMatrix, averaged
from prismlib.data import Interactions, as_pairs
from prismlib.hypersphere import unit


class Backbone(nn.Module):
    """What training and ranking call: ids to embeddings, and the two whole tables (Section 2.1).

    Attributes:
        user: the trained user table, one row per user. PRISM initialises it.
        item: the trained item table, one row per item. PRISM initialises it.
        item_table_is_free: whether the embeddings of all items cost a step no more than those of the listed ones.
        table_copies: how many tables of the size of ``user`` and ``item`` together a step holds for its gradients;
            0 where it holds rows of the batch alone. The check of memory before a training counts them.
        capturable: whether a GPU's training may capture the steps in a CUDA graph, as for
            :class:`prismlib.losses.RankingLoss`. A class says so for itself, and so does each class of its parts that
            is not PyTorch's.

    >>> class TwoTowers(Backbone):
    ...     def __init__(self, num_users: int, num_items: int, dim: int = 64) -> None:
    ...         super().__init__()
    ...         self.user, self.item = nn.Embedding(num_users, dim), nn.Embedding(num_items, dim)
    ...         self.tower = nn.Linear(dim, dim)
    ...
    ...     def forward(self, user_id: Tensor, item_id: Tensor) -> tuple[Tensor, Tensor]:
    ...         return self.tower(self.user(user_id)), self.item(item_id)
    ...
    ...     def embeddings(self) -> tuple[Tensor, Tensor]:
    ...         return self.tower(self.user.weight), self.item.weight
    >>> user, item = TwoTowers(4, 5, dim=8)(torch.tensor([0, 3]), torch.tensor([[1, 2], [0, 4]]))
    >>> user.shape, item.shape
    (torch.Size([2, 8]), torch.Size([2, 2, 8]))
    """

    user: nn.Embedding
    item: nn.Embedding
    item_table_is_free: bool = False
    table_copies: int = 0
    capturable: bool = False

    def forward(self, user_id: Tensor, item_id: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of a batch.

        Args:
            user_id: users, any integer dtype, any shape ``(*)``.
            item_id: items, any integer dtype, any shape ``(*)``; it need not be the users' shape.

        Returns:
            Rows of the users and of the items, each of shape ``(*, dim)``.

        Raises:
            ValueError: the ids are not integers.
        """
        raise NotImplementedError

    def score(self, user_id: Tensor, item_id: Tensor, cosine: bool = False) -> Tensor:
        """Scores of users with the items that are listed for each.

        Args:
            user_id: users, any integer dtype, ``(B,)``.
            item_id: the items listed for each user, any integer dtype, ``(B, L)``.
            cosine: True for cosines, False for dot products.

        Returns:
            ``(B, L)``, float32 or float64.

        Raises:
            ValueError: the ids are not integers, or have other shapes. Nothing is broadcast.
        """
        user_id, item_id = as_ids("user_id", user_id), as_ids("item_id", item_id)
        if user_id.dim() != 1 or item_id.dim() != 2 or len(user_id) != len(item_id):
            raise ValueError(
                f"user_id and item_id must have shapes (B,) and (B, L),"
                f" got {tuple(user_id.shape)} and {tuple(item_id.shape)}"
            )
        if user_id.device.type != "cpu":  # looking for distinct items would stall the stream
            pays = self.item_table_is_free or self.item.num_embeddings <= item_id.numel()
            if pays and not self.item.sparse and trial.can_run(kernels.listed_scores, self.item.weight):
                return self._score_in_table(user_id, item_id, cosine)
            user, item = self(user_id, item_id)
            user, item = (unit(user), unit(item)) if cosine else (at_least_float32(user), at_least_float32(item))
            return (user[:, None] * item).sum(-1)
        listed = list_items(item_id)
        user, item = self(user_id, listed.items)
        user, item = (unit(user), unit(item)) if cosine else (user, item)
        return pair_scores(user, item, listed)

    def _score_in_table(self, user_id: Tensor, item_id: Tensor, cosine: bool) -> Tensor:
        """The same from the rows of all items, so that those of the listed ones are never written."""
        user, item = self._with_item_table(user_id)
        user, item = (unit(user), unit(item)) if cosine else (at_least_float32(user), at_least_float32(item))
        return kernels.listed_scores(user, item, item_id)

    def _with_item_table(self, user_id: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of some users and those of all items, as :meth:`forward` gives them."""
        return self(user_id, torch.arange(self.item.num_embeddings, device=user_id.device))

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """The tables that full ranking multiplies: ``(num_users, dim)`` and ``(num_items, dim)``."""
        raise NotImplementedError


class MF(Backbone):
    """Matrix factorisation: one embedding row per user and per item, score = dot product (Section 2.1).

    Rows start Xavier-uniform (Appendix B.1).

    Args:
        num_users: rows of the user table, >= 1.
        num_items: rows of the item table, >= 1.
        dim: length of an embedding, >= 1.
        generator: source of the starting values; None draws them from PyTorch's global generator.
        sparse: True makes gradients hold the rows of the batch alone, for :data:`prismlib.optim.TAKE_SPARSE`.

    Raises:
        ValueError: a size is not a whole number or < 1.

    >>> model = MF(num_users=4, num_items=5, dim=8, generator=torch.Generator().manual_seed(0))
    >>> user, item = model(torch.tensor([0, 3]), torch.tensor([[1], [2]]))
    >>> user.shape, item.shape
    (torch.Size([2, 8]), torch.Size([2, 1, 8]))
    """

    item_table_is_free = True
    capturable = True

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 64,
        generator: torch.Generator | None = None,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("num_users", num_users), ("num_items", num_items), ("dim", dim)):
            check_count(name, size)
        self.user = nn.Embedding(num_users, dim, sparse=sparse)
        self.item = nn.Embedding(num_items, dim, sparse=sparse)
        for table in (self.user, self.item):
            nn.init.xavier_uniform_(table.weight, generator=generator)

    def forward(self, user_id: Tensor, item_id: Tensor) -> tuple[Tensor, Tensor]:
        return _rows(self.user, user_id), _rows(self.item, item_id)

    def _with_item_table(self, user_id: Tensor) -> tuple[Tensor, Tensor]:
        if type(self).forward is not MF.forward:  # a subclass that maps ids in its own way is asked
            return super()._with_item_table(user_id)
        return _rows(self.user, user_id), _weight(self.item)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return _weight(self.user), _weight(self.item)


class NonLinearMF(MF):
    """MF with one two-layer perceptron for users and one for items, score = dot product (Appendix B.1).

    A perceptron is ``Linear(dim, dim)``, ReLU, ``Linear(dim, dim)`` on the embedding rows, with biases, in PyTorch's
    usual initialisation.

    Args:
        num_users: rows of the user table, >= 1.
        num_items: rows of the item table, >= 1.
        dim: length of an embedding, >= 1.
        relu: False leaves the ReLU out. The released code in effect does so: it discards the ReLU's result, and the
            published "non-linear MF" is two stacked linear layers.
        generator: source of the starting values; None draws them from PyTorch's global generator.
        sparse: as for :class:`MF`.

    Raises:
        ValueError: a size is not a whole number or < 1.

    >>> model = NonLinearMF(num_users=4, num_items=5, dim=8)
    >>> [tuple(table.shape) for table in model.embeddings()]
    [(4, 8), (5, 8)]
    """

    item_table_is_free = False  # the perceptron would run over all of them
    capturable = True

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 64,
        relu: bool = True,
        generator: torch.Generator | None = None,
        sparse: bool = False,
    ) -> None:
        super().__init__(num_users, num_items, dim, generator, sparse)
        self.user_mlp = _mlp(dim, relu, generator)
        self.item_mlp = _mlp(dim, relu, generator)

    def forward(self, user_id: Tensor, item_id: Tensor) -> tuple[Tensor, Tensor]:
        user, item = super().forward(user_id, item_id)
        return self.user_mlp(user), self.item_mlp(item)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return self.user_mlp(_weight(self.user)), self.item_mlp(_weight(self.item))


class LightGCN(MF):
    """LightGCN: the mean of the tables after 0 to ``depth`` rounds of neighbour averaging (He et al. 2020).

    The graph is the training interactions with symmetric normalisation and no self loops. The whole tables are
    propagated at every step.

    Args:
        num_users: rows of the user table, >= 1.
        num_items: rows of the item table, >= 1.
        train: training interactions, the edges of the graph.
        dim: length of an embedding, >= 1.
        depth: rounds of propagation, >= 1; the paper uses 3.
        generator: source of the starting values; None draws them from PyTorch's global generator.

    Raises:
        ValueError: a size or ``depth`` is not a whole number or < 1; or ``train`` are not interactions, or have an id
            that is not a row of its table.

    >>> import numpy as np
    >>> train = Interactions(np.array([0, 1]), np.array([2, 2]))
    >>> model = LightGCN(2, 3, train, dim=4)
    >>> [tuple(table.shape) for table in model.embeddings()]
    [(2, 4), (3, 4)]
    """

    capturable = True

    def __init__(
        self,
        num_users: int,
        num_items: int,
        train: Interactions,
        dim: int = 64,
        depth: int = 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_users, num_items, dim, generator)
        check_count("depth", depth)
        self.depth, self.table_copies = depth, 2 * (depth + 1)
        user, item = as_pairs("train", train)
        check_ids("train.user", user, num_users)
        check_ids("train.item", item, num_items)
        degree_user, degree_item = user.bincount(minlength=num_users), item.bincount(minlength=num_items)
        value = (degree_user[user] * degree_item[item]).to(at_least_float32(self.user.weight).dtype).rsqrt()
        # each direction is a product of its own, and the other direction is its gradient: both are made once
        self.to_user = SparseMatrix(user, item, value, (num_users, num_items))
        self.to_item = SparseMatrix(item, user, value, (num_items, num_users))

    def forward(self, user_id: Tensor, item_id: Tensor) -> tuple[Tensor, Tensor]:
        if type(self).embeddings is not LightGCN.embeddings:  # a subclass's own tables are its rows too
            user, item = self.embeddings()
            return _select(user, user_id), _select(item, item_id)
        user_id, item_id = as_ids("user_id", user_id), as_ids("item_id", item_id)
        user, item = self._averaged((user_id.flatten(), item_id.flatten()))
        # unflatten takes no empty shape, which an id of no dimension has
        return user.reshape(*user_id.shape, user.shape[1]), item.reshape(*item_id.shape, item.shape[1])

    def _with_item_table(self, user_id: Tensor) -> tuple[Tensor, Tensor]:
        if type(self).forward is not LightGCN.forward:
            return super()._with_item_table(user_id)
        user, item = self.embeddings()
        return _select(user, user_id), item

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return self._averaged(None)

    def _averaged(self, ids: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        # there are no sparse products in half precision
        user, item = at_least_float32(_weight(self.user)), at_least_float32(_weight(self.item))
        return averaged(self.to_user, self.to_item, user, item, self.depth, ids)


def _mlp(dim: int, relu: bool, generator: torch.Generator | None) -> nn.Sequential:
    layers = [nn.Linear(dim, dim), *([nn.ReLU()] if relu else []), nn.Linear(dim, dim)]
    for layer in layers:
        if isinstance(layer, nn.Linear):  # nn.Linear's own law, drawn from the generator
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
            nn.init.uniform_(layer.bias, -(dim**-0.5), dim**-0.5, generator=generator)
    return nn.Sequential(*layers)


def _weight(table: nn.Embedding) -> Tensor:
    """A table's rows, which are taken without calling it; a ValueError where a call would do more than take them."""
    for option in ("padding_idx", "max_norm"):
        if getattr(table, option) is not None:
            raise ValueError(
                f"{option} must be None in the embeddings of MF, NonLinearMF and LightGCN, got {getattr(table, option)}"
            )
    if table.scale_grad_by_freq:
        raise ValueError("scale_grad_by_freq must be False in the embeddings of MF, NonLinearMF and LightGCN, got True")
    return table.weight


def _rows(table: nn.Embedding, ids: Tensor) -> Tensor:
    weight = _weight(table)
    if table.sparse:
        return table(as_ids("ids", ids))
    return _select(weight, ids)


def _select(table: Tensor, ids: Tensor) -> Tensor:
    ids = as_ids("ids", ids)
    # index_select's backward is one index_add_: on CPU 4x faster than nn.Embedding's, 9x than table[ids]'s
    return table.index_select(0, ids.flatten()).view(*ids.shape, table.shape[1])
