"""Problems of optimization whose answers are published, or follow from a few lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from designtwin.optimize import Problem
from designtwin.typing import FloatArray


@dataclass(frozen=True)
class Known:
    """A problem, its least value, and where it comes from. Constraints g <= 0."""

    functions: Callable[[FloatArray], tuple[float, FloatArray]]
    start: tuple[float, ...]
    low: float
    high: float
    least: float
    source: str

    def problem(self, *, derivatives: bool = True, **changes: object) -> Problem:
        n = len(self.start)
        given: dict[str, object] = {
            "x0": np.array(self.start),
            "low": np.full(n, self.low),
            "high": np.full(n, self.high),
            "functions": self.functions,
            "gradients": (lambda x: slopes(self.functions, x)) if derivatives else None,
        }
        return Problem(**(given | changes))


def slopes(functions, x):
    """Gradients by complex step: exact to rounding."""
    columns = []
    for j in range(len(x)):
        z = x.astype(complex)
        z[j] += 1e-30j
        f, g = functions(z)
        columns.append(np.concatenate([[f], g]).imag / 1e-30)
    rows = np.array(columns).T
    return rows[0], rows[1:]


def cantilever(x):
    return 0.0624 * x.sum(), np.array([(np.array([61.0, 37.0, 19.0, 7.0, 1.0]) / x**3).sum() - 1.0])


def hs35(x):
    f = 9 - 8 * x[0] - 6 * x[1] - 4 * x[2] + 2 * x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2
    return f + 2 * x[0] * x[1] + 2 * x[0] * x[2], np.array([x[0] + x[1] + 2 * x[2] - 3])


def hs43(x):
    a, b, c, d = x
    return (a * a + b * b + 2 * c * c + d * d - 5 * a - 5 * b - 21 * c + 7 * d) / 10, np.array(
        [
            a * a + b * b + c * c + d * d + a - b + c - d - 8,
            a * a + 2 * b * b + c * c + 2 * d * d - a - d - 10,
            2 * a * a + b * b + c * c + 2 * a - b - d - 5,
        ]
    ) / 10  # fmt: skip


def hs71(x):
    """With its equality as an inequality, which the objective drives to where it binds."""
    f = x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2]
    return f / 10, np.array([(25 - x[0] * x[1] * x[2] * x[3]) / 25, ((x * x).sum() - 40) / 40])


def hs100(x):
    f = (x[0] - 10) ** 2 + 5 * (x[1] - 12) ** 2 + x[2] ** 4 + 3 * (x[3] - 11) ** 2 + 10 * x[4] ** 6
    f = f + 7 * x[5] ** 2 + x[6] ** 4 - 4 * x[5] * x[6] - 10 * x[5] - 8 * x[6]
    g = np.array(
        [
            (2 * x[0] ** 2 + 3 * x[1] ** 4 + x[2] + 4 * x[3] ** 2 + 5 * x[4] - 127) / 127,
            (7 * x[0] + 3 * x[1] + 10 * x[2] ** 2 + x[3] - x[4] - 282) / 282,
            (23 * x[0] + x[1] ** 2 + 6 * x[5] ** 2 - 8 * x[6] - 196) / 196,
            (4 * x[0] ** 2 + x[1] ** 2 - 3 * x[0] * x[1] + 2 * x[2] ** 2 + 5 * x[5] - 11 * x[6]) / 11,
        ]
    )
    return f / 100, g


def hs113(x):
    f = x[0] ** 2 + x[1] ** 2 + x[0] * x[1] - 14 * x[0] - 16 * x[1] + (x[2] - 10) ** 2 + 4 * (x[3] - 5) ** 2
    f = f + (x[4] - 3) ** 2 + 2 * (x[5] - 1) ** 2 + 5 * x[6] ** 2 + 7 * (x[7] - 11) ** 2
    f = f + 2 * (x[8] - 10) ** 2 + (x[9] - 7) ** 2 + 45
    g = np.array(
        [
            -105 + 4 * x[0] + 5 * x[1] - 3 * x[6] + 9 * x[7],
            10 * x[0] - 8 * x[1] - 17 * x[6] + 2 * x[7],
            -8 * x[0] + 2 * x[1] + 5 * x[8] - 2 * x[9] - 12,
            3 * (x[0] - 2) ** 2 + 4 * (x[1] - 3) ** 2 + 2 * x[2] ** 2 - 7 * x[3] - 120,
            5 * x[0] ** 2 + 8 * x[1] + (x[2] - 6) ** 2 - 2 * x[3] - 40,
            0.5 * (x[0] - 8) ** 2 + 2 * (x[1] - 4) ** 2 + 3 * x[4] ** 2 - x[5] - 30,
            x[0] ** 2 + 2 * (x[1] - 2) ** 2 - 2 * x[0] * x[1] + 14 * x[4] - 6 * x[5],
            -3 * x[0] + 6 * x[1] + 12 * (x[8] - 8) ** 2 - 7 * x[9],
        ]
    )
    return f / 10, g / 30


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, np.zeros(0)


_HS = "Hock & Schittkowski, Test Examples for Nonlinear Programming Codes (1981), problem"
KNOWN = {
    "cantilever": Known(cantilever, (5.0,) * 5, 1.0, 10.0, 1.3399564, "Svanberg 1987; verification case D50"),
    "hs35": Known(hs35, (0.5,) * 3, 0.0, 5.0, 1.0 / 9.0, f"{_HS} 35"),
    "hs43": Known(hs43, (0.0,) * 4, -5.0, 5.0, -4.4, f"{_HS} 43"),
    "hs71": Known(hs71, (1.0, 5.0, 5.0, 1.0), 1.0, 5.0, 1.7014017, f"{_HS} 71"),
    "hs100": Known(hs100, (1.0, 2.0, 0.0, 4.0, 0.0, 1.0, 1.0), -10.0, 10.0, 6.8063006, f"{_HS} 100"),
    "hs113": Known(
        hs113, (2.0, 3.0, 5.0, 5.0, 1.0, 2.0, 7.0, 3.0, 6.0, 10.0), 0.0, 20.0, 2.4306209, f"{_HS} 113"
    ),
}
