"""Compiled core: arrays in, arrays out; knows no class of ours."""

from __future__ import annotations

import getpass
import os
import tempfile
from typing import Any

from numba import config
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys


def _cache_somewhere() -> None:
    """Let Numba cache in a temporary folder where neither the package nor a home can be written.

    It looks beside the source, then in the user's cache folder, and refuses functions that fit in neither, as
    in a container that runs without a home.
    """
    try:
        FunctionCache(_cache_somewhere)
    except RuntimeError:
        who = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
        config.CACHE_DIR = os.path.join(tempfile.gettempdir(), f"designtwin-{who}")


def _load_without_compiler() -> None:
    """Load our cached kernels as they are; Numba would set up its compiler first, in a fifth of a second.

    Cached machine code needs Numba's runtime alone. Whatever is not in the cache, and every function of
    others, takes Numba's own way.
    """
    numbas_own = FunctionCache.load_overload

    def load_overload(self: Any, signature: Any, target: Any) -> Any:
        if self._py_func.__module__.startswith(f"{__name__}."):
            rtsys.initialize(target)
            with self._guard_against_spurious_io_errors():
                found = self._load_overload(signature, target)
                if found is not None:
                    return found
        return numbas_own(self, signature, target)

    private = ("_guard_against_spurious_io_errors", "_load_overload")
    if all(hasattr(FunctionCache, name) for name in private) and hasattr(rtsys, "initialize"):
        FunctionCache.load_overload = load_overload


_cache_somewhere()
_load_without_compiler()
