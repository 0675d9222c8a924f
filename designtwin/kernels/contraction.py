"""How integrals over cells change with the places of nodes, where stress or density at points is given.

A node that moves by d moves a point of a cell by N d, and changes its volume and its gradients:

    dV' = (grad N . d) dV        (grad f)' = -(grad N) (d . grad f)

All that an eigenvalue, a step in time or a stress asks for follows from two integrals: of a density, and of
the work of a stress on the strain of a displacement. Results are cell by cell, so that threads own cells;
``add_up`` sums them at the nodes, in the order of cells.

Tables, ``kind``, ``bbar`` and ``modes`` as in ``kernels.volume``. Strain order xx yy zz xy yz xz.

Source: Choi and Kim, Structural Sensitivity Analysis and Optimization 1 (2005), sec. 6.2 (material
derivative); Haftka and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), ch. 7.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _inverse(x, dn, inv):
    """Inverse [d, 3] of the Jacobian of natural derivatives [n, d]; returns its determinant or, of lines,
    length per natural length."""
    n, d = dn.shape
    if d == 3:
        return _inverse_solid(x, dn, inv)
    jac = np.zeros((3, 3))
    for a in range(n):
        for i in range(3):
            for j in range(d):
                jac[i, j] += x[a, i] * dn[a, j]
    if d == 1:
        square = jac[0, 0] ** 2 + jac[1, 0] ** 2 + jac[2, 0] ** 2
        for i in range(3):
            inv[0, i] = jac[i, 0] / square
        return math.sqrt(square)
    det = jac[0, 0] * jac[1, 1] - jac[0, 1] * jac[1, 0]  # plane cells lie in z = 0
    inv[:] = 0.0
    inv[0, 0], inv[0, 1] = jac[1, 1] / det, -jac[0, 1] / det
    inv[1, 0], inv[1, 1] = -jac[1, 0] / det, jac[0, 0] / det
    return det


@njit(cache=True, nogil=True)
def _slope(u, grad, slope):
    """Displacement gradient [i, k] = du_i/dx_k; summed in registers."""
    g00 = g01 = g02 = g10 = g11 = g12 = g20 = g21 = g22 = 0.0
    for a in range(grad.shape[0]):
        u0, u1, u2 = u[a, 0], u[a, 1], u[a, 2]
        r, s, t = grad[a, 0], grad[a, 1], grad[a, 2]
        g00 += u0 * r
        g01 += u0 * s
        g02 += u0 * t
        g10 += u1 * r
        g11 += u1 * s
        g12 += u1 * t
        g20 += u2 * r
        g21 += u2 * s
        g22 += u2 * t
    slope[0, 0], slope[0, 1], slope[0, 2] = g00, g01, g02
    slope[1, 0], slope[1, 1], slope[1, 2] = g10, g11, g12
    slope[2, 0], slope[2, 1], slope[2, 2] = g20, g21, g22


@njit(cache=True, nogil=True)
def _add_products(tensor, grad, out):
    """Add tensor [i, k] grad [a, k] to out [a, i]; the tensor in registers."""
    t00, t01, t02 = tensor[0, 0], tensor[0, 1], tensor[0, 2]
    t10, t11, t12 = tensor[1, 0], tensor[1, 1], tensor[1, 2]
    t20, t21, t22 = tensor[2, 0], tensor[2, 1], tensor[2, 2]
    for a in range(grad.shape[0]):
        r, s, t = grad[a, 0], grad[a, 1], grad[a, 2]
        out[a, 0] += t00 * r + t01 * s + t02 * t
        out[a, 1] += t10 * r + t11 * s + t12 * t
        out[a, 2] += t20 * r + t21 * s + t22 * t


@njit(cache=True, nogil=True)
def _inverse_solid(x, dn, inv):
    """`_inverse` in three dimensions."""
    _slope(x, dn, inv)  # of places over natural coordinates: the Jacobian
    j00, j01, j02 = inv[0, 0], inv[0, 1], inv[0, 2]
    j10, j11, j12 = inv[1, 0], inv[1, 1], inv[1, 2]
    j20, j21, j22 = inv[2, 0], inv[2, 1], inv[2, 2]
    c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
    det = j00 * c00 + j01 * c01 + j02 * c02
    over = 1.0 / det
    inv[0, 0], inv[1, 0], inv[2, 0] = c00 * over, c01 * over, c02 * over
    inv[0, 1], inv[1, 1] = (j02 * j21 - j01 * j22) * over, (j00 * j22 - j02 * j20) * over
    inv[2, 1] = (j01 * j20 - j00 * j21) * over
    inv[0, 2], inv[1, 2] = (j01 * j12 - j02 * j11) * over, (j02 * j10 - j00 * j12) * over
    inv[2, 2] = (j00 * j11 - j01 * j10) * over
    return det


@njit(cache=True, nogil=True)
def _spread(dn, inv, grad):
    """Space gradients [n, 3] of natural ones [n, d]."""
    if dn.shape[1] == 3:
        for a in range(dn.shape[0]):
            r, s, t = dn[a, 0], dn[a, 1], dn[a, 2]
            for i in range(3):
                grad[a, i] = r * inv[0, i] + s * inv[1, i] + t * inv[2, i]
        return
    for a in range(dn.shape[0]):
        for i in range(3):
            value = 0.0
            for j in range(dn.shape[1]):
                value += dn[a, j] * inv[j, i]
            grad[a, i] = value


@njit(cache=True, nogil=True)
def _map_gradients(x, dn, inv, grad):
    """Space gradients [n, 3] from natural ones [n, d]; returns the determinant."""
    det = _inverse(x, dn, inv)
    _spread(dn, inv, grad)
    return det


@njit(cache=True, nogil=True)
def _gather(points, nodes, x):
    for a in range(nodes.shape[0]):
        for i in range(3):
            x[a, i] = points[nodes[a], i]


@njit(cache=True, nogil=True)
def _at(values, weights):
    """First component at a point, from that of the nodes [n, 3] and shape functions [n]."""
    out = 0.0
    for a in range(weights.shape[0]):
        out += weights[a] * values[a, 0]
    return out


@njit(cache=True, nogil=True)
def _tensor(s, out):
    """Stress [6] as a symmetric tensor [3, 3]."""
    out[0, 0], out[1, 1], out[2, 2] = s[0], s[1], s[2]
    out[0, 1] = out[1, 0] = s[3]
    out[1, 2] = out[2, 1] = s[4]
    out[0, 2] = out[2, 0] = s[5]


@njit(cache=True, nogil=True)
def volume_slope(start, stop, points, conn, shape, gradient, weight, kind, scale, density, out):
    """Add how the integral of a density given at points changes with the nodes of each cell.

    Parameters
    ----------
    points : float64[n_points, 3]
        m.
    conn : int64[n_cells, n]
    shape, gradient, weight : float64[q, n], [q, n, d], [q]
    kind : int
        1 for axisymmetric cells, else 0.
    scale : float64[n_cells]
        Thickness, area or 1.
    density : float64[n_cells, q]
        Of anything, per volume.
    out : float64[n_cells, n, 3]
        Added to.
    """
    n = shape.shape[1]
    x, grad, inv = np.empty((n, 3)), np.empty((n, 3)), np.empty((3, 3))
    for c in range(start, stop):
        _gather(points, conn[c], x)
        for q in range(weight.shape[0]):
            value = density[c, q] * weight[q] * scale[c] * _map_gradients(x, gradient[q], inv, grad)
            if kind == 1:
                for a in range(n):
                    out[c, a, 0] += value * 2.0 * math.pi * shape[q, a]
                value *= 2.0 * math.pi * _at(x, shape[q])
            for a in range(n):
                for i in range(3):
                    out[c, a, i] += value * grad[a, i]


@njit(cache=True, nogil=True)
def strain_slope(
    start, stop, points, conn, shape, gradient, weight, modes, center, kind, bbar,
    at_shape, at_gradient, at_modes, stress, displacement, amplitude, work, out,
):  # fmt: skip
    """Add how sums of stress : strain over points change with the nodes of each cell, the stress fixed.

    Parameters
    ----------
    points, conn, shape, gradient, weight, kind : as in ``volume_slope``
        Of the integration rule, over which ``bbar`` takes the mean dilatation.
    modes : float64[q, m, d]
    center : float64[n, d]
    bbar : bool
    at_shape, at_gradient, at_modes : float64[p, n], [p, n, d], [p, m, d]
        Points of the sums: those of the rule, or others.
    stress : float64[k, n_cells, p, 6]
        Anything that multiplies strain, in each of k sums; weights are in it.
    displacement : float64[k, n_points, 3]
        m.
    amplitude : float64[k, n_cells, m, 3]
        Of the incompatible modes, m; fixed.
    work : float64[n_cells, p]
        What changes as the volume at a point does, as in ``volume_slope``; weights are in it.
    out : float64[n_cells, n, 3]
        Added to.
    """
    sums, n, m = stress.shape[0], shape.shape[1], modes.shape[1]
    x, u, grad = np.empty((n, 3)), np.empty((sums, n, 3)), np.empty((n, 3))
    grad0, mode_grad, inv = np.empty((n, 3)), np.empty((m, 3)), np.empty((3, 3))
    slope, s, pulled = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    total, mean = np.empty((3, 3)), np.empty(sums)  # mean: what multiplies the mean dilatation
    for c in range(start, stop):
        _gather(points, conn[c], x)
        for h in range(sums):
            _gather(displacement[h], conn[c], u[h])
        mean[:] = 0.0
        for p in range(at_shape.shape[0]):
            det = _map_gradients(x, at_gradient[p], inv, grad)
            total[:] = 0.0
            total[0, 0] = total[1, 1] = total[2, 2] = work[c, p]
            radius = 0.0
            if kind == 1:
                radius = _at(x, at_shape[p])
                if work[c, p] != 0.0:
                    for a in range(n):
                        out[c, a, 0] += work[c, p] / radius * at_shape[p, a]
            if m > 0:
                det0 = _map_gradients(x, center, inv, grad0)
                _spread(at_modes[p], inv, mode_grad)
                for b in range(m):
                    for i in range(3):
                        mode_grad[b, i] *= det0 / det
            for h in range(sums):
                _tensor(stress[h, c, p], s)
                if bbar:
                    third = (s[0, 0] + s[1, 1] + s[2, 2]) / 3.0
                    mean[h] += third
                    for i in range(3):
                        s[i, i] -= third
                if kind == 1:
                    if radius > 0.0:
                        hoop = s[2, 2] * _at(u[h], at_shape[p]) / (radius * radius)
                        for a in range(n):
                            out[c, a, 0] -= hoop * at_shape[p, a]
                    else:  # on the axis the hoop strain equals the radial one
                        s[0, 0] += s[2, 2]
                _pull(u[h], grad, s, slope, pulled)
                for i in range(3):
                    for k in range(3):
                        total[i, k] -= pulled[i, k]
                if m > 0:
                    given = _pull(amplitude[h, c], mode_grad, s, slope, pulled)
                    for a in range(n):
                        for i in range(3):
                            value = given * (grad0[a, i] - grad[a, i])
                            for k in range(3):
                                value -= pulled[i, k] * grad0[a, k]
                            out[c, a, i] += value
            _add_products(total, grad, out[c])
        if bbar:
            for h in range(sums):
                _mean_slope(x, u[h], shape, gradient, weight, kind, mean[h], inv, grad, slope, out[c])


@njit(cache=True, nogil=True)
def _pull(u, grad, s, slope, pulled):
    """Displacement gradient, ``slope`` [i, k] = du_i/dx_k, and ``pulled`` [l, k] = sum_i slope[i, l] s[i, k];
    returns s : slope."""
    _slope(u, grad, slope)
    work = 0.0
    for i in range(3):
        for k in range(3):
            work += slope[i, k] * s[i, k]
    for i in range(3):
        for k in range(3):
            pulled[i, k] = slope[0, i] * s[0, k] + slope[1, i] * s[1, k] + slope[2, i] * s[2, k]
    return work


@njit(cache=True, nogil=True)
def _mean_slope(x, u, shape, gradient, weight, kind, times, inv, grad, slope, out):
    """Add how the cell's mean dilatation, times a number, changes with its nodes."""
    n = shape.shape[1]
    volume = total = 0.0
    for turn in range(2):
        for q in range(weight.shape[0]):
            dv = weight[q] * _map_gradients(x, gradient[q], inv, grad)
            radius = 1.0
            hoop = 0.0
            if kind == 1:
                radius = _at(x, shape[q])
                hoop = _at(u, shape[q]) / radius
                dv *= 2.0 * math.pi * radius
            _slope(u, grad, slope)
            dilatation = hoop + slope[0, 0] + slope[1, 1] + slope[2, 2]
            if turn == 0:
                volume += dv
                total += dv * dilatation
                continue
            above = dilatation - total / volume
            share = times * dv / volume
            for a in range(n):
                for i in range(3):
                    value = above * grad[a, i]
                    for k in range(3):
                        value -= slope[k, i] * grad[a, k]
                    out[a, i] += share * value
                if kind == 1:
                    out[a, 0] += share * (above - hoop) / radius * shape[q, a]


