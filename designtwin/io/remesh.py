"""A closed surface filled with tetrahedra of an even size, by gmsh in a process of its own.

``python -m designtwin.io.remesh FOLDER`` is the worker. The surface comes in patches; the borders between
them stay edges of the mesh, and every triangle of the new surface knows its patch.

Source: Remacle et al., High-quality surface remeshing using harmonic maps, Int. J. Numer. Meth. Engng 83
(2010), 403-425.
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from designtwin.io.worker import done, given, gmsh_process, refused
from designtwin.typing import FloatArray, IntArray

_SMALLEST = 0.3
"""Share of the edge asked for below which gmsh makes none unless the borders of patches do."""

_CORNER = math.radians(75.0)
"""Turn of a border from which on its corner is kept."""


@dataclass(frozen=True, eq=False)
class Filled:
    """Tetrahedra inside a surface, and the triangles of its outside.

    Parameters
    ----------
    points : float64[n, 3]
        m.
    tetra : int64[k, 4]
    triangles : int64[t, 3]
    patch : int64[t]
        Of the surface that was given, on which each triangle lies.
    """

    points: FloatArray
    tetra: IntArray
    triangles: IntArray
    patch: IntArray


def fill(
    points: FloatArray, triangles: IntArray, patch: IntArray, body: IntArray, shell: IntArray,
    *, edge: float, max_time: float,
) -> Filled:  # fmt: skip
    """Mesh the inside of closed triangles anew, surface and all.

    Parameters
    ----------
    points : float64[n, 3]
        m.
    triangles : int64[t, 3]
        Outward.
    patch : int64[t]
        0, 1, ...; borders between patches are kept.
    body, shell : int64[n_patches]
        The body each patch bounds, and the closed shell it is part of (a body with cavities has several).
    edge : float
        Of cells, m.
    max_time : float
        s, after which gmsh is ended.

    Raises
    ------
    MeshError
        If gmsh is missing, cannot mesh it (its own words) or does not end in time.
    """
    # gmsh reckons with tolerances of its own: edges of one, whatever the unit.
    arrays = {
        "points": points / edge, "triangles": triangles, "patch": patch, "body": body, "shell": shell,
    }  # fmt: skip
    what = f"a surface of {len(triangles):,} triangles at edges of {edge * 1e3:.3g} mm"
    with tempfile.TemporaryDirectory(prefix="designtwin-") as folder:
        out = gmsh_process(
            "designtwin.io.remesh", {}, arrays, Path(folder), seconds=max_time, task=f"mesh {what}",
            advice="give a larger edge or a longer max_time",
        )  # fmt: skip
    return Filled(out["points"] * edge, out["tetra"], out["triangles"], out["patch"])


# --- in the worker ----------------------------------------------------------------------------------------


def _main(folder: str) -> int:
    import gmsh

    _, arrays = given(folder)
    gmsh.initialize(interruptible=False)
    try:
        for name, value in (
            ("General.Verbosity", 1), ("General.NumThreads", 1), ("Mesh.RandomSeed", 1),
            ("Mesh.MeshSizeMax", 1.0), ("Mesh.MeshSizeMin", _SMALLEST), ("Mesh.MeshSizeFromPoints", 0),
            ("Mesh.MeshSizeExtendFromBoundary", 1), ("Mesh.Algorithm", 6),
        ):  # fmt: skip
            gmsh.option.setNumber(name, value)
        out = _filled(gmsh, arrays)
    except Exception as error:  # whatever gmsh raises is its answer
        return refused(error)
    finally:
        gmsh.finalize()
    return done(folder, out)


def _filled(gmsh: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    triangles, patch = arrays["triangles"], arrays["patch"]
    used = np.unique(triangles)
    number = np.arange(1, len(triangles) + 1)
    for one in range(int(patch.max()) + 1):
        tag = gmsh.model.addDiscreteEntity(2)
        if one == 0:
            gmsh.model.mesh.addNodes(2, tag, used + 1, arrays["points"][used].ravel())
        rows = patch == one
        gmsh.model.mesh.addElementsByType(tag, 2, number[rows], (triangles[rows] + 1).ravel())
    gmsh.model.mesh.createTopology()
    # Patches alone make edges, which keep their corners; each is cut further until it can be drawn flat.
    gmsh.model.mesh.classifySurfaces(math.pi, True, True, _CORNER)
    faces = [tag for _, tag in gmsh.model.getEntities(2)]
    origin = np.array([_patch_of(gmsh, tag, triangles, patch) for tag in faces])
    gmsh.model.mesh.createGeometry()
    for body in np.unique(arrays["body"]):
        mine = arrays["body"][origin] == body
        loops = []
        for shell in np.unique(arrays["shell"][origin[mine]]):
            rows = np.flatnonzero(mine & (arrays["shell"][origin] == shell))
            loops.append(gmsh.model.geo.addSurfaceLoop([faces[row] for row in rows]))
        gmsh.model.geo.addVolume(loops)
    gmsh.model.geo.synchronize()
    gmsh.model.mesh.generate(3)
    gmsh.model.mesh.optimize("Netgen")
    tags, x, _ = gmsh.model.mesh.getNodes()
    at = np.zeros(int(tags.max()) + 1, np.int64)
    at[tags.astype(np.int64)] = np.arange(len(tags))
    tetra = at[gmsh.model.mesh.getElementsByType(4)[1].astype(np.int64)].reshape(-1, 4)
    outer, of = [], []
    for tag, one in zip(faces, origin, strict=True):
        found = at[gmsh.model.mesh.getElementsByType(2, tag)[1].astype(np.int64)].reshape(-1, 3)
        outer.append(found)
        of.append(np.full(len(found), one))
    if not len(tetra):
        raise ValueError("no tetrahedra came of it")
    return {
        "points": np.reshape(x, (-1, 3)), "tetra": tetra, "triangles": np.concatenate(outer),
        "patch": np.concatenate(of),
    }  # fmt: skip


def _patch_of(gmsh: Any, tag: int, triangles: IntArray, patch: IntArray) -> int:
    """The patch that a face is a part of, by the triangles it was made of."""
    tags, nodes = gmsh.model.mesh.getElementsByType(2, tag)
    row = int(tags[0]) - 1
    if not (0 <= row < len(triangles)) or set(triangles[row] + 1) != set(nodes[:3].astype(int)):
        raise ValueError("gmsh numbered the triangles of the surface anew")
    return int(patch[row])


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
