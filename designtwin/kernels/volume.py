"""Integrals over cells: stiffness, strain, conductivity, mass, body loads.

Kernels take tables (shape functions, natural gradients, weights, 6x6 tangents), never an element
or a material. Space has three coordinates; plane cells live in x, y and carry two displacement
components. ``kind`` says how a cell measures strain:

    0  as it is          1  axisymmetric (x = r, y = axis; hoop strain u_r / r in the zz slot)

``bbar`` replaces the volumetric part of the strain by its cell mean (Hughes 1980); ``modes`` holds
natural gradients of incompatible displacement modes (Wilson; modified by Taylor, Beresford and Wilson
1976 so that the patch test holds on distorted cells), condensed cell by cell.

Strain order xx yy zz xy yz xz, engineering shear.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _map_gradients(x, dn, grad):
    """Space gradients [n, 3] from natural ones [n, d]; returns the determinant (signed in 2D, 3D)."""
    n, d = dn.shape
    if d == 3:
        j00 = j01 = j02 = j10 = j11 = j12 = j20 = j21 = j22 = 0.0
        for a in range(n):
            j00 += x[a, 0] * dn[a, 0]
            j01 += x[a, 0] * dn[a, 1]
            j02 += x[a, 0] * dn[a, 2]
            j10 += x[a, 1] * dn[a, 0]
            j11 += x[a, 1] * dn[a, 1]
            j12 += x[a, 1] * dn[a, 2]
            j20 += x[a, 2] * dn[a, 0]
            j21 += x[a, 2] * dn[a, 1]
            j22 += x[a, 2] * dn[a, 2]
        c00 = j11 * j22 - j12 * j21
        c01 = j12 * j20 - j10 * j22
        c02 = j10 * j21 - j11 * j20
        det = j00 * c00 + j01 * c01 + j02 * c02
        i00 = c00 / det
        i10 = c01 / det
        i20 = c02 / det
        i01 = (j02 * j21 - j01 * j22) / det
        i11 = (j00 * j22 - j02 * j20) / det
        i21 = (j01 * j20 - j00 * j21) / det
        i02 = (j01 * j12 - j02 * j11) / det
        i12 = (j02 * j10 - j00 * j12) / det
        i22 = (j00 * j11 - j01 * j10) / det
        for a in range(n):
            r, s, t = dn[a, 0], dn[a, 1], dn[a, 2]
            grad[a, 0] = r * i00 + s * i10 + t * i20
            grad[a, 1] = r * i01 + s * i11 + t * i21
            grad[a, 2] = r * i02 + s * i12 + t * i22
        return det
    if d == 2:
        j00 = j01 = j10 = j11 = 0.0
        for a in range(n):
            j00 += x[a, 0] * dn[a, 0]
            j01 += x[a, 0] * dn[a, 1]
            j10 += x[a, 1] * dn[a, 0]
            j11 += x[a, 1] * dn[a, 1]
        det = j00 * j11 - j01 * j10
        for a in range(n):
            r, s = dn[a, 0], dn[a, 1]
            grad[a, 0] = (r * j11 - s * j10) / det
            grad[a, 1] = (s * j00 - r * j01) / det
            grad[a, 2] = 0.0
        return det
    t0 = t1 = t2 = 0.0
    for a in range(n):
        t0 += x[a, 0] * dn[a, 0]
        t1 += x[a, 1] * dn[a, 0]
        t2 += x[a, 2] * dn[a, 0]
    length = math.sqrt(t0 * t0 + t1 * t1 + t2 * t2)
    for a in range(n):
        grad[a, 0] = dn[a, 0] * t0 / (length * length)
        grad[a, 1] = dn[a, 0] * t1 / (length * length)
        grad[a, 2] = dn[a, 0] * t2 / (length * length)
    return length


@njit(cache=True, nogil=True)
def _radius(x, n_values):
    """First coordinate at a point of the cell, from its shape functions."""
    r = 0.0
    for a in range(n_values.shape[0]):
        r += n_values[a] * x[a, 0]
    return r


@njit(cache=True, nogil=True)
def _strain_matrix(grad, values, radius, kind, nc, b):
    """Fill b [6, n * nc] with the strain of each displacement component."""
    n = grad.shape[0]
    b[:] = 0.0
    for a in range(n):
        gx, gy, gz = grad[a, 0], grad[a, 1], grad[a, 2]
        i = a * nc
        b[0, i] = gx
        b[3, i] = gy
        b[1, i + 1] = gy
        b[3, i + 1] = gx
        if nc == 3:
            b[5, i] = gz
            b[4, i + 1] = gz
            b[2, i + 2] = gz
            b[4, i + 2] = gy
            b[5, i + 2] = gx
        elif kind == 1:
            b[2, i] = values[a] / radius


@njit(cache=True, nogil=True)
def _mean_dilatation(x, shape, gradient, weight, kind, nc, grad, mean):
    """Cell mean of the volumetric strain of each displacement component, [n * nc]."""
    n = shape.shape[1]
    mean[:] = 0.0
    volume = 0.0
    for q in range(weight.shape[0]):
        dv = weight[q] * _map_gradients(x, gradient[q], grad)
        radius = 1.0
        if kind == 1:
            radius = _radius(x, shape[q])
            dv *= 2.0 * math.pi * radius
        volume += dv
        for a in range(n):
            for c in range(nc):
                value = grad[a, c]
                if kind == 1 and c == 0:
                    value += shape[q, a] / radius
                mean[a * nc + c] += value * dv
    for i in range(n * nc):
        mean[i] /= volume


@njit(cache=True, nogil=True)
def _bar(b, mean):
    """Replace the volumetric part of a strain matrix by its cell mean."""
    for i in range(mean.shape[0]):
        change = (mean[i] - b[0, i] - b[1, i] - b[2, i]) / 3.0
        b[0, i] += change
        b[1, i] += change
        b[2, i] += change


@njit(cache=True, nogil=True)
def _extended_stiffness(
    x, shape, gradient, weight, modes, center, kind, bbar, nc, factor, tangent, tangent_of,
    grad, mode_grad, mean, b, db, k,
):  # fmt: skip
    """Stiffness of the nodes and, behind them, of the incompatible modes; into k."""
    n, m = shape.shape[1], modes.shape[1]
    n_dof, n_all = n * nc, (n + m) * nc
    k[:] = 0.0
    if bbar:
        _mean_dilatation(x, shape, gradient, weight, kind, nc, grad, mean)
    center_det = 0.0
    if m > 0:
        center_det = _map_gradients(x, center, grad)
    for q in range(weight.shape[0]):
        if m > 0:
            _mode_gradients(x, center, modes[q], mode_grad)
        det = _map_gradients(x, gradient[q], grad)
        radius = 1.0
        dv = weight[q] * det * factor
        if kind == 1:
            radius = _radius(x, shape[q])
            dv *= 2.0 * math.pi * radius
        _strain_matrix(grad, shape[q], radius, kind, nc, b[:, :n_dof])
        if bbar:
            _bar(b, mean)
        if m > 0:
            for a in range(m):
                for c in range(3):
                    mode_grad[a, c] *= center_det / det
            _strain_matrix(mode_grad, shape[q], radius, 0, nc, b[:, n_dof:])
        d = tangent[tangent_of[q]]
        for r in range(6):
            for i in range(n_all):
                db[r, i] = 0.0
            for s in range(6):
                value = d[r, s] * dv
                if value != 0.0:
                    for i in range(n_all):
                        db[r, i] += value * b[s, i]
        for i in range(n_all):
            for r in range(6):
                value = b[r, i]
                if value != 0.0:
                    for j in range(n_all):
                        k[i, j] += value * db[r, j]


@njit(cache=True, nogil=True)
def _mode_gradients(x, center, dm, mode_grad):
    """Space gradients of the modes with the Jacobian of the cell's center."""
    n, d = center.shape
    jac = np.zeros((3, 3))
    for a in range(n):
        for i in range(d):
            for j in range(d):
                jac[i, j] += x[a, i] * center[a, j]
    if d == 2:
        jac[2, 2] = 1.0
    c00 = jac[1, 1] * jac[2, 2] - jac[1, 2] * jac[2, 1]
    c01 = jac[1, 2] * jac[2, 0] - jac[1, 0] * jac[2, 2]
    c02 = jac[1, 0] * jac[2, 1] - jac[1, 1] * jac[2, 0]
    det = jac[0, 0] * c00 + jac[0, 1] * c01 + jac[0, 2] * c02
    inv = np.empty((3, 3))
    inv[0, 0] = c00 / det
    inv[1, 0] = c01 / det
    inv[2, 0] = c02 / det
    inv[0, 1] = (jac[0, 2] * jac[2, 1] - jac[0, 1] * jac[2, 2]) / det
    inv[1, 1] = (jac[0, 0] * jac[2, 2] - jac[0, 2] * jac[2, 0]) / det
    inv[2, 1] = (jac[0, 1] * jac[2, 0] - jac[0, 0] * jac[2, 1]) / det
    inv[0, 2] = (jac[0, 1] * jac[1, 2] - jac[0, 2] * jac[1, 1]) / det
    inv[1, 2] = (jac[0, 2] * jac[1, 0] - jac[0, 0] * jac[1, 2]) / det
    inv[2, 2] = (jac[0, 0] * jac[1, 1] - jac[0, 1] * jac[1, 0]) / det
    for a in range(dm.shape[0]):
        for i in range(3):
            value = 0.0
            for j in range(d):
                value += dm[a, j] * inv[j, i]
            mode_grad[a, i] = value


