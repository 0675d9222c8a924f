"""Files to Mesh and back: one door, ``read_mesh`` and ``write_mesh``.

Formats engineers bring have readers here (gmsh, Abaqus, Nastran, ANSYS archives, VTK, STL, Medit, universal
files): named sets arrive as groups, and ``mesh.notes`` says what was read, changed and left out. Everything
else meshio knows is read by it in a worker process with limits (``guarded``).
"""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from pathlib import Path

import numpy as np

from designtwin.errors import MeshError, MeshReadError
from designtwin.io._common import RawMesh, build_mesh, length_factor, read_bytes
from designtwin.mesh import Mesh

__all__ = ["READABLE", "WRITABLE", "read_mesh", "write_mesh"]

# Name of the format: the module that reads it and its function. Modules load when they are needed.
_READERS = {
    "gmsh": ("gmsh", "read"),
    "abaqus": ("abaqus", "read"),
    "nastran": ("nastran", "read"),
    "vtk": ("vtk", "read_vtk"),
    "vtu": ("vtk", "read_vtu"),
    "stl": ("stl", "read"),
    "medit": ("medit", "read"),
    "cdb": ("ansys", "read"),
    "unv": ("universal", "read"),
}
_WRITERS = {"gmsh": ("gmsh", "write"), "abaqus": ("abaqus", "write"), "vtu": ("vtk", "write")}
_SUFFIXES = {
    ".msh": "gmsh", ".inp": "abaqus", ".bdf": "nastran", ".nas": "nastran", ".fem": "nastran", ".vtk": "vtk",
    ".vtu": "vtu", ".stl": "stl", ".mesh": "medit", ".cdb": "cdb", ".unv": "unv",
    # through meshio
    ".avs": "avsucd", ".cgns": "cgns", ".e": "exodus", ".exo": "exodus", ".ex2": "exodus",
    ".f3grid": "flac3d", ".h5m": "h5m", ".hmf": "hmf", ".mdpa": "mdpa", ".med": "med", ".vol": "netgen",
    ".obj": "obj", ".off": "off", ".post": "permas", ".dato": "permas", ".ply": "ply", ".su2": "su2",
    ".tec": "tecplot", ".ele": "tetgen", ".node": "tetgen", ".ugrid": "ugrid", ".wkt": "wkt", ".xdmf": "xdmf",
    ".xmf": "xdmf", ".xml": "dolfin-xml",
}  # fmt: skip
_EXPORT = "export the mesh as gmsh .msh, Abaqus .inp, Nastran .bdf or .vtu"
_REFUSED = {
    **dict.fromkeys(
        (".stp", ".step", ".p21"),
        "STEP holds geometry, not a mesh; install designtwin[mesher] and mesh it with gmsh "
        "(gmsh part.step -3 -order 2 -o part.msh), or mesh it in your CAD program and export .msh or .inp",
    ),
    **dict.fromkeys(
        (".igs", ".iges", ".brep", ".x_t", ".x_b", ".sat", ".prt", ".sldprt", ".ipt", ".3dm", ".fcstd"),
        "this holds geometry, not a mesh; mesh it in your CAD program or with gmsh and export .msh or .inp",
    ),
    ".geo": "a gmsh script, not a mesh; run gmsh -3 -order 2 on it and read the .msh",
    ".frd": "CalculiX results, not a mesh to test; read the .inp they were computed from",
    ".odb": "Abaqus results, not a mesh to test; read the .inp they were computed from",
    ".op2": "Nastran results, not a mesh to test; read the .bdf they were computed from",
    ".rst": f"ANSYS results, not a mesh to test; {_EXPORT}",
    ".dat": "a .dat may be a CalculiX listing, a Nastran or an Abaqus deck; "
    "if it is a deck, say format='nastran' or format='abaqus'",
    ".meshb": "a binary Medit file, which is not read; save it as ASCII .mesh",
    ".vtp": f"a VTK surface of polygons; {_EXPORT}, or the surface as .stl",
    **dict.fromkeys((".pvtu", ".vtm", ".pvd"), "an index of several VTK files; read the .vtu files it names"),
    ".3mf": "holds surfaces for printing; export the surface as .stl, or a mesh of the solid",
    ".gz": "a compressed file; unpack it first",
    ".zip": "an archive; unpack it first",
}  # fmt: skip

