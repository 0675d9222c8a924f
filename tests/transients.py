"""Transient answers made of given temperatures, for tests of what reads them, not of what computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from builders import box

import designtwin as dtw
from designtwin.assembly import cell_blocks
from designtwin.results import (
    Frames,
    Recovery,
    SolveInfo,
    StepRecord,
    TransientCase,
    TransientResult,
)
from designtwin.typing import FloatArray

STUFF = dtw.LinearElastic(
    name="stuff", youngs_modulus="70 GPa", poissons_ratio=0.3, density="2700 kg/m3",
    conductivity="200 W/(m*K)", specific_heat="900 J/(kg*K)", yield_strength="200 MPa",
    expansion="23e-6 1/K",
)  # fmt: skip


def part(n: Sequence[int] = (6, 2, 2), element: str = "hexahedron20", cases: Sequence[str] = ("full power",)):
    """A box 60 x 20 x 20 mm, heated at xmax, cooled at xmin."""
    mesh = box(element, n, (0.06, 0.02, 0.02))
    loads = [
        dtw.HeatFlow(on="xmax", total="20 W"),
        dtw.Convection(on="xmin", coefficient="50 W/(m2*K)", ambient="20 degC"),
    ]
    return dtw.Model(mesh, materials={"body": STUFF}, load_cases=dict.fromkeys(cases, loads), name="bar")


def course(
    model: dtw.Model,
    temperature: Callable[[FloatArray, float], FloatArray],
    times: Sequence[float],
    *,
    name: str = "full power",
    path: Path | None = None,
    time_error: float = 0.0,
    imbalance: float = 1e-12,
    **more: Callable[[float], float],
) -> TransientCase:
    """A case whose temperature at points x [n, 3] and time t is a function."""
    frames = Frames.create(path, "key")
    for t in times:
        T = np.asarray(temperature(model.mesh.points, float(t)), np.float64) + np.zeros(model.mesh.n_points)
        numbers = {"applied": 20.0, "exchanged": -t, "heat_in": 20.0 * t, "stored_energy": 20.0 * t}
        numbers |= {key: value(t) for key, value in more.items()}
        frames.append(float(t), T, held=np.zeros(len(T)), **numbers)
    steps = np.diff(np.asarray(times, np.float64))
    return TransientCase(
        name=name, model=model, recovery=Recovery(model.mesh, cell_blocks(model)), case=model.cases[name],
        stored=frames, info=SolveInfo("given", model.mesh.n_points, 0, {}), residual=0.0,
        imbalance=imbalance, time_error=np.full(len(times), time_error),
        steps=StepRecord(np.asarray(times, np.float64)[1:], steps, np.zeros(len(steps)), 0, 1),
    )  # fmt: skip


def result(*cases: TransientCase) -> TransientResult:
    return TransientResult(cases[0].model, {case.name: case for case in cases})
