"""The result cache: nothing is solved twice, no digit changes, and no damage goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from builders import box

import designtwin as dtw
from designtwin import analysis
from designtwin.errors import DesignTwinError, StoreError
from designtwin.prototype import cache as caching
from designtwin.prototype.records import Context, pack, unpack

MESH = box("tetra10", (6, 2, 2), (0.2, 0.02, 0.02))
LIFT = [dtw.Force(on="xmax", value=("0 N", "0 N", "-250 N"))]


def bar(**changes):
    stated = {
        "materials": {"body": dtw.material("S355")},
        "supports": [dtw.FixedSupport(on="xmin")],
        "load_cases": {
            "lift": LIFT,
            "pull": [dtw.Force(on="xmax", value=("1 kN", "0 N", "0 N"))],
            "both": dtw.combine(lift=1.35, pull=1.5),
        },
    }
    return dtw.Model(MESH, **(stated | changes))


def heated():
    return bar(
        supports=[dtw.FixedTemperature(on="xmin", value="20 degC")],
        load_cases={"on": [dtw.HeatFlow(on="xmax", total="5 W")]},
    )


def strength(limit="0.5 mm", model=None, **options):
    asked = [dtw.displacement("xmax") <= limit, dtw.yield_margin() >= 1.5]
    return dtw.StrengthTest(bar() if model is None else model, requirements=asked, **options)


def vibration(excitation, requirement):
    return dtw.VibrationTest(bar(), requirements=[requirement], damping="2 %", cases={"shake": excitation})


TESTS = {
    "strength": strength,
    "thermal": lambda: dtw.ThermalTest(heated(), requirements=[dtw.temperature() <= "90 degC"]),
    "thermal over time": lambda: dtw.ThermalTest(
        heated(), requirements=[dtw.temperature() <= "90 degC"], duration="60 s", initial="20 degC"
    ),
    "modes": lambda: dtw.VibrationTest(bar(), requirements=[dtw.frequency(1) >= "65 Hz"]),
    "random": lambda: vibration(
        dtw.base_psd("z", [("10 Hz", "0.01 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")]),
        dtw.yield_margin(sigma=3) >= 1.0,
    ),
    "sweep": lambda: vibration(
        dtw.base_harmonic("z", "1 g", low="10 Hz", high="300 Hz"), dtw.displacement("xmax") <= "5 mm"
    ),
    "buckling": lambda: dtw.BucklingTest(bar(), requirements=[dtw.buckling_factor() >= 3.0]),
}


def told(verdict):
    """All a verdict says but the clock."""
    data = verdict.to_dict()
    data["checks"].pop("seconds")
    return json.dumps(data, sort_keys=True)


@pytest.fixture
def kept(tmp_path):
    return dtw.ResultCache(tmp_path / "kept")


@pytest.fixture
def unsolvable(monkeypatch):
    """From now on whatever solves fails."""

    def forbid():
        def never(*_, **__):
            raise AssertionError("solved again")

        for name in ("solve_static", "solve_thermal", "solve_transient", "solve_modes", "solve_random"):
            monkeypatch.setattr(analysis, name, never)
        monkeypatch.setattr("designtwin.analysis.buckling.solve_buckling", never)

    return forbid


@pytest.mark.parametrize("kind", TESTS)
def test_an_unchanged_test_says_the_same_to_the_last_digit_and_solves_nothing(kind, kept, unsolvable):
    plain = TESTS[kind]().run()
    assert told(kept.run(TESTS[kind]())) == told(plain)
    unsolvable()
    again = kept.run(TESTS[kind]())  # another model of equal content
    assert told(again) == told(plain)
    assert str(again).splitlines()[:4] == str(plain).splitlines()[:4]
    assert [str(table) for table in again.tables] == [str(table) for table in plain.tables]
    assert kept.said[-1].endswith("not solved again")


def test_fields_of_a_kept_verdict_are_those_of_the_solution(kept, unsolvable, tmp_path):
    plain = strength().run()
    kept.run(strength())
    unsolvable()
    again = kept.run(strength())
    for case in plain.result.cases:
        for name in ("displacement", "von_mises", "safety_factor"):
            ours, theirs = again.result[case].field(name), plain.result[case].field(name)
            assert np.array_equal(ours.values, theirs.values)
            assert np.array_equal(ours.error, theirs.error)
    assert again.result["both"].parts[0][1] is again.result["lift"]  # shared as it was
    again.result.to_vtu(tmp_path / "a.vtu")
    plain.result.to_vtu(tmp_path / "b.vtu")
    assert (tmp_path / "a.vtu").read_bytes() == (tmp_path / "b.vtu").read_bytes()


def test_a_refined_verdict_is_kept_with_its_rounds_and_its_mesh(kept, unsolvable):
    asked = [dtw.displacement("xmax") <= strength().run().rows[0].value.value]
    test = dtw.StrengthTest(bar(), requirements=asked)
    first = kept.run(test, refine="uniform", max_rounds=1)
    assert kept.run(test).rounds == ()  # without refinement it is another question
    unsolvable()
    again = kept.run(test, refine="uniform", max_rounds=1)
    assert told(again) == told(first)
    assert len(again.rounds) == 2
    fine = again.result.model
    assert fine.mesh.content_hash() == first.result.model.mesh.content_hash() != MESH.content_hash()
    assert again.result["lift"].model is fine
    assert np.array_equal(again.result["lift"].von_mises(), first.result["lift"].von_mises())


def test_a_verdict_that_time_cut_short_is_not_kept(kept):
    asked = [dtw.displacement("xmax") <= strength().run().rows[0].value.value]
    test = dtw.StrengthTest(bar(), requirements=asked)
    assert not kept.run(test, refine="uniform", max_time="1 us")
    assert kept.info().verdicts == 0
    assert "another run may get further" in kept.said[-1]


def test_a_result_that_cannot_be_kept_is_solved_when_it_is_looked_at(kept):
    plain = kept.run(TESTS["sweep"]())
    assert any("fields are not kept" in said for said in kept.said)
    again = kept.run(TESTS["sweep"]())
    assert "result" not in vars(again)
    assert str(again) == str(plain)
    assert "result" not in vars(again)
    assert np.array_equal(again.result["shake"].coordinates, plain.result["shake"].coordinates)


def test_another_limit_is_judged_without_a_solve(kept, unsolvable):
    assert kept.run(strength("0.5 mm")).status == "PASS"
    expected = told(strength("0.1 mm").run())
    unsolvable()
    judged = kept.run(strength("0.1 mm"))
    assert judged.status == "FAIL"
    assert told(judged) == expected
    assert "limits alone have changed" in kept.said[-1]
    assert kept.info().results == 1


def test_limits_that_the_modes_depend_on_solve_anew(kept):
    # A limit on frequencies decides how far modes are computed.
    low = kept.run(dtw.VibrationTest(bar(), requirements=[dtw.no_mode_in("10 Hz", "20 Hz")]))
    high = kept.run(dtw.VibrationTest(bar(), requirements=[dtw.no_mode_in("10 Hz", "4 kHz")]))
    assert low.result.modes.complete_to < 1000.0 < high.result.modes.complete_to


def test_any_change_is_another_test(monkeypatch):
    known = {
        "as it is": caching.keys(strength()),
        "solver": caching.keys(strength(solver=dtw.Direct())),
        "tolerance": caching.keys(strength(solver=dtw.MultigridCG(rtol=1e-9))),
        "other tolerance": caching.keys(strength(solver=dtw.MultigridCG(rtol=1e-8))),
        "load": caching.keys(
            strength(model=bar(load_cases={"lift": [replace(LIFT[0], value=(0, 0, -251))]}))
        ),
        "material": caching.keys(
            strength(model=bar(materials={"body": dtw.material("S355", youngs_modulus="200 GPa")}))
        ),
        "mesh": caching.keys(strength(model=bar().with_(mesh=moved()))),
        "buckling": caching.keys(dtw.BucklingTest(bar(), requirements=[dtw.buckling_factor() >= 3.0])),
    }
    monkeypatch.setattr(caching, "_code", lambda: "another version")
    known["code"] = caching.keys(strength())
    assert len({analysis for analysis, _ in known.values()}) == len(known)
    assert len({judgment for _, judgment in known.values()}) == len(known)


def moved():
    """The mesh with one point somewhere else by a rounding."""
    points = MESH.points.copy()
    points[-1, 0] = np.nextafter(points[-1, 0], 1.0)
    return replace(MESH, points=points)


def test_limits_names_units_and_refinement_are_of_the_judgment_alone():
    base = caching.keys(strength())
    others = [
        caching.keys(strength("0.4 mm")),
        caching.keys(strength(name="bracket")),
        caching.keys(strength(), {"refine": "auto"}),
    ]
    previous = dtw.display_units(length="in")
    others.append(caching.keys(strength()))
    dtw.display_units(*previous)
    assert {analysis for analysis, _ in others} == {base[0]}
    assert len({base[1], *(judgment for _, judgment in others)}) == 5
    assert caching.keys(strength()) == base


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "foreign"])
@pytest.mark.parametrize("suffix", [".verdict", ".result"])
def test_a_damaged_entry_is_told_removed_and_computed_again(damage, suffix, kept):
    plain = told(kept.run(strength()))
    (path,) = kept.folder.glob(f"*{suffix}")
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes({"cut": data[:-7], "flipped": data, "emptied": b"", "foreign": b"%PDF-1.7"}[damage])
    assert told(kept.run(strength())) == plain
    assert any("damaged" in said for said in kept.said)
    kept.said.clear()
    assert told(kept.run(strength())) == plain
    assert kept.said == ["strength test: unchanged since it was last run, not solved again"]


def test_a_record_makes_nothing_but_records_of_ours():
    context = Context(bar())
    for value in ("os:system", "designtwin.prototype.cache:ResultCache", "designtwin.io:read_mesh"):
        head = json.dumps({"value": {"o": value, "fields": {}}, "arrays": []}).encode()
        body = len(head).to_bytes(8, "little") + head
        data = b"designtwin 1\n\0\0\0" + hashlib.blake2b(body, digest_size=32).digest() + body
        with pytest.raises(StoreError):
            unpack(data, context)


def test_values_come_back_bit_by_bit():
    values = {
        "numbers": (0.1, -0.0, float("nan"), float("-inf"), 7, True, None, 2 + 3j),
        "arrays": [np.array([np.nan, -0.0, 1e-310]), np.asfortranarray(np.arange(6.0).reshape(2, 3))],
        "empty": np.empty((0, 3)),
        "flags": np.array([True, False]),
    }
    context = Context(bar())
    back = unpack(pack(values, context), context)
    assert repr(back["numbers"]) == repr(values["numbers"])
    for ours, theirs in zip([*back["arrays"], back["empty"], back["flags"]],
                            [*values["arrays"], values["empty"], values["flags"]], strict=True):  # fmt: skip
        assert ours.tobytes("A") == theirs.tobytes("A")
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        assert ours.strides == theirs.strides or not ours.size
    with pytest.raises(StoreError, match=r"result\['f'\] holds a function"):
        pack({"f": moved}, context)


def test_the_least_asked_for_goes_when_room_is_short(kept, tmp_path):
    kept.run(strength("0.5 mm"))
    size = kept.info().bytes
    small = dtw.ResultCache(kept.folder, max_bytes=int(1.5 * size))
    old = {path.name for path in kept.folder.iterdir()}
    for path in kept.folder.iterdir():
        os.utime(path, (1.0, 1.0))
    small.run(strength(model=bar(name="another")))
    assert small.info().bytes <= small.max_bytes
    assert not old <= {path.name for path in kept.folder.iterdir()}
    tiny = dtw.ResultCache(tmp_path / "tiny", max_bytes=1000)
    assert tiny.run(strength()).status == "PASS"
    assert tiny.info().bytes == 0
    assert any("at most" in said for said in tiny.said)


def test_clear_leaves_what_is_not_its_own(kept):
    kept.run(strength())
    (kept.folder / "notes.txt").write_text("mine")
    (kept.folder / ".abc.result.1234abcd").write_bytes(b"half written by a process that was killed")
    assert kept.clear() == 3
    assert [path.name for path in kept.folder.iterdir()] == ["notes.txt"]
    assert (kept.info().verdicts, kept.info().results, kept.info().bytes) == (0, 0, 0)


def test_a_folder_that_cannot_be_written_to_makes_no_run_fail(tmp_path):
    (tmp_path / "file").write_text("")
    kept = dtw.ResultCache(tmp_path / "file" / "kept")
    assert kept.run(strength()).status == "PASS"
    assert any("cannot be written" in said for said in kept.said)


def test_what_has_no_content_is_solved_and_said(kept):
    heat = dtw.HeatFlow(on="xmax", total=dtw.function(lambda t: 5.0 + 0.0 * t, over="time"))
    model = heated().with_(load_cases={"on": [heat]})
    asked = [dtw.temperature() <= "90 degC"]
    assert kept.run(dtw.ThermalTest(model, requirements=asked, duration="10 s", initial="20 degC"))
    assert "cannot be kept" in kept.said[-1]
    assert kept.info().verdicts == 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Push(dtw.Force):
    """A load of a user's own."""


