"""The paper's claims C1 to C23, in our words: where it makes them, its figure, and what decides each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prismbook.claims import decay_claims, prism_claims, table1_claims, theory_claims
from prismbook.claims.evidence import (
    Evidence,
    Judge,
    curves_at_the_best_decay,
    epochs_needed,
    from_pairs,
    from_runs,
    from_theory,
    known,
    linear_mf,
    norms_kept,
    sizes_of,
    sparse_updates,
    tuning_needed,
)
from prismbook.claims.statements import Statement
from prismbook.plan.experiments import PAPER_DATASETS, SEEDS
from prismbook.tables.rules import MEASURES

#: A claim can be about runs, about mathematics that is computed on the spot, or about the size of a dataset.
KINDS = ("measurement", "identity", "dataset size")


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        id: C1 to C23.
        place: where the paper makes it.
        text: the claim in our words.
        paper: the figure that the paper gives.
        page: the page of the book with the experiment.
        evidence: from a dataset and a folder of records.
        datasets: those that the claim speaks of; ``("",)`` where it is about none.
        needs_records: whether the evidence on a dataset is read from its records. False: it is computed on the spot,
            or read from the dataset's card.
        kind: one of :data:`KINDS`. A claim about no dataset is an identity there, whatever it is elsewhere.
    """

    id: str
    place: str
    text: str
    paper: str
    page: str
    evidence: Judge
    datasets: tuple[str, ...] = PAPER_DATASETS
    needs_records: bool = True
    kind: str = "measurement"

    def judged(self, dataset: str, results: Path) -> Evidence:
        """The evidence on a dataset.

        A dataset without records leaves the claim open. Its content hash, which it may lack, is then not asked for.

        Args:
            dataset: name of the dataset; empty where the claim is about none.
            results: folder of the records.
        """
        if self.needs_records and dataset and not (results / dataset).is_dir():
            return known([Statement("no run on this dataset is stored", None)])
        return self.evidence(dataset, results)


