"""Damage in the field: 50,000 surface points, 3 load channels, 100,000 samples of band-limited noise.

Nothing is decimated: at each point signed von Mises stress is made of the unit cases sample by sample, its
turning points counted by rainflow, its cycles weighed by Goodman and a curve of two slopes. Told are wall and
CPU seconds, what a sample of a point costs, and what bounds it: the same points counted without rainflow (a
stress whose turning points are two) tell what making the stress costs.

The peer is pyLife (rainflow in C, then Goodman and Miner in NumPy), given some of the same stress histories,
which it does not make itself; its time is that of these, times the number of points. Its damage must agree.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def noise(samples: int, seed: int, low: float = 0.02, high: float = 0.2) -> np.ndarray:
    """White noise between two shares of the sampling rate, of unit standard deviation, float64[samples]."""
    rng = np.random.default_rng(seed)
    f = np.fft.rfftfreq(samples)
    spectrum = (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f))) * ((f > low) & (f < high))
    x = np.fft.irfft(spectrum, samples)
    return np.asarray(x / x.std())


def test(points: int, samples: int):
    """A plate of one layer of cells, so that all its points lie on the surface, and its log."""
    import designtwin as dtw

    n = max(4, round((points / 2) ** 0.5) - 1)
    x, y, z = np.meshgrid(np.linspace(0, 1, n + 1), np.linspace(0, 1, n + 1), [0.0, 0.01], indexing="ij")
    number = np.arange(x.size).reshape(x.shape)
    corner = [number[i : n + i, j : n + j, k] for k in (0, 1) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    cells = np.stack(corner, axis=-1).reshape(-1, 8)
    mesh = dtw.Mesh(np.stack([x, y, z], axis=-1).reshape(-1, 3), {"hexahedron": cells})
    end = dtw.faces(normal="+x", at="max")
    model = dtw.Model(
        mesh,
        materials={dtw.everything(): dtw.material("S355")},
        supports=[dtw.FixedSupport(on=dtw.faces(normal="-x", at="min"))],
        load_cases={
            "pull": [dtw.Force(on=end, value=("0.3 MN", "0 N", "0 N"))],
            "shear": [dtw.Force(on=end, value=("0 N", "0.1 MN", "0 N"))],
            "bend": [dtw.Force(on=end, value=("0 N", "0 N", "0.7 kN"))],
            "dead": [dtw.Gravity(direction="-z")],
        },
    )
    channels = {name: dtw.unit_case(name, per=1) for name in ("pull", "shear", "bend")}
    life = dtw.LifeTest(
        model, curve="S355 base metal", mean_stress="Goodman", channels=channels, constant="dead"
    )
    columns = {name: noise(samples, seed) for seed, name in enumerate(channels)}
    return life, dtw.SensorLog("noise", np.arange(samples) * 0.01, columns, {})


def ours(points: int, samples: int, folder: Path, shared: int) -> dict[str, float]:
    from designtwin import parallel
    from designtwin.kernels import damage as kernels

    life, log = test(points, samples)
    small, few = test(32, 600)
    small.damage(few)  # loads or compiles
    start = time.perf_counter()
    unit, _ = life.unit
    solve = time.perf_counter() - start
    start, cpu = time.perf_counter(), time.process_time()
    used = life.damage(log)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    case = used.case
    each = len(unit.rows) * samples
    some = np.linspace(0, len(unit.rows) - 1, shared).astype(int)
    np.save(folder / "stress.npy", np.array([case.history(int(case.rows[i])) for i in some]))
    np.save(folder / "damage.npy", case.damage_of_rows()[some])
    # The same sweep over samples where nothing turns: what it takes to make the stress.
    still = np.zeros((4, samples))
    still[:3] = np.linspace(0.0, 1.0, samples)
    part = np.zeros(500, np.int64)
    out = np.empty(500), np.empty(500), np.empty(500)
    before = time.process_time()
    parallel.run(
        kernels.damage_of_histories, 500, unit.roots[:500], case._signs[0][:500], part, case.tables(), still,
        *out, grain=8,
    )  # fmt: skip
    stress = (time.process_time() - before) / 500 / samples
    turning = np.mean([_turns(h) for h in np.load(folder / "stress.npy")]) / samples
    return {
        "points": len(unit.rows), "samples": samples, "threads": parallel.threads(), "solve_wall": solve,
        "count_wall": wall, "count_cpu": cpu, "ns_a_sample": 1e9 * cpu / each, "ns_stress": 1e9 * stress,
        "turning_points_a_sample": float(turning), "largest_damage": float(case.damage_of_rows().max()),
    }  # fmt: skip


def _turns(series: np.ndarray) -> int:
    step = np.diff(series)
    step = step[step != 0.0]
    return int((step[1:] * step[:-1] < 0.0).sum())


def peer(folder: Path, points: int) -> dict[str, float]:
    """pyLife on the stored histories: rainflow, Goodman's amplitude, Miner with the same two slopes."""
    from pylife.stress.rainflow import FourPointDetector, FullRecorder

    tables = json.loads((folder / "table.json").read_text())
    ultimate, lines = tables[1], np.reshape(tables[3:], (-1, 3))
    stress, damage = np.load(folder / "stress.npy"), np.load(folder / "damage.npy")
    off = []
    began = time.process_time()
    for series, own in zip(stress, damage, strict=True):
        recorder = FullRecorder()
        detector = FourPointDetector(recorder=recorder)
        detector.process(series)
        # Its residue once more closes the cycles of a history that repeats.
        detector.process(np.asarray(detector.residuals))
        one, two = np.asarray(recorder.values_from), np.asarray(recorder.values_to)
        amplitude, mean = np.abs(one - two) / 2.0, (one + two) / 2.0
        amplitude = amplitude / (1.0 - np.maximum(mean, 0.0) / ultimate)
        total = 0.0
        for i, (lowest, slope, c) in enumerate(lines):
            below = lines[i - 1, 0] if i else np.inf
            mine = amplitude[(amplitude >= lowest) & (amplitude < below) & (amplitude > 0.0)]
            total += np.exp(slope * np.log(mine) - c).sum()
        off.append(abs(total - own) / own)
    seconds = (time.process_time() - began) / len(stress)
    return {"peer_s_a_point": seconds, "peer_cpu_all": seconds * points, "peer_differs": float(max(off))}


