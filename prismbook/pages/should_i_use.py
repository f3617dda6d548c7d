"""What the page "Should I use PRISM?" says and shows, all of it computed from :mod:`prismbook.tables.ways`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import grid_configs
from prismbook.runs.patience import LONG
from prismbook.runs.records import Record
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.lengths import beside_at_its_ratio, by_training, slope_in_popularity
from prismbook.tables.rules import MARGIN, Difference, judge
from prismbook.tables.seed_differences import relative_difference, usable
from prismbook.tables.ways import (
    FIXED,
    FIXED_DECAY,
    LOSSES,
    MIDDLE_DECAY,
    NONE,
    PRISM,
    SGD,
    SGD_RATE,
    STRONG,
    STRONG_DECAY,
    TUNED,
    WAYS,
    Compared,
    rescored,
)
from prismbook.text import listed_names, plural

#: The colour and the marker of each way but tuned decay, which is the line that they are measured from.
LOOKS = {
    NONE: ("#777777", "o"),
    FIXED: ("#0072B2", "v"),
    PRISM: ("#009E73", "*"),
    SGD: ("#D55E00", "s"),
    "lengths at scoring": ("#CC79A7", "D"),
}
#: Space that no line is broken at.
_NBSP = "\N{NO-BREAK SPACE}"


def answer(
    compared: Sequence[Compared],
    adamw: Mapping[str, Sequence[Record]] | None = None,
    ssm: Mapping[str, Sequence[Record]] | None = None,
    put_on: Mapping[str, Sequence[Record]] | None = None,
    with_decay: Mapping[str, Sequence[Record]] | None = None,
) -> str:
    """The answer as a list in Markdown: without decay, with decay, and with other losses.

    Args:
        compared: the ways, for every dataset and loss.
        adamw: by the name of a dataset, its runs of :func:`~prismbook.tables.ways.decoupled`; None for none.
        ssm: by the name of a dataset, its runs of :func:`~prismbook.tables.ways.scored_with_lengths` with SSM; None for
            none.
        put_on: the same with DirectAU.
        with_decay: the same with DirectAU, trained with a decay of 1e-5.

    >>> answer([]).partition(".")[0]
    '- No run says whether PRISM helps a model that is trained without weight decay'
    """
    by_loss = {loss: [each for each in compared if each.loss == loss] for loss in LOSSES}
    lines = [
        *_at_scoring(by_loss["directau"]),
        f"{_without_decay(by_loss)} {_adamw(adamw or {})}",
        *_stopped_by_lengths(by_loss["directau"], put_on or {}),
        f"{_with_decay(by_loss['directau'])}{_with_strong_decay(by_loss['directau'])}"
        f"{_decayed_at_scoring(by_loss['directau'], with_decay or {})}",
        f"{_with_ssm(by_loss['ssm'])}{_ssm_at_scoring(ssm or {})}",
        _with_bpr(by_loss["bpr"]),
    ]
    return "\n".join(f"- {line}" for line in lines)


def in_short(
    compared: Sequence[Compared],
    adamw: Mapping[str, Sequence[Record]] | None = None,
    put_on: Mapping[str, Sequence[Record]] | None = None,
    with_decay: Mapping[str, Sequence[Record]] | None = None,
) -> str:
    """The advice of :func:`answer` with ranges over datasets in place of each number, as a list in Markdown.

    Args:
        compared: as for :func:`answer`.
        adamw: as for :func:`answer`.
        put_on: as for :func:`answer`.
        with_decay: as for :func:`answer`.

    >>> in_short([]).splitlines()[-1]
    '- No run says whether PRISM helps a model that has weight decay.'
    """
    by_loss = {loss: [each for each in compared if each.loss == loss] for loss in LOSSES}
    losses = [loss for loss in ("directau", "mawu") if _changes(by_loss[loss], NONE)]
    without = {(loss, name): each for loss in losses for name, each in _changes(by_loss[loss], NONE).items()}
    lines = _at_scoring(by_loss["directau"]) + _stopped_by_lengths_in_short(by_loss["directau"], put_on or {})
    if without:
        advice = _advice(without, "try PRISM", "PRISM is no gain", "PRISM may help")
        names = " or ".join(LOSS_NAMES[loss] for loss in losses)
        runs = sum(len(each) for each in (adamw or {}).values())
        measured = plural(runs, "run") if runs else "no run"
        lines.append(
            f"**No decay (AdamW's is none: {measured}), {names}:** {advice}, {_over(without)}."
            f"{_middle_decay(by_loss['directau'])}"
        )
    lines.append(_with_decay(by_loss["directau"]) + _decayed_at_scoring(by_loss["directau"], with_decay or {}))
    decided = _changes([each for each in by_loss["ssm"] if each.undecided is None], TUNED)
    doubtful = [dataset_name(each.dataset) for each in by_loss["ssm"] if each.undecided is not None]
    patient = {each.dataset: each.patient for each in by_loss["ssm"] if each.patient is not None}
    if decided:
        advice = _advice(decided, "it helps", "no gain", "it depends on the dataset")
        left_open = f" (open on {listed_names(doubtful)})" if doubtful else ""
        limited = any(each.at_limit for each in by_loss["ssm"] if each.patient is not None)
        cut = ", PRISM cut off: decides nothing" if limited else ""
        later = f". At patience {LONG}, decay {_power(STRONG_DECAY)}: {_over(patient)}{cut}" if patient else ""
        lines.append(f"**SSM:** {advice} against tuned decay, {_over(decided)}{left_open}{later}.")
    bpr = _changes(by_loss["bpr"], TUNED)
    gone = sum(len(each.stopped_at_start(PRISM)) for each in by_loss["bpr"])
    if bpr or gone:
        made = sum(int(each.runs[PRISM]["run"].notna().sum()) for each in by_loss["bpr"])
        never = (
            f": at patience {RunConfig.patience} {gone} of {plural(made, 'run')} stopped at their start" if gone else ""
        )
        where = f"; with more {_on_each(bpr)}" if bpr else ""
        lines.append(f"**BPR:** {_advice_with_bpr(bpr, gone)}{never}{where}.")
    return "\n".join(f"- {line}" for line in lines)


def _advice_with_bpr(found: Mapping[Any, Difference], gone: int) -> str:
    """The advice from the changes against tuned decay, and from how many runs with PRISM never learned."""
    if gone or all(judge(change).word == "worse" for change in found.values()):
        return "do not use it"
    return _advice(found, "it helps", "it is no gain", "it depends on the dataset")


def _over(found: Mapping[Any, Difference]) -> str:
    """The range of some changes, with the smallest and the largest number of seeds."""
    seeds = sorted({len(change.by_seed) for change in found.values()})
    many = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else plural(seeds[0], "seed")
    return f"{_span(list(found.values()))}, {many}{' each' if len(found) > 1 else ''}"


def _at_scoring(directau: Sequence[Compared]) -> list[str]:
    """What lengths at scoring give to a training that was made already, as one line; none where that was not run."""
    rows = [(dataset_name(each.dataset), _scored(rescored(each))) for each in directau]
    known = [(name, row) for name, row in rows if row is not None]
    if not known:
        return []
    scores = [
        f"{row['ndcg']:.4f} to {row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')})"
        for name, row in known
    ]
    ratios = [f"{row['ratio']:.2f} to {row['ratio with it']:.2f}" for _, row in known]
    return [
        f"**Trained already without decay, DirectAU:** put lengths on at scoring first: NDCG@20 {listed_names(scores)}."
        f" Unpopular items lose (ratio {listed_names(ratios)})."
    ]


def _stopped_by_lengths(directau: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> list[str]:
    """What a training without decay that stops by lengths at scoring gives against PRISM and tuned decay, as a line."""
    said = []
    for way in (PRISM, TUNED):
        changes, ratios = (_rescored_against(directau, records, way, measure) for measure in ("ndcg", "ratio"))
        if changes:
            each = [
                f"{_percent(float(np.mean(shares)))} on {dataset_name(dataset)} ({_word(shares)},"
                f" {plural(len(shares), 'seed')}, ratio times {1 + np.mean(ratios[dataset]):.1f})"
                for dataset, shares in changes.items()
            ]
            said.append(f"Against {way} NDCG@20 is {listed_names(each)}.")
    if not said:
        return []
    if fair := _as_fair(directau, records):
        each = [
            f"{_percent(float(np.mean(shares)))} on {dataset_name(dataset)} ({_word(shares)})"
            for dataset, shares in fair.items()
        ]
        said.append(f"With the $b$ that is as fair as PRISM it is {listed_names(each)}, against PRISM.")
    missing = [dataset_name(each.dataset) for each in directau if _scored(records.get(each.dataset, ())) is None]
    not_run = f" Not run on {listed_names(missing)}." if missing else ""
    return [
        f"**Lengths at scoring, and stopping by them, no decay, DirectAU:** {' '.join(said)}{not_run} Words are by the"
        " spread over seeds alone. The exponent was chosen on validation, which neither PRISM nor decay had."
    ]


def _stopped_by_lengths_in_short(directau: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> list[str]:
    """What :func:`_stopped_by_lengths` says against PRISM, in few words."""
    changes, ratios = (_rescored_against(directau, records, PRISM, measure) for measure in ("ndcg", "ratio"))
    fair = _as_fair(directau, records)
    if not changes:
        return []
    parts = [
        f"{_percent(float(np.mean(shares)))} ({_word(shares)}, ratio times {1 + np.mean(ratios[dataset]):.1f}) on"
        f" {dataset_name(dataset)}"
        for dataset, shares in changes.items()
    ]
    ends = sorted(float(np.mean(shares)) for shares in fair.values())
    span = " to ".join(dict.fromkeys(map(_percent, (ends[0], ends[-1])))) if ends else ""
    as_fair = f"; with PRISM's ratio {span}" if span else ""
    seeds = sorted({len(shares) for shares in changes.values()})
    many = f"{' to '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'}"
    return [f"**The same, stopped by these lengths:** against PRISM {listed_names(parts)}{as_fair}; {many}."]


def _decayed_at_scoring(directau: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> str:
    """What lengths at scoring, and stopping by them, add to tuned decay, as a sentence; empty where it was not run."""
    of_tuned = {
        each.dataset: [run for run in records.get(each.dataset, ()) if run["config"]["weight_decay"] == each.decay()]
        for each in directau
    }
    changes, ratios = (_rescored_against(directau, of_tuned, TUNED, measure) for measure in ("ndcg", "ratio"))
    said = [
        f"{_percent(float(np.mean(shares)))} on {dataset_name(dataset)} ({_word(shares)},"
        f" {plural(len(shares), 'seed')}, ratio times {1 + np.mean(ratios[dataset]):.1f})"
        for dataset, shares in changes.items()
    ]
    return f" Lengths at scoring add to tuned decay: {listed_names(said)}." if said else ""


def _word(shares: Sequence[float]) -> str:
    """The word by the rules for changes of NDCG@20; users are not resampled, since their scores were not kept."""
    return str(judge(Difference(tuple(shares), None, "ndcg")))


def _rescored_against(
    directau: Sequence[Compared], records: Mapping[str, Sequence[Record]], way: str, measure: str = "ndcg"
) -> dict[str, list[float]]:
    """How lengths at scoring change a measure of a way, as shares, by dataset where both were run."""
    found = {each.dataset: _shares(each, records.get(each.dataset, ()), measure, way) for each in directau}
    return {dataset: shares for dataset, shares in found.items() if shares}


def _as_fair(directau: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> dict[str, list[float]]:
    """NDCG@20 against PRISM's, as shares, with the lengths at scoring that have PRISM's ratio, by dataset."""
    found = {}
    for each in directau:
        runs = usable(each.runs[PRISM])
        prism = {int(run["seed"]): (float(run["ndcg"]), float(run["ratio"])) for _, run in runs.iterrows()}
        pairs = beside_at_its_ratio(records.get(each.dataset, ()), prism)
        shares = [score / theirs - 1 for _, score, theirs in pairs]
        if shares:
            found[each.dataset] = shares
    return found


def _without_decay(by_loss: Mapping[str, Sequence[Compared]]) -> str:
    found = _changes(by_loss["directau"], NONE)
    if not found:
        return "No run says whether PRISM helps a model that is trained without weight decay."
    advice = _advice(found, "try PRISM", "PRISM is no gain", "PRISM may help")
    text = f"**No decay, DirectAU:** {advice}, NDCG@20 {_on_each(found)}."
    if others := _changes(by_loss["mawu"], NONE):
        gain = _advice(others, "it helps too", "no gain is shown", "it may help")
        text += f" MAWU: {gain}, {_on_each(others)}."
    return text + _middle_decay(by_loss["directau"])


def _middle_decay(directau: Sequence[Compared]) -> str:
    """What a decay gives to DirectAU in place of PRISM; empty where it was not run."""
    plain = [relative_difference(each.at_decay(MIDDLE_DECAY), each.runs[NONE], "ndcg") for each in directau]
    gains = [change for change in plain if change is not None]
    return f" With DirectAU a decay of {_power(MIDDLE_DECAY)} instead gives {_span(gains)}." if gains else ""


def _with_decay(directau: Sequence[Compared]) -> str:
    found = [change for way in (FIXED, TUNED) for change in _changes(directau, way).values()]
    if not found:
        return "No run says whether PRISM helps a model that has weight decay."
    advice = "it may help" if any(judge(change).word == "better" for change in found) else "no need"
    return f"**Adam with a coupled decay of {_power(FIXED_DECAY)} or a tuned one, DirectAU:** {advice}, {_span(found)}."


def _with_strong_decay(directau: Sequence[Compared]) -> str:
    """What PRISM is against a decay that is too strong, as a sentence; empty where that was not run."""
    found = _changes(directau, STRONG)
    return f" Against {STRONG.removeprefix('decay fixed at ')} it is {_span(list(found.values()))}." if found else ""


def _adamw(records: Mapping[str, Sequence[Record]]) -> str:
    """What is known of AdamW's decay: the law of lengths, and each run."""
    said = [
        f"{dataset_name(dataset)}, decay {record['config']['weight_decay']:g}: slope {slope_in_popularity(record):.2f},"
        f" NDCG@20 {record['test']['dot']['ndcg']:.4f}"
        for dataset, runs in records.items()
        for record in runs
    ]
    law = "AdamW's decay counts as none: by the law of lengths it writes no popularity"
    if not said:
        return f"{law}. No run is stored."
    return f"{law} ({'one run' if len(said) == 1 else f'{len(said)} runs'}, {'; '.join(said)})."


