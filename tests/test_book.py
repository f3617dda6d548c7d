"""The book's machinery: configuration in place, pages rendered when and only when they must be, no script from afar."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import jupyter_book.config
import jupytext
import nbformat
import pytest
import yaml
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

sys.path.insert(0, str(ROOT / "book/_ext"))
import offline  # noqa: E402
import pages  # noqa: E402


def toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    entries = [entry for part in toc.get("parts", [toc]) for entry in part["chapters"]]
    entries += [section for entry in entries for section in entry.get("sections", [])]
    return [toc["root"], *(entry["file"] for entry in entries)]


@pytest.mark.lint
@pytest.mark.parametrize("name", ["_config.yml", "_toc.yml"])
def test_the_book_folder_links_to_its_configuration(name: str) -> None:
    assert (ROOT / "book" / name).resolve() == ROOT / name


@pytest.mark.lint
def test_contents_are_files_or_rendered_pages_and_no_page_is_left_out() -> None:
    rendered = {page.output.removeprefix("book/").removesuffix(".ipynb") for page in pages.load_pages()}
    files = {name for name in toc_files() if list((ROOT / "book").glob(f"{name}.md"))}
    assert set(toc_files()) == files | rendered


@pytest.mark.lint
def test_the_notebook_on_further_datasets_becomes_a_page_with_the_first_record_of_another_loss() -> None:
    """DirectAU's runs on AmazonCDs are shown on the page on optimisers, which reads them."""
    stored = [path for name in ("amazoncds", "amazonbook-partial") for path in (ROOT / "results" / name).glob("*.json")]
    others = [path for path in stored if not path.name.startswith("mf-directau")]
    rendered = {Path(page.template).stem: page for page in pages.load_pages()}
    assert bool(others) == ("further_datasets" in rendered)
    assert "amazoncds" in (rendered["optimisers"].records or ())


@pytest.mark.lint
def test_page_parameters_are_parameters_of_their_templates() -> None:
    for page in pages.load_pages():
        cells = nbformat.read(ROOT / page.template, as_version=4).cells
        [source] = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        assert page.parameters.keys() <= set(re.findall(r"^(\w+)(?::.*)? =", source, re.MULTILINE))


@pytest.mark.lint
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_agrees_with_its_py_file(path: Path) -> None:
    def cells(path: Path) -> list[tuple[str, str, list[str]]]:
        return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in jupytext.read(path).cells]

    assert cells(path) == cells(path.with_suffix(".py")), f"run: jupytext --sync notebooks/{path.name}"


@pytest.mark.lint
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_has_one_parameters_cell_and_runs_in_this_environment(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) == 1
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.fixture
def page(tmp_path: Path) -> pages.Page:
    """A page of a tiny repository: its notebook stores a record, as one does that trains."""
    (tmp_path / "book").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/code.py").write_text("x = 1\n")
    (tmp_path / "book/pages.yml").write_text(
        "inputs: [lib/*.py]\n"
        "pages:\n"
        "  - {template: template.ipynb, output: book/pages/page.ipynb, parameters: {dataset: toy}}\n"
    )
    source = """
import os, sys
from pathlib import Path
record = Path("results") / dataset / "trained.json"
record.parent.mkdir(parents=True, exist_ok=True)
record.write_text("{}")
print(dataset, sys.prefix, os.environ["TQDM_DISABLE"])
"""
    write_template(tmp_path, source)
    [page] = pages.load_pages(tmp_path)
    return page


def write_template(root: Path, source: str) -> None:
    parameters = nbformat.v4.new_code_cell("dataset = 'none'", metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [parameters, nbformat.v4.new_code_cell(source)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), root / "template.ipynb")


def test_missing_page_is_rendered_with_its_parameters_and_then_fresh(page: pages.Page) -> None:
    said: list[str] = []
    page = listed_as(page, "parameters: {dataset: toy}, records: []")  # it trains its own
    pages.render_stale(page.root, said.append)
    assert len(said) == 2 and "missing" in said[0]
    cells = nbformat.read(page.root / page.output, as_version=4).cells
    # the kernel "python3" is this environment's Python, and shows no progress bars
    assert cells[-1].outputs[0].text == f"toy {sys.prefix} 1\n"
    # a reader of the page does not see papermill's cells
    hidden = [cell.metadata.tags[0] for cell in cells if "remove-input" in cell.metadata.get("tags", ())]
    assert hidden == ["parameters", "injected-parameters"]
    # the record that the page itself trained, where the list says that it reads no other does not make it stale
    assert page.reasons() == []
    pages.render_stale(page.root, said.append)
    assert len(said) == 2


