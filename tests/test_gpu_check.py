"""What benchmarks/gpu_check.py says of the numbers it measured."""

from __future__ import annotations

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
