"""What the law of lengths says of a dataset before it is run there, beside what its runs have.

The predictions, their margins and :data:`UNSEEN` were written down before the first run on it was stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prismbook.claims.statements import holds_with
from prismbook.pages.advice_numbers import as_fair, gains_and_ratios, words_of_gains
from prismbook.pages.change_words import mean_percent
from prismbook.pages.optimiser_tables import trainings
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import grid_configs
from prismbook.runs.records import Record, default_results
from prismbook.tables import analysis, law, lengths, ways
from prismbook.tables.rules import MARGIN
from prismbook.tables.ways import PRISM, SGD_RATE, TUNED, Compared
from prismbook.text import listed_names, plural

#: The dataset that neither the paper nor the law was made with.
UNSEEN = ways.FURTHER
#: How far a slope may be from the predicted one, and the error of a length from the predicted length.
SLOPE_MARGIN, LENGTH_MARGIN = 0.03, 0.1
#: The law's rivals, and how a sentence names them.
_RIVALS = {"prism": "log(d + 2)", "power": "a power of d, fitted there too,"}
_COLUMNS = ("prediction", "predicted", "found", "holds")


def table(dataset: str = UNSEEN, results: Path | str | None = None) -> pd.DataFrame:
    """One row per prediction: what was predicted, what the stored runs have, and whether it holds.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the project's own.

    Returns:
        Text. The last column is "yes", "no", "open" where the rules decide nothing, or "not run".

    >>> set(table(results="no folder")["holds"])
    {'not run'}
    """
    folder = default_results() if results is None else Path(results)
    made = runs(dataset, folder)
    rows = [*_slopes(made), _level(made, folder), *_scores(dataset, made, folder), _of_no_decay(made)]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).set_index("prediction")


def runs(dataset: str = UNSEEN, results: Path | str | None = None) -> list[Record]:
    """The stored runs that the predictions are about.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the project's own.

    >>> runs(results="no folder")
    []
    """
    folder = default_results() if results is None else Path(results)
    return [run for run in analysis.records(analysis.measured(folder, trainings(dataset))) if run is not None]


def in_words(shown: pd.DataFrame) -> str:
    """How many predictions hold, and which do not, in sentences.

    Args:
        shown: of :func:`table`.

    >>> in_words(table(results="no folder"))
    'None of the 9 predictions is tested yet.'
    """
    names = {word: list(shown.index[shown["holds"] == word]) for word in ("yes", "no", "open", "not run")}
    tested = len(shown) - len(names["not run"])
    if not tested:
        return f"None of the {len(shown)} predictions is tested yet."
    said = [f"**{len(names['yes'])} of {plural(tested, 'tested prediction')} hold.**"]
    for word, lead in (("no", "Wrong"), ("open", "Open"), ("not run", "Not run")):
        if names[word]:
            said.append(f"{lead}: {'; '.join(f'*{name}*' for name in names[word])}.")
    return " ".join(said)


def _slopes(runs: Iterable[Record]) -> list[Sequence[str]]:
    """The slopes of log length in log popularity of three trainings."""
    by_name: dict[str, list[float]] = {}
    for run in runs:
        name, config = lengths.training_name(run["config"]), run["config"]
        if config["lr"] == (SGD_RATE if config["optimizer"] == "sgd" else RunConfig.lr):
            kind = "Adam, coupled decay" if name.startswith("Adam, decay") else name
            by_name.setdefault(kind, []).append(lengths.slope_in_popularity(run))
    wanted = (
        ("plain SGD, no decay", "1/4", 1 / 4),
        ("Adam, no decay", "0", 0.0),
        ("Adam, coupled decay", "1/6", 1 / 6),
    )
    rows: list[Sequence[str]] = []
    for name, words, slope in wanted:
        found = sorted(by_name.get(name, ()))
        shown = " to ".join(dict.fromkeys(f"{end:.3f}" for end in (found[0], found[-1]))) if found else ""
        holds = all(abs(each - slope) <= SLOPE_MARGIN for each in found)
        rows.append(
            (
                f"The slope of log length in log popularity: {name}",
                f"{words}, within {SLOPE_MARGIN:g}",
                shown,
                _answer(bool(found), holds),
            )
        )
    return rows


def _level(runs: Sequence[Record], folder: Path) -> Sequence[str]:
    """The error of the lengths under coupled decay, by the constant that is fitted on MovieLens1M."""
    said = (
        "Lengths at rest under coupled decay, with the constant of MovieLens1M",
        f"off by at most {LENGTH_MARGIN:.0%}",
    )
    errors = _errors(runs, folder)
    if errors.empty:
        return (*said, "", _answer(False))
    error, made = _rms(errors["law"]), errors["run"].nunique()
    return (*said, f"{error:.1%}, {plural(made, 'run')}", _answer(True, error <= LENGTH_MARGIN))


def _errors(runs: Sequence[Record], folder: Path) -> pd.DataFrame:
    """Each theory's error of the log length of each class of rows, and how many times its time to rest it trained."""
    [reference] = grid_configs("movielens1m", "directau", 1e-5)
    [fitted] = analysis.records(analysis.measured(folder, [reference]))
    kept, _ = law.of_the_law(runs)
    if fitted is None or not kept:
        return pd.DataFrame(columns=["run", *law.THEORIES, "times"])
    profiles = law.profiles([fitted, *kept])
    wrong_by = law.errors(profiles, law.profile(profiles, fitted["id"], "item"))
    times = [each for run in kept for each in law.times_of_classes(run)]
    return wrong_by.assign(run=profiles.loc[wrong_by.index, "run"], times=times)


def _rms(errors: pd.Series) -> float:
    return float(np.sqrt((errors**2).mean()))


