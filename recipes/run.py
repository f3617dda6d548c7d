"""Run the recipes that the book shows, each with its library's versions in an environment of its own.

    python recipes/run.py [NAME ...]

Environments are made under .recipes/, which git ignores, by uv where it can be had; they are made again when a recipe's
requirements change. A library that cannot be installed here is skipped by name. What a recipe reports is stored in
recipes/results.json and, for the book, in recipes/results.csv.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HERE = ROOT / "recipes"
STORED = HERE / "results.json"
TABLE = HERE / "results.csv"
#: Each library, in the order of the page, and the file that is run.
RECIPES = {
    "recbole": "recbole_directau.py",
    "lenskit": "lenskit_flexmf.py",
    "cornac": "cornac_bpr.py",
    "torchrec": "torchrec_cpu.py",
    "popularity": "popularity.py",
    "trackers": "trackers.py",
}
#: Seconds that one recipe may take.
LIMIT = 3600


def requirements(name: str) -> tuple[list[str], list[str]]:
    """What is installed with its dependencies, and what without: lines such as ``# no-deps: torchrec==1.9.2``."""
    lines = (HERE / "requirements" / f"{name}.txt").read_text().splitlines()
    alone = [line.removeprefix("# no-deps: ") for line in lines if line.startswith("# no-deps: ")]
    return [line for line in lines if line and not line.startswith("#")], alone


def environment(name: str) -> Path:
    """The Python of a recipe's environment, which is made where there is none with these requirements."""
    folder = ROOT / ".recipes" / name
    digest = hashlib.sha256((HERE / "requirements" / f"{name}.txt").read_bytes()).hexdigest()
    python, ready = folder / "bin/python", folder / "ready"
    if ready.exists() and ready.read_text() == digest:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), folder], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
    with_others, alone = requirements(name)
    links = {"UV_FIND_LINKS": os.environ["PIP_FIND_LINKS"]} if "PIP_FIND_LINKS" in os.environ else {}
    subprocess.run([*install, *with_others], check=True, capture_output=True, text=True, env=os.environ | links)
    if alone:
        subprocess.run([*install, "--no-deps", *alone], check=True, capture_output=True, text=True)
    ready.write_text(digest)
    return python


def run(name: str) -> dict[str, Any] | None:
    """What a recipe reports; None where its library cannot be installed.

    Raises:
        RuntimeError: the recipe fails.
    """
    try:
        python = environment(name)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or [str(error)]
        print(f"{name}: skipped, it cannot be installed here: {last[0]}", flush=True)
        return None
    start = time.perf_counter()
    done = subprocess.run(
        [python, "-W", "ignore", HERE / RECIPES[name]],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} fails:\n{done.stderr[-3000:]}")
    print(f"{name}: works, {time.perf_counter() - start:.0f} s", flush=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(stored: dict[str, dict[str, Any]]) -> str:
    """What the recipes reported as CSV: a line for each score, or one that the recipe works."""
    lines = ["recipe,version,regulariser at 0,trained,test NDCG@20"]
    for name, found in stored.items():
        own = f'{name},"{found["version"]}",{found.get("regulariser", "")}'
        lines += [f'{own},"{what}",{score:.4f}' for what, score in found["scores"].items()] or [f"{own},works,"]
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> int:
    """Run recipes and store what they report; 1 where one fails."""
    unknown = set(names) - RECIPES.keys()
    if unknown:
        raise SystemExit(f"no recipe is called {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    failed = 0
    for name in names or RECIPES:
        try:
            found = run(name)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(error, flush=True)
            failed = 1
            continue
        if found is not None:
            stored = json.loads(STORED.read_text()) if STORED.exists() else {}
            stored[name] = found | {"requirements": requirements(name)[0] + requirements(name)[1]}
            ordered = {key: stored[key] for key in RECIPES if key in stored}
            STORED.write_text(json.dumps(ordered, indent=1) + "\n")
            TABLE.write_text(table(ordered))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
