"""The experiments as data: each departure of the released code shown by one pair of runs; what is compared is fair."""

from __future__ import annotations

import os
from dataclasses import fields, replace

import pytest
import torch

from prismbook.plan.config import PROTOCOLS, RunConfig
from prismbook.plan.experiments import (
    ALL_DECAYS,
    COLLAPSE,
    CRITICAL_DECAYS,
    EXPERIMENTS,
    SWITCHES,
    configs,
    grid_configs,
    protocol_pairs,
    searches,
    switch_pairs,
)
from prismbook.plan.grid import LRS
from prismbook.plan.hyperparameters import LOSS_GRIDS, TUNED, TUNED_FOR_PRISM, tuned_parameters
from prismbook.runs import sweep_commands
from prismbook.runs.priorities import experiments_of
from prismbook.runs.records import default_results
from prismbook.runs.tuning import outcome_of, validation_score
from prismbook.tables.decay_vs_prism import pair
from prismlib import datasets, random_split
from prismlib.theory import bpr_critical_decay


def differing(first: RunConfig, second: RunConfig) -> dict[str, object]:
    """Fields in which two configurations differ, with the second's values."""
    names = [field.name for field in fields(RunConfig)]
    return {name: getattr(second, name) for name in names if getattr(first, name) != getattr(second, name)}


@pytest.mark.parametrize("dataset", ["movielens1m", "gowalla", "synthetic"])
@pytest.mark.parametrize("name", SWITCHES)
def test_the_two_runs_of_a_switch_differ_in_the_switch_alone(name: str, dataset: str) -> None:
    text, released = switch_pairs(dataset)[name]
    assert differing(text, released) == SWITCHES[name][1]
    assert len(SWITCHES[name][1]) == 1
    # the text's run departs in nothing else
    assert all(getattr(text, switch) != value for switch, value in PROTOCOLS["released"].items())
    assert text.dataset == dataset and text.weight_decay == 1e-6


def test_every_departure_of_the_released_code_has_a_switch() -> None:
    shown = [switch for _, switch in SWITCHES.values()]
    switches = {name: value for switch in shown for name, value in switch.items()}
    # the two that are numbers of one loss are no switches of the protocol
    set_with_their_loss = {"num_negatives": 20, "macr_c": 1.0}
    set_with_their_loss |= {"macr_alpha": 1e-3, "macr_start": "normal"}
    assert switches == PROTOCOLS["released"] | set_with_their_loss
    assert len(shown) == len(switches)


def test_switches_can_be_shown_smaller_and_on_another_device() -> None:
    for text, released in switch_pairs("synthetic", "smoke", dim=8, epochs=3, device="cuda").values():
        for config in (text, released):
            assert (config.dim, config.max_epochs, config.device) == (8, 3, "cuda")


def test_the_experiment_of_the_switches_trains_the_pairs() -> None:
    pairs = switch_pairs("movielens1m")
    assert list(pairs) == list(SWITCHES)
    assert set(configs("switches", "movielens1m")) == {config for pair in pairs.values() for config in pair}


@pytest.mark.parametrize("experiment", [*EXPERIMENTS, "table1"])
def test_no_run_on_published_data_is_cut_off_before_the_papers_1000_epochs(experiment: str) -> None:
    for dataset in ("movielens1m", "gowalla"):
        assert {config.max_epochs for config in configs(experiment, dataset)} == {1000}


@pytest.mark.parametrize("budget", ["lean", "paper"])
def test_epochs_of_prism_and_decay_are_compared_without_cutting_either_off(budget: str) -> None:
    prism, decay = (configs(name, "gowalla", budget) for name in ("rq4", "rq4-decay"))
    assert {config.max_epochs for config in prism + decay} == {1000}
    assert {(config.init, config.weight_decay) for config in prism} == {("prism", 0.0)}
    assert sorted({config.alpha for config in prism}) == [0, 0.25, 0.5, 0.75, 1]
    assert {config.init for config in decay} == {"xavier"} and any(config.weight_decay > 0 for config in decay)
    # they differ in the start and the decay alone
    plain = {replace(config, init="xavier", alpha=None, weight_decay=0.0) for config in prism + decay}
    assert len(plain) == len({config.seed for config in prism + decay})


@pytest.mark.parametrize(("experiment", "dataset"), [("speed", "movielens1m"), ("patience", "gowalla")])
def test_what_is_not_the_papers_stands_beside_runs_of_other_experiments(experiment: str, dataset: str) -> None:
    others = {config for name in ("rq1", "rq1-losses", "table1") for config in configs(name, dataset)}
    for plain, changed in protocol_pairs(experiment, dataset):
        assert replace(plain, seed=123, split_seed=123) in others
        assert (plain.precision, plain.optimizer, plain.patience) == ("float32", "adam", 10)
        assert len(differing(plain, changed)) == 1


