"""The documentation is complete: docstrings, examples, sources, API pages, and the table from the paper to the code."""

from __future__ import annotations

import ast
import csv
import dataclasses
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
import torch
from test_book import toc_files

import prismbook
import prismlib
from prismbook.plan.config import PROTOCOLS

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    info.name
    for package in (prismlib, prismbook)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not info.name.endswith("__main__")
)
STAGES = [
    name for name in MODULES if name.startswith("prismbook.") and name.count(".") == 1 and name != "prismbook.extras"
]
LIBRARY = [
    "models",
    "losses",
    "baselines",
    "hypersphere",
    "metrics",
    "comparison",
    "ranking",
    "init",
    "norms",
    "theory",
    "train",
    "optim",
    "serving",
    "checkpoint",
]
OF_THE_PAPER = ["init", "models", "losses", "hypersphere", "baselines", "theory", "metrics"]
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


def added_methods(cls: type) -> list[tuple[str, Any]]:
    """Public methods and properties that a class adds; one that overrides does what the base class's docstring says."""
    return [
        (name, value)
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and name not in getattr(cls, "__dataclass_fields__", ())  # whose default may be a function
        and isinstance(value, property | staticmethod | classmethod | functools.cached_property | type(added_methods))
        and not any(name in vars(base) for base in cls.__mro__[1:])
    ]


@pytest.mark.lint
@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_of_a_module_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for what, value in public(module).items():
        assert value.__doc__ or what == "main", what
        # a dataclass without a docstring gets its signature for one
        assert not (value.__doc__ or "").startswith(f"{what}("), what
        for method, member in added_methods(value) if inspect.isclass(value) else ():
            assert member.__doc__, f"{what}.{method}"


def documented_constants(source: str) -> list[str]:
    """The names that stand below a comment which Sphinx takes for their description, ``#: ...``."""
    return re.findall(r"^#: .*\n(?:#.*\n)*(\w+)(?::.*)? =", source, re.MULTILINE)


@pytest.mark.lint
def test_constants_that_sphinx_documents_are_found() -> None:
    source = "#: One.\nONE = 1\n# Two.\nTWO = 2\n\n#: Three,\n#: of two lines.\nTHREE: int = 3\n"
    assert documented_constants(source) == ["ONE", "THREE"]


@pytest.mark.lint
@pytest.mark.parametrize("name", MODULES)
def test_no_alias_of_a_built_in_type_is_documented_as_a_constant(name: str) -> None:
    # The list of the sources would link to a page of the module `builtins`, which has no source.
    module = importlib.import_module(name)
    constants = documented_constants(inspect.getsource(module))
    assert not [name for name in constants if getattr(getattr(module, name), "__module__", "") == "builtins"]


def documented(docstring: str, sections: str = "Args|Attributes") -> list[str]:
    """The names that a docstring's section explains, in its order; names that share a line are one entry, "a, b"."""
    entries: list[str] = []
    for section in re.findall(rf"^(?:{sections}):\n((?: .*\n|\n)+)", f"{inspect.cleandoc(docstring)}\n", re.MULTILINE):
        entries += re.findall(r"^    ([^\s:][^:\n]*): ", section, re.MULTILINE)
    return entries


def takes_nothing(cls: type) -> bool:
    """Whether a class is a protocol, or adds no argument to those of an exception or of ``torch.nn.Module``."""
    inherited = issubclass(cls, BaseException) or cls.__init__ is torch.nn.Module.__init__  # type: ignore[misc]
    return inherited or getattr(cls, "_is_protocol", False)


def arguments(value: Any) -> list[str]:
    """What a caller gives to a function, a method or a class, in the order of the signature."""
    if isinstance(value, property | functools.cached_property):
        return []
    if inspect.isclass(value) and takes_nothing(value):
        return []
    function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
    parameters = inspect.signature(function).parameters
    return [name for name in parameters if name not in ("self", "cls") and not name.startswith("_")]


def argument_faults(value: Any) -> str | None:
    """What is wrong with the explanation of a function's arguments; None where each has its line, in order."""
    expected, explained = arguments(value), documented(value.__doc__ or "")
    if inspect.isclass(value) and not dataclasses.is_dataclass(value) and not hasattr(value, "_fields"):
        explained = documented(value.__doc__ or "", "Args")  # its attributes may be others than its arguments
    return None if explained == expected else f"explains {explained}, but takes {expected}"


# a function of prismbook has a sentence; what a caller of prismlib gives is explained, argument by argument
@pytest.mark.lint
@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("prismlib.")])
def test_every_argument_is_explained_on_its_line_in_the_order_of_the_signature(name: str) -> None:
    faults = {}
    for what, value in public(importlib.import_module(name)).items():
        methods = added_methods(value) if inspect.isclass(value) else []
        for path, member in [(what, value), *((f"{what}.{method}", member) for method, member in methods)]:
            if fault := argument_faults(member):
                faults[path] = fault
    assert not faults


@pytest.mark.lint
def test_faults_of_explanations_are_found() -> None:
    def explained(a: int, b: int = 0, **others: int) -> None:
        """Do nothing.

        Args:
            a: the first, on
                two: lines.
            b: the second.
            others: the rest.

        Raises:
            ValueError: never.
        """

    assert argument_faults(explained) is None
    good = explained.__doc__ or ""
    for text in (
        "Do nothing.",
        good.replace("            b: the second.\n", ""),
        good.replace("b: the second", "c: the second"),
        good.replace("a: the first, on\n                two: lines.\n            b: the second.", "a, b: both."),
        good.replace("others: the rest.", "others: the rest.\n            d: not taken."),
        good.replace("a: the first, on\n                two: lines.", "b: the second.").replace(
            "b: the second.\n            others", "a: the first.\n            others"
        ),
    ):
        assert text != good
        explained.__doc__ = text
        assert argument_faults(explained), text


