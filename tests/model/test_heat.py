"""Heat loads state density and slope, and the rest follows; what makes no sense is refused with a reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from builders import BLOCKS, block, box, merged, rectangle
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf

import designtwin as dtw
from designtwin.errors import (
    DesignTwinError,
    MissingPropertyError,
    ModelError,
    SingularSystemError,
)
from designtwin.model.checks import check_thermal
from designtwin.model.domains import Domain, faces_of
from designtwin.model.heat import HeatLoad
from designtwin.plain import Plain

STEEL = dtw.LinearElastic(conductivity=50.0, density=7850.0, specific_heat=460.0)
RAMP = dtw.table(over="time", at=["0 s", "1 min", "5 min"], values=["0 W", "12 W", "6 W"])


def model_of(mesh, *, items=(), supports=(), material=STEEL):
    flat = mesh.dimension == 2
    section = dtw.PlaneStress(material, thickness="20 mm") if flat else material
    return dtw.Model(mesh, materials={"body": section}, supports=supports, load_cases={"hot": list(items)})


VARYING = [
    dtw.HeatFlux(on="xmax", magnitude=dtw.function(lambda T: 3.0 * T + 1e-3 * T**2, over="temperature")),
    dtw.HeatSource(
        on="body",
        magnitude=dtw.table(over="temperature", at=[250.0, 400.0], values=[1e3, 5e3], outside="hold"),
    ),
    dtw.Convection(
        on="ymax",
        coefficient=dtw.table(over="temperature", at=[200.0, 310.0, 500.0], values=[5.0, 9.0, 30.0]),
        ambient=lambda x: 300.0 + 20.0 * x[:, 0],
    ),
    dtw.Convection(
        on="ymax", coefficient=dtw.natural_convection(shape="vertical plate", length=1.0, ambient=320.0),
        ambient=320.0,
    ),
    dtw.Radiation(on="ymax", emissivity=0.8, ambient="25 degC"),
    dtw.Radiation(
        on="xmin", emissivity=dtw.table(over="temperature", at=[200.0, 600.0], values=[0.2, 0.9]),
        ambient=dtw.table(over="time", at=[0.0, 100.0], values=["20 degC", "90 degC"]),
    ),
]  # fmt: skip
LINEAR = [
    dtw.HeatFlux(on="xmax", magnitude=dtw.table(over="time", at=[0.0, 100.0], values=[10.0, 90.0])),
    dtw.HeatFlow(on="xmax", total=RAMP),
    dtw.HeatSource(on="body", total=dtw.function(lambda t: 5.0 + t, over="time", breakpoints=["20 s"])),
    dtw.Convection(
        on="ymax", coefficient=dtw.function(lambda t: 20.0 + 0.1 * t, over="time"), ambient="40 degC"
    ),
    dtw.Convection(
        on="ymin", coefficient=25.0, ambient=dtw.table(over="time", at=[0, 99], values=[300, 350])
    ),
]


def nodal(model, seed=1):
    return np.random.default_rng(seed).uniform(290.0, 420.0, model.mesh.n_points)


@pytest.mark.parametrize("load", VARYING + LINEAR, ids=lambda load: load.said)
def test_the_slope_is_the_derivative_of_the_heat(load):
    model = model_of(box("tetra10", 2))
    for patch in load.domain(model).patches:
        at = np.random.default_rng(0).uniform(300.5, 309.5, patch.measure.shape)
        heat, slope = load.density(model, patch, at, 40.0)
        up, down = (load.density(model, patch, at + d, 40.0)[0] for d in (1e-4, -1e-4))
        scale = max(float(np.abs(slope).max()), 1e-6)
        assert_allclose((up - down) / 2e-4 / scale, slope / scale, atol=1e-5)
        assert heat.shape == slope.shape == patch.measure.shape


@pytest.mark.parametrize("load", LINEAR, ids=lambda load: load.said)
@pytest.mark.parametrize("element", ["tetra10", "quad8"])
def test_linear_heat_is_nodal_heat_less_matrices(load, element):
    model = model_of(block(element, 2, distort=0.1))
    temperature = nodal(model)
    heat = load.nodal_heat(model, 40.0)
    for one in load.matrices(model, 40.0):
        np.subtract.at(heat, one.nodes, np.einsum("kij,kj->ki", one.values, temperature[one.nodes]))
    assert_allclose(load.heat_at(model, temperature, 40.0), heat, rtol=1e-12, atol=1e-12)
    assert load.varies == {"time"}


def test_a_total_follows_its_table_on_any_mesh():
    for element in BLOCKS:
        model = model_of(block(element, 2, distort=0.1))
        load = dtw.HeatFlow(on="xmax", total=RAMP)
        sums = [load.nodal_heat(model, t).sum() for t in (0.0, 30.0, 60.0, 180.0)]
        assert_allclose(sums, [0.0, 6.0, 12.0, 9.0], atol=1e-12)
        assert_array_equal(load.breakpoints, [0.0, 60.0, 300.0])


@pytest.mark.parametrize("load", LINEAR, ids=lambda load: load.said)
def test_heat_that_is_even_in_space_is_integrated_once(load):
    """The shortcut of time steps gives what the integral gives; a class of one's own takes no shortcut."""
    model = model_of(box("tetra10", 2, distort=0.1))
    domain = load.domain(model)
    plain = domain.spread(lambda p: load.density(model, p, np.zeros(p.measure.shape), 40.0)[0][..., None], 1)[
        :, 0
    ]
    assert_allclose(
        load.nodal_heat(model, 40.0), plain, rtol=1e-12, atol=1e-14 * max(1.0, float(np.abs(plain).sum()))
    )
    assert load._shares(model) is load._shares(model)
    assert load.film_varies == any(
        not np.array_equal(a.values, b.values)
        for a, b in zip(load.matrices(model, 10.0), load.matrices(model, 40.0), strict=True)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Spot(dtw.HeatFlux):
    """A flux over time that falls away from the middle of its face."""

    def density(self, model, patch, temperature, time):
        heat, slope = super().density(model, patch, temperature, time)
        return heat * np.exp(-np.sum((patch.at - 0.5) ** 2, axis=2)), slope


def test_a_spot_over_time_stays_a_spot():
    model = model_of(box("tetra10", 2))
    over = dtw.table(over="time", at=[0.0, 100.0], values=[10.0, 90.0])
    spot, flux = Spot(on="xmax", magnitude=over), dtw.HeatFlux(on="xmax", magnitude=over)
    ratio = spot.nodal_heat(model, 50.0).sum() / flux.nodal_heat(model, 50.0).sum()
    assert ratio == pytest.approx(np.exp(-0.25) * (np.sqrt(np.pi) * erf(0.5)) ** 2, rel=1e-4)


def test_breakpoints_of_a_load_are_those_of_all_its_amounts():
    load = dtw.Convection(
        on="ymax",
        coefficient=dtw.table(over="time", at=[0, 10, 20], values=[1, 2, 3]),
        ambient=dtw.table(over="time", at=[0, 15, 20], values=[300, 301, 302]),
    )
    assert_array_equal(load.breakpoints, [0.0, 10.0, 15.0, 20.0])
    assert dtw.HeatFlow(on="xmax", total=3.0).breakpoints.shape == (0,)
    assert LINEAR[2].breakpoints.tolist() == [20.0]
    assert dtw.HeatFlow(on="xmax", total=3.0).varies == frozenset()
    assert VARYING[-1].varies == {"temperature", "time"}


def test_a_nodal_history_heats_between_its_instants():
    model = model_of(box("hexahedron", 2))
    rows = np.stack([np.zeros(model.mesh.n_points), model.mesh.points[:, 1] * 100.0])
    load = dtw.HeatFlux(on="xmax", magnitude=dtw.nodal(rows, ["0 s", "10 s"]))
    assert load.varies == {"time"}
    assert_allclose(
        [load.nodal_heat(model, t).sum() for t in (0.0, 5.0, 10.0)], [0.0, 25.0, 50.0], atol=1e-12
    )
    with pytest.raises(ModelError, match="asked for without a time"):
        load.nodal_heat(model)


@pytest.mark.parametrize("element", BLOCKS)
def test_radiation_is_stefan_and_boltzmanns(element):
    """0.8 sigma (298.15^4 - 400^4) over the face; nothing at the temperature of the surroundings."""
    model = model_of(block(element, 2, distort=0.1))
    area = 1.0 if model.mesh.dimension == 3 else 0.02
    load = dtw.Radiation(on="xmax", emissivity=0.8, ambient="25 degC")
    heat = load.heat_at(model, np.full(model.mesh.n_points, 400.0))
    assert heat.sum() == pytest.approx(0.8 * 5.670374419e-8 * (298.15**4 - 400.0**4) * area, rel=1e-12)
    assert_allclose(load.heat_at(model, np.full(model.mesh.n_points, 298.15)), 0.0, atol=1e-12)


def test_radiation_goes_on_falling_below_absolute_zero():
    """A step of Newton's method may go there; heat that fell again would draw it on."""
    model = model_of(box("tetra", 1))
    load = dtw.Radiation(on="xmax", emissivity=0.9, ambient="300 K")
    (patch,) = load.domain(model).patches
    levels = [float(load.density(model, patch, np.full(patch.measure.shape, t), None)[0][0, 0])
              for t in (-400.0, -100.0, 0.0, 100.0, 300.0, 500.0)]  # fmt: skip
    assert (np.diff(levels) <= 0.0).all()
    assert levels[0] > levels[2] > levels[-1]


def test_what_is_not_linear_has_no_matrix():
    model = model_of(box("tetra", 1))
    for load in VARYING:
        assert "temperature" in load.varies
        with pytest.raises(ModelError, match="not linear in temperature"):
            load.matrices(model)
        with pytest.raises(ModelError, match="heat_at"):
            load.nodal_heat(model)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"ambient": "25 degC"}, "Radiation on 'xmax' lacks its emissivity"),
        ({"emissivity": 0.8}, "lacks its ambient"),
        ({"emissivity": 0.8, "ambient": 25}, "Did you mean '25 degC'"),
        ({"emissivity": 0.8, "ambient": 25.0}, r"kelvin: -248.1 °C\. Did you mean '25 degC'"),
        ({"emissivity": 0.8, "ambient": 0}, "Did you mean '0 degC'"),
        (
            {"emissivity": 0.8, "ambient": dtw.table(over="time", at=[0, 1], values=[20.0, 300.0])},
            "plain number 20",
        ),
        ({"emissivity": 0.8, "ambient": dtw.nodal(np.array([20.0, 30.0]))}, "plain number 20"),
        ({"emissivity": 0.8, "ambient": "-300 degC"}, "below absolute zero"),
        ({"emissivity": 0.0, "ambient": "25 degC"}, "its emissivity is 0;"),
        ({"emissivity": 1.2, "ambient": "25 degC"}, "its emissivity is 1.2"),
        ({"emissivity": 80, "ambient": "25 degC"}, "percent are written '80 percent'"),
        ({"emissivity": -0.1, "ambient": "25 degC"}, "its emissivity is -0.1"),
        ({"emissivity": RAMP, "ambient": "25 degC"}, "a power; a dimensionless|is a power"),
        (
            {"emissivity": dtw.table(over="time", at=[0, 1], values=[0.1, 0.2]), "ambient": "25 degC"},
            "not on time",
        ),
        (
            {"emissivity": 0.5, "ambient": dtw.table(over="temperature", at=[1, 2], values=["1 K", "2 K"])},
            "not over the temperature",
        ),
    ],
)
def test_radiation_that_makes_no_sense_is_refused(stated, words):
    with pytest.raises(DesignTwinError, match=words):
        dtw.Radiation(on="xmax", **stated)