@njit(cache=True, nogil=True)
def gradient_slope(start, stop, points, conn, gradient, work, out):
    """Add minus the sum of work : gradient of motion over points, for the motion of each node of a cell.

    So products of gradients change: a . q with the flux q fixed by work = a q, symmetric or not.

    Parameters
    ----------
    points, conn : as in ``volume_slope``
    gradient : float64[p, n, d]
    work : float64[n_cells, p, 3, 3]
        Weights of the sum are in it.
    out : float64[n_cells, n, 3]
        Added to.
    """
    n = conn.shape[1]
    x, grad, inv = np.empty((n, 3)), np.empty((n, 3)), np.empty((3, 3))
    for c in range(start, stop):
        _gather(points, conn[c], x)
        for p in range(gradient.shape[0]):
            _map_gradients(x, gradient[p], inv, grad)
            _add_products(-work[c, p], grad, out[c])


@njit(cache=True, nogil=True)
def conducted_work(start, stop, points, conn, gradient, tensor, tensor_of, one, other, work, conducted):
    """Add what heat that flows by ``other`` does on the gradient of ``one``, at each point, over instants.

    Parameters
    ----------
    points, conn : as in ``volume_slope``
    gradient : float64[p, n, d]
    tensor : float64[k, 3, 3]
        Conductivity, W/(m K), at all of the instants.
    tensor_of : int64[n_cells, p]
    one, other : float64[n_points, t]
        At t instants.
    work : float64[n_cells, p, 3, 3]
        Added to: a q + b s with the gradients a of one and b of other and their fluxes q = k b, s = k^T a.
    conducted : float64[n_cells, p]
        Added to: a . q.
    """
    n, turns = conn.shape[1], one.shape[1]
    x, grad, inv = np.empty((n, 3)), np.empty((n, 3)), np.empty((3, 3))
    a, b, both = np.empty((3, turns)), np.empty((3, turns)), np.empty((3, 3))
    for c in range(start, stop):
        _gather(points, conn[c], x)
        for p in range(gradient.shape[0]):
            _map_gradients(x, gradient[p], inv, grad)
            a[:] = 0.0
            b[:] = 0.0
            for m in range(n):
                node = conn[c, m]
                for i in range(3):
                    for t in range(turns):
                        a[i, t] += grad[m, i] * one[node, t]
                        b[i, t] += grad[m, i] * other[node, t]
            for i in range(3):
                for j in range(3):
                    value = 0.0
                    for t in range(turns):
                        value += a[i, t] * b[j, t]
                    both[i, j] = value
            k = tensor[tensor_of[c, p]]
            for i in range(3):
                for j in range(3):
                    conducted[c, p] += k[i, j] * both[i, j]
                    for h in range(3):
                        work[c, p, j, i] += both[j, h] * k[i, h] + both[h, j] * k[h, i]