def _with_ssm(ssm: Sequence[Compared]) -> str:
    parts = []
    if found := _changes(ssm, NONE):
        gain = _advice(found, "it helps", "no gain is shown", "it may help")
        parts.append(f"Against no decay {gain} ({_on_each(found)}).")
    # where the search's decay decides nothing, the decay that is shown in its place is not the tuned one
    decided = _changes([each for each in ssm if each.undecided is None], TUNED)
    doubtful = _changes([each for each in ssm if each.undecided is not None], TUNED)
    if decided:
        advice = _advice(decided, "it helps", "it is no gain", "it depends on the dataset")
        left_open = f"; open on {listed_names(list(doubtful))}" if doubtful else ""
        parts.append(
            f"Against tuned decay, at patience {RunConfig.patience}, {advice}: {_on_each(decided)}{left_open}."
        )
    patient = {dataset_name(each.dataset): each.patient for each in ssm}
    if known := {name: change for name, change in patient.items() if change is not None}:
        parts.append(
            f"At patience {LONG}, against a decay of {_power(STRONG_DECAY)} that was not tuned again, it is"
            f" {_on_each(known)}."
        )
        if ended := [dataset_name(each.dataset) for each in ssm if each.patient is not None and each.at_limit]:
            parts.append(
                f"The limit of {RunConfig.max_epochs:,} epochs ended PRISM's run there on {listed_names(ended)}, so"
                " that this decides nothing."
            )
    return f"**SSM:** {' '.join(parts) if parts else 'no run says it.'}"


