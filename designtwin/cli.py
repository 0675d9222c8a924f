"""The command line: check a mesh, run a prototype test, see the materials, watch the demo, compile ahead.

Exit codes: 0 PASS, 1 FAIL, 2 CANNOT TELL, 3 a broken model or input, 4 anything else (wrong usage, a crash,
an interrupt). `check` says 0 for a mesh that can be computed with and 3 for one that cannot.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from designtwin.errors import DesignTwinError

EXIT = {"PASS": 0, "FAIL": 1, "CANNOT TELL": 2}
BROKEN, OTHER = 3, 4

app = typer.Typer(
    name="designtwin",
    help="Virtual prototype tests: import a mesh, state loads and requirements, read the verdict.",
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 CANNOT TELL, 3 broken model or input, 4 anything else.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        from designtwin import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(OTHER)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Mesh file: .msh, .inp, .bdf, .vtk, .vtu, .stl, .mesh, .med")],
    length_unit: Annotated[
        str, typer.Option("--length-unit", help="Unit of the file's lengths, such as mm.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Read a mesh, list what it holds and grade its quality."""
    from designtwin.io import read_mesh

    mesh = read_mesh(file, length_unit=length_unit)
    report = mesh.check()
    if as_json:
        _print_json({"mesh": _mesh_data(mesh), "check": report.to_dict()})
    else:
        print(mesh)
        print(report)
    raise typer.Exit(0 if report.grade != "bad" else BROKEN)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Prototype test as text: part.toml")],
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the verdicts as JSON; - prints them.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="DIR", help="Write pictures into this folder.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a report: .html, or .pdf.")
    ] = None,
    fields: Annotated[
        Path | None,
        typer.Option("--fields", metavar="DIR", help="Write fields for ParaView: VTU, over time VTKHDF."),
    ] = None,
    refine: Annotated[
        str | None,
        typer.Option(help="Refine the mesh until verdicts can tell: auto, uniform, or off."),
    ] = None,
    max_unknowns: Annotated[
        int | None, typer.Option(metavar="N", help="Refine no further than to so many unknowns.")
    ] = None,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help='Refine no longer than this, such as "5 min".')
    ] = None,
    max_rounds: Annotated[int | None, typer.Option(metavar="N", help="Refine no more often.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where results are kept; what is unchanged is not solved."),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Solve anew and keep nothing.")] = False,
) -> None:
    """Run the tests of a text file and print the verdict.

    What was asked for is written whole or not at all. A broken file is told as JSON too where JSON is asked
    for, with the status BROKEN.
    """
    from designtwin.criteria.verdict import overall

    if report is not None:
        _check_report(report)
    try:
        verdicts = _run(
            file, _cache(cache, no_cache),
            {"refine": refine, "max_unknowns": max_unknowns, "max_time": max_time, "max_rounds": max_rounds},
        )  # fmt: skip
    except DesignTwinError as error:
        _json({"file": str(file), "status": "BROKEN", "error": str(error)}, as_json)
        raise
    status = overall(verdict.status for verdict in verdicts)
    if as_json != "-":
        for verdict in verdicts:
            _show(verdict)
            for table in verdict.tables:
                print()
                _show(table)
            for zone in verdict.failure_zones():
                print(zone)
    data = {"file": str(file), "status": status, "verdicts": [verdict.to_dict() for verdict in verdicts]}
    try:
        _json(data, as_json)
        _write_all(verdicts, pictures=pictures, fields=fields, report=report)
    except DesignTwinError as error:  # the part is sound; what cannot be written is another matter
        print(f"designtwin: {error}", file=sys.stderr)
        raise typer.Exit(OTHER) from error
    raise typer.Exit(EXIT[status])


@app.command()
def cache(
    action: Annotated[str, typer.Argument(help="info, or clear to forget everything.")] = "info",
    folder: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="The folder, if not the usual one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Tell what results are kept and where, or forget them."""
    from dataclasses import asdict

    from designtwin.prototype.cache import ResultCache

    if action not in ("info", "clear"):
        raise typer.BadParameter(f"{action!r} is neither info nor clear")
    kept = ResultCache(folder)
    if action == "clear":
        removed = kept.clear()
        print(
            json.dumps({"removed": removed}) if as_json else f"{removed} entries removed from {kept.folder}"
        )
    elif as_json:
        _print_json({**asdict(kept.info()), "folder": str(kept.folder)})
    else:
        print(kept.info())


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where pictures and report go.")] = Path(
        "out"
    ),
) -> None:
    """Run the whole job on a real part: tests, verdicts, pictures, report, design loop."""
    from importlib import import_module

    import_module("designtwin.demo").main(out)


