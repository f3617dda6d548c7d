"""The tables of the RQ3 page, with every cell as text, from :mod:`prismbook.tables.decay_vs_prism`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from prismbook.claims import prism_claims, table1_claims
from prismbook.claims.statements import Statement, percent_and_seeds
from prismbook.plan.config import RunConfig
from prismbook.plan.hyperparameters import LOSS_GRIDS
from prismbook.runs.records import default_results, scan
from prismbook.runs.tuning import stored, validation_score
from prismbook.tables import decay_vs_prism
from prismbook.tables.analysis import measured
from prismbook.tables.decay_vs_prism import Method, Pair, loss_values, search_pair, search_part
from prismbook.tables.endings import EARLY
from prismbook.tables.labels import BACKBONE_NAMES, LOSS_NAMES, dataset_name, trained
from prismbook.tables.paper import printed_score, table1
from prismbook.tables.rules import Judgement
from prismbook.text import plural

#: Each claim on Table 1 has the function that judges it, and its backbone and losses.
TABLE1_CLAIMS: dict[str, tuple[Callable[[Sequence[Pair]], Sequence[Statement]], str, tuple[str, ...]]] = {
    "C8": (table1_claims.claim_c8, "mf", ("ssm", "directau", "mawu")),
    "C9": (table1_claims.claim_c9, "nonlinear-mf", ("directau", "mawu")),
    "C10": (table1_claims.claim_c10, "nonlinear-mf", ("ssm",)),
}
#: The two methods of a pair, and their column headings in the tables.
TITLES = {"decay": "tuned decay", "prism": "PRISM"}
#: Fields of a configuration that :func:`~prismbook.tables.labels.trained` names, or that change no result.
_NAMED = ("backbone", "weight_decay", "init", "alpha", "seed", "split_seed", "max_epochs", "device")


def row(pair: Pair) -> dict[str, str]:
    """One row of the book's Table 1, the paper's values beside ours. What the paper does not print is an empty cell.

    Ours are those that are compared, so at a value of the loss's parameter that both searches have tried.

    Args:
        pair: both methods of one dataset, backbone and loss.
    """
    names = _names(pair.dataset, pair.backbone, pair.loss)
    printed = table1()
    cells = {"backbone": names[0], "loss": names[1]}
    prism, decay = pair.fair_methods or (pair.prism, pair.decay)
    compared = {"decay": decay, "prism": prism}
    for name, title in TITLES.items():
        method = compared[name]
        if names in printed.index:
            cells[f"{title}, paper"] = _spread(*printed.loc[names, [name, f"{name}_std"]])
        else:
            cells[f"{title}, paper"] = ""
        cells[f"{title}, ours"] = "not run" if method is None else _scores(method)
    printed_share, share = pair.paper(), pair.relative_difference()
    cells["change, paper's cells"] = "" if printed_share is None else f"{printed_share:+.1%}"
    cells["change, ours"] = "" if share is None else percent_and_seeds(share)
    unfinished = [
        f"{title} {method.ran} of {method.grid}"
        for name, title in TITLES.items()
        if (method := getattr(pair, name)) is not None and method.ran < method.grid
    ]
    remark = f"; not searched to the end: {', '.join(unfinished)} configurations" if unfinished else ""
    cells["PRISM - decay"] = pair.difference_text() + remark
    return cells


def short_row(pair: Pair) -> dict[str, str]:
    """One row of the page's table: both methods' scores, the paper's and ours, our change and its word.

    Our scores are those of the change: the compared methods, at the seeds at which both decide something. Where nothing
    is compared, they are those of each method's best, at every seed at which it trained.

    Args:
        pair: both methods of one dataset, backbone and loss.
    """
    names = _names(pair.dataset, pair.backbone, pair.loss)
    printed, share, word = pair.paper(), pair.relative_difference(), pair.judgement()
    paper = ""
    if printed is not None:
        decay, prism = table1().loc[names, ["decay", "prism"]]
        paper = f"{decay:.3f} → {prism:.3f} ({printed:+.1%})"
    means = [_mean(pair.decay), _mean(pair.prism)]
    if pair.comparison is not None and pair.fair_methods is not None:  # the runs of the change, and no others
        means = [_mean(method, pair.seeds()) for method in reversed(pair.fair_methods)]
    return {
        "dataset": names[2],
        "backbone": names[0],
        "loss": names[1],
        "the paper": paper,
        "ours": " → ".join(means),
        "change": "" if share is None else percent_and_seeds(share),
        "word": "" if word is None else pair.setbacks() if word.word == "collapsed" else _word(word, pair),
    }


def _word(word: Judgement, pair: Pair) -> str:
    """A word, and whether the two sides had the same patience."""
    waited = [len(method.with_more_patience()) for method in pair.fair_methods or ()]
    return f"{word}; unequal patience" if len(set(waited)) > 1 else str(word)


def _mean(method: Method | None, seeds: Sequence[int] | None = None) -> str:
    """A method's mean test NDCG@20 over some seeds, by default those at which it trained, as text."""
    if method is None or not method.trained():
        return "not run"
    at = method.trained() if seeds is None else seeds
    return f"{np.mean([method.records[seed]['test']['dot']['ndcg'] for seed in at]):.3f}"


