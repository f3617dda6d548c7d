"""One progress bar over many runs or files, where tqdm is installed, and a word on what takes some seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
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


def through(paths: Sequence[Path]) -> Iterable[Path]:
    """Some files, one after the other, with a bar on a terminal that goes when all are done."""
    try:
        from tqdm import tqdm
    except ImportError:
        return paths
    return tqdm(paths, unit="file", leave=False, disable=None)


def say_on_a_terminal(text: str) -> None:
    """One line on standard error, where that is a terminal: what comes next takes some seconds and prints nothing."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


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
