"""The optional packages. Where one is missing, one line says how to install it."""

from __future__ import annotations

from importlib.util import find_spec


def need(extra: str, *packages: str) -> None:
    """Raise a ModuleNotFoundError that names the extra where one of its packages is not installed.

    Args:
        extra: a name of ``[project.optional-dependencies]`` in ``pyproject.toml``.
        packages: names to import, e.g. ``"pandas"``.

    Raises:
        ModuleNotFoundError: a package is missing; its ``name`` is the name of the package.

    >>> need("test", "pytest")
    >>> need("analysis", "no_such_package")
    Traceback (most recent call last):
    ModuleNotFoundError: no_such_package is not installed: run pip install -e '.[analysis]' in a checkout
    """
    for package in packages:
        if find_spec(package) is None:
            hint = f"run pip install -e '.[{extra}]' in a checkout"
            raise ModuleNotFoundError(f"{package} is not installed: {hint}", name=package)
