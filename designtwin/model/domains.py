"""Where a load acts, as integration points: facets, cells or nodes of a model.

A load states a density at points (Pa, N/m^3, W/m^2 ...); a `Domain` spreads it over the nodes so that sums
and moments of the nodal loads are those of the density, on any mesh: sum_i N_i = 1 and sum_i N_i x_i = x hold
at every integration point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from designtwin.elements import ELEMENTS, Quadrature, gauss_legendre, triangle_rule
from designtwin.errors import ModelError, ResourceError
from designtwin.memory import free_bytes
from designtwin.mesh.selections import InGroup
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model

_CHUNK = 20_000


@dataclass(frozen=True, eq=False)
class NodalMatrices:
    """Stiffness (or heat transfer) between the nodes of small sets.

    Parameters
    ----------
    nodes : int64[k, n]
        Point ids of each set.
    values : float64[k, n c, n c]
        Its matrix, node by node with components fastest; c is 3 for displacements (N/m), 1 for
        temperatures (W/K).
    """

    nodes: IntArray
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Patch:
    """Integration points of one kind of facet, cell or node.

    Parameters
    ----------
    conn : int64[f, n]
        Point ids.
    shape : float64[q, n]
        Shape functions at the integration points.
    at : float64[f, q, 3]
        Positions, m.
    measure : float64[f, q]
        Area (m^2), volume (m^3) or share of the nodes each point stands for; totals over the thickness in
        plane models and over the ring in axisymmetric ones.
    normal : float64[f, q, 3], optional
        Outward unit normals, facets only.
    cells : int64[f], optional
        The cell of each row.
    """

    conn: IntArray
    shape: FloatArray
    at: FloatArray
    measure: FloatArray
    normal: FloatArray | None = None
    cells: IntArray | None = None


@dataclass(frozen=True, eq=False)
class Domain:
    """Integration points a load acts on.

    Parameters
    ----------
    patches : tuple of Patch
    kind : str
        ``"facets"``, ``"cells"`` or ``"nodes"``.
    n_points : int
        Points of the mesh.
    """

    patches: tuple[Patch, ...]
    kind: str
    n_points: int

    @property
    def measure(self) -> float:
        """Area, volume, or 1 for nodes."""
        return float(sum(patch.measure.sum() for patch in self.patches))

    @property
    def center(self) -> FloatArray:
        """Centroid, float64[3], m."""
        total = sum(np.einsum("fq,fqa->a", patch.measure, patch.at) for patch in self.patches)
        return np.asarray(total / self.measure)

    def spread(self, density: Callable[[Patch], FloatArray], components: int = 3) -> FloatArray:
        """Nodal loads float64[n_points, components] of a density given at the points of each patch.

        Parameters
        ----------
        density : callable
            Patch -> float64[f, q, components], per unit of the measure.
        """
        from designtwin.kernels.surface import scatter

        out = np.zeros((self.n_points, components))
        for patch in self.patches:
            value = np.ascontiguousarray(density(patch) * patch.measure[:, :, None], np.float64)
            scatter(patch.conn, patch.shape, value, out)
        return out


@lru_cache
def facet_rule(name: str) -> Quadrature:
    """Rule for loads on a facet element: exact for a linear pressure on curved facets, moments included."""
    n = 4 if ELEMENTS[name].degree > 1 else 3
    if name.startswith("triangle"):
        return triangle_rule(2 * n - 2)
    x, w = gauss_legendre(n)
    if ELEMENTS[name].dimension == 1:
        return x[:, None], w
    r, s = np.meshgrid(x, x)
    return np.column_stack([r.ravel(), s.ravel()]), np.outer(w, w).ravel()


def facet_domain(model: Model, facets: IntArray) -> Domain:
    """Facets int64[k, 2] as integration points."""
    from designtwin.kernels.surface import facet_geometry

    patches = []
    for block in model.mesh.facets(facets):
        element = ELEMENTS[block.element]
        shape, gradient, weight = element.tables(facet_rule(block.element))
        edges = element.dimension == 1
        scale = model.cell_scale()[block.cells] if edges else np.ones(len(block.cells))
        at = np.empty((len(block.conn), len(weight), 3))
        area = np.empty_like(at)
        kind = int(model.axisymmetric and edges)
        facet_geometry(model.mesh.points, block.conn, shape, gradient, weight, kind, scale, at, area)
        measure = np.linalg.norm(area, axis=2)
        # On the axis of symmetry a ring has no area, and no normal is needed there.
        normal = area / np.maximum(measure, np.finfo(float).tiny)[:, :, None]
        patches.append(Patch(block.conn, shape, at, measure, normal, block.cells))
    return Domain(tuple(patches), "facets", model.mesh.n_points)


def cell_patches(model: Model, cells: IntArray) -> Iterator[Patch]:
    """Cells as integration points, some thousands at a time."""
    from designtwin.kernels.volume import measures

    mesh = model.mesh
    scale, kind = model.cell_scale(), int(model.axisymmetric)
    for name, rows in mesh.rows_by_block(cells):
        element = ELEMENTS[name]
        shape, gradient, weight = element.tables(element.mass_quadrature)
        for first in range(0, len(rows), _CHUNK):
            some = rows[first : first + _CHUNK]
            conn, ids = mesh.cells[name][some], some + mesh.block_offsets[name]
            measure = np.empty((len(some), len(weight)))
            measures(mesh.points, conn, shape, gradient, weight, kind, scale[ids], measure)
            at = shape @ mesh.points[conn]
            yield Patch(conn, shape, at, measure, None, ids)


def cell_domain(model: Model, cells: IntArray) -> Domain:
    """Cells int64[k] as integration points."""
    return Domain(tuple(cell_patches(model, cells)), "cells", model.mesh.n_points)


def node_domain(model: Model, nodes: IntArray) -> Domain:
    """Nodes int64[k] as points of equal share."""
    nodes = np.array(nodes, np.int64)  # of its own: a read-only array would compile kernels anew
    share = np.full((len(nodes), 1), 1.0 / len(nodes))
    patch = Patch(nodes[:, None], np.ones((1, 1)), model.mesh.points[nodes][:, None, :], share)
    return Domain((patch,), "nodes", model.mesh.n_points)


def face_matrices(domain: Domain, stiffness: Callable[[Patch], FloatArray]) -> list[NodalMatrices]:
    """Integral of N_i c N_j over a domain, with c float64[f, q, c, c] per unit of its measure."""
    from designtwin.kernels.surface import facet_matrices

    out = []
    for patch in domain.patches:
        value = np.ascontiguousarray(stiffness(patch) * patch.measure[:, :, None, None], np.float64)
        size = patch.conn.shape[1] * value.shape[-1]
        matrices = np.empty((len(patch.conn), size, size))
        facet_matrices(patch.shape, value, matrices)
        out.append(NodalMatrices(patch.conn, matrices))
    return out


@dataclass(frozen=True, eq=False)
class MeanMotion:
    """The mean motion of a domain, which stays flexible (RBE3): least squares over its measure.

    Parameters
    ----------
    nodes : int64[n]
        Its nodes.
    center : float64[3]
        Centroid, m.
    follow : float64[n, 3, 6]
        Motion per displacement of a node: translation of the centroid and rotation. As columns, the nodal
        forces by which a unit force, or moment, enters the domain (`loads.linear_density` has the same).
    blind : float64[3, k]
        Axes of rotations that its points cannot tell: that along a line, all three of a point.
    """

    nodes: IntArray
    center: FloatArray
    follow: FloatArray
    blind: FloatArray

    @classmethod
    def of(cls, model: Model, domain: Domain) -> MeanMotion:
        """The mean motion of a domain; in plane models along x and y and about z, in rings along y."""
        nodes = np.unique(np.concatenate([patch.conn.ravel() for patch in domain.patches]))
        center, total = domain.center, domain.measure
        second = np.zeros((3, 3))
        for patch in domain.patches:
            r = patch.at - center
            second += np.einsum("fq,fqa,fqb->ab", patch.measure, r, r)
        turns = [] if model.axisymmetric else [2] if model.dimension == 2 else [0, 1, 2]
        slides = [1] if model.axisymmetric else [0, 1] if model.dimension == 2 else [0, 1, 2]
        follow = np.zeros((len(nodes), 3, 6))
        about = np.zeros((len(nodes), 3, 3))
        for axis in slides:
            even = np.eye(3)[axis] / total
            follow[:, :, axis] = domain.spread(lambda p, even=even: np.broadcast_to(even, p.at.shape))[nodes]  # type: ignore[misc]
        for axis in turns:
            e = np.eye(3)[axis]
            about[:, :, axis] = domain.spread(lambda p, e=e: np.cross(e, p.at - center))[nodes]  # type: ignore[misc]
        values, vectors = np.linalg.eigh((np.trace(second) * np.eye(3) - second)[np.ix_(turns, turns)])
        told = values > 1e-12 * max(float(values.max(initial=0.0)), np.finfo(float).tiny)
        axes = np.eye(3)[:, turns] @ vectors
        follow[:, :, 3:] = about @ ((axes[:, told] / values[told]) @ axes[:, told].T)
        return cls(nodes, center, follow, axes[:, ~told])

    def at(self, point: FloatArray) -> FloatArray:
        """Motion per displacement of a node, of a point [3] that goes along: float64[n, 3, 6]."""
        out = self.follow.copy()
        x, y, z = point - self.center
        out[:, :, :3] += self.follow[:, :, 3:] @ np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        return out

    def lost(self, point: FloatArray, core: FloatArray) -> bool:
        """Whether a form float64[6, 6] over the motion of a point asks for a rotation that it cannot tell."""
        arm = point - self.center
        for axis in self.blind.T:
            motion = np.concatenate([np.cross(axis, arm), axis])
            small = 1e-18 * (float(arm @ arm) + float(self.center @ self.center)) * np.abs(core[:3, :3]).max()
            if abs(float(motion @ core @ motion)) > 1e-9 * np.abs(core[3:, 3:]).max() + small:
                return True
        return False


def carried(nodes: IntArray, shapes: FloatArray, core: FloatArray, who: str) -> NodalMatrices:
    """Matrix of a form float64[r, r] over motions float64[n, 3, r] that follow nodes int64[n].

    Raises
    ------
    ResourceError
        If the matrix, full over these nodes, and what is made of it, does not fit in memory.
    """
    wanted, free = 4.0 * 8.0 * (3.0 * len(nodes)) ** 2, free_bytes()
    if free is not None and wanted > free:
        raise ResourceError(
            f"{who}: a point joined to {len(nodes):,} nodes couples each with each, which takes about "
            f"{wanted / 1e9:.1f} GB ({free / 1e9:.1f} GB are free); fasten it to a smaller face, or add a "
            "RigidLink on the face and fasten it to a few nodes of that"
        )
    unique, number = np.unique(nodes, return_inverse=True)
    motion = np.zeros((len(unique), 3, len(core)))
    np.add.at(motion, number, shapes)
    flat = motion.reshape(-1, len(core))
    return NodalMatrices(unique[None], (flat @ core @ flat.T)[None])


def faces_of(model: Model, on: object, who: str) -> Domain:
    """The facets a selection holds, for loads that need a face.

    Raises
    ------
    ModelError
        If it holds none.
    """
    return facet_domain(model, facets_of(model, on, who))


def facets_of(model: Model, on: object, who: str) -> IntArray:
    """Those facets themselves, int64[k, 2]; see ``faces_of``."""
    facets = model.region(on).facets
    if not len(facets):
        raise ModelError(
            f"{who} acts on faces, and {said(on)} holds none; name a face group, or a rule such as "
            'faces(normal="+x", at="max")'
        )
    return facets


def domain_of(model: Model, on: object) -> Domain:
    """Where a total is spread: facets of a selection if it has any, else its nodes, else its cells.

    A group that states nodes alone counts as a face where facets cover all of them; one that states cells
    alone counts as its cells, not as their outside.
    """
    region = model.region(on)
    name = on.name if isinstance(on, InGroup) else on
    if isinstance(name, str):
        group = model.mesh.group(name)
        if group.facets is None:
            if group.nodes is None:
                return cell_domain(model, region.cells)
            if len(model.mesh.nodes_of_facets(region.facets)) < len(region.nodes):
                return node_domain(model, region.nodes)
    if len(region.facets):
        return facet_domain(model, region.facets)
    if len(region.nodes):
        return node_domain(model, region.nodes)
    return cell_domain(model, region.cells)


def said(on: object) -> str:
    """A selection in a sentence: a group by its name in quotes, a rule by its own words."""
    return repr(on) if isinstance(on, str) else str(on)


def rigid_motions(x: FloatArray, dimension: int, axisymmetric: bool) -> FloatArray:
    """Displacement of points under unit rigid motions, float64[k, 3, m].

    Parameters
    ----------
    x : float64[k, 3]
        Positions from the center of rotation.
    dimension : int
        3: translations along and rotations about x, y, z. 2: along x, y, about z.
    axisymmetric : bool
        Along y only.
    """
    k = len(x)
    if axisymmetric:
        out = np.zeros((k, 3, 1))
        out[:, 1, 0] = 1.0
        return out
    full = np.zeros((k, 3, 6))
    full[:, 0, 0] = full[:, 1, 1] = full[:, 2, 2] = 1.0
    full[:, 1, 3], full[:, 2, 3] = -x[:, 2], x[:, 1]
    full[:, 0, 4], full[:, 2, 4] = x[:, 2], -x[:, 0]
    full[:, 0, 5], full[:, 1, 5] = -x[:, 1], x[:, 0]
    return full if dimension == 3 else full[:, :, [0, 1, 5]]
