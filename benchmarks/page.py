"""The page of figures: tables and plots from stored JSON lines."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import problems

HERE = Path(__file__).resolve().parent
Line = dict[str, Any]
NAMES = {
    "designtwin": "designtwin",
    "ngsolve": "NGSolve",
    "ngsolve-cg": "NGSolve, CG",
    "gamg": "PETSc GAMG",
    "boomeramg": "BoomerAMG",
    "amgcl": "Kratos + AMGCL",
    "pyamg": "PyAMG",
    "scikit-fem": "scikit-fem + PARDISO",
    "calculix": "CalculiX",
}
MODULES = {
    "designtwin": "ours",
    "ngsolve": "ngsolve_peer",
    "ngsolve-cg": "ngsolve_cg",
    "gamg": "gamg",
    "boomeramg": "boomeramg",
    "amgcl": "kratos_peer",
    "pyamg": "pyamg_peer",
    "scikit-fem": "skfem_peer",
    "calculix": "calculix_peer",
}
# Okabe and Ito's colors, told apart by the color-blind; markers differ too.
STYLES = {
    "designtwin": ("#000000", "o"),
    "ngsolve": ("#0072B2", "s"),
    "gamg": ("#D55E00", "^"),
    "amgcl": ("#CC79A7", "D"),
    "pyamg": ("#009E73", "v"),
    "scikit-fem": ("#E69F00", "P"),
    "calculix": ("#56B4E9", "X"),
    "boomeramg": ("#999999", "*"),
}

HEAD = """# Benchmarks

Made by `python benchmarks/run.py` from `results.jsonl`; do not edit.

    .venv/bin/python -m pip install -e .[benchmark]
    python3 -m venv out/peers && out/peers/bin/pip install -e .[peers]       # some GB; or only some of them
    apt install calculix-ccx python3-petsc4py python3-scipy
    .venv/bin/python benchmarks/run.py --peer-python out/peers/bin/python    # --quick: minutes
    .venv/bin/python benchmarks/run.py --table     # only this page

A peer that is not there is skipped by name. Interrupted, the command goes on where it stopped;
`--again designtwin` measures ours anew, `--minutes 60` ends in time, `--help` tells the rest.

How to read it:

- Timed is the way **from a mesh in memory to displacement and stress**. Ours: `Model(...)`,
  `solve_static(model)`, `case.von_mises()` at nodes. A peer: assembly, solve and the stress it offers; its
  mesh object is made before the clock starts, loads and supports are given to it.
- Same mesh, material, support, load; iterative solvers stop at a relative residual of 1e-8, computed without
  the preconditioner. The largest displacement must agree with ours to 1e-4: a wrong answer is no time.
- Transient heat: the same 100 implicit Euler steps of one size and no error control for all, from the mesh to
  the last field; peers keep one field, ours all of them. A direct peer factors once.
- Contenders take turns, each run in a process of its own that first solves a small case, so that loading and
  compiling are done; figures are medians of rounds. Peers that take long run once. Trust ratios, not seconds.
- Memory is the peak of the process over what it held after imports, the small case and the mesh load, per
  DOF; ours: of the solve / with stress. MPI ranks are added up; CalculiX's is the whole process.
