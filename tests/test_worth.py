"""A run is worth what it can turn: the chance that further seeds change a word, and the order by chance per hour."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import made_up, store

from prismbook import __main__ as command_line
from prismbook.claims import table1_claims
from prismbook.claims.comparison import judged
from prismbook.claims.evidence import Evidence, known
from prismbook.claims.ledger import row
from prismbook.claims.statements import Basis, Statement, again, core
from prismbook.claims.worth import LEAST, UNKNOWN, row_turns, worth
from prismbook.plan.config import RunConfig
from prismbook.plan.experiments import SEEDS, configs, grid_configs, searches
from prismbook.runs import patience, sweep_commands, tuning
from prismbook.runs.cost import Costs
from prismbook.runs.priorities import NO_VERDICT, Turn, by_turns, in_order
from prismbook.runs.records import RecordError, default_results
from prismbook.tables import decay_vs_prism
from prismbook.tables.rules import MARGIN, RULES, Difference, judge
from prismbook.tables.turning import OUTCOMES, after

ERROR = 0.03
NO_DECAY, DECAY = (grid_configs("synthetic", "bpr", decay, SEEDS, lr=1e-3) for decay in (0.0, 1e-6))
USERS = np.linspace(0.1, 0.3, 50)


# what further seeds may make of a difference


def test_further_seeds_may_move_the_mean_as_independent_draws_do() -> None:
    found = after(Difference((0.02, 0.04), (0.0, 0.06), seed_error=ERROR), 3)
    centres = [each.centre for each in found]
    assert len(found) == OUTCOMES and {len(each.by_seed) for each in found} == {5}
    assert np.mean(centres) == pytest.approx(0.03) and centres == sorted(centres)
    generator = np.random.default_rng(0)
    true = generator.normal(0.03, ERROR / 2**0.5, 100_000)  # what the mean of infinitely many seeds may be
    drawn = (2 * 0.03 + 3 * generator.normal(true, ERROR / 3**0.5)) / 5
    assert np.std(centres) == pytest.approx(np.std(drawn), rel=0.03)
    assert found[0].users == (0.0, 0.06)  # more seeds are no more users
    assert found[0].standard_error == pytest.approx(np.hypot(ERROR / 5**0.5, 0.06 / 3.92))


@pytest.mark.parametrize(("error", "more"), [(np.inf, 2), (ERROR, 0)])
def test_what_predicts_nothing_is_refused(error: float, more: int) -> None:
    with pytest.raises(ValueError, match="known spread and more must be >= 1"):
        after(Difference((0.02,), seed_error=error), more)


def changed(difference: Difference, more: int = 2) -> float:
    """The share of outcomes with another word."""
    now = judge(difference)
    return float(np.mean([judge(each) != now for each in after(difference, more)]))


def test_what_is_firm_stays_and_what_is_at_the_border_turns_half_the_time() -> None:
    assert changed(Difference((0.2,), seed_error=ERROR)) == changed(Difference((0.0,), seed_error=ERROR / 10)) == 0
    border = Difference((MARGIN + 1e-6,), seed_error=MARGIN / 10)  # far from 0 and just beyond the margin
    assert str(judge(border)) == "better"
    assert changed(border) == pytest.approx(0.5, abs=0.01)


def test_more_seeds_decide_more_of_what_is_undecided() -> None:
    undecided = Difference((0.02,), seed_error=ERROR)
    assert judge(undecided).word == "undecided"
    assert 0.05 < changed(undecided, 1) < changed(undecided, 2) < changed(undecided, 20)


# the chance and the runs of a statement


def ids(*sides: list[RunConfig]) -> tuple[str, ...]:
    return tuple(made_up(config)["id"] for side in sides for config in side)


def outcomes_of(*stored: RunConfig) -> tuning.Outcomes:
    return {config: made_up(config, validation=[0.0] * 25 + [0.1]) for config in stored}.get


def better(
    centre: float, seeds: int = 1, sides: tuple[list[RunConfig], ...] = (NO_DECAY, DECAY), role: str = "core"
) -> Statement:
    """That no decay is better than decay, from the first seeds of both."""
    compared = ids(*(side[:seeds] for side in sides))
    difference = Difference((centre,) * seeds, None, "ndcg", ERROR, compared)
    return judged("a is better", difference, ("better",), RULES, role=role, about="a against b")


def turns(*statements: Statement, stored: int = 1, planned: tuple[RunConfig, ...] = ()) -> list[Turn]:
    runs = planned or (*NO_DECAY, *DECAY)
    evidence = Evidence(lambda rules: statements, planned=runs)
    return row_turns("C1 synthetic", evidence, outcomes_of(*NO_DECAY[:stored], *DECAY[:stored]))


def test_a_firm_statement_has_no_run_that_turns_it_and_what_makes_no_verdict_neither() -> None:
    assert turns(better(0.2)) == turns(better(-0.2)) == turns(better(0.07, role="detail")) == []


def test_an_unsure_statement_has_the_further_seeds_of_what_it_compares() -> None:
    [turn] = turns(better(0.07))
    assert turn.name == "C1 synthetic, a against b" and turn.runs == (*NO_DECAY[1:], *DECAY[1:])
    assert LEAST < turn.chance < 1
    assert turns(better(0.07), planned=(*NO_DECAY, *grid_configs("synthetic", "ssm", 0.0, SEEDS)))[0].runs == tuple(
        NO_DECAY[1:]
    )
    assert turns(better(0.07, seeds=3), stored=3) == []  # every seed is stored


def test_what_is_far_from_the_border_turns_less() -> None:
    chances = [found[0].chance if (found := turns(better(centre))) else 0.0 for centre in (0.055, 0.03, 0.2)]
    assert chances[0] > chances[1] > chances[2] == 0


def test_a_setting_that_was_not_run_may_be_the_one_that_validation_chooses() -> None:
    other, another_loss = (grid_configs("synthetic", loss, 1e-5, SEEDS, lr=1e-3) for loss in ("bpr", "ssm"))
    found = turns(better(0.07), planned=(*NO_DECAY, *DECAY, *other, *another_loss))
    assert [(turn.chance == UNKNOWN, turn.runs) for turn in found] == [
        (False, (*NO_DECAY[1:], *DECAY[1:])),
        (True, (other[0],)),
    ]


def test_an_unknown_spread_predicts_nothing() -> None:
    unsure = better(0.02)
    assert unsure.basis is not None and unsure.difference is not None
    endless = replace(unsure.basis, difference=replace(unsure.difference, seed_error=np.inf))
    assert [turn.chance for turn in turns(replace(unsure, basis=endless))] == [UNKNOWN]


def test_of_several_parts_the_one_that_decides_turns_the_statement() -> None:
    other = grid_configs("synthetic", "bpr", 1e-5, SEEDS, lr=1e-3)
    parts = better(0.07), better(0.2, sides=(DECAY, other))
    whole = replace(parts[0], basis=Basis("weakest", among=parts))
    everything = (*NO_DECAY, *DECAY, *other)
    found = row_turns(
        "C1",
        Evidence(lambda rules: [whole], planned=everything),
        outcomes_of(NO_DECAY[0], DECAY[0], other[0]),
    )
    assert [turn.runs for turn in found] == [(*NO_DECAY[1:], *DECAY[1:])]


def test_where_no_part_turns_a_statement_alone_all_of_them_may() -> None:
    sides = [grid_configs("synthetic", "bpr", decay, SEEDS, lr=1e-3) for decay in (0.0, 1e-8, 1e-7, 1e-6, 1e-5)]
    parts = tuple(better(0.02, sides=(sides[0], side)) for side in sides[1:])
    most = again(replace(parts[0], basis=Basis("most", among=parts)), RULES)
    assert most.holds is None  # of four that are open, three must hold or two fail
    everything = [config for side in sides for config in side]
    outcomes = outcomes_of(*(side[0] for side in sides))
    [turn] = row_turns("C21", Evidence(lambda rules: [most], planned=tuple(everything)), outcomes)
    assert set(turn.runs) == {config for config in everything if config.seed != SEEDS[0]}
    assert LEAST <= turn.chance < 1


def test_what_is_not_measured_needs_the_first_seed() -> None:
    empty = known([Statement("C1 needs runs", None)], (*NO_DECAY, *DECAY))
    [turn] = row_turns("C1 synthetic", empty, outcomes_of(NO_DECAY[0]))
    assert (turn.name, turn.chance, turn.runs) == ("C1 synthetic, C1 needs runs", 1.0, (DECAY[0],))
    named = known([Statement("SSM: needs a run without decay", None)], (*NO_DECAY, *grid_configs("synthetic", "ssm")))
    [turn] = row_turns("C1 synthetic", named, outcomes_of())
    assert {config.loss for config in turn.runs} == {"ssm"}  # of the losses that the sentence names


def test_runs_that_ended_in_a_dip_need_patience() -> None:
    dip = made_up(NO_DECAY[0], validation=[0.0] * 15 + [0.1])
    outcomes = {NO_DECAY[0]: dip, DECAY[0]: made_up(DECAY[0], validation=[0.0] * 25 + [0.1])}.get
    undecided = Statement("a is better; undecided: cut off", None, undecided=True, about="a")
    [turn] = row_turns("C1", Evidence(lambda rules: [undecided], planned=(*NO_DECAY, *DECAY)), outcomes)
    assert (turn.chance, turn.runs) == (UNKNOWN, (patience.patient_run(NO_DECAY[0]),))
    found = row_turns("C1", Evidence(lambda rules: [undecided], (), (*NO_DECAY, *DECAY), False), outcomes)
    assert found[0].runs == (*NO_DECAY[1:], *DECAY[1:])  # where epochs count, no patient run does


# searches


def made_pair(results: Path) -> decay_vs_prism.Pair:
    """SSM on linear MF on MovieLens1M: decay searched but for its last value, PRISM in full."""
    planned = {found.name: found for found in searches("table1", "movielens1m")}
    grid = [config for config in planned["mf-ssm-decay"].grid if config.lr == 1e-3]
    for config in grid[:-1]:
        history = [0.0] * 25 + [0.2 + (config.weight_decay == 1e-6) / 100]
        store(results, made_up(config, (0.2, 0, 0), history), USERS)
    for config in planned["mf-ssm-prism"].grid:
        if config.lr == 1e-3:
            store(results, made_up(config, (0.21, 0, 0), [0.0] * 25 + [0.21]), 1.05 * USERS)
    return decay_vs_prism.pair("movielens1m", "mf", "ssm", results)


def test_an_open_search_lacks_the_rest_of_its_grid_at_the_learning_rates_that_take_part(tmp_path: Path) -> None:
    found = made_pair(tmp_path)
    assert [(config.weight_decay, config.lr, config.seed) for config in found.lacks] == [(1e-4, 1e-3, 123)]
    [statement] = [each for each in table1_claims.claim_c9([found]) if each.role == "core"]
    assert statement.holds is None and statement.lacks == found.lacks
    evidence = Evidence(lambda rules: [statement])
    assert found.lacks in [turn.runs for turn in row_turns("C9", evidence, tuning.stored(tmp_path))]


@pytest.mark.parametrize(("best_epoch", "is_open"), [(0, True), (25, False)])
def test_a_search_that_was_decided_by_a_run_that_stopped_at_its_start_is_open(
    tmp_path: Path, best_epoch: int, is_open: bool
) -> None:
    """A start from PRISM's lengths is far above chance, and may be the best that a short patience sees."""
    made_pair(tmp_path)
    planned = {found.name: found for found in searches("table1", "movielens1m")}
    [search] = [planned["mf-ssm-prism"].at_rates((1e-3,))]
    config = search.grid[0]
    curve = [0.0] * best_epoch + [0.3] + [0.1] * 10
    store(tmp_path, made_up(replace(config, seed=246, split_seed=246), (0.3, 0, 0), curve), USERS)
    found = decay_vs_prism.method(search, tuning.stored(tmp_path))
    assert found is not None and found.open() is is_open and (found.dips, found.untrained) == (0, int(is_open))
    lacking = decay_vs_prism.lacking(search, tuning.stored(tmp_path))
    waited = replace(config, seed=246, split_seed=246, patience=patience.LONG)
    assert lacking == ([waited] if is_open else [])
    if is_open:
        store(tmp_path, made_up(waited, (0.3, 0, 0), [0.0] * 25 + [0.3]), USERS)
        found = decay_vs_prism.method(search, tuning.stored(tmp_path))
        assert found is not None and not found.open()


