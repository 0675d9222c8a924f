"""Point clouds as text: units said, rows named by their line, values at the nodes of a mesh."""

import numpy as np
import pytest
from builders import box
from numpy.testing import assert_allclose

import designtwin as dtw


def write(tmp_path, text, name="T.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


ROWS = "x,y,z,T\n0,0,0,20\n10,0,0,30\n0,10,0,40\n0,0,10,50\n10,10,10,80\n"


def test_a_table_with_units_said_in_the_call(tmp_path):
    cloud = dtw.read_points(write(tmp_path, ROWS), length_unit="mm", unit="degC")
    assert_allclose(cloud.points[1], [0.01, 0.0, 0.0])
    assert_allclose(cloud.values, np.array([20, 30, 40, 50, 80]) + 273.15)
    assert "5 points" in str(cloud)


@pytest.mark.parametrize(
    "text",
    [
        "Node;X Location (mm);Y Location (mm);Z Location (mm);Temperature (°C)\n1;0,5;0;0;20,25\n"
        "2;1;0;0;30\n",
        "# from the solver\nNode\tX Location [mm]\tY Location [mm]\tZ Location [mm]\tTemperature [degC]\n"
        "1\t0.5\t0\t0\t20.25\n\n2\t1\t0\t0\t30\n",
    ],
)
def test_exports_of_other_programs_carry_their_units(tmp_path, text):
    names = [f"{axis} Location" for axis in "XYZ"]
    cloud = dtw.read_points(write(tmp_path, text), columns=[*names, "Temperature"])
    assert_allclose(cloud.points[0], [5e-4, 0.0, 0.0])
    assert_allclose(cloud.values, [293.4, 303.15])


def test_bare_numbers_parted_by_blanks(tmp_path):
    path = write(tmp_path, "0.0  0.0  300\n 1.0 0.0   310\n0.0 1.0 320\n")
    cloud = dtw.read_points(path, columns=("x", "y", "T"), length_unit="m", unit="K")
    assert_allclose(cloud.points, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert_allclose(cloud.values, [300, 310, 320])


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (ROWS, {"length_unit": "mm"}, "unit of column 'T' is not said"),
        (ROWS, {"unit": "degC"}, "unit of column 'x' is not said; say it, as length_unit='mm'"),
        (ROWS.replace("T", "temp"), {}, "no column 'T'.*'temp'"),
        (ROWS.replace("40", "forty"), {"length_unit": "mm", "unit": "K"}, "line 4: column 'T' holds 'forty'"),
        (ROWS.replace(",30", ",nan"), {"length_unit": "mm", "unit": "K"}, "line 3: column 'T' holds 'nan'"),
        (ROWS.replace(",30", ""), {"length_unit": "mm", "unit": "K"}, "line 3: 3 fields"),
        (ROWS + "10,0,0,31\n", {"length_unit": "mm", "unit": "degC"}, "lines 3 and 7: 30 °C and 31 °C"),
        ("x,y,z,T\n", {"length_unit": "mm", "unit": "K"}, "no rows"),
        (ROWS, {"length_unit": "mm", "unit": "MPa"}, "MPa"),
        (ROWS, {"length_unit": "mm", "unit": "degC", "columns": ("x", "T")}, "columns names x, y, z"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, options, told):
    with pytest.raises(dtw.DesignTwinError, match=told):
        dtw.read_points(write(tmp_path, text), **options)
    with pytest.raises(dtw.ModelError, match=r"TT\.csv: there is no such file.*T\.csv"):
        dtw.read_points(tmp_path / "TT.csv")


def test_a_cloud_strains_a_part(tmp_path):
    mesh = box("tetra10", 2, (0.01, 0.01, 0.01))
    corners = "".join(f"{x},{y},{z},{20 + x}\n" for x in (0, 10) for y in (0, 10) for z in (0, 10))
    cloud = dtw.read_points(write(tmp_path, "x,y,z,T\n" + corners), length_unit="mm", unit="degC")
    found = dtw.transfer(cloud, mesh)
    assert_allclose(found.values, 293.15 + 1e3 * mesh.points[:, 0], rtol=1e-12)
    with pytest.raises(dtw.ModelError, match="no volume"):
        dtw.transfer(cloud, mesh, method="conservative")
    with pytest.raises(dtw.MeshError, match=r"outside the source.*T\.csv"):
        dtw.transfer(cloud, box("tetra10", 2, (0.012, 0.01, 0.01)))
    state = dtw.Temperature(found, reference="20 degC")
    assert_allclose(state.at_nodes(dtw.Model(mesh, materials={"body": dtw.material("S355")})), found.values)