def listed_as(page: pages.Page, entry: str) -> pages.Page:
    """The page with another entry in the list."""
    listed = page.root / "book/pages.yml"
    listed.write_text(listed.read_text().replace("parameters: {dataset: toy}", entry))
    [page] = pages.load_pages(page.root)
    return page


def test_a_record_stored_while_the_page_is_rendered_makes_it_stale(page: pages.Page) -> None:
    pages.render_stale(page.root, lambda text: None)  # its notebook stores one, as a sweep beside the build would
    assert page.reasons() == ["results/toy/trained.json is new"]
    pages.render_stale(page.root, lambda text: None)
    assert page.reasons() == []


def rendered(page: pages.Page) -> None:
    """What render() leaves, without its seconds."""
    notebook = nbformat.v4.new_notebook(metadata={pages.METADATA: page.digests() | page.record_digests()})
    (page.root / page.output).parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, page.root / page.output)


def test_page_is_stale_when_an_input_changes_and_says_which(page: pages.Page) -> None:
    records = page.root / "results/toy"
    records.mkdir(parents=True)
    (records / "one.json").write_text("1")
    (page.root / "results/other").mkdir()
    rendered(page)
    assert page.reasons() == []

    (page.root / "results/other/one.json").write_text("1")
    (records / ".one.json.tmp").write_text("half a record")
    assert page.reasons() == []  # another dataset's record, and one that is being written

    (page.root / "lib/code.py").write_text("x = 2\n")
    (records / "one.json").unlink()
    (records / "two.json").write_text("2")
    write_template(page.root, "x = 1")
    assert page.reasons() == [
        "template.ipynb changed",
        "lib/code.py changed",
        "results/toy/two.json is new",
        "results/toy/one.json is gone",
    ]


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        ("parameters: {dataset: toy}", ["toy"]),
        ("parameters: {}", ["other", "toy"]),
        ("parameters: {}, records: [other]", ["other"]),
        ("parameters: {}, records: []", []),
    ],
)
def test_page_depends_on_the_records_it_may_read(page: pages.Page, entry: str, read: list[str]) -> None:
    files = ("failed/two.json", "one.json", "one.npz")
    for dataset in ("other", "toy"):
        (page.root / "results" / dataset / "failed").mkdir(parents=True)
        for file in files:
            (page.root / "results" / dataset / file).write_text("1")
    page = listed_as(page, entry)
    assert list(page.record_digests()) == [f"results/{dataset}/{file}" for dataset in read for file in files]


def test_page_is_stale_when_a_parameter_changes(page: pages.Page) -> None:
    rendered(page)
    page = listed_as(page, "parameters: {dataset: toy, seed: 1}")
    assert page.reasons() == ["parameters changed"]


def test_outputs_saved_in_the_template_do_not_make_a_page_stale(page: pages.Page) -> None:
    rendered(page)
    template = nbformat.read(page.root / page.template, as_version=4)
    template.cells[1].outputs = [nbformat.v4.new_output("stream", text="printed")]
    template.cells[1].execution_count = 7
    nbformat.write(template, page.root / page.template)
    assert page.reasons() == []


@pytest.mark.parametrize("text", ["", "{", '{"metadata": {}}'])
def test_damaged_page_is_stale(page: pages.Page, text: str) -> None:
    (page.root / page.output).parent.mkdir(parents=True)
    (page.root / page.output).write_text(text)
    assert page.reasons() == ["not a page rendered from here"]


def test_failing_cell_is_an_error_and_leaves_the_page_as_it_was(page: pages.Page) -> None:
    rendered(page)
    before = (page.root / page.output).read_text()
    write_template(page.root, "print('so far')\nraise ValueError('no such thing')")
    with pytest.raises(pages.PageError, match=r"(?s)template\.ipynb failed.*no such thing"):
        pages.render_stale(page.root, lambda text: None)
    assert (page.root / page.output).read_text() == before
    assert [path.name for path in (page.root / "book/pages").iterdir()] == ["page.ipynb"]


