"""What the page on optimisers shows: predictions of the law of lengths beside what runs say, and what each is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismbook.pages.advice_numbers import Known, gains_and_ratios, words_of_gains
from prismbook.pages.change_words import mean_percent
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS, configs, grid_configs
from prismbook.runs.patience import in_dip
from prismbook.runs.records import Record
from prismbook.tables import analysis, lengths
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name
from prismbook.tables.law import LEAST
from prismbook.tables.rules import MARGIN
from prismbook.tables.ways import NONE, PRISM, SGD, TUNED, Compared
from prismbook.text import listed_names, plural

#: What the law says that a training writes into lengths, in words and as slope of log length in log d. The name of a
#: training has its learning rate where several were planned.
PREDICTED: dict[str, tuple[str, float | None]] = {
    **{f"plain SGD, no decay, rate {lr}": ("d^(1/4), the start is forgotten", 0.25) for lr in (30, 10, 100, 300)},
    **{f"plain SGD, no decay, rate {lr}": ("between none and d^(1/4): the start lasts", None) for lr in (3, 1)},
    "plain SGD, decay 1e-05": ("d^(1/4)", 0.25),
    "PRISM by plain SGD": ("log d, as set: rows so long hardly grow", None),
    "SGD with momentum, no decay": ("d^(1/4)", 0.25),
    "row-wise Adagrad, no decay": ("squared lengths grow with log d (we expected log d)", None),
    "lazy Adam (sparse_adam), no decay": ("squared lengths grow with d", None),
    "PRISM": ("log d, as set; Adam adds alike to squared lengths, which flattens it", None),
    "Adam, no decay": ("nothing", 0.0),
    "AdamW, decay 0.1": ("nothing", 0.0),
    "AdamW, decay 0.3": ("nothing", 0.0),
    "Adam, decay 1e-06": ("d^(1/6), at any decay that comes to rest", 1 / 6),
    "Adam, decay 1e-05": ("d^(1/6)", 1 / 6),
    "Adam, decay 0.0001": ("d^(1/6)", 1 / 6),
    "Adam, decay 1e-07": ("d^(1/6), at rate 0.01 as 1e-5 at 0.001", 1 / 6),
}


def trainings(dataset: str) -> list[RunConfig]:
    """The trainings of matrix factorisation with DirectAU that are compared: optimisers, decays under Adam, PRISM.

    Args:
        dataset: name of the dataset.

    >>> sorted({run.optimizer for run in trainings("gowalla")})[:2]
    ['adam', 'rowwise_adagrad']
    """
    return [
        *(run for run in configs("law", dataset) if (run.loss, run.backbone) == ("directau", "mf")),
        *grid_configs(dataset, "directau", (0.0, 1e-6, 1e-5, 1e-4), seeds=SEEDS),
        *grid_configs(dataset, "directau", 0.0, seeds=SEEDS, init="prism", alpha=1.0),
    ]


def predictions(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """One row per training: the law's prediction, and the slope of log length in log d that runs have on each dataset.

    Args:
        records: stored runs of DirectAU on matrix factorisation, for each dataset, by its name.

    Returns:
        Text: a slope is a mean over runs, with their number in brackets; "not run" where there is none. A training that
        was run nowhere has no row; :func:`plan` names it.
    """
    rows = []
    for name, (words, slope) in PREDICTED.items():
        row = {"trained with": name, "the law says": words, "slope": "" if slope is None else f"{slope:.2f}"}
        for dataset, runs in records.items():
            found = [lengths.slope_in_popularity(record) for record in runs if _named(record) == name]
            row[dataset_name(dataset)] = f"{np.mean(found):.2f} ({len(found)})" if found else "not run"
        if any(row[dataset_name(dataset)] != "not run" for dataset in records):
            rows.append(row)
    columns = ["trained with", "the law says", "slope", *(dataset_name(dataset) for dataset in records)]
    return pd.DataFrame(rows, columns=columns).set_index("trained with")


def _named(record: Record) -> str:
    """The training of a run as :data:`PREDICTED` names it."""
    name = lengths.training_name(record["config"])
    return f"{name}, rate {record['config']['lr']:g}" if name == "plain SGD, no decay" else name


def wrote(records: Mapping[str, Sequence[Record]]) -> str:
    """What plain SGD, Adam and AdamW without coupled decay write, and why a correlation says otherwise.

    Args:
        records: as :func:`predictions` takes them.
    """
    runs = [record for each in records.values() for record in each]
    adam, sgd = (
        [run for run in runs if lengths.training_name(run["config"]) == name]
        for name in ("Adam, no decay", "plain SGD, no decay")
    )
    if not adam or not sgd:
        return ""
    low, high = _range([lengths.slope_in_popularity(run) for run in sgd])
    flat = _range([lengths.slope_in_popularity(run) for run in adam])
    said = [
        f"Plain SGD without decay has slopes of {low:.3f} to {high:.3f} in {plural(len(sgd), 'run')},"
        f" Adam without decay of {flat[0]:.3f} to {flat[1]:.3f} in {plural(len(adam), 'run')}."
    ]
    if adamw := lengths.by_adamw(runs):
        which = "; ".join(f"{dataset_name(run.dataset)}, decay {run.decay:g}" for run in adamw)
        most = "in its one run" if len(adamw) == 1 else f"at most in {len(adamw)} runs"
        said.append(
            f"AdamW has {max(run.slope for run in adamw):.2f} {most} ({which}). So its decay writes no popularity and"
            " counts as none; with PRISM it was not run."
        )
    r = _range([run["norms"]["item"]["pearson_log"] for run in adam])
    rare = _range([_rare(run) for run in adam])
    said.append(
        f"A correlation says how tight a relation is, and not how steep. The lengths in these runs of Adam have a"
        f" correlation of {r[0]:.2f} to {r[1]:.2f} with log popularity. The correlation counts items with fewer than"
        f" {LEAST} interactions too; the slope does not. The mean length of such items is {rare[0]:.0%} to"
        f" {rare[1]:.0%} of that of the others."
    )
    grown = [_growth(run) for run in adam]
    said.append(
        f"From {LEAST} interactions on, the longest class is at most {max(grown) - 1:.0%} longer than the shortest."
    )
    return " ".join(said)


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _rare(record: Record) -> float:
    """The mean length of items with fewer interactions than the slope is over, over that of the others."""
    parts = record["norms"]["item"]["bins"]
    few, many = ([part for part in parts if (part["from"] < LEAST) == rare] for rare in (True, False))
    first, second = (
        np.average([part["mean"] for part in side], weights=[part["rows"] for part in side]) for side in (few, many)
    )
    return float(first / second)


def _growth(record: Record) -> float:
    """The mean length of the longest class of items over that of the shortest, of those that the slope is over."""
    means = [part["mean"] for part in record["norms"]["item"]["bins"] if part["from"] >= LEAST]
    return float(max(means) / min(means))


def plan(datasets: Sequence[str], results: Path) -> pd.DataFrame:
    """Every training of the plan, and what it gives where it is stored: "not run" where it is not.

    Args:
        datasets: their names.
        results: folder of the records.

    Returns:
        Text: one row per loss, backbone, training and learning rate, one column per dataset. A cell has test NDCG@20
        at the trained lengths, with lengths at scoring after an arrow, and the number of seeds in brackets.
    """
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for dataset in datasets:
        planned = configs("law", dataset)
        made: dict[tuple[str, str, str], list[Record | None]] = {}
        for config, record in zip(planned, analysis.records(analysis.measured(results, planned)), strict=True):
            by = ", by d^b" if config.length_exponent is not None else ""
            model = f"{LOSS_NAMES[config.loss]}, {BACKBONE_NAMES[config.backbone]}"
            row = model, f"{lengths.training_name(vars(config))}{by}", f"{config.lr:g}"
            made.setdefault(row, []).append(record)
        for row, records in made.items():
            rows.setdefault(row, {})[dataset_name(dataset)] = _score([run for run in records if run is not None])
    index = ["model", "trained with", "learning rate"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index)


def _score(records: Sequence[Record]) -> str:
    if not records:
        return "not run"
    own = [record["test"]["dot"]["ndcg"] for record in records]
    both = [
        (score, scores["ndcg"])
        for score, record in zip(own, records, strict=True)
        if (scores := lengths.with_chosen_lengths(record)) is not None
    ]
    arrow = " → ".join(f"{np.mean(scores):.4f}" for scores in zip(*both, strict=True)) + f" ({len(both)})"
    alone = f"{np.mean(own):.4f} ({len(own)})"
    return arrow if len(both) == len(own) else f"{alone}; {arrow}" if both else alone


def ways(records: Sequence[Record]) -> pd.DataFrame:
    """What each way of training gives on one dataset: quality, fairness, epochs, and the same with chosen lengths.

    Args:
        records: stored runs of DirectAU on matrix factorisation on one dataset.

    Returns:
        Text, one row per training and learning rate, means over seeds; an arrow leads from the trained lengths to those
        that validation chooses at scoring. Where some runs of a training were scored so, they have a row of their own.
    """
    table = _with_rows_of_the_scored(records)
    kept = table["exponent"].notna()

    def arrow(before: str, after: str, digits: int) -> list[str]:
        ends = zip(table[before], table[after], kept, strict=True)
        return [
            f"{own:.{digits}f} → {put_on:.{digits}f}" if there else f"{own:.{digits}f}" for own, put_on, there in ends
        ]

    return pd.DataFrame(
        {
            "NDCG@20": arrow("ndcg", "ndcg with it", 4),
            "unpopular / popular": arrow("ratio", "ratio with it", 3),
            "best epoch": [f"{epochs - 1:.0f}" for epochs in table["epochs"]],  # counted from 0, as elsewhere
            "exponent chosen, mean": [
                f"{exponent:.2f}" if there else "" for exponent, there in zip(table["exponent"], kept, strict=True)
            ],
            "seeds": [f"{seeds:.0f}" for seeds in table["seeds"]],
        },
        index=pd.MultiIndex.from_tuples([(name, f"{rate:g}") for name, rate in table.index], names=table.index.names),
    )


def _with_rows_of_the_scored(records: Sequence[Record]) -> pd.DataFrame:
    """Runs by their training; at the end, of a training of which a part was scored with lengths, this part alone."""
    table = lengths.by_training(records)
    scored = lengths.by_training(record for record in records if "lengths" in record)
    partly = table.index[table["exponent"].isna()].intersection(scored.index)
    seeds: dict[str, list[str]] = {}
    for record in records:
        if "lengths" in record:
            name = lengths.training_and_validation(record["config"])
            seeds.setdefault(name, []).append(str(record["config"]["seed"]))
    alone = scored.loc[partly].rename(
        index=lambda name: f"{name}, seed{'s' if len(seeds[name]) > 1 else ''} {listed_names(seeds[name])} alone",
        level=0,
    )
    return pd.concat([table, alone]) if len(partly) else table


def beside_both(runs: Known, datasets: Sequence[str]) -> str:
    """What Adam without decay that stops by lengths at scoring gives against tuned decay and against PRISM, as a list.

    Args:
        runs: what is known.
        datasets: names of the datasets.

    >>> beside_both(Known([]), ["gowalla"])
    ''
    """
    directau, lines = runs.of("directau"), []
    against = {way: gains_and_ratios(directau, runs.scored(), way)[0] for way in (TUNED, PRISM)}
    for dataset in datasets:
        parts = [
            f"{mean_percent(gains[dataset])} against {way} ({words_of_gains(directau, gains)[dataset]},"
            f" {plural(len(gains[dataset]), 'seed')}{_what_it_is_against(runs, dataset, way)})"
            for way, gains in against.items()
            if dataset in gains
        ]
        if parts:
            lines.append(f"- **{dataset_name(dataset)}:** NDCG@20 {listed_names(parts)}.")
    return "\n".join(lines)


def _what_it_is_against(runs: Known, dataset: str, way: str) -> str:
    """A way's NDCG@20 at the seeds of the trainings that stop by lengths, as a part of a list."""
    seeds = [record["config"]["seed"] for record in runs.scored().get(dataset, ())]
    own = [each.shown(way) for each in runs.of("directau") if each.dataset == dataset]
    scores = [runs_of[runs_of["seed"].isin(seeds)]["ndcg"] for runs_of in own]
    return f", {scores[0].mean():.4f} there" if scores and len(scores[0]) else ""


