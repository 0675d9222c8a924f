"""Fields between meshes: a solved or measured temperature on the mesh of another analysis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.errors import MeshError, ModelError
from designtwin.io.points import PointCloud
from designtwin.mesh import Mesh
from designtwin.mesh.transfer import (
    Interpolation,
    Projection,
    integral_of,
    interpolation,
    projection,
    scattered,
)
from designtwin.results.common import CaseResult
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show, to_si

_NAMED = 8
"""Points that a message names; `Transferred.outside` has all."""


@dataclass(frozen=True, eq=False, repr=False)
class Transferred:
    """Nodal values on a mesh that came from elsewhere; ``Temperature(transferred)`` takes it as it is.

    Parameters
    ----------
    mesh : Mesh
        Where they are now.
    values : float64[n_points] or float64[k, n_points]
        SI; a row per instant of a history.
    times : float64[k], optional
        s.
    dimension : str
        Such as "temperature".
    method : str
    outside : int64[m]
        Nodes the source does not reach; they have the value of its nearest place.
    distance : float64[m]
        How far each of them is from the source, m.
    before : float64[] or float64[k], optional
        Integral over the source, unit times m^3; None of a point cloud.
    axisymmetric : bool
        Whether volumes go all around.
    """

    mesh: Mesh
    values: FloatArray
    times: FloatArray | None
    dimension: str
    method: str
    outside: IntArray
    distance: FloatArray
    before: FloatArray | None = None
    axisymmetric: bool = False

    @property
    def temperature(self) -> FloatArray:
        """The values as nodal temperatures, K.

        Raises
        ------
        ModelError
            If they are something else.
        """
        if self.dimension != "temperature":
            raise ModelError(f"what was transferred is a {self.dimension}, and no temperature")
        return self.values

    @cached_property
    def after(self) -> FloatArray:
        """Integral over the mesh, unit times m^3, float64[] or float64[k]."""
        return np.asarray(self.values @ integral_of(self.mesh, axisymmetric=self.axisymmetric))

    def __repr__(self) -> str:
        return f"<Transferred {self}>"

    def __str__(self) -> str:
        spread = show(np.array([self.values.min(), self.values.max()]), self.dimension)
        instants = "" if self.times is None else f" and {len(self.times)} instants"
        n = len(self.mesh.used_nodes)
        text = f"{self.dimension} at {n:,} nodes{instants} within {spread}, {self.method}"
        if not len(self.outside):
            return f"{text}; all nodes lie within the source"
        return f"{text}; {_beyond(self.mesh, self.outside, self.distance)}"


def _beyond(mesh: Mesh, outside: IntArray, distance: FloatArray) -> str:
    """How many nodes lie outside, which, and the worst of them."""
    worst = int(np.argmax(distance))
    named = ", ".join(map(str, outside[:_NAMED])) + (" ..." if len(outside) > _NAMED else "")
    share = len(outside) / max(len(mesh.used_nodes), 1)
    nodes = "1 node lies" if len(outside) == 1 else f"{len(outside):,} nodes ({share:.2g} of all) lie"
    return (
        f"{nodes} outside the source: {named}; the farthest, node {outside[worst]} at "
        f"{show(mesh.points[outside[worst]], 'length')}, is {show(float(distance[worst]), 'length')} away"
    )


def transfer(
    source: Any,
    mesh: Mesh,
    *,
    method: str = "interpolate",
    outside: str = "raise",
    reach: Any = None,
    name: str = "temperature",
) -> Transferred:
    """Bring a field to the nodes of another mesh.

    Parameters
    ----------
    source : case of a result, PointCloud or (Mesh, float64[n_points])
        ``solve_thermal(model)["hot"]``, a transient case (all its instants), ``read_points("T.csv", ...)``.
    mesh : Mesh
        Where it is wanted.
    method : "interpolate" or "conservative"
        The source's own value at every node; or the least-squares fit over the volume that keeps the mean,
        and with it, on meshes of equal volume, the integral: what a coarser mesh misses of a hot spot is
        not lost. The fit overshoots a little where the field is steeper than the cells of `mesh` resolve.
    outside : "raise" or "nearest"
        What happens at nodes that the source does not reach: an error that names them, or the value of the
        source's nearest place, and the nodes in ``Transferred.outside``.
    reach : length, optional
        How far beyond the source a node may be without counting as outside. Without it a tenth of the
        nearest facet of a mesh, as meshes of one curved part differ by their sag; rounding for a cloud.
    name : str
        The scalar field of the case.

    Returns
    -------
    Transferred
        ``Temperature(transferred, reference="23 degC")`` takes it.

    Raises
    ------
    MeshError
        If nodes lie outside the source and ``outside="raise"``.
    ModelError
        If the source is none of these, or the conservative method is asked of a point cloud.
    """
    if not isinstance(mesh, Mesh):
        raise ModelError(f"transfer: the second argument is the mesh to bring the field to, got {mesh!r}")
    if method not in ("interpolate", "conservative"):
        raise ModelError(f"transfer: method is {method!r}; it may be 'interpolate' or 'conservative'")
    if outside not in ("raise", "nearest"):
        raise ModelError(f"transfer: outside is {outside!r}; it may be 'raise' or 'nearest'")
    far = None if reach is None else float(to_si(reach, "length", name="transfer reach"))
    used = mesh.used_nodes
    if isinstance(source, PointCloud):
        if method == "conservative":
            raise ModelError(
                "transfer: a point cloud has no volume whose integral could be kept; say method='interpolate'"
            )
        found = scattered(source.points, mesh.points[used], reach=far)
        _refuse(mesh, used[found.outside], found.distance, outside, str(source))
        values = _spread(mesh, found, source.values)
        return Transferred(mesh, values, None, source.dimension, method, used[found.outside], found.distance)
    old, rows, times, dimension, axisymmetric = _nodal(source, name)
    way: Interpolation | Projection
    if method == "conservative":
        way = projection(old, mesh, reach=far, axisymmetric=axisymmetric)
        beyond = way.outside
    else:
        way = interpolation(old, mesh.points[used], reach=far)
        beyond = used[way.outside]
    _refuse(mesh, beyond, way.distance, outside, "the source's mesh")
    weights = integral_of(old, axisymmetric=axisymmetric)
    out, before = [], []
    for one in rows:
        out.append(way(one) if isinstance(way, Projection) else _spread(mesh, way, one))
        before.append(float(weights @ one))
    values = out[0] if times is None else np.stack(out)
    return Transferred(
        mesh, values, times, dimension, method, beyond, way.distance,
        np.asarray(before[0] if times is None else before), axisymmetric,
    )  # fmt: skip


def _spread(mesh: Mesh, way: Interpolation, values: FloatArray) -> FloatArray:
    """Values at all points of a mesh; those in no cell show the mean."""
    at_used = way.weights @ values
    out = np.full(mesh.n_points, at_used.mean())
    out[mesh.used_nodes] = at_used
    return out


def _refuse(mesh: Mesh, nodes: IntArray, distance: FloatArray, outside: str, source: str) -> None:
    if outside == "raise" and len(nodes):
        raise MeshError(
            f"transfer: {_beyond(mesh, nodes, distance)} from {source}. Check units and position of both, "
            "state how far is near enough, as reach='1 mm', or take the nearest value: outside='nearest'"
        )


def _nodal(source: Any, name: str) -> tuple[Mesh, Any, FloatArray | None, str, bool]:
    """Mesh, nodal values instant by instant, times, dimension and whether volumes go around."""
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], Mesh):
        values = np.asarray(to_si(source[1], name, name=f"transfer {name}"), np.float64)
        if values.shape != (source[0].n_points,):
            raise ModelError(
                f"transfer: {source[0].n_points} nodal values are wanted, got shape {list(values.shape)}"
            )
        return source[0], [values], None, name, False
    if not isinstance(source, CaseResult):
        cases = list(getattr(source, "cases", ()))
        hint = f"; say which case: result[{cases[0]!r}]" if cases else ""
        raise ModelError(
            "transfer: the source is a case of a result, read_points(...), or (mesh, nodal values); got a "
            f"{type(source).__name__}{hint}"
        )
    times = getattr(source, "times", None)
    frames: Any = source.frames if times is not None else (source,)
    first = frames[0].field(name)
    if first.location != "points" or first.values.ndim != 1:
        raise ModelError(f"transfer: {name!r} is no scalar field at the nodes; 'temperature' is one")
    rows = (frame.field(name).values for frame in frames)
    return source.mesh, rows, times, first.dimension, source.model.axisymmetric
