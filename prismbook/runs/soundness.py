"""Whether a run record is sound by itself: what it says twice must agree, and numbers must be in their ranges.

A record that is not was changed after it was written. :mod:`prismbook.runs.split_facts` compares it with its users'
scores and with its split.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from prismbook.plan.config import RunConfig
from prismbook.runs.records import Record, wrong_scores
from prismbook.runs.run import REPORTED_KS
from prismlib import datasets
from prismlib._cards import Card
from prismlib.metrics import GROUPS

#: The entries of a record. Early records have no report, no lengths and no singular values, a CPU's no joules,
#: and MACR's no lengths.
ENTRIES = {
    *("id", "semantics", "config", "data", "best_epoch", "stopped_by", "test", "history"),
    *("norms", "singular_values", "seconds", "environment", "report", "lengths", "joules", "flags"),
}
RANKINGS = ("dot", "cosine")
MEANS = ("ndcg", "recall", "hit_rate", "mrr")  # four numbers each, over all items and by popularity group
CUT = {*MEANS, "unpopular_over_popular", "coverage", "gini", "average_popularity"}
#: How far apart two numbers may be that are one. Both are rounded to seven decimals, and means are taken in float32.
NEAR = 1e-6
_LARGEST = 1e300  # what is above is inf, or would be after a sum


def contradiction(record: Record) -> str | None:
    """How a record contradicts itself or its dataset's card, as one sentence; None where it does not."""
    try:
        return next(_contradictions(record), None)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"it does not have the form of a record ({error!r})"


def _contradictions(record: Record) -> Iterator[str]:
    config = RunConfig(**record["config"])
    try:
        card = datasets.identity_card(config.dataset)
    except ValueError:  # a dataset that is not known here
        card = None
    unknown = record.keys() - ENTRIES
    if unknown:
        yield f"it has an entry that no record has: {', '.join(sorted(unknown))}"
    rankings = [ranking for ranking in RANKINGS if ranking not in wrong_scores(record)]
    if set(record["test"]) != set(RANKINGS):
        yield f"its test has {', '.join(record['test'])}, not dot and cosine"
    yield from _data(record["data"], card)
    yield from _tests(record["test"], rankings)
    if "report" in record:
        yield from _reports(record, rankings, card)
    if "lengths" in record:
        yield from _lengths(record["lengths"])
    if "singular_values" in record:
        yield from _singular_values(record["singular_values"])
    yield from _training(record, config, rankings)
    for table, rows in (("user", None if card is None else card.users), ("item", None if card is None else card.items)):
        yield from _norms(table, record["norms"][table], rows)
    yield from _machine(record, config)


def _number(name: str, value: object, low: float, high: float = _LARGEST) -> Iterator[str]:
    """A sentence where a value is not a number, or out of range, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        accepted = f">= {low:g} and finite" if high == _LARGEST else f"in [{low:g}, {high:g}]"
        yield f"its {name} must be a number {'that is finite' if low == -_LARGEST else accepted}, got {value!r}"


def _data(data: Mapping[str, Any], card: Card | None) -> Iterator[str]:
    for name in ("content_hash", "split_hash"):
        if not re.fullmatch("[0-9a-f]{64}", data[name]):
            yield f"its {name} must be 64 hexadecimal digits, got {data[name]!r}"
    if not isinstance(data["synthetic"], bool) or (card is not None and data["synthetic"] != card.synthetic):
        wanted = "true or false" if card is None else f"{card.synthetic} for {card.name}"
        yield f"its entry synthetic must be {wanted}, got {data['synthetic']!r}"


def _tests(tests: Mapping[str, Mapping[str, Any]], rankings: Iterable[str]) -> Iterator[str]:
    for ranking in rankings:
        yield from _parts(f"test {{}} by {ranking}", tests[ranking])


def _parts(where: str, scores: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an NDCG@20 and its parts; ``where`` takes the name of a number."""
    if set(scores) != {"ndcg", *GROUPS}:
        yield f"its {where.format('score')} has {', '.join(scores)}, not ndcg, {', '.join(GROUPS)}"
    for name, value in scores.items():
        yield from _number(where.format(name), value, 0, 1 + NEAR)
    yield from _sum(where.format("NDCG@20"), scores["ndcg"], [scores[name] for name in GROUPS])


