"""Cells as kernels see them: tables at points, tensors there, strain and stress from displacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from designtwin import parallel
from designtwin.elements import ELEMENTS, Quadrature, ReferenceElement, triangle_rule
from designtwin.errors import ModelError
from designtwin.kernels import volume
from designtwin.model.model import LoadCase, Model
from designtwin.model.sections import Section, Truss
from designtwin.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class CellBlock:
    """Cells of one element type in one part, with what the kernels need to know of them.

    Parameters
    ----------
    element : ReferenceElement
    cells : int64[n]
        Cell ids.
    conn : int64[n, n_nodes]
    part : int
        Index in ``model.parts``.
    section : Section
    scale : float64[n]
        Thickness, area or 1.
    kind : int
        1 axisymmetric.
    bbar, incompatible : bool
        Locking control.
    """

    element: ReferenceElement
    cells: IntArray
    conn: IntArray
    part: int
    section: Section
    scale: FloatArray
    kind: int
    bbar: bool
    incompatible: bool

    def modes(self, xi: FloatArray) -> FloatArray:
        """Gradients of incompatible modes at natural coordinates, [q, m, d]; m = 0 without them."""
        if self.incompatible:
            return self.element.mode_gradient(xi)
        return np.zeros((len(xi), 0, self.element.dimension))

    def at(self, points: FloatArray, shape: FloatArray) -> FloatArray:
        """Positions [n, q, 3] of table points."""
        return np.asarray(np.einsum("qn,cna->cqa", shape, points[self.conn]))

    def __post_init__(self) -> None:
        self.conn.setflags(write=False)  # the mesh's own or not, kernels compile once

    def take(self, rows: IntArray) -> CellBlock:
        """Some of the cells."""
        if _are_all(rows, len(self.conn)):
            return self
        return replace(self, cells=self.cells[rows], conn=self.conn[rows], scale=self.scale[rows])


def _are_all(rows: IntArray, n: int) -> bool:
    return len(rows) == n and bool((rows == np.arange(n)).all())


def _rows(conn: IntArray, rows: IntArray) -> IntArray:
    """Rows of an array; the array itself where they are all of them."""
    return np.ascontiguousarray(conn if _are_all(rows, len(conn)) else conn[rows])


def cell_blocks(model: Model) -> tuple[CellBlock, ...]:
    """The model's cells by part and element type."""
    scale = model.cell_scale()
    blocks = []
    for index, part in enumerate(model.parts):
        for name, rows in model.mesh.rows_by_block(part.cells):
            element = ELEMENTS[name]
            asked = getattr(part.section, "formulation", "auto")
            # What a cell type offers, best first; the others neither lock nor have a remedy.
            offers: tuple[str, ...] = ("incompatible", "b-bar") if name in ("quad", "hexahedron") else ()
            if model.axisymmetric:
                offers = offers[1:]
            if asked not in ("auto", "full", *offers):
                raise ModelError(
                    f"part {part.name!r}: formulation={asked!r} does not exist for its cells {name!r}"
                    f"{' of revolution' if model.axisymmetric else ''}; say 'auto', which takes the best "
                    "for each cell type"
                )
            formulation = asked if asked != "auto" else offers[0] if offers else "full"
            cells = model.mesh.block_offsets[name] + rows
            blocks.append(
                CellBlock(
                    element=element,
                    cells=cells,
                    conn=_rows(model.mesh.cells[name], rows),
                    part=index,
                    section=part.section,
                    scale=scale[cells],
                    kind=1 if model.axisymmetric else 0,
                    bbar=formulation == "b-bar",
                    incompatible=formulation == "incompatible",
                )
            )
    return tuple(blocks)


@dataclass(frozen=True, eq=False)
class PointTables:
    """A block's tables at a set of natural coordinates."""

    xi: FloatArray
    shape: FloatArray
    gradient: FloatArray
    modes: FloatArray
    weight: FloatArray


def tables(block: CellBlock, rule: Quadrature | None = None) -> PointTables:
    """Tables of a rule; without one, of the element's stiffness rule.

    Rings take the richer rule: their radius raises the degree of all integrals, and a triangle of one point
    would turn about that point without a hoop strain.
    """
    if rule is None:
        rule = block.element.mass_quadrature if block.kind == 1 else block.element.quadrature
    xi, weight = rule
    return PointTables(
        xi, block.element.shape(xi), block.element.gradient(xi), block.modes(xi), np.asarray(weight)
    )


