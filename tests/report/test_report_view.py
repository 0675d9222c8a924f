"""What a 3D view is packed into is what it was, as far as a page needs it, and keeps to its bytes."""

import base64
import json
import zlib

import numpy as np
import pytest
from builders import bar, box

import designtwin as dtw
from designtwin.report.view import Stream, packed
from designtwin.viz.web import web_view


def unpacked(stream):
    """What view.js does."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(stream["text"])), np.uint8)
    out, start = {}, 0
    for name, kind, count in stream["layout"]:
        size = np.dtype(kind).itemsize
        array = raw[start : start + count * size].reshape(size, count).T.copy().view(kind).reshape(count)
        out[name] = np.cumsum(array) if kind == "i4" else array
        start += count * size
    assert start == len(raw)
    return out


def judged(mesh, section=None, **more):
    model = dtw.Model(
        mesh,
        materials={"body": section or dtw.material("S355")},
        supports=[dtw.FixedSupport(on="xmin"), *more.pop("supports", [])],
        load_cases={
            name: [dtw.Force(on="xmax", value=(f"{force} kN", "0 N", "0 N"))]
            for name, force in (("pull", 9), ("push", -12))
        },
    )
    return dtw.StrengthTest(model, requirements=[dtw.yield_margin() >= 1.5]).run()


@pytest.fixture(scope="module")
def view():
    return web_view(judged(box("tetra10", (6, 3, 3), (0.1, 0.02, 0.02))))


def test_values_keep_six_digits_and_points_a_part_in_thirty_thousand(view):
    data = packed(view, 10**7).plain
    json.dumps(data, allow_nan=False)
    body = unpacked(data["body"])
    n = len(view.row)
    points = data["grain"] * body["points"].reshape(3, n).T + data["middle"]
    np.testing.assert_allclose(points, view.points, atol=0.1 / 60_000)
    np.testing.assert_allclose(body["normals"].reshape(3, n).T / 127, view.normals, atol=0.5 / 127 + 1e-12)
    np.testing.assert_array_equal(body["row"], view.row)
    np.testing.assert_array_equal(body["node"], view.node)
    np.testing.assert_array_equal(body["edges"], view.edges.ravel())
    np.testing.assert_array_equal(body["facets32"], view.facets[3, 2].ravel())
    assert len(data["fields"]) == len(view.fields)
    for one, field in zip(data["fields"], view.fields):
        stream = unpacked(data["streams"][one["values"]])
        np.testing.assert_allclose(stream["values"], field.values, rtol=2.0**-20)
        np.testing.assert_array_equal(stream["sort"] == 1, field.judged)
        move = unpacked(data["streams"][one["move"]])["move"].reshape(3, -1).T
        largest = np.abs(field.displacement).max()
        np.testing.assert_allclose(
            move * one["largest"] / 32767, field.displacement, rtol=0, atol=largest / 65000
        )


def test_what_is_none_singular_or_without_end_stays_so(view):
    from dataclasses import replace

    values = view.fields[0].values.copy()
    values[:3] = np.nan, np.inf, -np.inf
    singular = np.zeros(len(values), bool)
    singular[5] = True
    judged = np.ones(len(values), bool)
    judged[4] = False
    first = replace(view.fields[0], values=values, judged=judged, singular=singular)
    data = packed(replace(view, fields=(first,)), 10**7).plain
    stream = unpacked(data["streams"][data["fields"][0]["values"]])
    assert stream["sort"][:6].tolist() == [0, 1, 1, 1, 2, 3]
    assert np.isnan(stream["values"][0])
    assert stream["values"][1:3].tolist() == [np.inf, -np.inf]


def test_a_view_keeps_to_its_bytes_and_says_what_it_leaves_out(view):
    whole = packed(view, 10**7)
    assert whole.left_out == ()
    data = whole.plain
    room = len(data["body"]["text"]) + sum(len(one["text"]) for one in data["streams"][:4])
    less = packed(view, room)
    kept = [(one["name"], one["case"]) for one in less.plain["fields"]]
    assert kept[0] == (view.fields[0].name, view.fields[0].case), "what is judged comes first"
    assert 0 < len(kept) < len(view.fields)
    assert sorted([*less.left_out, *(f"{name}, {case}" for name, case in kept)]) == sorted(
        f"{field.name}, {field.case}" for field in view.fields
    )
    # Words and scales are not counted: some hundred bytes a field.
    assert len(json.dumps(less.plain)) < room + 1500 * len(kept) + 1000
    assert packed(view, 100) is None


def test_bars_have_no_edges_and_pack_all_the_same():
    verdict = judged(
        bar(4, 1.0), dtw.Truss(area="4 cm2", material=dtw.material("S355")),
        supports=[dtw.PrescribedDisplacement(on="body", y="0 mm")],
    )  # fmt: skip
    body = unpacked(packed(web_view(verdict), 10**6).plain["body"])
    assert len(body["edges"]) == 0
    assert len(body["facets31"]) == 4 * 10 * 2 * 3


def test_nothing_packs_into_nothing():
    assert unpacked(Stream({"a": np.empty(0, np.int64), "b": np.empty(0, "<i2")}).to_dict())["a"].size == 0