- † on a busy machine: read the CPU seconds.
"""


def chosen(lines: Iterable[Line]) -> dict[tuple[str, str, int], list[Line]]:
    """Lines by case, contender, threads: the last of each round; of a quiet machine where there are any."""
    last: dict[tuple[Any, ...], Line] = {}
    for line in lines:
        known = last.get(key := (line["case"], line["contender"], line["threads"], line["round"]))
        if known is None or not (line.get("loaded") and not known.get("loaded")):
            last[key] = line
    groups: dict[tuple[str, str, int], list[Line]] = {}
    for (case, contender, threads, _), line in sorted(last.items(), key=lambda item: item[0]):
        groups.setdefault((case, contender, threads), []).append(line)
    for key, group in groups.items():
        quiet = [line for line in group if not line.get("loaded")]
        groups[key] = quiet or group
    return groups


def summary(group: Sequence[Line]) -> dict[str, Any]:
    """Medians over the rounds that ended well, or why there are none."""
    good = [line for line in group if line["status"] == "ok"]
    if not good:
        return {"why": group[-1].get("why", group[-1]["status"]), "status": group[-1]["status"]}
    answer = good[-1]["answer"]
    n = answer["n_dof"]
    memory = [
        line["answer"].get("rss_process_mib", line["rss_peak_mib"] - line["rss_before_mib"]) for line in good
    ]
    return {
        "status": "ok",
        "wall": statistics.median(sum(line["wall"].values()) for line in good),
        "cpu": statistics.median(sum(line["cpu"].values()) for line in good),
        "n_dof": n,
        "bytes": statistics.median(memory) * 2**20 / n,
        "mib": statistics.median(memory),
        "solve_bytes": statistics.median(
            (line["answer"].get("rss_peak_solve_mib", line["rss_peak_mib"]) - line["rss_before_mib"])
            * 2**20
            / n
            for line in good
        ),
        "iterations": answer["iterations"],
        "residual": answer.get("residual"),
        "largest": answer["largest"],
        "phases": {p: statistics.median(line["wall"][p] for line in good) for p in good[-1]["wall"]},
        "loaded": any(line.get("loaded") for line in good),
        "rounds": len(good),
        "answer": answer,
    }


def number(value: float) -> str:
    """Three figures."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 2) -> str:
    """A Markdown table, right-aligned but for the first columns."""
    marks = ["---" if i < left or head[i] in ("phases, s", "settings") else "--:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, marks, *rows]) + "\n"


def _rows(
    found: dict[tuple[str, str, int], dict[str, Any]], chosen_cases: Sequence[problems.Case], threads: int
) -> list[list[str]]:
    rows = []
    for case in chosen_cases:
        ours = found.get((case.name, "designtwin", threads))
        reference = ours["wall"] if ours and ours["status"] == "ok" and not ours["loaded"] else None
        cpu = ours["cpu"] if ours and ours["status"] == "ok" else None
        first = True
        for name in case.peers:
            one = found.get((case.name, name, threads))
            if one is None or one["status"] == "missing":
                continue
            title = case.title if first else ""
            first = False
            if one["status"] != "ok":
                rows.append([title, NAMES[name], one["why"].split("\n")[0][:60], *[""] * 6])
                continue
            ratio = ""
            if reference and not one["loaded"]:
                ratio = f"{one['wall'] / reference:.1f}"
            phases = ", ".join(f"{phase} {number(seconds)}" for phase, seconds in one["phases"].items())
            if name == "designtwin":
                inner = one["answer"].get("seconds", {})
                phases += "".join(f"; {phase} {number(seconds)}" for phase, seconds in inner.items())
            rows.append(
                [
                    title,
                    NAMES[name],
                    number(one["wall"]) + ("†" if one["loaded"] else ""),
                    ratio,
                    number(one["cpu"]),
                    f"{one['cpu'] / cpu:.1f}" if cpu else "",
                    f"{number(one['solve_bytes'])} / {number(one['bytes'])}"
                    if name == "designtwin"
                    else number(one["bytes"]),
                    str(one["iterations"] or "–"),
                    phases,
                ]
            )
    return rows


COLUMNS = ["case", "who", "wall s", "× ours", "CPU s", "× ours", "B/DOF", "iterations", "phases, s"]


def body(lines: Sequence[Line]) -> str:
    """Everything under the head."""
    groups = chosen(line for line in lines if "part" not in line)
    found = {key: summary(group) for key, group in groups.items()}
    _compare(found)
    parts = []
    listed = problems.all_cases()
    known = {case.name for case in listed}
    for title, group in (
        ("Bracket of quadratic tetrahedra, two threads", "size"),
        ("Other elements, heat", "other"),
        ("Transient heat, 100 implicit steps, two threads", "transient"),
        ("Lowest ten modes, two threads", "modes"),
        ("Hard cases", "hard"),
        ("Ten million", "large"),
    ):
        rows = _rows(found, [case for case in listed if case.group == group], 2)
        if rows:
            parts.append(f"## {title}\n\n{table(COLUMNS, rows)}")
            if group == "size":
                parts[-1] += (
                    "\n"
                    + "\n".join(
                        f"![{what}](pictures/{what}.png)" for what in ("time", "memory", "iterations")
                    )
                    + "\n"
                )
    parts += [
        _threads(found, listed),
        _loads(found, listed),
        _views(lines),
        _start(lines),
        _rainflow(lines),
        _life(lines),
        _design(lines),
        _topology(lines),
        _roofline(lines),
        _settings(lines, known),
    ]
    return "\n".join(part for part in parts if part)


def _compare(found: dict[tuple[str, str, int], dict[str, Any]]) -> None:
    """A line stored before ours was there is judged now."""
    for (case, name, threads), one in found.items():
        ours = found.get((case, "designtwin", threads)) or found.get((case, "designtwin", 2))
        if one["status"] == "ok" and ours and ours["status"] == "ok" and name != "designtwin":
            off = abs(one["largest"] / ours["largest"] - 1)
            if not off <= 1e-4:
                one["status"], one["why"] = "wrong", f"wrong: largest off by {off:.0e}"


def _threads(found: dict[tuple[str, str, int], dict[str, Any]], listed: Sequence[problems.Case]) -> str:
    rows = []
    for case in listed:
        for name in case.peers:
            one, two = (found.get((case.name, name, n), {}) for n in (1, 2))
            if one.get("status") == two.get("status") == "ok":
                rows.append(
                    [
                        case.title,
                        NAMES[name],
                        number(one["wall"]),
                        number(two["wall"]),
                        f"{one['wall'] / two['wall']:.2f}" + ("†" if one["loaded"] or two["loaded"] else ""),
                    ]
                )
    return (
        "## Threads\n\n" + table(["case", "who", "1 thread, s", "2 threads, s", "gain"], rows) if rows else ""
    )


def _loads(found: dict[tuple[str, str, int], dict[str, Any]], listed: Sequence[problems.Case]) -> str:
    rows, first = [], {}
    for case in listed:
        one = found.get((case.name, "designtwin", 2))
        if case.group != "loads" or one is None:
            continue
        if one["status"] != "ok":
            rows.append([case.title, one["why"][:60], "", "", "", ""])
            continue
        base = first.setdefault(case.h, one)
        more = case.load_cases - 1
        each = (one["bytes"] - base["bytes"]) / more if more else 0.0
        rows.append(
            [
                case.title + ("†" if one["loaded"] else ""),
                number(one["wall"]),
                f"{one['wall'] / base['wall']:.1f}",
                number(one["wall"] / case.load_cases),
                number(one["bytes"]),
                number(each) if more else "–",
            ]
        )
    head = ["case", "wall s", "× one", "s each", "B/DOF", "B/DOF each further"]
    return "## Load cases\n\nOurs alone; stress of one of them.\n\n" + table(head, rows, 1) if rows else ""


def _last(lines: Iterable[Line], part: str) -> list[Line]:
    """Lines of a part of the last session that measured it, by name."""
    latest: dict[str, Line] = {}
    for line in lines:
        if line.get("part") == part:
            latest[line["name"]] = line
    return list(latest.values())


def _views(lines: Iterable[Line]) -> str:
    rows = [
        [
            line["name"] + ("†" if line.get("loaded") else ""),
            f"{line['facets']:,}",
            number(line["wall"]),
            number(line["cpu"]),
            f"{line['rss_mib']:.0f}",
            f"{line['low']:.4f} – {line['high']:.4f}" if line["closed"] else "open",
            f"{line['reciprocity']:.0e}",
            f"{line['factor']:.5f}",
            f"{line['exact']:.5f}",
            line["reference"],
        ]
        for line in _last(lines, "views")
    ]
    if not rows:
        return ""
    text = (
        "## View factors\n\nOurs alone, two threads, from a mesh in memory to all pairs of facets, row "
        "sums and reciprocity before they are enforced; memory is all of the process. Row sums have to be "
        "within 1 %, the factor within 1 % of the reference.\n\n"
    )
    head = ["case", "facets", "wall s", "CPU s", "MiB", "row sums", "reciprocity", "F", "reference", "which"]
    return text + table(head, rows, left=1)


def _start(lines: Iterable[Line]) -> str:
    rows = [
        [
            line["title"] + ("†" if line.get("loaded") else ""),
            number(statistics.median(line["seconds"]))
            if line["seconds"]
            else line.get("why", "").splitlines()[-1][:80],
            number(min(line["seconds"])) if line["seconds"] else "",
            number(statistics.median(line["cpu_seconds"])) if line.get("cpu_seconds") else "",
        ]
        for line in _last(lines, "startup")
    ]
    if not rows:
        return ""
    text = (
        "## Start-up\n\nA fresh process, from its start to its end, in turn; compiled code comes from the "
        "cache, but for the last row.\n\n"
    )
    return text + table(["what", "median s", "least s", "CPU s"], rows, left=1)


def _rainflow(lines: Iterable[Line]) -> str:
    titles = {"white": "white noise", "band": "noise of 1 to 50 Hz at 1 kHz"}
    rows = [
        [
            titles[line["name"]] + ("†" if line.get("loaded") else ""),
            who,
            f"{line['cycles']:,}",
            f"{statistics.median(seconds):.4f}" if seconds else line["absent"].get(who, "")[:60],
            f"{line['samples'] / statistics.median(seconds) / 1e6:.0f}" if seconds else "",
            f"{statistics.median(a / b for a, b in zip(seconds, line['cpu_seconds']['designtwin'])):.1f}"
            if seconds
            else "",
        ]
        for line in _last(lines, "rainflow")
        for who, seconds in line["cpu_seconds"].items()
    ]
    if not rows:
        return ""
    text = (
        "## Rainflow\n\nOne history, from an array in memory to the ranges of its closed cycles, one "
        "thread, processor "
        "time; compiling and importing are done. All count the same cycles.\n\n"
    )
    head = ["history", "who", "cycles", "CPU s", "million samples a second", "times ours"]
    return text + table(head, rows)


def _life(lines: Iterable[Line]) -> str:
    found = _last(lines, "life")
    if not found:
        return ""
    line = found[-1]
    rows = [
        ["designtwin: stress and damage", number(line["count_wall"]), number(line["count_cpu"])],
        ["pyLife: rainflow, Goodman, Miner of given stress", "", number(line["peer_cpu_all"])]
        if "peer_cpu_all" in line
        else ["pyLife", "", line["absent"][:60]],
    ]
    text = (
        f"## Damage in the field{'†' if line.get('loaded') else ''}\n\n{line['points']:,} surface points, "
        f"3 load channels and a constant case, {line['samples']:,} samples of band-limited noise, signed von "
        "Mises stress, Goodman, a curve of two slopes, nothing decimated; "
        f"{line['threads']} threads. Unit cases: {number(line['solve_wall'])} s before. pyLife counts 20 of "
        f"the histories, times the number of points. A sample of a point takes {line['ns_a_sample']:.1f} ns, "
        f"{line['ns_stress']:.1f} of them to make its stress; {line['turning_points_a_sample']:.2f} of the "
        "samples turn.\n\n"
    )
    return text + table(["what", "wall s", "CPU s"], rows, left=1)


def _design(lines: Iterable[Line]) -> str:
    found = _last(lines, "design")
    if not found:
        return ""
    line = found[-1]
    rows = [
        [
            what,
            number(line[f"{name}_forward"]),
            *(f"{line[f'{name}_{part}']:.2f}" for part in ("adjoint", "rest_1", "rest_10000")),
        ]
        for name, what in (("factors", "sparse factors"), ("multigrid", "multigrid"))
    ]
    text = (
        f"## A design loop{'†' if line.get('loaded') else ''}\n\nThe bracket with {line['unknowns']:,} "
        "unknowns, six dimensions, three load cases, limits on stress, deflection and the first frequency: "
        f"from {line['from_kg']:.3f} to {line['to_kg']:.3f} kg in {line['analyses']} analyses, "
        f"{line['search_wall']:.0f} s, {line['search_cpu']:.0f} CPU s ({line['stopped']}). "
        "What an adjoint costs, as a share of the analysis of one load case:\n\n"
    )
    head = ["solver", "analysis, s", "adjoint", "the rest, 1 variable", "the rest, 10,000 variables"]
    return text + table(head, rows, left=1) + _over_time(line)


def _over_time(line: Line) -> str:
    """Adjoints of heat over time; lines from before they were measured have none."""
    runs = [(name, steps) for name in ("factors", "multigrid") for steps in (20, 100)]
    rows = [
        [
            "sparse factors" if name == "factors" else name,
            f"{steps}",
            number(line[f"{name}_transient_{steps}_forward"]),
            f"{line[f'{name}_transient_{steps}_adjoint']:.2f}",
        ]
        for name, steps in runs
        if f"{name}_transient_{steps}_adjoint" in line
    ]
    if not rows:
        return ""
    text = (
        f"\nHeat over time in the same bracket ({line['unknowns'] // 3:,} unknowns), steps of one size: the "
        "whole slope as a share of the analysis, CPU seconds. Forward and back take one solve a step each, "
        "so that with factors the share goes towards one the longer the course is:\n\n"
    )
    return text + table(["solver", "steps", "analysis, CPU s", "adjoint"], rows, left=1)


def _topology(lines: Iterable[Line]) -> str:
    found = _last(lines, "topology")
    if not found:
        return ""
    rows = [
        [
            f"{line['n_dof'] / 1e6:.2f}M DOF" + ("†" if line.get("loaded") else ""),
            line["who"],
            f"{line['rtol']:.0e}",
            number(line["median"]),
            number(line["longest"]),
            number(line["rss_mib"]),
        ]
        for line in found
    ]
    text = (
        "## Topology on a grid of voxels\n\nOne design iteration of a cantilever: equilibrium, slopes, "
        "filter and optimality criteria, after loading, compiling and the first design; the same compliance "
        "to 1e-3. pyMOTO with its own geometric multigrid.\n\n"
    )
    return text + table(["grid", "who", "residual", "median s", "longest s", "peak MiB"], rows, left=2)


def _roofline(lines: Iterable[Line]) -> str:
    found = _last(lines, "roofline")
    if not found:
        return ""
    rows = [
        [
            line["title"] + ("†" if line.get("loaded") else ""),
            str(line["threads"]),
            number(line["ns_per_dof"]),
            number(line["bytes_per_dof"]),
            number(line["flops_per_dof"]) if line.get("flops_per_dof") else "–",
            f"{line['bytes_per_dof'] / line['ns_per_dof']:.1f}",
            f"{line['flops_per_dof'] / line['ns_per_dof']:.1f}" if line.get("flops_per_dof") else "–",
        ]
        for line in found
    ]
    text = (
        "## Roofline\n\nBytes are those that must move once per call: stored data of the operator, vectors "
        "in and out, caches taken as perfect; operations are counted from the formulas in `roofline.py`. "
        f"{found[-1].get('limits', '')} Bracket of {found[-1]['n_dof']:,} DOF.\n\n"
    )
    return text + table(["what", "threads", "ns/DOF", "B/DOF", "flop/DOF", "GB/s", "GFLOP/s"], rows, left=1)


def _settings(lines: Iterable[Line], known: set[str]) -> str:
    sys.path.append(str(HERE / "contenders"))
    seen: dict[str, Line] = {}
    stated: Line = {}
    for line in lines:
        if line.get("contender") and line["status"] == "ok" and line["case"] in known:
            seen[line["contender"]] = line
            stated = line
    if not seen:
        return ""
    rows = []
    for name, title in NAMES.items():
        if name in seen:
            module = import_module(MODULES[name])
            which = ", ".join(f"{p} {v}" for p, v in seen[name].get("versions", {}).items())
            rows.append([title, which, module.SETTINGS])
    return (
        "## Contenders\n\nMachine: "
        + stated["machine"]
        + f". Ours at commit {seen.get('designtwin', stated)['commit']}.\n\n"
        + table(["who", "versions", "settings"], rows)
    )


def plots(lines: Sequence[Line], folder: Path) -> None:
    """Time, memory and iterations over size."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, NullLocator

    found = {
        key: summary(group) for key, group in chosen(line for line in lines if "part" not in line).items()
    }
    _compare(found)
    sizes = [case for case in problems.all_cases() if case.group in ("size", "large")]
    folder.mkdir(exist_ok=True)
    for what, field, label in (
        ("time", "wall", "seconds from mesh in memory to displacement and stress, two threads"),
        ("memory", "bytes", "peak memory over mesh and imports, B/DOF"),
        ("iterations", "iterations", "iterations to a relative residual of 1e-8"),
    ):
        figure, axes = plt.subplots(figsize=(7.0, 4.2), dpi=100)
        ends: list[tuple[float, float, str]] = []
        largest, any_busy = 0.0, False
        for name, (color, marker) in STYLES.items():
            ones = [found.get((case.name, name, 2), {}) for case in sizes]
            known = [one for one in ones if one.get("status") == "ok" and one[field]]
            good = sorted((one["n_dof"], one[field], one["loaded"]) for one in known)
            if not good:
                continue
            x, y, busy = zip(*good, strict=True)
            axes.plot(x, y, color=color, lw=2.4 if name == "designtwin" else 1.2, zorder=3)
            for hollow in (False, True):
                at = [i for i, one in enumerate(busy) if one == hollow]
                axes.plot(
                    [x[i] for i in at], [y[i] for i in at], marker=marker, ms=6, ls="", color=color, zorder=4,
                    mfc="white" if hollow else color,
                )  # fmt: skip
            ends.append((y[-1], x[-1], name))
            largest = max(largest, *y)
            any_busy = any_busy or any(busy)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([case.n_dof for case in sizes]))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{case.n_dof / 1e6:.2g}M" for case in sizes]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(sizes[0].n_dof * 0.8, max([x for _, x, _ in ends], default=1e6) * 6)
        if what == "iterations":
            axes.set_ylim(0, 1.1 * largest + 1)
        else:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("DOF" + ("; hollow: measured on a busy machine" if any_busy else ""))
        axes.set_title(label, fontsize=10, loc="left")
        axes.grid(True, which="major", color="#dddddd", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        _name_ends(axes, ends)
        figure.savefig(folder / f"{what}.png", metadata={"Software": None})
        plt.close(figure)


def _name_ends(axes: Any, ends: list[tuple[float, float, str]]) -> None:
    """Names right of the last points, moved apart where they would cover each other."""
    from matplotlib.patheffects import withStroke

    place = axes.transData.transform
    taken: list[tuple[float, float]] = []
    for y, x, name in sorted(ends):
        left, at = place((x, y))
        while any(abs(at - other) < 13 and abs(left - beside) < 130 for beside, other in taken):
            at += 2
        taken.append((left, at))
        axes.annotate(
            NAMES[name], (x, y), xytext=(left + 9, at), textcoords="figure pixels", va="center", fontsize=8.5,
            color=STYLES[name][0], fontweight="bold" if name == "designtwin" else "normal", zorder=5,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip


def write(results: Path, here: Path) -> None:
    """README.md and pictures/ beside it."""
    lines = [json.loads(text) for text in results.read_text().splitlines()] if results.exists() else []
    (here / "README.md").write_text(HEAD + "\n" + body(lines))
    if lines:
        plots(lines, here / "pictures")
