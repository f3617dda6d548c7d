"""What the stored runs say that the paper does not: one function per finding, judged on every dataset with runs.

Each finding is a sentence and, per dataset, a statement with its numbers. The statement holds only where the runs bear
the sentence out by the rules of :mod:`prismbook.tables.rules`. The book says a finding only where it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, log
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from prismbook.claims.catalogue import LEARNING_RATES, benefit_runs
from prismbook.claims.comparison import waited
from prismbook.claims.magnitudes import chosen_pair
from prismbook.claims.prism_claims import tried_runs
from prismbook.claims.statements import Statement, share
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import (
    PAPER_DATASETS,
    SEEDS,
    SWITCHES,
    configs,
    grid_configs,
    searches,
    switch_pairs,
    twin_pairs,
)
from prismbook.runs.records import Record, default_results, load_record, stored_path
from prismbook.tables.analysis import best, first_seed, measured, seed_by_seed
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name, setting, trained
from prismbook.tables.paper import table1
from prismbook.tables.rules import EARLY, MARGIN, Difference, Judgement, as_share, judge
from prismbook.tables.seed_differences import difference, setbacks
from prismbook.tables.variants import comparison
from prismbook.text import plural
from prismlib import theory
from prismlib.datasets import CARDS

#: A score within this share of the paper's number is near it.
NEAR = 0.05
#: Plain decay that would have to be so many times as strong cannot be what shortens rows.
TOO_WEAK = 1000
#: The weight decay whose fairness is compared with PRISM's.
WEAK_DECAY = 1e-6
#: Words with which a comparison is no loss.
_NO_LOSS = ("equivalent", "better")


@dataclass(frozen=True)
class Part:
    """A finding on one dataset.

    Attributes:
        dataset: name of the dataset.
        statement: the sentence with its numbers, and whether the runs bear the finding out.
        page: name of the page with the evidence.
    """

    dataset: str
    statement: Statement
    page: str


@dataclass(frozen=True)
class Finding:
    """What the stored runs say that the paper does not.

    Attributes:
        title: the finding in one sentence, without its datasets.
        meaning: what follows from it where it holds.
        claims: ids of the paper's claims that it concerns.
        parts: the finding on each dataset with runs.
    """

    title: str
    meaning: str
    claims: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def heading(self) -> str:
        """The title with the datasets on which it holds."""
        return f"{self.title} ({listed_names(self.datasets())})" if self.shown else self.title

    def datasets(self, holds: bool | None = True) -> list[str]:
        """The names of the datasets on which it holds, in the order of its parts.

        Args:
            holds: True: those on which it holds. False: those on which it does not. None: those that leave it open.
        """
        names = dict.fromkeys(dataset_name(part.dataset) for part in self.parts if part.statement.holds is holds)
        return list(names)

    @property
    def shown(self) -> bool:
        """Whether it holds on a dataset."""
        return bool(self.datasets())

    @property
    def provisional(self) -> bool:
        """Whether every statement that bears it out rests on a single seed."""
        return self.shown and all(part.statement.provisional for part in self.parts if part.statement.holds)

    @property
    def status(self) -> str:
        """Where the stored runs show it, as text."""
        if not self.shown:
            return "Not shown by the stored runs"
        text = f"Shown on {listed_names(self.datasets())}"
        if self.provisional:
            text += " (one seed)"
        unclear = {dataset_name(part.dataset) for part in self.parts if part.statement.undecided}
        left = self.datasets(None)
        for start, names in (
            ("not on", self.datasets(False)),
            ("left open on", [name for name in left if name in unclear]),
            ("not run on", [name for name in left if name not in unclear]),
        ):
            others = [name for name in names if name not in self.datasets()]
            if others:
                text += f"; {start} {listed_names(others)}"
        return text


def listed_names(names: Sequence[str]) -> str:
    """Names as a list in a sentence.

    Args:
        names: one or more.

    >>> listed_names(["Gowalla"]), listed_names(["MovieLens1M", "Gowalla", "Yelp2018"])
    ('Gowalla', 'MovieLens1M, Gowalla and Yelp2018')
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def findings(results: Path | str | None = None) -> list[Finding]:
    """All findings, in the order of the book.

    Args:
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
    """
    folder = default_results() if results is None else Path(results)
    return [finding(folder) for finding in FINDINGS]


