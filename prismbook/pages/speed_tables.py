"""The tables and sentences of the page on speed, from the measurements of ``benchmarks/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from prismbook.text import plural

#: The JSON of ``benchmarks/bench.py``, or its part on one device.
Measured = Mapping[str, Any]

#: What grows in each panel of :func:`growth`: its name in the measurements, and the label of the panel's axis.
GROWS = {"scale": "users and items, times", "dim": "dimensions", "batch": "pairs per step"}
WORK = ("DirectAU step", "BPR step", "ranking of 2,048 users")


def machine(measured: Measured) -> str:
    """One paragraph on the machine: its device and its rates.

    Args:
        measured: the measurements on one device.
    """
    environment, rates = measured["environment"], measured["machine"]
    return (
        f"Measured on {measured['date']}, {measured['data']}, 64 dimensions, float32: {environment['device']},"
        f" PyTorch {environment['torch']}. It multiplies matrices (4096 x 64 x 4096) at"
        f" {rates['gemm_gflops']:,.0f} GFLOP/s and copies at {rates['copy_gb_per_s']:,.0f} GB/s."
    )


def against_plain(rows: Sequence[Measured]) -> pd.DataFrame:
    """Each piece of work beside its plain implementation, in milliseconds.

    Args:
        rows: one mapping per piece of work, with the seconds of the ``reference`` and of ``ours``, the ratio that is
            the ``target``, and the ``floor`` in seconds, or None where the floor is not known.
    """
    shown = [
        {
            "work": row["work"],
            "plain, ms": f"{row['reference'] * 1e3:,.0f}",
            "prismlib, ms": f"{row['ours'] * 1e3:,.1f}",
            "ratio": f"{row['reference'] / row['ours']:.1f}",
            "target": f"{row['target']}",
            "times the floor": "" if row["floor"] is None else f"{row['ours'] / row['floor']:.1f}",
        }
        for row in rows
    ]
    return pd.DataFrame(shown).set_index("work")


def missed(rows: Sequence[Measured]) -> str:
    """Which work is below its target, as a sentence; empty where none is.

    Args:
        rows: as :func:`against_plain` takes them.

    >>> missed([{"work": "BPR step", "reference": 2.0, "ours": 1.0, "target": 3}])
    'Below its target: BPR step.'
    """
    below = [row["work"] for row in rows if row["reference"] / row["ours"] < row["target"]]
    return f"Below its target: {'; '.join(below)}." if below else ""


def whole_runs(gpu: Measured | str) -> list[str]:
    """The times of whole epochs and of whole runs on a GPU: one paragraph each.

    Args:
        gpu: the measurements on the GPU, or a text that says why there are none.
    """
    if isinstance(gpu, str):
        return [f"**GPU: {gpu}.** `make bench` measures one where it finds one."]
    seconds = ", ".join(f"{name} {spent:.2f} s" for name, spent in gpu["epochs"].items())
    paragraphs = [
        f"Whole epochs on this GPU, one step after the other, not captured, and a validation: {seconds}."
        " In the table each step ends before the next one begins, plain and ours in turn. Within an epoch Python"
        " asks for the next step while the card works, so that an epoch takes less than its steps in the table."
    ]
    whole = gpu.get("whole")
    if whole:
        paragraphs.append(
            f"A whole DirectAU + PRISM run to its early stop: {whole['seconds']:.0f} s, {whole['epochs']} epochs;"
            f" {whole['side_by_side']} processes side by side make {whole['an_hour']:.0f} runs per hour."
        )
    return paragraphs


def captured(checked: Measured | None) -> list[str]:
    """What was measured of the captured steps of a GPU: one paragraph each; without a measurement, one that says so.

    Args:
        checked: the JSON of ``benchmarks/gpu_check.py``, or None where no GPU was checked.
    """
    if checked is None:
        return [
            "**Captured steps on a GPU: not measured here.**"
            " `python benchmarks/gpu_check.py --output benchmarks/gpu.json` measures them in three minutes."
        ]
    same = (checked.get("same") or {}).get("same")
    agreement = {True: "agree", False: "disagree", None: "were not compared"}[same]
    paragraphs = [
        f"Captured steps, measured on {checked['date']}, {checked['data']}, 64 dimensions, float32:"
        f" {checked['device']}, PyTorch {checked['torch']}. The losses of captured and of single steps {agreement}."
    ]
    together = {
        name: speed for name, speed in (checked.get("throughput") or {}).items() if name.isdigit() and speed is not None
    }
    if together:
        listed = ", ".join(f"{speed:,.0f} from {plural(int(name), 'worker')}" for name, speed in together.items())
        paragraphs.append(f"DirectAU steps per second on this card: {listed}.")
    return paragraphs


def captured_steps(checked: Measured) -> pd.DataFrame:
    """The steps of a GPU one by one and captured, and what else has a target; "not measured" where a part did not run.

    Args:
        checked: the JSON of ``benchmarks/gpu_check.py``.
    """
    steps, run = checked.get("table") or {}, checked.get("whole_run") or {}
    others = {
        "validation": (checked.get("validation") or {}).get("ms"),
        "run to early stop, s": run.get("seconds") if run.get("stopped by") == "patience" else None,
        "8 processes, steps per s": (checked.get("throughput") or {}).get("8"),
    }
    rows = []
    for name, target in checked["targets"].items():
        step = steps.get(name, {})
        result = step.get("captured, ms") if step.get("was captured") else others.get(name)
        rows.append(
            {
                "work, ms unless said": name,
                "one by one": f"{step['eager, ms']:.2f}" if step else "",
                "captured": "not measured" if result is None else f"{result:,.2f}",
                "target": f"{'at least' if name.endswith('per s') else 'at most'} {target:,g}",
            }
        )
    return pd.DataFrame(rows).set_index("work, ms unless said")


#: The units of what is predicted, by the end of its name in the table of launches. A target is the most or the least.
UNITS = {"ms": ("ms", "at most"), "s": ("s", "at most"), "steps_per_s": ("steps per s", "at least")}


def predicted(launches: Measured) -> pd.DataFrame:
    """What a model predicts of captured steps, and of what follows from them, beside its target; no GPU has run it.

    Args:
        launches: the table of tests/gpu/launches.json.

    >>> table = {"MF BPR": {"launches": 29, "predicted_ms": 0.153, "target_ms": 0.16}}
    >>> predicted(table).to_dict("records")
    [{'launches': '29', 'predicted, not measured': '0.153 ms', 'target': 'at most 0.16 ms'}]
    """
    rows = [
        {
            "work": name,
            "launches": f"{row['launches']}" if "launches" in row else "",
            "predicted, not measured": f"{row[f'predicted_{unit}']:,g} {written}",
            "target": f"{bound} {row[f'target_{unit}']:,g} {written}",
        }
        for name, row in launches.items()
        for unit, (written, bound) in UNITS.items()
        if f"target_{unit}" in row
    ]
    return pd.DataFrame(rows).set_index("work")


def epochs(bench: Measured) -> pd.DataFrame:
    """Seconds of training and of validation per epoch, the authors' code beside ours.

    Args:
        bench: the measurements on the CPU.
    """
    validation = bench["epochs"]["validation"]
    rows = [
        {
            "loss": name,
            "authors' code, epoch + validation, s": f"{train:.1f} + {evaluate:.0f}",
            "prismlib, epoch + validation, s": f"{bench['epochs'][name]:.2f} + {validation:.2f}",
            "ratio": f"{(train + evaluate) / (bench['epochs'][name] + validation):.1f}",
        }
        for name, (train, evaluate) in bench["authors"].items()
    ]
    return pd.DataFrame(rows).set_index("loss")


def validation(bench: Measured) -> str:
    """The time that early stopping takes, in epochs.

    Args:
        bench: the measurements on the CPU.
    """
    times = {name: bench["epochs"]["validation"] / bench["epochs"][name] for name in ("BPR", "DirectAU")}
    scored = next(row for row in bench["rows"] if row["work"].startswith("validation"))
    return (
        "Early stopping ranks every item for every user once per epoch."
        f" That is {times['BPR']:.1f} times an epoch of BPR and {times['DirectAU']:.1f} times an epoch of DirectAU,"
        f" at {scored['ours'] / scored['floor']:.1f} times its floor:"
        " on this CPU the ranking is the larger part of a run with a loss that trains this fast."
    )


def largest_evaluation(bench: Measured) -> str:
    """The memory of an evaluation of AmazonBook's size, and the times of other libraries where they were measured.

    Args:
        bench: the measurements on the CPU.
    """
    peak = f"An evaluation of AmazonBook's size (52,643 users x 91,599 items) peaks at {bench['amazonbook_gb']:.2f} GB."
    if "others" not in bench:
        return peak
    beside = bench["others"]
    seconds = "; ".join(f"{name}: {text}" for name, text in beside["seconds"].items())
    where = f"{beside['environment']['device']}, data {beside['data']}, {beside['date']}"
    return f"{peak} Beside other libraries, each of which ranks once ({where}): {seconds}."


def offered(by_device: Mapping[str, Any]) -> pd.DataFrame:
    """Options that are faster and change results, beside what they replace, in milliseconds.

    Args:
        by_device: the measurements by class of device. A text in their place says why there are none.
    """
    rows = [
        {
            "on": device,
            "work": row["work"],
            "instead of": row["plain"],
            "ms": f"{row['plain_seconds'] * 1e3:.1f}",
            "with": row["fast"],
            "ms ": f"{row['fast_seconds'] * 1e3:.1f}",
            "ratio": f"{row['plain_seconds'] / row['fast_seconds']:.1f}",
        }
        for device, measured in by_device.items()
        if not isinstance(measured, str)
        for row in measured["offered"]
    ]
    return pd.DataFrame(rows).set_index(["on", "work"])


def denormals(worn: Measured) -> pd.DataFrame:
    """Milliseconds of a step with fresh weights, with worn weights, and with worn weights as ``fit`` does it.

    Args:
        worn: the JSON of benchmarks/denormals.py.
    """
    fresh = worn["seconds"]["fresh"]
    names = ("fresh", "worn", "worn, as fit does it")
    rows = [
        {"perceptron": name, "ms": f"{seconds * 1e3:.0f}", "ratio": f"{seconds / fresh:.1f}"}
        for name, seconds in zip(names, worn["seconds"].values(), strict=True)
    ]
    return pd.DataFrame(rows).set_index("perceptron")


def growth(table: pd.DataFrame) -> Figure:
    """Times relative to the smallest size, as one quantity grows: one panel per quantity, beside growth in proportion.

    Args:
        table: one row per measurement: the quantity that ``grows``, its value ``to``, and the seconds of each work.
    """
    figure, panels = plt.subplots(1, len(GROWS), figsize=(9, 3), sharey=True)
    for panel, (kind, title) in zip(panels, GROWS.items(), strict=True):
        part = table[table["grows"] == kind]
        for color, name in zip(("C0", "C1", "C2"), WORK, strict=True):
            panel.plot(part["to"], part[name] / part[name].iloc[0], "o-", color=color, label=name)
        panel.plot(part["to"], part["to"] / part["to"].iloc[0], "--", color="gray", label="in proportion")
        panel.set(xscale="log", yscale="log", xlabel=title)
        panel.set_xticks(part["to"], [f"{value:,}" for value in part["to"]])
        panel.minorticks_off()
    panels[0].set_ylabel("time, relative")
    panels[0].legend()
    return figure
