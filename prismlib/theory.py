r"""The paper's theory as functions: what one SGD step does to an item's norm in expectation (Section 3.2, Appendix C).

Throughout, ``eta`` is the learning rate, ``decay`` is the weight decay :math:`\lambda`, and a change is the change of
the *squared* norm, :math:`\mathbb{E}[\|\mathbf{i}'\|^2 - \|\mathbf{i}\|^2]`. An item meets at most one interaction per
batch and the optimiser is plain SGD, as the proofs assume. All arguments are numbers or tensors that broadcast
together.
"""

from __future__ import annotations

import torch
from torch import Tensor


def batch_membership(
    degree: Tensor, batch_size: int, num_interactions: int, num_negatives: int = 0, num_items: int | None = None
) -> Tensor:
    r"""Probability that an item is in the batch: :math:`1 - (1 - |B|/|E|)^{d_i}` (Observation 1, Equation 2).

    With ``n`` uniform negatives per positive, all distinct, it is
    :math:`1 - (1 - |B|/|E|)^{d_i} (1 - n|B|/|I|)` (Corollary 2).

    Args:
        degree: :math:`d_i`, interactions of each item, >= 0, any shape.
        batch_size: :math:`|B|`, in [1, num_interactions].
        num_interactions: :math:`|E|`, the number of training interactions.
        num_negatives: n, negatives per positive, >= 0; above 0 it needs ``num_items`` >= n * batch_size.
        num_items: :math:`|I|`, the number of items; needed with negatives alone.

    Returns:
        The shape of ``degree``, floating point.

    Raises:
        ValueError: an argument is out of range.

    >>> batch_membership(torch.tensor([0, 1, 100]), batch_size=10, num_interactions=1000)
    tensor([0.0000, 0.0100, 0.6340])
    >>> batch_membership(torch.tensor([0]), 10, 1000, num_negatives=5, num_items=200)
    tensor([0.2500])
    """
    if not 1 <= batch_size <= num_interactions:
        raise ValueError(
            f"batch_size must lie in [1, {num_interactions}], the number of interactions, got {batch_size}"
        )
    degree = torch.as_tensor(degree)
    if (degree < 0).any():
        raise ValueError("degree must be >= 0")
    # in float64: in float32 one in 1e8 is nothing
    out = (1 - batch_size / num_interactions) ** degree.double()
    if num_negatives:
        if num_items is None or num_negatives * batch_size > num_items:
            raise ValueError(
                f"num_negatives * batch_size = {num_negatives * batch_size} distinct negatives need"
                f" as many items, got num_items={num_items}"
            )
        out = out * (1 - num_negatives * batch_size / num_items)
    return (1 - out).to(degree.dtype if degree.is_floating_point() else torch.get_default_dtype())


def decay_change(norm: Tensor, eta: float, decay: float) -> Tensor:
    r"""Change by decay: :math:`((1 - \eta\lambda)^2 - 1)\|\mathbf{i}\|^2`, <= 0 for :math:`0 \le \eta\lambda \le 2`.

    The first term of Theorem 3.1.

    Args:
        norm: :math:`\|\mathbf{i}\|` before the step.
        eta: learning rate.
        decay: weight decay.

    >>> decay_change(torch.tensor([1.0, 2.0]), eta=0.1, decay=1.0)
    tensor([-0.1900, -0.7600])
    """
    return ((1 - eta * decay) ** 2 - 1) * norm**2


def cosine_change(norm: Tensor, cosine: Tensor, eta: float) -> Tensor:
    r"""Change by the cosine loss alone: :math:`\eta^2 (1 - \cos^2) / \|\mathbf{i}\|^2`, >= 0 by Cauchy-Schwarz.

    The second term of Theorem 3.1, for an item in the batch. It is the same for positives and negatives, because the
    gradient's sign cancels in the norm (Corollary 2).

    Args:
        norm: :math:`\|\mathbf{i}\|` before the step, > 0.
        cosine: of the item with the user it meets, in [-1, 1].
        eta: learning rate.

    >>> cosine_change(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]), eta=0.1)
    tensor([0.0100, 0.0025])
    >>> cosine_change(torch.tensor(1.0), torch.tensor(1.0), eta=0.1)  # nothing left to turn
    tensor(0.)
    """
    return eta**2 * (1 - cosine**2) / norm**2