def _on_each_dataset(
    title: str,
    meaning: str,
    claims: Sequence[str],
    page: str,
    judged: Callable[[str], Iterable[Statement]],
    results: Path,
) -> Finding:
    """A finding judged on every dataset of the paper with a folder of records; the page's name may have {dataset}."""
    parts = [
        Part(dataset, statement, page.format(dataset=dataset))
        for dataset in PAPER_DATASETS
        if (results / dataset).is_dir()
        for statement in judged(dataset)
    ]
    return Finding(title, meaning, tuple(claims), tuple(parts))


def _judged(text: str, words: Sequence[tuple[Judgement | None, Sequence[str]]]) -> Statement:
    """A statement that holds where every comparison has one of its words, and is left open where one is."""
    judgements = [judgement for judgement, _ in words]
    if any(judgement is None for judgement in judgements):
        return Statement(text, None)
    decided = [(found, wanted) for found, wanted in words if found is not None]
    if any(found.word in ("undecided", "collapsed") for found, _ in decided):
        return Statement(text, None, undecided=True)
    holds = all(found.word in wanted for found, wanted in decided)
    return Statement(text, holds, provisional=any(found.provisional for found, _ in decided))


def _word(found: Difference | None) -> Judgement | None:
    return None if found is None else judge(found)


def _share(found: Difference | None) -> str:
    return "not known" if found is None else f"{share(found)} ({plural(len(found.by_seed), 'seed')})"


def discarded_relu(results: Path) -> Finding:
    """C9 has one sign with the perceptron's ReLU and the other one without it.

    DirectAU with PRISM is compared with DirectAU with decay, at one decay and one gamma, under the paper's text and
    under the released code. Of what the released code changes, two switches reach DirectAU's training: the ReLU, and
    batches that are not shuffled again. What the second one alone does is measured too, and must be nothing.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        twins = [pair for pair in twin_pairs("released", dataset) if pair[0].loss == "directau"]
        (decays, decays_released), (prisms, prisms_released) = (
            _one_setting([pair for pair in twins if pair[0].init == init]) for init in ("xavier", "prism")
        )
        decay = decays[0]
        text = _change(prisms, decays, results)
        released = _change(prisms_released, decays_released, results)
        plain, unshuffled = switch_pairs(dataset)["batches are not shuffled again"]
        shuffling = _change([unshuffled], [plain], results)
        if text is None or released is None or shuffling is None:
            return [Statement("not all of the runs that this finding compares are stored", None)]
        sentence = (
            f"DirectAU at gamma {decay.gamma:g} and decay {decay.weight_decay:g}: NDCG@20 of PRISM differs from that of"
            f" decay by {_share(text)} with the ReLU and by {_share(released)} in the released code, whose layers are"
            f" linear. The only other switch that reaches this training, batches that are not shuffled again, changes"
            f" {trained(plain)} by {_share(shuffling)}"
        )
        words = (_word(text), ("worse",)), (_word(released), ("better",)), (_word(shuffling), ("equivalent",))
        return [_judged(sentence, words)]

    title = "Whether PRISM beats decay on non-linear MF turns on a ReLU that the released code computes and discards"
    meaning = (
        "The paper's text gives the perceptron a ReLU; the released code applies it and discards the result,"
        " so that its two layers are linear. Under the text's protocol C9 has the other sign."
    )
    return _on_each_dataset(title, meaning, ["C9"], "rq3_prism_{dataset}", judged, results)


def _one_setting(twins: Sequence[tuple[RunConfig, RunConfig]]) -> tuple[list[RunConfig], list[RunConfig]]:
    """The first of some twins at every seed: as in the paper's text, and with the change."""
    first = twins[0][0]
    same = [pair for pair in twins if replace(pair[0], seed=first.seed, split_seed=first.split_seed) == first]
    return [plain for plain, _ in same], [changed for _, changed in same]


def _change(first: Sequence[RunConfig], second: Sequence[RunConfig], results: Path) -> Difference | None:
    """The relative difference of two settings by NDCG@20; None where nothing of it is stored."""
    found = comparison(first, second, results)
    return None if found is None else as_share(found)