@njit(cache=True, nogil=True)
def _condense(k, n_dof):
    """Eliminate the unknowns behind n_dof; multipliers stay in their rows."""
    n_all = k.shape[0]
    for p in range(n_all - 1, n_dof - 1, -1):
        pivot = k[p, p]
        for i in range(p):
            ratio = k[i, p] / pivot
            if ratio != 0.0:
                for j in range(p):
                    k[i, j] -= ratio * k[p, j]


@njit(cache=True, nogil=True)
def _gather(points, nodes, x):
    for a in range(nodes.shape[0]):
        for i in range(3):
            x[a, i] = points[nodes[a], i]


@njit(cache=True, nogil=True)
def stiffness(
    points, conn, shape, gradient, weight, modes, center, kind, bbar, nc, scale, tangent, tangent_of, out
):
    """Stiffness matrices of cells of one type.

    Parameters
    ----------
    points : float64[n_points, 3]
        m.
    conn : int64[n_cells, n]
    shape, gradient, weight : float64[q, n], [q, n, d], [q]
        Tables of the integration rule.
    modes : float64[q, m, d]
        Natural gradients of incompatible modes; m may be 0.
    center : float64[n, d]
        Natural gradients at the cell's center.
    kind : int
        1 for axisymmetric cells, else 0.
    bbar : bool
    nc : int
        Displacement components per node, 2 or 3.
    scale : float64[n_cells]
        Thickness (plane), area (lines) or 1.
    tangent : float64[k, 6, 6]
        Elastic tensors, Pa.
    tangent_of : int64[n_cells, q]
        Which tensor holds where.
    out : float64[n_cells, n * nc, n * nc]
        Overwritten, N/m.

    Source: Hughes, The Finite Element Method (2000), sec. 3.10, 4.4, 4.5.
    """
    n, m = shape.shape[1], modes.shape[1]
    n_dof, n_all = n * nc, (n + m) * nc
    x, grad, mode_grad = np.empty((n, 3)), np.empty((n, 3)), np.empty((m, 3))
    mean, b, db, k = np.empty(n_dof), np.zeros((6, n_all)), np.empty((6, n_all)), np.empty((n_all, n_all))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        _extended_stiffness(
            x, shape, gradient, weight, modes, center, kind, bbar, nc, scale[c], tangent, tangent_of[c],
            grad, mode_grad, mean, b, db, k,
        )  # fmt: skip
        if m > 0:
            _condense(k, n_dof)
        for i in range(n_dof):
            for j in range(n_dof):
                out[c, i, j] = 0.5 * (k[i, j] + k[j, i])