@pytest.mark.parametrize("dataset", ["movielens1m", "gowalla"])
def test_the_released_preset_stands_beside_the_papers_on_non_linear_mf(dataset: str) -> None:
    others = configs("table1", dataset)
    for plain, released in protocol_pairs("released", dataset):
        assert plain in others and plain.backbone == "nonlinear-mf"
        assert differing(plain, released) == PROTOCOLS["released"]


def test_synthetic_data_learns_faster_unless_told_otherwise() -> None:
    assert {config.lr for config in configs("rq1", "gowalla") + configs("rq4", "movielens1m")} == {1e-3}
    assert {config.lr for config in grid_configs("synthetic")} == {LRS["synthetic"]} == {1e-2}
    assert {config.lr for config in grid_configs("synthetic", lr=1e-3)} == {1e-3}
    assert {config.lr for pair in switch_pairs("synthetic").values() for config in pair} == {1e-2}


@pytest.mark.parametrize(("dataset", "backbone", "loss"), [*TUNED, ("movielens1m", "nonlinear-mf", "directau")])
def test_what_is_called_tuned_is_what_validation_chose_among_the_records(
    backbone: str, loss: str, dataset: str
) -> None:
    scores = {}
    for own in LOSS_GRIDS[loss]:
        found = outcome_of(default_results(), grid_configs(dataset, loss, 1e-4, backbone=backbone, **own)[0])
        if found is not None:
            scores[tuple(own.items())] = validation_score(found)
    assert len(scores) > 1
    assert dict(max(scores, key=lambda own: scores[own])) == tuned_parameters(dataset, backbone, loss)


@pytest.mark.parametrize("name", [s.name for s in searches("table1", "movielens1m") if s.name.endswith("prism")])
def test_decay_is_searched_at_what_validation_chose_for_prism_too(name: str) -> None:
    found = {search.name: search for search in searches("table1", "movielens1m")}
    backbone, loss = name.removesuffix("-prism").rsplit("-", 1)
    prism = pair("movielens1m", backbone, loss).prism
    assert prism is not None
    plain = tuned_parameters("movielens1m", backbone, loss)
    assert prism.chosen.loss_parameters == TUNED_FOR_PRISM.get(("movielens1m", backbone, loss), plain)
    decays = [
        c.weight_decay
        for c in found[f"{backbone}-{loss}-decay"].grid
        if (c.loss_parameters, c.lr) == (prism.chosen.loss_parameters, prism.chosen.lr)
    ]
    assert sorted(decays) == sorted(ALL_DECAYS)


def test_decay_is_searched_at_what_validation_prefers_for_prism_on_gowalla() -> None:
    """Non-linear DirectAU: among what was run PRISM is best at gamma 2, and every decay is planned there."""
    found = pair("gowalla", "nonlinear-mf", "directau")
    assert found.prism is not None and found.prism.chosen.gamma == 2
    assert TUNED_FOR_PRISM["gowalla", "nonlinear-mf", "directau"] == {"gamma": 2.0}
    [search] = [s for s in searches("table1", "gowalla") if s.name == "nonlinear-mf-directau-decay"]
    for rate in (1e-3, 1e-2):
        decays = [c.weight_decay for c in search.grid if (c.gamma, c.lr) == (2, rate)]
        assert sorted(decays) == sorted(ALL_DECAYS)


@pytest.mark.parametrize("dataset", CRITICAL_DECAYS)
def test_the_critical_decays_of_the_plan_are_those_of_the_data(dataset: str) -> None:
    if dataset != "synthetic" and "PRISM_DATA" not in os.environ:
        pytest.skip("PRISM_DATA names no folder with the published data")
    split = random_split(datasets.load(dataset), seed=123)
    user, item = (torch.from_numpy(side).long() for side in (split.train.user, split.train.item))
    critical = bpr_critical_decay(user, item, split.dataset.num_users, split.dataset.num_items)
    assert CRITICAL_DECAYS[dataset] == pytest.approx(critical, rel=0.03)
    below, above = COLLAPSE[dataset]
    assert below < 0.9 * critical and 1.2 * critical < above
    assert [config.weight_decay for config in configs("collapse", dataset)] == [below, above]


def test_no_collapse_is_planned_where_the_critical_decay_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert configs("collapse", "amazonbook") == []
    assert "collapse on amazonbook" not in experiments_of(["amazonbook"], "lean", "cpu")
    assert "collapse on gowalla" in experiments_of(["gowalla"], "lean", "cpu")
    assert sweep_commands.main(["run", "collapse", "--dataset", "amazonbook"]) == 1
    assert "collapse has no run on amazonbook" in capsys.readouterr().err