def found(records: Mapping[str, Sequence[Record]]) -> str:
    """What plain SGD without decay gives beside Adam and PRISM, at its own lengths and at those chosen after training.

    Of several rates of SGD, that with the most seeds is named. Adam is at the rate of PRISM. Of decays that were run at
    another rate, the best by validation is named with it.

    Args:
        records: as :func:`predictions` takes them.

    >>> found({"gowalla": []})
    ''
    """
    lines = []
    for dataset, runs in records.items():
        table = lengths.by_training(runs)
        means: dict[tuple[str, float], tuple[float, int]] = {
            (name, rate): (float(score), int(seeds))
            for (name, rate), score, seeds in zip(table.index, table["ndcg"], table["seeds"], strict=True)
        }
        best_prism = _tuned(runs, "PRISM".__eq__, rates=lambda _: True)
        if best_prism is None or "plain SGD, no decay" not in {name for name, _ in means}:
            continue
        usual = _row(best_prism)
        at_rate, none = usual[1], ("Adam, no decay", usual[1])
        best_decay = _tuned(runs, _with_decay, rates=at_rate.__eq__)
        if best_decay is None or none not in means:
            continue
        tuned = _row(best_decay)
        adam, prism = means[none][0], means[usual][0]
        sgd = pd.DataFrame(table.xs("plain SGD, no decay", level="trained with")).sort_values("seeds").iloc[-1]
        scored = ("Adam, no decay, by d^b", at_rate)
        with_lengths = ""
        if scored in means:
            put_on = dict(zip(table.index, table["ndcg with it"], strict=True))
            with_lengths = f", and {put_on[scored]:.4f} with lengths $d^b$ by which it stops"
        lines.append(
            f"- **{dataset_name(dataset)}.** Plain SGD without decay has a test NDCG@20 of {sgd['ndcg']:.4f},"
            f" Adam without decay {adam:.4f}{with_lengths}. At rate {at_rate:g} {_with(tuned[0])}, chosen by"
            f" validation, has {_with_seeds(means[tuned])}, and PRISM {_with_seeds(means[usual])}."
        )
        elsewhere = _tuned(runs, _with_decay, rates=at_rate.__ne__)
        if elsewhere is not None:
            other = _row(elsewhere)
            knobs = [config["weight_decay"] * config["lr"] ** 2 for config in (best_decay, elsewhere)]
            knob = ", which by the law does the same," if np.isclose(knobs[0], knobs[1], atol=0) else ""
            lines[-1] += f" At rate {other[1]:g} {_with(other[0])}{knob} has {_with_seeds(means[other])}."
        if not np.isnan(sgd["exponent"]):
            prisms = [run for run in runs if _is_prism(run) and run["config"]["lr"] == at_rate]
            rate, at = sgd.name, {run["config"]["seed"] for run in prisms}
            by_sgd = [
                run
                for run in runs
                if lengths.training_name(run["config"]) == "plain SGD, no decay" and run["config"]["lr"] == rate
            ]
            at &= {run["config"]["seed"] for run in by_sgd if "lengths" in run}
            shared = [run for run in [*by_sgd, *prisms] if run["config"]["seed"] in at]
            both = lengths.by_training(shared).droplevel("learning rate")
            ours, theirs = both.loc["plain SGD, no decay"], both.loc["PRISM"]
            seeds = f"seed {min(at)}" if len(at) == 1 else f"the same {len(at)} seeds"
            chosen = "which validation chose" if len(at) == 1 else "on average what validation chose at each seed"
            beside = ""
            if f"{theirs['ndcg']:.4f}" != f"{prism:.4f}":
                beside = (
                    f" At {seeds} PRISM has {theirs['ndcg']:.4f}; its {prism:.4f} above is the mean of"
                    f" {plural(means[usual][1], 'seed')}."
                )
            lines[-1] += (
                f" With lengths $d^{{{ours['exponent']:.2f}}}$ at scoring, {chosen}, the same training by"
                f" SGD has {ours['ndcg with it']:.4f} at {seeds}.{beside} The unpopular / popular ratio is"
                f" {ours['ratio with it']:.2f} then, and PRISM's {theirs['ratio']:.2f} at {seeds}."
            )
    return "\n".join(lines)


