"""View factors against closed forms: facets alone, in closed enclosures, behind what stands in between."""

import numpy as np
import pytest

from designtwin import parallel
from designtwin.mesh import Group
from designtwin.mesh import view_factors as room
from designtwin.mesh.view_factors import open_shares, view_factors
from tests.builders import apart, ball, box, hollow, merged, rectangle, ring
from tests.surroundings import FULL


def rows(mesh, facets, axis, value):
    """Which of the facets have their centers at a coordinate."""
    _, at = mesh.facet_vectors(facets)
    return np.flatnonzero(np.abs(at[:, axis] - value) < 1e-9)


def names(mesh, *groups):
    """Facets of groups, one after the other, and the rows of each."""
    facets = [mesh.groups[name].facets for name in groups]
    ends = np.cumsum([len(f) for f in facets])
    return np.concatenate(facets), [np.arange(e - len(f), e) for f, e in zip(facets, ends, strict=True)]


def gauss(a, b, n=40):
    x, w = np.polynomial.legendre.leggauss(n)
    return a + 0.5 * (x + 1) * (b - a), 0.5 * (b - a) * w


# Nothing in between


@pytest.mark.parametrize("element", ["hexahedron", "tetra", "hexahedron20", "tetra10", "wedge"])
@pytest.mark.parametrize("n", [1, 3])
def test_squares_of_a_cube_see_each_other_as_closed_forms_say(element, n):
    """D22 (c): aligned squares at distance 1, and with a common edge (Howell's catalog, C-11 and C-14)."""
    mesh = hollow(element, n)
    facets = mesh.groups["wall"].facets
    factors = view_factors(mesh, facets)
    low, high, side = (rows(mesh, facets, *place) for place in ((0, -1.0), (0, 1.0), (1, -1.0)))
    assert factors.between(low, high) / 4.0 == pytest.approx(0.199825, rel=3e-5)
    assert factors.between(low, side) / 4.0 == pytest.approx(0.200044, rel=3e-5)
    assert factors.row_sums == pytest.approx(1.0, abs=1e-4)
    assert factors.between(low, low) == 0.0


def test_the_first_product_of_the_catalog_holds_for_rectangles_of_any_shape():
    """Aligned rectangles a x b at distance c: Howell's catalog, C-11."""
    a, b, c = 3.0, 0.4, 0.25
    mesh = apart(
        box("hexahedron", (3, 2, 1), (a, b, 0.1), origin=(0, 0, -0.1)),
        box("hexahedron", (4, 1, 1), (a, b, 0.1), origin=(0, 0, c)),
    )
    facets = mesh.exterior
    low, high = rows(mesh, facets, 2, 0.0), rows(mesh, facets, 2, c)
    x, y = a / c, b / c
    one, other = np.sqrt(1 + x * x), np.sqrt(1 + y * y)
    exact = (
        (
            np.log(np.sqrt((1 + x * x) * (1 + y * y) / (1 + x * x + y * y)))
            + x * other * np.arctan(x / other)
            + y * one * np.arctan(y / one)
            - x * np.arctan(x)
            - y * np.arctan(y)
        )
        * 2
        / (np.pi * x * y)
    )
    assert view_factors(mesh, facets).between(low, high) / (a * b) == pytest.approx(exact, rel=1e-3)