def figures(points: int, samples: int, shared: int, peer_python: str) -> dict[str, float]:
    """Ours, and the peer on some of the histories."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = ours(points, samples, folder, shared)
        life, _ = test(32, 600)
        table = life._curves[next(iter(life._curves))].table("Goodman")
        (folder / "table.json").write_text(json.dumps(table.tolist()))
        command = [peer_python, __file__, name, str(found["points"])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return found | {"absent": (done.stderr.splitlines() or ["no word"])[-1]}
        return found | json.loads(done.stdout.splitlines()[-1])


def measure(session: Any) -> None:
    """One run, a line of it."""
    import run

    options = session.options
    if any(line.get("part") == "life" for line in session.lines) and options.again is None:
        return
    points, samples = (2_000, 20_000) if options.quick else (50_000, 100_000)
    found = figures(points, samples, 20, options.peer_python)
    assert found.get("peer_differs", 0.0) < 1e-9, f"pyLife counts otherwise: {found}"
    line = {
        "part": "life",
        "name": "field",
        **found,
        "case": "life-field",
        "contender": "",
        "round": 0,
        "status": "ok",
        "loaded": bool(options.loaded),
        **session.stated,
    }
    print(f"life           {found['count_wall']:.1f} s, {found['count_cpu']:.1f} CPU s", flush=True)
    run.add(options.results, line)
    session.lines.append(line)


if __name__ == "__main__":  # the peer, in an interpreter of its own
    print(json.dumps(peer(Path(sys.argv[1]), int(sys.argv[2]))))