def storage_tables(block: CellBlock) -> PointTables:
    """Tables of the rule that integrates products of shape functions."""
    rule = block.element.mass_quadrature
    if block.kind == 1 and block.element.linear == "triangle":  # the radius raises the degree by one
        rule = triangle_rule(2 * block.element.degree + 1)
    return tables(block, rule)


def storage_points(model: Model, block: CellBlock) -> tuple[FloatArray, FloatArray]:
    """Points that integrate products of shape functions: these [q, n], and what volume each has [k, q]."""
    at = storage_tables(block)
    measure = np.empty((len(block.conn), len(at.weight)))

    def cells(start: int, stop: int) -> None:
        volume.measures(
            model.mesh.points, block.conn[start:stop], at.shape, at.gradient, at.weight, block.kind,
            block.scale[start:stop], measure[start:stop],
        )  # fmt: skip

    parallel.run(cells, len(block.conn), grain=1024)
    return at.shape, measure


def _along(block: CellBlock, points: FloatArray) -> FloatArray:
    """What takes the axial strain of each bar from its strain: n n, float64[n_cells, 6]."""
    t = points[block.conn[:, 1]] - points[block.conn[:, 0]]
    x, y, z = (t / np.linalg.norm(t, axis=1)[:, None]).T
    return np.stack([x * x, y * y, z * z, x * y, y * z, x * z], axis=1)


def _truss_tensors(block: CellBlock, points: FloatArray, modulus: FloatArray) -> FloatArray:
    """Axial stiffness E (n n)(n n) of each cell as 6x6 tensors."""
    m = _along(block, points)
    return np.asarray(modulus[:, None, None] * m[:, :, None] * m[:, None, :])


def _warmth(
    block: CellBlock, at: PointTables, temperature: FloatArray | None, what: str
) -> FloatArray | None:
    """Temperature at table points, float64[n_cells, q], K, where a property is a table over it."""
    if temperature is None or not block.section.material.varies_with_temperature(what):
        return None
    return warmth_at(block, at.shape, temperature)


def warmth_at(block: CellBlock, shape: FloatArray, temperature: FloatArray) -> FloatArray:
    """Temperature at points of cells, float64[n_cells, q], K, from that of the nodes [n_points].

    Between nodes a quadratic cell overshoots a little; that does not count as beyond the end of a table.
    """
    between = temperature[block.conn] @ shape.T
    ends = [
        (float(one.knots[0]), float(one.knots[-1]))
        for key in block.section.material.properties
        if (one := block.section.material.magnitude(key)) is not None
        and one.over == "temperature"
        and one.knots is not None
    ]
    low, high = float(temperature.min()), float(temperature.max())
    for first, last in ends:
        if first <= low and high <= last:
            np.clip(between, first, last, out=between)
    return np.asarray(between)


def axes_at(model: Model, block: CellBlock, at: PointTables) -> FloatArray | None:
    """Axes of the material at table points, float64[n_cells * q, 3, 3]; None where they are global."""
    section = block.section
    if type(section).axes is Section.axes or getattr(section, "orientation", section) is None:
        return None  # where points lie does not matter then
    return section.axes(block.at(model.mesh.points, at.shape).reshape(-1, 3))


def elastic_tensors(
    model: Model, block: CellBlock, at: PointTables, temperature: FloatArray | None
) -> tuple[FloatArray, IntArray]:
    """Elastic tensors [k, 6, 6], Pa, and which holds at each point of each cell [n_cells, q].

    One tensor serves the block unless the material depends on temperature or is oriented.
    """
    n_cells, n_q = len(block.conn), len(at.xi)
    section = block.section
    warm = _warmth(block, at, temperature, "stiffness")
    local = None if warm is None else warm.ravel()
    if isinstance(section, Truss):
        mean = None if warm is None else warm.mean(axis=1)
        modulus = np.broadcast_to(section.axial_modulus(mean), (n_cells,))
        tensors = _truss_tensors(block, model.mesh.points, modulus)
        return tensors, np.repeat(np.arange(n_cells)[:, None], n_q, axis=1)
    axes = axes_at(model, block, at)
    tensors = np.asarray(section.stiffness(local, axes), np.float64)
    if tensors.ndim == 2:
        return tensors[None], np.zeros((n_cells, n_q), np.int64)
    return np.ascontiguousarray(tensors), np.arange(n_cells * n_q).reshape(n_cells, n_q)


