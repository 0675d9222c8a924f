"""What a verdict stands on, as tables: materials with sources, supports, loads, mesh, checks, software."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from designtwin import units
from designtwin.errors import DesignTwinError

Block = dict[str, Any]


def table_block(table: Any) -> list[Block]:
    """A `results.tables.Table` as it stands on a page."""
    block = {
        "kind": "table", "title": "", "head": list(table.headings),
        "rows": [list(row) for row in table.cells],
    }  # fmt: skip
    return [block, *({"kind": "text", "text": note} for note in table.notes)]


def statement_key(model: Any) -> str:
    """Equal for models that state the same on whatever mesh."""
    parts = [part.name + part.section.content_hash() for part in model.parts]
    parts += [item.content_hash() for item in (*model.supports, *model.heat_supports, *model.connections)]
    for case in model.cases.values():
        parts += [case.name, *(item.content_hash() for item in case.items)]
    parts += [f"{name} {factors}" for name, factors in model.combinations.items()]
    return " ".join(parts)


def model_blocks(model: Any) -> list[Block]:
    """Materials, supports, connections if there are any, and load cases."""
    joints = [_joint_block(model)] if model.connections else []
    return [*_material_blocks(model), _support_block(model), *joints, _case_block(model)]


def _material_blocks(model: Any) -> list[Block]:
    by_material: dict[str, tuple[Any, list[str]]] = {}
    for part in model.parts:
        section = type(part.section).__name__
        more = [
            f"{name} {getattr(part.section, name)}"
            for name in ("thickness", "area")
            if hasattr(part.section, name)
        ]
        words = f"{part.name} ({', '.join([section, *more])}, {len(part.cells):,} cells)"
        key = part.section.material.content_hash()
        by_material.setdefault(key, (part.section.material, []))[1].append(words)
    blocks = []
    for material, parts in by_material.values():
        rows = []
        for key in material.properties:
            value = getattr(material, key)
            if value is not None:
                source = material.source
                text = source.get(key, "") if isinstance(source, Mapping) else (source or "")
                rows.append([_words(key), str(value), text or "as stated"])
        name = getattr(material, "name", "") or type(material).__name__
        blocks.append(
            {
                "kind": "table",
                "title": f"Material {name}: {'; '.join(parts)}",
                "head": ["property", "value", "source"],
                "rows": rows,
            }
        )
    return blocks


def _words(key: str) -> str:
    return key.replace("youngs", "Young's").replace("poissons", "Poisson's").replace("_", " ")


def _support_block(model: Any) -> Block:
    rows = [["all cases", s.said, _magnitudes(s)] for s in (*model.supports, *model.heat_supports)]
    for case in model.cases.values():
        rows += [[case.name, s.said, _magnitudes(s)] for s in (*case.supports, *case.heat_supports)]
    return {"kind": "table", "title": "Supports", "head": ["load case", "support", "value"], "rows": rows}


def _joint_block(model: Any) -> Block:
    """What joins parts, and what is odd about it on this mesh."""
    rows = []
    for joint in model.connections:
        try:
            notes = "; ".join(joint.notes(model))
        except DesignTwinError as error:
            notes = str(error)
        rows.append([joint.said, joint.amount, notes.replace(f"{joint.said}: ", "")])
    head = ["connection", "value", "to be noted"]
    return {"kind": "table", "title": "Connections", "head": head, "rows": rows}


def _case_block(model: Any) -> Block:
    rows = []
    for case in model.cases.values():
        for load in case.loads:
            rows.append([case.name, load.said, _magnitudes(load), _resultant(load, model)])
        for load in case.heat_loads:
            rows.append([case.name, load.said, _magnitudes(load), _heat(load, model)])
        if case.temperature is not None:
            rows.append([case.name, case.temperature.said, "", ""])
    for name, factors in model.combinations.items():
        rows.append([name, " + ".join(f"{factor:g} × {case}" for case, factor in factors.items()), "", ""])
    return {
        "kind": "table",
        "title": "Loads",
        "head": ["load case", "load", "value", "in total"],
        "rows": rows,
    }


def _magnitudes(item: Any) -> str:
    names = (
        "value",
        "magnitude",
        "total",
        "coefficient",
        "ambient",
        "direction",
        "axis",
        "speed",
        "stiffness",
        "mass",
    )
    texts = []
    for name in names:
        value = getattr(item, name, None)
        if value is None or callable(value):
            continue
        text = f"({', '.join(f'{x:g}' for x in value)})" if isinstance(value, tuple) else str(value)
        if len(text) <= 60:
            texts.append(text)
    return ", ".join(texts)


def _resultant(load: Any, model: Any) -> str:
    try:
        total = np.asarray(load.nodal_forces(model)).sum(axis=0)
    except DesignTwinError as error:
        return str(error)
    total = np.where(np.abs(total) < 1e-9 * max(float(np.abs(total).max()), 1e-300), 0.0, total)
    return units.show(total, "force")


def _heat(load: Any, model: Any) -> str:
    try:
        # Heat from a fluid or radiated depends on the answer; it stands with the checks.
        return str(load.summary(model))
    except DesignTwinError as error:
        return str(error)


def mesh_blocks(mesh: Any) -> list[Block]:
    """Counts, extents, groups and quality."""
    size = units.from_si(mesh.extents[1] - mesh.extents[0], "length")
    extents = " × ".join(f"{s:.4g}" for s in size) + f" {units.symbol('length')}"
    cells = ", ".join(f"{len(conn):,} {name}" for name, conn in mesh.cells.items())
    rows = [
        ["source", Path(mesh.source).name or "made in memory"],
        ["points", f"{mesh.n_points:,}"],
        ["cells", cells],
        ["extents", extents],
        ["groups", "; ".join(f"{name} ({group})" for name, group in mesh.groups.items()) or "none"],
        ["SHA-256", mesh.content_hash()],
        *[["note", note] for note in mesh.notes],
    ]
    blocks: list[Block] = [{"kind": "facts", "title": "", "rows": rows}]
    try:
        blocks.append(mesh_check_block(mesh.check()))
    except DesignTwinError as error:
        blocks.append({"kind": "text", "text": f"Mesh check: {error}"})
    return blocks


def mesh_check_block(report: Any) -> Block:
    """What the mesh doctor says, complaint by complaint."""
    rows = [[f.grade, f.title, f.place, f.advice] for f in report.at_least("warn")]
    good = [f.title for f in report if f.grade == "ok"]
    if good:
        rows.append(["ok", "; ".join(good), "", ""])
    return {
        "kind": "table",
        "title": f"Mesh quality: {report.grade}",
        "head": ["grade", "found", "where", "what to do"],
        "rows": rows,
    }


def checks_block(verdict: Any, checks: Mapping[str, Any]) -> Block:
    """Residual, balance, error, time, case by case where they differ."""
    rows = [
        ["unknowns", f"{checks['n_dof']:,}"],
        [
            "solver",
            checks["solver"] + (f", {checks['iterations']} iterations" if checks["iterations"] else ""),
        ],
        ["residual", f"{float(checks['residual']):.1e} of the load"],
        _balance_row(verdict.result, float(checks["imbalance"])),
    ]
    if checks["energy_error"] is not None:
        rows.append(["estimated error in energy", f"{100 * float(checks['energy_error']):.2g} %"])
    result = verdict.result
    for name in result.cases:
        case = result[name]
        if getattr(result, "physics", "") not in ("vibration", "buckling", "life"):
            rows.append([f"load case {name}", _moved(case)])
    rows.append(["time", f"{float(checks['seconds']):.1f} s"])
    rows.append(["model SHA-256", result.model.content_hash()])
    return {"kind": "facts", "title": "Checks", "rows": rows}


def _balance_row(result: Any, imbalance: float) -> list[str]:
    physics = getattr(result, "physics", "")
    if physics == "vibration":
        return ["balance of inertia and reactions", f"{imbalance:.1e} of the largest force"]
    if physics != "thermal":
        return ["balance of loads and reactions", f"{imbalance:.1e} of the largest force"]
    over_time = any(hasattr(result[name], "times") for name in result.cases)
    what = "heat put in and heat stored" if over_time else "heat put in and heat taken away"
    return [f"balance of {what}", f"{imbalance:.1e} of the heat moved"]


def _moved(case: Any) -> str:
    """Loads and reactions of a case, or the heat it moves."""
    if hasattr(case, "times"):
        if not hasattr(case, "applied"):
            put_in, stored = (
                units.show(float(case.history(name=name).values[-1]), "energy")
                for name in ("heat_in", "stored_energy")
            )
            return f"heat put in until the end {put_in}, stored {stored}"
        return f"applied {_vector(np.asarray(case.applied, np.float64))} at all instants"
    applied, reactions = np.asarray(case.applied, np.float64), np.asarray(case.reactions, np.float64)
    if applied.shape == (3,):
        return f"applied {_vector(applied)}, reactions {_vector(reactions.sum(axis=0))}"
    return (
        f"heat put in {units.show(float(applied), 'power')}, through supports and exchange with the "
        f"surroundings {units.show(float(reactions.sum()), 'power')}"
    )


def course_block(case: Any) -> Block:
    """How a case was stepped through time."""
    times = np.asarray(case.times, np.float64)
    end = units.show_time(float(times[-1]))
    rows = [["duration", end], ["instants kept", f"{len(times):,}"]]
    steps = getattr(case, "steps", None)
    if steps is not None:
        rows.append(["steps", str(steps)])
    error = getattr(case, "time_error", None)
    if error is not None:
        most = float(np.max(error))
        rows.append(["error of the steps in time", f"{units.show(most, 'temperature_difference')} at most"])
    rows.append(["largest residual and imbalance over time", f"{case.residual:.1e}, {case.imbalance:.1e}"])
    return {"kind": "facts", "title": f"Steps in time, load case {case.name}", "rows": rows}


def _vector(force: Any) -> str:
    small = 1e-6 * max(float(np.abs(force).max()), 1e-300)
    return units.show(np.where(np.abs(force) < small, 0.0, force), "force")


def software() -> list[tuple[str, str]]:
    """Versions of what computed."""
    out = []
    for name in ("numpy", "scipy", "numba", "meshio", "pyvista", "vtk", "matplotlib"):
        try:
            out.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return out
