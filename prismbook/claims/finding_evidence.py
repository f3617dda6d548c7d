"""What decides each finding of :mod:`prismbook.claims.findings` on a dataset: its numbers, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.claims import decay_claims
from prismbook.claims.comparison import more_patience
from prismbook.claims.evidence import LEARNING_RATES, benefit_runs, beyond_the_grid
from prismbook.claims.magnitudes import chosen_pair
from prismbook.claims.prism_claims import tried_runs
from prismbook.claims.statements import Statement, from_judgement, percent_text, weakest
from prismbook.plan.config import RunConfig, at_seed
from prismbook.plan.experiments import (
    SEEDS,
    SWITCHES,
    configs,
    grid_configs,
    protocol_pairs,
    searches,
    switch_pairs,
)
from prismbook.runs.records import Record, load_record, stored_path
from prismbook.tables.analysis import best, first_seed, measured, seed_by_seed
from prismbook.tables.endings import EARLY
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name, setting
from prismbook.tables.paper import table1
from prismbook.tables.rules import Difference, Rules, as_share, judge
from prismbook.tables.seed_differences import dips, relative_difference, setbacks, usable
from prismbook.tables.variants import comparison
from prismbook.text import listed_names, plural

#: A score within this share of the paper's number is near it.
NEAR = 0.05


def discarded_relu(dataset: str, results: Path, rules: Rules) -> list[Statement]:
    """PRISM against decay with DirectAU on non-linear MF: behind under the paper's text, ahead in the released code.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rules: those that make a word of a difference.
    """
    pairs = [pair for pair in protocol_pairs("released", dataset) if pair[0].loss == "directau"]
    decays, prisms = (_one_setting([pair for pair in pairs if pair[0].init == init]) for init in ("xavier", "prism"))
    text, released = (_change(prisms[place], decays[place], results) for place in (0, 1))
    if text is None or released is None:
        return [Statement("not all of the runs that this finding compares are stored", None)]
    decay = decays[0][0]
    sentence = (
        f"DirectAU at gamma {decay.gamma:g} and decay {decay.weight_decay:g}: with the ReLU PRISM's NDCG@20 differs"
        f" from decay's by {_share(text)}. In the released code, whose layers are linear, it differs by"
        f" {_share(released)}{_at_gamma_one(dataset, results, text)}"
    )
    return [_all(sentence, _word(text, ["worse"], rules), _word(released, ["better"], rules))]


def _at_gamma_one(dataset: str, results: Path, elsewhere: Difference) -> str:
    """PRISM against decay with the ReLU at gamma 1, each at its best by validation, as a sentence; empty if not run.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        elsewhere: the difference at another gamma, of which it is said whether the sign is the same.
    """
    by_name = {search.name: search for search in searches("table1", dataset)}
    sides, tried = [], []
    for name in ("decay", "prism"):
        grid = [config for config in by_name[f"nonlinear-mf-directau-{name}"].grid if config.gamma == 1]
        runs = first_seed(measured(results, grid))
        made = runs[runs["run"].notna()]
        if made.empty:
            return ""
        sides.append(seed_by_seed(runs, best(made), best(made))[0].reset_index())
        tried.append(len(made))
    decay, prism = sides
    change = relative_difference(prism, decay, "ndcg")
    if change is None:
        return ""
    turns = (change.mean > 0) != (elsewhere.mean > 0)
    choice = f"the best of {tried[0]} by validation" if tried[0] > 1 else "the only one that was run"
    return (
        f". At gamma 1 with the ReLU, against decay {decay['weight_decay'].iloc[0]:g}, {choice}, it differs by"
        f" {_share(change)}: {'the other' if turns else 'the same'} sign"
    )


def ssm_needs_no_decay(dataset: str, results: Path, rules: Rules) -> list[Statement]:
    """SSM on linear MF without decay is no worse than at the decay that validation chooses.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rules: those that make a word of a difference.
    """
    planned = [run for run in configs("rq1-losses", dataset, seeds=SEEDS) if run.loss == "ssm"]
    runs = decay_claims.with_stronger(measured(results, planned), measured(results, beyond_the_grid(planned)))
    candidates = first_seed(runs)
    zero, decayed = (candidates[candidates["weight_decay"].eq(0) == without] for without in (True, False))
    if zero["run"].isna().all() or decayed["run"].isna().all():
        return [Statement("SSM is not run without decay and with it", None)]
    chosen = best(decayed)
    ours, theirs = (side.reset_index() for side in seed_by_seed(runs, best(zero), chosen))
    difference = relative_difference(ours, theirs, "ndcg")
    seeds = [str(seed) for seed in ours["seed"]]
    at = f"at seed{'s' if len(seeds) > 1 else ''} {listed_names(seeds)}"
    sentence = (
        f"{at} without decay NDCG@20 is {ours['ndcg'].mean():.4f}, at decay {chosen['weight_decay']:g}, the best of"
        f" {decayed['run'].notna().sum()} by validation, {theirs['ndcg'].mean():.4f}: {_share(difference)}"
    )
    ended = [
        f", {name} {setbacks(side)}" for side, name in ((ours, "without decay"), (theirs, "with it")) if setbacks(side)
    ]
    sentence += "".join(ended) if difference is None else ""
    return [_all(f"{sentence}{more_patience(ours, theirs)}", _no_worse(difference, rules))]


def stopped_in_dips(dataset: str, results: Path, rules: Rules) -> list[Statement]:
    """A patience of 10 ends runs whose validation score falls after a few epochs and would have risen again.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rules: those that make a word of a difference.
    """
    statements = []
    for short, long in protocol_pairs("patience", dataset):
        early, late = (load_record(stored_path(results, config)) for config in (short, long))
        if early is not None and late is not None and len(early["history"]["loss"]) <= EARLY:
            better = _word(_change([long], [short], results), ["better"], rules)
            statements.append(_dip(short, long, early, late, better))
    return statements or [Statement("no run that ended early was run again with more patience", None)]


def _dip(short: RunConfig, long: RunConfig, early: Record, late: Record, better: Statement) -> Statement:
    """Whether a run that ended early would have climbed above its best, and what that is worth on the test set.

    The two test scores are given as they are. As a share of an untrained ranking's score a change would say nothing.
    """
    curve, start = late["history"]["validation_dot"], early["best_epoch"]
    above = next((epoch for epoch, score in enumerate(curve) if epoch > start and score > curve[start]), None)
    backbone = "" if short.backbone == "mf" else f" on {BACKBONE_NAMES[short.backbone]}"
    method = "PRISM" if short.init == "prism" else f"decay {short.weight_decay:g}"
    climbed = "never" if above is None else f"at epoch {above}"
    before, after = (record["test"]["dot"]["ndcg"] for record in (early, late))
    sentence = (
        f"{LOSS_NAMES[short.loss]}{backbone} with {method}, seed {short.seed}, stops after"
        f" {plural(len(early['history']['loss']), 'epoch')} and keeps epoch {start}. With patience {long.patience} its"
        f" validation NDCG@20 falls from {curve[start]:.4f} to {min(curve[start : above or None]):.4f}. It is higher"
        f" again {climbed} and best at epoch {late['best_epoch']}. Test NDCG@20 is {after:.4f} in place of {before:.4f}"
    )
    dipped = Statement(
        "the curve falls for longer than the patience", above is not None and above > start + short.patience
    )
    return _all(sentence, better, dipped)


def learning_rate_decides_epochs(dataset: str, results: Path, rules: Rules) -> list[Statement]:
    """C11 has one sign at one learning rate and the other one at another.

    At each learning rate validation chooses the strength and the decay at the first seed, as the ledger does. Where
    one decay alone was run at a rate, it is open.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rules: those that make a word of a difference.
    """
    at_rate = {rate: benefit_runs(dataset, results, rate) for rate in LEARNING_RATES}
    differences, lines = zip(*(_epochs_at(runs, rate) for rate, runs in at_rate.items()), strict=True)
    sentence = f"epochs to the best one, PRISM against decay. {'. '.join(lines)}"
    directed = [_word(difference, ["better", "worse"], rules) for difference in differences]
    signs = {difference.mean > 0 for difference in differences if difference is not None}
    alone = [rate for rate, runs in at_rate.items() if len(tried_runs(runs)[1]) == 1]
    if alone and None not in differences:  # as in the ledger, there is no direction against what was not searched
        where = listed_names([f"{rate:g}" for rate in alone])
        return [Statement(f"{sentence}. Open, since decay was not searched at rate {where}", None, undecided=True)]
    return [_all(sentence, *directed, Statement("the signs differ", len(signs) > 1 or None in differences))]


def _epochs_at(runs: pd.DataFrame, rate: float) -> tuple[Difference | None, str]:
    """The relative difference of best epochs, PRISM minus tuned decay, and its numbers as text."""
    pair = chosen_pair(runs)
    if pair is None:
        return None, f"At learning rate {rate:g}, no run"
    ours, theirs = pair
    difference = relative_difference(ours, theirs, "best_epoch")
    strengths, decays = (len(tried) for tried in tried_runs(runs))
    epochs = f"{ours['best_epoch'].mean() + 1:.0f} against {theirs['best_epoch'].mean() + 1:.0f}"
    epochs += f" (NDCG@20 {ours['ndcg'].mean():.4f} against {theirs['ndcg'].mean():.4f})"
    best = f"alpha {ours['alpha'].iloc[0]:g}, by validation the best of {plural(strengths, 'strength')},"
    tried = f"{best} against the best of {plural(decays, 'decay')}"
    return difference, f"At learning rate {rate:g}, {tried}, {epochs}, a difference of {_share(difference)}"


def gamma_and_the_level(dataset: str, results: Path, rules: Rules) -> list[Statement]:
    """DirectAU is near the paper's Table 1 at gamma = 1, and above it at the gamma that validation chooses.

    All runs are at the released code's learning rate, so that nothing but gamma and the decay differs.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rules: unused; the paper's numbers have no interval.
    """
    by_name = {search.name: search for search in searches("table1", dataset)}
    printed: Any = table1().xs("DirectAU", level="loss").xs("MF", level="backbone").loc[dataset_name(dataset)]
    holds, lines, ends = [], [], []
    for name, title in (("decay", "decay"), ("prism", "PRISM")):
        searched = [run for run in by_name[f"mf-directau-{name}"].grid if run.lr == RunConfig.lr]
        at_gamma_one = [replace(run, gamma=1.0) for run in searched]  # also where the search goes on from another gamma
        grid = list(dict.fromkeys([*searched, *at_gamma_one]))
        runs = measured(results, grid).assign(gamma=pd.Series([config.gamma for config in grid], dtype=float))
        runs = first_seed(runs)
        plain = runs[(runs["gamma"] == 1) & runs["run"].notna()]
        if plain.empty or best(runs)["gamma"] == 1:
            return [Statement("DirectAU is run at gamma 1 alone, or gamma 1 is what validation chooses", None)]
        chosen = best(runs)
        ends.append(float(best(plain)["ndcg"]))
        at_one, at_best = (run["ndcg"] / float(printed[name]) - 1 for run in (best(plain), chosen))
        holds.append(abs(at_one) <= NEAR < at_best)
        at_decay = ""
        if name == "decay":
            tried = "the only one that was run" if len(plain) == 1 else f"the best of {len(plain)} that were run"
            at_decay = f" (decay {best(plain)['weight_decay']:g}, {tried} there)"
        lines.append(
            f"NDCG@20 of {title} differs from the paper's by {100 * at_one:+.1f} % at gamma 1{at_decay} and by"
            f" {100 * at_best:+.1f} % at gamma {chosen['gamma']:g}, which validation chooses"
        )
    lines.append(f"At gamma 1 PRISM's NDCG@20 differs from that decay's by {100 * (ends[1] / ends[0] - 1):+.1f} %")
    return [Statement(". ".join(lines), all(holds), provisional=True)]


def weak_decay_is_fairer(dataset: str, results: Path, rules: Rules) -> list[Statement]:
    """DirectAU with a weak decay is fairer than with PRISM at alpha = 1, and no worse by NDCG@20.

    The decay is the weakest whose validation NDCG@20 at the first seed is within the margin of the best one's. What
    PRISM gives at the alpha that the same rule chooses stands beside it, and decides nothing.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rules: those that make a word of a difference.
    """
    runs = measured(results, configs("rq4-decay", dataset, seeds=SEEDS))
    prism = measured(results, grid_configs(dataset, "directau", 0.0, SEEDS, init="prism", alpha=1.0))
    tried = first_seed(runs)
    tried = tried[tried["run"].notna() & (tried["weight_decay"] > 0)]
    if tried.empty or prism["run"].isna().all():
        return [Statement("DirectAU is not run with decay and with PRISM", None)]
    decay = runs[runs["weight_decay"] == _within_margin(tried, "weight_decay", rules)]
    quality, ratio = (relative_difference(decay, prism, measure) for measure in ("ndcg", "ratio"))
    both = sorted(set(decay.dropna(subset="run")["seed"]) & set(prism.dropna(subset="run")["seed"]))
    means = [side[side["seed"].isin(both)][["ndcg", "ratio"]].mean() for side in (decay, prism)]
    sentence = (
        f"{setting(decay.iloc[0])}{_also_the_best(decay, tried)}, of {len(tried)} that were tried, against PRISM at"
        f" alpha 1: NDCG@20 {means[0]['ndcg']:.4f} and {means[1]['ndcg']:.4f}, a difference of {_share(quality)}."
        f" Unpopular / popular ratio {means[0]['ratio']:.3f} and {means[1]['ratio']:.3f}, a difference of"
        f" {_share(ratio)}. Best epoch {_epoch(decay, both)} and {_epoch(prism, both)}"
        f"{_prism_by_the_same_rule(dataset, results, rules, decay)}"
    )
    return [_all(sentence, _no_worse(quality, rules), _word(ratio, ["better"], rules))]


def _epoch(runs: pd.DataFrame, seeds: Sequence[int]) -> str:
    """The mean best epoch of some runs at some seeds."""
    return f"{runs[runs['seed'].isin(seeds)]['best_epoch'].mean():.0f}"


def _also_the_best(decay: pd.DataFrame, tried: pd.DataFrame) -> str:
    """Whether a weak decay is the one that validation chooses anyway, in words; empty where it is not."""
    return ", which validation chooses anyway" if decay["weight_decay"].iloc[0] == best(tried)["weight_decay"] else ""


def _within_margin(tried: pd.DataFrame, knob: str, rules: Rules) -> float:
    """The smallest value of a knob whose validation NDCG@20 is within the margin of the best one's."""
    near = tried[tried["validation"] >= (1 - rules.margin) * tried["validation"].max()]
    return float(near[knob].min())


