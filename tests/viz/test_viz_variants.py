"""Pictures of many designs say what the tables say, however many there are."""

import sys
from pathlib import Path

import numpy as np
import pytest

import designtwin as dtw
from designtwin.study.doe import Variants
from designtwin.study.indices import Indices
from designtwin.study.store import Evaluation
from designtwin.study.uncertainty import Robustness, Spread

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
from test_variants import STRIP, strength, strip

LABEL = "yield margin (von Mises) ≥ 2"


def study(k=1):
    names = ["thickness", *(f"variable number {i}" for i in range(1, k))]
    return dtw.Study(
        build=strip, mesh=STRIP, variables={n: dtw.variable("1 mm", "5 mm") for n in names}, tests=strength,
        minimize=dtw.mass(), name="strip",
    )  # fmt: skip


def table(n=20, k=1, fail=()):
    one = study(k)
    rng = np.random.default_rng(0)
    out = []
    for i in range(n):
        values = {name: float(rng.uniform(1e-3, 5e-3)) for name in one.variables}
        t = values["thickness"]
        if i in fail:
            out.append(Evaluation(i, values, None, failure="MeshError: torn"))
        else:
            out.append(
                Evaluation(i, values, 60 * t, {f"{LABEL} | pull": 625 * t - 1}, readings={LABEL: 1250 * t})
            )
    return Variants(one, tuple(out))


@pytest.mark.parametrize("kind", ["scatter", "parallel"])
@pytest.mark.parametrize("k", [1, 14])
def test_a_table_of_designs_names_what_is_drawn_and_what_is_left_out(kind, k):
    picture = table(k=k, fail=(3,)).plot(kind, show=False)
    words = " ".join(picture.texts)
    assert "20 designs of strip" in words
    assert "1 failed" in words
    assert "thickness, mm" in words
    assert ("left out" in words or "9 more variables" in words) == (k == 14)


def test_what_cannot_be_drawn_is_told():
    with pytest.raises(dtw.PictureError, match=r"all 2 designs failed.*torn"):
        table(n=2, fail=(0, 1)).plot(show=False)
    with pytest.raises(dtw.PictureError, match="'scatter' or 'parallel'"):
        table().plot("bars", show=False)


def test_indices_that_are_doubtful_say_so():
    first = np.array([[0.7, 0.1], [0.2, 0.2]])
    picture = Indices(("a", "b"), ("mass", LABEL), first, first + 0.2, np.array([1e-4, 0.4]), "chaos").plot(
        show=False
    )
    words = " ".join(picture.texts)
    assert "the expansion misses 40.0 %, more samples are needed" in words
    assert "the expansion misses 0.0 %," not in words


def test_scatter_is_drawn_with_its_verdict():
    samples = table(64)
    spreads = {
        "objective": Spread("objective", 0.1, 0.01, {"pull": 1.0}),
        f"{LABEL} | pull": Spread(
            f"{LABEL} | pull", 0.2, 0.1, {"pull": 0.9, "yield": 0.1}, 0.2, 0.1, 0.02, 0.05, sigma=3.0
        ),
    }
    made = Robustness(study(), {"thickness": 3e-3}, spreads, samples, np.zeros((64, 2)), {})
    words = " ".join(made.plot(show=False).texts)
    assert "does NOT hold at 3 sigma" in words
    assert "2.00 sigma of 3, 5.0 % of the samples miss it" in words
    assert "yield" in words
    quiet = Robustness(study(), {}, {"objective": spreads["objective"]}, None, np.zeros((0, 2)), {})
    with pytest.raises(dtw.PictureError, match="no requirement"):
        quiet.plot(show=False)
