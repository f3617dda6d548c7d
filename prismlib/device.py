"""What a training run will need of a device's memory, said before the first step rather than by a crash in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from prismlib.losses import RankingLoss
from prismlib.models import Backbone, LightGCN
from prismlib.ranking import block_size


def training_bytes(model: Backbone, criterion: RankingLoss, num_pairs: int, batch_size: int) -> int:
    """Bytes that training and its validation hold at their fullest, about.

    Parameters, gradients, Adam's two moments and the best epoch's copy; the interactions and their order; a batch's
    rows with gradients and intermediate results; a block of scores for every item. What a loss makes besides is not
    counted: ReSN's scores of every item for each pair of the batch, IPL's rows of all pairs once an epoch.

    Args:
        model, criterion: what is trained.
        num_pairs: training interactions.
        batch_size: pairs a step.

    >>> from prismlib import BPR, MF
    >>> round(training_bytes(MF(1000, 500, dim=64), BPR(), num_pairs=20_000, batch_size=1024) / 2**20)  # MB
    7
    """
    parameters = sum(p.numel() * p.element_size() for p in nn.ModuleList([model, criterion]).parameters())
    size, dim = model.item.weight.element_size(), model.item.embedding_dim
    batch = min(batch_size, num_pairs) * (2 + criterion.num_negatives) * dim * size
    layers = 2 * (model.depth + 1) if isinstance(model, LightGCN) else 0
    graph = sum(b.numel() * b.element_size() for b in model.buffers())
    items = model.item.num_embeddings
    scores = block_size(items, model.item.weight.device) * items * size
    pairs = 5 * 8 * num_pairs  # two columns of ids, their copies in the epoch's order, the order
    return (5 + layers) * parameters + graph + pairs + 4 * batch + 2 * scores


def check_memory(needed: int, device: torch.device) -> None:
    """Raise a MemoryError where ``device`` has less than ``needed`` bytes free.

    >>> check_memory(10**6, torch.device("cpu"))
    """
    free = free_bytes(device)
    if free is not None and needed > free:
        raise MemoryError(
            f"training needs about {needed / 1e9:.1f} GB on {device}, where {free / 1e9:.1f} GB are free:"
            " lower batch_size, num_negatives or dim, or free some"
        )


def free_bytes(device: torch.device) -> int | None:
    """Bytes free on a device; None where the system does not say.

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


def check_device(device: str) -> None:
    """Raise a ValueError where PyTorch sees no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' was asked for, but PyTorch sees no GPU here: use device='cpu'")


def denormals_are_kept() -> bool:
    """Whether this thread computes with numbers below 2 ** -126, the smallest that float32 holds in full precision.

    >>> denormals_are_kept()
    True
    """
    return float(torch.tensor(2.0**-126) * 0.5) > 0


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """A block, or a function that it decorates, in which numbers below 2 ** -126 count as zero on the CPU.

    Decay takes what gets no gradient, as the weights of a perceptron's dead units, down to such numbers within some
    epochs, and a product with one takes many times as long (``benchmarks/denormals.py``). Nothing is lost beside
    ordinary numbers, but a unit whose input is that small is off instead of on, so a training with dead units goes
    another way.

    PyTorch sets this for the calling thread; its worker threads have the state in which the first parallel operation
    found the caller, so a program that trains on several of them starts with ``torch.set_flush_denormal(True)``.

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
