"""Records from another folder: what is sound is taken in as it is, and what is not is refused by name."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import made_up, store

from prismbook.plan.config import RunConfig, run_id
from prismbook.runs.record_commands import contradiction, fault, main, take
from prismbook.runs.records import load_scores, scan
from prismlib import datasets

CONFIG = RunConfig(dataset="gowalla", loss="bpr")
USERS = np.array([0.125, 0.375])
SUMS = ("ndcg", "recall", "mrr")
CARD = datasets.CARDS["gowalla"]


def sound(folder: Path, config: RunConfig = CONFIG, **changed: Any) -> Path:
    """A record made elsewhere, with scores that agree with it."""
    data = {"synthetic": False, "content_hash": CARD.content_hash, "split_hash": CARD.split_hash}
    record = made_up(config, parts=(float(USERS.mean()), 0.0, 0.0), **{"data": data} | changed)
    return store(folder, record, USERS)


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """The record with one thing changed in its file."""
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))
    return path


def test_sound_records_are_taken_in_byte_for_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, results = tmp_path / "source", tmp_path / "results"
    paths = [sound(source), sound(source, replace(CONFIG, device="cuda"))]
    results.mkdir()
    assert main(["take", str(results), str(source)]) == 0
    assert capsys.readouterr().out == "2 records taken\n"
    for path in paths:
        for kind in (".json", ".npz"):
            there = results / path.with_suffix(kind).relative_to(source)
            assert there.read_bytes() == path.with_suffix(kind).read_bytes()
    assert len(list((results / "gowalla").iterdir())) == 4  # and no temporary file
    assert main(["take", str(results), str(source)]) == 0  # again: all are there
    assert capsys.readouterr().out == "0 records taken\n"


def test_a_record_that_is_there_already_needs_no_scores_to_be_taken_again(tmp_path: Path) -> None:
    """Of seven of the project's own records the scores were never kept."""
    source, results = tmp_path / "source", tmp_path / "results"
    for folder in (source, results):
        sound(folder).with_suffix(".npz").unlink()
    assert take(source, results) == ([], [])
    assert take(source, tmp_path / "another")[1]


def test_the_list_names_a_record_that_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound(tmp_path)
    assert main(["list", str(tmp_path)]) == 0 and "problem" not in capsys.readouterr().out
    edited(sound(tmp_path, replace(CONFIG, seed=9)), lambda record: record["test"]["dot"].update(ndcg=0.75))
    assert main(["list", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"(?m)^problem: \w+: its test NDCG@20 by dot is 0.7500, its parts sum to 0.2500$", printed), (
        printed
    )


def test_no_record_of_the_project_contradicts_itself() -> None:
    records, problems = scan(Path(__file__).parents[1] / "results")
    assert len(records) > 300 and not problems
    assert [reason for record in records if (reason := contradiction(record))] == []


def test_what_is_stored_stays(tmp_path: Path) -> None:
    here = sound(tmp_path / "results", stopped_by="max_epochs")
    before = here.read_bytes()
    sound(tmp_path / "source")
    taken, [problem] = take(tmp_path / "source", tmp_path / "results")
    assert taken == [] and here.read_bytes() == before
    assert f"{here} holds another outcome of the same run and stays" in problem


def another_dataset(path: Path) -> Path:
    """The record in the folder of another dataset."""
    (path.parents[1] / "yelp2018").mkdir()
    path.with_suffix(".npz").rename(path.parents[1] / "yelp2018" / path.with_suffix(".npz").name)
    return path.rename(path.parents[1] / "yelp2018" / path.name)


def other_interactions(path: Path) -> Path:
    """A record whose name agrees with itself, but whose interactions are not the dataset's."""
    record = json.loads(path.read_text())
    record["data"]["content_hash"] = "0" * 64
    record["id"] = run_id(CONFIG, "0" * 64)
    path.unlink()
    path = path.with_name(f"mf-bpr-{record['id']}.json")
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: edited(path, lambda record: record["config"].update(seed=7)), "under another name or version"),
        (lambda path: edited(path, lambda record: record.update(semantics=0)), "under another name or version"),
        (lambda path: path.write_text("{"), "is not readable as a run record"),
        (other_interactions, "was trained on other interactions than those of gowalla"),
        (another_dataset, "should be .*gowalla/mf-bpr-"),
        (lambda path: edited(path, lambda record: record["data"].update(split_hash="x")), "another split of gowalla"),
        (lambda path: edited(path, lambda record: record.update(best_epoch=0)), "epoch 0 is not the best of"),
        (
            lambda path: edited(path, lambda record: record["test"]["dot"].update(ndcg=0.75)),
            "its test NDCG@20 by dot is 0.7500, its parts sum to 0.2500",
        ),
        (
            lambda path: edited(
                path, lambda record: record.update(report={"dot": {"5": {name: [0.5, 0.2, 0.2, 0.2] for name in SUMS}}})
            ),
            "its ndcg@5 by dot is 0.5000, its parts sum to 0.6000",
        ),
        (lambda path: edited(path, lambda record: record.update(best_epoch=99)), "is not a run record of this project"),
        (lambda path: edited(path, lambda record: record["data"].pop("split_hash")), "project .*split_hash"),
        (lambda path: path.with_suffix(".npz").unlink(), "is missing: bring the scores along"),
        (lambda path: path.with_suffix(".npz").write_bytes(b"PK\x03\x04"), "is not readable as scores"),
        (
            lambda path: edited(path, lambda record: record["test"]["cosine"].update(popular=0.2501, ndcg=0.2501)),
            r"the parts by cosine are \[0\.25 .*, its record says \[0\.2501,",
        ),
        (
            lambda path: edited(path, lambda record: record["test"]["dot"].update(popular=0.2, unpopular=0.05)),
            "the parts by dot are",
        ),
    ],
)
def test_an_unsound_record_is_refused_and_the_others_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], message: str
) -> None:
    source, results = tmp_path / "source", tmp_path / "results"
    good = sound(source, replace(CONFIG, seed=9))
    path = sound(source)
    assert fault(path) is None
    damage(path)
    results.mkdir()
    assert main(["take", str(results), str(source)]) == 1
    printed = capsys.readouterr().out

    assert re.search(f"(?m)^refused: .*{message}", printed), printed
    assert printed.endswith("1 record taken\n")
    assert [path.name for path in sorted(results.glob("*/*.json"))] == [good.name]


def test_a_dataset_that_is_not_known_here_is_named(tmp_path: Path) -> None:
    path = edited(sound(tmp_path), lambda record: record["config"].update(dataset="netflix"))
    record = json.loads(path.read_text())
    record["id"] = run_id(RunConfig(**record["config"]), CARD.content_hash or "")
    named = path.with_name(f"mf-bpr-{record['id']}.json")
    named.write_text(json.dumps(record))
    assert "unknown dataset 'netflix'" in (fault(named) or "")


def test_an_interrupted_copy_leaves_no_record_without_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound(tmp_path / "source")

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise OSError("no space left")
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr("prismbook.runs.record_commands.write_atomically", full)
        with pytest.raises(OSError, match="no space left"):
            take(tmp_path / "source", tmp_path / "results")
    assert list(tmp_path.glob("results/*/*.json")) == []
    assert take(tmp_path / "source", tmp_path / "results")[1] == []
    [path] = tmp_path.glob("results/*/*.json")
    assert load_scores(path) is not None


def test_folders_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for names in ((tmp_path, tmp_path / "mistyped"), (tmp_path / "mistyped", tmp_path)):
        with pytest.raises(SystemExit):
            main(["take", *map(str, names)])
        assert "mistyped is no folder" in capsys.readouterr().err
