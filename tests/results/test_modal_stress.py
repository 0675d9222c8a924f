"""Stress of many shapes at once is the stress of each, in memory or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import block, merged
from numpy.testing import assert_allclose

import designtwin as dtw
from designtwin.errors import StoreError
from designtwin.results import modal_stress as module
from designtwin.results.modal_stress import modal_stress, row_chunks


def two_materials(element: str) -> dtw.Model:
    """Two blocks of different stiffness that share a face, with a quadratic mesh."""
    halves = [block(element, 2, (1.0, 1.0, 1.0)), block(element, 2, (1.0, 1.0, 1.0), origin=(1.0, 0.0, 0.0))]
    mesh = merged(*halves)
    middle = mesh.points[:, 0]
    soft = dtw.LinearElastic(youngs_modulus=1.0, poissons_ratio=0.3)
    stiff = dtw.LinearElastic(youngs_modulus=5.0, poissons_ratio=0.2)
    cells = [dtw.box((-1, -1, -1), (1, 2, 2)), dtw.box((1, -1, -1), (3, 2, 2))]
    assert middle.max() == 2.0
    return dtw.Model(
        mesh, materials={cells[0]: soft, cells[1]: stiff}, supports=[dtw.FixedSupport(on="xmin")],
        load_cases={"none": []},
    )  # fmt: skip


def shapes_of(element: str, count: int) -> list:
    """Random smooth shapes of a part of two materials."""
    case = dtw.solve_static(two_materials(element))["none"]
    rng = np.random.default_rng(5)
    x = case.mesh.points
    terms = np.stack([x[:, i] * x[:, j] for i in range(3) for j in range(3)], axis=1)
    return [replace(case, displacement=terms @ rng.uniform(-1, 1, (9, 3))) for _ in range(count)]


@pytest.mark.parametrize("element", ["hexahedron", "tetra10"])
@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_it_is_what_each_shape_says_of_itself_however_batched(element, at_once, monkeypatch):
    shapes = shapes_of(element, 5)
    n = len(shapes[0].points)
    assert n > shapes[0].mesh.n_points, "the face between the materials has rows of both"
    monkeypatch.setattr(module, "_WORK", at_once * 48 * max(10 * n // 4, len(shapes[0]._sampled())))
    stress = modal_stress(shapes)
    assert stress.shape == (5, n, 6)
    for shape, found in zip(shapes, stress, strict=True):
        assert_allclose(found, shape.stress(), rtol=0.0, atol=1e-13 * np.abs(found).max())


def test_beyond_the_memory_allowed_it_is_mapped_and_says_the_same():
    shapes = shapes_of("tetra10", 3)
    held, mapped = modal_stress(shapes), modal_stress(shapes, memory=1000)
    assert isinstance(mapped, np.memmap)
    assert not isinstance(held, np.memmap)
    assert np.array_equal(held, mapped)


def test_no_room_on_the_disk_is_said_before_anything_is_written(monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"no room for .* of the stress of 2 shapes"):
        modal_stress(shapes_of("hexahedron", 2), memory=0)


def test_no_shapes_have_no_stress():
    assert modal_stress([]).shape == (0, 0, 6)


def test_chunks_cover_all_rows_once_and_stay_small():
    for n_rows, each in ((0, 10), (1, 10), (1000, 1_000_000), (100_000, 4800)):
        rows = [np.arange(n_rows)[some] for some in row_chunks(n_rows, each)]
        assert np.array_equal(np.concatenate([np.empty(0, int), *rows]), np.arange(n_rows))
        assert all(len(some) * each <= max(64 * each, 24_000_000) for some in rows)