def test_a_size_that_is_open_is_worth_what_it_lacks_where_the_core_is_reproduced() -> None:
    [patient] = [patience.patient_run(DECAY[0])]
    size = Statement("a size", None, True, role="size", about="the size", lacks=(patient,))

    def turns(holds: bool | None) -> list[str]:
        evidence = Evidence(lambda rules: [Statement("a", holds, undecided=holds is None), size])
        return [turn.name for turn in row_turns("C10", evidence, lambda config: None)]

    assert turns(True) == ["C10, the size"]
    assert turns(False) == turns(None) == []  # of what is not reproduced the size says nothing


# the order


def took(config: RunConfig, hours: float) -> dict[str, object]:
    spent = {"train": 3600 * hours, "evaluate": 0.0, "cpu": 0.0}
    return made_up(replace(config, seed=999, split_seed=999), epochs=10, seconds=spent)


CHEAP, DEAR = configs("rq1", "gowalla", seeds=SEEDS), configs("lightgcn", "gowalla", seeds=SEEDS)
COSTS = Costs(
    [took(next(c for c in CHEAP if c.loss == loss), 1.0) for loss in ("bpr", "directau")] + [took(DEAR[0], 4.0)], None
)


def test_what_turns_most_in_an_hour_comes_first_and_a_run_counts_once() -> None:
    likely_and_dear = Turn("C7 gowalla, a", 0.9, tuple(DEAR[:2]))  # 0.9 in 8 h
    unlikely_and_cheap = Turn("C1 gowalla, b", 0.3, (CHEAP[0],))  # 0.3 in 1 h
    same_runs = Turn("C2 gowalla, c", 0.2, (CHEAP[0],))
    with_more = Turn("C3 gowalla, d", 0.6, (CHEAP[0], CHEAP[1]))
    todo = [*DEAR, *CHEAP]
    steps = by_turns(todo, [likely_and_dear, unlikely_and_cheap, same_runs, with_more], COSTS)
    assert [step.runs for step in steps] == [[CHEAP[0], CHEAP[1]], DEAR[:2]]  # 1.1 in 2 h, all three at once
    assert [step.turns for step in steps] == [[unlikely_and_cheap, same_runs, with_more], [likely_and_dear]]
    steps = by_turns(todo, [likely_and_dear, unlikely_and_cheap, same_runs, replace(with_more, chance=0.4)], COSTS)
    assert [step.runs for step in steps] == [[CHEAP[0]], [CHEAP[1]], DEAR[:2]]  # 0.5 in 1 h, then 0.4 in 1 h
    assert steps[0].line(COSTS) == "C1 gowalla, b (30 %); C2 gowalla, c (20 %): 1 left, about 60 min"


