"""Products with the stiffness of a grid of equal bricks, each with a modulus of its own, without a matrix.

A brick looks the same in its mirrors. So sums and differences of its corners' values over each axis (a
Hadamard transform) turn the matrix of the brick, 24 x 24, into eight blocks of 3 x 3, one for each way of
being even or odd along x, y, z; half of their entries are zero too. A component of a displacement along an
axis changes its sign in the mirror across it: in block (p_x, p_y, p_z) component x has parity
(1 - p_x, p_y, p_z), and so on. The same holds in the plane (four blocks of 2 x 2) and for heat (blocks of
one entry).

Fields lie in *planes* of nodes across the last axis: flat arrays of [planes, components, rows, row], `row`
being the nodes along x, padded with zeros to a multiple of 16; a field ends with 16 zeros more, for loads run
over. Moduli lie in [layers, rows, row], zero in the padding. In the plane a layer has one row of cells.
Kernels that take `start, stop` write planes start to stop - 1 alone, with the same digits wherever the cut.

A *spring* to ground is a diagonal term. `inverse` is one over the diagonal; zero: the unknown is held.
"""

from __future__ import annotations

from itertools import product as every
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANE = 16
"""Rows are padded to a multiple of it: one vector of float32, two of float64, of the widest machines."""
_FUSED = ("contract",)
_FAST = {"contract", "nsz"}  # fused multiply-add
_FLAVORS = {2: (2, 1), 3: (3, 1), 4: (2, 2), 5: (3, 3)}  # axes of a table of blocks: dimension, components


class Shape(NamedTuple):
    """How fields of a grid lie.

    Parameters
    ----------
    layers, rows : int
        Of cells: along the last axis, and along y (1 in the plane).
    node_rows : int
        Rows of nodes in a plane of nodes.
    row : int
        Length of a row, padded.
    components : int
        Unknowns of a node.
    """

    layers: int
    rows: int
    node_rows: int
    row: int
    components: int

    @property
    def plane(self):
        """Numbers in a plane of nodes."""
        return self.components * self.node_rows * self.row

    @property
    def size(self):
        """Numbers in a field, the last padding too."""
        return (self.layers + 1) * self.plane + LANE


def _vector(target, kind, width):
    return ir.VectorType(target.get_value_type(kind.dtype), width)


def _at(target, builder, kind, array, index, width):
    pointer = builder.gep(target.make_array(kind)(target, builder, array).data, [index])
    return builder.bitcast(pointer, _vector(target, kind, width).as_pointer())


def _load(builder, pointer, size):
    value = builder.load(pointer)
    value.align = size
    return value


def _store(builder, value, pointer, size):
    builder.store(value, pointer).align = size


def _splat(builder, value, width):
    vector = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    one = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, vector, ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width))


def couplings(dimension, components):
    """(parity of the block, components a <= b) of all entries that are not zero for any brick.

    Block entries are integrals over the brick of strains of trilinear functions that are odd in the axes of
    their parity; components of parity zero are translations. In block p components a and b couple through
    strain only where both see the same of it: a of parity p_a has strain across axis i of parity p_a without
    i, for each i in p_a.
    """
    found = []
    for block in every((0, 1), repeat=dimension):
        parity = [_parity_of(block, a, components) for a in range(components)]
        for a in range(components):
            for b in range(a, components):
                if any(parity[a]) and any(parity[b]) and _couple(parity[a], a, parity[b], b, components):
                    found.append((block, a, b))
    return found


def _parity_of(block, component, components):
    """Parity of a component in a block."""
    if components == 1:
        return block
    return tuple(p ^ (axis == component) for axis, p in enumerate(block))


def _couple(p, a, q, b, components):
    if a == b:
        return True
    # shear along a and b is common to both; so are the normal strains, through Poisson's ratio
    without = [tuple(x and i != axis for i, x in enumerate(of)) for of, axis in ((p, b), (q, a))]
    shear = p[b] and q[a] and without[0] == without[1]
    own = [tuple(x and i != axis for i, x in enumerate(of)) for of, axis in ((p, a), (q, b))]
    normal = p[a] and q[b] and own[0] == own[1]
    return bool(shear or normal)


