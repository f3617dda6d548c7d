"""What PRISM costs, and how far the advice on it reaches: other optimisers, and layers behind the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from prismbook.claims.table1_claims import claim_c9
from prismbook.pages.change_words import percent, span
from prismbook.plan.experiments import configs
from prismbook.plan.lists import TABLE1
from prismbook.runs.records import Record, default_results
from prismbook.tables import analysis, decay_vs_prism, lengths
from prismbook.tables.decay_vs_prism import Pair, loss_values
from prismbook.tables.labels import LOSS_NAMES, dataset_name
from prismbook.tables.seed_differences import common
from prismbook.tables.ways import DATASETS, NONE, PRISM, TUNED, Compared
from prismbook.text import listed_names, plural

#: Optimisers that write some popularity into lengths without decay, and how a sentence names them.
SPARSE = {"rowwise_adagrad": "row-wise Adagrad", "sparse_adam": "lazy Adam (`SparseAdam`)"}


def stored_of_sparse_optimisers(results: Path | str | None = None) -> str:
    """:func:`of_sparse_optimisers` of the stored runs, over the datasets on which one was made.

    Args:
        results: folder of the records; None is the project's own.

    >>> stored_of_sparse_optimisers("no folder")
    ''
    """
    folder = default_results() if results is None else Path(results)
    said, runs = [], []
    for dataset in DATASETS:
        planned = [each for each in configs("law", dataset) if (each.backbone, each.loss) == ("mf", "directau")]
        made = analysis.records(analysis.measured(folder, planned))
        found = [record for record in made if record is not None]
        said.append(of_sparse_optimisers(dataset, found))
        runs += found
    fast = [each for name in DATASETS for each in configs("speed", name) if each.loss == "directau"]
    beside = [run for run in analysis.records(analysis.measured(folder, fast)) if run is not None]
    return " ".join(filter(None, [*said, _of_prism_beside(runs, beside) if any(said) else ""]))


def _of_prism_beside(runs: Iterable[Record], others: Iterable[Record]) -> str:
    """That no two stored runs tell what PRISM does beside an optimiser of large tables; empty where some do.

    Args:
        runs: those of the law.
        others: those that measure speed, at another gamma.
    """
    made, alone = (
        [run for run in group if run["config"]["optimizer"] in SPARSE and run["config"]["init"] == "prism"]
        for group in (runs, others)
    )
    if made:
        return ""
    if not alone:
        return "Whether PRISM helps beside them was not run with DirectAU."
    names = listed_names(sorted({SPARSE[run["config"]["optimizer"]].partition(" (")[0] for run in alone}))
    gammas = listed_names(sorted({f"{run['config']['gamma']:g}" for run in alone}))
    return (
        "Whether PRISM helps beside them is not known with DirectAU:"
        f" [from PRISM it was run with {names}](speed.ipynb) at gamma {gammas}, and not without PRISM there."
    )


def of_sparse_optimisers(dataset: str, records: Iterable[Record]) -> str:
    """What the optimisers of large tables give without decay, and with lengths at scoring, as sentences.

    Args:
        dataset: name of the dataset.
        records: stored runs of DirectAU on matrix factorisation. Of an optimiser that was run at several learning rates
            the one counts whose own lengths rank best on validation.

    >>> of_sparse_optimisers("gowalla", [])
    ''
    """
    runs, said = list(records), []
    for optimizer, name in SPARSE.items():
        made = [
            run
            for run in runs
            if run["config"]["optimizer"] == optimizer and run["config"]["init"] == "xavier" and "lengths" in run
        ]
        if made:
            best = max(made, key=lambda run: max(run["history"]["validation_dot"]))["config"]["lr"]
            row = lengths.by_training([run for run in made if run["config"]["lr"] == best]).iloc[0]
            said.append(
                f"On {dataset_name(dataset)} {name} has NDCG@20 {row['ndcg']:.4f}, and {row['ndcg with it']:.4f} with"
                f" lengths at scoring ({plural(round(row['seeds']), 'seed')}, ratio {row['ratio']:.2f} and"
                f" {row['ratio with it']:.2f})."
            )
    return " ".join(said)


def behind_layers(pairs: Sequence[Pair], released: Sequence[Pair]) -> str:
    """PRISM against decay where a perceptron follows the tables, as sentences; empty where nothing is compared.

    Args:
        pairs: those of non-linear matrix factorisation.
        released: the same as the released code trains them, at one decay.
    """
    leads = (
        "With the ReLU PRISM's NDCG@20 against tuned decay is",
        "In the released code, without the ReLU and not searched, it is",
    )
    said = []
    for lead, found in zip(leads, (pairs, released), strict=True):
        parts = _of_losses(found)
        said += [f"{lead} {part}." if place == 0 else f"It is {part}." for place, part in enumerate(parts)]
        said += [_other_sign(pair) for pair in found]
    return " ".join(filter(None, said))


def _other_sign(pair: Pair) -> str:
    """Where PRISM's change has the other sign at some values of the loss's parameters, as a sentence, or nothing."""
    at_best = pair.relative_difference()
    found = [
        (change, loss_values(one.prism.chosen))
        for one in pair.at_values
        if one.decides() and one.prism is not None and (change := one.relative_difference()) is not None
        if at_best is not None and change.mean * at_best.mean < 0
    ]
    if not found:
        return ""
    many = f"{len(found)} of {len(pair.at_values)} values"
    changes, where = span([change for change, _ in found]), found[0][1] if len(found) == 1 else many
    name = f"{LOSS_NAMES[pair.loss]} on {dataset_name(pair.dataset)}"
    return f"For {name} the sign hangs on the loss's gamma: {changes} at {where}."


def _at_each_value(pair: Pair, results: Path | str | None) -> Pair:
    return replace(pair, at_values=tuple(decay_vs_prism.at_each_value(pair, results)))


def stored_behind_layers(results: Path | str | None = None) -> str:
    """:func:`behind_layers` of the stored runs.

    Args:
        results: folder of the records; None is the project's own.

    >>> stored_behind_layers("no folder")
    ''
    """
    pairs = [
        _at_each_value(decay_vs_prism.pair(dataset, "nonlinear-mf", loss, results), results)
        for loss in ("directau", "mawu", "ssm")
        for dataset in DATASETS
    ]
    released = [pair for dataset in DATASETS for pair in decay_vs_prism.released_pairs(dataset, results)]
    return behind_layers(pairs, sorted(released, key=lambda pair: pair.loss))


#: Models whose tables are followed by something, and how a sentence names what follows.
BEHIND = {"nonlinear-mf": "Behind a perceptron", "lightgcn": "Behind a graph (LightGCN)"}


def lengths_behind_layers(results: Path | str | None = None) -> str:
    """What lengths at scoring give to DirectAU where something follows the tables, beside decay and PRISM.

    The lengths are put on what is ranked, so on the outputs. The others are those of the search, at the same seeds,
    where Table 1 has one.

    Args:
        results: folder of the records; None is the project's own.

    >>> lengths_behind_layers("no folder")
    ''
    """
    folder = default_results() if results is None else Path(results)
    said = []
    for dataset in DATASETS:
        planned = [each for each in configs("law", dataset) if each.loss == "directau" and each.backbone in BEHIND]
        for config, record in zip(planned, analysis.records(analysis.measured(folder, planned)), strict=True):
            after = None if record is None else lengths.with_chosen_lengths(record)
            if record is None or after is None:
                continue
            said.append(
                f"{BEHIND[config.backbone]} a training without decay that stops by lengths at scoring has NDCG@20"
                f" {after['ndcg']:.4f} with them on {dataset_name(dataset)}, and {record['test']['dot']['ndcg']:.4f} at"
                f" its own (DirectAU, 1 seed, b = {record['lengths']['chosen']:.2f})."
            )
            if config.backbone in TABLE1["backbone"]:
                pair = decay_vs_prism.pair(dataset, config.backbone, "directau", results)
                said.append(_of_the_search(pair, config.seed))
            else:
                beside = analysis.measured(folder, configs("lightgcn", dataset))
                decayed = beside[(beside["loss"] == "DirectAU") & (beside["weight_decay"] > 0)]
                said.append("" if decayed["run"].notna().any() else "No run there has it with decay.")
    return " ".join(filter(None, said))


def _of_the_search(pair: Pair, seed: int) -> str:
    """The scores that tuned decay and PRISM have at a seed, as a sentence; empty where neither was run."""
    scores = [
        f"{way} has {method.records[seed]['test']['dot']['ndcg']:.4f}"
        for way, method in ((TUNED, pair.decay), (PRISM, pair.prism))
        if method is not None and seed in method.records
    ]
    return f"At that seed {listed_names(scores)}." if scores else ""


def _of_losses(pairs: Sequence[Pair]) -> list[str]:
    """The changes of each loss on each dataset where both methods decide something."""
    parts: dict[str, list[str]] = {}
    for pair in pairs:
        change = pair.relative_difference()
        if change is not None and pair.decides():
            name = dataset_name(pair.dataset)
            cut, made = len(change.left_out), len(change.by_seed) + len(change.left_out)
            size = f"open on {name} ({cut} of {made} seeds cut off)" if cut else f"{percent(change.mean)} on {name}"
            if not cut and _open_by_its_search(pair):
                size += " (open: more of the search could turn it)"
            parts.setdefault(LOSS_NAMES[pair.loss], []).append(size)
    return [f"{listed_names(where)} with {loss}" for loss, where in parts.items()]


def _open_by_its_search(pair: Pair) -> bool:
    """Whether a comparison has a direction that the ledger's C9 leaves open, since a search was not complete."""
    if pair.protocol != "text":  # neither method is searched there, which the sentence says
        return False
    judgement, (statement, *_) = pair.judgement(), claim_c9([pair])
    return judgement is not None and judgement.word in ("better", "worse") and statement.holds is None


