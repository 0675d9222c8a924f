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
right-hand sides lanes run over these, and a cell is loaded once for eight of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LANES = 16
"""Cells in a batch: one vector of float32, or two of float64, of the widest machines."""
CHUNKS = 16
"""Pieces of the mesh, whatever the number of threads."""
_FAST = {"contract", "nsz"}  # fused multiply-add


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


_copy4, _add4, _copy8, _add8 = _wide(4, False), _wide(4, True), _wide(8, False), _wide(8, True)


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
            f0x,
            f0y,
            f0z,
            f1x,
            f1y,
            f1z,
            f2x,
            f2y,
            f2z,
            f3x,
            f3y,
            f3z,
            f4x,
            f4y,
            f4z,
            f5x,
            f5y,
            f5z,
            f6x,
            f6y,
            f6z,
            f7x,
            f7y,
            f7z,
            f8x,
            f8y,
            f8z,
            f9x,
            f9y,
            f9z,
        ) = _forces(
            geo[w],
            geo[16 + w],
            geo[32 + w],
            geo[48 + w],
            geo[64 + w],
            geo[80 + w],
            geo[96 + w],
            geo[112 + w],
            geo[128 + w],
            geo[144 + w],
            geo[160 + w],
            at[0 + k],
            at[1 + k],
            at[2 + k],
            at[64 + k],
            at[65 + k],
            at[66 + k],
            at[128 + k],
            at[129 + k],
            at[130 + k],
            at[192 + k],
            at[193 + k],
            at[194 + k],
            at[256 + k],
            at[257 + k],
            at[258 + k],
            at[320 + k],
            at[321 + k],
            at[322 + k],
            at[384 + k],
            at[385 + k],
            at[386 + k],
            at[448 + k],
            at[449 + k],
            at[450 + k],
            at[512 + k],
            at[513 + k],
            at[514 + k],
            at[576 + k],
            at[577 + k],
            at[578 + k],
        )
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
        at[0 + k] = f0x
        at[1 + k] = f0y
        at[2 + k] = f0z
        at[3 + k] = zero0
        at[64 + k] = f1x
        at[65 + k] = f1y
        at[66 + k] = f1z
        at[67 + k] = zero1
        at[128 + k] = f2x
        at[129 + k] = f2y
        at[130 + k] = f2z
        at[131 + k] = zero2
        at[192 + k] = f3x
        at[193 + k] = f3y
        at[194 + k] = f3z
        at[195 + k] = zero3
        at[256 + k] = f4x
        at[257 + k] = f4y
        at[258 + k] = f4z
        at[259 + k] = zero4
        at[320 + k] = f5x
        at[321 + k] = f5y
        at[322 + k] = f5z
        at[323 + k] = zero5
        at[384 + k] = f6x
        at[385 + k] = f6y
        at[386 + k] = f6z
        at[387 + k] = zero6
        at[448 + k] = f7x
        at[449 + k] = f7y
        at[450 + k] = f7z
        at[451 + k] = zero7
        at[512 + k] = f8x
        at[513 + k] = f8y
        at[514 + k] = f8z
        at[515 + k] = zero8
        at[576 + k] = f9x
        at[577 + k] = f9y
        at[578 + k] = f9z
        at[579 + k] = zero9


@njit(nogil=True, fastmath=_FAST, forceinline=True)
def _sides_at_once(geo, w, at):
    """Forces of cell w of a batch, in the place of its displacements at[30, 8] in eight fields."""
    ax, ay, az = geo[w], geo[16 + w], geo[32 + w]
    bx, by, bz = geo[48 + w], geo[64 + w], geo[80 + w]
    cx, cy, cz = geo[96 + w], geo[112 + w], geo[128 + w]
    lam, mu = geo[144 + w], geo[160 + w]
    for k in range(8):
        (
            f0x, f0y, f0z,
            f1x, f1y, f1z,
            f2x, f2y, f2z,
            f3x, f3y, f3z,
            f4x, f4y, f4z,
            f5x, f5y, f5z,
            f6x, f6y, f6z,
            f7x, f7y, f7z,
            f8x, f8y, f8z,
            f9x, f9y, f9z,
        ) = _forces(
            ax, ay, az, bx, by, bz, cx, cy, cz, lam, mu,
            at[0 + k], at[8 + k], at[16 + k],
            at[24 + k], at[32 + k], at[40 + k],
            at[48 + k], at[56 + k], at[64 + k],
            at[72 + k], at[80 + k], at[88 + k],
            at[96 + k], at[104 + k], at[112 + k],
            at[120 + k], at[128 + k], at[136 + k],
            at[144 + k], at[152 + k], at[160 + k],
            at[168 + k], at[176 + k], at[184 + k],
            at[192 + k], at[200 + k], at[208 + k],
            at[216 + k], at[224 + k], at[232 + k],
        )  # fmt: skip
        at[0 + k] = f0x
        at[8 + k] = f0y
        at[16 + k] = f0z
        at[24 + k] = f1x
        at[32 + k] = f1y
        at[40 + k] = f1z
        at[48 + k] = f2x
        at[56 + k] = f2y
        at[64 + k] = f2z
        at[72 + k] = f3x
        at[80 + k] = f3y
        at[88 + k] = f3z
        at[96 + k] = f4x
        at[104 + k] = f4y
        at[112 + k] = f4z
        at[120 + k] = f5x
        at[128 + k] = f5y
        at[136 + k] = f5z
        at[144 + k] = f6x
        at[152 + k] = f6y
        at[160 + k] = f6z
        at[168 + k] = f7x
        at[176 + k] = f7y
        at[184 + k] = f7z
        at[192 + k] = f8x
        at[200 + k] = f8y
        at[208 + k] = f8z
        at[216 + k] = f9x
        at[224 + k] = f9y
        at[232 + k] = f9z


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
    flat, most = geo.reshape(geo.size), _most_nodes(start, stop, interior, shared_start)
    u, f = np.empty(4 * most, x.dtype), np.empty(4 * most, x.dtype)
    two = np.empty(1280, x.dtype)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        last = batches[chunk + 1]
        for column in range(columns[0], columns[1]):
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