def _tuned(
    runs: Iterable[Record], names: Callable[[str], bool], rates: Callable[[float], bool]
) -> dict[str, Any] | None:
    """The configuration of the run that is best by validation; None where there is none.

    Args:
        runs: stored runs. Those that were validated with lengths put on are left out.
        names: whether a training is among those that are compared, by its name.
        rates: whether a learning rate is among those that are compared.
    """
    compared = [
        run
        for run in runs
        if run["config"].get("length_exponent") is None
        and names(lengths.training_name(run["config"]))
        and rates(run["config"]["lr"])
    ]
    return max(compared, key=lambda run: max(run["history"]["validation_dot"]))["config"] if compared else None


def _with_decay(name: str) -> bool:
    return name.startswith("Adam, decay")


def _row(config: Mapping[str, Any]) -> tuple[str, float]:
    """The row of a configuration in a table by training and learning rate."""
    return lengths.training_name(dict(config)), float(config["lr"])


def _with(name: str) -> str:
    return name.replace(", decay", " with decay")


def _with_seeds(score: tuple[float, int]) -> str:
    return f"{score[0]:.4f} ({plural(score[1], 'seed')})"


def _is_prism(run: Record) -> bool:
    return lengths.training_name(run["config"]) == "PRISM" and run["config"].get("length_exponent") is None


