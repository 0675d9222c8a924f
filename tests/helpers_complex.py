"""Statics and steady heat in complex numbers: an oracle for gradients.

A number that is computed analytically from a parameter has the slope Im f(p + ih) / h, without difference and
without cancellation (Squire and Trapp, SIAM Review 40 (1998) 110-112). This is a dense implementation of the
cells from their textbook formulas, which shares nothing with the kernels but tables of shape functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from designtwin.assembly import cell_blocks, elastic_tensors, tables
from designtwin.assembly.cells import conductivity_tensors
from designtwin.elements import sampling
from designtwin.model.sections import Truss

STEP = 1e-30


def gradients(x, dn):
    """Space gradients [..., n, 3] and measure of points of cells x [c, n, 3], natural gradients [q, n, d]."""
    jac = np.einsum("cni,qnd->cqid", x, dn)
    d = dn.shape[2]
    if d == 3:
        return np.einsum("qnd,cqdi->cqni", dn, np.linalg.inv(jac)), np.linalg.det(jac)
    if d == 2:
        inverse = np.linalg.inv(jac[:, :, :2])
        grad = np.einsum("qnd,cqdi->cqni", dn, inverse)
        return np.concatenate([grad, np.zeros_like(grad[..., :1])], axis=-1), np.linalg.det(jac[:, :, :2])
    square = np.einsum("cqid,cqid->cq", jac, jac)
    return np.einsum("qnd,cqid->cqni", dn, jac) / square[..., None, None], np.sqrt(square)


def strain_matrix(grad, shape, radius=None):
    """B [c, q, 6, n, 3] of space gradients; with a radius also the hoop strain u_r / r."""
    b = np.zeros((*grad.shape[:2], 6, grad.shape[2], 3), complex)
    for i in range(3):
        b[:, :, i, :, i] = grad[..., i]
    for row, (i, j) in ((3, (0, 1)), (4, (1, 2)), (5, (0, 2))):
        b[:, :, row, :, i], b[:, :, row, :, j] = grad[..., j], grad[..., i]
    if radius is not None:
        b[:, :, 2, :, 0] += shape[None] / radius[..., None]
    return b


def along_bars(x):
    """What takes the axial strain of bars x [c, n, 3] from a strain, [c, 6]."""
    chord = x[:, 1] - x[:, 0]
    a, b, c = (chord / np.sqrt((chord * chord).sum(axis=1))[:, None]).T
    return np.stack([a * a, b * b, c * c, a * b, b * c, a * c], axis=1)


@dataclass
class Cells:
    """One block in complex numbers."""

    block: Any
    x: Any
    scale: Any
    tensor: Any
    """[6, 6], [c, q, 6, 6] or a function of table points."""

    @property
    def nodes(self):
        return self.block.conn

    def matrices(self, at):
        """B of nodes [c, p, 6, n * 3], of modes [c, p, 6, m * 3], and volumes [c, p] at table points."""
        block = self.block
        grad, det = gradients(self.x, at.gradient)
        radius = None
        dv = at.weight * det * self.scale[:, None]
        if block.kind == 1:
            radius = np.einsum("qn,cn->cq", at.shape, self.x[:, :, 0])
            dv = dv * 2.0 * np.pi * radius
        b = strain_matrix(grad, at.shape, radius)
        if isinstance(block.section, Truss):
            along = along_bars(self.x).T
            axial = np.einsum("rc,cqrni->cqni", along, b)
            twice = np.array([1, 1, 1, 2, 2, 2])[:, None] * along
            b = np.einsum("rc,cqni->cqrni", twice, axial)
        if block.bbar:
            rule = tables(block)
            if at.xi is rule.xi or np.array_equal(at.xi, rule.xi):
                own, volume = b, dv / self.scale[:, None]
            else:
                plain = replace(block, bbar=False)
                own, dv_rule = Cells(plain, self.x, self.scale, self.tensor).matrices(rule)[::2]
                own, volume = own.reshape(*own.shape[:3], -1, 3), dv_rule / self.scale[:, None]
            mean = np.einsum("cq,cqrni->cni", volume, own[:, :, :3]) / volume.sum(axis=1)[:, None, None]
            change = (mean[:, None] - b[:, :, :3].sum(axis=2)) / 3.0
            b[:, :, :3] += change[:, :, None]
        m = at.modes.shape[1]
        modes = np.zeros((*b.shape[:3], 0), complex)
        if m:
            center = block.element.gradient(block.element.center)
            _, det0 = gradients(self.x, center)
            d = center.shape[2]
            jac0 = np.einsum("cni,nd->cid", self.x, center[0])[:, :d]
            grad0 = np.einsum("qmd,cdi->cqmi", at.modes, np.linalg.inv(jac0)) * (det0 / det)[..., None, None]
            grad0 = np.concatenate([grad0, np.zeros((*grad0.shape[:3], 3 - d))], axis=-1)
            keep = np.arange(3) < d
            modes = strain_matrix(grad0, at.shape)[..., keep].reshape(*b.shape[:3], -1)
        return b.reshape(*b.shape[:3], -1), modes, dv


@dataclass
class ComplexStatics:
    """One static load case solved in complex numbers; every array may carry an imaginary step.

    Parameters
    ----------
    result, case : of the model looked at
    """

    model: Any
    case: Any
    recovery: Any
    points: Any = None
    scale: Any = None
    stiffness: Any = None
    tangent: Any = None
    density: Any = None
    forces: Any = None
    motions: Any = None
    free_strain: Any = None
    expansion: float = 0.0
    temperature: Any = None
    reference: complex = 0.0
    springs: Any = ()
    blocks: Any = field(default=None)

    def __post_init__(self):
        model = self.model
        self.blocks = cell_blocks(model)
        self.points = np.array(model.mesh.points, complex)
        self.scale = np.array(model.cell_scale(), complex)
        self.stiffness = np.ones(model.mesh.n_cells, complex)
        self.tangent = np.zeros((6, 6), complex)
        self.density = np.array(model.cell_density(needed_by="the test"), complex)
        self.forces = np.zeros_like(self.points)
        for load in self.case.loads:
            self.forces += load.nodal_forces(model)
        self.fixed, self.motions = np.zeros(self.points.shape, bool), np.zeros_like(self.points)
        if model.dimension == 2:
            self.fixed[:, 2] = True
        for support in (*model.supports, *self.case.supports):
            for held in support.prescribed(model):
                assert held.axes is None
                self.fixed[held.nodes] |= held.fixed
                self.motions[held.nodes] = np.where(held.fixed, held.value, self.motions[held.nodes])
            for one in support.matrices(model):
                self.springs = (*self.springs, one)

    def cells(self, block):
        at = tables(block)
        law = elastic_tensors(self.model, block, at, None)[0]
        tensor = law if len(law) > 1 else law[0]
        return Cells(block, self.points[block.conn], self.scale[block.cells], tensor)

    def law(self, block, cells):
        """Tensors [c, 6, 6] of a block whose material is uniform, or of bars."""
        if isinstance(block.section, Truss):
            modulus = float(block.section.axial_modulus())
            m = along_bars(cells.x)
            base = modulus * m[:, :, None] * m[:, None, :]
        else:
            base = np.broadcast_to(cells.tensor, (len(block.conn), 6, 6))
        return self.stiffness[block.cells][:, None, None] * (base + self.tangent)

    def free(self, block, at):
        """Thermal strain [c, p, 6]."""
        out = np.zeros((len(block.conn), len(at.xi), 6), complex)
        if self.temperature is not None:
            warm = self.temperature[block.conn] @ at.shape.T
            out[..., :3] = (self.expansion * (warm - self.reference))[..., None]
        return out

    def solve(self):
        """Displacement complex[n_points, 3]."""
        n = self.points.size
        k, f = np.zeros((n, n), complex), self.forces.ravel().copy()
        self.kept = []
        for block in self.blocks:
            cells, at = self.cells(block), tables(block)
            b, modes, dv = cells.matrices(at)
            law, free = self.law(block, cells), self.free(block, at)
            both = np.concatenate([b, modes], axis=-1)
            ke = np.einsum("cqri,crs,cqsj,cq->cij", both, law, both, dv)
            fe = np.einsum("cqri,crs,cqs,cq->ci", both, law, free, dv)
            size = b.shape[-1]
            if modes.shape[-1]:
                right = np.concatenate([ke[:, size:, :size], fe[:, size:, None]], axis=2)
                inner = np.linalg.solve(ke[:, size:, size:], right)
                ke, fe = (
                    ke[:, :size, :size] - ke[:, :size, size:] @ inner[..., :-1],
                    fe[:, :size] - (ke[:, :size, size:] @ inner[..., -1:])[..., 0],
                )
                self.kept.append(inner)
            else:
                self.kept.append(None)
            dofs = (3 * block.conn[:, :, None] + np.arange(3)).reshape(len(block.conn), -1)
            np.add.at(k, (dofs[:, :, None], dofs[:, None, :]), ke)
            np.add.at(f, dofs, fe)
        for one in self.springs:
            dofs = (3 * one.nodes[:, :, None] + np.arange(3)).reshape(len(one.nodes), -1)
            np.add.at(k, (dofs[:, :, None], dofs[:, None, :]), one.values)
        self.matrix, self.right = k, f
        free = ~self.fixed.ravel()
        u = self.motions.ravel().copy()
        u[free] = np.linalg.solve(k[np.ix_(free, free)], f[free] - k[np.ix_(free, ~free)] @ u[~free])
        return u.reshape(-1, 3)

    def reactions(self, u):
        """Forces of supports and springs on each node, complex[n_points, 3]."""
        out = np.where(self.fixed.ravel(), self.matrix @ u.ravel() - self.right, 0.0)
        for one in self.springs:
            dofs = (3 * one.nodes[:, :, None] + np.arange(3)).reshape(len(one.nodes), -1)
            np.subtract.at(out, dofs, np.einsum("kij,kj->ki", one.values, u.ravel()[dofs]))
        return out.reshape(-1, 3)

    def averaged(self, u, *, of="stress"):
        """Stress (or strain) averaged over the cells at each row of the result points, complex[k, 6]."""
        rows_of = self.recovery.points.cells
        out, count = np.zeros((len(self.recovery.points), 6), complex), np.zeros(len(self.recovery.points))
        for block, inner, (_, _, rows) in zip(self.blocks, self.kept, rows_of, strict=True):
            rule, extrapolation = sampling(block.element.name)
            cells, at = self.cells(block), tables(block, rule)
            b, modes, _ = cells.matrices(at)
            local = u[block.conn].reshape(len(block.conn), -1)
            strain = np.einsum("cpri,ci->cpr", b, local)
            if inner is not None:
                amplitude = inner[..., -1] - np.einsum("cij,cj->ci", inner[..., :-1], local)
                strain = strain + np.einsum("cpri,ci->cpr", modes, amplitude)
            stress = np.einsum("crs,cps->cpr", self.law(block, cells), strain - self.free(block, at))
            wanted = strain if of == "strain" else stress
            np.add.at(out, rows, np.einsum("ns,csr->cnr", extrapolation, wanted))
            np.add.at(count, rows, 1.0)
        return out / count[:, None]

    def mass(self):
        """Mass from the rule of storage."""
        total = 0.0
        for block in self.blocks:
            at = tables(block, block.element.mass_quadrature)
            cells = self.cells(replace(block, bbar=False, incompatible=False))
            at = replace(at, modes=at.modes[:, :0])
            total = total + (cells.matrices(at)[2].sum(axis=1) * self.density[block.cells]).sum()
        return total


def von_mises(s):
    xx, yy, zz, xy, yz, xz = s.T
    return np.sqrt(0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * (xy**2 + yz**2 + xz**2))


def ks(values, *, sharpness=50.0, order=8):
    """The aggregate of `designtwin.requirements.responses`, from its formula."""
    mean = values.mean()
    off = values - mean
    size = np.abs(off.real).max()
    spread = size * (((off / size) ** order).mean()) ** (1.0 / order)
    exponent = sharpness * off / spread
    top = exponent.real.max()
    return mean + spread / sharpness * (top + np.log(np.exp(exponent - top).sum()))


def p_norm(values, order=12):
    size = values.real.max()
    return size * ((values / size) ** order).sum() ** (1.0 / order)


def complex_heat(model, case, points=None, conductivity=None, scale=None, heat=None, given=None):
    """Temperature complex[n_points] of linear steady conduction, and heat that held nodes put in, complex[n].

    heat [n_points], given: {node: value}.
    """
    mesh = model.mesh
    points = np.array(mesh.points, complex) if points is None else points
    n = len(points)
    k = np.zeros((n, n), complex)
    f = np.zeros(n, complex) if heat is None else heat.astype(complex)
    conductivity = np.ones(mesh.n_cells) if conductivity is None else conductivity
    scale = np.array(model.cell_scale(), complex) if scale is None else scale
    for block in cell_blocks(model):
        at = tables(block)
        tensor = conductivity_tensors(model, block, at, None)[0][0]
        grad, det = gradients(points[block.conn], at.gradient)
        dv = at.weight * det * (scale[block.cells] * conductivity[block.cells])[:, None]
        if block.kind == 1:
            dv = dv * 2.0 * np.pi * np.einsum("qn,cn->cq", at.shape, points[block.conn][:, :, 0])
        ke = np.einsum("cqni,ij,cqmj,cq->cnm", grad, tensor, grad, dv)
        np.add.at(k, (block.conn[:, :, None], block.conn[:, None, :]), ke)
    held = np.zeros(n, bool)
    t = np.zeros(n, complex)
    for support in (*model.heat_supports, *case.heat_supports):
        for one in support.prescribed(model):
            held[one.nodes] = True
            t[one.nodes] = one.value
    for node, value in (given or {}).items():
        t[node] = value
    film = [m for load in case.heat_loads for m in load.matrices(model)]
    for one in film:
        np.add.at(k, (one.nodes[:, :, None], one.nodes[:, None, :]), one.values)
    free = ~held
    t[free] = np.linalg.solve(k[np.ix_(free, free)], f[free] - k[np.ix_(free, held)] @ t[held])
    return t, k @ t - f
