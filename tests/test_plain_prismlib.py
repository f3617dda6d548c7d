"""Plain prismlib gives the numbers of the stored records: get_records adds nothing to what a user would write."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import pytest
import torch

from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import get_records
from prismlib import (
    BPR,
    MAWU,
    MF,
    SSM,
    Backbone,
    DirectAU,
    FullRanking,
    LightGCN,
    NonLinearMF,
    RankingLoss,
    fit,
    popularity_groups,
    prism_,
    random_split,
    synthetic,
)

ROOT = Path(__file__).parents[1]
SPLIT = random_split(synthetic(), seed=123)
SIZES = SPLIT.dataset.num_users, SPLIT.dataset.num_items
HOW: dict[str, Any] = {"lr": 0.01, "batch_size": 8192, "max_epochs": 2}
Built = Callable[[torch.Generator], tuple[Backbone, RankingLoss]]
CASES: list[tuple[dict[str, Any], Built, dict[str, Any]]] = [
    ({"loss": "bpr"}, lambda g: (MF(*SIZES, 64, g), BPR()), {"weight_decay": 1e-4}),
    (
        {"loss": "ssm", "tau": 0.2, "num_negatives": 5, "dim": 16, "init": "prism", "alpha": 0.5},
        lambda g: (MF(*SIZES, 16, g), SSM(0.2, 5)),
        {"seed": 7},
    ),
    (
        {"loss": "directau", "gamma": 2.0, "dim": 8, "backbone": "lightgcn"},
        lambda g: (LightGCN(*SIZES, SPLIT.train, 8, generator=g), DirectAU(2.0)),
        {"weight_decay": 1e-3, "decay_scope": "batch"},
    ),
    (
        {"loss": "mawu", "gamma_user": 0.8, "gamma_item": 0.6, "dim": 8, "backbone": "nonlinear-mf"},
        lambda g: (NonLinearMF(*SIZES, 8, generator=g), MAWU(*SIZES, 0.8, 0.6, generator=g)),
        {"weight_decay": 1e-2, "decay_scope": "decoupled"},
    ),
]


@pytest.mark.parametrize(("named", "built", "options"), CASES, ids=[case[0]["loss"] for case in CASES])
def test_plain_prismlib_gives_a_stored_record(
    named: dict[str, Any], built: Built, options: dict[str, Any], tmp_path: Path
) -> None:
    (record,) = get_records([RunConfig("synthetic", **named, **HOW, **options)], tmp_path, progress=False)
    assert record is not None

    groups = popularity_groups(SPLIT.item_popularity)
    validation = FullRanking(SPLIT.validation, SPLIT.train, groups, SIZES[0])
    test = FullRanking(SPLIT.test, [SPLIT.train, SPLIT.validation], groups, SIZES[0])
    model, criterion = built(torch.Generator().manual_seed(options.get("seed", 123)))
    if named.get("init") == "prism":
        prism_(model.user.weight, SPLIT.user_popularity, named["alpha"])
        prism_(model.item.weight, SPLIT.item_popularity, named["alpha"])
    history = fit(model, criterion, SPLIT.train, validation, **{"seed": 123, **HOW, **options})
    with torch.no_grad():
        score = test(*model.embeddings())

    for ranking in ("dot", "cosine"):
        assert {part: round(value, 7) for part, value in score[ranking].items()} == record["test"][ranking]
    assert [round(loss, 7) for loss in history.loss] == record["history"]["loss"]
    assert [round(value, 7) for value in history.validation_dot] == record["history"]["validation_dot"]
    assert history.best_epoch == record["best_epoch"]


def bridge() -> str:
    """The cell of the page of RQ1 that trains in plain prismlib, and the one that compares it with stored records."""
    cells = jupytext.read(ROOT / "notebooks" / "rq1_weight_decay.ipynb").cells
    tags = ("plain-prismlib", "as-recorded")
    (trains,), (compares,) = ([each for each in cells if tag in each.metadata.get("tags", ())] for tag in tags)
    return f"{trains.source}\n{compares.source}"


PAGES = [
    path
    for path in sorted((ROOT / "notebooks").glob("*.py"))
    if 'tags=["plain-prismlib"]' in path.read_text(encoding="utf-8")
]


@pytest.mark.lint
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_cell_to_paste_uses_no_name_from_another_cell(path: Path) -> None:
    """That it runs is seen where the notebook is executed."""
    cells = jupytext.read(path).cells
    (cell,) = [str(cell.source) for cell in cells if "plain-prismlib" in cell.metadata.get("tags", ())]
    used = {node.id for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Name)}
    stored = {
        node.id for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    imported = {
        (name.asname or name.name).partition(".")[0]
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert used - stored - imported <= set(dir(builtins))


def test_a_page_of_results_has_such_a_cell() -> None:
    assert {"rq1_weight_decay", "rq2_norms", "rq3_prism", "rq4_benefits"} <= {path.stem for path in PAGES}


def test_the_pages_cell_runs_by_itself_and_says_what_the_record_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("prismbook.runs.records.default_results", lambda: tmp_path)  # and not the project's
    cell = bridge()
    assert cell.count('"max_epochs": 12') == 1
    plain, rest = cell.replace('"max_epochs": 12', '"max_epochs": 3').split("from prismbook", 1)
    assert len([line for line in plain.splitlines() if line]) <= 13
    names: dict[str, Any] = {}
    exec(plain, names)
    exec(f"from prismbook{rest}", names)
    assert capsys.readouterr().out.startswith("decay 0: {'ndcg': 0.") and len(list(tmp_path.rglob("*.json"))) == 2
    names["found"][1e-4]["ndcg"] += 0.0002
    with pytest.raises(AssertionError):  # as of another model than the record's
        exec(f"from prismbook{rest}", names)
