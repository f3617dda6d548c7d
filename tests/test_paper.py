"""The paper's Table 1 as it is kept here, and the audit of the summaries that the text draws from it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from prismbook.tables import paper
from prismbook.tables.labels import BACKBONE_NAMES, DATASET_NAMES, LOSS_NAMES

CELLS = {
    ("MF", "SSM", "MovieLens1M"): (0.3061, 0.0004, 0.3002, 0.0018),
    ("MF", "DirectAU", "AmazonBook"): (0.0719, 0.0003, 0.0755, 0.0004),
    ("MF", "MAWU", "Gowalla"): (0.1332, 0.0006, 0.1331, 0.0014),
    ("Non-Linear MF", "SSM", "Yelp2018"): (0.0502, 0.0002, 0.0389, 0.0023),
    ("Non-Linear MF", "MAWU", "MovieLens1M"): (0.2405, 0.0029, 0.2600, 0.0006),
}


def test_table_1_is_whole_and_in_the_order_of_the_paper() -> None:
    table = paper.table1()
    assert table.shape == (24, 4) and table.notna().all(axis=None) and table.index.is_unique
    assert list(table.columns) == ["decay", "decay_std", "prism", "prism_std"]
    assert table.index[0] == ("MF", "SSM", "MovieLens1M") and table.index[-1] == ("Non-Linear MF", "MAWU", "AmazonBook")
    backbones, losses, datasets = (set(table.index.get_level_values(level)) for level in range(3))
    # the names under which our runs are shown
    assert backbones < set(BACKBONE_NAMES.values()) and losses < set(LOSS_NAMES.values())
    assert datasets < set(DATASET_NAMES.values())


@pytest.mark.parametrize(("place", "values"), CELLS.items())
def test_table_1_has_the_cells_of_the_paper(place: tuple[str, str, str], values: tuple[float, ...]) -> None:
    assert tuple(paper.table1().loc[place]) == values


def changes(backbone: str, losses: tuple[str, ...], start: str) -> list[float]:
    """Changes in per cent of the score of one method, straight from the file."""
    with Path(paper.__file__).with_name("paper_table1.csv").open() as file:
        keys = ("backbone", "loss", "dataset", "method")
        cells = {tuple(row[key] for key in keys): float(row["ndcg20"]) for row in csv.DictReader(file)}
    shares = []
    for dataset in ("MovieLens1M", "Gowalla", "Yelp2018", "AmazonBook"):
        for loss in losses:
            decay, prism = (cells[backbone, loss, dataset, method] for method in ("tuned weight decay", "PRISM"))
            shares.append(100 * (prism - decay) / (decay if start == "decay" else prism))
    return shares


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_the_audit_is_what_the_cells_give() -> None:
    linear, angles = ("SSM", "DirectAU", "MAWU"), ("DirectAU", "MAWU")
    audit = paper.audit()
    assert audit["printed"].tolist() == [0.12, 4.77, 8.59, -21.61]
    for column, start in (("share of tuned decay", "decay"), ("share of PRISM", "prism")):
        assert audit[column].tolist() == pytest.approx(
            [
                mean(changes("MF", linear, start)),
                max(changes("MF", linear, start)),
                mean(changes("Non-Linear MF", angles, start)),
                mean(changes("Non-Linear MF", ("SSM",), start)),
            ]
        )


def test_a_mistyped_cell_would_show_in_the_audit() -> None:
    # three of the four printed summaries follow from the cells as shares of PRISM's score; the first from neither
    audit = paper.audit()
    assert audit["share of PRISM"].tolist()[1:] == pytest.approx(audit["printed"].tolist()[1:], abs=0.07)
    for share in ("share of PRISM", "share of tuned decay"):
        assert abs(audit[share].iloc[0] - audit["printed"].iloc[0]) > 0.05
