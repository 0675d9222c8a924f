"""Groups survive read, write, read in every format that is written; the committed parts come with theirs."""

from pathlib import Path

import numpy as np
import pytest
from builders import PLANES, SOLIDS, bar, box, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from surroundings import SHARED

from designtwin.elements import ELEMENTS
from designtwin.io import read_mesh, write_mesh
from designtwin.mesh import Group, Mesh

FORMATS = (".msh", ".inp", ".vtu")
_ENDINGS = (".msh", ".inp", ".vtu", ".bdf", ".vtk", ".mesh")
PARTS = sorted(p for p in (Path(__file__).parents[2] / "meshes").glob("*") if p.suffix in _ENDINGS)


def assert_same(a: Mesh, b: Mesh) -> None:
    assert_allclose(b.points, a.points, rtol=1e-14, atol=0)
    assert list(b.cells) == list(a.cells)
    for kind in a.cells:
        assert_array_equal(b.cells[kind], a.cells[kind])
    assert set(b.groups) == set(a.groups)
    for name, group in a.groups.items():
        for part in ("nodes", "facets", "cells"):
            mine, theirs = getattr(group, part), getattr(b.groups[name], part)
            assert (mine is None) == (theirs is None), (name, part)
            if mine is not None:
                assert_array_equal(theirs, mine, err_msg=f"{name} {part}")


MESHES = {
    **{kind: box(kind, (2, 2, 1)) for kind in SOLIDS},
    **{kind: rectangle(kind, (3, 2)) for kind in PLANES},
    "line": bar(4), "line3": bar(4, element="line3"),
}  # fmt: skip


def mixed() -> Mesh:
    """Hexahedra, a wedge on one of them, and a line that sticks out."""
    base = box("hexahedron", (2, 1, 1))
    points = np.vstack([base.points, [[0.25, 0.0, 2.0], [0.25, 1.0, 2.0], [5.0, 5.0, 5.0]]])
    n = base.n_points
    on_top = [int(i) for i in np.flatnonzero((base.points[:, 2] == 1) & (base.points[:, 0] < 0.6))]
    a, b, c, d = sorted(on_top, key=lambda i: (base.points[i, 1], base.points[i, 0]))
    wedge = np.array([[c, d, n + 1, a, b, n]])
    cells = {"hexahedron": base.cells["hexahedron"], "wedge": wedge, "line": np.array([[n, n + 2]])}
    return Mesh(points, cells)


MESHES["mixed"] = mixed()
names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='"'), min_size=1
).map(str.strip)


@st.composite
def grouped(draw):
    mesh = MESHES[draw(st.sampled_from(sorted(MESHES)))]
    top = [k for k in mesh.cells if ELEMENTS[k].dimension == mesh.dimension]
    n_top = sum(len(mesh.cells[k]) for k in top)
    groups = {}
    for name in draw(st.lists(names.filter(bool), max_size=5, unique_by=str.casefold)):
        picked = [draw(st.booleans()) for _ in range(3)]
        if not any(picked):
            picked[0] = True
        some = st.integers(0, 2**31)
        random = np.random.default_rng(draw(some))

        def subset(n, random=random):
            return random.permutation(n)[: random.integers(1, n + 1)]

        exterior = mesh.exterior[mesh.exterior[:, 0] < n_top]
        groups[name] = Group(
            nodes=subset(mesh.n_points) if picked[0] else None,
            facets=exterior[subset(len(exterior))] if picked[1] and len(exterior) else None,
            cells=subset(mesh.n_cells) if picked[2] else None,
        )
        if picked == [False, True, False] and not len(exterior):
            del groups[name]
    return mesh.with_groups(groups) if draw(st.booleans()) else Mesh(mesh.points, mesh.cells, groups)


@pytest.mark.parametrize("suffix", FORMATS)
@given(mesh=grouped())
@settings(max_examples=40, deadline=None)
def test_groups_survive(suffix, mesh, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trip")
    write_mesh(mesh, folder / f"a{suffix}", length_unit="mm")
    once = read_mesh(folder / f"a{suffix}", length_unit="mm")
    assert_same(mesh, once)
    write_mesh(once, folder / f"b{suffix}", length_unit="mm")
    assert_same(once, read_mesh(folder / f"b{suffix}", length_unit="mm"))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", MESHES)
def test_cells_survive(kind, suffix, tmp_path):
    mesh = MESHES[kind]
    write_mesh(mesh, tmp_path / f"a{suffix}", length_unit="m")
    assert_same(mesh, read_mesh(tmp_path / f"a{suffix}", length_unit="m"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_both_sides_of_a_facet_inside_the_body_survive(suffix, tmp_path):
    mesh = box("hexahedron", (2, 1, 1))
    owners = mesh.find_facets(mesh.facets(np.array([[0, 3]]))[0].conn)[0]
    assert (owners >= 0).all()
    mesh = mesh.with_groups(
        {"one": Group(facets=owners[:1]), "other": Group(facets=owners[1:]), "two": Group(facets=owners)}
    )
    write_mesh(mesh, tmp_path / f"a{suffix}")
    assert_same(mesh, read_mesh(tmp_path / f"a{suffix}", length_unit="mm"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_shared_files_survive(suffix, tmp_path, shared_mesh):
    shared_mesh("")
    for path in sorted(SHARED.iterdir()):
        if path.suffix in (".msh", ".inp", ".vtu", ".bdf", ".vtk", ".mesh", ".stl"):
            mesh = read_mesh(path, length_unit="mm")
            write_mesh(mesh, tmp_path / f"a{suffix}")
            assert_same(mesh, read_mesh(tmp_path / f"a{suffix}", length_unit="mm"))


def test_bracket_has_the_groups_of_the_acceptance_script():
    path = Path(__file__).parents[2] / "meshes" / "bracket.msh"
    mesh = read_mesh(path, length_unit="mm")
    assert len(mesh.groups["body"].cells) == mesh.n_cells
    assert len(mesh.groups["lug"].facets) > 0
    assert len(mesh.groups["bolt_holes"].facets) > 0


@pytest.mark.parametrize("path", PARTS, ids=lambda p: p.name)
def test_committed_parts_read_with_their_groups(path, tmp_path):
    mesh = read_mesh(path, length_unit="mm")
    assert mesh.groups
    assert (mesh.cell_measures() > 0).all()
    for name, group in mesh.groups.items():
        assert any(ids is not None and len(ids) for ids in (group.nodes, group.facets, group.cells)), name
    write_mesh(mesh, tmp_path / "a.vtu")
    assert_same(mesh, read_mesh(tmp_path / "a.vtu", length_unit="mm"))