@njit(nogil=True)
def _gather_many(conn, b, w, first, n_own, shared, begin, n_rhs, column, width, xs, at):
    for a in range(10):
        i = np.int64(conn[b, a, w])
        if i < n_own:
            i += first
        else:
            i = np.int64(shared[begin + i - n_own])
        i = 3 * i * n_rhs + column
        if width == 8:
            for c in range(3):
                _copy8(at, 24 * a + 8 * c, xs, i + c * n_rhs)
        else:
            for c in range(3):
                for k in range(width):
                    at[24 * a + 8 * c + k] = xs[i + c * n_rhs + k]


@njit(nogil=True)
def _scatter_many(conn, b, w, first, n_own, begin, n_rhs, column, width, at, bs, ys):
    for a in range(10):
        i = np.int64(conn[b, a, w])
        own = i < n_own
        to = ys if own else bs
        i = 3 * (first + i if own else begin + i - n_own) * n_rhs + column
        if width == 8:
            for c in range(3):
                _add8(to, i + c * n_rhs, at, 24 * a + 8 * c)
        else:
            for c in range(3):
                for k in range(width):
                    to[i + c * n_rhs + k] += at[24 * a + 8 * c + k]


@njit(cache=True, nogil=True)
def product_of_many(
    start, stop, conn, batches, interior, shared, shared_start, geo, add, x, buffer, y, columns
):
    """As ``product``, for many right-hand sides: each cell is loaded once for eight of them."""
    n_rhs = x.shape[1]
    flat, xs, ys, bs = (
        geo.reshape(geo.size),
        x.reshape(x.size),
        y.reshape(y.size),
        buffer.reshape(buffer.size),
    )
    two = np.zeros(480, x.dtype)
    for chunk in range(start, stop):
        first, n_own = np.int64(interior[chunk]), np.int64(interior[chunk + 1] - interior[chunk])
        begin, end = np.int64(shared_start[chunk]), np.int64(shared_start[chunk + 1])
        if not add:
            y[3 * first : 3 * (first + n_own), columns[0] : columns[1]] = 0
            buffer[3 * begin : 3 * end, columns[0] : columns[1]] = 0
        b0, last = np.int64(batches[chunk]), 16 * np.int64(batches[chunk + 1])
        if 16 * b0 == last:
            continue
        for column in range(columns[0], columns[1], 8):
            width = min(8, columns[1] - column)
            here = 0
            _gather_many(conn, b0, 0, first, n_own, shared, begin, n_rhs, column, width, xs, two[:240])
            for cell in range(16 * b0, last):
                b, w, there = cell >> 4, cell & 15, 240 - here
                if cell + 1 < last:
                    _gather_many(
                        conn, (cell + 1) >> 4, (cell + 1) & 15, first, n_own, shared, begin, n_rhs, column,
                        width, xs, two[there : there + 240],
                    )  # fmt: skip
                at = two[here : here + 240]
                _sides_at_once(flat[176 * b : 176 * b + 176], w, at)
                _scatter_many(conn, b, w, first, n_own, begin, n_rhs, column, width, at, bs, ys)
                here = there


@njit(cache=True, nogil=True)
def add_shared(start, stop, copies_start, copies, n_interior, components, buffer, y):
    """Sum the chunks' shares of shared rows, in the order of chunks.

    Parameters
    ----------
    start, stop : int
        Shared nodes.
    components : int
        3, or 1 for heat.
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
            )
            py, qy, ry = (
                points[n1, 1] - points[n0, 1],
                points[n2, 1] - points[n0, 1],
                points[n3, 1] - points[n0, 1],
            )
            pz, qz, rz = (
                points[n1, 2] - points[n0, 2],
                points[n2, 2] - points[n0, 2],
                points[n3, 2] - points[n0, 2],
            )
            ax, ay, az = qy * rz - qz * ry, qz * rx - qx * rz, qx * ry - qy * rx
            bx, by, bz = ry * pz - rz * py, rz * px - rx * pz, rx * py - ry * px
            cx, cy, cz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
            det = px * ax + py * ay + pz * az
            inverse, volume = 1.0 / det, det / 120.0
            geo[b, 0, w], geo[b, 1, w], geo[b, 2, w] = ax * inverse, ay * inverse, az * inverse
            geo[b, 3, w], geo[b, 4, w], geo[b, 5, w] = bx * inverse, by * inverse, bz * inverse
            geo[b, 6, w], geo[b, 7, w], geo[b, 8, w] = cx * inverse, cy * inverse, cz * inverse
            geo[b, 9, w], geo[b, 10, w] = lam[cell] * volume, mu[cell] * volume