def test_curved_facets_are_cut_into_flat_pieces_and_see_themselves():
    """A tube of eight quadratic facets around: their own concave side is seen, sums stay right."""
    mesh = ring("hexahedron20", (1, 8, 4), inner=0.5, outer=0.6, height=2.0)
    facets = mesh.groups["inner"].facets
    factors = view_factors(mesh, facets)
    itself = np.diag(factors.factors())
    assert (itself > 0.01).all()
    # What leaves through both ends: area of a disk over that of the wall, times the view of the disks.
    r = 0.5 / 2.0
    disks = 1 + 1 / (2 * r * r) * (1 - np.sqrt(1 + 4 * r * r))  # coaxial equal disks, catalog C-41
    wall = 1.0 - 2.0 * (np.pi * 0.25) / (2 * np.pi * 0.5 * 2.0) * (1.0 - disks)
    mean = np.average(factors.row_sums, weights=factors.area)
    assert mean == pytest.approx(wall, rel=2e-2)
    straight = ring("hexahedron", (1, 8, 4), inner=0.5, outer=0.6, height=2.0)
    alone = view_factors(straight, straight.groups["inner"].facets)
    assert abs(np.average(alone.row_sums, weights=alone.area) - wall) > abs(mean - wall)


# Something in between: closed forms and converged references


@pytest.mark.parametrize(("element", "n"), [("hexahedron", 8), ("tetra", 8), ("tetra10", 4)])
def test_a_convex_body_inside_sees_all_and_hides_its_share(element, n):
    """Any convex body in a convex cavity: F12 = 1, F21 = A1 / A2, F22 = 1 - A1 / A2, exactly."""
    mesh = hollow(element, n, core=0.5)
    facets, (core, wall) = names(mesh, "core", "wall")
    factors = view_factors(mesh, facets)
    areas = factors.area[core].sum(), factors.area[wall].sum()
    assert areas[0] == pytest.approx(0.25 * areas[1])
    assert factors.between(core, wall) / areas[0] == pytest.approx(1.0, abs=1e-3)
    assert factors.between(wall, wall) / areas[1] == pytest.approx(0.75, rel=2e-3)
    assert factors.between(core, core) == 0.0
    assert factors.row_sums == pytest.approx(1.0, abs=0.01)
    assert 0.0 < factors.reciprocity < 0.015
    assert view_factors(mesh, facets, occlusion=False).between(wall, wall) / areas[1] > 0.9


def test_concentric_spheres():
    """F22 = 1 - (r1 / r2)^2 (Siegel and Howell, 4th ed., appendix C)."""
    mesh = hollow("hexahedron", 8, core=0.5, shape=ball)
    facets, (core, wall) = names(mesh, "core", "wall")
    factors = view_factors(mesh, facets)
    assert factors.between(core, wall) / factors.area[core].sum() == pytest.approx(1.0, rel=2e-3)
    itself = factors.between(wall, wall) / factors.area[wall].sum()
    polyhedra = 1.0 - factors.area[core].sum() / factors.area[wall].sum()
    assert itself == pytest.approx(polyhedra, rel=2e-3)
    assert itself == pytest.approx(0.75, rel=0.01)
    assert factors.row_sums == pytest.approx(1.0, abs=0.01)


def screened(half):
    """F12 of aligned unit squares at distance 1 with a square screen of half width in the middle between.

    A ray between x1 and x2 passes the screen where its middle is in it. With u = x1 - x2 the middles that do
    have measure min(2 half, 1 - |u|) in each direction, so two integrals are left (Gauss, converged).
    """
    points, weights = zip(gauss(0.0, 1.0 - 2 * half), gauss(1.0 - 2 * half, 1.0), strict=True)
    u, w = 2 * [np.concatenate(points)], np.concatenate(weights)
    kernel = 4.0 / (np.pi * (u[0][:, None] ** 2 + u[1] ** 2 + 1.0) ** 2)
    hidden = w * np.minimum(2 * half, 1.0 - u[0])
    return float(w * (1 - u[0]) @ kernel @ (w * (1 - u[0])) - hidden @ kernel @ hidden)


def test_the_screened_reference_without_a_screen_is_the_closed_form():
    assert screened(0.0) == pytest.approx(0.1998249, rel=1e-6)


