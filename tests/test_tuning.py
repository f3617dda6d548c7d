"""Searches that go on by themselves: beyond an edge, the two best at all seeds, and patient runs after a dip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import made_up, store

from prismbook.claims import decay_claims, table1_claims
from prismbook.claims.statements import percent_and_seeds
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import BUDGETS, Search, grid_configs, searches
from prismbook.runs import patience, priorities, tuning
from prismbook.runs.cost import Costs, kind
from prismbook.runs.records import default_results, stored_path
from prismbook.runs.sweep import Sweep, plan
from prismbook.tables import analysis, decay_vs_prism
from prismbook.tables.endings import edges
from prismlib import datasets

DECAYS = (0.0, 1e-5, 1e-4)
USERS = np.linspace(0.1, 0.3, 50)


def ssm(decay: float, seed: int = 123, **fields: object) -> RunConfig:
    plain = RunConfig("synthetic", "ssm", tau=0.2, num_negatives=10, weight_decay=decay, seed=seed, split_seed=seed)
    return replace(plain, **fields)  # type: ignore[arg-type]


def search(decays: tuple[float, ...] = DECAYS) -> Search:
    return Search("toy", tuple(map(ssm, decays)), (123, 246), {"weight_decay": (1e-3, 1e-2)})


def run(results: Path, config: RunConfig, validation: float, **changed: object) -> None:
    history = changed.pop("history_of_validation", [0.0] * 25 + [validation])
    store(results, made_up(config, (validation, 0, 0), history, **changed), USERS)  # type: ignore[arg-type]


def wanted(results: Path) -> list[tuple[float, int]]:
    """What the search wants and has not run: decays and seeds."""
    outcomes = tuning.stored(results)
    return [(c.weight_decay, c.seed) for c in tuning.wanted(search(), outcomes) if outcomes(c) is None]


def test_a_search_goes_on_beyond_its_edge_until_the_best_is_inside(tmp_path: Path) -> None:
    for decay, validation in zip(DECAYS, (0.1, 0.2, 0.3), strict=True):
        assert (decay, 123) in wanted(tmp_path)
        run(tmp_path, ssm(decay), validation)
    # nothing is chosen at the edge: the next value comes before the further seeds of the best
    assert (1e-3, 123) in wanted(tmp_path) and (1e-2, 123) not in wanted(tmp_path)
    run(tmp_path, ssm(1e-3), 0.4)
    assert (1e-2, 123) in wanted(tmp_path)
    run(tmp_path, ssm(1e-2), 0.35)
    grown = tuning.grown(search(), tuning.stored(tmp_path))
    assert [config.weight_decay for config in grown.grid] == [*DECAYS, 1e-3, 1e-2]
    choice = tuning.choose(grown, tuning.stored(tmp_path))
    assert choice is not None and choice.config is not None and choice.config.weight_decay == 1e-3
    assert wanted(tmp_path) == [(1e-3, 246), (1e-2, 246)] and not choice.all_seeds


def test_a_best_inside_the_grid_makes_it_grow_by_nothing(tmp_path: Path) -> None:
    for decay, validation in zip(DECAYS, (0.1, 0.3, 0.2), strict=True):
        run(tmp_path, ssm(decay), validation)
    assert tuning.grown(search(), tuning.stored(tmp_path)) == search()
    assert wanted(tmp_path) == [(1e-5, 246), (1e-4, 246)]


@pytest.mark.parametrize("best", DECAYS)
def test_a_grid_grows_exactly_where_the_rules_see_an_edge(best: float) -> None:
    at_edge = edges({"weight_decay": best}, {"weight_decay": DECAYS})
    assert bool(search().beyond_edge(ssm(best))) is bool(at_edge)


def test_a_grid_that_has_grown_as_far_as_it_can_stays_at_its_edge() -> None:
    assert search((0.0, 1e-2)).beyond_edge(ssm(1e-2)) == ()
    assert search((1e-4,)).beyond_edge(ssm(1e-4)) == ()  # of one value nothing is searched


def test_gamma_grows_in_both_directions_and_learning_rates_do_not() -> None:
    [directau] = [found for found in searches("table1", "gowalla") if found.name == "mf-directau-decay"]
    least, most, inside = (
        next(c for c in directau.grid if (c.gamma, c.weight_decay, c.lr) == (gamma, decay, 1e-2))
        for gamma, decay in ((0.2, 1e-4), (10.0, 1e-4), (5.0, 1e-5))
    )
    changes = [[(c.gamma, c.weight_decay) for c in directau.beyond_edge(c)] for c in (least, most, inside)]
    assert changes == [[(0.2, 1e-3), (0.1, 1e-4)], [(10.0, 1e-3), (20.0, 1e-4)], []]
    [prism] = [found for found in searches("table1", "gowalla") if found.name == "mf-directau-prism"]
    assert set(prism.beyond) == {"gamma"}


def test_of_the_two_best_the_mean_over_all_seeds_chooses(tmp_path: Path) -> None:
    """A choice on one seed misled MAWU on MovieLens1M: what it chose collapsed at the two others."""
    for decay, validation in zip(DECAYS, (0.1, 0.31, 0.3), strict=True):
        run(tmp_path, ssm(decay), validation)
    first = tuning.choose(search(), tuning.stored(tmp_path))
    assert first is not None and first.config == ssm(1e-5) and not first.all_seeds
    run(tmp_path, ssm(1e-5, 246), 0.01)
    run(tmp_path, ssm(1e-4, 246), 0.3)
    second = tuning.choose(search(), tuning.stored(tmp_path))
    assert second is not None and second.config == ssm(1e-4) and second.all_seeds
    assert second.validation == pytest.approx(0.3) and len(second.finals) == 4
    assert "of the two best the mean over all seeds" in tuning.report(second)["chosen_by"]
    # what was chosen is at the edge: the grid grows after all
    assert (1e-3, 123) in wanted(tmp_path)


def test_a_sweep_plans_what_its_searches_want(tmp_path: Path) -> None:
    for decay, validation in zip(DECAYS, (0.1, 0.3, 0.2), strict=True):
        known, later = plan(Sweep(list(search().grid), [search()], tmp_path))
        assert known == list(search().grid) and {c.seed for c in later} == {246} and len(later) == 2
        run(tmp_path, ssm(decay), validation)
    known, later = plan(Sweep(list(search().grid), [search()], tmp_path))
    assert later == [] and set(known) - set(search().grid) == {ssm(1e-5, 246), ssm(1e-4, 246)}


def test_the_first_learning_rate_goes_on_while_another_is_still_to_be_run(tmp_path: Path) -> None:
    both = replace(search(), grid=tuple(ssm(decay, lr=rate) for rate in (1e-3, 1e-2) for decay in DECAYS))
    for decay, validation in zip(DECAYS, (0.1, 0.3, 0.2), strict=True):
        run(tmp_path, ssm(decay), validation)
    outcomes = tuning.stored(tmp_path)
    missing = {config for config in tuning.wanted(both, outcomes) if outcomes(config) is None}
    assert missing == {ssm(1e-5, 246), ssm(1e-4, 246), *(ssm(decay, lr=1e-2) for decay in DECAYS)}


def test_what_is_stored_of_another_device_counts_in_a_sweep_of_all(tmp_path: Path) -> None:
    run(tmp_path, ssm(0.0), 0.2)
    on_gpu = ssm(0.0, device="cuda")
    assert Sweep([on_gpu], [], tmp_path).state(on_gpu)[0] == "missing"  # a run that is asked for on a GPU is that alone
    assert Sweep([on_gpu], [], tmp_path, any_device=True).state(on_gpu)[0] == "done"
    assert Sweep([on_gpu], [], tmp_path, any_device=True).outcomes()(on_gpu) is not None


def test_a_kind_that_never_ran_takes_its_time_from_like_runs() -> None:
    def took(config: RunConfig, seconds: float) -> dict[str, object]:
        return made_up(config, epochs=10, seconds={"train": seconds, "evaluate": 0.0, "cpu": 0.0})

    def hours(config: RunConfig, *records: dict[str, object]) -> float:
        expected = Costs(records, None).expected({config: 1})
        assert expected.unmeasured == [] and expected.scaled == (str(kind(config)),)
        assert expected.epochs == (10 if config.backbone == "mf" else config.max_epochs)  # of other data, at most
        return 10 * expected.hours / expected.epochs

    gowalla, yelp = (RunConfig(data, "bpr") for data in ("gowalla", "yelp2018"))
    ratio = datasets.identity_card("yelp2018").interactions / datasets.identity_card("gowalla").interactions
    assert hours(yelp, took(gowalla, 3600.0)) == pytest.approx(ratio)
    assert hours(replace(gowalla, backbone="nonlinear-mf"), took(gowalla, 3600.0)) == pytest.approx(1.0)
    gpu = replace(gowalla, device="cuda")  # no time is guessed from another class of device
    for records in ([], [took(gowalla, 3600.0)]):
        assert Costs(records, None).expected({gpu: 1}).unmeasured == ["mf with bpr"]


def test_a_run_that_ends_in_a_dip_gets_a_patient_run_that_takes_its_place(tmp_path: Path) -> None:
    for decay, validation in zip(DECAYS, (0.1, 0.3, 0.2), strict=True):
        run(tmp_path, ssm(decay), validation)
    run(tmp_path, ssm(1e-4, 246), 0.2)
    run(tmp_path, ssm(1e-5, 246), 0.1, history_of_validation=[0.0, 0.0, 0.1])
    outcomes = tuning.stored(tmp_path)
    [patient] = (
        set(tuning.wanted(search(), outcomes))
        - {config for config in search().grid}
        - {
            ssm(1e-5, 246),
            ssm(1e-4, 246),
        }
    )
    assert patient == ssm(1e-5, 246, patience=100)
    dip = tuning.choose(search(), outcomes)
    assert dip is not None and dip.config == ssm(1e-5)  # equal means over both seeds: the first
    run(tmp_path, patient, 0.5)
    waited = decay_vs_prism.method(search(), tuning.stored(tmp_path))
    assert waited is not None and waited.chosen == ssm(1e-5) and waited.with_more_patience() == [246]
    assert waited.ndcg() == pytest.approx([0.3, 0.5]) and waited.configs() == [ssm(1e-5), patient]
    assert outcomes(ssm(1e-5, 246))["id"] in waited.run_ids()  # type: ignore[index]


def curve_with_a_dip(results: Path, of_best: Sequence[float] = (0.0,) * 25 + (0.3,)) -> list[RunConfig]:
    """DirectAU without decay, which ends in a dip, and with it."""
    configs = grid_configs("synthetic", "directau", (0.0, 1e-6))
    run(results, configs[0], 0.2, history_of_validation=[0.0] * 15 + [0.2])
    run(results, configs[1], 0.3, history_of_validation=list(of_best))
    return configs


def name(results: Path, config: RunConfig) -> str:
    return stored_path(results, config).stem.rpartition("-")[2]


def test_the_patient_run_on_a_curve_counts_once_it_is_run_and_the_statement_says_so(tmp_path: Path) -> None:
    dip, best = curve_with_a_dip(tmp_path)
    table = analysis.measured(tmp_path, [dip, best])
    [before, _] = decay_claims.claim_c21(table)
    assert before.difference is not None and before.difference.by_seed == pytest.approx((0.3 / 0.2 - 1,))
    assert "patience" not in before.text and table["instead_of"].isna().all()
    run(tmp_path, patience.patient_run(dip), 0.25)
    table = analysis.measured(tmp_path, [dip, best])
    assert table["instead_of"].dropna().tolist() == [name(tmp_path, dip)]
    assert set(analysis.record_ids(table)) == {name(tmp_path, each) for each in (dip, patience.patient_run(dip), best)}
    assert table["weight_decay"].tolist() == [0.0, 1e-6] and table["best_epoch"].tolist() == [25, 25]
    assert [record and record["config"]["patience"] for record in analysis.records(table)] == [100, 10]
    assert "the second run counts, with its epochs: DirectAU at decay 0 (epoch 30)" in analysis.notes(table)
    [after, _] = decay_claims.claim_c21(table)
    assert after.difference is not None and after.difference.by_seed == pytest.approx((0.3 / 0.25 - 1,))
    assert after.text.endswith("); repeated with patience 100: DirectAU with decay 0, seed 123")
    # where epochs are compared, each run counts as patience 10 ended it
    assert analysis.measured(tmp_path, [dip, best], patient_runs=False)["best_epoch"].tolist() == [15, 25]


def test_a_patient_run_is_named_where_nothing_is_decided_too_and_only_where_it_is_compared(tmp_path: Path) -> None:
    dip, best = curve_with_a_dip(tmp_path)
    other = [replace(config, seed=246, split_seed=246) for config in (dip, best)]
    run(tmp_path, patience.patient_run(dip), 0.25)
    run(tmp_path, other[0], 0.2, history_of_validation=[0.0] * 15 + [0.2])
    run(tmp_path, patience.patient_run(other[0]), 0.25, stopped_by="max_epochs")
    run(tmp_path, other[1], 0.3)
    [statement, _] = decay_claims.claim_c21(analysis.measured(tmp_path, [dip, best, *other]))
    # at the second seed the patient run was cut off, so that the first alone is compared
    assert statement.difference is not None and len(statement.difference.by_seed) == 1
    assert "DirectAU with decay 0, seed 123" in statement.text and "seed 246" not in statement.text
    [statement, _] = decay_claims.claim_c21(analysis.measured(tmp_path, other))
    assert statement.undecided and "cut off" in statement.text
    assert statement.text.endswith("repeated with patience 100: DirectAU with decay 0, seed 246")


def test_a_sweep_of_all_wants_the_patient_runs_whose_scores_a_claim_compares(tmp_path: Path) -> None:
    dip, best = curve_with_a_dip(tmp_path)
    outcomes = tuning.stored(tmp_path)
    found = priorities.patient_runs_of({"rq1 on synthetic": [dip, best], "rq1-losses on synthetic": [best]}, outcomes)
    assert found == {"patient runs of rq1 on synthetic": [patience.patient_run(dip)]}
    for own in ("table1 mf-directau", "switches", "rq4"):
        assert priorities.patient_runs_of({f"{own} on synthetic": [dip, best]}, outcomes) == {}
    on_gpu = [replace(config, device="cuda") for config in (dip, best)]
    sweep = Sweep(on_gpu, [], tmp_path, any_device=True, with_more_patience=on_gpu)  # what a CPU has run counts as run
    known, _ = plan(sweep)
    assert known == [*on_gpu, patience.patient_run(on_gpu[0])] and sweep.state(known[2])[0] == "missing"
    run(tmp_path, patience.patient_run(dip), 0.25)
    assert sweep.state(known[2])[0] == "done" and plan(Sweep(on_gpu, [], tmp_path, any_device=True))[0] == on_gpu


def test_a_patient_run_that_failed_or_of_a_run_that_was_in_no_dip_does_not_count(tmp_path: Path) -> None:
    [config] = grid_configs("synthetic", "directau", 0.0)
    run(tmp_path, config, 0.2)
    run(tmp_path, patience.patient_run(config), 0.3)
    assert analysis.measured(tmp_path, [config])["ndcg"].tolist() == [0.2]
    dip = made_up(config, validation=[0.0, 0.1])
    outcomes = {config: dip, patience.patient_run(config): {"reason": "it diverged"}}.get
    assert patience.run_that_counts(config, outcomes) == config  # type: ignore[arg-type]


def test_a_dip_is_an_early_end_by_the_stopping_rule_alone(tmp_path: Path) -> None:
    early = made_up(ssm(0.0), validation=[0.0] * 19 + [0.1])
    assert patience.in_dip(early)
    assert not patience.in_dip(early | {"best_epoch": 20}) and not patience.in_dip(early | {"stopped_by": "max_epochs"})
    assert not patience.in_dip(early | {"config": vars(ssm(0.0, patience=100))}) and not patience.in_dip(None)


@pytest.mark.parametrize("budget", ["lean", "paper"])
def test_both_methods_try_the_same_learning_rates(budget: str) -> None:
    for found in searches("table1", "gowalla", budget):
        by_rate = {rate: {replace(c, lr=1.0) for c in found.grid if c.lr == rate} for rate in BUDGETS[budget].lrs}
        assert len({frozenset(configs) for configs in by_rate.values()}) == 1  # each is searched as far as the others
        assert sum(map(len, by_rate.values())) == len(found.grid)


def test_a_learning_rate_takes_part_once_both_methods_were_run_with_it(tmp_path: Path) -> None:
    planned = {found.name: found for found in searches("table1", "movielens1m")}
    decay, prism = (planned[f"mf-ssm-{name}"].grid for name in ("decay", "prism"))
    for config in (*decay, *prism):
        if config.lr == 1e-3:
            run(tmp_path, config, 0.2 + (config.weight_decay == 1e-6) / 100)
    run(tmp_path, next(c for c in prism if c.lr == 1e-2), 0.5)
    found = decay_vs_prism.pair("movielens1m", "mf", "ssm", tmp_path)
    # PRISM's run at 1e-2 has no counterpart: it is not compared, and the row says that the rate was not tuned
    assert (found.rates, found.untried) == ((1e-3,), (1e-2,)) and found.prism is not None and found.decay is not None
    assert found.prism.chosen.lr == 1e-3 and (found.decay.ran, found.decay.grid) == (6, 6)
    statement = table1_claims.claim_c8([found])[-1]
    assert "learning rate 0.001, not tuned: 0.01 not yet run for both" in statement.text
    assert "decay chosen on one seed, the two best not yet run at all seeds" in statement.text
    for config in decay:
        if config.lr == 1e-2:
            run(tmp_path, config, 0.3 + (config.weight_decay == 1e-6) / 100)
    found = decay_vs_prism.pair("movielens1m", "mf", "ssm", tmp_path)
    assert (found.rates, found.untried) == ((1e-3, 1e-2), ()) and found.prism is not None and found.decay is not None
    assert found.prism.chosen.lr == found.decay.chosen.lr == 1e-2 and (found.decay.ran, found.prism.ran) == (12, 2)
    assert found.decay.at_edge == ()  # two learning rates have no inside
    assert "learning rate" not in table1_claims.claim_c8([found])[-1].text


def test_a_dip_of_ssm_on_nonlinear_mf_was_waited_for_and_its_row_says_so() -> None:
    found = decay_vs_prism.pair("movielens1m", "nonlinear-mf", "ssm", default_results())
    assert found.prism is not None and found.prism.with_more_patience() == [123, 246, 492]
    assert "PRISM repeated with patience 100 at 3 of 3 seeds" in found.difference_text()
    assert patience.in_dip(tuning.outcome_of(default_results(), replace(found.prism.chosen, seed=246, split_seed=246)))
    # before, one seed of three had an interval that left out the two others, and a firm word
    change, judgement = found.relative_difference(), found.judgement()
    assert change is not None and judgement is not None and len(change.by_seed) + len(change.left_out) == 3
    assert not change.left_out or (judgement.provisional and "[" not in percent_and_seeds(change))


def test_a_dip_of_ssm_on_gowalla_that_was_not_waited_for_decides_nothing() -> None:
    """As the RQ3 page says: the grid has grown to decay 1e-3, whose run stopped in a dip and leads by validation."""
    found = decay_vs_prism.pair("gowalla", "mf", "ssm", default_results())
    assert (
        found.decay is not None and found.decay.chosen.weight_decay == 1e-3 and found.decay.with_more_patience() == []
    )
    assert patience.in_dip(tuning.outcome_of(default_results(), found.decay.chosen))
    assert [record["best_epoch"] for record in found.decay.records.values()] == [3]
    assert "undecided; tuned decay cut off at 1 of 1 seed" in found.difference_text()


def test_what_is_published_for_linear_mf_is_searched_on_nonlinear_mf() -> None:
    """Before, C9 on Gowalla hung on one pair of MAWU's, published for linear MF, that nobody had searched."""
    grids = {search.name: search.grid for search in searches("table1", "gowalla")}
    tried = {
        name: len({(config.gamma_user, config.gamma_item) for config in grids[f"{name}-mawu-prism"]})
        for name in ("mf", "nonlinear-mf")
    }
    assert tried == {"mf": 1, "nonlinear-mf": 6}
    # a direction is open until they are run
    found = decay_vs_prism.pair("gowalla", "nonlinear-mf", "mawu", default_results())
    assert found.prism is not None and found.prism.grid == 6
    if found.prism.ran < found.prism.grid:
        assert table1_claims.claim_c9([found])[0].undecided
