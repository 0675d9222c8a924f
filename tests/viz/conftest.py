"""A small part that is solved once, and small pictures."""

import pytest
from builders import box

import designtwin as dtw

SMALL = (480, 360)


def bar_model(element="tetra10", n=(6, 2, 2), force="-600 N", **more):
    """A bar of 100 x 20 x 20 mm, held at one end and pulled down at the other."""
    mesh = box(element, n, (0.1, 0.02, 0.02))
    return dtw.Model(
        mesh,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin")],
        load_cases={
            "down": [dtw.Force(on="xmax", value=("0 N", "0 N", force))],
            "pull": [dtw.Force(on="xmax", value=("200 N", "0 N", "0 N"))],
        },
        name="bar",
        **more,
    )


@pytest.fixture(scope="session")
def verdict():
    """Yield fails, displacement passes; the clamped end is not judged."""
    model = bar_model(force="-6 kN")
    requirements = [
        dtw.yield_margin(excluding=dtw.near("xmin", "10 mm")) >= 4.0,
        dtw.displacement("xmax", "z") <= "10 mm",
    ]
    return dtw.StrengthTest(model, requirements=requirements, name="bar").run()


@pytest.fixture(scope="session")
def result(verdict):
    return verdict.result


@pytest.fixture(scope="session")
def lighter():
    """Another design of the same bar."""
    return dtw.solve_static(bar_model(n=(5, 2, 2), force="-3 kN"))