@njit(cache=True, nogil=True)
def _mode_amplitudes(k, n_dof, load, u, alpha):
    """Back substitution after _condense: modes that balance load under nodal displacements u."""
    for p in range(n_dof, k.shape[0]):
        value = load[p - n_dof]
        for j in range(n_dof):
            value -= k[p, j] * u[j]
        for j in range(n_dof, p):
            value -= k[p, j] * alpha[j - n_dof]
        alpha[p - n_dof] = value / k[p, p]


@njit(cache=True, nogil=True)
def _reduce_mode_load(k, n_dof, load, f):
    """Forward elimination of a load on the modes after _condense; its share goes to f [n_dof]."""
    for p in range(k.shape[0] - 1, n_dof - 1, -1):
        ratio = load[p - n_dof] / k[p, p]
        for i in range(n_dof):
            f[i] -= k[i, p] * ratio
        for i in range(n_dof, p):
            load[i - n_dof] -= k[i, p] * ratio


@njit(cache=True, nogil=True)
def _mode_load(x, shape, gradient, weight, modes, center, nc, factor, stress, grad, mode_grad, b, load):
    """Force of an initial stress [q, 6] on the incompatible modes."""
    m = modes.shape[1]
    load[:] = 0.0
    center_det = _map_gradients(x, center, grad)
    for q in range(weight.shape[0]):
        _mode_gradients(x, center, modes[q], mode_grad)
        det = _map_gradients(x, gradient[q], grad)
        for a in range(m):
            for i in range(3):
                mode_grad[a, i] *= center_det / det
        _strain_matrix(mode_grad, shape[q], 1.0, 0, nc, b[:, : m * nc])
        for i in range(m * nc):
            for r in range(6):
                load[i] += b[r, i] * stress[q, r] * weight[q] * det * factor


