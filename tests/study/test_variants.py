"""Many designs at once: the same answers from any number of processes, and none lost to a kill."""

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from builders import rectangle
from numpy.testing import assert_allclose, assert_array_equal
from surroundings import FULL

import designtwin as dtw
from designtwin import parallel
from designtwin.study import variants
from designtwin.study.doe import unit_points
from designtwin.study.variants import Workers, _Local, packed

PULL, MODULUS, DENSITY, YIELD = 8e3, 200e9, 7800.0, 250e6
STRIP = rectangle("quad8", (4, 2), (0.2, 0.04))
THICKNESSES = [{"thickness": f"{t} mm"} for t in (1.0, 1.5, 2.0, 2.5, 3.0)]


def strip(values, mesh):
    """A strip pulled along x: stress is PULL / (width * thickness), everywhere."""
    steel = dtw.LinearElastic(
        youngs_modulus=MODULUS, poissons_ratio=0.3, density=DENSITY, yield_strength=YIELD, name="steel"
    )
    return dtw.Model(
        mesh,
        materials={"body": dtw.PlaneStress(steel, thickness=values["thickness"])},
        supports=[dtw.PrescribedDisplacement(on="xmin", x=0.0), dtw.PrescribedDisplacement(on="ymin", y=0.0)],
        load_cases={"pull": [dtw.Force(on="xmax", value=(PULL, 0.0, 0.0))]},
    )


def strength(model):
    return [dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 2.0])]


def study(build=strip, *, store=None, variables=None, tests=strength, **options):
    variables = variables or {"thickness": dtw.variable("1 mm", "5 mm", start="4 mm")}
    return dtw.Study(
        build=build, mesh=STRIP, variables=variables, tests=tests, minimize=dtw.mass(), store=store, **options
    )


def told(evaluation):
    """What an evaluation says of its design."""
    return dict(evaluation.values), evaluation.objective, dict(evaluation.slacks), evaluation.failure


def test_workers_answer_to_the_bit_what_one_process_does_and_survive_being_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "_ATTEMPTS", 2)
    first, store, me = tmp_path / "first", tmp_path / "store", os.getpid()

    def deadly(values, mesh):
        print("whatever build prints must not mix with the answers")
        if os.getpid() != me:
            if values["thickness"] == 2e-3 and not first.exists():
                first.touch()
                os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
            if values["thickness"] == 3e-3:
                os._exit(7)  # as a library that crashes
        (tmp_path / f"threads of {os.getpid()}").write_text(str(parallel.threads()))
        return strip(values, mesh)

    with parallel.use_threads(2):
        found = study(deadly, store=store).variants(THICKNESSES, workers=2)
        here = study(deadly).variants(THICKNESSES, workers=1)
    assert first.exists()
    assert [told(e) for e in found.evaluations[:-1]] == [told(e) for e in here.evaluations[:-1]]
    assert "exit code 7, 2 times" in found.evaluations[-1].failure
    with closing(study(deadly, store=store).open_store()) as kept:
        assert len(kept) == len(THICKNESSES)
    by_process = {path.name: path.read_text() for path in tmp_path.glob("threads of *")}
    assert by_process.pop(f"threads of {me}") == "2"
    assert set(by_process.values()) == {"1"}  # a share each


SCRIPT = """
import os, sys, time
sys.path[:0] = {paths!r}
import designtwin as dtw
from test_variants import STRIP, strength, strip

def build(values, mesh):  # of the script itself, which has no guard around its main part
    with open({log!r}, "a") as log:
        log.write(f"{{values['thickness']!r}}\\n")
    time.sleep(float(os.environ["PAUSE"]))
    return strip(values, mesh)

study = dtw.Study(
    build=build, mesh=STRIP, variables={{"thickness": dtw.variable("1 mm", "5 mm")}},
    tests=lambda m: strength(m), minimize=dtw.mass(), store={store!r},
)
for e in study.sample(12, method="lhs", workers=int(os.environ["WORKERS"])).evaluations:
    print(e.values["thickness"].hex(), e.objective.hex())
"""