def _transform(builder, values):
    """Sums and differences along the axes of a dict keyed by corners: a dict keyed by parities; in place."""
    dimension = len(next(iter(values)))
    for axis in range(dimension):
        for corner in [key for key in values if not key[axis]]:
            other = (*corner[:axis], 1, *corner[axis + 1 :])
            low, high = values[corner], values[other]
            values[corner] = builder.fadd(low, high, flags=_FUSED)
            values[other] = builder.fsub(high, low, flags=_FUSED)
    return values


def _back(builder, values):
    """The transpose of `_transform`, last axis first: x remains for the end."""
    dimension = len(next(iter(values)))
    for axis in reversed(range(dimension)):
        for parity in [key for key in values if not key[axis]]:
            other = (*parity[:axis], 1, *parity[axis + 1 :])
            even, odd = values[parity], values[other]
            values[parity] = builder.fsub(even, odd, flags=_FUSED)
            values[other] = builder.fadd(even, odd, flags=_FUSED)
    return values


class _Row:
    """A row of cells: where its corners lie, and the table of its blocks in registers."""

    def __init__(self, target, builder, kinds, blocks, strides):
        self.target, self.builder = target, builder
        kind = kinds[0]
        self.size = kind.dtype.bitwidth // 8
        self.width = 64 // self.size
        self.dimension, self.components = _FLAVORS[kind.ndim]
        self.of_component, self.of_row, self.of_plane = strides
        table = target.make_array(kind)(target, builder, blocks).data
        n = self.components
        self.couplings = couplings(self.dimension, n)
        self.entry = {}
        for block, a, b in self.couplings:
            index = 0
            for p in block:
                index = 2 * index + p
            if n > 1:
                index = (index * n + a) * n + b
            value = builder.load(builder.gep(table, [ir.Constant(ir.IntType(64), index)]))
            self.entry[block, a, b] = _splat(builder, value, self.width)

    def offset(self, component, corner):
        """Where the row of nodes at a corner (axes after x) begins, after that at the origin."""
        builder = self.builder
        total = builder.mul(self.of_component, ir.Constant(ir.IntType(64), component))
        if corner[-1]:
            total = builder.add(total, self.of_plane)
        if len(corner) == 2 and corner[0]:
            total = builder.add(total, self.of_row)
        return total

    def corners(self):
        """Corners by the axes after x."""
        return list(every((0, 1), repeat=self.dimension - 1))

    def parities(self, kind, array, base):
        """Values of cells from `base` on, by component and parity."""
        builder, found = self.builder, []
        one = ir.Constant(ir.IntType(64), 1)
        for component in range(self.components):
            values = {}
            for rest in self.corners():
                index = builder.add(base, self.offset(component, rest))
                for step in (0, 1):
                    at = builder.add(index, one) if step else index
                    pointer = _at(self.target, builder, kind, array, at, self.width)
                    values[(step, *rest)] = _load(builder, pointer, self.size)
            found.append(_transform(builder, values))
        return found

    def blocked(self, values):
        """The blocks times values by component and parity."""
        builder, n = self.builder, self.components
        zero = ir.Constant(ir.VectorType(next(iter(self.entry.values())).type.element, self.width), None)
        out = [{} for _ in range(n)]
        for block in every((0, 1), repeat=self.dimension):
            parity = [_parity_of(block, a, n) for a in range(n)]
            for a in range(n):
                total = None
                for b in range(n):
                    entry = self.entry.get((block, min(a, b), max(a, b)))
                    if entry is None:
                        continue
                    term = builder.fmul(entry, values[b][parity[b]], flags=_FUSED)
                    total = term if total is None else builder.fadd(total, term, flags=_FUSED)
                out[a][parity[a]] = zero if total is None else total
        return out


