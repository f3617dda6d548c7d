"""A GPU that is the CPU: ``fit`` runs with values, captured and replayed, on a machine without a card.

    python tests/gpu/emulate.py [--only "MF DirectAU adam"] [--all] [--kernels] [--plant order look]

Tensors say that they are on "cuda:0" and hold a tensor of the CPU, so the library takes its branches for a GPU. A
capture notes each operation and each kernel launch; what it changed is put back, as a capture runs nothing. A replay
repeats what was noted on the same memory: what Python decides in a step is decided once, as in a CUDA graph. In a
capture an operation that waits for the host, a copy from the host and a generator that is not registered are errors, as
there. --kernels adds the Triton kernels, interpreted. --plant makes mistakes, one in each training, that must be found.

Training with capture, without, and on the plain CPU must agree. Streams, races, the reuse of memory and speed are not
emulated. Exit status 1: a training fails, is not captured, or gives other numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
if "--kernels" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
from pretended import WAITS, pretend_gpu  # noqa: E402

pretend_gpu()
os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves, tree_map  # noqa: E402

from prismlib import (  # noqa: E402
    BPR,
    MAWU,
    MF,
    SSM,
    DirectAU,
    FullRanking,
    LightGCN,
    NonLinearMF,
    _capture,
    fit,
    popularity_groups,
    random_split,
    synthetic,
    train,
)
from prismlib._fast import kernels, sparse, trial  # noqa: E402
from prismlib.baselines import IPL, MACR, ReSN  # noqa: E402

GPU = torch.device("cuda", 0)
USERS, ITEMS, DIM, SIZE = 60, 50, 8, 100
#: The interpreter takes minutes for an epoch; one has the warm-up, the capture and replays.
EPOCHS = 1 if "--kernels" in sys.argv else 3
#: A captured loss may differ from the CPU's by this part, and parameters of captured steps from those taken one by one.
NEAR, SAME = 1e-4, 1e-5
#: The largest relative difference of a score. Adam's first step has one size for each coordinate, so one whose gradient
#: is rounding goes either way, and two items that are nearly level change places.
LEVEL = 1e-2
#: What the gate trains; --all takes every combination.
GATE = ["MF DirectAU adam table", "LightGCN BPR adam batch", "NonLinearMF MAWU adam decoupled", "MF SSM sgd batch",
        "MF BPR rowwise_adagrad table", "MF MACR sgd_momentum table"]  # fmt: skip


class OnGpu(torch.Tensor):
    """Says that it is on cuda:0, and holds a tensor of the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGpu:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=GPU
        )
        made.held = held
        return made

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def tolist(self) -> list[Any]:
        return [x.item() if x.dim() == 0 else x.tolist() for x in self.unbind()]

    def __repr__(self) -> str:
        return f"OnGpu({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of the emulation")


