"""NDCG and full ranking against scikit-learn and against a ranking made by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score

from prismlib import FullRanking, Interactions, popularity_groups, random_split, synthetic
from prismlib._fast.topk import TILE, top_k
from prismlib.metrics import (
    GROUPS,
    all_metrics,
    average_popularity,
    coverage,
    dcg_discount,
    gini,
    hit_rate,
    mrr,
    ndcg,
    recall,
    tail_ratio,
)
from prismlib.norms import norm_summary

USERS, ITEMS, DIM = 300, 700, 6


def pairs(user: list[int], item: list[int]) -> Interactions:
    return Interactions(np.array(user, np.int32), np.array(item, np.int32))


@pytest.fixture(scope="module")
def problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tables, and what is held out (1) or masked (2) of each user; every seventh user has nothing held out."""
    g = torch.Generator().manual_seed(0)
    user, item = (
        torch.randn(USERS, DIM, generator=g),
        torch.randn(ITEMS, DIM, generator=g) * torch.rand(ITEMS, 1, generator=g),
    )
    draw = torch.rand(USERS, ITEMS, generator=g)
    state = (draw < 0.04).long() + 2 * (draw > 0.95).long()
    state[::7][state[::7] == 1] = 0
    return user, item, state, torch.randint(100, (ITEMS,), generator=g)


def evaluator(problem: tuple[torch.Tensor, ...], k: int) -> FullRanking:
    _, _, state, popularity = problem
    held_out, masked = (Interactions(*(ids.numpy() for ids in (state == s).nonzero(as_tuple=True))) for s in (1, 2))
    return FullRanking(held_out, [masked], popularity_groups(popularity), USERS, k)


@pytest.mark.parametrize("k", [1, 5, 20, 700])
def test_full_ranking_is_scikit_learn(problem: tuple[torch.Tensor, ...], k: int) -> None:
    user, item, state, _ = problem
    measured = evaluator(problem, k)(user, item)
    unit = item / item.norm(dim=1, keepdim=True)
    for by, table in (("dot", item), ("cosine", unit)):
        scores = (user.double() @ table.double().T).masked_fill(state == 2, -1e9)
        has = (state == 1).any(1)
        expected = ndcg_score((state == 1)[has], scores[has], k=k)
        assert measured[by]["ndcg"] == pytest.approx(expected, abs=1e-6)
        assert sum(measured[by][group] for group in GROUPS) == pytest.approx(expected, abs=1e-6)
    assert measured["dot"]["ndcg"] != pytest.approx(measured["cosine"]["ndcg"], abs=1e-6)


@pytest.mark.parametrize("scale", [1e-15, 1e-25, 1e-36])
def test_cosine_does_not_depend_on_the_length_of_a_row_however_short(
    problem: tuple[torch.Tensor, ...], scale: float
) -> None:
    """A cold item decays to lengths whose square is zero in float32; it stays where its angle puts it."""
    user, item, *_ = problem
    evaluate = evaluator(problem, 20)
    short = item.clone()
    short[::5] *= scale / short[::5].norm(dim=1, keepdim=True)
    assert torch.equal(evaluate.lists(user, short)["cosine"], evaluate.lists(user, item)["cosine"])


def test_strata_count_only_their_own_items() -> None:
    # ranked: items 3, 1, 2 (item 0 is masked); 3 and 2 are held out; groups: 0 popular, 1 neutral, 2 and 3 unpopular
    groups = torch.tensor([0, 1, 2, 0])
    evaluate = FullRanking(pairs([0, 0], [3, 2]), [pairs([0], [0])], groups, num_users=1, k=3)
    score = evaluate(torch.tensor([[1.0]]), torch.tensor([[9.0], [2.0], [1.0], [3.0]]))["dot"]
    ideal = 1 + 1 / np.log2(3)
    assert score["popular"] == pytest.approx(1 / ideal)
    assert score["neutral"] == 0
    assert score["unpopular"] == pytest.approx(0.5 / ideal)


def test_users_without_held_out_items_are_left_out() -> None:
    evaluate = FullRanking(pairs([2], [0]), [], torch.zeros(2, dtype=torch.long), num_users=4, k=1)
    assert evaluate.users.tolist() == [2]
    assert evaluate(torch.ones(4, 1), torch.tensor([[2.0], [1.0]]))["dot"]["ndcg"] == 1


