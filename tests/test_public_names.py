"""What a user finds in prismlib: the names it exports, and what importing it loads."""

from __future__ import annotations

import subprocess
import sys


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_prismlib_loads_neither_the_baselines_nor_triton() -> None:
    loaded = loaded_by("import prismlib")
    assert {"prismlib", "prismlib.train", "prismlib.losses"} <= loaded
    assert not loaded & {"prismlib.baselines", "triton", "pandas", "matplotlib", "prismbook"}
    assert "prismlib.baselines" in loaded_by("import prismlib.baselines")
