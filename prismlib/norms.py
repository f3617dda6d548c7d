"""Embedding norms against popularity: the numbers behind the paper's Figures 2 and 3."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from prismlib._checks import check_table, check_values
from prismlib._columns import Column, popularity_column
from prismlib._rows import norms, power_of_two


def norm_summary(table: Tensor, popularity: Column) -> dict[str, Any]:
    """Norms of a table's rows, binned by popularity and correlated with it.

    Bins double in width: d = 0, 1, 2-3, 4-7, ...; empty bins are left out. A factor common to all rows changes no
    correlation.

    Args:
        table: embeddings, floating point, finite, shape ``(n, d)``.
        popularity: training interactions of each row, shape ``(n,)``, real numbers >= 0; see
            ``prismlib._columns.popularity_column``.

    Returns:
        ``bins`` is a list of ``{"from", "to", "rows", "mean", "std"}``, whose mean and standard deviation are those of
        the norms of the bin's rows; the standard deviation of one row is 0. ``pearson_log`` is the Pearson correlation
        of the norm with log(d + 2), ``spearman`` their rank correlation; both are None where all norms or all counts
        are equal.

    Raises:
        ValueError: ``table`` is not a table of finite numbers; ``popularity`` is not one count per row.

    >>> summary = norm_summary(torch.tensor([[1.0], [-2.0], [3.0]]), torch.tensor([0, 2, 3]))
    >>> round(summary["spearman"], 6), summary["bins"][1]["to"], summary["bins"][1]["mean"]
    (1.0, 3, 2.5)
    """
    check_table("table", table)
    check_values("table", table)
    popularity = popularity_column("popularity", popularity, len(table)).cpu()
    if len(table) == 0 or not torch.isfinite(table).all():
        raise ValueError("table is empty or has rows that are not finite: they have no norm")
    norm = norms(table.detach()).cpu()
    # bin b holds the popularities of b binary digits
    digits = torch.where(popularity > 0, torch.log2(popularity.double().clamp_min(1)).floor() + 1, 0).long()
    scale = float(power_of_two(norm.max()))
    bins = []
    for b in digits.unique().tolist():
        inside = norm[digits == b] / scale  # whose squares are neither zero nor infinite
        low, high = (2 ** (b - 1), 2**b - 1) if b else (0, 0)
        mean, std = float(inside.mean()) * scale, float(inside.std(correction=0)) * scale
        bins.append({"from": low, "to": high, "rows": len(inside), "mean": mean, "std": std})
    return {
        "bins": bins,
        "pearson_log": _pearson(norm, torch.log(popularity.double() + 2)),
        "spearman": _pearson(_ranks(norm), _ranks(popularity)),
    }


def _pearson(x: Tensor, y: Tensor) -> float | None:
    """None where x or y is constant: there is nothing to correlate."""
    if x.min() == x.max() or y.min() == y.max():
        return None
    return float(F.cosine_similarity(_centered(x), _centered(y), dim=0).clamp(-1, 1))


def _centered(x: Tensor) -> Tensor:
    """The deviations from the mean, times the power of two that brings the largest to [1, 2).

    Cosine similarity takes a vector shorter than 1e-8 for one of that length.
    """
    scaled = x / power_of_two(x.abs().max())
    deviation = scaled - scaled.mean()
    return deviation / power_of_two(deviation.abs().max())


def _ranks(x: Tensor) -> Tensor:
    """Ranks from 1; ties share their mean rank."""
    _, inverse, count = x.unique(return_inverse=True, return_counts=True)
    return (count.cumsum(0) - (count - 1) / 2)[inverse].double()
