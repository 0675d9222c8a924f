"""View factors: closed cavities of twenty thousand facets, and what stands in between, beside closed forms.

Each case in a process of its own, after a small one that compiles. Asserted before it is timed: row sums as
computed within 1 %, the factor within 1 % of its reference, memory under 2 GB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import harness
import numpy as np

_KUHN = ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6))
CASES = {
    "cube in a cube": "F22 = 1 - A1 / A2, any convex body inside a convex one",
    "empty cube": "F12 of opposite faces, Howell's catalog C-11",
    "sphere in a sphere": "F22 = 1 - (r1 / r2)^2",
    "screen between squares": "F12 less the rays whose middle is in the screen, two integrals by Gauss",
}


def measure(session: Any) -> None:
    """A process for each case; lines for what it measured."""
    import run

    options = session.options
    known = [x for x in session.lines if x.get("part") == "views"]
    if any(options.loaded or not x.get("loaded") for x in known) and options.again is None:
        return
    for name in CASES:
        done = subprocess.run(
            [sys.executable, str(harness.HERE / "views.py"), name, "small" if options.quick else "full"],
            capture_output=True, text=True, env=harness.environment(2), check=False, timeout=options.limit,
        )  # fmt: skip
        if done.returncode:
            print(f"views          {name} failed: {done.stderr.strip()[-300:]}", flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        line = {
            "part": "views", "name": name, "case": "views", "contender": "", "threads": 2, "round": 0,
            "status": "ok", "loaded": bool(options.loaded), **session.stated, **found,
        }  # fmt: skip
        print(
            f"views          {name}: {found['facets']:,} facets, {found['wall']:.1f} s wall, "
            f"{found['cpu']:.1f} s CPU, {found['rss_mib']:.0f} MiB, row sums {found['low']:.4f} to "
            f"{found['high']:.4f}, F {found['factor']:.5f} ({found['exact']:.5f})",
            flush=True,
        )
        run.add(options.results, line)
        session.lines.append(line)


def cavity(n: int, core: float, *, tetra: bool, round_: bool = False) -> tuple[Any, Any, Any]:
    """Mesh of a cube -1..1 of n cells along an edge, with a cube inside; facets of the body, of the walls."""
    import designtwin as dtw

    ticks = np.linspace(-1.0 - 2.0 / n, 1.0 + 2.0 / n, n + 3)
    points = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange(len(points)).reshape((n + 3,) * 3)
    a, b = slice(None, -1), slice(1, None)
    around = ((a, a), (b, a), (b, b), (a, b))
    cells = np.stack([number[i, j, k] for k in (a, b) for i, j in around], axis=-1).reshape(-1, 8)
    center = np.abs(points[cells].mean(axis=1)).max(axis=1)
    keep = (center > 1.0) | (center < core)
    cells, center = cells[keep], center[keep]
    if tetra:
        cells, center = cells[:, np.array(_KUHN)].reshape(-1, 4), np.repeat(center, 6)
    used, cells = np.unique(cells, return_inverse=True)
    points, cells = points[used], cells.reshape(len(center), -1)
    mesh = dtw.Mesh(points, {"tetra" if tetra else "hexahedron": cells})
    facets = mesh.exterior
    inside = np.abs(mesh.facet_vectors(facets)[1]).max(axis=1) < 1.0 + 1e-9
    body = center[facets[:, 0]] < core
    if round_:
        far = np.abs(points).max(axis=1, keepdims=True)
        mesh = mesh.moved(points * far / np.linalg.norm(points, axis=1, keepdims=True).clip(1e-9))
    return mesh, facets[inside & body], facets[inside & ~body]


def plates(n: int) -> tuple[Any, Any, Any]:
    """Unit squares at distance 1, and a thin square of half their width in the middle between."""
    import designtwin as dtw

    points, cells, first = [], [], 0
    for m, low, high in (
        (n, (0, 0, -0.1), (1, 1, 0)),
        (n, (0, 0, 1), (1, 1, 1.1)),
        (n // 2, (0.25, 0.25, 0.4999), (0.75, 0.75, 0.5001)),
    ):
        ticks = [np.linspace(a, b, k + 1) for a, b, k in zip(low, high, (m, m, 1), strict=True)]
        points.append(np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, 3))
        number = first + np.arange((m + 1) ** 2 * 2).reshape(m + 1, m + 1, 2)
        a, b = slice(None, -1), slice(1, None)
        around = ((a, a), (b, a), (b, b), (a, b))
        cells.append(np.stack([number[i, j, k] for k in (a, b) for i, j in around], axis=-1).reshape(-1, 8))
        first += number.size
    mesh = dtw.Mesh(np.concatenate(points), {"hexahedron": np.concatenate(cells)})
    facets = mesh.exterior
    z = mesh.facet_vectors(facets)[1][:, 2]
    return mesh, facets[np.abs(z) < 1e-9], facets[np.abs(z - 1) < 1e-9]


def screened(half: float) -> float:
    """Reference of the screen: see tests/mesh/test_view_factors.py."""
    x, w = np.polynomial.legendre.leggauss(40)
    x, w = 0.5 * (x + 1.0), 0.5 * w
    cut = 1.0 - 2.0 * half
    u, w = np.concatenate([cut * x, cut + 2 * half * x]), np.concatenate([cut * w, 2 * half * w])
    kernel = 4.0 / (np.pi * (u[:, None] ** 2 + u**2 + 1.0) ** 2)
    hidden = w * np.minimum(2 * half, 1.0 - u)
    return float(w * (1 - u) @ kernel @ (w * (1 - u)) - hidden @ kernel @ hidden)


def scene(name: str, full: bool) -> tuple[Any, Any, Any, bool, float]:
    """Mesh, facets of the one and the other, whether they close, and the reference."""
    if name == "cube in a cube":
        return *cavity(36 if full else 8, 0.5, tetra=True), True, 0.75
    if name == "empty cube":
        mesh, _, walls = cavity(58 if full else 8, 0.0, tetra=False)
        at = mesh.facet_vectors(walls)[1][:, 0]
        rest = np.abs(at) < 1.0 - 1e-9
        order = np.concatenate([walls[at < -1 + 1e-9], walls[rest], walls[at > 1 - 1e-9]])
        return mesh, order[: int((~rest).sum()) // 2], order[int((~rest).sum()) // 2 :], True, 0.1998249
    if name == "sphere in a sphere":
        return *cavity(24 if full else 8, 0.5, tetra=False, round_=True), True, 0.75
    return *plates(40 if full else 8), False, screened(0.25)


def _own(name: str, size: str) -> dict[str, Any]:
    from designtwin.mesh.view_factors import _STORE, view_factors

    mesh, one, other, *_ = scene(name, False)
    view_factors(mesh, np.concatenate([one, other]))
    mesh, one, other, closed, exact = scene(name, size == "full")
    facets = np.concatenate([one, other])
    assert len(mesh.exterior)  # topology is no part of this
    _STORE.clear()
    before = harness.rss()
    harness.forget_peak()
    began, used = time.perf_counter(), harness.cpu()
    factors = view_factors(mesh, facets)
    wall, used = time.perf_counter() - began, harness.cpu() - used
    first, second = np.arange(len(one)), np.arange(len(one), len(facets))
    if name == "empty cube":
        second = np.arange(len(facets) - len(one), len(facets))
    elif closed:
        first = second
    factor = factors.between(first, second) / factors.area[first].sum()
    assert abs(factor / exact - 1.0) < 0.01, (factor, exact)
    low, high = float(factors.row_sums.min()), float(factors.row_sums.max())
    assert not closed or (low > 0.99 and high < 1.01), (low, high)
    assert harness.peak() < 2000.0
    return {
        "facets": len(facets), "wall": wall, "cpu": used, "rss_mib": harness.peak(), "rss_before_mib": before,
        "low": low, "high": high, "closed": closed, "reciprocity": factors.reciprocity, "factor": factor,
        "exact": exact, "reference": CASES[name],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(_own(*sys.argv[1:])))