def largest_gain() -> str:
    """The paper's largest gain of PRISM on linear MF, as a sentence that says of which dataset and loss it is.

    It is a share of PRISM's score, as the paper's percentages are.

    >>> largest_gain()
    "The paper's largest gain on linear MF, +4.77 %, is that of DirectAU on AmazonBook."
    """
    linear = table1().xs(BACKBONE_NAMES["mf"], level="backbone")
    shares = (linear["prism"] - linear["decay"]) / linear["prism"]
    gain, loss, dataset = max((float(shares.loc[names]), *names) for names in shares.index)
    return f"The paper's largest gain on linear MF, {100 * gain:+.2f} %, is that of {loss} on {dataset}."


def nearness(pair: Pair) -> dict[str, str]:
    """Our NDCG@20 over the paper's, in percent, for tuned decay and PRISM. A cell without such a comparison is empty.

    Args:
        pair: both methods of one dataset, backbone and loss.
    """
    names = _names(pair.dataset, pair.backbone, pair.loss)
    cells = {"backbone": names[0], "loss": names[1]}
    for name, title in TITLES.items():
        method = getattr(pair, name)
        empty = method is None or not method.ndcg()
        cells[title] = "" if empty else _share(float(np.mean(method.ndcg())), names, name)
    return cells


def differences(pairs: Sequence[Pair]) -> dict[str, dict[str, float | bool | None]]:
    """PRISM's change as a share of tuned decay's score, with its 95 % interval, whether it decides, and the paper's.

    :func:`prismbook.pages.figures.differences` draws the result. Where a method collapsed there is no difference.

    Args:
        pairs: the pairs of the table. Each gives one row, named by its backbone and loss.
    """
    rows: dict[str, dict[str, float | bool | None]] = {}
    for pair in pairs:
        ours = pair.relative_difference()
        low, high = (None, None) if ours is None else ours.interval
        if ours is not None and ours.left_out:  # the seed that is left was chosen by how its run ended
            low = high = ours.mean
        rows[", ".join(_names(pair.dataset, pair.backbone, pair.loss)[:2])] = {
            "ours": None if ours is None else ours.mean,
            "low": low,
            "high": high,
            "paper": pair.paper(),
            "decides": pair.decides(),
        }
    return rows


def configs(pairs: Sequence[Pair]) -> list[RunConfig]:
    """The runs behind the table, each once: the chosen runs of each method, at every seed that was run.

    Args:
        pairs: the pairs of the table.
    """
    methods = [method for pair in pairs for method in pair.methods()]
    return list(dict.fromkeys(config for method in methods for config in method.configs()))


