"""What a value must be: kinds of fields, for run configurations, for grids of them and for a notebook's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Field:
    """What a value must be.

    Attributes:
        accepted: the accepted values in words, to follow "must be".
        read: a function of a value that gives it as a value of Python, or raises a ValueError where it is not accepted.
        names: the texts that are accepted, where they are few.
        hint: what to write to papermill instead, with ``{name}``; empty where there is nothing to say.
    """

    accepted: str
    read: Callable[[Any], Any]
    names: tuple[str, ...] = ()
    hint: str = ""

    def checked(self, name: str, value: Any) -> Any:
        """A value as Python's own. NumPy's are taken; text is never a number or a boolean, nor a boolean a number.

        Raises:
            ValueError: the value is not accepted. The message has the name, what is accepted, and the value.

        >>> integer(1).checked("dim", np.int64(64)), number(lambda x: x > 0, "a finite number > 0").checked("lr", 1)
        (64, 1.0)
        >>> integer(1).checked("epochs", "3")
        Traceback (most recent call last):
        ValueError: epochs must be an integer >= 1, got '3'
        """
        try:
            return self.read(value)
        except ValueError:
            raise ValueError(f"{name} must be {self.accepted}, got {value!r}") from None


def _field(accepted: str, holds: Callable[[Any], bool], kept: Callable[[Any], Any], **more: Any) -> Field:
    def read(value: Any) -> Any:
        if not holds(value):
            raise ValueError
        return kept(value)

    return Field(accepted, read, **more)


def flag() -> Field:
    """True or False, and neither 1 nor the text ``"false"``."""
    hint = "papermill reads only -p {name} True and -p {name} False as these"
    return _field("True or False", lambda value: isinstance(value, bool | np.bool_), bool, hint=hint)


def integer(low: int) -> Field:
    """An integer from a smallest one on, below 2**63."""

    def holds(value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) < 2**63

    return _field(f"an integer >= {low}" if low else "an integer in [0, 2**63)", holds, int)


def number(holds: Callable[[float], bool], accepted: str) -> Field:
    """A finite number of which something holds, integers among them."""

    def read(value: Any) -> float:
        kept = _python_float(value)
        if not (math.isfinite(kept) and holds(kept)):
            raise ValueError
        return kept

    return Field(accepted, read)


def rate() -> Field:
    """A learning rate."""
    return number(lambda value: value > 0, "a finite number > 0")


def choice(names: Iterable[str]) -> Field:
    """One of some texts."""
    known = tuple(names)
    accepted = f"one of {', '.join(known)}"
    return _field(accepted, lambda value: isinstance(value, str) and value in known, str, names=known)


def text(accepted: str = "text") -> Field:
    """A text that is not empty, e.g. the name of a folder."""
    return _field(accepted, lambda value: isinstance(value, str) and value != "", str)


def optional(field: Field) -> Field:
    """What another field accepts, or None."""
    return replace(
        field,
        accepted=f"{field.accepted}, or None",
        read=lambda value: None if value is None else field.read(value),
    )


def several(field: Field) -> Field:
    """One value that a field accepts, or a list of one or more of them."""

    def read(value: Any) -> list[Any]:
        values = value if isinstance(value, list | tuple) else [value]
        if not values:
            raise ValueError
        return [field.read(one) for one in values]

    return replace(field, accepted=f"{field.accepted}; or a list of one or more such values", read=read)


def _python_float(value: Any) -> float:
    """A number as Python's float. 1 and 1.0 are one value, and so are 0.0 and -0.0."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError
    try:
        # the decimal that a short NumPy number shows: float32's 0.001 is not 0.0010000000474974513
        return float(str(value) if isinstance(value, np.floating) else value) + 0.0
    except OverflowError:
        raise ValueError from None
