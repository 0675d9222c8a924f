"""Quadratic tetrahedra without a matrix: the product of their stiffness with vectors, from geometry alone.

Strain is linear in a straight cell, so its values at the four corners say all. With barycentric gradients g_a
and h_ab = 2 u_ab - u_a - u_b of the edge between corners a and b, the gradient of displacement at corner v is

    sum over a of u_a g_a^T  +  2 sum over a other than v of h_va g_a^T,

and the integral of a product of linear functions weights the stress at corner v as V/20 (s_v + sum of all).

Cells lie along a space-filling curve, cut into a fixed number of chunks. A node touched by one chunk is
*interior* to it; the rest are *shared*. Nodes are numbered chunk by chunk, shared ones behind. A chunk
writes its interior rows itself, and what it has for shared rows into its own stretch of a buffer;
``add_shared`` then sums the stretches in the order of chunks. No number depends on which thread took what.

Within a chunk cells come in batches of 16, lanes last: one instruction works on many cells. With many
right-hand sides lanes run over these, and a cell is loaded once for all of them.
"""

from __future__ import annotations

from types import FunctionType
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Cells in a batch: one vector of float32, or two of float64, of the widest machines."""
CHUNKS = 16
"""Pieces of the mesh, whatever the number of threads."""
POINT_WEIGHTS = (-1.0 / np.sqrt(5.0), 4.0 / np.sqrt(5.0), 1.0 - 1.0 / np.sqrt(5.0))
"""Of the rule with points like (1 - 3 a, a, a, a), a = 1/4 - sqrt(5)/20. The derivative of displacement by
barycentric coordinate p at point q is the first times corner p, plus the second times edge pq (corner p where
p = q), plus the third times the sum of the edges at p."""
_FAST = {"contract", "nsz"}  # fused multiply-add
_NODE = np.array([[0, 4, 6, 7], [4, 1, 5, 8], [6, 5, 2, 9], [7, 8, 9, 3]])
"""The node between two corners."""


def _wide(width, add):
    """An intrinsic on a[i : i + width] and b[k : k + width]: copies b to a, or adds it.

    LLVM joins loops over lanes to vectors, but not the few neighbors that belong to one node.
    """

    @intrinsic
    def move(context, a, i, b, k):
        def generate(target, builder, signature, arguments):
            pointers = []
            for array, index in ((0, 1), (2, 3)):
                kind = signature.args[array]
                data = target.make_array(kind)(target, builder, arguments[array]).data
                vector = ir.VectorType(target.get_value_type(kind.dtype), width)
                pointers.append(builder.bitcast(builder.gep(data, [arguments[index]]), vector.as_pointer()))
            size = signature.args[0].dtype.bitwidth // 8
            value = builder.load(pointers[1])
            value.align = size
            if add:
                there = builder.load(pointers[0])
                there.align = size
                value = builder.fadd(there, value)
            builder.store(value, pointers[0]).align = size
            return target.get_dummy_value()

        return types.void(a, i, b, k), generate

    return move


_copy4, _add4 = _wide(4, False), _wide(4, True)


class Plan(NamedTuple):
    """Order of cells and nodes, and who adds to which rows; numbers are those of the plan unless said.

    Parameters
    ----------
    nodes : int32[n_points]
        The mesh's number of each node; nodes in no cell of the plan come last.
    number : int32[n_points]
        The other way round.
    interior : int32[CHUNKS + 1]
        Nodes interior[c] to interior[c + 1] are those of chunk c alone; shared ones follow.
    shared : int32[n_copies]
        Shared nodes of each chunk: which rows its stretch of the buffer stands for.
    shared_start : int32[CHUNKS + 1]
        Where the stretch of each chunk begins.
    copies_start, copies : int32[n_shared + 1], int32[n_copies]
        Rows of the buffer that belong to each shared node, in the order of chunks.
    cells : int32[n_batches, LANES]
        The mesh's number of each cell, -1 where a batch is not full.
    conn : int32[n_batches, 10, LANES]
        Nodes of each cell, numbered within its chunk: interior nodes, then its shared ones.
    batches : int32[CHUNKS + 1]
        Batches of each chunk.
    general_cells, general_conn, general_batches
        The same for cells that are curved or whose material changes from point to point.
    """

    nodes: np.ndarray
    number: np.ndarray
    interior: np.ndarray
    shared: np.ndarray
    shared_start: np.ndarray
    copies_start: np.ndarray
    copies: np.ndarray
    cells: np.ndarray
    conn: np.ndarray
    batches: np.ndarray
    general_cells: np.ndarray
    general_conn: np.ndarray
    general_batches: np.ndarray

    @property
    def n_interior(self):
        """Nodes that belong to one chunk."""
        return int(self.interior[-1])

    @property
    def n_shared(self):
        """Nodes of several chunks."""
        return len(self.copies_start) - 1

    @property
    def n_nodes(self):
        """Nodes of the plan's cells."""
        return self.n_interior + self.n_shared

    @property
    def n_copies(self):
        """Rows of the buffer, times components."""
        return len(self.shared)


