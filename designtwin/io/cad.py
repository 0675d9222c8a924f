"""Geometry by its dimensions, meshed by gmsh in a process of its own; and a mesh that follows when they
change.

``python -m designtwin.io.cad FOLDER`` is the worker; see `designtwin.io.worker`.

A mesh knows of each node the point, curve or face of the geometry it lies on. When a dimension changes,
nodes on points go with them, those on curves and faces to the nearest place of the same curve or face, and
the inside follows as an elastic body: the same cells on a new geometry, so that derivatives can be taken by
differences, which meshing anew never allows.
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from designtwin.errors import MeshError
from designtwin.io import read_mesh
from designtwin.io._common import length_factor
from designtwin.io.worker import done, given, gmsh_process, refused
from designtwin.mesh import Mesh
from designtwin.mesh.freeform import Follow
from designtwin.mesh.morphing import Length, above_zero, check_moved, unfolded
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show, to_si

_DIMENSIONS = ("length", "angle", "dimensionless")
_READS = (".geo", ".step", ".stp", ".brep", ".iges", ".igs")


@dataclass(frozen=True, eq=False)
class CadMesh(Mesh):
    """A mesh that knows the geometry it was made of; `Cad` makes it.

    Parameters
    ----------
    entity : int64[n_points, 2]
        What each node lies on: dimension (0 point, 1 curve, 2 face, 3 inside) and number.
    outline : str
        How the geometry hangs together, as the worker tells it.
    curves : float64[m, 7]
        Number, lowest and highest corner of each curve, in the unit of the geometry.
    """

    entity: IntArray | None = None
    outline: str = ""
    curves: FloatArray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Cad:
    """A part by its dimensions: a gmsh script, or a function that writes a STEP file.

    Parameters
    ----------
    geometry : path, or callable (values) -> path
        A ``.geo`` script whose dimensions are set by name, or a function of the values (SI, by name) that
        returns the path of a ``.step``, ``.brep`` or ``.iges`` file, such as one around CadQuery, build123d
        or FreeCAD.
    size : length
        Of cells.
    parameters : mapping of name to dimension, optional
        What a script may be told, such as ``{"radius": "length", "tilt": "angle", "holes":
        "dimensionless"}``; lengths are written in its unit, angles in rad.
    length_unit : str
        Of the geometry.
    order : int
        1, or 2 for cells with curved sides.
    per_turn : float
        Cells around a full turn of curved faces, at least.
    max_time : time
        After which the worker is ended.

    Raises
    ------
    MeshError
        If the geometry is no file gmsh reads, or a script lacks a parameter.

    A script names what a model needs by ``Physical Volume("body")``, ``Physical Surface("hole")``.
    """

    geometry: str | Path | Callable[[dict[str, float]], str | Path]
    size: Length
    parameters: Mapping[str, str] | None = None
    length_unit: str = "mm"
    order: int = 2
    per_turn: float = 16.0
    max_time: Any = "2 min"

    def __post_init__(self) -> None:
        above_zero(self.size, "size")
        length_factor(self.length_unit)
        if self.order not in (1, 2):
            raise MeshError(f"Cad: order is 1 or 2, got {self.order!r}")
        if callable(self.geometry):
            if self.parameters:
                raise MeshError("Cad: parameters= are those of a .geo script; a function is given all values")
            return
        if not isinstance(self.geometry, str | Path):
            raise MeshError(f"Cad: geometry is {self.geometry!r}; a .geo file or a function is wanted")
        path = _readable(Path(self.geometry))
        if path.suffix.lower() != ".geo":
            raise MeshError(
                f"Cad: {path.name} has no parameters; give a .geo script, or a function that writes one"
            )
        if not isinstance(self.parameters, Mapping | None):
            raise MeshError(f"Cad: parameters is {self.parameters!r}; {{'radius': 'length', ...}} is wanted")
        text = path.read_text(encoding="utf-8", errors="replace")
        for name, dimension in (self.parameters or {}).items():
            if dimension not in _DIMENSIONS:
                raise MeshError(
                    f"Cad: parameter {name!r} is said to be {dimension!r}; {', '.join(_DIMENSIONS)} are known"
                )
            if not re.search(rf"DefineConstant\s*\[[^\]]*\b{re.escape(name)}\b", text):
                raise MeshError(
                    f"Cad: {path.name} has no parameter {name!r}; it says so by DefineConstant[ {name} = 5 ];"
                )
        if not self.parameters:
            raise MeshError("Cad: parameters={'radius': 'length', ...} say what of the script may change")

    def mesh(self, values: Mapping[str, float], *, size: Length | None = None) -> CadMesh:
        """Mesh the part at given dimensions (SI).

        Raises
        ------
        MeshError
            If gmsh is missing, or cannot make or mesh this geometry: its own words.
        """
        cell = above_zero(self.size if size is None else size, "size")
        factor = length_factor(self.length_unit)
        job = {"order": self.order, "size": cell / factor, "per_turn": self.per_turn}
        with tempfile.TemporaryDirectory(prefix="designtwin-") as folder:
            out = self._work("mesh", [values], job, {}, Path(folder))
            mesh = read_mesh(Path(folder) / "mesh.msh", length_unit=self.length_unit)
        from scipy.spatial import cKDTree

        apart, row = cKDTree(out["x"] * factor).query(mesh.points)
        assert float(apart.max()) < 1e-6 * mesh.size, "nodes of the file are those of the worker"
        entity = out["entity"][row]
        return CadMesh(
            mesh.points, mesh.cells, mesh.groups, mesh.length_unit, self._said(values), mesh.notes,
            mesh.fold_case,
            entity=entity, outline=str(out["outlines"][0]), curves=out["curves"][0],
        )  # fmt: skip

    def fitted(self, mesh: Mesh, values: Mapping[str, float]) -> CadMesh:
        """The same cells on the part at other dimensions (SI).

        Raises
        ------
        MeshError
            If the mesh is not one of ``mesh()``; if the part has other faces, curves or points there than
            where it was meshed; if a cell would turn inside out.
        """
        return self._fitted(mesh, [values])[0]

    def directions(
        self, mesh: Mesh, values: Mapping[str, float], steps: Mapping[str, float]
    ) -> tuple[dict[str, FloatArray], dict[str, float]]:
        """How the points of a mesh move with dimensions, by central differences of the geometry.

        Parameters
        ----------
        mesh : Mesh
            Of ``mesh()`` or ``fitted()``, at these values.
        values : mapping of name to float
            SI.
        steps : mapping of name to float
            Of the dimensions asked for, SI.

        Returns
        -------
        dX/dp by name, float64[n_points, 3]
            m per SI unit.
        error by name
            Largest difference to what half the step gives, as a share of the largest dX/dp.
        """
        designs = [
            {**values, name: values[name] + share * step}
            for name, step in steps.items()
            for share in (1.0, -1.0, 0.5, -0.5)
        ]
        found = self._fitted(mesh, designs)
        slopes, errors = {}, {}
        for i, (name, step) in enumerate(steps.items()):
            far, near = (
                (found[4 * i + k].points - found[4 * i + k + 1].points) / (width * step)
                for k, width in ((0, 2.0), (2, 1.0))
            )
            slopes[name] = near
            errors[name] = float(np.abs(far - near).max() / max(float(np.abs(near).max()), 1e-300))
        return slopes, errors

    def _fitted(self, mesh: Mesh, designs: Sequence[Mapping[str, float]]) -> list[CadMesh]:
        if not isinstance(mesh, CadMesh) or mesh.entity is None or len(mesh.entity) != mesh.n_points:
            raise MeshError(
                "Cad: only a mesh that Cad.mesh() made knows what of the geometry its nodes lie on"
            )
        factor = length_factor(self.length_unit)
        edges = np.flatnonzero(mesh.entity[:, 0] <= 1)
        outside = np.flatnonzero(mesh.entity[:, 0] < mesh.dimension)
        with tempfile.TemporaryDirectory(prefix="designtwin-") as folder:
            guess = np.stack([mesh.points] * len(designs)) / factor
            given = {"x": guess[:, edges], "entity": mesh.entity[edges], "curves": mesh.curves}
            told = self._work("fit", designs, {}, given, Path(folder))
            for values, outline in zip(designs, told["outlines"], strict=True):
                if outline != mesh.outline:
                    raise MeshError(
                        f"Cad: the geometry at {self._said(values)} hangs together otherwise than where it "
                        f"was meshed ({_told(mesh.outline)} there, {_told(str(outline))} here); cells cannot "
                        "follow: mesh anew with mesh(), and keep differences away from where that changes"
                    )
            by = told["x"] - guess[:, edges]
            if len(outside) > len(edges):
                # Faces: first where the edges draw them, then onto the face itself.
                no_facets = np.empty((0, 2), np.int64)
                drawn = Follow(mesh, edges, no_facets, np.empty(0, np.int64)) if len(edges) else None
                for row in range(len(designs)):
                    if drawn is not None:
                        guess[row] += drawn.forward(by[row])
                given = {"x": guess[:, outside], "entity": mesh.entity[outside]}
                found = self._work("fit", designs, {}, given, Path(folder))["x"]
                at = np.searchsorted(outside, edges)
                found[:, at] = told["x"]
                by = found - (mesh.points / factor)[outside]
        inside = Follow(mesh, outside, np.empty((0, 2), np.int64), np.empty(0, np.int64))
        out = []
        for values, moved, curves in zip(designs, by, told["curves"], strict=True):
            shift = unfolded(mesh, inside.forward(moved * factor))
            check_moved(mesh, shift)
            source = self._said(values)
            out.append(replace(mesh, points=mesh.points + shift, source=source, curves=curves))
        return out

    def _said(self, values: Mapping[str, float]) -> str:
        what = getattr(self.geometry, "__name__", None) or Path(str(self.geometry)).name
        dimension = self.parameters or {}
        told = (
            f"{name} {show(value, dimension[name]) if name in dimension else f'{value:g}'}"
            for name, value in values.items()
        )
        return f"{what} ({', '.join(told)})"

    def _work(
        self, what: str, designs: Sequence[Mapping[str, float]], job: dict[str, Any],
        arrays: Mapping[str, Any], folder: Path,
    ) -> dict[str, Any]:  # fmt: skip
        """One run of the worker; the arrays it hands back."""
        job = {**job, "what": what, "designs": [self._design(values) for values in designs]}
        seconds = float(to_si(self.max_time, "time", name="max_time"))
        return gmsh_process(
            "designtwin.io.cad", job, arrays, folder, seconds=seconds,
            task=f"{what} {self._said(designs[0])}", advice="give larger cells or a longer max_time",
        )  # fmt: skip

    def _design(self, values: Mapping[str, float]) -> dict[str, Any]:
        """The file of a design and what it is told."""
        if not isinstance(values, Mapping):
            raise MeshError(f"Cad: values is {values!r}; {{'radius': 0.005, ...}} is wanted, SI")
        if callable(self.geometry):
            return {"file": str(_readable(Path(self.geometry(dict(values))))), "set": {}}
        known, factor = self.parameters or {}, length_factor(self.length_unit)
        strange = sorted(set(values) - set(known))
        if strange:
            raise MeshError(f"Cad: {strange[0]!r} is not among parameters=: {', '.join(known)}")
        for name, value in values.items():
            if not math.isfinite(value):
                raise MeshError(f"Cad: {name!r} is {value}; a finite number is wanted")
        told = {name: v / factor if known[name] == "length" else v for name, v in values.items()}
        return {"file": str(_readable(Path(self.geometry))), "set": told}


def _readable(path: Path) -> Path:
    if path.suffix.lower() not in _READS:
        raise MeshError(f"Cad: {path.name!r} is not geometry that gmsh reads: {', '.join(_READS)}")
    if not path.is_file():
        raise MeshError(f"Cad: there is no file {path}")
    return path.resolve()


def _told(outline: str) -> str:
    """Points, curves and faces of an outline, in words."""
    kinds = [row[0] for row in json.loads(outline)]
    return f"{kinds.count(0)} points, {kinds.count(1)} curves, {kinds.count(2)} faces"


# --- in the worker ----------------------------------------------------------------------------------------


def _main(folder: str) -> int:
    import gmsh

    job, arrays = given(folder)
    out: dict[str, Any] = {"outlines": [], "curves": []}
    found = []
    for row, design in enumerate(job["designs"]):
        gmsh.initialize(interruptible=False)
        try:
            for name, value in (("General.Verbosity", 1), ("General.NumThreads", 1), ("Mesh.RandomSeed", 1)):
                gmsh.option.setNumber(name, value)
            for name, value in design["set"].items():
                gmsh.parser.setNumber(name, [value])
            gmsh.merge(design["file"])
            gmsh.model.occ.synchronize()
            out["outlines"].append(_outline(gmsh))
            out["curves"].append(_curves(gmsh))
            if job["what"] == "mesh":
                out |= _meshed(gmsh, job, Path(folder))
            else:
                x, before = arrays["x"][row], arrays.get("curves")
                found.append(_placed(gmsh, x, arrays["entity"], before, out["curves"][-1]))
        except Exception as error:  # whatever gmsh raises is its answer
            return refused(error)
        finally:
            gmsh.finalize()
    if found:
        out["x"] = np.stack(found)
    return done(folder, out)


def _outline(gmsh: Any) -> str:
    """How points, curves, faces and volumes hang together, as text to compare."""
    rows = []
    for dim, tag in gmsh.model.getEntities():
        below = gmsh.model.getBoundary([(dim, tag)], combined=False, oriented=False) if dim else []
        rows.append([dim, tag, gmsh.model.getType(dim, tag), sorted(abs(t) for _, t in below)])
    return json.dumps(rows)


def _meshed(gmsh: Any, job: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    dimension = gmsh.model.getDimension()
    if dimension < 2:
        raise ValueError("the geometry has no face and no volume")
    if not any(dim == dimension for dim, _ in gmsh.model.getPhysicalGroups()):
        tags = [tag for _, tag in gmsh.model.getEntities(dimension)]
        gmsh.model.addPhysicalGroup(dimension, tags, name="body")
    for name, value in (
        ("Mesh.MeshSizeMax", job["size"]), ("Mesh.MeshSizeMin", 0.05 * job["size"]),
        ("Mesh.MeshSizeFromCurvature", job["per_turn"]), ("Mesh.MeshSizeExtendFromBoundary", 1),
        ("Mesh.MeshSizeFromPoints", 0), ("Mesh.Binary", 1), ("Mesh.MshFileVersion", 4.1),
    ):  # fmt: skip
        gmsh.option.setNumber(name, value)
    gmsh.model.mesh.generate(dimension)
    if dimension == 3:
        gmsh.model.mesh.optimize("")
    if job["order"] == 2:
        gmsh.model.mesh.setOrder(2)
        gmsh.option.setNumber("Mesh.HighOrderThresholdMin", 0.2)
        gmsh.model.mesh.optimize("HighOrder")
    gmsh.write(str(folder / "mesh.msh"))
    x, entity = [], []
    for dim, tag in gmsh.model.getEntities():
        _, at, _ = gmsh.model.mesh.getNodes(dim, tag)
        at = np.asarray(at, np.float64).reshape(-1, 3)
        x.append(at)
        entity.append(np.tile([dim, tag], (len(at), 1)))
    return {"x": np.concatenate(x), "entity": np.concatenate(entity).astype(np.int64)}


def _curves(gmsh: Any) -> FloatArray:
    """Number, lowest and highest corner of each curve, float64[m, 7]."""
    rows = []
    for _, tag in gmsh.model.getEntities(1):
        (first,), (last,) = gmsh.model.getParametrizationBounds(1, tag)
        at = np.reshape(gmsh.model.getValue(1, tag, np.linspace(first, last, 200)), (-1, 3))
        rows.append([tag, *at.min(axis=0), *at.max(axis=0)])
    return np.array(rows, np.float64).reshape(-1, 7)


def _placed(
    gmsh: Any, x: FloatArray, entity: IntArray, before: FloatArray | None, now: FloatArray
) -> FloatArray:
    """Points x [n, 3] on the points, curves and faces they belong to.

    Those of a curve are first scaled from its extents before, where given, to those it has now: the nearest
    place alone would crowd the nodes of a hole that moves.
    """
    out = x.copy()
    for dim, tag in np.unique(entity, axis=0).tolist():
        rows = np.flatnonzero((entity == (dim, tag)).all(axis=1))
        if dim == 0:
            out[rows] = gmsh.model.getValue(0, tag, [])
        elif dim < 3:
            at = x[rows]
            if dim == 1 and before is not None:
                at = _stretched(at, *(one[one[:, 0] == tag][0, 1:].reshape(2, 3) for one in (before, now)))
            found, _ = gmsh.model.getClosestPoint(dim, tag, at.ravel())
            out[rows] = np.reshape(found, (-1, 3))
    return out


def _stretched(at: FloatArray, before: FloatArray, now: FloatArray) -> FloatArray:
    """Points scaled from one box [2, 3] to another; shifted along axes in which the first is flat."""
    size = np.ptp(before, axis=0)
    wide = size > 1e-6 * np.linalg.norm(size)
    scale = np.where(wide, np.ptp(now, axis=0) / np.where(wide, size, 1.0), 1.0)
    return np.asarray(now.mean(axis=0) + scale * (at - before.mean(axis=0)))


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
