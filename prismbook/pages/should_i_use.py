"""What the page "Should I use PRISM?" says and shows, all of it computed from :mod:`prismbook.tables.ways`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prismbook.runs.records import Record
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.lengths import by_training
from prismbook.tables.rules import MARGIN, Difference, judge
from prismbook.tables.ways import FIXED, FIXED_DECAY, LOSSES, NONE, PRISM, SGD, SGD_RATE, STRONG, TUNED, WAYS, Compared
from prismbook.text import listed_names, plural

#: The colour and the marker of each way but tuned decay, which is the line that they are measured from.
LOOKS = {NONE: ("#777777", "o"), FIXED: ("#0072B2", "v"), PRISM: ("#009E73", "*"), SGD: ("#D55E00", "s")}
#: Space that no line is broken at.
_NBSP = "\N{NO-BREAK SPACE}"


def answer(compared: Sequence[Compared]) -> str:
    """The answer in paragraphs of Markdown: without decay, with decay, and with other losses.

    Args:
        compared: the ways, for every dataset and loss.

    >>> answer([]).splitlines()[0]
    'No run says whether PRISM helps a model that is trained without weight decay.'
    """
    by_loss = {loss: [each for each in compared if each.loss == loss] for loss in LOSSES}
    return "\n\n".join(
        [_without_decay(by_loss), _with_decay(by_loss["directau"]), _other_losses(by_loss["ssm"], by_loss["bpr"])]
    )


def _without_decay(by_loss: Mapping[str, Sequence[Compared]]) -> str:
    found = _changes(by_loss["directau"], NONE)
    if not found:
        return "No run says whether PRISM helps a model that is trained without weight decay."
    advice = {1.0: "try PRISM", 0.0: "PRISM is no gain"}.get(_share_better(found), "PRISM may help")
    text = f"If you train DirectAU **without weight decay**, {advice}: it changes NDCG@20 by {_on_each(found)}."
    for loss, name in (("mawu", "MAWU"), ("ssm", "SSM")):
        if others := _changes(by_loss[loss], NONE):
            gain = {1.0: "it helps too", 0.0: "no gain is shown"}.get(_share_better(others), "it may help")
            text += f" With {name} {gain}: {_on_each(others)}."
    return text


def _on_each(found: Mapping[str, Difference]) -> str:
    """The changes, each with the dataset it is on."""
    return listed_names([f"{_percent(change.mean)} on {name}" for name, change in found.items()])


def _with_decay(directau: Sequence[Compared]) -> str:
    found = [change for way in (FIXED, TUNED) for change in _changes(directau, way).values()]
    if not found:
        return "No run says whether PRISM helps a model that has weight decay."
    advice = "it may help" if any(judge(change).word == "better" for change in found) else "there is no need"
    low, high = (_percent(end(change.mean for change in found)) for end in (min, max))
    return (
        f"If your Adam **already has a coupled weight decay**, of 1e-6 or a tuned one, {advice} with DirectAU: PRISM"
        f" changes NDCG@20 by {low} to {high}. AdamW's decay is another: by the law of lengths it writes no popularity."
    )


def _other_losses(ssm: Sequence[Compared], bpr: Sequence[Compared]) -> str:
    parts = []
    for name, of_loss in (("SSM", ssm), ("BPR", bpr)):
        # where the search's decay decides nothing, the decay that is shown in its place is not the tuned one
        found = _changes([each for each in of_loss if each.undecided is None], TUNED)
        doubtful = _changes([each for each in of_loss if each.undecided is not None], TUNED)
        collapsed = any(each.setback(PRISM).startswith("never learned") for each in of_loss)
        if not found and not collapsed:
            parts.append(f"with **{name}** no run says it")
            continue
        share = 0.0 if collapsed else _share_better(found)
        lost = collapsed or all(judge(change).word == "worse" for change in found.values())
        advice = (
            "do not use it" if lost else {1.0: "it helps", 0.0: "it is no gain"}.get(share, "it depends on the dataset")
        )
        numbers = _on_each(found) if found else "it never learned"
        open_on = f"; open on {listed_names(list(doubtful))}" if doubtful else ""
        parts.append(f"with **{name}** {advice} ({numbers}{open_on})")
    return f"Against tuned decay, {'; '.join(parts)}."


def price(compared: Sequence[Compared]) -> str:
    """What the ways differ in besides NDCG@20, for DirectAU, as a list in Markdown.

    Args:
        compared: the ways, for every dataset and loss.
    """
    directau = [each for each in compared if each.loss == "directau"]
    lines = []
    ratios = _changes(directau, FIXED, "ratio")
    if ratios:
        words = {name: judge(change).word for name, change in ratios.items()}
        lower = sum(word == "worse" for word in words.values())
        decided = ("better", "worse", "equivalent")
        shown = {name: name if words[name] in decided else f"{name}, open" for name in ratios}
        numbers = listed_names([f"{_percent(change.mean)} ({shown[name]})" for name, change in ratios.items()])
        lines.append(
            f"**Fairness.** PRISM's unpopular / popular ratio is lower than decay 1e-6 has it, so less fair, on"
            f" {lower} of {plural(len(ratios), 'dataset')}: {numbers}."
        )
    both = {
        dataset_name(each.dataset): (each.shown(PRISM)["best_epoch"].mean(), each.shown(TUNED)["best_epoch"].mean())
        for each in directau
        if _changes([each], TUNED)
    }
    if both:
        later = sum(prism > tuned for prism, tuned in both.values())
        numbers = listed_names([f"{prism:.0f} against {tuned:.0f} ({name})" for name, (prism, tuned) in both.items()])
        lines.append(
            f"**Epochs.** At this learning rate, and at alpha = 1, PRISM's best epoch is later than tuned decay's on"
            f" {later} of {plural(len(both), 'dataset')}: {numbers}."
        )
    strong = _changes(directau, STRONG)
    if strong:
        numbers = listed_names([f"{_percent(change.mean)} ({name})" for name, change in strong.items()])
        lines.append(
            "**No strength to tune.** Against a decay of 1e-4, taken without a search, PRISM changes NDCG@20 by"
            f" {numbers}."
        )
    lines.append(f"**Another optimiser.** {_plain_sgd(directau)}")
    return "\n".join(f"- {line}" for line in lines)


def _plain_sgd(directau: Sequence[Compared]) -> str:
    name = f"Plain SGD at a learning rate of {SGD_RATE:g}, without decay and without PRISM,"
    made = [each for each in directau if len(each.shown(SGD))]
    if not made:
        return f"{name} has not been run."
    parts = []
    for each in made:
        change = each.change(TUNED, way=SGD)
        against = "" if change is None else f", {_percent(change.mean)} against tuned decay"
        ratio = each.shown(SGD)["ratio"].mean() / each.shown(PRISM)["ratio"].mean()
        fair = f", with {ratio:.1f} times PRISM's ratio" if np.isfinite(ratio) else ""
        parts.append(f"{each.shown(SGD)['ndcg'].mean():.4f} on {dataset_name(each.dataset)}{against}{fair}")
    missing = [dataset_name(each.dataset) for each in directau if each not in made]
    not_run = f" Not run on {listed_names(missing)}." if missing else ""
    return f"{name} gives NDCG@20 {'; '.join(parts)}.{not_run} [](optimisers.ipynb) has more."


def already_trained(compared: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> str:
    """What lengths that are put on after training give with DirectAU, without decay, as a sentence or two.

    Args:
        compared: the ways, for every dataset and loss.
        records: by the name of a dataset, its runs of :func:`~prismbook.tables.ways.scored_with_lengths`.

    >>> already_trained([], {})
    ''
    """
    parts, missing = [], []
    for each in compared:
        if each.loss != "directau":
            continue
        name, row = dataset_name(each.dataset), _scored(records.get(each.dataset, ()))
        if row is None:
            missing.append(name)
            continue
        beside = f", where PRISM has {each.shown(PRISM)['ndcg'].mean():.4f}" if len(each.shown(PRISM)) else ""
        parts.append(f"{row['ndcg with it']:.4f} on {name}{beside}")
    if not parts:
        return ""
    not_run = f" Not run on {listed_names(missing)}." if missing else ""
    return (
        "**Already trained without decay?** Lengths put on at scoring need no other training: NDCG@20"
        f" {'; '.join(parts)}, at less for unpopular items.{not_run}"
    )


def _scored(records: Sequence[Record]) -> pd.Series | None:
    """The row of :func:`~prismbook.tables.lengths.by_training` at the learning rate with the most seeds."""
    table = by_training(records)
    kept = table[table["ndcg with it"].notna()]
    return None if kept.empty else kept.sort_values("seeds").iloc[-1]


#: What each way changes in a training by Adam without decay.
_CHANGES = {
    NONE: "nothing",
    FIXED: "<code>weight_decay=1e-6</code> in Adam",
    PRISM: "PRISM: lengths at the start",
    SGD: f"the optimiser: plain SGD, learning rate {SGD_RATE:g}",
}


def four_ways(compared: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> str:
    """What one changes, what it costs and what it gives, with DirectAU that has no decay yet, as an HTML table.

    Args:
        compared: as for :func:`already_trained`.
        records: as for :func:`already_trained`.
    """
    directau = [each for each in compared if each.loss == "directau"]
    rows = []
    for way, change in _CHANGES.items():
        cells = {dataset_name(each.dataset): _score_and_ratio(each.shown(way), "ndcg", "ratio") for each in directau}
        rows.append({"you change": change, "train again?": "" if way == NONE else "yes", **cells})
        if way == PRISM:  # of which the next row is the equal after training
            scored = {each.dataset: _scored(records.get(each.dataset, ())) for each in directau}
            tables = {name: pd.DataFrame([] if row is None else [row]) for name, row in scored.items()}
            cells = {
                dataset_name(name): _score_and_ratio(table, "ndcg with it", "ratio with it")
                for name, table in tables.items()
            }
            rows.append({"you change": "lengths at scoring, see below", "train again?": "no", **cells})
    return pd.DataFrame(rows).to_html(index=False, border=0, escape=False, justify="left")


def _score_and_ratio(runs: pd.DataFrame, score: str, ratio: str) -> str:
    """The means of both over some runs, with the number of seeds, as HTML."""
    if runs.empty:
        return "not run"
    seeds = round(runs["seeds"].iloc[0]) if "seeds" in runs else len(runs)
    numbers = f"{runs[score].mean():.4f} ({seeds})"
    return f"{_whole(numbers)}<br>{_whole(f'ratio {runs[ratio].mean():.3f}')}"


def how_sure(compared: Iterable[Compared]) -> str:
    """On how many seeds the comparisons with PRISM rest, as a sentence.

    Args:
        compared: the ways, for every dataset and loss.

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
    return f"Of {plural(len(seeds), 'comparison')} with PRISM on this page, {one} rest on a single seed."


