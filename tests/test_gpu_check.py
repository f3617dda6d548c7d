"""What benchmarks/gpu_check.py says of the numbers it measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import pytest

CHECK = run_path(str(Path(__file__).parents[1] / "benchmarks/gpu_check.py"))


def found(step: float, captured: bool = True) -> dict[str, object]:
    row = {"eager, ms": 5.0, "captured, ms": step, "was captured": captured}
    return {"table": {"MF + DirectAU, 4,096": row}, "throughput": {"8": 4000.0}, "same": {"same": True}, "tests": None}


@pytest.mark.parametrize(
    ("step", "captured", "line"),
    [(0.3, True, "0.3 (<= 0.32)"), (0.5, True, "0.5 (<= 0.32)"), (0.3, False, "5 (<= 0.32)")],
)
def test_what_is_met_and_what_is_not(step: float, captured: bool, line: str) -> None:
    met, missed, missing = CHECK["judged"](found(step, captured))
    good = captured and step <= 0.32
    assert (f"MF + DirectAU, 4,096 {line}" in met) == good and (f"MF + DirectAU, 4,096 {line}" in missed) != good
    assert "8 processes, steps per s 4e+03 (>= 6500)" in missed and "captured equals eager" in met
    assert {"validation", "run to early stop, s", "GPU tests", "every Triton kernel is used"} <= set(missing)


def test_the_targets_are_those_that_the_prediction_is_held_to() -> None:
    table = json.loads((Path(__file__).parent / "gpu/launches.json").read_text())
    names = {
        "MF DirectAU": "MF + DirectAU, 4,096",
        "MF MAWU": "MF + MAWU, 4,096",
        "MF BPR": "MF + BPR, 16,384",
        "MF SSM": "MF + SSM, 16,384 x 10",
        "LightGCN DirectAU": "LightGCN + DirectAU, 4,096",
        "NonLinearMF DirectAU": "non-linear MF + DirectAU, 4,096",
        "validation": "validation",
        "run to early stop": "run to early stop, s",
        "8 processes": "8 processes, steps per s",
    }
    wanted = {name: row[key] for name, row in table.items() for key in row if key.startswith("target_")}
    assert wanted == {name: CHECK["TARGETS"][label] for name, label in names.items()}
    assert set(CHECK["TARGETS"]) - set(names.values()) == {"MF + DirectAU, 4,096, d = 128"}  # no step of the table


def test_random_data_where_none_is_prepared() -> None:
    assert CHECK["make_split"]("none", True).dataset.num_users == 60


def test_a_captured_step_may_need_half_as_much_memory_again() -> None:
    for captured, listed in ((150.0, 0), (160.0, 1)):
        results = found(0.3)
        results["table"]["MF + DirectAU, 4,096"] |= {"eager, MB": 100.0, "captured, MB": captured}  # type: ignore[index]
        named = [line for line in CHECK["judged"](results)[listed] if line.startswith("memory of MF + DirectAU, 4,096")]
        assert len(named) == 1


def test_captured_losses_are_held_to_what_two_eager_runs_differ_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Atomic additions come in another order each time, so two eager runs differ too."""
    check = CHECK["Check"]("cpu", "none", float("inf"))
    try:
        for again, captured, same in ((1.0, 1.0 + 1e-4, False), (1.0 + 2e-5, 1.0 + 1e-4, True)):
            losses = iter([1.0, again, captured] * len(CHECK["STEPS"]))

            def fitted(*_: object, losses: Iterator[float] = losses, **__: object) -> object:
                return CHECK["History"](loss=[next(losses)], validation_dot=[0.1])

            monkeypatch.setitem(CHECK["Check"].same.__globals__, "fit", fitted)
            assert check.same()["same"] == same
    finally:
        CHECK["GRAPHS"].pop("cpu", None)


def test_the_part_that_starts_most_processes_comes_last() -> None:
    assert CHECK["PARTS"][-1] == "throughput" and all(hasattr(CHECK["Check"], part) for part in CHECK["PARTS"])
