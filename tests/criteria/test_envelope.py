"""An envelope is the worst of every point, and knows of which case and when."""

from types import SimpleNamespace

import numpy as np
import pytest
from builders import box
from fake_results import StaticResult, ThermalResult
from numpy.testing import assert_allclose, assert_array_equal

from designtwin.criteria import envelope
from designtwin.errors import RequirementError
from designtwin.requirements import displacement, mass, stress, yield_margin

BAR = box("hexahedron", (10, 2, 2), (1.0, 0.2, 0.2))
RNG = np.random.default_rng(20)


def result_of(**fields):
    """A static result whose cases have the names of fields they hold."""
    result = StaticResult(BAR, fields)
    for case in result.by_case.values():
        case.field_names = tuple(case.fields)
        plain = case.field

        def field(name, plain=plain):
            found = plain(name)
            place = "points" if name in ("temperature", "displacement") else "result_points"
            return SimpleNamespace(
                values=found.values, title=name, dimension="pressure", location=place, error=None
            )

        case.field = field
    return result


def test_the_worst_of_each_point_and_its_case():
    rows = len(StaticResult(BAR, {"a": {}}).points.node)
    a, b, c = RNG.normal(size=(3, rows))
    result = result_of(a={"stress_xx": a}, b={"stress_xx": b}, c={"stress_xx": c, "von_mises": 1.0})
    found = envelope(result, "stress_xx")
    every = np.stack([a, b, c])
    assert_array_equal(found.case, np.abs(every).argmax(axis=0))
    assert_array_equal(found.values, every[found.case, np.arange(rows)])  # the sign stays
    assert_array_equal(envelope(result, "stress_xx", worst="max").values, every.max(axis=0))
    assert_array_equal(envelope(result, "stress_xx", worst="min").values, every.min(axis=0))
    two = envelope(result, "stress_xx", cases=["c", "a"])
    assert two.cases == ("c", "a")
    assert_array_equal(two.values, np.where(np.abs(a) > np.abs(c), a, c))
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.shares["b"] == pytest.approx((found.case == 1).mean())
    assert found.row == np.abs(every).max(axis=0).argmax()
    # only one case has it
    assert set(envelope(result, "von_mises").case) == {0}


def test_margins_take_the_smallest_and_leave_out_what_is_excluded():
    x = StaticResult(BAR, {"a": {}}).points.xyz[:, 0]
    result = StaticResult(BAR, {"a": {"von_mises": 100e6 * x + 1}, "b": {"von_mises": 60e6}})
    found = envelope(result, yield_margin(excluding="xmax"))
    known = np.isfinite(found.values)
    assert_array_equal(known, x < 0.999)
    assert_array_equal(found.case[~known], -1)
    assert_allclose(found.values[known], 200e6 / np.maximum(100e6 * x + 1, 60e6)[known])
    assert found.place.point[0] == pytest.approx(0.9)
    assert "smallest over 2 cases" in str(found)


def test_instants_are_those_of_the_worst_frame():
    x = StaticResult(BAR, {"a": {}}).points.xyz[:, 0]
    times = np.linspace(0.0, 1.0, 21)
    frames = [StaticResult(BAR, {"a": {"von_mises": np.exp(-((x - t) ** 2))}})["a"] for t in times]
    result = result_of(moving={"von_mises": 0.0})
    moving = result["moving"]
    for frame, time in zip(frames, times, strict=True):
        frame.time = float(time)
        frame.field = lambda name, values=frame.fields["von_mises"]: SimpleNamespace(
            values=values, title=name, dimension="pressure", location="result_points", error=None
        )
    moving.frames, moving.times = tuple(frames), times
    found = envelope(result, "von_mises")
    assert np.abs(found.instants - x).max() <= 0.026
    assert_allclose(found.values, 1.0, atol=1e-3)
    assert " at " in str(found)


def test_what_has_no_envelope_is_refused():
    result = result_of(a={"von_mises": 1.0})
    for wrong in (mass(), stress(at=(0.1, 0.1, 0.1))):
        with pytest.raises(RequirementError, match="one number"):
            envelope(result, wrong)
    with pytest.raises(RequirementError, match="did you mean 'von_mises'"):
        envelope(result, "von_misses")
    with pytest.raises(RequirementError, match="no load case 'b'"):
        envelope(result, "von_mises", cases=["b"])
    with pytest.raises(RequirementError, match="worst="):
        envelope(result, "von_mises", worst="mean")
    with pytest.raises(RequirementError, match="not of a str"):
        envelope("result")


def test_of_heat_the_temperature_is_meant_unless_said():
    result = ThermalResult(BAR, {"on": {"temperature": 300.0}, "off": {"temperature": 290.0}})
    for case in result.by_case.values():
        case.field_names = ("temperature",)
        value = case.fields["temperature"]
        case.field = lambda name, value=value: SimpleNamespace(
            values=np.full(BAR.n_points, value), title="Temperature", dimension="temperature",
            location="points", error=None,
        )  # fmt: skip
    found = envelope(result)
    assert (found.name, found.location) == ("temperature", "points")
    assert set(found.case) == {0}
    assert envelope(StaticResult(BAR, {"a": {"uz": 1e-3}}), displacement(component="z")).values.max() == 1e-3
