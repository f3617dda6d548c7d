"""The paper's claims C1 to C20, in our words: where it makes them, its figure, and what decides each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prismbook.claims import decay_claims, prism_claims, theory_claims
from prismbook.claims.decay_claims import nonlinear
from prismbook.claims.statements import Statement
from prismbook.plan.experiments import PAPER_DATASETS, SEEDS, configs
from prismbook.runs.records import load_record, stored_path
from prismbook.tables import decay_vs_prism
from prismbook.tables.analysis import best, measured
from prismlib import datasets


@dataclass(frozen=True)
class Evidence:
    """What a claim rests on: its statements, and the runs behind them, by id."""

    statements: Sequence[Statement]
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        id: C1 to C20.
        place: where the paper makes it; ``text``: in our words; ``paper``: the figure it gives.
        page: the page of the book with the experiment; ``{dataset}`` stands for the dataset's name.
        evidence: from a dataset and a folder of records.
        datasets: those the claim speaks of; ``("",)`` where it is about none.
    """

    id: str
    place: str
    text: str
    paper: str
    page: str
    evidence: Callable[[str, Path], Evidence]
    datasets: tuple[str, ...] = PAPER_DATASETS

    def judged(self, dataset: str, results: Path) -> Evidence:
        """The evidence on a dataset; one without records is not asked for its hash, which it may lack."""
        if not dataset or self.evidence is identity_card or (results / dataset).is_dir():
            return self.evidence(dataset, results)
        return Evidence([Statement("no run on this dataset is stored", None)])


def from_runs(statements: Callable[[pd.DataFrame], list[Statement]], *experiments: str, **own: Any) -> Any:
    """Evidence of a claim that is judged from the runs of some experiments."""

    def evidence(dataset: str, results: Path) -> Evidence:
        runs = measured(results, [c for name in experiments for c in configs(name, dataset, **own)])
        return Evidence(statements(runs), tuple(runs["run"].dropna()))

    return evidence


def from_theory(statements: Callable[[], list[Statement]]) -> Any:
    """Evidence of a claim that is computed on the spot."""
    return lambda dataset, results: Evidence(statements())


def from_pairs(
    judge: Callable[[Sequence[decay_vs_prism.Pair]], list[Statement]], backbone: str, losses: Sequence[str]
) -> Any:
    """Evidence of a claim about tuned decay against PRISM."""

    def evidence(dataset: str, results: Path) -> Evidence:
        pairs = [decay_vs_prism.pair(dataset, backbone, loss, results) for loss in losses]
        return Evidence(judge(pairs), tuple({run for pair in pairs for own in pair.methods() for run in own.runs()}))

    return evidence


def best_curve(dataset: str, results: Path) -> Evidence:
    """C14: the validation curves of DirectAU at the decay that validation chooses."""
    found = [c for c in configs("cosine", dataset) if c.weight_decay > 0]
    runs = measured(results, found)
    if runs["run"].isna().all():
        return Evidence(decay_claims.claim_c14(None))
    chosen = found[int(best(runs).name)]
    record = load_record(stored_path(results, chosen))
    return Evidence(decay_claims.claim_c14(record), tuple(runs["run"].dropna()))


def norms_kept(dataset: str, results: Path) -> Evidence:
    """C17: the identities; on a dataset, PRISM's norms after training on non-linear MF."""
    if not dataset:
        return Evidence(theory_claims.claim_c17())
    pairs = [decay_vs_prism.pair(dataset, "nonlinear-mf", loss, results).prism for loss in ("ssm", "directau")]
    found = [own for own in pairs if own is not None]
    runs = measured(results, [config for own in found for config in own.configs()])
    return Evidence(prism_claims.claim_c17(runs), tuple({run for own in found for run in own.runs()}))


def identity_card(dataset: str, results: Path) -> Evidence:
    """C20: the sizes of a dataset, against Table 2."""
    card = datasets.identity_card(dataset)
    ours = card.users, card.items, card.interactions
    names = zip(("users", "items", "interactions"), ours, card.paper or (0, 0, 0), strict=True)
    return Evidence(
        [Statement(f"{name}: {own:,}, Table 2 {printed:,}", own == printed) for name, own, printed in names]
    )