@njit(cache=True, nogil=True)
def strain(
    points, conn, shape, gradient, weight, modes, center, kind, bbar, nc, scale, tangent, tangent_of,
    initial_stress, at_shape, at_gradient, at_modes, displacement, out,
):  # fmt: skip
    """Strain at any points of the cells, consistent with ``stiffness``.

    Parameters
    ----------
    points ... tangent_of
        As in ``stiffness``.
    initial_stress : float64[n_cells, q, 6]
        D times the stress-free strain at the integration points, Pa (moves incompatible modes only);
        n_cells may be 0 when there is none.
    at_shape, at_gradient, at_modes : float64[p, n], [p, n, d], [p, m, d]
        Tables of the points asked for.
    displacement : float64[n_points, 3]
        m.
    out : float64[n_cells, p, 6]
        Overwritten; xx yy zz xy yz xz, engineering shear.
    """
    n, m = shape.shape[1], modes.shape[1]
    n_dof, n_all = n * nc, (n + m) * nc
    x, grad, mode_grad = np.empty((n, 3)), np.empty((n, 3)), np.empty((m, 3))
    mean, b, db, k = np.empty(n_dof), np.zeros((6, n_all)), np.empty((6, n_all)), np.empty((n_all, n_all))
    u, alpha, load = np.empty(n_all), np.zeros(m * nc), np.zeros(m * nc)
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        for a in range(n):
            for i in range(nc):
                u[a * nc + i] = displacement[conn[c, a], i]
        center_det = 0.0
        if m > 0:
            _extended_stiffness(
                x, shape, gradient, weight, modes, center, kind, bbar, nc, scale[c], tangent, tangent_of[c],
                grad, mode_grad, mean, b, db, k,
            )  # fmt: skip
            _condense(k, n_dof)
            load[:] = 0.0
            if initial_stress.shape[0] > 0:
                _mode_load(
                    x, shape, gradient, weight, modes, center, nc, scale[c], initial_stress[c],
                    grad, mode_grad, b, load,
                )  # fmt: skip
                # The elimination of the load mirrors that of the matrix.
                for p in range(n_all - 1, n_dof - 1, -1):
                    ratio = load[p - n_dof] / k[p, p]
                    for i in range(n_dof, p):
                        load[i - n_dof] -= k[i, p] * ratio
            _mode_amplitudes(k, n_dof, load, u, alpha)
            for i in range(m * nc):
                u[n_dof + i] = alpha[i]
            center_det = _map_gradients(x, center, grad)
        elif bbar:
            _mean_dilatation(x, shape, gradient, weight, kind, nc, grad, mean)
        for p in range(at_shape.shape[0]):
            if m > 0:
                _mode_gradients(x, center, at_modes[p], mode_grad)
            det = _map_gradients(x, at_gradient[p], grad)
            radius = 1.0
            if kind == 1:
                radius = _radius(x, at_shape[p])
            if kind == 1 and radius <= 0.0:
                # On the axis the hoop strain equals the radial one.
                _strain_matrix(grad, at_shape[p], 1.0, 0, nc, b[:, :n_dof])
                for i in range(n_dof):
                    b[2, i] = b[0, i]
            else:
                _strain_matrix(grad, at_shape[p], radius, kind, nc, b[:, :n_dof])
            if bbar:
                _bar(b, mean)
            if m > 0:
                for a in range(m):
                    for i in range(3):
                        mode_grad[a, i] *= center_det / det
                _strain_matrix(mode_grad, at_shape[p], radius, 0, nc, b[:, n_dof:])
            for r in range(6):
                value = 0.0
                for i in range(n_all):
                    value += b[r, i] * u[i]
                out[c, p, r] = value


