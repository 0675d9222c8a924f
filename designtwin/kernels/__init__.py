"""Compiled core: arrays in, arrays out; knows no class of ours."""

from __future__ import annotations

import getpass
import os
import tempfile

from numba import config
from numba.core.caching import FunctionCache


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


_cache_somewhere()