def _ssm_at_scoring(records: Mapping[str, Sequence[Record]]) -> str:
    """What lengths at scoring give with SSM, as a sentence; empty where that was not run."""
    said = []
    for dataset, runs in records.items():
        if (row := _scored(runs)) is not None:
            said.append(
                f"{row['ndcg with it']:.4f} on {dataset_name(dataset)} (b = {row['exponent']:.2f},"
                f" {plural(round(row['seeds']), 'seed')}, ratio {row['ratio with it']:.2f})"
            )
    return f" Lengths at scoring, where training also stops by them, give NDCG@20 {'; '.join(said)}." if said else ""


def _with_bpr(bpr: Sequence[Compared]) -> str:
    found = _changes(bpr, TUNED)
    dead = {
        dataset_name(each.dataset): (len(each.stopped_at_start(PRISM)), int(each.runs[PRISM]["run"].notna().sum()))
        for each in bpr
        if len(each.stopped_at_start(PRISM))
    }
    if not found and not dead:
        return "**BPR:** no run says it."
    text = f"**BPR:** {_advice_with_bpr(found, len(dead))}"
    text += f": against tuned decay {_on_each(found)}." if found else "."
    if dead:
        never = [f"{gone} of {plural(made, 'seed')} on {name}" for name, (gone, made) in dead.items()]
        text += f" At a patience of {RunConfig.patience} it stopped at its start at {listed_names(never)}."
    gains = [each.change(NONE, way=TUNED) for each in bpr]
    known = [change for change in gains if change is not None]
    return f"{text} Tuned decay instead gives {_span(known)} against no decay." if known else text


