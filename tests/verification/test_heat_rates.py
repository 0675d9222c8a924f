"""Orders of convergence of transient heat in space and time, by manufactured solutions.

Conductivity and specific heat depend on temperature, one side radiates, one is held at a temperature that
changes; sources make the chosen temperature the exact one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from builders import BLOCKS, PLANES, SOLIDS, block
from exact import mesh_of, rule_of
from exact_heat import SIGMA
from surroundings import FULL

import designtwin as dtw
from designtwin.assembly import tables
from designtwin.elements import ELEMENTS
from designtwin.model.domains import Domain, Patch, cell_domain, facet_domain
from designtwin.model.heat import HeatLoad
from designtwin.typing import FloatArray

BASE, RISE = 300.0, 60.0
K0, K1, C0, C1 = 1.0, 0.004, 1.0, 0.002
EMISSIVITY, AROUND = 0.9, 400.0


def linear(at_base: float, slope: float) -> object:
    """A property that is linear in temperature, as a table from 100 to 900 K."""
    return dtw.table(
        over="temperature", at=[100.0, 900.0],
        values=[at_base + slope * (100.0 - BASE), at_base + slope * (900.0 - BASE)],
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Made(HeatLoad):
    """Heat of points, normals and time: of all cells, or of the outer faces ``on``."""

    on: Any
    heat: Callable[[FloatArray, Any, float], FloatArray]

    @property
    def varies(self) -> frozenset[str]:
        return frozenset({"time"})

    def domain(self, model: dtw.Model) -> Domain:
        if self.on == "body":
            return cell_domain(model, np.arange(model.mesh.n_cells))
        return facet_domain(model, model.region(self.on).facets)

    def density(
        self, model: dtw.Model, patch: Patch, temperature: FloatArray, time: float | None
    ) -> tuple[FloatArray, FloatArray]:
        assert time is not None
        return self.heat(patch.at, patch.normal, time), np.zeros(patch.measure.shape)


@dataclass(frozen=True, kw_only=True)
class Field:
    """T = 300 + 60 g(t) f(x): f with gradient and Laplacian, g with slope."""

    f: Callable[[FloatArray], FloatArray]
    grad: Callable[[FloatArray], FloatArray]
    laplace: Callable[[FloatArray], FloatArray]
    g: Callable[[float], float]
    rate: Callable[[float], float]
    nonlinear: bool = True

    def at(self, x: FloatArray, t: float) -> FloatArray:
        return BASE + RISE * self.g(t) * self.f(x)

    def conductivity(self, T: FloatArray) -> FloatArray:
        return K0 + (K1 * (T - BASE) if self.nonlinear else 0 * T)

    def source(self, x: FloatArray, _: Any, t: float) -> FloatArray:
        """rho c T_t - div(k grad T)."""
        T, slope = self.at(x, t), RISE * self.g(t) * self.grad(x)
        c = C0 + (C1 * (T - BASE) if self.nonlinear else 0.0)
        steep = K1 * (slope**2).sum(axis=-1) if self.nonlinear else 0.0
        return (
            c * RISE * self.rate(t) * self.f(x)
            - steep
            - self.conductivity(T) * RISE * self.g(t) * self.laplace(x)
        )

    def flux(self, x: FloatArray, normal: Any, t: float) -> FloatArray:
        """k dT/dn."""
        slope = RISE * self.g(t) * (self.grad(x) * normal).sum(axis=-1)
        return self.conductivity(self.at(x, t)) * slope

    def beside_radiation(self, x: FloatArray, normal: Any, t: float) -> FloatArray:
        """k dT/dn without what radiation brings."""
        return self.flux(x, normal, t) - EMISSIVITY * SIGMA * (AROUND**4 - self.at(x, t) ** 4)

    def material(self) -> dtw.LinearElastic:
        if self.nonlinear:
            return dtw.LinearElastic(conductivity=linear(K0, K1), specific_heat=linear(C0, C1), density=1.0)
        return dtw.LinearElastic(conductivity=K0, specific_heat=C0, density=1.0)

    def loads(self, free: list[str]) -> list[HeatLoad]:
        """Everything that makes T exact where ``free`` sides, besides xmax, are not held."""
        radiation = (
            [dtw.Radiation(on="xmax", emissivity=EMISSIVITY, ambient=AROUND)] if self.nonlinear else []
        )
        last = self.beside_radiation if self.nonlinear else self.flux
        return [
            Made(on="body", heat=self.source),
            Made(on="xmax", heat=last),
            *radiation,
            *(Made(on=side, heat=self.flux) for side in free),
        ]


def sheet(element: str, matter: dtw.LinearElastic) -> object:
    return matter if element in SOLIDS else dtw.PlaneStress(matter, thickness=1.0)


# Space


def wavy(dimension: int, nonlinear: bool) -> Field:
    """f = sin cos (cos), growing evenly in time: steps are exact but for what is not linear in T."""
    w, phase = np.array([1.3, 0.9, 0.7])[:dimension], np.array([0.4, 0.2, -0.3])[:dimension]

    def parts(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        a = x[..., :dimension] * w + phase
        value, slope = np.cos(a), -w * np.sin(a)
        value[..., 0], slope[..., 0] = np.sin(a[..., 0]), w[0] * np.cos(a[..., 0])
        return value, slope

    def grad(x: FloatArray) -> FloatArray:
        value, slope = parts(x)
        out = np.zeros(x.shape)
        for i in range(dimension):
            other = np.prod(np.delete(value, i, axis=-1), axis=-1)
            out[..., i] = slope[..., i] * other
        return out

    def f(x: FloatArray) -> FloatArray:
        return parts(x)[0].prod(axis=-1)

    return Field(
        f=f, grad=grad, laplace=lambda x: -(w**2).sum() * f(x), g=lambda t: 1.0 + 0.5 * t,
        rate=lambda t: 0.5, nonlinear=nonlinear,
    )  # fmt: skip


def space_error(element: str, n: int, nonlinear: bool) -> float:
    """L2 error of the last temperature, K."""
    mesh = mesh_of(element, n)
    d, end = ELEMENTS[element].dimension, 0.4
    made = wavy(d, nonlinear)
    history = dtw.nodal(np.stack([made.at(mesh.points, 0.0), made.at(mesh.points, end)]), [0.0, end])
    sides = ["ymax", "zmin", "zmax"][: 1 if d == 2 else 3]
    model = dtw.Model(
        mesh,
        materials={"body": sheet(element, made.material())},
        supports=[dtw.FixedTemperature(on=side, value=history) for side in ("xmin", "ymin")],
        load_cases={"made": made.loads(sides)},
    )
    result = dtw.solve_transient(
        model, duration=end, initial=dtw.nodal(made.at(mesh.points, 0.0)), method="Crank-Nicolson",
        step=end / 16,
    )  # fmt: skip
    case = result["made"]
    (cells,) = case.recovery.blocks
    at = tables(cells, rule_of(element))
    x = cells.at(mesh.points, at.shape)
    found = np.einsum("qn,cn->cq", at.shape, case.at(end).temperature[cells.conn])
    return float(np.sqrt((case.recovery.measure(cells, at) * (found - made.at(x, end)) ** 2).sum()))


@pytest.mark.parametrize("element", BLOCKS)
@pytest.mark.parametrize("nonlinear", [False, True], ids=["linear", "nonlinear"])
def test_temperature_converges_in_space(element, nonlinear):
    """Order p + 1, with k(T), c(T) and radiation too."""
    if element in PLANES:
        sizes = (16, 32) if FULL else (6, 12)
    else:
        sizes = (6, 9) if FULL else (3, 6)
        if not FULL and nonlinear and element not in ("tetra", "tetra10", "hexahedron", "hexahedron20"):
            pytest.skip("in full runs")
    errors = [space_error(element, n, nonlinear) for n in sizes]
    order = np.log(errors[0] / errors[1]) / np.log(sizes[1] / sizes[0])
    assert order == pytest.approx(ELEMENTS[element].degree + 1, abs=0.2), errors


# Time

METHODS = {"backward Euler": 1, "Crank-Nicolson": 2, "BDF2": 2, 0.75: 1}


def even(nonlinear: bool) -> Field:
    """f = 1 + x, which cells hold exactly, swinging: all error is that of the steps."""

    def grad(x: FloatArray) -> FloatArray:
        return np.broadcast_to([1.0, 0.0, 0.0], x.shape)

    return Field(
        f=lambda x: 1.0 + x[..., 0], grad=grad, laplace=lambda x: 0.0 * x[..., 0],
        g=lambda t: float(np.sin(2.0 * t + 0.3)), rate=lambda t: float(2.0 * np.cos(2.0 * t + 0.3)),
        nonlinear=nonlinear,
    )  # fmt: skip


def time_error(element: str, method: object, steps: int, nonlinear: bool) -> float:
    """Largest error of all nodes and instants of the second half, K."""
    made, end = even(nonlinear), 2.0
    mesh = block(element, (2, 1, 1))
    held = dtw.function(lambda t: BASE + RISE * np.sin(2.0 * t + 0.3), over="time")
    model = dtw.Model(
        mesh,
        materials={"body": sheet(element, made.material())},
        supports=[dtw.FixedTemperature(on="xmin", value=held)],
        load_cases={"made": made.loads([])},
    )
    result = dtw.solve_transient(
        model, duration=end, initial=dtw.nodal(made.at(mesh.points, 0.0)), method=method, step=end / steps
    )
    case = result["made"]
    return max(
        float(np.abs(frame.temperature - made.at(mesh.points, frame.time)).max())
        for frame in case.frames
        if frame.time > end / 2
    )


@pytest.mark.parametrize("element", ["quad", "tetra10"] if not FULL else [*PLANES, *SOLIDS])
@pytest.mark.parametrize("nonlinear", [False, True], ids=["linear", "nonlinear"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_steps_converge_at_their_order(element, method, nonlinear):
    errors = [time_error(element, method, steps, nonlinear) for steps in (40, 80)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(METHODS[method], abs=0.1), errors
    assert errors[1] < RISE


def test_what_is_made_solves_the_equation():
    """source = rho c T_t - div(k grad T), by central differences."""
    h, t = 1e-4, 0.7
    x = np.array([[0.6, 0.3, 0.2], [1.2, 0.8, 0.5]])
    for made in (wavy(3, True), wavy(3, False), even(True)):

        def flow(p: FloatArray, made: Field = made) -> FloatArray:
            slope = np.stack(
                [(made.at(p + h * e, t) - made.at(p - h * e, t)) / (2 * h) for e in np.eye(3)], axis=-1
            )
            return made.conductivity(made.at(p, t))[:, None] * slope

        away = sum((flow(x + h * e)[:, i] - flow(x - h * e)[:, i]) / (2 * h) for i, e in enumerate(np.eye(3)))
        T = made.at(x, t)
        c = C0 + (C1 * (T - BASE) if made.nonlinear else 0.0)
        stored = c * (made.at(x, t + h) - made.at(x, t - h)) / (2 * h)
        np.testing.assert_allclose(made.source(x, None, t), stored - away, rtol=1e-5, atol=1e-4)
        normal = np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
        np.testing.assert_allclose(
            made.flux(x, normal, t), (flow(x) * normal).sum(axis=1), rtol=1e-6, atol=1e-5
        )
