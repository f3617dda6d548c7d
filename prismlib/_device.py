"""Memory and arithmetic of a device: what a training run needs is checked before its first step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from prismlib.losses import RankingLoss
from prismlib.models import Backbone
from prismlib.ranking import block_size


def training_bytes(model: Backbone, criterion: RankingLoss, num_pairs: int, batch_size: int) -> int:
    """About how many bytes training and its validation hold at most.

    Counted are parameters, gradients, Adam's two moments and the copy of the best epoch; the interactions and their
    order; the rows of a batch with their gradients and intermediate results; and a block of scores for every item. What
    single losses make besides is not counted, such as scores of every item for each pair of the batch, or rows of all
    pairs once per epoch.

    Args:
        model: the backbone that is trained.
        criterion: the loss that is trained with.
        num_pairs: number of training interactions.
        batch_size: positive pairs per step.

    >>> from prismlib import BPR, MF
    >>> round(training_bytes(MF(1000, 500, dim=64), BPR(), num_pairs=20_000, batch_size=1024) / 2**20)  # MB
    7
    """
    parameters = sum(p.numel() * p.element_size() for p in nn.ModuleList([model, criterion]).parameters())
    size, dim = model.item.weight.element_size(), model.item.embedding_dim
    batch = min(batch_size, num_pairs) * (2 + criterion.num_negatives) * dim * size
    graph = sum(b.numel() * b.element_size() for b in model.buffers())
    items = model.item.num_embeddings
    scores = block_size(items, model.item.weight.device) * items * size
    pairs = 5 * 8 * num_pairs  # two columns of ids, their copies in the epoch's order, the order
    return (5 + model.table_copies) * parameters + graph + pairs + 4 * batch + 2 * scores


def check_memory(needed: int, device: torch.device) -> None:
    """Raise a MemoryError where a device has too little memory free.

    Args:
        needed: bytes, e.g. from :func:`training_bytes`.
        device: where the training will run.

    Raises:
        MemoryError: less than ``needed`` is free.

    >>> check_memory(10**6, torch.device("cpu"))
    """
    free = free_bytes(device)
    if free is not None and needed > free:
        raise MemoryError(
            f"training needs about {needed / 1e9:.1f} GB on {device}, where {free / 1e9:.1f} GB are free:"
            " lower batch_size, num_negatives or dim, or free some"
        )


def free_bytes(device: torch.device) -> int | None:
    """Bytes free on a device; None where the system does not report them.

    Args:
        device: the CPU or a GPU.

    >>> free_bytes(torch.device("cpu")) != 0
    True
    """
    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def denormals_are_kept() -> bool:
    """Whether this thread computes with numbers below 2 ** -126, the smallest that float32 holds in full precision.

    >>> denormals_are_kept()
    True
    """
    return float(torch.tensor(2.0**-126) * 0.5) > 0


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """A block, or a function that it decorates, in which numbers below 2 ** -126 count as zero on the CPU.

    Weights that get no gradient, such as those of a perceptron's dead units, shrink to such numbers within some epochs
    of weight decay. A product with one takes many times as long (``benchmarks/denormals.py``). Beside ordinary numbers
    nothing is lost by the zero. But a unit whose input is that small is then off instead of on, so that a training with
    dead units takes another course.

    PyTorch sets this for the calling thread. Its worker threads keep the state that the caller had at the first
    parallel operation. A program that trains on several threads therefore starts with
    ``torch.set_flush_denormal(True)``.

    >>> with flushed_denormals():
    ...     denormals_are_kept()
    False
    >>> denormals_are_kept()
    True
    """
    kept = denormals_are_kept()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not kept)