def _on_each(found: Mapping[str, Difference]) -> str:
    """The changes, each with the dataset it is on, and the seeds that it rests on."""
    seeds = {len(change.by_seed) for change in found.values()}
    if len(seeds) > 1:
        numbers = [
            f"{_percent(change.mean)} on {name} ({plural(len(change.by_seed), 'seed')})"
            for name, change in found.items()
        ]
        return listed_names(numbers)
    numbers = [f"{_percent(change.mean)} on {name}" for name, change in found.items()]
    each = " each" if len(found) > 1 else ""
    return f"{listed_names(numbers)}, {plural(min(seeds), 'seed')}{each}"


def _span(found: Sequence[Difference]) -> str:
    """The smallest and the largest of some changes."""
    low, high = (_percent(end(change.mean for change in found)) for end in (min, max))
    return low if low == high else f"{low} to {high}"


#: The rows and the columns of :func:`price`.
_MEASURES = {"NDCG@20": "ndcg", "unpopular / popular": "ratio", "best epoch": "best_epoch"}


def price(compared: Sequence[Compared]) -> str:
    """What PRISM changes against three decays with DirectAU, in quality, fairness and epochs, as an HTML table.

    Args:
        compared: the ways, for every dataset and loss.
    """
    directau = [each for each in compared if each.loss == "directau"]
    rows = []
    for way in (FIXED, TUNED, STRONG):
        row = {"PRISM against": way}
        for title, measure in _MEASURES.items():
            row[title] = "<br>".join(
                f"{_whole(_percent(change.mean))} {name}{_mark_of_open(change)}"
                for name, change in _changes(directau, way, measure).items()
            )
        rows.append(row)
    return pd.DataFrame(rows).to_html(index=False, border=0, escape=False, justify="left")


