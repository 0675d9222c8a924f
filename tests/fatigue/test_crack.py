"""Crack growth: closed forms, cycle by cycle, geometry factors at their known values, refusals."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import designtwin as dtw

LAW = dtw.ParisLaw(rate="1e-11 m", exponent=3.0, toughness="60 MPa*sqrt(m)")
PULSE = dtw.Cycles(range=[100e6], mean=[50e6], count=[1.0])


def paris(law, y, span, start, end):
    """Closed form of a constant factor; m other than 2."""
    m = law.exponent
    c = law.rate * (y * span * math.sqrt(math.pi) / law.at) ** m
    return (end ** (1 - m / 2) - start ** (1 - m / 2)) / ((1 - m / 2) * c)


@pytest.mark.parametrize("exponent", [2.5, 3.0, 4.0, 7.0])
@pytest.mark.parametrize("factor", [0.6366, 1.0, 1.12])
def test_constant_factors_follow_the_closed_form(exponent, factor):
    law = dtw.ParisLaw(rate="1e-11 m", exponent=exponent, toughness="60 MPa*sqrt(m)")
    life = dtw.crack_life(dtw.Flaw(depth="1 mm", factor=factor), law, PULSE)
    end = (60e6 / (factor * 100e6)) ** 2 / math.pi
    assert life.final == pytest.approx(end, rel=1e-12)
    assert life.repetitions == pytest.approx(paris(law, factor, 100e6, 1e-3, end), rel=1e-9)
    assert life.ended_by == "toughness"
    # the course is the closed form on the way as well
    assert_allclose(life.at, [paris(law, factor, 100e6, 1e-3, a) for a in life.depth], rtol=1e-9, atol=1e-6)
    assert_allclose(life.depth_after(life.at), life.depth)


def test_a_history_of_several_amplitudes_is_what_cycle_by_cycle_gives():
    rng = np.random.default_rng(3)
    law = dtw.ParisLaw(
        rate="1e-9 m", exponent=3.0, toughness="50 MPa*sqrt(m)", walker=0.6, threshold="4 MPa*sqrt(m)"
    )
    flaw = dtw.Flaw(depth="2 mm", shape="edge", size="60 mm")
    cycles = dtw.rainflow(60e6 + 40e6 * rng.normal(size=60))
    life = dtw.crack_life(flaw, law, cycles)
    spans, highest = law.effective(cycles.lowest, cycles.highest), cycles.highest.max()
    depth, blocks = flaw.depth, 0.0
    while highest * flaw.intensity(depth) < law.toughness:
        grown = float(cycles.count @ law.growth(flaw.intensity(depth) * spans))
        depth, blocks = depth + grown, blocks + 1.0
    assert blocks > 100
    assert life.repetitions == pytest.approx(blocks, rel=0.02)
    awake = law.growth(flaw.intensity(flaw.depth) * spans) > 0.0
    assert 0 < awake.sum() < len(spans)  # the threshold matters here, and wakes on the way


def test_geometry_factors_at_their_known_values():
    # Tada, Paris, Irwin (2000): a crack much smaller than the part
    def y(ratio=1e-9, **options):
        size = options.pop("size", 1.0)
        depth = ratio * size / (2 if options["shape"] == "center" else 1)
        return float(dtw.Flaw(depth=depth, size=size, **options).geometry(depth))

    assert y(shape="center") == pytest.approx(1.0, rel=1e-8)
    assert y(shape="edge") == pytest.approx(1.122, rel=1e-3)
    assert y(shape="edge in bending") == pytest.approx(1.122, rel=1e-6)
    # Feddersen's secant is within 0.3 % of Tada's center crack
    assert y(0.6, shape="center") == pytest.approx(math.sqrt(1 / math.cos(math.pi * 0.3)), rel=3e-3)
    # single edge, a / W = 0.5: 2.83 in tension, 1.50 in bending (Brown and Srawley, ASTM STP 410)
    assert y(0.5, shape="edge") == pytest.approx(2.83, rel=5e-3)
    assert y(0.5, shape="edge in bending") == pytest.approx(1.4945, rel=1e-3)
    # Newman and Raju: half circle in a thick plate 1.04 * 2 / pi at the deepest point; long shallow crack
    # 1.12
    assert y(shape="surface", aspect=1.0) == pytest.approx(1.04 / math.sqrt(2.464), rel=1e-3)
    assert y(shape="surface", aspect=1e-6) == pytest.approx(1.13, rel=1e-3)
    assert float(dtw.Flaw(depth="1 mm", shape="penny").geometry(1e-3)) == pytest.approx(2 / math.pi)


def test_small_ranges_do_not_grow_a_crack():
    law = dtw.ParisLaw(rate="1e-11 m", exponent=3.0, toughness="60 MPa*sqrt(m)", threshold="6 MPa*sqrt(m)")
    still = dtw.crack_life(dtw.Flaw(depth="1 mm"), law, PULSE)
    assert still.repetitions == math.inf
    assert still.ended_by == "nothing"
    assert "does not grow" in str(still)
    assert 100e6 * math.sqrt(math.pi * 1e-3) < 6e6 < 100e6 * math.sqrt(math.pi * 1.2e-3)
    assert math.isfinite(dtw.crack_life(dtw.Flaw(depth="1.2 mm"), law, PULSE).repetitions)
    squeezed = dtw.Cycles(range=[100e6], mean=[-60e6], count=[1.0])
    assert dtw.crack_life(dtw.Flaw(depth="1 mm"), LAW, squeezed).repetitions == math.inf


def test_the_load_ratio_counts_as_walker_says():
    law = dtw.ParisLaw(rate="1e-11 m", exponent=3.0, toughness="60 MPa*sqrt(m)", walker=0.6)
    assert law.effective(100e6, 200e6) == pytest.approx(100e6 * 0.5 ** (0.6 - 1.0))
    assert law.effective(0.0, 100e6) == 100e6
    assert law.effective(-100e6, 100e6) == 100e6  # the tensile part
    assert law.effective(-100e6, -50e6) == 0.0
    assert law.effective(50e6, 50e6) == 0.0  # at rest
    welded = dtw.paris_law("steel in air", toughness="60 MPa*sqrt(m)")
    assert welded.effective(-100e6, 100e6) == 200e6  # all of it: a weld holds tension
    # IIW: 5.21e-13 mm per cycle at 1 N/mm^1.5; at 1000 N/mm^1.5 5.21e-4 mm
    assert welded.growth(1000.0 * 1e6 * math.sqrt(1e-3)) == pytest.approx(5.21e-7)


def test_a_flaw_that_is_too_deep_has_no_life():
    over = dtw.crack_life(dtw.Flaw(depth="150 mm"), LAW, PULSE)
    assert over.repetitions == 0.0
    assert dtw.critical_depth(dtw.Flaw(depth="150 mm"), "100 MPa", "60 MPa*sqrt(m)") == 0.15
    cut = dtw.crack_life(dtw.Flaw(depth="1 mm", shape="surface", size="10 mm", aspect=0.5), LAW, PULSE)
    assert cut.ended_by == "size"
    assert cut.final == pytest.approx(8e-3)


def test_a_crack_in_bending_that_comes_to_rest_is_told():
    class Falling(dtw.Flaw):
        """A factor that falls faster than the root of the depth grows."""

        def geometry(self, depth):
            return np.asarray((1e-3 / np.asarray(depth)) * (1 + (np.asarray(depth) / 0.05) ** 4))

    law = dtw.ParisLaw(rate="1e-11 m", exponent=3.0, toughness="60 MPa*sqrt(m)", threshold="5 MPa*sqrt(m)")
    rest = dtw.crack_life(Falling(depth="1 mm"), law, PULSE)
    assert rest.repetitions == math.inf
    assert 1e-3 < rest.final < 2e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dtw.Flaw(depth="0 mm"), "depth of the flaw"),
        (lambda: dtw.Flaw(depth="1 mm", shape="egde"), "did you mean 'edge'"),
        (lambda: dtw.Flaw(depth="1 mm", shape="edge"), "needs size="),
        (lambda: dtw.Flaw(depth="49 mm", shape="edge", size="50 mm"), "its factor holds up to 47.5 mm"),
        (lambda: dtw.Flaw(depth="1 mm", shape="surface", size="9 mm", aspect=3.0), "a / c lies between"),
        (
            lambda: dtw.ParisLaw(rate="1e-11 m", exponent=3, toughness="60 MPa"),
            "a stress intensity is wanted",
        ),
        (lambda: dtw.ParisLaw(rate="-1e-11 m", exponent=3, toughness="60 MPa*sqrt(m)"), "must be positive"),
        (
            lambda: dtw.ParisLaw(
                rate="1 mm", exponent=3, toughness="6 MPa*sqrt(m)", threshold="8 MPa*sqrt(m)"
            ),
            "not below its toughness",
        ),
        (lambda: dtw.paris_law("steel", toughness="60 MPa*sqrt(m)"), "did you mean 'steel in air'"),
        (
            lambda: dtw.crack_life(dtw.Flaw(depth="1 mm"), LAW, dtw.Cycles(range=[], mean=[], count=[])),
            "no cycles",
        ),
    ],
)
def test_impossible_flaws_are_named(call, words):
    with pytest.raises(dtw.DesignTwinError, match=words):
        call()


def test_a_size_that_the_shape_does_not_know_is_refused():
    for options in ({}, {"shape": "penny"}, {"shape": "surface", "factor": 1.1}):
        with pytest.raises(dtw.FatigueError, match="knows no size"):
            dtw.Flaw(depth="1 mm", size="20 mm", **options)
    assert dtw.Flaw(depth="1 mm", size="20 mm", shape="edge").limit > 0.0


def test_flaw_and_law_in_the_wrong_order_are_told():
    flaw, law = dtw.Flaw(depth="1 mm"), dtw.paris_law("steel in air", toughness="60 MPa*sqrt(m)")
    cycles = dtw.Cycles(range=[1e8], mean=[5e7], count=[1.0])
    for wrong in ((law, flaw), (None, law), (flaw, "steel in air")):
        with pytest.raises(dtw.FatigueError, match="a Flaw and a ParisLaw are wanted, in this order"):
            dtw.crack_life(*wrong, cycles)
    with pytest.raises(dtw.FatigueError, match="rows of numbers"):
        dtw.Cycles(range=["100 MPa"], mean=[0.0], count=[1.0])
