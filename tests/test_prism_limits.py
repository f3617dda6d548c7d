"""What PRISM costs, and how far the advice on it reaches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from made_up import made_up, store

from prismbook.pages import prism_limits
from prismbook.plan.experiments import configs, grid_configs
from prismbook.runs.records import Record
from prismbook.tables import decay_vs_prism, ways


def by(optimizer: str, lr: float, validation: float, with_it: float = 0.2, dataset: str = "movielens1m") -> Record:
    """A run of the law by an optimiser, with what lengths at scoring give."""
    [config] = [
        each
        for each in configs("law", dataset)
        if (each.optimizer, each.lr, each.init, each.seed) == (optimizer, lr, "xavier", 123)
        and (each.backbone, each.loss, each.weight_decay) == ("mf", "directau", 0.0)
    ]
    scored = [{"ndcg": each, "popular": each, "neutral": 0.0, "unpopular": 0.0} for each in (0.1, with_it)]
    lengths: dict[str, Any] = {"exponents": [0.0, 0.25], "chosen": 0.25, "test": scored}
    return made_up(config, (0.08, 0.0, 0.02), [0.0, validation], lengths=lengths)


def test_of_an_optimiser_the_rate_counts_that_validation_ranks_best() -> None:
    runs = [by("rowwise_adagrad", 0.1, 0.2, 0.3), by("rowwise_adagrad", 0.3, 0.1, 0.4)]
    text = prism_limits.of_sparse_optimisers("movielens1m", runs)
    assert text == (
        "On MovieLens1M row-wise Adagrad has NDCG@20 0.1000, and 0.3000 with lengths at scoring"
        " (1 seed, ratio 0.25 and 0.00)."
    )
    assert "0.4000" in prism_limits.of_sparse_optimisers("movielens1m", runs[1:])
    assert prism_limits.of_sparse_optimisers("movielens1m", [by("sgd", 30.0, 0.2)]) == ""


def test_that_prism_was_not_run_beside_them_is_said_once(tmp_path: Path) -> None:
    for dataset in ("movielens1m", "gowalla"):
        store(tmp_path, by("rowwise_adagrad", 0.1, 0.2, dataset=dataset))
    text = prism_limits.stored_of_sparse_optimisers(tmp_path)
    assert "On MovieLens1M" in text and "On Gowalla" in text
    assert text.count("Whether PRISM helps") == 1 and text.endswith("was not run with DirectAU.")
    [fast] = [c for c in configs("speed", "movielens1m") if (c.loss, c.optimizer) == ("directau", "sparse_adam")]
    store(tmp_path, made_up(fast))
    text = prism_limits.stored_of_sparse_optimisers(tmp_path)
    assert f"run with lazy Adam](speed.ipynb) at gamma {fast.gamma:g}, and" in text and "was not run with" not in text


def test_epochs_are_those_to_the_best_and_time_needs_one_kind_of_machine(tmp_path: Path) -> None:
    none, prism = (grid_configs("gowalla", "directau", 0.0, **how)[0] for how in ({}, {"init": "prism", "alpha": 1.0}))
    store(tmp_path, made_up(none, validation=[0.0, 0.1]))
    slow = {"train": 10.0, "evaluate": 2.0, "cpu": 3.0}
    late = made_up(prism, validation=[0.0, *[0.05] * 4, 0.1], seconds=slow)
    path = store(tmp_path, late)
    text = prism_limits.epochs_and_time([ways.compared("gowalla", "directau", tmp_path)])
    assert "Against no decay DirectAU needs 3.0 times the epochs on Gowalla (4.0 in time)." in text
    path.unlink()
    store(tmp_path, late | {"environment": {"device": "another", "commit": "0123456789+"}})
    text = prism_limits.epochs_and_time([ways.compared("gowalla", "directau", tmp_path)])
    assert "needs 3.0 times the epochs on Gowalla." in text and "in time" not in text


def test_behind_layers_a_change_is_one_that_decides(tmp_path: Path) -> None:
    users = np.linspace(0.1, 0.2, 50)
    [decay] = grid_configs("gowalla", "directau", 1e-4, backbone="nonlinear-mf")
    [prism] = grid_configs("gowalla", "directau", 0.0, backbone="nonlinear-mf", init="prism", alpha=1.0)
    store(tmp_path, made_up(decay), users)
    store(tmp_path, made_up(prism), 1.1 * users)
    pair = decay_vs_prism.pair("gowalla", "nonlinear-mf", "directau", tmp_path)
    text = prism_limits.behind_layers([pair], [])
    assert (
        text
        == "With the ReLU PRISM's NDCG@20 against tuned decay is +10.0\N{NO-BREAK SPACE}% on Gowalla (open: more of the"
        " search could turn it) with DirectAU."
    )
    released = prism_limits.behind_layers([pair], [replace(pair, protocol="released")])
    assert "released code" in released and released.count("(open") == 1
    other = replace(pair, at_values=(pair, replace(pair, comparison=replace(pair.comparison, by_seed=(-0.01,)))))
    assert prism_limits.behind_layers([other], []) == (
        f"{text} For DirectAU on Gowalla the sign hangs on the loss's gamma: -6.7\N{NO-BREAK SPACE}% at 5."
    )
    for path in tmp_path.rglob("*-*.*"):
        path.unlink()
    store(tmp_path, made_up(decay, stopped_by="max_epochs"), users)
    store(tmp_path, made_up(prism), 1.1 * users)
    pair = decay_vs_prism.pair("gowalla", "nonlinear-mf", "directau", tmp_path)
    assert pair.comparison is not None and prism_limits.behind_layers([pair], []) == ""


def test_what_lengths_cost_an_index_is_read_from_the_measurement(tmp_path: Path) -> None:
    columns = ["index", "items", "recall@20", "recall@20, one length"]
    rows = [("exact", 1000, 1.0, 1.0), ("faiss A", 1000, 0.5, 0.9), ("faiss B", 1000, 0.8, 0.95)]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "serving_million.csv", index=False)
    text = prism_limits.of_an_index(tmp_path)
    first = "On 1,000 generated items A finds 0.50 of the exact lists, and 0.90 with rows of one length."
    assert first in text and "There B finds 0.80 of the exact lists, and 0.95 with rows of one length." in text


def test_behind_layers_lengths_stand_beside_the_search_at_their_seed(tmp_path: Path) -> None:
    [config] = [each for each in configs("law", "movielens1m") if each.backbone == "nonlinear-mf"]
    scored = [{"ndcg": each, "popular": each, "neutral": 0.0, "unpopular": 0.0} for each in (0.1, 0.3)]
    lengths = {"exponents": [0.0, 0.25], "chosen": 0.25, "test": scored}
    store(tmp_path, made_up(config, parts=(0.1, 0.0, 0.0), lengths=lengths))
    alone = (
        "Behind a perceptron a training without decay that stops by lengths at scoring has NDCG@20 0.3000 with them on"
        " MovieLens1M, and 0.1000 at its own (DirectAU, 1 seed, b = 0.25)."
    )
    assert prism_limits.lengths_behind_layers(tmp_path) == alone
    [decay] = grid_configs("movielens1m", "directau", 1e-4, backbone="nonlinear-mf")
    store(tmp_path, made_up(decay, parts=(0.2, 0.0, 0.0)))
    assert prism_limits.lengths_behind_layers(tmp_path) == f"{alone} At that seed tuned decay has 0.2000."


def test_behind_a_graph_it_is_said_that_no_decay_was_run(tmp_path: Path) -> None:
    """LightGCN has no search in Table 1: before, the sentence looked for one and failed."""
    [config] = [each for each in configs("law", "movielens1m") if each.backbone == "lightgcn"]
    scored = [{"ndcg": each, "popular": each, "neutral": 0.0, "unpopular": 0.0} for each in (0.1, 0.3)]
    lengths = {"exponents": [0.0, 0.25], "chosen": 0.25, "test": scored}
    store(tmp_path, made_up(config, parts=(0.1, 0.0, 0.0), lengths=lengths))
    text = prism_limits.lengths_behind_layers(tmp_path)
    assert text.startswith("Behind a graph (LightGCN)") and text.endswith("No run there has it with decay.")
    [decayed] = grid_configs("movielens1m", "directau", 1e-4, backbone="lightgcn")
    store(tmp_path, made_up(decayed, parts=(0.2, 0.0, 0.0)))
    assert "No run there" not in prism_limits.lengths_behind_layers(tmp_path)