class Graph:
    """What was captured."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []

    def replay(self) -> None:
        for step in self.steps:
            step()


class Emulation(TorchDispatchMode):
    """Runs operations on the tensors that are held, and notes them while a graph is captured."""

    def __init__(self) -> None:
        super().__init__()
        self.graph: Graph | None = None
        self.captured: list[Graph] = []
        self.generator: Any = None
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # storages that a capture has changed, as they were
        self.own: set[int] = set()  # storages that a capture has made

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        leaves = tree_leaves((args, kwargs))
        given = [x for x in leaves if isinstance(x, OnGpu)]
        name = func.overloadpacket.__name__
        if func.namespace == "prim" and name == "device":
            return GPU
        if not given and not any(isinstance(x, torch.device) and x.type == "cuda" for x in leaves):
            return func(*args, **kwargs)
        leaving = any(isinstance(x, torch.device) and x.type == "cpu" for x in leaves)
        plain = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, OnGpu) and x.dim()]
        if self.graph is not None and (name in WAITS or leaving or plain):
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        if plain and name not in ("copy_", "_to_copy", "copy"):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device")
        generator = kwargs.get("generator")
        if name in ("randint", "randperm") and generator is None:
            raise RuntimeError("a draw without a generator")
        # the object is another one each time; of two that share a generator the states are always equal
        if (
            self.graph is not None
            and generator is not None
            and not torch.equal(generator.get_state(), self.generator.get_state())
        ):
            raise RuntimeError("a generator that is not registered draws in a capture")

        def inner(x: Any) -> Any:
            return x.held if isinstance(x, OnGpu) else torch.device("cpu") if isinstance(x, torch.device) else x

        held_args, held_kwargs = tree_map(inner, args), tree_map(inner, kwargs)
        changed = {id(x.held): x for x in written(func, args, kwargs)}
        self.keep([x.held for x in changed.values()])
        out = func(*held_args, **held_kwargs)
        if self.graph is not None:
            self.note(func, held_args, held_kwargs, out, bool(changed))
        if leaving and name == "_to_copy":
            return out

        def outer(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            return changed[id(x)] if id(x) in changed else OnGpu(x)

        return tree_map(outer, out)

    def keep(self, changed: list[Tensor]) -> None:
        """What a capture changes, and did not make itself, is put back at its end."""
        if self.graph is None:
            return
        for x in changed:
            storage = x.untyped_storage()
            if storage.data_ptr() not in self.own and storage.data_ptr() not in self.before:
                flat = torch.empty(0, dtype=torch.uint8).set_(storage)
                self.before[storage.data_ptr()] = (flat, flat.clone())

    def note(self, func: Any, args: Any, kwargs: Any, out: Any, in_place: bool) -> None:
        """Add an operation to the graph, unless it is a view: the memory is then the same."""
        assert self.graph is not None
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        fresh = [
            x if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in given else None
            for x in tree_leaves(out)
        ]
        self.own |= {x.untyped_storage().data_ptr() for x in fresh if x is not None}
        if not in_place and all(x is None for x in fresh):
            return

        def again() -> None:
            for target, value in zip(fresh, tree_leaves(func(*args, **kwargs)), strict=True):
                if target is not None and target.numel():
                    target.copy_(value)

        self.graph.steps.append(again)

    def capture(self, body: Callable[[], None], generator: torch.Generator) -> Graph:
        """In place of ``prismlib._capture.cuda_graph``."""
        graph, state = Graph(), generator.get_state()
        self.graph, self.generator, self.before, self.own = graph, generator, {}, set()
        try:
            body()
        finally:
            for flat, kept in self.before.values():
                flat.copy_(kept)
            generator.set_state(state)
            self.graph = None
        self.captured.append(graph)
        self.captured_kept = (self.before, self.own)  # or another tensor could have an address of these
        return graph

    def compiled(self, kernel: Callable[..., None]) -> Any:
        """In place of ``kernels.compiled``: a launch is interpreted, or noted."""
        import triton
        import triton.language as tl

        kernel.__globals__["tl"] = tl
        jit, gpu = triton.jit(kernel), self

        class OnGrid:
            def __getitem__(self, grid: Any) -> Callable[..., None]:
                def launch(*given: Any, **options: Any) -> None:
                    held = [x.held if isinstance(x, OnGpu) else x for x in given]
                    gpu.keep([x for x in held if isinstance(x, Tensor)])
                    if gpu.graph is None:
                        jit[grid](*held, **options)
                    else:
                        gpu.graph.steps.append(lambda: jit[grid](*held, **options))

                return launch

        return OnGrid()


def written(func: Any, args: Any, kwargs: Any) -> list[OnGpu]:
    """The arguments that an operation changes."""
    found: list[OnGpu] = []
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            found += [x for x in tree_leaves(value) if isinstance(x, OnGpu)]
    return found


class Generator(torch.Generator):
    """A CPU's generator, whatever device is asked for."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        return super().__new__(cls, "cpu")

    device = GPU  # type: ignore[assignment]


class Stream:
    def wait_stream(self, other: Any) -> None:
        """There is one stream."""


