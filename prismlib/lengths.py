r"""Item lengths at scoring: popularity to a power, put on after training, with the power chosen on validation.

A loss of angles, such as DirectAU or SSM, trains directions. The lengths of the items only decide how popularity weighs
in the ranking. PRISM writes them before training, weight decay writes them during training, and these functions put
them on afterwards, :math:`|i| = d_i^b`. They are this project's and not the paper's. Popularity to a power at inference
is known from Zhang et al. 2021 (PDA); that it does what tuned decay and PRISM do is what the book tests.

The lengths of users do not matter: a factor on a user's row changes all of the user's scores alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from prismlib._checks import check_number, check_table
from prismlib._columns import Column, popularity_column
from prismlib._rows import norms
from prismlib.ranking import FullRanking

#: The exponents that are tried where none are given, from cosine (0) to the square root of popularity.
EXPONENTS = (0.0, 1 / 12, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 5 / 12, 1 / 2)
# Rows that get their lengths at once.
_BLOCK = 1 << 14


def popularity_power(popularity: Column, exponent: float) -> Tensor:
    r"""The length :math:`\max(d, 1)^b` of each item: an item that was never seen counts as one seen once.

    Args:
        popularity: d, training interactions of each item, shape ``(n,)``, real numbers >= 0.
        exponent: b, >= 0 and finite. 0 ranks by cosine. The larger it is, the more popular items gain.

    Returns:
        Lengths >= 1, floating point, shape ``(n,)``.

    Raises:
        ValueError: ``exponent`` is out of range; ``popularity`` is not one count per row.

    >>> popularity_power(torch.tensor([0, 1, 16]), exponent=0.25)
    tensor([1., 1., 2.])
    """
    check_number("exponent", exponent, inclusive=True)
    values = popularity_column("popularity", popularity)
    values = values if values.is_floating_point() else values.to(torch.get_default_dtype())
    return values.clamp_min(1) ** exponent


@torch.no_grad()
def with_lengths(item: Tensor, lengths: Column) -> Tensor:
    """The rows of a table with other lengths; directions are kept, and the table stays as it is.

    What comes back is for scoring: no gradient goes through it, also where the table is a model's parameter.

    Args:
        item: embeddings of all items, floating point, shape ``(n, d)``. A zero row stays zero.
        lengths: the new length of each row, > 0 and finite, shape ``(n,)``, e.g. of :func:`popularity_power`, or of
            :func:`prismlib.init.prism_norm` for PRISM's.

    Returns:
        Shape ``(n, d)``, of the dtype of ``item``, on its device.

    Raises:
        ValueError: ``item`` is not a table; ``lengths`` is not one positive number per row.

    >>> with_lengths(torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([10.0, 1.0]))
    tensor([[6., 8.],
            [0., 1.]])
    """
    check_table("item", item)
    lengths = check_lengths(lengths, len(item)).to(item.device)
    norm = norms(item)
    factor = (lengths.double() / torch.where(norm > 0, norm, 1))[:, None]
    # in float64, or rows would be off by the rounding of their factors; by blocks, or all would be there in float64
    blocks = zip(item.split(_BLOCK), factor.split(_BLOCK), strict=True)
    return torch.cat([(rows.double() * by).to(item.dtype) for rows, by in blocks])


def check_lengths(lengths: Column, rows: int) -> Tensor:
    """The lengths of the rows of a table as a tensor, or a ValueError.

    Args:
        lengths: > 0 and finite, shape ``(rows,)``.
        rows: number of rows of the table.

    Raises:
        ValueError: ``lengths`` is not one positive number per row.

    >>> check_lengths([1.0, 2.0], rows=2)
    tensor([1., 2.], dtype=torch.float64)
    """
    values = popularity_column("lengths", lengths, rows)
    if not (values > 0).all():
        raise ValueError("lengths must be > 0: a row of length 0 has no direction")
    return values


def choose_exponent(
    user: Tensor, item: Tensor, popularity: Column, validation: FullRanking, exponents: Sequence[float] = EXPONENTS
) -> float:
    """The exponent b of the lengths d ** b that ranks the validation interactions best, by NDCG over all users.

    One training serves: no parameter is changed, and each exponent costs one ranking. The exponent trades popular for
    unpopular items, and NDCG alone does not say what it costs the latter: rank with two or three of them by hand and
    look at both. Where the largest exponent is returned, try larger ones.

    Args:
        user: embeddings of all users, floating point, shape ``(num_users, d)``.
        item: embeddings of all items, floating point, shape ``(num_items, d)``.
        popularity: training interactions of each item, shape ``(num_items,)``.
        validation: the ranking of the validation interactions, with what it masks.
        exponents: what is tried, each >= 0; of equals the first is taken.

    Raises:
        ValueError: no exponent, or what :func:`popularity_power`, :func:`with_lengths` and the ranking refuse.

    >>> from prismlib.data import Interactions
    >>> held_out, masked = Interactions([0], [1]), Interactions([0], [0])
    >>> validation = FullRanking(held_out, masked, torch.tensor([0, 0, 2]), num_users=1, k=1)
    >>> user, item = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    >>> choose_exponent(user, item, [10, 9, 1], validation, exponents=(0.0, 0.25))  # item 1 is the popular one
    0.25
    """
    if not exponents:
        raise ValueError("exponents is empty: give at least one")

    def ndcg(exponent: float) -> float:
        table = with_lengths(item, popularity_power(popularity, exponent))
        return validation(user, table, cosine=False)["dot"]["ndcg"]

    return max(exponents, key=ndcg)
