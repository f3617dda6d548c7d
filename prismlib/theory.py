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


# The law of lengths: the same question for the optimisers that are really run. It is this project's, not the paper's.
# Setting: an angle-based loss, so that a row's gradient g is orthogonal to the row and |g| goes as 1/r, r the row's
# length. In a step a row meets on average q = |B| d / |E| of its interactions.


def gradient_noise(
    degree: Tensor, batch_size: int, num_interactions: int, sine: float = 1.0, weight: float = 1.0
) -> Tensor:
    r"""The strength G of a row's gradient, :math:`G^2 = r^2\,\mathbb{E}|g|^2`, for a mean of squared distances.

    :math:`G = w\,\frac{2}{|B|} \sin\theta \sqrt{q}` with :math:`q = |B| d / |E|`: the shot noise of the row's pairs,
    each of which pulls with :math:`\frac{2}{|B|} \sin\theta / r`. It assumes that the pulls of a row's pairs are
    independent and that they dominate the rest of the loss. That holds for alignment within 2 % in classes of rows with
    four interactions and more; for SSM the constant is another one, and G must be measured.

    Args:
        degree: d, interactions of each row, >= 0, any shape.
        batch_size: :math:`|B|`, pairs per step.
        num_interactions: :math:`|E|`, training interactions.
        sine: :math:`\sin\theta`, of the angle between a row and its partners; it must be measured, and is near 0.9
            where training has spread the rows.
        weight: w, 1 for DirectAU's alignment and 1/2 for MAWU's.

    Returns:
        Floating point, of the shape of ``degree``.

    >>> gradient_noise(torch.tensor([0, 100]), batch_size=4096, num_interactions=669_182)
    tensor([0.0000, 0.0004])
    """
    degree = torch.as_tensor(degree)
    degree = degree if degree.is_floating_point() else degree.to(torch.get_default_dtype())
    return weight * 2 / batch_size * sine * (batch_size * degree / num_interactions).sqrt()


def memory_of_epochs(steps_per_epoch: int, momentum: float = 0.9) -> float:
    r"""The factor :math:`\kappa` by which the gradients' memory changes growth under Adam.

    In general :math:`\kappa = 1 + 2 \sum_l \beta_1^l \rho_l`, with :math:`\rho_l` the correlation of gradients l steps
    apart; it is 1 for gradients without memory, whatever the momentum. Where each pair comes once per epoch and a row's
    gradients of an epoch sum to zero, :math:`\rho_l = -1/(S - 1)` inside an epoch of S steps, and so
    :math:`\kappa = 1 - \frac{2}{S - 1} \sum_{l < S} \beta_1^l (1 - l/S)`.

    Args:
        steps_per_epoch: S, at least 2.
        momentum: :math:`\beta_1`, in [0, 1).

    Raises:
        ValueError: ``steps_per_epoch`` is below 2.

    >>> round(memory_of_epochs(164), 3), round(memory_of_epochs(10**6), 3)
    (0.896, 1.0)
    """
    if steps_per_epoch < 2:
        raise ValueError(f"steps_per_epoch must be >= 2, got {steps_per_epoch}")
    lag = torch.arange(1, steps_per_epoch, dtype=torch.float64)
    return float(1 - 2 / (steps_per_epoch - 1) * (momentum**lag * (1 - lag / steps_per_epoch)).sum())


def rest_length_adam(noise: Tensor, lr: float, decay: float, dim: int, memory: float = 1.0) -> Tensor:
    r"""The length at which a row comes to rest under Adam with coupled decay, :math:`\lambda w` added to the gradient.

    :math:`r^3 = \kappa\,\eta \sqrt{n}\,G / (2\lambda)`. Adam divides by the root of the mean squared gradient,
    :math:`G / (r \sqrt{n})` per coordinate. So every row grows by :math:`\kappa \eta^2 n` in :math:`r^2` per step,
    whatever its popularity; the decay is divided too, and shortens a row the more the weaker its gradient is. With G of
    :func:`gradient_noise` lengths go as :math:`d^{1/6}`, at every decay that lets them come to rest.

    Assumptions: the root of the second moment is alike in all coordinates of a row, so that a step is at a right angle
    to it; the loss dominates the second moment (:math:`G/r \gg \lambda r` and Adam's epsilon); a row is met often
    within Adam's memory of a thousand steps, :math:`q \gg 0.001`; a step is small beside the row,
    :math:`\eta \sqrt{n/q} \ll r`; and training lasts several times :func:`steps_to_rest_adam`. Rows with a few
    interactions mostly end shorter. Where a step is the longer one they can end longer, and then popularity no longer
    orders the lengths.

    Args:
        noise: G, :func:`gradient_noise`, any shape.
        lr: :math:`\eta`, the learning rate, > 0.
        decay: :math:`\lambda`, the coupled weight decay, > 0.
        dim: n, the number of columns of the table.
        memory: :math:`\kappa`, :func:`memory_of_epochs`.

    >>> lengths = rest_length_adam(gradient_noise(torch.tensor([10, 640]), 4096, 669_182), 1e-3, 1e-5, dim=64)
    >>> lengths, lengths[1] / lengths[0]  # 64 times the interactions, twice the length
    (tensor([0.3642, 0.7285]), tensor(2.))
    """
    return (memory * lr * dim**0.5 * noise / (2 * decay)) ** (1 / 3)


