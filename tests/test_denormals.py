"""Numbers below float32's full precision count as zero while training, and only then."""

from __future__ import annotations

import pytest
import torch

from prismlib import BPR, MF, popularity_groups, random_split, synthetic
from prismlib._device import denormals_are_kept, flushed_denormals
from prismlib.ranking import FullRanking
from prismlib.train import History, fit

TINY = torch.tensor([2.0**-130])


def test_inside_they_are_zero_and_afterwards_what_they_were() -> None:
    assert denormals_are_kept()
    with flushed_denormals():
        assert not denormals_are_kept() and not (TINY * 1).any()
        with flushed_denormals():
            pass
        assert not denormals_are_kept()
    assert denormals_are_kept() and (TINY * 1).all()


def test_an_error_inside_restores_them() -> None:
    with pytest.raises(KeyError), flushed_denormals():
        raise KeyError
    assert denormals_are_kept()


def test_training_flushes_them() -> None:
    split = random_split(synthetic(60, 40, 600), seed=0)
    ranking = FullRanking(
        split.validation, [split.train], popularity_groups(torch.from_numpy(split.item_popularity)), num_users=60
    )
    seen: list[bool] = []

    def look(history: History) -> None:
        seen.append(denormals_are_kept())

    model = MF(60, 40, dim=4)
    # in the backward pass too, which could have a thread of its own
    model.user.weight.register_hook(lambda gradient: seen.append(denormals_are_kept()))
    fit(model, BPR(), split.train, ranking, max_epochs=1, on_epoch=look)
    assert seen and not any(seen)
    assert denormals_are_kept()
