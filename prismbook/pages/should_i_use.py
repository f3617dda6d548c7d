"""The tables and figures of the page "Should I use PRISM?", computed from :mod:`prismbook.tables.ways`.

Its answer is of :mod:`prismbook.pages.advice`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from prismbook.pages.advice_numbers import Known, changes, gains_and_ratios, scored_row, shares
from prismbook.pages.change_words import percent, power, span
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import Record
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.rules import MARGIN, Difference, judge
from prismbook.tables.seed_differences import dips, relative_difference
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
    TUNED,
    WAYS,
    Compared,
    rescored,
)
from prismbook.text import listed_names, plural
from prismlib import datasets
from prismlib.optim import untuned_sgd_rate

#: The colour and the marker of each way but tuned decay, which is the line that they are measured from.
LOOKS = {
    NONE: ("#777777", "o"),
    FIXED: ("#0072B2", "v"),
    PRISM: ("#009E73", "*"),
    SGD: ("#D55E00", "s"),
    "lengths at scoring": ("#CC79A7", "D"),
}
#: The rows and the columns of :func:`price`.
_MEASURES = {"NDCG@20": "ndcg", "unpopular / popular": "ratio", "best epoch": "best_epoch"}


def at_a_glance(runs: Known) -> pd.DataFrame:
    """What one gains by changing from no decay, or from a tuned one, to each other way, in cells of HTML.

    A cell has the range over datasets of the change of NDCG@20, the factors of the unpopular / popular ratio, and on
    how many datasets and seeds both were run. A tuned decay that decides nothing is not compared.

    Args:
        runs: what is known.
    """
    rows = []
    for loss in LOSSES:
        for start in (NONE, TUNED):
            compared = [each for each in runs.of(loss) if start == NONE or each.undecided is None]
            row = {"trained with": f"{LOSS_NAMES[loss]}, {start}"}
            row["lengths at scoring, new training"] = _range(*gains_and_ratios(compared, runs.scored(loss=loss), start))
            row |= {way: _range(*_changed(compared, start, way)) for way in (TUNED, PRISM, SGD) if way != start}
            rows.append(row)
    columns = ["trained with", "lengths at scoring, new training", TUNED, PRISM, SGD]
    return pd.DataFrame(rows, columns=columns).fillna("")


def _changed(compared: Sequence[Compared], start: str, way: str) -> tuple[dict[str, Sequence[float]], ...]:
    """How a way changes NDCG@20 and the ratio of another one: as shares, one for each seed, by dataset."""
    known = [each for each in compared if way != TUNED or each.undecided is None]
    found = [{each.dataset: each.change(start, measure, way) for each in known} for measure in ("ndcg", "ratio")]
    return tuple(
        {name: [change.mean] * len(change.by_seed) for name, change in of.items() if change is not None} for of in found
    )


def _range(gains: Mapping[str, Sequence[float]], ratios: Mapping[str, Sequence[float]]) -> str:
    """The range of the means of some changes and of the factors of the ratio, with datasets and seeds, as HTML."""
    if not gains:
        return "not run, or open"
    means = sorted({100 * float(np.mean(values)) for values in gains.values()})
    factors = [f"{factor:.2f}" for factor in sorted(1 + float(np.mean(values)) for values in ratios.values())]
    seeds = sorted({len(values) for values in gains.values()})
    ends = [f"{end:+.{0 if abs(end) >= 10 else 1}f}" for end in dict.fromkeys((means[0], means[-1]))]
    many = f"{' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} {'seed' if seeds == [1] else 'seeds'}"
    lines = [
        f"<b>{' to '.join(ends)} %</b>",
        f"\N{MULTIPLICATION SIGN}{' to '.join(dict.fromkeys((factors[0], factors[-1])))}",
        f"on {len(gains)} ({many})",
    ]
    return "<br>".join(map(_whole, lines))


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
                f"{_whole(percent(change.mean))} {name} ({len(change.by_seed)}){_mark_of_open(change, measure)}"
                for name, change in changes(directau, way, measure).items()
            )
        rows.append(row)
    return pd.DataFrame(rows).to_html(index=False, border=0, escape=False, justify="left")


def _mark_of_open(change: Difference, measure: str) -> str:
    word = judge(change).word
    if measure == "best_epoch":  # the rules' words are made for a score
        word = {"not worse": "not fewer", "not better": "not more"}.get(word, word)
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
        against = "" if change is None else f", {percent(change.mean)} against tuned decay{_at_seeds(each)}"
        ratio = each.shown(SGD)["ratio"].mean() / each.shown(PRISM)["ratio"].mean()
        fair = f", and {ratio:.1f} times PRISM's unpopular / popular ratio" if np.isfinite(ratio) else ""
        parts.append(f"{each.shown(SGD)['ndcg'].mean():.4f} on {dataset_name(each.dataset)}{against}{fair}")
    missing = [dataset_name(each.dataset) for each in directau if each not in made]
    not_run = f" Not run on {listed_names(missing)}." if missing else ""
    return f"**Plain SGD** was run {how}. It gives NDCG@20 {'. It gives '.join(parts)}.{not_run}"


def rates_by_the_rule(compared: Sequence[Compared]) -> str:
    """The rate of :func:`prismlib.optim.untuned_sgd_rate` for the tables of each dataset, beside what was run.

    Args:
        compared: the ways, for every dataset and loss.

    >>> rates_by_the_rule([])
    ''
    """
    directau = [each for each in compared if each.loss == "directau" and len(each.shown(SGD))]
    parts = []
    for each in directau:
        card, (config,) = datasets.identity_card(each.dataset), grid_configs(each.dataset, "directau", 0.0)
        tables = (torch.empty(rows, config.dim) for rows in (card.users, card.items))
        draws = torch.Generator().manual_seed(0)
        starts = [torch.nn.init.xavier_uniform_(table, generator=draws) for table in tables]
        rate = max(untuned_sgd_rate(table, cast(int, config.batch_size)) for table in starts)
        parts.append(f"{rate:.2g} on {dataset_name(each.dataset)}")
    if not parts:
        return ""
    return (
        f"At batches of {_batch(directau)} that rule gives {listed_names(parts)}. The runs above have {SGD_RATE:g} on"
        " each, and none has the rule's own rate. So try both."
    )


def _at_seeds(each: Compared) -> str:
    """Both scores of plain SGD's change against tuned decay, and their seeds, in brackets."""
    ours, theirs, seeds = each.pair(TUNED, SGD)
    where = "seed" if len(seeds) == 1 else "seeds"
    return f" ({ours:.4f} against {theirs:.4f}, {where} {listed_names([str(seed) for seed in seeds])})"