@njit(cache=True, nogil=True)
def stress_force(
    points, conn, shape, gradient, weight, modes, center, kind, bbar, nc, scale, tangent, tangent_of,
    stress, out,
):  # fmt: skip
    """Add the nodal forces of a stress field, the integral of B^T stress.

    Parameters
    ----------
    stress : float64[n_cells, q, 6]
        At the integration points, Pa; for thermal loads D times the free thermal strain.
    out : float64[n_points, 3]
        Added to, N.

    Other parameters as in ``stiffness``.
    """
    n, m = shape.shape[1], modes.shape[1]
    n_dof, n_all = n * nc, (n + m) * nc
    x, grad, mode_grad = np.empty((n, 3)), np.empty((n, 3)), np.empty((m, 3))
    mean, b, db, k = np.empty(n_dof), np.zeros((6, n_all)), np.empty((6, n_all)), np.empty((n_all, n_all))
    f, load = np.empty(n_dof), np.zeros(m * nc)
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        if bbar:
            _mean_dilatation(x, shape, gradient, weight, kind, nc, grad, mean)
        f[:] = 0.0
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _map_gradients(x, gradient[q], grad)
            radius = 1.0
            if kind == 1:
                radius = _radius(x, shape[q])
                dv *= 2.0 * math.pi * radius
            _strain_matrix(grad, shape[q], radius, kind, nc, b[:, :n_dof])
            if bbar:
                _bar(b, mean)
            for r in range(6):
                value = stress[c, q, r] * dv
                if value != 0.0:
                    for i in range(n_dof):
                        f[i] += b[r, i] * value
        if m > 0:
            _extended_stiffness(
                x, shape, gradient, weight, modes, center, kind, bbar, nc, scale[c], tangent, tangent_of[c],
                grad, mode_grad, mean, b, db, k,
            )  # fmt: skip
            _condense(k, n_dof)
            _mode_load(
                x, shape, gradient, weight, modes, center, nc, scale[c], stress[c], grad, mode_grad, b, load
            )
            _reduce_mode_load(k, n_dof, load, f)
        for a in range(n):
            for i in range(nc):
                out[conn[c, a], i] += f[a * nc + i]