@pytest.mark.lint
@pytest.mark.parametrize("name", API)
def test_every_function_and_class_has_an_example(name: str) -> None:
    # `pytest --doctest-modules prismlib` runs it
    assert re.search(r"^ *>>> ", API[name].__doc__, re.MULTILINE), "no >>> in its docstring"


@pytest.mark.lint
@pytest.mark.parametrize("name", in_modules(OF_THE_PAPER))
def test_every_function_and_class_or_its_module_names_the_source(name: str) -> None:
    module = importlib.import_module(API[name].__module__)
    assert SOURCE.search(API[name].__doc__) or SOURCE.search(module.__doc__), "no place in the paper, no other work"


@pytest.mark.lint
def test_every_module_has_a_page_and_every_page_is_in_the_contents() -> None:
    pages = {path.stem: path.read_text() for path in (ROOT / "book/api").glob("*.md")}
    # a module whose name, or whose package's name, starts with an underscore is not public
    documented = [name for name in MODULES if "._" not in name and name not in ("prismbook.extras", "prismbook.text")]
    with_a_page = [name for name in documented if name.startswith("prismlib.") or name in STAGES]
    assert pages.keys() == {"index", *(name.split(".")[1] for name in with_a_page)}
    listed = [name.removeprefix("api/") for name in toc_files() if name.startswith("api/")]
    assert sorted(listed) == sorted(pages)
    for name in documented:
        assert f".. automodule:: {name}\n" in pages[name.split(".")[1]]
    for name in with_a_page:
        assert re.search(rf"^   {re.escape(name)}$", pages["index"], re.MULTILINE), (
            f"{name} is not in book/api/index.md"
        )


with (ROOT / "book/paper_to_code.csv").open(newline="") as table:
    ROWS = list(csv.DictReader(table))


def resolve(dotted: str) -> Any:
    """``prismlib.module.name`` or ``prismbook.stage.module.Class.name`` by import."""
    module = max((name for name in MODULES if dotted.startswith(f"{name}.")), key=len)
    return functools.reduce(getattr, dotted.removeprefix(f"{module}.").split("."), importlib.import_module(module))


@pytest.mark.lint
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['paper']}: {row['function']}")
def test_every_row_from_the_paper_to_the_code_leads_to_a_function_and_a_test(row: dict[str, str]) -> None:
    functions, tests = (re.findall(r"`+~?([^`]+)`+", row[column]) for column in ("function", "test"))
    assert functions and tests
    for dotted in functions:
        assert callable(resolve(dotted))
    for test in tests:
        path, name = test.split("::")
        assert path.startswith("tests/test_") and name.startswith("test_")
        defined = ast.parse((ROOT / path).read_text()).body
        assert name in [node.name for node in defined if isinstance(node, ast.FunctionDef)], test


NUMBERED = re.compile(r"(Equation|Theorem|Corollary|Observation|Definition)s? ([\d.]+(?: and \d+)?)")


@pytest.mark.lint
@pytest.mark.parametrize(
    "row", [row for row in ROWS if NUMBERED.search(row["paper"])], ids=lambda row: f"{row['paper']}: {row['function']}"
)
def test_the_function_says_the_place_in_the_paper_that_its_row_says(row: dict[str, str]) -> None:
    functions = [resolve(dotted) for dotted in re.findall(r"`~?([^`]+)`", row["function"])]
    for kind, numbers in re.findall(
        r"(Equation|Theorem|Corollary|Observation|Definition)s? ([\d.]+(?: and \d+)?)", row["paper"]
    ):
        for number in numbers.split(" and "):
            place = rf"{kind}s? (\d+ and )?{re.escape(number)}(?![\d])"
            assert any(re.search(place, function.__doc__) for function in functions), f"{kind} {number}"


@pytest.mark.lint
def test_the_table_from_the_paper_to_the_code_is_whole() -> None:
    places = " ".join(row["paper"] for row in ROWS)
    assert {int(n) for n in re.findall(r"(?<=Equation )\d+", places)} | {9} == set(range(1, 11))
    for place in ("Definition 2.1", "Observation 1", "Theorem 3.1", "Corollary 1", "Corollary 2", "Section C.5"):
        assert place in places
    switches = " ".join(row["what"] for row in ROWS if row["paper"].startswith("departure"))
    for name, value in PROTOCOLS["released"].items():
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        assert f"``{name}={shown}``" in switches


def test_the_loss_of_the_page_passes_the_acceptance_suite_as_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = jupytext.read(ROOT / "notebooks/add_a_loss.py").cells
    [source] = [cell.source for cell in cells if cell.cell_type == "code" and "class InBatchSoftmax" in cell.source]
    [line] = re.findall(r'^ +"InBatchSoftmax": lambda g: .*\n', "\n".join(cell.source for cell in cells), re.MULTILINE)
    suite = (ROOT / "tests/test_acceptance.py").read_text()
    for old, new in (
        ("\nLOSSES: ", f"\n{source}\n\nLOSSES: "),
        ('    "BPR": lambda g: BPR(),\n', f'    "BPR": lambda g: BPR(),\n{line}'),
        ("ANGLE_BASED = {", 'ANGLE_BASED = {"InBatchSoftmax", '),
    ):
        assert suite.count(old) == 1
        suite = suite.replace(old, new)
    (tmp_path / "test_acceptance_of_the_page.py").write_text(suite)
    options = ["-q", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", "-p", "no:xdist"]
    assert (
        pytest.main([*options, "-k", "InBatchSoftmax", str(tmp_path)]) == 0
    )  # what it prints is in this test's output
    assert re.search(r"[1-9]\d+ passed", capsys.readouterr().out)
