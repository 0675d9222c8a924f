"""A second process finds compiled code in the cache, wherever it lies; importing compiles nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import designtwin
from designtwin import warm
from designtwin.cli import main
from designtwin.errors import DesignTwinError

TESTS = Path(__file__).resolve().parent

CODE = """
import importlib, json, pkgutil, sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from builders import apart, box
import designtwin as dtw
import designtwin.kernels

names = [m.name for m in pkgutil.iter_modules(designtwin.kernels.__path__)]
found = [importlib.import_module("designtwin.kernels." + name) for name in names]
jitted = {{f"{{m.__name__}}.{{n}}": f for m in found for n, f in vars(m).items() if hasattr(f, "signatures")}}
at_import = {{n: len(f.signatures) for n, f in jitted.items() if f.signatures}}
mesh = box("tetra10", (9, 9, 10))
model = dtw.Model(
    mesh,
    materials={{"body": dtw.material("S355")}},
    supports=[dtw.FixedSupport(on="xmin")],
    load_cases={{
        "pull": [dtw.Force(on="xmax", value=("1 kN", 0.0, 0.0)), dtw.Gravity(direction="-z")],
        "heat": [dtw.FixedTemperature(on="xmin", value=300.0), dtw.HeatFlow(on="xmax", total="1 W")],
    }},
)
dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run()
dtw.ThermalTest(model, requirements=[dtw.temperature("xmax") <= 400.0]).run()
course = dtw.ThermalTest(
    model, duration="3 s", initial="20 degC", step="1 s", requirements=[dtw.temperature("xmax") <= 400.0]
).run().result["heat"]
hot = model.with_case("hot", [dtw.Temperature(course, reference="20 degC")])
dtw.StrengthTest(hot, requirements=[dtw.yield_margin(case="hot") >= 1.5]).run()
beside = box("tetra10", 2, origin=(1.0, 0.0, 0.0))
pair = dtw.Model(
    apart(box("tetra10", 3), replace(beside, groups={{"b" + n: g for n, g in beside.groups.items()}})),
    materials={{dtw.everything(): dtw.material("S355")}},
    connections=[dtw.ContactConductance(a="xmax", b="bxmin", conductance="1 kW/(m2*K)")],
    load_cases={{"heat": [
        dtw.HeatFlow(on="xmin", total="1 W"),
        dtw.Radiation(on="bxmax", emissivity=0.5, ambient="20 degC"),
        dtw.Enclosure(on="bymax", emissivity=0.5, ambient="20 degC"),
    ]}},
)
dtw.solve_transient(pair, duration="3 s", initial="20 degC", step="1 s")
print(json.dumps({{
    "at import": at_import,
    "compiled": [n for n, f in jitted.items() if f.stats.cache_misses],
    "loaded": sum(bool(f.stats.cache_hits) for f in jitted.values()),
    "compiler": "numba.np.arraymath" in sys.modules,
}}))
"""


def run():
    code = CODE.format(tests=str(TESTS))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_second_process_compiles_nothing():
    run()
    second = run()
    assert second["at import"] == {}
    assert second["compiled"] == []
    assert second["loaded"] > 10
    assert not second["compiler"]  # what is cached needs none


def test_after_warm_a_first_analysis_compiles_nothing(capfd):
    assert main(["warm"]) == 0
    said = capfd.readouterr()
    assert said.out.startswith("kernels are compiled")
    assert said.err == ""  # nobody watches: no bar
    assert Path(said.out.split(" lie in ")[1].strip()).is_dir()
    assert run()["compiled"] == []


LOAD_ALL = """
import importlib, pkgutil, sys
import designtwin.kernels
from numba.core.registry import cpu_target
loaded = 0
for module in pkgutil.iter_modules(designtwin.kernels.__path__):
    for kernel in vars(importlib.import_module("designtwin.kernels." + module.name)).values():
        if hasattr(getattr(kernel, "_cache", None), "_cache_file"):
            for signature, *_ in kernel._cache._cache_file._load_index():
                assert kernel._cache.load_overload(signature, cpu_target.target_context) is not None
                loaded += 1
assert loaded > 10
assert "numba.np.arraymath" not in sys.modules
"""


def test_all_that_is_cached_loads_without_the_compiler():
    run()
    subprocess.run([sys.executable, "-c", LOAD_ALL], check=True)


def test_warm_says_what_went_wrong(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "false")
    with pytest.raises(DesignTwinError, match="compiling failed"):
        warm.warm()


# What compiles little: the outside of two tetrahedra.
FACES = """
import json
import designtwin as dtw
from designtwin.kernels import topology
points = [[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
mesh = dtw.Mesh(points, {"tetra": [[0, 1, 2, 3], [1, 4, 2, 3]]})
assert len(mesh.exterior) == 6
stats = topology.by_first_corner.stats
print(json.dumps([str(stats.cache_path), sum(stats.cache_misses.values()), dtw.__file__]))
"""


@pytest.mark.parametrize("home", ["home", "no home"])
def test_an_install_that_cannot_be_written_caches_elsewhere(tmp_path, home):
    package = tmp_path / "install" / "designtwin"
    shutil.copytree(Path(designtwin.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    # A file where the folder of compiled code should be: nobody can write there, not even root.
    (package / "kernels" / "__pycache__").touch()
    (tmp_path / "closed").touch()
    place = tmp_path if home == "home" else tmp_path / "closed"
    environment = {
        **os.environ, "PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(place / "cache"),
        "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    environment.pop("NUMBA_CACHE_DIR", None)

    def faces():
        done = subprocess.run(
            [sys.executable, "-c", FACES],
            capture_output=True, text=True, check=True, env=environment, cwd=tmp_path,
        )  # fmt: skip
        return json.loads(done.stdout)

    (folder, first, source), (_, second, _) = faces(), faces()
    assert Path(source).parent == package
    assert Path(folder).is_relative_to(tmp_path)
    assert not Path(folder).is_relative_to(package)
    assert (first, second) == (1, 0)
