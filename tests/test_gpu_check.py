"""What benchmarks/gpu_check.py says of the numbers it measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import pytest

CHECK = run_path(str(Path(__file__).parents[1] / "benchmarks/gpu_check.py"))


def found(step: float, captured: bool = True) -> dict[str, object]:
    row = {"eager, ms": 5.0, "captured, ms": step, "was captured": captured}
    return {"table": {"MF + DirectAU, 4,096": row}, "throughput": {"8": 4000.0}, "same": {"same": True}, "tests": None}


@pytest.mark.parametrize(
    ("step", "captured", "line"), [(0.3, True, "0.3 (<= 0.4)"), (0.5, True, "0.5 (<= 0.4)"), (0.3, False, "5 (<= 0.4)")]
)
def test_what_is_met_and_what_is_not(step: float, captured: bool, line: str) -> None:
    met, missed, missing = CHECK["judged"](found(step, captured))
    good = captured and step <= 0.4
    assert (f"MF + DirectAU, 4,096 {line}" in met) == good and (f"MF + DirectAU, 4,096 {line}" in missed) != good
    assert "8 processes, steps per s 4e+03 (>= 5000)" in missed and "captured equals eager" in met
    assert {"validation", "run to early stop, s", "GPU tests", "every Triton kernel is used"} <= set(missing)


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
