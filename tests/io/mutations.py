"""Small meshes in many formats, and damage done to them: the same number always gives the same file.

``python mutations.py FIRST COUNT FOLDER`` is the worker of the test: it reads mutated files under 1 GiB of
address space and 5 s each, and prints what went wrong as one line of JSON.
"""

from __future__ import annotations

import base64
import json
import random
import re
import struct
import sys
import tempfile
import time
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from builders import box

from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError
from designtwin.io import read_mesh, write_mesh
from designtwin.mesh import Group, Mesh

MEMORY = 1 << 30
SECONDS = 5.0

_VTK = {"tetra": 10, "tetra10": 24, "hexahedron": 12}


def _meshes() -> dict[str, Mesh]:
    tets = box("tetra", (2, 1, 1), (20e-3, 10e-3, 10e-3))
    tets = tets.with_groups({"two words": Group(nodes=np.array([0, 3, 4]), cells=np.array([1, 2, 5]))})
    return {"tetra": tets, "tetra10": box("tetra10", 1), "hexahedron": box("hexahedron", (2, 2, 1))}


# --- formats that designtwin reads and does not write -----------------------------------------------------


def _cells(mesh: Mesh) -> list[tuple[str, list[int]]]:
    return [(kind, row) for kind, _, conn in mesh.blocks() for row in conn.tolist()]


def msh22(mesh: Mesh, binary: bool = False) -> bytes:
    """MSH 2.2; tet10 has its last two nodes exchanged."""
    number = {"tetra": 4, "tetra10": 11, "hexahedron": 5}
    head = f"$MeshFormat\n2.2 {int(binary)} 8\n".encode()
    head += (struct.pack("<i", 1) + b"\n") if binary else b""
    head += b'$EndMeshFormat\n$PhysicalNames\n1\n3 7 "the body"\n$EndPhysicalNames\n'
    out = [head, f"$Nodes\n{mesh.n_points}\n".encode()]
    for i, xyz in enumerate(mesh.points.tolist(), 1):
        out.append(struct.pack("<i3d", i, *xyz) if binary else f"{i} {xyz[0]} {xyz[1]} {xyz[2]}\n".encode())
    out.append((b"\n" if binary else b"") + f"$EndNodes\n$Elements\n{mesh.n_cells}\n".encode())
    for i, (kind, row) in enumerate(_cells(mesh), 1):
        nodes = [n + 1 for n in row]
        if kind == "tetra10":
            nodes[8], nodes[9] = nodes[9], nodes[8]
        if binary:
            out.append(struct.pack(f"<{6 + len(nodes)}i", number[kind], 1, 2, i, 7, 1, *nodes))
        else:
            out.append(" ".join(map(str, [i, number[kind], 2, 7, 1, *nodes])).encode() + b"\n")
    out.append((b"\n" if binary else b"") + b"$EndElements\n")
    return b"".join(out)


def msh41_binary(mesh: Mesh) -> bytes:
    number = {"tetra": 4, "tetra10": 11, "hexahedron": 5}
    out = [b"$MeshFormat\n4.1 1 8\n" + struct.pack("<i", 1) + b"\n$EndMeshFormat\n"]
    out.append(b'$PhysicalNames\n1\n3 7 "the body"\n$EndPhysicalNames\n$Entities\n')
    out.append(struct.pack("<4Q", 0, 0, 0, 1) + struct.pack("<i6dQiQ", 1, *[0.0] * 6, 1, 7, 0))
    out.append(b"\n$EndEntities\n$Nodes\n")
    n = mesh.n_points
    out.append(struct.pack("<4Q", 1, n, 1, n) + struct.pack("<3iQ", 3, 1, 0, n))
    out.append(np.arange(1, n + 1).astype("<u8").tobytes() + mesh.points.astype("<f8").tobytes())
    out.append(b"\n$EndNodes\n$Elements\n")
    ((kind, _, conn),) = list(mesh.blocks())
    conn = conn.copy()
    if kind == "tetra10":
        conn[:, [8, 9]] = conn[:, [9, 8]]
    rows = np.column_stack([np.arange(1, len(conn) + 1), conn + 1])
    out.append(
        struct.pack("<4Q", 1, len(conn), 1, len(conn)) + struct.pack("<3iQ", 3, 1, number[kind], len(conn))
    )
    out.append(rows.astype("<u8").tobytes() + b"\n$EndElements\n")
    return b"".join(out)


