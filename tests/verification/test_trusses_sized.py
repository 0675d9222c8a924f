"""D49: trusses of least weight, by the adjoint.

Three bars (Schmit 1960) have their optimum in closed form; ten bars with limits on stress and displacement
(Venkayya 1969) weigh 5060.85 lb.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from surroundings import FULL

import designtwin as dtw

INCH, POUND = 0.0254, 0.45359237
PSI, KIP = POUND * 9.80665 / INCH**2, 1000.0 * POUND * 9.80665


def truss(points, bars):
    groups = {f"bar {i + 1}": dtw.Group(cells=np.array([i])) for i in range(len(bars))}
    groups |= {f"node {i + 1}": dtw.Group(nodes=np.array([i])) for i in range(len(points))}
    points = np.column_stack([np.asarray(points, float), np.zeros(len(points))])
    return dtw.Mesh(points, {"line": np.asarray(bars) - 1}, groups, source="truss")


def ten_bars(values, mesh):
    aluminum = dtw.LinearElastic(
        youngs_modulus=1e7 * PSI, poissons_ratio=0.3, density=0.1 * POUND / INCH**3, name="aluminum"
    )
    return dtw.Model(
        mesh,
        materials={name: dtw.Truss(aluminum, area=area) for name, area in values.items()},
        supports=[dtw.FixedSupport(on="node 5"), dtw.FixedSupport(on="node 6")],
        load_cases={"pull": [dtw.Force(on=f"node {i}", value=(0.0, -100.0 * KIP, 0.0)) for i in (2, 4)]},
    )


def ten_bar_study(**options):
    bay = 360.0 * INCH
    mesh = truss(
        [(2 * bay, bay), (2 * bay, 0), (bay, bay), (bay, 0), (0, bay), (0, 0)],
        [(5, 3), (3, 1), (6, 4), (4, 2), (3, 4), (1, 2), (5, 4), (6, 3), (3, 2), (4, 1)],
    )
    least, most = 0.1 * INCH**2, 40.0 * INCH**2
    names = [f"bar {i + 1}" for i in range(10)]
    area = dtw.variable(least, most, start=20.0 * INCH**2, dimension="area")
    limits = [dtw.displacement(f"node {i}", "y") <= 2.0 * INCH for i in (1, 2, 3, 4)]
    limits += [dtw.stress("von_mises", on=name) <= 25e3 * PSI for name in names]
    return dtw.Study(
        build=ten_bars, mesh=mesh, variables=dict.fromkeys(names, area), minimize=dtw.mass(),
        tests=lambda model: [dtw.StrengthTest(model, requirements=limits)], **options,
    )  # fmt: skip


def test_ten_bars_weigh_what_is_published():
    best = ten_bar_study().run(tolerance=3e-4, max_analyses=60, method="sqp")
    assert best.feasible
    assert_allclose(best.objective / POUND, 5060.85, rtol=5e-4)
    at_least = {name for name, area in best.values.items() if area < 0.1001 * INCH**2}
    assert at_least == {"bar 2", "bar 5", "bar 10"}
    assert all(e.purpose == "design" for e in best.history.evaluations)
    held = " ".join(best.active)
    assert "displacement y of 'node 1'" in held or "displacement y of 'node 2'" in held


@pytest.mark.skipif(not FULL, reason="forty analyses")
def test_the_slopes_of_ten_bars_are_those_of_differences():
    check = ten_bar_study().check_gradients(step=1e-3)
    assert check.worst.apart < 1e-6


HEIGHT, LOAD, STRENGTH = 100.0, 2.0, 2.0


def three_bars(values, mesh):
    """Outer bars of one area at 45 degrees, an upright one between; units that cancel."""
    plain = dtw.LinearElastic(youngs_modulus=1e4, poissons_ratio=0.3, density=1.0, name="any")
    half = LOAD / np.sqrt(2.0)
    return dtw.Model(
        mesh,
        materials={
            f"bar {i}": dtw.Truss(plain, area=values["upright" if i == 2 else "outer"]) for i in (1, 2, 3)
        },
        supports=[dtw.FixedSupport(on=f"node {i}") for i in (1, 2, 3)],
        load_cases={"pull": [dtw.Force(on="node 4", value=(half, -half, 0.0))]},
    )


def test_three_bars_weigh_what_is_known_in_closed_form():
    h = HEIGHT
    mesh = truss([(-h, 0), (0, 0), (h, 0), (0, -h)], [(1, 4), (2, 4), (3, 4)])
    area = dtw.variable(0.05, 2.0, start=1.0, dimension="area")
    limits = [dtw.stress("von_mises", on=f"bar {i}") <= STRENGTH for i in (1, 2, 3)]
    best = dtw.Study(
        build=three_bars, mesh=mesh, variables={"outer": area, "upright": area}, minimize=dtw.mass(),
        tests=lambda model: [dtw.StrengthTest(model, requirements=limits)],
    ).run(tolerance=1e-8)  # fmt: skip
    assert_allclose(best.objective, 263.8958434, rtol=1e-5)
    assert_allclose(list(best.values.values()), [0.788675, 0.408248], rtol=1e-4)
    assert best.active == (f"{limits[0]} | pull",)


@pytest.mark.skipif(not FULL, reason="a minute")
def test_the_method_of_its_own_choice_finds_the_same_ten_bars():
    best = ten_bar_study().run(tolerance=1e-4, max_analyses=100)
    assert best.feasible
    assert best.method.startswith("sqp")
    assert_allclose(best.objective / POUND, 5060.85, rtol=0.002)
