"""The training step of a GPU, captured in a CUDA graph and replayed: the GPU does not wait for Python.

The loop over batches is that of :func:`prismlib.train.fit`, and its step is :func:`prismlib.train.train_step`. On a GPU
the step is captured once, as it stands, and replayed for each batch. A replay launches the kernels of the step that was
captured: what Python decides in a step is decided once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from prismlib.losses import RankingLoss
from prismlib.models import Backbone
from prismlib.optim import Optimizer

#: A training step takes user ids, item ids and the source of negatives; it returns the detached loss, float32 at least.
Step = Callable[[Tensor, Tensor, torch.Generator], Tensor]
#: Steps that run before the capture, so that all that PyTorch sets up at a first call is there.
WARM_UP = 3

log = logging.getLogger(__name__)


class Graph(Protocol):
    """What was captured: ``replay()`` does it again on the values that its tensors hold by then."""

    def replay(self) -> None:
        """Launch the captured work."""


def cuda_graph(body: Callable[[], None], generator: torch.Generator) -> Graph:
    """Capture what ``body`` launches; nothing of it runs.

    Args:
        body: works on tensors that stay where they are, and keeps the host waiting for nothing.
        generator: its draws go on from replay to replay.

    Raises:
        RuntimeError: ``body`` cannot be captured.
    """
    device = generator.device
    with (
        # else the capture would be that of the GPU that happens to be current, and nothing of the body would be in it
        torch.cuda.device(device),
        # a capture that breaks off leaves the thread on its stream; this brings it back
        torch.cuda.stream(torch.cuda.current_stream(device)),
    ):
        graph = torch.cuda.CUDAGraph()
        if _registers_generators():
            graph.register_generator_state(generator)
        # PyTorch's own stream for captures is of the GPU that it first captured on; other threads may do what they like
        side = torch.cuda.Stream(device)
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            body()
    return graph


def _registers_generators() -> bool:
    """Whether a graph must be told of its generator: from PyTorch 2.14 on it finds it, and telling warns."""
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    return (major, minor) < (2, 14)


#: Captures what a function launches, which draws from a generator.
Capture = Callable[[Callable[[], None], torch.Generator], Graph]


class CapturedSteps:
    """The steps of each epoch where a graph replays them. It takes the steps of the loop in :func:`prismlib.train.fit`.

    The first few steps run one by one, as a capture asks, and so does the last batch of an epoch where it is smaller.

    Args:
        step: takes one batch; called with its users, its items, and the generator.
        pairs: the training interactions' users and items, int64, ``(n,)`` each, on the model's device.
        batch_size: pairs per step; the last batch of an epoch may be smaller.
        generator: source of the steps' draws.
        graph: captures steps, see :func:`cuda_graph`; None takes every step one by one.
        modules: what is trained. Where an epoch finds other parameters, or others that are trained, the step is
            captured anew. None looks at nothing.

    Attributes:
        generator: the source from here on. It is another object, in the same state, after a capture that failed.

    >>> users = torch.arange(5)
    >>> def step(user, item, generator):
    ...     return item.float().mean()
    >>> captured = CapturedSteps(step, (users, users), 2, torch.Generator(), graph=None)
    >>> captured.epoch(torch.tensor([4, 1, 3, 0, 2]))  # the sum over pairs
    tensor(10.)
    """

    def __init__(
        self,
        step: Step,
        pairs: tuple[Tensor, Tensor],
        batch_size: int,
        generator: torch.Generator,
        graph: Capture | None,
        modules: nn.Module | None = None,
    ) -> None:
        self.modules = modules
        self.step, self.pairs, self.batch_size, self.generator, self.graph = step, pairs, batch_size, generator, graph
        device = pairs[0].device
        # a graph reads and writes these where they are; they are filled, never replaced
        self.order = torch.empty(len(pairs[0]), dtype=torch.long, device=device)
        self.start = torch.zeros((), dtype=torch.long, device=device)
        self.total = torch.zeros((), device=device)
        self.within = torch.arange(min(batch_size, len(pairs[0])), device=device)
        self.captured: Graph | None = None
        self.seen: list[tuple[int, int, bool]] = []
        self.warm = 0

    def epoch(self, order: Tensor) -> Tensor:
        """Take the steps of one epoch.

        Args:
            order: a permutation of the pairs, int64, ``(n,)``.

        Returns:
            The sum of the pairs' losses, a float32 scalar on the device. It is a copy.
        """
        self._look_at_parameters()
        self.order.copy_(order)
        self.total.zero_()
        self.start.zero_()
        whole = len(self.order) // self.batch_size
        for _ in range(whole):
            self._next()
        rest = self.order[whole * self.batch_size :]
        if len(rest):
            self._take(rest)
        return self.total.clone()

    def _look_at_parameters(self) -> None:
        """Capture anew where a parameter was replaced, moved, frozen or thawed: a graph goes on with what it knew."""
        parameters = [] if self.modules is None else self.modules.parameters()
        seen = [(id(each), each.data_ptr(), each.requires_grad) for each in parameters]
        if seen != self.seen:
            self.seen, self.captured, self.warm = seen, None, 0

    def _take(self, chosen: Tensor) -> None:
        user, item = (ids.index_select(0, chosen) for ids in self.pairs)
        self.total += self.step(user, item, self.generator) * len(chosen)

    def _body(self) -> None:
        """One whole batch. The device knows which: the host need not say, and a graph can repeat it."""
        self._take(self.order.index_select(0, self.within + self.start))
        self.start += self.batch_size

    def _next(self) -> None:
        if self.graph is None:
            self._body()
        elif self.captured is not None:
            self.captured.replay()
        elif self.warm < WARM_UP:
            self.warm += 1
            self._on_a_side_stream()
        else:
            self._capture(self.graph)
            self._next()

    def _on_a_side_stream(self) -> None:
        """A capture asks that what it captures has run before, on another stream than the default one."""
        if self.order.device.type != "cuda":
            self._body()
            return
        here, side = torch.cuda.current_stream(self.order.device), torch.cuda.Stream(self.order.device)
        side.wait_stream(here)
        with torch.cuda.stream(side):
            self._body()
        here.wait_stream(side)

    def _capture(self, graph: Capture) -> None:
        state = self.generator.get_state()
        try:
            self.captured = graph(self._body, self.generator)
        except Exception as error:  # a warning that is an error, or a method that is no more: training goes on
            # a capture that breaks off ends with an error of its own, which comes after the cause
            causes = [each for each in (error.__context__, error) if each is not None]
            told = "; then ".join(str(each).partition("\n")[0] or type(each).__name__ for each in causes)
            log.warning("training steps run one by one: their capture failed, %s", told)
            self.graph = None
            # a generator that a capture was broken off with stays bound to it
            self.generator = torch.Generator(self.generator.device)
            self.generator.set_state(state)


#: What captures steps, by type of device; on others they are taken one by one.
GRAPHS: dict[str, Capture] = {"cuda": cuda_graph}


def graph_for(
    model: Backbone, criterion: RankingLoss, optimizer: Optimizer, negatives: str, device: torch.device
) -> Capture | None:
    """What captures the steps of a training, or None where they are taken one by one; the log says why on a GPU.

    Args:
        model: the model that is trained.
        criterion: its loss.
        optimizer: the optimiser that takes the steps. It is set up for a capture.
        negatives: where a step draws negatives from, see :func:`prismlib.train.train_step`.
        device: the model's.

    >>> from prismlib import BPR, MF
    >>> model = MF(2, 3, dim=4)
    >>> graph_for(model, BPR(), torch.optim.SGD(model.parameters()), "all", torch.device("cpu")) is None
    True
    """
    graph = GRAPHS.get(device.type)
    if graph is None:
        return None
    reason = why_not(model, criterion, optimizer, negatives)
    if reason is not None:
        log.info("training steps run one by one: %s", reason)
        return None
    for group in getattr(optimizer, "param_groups", []):
        if "capturable" in group and device.type == "cuda":  # counts steps where a graph can: on the GPU
            group["capturable"] = True
    return graph


def why_not(model: Backbone, criterion: RankingLoss, optimizer: Optimizer, negatives: str) -> str | None:
    """Why the steps of a training cannot be captured; None where they can.

    Args:
        model: the model that is trained.
        criterion: its loss.
        optimizer: the optimiser that takes the steps.
        negatives: where a step draws negatives from, see :func:`prismlib.train.train_step`.

    >>> from prismlib import BPR, MF
    >>> model = MF(2, 3, dim=4)
    >>> why_not(model, BPR(), torch.optim.SGD(model.parameters()), "batch")
    "negatives='batch' counts the distinct items of each batch on the host"
    """
    if any(isinstance(part, nn.Embedding) and part.sparse for part in nn.ModuleList([model, criterion]).modules()):
        return "sparse=True, as for 'sparse_adam', has gradients of as many rows as the batch has distinct ids"
    if negatives == "batch":
        return "negatives='batch' counts the distinct items of each batch on the host"
    for part in nn.ModuleList([model, criterion]).modules():
        kind = type(part)
        if kind.__module__.partition(".")[0] == "torch":
            continue
        # not inherited: the Python of a subclass may decide anew at each step what its parent decides once
        if "capturable" not in vars(kind):
            return f"{kind.__name__} does not say that it is capturable, and a graph repeats what its Python once did"
        if not part.capturable:
            return f"{kind.__name__}({part.extra_repr()}) says that it is not capturable"
    return None