def test_the_last_user_can_be_left_out() -> None:
    arguments = (pairs([0, 2, 3], [0, 1, 0]), [], torch.zeros(2, dtype=torch.long), 5)
    assert FullRanking(*arguments, k=1).users.tolist() == [0, 2, 3]
    assert FullRanking(*arguments, k=1, drop_last_user=True).users.tolist() == [0, 2]


def test_a_repeated_pair_counts_once_and_masked_may_be_one_part() -> None:
    groups, tables = torch.zeros(3, dtype=torch.long), (torch.ones(2, 1), torch.tensor([[3.0], [2.0], [1.0]]))
    twice = FullRanking(pairs([0, 0, 0], [1, 1, 2]), pairs([0, 0], [0, 0]), groups, 2, k=3)
    once = FullRanking(pairs([0, 0], [1, 2]), [pairs([0], [0])], groups, 2, k=3)
    assert twice.count.tolist() == [2]
    assert twice(*tables) == once(*tables)
    assert twice.lists(*tables)["dot"].tolist() == [[1, 2, -1]]


@pytest.mark.parametrize(
    ("held_out", "masked", "message"),
    [
        (([4], [0]), ([], []), r"held_out\.user must lie in \[0, 4\), the table's rows, got 4 to 4"),
        (([0, 1], [2, 3]), ([], []), r"held_out\.item must lie in \[0, 3\), the table's rows, got 2 to 3"),
        (([0], [0]), ([3, -1], [0, 1]), r"masked\.user must lie in \[0, 4\), the table's rows, got -1 to 3"),
        (([0], [0]), ([1], [3]), r"masked\.item must lie in \[0, 3\)"),
    ],
)
def test_ids_that_are_no_rows_are_refused(held_out, masked, message: str) -> None:  # type: ignore[no-untyped-def]
    """As keys user * num_items + item they would be other pairs."""
    with pytest.raises(ValueError, match=message):
        FullRanking(pairs(*held_out), [pairs(*masked)], torch.zeros(3, dtype=torch.long), 4, k=1)


def test_popularity_groups_round_up_and_order_ties_by_id() -> None:
    groups = popularity_groups(torch.ones(21))
    assert groups.tolist() == [0, 0] + [1] * 3 + [2] * 16  # ceil(1.05) = 2, ceil(4.2) = 5


