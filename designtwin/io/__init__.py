"""Files to Mesh and back: one door, ``read_mesh`` and ``write_mesh``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from designtwin.errors import MeshReadError
from designtwin.io._common import RawMesh, build_mesh, length_factor
from designtwin.mesh import Mesh

__all__ = ["read_mesh"]


# Name of the format: the module that reads it and its function. Modules load when they are needed.
_READERS = {
    "gmsh": ("gmsh", "read"),
    "abaqus": ("abaqus", "read"),
    "nastran": ("nastran", "read"),
    "vtk": ("vtk", "read_vtk"),
    "vtu": ("vtk", "read_vtu"),
    "stl": ("stl", "read"),
    "medit": ("medit", "read"),
}
_SUFFIXES = {
    ".msh": "gmsh", ".inp": "abaqus", ".bdf": "nastran", ".nas": "nastran", ".fem": "nastran", ".vtk": "vtk",
    ".vtu": "vtu", ".stl": "stl", ".mesh": "medit",
}  # fmt: skip


def read_mesh(path: str | Path, *, length_unit: str, format: str | None = None) -> Mesh:
    """Read a mesh with its groups; lengths become meters."""
    length_factor(length_unit)
    path = Path(path)
    kind = format or _SUFFIXES.get(path.suffix.lower())
    if kind not in _READERS:
        raise MeshReadError(
            f"format {kind or path.suffix!r} is not read; known: {sorted(_READERS)}", file=path
        )
    module, function = _READERS[kind]
    raw: RawMesh = getattr(import_module(f"designtwin.io.{module}"), function)(path)
    return build_mesh(raw, length_unit=length_unit)
