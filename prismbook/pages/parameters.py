"""The parameters of a notebook and the values that each accepts, checked before the notebook computes anything.

papermill sets parameters in a new cell after the notebook's cell of defaults. papermill reads ``-p force false`` as the
text ``"false"``, which Python takes for true, and a name that the notebook does not use would change nothing. So every
notebook calls :func:`check` right after its parameters.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from prismbook.plan.config import CHOICES
from prismbook.plan.experiments import BUDGETS
from prismlib import datasets

#: The first line of the cell in which papermill sets parameters.
INJECTED = "# Parameters"
#: Names that papermill itself may set (``--inject-paths``).
PAPERMILL_NAMES = {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}


class ParameterError(ValueError):
    """A parameter of a notebook is unknown, missing, or not a value that the notebook accepts."""

    def _render_traceback_(self) -> list[str]:
        """The message alone, which a notebook shows in place of a traceback, since the fault is the caller's."""
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Field:
    """The values that a parameter accepts.

    Attributes:
        accepts: a function of a value that is True where the value is accepted.
        accepted: the accepted values in words, to follow "must be".
        hint: a function of the parameter's name and of a value that is not accepted. It returns what to write instead,
            or an empty text.
    """

    accepts: Callable[[Any], bool]
    accepted: str
    hint: Callable[[str, Any], str] = lambda name, value: ""


def flag() -> Field:
    """True or False, and neither 1 nor the text ``"false"``."""
    hint = "papermill reads only -p {0} True and -p {0} False as these".format
    return Field(lambda value: isinstance(value, bool), "True or False", lambda name, value: hint(name))


def integer(low: int, high: int | None = None) -> Field:
    """An integer.

    Args:
        low: the smallest value that is accepted.
        high: the first value above ``low`` that is no longer accepted; None for no upper limit.
    """
    accepted = f"an integer >= {low}" if high is None else f"an integer in [{low}, {high})"
    return Field(lambda value: type(value) is int and low <= value and (high is None or value < high), accepted)


def number(holds: Callable[[float], bool], accepted: str) -> Field:
    """A finite number, integers among them.

    Args:
        holds: a function of a number that is True where the number is accepted.
        accepted: the accepted numbers in words, e.g. ``"> 0"``.
    """
    return Field(
        lambda value: type(value) in (int, float) and math.isfinite(value) and holds(value), f"a number {accepted}"
    )


def rate() -> Field:
    """A learning rate."""
    return number(lambda value: value > 0, "> 0")


def choice(names: Iterable[str]) -> Field:
    """One of some texts.

    Args:
        names: the texts that are accepted.
    """
    known = tuple(names)
    return Field(lambda value: isinstance(value, str) and value in known, f"one of {', '.join(known)}", _as_text)


def text() -> Field:
    """A text that is not empty, e.g. the name of a folder."""
    return Field(lambda value: isinstance(value, str) and value != "", "text", _as_text)


def _as_text(name: str, value: Any) -> str:
    """A hint where papermill's -p has read text as a number, a truth value or None: -r leaves text as it is."""
    plain = value is None or isinstance(value, bool | int | float)
    return f"papermill leaves a value as text with -r {name} {value}" if plain else ""


def optional(field: Field) -> Field:
    """What another field accepts, or None.

    Args:
        field: the other field.
    """
    return Field(lambda value: value is None or field.accepts(value), f"{field.accepted}, or None", field.hint)


def several(field: Field) -> Field:
    """One value that a field accepts, or a list of one or more of them.

    Args:
        field: the field of each value.
    """

    def accepts(value: Any) -> bool:
        values = value if isinstance(value, list | tuple) else [value]
        return len(values) > 0 and all(map(field.accepts, values))

    return Field(accepts, f"{field.accepted}; or a list of one or more such values", field.hint)


def fields() -> dict[str, Field]:
    """The fields of the notebooks' parameters by name. A name means the same in every notebook.

    >>> fields()["device"].accepted
    'one of cpu, cuda'
    """
    decay, strength = number(lambda value: value >= 0, ">= 0"), number(lambda value: 0 <= value <= 1, "in [0, 1]")
    seed = integer(0, 2**63)
    return {
        "alphas": several(strength),
        "backbone": choice(CHOICES["backbone"]),
        "batch_size": integer(1),
        "budget": choice(BUDGETS),
        "claim": choice(["C2", "C18"]),
        "dataset": choice(datasets.known()),
        "device": choice(CHOICES["device"]),
        "dim": integer(1),
        "epochs": optional(integer(1)),
        "folder": optional(text()),
        "force": flag(),
        "learning_rates": several(rate()),
        "losses": several(choice(CHOICES["loss"])),
        "lr": optional(rate()),
        "patience": integer(1),
        "results": optional(text()),
        "seed": seed,
        "seeds": several(seed),
        "train": flag(),
        "weight_decays": optional(several(decay)),
    }


def check(namespace: Mapping[str, Any], *names: str, **others: Field) -> None:
    """Check the parameters of a notebook. Call it right after they are set, before anything is computed.

    Args:
        namespace: the notebook's names, ``globals()``.
        names: the notebook's parameters that accept what :func:`fields` says.
        others: the notebook's other parameters, each with its field.

    Raises:
        ParameterError: papermill was given a parameter that the notebook does not have; a parameter is not set; or its
            value is not accepted. The message names the parameter and what it accepts.

    >>> check({"seed": 1, "force": "false"}, "seed", "force")
    Traceback (most recent call last):
    prismbook.pages.parameters.ParameterError: force must be True or False, got 'false'; papermill reads only -p force True and -p force False as these
    """  # noqa: E501
    shared = fields()
    declared = {name: shared[name] for name in names} | others
    for name in _injected(namespace.get("In", ())):
        if name not in declared and name not in PAPERMILL_NAMES:
            near = get_close_matches(name, declared, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise ParameterError(f"unknown parameter {name}{meant}; this notebook has {', '.join(declared)}")
    for name, field in declared.items():
        if name not in namespace:
            raise ParameterError(f"{name} is not set; it must be {field.accepted}")
        value = namespace[name]
        if not field.accepts(value):
            hint = field.hint(name, value)
            raise ParameterError(f"{name} must be {field.accepted}, got {value!r}{f'; {hint}' if hint else ''}")


def _injected(inputs: Iterable[str]) -> list[str]:
    """The names that papermill has set, from the cells that were run so far.

    >>> _injected(["seed = 1", "# Parameters\\nepoch = 2\\nseed = 3\\n", "# Parameters\\nif seed: pass"])
    ['epoch', 'seed']
    """
    names: list[str] = []
    for source in inputs:
        if source.startswith(INJECTED):
            for statement in ast.parse(source).body:
                if isinstance(statement, ast.Assign):
                    names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return names
