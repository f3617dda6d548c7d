"""How benchmarks/bench.py takes its times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import pytest

BENCH = Path(__file__).parents[1] / "benchmarks"


def test_a_median_of_ours_is_over_several_steps_however_few_the_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    bench = run_path(str(BENCH / "bench.py"))
    taken = {"plain": 0, "ours": 0}

    def steps(name: str, loss: float) -> Iterator[float]:
        while True:
            taken[name] += 1
            yield loss

    for count in (1, 3, bench["AT_LEAST"], bench["AT_LEAST"] + 2):
        taken.update(plain=0, ours=0)
        spent, ours, difference = bench["in_turn"](steps("plain", 2.0), steps("ours", 1.0), count)
        assert taken == {"plain": 1 + count, "ours": 1 + max(count, bench["AT_LEAST"])}  # one each to warm up
        assert spent > 0 and ours > 0 and difference == 0.5
