"""One progress bar over many runs, where tqdm is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prismbook.plan.config import RunConfig
from prismlib.train import History


def progress_bar(show: bool, total: int) -> Any:
    """A bar over some runs, on a terminal; without tqdm, or where none is wanted, one that does nothing."""
    try:
        from tqdm import tqdm
    except ImportError:
        return _NoBar()
    return tqdm(total=total, unit="run", disable=None if show else True)


def show(bar: Any, config: RunConfig, history: History) -> None:
    """Show on the bar which run is trained and how far it is.

    Args:
        bar: what :func:`progress_bar` gave.
    """
    bar.set_description(f"{config.dataset} {config.loss} weight decay {config.weight_decay:g}", refresh=False)
    bar.set_postfix_str(state_of(history))


def state_of(history: History) -> str:
    """How far a run is, in words."""
    return f"epoch {len(history.loss)}, validation NDCG@20 {history.validation_dot[-1]:.4f}"


class _NoBar:
    """Stands in for the bar where tqdm, of the extra ``data``, is not installed."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None
