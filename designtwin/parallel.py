"""Threads for kernels that release the GIL: a range is cut into pieces, threads take piece by piece.

Kernels are compiled once, serially (`nogil=True`), and take `start, stop` first. What a kernel writes for
an index must not depend on where the range was cut: then the digits do not depend on the number of threads.
Sums over all indices go through fixed blocks whose parts are added up in order afterwards.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

_PIECES = 4  # per thread: one that loses its core for a while does not hold up the others


def _available() -> int:
    asked = os.environ.get("DESIGNTWIN_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


class _Job:
    """One call: pieces not yet taken, and what went wrong."""

    __slots__ = ("arguments", "bounds", "done", "failure", "kernel", "lock", "open", "taken")

    def __init__(self, kernel: Callable[..., Any], bounds: list[int], arguments: tuple[Any, ...]) -> None:
        self.kernel, self.bounds, self.arguments = kernel, bounds, arguments
        self.taken = iter(range(len(bounds) - 1))  # next() on it is atomic under the GIL
        self.open = len(bounds) - 1
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.failure: BaseException | None = None

    def work(self) -> None:
        finished = 0
        for piece in self.taken:
            try:
                if self.failure is None:
                    self.kernel(self.bounds[piece], self.bounds[piece + 1], *self.arguments)
            except BaseException as error:
                self.failure = error
            finished += 1
        if finished:
            with self.lock:
                self.open -= finished
                if not self.open:
                    self.done.set()


class _Team:
    def __init__(self, size: int) -> None:
        self.size = size
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        for _ in range(size - 1):
            threading.Thread(target=self._loop, daemon=True, name="designtwin").start()

    def _loop(self) -> None:
        while (job := self.jobs.get()) is not None:
            job.work()


_team: _Team | None = None
_inside = threading.local()


def _reset() -> None:
    global _team
    _team = None


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: the child starts its own
    os.register_at_fork(after_in_child=_reset)


def threads() -> int:
    """Threads that kernels run on: those set, else DESIGNTWIN_THREADS, else the cores of this process."""
    return _team.size if _team is not None else _available()


@contextmanager
def use_threads(n: int) -> Iterator[None]:
    """Run on n threads inside a with block; results have the same digits for any n."""
    global _team
    before = _team
    _team = _Team(n)
    try:
        yield
    finally:
        for _ in range(n - 1):
            _team.jobs.put(None)
        _team = before


def run(kernel: Callable[..., Any], n: int, *arguments: Any, grain: int = 1) -> None:
    """Call kernel(start, stop, *arguments) over range(n), on all threads.

    Parameters
    ----------
    kernel : function
        Releases the GIL; what it writes for an index does not depend on start and stop.
    n : int
        Length of the range.
    grain : int
        Pieces begin at multiples of it; a range of one grain runs in the calling thread.
    """
    global _team
    if _team is None:
        _team = _Team(_available())
    grains = -(-n // grain)
    pieces = min(grains, _PIECES * _team.size)
    if pieces <= 1 or _team.size == 1:
        if n > 0:
            kernel(0, n, *arguments)
        return
    bounds = [min(n, grain * (grains * piece // pieces)) for piece in range(pieces)] + [n]
    job = _Job(kernel, bounds, arguments)
    for _ in range(min(_team.size, pieces) - 1):
        _team.jobs.put(job)
    job.work()
    job.done.wait()
    if job.failure is not None:
        raise job.failure