def _prism_by_the_same_rule(dataset: str, results: Path, rules: Rules, decay: pd.DataFrame) -> str:
    """The weak decay against PRISM at the alpha that the same rule chooses, as sentences; empty where none was run."""
    planned = [config for config in configs("rq4", dataset, seeds=SEEDS) if config.init == "prism"]
    runs = measured(results, planned)
    tried = first_seed(runs)
    tried = tried[tried["run"].notna() & (tried["alpha"] > 0)]
    if tried.empty:
        return ""
    alpha = _within_margin(tried, "alpha", rules)
    prism = runs[runs["alpha"] == alpha]
    quality, ratio = (relative_difference(decay, prism, measure) for measure in ("ndcg", "ratio"))
    at_first = prism.dropna(subset="run").iloc[0]
    return (
        f". The same rule gives PRISM alpha {alpha:g}, of {len(tried)} above 0 that were tried:"
        f" NDCG@20 {at_first['ndcg']:.4f} and ratio {at_first['ratio']:.3f}. Against that the decay's NDCG@20 differs"
        f" by {_share(quality)}, its ratio by {_share(ratio)}"
    )


def released_code_departs(dataset: str, results: Path, rules: Rules) -> list[Statement]:
    """Some departures of the released code from the paper's text move NDCG@20 by themselves, most do not.

    A pair of which a run was cut off decides nothing, and is counted apart.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rules: those that make a word of a difference.
    """
    moved, measured_pairs, cut_off = [], 0, 0
    for name, (plain, changed) in switch_pairs(dataset).items():
        difference, runs = _change([changed], [plain], results), measured(results, [plain, changed])
        if difference is not None and len(usable(runs)) < len(runs):
            cut_off += 1
        elif difference is not None:
            measured_pairs += 1
            word = _word(replace(difference, in_dip=len(dips(runs)) > 0), ["better", "worse"], rules)
            if word.holds:
                before, after = (_ndcg(config, results) for config in (plain, changed))
                ring = ", provisional" if word.provisional else ""
                where = f"{LOSS_NAMES[plain.loss]} on {BACKBONE_NAMES[plain.backbone]}, decay {plain.weight_decay:g}"
                text = f"{name} ({where}: switch off {before:.4f}, on {after:.4f}{ring})"
                moved.append((abs(difference.mean), text, word.provisional))
    if not measured_pairs:
        return [Statement("no departure is run beside the same run without it", None)]
    moved.sort(reverse=True)
    sentence = (
        f"of {len(SWITCHES)} departures {measured_pairs} {'is' if measured_pairs == 1 else 'are'} measured alone, and"
        f" {len(moved)} of them {'changes' if len(moved) == 1 else 'change'} NDCG@20 by more than"
        f" {100 * rules.margin:g} %"
    )
    if cut_off:
        sentence += f". Of {cut_off} more a run was cut off, which decides nothing"
    sentence += "".join(f". {text[:1].upper()}{text[1:]}" for _, text, _ in moved)
    return [Statement(sentence, bool(moved), provisional=all(provisional for *_, provisional in moved))]