def test_code_of_users_is_part_of_the_content(tmp_path, monkeypatch):
    before = caching.keys(strength())
    monkeypatch.setattr(sys.modules[__name__], "__file__", str(tmp_path / "edited.py"))
    (tmp_path / "edited.py").write_text("# another Push")
    assert caching.keys(strength()) != before
    monkeypatch.setattr(sys.modules[__name__], "__file__", None)
    with pytest.raises(DesignTwinError, match="in no file"):
        caching.keys(strength())


def test_many_processes_share_a_folder(tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import test_result_cache as t, designtwin as dtw; "
        "kept = dtw.ResultCache(sys.argv[3]); "
        "[kept.run(t.strength(limit)) for limit in ('0.5 mm', '0.1 mm', '0.5 mm')]; "
        "print(t.told(kept.run(t.strength())))"
    )
    here = Path(__file__).parent
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(here), str(here.parent), str(tmp_path / "kept")],
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    answers = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert answers[0] == answers[1]
    assert dtw.ResultCache(tmp_path / "kept").info().verdicts == 2


def test_the_environment_names_the_folder_or_switches_it_off(monkeypatch, tmp_path):
    monkeypatch.setenv("DESIGNTWIN_CACHE", str(tmp_path / "here"))
    assert dtw.ResultCache().folder == tmp_path / "here"
    monkeypatch.setenv("DESIGNTWIN_CACHE", "off")
    with pytest.raises(StoreError, match="switched off"):
        dtw.ResultCache()
    monkeypatch.delenv("DESIGNTWIN_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert dtw.ResultCache().folder == tmp_path / "designtwin"


def test_a_record_leaves_out_what_adjoints_take_up():
    model = bar()
    kept, plain = (dtw.solve_static(model, keep=keep) for keep in (True, False))
    assert kept.kept
    assert not plain.kept
    back = unpack(pack(kept, Context(model)), Context(model))
    assert not back.kept
    for name in model.cases:
        assert back[name].displacement.tobytes() == kept[name].displacement.tobytes()
