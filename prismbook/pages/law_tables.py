"""What the page on the law of lengths says of records: what is left out, the law beside rivals, free exponents."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import CRITICAL_DECAYS
from prismbook.runs.records import Record
from prismbook.tables import law
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.lengths import ratio_of
from prismbook.text import listed_names, plural
from prismlib import theory

#: The sine of the angle between a row and its partners where training has spread the rows, about.
SINE = 0.9
#: The theories in words.
NAMES = {
    "law": "the law",
    "sgd": "the theorem at rest (plain SGD)",
    "prism": "log(d + 2)",
    "power": "d^b, b fitted on the one profile",
}


def what_is_in(kept: Sequence[Record], left_out: Mapping[str, Sequence[Record]]) -> str:
    """Which runs the law is held against, which are left out, and what never varies in them.

    Args:
        kept: the runs, of :func:`prismbook.tables.law.of_the_law`.
        left_out: the others, by the reason.
    """
    configs = [record["config"] for record in kept]
    profiles = law.profiles(kept)
    names = listed_names([dataset_name(name) for name in sorted({config["dataset"] for config in configs})])
    losses = listed_names([LOSS_NAMES[loss] for loss in sorted({config["loss"] for config in configs})])
    reasons = "; ".join(f"{len(runs)} {reason}" for reason, runs in left_out.items())
    usual = max({config["lr"] for config in configs}, key=[config["lr"] for config in configs].count)
    others = [config["lr"] for config in configs if config["lr"] != usual]
    rates = f"The learning rate is {usual:g}" + (
        f", but for {len(others)} runs at {listed_names([f'{rate:g}' for rate in sorted(set(others))])}."
        if others
        else "."
    )
    lines = [
        f"{plural(len(kept), 'run')} of {plural(profiles['configuration'].nunique(), 'configuration')} are in,"
        f" with {len(profiles):,} classes of rows: {losses} on {names}. {rates}"
    ]
    batches, dims = ({config[name] for config in configs} for name in ("batch_size", "dim"))
    if len(batches) == len(dims) == 1:
        lines.append(
            f"All have a batch of {batches.pop():,} and {dims.pop()} numbers in a row."
            " So how lengths depend on these two comes from the formula alone, and no run tests it."
            " The simulation varies $q$, which has the batch in it."
        )
    lines.append(
        f"Left out are {sum(map(len, left_out.values()))} runs: {reasons}."
        f"{_nearest_the_line(kept, left_out[law.SHORT])}"
    )
    # DirectAU takes half of each side's uniformity, and its alignment is twice MAWU's
    as_directau = [2 * (config["gamma_user"] + config["gamma_item"]) for config in configs if config["loss"] == "mawu"]
    if as_directau:
        lines[-1] += (
            " The weight of uniformity is counted as DirectAU's. MAWU's two count four times, and their mean is then"
            f" {min(as_directau):g} or more in the runs that are in."
        )
    return "\n\n".join(lines)


def _nearest_the_line(kept: Sequence[Record], short: Sequence[Record]) -> str:
    """What the time to rest is, and how near to the line the runs on either side of it are."""
    text = (
        " The time to rest is step 4's, for a run's middle class of rows by popularity. Before some three times that,"
        " lengths are still growing. This is decided by the formula, and no recorded length is looked at."
    )
    if kept and short:
        least, most = min(map(law.times_to_rest, kept)), max(map(law.times_to_rest, short))
        text += (
            f" The runs that are in trained for {least:.1f} times that or more, those that were left out as not at rest"
            f" for {most:.1f} or less. Three times leave a twentieth of the distance to rest. The line was drawn when"
            " most of these runs were stored; any line between the two takes the same runs."
        )
    return text


def explained(profiles: pd.DataFrame, wrong_by: pd.DataFrame, fitted: pd.DataFrame) -> str:
    r"""How much of the held-out lengths the law explains, and its one constant, with the part of momentum in it.

    Args:
        profiles: of :func:`prismbook.tables.law.profiles`.
        wrong_by: of :func:`prismbook.tables.law.errors`.
        fitted: the profile that the law's constant is fitted on.
    """
    of_law = law.accuracy(profiles, wrong_by).loc["law"]
    held_out = profiles.loc[wrong_by.index].groupby(["run", "side"]).ngroups
    constant = float(np.exp(3 * np.log(fitted["length"] / fitted["law"]).mean()))
    same = profiles[profiles["configuration"].isin(fitted["configuration"])]
    alone = same["run"].nunique() == 1
    settings = dict(zip(law.CONFIGURATION, json.loads(fitted["configuration"].iloc[0]), strict=True))
    steps = math.ceil(fitted["pairs"].iloc[0] / settings["batch_size"])
    kappa = theory.memory_of_epochs(steps)
    left = constant / kappa
    return (
        f"{held_out} profiles of lengths, at rest or near it, are held out."
        f" The {plural(same['run'].nunique(), 'run')} of the fitted configuration {'is' if alone else 'are'} not"
        f" scored. The law explains {of_law['R2']:.1%} of the variance of their log length, with an error of"
        f" {of_law['rms']:.1%}. The constant is {constant:.2f}, from the run `{fitted['run'].iloc[0]}` (seed"
        f" {fitted['seed'].iloc[0]}, learning rate {settings['lr']:g}, $\\gamma$ {settings['gamma']:g})."
        " If the gradients of a row sum to zero over an epoch,"
        f" $\\kappa$ is {kappa:.2f} at {steps} steps an epoch, as here. That would make the mean sine {left:.2f};"
        f" it is near {SINE:g} where training has spread the rows. Under the cube root this difference is"
        f" about {abs(1 - (left / SINE) ** (1 / 3)):.0%} of the length."
    )


def with_them(kept: Sequence[Record], left_out: Mapping[str, Sequence[Record]], fitted: pd.DataFrame) -> str:
    """What the law explains with the runs that are left out, reason by reason.

    Args:
        kept: the runs, of :func:`prismbook.tables.law.of_the_law`.
        left_out: the others, by the reason.
        fitted: the profile that the law's constant is fitted on.
    """
    said = []
    for reason, runs in left_out.items():
        if runs:
            profiles = law.profiles([*kept, *runs])
            of_law = law.accuracy(profiles, law.errors(profiles, fitted)).loc["law"]
            why = " Their lengths are still on the way from the start to rest." if reason == law.SHORT else ""
            said.append(
                f"- With the {plural(len(runs), 'run')} {reason}: {of_law['R2']:.2f}, {of_law['rms']:.0%}.{why}"
            )
    return "\n".join(["What would R² and the error be with them?\n", *said]) if said else ""


def rivals(profiles: pd.DataFrame, wrong_by: pd.DataFrame) -> pd.DataFrame:
    """The law beside its rivals: on all held-out profiles, on other datasets than the fitted one's, and by shape.

    Args:
        profiles: of :func:`prismbook.tables.law.profiles`.
        wrong_by: of :func:`prismbook.tables.law.errors`.

    Returns:
        Text with one row per theory. It has R² of the log length, and its error in brackets.
    """
    shape = law.within_profiles(profiles, wrong_by)
    elsewhere = wrong_by[~_on_movielens(profiles.loc[wrong_by.index])]
    parts = {"": law.accuracy(profiles, wrong_by)}
    if len(elsewhere):
        parts[", other datasets"] = law.accuracy(profiles, elsewhere)
    parts[", shape alone"] = shape
    columns: dict[str, pd.Series] = {}
    for of, part in parts.items():
        # one column for both, since a table of seven breaks its numbers to fit a page
        columns[f"R² (error){of}"] = part["R2"].map("{:.3f} ".format) + part["rms"].map("({:.1%})".format)
    return pd.DataFrame(columns).rename(index=NAMES)


def shapes(profiles: pd.DataFrame, wrong_by: pd.DataFrame) -> str:
    """What the shape of profiles says of the law's exponent beside a fitted one.

    Args:
        profiles: of :func:`prismbook.tables.law.profiles`.
        wrong_by: of :func:`prismbook.tables.law.errors`.
    """
    squares = law.within_profiles(profiles, wrong_by)["R2"]
    better = squares["law"] >= squares["power"]
    return (
        f"By shape the law's sixth root, which is not fitted, explains {squares['law']:.1%}."
        f" A power of $d$ with a fitted exponent explains {squares['power']:.1%},"
        f" {'no more' if better else 'which is more'}. log(d + 2) explains {squares['prism']:.1%}."
    )


def exponents(free: pd.DataFrame) -> pd.DataFrame:
    """The exponents that the records have, beside the law's.

    Args:
        free: of :func:`prismbook.tables.law.exponents`.

    Returns:
        Text, one row per exponent.
    """
    return pd.DataFrame(
        {
            "the law": free["law"].map("{:.3f}".format),
            "found": free["found"].map("{:.3f}".format),
            "95 % interval": [f"[{low:.3f}, {high:.3f}]" for low, high in zip(free["low"], free["high"], strict=True)],
        },
        index=free.index.rename("exponent of"),
    )


def freed(free: pd.DataFrame, configurations: int) -> str:
    """Which of the law's exponents lie in the intervals of those that are left free.

    Args:
        free: of :func:`prismbook.tables.law.exponents`.
        configurations: how many there are, of which the intervals are drawn.
    """
    free = free.dropna()
    inside = (free["low"] <= free["law"]) & (free["law"] <= free["high"])
    said = [f"Intervals are over the {configurations} configurations, drawn with replacement."]
    for holds, words in ((True, "hold the law's exponent"), (False, "leave out the law's exponent")):
        names = [str(name) for name in free.index[inside == holds]]
        if names:
            several = f"The intervals of {listed_names(names)} {words}."
            said.append(several if len(names) > 1 else _alone(names[0], holds))
    weaker = free[~inside & (free["found"].abs() < free["law"].abs())]
    if len(weaker) == (~inside).sum() > 0:
        off = (1 - weaker["found"] / weaker["law"]).max()
        said.append(f"There lengths depend less on each than the law says, by up to {off:.0%} of the exponent.")
    return " ".join(said)


def _alone(name: str, holds: bool) -> str:
    return f"That of {name} {'holds' if holds else 'leaves out'} the law's exponent."


def by_part(profiles: pd.DataFrame, wrong_by: pd.DataFrame) -> pd.DataFrame:
    """The error of each theory on held-out profiles, by decay, learning rate, dataset, loss and side.

    Args:
        profiles: of :func:`prismbook.tables.law.profiles`.
        wrong_by: of :func:`prismbook.tables.law.errors`.

    Returns:
        Text, one row per part, with its number of runs.
    """
    held_out, rows = profiles.loc[wrong_by.index], {}
    words: dict[str, Callable[[Any], str]] = {
        "decay": "decay {:g}".format,
        "lr": "learning rate {:g}".format,
        "dataset": dataset_name,
        "loss": LOSS_NAMES.__getitem__,
        "side": "{}s".format,
    }
    for column, name in words.items():
        for value, part in held_out.groupby(column):
            errors = law.accuracy(profiles, wrong_by.loc[part.index])["rms"].map("{:.1%}".format)
            rows[name(value)] = {"runs": f"{part['run'].nunique()}"} | errors.rename(NAMES).to_dict()
    return pd.DataFrame.from_dict(rows, orient="index")


def rare_rows(rare: pd.DataFrame, fitted: pd.DataFrame) -> str:
    """How rows with fewer interactions than the law is for lie beside it.

    Args:
        rare: of :func:`prismbook.tables.law.profiles`, the rare rows.
        fitted: the profile that the law's constant is fitted on.
    """
    beyond = law.beside_the_law(rare, fitted) - 1
    longest = rare.iloc[int(np.argmax(beyond))]
    step = longest["step"] / longest["length"] * (1 + beyond.max())
    return (
        f"Rows with 1 to {law.LEAST - 1} interactions are shorter than it says in {(beyond < 0).mean():.0%} of their"
        f" {len(beyond)} classes, by {-beyond.median():.0%} in the median of all."
        " What shortens them was not tested: the simulation has no such rows."
        f" Some are longer, as the rarest rows of the simulation are, by up to {beyond.max():.0%}."
        f" In the longest a step, $\\eta \\sqrt{{n/q}}$, is {step:.1f} times the law's length,"
        " where step 4 takes it to be small."
    )


def _on_movielens(profiles: pd.DataFrame) -> pd.Series:
    """Whether a class is of MovieLens, as the fitted profile is, with all ratings or with the high ones."""
    return profiles["dataset"].str.startswith("movielens")


def collapse(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """BPR below and above the decay at which its tables vanish, by dataset.

    Args:
        records: stored runs of BPR at :data:`prismbook.plan.lists.COLLAPSE`, for each dataset, by its name.

    Returns:
        Text with one row per run. It has the decay as a multiple of the critical one, the best epoch, test NDCG@20, the
        largest singular value of the item table, and the second as a share of it.
    """
    rows = []
    for dataset, runs in records.items():
        for record in sorted(runs, key=lambda run: float(run["config"]["weight_decay"])):
            decay, (first, second, *_) = record["config"]["weight_decay"], record["singular_values"]["item"]
            rows.append(
                {
                    "dataset": dataset_name(dataset),
                    "critical decay": f"{CRITICAL_DECAYS[dataset]:.1e}",
                    "decay / critical": f"{decay / CRITICAL_DECAYS[dataset]:.1f}",
                    "best epoch": f"{record['best_epoch']}",
                    "NDCG@20": f"{record['test']['dot']['ndcg']:.4f}",
                    "largest singular value": f"{first:.2g}",
                    "second / first": f"{second / first:.3f}" if first else "",
                }
            )
    columns = ["dataset", "critical decay", "decay / critical", "best epoch", "NDCG@20"]
    return pd.DataFrame(rows, columns=[*columns, "largest singular value", "second / first"]).set_index("dataset")


def symmetry(stored: Sequence[Record]) -> str:
    """What runs of coupled Adam say of the law's symmetry: s times the rate with a decay smaller by s squared.

    Args:
        stored: records of any runs; those with DirectAU on matrix factorisation by Adam with decay are compared.

    Returns:
        A sentence on each pair of one dataset and seed whose learning rates differ and whose product of squared rate
        and decay is one; empty where there is none.
    """
    runs = [(RunConfig(**record["config"]), record) for record in stored]
    runs = [(config, record) for config, record in runs if _rests_by_adam(config)]
    said = []
    for (ours, first), (theirs, second) in itertools.permutations(runs, 2):
        scale = ours.lr / theirs.lr
        alike = replace(ours, lr=theirs.lr, weight_decay=theirs.weight_decay) == theirs
        if scale > 1 and alike and np.isclose(ours.weight_decay * scale**2, theirs.weight_decay, atol=0):
            times, scores = _times(first, second), [record["test"]["dot"] for record in (first, second)]
            said.append(
                f"On {dataset_name(ours.dataset)} a rate of {ours.lr:g} with a decay of {ours.weight_decay:g} stands"
                f" beside {theirs.lr:g} with {theirs.weight_decay:g}. Each class of items is {min(times):.1f} to"
                f" {max(times):.1f} times as long, where the law says {scale:g}. NDCG@20 is {scores[0]['ndcg']:.4f}"
                f" beside {scores[1]['ndcg']:.4f}. The unpopular / popular ratio is {ratio_of(scores[0]):.3f} beside"
                f" {ratio_of(scores[1]):.3f}."
            )
    return " ".join(said)


def _rests_by_adam(config: RunConfig) -> bool:
    """Whether a run is DirectAU's on matrix factorisation by Adam with coupled decay, from Xavier's start."""
    kept = ("mf", "directau", "adam", "table", "xavier")
    named = (config.backbone, config.loss, config.optimizer, config.decay_scope, config.init)
    return config.weight_decay > 0 and named == kept


def _times(first: Record, second: Record) -> list[float]:
    """The mean length of each class of items in one run over that in another, of the classes that the law is of."""
    lengths = [
        {part["from"]: part["mean"] for part in record["norms"]["item"]["bins"] if part["from"] >= law.LEAST}
        for record in (first, second)
    ]
    return [lengths[0][place] / lengths[1][place] for place in lengths[0].keys() & lengths[1].keys()]