def expected_change(probability: Tensor, norm: Tensor, cosine: Tensor, eta: float, decay: float) -> Tensor:
    r"""Theorem 3.1 (Equation 3): decay on the whole table, cosine loss on the batch.

    :math:`((1-\eta\lambda)^2 - 1)\|\mathbf{i}\|^2 + P(i \in B)\,\eta^2(1-\cos^2)/\|\mathbf{i}\|^2`

    Args:
        probability: :math:`P(i \in B)`, :func:`batch_membership` (with negatives for Corollary 2).
        norm: :math:`\|\mathbf{i}\|` before the step, > 0.
        cosine: of the item with the user it meets, in [-1, 1].
        eta: learning rate.
        decay: weight decay.

    >>> rare, popular = expected_change(torch.tensor([0.01, 0.9]), torch.tensor(1.0), torch.tensor(0.0), 0.1, 0.01)
    >>> bool(rare < 0 < popular)
    True
    """
    return decay_change(norm, eta, decay) + probability * cosine_change(norm, cosine, eta)


def expected_change_batched(probability: Tensor, norm: Tensor, cosine: Tensor, eta: float, decay: float) -> Tensor:
    """Corollary 1: decay on the batch's rows only. Popularity scales both terms and no longer sets their mix.

    A rare and a popular item then differ in the size of the change and not in its sign.

    Args:
        probability: that the item is in the batch, :func:`batch_membership`.
        norm: length of the item before the step, > 0.
        cosine: of the item with the user it meets, in [-1, 1].
        eta: learning rate.
        decay: weight decay.

    >>> expected_change_batched(torch.tensor([0.01, 0.9]), torch.tensor(1.0), torch.tensor(0.0), eta=0.1, decay=0.01)
    tensor([8.0010e-05, 7.2009e-03])
    """
    return probability * (decay_change(norm, eta, decay) + cosine_change(norm, cosine, eta))


def expected_change_dot(probability: Tensor, item: Tensor, user: Tensor, eta: float, decay: float) -> Tensor:
    r"""Dot-product loss :math:`-\mathbf{u}\cdot\mathbf{i}` (Section C.5); its sign is not determined.

    Args:
        probability: :math:`P(i \in B)`, shape ``(...)``.
        item: embeddings of items, ``(..., d)``.
        user: embeddings of the users they meet, ``(..., d)``.
        eta: learning rate.
        decay: weight decay.

    >>> user = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # with the item, against it
    >>> expected_change_dot(torch.tensor(1.0), torch.tensor([1.0, 0.0]), user, eta=0.1, decay=0.0)
    tensor([ 0.2100, -0.1900])
    """
    keep = 1 - eta * decay
    dot, square = (user * item).sum(-1), user.square().sum(-1)
    norm = torch.linalg.vector_norm(item, dim=-1)
    return decay_change(norm, eta, decay) + probability * (2 * eta * keep * dot + eta**2 * square)


def expected_change_euclidean(probability: Tensor, item: Tensor, user: Tensor, eta: float, decay: float) -> Tensor:
    r"""Euclidean loss :math:`\|\mathbf{u} - \mathbf{i}\|^2`, not normalised (Section C.5); its sign is not determined.

    Args:
        probability: :math:`P(i \in B)`, shape ``(...)``.
        item: embeddings of items, ``(..., d)``.
        user: embeddings of the users they meet, ``(..., d)``.
        eta: learning rate.
        decay: weight decay.

    >>> user = torch.tensor([[3.0, 0.0], [-1.0, 0.0]])  # further out, on the other side
    >>> expected_change_euclidean(torch.tensor(1.0), torch.tensor([1.0, 0.0]), user, eta=0.1, decay=0.0)
    tensor([ 0.9600, -0.6400])
    """
    keep, pulled = 1 - eta * decay, 1 - eta * decay - 2 * eta
    dot, square = (user * item).sum(-1), user.square().sum(-1)
    norm = torch.linalg.vector_norm(item, dim=-1)
    change = (pulled**2 - keep**2) * norm**2 + 4 * eta**2 * square + 4 * eta * pulled * dot
    return decay_change(norm, eta, decay) + probability * change


