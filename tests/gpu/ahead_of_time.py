"""Compile the Triton kernels that the library launches, on a machine without a GPU; say what each one uses.

    python tests/gpu/ahead_of_time.py [--arch 80 90] [--dims 64 128] [--lengths 4096] [--output FILE.json]

It needs PyTorch (any build) and Triton, whose wheel brings ptxas, cuobjdump and nvdisasm. The library's own functions
are called with tensors of the CPU, and a stand-in for Triton's driver says that a GPU is there: what is compiled is
what would be launched, with the same types, specialisations, constants and warps. Nothing runs. Each call compiles in a
process of its own, since an assertion of the compiler's ends the process.

Exit status 1: a kernel that is used there does not compile, does not fit a multiprocessor or spills registers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)  # before Triton is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from prismlib._fast import kernels, trial

#: Of each compute capability: multiprocessors, and bytes of shared memory that a block may have and that there are.
CARDS = {80: (108, 166912, 167936), 90: (132, 232448, 233472)}
#: Instructions that are counted in machine code. A fence waits for all that the thread has written.
KINDS = {
    "tensor": r"HGMMA|HMMA|DMMA",
    "global": r"LDG\b|LD\.E|STG\b",
    "shared": r"LDS\b|LDSM|STS\b|STSM",
    "atomic": r"RED(?!UX)|ATOM",
    "fence": r"MEMBAR\S*GPU",
    "barrier": r"BAR\b",
    "local": r"STL|LDL",
}


class Driver:
    """In place of Triton's: says which GPU is there and launches nothing."""

    def __init__(self, arch: int) -> None:
        from triton.backends.compiler import GPUTarget

        processors, block, _ = CARDS[arch]
        properties = {"max_shared_mem": block, "multiprocessor_count": processors, "warpSize": 32}
        self.get_current_device = lambda: 0
        self.set_current_device = lambda device: None
        self.get_current_stream = lambda device=0: 0
        self.get_current_target = lambda: GPUTarget("cuda", arch, 32)
        self.get_device_capability = lambda device=0: divmod(arch, 10)
        self.utils = SimpleNamespace(get_device_properties=lambda device: properties, unload_module=lambda module: None)
        self.get_active_torch_device = lambda: torch.device("cpu")

    @staticmethod
    def is_active() -> bool:
        return True


def run_tool(name: str, *arguments: str) -> str:
    """What a program of CUDA's that Triton's wheel brings prints."""
    import triton

    path = Path(triton.__file__).parent / "backends/nvidia/bin" / name
    return subprocess.run([str(path), *arguments], capture_output=True, text=True).stdout


