"""What each claim rests on: which runs, computations or cards are gathered for it on one dataset, to be judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.claims import decay_claims, prism_claims, table1_claims, theory_claims
from prismbook.claims.statements import Statement, left_open_with, of_case, without_one_seed
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import BEYOND, PAPER_DATASETS, SEEDS, configs, protocol_pairs
from prismbook.runs.records import default_results, load_record
from prismbook.tables import decay_vs_prism
from prismbook.tables.analysis import best, first_seed, measured, record_ids
from prismbook.tables.rules import MAY_BE, RULES, Rules
from prismlib import datasets


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on: records, read once, that can be judged under one set of rules after the other.

    Attributes:
        judge: from rules to the statements of the claim on one dataset.
        run_ids: ids of the records behind them.
        planned: the runs that are read where they are stored, at every seed; those that a search lacks are with the
            statements.
        patient_runs: whether a run that ended in a dip gives its place to the patient one.
    """

    judge: Callable[[Rules], Sequence[Statement]]
    run_ids: tuple[str, ...] = ()
    planned: tuple[RunConfig, ...] = ()
    patient_runs: bool = True
    _judged: dict[Rules, Sequence[Statement]] = field(default_factory=dict, repr=False, compare=False)

    def under(self, rules: Rules) -> list[Statement]:
        """The statements under some rules. Where they name a case, it is judged as if it were the claim.

        Args:
            rules: the margin, whether one seed gives a word, and the protocol or setting that counts.
        """
        whole = replace(rules, case="")
        if whole not in self._judged:
            self._judged[whole] = self.judge(whole)
        statements = of_case(self._judged[whole], rules.case)
        return statements if rules.one_seed else [without_one_seed(each) for each in statements]

    @property
    def statements(self) -> list[Statement]:
        """The statements under the rules of the ledger."""
        return self.under(RULES)


def known(statements: Sequence[Statement], planned: tuple[RunConfig, ...] = ()) -> Evidence:
    """Evidence whose statements are the same under all rules.

    Args:
        statements: the statements of the claim on one dataset.
        planned: the runs that would be read, of which none is stored.
    """
    return Evidence(lambda rules: statements, planned=planned)


#: From a dataset's name and the folder of the records to the evidence.
Judge = Callable[[str, Path], Evidence]


def from_runs(
    judge: Callable[[pd.DataFrame, Rules], list[Statement]],
    *experiments: str,
    seeds: Sequence[int] | None = None,
    patient_runs: bool = True,
) -> Judge:
    """The evidence of a claim that is judged from the runs of some experiments.

    Args:
        judge: from the table of the runs and rules to statements.
        experiments: names of experiments; their runs are taken together, in this order.
        seeds: the seeds of the runs; None: the seeds of the experiment.
        patient_runs: as :func:`~prismbook.tables.analysis.measured` takes it.
    """
    options: dict[str, Any] = {} if seeds is None else {"seeds": seeds}

    def evidence(dataset: str, results: Path) -> Evidence:
        planned = [config for name in experiments for config in configs(name, dataset, **options)]
        runs = measured(results, planned, patient_runs)
        return Evidence(lambda rules: judge(runs, rules), record_ids(runs), tuple(planned), patient_runs)

    return evidence


def from_theory(judge: Callable[[], list[Statement]]) -> Judge:
    """The evidence of a claim that is computed on the spot.

    Args:
        judge: computes the statements.
    """
    return lambda dataset, results: known(judge())


def from_pairs(
    judge: Callable[[Sequence[decay_vs_prism.Pair], Rules], list[Statement]], backbone: str, losses: Sequence[str]
) -> Judge:
    """The evidence of a claim about tuned decay against PRISM.

    Args:
        judge: from the pairs, one per loss, and rules to statements.
        backbone: name of the backbone.
        losses: names of the losses.
    """

    def evidence(dataset: str, results: Path) -> Evidence:
        pairs = [decay_vs_prism.pair(dataset, backbone, loss, results) for loss in losses]
        if backbone == "nonlinear-mf":
            pairs = [replace(pair, at_values=tuple(decay_vs_prism.at_each_value(pair, results))) for pair in pairs]
            released = decay_vs_prism.released_pairs(dataset, results)
            pairs += [pair for pair in released if pair.loss in losses and pair.fair_methods is not None]
        return _of_pairs(judge, pairs)

    return evidence