def at_the_ratio_of_prism(records: Mapping[str, Sequence[Record]]) -> str:
    """What each training without decay scores at PRISM's own ratio, between the exponents that were scored.

    Args:
        records: as :func:`predictions` takes them.

    Returns:
        A sentence per dataset on which a training without decay and PRISM were run at one seed; each is compared at the
        seeds that both have.

    >>> at_the_ratio_of_prism({"gowalla": []})
    ''
    """
    lines = []
    for dataset, runs in records.items():
        tests = {run["config"]["seed"]: run["test"]["dot"] for run in runs if _is_prism(run)}
        prism = {seed: (test["ndcg"], lengths.ratio_of(test)) for seed, test in tests.items()}
        plain = [run for run in runs if run["config"]["init"] != "prism" and not run["config"]["weight_decay"]]
        found: dict[str, list[tuple[float, float]]] = {}
        for run, score, theirs in lengths.beside_at_its_ratio(plain, prism):
            found.setdefault(lengths.training_and_validation(run["config"]), []).append((score, theirs))
        if found:
            each = [
                f"{name} {np.mean([a for a, _ in pairs]):.4f}, PRISM {np.mean([b for _, b in pairs]):.4f}"
                f" ({np.mean([a / b - 1 for a, b in pairs]):+.1%}, {plural(len(pairs), 'run')})"
                for name, pairs in found.items()
            ]
            lines.append(f"- **{dataset_name(dataset)}.** {'; '.join(each)}.")
    return "\n".join(lines)


