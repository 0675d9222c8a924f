"""Threads share a range: every index once, the same digits for any number of threads, errors come through."""

import threading

import numpy as np
import pytest
from numba import njit

from designtwin import parallel


@njit(nogil=True)
def square(start, stop, x, y):
    for i in range(start, stop):
        y[i] += x[i] * x[i]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("n", "grain"), [(0, 1), (1, 1), (7, 1), (1000, 1), (1000, 64), (1000, 5000)])
def test_every_index_is_done_once(threads, n, grain):
    x, y = np.arange(float(n)), np.zeros(n)
    with parallel.use_threads(threads):
        assert parallel.threads() == threads
        parallel.run(square, n, x, y, grain=grain)
    np.testing.assert_array_equal(y, x * x)


def test_pieces_begin_at_multiples_of_the_grain_and_all_threads_work():
    seen, together = [], threading.Barrier(2)

    def work(start, stop):
        seen.append((start, stop, threading.current_thread().name))
        if len(seen) <= 2:  # the first piece of each thread waits for the other's
            together.wait(timeout=30)

    with parallel.use_threads(2):
        parallel.run(work, 1000, grain=64)
    assert len({name for *_, name in seen}) == 2
    edges = sorted((start, stop) for start, stop, _ in seen)
    assert all(start % 64 == 0 for start, _ in edges)
    assert [start for start, _ in edges] == [0, *(stop for _, stop in edges[:-1])]
    assert edges[-1][1] == 1000


def test_an_error_in_a_piece_comes_through_and_the_team_lives_on():
    def work(start, stop):
        if start >= 500:
            raise MemoryError("no room")

    with parallel.use_threads(2):
        with pytest.raises(MemoryError, match="no room"):
            parallel.run(work, 1000)
        y = np.zeros(10)
        parallel.run(square, 10, np.ones(10), y)
    np.testing.assert_array_equal(y, 1.0)


def test_the_environment_sets_the_number(monkeypatch):
    monkeypatch.setenv("DESIGNTWIN_THREADS", "3")
    assert parallel._available() == 3
    monkeypatch.setenv("DESIGNTWIN_THREADS", "many")
    assert parallel._available() >= 1
