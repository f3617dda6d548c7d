"""The parameters of a notebook and the values that each accepts, checked before the notebook computes anything.

papermill sets parameters in a new cell after the notebook's cell of defaults. papermill reads ``-p force false`` as the
text ``"false"``, which Python takes for true, and a name that the notebook does not use would change nothing. So every
notebook calls :func:`check` right after its parameters.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from prismbook.plan.config import FIELDS
from prismbook.plan.experiments import BUDGETS
from prismbook.plan.fields import Field, flag, text
from prismbook.plan.fields import choice as choice  # for what a notebook has of its own, like the others
from prismbook.plan.fields import integer as integer
from prismbook.plan.fields import optional as optional
from prismbook.plan.fields import rate as rate
from prismbook.plan.fields import several as several
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


def fields() -> dict[str, Field]:
    """The fields of the notebooks' parameters by name. A name means the same in every notebook.

    >>> fields()["device"].accepted
    'one of cpu, cuda'
    """
    return {
        "alphas": several(FIELDS["alpha"]),
        "backbone": FIELDS["backbone"],
        "batch_size": FIELDS["batch_size"],
        "budget": choice(BUDGETS),
        "claim": choice(["C2", "C18"]),
        "dataset": several(choice(datasets.known())),
        "device": FIELDS["device"],
        "dim": FIELDS["dim"],
        "epochs": optional(FIELDS["max_epochs"]),
        "folder": optional(text()),
        "force": flag(),
        "learning_rates": several(FIELDS["lr"]),
        "losses": several(FIELDS["loss"]),
        "lr": optional(FIELDS["lr"]),
        "patience": FIELDS["patience"],
        "results": optional(text()),
        "seed": FIELDS["seed"],
        "seeds": several(FIELDS["seed"]),
        "train": flag(),
        "weight_decays": optional(several(FIELDS["weight_decay"])),
    }


def check(namespace: Mapping[str, Any], *names: str, **others: Field) -> None:
    """Check the parameters of a notebook. Call it right after they are set, before anything is computed.

    Args:
        namespace: the notebook's names, ``globals()``.
        names: the notebook's parameters that accept what :func:`fields` says.
        others: the notebook's other parameters, each with its field.

    Raises:
        ParameterError: papermill was given a parameter that the notebook does not have; a parameter is not set; or its
            value is not accepted, as a folder of results that is not there where nothing is trained. The message names
            the parameter and what it accepts.

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
        try:
            field.checked(name, value)
        except ValueError as error:
            hint = f"; {field.hint.format(name=name)}" if field.hint else ""
            raise ParameterError(f"{error}{hint}") from None
    results = namespace["results"] if "results" in declared else None
    if results is not None and "train" in declared and not namespace["train"] and not Path(results).is_dir():
        raise ParameterError(f"results must be a folder of records where train is False, and there is no {results!r}")


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
