"""The paper's protocol where no formula says it: starting values, defaults, published parameters, what is masked."""

import math

import pytest
import torch
from torch import Tensor

from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import grid_configs
from prismbook.runs import run as run_module
from prismbook.runs.records import planned
from prismbook.runs.run import run
from prismlib import MF, SSM, FullRanking, fit, popularity_groups, random_split, synthetic

QUICK = RunConfig(dataset="synthetic", loss="bpr", dim=4, max_epochs=1)


def test_tables_start_xavier_uniform() -> None:
    model = MF(500, 300, dim=64, generator=torch.Generator().manual_seed(0))
    for table in (model.user.weight, model.item.weight):
        bound = math.sqrt(6 / sum(table.shape))
        assert 0.99 * bound < table.abs().max() <= bound
        assert table.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert abs(table.mean()) < 0.02 * bound


def test_defaults_are_the_papers() -> None:
    config = RunConfig(dataset="gowalla", loss="bpr")
    assert (config.dim, config.max_epochs, config.patience, config.seed, config.split_seed) == (64, 1000, 10, 123, 123)
    loss_parameters = {"bpr": {}, "ssm": {"tau": 0.2, "num_negatives": 10}}
    loss_parameters |= {"directau": {"gamma": 1}, "mawu": {"gamma_user": 1, "gamma_item": 1}}
    sizes = [
        RunConfig(dataset="gowalla", loss=loss, **parameters).batch_size for loss, parameters in loss_parameters.items()
    ]
    assert sizes == [16384, 16384, 4096, 4096]


def test_losses_have_their_published_parameters_and_decay_its_grid() -> None:
    [ssm, gowalla, mawu] = grid_configs("gowalla", ["ssm", "directau", "mawu"], 0)
    assert (ssm.tau, ssm.num_negatives, gowalla.gamma) == (0.2, 10, 5)
    assert (mawu.gamma_user, mawu.gamma_item) == (2.6, 1.4)
    [directau, mawu] = grid_configs("yelp2018", ["directau", "mawu"], 0)
    assert (directau.gamma, mawu.gamma_user, mawu.gamma_item) == (1, 0.8, 0.6)
    decays = [config.weight_decay for config in grid_configs("yelp2018", "bpr")]
    assert decays == [0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4]


def test_prism_scales_both_tables_by_training_popularity(monkeypatch: pytest.MonkeyPatch) -> None:
    split, seen = random_split(synthetic(), QUICK.split_seed), []

    def spy(weight: Tensor, popularity: Tensor, alpha: float) -> None:
        seen.append((len(weight), popularity.tolist(), alpha))

    monkeypatch.setattr(run_module, "prism_", spy)
    run(planned(RunConfig(**{**vars(QUICK), "init": "prism", "alpha": 0.5}), split=split))
    counts = [
        torch.bincount(torch.from_numpy(ids), minlength=size).tolist()
        for ids, size in zip(split.train, (600, 500), strict=True)
    ]
    assert seen == [(600, counts[0], 0.5), (500, counts[1], 0.5)]


def test_validation_masks_training_and_the_test_masks_both(monkeypatch: pytest.MonkeyPatch) -> None:
    split, seen = random_split(synthetic(), QUICK.split_seed), []

    class Spy(FullRanking):
        def __init__(self, held_out, masked, groups, **rest):  # type: ignore[no-untyped-def]
            seen.append([id(held_out), *(id(part) for part in masked)])
            super().__init__(held_out, masked, groups, **rest)

    monkeypatch.setattr(run_module, "FullRanking", Spy)
    run(planned(QUICK, split=split))
    train, validation, test = id(split.train), id(split.validation), id(split.test)
    assert {tuple(parts) for parts in seen} == {(validation, train), (test, train, validation)}


@pytest.mark.parametrize("num_negatives", [10, 20])
def test_ssm_gets_as_many_negatives_as_it_asks_for(num_negatives: int) -> None:
    widths = set()

    class Spy(SSM):
        def from_scores(self, scores: Tensor) -> Tensor:
            widths.add(scores.shape[1])
            return super().from_scores(scores)

    split = random_split(synthetic(200, 100, 2500), seed=0)
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    ranking = FullRanking(split.validation, [split.train], groups, num_users=200)
    fit(MF(200, 100, dim=4), Spy(num_negatives=num_negatives), split.train, ranking, max_epochs=1)
    assert widths == {1 + num_negatives}