def test_deep_cold_is_taken_with_its_unit():
    load = dtw.Radiation(on="xmax", emissivity=1.0, ambient="3 K")
    assert load.ambient.value == 3.0
    assert Plain.from_dict(load.to_dict()) == load


def test_functions_are_judged_where_they_are_asked():
    model = model_of(box("tetra", 1))
    at = np.full(model.mesh.n_points, 300.0)
    cases = [
        (dtw.Radiation(on="xmax", emissivity=dtw.function(lambda T: T, over="temperature"), ambient="300 K"),
         "emissivity is 300 somewhere"),
        (dtw.Radiation(on="xmax", emissivity=0.5, ambient=dtw.function(lambda t: -t, over="time")),
         "below absolute zero; a function returns kelvin"),
        (dtw.Convection(on="xmax", coefficient=dtw.function(lambda t: -t, over="time"), ambient=300.0),
         "coefficient is -7"),
        (dtw.HeatFlow(on="xmax", total=dtw.function(lambda t: t + np.nan, over="time")), "not finite at 7 s"),
        (dtw.HeatFlow(on="xmax", total=dtw.function(lambda t: np.ones(7), over="time")), "returned shape"),
    ]  # fmt: skip
    for load, words in cases:
        with pytest.raises(ModelError, match=words):
            load.heat_at(model, at, 7.0)


