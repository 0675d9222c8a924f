"""Rainflow: the standard's counts, the same however a history is cut, and the peer's answer."""

import json
from collections import Counter
from itertools import pairwise

import fatpack
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from surroundings import FULL

import designtwin as dtw
from designtwin.fatigue import cycles as ours
from designtwin.kernels import rainflow as kernels

ASTM = [-2, 1, -3, 5, -1, 3, -4, 4, -2]
levels = st.lists(st.integers(-6, 6), min_size=2, max_size=60)  # few levels: ties, plateaus and closed loops
numbers = st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=2, max_size=80)
histories = st.one_of(levels, numbers)
MANY = settings(max_examples=1000 if FULL else 150, deadline=None, derandomize=True)


def turning_points(history):
    """First and last sample and all peaks and valleys between, each once."""
    turns = [float(history[0])]
    for x in map(float, history[1:]):
        if x == turns[-1]:
            continue
        if len(turns) >= 2 and (x > turns[-1]) == (turns[-1] > turns[-2]):
            turns[-1] = x
        else:
            turns.append(x)
    return turns


def by_the_standard(history):
    """ASTM E1049-85 (2017), 5.4.4, step by step: the three-point rule with half cycles at the start."""
    found = []
    points = []
    for peak in turning_points(history):
        points.append(peak)
        while len(points) >= 3:
            x, y = abs(points[-1] - points[-2]), abs(points[-2] - points[-3])
            if x < y:
                break
            if len(points) == 3:
                found.append((y, 0.5))
                points.pop(0)
            else:
                found.append((y, 1.0))
                last = points.pop()
                del points[-2:]
                points.append(last)
    found += [(abs(b - a), 0.5) for a, b in pairwise(points)]
    total = Counter()
    for size, count in found:
        total[size] += count
    return dict(sorted(total.items()))


def test_astm_example_is_exact():
    # ASTM E1049-85 (2017), fig. 6
    assert dtw.rainflow(ASTM).by_range() == {3.0: 0.5, 4.0: 1.5, 6.0: 0.5, 8.0: 1.0, 9.0: 0.5}
    counts = dtw.rainflow(ASTM)
    closed = counts.count == 1.0
    assert_array_equal(np.column_stack([counts.lowest, counts.highest])[closed], [[-1, 3]])


def test_astm_example_repeated_is_exact():
    # ASTM E1049-85 (2017), fig. 7: the same history, repeated
    assert dtw.rainflow(ASTM, residue="repeated").by_range() == {3.0: 1.0, 4.0: 1.0, 7.0: 1.0, 9.0: 1.0}


@MANY
@given(histories)
def test_counts_are_those_of_the_standard(history):
    if len(set(history)) == 1:
        return
    ours, standard = dtw.rainflow(history).by_range(), by_the_standard(history)
    assert ours == standard


@settings(MANY, max_examples=1000)
@given(histories)
@example([0.0, 1.0, 0.0, 1.0, 0.0])
def test_cycles_and_residue_are_those_of_fatpack(history):
    found, residue = fatpack.find_rainflow_cycles(turning_points(history))
    counter = dtw.Rainflow()
    counter.push(history)
    mine = counter.cycles("none")
    ends = np.sort(np.reshape(found, (-1, 2)), axis=1)
    assert_array_equal(mine.range, ends[:, 1] - ends[:, 0])
    assert_array_equal(mine.mean, 0.5 * (ends[:, 0] + ends[:, 1]))
    if len(residue) > 1:
        assert_array_equal(counter.residue, residue)


@MANY
@given(histories, st.data())
def test_where_a_history_is_cut_makes_no_difference(history, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(history)), max_size=8)))
    whole, pieces = dtw.Rainflow(), dtw.Rainflow()
    whole.push(history)
    closed = []
    for begin, end in zip([0, *cuts], [*cuts, len(history)]):
        closed.append(pieces.push(history[begin:end]))
        pieces = dtw.Rainflow.from_dict(json.loads(json.dumps(pieces.to_dict())))  # saved and restored
    for residue in ("half", "repeated", "none"):
        a, b = whole.cycles(residue), pieces.cycles(residue)
        assert_array_equal([a.range, a.mean, a.count], [b.range, b.mean, b.count])
    joined = dtw.Cycles.together(closed)
    assert_array_equal(joined.range, whole.cycles("none").range)
    assert pieces.samples == len(history)