@pytest.mark.parametrize("listed", [False, True])
def test_a_screen_between_squares(listed):
    """Half the width hidden; the screen stands in the way whether or not it exchanges heat itself."""
    plate = {"element": "hexahedron", "n": (6, 6, 1)}
    mesh = apart(
        box(**plate, size=(1, 1, 0.1), origin=(0, 0, -0.1)),
        box(**plate, size=(1, 1, 0.1), origin=(0, 0, 1)),
        box("tetra", (3, 3, 1), (0.5, 0.5, 1e-3), origin=(0.25, 0.25, 0.4995)),
    )
    facets = mesh.exterior
    _, at = mesh.facet_vectors(facets)
    faces = (np.abs(at[:, 2]) < 1e-9) | (np.abs(at[:, 2] - 1) < 1e-9)
    facets = facets[faces | (listed & (np.abs(at[:, 2] - 0.5) < 0.01))]
    low, high = rows(mesh, facets, 2, 0.0), rows(mesh, facets, 2, 1.0)
    exact = screened(0.25)
    assert exact < 0.17  # it hides a good part of 0.2
    assert view_factors(mesh, facets).between(low, high) == pytest.approx(exact, rel=0.01)


# In the plane


def strip(width, height, n=1, origin=(0.0, 0.0)):
    return rectangle("quad", (n, 1), (width, height), origin=origin)


@pytest.mark.parametrize("n", [1, 5])
def test_parallel_strips_by_crossed_strings(n):
    """F = sqrt(1 + (h/w)^2) - h/w, Hottel."""
    h = 0.3
    mesh = apart(strip(1.0, 0.1, n, (0, -0.1)), strip(1.0, 0.1, n, (0, h)))
    facets = mesh.exterior
    low, high = rows(mesh, facets, 1, 0.0), rows(mesh, facets, 1, h)
    exact = np.sqrt(1 + h * h) - h
    assert view_factors(mesh, facets).between(low, high) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("n", [1, 7])
def test_a_strip_between_strips_hides_what_passes_through_it(n):
    """Reference: of pairs at offset u those whose middle is in the strip are hidden, one integral (Gauss)."""
    h, half = 1.0, 0.2
    mesh = apart(
        strip(1.0, 0.1, n, (0, -0.1)),
        strip(1.0, 0.1, n, (0, h)),
        strip(2 * half, 1e-4, 2, (0.5 - half, 0.5 * h - 0.5e-4)),
    )
    facets = mesh.exterior
    low, high = rows(mesh, facets, 1, 0.0), rows(mesh, facets, 1, h)
    hidden = 0.0
    for a, b in ((0.0, 1 - 2 * half), (1 - 2 * half, 1.0)):
        u, w = gauss(a, b)
        hidden += 2 * w @ (np.minimum(2 * half, 1 - u) * h * h / (2 * (u * u + h * h) ** 1.5))
    exact = np.sqrt(1 + h * h) - h - hidden
    factors = view_factors(mesh, facets[np.union1d(low, high)])
    k = len(low)
    assert factors.between(np.arange(2 * k)[: len(facets)], np.arange(2 * k)) / 2 == pytest.approx(
        exact, rel=2e-3
    )
    assert factors.reciprocity < 0.01


def test_concentric_cylinders_in_the_plane():
    """F12 = 1, F22 = 1 - r1 / r2."""

    def polar(inner, outer):
        def bent(x):
            r, angle = inner + (outer - inner) * x[:, 0], 2 * np.pi * x[:, 1]
            return np.column_stack([r * np.cos(angle), r * np.sin(angle), 0 * r])

        return merged(rectangle("quad8", (1, 48), shape=bent))

    mesh = apart(polar(0.05, 0.1), polar(0.2, 0.25))
    facets = mesh.exterior
    _, at = mesh.facet_vectors(facets)
    r = np.linalg.norm(at, axis=1)
    between = (r > 0.09) & (r < 0.21)
    facets, r = facets[between], r[between]
    factors = view_factors(mesh, facets)
    core, wall = np.flatnonzero(r < 0.15), np.flatnonzero(r > 0.15)
    assert factors.row_sums == pytest.approx(1.0, abs=2e-3)
    assert factors.between(core, wall) / factors.area[core].sum() == pytest.approx(1.0, rel=1e-3)
    assert factors.between(wall, wall) / factors.area[wall].sum() == pytest.approx(0.5, rel=2e-3)