def plan(conn, points, general=None):
    """Order cells and nodes for threads and caches.

    Parameters
    ----------
    conn : int64[n_cells, 10]
        VTK's order of nodes.
    points : float64[n_points, 3]
    general : bool[n_cells], optional
        Cells for ``product_general``.

    Returns
    -------
    Plan
    """
    n, n_points = len(conn), len(points)
    order = np.empty(n, np.int32)
    _along_curve(conn, points, order)
    n_batches = -(-n // LANES)
    starts = np.minimum(LANES * (n_batches * np.arange(CHUNKS + 1) // CHUNKS), n).astype(np.int32)
    flags = np.zeros(n, np.bool_) if general is None else np.ascontiguousarray(general, np.bool_)
    batches, general_batches = np.zeros((2, CHUNKS + 1), np.int32)
    _count_batches(order, starts, flags, batches, general_batches)
    cells = np.full((batches[-1], LANES), -1, np.int32)
    general_cells = np.full((general_batches[-1], LANES), -1, np.int32)
    _fill_batches(order, starts, flags, batches, general_batches, cells, general_cells)
    number, interior, shared_start = np.empty(n_points, np.int32), *np.zeros((2, CHUNKS + 1), np.int32)
    n_shared = _number(conn, cells, batches, general_cells, general_batches, number, interior, shared_start)
    nodes = np.empty(n_points, np.int32)
    nodes[number] = np.arange(n_points, dtype=np.int32)
    shared = np.empty(shared_start[-1], np.int32)
    local = np.empty((len(cells), 10, LANES), np.int32)
    general_local = np.empty((len(general_cells), 10, LANES), np.int32)
    _localize(
        conn, cells, batches, general_cells, general_batches, number, interior, shared_start, n_shared,
        shared, local, general_local,
    )  # fmt: skip
    copies_start, copies = np.zeros(n_shared + 1, np.int32), np.empty(len(shared), np.int32)
    _find_copies(shared, interior[-1], copies_start, copies)
    return Plan(
        nodes, number, interior, shared, shared_start, copies_start, copies, cells, local, batches,
        general_cells, general_local, general_batches,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _spaced(i):
    """Bits of a number below 2^16, three places apart."""
    i = (i | (i << 32)) & 0x1F00000000FFFF
    i = (i | (i << 16)) & 0x1F0000FF0000FF
    i = (i | (i << 8)) & 0x100F00F00F00F00F
    i = (i | (i << 4)) & 0x10C30C30C30C30C3
    return (i | (i << 2)) & 0x1249249249249249


@njit(cache=True, nogil=True)
def _along_curve(conn, points, order):
    """Cells in the order of Morton's curve through their centers, into order int32[n_cells]."""
    n = conn.shape[0]
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for c in range(n):
        for a in range(4):
            for i in range(3):
                value = points[conn[c, a], i]
                low[i] = min(low[i], value)
                high[i] = max(high[i], value)
    extent = max(high[0] - low[0], high[1] - low[1], high[2] - low[2], 1e-300)
    per_step = 0.25 * 65535.0 / extent
    keys, other = np.empty(n, np.int64), np.empty(n, np.int64)
    for c in range(n):
        key = 0
        for i in range(3):
            value = 0.0
            for a in range(4):
                value += points[conn[c, a], i] - low[i]
            key |= _spaced(np.int64(value * per_step)) << i
        keys[c] = key
        order[c] = c
    swap = np.empty(n, np.int32)
    count = np.empty(4097, np.int64)
    for digit in range(4):  # least digit first: ties stay in the order of cells
        shift = 12 * digit
        count[:] = 0
        for c in range(n):
            count[((keys[c] >> shift) & 4095) + 1] += 1
        for k in range(4096):
            count[k + 1] += count[k]
        for c in range(n):
            k = (keys[c] >> shift) & 4095
            other[count[k]] = keys[c]
            swap[count[k]] = order[c]
            count[k] += 1
        keys[:] = other
        order[:] = swap


@njit(cache=True, nogil=True)
def _count_batches(order, starts, flags, batches, general_batches):
    lanes = 16
    for chunk in range(starts.shape[0] - 1):
        general = 0
        for p in range(starts[chunk], starts[chunk + 1]):
            general += flags[order[p]]
        straight = starts[chunk + 1] - starts[chunk] - general
        batches[chunk + 1] = batches[chunk] + (straight + lanes - 1) // lanes
        general_batches[chunk + 1] = general_batches[chunk] + (general + lanes - 1) // lanes


@njit(cache=True, nogil=True)
def _fill_batches(order, starts, flags, batches, general_batches, cells, general_cells):
    for chunk in range(starts.shape[0] - 1):
        i, k = 16 * batches[chunk], 16 * general_batches[chunk]
        for p in range(starts[chunk], starts[chunk + 1]):
            c = order[p]
            if flags[c]:
                general_cells[k >> 4, k & 15] = c
                k += 1
            else:
                cells[i >> 4, i & 15] = c
                i += 1


@njit(cache=True, nogil=True)
def _number(conn, cells, batches, general_cells, general_batches, number, interior, shared_start):
    """Number nodes in the order in which cells touch them: interior ones, shared ones, rest; count shared."""
    n_points, chunks = number.shape[0], batches.shape[0] - 1
    owner = np.full(n_points, -1, np.int32)  # a chunk; -2: several
    for chunk in range(chunks):
        for part in range(2):
            of = cells if part == 0 else general_cells
            at = batches if part == 0 else general_batches
            for b in range(at[chunk], at[chunk + 1]):
                for w in range(16):
                    c = of[b, w]
                    if c >= 0:
                        for a in range(10):
                            node = conn[c, a]
                            if owner[node] == -1:
                                owner[node] = chunk
                            elif owner[node] != chunk:
                                owner[node] = -2
    number[:] = -1
    stamp = np.full(n_points, -1, np.int32)
    n_interior, n_shared = 0, 0
    for chunk in range(chunks):
        copies = 0
        for part in range(2):
            of = cells if part == 0 else general_cells
            at = batches if part == 0 else general_batches
            for b in range(at[chunk], at[chunk + 1]):
                for w in range(16):
                    c = of[b, w]
                    if c >= 0:
                        for a in range(10):
                            node = conn[c, a]
                            if owner[node] >= 0:
                                if number[node] < 0:
                                    number[node] = n_interior
                                    n_interior += 1
                            elif stamp[node] != chunk:
                                stamp[node] = chunk
                                copies += 1
                                if number[node] < 0:
                                    number[node] = n_shared
                                    n_shared += 1
        interior[chunk + 1] = n_interior
        shared_start[chunk + 1] = shared_start[chunk] + copies
    rest = n_interior + n_shared
    for node in range(n_points):
        if owner[node] == -2:
            number[node] += n_interior
        elif owner[node] == -1:
            number[node] = rest
            rest += 1
    return n_shared


@njit(cache=True, nogil=True)
def _localize(
    conn, cells, batches, general_cells, general_batches, number, interior, shared_start, n_shared,
    shared, local, general_local,
):  # fmt: skip
    """Numbers of nodes within their chunk, and which nodes its copies stand for."""
    n_interior = interior[-1]
    place = np.empty(n_shared, np.int32)
    stamp = np.full(n_shared, -1, np.int32)
    for chunk in range(batches.shape[0] - 1):
        first, n_own = interior[chunk], interior[chunk + 1] - interior[chunk]
        copies = 0
        for part in range(2):
            of = cells if part == 0 else general_cells
            at = batches if part == 0 else general_batches
            to = local if part == 0 else general_local
            for b in range(at[chunk], at[chunk + 1]):
                for w in range(16):
                    c = of[b, w]
                    for a in range(10):
                        if c < 0:  # what pads a batch reads the chunk's first node and adds nothing
                            to[b, a, w] = 0
                            continue
                        node = number[conn[c, a]]
                        if node < n_interior:
                            to[b, a, w] = node - first
                            continue
                        s = node - n_interior
                        if stamp[s] != chunk:
                            stamp[s] = chunk
                            place[s] = n_own + copies
                            shared[shared_start[chunk] + copies] = node
                            copies += 1
                        to[b, a, w] = place[s]


@njit(cache=True, nogil=True)
def _find_copies(shared, n_interior, start, copies):
    """Rows of the buffer for each shared node, in the order of chunks."""
    for i in range(shared.shape[0]):
        start[shared[i] - n_interior + 1] += 1
    for s in range(start.shape[0] - 1):
        start[s + 1] += start[s]
    fill = start.copy()
    for i in range(shared.shape[0]):
        s = shared[i] - n_interior
        copies[fill[s]] = i
        fill[s] += 1


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _strain(
    bxx, byy, bzz, bxy, byz, bxz, px, py, pz, ax, ay, az, qx, qy, qz, bx, by, bz, rx, ry, rz, cx, cy, cz
):  # fmt: skip
    """Base strain and the symmetric parts of p a^T + q b^T + r c^T (shear doubled)."""
    return (
        bxx + px * ax + qx * bx + rx * cx,
        byy + py * ay + qy * by + ry * cy,
        bzz + pz * az + qz * bz + rz * cz,
        bxy + px * ay + py * ax + qx * by + qy * bx + rx * cy + ry * cx,
        byz + py * az + pz * ay + qy * bz + qz * by + ry * cz + rz * cy,
        bxz + px * az + pz * ax + qx * bz + qz * bx + rx * cz + rz * cx,
    )


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _stress(lam, mu, xx, yy, zz, xy, yz, xz):
    mean = lam * (xx + yy + zz)
    twice = mu + mu
    return twice * xx + mean, twice * yy + mean, twice * zz + mean, mu * xy, mu * yz, mu * xz


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _pull(sxx, syy, szz, sxy, syz, sxz, ax, ay, az, txx, tyy, tzz, txy, tyz, txz, bx, by, bz):
    """Tensor s on vector a plus tensor t on vector b."""
    return (
        sxx * ax + sxy * ay + sxz * az + txx * bx + txy * by + txz * bz,
        sxy * ax + syy * ay + syz * az + txy * bx + tyy * by + tyz * bz,
        sxz * ax + syz * ay + szz * az + txz * bx + tyz * by + tzz * bz,
    )


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _forces(
    ax, ay, az, bx, by, bz, cx, cy, cz, lam, mu,
    u0x, u0y, u0z, u1x, u1y, u1z, u2x, u2y, u2z, u3x, u3y, u3z,
    u01x, u01y, u01z, u12x, u12y, u12z, u20x, u20y, u20z,
    u03x, u03y, u03z, u13x, u13y, u13z, u23x, u23y, u23z,
):  # fmt: skip
    """Nodal forces of a straight cell, 30 of 30; lam and mu come times volume / 20."""
    ox, oy, oz = -(ax + bx + cx), -(ay + by + cy), -(az + bz + cz)
    Ax, Ay, Az = ax + ax, ay + ay, az + az
    Bx, By, Bz = bx + bx, by + by, bz + bz
    Cx, Cy, Cz = cx + cx, cy + cy, cz + cz
    Ox, Oy, Oz = ox + ox, oy + oy, oz + oz
    h01x, h01y, h01z = (
        u01x + u01x - (u0x + u1x),
        u01y + u01y - (u0y + u1y),
        u01z + u01z - (u0z + u1z),
    )
    h12x, h12y, h12z = (
        u12x + u12x - (u1x + u2x),
        u12y + u12y - (u1y + u2y),
        u12z + u12z - (u1z + u2z),
    )
    h20x, h20y, h20z = (
        u20x + u20x - (u2x + u0x),
        u20y + u20y - (u2y + u0y),
        u20z + u20z - (u2z + u0z),
    )
    h03x, h03y, h03z = (
        u03x + u03x - (u0x + u3x),
        u03y + u03y - (u0y + u3y),
        u03z + u03z - (u0z + u3z),
    )
    h13x, h13y, h13z = (
        u13x + u13x - (u1x + u3x),
        u13y + u13y - (u1y + u3y),
        u13z + u13z - (u1z + u3z),
    )
    h23x, h23y, h23z = (
        u23x + u23x - (u2x + u3x),
        u23y + u23y - (u2y + u3y),
        u23z + u23z - (u2z + u3z),
    )
    px, py, pz = u1x - u0x, u1y - u0y, u1z - u0z
    qx, qy, qz = u2x - u0x, u2y - u0y, u2z - u0z
    rx, ry, rz = u3x - u0x, u3y - u0y, u3z - u0z
    bxx = px * ax + qx * bx + rx * cx
    byy = py * ay + qy * by + ry * cy
    bzz = pz * az + qz * bz + rz * cz
    bxy = px * ay + qx * by + rx * cy + py * ax + qy * bx + ry * cx
    byz = py * az + qy * bz + ry * cz + pz * ay + qz * by + rz * cy
    bxz = px * az + qx * bz + rx * cz + pz * ax + qz * bx + rz * cx
    e0xx, e0yy, e0zz, e0xy, e0yz, e0xz = _strain(
        bxx, byy, bzz, bxy, byz, bxz,
        h01x, h01y, h01z, Ax, Ay, Az, h20x, h20y, h20z, Bx, By, Bz, h03x, h03y, h03z, Cx, Cy, Cz,
    )  # fmt: skip
    e1xx, e1yy, e1zz, e1xy, e1yz, e1xz = _strain(
        bxx, byy, bzz, bxy, byz, bxz,
        h01x, h01y, h01z, Ox, Oy, Oz, h12x, h12y, h12z, Bx, By, Bz, h13x, h13y, h13z, Cx, Cy, Cz,
    )  # fmt: skip
    e2xx, e2yy, e2zz, e2xy, e2yz, e2xz = _strain(
        bxx, byy, bzz, bxy, byz, bxz,
        h20x, h20y, h20z, Ox, Oy, Oz, h12x, h12y, h12z, Ax, Ay, Az, h23x, h23y, h23z, Cx, Cy, Cz,
    )  # fmt: skip
    e3xx, e3yy, e3zz, e3xy, e3yz, e3xz = _strain(
        bxx, byy, bzz, bxy, byz, bxz,
        h03x, h03y, h03z, Ox, Oy, Oz, h13x, h13y, h13z, Ax, Ay, Az, h23x, h23y, h23z, Bx, By, Bz,
    )  # fmt: skip
    sxx = e0xx + e1xx + e2xx + e3xx
    syy = e0yy + e1yy + e2yy + e3yy
    szz = e0zz + e1zz + e2zz + e3zz
    sxy = e0xy + e1xy + e2xy + e3xy
    syz = e0yz + e1yz + e2yz + e3yz
    sxz = e0xz + e1xz + e2xz + e3xz
    s0xx, s0yy, s0zz, s0xy, s0yz, s0xz = _stress(
        lam, mu, e0xx + sxx, e0yy + syy, e0zz + szz, e0xy + sxy, e0yz + syz, e0xz + sxz,
    )  # fmt: skip
    s1xx, s1yy, s1zz, s1xy, s1yz, s1xz = _stress(
        lam, mu, e1xx + sxx, e1yy + syy, e1zz + szz, e1xy + sxy, e1yz + syz, e1xz + sxz,
    )  # fmt: skip
    s2xx, s2yy, s2zz, s2xy, s2yz, s2xz = _stress(
        lam, mu, e2xx + sxx, e2yy + syy, e2zz + szz, e2xy + sxy, e2yz + syz, e2xz + sxz,
    )  # fmt: skip
    s3xx, s3yy, s3zz, s3xy, s3yz, s3xz = _stress(
        lam, mu, e3xx + sxx, e3yy + syy, e3zz + szz, e3xy + sxy, e3yz + syz, e3xz + sxz,
    )  # fmt: skip
    txx = s0xx + s1xx + s2xx + s3xx
    tyy = s0yy + s1yy + s2yy + s3yy
    tzz = s0zz + s1zz + s2zz + s3zz
    txy = s0xy + s1xy + s2xy + s3xy
    tyz = s0yz + s1yz + s2yz + s3yz
    txz = s0xz + s1xz + s2xz + s3xz
    r01x, r01y, r01z = _pull(
        s0xx, s0yy, s0zz, s0xy, s0yz, s0xz, Ax, Ay, Az, s1xx, s1yy, s1zz, s1xy, s1yz, s1xz, Ox, Oy, Oz,
    )  # fmt: skip
    r12x, r12y, r12z = _pull(
        s1xx, s1yy, s1zz, s1xy, s1yz, s1xz, Bx, By, Bz, s2xx, s2yy, s2zz, s2xy, s2yz, s2xz, Ax, Ay, Az,
    )  # fmt: skip
    r20x, r20y, r20z = _pull(
        s2xx, s2yy, s2zz, s2xy, s2yz, s2xz, Ox, Oy, Oz, s0xx, s0yy, s0zz, s0xy, s0yz, s0xz, Bx, By, Bz,
    )  # fmt: skip
    r03x, r03y, r03z = _pull(
        s0xx, s0yy, s0zz, s0xy, s0yz, s0xz, Cx, Cy, Cz, s3xx, s3yy, s3zz, s3xy, s3yz, s3xz, Ox, Oy, Oz,
    )  # fmt: skip
    r13x, r13y, r13z = _pull(
        s1xx, s1yy, s1zz, s1xy, s1yz, s1xz, Cx, Cy, Cz, s3xx, s3yy, s3zz, s3xy, s3yz, s3xz, Ax, Ay, Az,
    )  # fmt: skip
    r23x, r23y, r23z = _pull(
        s2xx, s2yy, s2zz, s2xy, s2yz, s2xz, Cx, Cy, Cz, s3xx, s3yy, s3zz, s3xy, s3yz, s3xz, Bx, By, Bz,
    )  # fmt: skip
    t1x = txx * ax + txy * ay + txz * az
    t1y = txy * ax + tyy * ay + tyz * az
    t1z = txz * ax + tyz * ay + tzz * az
    t2x = txx * bx + txy * by + txz * bz
    t2y = txy * bx + tyy * by + tyz * bz
    t2z = txz * bx + tyz * by + tzz * bz
    t3x = txx * cx + txy * cy + txz * cz
    t3y = txy * cx + tyy * cy + tyz * cz
    t3z = txz * cx + tyz * cy + tzz * cz
    return (
        -(t1x + t2x + t3x) - (r01x + r20x + r03x),
        -(t1y + t2y + t3y) - (r01y + r20y + r03y),
        -(t1z + t2z + t3z) - (r01z + r20z + r03z),
        t1x - (r01x + r12x + r13x),
        t1y - (r01y + r12y + r13y),
        t1z - (r01z + r12z + r13z),
        t2x - (r20x + r12x + r23x),
        t2y - (r20y + r12y + r23y),
        t2z - (r20z + r12z + r23z),
        t3x - (r03x + r13x + r23x),
        t3y - (r03y + r13y + r23y),
        t3z - (r03z + r13z + r23z),
        r01x + r01x,
        r01y + r01y,
        r01z + r01z,
        r12x + r12x,
        r12y + r12y,
        r12z + r12z,
        r20x + r20x,
        r20y + r20y,
        r20z + r20z,
        r03x + r03x,
        r03y + r03y,
        r03z + r03z,
        r13x + r13x,
        r13y + r13y,
        r13z + r13z,
        r23x + r23x,
        r23y + r23y,
        r23z + r23z,
    )


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _cells_at_once(geo, at):
    """Forces of a batch in the place of its displacements at[10, 16, 4]."""
    for w in range(16):
        k = 4 * w
        (
            f0x, f0y, f0z, f1x, f1y, f1z, f2x, f2y, f2z, f3x, f3y, f3z, f4x, f4y, f4z, f5x, f5y, f5z,
            f6x, f6y, f6z, f7x, f7y, f7z, f8x, f8y, f8z, f9x, f9y, f9z,
        ) = _forces(
            geo[w], geo[16 + w], geo[32 + w], geo[48 + w], geo[64 + w], geo[80 + w], geo[96 + w],
            geo[112 + w], geo[128 + w], geo[144 + w], geo[160 + w], at[k], at[1 + k], at[2 + k],
            at[64 + k], at[65 + k], at[66 + k], at[128 + k], at[129 + k], at[130 + k], at[192 + k],
            at[193 + k], at[194 + k], at[256 + k], at[257 + k], at[258 + k], at[320 + k], at[321 + k],
            at[322 + k], at[384 + k], at[385 + k], at[386 + k], at[448 + k], at[449 + k], at[450 + k],
            at[512 + k], at[513 + k], at[514 + k], at[576 + k], at[577 + k], at[578 + k],
        )  # fmt: skip
        # A node's fourth number is zero and stays so; touched, it makes loads and stores whole vectors.
        zero0 = at[3 + k] + at[3 + k]
        zero1 = at[67 + k] + at[67 + k]
        zero2 = at[131 + k] + at[131 + k]
        zero3 = at[195 + k] + at[195 + k]
        zero4 = at[259 + k] + at[259 + k]
        zero5 = at[323 + k] + at[323 + k]
        zero6 = at[387 + k] + at[387 + k]
        zero7 = at[451 + k] + at[451 + k]
        zero8 = at[515 + k] + at[515 + k]
        zero9 = at[579 + k] + at[579 + k]
        at[k], at[1 + k], at[2 + k], at[3 + k] = f0x, f0y, f0z, zero0
        at[64 + k], at[65 + k], at[66 + k], at[67 + k] = f1x, f1y, f1z, zero1
        at[128 + k], at[129 + k], at[130 + k], at[131 + k] = f2x, f2y, f2z, zero2
        at[192 + k], at[193 + k], at[194 + k], at[195 + k] = f3x, f3y, f3z, zero3
        at[256 + k], at[257 + k], at[258 + k], at[259 + k] = f4x, f4y, f4z, zero4
        at[320 + k], at[321 + k], at[322 + k], at[323 + k] = f5x, f5y, f5z, zero5
        at[384 + k], at[385 + k], at[386 + k], at[387 + k] = f6x, f6y, f6z, zero6
        at[448 + k], at[449 + k], at[450 + k], at[451 + k] = f7x, f7y, f7z, zero7
        at[512 + k], at[513 + k], at[514 + k], at[515 + k] = f8x, f8y, f8z, zero8
        at[576 + k], at[577 + k], at[578 + k], at[579 + k] = f9x, f9y, f9z, zero9


@njit(nogil=True)
def _take(first, n_own, shared, begin, end, column, add, x, buffer, y, u, f):
    """A chunk's values from column of x into u, four numbers a node; f zero, or what is in y and buffer."""
    n = n_own + end - begin
    if x.shape[1] == 1:
        xs = x.reshape(x.size)
        for i in range(n_own - 1):
            _copy4(u, 4 * i, xs, 3 * (first + i))
            u[4 * i + 3] = 0
        tail = max(n_own - 1, 0)  # four numbers from the last node on may be one too many
    else:
        tail = 0
    for i in range(tail, n_own):
        for c in range(3):
            u[4 * i + c] = x[3 * (first + i) + c, column]
        u[4 * i + 3] = 0
    for i in range(n_own, n):
        row = 3 * np.int64(shared[begin + i - n_own])
        for c in range(3):
            u[4 * i + c] = x[row + c, column]
        u[4 * i + 3] = 0
    f[: 4 * n] = 0
    if add:
        for i in range(n_own):
            for c in range(3):
                f[4 * i + c] = y[3 * (first + i) + c, column]
        for i in range(n_own, n):
            for c in range(3):
                f[4 * i + c] = buffer[3 * (begin + i - n_own) + c, column]


@njit(nogil=True)
def _give(first, n_own, begin, end, column, f, buffer, y):
    """A chunk's sums to its rows of y and of the buffer."""
    tail = 0
    if y.shape[1] == 1:
        ys, bs = y.reshape(y.size), buffer.reshape(buffer.size)
        for i in range(n_own - 1):  # the fourth number goes where the next node's first will
            _copy4(ys, 3 * (first + i), f, 4 * i)
        for i in range(end - begin - 1):
            _copy4(bs, 3 * (begin + i), f, 4 * (n_own + i))
        tail = 1
    for i in range(max(n_own - 1, 0) if tail else 0, n_own):
        for c in range(3):
            y[3 * (first + i) + c, column] = f[4 * i + c]
    for i in range(max(end - begin - 1, 0) if tail else 0, end - begin):
        for c in range(3):
            buffer[3 * (begin + i) + c, column] = f[4 * (n_own + i) + c]


@njit(nogil=True)
def _gather(conn, b, u, at):
    for w in range(16):
        for a in range(10):
            _copy4(at, 64 * a + 4 * w, u, 4 * np.int64(conn[b, a, w]))


@njit(nogil=True)
def _scatter(conn, b, at, f):
    for w in range(16):
        for a in range(10):
            _add4(f, 4 * np.int64(conn[b, a, w]), at, 64 * a + 4 * w)


@njit(nogil=True)
def _most_nodes(start, stop, interior, shared_start):
    most = 0
    for chunk in range(start, stop):
        n = interior[chunk + 1] - interior[chunk] + shared_start[chunk + 1] - shared_start[chunk]
        most = max(most, n)
    return most


@njit(nogil=True)
def _columns(
    start, stop, conn, batches, interior, shared, shared_start, geo, add, x, buffer, y, begin_column,
    end_column,
):  # fmt: skip
    """Lanes over cells, one column after another."""
    flat, most = geo.reshape(geo.size), _most_nodes(start, stop, interior, shared_start)
    u, f = np.empty(4 * most, x.dtype), np.empty(4 * most, x.dtype)
    two = np.empty(1280, x.dtype)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        last = batches[chunk + 1]
        for column in range(begin_column, end_column):
            _take(first, n_own, shared, begin, end, column, add, x, buffer, y, u, f)
            here = 0
            if batches[chunk] < last:
                _gather(conn, batches[chunk], u, two[:640])
            for b in range(batches[chunk], last):
                there = 640 - here
                if b + 1 < last:  # early: wide loads wait until narrow stores have settled
                    _gather(conn, b + 1, u, two[there : there + 640])
                at = two[here : here + 640]
                _cells_at_once(flat[176 * b : 176 * b + 176], at)
                _scatter(conn, b, at, f)
                here = there
            _give(first, n_own, begin, end, column, f, buffer, y)


@njit(cache=True, nogil=True)
def product(start, stop, conn, batches, interior, shared, shared_start, geo, add, x, buffer, y, columns):
    """Stiffness of straight cells times x, column by column; ``add_shared`` completes it.

    Parameters
    ----------
    start, stop : int
        Chunks.
    conn, batches, interior, shared, shared_start
        Of ``Plan``.
    geo : float[n_batches, 11, LANES]
        From ``geometry``.
    add : bool
        Add to what y and the buffer hold, instead of overwriting.
    x, y : float[3 * n_points, n_rhs]
        In the plan's numbers; interior rows of y are written.
    buffer : float[3 * n_copies, n_rhs]
        Written.
    columns : int64[2]
        First and last + 1 of the columns done.
    """
    _columns(
        start, stop, conn, batches, interior, shared, shared_start, geo, add, x, buffer, y, columns[0],
        columns[1],
    )  # fmt: skip


class _Lanes:
    """A vector in the making: what is done to it in Python becomes instructions.

    A product waits for what is added to it: that the two are fused is settled here, not left to LLVM, which
    decides otherwise for other widths.
    """

    __slots__ = ("builder", "factors", "known")

    def __init__(self, builder, known=None, factors=None):
        self.builder, self.known, self.factors = builder, known, factors

    @property
    def value(self):
        if self.known is None:
            self.known = self.builder.fmul(*self.factors)
        return self.known

    def _fused(self, factors, rest):
        kind = rest.type
        name = f"llvm.fmuladd.v{kind.count}{kind.element.intrinsic_name}"
        fuse = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return _Lanes(self.builder, self.builder.call(fuse, [*factors, rest]))

    def __rmul__(self, number):
        kind = self.value.type
        return _Lanes(self.builder, factors=(ir.Constant(kind, [number] * kind.count), self.value))

    def __add__(self, other):
        if self.factors:
            return self._fused(self.factors, other.value)
        if other.factors:
            return self._fused(other.factors, self.value)
        return _Lanes(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other):
        if other.factors:
            return self._fused((self.builder.fneg(other.factors[0]), other.factors[1]), self.value)
        if self.factors:
            return self._fused(self.factors, self.builder.fneg(other.value))
        return _Lanes(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other):
        return _Lanes(self.builder, factors=(self.value, other.value))

    def __neg__(self):
        return _Lanes(self.builder, self.builder.fneg(self.value))


def _widest(kind):
    """Numbers in the widest register: eight or four of float64; LLVM would work on two at a time beyond."""
    room = 64 if get_host_cpu_features().get("avx512f") else 32
    return 8 * room // kind.bitwidth


def _on_lanes(formula):
    """A compiled formula as a Python function of `_Lanes`; others are one already."""
    if not hasattr(formula, "py_func"):
        return formula
    plain = formula.py_func
    called = {name: globals()[name] for name in plain.__code__.co_names}
    return FunctionType(plain.__code__, {name: _on_lanes(one) for name, one in called.items()})


def _over_columns(formula, width, components, constants, common=()):
    """An intrinsic: forces of one cell for `width` columns side by side.

    Reads its nodes' rows of x where they are and adds to theirs of y or of the buffer, in one go: columns lie
    in memory as lanes want them. `formula` takes numbers that all cells share, `common` entries of a table,
    then `constants` numbers of the cell, which lie LANES apart in geo, then the values of its 10 nodes; it
    returns as many as there are values.
    """

    @intrinsic
    def forces(typing, table, geo, at_geo, x, rows, y, buffer, places, own, n_rhs, column):
        def generate(target, builder, signature, arguments):
            kinds = signature.args
            size, wide = kinds[3].dtype.bitwidth // 8, ir.IntType(64)
            lanes = min(width, _widest(kinds[3].dtype))
            vector = ir.VectorType(target.get_value_type(kinds[3].dtype), lanes)
            n = arguments[9]
            steps = [builder.mul(n, ir.Constant(wide, c)) for c in range(components)]

            def data(index):
                return target.make_array(kinds[index])(target, builder, arguments[index]).data

            def entry(index, i):
                return builder.load(builder.gep(data(index), [ir.Constant(wide, i)]))

            def pointers(start, place):
                row = builder.gep(start, [place])
                return [builder.bitcast(builder.gep(row, [step]), vector.as_pointer()) for step in steps]

            def load(pointer):
                value = builder.load(pointer)
                value.align = size
                return value

            def everywhere(index, place):
                """A number of a table in all lanes."""
                some, zero = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
                some = builder.insert_element(some, builder.load(builder.gep(data(index), [place])), zero)
                lane = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
                return _Lanes(builder, builder.shuffle_vector(some, some, lane))

            fixed = [everywhere(0, ir.Constant(wide, i)) for i in common] + [
                everywhere(1, builder.add(arguments[2], ir.Constant(wide, 16 * i))) for i in range(constants)
            ]
            for part in range(0, width, lanes):
                column = builder.add(arguments[10], ir.Constant(wide, part))
                values = [
                    _Lanes(builder, load(pointer))
                    for a in range(10)
                    for pointer in pointers(data(3), builder.add(entry(4, a), column))
                ]
                made = _on_lanes(formula)(*fixed, *values)
                for a in range(10):
                    mine = builder.icmp_signed("!=", entry(8, a), ir.Constant(wide, 0))
                    start = builder.select(mine, data(5), data(6))
                    to = pointers(start, builder.add(entry(7, a), column))
                    for c, pointer in enumerate(to):
                        total = builder.fadd(load(pointer), made[components * a + c].value)
                        builder.store(total, pointer).align = size
            return target.get_dummy_value()

        return types.void(table, geo, at_geo, x, rows, y, buffer, places, own, n_rhs, column), generate

    return forces


_stiff16, _stiff8, _stiff4, _stiff1 = (_over_columns(_forces, width, 3, 11) for width in (16, 8, 4, 1))


@njit(nogil=True)
def _find_rows(conn, b, w, first, n_own, shared, begin, size, rows, places, own):
    """Where the nodes of a cell are in x, and in y (own) or the buffer; size: numbers of a node."""
    for a in range(10):
        i = np.int64(conn[b, a, w])
        if i < n_own:
            rows[a] = places[a] = size * (first + i)
            own[a] = 1
        else:
            rows[a] = size * np.int64(shared[begin + i - n_own])
            places[a] = size * (begin + i - n_own)
            own[a] = 0


@njit(cache=True, nogil=True)
def product_of_many(
    start, stop, conn, batches, interior, shared, shared_start, geo, add, x, buffer, y, columns
):
    """As ``product``, for many right-hand sides: lanes over these, 16, 8, 4 or one at a time.

    A cell is loaded once for all of them. A column's digits do not depend on those beside it; from those of
    ``product`` they differ by rounding.
    """
    n = np.int64(x.shape[1])
    flat, xs, ys, bs = (
        geo.reshape(geo.size),
        x.reshape(x.size),
        y.reshape(y.size),
        buffer.reshape(buffer.size),
    )
    rows, places, own = np.empty(10, np.int64), np.empty(10, np.int64), np.empty(10, np.int64)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        if not add:
            y[3 * first : 3 * (first + n_own), columns[0] : columns[1]] = 0
            buffer[3 * begin : 3 * end, columns[0] : columns[1]] = 0
        for cell in range(16 * np.int64(batches[chunk]), 16 * np.int64(batches[chunk + 1])):
            b, w = cell >> 4, cell & 15
            g, k = 176 * b + w, columns[0]
            if flat[g + 160] == 0:  # padding
                continue
            _find_rows(conn, b, w, first, n_own, shared, begin, 3 * n, rows, places, own)
            while k + 16 <= columns[1]:
                _stiff16(flat, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 16
            if k + 8 <= columns[1]:
                _stiff8(flat, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 8
            if k + 4 <= columns[1]:
                _stiff4(flat, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 4
            while k < columns[1]:
                _stiff1(flat, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 1


def _uniform_mass(m, u0, u1, u2, u3, u01, u12, u20, u03, u13, u23):
    """A straight cell's mass, density V / 420 in m, times values at its nodes."""
    corners = (u0 + u1) + (u2 + u3)
    mids = ((u01 + u12) + (u20 + u03)) + (u13 + u23)
    ends, sides = corners - 6.0 * mids, 16.0 * mids - 6.0 * corners

    def end(own, a, b, c):
        return m * (5.0 * own + ends + 2.0 * (a + b + c))

    def side(own, across, a, b):
        return m * (16.0 * own + sides + 2.0 * (a + b) - 8.0 * across)

    return (
        end(u0, u01, u20, u03), end(u1, u01, u12, u13), end(u2, u20, u12, u23), end(u3, u03, u13, u23),
        side(u01, u23, u0, u1), side(u12, u03, u1, u2), side(u20, u13, u2, u0), side(u03, u12, u0, u3),
        side(u13, u20, u1, u3), side(u23, u01, u2, u3),
    )  # fmt: skip


def _mass_at_points(*given):
    """Any cell's mass at the 14 points of a rule times values at its nodes.

    Points near corners: n of their own corner, of others, of their own edges, of others; so for eight points.
    Points near edges: n of their own two corners, of others, of their own edge, of that across, of others.
    """
    near, far, beside = given[:4], given[4:8], given[8:13]
    weights, corners, mids = given[13:27], given[27:31], given[31:]
    edges = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))  # of mids
    all_corners = (corners[0] + corners[1]) + (corners[2] + corners[3])
    all_mids = ((mids[0] + mids[1]) + (mids[2] + mids[3])) + (mids[4] + mids[5])
    to_corners, to_mids, rest = [None] * 4, [None] * 6, []

    def add(to, i, value):
        to[i] = value if to[i] is None else to[i] + value

    for (own, other, edge, last), some in ((near, weights[:4]), (far, weights[4:8])):
        alike, total = other * all_corners + last * all_mids, None
        corner, along = own - other, edge - last
        for p in range(4):
            mine = [e for e, ends in enumerate(edges) if p in ends]
            held = some[p] * (
                alike + corner * corners[p] + along * (mids[mine[0]] + mids[mine[1]] + mids[mine[2]])
            )
            add(to_corners, p, corner * held)
            for e in mine:
                add(to_mids, e, along * held)
            total = held if total is None else total + held
        rest.append((other, last, total))
    own, other, edge, across, last = beside
    alike, total = other * all_corners + last * all_mids, None
    corner, along, opposite = own - other, edge - last, across - last
    for e, weight in zip((3, 2, 0, 5, 4, 1), weights[8:], strict=True):
        (a, b), there = edges[e], (5, 3, 4, 1, 2, 0)[e]
        held = weight * (
            alike + corner * (corners[a] + corners[b]) + along * mids[e] + opposite * mids[there]
        )
        for p in (a, b):
            add(to_corners, p, corner * held)
        add(to_mids, e, along * held)
        add(to_mids, there, opposite * held)
        total = held if total is None else total + held
    rest.append((other, last, total))
    for other, last, total in rest:
        to_corners = [value + other * total for value in to_corners]
        to_mids = [value + last * total for value in to_mids]
    return (*to_corners, *to_mids)


_OWN = (0, 1, 4, 5, 40, 41, 44, 45, 80, 81, 87, 85, 84)
"""Entries of shape[14, 10] that `_mass_at_points` takes: points 0, 4 and 8 stand for those like them."""
_mass16, _mass8, _mass4, _mass1 = (_over_columns(_uniform_mass, width, 1, 1) for width in (16, 8, 4, 1))
_masses16, _masses8, _masses4, _masses1 = (
    _over_columns(_mass_at_points, width, 1, 14, _OWN) for width in (16, 8, 4, 1)
)


@njit(cache=True, nogil=True)
def capacity_of_many(
    start, stop, conn, batches, interior, shared, shared_start, capacity, shape, add, x, buffer, y, columns
):
    """Heat capacity, or mass of each component, times many columns; ``add_shared`` completes it.

    As ``scalar_product`` with capacity alone, lanes over columns. With displacement x[3 n, r] as x[n, 3 r]
    and a density in the place of heat capacity per volume it is the mass of each component.

    Parameters
    ----------
    capacity : float[n_batches, 14 or 1, LANES]
    shape : float[14, 10]
        As in ``scalar_product``.
    """
    n, points = np.int64(x.shape[1]), capacity.shape[1]
    flat, table, xs, ys, bs = (
        capacity.reshape(capacity.size),
        shape.reshape(shape.size),
        x.reshape(x.size),
        y.reshape(y.size),
        buffer.reshape(buffer.size),
    )
    rows, places, own = np.empty(10, np.int64), np.empty(10, np.int64), np.empty(10, np.int64)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        if not add:
            y[first : first + n_own, columns[0] : columns[1]] = 0
            buffer[begin:end, columns[0] : columns[1]] = 0
        for cell in range(16 * np.int64(batches[chunk]), 16 * np.int64(batches[chunk + 1])):
            b, w = cell >> 4, cell & 15
            g, k = 16 * points * b + w, columns[0]
            if flat[g] == 0:  # padding
                continue
            _find_rows(conn, b, w, first, n_own, shared, begin, n, rows, places, own)
            if points == 1:
                while k + 16 <= columns[1]:
                    _mass16(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 16
                if k + 8 <= columns[1]:
                    _mass8(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 8
                if k + 4 <= columns[1]:
                    _mass4(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 4
                while k < columns[1]:
                    _mass1(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 1
            else:
                while k + 16 <= columns[1]:
                    _masses16(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 16
                if k + 8 <= columns[1]:
                    _masses8(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 8
                if k + 4 <= columns[1]:
                    _masses4(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 4
                while k < columns[1]:
                    _masses1(table, flat, g, xs, rows, ys, bs, places, own, n, k)
                    k += 1


def _stretched(*given):
    """A cell's stress at the four points times values at its nodes: what conductivity does to temperatures.

    Takes POINT_WEIGHTS, the metric of each point, the values.
    """
    base, own, mid = given[:3]
    metric, corners, mids = given[3:27], given[27:31], given[31:]
    edges = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))  # of mids
    of = {tuple(sorted(ends)): value for ends, value in zip(edges, mids, strict=True)}
    around = [[of[tuple(sorted((p, r)))] for r in range(4) if r != p] for p in range(4)]
    alike = [base * corners[p] + mid * (around[p][0] + around[p][1] + around[p][2]) for p in range(4)]
    total, flux = [None] * 4, {}
    for q in range(4):
        slope = [alike[p] + own * (corners[p] if p == q else of[tuple(sorted((p, q)))]) for p in range(4)]
        x, y, z = slope[1] - slope[0], slope[2] - slope[0], slope[3] - slope[0]
        xx, xy, xz, yy, yz, zz = metric[6 * q : 6 * q + 6]
        along = [xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z]
        flux[q] = [-(along[0] + along[1] + along[2]), *along]
        total = [one if old is None else old + one for old, one in zip(total, flux[q], strict=True)]
    return (
        *(base * total[p] + own * flux[p][p] for p in range(4)),
        *(mid * (total[p] + total[r]) + own * (flux[r][p] + flux[p][r]) for p, r in edges),
    )


_stretch16, _stretch8, _stretch4, _stretch1 = (
    _over_columns(_stretched, width, 1, 24, (0, 1, 2)) for width in (16, 8, 4, 1)
)


@njit(cache=True, nogil=True)
def conductivity_of_many(
    start, stop, conn, batches, interior, shared, shared_start, metric, weights, add, x, buffer, y, columns
):
    """Stiffness of stress of each component times many columns; ``add_shared`` completes it.

    As ``scalar_product`` with conductivity alone, lanes over columns.

    Parameters
    ----------
    metric : float[n_batches, 4, 6, LANES]
        From ``metric``.
    weights : float[3]
        POINT_WEIGHTS.
    """
    n = np.int64(x.shape[1])
    flat, xs, ys, bs = (
        metric.reshape(metric.size),
        x.reshape(x.size),
        y.reshape(y.size),
        buffer.reshape(buffer.size),
    )
    rows, places, own = np.empty(10, np.int64), np.empty(10, np.int64), np.empty(10, np.int64)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        if not add:
            y[first : first + n_own, columns[0] : columns[1]] = 0
            buffer[begin:end, columns[0] : columns[1]] = 0
        for cell in range(16 * np.int64(batches[chunk]), 16 * np.int64(batches[chunk + 1])):
            b, w = cell >> 4, cell & 15
            g, k = 384 * b + w, columns[0]
            # padding reads the chunk's first node and adds nothing
            _find_rows(conn, b, w, first, n_own, shared, begin, n, rows, places, own)
            while k + 16 <= columns[1]:
                _stretch16(weights, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 16
            if k + 8 <= columns[1]:
                _stretch8(weights, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 8
            if k + 4 <= columns[1]:
                _stretch4(weights, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 4
            while k < columns[1]:
                _stretch1(weights, flat, g, xs, rows, ys, bs, places, own, n, k)
                k += 1


@njit(cache=True, nogil=True)
def add_shared(start, stop, copies_start, copies, n_interior, components, buffer, y):
    """Sum the chunks' shares of shared rows, in the order of chunks.

    Parameters
    ----------
    start, stop : int
        Shared nodes.
    components : int
        Rows of y for each node: 3 for displacement, 1 for heat and for blocks of the diagonal.
    buffer : float[components * n_copies, n_rhs]
    y : float[components * n_points, n_rhs]
        Rows of shared nodes are overwritten.
    """
    size = components * y.shape[1]
    ys, shares = y.reshape(y.size), buffer.reshape(buffer.size)
    for s in range(start, stop):
        row, i = size * (n_interior + s), size * np.int64(copies[copies_start[s]])
        for k in range(size):
            ys[row + k] = shares[i + k]
        for j in range(copies_start[s] + 1, copies_start[s + 1]):
            i = size * np.int64(copies[j])
            for k in range(size):
                ys[row + k] += shares[i + k]


@njit(cache=True, nogil=True, error_model="numpy")
def geometry(start, stop, conn, cells, points, lam, mu, geo):
    """Gradients of straight cells and their stiffness, from corners.

    Parameters
    ----------
    start, stop : int
        Batches.
    conn : int64[n_cells, 10]
        The mesh's, in the mesh's numbers.
    cells : int32[n_batches, LANES]
        Of ``Plan``.
    points : float64[n_points, 3]
        The mesh's, m.
    lam, mu : float64[n_cells]
        Lame's constants of the mesh's cells, Pa.
    geo : float[n_batches, 11, LANES]
        Overwritten: gradients of corners 1, 2, 3, 1/m; lam and mu times volume / 20. Zero in padding.
    """
    for b in range(start, stop):
        for w in range(16):
            cell = cells[b, w]
            if cell < 0:
                for i in range(11):
                    geo[b, i, w] = 0
                continue
            n0, n1, n2, n3 = conn[cell, 0], conn[cell, 1], conn[cell, 2], conn[cell, 3]
            px, qx, rx = (
                points[n1, 0] - points[n0, 0],
                points[n2, 0] - points[n0, 0],
                points[n3, 0] - points[n0, 0],
            )  # fmt: skip
            py, qy, ry = (
                points[n1, 1] - points[n0, 1],
                points[n2, 1] - points[n0, 1],
                points[n3, 1] - points[n0, 1],
            )  # fmt: skip
            pz, qz, rz = (
                points[n1, 2] - points[n0, 2],
                points[n2, 2] - points[n0, 2],
                points[n3, 2] - points[n0, 2],
            )  # fmt: skip
            ax, ay, az = qy * rz - qz * ry, qz * rx - qx * rz, qx * ry - qy * rx
            bx, by, bz = ry * pz - rz * py, rz * px - rx * pz, rx * py - ry * px
            cx, cy, cz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
            det = px * ax + py * ay + pz * az
            inverse, volume = 1.0 / det, det / 120.0
            geo[b, 0, w], geo[b, 1, w], geo[b, 2, w] = ax * inverse, ay * inverse, az * inverse
            geo[b, 3, w], geo[b, 4, w], geo[b, 5, w] = bx * inverse, by * inverse, bz * inverse
            geo[b, 6, w], geo[b, 7, w], geo[b, 8, w] = cx * inverse, cy * inverse, cz * inverse
            geo[b, 9, w], geo[b, 10, w] = lam[cell] * volume, mu[cell] * volume


# ---- cells that are curved or whose material changes from point to point: the rule of four points


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _point(geo, tensor, at):
    """Derivatives of displacement by corners 1, 2, 3, at[9, 16], become stress pulled by their gradients."""
    for w in range(16):
        px, py, pz = at[w], at[16 + w], at[32 + w]
        qx, qy, qz = at[48 + w], at[64 + w], at[80 + w]
        rx, ry, rz = at[96 + w], at[112 + w], at[128 + w]
        ax, ay, az = geo[w], geo[16 + w], geo[32 + w]
        bx, by, bz = geo[48 + w], geo[64 + w], geo[80 + w]
        cx, cy, cz = geo[96 + w], geo[112 + w], geo[128 + w]
        dv = geo[144 + w]
        e0 = px * ax + qx * bx + rx * cx
        e1 = py * ay + qy * by + ry * cy
        e2 = pz * az + qz * bz + rz * cz
        e3 = px * ay + py * ax + qx * by + qy * bx + rx * cy + ry * cx
        e4 = py * az + pz * ay + qy * bz + qz * by + ry * cz + rz * cy
        e5 = px * az + pz * ax + qx * bz + qz * bx + rx * cz + rz * cx
        e0 *= dv
        e1 *= dv
        e2 *= dv
        e3 *= dv
        e4 *= dv
        e5 *= dv
        sxx = (
            tensor[w] * e0
            + tensor[16 + w] * e1
            + tensor[32 + w] * e2
            + tensor[48 + w] * e3
            + tensor[64 + w] * e4
            + tensor[80 + w] * e5
        )
        syy = (
            tensor[16 + w] * e0
            + tensor[96 + w] * e1
            + tensor[112 + w] * e2
            + tensor[128 + w] * e3
            + tensor[144 + w] * e4
            + tensor[160 + w] * e5
        )
        szz = (
            tensor[32 + w] * e0
            + tensor[112 + w] * e1
            + tensor[176 + w] * e2
            + tensor[192 + w] * e3
            + tensor[208 + w] * e4
            + tensor[224 + w] * e5
        )
        sxy = (
            tensor[48 + w] * e0
            + tensor[128 + w] * e1
            + tensor[192 + w] * e2
            + tensor[240 + w] * e3
            + tensor[256 + w] * e4
            + tensor[272 + w] * e5
        )
        syz = (
            tensor[64 + w] * e0
            + tensor[144 + w] * e1
            + tensor[208 + w] * e2
            + tensor[256 + w] * e3
            + tensor[288 + w] * e4
            + tensor[304 + w] * e5
        )
        sxz = (
            tensor[80 + w] * e0
            + tensor[160 + w] * e1
            + tensor[224 + w] * e2
            + tensor[272 + w] * e3
            + tensor[304 + w] * e4
            + tensor[320 + w] * e5
        )
        at[w] = sxx * ax + sxy * ay + sxz * az
        at[16 + w] = sxy * ax + syy * ay + syz * az
        at[32 + w] = sxz * ax + syz * ay + szz * az
        at[48 + w] = sxx * bx + sxy * by + sxz * bz
        at[64 + w] = sxy * bx + syy * by + syz * bz
        at[80 + w] = sxz * bx + syz * by + szz * bz
        at[96 + w] = sxx * cx + sxy * cy + sxz * cz
        at[112 + w] = sxy * cx + syy * cy + syz * cz
        at[128 + w] = sxz * cx + syz * cy + szz * cz


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _general_cells_at_once(geo, g_step, tensor, c_step, weights, at):
    """Forces of a batch in the place of its displacements at[10, 16, 4]; rows behind are scratch."""
    base, own, mid = weights[0], weights[1], weights[2]
    for w in range(16):
        k = 4 * w
        u0x = at[k]
        u0y = at[1 + k]
        u0z = at[2 + k]
        u1x = at[64 + k]
        u1y = at[65 + k]
        u1z = at[66 + k]
        u2x = at[128 + k]
        u2y = at[129 + k]
        u2z = at[130 + k]
        u3x = at[192 + k]
        u3y = at[193 + k]
        u3z = at[194 + k]
        u4x = at[256 + k]
        u4y = at[257 + k]
        u4z = at[258 + k]
        u5x = at[320 + k]
        u5y = at[321 + k]
        u5z = at[322 + k]
        u6x = at[384 + k]
        u6y = at[385 + k]
        u6z = at[386 + k]
        u7x = at[448 + k]
        u7y = at[449 + k]
        u7z = at[450 + k]
        u8x = at[512 + k]
        u8y = at[513 + k]
        u8z = at[514 + k]
        u9x = at[576 + k]
        u9y = at[577 + k]
        u9z = at[578 + k]
        at[1216 + w] = (
            at[3 + k]
            + at[67 + k]
            + at[131 + k]
            + at[195 + k]
            + at[259 + k]
            + at[323 + k]
            + at[387 + k]
            + at[451 + k]
            + at[515 + k]
            + at[579 + k]
        )  # read, so that loads are whole vectors
        d0x = base * u0x + mid * (u4x + u6x + u7x)
        d0y = base * u0y + mid * (u4y + u6y + u7y)
        d0z = base * u0z + mid * (u4z + u6z + u7z)
        d1x = base * u1x + mid * (u4x + u5x + u8x)
        d1y = base * u1y + mid * (u4y + u5y + u8y)
        d1z = base * u1z + mid * (u4z + u5z + u8z)
        d2x = base * u2x + mid * (u6x + u5x + u9x)
        d2y = base * u2y + mid * (u6y + u5y + u9y)
        d2z = base * u2z + mid * (u6z + u5z + u9z)
        d3x = base * u3x + mid * (u7x + u8x + u9x)
        d3y = base * u3y + mid * (u7y + u8y + u9y)
        d3z = base * u3z + mid * (u7z + u8z + u9z)
        d1x -= d0x
        d1y -= d0y
        d1z -= d0z
        d2x -= d0x
        d2y -= d0y
        d2z -= d0z
        d3x -= d0x
        d3y -= d0y
        d3z -= d0z
        at[640 + w] = d1x + own * (u4x - u0x)
        at[656 + w] = d1y + own * (u4y - u0y)
        at[672 + w] = d1z + own * (u4z - u0z)
        at[688 + w] = d2x + own * (u6x - u0x)
        at[704 + w] = d2y + own * (u6y - u0y)
        at[720 + w] = d2z + own * (u6z - u0z)
        at[736 + w] = d3x + own * (u7x - u0x)
        at[752 + w] = d3y + own * (u7y - u0y)
        at[768 + w] = d3z + own * (u7z - u0z)
        at[784 + w] = d1x + own * (u1x - u4x)
        at[800 + w] = d1y + own * (u1y - u4y)
        at[816 + w] = d1z + own * (u1z - u4z)
        at[832 + w] = d2x + own * (u5x - u4x)
        at[848 + w] = d2y + own * (u5y - u4y)
        at[864 + w] = d2z + own * (u5z - u4z)
        at[880 + w] = d3x + own * (u8x - u4x)
        at[896 + w] = d3y + own * (u8y - u4y)
        at[912 + w] = d3z + own * (u8z - u4z)
        at[928 + w] = d1x + own * (u5x - u6x)
        at[944 + w] = d1y + own * (u5y - u6y)
        at[960 + w] = d1z + own * (u5z - u6z)
        at[976 + w] = d2x + own * (u2x - u6x)
        at[992 + w] = d2y + own * (u2y - u6y)
        at[1008 + w] = d2z + own * (u2z - u6z)
        at[1024 + w] = d3x + own * (u9x - u6x)
        at[1040 + w] = d3y + own * (u9y - u6y)
        at[1056 + w] = d3z + own * (u9z - u6z)
        at[1072 + w] = d1x + own * (u8x - u7x)
        at[1088 + w] = d1y + own * (u8y - u7y)
        at[1104 + w] = d1z + own * (u8z - u7z)
        at[1120 + w] = d2x + own * (u9x - u7x)
        at[1136 + w] = d2y + own * (u9y - u7y)
        at[1152 + w] = d2z + own * (u9z - u7z)
        at[1168 + w] = d3x + own * (u3x - u7x)
        at[1184 + w] = d3y + own * (u3y - u7y)
        at[1200 + w] = d3z + own * (u3z - u7z)
    for q in range(4):
        _point(
            geo[q * g_step : q * g_step + 160],
            tensor[q * c_step : q * c_step + 336],
            at[640 + 144 * q : 784 + 144 * q],
        )
    for w in range(16):
        k = 4 * w
        t01x = at[640 + w]
        t01y = at[656 + w]
        t01z = at[672 + w]
        t02x = at[688 + w]
        t02y = at[704 + w]
        t02z = at[720 + w]
        t03x = at[736 + w]
        t03y = at[752 + w]
        t03z = at[768 + w]
        t00x = -(t01x + t02x + t03x)
        t00y = -(t01y + t02y + t03y)
        t00z = -(t01z + t02z + t03z)
        t11x = at[784 + w]
        t11y = at[800 + w]
        t11z = at[816 + w]
        t12x = at[832 + w]
        t12y = at[848 + w]
        t12z = at[864 + w]
        t13x = at[880 + w]
        t13y = at[896 + w]
        t13z = at[912 + w]
        t10x = -(t11x + t12x + t13x)
        t10y = -(t11y + t12y + t13y)
        t10z = -(t11z + t12z + t13z)
        t21x = at[928 + w]
        t21y = at[944 + w]
        t21z = at[960 + w]
        t22x = at[976 + w]
        t22y = at[992 + w]
        t22z = at[1008 + w]
        t23x = at[1024 + w]
        t23y = at[1040 + w]
        t23z = at[1056 + w]
        t20x = -(t21x + t22x + t23x)
        t20y = -(t21y + t22y + t23y)
        t20z = -(t21z + t22z + t23z)
        t31x = at[1072 + w]
        t31y = at[1088 + w]
        t31z = at[1104 + w]
        t32x = at[1120 + w]
        t32y = at[1136 + w]
        t32z = at[1152 + w]
        t33x = at[1168 + w]
        t33y = at[1184 + w]
        t33z = at[1200 + w]
        t30x = -(t31x + t32x + t33x)
        t30y = -(t31y + t32y + t33y)
        t30z = -(t31z + t32z + t33z)
        d0x = t00x + t10x + t20x + t30x
        d0y = t00y + t10y + t20y + t30y
        d0z = t00z + t10z + t20z + t30z
        d1x = t01x + t11x + t21x + t31x
        d1y = t01y + t11y + t21y + t31y
        d1z = t01z + t11z + t21z + t31z
        d2x = t02x + t12x + t22x + t32x
        d2y = t02y + t12y + t22y + t32y
        d2z = t02z + t12z + t22z + t32z
        d3x = t03x + t13x + t23x + t33x
        d3y = t03y + t13y + t23y + t33y
        d3z = t03z + t13z + t23z + t33z
        at[k] = base * d0x + own * t00x
        at[1 + k] = base * d0y + own * t00y
        at[2 + k] = base * d0z + own * t00z
        at[3 + k] = 0
        at[64 + k] = base * d1x + own * t11x
        at[65 + k] = base * d1y + own * t11y
        at[66 + k] = base * d1z + own * t11z
        at[67 + k] = 0
        at[128 + k] = base * d2x + own * t22x
        at[129 + k] = base * d2y + own * t22y
        at[130 + k] = base * d2z + own * t22z
        at[131 + k] = 0
        at[192 + k] = base * d3x + own * t33x
        at[193 + k] = base * d3y + own * t33y
        at[194 + k] = base * d3z + own * t33z
        at[195 + k] = 0
        at[256 + k] = mid * (d0x + d1x) + own * (t10x + t01x)
        at[257 + k] = mid * (d0y + d1y) + own * (t10y + t01y)
        at[258 + k] = mid * (d0z + d1z) + own * (t10z + t01z)
        at[259 + k] = 0
        at[320 + k] = mid * (d1x + d2x) + own * (t21x + t12x)
        at[321 + k] = mid * (d1y + d2y) + own * (t21y + t12y)
        at[322 + k] = mid * (d1z + d2z) + own * (t21z + t12z)
        at[323 + k] = 0
        at[384 + k] = mid * (d2x + d0x) + own * (t02x + t20x)
        at[385 + k] = mid * (d2y + d0y) + own * (t02y + t20y)
        at[386 + k] = mid * (d2z + d0z) + own * (t02z + t20z)
        at[387 + k] = 0
        at[448 + k] = mid * (d0x + d3x) + own * (t30x + t03x)
        at[449 + k] = mid * (d0y + d3y) + own * (t30y + t03y)
        at[450 + k] = mid * (d0z + d3z) + own * (t30z + t03z)
        at[451 + k] = 0
        at[512 + k] = mid * (d1x + d3x) + own * (t31x + t13x)
        at[513 + k] = mid * (d1y + d3y) + own * (t31y + t13y)
        at[514 + k] = mid * (d1z + d3z) + own * (t31z + t13z)
        at[515 + k] = 0
        at[576 + k] = mid * (d2x + d3x) + own * (t32x + t23x)
        at[577 + k] = mid * (d2y + d3y) + own * (t32y + t23y)
        at[578 + k] = mid * (d2z + d3z) + own * (t32z + t23z)
        at[579 + k] = 0


@njit(cache=True, nogil=True)
def product_general(
    start, stop, conn, batches, interior, shared, shared_start, geo, tensor, weights, add, x, buffer, y,
    columns,
):  # fmt: skip
    """As ``product``, for cells that are curved or whose material changes from point to point.

    Parameters
    ----------
    conn, batches
        The plan's general ones.
    geo : float[n_batches, 4, 10, LANES], or [n_batches, 1, 10, LANES] where all cells are straight
        From ``geometry_general``.
    tensor : float[n_batches, 4, 21, LANES], or [n_batches, 1, 21, LANES] where tensors are constant in cells
        From ``tensors_general``.
    weights : float[3]
        POINT_WEIGHTS in the type of x.

    Other parameters as in ``product``.
    """
    flat, tensors = geo.reshape(geo.size), tensor.reshape(tensor.size)
    g_size, c_size = 160 * geo.shape[1], 336 * tensor.shape[1]
    g_step, c_step = 160 if geo.shape[1] == 4 else 0, 336 if tensor.shape[1] == 4 else 0
    most = _most_nodes(start, stop, interior, shared_start)
    u, f = np.empty(4 * most, x.dtype), np.empty(4 * most, x.dtype)
    at = np.empty(1232, x.dtype)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        if batches[chunk] == batches[chunk + 1] and add:
            continue
        for column in range(columns[0], columns[1]):
            _take(first, n_own, shared, begin, end, column, add, x, buffer, y, u, f)
            for b in range(batches[chunk], batches[chunk + 1]):
                _gather(conn, b, u, at)
                _general_cells_at_once(
                    flat[g_size * b : g_size * (b + 1)], g_step, tensors[c_size * b : c_size * (b + 1)],
                    c_step, weights, at,
                )  # fmt: skip
                _scatter(conn, b, at, f)
            _give(first, n_own, begin, end, column, f, buffer, y)


@njit(cache=True, nogil=True, error_model="numpy")
def _point_gradients(points, nodes, q, weights, grad):
    """Gradients of the corners' functions at a point of the rule into grad [4, 3]; determinant."""
    base, own, mid = weights[0], weights[1], weights[2]
    jac = np.zeros((3, 3))
    for i in range(3):
        zero = 0.0
        for p in range(4):
            value = base * points[nodes[p], i]
            for r in range(4):
                node = nodes[_NODE[p, r]]
                if r != p:
                    value += mid * points[node, i]
                if r == q:
                    value += own * points[node, i]
            if p == 0:
                zero = value
            else:
                jac[p - 1, i] = value - zero
    det = 0.0
    for p in range(3):
        r, s = (p + 1) % 3, (p + 2) % 3
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            grad[p + 1, i] = jac[r, j] * jac[s, k] - jac[r, k] * jac[s, j]
    for i in range(3):
        det += jac[0, i] * grad[1, i]
    for i in range(3):
        for p in range(1, 4):
            grad[p, i] /= det
        grad[0, i] = -(grad[1, i] + grad[2, i] + grad[3, i])
    return det


@njit(cache=True, nogil=True)
def curved(start, stop, conn, points, tolerance, out):
    """Which cells have a mid node off the middle of its edge.

    Parameters
    ----------
    start, stop : int
        Cells.
    conn : int64[n_cells, 10]
    points : float64[n_points, 3]
        m.
    tolerance : float
        Share of the edge's length.
    out : bool[n_cells]
        Overwritten.
    """
    for c in range(start, stop):
        bent = False
        for p in range(4):
            for r in range(p):
                a, b, m = conn[c, p], conn[c, r], conn[c, _NODE[p, r]]
                off, length = 0.0, 0.0
                for i in range(3):
                    off += (points[m, i] - 0.5 * (points[a, i] + points[b, i])) ** 2
                    length += (points[a, i] - points[b, i]) ** 2
                bent |= off > tolerance * tolerance * length
        out[c] = bent


@njit(cache=True, nogil=True)
def geometry_general(start, stop, conn, cells, points, weights, geo):
    """Gradients at the points of the rule.

    Parameters
    ----------
    start, stop : int
        Batches.
    conn : int64[n_cells, 10]
        The mesh's.
    cells : int32[n_batches, LANES]
        The plan's general ones.
    points : float64[n_points, 3]
        The mesh's, m.
    weights : float64[3]
        POINT_WEIGHTS.
    geo : float[n_batches, 4 or 1, 10, LANES]
        Overwritten: gradients of corners 1, 2, 3 and the volume the point stands for; zero in padding. One
        point serves cells that are straight.
    """
    grad = np.empty((4, 3))
    for b in range(start, stop):
        for w in range(16):
            cell = cells[b, w]
            for q in range(geo.shape[1]):
                if cell < 0:
                    for i in range(10):
                        geo[b, q, i, w] = 0
                    continue
                det = _point_gradients(points, conn[cell], q, weights, grad)
                for p in range(3):
                    for i in range(3):
                        geo[b, q, 3 * p + i, w] = grad[p + 1, i]
                geo[b, q, 9, w] = det / 24.0


@njit(cache=True, nogil=True)
def tensors_general(start, stop, cells, tensor, tensor_of, out):
    """Elastic tensors of cells in the plan's order.

    Parameters
    ----------
    start, stop : int
        Batches.
    cells : int32[n_batches, LANES]
        The plan's general ones.
    tensor : float64[k, 6, 6]
        Pa; symmetric.
    tensor_of : int64[n_cells, 4]
        Which holds at the points of the rule, for the mesh's cells.
    out : float[n_batches, 4 or 1, 21, LANES]
        Overwritten: the upper triangle row by row; zero in padding.
    """
    for b in range(start, stop):
        for w in range(16):
            cell = cells[b, w]
            for q in range(out.shape[1]):
                k = 0
                for i in range(6):
                    for j in range(i, 6):
                        out[b, q, k, w] = 0.0 if cell < 0 else tensor[tensor_of[cell, q], i, j]
                        k += 1


# ---- one number a node: heat, and each component of displacement under initial stress


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _flow(m11, m12, m13, m22, m23, m33, x, y, z):
    """Symmetric matrix on a vector, and the sum of the three."""
    a, b, c = m11 * x + m12 * y + m13 * z, m12 * x + m22 * y + m23 * z, m13 * x + m23 * y + m33 * z
    return a, b, c, -(a + b + c)


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _conducted(metric, weights, at):
    """weights[3] times the flow of a batch with values at[10, 16], into the ten rows behind.

    All in one array: what is known not to overlap needs no check before lanes are joined to vectors.
    """
    base, own, mid = weights[0], weights[1], weights[2]
    base_out, own_out, mid_out = weights[3] * base, weights[3] * own, weights[3] * mid
    for w in range(16):
        u0, u1, u2, u3 = at[w], at[16 + w], at[32 + w], at[48 + w]
        u01, u12, u20 = at[64 + w], at[80 + w], at[96 + w]
        u03, u13, u23 = at[112 + w], at[128 + w], at[144 + w]
        d0 = base * u0 + mid * (u01 + u20 + u03)
        d1 = base * u1 + mid * (u01 + u12 + u13) - d0
        d2 = base * u2 + mid * (u20 + u12 + u23) - d0
        d3 = base * u3 + mid * (u03 + u13 + u23) - d0
        m11, m12, m13 = metric[w], metric[16 + w], metric[32 + w]
        m22, m23, m33 = metric[48 + w], metric[64 + w], metric[80 + w]
        a1, a2, a3, a0 = _flow(
            m11, m12, m13, m22, m23, m33, d1 + own * (u01 - u0), d2 + own * (u20 - u0), d3 + own * (u03 - u0)
        )
        b1, b2, b3, b0 = _flow(
            m11,
            m12,
            m13,
            m22,
            m23,
            m33,
            d1 + own * (u1 - u01),
            d2 + own * (u12 - u01),
            d3 + own * (u13 - u01),
        )
        c1, c2, c3, c0 = _flow(
            m11,
            m12,
            m13,
            m22,
            m23,
            m33,
            d1 + own * (u12 - u20),
            d2 + own * (u2 - u20),
            d3 + own * (u23 - u20),
        )
        e1, e2, e3, e0 = _flow(
            m11,
            m12,
            m13,
            m22,
            m23,
            m33,
            d1 + own * (u13 - u03),
            d2 + own * (u23 - u03),
            d3 + own * (u3 - u03),
        )
        t0, t1, t2, t3 = a0 + b0 + c0 + e0, a1 + b1 + c1 + e1, a2 + b2 + c2 + e2, a3 + b3 + c3 + e3
        at[160 + w] = base_out * t0 + own_out * a0
        at[176 + w] = base_out * t1 + own_out * b1
        at[192 + w] = base_out * t2 + own_out * c2
        at[208 + w] = base_out * t3 + own_out * e3
        at[224 + w] = mid_out * (t0 + t1) + own_out * (b0 + a1)
        at[240 + w] = mid_out * (t1 + t2) + own_out * (c1 + b2)
        at[256 + w] = mid_out * (t2 + t0) + own_out * (a2 + c0)
        at[272 + w] = mid_out * (t0 + t3) + own_out * (e0 + a3)
        at[288 + w] = mid_out * (t1 + t3) + own_out * (e1 + b3)
        at[304 + w] = mid_out * (t2 + t3) + own_out * (e2 + c3)


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _conducted_general(metric, weights, at):
    """As ``_conducted``, from metric[4, 6, 16] at the points of the rule."""
    base, own, mid = weights[0], weights[1], weights[2]
    base_out, own_out, mid_out = weights[3] * base, weights[3] * own, weights[3] * mid
    for w in range(16):
        u0, u1, u2, u3 = at[w], at[16 + w], at[32 + w], at[48 + w]
        u01, u12, u20 = at[64 + w], at[80 + w], at[96 + w]
        u03, u13, u23 = at[112 + w], at[128 + w], at[144 + w]
        d0 = base * u0 + mid * (u01 + u20 + u03)
        d1 = base * u1 + mid * (u01 + u12 + u13) - d0
        d2 = base * u2 + mid * (u20 + u12 + u23) - d0
        d3 = base * u3 + mid * (u03 + u13 + u23) - d0
        a1, a2, a3, a0 = _flow(
            metric[w], metric[16 + w], metric[32 + w], metric[48 + w], metric[64 + w], metric[80 + w],
            d1 + own * (u01 - u0), d2 + own * (u20 - u0), d3 + own * (u03 - u0),
        )  # fmt: skip
        b1, b2, b3, b0 = _flow(
            metric[96 + w], metric[112 + w], metric[128 + w],
            metric[144 + w], metric[160 + w], metric[176 + w],
            d1 + own * (u1 - u01), d2 + own * (u12 - u01), d3 + own * (u13 - u01),
        )  # fmt: skip
        c1, c2, c3, c0 = _flow(
            metric[192 + w], metric[208 + w], metric[224 + w],
            metric[240 + w], metric[256 + w], metric[272 + w],
            d1 + own * (u12 - u20), d2 + own * (u2 - u20), d3 + own * (u23 - u20),
        )  # fmt: skip
        e1, e2, e3, e0 = _flow(
            metric[288 + w], metric[304 + w], metric[320 + w],
            metric[336 + w], metric[352 + w], metric[368 + w],
            d1 + own * (u13 - u03), d2 + own * (u23 - u03), d3 + own * (u3 - u03),
        )  # fmt: skip
        t0, t1, t2, t3 = a0 + b0 + c0 + e0, a1 + b1 + c1 + e1, a2 + b2 + c2 + e2, a3 + b3 + c3 + e3
        at[160 + w] = base_out * t0 + own_out * a0
        at[176 + w] = base_out * t1 + own_out * b1
        at[192 + w] = base_out * t2 + own_out * c2
        at[208 + w] = base_out * t3 + own_out * e3
        at[224 + w] = mid_out * (t0 + t1) + own_out * (b0 + a1)
        at[240 + w] = mid_out * (t1 + t2) + own_out * (c1 + b2)
        at[256 + w] = mid_out * (t2 + t0) + own_out * (a2 + c0)
        at[272 + w] = mid_out * (t0 + t3) + own_out * (e0 + a3)
        at[288 + w] = mid_out * (t1 + t3) + own_out * (e1 + b3)
        at[304 + w] = mid_out * (t2 + t3) + own_out * (e2 + c3)


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _stored(capacity, factor, at):
    """Adds factor times capacity[16] of straight cells, rho c V / 420, on at[10, 16] to the rows behind."""
    number = at.dtype.type  # a plain number would turn single precision into double
    two, four, five, six = number(2.0), number(4.0), number(5.0), number(6.0)
    eight, sixteen = number(8.0), number(16.0)
    for w in range(16):
        u0, u1, u2, u3 = at[w], at[16 + w], at[32 + w], at[48 + w]
        u01, u12, u20 = at[64 + w], at[80 + w], at[96 + w]
        u03, u13, u23 = at[112 + w], at[128 + w], at[144 + w]
        m = factor * capacity[w]
        twice = m + m
        corners = u0 + u1 + u2 + u3
        mids = u01 + u12 + u20 + u03 + u13 + u23
        ends = m * (corners - six * mids)
        sides = m * (sixteen * mids - six * corners)
        at[160 + w] += ends + m * (five * u0 + two * (u01 + u20 + u03))
        at[176 + w] += ends + m * (five * u1 + two * (u01 + u12 + u13))
        at[192 + w] += ends + m * (five * u2 + two * (u20 + u12 + u23))
        at[208 + w] += ends + m * (five * u3 + two * (u03 + u13 + u23))
        at[224 + w] += sides + twice * (u0 + u1 + eight * u01 - four * u23)
        at[240 + w] += sides + twice * (u1 + u2 + eight * u12 - four * u03)
        at[256 + w] += sides + twice * (u2 + u0 + eight * u20 - four * u13)
        at[272 + w] += sides + twice * (u0 + u3 + eight * u03 - four * u12)
        at[288 + w] += sides + twice * (u1 + u3 + eight * u13 - four * u20)
        at[304 + w] += sides + twice * (u2 + u3 + eight * u23 - four * u01)


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _near_corners(capacity, factor, n, at):
    """Adds what four points, one near each corner, hold; n[10]: functions at the point near corner 0.

    A point's value is that of all corners and edges alike, plus something of its corner and its edges.
    """
    corner, edge = n[0] - n[1], n[4] - n[5]
    other, rest = n[1], n[5]
    for w in range(16):
        u0, u1, u2, u3 = at[w], at[16 + w], at[32 + w], at[48 + w]
        u01, u12, u20 = at[64 + w], at[80 + w], at[96 + w]
        u03, u13, u23 = at[112 + w], at[128 + w], at[144 + w]
        alike = other * (u0 + u1 + u2 + u3) + rest * (u01 + u12 + u20 + u03 + u13 + u23)
        v0 = factor * capacity[w] * (alike + corner * u0 + edge * (u01 + u20 + u03))
        v1 = factor * capacity[16 + w] * (alike + corner * u1 + edge * (u01 + u12 + u13))
        v2 = factor * capacity[32 + w] * (alike + corner * u2 + edge * (u20 + u12 + u23))
        v3 = factor * capacity[48 + w] * (alike + corner * u3 + edge * (u03 + u13 + u23))
        total = v0 + v1 + v2 + v3
        ends, sides = other * total, rest * total
        at[160 + w] += ends + corner * v0
        at[176 + w] += ends + corner * v1
        at[192 + w] += ends + corner * v2
        at[208 + w] += ends + corner * v3
        at[224 + w] += sides + edge * (v0 + v1)
        at[240 + w] += sides + edge * (v1 + v2)
        at[256 + w] += sides + edge * (v2 + v0)
        at[272 + w] += sides + edge * (v0 + v3)
        at[288 + w] += sides + edge * (v1 + v3)
        at[304 + w] += sides + edge * (v2 + v3)


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _near_edges(capacity, factor, n, at):
    """Adds what six points hold, near edges 03 02 01 23 13 12; n[10]: functions at the point near edge 03.

    A point's value is that of all alike, plus something of its edge, the one across, and its two corners.
    """
    corner, edge, across = n[0] - n[1], n[7] - n[4], n[5] - n[4]
    other, rest = n[1], n[4]
    for w in range(16):
        u0, u1, u2, u3 = at[w], at[16 + w], at[32 + w], at[48 + w]
        u01, u12, u20 = at[64 + w], at[80 + w], at[96 + w]
        u03, u13, u23 = at[112 + w], at[128 + w], at[144 + w]
        alike = other * (u0 + u1 + u2 + u3) + rest * (u01 + u12 + u20 + u03 + u13 + u23)
        v03 = factor * capacity[w] * (alike + corner * (u0 + u3) + edge * u03 + across * u12)
        v20 = factor * capacity[16 + w] * (alike + corner * (u2 + u0) + edge * u20 + across * u13)
        v01 = factor * capacity[32 + w] * (alike + corner * (u0 + u1) + edge * u01 + across * u23)
        v23 = factor * capacity[48 + w] * (alike + corner * (u2 + u3) + edge * u23 + across * u01)
        v13 = factor * capacity[64 + w] * (alike + corner * (u1 + u3) + edge * u13 + across * u20)
        v12 = factor * capacity[80 + w] * (alike + corner * (u1 + u2) + edge * u12 + across * u03)
        total = v03 + v20 + v01 + v23 + v13 + v12
        ends, sides = other * total, rest * total
        at[160 + w] += ends + corner * (v01 + v20 + v03)
        at[176 + w] += ends + corner * (v01 + v12 + v13)
        at[192 + w] += ends + corner * (v20 + v12 + v23)
        at[208 + w] += ends + corner * (v03 + v13 + v23)
        at[224 + w] += sides + edge * v01 + across * v23
        at[240 + w] += sides + edge * v12 + across * v03
        at[256 + w] += sides + edge * v20 + across * v13
        at[272 + w] += sides + edge * v03 + across * v12
        at[288 + w] += sides + edge * v13 + across * v20
        at[304 + w] += sides + edge * v23 + across * v01


@njit(nogil=True)
def _take_scalars(first, n_own, shared, begin, end, column, add, x, buffer, y, u, f):
    """A chunk's values from column of x into u; f zero, or what is in y and buffer."""
    n = n_own + end - begin
    if x.shape[1] == 1:  # flat: the machine copies whole vectors
        u[:n_own] = x.reshape(x.size)[first : first + n_own]
    else:
        for i in range(n_own):
            u[i] = x[first + i, column]
    for i in range(begin, end):
        u[n_own + i - begin] = x[shared[i], column]
    if add:
        for i in range(n_own):
            f[i] = y[first + i, column]
        for i in range(begin, end):
            f[n_own + i - begin] = buffer[i, column]
    else:
        f[:n] = 0


@njit(nogil=True)
def _give_scalars(first, n_own, begin, end, column, f, buffer, y):
    """A chunk's sums to its rows of y and of the buffer."""
    if y.shape[1] == 1:
        y.reshape(y.size)[first : first + n_own] = f[:n_own]
        buffer.reshape(buffer.size)[begin:end] = f[n_own : n_own + end - begin]
    else:
        for i in range(n_own):
            y[first + i, column] = f[i]
        for i in range(begin, end):
            buffer[i, column] = f[n_own + i - begin]


@njit(cache=True, nogil=True)
def scalar_product(
    start, stop, conn, batches, interior, shared, shared_start, metric, capacity, shape, weights, add, x,
    buffer, y, columns,
):  # fmt: skip
    """Conductivity plus heat capacity times x, or initial-stress stiffness of each component of x.

    ``add_shared`` completes it. The stiffness that stress gives (for buckling) acts on each component of
    displacement alike and equals the conductivity of a body whose conductivity tensor is the stress: call
    this with x[3 n, r] as x[n, 3 r].

    Parameters
    ----------
    start, stop : int
        Chunks.
    conn, batches, interior, shared, shared_start
        Of ``Plan``; conn and batches may be the general ones.
    metric : float[n_batches, 4 or 1, 6, LANES], or [n_batches, 0, 6, LANES]: capacity alone
        From ``metric``.
    capacity : float[n_batches, 14 or 1, LANES], or [n_batches, 0, LANES]: conductivity alone
        From ``capacity``.
    shape : float[14, 10]
        Shape functions at the points of capacity: twice four near corners 0 to 3, six near edges 03 02 01 23
        13 12, each set alike but for turns; not read where capacity has one point or none.
    weights : float[5]
        POINT_WEIGHTS, factor of conductivity, factor of capacity.
    add : bool
        Add to what y and the buffer hold, instead of overwriting.
    x, y : float[n_points, k]
        In the plan's numbers; interior rows of y are written.
    buffer : float[n_copies, k]
        Written.
    columns : int64[2]
        First and last + 1 of the columns done.
    """
    flat, size = metric.reshape(metric.size), 96 * metric.shape[1]
    stored, room = capacity.reshape(capacity.size), 16 * capacity.shape[1]
    most = _most_nodes(start, stop, interior, shared_start)
    u, f = np.empty(most, x.dtype), np.empty(most, x.dtype)
    at = np.zeros(320, x.dtype)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        if batches[chunk] == batches[chunk + 1] and add:
            continue
        for column in range(columns[0], columns[1]):
            _take_scalars(first, n_own, shared, begin, end, column, add, x, buffer, y, u, f)
            for b in range(batches[chunk], batches[chunk + 1]):
                for a in range(10):
                    for w in range(16):
                        at[16 * a + w] = u[np.uint32(conn[b, a, w])]
                if size == 96:
                    _conducted(flat[96 * b : 96 * b + 96], weights, at)
                elif size > 0:
                    _conducted_general(flat[384 * b : 384 * b + 384], weights, at)
                else:
                    at[160:] = 0
                if room == 16:
                    _stored(stored[16 * b : 16 * b + 16], weights[4], at)
                elif room > 0:
                    here = stored[224 * b : 224 * b + 224]
                    _near_corners(here[:64], weights[4], shape[0], at)
                    _near_corners(here[64:128], weights[4], shape[4], at)
                    _near_edges(here[128:], weights[4], shape[8], at)
                for w in range(16):  # cells one by one: neighbors in a row would add to one node in a row
                    for a in range(10):
                        f[np.uint32(conn[b, a, w])] += at[160 + 16 * a + w]
            _give_scalars(first, n_own, begin, end, column, f, buffer, y)


@njit(cache=True, nogil=True, error_model="numpy")
def capacity(start, stop, conn, cells, points, value, value_of, gradient, weight, out):
    """What heat capacity needs of a cell: rho c V / 420, or what each point of a rule stands for.

    Parameters
    ----------
    start, stop : int
        Batches.
    conn : int64[n_cells, 10]
        The mesh's.
    cells : int32[n_batches, LANES]
        Of ``Plan``.
    points : float64[n_points, 3]
        The mesh's, m.
    value : float64[k]
        Capacity per volume, J/(m^3 K).
    value_of : int64[n_cells, n_q or 1]
        Which holds at the points of the rule, for the mesh's cells; with one column, everywhere.
    gradient, weight : float64[n_q, 10, 3], float64[n_q]
        The rule: natural gradients and weights; a rule of degree 4 or more.
    out : float[n_batches, n_q or 1, LANES]
        Overwritten, J/K; zero in padding. One number serves straight cells of one capacity.
    """
    single = out.shape[1] == 1
    jac = np.empty((3, 3))
    for b in range(start, stop):
        for w in range(16):
            cell = cells[b, w]
            for q in range(out.shape[1]):
                if cell < 0:
                    out[b, q, w] = 0
                    continue
                jac[:] = 0.0
                if single:
                    for i in range(3):
                        zero = points[conn[cell, 0], i]
                        for p in range(3):
                            jac[i, p] = points[conn[cell, p + 1], i] - zero
                else:
                    for a in range(10):
                        for i in range(3):
                            at = points[conn[cell, a], i]
                            for p in range(3):
                                jac[i, p] += at * gradient[q, a, p]
                det = (
                    jac[0, 0] * (jac[1, 1] * jac[2, 2] - jac[1, 2] * jac[2, 1])
                    - jac[0, 1] * (jac[1, 0] * jac[2, 2] - jac[1, 2] * jac[2, 0])
                    + jac[0, 2] * (jac[1, 0] * jac[2, 1] - jac[1, 1] * jac[2, 0])
                )
                rho_c = value[value_of[cell, q if value_of.shape[1] > 1 else 0]]
                out[b, q, w] = rho_c * det * (1.0 / 2520.0 if single else weight[q])


@njit(cache=True, nogil=True)
def metric(start, stop, conn, cells, points, tensor, tensor_of, weights, out):
    """What conductivity needs of a cell: volume times g_p^T k g_q at the points of the rule.

    Parameters
    ----------
    start, stop : int
        Batches.
    conn : int64[n_cells, 10]
        The mesh's.
    cells : int32[n_batches, LANES]
        Of ``Plan``.
    points : float64[n_points, 3]
        The mesh's, m.
    tensor : float64[k, 3, 3]
        Conductivity, W/(m K), or stress, Pa; symmetric.
    tensor_of : int64[n_cells, 4]
        Which holds at the points of the rule, for the mesh's cells.
    weights : float64[3]
        POINT_WEIGHTS.
    out : float[n_batches, 4 or 1, 6, LANES]
        Overwritten: pq = 11 12 13 22 23 33; zero in padding. One point serves straight cells whose
        tensor is constant.
    """
    grad = np.empty((4, 3))
    for b in range(start, stop):
        for w in range(16):
            cell = cells[b, w]
            if cell < 0:
                out[b, :, :, w] = 0
                continue
            if out.shape[1] == 1:
                _straight_metric(points, conn[cell], tensor[tensor_of[cell, 0]], b, w, out)
                continue
            for q in range(out.shape[1]):
                volume = _point_gradients(points, conn[cell], q, weights, grad) / 24.0
                k, slot = tensor[tensor_of[cell, q]], 0
                for p in range(1, 4):
                    for r in range(p, 4):
                        value = 0.0
                        for i in range(3):
                            for j in range(3):
                                value += grad[p, i] * k[i, j] * grad[r, j]
                        out[b, q, slot, w] = volume * value
                        slot += 1


@njit(nogil=True, error_model="numpy", forceinline=True)
def _straight_metric(points, nodes, k, b, w, out):
    """As ``metric``, from the corners of a straight cell."""
    o, i, j, n = nodes[0], nodes[1], nodes[2], nodes[3]
    ox, oy, oz = points[o, 0], points[o, 1], points[o, 2]
    ax, ay, az = points[i, 0] - ox, points[i, 1] - oy, points[i, 2] - oz
    bx, by, bz = points[j, 0] - ox, points[j, 1] - oy, points[j, 2] - oz
    cx, cy, cz = points[n, 0] - ox, points[n, 1] - oy, points[n, 2] - oz
    # Gradients times the determinant: normals of the faces.
    px, py, pz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    qx, qy, qz = cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax
    rx, ry, rz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    factor = 1.0 / (24.0 * (ax * px + ay * py + az * pz))
    xx, xy, xz = factor * k[0, 0], factor * k[0, 1], factor * k[0, 2]
    yy, yz, zz = factor * k[1, 1], factor * k[1, 2], factor * k[2, 2]
    fx, fy, fz = xx * px + xy * py + xz * pz, xy * px + yy * py + yz * pz, xz * px + yz * py + zz * pz
    gx, gy, gz = xx * qx + xy * qy + xz * qz, xy * qx + yy * qy + yz * qz, xz * qx + yz * qy + zz * qz
    hx, hy, hz = xx * rx + xy * ry + xz * rz, xy * rx + yy * ry + yz * rz, xz * rx + yz * ry + zz * rz
    out[b, 0, 0, w] = fx * px + fy * py + fz * pz
    out[b, 0, 1, w] = fx * qx + fy * qy + fz * qz
    out[b, 0, 2, w] = fx * rx + fy * ry + fz * rz
    out[b, 0, 3, w] = gx * qx + gy * qy + gz * qz
    out[b, 0, 4, w] = gx * rx + gy * ry + gz * rz
    out[b, 0, 5, w] = hx * rx + hy * ry + hz * rz


# ---- blocks of the diagonal, and the matrix that the corners see


@njit(nogil=True)
def _row(i, first, n_own, begin):
    """Where a local node's sums go: (in the buffer, row)."""
    if i < n_own:
        return False, first + i
    return True, begin + i - n_own


@njit(nogil=True)
def _clear(chunk, interior, shared_start, buffer, out):
    out[interior[chunk] : interior[chunk + 1]] = 0
    buffer[shared_start[chunk] : shared_start[chunk + 1]] = 0


@njit(cache=True, nogil=True)
def diagonal(start, stop, conn, batches, interior, shared_start, geo, add, buffer, out):
    """Blocks on the stiffness's diagonal of straight cells; ``add_shared`` completes it.

    Parameters
    ----------
    start, stop : int
        Chunks.
    conn, batches, interior, shared_start
        Of ``Plan``.
    geo : float64[n_batches, 11, LANES]
        From ``geometry``.
    add : bool
        Add to what out and the buffer hold, instead of overwriting.
    buffer : float64[n_copies, 9]
        Written.
    out : float64[n_points, 9]
        Interior rows are written.
    """
    g = np.empty((4, 3))
    for chunk in range(start, stop):
        if not add:
            _clear(chunk, interior, shared_start, buffer, out)
        first, n_own = interior[chunk], interior[chunk + 1] - interior[chunk]
        for b in range(batches[chunk], batches[chunk + 1]):
            for w in range(16):
                for i in range(3):
                    g[1, i], g[2, i], g[3, i] = geo[b, i, w], geo[b, 3 + i, w], geo[b, 6 + i, w]
                    g[0, i] = -(g[1, i] + g[2, i] + g[3, i])
                lam, mu = geo[b, 9, w], geo[b, 10, w]
                for p in range(4):
                    for r in range(p, 4):
                        shares, row = _row(
                            np.int64(conn[b, _NODE[p, r], w]), first, n_own, shared_start[chunk]
                        )
                        to = buffer if shares else out
                        trace = 0.0
                        for i in range(3):
                            trace += _square(g, p, r, i, i)
                        for i in range(3):
                            to[row, 4 * i] += mu * trace
                            for j in range(3):
                                to[row, 3 * i + j] += (lam + mu) * _square(g, p, r, i, j)


@njit(nogil=True)
def _square(g, p, r, i, j):
    """Mean of N_i N_j over a cell times 20: N the gradient of the function of the node between p and r."""
    if p == r:
        return 12.0 * g[p, i] * g[p, j]
    return 32.0 * (g[p, i] * g[p, j] + g[r, i] * g[r, j]) + 16.0 * (g[p, i] * g[r, j] + g[r, i] * g[p, j])


@njit(nogil=True)
def _general_point(geo, tensor, b, q, w, g, c):
    """Gradients g[4, 3] and tensor times volume c[6, 6] at a point of a general cell."""
    point, which = min(q, geo.shape[1] - 1), min(q, tensor.shape[1] - 1)
    for i in range(3):
        for p in range(3):
            g[p + 1, i] = geo[b, point, 3 * p + i, w]
        g[0, i] = -(g[1, i] + g[2, i] + g[3, i])
    k = 0
    for i in range(6):
        for j in range(i, 6):
            c[i, j] = c[j, i] = tensor[b, which, k, w] * geo[b, point, 9, w]
            k += 1


@njit(nogil=True)
def _sandwich(c, gx, gy, gz, hx, hy, hz, left, out):
    """B(g)^T c B(h), 3 x 3, where B makes strain of displacement along a gradient."""
    for k in range(6):
        left[0, k] = gx * c[0, k] + gy * c[3, k] + gz * c[5, k]
        left[1, k] = gy * c[1, k] + gx * c[3, k] + gz * c[4, k]
        left[2, k] = gz * c[2, k] + gy * c[4, k] + gx * c[5, k]
    for i in range(3):
        out[i, 0] = left[i, 0] * hx + left[i, 3] * hy + left[i, 5] * hz
        out[i, 1] = left[i, 1] * hy + left[i, 3] * hx + left[i, 4] * hz
        out[i, 2] = left[i, 2] * hz + left[i, 4] * hy + left[i, 5] * hx


@njit(cache=True, nogil=True)
def diagonal_general(
    start, stop, conn, batches, interior, shared_start, geo, tensor, weights, add, buffer, out
):
    """As ``diagonal``, for general cells; geo, tensor, weights float64 as in ``product_general``."""
    base, own, mid = weights[0], weights[1], weights[2]
    g, c, left, block = np.empty((4, 3)), np.empty((6, 6)), np.empty((3, 6)), np.empty((3, 3))
    n = np.empty(3)
    for chunk in range(start, stop):
        if not add:
            _clear(chunk, interior, shared_start, buffer, out)
        first, n_own = interior[chunk], interior[chunk + 1] - interior[chunk]
        for b in range(batches[chunk], batches[chunk + 1]):
            for w in range(16):
                for q in range(4):
                    _general_point(geo, tensor, b, q, w, g, c)
                    for p in range(4):
                        for r in range(p, 4):
                            shares, row = _row(
                                np.int64(conn[b, _NODE[p, r], w]), first, n_own, shared_start[chunk]
                            )
                            to = buffer if shares else out
                            for i in range(3):
                                if p == r:
                                    n[i] = (base + own if p == q else base) * g[p, i]
                                else:
                                    n[i] = mid * (g[p, i] + g[r, i])
                                    if q == p:
                                        n[i] += own * g[r, i]
                                    if q == r:
                                        n[i] += own * g[p, i]
                            _sandwich(c, n[0], n[1], n[2], n[0], n[1], n[2], left, block)
                            for i in range(3):
                                for j in range(3):
                                    to[row, 3 * i + j] += block[i, j]


@njit(cache=True, nogil=True)
def scalar_diagonal(start, stop, conn, batches, interior, shared_start, metric, weights, add, buffer, out):
    """The diagonal of conductivity: buffer float64[n_copies, 1], out float64[n_points, 1]."""
    base, own, mid = weights[0], weights[1], weights[2]
    m, n = np.empty((4, 4)), np.empty(4)
    for chunk in range(start, stop):
        if not add:
            _clear(chunk, interior, shared_start, buffer, out)
        first, n_own = interior[chunk], interior[chunk + 1] - interior[chunk]
        for b in range(batches[chunk], batches[chunk + 1]):
            for w in range(16):
                if metric.shape[1] == 1:  # straight: the sum over the points is known
                    _full_metric(metric, b, 0, w, m)
                    for p in range(4):
                        for r in range(p, 4):
                            i = np.int64(conn[b, _NODE[p, r], w])
                            value = 2.4 * m[p, p] if p == r else 6.4 * (m[p, p] + m[r, r] + m[p, r])
                            if i < n_own:
                                out[first + i, 0] += value
                            else:
                                buffer[shared_start[chunk] + i - n_own, 0] += value
                    continue
                for q in range(4):
                    _full_metric(metric, b, q, w, m)
                    for p in range(4):
                        for r in range(p, 4):
                            shares, row = _row(
                                np.int64(conn[b, _NODE[p, r], w]), first, n_own, shared_start[chunk]
                            )
                            n[:] = 0.0
                            if p == r:
                                n[p] = base + own if p == q else base
                            else:
                                n[p] = mid + own if q == r else mid
                                n[r] = mid + own if q == p else mid
                            value = 0.0
                            for i in range(4):
                                for j in range(4):
                                    value += n[i] * m[i, j] * n[j]
                            if shares:
                                buffer[row, 0] += value
                            else:
                                out[row, 0] += value


@njit(cache=True, nogil=True)
def capacity_diagonal(start, stop, conn, batches, interior, shared_start, capacity, shape, add, buffer, out):
    """The diagonal of heat capacity, as ``scalar_diagonal``; capacity and shape as in ``scalar_product``."""
    for chunk in range(start, stop):
        if not add:
            _clear(chunk, interior, shared_start, buffer, out)
        first, n_own = interior[chunk], interior[chunk + 1] - interior[chunk]
        for b in range(batches[chunk], batches[chunk + 1]):
            for w in range(16):
                for a in range(10):
                    value = 0.0
                    if capacity.shape[1] == 1:
                        value = (6.0 if a < 4 else 32.0) * capacity[b, 0, w]
                    else:
                        for q in range(capacity.shape[1]):
                            value += shape[q, a] * shape[q, a] * capacity[b, q, w]
                    shares, row = _row(np.int64(conn[b, a, w]), first, n_own, shared_start[chunk])
                    if shares:
                        buffer[row, 0] += value
                    else:
                        out[row, 0] += value


@njit(nogil=True)
def _full_metric(metric, b, q, w, m):
    """A point's metric for all four corners, whose gradients sum to zero."""
    k = 0
    for p in range(1, 4):
        for r in range(p, 4):
            m[p, r] = m[r, p] = metric[b, q, k, w]
            k += 1
    m[0, 0] = 0.0
    for p in range(1, 4):
        m[p, 0] = m[0, p] = -(m[p, 1] + m[p, 2] + m[p, 3])
    m[0, 0] = -(m[0, 1] + m[0, 2] + m[0, 3])


@njit(cache=True, nogil=True)
def corner_blocks(start, stop, base, geo, out):
    """P^T K P of straight cells, P the linear functions: stiffness of tetrahedra of four nodes.

    Parameters
    ----------
    start, stop : int
        Batches.
    base : int
        The batch that out begins with.
    geo : float64[n_batches, 11, LANES]
        From ``geometry``.
    out : float64[(n_batches - base) * LANES, 12, 12]
        Overwritten; cells in the order of ``Plan.cells``, zero in padding.
    """
    g = np.empty((4, 3))
    for b in range(start, stop):
        for w in range(16):
            for i in range(3):
                g[1, i], g[2, i], g[3, i] = geo[b, i, w], geo[b, 3 + i, w], geo[b, 6 + i, w]
                g[0, i] = -(g[1, i] + g[2, i] + g[3, i])
            lam, mu = 20.0 * geo[b, 9, w], 20.0 * geo[b, 10, w]
            to = out[(b - base) * 16 + w]
            for p in range(4):
                for r in range(4):
                    dot = mu * (g[p, 0] * g[r, 0] + g[p, 1] * g[r, 1] + g[p, 2] * g[r, 2])
                    for i in range(3):
                        for j in range(3):
                            to[3 * p + i, 3 * r + j] = lam * g[p, i] * g[r, j] + mu * g[p, j] * g[r, i]
                        to[3 * p + i, 3 * r + i] += dot


@njit(cache=True, nogil=True)
def corner_blocks_general(start, stop, base, geo, tensor, out):
    """As ``corner_blocks``, for general cells: geo and tensor float64 as in ``product_general``."""
    g, c, left, block = np.empty((4, 3)), np.empty((6, 6)), np.empty((3, 6)), np.empty((3, 3))
    for b in range(start, stop):
        for w in range(16):
            to = out[(b - base) * 16 + w]
            to[:] = 0.0
            for q in range(4):
                _general_point(geo, tensor, b, q, w, g, c)
                for p in range(4):
                    for r in range(4):
                        _sandwich(c, g[p, 0], g[p, 1], g[p, 2], g[r, 0], g[r, 1], g[r, 2], left, block)
                        for i in range(3):
                            for j in range(3):
                                to[3 * p + i, 3 * r + j] += block[i, j]


@njit(cache=True, nogil=True)
def scalar_corner_blocks(start, stop, base, metric, capacity, linear, factor, out):
    """As ``corner_blocks``, for heat: conductivity plus factor times capacity; out[..., 4, 4].

    metric and capacity as in ``scalar_product``, float64; linear float64[n_q, 4] are the corners' linear
    functions at the points of capacity.
    """
    m = np.empty((4, 4))
    for b in range(start, stop):
        for w in range(16):
            to = out[(b - base) * 16 + w]
            to[:] = 0.0
            for q in range(4 if metric.shape[1] else 0):
                _full_metric(metric, b, min(q, metric.shape[1] - 1), w, m)
                for p in range(4):
                    for r in range(4):
                        to[p, r] += m[p, r]
            if capacity.shape[1] == 1:
                for p in range(4):
                    for r in range(4):
                        to[p, r] += (42.0 if p == r else 21.0) * factor * capacity[b, 0, w]
            else:
                for q in range(capacity.shape[1]):
                    for p in range(4):
                        for r in range(4):
                            to[p, r] += linear[q, p] * linear[q, r] * factor * capacity[b, q, w]