# fmt: off
CLAIMS = (
    Claim("C1", "Section 3.1.1, Figure 1",
          "DirectAU on MF depends strongly on weight decay (under Adam); with too weak a decay it falls below BPR",
          "order of the curves, MovieLens1M and Gowalla", "rq1_weight_decay",
          from_runs(decay_claims.claim_c1, "rq1", seeds=SEEDS), ("movielens1m", "gowalla")),
    Claim("C2", "Section 3.1.1, Figures 1 and 10",
          "a stronger decay widens the gap between popular and unpopular items, for all losses; BPR's is less"
          " pronounced than DirectAU's",
          "monotone trend", "rq1_weight_decay",
          from_runs(decay_claims.claim_c2, "rq1", "rq1-losses", seeds=SEEDS)),
    Claim("C3", "Section 3.1.2, Figure 2",
          "item norms follow log popularity under moderate decay, for BPR and DirectAU, and carry little of it without",
          "correlation high, then low", "rq2_norms",
          from_runs(decay_claims.claim_c3, "rq2", seeds=SEEDS)),
    Claim("C4", "Section 3.2, Equation 2",
          "an item of d interactions is in the batch with probability 1 - (1 - b)^d, b the batch's share of all",
          "identity", "theory", from_theory(theory_claims.claim_c4), ("",), needs_records=False),
    Claim("C5", "Section 3.2, Equation 3",
          "under plain SGD decay shortens, the ranking loss lengthens, the batch probability mixes",
          "identity and signs", "theory", from_theory(theory_claims.claim_c5), ("",), needs_records=False),
    Claim("C6", "Section 4.1.1, Figure 3",
          "decay on the batch's rows alone performs like no decay, and norms lose popularity",
          "curves coincide", "batched_decay",
          from_runs(decay_claims.claim_c6, "cosine", "batched", seeds=SEEDS)),
    Claim("C7", "Section 4.1.2, Figure 8",
          "LightGCN's performance is relatively consistent over weight decay, and changes less than MF's (DirectAU)",
          "flat curves", "lightgcn", from_runs(decay_claims.claim_c7, "lightgcn", "cosine", seeds=SEEDS),
          ("gowalla", "yelp2018")),
    Claim("C8", "Table 1",
          "on linear MF PRISM without decay changes NDCG@20 from tuned decay's as Table 1 says, within"
          f" {100 * MEASURES['cell'].margin:g} points",
          "mean change 0.12 %, largest gain 4.77 %", "rq3_prism",
          linear_mf, (*PAPER_DATASETS, "")),
    Claim("C9", "Table 1", "on non-linear MF with DirectAU and MAWU PRISM beats tuned decay", "mean +8.59 %",
          "rq3_prism", from_pairs(table1_claims.claim_c9, "nonlinear-mf", ("directau", "mawu"))),
    Claim("C10", "Table 1", "on non-linear MF with SSM PRISM falls short of tuned decay", "mean -21.61 %",
          "rq3_prism", from_pairs(table1_claims.claim_c10, "nonlinear-mf", ("ssm",))),
    Claim("C11", "Section 5.2.1, Figure 4",
          "with some alpha PRISM needs fewer epochs than tuned decay, at comparable quality",
          "mean -38.48 %, Gowalla 249 to 125", "rq4_benefits",
          epochs_needed),
    Claim("C12", "Section 5.2.2, Figure 5",
          "PRISM's best model is fairer than tuned decay's, and as good",
          "unpopular/popular ratio +75.98 %, NDCG +1.7 %", "rq4_benefits",
          from_runs(prism_claims.claim_c12, "rq4", "rq4-decay", seeds=SEEDS, patient_runs=False)),
    Claim("C13", "Appendix D.2, Figure 9",
          "DirectAU with PRISM has a better unpopular/popular ratio than BPR, ReSN, IPL and MACR, at a higher NDCG, and"
          " it is PRISM that brings the ratio",
          "scatter", "debiasing", from_runs(prism_claims.claim_c13, "debias", "rq1", "rq4", seeds=SEEDS)),
    Claim("C14", "Appendix B.5, Figure 6",
          "validation by cosine saturates early, validation by dot product keeps rising (DirectAU)",
          "curves, Gowalla and Yelp2018", "cosine", curves_at_the_best_decay),
    Claim("C15", "Appendix C.2, Figure 7",
          "at usual batch sizes the expected norm change separates by degree, under plain SGD",
          "heat map", "theory", from_theory(theory_claims.claim_c15), ("",), needs_records=False),
    Claim("C16", "Appendices C.3 and C.4",
          "batched decay removes the asymmetry of sign; as many distinct negatives as items remove it as a whole",
          "identities", "theory", from_theory(theory_claims.claim_c16), ("",), needs_records=False),
    Claim("C17", "Appendix C.5",
          "dot product and Euclidean distance give no sign guarantee; SSM with a perceptron washes PRISM's norms out,"
          " DirectAU keeps them", "identities; an explanation", "rq3_prism", norms_kept,
          ("", *PAPER_DATASETS)),
    Claim("C18", "Appendix D.4, Figure 11", "on non-linear MF too, decay widens the gap, and performance hangs on it",
          "curves", "nonlinear_mf", from_runs(decay_claims.claim_c18, "rq1-nonlinear", seeds=SEEDS)),
    Claim("C19", "Section 5.1",
          "with PRISM no access to the full tables is needed, so sparse updates are possible",
          "claimed, not measured", "scale", sparse_updates, ("", "movielens1m", "gowalla")),
    Claim("C20", "Table 2", "sizes of the datasets", "table", "datasets", sizes_of, needs_records=False,
          kind="dataset size"),
    Claim("C21", "Abstract",
          "high performance typically needs careful tuning of weight decay, regardless of the loss (under Adam)",
          "a sentence",
          "rq1_weight_decay", tuning_needed),
    Claim("C22", "Section 4.1.2", "BPR's changes with weight decay are small, compared with DirectAU's (under Adam)",
          "a sentence",
          "rq1_weight_decay", from_runs(decay_claims.claim_c22, "rq1", seeds=SEEDS)),
    Claim("C23", "Abstract", "weight decay is a coarse, non-linear knob on popularity bias",
          "a sentence",
          "rq4_benefits", from_runs(prism_claims.claim_c23, "rq4", "rq4-decay", seeds=SEEDS)),
)
# fmt: on