def _mark_of_open(change: Difference) -> str:
    word = judge(change).word
    return "" if word in ("better", "worse", "equivalent") else f", {word}"


def plain_sgd(compared: Sequence[Compared]) -> str:
    """What plain SGD gives with DirectAU, without decay and without PRISM, in Markdown.

    Args:
        compared: the ways, for every dataset and loss.
    """
    directau = [each for each in compared if each.loss == "directau"]
    batches = f", batches of {_batch(directau)}" if directau else ""
    how = f"at a learning rate of {SGD_RATE:g}{batches}, without decay and without PRISM"
    made = [each for each in directau if len(each.shown(SGD))]
    if not made:
        return f"**Plain SGD** {how}, has not been run."
    parts = []
    for each in made:
        change = each.change(TUNED, way=SGD)
        against = "" if change is None else f", {_percent(change.mean)} against tuned decay"
        ratio = each.shown(SGD)["ratio"].mean() / each.shown(PRISM)["ratio"].mean()
        fair = f", and {ratio:.1f} times PRISM's unpopular / popular ratio" if np.isfinite(ratio) else ""
        parts.append(f"{each.shown(SGD)['ndcg'].mean():.4f} on {dataset_name(each.dataset)}{against}{fair}")
    missing = [dataset_name(each.dataset) for each in directau if each not in made]
    not_run = f" Not run on {listed_names(missing)}." if missing else ""
    return f"**Plain SGD** was run {how}. It gives NDCG@20 {'. It gives '.join(parts)}.{not_run}"


def _batch(directau: Sequence[Compared]) -> str:
    """The batch size of the runs with DirectAU, as text."""
    (config,) = grid_configs(directau[0].dataset, "directau", 0.0)
    return f"{config.batch_size:,}"


