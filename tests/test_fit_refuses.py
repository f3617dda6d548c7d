"""Tables that are not plain parameters: what is asked for is done, or refused in one line before any training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from prismlib import (
    BPR,
    MAWU,
    MF,
    Backbone,
    FullRanking,
    History,
    LightGCN,
    NonLinearMF,
    RankingLoss,
    fit,
    popularity_groups,
    random_split,
    synthetic,
    train_step,
)
from prismlib.optim import OPTIMIZERS, make_optimizer

USERS, ITEMS = 60, 50
SPLIT = random_split(synthetic(USERS, ITEMS, 700), seed=3)
RANKING = FullRanking(SPLIT.validation, SPLIT.train, popularity_groups(SPLIT.item_popularity), USERS)


class Twice(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def mf(**options: Any) -> MF:
    return MF(USERS, ITEMS, 8, torch.Generator().manual_seed(0), **options)


def trained(model: Backbone, criterion: RankingLoss | None = None, **options: Any) -> History:
    rest = {"batch_size": 200, "max_epochs": 2, **options}
    return fit(model, criterion or BPR(), SPLIT.train, RANKING, **rest)


class OtherNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(USERS, 8), nn.Embedding(ITEMS, 8)


def test_a_model_without_the_named_tables_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model has no table 'user', an nn.Embedding, got OtherNames"):
        trained(OtherNames())  # type: ignore[arg-type]


def normed(table: nn.Embedding) -> None:
    parametrizations.weight_norm(table, dim=0)


def doubled(table: nn.Embedding) -> None:
    parametrize.register_parametrization(table, "weight", Twice())


@pytest.mark.parametrize("computed", [normed, doubled])
@pytest.mark.parametrize("name", ["user", "item"])
def test_a_decay_of_the_batchs_rows_is_applied_or_refused(computed: Callable[[nn.Embedding], None], name: str) -> None:
    model = mf()
    computed(getattr(model, name))
    with pytest.raises(ValueError, match=f"'batch' needs tables .* model.{name}.weight is parametrised: take"):
        trained(model, weight_decay=0.1, decay_scope="batch")
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    pairs = torch.tensor([0, 1]), torch.tensor([2, 0])
    with pytest.raises(ValueError, match="'batch' needs tables that are parameters"):
        train_step(model, BPR(), sgd, *pairs, num_items=ITEMS, generator=torch.Generator(), batch_decay=0.1)
    without = trained(model, weight_decay=0.0, decay_scope="batch").loss  # nothing is asked for
    other = mf()
    computed(getattr(other, name))
    assert trained(other, weight_decay=0.5, decay_scope="table").loss != without  # and all parameters can decay


def old_weight_norm(table: nn.Embedding) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(table)


@pytest.mark.parametrize("hooked", [old_weight_norm, lambda table: prune.l1_unstructured(table, "weight", 0.3)])
@pytest.mark.parametrize(
    "make", [mf, lambda: NonLinearMF(USERS, ITEMS, 8), lambda: LightGCN(USERS, ITEMS, SPLIT.train)]
)
def test_tables_that_a_hook_computes_are_refused(hooked: Any, make: Callable[[], Backbone]) -> None:
    model = make()
    hooked(model.item)
    with pytest.raises(ValueError, match=r"^model\.item\.weight is computed by a hook"):
        trained(model)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_constants_that_vanish_in_the_parameters_dtype_are_refused(name: str) -> None:
    model = mf(sparse=name in ("sparse_adam", "row_adam")).half()
    if name.startswith("sgd"):
        make_optimizer(name, [model], lr=0.1, weight_decay=0.1)
        for scope in ("table", "batch"):
            with pytest.raises(ValueError, match=r"weight_decay of optimizer='sgd.*' is 1e-09, which is 0 in float16"):
                make_optimizer(name, [model], lr=0.1, weight_decay=1e-9, decay_scope=scope)
        with pytest.raises(ValueError, match="lr of optimizer="):
            make_optimizer(name, [model], lr=1e-9)
        return
    with pytest.raises(ValueError, match=f"epsilon of optimizer='{name}' is 1e-08, which is 0 in float16"):
        trained(model, optimizer=name)
    make_optimizer(name, [model.bfloat16()], lr=1e-3)  # whose range is float32's


def test_constants_are_looked_at_in_every_part() -> None:
    with pytest.raises(ValueError, match="epsilon"):
        trained(NonLinearMF(USERS, ITEMS, 8).half())
    with pytest.raises(ValueError, match="epsilon"):
        trained(LightGCN(USERS, ITEMS, SPLIT.train, 8).half())
    with pytest.raises(ValueError, match="epsilon"):
        trained(mf(), MAWU(USERS, ITEMS).half())


def test_fit_trains_whatever_the_callers_mode_of_gradients_is() -> None:
    expected = trained(mf()).loss
    for mode in (torch.no_grad(), torch.inference_mode()):
        model = mf()
        with mode:
            assert trained(model).loss == expected


def test_what_was_made_under_inference_mode_is_refused() -> None:
    with torch.inference_mode():
        model, criterion = mf(), MAWU(USERS, ITEMS)
    with pytest.raises(ValueError, match=r"^model\.user\.weight was made under torch.inference_mode"):
        trained(model)
    with pytest.raises(ValueError, match=r"^criterion\.user_margin was made under torch.inference_mode"):
        trained(mf(), criterion)


@pytest.mark.parametrize("option", [{"padding_idx": 0}, {"max_norm": 1.0}, {"scale_grad_by_freq": True}])
@pytest.mark.parametrize(
    "make", [mf, lambda: NonLinearMF(USERS, ITEMS, 8), lambda: LightGCN(USERS, ITEMS, SPLIT.train, 8)]
)
@pytest.mark.parametrize("criterion", [BPR, lambda: MAWU(USERS, ITEMS)])
def test_an_embedding_that_does_more_than_give_rows_is_refused(
    option: dict[str, Any], make: Callable[[], MF], criterion: Callable[[], RankingLoss]
) -> None:
    for name, rows in (("user", USERS), ("item", ITEMS)):
        model = make()
        setattr(model, name, nn.Embedding(rows, 8, **option))
        with pytest.raises(ValueError, match=f"^{next(iter(option))} must be"):
            trained(model, criterion())