def test_what_is_made_already_is_not_waited_for_and_what_never_ran_comes_last() -> None:
    never = replace(CHEAP[0], backbone="nonlinear-mf", dataset="synthetic", device="cuda")
    found = [Turn("a", 1.0, (never,)), Turn("b", 0.01, (DEAR[0], DEAR[1])), Turn("c", 0.5, (DEAR[5],))]
    steps = by_turns([never, DEAR[1]], found, COSTS)
    assert [(step.turns, step.runs) for step in steps] == [([found[1]], [DEAR[1]]), ([found[0]], [never])]


def test_runs_that_turn_nothing_stand_apart_at_the_end() -> None:
    experiments = {"rq1 on gowalla": CHEAP, "lightgcn on gowalla": DEAR}
    todo = [*CHEAP, *DEAR]
    ordered, lines = in_order(todo, [Turn("C7 gowalla, a", 0.5, (DEAR[3], DEAR[2]))], experiments, COSTS)
    assert ordered[:2] == [DEAR[2], DEAR[3]] and Counter(ordered) == Counter(todo)
    assert lines[0].startswith("C7 gowalla, a (50 %): 2 left, about 8.0 h") and lines[1] == NO_VERDICT
    assert [line.partition(":")[0] for line in lines[2:]] == [
        "first seed, rq1 on gowalla",
        "first seed, lightgcn on gowalla",
        "seeds, rq1 on gowalla",
        "seeds, lightgcn on gowalla",
    ]
    assert NO_VERDICT in in_order(todo, [], experiments, COSTS)[1]
    assert NO_VERDICT not in in_order(todo, None, experiments, COSTS)[1]  # nothing was asked of verdicts