def _of_pairs(
    judge: Callable[[Sequence[decay_vs_prism.Pair], Rules], list[Statement]], pairs: Sequence[decay_vs_prism.Pair]
) -> Evidence:
    read = [each for pair in pairs for each in (pair, *pair.at_values)]
    run_ids = {run_id for pair in read for method in pair.methods() for run_id in method.run_ids()}
    planned = [run for pair in pairs for method in pair.fair_methods or () for run in method.at_every_seed]
    return Evidence(lambda rules: judge(pairs, rules), tuple(run_ids), tuple(planned))


#: The losses of Table 1's summary of linear MF.
LINEAR_LOSSES = ("ssm", "directau", "mawu")
#: The learning rates that were tried for C11.
LEARNING_RATES = (1e-3, 1e-2)


def at_rate(rate: float) -> str:
    """The case of one learning rate.

    Args:
        rate: the learning rate of all runs.

    >>> at_rate(1e-3)
    'learning rate 0.001'
    """
    return f"learning rate {rate:g}"


def benefit_runs(dataset: str, results: Path, rate: float | None = None) -> pd.DataFrame:
    """The runs of RQ4 at all seeds: DirectAU with PRISM at each strength, and with decay from Xavier initialisation.

    Each run counts as the paper's patience ended it, since numbers of epochs are compared.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
        rate: the learning rate; None is the experiment's own.
    """
    return measured(results, _benefit_configs(dataset, rate), patient_runs=False)


def _benefit_configs(dataset: str, rate: float | None = None) -> list[RunConfig]:
    planned = [config for name in ("rq4", "rq4-decay") for config in configs(name, dataset, seeds=SEEDS)]
    return planned if rate is None else [replace(config, lr=rate) for config in planned]


def epochs_needed(dataset: str, results: Path) -> Evidence:
    """C11: PRISM against tuned decay at the learning rate that validation chooses for each method.

    What another learning rate says is a note: nobody would train with it.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
    """
    tables = {rate: benefit_runs(dataset, results, rate) for rate in LEARNING_RATES}
    tuned, rates = at_chosen_rate(tables)

    def judge(rules: Rules) -> list[Statement]:
        statements = prism_claims.claim_c11(tuned, rules, dataset)
        for rate, runs in tables.items():
            if set(rates) != {rate} and runs["run"].notna().any():
                note = prism_claims.claim_c11(runs, rules, dataset, _complete(runs))[0]
                text = f"{note.text}{_at_what_price(runs, tuned)}"
                if not _complete(runs):  # no direction where a method was not searched
                    text += "; not all runs at this rate are made"
                    note = replace(left_open_with(note, MAY_BE, rules), holds=None, undecided=True, provisional=False)
                statements.append(replace(note, text=text, case=at_rate(rate), about="", role="note"))
        return statements

    ids = tuple(run for runs in tables.values() for run in record_ids(runs))
    planned = tuple(config for rate in dict.fromkeys(rates) for config in _benefit_configs(dataset, rate))
    return Evidence(judge, ids, planned, patient_runs=False)


def _complete(runs: pd.DataFrame) -> bool:
    """Whether every planned run is stored at the first seed."""
    return bool(first_seed(runs)["run"].notna().all())


def _at_what_price(runs: pd.DataFrame, tuned: pd.DataFrame) -> str:
    """What the best runs at a rate score beside those at the chosen rates, as the end of a sentence; else empty."""
    said = []
    for method, there, chosen in zip(
        ("PRISM", "decay"), prism_claims.tried_runs(runs), prism_claims.tried_runs(tuned), strict=True
    ):
        if len(there) and len(chosen):
            said.append(f"{method} {best(there)['ndcg']:.4f} and {best(chosen)['ndcg']:.4f}")
    return f"; best NDCG@20 at this rate and at the one that validation chose: {', '.join(said)}" if said else ""