@njit(cache=True, nogil=True)
def conductivity(points, conn, shape, gradient, weight, kind, scale, tensor, tensor_of, out):
    """Conductivity matrices of cells of one type.

    Parameters
    ----------
    tensor : float64[k, 3, 3]
        Conductivity, W/(m K).
    tensor_of : int64[n_cells, q]
    out : float64[n_cells, n, n]
        Overwritten, W/K.

    Other parameters as in ``stiffness``. Source: Bathe, Finite Element Procedures (2014), sec. 7.2.
    """
    n = shape.shape[1]
    x, grad, flux = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        out[c] = 0.0
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _map_gradients(x, gradient[q], grad)
            if kind == 1:
                dv *= 2.0 * math.pi * _radius(x, shape[q])
            k = tensor[tensor_of[c, q]]
            for a in range(n):
                for i in range(3):
                    flux[a, i] = dv * (k[i, 0] * grad[a, 0] + k[i, 1] * grad[a, 1] + k[i, 2] * grad[a, 2])
            for a in range(n):
                for b in range(n):
                    out[c, a, b] += (
                        grad[a, 0] * flux[b, 0] + grad[a, 1] * flux[b, 1] + grad[a, 2] * flux[b, 2]
                    )


@njit(cache=True, nogil=True)
def flux_divergence(points, conn, shape, gradient, weight, kind, scale, flux, out):
    """Add what a flux carries away from the nodes, the integral of grad N_a . f.

    Parameters
    ----------
    flux : float64[n_cells, q, 3]
        k grad T, W/m^2.
    out : float64[n_points, 1]
        Added to, W.

    Other parameters as in ``stiffness``.
    """
    n = shape.shape[1]
    x, grad = np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _map_gradients(x, gradient[q], grad)
            if kind == 1:
                dv *= 2.0 * math.pi * _radius(x, shape[q])
            for a in range(n):
                out[conn[c, a], 0] += dv * (
                    grad[a, 0] * flux[c, q, 0] + grad[a, 1] * flux[c, q, 1] + grad[a, 2] * flux[c, q, 2]
                )


@njit(cache=True, nogil=True)
def flux_change(points, conn, shape, gradient, weight, kind, scale, flux, out):
    """Matrices of a flux that changes with the nodal value there, the integral of grad N_a . f N_b.

    Together with ``conductivity`` it is the tangent of conduction where conductivity depends on temperature.

    Parameters
    ----------
    flux : float64[n_cells, q, 3]
        dk/dT grad T, W/(m^2 K).
    out : float64[n_cells, n, n]
        Overwritten, W/K; not symmetric.

    Other parameters as in ``stiffness``.
    """
    n = shape.shape[1]
    x, grad = np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        out[c] = 0.0
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _map_gradients(x, gradient[q], grad)
            if kind == 1:
                dv *= 2.0 * math.pi * _radius(x, shape[q])
            for a in range(n):
                along = dv * (
                    grad[a, 0] * flux[c, q, 0] + grad[a, 1] * flux[c, q, 1] + grad[a, 2] * flux[c, q, 2]
                )
                for b in range(n):
                    out[c, a, b] += along * shape[q, b]


@njit(cache=True, nogil=True)
def scalar_gradient(points, conn, gradient, values, out):
    """Gradient of a nodal scalar at the table's points of the cells.

    Parameters
    ----------
    gradient : float64[q, n, d]
    values : float64[n_points]
    out : float64[n_cells, q, 3]
        Overwritten, unit of values per m.
    """
    n = gradient.shape[1]
    x, grad = np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        for q in range(gradient.shape[0]):
            _map_gradients(x, gradient[q], grad)
            for i in range(3):
                value = 0.0
                for a in range(n):
                    value += grad[a, i] * values[conn[c, a]]
                out[c, q, i] = value


