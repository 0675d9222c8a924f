"""Fatigue of a point: D45 (rainflow), D46 (stress life), D47 (strain life, Neuber), D53 (crack growth)."""

import pytest

import designtwin as dtw

# D46, D45: sa = 1000 MPa (2 N)^-0.1, ultimate strength 600 MPa
BASQUIN = dtw.SNCurve.basquin("1000 MPa", -0.1, ultimate="600 MPa")
# D47
STRAIN = dtw.StrainLife(
    youngs_modulus="200 GPa",
    strength="900 MPa",
    strength_exponent=-0.09,
    ductility=0.5,
    ductility_exponent=-0.6,
    cyclic_strength="1100 MPa",
    cyclic_hardening=0.15,
)


def test_d45_rainflow_counts_of_the_standard():
    cycles = dtw.rainflow([-2, 1, -3, 5, -1, 3, -4, 4, -2])
    assert cycles.by_range() == {3.0: 0.5, 4.0: 1.5, 6.0: 0.5, 8.0: 1.0, 9.0: 0.5}
    assert BASQUIN.damage(cycles.scaled(60e6)) == pytest.approx(3.364576e-06, rel=1e-6)


def test_d46_life_without_mean_stress():
    assert BASQUIN.life("300 MPa") == pytest.approx(84675.439, rel=1e-6)


@pytest.mark.parametrize(
    ("method", "options", "equivalent", "life"),
    [
        ("Goodman", {"ultimate": "600 MPa"}, 240.0, 788601.48),
        ("Gerber", {"ultimate": "600 MPa"}, 205.714286, 3684049.73),
        ("Morrow", {"fracture_strength": "1000 MPa"}, 222.222222, 1702531.45),
        ("SWT", {}, 244.948974, 643004.12),
        ("Walker", {"exponent": 0.6}, 235.215805, 964506.17),
    ],
)
def test_d46_mean_stress(method, options, equivalent, life):
    correction = dtw.MeanStress(method=method, **options)
    assert correction.equivalent("200 MPa", "100 MPa") == pytest.approx(equivalent * 1e6, rel=1e-6)
    assert BASQUIN.life("200 MPa", "100 MPa", mean_stress=correction) == pytest.approx(life, rel=1e-6)


def test_d47_strain_life_and_neuber():
    assert STRAIN.life(0.005) == pytest.approx(2640.7936, rel=1e-5)
    assert STRAIN.life(0.002) == pytest.approx(62851.574, rel=1e-5)
    assert STRAIN.transition == pytest.approx(10263.351, rel=1e-6)
    stress, strain = STRAIN.neuber(2.5 * 200e6)
    assert stress == pytest.approx(398.3591e6, rel=1e-6)
    assert strain == pytest.approx(0.003137872, rel=1e-6)


def test_d53_crack_growth_life():
    law = dtw.ParisLaw(rate="1e-11 m", at="1 MPa*sqrt(m)", exponent=3.0, toughness="60 MPa*sqrt(m)")
    pulses = dtw.Cycles(range=[100e6], mean=[50e6], count=[1.0])
    life = dtw.crack_life(dtw.Flaw(depth="1 mm", factor=1.12), law, pulses)
    assert life.final == pytest.approx(0.0913517, rel=1e-6)
    assert life.repetitions == pytest.approx(723861.29, rel=1e-5)