@njit(cache=True, nogil=True)
def stress_stiffness_slope(
    start, stop, points, conn, shape, gradient, weight, kind, scale, stress, one, other, out
):
    """Add how the integral of grad one . stress grad other changes with the nodes, the stress fixed at points
    and the change of volume left out (``volume_slope`` has it).

    Parameters
    ----------
    stress : float64[n_cells, q, 6]
        Pa.
    one, other : float64[n_points, 3]
        Displacements, m.
    out : float64[n_cells, n, 3]
        Added to, N.

    Other parameters as in ``volume_slope``. For rings the work of hoop stress on u_r / r is in it.
    """
    n = shape.shape[1]
    x, a_, b_ = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    grad, s, inv = np.empty((n, 3)), np.empty((3, 3)), np.empty((3, 3))
    la, lb, both = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    for c in range(start, stop):
        _gather(points, conn[c], x)
        _gather(one, conn[c], a_)
        _gather(other, conn[c], b_)
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _map_gradients(x, gradient[q], inv, grad)
            _tensor(stress[c, q], s)
            if kind == 1:
                radius = _at(x, shape[q])
                dv *= 2.0 * math.pi * radius
                hoop = 2.0 * dv * s[2, 2] * _at(a_, shape[q]) * _at(b_, shape[q]) / radius**3
                for a in range(n):
                    out[c, a, 0] -= hoop * shape[q, a]
            _slope(a_, grad, la)
            _slope(b_, grad, lb)
            # (la s)^T lb + (lb s)^T la: what multiplies minus the gradient of the nodes' motion
            for k in range(3):
                for j in range(3):
                    value = 0.0
                    for i in range(3):
                        pa = pb = 0.0
                        for h in range(3):
                            pa += la[i, h] * s[h, k]
                            pb += lb[i, h] * s[h, k]
                        value += pa * lb[i, j] + pb * la[i, j]
                    both[j, k] = value
            for a in range(n):
                for j in range(3):
                    value = 0.0
                    for k in range(3):
                        value += both[j, k] * grad[a, k]
                    out[c, a, j] -= dv * value