def judged(pairs: Sequence[Pair], results: Path | str) -> dict[str, Sequence[Statement]]:
    """The statements of C17, and of those claims from C8 to C10 of which a pair is given.

    Args:
        pairs: the pairs of one dataset.
        results: folder of the run records.
    """
    by_name = {(pair.backbone, pair.loss): pair for pair in pairs}
    statements = {}
    for claim, (judge, backbone, losses) in TABLE1_CLAIMS.items():
        concerned = [by_name[backbone, loss] for loss in losses if (backbone, loss) in by_name]
        if concerned:
            statements[claim] = judge(concerned)
    nonlinear = [by_name[key] for key in (("nonlinear-mf", "ssm"), ("nonlinear-mf", "directau")) if key in by_name]
    at_seeds = [config for pair in nonlinear if pair.prism is not None for config in pair.prism.configs()]
    return statements | {"C17": prism_claims.claim_c17_norms(measured(Path(results), at_seeds))}


def _names(dataset: str, backbone: str, loss: str) -> tuple[str, str, str]:
    """The names of a backbone, a loss and a dataset in the paper's Table 1."""
    return BACKBONE_NAMES[backbone], LOSS_NAMES[loss], dataset_name(dataset)


def _share(value: float, names: tuple[str, str, str], column: str) -> str:
    """A value over the paper's number for a backbone, loss and dataset; empty where the paper prints none."""
    printed = printed_score(*names, column)
    return "" if printed is None else f"{100 * value / printed:.0f} %"


def loss_parameter_rows(
    dataset: str, backbone: str, loss: str, results: Path | str | None = None, budget: str = "lean"
) -> list[dict[str, str]]:
    """What a loss's parameters do: one row per value that was run, with the decay that validation chooses, and PRISM.

    Scores are test NDCG@20 at the search's first seed, also in percent of the paper's number. The paper does not name
    the parameters of its number. Where a run decides nothing there is no change.

    Args:
        dataset: the dataset's name.
        backbone: the backbone of the runs, e.g. ``"mf"``.
        loss: the loss whose parameters vary, e.g. ``"directau"``.
        results: folder of the run records; None is the project's ``results/``.
        budget: the budget of the search, a name of :data:`prismbook.plan.search.BUDGETS`.

    >>> loss_parameter_rows("gowalla", "mf", "directau", "no folder")
    []
    """
    results, rows = default_results() if results is None else Path(results), []
    prism_search, decay_search, _, _ = search_pair(dataset, backbone, loss, results, budget)
    by_method = {"decay": decay_search, "prism": prism_search}
    outcomes = stored(results)
    names = _names(dataset, backbone, loss)
    grid = sorted(by_method["decay"].grid, key=lambda config: tuple(config.loss_parameters.values()))
    for values in dict.fromkeys(map(loss_values, grid)):
        methods = {
            name: decay_vs_prism.method(search_part(search, {values}), outcomes) for name, search in by_method.items()
        }
        decay = methods["decay"]
        cells = {
            f"{LOSS_NAMES[loss]} at": values,
            "decay": "" if decay is None else f"{decay.chosen.weight_decay:g} ({decay.ran} of {decay.grid} run)",
        }
        scores = {
            name: None if method is None else method.records[grid[0].seed]["test"]["dot"]["ndcg"]
            for name, method in methods.items()
        }
        for name, title in TITLES.items():
            score = scores[name]
            cells[title] = "" if score is None else f"{score:.4f}"
            if names in table1().index:
                cells[f"{title} / paper"] = "" if score is None else _share(score, names, name)
        decayed, prism = scores["decay"], scores["prism"]
        cells["PRISM's change"] = ""
        if decayed is not None and prism is not None:
            whole = all(method is not None and method.usable() for method in methods.values())
            cells["PRISM's change"] = f"{prism / decayed - 1:+.1%}" if whole else "cut off, or never trained"
        if any(methods.values()):
            rows.append(cells)
    return rows


def search_cost(pairs: Sequence[Pair]) -> list[dict[str, str]]:
    """What the search of each method cost: one row per pair and method that was run.

    Args:
        pairs: the pairs of the table.
    """
    rows = []
    for pair in pairs:
        for name, title in TITLES.items():
            method = getattr(pair, name)
            if method is not None:
                rows.append(
                    {
                        "backbone": BACKBONE_NAMES[pair.backbone],
                        "loss": LOSS_NAMES[pair.loss],
                        "method": title,
                        "runs": f"{method.ran} of {method.grid}",
                        "epochs": f"{method.epochs:,}",
                        "hours": _hours(method.seconds),
                        "chosen": f"lr {method.chosen.lr:g}, {_tuned(method.chosen)}",
                    }
                )
    return rows