def table(compared: Sequence[Compared]) -> str:
    """The ways for one loss on every dataset, as an HTML table of six columns.

    Args:
        compared: the ways for one loss, one entry per dataset.
    """
    rows = []
    for each in compared:
        dataset = dataset_name(each.dataset)
        for way in WAYS:
            shown, setback = each.shown(way), each.setback(way)
            made = len(shown) > 0
            decay = each.decay()
            name = f"{way}, {_power(decay)}" if way == TUNED and decay is not None else way
            if way == TUNED and each.undecided is not None:
                name += f"<br>(RQ3's search chose {_power(each.undecided)}, whose run decides nothing)"
            score = f"{shown['ndcg'].mean():.4f} ({plural(len(shown), 'seed')})" if made else "not run"
            rows.append(
                {
                    # the repeated name is only seen on a phone, where each row is a card
                    "dataset": dataset if way == WAYS[0] else f"<span class='again'>{dataset}</span>",
                    "trained with": name,
                    "NDCG@20": f"{_whole(score)}<br>{setback}" if setback else _whole(score),
                    "unpopular / popular": f"{shown['ratio'].mean():.3f}" if made else "",
                    "best epoch": f"{shown['best_epoch'].mean():.0f}" if made else "",
                    "PRISM against it": "" if way == PRISM else _cell(each.change(way)),
                }
            )
    shown_table = pd.DataFrame(rows)
    return shown_table.to_html(index=False, border=0, escape=False, justify="left")


