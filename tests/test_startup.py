"""A second process finds compiled code in the cache; importing compiles nothing."""

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent

CODE = """
import importlib, json, pkgutil, sys
sys.path.insert(0, {tests!r})
from builders import box
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
print(json.dumps({{
    "at import": at_import,
    "compiled": [n for n, f in jitted.items() if f.stats.cache_misses],
    "loaded": sum(bool(f.stats.cache_hits) for f in jitted.values()),
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