def at_chosen_rate(tables: Mapping[float, pd.DataFrame]) -> tuple[pd.DataFrame, tuple[float, ...]]:
    """Of each initialisation the runs at the learning rate with the highest validation NDCG@20 at the first seed.

    The first rate counts always, and a further one once all runs of both methods with it are stored at the first seed:
    as in the searches of Table 1, a method is not tuned further than the other.

    Args:
        tables: by learning rate, the runs with it.

    Returns:
        The runs, and the learning rates that were chosen for PRISM and for decay.
    """
    first, *further = tables
    complete = [rate for rate in further if _complete(tables[rate])]
    chosen, rates = [], []
    for init in ("prism", "xavier"):
        parts = {rate: tables[rate][tables[rate]["init"] == init] for rate in (first, *complete)}
        tried = [rate for rate, part in parts.items() if part["run"].notna().any()] or list(parts)[:1]
        best_rate = max(tried, key=lambda rate: parts[rate].loc[parts[rate]["seed"] == SEEDS[0], "validation"].max())
        chosen.append(parts[best_rate])
        rates.append(best_rate)
    return pd.concat(chosen, ignore_index=True), tuple(rates)


def tuning_needed(dataset: str, results: Path) -> Evidence:
    """C21: every loss at the decays of RQ1, and at stronger ones of Table 1's search where its best is the strongest.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
    """
    planned = [config for name in ("rq1", "rq1-losses") for config in configs(name, dataset, seeds=SEEDS)]
    runs = decay_claims.with_stronger(measured(results, planned), measured(results, beyond_the_grid(planned)))
    return Evidence(lambda rules: decay_claims.claim_c21(runs, rules), record_ids(runs), tuple(planned))


def beyond_the_grid(planned: Sequence[RunConfig]) -> list[RunConfig]:
    """The runs of a grid of decays at the stronger decays to which a search of Table 1 goes on.

    Args:
        planned: the runs of the grid.
    """
    strongest = max(config.weight_decay for config in planned)
    at_edge = [config for config in planned if config.weight_decay == strongest]
    return [replace(config, weight_decay=decay) for decay in BEYOND["weight_decay"] for config in at_edge]


def curves_at_the_best_decay(dataset: str, results: Path) -> Evidence:
    """C14: the validation curves of DirectAU at the decay that validation chooses, at every seed.

    Args:
        dataset: name of the dataset.
        results: folder of the records.
    """
    planned = [config for config in configs("cosine", dataset, seeds=SEEDS) if config.weight_decay > 0]
    runs = measured(results, planned)
    if runs["run"].isna().all():
        return known(decay_claims.claim_c14([]), tuple(planned))
    decay = decay_claims.chosen_decay(runs)
    chosen = runs[(runs["weight_decay"] == decay) & runs["run"].notna()]
    read = tuple(config for config in planned if config.weight_decay == decay)
    records = [record for path in chosen["path"] if (record := load_record(path)) is not None]
    return Evidence(lambda rules: decay_claims.claim_c14(records, rules), record_ids(runs), read)


def linear_mf(dataset: str, results: Path) -> Evidence:
    """C8: each dataset cell by cell, and once, without a dataset, the mean over all cells.

    Args:
        dataset: name of the dataset; empty for the mean over all cells.
        results: folder of the records.
    """
    if dataset:
        return from_pairs(table1_claims.claim_c8, "mf", LINEAR_LOSSES)(dataset, results)
    names = [name for name in PAPER_DATASETS if (results / name).is_dir()]
    pairs = [decay_vs_prism.pair(name, "mf", loss, results) for name in names for loss in LINEAR_LOSSES]
    return _of_pairs(table1_claims.claim_c8_mean, pairs)