def test_a_total_cannot_depend_on_the_temperature_and_no_ambient_on_the_surface():
    over = dtw.table(over="temperature", at=[300, 400], values=["1 W", "2 W"])
    for load in (dtw.HeatFlow, dtw.HeatSource):
        with pytest.raises(ModelError, match="one number at a time"):
            load(on="body", total=over)
    with pytest.raises(ModelError, match="temperature of the fluid"):
        dtw.Convection(
            on="xmax", coefficient=5.0, ambient=dtw.table(over="temperature", at=[1, 2], values=[300, 301])
        )
    with pytest.raises(ModelError, match="below zero"):
        dtw.Convection(
            on="xmax", coefficient=dtw.table(over="time", at=[0, 1], values=[5.0, -1.0]), ambient=300.0
        )


# Temperatures given over time


def test_a_given_temperature_is_frozen_at_a_time():
    model = model_of(box("tetra", 1))
    support = dtw.FixedTemperature(
        on="xmin", value=dtw.table(over="time", at=["0 s", "10 s"], values=["20 degC", "80 degC"])
    )
    assert support.varies == {"time"}
    assert_array_equal(support.breakpoints, [0.0, 10.0])
    (one,) = support.at(5.0).prescribed(model)
    assert_allclose(one.value, 323.15)
    with pytest.raises(ModelError, match="asked for without a time"):
        support.prescribed(model)
    with pytest.raises(ModelError, match="11 s is outside"):
        support.at(11.0)
    still = dtw.FixedTemperature(on="xmin", value=300.0)
    assert still.at(5.0) is still
    assert still.varies == frozenset()
    rows = np.stack([np.full(model.mesh.n_points, 300.0), 300.0 + model.mesh.points[:, 1]])
    history = dtw.FixedTemperature(on="xmin", value=dtw.nodal(rows, [0.0, 1.0]))
    (one,) = history.at(0.5).prescribed(model)
    assert_allclose(one.value, 300.0 + 0.5 * model.mesh.points[one.nodes, 1])
    with pytest.raises(ModelError, match="cannot depend on it"):
        dtw.FixedTemperature(on="xmin", value=dtw.table(over="temperature", at=[1, 2], values=[300, 301]))