@intrinsic
def _add_row(typing, blocks, n, component, row, modulus, m, x, i, low, k, high, above):
    """Add what a row of n cells gives to its rows of nodes: below them to low[k:], above to high[above:].

    component and row are strides; modulus[m:], x[i:] is where the row begins.
    """

    def generate(target, builder, signature, arguments):
        kinds = signature.args
        wide = ir.IntType(64)
        plane = builder.mul(arguments[2], ir.Constant(wide, _FLAVORS[kinds[0].ndim][1]))
        strides = (arguments[2], arguments[3], plane)
        cells = _Row(target, builder, kinds, arguments[0], strides)
        vector = ir.VectorType(target.get_value_type(kinds[0].dtype), cells.width)
        carried = {
            (a, rest): cgutils.alloca_once_value(builder, ir.Constant(vector, None))
            for a in range(cells.components)
            for rest in cells.corners()
        }
        width = ir.Constant(wide, cells.width)
        mask = ir.Constant(
            ir.VectorType(ir.IntType(32), cells.width), list(range(cells.width - 1, 2 * cells.width - 1))
        )
        with cgutils.for_range(builder, builder.udiv(arguments[1], width), intp=wide) as loop:
            step = builder.mul(loop.index, width)
            at = builder.add(arguments[5], step)
            stiff = _load(builder, _at(target, builder, kinds[4], arguments[4], at, cells.width), cells.size)
            values = cells.parities(kinds[6], arguments[6], builder.add(arguments[7], step))
            for of in values:
                for parity in of:
                    if any(parity):
                        of[parity] = builder.fmul(of[parity], stiff, flags=_FUSED)
            for a, out in enumerate(cells.blocked(values)):
                at_corner = _back(builder, out)
                for rest in cells.corners():
                    left, right = at_corner[(0, *rest)], at_corner[(1, *rest)]
                    shifted = builder.shuffle_vector(builder.load(carried[a, rest]), right, mask)
                    builder.store(right, carried[a, rest])
                    value = builder.fadd(left, shifted, flags=_FUSED)
                    upper = rest[-1]
                    to, base = (arguments[10], arguments[11]) if upper else (arguments[8], arguments[9])
                    kind = kinds[10] if upper else kinds[8]
                    index = builder.add(base, builder.add(step, cells.offset(a, (*rest[:-1], 0))))
                    pointer = _at(target, builder, kind, to, index, cells.width)
                    there = _load(builder, pointer, cells.size)
                    _store(builder, builder.fadd(there, value, flags=_FUSED), pointer, cells.size)
        return target.get_dummy_value()

    kinds = (blocks, n, component, row, modulus, m, x, i, low, k, high, above)
    return types.void(*kinds), generate


@intrinsic
def _energy_row(typing, blocks, n, component, row, x, y, i, out, m):
    """out[m:] = what x and y, from i on, have of energy in common in each of n cells of modulus 1."""

    def generate(target, builder, signature, arguments):
        kinds = signature.args
        wide = ir.IntType(64)
        plane = builder.mul(arguments[2], ir.Constant(wide, _FLAVORS[kinds[0].ndim][1]))
        cells = _Row(target, builder, kinds, arguments[0], (arguments[2], arguments[3], plane))
        width = ir.Constant(wide, cells.width)
        with cgutils.for_range(builder, builder.udiv(arguments[1], width), intp=wide) as loop:
            step = builder.mul(loop.index, width)
            base = builder.add(arguments[6], step)
            first = cells.parities(kinds[4], arguments[4], base)
            second = cells.parities(kinds[5], arguments[5], base)
            total = None
            for a, forces in enumerate(cells.blocked(second)):
                for parity, force in forces.items():
                    if any(parity):
                        term = builder.fmul(first[a][parity], force, flags=_FUSED)
                        total = term if total is None else builder.fadd(total, term, flags=_FUSED)
            pointer = _at(
                target, builder, kinds[7], arguments[7], builder.add(arguments[8], step), cells.width
            )
            _store(builder, total, pointer, cells.size)
        return target.get_dummy_value()

    return types.void(blocks, n, component, row, x, y, i, out, m), generate


@njit(nogil=True)
def _layer(k, start, stop, shape, blocks, modulus, x, scratch, y, first):
    """Add layer k of cells to planes k and k + 1 of y, which begins at plane `first`; begin plane k + 1.

    Planes that are not start to stop - 1 go to scratch, of the size of a plane.
    """
    component = shape.node_rows * shape.row
    plane = shape.components * component
    inside = k + 1 < stop
    above = (k + 1 - first) * plane if inside else 0
    if inside:
        y[above : above + plane] = 0.0
    if k < 0 or k >= shape.layers:
        return
    low, high = y if k >= start else scratch, y if inside else scratch
    below = (k - first) * plane if k >= start else 0
    for j in range(shape.rows):
        at = j * shape.row
        _add_row(
            blocks, shape.row, component, shape.row, modulus, (k * shape.rows + j) * shape.row, x,
            k * plane + at, low, below + at, high, above + at,
        )  # fmt: skip