def _batch(directau: Sequence[Compared]) -> str:
    """The batch size of the runs with DirectAU, as text."""
    (config,) = grid_configs(directau[0].dataset, "directau", 0.0)
    return f"{config.batch_size:,}"


def what_one_changes(compared: Sequence[Compared], records: Mapping[str, Sequence[Record]]) -> str:
    """What one changes, what it costs and what it gives, with DirectAU that has no decay yet, as an HTML table.

    Args:
        compared: the ways, for every dataset and loss.
        records: by the name of a dataset, its runs of :func:`~prismbook.tables.ways.scored_with_lengths`.
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
    return f"<code>weight_decay={power(decay)}</code> in Adam"


def _with_lengths(records: Sequence[Record]) -> pd.DataFrame:
    """Runs whose items got other lengths at scoring, with what they then give, in the columns of a table of runs."""
    row = scored_row(records)
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
        f"With decay {power(FIXED_DECAY)}, PRISM or plain SGD the items' lengths follow popularity more closely than"
        f" without, in {written} of {len(both)} cases. The unpopular / popular ratio is lower in {taken} of them."
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
    parts, early = [], []
    for decay in tried:
        against = [relative_difference(each.runs[PRISM], each.at_decay(decay), "ndcg") for each in directau]
        if known := [change for change in against if change is not None]:
            parts.append(f"of {power(decay)} {span(known)}")
            early += [f"{power(decay)} on {dataset_name(e.dataset)}" for e in directau if len(dips(e.at_decay(decay)))]
    if not parts:
        return ""
    pairs = [(each.at_decay(FIXED_DECAY), each.at_decay(MIDDLE_DECAY)) for each in directau]
    saved = [
        (weak.iloc[0]["best_epoch"] + 1) / (middle.iloc[0]["best_epoch"] + 1)
        for weak, middle in pairs
        if len(weak) and len(middle)
    ]
    epochs = (
        f" {power(FIXED_DECAY)} needs {min(saved):.1f} to {max(saved):.1f} times the epochs of {power(MIDDLE_DECAY)}."
        if saved
        else ""
    )
    in_dip = f" The run at {listed_names(early)} may have ended in a dip." if early else ""
    return (
        f"At the released code's learning rate of {RunConfig.lr:g}, with a mean loss and batches of {_batch(directau)},"
        f" PRISM's NDCG@20 against a decay: {'; '.join(parts)}.{in_dip}{epochs} So start at {power(MIDDLE_DECAY)}."
    )


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
        lines.append(f"decay {power(decay)}")
    lines += [f"ratio {shown['ratio'].mean():.3f}", f"epoch {shown['best_epoch'].mean():.0f}"]
    text = "<br>".join(map(_whole, lines))
    text += f"<br>{setback}" if setback else ""
    if way == TUNED and each.undecided is not None:
        text += f"<br>(RQ3's search chose {power(each.undecided)}, whose run decides nothing)"
    if way == PRISM or change is None:
        return text
    if way == TUNED and each.undecided is not None:  # neither is the tuned decay, nor had both the same patience
        return f"{text}<br><b>PRISM</b> open"
    ours, theirs, seeds = each.pair(way)
    low, high = (f"{100 * end:+.1f}" for end in change.interval)
    # with a seed left out, the seeds that are left were chosen by how their runs ended
    difference = _whole(percent(change.mean) if change.left_out else f"{percent(change.mean)} [{low}, {high}]")
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
    values = shares(each, records, measure, TUNED)
    return (float(np.mean(values)),) * 3 if values else None


def _named(each: Compared) -> str:
    """The name of a loss, with a word where no run of it was made, or where tuned decay's run decides nothing."""
    if each.undecided is not None:
        return f"{LOSS_NAMES[each.loss]}, open"
    made = any(len(each.shown(way)) for way in WAYS)
    return LOSS_NAMES[each.loss] if made else f"{LOSS_NAMES[each.loss]}, not run"


def _whole(text: str) -> str:
    """HTML of text that no width breaks."""
    return f"<span style='white-space: nowrap'>{text}</span>"