def adam_writes_norms(results: Path) -> Finding:
    """The norms of tuned DirectAU cannot be the work of plain gradient descent: its decay is far too weak.

    The lengths of rare and popular items' rows, as the run left them, are set against the most that SGD could have
    shortened or lengthened a row in as many steps, by Theorem 3.1 with the mean loss that is trained.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        planned = [config for config in configs("rq2", dataset) if config.loss == "directau" and config.weight_decay]
        runs = measured(results, planned)
        if runs["run"].isna().all():
            return [Statement("DirectAU with decay is not run", None)]
        config, record = planned[int(best(runs).name)], load_record(best(runs)["path"])
        return [] if record is None else [_too_weak(config, record)]

    title = (
        "That popularity shows in the norms is Adam's doing: by the paper's own theorem, plain gradient descent with"
        " the same decay is far too weak"
    )
    meaning = (
        "The paper's theorem is about plain gradient descent; its released code, and this book, run Adam with"
        " coupled decay. Adam divides by the root of the gradient's second moment, which is small for rare"
        " items, and so multiplies what decay does to them. This is arithmetic on the stored runs, not a run"
        " with plain gradient descent; the theory page runs both side by side on a small table."
    )
    return _on_each_dataset(title, meaning, ["C3", "C5"], "theory", judged, results)


def _too_weak(config: RunConfig, record: Record) -> Statement:
    """How many times as strong decay would have to be for plain gradient descent to leave the lengths of a run."""
    interactions, batch_size = round(0.8 * CARDS[config.dataset].interactions), int(config.batch_size or 1)
    steps = record["best_epoch"] * ceil(interactions / batch_size)
    lengths = [part["mean"] for part in record["norms"]["item"]["bins"] if part["from"] > 0]
    rare, popular = lengths[0], lengths[-1]
    length = torch.tensor(rare, dtype=torch.float64)
    shorter = float(-theory.decay_change(length, config.lr, config.weight_decay) / length**2)
    longer = float(theory.cosine_change(length, torch.zeros_like(length), config.lr / batch_size) / length**2)
    most = 0.5 * steps * (shorter + longer)  # of the logarithm of a length, half of that of its square
    times = abs(log(popular / rare)) / most if most else 0.0
    return Statement(
        f"DirectAU at decay {config.weight_decay:g}: the rows of the most popular items end {popular / rare:.1f} times"
        f" as long as those of the rarest. By Theorem 3.1 the run's {steps:,} steps, taken by plain gradient descent,"
        f" change a row's length by {100 * most:.2g} % at most, which is {times:,.0f} times too little",
        popular > rare and times > TOO_WEAK,
        provisional=True,
    )


def ssm_needs_no_decay(results: Path) -> Finding:
    """SSM on linear MF without decay is as good as at the decay that validation chooses.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        runs = measured(results, [run for run in configs("rq1-losses", dataset, seeds=SEEDS) if run.loss == "ssm"])
        candidates = first_seed(runs)
        zero, decayed = (candidates[candidates["weight_decay"].eq(0) == without] for without in (True, False))
        if zero["run"].isna().all() or decayed["run"].isna().all():
            return [Statement("SSM is not run without decay and with it", None)]
        chosen = best(decayed)
        ours, theirs = seed_by_seed(runs, best(zero), chosen)
        found = difference(ours.reset_index(), theirs.reset_index(), "ndcg")
        noted = waited(ours.reset_index(), theirs.reset_index())
        sentence = (
            f"without decay NDCG@20 is {ours['ndcg'].mean():.4f}, at decay {chosen['weight_decay']:g}, the best of"
            f" {decayed['run'].notna().sum()} by validation, {theirs['ndcg'].mean():.4f}: {_share(found)}"
        )
        if found is None:
            sides = ((ours, "without decay"), (theirs, "with it"))
            ended = ", ".join(f"{name} {setbacks(runs)}" for runs, name in sides if setbacks(runs))
            return [Statement(f"{sentence}, {ended}{noted}", None, undecided=True)]
        return [_judged(f"{sentence}{noted}", [(judge(found), _NO_LOSS)])]

    title = "SSM needs no weight decay"
    meaning = "The paper says that good results need careful tuning of weight decay, whatever the loss."
    return _on_each_dataset(title, meaning, ["C21"], "losses_{dataset}", judged, results)


