"""Vibration and buckling in text files: the same as in Python; mistakes with their line."""

from __future__ import annotations

import pytest
from builders import box

import designtwin as dtw
from designtwin.errors import ModelError
from designtwin.io import write_mesh
from designtwin.prototype.grammar import parse_requirement
from designtwin.prototype.textfile import read_design

MAST = """\
requirements = [
    'frequency(1) >= "65 Hz"',
    'no_mode_in("95 Hz", "105 Hz", direction="x")',
    'yield_margin(sigma=3, case="transport") >= 1.25',
    'acceleration("xmax", "z", case="sweep") <= "40 g"',
    'buckling_factor() >= 3',
    'yield_margin() >= 1.5',
    'mass() <= "1 kg"',
]

[mesh]
file = "mast.msh"
length_unit = "mm"

[materials]
body = "S355"

[[supports]]
type = "FixedSupport"
on = "xmin"

[[supports]]
type = "Damper"
on = "xmax"
damping = ["5 N*s/m", "5 N*s/m", "20 N*s/m"]

[[cases.push]]
type = "Force"
on = "xmax"
value = ["-1 kN", "0 N", "0 N"]

[[cases.weight]]
type = "Gravity"

[excitations]
transport = { base_psd = "z", table = [["10 Hz", "0.01 g**2/Hz"], ["2 kHz", "0.01 g**2/Hz"]] }
sweep = { base_harmonic = "z", amplitude = "1 g", low = "20 Hz", high = "2 kHz" }
shock = { half_sine = [0, 0, 1], peak = "50 g", duration = "11 ms" }
quake = { response_spectrum = "x", table = [["1 Hz", "1 g"], ["30 Hz", "1 g"]], combine = "SRSS" }
motor = { harmonic = "push", amplitude = 0.1, low = "20 Hz", high = "200 Hz" }
noise = { force_psd = [{ type = "Force", on = "xmax", value = ["0 N", "0 N", "1 N"] }], table = [["20 Hz", "2 N**2/Hz"], ["200 Hz", "2 N**2/Hz"]] }

[excitations.both]
correlated = [
    { base_psd = "x", table = [["10 Hz", "0.01 g**2/Hz"], ["2 kHz", "0.01 g**2/Hz"]] },
    { base_psd = "z", table = [["10 Hz", "0.01 g**2/Hz"], ["2 kHz", "0.01 g**2/Hz"]] },
]
coherence = 0.5

[test]
modes_up_to = "4 kHz"
damping = [["10 Hz", "1 %"], ["1 kHz", "3 %"]]
prestress = "push"
dead = "weight"
count = 3
"""  # noqa: E501
# One key cannot be of both tests here: vibration takes modes_up_to or count.
MAST = MAST.replace("count = 3\n", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mast")
    write_mesh(box("hexahedron20", (4, 1, 1), (0.2, 0.02, 0.01)), path / "mast.msh")
    return path


def read(folder, text):
    (folder / "part.toml").write_text(text, encoding="utf-8")
    return read_design(folder / "part.toml")


def test_text_and_python_state_the_same_tests(folder):
    design = read(folder, MAST)
    strength, vibration, buckling = design.tests
    assert [type(test).__name__ for test in design.tests] == ["StrengthTest", "VibrationTest", "BucklingTest"]
    flat = [("10 Hz", "0.01 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")]
    assert dict(vibration.cases) == {
        "transport": dtw.base_psd("z", flat),
        "sweep": dtw.base_harmonic("z", "1 g", low="20 Hz", high="2 kHz"),
        "shock": dtw.half_sine((0.0, 0.0, 1.0), "50 g", "11 ms"),
        "quake": dtw.response_spectrum("x", [("1 Hz", "1 g"), ("30 Hz", "1 g")], combine="SRSS"),
        "motor": dtw.harmonic("push", amplitude=0.1, low="20 Hz", high="200 Hz"),
        "noise": dtw.force_psd(
            [dtw.Force(on="xmax", value=("0 N", "0 N", "1 N"))],
            [("20 Hz", "2 N**2/Hz"), ("200 Hz", "2 N**2/Hz")],
        ),
        "both": dtw.correlated([dtw.base_psd("x", flat), dtw.base_psd("z", flat)], coherence=0.5),
    }
    assert vibration.damping == dtw.damping([("10 Hz", "1 %"), ("1 kHz", "3 %")])
    assert (vibration.modes_up_to, vibration.prestress) == ("4 kHz", "push")
    assert buckling.dead == "weight"
    assert [str(r) for r in vibration.requirements] == [
        str(r)
        for r in (
            dtw.frequency(1) >= "65 Hz",
            dtw.no_mode_in("95 Hz", "105 Hz", direction="x"),
            dtw.yield_margin(sigma=3, case="transport") >= 1.25,
            dtw.acceleration("xmax", "z", case="sweep") <= "40 g",
        )
    ]
    assert [str(r) for r in strength.requirements] == [
        str(r) for r in (dtw.yield_margin() >= 1.5, dtw.mass() <= "1 kg")
    ]
    assert list(buckling.requirements) == [dtw.buckling_factor() >= 3]


def only(*requirements: str, test: str = "", drop: tuple[str, ...] = ()) -> str:
    """The file with other requirements, other options, without some excitations."""
    head = "requirements = [" + ", ".join(map(repr, requirements)) + "]\n"
    text = head + MAST[MAST.index("\n[mesh]") : MAST.index("\n[test]")] + "\n[test]\n" + test
    for name in drop:
        text = "\n".join(line for line in text.split("\n") if not line.startswith(f"{name} ="))
    return text


CASES = ("transport", "noise", "quake", "shock")


def test_a_kind_that_no_requirement_asks_for_is_refused(folder):
    text = only("frequency(1) >= '5 Hz'", test="kind = 'buckling'", drop=CASES)
    with pytest.raises(ModelError, match=r"line \d+: kind 'buckling', and no requirement is of that test"):
        read(folder, text)


def test_the_kind_decides_where_load_cases_and_excitations_could_both_answer(folder):
    text = only("displacement() <= '1 mm'", test="damping = '1 %'\nkind = 'vibration'", drop=CASES)
    text = text[: text.index("\n[excitations.both]")] + text[text.index("\n[test]") :]
    (test,) = read(folder, text).tests
    assert type(test) is dtw.VibrationTest
    assert list(test.cases) == ["sweep", "motor"]
    asked = text.replace("kind = 'vibration'", "").replace("'1 mm'\"", "'1 mm'\", 'frequency(1) >= 5'")
    assert [type(test) for test in read(folder, asked).tests] == [dtw.StrengthTest, dtw.VibrationTest]


def test_sigma_and_the_name_of_an_excitation_speak_for_vibration(folder):
    (test,) = read(folder, only('stress(sigma=3, case="both") <= "1 MPa"', test="damping = '1 %'")).tests
    assert type(test) is dtw.VibrationTest
    (test,) = read(folder, only('stress(case="sweep") <= "1 MPa"', test="damping = '1 %'")).tests
    assert type(test) is dtw.VibrationTest


@pytest.mark.parametrize(
    ("given", "damping"),
    [
        ("'1.5 %'", dtw.damping("1.5 %")),
        ("['1 %', '2 %']", dtw.damping(["1 %", "2 %"])),
        ("{ structural = '2 %' }", dtw.structural("2 %")),
        (
            "{ rayleigh = [['10 Hz', '2 %'], ['100 Hz', '3 %']] }",
            dtw.rayleigh(("10 Hz", "2 %"), ("100 Hz", "3 %")),
        ),
        ("{ rayleigh = { mass = 3.0, stiffness = 1e-5 } }", dtw.rayleigh(mass=3.0, stiffness=1e-5)),
    ],
)
def test_damping_is_what_python_takes(folder, given, damping):
    (test,) = read(folder, only("frequency(1) >= 5", test=f"damping = {given}")).tests
    assert test.damping == damping


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"z", table = [["10 Hz", "0.01', '"z", table = [["10 Hz", "-0.01'), "positive"),
        (("base_harmonic", "base_harmonics"), "no excitation in base_harmonics"),
        (('amplitude = "1 g"', 'amplitudo = "1 g"'), "did you mean 'amplitude'"),
        (('half_sine = [0, 0, 1], ', 'half_sine = "z", base_psd = "z", '), "two excitations"),
        (('peak = "50 g", ', 'peaks = "50 g", '), "did you mean 'peak'"),
        (('[0, 0, 1], peak = "50 g", ', "[0, 0, 1], "), "missing 1 required positional argument: 'peak'"),
        (('combine = "SRSS"', 'combine = "SRS"'), "'SRSS' or 'CQC'"),
        (("sweep = {", "push = {"), "'push' is a load case and an excitation"),
        (("sweep = {", 'sweep = "z" #'), "an excitation is a table"),
        (('harmonic = "push"', 'harmonic = "pusch"'), "did you mean 'push'"),
        (("[excitations.both]\ncorrelated = [", '[excitations.both]\ncorrelated = ["x",'), "is a table"),
        (("coherence = 0.5", "coherense = 0.5"), "did you mean 'coherence'"),
        (('"4 kHz"', '"0 kHz"'), "the band is empty"),
        (('["1 kHz", "3 %"]', '["1 kHz", "300 %"]'), "does not vibrate"),
        (('[["10 Hz", "1 %"], ["1 kHz", "3 %"]]', '{ rayleig = 2 }'), "damping is '1.5 %'"),
        (('prestress = "push"', 'prestres = "push"'), "did you mean 'prestress'"),
        (('prestress = "push"', 'prestress = "puhs"'), "did you mean 'push'"),
        (('dead = "weight"', 'dead = "wait"'), "dead='wait' is no load case"),
        (('dead = "weight"', 'kind = "vibrations"'), "did you mean 'vibration'"),
        (('dead = "weight"', 'count = 3'), "not both"),
        (("'buckling_factor() >= 3',", ""), "dead is of a vibration or buckling test"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(folder, change, says):
    assert change[0] in MAST
    text = MAST.replace(*change, 1)
    with pytest.raises(ModelError, match=rf"part\.toml, line \d+: .*{says}") as error:
        read(folder, text)
    line = int(str(error.value).split("line ")[1].split(":")[0])
    blamed = "dead =" if not change[1] else change[1].split("\n")[0]
    if says != "not both":  # of which neither is the wrong one
        assert blamed in text.splitlines()[line - 1]


def test_excitations_that_no_requirement_asks_about_are_refused(folder):
    with pytest.raises(ModelError, match="excitations belong to a vibration test, and no requirement"):
        read(folder, only("yield_margin() >= 1.5"))


def test_a_band_needs_no_limit_in_a_line_or_in_a_table(folder):
    assert parse_requirement('no_mode_in("95 Hz", "105 Hz")') == dtw.no_mode_in("95 Hz", "105 Hz")
    table = '{ quantity = "no_mode_in", low = "95 Hz", high = "105 Hz" }'
    text = only("X", test="damping = '1 %'").replace("'X'", table)
    assert read(folder, text).tests[0].requirements == (dtw.no_mode_in("95 Hz", "105 Hz"),)
    with pytest.raises(ModelError, match="no_mode_in has no limit but its band"):
        read(folder, text.replace("low =", "at_least = 3, low ="))
    with pytest.raises(ModelError, match="compares no quantity with a limit"):
        parse_requirement('no_mode_in("95 Hz", "105 Hz") >= 3')
