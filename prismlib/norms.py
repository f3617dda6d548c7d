"""Embedding norms against popularity: the numbers behind the paper's Figures 2 and 3."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def norm_summary(table: Tensor, popularity: Tensor) -> dict[str, Any]:
    """Norms of a table's rows, binned by popularity and correlated with it.

    Bins double in width: d = 0, 1, 2-3, 4-7, ...; empty bins are left out.

    Args:
        table: embeddings, ``(n, d)``.
        popularity: training interactions of each row, ``(n,)``.

    Returns:
        ``bins`` is a list of ``{"from", "to", "rows", "mean", "std"}`` (std over the rows, 0 for one row);
        ``pearson_log`` the Pearson correlation of the norm with log(d + 2); ``spearman`` the rank correlation.

    >>> summary = norm_summary(torch.tensor([[1.0], [-2.0], [3.0]]), torch.tensor([0, 2, 3]))
    >>> round(summary["spearman"], 6), summary["bins"][1]["to"], summary["bins"][1]["mean"]
    (1.0, 3, 2.5)
    """
    if popularity.shape != table.shape[:1]:
        raise ValueError(f"popularity must have {len(table)} entries, one a row, got shape {tuple(popularity.shape)}")
    norm = torch.linalg.vector_norm(table.detach(), dim=1).double().cpu()
    popularity = popularity.cpu()
    # bin b holds the popularities of b binary digits
    digits = torch.where(popularity > 0, torch.log2(popularity.double().clamp_min(1)).floor() + 1, 0).long()
    bins = []
    for b in digits.unique().tolist():
        inside = norm[digits == b]
        low, high = (2 ** (b - 1), 2**b - 1) if b else (0, 0)
        std = float(inside.std(correction=0))
        bins.append({"from": low, "to": high, "rows": len(inside), "mean": float(inside.mean()), "std": std})
    return {
        "bins": bins,
        "pearson_log": _pearson(norm, torch.log(popularity.double() + 2)),
        "spearman": _pearson(_ranks(norm), _ranks(popularity)),
    }


def _pearson(x: Tensor, y: Tensor) -> float | None:
    """None where x or y is constant: there is nothing to correlate."""
    if x.min() == x.max() or y.min() == y.max():
        return None
    return float(F.cosine_similarity(x - x.mean(), y - y.mean(), dim=0).clamp(-1, 1))


def _ranks(x: Tensor) -> Tensor:
    """Ranks from 1; ties share their mean rank."""
    _, inverse, count = x.unique(return_inverse=True, return_counts=True)
    return (count.cumsum(0) - (count - 1) / 2)[inverse].double()
