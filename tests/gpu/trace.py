"""The steps and the validation of a GPU, traced without one: what waits, what is launched, what a model predicts.

    python tests/gpu/trace.py [--only "MF DirectAU"] [--heaviest 10] [--all] [--write]

Tensors are fake: they have a shape, a dtype and the device "cuda:0", and no values. An operation that needs values
cannot be done, and a CUDA graph could not hold it either: a step that runs here keeps no host waiting. Copies between
host and device, which a capture refuses too, are looked for.

The steps that have a target are compared with tests/gpu/launches.json, which --write makes anew: a launch that creeps
in is seen. --all takes every backbone, loss and optimiser. The milliseconds are predicted and not measured: launches
times what a node of a captured graph took on an H200, plus bytes over its bandwidth, plus the kernels that compute.

The validation is not captured: it is traced too, and may keep the host waiting once. Of the steps and of it follow a
whole run, and the steps that several processes take on one card together.

Exit status 1: a step that is called capturable waits, the validation waits more than once, or one of them has other
launches than the table says.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
from pretended import WAITS, pretend_gpu  # noqa: E402

pretend_gpu()
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from prismlib import (  # noqa: E402
    BPR,
    MAWU,
    MF,
    SSM,
    Dataset,
    DirectAU,
    FullRanking,
    LightGCN,
    NonLinearMF,
    Split,
    popularity_groups,
    random_split,
    ranking,
    train_step,
)
from prismlib._capture import CapturedSteps, why_not  # noqa: E402
from prismlib._fast import kernels, sparse, trial  # noqa: E402
from prismlib.baselines import IPL, MACR, ReSN  # noqa: E402
from prismlib.hypersphere import uniformity_released  # noqa: E402
from prismlib.optim import make_optimizer  # noqa: E402

TABLE = Path(__file__).with_name("launches.json")
USERS, ITEMS, PAIRS, DIM = 29858, 40981, 810176, 64
#: Seconds of a node of a captured graph, bytes a second of memory, and floats a second of PyTorch's atomic additions,
#: all as an H200 took; the kernels' own additions take four floats at once.
NODE, BANDWIDTH, ATOMICS, WIDE_ATOMICS = 2.8e-6, 3.35e12, 119e9, 300e9
#: Operations a second of a product of tables in float32, as the H200 took for the validation's, and seconds that pass
#: between the end of the GPU's work and the next of it where the host waits.
PRODUCTS, WAIT = 30.6e12, 60e-6
#: A run of DirectAU with PRISM on Gowalla to its early stop, as the H200 took it: epochs, whole steps of each, and
#: seconds of the smaller last one, which is taken by itself.
EPOCHS, WHOLE, LAST = 220, 200, 4.93e-3
#: Seconds of uniformity of 4,096 rows of 64: the 89 us of the kernel before, which was measured, by the instructions
#: that a tile takes now.
SUMS = {False: 36e-6, True: 25e-6}
#: Seconds of an entry of the sparse product's row: the next ones are read when these have been added.
ENTRY = 45e-9
#: Seconds of programs that wait for a few reads and writes in turn, and move next to nothing.
LATENCY = {"_places_kernel": 3e-6, "_closing_kernel": 4e-6}
#: Milliseconds that a step is to take.
TARGETS = {
    "MF DirectAU": 0.32, "MF MAWU": 0.40, "MF BPR": 0.16, "MF SSM": 0.30, "LightGCN DirectAU": 0.95,
    "NonLinearMF DirectAU": 0.45,
}  # fmt: skip
#: The same of a validation; seconds of a run to its early stop; steps a second of eight processes together, at least.
VALIDATION, RUN, TOGETHER = 12.0, 18.0, 6500
#: Steps of other optimisers, which have no target: what they launch is held too.
OTHERS = [
    ("MF BPR", "sgd"), ("MF DirectAU", "sgd"), ("MF BPR", "sgd_momentum"), ("MF BPR", "rowwise_adagrad"),
    ("MF DirectAU", "rowwise_adagrad"),
]  # fmt: skip
#: Operations that launch nothing.
VIEWS = {
    "view", "_unsafe_view", "reshape", "t", "transpose", "expand", "select", "slice", "squeeze", "unsqueeze", "detach",
    "alias", "as_strided", "split", "split_with_sizes", "unbind", "diagonal", "permute", "lift_fresh", "empty",
    "empty_like", "new_empty", "empty_strided", "new_empty_strided", "_reshape_alias", "unflatten", "unsafe_split",
    "view_as", "expand_as", "is_same_size", "detach_", "flatten",
}  # fmt: skip
#: Operations that are several launches: copies and passes of a sort, zeroed counters.
SEVERAL = {"sort": 4, "topk": 4, "logsumexp": 6, "cumsum": 2, "index_put_": 8, "nonzero": 4, "bincount": 4}
FILLS = {
    "zeros",
    "zero_",
    "fill_",
    "full",
    "new_zeros",
    "zeros_like",
    "ones",
    "new_ones",
    "ones_like",
    "full_like",
    "arange",
}


class Launch(NamedTuple):
    """One operation: its name, the library's line, how many launches it is, and seconds beside those."""

    name: str
    where: str
    launches: int
    seconds: float