def test_temperatures_that_contradict_each_other_at_some_time_are_named():
    rising = dtw.table(over="time", at=["0 s", "10 s"], values=["20 degC", "80 degC"])
    same = [dtw.FixedTemperature(on="xmin", value=rising), dtw.FixedTemperature(on="ymin", value=rising)]
    model_of(box("tetra", 1), items=same)
    other = dtw.table(over="time", at=["0 s", "10 s"], values=["20 degC", "70 degC"])
    with pytest.raises(
        ModelError, match=r"case 'hot': at 10 s, .* contradict each other .* 80 °C against 70 °C"
    ):
        model_of(box("tetra", 1), items=[same[0], dtw.FixedTemperature(on="ymin", value=other)])
    with pytest.raises(ModelError, match="at 10 s"):
        model_of(box("tetra", 1), items=[same[0], dtw.FixedTemperature(on="ymin", value="20 degC")])


def test_two_long_logs_that_part_at_one_reading_are_found_at_once():
    """A hundred thousand readings: what is even in space is compared in one go, and only where both touch."""
    times = np.arange(100_000.0)
    values = 300.0 + np.sin(times)
    bent = values.copy()
    bent[77_777] += 1.0
    one = dtw.FixedTemperature(on="xmin", value=dtw.table(over="time", at=times, values=values))
    two = dtw.FixedTemperature(on="ymin", value=dtw.table(over="time", at=times, values=bent))
    away = dtw.FixedTemperature(on="xmax", value=dtw.table(over="time", at=times, values=bent))
    model_of(box("tetra", 1), items=[one, away])
    with pytest.raises(ModelError, match=r"at 7777\d s, .* contradict each other"):
        model_of(box("tetra", 1), items=[one, two])


