"""Optional packages: imported when used, with a word on how to get them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from designtwin.errors import OptimizationError

EXTRAS = {"cma": "global", "pymoo": "global", "smt": "surrogate"}


def has(package: str) -> bool:
    """True where an optional package is installed."""
    return find_spec(package) is not None


def load(module: str, *, method: str) -> Any:
    """A module of an optional package.

    Raises
    ------
    OptimizationError
        If it is not installed; names the extra that brings it.
    """
    package = module.split(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        raise OptimizationError(
            f"method={method!r} needs {package}, which is not installed: pip install "
            f"'designtwin[{EXTRAS[package]}]'"
        ) from error