def norms_kept(dataset: str, results: Path) -> Evidence:
    """C17: the identities; on a dataset, PRISM's norms after training on non-linear MF.

    Args:
        dataset: name of the dataset; empty for the identities.
        results: folder of the records.
    """
    if not dataset:
        return known(theory_claims.claim_c17_signs())
    pairs = [decay_vs_prism.pair(dataset, "nonlinear-mf", loss, results) for loss in ("ssm", "directau")]
    pairs_by_protocol = {"text": pairs, "released": decay_vs_prism.released_pairs(dataset, results)}
    tables, run_ids, planned = {}, set[str](), list[RunConfig]()
    for protocol, each in pairs_by_protocol.items():
        methods = [pair.prism for pair in each if pair.prism is not None]
        if protocol == "text" or len(methods) > 1:
            tables[protocol] = measured(results, [config for method in methods for config in method.configs()])
        run_ids |= {run_id for method in methods for run_id in method.run_ids()}
        planned += [run for method in methods for run in (*method.at_every_seed, *method.without_patience)]
        planned += [run for pair in each if pair.prism is None for run in pair.lacks if run.init == "prism"]

    def judge(rules: Rules) -> list[Statement]:
        return [
            statement
            for protocol, runs in tables.items()
            for statement in prism_claims.claim_c17_norms(runs, prism_claims.PROTOCOL_CASES[protocol], rules)
        ]

    return Evidence(judge, tuple(run_ids), tuple(planned))


def sparse_updates(dataset: str, results: Path) -> Evidence:
    """C19: that a row-sparse step writes few rows; on a dataset, whether what is trained stays.

    Args:
        dataset: name of the dataset; empty for what is computed on the spot.
        results: folder of the records. The measurement of large tables, ``benchmarks/scale.json``, is the project's.
    """
    if not dataset:
        return known(theory_claims.claim_c19())
    pairs = [pair for pair in protocol_pairs("speed", dataset) if pair[1].optimizer != pair[0].optimizer]
    stored = [(pair, table) for pair in pairs if not (table := measured(results, pair))["run"].isna().any()]
    tables = [table for _, table in stored]
    run_ids = {run_id for table in tables for run_id in record_ids(table)}
    path = prism_claims.claim_c19_path(scale_trainings(dataset))
    return Evidence(
        lambda rules: [*path, *(each for table in tables for each in prism_claims.claim_c19_quality(table, rules))],
        tuple(run_ids),
        tuple(config for pair, _ in stored for config in pair),  # further ones are a detail, which turns nothing
    )


def scale_trainings(dataset: str) -> list[dict[str, Any]]:
    """The trainings of ``benchmarks/scale.json`` on a dataset's data; none where the project's folder has no such file.

    Args:
        dataset: name of the dataset.
    """
    stored = default_results().parent / "benchmarks/scale.json"
    trainings = json.loads(stored.read_text())["quality"]["measured"] if stored.exists() else []
    content_hash = datasets.identity_card(dataset).content_hash
    return [run for run in trainings if run["dataset"] == dataset and run["data"] == content_hash]


def sizes_of(dataset: str, results: Path) -> Evidence:
    """C20: the sizes of a dataset, against Table 2.

    A number of users or items that is one above ours is taken for the same data, as with a padding id that is counted
    differently.

    Args:
        dataset: name of the dataset.
        results: folder of the records, of which none is read.
    """
    return known(claim_c20(datasets.identity_card(dataset)))


def claim_c20(card: datasets.Card) -> list[Statement]:
    """C20: the sizes on a dataset's card, against Table 2.

    Args:
        card: of the dataset.
    """
    if card.content_hash is None:
        return [Statement("no file of this dataset was hashed, so its sizes are not known to be those", None)]
    printed = card.paper or (0, 0, 0)
    statements = []
    for name, size, theirs in zip(("users", "items"), (card.users, card.items), printed, strict=False):
        text = f"{name}: {size:,}, Table 2 {theirs:,}"
        if theirs == size + 1:
            text += ", one more, as where a padding id is counted too"
        statements.append(Statement(text, theirs in (size, size + 1), about=name))
    same = card.interactions == printed[2]
    text = f"interactions: {card.interactions:,}, Table 2 {printed[2]:,}"
    return [Statement(text, same, about="interactions"), *statements]
