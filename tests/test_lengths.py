"""Lengths at scoring: what they are, that users' lengths do not matter, and what a run keeps of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from prismbook.plan.config import RunConfig
from prismbook.runs.attempts import get_records
from prismbook.runs.records import stored_path
from prismlib import MF, DirectAU, FullRanking, fit, popularity_groups, prism_norm, random_split, synthetic
from prismlib.lengths import EXPONENTS, choose_exponent, popularity_power, with_lengths

SPLIT = random_split(synthetic(300, 200, 6000, seed=1), seed=1)
POPULARITY = torch.from_numpy(SPLIT.item_popularity)
VALIDATION = FullRanking(SPLIT.validation, [SPLIT.train], popularity_groups(POPULARITY), num_users=300)


def tables() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(300, 8, generator=generator), torch.randn(200, 8, generator=generator)


def test_rows_get_the_lengths_and_keep_their_directions() -> None:
    _, item = tables()
    given = with_lengths(item, prism_norm(POPULARITY))
    assert torch.allclose(given.norm(dim=1), prism_norm(POPULARITY))
    assert torch.allclose(torch.cosine_similarity(given, item), torch.ones(200))


def test_exponent_zero_ranks_by_cosine_and_lengths_of_users_change_nothing() -> None:
    user, item = tables()
    flat = with_lengths(item, popularity_power(POPULARITY, 0.0))
    assert torch.equal(VALIDATION.lists(user, flat)["dot"], VALIDATION.lists(user, item)["cosine"])
    powered = with_lengths(item, popularity_power(POPULARITY, 0.25))
    longer = with_lengths(user, torch.arange(1.0, 301.0))
    assert torch.equal(VALIDATION.lists(longer, powered)["dot"], VALIDATION.lists(user, powered)["dot"])


def test_the_exponent_is_the_one_that_validation_ranks_best() -> None:
    user, item = tables()
    scores = {
        b: VALIDATION(user, with_lengths(item, popularity_power(POPULARITY, b)))["dot"]["ndcg"] for b in EXPONENTS
    }
    assert choose_exponent(user, item, POPULARITY, VALIDATION) == max(scores, key=lambda b: scores[b])
    assert len(set(scores.values())) > 1


def trained(lengths: torch.Tensor | None) -> tuple[MF, list[float]]:
    model = MF(300, 200, dim=8, generator=torch.Generator().manual_seed(0))
    options = {"lr": 1e-2, "batch_size": 1024, "max_epochs": 4, "patience": 4, "lengths": lengths}
    history = fit(model, DirectAU(1.0), SPLIT.train, VALIDATION, **options)
    return model, history.validation_dot


def test_fit_validates_with_the_lengths_that_it_is_given_and_takes_the_same_steps() -> None:
    lengths = popularity_power(POPULARITY, 0.25)
    (_, own), (model, weighted) = trained(None), trained(lengths)
    assert own != weighted
    user, item = model.embeddings()
    assert max(weighted) == pytest.approx(VALIDATION(user, with_lengths(item, lengths))["dot"]["ndcg"])


@pytest.mark.parametrize(
    "lengths", [torch.ones(199), torch.zeros(200), torch.full((200,), torch.nan), -torch.ones(200)]
)
def test_lengths_that_are_none_are_refused_before_training(lengths: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="lengths must"):
        trained(lengths)
    with pytest.raises(ValueError, match="lengths must"):
        with_lengths(torch.ones(200, 2), lengths)


@pytest.mark.parametrize("exponent", [-0.1, torch.inf, "1", None])
def test_exponents_that_are_none_are_refused(exponent: float) -> None:
    with pytest.raises(ValueError, match="exponent must be"):
        popularity_power(POPULARITY, exponent)
    with pytest.raises(ValueError, match="exponents is empty"):
        choose_exponent(*tables(), POPULARITY, VALIDATION, exponents=())


def test_a_models_own_table_with_lengths_can_go_to_numpy() -> None:
    table = torch.nn.Parameter(torch.ones(2, 3))
    assert with_lengths(table, [1.0, 2.0]).numpy().shape == (2, 3) and table.requires_grad


def test_a_run_keeps_what_it_scores_with_each_exponent_and_the_lengths_of_all_rows(tmp_path: Path) -> None:
    config = RunConfig("synthetic", "directau", gamma=1.0, lr=1e-2, max_epochs=2, length_exponent=0.25)
    (record,) = get_records([config], tmp_path, progress=False)
    assert record is not None
    kept = record["lengths"]
    assert kept["exponents"] == pytest.approx(EXPONENTS)
    validation = [mean["ndcg"] for mean in kept["validation"]]
    assert kept["chosen"] == pytest.approx(EXPONENTS[int(np.argmax(validation))])
    quarter = EXPONENTS.index(0.25)
    assert validation[quarter] == pytest.approx(max(record["history"]["validation_dot"]), abs=2e-7)
    # near ties aside, which unit rows that are rounded order anew
    assert kept["test"][0]["ndcg"] == pytest.approx(record["test"]["cosine"]["ndcg"], abs=1e-4)
    with np.load(stored_path(tmp_path, config).with_suffix(".npz")) as arrays:
        best = int(np.argmax(validation))
        assert arrays["with_lengths"].mean(0).sum() == pytest.approx(kept["test"][best]["ndcg"], abs=1e-6)
        norm = arrays["item_norm"].astype(float)
        assert len(norm) == 500 and len(arrays["user_norm"]) == 600
    bins = record["norms"]["item"]["bins"]
    assert norm.mean() == pytest.approx(sum(b["mean"] * b["rows"] for b in bins) / 500, rel=1e-3)
