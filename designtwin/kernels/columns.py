"""Block-sparse kernels for many right-hand sides at once: a matrix is read once, lanes run over columns.

What ``kernels.sparse`` does column by column or for any size of block is done here for the blocks of solids
and heat, 8, 4 or single columns at a time, with sums in registers: LLVM makes no such loops of plain ones.
Matrices, vectors and ranges are as there; each column has the same digits however many stand beside it.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_FUSED = ("contract",)  # fused multiply-add


def _at(target, builder, kind, array, index, width=0):
    """Pointer to an entry of an array, or to a vector of entries from there on."""
    pointer = builder.gep(target.make_array(kind)(target, builder, array).data, [index])
    if not width:
        return pointer
    vector = ir.VectorType(target.get_value_type(kind.dtype), width)
    return builder.bitcast(pointer, vector.as_pointer())


def _load(builder, pointer, size):
    value = builder.load(pointer)
    value.align = size
    return value


def _splat(builder, value, width):
    vector = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(vector, value, zero)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(one, vector, mask)


def _add_product(builder, total, a, b):
    return builder.fadd(total, builder.fmul(a, b, flags=_FUSED), flags=_FUSED)


def _row_sum(rows, columns, width, transposed):
    """An intrinsic: the sum over a row of blocks times x, `width` columns of it, over y or added to it.

    With `transposed` the blocks are those of a column of P, taken transposed; entries tells where they are.
    """
    out = columns if transposed else rows

    @intrinsic
    def row_sum(typing, indices, entries, first, last, blocks, x, n_rhs, column, y, row, add):
        def generate(target, builder, signature, arguments):
            kinds = signature.args
            n, at_column = arguments[6], arguments[7]
            number = target.get_value_type(kinds[4].dtype)
            size = kinds[4].dtype.bitwidth // 8
            vector, wide = ir.VectorType(number, width), ir.IntType(64)

            def whole(value):
                return ir.Constant(wide, value)

            def y_at(a):
                place = builder.add(builder.mul(arguments[9], whole(out)), whole(a))
                place = builder.add(builder.mul(place, n), at_column)
                return _at(target, builder, kinds[8], arguments[8], place, width)

            sums = [cgutils.alloca_once(builder, vector) for _ in range(out)]
            for total in sums:
                builder.store(ir.Constant(vector, [0.0] * width), total)
            with builder.if_then(cgutils.as_bool_bit(builder, arguments[10])):
                for a, total in enumerate(sums):
                    builder.store(_load(builder, y_at(a), size), total)
            with cgutils.for_range_slice(builder, arguments[2], arguments[3], whole(1), intp=wide) as (p, _):
                number_of = _load(builder, _at(target, builder, kinds[0], arguments[0], p), 4)
                entry = p
                if transposed:
                    entry = _load(builder, _at(target, builder, kinds[1], arguments[1], p), 4)
                    entry = builder.sext(entry, wide)
                inner = rows if transposed else columns
                node = builder.mul(builder.sext(number_of, wide), whole(inner))
                node = builder.add(builder.mul(node, n), at_column)
                base = builder.mul(entry, whole(rows * columns))
                values = [_load(builder, total, size) for total in sums]
                for c in range(inner):
                    here = builder.add(node, builder.mul(n, whole(c)))
                    some = _load(builder, _at(target, builder, kinds[5], arguments[5], here, width), size)
                    for a in range(out):
                        place = c * columns + a if transposed else a * columns + c
                        one = _at(target, builder, kinds[4], arguments[4], builder.add(base, whole(place)))
                        factor = _splat(builder, _load(builder, one, size), width)
                        values[a] = _add_product(builder, values[a], factor, some)
                for value, total in zip(values, sums, strict=True):
                    builder.store(value, total)
            for a, total in enumerate(sums):
                builder.store(_load(builder, total, size), y_at(a)).align = size
            return target.get_dummy_value()

        arguments = (indices, entries, first, last, blocks, x, n_rhs, column, y, row, add)
        return types.void(*arguments), generate

    return row_sum


_row11_8, _row11_4, _row11_1 = (_row_sum(1, 1, width, False) for width in (8, 4, 1))
_row33_8, _row33_4, _row33_1 = (_row_sum(3, 3, width, False) for width in (8, 4, 1))
_row36_8, _row36_4, _row36_1 = (_row_sum(3, 6, width, False) for width in (8, 4, 1))
_row66_8, _row66_4, _row66_1 = (_row_sum(6, 6, width, False) for width in (8, 4, 1))
_column11_8, _column11_4, _column11_1 = (_row_sum(1, 1, width, True) for width in (8, 4, 1))
_column36_8, _column36_4, _column36_1 = (_row_sum(3, 6, width, True) for width in (8, 4, 1))
_column66_8, _column66_4, _column66_1 = (_row_sum(6, 6, width, True) for width in (8, 4, 1))


@njit(cache=True, nogil=True)
def product(start, stop, indptr, indices, blocks, x, y, add):
    """y = A x or y += A x, as ``sparse.product``, for blocks of 1 x 1, 3 x 3, 3 x 6 or 6 x 6.

    Parameters
    ----------
    indptr, indices, blocks
        A.
    x : float[n_columns * columns, n_rhs]
        Another array than y.
    y : float[n * rows, n_rhs]
        Overwritten, or added to.
    """
    rows, columns = blocks.shape[1], blocks.shape[2]
    n = np.int64(x.shape[1])
    m, v, w = blocks.reshape(blocks.size), x.reshape(x.size), y.reshape(y.size)
    for i in range(start, stop):
        p, q, k = np.int64(indptr[i]), np.int64(indptr[i + 1]), np.int64(0)
        if rows == 3 and columns == 3:
            while k + 8 <= n:
                _row33_8(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 8
            if k + 4 <= n:
                _row33_4(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 4
            while k < n:
                _row33_1(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 1
        elif rows == 6:
            while k + 8 <= n:
                _row66_8(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 8
            if k + 4 <= n:
                _row66_4(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 4
            while k < n:
                _row66_1(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 1
        elif rows == 3:
            while k + 8 <= n:
                _row36_8(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 8
            if k + 4 <= n:
                _row36_4(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 4
            while k < n:
                _row36_1(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 1
        else:
            while k + 8 <= n:
                _row11_8(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 8
            if k + 4 <= n:
                _row11_4(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 4
            while k < n:
                _row11_1(indices, indices, p, q, m, v, n, k, w, i, add)
                k += 1


@njit(cache=True, nogil=True)
def transposed_product(start, stop, indptr, source, entry, blocks, x, y):
    """y = P^T x, as ``sparse.transposed_product``, for blocks of 1 x 1, 3 x 6 or 6 x 6.

    Parameters
    ----------
    indptr, source, entry : int32[n_coarse + 1], int32[nnz], int32[nnz]
        Rows of P in each of its columns, and where their blocks are stored.
    blocks : float[nnz, rows, columns]
        Of P.
    x : float[n * rows, n_rhs]
    y : float[n_coarse * columns, n_rhs]
        Overwritten.
    """
    rows = blocks.shape[1]
    n = np.int64(x.shape[1])
    m, v, w = blocks.reshape(blocks.size), x.reshape(x.size), y.reshape(y.size)
    for i in range(start, stop):
        p, q, k = np.int64(indptr[i]), np.int64(indptr[i + 1]), np.int64(0)
        if rows == 3:
            while k + 8 <= n:
                _column36_8(source, entry, p, q, m, v, n, k, w, i, False)
                k += 8
            if k + 4 <= n:
                _column36_4(source, entry, p, q, m, v, n, k, w, i, False)
                k += 4
            while k < n:
                _column36_1(source, entry, p, q, m, v, n, k, w, i, False)
                k += 1
        elif rows == 6:
            while k + 8 <= n:
                _column66_8(source, entry, p, q, m, v, n, k, w, i, False)
                k += 8
            if k + 4 <= n:
                _column66_4(source, entry, p, q, m, v, n, k, w, i, False)
                k += 4
            while k < n:
                _column66_1(source, entry, p, q, m, v, n, k, w, i, False)
                k += 1
        else:
            while k + 8 <= n:
                _column11_8(source, entry, p, q, m, v, n, k, w, i, False)
                k += 8
            if k + 4 <= n:
                _column11_4(source, entry, p, q, m, v, n, k, w, i, False)
                k += 4
            while k < n:
                _column11_1(source, entry, p, q, m, v, n, k, w, i, False)
                k += 1


def _smooth_node(b, width):
    """An intrinsic: a smoothing step at one node, `width` columns of it."""

    @intrinsic
    def smooth_node(
        typing, i, inverse, source, image, subtract, first, old, new, size, fresh, last, r, d, x, n_rhs,
        column,
    ):  # fmt: skip
        def generate(target, builder, signature, arguments):
            kinds = signature.args
            number = target.get_value_type(kinds[1].dtype)
            bytes_ = kinds[1].dtype.bitwidth // 8
            vector, wide = ir.VectorType(number, width), ir.IntType(64)

            def whole(value):
                return ir.Constant(wide, value)

            def is_(number):
                return cgutils.as_bool_bit(builder, arguments[number])

            first_row = builder.mul(arguments[0], whole(b))
            places = [
                builder.add(builder.mul(builder.add(first_row, whole(a)), arguments[14]), arguments[15])
                for a in range(b)
            ]

            def load(number, place):
                return _load(
                    builder, _at(target, builder, kinds[number], arguments[number], place, width), bytes_
                )

            def store(number, place, value):
                to = _at(target, builder, kinds[number], arguments[number], place, width)
                builder.store(value, to).align = bytes_

            old, new, size = (_splat(builder, arguments[number], width) for number in (6, 7, 8))
            more = builder.not_(is_(10))
            residual = []
            for place in places:
                value = cgutils.alloca_once(builder, vector)
                builder.store(load(2, place), value)
                with builder.if_then(is_(4)):
                    left = builder.fsub(builder.load(value), load(3, place), flags=_FUSED)
                    builder.store(left, value)
                    with builder.if_then(more):
                        store(11, place, left)
                residual.append(builder.load(value))
            base = builder.mul(arguments[0], whole(b * b))
            for a, place in enumerate(places):
                total = None
                for c in range(b):
                    at = _at(target, builder, kinds[1], arguments[1], builder.add(base, whole(a * b + c)))
                    factor = _splat(builder, _load(builder, at, bytes_), width)
                    if total is None:
                        total = builder.fmul(factor, residual[c], flags=_FUSED)
                    else:
                        total = _add_product(builder, total, factor, residual[c])
                step = cgutils.alloca_once(builder, vector)
                builder.store(builder.fmul(new, total, flags=_FUSED), step)
                with builder.if_then(builder.not_(is_(5))):
                    builder.store(_add_product(builder, builder.load(step), old, load(12, place)), step)
                step = builder.load(step)
                with builder.if_then(more):
                    store(12, place, step)
                value = cgutils.alloca_once(builder, vector)
                builder.store(builder.fmul(size, step, flags=_FUSED), value)
                with builder.if_then(builder.not_(is_(9))):
                    builder.store(_add_product(builder, load(13, place), size, step), value)
                store(13, place, builder.load(value))
            return target.get_dummy_value()

        arguments = (
            i, inverse, source, image, subtract, first, old, new, size, fresh, last, r, d, x, n_rhs, column
        )  # fmt: skip
        return types.void(*arguments), generate

    return smooth_node


_node1_8, _node1_4, _node1_1 = (_smooth_node(1, width) for width in (8, 4, 1))
_node3_8, _node3_4, _node3_1 = (_smooth_node(3, width) for width in (8, 4, 1))
_node6_8, _node6_4, _node6_1 = (_smooth_node(6, width) for width in (8, 4, 1))


@njit(cache=True, nogil=True)
def smoothing_step(
    start, stop, inverse, source, image, subtract, keep, gain, step, fresh, last, r, d, x
):  # fmt: skip
    """One step of a polynomial smoother, as ``sparse.smoothing_step``, for node blocks of 1, 3 or 6.

    Parameters
    ----------
    last : bool
        r and d are not wanted afterwards, and not written. r is not written either unless `subtract`: it is
        the source then.
    """
    b, n = inverse.shape[1], np.int64(x.shape[1])
    old, new, size = d.dtype.type(keep), d.dtype.type(gain), d.dtype.type(step)
    first = keep == 0.0
    m, s, w = inverse.reshape(inverse.size), source.reshape(source.size), image.reshape(image.size)
    rr, dd, xx = r.reshape(r.size), d.reshape(d.size), x.reshape(x.size)
    for i in range(start, stop):
        k = np.int64(0)
        if b == 3:
            while k + 8 <= n:
                _node3_8(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 8
            if k + 4 <= n:
                _node3_4(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 4
            while k < n:
                _node3_1(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 1
        elif b == 6:
            while k + 8 <= n:
                _node6_8(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 8
            if k + 4 <= n:
                _node6_4(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 4
            while k < n:
                _node6_1(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 1
        else:
            while k + 8 <= n:
                _node1_8(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 8
            if k + 4 <= n:
                _node1_4(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 4
            while k < n:
                _node1_1(i, m, s, w, subtract, first, old, new, size, fresh, last, rr, dd, xx, n, k)
                k += 1
