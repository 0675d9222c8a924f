"""Objects travel as plain data and are known by their content."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from designtwin.errors import DesignTwinError
from designtwin.plain import Plain, from_json


@dataclass(frozen=True, kw_only=True, eq=False)
class Crate(Plain):
    content: Any
    label: str = "box"
    derived: int = field(init=False, default=3)


@dataclass(frozen=True)
class Point(Plain):
    x: float
    y: float = 0.0

    def __post_init__(self):
        if self.x < 0:
            raise DesignTwinError("x is negative")


def through_json(thing):
    return Plain.from_dict(json.loads(json.dumps(thing.to_dict(), allow_nan=False)))


@pytest.mark.parametrize(
    "content",
    [
        None, True, 3, 0.1, float("inf"), -float("inf"), "inf", "nan", "", (1, (2.0, "a")), {},
        {"type": "Crate"}, {"array": 1, "float": "x", "dict": {}}, {"b": 1, "a": (Point(1.0), None)},
        Point(2.0, 3.0), np.float64(2.5), np.int64(7), np.bool_(True),
    ],
)  # fmt: skip
def test_plain_values_survive_json(content):
    back = through_json(Crate(content=content))
    assert back.content == content
    assert type(back.content) is type(content) or isinstance(content, np.generic)
    assert back == Crate(content=content)
    assert back.label == "box"


def test_nan_survives():
    assert np.isnan(through_json(Crate(content=float("nan"))).content)


arrays = st.one_of(
    hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
    for dtype in (np.float64, np.int64, np.bool_)
)


@given(array=arrays)
def test_arrays_survive_to_the_bit(array):
    back = through_json(Crate(content=array))
    assert back.content.dtype == array.dtype
    assert_array_equal(back.content, array)
    assert back.content.flags.writeable
    assert back.content_hash() == Crate(content=array).content_hash()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(content=plain)
def test_any_plain_content_survives(content):
    back = through_json(Crate(content=content))
    assert back.content == content
    assert repr(back.content) == repr(content)  # 1 and True and 1.0 stay what they are


@given(a=plain, b=plain)
def test_equal_hash_means_equal_content(a, b):
    same = Crate(content=a).content_hash() == Crate(content=b).content_hash()
    assert not same or a == b


def test_hash_knows_type_field_shape_and_dtype_but_no_order_of_keys():
    ones = np.ones(4)
    variants = [
        Crate(content=ones), Crate(content=ones.reshape(2, 2)), Crate(content=ones.astype(np.int64)),
        Crate(content=ones, label="other"), Crate(content=1), Crate(content=1.0), Crate(content=True),
        Crate(content="1"), Crate(content=(1,)),
        Crate(content={"a": 1, "b": 2}), Crate(content={"a": 2, "b": 1}),
        Point(1.0), Point(1.0, 1.0),
    ]  # fmt: skip
    assert len({v.content_hash() for v in variants}) == len(variants)
    assert Crate(content={"a": 1, "b": 2}) == Crate(content={"b": 2, "a": 1})
    assert Crate(content=np.asfortranarray(np.eye(3))) == Crate(content=np.eye(3))
    assert Crate(content=np.arange(6)[::2]) == Crate(content=np.array([0, 2, 4]))
    assert len({Crate(content=ones), Crate(content=ones.copy())}) == 1


def test_hash_is_the_same_in_another_process():
    code = (
        "from dataclasses import dataclass; from designtwin.plain import Plain\n"
        "import numpy as np\n"
        "@dataclass(frozen=True, kw_only=True, eq=False)\n"
        "class Crate(Plain):\n    content: object\n    label: str = 'box'\n"
        "print(Crate(content={'a': np.arange(3.0), 'b': ('x', 0.1, None)}).content_hash())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == Crate(content={"a": np.arange(3.0), "b": ("x", 0.1, None)}).content_hash()


def test_type_is_checked():
    assert Point.from_dict({"type": "Point", "x": 1.0}) == Point(1.0)  # defaults may be left out
    with pytest.raises(DesignTwinError, match="is a Crate; a Point is wanted"):
        Point.from_dict(Crate(content=1).to_dict())
    with pytest.raises(DesignTwinError, match="'Piont', which is unknown; did you mean 'Point'"):
        Plain.from_dict({"type": "Piont", "x": 1.0})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"type": "Point"}, "lacks 'x'"),
        ({"type": "Point", "x": 1.0, "yy": 2.0}, "no field 'yy'; did you mean 'y'"),
        ({"type": "Point", "x": -1.0}, "x is negative"),
        ({"type": "Point", "x": "a"}, "cannot be built"),
        ({"x": 1.0}, "needs a 'type'"),
        ({"type": 3}, "needs a 'type'"),
        ([], "needs a 'type'"),
        ({"type": "Crate", "content": {"array": "!", "dtype": "float64", "shape": [1]}}, "no array"),
        ({"type": "Crate", "content": {"array": "", "dtype": "object", "shape": [0]}}, "no array"),
        (
            {"type": "Crate", "content": {"array": "AAAAAAAAAAA=", "dtype": "float64", "shape": [7]}},
            "no array",
        ),
        ({"type": "Crate", "content": {"float": "1"}}, "none of"),
        ({"type": "Crate", "content": {"dict": 3}}, "no dictionary"),
        ({"type": "Crate", "content": 1, "derived": 4}, "no field 'derived'"),
    ],
)
def test_broken_data_is_named(data, sentence):
    with pytest.raises(DesignTwinError, match=sentence):
        Plain.from_dict(data)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda x: x, r"Crate.content is a Python function, which cannot be saved; tabulate it"),
        (np.ones(2, dtype=np.float32), "array of float32"),
        ({1: 2}, "key 1 is no text"),
        ({"a": (1, {2})}, r"Crate.content\['a'\]\[1\] holds a set"),
        (1j, "holds a complex"),
    ],
)
def test_what_is_no_plain_data_is_refused(content, sentence):
    box = Crate(content=content)
    for action in (box.to_dict, box.content_hash):
        with pytest.raises(DesignTwinError, match=sentence):
            action()
    assert box == box
    assert box != Crate(content=content)
    assert isinstance(hash(box), int)


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(TypeError, match="'Point' is taken by"):
        type("Point", (Plain,), {"__module__": "elsewhere"})
    try:
        named = type("Point", (Plain,), {"__module__": "elsewhere", "type_name": "OtherPoint"})
        assert named.type_name == "OtherPoint"
    finally:
        from designtwin import plain as module

        module._types.pop("OtherPoint", None)


def test_text_that_is_no_json_is_named():
    assert from_json(Point, json.dumps(Point(1.0).to_dict())) == Point(1.0)
    with pytest.raises(DesignTwinError, match="no JSON"):
        from_json(Point, "{")
