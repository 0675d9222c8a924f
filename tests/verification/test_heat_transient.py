"""Transient heat with known answers: D16, D19, D20, D23."""

from __future__ import annotations

import exact_heat as known
import heat_cases as cases
import numpy as np
import pytest
from builders import BLOCKS, PLANES, rectangle
from exact import rule_of
from heat_cases import ZERO, along
from surroundings import FULL

import designtwin as dtw
from designtwin.assembly import tables
from designtwin.elements import ELEMENTS


def final(model: dtw.Model, times: list[float], initial: object, **options: object) -> object:
    """The one transient case, its steps ending at these times."""
    result = dtw.solve_transient(model, duration=times[-1], initial=initial, times=times, **options)
    return result[result.cases[0]]


def norm(case: object, instant: object, exact: object) -> float:
    """Root mean square of T(x) - exact(x), K, over the body."""
    (cells,) = case.recovery.blocks
    at = tables(cells, rule_of(cells.element.name))
    x = cells.at(case.mesh.points, at.shape)[..., 0]
    weight = case.recovery.measure(cells, at)
    found = np.einsum("qn,cn->cq", at.shape, instant.temperature[cells.conn])
    wrong = found - exact(x.ravel()).reshape(x.shape)
    return float(np.sqrt((weight * wrong**2).sum() / weight.sum()))


# D16

SIZES = {1: (10, 20, 40), 2: (5, 10, 20)}


def d16_errors(element: str, n: int, **options: object) -> tuple[dict[tuple[float, float], float], float]:
    """Relative error of the printed values, and of the whole field at 32 s, K."""
    model = cases.d16(element, n)
    case = final(model, [16.0, 32.0], "0 degC", **options)
    errors = {
        (x, t): (along(case.at(t), model.mesh, x) - ZERO) / value - 1.0
        for (x, t), (value, _) in cases.D16.items()
    }
    exact = lambda x: ZERO + known.bar_with_swinging_end(x, 32.0, terms=300, **cases.D16_BAR)  # noqa: E731
    return errors, norm(case, case.at(32.0), exact)


@pytest.mark.parametrize("element", [*BLOCKS, "line"])
def test_nafems_t3_with_steps_of_its_own_choice(element):
    """D16 in one, two and three dimensions."""
    degree = ELEMENTS[element].degree
    errors, _ = d16_errors(element, SIZES[degree][-1], tolerance=0.02)
    for place, (_, tolerance) in cases.D16.items():
        assert abs(errors[place]) < tolerance, (place, errors[place])


@pytest.mark.parametrize("element", BLOCKS if FULL else ["quad", "triangle6", "tetra10", "hexahedron20"])
def test_nafems_t3_converges_with_the_cells(element):
    """The field at 32 s, with steps too small to show: order p + 1."""
    degree = ELEMENTS[element].degree
    errors = [d16_errors(element, n, method="Crank-Nicolson", step=0.2)[1] for n in SIZES[degree][-2:]]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(degree + 1, abs=0.25), errors


# D19


def d19_errors(element: str) -> tuple[int, dict[tuple[float, float, float], float], float]:
    """Cells, relative error of the tabled values, and largest error of the whole field, degC of 100."""
    n = 20 if ELEMENTS[element].degree == 1 else 10
    errors, worst = {}, 0.0
    for biot in (1.0, 2.0):
        model = cases.d19(element, n, biot)
        wanted = {key: value for key, value in cases.D19.items() if key[0] == biot}
        (fourier,) = {key[1] for key in wanted}
        time = cases.d19_time(fourier)
        case = final(model, [time], "100 degC", tolerance=0.05)
        for key, (value, _) in wanted.items():
            found = (along(case.at(time), model.mesh, key[2] * cases.WALL) - ZERO) / 100.0
            errors[key] = found / value - 1.0
        exact = lambda x, b=biot, f=fourier: ZERO + 100 * known.cooling_wall(x / cases.WALL, f, biot=b)  # noqa: E731
        worst = max(worst, norm(case, case.at(time), exact))
    return n, errors, worst