# fmt: off
CLAIMS = (
    Claim("C1", "Section 3.1.1, Figure 1",
          "DirectAU on MF depends strongly on weight decay; with too weak a decay it falls below BPR",
          "order of the curves, MovieLens1M and Gowalla", "rq1_weight_decay_{dataset}",
          from_runs(decay_claims.claim_c1, "rq1"), ("movielens1m", "gowalla")),
    Claim("C2", "Section 3.1.1, Figures 1 and 10",
          "a stronger decay widens the gap between popular and unpopular items, for every loss, for BPR least",
          "monotone trend", "rq1_weight_decay_{dataset}", from_runs(decay_claims.claim_c2, "rq1", "rq1-losses")),
    Claim("C3", "Section 3.1.2, Figure 2",
          "item norms follow log popularity under moderate decay, for BPR and DirectAU, and much less without decay",
          "correlation high, then low", "rq2_norms_{dataset}", from_runs(decay_claims.claim_c3, "rq2")),
    Claim("C4", "Section 3.2, Equation 2",
          "an item of d interactions is in the batch with probability 1 - (1 - b)^d, b the batch's share of all",
          "identity", "theory", from_theory(theory_claims.claim_c4), ("",)),
    Claim("C5", "Section 3.2, Equation 3", "decay shortens, the ranking loss lengthens, the batch probability mixes",
          "identity and signs", "theory", from_theory(theory_claims.claim_c5), ("",)),
    Claim("C6", "Section 4.1.1, Figure 3",
          "decay on the batch's rows alone performs like no decay, and norms lose popularity",
          "curves coincide", "batched_decay_{dataset}", from_runs(decay_claims.claim_c6, "cosine", "batched")),
    Claim("C7", "Section 4.1.2, Figure 8", "LightGCN barely changes with decay (DirectAU)",
          "flat curves", "lightgcn_{dataset}", from_runs(decay_claims.claim_c7, "lightgcn", "cosine"),
          ("gowalla", "yelp2018")),
    Claim("C8", "Table 1", "PRISM without decay matches tuned decay on linear MF",
          "mean change 0.12 %, largest gain 4.77 %", "rq3_prism_{dataset}",
          from_pairs(prism_claims.matches, "mf", ("ssm", "directau", "mawu"))),
    Claim("C9", "Table 1", "on non-linear MF with DirectAU and MAWU PRISM beats tuned decay", "mean +8.59 %",
          "rq3_prism_{dataset}", from_pairs(prism_claims.beats, "nonlinear-mf", ("directau", "mawu"))),
    Claim("C10", "Table 1", "on non-linear MF with SSM PRISM falls short of tuned decay", "mean -21.61 %",
          "rq3_prism_{dataset}", from_pairs(prism_claims.falls_short, "nonlinear-mf", ("ssm",))),
    Claim("C11", "Section 5.2.1, Figure 4", "with a well-chosen alpha PRISM needs fewer epochs, at comparable quality",
          "mean -38.48 %, Gowalla 249 to 125", "rq4_benefits_{dataset}",
          from_runs(prism_claims.claim_c11, "rq4", "rq4-decay", seeds=SEEDS)),
    Claim("C12", "Section 5.2.2, Figure 5",
          "alpha trades popular against unpopular items; the best model is fairer than tuned decay, and as good",
          "unpopular/popular ratio +75.98 %, NDCG +1.7 %", "rq4_benefits_{dataset}",
          from_runs(prism_claims.claim_c12, "rq4", "rq4-decay", seeds=SEEDS)),
    Claim("C13", "Appendix D.2, Figure 9",
          "DirectAU with PRISM has a better unpopular/popular ratio than BPR, ReSN, IPL and MACR, at a higher NDCG, and"
          " it is PRISM that brings the ratio",
          "scatter", "debiasing_{dataset}", from_runs(prism_claims.claim_c13, "debias", seeds=SEEDS)),
    Claim("C14", "Appendix B.5, Figure 6",
          "validation by cosine saturates early, validation by dot product keeps rising (DirectAU)",
          "curves, Gowalla and Yelp2018", "cosine_{dataset}", best_curve),
    Claim("C15", "Appendix C.2, Figure 7", "at usual batch sizes the expected norm change separates by degree",
          "heat map", "theory", from_theory(theory_claims.claim_c15), ("",)),
    Claim("C16", "Appendices C.3 and C.4", "batched decay and many negatives remove the asymmetry",
          "identities", "theory", from_theory(theory_claims.claim_c16), ("",)),
    Claim("C17", "Appendix C.5",
          "dot product and Euclidean distance give no sign guarantee; SSM with a perceptron washes PRISM's norms out,"
          " DirectAU keeps them", "identities; an explanation", "rq3_prism_{dataset}", norms_kept,
          ("", *PAPER_DATASETS)),
    Claim("C18", "Appendix D.4, Figure 11", "non-linear MF depends on decay as MF does",
          "curves", "nonlinear_mf_{dataset}", from_runs(nonlinear, "rq1-nonlinear")),
    Claim("C19", "Sections 4.2 and 5.1",
          "with PRISM no access to the full tables is needed, so sparse updates are possible",
          "claimed, not measured", "use_prism", from_theory(theory_claims.claim_c19), ("",)),
    Claim("C20", "Table 2", "sizes of the datasets", "table", "datasets", identity_card),
)
# fmt: on