def steps_to_rest_adam(length: Tensor, lr: float, dim: int, memory: float = 1.0) -> Tensor:
    r"""About how many steps a row needs to come to rest under Adam: :math:`\frac{2}{3} r^2 / (\kappa \eta^2 n)`.

    A run of fewer than about three times as many steps is not at rest: :func:`rest_length_adam` then says little, and
    lengths lie between the starting ones and those.

    Args:
        length: r, the length at rest, any shape.
        lr: the learning rate, > 0.
        dim: n, the number of columns of the table.
        memory: :math:`\kappa`, :func:`memory_of_epochs`.

    >>> steps_to_rest_adam(torch.tensor(1.0), lr=1e-3, dim=64)
    tensor(10416.6670)
    """
    return 2 / 3 * length**2 / (memory * lr**2 * dim)


def rest_length_adamw(lr: float, decay: float, dim: int, memory: float = 1.0) -> float:
    r"""The length at rest under AdamW, whose decay shortens every row alike: :math:`r^2 = \kappa \eta n / (2\lambda)`.

    No popularity is in it. A decay below about 1e-2 does nothing within a training, since rest takes
    :math:`1 / (2 \eta \lambda)` steps. The equilibrium of weights that get a gradient at every step is known from
    Kosson, Messmer and Jaggi 2024; here it holds for rows that are met now and then.

    Args:
        lr: the learning rate, > 0.
        decay: the decoupled decay, > 0.
        dim: n, the number of columns of the table.
        memory: :math:`\kappa`, :func:`memory_of_epochs`.

    >>> round(rest_length_adamw(1e-3, 0.3, dim=64), 4)
    0.3266
    """
    return float((memory * lr * dim / (2 * decay)) ** 0.5)


def length_adam_without_decay(start: Tensor, lr: float, steps: int, dim: int, memory: float = 1.0) -> Tensor:
    r"""The length of every row that is met, under Adam without decay: :math:`r^2 = r_0^2 + \kappa \eta^2 n t`.

    It is the same for all of them, whatever their popularity: Adam takes popularity out of the lengths. Rows that are
    never met stay at their start, and rare ones begin to grow later. Lengths are up to 13 % below this, since gradients
    shrink as rows grow and Adam's second moment remembers the larger ones.

    Args:
        start: :math:`r_0`, any shape.
        lr: the learning rate, > 0.
        steps: t, the number of steps.
        dim: n, the number of columns of the table.
        memory: :math:`\kappa`, :func:`memory_of_epochs`.

    >>> length_adam_without_decay(torch.tensor(0.19), lr=1e-3, steps=3000, dim=64)
    tensor(0.4776)
    """
    return (start**2 + memory * lr**2 * dim * steps).sqrt()


def rest_length_sgd(noise: Tensor, lr: float, decay: float) -> Tensor:
    r"""The length at rest under plain SGD, :math:`r^4 = \eta G^2 / (2\lambda)`: Theorem 3.1 where nothing changes.

    With G of :func:`gradient_noise` lengths go as :math:`d^{1/4}`. G counts the expected number of a row's pairs per
    batch, q, where the paper has the probability of any; the two are alike for rare rows alone. A row needs about
    :math:`1 / (4 \eta \lambda)` steps to come to rest.

    Args:
        noise: G, :func:`gradient_noise`, any shape.
        lr: the learning rate, > 0.
        decay: weight decay, > 0.

    >>> noise = gradient_noise(torch.tensor([10, 160]), 4096, 669_182)
    >>> rest_length_sgd(noise, lr=30.0, decay=1e-5)  # 16 times the interactions, twice the length
    tensor([0.3846, 0.7693])
    """
    return (lr * noise**2 / (2 * decay)) ** 0.25