@pytest.mark.parametrize("element", [*PLANES, "hexahedron", "tetra10"])
def test_a_wall_cools(element):
    """D19; a wall that starts at 100 degC in air of 0 degC."""
    _, errors, worst = d19_errors(element)
    for key, (_, tolerance) in cases.D19.items():
        assert abs(errors[key]) < tolerance, (key, errors[key])
    assert worst < 0.1


@pytest.mark.parametrize("element", PLANES)
def test_a_long_cylinder_cools(element):
    """A ring section that reaches its axis; R = 20 mm, Bi = 1, from 100 degC in air of 0 degC."""
    n, radius, k, rho_c = (16 if ELEMENTS[element].degree == 1 else 8), 0.02, 20.0, 4e6
    matter = cases.material(conductivity=k, specific_heat=500.0, density=8000.0)
    model = dtw.Model(
        rectangle(element, (n, 1), (radius, radius / n)),
        materials={"body": dtw.Axisymmetric(matter)},
        load_cases={"cooling": [dtw.Convection(on="xmax", coefficient=k / radius, ambient="0 degC")]},
    )
    times = [fourier * radius**2 * rho_c / k for fourier in (0.2, 1.0)]
    case = final(model, times, "100 degC", tolerance=0.05)
    r = model.mesh.points[:, 0] / radius
    for fourier, time in zip((0.2, 1.0), times, strict=True):
        exact = 100 * known.cooling_cylinder(r, fourier, biot=1.0)
        assert np.abs(case.at(time).temperature - ZERO - exact).max() < 0.2
    # The ring is whole: heat stored is that of the cylinder.
    volume = np.pi * radius**2 * radius / n
    mean = np.trapezoid(known.cooling_cylinder(x := np.linspace(0, 1, 2001), 1.0, biot=1.0) * 2 * x, x)
    lost = case.history(name="heat_in").at(times[-1])
    assert lost == pytest.approx(-rho_c * volume * 100 * (1 - mean), rel=2e-3)


# D20


def d20_errors(element: str, which: str) -> tuple[int, dict[float, float]]:
    """Cells and relative error at the tabled depths."""
    n = 48 if ELEMENTS[element].degree == 1 else 24
    model = cases.d20(element, n, which)
    case = final(model, [60.0], "20 degC", tolerance=0.05)
    return n, {
        x: (along(case.at(60.0), model.mesh, x) - ZERO) / value - 1.0
        for x, (value, _) in cases.D20[which].items()
    }


@pytest.mark.parametrize("element", ["line", "hexahedron", "tetra10"])
@pytest.mark.parametrize("which", cases.D20)
def test_a_deep_solid_warms_from_its_surface(element, which):
    """D20: held surface, convection, flux."""
    if element == "line" and which == "b":
        pytest.skip("a rod's end has no face to convect")
    _, errors = d20_errors(element, which)
    for x, (_, tolerance) in cases.D20[which].items():
        assert abs(errors[x]) < tolerance, (x, errors[x])


# D23


def test_a_lumped_ball_convects():
    """D23 (a)."""
    model = cases.d23("a")
    case = final(model, [300.0], "200 degC", tolerance=0.05)
    at = case.at(300.0).temperature
    value, tolerance = cases.D23[0][300.0]
    assert np.ptp(at) < 0.05
    assert at.mean() - ZERO == pytest.approx(value, rel=tolerance)
    exact = [
        known.lumped_convection(t, start=200.0, ambient=25.0, rate=cases.LUMPED["a"]) for t in case.times
    ]
    found = np.array([case.at(t).temperature.mean() - ZERO for t in case.times])
    assert np.abs(found - exact).max() < 0.15


def test_a_lumped_ball_radiates():
    """D23 (b)."""
    model = cases.d23("b")
    case = final(model, [120.0, 600.0], "900 K", tolerance=0.05)
    for t, (value, tolerance) in cases.D23[1].items():
        assert case.at(t).temperature.mean() == pytest.approx(value, rel=tolerance)
    found = np.array([case.at(t).temperature.mean() for t in case.times])
    exact = [
        known.lumped_radiation(t, start=900.0, ambient=300.0, rate=cases.LUMPED["b"]) if t else 900.0
        for t in case.times
    ]
    assert np.abs(found - exact).max() < 0.3
    assert (np.diff(found) < 0.0).all()