def stopped_in_dips(results: Path) -> Finding:
    """A patience of 10 ends runs whose validation score falls after a few epochs and would have risen again.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        statements = []
        for short, long in twin_pairs("patience", dataset):
            early, late = (load_record(stored_path(results, config)) for config in (short, long))
            if early is not None and late is not None and len(early["history"]["loss"]) <= EARLY:
                statements.append(_dip(short, long, early, late, results))
        return statements or [Statement("no run that ended early was waited for", None)]

    title = f"A patience of 10 ends runs in a dip within their first {EARLY} epochs, and they would have climbed again"
    meaning = "Scores of such runs say more of the stopping rule than of the method. Here they decide no verdict."
    return _on_each_dataset(title, meaning, ["C8", "C10"], "rq3_prism_{dataset}", judged, results)


def _dip(short: RunConfig, long: RunConfig, early: Record, late: Record, results: Path) -> Statement:
    """Whether a run that ended early would have climbed above its best, and what that is worth on the test set."""
    curve, start = late["history"]["validation_dot"], early["best_epoch"]
    above = next((epoch for epoch, score in enumerate(curve) if epoch > start and score > curve[start]), None)
    found = _change([long], [short], results)
    backbone = "" if short.backbone == "mf" else f" on {BACKBONE_NAMES[short.backbone]}"
    method = "PRISM" if short.init == "prism" else f"decay {short.weight_decay:g}"
    climbed = "never" if above is None else f"at epoch {above}"
    stopped = len(early["history"]["loss"])
    sentence = (
        f"{LOSS_NAMES[short.loss]}{backbone} with {method}, seed {short.seed}, stops at epoch {stopped} and keeps epoch"
        f" {start}. With patience {long.patience} its validation NDCG@20 falls from {curve[start]:.4f} to"
        f" {min(curve[start : above or None]):.4f}, is higher again {climbed} and best at epoch {late['best_epoch']};"
        f" test NDCG@20 changes by {_share(found)}"
    )
    judged = _judged(sentence, [(_word(found), ("better",))])
    dipped = above is not None and above > start + short.patience
    return judged if judged.holds is None or dipped else Statement(sentence, False, provisional=judged.provisional)


def learning_rate_decides_epochs(results: Path) -> Finding:
    """C11 has one sign at one learning rate and the other one at another.

    At each learning rate validation chooses the strength and the decay at the first seed, as the ledger does.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        words: list[tuple[Judgement | None, Sequence[str]]] = []
        lines = []
        for rate in LEARNING_RATES:
            found, line = _epochs_at(benefit_runs(dataset, results, rate))
            words.append((_word(found), ("better", "worse")))
            lines.append(f"at learning rate {rate:g}, {line}")
        sentence = f"epochs to the best one, PRISM against decay: {'; '.join(lines)}"
        statement = _judged(sentence, words)
        if statement.holds and len({str(found.word) for found, _ in words if found is not None}) < len(words):
            return [Statement(sentence, False, provisional=statement.provisional)]
        return [statement]

    title = "The learning rate decides whether PRISM needs fewer epochs than weight decay"
    meaning = (
        "Adam turns a long row slowly, and PRISM starts popular items with long rows. A larger learning rate"
        " shortens that start."
    )
    return _on_each_dataset(title, meaning, ["C11"], "rq4_benefits_{dataset}", judged, results)


def _epochs_at(runs: pd.DataFrame) -> tuple[Difference | None, str]:
    """The relative difference of best epochs, PRISM minus tuned decay, and its numbers as text."""
    pair = chosen_pair(runs)
    if pair is None:
        return None, "no run"
    ours, theirs = pair
    found = difference(ours, theirs, "best_epoch")
    strengths, decays = (len(runs) for runs in tried_runs(runs))
    epochs = f"{ours['best_epoch'].mean():.0f} against {theirs['best_epoch'].mean():.0f}"
    tried = f"the best of {plural(strengths, 'strength')} against that of {plural(decays, 'decay')}"
    return found, f"{tried}, {epochs}, a difference of {_share(found)}"