def of_an_index(folder: Path) -> str:
    """What lengths cost an approximate index of a million items, as sentences.

    Args:
        folder: that of the stored measurements, ``benchmarks/``.
    """
    table = pd.read_csv(folder / "serving_million.csv").set_index("index")
    approximate = table[table["recall@20, one length"] < 1]
    worst = approximate.assign(lost=approximate["recall@20, one length"] - approximate["recall@20"]).sort_values("lost")
    parts = [
        f"{str(name).removeprefix('faiss ')} finds {row['recall@20']:.2f} of the exact lists, and"
        f" {row['recall@20, one length']:.2f} with rows of one length"
        for name, row in worst.iloc[[-1, 0]].iterrows()
    ]
    return (
        f"An approximate index may lose recall by lengths. On"
        f" {worst['items'].iloc[0]:,} generated items {parts[0]}. There {parts[1]}. [](../serving.md) has all of them."
    )


def epochs_and_time(compared: Sequence[Compared]) -> str:
    """How much longer DirectAU trains with PRISM than without decay and than with tuned decay, as sentences.

    Args:
        compared: the ways, for every dataset and loss.

    >>> epochs_and_time([])
    ''
    """
    directau = [each for each in compared if each.loss == "directau"]
    said = []
    for way in (NONE, TUNED):
        parts: list[str] = []
        for each in directau:
            ours, theirs = common(each.shown(PRISM), each.shown(way), ["seed"])
            if len(ours):
                times = (ours["best_epoch"].mean() + 1) / (theirs["best_epoch"].mean() + 1)
                what = "" if parts else " the epochs"
                parts.append(f"{times:.1f} times{what} on {dataset_name(each.dataset)}{_in_time(ours, theirs)}")
        if parts:
            said.append(f"Against {way} DirectAU needs {listed_names(parts)}.")
    if said:
        said.append(
            "Epochs are passes up to the best one, one more than the tables' number, at the seeds that both have."
        )
    return " ".join(said)


def _in_time(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """The same in seconds of whole trainings, of the runs that were made on one kind of device; empty without any."""
    times = [
        mine / other
        for mine, other, on, beside in zip(
            ours["seconds"], theirs["seconds"], analysis.records(ours), analysis.records(theirs), strict=True
        )
        if on and beside and on["environment"]["device"] == beside["environment"]["device"]
    ]
    return f" ({np.mean(times):.1f} in time)" if times else ""