def conductivity_tensors(
    model: Model, block: CellBlock, at: PointTables, temperature: FloatArray | None
) -> tuple[FloatArray, IntArray]:
    """Conductivity tensors [k, 3, 3], W/(m K), and which holds where [n_cells, q]."""
    n_cells, n_q = len(block.conn), len(at.xi)
    warm = _warmth(block, at, temperature, "conductivity")
    local = None if warm is None else warm.ravel()
    axes = axes_at(model, block, at)
    tensors = np.asarray(block.section.conductivity_tensor(local, axes), np.float64)
    if tensors.ndim == 2:
        return tensors[None], np.zeros((n_cells, n_q), np.int64)
    return np.ascontiguousarray(tensors), np.arange(n_cells * n_q).reshape(n_cells, n_q)


def thermal_strain(model: Model, block: CellBlock, at: PointTables, case: LoadCase) -> FloatArray | None:
    """Stress-free strain at table points, float64[n_cells, q, 6]; None for a case without temperature."""
    if case.temperature is None:
        return None
    nodal = case.temperature.at_nodes(model)
    local = _warmth(block, at, nodal, "expansion")
    if local is None:
        local = np.einsum("qn,cn->cq", at.shape, nodal[block.conn])
    axes = axes_at(model, block, at)
    reference = float(case.temperature.references(model)[block.part])
    free = block.section.thermal_strain(local.ravel(), reference, axes)
    return np.asarray(free).reshape(*local.shape, 6)


def applied(tensors: FloatArray, which: IntArray, field: FloatArray) -> FloatArray:
    """Tensors [k, n, n] times a field [n_cells, q, n], each point with its own (see ``elastic_tensors``)."""
    if len(tensors) == 1:
        return np.asarray(field @ tensors[0].T)
    return np.asarray(np.einsum("cqij,cqj->cqi", tensors[which], field))


def thermal_stress_force(model: Model, case: LoadCase, blocks: Sequence[CellBlock]) -> FloatArray | None:
    """Nodal forces float64[n_points, 3], N, of the case's stress-free thermal strain; None without one."""
    if case.temperature is None:
        return None
    out = np.zeros((model.mesh.n_points, 3))
    temperature = case.temperature.at_nodes(model)
    for block in blocks:
        at = tables(block)
        free = thermal_strain(model, block, at, case)
        if free is None:
            continue
        tensor, tensor_of = elastic_tensors(model, block, at, temperature)
        stress = applied(tensor, tensor_of, free)
        center = block.element.gradient(block.element.center)[0]
        volume.stress_force(
            model.mesh.points, block.conn, at.shape, at.gradient, at.weight, at.modes, center, block.kind,
            block.bbar, model.dimension, block.scale, tensor, tensor_of, stress, out,
        )  # fmt: skip
    return out


def strain_at(
    model: Model, case: LoadCase, block: CellBlock, at: PointTables, displacement: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Total strain and stress at table points, each float64[n_cells, p, 6].

    The strain includes what the kinematics leave out, such as the thinning of a sheet.
    """
    rule = tables(block)
    temperature = None if case.temperature is None else case.temperature.at_nodes(model)
    tensor, tensor_of = elastic_tensors(model, block, rule, temperature)
    initial = np.zeros((0, len(rule.xi), 6))
    if block.incompatible:
        free = thermal_strain(model, block, rule, case)
        if free is not None:
            initial = applied(tensor, tensor_of, free)
    strain = np.empty((len(block.conn), len(at.xi), 6))
    volume.strain(
        model.mesh.points, block.conn, rule.shape, rule.gradient, rule.weight, rule.modes,
        block.element.gradient(block.element.center)[0], block.kind, block.bbar, model.dimension,
        block.scale, tensor, tensor_of, initial, at.shape, at.gradient, at.modes, displacement, strain,
    )  # fmt: skip
    if isinstance(block.section, Truss):
        # Bars know their axial strain alone; the rest of the gradient is how they turn.
        along = _along(block, model.mesh.points)
        axial = np.einsum("cqi,ci->cq", strain, along)
        strain = axial[:, :, None] * (along * [1.0, 1.0, 1.0, 2.0, 2.0, 2.0])[:, None, :]
    local, local_of = elastic_tensors(model, block, at, temperature)
    free = thermal_strain(model, block, at, case)
    stress = applied(local, local_of, strain if free is None else strain - free)
    warm = _warmth(block, at, temperature, "stiffness")
    axes = axes_at(model, block, at)
    axes = None if axes is None else axes.reshape(*strain.shape[:2], 3, 3)
    return block.section.full_strain(strain, temperature=warm, axes=axes, thermal=free), stress
