"""Local axes turn tensors without changing what they are."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from designtwin.errors import ModelError, UnitError
from designtwin.model.coordinates import (
    Cartesian,
    Cylindrical,
    point,
    rotate_stiffness,
    rotate_strain,
    rotate_tensor,
    strain_rotation,
    unit_vector,
)
from designtwin.plain import Plain

seeds = st.integers(0, 10_000)
PAIRS = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)]


def frame(seed):
    return Rotation.random(random_state=seed).as_matrix()


def tensor_of(strain):
    """Strain with engineering shear as a 3x3 tensor."""
    out = np.zeros((3, 3))
    for value, (i, j) in zip(strain, PAIRS, strict=True):
        out[i, j] = out[j, i] = value if i == j else value / 2
    return out


def voigt_of(tensor):
    return np.array([tensor[i, j] if i == j else 2 * tensor[i, j] for i, j in PAIRS])


def fourth_order(stiffness):
    out = np.zeros((3, 3, 3, 3))
    for row, (i, j) in enumerate(PAIRS):
        for column, (k, m) in enumerate(PAIRS):
            for a, b in {(i, j), (j, i)}:
                for c, d in {(k, m), (m, k)}:
                    out[a, b, c, d] = stiffness[row, column]
    return out


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_strain_turns_as_a_tensor(seed):
    q, strain = frame(seed), np.random.default_rng(seed).normal(size=6)
    assert_allclose(strain_rotation(q) @ strain, voigt_of(q @ tensor_of(strain) @ q.T), atol=1e-13)
    assert_allclose(rotate_strain(strain, q), voigt_of(q.T @ tensor_of(strain) @ q), atol=1e-13)
    assert_allclose(strain_rotation(q) @ strain_rotation(q.T), np.eye(6), atol=1e-13)


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_stiffness_turns_as_a_tensor_of_fourth_order(seed):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(6, 6))
    stiffness, q = half @ half.T, frame(seed)
    turned = np.einsum("pi,qj,rk,sm,pqrs->ijkm", q, q, q, q, fourth_order(stiffness))
    expected = np.array([[turned[*a, *b] for b in PAIRS] for a in PAIRS])
    assert_allclose(rotate_stiffness(stiffness, q), expected, atol=1e-12)


def test_many_axes_at_once():
    q = np.stack([frame(i) for i in range(4)])
    stiffness = np.diag(np.arange(1.0, 7.0))
    assert_allclose(rotate_stiffness(stiffness, q)[2], rotate_stiffness(stiffness, q[2]))
    assert_allclose(rotate_tensor(np.diag([1.0, 2.0, 3.0]), q)[1], q[1].T @ np.diag([1.0, 2.0, 3.0]) @ q[1])


def test_cartesian_axes_are_right_handed_and_on_the_side_of_xy():
    axes = Cartesian(x="y", xy=(1.0, 1.0, 0.0)).axes(np.zeros((2, 4, 3)))
    assert axes.shape == (2, 4, 3, 3)
    assert_allclose(axes[0, 0], [[0, 1, 0], [1, 0, 0], [0, 0, -1]], atol=1e-15)
    assert_allclose(np.linalg.det(axes), 1.0)


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_cylindrical_axes_are_radial_tangential_axial(seed):
    rng = np.random.default_rng(seed)
    axis, origin, points = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(5, 3))
    axes = Cylindrical(origin=origin, axis=axis).axes(points)
    assert_allclose(axes @ np.swapaxes(axes, -1, -2), np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-12)
    assert_allclose(np.linalg.det(axes), 1.0)
    away = np.einsum("nij,nj->ni", axes, points - origin)
    assert (away[:, 0] > 0).all()
    assert_allclose(away[:, 1], 0.0, atol=1e-12)


def test_a_point_on_the_axis_is_named():
    with pytest.raises(ModelError, match=r"\(0, 0, 3000\) mm lies on the axis"):
        Cylindrical(axis="z").axes(np.array([[1.0, 0, 0], [0, 0, 3.0]]))
    with pytest.raises(ModelError, match="lies on the axis"):
        Cylindrical().axes(np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("x", (1, 0, 0)),
        ("+Y", (0, 1, 0)),
        ("-z", (0, 0, -1)),
        ((0, 3, 4), (0, 0.6, 0.8)),
        ((1, 0), (1, 0, 0)),
    ],
)
def test_directions(said, meant):
    assert unit_vector(said, name="direction") == pytest.approx(meant)


@pytest.mark.parametrize("said", ["", "w", "-+z", "xy", (0, 0, 0), (1, 2, 3, 4), 3.0, "--x"])
def test_no_directions(said):
    with pytest.raises(ModelError, match="direction: "):
        unit_vector(said, name="direction")


def test_points_have_lengths():
    assert point(("1 mm", "2 cm"), name="at") == (0.001, 0.02, 0.0)
    with pytest.raises(ModelError, match="three lengths"):
        point(3.0, name="at")
    with pytest.raises(UnitError, match="is a force"):
        point(("1 N", 0, 0), name="at")
    with pytest.raises(ModelError, match="parallel"):
        Cartesian(x="x", xy="-x")


@pytest.mark.parametrize(
    "system", [Cartesian(x="y", xy=(1, 1, 0)), Cylindrical(origin=("5 mm", 0.0, 0.0), axis=(1, 1, 1))]
)
def test_systems_survive_json(system):
    back = Plain.from_dict(json.loads(json.dumps(system.to_dict())))
    assert back == system
    assert back.content_hash() == system.content_hash()
