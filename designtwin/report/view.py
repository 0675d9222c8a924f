"""A 3D view inside a page: arrays as text that `view.js` unpacks, within the bytes there are.

Arrays are deflated byte by byte (all first bytes, then all second ones), integers as differences: what is
alike then stands together, and zlib sees it.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from designtwin import units
from designtwin.typing import FloatArray, PlainData


class Stream:
    """Arrays that travel together: `layout` says how to read `text`."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self.layout: list[list[Any]] = []
        raw = b""
        for name, array in arrays.items():
            flat = np.ascontiguousarray(array).ravel()
            if flat.dtype == np.int64:
                flat = np.diff(flat, prepend=0).astype("<i4")
            self.layout.append([name, flat.dtype.str[1:], len(flat)])
            raw += flat.view(np.uint8).reshape(len(flat), flat.itemsize).T.tobytes()
        self.text = base64.b64encode(zlib.compress(raw, 9)).decode()

    def to_dict(self) -> PlainData:
        return {"layout": self.layout, "text": self.text}


@dataclass(frozen=True)
class Packed:
    """A view as plain data, and the fields that had no place in it."""

    plain: PlainData
    left_out: tuple[str, ...]


def packed(view: Any, room: int) -> Packed | None:
    """A `designtwin.viz.web.WebView` in about `room` bytes; None where not even one field fits."""
    low, high = view.points.min(axis=0), view.points.max(axis=0)
    grain = float((high - low).max()) / 65534 or 1.0
    # The middle of the part, so that places are short numbers of both signs.
    middle = 0.5 * (low + high)
    body = Stream(
        {
            "points": np.rint((view.points - middle) / grain).astype("<i2").T,
            "normals": np.rint(127 * view.normals).astype("i1").T,
            "row": view.row.astype(np.int64),
            "node": view.node.astype(np.int64),
            **{f"facets{corners}{degree}": conn for (corners, degree), conn in view.facets.items()},
            "edges": view.edges,
        }
    )
    used = len(body.text)
    moves: dict[tuple[str, float], int] = {}
    streams: list[PlainData] = []
    fields: list[PlainData] = []
    left_out = []
    for field in view.fields:
        own = Stream({"values": _short(field.values), "sort": _sort(field)})
        move: Stream | None = None
        largest, key = 0.0, (field.case, field.factor)
        if field.displacement is not None:
            largest = float(np.abs(field.displacement).max(initial=0.0))
            if key not in moves and largest > 0.0:
                move = Stream({"move": np.rint(32767 * field.displacement / largest).astype("<i2").T})
        size = len(own.text) + (len(move.text) if move else 0)
        if used + size > room:
            left_out.append(f"{field.name}, {field.case}")
            continue
        used += size
        streams.append(own.to_dict())
        one = {
            "name": field.name,
            "case": field.case,
            "said": field.said,
            "symbol": field.symbol,
            "values": len(streams) - 1,
            "inverse": field.inverse,
            "factor": field.factor,
            "swings": field.swings,
            "scale": {**_scale(field.scale), "colors": list(field.colors)},
            "marks": [[row, words] for row, words in field.marks],
        }
        if move is not None:
            streams.append(move.to_dict())
            moves[key] = len(streams) - 1
        if key in moves and largest > 0.0:
            one |= {"move": moves[key], "largest": largest}
        fields.append(one)
    if not fields:
        return None
    plain: PlainData = {
        "middle": middle.tolist(),
        "grain": grain,
        "length": [float(units.from_si(1.0, "length")), units.symbol("length")],
        "toward": view.toward.tolist(),
        "flat": view.flat,
        "zones": [[row, number, words] for row, number, words in view.zones],
        "body": body.to_dict(),
        "streams": streams,
        "fields": fields,
    }
    return Packed(plain, tuple(left_out))


def _sort(field: Any) -> np.ndarray[Any, Any]:
    """Of each point: 0 no value, 1 a value that is judged, 2 one that is not, 3 singular."""
    sort = np.where(field.judged, 1, 2)
    sort[np.isnan(field.values)] = 0
    sort[field.singular] = 3
    return sort.astype("u1")


def _short(values: FloatArray) -> np.ndarray[Any, Any]:
    """Single precision with 20 binary digits, six decimal ones: zeros at the end pack to nothing."""
    with np.errstate(over="ignore"):
        bits = np.asarray(values, "<f4").view("<u4").astype(np.uint64)
    return np.asarray(((bits + 0x8) & 0xFFFFFFF0).astype("<u4").view("<f4"))


def _scale(scale: Any) -> PlainData:
    """Ends, ticks and mark of a scale."""
    mark = scale.mark
    return {
        "title": scale.title,
        "low": scale.low,
        "high": scale.high,
        "below": scale.below,
        "above": scale.above,
        "log": scale.log,
        "ticks": [float(t) for t in scale.ticks(6)],
        "mark": None if mark is None or not math.isfinite(mark) else mark,
        "mark_text": scale.mark_text,
    }