# What else it promises


def test_the_digits_do_not_depend_on_the_threads(monkeypatch):
    mesh = hollow("tetra", 4, core=0.5)
    facets, _ = names(mesh, "core", "wall")
    found = []
    for n in (1, 2, 3):
        monkeypatch.setattr(room, "_STORE", type(room._STORE)())
        with parallel.use_threads(n):
            factors = view_factors(mesh, facets)
            found.append((factors.packed, factors.row_sums, factors.apply(np.arange(len(facets)) + 0.5)))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_packed_product_is_that_of_the_full_matrix():
    n = 97
    rng = np.random.default_rng(3)
    packed = rng.random(n * (n + 1) // 2).astype(np.float32)
    full = np.zeros((n, n))
    full[np.tril_indices(n)] = packed
    full += np.tril(full, -1).T
    x = rng.standard_normal(n)
    np.testing.assert_allclose(room.product(packed, x), full @ x, rtol=1e-13)


def test_one_geometry_is_computed_once_whatever_its_groups(monkeypatch):
    monkeypatch.setattr(room, "_STORE", type(room._STORE)())
    mesh = hollow("hexahedron", 2)
    facets = mesh.groups["wall"].facets
    first = view_factors(mesh, facets)
    other = mesh.with_groups({"lid": Group(facets=facets[:3])})
    assert view_factors(other, facets) is first
    assert view_factors(mesh.moved(2.0 * mesh.points), facets) is not first
    assert view_factors(mesh, facets, occlusion=False) is not first


def test_old_ones_leave_when_memory_would_run_over(monkeypatch):
    monkeypatch.setattr(room, "_STORE", type(room._STORE)())
    mesh = hollow("hexahedron", 2)
    facets = mesh.groups["wall"].facets
    first = view_factors(mesh, facets)
    monkeypatch.setattr(room, "_KEPT_BYTES", 1.5 * first.nbytes)
    view_factors(mesh.moved(2.0 * mesh.points), facets)
    assert len(room._STORE) == 1
    assert view_factors(mesh, facets) is not first


def test_what_leaves_through_an_opening_is_found_by_rays():
    """The five walls of a cube without its lid see the opening as they would see the lid."""
    mesh = hollow("hexahedron", 4)
    all_ = mesh.groups["wall"].facets
    closed = view_factors(mesh, all_)
    assert not open_shares(mesh, all_, closed).any()
    gone = hollow("hexahedron", 4)
    kept = gone.cell_centers[:, 2] < 1.0
    gone = type(gone)(gone.points, {"hexahedron": gone.cells["hexahedron"][kept]})
    facets = gone.exterior
    _, at = gone.facet_vectors(facets)
    facets = facets[(np.abs(at[:, :2]).max(axis=1) < 1 + 1e-9) & (at[:, 2] < 1 - 1e-9)]
    factors = view_factors(gone, facets)
    share = open_shares(gone, facets, factors)
    assert factors.row_sums + share == pytest.approx(1.0, abs=0.02)
    floor = rows(gone, facets, 2, -1.0)
    assert share[floor].mean() == pytest.approx(0.199825, rel=0.01)


@pytest.mark.skipif(not FULL, reason="a minute and a gigabyte")
def test_twenty_thousand_facets():
    mesh = hollow("tetra", 36, core=0.5)
    facets, (_, wall) = names(mesh, "core", "wall")
    assert len(facets) > 19_000
    factors = view_factors(mesh, facets)
    assert factors.row_sums == pytest.approx(1.0, abs=0.01)
    assert factors.between(wall, wall) / factors.area[wall].sum() == pytest.approx(0.75, rel=1e-3)
    assert factors.nbytes < 0.85e9