def test_a_field_and_a_course_that_agree_nowhere_are_found():
    wall = dtw.FixedTemperature(on="ymin", value=lambda x: 300.0 + 10.0 * x[:, 0])
    rising = dtw.table(over="time", at=[0.0, 10.0], values=[300.0, 320.0])
    with pytest.raises(ModelError, match=r"at 10 s, .* contradict"):
        model_of(box("tetra", 1), items=[wall, dtw.FixedTemperature(on="xmin", value=rising)])
    rows = np.stack([300.0 + 10.0 * box("tetra", 1).points[:, 0]] * 2)
    same = dtw.FixedTemperature(on="xmin", value=dtw.nodal(rows, [0.0, 10.0]))
    model_of(box("tetra", 1), items=[wall, same])


# What analyses refuse


def test_a_steady_analysis_has_no_time():
    load = dtw.HeatFlow(on="xmax", total=RAMP)
    model = model_of(box("tetra", 1), items=[load, dtw.FixedTemperature(on="xmin", value=300.0)])
    with pytest.raises(ModelError, match=r"'hot': HeatFlow on 'xmax' varies in time.*duration='20 min'"):
        check_thermal(model, model.cases["hot"])
    check_thermal(model, model.cases["hot"], transient=True)


@pytest.mark.parametrize("lacking", ["density", "specific_heat", "conductivity"])
def test_a_transient_names_the_property_it_lacks(lacking):
    stated = {"conductivity": 50.0, "density": 7850.0, "specific_heat": 460.0, "name": "steel"}
    model = model_of(
        box("tetra", 1),
        material=dtw.LinearElastic(**{k: v for k, v in stated.items() if k != lacking}),
        items=[dtw.FixedTemperature(on="xmin", value=300.0)],
    )
    with pytest.raises(MissingPropertyError, match=f"needs the {lacking} of 'steel'.*add {lacking}="):
        check_thermal(model, model.cases["hot"], transient=True)
    if lacking != "conductivity":
        check_thermal(model, model.cases["hot"])


def test_radiation_fixes_the_level_and_a_transient_needs_none():
    heat = dtw.HeatFlow(on="xmax", total=3.0)
    free = model_of(box("tetra", 1), items=[heat])
    with pytest.raises(SingularSystemError, match=r"neither .* nor convection or radiation"):
        check_thermal(free, free.cases["hot"])
    check_thermal(free, free.cases["hot"], transient=True)
    for holds in (
        dtw.Radiation(on="ymax", emissivity=0.5, ambient="300 K"),
        dtw.Convection(
            on="ymax", coefficient=dtw.table(over="temperature", at=[200, 900], values=[0, 9]), ambient=300.0
        ),
    ):
        held = model_of(box("tetra", 1), items=[heat, holds])
        check_thermal(held, held.cases["hot"])
    none = dtw.Convection(
        on="ymax", coefficient=dtw.table(over="temperature", at=[200, 900], values=[0, 0]), ambient=300.0
    )
    free = model_of(box("tetra", 1), items=[heat, none])
    with pytest.raises(SingularSystemError):
        check_thermal(free, free.cases["hot"])


def test_celsius_taken_for_kelvin_beside_radiation_is_noted():
    """A given 80 is 80 K: beside what radiates that is nearly always a slip."""
    lit = dtw.Radiation(on="ymax", emissivity=0.5, ambient="25 degC")
    slips = [dtw.FixedTemperature(on="xmin", value=80.0),
             dtw.Convection(on="xmax", coefficient=5.0, ambient=25.0)]  # fmt: skip
    model = model_of(box("tetra", 1), items=[lit, *slips])
    notes = [note for note in check_thermal(model, model.cases["hot"]) if "kelvin" in note]
    assert len(notes) == 2
    assert "FixedTemperature on 'xmin' is at -193.1 °C, 80 in kelvin" in notes[1]
    assert "'80 degC'" in notes[1]
    for items in ([lit, dtw.FixedTemperature(on="xmin", value="80 degC")], slips):
        model = model_of(box("tetra", 1), items=items)
        assert not [note for note in check_thermal(model, model.cases["hot"]) if "kelvin" in note]


