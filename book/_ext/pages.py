"""Pages made from parameterised notebooks. papermill runs those that are missing or stale before Sphinx starts.

    python book/_ext/pages.py --why     which pages are stale, and why (`make why`)
    python book/_ext/pages.py           run the stale pages without building the book

The metadata of a rendered page have the SHA-256 of each input of the page. book/pages.yml lists the inputs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml
from filelock import FileLock, Timeout
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import SphinxError
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
METADATA = "rendered_from"
VOLATILE = {"collapsed", "execution", "papermill", "scrolled"}  # cell metadata that editors and runs leave behind

Digests = dict[str, str]


class PageError(SphinxError):
    """A page cannot be rendered."""

    category = "Page"


class KernelManager(AsyncKernelManager):
    """A kernel that is asked to shut down without being interrupted first.

    Jupyter interrupts a kernel before it asks the kernel to shut down. A kernel that has just answered its last message
    may still be busy with it. It then prints "KeyboardInterrupt caught in kernel", though nothing is wrong.
    """

    async def _async_interrupt_kernel(self) -> None:
        if not self.shutting_down:
            await super()._async_interrupt_kernel()


@dataclass(frozen=True)
class Page:
    """One notebook to be run with parameters. Paths are relative to the root of the repository.

    Attributes:
        root: the root of the repository.
        template: the notebook.
        output: the rendered page.
        parameters: the notebook's parameters by name.
        inputs: patterns of the files that make the page stale when they change.
        title: the page's heading in place of the notebook's; None keeps the notebook's.
        records: the datasets whose records the page reads; None is the dataset among the parameters, or else all.
    """

    root: Path
    template: str
    output: str
    parameters: dict[str, Any]
    inputs: tuple[str, ...]
    title: str | None = None
    records: Sequence[str] | None = None

    def digests(self) -> Digests:
        """SHA-256 of the template's cells, of the parameters and title, and of every input file except records."""
        cells = [
            [cell["cell_type"], cell["source"], {k: v for k, v in cell["metadata"].items() if k not in VOLATILE}]
            for cell in nbformat.read(self.root / self.template, as_version=4).cells
        ]
        template = {self.template: _digest(cells), "parameters": _digest([self.parameters, self.title])}
        return template | self._files(self.inputs)

    def record_digests(self) -> Digests:
        """SHA-256 of every run record that the page may read, of the users' scores beside it, and of failures."""
        datasets = [self.parameters.get("dataset", "*")] if self.records is None else self.records
        kinds = ("*.json", "*.npz", "failed/*.json")
        return self._files(f"results/{dataset}/{kind}" for dataset in datasets for kind in kinds)

    def reasons(self) -> list[str]:
        """Why the page must be rendered: one phrase per changed input, and none for a fresh page."""
        try:
            then = json.loads((self.root / self.output).read_text(encoding="utf-8"))["metadata"][METADATA]
        except FileNotFoundError:
            return ["missing"]
        except (ValueError, KeyError):
            return ["not a page rendered from here"]
        now = self.digests() | self.record_digests()
        return (
            [f"{name} changed" for name in now if name in then and now[name] != then[name]]
            + [f"{name} is new" for name in now if name not in then]
            + [f"{name} is gone" for name in then if name not in now]
        )

    def render(self) -> None:
        """Run the notebook, then replace the page in one step, so that readers see the old page or the new one.

        Raises:
            PageError: a cell failed. The page stays as it was.
        """
        import papermill  # imported here: `--why` does not need it, and its import is slow

        # taken before the run: a file that changes during the run makes the page stale again
        before = self.digests() | self.record_digests()
        try:
            notebook = papermill.execute_notebook(
                self.root / self.template,
                None,
                self.parameters,
                kernel_name="python3",
                cwd=self.root,
                progress_bar=False,
                kernel_manager_class=KernelManager,
            )
        except papermill.PapermillExecutionError as error:
            raise PageError(f"{self.output}: a cell of {self.template} failed{error}") from None
        if self.parameters:  # the two cells of parameters are for who runs the notebook, and not for who reads the page
            for cell in notebook.cells:
                if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", ())):
                    cell.metadata.tags = [*dict.fromkeys([*cell.metadata.tags, "remove-input"])]
        if self.title is not None:
            heading = next(cell for cell in notebook.cells if cell.source.startswith("# "))
            heading.source = "\n".join([f"# {self.title}", *heading.source.split("\n")[1:]])
        notebook.metadata[METADATA] = before
        output = self.root / self.output
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
        try:
            nbformat.write(notebook, temporary)
            os.replace(temporary, output)
        finally:
            temporary.unlink(missing_ok=True)

    def _files(self, patterns: Iterable[str]) -> Digests:
        paths = sorted({path for pattern in patterns for path in self.root.glob(pattern) if path.is_file()})
        return {path.relative_to(self.root).as_posix(): _digest(path.read_bytes()) for path in paths}


