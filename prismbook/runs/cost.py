"""What runs will cost in epochs and hours, from what runs of the same kind took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from prismbook.plan.config import RunConfig
from prismbook.runs.records import Record, planned
from prismbook.runs.run import run
from prismlib import datasets


class Kind(NamedTuple):
    """What the time of an epoch depends on.

    Attributes:
        dataset: the dataset's name.
        backbone: the backbone, e.g. ``"mf"``.
        loss: the loss, e.g. ``"bpr"``.
        dim: length of an embedding.
        batch_size: pairs per step; None for the loss's default.
        num_negatives: negatives per pair; None for the loss's default.
        precision: the precision of a step, e.g. ``"float32"``.
        device: the class of device, ``"cpu"`` or ``"cuda"``.
    """

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
    """What one worker needs for some runs.

    Attributes:
        epochs: how many epochs to expect, from runs of the same kind.
        most_epochs: how many there are at most, from ``max_epochs``.
        hours: how many hours to expect.
        most_hours: how many there are at most.
        unmeasured: the kinds of which no epoch was timed, nor of a like kind; hours are without them.
        scaled: the kinds of which no epoch was timed on this device. Their time is that of like kinds here, or of
            another machine, which is then named.
    """

    epochs: int
    most_epochs: int
    hours: float
    most_hours: float
    unmeasured: list[str]
    scaled: tuple[str, ...] = ()


class Costs:
    """Seconds per epoch, from records of the same kind and device; epochs per run, from records of the same kind.

    Where this device ran neither a kind nor one like it, the time is that of other machines with a device of its class:
    it may be off by a factor of a few, and still puts runs in their order.

    Args:
        records: what was run so far.
        device: the device as :func:`prismbook.runs.machine.environment` names it; None takes records of any device.
    """

    def __init__(self, records: Iterable[Record], device: str | None) -> None:
        self.device = device
        self.epochs: dict[Kind, list[int]] = {}
        self.spent: dict[Kind, tuple[float, int]] = {}  # seconds, epochs
        self.elsewhere: dict[Kind, tuple[float, int]] = {}  # the same of other machines
        for record in records:
            self.add(record)

    def add(self, record: Record | None) -> None:
        """Learn from one more record.

        Args:
            record: the record; None changes nothing.
        """
        if record is None:
            return
        config = RunConfig(**record["config"])
        epochs = len(record["history"]["loss"])
        self.epochs.setdefault(kind(config), []).append(epochs)
        seconds = record["seconds"]["train"] + record["seconds"]["evaluate"]
        here = self.device in (None, record["environment"]["device"])
        _spend(self.spent if here else self.elsewhere, kind(config), seconds, epochs)

    def measure(self, configs: Iterable[RunConfig]) -> None:
        """Train one epoch of each kind that has not run on this device; nothing is stored.

        A kind whose epoch fails stays unmeasured: the run itself will say why.
        """
        tried = set(self.spent)
        # the smallest learning rate: least likely to fail
        for config in sorted(configs, key=lambda config: config.lr):
            if kind(config) not in tried:
                tried.add(kind(config))
                one_epoch = planned(replace(config, max_epochs=1)).loaded()
                with suppress(ArithmeticError, RuntimeError, MemoryError, ValueError):
                    seconds = run(one_epoch)[0]["seconds"]
                    _spend(self.spent, kind(config), seconds["train"] + seconds["evaluate"], 1)

    def expected(self, counts: Mapping[RunConfig, int]) -> Expected:
        """What some runs will take, one after the other."""
        epochs, most_epochs, hours, most_hours = 0.0, 0, 0.0, 0.0
        unmeasured: dict[str, None] = {}
        scaled: dict[str, None] = {}
        for config, count in counts.items():
            epoch_kind = kind(config)
            usual = min(self._usual_epochs(config), config.max_epochs)
            hours_per_epoch, where = _hours_per_epoch(self.spent, epoch_kind), ""
            if hours_per_epoch is None:
                hours_per_epoch, where = _hours_per_epoch(self.elsewhere, epoch_kind), " on another machine"
            if epoch_kind not in self.spent:
                if hours_per_epoch is None:
                    unmeasured[str(epoch_kind)] = None
                else:
                    scaled[f"{epoch_kind}{where}"] = None
            epochs += count * usual
            most_epochs += count * config.max_epochs
            hours += count * usual * (hours_per_epoch or 0.0)
            most_hours += count * config.max_epochs * (hours_per_epoch or 0.0)
        return Expected(round(epochs), most_epochs, hours, most_hours, list(unmeasured), tuple(scaled))

    def _usual_epochs(self, config: RunConfig) -> float:
        """The mean number of epochs of runs of the kind, else on another device, else on other data too."""
        wanted = kind(config)
        for fields in ((), ("device",), ("device", "dataset")):
            alike = _like(self.epochs, wanted, fields)
            stored = [epochs for other in alike for epochs in self.epochs[other]]
            if stored:
                return sum(stored) / len(stored)
        return config.max_epochs


def _hours_per_epoch(spent: Mapping[Kind, tuple[float, int]], wanted: Kind) -> float | None:
    """The time of an epoch; None where none is known.

    Else it is that on other data, in proportion to the interactions; else that on another backbone too.
    """
    for fields in ((), ("dataset",), ("dataset", "backbone")):
        alike = [(spent[other], interactions(other.dataset)) for other in _like(spent, wanted, fields)]
        pairs = sum(epochs * size for (_, epochs), size in alike)
        if pairs:
            seconds = sum(taken for (taken, _), _ in alike)
            return seconds / pairs * interactions(wanted.dataset) / 3600
    return None


def _spend(spent: dict[Kind, tuple[float, int]], epoch_kind: Kind, seconds: float, epochs: int) -> None:
    seconds_before, epochs_before = spent.get(epoch_kind, (0.0, 0))
    spent[epoch_kind] = seconds_before + seconds, epochs_before + epochs


def _like(kinds: Iterable[Kind], wanted: Kind, but: Iterable[str]) -> list[Kind]:
    """The kinds that differ from the wanted one in some fields at most."""
    return [other for other in kinds if other._replace(**{name: getattr(wanted, name) for name in but}) == wanted]


def interactions(dataset: str) -> int:
    """The number of interactions of a dataset, by its card.

    >>> interactions("gowalla")
    1027370
    """
    return datasets.identity_card(dataset).interactions


def duration(hours: float) -> str:
    """Hours in words, in a unit that suits them.

    >>> duration(0.001), duration(0.5), duration(30)
    ('4 s', '30 min', '30.0 h')
    """
    seconds = hours * 3600
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{hours:.1f} h"
