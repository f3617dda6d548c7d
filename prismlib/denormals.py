"""Numbers too small for float32's full precision: weight decay makes them, and a CPU multiplies them slowly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
