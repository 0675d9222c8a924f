"""Heat in text files: tables over time, logs, coefficients, radiation, melting; mistakes with their line."""

from __future__ import annotations

import pytest
from builders import box

import designtwin as dtw
from designtwin.errors import ModelError
from designtwin.io import write_mesh
from designtwin.prototype.textfile import read_design

WALL = """\
requirements = ['temperature() <= "95 degC"']

[mesh]
file = "wall.msh"
length_unit = "mm"

[materials]
body = { conductivity = { over = "temperature", at = ["20 degC", "300 degC"], values = [50, 40] }, \
density = 7850, specific_heat = 460, latent_heat = "247 kJ/kg", melting = ["1420 degC", "1470 degC"] }

[[cases.on]]
type = "HeatFlow"
on = "xmin"
total = { log = "drive.csv", time = "t", column = "power", unit = "kW", time_unit = "min" }

[[cases.on]]
type = "HeatFlow"
on = "ymin"
total = { over = "time", at = ["0 s", "2 min"], values = ["0 W", "40 W"], outside = "hold" }

[[cases.on]]
type = "Convection"
on = "xmax"
coefficient = { natural_convection = "vertical plate", length = "0.1 m", ambient = "25 degC" }
ambient = "25 degC"

[[cases.on]]
type = "Convection"
on = "ymax"
coefficient = { forced_convection = "cylinder", diameter = "9 mm", speed = "2 m/s", ambient = "25 degC" }
ambient = "25 degC"

[[cases.on]]
type = "Radiation"
on = "xmax"
emissivity = 0.9
ambient = "25 degC"

[[cases.on]]
type = "FixedTemperature"
on = "zmin"
value = { over = "time", at = ["0 s", "2 min"], values = ["20 degC", "40 degC"] }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("heat")
    write_mesh(box("hexahedron", (2, 1, 1), (0.1, 0.1, 0.1)), path / "wall.msh")
    (path / "drive.csv").write_text("t,power\n0,0\n1,0.5\n3,0.2\n", encoding="utf-8")
    return path


def read(folder, text):
    (folder / "part.toml").write_text(text, encoding="utf-8")
    return read_design(folder / "part.toml")


def test_text_and_python_state_the_same_heat(folder):
    design = read(folder, WALL)
    log = dtw.read_log(folder / "drive.csv", time="t", units={"power": "kW", "t": "min"})
    over = dtw.table(over="time", at=["0 s", "2 min"], values=["0 W", "40 W"], outside="hold")
    model = dtw.Model(
        dtw.read_mesh(folder / "wall.msh", length_unit="mm"),
        materials={
            "body": dtw.LinearElastic(
                conductivity=dtw.table(over="temperature", at=["20 degC", "300 degC"], values=[50, 40]),
                density=7850, specific_heat=460, latent_heat="247 kJ/kg", melting=("1420 degC", "1470 degC"),
            )
        },
        load_cases={
            "on": [
                dtw.HeatFlow(on="xmin", total=log["power"]),
                dtw.HeatFlow(on="ymin", total=over),
                dtw.Convection(
                    on="xmax", ambient="25 degC",
                    coefficient=dtw.natural_convection(
                        shape="vertical plate", length="0.1 m", ambient="25 degC"
                    ),
                ),
                dtw.Convection(
                    on="ymax", ambient="25 degC",
                    coefficient=dtw.forced_convection(
                        shape="cylinder", diameter="9 mm", speed="2 m/s", ambient="25 degC"
                    ),
                ),
                dtw.Radiation(on="xmax", emissivity=0.9, ambient="25 degC"),
                dtw.FixedTemperature(
                    on="zmin",
                    value=dtw.table(over="time", at=["0 s", "2 min"], values=["20 degC", "40 degC"]),
                ),
            ]
        },
        name="part",
    )  # fmt: skip
    assert design.model.content_hash() == model.content_hash()
    assert design.model.cases["on"].heat_loads[0].total.at(time=60.0) == 500.0


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (('column = "power"', 'column = "powr"'), 13, "did you mean 'power'"),
        (("requirements", 'duration = "20 min"\nrequirements'), 1, r"stands under \[test\]"),
        (('log = "drive.csv"', 'log = "ride.csv"'), 13, "did you mean 'drive.csv'"),
        (('time_unit = "min"', 'times = "min"'), 13, "unknown key 'times' in a log"),
        (('time = "t", ', ''), 13, "a log lacks 'time'"),
        (('unit = "kW"', 'unit = "kN"'), 10, "is a force; a power is wanted"),
        (('at = ["0 s", "2 min"], values = ["0 W"', 'at = [3, 2], values = ["0 W"'), 15, "at must increase"),
        (('"vertical plate"', '"vertical plane"'), 23, "did you mean 'vertical plate'"),
        (('diameter = "9 mm", speed', 'speed'), 29, "lacks its diameter"),
        (("emissivity = 0.9\n", ""), 32, "lacks its emissivity"),
        (('0.9\nambient = "25 degC"', "0.9\nambient = 25"), 32, "Did you mean '25 degC'"),
        (("conductivity = {", "konductivity = {"), 8, "did you mean 'conductivity'"),
        (("density = 7850", "density = -7850"), 8, "must be positive"),
    ],
)  # fmt: skip
def test_mistakes_about_heat_are_named_with_their_line(folder, change, line, says):
    assert change[0] in WALL
    with pytest.raises(ModelError, match=rf"part.toml, line {line}: .*{says}"):
        read(folder, WALL.replace(*change))