def cost_in_words(pairs: Sequence[Pair], results: Path | str | None = None) -> str:
    """Whether PRISM's search cost fewer epochs than decay's, in Markdown.

    Hours are not compared, since they are of several machines. Only searches that both methods ran to the end are
    compared. Runs that ended within their first epochs are counted: a search of such runs is cheap because it was
    stopped.

    Args:
        pairs: the pairs of the table. Those of which a method was not run are left out.
        results: folder of the run records; None is the project's ``results/``.
    """
    records = scan(default_results() if results is None else results)[0]
    early = {record["id"] for record in records if len(record["history"]["loss"]) <= EARLY}
    lines, fewer = [], []
    for pair in pairs:
        if pair.prism is None or pair.decay is None:
            continue
        name = f"{BACKBONE_NAMES[pair.backbone]} with {LOSS_NAMES[pair.loss]}"
        line = f"- {name}: {pair.prism.epochs:,} for PRISM, {pair.decay.epochs:,} for decay"
        if pair.prism.ran < pair.prism.grid or pair.decay.ran < pair.decay.grid:
            line += ", not searched to the end"
        else:
            fewer.append(pair.prism.epochs < pair.decay.epochs)
        for method, title in ((pair.prism, "PRISM"), (pair.decay, "decay")):
            if ended := len(early.intersection(method.run_ids())):
                line += f". Of {plural(len(method.run_ids()), 'run')} of {title} {ended} ended within {EARLY} epochs"
        lines.append(f"{line}.")
    if not lines:
        return ""
    if fewer:
        lead = (
            f"Where both searches ran to the end, PRISM's trains fewer epochs for {sum(fewer)} of {len(fewer)}. Epochs:"
        )
    else:
        lead = "Nowhere did both searches run to the end. Epochs:"
    return "\n".join([lead, "", *lines])


def _hours(seconds: Mapping[str, float]) -> str:
    """Seconds per class of device as hours: the hours of a CPU, then the hours of a GPU.

    >>> _hours({"cpu": 3600.0, "cuda": 720.0}), _hours({"cuda": 720.0})
    ('1.00 + 0.20 on a GPU', '0.20 on a GPU')
    """
    names = {"cpu": "", "cuda": " on a GPU"}
    return " + ".join(f"{seconds[device] / 3600:.2f}{name}" for device, name in names.items() if device in seconds)


def runners_up(pairs: Sequence[Pair], results: Path | str | None = None, budget: str = "lean") -> list[dict[str, str]]:
    """What would follow if validation had chosen each search's second best decay: one row per pair that has one.

    The lean budget searches on one seed. The decay that its validation puts first may not be the best over more seeds.
    Where the chosen decay decides nothing, PRISM against the second is a number without a word.

    Args:
        pairs: the pairs of the table.
        results: folder of the run records; None is the project's ``results/``.
        budget: the budget of the searches, a name of :data:`prismbook.plan.search.BUDGETS`.

    >>> runners_up([decay_vs_prism.pair("gowalla", "mf", "ssm", "no folder")])
    []
    """
    results, rows = default_results() if results is None else Path(results), []
    for pair in pairs:
        first = pair.decay
        if first is None:
            continue
        other = decay_vs_prism.pair(pair.dataset, pair.backbone, pair.loss, results, budget, without=first.chosen)
        if other.decay is None:
            continue
        rows.append(
            {
                "backbone": BACKBONE_NAMES[pair.backbone],
                "loss": LOSS_NAMES[pair.loss],
                "chosen": _tuned(first.chosen),
                "second": _tuned(other.decay.chosen),
                "ahead on validation by": f"{first.validation - other.decay.validation:.4f}",
                "test, chosen": _scores(first),
                "test, second": _scores(other.decay),
                "PRISM - second": other.difference_text(None if first.usable() else Judgement("undecided")),
            }
        )
    return rows