def test_a_kernel_that_is_busy_with_its_last_message_ends_without_a_word(
    page: pages.Page, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on a loaded machine: the kernel has answered the last request and is not done with it when it is shut down
    slow = """
import time
kernel = get_ipython().kernel
answer = kernel.shell_handlers["kernel_info_request"]
async def answer_and_linger(*message):
    await answer(*message)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        time.sleep(0.01)
kernel.shell_handlers["kernel_info_request"] = answer_and_linger
"""
    write_template(page.root, slow)
    page.render()
    assert "KeyboardInterrupt" not in capfd.readouterr().err
    # and this is what is kept from happening
    monkeypatch.setattr(pages, "KernelManager", pages.AsyncKernelManager)
    page.render()
    assert "KeyboardInterrupt caught in kernel" in capfd.readouterr().err


def test_a_kernel_is_still_interrupted_before_it_is_shut_down() -> None:
    manager = pages.KernelManager()
    with pytest.raises(RuntimeError, match="No kernel is running"):
        asyncio.run(manager._async_interrupt_kernel())
    manager.shutting_down = True
    asyncio.run(manager._async_interrupt_kernel())


@pytest.fixture
def three(page: pages.Page) -> list[pages.Page]:
    """Three stale pages of that repository."""
    listed = page.root / "book/pages.yml"
    entry = "  - {template: template.ipynb, output: book/pages/%s.ipynb, parameters: {dataset: %s}}\n"
    listed.write_text("inputs: []\npages:\n" + "".join(entry % (name, name) for name in ("one", "two", "three")))
    return pages.load_pages(page.root)


def test_a_page_that_fails_does_not_keep_the_others_from_being_rendered(
    three: list[pages.Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, third = three

    def render(page: pages.Page) -> None:
        if page == third:
            return rendered(page)
        raise pages.PageError(f"{page.output}: a cell failed")

    monkeypatch.setattr(pages.Page, "render", render)
    # the error is that of the first page that fails, in the order of the list
    with pytest.raises(pages.PageError, match=r"^book/pages/one\.ipynb: a cell failed$"):
        pages.render_stale(first.root, lambda text: None)
    assert [bool(page.reasons()) for page in three] == [True, True, False]


def test_one_of_several_real_pages_fails(three: list[pages.Page]) -> None:
    write_template(three[0].root, "assert dataset != 'two', 'no such thing'")
    # two at a time is enough
    listed = three[0].root / "book/pages.yml"
    listed.write_text("".join(line for line in listed.read_text().splitlines(keepends=True) if "three" not in line))
    here = Path.cwd()
    with pytest.raises(pages.PageError, match=r"(?s)book/pages/two\.ipynb: .*no such thing"):
        pages.render_stale(three[0].root, lambda text: None)
    assert Path.cwd() == here  # papermill changes the folder for a run, and threads share it
    assert three[0].reasons() == [] and three[1].reasons() == ["missing"]


def test_pages_are_rendered_at_the_same_time(three: list[pages.Page], monkeypatch: pytest.MonkeyPatch) -> None:
    met = threading.Barrier(3, timeout=10)  # broken, an error, unless all three are there at once
    monkeypatch.setattr(pages.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(pages.Page, "render", lambda page: met.wait() and None)
    said: list[str] = []
    pages.render_stale(three[0].root, said.append)
    assert sorted(text.split()[0] for text in said) == ["rendered"] * 3 + ["running"] * 3


def test_why_names_every_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pages.py", "--why"])
    pages.main()
    said = capsys.readouterr().out
    assert all(page.output in said for page in pages.load_pages())


def test_why_names_pages_that_share_a_reason_once() -> None:
    reasons = {"a": ["m.py changed", "r.json is new"], "b": [], "c": ["m.py changed", "n.py changed"], "d": []}
    assert pages.why(reasons).split("\n\n") == [
        "m.py changed\n    a\n    c",
        "r.json is new\n    a",
        "fresh\n    b\n    d",
        "n.py changed\n    c",
    ]


def test_second_build_waits_for_the_first(tmp_path: Path) -> None:
    said: list[str] = []
    first = pages.build_lock(tmp_path, said.append)
    second = threading.Thread(target=lambda: pages.build_lock(tmp_path, said.append).release())
    second.start()
    second.join(0.5)
    assert second.is_alive() and said == ["waiting for another build of this book to end"]
    first.release()
    second.join(10)
    assert not second.is_alive()


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ("_static/doctools.js", True),
        (SimpleNamespace(filename="_static/mathjax/tex-chtml-full.js", attributes={"defer": "defer"}), True),
        (SimpleNamespace(filename=None, attributes={"body": "window.MathJax = {}"}), True),
        (SimpleNamespace(filename="https://cdn.example.org/require.min.js", attributes={}), False),
        (SimpleNamespace(filename="_static/sphinx-thebe.js", attributes={"async": "async"}), False),
        (SimpleNamespace(filename=None, attributes={"body": 'const THEBE_JS_URL = "x"'}), False),
    ],
)
def test_scripts_of_other_hosts_and_of_thebe_are_dropped(script: object, kept: bool) -> None:
    context = {"script_files": [script]}
    offline.drop_scripts(None, "index", "page.html", context, None)
    assert context["script_files"] == [script] * kept


@pytest.mark.lint
def test_no_style_sheet_of_ours_asks_for_another_host() -> None:
    for path in (ROOT / "book/_static").glob("*.css"):
        assert "http" not in path.read_text()


@pytest.mark.lint
def test_small_numbers_in_the_list_of_pages_are_numbers() -> None:
    text = json.dumps([page.parameters for page in pages.load_pages()])
    assert not re.search(r'"\d+e-\d+"', text), "write 1.0e-6 in book/pages.yml: YAML takes 1e-6 for text"


@pytest.mark.parametrize("url", ["https://github.com/me/prism", ""])
def test_launch_buttons_lead_to_notebooks_of_the_repository(tmp_path: Path, url: str) -> None:
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    settings["repository"]["url"] = url
    theme, *_ = jupyter_book.config.get_final_config(
        user_yaml=settings, cli_config={"latex_individualpages": False}, validate=False, use_external_toc=False
    )
    for page in pages.load_pages():
        path = (tmp_path / page.output).relative_to(tmp_path / "book")
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        (tmp_path / path).parent.mkdir(exist_ok=True)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Page")], metadata=kernel)
        nbformat.write(notebook, tmp_path / path)
    (tmp_path / "contents.rst").write_text("Book\n====\n\n.. toctree::\n   :glob:\n\n   index\n   pages/*\n")
    settings = {
        "extensions": ["myst_nb", "launch"],
        "html_theme": "sphinx_book_theme",
        "html_theme_options": theme["html_theme_options"],
        "nb_execution_mode": "off",
        "root_doc": "contents",
    }
    with docutils_namespace():
        Sphinx(tmp_path, None, tmp_path / "out", tmp_path / "doctrees", "html", settings, None, None).build()
    for page in pages.load_pages():
        text = (tmp_path / "out" / page.output.removeprefix("book/")).with_suffix(".html").read_text()
        links = re.findall(r'href="(https://(?:colab|mybinder)[^"]*)"', text)
        assert links == url.count("me") * [
            f"https://mybinder.org/v2/gh/me/prism/main?urlpath=lab/tree/{page.template}",
            f"https://colab.research.google.com/github/me/prism/blob/main/{page.template}",
        ]


@pytest.mark.lint
def test_binder_installs_what_make_installs() -> None:
    script = ROOT / "binder/postBuild"
    assert script.stat().st_mode & 0o111 and script.read_text().startswith("#!/bin/bash\n")
    packages, own = script.read_text().splitlines()[-2:]
    assert "--torch-backend cpu" in packages and packages.endswith(" -r requirements.txt")
    assert own.partition(" install ")[2] in (ROOT / "Makefile").read_text()
    assert re.search(r"^uv==[\d.]+$", (ROOT / "binder/requirements.txt").read_text(), re.MULTILINE)
    [python] = re.findall(r"^python-(3\.\d+)$", (ROOT / "binder/runtime.txt").read_text(), re.MULTILINE)
    assert f">={python}" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.lint
def test_every_work_of_the_bibliography_can_be_found_and_is_cited() -> None:
    entries = re.findall(
        r"^@\w+\{([^,]+),\n(.*?)^\}", (ROOT / "book/references.bib").read_text(), re.DOTALL | re.MULTILINE
    )
    sources = [*(ROOT / "book").glob("**/*.md"), *(ROOT / "notebooks").glob("*.py")]
    cited = {
        key.strip()
        for path in sources
        if "_build" not in path.parts
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", path.read_text())
        for key in keys.split(",")
    }
    assert {key for key, _ in entries} == cited
    for key, fields in entries:
        identifiers = re.findall(r"^  (?:doi += \{10\.\d{4,}/\S+\}|eprint += \{\d{4}\.\d{4,5}\})", fields, re.MULTILINE)
        assert identifiers, f"{key} has neither a DOI nor an arXiv number"