def test_top_k_is_topk() -> None:
    scores = torch.rand(17, TILE * 40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(top_k(scores, 20), scores.topk(20).indices)
    scores[:, 30:] = -torch.inf  # fewer finite scores than TILE, and all in one run
    assert torch.equal(top_k(scores, 20), scores.topk(20).indices)
    scores[:, 12:] = -torch.inf
    assert torch.equal(top_k(scores, 20)[:, :12], scores.topk(12).indices)
    assert (top_k(scores, 20)[:, 12:] == -1).all()


@pytest.mark.parametrize("runs", [3, 40])
def test_equal_scores_are_ordered_by_item_wherever_they_stand(runs: int) -> None:
    g = torch.Generator().manual_seed(0)
    scores = torch.randint(50, (60, TILE * runs), generator=g).float()
    expected = scores.sort(dim=1, descending=True, stable=True).indices[:, :20]
    assert torch.equal(top_k(scores, 20), expected)


def test_recall_hit_rate_and_mrr_are_their_definitions_and_their_parts_sum() -> None:
    g = torch.Generator().manual_seed(0)
    hit = torch.rand(40, 10, generator=g) < 0.15
    relevant = hit.sum(1) + torch.randint(1, 5, (40,), generator=g)
    group = torch.randint(3, (40, 10), generator=g)
    for user in range(40):
        ranks = [rank + 1 for rank in range(10) if hit[user, rank]]
        expected = {
            recall: len(ranks) / relevant[user].item(),
            hit_rate: float(bool(ranks)),
            mrr: 1 / ranks[0] if ranks else 0,
        }
        for metric, value in expected.items():
            assert metric(hit, relevant)[user].item() == pytest.approx(value)
    for metric in (ndcg, recall, hit_rate, mrr):
        parts = metric(hit, relevant, group)
        torch.testing.assert_close(parts.sum(1), metric(hit, relevant))
        assert (parts[group.eq(1).sum(1) == 0, 1] == 0).all()


def test_coverage_gini_and_average_popularity() -> None:
    lists = torch.tensor([[0, 1, 2], [0, 1, 3], [0, -1, -1]])
    popularity = torch.tensor([9, 6, 3, 0, 1])
    counts = sorted([3, 2, 1, 1, 0])
    pairs = sum(abs(a - b) for a in counts for b in counts)
    assert coverage(lists, 5).item() == pytest.approx(4 / 5)
    assert gini(lists, 5).item() == pytest.approx(pairs / (2 * 5 * sum(counts)))
    assert average_popularity(lists, popularity).item() == pytest.approx((6 + 5 + 9) / 3)
    with pytest.raises(ValueError, match="holds no item"):
        gini(torch.tensor([-1]), 5)


def test_a_user_with_an_empty_list_has_no_average_popularity() -> None:
    assert average_popularity(torch.tensor([[0], [-1]]), torch.tensor([10])) == 10
    assert average_popularity(torch.tensor([[-1]]), torch.tensor([10])) == 0


def test_bad_input() -> None:
    groups = torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match="held_out is empty"):
        FullRanking(pairs([], []), [], groups, 2)
    with pytest.raises(ValueError, match=r"k must lie in \[1, 3\]"):
        FullRanking(pairs([0], [0]), [], groups, 2, k=4)
    with pytest.raises(ValueError, match="share interactions"):
        FullRanking(pairs([0], [1]), [pairs([0], [1])], groups, 2, k=2)
    with pytest.raises(ValueError, match="drop_last_user leaves no user to rank"):
        FullRanking(pairs([1], [1]), [], groups, 2, k=2, drop_last_user=True)
    with pytest.raises(ValueError, match="no score"):
        ndcg(torch.ones(1, 2, dtype=torch.bool), torch.tensor([0]))
    with pytest.raises(ValueError, match="popularity is empty"):
        popularity_groups(torch.ones(0))
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="popularity must be finite and >= 0"):
            popularity_groups(torch.tensor([1.0, bad]))
    ranking = FullRanking(pairs([0], [0]), [], groups, 2, k=2)
    for user, item, message in (
        (torch.ones(3, 2), torch.ones(3, 2), r"user must have shape \(2, d\), got \(3, 2\)"),
        (torch.ones(2, 2), torch.ones(2, 2), r"item must have shape \(3, d\), got \(2, 2\)"),
        (
            torch.ones(2, 2),
            torch.tensor([[1.0, 0.0], [math.nan, 0.0], [1.0, 1.0]]),
            "item has rows that are not finite",
        ),
        (torch.full((2, 2), math.inf), torch.ones(3, 2), "user has rows that are not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            ranking(user, item)
    lists = ranking.lists(torch.ones(2, 2), torch.ones(3, 2))["dot"]
    with pytest.raises(ValueError, match="popularity must have 3 entries, one per row of the table, got 2"):
        ranking.all_metrics(lists, torch.ones(2), [1])
    with pytest.raises(ValueError, match=r"ks must lie in \[1, 2\], the length of the lists, got 3"):
        ranking.all_metrics(lists, torch.ones(3), [3])
    with pytest.raises(ValueError, match=r"items must be ids in \[0, 2\), which popularity has, or -1; got 2"):
        average_popularity(torch.tensor([[0, 2]]), torch.ones(2))
    with pytest.raises(ValueError, match=r"items must be ids in \[0, 2\), which num_items says"):
        coverage(torch.tensor([[0, 2]]), 2)
    with pytest.raises(ValueError, match="popularity must have 3 entries, one per row"):
        norm_summary(torch.ones(3, 2), torch.ones(2))


def test_one_ranking_pass_reports_every_metric_at_every_k() -> None:
    g = torch.Generator().manual_seed(0)
    popularity = torch.arange(40)  # popular items: 38 and 39
    held_out = pairs([0, 0, 1, 3], [5, 38, 9, 39])
    ranking = FullRanking(held_out, [pairs([0], [1])], popularity_groups(popularity), 4, k=39)
    lists = ranking.lists(torch.randn(4, 3, generator=g), torch.randn(40, 3, generator=g))["cosine"]
    report = ranking.all_metrics(lists, popularity, ks=(3, 39))
    assert list(report) == ["3", "39"]
    for k in (3, 39):
        cut, result = lists[:, :k], report[str(k)]
        hit, group = ranking.hits(cut), ranking.group(cut)
        for metric in (ndcg, recall, hit_rate, mrr):
            parts = metric(hit, ranking.count, group).mean(0)
            assert result[metric.__name__] == pytest.approx([float(parts.sum()), *parts.tolist()], abs=1e-6)
        assert result["coverage"] == pytest.approx(float(coverage(cut, 40)))
        assert result["gini"] == pytest.approx(float(gini(cut, 40)))
        assert result["average_popularity"] == pytest.approx(float(average_popularity(cut, popularity)))
    ratio = report["39"]["ndcg"][3] / report["39"]["ndcg"][1]
    assert report["39"]["unpopular_over_popular"] == pytest.approx(ratio, abs=1e-6)
    assert tail_ratio(torch.zeros(2, 3)) is None


def test_norm_summary() -> None:
    popularity = torch.tensor([0, 1, 2, 3, 4, 100])
    table = torch.log(popularity + 2.0)[:, None] * torch.tensor([[0.6, 0.8]])
    summary = norm_summary(table, popularity)
    assert summary["pearson_log"] == pytest.approx(1)
    assert summary["spearman"] == pytest.approx(1)
    assert [(b["from"], b["to"], b["rows"]) for b in summary["bins"]] == [
        (0, 0, 1),
        (1, 1, 1),
        (2, 3, 2),
        (4, 7, 1),
        (64, 127, 1),
    ]
    assert norm_summary(torch.ones(6, 2), popularity)["spearman"] is None


def test_lists_do_not_depend_on_how_many_users_are_scored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    split = random_split(synthetic(100, 90, 1500), seed=0)
    groups = popularity_groups(torch.from_numpy(split.item_popularity))
    generator = torch.Generator().manual_seed(0)
    user, item = torch.randn(100, 8, generator=generator), torch.randn(90, 8, generator=generator)
    found = []
    for size in (7, 1000):  # many blocks, the last one smaller; and one
        monkeypatch.setattr("prismlib.ranking.block_size", lambda *_, size=size: size)
        ranking = FullRanking(split.validation, [split.train], groups, num_users=100)
        assert len(ranking._blocks) == -(-len(ranking.users) // size)
        found.append(ranking.lists(user, item))
    assert all(torch.equal(found[0][by], found[1][by]) for by in ("dot", "cosine"))


# A factor common to all rows, columns that do not fit, dtypes of ids


@pytest.mark.parametrize("factor", [2.0**-110, 2.0**-70, 2.0**40, 2.0**100])
def test_a_common_factor_changes_no_list(problem: tuple[torch.Tensor, ...], factor: float) -> None:
    user, item, *_ = problem
    ranking = evaluator(problem, 20)
    expected = ranking.lists(user, item)
    for scaled in ((factor * user, item), (user, factor * item), (factor * user, factor * item)):
        found = ranking.lists(*scaled)
        assert all(torch.equal(found[by], expected[by]) for by in ("dot", "cosine"))


@pytest.mark.parametrize("factor", [1e-38, 1e-30, 1e-10, 1.0, 1e30])
def test_a_common_factor_changes_no_correlation(factor: float) -> None:
    g = torch.Generator().manual_seed(0)
    popularity = torch.randint(1, 1000, (200,), generator=g)
    # rows whose only entry is their norm: 20 to 30, so that float32 holds each of them at every factor
    table = (20 + popularity.double().log() + torch.rand(200, dtype=torch.float64, generator=g))[:, None]
    expected, found = norm_summary(table, popularity), norm_summary((table * factor).float(), popularity)
    assert expected["pearson_log"] > 0.9
    for name in ("pearson_log", "spearman"):
        assert found[name] == pytest.approx(expected[name], abs=1e-4)
    for one, other in zip(found["bins"], expected["bins"], strict=True):
        assert one["mean"] == pytest.approx(factor * other["mean"], rel=1e-6)
        assert one["std"] == pytest.approx(factor * other["std"], rel=1e-4)
    tiny = norm_summary(table * 1e-300, popularity)
    assert tiny["pearson_log"] == pytest.approx(expected["pearson_log"], abs=1e-9)
    assert tiny["bins"][3]["std"] == pytest.approx(1e-300 * expected["bins"][3]["std"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_tables_are_ranked_in_float32(problem: tuple[torch.Tensor, ...], dtype: torch.dtype) -> None:
    user, item = (table.to(dtype) for table in problem[:2])
    ranking = evaluator(problem, 20)
    assert torch.equal(ranking.lists(user, item)["cosine"], ranking.lists(user.float(), item.float())["cosine"])


@pytest.mark.parametrize("columns", [1, 5, 63, 65, 1000])
def test_top_k_takes_any_number_of_columns(columns: int) -> None:
    scores = torch.rand(9, columns, generator=torch.Generator().manual_seed(0))
    for k in {1, min(3, columns), columns}:
        assert torch.equal(top_k(scores, k), scores.topk(k).indices)
    scores[:, 0] = -torch.inf
    assert (top_k(scores, columns)[:, -1] == -1).all()
    for k in (0, columns + 1):
        with pytest.raises(ValueError, match=rf"k must lie in \[1, {columns}\], the number of columns"):
            top_k(scores, k)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_ids_may_have_any_integer_dtype(dtype: torch.dtype) -> None:
    held_out = Interactions(torch.tensor([0, 1], dtype=dtype), torch.tensor([2, 1], dtype=dtype))
    ranking = FullRanking(held_out, [], torch.tensor([0, 1, 2], dtype=dtype), 2, k=3)
    lists = torch.tensor([[2, 0, 1], [0, 1, 2]])
    counts = torch.tensor([5, 3, 1], dtype=dtype)
    assert torch.equal(ranking.ndcg_by_group(lists.to(dtype)), ranking.ndcg_by_group(lists))
    assert ranking.all_metrics(lists.to(dtype), counts, [2]) == ranking.all_metrics(lists, counts.long(), [2])
    hit, relevant, group = ranking.hits(lists), ranking.count, ranking.group(lists)
    for metric in (ndcg, recall, hit_rate, mrr):
        assert torch.equal(metric(hit, relevant.to(dtype), group.to(dtype)), metric(hit, relevant, group))


HIT, RELEVANT = torch.tensor([[True, False], [False, True]]), torch.tensor([1, 2])


@pytest.mark.parametrize("metric", [ndcg, recall, hit_rate, mrr])
@pytest.mark.parametrize(
    ("hit", "relevant", "group", "message"),
    [
        (HIT.float(), RELEVANT, None, "hit must be bool"),
        (HIT.long(), RELEVANT, None, "hit must be bool"),
        (HIT[0], RELEVANT, None, r"hit must be bool, of shape \(users, K\)"),
        (HIT, RELEVANT[:1], None, r"num_relevant must have shape \(2,\)"),
        (HIT, RELEVANT[:, None], None, "num_relevant must be 1-D"),
        (HIT, RELEVANT.float(), None, "num_relevant is float32"),
        (HIT, RELEVANT > 0, None, "num_relevant is bool"),
        (HIT, RELEVANT, HIT.long()[:1], r"group must have the shape of hit, \(2, 2\), got \(1, 2\)"),
        (HIT, RELEVANT, HIT.float(), "group is float32"),
    ],
)
def test_hits_that_do_not_fit_are_refused(metric, hit, relevant, group, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        metric(hit, relevant, group)


def test_lists_that_do_not_fit_are_refused() -> None:
    ranking = FullRanking(pairs([0, 1], [2, 1]), [], [0, 1, 2], 2, k=2)
    for items, message in (
        (torch.tensor([[0, 1]]), r"items must have shape \(2, K\), one list per ranked user, got \(1, 2\)"),
        (torch.tensor([0, 1]), r"items must have shape \(2, K\)"),
        (torch.tensor([[0.0], [1.0]]), "items is float32, but must be integers"),
        (torch.tensor([[0], [3]]), r"items must be ids in \[0, 3\), the items, or -1; got 3"),
        (torch.tensor([[0], [-2]]), r"items must be ids in \[0, 3\), the items, or -1; got -2"),
    ):
        for call in (ranking.hits, ranking.group, ranking.ndcg_by_group):
            with pytest.raises(ValueError, match=message):
                call(items)
    for groups, message in (
        ([0.0, 1.0, 2.0], "groups is float64"),
        ([0, 1, 3], r"groups must lie in \[0, 3\), the popularity groups"),
        (torch.zeros(3, 1, dtype=torch.long), "groups must be 1-D"),
    ):
        with pytest.raises(ValueError, match=message):
            FullRanking(pairs([0], [2]), [], groups, 2, k=2)
    with pytest.raises(ValueError, match="masked must be Interactions, got ndarray"):
        FullRanking(pairs([0], [2]), (np.array([0]), np.array([1])), [0, 1, 2], 2, k=2)
    for call in (lambda items: coverage(items, 3), lambda items: average_popularity(items, [1, 2, 3])):
        with pytest.raises(ValueError, match="items is float32"):
            call(torch.tensor([[0.0]]))
    with pytest.raises(ValueError, match=r"items must have shape \(users, K\)"):
        average_popularity(torch.tensor([0]), [1])
    for user, message in (
        (torch.ones(2, 2, dtype=torch.long), "user must be a floating-point tensor, got torch.int64"),
        (np.ones((2, 2)), "user must be a floating-point tensor, got ndarray"),
        (torch.ones(2, 3), "user and item must have one dimension d, got 3 and 2"),
    ):
        with pytest.raises(ValueError, match=message):
            ranking(user, torch.ones(3, 2))


# Lists of one's own


def test_a_list_that_names_an_item_twice_is_refused() -> None:
    """A hit that counts twice made a recall of 1.5."""
    ranking = FullRanking(pairs([0, 0, 1], [2, 1, 1]), [], [0, 1, 2, 2], 2, k=3)
    twice = torch.tensor([[3, 0, -1], [1, 0, 1]])
    popularity = torch.tensor([9, 8, 7, 6])
    hit = torch.zeros(2, 3, dtype=torch.bool)
    for call in (
        ranking.hits,
        ranking.group,
        ranking.ndcg_by_group,
        lambda items: ranking.all_metrics(items, popularity, [1]),
        lambda items: coverage(items, 4),
        lambda items: gini(items, 4),
        lambda items: average_popularity(items, popularity),
        lambda items: all_metrics(items, hit, torch.tensor([2, 1]), torch.zeros_like(items), popularity, [1]),
        lambda items: coverage(items[None], 4),
    ):
        with pytest.raises(ValueError, match="items names item 1 twice in one list: a list has each item once"):
            call(twice)
        call(torch.tensor([[2, -1, -1], [0, 1, -1]]))  # no item may stand there often


def test_recall_is_at_most_1() -> None:
    hit = torch.tensor([[True, True, True]])
    for metric in (ndcg, recall, hit_rate, mrr):
        with pytest.raises(ValueError, match="hit has more hits than num_relevant says a user has"):
            metric(hit, torch.tensor([2]))
        metric(hit, torch.tensor([3]))


def test_ids_of_several_lists_in_one_dimension_may_repeat() -> None:
    assert coverage(torch.tensor([0, 0, 1]), 4) == 0.5
    assert gini(torch.tensor([0, 0]), 2) == 0.5


def test_the_ranking_s_own_lists_cost_no_check(
    problem: tuple[torch.Tensor, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ranking = evaluator(problem, 5)
    expected = ranking(*problem[:2])

    def refuse(*_: object) -> None:
        raise AssertionError("lists that the ranking made were checked")

    monkeypatch.setattr("prismlib.ranking.check_lists", refuse)
    monkeypatch.setattr("prismlib.metrics._checked", refuse)
    assert ranking(*problem[:2]) == expected


@pytest.mark.parametrize("k", [2.0, True, "2", None, 0, -1, 4])
def test_k_is_a_whole_number_of_items(k: object) -> None:
    with pytest.raises(ValueError, match=r"k must (be a whole number|lie in \[1, 3\])"):
        FullRanking(pairs([0], [2]), [], [0, 1, 2], 2, k=k)
    lists = torch.tensor([[0, 1, 2]])
    ranking = FullRanking(pairs([0], [2]), [], [0, 1, 2], 2, k=3)
    with pytest.raises(ValueError, match=r"ks must (be a whole number|lie in \[1, 3\])"):
        ranking.all_metrics(lists, [1, 2, 3], [k])


def test_arguments_of_other_types_are_refused_in_one_line() -> None:
    held_out = pairs([0], [2])
    for masked, name in ((None, "NoneType"), (5, "int"), ([None], "NoneType"), ("ab", "str")):
        with pytest.raises(ValueError, match=f"masked must be Interactions, got {name}"):
            FullRanking(held_out, masked, [0, 1, 2], 2, k=2)
    for users in (2.0, None, "2", True):
        with pytest.raises(ValueError, match="num_users must be a whole number"):
            FullRanking(held_out, [], [0, 1, 2], users, k=2)
    ranking = FullRanking(held_out, [], [0, 1, 2], 2, k=2)
    for user, message in (
        (torch.ones(2, 4, device="meta"), "user is on the meta device"),
        (torch.ones(2, 4).to(torch.float8_e4m3fn), "user must be float16, bfloat16, float32 or float64, got float8"),
        (torch.ones(2, 4).to_sparse(), "user must be dense"),
    ):
        with pytest.raises(ValueError, match=message):
            ranking(user, torch.ones(3, 4))
        with pytest.raises(ValueError, match=message.replace("user", "table")):
            norm_summary(user, [1, 2])
    for items in (2.5, "4", None, 0):
        for metric in (coverage, gini):
            with pytest.raises(ValueError, match="num_items must be"):
                metric(torch.tensor([[0]]), items)
    with pytest.raises(ValueError, match="hit must be a bool tensor"):
        recall([[True]], torch.tensor([1]))
    with pytest.raises(ValueError, match=r"parts must have shape \(users, 3\)"):
        tail_ratio(torch.ones(3))
    with pytest.raises(ValueError, match="k must be a whole number"):
        dcg_discount(2.0)


def test_by_dot_product_alone_the_lists_and_scores_are_the_same(problem: tuple[torch.Tensor, ...]) -> None:
    user, item, _, _ = problem
    evaluate = evaluator(problem, 5)
    both, alone = evaluate.lists(user, item), evaluate.lists(user, item, cosine=False)
    assert list(both) == ["dot", "cosine"] and list(alone) == ["dot"] and torch.equal(both["dot"], alone["dot"])
    assert evaluate(user, item, cosine=False) == {"dot": evaluate(user, item)["dot"]}


# A GPU is asked once, at the end: what is out of the ordinary is then ranked again with a look


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("kind", ["ordinary", "tiny rows", "ties inside", "ties at the end", "not finite"])
def test_without_a_look_the_numbers_are_the_same(
    problem: tuple[torch.Tensor, ...], kind: str, cosine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, item = (x.clone() for x in problem[:2])
    if kind == "tiny rows":
        user[3], item[5] = user[3] * 1e-30, item[5] * 1e-30
    elif kind == "ties inside":
        item[1], item[7] = item[2], item[9]
    elif kind == "ties at the end":
        user[1] = 0  # all of this user's scores are equal
    elif kind == "not finite":
        item[2, 0] = torch.nan
    asked, unasked = evaluator(problem, 20), evaluator(problem, 20)
    unasked._looks, looked = False, []
    ranked = FullRanking._ranked

    def watched(self: FullRanking, *given: object, **named: bool) -> object:
        looked.append(named.get("looks", given[-1]))
        return ranked(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(FullRanking, "_ranked", watched)
    if kind == "not finite":
        for call in (asked, asked.lists, unasked, unasked.lists):
            with pytest.raises(ValueError, match="item has rows that are not finite: they cannot be ranked"):
                call(user, item, cosine)
        return
    expected, lists = asked(user, item, cosine), asked.lists(user, item, cosine)
    looked.clear()
    found, found_lists = unasked(user, item, cosine), unasked.lists(user, item, cosine)
    assert found == expected and all(torch.equal(found_lists[by], lists[by]) for by in lists)
    assert looked == ([False, True] if kind == "ties at the end" else [False]) * 2