def script(folder, *, pause, workers):
    here = Path(__file__).resolve().parent
    code = SCRIPT.format(
        paths=[str(here), str(here.parent)], log=str(folder / "log"), store=str(folder / "store")
    )
    (folder / "study_script.py").write_text(code)
    command = [sys.executable, str(folder / "study_script.py")]
    return {"args": command, "env": os.environ | {"PAUSE": str(pause), "WORKERS": str(workers)}}


def lines(path):
    return path.read_text().split() if path.exists() else []


def kept(folder):
    with closing(sqlite3.connect(folder / "study.sqlite", timeout=30.0)) as store:
        return store.execute("SELECT COUNT(*) FROM evaluation").fetchone()[0]


@pytest.mark.parametrize("after", (3, 4, 5, 6, 7, 8, 9, 10) if FULL else (6,))
def test_a_script_without_guard_that_is_killed_loses_no_finished_design(tmp_path, after):
    process = subprocess.Popen(**script(tmp_path, pause=0.15, workers=2), stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60.0
    while len(lines(tmp_path / "log")) < after and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    start = repr(0.5 * (1e-3 + 5e-3))  # the store is known by the model at the start
    # Its workers finish what they have begun, and end.
    while kept(tmp_path / "store") < len(set(lines(tmp_path / "log")) - {start}) and time.monotonic() < until:
        time.sleep(0.05)
    begun = lines(tmp_path / "log")
    done = subprocess.run(
        **script(tmp_path, pause=0.0, workers=1), capture_output=True, text=True, check=True
    )
    resumed = done.stdout.split()
    assert len(resumed) == 24
    again = lines(tmp_path / "log")[len(begun) :]
    assert not (set(again) & set(begun)) - {start}
    assert {float.fromhex(t) for t in resumed[::2]} == {float(t) for t in begun + again if t != start}


def test_failed_designs_are_kept_and_tried_again(tmp_path):
    license = tmp_path / "license"

    def licensed(values, mesh):
        if values["thickness"] == 1e-3 and not license.exists():
            raise dtw.MeshError("no license for the mesher")
        return strip(values, mesh)

    one = study(licensed, store=tmp_path / "store")
    before = one.variants(THICKNESSES)
    assert [e.failure for e in before.failed] == ["MeshError: no license for the mesher"]
    assert np.isnan(before.responses["mass"][0])
    assert np.isfinite(before.responses["mass"][1:]).all()
    assert not before.feasible[0]
    license.touch()
    after = before.retry()
    assert not after.failed
    assert [told(e) for e in after.evaluations[1:]] == [told(e) for e in before.evaluations[1:]]
    assert [e.seconds for e in after.evaluations[1:]] == [
        e.seconds for e in before.evaluations[1:]
    ]  # read, not made


def test_a_study_that_is_wrong_says_so_through_its_workers():
    def wrong(model):
        thin = dtw.mass().evaluate(model).value < 0.2 * 0.04 * 2e-3 * DENSITY
        return "no tests" if thin else strength(model)

    with pytest.raises(dtw.StudyError, match="a list of a prototype test"):
        list(_Local(study(tests=wrong), 1, 1, None).map([{"thickness": 1e-3}], "sample"))


def test_what_cannot_be_sent_is_told_with_what_to_do(monkeypatch):
    import threading

    lock = threading.Lock()
    with pytest.raises(dtw.StudyError, match=r"cannot be sent.*locks"):
        packed(study(lambda values, mesh: strip(values, mesh) if lock else None))
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    own = lambda values, mesh: strip(values, mesh)  # noqa: E731
    own.__module__, own.__name__ = "__main__", "build"
    with pytest.raises(dtw.StudyError, match=r"build is defined in the script.*designtwin\[cluster\]"):
        packed(study(own))
    assert packed(study())  # of a module: plain pickle will do


def test_dask_gives_the_same_answers_by_the_same_call():
    distributed = pytest.importorskip("distributed")
    designs = THICKNESSES if FULL else THICKNESSES[:3]
    here = study().variants(designs, workers=1)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=FULL, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        by_client = study().variants(designs, cluster=client)
        by_address = study().variants(designs[:1], cluster=cluster.scheduler_address)
    assert [told(e) for e in by_client.evaluations] == [told(e) for e in here.evaluations]
    assert told(by_address.evaluations[0]) == told(here.evaluations[0])


@pytest.mark.skipif(not FULL, reason="starts processes")
def test_a_dask_worker_that_is_killed_loses_nothing(tmp_path):
    distributed = pytest.importorskip("distributed")
    first = tmp_path / "first"

    def deadly(values, mesh):
        if values["thickness"] == 2e-3 and not first.exists():
            first.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return strip(values, mesh)

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        found = study(deadly).variants(THICKNESSES, cluster=cluster)
    assert first.exists()
    assert not found.failed


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.variants([]), "at least one"),
        (lambda s: s.variants({"thickness": 1.0}), "list"),
        (lambda s: s.variants([{"thicknes": "2 mm"}]), "did you mean 'thickness'"),
        (lambda s: s.variants([{}]), "lacks 'thickness'"),
        (lambda s: s.variants([{"thickness": "2 kg"}]), "length is wanted"),
        (lambda s: s.variants(THICKNESSES, workers=0), "workers=0"),
        (lambda s: s.variants(THICKNESSES, workers=2, cluster="tcp://head:8786"), "leave workers= out"),
        (lambda s: s.sample(0), "n=0"),
        (lambda s: s.sample(8, method="sobl"), "did you mean 'sobol'"),
        (lambda s: s.sample(10**6, method="factorial"), "fewer levels"),
    ],
)
def test_bad_asking_is_told(ask, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        ask(study())


# Where to look


@pytest.mark.parametrize("method", ["sobol", "lhs"])
def test_every_sixteenth_of_every_axis_gets_its_point(method):
    points = unit_points(16, 3, method, seed=1)
    assert_array_equal(np.sort(np.floor(16 * points), axis=0), np.tile(np.arange(16.0), (3, 1)).T)


@pytest.mark.parametrize("method", ["sobol", "halton", "lhs", "random"])
def test_points_follow_their_seed_and_nothing_else(method):
    points = unit_points(20, 2, method, seed=3)
    assert points.shape == (20, 2)
    assert_array_equal(points, unit_points(20, 2, method, seed=3))
    assert not np.array_equal(points, unit_points(20, 2, method, seed=4))
    assert (points >= 0.0).all()
    assert (points <= 1.0).all()


def test_a_factorial_holds_every_corner_and_a_choice_gets_its_share():
    assert_array_equal(
        np.unique(unit_points(3, 2, "factorial", 0), axis=0),
        [[i / 2, j / 2] for i in range(3) for j in range(3)],
    )
    sheets = {"thickness": dtw.variable(choices=["1 mm", "2 mm", "4 mm"])}
    found = study(variables=sheets).sample(3, method="factorial")
    assert sorted(found.values[:, 0]) == [0.001, 0.002, 0.004]


def test_the_table_holds_what_was_found_in_display_units(tmp_path):
    found = study().variants(THICKNESSES)
    thickness = found.values[:, 0]
    assert_allclose(found.responses["mass"], 0.2 * 0.04 * DENSITY * thickness)
    assert_allclose(
        found.responses["yield margin (von Mises) ≥ 2"], YIELD * 0.04 * thickness / PULL, rtol=1e-9
    )
    assert_allclose(
        found.slacks["yield margin (von Mises) ≥ 2 | pull"], YIELD * 0.02 * thickness / PULL - 1, atol=1e-6
    )
    assert found.best is not None
    assert found.best.values["thickness"] == 2e-3
    assert "2 mm" in str(found).splitlines()[1]
    found.save(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert_allclose([float(row["thickness [mm]"]) for row in rows], [1.0, 1.5, 2.0, 2.5, 3.0])
    assert_allclose([float(row["mass [kg]"]) for row in rows], found.responses["mass"])
    with pytest.raises(dtw.StudyError, match="does not exist"):
        found.save(tmp_path / "nowhere" / "table.csv")


def test_closed_workers_are_told():
    pool = Workers(study(), workers=2)
    pool.close()
    with pytest.raises(dtw.StudyError, match="closed"):
        list(pool.map([{"thickness": 1e-3}, {"thickness": 2e-3}]))