def bdf(mesh: Mesh, large: bool = False) -> bytes:
    card = {"tetra": "CTETRA", "tetra10": "CTETRA", "hexahedron": "CHEXA"}
    out = ["SOL 101\nCEND\nBEGIN BULK\n$ a comment\nMAT1    1       2.1+11          .3\n"]
    out.append('$HMNAME PROP 7"the body"\nPSOLID  7       1\n')
    for i, (x, y, z) in enumerate(mesh.points.tolist(), 1):
        if large:
            out.append(f"GRID*   {i:<16d}{'':16s}{x:<16.9g}{y:<16.9g}*\n*       {z:<16.9g}\n")
        else:
            out.append(f"GRID    {i:<8d}{'':8s}{x:<8.5g}{y:<8.5g}{z:<8.5g}\n")
    for i, (kind, row) in enumerate(_cells(mesh), 1):
        fields = [str(i), "7", *(str(n + 1) for n in row)]
        lines = [fields[j : j + 8] for j in range(0, len(fields), 8)]
        text = f"{card[kind]:8s}"
        for j, line in enumerate(lines):
            text += ("+       " if j else "") + "".join(f"{word:8s}" for word in line) + "\n"
        out.append(text)
    out.append("SPC1,3,123,1,THRU,4\nENDDATA\n")
    return "".join(out).encode()


def vtk_legacy(mesh: Mesh, binary: bool = False, version: str = "3.0") -> bytes:
    out = [f"# vtk DataFile Version {version}\na title\n{'BINARY' if binary else 'ASCII'}\n".encode()]

    def put(values: np.ndarray, dtype: str) -> bytes:
        array = np.asarray(values)
        if binary:
            return array.astype(">" + dtype).tobytes() + b"\n"
        return " ".join(map(str, array.ravel().tolist())).encode() + b"\n"

    out.append(
        f"DATASET UNSTRUCTURED_GRID\nPOINTS {mesh.n_points} double\n".encode() + put(mesh.points, "f8")
    )
    rows = [row for _, row in _cells(mesh)]
    if version == "3.0":
        flat = [n for row in rows for n in [len(row), *row]]
        out.append(f"CELLS {len(rows)} {len(flat)}\n".encode() + put(np.array(flat), "i4"))
    else:
        offsets = np.cumsum([0, *map(len, rows)])
        conn = np.concatenate(rows)
        out.append(f"CELLS {len(offsets)} {len(conn)}\nOFFSETS vtktypeint64\n".encode() + put(offsets, "i8"))
        out.append(b"CONNECTIVITY vtktypeint64\n" + put(conn, "i8"))
    types = np.array([_VTK[kind] for kind, _ in _cells(mesh)])
    out.append(f"CELL_TYPES {len(types)}\n".encode() + put(types, "i4"))
    out.append(f"CELL_DATA {len(types)}\nSCALARS mat_id int 1\nLOOKUP_TABLE default\n".encode())
    out.append(put(np.arange(len(types)) % 2 + 1, "i4"))
    out.append(f"POINT_DATA {mesh.n_points}\nFIELD FieldData 2\nnode_groups 1 {mesh.n_points} int\n".encode())
    out.append(put(np.arange(mesh.n_points) % 3, "i4") + f"u 3 {mesh.n_points} double\n".encode())
    out.append(put(mesh.points, "f8"))
    return b"".join(out)