@njit(cache=True, nogil=True)
def mass(points, conn, shape, gradient, weight, kind, scale, density, out):
    """Consistent mass (or capacity) matrices of one scalar component.

    Parameters
    ----------
    density : float64[n_cells]
        kg/m^3, or volumetric heat capacity, J/(m^3 K).
    out : float64[n_cells, n, n]
        Overwritten.

    Other parameters as in ``stiffness``; the rule must integrate products of shape functions.
    """
    n = shape.shape[1]
    x, grad = np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        out[c] = 0.0
        for q in range(weight.shape[0]):
            dm = weight[q] * scale[c] * density[c] * _map_gradients(x, gradient[q], grad)
            if kind == 1:
                dm *= 2.0 * math.pi * _radius(x, shape[q])
            for a in range(n):
                for b in range(n):
                    out[c, a, b] += dm * shape[q, a] * shape[q, b]


@njit(cache=True, nogil=True)
def stress_stiffness(points, conn, shape, gradient, weight, kind, scale, stress, out):
    """Stiffness of a stress in the cells, the same for each component: the integral of grad N_a . s grad N_b.

    Parameters
    ----------
    stress : float64[n_cells, q, 6]
        Pa.
    out : float64[n_cells, n, n]
        Overwritten, N/m; symmetric. The hoop stress of rings is left out.

    Other parameters as in ``stiffness``. Source: Bathe, Finite Element Procedures (2014), sec. 6.8.2.
    """
    n = shape.shape[1]
    x, grad, pulled = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        out[c] = 0.0
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _map_gradients(x, gradient[q], grad)
            if kind == 1:
                dv *= 2.0 * math.pi * _radius(x, shape[q])
            s = stress[c, q]
            for a in range(n):
                gx, gy, gz = dv * grad[a, 0], dv * grad[a, 1], dv * grad[a, 2]
                pulled[a, 0] = s[0] * gx + s[3] * gy + s[5] * gz
                pulled[a, 1] = s[3] * gx + s[1] * gy + s[4] * gz
                pulled[a, 2] = s[5] * gx + s[4] * gy + s[2] * gz
            for a in range(n):
                for b in range(a + 1):
                    out[c, a, b] += (
                        grad[b, 0] * pulled[a, 0] + grad[b, 1] * pulled[a, 1] + grad[b, 2] * pulled[a, 2]
                    )
        for a in range(n):
            for b in range(a):
                out[c, b, a] = out[c, a, b]


@njit(cache=True, nogil=True)
def volume_load(points, conn, shape, gradient, weight, kind, scale, value, out):
    """Add the nodal load of a density over the cells, the integral of N value dV.

    Parameters
    ----------
    value : float64[n_cells, q, 3]
        Force per volume, N/m^3 (or heat source in the first slot, W/m^3).
    out : float64[n_points, 3]
        Added to, N.

    Other parameters as in ``stiffness``; the rule must integrate products of shape functions.
    """
    n = shape.shape[1]
    x, grad = np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _map_gradients(x, gradient[q], grad)
            if kind == 1:
                dv *= 2.0 * math.pi * _radius(x, shape[q])
            for a in range(n):
                for i in range(3):
                    out[conn[c, a], i] += shape[q, a] * value[c, q, i] * dv


@njit(cache=True, nogil=True)
def measures(points, conn, shape, gradient, weight, kind, scale, out):
    """Volume that each integration point stands for, float64[n_cells, q], m^3."""
    n = shape.shape[1]
    x, grad = np.empty((n, 3)), np.empty((n, 3))
    for c in range(conn.shape[0]):
        _gather(points, conn[c], x)
        for q in range(weight.shape[0]):
            out[c, q] = weight[q] * scale[c] * _map_gradients(x, gradient[q], grad)
            if kind == 1:
                out[c, q] *= 2.0 * math.pi * _radius(x, shape[q])
