"""Other libraries on the same interactions: seconds an epoch and an evaluation. Called by bench.py --others.

    python benchmarks/others.py PAIRS.npz

Runs in an environment of its own, because these libraries pin what prismlib does not: `pip install implicit recbole`.
A library that is not there, or does not run, says so. The last line printed is a JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np


def with_implicit(train: np.ndarray, held_out: np.ndarray, sizes: np.ndarray) -> str:
    from implicit.bpr import BayesianPersonalizedRanking
    from implicit.evaluation import ranking_metrics_at_k
    from scipy.sparse import csr_matrix

    def matrix(pairs: np.ndarray) -> csr_matrix:
        return csr_matrix((np.ones(pairs.shape[1], np.float32), (pairs[0], pairs[1])), shape=tuple(sizes))

    model = BayesianPersonalizedRanking(factors=63, iterations=3, random_state=0)  # and one for the bias: 64
    start = time.perf_counter()
    model.fit(matrix(train), show_progress=False)
    epoch = (time.perf_counter() - start) / 3
    start = time.perf_counter()
    ranking_metrics_at_k(model, matrix(train), matrix(held_out), K=20, show_progress=False)
    return f"BPR {epoch:.2f} s an epoch, NDCG@20 of one ranking {time.perf_counter() - start:.2f} s"


def with_recbole(train: np.ndarray, held_out: np.ndarray, sizes: np.ndarray) -> str:
    import tempfile
    from pathlib import Path

    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer

    results = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "gowalla")
        place.mkdir()
        for part, pairs in (("train", train), ("valid", held_out), ("test", held_out)):
            rows = "\n".join(f"{u}\t{i}" for u, i in pairs.T)
            place.joinpath(f"gowalla.{part}.inter").write_text(f"user_id:token\titem_id:token\n{rows}\n")
        for name in ("BPR", "LightGCN"):
            settings = {
                "data_path": folder,
                "benchmark_filename": ["train", "valid", "test"],
                "load_col": {"inter": ["user_id", "item_id"]},
                "eval_args": {"order": "RO", "mode": "full", "split": {"LS": "valid_and_test"}},
                "metrics": ["NDCG"],
                "topk": [20],
                "valid_metric": "NDCG@20",
                "train_batch_size": 16384,
                "eval_batch_size": 4096 * 256,
                "embedding_size": 64,
                "use_gpu": False,
                "state": "ERROR",
                "show_progress": False,
                "checkpoint_dir": folder,
            }
            config = Config(model=name, dataset="gowalla", config_dict=settings)
            dataset = create_dataset(config)
            train_data, valid_data, _ = data_preparation(config, dataset)
            model = get_model(name)(config, train_data.dataset).to("cpu")
            trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
            start = time.perf_counter()
            trainer._train_epoch(train_data, 0, show_progress=False)
            epoch = time.perf_counter() - start
            start = time.perf_counter()
            with torch.no_grad():
                trainer.evaluate(valid_data, load_best_model=False)
            results.append(f"{name} {epoch:.2f} s an epoch, evaluation {time.perf_counter() - start:.2f} s")
    return "; ".join(results)


def main() -> None:
    with np.load(sys.argv[1]) as arrays:
        train, held_out, sizes = arrays["train"], arrays["held_out"], arrays["sizes"]
    results: dict[str, str] = {}
    libraries: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], str]] = {
        "implicit": with_implicit,
        "RecBole": with_recbole,
    }
    for name, run in libraries.items():
        try:
            results[name] = run(train, held_out, sizes)
        except Exception as error:  # another library's failure is a result here
            results[name] = (
                f"did not run ({type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''})"
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