def batch_membership_exact(degree: Tensor, batch_size: int, num_interactions: int) -> Tensor:
    r"""The same probability for batches as they are drawn, without replacement: a hypergeometric law.

    :math:`1 - \binom{|E| - d_i}{|B|} / \binom{|E|}{|B|}`; never below Equation 2.

    Args:
        degree: :math:`d_i`, in [0, num_interactions], any shape.
        batch_size: :math:`|B|`, in [1, num_interactions].
        num_interactions: :math:`|E|`, the number of training interactions.

    Returns:
        float64, the shape of ``degree``.

    Raises:
        ValueError: an argument is out of range.

    >>> batch_membership_exact(torch.tensor([0, 1, 100, 1000]), batch_size=10, num_interactions=1000)
    tensor([0.0000, 0.0100, 0.6531, 1.0000], dtype=torch.float64)
    """
    if not 1 <= batch_size <= num_interactions:
        raise ValueError(
            f"batch_size must lie in [1, {num_interactions}], the number of interactions, got {batch_size}"
        )
    degree = torch.as_tensor(degree)
    if (degree < 0).any() or (degree > num_interactions).any():
        raise ValueError(f"degree must lie in [0, {num_interactions}], the number of interactions")
    d, left = degree.double(), num_interactions - batch_size
    # log C(left, d) - log C(num_interactions, d), the same ratio; the smaller numbers lose fewer digits
    room = (left - d).clamp(min=0)
    logs = [torch.lgamma(x + 1) for x in (d.new_tensor(left), room, d.new_tensor(num_interactions))]
    miss = (logs[0] - logs[1] - logs[2] + torch.lgamma(num_interactions - d + 1)).exp()
    return 1 - torch.where(d > left, 0, miss)


def expected_change_exact(
    gradients: Tensor, norm: Tensor, batch_size: int, num_interactions: int, eta: float, decay: float
) -> Tensor:
    r"""Theorem 3.1 without its assumption: an item may meet several of its interactions in one batch.

    With :math:`b = |B|/|E|`, :math:`b_2 = b\,(|B| - 1)/(|E| - 1)` and :math:`g_k` the gradient of interaction k,
    :math:`((1-\eta\lambda)^2 - 1)\|\mathbf{i}\|^2 + \eta^2 \bigl(b \sum_k \|g_k\|^2 + b_2 \sum_{k \ne l} g_k \cdot
    g_l\bigr)`. It holds for any angle-based loss that is a sum over interactions.

    Args:
        gradients: of the loss of each interaction of the item, ``(d_i, d)``, each orthogonal to the item.
        norm: :math:`\|\mathbf{i}\|` before the step, > 0.
        batch_size: :math:`|B|`, in [1, num_interactions]; batches are drawn without replacement.
        num_interactions: :math:`|E|`, the number of training interactions.
        eta: learning rate.
        decay: weight decay.

    Raises:
        ValueError: ``batch_size`` is out of range.

    >>> one = torch.tensor([[0.0, 1.0]])
    >>> expected_change_exact(one, torch.tensor(1.0), batch_size=10, num_interactions=1000, eta=0.1, decay=0.0)
    tensor(1.0000e-04)
    """
    if not 1 <= batch_size <= num_interactions:
        raise ValueError(
            f"batch_size must lie in [1, {num_interactions}], the number of interactions, got {batch_size}"
        )
    single = batch_size / num_interactions
    pair = single * (batch_size - 1) / max(num_interactions - 1, 1)
    squares = gradients.square().sum()
    growth = single * squares + pair * (gradients.sum(0).square().sum() - squares)
    return decay_change(norm, eta, decay) + eta**2 * growth