def length_sgd_without_decay(start: Tensor, noise: Tensor, lr: float, steps: int) -> Tensor:
    r"""The length under plain SGD without decay: :math:`r^4 = r_0^4 + 2 \eta^2 G^2 t`.

    Popular rows grow faster, so that SGD writes popularity without any decay. Once the start is forgotten,
    :math:`r \propto \sqrt{\eta}\,d^{1/4} t^{1/4}`, and the angle by which a step turns a row no longer depends on the
    learning rate: SGD on an angle-based loss anneals itself (Arora, Li and Lyu 2019 for networks with normalisation).

    Args:
        start: :math:`r_0`, any shape.
        noise: G, :func:`gradient_noise`, of the shape of ``start`` or one that broadcasts with it.
        lr: the learning rate, > 0.
        steps: t, the number of steps.

    >>> noise = gradient_noise(torch.tensor([4, 256]), 4096, 669_182)
    >>> length_sgd_without_decay(torch.tensor(0.19), noise, lr=30.0, steps=30 * 163)
    tensor([0.4791, 1.3468])
    """
    return (start**4 + 2 * lr**2 * noise**2 * steps) ** 0.25


def length_rowwise_adagrad(start: Tensor, times_met: Tensor, lr: float, dim: int) -> Tensor:
    r"""The length under row-wise Adagrad without decay, after a row has been met k times.

    The k-th gradient moves a row by :math:`\eta \sqrt{n / k}` where gradients are alike in size, so that
    :math:`r^2 = r_0^2 + \eta^2 n \sum_{j \le k} 1/j`: the sum grows with log k, and k with popularity.
    :class:`prismlib.optim.RowWiseAdagrad` is the optimiser. As rows grow their gradients shrink, which this leaves out.

    Args:
        start: :math:`r_0`, any shape.
        times_met: k, the number of steps in which the row had a gradient, >= 0, of a shape that broadcasts.
        lr: the learning rate, > 0.
        dim: n, the number of columns of the table.

    >>> length_rowwise_adagrad(torch.tensor(0.2), torch.tensor([0, 10, 1000]), lr=0.1, dim=64)
    tensor([0.2000, 1.3837, 2.1979])
    """
    harmonic = torch.digamma(times_met.double() + 1) + 0.5772156649015329
    return (start**2 + lr**2 * dim * harmonic.to(torch.get_default_dtype())).sqrt()


def bpr_critical_decay(user: Tensor, item: Tensor, num_users: int, num_items: int, iterations: int = 100) -> float:
    r"""The weight decay above which BPR on linear MF keeps no row: :math:`\lambda_c`, the largest singular value of A.

    BPR's loss has a part along the row, so that rest is the minimum of loss and decay, and the optimiser drops out. At
    zero the expected gradient is linear in the tables, with :math:`A = (N - d_u 1^\top / |I|) / (2|E|)`, N the 0/1
    matrix of interactions. Above :math:`\lambda_c` zero is the only rest and all rows die. Just below it the tables
    have rank one, and the list is the same for every user.

    Args:
        user: users of the training interactions, int64, ``(n,)``.
        item: their items, int64, ``(n,)``.
        num_users: number of rows of the user table.
        num_items: number of rows of the item table.
        iterations: of the power method, >= 1.

    >>> user, item = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])
    >>> n = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    >>> exact = torch.linalg.matrix_norm((n - n.sum(1, keepdim=True) / 3) / 6, 2)
    >>> abs(bpr_critical_decay(user, item, 2, 3) - float(exact)) < 1e-6
    True
    """
    of_user = torch.bincount(user, minlength=num_users).double()
    v = torch.ones(num_items, dtype=torch.float64) + torch.bincount(item, minlength=num_items)
    length = 0.0
    for _ in range(iterations):
        v = v / torch.linalg.vector_norm(v)
        u = torch.zeros(num_users, dtype=torch.float64).index_add_(0, user, v[item]) - of_user * v.mean()
        v = torch.zeros(num_items, dtype=torch.float64).index_add_(0, item, u[user]) - (of_user @ u) / num_items
        length = float(torch.linalg.vector_norm(v)) ** 0.5
    return length / (2 * len(user))
