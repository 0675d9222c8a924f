"""A result made of given numbers, for tests of what reads results and not of what computes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from designtwin.errors import MissingPropertyError
from designtwin.mesh import Mesh
from designtwin.mesh.selections import select
from designtwin.results.common import Field
from designtwin.typing import FloatArray


class FakeMaterial:
    """A material that states what it is given."""

    def __init__(self, name: str = "stuff", **properties: float) -> None:
        self.name, self.properties = name, properties

    def magnitude(self, name: str) -> float | None:
        return self.properties.get(name)

    def require(self, name: str, *, test: str) -> float:
        if name not in self.properties:
            raise MissingPropertyError(f"{name} of {self.name!r} is needed by {test}")
        return self.properties[name]

    def at(self, name: str, temperature: Any = None, *, test: str) -> float:
        return self.require(name, test=test)


class FakeModel:
    """Mesh, parts by the x of the cell centers, case names."""

    axisymmetric = False
    combinations: dict[str, Any] = {}  # noqa: RUF012

    def __init__(
        self, mesh: Mesh, materials: dict[str, FakeMaterial], split: float, cases: list[str]
    ) -> None:
        self.mesh = mesh
        self.cases = dict.fromkeys(cases)
        self.part_of_cell = (mesh.cell_centers[:, 0] > split).astype(np.int64)
        self.parts = tuple(
            SimpleNamespace(name=name, section=SimpleNamespace(material=material))
            for name, material in materials.items()
        )

    def region(self, on: Any) -> Any:
        return select(on).resolve(self.mesh)

    def cell_scale(self) -> FloatArray:
        return np.ones(self.mesh.n_cells)

    def cell_density(self, *, needed_by: str) -> FloatArray:
        return np.full(self.mesh.n_cells, 1000.0)


class StaticResult:
    """``fields[case][name]`` is values, or (values, error); a number stands for all rows."""

    physics = "static"

    def __init__(
        self,
        mesh: Mesh,
        fields: dict[str, dict[str, Any]],
        *,
        materials: dict[str, FakeMaterial] | None = None,
        split: float = np.inf,
    ) -> None:
        materials = materials or {"body": FakeMaterial(yield_strength=200e6)}
        self.model = FakeModel(mesh, materials, split, list(fields))
        part = self.model.part_of_cell
        key = np.unique(
            np.concatenate(
                [(conn + part[ids, None] * mesh.n_points).ravel() for _, ids, conn in mesh.blocks()]
            )
        )
        cells = tuple(
            (name, ids, np.searchsorted(key, conn + part[ids, None] * mesh.n_points))
            for name, ids, conn in mesh.blocks()
        )
        node = key % mesh.n_points
        self.points = SimpleNamespace(
            node=node, part=key // mesh.n_points, cells=cells, xyz=mesh.points[node]
        )
        self.notes: tuple[str, ...] = ()
        self.by_case = {name: FakeCase(self, name, named) for name, named in fields.items()}
        self.cases = tuple(fields)

    def __getitem__(self, name: str) -> FakeCase:
        return self.by_case[name]


class ThermalResult(StaticResult):
    """The same of heat."""

    physics = "thermal"


class FakeCase:
    parts = ()
    case = None
    residual = imbalance = 1e-12
    energy_error = 0.1
    info = SimpleNamespace(solver="fake", n_dof=12, iterations=3, seconds={}, notes=())

    def __init__(self, result: StaticResult, name: str, fields: dict[str, Any]) -> None:
        self.model, self.points, self.name, self.fields = result.model, result.points, name, fields
        self.reactions = np.zeros((result.model.mesh.n_points, 3))
        self.applied = np.zeros(3)

    def field(self, name: str) -> Any:
        given = self.fields[name]
        values, error = given if isinstance(given, tuple) else (given, 0.0)
        vector = name in ("displacement", "acceleration")
        on_points = vector or name in ("ux", "uy", "uz", "ax", "ay", "az", "temperature")
        n = self.model.mesh.n_points if on_points else len(self.points.node)
        shape = (n, 3) if vector else (n,)
        values = np.broadcast_to(np.asarray(values, np.float64), shape).copy()
        error = None if error is None else np.broadcast_to(np.asarray(error, np.float64), (n,)).copy()
        return Field(name, name, values, "dimensionless", error=error)

    def reaction(self, on: Any) -> FloatArray:
        return np.asarray(self.reactions[self.model.region(on).nodes].sum(axis=0))
