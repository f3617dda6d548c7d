"""The claims ledger: complete, computed and not typed, and loud where a record is gone or says something else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from made_up import made_up, store

from prismbook.claims import catalogue, ledger
from prismbook.claims.catalogue import CLAIMS
from prismbook.claims.evidence import Evidence
from prismbook.claims.ledger import LedgerError, Row, check, spread, summary
from prismbook.claims.statements import Statement, is_provisional, verdict, verdict_phrase
from prismbook.plan.experiments import grid_configs
from prismbook.runs import records
from prismbook.tables.rules import Difference
from prismlib import datasets

ROOT = Path(__file__).parents[1]
BY_ID = {claim.id: claim for claim in CLAIMS}
VERDICT = re.compile(
    r"\b(?:not\s+)?reproduced\b|\bin\s+part\b|\bundecided\b|\bnot\s+measured\b|\bopen\s+\(", re.IGNORECASE
)
# Where a verdict's words may stand: explanations of what they mean, and what is no verdict. All else must be computed
EXPLAINED = {
    "prismbook/claims/catalogue.py": ["claimed, not measured"],  # C19, of the paper
    "book/glossary.md": [
        "*reproduced*, *reproduced, size differs*, *for X, not for Y*,\n  *not reproduced*, *open (k of n decided)* or"
        " *not measured*",
        "*undecided*: none is ruled out",
    ],
    "book/checklists.md": ["| Results Reproduced |", "| in part: ", "and pages say *not measured* there"],
    "notebooks/index.py": [
        "\nreproduced\n: ",
        "*Reproduced, size differs*: they do",
        "\nnot reproduced\n: ",
        "\nopen (k of n decided)\n: ",
        "\nnot measured\n: ",
    ],
    "book/cluster.md": ["Otherwise the word is *undecided*."],
    "notebooks/speed.py": ["they are not\nmeasured again", "called predicted was not measured"],  # times
    "notebooks/should_i_use.py": ["What was not measured"],  # a list
}


def ledger_of(claims: list[catalogue.Claim], results: Path) -> list[Row]:
    """The rows of a few claims: the others take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "CLAIMS", claims)
        return ledger.ledger(results)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return ledger.ledger()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "results", tmp_path / "results"))


def test_the_committed_ledger_says_what_the_committed_records_say(rows: list[Row]) -> None:
    check(rows)


@pytest.mark.lint
def test_every_claim_is_there_once_and_its_page_is_in_the_book() -> None:
    assert [claim.id for claim in CLAIMS] == [f"C{n}" for n in range(1, 24)]
    listed = yaml.safe_load((ROOT / "book/pages.yml").read_text())["pages"]
    pages = {Path(page["output"]).stem for page in listed}
    for claim in CLAIMS:
        assert claim.page in pages, f"{claim.id}: {claim.page}"


def test_no_claim_is_judged_on_generated_data() -> None:
    named = {dataset for claim in CLAIMS for dataset in claim.datasets if dataset}
    assert named and not any(datasets.identity_card(dataset).synthetic for dataset in named)


def test_a_row_for_every_claim_and_dataset_and_its_verdict_follows_from_its_statements(rows: list[Row]) -> None:
    assert [(row.claim.id, row.dataset) for row in rows] == [(c.id, dataset) for c in CLAIMS for dataset in c.datasets]
    for row in rows:
        assert row.statements and row.verdict == verdict(row.statements)


@pytest.mark.lint
@pytest.mark.parametrize(
    "path",
    [Path("prismbook/claims/catalogue.py"), *(p.relative_to(ROOT) for p in (ROOT / "notebooks").glob("*.py"))]
    + [p.relative_to(ROOT) for p in (ROOT / "book").rglob("*.md") if "_build" not in p.parts],
    ids=str,
)
def test_no_verdict_is_typed_by_hand(path: Path) -> None:
    text = re.sub("^# ?", "", (ROOT / path).read_text(), flags=re.MULTILINE)
    for explained in EXPLAINED.get(path.as_posix(), []):
        assert explained in text, f"no longer there, take it off the list: {explained}"
        text = text.replace(explained, "")
    assert VERDICT.findall(text) == []


@pytest.mark.lint
def test_a_typed_verdict_is_found() -> None:
    for text in ("C1 is reproduced.", "Not reproduced", "in\npart", "(not measured)", "it is undecided"):
        assert VERDICT.search(text)


def evidence_with_reads(monkeypatch: pytest.MonkeyPatch, claim: str, dataset: str, results: Path) -> Evidence:
    """Also check that the runs it names are the records it read."""
    read = set()

    def spy(path: Path) -> records.Record | None:
        found = records.load_record(path)
        read.update([] if found is None else [found["id"]])
        return found

    monkeypatch.setattr("prismbook.claims.evidence.load_record", spy)
    monkeypatch.setattr("prismbook.tables.analysis.load_record", spy)
    monkeypatch.setattr("prismbook.runs.tuning.load_record", spy)
    evidence = BY_ID[claim].judged(dataset, results)
    assert set(evidence.run_ids) == read
    return evidence