def by_time_to_rest(dataset: str = UNSEEN, results: Path | str | None = None) -> str:
    """How far lengths are off in classes of rows that had come to rest, and in the others, as a sentence.

    Args:
        dataset: name of the dataset.
        results: folder of the records; None is the project's own.

    >>> by_time_to_rest(results="no folder")
    ''
    """
    folder = default_results() if results is None else Path(results)
    errors = _errors(runs(dataset, folder), folder)
    rested = errors["times"] >= law.LEAST_TIMES
    if errors.empty or rested.all() or not rested.any():
        return ""
    near, far = (_rms(errors.loc[part, "law"]) for part in (rested, ~rested))
    rivals = [f"{title} {_rms(errors[name]):.1%}" for name, title in _RIVALS.items()]
    return (
        "With a constant from the same profile the error is, as a root mean square over classes, of"
        f" {listed_names(rivals)}. Looked at afterwards: a class of long rows needs more steps to rest. In the"
        f" {rested.sum()} classes that had {law.LEAST_TIMES} times their own time to rest, the law's lengths are off by"
        f" {near:.1%}. In the other {(~rested).sum()} it is {far:.1%}, and"
        f" {(errors.loc[~rested, 'law'] < 0).mean():.0%} of these are shorter than predicted."
    )


def _scores(dataset: str, runs: Iterable[Record], folder: Path) -> list[Sequence[str]]:
    """NDCG@20 of a training without decay that stops by lengths at scoring, against three others, and of SGD's."""
    compared = [ways.compared(dataset, "directau", folder)]
    scored = {dataset: ways.scored_with_lengths(dataset, folder)}
    by_sgd = [
        run
        for run in runs
        if (lengths.training_name(run["config"]), run["config"]["lr"]) == ("plain SGD, no decay", SGD_RATE)
    ]
    knob = "Adam without decay that stops by d^b"
    decayed = [each for each in compared if each.decay()]  # where no run has a decay, 0 is what is left of the search
    tried = sorted({float(decay) for each in decayed for decay in each.decays.dropna(subset="run")["weight_decay"]})
    wanted = [
        (f"{knob}, against the best decay", gains_and_ratios(decayed, scored, TUNED)[0], tried),
        (f"{knob}, against PRISM", gains_and_ratios(compared, scored, PRISM)[0], ()),
        (f"{knob}, against PRISM at PRISM's ratio", as_fair(compared, scored), ()),
    ]
    rows = [(name, "not worse", *_judged(compared, gains, dataset, among)) for name, gains, among in wanted]
    return [*rows, _of_sgd(_against(by_sgd, scored[dataset]))]


def _of_sgd(changes: Sequence[float]) -> Sequence[str]:
    """Whether plain SGD's directions rank like Adam's: both with lengths at scoring, by the values alone."""
    said = "Plain SGD with d^b, against that training of Adam", f"within {MARGIN:.1%}"
    if not changes:
        return (*said, "", _answer(False))
    return (*said, mean_percent(changes), _answer(True, abs(float(np.mean(changes))) <= MARGIN))


def _against(runs: Iterable[Record], others: Iterable[Record]) -> list[float]:
    """The change of NDCG@20 between two trainings that both have lengths at scoring, at the seeds that both have."""
    ours = {run["config"]["seed"]: lengths.with_chosen_lengths(run) for run in runs}
    pairs = [(ours.get(run["config"]["seed"]), lengths.with_chosen_lengths(run)) for run in others]
    return [mine["ndcg"] / theirs["ndcg"] - 1 for mine, theirs in pairs if mine is not None and theirs is not None]


def _judged(
    compared: Sequence[Compared], gains: Mapping[str, Sequence[float]], dataset: str, among: Sequence[float]
) -> tuple[str, str]:
    """A change with its word by the rules, and whether it says that the first is as good.

    Where the other is the best of some decays, and one alone was run, other decays could turn a yes, as in the ledger.
    """
    if dataset not in gains:
        return "", _answer(False)
    words = words_of_gains(compared, gains)[dataset]
    holds, found = holds_with(words.partition(",")[0], ("better", "equivalent")), mean_percent(gains[dataset])
    if len(among) == 1 and holds:
        return f"{found} ({words}), against {among[0]:g}, the only one that was run", _answer(True)
    return f"{found} ({words})", _answer(True, holds)


def _of_no_decay(runs: Sequence[Record]) -> Sequence[str]:
    """Whether Adam without decay, at its own lengths, ranks worst of all trainings and is the fairest."""
    said = "Adam without decay, at its own lengths", "the lowest NDCG@20 and the highest ratio"
    named = [(lengths.training_name(run["config"]), run) for run in runs]
    own = [run["test"]["dot"] for name, run in named if name == "Adam, no decay" and not _scored(run)]
    others = [run["test"]["dot"] for name, run in named if name != "Adam, no decay" and not _scored(run)]
    if not own or not others:
        return (*said, "", _answer(False))
    score, ratio = (float(np.mean([of(test) for test in own])) for of in (lambda test: test["ndcg"], lengths.ratio_of))
    scores, ratios = [test["ndcg"] for test in others], [lengths.ratio_of(test) for test in others]
    beside = f"with decay or by SGD {min(scores):.4f} to {max(scores):.4f}, at most {max(ratios):.2f}"
    found = f"{score:.4f}, ratio {ratio:.2f}; {beside}"
    return (*said, found, _answer(True, score < min(scores) and ratio > max(ratios)))


def _scored(run: Record) -> bool:
    """Whether a run was validated by lengths at scoring, so that its own lengths are not those that it stopped by."""
    return run["config"].get("length_exponent") is not None


def _answer(run: bool, holds: bool | None = None) -> str:
    return {True: "yes", False: "no", None: "open"}[holds] if run else "not run"
