"""What the stored runs say that the paper does not: each finding as text, judged on every dataset with runs.

A finding is said only where the runs bear it out by the rules of :mod:`prismbook.tables.rules`. What decides each is in
:mod:`prismbook.claims.finding_evidence`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prismbook.claims import finding_evidence as evidence
from prismbook.claims.statements import Statement
from prismbook.plan.experiments import PAPER_DATASETS
from prismbook.runs.reading import reading_once
from prismbook.runs.records import default_results
from prismbook.tables.endings import EARLY
from prismbook.tables.labels import dataset_name
from prismbook.tables.rules import RULES, Rules
from prismbook.text import listed_names


@dataclass(frozen=True)
class Finding:
    """What the stored runs may say that the paper does not.

    Attributes:
        id: a short name.
        title: the finding in one sentence, without its datasets.
        meaning: what follows from it where it holds, and what the runs do not tell.
        claims: ids of the paper's claims that it concerns.
        page: the page of the book with the evidence.
        evidence: from a dataset, the folder of the records and rules to statements with their numbers.
    """

    id: str
    title: str
    meaning: str
    claims: tuple[str, ...]
    page: str
    evidence: Callable[[str, Path, Rules], list[Statement]]

    def judged(self, results: Path | str | None = None, rules: Rules = RULES) -> JudgedFinding:
        """The finding on every dataset of the paper with a folder of records.

        Args:
            results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
            rules: those that make a word of a difference.
        """
        folder = default_results() if results is None else Path(results)
        names = [dataset for dataset in PAPER_DATASETS if (folder / dataset).is_dir()]
        return JudgedFinding(self, {dataset: tuple(self.evidence(dataset, folder, rules)) for dataset in names})


# fmt: off
#: Every finding, in the order in which the page of findings has them.
FINDINGS = (
    Finding("discarded-relu",
            "With DirectAU on non-linear MF, at one gamma and one decay, PRISM is behind weight decay with the paper's"
            " ReLU, and ahead of it in the released code, which discards the ReLU",
            "Neither the gamma nor the weight decay was searched here, and at gamma 1 the sign with the ReLU may be"
            " another: each dataset's last number says which. The released code also does not shuffle batches again."
            " The two switches were not turned one by one: that the ReLU is the cause is not shown.",
            ("C9",), "switches", evidence.discarded_relu),
    Finding("ssm-without-decay",
            f"On some data SSM loses less than {100 * RULES.margin:g} % of NDCG@20 without weight decay",
            "The paper says that good results typically need careful tuning of weight decay, regardless of the loss."
            " Where SSM does lose some, its lengths may be why, and not its directions: the page of RQ1 ranks the runs"
            " without decay by cosine too.",
            ("C21",), "rq1_weight_decay", evidence.ssm_needs_no_decay),
    Finding("dips",
            f"A patience of 10 ends runs in a dip within their first {EARLY} epochs, and with more patience"
            " they climb above it",
            "Scores of such runs say more of the stopping rule than of the method, and a search among them may choose"
            " by where they stopped.",
            ("C8", "C9", "C10"), "rq3_patience", evidence.stopped_in_dips),
    Finding("learning-rate",
            "The learning rate decides whether PRISM needs fewer epochs than weight decay",
            "At the larger rate neither method was tuned again. One explanation: Adam turns a long row slowly, PRISM"
            " starts popular items with long rows, and a larger learning rate shortens that start.",
            ("C11",), "rq4_benefits", evidence.learning_rate_decides_epochs),
    Finding("gamma",
            "DirectAU is near the paper's Table 1 at gamma 1, and above it at the gamma that validation chooses",
            f"Near means within {evidence.NEAR:.0%}. The paper does not say which gamma it chose. Other differences,"
            " such as which ratings of the dataset are used, move the level too.",
            ("C8",), "rq3_search", evidence.gamma_and_the_level),
    Finding("weak-decay",
            f"The weakest decay within {100 * RULES.margin:g} % of the best on validation is fairer than PRISM at its"
            " default alpha of 1, and ranks no worse than PRISM",
            "Tuned decay may rank higher than that decay on the test set."
            " Alpha 1 was not picked so: it is PRISM's default. C12 has the alpha of the best validation score. The"
            " last numbers give alpha the decay's rule, and then the decay need not be the fairer one. C13"
            " compares the knobs near the best of both, and not of each.",
            ("C12", "C13"), "debiasing", evidence.weak_decay_is_fairer),
    Finding("departures",
            "The released code departs from the paper's text, and some departures alone change NDCG@20",
            "A score of the released code is not a score of the method in the text. Each departure is a switch of a"
            " run's configuration, and all else is alike in both runs, of one seed. Of"
            " MACR's c the text says nothing: there the other side is what its own authors publish.",
            (), "switches", evidence.released_code_departs),
)
# fmt: on


@dataclass(frozen=True)
class JudgedFinding:
    """A finding with what the stored runs say of it.

    Attributes:
        finding: the finding.
        statements: those on each dataset with runs, by the dataset's name. The finding holds where one of them does.
    """

    finding: Finding
    statements: dict[str, tuple[Statement, ...]]

    def datasets(self) -> list[str]:
        """The names of the datasets on which it holds, in the order of the paper."""
        return [dataset_name(dataset) for dataset, judged in self.statements.items() if any(s.holds for s in judged)]

    @property
    def shown(self) -> bool:
        """Whether it holds on a dataset."""
        return bool(self.datasets())

    @property
    def status(self) -> str:
        """Where the stored runs show it, as text."""
        if not self.shown:
            return "Not shown by the stored runs"
        ringed = {
            dataset_name(dataset): all(each.provisional for each in judged if each.holds)
            for dataset, judged in self.statements.items()
        }
        text = (
            f"Shown on {listed_names([f'{name} (provisional)' if ringed[name] else name for name in self.datasets()])}"
        )
        others: dict[str, list[str]] = {"not on": [], "left open on": [], "not run on": []}
        for dataset, judged in self.statements.items():
            if dataset_name(dataset) not in self.datasets():
                failed, unclear = any(s.holds is False for s in judged), any(s.undecided for s in judged)
                others["not on" if failed else "left open on" if unclear else "not run on"].append(dataset)
        for start, names in others.items():
            if names:
                text += f"; {start} {listed_names([dataset_name(name) for name in names])}"
        return text


@reading_once()
def findings(results: Path | str | None = None, rules: Rules = RULES) -> list[JudgedFinding]:
    """All findings, judged, in the order of the book.

    Args:
        results: folder of the records; None is the one of :func:`~prismbook.runs.records.default_results`.
        rules: those that make a word of a difference.

    >>> [each.shown for each in findings("no folder")] == [False] * len(FINDINGS)
    True
    """
    return [finding.judged(results, rules) for finding in FINDINGS]