@pytest.mark.parametrize(("claim", "dataset"), [("C2", "gowalla"), ("C8", "movielens1m"), ("C14", "gowalla")])
def test_a_claim_names_every_record_it_reads(monkeypatch: pytest.MonkeyPatch, claim: str, dataset: str) -> None:
    assert evidence_with_reads(monkeypatch, claim, dataset, ROOT / "results").run_ids


def test_c17_names_the_searches_of_both_losses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for loss, correlation in (("ssm", 0.1), ("directau", 0.9)):
        [config] = grid_configs(
            "gowalla", loss, 0, backbone="nonlinear-mf", init="prism", alpha=1.0, lr=1e-3, epochs=1000
        )
        store(tmp_path, made_up(config, correlation=correlation))
    evidence = BY_ID["C17"].judged("gowalla", tmp_path)
    assert verdict(evidence.statements) == "reproduced" and len(evidence.run_ids) == 2
    assert not is_provisional(evidence.statements)  # one seed, and ten times what seeds do


def accepted(claim: str, dataset: str, results: Path) -> Evidence:
    """The evidence of one claim, after the ledger of that claim alone was accepted."""
    rows = ledger_of([BY_ID[claim]], results)
    (results / "ledger.json").write_text(json.dumps(summary(rows)))
    check(rows, results)
    return BY_ID[claim].judged(dataset, results)


@pytest.mark.parametrize(("claim", "dataset"), [("C1", "gowalla"), ("C8", "movielens1m"), ("C14", "gowalla")])
def test_a_record_that_is_gone_is_named_with_its_claim(results: Path, claim: str, dataset: str) -> None:
    runs = accepted(claim, dataset, results).run_ids
    for run in sorted(runs)[:1]:
        [path] = (results / dataset).glob(f"*-{run}.json")
        path.rename(results / "away")
        with pytest.raises(LedgerError, match=rf"(?m)^{claim} {dataset}: .*records gone: (?:\w+, )*{run}") as raised:
            check(ledger_of([BY_ID[claim]], results), results)
        assert "python -m prismbook ledger accept" in str(raised.value)
        (results / "away").rename(path)
    check(ledger_of([BY_ID[claim]], results), results)


def test_a_record_that_says_something_else_is_noticed(results: Path) -> None:
    evidence = accepted("C14", "gowalla", results)
    before = re.escape(verdict_phrase(evidence.statements))
    for run in evidence.run_ids:
        [path] = (results / "gowalla").glob(f"*-{run}.json")
        record = json.loads(path.read_text())
        history = record["history"]
        dot, cosine = (history[f"validation_{by}"] for by in ("dot", "cosine"))
        history |= {"validation_dot": cosine, "validation_cosine": dot}
        path.write_text(json.dumps(record))
    with pytest.raises(LedgerError, match=rf"(?m)^C14 gowalla: {before}, now (?!{before})[^;]*$"):
        check(ledger_of([BY_ID["C14"]], results), results)


def made_ledger(results: Path) -> list[Row]:
    """C14 on Gowalla from one made-up run, accepted."""
    [config] = grid_configs("gowalla", "directau", 1e-6)
    store(
        results,
        made_up(config, validation=[*[0.0] * 30, 1.0], cosine=[0.0, *[1.0] * 30]),
        np.array([0.1, 0.3, 0.2, 0.4]),
    )
    rows = ledger_of([BY_ID["C14"]], results)
    (results / "ledger.json").write_text(json.dumps(summary(rows)))
    check(rows, results)
    return rows