def spread_of_the_knob(records: Mapping[str, Sequence[Record]]) -> str:
    """How far trainings differ with the lengths that validation chooses, from the lowest to the highest, in sentences.

    They are compared at the first seed, so that no split stands beside another, and without runs that may have ended in
    a dip.

    Args:
        records: as :func:`predictions` takes them.
    """
    said = []
    for dataset, runs in records.items():
        at_first = [run for run in runs if "lengths" in run and run["config"]["seed"] == SEEDS[0]]
        ordered = _with_lengths(run for run in at_first if not in_dip(run))
        if len(ordered) < 2:
            continue
        (low, worst), (high, best) = ordered[0], ordered[-1]
        within = "within" if high / low - 1 <= MARGIN else "beyond"
        said.append(
            f"On {dataset_name(dataset)} {len(ordered)} trainings reach {low:.4f} ({worst}) to {high:.4f} ({best}) with"
            f" the $b$ that validation chooses, at seed {SEEDS[0]}. That is {high / low - 1:.1%} apart, {within} the"
            f" margin of {MARGIN:.1%}: by these values one training is {'not ' if within == 'beyond' else ''}enough"
            " there. Of more trainings the range is wider by chance alone."
        )
        if left_out := _with_lengths(run for run in at_first if in_dip(run)):
            named = listed_names([f"{name} ({score:.4f})" for score, name in left_out])
            ends = sorted([*ordered, *left_out])
            said.append(
                f"Left out, as they may have ended in a dip: {named}; with them it is"
                f" {ends[-1][0] / ends[0][0] - 1:.1%}."
            )
    return " ".join(said)