def size(x: Any) -> int:
    """The bytes of a tensor's elements; what is expanded is read once."""
    elements = 1
    for length, stride in zip(x.shape, x.stride(), strict=True):
        elements *= length if stride else 1
    return elements * x.element_size()


def place() -> str:
    """The innermost line that is the library's."""
    frame = sys._getframe()
    while frame is not None:
        if "/prismlib/" in frame.f_code.co_filename:
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return "backward"


class Watch(TorchDispatchMode):
    """Notes what is launched on fake tensors of the GPU, and what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[Launch] = []
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":  # asks a fake tensor for its device
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        on_gpu = any(x.device.type == "cuda" for x in given)
        if name in WAITS and on_gpu:
            self.waits.append(f"{name} at {place()}")
        if name.startswith("_fused_sgd"):  # there is no form of it for fake tensors; it changes its arguments
            self.note(name, given, [])
            return None
        out = func(*args, **kwargs)
        made = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        if name in ("_to_copy", "copy_") and {x.device.type for x in (*given, *made) if x.dim()} == {"cpu", "cuda"}:
            self.waits.append(f"copy between host and device at {place()}")
        if on_gpu or any(x.device.type == "cuda" for x in made):
            self.note(name, given, made)
        return out

    def note(self, name: str, given: list[Any], made: list[Any]) -> None:
        if name in VIEWS or (made and all(x.numel() == 0 for x in made)):
            return
        moved, seconds = sum(map(size, given)) + sum(map(size, made)), 0.0
        if name in ("index_select", "embedding", "gather"):
            moved = 2 * sum(map(size, made)) + sum(map(size, given[1:]))
        elif name in ("index_add_", "index_add", "index_fill_", "scatter_"):
            moved = sum(map(size, given[1:])) + given[1].numel() * 4
            seconds = given[-1].numel() / ATOMICS if "add" in name else 0.0
        elif name.startswith(("_fused_adam", "_fused_sgd")):  # parameters, gradients and moments; written but one
            moved = sum(map(size, given)) * (7 if "adam" in name else 3) // (4 if "adam" in name else 2)
        elif name in FILLS:
            moved = sum(map(size, made))
        elif name == "index_copy_":
            moved = sum(map(size, given[1:])) + size(given[2])
        elif name in ("mm", "addmm"):
            operations = 2.0 * given["add" in name].numel() * made[0].shape[1]
            seconds, moved = max(operations / PRODUCTS, moved / BANDWIDTH), 0
        launches = SEVERAL.get(name, 1)
        if name in ("sum", "mean", "norm") and made[0].numel() == 1 and given[0].numel() > 2**15:
            launches = 2  # the counters of its blocks are zeroed first
        self.launches.append(Launch(name, place(), launches, moved / BANDWIDTH + seconds))


class Kernels:
    """In place of ``kernels.compiled``: a launch of a kernel is noted."""

    def __init__(self, watch: Watch, graph: Graph) -> None:
        self.watch, self.graph = watch, graph

    def __call__(self, kernel: Any) -> Any:
        name, kernels_ = kernel.__name__, self

        class OnGrid:
            def __getitem__(self, grid: Any) -> Callable[..., None]:
                def launch(*given: Any, **options: Any) -> None:
                    seconds = kernels_.seconds(name, given, options)
                    kernels_.watch.launches.append(Launch(name, place(), 1, seconds))

                return launch

        return OnGrid()

    def seconds(self, name: str, given: tuple[Any, ...], options: dict[str, Any]) -> float:
        tensors = [x for x in given if isinstance(x, Tensor)]
        moved = sum(size(x) for x in {id(x): x for x in tensors}.values())
        if name == "_sums_kernel":
            tables, n, width = tensors[0].shape
            return float(SUMS[options["HALF"]] * tables * (n / 4096) ** 2 * max(width, 16) / 64)
        if name in ("_scores_kernel", "_gradients_kernel"):
            n, d = tensors[0].shape
            listed = tensors[2].numel()
            added = listed * d / WIDE_ATOMICS if name == "_gradients_kernel" else 0.0
            return float((n * d * 4 + listed * (8 + 4) + listed * d * 4) / BANDWIDTH + added)
        if name == "_product_kernel":
            d, out = tensors[3].shape[1], tensors[7]
            read = self.graph.entries(options, out)
            moved = int(8 * read[0] + 4 * d * read[1] + 2 * size(out))
            # what one program takes goes one after the other, beside all others
            return max(moved / BANDWIDTH, min(self.graph.longest[out.shape[0]], kernels.LONGEST) * ENTRY)
        if name == "_joined_kernel":
            moved = 2 * size(tensors[1])
        return float(moved / BANDWIDTH + LATENCY.get(name, 0.0))


class Graph(NamedTuple):
    """How many entries lie in the rows of a batch, and in the longest row; by the number of rows, users' or items'."""

    batch: dict[int, float]
    longest: dict[int, int]

    def entries(self, options: dict[str, Any], out: Any) -> tuple[float, float]:
        """The entries that a product goes through, and those whose row of the table it reads."""
        rows = out.shape[0]
        if options["WANTED"]:
            return self.batch[rows], self.batch[rows]
        if options["FLAGS"]:
            return PAIRS, self.batch[USERS + ITEMS - rows]
        return PAIRS, PAIRS


def graph_of(data: Any, size: int) -> Graph:
    """The same of expected batches of so many pairs: a row is drawn as often as it has pairs, and taken once."""
    batch, longest = {}, {}
    for ids, rows in ((data.user, USERS), (data.item, ITEMS)):
        degree = np.bincount(ids, minlength=rows)
        batch[rows] = float((degree * (1 - (1 - degree / degree.sum()) ** size)).sum())
        longest[rows] = int(degree.max())
    return Graph(batch, longest)


@contextlib.contextmanager
def gpu_paths(watch: Watch, with_kernels: bool, graph: Graph) -> Iterator[None]:
    """The library takes the branches that it takes on an H100, with Triton or without."""

    def can_run(function: Any, x: Any, precision: str = "") -> bool:
        if not with_kernels or x.device.type != "cuda":
            return False
        return function is kernels.first_of_each or (x.dtype == torch.float32 and x.shape[-1] <= kernels.MAX_DIM)

    class Product:
        """In place of a sparse tensor, of which there is no fake one."""

        def __init__(self, shape: tuple[int, int]) -> None:
            self.shape = shape

        def __matmul__(self, x: Tensor) -> Tensor:
            product = x.new_empty(self.shape[0], x.shape[1])
            moved = 8 * PAIRS + 4 * PAIRS * x.shape[1] + size(product)
            watch.launches.append(Launch("csrmm", place(), 3, moved / BANDWIDTH))
            return product

    properties = SimpleNamespace(multi_processor_count=132, major=9)
    changed = [
        (trial, "can_run", can_run),
        (kernels, "compiled", Kernels(watch, graph)),
        (sparse.SparseMatrix, "forward", lambda self, dtype: Product(self.shape)),
        (torch.cuda, "device_of", lambda x: contextlib.nullcontext()),
        (torch.cuda, "get_device_properties", lambda device: properties),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changed]
    for owner, name, value in changed:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def to_fake(module: nn.Module) -> None:
    """Parameters and buffers become fake tensors of the GPU, in the mode that is on."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                made = torch.empty(parameter.shape, dtype=parameter.dtype, device="cuda")
                part._parameters[name] = nn.Parameter(made)
        for name, buffer in list(part._buffers.items()):
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device="cuda")


