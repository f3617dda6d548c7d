"""The packages as built and installed: their content, their extras, and what is said where an extra is missing."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_one_way import STAGES, at_top, package

import prismbook.extras
import prismlib

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
#: Packages whose distribution has another name than the import.
DISTRIBUTIONS = {"IPython": "ipython", "yaml": "pyyaml"}


def distributions(requirements: list[str]) -> set[str]:
    """The names in a list of requirements, with those of the project's own extras in place of their names."""
    names = set()
    for requirement in requirements:
        name, extras = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?.*", requirement).groups()
        names |= distributions([line for extra in extras.split(",") for line in EXTRAS[extra]]) if extras else {name}
    return names


@pytest.mark.lint
def test_the_name_the_version_and_the_authors_are_said_alike() -> None:
    assert PROJECT["name"] == "prism-companion"
    assert PROJECT["version"] == CITATION["version"] == prismlib.__version__
    assert PROJECT["authors"] == CITATION["authors"]
    assert PROJECT["urls"]["Paper"].endswith(CITATION["preferred-citation"]["doi"])
    [preprint] = CITATION["preferred-citation"]["identifiers"]
    assert PROJECT["urls"]["Preprint"].endswith(preprint["value"].removeprefix("arXiv:"))


@pytest.mark.lint
def test_what_each_extra_brings() -> None:
    assert distributions(PROJECT["dependencies"]) == {"numpy", "torch"}
    assert distributions(EXTRAS["data"]) == {"filelock", "pooch", "tqdm"}
    assert distributions(EXTRAS["analysis"]) == {"filelock", "ipython", "matplotlib", "pandas", "pyyaml"}
    assert distributions(EXTRAS["data"] + EXTRAS["analysis"]) <= distributions(EXTRAS["book"])
    assert not any("==" in requirement for extra in ("data", "analysis", "cluster") for requirement in EXTRAS[extra])
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    for requirement in EXTRAS["book"] + EXTRAS["test"]:
        if "==" in requirement:
            name, pin = requirement.split("==")
            assert pins[name] == pin
    assert distributions([*PROJECT["dependencies"], *EXTRAS["test"]]) <= pins.keys()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that is built from its content."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "checkout"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "results", "notebooks", "_build", "pages"),
    )
    shutil.copytree(ROOT / "prismbook/pages", source / "prismbook/pages", dirs_exist_ok=True)
    build = "from setuptools import build_meta; build_meta.build_{}({!r})"
    run = {"check": True, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-c", build.format("sdist", str(folder))], cwd=source, **run)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    [unpacked] = (folder / "unpacked").iterdir()
    subprocess.run([sys.executable, "-c", build.format("wheel", str(folder))], cwd=unpacked, **run)
    return folder


def test_the_wheel_holds_both_packages_whole_and_nothing_else(built: Path) -> None:
    [path] = built.glob("*.whl")
    assert path.name == f"prism_companion-{PROJECT['version']}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        [entry_points] = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("entry_points.txt"))
    here = {path for name in ("prismlib", "prismbook") for path in (ROOT / name).glob("**/*") if path.is_file()}
    assert packed == {path.relative_to(ROOT).as_posix() for path in here if "__pycache__" not in path.parts}
    assert "prismbook = prismbook.__main__:main" in entry_points


def test_an_index_page_can_show_all_of_the_description(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        [metadata] = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    head, _, description = metadata.partition("\n\n")
    readme = (ROOT / "README.md").read_text()
    assert "Description-Content-Type: text/markdown" in head
    figure = re.search(r"!\[.*\]\((\S+)\)\n\n\*.*\*\n\n", readme)  # and the line below it
    assert (ROOT / figure[1]).is_file()
    assert description.strip() == readme.replace(figure[0], "").strip() and "![" not in description
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert all(link.startswith("https://") for link in links)  # no path, which would lead nowhere


def test_the_source_distribution_has_no_tests_which_need_a_checkout(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert not [name for name in names if "test" in name.lower()]
    assert {"README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "pyproject.toml", "setup.py"} <= names


# What is said where an extra is missing


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_asks_for_all_packages_that_it_imports(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, str] = {}
    need = prismbook.extras.need
    monkeypatch.setattr(prismbook.extras, "need", lambda extra, *names: asked.update(dict.fromkeys(names, extra)))
    importlib.reload(importlib.import_module(f"prismbook.{stage}"))
    monkeypatch.setattr(prismbook.extras, "need", need)
    importlib.reload(importlib.import_module(f"prismbook.{stage}"))
    used = {
        package(name)
        for path in (ROOT / "prismbook" / stage).glob("*.py")
        for name in at_top(ast.parse(path.read_text()))
    }
    used -= {"torch", "numpy", "prismlib", "prismbook", *sys.stdlib_module_names}
    assert used - {"matplotlib_inline"} <= asked.keys()  # IPython brings matplotlib_inline
    for name, extra in asked.items():
        assert DISTRIBUTIONS.get(name, name) in distributions(EXTRAS[extra])


def without(missing: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run some code where a package cannot be found."""
    block = f"import sys; sys.modules[{missing!r}] = None; "
    return subprocess.run([sys.executable, "-c", block + code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("missing", "command", "extra"), [("pandas", "ledger", "analysis"), ("filelock", "records", "data")]
)
def test_a_command_that_lacks_its_extra_ends_in_one_line(missing: str, command: str, extra: str) -> None:
    ended = without(missing, f"from prismbook.__main__ import main; sys.exit(main([{command!r}]))")
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr == f"{missing} is not installed: run pip install -e '.[{extra}]' in a checkout\n"


@pytest.mark.parametrize(
    ("missing", "module", "extra"),
    [("filelock", "prismbook.runs.run", "data"), ("pandas", "prismbook.tables.analysis", "analysis"),
     ("pandas", "prismbook.claims.catalogue", "analysis"), ("yaml", "prismbook.pages.page", "analysis"),
     ("IPython", "prismbook.pages.figures", "analysis")],
)  # fmt: skip
def test_an_import_that_lacks_its_extra_says_so_last(missing: str, module: str, extra: str) -> None:
    last = without(missing, f"import {module}").stderr.splitlines()[-1]
    hint = f"{missing} is not installed: run pip install -e '.[{extra}]' in a checkout"
    assert last == f"ModuleNotFoundError: {hint}"


def test_prismlib_imports_with_torch_and_numpy_alone() -> None:
    # a finder that knows none of the packages of all extras
    extras = sorted(
        {name for extra in ("data", "analysis", "cluster", "test") for name in distributions(EXTRAS[extra])}
    )
    names = [*extras, *DISTRIBUTIONS, "sklearn", "torch_geometric"]
    block = f"sys.modules.update(dict.fromkeys({names!r})); "
    modules = ", ".join(f"prismlib.{path.stem}" for path in (ROOT / "prismlib").glob("*.py") if path.stem[0] != "_")
    ended = without("prismbook", f"{block}import prismlib, {modules}; print(len(prismlib.synthetic()))")
    assert (ended.stdout, ended.stderr) == ("18000\n", "")


@pytest.mark.lint
def test_every_hint_names_an_extra_that_is_there() -> None:
    files = [path for name in ("*.md", "binder/*", "book/*.md", "notebooks/*.py", "benchmarks/*.py", "prism*/**/*.py")
             for path in ROOT.glob(name)]  # fmt: skip
    text = "\n".join(path.read_text() for path in files)
    hints = re.findall(r"""pip install (?:--quiet )?-e ["']?\.\[([\w,{}]+)\]""", text)
    assert {"data", "analysis", "cluster"} <= set(hints)
    assert {extra for hint in hints for extra in hint.split(",") if extra != "{extra}"} <= EXTRAS.keys()
    assert "prismlib[" not in text and "pip install prismlib" not in text  # another project has this name on the index


# The workflow of GitHub, which tests what pyproject.toml declares


@pytest.mark.lint
def test_the_workflow_runs_make_on_every_python_that_is_declared() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    job = workflow["jobs"]["make"]
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == declared
    assert PROJECT["requires-python"] == f">={declared[0]}"
    commands = [step["run"] for step in job["steps"] if "run" in step]
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert commands == ["make test", "make book"] and {"test", "book"} <= set(targets)


@pytest.mark.lint
def test_the_workflow_runs_the_doctests_on_the_floors() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    steps = workflow["jobs"]["floors"]["steps"]
    [python] = (step["with"]["python-version"] for step in steps if "with" in step)
    assert PROJECT["requires-python"] == f">={python}"
    [_, install, test] = (step["run"] for step in steps if "run" in step)
    # lowest-direct: the oldest release of each requirement that pyproject.toml itself names, so each has to name one
    [extras] = re.findall(r'--resolution lowest-direct --editable "\.\[([\w,]+)\]"', install)
    for requirement in [*PROJECT["dependencies"], *(r for extra in extras.split(",") for r in EXTRAS[extra])]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", requirement)
    assert {"numpy>=1.26.4", "torch>=2.5.0"} == set(PROJECT["dependencies"])
    [pytest_pin] = re.findall(r"pytest==\S+", install)
    assert pytest_pin in EXTRAS["test"]
    assert test == "python -m pytest --doctest-modules prismlib prismbook"


# What README.md and CONTRIBUTING.md say


def test_the_readme_opens_with_a_complete_example_of_prism() -> None:
    [code, *_] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line for line in code.splitlines() if line]
    assert len(lines) == 6
    names: dict[str, Any] = {}
    exec(code, names)
    said = [float(number) for number in re.findall(r"\d+\.\d+", lines[-1])]
    norms = names["items"].weight.norm(dim=1)
    assert [round(norm, 2) for norm in norms.tolist()] == said
    assert norms.detach().allclose((names["popularity"] + 2).log())


@pytest.mark.lint
def test_the_readme_names_commands_and_pages_that_are_there() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([\w-]+)", readme, re.MULTILINE))
    assert named == {"book", "test", "lint", "help", "pdf"} <= targets
    notebooks = re.findall(r"`(notebooks/\w+\.ipynb)`", readme)
    assert len(notebooks) == 3
    for path in [*notebooks, *re.findall(r"(?:papermill|--nbval) (\S+)", readme)]:
        assert (ROOT / path).exists()


@pytest.mark.lint
def test_contributing_has_the_stages_in_their_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert f"\n{' -> '.join(STAGES)}\n" in text
    assert re.findall(r"^- `(\w+)` ", text, re.MULTILINE) == list(STAGES)
    for path in re.findall(r"`((?:tests|book|prismbook)/[\w/.]+\w)`", text):
        assert (ROOT / path).exists(), path
