"""The recipes of the book are run: those of torch alone here, those of other libraries by `make test-recipes`."""

from __future__ import annotations

import builtins
import csv
import importlib.util
import json
import os
import re
import subprocess
import symtable
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from prismlib import prism, random_split, recommend, synthetic, theory
from prismlib.comparison import compare
from prismlib.metrics import GROUPS, popularity_groups

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
PAGE = (ROOT / "book/recipes.md").read_text()
#: Each part of a file that the page shows: the file, and the marks before and after it.
SHOWN = re.findall(
    r'```\{literalinclude\} \.\./recipes/(\w+\.py)\n:start-after: "(# \[\w+\])"\n:end-before: "( *# \[end\])"\n', PAGE
)
#: The names of each shown part that a reader brings, or has from a part above; the page says what they are.
GIVEN = {
    ("toy.py", "lengths"): {"user", "item", "popularity", "users", "seen", "validation"},
    ("recbole_directau.py", "recipe"): {"assert_norms"},
    ("cornac_bpr.py", "recipe"): {"data"},
    ("torchrec_cpu.py", "recipe"): {"counts"},
    ("fsdp2.py", "recipe"): {"num_users", "num_items", "split"},
    ("ddp.py", "recipe"): {"table", "split"},
    ("plain.py", "queries"): {"queries", "positives", "hidden", "unit", "popularity"},
    ("plain.py", "towers"): {"b", "tower", "features", "popularity"},
    ("plain.py", "bag"): {"num_items", "popularity", "trained"},
    ("plain.py", "grow"): {"table", "old", "new"},
    ("trackers.py", "optuna"): {"model", "settings", "split", "validation"},
    ("trackers.py", "tracker"): {"model", "settings", "split", "validation", "folder"},
}


def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipes_run", RECIPES / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run = runner()


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("name", ["fsdp2", "ddp"])
def test_two_processes(name: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, RECIPES / f"{name}.py"], env=environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "norms right" in done.stdout


