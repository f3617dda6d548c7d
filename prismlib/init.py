"""PRISM: Popularity-awaRe Initialisation Strategy for embedding Magnitudes (Section 4.2, Equation 4)."""

from __future__ import annotations

import torch
from torch import Tensor


def prism_norm(popularity: Tensor, alpha: float = 1.0) -> Tensor:
    r"""The norm PRISM gives a row: :math:`\alpha \log(d + 2) + (1 - \alpha)`, natural logarithm (Equation 4).

    Args:
        popularity: ``d``, training interactions of each row, shape ``(n,)``, any real dtype, >= 0; a NumPy array too.
        alpha: strength in [0, 1]; 1 encodes log popularity fully, 0 gives unit rows.

    Returns:
        Norms, shape ``(n,)``, floating point; positive also for cold rows (``d = 0``).

    Raises:
        ValueError: ``alpha`` outside [0, 1]; ``popularity`` not 1-D, negative or not finite.

    >>> prism_norm(torch.tensor([0, 6]), alpha=0.5)
    tensor([0.8466, 1.5397])
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
    popularity = torch.as_tensor(popularity)
    if popularity.dim() != 1:
        raise ValueError(f"popularity must be 1-D, one count a row, got shape {tuple(popularity.shape)}")
    popularity = popularity if popularity.is_floating_point() else popularity.to(torch.get_default_dtype())
    if not torch.isfinite(popularity).all() or (popularity < 0).any():
        raise ValueError("popularity must be finite and >= 0: the number of training interactions of each row")
    return alpha * torch.log(popularity + 2) + (1 - alpha)


def prism(weight: Tensor, popularity: Tensor, alpha: float = 1.0) -> Tensor:
    """Return ``weight`` with each row scaled to its PRISM norm; directions are kept (Equation 4).

    Args:
        weight: rows drawn by any initialiser, shape ``(n, d)``, floating point.
        popularity: shape ``(n,)``, see :func:`prism_norm`.
        alpha: strength in [0, 1].

    Raises:
        ValueError: as :func:`prism_norm`; ``weight`` not 2-D; lengths differ; a row that is zero or not finite
            (a zero vector has no direction to keep).

    >>> prism(torch.tensor([[3.0, 4.0]]), torch.tensor([6]))
    tensor([[1.2477, 1.6636]])
    """
    if weight.dim() != 2:
        raise ValueError(f"weight must be 2-D (rows, dimensions), got shape {tuple(weight.shape)}")
    popularity = torch.as_tensor(popularity)
    if len(popularity) != len(weight):
        raise ValueError(f"popularity has {len(popularity)} entries for {len(weight)} rows of weight")
    norm = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
    bad = ~torch.isfinite(norm) | (norm == 0)
    if bad.any():
        row = int(bad.flatten().nonzero()[0])
        raise ValueError(f"row {row} of weight is zero or not finite: it has no direction; initialise it first")
    # in the weight's precision, and in float32 at least: integer counts would give float32's, half ones a coarser one
    precise = torch.promote_types(weight.dtype, torch.float32)
    target = prism_norm(popularity.to(weight.device, precise), alpha).to(weight.dtype)
    return weight / norm * target[:, None]


@torch.no_grad()
def prism_(weight: Tensor, popularity: Tensor, alpha: float = 1.0) -> Tensor:
    """Scale the rows of ``weight`` to their PRISM norms in place, in the manner of :mod:`torch.nn.init`.

    Call it once after the usual initialiser, on the user and on the item table, each with its own
    training popularity; then train without weight decay (Section 4.2). Arguments and errors as :func:`prism`.

    >>> table = torch.nn.Embedding(3, 64)
    >>> _ = torch.nn.init.xavier_uniform_(table.weight)
    >>> _ = prism_(table.weight, popularity=torch.tensor([0, 6, 998]))
    >>> table.weight.norm(dim=1)
    tensor([0.6931, 2.0794, 6.9078], grad_fn=<LinalgVectorNormBackward0>)
    """
    return weight.copy_(prism(weight, popularity, alpha))