# the commands


def test_the_commands_say_which_rows_the_runs_are_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--dataset", "synthetic", "--budget", "smoke", "--results", str(tmp_path)]
    further = replace(configs("rq1", "synthetic", "smoke")[0], seed=7, split_seed=7)  # of no experiment
    asked: list[object] = []

    def made_up_worth(names: object, results: object) -> list[Turn]:
        asked.append(names)
        return [Turn("C1 synthetic, a", 0.25, (further,))]

    assert sweep_commands.main(["estimate", "all", *options], worth=made_up_worth) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("C1 synthetic, a (25 %): 1 left, ") and lines[1] == NO_VERDICT
    assert lines[2].startswith("first seed, ") and asked == [["synthetic"]]
    for command in (["status", "all", *options], ["estimate", "rq1", *options]):
        assert sweep_commands.main(command, worth=made_up_worth) == 0
    assert len(asked) == 1 and NO_VERDICT not in capsys.readouterr().out

    def damaged(*_: object) -> list[Turn]:
        raise RecordError("a.json is not readable as a run record")

    assert sweep_commands.main(["estimate", "all", *options], worth=damaged) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "what runs can turn is not known: a.json is not readable as a run record"
    assert lines[1].startswith("first seed, ")  # the other runs are made all the same
    # no claim speaks of generated data
    assert command_line.main(["sweep", "estimate", "all", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == NO_VERDICT and lines[1].startswith("first seed, ")


def test_a_run_that_is_worth_most_is_made_first_and_belongs_to_no_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[RunConfig] = []
    monkeypatch.setattr(sweep_commands.workers, "work_together", lambda runs, *others: made.extend(runs))
    further = replace(configs("batched", "synthetic", "smoke")[0], seed=7, split_seed=7)
    options = ["run", "all", "--dataset", "synthetic", "--budget", "smoke", "--results", str(tmp_path)]
    assert sweep_commands.main(options, worth=lambda *_: [Turn("a", 0.5, (further,))]) == 1
    assert made[0] == further and made.count(further) == 1 and len(made) > 10


def test_a_folder_without_records_measures_nothing_and_asks_for_first_seeds(tmp_path: Path) -> None:
    found = worth(["movielens1m"], tmp_path)
    assert {turn.name.split()[0] for turn in found} >= {"C1", "C2", "C3", "C6", "C8", "C9", "C11", "C13", "C14", "C17"}
    assert {turn.chance for turn in found} == {1.0} and {c.seed for turn in found for c in turn.runs} == {SEEDS[0]}
    assert {config.lr for turn in found for config in turn.runs} == {1e-3}  # the rate that is tried first


def test_what_the_stored_runs_can_turn() -> None:
    found = worth(["movielens1m"], default_results())
    assert {config.dataset for turn in found for config in turn.runs} == {"movielens1m"}
    outcomes = tuning.stored(default_results())
    assert all(outcomes(config) is None for turn in found for config in turn.runs)
    for claim in ("C18", "C21"):
        statements = core(row(claim, "movielens1m").statements)
        unsure = {each.name for each in statements if each.holds is None or each.provisional}
        named = {turn.name.partition(", ")[2] for turn in found if turn.name.startswith(f"{claim} ")}
        assert named <= unsure  # what is unsure may have no run left that could turn it
    assert found