def gamma_decides_the_level(results: Path) -> Finding:
    """DirectAU is near the paper's Table 1 at gamma = 1, and well above it at the gamma that validation chooses.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        by_name = {search.name: search for search in searches("table1", dataset)}
        printed: Any = table1().xs("DirectAU", level="loss").xs("MF", level="backbone").loc[dataset_name(dataset)]
        near, above, lines = [], [], []
        for name, title in (("decay", "tuned decay"), ("prism", "PRISM")):
            grid = list(dict.fromkeys(by_name[f"mf-directau-{name}"].grid))
            runs = first_seed(
                measured(results, grid).assign(gamma=pd.Series([config.gamma for config in grid], dtype=float))
            )
            plain = runs[(runs["gamma"] == 1) & runs["run"].notna()]
            if plain.empty or best(runs)["gamma"] == 1:
                return [Statement("DirectAU is run at gamma 1 alone, or gamma 1 is what validation chooses", None)]
            chosen = best(runs)
            at_one, at_best = (run["ndcg"] / float(printed[name]) - 1 for run in (best(plain), chosen))
            near.append(abs(at_one) <= NEAR)
            above.append(at_best > NEAR)
            lines.append(
                f"NDCG@20 of {title} differs from the paper's by {100 * at_one:+.1f} % at gamma 1 and by"
                f" {100 * at_best:+.1f} % at gamma {chosen['gamma']:g}, which validation chooses"
            )
        return [Statement("; ".join(lines), bool(all(near) and all(above)), provisional=True)]

    title = "Gamma, which the paper tunes without saying what it chose, decides the level of DirectAU in Table 1"
    meaning = "Numbers of two papers can be compared only where the loss's own weight is known."
    return _on_each_dataset(title, meaning, ["C8"], "rq3_prism_{dataset}", judged, results)


def weak_decay_is_as_fair(results: Path) -> Finding:
    """DirectAU with decay 1e-6 is equivalent to PRISM by NDCG@20, and unpopular items have no smaller part of it.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        decay = measured(results, grid_configs(dataset, "directau", WEAK_DECAY, SEEDS))
        prism = measured(results, grid_configs(dataset, "directau", 0.0, SEEDS, init="prism", alpha=1.0))
        if decay["run"].isna().all() or prism["run"].isna().all():
            return [Statement("DirectAU is not run with this decay and with PRISM", None)]
        quality, ratio = (difference(decay, prism, measure) for measure in ("ndcg", "ratio"))
        both = sorted(set(decay.dropna(subset="run")["seed"]) & set(prism.dropna(subset="run")["seed"]))
        means = [runs[runs["seed"].isin(both)][["ndcg", "ratio"]].mean() for runs in (decay, prism)]
        sentence = (
            f"{setting(decay.iloc[0])} against PRISM: NDCG@20 {means[0]['ndcg']:.4f} and {means[1]['ndcg']:.4f}"
            f", a difference of {_share(quality)}; unpopular / popular ratio {means[0]['ratio']:.3f} and"
            f" {means[1]['ratio']:.3f}, a difference of {_share(ratio)}"
        )
        return [_judged(sentence, [(_word(quality), _NO_LOSS), (_word(ratio), _NO_LOSS)])]

    title = f"DirectAU with weight decay {WEAK_DECAY:g} is at least as fair as with PRISM, at an equivalent NDCG@20"
    meaning = (
        "The paper compares PRISM with the decay that has the best NDCG@20. Where a weak decay scores as well, it is"
        " the one to compare fairness with."
    )
    return _on_each_dataset(title, meaning, ["C12", "C13"], "debiasing_{dataset}", judged, results)


def released_code_departs(results: Path) -> Finding:
    """Some departures of the released code from the paper's text move NDCG@20 by themselves, most do not.

    Args:
        results: folder of the records.
    """

    def judged(dataset: str) -> list[Statement]:
        moved, provisional, measured_pairs = [], [], 0
        for name, (plain, changed) in switch_pairs(dataset).items():
            found = _change([changed], [plain], results)
            if found is not None:
                measured_pairs += 1
                judgement = judge(found)
                if judgement.word in ("better", "worse"):
                    before, after = (_ndcg(config, results) for config in (plain, changed))
                    moved.append((abs(found.mean), f"{name} ({LOSS_NAMES[plain.loss]}, {before:.4f} to {after:.4f})"))
                    provisional.append(judgement.provisional)
        if not measured_pairs:
            return [Statement("no departure is run beside its twin", None)]
        ordered = [text for _, text in sorted(moved, reverse=True)]
        sentence = (
            f"of {len(SWITCHES)} departures {measured_pairs} are measured alone; {len(moved)} of them change NDCG@20 by"
            f" more than {100 * MARGIN:g} %: {'; '.join(ordered) or 'none'}"
        )
        return [Statement(sentence, bool(moved), provisional=any(provisional))]

    title = "The released code departs from the paper's text, and some departures alone change results"
    meaning = (
        "A score of the released code is not a score of the method in the text. Each departure is a switch of"
        " a run's configuration."
    )
    return _on_each_dataset(title, meaning, [], "switches_{dataset}", judged, results)


def _ndcg(config: RunConfig, results: Path) -> float:
    """Test NDCG@20 of a run; NaN where it is not stored."""
    record = load_record(stored_path(results, config))
    return float("nan") if record is None else float(record["test"]["dot"]["ndcg"])


#: The findings in the order of the book.
FINDINGS: tuple[Callable[[Path], Finding], ...] = (
    discarded_relu,
    adam_writes_norms,
    ssm_needs_no_decay,
    stopped_in_dips,
    learning_rate_decides_epochs,
    gamma_decides_the_level,
    weak_decay_is_as_fair,
    released_code_departs,
)
