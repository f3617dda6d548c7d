"""The documentation is complete: docstrings, examples, sources, API pages, and the table from the paper to the code."""

from __future__ import annotations

import ast
import csv
import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext
import pytest
import test_acceptance
import torch
import yaml
from test_book import toc_files

import prismlib
from prismlib.config import RunConfig

ROOT = Path(__file__).parents[1]
MODULES = sorted(info.name for info in pkgutil.iter_modules(prismlib.__path__) if not info.name.startswith("_"))
# what is imported into other projects; the other modules run this one's experiments
LIBRARY = [
    "models",
    "losses",
    "debias",
    "hypersphere",
    "metrics",
    "ranking",
    "init",
    "norms",
    "theory",
    "train",
    "optim",
]
OF_THE_PAPER = ["init", "models", "losses", "hypersphere", "debias", "theory", "metrics"]
PLACE = r"(?:Section|Equations?|Appendix|Theorem|Corollary|Definition|Observation) (?:[A-D]\.)?\d"
SOURCE = re.compile(PLACE + r"|[a-z.] \d{4}\b")


def public(module: ModuleType) -> dict[str, Any]:
    """Functions and classes that a module defines under a public name."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    }


def in_modules(names: list[str]) -> dict[str, Any]:
    modules = [importlib.import_module(f"prismlib.{name}") for name in names]
    return {f"{module.__name__}.{name}": value for module in modules for name, value in public(module).items()}


API = in_modules(LIBRARY) | {
    f"{value.__module__}.{name}": value
    for name in prismlib.__all__
    if callable(value := getattr(prismlib, name))  # and not a constant
}


def own_methods(cls: type) -> list[tuple[str, Any]]:
    """Public methods and properties that a class adds; one that overrides does what the base class's docstring says."""
    return [
        (name, value)
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and isinstance(value, property | staticmethod | classmethod | functools.cached_property | type(own_methods))
        and not any(name in vars(base) for base in cls.__mro__[1:])
    ]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_of_a_module_has_a_docstring(name: str) -> None:
    module = importlib.import_module(f"prismlib.{name}")
    assert module.__doc__
    for what, value in public(module).items():
        assert value.__doc__ or what == "main", what
        # a dataclass without a docstring gets its signature for one
        assert not (value.__doc__ or "").startswith(f"{what}("), what
        for method, own in own_methods(value) if inspect.isclass(value) else ():
            assert own.__doc__, f"{what}.{method}"


@pytest.mark.parametrize("name", API)
def test_every_function_and_class_has_an_example(name: str) -> None:
    # `pytest --doctest-modules prismlib` runs it
    assert re.search(r"^ *>>> ", API[name].__doc__, re.MULTILINE), "no >>> in its docstring"


@pytest.mark.parametrize("name", in_modules(OF_THE_PAPER))
def test_every_function_and_class_or_its_module_names_the_source(name: str) -> None:
    module = importlib.import_module(API[name].__module__)
    assert SOURCE.search(API[name].__doc__) or SOURCE.search(module.__doc__), "no place in the paper, no other work"


def test_every_module_has_a_page_and_every_page_is_in_the_contents() -> None:
    pages = {path.stem: path.read_text() for path in (ROOT / "book/api").glob("*.md")}
    assert pages.keys() == {"index", *MODULES}
    listed = [name.removeprefix("api/") for name in toc_files() if name.startswith("api/")]
    assert sorted(listed) == sorted(pages)
    for name in MODULES:
        assert f".. automodule:: prismlib.{name}\n" in pages[name]
        assert re.search(rf"^   prismlib\.{name}$", pages["index"], re.MULTILINE), f"{name} is not in book/api/index.md"
