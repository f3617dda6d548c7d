"""The cells that a reader is to run and to change: each runs by itself, and each folded answer is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).parents[1]

#: The numbers that a cell prints, in their order.
Numbers = Sequence[float]
#: A page, the changes to its cell that it asks for, and whether its answer is borne out: the numbers before and after.
TURNS: list[tuple[str, dict[str, str], Callable[[Numbers, Numbers], bool]]] = [
    (
        "batched_decay",
        {"print(f": "print(lengths[torch.as_tensor(split.item_popularity).argsort()[:25]].mean().item(), f"},
        # the rarest items' length comes first of each scope's three numbers: table, then batch
        lambda before, after: len(after) == len(before) + 2 and after[0] < 0.8 * after[3],
    ),
    (
        "cosine",
        {'"weight_decay": 1e-4': '"weight_decay": 0'},
        # of the last epoch by dot product, which falls, and by cosine, to which it falls nearly
        lambda before, after: before[-2] > 1.1 * after[-2] and after[-2] < 1.05 * after[-1] < 1.1 * before[-1],
    ),
    (
        "debiasing",
        {"weight_decay=1e-4": "weight_decay=1e-6"},
        # DirectAU's line is the last, its NDCG@20 before its ratio
        lambda before, after: after[-1] > 1.1 * before[-1] and after[-2] < before[-2],
    ),
    (
        "further_curves",
        {"DirectAU(gamma=1.0)": "DirectAU(gamma=0.2)"},
        # with decay: the popular part is the last but two, the unpopular one the last
        lambda before, after: after[-3] > 2 * before[-3] and after[-1] < 0.1 * before[-1],
    ),
    (
        "lightgcn",
        {"model.embeddings()[1].detach()": "model.item.weight.detach()"},
        # the correlations of MF and of LightGCN
        lambda before, after: after[1] < after[0] + 0.05 and before[1] > 0.7,
    ),
    (
        "optimisers",
        {'("sgd", 30.0)': '("sgd", 0.3)'},
        # the slope of SGD's lengths
        lambda before, after: before[-1] > 0.2 and abs(after[-1]) < 0.02,
    ),
    (
        "rq1_weight_decay",
        {"in (0.0, 1e-4)": "in (0.0, 1e-2)"},
        # a line has the decay, NDCG@20, and its popular, neutral and unpopular parts
        lambda before, after: after[7] > 2 * after[2] and after[9] < 0.9 * after[4],
    ),
    (
        "rq1_weight_decay",
        {"DirectAU(gamma=1.0)": "BPR()", "import MF, DirectAU": "import BPR, MF"},
        lambda before, after: before[2] < before[4] and after[2] > after[4],
    ),
    (
        "rq1_weight_decay",
        {'"lr": 0.01': '"optimizer": "sgd", "lr": 30.0'},
        lambda before, after: before[1] < before[6] and after[1] > after[6],
    ),
    (
        "rq2_norms",
        {"in (0.0, 1e-3)": "in (0.0, 1e-2)"},
        # a line has the decay, 25 and the rarest items' length, 25 and the most popular ones', and the correlation
        lambda before, after: after[11] <= before[11] and after[8] < 0.6 * before[8] and after[10] < 0.6 * before[10],
    ),
    (
        "rq2_norms",
        {"DirectAU(gamma=1.0)": "BPR()", "import MF, DirectAU": "import BPR, MF"},
        lambda before, after: after[5] > 2 * before[5],
    ),
    (
        "rq2_norms",
        {"as_tensor(split.item_popularity)": "as_tensor(split.user_popularity)", "model.item": "model.user"},
        lambda before, after: after[5] != before[5] and after[11] > after[5] + 0.3,
    ),
    (
        "rq3_prism",
        {'("neither", 0.0)': '("neither", 1e-6)'},
        # the first line's score is the changed one, the second line's follows its decay
        lambda before, after: 0 < abs(after[0] - before[0]) < abs(after[0] - after[2]),
    ),
    (
        "rq4_benefits",
        {'"lr": 0.05': '"lr": 0.01'},
        # the scores of decay, and of PRISM at alpha 0 and 1
        lambda before, after: after[9] < min(after[1], after[5]) and before[9] > before[1],
    ),
]


def cell_of(page: str) -> str:
    """The cell of a page that is to be pasted."""
    cells = jupytext.read(ROOT / "notebooks" / f"{page}.ipynb").cells
    (cell,) = [cell for cell in cells if "plain-prismlib" in cell.metadata.get("tags", ())]
    return str(cell.source)


def numbers_of(cell: str) -> Numbers:
    """What a cell prints where it is run in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", cell], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return [float(number) for number in re.findall(r"(?<![@\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?\b(?!\.)", done.stdout)]


@pytest.fixture(scope="module")
def as_it_stands() -> Callable[[str], Numbers]:
    """The numbers of each page's cell, which is run once."""
    kept: dict[str, Numbers] = {}

    def found(page: str) -> Numbers:
        if page not in kept:
            kept[page] = numbers_of(cell_of(page))
        return kept[page]

    return found


@pytest.mark.parametrize(
    ("page", "changes", "borne_out"), TURNS, ids=[f"{page}-{n}" for n, (page, *_) in enumerate(TURNS)]
)
def test_an_answer_is_what_happens(
    page: str,
    changes: dict[str, str],
    borne_out: Callable[[Numbers, Numbers], bool],
    as_it_stands: Callable[[str], Numbers],
) -> None:
    cell = changed = cell_of(page)
    for old, new in changes.items():
        assert cell.count(old) == 1, old
        changed = changed.replace(old, new)
    before, after = as_it_stands(page), numbers_of(changed)
    assert borne_out(before, after) and not borne_out(before, before)


@pytest.mark.lint
def test_every_question_to_the_reader_is_tried_here() -> None:
    asking = [path for path in sorted((ROOT / "notebooks").glob("*.py")) if "**Your turn.**" in path.read_text()]
    assert {path.stem for path in asking} == {page for page, *_ in TURNS}
    for path in asking:
        _, _, turn = path.read_text().partition("**Your turn.**")
        question, _, answer = turn.partition("\n# ## ")[0].partition("```{dropdown} The answer")
        listed = len(re.findall(r"^# \d\. ", question, re.MULTILINE))
        assert len(re.findall(r"^# \d\. ", answer, re.MULTILINE)) == listed and answer.strip("# `\n")
        assert sum(page == path.stem for page, *_ in TURNS) == max(1, listed)