def _lengths(lengths: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the scores at each exponent of the items' lengths."""
    if set(lengths) != {"exponents", "validation", "test", "chosen"}:
        yield f"its lengths have {', '.join(lengths)}, not exponents, validation, test and chosen"
    exponents = lengths["exponents"]
    for exponent in exponents:
        yield from _number("exponent of lengths", exponent, 0, 1)
    for part in ("validation", "test"):
        if len(lengths[part]) != len(exponents):
            yield f"its lengths have {len(exponents)} exponents and {len(lengths[part])} scores of the {part}"
        for exponent, scores in zip(exponents, lengths[part], strict=True):
            yield from _parts(f"{part} {{}} with lengths of exponent {exponent}", scores)
    chosen, curve = lengths["chosen"], [scores["ndcg"] for scores in lengths["validation"]]
    if chosen not in exponents or curve[exponents.index(chosen)] < max(curve):
        yield f"its chosen exponent {chosen} is not the best of its validation"


def _singular_values(tables: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """What is wrong with the largest singular values of the tables."""
    if set(tables) != {"user", "item"}:
        yield f"its singular values are of {', '.join(tables)}, not user and item"
    for table, values in tables.items():
        for value in values:
            yield from _number(f"singular value of the {table} table", value, 0)
        if list(values) != sorted(values, reverse=True):
            yield f"its singular values of the {table} table do not fall"


def _sum(name: str, total: float, parts: list[float]) -> Iterator[str]:
    if abs(sum(parts) - total) > NEAR:
        yield f"its {name} is {total:.4f}, its parts sum to {sum(parts):.4f}"


def _reports(record: Record, rankings: list[str], card: Card | None) -> Iterator[str]:
    if set(record["report"]) != set(rankings):
        yield f"its report has {', '.join(record['report'])}, not {', '.join(rankings)}"
    ks = [str(k) for k in REPORTED_KS if card is None or k <= card.items]
    bins = record["norms"]["item"]["bins"]
    for ranking in rankings:
        report, test = record["report"][ranking], record["test"][ranking]
        if list(report) != ks:
            yield f"its report by {ranking} is at {', '.join(report)}, not at {', '.join(ks)}"
        for k, cut in report.items():
            yield from _cut(f"@{k} by {ranking}", int(k), cut, card)
            yield from _number(f"average_popularity@{k} by {ranking}", cut["average_popularity"], 0, bins[-1]["to"])
        for (k, cut), (longer_k, longer) in itertools.pairwise(report.items()):
            for name in ("recall", "hit_rate", "mrr"):  # a longer list has what a shorter one has
                if any(after < before - NEAR for before, after in zip(cut[name], longer[name], strict=True)):
                    yield f"its {name} by {ranking} is larger at {k} than at {longer_k}: {cut[name]}, {longer[name]}"
            if longer["coverage"] < cut["coverage"] - NEAR:
                yield f"its coverage by {ranking} is larger at {k} than at {longer_k}"
        if "20" in report:
            wanted = [test[name] for name in ("ndcg", *GROUPS)]
            if not np.allclose(report["20"]["ndcg"], wanted, rtol=0, atol=NEAR):
                yield f"its ndcg@20 by {ranking} is {report['20']['ndcg']} in the report and {wanted} in the test"


def _cut(where: str, k: int, cut: Mapping[str, Any], card: Card | None) -> Iterator[str]:
    """What is wrong with the metrics at one length of the lists."""
    if set(cut) != CUT:
        yield f"its report{where} has {', '.join(cut)}, not {', '.join(sorted(CUT))}"
    for name in MEANS:
        if len(cut[name]) != 1 + len(GROUPS):
            yield f"its {name}{where} has {len(cut[name])} numbers, not four"
        for value in cut[name]:
            yield from _number(name + where, value, 0, 1 + NEAR)
        yield from _sum(name + where, cut[name][0], cut[name][1:])
        if cut[name][0] > cut["hit_rate"][0] + NEAR:
            yield f"its {name}{where} is {cut[name][0]}, more than its hit rate {cut['hit_rate'][0]}"
    if cut["mrr"][0] < cut["hit_rate"][0] / k - NEAR:
        yield f"its mrr{where} is {cut['mrr'][0]}, less than its hit rate {cut['hit_rate'][0]} over {k}"
    for name in ("coverage", "gini"):
        yield from _number(name + where, cut[name], 0, 1)
    if cut["gini"] < 1 - cut["coverage"] - NEAR:
        yield f"its gini{where} is {cut['gini']}, less than the share {1 - cut['coverage']:.4f} of items in no list"
    if card is not None and not_whole(cut["coverage"] * card.items, card.items):
        yield f"its coverage{where} is {cut['coverage']}, which is no whole number of {card.items} items"
    ratio, (_, popular, _, unpopular) = cut["unpopular_over_popular"], cut["ndcg"]
    if popular == 0 or ratio is None:
        if (ratio is None) != (popular == 0):
            yield f"its unpopular_over_popular{where} is {ratio}, its popular part {popular}"
        return
    yield from _number(f"unpopular_over_popular{where}", ratio, 0)
    if abs(ratio - unpopular / popular) > NEAR + NEAR * (1 + ratio) / popular:
        yield f"its unpopular_over_popular{where} is {ratio}, its parts are {unpopular} and {popular}"


def not_whole(value: float, count: int) -> bool:
    """Whether ``count`` times a number that is rounded to seven decimals is not a whole number.

    Args:
        value: the product.
        count: what the rounded number was multiplied by.

    >>> not_whole(0.3333333 * 3, 3), not_whole(0.34 * 3, 3)
    (False, True)
    """
    return abs(value - round(value)) > 2e-7 * count


def _training(record: Record, config: RunConfig, rankings: list[str]) -> Iterator[str]:
    """What is wrong with the history, the epoch that was kept and why training ended."""
    history, best = record["history"], record["best_epoch"]
    curves = [f"validation_{ranking}" for ranking in RANKINGS]
    if set(history) != {"loss", *curves}:
        yield f"its history has {', '.join(history)}, not loss, {', '.join(curves)}"
    epochs = len(history["loss"])
    for name in curves:
        if len(history[name]) != epochs:
            yield f"its history has {epochs} losses and {len(history[name])} values of {name}"
    if not 1 <= epochs <= config.max_epochs:
        yield f"its history has {epochs} epochs, the configuration allows {config.max_epochs}"
    for value in history["loss"]:
        yield from _number("history of the loss", value, -_LARGEST)
    for ranking in rankings:
        for value in history[f"validation_{ranking}"]:
            yield from _number(f"history of validation_{ranking}", value, 0, 1 + NEAR)
    if isinstance(best, bool) or not isinstance(best, int) or not 0 <= best < epochs:
        yield f"its best_epoch must be one of the history's, in [0, {epochs}), got {best!r}"
    stopped_by = record["stopped_by"]
    if stopped_by not in ("patience", "max_epochs"):
        yield f"its stopped_by must be patience or max_epochs, got {stopped_by!r}"
    waited = epochs - 1 - best
    if "dot" in rankings and history["validation_dot"][best] < max(history["validation_dot"]):
        yield f"epoch {best} is not the best of its validation curve"
    if stopped_by == "patience" and waited != config.patience:
        yield f"it was stopped by patience {config.patience}, {waited} epochs after epoch {best}"
    if stopped_by == "max_epochs" and (epochs < config.max_epochs or waited >= config.patience):
        yield f"it was stopped by max_epochs after {epochs} of {config.max_epochs} epochs, {waited} after epoch {best}"
    if "dot" in rankings:
        top = -1.0
        for epoch, score in enumerate(history["validation_dot"][:-1]):
            if score >= top:
                top, since = score, epoch
            if epoch - since >= config.patience:
                yield f"it went on after epoch {epoch}, though patience {config.patience} was over"


def _norms(table: str, norms: Mapping[str, Any], rows: int | None) -> Iterator[str]:
    """What is wrong with the summary of a table's norms."""
    if set(norms) != {"bins", "pearson_log", "spearman"}:
        yield f"its norms of the {table} table have {', '.join(norms)}, not bins, pearson_log and spearman"
    for name in ("pearson_log", "spearman"):
        if norms[name] is not None:
            yield from _number(f"{name} of the {table} table", norms[name], -1, 1)
    before = -1
    for one in norms["bins"]:
        if set(one) != {"from", "to", "rows", "mean", "std"}:
            yield f"a bin of the {table} table's norms has {', '.join(one)}"
        low = one["from"]
        power = isinstance(low, int) and low >= 0 and low & (low - 1) == 0
        if not power or low <= before or one["to"] != max(2 * low - 1, 0):
            yield f"its norms of the {table} table have a bin from {low} to {one['to']}, not from one power of two"
        before = low
        yield from _number(f"rows in a bin of the {table} table", one["rows"], 1)
        for name in ("mean", "std"):
            yield from _number(f"{name} of norms of the {table} table", one[name], 0)
    counted = sum(one["rows"] for one in norms["bins"])
    if rows is not None and counted != rows:
        yield f"its bins hold {counted} rows of the {table} table, the dataset has {rows}"


def _machine(record: Record, config: RunConfig) -> Iterator[str]:
    """What is wrong with the times, the energy and the machine."""
    seconds, there = record["seconds"], record["environment"]
    if set(seconds) != {"train", "evaluate", "cpu"}:
        yield f"its seconds have {', '.join(seconds)}, not train, evaluate and cpu"
    for clock, value in seconds.items():
        yield from _number(f"seconds of {clock}", value, 0)
    if record.get("joules") is not None:
        yield from _number("joules", record["joules"], 0)
    if set(there) != {"device", "python", "torch", "numpy", "commit"}:
        yield f"its environment has {', '.join(there)}, not device, python, torch, numpy and commit"
    forms = {"device": ".+", "python": r"\d+\.\d+.*", "torch": r"\d+\.\d+.*", "numpy": r"\d+\.\d+.*"}
    for name, form in forms.items():
        if not isinstance(there[name], str) or not re.fullmatch(form, there[name]):
            yield f"its {name} is {there[name]!r}"
    commit = there["commit"]
    if commit is not None and not (isinstance(commit, str) and re.fullmatch(r"[0-9a-f]{7,64}\+?", commit)):
        yield f"its commit must be hexadecimal digits or null, got {commit!r}"
    # the name of a CPU is given with its threads, the name of a GPU is not
    if (re.search(r", [\d,]+ threads?$", there["device"]) is not None) != (config.device == "cpu"):
        yield f"its configuration asks for {config.device}, its device is {there['device']}"
