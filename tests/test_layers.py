"""The house has one staircase: a file imports only from rows above its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import designtwin

ROWS = (
    "errors typing units plain progress parallel memory",
    "kernels",
    "solvers",
    "elements fatigue optimize",
    "mesh",
    "io",
    "model",
    "assembly",
    "results",
    "requirements",
    "criteria",
    "analysis",
    "prototype",
    "study topology",
    "twin",
    "viz report",
    "demo warm",
    "cli pytest_plugin",
    "__main__",
)
RANK = {room: row for row, rooms in enumerate(ROWS) for room in rooms.split()}
ROOT = Path(designtwin.__file__).parent
EDGE_FROM = RANK["results"]  # edge.py may be called from results downwards


def rooms_imported(path: Path):
    here = ("designtwin", *path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: -node.level]] if node.level else []
            base += node.module.split(".") if node.module else []
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from ((t[1], node.lineno) for t in targets if t[0] == "designtwin" and len(t) > 1)


def _typing_only_lines(path: Path) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


FILES = [p for p in sorted(ROOT.rglob("*.py")) if p.name not in ("edge.py",) and p != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_to_rows_above(path):
    room = path.relative_to(ROOT).with_suffix("").parts[0]
    assert room in RANK, f"{room} has no row in the house: add it to ROWS and to CONTRIBUTING.md"
    skip = _typing_only_lines(path)
    below = []
    for name, line in rooms_imported(path):
        if name == room or name == "__version__":
            continue
        if name == "edge":
            if RANK[room] < EDGE_FROM and line not in skip and room != "mesh":
                below.append((name, line))
            continue
        reaches = RANK[name] > RANK[room] or (RANK[name] == RANK[room] and RANK[room] > 0)
        # A name needed only to say a type is not a dependency of the running house.
        if reaches and line not in skip:
            below.append((name, line))
    assert not below, f"{path.name} ({room}) reaches down or across the house: {below}"


@pytest.mark.parametrize("path", [p for p in FILES if "kernels" in p.parts], ids=lambda p: p.name)
def test_kernel_files_are_self_contained(path):
    # Numba's disk cache misses edits in other files and would serve the old answer.
    assert {name for name, _ in rooms_imported(path)} <= {"typing"}, f"{path.name} imports from the house"


def test_only_viz_knows_pyvista_and_only_io_knows_meshio():
    for path in FILES:
        room = path.relative_to(ROOT).parts[0]
        names = {
            (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert room == "viz" or not names & {"pyvista", "vtk", "vtkmodules"}, path
        assert room == "io" or "meshio" not in names, path


def test_import_loads_nothing_heavy():
    code = (
        "import sys, designtwin; "
        "heavy = {'numba', 'pint', 'vtk', 'pyvista', 'scipy', 'meshio', 'matplotlib', 'vtkmodules'}; "
        "print(sorted(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_resolves():
    for name in designtwin.__all__:
        assert getattr(designtwin, name) is not None