READABLE = tuple(sorted(_READERS))
"""Formats with a reader of ours."""
WRITABLE = tuple(sorted(_WRITERS))


def read_mesh(path: str | Path, *, length_unit: str, format: str | None = None) -> Mesh:
    """Read a mesh with its named groups; lengths become meters.

    Parameters
    ----------
    path : path
        The file. Its ending tells the format: .msh (gmsh 2.2, 4.1), .inp (Abaqus, CalculiX), .bdf .nas
        .fem (Nastran), .cdb (ANSYS), .vtk .vtu, .stl, .mesh (Medit), .unv (I-DEAS); others go through
        meshio in a guarded process (MED, XDMF, Exodus, CGNS, ...).
    length_unit : str
        Unit of the file's coordinates, such as ``"mm"``; hardly any format states it.
    format : str, optional
        Name of the format where the ending misleads: one of ``READABLE`` or a format of meshio.

    Returns
    -------
    Mesh
        With groups of cells (element sets, physical volumes, property ids), facets (surfaces; surface
        cells on solids) and nodes (node sets; line cells on edges of solids). ``notes`` says what was read,
        changed and left out. A facet between two cells belongs to the cell it faces away from.

    Raises
    ------
    MeshReadError
        With file and line: what was found and what to do.
    UnitError
        If the unit is not one of length.
    """
    length_factor(length_unit)
    if not isinstance(path, str | PathLike):
        raise MeshReadError(f"read_mesh: a path is wanted, got {type(path).__name__} {path!r}")
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        # A device or a pipe may never end.
        raise MeshReadError("is no regular file; save the mesh to a file first", file=path)
    kind = _format(path, format)
    # Damaged numbers overflow quietly: what is not finite is named with its node.
    with np.errstate(all="ignore"):
        if kind in _READERS:
            module, function = _READERS[kind]
            raw: RawMesh = getattr(import_module(f"designtwin.io.{module}"), function)(path)
        else:
            from designtwin.io.guarded import read

            raw = read(path, kind)
        return build_mesh(raw, length_unit=length_unit)


def _format(path: Path, asked: str | None) -> str:
    from designtwin.io.guarded import FORMATS

    known = (*READABLE, *FORMATS)
    if asked is not None:
        if asked not in known:
            raise MeshReadError(f"format {asked!r} is not known; there are {', '.join(known)}", file=path)
        return asked
    suffix = path.suffix.lower()
    if not path.is_file():
        read_bytes(path)  # says why
    if suffix in _REFUSED:
        raise MeshReadError(_REFUSED[suffix], file=path)
    if suffix not in _SUFFIXES:
        raise MeshReadError(
            f"files ending in {suffix or 'nothing'!r} are not known; "
            f"say format= with one of {', '.join(known)}",
            file=path,
        )
    kind = _SUFFIXES[suffix]
    if suffix == ".msh":
        with path.open("rb") as stream:
            head = stream.read(4096)
        # Fluent meshes are lists in parentheses and share the ending.
        if head.lstrip()[:1] == b"(" and b"$MeshFormat" not in head:
            return "ansys"
    return kind


def write_mesh(mesh: Mesh, path: str | Path, *, length_unit: str = "mm") -> None:
    """Write a mesh with its groups, whole or not at all.

    Parameters
    ----------
    mesh : Mesh
    path : path
        Ending in .msh (gmsh 4.1, ASCII), .inp (Abaqus) or .vtu.
    length_unit : str
        Unit of the coordinates in the file.

    Raises
    ------
    MeshError
        If the format is another one, or cannot hold the names of the groups.
    """
    path = Path(path)
    factor = length_factor(length_unit)
    kind = _SUFFIXES.get(path.suffix.lower(), "")
    if kind not in _WRITERS:
        raise MeshError(
            f"{path}: meshes are written as .msh (gmsh), .inp (Abaqus) and .vtu, which hold groups; "
            f"not as {path.suffix or 'a file without ending'!r}"
        )
    module, function = _WRITERS[kind]
    getattr(import_module(f"designtwin.io.{module}"), function)(mesh, path, factor)
