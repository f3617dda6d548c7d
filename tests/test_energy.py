"""Energy counters of a CPU and of a GPU, on stand-ins for both; and what a record says where there is none."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from prismbook.plan.config import RunConfig
from prismbook.runs import machine
from prismbook.runs.machine import joules_so_far
from prismbook.runs.records import planned
from prismbook.runs.run import run

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def powercap(folder: Path, **microjoules: str) -> None:
    for name, text in microjoules.items():
        zone = folder / name.replace("_", ":")
        zone.mkdir()
        (zone / "energy_uj").write_text(text)


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "POWERCAP", tmp_path)
    assert joules_so_far(CPU) is None
    powercap(tmp_path, **{"intel-rapl_0": "2500000\n", "intel-rapl_1": "500000\n", "intel-rapl_0_0": "9000000\n"})
    assert joules_so_far(CPU) == 3.0
    powercap(tmp_path, **{"intel-rapl_2": "not a number"})
    assert joules_so_far(CPU) is None


class Driver:
    """What of libnvidia-ml.so.1 is used: one card, known by its id."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails

    def nvmlInit_v2(self) -> int:
        return int(self.fails == "init")

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: object) -> int:
        return int(name != b"GPU-1234")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object, value: object) -> int:
        ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong))[0] = 12500  # type: ignore[arg-type]
        return 3 if self.fails == "energy" else 0  # 3: not supported


@pytest.mark.parametrize(
    ("driver", "uuid", "joules"),
    [
        (Driver(), "1234", 12.5),
        (Driver(fails="init"), "1234", None),
        (Driver(fails="energy"), "1234", None),
        (Driver(), "another", None),
        (SimpleNamespace(), "1234", None),  # an old driver without these functions
    ],
)
def test_a_gpu_is_asked_by_its_id(
    monkeypatch: pytest.MonkeyPatch, driver: object, uuid: str, joules: float | None
) -> None:
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: driver)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=uuid))
    assert joules_so_far(GPU) == joules
    monkeypatch.setenv(machine.SHARED, "1")  # the card's counter counts the other processes too
    assert joules_so_far(GPU) is None


def test_without_a_driver_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(machine.ctypes, "CDLL", missing)
    assert joules_so_far(GPU) is None


@pytest.mark.parametrize(("readings", "joules"), [([100.0, 103.25], 3.2), ([100.0, 3.0], None), ([None, None], None)])
def test_a_record_has_what_was_counted_over_training(
    monkeypatch: pytest.MonkeyPatch, readings: list[float | None], joules: float | None
) -> None:
    read = iter(readings)
    monkeypatch.setattr("prismbook.runs.run.joules_so_far", lambda device: next(read))
    config = RunConfig(dataset="synthetic", loss="bpr", dim=4, max_epochs=1)
    assert run(planned(config))[0]["joules"] == joules