def vtu(mesh: Mesh, form: str = "ascii", compressed: bool = False) -> bytes:
    """VTU with ascii, binary (base64) or raw appended arrays; header of 32 bits."""
    appended: list[bytes] = []

    def encoded(values: np.ndarray) -> tuple[bytes, bytes]:
        raw = values.tobytes()
        if not compressed:
            return struct.pack("<I", len(raw)) + raw, b""
        block = 512
        chunks = [zlib.compress(raw[i : i + block]) for i in range(0, len(raw), block)]
        head = struct.pack(f"<{3 + len(chunks)}I", len(chunks), block, len(raw) % block, *map(len, chunks))
        return head, b"".join(chunks)

    def array(name: str, values: np.ndarray, kind: str, components: int = 1) -> bytes:
        dtype = {"Float64": "<f8", "Int64": "<i8", "UInt8": "u1", "Int32": "<i4"}[kind]
        values = np.ascontiguousarray(values).astype(dtype)
        head = f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="{components}" format='.encode()
        if form == "ascii":
            return (
                head + b'"ascii">' + " ".join(map(str, values.ravel().tolist())).encode() + b"</DataArray>\n"
            )
        first, second = encoded(values)
        if form == "binary":
            text = base64.b64encode(first) + (base64.b64encode(second) if compressed else b"")
            return head + b'"binary">\n' + text + b"\n</DataArray>\n"
        offset = sum(map(len, appended))
        appended.append(first + second)
        return head + f'"appended" offset="{offset}"/>\n'.encode()

    kinds, rows = zip(*_cells(mesh))
    compressor = ' compressor="vtkZLibDataCompressor"' if compressed else ""
    grid = f'type="UnstructuredGrid" version="0.1" byte_order="LittleEndian"{compressor}'
    counts = f'NumberOfPoints="{mesh.n_points}" NumberOfCells="{mesh.n_cells}"'
    out = [
        f'<?xml version="1.0"?>\n<VTKFile {grid}>\n<UnstructuredGrid>\n<Piece {counts}>\n'.encode(),
        b"<Points>\n", array("Points", mesh.points, "Float64", 3), b"</Points>\n<Cells>\n",
        array("connectivity", np.concatenate(rows), "Int64"),
        array("offsets", np.cumsum([len(r) for r in rows]), "Int64"),
        array("types", np.array([_VTK[k] for k in kinds]), "UInt8"),
        b"</Cells>\n<CellData>\n", array("PartId", np.arange(mesh.n_cells) // 3, "Int32"),
        b"</CellData>\n<PointData>\n", array("T", np.arange(mesh.n_points) * 1.0, "Float64"),
        b"</PointData>\n</Piece>\n</UnstructuredGrid>\n",
    ]  # fmt: skip
    if appended:
        out.append(b'<AppendedData encoding="raw">\n_' + b"".join(appended) + b"\n</AppendedData>\n")
    return b"".join(out) + b"</VTKFile>\n"


def stl(mesh: Mesh, binary: bool = False) -> bytes:
    blocks = mesh.facets(mesh.exterior)
    triangles = np.concatenate([mesh.points[b.conn[:, :3]] for b in blocks])
    if binary:
        head = b"made here".ljust(80) + struct.pack("<I", len(triangles))
        return head + b"".join(struct.pack("<12fH", 0, 0, 1, *t.ravel(), 0) for t in triangles)
    out = ["solid part\n"]
    for t in triangles.tolist():
        corners = "".join(f"      vertex {x:.6e} {y:.6e} {z:.6e}\n" for x, y, z in t)
        out.append(f"  facet normal 0 0 1\n    outer loop\n{corners}    endloop\n  endfacet\n")
    return ("".join(out) + "endsolid part\n").encode()


def medit(mesh: Mesh) -> bytes:
    words = {"tetra": "Tetrahedra", "tetra10": "TetrahedraP2", "hexahedron": "Hexahedra"}
    out = [f"MeshVersionFormatted 2\nDimension 3\nVertices\n{mesh.n_points}\n"]
    out += [f"{x} {y} {z} {i % 2}\n" for i, (x, y, z) in enumerate(mesh.points.tolist())]
    for kind, _, conn in mesh.blocks():
        out.append(f"{words[kind]}\n{len(conn)}\n")
        out += [
            " ".join(map(str, [n + 1 for n in row])) + f" {i % 3}\n" for i, row in enumerate(conn.tolist())
        ]
    return ("".join(out) + "End\n").encode()


def cdb(mesh: Mesh) -> bytes:
    """ANSYS archive; a component of nodes and one of elements."""
    number = {"tetra": 285, "tetra10": 187, "hexahedron": 185}
    ((kind, _, conn),) = list(mesh.blocks())
    out = [f"/PREP7\nET,1,{number[kind]}\nNBLOCK,6,SOLID,{mesh.n_points},{mesh.n_points}\n(3i9,6e21.13e3)\n"]
    for i, xyz in enumerate(mesh.points.tolist(), 1):
        out.append(f"{i:9d}{0:9d}{0:9d}" + "".join(f"{x:21.13E}" for x in xyz) + "\n")
    out.append(f"N,R5.3,LOC,       -1,\nEBLOCK,19,SOLID,{len(conn)},{len(conn)}\n(19i9)\n")
    for i, row in enumerate(conn.tolist(), 1):
        values = [i % 2 + 1, 1, 1, 1, 0, 0, 0, 0, len(row), 0, i, *(n + 1 for n in row)]
        out += ["".join(f"{v:9d}" for v in values[j : j + 19]) + "\n" for j in range(0, len(values), 19)]
    out.append("       -1\nCMBLOCK,TIP,NODE,3\n(8i10)\n         1        -3         4\n")
    out.append("CMBLOCK,SOME    ,ELEM,       1  ! a comment\n(8i10)\n         2\n")
    return "".join(out).encode()


def unv(mesh: Mesh) -> bytes:
    """Universal file with a group of nodes and elements."""
    number = {"tetra": 111, "tetra10": 118, "hexahedron": 115}
    order = {"tetra10": (0, 4, 1, 5, 2, 6, 7, 8, 9, 3)}
    out = ["    -1\n  2411\n"]
    for i, xyz in enumerate(mesh.points.tolist(), 1):
        out.append(
            f"{i:10d}{1:10d}{1:10d}{11:10d}\n" + "".join(f"{x:25.16E}" for x in xyz).replace("E", "D") + "\n"
        )
    out.append("    -1\n    -1\n  2412\n")
    for i, (kind, row) in enumerate(_cells(mesh), 1):
        nodes = [row[c] + 1 for c in order.get(kind, range(len(row)))]
        out.append(f"{i:10d}{number[kind]:10d}{i % 2 + 1:10d}{1:10d}{7:10d}{len(nodes):10d}\n")
        out += ["".join(f"{n:10d}" for n in nodes[j : j + 8]) + "\n" for j in range(0, len(nodes), 8)]
    out.append(f"    -1\n    -1\n  2467\n{1:10d}{0:10d}{0:10d}{0:10d}{0:10d}{0:10d}{0:10d}{3:10d}\nthe tip\n")
    members = [7, 1, 0, 0, 7, 2, 0, 0, 8, 1, 0, 0]
    out += ["".join(f"{m:10d}" for m in members[j : j + 8]) + "\n" for j in (0, 8)]
    return ("".join(out) + "    -1\n").encode()


def written(mesh: Mesh, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mesh{suffix}"
        write_mesh(mesh, path)
        return path.read_bytes()


@lru_cache
def seeds() -> tuple[tuple[str, str, bytes], ...]:
    """Name, ending and content of each sound file."""
    out: list[tuple[str, str, bytes]] = []
    for name, mesh in _meshes().items():
        out += [
            (f"gmsh 4.1 {name}", ".msh", written(mesh, ".msh")),
            (f"gmsh 4.1 binary {name}", ".msh", msh41_binary(mesh)),
            (f"gmsh 2.2 {name}", ".msh", msh22(mesh)),
            (f"gmsh 2.2 binary {name}", ".msh", msh22(mesh, binary=True)),
            (f"abaqus {name}", ".inp", written(mesh, ".inp")),
            (f"nastran {name}", ".bdf", bdf(mesh)),
            (f"nastran large {name}", ".bdf", bdf(mesh, large=True)),
            (f"vtk {name}", ".vtk", vtk_legacy(mesh)),
            (f"vtk 5.1 {name}", ".vtk", vtk_legacy(mesh, version="5.1")),
            (f"vtk binary {name}", ".vtk", vtk_legacy(mesh, binary=True)),
            (f"vtu ascii {name}", ".vtu", vtu(mesh)),
            (f"vtu base64 {name}", ".vtu", vtu(mesh, "binary")),
            (f"vtu zlib {name}", ".vtu", vtu(mesh, "binary", compressed=True)),
            (f"vtu appended {name}", ".vtu", vtu(mesh, "appended", compressed=True)),
            (f"vtu written {name}", ".vtu", written(mesh, ".vtu")),
            (f"stl {name}", ".stl", stl(mesh)),
            (f"stl binary {name}", ".stl", stl(mesh, binary=True)),
            (f"medit {name}", ".mesh", medit(mesh)),
            (f"ansys {name}", ".cdb", cdb(mesh)),
            (f"universal {name}", ".unv", unv(mesh)),
        ]
    deck = (
        b"*HEADING\n a deck\n*PART, NAME=P\n*NODE\n"
        b"1,0.,0.,0.\n2,1.,0.,0.\n3,0.,1.,0.\n4,0.,0.,1.\n5,1.,1.,1.\n"
        b"*ELEMENT, TYPE=C3D4, ELSET=E\n1,1,2,3,4\n2,2,3,4,5\n*NSET, NSET=N, GENERATE\n1,5,2\n"
        b"*ELSET, ELSET=F\nE, 2\n*SURFACE, NAME=S\nE, S1\n2, S3\n*END PART\n*ASSEMBLY, NAME=A\n"
        b"*INSTANCE, NAME=I, PART=P\n1.,0.,0.\n0.,0.,0.,0.,0.,1.,90.\n*END INSTANCE\n"
        b"*NSET, NSET=M, INSTANCE=I\n1,2\n*ELSET, ELSET=_T, INSTANCE=I\n2\n"
        b"*SURFACE, NAME=T\n_T, S2\n*NSET, NSET=L, ELSET=_T\n*END ASSEMBLY\n"
        b"*MATERIAL, NAME=STEEL\n*ELASTIC\n2e5,.3\n"
    )
    out += [("abaqus instance", ".inp", deck)] * 3
    return tuple(out)


# --- damage ---------------------------------------------------------------------------------------------

_NUMBERS = (
    b"-1", b"0", b"1", b"4", b"99999999999", b"2147483648", b"-2147483649", b"18446744073709551615", b"1e308",
    b"1e400", b"nan", b"inf", b"-inf", b"1e-320", b"0x10", b"1.5", b"abc", b"", b"1e15", b"9" * 400,
)  # fmt: skip
_WORDS = (
    struct.pack("<q", -1),
    struct.pack("<q", 2**62),
    struct.pack("<i", 2**31 - 1),
    struct.pack("<d", float("nan")),
)


def _flip(data: bytearray, r: random.Random) -> None:
    for _ in range(r.choice((1, 1, 2, 8))):
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)


def _cut(data: bytearray, r: random.Random) -> None:
    del data[r.randrange(len(data)) :]


def _drop(data: bytearray, r: random.Random) -> None:
    at = r.randrange(len(data))
    del data[at : at + r.choice((1, 2, 7, 50, 500))]


def _insert(data: bytearray, r: random.Random) -> None:
    at = r.randrange(len(data))
    data[at:at] = r.choice(
        (bytes(r.randrange(256) for _ in range(9)), b"\n", b" ", b",", b"*", b"$", b"<", b'"', b"\0")
    )


def _lines(data: bytearray, r: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    i, j = r.randrange(len(lines)), r.randrange(len(lines))
    what = r.randrange(4)
    if what == 0:
        lines.insert(j, lines[i])
    elif what == 1:
        del lines[i]
    elif what == 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        lines[i:i] = lines[i : i + 5] * r.choice((1, 3, 200))
    data[:] = b"\n".join(lines)


def _number(data: bytearray, r: random.Random) -> None:
    found = list(re.finditer(rb"[-+\d.][-+\d.eE]*", bytes(data)))
    if found:
        match = r.choice(found)
        data[match.start() : match.end()] = r.choice(_NUMBERS)


def _header(data: bytearray, r: random.Random) -> None:
    """A lie in a count: numbers after a word, or in the first lines."""
    found = list(re.finditer(rb'(?:[A-Za-z_"]["=\s]+|\A.{0,200}?\s)(\d+)', bytes(data), re.S))
    if found:
        match = r.choice(found[:40])
        data[match.start(1) : match.end(1)] = r.choice(_NUMBERS)


def _word(data: bytearray, r: random.Random) -> None:
    word = r.choice(_WORDS)
    at = r.randrange(len(data))
    data[at : at + len(word)] = word


DAMAGE = (_flip, _cut, _drop, _insert, _lines, _number, _number, _header, _header, _word)


def mutated(index: int) -> tuple[str, str, bytes]:
    """Name, ending and content of the damaged file of that number."""
    r = random.Random(index)
    name, suffix, content = seeds()[index % len(seeds())]
    data = bytearray(content)
    done = []
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        if data:
            damage = r.choice(DAMAGE)
            damage(data, r)
            done.append(damage.__name__.strip("_"))
    return f"{index}: {name}: {', '.join(done)}", suffix, bytes(data)


def outcome(path: Path) -> str:
    """'refused' or 'mesh'; anything else is raised."""
    try:
        mesh = read_mesh(path, length_unit="mm")
    except DesignTwinError as error:
        if not str(error).strip():
            raise AssertionError("an error without a word") from error
        return "refused"
    assert np.isfinite(mesh.points).all()
    assert mesh.n_cells > 0
    for group in mesh.groups.values():
        if group.facets is not None and len(group.facets):
            facets = [len(ELEMENTS[mesh.cell(int(c))[0]].facets) for c in group.facets[:, 0]]
            assert (group.facets[:, 1] >= 0).all()
            assert (group.facets[:, 1] < facets).all()
    assert all(note.strip() for note in mesh.notes)
    return "mesh"


def main(first: int, count: int, folder: str) -> None:
    import resource
    import signal

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    counts = {"refused": 0, "mesh": 0}
    wrong: list[str] = []
    slowest = 0.0
    for index in range(first, first + count):
        name, suffix, data = mutated(index)
        path = Path(folder) / f"mutated-{first}{suffix}"
        path.write_bytes(data)
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            counts[outcome(path)] += 1
        except BaseException as error:
            wrong.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.perf_counter() - began)
    print(json.dumps({**counts, "wrong": wrong, "slowest": slowest}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