def test_long_histories_go_through_in_pieces(monkeypatch):
    rng = np.random.default_rng(5)
    # a residue longer than a piece: ranges that grow to the middle and shrink after it
    growing = np.linspace(0.0, 1.0, 300) * np.tile([1.0, -1.0], 150)
    history = np.concatenate([growing, rng.normal(size=2000) * 0.1, growing[::-1]])
    expected = dtw.rainflow(history)
    monkeypatch.setattr(ours, "_PIECE", 7)
    counted = dtw.rainflow(history)
    assert_array_equal([counted.range, counted.mean], [expected.range, expected.mean])


@MANY
@given(histories, st.floats(-100, 100).filter(lambda a: abs(a) > 1e-3))
def test_range_is_spent_and_scaled(history, factor):
    cycles = dtw.rainflow(history)
    # each closed cycle takes its range twice from the way the signal goes, each half cycle once
    assert_allclose(2.0 * cycles.range @ cycles.count, np.abs(np.diff(history)).sum(), rtol=1e-9, atol=1e-9)
    assert_allclose(cycles.scaled(factor).range, abs(factor) * cycles.range)
    if cycles.total:
        assert cycles.range.max() == pytest.approx(np.ptp(history))
        assert cycles.lowest.min() == pytest.approx(np.min(history))


@MANY
@given(histories)
def test_repeating_a_history_adds_the_repeated_count(history):
    once, twice = dtw.rainflow(history, residue="repeated"), dtw.Rainflow()
    twice.push(history)
    twice.push(history)
    again = twice.cycles("repeated")
    assert_allclose(np.sort(again.range), np.sort(np.repeat(once.range, 2)), rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(histories)
def test_kernel_is_its_python(history):
    values = np.array(history, dtype=float)
    results = []
    for count in (kernels.count, kernels.count.py_func):
        stack, ranges, means = np.zeros((3, len(values)))
        size, closed = count(values, stack, 0, ranges, means)
        results.append(
            (size, closed, stack[:size].tolist(), ranges[:closed].tolist(), means[:closed].tolist())
        )
    assert results[0] == results[1]


def test_histogram_matrix_and_spectrum_hold_every_cycle():
    cycles = dtw.rainflow(np.random.default_rng(1).normal(size=5000))
    counts, edges = cycles.histogram(32)
    matrix, ranges, means = cycles.matrix(32, 16)
    assert counts.sum() == matrix.sum() == cycles.total
    assert_allclose(matrix.sum(axis=1), counts)
    assert (len(edges), len(ranges), len(means)) == (33, 33, 17)
    sizes, above = cycles.exceedance()
    assert (np.diff(sizes) <= 0).all()
    assert above[-1] == cycles.total
    curve = dtw.SNCurve(amplitude="1 MPa", cycles=1e6, slope=5)
    gathered = cycles.scaled(1e6).binned(256)
    assert 1.0 <= curve.damage(gathered) / curve.damage(cycles.scaled(1e6)) < 1.1
    with pytest.raises(dtw.FatigueError, match=r"cycles have a range outside of the classes"):
        cycles.histogram(np.linspace(0.0, 1.0, 5))


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ([1.0, np.nan, 2.0, np.inf], r"2 of 4 samples are no finite number, the first is sample 1 \(nan\)"),
        ([3.0], "a history of 1 sample"),
        ([], "a history of 0 sample"),
        ([[1.0, 2.0], [3.0, 4.0]], r"shape \(2, 2\)"),
        (["a", "b"], "a history is a row of numbers"),
    ],
)
def test_bad_histories_are_named(history, words):
    with pytest.raises(dtw.FatigueError, match=words):
        dtw.rainflow(history)


def test_a_bad_piece_is_told_by_its_place_in_the_whole_and_not_counted():
    counter = dtw.Rainflow()
    counter.push(np.zeros(100))
    before = counter.to_dict()
    with pytest.raises(dtw.FatigueError, match="the first is sample 102"):
        counter.push([1.0, 2.0, np.nan])
    assert counter.to_dict() == before


def test_a_counter_without_end_keeps_the_residue_alone():
    counter, rng = dtw.Rainflow(keep=False), np.random.default_rng(2)
    history = rng.normal(size=50_000)
    total = sum(counter.push(piece).total for piece in np.array_split(history, 50))
    assert total + counter.rest().total == dtw.rainflow(history).total
    with pytest.raises(dtw.FatigueError, match="keeps no cycles"):
        counter.cycles()
    assert counter.to_dict()["closed"]["range"]["shape"] == [0]
    with pytest.raises(dtw.FatigueError, match="residue is 'full'"):
        counter.rest("full")