@njit(nogil=True, fastmath=_FAST | {"reassoc"})
def _dot(a, b, first, last):
    """a . b of a stretch; a loop of its own that stores nothing (see ``smoothing._dot``)."""
    total = 0.0
    for i in range(first, last):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@njit(cache=True, nogil=True, fastmath=_FAST)
def product(start, stop, shape, blocks, modulus, spring, inverse, x, y, sums):
    """y = A x with the rows of held unknowns zero, and x . y plane by plane.

    Parameters
    ----------
    start, stop : int
        Planes.
    shape : Shape
    blocks : float[2, 2(, 2)(, c, c)]
        Blocks of a cell of modulus 1, by parity along x, y(, z).
    modulus : float[layers * rows * row + LANE]
    spring : float[size] or float[0]
        Added to the diagonal.
    inverse : float32[size]
        Zero where an unknown is held.
    x : float[size]
        Zero where an unknown is held and in the padding.
    y : float[size]
        Overwritten.
    sums : float64[planes]
        Overwritten.
    """
    plane = shape.components * shape.node_rows * shape.row
    scratch = np.empty(plane, x.dtype)
    zero = x.dtype.type(0.0)
    for k in range(start - 1, stop):
        _layer(k, start, stop, shape, blocks, modulus, x, scratch, y, 0)
        if k < start:
            continue
        first, last = k * plane, (k + 1) * plane
        if spring.size:
            for i in range(first, last):
                y[i] += spring[i] * x[i]
        for i in range(first, last):
            y[i] = y[i] if inverse[i] > 0.0 else zero
        sums[k] = _dot(x, y, first, last)


@njit(cache=True, nogil=True, fastmath=_FAST)
def residual(start, stop, shape, blocks, modulus, spring, inverse, f, x, r):
    """r = f - A x, zero where an unknown is held; r is overwritten, the rest is as in ``product``."""
    plane = shape.components * shape.node_rows * shape.row
    scratch = np.empty(plane, x.dtype)
    zero = x.dtype.type(0.0)
    for k in range(start - 1, stop):
        _layer(k, start, stop, shape, blocks, modulus, x, scratch, r, 0)
        if k < start:
            continue
        first, last = k * plane, (k + 1) * plane
        if spring.size:
            for i in range(first, last):
                r[i] += spring[i] * x[i]
        for i in range(first, last):
            r[i] = f[i] - r[i] if inverse[i] > 0.0 else zero


@njit(cache=True, nogil=True, fastmath=_FAST)
def smooth(start, stop, shape, blocks, modulus, spring, inverse, keep, gain, f, x, d, out):
    """A step of a smoothing polynomial: d = keep d + gain inverse (f - A x), out = x + d.

    d and out, float[size], are overwritten; the rest is as in ``product``.
    """
    plane = shape.components * shape.node_rows * shape.row
    scratch = np.empty(plane, x.dtype)
    a, b = x.dtype.type(keep), x.dtype.type(gain)
    both = np.empty(2 * plane, x.dtype)
    for k in range(start - 1, stop):
        # the image of x is wanted for one plane at a time: two of them go round
        if k >= start:
            both[:plane] = both[plane:]
        _layer(k, start, stop, shape, blocks, modulus, x, scratch, both, k)
        if k < start:
            continue
        first = k * plane
        if spring.size:
            for i in range(plane):
                both[i] += spring[first + i] * x[first + i]
        for i in range(plane):
            at = first + i
            step = a * d[at] + b * inverse[at] * (f[at] - both[i])
            d[at] = step
            out[at] = x[at] + step


@njit(cache=True, nogil=True, fastmath=_FAST)
def begin(start, stop, shape, inverse, gain, f, d, x):
    """The first step from x = 0: d = x = gain inverse f, both overwritten."""
    plane = shape.components * shape.node_rows * shape.row
    b = x.dtype.type(gain)
    for i in range(start * plane, stop * plane):
        step = b * inverse[i] * f[i]
        d[i] = step
        x[i] = step


