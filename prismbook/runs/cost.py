"""What runs will cost, from what like runs took: epochs and hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from prismbook.plan.config import RunConfig
from prismbook.runs.records import Record
from prismbook.runs.run import load_split, run


class Kind(NamedTuple):
    """What the time of an epoch depends on."""

    dataset: str
    backbone: str
    loss: str
    dim: int
    batch_size: int | None
    num_negatives: int | None
    precision: str
    device: str

    def __str__(self) -> str:
        return f"{self.backbone} with {self.loss}"


def kind(config: RunConfig) -> Kind:
    """The kind of run that a configuration is."""
    return Kind(*(getattr(config, field) for field in Kind._fields))


@dataclass(frozen=True)
class Expected:
    """Epochs and hours of one worker: about so many, going by like runs, and at most, by ``max_epochs``."""

    epochs: int
    most_epochs: int
    hours: float
    most_hours: float
    unmeasured: list[str]


class Costs:
    """Seconds an epoch, from records of the same kind and device; epochs a run, from records of the same kind.

    Args:
        records: what was run so far.
        device: as :func:`prismbook.runs.machine.environment` names it; None takes records of any device.
    """

    def __init__(self, records: Iterable[Record], device: str | None) -> None:
        self.device = device
        self.epochs: dict[Kind, list[int]] = {}
        self.spent: dict[Kind, tuple[float, int]] = {}  # seconds, epochs
        for record in records:
            self.add(record)

    def add(self, record: Record | None) -> None:
        """Learn from one more record."""
        if record is None:
            return
        config = RunConfig(**record["config"])
        epochs = len(record["history"]["loss"])
        self.epochs.setdefault(kind(config), []).append(epochs)
        if self.device in (None, record["environment"]["device"]):
            self._spend(kind(config), record["seconds"]["train"] + record["seconds"]["evaluate"], epochs)

    def _spend(self, its: Kind, seconds: float, epochs: int) -> None:
        before = self.spent.get(its, (0.0, 0))
        self.spent[its] = before[0] + seconds, before[1] + epochs

    def measure(self, configs: Iterable[RunConfig]) -> None:
        """Train one epoch of each kind that has not run on this device; nothing is stored.

        A kind whose epoch fails stays unmeasured: the run itself will say why.
        """
        tried = set(self.spent)
        # the smallest learning rate: least likely to fail
        for config in sorted(configs, key=lambda config: config.lr):
            if kind(config) not in tried:
                tried.add(kind(config))
                split = load_split(config.dataset, config.split_seed)
                with suppress(ArithmeticError, RuntimeError, MemoryError, ValueError):
                    seconds = run(replace(config, max_epochs=1), split)[0]["seconds"]
                    self._spend(kind(config), seconds["train"] + seconds["evaluate"], 1)

    def of(self, configs: Mapping[RunConfig, int]) -> Expected:
        """What these runs will take, each as often as it is counted, one after the other."""
        epochs, most_epochs, hours, most_hours = 0.0, 0, 0.0, 0.0
        unmeasured: dict[str, None] = {}
        for config, count in configs.items():
            its = kind(config)
            stored = self.epochs.get(its, [config.max_epochs])
            usual = min(sum(stored) / len(stored), config.max_epochs)
            seconds, measured = self.spent.get(its, (0.0, 0))
            if not measured:
                unmeasured[str(its)] = None
            hour = seconds / max(measured, 1) / 3600
            epochs += count * usual
            most_epochs += count * config.max_epochs
            hours += count * usual * hour
            most_hours += count * config.max_epochs * hour
        return Expected(round(epochs), most_epochs, hours, most_hours, list(unmeasured))


def duration(hours: float) -> str:
    """Hours as a reader wants them.

    >>> duration(0.001), duration(0.5), duration(30)
    ('4 s', '30 min', '30.0 h')
    """
    seconds = hours * 3600
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{hours:.1f} h"
