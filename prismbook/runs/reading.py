"""What is read from a results folder, kept for as long as one table or ledger is made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_kept: ContextVar[dict[Any, Any] | None] = ContextVar("kept", default=None)


@contextmanager
def reading_once() -> Iterator[None]:
    """A block in which each file is read once, as it is then: what is written meanwhile is not seen.

    Many claims rest on the same runs. A ledger would read each of its files several times. A block within another
    shares what that one has read. It serves as a decorator too.
    """
    outer = _kept.get()
    token = _kept.set({} if outer is None else outer)
    try:
        yield
    finally:
        _kept.reset(token)


def kept(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function whose results, but not its errors, are kept within :func:`reading_once`, and never outside of it.

    Callers share what it returns, so that they must not change it.

    >>> read = kept(lambda name: [name])
    >>> read("a") is read("a")
    False
    >>> with reading_once():
    ...     read("a") is read("a")
    True
    """

    @wraps(function)
    def kept_function(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        results = _kept.get()
        if results is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in results:
            results[key] = function(*args, **kwargs)
        result: Result = results[key]
        return result

    return kept_function