@njit(cache=True, nogil=True)
def stress_of_gradients(start, stop, points, conn, shape, gradient, kind, one, other, out):
    """The strain that stress works on in stress stiffness: grad one . stress grad other = stress : out.

    Parameters
    ----------
    one, other : float64[n_points, 3]
        Displacements, m.
    out : float64[n_cells, q, 6]
        Overwritten; engineering shear; in the zz slot of rings one_r other_r / r^2.

    Other parameters as in ``volume_slope``.
    """
    n = shape.shape[1]
    x, a_, b_ = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    grad, inv, h = np.empty((n, 3)), np.empty((3, 3)), np.empty((3, 3))
    la, lb = np.empty((3, 3)), np.empty((3, 3))
    for c in range(start, stop):
        _gather(points, conn[c], x)
        _gather(one, conn[c], a_)
        _gather(other, conn[c], b_)
        for q in range(shape.shape[0]):
            _map_gradients(x, gradient[q], inv, grad)
            _slope(a_, grad, la)
            _slope(b_, grad, lb)
            for j in range(3):
                for k in range(3):
                    h[j, k] = la[0, j] * lb[0, k] + la[1, j] * lb[1, k] + la[2, j] * lb[2, k]
            out[c, q, 0], out[c, q, 1], out[c, q, 2] = h[0, 0], h[1, 1], h[2, 2]
            out[c, q, 3] = h[0, 1] + h[1, 0]
            out[c, q, 4] = h[1, 2] + h[2, 1]
            out[c, q, 5] = h[0, 2] + h[2, 0]
            if kind == 1:
                radius = _at(x, shape[q])
                out[c, q, 2] = _at(a_, shape[q]) * _at(b_, shape[q]) / (radius * radius)