class Product:
    """A sparse matrix, multiplied by operations that a capture can note."""

    def __init__(self, matrix: sparse.SparseMatrix, values: Tensor) -> None:
        self.matrix, self.values = matrix, values

    def __matmul__(self, x: Tensor) -> Tensor:
        pointers, columns = self.matrix.pointers.long(), self.matrix.columns.long()
        owner = torch.searchsorted(pointers, torch.arange(len(columns), device=x.device), right=True) - 1
        product = torch.zeros(self.matrix.shape[0], x.shape[1], dtype=x.dtype, device=x.device)
        return product.index_add_(0, owner, self.values[:, None] * x.index_select(0, columns))


@contextlib.contextmanager
def emulated_gpu(with_kernels: bool) -> Iterator[Emulation]:
    """The library's branches for a GPU run on tensors of the CPU."""
    gpu = Emulation()

    def can_run(function: Any, x: Any, precision: str = "") -> bool:
        if not with_kernels or x.device.type != "cuda":
            return False
        return function is kernels.first_of_each or (x.dtype == torch.float32 and x.shape[-1] <= kernels.MAX_DIM)

    plain = sparse.SparseMatrix.forward

    def forward(self: Any, dtype: torch.dtype) -> Any:
        values = self.values.to(dtype)
        return Product(self, values) if isinstance(values, OnGpu) else plain(self, dtype)

    changed = [
        (trial, "can_run", can_run),
        (kernels, "compiled", gpu.compiled),
        (sparse.SparseMatrix, "forward", forward),
        (_capture, "GRAPHS", {"cuda": gpu.capture}),
        (train, "check_memory", lambda needed, device: None),
        (torch, "Generator", Generator),
        (torch.cuda, "device_of", lambda x: contextlib.nullcontext()),
        (torch.cuda, "_lazy_init", lambda: None),
        (torch.cuda, "current_stream", lambda device=None: Stream()),
        (torch.cuda, "Stream", lambda device=None: Stream()),
        (torch.cuda, "stream", lambda stream: contextlib.nullcontext()),
        (torch.cuda, "get_device_properties", lambda device: SimpleNamespace(multi_processor_count=4, major=9)),
        (torch, "is_autocast_enabled", lambda device=None: False),
        (torch, "autocast", lambda *_, **__: contextlib.nullcontext()),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changed]
    for owner, name, value in changed:
        setattr(owner, name, value)
    try:
        yield gpu
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def to_gpu(module: nn.Module) -> None:
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                part._parameters[name] = nn.Parameter(OnGpu(parameter.detach().clone()))
        for name, buffer in list(part._buffers.items()):
            if buffer is not None:
                part._buffers[name] = OnGpu(buffer.clone())


def on_cpu(x: Tensor) -> Tensor:
    x = x.detach()
    return x.held if isinstance(x, OnGpu) else x


SPLIT = random_split(synthetic(USERS, ITEMS, 700), seed=3)
POPULARITY = torch.from_numpy(SPLIT.item_popularity)
BACKBONES: dict[str, Callable[[Any], Any]] = {
    "MF": lambda g: MF(USERS, ITEMS, DIM, g),
    "NonLinearMF": lambda g: NonLinearMF(USERS, ITEMS, DIM, generator=g),
    "LightGCN": lambda g: LightGCN(USERS, ITEMS, SPLIT.train, DIM, generator=g),
}
LOSSES: dict[str, Callable[[Any], Any]] = {
    "BPR": lambda g: BPR(),
    "SSM": lambda g: SSM(num_negatives=4),
    "DirectAU": lambda g: DirectAU(2.0),
    "MAWU": lambda g: MAWU(USERS, ITEMS, 0.8, 0.6, generator=g),
    "IPL": lambda g: IPL(POPULARITY, 1.0, 1.5),
    "IPL-epoch": lambda g: IPL(POPULARITY, 1.0, 1.5, form="epoch"),
    "ReSN": lambda g: ReSN(0.01),
    "MACR": lambda g: MACR(DIM, generator=g),
}
WAYS = [
    ("adam", "table"), ("adam", "batch"), ("adam", "decoupled"), ("sgd", "table"), ("sgd", "batch"),
    ("sgd_momentum", "table"), ("rowwise_adagrad", "table"),
]  # fmt: skip