def test_short_answers() -> None:
    done = subprocess.run(
        [sys.executable, RECIPES / "plain.py"], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_comparison_to_copy_is_the_librarys() -> None:
    copied: dict[str, Any] = {}
    exec((RECIPES / "compare.py").read_text(), copied)
    split = random_split(synthetic(400, 300, 12_000), 123)
    users, seen = range(split.dataset.num_users), [split.train, split.validation]
    draw = torch.Generator().manual_seed(1)
    user, item = (torch.rand(n, 8, generator=draw) for n in (split.dataset.num_users, split.dataset.num_items))
    lists = [recommend((user, table), users, seen).items for table in (item, prism(item, split.item_popularity))]
    lists[0][3, 5:] = -1  # an index that found too few
    held_out: dict[int, set[int]] = {number: set() for number in users}
    for who, what in zip(*split.test, strict=True):
        held_out[int(who)].add(int(what))
    assert any(not items for items in held_out.values())
    group = popularity_groups(split.item_popularity)
    groups = {name: set(torch.nonzero(group == number)[:, 0].tolist()) for number, name in enumerate(GROUPS)}
    for k in (5, 20):
        asked = {"generator": torch.Generator().manual_seed(0), "k": k}
        found = compare(*lists, split.test, split.item_popularity, **asked).ndcg
        assert found["all"].difference > 0.01
        for name, only in {"all": None, **groups}.items():
            for given in (lists, [each.tolist() for each in lists]):  # tensors as they are, and lists of lists
                before, after, low, high = copied["compare"](*given, held_out, k=k, only=only)
                expected, width = found[name], found[name].high - found[name].low
                assert (before, after) == pytest.approx((expected.before, expected.after), abs=1e-6)
                assert abs(low - expected.low) < 0.1 * width and abs(high - expected.high) < 0.1 * width


@pytest.mark.lint
def test_the_page_shows_parts_of_the_files_that_are_run_and_nothing_else() -> None:
    assert len(SHOWN) >= 15
    assert PAGE.count("```{literalinclude}") == len(SHOWN)
    assert "```python" not in PAGE
    assert re.findall(r"^:caption: (.*)$", PAGE, re.MULTILINE) == [
        f'"{{download}}`recipes/{name} <../recipes/{name}>`"' for name, _, _ in SHOWN
    ]
    run_here = {"fsdp2.py", "ddp.py", "plain.py", "toy.py", "compare.py"}
    assert {name for name, _, _ in SHOWN} == run_here | set(run.RECIPES.values())


@pytest.mark.lint
def test_the_files_that_the_page_has_for_download_are_there() -> None:
    files = re.findall(r"\{download\}`([^`]*?) <\.\./([^`]*)>`", PAGE)
    assert PAGE.count("{download}") == len(files) > len(SHOWN)
    assert all(path.endswith(shown) and (ROOT / path).is_file() for shown, path in files)
    assert ("toy.py", "recipes/toy.py") in files  # which the others import


def part_of(name: str, start: str, end: str) -> str:
    """A part of a file as the page shows it."""
    return textwrap.dedent((RECIPES / name).read_text().partition(start)[2].partition(end)[0])


def brought(code: str) -> set[str]:
    """The names that code uses and does not define, in no scope that can be seen from where it uses them."""

    def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        yield table
        for child in table.get_children():
            yield from scopes(child)

    compile(code, "part", "exec")  # which sees a return outside a function
    top = symtable.symtable(code, "part", "exec")
    own = {name.get_name() for name in top.get_symbols() if name.is_assigned() or name.is_imported()}
    used = {name.get_name() for table in scopes(top) for name in table.get_symbols() if name.is_global()}
    return used - own - set(dir(builtins))


@pytest.mark.lint
@pytest.mark.parametrize(("name", "start", "end"), SHOWN, ids=lambda text: text.strip())
def test_a_part_can_be_pasted(name: str, start: str, end: str) -> None:
    names = brought(part_of(name, start, end))
    assert names == GIVEN.get((name, start.strip("# []")), set())
    before = PAGE.partition(f'../recipes/{name}\n:start-after: "{start}"')[0]
    section = re.split(r"^##? |^:::\{tab-item\}", before, flags=re.MULTILINE)[-1]
    assert [given for given in sorted(names) if not re.search(rf"`{given}\b", section)] == []


@pytest.mark.lint
def test_what_cannot_be_pasted_is_found() -> None:
    assert brought("def f(log):\n    rows = log\n    return torch.add(rows, n)\nprism_(rows)") == {
        "torch",
        "n",
        "prism_",
        "rows",
    }
    assert brought("import torch\nfrom a import b as c\nclass D(c):\n    x: torch.Tensor\nlen(D)") == set()
    with pytest.raises(SyntaxError):
        brought("return 1")


@pytest.mark.lint
@pytest.mark.parametrize(("name", "start", "end"), SHOWN, ids=lambda text: text.strip())
def test_a_part_is_there_and_short(name: str, start: str, end: str) -> None:
    assert (RECIPES / name).read_text().count(start) == 1
    part = part_of(name, start, end)
    code = [line for line in part.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert 1 <= len(code) < 24
    # what counts is what PRISM adds; imports and a library's own lines come with it
    assert len([line for line in code if "import" not in line]) < 15


@pytest.mark.lint
@pytest.mark.parametrize("name", run.RECIPES)
def test_versions_are_pinned_and_the_stored_result_is_of_these(name: str) -> None:
    with_others, alone = run.requirements(name)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in [*with_others, *alone])
    assert json.loads(run.STORED.read_text())[name]["requirements"] == with_others + alone


@pytest.mark.lint
def test_the_table_of_the_page_is_what_the_recipes_reported() -> None:
    assert run.table(json.loads(run.STORED.read_text())) == run.TABLE.read_text()
    with run.TABLE.open(newline="") as file:
        scores = [row["test NDCG@20"] for row in csv.DictReader(file)]
    assert all(re.fullmatch(r"0\.\d{4}|", score) for score in scores) and any(scores)


def test_what_the_page_says_of_scores_and_shardings() -> None:
    stored = json.loads(run.STORED.read_text())
    scores = stored["recbole"]["scores"]
    assert scores["DirectAU, PRISM"] > scores["DirectAU, own start"]
    by_directau = [score for name, score in scores.items() if name.startswith("DirectAU")]
    # the scores differ between processors, and a run of the recipes stores its own: no number is in the sentence
    assert scores["BPR, own start"] > 0.97 * max(by_directau)
    assert "RecBole's own BPR ranks as well as the best of its rows by DirectAU, or better." in PAGE
    for name in ("recbole", "lenskit", "cornac"):
        assert stored[name]["scores"]["BPR, PRISM"] < stored[name]["scores"]["BPR, own start"]
        assert stored[name]["regulariser"]
    # "at the one rate that was run it is behind"
    cosine = {name.rpartition(", ")[2]: score for name, score in stored["torchrec"]["scores"].items()}
    assert cosine["row-wise Adagrad"] < cosine["own start"]
    shardings = stored["torchrec"]["shardings"]
    assert shardings["data-parallel"] == "right"
    assert shardings["row-wise"].startswith("refused") and "column-wise shard" in shardings["column-wise"]


def test_what_the_page_says_of_larger_batches() -> None:
    pairs, degree, start = 10**6, torch.tensor([10.0, 640.0]), torch.tensor(0.0)

    def lengths(batch: int) -> dict[str, torch.Tensor]:
        noise, steps = theory.gradient_noise(degree, batch, pairs), 30 * pairs // batch
        return {
            "Adam": theory.rest_length_adam(noise, 1e-3, 1e-5, dim=64),
            "SGD": theory.rest_length_sgd(noise, 30.0, 1e-5),
            "AdamW": torch.tensor(theory.rest_length_adamw(1e-3, 0.3, dim=64)),
            "Adam, no decay": theory.length_adam_without_decay(start, 1e-3, steps, dim=64),
            "SGD, no decay": theory.length_sgd_without_decay(start, noise, 30.0, steps),
        }

    one, eight, sixteen = (lengths(1000 * times) for times in (1, 8, 16))
    for name, powers in {
        "Adam": -1 / 6,
        "SGD": -1 / 4,
        "AdamW": 0,
        "Adam, no decay": -1 / 2,
        "SGD, no decay": -1 / 2,
    }.items():
        torch.testing.assert_close(eight[name], one[name] * 8**powers, rtol=1e-3, atol=0)
    torch.testing.assert_close(eight["Adam"] * 2**0.5, one["Adam"])
    torch.testing.assert_close(sixteen["SGD"] * 2, one["SGD"])
    said = PAGE.partition("**More processes")[2].partition("##")[0]
    assert [power in said for power in ("B^{-1/6}", "B^{-1/4}", "B^{-1/2}")] == [True] * 3


def test_what_the_page_says_of_tables_and_processes() -> None:
    table = 1e8 * 64 * 4 / 1e9
    said = PAGE.partition("**What a process holds.**")[2].partition("**More")[0]
    assert f"{table:.0f} GB a table" in said.replace("\n", " ")
    assert f"{4 * table:.0f} GB, and each of eight needs {(4 / 8 + 2) * table:.0f} GB" in said.replace("\n", " ")


def test_a_library_that_cannot_be_installed_is_skipped_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> Path:
        raise subprocess.CalledProcessError(1, "pip", stderr="no wheel\nfor this machine")

    monkeypatch.setattr(run, "environment", fail)
    assert run.run("cornac") is None
    assert capsys.readouterr().out == "cornac: skipped, it cannot be installed here: for this machine\n"


def test_a_recipe_that_is_none() -> None:
    with pytest.raises(SystemExit, match="no recipe is called spam; there are recbole, "):
        run.main(["spam"])