def _digest(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def load_pages(root: Path = ROOT) -> list[Page]:
    """The pages of book/pages.yml.

    Args:
        root: the root of the repository.
    """
    listed = yaml.safe_load((root / "book/pages.yml").read_text(encoding="utf-8"))
    shared = tuple(listed["inputs"])
    return [Page(root, **{**page, "inputs": shared + tuple(page.get("inputs", ()))}) for page in listed["pages"]]


def render_stale(root: Path = ROOT, say: Callable[[str], Any] = print) -> None:
    """Render the pages that are missing or stale, as many at once as there are cores.

    Args:
        root: the root of the repository.
        say: called with each line on the progress.

    Raises:
        PageError: a cell of a page failed. The other pages are rendered, and the error is that of the first such page.
    """
    stale = [(page, reasons) for page in load_pages(root) if (reasons := page.reasons())]
    if not stale:
        return
    os.environ["TQDM_DISABLE"] = "1"  # the kernels inherit these
    # There are as many kernels as cores: with more than one thread each, their threads would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    def render(page: Page, reasons: list[str]) -> None:
        say(f"running {page.template} for {page.output} ({_shortened(reasons)})")
        start = time.perf_counter()
        try:
            page.render()
        finally:
            ensure_event_loop().close()  # running a notebook leaves an event loop to its thread
        say(f"rendered {page.output} in {time.perf_counter() - start:.0f} s")

    # Threads are enough, since the work is done in the kernels, which are processes. papermill changes the working
    # folder of all threads for a run and then restores it, so all threads are given the same folder beforehand.
    with chdir(root), ThreadPoolExecutor(os.cpu_count()) as pool:
        ends = [pool.submit(render, page, reasons) for page, reasons in stale]
    for end in ends:
        end.result()


def why(pages: dict[str, list[str]]) -> str:
    """Which pages are fresh, and which are stale for which reason. Pages that share reasons are listed together.

    Args:
        pages: the reasons of each page, by the page's name, see :meth:`Page.reasons`.
    """
    sharing: dict[str, list[str]] = {}
    for output, reasons in pages.items():
        for reason in reasons or ["fresh"]:
            sharing.setdefault(reason, []).append(output)
    reasons_of: dict[tuple[str, ...], list[str]] = {}
    for reason, outputs in sharing.items():
        reasons_of.setdefault(tuple(outputs), []).append(reason)
    return "\n\n".join(
        "\n".join([*reasons, *(f"    {output}" for output in outputs)]) for outputs, reasons in reasons_of.items()
    )


def _shortened(reasons: list[str]) -> str:
    return ", ".join(reasons[:3]) + (f" and {len(reasons) - 3} more" if len(reasons) > 3 else "")


def build_lock(root: Path, say: Callable[[str], Any]) -> FileLock:
    """A lock that one build of this tree holds at a time. A second build waits for it, and then finds fresh pages.

    Args:
        root: the root of the repository.
        say: called with one line where there is another build to wait for.
    """
    lock = FileLock(root / "book/pages/.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another build of this book to end")
        lock.acquire()
    return lock


def before_build(app: Sphinx, config: Config) -> None:
    """Render stale pages, under the lock, before Sphinx looks for source files.

    Args:
        app: the Sphinx application.
        config: the configuration of the book.
    """
    say = logging.getLogger(__name__).info
    lock = build_lock(ROOT, say)
    app.connect("build-finished", lambda app, exception: lock.release())
    render_stale(ROOT, say)


def setup(app: Sphinx) -> dict[str, bool]:
    # Sphinx looks for source files after this event, so that `jupyter-book build book` is enough in a clean clone
    app.connect("config-inited", before_build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Render the pages of the book that are missing or stale.")
    parser.add_argument("--why", action="store_true", help="only say which pages are, and why")
    if not parser.parse_args().why:
        with build_lock(ROOT, print):
            render_stale()
        return
    print(why({page.output: page.reasons() for page in load_pages()}))


if __name__ == "__main__":
    try:
        main()
    except PageError as error:
        sys.exit(str(error))
