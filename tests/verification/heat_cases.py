"""Published transient and nonlinear heat cases as functions of element and mesh size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from builders import SOLIDS, bar, block, box, merged
from exact_heat import SIGMA

import designtwin as dtw
from designtwin.mesh import Mesh
from designtwin.typing import FloatArray

ZERO = 273.15


def material(**given: object) -> dtw.LinearElastic:
    return dtw.LinearElastic(**given)


def section(element: str, matter: dtw.LinearElastic) -> object:
    """As it is for solids, a sheet of 10 mm for planes, a rod of 1 cm2 for lines."""
    if element in SOLIDS:
        return matter
    if element.startswith("line"):
        return dtw.Truss(matter, area=1e-4)
    return dtw.PlaneStress(matter, thickness=0.01)


def strip(
    element: str, n: int, length: float, shape: Callable[[FloatArray], FloatArray] | None = None
) -> Mesh:
    """A row of n cubes (or lines) along x."""
    if element.startswith("line"):
        mesh = bar(n, length, element=element)
        return mesh if shape is None else mesh.moved(shape(mesh.points))
    return block(element, (n, 1, 1), (length, length / n, length / n), shape=shape)


def along(case: object, mesh: Mesh, x: float) -> float:
    """Temperature (K) of an instant on the plane x, where a row of nodes lies: their mean."""
    at = np.abs(mesh.points[:, 0] - x) < 1e-9
    assert at.any(), f"no node at x = {x}"
    return float(case.temperature[at].mean())


# D16

D16 = {(0.08, 32.0): (36.6031, 0.005), (0.05, 32.0): (3.37424, 0.02), (0.08, 16.0): (14.8646, 0.005)}
"""degC at (x, t), relative tolerance; NAFEMS TNSB T3 prints 36.60 for the first."""
D16_BAR = {"length": 0.1, "diffusivity": 35 / (440.5 * 7200), "rise": 100.0, "frequency": np.pi / 40}


def d16(element: str, n: int) -> dtw.Model:
    """0.1 m, k = 35, c = 440.5, rho = 7200: 0 at one end, 100 sin(pi t / 40) degC at the other."""
    swing = dtw.function(lambda t: ZERO + 100 * np.sin(np.pi * t / 40), over="time")
    return dtw.Model(
        strip(element, n, 0.1),
        materials={
            "body": section(element, material(conductivity=35.0, specific_heat=440.5, density=7200.0))
        },
        supports=[
            dtw.FixedTemperature(on="xmin", value="0 degC"),
            dtw.FixedTemperature(on="xmax", value=swing),
        ],
        load_cases={"swing": []},
    )


# D19

D19 = {
    (1.0, 0.5, 0.0): (0.772526, 0.002),
    (1.0, 0.5, 1.0): (0.504522, 0.003),
    (2.0, 0.3, 1.0): (0.398395, 0.004),
}
"""(T - Tinf) / (T0 - Tinf) by Bi, Fo and place over half thickness; relative tolerance."""
WALL = 0.05


def d19(element: str, n: int, biot: float) -> dtw.Model:
    """Half a wall of 50 mm, insulated at x = 0, convection at x = L to 0 degC; a = 5e-6 m2/s."""
    matter = material(conductivity=20.0, specific_heat=500.0, density=8000.0)
    return dtw.Model(
        strip(element, n, WALL),
        materials={"body": section(element, matter)},
        load_cases={"cooling": [dtw.Convection(on="xmax", coefficient=biot * 20.0 / WALL, ambient="0 degC")]},
    )


def d19_time(fourier: float) -> float:
    return fourier * WALL**2 / 5e-6


# D20

D20 = {
    "a": {0.02: (126.7023, 0.003)},
    "b": {0.0: (68.6936, 0.003), 0.02: (43.763, 0.003)},
    "c": {0.0: (89.3925, 0.003)},
}
"""degC at depth x after 60 s; relative tolerance."""


def d20(element: str, n: int, which: str) -> dtw.Model:
    """0.3 m of steel at 20 degC, cells growing from the surface: held at 200 degC, convection, flux.

    A node lies at x = 20 mm where n is a multiple of 4.
    """
    c = 0.02 / 0.3

    def graded(p: FloatArray) -> FloatArray:
        s = p[:, 0] / 0.3
        # Quadratic through s = 1/4 -> x = 0.02: slope at the surface (16 c - 1) / 3 > 0.
        b = (16 * c - 1) / 3
        return np.column_stack([0.3 * (b * s + (1 - b) * s * s), p[:, 1:]])

    matter = material(conductivity=43.0, specific_heat=470.0, density=7850.0)
    mesh = strip(element, n, 0.3, graded)
    area = 1e-4 if element == "line" else None
    loads: dict[str, list[object]] = {
        "a": [],
        "b": [dtw.Convection(on="xmin", coefficient=500.0, ambient="200 degC")],
        "c": [dtw.HeatFlow(on="xmin", total=1e5 * area) if area else dtw.HeatFlux(on="xmin", magnitude=1e5)],
    }
    return dtw.Model(
        mesh,
        materials={"body": section(element, matter)},
        supports=[dtw.FixedTemperature(on="xmin", value="200 degC")] if which == "a" else [],
        load_cases={"surface": loads[which]},
    )


# D21


def d21(element: str, n: int, stated: str) -> dtw.Model:
    """0.1 m, k = 10 (1 + 0.005 T[degC]), 200 and 0 degC at its ends; k as a table or a function."""
    k: object = dtw.function(lambda T: 10 * (1 + 0.005 * (T - ZERO)), over="temperature")
    if stated == "table":
        k = dtw.table(over="temperature", at=["0 degC", "200 degC"], values=[10.0, 20.0])
    return dtw.Model(
        strip(element, n, 0.1),
        materials={"body": section(element, material(conductivity=k))},
        supports=[
            dtw.FixedTemperature(on="xmin", value="200 degC"),
            dtw.FixedTemperature(on="xmax", value="0 degC"),
        ],
        load_cases={"steady": []},
    )


# D23

RADIUS = 0.01


def ball(element: str, n: int, radius: float = RADIUS) -> Mesh:
    """An octant of a ball: a core and three patches to the surface; the curved face is group ``surface``."""
    core = 0.5

    def inner(p: FloatArray) -> FloatArray:
        # Sides bulge a little, so that no corner of the patches is flat.
        bulge = 1 - 0.12 * (p**2).sum(axis=1, keepdims=True) + 0.12 * (p**2)
        return radius * core * p * bulge

    def patch(i: int) -> Callable[[FloatArray], FloatArray]:
        j, k = (i + 1) % 3, (i + 2) % 3

        def outward(p: FloatArray) -> FloatArray:
            face = np.empty_like(p)
            face[:, i], face[:, j], face[:, k] = 1.0, p[:, 1], p[:, 2]
            start = inner(face)
            # Equal angles along the surface.
            tangent = np.tan(face * np.pi / 4)
            end = radius * tangent / np.linalg.norm(tangent, axis=1, keepdims=True)
            return start + p[:, :1] * (end - start)

        return outward

    parts = [box(element, n, shape=inner)]
    for i in range(3):
        one = box(element, n, shape=patch(i))
        groups = {"surface": one.groups["xmax"], "body": one.groups["body"]}
        parts.append(Mesh(one.points, one.cells, groups))
    first = parts[0]
    parts[0] = Mesh(first.points, first.cells, {"body": first.groups["body"]})
    return merged(*parts)


D23 = {300.0: (52.4656, 0.003)}, {120.0: (669.2586, 0.003), 600.0: (456.5957, 0.003)}
"""(a) degC and (b) K after so many seconds; relative tolerance."""


def d23(which: str, element: str = "tetra10", n: int = 2) -> dtw.Model:
    """A ball of 10 mm, rho c = 2.43e6, k = 1e4: (a) convection to 25 degC; (b) radiation to 300 K."""
    loads: dict[str, list[object]] = {
        "a": [dtw.Convection(on="surface", coefficient=50.0, ambient="25 degC")],
        "b": [dtw.Radiation(on="surface", emissivity=0.8, ambient="300 K")],
    }
    return dtw.Model(
        ball(element, n),
        materials={"body": material(conductivity=1e4, specific_heat=900.0, density=2700.0)},
        load_cases={"cooling": loads[which]},
    )


LUMPED = {"a": 50 * 3 / RADIUS / (2700 * 900), "b": 0.8 * SIGMA * 3 / RADIUS / (2700 * 900)}
"""h A / (rho c V), 1/s, and eps sigma A / (rho c V), 1/(s K3)."""