def data() -> Split:
    """Distinct random pairs of Gowalla's sizes, items Zipf-like."""
    rng = np.random.default_rng(0)
    weight = 1 / (np.arange(ITEMS) + 50.0)
    item = rng.choice(ITEMS, 1027464, p=weight / weight.sum())
    user, item = np.divmod(np.unique(rng.integers(USERS, size=1027464) * ITEMS + item), ITEMS)
    made = Dataset("random", user.astype(np.int32), item.astype(np.int32), USERS, ITEMS, synthetic=True)
    return random_split(made, 123)


def steps(pairs: Any) -> tuple[dict[str, Callable[[], Any]], dict[str, tuple[Callable[[Any], Any], int]]]:
    """The backbones, and the losses with the sizes of their batches."""
    popularity = torch.ones(ITEMS, dtype=torch.long)
    backbones: dict[str, Callable[[], Any]] = {
        "MF": lambda: MF(USERS, ITEMS, DIM),
        "NonLinearMF": lambda: NonLinearMF(USERS, ITEMS, DIM),
        "LightGCN": lambda: LightGCN(USERS, ITEMS, pairs, DIM),
    }
    losses: dict[str, tuple[Callable[[Any], Any], int]] = {
        "BPR": (lambda model: BPR(), 16384),
        "SSM": (lambda model: SSM(), 16384),
        "DirectAU": (lambda model: DirectAU(5.0), 4096),
        "MAWU": (lambda model: MAWU(USERS, ITEMS, 2.6, 1.4), 4096),
        "MAWU-released": (lambda model: MAWU(USERS, ITEMS, uniformity=uniformity_released), 4096),
        "IPL": (lambda model: IPL(popularity, 1.0, 1.5), 16384),
        "IPL-released": (lambda model: IPL(popularity, 1.0, 1.5, form="released"), 16384),
        "ReSN": (lambda model: ReSN(0.01), 16384),
        "MACR": (lambda model: MACR(DIM), 16384),
    }
    return backbones, losses


