"""Pages and the command line on what vibrates and what may buckle."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from builders import box

import designtwin as dtw
from designtwin import cli, edge, units
from designtwin.io import write_mesh
from designtwin.report import write_report

MAST = """\
name = "mast"
requirements = [
    'frequency(1) >= "65 Hz"',
    'yield_margin(sigma=3, case="transport") >= 1.25',
    'acceleration("xmax", "z", case="sweep") <= "60 g"',
    'displacement("xmax", "z", case="shock") <= "1 mm"',
    'buckling_factor() >= 3',
]
[mesh]
file = "mast.msh"
length_unit = "mm"
[materials]
body = "S355"
[[supports]]
type = "FixedSupport"
on = "xmin"
[[cases.push]]
type = "Force"
on = "xmax"
value = ["-1 kN", "0 N", "0 N"]
[excitations]
transport = { base_psd = "z", table = [["10 Hz", "0.01 g**2/Hz"], ["2 kHz", "0.01 g**2/Hz"]] }
sweep = { base_harmonic = "z", amplitude = "1 g", low = "20 Hz", high = "2 kHz" }
shock = { half_sine = "z", peak = "50 g", duration = "11 ms" }
[test]
modes_up_to = "3 kHz"
damping = "2 %"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mast")
    write_mesh(box("hexahedron20", (6, 1, 1), (0.2, 0.02, 0.01)), path / "mast.msh")
    (path / "part.toml").write_text(MAST, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def verdicts(folder):
    return dtw.read_design(folder / "part.toml").run()


class Artist:
    """Remembers what it is asked to draw."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        def draw(*args, **options):
            self.asked.append((name, args, options))
            return SimpleNamespace(png=b"\x89PNG", width=1, height=1)

        return draw

    def colors_a_part(self, quantity):
        return hasattr(quantity, "reads")

    def field_name(self, quantity):
        return "safety_factor"

    def web_view(self, verdict):
        return None


def test_a_page_has_the_modes_their_shapes_and_each_response(verdicts, tmp_path):
    artist = Artist()
    page = write_report(verdicts[0], tmp_path / "r.html", artist=artist).read_text()
    modes = verdicts[0].result.modes
    for mode in modes:
        assert units.show(mode.frequency, "frequency") in page
    assert "Response transport" in page
    assert "Response sweep" in page
    assert "balance of inertia and reactions" in page
    drawn = [(name, args) for name, args, _ in artist.asked]
    shapes = [args[0].number for name, args in drawn if name == "plot_field" and args[1] == "shape"]
    assert shapes == [1, 2, 3]
    # what is judged at three sigma is drawn at three sigma, not as the field of one
    judged = [args[1] for name, args in drawn if name == "plot_field" and args[0] is verdicts[0]]
    assert verdicts[0].rows[1].requirement.quantity in judged
    (curve,) = [args[0] for name, args in drawn if name == "plot_response"]
    assert curve.peak.frequency == pytest.approx(modes[0].frequency, rel=2e-3)
    assert sum(name == "plot_times" for name, _ in drawn) == 1  # the shock alone has a course in time


def test_a_page_of_buckling_has_its_factors_and_the_shape_that_governs(verdicts, tmp_path):
    artist = Artist()
    page = write_report(verdicts[1], tmp_path / "r.html", artist=artist).read_text()
    assert "Buckling, load case push" in page
    assert f"{verdicts[1].result['push'].critical:.4g}" in page
    shapes = [args[0] for name, args, _ in artist.asked if name == "plot_field" and args[1] == "shape"]
    assert shapes == [verdicts[1].result["push"].critical_mode]


def test_the_command_line_prints_modes_and_factors_and_writes_fields(folder, capsys, tmp_path, monkeypatch):
    seen = []

    def draw(source, name, screenshot):
        screenshot.write_bytes(b"a picture")
        seen.append(screenshot.name)

    monkeypatch.setattr(edge, "plot", draw)
    monkeypatch.setattr(edge, "plot_verdict", draw)
    code = cli.main(
        [
            "run", str(folder / "part.toml"), "--fields", str(tmp_path / "f"),
            "--pictures", str(tmp_path / "p"), "--json", str(tmp_path / "v.json"),
        ]
    )  # fmt: skip
    out, told = capsys.readouterr()
    assert code == 0, told
    assert "effective mass in %" in out
    assert "buckling under 'push'" in out
    assert seen == [
        "mode_1.png", "mode_2.png", "mode_3.png", "transport_von_mises.png", "sweep_az.png", "shock_uz.png",
        "buckling_push.png",
    ]  # fmt: skip
    written = {path.name for path in (tmp_path / "f").iterdir()}
    assert written == {"vibration.vtu", "vibration_shock.vtkhdf", "buckling.vtu"}
    head = (tmp_path / "f" / "vibration.vtu").read_bytes()
    for name in (b"mode 1, ", b"transport: von_mises", b"sweep: acceleration"):
        assert name in head
    assert b"shock:" not in head
    data = json.loads((tmp_path / "v.json").read_text())
    assert data["verdicts"][0]["checks"]["modes"]["rigid"] == 0
    assert set(data["verdicts"][0]["checks"]["responses"]) == {"transport", "sweep", "shock"}
