"""Records from another folder: what is sound is taken in as it is, and what is not is refused by name."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prismbook import __main__ as command_line
from prismbook.plan.config import RunConfig, run_id
from prismbook.runs import split_facts
from prismbook.runs.reading import reading_once
from prismbook.runs.record_commands import fault, main, take, unsound
from prismbook.runs.records import Record, check_level, load_record, load_scores, planned, save_record
from prismbook.runs.run import run
from prismbook.runs.split_facts import Facts, Peers, facts_of_data, told_by
from prismbook.runs.splits import load_split
from prismbook.tables.significance import compared_users
from prismlib import datasets

RESULTS = Path(__file__).parents[1] / "results"
CONFIG = RunConfig(dataset="synthetic", loss="bpr", dim=4, max_epochs=3)
CARD = datasets.CARDS["synthetic"]


@cache
def outcome(config: RunConfig) -> tuple[Record, dict[str, np.ndarray]]:
    """What a short run of the synthetic dataset really stores."""
    return run(planned(config))


def sound(folder: Path, config: RunConfig = CONFIG, **changed: Any) -> Path:
    """A record made elsewhere, with its scores. A GPU's is a CPU's, said to be of a GPU."""
    record, scores = outcome(replace(config, device="cpu"))
    assert CARD.content_hash is not None
    if config.device == "cuda":
        environment = record["environment"] | {"device": "NVIDIA H200"}
        record = record | {"config": vars(config), "id": run_id(config, CARD.content_hash), "environment": environment}
    path = planned(config, folder).path
    save_record(deepcopy(record) | changed, path, scores=scores)
    return path


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """The record with one thing changed in its file."""
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))
    return path


def rescored(path: Path, edit: Callable[[dict[str, np.ndarray]], object]) -> Path:
    """The record with one thing changed in the scores of its users."""
    with np.load(path.with_suffix(".npz")) as arrays:
        scores = dict(arrays)
    edit(scores)
    np.savez_compressed(path.with_suffix(".npz"), **scores)
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
    assert len(list((results / "synthetic").iterdir())) == 4  # and no temporary file
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
    path = edited(sound(tmp_path, replace(CONFIG, seed=9)), lambda record: record["test"]["dot"].update(ndcg=0.75))
    assert main(["list", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert re.search(rf"(?m)^problem: {path}: its test NDCG@20 by dot is 0.7500, its parts sum to 0\.\d+$", printed), (
        printed
    )
    rescored(sound(tmp_path, replace(CONFIG, seed=8)), lambda scores: scores.update(dot=scores["dot"] / 2))
    assert main(["list", str(tmp_path)]) == 1
    assert len(re.findall("(?m)^problem: ", capsys.readouterr().out)) == 2


def facts_at_hand(record: Record) -> Facts | None:
    config = RunConfig(**record["config"])
    return facts_of_data(config.dataset, record["data"]["content_hash"], config.split_seed, config.drop_last_user)


@reading_once()
def test_every_record_of_the_project_is_sound() -> None:
    """By itself, by its users' scores, by the other records of its split, and by the data where they are at hand."""
    paths, peers = sorted(RESULTS.glob("*/*.json")), Peers(RESULTS)
    assert len(paths) >= 396
    problems, compared = [], 0
    for path in paths:
        record = load_record(path)
        assert record is not None
        everything = [facts for facts in (peers.facts(record), facts_at_hand(record)) if facts is not None]
        compared += bool(everything)
        problems += [problem for facts in everything if (problem := unsound(path, record, facts)) is not None]
    assert problems == [] and compared == len(paths)


