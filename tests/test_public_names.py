"""What a user finds in prismlib: the names it exports, and what importing it loads."""

from __future__ import annotations

import subprocess
import sys

import prismlib


def loaded_by(*statements: str) -> list[set[str]]:
    """The modules that a fresh Python has loaded after each of some statements."""
    code = "\n".join(["import sys", *(f"{statement}\nprint(*sorted(sys.modules))" for statement in statements)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_importing_prismlib_loads_neither_the_baselines_nor_triton() -> None:
    loaded, later = loaded_by("import prismlib", "import prismlib.baselines")
    assert {"prismlib", "prismlib.train", "prismlib.losses"} <= loaded
    assert not loaded & {"prismlib.baselines", "triton", "pandas", "matplotlib", "prismbook"}
    assert "prismlib.baselines" in later


def test_prismlib_exports_what_a_newcomer_needs_and_nothing_else() -> None:
    expected = {
        *("prism_", "prism", "prism_norm"),
        *("MF", "NonLinearMF", "LightGCN", "Backbone"),
        *("BPR", "SSM", "DirectAU", "MAWU", "RankingLoss", "ScoreLoss"),
        *("fit", "train_step", "History"),
        *("FullRanking", "ndcg", "popularity_groups"),
        *("Interactions", "Dataset", "Split", "random_split", "dataset_from_pairs", "synthetic"),
    }
    assert len(expected) == 25 and set(prismlib.__all__) == expected and len(prismlib.__all__) == 25
    assert all(getattr(prismlib, name).__module__.startswith("prismlib.") for name in expected)