def already_trained(compared: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> str:
    """What lengths that are put on at scoring give with DirectAU, trained without decay, as sentences.

    They are of trainings that also stopped on a validation with such lengths. What they give to an ordinary training
    is said where its record has it.

    Args:
        compared: the ways, for every dataset and loss.
        records: by the name of a dataset, its runs of :func:`~prismbook.tables.ways.scored_with_lengths`.

    >>> already_trained([], {})
    ''
    """
    directau = [each for each in compared if each.loss == "directau"]
    stopped, ordinary, missing = [], [], []
    for each in directau:
        name, row = dataset_name(each.dataset), _scored(records.get(each.dataset, ()))
        if row is not None:
            prism = each.shown(PRISM)  # at the seeds that both have
            prism = prism[prism["seed"].isin([record["config"]["seed"] for record in records[each.dataset]])]
            ratio = row["ratio with it"] / prism["ratio"].mean()
            fair = f", with {ratio:.1f} times PRISM's ratio" if np.isfinite(ratio) else ""
            beside = f", where PRISM has {prism['ndcg'].mean():.4f}{fair}" if len(prism) else ""
            stopped.append(f"{row['ndcg with it']:.4f} on {name} ({plural(round(row['seeds']), 'seed')}){beside}")
        else:
            missing.append(name)
        row = _scored(rescored(each))
        if row is not None:
            ordinary.append(
                f"{row['ndcg with it']:.4f} in place of {row['ndcg']:.4f} on {name}"
                f" ({plural(round(row['seeds']), 'seed')})"
            )
    if not stopped and not ordinary:
        return ""
    text = "**Lengths at scoring** change no step of a training."
    if stopped:
        listed = ". It is ".join(stopped)
        text += f" If training also stops on a validation with these lengths, NDCG@20 is {listed}."
        text += f" With Adam they were not run on {listed_names(missing)}." if missing else ""
    if ordinary:
        return f"{text} Put on an ordinary training without decay, they give {'; '.join(ordinary)}."
    return f"{text} What they give to a model that was trained as usual was not measured."


def _scored(records: Sequence[Record]) -> pd.Series | None:
    """The row of :func:`~prismbook.tables.lengths.by_training` at the learning rate with the most seeds."""
    table = by_training(records)
    kept = table[table["ndcg with it"].notna()]
    return None if kept.empty else kept.sort_values("seeds").iloc[-1]


def what_one_changes(compared: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> str:
    """What one changes, what it costs and what it gives, with DirectAU that has no decay yet, as an HTML table.

    Args:
        compared: as for :func:`already_trained`.
        records: as for :func:`already_trained`.
    """
    directau = [each for each in compared if each.loss == "directau"]
    scored = {each.dataset: _with_lengths(records.get(each.dataset, ())) for each in directau}
    sources: list[tuple[str, str, Callable[[Compared], pd.DataFrame]]] = [
        ("nothing", "", lambda each: each.shown(NONE)),
        (_in_adam(FIXED_DECAY), "yes", lambda each: each.shown(FIXED)),
        (_in_adam(MIDDLE_DECAY), "yes", lambda each: each.at_decay(MIDDLE_DECAY)),
        ("PRISM: lengths at the start", "yes", lambda each: each.shown(PRISM)),
        ("lengths at scoring, on the first row's training", "no", lambda each: _with_lengths(rescored(each))),
        ("lengths at scoring, and stopping by them", "yes", lambda each: scored[each.dataset]),
        (f"the optimiser: plain SGD, learning rate {SGD_RATE:g}", "yes", lambda each: each.shown(SGD)),
    ]
    rows = [
        {"you change": change, "train again?": again, **{dataset_name(e.dataset): _in_short(runs(e)) for e in directau}}
        for change, again, runs in sources
    ]
    return pd.DataFrame(rows).to_html(index=False, border=0, escape=False, justify="left")


def _in_adam(decay: float) -> str:
    return f"<code>weight_decay={_power(decay)}</code> in Adam"


def _with_lengths(records: Sequence[Record]) -> pd.DataFrame:
    """Runs whose items got other lengths at scoring, with what they then give, in the columns of a table of runs."""
    row = _scored(records)
    if row is None:
        return pd.DataFrame()
    shown = {"ndcg": row["ndcg with it"], "ratio": row["ratio with it"], "best_epoch": row["epochs"] - 1}
    return pd.DataFrame([shown] * round(row["seeds"]))


def _in_short(runs: pd.DataFrame) -> str:
    """The means of score, ratio and best epoch over some runs, with the number of seeds, as HTML."""
    if runs.empty:
        return "not run"
    lines = (
        f"{runs['ndcg'].mean():.4f} ({len(runs)})",
        f"ratio {runs['ratio'].mean():.3f}",
        f"epoch {runs['best_epoch'].mean():.0f}",
    )
    return "<br>".join(map(_whole, lines))


def where_popularity_goes(compared: Sequence[Compared]) -> str:
    """Whether each change of the training puts popularity into lengths, and takes from unpopular items, in sentences.

    Args:
        compared: the ways, for every dataset and loss.

    >>> where_popularity_goes([])
    ''
    """
    directau = [each for each in compared if each.loss == "directau" and len(each.shown(NONE))]
    both = [(each.shown(NONE), each.shown(way)) for each in directau for way in (FIXED, PRISM, SGD)]
    both = [(none, changed) for none, changed in both if len(changed)]
    if not both:
        return ""
    written, taken = (
        sum(float(changed[name].mean()) * sign > float(none[name].mean()) * sign for none, changed in both)
        for name, sign in (("norm_correlation", 1), ("ratio", -1))
    )
    return (
        f"With decay {_power(FIXED_DECAY)}, PRISM or plain SGD the items' lengths follow popularity more closely than"
        f" without, in {written} of {len(both)} cases. The unpopular / popular ratio is lower in {taken}."
    )


def other_decays(compared: Sequence[Compared]) -> str:
    """What each decay gives against PRISM with DirectAU, and how many epochs the middle one saves, in sentences.

    Args:
        compared: the ways, for every dataset and loss.

    >>> other_decays([])
    ''
    """
    directau = [each for each in compared if each.loss == "directau"]
    tried = sorted({float(decay) for each in directau for decay in each.decays["weight_decay"]}) if directau else []
    parts = []
    for decay in tried:
        changes = [relative_difference(each.at_decay(decay), each.runs[PRISM], "ndcg") for each in directau]
        if known := [change for change in changes if change is not None]:
            parts.append(f"{_power(decay)} {_span(known)}")
    if not parts:
        return ""
    pairs = [(each.at_decay(FIXED_DECAY), each.at_decay(MIDDLE_DECAY)) for each in directau]
    saved = [
        weak.iloc[0]["best_epoch"] / middle.iloc[0]["best_epoch"] for weak, middle in pairs if len(weak) and len(middle)
    ]
    epochs = (
        f" {_power(FIXED_DECAY)} needs {min(saved):.1f} to {max(saved):.1f} times the epochs of {_power(MIDDLE_DECAY)}."
        if saved
        else ""
    )
    return (
        f"NDCG@20 against PRISM, by the decay: {'; '.join(parts)}.{epochs} This is at the paper's"
        f" learning rate, with a mean loss and batches of {_batch(directau)}: try two."
    )


def how_sure(compared: Iterable[Compared], where: str = "on this page") -> str:
    """On how many seeds the comparisons with PRISM rest, as a sentence.

    Args:
        compared: the ways, for every dataset and loss.
        where: which comparisons these are, in a few words.

    >>> how_sure([])
    'No comparison with PRISM is decided.'
    """
    seeds = [
        len(change.by_seed)
        for each in compared
        for way in WAYS
        if way != PRISM and (change := each.change(way)) is not None
    ]
    if not seeds:
        return "No comparison with PRISM is decided."
    one = sum(number == 1 for number in seeds)
    return f"Of {plural(len(seeds), 'comparison')} with PRISM {where}, {one} rest on one seed."


def table(compared: Sequence[Compared]) -> str:
    """The ways for one loss as an HTML table: one row per way, one column per dataset.

    Args:
        compared: the ways for one loss, one entry per dataset.
    """
    rows = [
        {"trained with": way, **{dataset_name(each.dataset): _way_in_full(each, way) for each in compared}}
        for way in WAYS
    ]
    return pd.DataFrame(rows).to_html(index=False, border=0, escape=False, justify="left")


def _way_in_full(each: Compared, way: str) -> str:
    """What a way gives on a dataset, with PRISM's difference from it at the seeds that both have, as HTML."""
    shown, setback, change = each.shown(way), each.setback(way), each.change(way)
    if shown.empty:
        return "not run"
    lines = [f"{shown['ndcg'].mean():.4f} ({plural(len(shown), 'seed')})"]
    if way == TUNED and (decay := each.decay()) is not None:
        lines.append(f"decay {_power(decay)}")
    lines += [f"ratio {shown['ratio'].mean():.3f}", f"epoch {shown['best_epoch'].mean():.0f}"]
    text = "<br>".join(map(_whole, lines))
    text += f"<br>{setback}" if setback else ""
    if way == TUNED and each.undecided is not None:
        text += f"<br>(RQ3's search chose {_power(each.undecided)}, whose run decides nothing)"
    if way == PRISM or change is None:
        return text
    ours, theirs, seeds = each.pair(way)
    low, high = (f"{100 * end:+.1f}" for end in change.interval)
    # with a seed left out, the seeds that are left were chosen by how their runs ended
    difference = _whole(_percent(change.mean) if change.left_out else f"{_percent(change.mean)} [{low}, {high}]")
    where, patience = "seed" if len(seeds) == 1 else "seeds", each.patience(way)
    return (
        f"{text}<br><b>PRISM</b> {difference}<br>{judge(change)}: {_whole(f'{ours:.4f} against {theirs:.4f}')},"
        f" {where} {listed_names([str(seed) for seed in seeds])}{f', {patience}' if patience else ''}"
    )


def figure(
    compared: Sequence[Compared], measure: str, put_on: Mapping[tuple[str, str], Sequence[Record]] | None = None
) -> Figure:
    """One measure of each way relative to tuned decay, one panel per dataset with a line per loss.

    Args:
        compared: the ways, for every dataset and loss. What decides nothing is not drawn.
        measure: ``"ndcg"``, or ``"ratio"``, which is drawn in multiples.
        put_on: by a dataset and a loss, the runs of :func:`~prismbook.tables.ways.scored_with_lengths`, which are drawn
            without an interval; None for none.
    """
    names = list(dict.fromkeys(each.dataset for each in compared))
    drawn, axes = plt.subplots(len(names), 1, figsize=(5.0, 1.6 * len(names) + 0.9), sharex=True, squeeze=False)
    in_percent = measure == "ndcg"
    for axis, dataset in zip(axes[:, 0], names, strict=True):
        if in_percent:
            axis.axvspan(-100 * MARGIN, 100 * MARGIN, color="#777777", alpha=0.15, linewidth=0)
        else:
            axis.set_xscale("log", base=2)
            axis.set_xticks([0.125, 0.25, 0.5, 1, 2, 4, 8, 16], ["⅛", "¼", "½", "1", "2", "4", "8", "16"])
            axis.minorticks_off()
        axis.axvline(0 if in_percent else 1, color="black", linewidth=1, linestyle="--")
        of_dataset = [each for each in compared if each.dataset == dataset]
        for place, each in enumerate(of_dataset):
            if each.undecided is not None:
                continue
            rescores = (put_on or {}).get((dataset, each.loss), ())
            for shift, (way, (colour, marker)) in zip(np.linspace(-0.3, 0.3, len(LOOKS)), LOOKS.items(), strict=True):
                values = (
                    _against_tuned(each, way, measure) if way in WAYS else _rescored_change(each, rescores, measure)
                )
                if values is None:
                    continue
                x, *around = (100 * value if in_percent else 1 + value for value in values)
                axis.plot(around, [place + shift] * 2, color=colour, linewidth=1.2)
                size = 9 if marker == "*" else 5
                axis.plot(x, place + shift, marker, color=colour, markersize=size, linestyle="", label=way)
        axis.set_yticks(range(len(of_dataset)), [_named(each) for each in of_dataset])
        axis.set_ylim(len(of_dataset) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set_title(dataset_name(dataset), loc="left")
    direction = "NDCG@20, change in % →  better" if in_percent else "unpopular / popular, times →  fairer"
    axes[-1, 0].set_xlabel(f"{direction}\n(dashed: tuned decay)")
    unique = {str(line.get_label()): line for axis in axes.flat for line in axis.lines if line.get_label() in LOOKS}
    named = [way for way in LOOKS if way in unique]
    drawn.legend([unique[way] for way in named], named, loc="outside lower center", ncols=2, fontsize="small")
    return drawn


def _against_tuned(each: Compared, way: str, measure: str) -> tuple[float, float, float] | None:
    """A way's change against tuned decay with the ends of its interval, which are the change where none is known."""
    change = each.change(TUNED, measure, way)
    if change is None:
        return None
    is_tuned = way == FIXED and each.decay() == FIXED_DECAY  # one run, whose difference is none
    ends = (change.mean, change.mean) if is_tuned or change.left_out else change.interval
    return change.mean, *ends


def _rescored_change(each: Compared, records: Sequence[Record], measure: str) -> tuple[float, float, float] | None:
    """As :func:`_against_tuned` for lengths at scoring, without an interval."""
    shares = _shares(each, records, measure, TUNED)
    return (float(np.mean(shares)),) * 3 if shares else None


def _shares(each: Compared, records: Sequence[Record], measure: str, way: str) -> list[float]:
    """How lengths at scoring change a measure of a way, as shares, at the seeds that both have."""
    other = usable(each.runs[way]).set_index("seed")[measure]
    return [
        float(by_training([record]).iloc[0][f"{measure} with it"] / other[seed] - 1)
        for record in records
        if (seed := record["config"]["seed"]) in other
    ]


def _named(each: Compared) -> str:
    """The name of a loss, with a word where no run of it was made, or where tuned decay's run decides nothing."""
    if each.undecided is not None:
        return f"{LOSS_NAMES[each.loss]}, open"
    made = any(len(each.shown(way)) for way in WAYS)
    return LOSS_NAMES[each.loss] if made else f"{LOSS_NAMES[each.loss]}, not run"


def _changes(compared: Iterable[Compared], other: str, measure: str = "ndcg") -> dict[str, Difference]:
    """PRISM against another way, by the name of the dataset, where there is a difference."""
    found = {dataset_name(each.dataset): each.change(other, measure) for each in compared}
    return {name: change for name, change in found.items() if change is not None}


def _advice(found: Mapping[Any, Difference], yes: str, no: str, otherwise: str) -> str:
    """One of three words: where PRISM is better in all of some comparisons, in none, or in a part of them."""
    better = [judge(change).word == "better" for change in found.values()]
    return yes if all(better) else otherwise if any(better) else no


def _percent(share: float) -> str:
    return f"{100 * share:+.1f}{_NBSP}%"


def _whole(text: str) -> str:
    """HTML of text that no width breaks."""
    return f"<span style='white-space: nowrap'>{text}</span>"


def _power(decay: float) -> str:
    """A weight decay as it is written in sentences.

    >>> _power(1e-5), _power(0.0001)
    ('1e-5', '1e-4')
    """
    return f"{decay:.0e}".replace("e-0", "e-")