def test_each_piece_needs_its_own_radiation():
    far = box("tetra", 1, origin=(3.0, 0.0, 0.0))
    two = merged(box("tetra", 1), far)
    lit = dtw.Radiation(on=dtw.plane(point=(0.0, 0.0, 0.0), normal="x"), emissivity=0.5, ambient="300 K")
    model = model_of(two, items=[lit])
    with pytest.raises(SingularSystemError, match="Piece 2 of 2"):
        check_thermal(model, model.cases["hot"])


# Classes of one's own


@dataclass(frozen=True, kw_only=True, eq=False)
class Oven(HeatLoad):
    """Heat per area that falls with the square of the temperature."""

    on: Any

    @property
    def varies(self):
        return frozenset({"temperature"})

    def domain(self, model):
        return faces_of(model, self.on, self.said)

    def density(self, model, patch, temperature, time):
        return 1e3 - 1e-3 * temperature**2, -2e-3 * temperature


@dataclass(frozen=True, kw_only=True, eq=False)
class Lamp(HeatLoad):
    """Nodal heat alone, as classes of one's own had it before there was a density."""

    watts: float = 2.0

    def nodal_heat(self, model, time=None):
        return np.full(model.mesh.n_points, self.watts / model.mesh.n_points)


def test_a_load_of_ones_own_needs_density_or_nodal_heat():
    model = model_of(box("tetra", 1))
    at = np.full(model.mesh.n_points, 300.0)
    assert Oven(on="xmax").heat_at(model, at).sum() == pytest.approx(1e3 - 90.0)
    assert isinstance(Oven(on="xmax").domain(model), Domain)
    assert Lamp().heat_at(model, at).sum() == pytest.approx(2.0)
    assert Lamp().domain(model) is None
    assert not Lamp().matrices(model)


# In words, and as data


def test_a_model_says_how_much_heat():
    rods = [*VARYING[4:5], LINEAR[1], dtw.HeatFlow(on="ymin", total="3 W"),
            dtw.Convection(on="ymax", coefficient=5.0, ambient=300.0)]  # fmt: skip
    text = str(model_of(rectangle("quad", 2), items=rods))
    assert "HeatFlow on 'ymin': 3 W" in text
    assert "HeatFlow on 'xmax': total table of 3 rows over time, 0 s to 300 s" in text
    assert "Radiation on 'ymax'\n" in text
    assert "Convection on 'ymax'" in text.splitlines()[-1]


@pytest.mark.parametrize("item", [
    VARYING[1], VARYING[3], VARYING[4], VARYING[5], LINEAR[0], LINEAR[1], LINEAR[4],
    dtw.FixedTemperature(on="xmin", value=dtw.table(over="time", at=[0, 1], values=[300, 301])),
    dtw.FixedTemperature(on="xmin", value=dtw.nodal(np.full((2, 3), 300.0), [0, 1])),
], ids=lambda item: item.said)  # fmt: skip
def test_heat_survives_being_written_and_read(item):
    again = Plain.from_dict(json.loads(json.dumps(item.to_dict())))
    assert again == item
    assert again.content_hash() == item.content_hash()
    assert again.varies == item.varies


def test_what_did_not_change_has_the_hash_it_had():
    """Hashes of commit 0082208, before heat varied: stored studies go on where they stopped."""
    assert [one.content_hash()[:16] for one in (
        dtw.material("S355"),
        dtw.LinearElastic(
            density=1000.0, conductivity=dtw.table(over="temperature", at=[300, 400], values=[1.0, 2.0])
        ),
        dtw.HeatFlux(on="xmax", magnitude=5.0),
        dtw.HeatFlow(on="xmax", total="3 W"),
        dtw.HeatSource(on="body", total="3 W"),
        dtw.Convection(on="xmax", coefficient=25.0, ambient="20 degC"),
        dtw.FixedTemperature(on="xmin", value=dtw.nodal([300.0, 310.0])),
    )] == [
        "d2d511963d3b21e4", "d877ae5a10502761", "1bb44e7138f05adf", "6118c4effedea0ec", "c4fcdf18a7dcdecf",
        "6631dc63150761ba", "cfac35f371c06ab4",
    ]  # fmt: skip