def _all(text: str, *parts: Statement) -> Statement:
    """A statement that holds where all of its parts do; it fails where one fails and is open where one is open."""
    decides = weakest(parts)
    provisional = decides.holds is not None and any(part.provisional for part in parts)
    return Statement(text, decides.holds, undecided=decides.undecided, provisional=provisional)


def _word(difference: Difference | None, wanted: Sequence[str], rules: Rules) -> Statement:
    """Whether a difference has one of some words."""
    return from_judgement("", None if difference is None else judge(difference, rules), wanted)


def _no_worse(difference: Difference | None, rules: Rules) -> Statement:
    """Whether a difference of NDCG@20 is by the rules no loss beyond the margin."""
    if difference is None:
        return Statement("", None, undecided=True)
    return _word(difference, ["equivalent", "better", "not worse"], rules)


def _share(difference: Difference | None) -> str:
    if difference is None:
        return "not known"
    return f"{percent_text(difference)} ({plural(len(difference.by_seed), 'seed')})"


def _one_setting(pairs: Sequence[tuple[RunConfig, RunConfig]]) -> tuple[list[RunConfig], list[RunConfig]]:
    """The first of some pairs at every seed: as in the paper's text, and with the change."""
    first = pairs[0][0]
    same = [pair for pair in pairs if at_seed(pair[0], first.seed, first.split_seed) == first]
    return [plain for plain, _ in same], [changed for _, changed in same]


def _change(first: Sequence[RunConfig], second: Sequence[RunConfig], results: Path) -> Difference | None:
    """The relative difference of two settings by NDCG@20; None where nothing of it is stored."""
    difference = comparison(first, second, results)
    return None if difference is None else as_share(difference)


def _ndcg(config: RunConfig, results: Path) -> float:
    """Test NDCG@20 of a run; NaN where it is not stored."""
    record = load_record(stored_path(results, config))
    return float("nan") if record is None else float(record["test"]["dot"]["ndcg"])