def given_decay(scope: str) -> bool:
    """Whether an optimiser other than Adam is given a decay: that of the batch's rows, whose launches are looked at."""
    return scope == "batch"


def traced(backbone: Any, loss: Any, size: int, optimizer: str, scope: str, with_kernels: bool, graph: Graph) -> Any:
    """One step after a first one: what was launched, the error that ended it, why the library does not capture it."""
    watch, first = Watch(), Watch()
    model = backbone()
    criterion = loss(model)
    mode = FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False)
    error = None
    with mode, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        to_fake(model)
        to_fake(criterion)
        modules = nn.ModuleList([model, criterion])
        decay = 1e-4 if optimizer == "adam" or given_decay(scope) else 0.0
        stepper = make_optimizer(optimizer, modules, 1e-3, decay, scope)
        reason = why_not(model, criterion, stepper, "all")
        for group in getattr(stepper, "param_groups", []):
            if "capturable" in group:
                group["capturable"] = True

        def step(user: Tensor, item: Tensor, generator: torch.Generator) -> Tensor:
            batch_decay = decay if scope == "batch" else 0.0
            return train_step(model, criterion, stepper, user, item, ITEMS, generator, batch_decay)

        pairs = torch.empty(PAIRS, dtype=torch.long, device="cuda"), torch.empty(PAIRS, dtype=torch.long, device="cuda")
        try:
            captured = CapturedSteps(step, pairs, size, torch.Generator(), None)
            with gpu_paths(first, with_kernels, graph), first:
                captured._body()  # sets up the optimiser's moments, as a warm-up does
            with gpu_paths(watch, with_kernels, graph), watch:
                captured._body()
        except Exception as failure:
            frames = [frame for frame in traceback.extract_tb(failure.__traceback__) if "/prismlib/" in frame.filename]
            at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "backward"
            error = f"{type(failure).__name__} at {at}: {str(failure).partition(chr(10))[0][:160]}"
    return watch, error, reason


def traced_validation(split: Any) -> Watch:
    """One call of the ranking of the validation, in which nothing is out of the ordinary."""
    watch = Watch()

    def answered(x: Tensor) -> list[Any]:
        watch.waits.append(f"tolist at {place()}")
        return [0.0] * x.numel()

    block_size, tolist = ranking.block_size, FakeTensor.tolist
    ranking.block_size = lambda items, device: block_size(items, torch.device("cuda"))
    try:
        groups = popularity_groups(torch.from_numpy(split.item_popularity))
        ranked = FullRanking(split.validation, [split.train], groups, USERS)
        FakeTensor.tolist = answered  # type: ignore[method-assign, assignment]
        with FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False):

            def fake(x: Tensor) -> Tensor:
                return torch.empty(x.shape, dtype=x.dtype, device="cuda")

            for name in ("users", "count", "relevant", "groups"):
                setattr(ranked, name, fake(getattr(ranked, name)))
            ranked._blocks = [(fake(row), fake(masked)) for row, masked in ranked._blocks]
            ranked._looks = False
            user, item = (torch.empty(n, DIM, device="cuda") for n in (USERS, ITEMS))
            with watch:
                ranked(user, item)
    finally:
        ranking.block_size, FakeTensor.tolist = block_size, tolist  # type: ignore[method-assign]
    return watch


