"""Files written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from designtwin.errors import DesignTwinError, MeshError


@contextmanager
def atomic(
    path: str | Path, *, error: type[DesignTwinError] = MeshError, make_folder: bool = False
) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all: temporary file beside it, fsync, rename.

    Parameters
    ----------
    path : path
    error : type of DesignTwinError
        What is raised.
    make_folder : bool
        Make the folder where there is none.

    Raises
    ------
    DesignTwinError
        If the folder does not exist, may not be written, or is full.
    """
    path = Path(path)
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.parent.is_dir():
            raise error(f"{path}: the folder {path.parent} does not exist")
        # Opened plainly, not by mkstemp, so that the file gets the rights any file of the user gets.
        with open(part, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if path.is_file():
            os.chmod(part, path.stat().st_mode & 0o777)
        os.replace(part, path)
    except BaseException as failure:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if not isinstance(failure, OSError):
            raise
        raise error(f"{path}: cannot be written: {failure.strerror or failure}") from failure