def _with_lengths(runs: Iterable[Record]) -> list[tuple[float, str]]:
    """NDCG@20 of each training with the lengths that validation chooses, and its name, the lowest first."""
    scores = lengths.by_training(runs)["ndcg with it"]
    return sorted(zip(map(float, scores), scores.index.get_level_values("trained with"), strict=True))


def other_losses(
    compared: Sequence[Compared], knob: Mapping[tuple[str, str], Sequence[Record]] | None = None
) -> pd.DataFrame:
    """Test NDCG@20 of plain SGD without decay beside Adam's ways, one row per dataset and loss.

    A loss has no row on a dataset where neither plain SGD nor the knob was run.

    Args:
        compared: the ways on a dataset, for a loss.
        knob: by dataset and loss, the runs by Adam without decay that were validated with lengths at scoring, of
            :func:`prismbook.tables.ways.scored_with_lengths`.

    Returns:
        Text, means over the seeds that were run, with their number in brackets. "SGD with d^b" and "Adam with d^b" are
        the scores with the lengths that validation chooses, with their exponent. The slope is that of SGD's own log
        lengths in log popularity.
    """
    rows = {}
    for each in compared:
        table = lengths.by_training(record for record in analysis.records(each.runs[SGD]) if record is not None)
        by_adam = lengths.by_training((knob or {}).get((each.dataset, each.loss), []))
        if table.empty and by_adam.empty:
            continue
        row = {}
        for way in (NONE, TUNED, PRISM, SGD):
            shown = each.shown(way)
            row[way] = f"{shown['ndcg'].mean():.4f} ({len(shown)})" if len(shown) else "not run"
            if each.setback(way):
                row[way] += f", {each.setback(way)}"
        row["SGD with d^b"], row["Adam with d^b"] = _scored(table), _scored(by_adam)
        row["slope, SGD"] = "" if table.empty else f"{table.iloc[0]['slope']:.2f}"
        rows[f"{LOSS_NAMES[each.loss]}, {dataset_name(each.dataset)}"] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _scored(table: pd.DataFrame) -> str:
    """The score and the exponent with lengths at scoring, of the first training of a table by training."""
    if table.empty:
        return "not run"
    first = table.iloc[0]
    if np.isnan(first["exponent"]):
        return ""
    return f"{first['ndcg with it']:.4f}, b = {first['exponent']:.2f} ({first['seeds']:.0f})"


def by_the_law(table: pd.DataFrame) -> str:
    """What the law promises for the losses of the table of :func:`other_losses`, with the slopes that SGD has.

    Args:
        table: of :func:`other_losses`.
    """

    def slopes(loss: str) -> str:
        found = [
            row["slope, SGD"] for name, row in table.iterrows() if str(name).startswith(loss) and row["slope, SGD"]
        ]
        return f" ({listed_names(found)} measured)" if found else ""

    return (
        f"MAWU compares angles as DirectAU does, so the law says $d^{{1/4}}$ under plain SGD{slopes('MAWU')}."
        " SSM's gradient depends on popularity in another way, so that no exponent is promised"
        f"{slopes('SSM')}. BPR is no loss of angles: it lengthens and shortens rows by itself, and the law names no"
        f" exponent for it{slopes('BPR')}."
    )


def four_curves(tables: Mapping[str, Mapping[str, Record]]) -> str:
    """The caption of the figure of lengths: which curve rises most steeply on each dataset where plain SGD was run.

    Args:
        tables: as :func:`prismbook.pages.law_figures.lengths_by_optimiser` takes them.
    """
    said: dict[str, list[str]] = {}
    without = []
    for dataset, records in tables.items():
        slopes = {name: lengths.slope_in_popularity(record) for name, record in records.items()}
        if "plain SGD, no decay" in slopes:
            said.setdefault(max(slopes, key=lambda name: slopes[name]), []).append(dataset_name(dataset))
        else:
            without.append(dataset_name(dataset))
    each = [f"{name} on {listed_names(places)}" for name, places in said.items()]
    steepest = f"Steepest is {listed_names(each)}." if each else ""
    missing = f" Plain SGD is not run on {listed_names(without)}." if without else ""
    return f"*{steepest}{missing} One run per optimiser at seed 123; dotted lines have the slopes of the law.*"