@njit(cache=True, nogil=True)
def energies(start, stop, shape, blocks, x, y, out):
    """Energy that x and y have in common in each cell of modulus 1, x_e . K_e y_e.

    Parameters
    ----------
    start, stop : int
        Layers of cells.
    blocks, x, y : float64
        As in ``product``.
    out : float64[layers * rows * row + LANE]
        Overwritten; what stands in the padding means nothing.
    """
    component = shape.node_rows * shape.row
    plane = shape.components * component
    for k in range(start, stop):
        for j in range(shape.rows):
            at = k * plane + j * shape.row
            _energy_row(
                blocks, shape.row, component, shape.row, x, y, at, out, (k * shape.rows + j) * shape.row
            )


@njit(cache=True, nogil=True)
def diagonal(start, stop, shape, entries, modulus, spring, out):
    """The diagonal of A.

    Parameters
    ----------
    start, stop : int
        Planes.
    entries : float64[components]
        On the diagonal of a cell of modulus 1; all its corners have the same.
    modulus, spring
        As in ``product``.
    out : float[size]
        Overwritten.
    """
    row, component = shape.row, shape.node_rows * shape.row
    plane = shape.components * component
    total = np.empty(row)
    for k in range(start, stop):
        for j in range(shape.node_rows):
            total[:] = 0.0
            for kk in range(max(0, k - 1), min(shape.layers, k + 1)):
                for jj in range(max(0, j - 1), min(shape.rows, j + 1)):
                    of = (kk * shape.rows + jj) * row
                    total[0] += modulus[of]
                    for i in range(1, row):
                        total[i] += modulus[of + i] + modulus[of + i - 1]
            for c in range(shape.components):
                first = k * plane + c * component + j * row
                for i in range(row):
                    out[first + i] = entries[c] * total[i]
                    if spring.size:
                        out[first + i] += spring[first + i]


@njit(cache=True, nogil=True)
def coarsen(start, stop, fine, coarse, steps, share, modulus, out):
    """Moduli of coarse cells: the sum over their fine cells times a share.

    Parameters
    ----------
    start, stop : int
        Layers of coarse cells.
    fine, coarse : Shape
    steps : int64[3]
        Fine cells in a coarse one along x, y, z: 1 or 2.
    share : float
    modulus : float[fine cells]
    out : float[coarse cells]
        Overwritten.
    """
    for k in range(start, stop):
        for j in range(coarse.rows):
            to = (k * coarse.rows + j) * coarse.row
            out[to : to + coarse.row] = 0.0
            for kk in range(steps[2] * k, min(fine.layers, steps[2] * (k + 1))):
                for jj in range(steps[1] * j, min(fine.rows, steps[1] * (j + 1))):
                    of = (kk * fine.rows + jj) * fine.row
                    for i in range(coarse.row):
                        for ii in range(steps[0] * i, min(fine.row, steps[0] * (i + 1))):
                            out[to + i] += share * modulus[of + ii]


@njit(cache=True, nogil=True, fastmath=_FAST)
def restrict(start, stop, fine, coarse, steps, f, out):
    """out = P^T f, P the interpolation of multilinear functions.

    Parameters
    ----------
    start, stop : int
        Coarse planes.
    fine, coarse, steps
        As in ``coarsen``.
    f : float[fine size]
    out : float[coarse size]
        Overwritten.
    """
    of_component, to_component = fine.node_rows * fine.row, coarse.node_rows * coarse.row
    total = np.empty(fine.row + 2, f.dtype)  # one before and one behind, zero
    half, one = f.dtype.type(0.5), f.dtype.type(1.0)
    for k in range(start, stop):
        for c in range(coarse.components):
            for j in range(coarse.node_rows):
                total[:] = 0.0
                for dk in range(1 - steps[2], steps[2]):
                    kk = steps[2] * k + dk
                    if kk < 0 or kk > fine.layers:
                        continue
                    for dj in range(1 - steps[1], steps[1]):
                        jj = steps[1] * j + dj
                        if jj < 0 or jj >= fine.node_rows:
                            continue
                        weight = (half if dk else one) * (half if dj else one)
                        of = (kk * fine.components + c) * of_component + jj * fine.row
                        for i in range(fine.row):
                            total[i + 1] += weight * f[of + i]
                to = (k * coarse.components + c) * to_component + j * coarse.row
                if steps[0] == 1:
                    for i in range(coarse.row):
                        out[to + i] = total[i + 1] if i < fine.row else 0.0
                    continue
                for i in range(coarse.row):
                    m = 2 * i + 1
                    if m < fine.row + 1:
                        out[to + i] = total[m] + half * (total[m - 1] + total[m + 1])
                    else:
                        out[to + i] = 0.0


