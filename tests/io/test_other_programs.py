"""One mesh as gmsh writes it in ten formats: an independent hand on every order of nodes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from designtwin.elements import ELEMENTS
from designtwin.io import read_mesh

gmsh = pytest.importorskip("gmsh", reason="the optional mesher gmsh is not installed")

# Format: name of the side's group; formats of gmsh that lack a kind of cell are left out below.
SIDE = {".msh": "side", ".inp": "Surface2", ".unv": "side", ".bdf": "pid_2", ".vtk": "CellEntityIds_2"}
BODY = {".msh": "the body", ".inp": "Volume1", ".unv": "the_body", ".bdf": "pid_1", ".vtk": "CellEntityIds_1"}


@pytest.fixture(scope="module", params=["tetra", "tetra10", "hexahedron", "hexahedron20", "wedge", "wedge15"])
def files(request, tmp_path_factory):
    """A block of 2 x 1 x 1 mm, with one side named, written in every format."""
    folder = tmp_path_factory.mktemp("gmsh")
    kind = ELEMENTS[request.param].linear
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.6)
        gmsh.option.setNumber("Mesh.SecondOrderIncomplete", 1)
        gmsh.option.setNumber("Mesh.SaveGroupsOfNodes", 1)
        occ, mesh = gmsh.model.occ, gmsh.model.mesh
        base = occ.addRectangle(0, 0, 0, 2, 1)
        occ.extrude(
            [(2, base)], 0, 0, 1, numElements=[] if kind == "tetra" else [2], recombine=kind != "tetra"
        )
        occ.synchronize()
        if kind == "hexahedron":
            for _, curve in gmsh.model.getEntities(1):
                mesh.setTransfiniteCurve(curve, 3)
            for _, surface in gmsh.model.getEntities(2):
                mesh.setTransfiniteSurface(surface)
                mesh.setRecombine(2, surface)
            mesh.setTransfiniteVolume(1)
        gmsh.model.addPhysicalGroup(3, [1], 1, "the body")
        gmsh.model.addPhysicalGroup(2, [2], 2, "side")
        mesh.generate(3)
        mesh.setOrder(ELEMENTS[request.param].degree)
        for suffix in SIDE:
            gmsh.write(str(folder / f"block{suffix}"))
        gmsh.option.setNumber("Mesh.MshFileVersion", 2.2)
        gmsh.option.setNumber("Mesh.Binary", 1)
        gmsh.write(str(folder / "binary.msh"))
        gmsh.write(str(folder / "binary.vtk"))
    finally:
        gmsh.finalize()
    return request.param, folder


@pytest.mark.parametrize("suffix", SIDE)
def test_volume_side_and_mid_side_nodes(files, suffix):
    kind, folder = files
    mesh = read_mesh(folder / f"block{suffix}", length_unit="mm")
    assert list(mesh.cells) == [kind]
    assert (mesh.cell_measures() > 0).all()
    assert mesh.cell_measures().sum() == pytest.approx(2e-9, rel=1e-4)
    assert len(mesh.groups[BODY[suffix]].cells) == mesh.n_cells
    vectors, centers = mesh.facet_vectors(mesh.groups[SIDE[suffix]].facets)
    area = vectors.sum(axis=0)
    assert np.linalg.norm(area) == pytest.approx(np.linalg.norm(vectors, axis=1).sum(), rel=1e-4)
    assert area @ (centers.mean(axis=0) - [1e-3, 5e-4, 5e-4]) > 0  # outward
    conn = mesh.cells[kind]
    for i, (a, b) in enumerate(ELEMENTS[kind].edges, ELEMENTS[kind].corners):
        middle = (mesh.points[conn[:, a]] + mesh.points[conn[:, b]]) / 2
        assert_allclose(mesh.points[conn[:, i]], middle, atol=2e-7)


@pytest.mark.parametrize("suffix", [".msh", ".vtk"])
def test_binary_forms_agree(files, suffix):
    kind, folder = files
    text, binary = (read_mesh(folder / f"{name}{suffix}", length_unit="mm") for name in ("block", "binary"))
    assert_allclose(binary.points[binary.cells[kind]].mean(axis=1).sum(axis=0),
                    text.points[text.cells[kind]].mean(axis=1).sum(axis=0), rtol=1e-5)  # fmt: skip
    assert binary.cell_measures().sum() == pytest.approx(2e-9, rel=1e-5)