@app.command()
def warm() -> None:
    """Compile everything once, so that no analysis has to wait for it; half a minute after an update."""
    from importlib import import_module

    print(import_module("designtwin.warm").warm())


@app.command()
def materials(
    name: Annotated[str | None, typer.Argument(help="Show one material with its sources.")] = None,
) -> None:
    """List the materials of the library, or show one."""
    from designtwin.model.materials import material, material_names

    if name is not None:
        print(material(name))
        return
    from designtwin.units import show

    rows = []
    for one in material_names():
        found = material(one)
        cells = [one]
        for key, dimension in (
            ("youngs_modulus", "modulus"), ("density", "density"), ("yield_strength", "stress"),
            ("ultimate_strength", "stress"), ("conductivity", "conductivity"),
        ):  # fmt: skip
            value = found.magnitude(key)
            constant = value is not None and value.is_constant and value.shape == ()
            cells.append(show(value.value, dimension) if value is not None and constant else "")
        rows.append(cells)
    _columns(("material", "Young's modulus", "density", "yield", "ultimate", "conductivity"), rows)


# ---------------------------------------------------------------------------------------------------


def _show(thing: Any) -> None:
    """Print with colors on a terminal, plainly elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(thing)
    else:
        print(thing)


def _columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cache(folder: Path | None, off: bool) -> Any:
    """The cache of a run; None where none is wanted, by an option or by the environment."""
    from designtwin.prototype.cache import ResultCache, default_folder

    if off and folder is not None:
        raise typer.BadParameter("--cache and --no-cache contradict each other")
    return None if off or (folder is None and default_folder() is None) else ResultCache(folder)


def _check_report(path: Path) -> None:
    """Raise before anything is solved if the report could not be written."""
    kind = path.suffix.lower()
    if kind not in (".html", ".htm", ".pdf"):
        raise typer.BadParameter(f"--report {path}: a page is .html, or .pdf where a browser prints it")
    if kind == ".pdf":
        from designtwin import edge

        try:
            edge.need_browser()
        except DesignTwinError as error:
            raise typer.BadParameter(str(error)) from None


def _run(file: Path, cache: Any, options: dict[str, Any]) -> Sequence[Any]:
    """The verdicts of a file; what the cache found is told."""
    from designtwin.prototype import read_design

    verdicts: Sequence[Any] = read_design(file).run(cache=cache, **options)
    for said in [] if cache is None else cache.said:
        print(said, file=sys.stderr)
    return verdicts


def _write_all(
    verdicts: Sequence[Any], *, pictures: Path | None, fields: Path | None, report: Path | None
) -> None:
    """Pictures, fields and report, each set whole or not at all."""
    for word, folder, write in (("picture", pictures, _draw), ("fields", fields, _write_fields)):
        if folder is not None:
            for path in _all_or_none(folder, lambda part, write=write: list(write(verdicts, part))):  # type: ignore[misc]
                print(f"{word} {path}", file=sys.stderr)
    if report is not None:
        from designtwin import edge

        report.parent.mkdir(parents=True, exist_ok=True)
        edge.report(verdicts if len(verdicts) > 1 else verdicts[0], report)
        print(f"report {report}", file=sys.stderr)


def _all_or_none(folder: Path, write: Callable[[Path], Sequence[Path]]) -> list[Path]:
    """Have files written beside a folder, and move them in when all are there; their places."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".designtwin-", dir=folder) as part:
        made = write(Path(part))
        return [path.replace(folder / path.name) for path in made]


def _json(data: Any, to: str | None) -> None:
    """Plain data to a file, or to standard output for "-"."""
    if to == "-":
        _print_json(data)
    elif to is not None:
        from designtwin.io.files import atomic

        with atomic(to, error=DesignTwinError, make_folder=True) as stream:
            stream.write((json.dumps(data, indent=2, allow_nan=False) + "\n").encode())


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, allow_nan=False))


def _mesh_data(mesh: Any) -> dict[str, Any]:
    low, high = mesh.extents.tolist()
    return {
        "source": mesh.source,
        "points": mesh.n_points,
        "cells": {name: len(conn) for name, conn in mesh.cells.items()},
        "groups": {
            name: {
                word: 0 if ids is None else len(ids)
                for word, ids in (("nodes", group.nodes), ("facets", group.facets), ("cells", group.cells))
            }
            for name, group in mesh.groups.items()
        },
        "extents": {"low": low, "high": high},
        "notes": list(mesh.notes),
    }