def heaviest(watch: Watch, number: int) -> Iterator[str]:
    """The operations that cost most, those of a line together."""
    together: dict[str, list[Launch]] = defaultdict(list)
    for each in watch.launches:
        together[f"{each.name} {each.where}"].append(each)
    cost = {key: sum(x.launches * NODE + x.seconds for x in each) for key, each in together.items()}
    for key in sorted(cost, key=lambda key: -cost[key])[:number]:
        yield f"      {cost[key] * 1e6:7.1f} us {sum(x.launches for x in together[key]):4}  {key}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", help="Words that a name has, one after the other.")
    parser.add_argument("--heaviest", type=int, default=0, help="Print so many of the heaviest operations of each.")
    parser.add_argument("--all", action="store_true", help="Every backbone, loss and optimiser, also without Triton.")
    parser.add_argument("--write", action="store_true", help="Make tests/gpu/launches.json anew.")
    given = parser.parse_args()
    split = data()
    pairs = split.train
    backbones, losses = steps(pairs)
    todo = [(name, "adam", "table", True) for name in TARGETS] + [(name, how, "table", True) for name, how in OTHERS]
    if given.all:
        ways = [("adam", "table"), ("adam", "batch"), ("adam", "decoupled"), ("sgd", "table"), ("sgd", "batch")]
        todo = [
            (f"{backbone} {loss}", *way, with_kernels)
            for backbone in backbones
            for loss in losses
            for way in ways
            for with_kernels in (True, False)
        ]
    table: dict[str, Any] = {}
    bad = 0
    known = json.loads(TABLE.read_text()) if TABLE.exists() and not given.all and not given.write else {}
    for name, optimizer, scope, with_kernels in todo:
        label = name if optimizer == "adam" and not given.all else f"{name} {optimizer}"
        label += f" {scope}{'' if with_kernels else ' without Triton'}" if given.all else ""
        if given.only and not any(f" {part} " in f" {label} " for part in given.only):
            continue
        backbone, loss = name.split()
        size = losses[loss][1]
        watch, error, reason = traced(
            backbones[backbone], losses[loss][0], size, optimizer, scope, with_kernels, graph_of(pairs, size)
        )
        table[label] = predicted(watch, TARGETS.get(label)) | {"card_ms": milliseconds(busy(watch))}
        waits = reason is None and (error is not None or bool(watch.waits))
        told = f"not captured: {reason}" if reason else error or "; ".join(sorted(set(watch.waits))) or "no waits"
        bad += report(label, table[label], watch, told, waits, known, given.heaviest)
    if not given.all and (not given.only or "validation" in given.only):
        watch = traced_validation(split)
        table["validation"] = predicted(watch, VALIDATION) | {"waits": len(watch.waits)}
        told = "; ".join(sorted(set(watch.waits)))
        bad += report("validation", table["validation"], watch, told, len(watch.waits) > 1, known, given.heaviest)
        if "MF DirectAU" in table:
            table |= of_steps(table["MF DirectAU"], table["validation"])
    if given.write:
        TABLE.write_text(json.dumps(table, indent=1) + "\n")
    print(f"{len(table)} rows, {bad} wrong")
    return 1 if bad else 0


def busy(watch: Watch) -> float:
    """Seconds that memory and arithmetic take."""
    return sum(each.seconds for each in watch.launches)


def milliseconds(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def predicted(watch: Watch, target: float | None) -> dict[str, Any]:
    """A row of the table: what is launched, and the milliseconds that follow."""
    launches = sum(each.launches for each in watch.launches)
    row = {"launches": launches, "predicted_ms": milliseconds(launches * NODE + busy(watch) + len(watch.waits) * WAIT)}
    return row if target is None else row | {"target_ms": target}


def of_steps(step: dict[str, Any], validation: dict[str, Any]) -> dict[str, Any]:
    """A whole run, and the steps of processes that share a card: while one's launches wait, the others work."""
    epoch = WHOLE * step["predicted_ms"] / 1e3 + LAST + validation["predicted_ms"] / 1e3
    together = round(1e3 / step["card_ms"], -1)
    return {
        "run to early stop": {"predicted_s": round(EPOCHS * epoch, 1), "target_s": RUN},
        "8 processes": {"predicted_steps_per_s": together, "target_steps_per_s": TOGETHER},
    }


def report(
    label: str, row: dict[str, Any], watch: Watch, told: str, waits: bool, known: dict[str, Any], number: int
) -> bool:
    """Print a row with its heaviest operations; whether something is wrong with it."""
    before = known.get(label, row)["launches"]
    note = f"  WRONG, {before} launches in the table" if before != row["launches"] else "  WRONG" if waits else ""
    print(f"{label:36} {row['launches']:4} launches {row['predicted_ms']:6.3f} ms predicted, {told}{note}", flush=True)
    for line in heaviest(watch, number):
        print(line)
    return bool(note)


if __name__ == "__main__":
    sys.exit(main())
