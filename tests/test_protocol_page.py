"""The protocol page: what it says of this book is what the plan does, and it leaves out no departure."""

from __future__ import annotations

import pytest

from prismbook.pages import page, protocol_tables
from prismbook.plan.config import PROTOCOLS, RunConfig
from prismbook.plan.experiments import SEEDS


def by_topic() -> dict[str, protocol_tables.Line]:
    return {line.topic: line for line in protocol_tables.lines()}


def test_what_it_says_of_this_book_are_the_plans_values(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, said = RunConfig("gowalla", "bpr"), {name: line.ours for name, line in by_topic().items()}
    assert said["seeds"].startswith(", ".join(map(str, SEEDS)))
    assert (said["size of a vector"], said["split"]) == (f"{plain.dim}", "random, 80/10/10 of the interactions")
    assert by_topic()["MovieLens1M"].text.startswith("836,478 interactions in Table 2; which ratings count is not said")
    assert f"patience {plain.patience}" in said["early stopping"] and said["epochs"] == f"{plain.max_epochs:,} at most"
    assert said["popularity groups"].startswith("top 5 %, next 15 %, the other 80 %")
    assert said["batch"] == "16,384; DirectAU and MAWU 4,096"
    assert "depth 3" in said["LightGCN"] and "Gowalla and Yelp2018" in said["MAWU"]
    # and not typed
    monkeypatch.setattr(protocol_tables, "SEEDS", (1, 2))
    monkeypatch.setattr(protocol_tables, "LOSS_DEFAULTS", {"ssm": {"tau": 0.5, "num_negatives": 7}})
    changed = by_topic()
    assert changed["seeds"].ours.startswith("1, 2;") and changed["SSM"].ours == "temperature 0.5, 7 negatives"


def test_each_switch_of_the_released_code_has_a_line() -> None:
    topics = {
        "relu": "non-linear MF",
        "negatives": "negatives",
        "reshuffle": "order of the batches",
        "mawu_uniformity": "MAWU",
        "groups_from": "popularity groups",
        "drop_last_user": "mean NDCG@20",
        "ipl_form": "IPL",
        "num_negatives": "SSM",
        "macr_start": "MACR",
        "macr_alpha": "MACR",
        "macr_c": "MACR",
    }
    lines = by_topic()
    assert PROTOCOLS["released"].keys() <= topics.keys()
    assert all(lines[topics[name]].released for name in PROTOCOLS["released"])


def test_where_the_text_is_silent_the_released_code_speaks_for_itself() -> None:
    """Before, it was said to do "as the text" where the text says nothing."""
    silent = ("not said", "not named", "does not show", "shows no")
    lines = [line for line in protocol_tables.lines() if any(word in line.text for word in silent)]
    assert len(lines) > 10 and all(line.released for line in lines)


def test_where_a_difference_matters_a_page_of_the_book_measures_it() -> None:
    assert {line.page for line in protocol_tables.lines() if line.page} <= page.pages()
    assert all(line.matters for line in protocol_tables.lines() if line.page)
    table = protocol_tables.table({"verdicts"})
    assert '<a href="verdicts.html">measured</a>' in table.loc["seeds", "where it matters"]
    assert "href" not in table.loc["negatives", "where it matters"]