def _draw(verdicts: Sequence[Any], folder: Path) -> Iterator[Path]:
    """The pictures an engineer wants of each verdict, each of the load case that is worst."""
    for verdict in verdicts:
        physics = verdict.result.physics
        if verdict.failure_zones():
            path = folder / f"failure_zones_{physics}.png"
            verdict.plot_zones(screenshot=path)
            yield path
        if physics in ("vibration", "buckling"):
            yield from _draw_shapes(verdict, folder)
            continue
        known = verdict.result[verdict.result.cases[0]].field_names
        for name in _FIELDS[physics]:
            if name in known:
                path = folder / f"{name}.png"
                verdict.plot(name, screenshot=path)
                yield path
        courses = _courses(verdict)
        if physics == "thermal" and courses:
            from designtwin import edge

            path = folder / "temperature_over_time.png"
            edge.plot_times([case.history() for case in courses], limits=verdict, screenshot=path)
            yield path


_FIELDS = {
    "static": ("von_mises", "safety_factor", "displacement"), "thermal": ("temperature",),
    "life": ("damage", "life"),
}  # fmt: skip
"""What is drawn of each kind of result."""
_SHAPES = 3
"""Modes that are drawn."""


def _draw_shapes(verdict: Any, folder: Path) -> Iterator[Path]:
    """The lowest modes and what is judged of responses, or the first way to buckle in each load case."""
    from designtwin.results import case_folder

    result = verdict.result
    if result.physics == "buckling":
        shapes = [(f"buckling_{name}", case.critical_mode) for name, case in result.by_case.items()]
    else:
        elastic = [mode for mode in result.modes if not mode.is_rigid]
        shapes = [(f"mode_{mode.number}", mode) for mode in elastic[:_SHAPES]]
    for name, shape in shapes:
        if shape is not None:
            place = case_folder(folder, name)
            assert place is not None
            path = place.with_name(f"{place.name}.png")
            shape.plot("displacement", screenshot=path)
            yield path
    drawn = set()
    for row in verdict.rows:
        quantity = row.requirement.quantity
        reads = getattr(quantity, "reads", "")
        if not reads or (quantity, row.value.case) in drawn:
            continue
        drawn.add((quantity, row.value.case))
        place = case_folder(folder, f"{row.value.case}_{reads}")
        assert place is not None
        path = place.with_name(f"{place.name}.png")
        verdict.plot(quantity, screenshot=path)
        yield path


def _courses(verdict: Any) -> list[Any]:
    """The cases of a verdict that have a course in time."""
    from designtwin.requirements.base import frames_of

    return [case for case in verdict.result.by_case.values() if len(frames_of(case)) > 1]


def _write_fields(verdicts: Sequence[Any], folder: Path) -> Iterator[Path]:
    """What ParaView opens: a file of each course in time, one of all other cases of a test."""
    from designtwin.results import case_folder

    for verdict in verdicts:
        courses = _courses(verdict)
        for case in courses:
            place = case_folder(folder, case.name)
            assert place is not None
            yield case.to_vtkhdf(place.with_name(f"{verdict.result.physics}_{place.name}.vtkhdf"))
        if len(courses) < len(verdict.result.by_case):
            yield verdict.result.to_vtu(folder / f"{verdict.result.physics}.vtu")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process unless given.

    Returns
    -------
    int
        The exit code; see the head of this file.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that has no "≥" still gets its verdict
    try:
        # not through the parser's own main: it has exit codes of its own for interrupts and closed pipes
        command = typer.main.get_command(app)
        with command.make_context("designtwin", list(sys.argv[1:] if argv is None else argv)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except DesignTwinError as error:
        print(f"designtwin: {error}", file=sys.stderr)
        return BROKEN
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("designtwin: interrupted", file=sys.stderr)
        return OTHER
    except BrokenPipeError:
        # the reader of our output has left; give the interpreter nothing more to flush
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OTHER
    except OSError as error:
        print(f"designtwin: {error}", file=sys.stderr)
        return OTHER
    except Exception as error:
        if callable(getattr(error, "show", None)):  # wrong usage, told by the parser itself
            error.show(sys.stderr)  # type: ignore[attr-defined]
        else:
            import traceback

            traceback.print_exc()
            print("designtwin: this crash is our mistake, not yours; please report it", file=sys.stderr)
        return OTHER


if __name__ == "__main__":
    sys.exit(main())
