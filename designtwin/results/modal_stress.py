"""Recovered stress of many displacement shapes at once: modes, and the static shapes that complete them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from designtwin.errors import StoreError
from designtwin.results.frames import MEMORY
from designtwin.results.static import StaticCase
from designtwin.typing import FloatArray

_WORK = 96_000_000
"""Bytes of samples, or of patch polynomials, that a batch of shapes may take."""
_CHUNK = 24_000_000
"""Bytes of what a caller makes of a chunk of rows."""


def modal_stress(shapes: Sequence[StaticCase], *, memory: int = MEMORY) -> FloatArray:
    """Stress of shapes at the rows of ``points``: what each one's ``stress()`` says, patches fitted once.

    Recovery is linear: the stress of any superposition of the shapes is the superposition of these.

    Parameters
    ----------
    shapes : sequence of StaticCase
        Modes (a ``ModalCase`` is such a sequence) and other shapes of the same model.
    memory : int
        Bytes up to which the answer is held in memory; beyond, it is mapped from a temporary file that goes
        with the array.

    Returns
    -------
    float64[m, rows, 6]
        xx yy zz xy yz xz, Pa per unit of each shape's coordinate. Take it by rows, see `row_chunks`.

    Raises
    ------
    StoreError
        If the disk has no room for what memory may not hold.
    """
    if not len(shapes):
        return np.zeros((0, 0, 6))
    recovery = shapes[0].recovery
    n = len(recovery.points)
    out = _room((len(shapes), n, 6), memory)
    done = 0
    while done < len(shapes):
        samples = [shapes[done]._sampled()]
        batch = max(1, int(_WORK // (48 * max(len(samples[0]), 10 * n // 4))))
        samples += [shapes[i]._sampled() for i in range(done + 1, min(done + batch, len(shapes)))]
        nodal = recovery.nodal(np.concatenate(samples, axis=1))
        for i in range(len(samples)):
            out[done + i] = nodal[:, 6 * i : 6 * i + 6]
        done += len(samples)
    return out


def row_chunks(n_rows: int, bytes_per_row: int) -> Iterator[slice]:
    """Slices of rows, so many that what a caller makes of each stays small.

    Parameters
    ----------
    n_rows : int
    bytes_per_row : int
        What the caller makes of one row, such as ``8 * 6 * (n_modes + n_frequencies)``.
    """
    step = max(64, _CHUNK // max(bytes_per_row, 1))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _room(shape: tuple[int, ...], memory: int) -> FloatArray:
    size = 8 * int(np.prod(shape))
    if size <= memory:
        return np.empty(shape)
    try:
        # Unlinked at once (or when closed, where the system wants that): it lives as long as the mapping.
        with tempfile.TemporaryFile(prefix="designtwin-stress-") as stream:
            if hasattr(os, "posix_fallocate"):  # a full disk must show now: a mapping would only crash
                os.posix_fallocate(stream.fileno(), 0, size)
            stream.truncate(size)
            return np.memmap(stream, np.float64, "r+", shape=shape)
    except OSError as error:
        raise StoreError(
            f"{tempfile.gettempdir()}: no room for {size / 1e9:.1f} GB of the stress of {shape[0]} shapes "
            f"({error.strerror or error}); ask for fewer modes, or set TMPDIR to a larger disk"
        ) from error