def uses(compiled: Any, arch: int) -> dict[str, Any]:
    """Registers, shared memory, blocks that a multiprocessor holds, and the instructions of the longest loop."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        resources = run_tool("cuobjdump", "--dump-resource-usage", file.name)
        lines = run_tool("nvdisasm", "-c", file.name).splitlines()
    registers, warps, shared = int(re.findall(r"REG:(\d+)", resources)[-1]), compiled.metadata.num_warps, 0
    shared = int(compiled.metadata.shared)
    by_registers = 65536 // (-(-registers * 32 // 256) * 256 * warps)
    by_shared = CARDS[arch][2] // (shared + 1024)
    found: dict[str, Any] = {"registers": registers, "shared": shared, "warps": warps}
    found["blocks"] = 0 if shared > CARDS[arch][1] else min(32, by_registers, by_shared, 64 // warps)
    found["spills"] = counted(lines).get("local", 0)
    found["loop"] = counted(longest_loop(lines))
    return found


def counted(lines: list[str]) -> dict[str, int]:
    """Instructions by kind, of the lines that are any."""
    kinds: Counter[str] = Counter()
    for line in lines:
        operation = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s*(?:@!?U?P\w+\s+)?(.*)", line)
        if operation is not None:
            kinds["all"] += 1
            kinds.update(kind for kind, pattern in KINDS.items() if re.match(pattern, operation[1]))
    return dict(kinds)


def longest_loop(lines: list[str]) -> list[str]:
    """The lines between a label and a branch back to it, where most are."""
    places: dict[str, int] = {}
    longest: list[str] = []
    for at, line in enumerate(lines):
        if label := re.match(r"(\.L_\w+):", line):
            places[label[1]] = at
        elif (back := re.search(r"\bBRA\b.*`\((\.L_\w+)\)", line)) and back[1] in places:
            body = lines[places[back[1]] : at + 1]
            longest = max(longest, body, key=lambda some: counted(some).get("all", 0))
    return longest


class Compiler:
    """In place of ``kernels.compiled``: a launch compiles, and is noted."""

    def __init__(self, arch: int) -> None:
        self.arch, self.found = arch, []

    def __call__(self, kernel: Any) -> Any:
        import triton
        import triton.language as tl

        kernel.__globals__["tl"] = tl
        jit, compiler = triton.jit(kernel), self

        class OnGrid:
            def __getitem__(self, grid: Any) -> Callable[..., None]:
                def launch(*given: Any, **options: Any) -> None:
                    found = uses(jit.warmup(*given, grid=grid, **options), compiler.arch)
                    compiler.found.append({"kernel": kernel.__name__, "grid": list(grid)} | found)

                return launch

        return OnGrid()


def calls(arch: int, dims: list[int], lengths: list[int]) -> Iterator[tuple[str, Callable[[], object]]]:
    """What the library asks of its kernels in training: a label, and a call of the library's own function."""
    processors = CARDS[arch][0]
    # rows of 6 entries, and one of 3,000, which is cut
    pointers = torch.cat([6 * torch.arange(1000), torch.tensor([9000])]).int()
    integers, cut = (pointers, torch.zeros(9000, dtype=torch.int32)), kernels.pieces_of(pointers)
    whole = kernels.pieces_of(6 * torch.arange(1001))
    for d in dims:
        for n in lengths:
            rows, ids = torch.empty(n, d), torch.zeros(n, dtype=torch.int64)
            if d <= trial.WIDEST_UNIFORMITY[divmod(arch, 10)]:
                for precision in kernels.KERNEL_PRECISIONS:

                    def both(rows: Any = rows, ids: Any = ids, precision: str = precision) -> None:
                        terms = kernels.pair_terms(rows, rows, ids, ids, precision, processors)
                        kernels.pair_gradients(terms.saved, *terms[:4])
                        kernels.uniformity_sums(rows, None, precision, processors)

                    yield f"uniformity n={n} d={d} {precision}", both
            for listed in (2, 11):
                item, listed_ids = torch.empty(1000, d), torch.zeros(n, listed, dtype=torch.int64)

                def scores(rows: Any = rows, item: Any = item, ids: Any = listed_ids) -> None:
                    given = rows.clone().requires_grad_(), item.requires_grad_()
                    torch.autograd.grad(kernels.listed_scores(*given, ids).sum(), given)

                yield f"scores n={n} d={d} listed={listed}", scores

            def unit(rows: Any = rows) -> None:
                kernels.unit_gradient(rows, *kernels.unit_rows(rows))

            yield f"unit n={n} d={d}", unit
            for decay in (0.0, 1e-6):

                def adagrad(rows: Any = rows, decay: float = decay) -> None:
                    kernels.adagrad_step(rows, rows, torch.empty(len(rows), 1), 0.1, 1e-8, decay)

                yield f"row-wise Adagrad n={n} d={d}{' with decay' if decay else ''}", adagrad
        table, base = torch.empty(900, d), torch.empty(1000, d)
        flags, wanted = torch.zeros(900, dtype=torch.int8), torch.zeros(1000, dtype=torch.int8)
        for label, options in (
            ("whole", {"pieces": cut}),
            ("flagged", {"pieces": cut, "flags": flags}),
            ("wanted", {"pieces": cut, "wanted": wanted, "divisor": 4}),
            ("uncut", {"pieces": whole}),
        ):

            def product(table: Any = table, base: Any = base, options: Any = options) -> None:
                kernels.sparse_product(*integers, torch.empty(9000), table, base=base, **options)

            yield f"sparse d={d} {label}", product
    for n in lengths:
        for dtype in (torch.int64, torch.int32):

            def first(ids: Any = torch.zeros(n, dtype=dtype)) -> None:  # noqa: B008
                kernels.first_of_each(ids)

            yield f"first n={n} {str(dtype)[6:]}", first


def in_a_process(call: Callable[[], object], compiler: Compiler) -> tuple[list[dict[str, Any]], str | None]:
    """What a call compiles, and why it failed, or None."""
    read, write = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            call()
            error = None
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}".partition("\n")[0][:200]
        with os.fdopen(write, "w") as pipe:
            json.dump([compiler.found, error], pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return [], f"the compiler ended the process with signal {os.WTERMSIG(status)}"
    rows, error = json.loads(text)
    return rows, error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", nargs="+", type=int, default=[80, 90], choices=sorted(CARDS))
    parser.add_argument("--dims", nargs="+", type=int, default=[8, 16, 32, 64, 100, 128, 200, 256])
    parser.add_argument("--lengths", nargs="+", type=int, default=[4096])
    parser.add_argument("--output", type=Path, help="Where to store everything as JSON.")
    parser.add_argument("--check", action="store_true", help="Only say whether Triton is installed.")
    given = parser.parse_args()
    if find_spec("triton") is None:
        parser.error("Triton is not installed: install the package triton into the environment first")
    if given.check:
        return 0
    from triton.runtime import driver

    rows: list[dict[str, Any]] = []
    bad = 0
    for arch in given.arch:
        driver.set_active(Driver(arch))
        seen = set()
        for label, call in calls(arch, given.dims, given.lengths):
            compiler = Compiler(arch)
            kernels.compiled = compiler  # type: ignore[assignment]
            found, error = in_a_process(call, compiler)
            if error is not None:
                bad += 1
                print(f"sm_{arch} {label}: FAILED, {error}", flush=True)
            for row in found:
                wrong = row["spills"] > 0 or row["blocks"] == 0
                bad += wrong
                key = json.dumps(row, sort_keys=True)
                if key not in seen:
                    seen.add(key)
                    rows.append({"arch": arch, "case": label} | row)
                    print(
                        f"sm_{arch} {label:32} {row['kernel']:22} {'x'.join(map(str, row['grid'])):>10}"
                        f" {row['registers']:>3} registers {row['shared']:>6} B {row['blocks']:>2} blocks"
                        f" {row['spills']} spills, loop {row['loop']}{'  WRONG' if wrong else ''}",
                        flush=True,
                    )
    if given.output is not None:
        given.output.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{len(rows)} kernels, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
