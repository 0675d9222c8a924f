"""The error that comes with each value holds the truth, or the verdict says CANNOT TELL.

D06 (displacement), D09 to D12, on every element at six mesh sizes (three in `make test`). Limits are
scattered around the truth; on none of them may a requirement pass that the truth fails, or the other way
round. The figures behind: ``python tests/verification/intervals.py``.
"""

from __future__ import annotations

import cases
import numpy as np
import pytest
from builders import box, rectangle
from cases import PLANE, elastic
from intervals import KNOWN, SOLIDS, coverage, ratio, rows, sizes
from surroundings import FULL

import designtwin as dtw
from designtwin.mesh import Group
from designtwin.requirements import CANNOT_TELL, FAIL, PASS

SHARES = (
    0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 1.002, 1.005, 1.01, 1.02, 1.05, 1.1, 1.2, 1.3, 2.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "element"),
    [pytest.param(c, e, id=f"{c}-{e}".replace(" ", "_")) for c in KNOWN for e in KNOWN[c][1]],
)
def test_no_verdict_contradicts_the_truth(case, element):
    build, _, known = KNOWN[case]
    for n in sizes(case, element) if FULL else sizes(case, element)[:3]:
        result = dtw.solve_static(build(element, n))
        for one in known:
            value = one.quantity.evaluate(result)
            assert value.low <= one.high, (n, one.quantity.label, value)
            assert one.low <= value.high, (n, one.quantity.label, value)
            for share in SHARES:
                limit = share * one.low
                truth, found = one.verdict(limit), (one.quantity <= limit).judge(result).status
                assert CANNOT_TELL in (found, truth) or found == truth, (n, one.quantity.label, value, limit)
                opposite = (one.quantity >= limit).judge(result).status
                assert {found, opposite} in ({PASS, FAIL}, {CANNOT_TELL}), "the two sides of one limit"


@pytest.mark.parametrize("element", ["triangle6", "quad8", "quad"])
def test_intervals_are_narrow_enough_to_decide(element):
    """On the finest mesh of the share a limit 20 % off is decided; the last halving shrinks it."""
    for case in ("D09 LE1", "D11a Kirsch"):
        build, _, known = KNOWN[case]
        width = []
        for n in (4, 8, 16) if element == "quad" else (2, 4, 8):
            result = dtw.solve_static(build(element, n))
            value = known[0].quantity.evaluate(result)
            width.append(value.high - value.low)
        assert width[2] < 0.6 * width[1]
        for share, status in ((0.8, FAIL), (1.2, PASS)):
            assert (known[0].quantity <= share * known[0].low).judge(result).status == status


@pytest.mark.skipif(not FULL, reason="six sizes of everything take minutes; make verify")
def test_half_widths_are_a_few_true_errors_and_shrink():
    """Found are a median of 7.6 true errors and, in the plane on the finest mesh, undecided within 2.3 %:
    what others ask for (`elsewhere.py`); factors fitted to these alone gave 4.6 and 1.4 %."""
    found = list(rows())
    assert ratio(found) < 8.0
    for case, (_, elements, known) in KNOWN.items():
        for element in elements:
            finest = [row for row in found if row.case == case and row.element == element][-len(known) :]
            if element in PLANE:
                assert max(row.beyond / abs(row.truth) for row in finest) < 0.025, (case, element)


@pytest.mark.parametrize("element", [*PLANE, *SOLIDS])
def test_intervals_hold_the_truth_at_nodes_nobody_asked_for(element):
    """Of the stress components that are off by more than 0.5 % of the largest stress, 97 % and more."""
    plane = element in PLANE
    build, exact = (cases.kirsch, cases.kirsch_stress) if plane else (cases.lame_sphere, cases.lame_stress)
    for n in (6, 10) if FULL else (6,):
        covered, _ = coverage(cases.solve(build(element, n)), exact)
        assert covered > (0.9 if plane else 0.96), n


@pytest.mark.parametrize("element", ["hexahedron20", "tetra10", "hexahedron"])
def test_stress_and_its_interval_do_not_depend_on_how_a_part_lies_in_space(element):
    """A bent beam of few cells, turned about an oblique axis: the same von Mises stress, and half-widths but
    for the boxes between which errors act from afar, as these lie along the axes."""
    axis = np.array([1.0, 2.0, 3.0]) / np.sqrt(14.0)
    k = np.cross(np.eye(3), axis)
    turn = np.eye(3) + np.sin(0.7) * k + (1 - np.cos(0.7)) * k @ k

    def beam(rotation: np.ndarray) -> dtw.StaticCase:
        mesh = box(element, (6, 1, 1), (6.0, 0.2, 0.1), shape=lambda p: p @ rotation.T)
        return cases.solve(
            dtw.Model(
                mesh,
                materials={"body": elastic(1e7, 0.3)},
                supports=[dtw.FixedSupport(on="xmin")],
                load_cases={"tip": [dtw.Force(on="xmax", value=tuple(rotation @ [0.0, 0.3, 1.0]))]},
            )
        )

    lying, turned = beam(np.eye(3)), beam(turn)
    scale = lying.von_mises().max()
    assert np.abs(turned.von_mises() - lying.von_mises()).max() < 1e-6 * scale
    assert np.abs(turned.stress_error() - lying.stress_error()).max() < 0.03 * lying.stress_error().max()


def test_intervals_hold_far_from_singular_corners():
    """An L pulled at one end: far from its re-entrant corner and the clamped ones the intervals hold what a
    mesh four times as fine finds (eight in full), though these corners rule the energy error."""
    right = dtw.plane((2.0, 0.0, 0.0), "x")

    def pulled(n: int) -> dtw.StaticCase:
        mesh = rectangle("quad8", 2 * n, (2.0, 2.0))
        middle = mesh.points[mesh.cells["quad8"][:, :4]].mean(axis=1)
        kept = ~((middle[:, 0] > 1.0) & (middle[:, 1] > 1.0))
        used = np.unique(mesh.cells["quad8"][kept])
        number = np.full(mesh.n_points, -1)
        number[used] = np.arange(len(used))
        part = dtw.Mesh(
            mesh.points[used],
            {"quad8": number[mesh.cells["quad8"][kept]]},
            {"all": Group(cells=np.arange(kept.sum()))},
        )
        return cases.solve(
            dtw.Model(
                part,
                materials={"all": dtw.PlaneStress(elastic(1.0, 0.3), thickness=1.0)},
                supports=[dtw.FixedSupport(on=dtw.plane((0.0, 2.0, 0.0), "y"))],
                load_cases={"pull": [dtw.Traction(on=right, value=(0.0, 1.0, 0.0))]},
            )
        )

    coarse, fine = pulled(4), pulled(32 if FULL else 16)
    field, truth = coarse.field("von_mises"), fine.von_mises()
    low, high = field.interval
    at = [np.argmin(np.linalg.norm(fine.points.xyz - x, axis=1)) for x in coarse.points.xyz]
    away = np.linalg.norm(coarse.points.xyz - [1.0, 1.0, 0.0], axis=1) > 0.6
    away &= np.linalg.norm(coarse.points.xyz - [0.0, 2.0, 0.0], axis=1) > 0.6
    away &= np.linalg.norm(coarse.points.xyz - [1.0, 2.0, 0.0], axis=1) > 0.6
    inside = (low <= truth[at]) & (truth[at] <= high)
    assert inside[away].mean() > 0.97