def _cell(change: Difference | None) -> str:
    """A difference with its interval, its word and its seeds; empty where there is none."""
    if change is None:
        return ""
    low, high = (f"{100 * end:+.1f}" for end in change.interval)
    numbers = f"{_percent(change.mean)} [{low}, {high}]"
    return f"{_whole(numbers)}<br>{judge(change)}, {_whole(plural(len(change.by_seed), 'seed'))}"


def figure(compared: Sequence[Compared], measure: str) -> Figure:
    """One measure of each way relative to tuned decay, one panel per dataset with a line per loss.

    Args:
        compared: the ways, for every dataset and loss. What decides nothing is not drawn.
        measure: ``"ndcg"``, or ``"ratio"``, which is drawn in multiples.
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
            for shift, (way, (colour, marker)) in zip(np.linspace(-0.24, 0.24, len(LOOKS)), LOOKS.items(), strict=True):
                change = each.change(TUNED, measure, way)
                if change is None:
                    continue
                is_tuned = way == FIXED and each.decay() == FIXED_DECAY  # one run, whose difference is none
                ends = (change.mean, change.mean) if is_tuned else change.interval
                x, *around = (100 * value if in_percent else 1 + value for value in (change.mean, *ends))
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


def _named(each: Compared) -> str:
    """The name of a loss, with a word where no run of it was made."""
    made = any(len(each.shown(way)) for way in WAYS)
    return LOSS_NAMES[each.loss] if made else f"{LOSS_NAMES[each.loss]}, not run"


def _changes(compared: Iterable[Compared], other: str, measure: str = "ndcg") -> dict[str, Difference]:
    """PRISM against another way, by the name of the dataset, where there is a difference."""
    found = {dataset_name(each.dataset): each.change(other, measure) for each in compared}
    return {name: change for name, change in found.items() if change is not None}


def _share_better(found: dict[str, Difference]) -> float:
    return sum(judge(change).word == "better" for change in found.values()) / len(found)


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