def test_a_new_record_and_a_new_claim_are_noticed_too(tmp_path: Path) -> None:
    made_ledger(tmp_path)
    [config] = grid_configs("gowalla", "directau", 1e-5)
    record = made_up(config, validation=[0.0, 0.1])
    store(tmp_path, record)
    with pytest.raises(
        LedgerError, match=rf"C14 gowalla: (reproduced \(provisional\)), now \1; new records: {record['id']}"
    ):
        check(ledger_of([BY_ID["C14"]], tmp_path), tmp_path)
    (tmp_path / "ledger.json").write_text("{}")
    with pytest.raises(LedgerError, match="C14 gowalla: not measured, now reproduced"):
        check(ledger_of([BY_ID["C14"]], tmp_path), tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_text(""),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text('{"C14 gowalla": 3}'),
        lambda path: path.write_text('{"C14 gowalla": {"verdict": "reproduced", "records": []}}'),
        lambda path: path.write_bytes(b"\xff\xfe"),
    ],
)
def test_a_missing_or_damaged_ledger_says_what_to_do(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    rows = made_ledger(tmp_path)
    damage(tmp_path / "ledger.json")
    with pytest.raises(LedgerError, match=r"ledger\.json is not readable.*run: python -m prismbook ledger accept"):
        check(rows, tmp_path)


def test_what_was_not_measured_is_not_kept(tmp_path: Path) -> None:
    rows = [
        Row(BY_ID["C1"], "gowalla", [Statement("a", None)], "not measured", ("a",)),
        Row(BY_ID["C4"], "", [Statement("a", False)], "not reproduced", ()),
    ]
    assert summary(rows) == {"C4": {"verdict": "not reproduced", "cases": {}, "records": []}}


def test_a_dataset_without_runs_is_not_measured_but_its_sizes_are(tmp_path: Path) -> None:
    # AmazonBook has no content hash: nothing may ask for it
    assert verdict(BY_ID["C2"].judged("amazonbook", tmp_path).statements) == "not measured"
    assert verdict(BY_ID["C20"].judged("gowalla", tmp_path).statements) == "reproduced"
    # of a file that nobody hashed the sizes are those of the card itself
    assert verdict(BY_ID["C20"].judged("amazonbook", tmp_path).statements) == "not measured"
    [interactions, users, items] = BY_ID["C20"].judged("movielens1m", tmp_path).statements
    # a number above ours by one is that of a padding id: before, the sizes differed
    assert (users.holds, items.holds, interactions.holds) == (True, True, True)
    assert "one more, as where a padding id is counted too" in users.text and "padding" not in interactions.text


def test_the_spread_of_a_row_is_that_of_its_users(tmp_path: Path) -> None:
    [row] = [row for row in made_ledger(tmp_path) if row.dataset == "gowalla"]
    half = 1.96 * np.std([0.1, 0.3, 0.2, 0.4]) / 2
    assert spread(row, tmp_path) == f"each NDCG@20 ± {half:.4f} over users, 1 seed"
    # the seeds of what is compared; before, the seeds of any record behind the row
    one, three = (Statement("a", True, difference=Difference((0.1,) * seeds)) for seeds in (1, 3))
    assert spread(replace(row, statements=[one, three]), tmp_path).endswith(" over users, 1 to 3 seeds")
    assert spread(replace(row, statements=[three]), tmp_path).endswith(" over users, 3 seeds")
    # before, a claim on correlations carried the users' interval of NDCG@20
    of_lengths = Statement("a", True, difference=Difference((0.1,), measure="correlation"))
    assert spread(replace(row, statements=[of_lengths]), tmp_path) == "1 seed"
    assert " over users" in spread(replace(row, statements=[of_lengths, one]), tmp_path)
    next(tmp_path.glob("gowalla/*.npz")).unlink()
    assert spread(row, tmp_path) == "no interval: users' scores were not kept, 1 seed"


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ledger, "CLAIMS", [BY_ID["C14"]])
    made_ledger(tmp_path)
    here = ["--results", str(tmp_path)]
    assert ledger.main(["check", *here]) == 0
    assert re.search(
        r"^C14 +gowalla +reproduced \(provisional\) +1 records  validation", capsys.readouterr().out, re.MULTILINE
    )

    accepted = (tmp_path / "ledger.json").read_bytes()
    [path] = tmp_path.glob("gowalla/*.json")
    content = path.read_bytes()
    path.unlink()
    assert ledger.main(["show", *here]) == 0  # shows what is, whatever was accepted
    assert "gowalla      not measured" in capsys.readouterr().out
    assert ledger.main(["check", *here]) == 1
    assert "C14 gowalla: reproduced (provisional), now not measured; records gone" in capsys.readouterr().err
    assert (tmp_path / "ledger.json").read_bytes() == accepted

    assert ledger.main(["accept", *here]) == 0 and json.loads((tmp_path / "ledger.json").read_text()) == {}
    assert ledger.main(["check", *here]) == 0
    path.write_bytes(content)
    assert ledger.main(["check", *here]) == 1
    path.write_bytes(content[:100])
    capsys.readouterr()
    assert ledger.main(["accept", *here]) == 1  # a damaged record is no missing one
    assert "is not readable as a run record" in capsys.readouterr().err
    assert json.loads((tmp_path / "ledger.json").read_text()) == {}


@pytest.mark.parametrize("command", ["show", "check", "accept"])
def test_a_folder_that_is_not_there_is_named_and_not_made(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ledger.main([command, "--results", str(tmp_path / "mistyped")]) == 1
    assert "mistyped is no folder; --results names the one with the run records" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