@njit(cache=True, nogil=True, fastmath=_FAST)
def prolong(start, stop, fine, coarse, steps, inverse, x, out):
    """out += P x on unknowns that are not held.

    Parameters
    ----------
    start, stop : int
        Fine planes.
    inverse : float[fine size]
        Zero where an unknown is held.
    x : float[coarse size]
    out : float[fine size]
        Added to.
    """
    to_component, of_component = fine.node_rows * fine.row, coarse.node_rows * coarse.row
    between = np.empty(coarse.row, x.dtype)
    half, one = x.dtype.type(0.5), x.dtype.type(1.0)
    wide = np.zeros(max(fine.row, 2 * coarse.row), x.dtype)
    for k in range(start, stop):
        planes = 2 if steps[2] == 2 and k % 2 else 1
        for c in range(fine.components):
            for j in range(fine.node_rows):
                rows = 2 if steps[1] == 2 and j % 2 else 1
                weight = (half if planes == 2 else one) * (half if rows == 2 else one)
                between[:] = 0.0
                for kk in range(k // steps[2], k // steps[2] + planes):
                    for jj in range(j // steps[1], j // steps[1] + rows):
                        of = (kk * coarse.components + c) * of_component + jj * coarse.row
                        for i in range(coarse.row):
                            between[i] += weight * x[of + i]
                if steps[0] == 1:
                    for i in range(min(fine.row, coarse.row)):
                        wide[i] = between[i]
                else:
                    for i in range(coarse.row - 1):
                        wide[2 * i] = between[i]
                        wide[2 * i + 1] = half * (between[i] + between[i + 1])
                    wide[2 * coarse.row - 2] = between[coarse.row - 1]
                to = (k * fine.components + c) * to_component + j * fine.row
                for i in range(fine.row):
                    out[to + i] += wide[i] if inverse[to + i] > 0.0 else x.dtype.type(0.0)


@njit(cache=True, nogil=True, fastmath=_FAST)
def direct(start, stop, index, matrix, f, x):
    """x = M f on some unknowns, M dense and symmetric; start and stop are rows, of whose x is overwritten."""
    for i in range(start, stop):
        total = 0.0
        for j in range(index.shape[0]):
            total += matrix[i, j] * f[index[j]]
        x[index[i]] = total


@njit(cache=True, nogil=True, fastmath=_FAST)
def next_direction(start, stop, shape, beta, z, p):
    """p = z + beta p, p overwritten; start and stop are planes."""
    plane = shape.components * shape.node_rows * shape.row
    for i in range(start * plane, stop * plane):
        p[i] = z[i] + beta * p[i]


@njit(cache=True, nogil=True, fastmath=_FAST)
def advance(start, stop, shape, alpha, p, q, x, r, single, sums):
    """x += alpha p, r -= alpha q, both overwritten; r in float32 and r . r plane by plane.

    single : float32[size], sums : float64[planes] are overwritten.
    """
    plane = shape.components * shape.node_rows * shape.row
    for k in range(start, stop):
        first, last = k * plane, (k + 1) * plane
        for i in range(first, last):
            x[i] += alpha * p[i]
        for i in range(first, last):
            r[i] -= alpha * q[i]
        for i in range(first, last):
            single[i] = r[i]
        sums[k] = _dot(r, r, first, last)


@njit(cache=True, nogil=True)
def dots(start, stop, shape, a, b, sums):
    """a . b plane by plane into sums float64[planes]."""
    plane = shape.components * shape.node_rows * shape.row
    for k in range(start, stop):
        sums[k] = _dot(a, b, k * plane, (k + 1) * plane)
