"""Files to Mesh and back: one door, ``read_mesh`` and ``write_mesh``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from designtwin.errors import MeshReadError
from designtwin.io._common import RawMesh, build_mesh, length_factor
from designtwin.mesh import Mesh

__all__ = ["read_mesh"]


def _gmsh(path: Path) -> RawMesh:
    from designtwin.io.gmsh import read

    return read(path)


def _abaqus(path: Path) -> RawMesh:
    from designtwin.io.abaqus import read

    return read(path)


_READERS: dict[str, Callable[[Path], RawMesh]] = {"gmsh": _gmsh, "abaqus": _abaqus}
_SUFFIXES = {".msh": "gmsh", ".inp": "abaqus"}


def read_mesh(path: str | Path, *, length_unit: str, format: str | None = None) -> Mesh:
    """Read a mesh with its groups; lengths become meters."""
    length_factor(length_unit)
    path = Path(path)
    kind = format or _SUFFIXES.get(path.suffix.lower())
    if kind not in _READERS:
        raise MeshReadError(
            f"format {kind or path.suffix!r} is not read; known: {sorted(_READERS)}", file=path
        )
    return build_mesh(_READERS[kind](path), length_unit=length_unit)
