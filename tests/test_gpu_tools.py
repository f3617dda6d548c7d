"""The engine of a GPU, held without one: what is compiled, what is launched, and training on an emulated card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from prismlib._fast import trial

FOLDER = Path(__file__).parent / "gpu"
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="g++, which makes the pretended GPU, is missing"
)
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton, which compiles the kernels, is missing")


@pytest.fixture(scope="module", autouse=True)
def pretended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the tools share what g++ compiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRETENDED_GPU", str(tmp_path_factory.mktemp("pretended")))
        yield


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A tool in a process of its own: it must begin before PyTorch is imported."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, timeout=600)


@needs_compiler
def test_what_is_captured_waits_for_nothing_and_launches_what_the_table_says() -> None:
    done = run(FOLDER / "trace.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_meets_the_targets_of_the_prediction() -> None:
    table = json.loads((FOLDER / "launches.json").read_text())
    with_target = {name: row for name, row in table.items() if "target_ms" in row}
    assert len(with_target) == 7
    assert all(row["predicted_ms"] <= row["target_ms"] for row in with_target.values())
    assert table["MF DirectAU"]["launches"] <= 50 and table["validation"]["waits"] == 1
    for loss in ("BPR", "DirectAU"):  # what keeps no moments, or one number of a row, reads and writes less than Adam
        adam = table[f"MF {loss}"]
        for optimizer in ("sgd", "rowwise_adagrad"):
            row = table[f"MF {loss} {optimizer}"]
            assert row["predicted_ms"] < adam["predicted_ms"] and row["launches"] <= adam["launches"] + 1
    assert table["MF BPR sgd_momentum"]["predicted_ms"] < table["MF BPR"]["predicted_ms"]
    run, together = table["run to early stop"], table["8 processes"]
    assert run["predicted_s"] <= run["target_s"] == 18
    assert together["predicted_steps_per_s"] >= together["target_steps_per_s"] == 6500


@needs_compiler
def test_training_on_an_emulated_gpu_is_the_cpus_captured_and_not_and_mistakes_of_a_capture_are_found() -> None:
    """One process for both: it takes as long to start as to train."""
    planted = ["--only", "MF BPR sgd table", "--plant", "counter", "order", "look"]
    code = "import sys; sys.path.insert(0, sys.argv[1]); import emulate; right = emulate.main([]); print('planted')\n"
    code += "sys.exit(right or 2 * emulate.main(sys.argv[2:]))"
    done = run("-c", code, str(FOLDER), *planted)
    right, _, wrong = done.stdout.partition("planted\n")
    assert done.returncode == 2 and right.endswith("6 trainings, 0 wrong\n"), done.stdout + done.stderr
    assert wrong.count("WRONG") == 3 and wrong.endswith("3 trainings, 3 wrong\n"), wrong


@needs_triton
@pytest.mark.parametrize("capability", sorted(trial.WIDEST_UNIFORMITY))
def test_the_kernels_compile_where_they_are_used_and_spill_nothing(capability: tuple[int, int]) -> None:
    arch = "".join(map(str, capability))
    done = run(FOLDER / "ahead_of_time.py", "--arch", arch, "--dims", "64", "--lengths", "4096")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "_sums_kernel" in done.stdout and "fence" not in done.stdout  # a fence at each addition halves the speed