def cut_off_choices(pairs: Sequence[Pair], results: Path | str | None = None, budget: str = "lean") -> str:
    """Where all runs of a chosen decay were cut off, what other pages may show in its place, in Markdown.

    Args:
        pairs: the pairs of the table.
        results: folder of the run records; None is the project's ``results/``.
        budget: the budget of the searches, a name of :data:`prismbook.plan.search.BUDGETS`.

    >>> cut_off_choices([decay_vs_prism.pair("gowalla", "mf", "ssm", "no folder")])
    ''
    """
    lines = []
    for pair in pairs:
        first = pair.decay
        if first is None or first.usable() or not first.trained():
            continue
        name = f"{BACKBONE_NAMES[pair.backbone]} with {LOSS_NAMES[pair.loss]}"
        chosen = f"every run at the chosen decay {first.chosen.weight_decay:g}"
        line = f"- {name}: {chosen} ended early or at the limit of epochs, and decides nothing"
        other = decay_vs_prism.pair(pair.dataset, pair.backbone, pair.loss, results, budget, without=first.chosen).decay
        if other is not None and other.usable():
            decide = [other.records[seed]["test"]["dot"]["ndcg"] for seed in other.usable()]
            verb = "decides" if len(decide) == 1 else "decide"
            line += (
                f". Pages with fewer decays show {other.chosen.weight_decay:g}, of which {len(decide)} of"
                f" {plural(len(other.records), 'run')} {verb} something, with NDCG@20 {np.mean(decide):.4f}"
            )
        lines.append(f"{line}.")
    return "\n".join(lines)


def ended_early(dataset: str, results: Path | str | None = None, within: int = EARLY) -> list[dict[str, str]]:
    """One row per run that the stopping rule ended within its first epochs. Runs of all experiments are looked at.

    Validation NDCG@20 is by dot product, at the best epoch. The training loss is taken at the last epoch.

    Args:
        dataset: the dataset's name.
        results: folder of the run records; None is the project's ``results/``.
        within: the largest number of epochs of a run that is listed.

    >>> ended_early("gowalla", "no folder")
    []
    """
    rows = []
    for record in scan(default_results() if results is None else results)[0]:
        config, history = RunConfig(**record["config"]), record["history"]
        if config.dataset == dataset and record["stopped_by"] == "patience" and len(history["loss"]) <= within:
            plain = RunConfig(config.dataset, config.loss, **config.loss_parameters)
            rest = {name: value for name, value in vars(config).items() if value != getattr(plain, name)}
            parameters = config.loss_parameters | {name: value for name, value in rest.items() if name not in _NAMED}
            row = {
                "trained": trained(config),
                "with": ", ".join(f"{name} {value}" for name, value in parameters.items()),
                "epochs": str(len(history["loss"])),
                "best epoch": str(record["best_epoch"]),
                "validation NDCG@20": f"{validation_score(record):.4f}",
                "training loss": f"{history['loss'][-1]:.3f}",
            }
            rows.append(((config.backbone, config.loss, config.init, config.weight_decay, config.seed), row))
    return [row for _, row in sorted(rows, key=lambda keyed_row: keyed_row[0])]


def _tuned(config: RunConfig) -> str:
    """The decay of a configuration, and the loss's parameters where they are searched."""
    parameters = f", gamma {loss_values(config)}" if len(LOSS_GRIDS[config.loss]) > 1 else ""
    return f"decay {config.weight_decay:g}{parameters}"


def _spread(mean: float, std: float) -> str:
    return f"{mean:.4f} ± {std:.4f}"


def _scores(method: Method) -> str:
    """A method's scores over the seeds at which it trained, and at how many it collapsed or was cut off."""
    parts = [_over_seeds(method.ndcg())] if method.ndcg() else []
    return "; ".join([*parts, method.setbacks()] if method.setbacks() else parts)


def _over_seeds(values: Sequence[float]) -> str:
    one_seed = len(values) == 1
    score = f"{values[0]:.4f}" if one_seed else _spread(float(np.mean(values)), float(np.std(values, ddof=1)))
    return f"{score} ({plural(len(values), 'seed')})"