@njit(cache=True, nogil=True)
def _mode_strains(x, center, dm, dn, inv, mode_grad, b):
    """Fill b [6, m * nc] with the strain of each amplitude at a point; returns the determinant there."""
    det0 = _inverse(x, center, inv)
    _spread(dm, inv, mode_grad)
    det = _inverse(x, dn, inv)
    nc = dm.shape[1]
    b[:] = 0.0
    for a in range(dm.shape[0]):
        gx, gy, gz = (
            mode_grad[a, 0] * det0 / det,
            mode_grad[a, 1] * det0 / det,
            mode_grad[a, 2] * det0 / det,
        )
        i = a * nc
        b[0, i] = b[3, i + 1] = gx
        b[3, i] = b[1, i + 1] = gy
        if nc == 3:
            b[5, i] = b[4, i + 1] = b[2, i + 2] = gz
            b[4, i + 2] = gy
            b[5, i + 2] = gx
    return det


@njit(cache=True, nogil=True)
def mode_amplitudes(
    start, stop, points, conn, gradient, weight, modes, center, scale, tangent, tangent_of, stress, load, out
):  # fmt: skip
    """How far incompatible modes give way: their stiffness times amplitude = load less that of a stress.

    Parameters
    ----------
    points, conn, gradient, weight, modes, center, scale : as in ``strain_slope``, ``volume_slope``
    tangent : float64[k, 6, 6]
        Pa.
    tangent_of : int64[n_cells, q]
    stress : float64[n_cells, q, 6]
        Without that of the modes, Pa.
    load : float64[n_cells, m, 3]
        On the modes, N.
    out : float64[n_cells, m, 3]
        Overwritten, m.
    """
    n, m, nc = conn.shape[1], modes.shape[1], modes.shape[2]
    size = m * nc
    x, inv, mode_grad = np.empty((n, 3)), np.empty((3, 3)), np.empty((m, 3))
    b, k, f = np.empty((6, size)), np.empty((size, size)), np.empty(size)
    for c in range(start, stop):
        _gather(points, conn[c], x)
        k[:] = 0.0
        for i in range(size):
            f[i] = load[c, i // nc, i % nc]
        for q in range(weight.shape[0]):
            dv = weight[q] * scale[c] * _mode_strains(x, center, modes[q], gradient[q], inv, mode_grad, b)
            d = tangent[tangent_of[c, q]]
            for i in range(size):
                for r in range(6):
                    if b[r, i] == 0.0:
                        continue
                    f[i] -= dv * b[r, i] * stress[c, q, r]
                    for s in range(6):
                        value = dv * b[r, i] * d[r, s]
                        if value != 0.0:
                            for j in range(size):
                                k[i, j] += value * b[s, j]
        for i in range(size):  # positive definite: no pivots are sought
            for j in range(i + 1, size):
                ratio = k[j, i] / k[i, i]
                for h in range(i, size):
                    k[j, h] -= ratio * k[i, h]
                f[j] -= ratio * f[i]
        out[c] = 0.0
        for i in range(size - 1, -1, -1):
            for j in range(i + 1, size):
                f[i] -= k[i, j] * f[j]
            f[i] /= k[i, i]
            out[c, i // nc, i % nc] = f[i]


@njit(cache=True, nogil=True)
def strains(
    start, stop, points, conn, shape, gradient, weight, modes, center, kind, bbar,
    at_shape, at_gradient, at_modes, displacement, amplitude, out,
):  # fmt: skip
    """Strain of nodal displacements and amplitudes of incompatible modes at points of cells.

    Parameters
    ----------
    out : float64[n_cells, p, 6]
        Overwritten; engineering shear.

    Other parameters as in ``strain_slope``.
    """
    n, m = shape.shape[1], modes.shape[1]
    x, u, grad = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    mode_grad, inv, slope = np.empty((m, 3)), np.empty((3, 3)), np.empty((3, 3))
    for c in range(start, stop):
        _gather(points, conn[c], x)
        _gather(displacement, conn[c], u)
        mean = 0.0
        if bbar:
            mean = _mean_dilatation(x, u, shape, gradient, weight, kind, inv, grad)
        for p in range(at_shape.shape[0]):
            det = _map_gradients(x, at_gradient[p], inv, grad)
            _slope(u, grad, slope)
            if kind == 1:
                radius = _at(x, at_shape[p])
                # on the axis the hoop strain equals the radial one
                slope[2, 2] = _at(u, at_shape[p]) / radius if radius > 0.0 else slope[0, 0]
            if bbar:
                third = (mean - slope[0, 0] - slope[1, 1] - slope[2, 2]) / 3.0
                for i in range(3):
                    slope[i, i] += third
            _add_strain(slope, out[c, p], True)
            if m > 0:
                det0 = _inverse(x, center, inv)
                _spread(at_modes[p], inv, mode_grad)
                for b in range(m):
                    for i in range(3):
                        mode_grad[b, i] *= det0 / det
                _slope(amplitude[c], mode_grad, slope)
                _add_strain(slope, out[c, p], False)


@njit(cache=True, nogil=True)
def strain_forces(
    start, stop, points, conn, shape, gradient, weight, modes, center, kind, bbar,
    at_shape, at_gradient, at_modes, stress, out, mode_out,
):  # fmt: skip
    """Forces that do the work of a stress on strains, sum over points: the transpose of ``strains``.

    Parameters
    ----------
    stress : float64[n_cells, p, 6]
        Weights of the sum are in it.
    out, mode_out : float64[n_cells, n, 3], float64[n_cells, m, 3]
        Overwritten; on the nodes and on the modes.

    Other parameters as in ``strain_slope``.
    """
    n, m = shape.shape[1], modes.shape[1]
    x, grad, mode_grad = np.empty((n, 3)), np.empty((n, 3)), np.empty((m, 3))
    inv, s = np.empty((3, 3)), np.empty((3, 3))
    for c in range(start, stop):
        _gather(points, conn[c], x)
        out[c] = 0.0
        mode_out[c] = 0.0
        mean = 0.0
        for p in range(at_shape.shape[0]):
            det = _map_gradients(x, at_gradient[p], inv, grad)
            _tensor(stress[c, p], s)
            if m > 0:
                det0 = _inverse(x, center, inv)
                _spread(at_modes[p], inv, mode_grad)
                for b in range(m):
                    for i in range(3):
                        for k in range(3):
                            mode_out[c, b, i] += s[i, k] * mode_grad[b, k] * det0 / det
            if bbar:
                third = (s[0, 0] + s[1, 1] + s[2, 2]) / 3.0
                mean += third
                for i in range(3):
                    s[i, i] -= third
            if kind == 1:
                radius = _at(x, at_shape[p])
                if radius > 0.0:
                    for a in range(n):
                        out[c, a, 0] += s[2, 2] * at_shape[p, a] / radius
                else:
                    s[0, 0] += s[2, 2]
            _add_products(s, grad, out[c])
        if bbar:
            volume = 0.0
            for q in range(weight.shape[0]):
                dv = weight[q] * _map_gradients(x, gradient[q], inv, grad)
                if kind == 1:
                    dv *= 2.0 * math.pi * _at(x, shape[q])
                volume += dv
            for q in range(weight.shape[0]):
                dv = weight[q] * _map_gradients(x, gradient[q], inv, grad)
                if kind == 1:
                    radius = _at(x, shape[q])
                    dv *= 2.0 * math.pi * radius
                    for a in range(n):
                        out[c, a, 0] += mean * dv / volume * shape[q, a] / radius
                for a in range(n):
                    for i in range(3):
                        out[c, a, i] += mean * dv / volume * grad[a, i]


@njit(cache=True, nogil=True)
def _add_strain(slope, out, fresh):
    """Strain of a displacement gradient, in place of what is there or added to it."""
    if fresh:
        out[:] = 0.0
    for i in range(3):
        out[i] += slope[i, i]
    out[3] += slope[0, 1] + slope[1, 0]
    out[4] += slope[1, 2] + slope[2, 1]
    out[5] += slope[0, 2] + slope[2, 0]


@njit(cache=True, nogil=True)
def _mean_dilatation(x, u, shape, gradient, weight, kind, inv, grad):
    """Mean volumetric strain of a cell."""
    volume = total = 0.0
    for q in range(weight.shape[0]):
        dv = weight[q] * _map_gradients(x, gradient[q], inv, grad)
        dilatation = 0.0
        if kind == 1:
            radius = _at(x, shape[q])
            dv *= 2.0 * math.pi * radius
            dilatation = _at(u, shape[q]) / radius
        for a in range(shape.shape[1]):
            for i in range(3):
                dilatation += u[a, i] * grad[a, i]
        volume += dv
        total += dv * dilatation
    return total / volume


@njit(cache=True, nogil=True)
def add_up(conn, values, out):
    """Add values of cells at their nodes [n_cells, n, 3] to nodal ones [n_points, 3], cell by cell."""
    for c in range(conn.shape[0]):
        for a in range(conn.shape[1]):
            for i in range(3):
                out[conn[c, a], i] += values[c, a, i]