def trained(case: str, gpu: bool, capture: bool) -> tuple[list[float], list[float], list[Tensor]]:
    """The losses, the validation's scores and the parameters of a short training."""
    backbone, loss, optimizer, scope = case.split()
    g = torch._C.Generator()
    g.manual_seed(0)
    model, criterion = BACKBONES[backbone](g), LOSSES[loss](g)
    if gpu:
        to_gpu(model)
        to_gpu(criterion)
    device = GPU if gpu else "cpu"
    ranking = FullRanking(SPLIT.validation, [SPLIT.train], popularity_groups(POPULARITY), USERS, device=device)
    decay = 0.0 if optimizer in ("rowwise_adagrad",) else 0.1
    options: dict[str, Any] = {"lr": 0.01, "batch_size": SIZE, "max_epochs": EPOCHS, "capture": capture}
    options |= {"optimizer": optimizer, "decay_scope": scope, "weight_decay": decay}
    history = fit(model, criterion, SPLIT.train, ranking, **options)
    parameters = [on_cpu(x) for x in (*model.parameters(), *criterion.parameters())]
    return history.loss, history.validation_dot + history.validation_cosine, parameters


@contextlib.contextmanager
def planted(mistake: str | None) -> Iterator[None]:
    """A mistake that a capture makes a wrong training of, and a step that is taken by itself does not."""
    body = _capture.CapturedSteps._body

    def replaced_counter(self: Any) -> None:
        body(self)
        self.start = self.start.clone()

    def replaced_order(self: Any) -> None:
        self.order = self.order.clone()
        body(self)

    def looked_at(self: Any) -> None:
        body(self)
        float(self.total)

    changed = {"counter": replaced_counter, "order": replaced_order, "look": looked_at}
    if mistake is not None:
        _capture.CapturedSteps._body = changed[mistake]  # type: ignore[method-assign]
    try:
        yield
    finally:
        _capture.CapturedSteps._body = body  # type: ignore[method-assign]


def judged(case: str, with_kernels: bool, mistake: str | None) -> tuple[str, bool]:
    """What there is to say of a case, and whether it is right."""
    expected = trained(case, False, False)
    found, captured = {}, []
    for capture in (False, True):
        try:
            with emulated_gpu(with_kernels) as gpu, planted(mistake if capture else None), gpu:
                found[capture] = trained(case, True, capture)
                captured = gpu.captured
        except Exception as error:
            return f"{'captured' if capture else 'one by one'}: {type(error).__name__}: {error}"[:300], False
    off, scores_off = (
        max(abs(a / b - 1) for a, b in zip(found[True][part], expected[part], strict=True)) for part in (0, 1)
    )
    pairs = list(zip(found[True][2], found[False][2], strict=True))
    apart = max(float((a - b).norm() / b.norm().clamp_min(1e-12)) for a, b in pairs)
    told = f"losses {off:.0e} and scores {scores_off:.0e} from the CPU's, parameters {apart:.0e} from one by one"
    if not captured:
        return f"{told}; not captured", False
    return f"{told}; a graph of {len(captured[0].steps)}", off <= NEAR and scores_off <= LEVEL and apart <= SAME


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", help="Words that a name has, one after the other.")
    parser.add_argument("--all", action="store_true", help="Every backbone, loss and optimiser.")
    parser.add_argument("--kernels", action="store_true", help="The Triton kernels too, interpreted.")
    parser.add_argument(
        "--plant", nargs="+", default=[None], choices=("counter", "order", "look"), help="Mistakes, each to be found."
    )
    given = parser.parse_args(arguments)
    cases = [" ".join((*names, *way)) for *names, way in itertools.product(BACKBONES, LOSSES, WAYS)]
    if not given.all and not given.only:
        cases = GATE
    bad = count = 0
    for case, mistake in itertools.product(cases, given.plant):
        if given.only and not any(f" {part} " in f" {case} " for part in given.only):
            continue
        told, right = judged(case, given.kernels, mistake)
        count, bad = count + 1, bad + (not right)
        print(f"{case:40} {told}{'' if right else '  WRONG'}", flush=True)
    print(f"{count} trainings, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