def test_what_is_stored_stays(tmp_path: Path) -> None:
    here = sound(tmp_path / "results", seconds={"train": 7.0, "evaluate": 1.0, "cpu": 8.0})
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
        (other_interactions, "was trained on other interactions than those of synthetic"),
        (another_dataset, "should be .*synthetic/mf-bpr-"),
        (
            lambda path: edited(path, lambda record: record["data"].update(split_hash="0" * 64)),
            "another split of synthetic",
        ),
        (lambda path: edited(path, lambda record: record["data"].pop("split_hash")), "project .*split_hash"),
        (lambda path: path.with_suffix(".npz").unlink(), "is missing: bring the scores along"),
        (lambda path: path.with_suffix(".npz").write_bytes(b"PK\x03\x04"), "is not readable as scores"),
        (lambda path: one_array(path.with_suffix(".npz")), "is not readable as scores"),
        (lambda path: cut_short(path.with_suffix(".npz")), "is not readable as scores"),
        (
            lambda path: path.write_text(path.read_text().replace('"best', '"best_epoch": 0,\n"best')),
            "best_epoch twice",
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


def one_array(path: Path) -> None:
    """The file as one array without a name, as ``np.save`` writes it."""
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def cut_short(path: Path) -> None:
    """The file without its second half, as a copy that was broken off."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def put(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """An edit that sets one entry of a record."""

    def edit(record: dict[str, Any]) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value  # type: ignore[index]

    return edit


def change(*keys: str | int, by: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """An edit that computes an entry of a record from what was there."""

    def edit(record: dict[str, Any]) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = by(record[keys[-1]])  # type: ignore[index]

    return edit


NAN = float("nan")
AT_20 = ("report", "dot", "20")
#: Single edits of a record, each with what the refusal says.
EDITS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (put(*AT_20, "ndcg", value=[0.9, 0.9, 0.0, 0.0]), "ndcg@20 by dot"),
    (
        change(*AT_20, "ndcg", by=lambda four: [four[0] + 0.01, *four[1:2], four[2] + 0.01, four[3]]),
        "in the report and",
    ),
    (put(*AT_20, "recall", value=[1.7, 1.7, 0.0, 0.0]), r"recall@20 by dot must be a number in \[0, 1\], got 1.7"),
    (put(*AT_20, "recall", value=[0.0, 0.0, 0.0, 0.0]), "recall by dot is larger at 10 than at 20"),
    (put(*AT_20, "mrr", value=[0.0, 0.0, 0.0, 0.0]), "less than its hit rate"),
    (put(*AT_20, "hit_rate", 0, value=0.2), "hit_rate@20 by dot is 0.2000, its parts sum to"),
    (change(*AT_20, "hit_rate", by=lambda four: [four[0] + 0.0001, four[1] + 0.0001, *four[2:]]), "hit rate@20"),
    (
        put("report", "cosine", "5", "mrr", value=[0.5, 0.2, 0.2, 0.2]),
        "mrr@5 by cosine is 0.5000, its parts sum to 0.6",
    ),
    (put(*AT_20, "unpopular_over_popular", value=9.0), "unpopular_over_popular@20 by dot is 9.0, its parts are"),
    (put(*AT_20, "unpopular_over_popular", value=None), "unpopular_over_popular@20 by dot is None"),
    (put(*AT_20, "coverage", value=1.5), "coverage@20 by dot must be a number in"),
    (change(*AT_20, "coverage", by=lambda share: share + 0.0003), "is no whole number of 500 items"),
    (put(*AT_20, "gini", value=-0.1), "gini@20 by dot must be a number in"),
    (put(*AT_20, "gini", value=NAN), "gini@20 by dot must be a number in"),
    (put(*AT_20, "average_popularity", value=-4.0), "average_popularity@20 by dot must be a number in"),
    (put(*AT_20, "average_popularity", value=1e6), "average_popularity@20 by dot must be a number in"),
    (lambda record: record["report"].pop("cosine"), "its report has dot, not dot, cosine"),
    (lambda record: record["report"]["dot"].pop("20"), "its report by dot is at 5, 10, 50, not at 5, 10, 20, 50"),
    (lambda record: record["report"]["dot"]["20"].pop("gini"), "its report@20 by dot has"),
    (put("test", "dot", "ndcg", value=0.75), "its test NDCG@20 by dot is 0.7500, its parts sum to"),
    (put("test", "cosine", "popular", value=-0.5), "test popular by cosine must be a number in"),
    (put("test", "cosine", "ndcg", value=None), "test ndcg by cosine must be a number in"),
    (put("history", "validation_dot", 0, value=NAN), "history of validation_dot must be a number in"),
    (put("history", "validation_dot", value=[NAN] * 3), "history of validation_dot must be a number in"),
    (put("history", "validation_cosine", 1, value=1.2), "history of validation_cosine must be a number in"),
    (put("history", "loss", 0, value=float("inf")), "history of the loss must be a number that is finite, got inf"),
    (lambda record: record["history"]["loss"].pop(), "its history has 2 losses and 3 values"),
    (lambda record: record["history"]["validation_cosine"].append(0.1), "3 losses and 4 values of validation_cosine"),
    (put("history", value={"loss": [0.5], "validation_dot": [0.1], "validation_cosine": [0.1]}), "must be one of the"),
    (put("best_epoch", value=-1), r"its best_epoch must be one of the history's, in \[0, 3\), got -1"),
    (put("best_epoch", value=99), "its best_epoch must be one of the history's"),
    (put("best_epoch", value=True), "its best_epoch must be one of the history's"),
    (put("best_epoch", value=0), "epoch 0 is not the best of its validation curve"),
    (put("stopped_by", value="patience"), r"it was stopped by patience 10, \d epochs after epoch \d"),
    (put("stopped_by", value="on_epoch"), "its stopped_by must be patience or max_epochs"),
    (put("seconds", "train", value=-1.0), "seconds of train must be a number >= 0 and finite, got -1.0"),
    (put("seconds", "cpu", value="1"), "seconds of cpu must be a number >= 0"),
    (put("seconds", "evaluate", value=NAN), "seconds of evaluate must be a number >= 0"),
    (put("joules", value=-3.0), "joules must be a number >= 0"),
    (put("data", "synthetic", value=False), "its entry synthetic must be True for synthetic, got False"),
    (put("data", "split_hash", value="x"), "another split|split_hash must be 64"),
    (put("norms", "user", "pearson_log", value=1.5), "pearson_log of the user table must be a number in"),
    (put("norms", "item", "spearman", value="high"), "spearman of the item table must be a number in"),
    (change("norms", "item", "bins", 1, "rows", by=lambda rows: rows + 1), "its bins hold 501 rows of the item table"),
    (put("norms", "user", "bins", 0, "mean", value=-1.0), "mean of norms of the user table must be a number >= 0"),
    (put("norms", "user", "bins", 1, "to", value=1000), "not from one power of two"),
    (lambda record: record["norms"]["user"]["bins"].reverse(), "not from one power of two"),
    (lambda record: record["norms"].pop("user"), "'user'"),
    (lambda record: record["singular_values"]["item"].reverse(), "singular values of the item table do not fall"),
    (put("singular_values", "user", 0, value=-1.0), "singular value of the user table must be a number >= 0"),
    (lambda record: record["singular_values"].pop("user"), "its singular values are of item, not user and item"),
    (put("environment", "device", value="NVIDIA H200"), "asks for cpu, its device is NVIDIA H200"),
    (put("environment", "commit", value="main"), "its commit must be hexadecimal digits or null, got 'main'"),
    (put("environment", "torch", value=2), "its torch is 2"),
    (put("lengths", "chosen", value=0.3), "chosen exponent 0.3 is not the best of its validation"),
    (
        put("lengths", "test", 0, "ndcg", value=0.9),
        "its test NDCG@20 with lengths of exponent 0.0 is 0.9000, its parts",
    ),
    (put("lengths", "validation", 0, "popular", value=-0.1), "validation popular with lengths of exponent 0.0 must be"),
    (lambda record: record["lengths"]["test"].pop(), "8 exponents and 7 scores of the test"),
    (lambda record: record["lengths"].pop("exponents"), "its lengths have validation, test, chosen"),
    (put("flag", value={"cosine": "a misspelt entry"}), "an entry that no record has: flag"),
]


@pytest.mark.parametrize(("edit", "message"), EDITS)
def test_a_single_edit_is_refused_in_one_line(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = edited(sound(tmp_path / "source"), edit)
    taken, problems = take(tmp_path / "source", tmp_path / "results")
    assert taken == []
    [problem] = problems
    assert "\n" not in problem and path.name in problem and re.search(message, problem), problem
    assert not list(tmp_path.glob("results/*/*"))


def test_moved_to_other_rows_of_the_bins(tmp_path: Path) -> None:
    """Two edits that agree with each other, but not with the split."""

    def move(record: dict[str, Any]) -> None:
        first, second, *_ = record["norms"]["item"]["bins"]
        first["rows"], second["rows"] = second["rows"], first["rows"]
        assert first["rows"] != second["rows"]

    path = edited(sound(tmp_path), move)
    assert fault(path) == f"{path}: the rows in its bins of norms are not those of the data of synthetic"


def shuffled(scores: dict[str, np.ndarray]) -> None:
    order = np.random.default_rng(0).permutation(len(scores["user"]))
    scores.update(dot=scores["dot"][order], cosine=scores["cosine"][order])


#: Single edits of the scores, which leave their means as they are, and what the refusal says.
RESCORED: list[tuple[Callable[[dict[str, np.ndarray]], object], str]] = [
    (lambda scores: scores.update(user=scores["user"] + 1), "has user 600, synthetic has users|users are not the"),
    (lambda scores: scores.update(user=np.arange(len(scores["user"]), dtype=np.int32)), "users are not the"),
    (lambda scores: scores.update(user=scores["user"][:-1]), r"dot must be floats of shape \(\d+, 3\), got float32"),
    (lambda scores: scores.update(user=scores["user"][::-1]), "its users must be >= 0 and ascending"),
    (lambda scores: scores.update(user=scores["user"].astype(float)), "user must be integers"),
    (lambda scores: scores.update(dot=scores["dot"].ravel()), "dot must be floats of shape"),
    (lambda scores: scores.update(cosine=scores["cosine"] * np.nan), r"scores by cosine outside \[0, 1\]"),
    (lambda scores: scores.update(dot=scores["cosine"]), "the parts by dot are"),
    (lambda scores: scores.update(dot=scores["dot"].mean(0) + 0 * scores["dot"]), "the hit rate@20 by dot is 1.0"),
    (shuffled, "% of the users whose scores tell how many test items they have, have others"),
    (lambda scores: scores.pop("cosine"), "is not readable as scores"),
    (lambda scores: scores.update(with_lengths=scores["dot"] / 2), "the parts with lengths are"),
    (lambda scores: scores.update(user_norm=scores["user_norm"][1:]), r"user_norm must have shape \(600,\)"),
    (lambda scores: scores.update(item_norm=scores["item_norm"] * 2), "item_norm has the mean"),
]


@pytest.mark.parametrize(("edit", "message"), RESCORED)
@pytest.mark.parametrize("data", [True, False], ids=["the data at hand", "other records alone"])
def test_a_single_edit_of_the_scores_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[dict[str, np.ndarray]], object],
    message: str,
    data: bool,
) -> None:
    source, results = tmp_path / "source", tmp_path / "results"
    if not data:
        monkeypatch.setattr("prismbook.runs.record_commands.facts_of_data", lambda *_: None)
        for seed in (7, 8, 9):
            sound(results, replace(CONFIG, seed=seed))
    path = sound(source)
    assert fault(path, Peers(results, source)) is None
    rescored(path, edit)
    taken, problems = take(source, results)
    assert taken == []
    [problem] = problems
    assert "\n" not in problem and str(path.with_suffix(".npz")) in problem and re.search(message, problem), problem


def test_scores_tell_how_many_test_items_a_user_has() -> None:
    split, scores = load_split("synthetic", CONFIG.split_seed), outcome(CONFIG)[1]
    users, count = np.unique(split.test.user, return_counts=True)
    assert np.array_equal(users, scores["user"])
    told = told_by(scores["dot"])
    assert (told > 0).mean() > 0.05
    assert (told == count.clip(max=20))[told > 0].mean() > 1 - split_facts.MISTAKEN


@pytest.mark.parametrize("damage", [cut_short, Path.unlink, lambda path: rescored(path, shuffled)])
def test_damaged_scores_are_mended_from_a_sound_copy(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    source, results = tmp_path / "source", tmp_path / "results"
    path, there = sound(source), sound(results)
    before = there.read_bytes()
    damage(there.with_suffix(".npz"))
    assert take(source, results) == ([path.name], [])
    assert (
        there.read_bytes() == before and there.with_suffix(".npz").read_bytes() == path.with_suffix(".npz").read_bytes()
    )
    assert take(source, results) == ([], [])


def test_damaged_scores_that_the_source_cannot_mend_are_named(tmp_path: Path) -> None:
    source, results = tmp_path / "source", tmp_path / "results"
    path, there = sound(source), sound(results)
    cut_short(there.with_suffix(".npz"))
    path.with_suffix(".npz").unlink()
    taken, [problem] = take(source, results)
    assert taken == [] and str(there.with_suffix(".npz")) in problem and "is missing" in problem


@pytest.mark.parametrize("damage", [cut_short, lambda path: edited(path, put("best_epoch", value=-1))])
def test_a_damaged_record_is_mended_from_a_sound_copy(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    path, there = sound(tmp_path / "source"), sound(tmp_path / "results")
    damage(there)
    assert take(tmp_path / "source", tmp_path / "results") == ([path.name], [])
    assert there.read_bytes() == path.read_bytes()


def test_line_ends_are_no_difference(tmp_path: Path) -> None:
    source, results, new = tmp_path / "source", tmp_path / "results", tmp_path / "new"
    path, there = sound(source), sound(results)
    content = there.read_bytes()
    for one in (path, there):
        one.write_bytes(content.replace(b"\n", b"\r\n"))
        assert take(source, results) == ([], [])
        assert fault(one) is None
        one.write_bytes(content)
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    assert take(source, new) == ([path.name], [])
    assert (new / path.relative_to(source)).read_bytes() == content  # kept with LF


@pytest.mark.lint
def test_how_files_are_kept_is_said_to_git() -> None:
    lines = (Path(__file__).parents[1] / ".gitattributes").read_text().splitlines()
    assert "* text=auto eol=lf" in lines and "*.npz binary" in lines


def test_a_wrong_folder_level_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, empty = tmp_path / "there" / "results", tmp_path / "empty"
    sound(results)
    empty.mkdir()
    check_level(results)
    check_level(empty)
    for wrong, message in (
        (results / "synthetic", f"synthetic is the folder of one dataset: name the folder that it is in, {results}"),
        (results.parent, f"there has no folder per dataset: name the folder {results} in it, which has"),
    ):
        for arguments in (
            ["take", str(empty), str(wrong)],
            ["take", str(wrong), str(results)],
            ["list", str(wrong)],
            ["why", str(wrong), "a", "b"],
        ):
            with pytest.raises(SystemExit):
                main(arguments)
            assert message in capsys.readouterr().err
        with pytest.raises(ValueError, match=re.escape(message)):
            take(wrong, empty)
        for command, *rest in (["sweep", "status", "rq1"], ["ledger", "show"]):  # whatever takes such a folder
            with pytest.raises(SystemExit):
                command_line.main([command, *rest, "--results", str(wrong)])
            assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["take", str(results), str(empty)])
    assert f"{empty} holds no records" in capsys.readouterr().err


def test_other_users_on_a_page_name_the_files() -> None:
    ours, theirs = (np.array([0, 1]), np.array([0.5, 0.5])), (np.array([1, 2]), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match=r"users in the \.npz files of the runs a1 and b1 must be the same"):
        compared_users([ours], [theirs], (["a1"], ["b1"]))


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
